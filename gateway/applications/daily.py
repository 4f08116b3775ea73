"""How many submissions a registry takes of one institution in a day: the lower of what the profile says of everybody
and the institution's own limit (`submissions_per_day` of both). Pure.

The count is a counter of the ledger like any other: it outlives a restart, and a replay, which gets the stored answer,
does not move it. Where neither sets a limit nothing is counted.
"""

from __future__ import annotations

import datetime as dt

from gateway.cases.errors import QuotaExceeded
from gateway.cases.model import Header, World
from gateway.register.authority import Institution, Profile
from gateway.register.calendar import CHINA


def counter_of_day(institution: str, now: dt.datetime) -> str:
    """The counter of an institution's submissions on the day of `now` in China."""
    return f"submissions/{institution}/{now.astimezone(CHINA).date().isoformat()}"


def per_day_of(profile: Profile, institution: Institution | None) -> int:
    """How many a day are taken of this institution; 0: any number."""
    own = institution.submissions_per_day if institution is not None else 0
    return min((limit for limit in (profile.submissions_per_day, own) if limit), default=0)


def count_submission(world: World, header: Header, now: dt.datetime) -> dict[str, int]:
    """The counter as this submission moves it. Raises QuotaExceeded; a rehearsal has a quota of its own."""
    per_day = per_day_of(world.profile, world.institutions.get(header.channel_institution))
    if not per_day or header.validate_only:
        return {}
    name = counter_of_day(header.channel_institution, now)
    taken = world.counters.get(name, 0)
    if taken >= per_day:
        here = now.astimezone(CHINA)
        midnight = dt.datetime.combine(here.date() + dt.timedelta(days=1), dt.time(), CHINA)
        raise QuotaExceeded(per_day, (midnight - here).total_seconds())
    return {name: taken + 1}
