"""The published ledgers over plain HTTP, as C2SP tlog-tiles logs: what `diya ledger export` writes, live.

    GET /<registry>/checkpoint · /<registry>/tile/<L>/<N>[.p/<W>] · /<registry>/tile/entries/<N>[.p/<W>]

For whoever wants to check a registry with a tool of their own: nobody has to be known, for no part is ever given and
an entry names nobody. It reads the database through connections of its own, on threads of its own, so that the calls
of banks wait for none of it. What is not published is 404; an error is one JSON object with a reason.
"""

from __future__ import annotations

import gzip
import json
import logging
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from threading import BoundedSemaphore, Lock, Thread
from typing import Any, ClassVar, Final

from sqlalchemy import Connection, Engine

from gateway.storage.engine import reader_engine
from gateway.telemetry import metrics
from ledger.errors import (
    CheckpointNotFoundError,
    LedgerDamagedError,
    LedgerError,
    RegistryUnknownError,
    ResourceNameError,
    ResourceUnpublishedError,
)
from ledger.publish import SignedCheckpoint, latest_checkpoint
from ledger.resource import CHECKPOINT_NAME, ResourceReader, parse_name

CONNECTIONS_MAX: Final = 64
IDLE_SECONDS_MAX: Final = 10.0

NOT_CACHED: Final = "no-cache"
"""A checkpoint: whoever keeps it asks again before using it."""
IMMUTABLE: Final = "public, max-age=31536000, immutable"
NO_STORE: Final = "no-store"
"""An error: what is not published now may be in a second."""

_BINARY: Final = "application/octet-stream"
_TEXT: Final = "text/plain; charset=utf-8"
_JSON: Final = "application/json; charset=utf-8"

#: What each reason is in Chinese; the English is the error's own.
_ZH: Final = {
    RegistryUnknownError.reason: "本网关没有这个登记机构",
    CheckpointNotFoundError.reason: "该账本尚未签发检查点",
    ResourceNameError.reason: "路径不是 C2SP tlog-tiles 的资源",
    ResourceUnpublishedError.reason: "最新检查点尚未涵盖该内容",
    LedgerDamagedError.reason: "账本已损坏，已停止签发",
}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What goes back. `may_shrink`: gzip is worth it, where the caller takes it."""

    status: HTTPStatus
    body: bytes
    content_type: str
    cache: str
    may_shrink: bool = False


class TileServer:
    """Serves the ledgers of `registries` on `address`; `start`, and `stop` again."""

    def __init__(self, address: str, database: str, registries: Sequence[str]) -> None:
        """Bind HOST:PORT (port 0: any). `database`: a SQLAlchemy URL. Raises OSError."""
        host, _, port = address.rpartition(":")
        self._engine: Engine = reader_engine(database)
        self._reader = ResourceReader()
        self._registries = frozenset(registries)
        self._server = _Server((host, int(port)), self)
        self._thread = Thread(target=self._server.serve_forever, name="tiles", daemon=True)

    @property
    def port(self) -> int:
        """The bound port."""
        return self._server.server_port

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Take nothing more, end what is open, wait for it."""
        self._server.shutdown()
        self._server.hang_up()
        self._server.server_close()
        self._thread.join()
        self._engine.dispose()

    def answer(self, path: str) -> _Answer:
        """What a path gives."""
        registry, _, name = path.removeprefix("/").partition("/")
        try:
            return self._found(registry, name)
        except LedgerDamagedError as error:
            log.exception("the ledger cannot be served", extra={"registry": registry, "damage": error.row})
            return refusal(HTTPStatus.INTERNAL_SERVER_ERROR, error.reason, str(error))
        except LedgerError as error:
            return refusal(HTTPStatus.NOT_FOUND, error.reason, str(error))
        except Exception:
            log.exception("a ledger resource could not be read")
            return refusal(HTTPStatus.SERVICE_UNAVAILABLE, "UNAVAILABLE", "try again later", "请稍后重试")

    def _found(self, registry: str, name: str) -> _Answer:
        if registry not in self._registries:
            raise RegistryUnknownError(registry)
        if name == CHECKPOINT_NAME:
            with self._engine.begin() as connection:
                return _Answer(HTTPStatus.OK, _latest(connection, registry).note, _TEXT, NOT_CACHED)
        resource = parse_name(name)
        with self._engine.begin() as connection:
            size = _latest(connection, registry).size
            body = self._reader.read(connection, registry, resource, size)
        return _Answer(HTTPStatus.OK, body, _BINARY, IMMUTABLE, may_shrink=resource.level is None)


