"""The ledgers over plain HTTP: what C2SP tlog-tiles demands, and nothing that no checkpoint covers."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from sqlalchemy import delete

from gateway.http.tiles import CONNECTIONS_MAX, TileServer, takes_gzip
from gateway.telemetry import metrics
from ledger.export import export_ledger
from ledger.resource import parse_name
from ledger.tables import ledger_entry
from tests.support.ledger_database import ORIGIN, REGISTRY, TestLedger
from tests.support.stage import Town
from tests.support.tlog import names_of, read_log, tile_name

Headers = dict[str, str]


@pytest.fixture
def opened(tmp_path: Path) -> TestLedger:
    return TestLedger(tmp_path / "ledger.db")


@pytest.fixture
def server(opened: TestLedger, tmp_path: Path) -> Iterator[TileServer]:
    """A server of the ledger, and of a registry that the database does not have."""
    running = TileServer("127.0.0.1:0", f"sqlite:///{tmp_path / 'ledger.db'}", [REGISTRY, "lost"])
    running.start()
    yield running
    running.stop()


def get(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, Headers, bytes]:
    """Status, headers by lower-case name, body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
        response = connection.getresponse()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
    finally:
        connection.close()


def refused(port: int, path: str) -> str:
    """The reason of a 404, which nobody keeps."""
    status, headers, body = get(port, path)
    assert status == 404, body
    assert headers["cache-control"] == "no-store"
    error = json.loads(body)["error"]
    assert error["zh"]
    assert error["en"]
    return str(error["reason"])


@pytest.mark.parametrize("size", [1, 256, 700])
def test_served_log_is_read_whole_by_a_plain_reader(
    opened: TestLedger, server: TileServer, size: int
) -> None:
    """A reader that shares no code with us follows every tile and bundle to the signed root."""
    opened.append(size)
    signed = opened.publish()

    def fetch(name: str) -> bytes:
        status, _, body = get(server.port, f"/{REGISTRY}/{name}")
        assert status == 200, (name, body)
        return body

    assert read_log(fetch, opened.vkey, ORIGIN)[:2] == (size, signed.root)


def test_served_and_exported_are_the_same(opened: TestLedger, server: TileServer, tmp_path: Path) -> None:
    """Each file of an export is what its path gives over HTTP."""
    opened.append(600)
    opened.publish()
    with opened.engine.connect() as conn:
        export_ledger(conn, REGISTRY, opened.vkey, tmp_path / "out")
    for name in [*names_of(600), "checkpoint"]:
        assert get(server.port, f"/{REGISTRY}/{name}")[2] == (tmp_path / "out" / name).read_bytes(), name


@pytest.mark.parametrize(
    ("path", "kind", "status"),
    [
        ("/checkpoint", "checkpoint", 200),
        ("/tile/0/000.p/3", "tile", 200),
        ("/tile/entries/000.p/3", "entries", 200),
        ("/tile/entries/000", "entries", 404),
        ("/secret", "other", 404),
    ],
)
def test_request_is_counted_by_kind_and_status(
    opened: TestLedger, server: TileServer, path: str, kind: str, status: int
) -> None:
    """Nothing of the path itself becomes a label."""
    opened.append(3)
    opened.publish()
    labels = {"kind": kind, "status": str(status)}

    def counted() -> float:
        return metrics.collectors.get_sample_value("diya_tile_requests_total", labels) or 0

    before = counted()
    assert get(server.port, f"/{REGISTRY}{path}")[0] == status
    assert counted() == before + 1


