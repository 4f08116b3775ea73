"""The HTTP side of a witness: POST /add-checkpoint, GET /<origin hash>/checkpoint. Standard library only.

The order is the whole point: judge, store durably by compare-and-swap, then cosign.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from gateway.witness.settings import WitnessSettings
from gateway.witness.state import StateUnusable
from ledger.witness import (
    REQUEST_BYTES_MAX,
    SIZE_TYPE,
    WitnessRefusal,
    checkpoint_path,
    judge,
    open_request,
    parse_request,
)

log = logging.getLogger(__name__)

#: A connection that says nothing for so long is closed.
IDLE_SECONDS_MAX: Final = 60.0

_TEXT: Final = "text/plain; charset=utf-8"


class Witness:
    """Answers requests; threads may share it. clock: POSIX time, seconds."""

    def __init__(self, settings: WitnessSettings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._origins = {checkpoint_path(origin): origin for origin in settings.logs}

    def add_checkpoint(self, body: bytes) -> bytes:
        """The cosignature line on the checkpoint that a log sent. Raises WitnessRefusal, StateUnusable, OSError."""
        settings = self._settings
        request = parse_request(body)
        checkpoint, note = open_request(request, settings.logs)
        seen = settings.state.seen(checkpoint.origin)
        try:
            judge(request, checkpoint, seen)
        except WitnessRefusal as refusal:
            if refusal.status == 422:  # the log's own signature under it: perhaps the proof of a fraud
                log.critical("INCONSISTENT checkpoint refused; keep it:\n%s", note.decode())
            raise
        line = settings.cosigner.cosign(note, int(self._clock()))
        if not settings.state.swap(checkpoint.origin, seen, note + line):
            raise WitnessRefusal(409, str(settings.state.seen(checkpoint.origin).size))
        log.info("cosigned %s at size %d", checkpoint.origin, checkpoint.size)
        return line  # handed out only now that it is stored

    def checkpoint(self, path: str) -> bytes:
        """The checkpoint cosigned last at a monitoring path. Raises WitnessRefusal (404)."""
        origin = self._origins.get(path)
        note = self._settings.state.note(origin) if origin is not None else None
        if note is None:
            raise WitnessRefusal(404, "no checkpoint of that log was cosigned here")
        return note


class WitnessServer(ThreadingHTTPServer):
    """Serves a witness; `serve_forever`, `shutdown`, `server_port` as in the standard library."""

    daemon_threads = True

    def __init__(self, settings: WitnessSettings, clock: Callable[[], float]) -> None:
        """Bind to the settings' address. Raises OSError."""
        self.witness = Witness(settings, clock)
        self._open: set[socket.socket] = set()
        super().__init__((settings.host, settings.port), _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        """A connection, which is known until it ends."""
        request, address = super().get_request()
        self._open.add(request)
        return request, address

    def shutdown_request(self, request: Any) -> None:
        """End a connection."""
        self._open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Answer nobody any more, over connections that are kept open neither."""
        super().server_close()
        for request in tuple(self._open):
            with suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "diya-witness"
    sys_version = ""
    timeout = IDLE_SECONDS_MAX
    disable_nagle_algorithm = True
    server: WitnessServer

    def do_POST(self) -> None:
        """add-checkpoint."""
        body = self._body()
        if body is None:
            return
        if self.path != "/add-checkpoint":
            self._answer(404, b"only add-checkpoint is served here\n")
            return
        self._say(lambda: self.server.witness.add_checkpoint(body))

    def do_GET(self) -> None:
        """The last checkpoint of a log."""
        self._say(lambda: self.server.witness.checkpoint(self.path.removeprefix("/")))

    def _body(self) -> bytes | None:
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()) or int(length) > REQUEST_BYTES_MAX:
            self.close_connection = True
            self._answer(413 if length else 411, b"a body of known and bounded length is wanted\n")
            return None
        body = self.rfile.read(int(length))
        return body if len(body) == int(length) else None

    def _say(self, work: Callable[[], bytes]) -> None:
        try:
            self._answer(200, work())
        except WitnessRefusal as refusal:
            kind = SIZE_TYPE if refusal.status == 409 else _TEXT
            self._answer(refusal.status, f"{refusal.body}\n".encode(), kind)
        except (StateUnusable, OSError):
            log.exception("not cosigned")
            self._answer(500, b"the witness cannot keep what it sees\n")

    def _answer(self, status: int, body: bytes, kind: str = _TEXT) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing of every request: what was cosigned is logged above."""
