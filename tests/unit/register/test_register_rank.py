"""Rank: order of registration, agreements, pre-notices (CC 409, 414; SIG 52; handbook 3.2)."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from gateway.register.model import AgreedPlace, Mortgage
from gateway.register.rank import adverse_to, current_ranks, place_agreed, rank_from
from tests.support.register_state import at, mortgage, state_of

LATER = at("2027-01-01T10:00:00")


def _booked(right_id: str, day: str, rank: int, **values: object):  # type: ignore[no-untyped-def]
    return mortgage(right_id, booked_at=at(f"{day}T10:00:00"), rank_at_registration=rank, **values)


def test_rank_from_follows_every_live_mortgage() -> None:
    """Scenarios 1 and 2."""
    assert rank_from(state_of(), LATER) == 1
    assert rank_from(state_of(_booked("a", "2021-01-01", 1)), LATER) == 2


def test_release_of_the_first_promotes_the_second() -> None:
    """Scenario 3: current rank 1, printed rank 2 unchanged; the next one is printed 2."""
    second = _booked("b", "2022-01-01", 2)
    assert current_ranks([second]) == {"b": 1}
    assert second.rank_at_registration == 2
    assert rank_from(state_of(second), LATER) == 2


def test_printed_ranks_of_different_years_do_not_decide() -> None:
    """After releases a later mortgage may bear the smaller number; time decides (CC 414)."""
    old, new = _booked("c", "2022-01-01", 3), _booked("d", "2024-01-01", 2)
    assert current_ranks([new, old]) == {"c": 1, "d": 2}
    assert [m.right_id for m in state_of(new, old).mortgages] == ["c", "d"]


def test_converted_pre_notice_ranks_from_its_own_date() -> None:
    """SIG 52: booked last, prior by the pre-notice."""
    between = _booked("b", "2025-06-01", 1)
    converted = _booked("a", "2025-12-01", 2, priority_date=at("2025-01-01T10:00:00"))
    assert current_ranks([between, converted]) == {"a": 1, "b": 2}


def test_converted_pre_notice_is_printed_before_what_came_after_it() -> None:
    """SIG 52: the mortgage that a third bank registered between pre-notice and conversion stands behind it."""
    old, between = _booked("o", "2024-01-01", 1), _booked("b", "2025-06-01", 2)
    assert rank_from(state_of(old, between), at("2025-01-01T10:00:00")) == 2
    assert rank_from(state_of(old, between), LATER) == 3


def test_one_phase_books_in_step_order() -> None:
    """Scenario 40: one instant, ranks 1 and 2 in step order; a tie needs an agreement."""
    first, second = _booked("z", "2026-01-01", 1), _booked("a", "2026-01-01", 2)
    assert current_ranks([second, first]) == {"z": 1, "a": 2}


def test_agreed_equal_rank_is_shared_and_the_next_is_second() -> None:
    """Scenario 23: agreed_rank 1 and 1."""
    bank = _booked("a", "2026-01-01", 1, agreed_rank=1)
    fund = _booked("b", "2026-01-01", 2, agreed_rank=1)
    assert current_ranks([bank, fund]) == {"a": 1, "b": 1}
    assert rank_from(state_of(bank, fund), LATER) == 2


def test_agreed_rank_goes_before_who_gave_way_and_after_who_did_not() -> None:
    """RD 67: a third mortgage agreed to be second goes between the first two."""
    rows = [_booked("a", "2021-01-01", 1), _booked("b", "2022-01-01", 2)]
    agreed = _booked("c", "2023-01-01", 3, agreed_rank=2)
    assert current_ranks([*rows, agreed]) == {"a": 1, "c": 2, "b": 3}
    assert current_ranks([rows[1], agreed]) == {"c": 1, "b": 2}


def test_later_mortgage_never_passes_an_agreed_one() -> None:
    """Whoever comes after the agreement comes after it in rank."""
    agreed = _booked("c", "2023-01-01", 3, agreed_rank=3)
    later = _booked("d", "2024-01-01", 2)
    assert current_ranks([later, agreed]) == {"c": 1, "d": 2}


def test_adverse_to_names_those_a_new_agreed_rank_displaces() -> None:
    """Their consent is asked; without an agreement, or last, nobody is harmed (CC 409)."""
    state = state_of(_booked("a", "2021-01-01", 1), _booked("b", "2022-01-01", 2))
    assert [m.right_id for m in adverse_to(state, 2)] == ["b"]
    assert [m.right_id for m in adverse_to(state, 1)] == ["a", "b"]
    assert adverse_to(state, 3) == ()
    assert adverse_to(state, None) == ()


def _second_and_third() -> tuple[Mortgage, Mortgage]:
    """What is left of three when the first was released: printed 2 and 3, now first and second."""
    return _booked("b", "2022-01-01", 2), _booked("c", "2023-01-01", 3)


def _agreed(right_id: str, day: str, rank: int, rows: Sequence[Mortgage]) -> Mortgage:
    """A mortgage booked that day on a unit with these, at a rank that its parties agreed on with them."""
    state, when = state_of(*rows), at(f"{day}T10:00:00")
    place = place_agreed([state], rank, row=right_id, at=when)
    return _booked(right_id, day, rank_from(state, when), agreed_rank=rank, agreed_place=place)


def test_agreed_rank_is_the_place_on_the_day_of_the_agreement() -> None:
    """RD 67; CC 409: second behind the mortgage that is first now, whatever that one was printed with."""
    rows = _second_and_third()
    new = _agreed("n", "2026-01-01", 2, rows)
    assert current_ranks([*rows, new]) == {"b": 1, "n": 2, "c": 3}
    assert [m.right_id for m in adverse_to(state_of(*rows), 2)] == ["c"]


def test_agreed_rank_told_as_a_number_alone_is_read_among_the_printed_ones() -> None:
    """Another system's agreement (an import): all there is are the numbers that it printed."""
    told = _booked("n", "2026-01-01", 3, agreed_rank=2)
    assert current_ranks([*_second_and_third(), told]) == {"n": 1, "b": 2, "c": 3}


