"""A rehearsal (validate_only): the same decision on a snapshot, and nothing of it kept. Pure.

It must not become a way to read the register. Register facts are told only to whoever has a basis on every unit of
the phase: the mortgagee of record, or whoever holds the owner's form bound to these very terms. Anybody else is told
what can be seen from the filing alone: jurisdiction, applicants, papers; not even what it would come to, which would
tell the rest.
"""

from __future__ import annotations

from msgspec.structs import replace

from gateway.applications.accepting import check_in_time
from gateway.applications.named import check_named
from gateway.applications.prediction import Prediction, predict
from gateway.applications.submit import Submission, decide_submission, unknown_unit
from gateway.cases.errors import KindNotAvailable
from gateway.cases.model import Awaited, Moment, Result, World
from gateway.kinds.applicants import APPLICATION_FORM, applicant_findings, consenter_findings
from gateway.kinds.law import Case
from gateway.kinds.laws import composition_of, law_of
from gateway.kinds.papers import paper_findings
from gateway.register.findings import Finding, Severity
from gateway.register.model import Unit, UnitKind, UnitState, Value
from gateway.register.reasons import finding


class Rehearsed(Value, frozen=True, kw_only=True):
    """What a submission would be told at `as_of_index`. Binds nothing; `would_be` is None where it is withheld."""

    result: Result  # VALID, or NOT_ACCEPTED
    would_be: Result | None
    findings: tuple[Finding, ...]
    awaiting: tuple[Awaited, ...] = ()
    as_of_index: int
    prediction: Prediction | None = None  # None where it is withheld, or nothing could come of the submission

    @property
    def is_withheld(self) -> bool:
        """Whether register facts were kept from the caller."""
        return self.would_be is None


def rehearse(world: World, submission: Submission, moment: Moment) -> Rehearsed:
    """What `decide_submission` would answer, as far as the caller may know it; `moment.index` is the next entry's.

    Raises as `decide_submission`.
    """
    would_be: Result | None
    prediction: Prediction | None
    if _has_basis(world, submission):
        outcome = decide_submission(world, submission, moment).outcome
        findings, awaiting, would_be = outcome.findings, outcome.awaiting, outcome.result
        known = all(code in world.units for code in submission.manifest.terms.unit_codes)
        prediction = predict(world, submission.manifest, moment) if known else None
    else:
        findings, awaiting = _from_the_filing(world, submission, moment)
        would_be, prediction = None, None
    blocked = any(f.severity is Severity.BLOCKS for f in findings)
    return Rehearsed(
        result=Result.NOT_ACCEPTED if blocked else Result.VALID,
        would_be=would_be,
        findings=findings,
        awaiting=awaiting,
        as_of_index=moment.index - 1,
        prediction=prediction,
    )


def _has_basis(world: World, submission: Submission) -> bool:
    """Whether the register may be told for every unit of this registry that the phase names."""
    ours = [c for c in submission.manifest.terms.unit_codes if world.profile.place(c[:6]) is not None]
    return all(
        (state := world.units.get(code)) is not None
        and (_is_mortgagee(world, submission, state) or _owner_signed(submission, state))
        for code in ours
    )


def _is_mortgagee(world: World, submission: Submission, state: UnitState) -> bool:
    institution = world.institutions.get(submission.manifest.header.applicant_institution)
    return institution is not None and any(
        institution.is_known_as(party.id_number) for m in state.mortgages for party in m.mortgagees
    )


def _owner_signed(submission: Submission, state: UnitState) -> bool:
    """The application form that embeds these terms, whole, with the signature of an owner of record."""
    owners = state.ownership.owners if state.ownership else ()
    return any(
        paper.is_signed_by(owner.person.id_number)
        and paper.found
        and not paper.problems
        and paper.terms_sha256 == submission.manifest.terms_sha256
        for paper in submission.papers
        if paper.reference.paper_code == APPLICATION_FORM
        for owner in owners
    )


def _from_the_filing(
    world: World, submission: Submission, moment: Moment
) -> tuple[tuple[Finding, ...], tuple[Awaited, ...]]:
    """The findings that no look into the register is needed for: each law is shown units of which nothing is known."""
    manifest = submission.manifest
    check_in_time(manifest.header.created_at, manifest.header.not_after, moment.now)
    check_named(world, manifest.header)
    case = Case(
        manifest=manifest,
        papers=tuple(replace(p, backs="") for p in submission.papers),
        applying_institution=manifest.header.applicant_institution,
        institutions=world.institutions,
        profile=world.profile,
        rules=world.rules,
        calendar=world.calendar,
        now=moment.now,
    )
    findings: list[Finding] = []
    awaiting: list[Awaited] = []
    for number, operation in enumerate(manifest.terms.operations):
        field = f"terms.operations[{number}]"
        law = law_of(operation)
        if law is None:
            raise KindNotAvailable(getattr(operation, "name", type(operation).__name__))
        findings += [
            unknown_unit(world, code, field)
            for code in operation.units
            if world.profile.place(code[:6]) is None
        ]
        blank = [blank_unit(code) for code in operation.units]
        for found, awaited in (
            applicant_findings(law.applicants(operation, blank, world.institutions), operation, case, field),
            consenter_findings(operation.consenters, case, field),
        ):
            findings += found
            awaiting += awaited
        findings += paper_findings(law.papers(operation, blank), case, field)
    composition = composition_of(manifest)
    if composition is not None:
        findings += paper_findings(composition.papers(manifest), case, "terms")
    return (*findings, _withheld()), tuple(dict.fromkeys(awaiting))


def blank_unit(code: str) -> UnitState:
    """A unit of which only the code is known."""
    return UnitState(
        unit=Unit(unit_code=code, kind=UnitKind.FLAT, county_code=code[:6], location=""), rights=()
    )


def _withheld() -> Finding:
    return finding(
        "W-WITHHELD",
        Severity.WARNS,
        zh="试算仅核对了申请人和申请材料，未告知登记簿信息",
        en="only applicants and papers were checked; what the register says is not told",
    )
