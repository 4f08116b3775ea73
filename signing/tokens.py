"""Keys in a PKCS#11 token, asked through a process of the token's own (`token_worker.py`), each call within a limit.

A maker's module that does not return cannot be stopped from within (a thread in it stays, holds its session, and keeps
the module from being initialised anew, whether or not it lets the interpreter go on meanwhile), and one that crashes
takes its process along. So there is one process a token; what is over the limit is killed, and told as
`SignerUnavailable`, as a token that is gone is. From then on the same piece of work is tried beside, in a process made
anew each time, and whoever asks meanwhile is told at once: a token that hangs costs its callers the limit once. When it
answers, they are asked of it again.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from signing.algorithms import Algorithm, default_algorithm
from signing.certificates import parse_certificate
from signing.errors import PinRefused, SignerUnavailable, SignerUnusable, SigningError
from signing.key_source import TokenKey
from signing.token_protocol import (
    ANSWERS,
    LENGTH_BYTES,
    MESSAGE_BYTES_MAX,
    Answer,
    Ask,
    Done,
    Failed,
    Ready,
    Work,
    frame,
)

if importlib.util.find_spec("pkcs11") is None:
    raise SignerUnusable("keys in a token need the extra `hsm`: pip install 'diya[hsm]'")

log = logging.getLogger(__name__)

#: A process has to be there within this; no token is asked meanwhile.
START_SECONDS_MAX: Final = 30.0

#: A process that was killed is waited for no longer than this: one that hangs in a driver ends when that returns.
END_SECONDS_MAX: Final = 1.0

#: Distance between two tries of a token that hangs, seconds: the first at once, then doubled from one to the other.
RETRY_SECONDS: Final = (1.0, 30.0)

_PACKAGE_ROOT: Final = str(Path(__file__).resolve().parent.parent)
_ERRORS: Final = {one.reason: one for one in (SignerUnusable, SignerUnavailable, PinRefused)}


class TokenSigner:
    """A `signing.signer.Signer` whose private key is in a token. Safe to share between threads, one signs at a time."""

    def __init__(
        self, key: TokenKey, certificates: Sequence[bytes], algorithm: Algorithm | None = None
    ) -> None:
        """Raises `SignerUnusable` without a certificate, `PinRefused`, `SignerUnavailable`."""
        if not certificates:
            raise SignerUnusable("a signer needs at least its own certificate")
        self._algorithm = algorithm or default_algorithm(parse_certificate(certificates[0]).public_key)
        self._certificates = tuple(certificates)
        self._key = key
        _asked(key, Work.FIND, self._algorithm)

    @property
    def certificates(self) -> tuple[bytes, ...]:
        return self._certificates

    @property
    def algorithm(self) -> Algorithm:
        return self._algorithm

    def sign(self, message: bytes) -> bytes:
        """Raises `SignerUnavailable`, `PinRefused`, or `SignerUnusable` where the token has no such key."""
        return _asked(self._key, Work.SIGN, self._algorithm, message)


class TokenEd25519:
    """A token's Ed25519 key with what a signer of checkpoints asks of one: `public_key` and `sign`."""

    def __init__(self, key: TokenKey) -> None:
        """Raises as `TokenSigner`; `SignerUnusable` too where the token does not hold the public key beside it."""
        self._key = key
        _asked(key, Work.FIND, Algorithm.ED25519)
        self._public = Ed25519PublicKey.from_public_bytes(_asked(key, Work.PUBLIC, Algorithm.ED25519))

    def public_key(self) -> Ed25519PublicKey:
        return self._public

    def sign(self, data: bytes) -> bytes:
        return _asked(self._key, Work.SIGN, Algorithm.ED25519, data)


class TokenAES:
    """A token's AES key that seals small secrets: AES-GCM (NIST SP 800-38D) with random nonces."""

    def __init__(self, key: TokenKey) -> None:
        """Raises as `TokenSigner`."""
        self._key = key
        _asked(key, Work.FIND)

    def seal(self, secret: bytes) -> bytes:
        """Nonce (12 bytes) || ciphertext || tag (16 bytes). Raises as `TokenSigner.sign`."""
        return _asked(self._key, Work.SEAL, data=secret)

    def open(self, sealed: bytes) -> bytes:
        """What `seal` sealed. Raises `SignerUnusable` where this key did not, else as `seal`."""
        return _asked(self._key, Work.OPEN, data=sealed)


class _Lost(Exception):
    """A process did not answer; it is ended."""


