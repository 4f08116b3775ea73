"""Properties of identifiers, ranks, working days and money that hold whatever the input."""

from __future__ import annotations

import csv
import datetime as dt
import io

from hypothesis import given
from hypothesis import strategies as st

from gateway.register.bearing import Context, bearing, strictest
from gateway.register.blocks import Verdict
from gateway.register.calendar import PACKAGED
from gateway.register.identifiers import (
    IdentifierError,
    make_certificate_identifier,
    mod_37_36,
    normalise_citizen_id,
    normalise_unit_code,
    normalise_uscc,
    parse_certificate_identifier,
    parse_certificate_number,
    uscc_check,
)
from gateway.register.import_row import Row
from gateway.register.importing import parse_register_csv
from gateway.register.model import Mortgage, in_order_of_rank
from gateway.register.rank import current_ranks
from gateway.register.sample import SAMPLE, register_csv
from gateway.register.sample_parties import made_up_citizen_id
from tests.support.register_state import NOW, SELLER, at, mortgage, seizure, state_of

_DAYS = st.dates(dt.date(2025, 1, 1), dt.date(2035, 12, 31))
_ALPHANUMERIC = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"


@given(st.text(max_size=60))
def test_identifier_any_text_is_canonical_or_refused(text: str) -> None:
    """A normaliser answers what it would answer again, or IdentifierError; nothing else escapes."""
    for normalise in (normalise_unit_code, normalise_uscc, normalise_citizen_id):
        try:
            canonical = normalise(text)
        except IdentifierError:
            continue
        assert normalise(canonical) == canonical


@given(st.text(max_size=60))
def test_certificate_number_any_text_is_canonical_or_refused(text: str) -> None:
    """Parsing what was printed gives the same parts."""
    try:
        parts = parse_certificate_number(text)
    except IdentifierError:
        return
    assert parse_certificate_number(parts.text) == parts


@given(
    st.dates(dt.date(1900, 1, 1), dt.date(2026, 1, 1)),
    st.integers(0, 999),
    st.integers(0, 16),
    st.integers(1, 9),
)
def test_citizen_id_one_wrong_digit_is_always_found(born: dt.date, order: int, place: int, by: int) -> None:
    """MOD 11-2 finds every single wrong digit."""
    number = made_up_citizen_id(born, order)
    wrong = str((int(number[place]) + by) % 10)
    changed = number[:place] + wrong + number[place + 1 :]
    assert normalise_citizen_id(number) == number
    try:
        normalise_citizen_id(changed)
    except IdentifierError:
        return
    raise AssertionError(changed)


@given(st.text(_USCC_ALPHABET, min_size=9, max_size=9), st.integers(0, 16), st.integers(1, 30))
def test_uscc_one_wrong_character_is_always_found(organisation: str, place: int, by: int) -> None:
    """The weights of GB 32100 find every single wrong character."""
    body = "91999999" + organisation
    shifted = (_USCC_ALPHABET.index(body[place]) + by) % 31
    changed = body[:place] + _USCC_ALPHABET[shifted] + body[place + 1 :]
    assert uscc_check(changed) != uscc_check(body)


@given(st.text(_ALPHANUMERIC, min_size=2, max_size=40), st.data())
def test_mod_37_36_finds_wrong_and_swapped_neighbours(body: str, data: st.DataObject) -> None:
    """ISO 7064 MOD 37,36: every single substitution changes the check character."""
    place = data.draw(st.integers(0, len(body) - 1))
    wrong = data.draw(st.sampled_from(_ALPHANUMERIC.replace(body[place], "")))
    assert mod_37_36(body[:place] + wrong + body[place + 1 :]) != mod_37_36(body)


@given(
    st.sampled_from(["TITLE", "PROOF"]), st.text(_ALPHANUMERIC, min_size=1, max_size=40), st.integers(1, 999)
)
def test_certificate_identifier_round_trip(kind: str, serial: str, version: int) -> None:
    """What is made is read as what it is."""
    parts = parse_certificate_identifier(make_certificate_identifier(kind, "320281", serial, version))
    assert (parts.kind, parts.serial, parts.version) == (kind, serial, version)


