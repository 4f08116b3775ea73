"""The shapes in which each kind states its law: who applies, which papers, what must hold, what is booked.

A kind is a module with the functions of `Law`. Reading one such file from top to bottom is reading the law of
that request (design promise 5). Everything here is pure.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol

from msgspec.structs import replace

from gateway.cases.effects import AnyEffect, CertificateEnded, RightBooked, RightEnded
from gateway.cases.model import Application, ConsentGiven, Manifest, OpenCase, Paper, PartlyJoined
from gateway.cases.papers import assembled
from gateway.cases.terms import Terms
from gateway.certificates.content import CertificateContent, CertificateKind, Issue
from gateway.register.authority import Institution, Profile, RuleSet
from gateway.register.calendar import CHINA, PACKAGED, Calendar
from gateway.register.findings import Finding
from gateway.register.identifiers import format_certificate_number, make_certificate_identifier
from gateway.register.model import (
    AnyRight,
    CertificateRef,
    Medium,
    Party,
    UnitState,
    Value,
    certificate_numbers,
    going_on,
)


class Applicant(Value, frozen=True, kw_only=True):
    """Somebody who must apply, with the article that says so."""

    party: Party
    role_zh: str
    role_en: str
    article: str


class PaperRule(Value, frozen=True, kw_only=True):
    """A paper that the kind asks for. `signers` must all have signed it; `bound` papers embed the terms; for each of
    `people` one must be there.

    `also` are codes under which the same paper may come; `rule` is the R- code that its lack would be after acceptance.
    """

    code: str
    zh: str
    en: str
    article: str
    signers: tuple[Party, ...] = ()
    bound: bool = False
    people: tuple[Party, ...] = ()
    also: tuple[str, ...] = ()
    rule: str = ""


class Case(Value, frozen=True, kw_only=True, dict=True):
    """What one operation's law may look at: the case as filed and the world it meets."""

    manifest: Manifest
    papers: tuple[Paper, ...]
    applying_institution: str  # USCC bound by the envelope
    bound_institutions: frozenset[str] = frozenset()  # those that joined, each by an envelope of its own
    partly_joined: tuple[PartlyJoined, ...] = ()  # those that joined some of their steps
    consents: tuple[ConsentGiven, ...] = ()  # consents to the terms that stand
    step: int | None = None  # of which step this is the case; None: of the phase as a whole
    institutions: Mapping[str, Institution]
    profile: Profile
    rules: RuleSet | None
    calendar: Calendar = PACKAGED
    open_cases: Mapping[str, tuple[OpenCase, ...]] = {}
    own_application: str = ""
    prior: Application | None = None  # the first phase, for a later one
    phases: tuple[Application, ...] = ()  # every phase of its case that was filed, for a later one
    accepted_index: int | None = None  # of the case itself, once accepted
    accepted_at: dt.datetime | None = None
    feed_gap: bool = False  # what the counter did may not be known (handbook 1.5)
    now: dt.datetime

    def papers_of(self, code: str) -> Sequence[Paper]:
        """The papers filed under a code, in manifest order."""
        return self._papers_by_code.get(code, ())

    @cached_property
    def signed_papers(self) -> tuple[Paper, ...]:
        """The papers, each with the signers of the detached signatures over it."""
        return assembled(self.papers)

    @cached_property
    def _papers_by_code(self) -> dict[str, list[Paper]]:
        found: dict[str, list[Paper]] = {}
        for paper in self.signed_papers:
            found.setdefault(paper.reference.paper_code, []).append(paper)
        return found

    @property
    def consenting_institutions(self) -> frozenset[str]:
        """Those whose consent stands: to this step, or, of the phase as a whole, to all of it."""
        return frozenset(
            c.institution
            for c in self.consents
            if not c.operations or (self.step is not None and c.is_about(self.step))
        )

    def at(self, step: int) -> Case:
        """The case as one step's law looks at it: with the papers, joins and consents that are for this step."""
        joined = {j.institution for j in self.partly_joined if step in j.operations}
        return replace(
            self,
            step=step,
            papers=tuple(p for p in self.papers if p.serves(step)),
            bound_institutions=self.bound_institutions | joined,
        )

    def is_about(self, paper: Paper, party: Party) -> bool:
        """Whether a paper was brought for this person: what it does not say it is for, it is for everybody."""
        named = paper.reference.parties
        return not named or any(
            p.id in named and p.person.key == party.key for p in self.manifest.terms.parties
        )


class Law(Protocol):
    """What each kind module offers. `op` is the kind's own operation value, `field` its path in the terms."""

    def applicants(
        self, op: Any, states: Sequence[UnitState], institutions: Mapping[str, Institution]
    ) -> tuple[Applicant, ...]:
        """Everyone who must apply (IR 14). `institutions` tell who is one under two codes (handbook 3.1)."""

    def papers(self, op: Any, states: Sequence[UnitState]) -> tuple[PaperRule, ...]:
        """Every paper that must be there at acceptance (IR 16)."""

    def conditions(self, op: Any, states: Sequence[UnitState], case: Case, field: str) -> list[Finding]:
        """What must hold in the register; one finding for each thing that does not."""

    def only_a_person(self, op: Any, states: Sequence[UnitState], case: Case, field: str) -> list[Finding]:
        """What keeps a rule from deciding (handbook 1.4); empty when the case is clean."""

    def names_rights(self, op: Any, states: Sequence[UnitState]) -> tuple[str, ...]:
        """Existing rights that the operation is about, for the queue (handbook 3.2)."""

    def book(self, op: Any, booking: Booking) -> None:
        """Make the change in the register."""


#: How ids of rights begin that a phase is examined with and that no entry has: their certificates are no numbers yet.
NOT_BOOKED = "-"


