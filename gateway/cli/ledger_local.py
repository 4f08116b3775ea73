"""`diya ledger verify`, `export` and `rebuild`: on the database itself, on the gateway's own machine."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import typer
from msgspec import MsgspecError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text
from sqlalchemy import Connection, Engine, func, inspect, select
from sqlalchemy.exc import DatabaseError

from gateway import recovery
from gateway.app import utc_now
from gateway.audit.evidence import EvidenceReport, audit_evidence
from gateway.cases.errors import CommandRefused
from gateway.cli import outcomes
from gateway.config import Config, ConfigError, RegistryConfig, load_config
from gateway.keyring.ledger_signers import audited_log_keys
from gateway.keyring.rotation import rotate, wrap_key
from gateway.recovery import Loss
from gateway.rpc.errors import Refusal
from gateway.startup import (
    LedgerRefused,
    backup_problem,
    check_database,
    check_ledger_keys,
    check_tables,
)
from gateway.storage.audit_readers import audit_readers
from gateway.storage.engine import SecondWriter, WriterLock, auditor_engine, database_file, writer_engine
from gateway.storage.later import add_missing_tables, missing_tables
from gateway.storage.rebuild import NotFolded, digest_views, rebuild_views
from gateway.storage.tables import VIEWS
from gateway.storage.view_audit import ViewReport, audit_views
from ledger.checkpoint import Checkpoint, NoteSigner, check_vkey
from ledger.cosignature_store import COSIGNATURE_CHANGED, drop_faulty_cosignatures
from ledger.errors import CheckpointError, LedgerError, RegistryUnknownError
from ledger.export import export_ledger
from ledger.kind_audit import unknown_registries
from ledger.log_keys import LogKeys
from ledger.part_audit import ERASURE_CHANGED, KEY_CAME_BACK
from ledger.publish import latest_checkpoint, read_checkpoint
from ledger.readers import Readers
from ledger.report import Divergence, Report
from ledger.stamp_store import STAMP_CHANGED, drop_lone_stamps
from ledger.store import Ledger
from ledger.tables import ledger_entry
from ledger.tables import metadata as ledger_tables
from ledger.vault import Vault
from ledger.verify import verify_ledger
from signing.authority import Credential
from signing.errors import SigningError
from signing.timestamp import encode_response

#: What a rebuild mends besides views.
_MENDED = {KEY_CAME_BACK, ERASURE_CHANGED, COSIGNATURE_CHANGED, STAMP_CHANGED}

#: Processes that read beside the one that walks the chain, and from how many entries on they are worth their start.
READERS = 2
READERS_ENTRIES_MIN = 20_000

#: Divergences printed of each registry.
SHOWN_MAX = 20

_out = Console()
_err = Console(stderr=True)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a registry is looked at. since: the checkpoint to begin with; None for the whole ledger."""

    views: bool
    evidence: bool
    since: Checkpoint | None = None


def verify(
    config: Path, registry: str, *, wanted: Wanted, since: Path | None, keep: Path | None, as_json: bool
) -> None:
    """Check the ledgers of a gateway, or one of them; exits with 1 when one is broken."""
    settings, chosen, key, signers = opened(config, registry)
    good = True
    engine = auditor_engine(settings.storage.database)
    try:
        if since is not None:
            chosen, checkpoint = _begun(since, chosen, signers, engine)
            wanted = replace(wanted, since=checkpoint)
        if keep is not None and len(chosen) > 1:
            raise refused("--keep is for one registry: add --registry", outcomes.USAGE)
        _tell_missing(engine)
        for one in chosen:
            audit = _Audit(engine, one, signers[one.id], settings.storage.database, key)
            audit.run(wanted, settings.storage.files)
            audit.tell(as_json=as_json)
            good = good and audit.ok
            if keep is not None and audit.ok:
                audit.keep(keep)
        strangers = _strangers(engine, settings)
        for stranger in strangers:
            _err.print(Text(f"rows of nobody: {stranger}", style="red"), soft_wrap=True)
        good = good and not strangers
    finally:
        engine.dispose()
    if not good:
        raise typer.Exit(outcomes.FAILED)


