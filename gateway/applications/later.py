"""What all later acts on a case have in common: what they look at, whether they may be taken, how a case goes on.

A later act is an envelope of its own that names the manifest it is about (design, *later acts*). It may be taken in
certain states, by an institution of the case, with a key of the right role; its files join the papers of the case.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Sequence

from msgspec.structs import replace

from gateway.applications.accepting import (
    Answered,
    accept,
    case_of,
    check_in_time,
    conclude,
    institutions_of,
    is_awaiting,
    record,
    state_for_a_person,
)
from gateway.applications.booking import BookedPhase, book_or_wait
from gateway.applications.gates import in_the_way
from gateway.applications.insisting import insisted
from gateway.applications.limits import clock_goes_on
from gateway.applications.mandates import Asked, check_clerk, check_mandates
from gateway.applications.submit import examine
from gateway.cases.decision import Decision
from gateway.cases.errors import ApplicationNotFound, CommandRefused, NotPermitted, StateNotAllowed
from gateway.cases.model import (
    CLOSED,
    Application,
    Awaited,
    Clerk,
    FileReference,
    Manifest,
    Moment,
    Paper,
    PaperBrought,
    Result,
    State,
    World,
)
from gateway.cases.terms import Evidence
from gateway.kinds.acting import speaks_for
from gateway.kinds.gating import cleared_by
from gateway.kinds.law import Applicant, Case
from gateway.kinds.laws import law_of
from gateway.register.authority import KeyRole
from gateway.register.findings import Finding, Severity
from gateway.register.model import Party, Value
from gateway.register.reasons import finding


class ManifestMismatch(CommandRefused):
    """The act names another manifest, or other terms, than those in force."""

    reason = "MANIFEST_MISMATCH"

    def __init__(self) -> None:
        super().__init__(
            "所签行为针对的清单或者申请内容不是现行的；请重新读取后再签",
            "the act names another manifest, or other terms, than those in force: read the case again, then sign",
        )


class KeyWithoutRole(CommandRefused):
    """The signing key is registered without the role that the act needs."""

    reason = "KEY_WITHOUT_ROLE"

    def __init__(self, wanted: Sequence[KeyRole], uscc: str) -> None:
        names, first = " / ".join(role.value for role in wanted), wanted[0].value
        super().__init__(
            f"签名密钥没有 {names} 权限；请以有此权限的密钥签名，或者由机构 {uscc} 请登记机构为其登记"
            f"（运维人员：diya institution add-key {uscc} 证书.pem --role {first}）",
            f"the signing key lacks the role {names}: sign with one that has it, or have institution {uscc} ask the "
            f"authority to register it (an operator runs diya institution add-key {uscc} CERTIFICATE.pem "
            f"--role {first})",
            role=names,
            institution=uscc,
        )


class LaterAct(Value, frozen=True, kw_only=True):
    """One verified act of an institution. `roles` are those of its signing keys when it came; digests are hex."""

    application_id: str
    manifest_sha256: str
    terms_sha256: str = ""
    channel: str
    institution: str
    clerk: Clerk
    roles: tuple[KeyRole, ...]
    key_ids: tuple[str, ...]
    received_at: dt.datetime
    request_id: str
    payload_sha256: str
    created_at: dt.datetime
    not_after: dt.datetime
    files: tuple[FileReference, ...] = ()

    def answered(self, kind: str) -> Answered:
        """The act as the entry that answers it names it."""
        return Answered(
            kind=kind,
            institution=self.channel,
            request_id=self.request_id,
            payload_sha256=self.payload_sha256,
        )

    def brings(self, index: int) -> tuple[PaperBrought, ...]:
        """Its files as the case keeps them, once entry `index` holds the act."""
        return tuple(PaperBrought(institution=self.channel, reference=f, index=index) for f in self.files)


class Dossier(Value, frozen=True, kw_only=True):
    """A case as a later act meets it. `papers` are those of the case before the act, `new_papers` the act's own."""

    world: World
    row: Application
    manifest: Manifest
    papers: tuple[Paper, ...]
    new_papers: tuple[Paper, ...] = ()

    @property
    def all_papers(self) -> tuple[Paper, ...]:
        """The papers of the case with those of the act."""
        return self.papers + self.new_papers

    def case(self, row: Application, now: dt.datetime) -> Case:
        """The case as the law looks at it once `row` stands."""
        return case_of(self.world, row, self.manifest, self.all_papers, now)


