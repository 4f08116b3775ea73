"""Checking an uploaded file: which check a media type gets, and by whose trust it is judged."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Protocol

from gateway.telemetry import metrics
from signing.pdf_source import contains
from signing.trust import TrustStore
from signing.verdict import FileProblem, FileVerdict

PDF: Final = "application/pdf"
OFD: Final = "application/ofd"
JPEG: Final = "image/jpeg"
TIFF: Final = "image/tiff"
XML: Final = "application/xml"
SIGNATURE: Final = "application/pkcs7-signature"
MEDIA_TYPES: Final = (PDF, OFD, JPEG, TIFF, XML, SIGNATURE)

#: Problems that say nothing about the file: uploading it again has it checked again.
NOT_THE_FILES_FAULT: Final = frozenset(
    {"FILE_CHECK_LIMIT", "FILE_CHECK_FAILED", "CERTIFICATE_REVOCATION_UNKNOWN"}
)

#: Problems of a file that are a refused signature's.
SIGNATURE_PROBLEMS: Final = frozenset(
    {
        "FILE_CHANGED_AFTER_SIGNING",
        "FILE_SIGNATURE_FORMAT",
        "FILE_SIGNATURE_COVERAGE",
        "FILE_TIMESTAMP_INVALID",
    }
)

_STARTS: Final = {
    JPEG: ("FILE_NOT_JPEG", "JPEG 图像", "a JPEG image", (b"\xff\xd8\xff",)),
    TIFF: ("FILE_NOT_TIFF", "TIFF 图像", "a TIFF image", (b"II*\0", b"MM\0*")),
    OFD: ("FILE_NOT_OFD", "OFD 文件", "an OFD document", (b"PK\x03\x04",)),
    XML: ("FILE_NOT_XML", "XML 文件", "an XML document", (b"<", b"\xef\xbb\xbf<")),
}
"""What is no document of ours is known by how it begins: code, names, beginnings."""

_SIGNED_INSIDE: Final = {
    OFD: b"Signatures.xml",  # GB/T 33190 section 18: the list of signatures in the package
    XML: b"http://www.w3.org/2000/09/xmldsig#",
}
"""What a file holds that bears signatures of its own kind inside."""


class Checker(Protocol):
    """What checks a PDF: `signing.checking.FileChecker`."""

    async def check(
        self, path: Path, *, at: dt.datetime | None = None, signed: Path | None = None
    ) -> FileVerdict:
        """The verdict on the PDF at `path`, or on the detached signature there over the file at `signed`."""
        ...

    def set_trust(self, trust: TrustStore) -> None:
        """Judge by this store from the next check on."""
        ...


class FileChecks:
    """Checks files of every media type."""

    def __init__(self, checker: Checker) -> None:
        self._checker = checker
        self._turn = _Turn(checker)

    async def check(
        self, path: Path, media_type: str, trust: TrustStore, at: dt.datetime, signed: Path | None = None
    ) -> FileVerdict:
        """The verdict on the file at `path`, by `trust` at `at`; of a detached signature, over the file at `signed`.
        Raises CheckerUnavailable.
        """
        verdict = await self._verdict(path, media_type, trust, at, signed)
        _count(verdict)
        return verdict

    async def _verdict(
        self, path: Path, media_type: str, trust: TrustStore, at: dt.datetime, signed: Path | None
    ) -> FileVerdict:
        if media_type not in (PDF, SIGNATURE):
            return await asyncio.to_thread(_look_at, path, media_type, at)
        async with self._turn.by(trust):
            return await self._checker.check(path, at=at, signed=signed)


def _count(verdict: FileVerdict) -> None:
    """Tell the metrics what the check found: of the file, and of every signature in it."""
    codes = [problem.code for problem in verdict.problems]
    for code in dict.fromkeys(codes) or ("ok",):
        metrics.file_checked(code)
    for signature in verdict.signatures:
        metrics.signature("file", "ok")
        if signature.in_grace:
            metrics.decided_in_grace(signature.anchor[:16])
    for code in codes:
        if code in SIGNATURE_PROBLEMS or not code.startswith("FILE_"):  # the latter are SigningError reasons
            metrics.signature("file", code)


def may_be_judged_again(verdict: FileVerdict) -> bool:
    """Whether the verdict tells of us, our limits or what we could not learn, rather than of the file."""
    return any(problem.code in NOT_THE_FILES_FAULT for problem in verdict.problems)


class _Turn:
    """Lets checks run side by side as long as they judge by the same trust.

    The pool of checking processes has one trust store at a time. Whoever needs another waits, holding the
    gate, until the checks under way are done; the gate is first come, first served, so nobody waits for ever.
    """

    def __init__(self, checker: Checker) -> None:
        self._checker = checker
        self._trust: TrustStore | None = None
        self._gate = asyncio.Lock()
        self._active = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @asynccontextmanager
    async def by(self, trust: TrustStore) -> AsyncIterator[None]:
        """For the length of a check, the pool judges by `trust`."""
        async with self._gate:
            if trust is not self._trust:
                await self._idle.wait()
                self._checker.set_trust(trust)
                self._trust = trust
            self._active += 1
            self._idle.clear()
        try:
            yield
        finally:
            self._active -= 1
            if not self._active:
                self._idle.set()


def _look_at(path: Path, media_type: str, now: dt.datetime) -> FileVerdict:
    """The verdict on a file that is no PDF: it begins as its kind does, and bears no signature that nobody verified.

    Signatures inside OFD and XML are not verified in this version; beside them they are.
    """
    problems: list[FileProblem] = []
    code, zh, en, starts = _STARTS[media_type]
    with path.open("rb") as handle:
        if not handle.read(8).startswith(starts):
            problems.append(FileProblem(code, f"文件不是 {zh}", f"the file is not {en}"))
        elif media_type in _SIGNED_INSIDE and contains(handle, _SIGNED_INSIDE[media_type]):
            problems.append(
                FileProblem(
                    "FILE_KIND_NOT_CHECKED",
                    "本版本不检验 OFD、XML 文件内的签名；请提交 PDF，或者不含内部签名的文件及其分离式签名",
                    "this version does not check signatures inside OFD or XML: send a PDF, or the file without them "
                    "and a detached signature",
                )
            )
    return FileVerdict(
        ok=not problems, problems=tuple(problems), sha256="", size_bytes=path.stat().st_size, checked_at=now
    )
