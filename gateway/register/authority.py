"""The registration authority and those it knows: its profile, its rule set, institutions and registrars.

Cities differ (handbook 12.8): what the law leaves to a place is a versioned, sourced value here,
never code.
"""

from __future__ import annotations

import datetime as dt
from enum import StrEnum

import msgspec

from gateway.register.calendar import OfficeHours
from gateway.register.model import Value


class KeyRole(StrEnum):
    """What a registered key may do."""

    SUBMIT = "SUBMIT"
    CONSENT = "CONSENT"
    RELEASE = "RELEASE"
    READ = "READ"  # alone, identifies a connection that may only read; signs nothing
    TLS = "TLS"  # identifies the caller's connection; never signs an envelope


class Mandate(Value, frozen=True, kw_only=True):
    """What somebody may apply for: operations by name, () for all; the largest claim in fen, 0 for any."""

    operations: tuple[str, ...] = ()
    claim_fen_max: int = 0


class RegisteredKey(Value, frozen=True, kw_only=True):
    """A registered key: `key_id` is the hex SHA-256 of its SubjectPublicKeyInfo (`public_key`, DER, where it is kept).

    It may be used from `not_before` on and until before `not_after`; absent means open. `mandate`: what it may sign an
    application for, within its roles. `outlet`: it signs for registered clerks of that outlet alone; "" for anybody.
    """

    key_id: str
    roles: tuple[KeyRole, ...] = ()
    public_key: bytes = b""
    not_before: dt.datetime | None = None
    not_after: dt.datetime | None = None
    note: str = ""
    mandate: Mandate = Mandate()
    outlet: str = ""

    def is_usable(self, at: dt.datetime) -> bool:
        """Whether the key may be used at `at`."""
        return _is_within(self.not_before, at, self.not_after)


class RegisteredClerk(Value, frozen=True, kw_only=True):
    """A clerk of an institution's authorised outlet, by the number inside the institution. `id_number` is known where
    the registry looks for staff among the parties.
    """

    employee_no: str
    name: str
    outlet: str = ""
    id_number: str = ""
    mandate: Mandate = Mandate()
    not_before: dt.datetime | None = None
    not_after: dt.datetime | None = None

    def is_usable(self, at: dt.datetime) -> bool:
        """Whether the clerk may file at `at`."""
        return _is_within(self.not_before, at, self.not_after)


def _is_within(not_before: dt.datetime | None, at: dt.datetime, not_after: dt.datetime | None) -> bool:
    return (not_before is None or not_before <= at) and (not_after is None or at < not_after)


class SealTerm(Value, frozen=True, kw_only=True):
    """A key that the registry seals with, and its time: `key_id` as in `RegisteredKey`, `certificate` in DER.

    It seals from `active_from` on (absent: from the registry's beginning) and until before `retired_at`. From
    `compromised_since` on somebody else may have had it. `national`: it seals beside the first, where the
    registry seals in both suites. `index` is the entry that last changed this.
    """

    key_id: str
    certificate: bytes = b""
    national: bool = False
    active_from: dt.datetime | None = None
    retired_at: dt.datetime | None = None
    compromised_since: dt.datetime | None = None
    reason: str = ""
    index: int = 0

    def is_compromised(self, at: dt.datetime) -> bool:
        """Whether somebody else may have made what was sealed at `at`."""
        return self.compromised_since is not None and self.compromised_since <= at


class LedgerKeyTerm(Value, frozen=True, kw_only=True):
    """A key that signs the registry's checkpoints, and its time. `vkey`: its C2SP verifier key.

    It signs from the checkpoint that covers entry `begun_index` on (absent: from the first), and not those that cover
    entry `ended_index`; `active_from` and `retired_at` are the instants of these entries. The rest as in `SealTerm`.
    """

    vkey: str
    begun_index: int | None = None
    ended_index: int | None = None
    active_from: dt.datetime | None = None
    retired_at: dt.datetime | None = None
    compromised_since: dt.datetime | None = None
    reason: str = ""
    index: int = 0


