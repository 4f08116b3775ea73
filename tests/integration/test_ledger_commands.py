"""`diya ledger verify`, `diya ledger rebuild` and `diya serve` on a database that is not as it should be."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from gateway.cli.app import build_app
from gateway.register.sample import SAMPLE
from gateway.storage import tables
from gateway.storage.engine import WriterLock, auditor_engine
from gateway.storage.later import ADDED
from gateway.storage.rebuild import digest_views
from tests.support.played import copied, database, opened
from tests.support.stage import REGISTRIES
from tests.support.tlog import read_log

VIEWS = [table.name for table in tables.VIEWS]


@pytest.fixture
def folder(played: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return copied(played, tmp_path)


def diya(folder: Path, *words: str) -> Result:
    """Run a command with the folder's settings."""
    # Rich tells less to a terminal that is narrow.
    runner = CliRunner(env={"COLUMNS": "200"})
    return runner.invoke(build_app(), [*words, "--config", str(folder / "diya.toml")])


def verified(folder: Path, *words: str) -> Result:
    """`diya ledger verify`."""
    return diya(folder, "ledger", "verify", *words)


def digests(folder: Path) -> dict[str, dict[str, tuple[int, str]]]:
    """Rows and digest of every view, of both registries."""
    engine = auditor_engine(f"sqlite:///{database(folder)}")
    with engine.begin() as connection:
        found = {registry: digest_views(connection, registry) for registry in REGISTRIES}
    engine.dispose()
    return found


def schema(folder: Path) -> set[tuple[Any, ...]]:
    """Tables and indexes."""
    with opened(folder) as connection:
        return set(connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall())


def run(folder: Path, *statements: str) -> None:
    """Change the database past the gateway."""
    with opened(folder) as connection:
        for statement in statements:
            connection.execute(statement)


# -- verify ------------------------------------------------------------------------------------------------------------


def test_whole_ledger_is_whole(folder: Path) -> None:
    """Both registries, their views too; the database is as it was."""
    before = database(folder).read_bytes()
    result = verified(folder)
    assert result.exit_code == 0, result.output
    for registry in REGISTRIES:
        assert f"{registry}: whole" in result.output
    assert f"rows in {len(VIEWS)} views compared" in result.output
    assert database(folder).read_bytes() == before


def test_two_auditors_can_compare_the_digest_of_each_view(folder: Path) -> None:
    """What verify prints of each view is what anybody finds in the tables, as text and as JSON."""
    text = verified(folder).output
    reports = [json.loads(line) for line in verified(folder, "--json").stdout.splitlines()]
    for report, (registry, found) in zip(reports, digests(folder).items(), strict=True):
        entries = report["entries"]
        assert report["registry"] == registry
        for name, (rows, digest) in found.items():
            told = {"entries": entries, "folded": digest, "stored": digest}
            assert report["views"]["digests"][name] == told
            assert f"  {name}: {rows} row{'s' * (rows != 1)} of {entries} entries, sha256 {digest}\n" in text


def test_unknown_registry_is_no_success(folder: Path) -> None:
    """A typing error: status 2, and which registries there are; with --json too."""
    for words in (("--registry", "nope"), ("--registry", "nope", "--json")):
        result = verified(folder, *words)
        assert result.exit_code == 2
        assert "no registry nope" in result.output
        assert "jiangyin, taizhou" in result.output


def test_changed_register_is_told_with_its_cure(folder: Path) -> None:
    """The views alone diverge: table, key, column, how many rows, and the command that makes them anew."""
    _, folded = digests(folder)["jiangyin"]["unit_right"]
    run(folder, "UPDATE unit_right SET live = 1 - live WHERE registry = 'jiangyin'")
    _, stored = digests(folder)["jiangyin"]["unit_right"]
    result = verified(folder, "--registry", "jiangyin")
    assert result.exit_code == 1
    assert "jiangyin: BROKEN 不符 — unit_right unit_code=" in result.output
    assert "column live is not what the entries say" in result.output
    assert "rows diverge" in result.output
    assert f"sha256 {stored}; ledger says {folded}\n" in result.output
    assert "diya ledger rebuild" in result.output
    assert verified(folder, "--registry", "jiangyin", "--no-views").exit_code == 0
    report = json.loads(verified(folder, "--registry", "jiangyin", "--json").stdout)
    assert report["ok"] is False
    assert report["divergences"] == []
    assert report["views"]["divergences"][0]["table"] == "unit_right"
    assert report["views"]["diverging"]["unit_right"] > 20


