"""The process that parses hostile files: `python -m signing.check_worker`, spoken to over its
pipes.

Limits are set anew before each file: address space above what the process already uses, and
processor seconds above what it already spent. Over the first a `MemoryError` is reported and the
process ends; over the second the kernel ends it. Wall time is watched by the parent, who also may
kill it. It writes no files, opens no connections, and logs nothing, for what it reads is personal.
"""

from __future__ import annotations

import logging
import os
import resource
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final

from signing.check_protocol import (
    EXIT_MEMORY,
    LENGTH_BYTES,
    REQUEST_BYTES_MAX,
    REQUESTS,
    Answer,
    Checked,
    CheckFile,
    OutOfMemory,
    Ready,
    SetTrust,
    Watched,
    frame,
)
from signing.cms import SIGNATURE_BYTES_MAX
from signing.cms_file import check_cms
from signing.cms_verify import Content
from signing.pdf import check_pdf, check_source
from signing.pdf_source import blocks, size_of, source_of
from signing.trust import TrustStore
from signing.verdict import FileVerdict

_WARM_TIME: Final = datetime(2026, 1, 1, tzinfo=UTC)


def main() -> int:
    """Answer requests until the input ends. The exit status is 0 then, `EXIT_MEMORY` after running
    out.
    """
    logging.disable(logging.CRITICAL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    trust, told = TrustStore({}), set[str]()
    check_pdf(_warm_file(), trust, _WARM_TIME)
    _answer(sink, Ready())
    while (body := _read_frame(source)) is not None:
        request = REQUESTS.decode(body)
        if isinstance(request, SetTrust):
            trust, told = TrustStore.from_bytes(request.store), set()
            _answer(sink, Ready())
            continue
        try:
            verdict = _check(request, trust)
        except MemoryError:
            _lift_limits()
            _answer(sink, OutOfMemory())
            return EXIT_MEMORY
        links = [one for one in trust.watched() if one.subject.fingerprint not in told]
        told |= {one.subject.fingerprint for one in links}
        watched = (Watched(one.purpose, one.anchor, one.subject.der, one.issuer.der) for one in links)
        _answer(sink, Checked(verdict, tuple(watched)))
    return 0


def _check(request: CheckFile, trust: TrustStore) -> FileVerdict:
    """How large a file may be is for the service that received it to say: it comes whole, whatever its size."""
    if request.signed:
        return _check_beside(request, trust)
    with Path(request.path).open("rb") as file:
        source = source_of(file)
        _set_limits(request)  # after mapping: the limit is on what the check takes beside the file
        try:
            return check_source(source, trust, request.at, bytes_max=size_of(source))
        finally:
            _lift_limits()


def _check_beside(request: CheckFile, trust: TrustStore) -> FileVerdict:
    """A signature file is small: what is over the limit is refused by its first bytes."""
    with Path(request.path).open("rb") as file, Path(request.signed).open("rb") as signed:
        _set_limits(request)
        try:
            data = file.read(SIGNATURE_BYTES_MAX + 1)
            return check_cms(data, Content(lambda: blocks(signed)), trust, request.at)
        finally:
            _lift_limits()


def _set_limits(request: CheckFile) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    used = pages * os.sysconf("SC_PAGE_SIZE")
    _soft(resource.RLIMIT_AS, used + request.memory_bytes_max)
    spent = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(spent.ru_utime + spent.ru_stime) + 1 + request.cpu_seconds_max
    _soft(resource.RLIMIT_CPU, seconds)


def _lift_limits() -> None:
    for which in (resource.RLIMIT_AS, resource.RLIMIT_CPU):
        _soft(which, resource.getrlimit(which)[1])


def _soft(which: int, value: int) -> None:
    hard = resource.getrlimit(which)[1]
    if hard != resource.RLIM_INFINITY and (value == resource.RLIM_INFINITY or value > hard):
        value = hard
    resource.setrlimit(which, (value, hard))


def _warm_file() -> bytes:
    """A PDF of one empty page, so that everything the first file needs is loaded."""
    objects = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count 1/Kids[3 0 R]>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Resources<<>>>>",
    )
    data = b"%PDF-1.7\n"
    table = b"0000000000 65535 f \n"
    for number, body in enumerate(objects, start=1):
        table += b"%010d 00000 n \n" % len(data)
        data += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    end = b"trailer\n<</Size 4/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % len(data)
    return data + b"xref\n0 4\n" + table + end


def _read_frame(source: BinaryIO) -> bytes | None:
    """The next message, or None where the parent has closed the pipe or died."""
    head = source.read(LENGTH_BYTES)
    if len(head) < LENGTH_BYTES:
        return None
    length = int.from_bytes(head, "big")
    if length > REQUEST_BYTES_MAX:
        return None
    body = source.read(length)
    return body if len(body) == length else None


def _answer(sink: BinaryIO, answer: Answer) -> None:
    sink.write(frame(answer))
    sink.flush()


if __name__ == "__main__":
    sys.exit(main())
