"""Working days and the ninety days of a pre-notice (CC 201, 203, 221; handbook 3.5, 10)."""

from __future__ import annotations

import csv
import datetime as dt
from pathlib import Path

with (Path(__file__).parents[1] / "vectors/domain/calendar_2026.csv").open(
    encoding="utf-8", newline=""
) as _lines:
    _DAYS = {dt.date.fromisoformat(row["date"]): row["is_workday"] == "1" for row in csv.DictReader(_lines)}


def works(day: dt.date) -> bool:
    """Whether people work: the State Council's list, else Monday to Friday (handbook 10)."""
    return _DAYS.get(day, day.weekday() < 5)


def last_day(start: dt.date, days: int = 90) -> dt.date:
    """The 90th day, or the next day on which people work (CC 203, 221)."""
    day = start + dt.timedelta(days=days)
    while not works(day):
        day += dt.timedelta(days=1)
    return day
