"""Small readers from wire to domain that every decoder needs: dates, instants, money, certificates, enum names.

Each notes what is wrong in a `Violations` and reads on; none raises.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date

from gateway.pb.diya.v1 import common_pb2
from gateway.register import model as m
from gateway.register.identifiers import normalise_certificate_number, normalise_uscc
from gateway.rpc.violations import Violations

#: Parties of the terms by their id in the terms.
Parties = dict[str, m.Party]

#: Of a share (common.proto Fraction).
DENOMINATOR_MAX = 1_000_000_000

_CURRENCY = re.compile(r"[A-Z]{3}")


def required(value: object, path: str, wrong: Violations) -> None:
    """Note a field that must be there and is not."""
    if not value:
        wrong.add(path, "必填", "is required")


def limit(count: int, most: int, path: str, wrong: Violations) -> None:
    """Note a list that is too long."""
    if count > most:
        wrong.add(path, f"最多 {most} 项", f"may have at most {most} items")


#: What the register can hold: decimal(15,6) of 万元 (fields.csv), one fen being its last digit.
AMOUNT_FEN_MAX = 10**15 - 1


def enum_name(enum: Any, number: int, prefix: str) -> str:
    """An enum value's name without its prefix; empty for _UNSPECIFIED and for values we do not know."""
    try:
        name: str = enum.Name(number)
    except ValueError:
        return ""
    return "" if number == 0 else name.removeprefix(prefix)


def date(holder: Any, name: str, path: str, wrong: Violations, *, needed: bool = True) -> dt.date | None:
    """A full date; None where there is none or it is wrong."""
    if not holder.HasField(name):
        if needed:
            wrong.add(f"{path}.{name}", "必填", "is required")
        return None
    value: Date = getattr(holder, name)
    try:
        return dt.date(value.year, value.month, value.day)
    except ValueError:
        wrong.add(f"{path}.{name}", "不是完整的日期", "is not a full date (year, month, day)")
        return None


def instant(holder: Any, name: str, path: str, wrong: Violations) -> dt.datetime | None:
    """An instant in UTC, which must be there."""
    if not holder.HasField(name):
        wrong.add(f"{path}.{name}", "必填", "is required")
        return None
    value: Timestamp = getattr(holder, name)
    try:
        return value.ToDatetime(dt.UTC)
    except (ValueError, OverflowError):
        wrong.add(f"{path}.{name}", "不是有效的时间", "is not a valid instant")
        return None


def money(
    holder: Any, name: str, path: str, wrong: Violations, *, needed: bool = True, least: int = 1
) -> tuple[int, str] | None:
    """Fen and currency, at least `least`; None where there is no amount."""
    path = f"{path}.{name}"
    if not holder.HasField(name):
        if needed:
            wrong.add(path, "必填", "is required")
        return None
    wire = getattr(holder, name)
    if wire.amount_fen > AMOUNT_FEN_MAX:
        wrong.add(
            path + ".amount_fen",
            f"不得超过 {AMOUNT_FEN_MAX} 分（登记簿字段 decimal(15,6)，单位万元）",
            f"must not exceed {AMOUNT_FEN_MAX} fen: the register's field is decimal(15,6) in 10,000 CNY",
        )
    if wire.amount_fen < least:
        wrong.add(
            path + ".amount_fen",
            "必须大于零" if least else "不得小于零",
            "must be greater than zero" if least else "must not be negative",
        )
    if not _CURRENCY.fullmatch(wire.currency):
        wrong.add(path + ".currency", "必须是 ISO 4217 代码，如 CNY", "must be an ISO 4217 code such as CNY")
    return wire.amount_fen, wire.currency


def fen(holder: Any, name: str, path: str, wrong: Violations, *, needed: bool = True, least: int = 1) -> int:
    """An amount that must be in CNY, in fen; 0 where there is none."""
    amount = money(holder, name, path, wrong, needed=needed, least=least)
    if amount is None:
        return 0
    if amount[1] != "CNY":
        wrong.add(f"{path}.{name}.currency", "必须是 CNY", "must be CNY")
    return amount[0]