class InstitutionKind(StrEnum):
    """Kind of institution (codes.csv INSTITUTION_KIND)."""

    BANK = "BANK"
    FUND_CENTRE = "FUND_CENTRE"
    GUARANTEE_COMPANY = "GUARANTEE_COMPANY"
    ASSET_MANAGER = "ASSET_MANAGER"
    OTHER = "OTHER"
    COURT = "COURT"  # it may search the register by person (IR 27)


class InstitutionCode(Value, frozen=True, kw_only=True):
    """A code of another list (financial institution code, licence, CNAPS), opaque."""

    kind: str
    code: str


class Institution(Value, frozen=True, kw_only=True):
    """A bank or fund centre that may call the gateway (handbook 1.3).

    `files_for` names the institutions (branches, by USCC) for which this one may be the channel. `mandate`: what it may
    apply for, whoever signs; from `second_key_from_fen` on two of its keys sign (0: one will do); `submissions_per_day`
    0: as the profile says; `clerks` (): any. `index` is the ledger entry that set this.
    """

    uscc: str
    kind: InstitutionKind
    names: tuple[str, ...]
    uscc_aliases: tuple[str, ...] = ()
    agreement_no: str = ""
    permitted_modes: tuple[str, ...] = ()
    files_for: tuple[str, ...] = ()
    head_office: str = ""
    keys: tuple[RegisteredKey, ...] = ()
    codes: tuple[InstitutionCode, ...] = ()
    mandate: Mandate = Mandate()
    submissions_per_day: int = 0
    second_key_from_fen: int = 0
    clerks: tuple[RegisteredClerk, ...] = ()
    suspended: bool = False
    suspension_reason: str = ""
    index: int = 0

    def roles_of(self, key_id: str, at: dt.datetime | None = None) -> tuple[KeyRole, ...]:
        """Roles of a registered key; empty when the key is not this institution's, or (given `at`) not usable then."""
        return next(
            (k.roles for k in self.keys if k.key_id == key_id and (at is None or k.is_usable(at))),
            (),
        )

    def is_known_as(self, uscc: str) -> bool:
        """Whether `uscc` is this institution's present or a former code (alias table, handbook 3.1)."""
        return uscc == self.uscc or uscc in self.uscc_aliases


class Registrar(Value, frozen=True, kw_only=True):
    """A registrar 登记员 with a personal key. `key_ids` sign, `tls_key_ids` identify connections; `keys` says more of
    each. `may_book`: not only review. One that `feeds` does neither (handbook 1.5).
    """

    registrar_id: str
    name: str
    key_ids: tuple[str, ...]
    tls_key_ids: tuple[str, ...] = ()
    keys: tuple[RegisteredKey, ...] = ()
    may_book: bool = True
    suspended: bool = False
    feeds: bool = False  # no person: the authority's own counter system
    index: int = 0

    def signs_with(self, key_id: str, at: dt.datetime) -> bool:
        """Whether this is a registered signing key of theirs, usable at `at`."""
        known = next((k for k in self.keys if k.key_id == key_id), None)
        return key_id in self.key_ids and (known is None or known.is_usable(at))


class Place(Value, frozen=True, kw_only=True):
    """A county of the registry and how certificates name it: 苏 + 江阴市."""

    county_code: str
    province: str
    name: str


class Stance(StrEnum):
    """What a place does where the law leaves it open."""

    ALLOW = "ALLOW"
    WARN = "WARN"
    REFER = "REFER"
    BLOCK = "BLOCK"


class StaffRisk(StrEnum):
    """A sign that staff have a hand in a case, for a place to look at (Linyi's rules against staff risks, S15)."""

    CLERK_IS_PARTY = "CLERK_IS_PARTY"
    STAFF_IS_PARTY = "STAFF_IS_PARTY"
    STAFF_IS_AGENT = "STAFF_IS_AGENT"
    OUT_OF_HOURS = "OUT_OF_HOURS"