def _tell_missing(engine: Engine) -> None:
    """Which tables a start of this version has still to add."""
    try:
        with engine.connect() as connection:
            missing = missing_tables(connection)
    except DatabaseError:
        return  # told where it is read
    if missing:
        told = (
            f"not there yet, taken as empty: {', '.join(missing)}. The next start of the gateway makes them"
        )
        _err.print(Text(told, style="yellow"), soft_wrap=True)


def export(config: Path, folder: Path, registry: str, *, as_json: bool) -> None:
    """Write the published ledgers of a gateway, or one of them, as static files; exits with 1 when one cannot be."""
    settings, chosen, _, signers = opened(config, registry)
    good = True
    engine = auditor_engine(settings.storage.database)
    try:
        for one in chosen:
            try:
                written = _exported(engine, one, signers[one.id], folder / one.id)
            except (LedgerError, DatabaseError, OSError) as error:
                good = False
                _tell_not_exported(one.id, error, as_json=as_json)
                continue
            if as_json:
                facts = {"origin": written.origin, "size": written.size, "root": written.root.hex()}
                typer.echo(json.dumps({"registry": one.id, "ok": True, **facts}, ensure_ascii=False))
            else:
                told = f"{one.id}: {written.size} entries of {written.origin} in {folder / one.id}"
                _out.print(Text(told, style="green"), soft_wrap=True)
    finally:
        engine.dispose()
    if not good:
        raise typer.Exit(outcomes.FAILED)


def _exported(engine: Engine, registry: RegistryConfig, signer: NoteSigner, folder: Path) -> Checkpoint:
    with engine.connect() as connection, bar(f"{registry.id} export") as progress:
        keys = log_keys_of(connection, registry, signer)

        def step(done: int, total: int) -> None:
            """Between reads no snapshot is held: on a live server the WAL can be reset."""
            connection.rollback()
            progress(done, total)

        return export_ledger(connection, registry.id, keys, folder, step, encode_response)


def log_keys_of(connection: Connection, registry: RegistryConfig, signer: NoteSigner) -> LogKeys:
    """The keys by which a registry's log is judged; those of its settings alone where the views cannot be read."""
    try:
        newest = latest_checkpoint(connection, registry.id)
        keys = audited_log_keys(connection, registry, signer, newest.size if newest is not None else 0)
    except (LedgerError, DatabaseError, MsgspecError):  # told where it is read
        keys = LogKeys.of(signer.vkey)
    except ConfigError as error:
        raise refused(str(error), outcomes.USAGE) from error
    connection.rollback()
    return keys


def _tell_not_exported(registry: str, error: Exception, *, as_json: bool) -> None:
    reason = error.reason if isinstance(error, LedgerError) else type(error).__name__
    if as_json:
        found = {"registry": registry, "ok": False, "reason": reason, "error": str(error)}
        typer.echo(json.dumps(found, ensure_ascii=False))
    _err.print(Text(f"{registry}: not exported 未导出: {reason}: {error}", style="red"), soft_wrap=True)


def rebuild(config: Path, registry: str) -> None:
    """Make the views of the ledgers anew, with the server down."""
    settings, chosen, key, signers = opened(config, registry)
    try:
        with _writing(settings) as engine:
            with engine.begin() as connection:
                add_missing_tables(connection)
            for one in chosen:
                audit = _Audit(engine, one, signers[one.id], settings.storage.database, key)
                audit.run(Wanted(views=False, evidence=False), settings.storage.files)
                if any(found.reason not in _MENDED for found in audit.divergences):
                    audit.tell(as_json=False)
                    raise refused(f"{one.id}: from a broken ledger nothing is rebuilt; restore it first", 1)
            with engine.begin() as connection:
                _rebuild(connection, Ledger(Vault(key)), [one.id for one in chosen])
    except (NotFolded, LedgerError, DatabaseError) as error:
        raise refused(f"not rebuilt, nothing was changed: {error}", outcomes.FAILED) from error


