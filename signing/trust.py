"""Whom to believe for what: anchors per purpose, revocation lists and answers, and the question whether a
certificate holds.

A purpose is separated from the others three times over: it has its own anchors, its certificates
must have the right key usages and extended key usages, and the right kind of identity. So a TLS
certificate never verifies an envelope, a citizen never a bank's, and a time stamp authority
neither.

A store is immutable. What is kept between calls is only what time cannot change: that a path to an
anchor is sound. Validity of every link and revocation are judged each time, at the `at` of the
call.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from threading import Lock
from types import MappingProxyType
from typing import Final, NamedTuple

import msgspec
from cryptography.x509.oid import ExtendedKeyUsageOID

from signing import sm2
from signing.algorithms import check_key
from signing.anchors import AnchorPolicy, Anchors
from signing.certificates import Certificate, IdentityKind, parse_certificate
from signing.chains import Authorities, find_chain
from signing.errors import (
    CertificateExpired,
    CertificateMalformed,
    CertificateNotYetValid,
    CertificateRevoked,
    CertificateUnknownIssuer,
    CertificateWithoutIdentity,
    CertificateWrongPurpose,
    RevocationUnknown,
    TrustStoreInvalid,
)
from signing.revocation import LONG_AGO, Evidence, RevocationIndex
from signing.stapled import NOTHING_STAPLED, Stapled

CACHED_CHAINS: Final = 4096
ANCHORS_MAX: Final = 1024


class Purpose(StrEnum):
    """What a certificate is believed for."""

    INSTITUTION = "INSTITUTION"
    """A bank or fund centre signs submissions and files."""
    PERSON = "PERSON"
    """A citizen signs files."""
    REGISTRAR = "REGISTRAR"
    """A registrar, a natural person, signs decisions."""
    OPERATOR = "OPERATOR"
    """An operator, a natural person, signs administrative acts."""
    REGISTRY = "REGISTRY"
    """A registry seals certificates."""
    TLS = "TLS"
    """A connection's two ends. Never a signature."""
    TSA = "TSA"
    """A time stamp authority (RFC 3161)."""


@dataclass(frozen=True)
class _Rule:
    """identity: the kind that the subject must name, None for no demand. allowed: extended key
    usages of which at least one must be present; forbidden: any of these refuses.
    without_extended: whether the extension may be absent.
    """

    identity: IdentityKind | None
    allowed: frozenset[str]
    forbidden: frozenset[str]
    without_extended: bool


_DOCUMENT_SIGNING: Final = "1.3.6.1.5.5.7.3.36"  # id-kp-documentSigning, RFC 9336
_SIGNING_USES: Final = frozenset(
    {
        _DOCUMENT_SIGNING,
        ExtendedKeyUsageOID.EMAIL_PROTECTION.dotted_string,
        "1.2.840.113583.1.1.5",  # Adobe authentic documents trust
        "1.3.6.1.4.1.311.10.3.12",  # Microsoft document signing
    }
)
_TLS_USES: Final = frozenset(
    {ExtendedKeyUsageOID.SERVER_AUTH.dotted_string, ExtendedKeyUsageOID.CLIENT_AUTH.dotted_string}
)
_TIME_STAMPING: Final = frozenset({ExtendedKeyUsageOID.TIME_STAMPING.dotted_string})
_NEVER_SIGNING: Final = (
    _TLS_USES
    | _TIME_STAMPING
    | {
        ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE.dotted_string,
        ExtendedKeyUsageOID.CODE_SIGNING.dotted_string,
        ExtendedKeyUsageOID.OCSP_SIGNING.dotted_string,
    }
)


def _signing(identity: IdentityKind) -> _Rule:
    return _Rule(identity, _SIGNING_USES, _NEVER_SIGNING, without_extended=True)


_RULES: Final[Mapping[Purpose, _Rule]] = {
    Purpose.INSTITUTION: _signing(IdentityKind.LEGAL),
    Purpose.PERSON: _signing(IdentityKind.NATURAL),
    Purpose.REGISTRAR: _signing(IdentityKind.NATURAL),
    Purpose.OPERATOR: _signing(IdentityKind.NATURAL),
    Purpose.REGISTRY: _signing(IdentityKind.LEGAL),
    Purpose.TLS: _Rule(None, _TLS_USES, frozenset(), without_extended=False),
    Purpose.TSA: _Rule(None, _TIME_STAMPING, _NEVER_SIGNING - _TIME_STAMPING, without_extended=False),
}