def _garbage(folder: Path) -> None:
    database(folder).write_bytes(b"garbage " * 1000)


def _half(folder: Path) -> None:
    whole = database(folder).read_bytes()
    database(folder).write_bytes(whole[: len(whole) // 2])


BREAKS: dict[str, tuple[Callable[[Path], None], str]] = {
    "head row gone": (lambda f: run(f, "DELETE FROM ledger_head"), "ledger_head -: its row is missing"),
    "parts gone": (lambda f: run(f, "DROP TABLE ledger_part"), "no such table: ledger_part"),
    "garbage": (_garbage, "not a database"),
    "half a file": (_half, "malformed"),
    "an entry": (
        lambda f: run(f, "UPDATE ledger_entry SET entry = x'00' WHERE entry_index = 3"),
        "jiangyin: BROKEN 不符 — ledger_entry 3: ",
    ),
    "effects": (
        lambda f: run(
            f, "UPDATE ledger_part SET sealed = zeroblob(99) WHERE entry_index = 3 AND name = 'effects'"
        ),
        "ledger_part 3 effects",
    ),
    "a view gone": (lambda f: run(f, "DROP TABLE counter"), "no such table: counter"),
}


@pytest.mark.parametrize("what", BREAKS)
def test_broken_database_is_broken_not_a_crash(folder: Path, what: str) -> None:
    """Status 1 and a line that says what; as JSON too."""
    breaks, told = BREAKS[what]
    breaks(folder)
    result = verified(folder, "--registry", "jiangyin")
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert "jiangyin: BROKEN" in result.output
    assert "docs/operating.md" in result.output
    assert told in result.output
    report = json.loads(verified(folder, "--registry", "jiangyin", "--json").stdout)
    assert report["registry"] == "jiangyin"
    assert report["ok"] is False


@pytest.mark.parametrize("command", [("ledger", "verify"), ("ledger", "rebuild"), ("serve",)])
def test_missing_database_is_not_made(folder: Path, command: tuple[str, ...]) -> None:
    """Status 2: the path is wrong."""
    database(folder).unlink()
    result = diya(folder, *command)
    assert result.exit_code == 2
    assert "no such database" in result.output
    assert not database(folder).exists()


@pytest.mark.parametrize("command", [("ledger", "verify"), ("serve",)])
def test_missing_key_is_named(folder: Path, command: tuple[str, ...]) -> None:
    """Status 2, the setting and the file."""
    (folder / "keys" / "kek").unlink()
    result = diya(folder, *command)
    assert result.exit_code == 2
    assert "storage.key_encryption_key" in result.output
    assert "No such file" in result.output


def test_serve_on_a_broken_ledger_says_what_to_run(folder: Path) -> None:
    """Status 1, the row, and the command with the settings' path, ready to be copied."""
    run(folder, "UPDATE ledger_entry SET entry = x'00' WHERE entry_index = 3")
    result = diya(folder, "serve")
    assert result.exit_code == 1
    assert "ledger_entry 3" in result.output
    command = f"diya ledger verify --registry jiangyin --config {folder / 'diya.toml'}"
    assert command in result.output.replace("\n", "")


# -- export ------------------------------------------------------------------------------------------------------------


def test_export_writes_each_registry_for_a_reader_of_another_make(folder: Path, tmp_path: Path) -> None:
    """A folder a registry, each proven whole by a second implementation under the key of the trust folder; twice."""
    before = database(folder).read_bytes()
    for _ in range(2):
        result = diya(folder, "ledger", "export", str(tmp_path / "out"))
        assert result.exit_code == 0, result.output
    assert database(folder).read_bytes() == before
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(REGISTRIES)
    for registry in REGISTRIES:
        exported = tmp_path / "out" / registry
        vkey = (folder / "trust" / f"{registry}.vkey").read_text().strip()
        assert (exported / "vkey").read_text().strip() == vkey
        origin = f"ledger.example.org/{registry}"
        size, root, _ = read_log(lambda name, at=exported: (at / name).read_bytes(), vkey, origin)
        told = diya(folder, "ledger", "export", str(tmp_path / "out"), "--registry", registry, "--json")
        assert json.loads(told.stdout) == {
            "registry": registry,
            "ok": True,
            "origin": origin,
            "size": size,
            "root": root.hex(),
        }


def test_export_says_nobodys_name(folder: Path, tmp_path: Path) -> None:
    """No unit, no name and no identity number of the register is in any file."""
    assert diya(folder, "ledger", "export", str(tmp_path / "out")).exit_code == 0
    with opened(folder) as connection:
        units = [row[0] for row in connection.execute("SELECT DISTINCT unit_code FROM unit_right")]
    assert len(units) > 10
    everything = b"".join(path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file())
    owners = [owner for flat in SAMPLE.free("jiangyin") for owner in flat.owners]
    assert owners
    for word in {*units, *(one.name for one in owners), *(one.id_number for one in owners)}:
        assert word.encode() not in everything


def test_export_of_what_does_not_hold_ends_with_1(folder: Path, tmp_path: Path) -> None:
    """One registry is refused with its reason, the other is written; a place that cannot be written is named."""
    run(folder, "UPDATE ledger_entry SET entry = x'00' WHERE entry_index = 3 AND registry = 'jiangyin'")
    result = diya(folder, "ledger", "export", str(tmp_path / "out"), "--json")
    assert result.exit_code == 1
    told = {row["registry"]: row for row in map(json.loads, result.stdout.splitlines())}
    assert (told["jiangyin"]["ok"], told["jiangyin"]["reason"]) == (False, "LEDGER_DAMAGED")
    assert told["taizhou"]["ok"] is True
    assert not (tmp_path / "out" / "jiangyin" / "checkpoint").exists()
    (tmp_path / "file").write_text("")
    result = diya(folder, "ledger", "export", str(tmp_path / "file"))
    assert (result.exit_code, str(tmp_path / "file") in result.output) == (1, True)
    assert diya(folder, "ledger", "export", str(tmp_path / "x"), "--registry", "nope").exit_code == 2


@pytest.mark.parametrize("table", ["ledger_part", "unit", "event"])
def test_rows_of_a_registry_that_nobody_keeps_are_told(folder: Path, table: str) -> None:
    """A row moved to another registry's name is missed where it was, and noticed where it is."""
    run(folder, f"UPDATE {table} SET registry = 'nowhere' WHERE rowid = (SELECT max(rowid) FROM {table})")
    result = verified(folder)
    assert result.exit_code == 1
    assert f"rows of nobody: {table} nowhere" in result.output


def kept(folder: Path) -> Path:
    """The newest checkpoint of jiangyin, as a whole verification leaves it."""
    note = folder / "jiangyin.note"
    result = verified(folder, "--registry", "jiangyin", "--no-views", "--keep", str(note))
    assert result.exit_code == 0, result.output
    return note


def test_daily_run_begins_with_the_checkpoint_that_was_kept(folder: Path) -> None:
    """Only its registry, only what came after, and the newest checkpoint is kept for the next day."""
    note = kept(folder)
    before = note.read_bytes()
    result = verified(folder, "--since", str(note), "--keep", str(note))
    assert result.exit_code == 0, result.output
    assert "jiangyin: whole 完整 — from entry" in result.output
    assert "it extends the checkpoint that was kept" in result.output
    assert "taizhou" not in result.output
    assert "compared" not in result.output
    assert note.read_bytes() == before
    with opened(folder) as connection:
        (older,) = connection.execute(
            "SELECT note FROM ledger_checkpoint WHERE registry = 'jiangyin' ORDER BY size LIMIT 1 OFFSET 3"
        ).fetchone()
    note.write_bytes(older)
    result = verified(folder, "--since", str(note), "--keep", str(note), "--json")
    report = json.loads(result.stdout)
    assert report["entries"] == report["size"] - report["since"] > 0
    assert report["evidence"]["entries"] == report["entries"]
    assert note.read_bytes() == before


def test_daily_run_finds_what_the_checkpoint_contradicts(folder: Path) -> None:
    """An entry before it changed; the file is not replaced."""
    note = kept(folder)
    size = int(note.read_text().splitlines()[1])
    before = note.read_bytes()
    run(
        folder,
        f"UPDATE ledger_entry SET entry = x'00' WHERE entry_index = {size - 1} AND registry = 'jiangyin'",
    )
    result = verified(folder, "--since", str(note), "--keep", str(note))
    assert result.exit_code == 1
    assert "does not begin with the checkpoint that was kept" in result.output
    assert note.read_bytes() == before


def test_since_what_is_no_checkpoint_of_ours_is_refused(folder: Path) -> None:
    """No file, another log's note, a signature that does not hold, --keep for two registries: status 2."""
    note = kept(folder)
    text = note.read_bytes()
    for content in (
        b"",
        text.replace(b"ledger.", b"ladger.", 1),
        text.replace(text.split(b"\n")[1], b"1", 1),
    ):
        note.write_bytes(content)
        assert verified(folder, "--since", str(note)).exit_code == 2
    note.unlink()
    assert verified(folder, "--since", str(note)).exit_code == 2
    assert verified(folder, "--keep", str(note)).exit_code == 2


# -- rebuild -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [(), ("--registry", "jiangyin")])
def test_rebuild_restores_every_view(folder: Path, words: tuple[str, ...]) -> None:
    """Whatever was changed, deleted or put in: each view comes out with its old digest."""
    before = digests(folder)
    with opened(folder) as connection:
        for table in tables.VIEWS:
            connection.execute(f"DELETE FROM \"{table.name}\" WHERE registry = 'jiangyin' AND rowid % 2 = 0")
        connection.execute("UPDATE unit_right SET live = 1 - live WHERE registry = 'jiangyin'")
        connection.execute("INSERT INTO counter (registry, name, value) VALUES ('jiangyin', 'forged', 7)")
    assert digests(folder)["jiangyin"] != before["jiangyin"]
    result = diya(folder, "ledger", "rebuild", *words)
    assert result.exit_code == 0, result.output
    assert "jiangyin: unit_right was wrong" in result.output
    assert "taizhou: unit" not in result.output
    assert digests(folder) == before
    assert verified(folder).exit_code == 0


def test_rebuild_of_whole_views_changes_nothing(folder: Path) -> None:
    """Dropped and folded anew, rows, columns and indexes are the same."""
    before, made = digests(folder), schema(folder)
    result = diya(folder, "ledger", "rebuild")
    assert result.exit_code == 0, result.output
    assert "was wrong" not in result.output
    assert digests(folder) == before
    assert schema(folder) == made


def test_rebuild_makes_tables_that_are_gone_or_of_an_older_version(folder: Path) -> None:
    """A view without a column, a view that is not there, an index that is gone."""
    before, made = digests(folder), schema(folder)
    run(
        folder,
        "DROP TABLE application",
        "DROP INDEX certificate_by_number",
        "ALTER TABLE event DROP COLUMN certificate",
    )
    result = diya(folder, "ledger", "rebuild")
    assert result.exit_code == 0, result.output
    assert digests(folder) == before
    assert schema(folder) == made


def test_rebuild_beside_a_server_is_refused(folder: Path) -> None:
    """While somebody holds the writer's lock nothing is touched."""
    run(folder, "DELETE FROM counter")
    lock = WriterLock(database(folder))
    lock.acquire()
    try:
        result = diya(folder, "ledger", "rebuild")
    finally:
        lock.release()
    assert result.exit_code == 1
    assert "already writes to this database" in result.output
    with closing(sqlite3.connect(database(folder))) as connection:
        assert connection.execute("SELECT count(*) FROM counter").fetchone() == (0,)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE ledger_entry SET entry = x'00' WHERE entry_index = 3 AND registry = 'taizhou'",
        "UPDATE ledger_part SET sealed = zeroblob(99) WHERE entry_index = 3 AND registry = 'taizhou'",
    ],
)
def test_rebuild_from_a_broken_ledger_is_refused(folder: Path, damage: str) -> None:
    """Nothing is folded from entries that do not hold; the views stay as they are, of both registries."""
    before = digests(folder)
    run(folder, damage)
    result = diya(folder, "ledger", "rebuild")
    assert result.exit_code == 1
    assert "taizhou: BROKEN" in result.output
    assert "nothing is rebuilt" in result.output
    assert digests(folder) == before