def rotate_kek(config: Path) -> None:
    """Replace the key-encryption key, with the server down."""
    settings = load(config)
    try:
        check_database(settings)
        with _writing(settings) as engine, bar("wrapping keys") as progress:
            changed = rotate(engine, settings.storage, progress)
    except ConfigError as error:
        raise refused(f"{config}: {error}", outcomes.USAGE) from error
    except (LedgerError, DatabaseError, OSError) as error:
        raise refused(f"not finished, run it again: {error}", outcomes.FAILED) from error
    path = settings.storage.key_encryption_key
    _out.print(Text(f"{changed} keys wrapped anew; {path} is the new key", style="green"), soft_wrap=True)
    if problem := backup_problem(settings):
        _err.print(Text(problem, style="yellow"), soft_wrap=True)


def wrap_kek(config: Path) -> None:
    """Wrap the key-encryption key that lies in the clear, with the server down."""
    settings = load(config)
    try:
        check_database(settings)
        with _writing(settings):
            wrapped = wrap_key(settings.storage)
    except ConfigError as error:
        raise refused(f"{config}: {error}", outcomes.USAGE) from error
    except OSError as error:
        raise refused(f"not finished, run it again: {error}", outcomes.FAILED) from error
    names = ", ".join(map(str, wrapped)) or "nothing: all of it was wrapped before"
    _out.print(Text(f"wrapped: {names}", style="green"), soft_wrap=True)


@contextmanager
def _writing(settings: Config) -> Iterator[Engine]:
    """The writer's engine, under its lock; an exit with 1 where a server holds that."""
    path = database_file(settings.storage.database)
    lock = WriterLock(path) if path is not None else None
    if lock is not None:
        try:
            lock.acquire()
        except SecondWriter as error:
            raise refused(str(error), outcomes.FAILED) from error
    engine = writer_engine(settings.storage.database)
    try:
        yield engine
    finally:
        engine.dispose()
        if lock is not None:
            lock.release()


def recover(config: Path, registry: str, signer: Path, loss: Loss) -> None:
    """Let a ledger that has lost entries go on under a new origin, with the server down."""
    settings, [one], key, signers = opened(config, registry)
    path = database_file(settings.storage.database)
    lock = WriterLock(path) if path is not None else None
    try:
        operator = Credential.read(signer, "sign").signer()
        if lock is not None:
            lock.acquire()
    except (SecondWriter, OSError, ValueError) as error:
        raise refused(str(error), outcomes.FAILED) from error
    engine = writer_engine(settings.storage.database)
    try:
        check_tables(engine, settings.storage.database)
        done = recovery.recover(settings, one, engine, Vault(key), signers[one.id], operator, loss, utc_now)
    except LedgerRefused as error:
        raise refused(f"not recovered, nothing was changed: {error.what}; run `{error.cure}`", 1) from error
    except (recovery.RecoveryRefused, LedgerError, SigningError, Refusal, CommandRefused) as error:
        why = error.en if isinstance(error, Refusal) else error
        raise refused(f"not recovered, nothing was changed: {why}", outcomes.FAILED) from error
    finally:
        engine.dispose()
        if lock is not None:
            lock.release()
    _out.print(
        Text(
            f"{one.id}: goes on as {one.origin}; lost are the entries {done.first_lost} to {loss.reached_size - 1} of "
            f"{check_vkey(loss.former_vkey)}, as entry {done.entry} says",
            style="green",
        ),
        soft_wrap=True,
    )
    if done.copy is not None:
        _out.print(Text(f"The former database: {done.copy}"), soft_wrap=True)
    _out.print(
        Text(f"Publish the new verifier key beside the former one: {signers[one.id].vkey}"), soft_wrap=True
    )


