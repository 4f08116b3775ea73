"""The seals that the settings name, and which of them is in use as the ledger says.

The ledger knows keys by id and time (`applications/seal_keys.py`), the settings know where they are. An operator's
act that goes on to another key finds it in the settings as they are then: they are read anew for it, and nothing else
of them is taken over by a running gateway.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.applications.seal_keys import active, in_place
from gateway.certificates.seal_protocol import SealKey
from gateway.config import Config, ConfigError, RegistryConfig
from gateway.register.authority import SealTerm
from signing.certificates import Certificate, certificates_from_pem, parse_certificate
from signing.errors import SigningError
from signing.key_source import KeySource, open_signer
from signing.signer import Signer
from signing.sm2 import SM2PublicKey
from signing.trust import Purpose, TrustStore

#: The settings of a registry that name a seal: certificate, key.
SLOTS: Final = (("seal_certificate", "seal_key"), ("next_seal_certificate", "next_seal_key"))

#: The same of the seal that a registry puts on beside the first, where it seals in both suites.
NATIONAL_SLOTS: Final = (
    ("national_seal_certificate", "national_seal_key"),
    ("next_national_seal_certificate", "next_national_seal_key"),
)


@dataclass(frozen=True, slots=True)
class ConfiguredSeal:
    """A seal that the settings name. setting: of its key, as people write it. certificates: PEM, own first."""

    setting: str
    source: KeySource
    path: Path
    certificates: bytes
    certificate: Certificate

    @property
    def key_id(self) -> str:
        """Hex SHA-256 of the public key's SPKI."""
        return self.certificate.key_id

    @property
    def is_national(self) -> bool:
        """Whether its key is of the national suite."""
        return isinstance(self.certificate.public_key, SM2PublicKey)

    @property
    def is_beside(self) -> bool:
        """Whether it is one that goes beside the first."""
        return self.setting.endswith(NATIONAL_SLOTS[0][1])

    def open(self) -> Signer:
        """A signer that has made one good signature. Raises ConfigError that names the setting."""
        try:
            return open_signer(self.source, self.certificates)
        except SigningError as error:
            raise ConfigError(f"{self.setting}: {error.message}") from error

    def for_worker(self) -> SealKey:
        """Where a sealing process finds it."""
        return SealKey(key=str(self.source), chain_path=str(self.path))


def configured_seals(registry: RegistryConfig, *, national: bool = False) -> list[ConfiguredSeal]:
    """The seals of a registry's settings that take turns in one place, the present one first: as the first seal, or as
    the national one beside it. Their keys are not opened. Raises ConfigError.
    """
    slots = NATIONAL_SLOTS if national else SLOTS
    return [seal for slot in slots if (seal := _read(registry, *slot)) is not None]


def check_beside(seal: ConfiguredSeal, first: ConfiguredSeal) -> None:
    """Have a national seal be one that may go beside `first`. Raises ConfigError."""
    where = f"{seal.setting.removesuffix('_key')}_certificate"
    if not seal.is_national:
        raise ConfigError(
            f"{where}: {seal.path} is not of an SM2 key: it would be a second seal of one suite"
        )
    if first.is_national:
        raise ConfigError(
            f"{where}: the seal beside it, {first.setting}, is of an SM2 key too: leave this one out, or name "
            "another there"
        )
    if seal.certificate.identity != first.certificate.identity:
        raise ConfigError(
            f"{where}: {seal.path} names another authority than the seal beside it, {first.path}"
        )


def _read(registry: RegistryConfig, certificate_name: str, key_name: str) -> ConfiguredSeal | None:
    path, source = getattr(registry, certificate_name), getattr(registry, key_name)
    if path is None and source is None:
        return None
    where = f"registries ({registry.id})"
    if path is None or source is None:
        missing = certificate_name if path is None else key_name
        raise ConfigError(f"{where} {missing}: is missing beside the other of the two")
    try:
        pem = path.read_bytes()
        own = parse_certificate(certificates_from_pem(pem)[0])
    except OSError as error:
        raise ConfigError(f"{where} {certificate_name}: {path}: {error.strerror or error}") from error
    except SigningError as error:
        raise ConfigError(f"{where} {certificate_name}: {path}: {error.message}") from error
    return ConfiguredSeal(f"{where} {key_name}", source, path, pem, own)


