"""A registry's seals with their time stamps, where it has an authority: one way for certificates, extracts, statements.

Whether a seal may go without its stamp is for the caller to say, who knows whether it can wait.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from gateway.applications.sealing import SealRetired
from gateway.certificates.proof import LedgerProof
from gateway.certificates.seal import CertificateSealer
from gateway.certificates.seal_protocol import Sealed
from gateway.rounds.timestamping import Authority
from signing.envelope import envelope_from_json, envelope_to_json
from signing.errors import SigningError


class StampMissing(Exception):
    """No time stamp is to be had now, and none may be missing."""


@dataclass(frozen=True, slots=True)
class Stamped:
    """A sealed PDF, or an envelope in JSON, with the ids of all keys that sealed it.

    stamped: each seal has a time stamp; None where the registry has no authority.
    """

    data: bytes
    key_ids: tuple[str, ...]
    stamped: bool | None


class StampedSeals:
    """Seals by worker processes, stamps by each registry's authority. On the event loop."""

    def __init__(
        self,
        sealer: CertificateSealer,
        authorities: Mapping[str, Authority],
        clock: Callable[[], dt.datetime],
    ) -> None:
        self._sealer = sealer
        self._authorities = authorities
        self._clock = clock

    async def document(
        self, registry: str, content: bytes, proof: LedgerProof, may_be_missing: Callable[[Authority], bool]
    ) -> Stamped:
        """A certificate or an extract. Nothing is handed out before all seals are on.

        Raises StampMissing, SealRetired (the seals were changed meanwhile), SealerError.
        """
        authority = self._authorities.get(registry)
        if authority is None:
            plain = await self._sealer.seal(content, proof, at=self._clock())
            return Stamped(plain.pdf, plain.key_ids, None)
        without = may_be_missing(authority)
        if authority.rest_seconds and not without:
            raise StampMissing
        made = await self._sealer.seal(content, proof, at=self._clock(), stamp_room=True)
        pdf, stamped = await self._stamped(made, authority, may_be_missing=without)
        while not made.whole:
            key_ids = made.key_ids
            made = await self._sealer.seal(content, proof, at=self._clock(), stamp_room=True, begun=pdf)
            if made.key_ids != key_ids:
                raise SealRetired(
                    "印章密钥已更换，重新签章", "the seals were changed meanwhile: it is sealed once more"
                )
            pdf, also = await self._stamped(made, authority, may_be_missing=without)
            stamped = stamped and also
        return Stamped(pdf, made.key_ids, stamped)

    async def statement(
        self, registry: str, payload_type: str, payload: bytes, may_be_missing: Callable[[Authority], bool]
    ) -> Stamped:
        """A statement in an envelope, a time stamp over each signature. Raises StampMissing, SealerError."""
        authority = self._authorities.get(registry)
        if authority is not None and authority.rest_seconds and not may_be_missing(authority):
            raise StampMissing
        data = await self._sealer.sign(registry, payload_type, payload, at=self._clock())
        envelope = envelope_from_json(data)
        key_ids = tuple(one.key_id for one in envelope.signatures)
        if authority is None:
            return Stamped(data, key_ids, None)
        try:
            signatures = [
                replace(one, stamp=await authority.stamp(one.signature, "statement"))
                for one in envelope.signatures
            ]
        except SigningError as error:  # told by the authority's own line
            if not may_be_missing(authority):
                raise StampMissing from error
            return Stamped(data, key_ids, stamped=False)
        return Stamped(
            envelope_to_json(replace(envelope, signatures=tuple(signatures))), key_ids, stamped=True
        )

    async def _stamped(
        self, made: Sealed, authority: Authority, *, may_be_missing: bool
    ) -> tuple[bytes, bool]:
        """The PDF with a time stamp in its last seal, or as it is where none is to be had and none is required."""
        try:
            token = await authority.stamp(made.signature, "seal")
        except SigningError as error:  # told by the authority's own line
            if not may_be_missing:
                raise StampMissing from error
            return made.pdf, False
        return await self._sealer.stamp(made.pdf, token, at=self._clock()), True
