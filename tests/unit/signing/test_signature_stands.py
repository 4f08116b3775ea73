"""A signature that held at upload, when a case uses it later: revoked since, proven by a time stamp, anchor gone."""

from __future__ import annotations

import datetime as dt

import pytest
from msgspec.structs import replace

from gateway.register.authority import RegisteredKey
from gateway.worlds.world import is_by_ended_key, stands
from signing.pdf import check_pdf
from signing.pki import Credential
from signing.seal import append_signature
from signing.trust import Purpose, TrustStore
from signing.verdict import SignatureVerdict
from tests.support import cases as c
from tests.support.pdf_files import make_pdf
from tests.support.pki import NOW, rsa_key, sample_pki, timestamper, timestamper_of

HOUR = dt.timedelta(hours=1)
LATER = NOW + dt.timedelta(days=30)


def signature(*, stamped: bool, tsa: Credential | None = None) -> SignatureVerdict:
    """The seller's signature on a file that was in order when it came."""
    pdf = append_signature(
        make_pdf(),
        sample_pki().seller.signer(),
        reason="x",
        at=NOW,
        timestamper=(timestamper_of(tsa, NOW) if tsa else timestamper(NOW)) if stamped else None,
    )
    [found] = check_pdf(pdf, sample_pki().trust, NOW + HOUR).signatures
    assert (found.proven_at is not None) is stamped
    return found


@pytest.mark.parametrize(
    ("stamped", "revoked_from_now", "holds"),
    [
        (True, HOUR, True),  # after the proven time: the signature was made by a good key
        (True, -HOUR, False),
        (False, HOUR, False),  # nothing proves that it is older
    ],
)
def test_revocation_counts_at_the_proven_time(
    stamped: bool, revoked_from_now: dt.timedelta, holds: bool
) -> None:
    """A token saves what was signed before the revocation, and nothing else (ESL 13)."""
    sample = sample_pki()
    revoking = sample.trust_revoking(sample.seller, since=NOW + revoked_from_now)
    found = signature(stamped=stamped)
    assert stands(found, sample.trust, LATER)
    assert stands(found, revoking, LATER) is holds


@pytest.mark.parametrize("since", [-HOUR, HOUR])
def test_stamp_of_an_authority_that_was_revoked_since_proves_no_time(since: dt.timedelta) -> None:
    """Whoever stole its key could date back, so the signature counts as of now: gone with its certificate's revocation,
    and good without one.
    """
    sample = sample_pki()
    tsa = sample.pki.issue_tsa(key=rsa_key())
    found = signature(stamped=True, tsa=tsa)
    seller = sample.trust_revoking(sample.seller, since=NOW + HOUR)
    alone = sample.trust_revoking(tsa, since=NOW + since)
    lists = zip(seller.crls, alone.crls, strict=True)
    both = sample.pki.trust_store([max(pair, key=len) for pair in lists])  # those that name somebody
    assert stands(found, seller, LATER)
    assert not stands(found, both, LATER)
    assert stands(found, alone, LATER)


def test_stamp_of_an_authority_that_is_trusted_no_more_proves_no_time() -> None:
    """Its anchor was taken out of the registry's trust."""
    sample = sample_pki()
    revoking = sample.trust_revoking(sample.seller, since=NOW + HOUR)
    anchors = {purpose: ders for purpose, ders in revoking.anchors.items() if purpose is not Purpose.TSA}
    lists = [der for der in revoking.crls if b"tsa" not in der]
    without = TrustStore(anchors, crls=lists, intermediates=revoking.intermediates)
    found = signature(stamped=True)
    assert stands(found, revoking, LATER)
    assert not stands(found, without, LATER)


def test_verdict_that_was_kept_before_it_told_who_stamped_is_believed() -> None:
    """Nothing is there to ask by; the stamp held when the file came."""
    sample = sample_pki()
    revoking = sample.trust_revoking(sample.seller, since=NOW + HOUR)
    assert stands(replace(signature(stamped=True), stamped_by=None), revoking, LATER)


def test_no_token_saves_a_signature_whose_anchor_is_trusted_no_more() -> None:
    """Whom we believe is asked now."""
    assert not stands(signature(stamped=True), TrustStore({}), LATER)


@pytest.mark.parametrize(
    ("begins", "ends", "stamped", "ended"),
    [
        (None, None, False, False),
        (None, HOUR, False, True),  # when the file came
        (None, 2 * HOUR, False, False),
        (None, HOUR, True, False),  # a token proves that it was made before
        (None, -HOUR, True, True),
        (2 * HOUR, None, False, True),
    ],
)
def test_registered_key_seals_no_paper_outside_its_term(
    begins: dt.timedelta | None, ends: dt.timedelta | None, stamped: bool, ended: bool
) -> None:
    """A key that an operator ended is of no more use on a paper than under an envelope, whatever its certificate."""
    found = signature(stamped=stamped)
    key = RegisteredKey(
        key_id=found.key_id,
        not_before=None if begins is None else NOW + begins,
        not_after=None if ends is None else NOW + ends,
    )
    owner = replace(c.institution(c.BANK), keys=(RegisteredKey(key_id="0" * 64, not_after=NOW), key))
    assert is_by_ended_key(found, [c.institution(c.OTHER_BANK), owner]) is ended