@given(_DAYS, st.integers(0, 60))
def test_working_days_counted_back_are_as_many(start: dt.date, days: int) -> None:
    """Between the day of the event and the last day lie exactly so many working days."""
    last, _ = PACKAGED.add_working_days(start, days)
    between = [start + dt.timedelta(n) for n in range(1, (last - start).days + 1)]
    assert sum(PACKAGED.is_working_day(day) for day in between) == days
    assert days == 0 or PACKAGED.is_working_day(last)


@given(_DAYS)
def test_roll_ends_on_the_first_working_day(day: dt.date) -> None:
    """Never back, never past a working day, and at most a long holiday on."""
    rolled, _ = PACKAGED.roll(day)
    assert PACKAGED.is_working_day(rolled)
    assert not any(PACKAGED.is_working_day(day + dt.timedelta(n)) for n in range((rolled - day).days))
    assert (rolled - day).days <= 12


@st.composite
def _mortgages(draw: st.DrawFn) -> list[Mortgage]:
    """Live mortgages of one unit with any dates, printed ranks and agreements."""
    count = draw(st.integers(0, 6))
    rows = []
    for number in range(count):
        day = draw(st.integers(1, 28))
        rows.append(
            mortgage(
                f"m{number}",
                priority_date=at(f"2022-01-{day:02d}T10:00:00"),
                rank_at_registration=draw(st.integers(1, 4)),
                agreed_rank=draw(st.none() | st.integers(1, 3)),
            )
        )
    return rows


@given(_mortgages(), st.randoms(use_true_random=False))
def test_ranks_are_a_total_preorder_whatever_the_order_of_rows(rows: list[Mortgage], random: object) -> None:
    """Each mortgage has one rank from 1 without gaps; ties are agreed; the rows' order does not matter."""
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    ranks = current_ranks(rows)
    assert ranks == current_ranks(shuffled)
    assert sorted(set(ranks.values())) == list(range(1, len(set(ranks.values())) + 1))
    for tied in in_order_of_rank(rows):
        assert len(tied) == 1 or len({m.agreed_rank for m in tied} - {None}) == 1
    plain = [m for m in rows if m.agreed_rank is None]
    for one in plain:
        for other in plain:
            if one.priority_date < other.priority_date:
                assert ranks[one.right_id] < ranks[other.right_id]


@given(st.integers(0, 10**15 - 1))
def test_money_in_wan_yuan_is_exact_to_the_fen(fen: int) -> None:
    """int64 fen and decimal(15,6) 万元 lose nothing to each other (handbook 4.7)."""
    text = f"{fen // 1_000_000}.{fen % 1_000_000:06d}"
    assert Row(1, {"X": text}, []).fen("X") == fen


@given(st.lists(st.sampled_from(["OWNERSHIP_TRANSFER", "MORTGAGE_FIRST", "MORTGAGE_TRANSFER"]), min_size=1))
def test_another_state_never_makes_a_verdict_milder(operations: list[str]) -> None:
    """States only add reasons: a seizure on top is never less strict."""
    context = Context(now=NOW)
    for operation in operations:
        before = strictest(bearing(state_of(mortgage()), operation, context))
        after = strictest(bearing(state_of(mortgage(), seizure(SELLER)), operation, context))
        assert after >= max(before, Verdict.REFER)


_LINES = register_csv(SAMPLE.jiangyin).splitlines()


@given(st.integers(1, len(_LINES) - 1), st.data())
def test_import_of_a_damaged_row_never_escapes_and_never_half_enters(line: int, data: st.DataObject) -> None:
    """Any cell of any row replaced by anything: a good import, or problems and nothing entered."""
    rows = list(csv.reader([_LINES[0], _LINES[line]]))
    column = data.draw(st.integers(0, len(rows[0]) - 1))
    text = st.text(st.characters(exclude_characters='\r\n"', exclude_categories=["Cs"]), max_size=12)
    rows[1][column] = data.draw(text)
    stream = io.StringIO(newline="")
    csv.writer(stream).writerows(rows)
    for quarantine in (False, True):
        result = parse_register_csv(
            io.StringIO(stream.getvalue(), newline=""),
            registry="jiangyin",
            county_codes=("320281",),
            now=NOW,
            new_id=lambda: "r1",
            quarantine=quarantine,
        )
        assert result.is_good or not (result.units or result.rights or result.quarantined)
        assert result.is_good or result.problems
        assert quarantine or result.is_good == (not result.problems)
        held = {u.unit_code for u in result.units if u.holds}
        assert held >= {code for code in result.quarantined if code in {u.unit_code for u in result.units}}