def _rebuild(connection: Connection, ledger: Ledger, registries: list[str]) -> None:
    before = {registry: digest_views(connection, registry) for registry in registries}
    for registry in registries:
        if gone := drop_lone_stamps(connection, registry):
            _out.print(Text(f"{registry}: {gone} time stamps of no checkpoint taken away", style="yellow"))
        if gone := drop_faulty_cosignatures(connection, registry):
            _out.print(Text(f"{registry}: {gone} cosignatures that do not hold are gone", style="yellow"))
    with bar("rebuilding") as progress:
        rebuild_views(connection, ledger, registries, progress)
    for registry in registries:
        after = digest_views(connection, registry)
        for name, (rows, digest) in after.items():
            if before[registry].get(name) != (rows, digest):
                _out.print(Text(f"{registry}: {name} was wrong, has {rows} rows now", style="yellow"))
        total = sum(rows for rows, _ in after.values())
        _out.print(Text(f"{registry}: rebuilt, {total} rows in {len(after)} views", style="green"))


def _begun(
    since: Path, chosen: list[RegistryConfig], signers: dict[str, NoteSigner], engine: Engine
) -> tuple[list[RegistryConfig], Checkpoint]:
    """The registry of the checkpoint in a file, and the checkpoint, its signature verified; or an exit with 2."""
    try:
        note = since.read_bytes()
    except OSError as error:
        raise refused(f"{since}: {error.strerror}", outcomes.USAGE) from error
    origin = note.partition(b"\n")[0].decode(errors="replace")
    for one in chosen:
        if one.origin == origin:
            try:
                with engine.connect() as connection:
                    return [one], log_keys_of(connection, one, signers[one.id]).open(note)
            except CheckpointError as error:
                raise refused(f"{since}: {error}", outcomes.USAGE) from error
    names = ", ".join(one.origin for one in chosen)
    raise refused(f"{since} is no checkpoint of {names}", outcomes.USAGE)


def _strangers(engine: Engine, settings: Config) -> list[Divergence]:
    """Rows under the name of a registry that this gateway does not keep: nobody else would look at them."""
    known = {one.id for one in settings.registries}
    try:
        with engine.connect() as connection:
            there = set(inspect(connection).get_table_names())  # one that is lost is told where it is read
            tables = [table for table in (*ledger_tables.sorted_tables, *VIEWS) if table.name in there]
            found = unknown_registries(connection, tables, known)
    except DatabaseError as error:
        return [Divergence("database", "-", "DATABASE_UNREADABLE", str(error.orig))]
    rule = "rows of a registry that this gateway does not keep"
    return [Divergence(table, str(registry), "REGISTRY_UNKNOWN", rule) for table, registry in found]


