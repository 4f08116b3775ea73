"""An application's life as values: what was submitted, what was found, what was answered."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum

from gateway.cases.terms import Evidence, Terms
from gateway.register.authority import Institution, Profile, RuleSet
from gateway.register.calendar import PACKAGED, Calendar, OfficeHours
from gateway.register.findings import Finding
from gateway.register.model import UnitState, Value


class Kind(StrEnum):
    """The four kinds of request, one submit call each."""

    MORTGAGE = "MORTGAGE"
    MORTGAGE_RELEASE = "MORTGAGE_RELEASE"
    PRE_NOTICE = "PRE_NOTICE"
    ENCUMBERED_TRANSFER = "ENCUMBERED_TRANSFER"


class State(StrEnum):
    """State of an application (handbook 3.6)."""

    AWAITING_PARTIES = "AWAITING_PARTIES"
    ACCEPTED = "ACCEPTED"
    IN_REVIEW = "IN_REVIEW"
    SUPPLEMENT_REQUESTED = "SUPPLEMENT_REQUESTED"
    SUSPENDED = "SUSPENDED"
    AWAITING_TAX = "AWAITING_TAX"
    AWAITING_PAYOFF = "AWAITING_PAYOFF"
    BOOKED = "BOOKED"
    NOT_ACCEPTED = "NOT_ACCEPTED"
    REFUSED = "REFUSED"
    WITHDRAWN = "WITHDRAWN"
    EXPIRED = "EXPIRED"


#: Nothing more happens to an application in one of these.
CLOSED = frozenset({State.BOOKED, State.NOT_ACCEPTED, State.REFUSED, State.WITHDRAWN, State.EXPIRED})

#: Something may still happen, in the order of the states.
OPEN = tuple(state for state in State if state not in CLOSED)

#: Accepted and not yet closed: the case holds its place in the unit's queue.
QUEUED = frozenset(
    {
        State.ACCEPTED,
        State.IN_REVIEW,
        State.SUPPLEMENT_REQUESTED,
        State.SUSPENDED,
        State.AWAITING_TAX,
        State.AWAITING_PAYOFF,
    }
)


class Result(StrEnum):
    """What an answer says. VALID is a rehearsal's good answer; DONE a later act's that moves no case to an end."""

    BOOKED = "BOOKED"
    ACCEPTED = "ACCEPTED"
    AWAITING_PARTIES = "AWAITING_PARTIES"
    NOT_ACCEPTED = "NOT_ACCEPTED"
    REFUSED = "REFUSED"
    VALID = "VALID"
    DONE = "DONE"


class Clerk(Value, frozen=True, kw_only=True):
    """The clerk 经办人 who filed."""

    name: str
    employee_no: str
    authorisation_no: str = ""


class Header(Value, frozen=True, kw_only=True):
    """Who files what for whom, inside the signed bytes."""

    registry: str
    channel_institution: str
    applicant_institution: str
    clerk: Clerk
    request_id: str
    validate_only: bool = False
    created_at: dt.datetime
    not_after: dt.datetime
    supersedes: str = ""
    case: str = ""
    phase: int = 1


class FileReference(Value, frozen=True, kw_only=True):
    """A file as the manifest names it. `sha256` is hex; empty `readers` means every institution of the case.

    `operations` are the positions of the steps that it serves, `parties` the ids in the terms of the persons it is
    about; none means all. `signs` is set of a detached signature: the digest (hex) of the file that it is over.
    """

    sha256: str
    size_bytes: int
    paper_code: str
    readers: tuple[str, ...] = ()
    operations: tuple[int, ...] = ()
    parties: tuple[str, ...] = ()
    signs: str = ""


class SectionReference(Value, frozen=True, kw_only=True):
    """A section that travels beside the envelope, by name and hex digest."""

    name: str
    sha256: str
    readers: tuple[str, ...] = ()


class Manifest(Value, frozen=True, kw_only=True):
    """The payload of a submission. `terms_sha256` is over the exact terms bytes."""

    header: Header
    kind: Kind
    terms: Terms
    terms_sha256: str
    sections: tuple[SectionReference, ...] = ()
    files: tuple[FileReference, ...] = ()
    evidence: Evidence = Evidence()
    insist: bool = False  # a bar in substance is to be accepted and refused in writing (IR 22)
    papers_to_come: tuple[str, ...] = ()  # codes of papers that a co-applicant brings with its Join


class PaperSignature(Value, frozen=True, kw_only=True):
    """One good signature on a paper: the signer by identity number, never by name."""

    legal: bool
    number: str
    issuer_key_id: str = ""
    serial: str = ""
    revoked: bool = False


class Paper(Value, frozen=True, kw_only=True):
    """A file of the case as found: its check's verdict, its signers, the terms it embeds, what it backs."""

    reference: FileReference
    found: bool = True
    problems: tuple[str, ...] = ()
    signatures: tuple[PaperSignature, ...] = ()
    terms_sha256: str = ""
    backs: str = ""  # application id of another open or booked case
    over: str = ""  # of a detached signature: digest (hex) of the file that its check found it to be over

    def is_signed_by(self, number: str) -> bool:
        """Whether an unrevoked signature of this identity number is on the paper."""
        return any(s.number == number and not s.revoked for s in self.signatures)

    def serves(self, step: int) -> bool:
        """Whether it was brought for this step of the phase."""
        return not self.reference.operations or step in self.reference.operations


