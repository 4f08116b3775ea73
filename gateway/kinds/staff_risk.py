"""廉政风险防控: cases in which the institution's own staff have a hand, for a person to look at.

Linyi holds every registration against rules of its own, so that nobody who handles cases serves himself
(科学制定风险防控内容及检查规则, S15). Which of them a registry looks for, and whether it tells or hands the case to a
registrar, its profile says (`staff_risks`); nothing is refused on a suspicion. Staff are the clerks registered for the
institutions of the case, known by identity number, never by name. The registrars' own rule is
applications/own_case.py.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from gateway.cases.model import Manifest
from gateway.kinds.acting import staff_of
from gateway.kinds.clean import refer
from gateway.kinds.law import Case
from gateway.register.authority import StaffRisk, Stance
from gateway.register.calendar import CHINA
from gateway.register.findings import Finding, Severity
from gateway.register.reasons import finding

_ARTICLE = "S15"
_RULE = "NO_STAFF_RISK"

#: Where in the manifest a risk lies, and what it is, in both languages.
_Seen = tuple[str, str, str]


def staff_findings(case: Case) -> list[Finding]:
    """A finding for each risk that the profile looks for and the case shows."""
    return [
        _found(Stance(stance), seen)
        for name, stance in case.profile.staff_risks.items()
        for seen in _LOOKS[StaffRisk(name)](case)
    ]


def _found(stance: Stance, seen: _Seen) -> Finding:
    field, zh, en = seen
    if stance is Stance.REFER:
        return refer(field, _ARTICLE, zh, en, rule=_RULE)
    return finding("W-STAFF_RISK", Severity.WARNS, field=field, article=_ARTICLE, zh=zh, en=en)


def _clerk_is_party(case: Case) -> Iterator[_Seen]:
    clerk = case.manifest.header.clerk
    numbers = {
        one.id_number for one in staff_of(case) if one.employee_no == clerk.employee_no and one.id_number
    }
    if numbers & _parties(case.manifest):
        yield "header.clerk", "经办人本人是本件当事人", "the clerk who files is a party to the case"


def _staff_is_party(case: Case) -> Iterator[_Seen]:
    parties = _parties(case.manifest)
    if any(one.id_number in parties for one in staff_of(case)):
        yield (
            "terms.parties",
            "当事人中有经办机构的登记经办人员",
            "a party is a registered clerk of an institution here",
        )


def _staff_is_agent(case: Case) -> Iterator[_Seen]:
    staff = {one.id_number for one in staff_of(case) if one.id_number}
    for number, power in enumerate(case.manifest.terms.powers_of_attorney):
        if not power.principal.is_institution and power.agent.id_number in staff:
            yield (
                f"terms.powers_of_attorney[{number}]",
                "代理人是经办机构的登记经办人员",
                "the agent is a registered clerk of an institution here",
            )


def _out_of_hours(case: Case) -> Iterator[_Seen]:
    here = (case.accepted_at or case.now).astimezone(CHINA)  # looked at again later, it was filed when it was
    opens, closes = case.profile.office.on(here.date())
    if not (case.calendar.is_working_day(here.date()) and opens <= here < closes):
        yield "header.created_at", "在办公时间以外受理", "it came outside office hours"


_LOOKS = {
    StaffRisk.CLERK_IS_PARTY: _clerk_is_party,
    StaffRisk.STAFF_IS_PARTY: _staff_is_party,
    StaffRisk.STAFF_IS_AGENT: _staff_is_agent,
    StaffRisk.OUT_OF_HOURS: _out_of_hours,
}


def _parties(manifest: Manifest) -> set[str]:
    """Identity numbers of the natural persons whose case it is. Whoever is there as an agent alone is none of them and
    has a rule of his own; a party who is another's agent as well is still a party.
    """
    terms = manifest.terms
    principals = tuple(power.principal for power in terms.powers_of_attorney)
    everybody = (*replace(terms, powers_of_attorney=()).everybody, *principals)
    return {party.id_number for party in everybody if not party.is_institution}
