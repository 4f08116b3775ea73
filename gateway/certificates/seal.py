"""Make sealed certificates in worker processes, off the server's event loop.

Workers are fresh processes (no fork of this one, which may hold gRPC), warm before the first order. A worker
that dies or hangs is replaced, and its order is made once more by another: making is idempotent, for number,
content and proof were fixed before. Two makings differ in bytes; the caller keeps one.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Final, Self

import msgspec

from gateway.certificates.proof import LedgerProof
from gateway.certificates.seal_protocol import (
    ANSWERS,
    LENGTH_BYTES,
    MESSAGE_BYTES_MAX,
    Answer,
    Configure,
    Failed,
    Make,
    Ready,
    Request,
    Sealed,
    SealKey,
    Sign,
    Signed,
    Stamp,
    frame,
)
from signing.key_source import TokenKey, parse_key_source
from signing.trust import TrustStore

START_SECONDS_MAX: Final = 60.0
MAKE_SECONDS_MAX: Final = 30.0
END_SECONDS_MAX: Final = 1.0
ATTEMPTS: Final = 2
CERTIFICATES_PER_WORKER_MAX: Final = 10_000
"""Then a fresh process takes over, whatever the libraries below have piled up."""

_PACKAGE_ROOT: Final = str(Path(__file__).resolve().parents[2])


class SealerError(Exception):
    """No sealed certificate came out; the order can be given again."""

    reason: ClassVar[str] = "SEALER_UNAVAILABLE"
    retryable: ClassVar[bool] = True


class SealingRefusedError(SealerError):
    """The worker refused the order: giving it again without a change gives the same answer.

    `cause` is the reason of the refusal, such as CERTIFICATE_SELF_CHECK or SEAL_UNKNOWN.
    """

    reason = "SEALING_REFUSED"
    retryable = False

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(f"{cause}: {message}")
        self.cause = cause


class CertificateSealer:
    """A pool of sealing processes. `start` before the first `make`, `close` after the last.

    ``async with CertificateSealer(...) as sealer: pdf = await sealer.make(content, proof, at=now)``
    """

    def __init__(
        self,
        seals: Mapping[str, tuple[SealKey, ...]],
        *,
        trust: TrustStore,
        vkeys: Mapping[str, Sequence[str]],
        verification_url: str,
        workers: int = 1,
    ) -> None:
        """`seals` by registry id, the international one first; `vkeys` by origin of the log; `verification_url` goes
        into the QR code.
        """
        self._settings = _settings(seals, trust, vkeys, verification_url)
        self._environment = _environment(key for keys in seals.values() for key in keys)
        self._version = 0
        self._size = workers
        self._idle: asyncio.Queue[_Worker | None] = asyncio.Queue()
        self._alive: set[_Worker] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self._running = False

    async def start(self) -> None:
        """Start the processes and wait until they are warm and hold their keys. Raises SealerError."""
        self._running = True
        try:
            for worker in await asyncio.gather(*[self._start_worker() for _ in range(self._size)]):
                self._idle.put_nowait(worker)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """End all processes. Orders that are under way raise SealerError."""
        self._running = False
        for worker in list(self._alive):
            self._retire(worker)
        await asyncio.gather(*self._ending)
        for _ in range(self._size):
            self._idle.put_nowait(None)  # wake whoever waits for a process

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def configure(
        self,
        seals: Mapping[str, tuple[SealKey, ...]],
        *,
        trust: TrustStore,
        vkeys: Mapping[str, Sequence[str]],
        verification_url: str,
    ) -> None:
        """Work with these settings from the next order on: a new registry, seal or revocation list."""
        self._settings = _settings(seals, trust, vkeys, verification_url)
        self._environment = _environment(key for keys in seals.values() for key in keys)
        self._version += 1

    async def make(self, content: bytes, proof: LedgerProof, *, at: dt.datetime) -> bytes:
        """The sealed PDF/A-3 of `content` (`encode_content` bytes), verified by the worker at `at` (aware).

        Raises SealingRefusedError with the worker's reason; SealerError where two workers in a row failed.
        """
        return (await self.seal(content, proof, at=at)).pdf

    async def seal(
        self,
        content: bytes,
        proof: LedgerProof,
        *,
        at: dt.datetime,
        stamp_room: bool = False,
        begun: bytes = b"",
    ) -> Sealed:
        """As `make`, with the keys that seal; if asked, one seal at a time, with room for a time stamp over the
        `signature` given. `begun`: the former answer's file with its stamp, while that was not `whole`.
        """
        order = Make(content=content, proof=proof, at=at, stamp_room=stamp_room, begun=begun)
        return await self._sealed(order)

    async def stamp(self, pdf: bytes, token: bytes, *, at: dt.datetime) -> bytes:
        """What `seal` made with room, with its time stamp, checked by the worker at `at`. Raises as `make`."""
        return (await self._sealed(Stamp(pdf=pdf, token=token, at=at))).pdf

    async def _sealed(self, order: Make | Stamp) -> Sealed:
        answer = await self._answer(order)
        assert isinstance(answer, Sealed)  # what both are answered by
        return answer

    async def sign(self, registry: str, payload_type: str, payload: bytes, *, at: dt.datetime) -> bytes:
        """A statement in a DSSE envelope (JSON), signed with the registry's seals. Raises as `make`."""
        order = Sign(registry=registry, payload_type=payload_type, payload=payload, at=at)
        answer = await self._answer(order)
        assert isinstance(answer, Signed)  # what a Sign is answered by
        return answer.envelope

    async def _answer(self, order: Make | Stamp | Sign) -> Answer:
        """The answer to an order that is not a refusal."""
        for _ in range(ATTEMPTS):
            answer = await self._ask(order)
            if isinstance(answer, Failed):
                raise SealingRefusedError(answer.reason, answer.message)
            if answer is not None:
                return answer
        raise SealerError(
            f"{ATTEMPTS} sealing processes in a row ended or hung; look at the machine, try again"
        )

    async def _ask(self, order: Make | Stamp | Sign) -> Answer | None:
        """One order to one worker; None where the worker was lost."""
        worker = await self._take()
        try:
            async with asyncio.timeout(MAKE_SECONDS_MAX):
                answer = await worker.ask(order)
        except (OSError, EOFError, TimeoutError, msgspec.MsgspecError):
            self._give_up(worker)
            if not self._running:
                raise SealerError("the sealer was closed during an order") from None
            return None
        except BaseException:
            # Cancelled half way: an answer may still come, so this process serves nobody any more.
            self._give_up(worker)
            raise
        worker.made += 1
        if worker.made >= CERTIFICATES_PER_WORKER_MAX:
            self._give_up(worker)
        else:
            self._idle.put_nowait(worker)
        return answer

    async def _take(self) -> _Worker:
        self._check_running()
        worker = await self._idle.get()
        if not self._running:
            self._idle.put_nowait(None)  # the next who waits
        self._check_running()
        if worker is not None and not (worker.is_alive() and worker.environment == self._environment):
            self._retire(worker)
            worker = None
        try:
            if worker is None:
                return await self._start_worker()
            if worker.version != self._version:
                await self._configure(worker)
            return worker
        except BaseException:
            if worker is not None:
                self._retire(worker)
            self._idle.put_nowait(None)  # whoever takes it tries again
            raise

    def _check_running(self) -> None:
        if not self._running:
            raise SealerError("the sealer is not running: call start first, and not after close")

    async def _start_worker(self) -> _Worker:
        worker = await _Worker.start(self._environment)
        self._alive.add(worker)
        try:
            await self._configure(worker)
        except BaseException:
            self._retire(worker)
            raise
        return worker

    async def _configure(self, worker: _Worker) -> None:
        version = self._version
        try:
            async with asyncio.timeout(START_SECONDS_MAX):
                answer = await worker.ask(self._settings)
        except (OSError, EOFError, TimeoutError, msgspec.MsgspecError) as error:
            raise SealerError(f"a sealing process did not become ready: {error!r}") from error
        if isinstance(answer, Failed):
            raise SealingRefusedError(answer.reason, answer.message)
        if not isinstance(answer, Ready):
            raise SealerError("a sealing process did not become ready")
        worker.version = version

    def _give_up(self, worker: _Worker) -> None:
        """End a worker; its place is free for another."""
        self._retire(worker)
        self._idle.put_nowait(None)

    def _retire(self, worker: _Worker) -> None:
        """End a worker behind the back of the caller, who may be cancelled."""
        if worker in self._alive:
            self._alive.discard(worker)
            task = asyncio.ensure_future(worker.end())
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)