class OpenCase(Value, frozen=True, kw_only=True):
    """An accepted case that holds a place on a unit."""

    application_id: str
    accepted_index: int
    rights: tuple[str, ...] = ()  # rights that it names, for the release rule of the queue


class PaperBrought(Value, frozen=True, kw_only=True):
    """A paper that a later act added: who uploaded it (channel, USCC), and how the act names it."""

    institution: str
    reference: FileReference
    index: int


class ConsentKind(StrEnum):
    """What a ConsentAct says; values of the contract."""

    TO_TERMS = "TO_TERMS"
    PAYOFF_CONFIRMED = "PAYOFF_CONFIRMED"
    PAYOFF_UNDERTAKING = "PAYOFF_UNDERTAKING"
    PAYOFF_UNDERTAKING_ACCEPTED = "PAYOFF_UNDERTAKING_ACCEPTED"
    PAID_OUT = "PAID_OUT"
    FUNDS_HELD = "FUNDS_HELD"
    FUNDS_RELEASED = "FUNDS_RELEASED"


class ConsentGiven(Value, frozen=True, kw_only=True):
    """A consent or statement on a case: who (USCC), what, its payload digest (hex), its entry, and the one that
    took it back. `operations` are the positions of the steps it is about; none means all.
    """

    institution: str
    kind: ConsentKind
    payload_sha256: str
    index: int
    at: dt.datetime
    operations: tuple[int, ...] = ()
    revoked_index: int | None = None

    @property
    def stands(self) -> bool:
        """Whether it has not been taken back."""
        return self.revoked_index is None

    def is_about(self, step: int) -> bool:
        """Whether it was said of this step of the phase."""
        return not self.operations or step in self.operations


class PartlyJoined(Value, frozen=True, kw_only=True):
    """An institution that has joined some of the steps for which it is to apply, by their positions."""

    institution: str
    operations: tuple[int, ...]


class Objection(StrEnum):
    """What made a case disputed."""

    DECLINED = "DECLINED"
    WITHDRAWAL = "WITHDRAWAL"
    REVOCATION = "REVOCATION"  # a consent that a payout had relied on


class Dispute(Value, frozen=True, kw_only=True):
    """One party's objection, noted for a person to look into; it ends nothing by itself (IR 15; IR 22(2))."""

    institution: str
    objection: Objection
    index: int


class Sold(StrEnum):
    """What a phase sells: a home that had an owner, or a pre-sold one of a developer."""

    SECOND_HAND = "SECOND_HAND"
    NEW_BUILD = "NEW_BUILD"


class Lenders(StrEnum):
    """Whether the new loan of a sale comes from the bank of the old one."""

    SAME = "SAME"
    CROSS = "CROSS"


class Counted(Value, frozen=True, kw_only=True):
    """What the cities count of a phase and nothing else in the row says (handbook 2.5). Money in fen, as filed."""

    residential: bool = True
    sold: Sold | None = None  # of the sale that is booked; a sale that is only noted is not sold yet
    noted: bool = False  # the sale that is booked had a pre-notice
    price_fen: int = 0  # of the sale that is booked or noted
    loan_fen: int = 0  # of the new mortgages that are booked or noted
    balance_fen: int = 0  # what the old lenders say is owed
    lenders: Lenders | None = None  # where an old loan meets a new one


