"""A module that never returns, crashes, or is stopped: the call is given up within its limit, its process is ended, and
the token is asked again as soon as it answers.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from threading import Thread

import pytest

from signing.algorithms import Algorithm
from signing.errors import PinRefused, SignerUnavailable
from signing.key_source import open_signer, parse_key_source
from signing.signer import Signer
from signing.token_protocol import ANSWERS, LENGTH_BYTES, Ask, Ready, Work, frame
from tests.fault.test_tokens import MESSAGE, holds, log_in_by_hand, seal
from tests.support.hanging import (
    Trouble,
    is_gone,
    kill_process_of_token,
    needs_compiler,
    process_of_next_try,
    process_of_token,
    shim_module,
    trouble,
)
from tests.support.tokens import PIN, needs_softhsm, tokens

__all__ = ["shim_module", "tokens", "trouble"]  # fixtures

pytestmark = [needs_softhsm, needs_compiler]


@pytest.fixture
def made(trouble: Trouble) -> Signer:
    """The seal in the token, which has signed once."""
    trouble.tokens.put(seal().private_key, "seal", 1)
    return open_signer(parse_key_source(trouble.setting("seal")), seal().chain_pem())


def signs_again(made: Signer) -> bool:
    """Whether it signs in the end; the test's own limit is that of the waiting."""
    while True:
        try:
            return holds(made)
        except SignerUnavailable:
            os.sched_yield()


def test_call_that_hangs_is_given_up_and_the_token_asked_again(made: Signer, trouble: Trouble) -> None:
    """Told with the limit; its process is gone, not left; whoever asks meanwhile is told at once; then it signs."""
    stuck = process_of_token()
    trouble.hang()
    with pytest.raises(SignerUnavailable, match=r"object=seal: did not answer \(sign\) within 2\.\d s"):
        made.sign(MESSAGE)
    assert is_gone(stuck)
    for _ in range(1000):  # by the limit each they would take the test's time twenty times over
        with pytest.raises(SignerUnavailable, match="it is tried again"):
            made.sign(MESSAGE)
    trouble.end()
    assert signs_again(made)


def test_who_waits_for_a_token_that_hangs_is_told_with_the_first(made: Signer, trouble: Trouble) -> None:
    """A hundred threads wait for one limit, not for one after the other."""
    trouble.hang()
    told: list[str] = []

    def ask() -> None:
        try:
            made.sign(MESSAGE)
        except SignerUnavailable as error:
            told.append(error.message)

    threads = [Thread(target=ask) for _ in range(100)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(told) == 100
    trouble.end()
    assert signs_again(made)


def test_who_asks_while_the_token_is_tried_again_does_not_wait_for_that(
    made: Signer, trouble: Trouble
) -> None:
    """Told while the process of the next try still hangs, not when that was given up too."""
    first = process_of_token()
    trouble.hang()
    with pytest.raises(SignerUnavailable, match="did not answer"):
        made.sign(MESSAGE)
    while (tried := process_of_next_try()) in (None, first):
        os.sched_yield()
    assert tried is not None
    with pytest.raises(SignerUnavailable, match="it is tried again"):
        made.sign(MESSAGE)
    assert not is_gone(tried)
    trouble.end()
    assert signs_again(made)


def test_module_that_crashes_ends_its_own_process_alone(made: Signer, trouble: Trouble) -> None:
    """The signal is told; this process goes on."""
    trouble.crash()
    with pytest.raises(SignerUnavailable, match=rf"its process ended \(status -{signal.SIGSEGV.value}\)"):
        made.sign(MESSAGE)
    trouble.end()
    assert signs_again(made)


def test_process_that_is_stopped_is_given_up_too(made: Signer) -> None:
    """As one that hangs in a driver, in which no alarm of its own reaches it."""
    stopped = process_of_token()
    os.kill(stopped, signal.SIGSTOP)
    with pytest.raises(SignerUnavailable, match="did not answer"):
        made.sign(MESSAGE)
    assert is_gone(stopped)
    assert signs_again(made)


def test_process_that_was_killed_while_idle_is_missed_by_nobody(made: Signer) -> None:
    """The next call has another one."""
    killed = kill_process_of_token()
    assert holds(made)
    assert process_of_token() != killed


def test_refused_pin_is_not_tried_by_a_process_made_anew(made: Signer, trouble: Trouble) -> None:
    """What was refused is remembered by whoever asks: the token's own flag is cleared here, by a login by hand."""
    del made
    trouble.tokens.start_anew()
    trouble.tokens.set_pin("9999")
    source = parse_key_source(trouble.setting("seal"))
    with pytest.raises(PinRefused, match="tried once"):
        open_signer(source, seal().chain_pem())
    log_in_by_hand(trouble.tokens)
    kill_process_of_token()
    with pytest.raises(PinRefused, match="was refused and is not tried again"):
        open_signer(source, seal().chain_pem())
    trouble.tokens.set_pin(PIN)
    assert holds(open_signer(source, seal().chain_pem()))


def test_process_whose_asker_is_gone_does_not_hang_for_ever(made: Signer, trouble: Trouble) -> None:
    """The kernel ends it: a module that hangs may hold the interpreter, and nobody is there to kill it."""
    del made
    trouble.hang()
    own, theirs = socket.socketpair()
    with own, theirs:
        worker = subprocess.Popen([sys.executable, "-m", "signing.token_worker"], stdin=theirs.fileno())
        length = int.from_bytes(own.recv(LENGTH_BYTES, socket.MSG_WAITALL), "big")
        assert isinstance(ANSWERS.decode(own.recv(length, socket.MSG_WAITALL)), Ready)
        key = trouble.setting("seal", seconds=0.5)
        own.sendall(frame(Ask(key=key, work=Work.SIGN, algorithm=Algorithm.ECDSA_P256_SHA256, data=MESSAGE)))
    assert worker.wait() == -signal.SIGALRM
