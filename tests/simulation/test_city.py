"""Two hundred cities, and a few on a real ledger. Of a failing one the seed is told, and how to replay it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.oracle.blocks import COLUMN_OF, COLUMNS
from tests.oracle.people import N29
from tests.simulation.city import City
from tests.simulation.ledger_city import LedgerTwin

#: What must have happened in two hundred cities, or they prove little.
MUST_HAPPEN = (
    "somebody files: BOOK",
    "somebody files: AWAIT",
    "somebody files: WAIT",
    "the registrar works: BOOK",
    "the registrar works: STOPPED",
    "the registrar works: TAX",
    "the registrar works: PAYOFF",
    "a bank joins: PERSON",
    "banks withdraw: WITHDRAWN",
    "the old bank confirms: BOOK",
    "the court serves: PRE",
    *(f"the counter works: {what}" for what in ("accepts", "closes", "sells", "mortgages", "releases")),
    "the counter skips a number: 1 missing",
    "the counter skips a number: 2 missing",
    "the hole is closed: closed",
    *(f"booked {step}" for step in (*COLUMN_OF, *COLUMNS) if step not in ("NOTE", "CONVERT")),
    *(f"booked {mode}" for mode in sorted(N29)),
)


@pytest.mark.timeout(900)  # half a minute of computing, on a machine with nothing else to do
def test_two_hundred_cities_are_as_the_oracle_has_them() -> None:
    """Every answer, every register; every open case waits on somebody with a date, and in the end none is open."""
    counted: Counter[str] = Counter()
    for seed in range(200):
        try:
            counted += City(seed).run()
        except Exception as wrong:
            pytest.fail(f"replay: python -m tests.simulation {seed}\n{wrong}")
    assert [what for what in MUST_HAPPEN if not counted[what]] == []


def test_large_city() -> None:
    """Hundreds of units."""
    City(1000, acts=300, units=300).run()


@pytest.mark.parametrize("seed", range(3))
def test_city_on_a_real_ledger(seed: int, tmp_path: Path) -> None:
    """Through the sequencer into SQLite, with cut commits, lost answers and restarts: the same, and once."""
    city = City(seed, acts=60, units=5, twin=LedgerTwin, folder=tmp_path, faults=seed)
    assert isinstance(city.twin, LedgerTwin)
    city.run()
    city.twin.close()
    assert all(city.twin.counted.values()), city.twin.counted
