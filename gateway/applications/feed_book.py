"""What an act of the counter's feed changes, gathered: rights, holds, open cases, who is told, what was found.

Like `Booking` it is local and mutable on purpose: it lives for one pure decision, in which several acts may come to
have effect, one after the other, when a hole of the feed is closed.
"""

from __future__ import annotations

import datetime as dt

from msgspec.structs import replace

from gateway.applications.events import CERTIFICATE_ENDED, PRE_NOTICE_STANDS, counter_name
from gateway.cases.effects import (
    AnyEffect,
    ApplicationRecorded,
    CertificateEnded,
    CounterCaseRecorded,
    CounterMoved,
    EventRecorded,
    PreNoticeTermMoved,
    RightBooked,
    RightEnded,
    UnitRecorded,
)
from gateway.cases.feed import AnyFeedAct, CounterCase, FeedState
from gateway.cases.model import Application, Moment, OpenCase
from gateway.register.authority import Institution, Profile
from gateway.register.calendar import CHINA, PACKAGED, Calendar
from gateway.register.findings import Finding, Severity
from gateway.register.model import (
    AnyRight,
    Party,
    PreNotice,
    Unit,
    UnitHold,
    UnitState,
    Value,
    certificate_numbers,
    going_on,
)
from gateway.register.reasons import finding


class FeedWorld(Value, frozen=True, kw_only=True):
    """All that deciding on an act of the feed may read. `taken` says that its number came before; `held` are the acts
    that wait behind a hole, by number; `applications` are our open cases on the units.
    """

    registry: str
    profile: Profile
    calendar: Calendar = PACKAGED
    feed: FeedState
    taken: bool = False
    held: dict[int, AnyFeedAct] = {}
    units: dict[str, UnitState] = {}
    open_cases: dict[str, tuple[OpenCase, ...]] = {}
    applications: dict[str, Application] = {}
    counter_cases: dict[str, CounterCase] = {}
    institutions: dict[str, Institution] = {}
    counters: dict[str, int] = {}
    certificates_by_number: dict[str, str] = {}
    certificate_holders: dict[str, tuple[str, ...]] = {}


