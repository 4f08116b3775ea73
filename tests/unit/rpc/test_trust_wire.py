"""What an operator is told of the trust as it stands."""

from __future__ import annotations

from gateway.cases.effects import TrustSet
from gateway.rpc.trust import encode_trust
from signing.authority import Revocation
from signing.trust import Purpose
from tests.support.ocsp import answer
from tests.support.pki import NOW, sample_pki

PKI = sample_pki().pki
ISSUER, ANCHOR = PKI.issuing[Purpose.INSTITUTION], PKI.anchors[Purpose.INSTITUTION]


def test_evidence_that_no_message_could_hold_is_left_out() -> None:
    """A fetched list may be larger than any answer: what fits is told, and the anchors in any case."""
    large = ISSUER.make_crl([Revocation(n, NOW) for n in range(1, 101)], now=NOW)
    small, said = ANCHOR.make_crl(now=NOW), answer(sample_pki().bank, ISSUER)
    trust = TrustSet(
        anchors={"INSTITUTION": (ANCHOR.der,)}, crls=(large, small), intermediates=(ISSUER.der,), ocsp=(said,)
    )
    (whole,) = encode_trust(trust)
    assert (list(whole.crls), list(whole.ocsp_answers)) == ([small, large], [said])
    for room, crls, answers in (
        (len(small) + len(said), [small], [said]),
        (len(small), [small], []),
        (0, [], []),
    ):
        (wire,) = encode_trust(trust, room)
        assert (list(wire.anchors), list(wire.intermediates)) == ([ANCHOR.der], [ISSUER.der])
        assert (list(wire.crls), list(wire.ocsp_answers)) == (crls, answers)