def seals_in_use(
    registry: RegistryConfig, terms: tuple[SealTerm, ...], added: Mapping[str, ConfiguredSeal] | None = None
) -> list[ConfiguredSeal]:
    """The seals that the ledger says are in use, as the settings have them, or as an act `added` them (by key id): the
    first, and the national one beside it where the settings name one; none where one of the two is retired.

    Raises ConfigError where the settings do not have what the ledger names.
    """
    found = []
    for national in (False, True):
        seal = _in_use(registry, terms, added or {}, national=national)
        if seal is not None:
            found.append(seal)
        elif not national or configured_seals(registry, national=True):
            return []
    for seal in found[1:]:
        check_beside(seal, found[0])
    return found


def _in_use(
    registry: RegistryConfig,
    terms: tuple[SealTerm, ...],
    added: Mapping[str, ConfiguredSeal],
    *,
    national: bool,
) -> ConfiguredSeal | None:
    configured = configured_seals(registry, national=national)
    if not in_place(terms, national=national):
        return configured[0] if configured else None
    term = active(terms, national=national)
    if term is None:
        return None
    for seal in (*added.values(), *configured):
        if seal.key_id == term.key_id:
            return seal
    certificate, _ = (NATIONAL_SLOTS if national else SLOTS)[0]
    raise ConfigError(
        f"registries ({registry.id}) {certificate}: the ledger says that since {term.active_from} the key "
        f"{term.key_id} seals, and neither {certificate} nor next_{certificate} is of it: put it there"
    )


class Seals:
    """What a running gateway knows of its seals."""

    def __init__(
        self,
        config: Config,
        reread: Callable[[], Config],
        terms_of: Callable[[str], tuple[SealTerm, ...]],
    ) -> None:
        """`reread` gives the settings as they are now; `terms_of` a registry's terms as of the last commit."""
        self._registries = {registry.id: registry for registry in config.registries}
        self._added: dict[str, dict[str, ConfiguredSeal]] = {}  # registry -> key id -> what an act went on to
        self._reread = reread
        self._terms_of = terms_of

    def for_workers(self) -> Mapping[str, tuple[SealKey, ...]]:
        """The seals in use of each registry that has one, the international one first. Raises ConfigError."""
        found = {name: self.all_in_use(name) for name in self._registries}
        return {name: tuple(seal.for_worker() for seal in seals) for name, seals in found.items() if seals}

    def all_in_use(self, registry: str) -> list[ConfiguredSeal]:
        """The seal of a registry, and the national one beside it where it has one; none while one of them is missing.
        Raises ConfigError.
        """
        added = self._added.get(registry, {})
        return seals_in_use(self._registries[registry], self._terms_of(registry), added)

    def configured(self, registry: str) -> list[ConfiguredSeal]:
        """The seals of a registry in the settings as they are now, the national ones last. Raises ConfigError."""
        fresh = {one.id: one for one in self._reread().registries}
        if registry not in fresh:
            raise ConfigError(f"registries ({registry}): is not in the settings any more: put it back")
        return [*configured_seals(fresh[registry]), *configured_seals(fresh[registry], national=True)]

    def try_next(
        self, registry: str, certificate: bytes, authority: str, trust: TrustStore, at: dt.datetime
    ) -> ConfiguredSeal:
        """The seal of a certificate (DER), once it signs and its chain is that of the authority's seal at `at`.

        Blocks while the key is tried. Raises ConfigError, SigningError.
        """
        for seal in self.configured(registry):
            if seal.certificate.der == certificate:
                break
        else:
            raise ConfigError(
                f"registries ({registry}) next_seal_certificate: the settings have no seal of this certificate: put it "
                "there, and its key into next_seal_key (a national one: next_national_seal_certificate and _key)"
            )
        others = certificates_from_pem(seal.certificates)[1:]
        trust.check_chain(seal.certificate, [parse_certificate(der) for der in others], Purpose.REGISTRY, at)
        identity = seal.certificate.identity
        if identity is None or identity.number != authority:
            raise ConfigError(f"{seal.setting}: the certificate is not that of the authority {authority}")
        self._check_other_place(registry, seal)
        seal.open()
        self._added.setdefault(registry, {})[seal.key_id] = seal
        return seal

    def _check_other_place(self, registry: str, seal: ConfiguredSeal) -> None:
        """The seal of the other place may want another suite of this one. Raises ConfigError."""
        settings, national = self._registries[registry], not seal.is_beside
        added = self._added.get(registry, {})
        other = _in_use(settings, self._terms_of(registry), added, national=national)
        others = [other] if other is not None else configured_seals(settings, national=national)
        for one in others[:1]:
            check_beside(*((one, seal) if national else (seal, one)))
