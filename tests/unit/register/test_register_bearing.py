"""Golden scenarios of the handbook (11) as far as the table decides them, and each way a cell is split."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from gateway.cases.model import OpenCase
from gateway.register.bearing import Bearing, Context, ContextError, bearing, strictest
from gateway.register.blocks import OPERATIONS, BlocksTableError, Verdict
from gateway.register.blocks import UnitStateCode as S
from gateway.register.model import (
    CoOwnership,
    MortgageKind,
    PreNoticeKind,
    SeizureKind,
    TransferRestriction,
    UnitHold,
    UnitState,
)
from gateway.register.sample_parties import BANK_A, BANK_B
from tests.support.register_state import (
    BUYER,
    NOW,
    SELLER,
    THIRD,
    at,
    dissent,
    habitation,
    mortgage,
    owned,
    person,
    pre_notice,
    seizure,
    state_of,
)

SALE, LOAN = PreNoticeKind.OTHER_SALE, PreNoticeKind.OTHER_MORTGAGE


def _bearing(state: UnitState, operation: str, **context: Any) -> tuple[Bearing, ...]:
    return bearing(state, operation, Context(**({"now": NOW} | context)))


def _verdict(state: UnitState, operation: str, **context: Any) -> Verdict:
    return strictest(_bearing(state, operation, **context))


def _keys(*parties: Any) -> frozenset[tuple[str, str]]:
    return frozenset(p.key for p in parties)


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if not o.startswith("CONSTRUCTION")])
def test_unit_free_is_allowed_everything(operation: str) -> None:
    """Scenario 1: nothing on the unit, nothing in the way."""
    assert _bearing(state_of(), operation) == ()
    assert _verdict(state_of(), operation) is Verdict.ALLOW


def test_mortgaged_unit_takes_another_mortgage_and_its_release() -> None:
    """Scenarios 2 and 3: later rank, and release by the mortgagee alone."""
    state = state_of(mortgage())
    assert _verdict(state, "MORTGAGE_FIRST") is Verdict.ALLOW
    assert _verdict(state, "MORTGAGE_RELEASE", rights=("m1",)) is Verdict.ALLOW


def test_mortgage_without_restriction_lets_the_unit_go_with_notice() -> None:
    """Scenario 4: CC 406 wants notice, not consent."""
    (found,) = _bearing(state_of(mortgage()), "OWNERSHIP_TRANSFER")
    assert (found.verdict, found.reason_code, found.is_met) == (Verdict.WARN, "W-NOTIFY_MORTGAGEE", True)


def test_mortgage_restricted_wants_the_mortgagee_among_the_applicants() -> None:
    """Scenario 6: consent in writing is not enough, the mortgagee joins (N54; SIG 43)."""
    state = state_of(mortgage(transfer_restriction=TransferRestriction.RESTRICTED))
    (alone,) = _bearing(state, "OWNERSHIP_TRANSFER", consenting=_keys(BANK_A))
    assert (alone.reason_code, alone.must_join, alone.missing) == ("R-RESTRICTION", True, (BANK_A,))
    assert alone.stops
    (joined,) = _bearing(state, "OWNERSHIP_TRANSFER", applicants=_keys(BANK_A))
    assert joined.is_met
    assert not joined.stops


def test_mortgage_of_2019_wants_the_mortgagees_written_consent() -> None:
    """Scenarios 7 and 43: PRE_2021 by first registration."""
    state = state_of(
        mortgage(
            first_registered_at=at("2019-03-11T10:00:00"),
            booked_at=at("2023-03-11T10:00:00"),
            transfer_restriction=TransferRestriction.UNRECORDED,
        )
    )
    (found,) = _bearing(state, "OWNERSHIP_TRANSFER")
    assert (found.reason_code, found.must_join, found.missing) == ("R-PRE_CODE_MORTGAGE", False, (BANK_A,))
    assert _bearing(state, "OWNERSHIP_TRANSFER", consenting=_keys(BANK_A))[0].is_met


@pytest.mark.parametrize(
    ("profile", "verdict", "reason"),
    [
        ("REFER", Verdict.REFER, "M-REFER"),
        ("ALLOW_WITH_CONSENT", Verdict.ALLOW_WITH_CONSENT, "R-RESTRICTION"),
        ("BLOCK", Verdict.BLOCK, "R-RESTRICTION"),
    ],
)
def test_mortgage_unrecorded_is_as_the_profile_says_and_never_unrestricted(
    profile: str, verdict: Verdict, reason: str
) -> None:
    """No word since 2021: a person by default (handbook 2.2)."""
    state = state_of(mortgage(transfer_restriction=TransferRestriction.UNRECORDED))
    (found,) = _bearing(state, "OWNERSHIP_TRANSFER", unrecorded_restriction=profile)
    assert (found.verdict, found.reason_code) == (verdict, reason)


def test_mortgage_unrecorded_profile_cannot_allow() -> None:
    """UNRECORDED is never read as NONE, by no profile."""
    state = state_of(mortgage(transfer_restriction=TransferRestriction.UNRECORDED))
    with pytest.raises(ContextError, match="unrecorded_restriction"):
        _bearing(state, "OWNERSHIP_TRANSFER", unrecorded_restriction="ALLOW")


def test_change_adverse_to_a_third_bank_wants_its_consent() -> None:
    """Scenario 9: RD 68; CC 409."""
    third = mortgage("m3", mortgagees=(BANK_B,), rank_at_registration=2)
    state = state_of(mortgage(), third)
    found = _bearing(state, "MORTGAGE_CHANGE", adds_burden=True, adverse_to=("m3",), rights=("m1",))
    assert found[0].reason_code == "R-OTHER_MORTGAGEE"
    assert found[0].missing == (BANK_B,)


def test_sale_pre_notice_wants_its_holders_consent_to_a_mortgage() -> None:
    """Scenario 13: CC 221."""
    state = state_of(pre_notice(SALE, BUYER, SELLER))
    (found,) = _bearing(state, "MORTGAGE_FIRST", obligors=_keys(SELLER), applicants=_keys(SELLER, BANK_B))
    assert (found.reason_code, found.missing, found.stops) == ("R-PRE_NOTICE", (BUYER,), True)
    assert _bearing(state, "MORTGAGE_FIRST", consenting=_keys(BUYER))[0].is_met


def test_pre_notice_second_sale_is_blocked_and_the_buyers_own_mortgage_is_not() -> None:
    """Handbook 3.4: kinds 1 and 2 blocked; 3 and 4 by the holder pass, by another with consent."""
    state = state_of(pre_notice(SALE, BUYER, SELLER))
    create = "PRE_NOTICE_CREATE"
    assert _verdict(state, create, pre_notice_kind=SALE) is Verdict.BLOCK
    assert _verdict(state, create, pre_notice_kind=LOAN, obligors=_keys(BUYER)) is Verdict.ALLOW
    by_seller = _bearing(state, create, pre_notice_kind=LOAN, obligors=_keys(SELLER))
    assert by_seller[0].missing == (BUYER,)


def test_pre_notice_converts_for_its_holder_alone() -> None:
    """Scenario 12, phase 2; somebody else's pre-notice reads as for the final act (SIP 4)."""
    sale, loan = pre_notice(SALE, BUYER, SELLER, "pn1"), pre_notice(LOAN, BANK_B, BUYER, "pn2")
    state = state_of(sale, loan)
    own = _bearing(
        state, "PRE_NOTICE_CONVERT", pre_notice_kind=SALE, rights=("pn1",), transferees=_keys(BUYER)
    )
    assert {b.verdict for b in own} == {Verdict.ALLOW}
    other = _bearing(
        state, "PRE_NOTICE_CONVERT", pre_notice_kind=SALE, rights=("pn9",), transferees=_keys(THIRD)
    )
    assert [(b.reason_code, b.missing) for b in other] == [
        ("R-PRE_NOTICE", (BUYER,)),
        ("R-PRE_NOTICE", (BANK_B,)),
    ]
    mortgage_leg = _bearing(
        state_of(owned(BUYER), loan),
        "PRE_NOTICE_CONVERT",
        pre_notice_kind=LOAN,
        rights=("pn2",),
        obligors=_keys(BUYER),
    )
    assert [b.verdict for b in mortgage_leg] == [Verdict.ALLOW]


