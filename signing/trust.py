"""Whom to believe for what: anchors per purpose, revocation lists and answers, and the question whether a
certificate holds.

A purpose is separated from the others three times over: it has its own anchors, its certificates
must have the right key usages and extended key usages, and the right kind of identity. So a TLS
certificate never verifies an envelope, a citizen never a bank's, and a time stamp authority
neither.

A store is immutable. What is kept between calls is only what time cannot change: that a path to an
anchor is sound. Validity of every link and revocation are judged each time, at the `at` of the
call. Newer evidence makes another store (`noted`), which shares all that the evidence is not about,
the remembered paths too; each is remembered with the evidence it was judged by, and judged again
where its store has other evidence about any of its links. So revocation takes effect at once,
whichever store of a line filled the memory.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from threading import Lock
from types import MappingProxyType
from typing import Final, NamedTuple

import msgspec

from signing import sm2
from signing.algorithms import check_key
from signing.anchors import AnchorPolicy, Anchors
from signing.certificates import Certificate, parse_certificate
from signing.chains import Authorities, find_chain
from signing.errors import (
    CertificateExpired,
    CertificateMalformed,
    CertificateNotYetValid,
    CertificateRevoked,
    CertificateUnknownIssuer,
    TrustStoreInvalid,
)
from signing.known_chain import Chain, ChainLink, KnownChain, unknown
from signing.purpose import Purpose, check_purpose
from signing.revocation import LONG_AGO, Evidence, RevocationIndex
from signing.stapled import NOTHING_STAPLED, Stapled

__all__ = ["Purpose", "TrustStore", "WatchedLink"]  # whoever asks a store says for what

CACHED_CHAINS: Final = 4096
ANCHORS_MAX: Final = 1024


_ChainKey = tuple[str | int, ...]


class WatchedLink(NamedTuple):
    """A link of a chain that was judged, below an anchor (hex SHA-256) whose policy names responders to ask."""

    purpose: Purpose
    anchor: str
    subject: Certificate
    issuer: Certificate


class _StoreData(msgspec.Struct, frozen=True, omit_defaults=True):
    """What has a default is not there: a store without it has the same bytes, and so the same digest, as ever."""

    anchors: dict[str, list[bytes]]
    crls: list[bytes]
    intermediates: list[bytes]
    revocation_required: bool
    revocation_grace_seconds: int
    ocsp: list[bytes] = []
    policies: dict[str, list[AnchorPolicy]] = {}


class TrustStore:
    """Anchors per purpose, their revocation lists, and the answers that follow from them."""

    def __init__(
        self,
        anchors: Mapping[Purpose, Sequence[bytes]],
        crls: Iterable[bytes] = (),
        intermediates: Iterable[bytes] = (),
        *,
        ocsp: Iterable[bytes] = (),
        policies: Mapping[Purpose, Sequence[AnchorPolicy]] = MappingProxyType({}),
        revocation_required: bool = False,
        revocation_grace: timedelta = timedelta(days=1),
    ) -> None:
        """All certificates, lists and OCSP answers are DER.

        anchors: self-issued or not, but authorities; trusted for their purpose only. intermediates:
        help to find paths and to authenticate lists, trusted for nothing by themselves.
        revocation_required: refuse a certificate whose issuer has no list that is current within
        `revocation_grace`; a list that names a certificate refuses it either way. policies: of some
        anchors, in place of those two.

        Raises `TrustStoreInvalid`.
        """
        self.anchors: Mapping[Purpose, tuple[bytes, ...]] = {
            purpose: tuple(anchors.get(purpose, ())) for purpose in Purpose
        }
        self.crls = tuple(crls)
        self.ocsp = tuple(ocsp)
        self.policies: Mapping[Purpose, tuple[AnchorPolicy, ...]] = {
            purpose: tuple(some) for purpose, some in policies.items() if some
        }
        self.intermediates = tuple(intermediates)
        self.revocation_required = revocation_required
        self.revocation_grace = revocation_grace
        self._anchors = {
            purpose: Anchors(
                [_read_authority(purpose.value, der) for der in ders], self.policies.get(purpose, ())
            )
            for purpose, ders in self.anchors.items()
        }
        if sum(len(some.certificates) for some in self._anchors.values()) > ANCHORS_MAX:
            raise TrustStoreInvalid(f"more than {ANCHORS_MAX} anchors")
        self._intermediates = tuple(_read_authority("intermediate", der) for der in self.intermediates)
        anchors_in_all = [one for some in self._anchors.values() for one in some.certificates]
        self.authorities = tuple(dict.fromkeys((*anchors_in_all, *self._intermediates)))
        self._known = Authorities(self.authorities)
        self._revocation = RevocationIndex(self.crls, self.authorities, self.ocsp)
        self.on_grace: Callable[[AnchorPolicy], None] = _ignore
        self._memory = _Memory()
        self._digest: str | None = None

    def noted(
        self, crls: Sequence[bytes] = (), ocsp: Sequence[bytes] = (), gone: Collection[bytes] = ()
    ) -> TrustStore:
        """The store without the lists and answers `gone`, and with these behind what is left.

        It is equal to one made anew, but reads and authenticates nothing that is known, and remembers the
        paths that this one does. Raises `TrustStoreInvalid`.
        """
        new: TrustStore = copy(self)
        new._revocation = self._revocation.changed(crls, ocsp, gone)
        new.crls = (*(der for der in self.crls if der not in gone), *crls)
        new.ocsp = (*(der for der in self.ocsp if der not in gone), *ocsp)
        new._digest = None
        return new

    @property
    def revocation(self) -> RevocationIndex:
        """Who is revoked, as far as the store knows."""
        return self._revocation

    def shares_memory(self, other: TrustStore) -> bool:
        """Whether what the other judged, this one remembers."""
        return self._memory is other._memory

    def check_chain(
        self,
        leaf: Certificate,
        extra: Sequence[Certificate],
        purpose: Purpose,
        at: datetime,
        stapled: Stapled = NOTHING_STAPLED,
    ) -> Chain:
        """The chain of `leaf` to an anchor of `purpose`, if all of it holds at `at` (aware).

        stapled: revocation evidence that came along with the signature; it is looked at where an
        authority of the chain signed it, and passed over otherwise.

        Checks, in this order, each with its own error (all are `CertificateRefused`, but for a key
        of a kind that we refuse, which is `AlgorithmRefused`): 1 what the leaf may be used for, 2
        whom it names, 3 its key, 4 its validity, 5 a sound path to an anchor, 6 validity of every
        link, 7 revocation of every link below the anchor.
        """
        if at.tzinfo is None:
            raise ValueError("at must be an aware datetime")
        era = self._anchors[purpose].era(at)
        key: _ChainKey = (leaf.fingerprint, purpose, era, *[one.fingerprint for one in extra])
        kept = self._memory.get(key)
        known = self._find(leaf, extra, purpose, at) if kept is None else kept.as_of(self._revocation)
        if known is not kept:
            self._memory.put(key, known)
        if not known.chain.not_before <= at <= known.chain.not_after:
            _check_validity(known.chain.certificates, at)
        if stapled:
            known = known.with_stapled(stapled.index(known.chain.certificates[1:], self._revocation))
        if known.revoked is not None and known.revoked[0] <= at:
            since, fingerprint = known.revoked
            raise CertificateRevoked(
                f"certificate {fingerprint} is revoked since {since.isoformat()}",
                fingerprint=fingerprint,
                revoked_at=since,
            )
        if not known.policy.revocation_required or at <= known.current_until[0]:
            return known.chain
        if known.current_until[0] == LONG_AGO or at > known.current_until[0] + known.grace:
            raise unknown(known)
        self.on_grace(known.policy)
        return replace(known.chain, in_grace=True)

    def watched(self) -> list[WatchedLink]:
        """The links of the chains that were judged since it was last asked, by this store or another of its
        line, whose anchor's policy names responders to ask.
        """
        found = {
            (subject.fingerprint, known.chain.purpose): WatchedLink(
                known.chain.purpose, known.policy.anchor, subject, issuer
            )
            for known in self._memory.take_used()
            if known.policy.ocsp_urls
            for subject, issuer in pairwise(known.chain.certificates)
        }
        return list(found.values())

    def evidence(self, link: WatchedLink) -> tuple[Evidence, ...]:
        """What of the store speaks about a link."""
        return self._revocation.evidence(link.issuer.key_id, link.subject)

    def is_revoked(self, issuer_key_id: str, serial: int, at: datetime) -> bool:
        """Whether the issuer with this key has revoked this serial number, with effect at or before
        `at`.
        """
        since = self._revocation.revoked_since(issuer_key_id, serial)
        return since is not None and since <= at

    def authorities_below(self, anchor: str) -> tuple[Certificate, ...]:
        """The anchor with this hex SHA-256, and the authorities known whose issuers' names lead to it."""
        below = tuple(one for one in self.authorities if one.fingerprint == anchor)
        while True:
            names = {one.subject_name for one in below}
            more = [one for one in self._intermediates if one.issuer_name in names and one not in below]
            if not more:
                return below
            below = (*below, *more)

    def is_anchor(self, fingerprint: str, purpose: Purpose) -> bool:
        """Whether the certificate with this hex SHA-256 is an anchor of `purpose`."""
        return fingerprint in self._anchors[purpose].fingerprints

    def to_bytes(self) -> bytes:
        """The store as data, to send to another process or to keep; `from_bytes` reads it. No
        secrets inside.
        """
        return msgspec.msgpack.encode(
            _StoreData(
                anchors={purpose.value: list(ders) for purpose, ders in self.anchors.items()},
                crls=list(self.crls),
                intermediates=list(self.intermediates),
                revocation_required=self.revocation_required,
                revocation_grace_seconds=int(self.revocation_grace.total_seconds()),
                ocsp=list(self.ocsp),
                policies={purpose.value: list(some) for purpose, some in self.policies.items()},
            )
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> TrustStore:
        """A store from `to_bytes`. Raises `TrustStoreInvalid`."""
        try:
            read = msgspec.msgpack.decode(data, type=_StoreData)
            anchors = {Purpose(name): tuple(ders) for name, ders in read.anchors.items()}
            policies = {Purpose(name): tuple(some) for name, some in read.policies.items()}
        except (msgspec.DecodeError, ValueError) as error:
            raise TrustStoreInvalid(f"not the data of a trust store: {error}") from error
        return cls(
            anchors,
            read.crls,
            read.intermediates,
            ocsp=read.ocsp,
            policies=policies,
            revocation_required=read.revocation_required,
            revocation_grace=timedelta(seconds=read.revocation_grace_seconds),
        )

    def digest(self) -> str:
        """Hex SHA-256 of `to_bytes`: equal stores have equal digests."""
        if self._digest is None:
            self._digest = hashlib.sha256(self.to_bytes()).hexdigest()
        return self._digest

    def _find(
        self, leaf: Certificate, extra: Sequence[Certificate], purpose: Purpose, at: datetime
    ) -> KnownChain:
        check_purpose(leaf, purpose)
        if purpose is not Purpose.TLS:
            check_key(leaf.public_key)
        _check_validity((leaf,), at)
        anchors = self._anchors[purpose]
        believed = anchors.believed(at)
        if anchors.certificates and not believed:
            raise CertificateUnknownIssuer(
                f"no anchor of {purpose.value} is believed at {at.isoformat()}: their dates in the trust settings are "
                "over, or have not begun",
                fingerprint=leaf.fingerprint,
            )
        certificates = find_chain(leaf, (*extra, *self._intermediates), believed, at, self._known)
        links = tuple(
            ChainLink(
                fingerprint=subject.fingerprint,
                issuer_key_id=issuer.key_id,
                serial=str(subject.serial),
                not_before=subject.not_before,
                not_after=subject.not_after,
            )
            for subject, issuer in pairwise(certificates)
        )
        chain = Chain(
            purpose=purpose,
            certificates=certificates,
            not_before=max(one.not_before for one in certificates),
            not_after=min(one.not_after for one in certificates),
            links=links,
        )
        policy, anchor = anchors.policy(certificates[-1]), certificates[-1].fingerprint
        return KnownChain.of(
            chain,
            self._revocation,
            policy or AnchorPolicy(anchor=anchor, revocation_required=self.revocation_required),
            self.revocation_grace if policy is None else timedelta(hours=policy.grace_hours),
        )


class _Memory:
    """Paths that were found sound, of all stores of a line: the least recently used goes first."""

    def __init__(self) -> None:
        self._chains: OrderedDict[_ChainKey, KnownChain] = OrderedDict()
        self._used: dict[_ChainKey, None] = {}
        self._lock = Lock()

    def get(self, key: _ChainKey) -> KnownChain | None:
        with self._lock:
            known = self._chains.get(key)
            if known is not None:
                self._chains.move_to_end(key)
                self._used[key] = None
        return known

    def put(self, key: _ChainKey, known: KnownChain) -> None:
        with self._lock:
            self._chains[key] = known
            self._chains.move_to_end(key)
            self._used[key] = None
            if len(self._chains) > CACHED_CHAINS:
                oldest, _ = self._chains.popitem(last=False)
                self._used.pop(oldest, None)

    def take_used(self) -> list[KnownChain]:
        """Those used since this was last asked."""
        with self._lock:
            used, self._used = self._used, {}
            return [self._chains[key] for key in used]

    def __len__(self) -> int:
        return len(self._chains)


def _ignore(_policy: AnchorPolicy) -> None:
    pass


def _read_authority(role: str, der: bytes) -> Certificate:
    try:
        certificate = parse_certificate(der)
    except CertificateMalformed as error:
        raise TrustStoreInvalid(f"{role}: {error.message}") from error
    if not certificate.is_ca or certificate.public_key is None:
        raise TrustStoreInvalid(
            f"{role}: {certificate.subject!r} is not an authority's certificate "
            "(basicConstraints CA) with a key "
            "that is understood"
        )
    if isinstance(certificate.public_key, sm2.SM2PublicKey) and not sm2.AVAILABLE:
        raise TrustStoreInvalid(f"{role}: {certificate.subject!r}: {sm2.NOT_INSTALLED}", sm2.NOT_INSTALLED_ZH)
    return certificate


def _check_validity(certificates: Sequence[Certificate], at: datetime) -> None:
    for one in certificates:
        if at < one.not_before:
            raise CertificateNotYetValid(
                f"certificate of {one.subject!r} begins at {one.not_before.isoformat()}, after "
                f"{at.isoformat()}",
                fingerprint=one.fingerprint,
            )
        if at > one.not_after:
            raise CertificateExpired(
                f"certificate of {one.subject!r} ended at {one.not_after.isoformat()}, before "
                f"{at.isoformat()}",
                fingerprint=one.fingerprint,
            )
