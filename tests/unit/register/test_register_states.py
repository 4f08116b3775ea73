"""Which states hold on a unit: each state of the table arises from the register as the law says."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.cases.model import OpenCase
from gateway.register.blocks import UnitStateCode as S
from gateway.register.model import (
    Capacity,
    CoOwnership,
    MortgageKind,
    PreNoticeKind,
    SeizureKind,
    TransferRestriction,
    UnitHold,
    UnitState,
)
from gateway.register.sample_parties import BANK_A
from gateway.register.states import Facts, is_minor, mortgage_state_codes, states_of
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

SALE = PreNoticeKind.OTHER_SALE


def _codes(state: UnitState, **facts: Any) -> list[S]:
    return [found.code for found in states_of(state, Facts(**({"now": NOW} | facts)))]


def test_unit_free_has_no_state() -> None:
    """A sole adult owner's flat with nothing on it: nothing bears on anything."""
    assert _codes(state_of()) == []


@pytest.mark.parametrize(
    ("first_registered", "restriction", "expected"),
    [
        ("2023-05-09T14:00:00", TransferRestriction.NONE, [S.MORTGAGE_UNRESTRICTED]),
        ("2023-05-09T14:00:00", TransferRestriction.RESTRICTED, [S.MORTGAGE_RESTRICTED]),
        ("2023-05-09T14:00:00", TransferRestriction.UNRECORDED, [S.MORTGAGE_UNRECORDED]),
        ("2019-05-09T14:00:00", TransferRestriction.UNRECORDED, [S.MORTGAGE_PRE_2021]),
        ("2019-05-09T14:00:00", TransferRestriction.NONE, [S.MORTGAGE_PRE_2021]),
        ("2019-05-09T14:00:00", TransferRestriction.RESTRICTED, [S.MORTGAGE_PRE_2021, S.MORTGAGE_RESTRICTED]),
        ("2020-12-31T23:59:59", TransferRestriction.UNRECORDED, [S.MORTGAGE_PRE_2021]),
        ("2021-01-01T00:00:00", TransferRestriction.UNRECORDED, [S.MORTGAGE_UNRECORDED]),
    ],
)
def test_mortgage_state_follows_first_registration_in_china(
    first_registered: str, restriction: TransferRestriction, expected: list[S]
) -> None:
    """Before 2021-01-01 China time is PRE_2021 whatever came later; no word since is UNRECORDED (N54)."""
    row = mortgage(first_registered_at=at(first_registered), transfer_restriction=restriction)
    assert list(mortgage_state_codes(row)) == expected


def test_mortgage_changed_later_is_still_pre_2021() -> None:
    """A mortgage of 2019 changed in 2023 keeps its first registration (scenario 43)."""
    row = mortgage(first_registered_at=at("2019-03-11T10:00:00"), booked_at=at("2023-03-11T10:00:00"))
    assert mortgage_state_codes(row) == (S.MORTGAGE_PRE_2021,)


def test_mortgage_of_building_site_is_a_construction_mortgage_alone() -> None:
    """DYBDCLX 4 has rows of its own (RD 75-77)."""
    assert _codes(state_of(mortgage(collateral_kind="LAND_AND_CONSTRUCTION"))) == [
        S.CONSTRUCTION_MORTGAGE_LIVE
    ]


def test_mortgage_maximum_amount_is_not_fixed_until_booked_as_ordinary() -> None:
    """CC 423: fixing is a change that books an ordinary mortgage."""
    row = mortgage(kind=MortgageKind.MAXIMUM_AMOUNT, claim_amount_fen=None, max_claim_amount_fen=1)
    assert S.MAX_AMOUNT_NOT_FIXED in mortgage_state_codes(row)


def test_seizure_of_the_owner_is_seized_and_the_next_waits() -> None:
    """Order of service, not of entry (scenario 32; EX 26)."""
    early = seizure(
        SELLER, right_id="z", served_at=at("2025-04-01T08:50:00"), kind=SeizureKind.WAITING_SEIZURE
    )
    late = seizure(SELLER, right_id="x", served_at=at("2025-04-01T09:00:00"))
    found = states_of(state_of(late, early), Facts(now=NOW))
    assert [(f.code, f.right and f.right.right_id) for f in found] == [
        (S.SEIZED, "z"),
        (S.SEIZED_WAITING, "x"),
    ]