class _Audit:
    """What is found of one registry."""

    def __init__(
        self, engine: Engine, registry: RegistryConfig, signer: NoteSigner, database: str, secret: bytes
    ) -> None:
        self._engine = engine
        self._registry = registry.id
        self._since: Checkpoint | None = None
        self._settings, self._signer = registry, signer
        self._vault = Vault(secret)
        self._database = database
        self._secret = secret
        self.report: Report | None = None
        self.evidence: EvidenceReport | None = None
        self.views: ViewReport | None = None
        self.unread: list[Divergence] = []  # where the database itself gave out

    @property
    def divergences(self) -> list[Divergence]:
        """All of them, the ledger's first."""
        found = list(self.report.divergences) if self.report else []
        found += self.unread
        found += self.evidence.divergences if self.evidence else ()
        found += self.views.divergences if self.views else ()
        return found

    @property
    def ok(self) -> bool:
        """Whether all that was to be looked at was read, and nothing diverges."""
        return not self.divergences

    def run(self, wanted: Wanted, files: Path) -> None:
        """Look at the ledger, and at evidence with its files and at the views if wanted."""
        self._since = wanted.since
        with self._reading("ledger_head"), bar(self._registry) as progress:
            self.report = self._verified(progress)
        if self.unread:
            return
        ledger = Ledger(self._vault)
        if wanted.evidence:
            with self._reading("evidence"), bar(f"{self._registry} evidence") as progress:
                first = wanted.since.size if wanted.since is not None else 0
                with self._engine.connect() as connection, self._readers(connection) as readers:
                    connection.rollback()
                    self.evidence = audit_evidence(
                        self._engine, ledger, self._registry, files, progress, first, readers
                    )
        if wanted.views:
            with self._reading("views"), bar(f"{self._registry} views") as progress:
                self.views = audit_views(self._engine, ledger, self._registry, progress)

    def _verified(self, progress: Callable[[int, int], None]) -> Report:
        with self._engine.connect() as connection, self._readers(connection) as readers:

            def step(done: int, total: int) -> None:
                """Between chunks no snapshot is held: on a live server the WAL can be reset."""
                connection.rollback()
                progress(done, total)

            keys = log_keys_of(connection, self._settings, self._signer)
            return verify_ledger(connection, self._registry, keys, step, self._vault, self._since, readers)

    @contextmanager
    def _readers(self, connection: Connection) -> Iterator[Readers | None]:
        """Processes beside this one; None where there is too little to read."""
        first = self._since.size if self._since is not None else 0
        count = select(func.count()).where(
            ledger_entry.c.registry == self._registry, ledger_entry.c.entry_index >= first
        )
        if connection.execute(count).scalar_one() < READERS_ENTRIES_MIN:
            yield None
        else:
            with audit_readers(self._database, self._secret, READERS) as readers:
                yield readers

    @contextmanager
    def _reading(self, what: str) -> Iterator[None]:
        try:
            yield
        except RegistryUnknownError:
            self.unread.append(Divergence("ledger_head", "-", "HEAD_MISSING", "its row is missing"))
        except DatabaseError as error:
            self.unread.append(Divergence("database", "-", "DATABASE_UNREADABLE", str(error.orig)))
        except BrokenExecutor:
            rule = "a process that read it was ended from outside; verify again"
            self.unread.append(Divergence("database", "-", "DATABASE_UNREADABLE", rule))
        except LedgerError as error:
            self.unread.append(Divergence(what, "-", error.reason, str(error)))

    def keep(self, path: Path) -> None:
        """Write the newest checkpoint that was verified, for the next `--since`; nothing before there is one."""
        report = self.report
        assert report is not None
        with self._engine.connect() as connection:
            signed = read_checkpoint(connection, self._registry, report.published_size)
            keys = log_keys_of(connection, self._settings, self._signer)
        if signed is not None and keys.open(signed.note).size == report.published_size:
            fresh = path.with_name(path.name + ".new")
            fresh.write_bytes(signed.note)
            fresh.replace(path)

    def tell(self, *, as_json: bool) -> None:
        """Print what was found."""
        if as_json:
            typer.echo(json.dumps(self._as_json(), ensure_ascii=False))
        elif self.ok:
            told = Text.assemble((f"{self._registry}: whole 完整", "green"), f" — {self._seen()}")
            _out.print(told, soft_wrap=True)  # a word that is looked for stands on one line
        else:
            first, *others = self.divergences
            _out.print(
                Text.assemble((f"{self._registry}: BROKEN 不符", "red"), f" — {first}"), soft_wrap=True
            )
            for divergence in others[: SHOWN_MAX - 1]:
                _out.print(Text(f"  then: {divergence}"), soft_wrap=True)
            self._tell_counts(more=len(others) >= SHOWN_MAX)
            _out.print(
                Text("  What to do 处置办法: docs/operating.md, “What to do about it”"), soft_wrap=True
            )
        if self.views is not None and not as_json:
            self._tell_digests(self.views)

    def _tell_digests(self, views: ViewReport) -> None:
        """What another auditor's report of as many entries says too."""
        for name, rows in views.rows.items():
            digests = views.digests.get(name)
            if digests is None:
                told = "no digest: not read to its end, or entries came in meanwhile; verify again"
            elif digests.stored == digests.folded:
                told = f"of {digests.entries} entries, sha256 {digests.stored}"
            else:
                told = f"of {digests.entries} entries, sha256 {digests.stored}; ledger says {digests.folded}"
            _out.print(Text(f"  {name}: {rows} row{'s' * (rows != 1)} {told}"), soft_wrap=True)

    def _tell_counts(self, *, more: bool) -> None:
        if more:
            _out.print("  and more")
        for name, count in (self.views.diverging if self.views else {}).items():
            _out.print(Text(f"  {name}: {count} row{'s' * (count > 1)} diverge{'s' * (count == 1)}"))
        if self.report is not None and self.report.ok and self.views is not None and not self.views.ok:
            _out.print("  The ledger itself is whole. With the server down: diya ledger rebuild")

    def _seen(self) -> str:
        report = self.report
        assert report is not None
        seen = (
            f"{report.entries} entries, {report.parts_opened} parts opened, {_erased(report)}"
            f"{report.checkpoints} checkpoints, "
            f"{report.published_size} entries under the last one"
        )
        if report.since:
            seen = f"from entry {report.since} on: {seen}; it extends the checkpoint that was kept"
        if self.evidence is not None:
            seen += f", {self.evidence.signatures} signatures and {self.evidence.files} files hold"
            if self.evidence.stamps:
                seen += f", {self.evidence.stamps} time stamps of checkpoints hold"
            if self.evidence.gone:
                seen += f" ({self.evidence.gone} entries without evidence)"
        if self.views is not None:
            seen += f", {sum(self.views.rows.values())} rows in {len(self.views.rows)} views compared"
        return seen

    def _as_json(self) -> dict[str, Any]:
        whole: dict[str, Any] = {"registry": self._registry}
        if self.report is not None:
            whole |= dataclasses.asdict(self.report)
        if self.evidence is not None:
            whole["evidence"] = dataclasses.asdict(self.evidence)
        if self.views is not None:
            whole["views"] = dataclasses.asdict(self.views)
        unread = [dataclasses.asdict(one) for one in self.unread]
        return whole | {"divergences": [*whole.get("divergences", ()), *unread], "ok": self.ok}