def test_transfer_to_the_mortgagor_whom_the_pre_notice_names_needs_no_consent() -> None:
    """PN_MORTGAGE_LIVE: unless the transferee is the mortgagor named in it."""
    state = state_of(pre_notice(LOAN, BANK_B, BUYER))
    assert _verdict(state, "OWNERSHIP_TRANSFER", transferees=_keys(BUYER)) is Verdict.ALLOW
    (found,) = _bearing(state, "OWNERSHIP_TRANSFER", transferees=_keys(THIRD))
    assert found.missing == (BANK_B,)


@pytest.mark.parametrize("facts", [{}, {"accepted_at": at("2025-04-01T09:00:00")}])
def test_seized_unit_takes_no_burden_and_lets_go_of_rights(facts: dict[str, Any]) -> None:
    """Scenarios 14 and 30: REAL 38(2), CC 399(5); releases pass."""
    notice = pre_notice(SALE, BUYER, SELLER)
    state = state_of(mortgage(), notice, seizure(SELLER))
    for operation in ("OWNERSHIP_TRANSFER", "MORTGAGE_FIRST"):
        found = _bearing(state, operation, **facts)
        assert (found[0].verdict, found[0].reason_code) == (Verdict.BLOCK, "R-SEIZED")
    assert _verdict(state, "MORTGAGE_RELEASE", rights=("m1",), **facts) is Verdict.ALLOW
    assert _verdict(state, "PRE_NOTICE_RELEASE", rights=("pn",), **facts) is Verdict.ALLOW
    assert _verdict(state, "MORTGAGE_CHANGE", adds_burden=False, **facts) is Verdict.ALLOW
    assert _verdict(state, "MORTGAGE_CHANGE", adds_burden=True, **facts) is Verdict.BLOCK
    assert _verdict(state, "MORTGAGE_TRANSFER", **facts) is Verdict.REFER


