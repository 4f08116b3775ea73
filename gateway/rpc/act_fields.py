"""Small fields of operators' and registrars' acts, read from the wire: each notes what is wrong and never raises."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from gateway.register.identifiers import IdentifierError, normalise_uscc
from gateway.rpc.violations import Violations


def uscc(text: str, path: str, wrong: Violations) -> str:
    """A unified social credit code in its canonical form."""
    try:
        return normalise_uscc(text)
    except IdentifierError as error:
        wrong.add(path, error.zh, error.en, "USCC_MALFORMED")
        return text


def usccs(texts: Iterable[str], path: str, wrong: Violations) -> tuple[str, ...]:
    """Several of them."""
    return tuple(uscc(text, f"{path}[{number}]", wrong) for number, text in enumerate(texts))


def limit(items: Any, most: int, path: str, wrong: Violations) -> None:
    """Note a list that is longer than it may be."""
    if len(items) > most:
        wrong.add(path, f"最多 {most} 项", f"may have at most {most} items")


def enum_name(enum: Any, number: int, prefix: str) -> str:
    """An enum value's name without its prefix; empty for _UNSPECIFIED and for values we do not know."""
    return "" if number == 0 or number not in enum.values() else str(enum.Name(number)).removeprefix(prefix)


def enums(enum: Any, numbers: Iterable[int], prefix: str, path: str, wrong: Violations) -> tuple[str, ...]:
    """Names of several enum values, each once."""
    names = []
    for at, number in enumerate(numbers):
        name = enum_name(enum, number, prefix)
        if not name:
            wrong.add(f"{path}[{at}]", f"没有取值 {number}", f"has no value {number}")
        names.append(name)
    return tuple(dict.fromkeys(names))


def not_negative(holder: Any, name: str, path: str, wrong: Violations) -> int:
    """A number that is 0 or above."""
    value = int(getattr(holder, name))
    if value < 0:
        wrong.add(f"{path}.{name}", "不得小于零", "must not be below zero")
    return value


def instant_of(
    holder: Any, name: str, path: str, wrong: Violations, *, required: bool = False
) -> dt.datetime | None:
    """An instant field in UTC; None when it is absent."""
    where = f"{path}.{name}" if path else name
    if not holder.HasField(name):
        if required:
            wrong.add(where, "必填", "is required")
        return None
    value: Timestamp = getattr(holder, name)
    try:
        return value.ToDatetime(dt.UTC)
    except (ValueError, OverflowError):
        wrong.add(where, "不是有效的时间", "is not a valid instant")
        return None
