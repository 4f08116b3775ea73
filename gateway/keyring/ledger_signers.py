"""The checkpoint keys that the settings name, and which of them sign as the ledger says.

The ledger knows keys by vkey and entry (`applications/ledger_keys.py`), the settings know where they are. An act that
puts another key beside the one in use finds it in the settings as they are then: they are read anew for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import Connection

from gateway.applications.ledger_keys import Terms, in_use, of_log
from gateway.config import Config, ConfigError, RegistryConfig
from gateway.keyring.keys import note_signer
from gateway.storage.settings import load_settings
from ledger.checkpoint import NoteSigner
from ledger.log_keys import LogKey, LogKeys, LogSigners
from signing.key_source import KeySource


def log_keys(terms: Terms, vkey: str) -> LogKeys:
    """All keys of the log whose name is on `vkey`, which is the only one until there was an act."""
    known = of_log(terms, vkey.partition("+")[0])
    return LogKeys([LogKey(one.vkey, one.begun_index, one.ended_index) for one in known] or [LogKey(vkey)])


def read_log_keys(connection: Connection, registry: str, vkey: str) -> LogKeys:
    """`log_keys` as the views have them now."""
    return log_keys(load_settings(connection, registry).ledger_keys, vkey)


def next_signer(registry: RegistryConfig) -> NoteSigner | None:
    """The signer of `next_ledger_key`, None where the settings have none. Raises ConfigError that names it."""
    if registry.next_ledger_key is None:
        return None
    try:
        return note_signer(registry.origin, registry.next_ledger_key)
    except (ConfigError, OSError) as error:
        raise ConfigError(f"registries ({registry.id}) next_ledger_key: {error}") from error


def audited_log_keys(
    connection: Connection, registry: RegistryConfig, signer: NoteSigner, size: int
) -> LogKeys:
    """The keys by which a log of `size` published entries is judged: what the views say, if a key of the settings is
    among those that sign its newest checkpoint, and so vouches for the entries that name the others; else the
    key of the settings alone. Raises ConfigError.
    """
    keys = read_log_keys(connection, registry.id, signer.vkey)
    if signer.vkey in keys.at(size):
        return keys
    following = next_signer(registry)
    return keys if following is not None and following.vkey in keys.at(size) else LogKeys.of(signer.vkey)


class LedgerSigners:
    """What a running gateway knows of its checkpoint keys."""

    def __init__(
        self, config: Config, signers: Mapping[str, NoteSigner], reread: Callable[[], Config]
    ) -> None:
        """`signers` are those of `ledger_key`, by registry; `terms_of` is set once the ledger can be read."""
        self._signers = {name: {signer.vkey: signer} for name, signer in signers.items()}
        self._sources: dict[str, KeySource] = {}
        self._origins = {name: signer.name for name, signer in signers.items()}
        self._first = {name: signer.vkey for name, signer in signers.items()}
        self._reread = reread
        self.terms_of: Callable[[str], Terms] = lambda _registry: ()
        for registry in config.registries:
            self._sources[self._first[registry.id]] = registry.ledger_key

    def check(self, config: Config) -> None:
        """Have the key of every registry that its ledger says signs. Raises ConfigError."""
        for registry in config.registries:
            terms = of_log(self.terms_of(registry.id), registry.origin)
            wanted = {term.vkey for term in in_use(terms)}
            if wanted and wanted != set(self._signers[registry.id]):
                self._take(registry)
            for vkey in wanted - set(self._signers[registry.id]):
                raise ConfigError(
                    f"registries ({registry.id}) ledger_key: the ledger says that the key {vkey} signs "
                    "its checkpoints, and neither ledger_key nor next_ledger_key is that: put it there"
                )

    def of(self, registry: str) -> LogSigners:
        """The signers of a registry's checkpoints, as of the last commit."""
        return LogSigners(self.keys(registry), self._signers[registry])

    def keys(self, registry: str) -> LogKeys:
        """All keys of its log."""
        return log_keys(self.terms_of(registry), self._first[registry])

    def terms(self, registry: str) -> Terms:
        """Acts' terms of the keys of its log."""
        return of_log(self.terms_of(registry), self._origins[registry])

    def vkey(self, registry: str) -> str:
        """The key in use; of two, the one in use longer, which every verifier has."""
        terms = in_use(self.terms(registry))
        return terms[0].vkey if terms else self._first[registry]

    def source(self, vkey: str) -> KeySource | None:
        """Where a key is; None where the gateway does not have it."""
        return self._sources.get(vkey)

    def following(self, registry: str) -> NoteSigner | None:
        """The next key in the settings as they are now. Blocks while it is opened. Raises ConfigError."""
        fresh = {one.id: one for one in self._reread().registries}
        if registry not in fresh:
            raise ConfigError(f"registries ({registry}): is not in the settings any more: put it back")
        return self._take(fresh[registry])

    def try_next(self, registry: str, vkey: str) -> None:
        """See that the next key of the settings is that of `vkey`, and signs. Blocks. Raises ConfigError, what a key
        that does not answer raises.
        """
        signer = self.following(registry)
        if signer is None or signer.vkey != vkey:
            raise ConfigError(
                f"registries ({registry}) next_ledger_key: is not the key {vkey}: put that there"
            )
        signer.signature_line(b"diya\n")

    def _take(self, registry: RegistryConfig) -> NoteSigner | None:
        signer = next_signer(registry)
        if signer is not None:
            assert registry.next_ledger_key is not None
            self._signers[registry.id] = {**self._signers[registry.id], signer.vkey: signer}
            self._sources[signer.vkey] = registry.next_ledger_key
        return signer