class FeedBook:
    """The changes of one entry of the feed; `source` is the counter system in whose name it books."""

    def __init__(self, world: FeedWorld, moment: Moment, source: str) -> None:
        self.world = world
        self.moment = moment
        self.source = source
        self.states = dict(world.units)
        self.cases = {code: dict.fromkeys(cases) for code, cases in world.open_cases.items()}
        self.applications = dict(world.applications)
        self.counter_cases = dict(world.counter_cases)
        self.effects: list[AnyEffect] = []
        self.findings: list[Finding] = []
        self.about: dict[str, tuple[Finding, ...]] = {}
        self._counters: dict[str, int] = {}
        self._rights = 0

    @property
    def today(self) -> dt.date:
        """The day in China."""
        return self.moment.now.astimezone(CHINA).date()

    # -- the register --------------------------------------------------------------------------------------------

    def new_right_id(self) -> str:
        """The next right id of this entry."""
        self._rights += 1
        return f"{self.moment.index}.{self._rights}"

    def put_unit(self, unit: Unit) -> None:
        """A unit as it stands from now on."""
        known = self.states.get(unit.unit_code)
        self.states[unit.unit_code] = UnitState(unit=unit, rights=known.rights if known else ())
        self.effects.append(UnitRecorded(unit=unit))

    def hold(self, code: str, hold: UnitHold) -> None:
        """Put a hold on a unit that the register has."""
        state = self.states.get(code)
        if state is not None and hold not in state.unit.holds:
            self.put_unit(replace(state.unit, holds=(*state.unit.holds, hold)))

    def unhold(self, code: str, hold: UnitHold) -> None:
        """Take a hold off again."""
        state = self.states.get(code)
        if state is not None and hold in state.unit.holds:
            self.put_unit(replace(state.unit, holds=tuple(h for h in state.unit.holds if h is not hold)))

    def book(self, right: AnyRight) -> AnyRight:
        """The right exists; it gets an id of this entry. One on a unit that we do not have waits for its unit."""
        right = replace(right, right_id=self.new_right_id(), booked_by=right.booked_by or self.source)
        self.effects.append(RightBooked(right=right))
        for code in right.units:
            state = self.states.get(code)
            if state is not None:
                self.states[code] = UnitState(unit=state.unit, rights=(*state.rights, right))
        return right

    def end(self, right: AnyRight, reason: str, *, case_number: str = "", by: AnyRight | None = None) -> None:
        """The row becomes historical, never edited (IR 10); what we issued on it proves nothing any more."""
        self.effects.append(
            RightEnded(
                right_id=right.right_id,
                ended_at=self.moment.now,
                case_number=case_number,
                reason=reason,
                ended_by=self.source,
                by=by.right_id if by is not None else "",
            )
        )
        for code in right.units:
            state = self.states.get(code)
            if state is not None:
                rest = tuple(r for r in state.rights if r.right_id != right.right_id)
                self.states[code] = UnitState(unit=state.unit, rights=rest)
        for number in sorted(certificate_numbers([right])):
            identifier = self.world.certificates_by_number.get(number)
            if identifier:
                self.effects.append(
                    CertificateEnded(
                        identifier=identifier,
                        state="CANCELLED" if by is None else "SUPERSEDED",
                        case_number=case_number,
                        ended_at=self.moment.now,
                    )
                )
                for uscc in self.world.certificate_holders.get(identifier, ()):
                    if uscc in self.world.institutions:
                        self.tell(uscc, CERTIFICATE_ENDED, certificate=identifier)

    def supersede(self, old: AnyRight, new: AnyRight, reason: str) -> AnyRight:
        """A new row in the old one's place."""
        booked = self.book(going_on(old, new))
        self.end(old, reason, case_number=new.case_number, by=booked)
        return booked

    def move_term(self, notice: PreNotice) -> None:
        """The 90 days of a live pre-notice as they now run; its holders, and who was shown its proof, are told."""
        for code in notice.units:
            state = self.states.get(code)
            if state is not None:
                rights = tuple(notice if r.right_id == notice.right_id else r for r in state.rights)
                self.states[code] = UnitState(unit=state.unit, rights=rights)
        self.effects.append(
            PreNoticeTermMoved(
                right_id=notice.right_id,
                registrable_from=notice.registrable_from,
                warned_days=notice.warned_days,
                lapse_presumed_on=notice.lapse_presumed_on,
            )
        )
        identifier = self.world.certificates_by_number.get(notice.proof.number, "")
        shown = self.world.certificate_holders.get(identifier, ())
        known = (*(self.registered(holder) for holder in notice.holders), *shown)
        for uscc in sorted({uscc for uscc in known if uscc in self.world.institutions}):
            self.tell(uscc, PRE_NOTICE_STANDS, unit_code=notice.units[0], certificate=identifier)

    # -- cases and those who are told ----------------------------------------------------------------------------

    def record(self, row: Application) -> None:
        """An application of ours as this entry leaves it."""
        self.applications[row.application_id] = row
        self.effects.append(ApplicationRecorded(application=row))

    def record_counter_case(self, case: CounterCase) -> None:
        """A case of the counter as this entry leaves it."""
        self.counter_cases[case.case_number] = case
        self.effects.append(CounterCaseRecorded(case=case))

    def registered(self, party: Party) -> str:
        """The USCC under which a party is registered as an institution, by a present or former code; else empty."""
        if not party.is_institution:
            return ""
        if party.id_number in self.world.institutions:
            return party.id_number
        known = (i.uscc for i in self.world.institutions.values() if i.is_known_as(party.id_number))
        return next(known, "")

    def tell(
        self,
        uscc: str,
        kind: str,
        *,
        row: Application | None = None,
        unit_code: str = "",
        certificate: str = "",
    ) -> int:
        """One event of an institution, in its own gap-free sequence; returns its number."""
        name = counter_name(uscc)
        sequence = self._counters.get(name, self.world.counters.get(name, 0)) + 1
        self._counters[name] = sequence
        self.effects.append(
            EventRecorded(
                institution=uscc,
                sequence=sequence,
                kind=kind,
                application_id=row.application_id if row else "",
                state=row.state.value if row else "",
                at=self.moment.now,
                unit_code=unit_code,
                certificate=certificate,
                case_number=row.case_number if row else "",
            )
        )
        return sequence

    def counters_moved(self) -> list[AnyEffect]:
        """Where the sequences of those who were told stand now."""
        return [CounterMoved(name=name, value=value) for name, value in sorted(self._counters.items())]

    # -- findings ------------------------------------------------------------------------------------------------

    def warn(self, code: str, zh: str, en: str, *, article: str = "", field: str = "") -> None:
        """Something to know about the act; it has its effect all the same."""
        self.findings.append(finding(code, Severity.WARNS, field=field, article=article, zh=zh, en=en))

    def conflict(self, unit_code: str, zh: str, en: str) -> None:
        """Counter and register disagree about a unit: a person finds out, until then no rule decides on it."""
        self.findings.append(
            finding(
                "R-CONFLICT",
                Severity.REFERS,
                field=unit_code,
                article="CC 217; OS 4.8",
                zh=f"单元 {unit_code}：{zh}；已暂停该单元的自动办理，由登记员核实",
                en=f"unit {unit_code}: {en}; no rule decides on this unit until a person has found out",
            )
        )
        self.hold(unit_code, UnitHold.QUARANTINED)
