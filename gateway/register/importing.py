"""Import of a register from one CSV file (docs/register-import.md): rows in, units and rights out.

Pure: lines come from an iterator, ids from `new_id`, the time from `now`. Every bad row is reported
by line and field. An import is all or nothing; with `quarantine` the rights of bad rows stay out
and their units go on hold, and only a row of which nobody can tell the unit still stops it.
"""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Callable, Collection, Iterable, Iterator

from msgspec.structs import replace

from gateway.register import import_layout as layout
from gateway.register.identifiers import compact, county_of
from gateway.register.import_checks import cross_check
from gateway.register.import_layout import Table
from gateway.register.import_rights import build_right, build_unit
from gateway.register.import_row import CELL_CHARACTERS_MAX, ImportProblem, Row
from gateway.register.model import AnyRight, Owner, Party, Unit, UnitHold, Value

__all__ = ["IMPORT_ROWS_MAX", "ImportProblem", "ImportResult", "parse_register_csv"]

#: A file may have this many rows.
IMPORT_ROWS_MAX = 5_000_000

_TABLES_OF_UNITS = frozenset({Table.UNIT, Table.OWNERSHIP})


class ImportResult(Value, frozen=True, kw_only=True):
    """What an import brings. With `is_good` false nothing may be entered and the lists are empty.

    `rows` were read, without the heading; `passed_over` of them are historical (QSZT 2, 3).
    `quarantined` are the units to hold: those in `units` carry the hold, known ones have yet to.
    """

    registry: str
    is_good: bool
    rows: int
    passed_over: int
    units: tuple[Unit, ...] = ()
    rights: tuple[AnyRight, ...] = ()
    problems: tuple[ImportProblem, ...] = ()
    quarantined: tuple[str, ...] = ()


def parse_register_csv(
    lines: Iterable[str],
    *,
    registry: str,
    county_codes: Collection[str],
    now: dt.datetime,
    new_id: Callable[[], str],
    quarantine: bool = False,
    known_units: Collection[str] = (),
) -> ImportResult:
    """Read a register file from its decoded lines.

    `county_codes` are the registry's; a unit of another county is a problem (IR 7). `known_units`
    are units that the register already has and rights of this file may lie on. `new_id` is called
    once for each right, in the order of the file.
    """
    reading = _Reading(frozenset(county_codes), known_units)
    try:
        for row in _rows(lines, reading):
            reading.take(row)
    except csv.Error as error:
        reading.stop(
            reading.line + 1,
            "",
            f"无法按CSV读取：{error}",
            f"cannot be read as CSV: {error}",
            "FILE_UNREADABLE",
        )
    reading.build(now, new_id)
    return reading.result(registry, quarantine=quarantine)


def _rows(lines: Iterable[str], reading: _Reading) -> Iterator[Row]:
    """Rows after a good heading. A bad heading stops the import: no column can be trusted."""
    reader = csv.reader(lines, strict=True)
    heading = [layout.ALIASES.get(name, name) for name in map(_column, next(reader, []))]
    reading.line = reader.line_num
    if not _is_heading_good(heading, reading):
        return
    for cells in reader:
        first, reading.line = reading.line + 1, reader.line_num
        if not any(cell.strip() for cell in cells):
            continue
        reading.rows += 1
        if reading.rows > IMPORT_ROWS_MAX:
            reading.stop(
                first,
                "",
                "行数超过上限",
                f"more than {IMPORT_ROWS_MAX} rows: split the file",
                "TOO_MANY_ROWS",
            )
            return
        yield _row(first, heading, cells, reading.problems)


def _row(line: int, heading: list[str], cells: list[str], problems: list[ImportProblem]) -> Row:
    """One row, as long as its heading and with no cell over its limit."""
    values = {name: cell.strip() for name, cell in zip(heading, cells, strict=False)}
    row = Row(line, values, problems)
    if len(cells) != len(heading):
        row.wrong(
            "TABLE",
            f"本行有{len(cells)}列，表头有{len(heading)}列",
            f"the row has {len(cells)} columns, the heading {len(heading)}",
        )
    for name, value in values.items():
        if len(value) > CELL_CHARACTERS_MAX:
            row.wrong(name, "内容过长", f"is longer than {CELL_CHARACTERS_MAX} characters")
    return row


def _column(cell: str) -> str:
    return compact(cell.lstrip("\ufeff")).upper()


def _is_heading_good(heading: list[str], reading: _Reading) -> bool:
    """Known columns, none twice, the required ones there."""
    known = set(layout.COLUMNS) | layout.UNREAD_COLUMNS
    for name in dict.fromkeys(heading):
        if name not in known:
            reading.stop(1, name, "表头有未知的列", "the heading has an unknown column", "HEADING_INVALID")
        elif heading.count(name) > 1:
            reading.stop(1, name, "表头的列重复", "the heading has this column twice", "HEADING_INVALID")
    for name in layout.REQUIRED_COLUMNS:
        if name not in heading:
            reading.stop(1, name, "表头缺少此列", "the heading lacks this column", "HEADING_INVALID")
    return not reading.problems