def share(holder: Any, name: str, path: str, wrong: Violations) -> m.Share | None:
    """A part of the unit, below the whole; None where there is none: the whole is meant."""
    if not holder.HasField(name):
        return None
    above, below = getattr(holder, name).numerator, getattr(holder, name).denominator
    if not 0 < above < below <= DENOMINATOR_MAX:
        wrong.add(
            f"{path}.{name}",
            "必须大于零且小于一，分母不超过十亿；转让全部的不填",
            "must lie between zero and one, its denominator at most 1,000,000,000; leave it out for the whole",
        )
        return None
    lowest = Fraction(above, below)
    return m.Share(numerator=lowest.numerator, denominator=lowest.denominator)


def certificate(wire: common_pb2.CertificateReference, path: str, wrong: Violations) -> m.CertificateRef:
    """A certificate as it is cited; a national number in its canonical form."""
    scheme = enum_name(common_pb2.CertificateScheme, wire.scheme, "CERTIFICATE_SCHEME_") or "NATIONAL"
    number = wire.number
    if not number.strip():
        wrong.add(path + ".number", "必填", "is required")
    elif scheme == "NATIONAL":
        with wrong.at(path + ".number", "CERTIFICATE_NUMBER_MALFORMED"):
            number = normalise_certificate_number(number)
    medium = enum_name(common_pb2.CertificateMedium, wire.medium, "CERTIFICATE_MEDIUM_") or "PAPER"
    return m.CertificateRef(
        number=number,
        scheme=m.CertificateScheme(scheme),
        medium=m.Medium(medium),
        surrendered=wire.surrendered,
        declared_void=wire.declared_void,
    )


def institution(wire: common_pb2.InstitutionReference, path: str, wrong: Violations) -> m.Party:
    """An institution by its code."""
    uscc = wire.uscc
    with wrong.at(path + ".uscc", "USCC_MALFORMED"):
        uscc = normalise_uscc(wire.uscc)
    return m.Party(name=wire.name, id_kind=m.IdKind.USCC, id_number=uscc)


def party(name: str, parties: Parties, path: str, wrong: Violations) -> m.Party | None:
    """A party of the terms by its id; an unknown id is noted, unless the parties themselves were malformed."""
    found = parties.get(name)
    if found is None and not any(v.path.startswith("terms.parties") for v in wrong.found):
        wrong.add(path, f"terms.parties 中没有 {name}", f"no party {name} in the terms")
    return found


def named(
    ids: Any, parties: Parties, path: str, wrong: Violations, *, needed: bool = True
) -> tuple[m.Party, ...]:
    """Parties of the terms by their ids."""
    if needed:
        required(ids, path, wrong)
    found = [party(name, parties, f"{path}[{n}]", wrong) for n, name in enumerate(ids)]
    people = tuple(p for p in found if p is not None)
    if len({p.key for p in people}) < len(people):
        wrong.add(path, "同一人列了两次", "names the same person twice")
    return people


def positions(numbers: Iterable[int], count: int, path: str, wrong: Violations) -> None:
    """Note each position that no operation of the terms has."""
    for number, position in enumerate(numbers):
        if not 0 <= position < count:
            wrong.add(
                f"{path}[{number}]", f"须在 0 至 {count - 1} 之间", f"must lie between 0 and {count - 1}"
            )


def enum_names(enum: Any, numbers: Iterable[int], prefix: str, path: str) -> list[str]:
    """Names of the values of a list's filter. Raises MalformedRequest for one that the contract does not have."""
    wrong = Violations()
    names = []
    for position, number in enumerate(numbers):
        names.append(enum_name(enum, number, prefix))
        if not names[-1]:
            wrong.add(f"{path}[{position}]", f"没有取值 {number}", f"has no value {number}")
    wrong.refuse_if_any()
    return names