class _Process:
    """One process and the socket to it."""

    def __init__(self) -> None:
        """Start it, and wait until it is there. Raises _Lost."""
        own, theirs = socket.socketpair()
        paths = os.pathsep.join(dict.fromkeys([_PACKAGE_ROOT, *[one for one in sys.path if one]]))
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "signing.token_worker"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": paths},  # each maker's module reads variables of its own
                start_new_session=True,  # a terminal's interrupt is for the service alone
            )
        except OSError as error:
            own.close()
            raise _Lost(f"its process does not start: {error}") from error
        finally:
            theirs.close()
        self._socket = own
        if not isinstance(self._answer(time.monotonic() + START_SECONDS_MAX, "start"), Ready):
            raise self._ended("its process answers nonsense")

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, ask: Ask, seconds: float) -> Answer:
        """The answer, within so many seconds. Raises _Lost; the process is ended then."""
        until = time.monotonic() + seconds
        try:
            self._socket.settimeout(seconds)
            self._socket.sendall(frame(ask))
        except OSError:
            pass  # what became of it shows in the answer
        return self._answer(until, ask.work)

    def close(self) -> None:
        """End it."""
        self._socket.close()
        self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(END_SECONDS_MAX)

    def _answer(self, until: float, what: str) -> Answer:
        started = time.monotonic()
        try:
            length = int.from_bytes(self._read(LENGTH_BYTES, until), "big")
            if length > MESSAGE_BYTES_MAX:
                raise self._ended("its process answers nonsense")
            return ANSWERS.decode(self._read(length, until))
        except TimeoutError:
            raise self._ended(
                f"did not answer ({what}) within {time.monotonic() - started:.1f} s and was given up"
            ) from None
        except (OSError, EOFError):
            raise self._ended("") from None
        except msgspec.MsgspecError as error:
            raise self._ended("its process answers nonsense") from error

    def _read(self, size: int, until: float) -> bytes:
        data = b""
        while len(data) < size:
            self._socket.settimeout(max(until - time.monotonic(), 0.001))
            more = self._socket.recv(size - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def _ended(self, why: str) -> _Lost:
        """End it; what to raise. Without `why` it has ended by itself."""
        if not why:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(END_SECONDS_MAX)
            why = f"its process ended (status {self._process.returncode})"
        self.close()
        return _Lost(why)


class _Token:
    """One token and its process."""

    def __init__(self) -> None:
        self._lock = (
            Lock()
        )  # one call at a time touches the process: that of who has this, or the one who tries
        self._pid = os.getpid()
        self._process: _Process | None = None
        self._refused: tuple[bytes, ...] = ()
        self._trouble = ""  # why nothing is asked of it now; one thread tries meanwhile
        self._closed = Event()

    def ask(self, key: TokenKey, ask: Ask) -> bytes:
        """Raises SigningError."""
        if os.getpid() != self._pid:  # before the lock, which a fork may have left taken
            raise SignerUnusable("a PKCS#11 token is not used across a fork: start a process of its own")
        with self._lock:
            if self._trouble:
                raise SignerUnavailable(f"{key.place}: {self._trouble}; it is tried again")
            try:
                return self._exchange(key, ask)
            except _Lost as lost:
                self._trouble = str(lost)
                log.error("a token does not answer: %s: %s", key.place, lost)
                Thread(target=self._try_again, args=(key, ask), name="token", daemon=True).start()
                raise SignerUnavailable(f"{key.place}: {lost}") from lost

    def close(self) -> None:
        """End its process, and every try."""
        self._closed.set()
        with self._lock:
            if self._process is not None and not self._trouble:  # else whoever tries ends it
                self._process.close()

    def _exchange(self, key: TokenKey, ask: Ask) -> bytes:
        """Raises _Lost, and what the token's answer says."""
        if (
            self._process is None or not self._process.is_alive()
        ):  # which may have been killed while it was idle
            if self._process is not None:
                self._process.close()
            self._process = _Process()
        try:
            answer = self._process.ask(msgspec.structs.replace(ask, refused=self._refused), key.seconds)
        except _Lost:
            self._process = None
            raise
        if isinstance(answer, Done):
            return answer.value
        assert isinstance(answer, Failed)  # what an Ask is answered by
        self._refused = answer.refused or self._refused
        raise _ERRORS.get(answer.reason, SigningError)(answer.message)

    def _try_again(self, key: TokenKey, ask: Ask) -> None:
        """The piece of work that was given up, until there is an answer to it; that goes to nobody.

        Without the lock, or whoever asks meanwhile would wait for it: while there is trouble, it has the process alone.
        """
        wait = 0.0
        while not self._closed.wait(wait):
            with suppress(_Lost):
                with suppress(SigningError):  # an answer: it is told to whoever asks next
                    self._exchange(key, ask)
                log.info("the token answers again: %s", key.place)
                break
            wait = min(max(2 * wait, RETRY_SECONDS[0]), RETRY_SECONDS[1])
        with self._lock:
            self._trouble = ""
            if self._closed.is_set() and self._process is not None:
                self._process.close()


_tokens: dict[tuple[str, ...], _Token] = {}
_tokens_lock = Lock()


def close_tokens() -> None:
    """End the processes of all tokens, as at the end of this one. Whoever asks then starts them anew."""
    with _tokens_lock:
        for token in _tokens.values():
            token.close()
        _tokens.clear()


def _token_of(key: TokenKey) -> _Token:
    name = (str(key.module), key.token, key.serial, key.manufacturer, key.model)
    with _tokens_lock:
        return _tokens.setdefault(name, _Token())


def _asked(key: TokenKey, work: Work, algorithm: Algorithm | None = None, data: bytes = b"") -> bytes:
    """Raises `SignerUnavailable`, `PinRefused`, `SignerUnusable`."""
    return _token_of(key).ask(key, Ask(key=str(key), work=work, algorithm=algorithm, data=data))
