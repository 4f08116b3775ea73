"""Statements under the registry's seal, for whichever servicer makes one."""

from __future__ import annotations

import datetime as dt
import logging
from typing import Final, Protocol

from gateway.certificates.seal import SealerError
from gateway.register.authority import Profile
from gateway.rpc.errors import Refusal
from gateway.rpc.names import check_registry
from gateway.statements.signed import Statement, encode
from gateway.storage.settings import Settings

log = logging.getLogger(__name__)

#: A sealing process that was lost is replaced within a few seconds.
RETRY_SECONDS: Final = 3.0


class Seals(Protocol):
    """What signs with a registry's seal: `CertificateSealer`."""

    async def sign(self, registry: str, payload_type: str, payload: bytes, *, at: dt.datetime) -> bytes:
        """A DSSE envelope in JSON. Raises SealerError."""
        ...


async def signed(seals: Seals | None, statement: Statement, payload_type: str, at: dt.datetime) -> bytes:
    """The envelope of a statement. Raises Refusal where the registry's seal is not at hand."""
    if seals is not None:
        try:
            return await seals.sign(statement.registry, payload_type, encode(statement), at=at)
        except SealerError:
            log.exception("statement not signed", extra={"registry": statement.registry})
    raise Refusal(
        "SHUTTING_DOWN",
        "登记机构的签章服务暂不可用，请稍后再试",
        "the registry cannot sign now: ask again after the delay",
        retry_seconds=RETRY_SECONDS,
    )


def profile_of(registry: str, settings: Settings) -> Profile:
    """The registry's profile. Raises Refusal for a registry that is not served."""
    check_registry(registry, settings)
    assert settings.profile is not None  # check_registry refuses a registry without one
    return settings.profile
