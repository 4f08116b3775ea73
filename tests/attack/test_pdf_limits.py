"""A file that eats memory or time ends its checking process, gets a verdict, and hurts nobody
else.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from signing.checking import CheckLimits, FileChecker
from signing.errors import CheckerUnavailable
from signing.pdf import check_pdf
from signing.seal import append_signature
from signing.trust import Purpose
from tests.support.hostile_files import with_table
from tests.support.long_list import long_list
from tests.support.pdf_files import make_pdf, stream
from tests.support.pki import NOW, sample_pki

MIB = 1024 * 1024
TIGHT = CheckLimits(memory_bytes_max=48 * MIB, cpu_seconds_max=1, wall_seconds_max=30)

MEMORY_HOG = make_pdf(page=b"/X[(stream\n)" + b"0 " * (2 * MIB) + b"(endstream)]")
"""Four MiB of zeros in one array, some hundred times as much in objects, between two strings that make it look like a
payload to whoever measures the text.
"""
TIME_HOG = make_pdf(page=b"/X[(stream\n)<" + b"00" * (8 * MIB) + b">(endstream)]")
"""One hexadecimal string, hidden in the same way, read digit by digit for many seconds, in little memory."""
ROWS_OF_NOTHING = with_table(b"", b"/#57[0 0 0]/Index[0 99999999]")
"""Three hundred bytes whose table claims a hundred million rows of no bytes each, and spells that in another way."""


@pytest_asyncio.fixture
async def checker() -> AsyncIterator[FileChecker]:
    async with FileChecker(sample_pki().trust, now=lambda: NOW, limits=TIGHT) as started:
        yield started


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.pdf"
    path.write_bytes(append_signature(make_pdf(), sample_pki().bank.signer(), reason="x", at=NOW))
    return path


def _write(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "hostile.pdf"
    path.write_bytes(data)
    return path


def _pids(checker: FileChecker) -> set[int]:
    return {worker._process.pid for worker in checker._alive}


async def test_checker_verdict_equals_that_of_the_plain_check(checker: FileChecker, good: Path) -> None:
    """The process changes nothing about the answer, only who dies of it."""
    verdict = await checker.check(good)
    assert verdict == check_pdf(good.read_bytes(), sample_pki().trust, NOW)
    assert verdict.ok


@pytest.mark.parametrize(
    "hostile", [MEMORY_HOG, TIME_HOG, ROWS_OF_NOTHING], ids=["memory", "time", "rows-of-nothing"]
)
async def test_checker_ends_a_hog_and_lives_on(
    checker: FileChecker, good: Path, tmp_path: Path, hostile: bytes
) -> None:
    """Over a limit the file has the problem FILE_CHECK_LIMIT, and the next file is checked as
    ever.
    """
    verdict = await checker.check(_write(tmp_path, hostile))
    assert [problem.code for problem in verdict.problems] == ["FILE_CHECK_LIMIT"]
    assert not verdict.ok
    assert verdict.size_bytes == len(hostile)
    assert len(verdict.sha256) == 64
    assert [(await checker.check(good)).ok for _ in range(4)] == [True] * 4


async def test_thousands_of_objects_in_one_stream_are_read_in_time(
    checker: FileChecker, tmp_path: Path
) -> None:
    """The library reads the stream once for each of them, which for these takes a minute."""
    numbers = range(100, 5100)
    header = b" ".join(b"%d %d" % (number, 2 * place) for place, number in enumerate(numbers))
    entries = b"/Type/ObjStm/N %d/First %d" % (len(numbers), len(header) + 1)
    body = stream(header + b"\n0" * len(numbers), entries)
    named = b"<</X[%b]>>" % b" ".join(b"%d 0 R" % number for number in numbers)
    data = with_table(None, b"", objects={20: named, 10: body}, packed=dict.fromkeys(numbers, 10))
    assert (await checker.check(_write(tmp_path, data))).problems == ()


async def test_checker_serves_others_while_a_hog_runs(
    checker: FileChecker, good: Path, tmp_path: Path
) -> None:
    """One hostile upload takes one process of the pool, not the pool."""
    hog = asyncio.ensure_future(checker.check(_write(tmp_path, TIME_HOG)))
    verdicts = [await checker.check(good) for _ in range(3)]
    assert not hog.done()
    assert all(verdict.ok for verdict in verdicts)
    assert [problem.code for problem in (await hog).problems] == ["FILE_CHECK_LIMIT"]


async def test_checker_wall_limit_ends_what_processor_time_does_not(good: Path, tmp_path: Path) -> None:
    """A process that takes too long by the clock is killed, whatever it waits for."""
    limits = CheckLimits(cpu_seconds_max=60, wall_seconds_max=0.3)
    async with FileChecker(sample_pki().trust, now=lambda: NOW, workers=1, limits=limits) as checker:
        verdict = await checker.check(_write(tmp_path, TIME_HOG))
        assert [problem.code for problem in verdict.problems] == ["FILE_CHECK_LIMIT"]


async def test_checker_survives_processes_killed_from_outside(checker: FileChecker, good: Path) -> None:
    """The kernel may end an idle process at any time: no file is blamed for it."""
    for pid in _pids(checker):
        os.kill(pid, signal.SIGKILL)
    verdicts = [await checker.check(good) for _ in range(4)]
    assert [verdict.problems for verdict in verdicts] == [()] * 4


async def test_checker_judges_by_a_new_trust_store_at_once(checker: FileChecker, good: Path) -> None:
    """A revocation list that arrives now counts for the next file, in every process."""
    await asyncio.gather(*[checker.check(good) for _ in range(4)])
    checker.set_trust(sample_pki().trust_revoking(sample_pki().bank))
    verdicts = await asyncio.gather(*[checker.check(good) for _ in range(4)])
    for verdict in verdicts:
        assert [problem.code for problem in verdict.problems] == ["CERTIFICATE_REVOKED"]


async def test_checker_reads_a_long_revocation_list_outside_the_time_of_a_file(good: Path) -> None:
    """Lists of millions are read once for each process, for as long as a start may take; no file is blamed for it."""
    pki = sample_pki().pki
    issuer = pki.issuing[Purpose.INSTITUTION]
    crl = long_list(issuer, sample_pki().second_bank.certificate.serial, 400_000)
    trust = pki.trust_store([crl])
    limits = CheckLimits(wall_seconds_max=0.6)
    async with FileChecker(trust, now=lambda: NOW, workers=1, limits=limits) as checker:
        assert (await checker.check(good)).problems == ()


async def test_checker_judges_at_the_time_given(checker: FileChecker, good: Path) -> None:
    """A file is judged when its upload completed, not when its turn comes."""
    before = NOW - timedelta(days=1)
    verdict = await checker.check(good, at=before)
    assert verdict.checked_at == before
    assert [problem.code for problem in verdict.problems] == ["CERTIFICATE_NOT_YET_VALID"]


async def test_checker_cancelled_half_way_gives_no_answer_to_the_next(
    checker: FileChecker, good: Path, tmp_path: Path
) -> None:
    """An answer that comes after its question was given up must not become another's answer."""
    hostile = _write(tmp_path, TIME_HOG)
    for _ in range(2):
        task = asyncio.ensure_future(checker.check(hostile))
        done, _ = await asyncio.wait({task}, timeout=0.2)
        assert not done
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert (await checker.check(good)).ok


