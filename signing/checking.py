"""Check files in processes that may die: a pool with limits, so that no upload can hurt the
service.

Each process checks one file at a time under limits of address space, processor time and wall time.
One that exceeds them is ended, its file gets a verdict that says so, and another process takes its
place. Processes are started fresh (no fork of this one, which may hold gRPC), warm before the first
file, and replaced after a number of files. The trust store travels to them as data, again whenever
it changes.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Final, Self

import msgspec

from signing.certificates import parse_certificate
from signing.check_protocol import (
    ANSWER_BYTES_MAX,
    ANSWERS,
    EXIT_MEMORY,
    LENGTH_BYTES,
    Answer,
    Checked,
    CheckFile,
    OutOfMemory,
    Ready,
    SetTrust,
    Watched,
    frame,
)
from signing.errors import CheckerUnavailable
from signing.problems import file_problem
from signing.trust import TrustStore, WatchedLink
from signing.verdict import FileVerdict

WORKERS: Final = 2
_PACKAGE_ROOT: Final = str(Path(__file__).resolve().parent.parent)


class _Ended(Enum):
    """How a process ended that gave no verdict."""

    BY_MEMORY = "memory"
    BY_PROCESSOR_TIME = "processor time"
    BY_WALL_TIME = "wall time"
    BY_OTHERS = "killed"
    BY_DEFECT = "defect"


_HOW_ENDED: Final[dict[int | None, _Ended]] = {
    EXIT_MEMORY: _Ended.BY_MEMORY,
    -signal.SIGXCPU: _Ended.BY_PROCESSOR_TIME,
    -signal.SIGKILL: _Ended.BY_OTHERS,
}


@dataclass(frozen=True)
class CheckLimits:
    """What one file may cost.

    memory_bytes_max: address space beyond what a warm process has. cpu_seconds_max: processor time,
    to the second. wall_seconds_max: from request to answer. start_seconds_max: to become ready, at the
    start and for a new trust store. files_max: after so many a process is replaced.
    """

    memory_bytes_max: int = 512 * 1024 * 1024
    cpu_seconds_max: int = 10
    wall_seconds_max: float = 20.0
    start_seconds_max: float = 60.0
    files_max: int = 1000


class FileChecker:
    """A pool of checking processes. `start` before the first `check`, `close` after the last.

    ``async with FileChecker(trust, now=clock) as checker: verdict = await checker.check(path)``
    """

    def __init__(
        self,
        trust: TrustStore,
        *,
        now: Callable[[], datetime],
        workers: int = WORKERS,
        limits: CheckLimits = CheckLimits(),
    ) -> None:
        """now: the service's clock; files are judged at the time when their check begins."""
        self._now = now
        self._limits = limits
        self._size = workers
        self._store = trust.to_bytes()
        self._version = 0
        self._idle: asyncio.Queue[_Worker | None] = asyncio.Queue()
        self._alive: set[_Worker] = set()
        self._replacing: set[asyncio.Task[None]] = set()
        self._running = False
        self.on_judged: Callable[[list[WatchedLink]], None] = _ignore  # links whose status a responder knows

    async def start(self) -> None:
        """Start the processes and wait until they are warm. Raises `CheckerUnavailable`."""
        self._running = True
        for started in await asyncio.gather(
            *[self._start_worker() for _ in range(self._size)], return_exceptions=True
        ):
            if isinstance(started, BaseException):
                await self.close()
                raise started
            self._idle.put_nowait(started)

    async def close(self) -> None:
        """End all processes. Checks that are under way raise `CheckerUnavailable`."""
        self._running = False
        await asyncio.gather(*[worker.end() for worker in list(self._alive)])
        self._alive.clear()
        while self._replacing:  # a process that is just starting ends itself, see _start_replacement
            await asyncio.gather(*self._replacing, return_exceptions=True)
        for _ in range(self._size):
            self._idle.put_nowait(None)  # wake whoever waits for a process

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def set_trust(self, trust: TrustStore) -> None:
        """Judge by this store from the next check on."""
        self._store = trust.to_bytes()
        self._version += 1

    async def check(
        self, path: Path, *, at: datetime | None = None, signed: Path | None = None
    ) -> FileVerdict:
        """The verdict on the PDF at `path`, judged at `at` (default: now), see `pdf.check_pdf`; or, with `signed`,
        on the detached signature there over the file at `signed`, see `cms_file.check_cms`.

        A file that exceeds the limits has the problem FILE_CHECK_LIMIT, one that ends the process
        otherwise FILE_CHECK_FAILED. Raises `OSError` where the file cannot be read, and
        `CheckerUnavailable`, after which the caller may try again.
        """
        size = os.stat(path).st_size  # noqa: PTH116  # one call, no reading
        judged_at = at or self._now()
        request = CheckFile(
            path=str(path),
            at=judged_at,
            memory_bytes_max=self._limits.memory_bytes_max,
            cpu_seconds_max=self._limits.cpu_seconds_max,
            signed="" if signed is None else str(signed),
        )
        outcome = await self._ask(request)
        for _ in range(self._size):
            # Whoever killed this process, perhaps idle and perhaps all of the pool, it need not have
            # been for the file: every process may be found dead once before the file is blamed.
            if outcome is _Ended.BY_OTHERS:
                outcome = await self._ask(request)
        if isinstance(outcome, FileVerdict):
            return outcome
        code = "FILE_CHECK_FAILED" if outcome is _Ended.BY_DEFECT else "FILE_CHECK_LIMIT"
        return FileVerdict(
            ok=False,
            problems=(file_problem(code, outcome.value),),
            sha256=await asyncio.to_thread(_digest, path),
            size_bytes=size,
            checked_at=judged_at,
        )

    async def _ask(self, request: CheckFile) -> FileVerdict | _Ended:
        """The verdict of one process, or how that process ended; it is replaced then."""
        worker = await self._take()
        try:
            if worker.version != self._version:
                version = self._version
                await worker.send(SetTrust(self._store))
                async with asyncio.timeout(self._limits.start_seconds_max):
                    await worker.receive()  # a list of a million entries takes longer than any file may
                worker.version = version
            await worker.send(request)
            async with asyncio.timeout(self._limits.wall_seconds_max):
                answer = await worker.receive()
        except TimeoutError:
            await self._discard(worker)
            return _Ended.BY_WALL_TIME
        except (OSError, EOFError, msgspec.DecodeError):
            status = await self._discard(worker)
            if not self._running:
                raise CheckerUnavailable("the file checker was closed during a check") from None
            return _HOW_ENDED.get(status, _Ended.BY_DEFECT)
        except BaseException:
            # Cancelled half way: an answer may still come, so this process serves nobody any more.
            worker.kill()
            self._replace(worker)
            raise
        if isinstance(answer, Checked):
            worker.files += 1
            if answer.watched:
                self.on_judged([_link_of(one) for one in answer.watched])
            if worker.files < self._limits.files_max:
                self._idle.put_nowait(worker)
            else:
                await self._discard(worker)
            return answer.verdict
        await self._discard(worker)
        return _Ended.BY_MEMORY if isinstance(answer, OutOfMemory) else _Ended.BY_DEFECT

    async def _take(self) -> _Worker:
        if not self._running:
            raise CheckerUnavailable("the file checker is not running: call start first")
        worker = await self._idle.get()
        if not self._running:
            raise CheckerUnavailable("the file checker was closed")
        if worker is not None and worker.is_alive():
            return worker
        if worker is not None:
            await worker.end()
            self._alive.discard(worker)
        try:
            return await self._start_worker()
        except BaseException:
            self._idle.put_nowait(None)
            raise

    async def _discard(self, worker: _Worker) -> int | None:
        """End the process and start another behind the back of the caller; its exit status."""
        status = await worker.end()
        self._replace(worker)
        return status

    def _replace(self, worker: _Worker) -> None:
        task = asyncio.ensure_future(self._start_replacement(worker))
        self._replacing.add(task)
        task.add_done_callback(self._replacing.discard)

    async def _start_replacement(self, old: _Worker) -> None:
        started: _Worker | None = None
        try:
            await old.end()
            self._alive.discard(old)
            if self._running:
                with contextlib.suppress(CheckerUnavailable):
                    started = await self._start_worker()
            if started is not None and not self._running:
                await started.end()
                self._alive.discard(started)
        finally:
            self._idle.put_nowait(started)  # None: whoever takes it tries again

    async def _start_worker(self) -> _Worker:
        worker = await _Worker.start(self._limits.start_seconds_max)
        self._alive.add(worker)
        return worker