def _latest(connection: Connection, registry: str) -> SignedCheckpoint:
    signed = latest_checkpoint(connection, registry)
    if signed is None:
        raise CheckpointNotFoundError(registry)
    return signed


def refusal(status: HTTPStatus, reason: str, en: str, zh: str = "") -> _Answer:
    """An error as the command line's --json tells it."""
    body = {"error": {"reason": reason, "zh": zh or _ZH.get(reason, ""), "en": en}}
    return _Answer(status, json.dumps(body, ensure_ascii=False).encode() + b"\n", _JSON, NO_STORE)


class _Server(ThreadingHTTPServer):
    """A thread a connection, and only so many of them."""

    daemon_threads = False  # `server_close` waits for them
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], tiles: TileServer) -> None:
        self.tiles = tiles
        self._free = BoundedSemaphore(CONNECTIONS_MAX)
        self._lock = Lock()
        self._open: set[Any] = set()
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind, and ask no name server how this machine is called."""
        TCPServer.server_bind(self)
        host, port = self.server_address[:2]
        self.server_name, self.server_port = str(host), port

    def process_request(self, request: Any, client_address: Any) -> None:
        """Take the connection, or end it where there are too many."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve one connection to its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._open.discard(request)
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that went away; whatever goes wrong on our side was answered before."""
        log.debug("a connection ended early")

    def hang_up(self) -> None:
        """End the connections that are open."""
        with self._lock:
            for request in self._open:
                try:
                    request.shutdown(socket.SHUT_RD)
                except OSError:
                    continue  # it has ended of itself


class _Handler(BaseHTTPRequestHandler):
    """GET and HEAD, nothing else."""

    protocol_version = "HTTP/1.1"
    server_version = "diya"
    sys_version = ""
    timeout: ClassVar[float] = IDLE_SECONDS_MAX
    server: _Server

    def do_GET(self) -> None:
        """A resource."""
        if self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers:
            # Unread, it would be taken for the next request.
            self.send_error(HTTPStatus.BAD_REQUEST, "a request has no body")
            return
        self._send(self.server.tiles.answer(self.path))

    do_HEAD = do_GET  # noqa: N815  the name of the base class

    def do_POST(self) -> None:
        """Nothing is written here."""
        self.send_error(HTTPStatus.METHOD_NOT_ALLOWED, "this is read only: GET or HEAD")

    do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_POST  # noqa: N815

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """An error that has to do with HTTP alone; the connection ends with it."""
        self.close_connection = True
        status = HTTPStatus(code)
        self._send(refusal(status, status.name, message or status.phrase, "请求无法处理"))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the name of the base class
        """Who reads the ledger is nobody's business."""

    def _send(self, answer: _Answer) -> None:
        metrics.tile_answered(kind_of(getattr(self, "path", "")), answer.status)
        body = answer.body
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Cache-Control", answer.cache)
        self.send_header("X-Content-Type-Options", "nosniff")
        if answer.may_shrink:
            self.send_header("Vary", "Accept-Encoding")
            if takes_gzip(self.headers.get("Accept-Encoding", "")):
                body = gzip.compress(body, compresslevel=6, mtime=0)
                self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        if answer.status == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def kind_of(path: str) -> str:
    """What a path asks for, of a closed list, for the metrics."""
    name = path.removeprefix("/").partition("/")[2]
    if name == CHECKPOINT_NAME:
        return "checkpoint"
    if name.startswith("tile/entries/"):
        return "entries"
    return "tile" if name.startswith("tile/") else "other"


def takes_gzip(accepted: str) -> bool:
    """Whether a caller with this Accept-Encoding takes gzip (RFC 9110, 12.5.3)."""
    weights: dict[str, bool] = {}
    for one in accepted.lower().split(","):
        coding, _, weight = one.partition(";")
        weights[coding.strip()] = weight.replace(" ", "").rstrip("0.") not in ("q=", "q")
    return weights.get("gzip", weights.get("*", False))