def test_seizure_of_a_former_owner_is_for_a_person_and_never_stops_a_release() -> None:
    """Scenario 15: it lies on the buyer's unit only if directed at the buyer."""
    state = state_of(owned(BUYER), mortgage(), seizure(SELLER))
    assert _verdict(state, "MORTGAGE_FIRST") is Verdict.REFER
    assert _verdict(state, "MORTGAGE_RELEASE", rights=("m1",)) is Verdict.ALLOW


def test_pre_seized_holder_may_be_booked_in_and_may_not_give_up() -> None:
    """Scenarios 33 and 34: conversion of the sale passes, with a mortgage to a person; release is blocked."""
    notice = pre_notice(SALE, BUYER, SELLER)
    state = state_of(notice, seizure(BUYER, kind=SeizureKind.PRE_SEIZURE))
    own = {"rights": ("pn",), "transferees": _keys(BUYER)}
    assert _verdict(state, "PRE_NOTICE_CONVERT", pre_notice_kind=SALE, **own) is Verdict.ALLOW
    leg = {"pre_notice_kind": LOAN, "obligors": _keys(BUYER)}
    assert _verdict(state, "PRE_NOTICE_CONVERT", **leg) is Verdict.REFER
    for operation in ("PRE_NOTICE_RELEASE", "OWNERSHIP_TRANSFER"):
        found = _bearing(state, operation, rights=("pn",))
        assert (found[0].verdict, found[0].reason_code) == (Verdict.BLOCK, "R-SEIZED")


def test_joint_owners_all_apply() -> None:
    """Scenario 17: one of two signs."""
    state = state_of(owned(SELLER, BUYER))
    (found,) = _bearing(state, "MORTGAGE_FIRST", applicants=_keys(SELLER), consenting=_keys(BUYER))
    assert (found.reason_code, found.missing, found.must_join) == ("R-CO_OWNER", (BUYER,), True)
    assert _bearing(state, "MORTGAGE_FIRST", applicants=_keys(SELLER, BUYER))[0].is_met


def _brothers() -> UnitState:
    return state_of(owned(SELLER, BUYER, THIRD, shares=((1, 3), (1, 3), (1, 3))))


@pytest.mark.parametrize(
    ("signers", "transfer", "mortgaged"),
    [
        ((SELLER, BUYER, THIRD), Verdict.ALLOW, Verdict.ALLOW),
        ((SELLER, BUYER), Verdict.REFER, Verdict.ALLOW),
        ((SELLER,), Verdict.BLOCK, Verdict.BLOCK),
        ((), Verdict.BLOCK, Verdict.BLOCK),
    ],
)
def test_three_brothers_dispose_by_shares(
    signers: tuple[Any, ...], transfer: Verdict, mortgaged: Verdict
) -> None:
    """Scenario 18: two thirds mortgage (CC 301); whether they sell is for a person (REAL 38(4))."""
    assert _verdict(_brothers(), "OWNERSHIP_TRANSFER", applicants=_keys(*signers)) is transfer
    assert _verdict(_brothers(), "MORTGAGE_FIRST", applicants=_keys(*signers)) is mortgaged