class NotBookable(ValueError):
    """The register is not such that this operation could be booked on it; its conditions say why."""


class DraftCertificate(Value, frozen=True, kw_only=True):
    """A certificate number taken inside the booking, before its content is known."""

    kind: CertificateKind
    number: str
    identifier: str
    code: str

    @property
    def reference(self) -> CertificateRef:
        """How a right cites it."""
        return CertificateRef(number=self.number, medium=Medium.ELECTRONIC)


class Booking:
    """One phase being booked: its operations act on `states` in order, all or none.

    Local and mutable on purpose: it lives for one pure decision, and what it gathered leaves as values.
    Right ids are `<entry index>.<n>`, so they are unique in the registry without a draw.
    """

    def __init__(
        self,
        *,
        registry: str,
        application_id: str,
        case_number: str,
        index: int,
        now: dt.datetime,
        booked_by: str,
        profile: Profile,
        states: Mapping[str, UnitState],
        counters: Mapping[str, int],
        certificates_by_number: Mapping[str, str],
        entropy: bytes,
        terms: Terms,
        institutions: Mapping[str, Institution],
    ) -> None:
        self.registry = registry
        self.application_id = application_id
        self.case_number = case_number
        self.index = index
        self.now = now
        self.booked_by = booked_by
        self.profile = profile
        self.terms = terms
        self.institutions = institutions
        self.reason = ""  # of the step that is being booked (DJYY)
        self.states = dict(states)
        self.counters = dict(counters)
        self.effects: list[AnyEffect] = []
        self.contents: list[CertificateContent] = []
        self._certificates_by_number = certificates_by_number
        self._entropy = entropy
        self._rights = 0
        self._drafts = 0

    @property
    def issued_on(self) -> dt.date:
        """The date in China on which certificates of this booking are issued."""
        return self.now.astimezone(CHINA).date()

    def new_right_id(self) -> str:
        """The next right id of this entry."""
        self._rights += 1
        return f"{self.index}.{self._rights}"

    def draft_certificate(self, kind: CertificateKind, county_code: str) -> DraftCertificate:
        """Take the next number of the county, year and kind: gap-free, because it is in the booking commit."""
        place = self.profile.place(county_code)
        if place is None:
            raise NotBookable(f"county {county_code} is not a place of registry {self.registry}")
        year = self.issued_on.year
        counter = f"certificate/{kind.value}/{county_code}/{year}"
        serial = self.counters.get(counter, 0) + 1
        self.counters[counter] = serial
        code = self._draw()
        return DraftCertificate(
            kind=kind,
            number=format_certificate_number(place.province, year, place.name, kind.value, serial),
            identifier=make_certificate_identifier(
                kind.value, self.profile.authority_code, f"{county_code}{year}{serial:07d}"
            ),
            code=code,
        )

    def imprint(self, draft: DraftCertificate) -> Issue:
        """What every certificate of this booking says of its issue, whatever right it shows."""
        return Issue(
            identifier=draft.identifier,
            number=draft.number,
            code=draft.code,
            registry=self.registry,
            issuer_name=self.profile.authority_name,
            issuer_code=self.profile.authority_code,
            issued_on=self.issued_on,
            application=self.application_id,
            test=not self.profile.production,
        )

    def _draw(self) -> str:
        """The next secret code: 16 bytes of the entropy, or, once that is used up, of its hash with a counter."""
        start, self._drafts = 16 * self._drafts, self._drafts + 1
        code = self._entropy[start : start + 16]
        if len(code) < 16:
            code = hashlib.sha256(self._entropy + self._drafts.to_bytes(4, "big")).digest()[:16]
        return code.hex()

    def book(self, right: AnyRight) -> None:
        """The right exists (CC 214), with the reason and the note that the parties asked for (DJYY, FJ)."""
        if self.terms.note:
            right = replace(right, note=self.terms.note)
        if self.reason:
            right = replace(right, reason=self.reason)
        self.effects.append(RightBooked(right=right))
        for code in right.units:
            state = self.states[code]
            self.states[code] = UnitState(unit=state.unit, rights=(*state.rights, right))

    def end(self, right: AnyRight, reason: str, by: str = "") -> None:
        """The right becomes historical; it is never erased from the register (IR 10, 13)."""
        self.effects.append(
            RightEnded(
                right_id=right.right_id,
                ended_at=self.now,
                case_number=self.case_number,
                reason=reason,
                ended_by=self.booked_by,
                by=by,
            )
        )
        for code in right.units:
            if code in self.states:
                state = self.states[code]
                rest = tuple(r for r in state.rights if r.right_id != right.right_id)
                self.states[code] = UnitState(unit=state.unit, rights=rest)

    def supersede(self, old: AnyRight, new: AnyRight, reason: str) -> None:
        """The right goes on as a new row; its old certificate is replaced by a new one (IR 10; RD 20)."""
        new = going_on(old, new)
        self.end(old, reason=reason, by=new.right_id)
        for number in certificate_numbers([old]):
            self.cancel_certificate(number, "SUPERSEDED")
        self.book(new)

    def cancel_certificate(self, number: str, state: str = "CANCELLED") -> None:
        """Void an e-certificate of ours; a paper or imported one is void with its right, in the register."""
        identifier = self._certificates_by_number.get(number)
        if identifier:
            self.effects.append(
                CertificateEnded(
                    identifier=identifier, state=state, case_number=self.case_number, ended_at=self.now
                )
            )

    def issue(self, content: CertificateContent) -> None:
        """Fix the content of a drafted certificate; the parties' note stands in its 附记."""
        self.contents.append(replace(content, note=self.terms.note) if self.terms.note else content)
