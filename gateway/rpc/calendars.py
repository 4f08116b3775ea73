"""A year's table of working days from the wire, and the calendar that stands onto it."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from gateway.pb.diya.v1 import admin_service_pb2
from gateway.register.calendar import CHINA, Calendar, CalendarInvalid, read_table
from gateway.rpc.encode import date
from gateway.rpc.names import malformed

#: A year has some forty lines.
TABLE_BYTES_MAX: Final = 64 * 1024

#: A table of another century is a mistyped one: statute alone is computed for these years too.
YEARS: Final = range(2024, 2100)


def read_calendar(wire: Any) -> tuple[int, dict[dt.date, bool]]:
    """The year and its table. Raises MalformedRequest that names the line."""
    if len(wire.table) > TABLE_BYTES_MAX:
        raise malformed("table", f"最多 {TABLE_BYTES_MAX} 字节", f"must have at most {TABLE_BYTES_MAX} bytes")
    try:
        year, table = read_table(wire.table.decode("utf-8-sig").splitlines())
    except UnicodeDecodeError as error:
        raise malformed("table", "不是 UTF-8 编码", "is not UTF-8") from error
    except CalendarInvalid as error:
        line = error.line
        raise malformed("table", f"第 {line} 行：{error.zh}" if line else error.zh, str(error)) from error
    if year not in YEARS:
        raise malformed("table", f"{year} 年不在范围内", f"{year} is out of range")
    return year, table


def encode_calendar(calendar: Calendar, now: dt.datetime) -> admin_service_pb2.WorkingCalendar:
    """Which years are known, until when, and whether the next one is wanted."""
    return admin_service_pb2.WorkingCalendar(
        years=sorted(calendar.years),
        table_end=date(calendar.table_end()),
        ending=calendar.is_table_ending(now.astimezone(CHINA).date()),
    )
