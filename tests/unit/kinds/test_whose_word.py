"""Whose word is wanted, and for what: consents by their paper, guardians by whose right it is, others by their harm
(CC 301, 409; N54; RD 11, 68).
"""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from gateway.cases.model import Result
from gateway.cases.terms import ChangeItem, MortgageChange, ReleaseGround
from gateway.register.findings import Severity
from gateway.register.model import Capacity, CoOwnership, Owner, TransferRestriction
from tests.support import blocked as b
from tests.support import blocked_states as s
from tests.support.blocked import A, B, S, Scene, Y

WARD = replace(Y, capacity=Capacity.LIMITED, guardian=s.GUARDIAN)


def scene(operation: str, variant: str = "*") -> Scene:
    """The operation as the blocks table's tests file it."""
    return b.scenes_of(operation, variant)[-1]


def bars(filed: Scene, **how: Any) -> set[str]:
    """Rules and codes of what keeps it from acceptance."""
    found = filed.decided(**how).outcome.findings
    return {f.rule or f.code for f in found if f.severity is Severity.BLOCKS}


@pytest.mark.parametrize(
    ("paper", "heard"),
    [("MORTGAGEE_JOINT", True), ("OTHER_MORTGAGEE_CONSENT", False), ("PRE_NOTICE_HOLDER_CONSENT", False)],
)
def test_consent_to_something_else_is_no_consent_to_the_transfer(paper: str, heard: bool) -> None:
    """A mortgage of 2019: its bank consents to the transfer, not to a rank or as holder of a pre-notice (N54)."""
    sold = s.STATES["MORTGAGE_PRE_2021"](scene("PRE_NOTICE_CREATE", "KIND_2"))
    sold = replace(sold, bound=(B,))
    assert bars(sold) == {"R-PRE_CODE_MORTGAGE"}
    assert bars(s.consented(sold, paper, A)) == (set() if heard else {"R-PRE_CODE_MORTGAGE"})


def test_co_owner_who_is_to_fix_the_claim_is_awaited() -> None:
    """Named in the terms and not yet signed: the case awaits it; it is not sent away (handbook 3.6)."""
    both = (S, b.BROTHER)
    maximum = replace(b.MAXIMUM, mortgagors=both)
    owners = tuple(Owner(person=p) for p in both)
    filed = replace(
        scene("MORTGAGE_CLAIM_FIXING").with_step(mortgagors=both),
        rights=(maximum,),
        owners=owners,
        co_ownership=CoOwnership.JOINT,
    )
    what = filed.submission()
    only = {p.id_number for p in (S, A, B)}
    papers = tuple(
        replace(p, signatures=tuple(x for x in p.signatures if x.number in only))
        if p.reference.paper_code in ("APPLICATION", "INQUIRY_RECORD")
        else p
        for p in what.papers
    )
    decision = b.c.decide(filed.world(), replace(what, papers=papers))
    assert decision.outcome.result is Result.AWAITING_PARTIES
    assert [a.name for a in decision.outcome.awaiting] == [b.BROTHER.name]


def test_somebody_elses_mortgage_is_a_burden_on_a_seized_flat() -> None:
    """EX 24: a new mortgagor is one of the burdens of the table, as a larger sum is."""
    both = (Owner(person=S), Owner(person=b.BROTHER))
    step = MortgageChange(
        units=b.M1.units,
        proof=b.M1.proof,
        items=(ChangeItem.MORTGAGOR,),
        content=b.content(b.M1, mortgagors=(S, b.BROTHER)),
    )
    filed = Scene(
        steps=(step,), rights=(b.M1,), owners=both, co_ownership=CoOwnership.JOINT, bound=(A, B, b.BROTHER)
    )
    assert bars(filed) == set()
    assert bars(s.STATES["SEIZED"](filed)) == {"R-SEIZED"}


def test_word_on_transfer_takes_nothing_from_another_mortgagee() -> None:
    """RD 68 asks others about sum, scope, term and rank; a restriction between A and S leaves C where it is."""
    step = MortgageChange(
        units=b.M1.units,
        proof=b.M1.proof,
        items=(ChangeItem.TRANSFER_RESTRICTION,),
        content=b.content(b.M1, transfer_restriction=TransferRestriction.RESTRICTED),
    )
    assert bars(Scene(steps=(step,), rights=(b.M1, b.BEHIND))) == set()


def test_guardian_of_a_buyer_can_apply_for_its_conversion() -> None:
    """RD 11: the ward's guardian applies; asked for, it must also be able to be heard."""
    sale = replace(b.SALE, holders=(WARD,))
    buying = (Owner(person=WARD),)
    step = b.converted_sale(transfer=b.d.transfer(buyers=buying, applicants=()), applicants=(S, WARD))
    filed = replace(scene("PRE_NOTICE_CONVERT", "SALE"), steps=(step,), rights=(sale,))
    assert bars(filed) == {"R-GUARDIAN"}
    assert bars(s.cured(filed, "R-GUARDIAN")) == set()


def test_owner_who_is_a_ward_and_not_asked_by_the_table_has_its_guardian_proved() -> None:
    """RD 89: both sides end the pre-notice by agreement. The owner gives nothing up, and still acts by its guardian."""
    owner = replace(S, capacity=Capacity.LIMITED, guardian=s.GUARDIAN)
    step = replace(b.waived(), ground=ReleaseGround.AGREEMENT, applicants=(Y, owner))
    bound = (*scene("PRE_NOTICE_RELEASE").bound, s.GUARDIAN)
    filed = replace(
        scene("PRE_NOTICE_RELEASE"),
        steps=(step,),
        rights=(b.SALE,),
        owners=(Owner(person=owner),),
        bound=bound,
    )
    assert "N-INCOMPLETE" in bars(filed)
    assert bars(s.consented(filed, "GUARDIAN", s.GUARDIAN)) == set()


def test_ward_beside_a_release_is_not_asked() -> None:
    """The bank ends its own pre-notice; that a ward holds another on the flat is nobody's business here (RD 89)."""
    wards = replace(b.SALE, holders=(WARD,), right_id="5.9")
    own = b.LOAN
    step = replace(b.waived(), proof=own.proof, holders=(B,), applicants=(B,))
    filed = replace(scene("PRE_NOTICE_RELEASE"), steps=(step,), rights=(own, wards))
    assert bars(filed) == set()