#: Events of the payoff watch, in the order in which they come.
PAYOFF_NEARS = "PAYOFF_NEARS"
PAYOFF_OVERDUE = "PAYOFF_OVERDUE"

#: Event of parties that have not signed, before their time is over.
PARTIES_REMINDED = "PARTIES_REMINDED"

#: So long before the day of a payoff its lenders are reminded.
PAYOFF_NEARS_DAYS = 5


class ClockStop(Value, frozen=True, kw_only=True):
    """The clock stood still: papers were asked for on day `since` and were there on day `until`, days in China. The
    instants are kept for a promise in hours.
    """

    since: dt.date
    until: dt.date
    since_at: dt.datetime | None = None
    until_at: dt.datetime | None = None


class PromisedHours(Value, frozen=True, kw_only=True):
    """A promise below or beyond whole days: so many hours in which this office is open (handbook 10)."""

    hours: int
    office: OfficeHours = OfficeHours()


class Application(Value, frozen=True, kw_only=True):
    """One application as the views keep it: no name and no identity number in it (they are evidence)."""

    registry: str
    application_id: str
    kind: Kind
    operations: tuple[str, ...]
    units: tuple[str, ...]
    rights: tuple[str, ...] = ()
    channel_institution: str
    applicant_institution: str
    institutions: tuple[str, ...] = ()  # every institution that may see the case
    request_id: str
    case: str = ""
    phase: int = 1
    mode: str = ""
    supersedes: str = ""
    payload_sha256: str
    terms_sha256: str
    terms_version: int = 1
    loan_kind: str = "NONE"
    counted: Counted = Counted()
    funds: tuple[str, ...] = ()  # triggers of the legs of the funds plan, once each
    state: State
    submitted_at: dt.datetime
    submitted_index: int
    last_index: int
    accepted_at: dt.datetime | None = None
    accepted_index: int | None = None
    case_number: str = ""
    promised_days: int | None = None  # working days in which the place promised to decide it, at acceptance
    promised_hours: PromisedHours | None = None  # where the promise is one of hours
    deadline: dt.date | None = None  # of that promise, or of the statute where none is shorter
    deadline_at: dt.datetime | None = None  # the instant on that day, of a promise of hours
    deadline_provisional: bool = False
    statutory_deadline: dt.date | None = None  # of IR 20
    statutory_provisional: bool = False
    clock_stops: tuple[ClockStop, ...] = ()
    breached_at: dt.datetime | None = None  # when it was recorded that the deadline passed undecided
    parties_expire_at: dt.datetime | None = None
    reminders: tuple[dt.datetime, ...] = ()  # when parties that have not signed are still to be reminded
    reminded_at: dt.datetime | None = None  # when they last were
    claimed_by: str = ""
    reviewed_by: str = ""
    decided_at: dt.datetime | None = None
    accepted_by: str = ""  # the officer who answers for the rule set under which it was accepted
    decided_by: str = ""  # the officer in whose name a case that waits at a gate will be booked
    gate_expires_at: dt.datetime | None = None  # until when a decided case waits for taxes or payoff
    taxes_cleared: tuple[str, ...] = ()  # tax duties cleared after the terms (gateway/kinds/gating.py)
    booked_at: dt.datetime | None = None
    booked_by: str = ""
    closed_at: dt.datetime | None = None  # when it came to its final state
    payoff_until: dt.datetime | None = None  # by when a booked phase is to see the old mortgage released
    payoff_told: str = ""  # the last event of the payoff watch
    payoff_settled: bool = False  # the old mortgage was gone when it was looked at
    payoff_settled_at: dt.datetime | None = None  # when it was seen so; absent in older entries
    old_mortgages: tuple[str, ...] = ()  # identities of those that the case names, once a phase is booked
    rules_version: int | None = None
    profile_version: int | None = None
    certificates: tuple[str, ...] = ()
    findings_index: int | None = None  # the entry whose outcome holds the findings that stand
    awaiting: tuple[str, ...] = ()  # institutions whose join or consent is awaited
    bound_institutions: tuple[str, ...] = ()  # those that joined, besides the applicant institution
    partly_joined: tuple[PartlyJoined, ...] = ()  # those that have steps of their own still to join
    brought: tuple[PaperBrought, ...] = ()
    consents: tuple[ConsentGiven, ...] = ()
    disputes: tuple[Dispute, ...] = ()
    withdrawn_by: tuple[str, ...] = ()  # institutions that asked for withdrawal
    suspension: str = ""  # S- code while SUSPENDED
    supplement_asked: str = ""  # payload digest (hex) of the act that asked for papers
    supplement_until: dt.datetime | None = None
    clock_stopped_on: dt.date | None = None  # the day in China on which papers were asked for
    clock_stopped_at: dt.datetime | None = None  # the instant of it
    erased_index: int | None = None  # the entry that erased its evidence

    @property
    def name(self) -> str:
        """Resource name registries/{r}/applications/{a}."""
        return f"registries/{self.registry}/applications/{self.application_id}"

    @property
    def applied_by(self) -> tuple[str, ...]:
        """Codes of the institutions that have applied: who filed, and who joined since, in full or in part."""
        partly = (joined.institution for joined in self.partly_joined)
        return (self.channel_institution, self.applicant_institution, *self.bound_institutions, *partly)

    @property
    def due_at(self) -> dt.datetime | None:
        """The instant at which the present state ends by itself; None when it does not."""
        match self.state:
            case State.AWAITING_PARTIES:
                return self.parties_expire_at
            case State.SUPPLEMENT_REQUESTED:
                return self.supplement_until
            case State.AWAITING_TAX | State.AWAITING_PAYOFF:
                return self.gate_expires_at
        return None

    @property
    def wakes_at(self) -> dt.datetime | None:
        """The instant at which the case is to be looked at with nobody's request; None without one."""
        if self.state is State.AWAITING_PARTIES and self.reminders:
            return self.reminders[0]
        if self.state is not State.BOOKED or self.payoff_until is None or self.payoff_settled:
            return self.due_at
        match self.payoff_told:
            case "":
                return self.payoff_until - dt.timedelta(days=PAYOFF_NEARS_DAYS)
            case "PAYOFF_NEARS":
                return self.payoff_until
        return None