def test_rebuild_makes_the_record_of_erasures_anew(folder: Path) -> None:
    """A row of it that no entry knows of: the verification names it, the rebuild takes it away."""
    run(
        folder,
        "INSERT INTO ledger_erasure (registry, key_id, entry_index) VALUES ('jiangyin', 'registry', 3)",
    )
    result = verified(folder, "--registry", "jiangyin", "--no-views")
    assert result.exit_code == 1
    assert "ledger_erasure registry: no entry destroyed it" in result.output
    result = diya(folder, "ledger", "rebuild")
    assert result.exit_code == 0, result.output
    assert verified(folder).exit_code == 0


def test_rebuild_takes_cosignatures_away_that_do_not_hold(folder: Path) -> None:
    """The verification names the row and the way out."""
    run(
        folder,
        "INSERT INTO ledger_cosignature (registry, size, vkey, line) "
        "SELECT 'jiangyin', max(size), 'w', CAST('x' AS BLOB) FROM ledger_checkpoint WHERE registry = 'jiangyin'",
    )
    result = verified(folder, "--no-views", "--no-evidence")
    assert result.exit_code == 1
    assert "It is given to nobody; `diya ledger rebuild` takes it away" in result.output
    result = diya(folder, "ledger", "rebuild")
    assert result.exit_code == 0, result.output
    assert "jiangyin: 1 cosignatures that do not hold are gone" in result.output
    assert verified(folder, "--no-views", "--no-evidence").exit_code == 0


