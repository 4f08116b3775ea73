"""结清期限: which booked phases leave an old mortgage to be released, until when, and whether it is still there (N29).

In a segmented mode the buyer owns and the new mortgage stands before the old loan is paid off (N29, mode 2): whoever
lent on it relies on the release that is still to come. The day is the place's rule (profile.payoff_days from the
booking) [M]; no law gives the release a term.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Final

from gateway.cases.model import Application
from gateway.cases.terms import Terms
from gateway.kinds.deal import old_proofs
from gateway.kinds.modes import MODES
from gateway.kinds.named import is_or_was_proof_of
from gateway.register.authority import Profile
from gateway.register.calendar import CHINA, Calendar
from gateway.register.model import Mortgage, Party, UnitState

_RELEASES: Final = ("MORTGAGE_RELEASE",)


def leaves_a_payoff(row: Application) -> bool:
    """Whether the next phase of the row's mode does nothing but release the old mortgage."""
    mode = MODES.get(row.mode)
    if mode is None or row.phase >= len(mode.phases):
        return False
    return tuple(step.operation for step in mode.phases[row.phase].steps) == _RELEASES


def payoff_until(
    row: Application, profile: Profile, calendar: Calendar, now: dt.datetime
) -> dt.datetime | None:
    """The end of the day by which the old loan is to be paid off and released; None where nothing is left to be."""
    if not leaves_a_payoff(row):
        return None
    last, _ = calendar.add_calendar_days(now.astimezone(CHINA).date(), profile.payoff_days)
    return dt.datetime.combine(last + dt.timedelta(days=1), dt.time(), CHINA).astimezone(dt.UTC)


def named_old(
    row: Application, terms: Terms, prior: Application | None, states: Iterable[UnitState]
) -> tuple[str, ...]:
    """Identities of the mortgages that this deal is to end: a step or a payoff statement of it names them (N29).

    A third one, of which the parties say nothing, may stay on the unit (CC 406, 414; old_loan.others_stay). `prior` is
    the first phase of a later one: what it named still is of the deal. `states` are those before the booking.
    """
    if not row.mode:
        return ()
    proofs = [*old_proofs(terms), *(statement.proof for statement in terms.payoff_statements)]
    named = [m.identity for s in states for m in s.mortgages if any(is_or_was_proof_of(p, m) for p in proofs)]
    return tuple(dict.fromkeys((*(prior.old_mortgages if prior else ()), *named)))


def old_mortgages(row: Application, states: Iterable[UnitState]) -> tuple[Mortgage, ...]:
    """The live mortgages of these units that the booked phase left to be released.

    Those that the row names; where it names none (an entry of before they were kept), every one that was registered
    before the phase was booked.
    """
    if row.booked_at is None:
        return ()
    found = {
        mortgage.right_id: mortgage
        for state in states
        for mortgage in state.mortgages
        if mortgage.first_registered_at < row.booked_at
        and (not row.old_mortgages or mortgage.identity in row.old_mortgages)
    }
    return tuple(found.values())


def owing(row: Application, states: Iterable[UnitState]) -> tuple[Party, ...]:
    """Whose mortgages are still to be released."""
    parties = {p.key: p for mortgage in old_mortgages(row, states) for p in mortgage.mortgagees}
    return tuple(parties.values())
