"""From the working set to what deciding on the term of one pre-notice reads: a `NoticeWorld`."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.applications.events import counter_name
from gateway.applications.pre_notice_term import NoticeWorld
from gateway.register.model import PreNotice
from gateway.register.states import is_first_registered
from gateway.storage.settings import Settings
from gateway.storage.working import Wants, Working


def wants_of_notice(unit_code: str, requests: Iterable[tuple[str, str]]) -> Wants:
    """What deciding on it will read."""
    return Wants(requests=set(requests), units={unit_code})


def notice_world_of(working: Working, unit_code: str, right_id: str) -> NoticeWorld | None:
    """A live pre-notice of a unit with everything that its term depends on; None when there is none."""
    state = working.unit_state(unit_code)
    notice = next((n for n in state.pre_notices if n.right_id == right_id), None) if state else None
    if notice is None:
        return None
    number = notice.proof.number
    certificate = working.certificate_identifiers({number}).get(number, "")
    shown = working.certificate_holders(certificate) if certificate else ()
    told = _registered(working.settings, notice, shown)
    cases = {case.application_id: case for code in notice.units for case in working.open_cases(code)}
    return NoticeWorld(
        notice=notice,
        is_registrable=all(is_first_registered(on) for on in map(working.unit_state, notice.units) if on),
        calendar=working.settings.calendar_in_force,
        open_cases=tuple(cases.values()),
        institutions=working.settings.institutions,
        told=told,
        certificate=certificate,
        counters={name: working.counter(name) for name in map(counter_name, told)},
    )


def _registered(settings: Settings, notice: PreNotice, shown: Iterable[str]) -> tuple[str, ...]:
    """Registered institutions that hold it, under a present or former code, and those to whom its proof was shown."""
    codes = {*shown, *(holder.id_number for holder in notice.holders if holder.is_institution)}
    return tuple(
        sorted(i.uscc for i in settings.institutions.values() if any(i.is_known_as(code) for code in codes))
    )
