"""A made-up table of 2027 as the State Council might publish it: Monday 4 January off, Sunday 10 worked for it."""

from __future__ import annotations

import datetime as dt

from gateway.register.calendar import PACKAGED, Calendar, read_table, statutory_days_off

CSV_2027 = """date,weekday,kind,name,is_workday
2027-01-01,Fri,holiday,元旦,0
2027-01-04,Mon,holiday,元旦,0
2027-01-10,Sun,makeup_workday,元旦,1
2027-02-05,Fri,holiday,春节,0
2027-02-08,Mon,holiday,春节,0
2027-02-09,Tue,holiday,春节,0
2027-02-10,Wed,holiday,春节,0
2027-04-05,Mon,holiday,清明节,0
2027-05-01,Sat,holiday,劳动节,0
2027-05-02,Sun,holiday,劳动节,0
2027-05-03,Mon,holiday,劳动节,0
2027-05-04,Tue,holiday,劳动节,0
2027-06-09,Wed,holiday,端午节,0
2027-09-15,Wed,holiday,中秋节,0
2027-10-01,Fri,holiday,国庆节,0
2027-10-02,Sat,holiday,国庆节,0
2027-10-03,Sun,holiday,国庆节,0
2027-10-04,Mon,holiday,国庆节,0
"""

_YEAR, _TABLE = read_table(CSV_2027.splitlines())

YEAR_2027 = Calendar(years={_YEAR: _TABLE})


def december(today: dt.date) -> dt.date:
    """The next 10 December whose following year has no table with the software, as golden 41 has it."""
    day = dt.date(today.year, 12, 10)
    while day <= today or PACKAGED.is_known_year(day.year + 1):
        day = day.replace(year=day.year + 1)
    return day


def published(year: int) -> str:
    """A table of any year: its days off by statute, and the whole second week of January, so that deadlines move."""
    days = set(statutory_days_off(year))
    monday = dt.date(year, 1, 8)
    while monday.weekday():
        monday += dt.timedelta(days=1)
    days.update(monday + dt.timedelta(days=n) for n in range(5))
    names = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    rows = [f"{day},{names[day.weekday()]},holiday,放假,0" for day in sorted(days)]
    return "\n".join(("date,weekday,kind,name,is_workday", *rows, ""))
