"""A path from a certificate to an anchor that was found sound, and what is known of the revocation of its links."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from itertools import pairwise

import msgspec

from signing.anchors import AnchorPolicy
from signing.certificates import Certificate
from signing.errors import RevocationUnknown
from signing.purpose import Purpose
from signing.revocation import LONG_AGO, Evidence, Heard, RevocationIndex


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

    @cached_property
    def evidence_in_all(self) -> tuple[Evidence, ...]:
        """What spoke of the revocation of any link, each once."""
        return tuple(dict.fromkeys(one for about in self.evidence for one in about))

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """Hex SHA-256 of each certificate's DER, leaf first."""
        return tuple(one.fingerprint for one in self.certificates)

    @property
    def serials(self) -> tuple[int, ...]:
        """Serial numbers, leaf first."""
        return tuple(one.serial for one in self.certificates)


@dataclass(frozen=True)
class KnownChain:
    """A sound chain with what the store's evidence says of it: earliest revocation of a link, the time after which
    the evidence about some link has ended (with the link it is about), and the policy of its anchor.

    heard: which evidence about each link that was. The path holds whatever comes; the rest only as long as an index
    has heard nothing else (`as_of`).
    """

    chain: Chain
    revoked: tuple[datetime, str] | None
    current_until: tuple[datetime, str]
    policy: AnchorPolicy
    grace: timedelta
    heard: tuple[Heard, ...]

    @classmethod
    def of(cls, chain: Chain, index: RevocationIndex, policy: AnchorPolicy, grace: timedelta) -> KnownChain:
        """A path that was found sound, by the evidence of an index."""
        pairs = list(zip(chain.links, chain.certificates, strict=False))
        evidence = tuple(index.evidence(link.issuer_key_id, subject) for link, subject in pairs)
        revoked = [
            (since, link.fingerprint)
            for link, subject in pairs
            if (since := index.revoked_since(link.issuer_key_id, subject.serial))
        ]
        return cls(
            chain=replace(chain, evidence=evidence),
            revoked=min(revoked, default=None),
            current_until=min(
                (end_of(about), link.fingerprint) for about, link in zip(evidence, chain.links, strict=True)
            ),
            policy=policy,
            grace=grace,
            heard=_heard(chain, index),
        )

    def as_of(self, index: RevocationIndex) -> KnownChain:
        """The same path by the evidence of this index: itself where that has nothing else to say of any link."""
        if self.heard == _heard(self.chain, index):
            return self
        return self.of(self.chain, index, self.policy, self.grace)

    def with_stapled(self, index: RevocationIndex) -> KnownChain:
        """The same, by what came along with a signature as well: it can tell more of a link, never undo anything."""
        revoked, ends, evidence = list(filter(None, [self.revoked])), [], []
        for link, subject, known in zip(
            self.chain.links, self.chain.certificates, self.chain.evidence, strict=False
        ):
            if since := index.revoked_since(link.issuer_key_id, subject.serial):
                revoked.append((since, link.fingerprint))
            more = (*known, *index.evidence(link.issuer_key_id, subject))
            evidence.append(more)
            ends.append((end_of(more), link.fingerprint))
        return replace(
            self,
            chain=replace(self.chain, evidence=tuple(evidence)),
            revoked=min(revoked, default=None),
            current_until=min(ends),
        )


def _heard(chain: Chain, index: RevocationIndex) -> tuple[Heard, ...]:
    return tuple(
        index.heard(link.issuer_key_id, subject.serial)
        for link, subject in zip(chain.links, chain.certificates, strict=False)
    )


def end_of(evidence: Iterable[Evidence]) -> datetime:
    """Until when any of it speaks; long ago where none does, or says so."""
    return max((one.until for one in evidence if one.until is not None), default=LONG_AGO)


def unknown(known: KnownChain) -> RevocationUnknown:
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