class Progress(Value, frozen=True, kw_only=True):
    """What a case comes to after an act: its row, the result to tell, and what was found and booked."""

    row: Application
    result: Result
    findings: tuple[Finding, ...] = ()
    awaiting: tuple[Awaited, ...] = ()
    booked: BookedPhase | None = None


# -- whether an act may be taken -----------------------------------------------------------------------------------


def check_act(
    dossier: Dossier,
    act: LaterAct,
    verb: str,
    allowed: Sequence[State],
    moment: Moment,
    *,
    holder: bool = False,
) -> None:
    """Raises CommandRefused unless the act is about the manifest in force, in time, of an institution of the case, and
    brought by a clerk of its own where its clerks are registered.

    `holder` lets in whoever holds a right on a unit of the case, too.
    """
    row = dossier.row
    check_in_time(act.created_at, act.not_after, moment.now)
    known = any(is_same(dossier.world, act.institution, code) for code in row.institutions)
    if not known and not (holder and holds_right(dossier, act.institution)):
        raise ApplicationNotFound(row.name)
    if row.state not in allowed:
        raise StateNotAllowed(verb, row.state.value, tuple(s.value for s in allowed))
    if act.manifest_sha256 != row.payload_sha256 or act.terms_sha256 not in ("", row.terms_sha256):
        raise ManifestMismatch
    check_clerk(act.clerk, dossier.world.institutions[act.institution], act.received_at)


def check_role(act: LaterAct, *wanted: KeyRole) -> None:
    """Raises KeyWithoutRole unless the key has one of the roles."""
    check_key_role(act.roles, wanted, act.institution)


def check_key_role(roles: Collection[KeyRole], wanted: Sequence[KeyRole], uscc: str) -> None:
    """Raises KeyWithoutRole unless one of an institution's keys that signed has one of the roles."""
    if not set(wanted) & set(roles):
        raise KeyWithoutRole(wanted, uscc)


def check_limits(dossier: Dossier, act: LaterAct, asked: Sequence[Asked], *wanted: KeyRole) -> None:
    """Hold what the act asks for against the limits of those who sign it, as a submission is (mandates.py)."""
    known = dossier.world.institutions
    check_mandates(
        act.clerk, asked, (known[act.institution], known[act.channel]), act.key_ids, wanted, act.received_at
    )


def check_named(dossier: Dossier, act: LaterAct, parties: Iterable[Party], *, relayed: bool = False) -> None:
    """Raises NotPermitted when the act speaks for somebody else than the institution that signed it.

    A bank is never its customer's agent by its own signature (handbook 1.3); `relayed`: what binds nobody, or is signed
    by the persons themselves, it may bring for them.
    """
    for party in parties:
        if relayed and not party.is_institution:
            continue
        if not speaks(dossier, act.institution, party):
            raise NotPermitted(
                f"机构 {act.institution} 不能代 {party.name} 作出此行为；"
                "自然人请由本人签署材料，机构请由其自己（或者其登记的分支机构）作出",
                f"institution {act.institution} cannot act for {party.name}: a natural person signs the paper in "
                "person, an institution acts itself, or by a branch that is registered as one",
            )


def is_same(world: World, institution: str, code: str) -> bool:
    """Whether `code` is this institution's present or a former code (handbook 3.1)."""
    known = world.institutions.get(institution)
    return institution == code or (known is not None and known.is_known_as(code))