def _erased(report: Report) -> str:
    """What is gone by law, and by which entry."""
    some = [f"{parts} erased by entry {index}" for index, parts in sorted(report.erased.items())]
    more = [f"{len(some) - SHOWN_MAX} erasures more"] if len(some) > SHOWN_MAX else []
    return "".join(f"{one}, " for one in [*some[:SHOWN_MAX], *more])


@contextmanager
def bar(name: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on stderr."""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=_err,
    ) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def opened(config: Path, registry: str) -> tuple[Config, list[RegistryConfig], bytes, dict[str, NoteSigner]]:
    """The settings, the registries asked for, the key-encryption key, each registry's signer; or an exit with 2."""
    settings = load(config)
    known = [one.id for one in settings.registries]
    if registry and registry not in known:
        raise refused(f"no registry {registry} in {config}; it has {', '.join(known)}", outcomes.USAGE)
    try:
        check_database(settings)
        key, signers = check_ledger_keys(settings)
    except ConfigError as error:
        raise refused(f"{config}: {error}", outcomes.USAGE) from error
    chosen = [one for one in settings.registries if registry in ("", one.id)]
    return settings, chosen, key, signers


def load(path: Path) -> Config:
    """Read the settings, or say what is wrong with them and exit with 2."""
    try:
        return load_config(path)
    except ConfigError as error:
        raise refused(str(error), outcomes.USAGE) from error


def refused(message: str, status: int) -> typer.Exit:
    """Say why on stderr; the exit to raise."""
    _err.print(Text(message, style="red"), soft_wrap=True)
    return typer.Exit(status)