def test_seizure_past_its_end_lapses_and_the_waiting_one_moves_up() -> None:
    """EX 27, 26: not renewed, it has no effect; the next becomes live by itself."""
    over = seizure(SELLER, until=dt.date(2026, 11, 19))
    waiting = seizure(
        SELLER, right_id="s2", kind=SeizureKind.WAITING_SEIZURE, served_at=at("2025-06-01T09:00:00")
    )
    assert _codes(state_of(over, waiting)) == [S.SEIZED]
    assert _codes(state_of(seizure(SELLER, until=dt.date(2026, 11, 20)))) == [S.SEIZED]


def test_seizure_served_after_acceptance_arrives_while_pending() -> None:
    """Service before booking stops a case that is accepted (EX 23; scenario 14)."""
    accepted = at("2025-04-01T09:00:00")
    assert _codes(state_of(seizure(SELLER)), accepted_at=accepted) == [S.SEIZURE_ARRIVES_WHILE_PENDING]


def test_seizure_of_somebody_else_served_after_the_booking_goes_to_a_person() -> None:
    """A seizure of the seller does not follow a unit that was the buyer's before service (scenario 15)."""
    assert _codes(state_of(owned(BUYER), seizure(SELLER))) == [S.SEIZURE_TARGET_NOT_OWNER]


def test_seizure_of_somebody_else_served_before_the_booking_is_seized() -> None:
    """Served first, the court comes first; nothing passes by itself (EX 23)."""
    mine = replace(owned(BUYER), booked_at=at("2025-04-01T10:10:00"))
    assert _codes(state_of(mine, seizure(SELLER))) == [S.SEIZED]


def test_seizure_of_the_buyer_in_a_pre_notice_bites_what_the_buyer_has() -> None:
    """Whatever the court's paper calls it: the buyer owns nothing yet but the pre-notice (法发〔2004〕5号)."""
    notice = pre_notice(SALE, BUYER, SELLER)
    assert S.PRE_SEIZED_HOLDER in _codes(state_of(notice, seizure(BUYER)))
    assert S.SEIZED in _codes(state_of(owned(BUYER), notice, seizure(BUYER)))


def test_seizure_of_the_mortgagees_claim_is_not_one_of_the_owners_unit() -> None:
    """Served before whoever owns now was booked, it goes with the claim all the same (CC 407; handbook 3.4)."""
    mine = replace(owned(BUYER), booked_at=at("2025-04-01T10:10:00"))
    state = state_of(mine, mortgage(), seizure(BANK_A))
    codes = _codes(state)
    assert S.SEIZURE_TARGET_NOT_OWNER in codes
    assert S.SEIZED not in codes


def test_seizure_of_the_owner_under_another_document_is_seized() -> None:
    """A passport in the court's paper must not hide a seizure."""
    other = replace(THIRD, name=SELLER.name)
    assert _codes(state_of(seizure(other))) == [S.SEIZED]


def test_pre_seizure_of_the_holder_is_a_state_of_its_own_and_of_the_owner_a_seizure() -> None:
    """法发〔2004〕5号: against the holder of a pre-notice, or read as SEIZED."""
    notice = pre_notice(SALE, BUYER, SELLER)
    of_holder = seizure(BUYER, kind=SeizureKind.PRE_SEIZURE)
    of_owner = seizure(SELLER, kind=SeizureKind.PRE_SEIZURE)
    assert S.PRE_SEIZED_HOLDER in _codes(state_of(notice, of_holder))
    assert S.SEIZED not in _codes(state_of(notice, of_holder))
    assert _codes(state_of(of_owner)) == [S.SEIZED]


def test_pre_notices_are_told_apart_by_what_they_protect() -> None:
    """Kinds 1 and 2 are of a sale, 3 and 4 of a mortgage (YGDJZL)."""
    for kind, code in zip(
        PreNoticeKind,
        [S.PN_SALE_LIVE, S.PN_SALE_LIVE, S.PN_MORTGAGE_LIVE, S.PN_MORTGAGE_LIVE],
        strict=True,
    ):
        assert _codes(state_of(pre_notice(kind, BUYER, SELLER))) == [code]


def test_co_ownership_joint_by_shares_and_other() -> None:
    """其他共有 mixes both: every owner is asked as in joint co-ownership (CC 301, 308)."""
    assert _codes(state_of(owned(SELLER, BUYER))) == [S.CO_OWNED_JOINT]
    assert _codes(state_of(owned(SELLER, BUYER, shares=((1, 2), (1, 2))))) == [S.CO_OWNED_BY_SHARES]
    assert _codes(state_of(owned(SELLER, BUYER, form=CoOwnership.OTHER))) == [S.CO_OWNED_JOINT]