def speaks(dossier: Dossier, institution: str, party: Party) -> bool:
    """Whether an institution's word is this party's: its own, or that of the institution whose branch it is."""
    world = dossier.world
    return speaks_for(institution, party, dossier.manifest.terms, world.institutions)


def holds_right(dossier: Dossier, institution: str) -> bool:
    """Whether the institution is a mortgagee, or a holder of a pre-notice, of record on a unit of the case."""
    holders = (
        party.id_number
        for state in dossier.world.units.values()
        for right in state.rights
        for side in ("mortgagees", "holders")
        for party in getattr(right, side, ())
    )
    return any(is_same(dossier.world, institution, number) for number in holders)


def applicants_of(dossier: Dossier) -> tuple[tuple[Applicant, int], ...]:
    """Everyone who must apply, with the position of the operation (IR 14)."""
    found = []
    for number, operation in enumerate(dossier.manifest.terms.operations):
        law = law_of(operation)
        here = [dossier.world.units[c] for c in operation.units if c in dossier.world.units]
        if law is not None:
            found += [
                (applicant, number)
                for applicant in law.applicants(operation, here, dossier.world.institutions)
            ]
    return tuple(found)


def spoiled(papers: Iterable[Paper]) -> tuple[Finding, ...]:
    """What is wrong with the papers that an act brings, whatever they are for: the act is not taken with them."""
    found = []
    for paper in papers:
        words = [(text, text) for text in paper.problems]
        if not paper.found:
            words.append(("没有上传该文件，或者不是由您上传", "was not uploaded by you"))
        if paper.backs:
            words.append(
                ("该文件已用于另一件在办或者已登簿的申请", "already backs another open or booked case")
            )
        name = f"{paper.reference.paper_code}:{paper.reference.sha256}"
        found += [
            finding("C-FILE", Severity.BLOCKS, file=name, article="ESL 5; IR 17(3)", zh=zh, en=en)
            for zh, en in words
        ]
    return tuple(found)


# -- how a case goes on --------------------------------------------------------------------------------------------


def dispute(zh: str, en: str) -> Finding:
    """R-DISPUTE for a person to look into; one party's word alone ends nothing (handbook 3.6)."""
    return finding("R-DISPUTE", Severity.REFERS, zh=zh, en=en)


def standing_disputes(row: Application) -> tuple[Finding, ...]:
    """One finding when a party has objected and nobody has looked into it yet."""
    if not row.disputes:
        return ()
    return (dispute("有当事人提出异议，由登记员审核", "a party has objected: a registrar looks into it"),)


def advance(dossier: Dossier, row: Application, moment: Moment) -> Progress:
    """A case that awaits parties, once more: still awaiting, accepted now (with its place from now), or not at all."""
    case = dossier.case(row, moment.now)
    findings, awaiting = examine(dossier.world, case)
    if is_awaiting(findings, awaiting):
        row = replace(row, awaiting=institutions_of(awaiting))
        return Progress(row=row, result=Result.AWAITING_PARTIES, findings=tuple(findings), awaiting=awaiting)
    findings = insisted(dossier.world, case, findings)
    if any(f.severity is Severity.BLOCKS for f in findings):
        closed = replace(row, state=State.NOT_ACCEPTED, parties_expire_at=None, awaiting=())
        return Progress(row=closed, result=Result.NOT_ACCEPTED, findings=tuple(findings))
    findings += standing_disputes(row)
    accepted = accept(dossier.world, replace(row, rights=_rights_named(dossier)), moment)
    settled = conclude(dossier.world, case, accepted, findings, moment)
    return Progress(row=settled.row, result=settled.result, findings=settled.findings, booked=settled.booked)