def test_three_brothers_two_sell_where_the_profile_lets_them() -> None:
    """Profile two_thirds_disposal: ALLOW or REFER, nothing else."""
    two = _keys(SELLER, BUYER)
    context = {"applicants": two, "two_thirds_disposal": "ALLOW"}
    assert _verdict(_brothers(), "OWNERSHIP_TRANSFER", **context) is Verdict.ALLOW
    sale = {"pre_notice_kind": SALE, **context}
    assert _verdict(_brothers(), "PRE_NOTICE_CREATE", **sale) is Verdict.ALLOW
    with pytest.raises(ContextError):
        _bearing(_brothers(), "OWNERSHIP_TRANSFER", applicants=two, two_thirds_disposal="BLOCK")


def test_own_share_is_sold_with_notice_to_the_others() -> None:
    """CC 305, 306: first refusal; the paper shows that they were told."""
    (found,) = _bearing(_brothers(), "OWNERSHIP_TRANSFER", own_share=True, applicants=_keys(SELLER))
    assert (found.reason_code, found.is_met) == ("R-CO_OWNER", False)
    papers = frozenset({S.CO_OWNED_BY_SHARES})
    assert _bearing(_brothers(), "OWNERSHIP_TRANSFER", own_share=True, papers=papers)[0].is_met


def test_shares_unrecorded_count_nothing() -> None:
    """A share that the register does not say is not guessed (CC 309)."""
    state = state_of(owned(SELLER, BUYER, form=CoOwnership.BY_SHARES))
    assert _verdict(state, "MORTGAGE_FIRST", applicants=_keys(SELLER)) is Verdict.BLOCK
    assert _verdict(state, "MORTGAGE_FIRST", applicants=_keys(SELLER, BUYER)) is Verdict.ALLOW


def test_taxes_uncleared_hold_the_transfer_and_not_the_mortgage() -> None:
    """Scenarios 22 and 37: a gate at booking, S-TAX."""
    (found,) = _bearing(state_of(), "OWNERSHIP_TRANSFER", taxes_uncleared=True)
    assert (found.verdict, found.reason_code) == (Verdict.WAIT, "S-TAX")
    assert _bearing(state_of(), "MORTGAGE_FIRST", taxes_uncleared=True) == ()


def test_release_passes_the_queue_unless_it_names_the_same_right() -> None:
    """Scenarios 35 and 36."""
    state = state_of(mortgage())
    first = OpenCase(application_id="c", accepted_index=5)
    change = OpenCase(application_id="c", accepted_index=5, rights=("m1",))
    release = {"rights": ("m1",)}
    assert _verdict(state, "MORTGAGE_RELEASE", open_cases=(first,), **release) is Verdict.ALLOW
    found = _bearing(state, "MORTGAGE_RELEASE", open_cases=(change,), **release)
    assert (found[0].verdict, found[0].reason_code, found[0].case) == (Verdict.WAIT, "S-QUEUE", "c")


def test_second_mortgage_waits_for_the_earlier_case() -> None:
    """Scenario 20: RD 67."""
    earlier = OpenCase(application_id="c", accepted_index=5)
    assert _verdict(state_of(), "MORTGAGE_FIRST", open_cases=(earlier,)) is Verdict.WAIT


def test_dissent_asks_for_the_risk_statement_then_for_a_person() -> None:
    """Scenario 44."""
    state = state_of(dissent())
    assert _bearing(state, "MORTGAGE_FIRST")[0].reason_code == "C-DISSENT"
    (found,) = _bearing(state, "MORTGAGE_FIRST", risk_statement=True)
    assert (found.verdict, found.reason_code) == (Verdict.REFER, "M-REFER")
    assert _verdict(state, "MORTGAGE_RELEASE") is Verdict.ALLOW


@pytest.mark.parametrize("operation", OPERATIONS)
def test_counter_feed_gap_refers_every_operation(operation: str) -> None:
    """Scenario 45."""
    assert _verdict(state_of(), operation, feed_gap=True) is Verdict.REFER


def test_several_states_are_all_listed_strictest_first() -> None:
    """The strictest verdict rules, and all reasons are told (handbook 3.4)."""
    earlier = OpenCase(application_id="c", accepted_index=5)
    state = state_of(dissent(), habitation(), seizure(SELLER))
    found = _bearing(state, "MORTGAGE_FIRST", open_cases=(earlier,))
    assert [b.state for b in found] == [S.SEIZED, S.EARLIER_CASE_PENDING, S.DISSENT, S.HABITATION]