def test_owner_comes_of_age_on_the_eighteenth_birthday_in_china() -> None:
    """CC 17, by the day in China: 2026-11-20T00:00 there is still the 19th in UTC."""
    child = person(9, born="2008-11-20")
    assert is_minor(child, at("2026-11-19T23:59:59"))
    assert not is_minor(child, at("2026-11-20T00:00:00"))
    assert _codes(state_of(owned(child)), now=at("2026-11-19T12:00:00")) == [S.UNDER_AGE_OR_INCAPABLE_OWNER]


def test_owner_born_on_leap_day_comes_of_age_in_a_common_year() -> None:
    """29 February has no birthday eighteen years on: 1 March it is."""
    child = person(9, born="2008-02-29")
    assert is_minor(child, at("2026-02-28T12:00:00"))
    assert not is_minor(child, at("2026-03-01T12:00:00"))


def test_owner_of_limited_capacity_needs_a_guardian() -> None:
    """RD 11: capacity counts, not age alone."""
    assert _codes(state_of(owned(replace(SELLER, capacity=Capacity.LIMITED)))) == [
        S.UNDER_AGE_OR_INCAPABLE_OWNER
    ]


@pytest.mark.parametrize("hold", list(UnitHold))
def test_hold_is_the_state_of_its_name(hold: UnitHold) -> None:
    """Every hold is a state of the table."""
    assert _codes(state_of(holds=(hold,))) == [S(hold.value)]


def test_unit_without_first_registration_or_owner_is_not_first_registered() -> None:
    """RD 24: no owner's row, no final right."""
    assert _codes(state_of(first_registered=False)) == [S.NOT_FIRST_REGISTERED]
    bare = state_of()
    assert _codes(replace(bare, rights=())) == [S.NOT_FIRST_REGISTERED]


@pytest.mark.parametrize(
    "unit",
    [
        {"land_nature": "HOMESTEAD"},
        {"unit_code": "320281001001JC00001F00010001"},
        {"unit_code": "320281001001ZB00001F00010001"},
        {"unit_code": "320281001001GW00001F00010001"},
    ],
)
def test_unit_that_may_not_be_mortgaged_shows_in_its_data(unit: dict[str, str]) -> None:
    """CC 399: homestead, collective and undetermined land."""
    assert _codes(state_of(**unit)) == [S.PROHIBITED_COLLATERAL]


def test_land_term_over_expires_workshops_but_never_homes() -> None:
    """IR 22(3); land under housing renews by itself (CC 359)."""
    over = dt.date(2026, 11, 19)
    assert _codes(state_of(use="INDUSTRIAL", land_term_end=over)) == [S.RIGHT_EXPIRED]
    assert _codes(state_of(use="RESIDENTIAL", land_term_end=over)) == []
    assert _codes(state_of(use="INDUSTRIAL", land_term_end=dt.date(2026, 11, 20))) == []


def test_dissent_and_habitation_are_states() -> None:
    """CC 220, 366; habitation ends with its term (CC 370)."""
    assert _codes(state_of(dissent(), habitation())) == [S.DISSENT, S.HABITATION]
    assert _codes(state_of(habitation(dt.date(2026, 11, 19)))) == []


def test_earlier_case_is_one_accepted_before_and_never_the_own_one() -> None:
    """The queue runs from acceptance (RD 67; scenario 25); before it, every open case is earlier."""
    cases = (OpenCase(application_id="a", accepted_index=5), OpenCase(application_id="b", accepted_index=9))
    own = {"open_cases": cases, "own_case": "b", "own_accepted_index": 9}
    found = states_of(state_of(), Facts(now=NOW, **own))  # type: ignore[arg-type]
    assert [f.case and f.case.application_id for f in found] == ["a"]
    assert _codes(state_of(), open_cases=cases) == [S.EARLIER_CASE_PENDING] * 2
    assert _codes(state_of(), open_cases=cases, own_case="a", own_accepted_index=5) == []


def test_facts_outside_the_register_are_states() -> None:
    """Taxes, the counter's feed, easements and harm to other mortgagees are told, not looked up."""
    facts = {"taxes_uncleared": True, "feed_gap": True, "easement": True, "adverse_to": ("m1",)}
    assert _codes(state_of(mortgage()), **facts) == [
        S.MORTGAGE_UNRESTRICTED,
        S.ADVERSE_TO_OTHER_MORTGAGEE,
        S.TAX_UNCLEARED,
        S.DATA_FEED_GAP,
        S.EASEMENT,
    ]
