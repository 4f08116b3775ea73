"""What a registry knows about itself and its callers: small, read by every decision, kept whole in memory."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, select

from gateway.cases.effects import (
    CalendarSet,
    LedgerKeysSet,
    OperatorSet,
    ProfileSet,
    RevocationNoted,
    RuleSetSet,
    SealTermsSet,
    TrustSet,
)
from gateway.cases.feed import FeedState
from gateway.cases.trust import EvidenceKind, Trust
from gateway.register.authority import Institution, LedgerKeyTerm, Profile, Registrar, RuleSet, SealTerm
from gateway.register.calendar import PACKAGED, Calendar
from gateway.storage import tables as t

_TYPES: dict[str, Any] = {
    "profile": Profile,
    "rules": RuleSet,
    "trust": TrustSet,
    "operators": OperatorSet,
    "calendar": Calendar,
    "seals": tuple[SealTerm, ...],
    "ledger_keys": tuple[LedgerKeyTerm, ...],
}


@dataclass(frozen=True)
class Settings:
    """Settings of one registry as of an entry. `profile` is None only before the registry's first entry."""

    profile: Profile | None = None
    rules: RuleSet | None = None
    trust: Trust | None = None
    operators: OperatorSet | None = None
    calendar: Calendar | None = None  # the years that were imported; None before the first import
    seals: tuple[SealTerm, ...] = ()  # empty until one is replaced or retired: the configured one seals
    ledger_keys: tuple[LedgerKeyTerm, ...] = ()  # empty until there was a second one
    feed: FeedState = field(default_factory=FeedState)
    institutions: dict[str, Institution] = field(default_factory=dict)
    registrars: dict[str, Registrar] = field(default_factory=dict)

    @property
    def calendar_in_force(self) -> Calendar:
        """The tables of the software, with what was imported over them."""
        return PACKAGED if self.calendar is None else _in_force(self.calendar)

    @property
    def signing_keys(self) -> frozenset[str]:
        """Ids of the keys that are registered, of institutions, registrars and operators: their holders come again."""
        own = [key.key_id for one in self.institutions.values() for key in one.keys]
        own += [key_id for one in self.registrars.values() for key_id in one.key_ids]
        return frozenset((*own, *(() if self.operators is None else self.operators.key_ids)))

    def with_institution(self, institution: Institution) -> Settings:
        """These settings with one institution set."""
        return replace(self, institutions={**self.institutions, institution.uscc: institution})

    def with_registrar(self, registrar: Registrar) -> Settings:
        """These settings with one registrar set."""
        return replace(self, registrars={**self.registrars, registrar.registrar_id: registrar})

    def with_setting(self, name: str, value: Any) -> Settings:
        """These settings with a named value replaced."""
        stands: Any = Trust.of(value) if isinstance(value, TrustSet) else value
        return replace(self, **{name: stands})

    @staticmethod
    def named(effect: Any) -> tuple[str, Any]:
        """The setting that an effect sets, and its value."""
        if isinstance(effect, ProfileSet):
            return "profile", effect.profile
        if isinstance(effect, RuleSetSet):
            return "rules", effect.rules
        if isinstance(effect, TrustSet):
            return "trust", effect
        if isinstance(effect, OperatorSet):
            return "operators", effect
        if isinstance(effect, CalendarSet):
            return "calendar", effect.calendar
        if isinstance(effect, SealTermsSet):
            return "seals", effect.keys
        if isinstance(effect, LedgerKeysSet):
            return "ledger_keys", effect.keys
        raise TypeError(f"{type(effect).__name__} sets no setting")


@lru_cache(maxsize=64)
def _in_force(imported: Calendar) -> Calendar:
    """One object for each import, whatever else of the settings changes: answers are cached by it."""
    return PACKAGED.with_years(imported)


def load_settings(connection: Connection, registry: str) -> Settings:
    """Read a registry's settings from the views."""
    values: dict[str, Any] = {}
    for row in connection.execute(select(t.setting).where(t.setting.c.registry == registry)).mappings():
        values[row["name"]] = msgspec.json.decode(row["body"], type=_TYPES[row["name"]])
    if "trust" in values:
        values["trust"] = _with_evidence(connection, registry, values["trust"])
    for state in _bodies(connection, t.feed, registry, FeedState):
        values["feed"] = state
    institutions = _bodies(connection, t.institution, registry, Institution)
    registrars = _bodies(connection, t.registrar, registry, Registrar)
    return Settings(
        institutions={i.uscc: i for i in institutions},
        registrars={r.registrar_id: r for r in registrars},
        **values,
    )


def _with_evidence(connection: Connection, registry: str, act: TrustSet) -> Trust:
    """The trust as it stands: what the act set, and what was noted since."""
    table = t.trust_evidence
    rows = connection.execute(
        select(table.c.kind, table.c.sha256, table.c.der, table.c.standing)
        .where(table.c.registry == registry)
        .order_by(table.c.entry_index, table.c.place)
    )
    found: dict[str, list[Any]] = {kind: [] for kind in EvidenceKind}
    for row in rows:
        found[row.kind].append(row)
    crls, ocsp, between = (
        tuple(row.der for row in found[kind])
        for kind in (EvidenceKind.CRL, EvidenceKind.OCSP, EvidenceKind.AUTHORITY)
    )
    return Trust.of(act).noted(
        RevocationNoted(
            crls=crls,
            ocsp=ocsp,
            intermediates=between,
            superseded=tuple(row.sha256 for row in found[EvidenceKind.GONE]),
            standing=tuple(row.sha256 for row in found[EvidenceKind.OCSP] if row.standing),
        )
    )


class SettingVersion(NamedTuple):
    """A setting as one entry set it."""

    entry_index: int
    value: Any


def load_versions(connection: Connection, registry: str, name: str) -> list[SettingVersion]:
    """Every version of the profile or of the rule set (`rules`), the first one first."""
    table = t.setting_version
    statement = (
        select(table.c.entry_index, table.c.body)
        .where(table.c.registry == registry, table.c.name == name)
        .order_by(table.c.entry_index)
    )
    return [
        SettingVersion(index, msgspec.json.decode(body, type=_TYPES[name]))
        for index, body in connection.execute(statement)
    ]


def _bodies(connection: Connection, table: Any, registry: str, kind: Any) -> list[Any]:
    rows = connection.execute(select(table.c.body).where(table.c.registry == registry))
    return [msgspec.json.decode(body, type=kind) for (body,) in rows]