def test_minor_owner_needs_guardian_and_statement() -> None:
    """RD 11: the guardian applies and states that it is for the ward's benefit."""
    guardian = person(8)
    state = state_of(owned(person(9, born="2018-05-01", guardian=guardian)))
    papers = frozenset({S.UNDER_AGE_OR_INCAPABLE_OWNER})
    (found,) = _bearing(state, "MORTGAGE_FIRST", papers=papers)
    assert (found.reason_code, found.missing) == ("R-GUARDIAN", (guardian,))
    assert not _bearing(state, "MORTGAGE_FIRST", applicants=_keys(guardian))[0].is_met
    assert _bearing(state, "MORTGAGE_FIRST", applicants=_keys(guardian), papers=papers)[0].is_met


def test_minor_owner_without_guardian_of_record_is_never_met() -> None:
    """A ward's own word does not count."""
    child = person(9, born="2018-05-01")
    papers = frozenset({S.UNDER_AGE_OR_INCAPABLE_OWNER})
    (found,) = _bearing(state_of(owned(child)), "MORTGAGE_FIRST", applicants=_keys(child), papers=papers)
    assert (found.missing, found.is_met) == ((child,), False)


def test_minor_holder_bears_on_the_pre_notices_release_alone() -> None:
    """The holder who gives up the pre-notice is the ward there, the owner elsewhere."""
    child = person(9, born="2018-05-01", guardian=person(8))
    state = state_of(pre_notice(SALE, child, SELLER))
    ward = S.UNDER_AGE_OR_INCAPABLE_OWNER
    assert ward in {b.state for b in _bearing(state, "PRE_NOTICE_RELEASE", rights=("pn",))}
    assert ward not in {b.state for b in _bearing(state, "MORTGAGE_FIRST")}


def test_maximum_amount_transfer_wants_the_agreement() -> None:
    """CC 421: a part of the claim moves without the mortgage unless agreed."""
    row = mortgage(kind=MortgageKind.MAXIMUM_AMOUNT, claim_amount_fen=None, max_claim_amount_fen=1)
    found = _bearing(state_of(row), "MORTGAGE_TRANSFER", rights=("m1",))
    assert (found[0].reason_code, found[0].consent_of, found[0].is_met) == ("R-MAX_NOT_FIXED", (), False)
    agreed = frozenset({S.MAX_AMOUNT_NOT_FIXED})
    assert all(b.is_met for b in _bearing(state_of(row), "MORTGAGE_TRANSFER", papers=agreed))


def test_prohibited_collateral_may_be_sold_and_not_mortgaged() -> None:
    """CC 399 bars mortgaging."""
    state = state_of(holds=(UnitHold.PROHIBITED_COLLATERAL,))
    assert _bearing(state, "MORTGAGE_FIRST")[0].reason_code == "R-PROHIBITED"
    assert _bearing(state, "OWNERSHIP_TRANSFER") == ()
    assert _verdict(state, "PRE_NOTICE_CREATE", pre_notice_kind=LOAN) is Verdict.BLOCK


def test_unit_never_first_registered_takes_pre_sale_pre_notices_only() -> None:
    """RD 24, 85, 86."""
    state = state_of(first_registered=False)
    expected = {
        PreNoticeKind.PRESALE_SALE: Verdict.ALLOW,
        PreNoticeKind.OTHER_SALE: Verdict.BLOCK,
        PreNoticeKind.PRESALE_MORTGAGE: Verdict.ALLOW,
        PreNoticeKind.OTHER_MORTGAGE: Verdict.BLOCK,
    }
    for kind, wanted in expected.items():
        assert _verdict(state, "PRE_NOTICE_CREATE", pre_notice_kind=kind) is wanted
    assert _bearing(state, "MORTGAGE_FIRST")[0].reason_code == "R-NO_FIRST_REGISTRATION"


def test_split_cell_without_its_fact_is_an_error() -> None:
    """Whether a change adds a burden, and what a pre-notice is of, is never guessed."""
    with pytest.raises(ContextError, match="burden"):
        _bearing(state_of(seizure(SELLER)), "MORTGAGE_CHANGE")
    with pytest.raises(ContextError, match="kind"):
        _bearing(state_of(mortgage()), "PRE_NOTICE_CREATE")


def test_unknown_operation_is_an_error() -> None:
    """An operation that the table has no column for is never allowed."""
    with pytest.raises(BlocksTableError):
        _bearing(state_of(mortgage()), "GIFT")


def test_mortgagee_under_another_name_is_told_by_number() -> None:
    """Parties are compared by number, never by name."""
    state = state_of(mortgage(transfer_restriction=TransferRestriction.RESTRICTED))
    renamed = replace(BANK_A, name="青禾示例银行（更名）")
    assert _bearing(state, "OWNERSHIP_TRANSFER", applicants=_keys(renamed))[0].is_met