def test_database_that_no_start_of_this_version_has_seen(folder: Path, tmp_path: Path) -> None:
    """Tables that came later are missing: named, taken as empty, and the rest is looked at all the same.

    Where an entry says what such a table must hold, that is named as ever.
    """
    absent = [table.name for table in ADDED]
    run(folder, *(f"DROP TABLE {name}" for name in absent))
    made = schema(folder)
    result = verified(folder, "--registry", "taizhou", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["entries"] > 0
    assert f"taken as empty: {', '.join(absent)}. The next start of the gateway makes them" in result.stderr
    result = verified(folder)
    assert "jiangyin: BROKEN" in result.output
    assert "which it does not say (ERASURE_CHANGED)" in result.output
    assert "taizhou: whole" in result.output
    result = diya(folder, "ledger", "export", str(tmp_path / "out"))
    assert result.exit_code == 0, result.output
    assert schema(folder) == made
    assert diya(folder, "ledger", "rebuild").exit_code == 0
    assert verified(folder, "--no-evidence").exit_code == 0


def test_rebuild_is_all_or_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An effect that does not fold, in the second registry: the first one's views stand as before too."""
    from gateway.storage import rebuild

    before, made = digests(folder), schema(folder)
    grow = rebuild.Fold.grow

    def fails(fold: Any, source: Any, stop: int) -> None:
        grow(fold, source, stop)
        if fold._registry == "taizhou":
            raise rebuild.NotFolded(fold.size, "a defect")

    monkeypatch.setattr(rebuild.Fold, "grow", fails)
    result = diya(folder, "ledger", "rebuild")
    assert result.exit_code == 1
    assert "nothing was changed" in result.output
    assert digests(folder) == before
    assert schema(folder) == made
