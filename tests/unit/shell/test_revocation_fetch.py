"""Fetching from sources that are down, or that are not what they should be: one error each, in limits."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from gateway.http.revocation_fetch import SourceDown, fetch
from signing.anchors import is_source

Serve = Callable[[socket.socket], None]


@contextmanager
def source(serve: Serve) -> Iterator[str]:
    """A server that does this with the one connection that it takes, once it has read the request's head."""
    listening = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        with suppress(OSError), listening.accept()[0] as connection:
            asked = b""
            while b"\r\n\r\n" not in asked:
                asked += connection.recv(65536)
            serve(connection)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/a.crl?b=c"
    finally:
        listening.close()
        thread.join(10)


def says(data: bytes) -> Serve:
    """Send this, and close."""
    return lambda connection: connection.sendall(data)


def without_end(connection: socket.socket) -> None:
    """Send until the other end hangs up."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(bytes(65536))


def dripping(head: bytes) -> Serve:
    """Byte after byte, each of them in time, for thrice as long as anybody waits here."""

    def drip(connection: socket.socket) -> None:
        connection.sendall(head)
        gone = threading.Event()
        for _ in range(150):
            if not gone.wait(0.01):
                connection.sendall(b"x")

    return drip


HOSTILE: dict[str, Serve] = {
    "status 302": says(
        b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"
    ),
    "status 404": says(b"HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\nx"),
    "status 500": says(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"),
    "cut short": says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"),
    "empty": says(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    "BadStatusLine": says(b"SSH-2.0-x\r\n"),
    "RemoteDisconnected": says(b""),
    "LineTooLong": says(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n"),
    "more than 1000 bytes": without_end,
}


@pytest.mark.parametrize("what", HOSTILE)
def test_source_that_gives_nothing_is_down(what: str) -> None:
    """No redirect is followed, nothing without end is read, and no foreign error comes through."""
    with source(HOSTILE[what]) as url, pytest.raises(SourceDown, match=what):
        fetch(url, None, 10.0, 1000)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: ",
    ],
    ids=["status", "body", "body-without-length", "head"],
)
def test_source_that_drips_is_cut_off(head: bytes) -> None:
    """The whole answer has one limit of time, not each byte of it; what came until then is no answer."""
    with source(dripping(head)) as url, pytest.raises(SourceDown, match=r"within 0.5 s"):
        fetch(url, b"question", 0.5, 10_000_000)


def test_source_that_is_not_there_is_down() -> None:
    """A closed port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(SourceDown, match="refused"):
        fetch(f"http://127.0.0.1:{port}/", None, 5.0, 1000)


def test_what_a_source_gives_comes_through() -> None:
    """Byte for byte, to the limit."""
    body = bytes(range(256))
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 256\r\n\r\n"
    with source(says(head + body)) as url:
        assert fetch(url, None, 5.0, 256) == body


@pytest.mark.parametrize("url", ["http://a", "http://a/b?c=d", "http://[::1]:80/x", "http://10.0.0.1:8080"])
def test_source_is_plain_http(url: str) -> None:
    """With or without a port and a query."""
    assert is_source(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a",
        "https://a",
        "ldap://a",
        "http://",
        "http://a#b",
        "http://u@a",
        "http://a b",
        "http://é",
        "http://a:b",
    ],
)
def test_source_is_nothing_else(url: str) -> None:
    """What cannot be fetched is refused when it is set, not every hour."""
    assert not is_source(url)
