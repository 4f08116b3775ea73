"""From the working set to what deciding on an act of the counter's feed reads: a `FeedWorld`."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from gateway.applications.events import counter_name
from gateway.applications.feed_book import FeedWorld
from gateway.cases.feed import COUNTER, AnyFeedAct, CounterCase, CounterEntry
from gateway.cases.model import Application, OpenCase
from gateway.register.model import Mortgage, PreNotice, UnitState, certificate_numbers
from gateway.storage import tables as t
from gateway.storage.settings import Settings
from gateway.storage.working import Wants, Working
from gateway.worlds.world import RegistryNotReady

_decode_act = msgspec.json.Decoder(AnyFeedAct).decode
_decode_case = msgspec.json.Decoder(CounterCase).decode


def wants_of_feed(act: AnyFeedAct, source: str, request_id: str) -> Wants:
    """What deciding on this act will read."""
    return Wants(requests={(source, request_id)}, units=set(act.unit_codes))


def feed_world_of(working: Working, act: AnyFeedAct) -> FeedWorld:
    """Everything that deciding on this act, and on those that it lets go on, may read."""
    settings = working.settings
    if settings.profile is None:
        raise RegistryNotReady(
            f"登记机构 {working.registry} 尚未设立", f"registry {working.registry} has not been set up"
        )
    held = _let_go(working, act)
    acts = (act, *held.values())
    units: dict[str, UnitState] = {}
    open_cases: dict[str, tuple[OpenCase, ...]] = {}
    for code in dict.fromkeys(code for one in acts for code in one.unit_codes):
        state = working.unit_state(code)
        open_cases[code] = working.open_cases(code)
        if state is not None:
            units[code] = state
    for code in [c for state in units.values() for right in state.rights for c in right.units]:
        shared = working.unit_state(code) if code not in units else None
        if shared is not None:
            units[code] = shared
            open_cases[code] = working.open_cases(code)
    applications = _applications(working, open_cases.values())
    numbers = {n for state in units.values() for n in certificate_numbers(state.rights)}
    told = {uscc for row in applications.values() for uscc in row.institutions}
    told |= _lenders(settings, units.values())
    certificates = working.certificate_identifiers(numbers)
    holders = {i: working.certificate_holders(i) for i in certificates.values()}
    told |= {uscc for several in holders.values() for uscc in several}
    return FeedWorld(
        registry=working.registry,
        profile=settings.profile,
        calendar=settings.calendar_in_force,
        feed=settings.feed,
        taken=working.row(t.feed_act, act.sequence) is not None,
        held=held,
        units=units,
        open_cases=open_cases,
        applications=applications,
        counter_cases=_counter_cases(working, acts, open_cases.values()),
        institutions=settings.institutions,
        counters={name: working.counter(name) for name in map(counter_name, told)},
        certificates_by_number=certificates,
        certificate_holders=holders,
    )


def _let_go(working: Working, act: AnyFeedAct) -> dict[int, AnyFeedAct]:
    """The acts that wait and have effect once this one has come, by number."""
    feed = working.settings.feed
    stands = feed.taking(act.sequence, act.as_of)
    held = {}
    for number in range(feed.last + 1, stands.last + 1):
        row = working.row(t.feed_act, number)
        if row is not None and row["held"] is not None:
            held[number] = _decode_act(row["held"])
    return held


def _applications(working: Working, cases: Iterable[tuple[OpenCase, ...]]) -> dict[str, Application]:
    """Our applications among the open cases; those of the counter have no row."""
    found = {}
    for case in (c for of_unit in cases for c in of_unit):
        row = working.application(case.application_id)
        if row is not None:
            found[case.application_id] = row
    return found


def _counter_cases(
    working: Working, acts: Iterable[AnyFeedAct], queues: Iterable[tuple[OpenCase, ...]]
) -> dict[str, CounterCase]:
    """The cases of the counter that the acts name, and those that are open on the units."""
    named = [act.case_number for act in acts if isinstance(act, CounterEntry) and act.case_number]
    waiting = [case.application_id for queue in queues for case in queue]
    named += [one.removeprefix(COUNTER) for one in waiting if one.startswith(COUNTER)]
    rows = {number: working.row(t.counter_case, number) for number in dict.fromkeys(named)}
    return {number: _decode_case(row["body"]) for number, row in rows.items() if row is not None}


def _lenders(settings: Settings, states: Iterable[UnitState]) -> set[str]:
    """Registered institutions with a right on the units, under a present or former code."""
    numbers = {
        party.id_number
        for state in states
        for right in state.rights
        if isinstance(right, Mortgage | PreNotice)
        for party in (right.mortgagees if isinstance(right, Mortgage) else right.holders)
    }
    return {i.uscc for i in settings.institutions.values() if any(i.is_known_as(n) for n in numbers)}
