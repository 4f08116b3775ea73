"""Whom a registry believes, as a value: what its operator's last act set, and the evidence that was noted since.

A noted answer replaces only that answer: all else is shared with the value before, and so is the store that judges by
it (`TrustStore.noted`), where there is one already. Whoever only folds the ledger never asks for it, and reads no list.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple

import msgspec

from gateway.cases.effects import RevocationNoted, TrustSet
from signing.purpose import Purpose
from signing.trust import TrustStore


class EvidenceKind(StrEnum):
    """What a piece of noted evidence is; GONE marks one of the operator's act that is no longer in force."""

    CRL = "CRL"
    OCSP = "OCSP"
    AUTHORITY = "AUTHORITY"
    GONE = "GONE"


class Evidence(NamedTuple):
    """A list, an answer, or an authority that came with one: DER, hex SHA-256, and whether it is about a certificate of
    a registered key (`RevocationNoted.standing`).
    """

    kind: EvidenceKind
    sha256: str
    der: bytes
    standing: bool = False


class Trust:
    """In force as of an entry. Immutable.

    now: all of it. act: hex SHA-256 of the lists and answers that the operator's last act set. standing: of the answers
    about certificates of registered keys.
    """

    def __init__(
        self,
        now: TrustSet,
        by_sha256: Mapping[str, bytes],
        act: frozenset[str],
        standing: frozenset[str],
        store: TrustStore | None = None,
    ) -> None:
        self.now = now
        self.act = act
        self.standing = standing
        self._by_sha256 = by_sha256
        self._store = store

    @classmethod
    def of(cls, act: TrustSet) -> Trust:
        """What an operator's act leaves."""
        by_sha256 = {_sha256(der): der for der in (*act.crls, *act.ocsp)}
        return cls(act, by_sha256, frozenset(by_sha256), frozenset())

    @property
    def store(self) -> TrustStore:
        """The store that judges by it, made once. Raises `TrustStoreInvalid`."""
        if self._store is None:
            self._store = store_of(self.now)
        return self._store

    @property
    def is_judged_by(self) -> bool:
        """Whether its store was made: then that of what follows is made with it, on the thread that folds it."""
        return self._store is not None

    def noted(self, effect: RevocationNoted) -> Trust:
        """The trust that an entry of fetched evidence leaves. Raises `TrustStoreInvalid` where the store is made."""
        gone = {self._by_sha256[one]: one for one in effect.superseded if one in self._by_sha256}
        now = msgspec.structs.replace(
            self.now,
            crls=(*(der for der in self.now.crls if der not in gone), *effect.crls),
            ocsp=(*(der for der in self.now.ocsp if der not in gone), *effect.ocsp),
            intermediates=self.now.intermediates + effect.intermediates,
        )
        by_sha256 = dict(self._by_sha256)
        for sha256 in gone.values():
            del by_sha256[sha256]
        by_sha256 |= {_sha256(der): der for der in (*effect.crls, *effect.ocsp)}
        store = self._store
        if store is not None:
            store = (
                store_of(now) if effect.intermediates else store.noted(effect.crls, effect.ocsp, gone.keys())
            )
        standing = (self.standing - frozenset(gone.values())) | frozenset(effect.standing)
        return Trust(now, by_sha256, self.act, standing, store)

    def is_standing(self, der: bytes) -> bool:
        """Whether an answer is about a certificate of a registered key."""
        return bool(self.standing) and _sha256(der) in self.standing


def evidence_of(effect: RevocationNoted) -> Iterator[Evidence]:
    """The pieces that an entry of fetched evidence brought, in order."""
    for kind, ders in (
        (EvidenceKind.CRL, effect.crls),
        (EvidenceKind.OCSP, effect.ocsp),
        (EvidenceKind.AUTHORITY, effect.intermediates),
    ):
        for der in ders:
            sha256 = _sha256(der)
            yield Evidence(kind, sha256, der, sha256 in effect.standing)


def store_of(trust: TrustSet) -> TrustStore:
    """The store that this trust makes. Raises `TrustStoreInvalid`."""
    return TrustStore(
        {Purpose(name): ders for name, ders in trust.anchors.items()},
        trust.crls,
        trust.intermediates,
        ocsp=trust.ocsp,
        policies={Purpose(name): some for name, some in trust.policies.items()},
    )


def _sha256(der: bytes) -> str:
    return hashlib.sha256(der).hexdigest()