class _Worker:
    """One process and its pipes."""

    def __init__(self, process: Process, environment: Mapping[str, str]) -> None:
        self._process = process
        self.environment = environment
        self.version = -1
        self.made = 0

    @classmethod
    async def start(cls, environment: Mapping[str, str]) -> _Worker:
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "gateway.certificates.seal_worker",
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
                env=environment,
                start_new_session=True,  # a terminal's interrupt is for the service alone
            )
        except OSError as error:
            raise SealerError(f"cannot start a sealing process: {error}") from error
        return cls(process, environment)

    def is_alive(self) -> bool:
        return self._process.returncode is None

    async def ask(self, request: Request) -> Answer:
        """Send and wait for the answer. Raises EOFError (IncompleteReadError) where the process ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(frame(request))
        await self._process.stdin.drain()
        length = int.from_bytes(await self._process.stdout.readexactly(LENGTH_BYTES), "big")
        if length > MESSAGE_BYTES_MAX:
            raise EOFError("answer over the limit")
        return ANSWERS.decode(await self._process.stdout.readexactly(length))

    def kill(self) -> None:
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                # Not Process.kill, which reaps: whoever waits would be told 255 (python/cpython#87744).
                os.kill(self._process.pid, signal.SIGKILL)

    async def end(self) -> None:
        """Kill it unless it has ended, and wait for it."""
        assert self._process.stdout is not None
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self._process.stdout.at_eof():  # it is ending by itself: no signal to a process that is gone
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(END_SECONDS_MAX):
                    await self._process.wait()
        self.kill()
        await self._process.wait()


def _settings(
    seals: Mapping[str, tuple[SealKey, ...]],
    trust: TrustStore,
    vkeys: Mapping[str, Sequence[str]],
    verification_url: str,
) -> Configure:
    return Configure(
        seals=dict(seals),
        trust=trust.to_bytes(),
        vkeys={name: tuple(keys) for name, keys in vkeys.items()},
        verification_url=verification_url,
    )


def _environment(seals: Iterable[SealKey]) -> dict[str, str]:
    """What the interpreter needs, and what opens the seals' keys; settings and other secrets stay here."""
    names = {"PATH", "LD_LIBRARY_PATH"}
    for seal in seals:
        source = parse_key_source(seal.key)
        if source.pin is not None and source.pin.kind != "file":
            names.add(source.pin.name if source.pin.kind == "env" else "CREDENTIALS_DIRECTORY")
        if isinstance(source, TokenKey):  # each maker's module reads variables of its own
            names |= {name for name in os.environ if not name.startswith("DIYA_")}
    kept = {name: os.environ[name] for name in names if name in os.environ}
    paths = [_PACKAGE_ROOT, *[one for one in sys.path if one]]
    return {**kept, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)), "LC_ALL": "C.UTF-8"}
