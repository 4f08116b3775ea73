"""Which modes fit a unit and its lenders, and why the others do not (N29; handbook 2, 12.8).

Nothing is said here that the law does not say: the sale is supposed (supposing.py), and each step's own file tells who
applies, which papers come and what the register bears. What bars the first phase keeps a mode from fitting; what
somebody must do (join, consent, bring) is told with its ground, for every phase. Pure.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Final

from msgspec.structs import replace

from gateway.cases.model import Manifest, OpenCase
from gateway.cases.terms import AnyOperation
from gateway.kinds import encumbered_transfer, holding
from gateway.kinds.clean import refer
from gateway.kinds.gating import tax_duties
from gateway.kinds.law import Applicant, Booking, Case, NotBookable, PaperRule
from gateway.kinds.laws import law_of
from gateway.kinds.modes import MODES, Gate, Mode, step_name
from gateway.kinds.rules import RULES
from gateway.kinds.supposing import Supposition, manifest_of, old_mortgages
from gateway.register.authority import Institution, Profile
from gateway.register.calendar import CHINA
from gateway.register.findings import Finding, Severity
from gateway.register.model import Party, UnitState, Value
from gateway.register.reasons import finding

#: What somebody can still do about it: join, consent, bring a paper, sign.
_TO_BE_DONE: Final = frozenset({"N-NOT_APPLICANT", "N-INCOMPLETE", "C-DISSENT", "C-SIGNATURE"})

#: Modes of a unit that is not yet registered, sold by its developer (GZ).
_NEW_BUILD: Final = "CONSTRUCTION_MORTGAGE_RELEASE"


#: Certificates on paper are numbered from here on, where no county is by the end of a year.
_PAPER_SERIALS: Final = 9_000_000


class SuggestedStep(Value, frozen=True, kw_only=True):
    """One operation of a phase: who would have to apply, and with which papers."""

    operation: str
    applicants: tuple[Applicant, ...]
    papers: tuple[PaperRule, ...]


class SuggestedPhase(Value, frozen=True, kw_only=True):
    """A phase: its steps in order, the papers that all parties share, what gates its booking."""

    number: int
    steps: tuple[SuggestedStep, ...]
    papers: tuple[PaperRule, ...]
    gates: tuple[Gate, ...]
    taxes: tuple[str, ...]


class Suggestion(Value, frozen=True, kw_only=True):
    """What the law has to say about one mode for this sale.

    `reasons` keep it from fitting; `needed` is what somebody must do besides applying, with its ground; `cautions`
    do not stop it: a person decides, an earlier case goes before, somebody is to be told.
    """

    mode: Mode
    reasons: tuple[Finding, ...]
    needed: tuple[Finding, ...] = ()
    cautions: tuple[Finding, ...] = ()
    phases: tuple[SuggestedPhase, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether the sale could be filed by this mode now."""
        return not self.reasons


class Asked(Value, frozen=True, kw_only=True):
    """The sale that is asked about, and what the registry knows."""

    registry: str
    state: UnitState
    lenders: tuple[Party, ...]
    profile: Profile
    institutions: Mapping[str, Institution]
    open_cases: tuple[OpenCase, ...] = ()
    now: dt.datetime


def suggest_modes(asked: Asked) -> tuple[Suggestion, ...]:
    """Every mode there is, in the order of the table: whether it fits, and what it would take."""
    return tuple(_suggest(mode, asked) for mode in MODES.values())


def _suggest(mode: Mode, asked: Asked) -> Suggestion:
    what = Supposition(registry=asked.registry, mode=mode, lenders=asked.lenders, now=asked.now)
    manifest = manifest_of(what, 1, asked.state)
    first = _case(manifest, asked)
    unfit = (*_preconditions(mode, what, asked.state), *encumbered_transfer.on_offer(mode, first))
    if _preconditions(mode, what, asked.state):
        return Suggestion(mode=mode, reasons=_once(unfit))
    found, phases = _played(what, asked)
    told = [*found, *_unknown_lenders(asked.lenders, first)]
    return Suggestion(
        mode=mode,
        reasons=_once(f for f in told if _kind(f) == "reason"),
        needed=_once(f for f in told if _kind(f) == "needed"),
        cautions=_once(f for f in told if _kind(f) == "caution"),
        phases=phases,
    )


def _unknown_lenders(lenders: tuple[Party, ...], case: Case) -> list[Finding]:
    """A lender that is no registered institution under one of its names is for a person to look at (handbook 3.1)."""
    rule = RULES["KNOWN_MORTGAGEE"]
    asked = holding.Asked(case=case, states=(), field="lenders", lenders=lenders)
    return [
        refer(breach.path, rule.article, breach.zh, breach.en, rule=rule.id)
        for breach in holding.unknown_lender(asked)
    ]