async def test_checker_replaces_a_process_after_its_share_of_files(good: Path) -> None:
    """What a process gathers in memory over many files ends with it."""
    limits = CheckLimits(files_max=2)
    async with FileChecker(sample_pki().trust, now=lambda: NOW, workers=1, limits=limits) as checker:
        first = _pids(checker)
        for _ in range(3):
            assert (await checker.check(good)).ok
        assert not first & _pids(checker)


async def test_checker_without_the_file_raises_and_keeps_its_processes(
    checker: FileChecker, tmp_path: Path
) -> None:
    """A missing file is the service's own error and no verdict."""
    with pytest.raises(FileNotFoundError):
        await checker.check(tmp_path / "missing.pdf")


async def test_checker_that_is_not_running_says_so(good: Path) -> None:
    """Before start and after close nothing is checked."""
    checker = FileChecker(sample_pki().trust, now=lambda: NOW, workers=1)
    with pytest.raises(CheckerUnavailable):
        await checker.check(good)
    async with checker:
        assert (await checker.check(good)).ok
    with pytest.raises(CheckerUnavailable):
        await checker.check(good)


async def test_checker_closed_while_a_check_runs_raises_and_leaves_no_process(
    tmp_path: Path,
) -> None:
    """Closing waits for nobody's hostile file."""
    checker = FileChecker(sample_pki().trust, now=lambda: NOW, workers=1)
    await checker.start()
    task = asyncio.ensure_future(checker.check(_write(tmp_path, TIME_HOG)))
    await asyncio.wait({task}, timeout=0.2)
    pids = _pids(checker)
    await checker.close()
    with pytest.raises(CheckerUnavailable):
        await task
    for pid in pids:
        assert not Path(f"/proc/{pid}").exists()
