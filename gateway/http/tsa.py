"""The HTTP side of the time stamp authority for development (`diya tsa serve`), with the standard library alone."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from gateway.http.timestamp_client import REQUEST_TYPE, RESPONSE_TYPE
from signing.timestamp_authority import REQUEST_BYTES_MAX, TimestampAuthority

#: A connection that says nothing for so long is closed.
IDLE_SECONDS_MAX: Final = 10.0


class TimestampServer(ThreadingHTTPServer):
    """Serves an authority; `serve_forever`, `shutdown`, `server_port` as in the standard library."""

    daemon_threads = True

    def __init__(self, authority: TimestampAuthority, host: str, port: int) -> None:
        """Bind to an address; port 0 takes a free one. Raises OSError."""
        self.authority = authority
        super().__init__((host, port), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server_version = "diya-tsa"
    sys_version = ""
    timeout = IDLE_SECONDS_MAX
    server: TimestampServer

    def do_POST(self) -> None:
        """One TimeStampReq, one TimeStampResp; a refusal is a TimeStampResp too (RFC 3161 section 3.4)."""
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()) or int(length) > REQUEST_BYTES_MAX:
            self.send_error(413 if length else 411)
            return
        if self.headers.get_content_type() != REQUEST_TYPE:
            self.send_error(415)
            return
        answer = self.server.authority.answer(self.rfile.read(int(length)))
        self.send_response(200)
        self.send_header("Content-Type", RESPONSE_TYPE)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing of every request."""
