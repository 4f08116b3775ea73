"""Cases played on a register in memory: decisions are folded into the world, so that one phase follows another.

Papers are asked of the law itself (`complete`): a test takes away what it is about. No I/O, no clock.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from msgspec.structs import replace

from gateway.applications.booking import Ahead
from gateway.applications.submit import Submission
from gateway.cases.decision import Decision
from gateway.cases.effects import ApplicationRecorded, CertificateEnded, CounterMoved, RightBooked, RightEnded
from gateway.cases.model import Application, Kind, Manifest, Moment, Paper, State, World
from gateway.cases.terms import AnyOperation
from gateway.kinds.law import PaperRule
from gateway.kinds.laws import composition_of, law_of
from gateway.register.model import Mortgage, Ownership, Party, PreNotice, UnitState
from gateway.register.rank import current_ranks
from tests.support import cases as c
from tests.support import deals as d


def rules_of(world: World, manifest: Manifest, now: dt.datetime = c.NOW) -> list[PaperRule]:
    """Every paper that the law asks for, step by step."""
    rules: list[PaperRule] = []
    ahead = Ahead(world, manifest.terms, now)
    for operation in manifest.terms.operations:
        law = law_of(operation)
        assert law is not None
        rules += law.papers(operation, [ahead.states[code] for code in operation.units])
        ahead.take(operation)
    composition = composition_of(manifest)
    if composition is not None:
        rules += composition.papers(manifest)
    return rules


def complete(world: World, manifest: Manifest, *, bound: Sequence[Party] = ()) -> dict[str, Paper]:
    """A good paper for each that is asked for, signed by all who must; `bound` parties sign the form as well."""
    signers: dict[str, list[Party]] = {}
    for rule in rules_of(world, manifest):
        signers.setdefault(rule.code, []).extend(rule.signers)
    forms = ("APPLICATION", "INQUIRY_RECORD")
    if bound:
        signers.setdefault("APPLICATION", []).extend(bound)
    return {
        code: c.paper(code, *{p.key: p for p in people}.values(), bound=code in forms)
        for code, people in signers.items()
    }


class Play:
    """A register that cases are filed on, decided by a registrar at once, and folded into."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rows: dict[str, Application] = {}
        self.voided: list[str] = []
        self._filed = 0

    def manifest(
        self,
        *operations: AnyOperation,
        kind: Kind = Kind.ENCUMBERED_TRANSFER,
        mode: str = "",
        phase: int = 1,
        case: str = "",
        applicant: Party = d.B,
        **terms: object,
    ) -> Manifest:
        """A manifest of these operations; `terms` replaces fields of the terms."""
        base = c.submission(operations[0], {}, applicant=applicant).manifest
        header = replace(base.header, phase=phase, case=case)
        body = replace(base.terms, operations=operations, mode=mode, **terms)
        return replace(base, header=header, kind=kind, terms=body)

    def file(
        self,
        manifest: Manifest,
        *,
        without: Sequence[str] = (),
        bound: Sequence[Party] = (),
        papers: dict[str, Paper] | None = None,
        at: dt.datetime = c.NOW,
        decided: dt.datetime | None = None,
    ) -> Decision:
        """The decision of a submission with every paper but `without`, at once or when `decided`; nothing is folded."""
        what, here, moment = self._what(manifest, without, bound, papers or {}, at)
        decision = c.decide(here, what, moment)
        if decision.outcome.state not in (State.ACCEPTED, State.IN_REVIEW):
            return decision
        row = d.row_of(decision)
        moment = replace(moment, index=moment.index + 1, now=decided or at)
        return d.approved(here, what, row, moment)

    def answered(
        self, manifest: Manifest, *, bound: Sequence[Party] = (), papers: dict[str, Paper] | None = None
    ) -> Decision:
        """What the machine answers to a submission with every paper, before any registrar."""
        what, here, moment = self._what(manifest, (), bound, papers or {}, c.NOW)
        return c.decide(here, what, moment)

    def _what(
        self,
        manifest: Manifest,
        without: Sequence[str],
        bound: Sequence[Party],
        papers: dict[str, Paper],
        at: dt.datetime,
    ) -> tuple[Submission, World, Moment]:
        filed = complete(self.world, manifest, bound=bound) | papers
        there = tuple(paper for code, paper in filed.items() if code not in without)
        self._filed += 1
        manifest = replace(manifest, files=tuple(p.reference for p in there))
        what = Submission(manifest=manifest, payload_sha256=f"{self._filed:064x}", papers=there)
        moment = replace(
            c.moment(100 * self._filed, at), application_id=f"018f0000-0000-7000-8000-{self._filed:012x}"
        )
        phases = tuple(r for r in self.rows.values() if manifest.header.case in (r.name, r.case))
        return what, replace(self.world, named=self.rows, phases=phases), moment

    def book(self, manifest: Manifest, **how: object) -> Decision:
        """`file`, which must book, folded into the register."""
        decision = self.file(manifest, **how)  # type: ignore[arg-type]
        told = [(f.code, f.rule, f.field, f.file, f.en) for f in decision.outcome.findings]
        assert decision.outcome.state is State.BOOKED, told
        self.fold(decision)
        return decision

    def fold(self, decision: Decision) -> None:
        """Apply what a decision changes to the register."""
        units = dict(self.world.units)
        counters = dict(self.world.counters)
        for effect in decision.effects:
            match effect:
                case RightBooked():
                    for code in effect.right.units:
                        state = units[code]
                        units[code] = UnitState(unit=state.unit, rights=(*state.rights, effect.right))
                case RightEnded():
                    units = {
                        code: UnitState(
                            unit=state.unit,
                            rights=tuple(r for r in state.rights if r.right_id != effect.right_id),
                        )
                        for code, state in units.items()
                    }
                case ApplicationRecorded():
                    self.rows[effect.application.name] = effect.application
                case CounterMoved():
                    counters[effect.name] = effect.value
                case CertificateEnded():
                    self.voided.append(effect.identifier)
                case _:
                    pass
        known = dict(self.world.certificates_by_number)
        known |= {content.number: content.identifier for content in decision.contents}
        self.world = replace(self.world, units=units, counters=counters, certificates_by_number=known)

    # -- what the register says --------------------------------------------------------------------------------

    def state(self, code: str = c.UNIT) -> UnitState:
        """One unit."""
        return self.world.units[code]

    def owners(self, code: str = c.UNIT) -> list[str]:
        """Names of the owners."""
        ownership = self.state(code).ownership
        return [owner.person.name for owner in ownership.owners] if ownership else []

    def mortgages(self, code: str = c.UNIT) -> list[tuple[str, int, int]]:
        """Live mortgages in order of rank: mortgagees, printed rank, current rank."""
        ranks = current_ranks(self.state(code).mortgages)
        return [
            ("、".join(p.name for p in m.mortgagees), m.rank_at_registration, ranks[m.right_id])
            for m in self.state(code).mortgages
        ]

    def proof(self, holder: Party, kind: type = Mortgage, code: str = c.UNIT) -> object:
        """The live proof of a holder's mortgage or pre-notice."""
        for right in self.state(code).rights:
            holders = getattr(right, "mortgagees", None) or getattr(right, "holders", ())
            if isinstance(right, kind) and holder.key in {p.key for p in holders}:
                assert isinstance(right, Mortgage | PreNotice)
                return right.proof
        raise AssertionError(f"{holder.name} has no live {kind.__name__}")

    def title(self, code: str = c.UNIT) -> object:
        """The live title."""
        ownership = self.state(code).ownership
        assert isinstance(ownership, Ownership)
        return ownership.title