class IssuedCertificate(Value, frozen=True, kw_only=True):
    """A certificate that an outcome numbered."""

    identifier: str
    number: str
    kind: str


class Awaited(Value, frozen=True, kw_only=True):
    """A party whose signature is to come."""

    name: str
    role: str
    institution: str = ""  # USCC when it is one


class Outcome(Value, frozen=True, kw_only=True):
    """The answer of the law to one command. Kept as its own ledger part, word for word."""

    result: Result
    application: str
    state: State | None = None
    findings: tuple[Finding, ...] = ()
    certificates: tuple[IssuedCertificate, ...] = ()
    awaiting: tuple[Awaited, ...] = ()
    case_number: str = ""
    accepted_at: dt.datetime | None = None
    deadline: dt.date | None = None
    deadline_at: dt.datetime | None = None
    deadline_provisional: bool = False
    statutory_deadline: dt.date | None = None
    statutory_provisional: bool = False
    booked_at: dt.datetime | None = None
    parties_expire_at: dt.datetime | None = None
    as_of_index: int | None = None
    #: What an act that is on no case has to say of cases that it stopped, by application id.
    about: dict[str, tuple[Finding, ...]] = {}

    def findings_of(self, application_id: str) -> tuple[Finding, ...]:
        """What this answer says of one case."""
        return self.about.get(application_id, self.findings)


class World(Value, frozen=True, kw_only=True):
    """All that a decision reads, loaded by the shell under the registry's lock."""

    registry: str
    profile: Profile
    rules: RuleSet | None
    calendar: Calendar = PACKAGED  # as it stands for this registry
    units: dict[str, UnitState]
    related: dict[
        str, UnitState
    ] = {}  # units that the case does not name and that share a right with one it does
    open_cases: dict[str, tuple[OpenCase, ...]] = {}
    institutions: dict[str, Institution] = {}
    counters: dict[str, int] = {}
    certificates_by_number: dict[str, str] = {}  # live e-certificates: number -> identifier
    feed_gap: bool = False  # the counter's feed has a hole or is stale (handbook 1.5)
    certificate_holders: dict[str, tuple[str, ...]] = {}  # of those: identifier -> institutions to be told
    named: dict[str, Application] = {}  # applications that the header names, by resource name
    phases: tuple[Application, ...] = ()  # every application of the case that a later phase names


class Moment(Value, frozen=True, kw_only=True):
    """What the shell draws for one command: the time, the entry's index, an id and secret bytes."""

    now: dt.datetime
    index: int
    application_id: str
    entropy: bytes  # 16 bytes for each certificate that may come out, at least 128