class ChainLink(msgspec.Struct, frozen=True):
    """One certificate of a chain below its anchor: what has to be looked up to judge it again
    later.
    """

    fingerprint: str
    issuer_key_id: str
    serial: str
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True)
class Chain:
    """A path that was found sound, leaf first and anchor last.

    not_before, not_after: the time in which every certificate of it is valid. evidence: what spoke of revocation,
    for each link. in_grace: some link was believed though all evidence about it had ended (`AnchorPolicy`).
    """

    purpose: Purpose
    certificates: tuple[Certificate, ...]
    not_before: datetime
    not_after: datetime
    links: tuple[ChainLink, ...]
    evidence: tuple[tuple[Evidence, ...], ...] = ()
    in_grace: bool = False

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """Hex SHA-256 of each certificate's DER, leaf first."""
        return tuple(one.fingerprint for one in self.certificates)

    @property
    def serials(self) -> tuple[int, ...]:
        """Serial numbers, leaf first."""
        return tuple(one.serial for one in self.certificates)


@dataclass(frozen=True)
class _KnownChain:
    """A sound chain with what the store's evidence says of it: earliest revocation of a link, the time after which
    the evidence about some link has ended (with the link it is about), and the policy of its anchor.
    """

    chain: Chain
    revoked: tuple[datetime, str] | None
    current_until: tuple[datetime, str]
    policy: AnchorPolicy
    grace: timedelta

    def with_stapled(self, index: RevocationIndex) -> _KnownChain:
        """The same, by what came along with a signature as well: it can tell more of a link, never undo anything."""
        revoked, ends, evidence = list(filter(None, [self.revoked])), [], []
        for link, subject, known in zip(
            self.chain.links, self.chain.certificates, self.chain.evidence, strict=False
        ):
            if since := index.revoked_since(link.issuer_key_id, subject.serial):
                revoked.append((since, link.fingerprint))
            more = (*known, *index.evidence(link.issuer_key_id, subject))
            evidence.append(more)
            ends.append((_end_of(more), link.fingerprint))
        return replace(
            self,
            chain=replace(self.chain, evidence=tuple(evidence)),
            revoked=min(revoked, default=None),
            current_until=min(ends),
        )


_ChainKey = tuple[str | int, ...]


class WatchedLink(NamedTuple):
    """A link of a chain that was judged, below an anchor (hex SHA-256) whose policy names responders to ask."""

    purpose: Purpose
    anchor: str
    subject: Certificate
    issuer: Certificate


def _end_of(evidence: Iterable[Evidence]) -> datetime:
    return max((one.until for one in evidence if one.until is not None), default=LONG_AGO)


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
        self._chains: OrderedDict[_ChainKey, _KnownChain] = OrderedDict()
        self._lock = Lock()
        self._digest: str | None = None

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
        with self._lock:
            known = self._chains.get(key)
            if known is not None:
                self._chains.move_to_end(key)
        if known is None:
            known = self._find(leaf, extra, purpose, at)
            with self._lock:
                self._chains[key] = known
                if len(self._chains) > CACHED_CHAINS:
                    self._chains.popitem(last=False)
        if not known.chain.not_before <= at <= known.chain.not_after:
            _check_validity(known.chain.certificates, at)
        if stapled:
            known = known.with_stapled(stapled.index(known.chain.certificates[1:]))
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
            raise _unknown(known)
        self.on_grace(known.policy)
        return replace(known.chain, in_grace=True)

    def watched(self) -> list[WatchedLink]:
        """The links of the chains that were judged so far whose anchor's policy names responders to ask."""
        with self._lock:
            chains = list(self._chains.values())
        found = {
            (subject.fingerprint, known.chain.purpose): WatchedLink(
                known.chain.purpose, known.policy.anchor, subject, issuer
            )
            for known in chains
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
    ) -> _KnownChain:
        _check_purpose(leaf, purpose)
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
        evidence = [
            self._revocation.evidence(link.issuer_key_id, subject)
            for link, subject in zip(links, certificates, strict=False)
        ]
        revoked = [
            (since, link.fingerprint)
            for link in links
            if (since := self._revocation.revoked_since(link.issuer_key_id, int(link.serial)))
        ]
        chain = Chain(
            purpose=purpose,
            certificates=certificates,
            not_before=max(one.not_before for one in certificates),
            not_after=min(one.not_after for one in certificates),
            links=links,
            evidence=tuple(evidence),
        )
        policy, anchor = anchors.policy(certificates[-1]), certificates[-1].fingerprint
        return _KnownChain(
            chain=chain,
            revoked=min(revoked, default=None),
            current_until=min(
                (_end_of(about), link.fingerprint) for about, link in zip(evidence, links, strict=True)
            ),
            policy=policy or AnchorPolicy(anchor=anchor, revocation_required=self.revocation_required),
            grace=self.revocation_grace if policy is None else timedelta(hours=policy.grace_hours),
        )


