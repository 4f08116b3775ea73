"""Checking an uploaded file: which check a media type gets, and by whose trust it is judged."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Protocol

from gateway.telemetry import metrics
from signing.trust import TrustStore
from signing.verdict import PdfProblem, PdfVerdict

PDF: Final = "application/pdf"
OFD: Final = "application/ofd"
JPEG: Final = "image/jpeg"

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

_JPEG_START: Final = b"\xff\xd8\xff"


class Checker(Protocol):
    """What checks a PDF: `signing.checking.FileChecker`."""

    async def check(self, path: Path, *, at: dt.datetime | None = None) -> PdfVerdict:
        """The verdict on the file at `path`."""
        ...

    def set_trust(self, trust: TrustStore) -> None:
        """Judge by this store from the next check on."""
        ...


class FileChecks:
    """Checks files of every media type."""

    def __init__(self, checker: Checker) -> None:
        self._checker = checker
        self._turn = _Turn(checker)

    async def check(self, path: Path, media_type: str, trust: TrustStore, at: dt.datetime) -> PdfVerdict:
        """The verdict on the file at `path`, by `trust` at `at`. Raises CheckerUnavailable."""
        verdict = await self._verdict(path, media_type, trust, at)
        _count(verdict)
        return verdict

    async def _verdict(self, path: Path, media_type: str, trust: TrustStore, at: dt.datetime) -> PdfVerdict:
        if media_type != PDF:
            return await asyncio.to_thread(_look_at, path, media_type, at)
        async with self._turn.by(trust):
            return await self._checker.check(path, at=at)


def _count(verdict: PdfVerdict) -> None:
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


def may_be_judged_again(verdict: PdfVerdict) -> bool:
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


def _look_at(path: Path, media_type: str, now: dt.datetime) -> PdfVerdict:
    """The verdict on a file that is no PDF: an image is one, or not; OFD is kept and not judged."""
    problems: tuple[PdfProblem, ...] = ()
    with path.open("rb") as handle:
        start = handle.read(len(_JPEG_START))
    if media_type == JPEG and start != _JPEG_START:
        problems = (PdfProblem("FILE_NOT_JPEG", "文件不是 JPEG 图像", "the file is not a JPEG image"),)
    if media_type == OFD:
        problems = (
            PdfProblem(
                "FILE_KIND_NOT_CHECKED",
                "本版本不检验 OFD 文件的签名；请提交 PDF",
                "this version does not check signatures in OFD: send a PDF",
            ),
        )
    return PdfVerdict(
        ok=not problems, problems=problems, sha256="", size_bytes=path.stat().st_size, checked_at=now
    )
