"""Lists and answers of an authority by `openssl ca` and `openssl ocsp`, in its folder; a responder on loopback.

Everything is as of the real time, which is the only one that these tools know.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from signing.authority import Authority, Credential
from signing.certificates import certificates_to_pem

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")

_CONFIG = """\
[ca]
default_ca = own
[own]
database = index.txt
crlnumber = crlnumber
default_md = sha256
default_crl_days = 1
crl_extensions = crl
[crl]
authorityKeyIdentifier = keyid
"""


class OpensslAuthority:
    """The folder of an authority of ours, with which openssl speaks for it."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        folder.mkdir()
        self.folder = folder
        self.port = _free_port()
        (folder / "ca.pem").write_bytes(certificates_to_pem([authority.der]))
        (folder / "ca.key").write_bytes(authority.credential.key_pem())
        (folder / "ca.cnf").write_text(_CONFIG)
        (folder / "crlnumber").write_text("01\n")
        (folder / "index.txt").write_text("")

    @property
    def url(self) -> str:
        """Where `serving` answers."""
        return f"http://127.0.0.1:{self.port}/ocsp"

    def record(self, *issued: Credential, revoked_at: datetime | None = None) -> None:
        """Write certificates into its database, as good ones or as revoked ones; what was said of them is replaced."""
        path = self.folder / "index.txt"
        lines = path.read_text().splitlines(keepends=True)
        for one in issued:
            certificate = one.certificate
            serial = f"{certificate.serial:X}"
            serial = "0" * (len(serial) % 2) + serial
            lines = [line for line in lines if f"\t{serial}\t" not in line]
            state, since = ("V", "") if revoked_at is None else ("R", f"{revoked_at:%y%m%d%H%M%SZ}")
            ends = f"{certificate.not_after.astimezone(UTC):%y%m%d%H%M%SZ}"
            lines.append(f"{state}\t{ends}\t{since}\t{serial}\tunknown\t/CN=x\n")
        path.write_text("".join(lines))

    def run(self, *words: str | Path, stdin: bytes = b"") -> bytes:
        """openssl in the folder; its output. A failure is the test's."""
        done = subprocess.run(  # our own words
            ["openssl", *map(str, words)],
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def make_crl(self, *options: str) -> bytes:
        """A list of those that are recorded as revoked, by `openssl ca -gencrl`; DER."""
        signing = ("-keyfile", "ca.key", "-cert", "ca.pem", "-config", "ca.cnf")
        self.run("ca", "-gencrl", *signing, "-out", "out.pem", *options)
        return self.run("crl", "-in", "out.pem", "-outform", "DER")

    def answer(self, question: bytes, *options: str, signer: str = "ca") -> bytes:
        """What `openssl ocsp` answers to a question; DER."""
        (self.folder / "question.der").write_bytes(question)
        self.run("ocsp", *self._signing(signer), *options, "-reqin", "question.der", "-respout", "answer.der")
        return (self.folder / "answer.der").read_bytes()

    def delegate(self, credential: Credential, name: str = "delegate") -> str:
        """Let a delegate sign answers; its name for `answer` and `serving`."""
        (self.folder / f"{name}.pem").write_bytes(certificates_to_pem(credential.certificates[:1]))
        (self.folder / f"{name}.key").write_bytes(credential.key_pem())
        return name

    @contextmanager
    def serving(self, *options: str, signer: str = "ca") -> Iterator[None]:
        """A responder, until the block ends. It reads the database once, when it starts."""
        words = ["ocsp", *self._signing(signer), "-port", str(self.port), *options]
        process = subprocess.Popen(
            ["openssl", *words],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        try:
            assert process.stderr is not None
            for line in process.stderr:  # "ACCEPT 0.0.0.0:12345 PID=…", once it listens
                if b"ACCEPT" in line or b"waiting" in line:
                    break
            yield
        finally:
            process.terminate()
            process.wait(10)
            process.stderr.close()  # type: ignore[union-attr]

    def _signing(self, signer: str) -> list[str]:
        return ["-index", "index.txt", "-CA", "ca.pem", "-rsigner", f"{signer}.pem", "-rkey", f"{signer}.key"]


def now() -> datetime:
    """The real time, to the second: what openssl writes."""
    return datetime.now(UTC).replace(microsecond=0)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
