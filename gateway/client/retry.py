"""When a call is made again: only where the error says so, always with the same bytes.

Delays grow exponentially with full jitter, and never undercut what the gateway asked for.
Randomness and sleep are passed in.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from gateway.client.errors import RequestError

Result = TypeVar("Result")
Sleep = Callable[[float], Awaitable[None]]
Uniform = Callable[[], float]
"""Draws from [0, 1)."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long. Times in seconds.

    attempts: calls in all, the first included. delay: ceiling of the first wait; each further
    ceiling is `factor` times the one before, up to `delay_max`. patience: a gateway that asks for a
    longer wait than this (a quota of the day) is not waited for.
    """

    attempts: int = 5
    delay: float = 0.2
    factor: float = 2.0
    delay_max: float = 10.0
    patience: float = 30.0

    def wait_before(self, attempt: int, error: RequestError, uniform: Uniform) -> float | None:
        """Seconds before call number `attempt` (from 2) after `error`, or None: do not call
        again.
        """
        if attempt > self.attempts or not error.may_retry:
            return None
        asked = error.retry_delay or 0.0
        if asked > self.patience:
            return None
        ceiling = min(self.delay * self.factor ** (attempt - 2), self.delay_max)
        return asked + ceiling * uniform()


NO_RETRY = RetryPolicy(attempts=1)


async def retrying(
    call: Callable[[], Awaitable[Result]], policy: RetryPolicy, *, sleep: Sleep, uniform: Uniform
) -> Result:
    """The result of `call`, made again as `policy` allows. Raises the last RequestError."""
    attempt = 1
    while True:
        try:
            return await call()
        except RequestError as error:
            attempt += 1
            wait = policy.wait_before(attempt, error, uniform)
            if wait is None:
                raise
        await sleep(wait)
