"""Every row of the domain vectors holds (tests/vectors/domain/vectors.csv)."""

from __future__ import annotations

import csv
import datetime as dt
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.register import identifiers
from gateway.register.calendar import PACKAGED
from gateway.register.import_row import Row
from gateway.register.model import IdKind, Party

VECTORS = Path(__file__).parents[2] / "vectors" / "domain" / "vectors.csv"


def _rows() -> list[dict[str, str]]:
    with VECTORS.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def _split(text: str) -> tuple[dt.date, int]:
    day, days = text.split(" + ")
    return dt.date.fromisoformat(day), int(days)


def _check_identifier(kind: str, given: str, expected: str) -> None:
    checks: dict[str, Callable[[str], str]] = {
        "uscc": identifiers.normalise_uscc,
        "citizen-id": identifiers.normalise_citizen_id,
        "unit-code": identifiers.normalise_unit_code,
        "e-certificate-id": lambda text: identifiers.parse_certificate_identifier(text).text,
    }
    normalise = checks[kind]
    if expected == "invalid" or "characters" in expected:
        with pytest.raises(identifiers.IdentifierError):
            normalise(given)
    else:
        assert normalise(given) == given.replace(" ", "")


def _check_certificate_number(given: str, expected: str) -> None:
    parts = identifiers.parse_certificate_number(given)
    if expected.startswith("proof"):
        assert (parts.kind, str(parts.year), parts.place, parts.serial) == (
            "PROOF",
            *expected.split(", ")[1:],
        )
    else:
        assert parts.kind == "TITLE"
        assert parts.text == given.replace("（", "(").replace("）", ")")


def _check_money(given: str, expected: str) -> None:
    fen, wan = re.fullmatch(r"(\d+) fen = ([\d.]+) 万元", expected).groups()  # type: ignore[union-attr]
    problems: list[object] = []
    assert Row(1, {"X": wan}, problems).fen("X") == int(fen)  # type: ignore[arg-type]
    assert f"{int(fen) // 100}.{int(fen) % 100:02d} CNY" == given
    assert not problems


@pytest.mark.parametrize("row", _rows(), ids=lambda r: f"{r['kind']}-{r['input']}")
def test_vector_given_holds(row: dict[str, str]) -> None:
    """What the handbook's vectors state is what the code computes."""
    kind, given, expected = row["kind"], row["input"], row["expected"]
    match kind:
        case "citizen-id" if given.startswith("id_kind="):
            number = given.rpartition("=")[2]
            party = Party(name="某", id_kind=IdKind.PASSPORT, id_number=number)
            assert identifiers.canonical_party(party).id_number == number
        case "uscc" | "citizen-id" | "unit-code" | "e-certificate-id":
            _check_identifier(kind, given, expected)
        case "citizen-id-15":
            assert identifiers.normalise_citizen_id(given) == expected.rpartition(" ")[2]
        case "certificate-number":
            _check_certificate_number(given, expected)
        case "money":
            _check_money(given, expected)
        case "working-day":
            day, provisional = PACKAGED.add_working_days(*_split(given))
            assert f"{day}{' provisional' if provisional else ''}" == expected
        case "calendar-day":
            start, days = _split(given)
            assert (
                expected
                == f"{start + dt.timedelta(days)}, rolls to {PACKAGED.add_calendar_days(start, days)[0]}"
            )
        case "calendar-alert":
            alert = dt.date.fromisoformat(expected.rpartition(" ")[2])
            assert given == f"table ends {PACKAGED.table_end()}"
            assert PACKAGED.is_table_ending(alert)
            assert not PACKAGED.is_table_ending(alert - dt.timedelta(1))
        case _:
            pytest.fail(f"no check for vectors of kind {kind}")