def through_gates(dossier: Dossier, row: Application, moment: Moment) -> Progress:
    """A decided case that waits at a gate: examined again, then booked, or waiting on, or back to a person (EX 23).

    What a rule decided goes back also for what only a person may decide by now; and while the counter's feed has a gap
    nothing is booked by a gate that opens (handbook 1.5).
    """
    world = dossier.world
    case = dossier.case(row, moment.now)
    stands = in_the_way(world, case)
    if row.rules_version is not None or world.feed_gap:
        stands += tuple(f for f in examine(world, case)[0] if f.severity is Severity.REFERS)
    if stands or row.disputes:
        return to_a_person(row, (*stands, *standing_disputes(row)))
    settled = book_or_wait(world, case, row, moment, row.decided_by)
    return Progress(row=settled.row, result=settled.result, findings=settled.findings, booked=settled.booked)


def to_a_person(row: Application, findings: Sequence[Finding]) -> Progress:
    """An accepted case goes (back) to a registrar; whatever had been decided is decided anew."""
    row = replace(row, reviewed_by="")
    row = replace(
        row,
        state=state_for_a_person(row),
        suspension="",
        decided_at=None,
        decided_by="",
        gate_expires_at=None,
        rules_version=None,
        supplement_asked="",
        supplement_until=None,
    )
    return Progress(row=row, result=Result.ACCEPTED, findings=tuple(findings))


def as_refusals(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """After acceptance what blocks bears the R- code that it is by then (handbook 3.7)."""
    return tuple(replace(f, code=f.rule or f.code) if f.severity is Severity.BLOCKS else f for f in findings)


def with_evidence(dossier: Dossier, row: Application, evidence: Evidence, moment: Moment) -> Application:
    """The row once facts came up after the terms: the taxes that they show cleared by now (DT 11)."""
    there = [c for c in evidence.tax_clearances if c.cleared_at <= moment.now]
    cleared = cleared_by(there, dossier.manifest.terms, dossier.world.units)
    return replace(row, taxes_cleared=tuple(dict.fromkeys((*row.taxes_cleared, *cleared))))


def _rights_named(dossier: Dossier) -> tuple[str, ...]:
    """Rights that the operations are about as the register stands at acceptance."""
    rights: list[str] = []
    for operation in dossier.manifest.terms.operations:
        law = law_of(operation)
        here = [dossier.world.units[c] for c in operation.units if c in dossier.world.units]
        if law is not None and here:
            rights += law.names_rights(operation, here)
    return tuple(dict.fromkeys(rights))


# -- recording -----------------------------------------------------------------------------------------------------


def moved(
    dossier: Dossier, act: LaterAct, kind: str, progress: Progress, event: str, moment: Moment
) -> Decision:
    """The entry of an act. The event is the new state's where the state moved, else the act's own."""
    changed = progress.row.state is not dossier.row.state
    closed_unbooked = progress.row.state in CLOSED - {State.BOOKED} and changed
    silent = progress.result is Result.DONE and not progress.findings
    return record(
        dossier.world,
        act.answered(kind),
        progress.row,
        progress.result,
        moment,
        findings=None if silent else progress.findings,
        awaiting=progress.awaiting,
        binds=() if closed_unbooked else dossier.new_papers,
        frees=dossier.papers if closed_unbooked else (),
        tells="" if changed else event,
        booked=progress.booked,
    )


def not_taken(
    dossier: Dossier, act: LaterAct, kind: str, findings: tuple[Finding, ...], moment: Moment
) -> Decision:
    """The act's own papers are spoiled: told in full, the case stays as it was."""
    return record(
        dossier.world, act.answered(kind), dossier.row, Result.NOT_ACCEPTED, moment, findings=findings
    )


def disputed(
    dossier: Dossier,
    act: LaterAct,
    kind: str,
    row: Application,
    findings: tuple[Finding, ...],
    event: str,
    moment: Moment,
) -> Decision:
    """An objection: an accepted case goes to a person; one that is suspended, once it goes on."""
    if row.state not in (State.AWAITING_PARTIES, State.SUSPENDED):
        row = to_a_person(clock_goes_on(row, moment.now, dossier.world.calendar), ()).row
    progress = Progress(row=row, result=Result.DONE, findings=findings)
    return moved(dossier, act, kind, progress, event, moment)