class _Draft:
    """The rows of one right, or of one unit."""

    def __init__(self, table: Table, row: Row) -> None:
        self.table = table
        self.first = row
        self.rows: list[Row] = []
        self.units: dict[str, None] = {}
        self.owners: dict[tuple[str, str], Owner] = {}
        self.persons: dict[str, dict[tuple[str, str], Party]] = {
            role.name: {} for role in layout.ROLES[table]
        }

    @property
    def is_bad(self) -> bool:
        """Whether any of its rows is."""
        return any(row.is_bad for row in self.rows)

    def add(self, row: Row, unit_code: str, columns: tuple[str, ...]) -> None:
        """One more row: where the first one said something it leaves blank, or says the same."""
        self.rows.append(row)
        self.units[unit_code] = None
        for column in columns:
            here, there = compact(row.text(column)), compact(self.first.text(column))
            if here and here != there:
                row.wrong(
                    column,
                    f"与第{self.first.line}行不一致",
                    f"differs from line {self.first.line}, of the same right or unit",
                    "ROWS_CONTRADICT",
                )

    def add_persons(self, row: Row) -> None:
        """The persons of a row; one who is there already must have the same name."""
        for role in layout.ROLES[self.table]:
            person = row.person(role)
            if person is None:
                continue
            there = self.persons[role.name].setdefault(person.key, person)
            if there.name != person.name:
                row.wrong(
                    role.name, "同一证件号的姓名不一致", "one id number with two names", "ROWS_CONTRADICT"
                )
            if role is layout.HOLDER:
                self.owners.setdefault(person.key, Owner(person=person, share=row.share()))


class _Reading:
    """One file being read: drafts of units and rights, and problems found. Local and mutable."""

    def __init__(self, county_codes: frozenset[str], known_units: Collection[str]) -> None:
        self.problems: list[ImportProblem] = []
        self.rows = 0
        self.line = 0
        self._passed_over = 0
        self._county_codes = county_codes
        self._known_units = known_units
        self._unit_drafts: dict[str, _Draft] = {}
        self._right_drafts: dict[tuple[str, str, str], _Draft] = {}
        self._units: dict[str, Unit] = {}
        self._rights: list[tuple[AnyRight, _Draft]] = []

    def stop(self, line: int, field: str, zh: str, en: str, code: str) -> None:
        """A problem of the file, which no quarantine can hold."""
        self.problems.append(
            ImportProblem(line=line, field=field, value="", zh=zh, en=en, code=code, stops=True)
        )

    def take(self, row: Row) -> None:
        """File one row under its unit and its right."""
        table = row.choice("TABLE", layout.TABLES)
        code = row.unit_code()
        if code is not None and county_of(code) not in self._county_codes:
            row.wrong(
                "BDCDYH", "不属于本登记机构的区县", "lies in no county of this registry", "COUNTY_NOT_OURS"
            )
            code = None
        if table is None or code is None:
            if table not in _TABLES_OF_UNITS:
                _stop_at(row)
            return
        status = row.text("QSZT")
        if status in layout.PAST_STATUSES:
            self._passed_over += 1
            return
        if status not in layout.LIVE_STATUSES:
            row.wrong("QSZT", "应为1（现势）、2（历史）或者3（终止）", "must be 1, 2 or 3")
        if table in _TABLES_OF_UNITS:
            unit = self._unit_drafts.setdefault(code, _Draft(table, row))
            unit.add(row, code, layout.UNIT_COLUMNS)
        if table is not Table.UNIT:
            # Rows of one right share table, case number and proof; ownership is one right a unit.
            part = code if table is Table.OWNERSHIP else compact(row.text("BDCDJZMH"))
            key = (table.value, compact(row.text("YWH")), part)
            right = self._right_drafts.setdefault(key, _Draft(table, row))
            right.add(row, code, layout.RIGHT_COLUMNS[table])
            right.add_persons(row)

    def build(self, now: dt.datetime, new_id: Callable[[], str]) -> None:
        """Make units, then rights, then look across them."""
        for code, draft in self._unit_drafts.items():
            self._units[code] = build_unit(draft.first, code)
        for draft in self._right_drafts.values():
            right = build_right(
                draft.table,
                draft.first,
                tuple(draft.units),
                {name: tuple(persons.values()) for name, persons in draft.persons.items()},
                tuple(draft.owners.values()),
                now=now,
                right_id=new_id(),
            )
            if right is not None:
                self._rights.append((right, draft))
        built = [(right, draft.first) for right, draft in self._rights]
        # A unit whose ownership row is bad is on hold, not without an owner: say one thing once.
        owned = {code for code, draft in self._unit_drafts.items() if draft.table is Table.OWNERSHIP}
        cross_check(self._units, {*owned, *self._known_units}, built)

    def result(self, registry: str, *, quarantine: bool) -> ImportResult:
        """All; or, with `quarantine`, what is good and what to hold; or nothing."""
        problems = tuple(sorted(self.problems, key=lambda problem: problem.line))
        result = ImportResult(
            registry=registry,
            is_good=not problems or (quarantine and not any(p.stops for p in problems)),
            rows=self.rows,
            passed_over=self._passed_over,
            problems=problems,
        )
        if not result.is_good:
            return result
        drafts = (*self._unit_drafts.values(), *self._right_drafts.values())
        held = {code for draft in drafts if draft.is_bad for code in draft.units}
        return replace(
            result,
            units=tuple(_on_hold(u) if u.unit_code in held else u for u in self._units.values()),
            rights=tuple(right for right, draft in self._rights if not draft.is_bad),
            quarantined=tuple(sorted(held)),
        )


def _stop_at(row: Row) -> None:
    """A right of nobody knows which unit: were it left out, a seizure might go unseen."""
    row.wrong(
        "BDCDYH",
        "不能确定本行限制的是哪个单元，无法隔离，须先改正",
        "which unit the row encumbers cannot be told: no quarantine holds it, mend it first",
        "UNIT_UNKNOWN",
        stops=True,
    )


def _on_hold(unit: Unit) -> Unit:
    return replace(unit, holds=(*unit.holds, UnitHold.QUARANTINED))
