"""A trust that grows by noted evidence is, after each step, the one that is made anew of what is in force.

The oracle is the plain definition: everything that is known, and everything that came, read and weighed from nothing.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import NamedTuple
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

import gateway.revocation
from gateway.cases.effects import RevocationNoted, TrustSet
from gateway.cases.trust import Trust
from gateway.revocation import ANSWERS_KEPT, Fetched, note
from signing.anchors import AnchorPolicy
from signing.authority import Credential
from signing.certificates import Certificate, parse_certificate
from signing.errors import SigningError
from signing.ocsp import read_answer
from signing.pki import Revocation
from signing.revocation import RevocationIndex
from signing.trust import Purpose, TrustStore, WatchedLink
from tests.support.ocsp import DAY, answer, responder
from tests.support.pki import NOW, sample_pki

PKI = sample_pki().pki
ISSUER, ANCHOR = PKI.issuing[Purpose.INSTITUTION], PKI.anchors[Purpose.INSTITUTION]
BANK, OTHER = sample_pki().bank, sample_pki().second_bank
CHECKED = responder(ISSUER, no_check=False)  # believed while a list speaks for it
TIMES = [NOW + n * dt.timedelta(hours=6) for n in range(4)]
LATER = [NOW, NOW + DAY, NOW + 3 * DAY, NOW + 2 * ANSWERS_KEPT]


def _revoked(*some: Credential, at: dt.datetime = NOW) -> list[Revocation]:
    return [Revocation(one.certificate.serial, at) for one in some]


LISTS = [
    ISSUER.make_crl(_revoked(*some), now=at)
    for at in TIMES
    for some in ((), (BANK,), (CHECKED,), (OTHER, BANK))
] + [
    ANCHOR.make_crl(some, now=at) for at in TIMES for some in ([], _revoked(ISSUER.credential, at=NOW + DAY))
]
ANSWERS = [
    answer(BANK, ISSUER, status=status, now=at, until=at + days * DAY, by=by)
    for at in TIMES
    for status in ("good", "revoked", "unknown")
    for days, by in ((1, None), (40, CHECKED))
] + [
    answer(OTHER, ISSUER, now=at, until=at + DAY, also=also)
    for at in TIMES
    for also in ((), [(BANK, ISSUER)], [(ISSUER.credential, ANCHOR)])
]

AUTHORITIES = [(), (ISSUER.der,), (ISSUER.der, ANCHOR.der)]


class Step(NamedTuple):
    """What comes when, by its places in the tables above."""

    crls: list[int]
    ocsp: list[int]
    authorities: int
    at: int

    @property
    def fetched(self) -> Fetched:
        """What comes."""
        return Fetched(
            crls=tuple(LISTS[n] for n in self.crls),
            ocsp=tuple(ANSWERS[n] for n in self.ocsp),
            authorities=AUTHORITIES[self.authorities],
        )


def _some_of(table: list[bytes], most: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, len(table) - 1), max_size=most)


STEPS = st.lists(
    st.builds(
        Step, _some_of(LISTS, 2), _some_of(ANSWERS, 3), st.integers(0, 2), st.integers(0, len(LATER) - 1)
    ),
    min_size=1,
    max_size=6,
)


def plainly(trust: TrustSet, fetched: Fetched, now: dt.datetime, most: int) -> RevocationNoted | None:
    """What `note` answers, by its definition."""
    known = [der for ders in trust.anchors.values() for der in ders] + list(trust.intermediates)
    between = tuple(der for der in dict.fromkeys(fetched.authorities) if der not in known)
    authorities = tuple(dict.fromkeys(parse_certificate(der) for der in (*known, *between)))
    ocsp = RevocationIndex((), authorities, fetched.ocsp, RevocationIndex((), authorities, trust.ocsp)).ocsp
    kept = _with_room(trust.ocsp, len(ocsp), authorities, most)
    index = RevocationIndex((*fetched.crls, *trust.crls), authorities, (*ocsp, *kept))
    crls = tuple(der for der in index.crls if der not in trust.crls)
    if not crls and not ocsp:
        return None
    gone = [der for der in trust.crls if der not in index.crls]
    for der in trust.ocsp:
        told = read_answer(der, authorities)
        over = all(one.revoked_since is None and one.until + ANSWERS_KEPT < now for one in told)
        if over or der not in index.ocsp:
            gone.append(der)
    superseded = tuple(hashlib.sha256(der).hexdigest() for der in gone)
    return RevocationNoted(crls=crls, ocsp=ocsp, intermediates=between, superseded=superseded)


def _with_room(
    known: tuple[bytes, ...], coming: int, authorities: tuple[Certificate, ...], most: int
) -> tuple[bytes, ...]:
    ends = []
    for der in known:
        told = read_answer(der, authorities)
        if not any(one.revoked_since for one in told):
            ends.append((max(one.until for one in told), der))
    gone = {der for _, der in sorted(ends)[: max(len(known) + coming - most, 0)]}
    return tuple(der for der in known if der not in gone)


def said_of(store: TrustStore) -> list[object]:
    """All that a store answers about everybody here, at every time; each question twice, for it remembers."""
    said: list[object] = [store.digest()]
    for leaf, issuer in ((BANK, ISSUER), (OTHER, ISSUER), (CHECKED, ISSUER), (ISSUER.credential, ANCHOR)):
        link = WatchedLink(Purpose.INSTITUTION, "", leaf.certificate, issuer.credential.certificate)
        said.append(store.evidence(link))
        said += [
            store.is_revoked(issuer.credential.certificate.key_id, leaf.certificate.serial, at)
            for at in LATER
        ]
    for leaf in (BANK, OTHER):
        for at in (*LATER, *TIMES):
            for _ in range(2):
                try:
                    chain = store.check_chain(
                        leaf.certificate, [ISSUER.credential.certificate], Purpose.INSTITUTION, at
                    )
                    said.append((chain.fingerprints, chain.evidence, chain.in_grace))
                except SigningError as error:
                    said.append((error.reason, error.message))
    return said


@settings(deadline=None)
@given(steps=STEPS, required=st.booleans(), most=st.sampled_from([2, 4096]), knows_issuer=st.booleans())
def test_trust_that_grew_is_the_one_made_anew(
    steps: list[Step], *, required: bool, most: int, knows_issuer: bool
) -> None:
    """What a step gains is what the definition says; its store says what one made anew does, whatever it remembers."""
    policy = AnchorPolicy(
        anchor=ANCHOR.credential.certificate.fingerprint, revocation_required=required, grace_hours=6
    )
    trust = Trust.of(
        TrustSet(
            anchors={"INSTITUTION": (ANCHOR.der,)},
            crls=(),
            intermediates=(ISSUER.der,) if knows_issuer else (),
            policies={"INSTITUTION": (policy,)},
        )
    )
    for step in steps:
        fetched, now = step.fetched, LATER[step.at]
        said_of(trust.store)  # which remembers it
        with patch.object(gateway.revocation, "PASSING_MAX", most):
            try:
                due = plainly(trust.now, fetched, now, most)
            except SigningError:
                due = None
            try:
                gained = note(trust, fetched, now)
            except SigningError:
                gained = None
        assert gained == due
        if gained is not None:
            trust = trust.noted(gained)
        assert said_of(trust.store) == said_of(Trust.of(trust.now).store)
