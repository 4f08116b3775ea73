"""Properties of booking that hold whatever the case: all steps or none, ranks in step order, numbers without gaps."""

from __future__ import annotations

import datetime as dt
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.applications.booking import Ahead, book_phase
from gateway.cases.effects import (
    CertificateEnded,
    CertificateNumbered,
    CounterMoved,
    RightBooked,
    RightEnded,
)
from gateway.cases.model import Result
from gateway.cases.terms import AnyOperation, Terms
from gateway.register.model import CertificateRef, Mortgage, Seizure, SeizureKind, UnitState
from gateway.register.rank import current_ranks
from tests.support import cases as c
from tests.support import deals as d

_BOOKING = (RightBooked, RightEnded, CertificateNumbered, CertificateEnded)
_SEIZURE = Seizure(
    right_id="0.9",
    units=(c.UNIT,),
    case_number="",
    booked_at=c.NOW,
    booked_by="法院",
    kind=SeizureKind.SEIZURE,
    target=d.SELLER,
    extent="全部",
    authority="某法院",
    instrument_no="1",
    served_at=c.NOW,
    until=dt.date(2029, 1, 1),
)


def _earlier(count: int) -> list[Mortgage]:
    """Mortgages of record before the case, in order."""
    return [
        c.mortgage_row(
            right_id=f"0.{n + 2}",
            rank_at_registration=n + 1,
            priority_date=c.NOW - dt.timedelta(days=100 - n),
            proof=CertificateRef(number=f"苏(2022)江阴市不动产证明第{n + 100:07d}号"),
        )
        for n in range(count)
    ]


@given(
    operations=st.permutations(d.steps()).flatmap(
        lambda them: st.integers(1, 3).map(lambda count: tuple(them[:count]))
    ),
    dropped=st.sets(st.sampled_from(sorted(d.papers())), max_size=1),
    taxes=st.sampled_from([(), d.TAXES[:1], d.TAXES]),
    paid=st.booleans(),
    seized=st.booleans(),
)
def test_combined_case_books_every_step_or_none(
    operations: tuple[AnyOperation, ...], dropped: set[str], taxes: Any, paid: bool, seized: bool
) -> None:
    """Whatever is missing, misplaced or in the way: the whole phase is booked or nothing of it (handbook 2.3)."""
    filed = {code: p for code, p in d.papers().items() if code not in dropped}
    if paid:
        filed["PAYOFF_UNDERTAKING"] = c.paper("PAYOFF_UNDERTAKING", d.A, d.B)
    what = d.submission(operations, filed, tax_clearances=taxes)
    before = d.world()
    decision = c.decide(before, what)
    if decision.outcome.result is Result.ACCEPTED:
        now = d.world(c.unit_state(c.mortgage_row(), _SEIZURE)) if seized else before
        decision = d.approved(now, what, d.row_of(decision))
    made = [e for e in decision.effects if isinstance(e, _BOOKING)]
    good = operations == d.steps() and not dropped and taxes == d.TAXES and paid and not seized
    assert (decision.outcome.result is Result.BOOKED) is good
    kinds = [type(e) for e in made]
    if good:
        assert (kinds.count(RightBooked), kinds.count(RightEnded), kinds.count(CertificateNumbered)) == (
            2,
            2,
            2,
        )
        assert len(decision.contents) == 2
    else:
        assert not made
        assert not decision.contents
        assert not any(isinstance(e, CounterMoved) and "certificate" in e.name for e in decision.effects)


@given(earlier=st.integers(0, 4), new=st.integers(1, 6), counter=st.integers(0, 9000))
def test_mortgages_of_one_phase_rank_after_all_others_in_step_order(
    earlier: int, new: int, counter: int
) -> None:
    """Printed ranks follow the steps, current ranks agree with them, proof numbers have no gap (CC 414)."""
    state = c.unit_state(*_earlier(earlier))
    name = "certificate/PROOF/320281/2026"
    here = c.world(state, counters={name: counter})
    terms = Terms(
        registry=c.REGISTRY, operations=tuple(c.mortgage_first(claim_amount_fen=n + 1) for n in range(new))
    )
    what = c.submission(c.mortgage_first(), c.mortgage_papers())
    row = d.row_of(c.decide(c.world(c.unit_state()), what))
    booked = book_phase(here, terms, row, c.moment(), "登簿员甲")
    rights = [e.right for e in booked.effects if isinstance(e, RightBooked)]
    mortgages = [r for r in rights if isinstance(r, Mortgage)]
    assert [m.claim_amount_fen for m in mortgages] == list(range(1, new + 1))
    assert [m.rank_at_registration for m in mortgages] == list(range(earlier + 1, earlier + new + 1))
    ranks = current_ranks([*state.mortgages, *mortgages])
    assert sorted(ranks.values()) == list(range(1, earlier + new + 1))
    assert [ranks[m.right_id] for m in mortgages] == [m.rank_at_registration for m in mortgages]
    assert [int(content.number[-8:-1]) for content in booked.contents] == list(
        range(counter + 1, counter + new + 1)
    )
    assert booked.counters == {name: counter + new}


@given(count=st.integers(1, 20))
def test_codes_of_certificates_are_never_equal(count: int) -> None:
    """However many certificates a phase issues, each has a secret code of its own."""
    terms = Terms(registry=c.REGISTRY, operations=(c.mortgage_first(),) * count)
    row = d.row_of(c.decide(c.world(c.unit_state()), c.submission(c.mortgage_first(), c.mortgage_papers())))
    booked = book_phase(c.world(c.unit_state()), terms, row, c.moment(), "登簿员甲")
    codes = [content.code for content in booked.contents]
    assert len(set(codes)) == count
    assert all(len(code) == 32 for code in codes)


@given(earlier=st.integers(0, 3), new=st.integers(1, 3))
def test_steps_on_paper_leave_what_the_booking_leaves(earlier: int, new: int) -> None:
    """The state each condition meets is the one that the booking will make, but for ids and numbers."""
    others = [replace(m, mortgagees=(d.FUND,)) for m in _earlier(earlier)]
    here = d.world(c.unit_state(c.mortgage_row(right_id="0.99"), *others))
    operations = (d.transfer(), d.release(), *(d.new_mortgage(claim_amount_fen=n + 1) for n in range(new)))
    terms = d.submission(operations).manifest.terms
    ahead = Ahead(here, terms, c.NOW)
    for operation in operations:
        ahead.take(operation)
    row = d.row_of(c.decide(d.world(), d.submission()))
    booked = book_phase(here, terms, row, c.moment(), "登簿员甲")
    ended = {e.right_id for e in booked.effects if isinstance(e, RightEnded)}
    added = [e.right for e in booked.effects if isinstance(e, RightBooked)]
    kept = [r for r in here.units[c.UNIT].rights if r.right_id not in ended]
    assert _shape(ahead.states[c.UNIT]) == _shape(
        UnitState(unit=here.units[c.UNIT].unit, rights=(*kept, *added))
    )
    assert here.units[c.UNIT].ownership != ahead.states[c.UNIT].ownership


def _shape(state: UnitState) -> list[tuple[Any, ...]]:
    """Who holds what, without ids and numbers."""
    assert state.ownership is not None
    owners: tuple[Any, ...] = tuple(o.person.key for o in state.ownership.owners)
    rest = [(m.mortgagees, m.rank_at_registration, m.claim_amount_fen) for m in state.mortgages]
    return [owners, *rest]