class Profile(Value, frozen=True, kw_only=True):
    """What the law leaves to the place. Days are calendar days unless named working days.

    The four stances and `minors` are values of `Stance`. `max_file_bytes` and `max_case_bytes` 0:
    as configured.
    """

    version: int
    source: str = ""  # published rules with their date
    authority_name: str
    authority_code: str  # USCC of the authority, issuer of its certificates
    places: tuple[Place, ...]
    instant: tuple[str, ...] = ()  # operations that a rule may decide at once (Linyi's kinds, S15)
    modes: tuple[str, ...] = ()  # encumbered-transfer modes on offer
    #: Working days from acceptance to the decision, by operation, or by mode for a combined case as a whole.
    promised_working_days: dict[str, int] = msgspec.field(default_factory=dict)
    #: Promises in hours in which the office is open, on top of the days: half a working day is 4.
    promised_working_hours: dict[str, int] = msgspec.field(default_factory=dict)
    office: OfficeHours = OfficeHours()  # in which such hours are counted [D]: no source tells a city's
    awaiting_parties_days: int = 10
    #: So many days before that ends the parties that have not signed are reminded; () for never [D].
    party_reminder_days: tuple[int, ...] = (3, 1)
    supplement_days: int = 15
    tax_days: int = 30
    payoff_days: int = 30
    #: So many days after its upload a file that no case has named goes by itself (gateway/rounds/eraser.py).
    unclaimed_upload_days: int = 30
    #: So many days after its end the evidence of an accepted case that was withdrawn or refused may be erased, by an
    #: operator's act (applications/erasure.py; handbook 3.6); 0: never.
    ended_case_retention_days: int = 0
    unrecorded_restriction: str = "REFER"
    pre_2021_changed_to_none: str = "REFER"
    two_thirds_disposal: str = "REFER"
    securer_without_consent: str = "REFER"
    minors: str = "REFER"  # an owner, or a party, under guardianship
    convert_on_transfer: bool = False
    lock_payee_to_seller: bool = False
    risk_notice_required: bool = False
    validate_only_per_day: int = 1000
    submissions_per_day: int = 0  # 0: no limit
    max_file_bytes: int = 0
    max_case_bytes: int = 0
    counter_feed_max_lag_minutes: int = 0  # 0: there is no feed
    two_person_review: bool = False
    own_case_forbidden: bool = False  # nobody decides a case of their own, or books what they reviewed
    #: By name of a `StaffRisk`: WARN or REFER; one that is not named is not looked for.
    staff_risks: dict[str, str] = msgspec.field(default_factory=dict)
    production: bool = False  # false prints 测试 on every certificate

    def place(self, county_code: str) -> Place | None:
        """The place of a county code; None when it is not of this registry."""
        return next((p for p in self.places if p.county_code == county_code), None)


class OperationRules(Value, frozen=True, kw_only=True):
    """The rules, by id, that must all hold for an operation to be decided (gateway/kinds/rules.py)."""

    operation: str
    rules: tuple[str, ...]


class Waiver(Value, frozen=True, kw_only=True):
    """Why a rule that the handbook calls clean (1.4) is not asked for: the local rules that say so, with their date."""

    operation: str
    rule: str
    source: str


class RuleSet(Value, frozen=True, kw_only=True):
    """A published rule set with the officer who answers for what it decides (handbook 1.4).

    A disabled set decides nothing: its operations stand in `withheld`, and `decides` is empty. Of an operation without
    a line in `holds` every rule must hold.
    """

    version: int
    officer: str
    published_on: dt.date
    decides: tuple[str, ...] = ()
    disabled: bool = False
    withheld: tuple[str, ...] = ()
    holds: tuple[OperationRules, ...] = ()
    waivers: tuple[Waiver, ...] = ()
