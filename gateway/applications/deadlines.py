"""What a passing day, or a new calendar, makes of the limits of an open case, with nobody's request. Pure.

A limit that passes ends nothing: silence is no decision (IR 17 speaks of acceptance only). It is recorded, once a case,
and told. A calendar that was imported moves the limits of the cases that were reckoned without it (handbook 10).
"""

from __future__ import annotations

from msgspec.structs import replace

from gateway.applications.accepting import Answered, record
from gateway.applications.expiry import NothingDue
from gateway.applications.later import Dossier
from gateway.applications.limits import breached_from, provisional_date, with_deadlines
from gateway.cases.decision import Decision
from gateway.cases.model import QUEUED, Moment, Result

BREACHED = "deadline.breached"
CHANGED = "deadline.changed"

#: What the institutions of the case are told (outcome.proto, EventKind).
DEADLINE_BREACHED = "DEADLINE_BREACHED"
DEADLINE_CHANGED = "DEADLINE_CHANGED"


def decide_breached(dossier: Dossier, answered: Answered, moment: Moment) -> Decision:
    """The last day is over and the case is not decided: on record once. Raises NothingDue while it is not so."""
    row = dossier.row
    late = breached_from(row)
    if late is None or moment.now < late:
        raise NothingDue
    return record(
        dossier.world,
        replace(answered, kind=BREACHED),
        replace(row, breached_at=moment.now),
        Result.DONE,
        moment,
        remarks=provisional_date(row),
        tells=DEADLINE_BREACHED,
    )


def decide_recomputed(dossier: Dossier, answered: Answered, moment: Moment) -> Decision:
    """The limits as the calendar in force has them. Raises NothingDue when they stand so already.

    A lateness that was recorded on a day that is no longer the last one is taken back.
    """
    row = dossier.row
    if row.state not in QUEUED:
        raise NothingDue
    again = with_deadlines(row, dossier.world.calendar)
    if again == row:
        raise NothingDue
    late = breached_from(replace(again, breached_at=None))
    if late is None or moment.now < late:
        again = replace(again, breached_at=None)
    return record(
        dossier.world,
        replace(answered, kind=CHANGED),
        again,
        Result.DONE,
        moment,
        remarks=provisional_date(again),
        tells=DEADLINE_CHANGED,
    )