def _played(what: Supposition, asked: Asked) -> tuple[list[Finding], tuple[SuggestedPhase, ...]]:
    """Every phase on the state that the one before leaves; of a later phase only what somebody must do for it.

    The register may be another by then: what bars it then is not known now.
    """
    states: Mapping[str, UnitState] = {asked.state.unit.unit_code: asked.state}
    told: list[Finding] = []
    phases = []
    for number, phase in enumerate(what.mode.phases, start=1):
        [state] = states.values()
        manifest = manifest_of(what, number, state)
        case = _case(manifest, asked)
        before = states
        steps, found, states = _steps(manifest, case, states)
        if number == 1:
            found = found + encumbered_transfer.conditions(case, before)
        told += [f for f in found if number == 1 or _kind(f) == "needed"]
        taxes = tuple(dict.fromkeys(d.kind.value for d in tax_duties(manifest.terms, before)))
        phases.append(
            SuggestedPhase(
                number=number,
                steps=steps,
                papers=encumbered_transfer.papers(manifest),
                gates=tuple(sorted(phase.gates)),
                taxes=taxes,
            )
        )
    return told, tuple(phases)


def _steps(
    manifest: Manifest, case: Case, states: Mapping[str, UnitState]
) -> tuple[tuple[SuggestedStep, ...], list[Finding], Mapping[str, UnitState]]:
    """The steps of a phase by their own law, each on the unit as the steps before it leave it."""
    booking = _on_paper(manifest, case, states)
    steps, told = [], []
    for operation in manifest.terms.operations:
        law = law_of(operation)
        if law is None:
            continue
        here = [booking.states[code] for code in operation.units if code in booking.states]
        name = step_name(operation)
        told += [replace(f, field=name) for f in law.conditions(operation, here, case, name)]
        steps.append(
            SuggestedStep(
                operation=name,
                applicants=law.applicants(operation, here, case.institutions),
                papers=law.papers(operation, here),
            )
        )
        _take(operation, booking)
    return tuple(steps), told, {code: booking.states[code] for code in states}


def _take(operation: AnyOperation, booking: Booking) -> None:
    """Book it on paper. What the register does not bear, or what lies on units that nobody asked about, is left."""
    law = law_of(operation)
    touched = {code for state in booking.states.values() for right in state.rights for code in right.units}
    if law is None or not touched | set(operation.units) <= booking.states.keys():
        return
    try:
        law.book(operation, booking)
    except NotBookable:
        return


def _on_paper(manifest: Manifest, case: Case, states: Mapping[str, UnitState]) -> Booking:
    year = case.now.astimezone(CHINA).year
    return Booking(
        registry=manifest.header.registry,
        application_id="",
        case_number="",
        index=-manifest.header.phase,
        now=case.now,
        booked_by="",
        profile=case.profile,
        states=states,
        counters={
            f"certificate/{kind}/{code[:6]}/{year}": _PAPER_SERIALS + manifest.header.phase * 100
            for kind in ("PROOF", "TITLE")
            for code in states
        },
        certificates_by_number={},
        entropy=b"",
        terms=manifest.terms,
        institutions=case.institutions,
    )


def _case(manifest: Manifest, asked: Asked) -> Case:
    return Case(
        manifest=manifest,
        papers=(),
        applying_institution=manifest.header.applicant_institution,
        institutions=asked.institutions,
        profile=asked.profile,
        rules=None,
        open_cases={asked.state.unit.unit_code: asked.open_cases},
        now=asked.now,
    )


# -- what a mode is for --------------------------------------------------------------------------------------------


def _preconditions(mode: Mode, what: Supposition, state: UnitState) -> tuple[Finding, ...]:
    """What a mode is not for, whatever anybody does about it (handbook 2.1, 2.3)."""
    new_build = any(step.operation == _NEW_BUILD for step in mode.phases[0].steps)
    owned = state.ownership is not None
    found = []
    if new_build and owned:
        found.append(
            _unfit(mode, "不动产已办理首次登记，不是预售", "the unit is registered: it is no pre-sale")
        )
    if not new_build and not owned:
        found.append(
            replace(
                _unfit(mode, "不动产尚未办理首次登记", "the unit has never been registered"),
                rule="R-NO_FIRST_REGISTRATION",
                article="RD 24",
            )
        )
    if (mode.needs_old or new_build) and new_build is not owned and not old_mortgages(state, what):
        found.append(
            _unfit(
                mode,
                "不动产上没有须处理的原抵押权",
                "no old mortgage lies on the unit that it would deal with",
            )
        )
    if mode.lends and not what.lenders:
        found.append(_unfit(mode, "该模式须有新的抵押权人", "it needs a new lender"))
    if not mode.lends and what.lenders:
        found.append(_unfit(mode, "该模式用于不贷款的买方", "it is for a buyer who takes no loan"))
    return tuple(found)


def _unfit(mode: Mode, zh: str, en: str) -> Finding:
    return finding(
        "N-BARRED",
        Severity.BLOCKS,
        field="mode",
        article=mode.source,
        zh=f"{mode.zh}：{zh}",
        en=f"{mode.code}: {en}",
    )


def _kind(found: Finding) -> str:
    if found.severity is Severity.AWAITS or (found.severity is Severity.BLOCKS and found.code in _TO_BE_DONE):
        return "needed"
    return "reason" if found.severity is Severity.BLOCKS else "caution"


def _once(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """Each thing once, whichever step says it first."""
    seen: dict[tuple[str, str, str], Finding] = {}
    for one in found:
        seen.setdefault((one.code, one.rule, one.zh), one)
    return tuple(seen.values())
