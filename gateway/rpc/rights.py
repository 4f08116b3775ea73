"""Who may call what: one table, a test per cell. What a caller sees of a resource is decided where it is read."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

from gateway.applications.named import is_of_case
from gateway.cases.model import Application
from gateway.register.authority import KeyRole, RegisteredKey
from gateway.storage.settings import Settings


class CallerKind(StrEnum):
    """Kinds of caller, by the registered key of their connection."""

    INSTITUTION = "INSTITUTION"
    REGISTRAR = "REGISTRAR"
    AUDITOR = "AUDITOR"
    OPERATOR = "OPERATOR"
    COUNTER = "COUNTER"  # the authority's own counter system
    PUBLIC = "PUBLIC"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, in one registry. `id` is a USCC, a registrar id, or empty. `reads_only`: by a key of role READ."""

    kind: CallerKind
    id: str = ""
    suspended: bool = False
    reads_only: bool = False


PUBLIC_CALLER = Caller(CallerKind.PUBLIC)

_I, _R, _A, _O, _C, _P = (
    CallerKind.INSTITUTION,
    CallerKind.REGISTRAR,
    CallerKind.AUDITOR,
    CallerKind.OPERATOR,
    CallerKind.COUNTER,
    CallerKind.PUBLIC,
)

#: Service → method → who may call it. `*` stands for every method of the service not named.
RIGHTS: dict[str, dict[str, frozenset[CallerKind]]] = {
    "FileService": {
        "*": frozenset({_I}),
        "GetFile": frozenset({_I, _R}),
        "DownloadFile": frozenset({_I, _R}),
    },
    "RegistrationService": {
        "*": frozenset({_I}),
        "GetApplication": frozenset({_I, _R}),
        "ListApplications": frozenset({_I, _R}),
        "GetReceipt": frozenset({_I, _R}),
    },
    "PartyService": {"*": frozenset({_I})},
    "ReviewService": {"*": frozenset({_R}), "ReplayApplication": frozenset({_R, _A})},
    "CertificateService": {
        "*": frozenset({_I, _R}),
        "VerifyCertificate": frozenset({_I, _R, _A, _O, _C, _P}),
        "CheckPayout": frozenset({_I}),
    },
    "RegisterService": {"*": frozenset({_I, _R})},
    "DeskService": {"*": frozenset({_I}), "ListReadiness": frozenset({_I, _R})},
    "LedgerService": {"*": frozenset({_I, _R, _A, _O, _C})},
    "RegisterFeedService": {
        "*": frozenset({_C}),
        "GetFeedStatus": frozenset({_C, _R, _O}),
        "ListBookingsSinceService": frozenset({_R}),
        "GetOrderStatement": frozenset({_R}),
        "AcknowledgeEvents": frozenset({_I}),
    },
    "AdminService": {
        "*": frozenset({_O}),
        "GetProfile": frozenset({_O, _R}),
        "GetCalendar": frozenset({_O, _R}),
    },
}


#: Each kind of caller, in both languages.
KINDS_TOLD: dict[CallerKind, tuple[str, str]] = {
    CallerKind.INSTITUTION: ("机构", "institutions"),
    CallerKind.REGISTRAR: ("登记人员", "registrars"),
    CallerKind.AUDITOR: ("审计人员", "auditors"),
    CallerKind.OPERATOR: ("运维人员", "operators"),
    CallerKind.COUNTER: ("登记大厅系统", "the counter system"),
    CallerKind.PUBLIC: ("任何人", "anybody"),
}


#: How the names of methods that only read begin (AIP 131, 132); a connection by a key of role READ has these alone.
READING = ("Get", "List", "Download", "Watch", "Verify", "Suggest", "Check")


def may_call(service: str, method: str, kind: CallerKind) -> bool:
    """Whether the table lets this kind of caller in."""
    methods = RIGHTS.get(service, {})
    return kind in methods.get(method, methods.get("*", frozenset()))


def callers_told(service: str, method: str) -> tuple[str, str]:
    """Who may call a method, in both languages."""
    told = [words for kind, words in KINDS_TOLD.items() if may_call(service, method, kind)]
    return "、".join(zh for zh, _ in told), " and ".join(en for _, en in told)


def caller_told(caller: Caller) -> tuple[str, str]:
    """As whom a connection is seen, in both languages: kind and, where there is one, USCC or id."""
    zh, en = KINDS_TOLD[caller.kind]
    singular = en.removesuffix("s")
    reads = ("（READ 密钥）", " by a key of role READ") if caller.reads_only else ("", "")
    return f"{zh} {caller.id}".strip() + reads[0], f"{singular} {caller.id}".strip() + reads[1]


def acting_for(settings: Settings, uscc: str) -> tuple[str, ...]:
    """The institution itself and those (branches) for which it is registered to act (handbook 1.3)."""
    known = settings.institutions.get(uscc)
    return (uscc, *known.files_for) if known is not None else (uscc,)


def may_see(settings: Settings, uscc: str, row: Application) -> bool:
    """Whether an institution is of the case, under a present or former code, itself or for a branch."""
    return is_of_case(settings.institutions, uscc, row)


class Directory:
    """Registered connection keys of one registry, made from its settings; rebuilt when they change."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._callers: dict[str, Caller] = {}
        self._keys: dict[str, RegisteredKey] = {}
        for institution in settings.institutions.values():
            for key in institution.keys:
                reads = key.roles == (
                    KeyRole.READ,
                )  # beside other roles: a key that signs opens no connection
                if reads or KeyRole.TLS in key.roles:
                    self._callers[key.key_id] = Caller(
                        CallerKind.INSTITUTION, institution.uscc, institution.suspended, reads
                    )
                    self._keys[key.key_id] = key
        for registrar in settings.registrars.values():
            kind = CallerKind.COUNTER if registrar.feeds else CallerKind.REGISTRAR
            caller = Caller(kind, registrar.registrar_id, registrar.suspended)
            self._callers.update(dict.fromkeys(registrar.tls_key_ids, caller))
            self._keys.update({key.key_id: key for key in registrar.keys})
        if settings.operators is not None:
            for key_id in settings.operators.tls_key_ids:
                self._callers[key_id] = Caller(CallerKind.OPERATOR)
            for key_id in settings.operators.auditor_tls_key_ids:
                self._callers[key_id] = Caller(CallerKind.AUDITOR)
            self._keys.update({key.key_id: key for key in settings.operators.auditor_keys})

    def find(self, key_id: str, at: dt.datetime) -> Caller | None:
        """The caller of a connection key; None when nobody registered it for `at`."""
        key = self._keys.get(key_id)
        return self._callers.get(key_id) if key is None or key.is_usable(at) else None
