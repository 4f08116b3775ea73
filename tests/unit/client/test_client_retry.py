"""Retries: only where marked, with growing delays, and never with other bytes."""

from __future__ import annotations

import pytest
from google.rpc import code_pb2

from gateway.client.client import DiyaClient
from gateway.client.errors import Malformed, Overloaded, RequestError
from gateway.client.retry import NO_RETRY, RetryPolicy, retrying
from gateway.client.status import error_of_status
from gateway.pb.diya.v1.registration_service_pb2_grpc import (
    add_RegistrationServiceServicer_to_server,
)
from tests.unit.client.fake_gateway import OVERLOADED, FakeRegistration, refusal
from tests.unit.client.sample_case import Naps, serving, session_on, signed
from tests.unit.client.sample_ledger import SampleLedger


def error(seconds: float | None) -> RequestError:
    """An overload with, or without, a delay."""
    return error_of_status(refusal(code_pb2.RESOURCE_EXHAUSTED, "OVERLOADED", retry_seconds=seconds))


def test_wait_grows_exponentially_up_to_its_ceiling() -> None:
    """Each wait's ceiling doubles, and the gateway's own delay is always added."""
    policy = RetryPolicy(attempts=9, delay=1, factor=2, delay_max=5)
    waits = [policy.wait_before(n, error(0.5), lambda: 1.0) for n in range(2, 7)]
    assert waits == [1.5, 2.5, 4.5, 5.5, 5.5]


def test_wait_jitter_never_undercuts_what_was_asked() -> None:
    """With the smallest jitter the wait is what the gateway asked for."""
    assert RetryPolicy().wait_before(2, error(0.5), lambda: 0.0) == 0.5


@pytest.mark.parametrize(
    ("attempt", "seconds"), [(4, 0.1), (2, None), (2, 3600.0)], ids=["spent", "unmarked", "quota"]
)
def test_wait_is_refused(attempt: int, seconds: float | None) -> None:
    """No further call when attempts are spent, when nothing is marked, when the delay is too
    long.
    """
    policy = RetryPolicy(attempts=3, patience=30)
    assert policy.wait_before(attempt, error(seconds), lambda: 1.0) is None


async def test_retrying_no_retry_raises_at_once() -> None:
    """The policy without retries calls once."""
    calls = 0

    async def call() -> None:
        nonlocal calls
        calls += 1
        raise error(0.1)

    naps = Naps()
    with pytest.raises(Overloaded):
        await retrying(call, NO_RETRY, sleep=naps, uniform=lambda: 1.0)
    assert (calls, naps.taken) == (1, [])


async def test_submit_overloaded_is_sent_again_with_identical_bytes() -> None:
    """After an overload the same bytes are sent, after the delay that was asked for."""
    ledger, naps = SampleLedger(), Naps()
    gateway = FakeRegistration(ledger)
    gateway.failures = [OVERLOADED, OVERLOADED]
    async with serving((add_RegistrationServiceServicer_to_server, gateway)) as connection:
        client = DiyaClient(session_on(connection, ledger.trust, naps=naps))
        answer = await client.submit_mortgage(signed())
    assert answer.result == "BOOKED"
    assert len(gateway.requests) == 3
    assert len(set(gateway.requests)) == 1
    assert naps.taken == [0.5 + 0.2, 0.5 + 0.4]


async def test_submit_malformed_is_not_sent_again() -> None:
    """What is not marked is raised at once, with the envelope for the record."""
    ledger, naps = SampleLedger(), Naps()
    gateway = FakeRegistration(ledger)
    gateway.failures = [refusal(code_pb2.INVALID_ARGUMENT, "FIELD_INVALID")]
    envelope = signed()
    async with serving((add_RegistrationServiceServicer_to_server, gateway)) as connection:
        client = DiyaClient(session_on(connection, ledger.trust, naps=naps))
        with pytest.raises(Malformed) as caught:
            await client.submit_mortgage(envelope)
    assert caught.value.envelope is envelope
    assert (len(gateway.requests), naps.taken) == (1, [])


async def test_submit_overloaded_for_good_raises_the_last_error() -> None:
    """When the attempts are spent the caller gets the error, and nothing more is sent."""
    ledger = SampleLedger()
    gateway = FakeRegistration(ledger)
    gateway.failures = [OVERLOADED] * 5
    async with serving((add_RegistrationServiceServicer_to_server, gateway)) as connection:
        client = DiyaClient(session_on(connection, ledger.trust))
        with pytest.raises(Overloaded):
            await client.submit_mortgage(signed())
    assert len(gateway.requests) == 3
