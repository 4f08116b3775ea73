"""Reading one row of a register file: every value checked, every fault noted by line and field.

A reader never raises on bad data: it notes a problem and answers None, so that a row is read to its
end and all that is wrong in it is told at once.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import TypeVar

from gateway.register import import_layout as layout
from gateway.register.calendar import CHINA
from gateway.register.identifiers import (
    IdentifierError,
    canonical_party,
    compact,
    mask,
    normalise_certificate_number,
    normalise_unit_code,
    parse_certificate_number,
)
from gateway.register.model import (
    Capacity,
    CertificateRef,
    CertificateScheme,
    IdKind,
    Party,
    Share,
    Value,
)

#: Longest value of a cell.
CELL_CHARACTERS_MAX = 1000

#: A report repeats this much of a bad value.
QUOTED_CHARACTERS_MAX = 100

#: Below this amount of 万元 (decimal(15,6) of the register database).
_WAN_YUAN_MAX = Decimal(10) ** 9
_FEN_PER_WAN_YUAN = 1_000_000
_DAY = r"(?P<year>[0-9]{4})(?P<dash>[-/]?)(?P<month>[0-9]{2})(?P=dash)(?P<day>[0-9]{2})"
_DATE = re.compile(_DAY)
_INSTANT = re.compile(_DAY + r"(?:[ T](?P<clock>[0-9]{2}:[0-9]{2}:[0-9]{2}))?")
_SHARE = re.compile(r"[0-9]{1,9}/[1-9][0-9]{0,8}|[0-9]{1,3}(\.[0-9]{1,6})?%?")
_DECIMAL = re.compile(r"[0-9]{1,15}(\.[0-9]{1,10})?")

#: Codes of a bad identity number, by kind.
_ID_CODES = {IdKind.RESIDENT_ID: "CITIZEN_ID_MALFORMED", IdKind.USCC: "USCC_MALFORMED"}

T = TypeVar("T")


class ImportProblem(Value, frozen=True, kw_only=True):
    """One thing wrong in the file: its line (1 is the heading), column, value, and what to do.

    `code` is one of the contract's list (RowProblem.code). Identity numbers in `value` are masked.
    `stops`: not even a quarantine can hold it, because nobody can tell which unit the row encumbers.
    """

    line: int
    field: str
    value: str
    zh: str
    en: str
    code: str = "FIELD_INVALID"
    stops: bool = False


class Row:
    """One row being read. `problems` gathers what is wrong; `is_bad` says whether anything is."""

    def __init__(self, line: int, values: Mapping[str, str], problems: list[ImportProblem]) -> None:
        self.line = line
        self.values = values
        self._problems = problems
        self.is_bad = False

    def wrong(
        self, field: str, zh: str, en: str, code: str = "FIELD_INVALID", *, stops: bool = False
    ) -> None:
        """Note a problem at a column of this row."""
        value = self.text(field)
        if field in layout.PERSONAL_COLUMNS:
            value = mask(value)
        self._problems.append(
            ImportProblem(
                line=self.line,
                field=field,
                value=value[:QUOTED_CHARACTERS_MAX],
                zh=zh,
                en=en,
                code=code,
                stops=stops,
            )
        )
        self.is_bad = True

    def text(self, field: str) -> str:
        """A cell as written, "" when the file has no such column."""
        return self.values.get(field, "")

    def required(self, field: str) -> str:
        """A cell that must not be blank."""
        text = self.text(field)
        if not text:
            self.wrong(field, "必填", "must be filled in", "FIELD_REQUIRED")
        return text

    def unit_code(self) -> str | None:
        """BDCDYH in canonical form."""
        try:
            return normalise_unit_code(self.required("BDCDYH"))
        except IdentifierError as error:
            if self.text("BDCDYH"):
                self.wrong("BDCDYH", error.zh, error.en, "UNIT_CODE_MALFORMED")
            return None

    def choice(
        self, field: str, codes: Mapping[str, T], default: T | None = None, *, needed: bool = True
    ) -> T | None:
        """A code of a list; `default` for a blank one, which is a problem when there is none."""
        code = compact(self.text(field))
        if code in codes:
            return codes[code]
        if code == "" and (default is not None or not needed):
            return default
        known = "、".join(c for c in codes if c)
        self.wrong(field, f"应为下列代码之一：{known}", f"must be one of the codes {known}", "CODE_UNKNOWN")
        return None

    def fen(self, field: str, *, needed: bool = False) -> int | None:
        """An amount in 万元 as fen, exactly; None for a blank one."""
        amount = self._decimal(field, needed=needed)
        if amount is None:
            return None
        fen = amount * _FEN_PER_WAN_YUAN
        if amount >= _WAN_YUAN_MAX or fen != fen.to_integral_value():
            self.wrong(
                field,
                "金额以万元计，最多六位小数，应小于十亿万元",
                "an amount in 万元 has at most six decimals and is below 10^9",
            )
            return None
        return int(fen)

    def area(self, field: str) -> int:
        """An area in m² as 1/100 m²; 0 for a blank one."""
        area = self._decimal(field, needed=False)
        if area is None:
            return 0
        hundredths = area * 100
        if hundredths != hundredths.to_integral_value():
            self.wrong(field, "面积以平方米计，最多两位小数", "an area in m² has at most two decimals")
            return 0
        return int(hundredths)

    def count(self, field: str, *, least: int = 0) -> int | None:
        """A whole number of at most four digits; None for a blank one."""
        text = compact(self.text(field))
        if not text:
            return None
        if not re.fullmatch(r"[0-9]{1,4}", text) or int(text) < least:
            self.wrong(field, f"应为不小于{least}的整数", f"must be a whole number from {least}")
            return None
        return int(text)

    def date(self, field: str, *, needed: bool = False) -> dt.date | None:
        """A day in China: 2026-01-31, 2026/01/31 or 20260131; None for a blank one."""
        text = compact(self.text(field))
        if not text:
            if needed:
                self.required(field)
            return None
        match = _DATE.fullmatch(text)
        try:
            if match:
                return _day(match)
        except ValueError:
            pass
        self.wrong(field, "应为日期，如 2026-01-31", "must be a day, such as 2026-01-31")
        return None

    def instant(self, field: str, *, needed: bool = False) -> dt.datetime | None:
        """China time, 2026-01-31 09:30:00, as UTC. A day alone is its first second."""
        text = " ".join(self.text(field).split())
        if not text:
            if needed:
                self.required(field)
            return None
        match = _INSTANT.fullmatch(text)
        try:
            if match:
                clock = dt.time.fromisoformat(match["clock"] or "00:00:00")
                return dt.datetime.combine(_day(match), clock, CHINA).astimezone(dt.UTC)
        except ValueError:
            pass
        self.wrong(
            field,
            "应为北京时间，如 2026-01-31 09:30:00",
            "must be China time, such as 2026-01-31 09:30:00",
        )
        return None

    def share(self) -> Share | None:
        """QLBL as an exact fraction: 1/3, 50% or 0.5, above 0 and at most 1."""
        text = compact(self.text("QLBL"))
        if not text:
            return None
        fraction = Fraction(0)
        if _SHARE.fullmatch(text):
            fraction = Fraction(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        if not 0 < fraction <= 1:
            self.wrong("QLBL", "份额应写作 1/3、50% 或者 0.5", "write a share as 1/3, 50% or 0.5")
            return None
        return Share(numerator=fraction.numerator, denominator=fraction.denominator)

    def certificate(self, field: str, kind: str) -> CertificateRef | None:
        """A certificate: national when it reads so, legacy when it follows no national pattern.

        `kind` is TITLE or PROOF. A number that names 不动产权 or 不动产证明 and is malformed is a
        problem, and so is a national one of the other kind.
        """
        number = self.required(field)
        if not number:
            return None
        plain = compact(number)
        if "不动产权第" not in plain and "不动产证明第" not in plain:
            return CertificateRef(number=plain, scheme=CertificateScheme.LEGACY)
        try:
            if parse_certificate_number(number).kind != kind:
                wanted = ("不动产权证书号", "title") if kind == "TITLE" else ("不动产登记证明号", "proof")
                self.wrong(
                    field,
                    f"应为{wanted[0]}",
                    f"must be the number of a {wanted[1]}",
                    "CERTIFICATE_NUMBER_MALFORMED",
                )
                return None
            return CertificateRef(number=normalise_certificate_number(number))
        except IdentifierError as error:
            self.wrong(field, error.zh, error.en, "CERTIFICATE_NUMBER_MALFORMED")
            return None

    def person(self, role: layout.Role) -> Party | None:
        """The person in the columns of a role; None when they are blank or wrong."""
        if not any(self.text(column) for column in (role.name, role.kind, role.number)):
            return None
        name = self.required(role.name)
        kind = self.choice(role.kind, layout.ID_KINDS)
        number = self.required(role.number)
        if not name or kind is None or not number:
            return None
        is_holder = role is layout.HOLDER
        try:
            return canonical_party(
                Party(
                    name=name,
                    id_kind=kind,
                    id_number=number,
                    country=self._country() if is_holder else "CN",
                    phone=self.text("DH") if is_holder else "",
                    address=self.text("DZ") if is_holder else "",
                    capacity=self._capacity() if is_holder else Capacity.FULL,
                    guardian=self.person(layout.GUARDIAN) if is_holder else None,
                )
            )
        except IdentifierError as error:
            self.wrong(role.number, error.zh, error.en, _ID_CODES.get(kind, "FIELD_INVALID"))
            return None

    def _capacity(self) -> Capacity:
        return self.choice("XWNL", layout.CAPACITIES, Capacity.FULL) or Capacity.FULL

    def _country(self) -> str:
        """GJ: two letters, or 142, the vendors' code of the People's Republic."""
        country = compact(self.text("GJ")).upper()
        if country in ("", "142"):
            return "CN"
        if not re.fullmatch(r"[A-Z]{2}", country):
            self.wrong("GJ", "应为两位字母的国家代码", "must be a country code of two letters")
        return country

    def _decimal(self, field: str, *, needed: bool) -> Decimal | None:
        text = compact(self.text(field))
        if not text:
            if needed:
                self.required(field)
            return None
        if _DECIMAL.fullmatch(text):
            return Decimal(text)
        self.wrong(field, "应为不带分隔符的数字", "must be a plain number without separators")
        return None


def _day(match: re.Match[str]) -> dt.date:
    return dt.date(int(match["year"]), int(match["month"]), int(match["day"]))
