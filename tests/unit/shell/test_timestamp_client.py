"""Asking a time stamp authority: what it answers, and what answers in its place."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from gateway.http.timestamp_client import TimestampClient
from signing.errors import TimestampInvalid, TimestampRefused, TimestampUnavailable
from signing.timestamp import SKEW_MAX, TOKEN_BYTES_MAX, verify_token
from signing.timestamp_authority import TimestampAuthority
from tests.support.pki import NOW, sample_pki
from tests.support.stamping import stamping

DATA = b"the value of a seal"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/timestamp-reply\r\n"


def authority() -> Any:
    """One that says NOW."""
    return stamping(sample_pki().pki.issue_tsa().signer(), lambda: NOW)


def test_client_gets_a_token_that_holds() -> None:
    """Over HTTP, verified before it is returned."""
    served = authority()
    with served.serving():
        token, found = TimestampClient(served.url).stamp(DATA, sample_pki().trust, lambda: NOW)
    assert found.time == NOW
    assert verify_token(token, DATA, sample_pki().trust, NOW).time == NOW


def test_client_asks_for_its_policy() -> None:
    """One that the authority does not have is refused by it."""
    served = authority()
    with served.serving(), pytest.raises(TimestampRefused, match="unaccepted_policy"):
        TimestampClient(served.url, policy="1.2.3").stamp(DATA, sample_pki().trust, lambda: NOW)


@pytest.mark.parametrize("off", [SKEW_MAX + timedelta(seconds=1), -SKEW_MAX - timedelta(seconds=1)])
def test_client_takes_no_time_that_is_not_now(off: timedelta) -> None:
    """Our clock and the authority's disagree: neither is believed."""
    served = authority()
    with served.serving(), pytest.raises(TimestampInvalid, match=r"our clock|future"):
        TimestampClient(served.url).stamp(DATA, sample_pki().trust, lambda: NOW + off)


def test_client_takes_no_answer_to_another_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """An old answer played again, over the same bytes: the nonce is fresh each time."""
    own = TimestampAuthority(sample_pki().pki.issue_tsa().signer(), lambda: NOW)
    kept: list[bytes] = []

    def replay(request: bytes) -> bytes:
        kept.append(own.answer(request))
        return kept[0]

    served = authority()
    monkeypatch.setattr(served.authority, "answer", replay)
    client = TimestampClient(served.url)
    with served.serving():
        assert client.stamp(DATA, sample_pki().trust, lambda: NOW)
        with pytest.raises(TimestampInvalid, match="nonce"):
            client.stamp(DATA, sample_pki().trust, lambda: NOW)


@pytest.mark.parametrize(
    "url", ["", "tsa.example", "ftp://tsa.example/", "http://", "https://u@h/", "http://h/#x"]
)
def test_client_takes_only_the_url_of_a_service(url: str) -> None:
    """http or https, a host, nothing odd."""
    with pytest.raises(ValueError, match="URL"):
        TimestampClient(url)


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """Something else than an authority at a URL: it answers one connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        thread.join()


def _drip(begin: bytes) -> Callable[[socket.socket], None]:
    """Then a byte now and then, each in time, without end; until nobody listens any more."""

    def drip(connection: socket.socket) -> None:
        never = threading.Event()
        try:
            connection.sendall(begin)
            while not never.wait(0.02):
                connection.sendall(b"0")
        except OSError:
            return

    return drip


def _say(answer: bytes) -> Callable[[socket.socket], None]:
    def say(connection: socket.socket) -> None:
        try:
            connection.sendall(answer)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
        except OSError:
            return

    return say


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (_drip(b"HTTP/1.1 200 OK\r\n"), "within 0.5 s"),
        (_drip(OK + b"\r\n"), "within 0.5 s"),
        (_drip(OK + b"Content-Length: 5000\r\n\r\n"), "within 0.5 s"),
        (_say(b""), "RemoteDisconnected"),
        (_say(b"no HTTP at all\r\n\r\n"), "BadStatusLine"),
        (_say(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"), "302"),
        (_say(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>"), "text/html"),
        (_say(OK.replace(b"200", b"500") + b"\r\n"), "500"),
        (_say(OK + b"\r\n" + bytes(TOKEN_BYTES_MAX + 4096)), "more than"),
        (_say(OK + b"Content-Length: 100\r\n\r\n30"), "cut short"),
        (_say(OK + b"\r\n<html>"), "TimeStampResp"),
    ],
)
def test_client_finds_that_something_else_answers(answer: Any, why: str) -> None:
    """Slow without end, too large, of another kind, elsewhere: one error, in time."""
    client_error = pytest.raises(TimestampUnavailable, match=why)
    with answering(answer) as url, client_error as caught:
        TimestampClient(url, timeout_seconds=0.5).stamp(DATA, sample_pki().trust, lambda: NOW)
    assert caught.value.zh == "时间戳服务暂不可用"


def test_client_finds_that_nobody_answers() -> None:
    """Nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(TimestampUnavailable, match="Refused"):
        TimestampClient(f"http://127.0.0.1:{port}/").stamp(DATA, sample_pki().trust, lambda: NOW)