def test_agreed_place_outlives_whoever_gave_way() -> None:
    """CC 409: whoever did not give way stays before it, though everybody who did is gone; later ones stay behind."""
    first, second = _second_and_third()
    new = _agreed("n", "2026-01-01", 2, (first, second))
    later = _booked("d", "2026-06-01", 4)
    assert current_ranks([new, later, first]) == {"b": 1, "n": 2, "d": 3}
    assert current_ranks([new, later, second]) == {"n": 1, "c": 2, "d": 3}
    assert current_ranks([later, new]) == {"n": 1, "d": 2}


def test_agreed_place_follows_a_mortgage_into_its_next_row() -> None:
    """RD 68: who gave way was changed since, under another row's id, and stands behind all the same."""
    first, second = _second_and_third()
    new = _agreed("n", "2026-01-01", 2, (first, second))
    changed = replace(second, right_id="x", began_as="c", booked_at=LATER)
    assert current_ranks([changed, new, first]) == {"b": 1, "n": 2, "x": 3}


def test_second_agreement_passes_the_first_by_its_parties_word() -> None:
    """CC 409: n was agreed first of two; a later agreement puts m first, beside nobody."""
    first, second = _second_and_third()
    new = _agreed("n", "2026-01-01", 2, (first, second))
    newest = _agreed("m", "2026-02-01", 1, (first, second, new))
    assert current_ranks([first, second, new, newest]) == {"m": 1, "b": 2, "n": 3, "c": 4}
    beside = _agreed("k", "2026-03-01", 1, (first, second, new, newest))
    ranks = current_ranks([first, second, new, newest, beside])
    assert ranks == {"m": 1, "k": 1, "b": 2, "n": 3, "c": 4}


def test_converted_pre_notice_keeps_its_date_beside_an_agreement() -> None:
    """SIG 52: of before the agreement and no party to it, it goes behind whom it was behind, before later ones."""
    first, second = _second_and_third()
    new = _agreed("n", "2026-01-01", 3, (first, second))
    converted = _booked("p", "2026-05-01", 4, priority_date=at("2025-01-01T10:00:00"))
    assert current_ranks([new, converted, second, first]) == {"b": 1, "c": 2, "p": 3, "n": 4}


def test_entries_of_one_instant_rank_in_their_order() -> None:
    """A batch reads the clock once: entry 9 goes before entry 10, as numbers have it (CC 414)."""
    ninth, tenth = _booked("9.1", "2026-01-01", 2), _booked("10.1", "2026-01-01", 2)
    assert current_ranks([tenth, ninth]) == {"9.1": 1, "10.1": 2}


def test_change_keeps_the_place_among_mortgages_of_one_instant() -> None:
    """RD 68: entry 9 was changed in entry 30; printed alike because the first was released in between."""
    changed = _booked("30.1", "2026-01-01", 2)
    changed = replace(changed, booked_at=LATER, began_as="9.1")
    assert current_ranks([changed, _booked("10.1", "2026-01-01", 2)]) == {"30.1": 1, "10.1": 2}


def test_pre_notice_of_before_an_agreement_is_not_passed_by_it() -> None:
    """CC 409: bank B goes behind bank A by agreement; a pre-notice later than B's mortgage, converted since, follows B.

    Its holder was not asked, and stood behind both: the agreement moves nobody but the two.
    """
    first = _booked("b", "2021-01-01", 1)
    second = _booked("a", "2022-01-01", 2)
    place = AgreedPlace(at=at("2024-01-01T10:00:00"), row="b2", behind=("a",))
    moved = replace(first, right_id="b2", began_as="b", agreed_rank=2, agreed_place=place)
    converted = replace(_booked("c", "2023-01-01", 3), first_registered_at=at("2025-01-01T10:00:00"))
    assert rank_from(state_of(second, moved), converted.priority_date) == 3
    ranks = current_ranks([converted, moved, second])
    assert ranks == {"a": 1, "b2": 2, "c": 3}