def _ignore(_policy: AnchorPolicy) -> None:
    pass


def _unknown(known: _KnownChain) -> RevocationUnknown:
    """Nothing speaks for a link: which, since when, by whom it is to be mended, and what to do meanwhile."""
    until, fingerprint = known.current_until
    certificates = known.chain.certificates
    issuer = next(b for a, b in pairwise(certificates) if a.fingerprint == fingerprint)
    sources = ", ".join(known.policy.sources)
    spoke_zh, spoke = "尚无吊销信息", "there is no list or answer yet"
    if until != LONG_AGO:
        ended = until.isoformat()
        spoke_zh = f"最新吊销信息已于 {ended} 失效，宽限（{known.grace}）已过"
        spoke = f"the newest spoke until {ended}, and the grace of {known.grace} is over"
    return RevocationUnknown(
        f"no current revocation evidence about certificate {fingerprint} of {issuer.subject!r}: {spoke} "
        f"(sources: {sources or 'none configured'}); resend the same bytes later, or ask the registry to load a "
        "newer list",
        f"无法确认证书 {fingerprint} 是否被吊销：颁发者 {issuer.subject}，{spoke_zh}（来源："
        f"{sources or '未配置'}）；请稍后原样重试，或请登记机构载入新的吊销列表",
        fingerprint=fingerprint,
    )


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


def _check_purpose(leaf: Certificate, purpose: Purpose) -> None:
    rule = _RULES[purpose]
    if leaf.is_ca:
        raise CertificateWrongPurpose(
            f"{leaf.subject!r} is an authority's certificate; it may not sign for {purpose.value}",
            fingerprint=leaf.fingerprint,
        )
    if leaf.key_usages is None or not leaf.key_usages & {"digital_signature", "content_commitment"}:
        raise CertificateWrongPurpose(
            f"{leaf.subject!r} lacks keyUsage digitalSignature or nonRepudiation",
            fingerprint=leaf.fingerprint,
        )
    if "key_cert_sign" in leaf.key_usages:
        raise CertificateWrongPurpose(
            f"{leaf.subject!r} claims keyUsage keyCertSign without being an authority (RFC 5280 section 4.2.1.9)",
            fingerprint=leaf.fingerprint,
        )
    extended = leaf.extended_key_usages
    if extended is None:
        fits = rule.without_extended
    else:
        fits = bool(extended & rule.allowed) and not extended & rule.forbidden
    if not fits:
        shown = "none" if extended is None else ", ".join(sorted(extended))
        raise CertificateWrongPurpose(
            f"extended key usages of {leaf.subject!r} ({shown}) do not allow {purpose.value}",
            fingerprint=leaf.fingerprint,
        )
    if purpose is Purpose.TSA and extended != _TIME_STAMPING:
        raise CertificateWrongPurpose(
            f"{leaf.subject!r}: timeStamping must be the only extended key usage (RFC 3161 section 2.3)",
            fingerprint=leaf.fingerprint,
        )
    if rule.identity is None:
        return
    if leaf.identity is None:
        raise CertificateWithoutIdentity(
            f"{leaf.subject!r} holds no single identity number in the form of ETSI EN 319 412-1",
            fingerprint=leaf.fingerprint,
        )
    if leaf.identity.kind is not rule.identity:
        raise CertificateWrongPurpose(
            f"{leaf.subject!r} names a {leaf.identity.kind.value} person; {purpose.value} needs a "
            f"{rule.identity.value} one",
            fingerprint=leaf.fingerprint,
        )


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
