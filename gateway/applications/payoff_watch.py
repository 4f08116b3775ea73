"""结清提醒: what the day of a payoff brings (gateway/kinds/payoff_deadline.py says which day, and why). Pure.

Shortly before it, and when it has passed, every institution of the case is told; when it has passed the case is the
registrar's to look after too (it stands on the readiness board). Nothing ends by itself.
"""

from __future__ import annotations

from msgspec.structs import replace

from gateway.applications.accepting import Answered, record
from gateway.cases.decision import Decision
from gateway.cases.model import PAYOFF_NEARS, PAYOFF_OVERDUE, Application, Moment, Result, World
from gateway.kinds.payoff_deadline import old_mortgages


def decide_payoff(world: World, row: Application, answered: Answered, moment: Moment) -> Decision:
    """The old mortgage is gone, or its release is near its day, or late; the caller has asked whether it is time."""
    states = [world.units[code] for code in row.units if code in world.units]
    if not old_mortgages(row, states):
        settled = replace(row, payoff_settled=True, payoff_settled_at=moment.now)
        kind = replace(answered, kind="payoff.settled")
        return record(world, kind, settled, Result.DONE, moment, tells=None)
    is_late = row.payoff_until is not None and moment.now >= row.payoff_until
    told = PAYOFF_OVERDUE if is_late else PAYOFF_NEARS
    kind = replace(answered, kind="payoff.overdue" if is_late else "payoff.nears")
    return record(world, kind, replace(row, payoff_told=told), Result.DONE, moment, tells=told)