class _Worker:
    """One process and its pipes."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.version = -1
        self.files = 0

    @classmethod
    async def start(cls, seconds_max: float) -> _Worker:
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "signing.check_worker",
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
                env=_environment(),
                start_new_session=True,  # a terminal's interrupt is for the service alone
            )
        except OSError as error:
            raise CheckerUnavailable(f"cannot start a checking process: {error}") from error
        worker = cls(process)
        try:
            async with asyncio.timeout(seconds_max):
                answer = await worker.receive()
            if not isinstance(answer, Ready):
                raise EOFError
        except (TimeoutError, OSError, EOFError, msgspec.DecodeError) as error:
            status = await worker.end()
            raise CheckerUnavailable(f"a checking process did not become ready (status {status})") from error
        except BaseException:
            await asyncio.shield(worker.end())
            raise
        return worker

    def is_alive(self) -> bool:
        return self._process.returncode is None

    async def send(self, request: SetTrust | CheckFile) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(frame(request))
        await self._process.stdin.drain()

    async def receive(self) -> Answer:
        """The next answer. Raises `EOFError` where the process ended, `DecodeError` on nonsense."""
        assert self._process.stdout is not None
        length = int.from_bytes(await self._process.stdout.readexactly(LENGTH_BYTES), "big")
        if length > ANSWER_BYTES_MAX:
            raise msgspec.DecodeError("answer over the limit")
        return ANSWERS.decode(await self._process.stdout.readexactly(length))

    def kill(self) -> None:
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                # Not Process.kill, which reaps: whoever waits would be told 255 (python/cpython#87744).
                os.kill(self._process.pid, signal.SIGKILL)

    async def end(self) -> int | None:
        """Kill it unless it has ended, and wait for its status."""
        assert self._process.stdout is not None
        if self._process.stdout.at_eof():
            # It closed its end itself: let its own status be seen, not that of our signal.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._process.wait()
        self.kill()
        if self._process.stdin is not None:
            self._process.stdin.close()
        return await self._process.wait()


def _ignore(_links: list[WatchedLink]) -> None:
    pass


def _link_of(told: Watched) -> WatchedLink:
    return WatchedLink(
        told.purpose, told.anchor, parse_certificate(told.subject), parse_certificate(told.issuer)
    )


def _environment() -> dict[str, str]:
    """No more than the interpreter needs; the service's settings and secrets stay here."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    paths = [_PACKAGE_ROOT, *[one for one in sys.path if one]]
    return {**kept, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)), "LC_ALL": "C.UTF-8"}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
