"""Each release's ledger is read, verified and folded by every later version: to the same views, with what they added.

A file under tests/vectors/golden is never changed or removed; a release adds its own (see tests/support/golden.py).
"""

from __future__ import annotations

import lzma
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from gateway.app import create_tables
from gateway.audit.evidence import audit_evidence
from gateway.storage.engine import writer_engine
from gateway.storage.rebuild import rebuild_views
from ledger.checkpoint import open_checkpoint
from ledger.store import Ledger
from ledger.verify import verify_ledger
from tests.support.golden import FOLDER, read_golden, restore, said_then, views_of

FILES = sorted(FOLDER.glob("*.json.xz"))


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An empty database."""
    made = writer_engine(f"sqlite:///{tmp_path / 'golden.db'}")
    create_tables(made)
    yield made
    made.dispose()


def test_there_is_a_golden_ledger() -> None:
    """Of the first release on, both registries of its demo."""
    assert {"0.1.0-jiangyin.json.xz", "0.1.0-taizhou.json.xz"} <= {path.name for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name.partition(".json")[0])
def test_golden_ledger_holds_and_gives_the_views_that_it_gave(
    engine: Engine, path: Path, tmp_path: Path
) -> None:
    """Chain, tree, checkpoints, commitments and signatures hold; whatever its views said, they still say."""
    golden = read_golden(path)
    registry = golden["registry"]
    with engine.begin() as connection:
        ledger = Ledger(restore(connection, golden))
        rebuild_views(connection, ledger, [registry], lambda _done, _all: None)
        views = views_of(connection, registry)
        report = verify_ledger(connection, registry, golden["vkey"], vault=ledger.vault)
    assert report.divergences == ()
    assert report.parts_opened == len(golden["parts"])
    assert report.checkpoints == len(golden["notes"])
    for name, rows in golden["views"].items():
        assert len(views[name]) == len(rows), name
        for old, new in zip(rows, views[name], strict=True):
            assert said_then(old, new), (name, [key for key in old if not said_then(old[key], new.get(key))])
    evidence = audit_evidence(engine, ledger, registry, tmp_path, lambda _done, _all: None)
    assert {d.reason for d in evidence.divergences} <= {
        "FILE_MISSING"
    }  # a golden ledger comes without its files
    assert evidence.signatures >= 10


def test_difference_in_a_view_is_no_addition() -> None:
    """What the comparison lets pass, and what it does not."""
    old = {"a": 1, "b": {"c": [1, {"d": None}]}}
    assert said_then(old, {"a": 1, "b": {"c": [1, {"d": None, "more": 2}]}, "new": 3})
    for new in (
        {"a": 2, "b": {"c": [1, {"d": None}]}},
        {"b": {"c": [1, {"d": None}]}},
        {"a": 1, "b": {"c": [1, {"d": None}, 2]}},
        {"a": 1, "b": {"c": [1, {}]}},
        {"a": 1, "b": None},
    ):
        assert not said_then(old, new)


@pytest.mark.parametrize("what", ["entries", "notes", "parts"])
def test_spoiled_golden_ledger_does_not_pass(engine: Engine, what: str) -> None:
    """A changed letter in an entry, a note or a part's content is found."""
    golden = read_golden(FILES[0])
    if what == "entries":
        golden["entries"][3] = golden["entries"][3].replace("\n3\n", "\n4\n", 1)
    elif what == "notes":
        golden["notes"] = golden["notes"][:-1]
        last = open_checkpoint(golden["notes"][-1].encode(), golden["vkey"])
        golden["notes"][-1] = golden["notes"][-1].replace(f"\n{last.size}\n", f"\n{last.size + 1}\n", 1)
    else:
        golden["parts"][7][4] = golden["parts"][7][4] + " " if isinstance(golden["parts"][7][4], str) else "x"
    with engine.begin() as connection:
        if what == "notes":
            with pytest.raises(Exception, match="signature"):
                restore(connection, golden)
            return
        vault = restore(connection, golden)
        assert not verify_ledger(connection, golden["registry"], golden["vkey"], vault=vault).ok


def test_golden_file_is_small() -> None:
    """Each stays what a repository carries for ever."""
    for path in FILES:
        assert path.stat().st_size < 200_000, path.name
        assert lzma.decompress(path.read_bytes()).startswith(b"{")