def test_headers_are_those_of_the_standard(opened: TestLedger, server: TileServer) -> None:
    """Types, caching, and gzip for bundles where it is taken; HEAD is GET without a body."""
    opened.append(300)
    opened.publish()
    status, headers, body = get(server.port, f"/{REGISTRY}/checkpoint", Accept_Encoding="gzip")
    assert (status, headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert headers["cache-control"] == "no-cache"
    assert "content-encoding" not in headers
    for name in ("tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1"):
        _, headers, body = get(server.port, f"/{REGISTRY}/{name}", Accept_Encoding="gzip")
        assert headers["content-type"] == "application/octet-stream"
        assert headers["cache-control"] == "public, max-age=31536000, immutable"
        assert "content-encoding" not in headers
        assert len(body) % 32 == 0
    plain_status, plain_headers, plain = get(server.port, f"/{REGISTRY}/tile/entries/000")
    _, headers, packed = get(server.port, f"/{REGISTRY}/tile/entries/000", Accept_Encoding="gzip, br")
    assert (plain_status, "content-encoding" in plain_headers) == (200, False)
    assert (headers["content-encoding"], headers["vary"]) == ("gzip", "Accept-Encoding")
    assert (headers["content-type"], headers["cache-control"]) == (
        "application/octet-stream",
        "public, max-age=31536000, immutable",
    )
    assert gzip.decompress(packed) == plain
    assert len(packed) < len(plain)
    status, headers, body = get(server.port, f"/{REGISTRY}/tile/entries/000", "HEAD")
    assert (status, body, headers["content-length"]) == (200, b"", str(len(plain)))


ACCEPTED = {
    "": False,
    "gzip": True,
    "br, GZIP;q=0.5": True,
    "gzip;q=0": False,
    "gzip; q=0.000": False,
    "*": True,
    "identity, *;q=0": False,
    "gzip;q=0, *": False,
    "xgzip": False,
    "gzip;q=1.0": True,
    "gzip;q=0.10": True,
}


def test_gzip_is_sent_to_those_who_take_it() -> None:
    """Accept-Encoding, RFC 9110, 12.5.3."""
    assert {accepted: takes_gzip(accepted) for accepted in ACCEPTED} == ACCEPTED


def test_nothing_beyond_the_checkpoint_is_served(opened: TestLedger, server: TileServer) -> None:
    """Entries that are stored and not yet signed over do not exist; earlier partial tiles stay."""
    assert refused(server.port, f"/{REGISTRY}/checkpoint") == "CHECKPOINT_NOT_FOUND"
    opened.append(10)
    assert refused(server.port, f"/{REGISTRY}/checkpoint") == "CHECKPOINT_NOT_FOUND"
    assert refused(server.port, f"/{REGISTRY}/tile/0/000.p/1") == "CHECKPOINT_NOT_FOUND"
    opened.publish()
    early = get(server.port, f"/{REGISTRY}/tile/0/000.p/10")[2]
    opened.append(290)
    for name in (
        "tile/0/000",
        "tile/0/000.p/11",
        "tile/entries/000",
        "tile/entries/000.p/11",
        "tile/1/000.p/1",
    ):
        assert refused(server.port, f"/{REGISTRY}/{name}") == "RESOURCE_UNPUBLISHED", name
    opened.publish()
    for name in (
        "tile/0/001.p/45",
        "tile/0/001",
        "tile/1/000",
        "tile/1/000.p/2",
        "tile/2/000.p/1",
        "tile/63/000",
    ):
        assert refused(server.port, f"/{REGISTRY}/{name}") == "RESOURCE_UNPUBLISHED", name
    assert get(server.port, f"/{REGISTRY}/tile/0/000.p/10")[2] == early
    assert get(server.port, f"/{REGISTRY}/tile/0/000")[2][:320] == early


WRONG = [
    "",
    "/checkpoint",
    "checkpoint/",
    "checkpoint?x=1",
    "vkey",
    "tile/0/0",
    "tile/0/0000",
    "tile/0/x000/000",
    "tile/0/x001",
    "tile/0/001/000",
    "tile/00/000",
    "tile/64/000",
    "tile/-1/000",
    "tile/data/000",
    "tile/0/000.p/0",
    "tile/0/000.p/256",
    "tile/0/000.p/01",
    "tile/0/000.p/",
    "tile/0/000/p/1",
    "tile/entries/000.p/999",
    "tile/0/../0/000",
    "tile/0/%30%30%30",
    "tile/0/\u0660\u0660\u0660".encode().decode("latin-1"),
    "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
    "tile/0/000\n",
]


def test_name_that_no_log_serves_is_told(opened: TestLedger, server: TileServer) -> None:
    """There is one name for each resource."""
    opened.append(1)
    opened.publish()
    for name in WRONG:
        answer = server.answer(f"/{REGISTRY}/{name}")
        reason = json.loads(answer.body)["error"]["reason"]
        assert (answer.status, reason) == (404, "RESOURCE_NAME_INVALID"), name


def test_registry_that_is_not_served_is_told(server: TileServer) -> None:
    """Another registry, one whose ledger is not there, and no registry at all."""
    for path in ("/", "/nowhere/checkpoint", "/lost/checkpoint", "/lost/tile/0/000", "/..%2fr1/checkpoint"):
        assert refused(server.port, path) == "REGISTRY_UNKNOWN", path


def test_name_is_read_as_it_is_written() -> None:
    """The name of a resource, by the second implementation, gives its level, index and width back."""
    indexes = (0, 7, 999, 1000, 1234067, 10**9, 2**55 - 1)
    for level, index, width in product((None, 0, 63), indexes, (1, 99, 255, 256)):
        name = tile_name("entries" if level is None else level, index, width)
        resource = parse_name(name)
        assert (resource.level, resource.index, resource.width, resource.name) == (level, index, width, name)


def test_name_of_the_standards_example() -> None:
    """Index 1234067 is encoded as x001/x234/067."""
    assert parse_name("tile/0/x001/x234/067").index == 1234067


def test_writing_is_refused(server: TileServer) -> None:
    """Read only."""
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        status, headers, body = get(server.port, f"/{REGISTRY}/checkpoint", method)
        assert (status, headers["allow"], headers["connection"]) == (405, "GET, HEAD", "close")
        assert json.loads(body)["error"]["reason"] == "METHOD_NOT_ALLOWED"


def test_request_with_a_body_is_refused_and_ends_the_connection(
    opened: TestLedger, server: TileServer
) -> None:
    """A body that nobody reads would be the next request."""
    opened.append(1)
    opened.publish()
    hidden = f"GET /{REGISTRY}/checkpoint HTTP/1.1\r\nHost: x\r\n\r\n"
    request = f"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: {len(hidden)}\r\n\r\n{hidden}"
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(request.encode())
        received = b""
        try:
            while data := connection.recv(65_536):
                received += data
        except ConnectionResetError:
            pass  # unread bytes were on their way
    assert received.count(b"HTTP/1.1 ") <= 1
    assert b" 200 " not in received


def test_connections_are_limited_and_come_free_again(opened: TestLedger, server: TileServer) -> None:
    """One too many is closed at once; whoever holds the others is not disturbed."""
    opened.append(1)
    opened.publish()
    for _ in range(2 * CONNECTIONS_MAX):  # one after the other there may be any number
        assert get(server.port, f"/{REGISTRY}/checkpoint")[0] == 200
    held = [http.client.HTTPConnection("127.0.0.1", server.port, timeout=20) for _ in range(CONNECTIONS_MAX)]
    try:
        for connection in held:
            connection.request("GET", f"/{REGISTRY}/checkpoint")
            assert connection.getresponse().read()
        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            get(server.port, f"/{REGISTRY}/checkpoint")
        held[0].request("GET", f"/{REGISTRY}/checkpoint")
        assert held[0].getresponse().status == 200
    finally:
        for connection in held:
            connection.close()


def test_entry_that_is_lost_is_an_error_of_ours(opened: TestLedger, server: TileServer) -> None:
    """A damaged ledger is 500 and says which row; what is whole goes on being served."""
    opened.append(5)
    opened.publish()
    with opened.engine.begin() as conn:
        conn.execute(delete(ledger_entry).where(ledger_entry.c.entry_index == 2))
    status, headers, body = get(server.port, f"/{REGISTRY}/tile/entries/000.p/5")
    assert (status, headers["cache-control"]) == (500, "no-store")
    assert json.loads(body)["error"]["reason"] == "LEDGER_DAMAGED"
    assert get(server.port, f"/{REGISTRY}/checkpoint")[0] == 200


async def test_running_gateway_serves_its_ledgers(town: Town) -> None:
    """Beside the port of the banks; under the key of the trust folder."""
    port = town.gateway.tiles_port
    assert port
    for registry in town.gateway.config.registries:
        vkey = (town.folder / "trust" / f"{registry.id}.vkey").read_text().strip()
        note = get(port, f"/{registry.id}/checkpoint")[2]

        def fetch(name: str, prefix: str = registry.id, note: bytes = note) -> bytes:
            return note if name == "checkpoint" else get(port, f"/{prefix}/{name}")[2]

        size, _, _ = read_log(fetch, vkey, registry.origin)
        assert size > 0
