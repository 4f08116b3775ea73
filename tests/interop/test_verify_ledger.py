"""docs/verify_ledger.py, which shares no code with us, on real exports and receipts, and on spoiled ones."""

from __future__ import annotations

import ast
import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.client.receipt_file import KeptAct, write_act
from ledger.export import export_ledger
from tests.support.ledger_database import REGISTRY, TestLedger
from tests.support.stage import Town

SCRIPT = Path(__file__).parents[2] / "docs" / "verify_ledger.py"
LINES_MAX = 250


def load() -> Any:
    spec = importlib.util.spec_from_file_location("verify_ledger", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


run: Callable[[list[str]], int] = load().main


def exported(ledger: TestLedger, folder: Path) -> Path:
    with ledger.engine.connect() as conn:
        export_ledger(conn, REGISTRY, ledger.vkey, folder)
    return folder


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, Path]:
    """A log with two full tiles: its key, its export, and its first checkpoint."""
    folder = tmp_path_factory.mktemp("log")
    ledger = TestLedger(folder / "ledger.db")
    ledger.append(5)
    (folder / "old").write_bytes(ledger.publish().note)
    ledger.append(595)
    ledger.publish()
    return ledger.vkey, exported(ledger, folder / "export"), folder / "old"


@pytest.fixture
def export(original: tuple[str, Path, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(original[1], tmp_path / "export"))


def test_script_is_one_short_file_that_knows_nothing_of_us() -> None:
    """Standard library and cryptography, at most 250 lines."""
    text = SCRIPT.read_text(encoding="utf-8")
    nodes = list(ast.walk(ast.parse(text)))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= {*sys.stdlib_module_names, "cryptography"}
    assert len(text.splitlines()) <= LINES_MAX


def test_script_runs_by_itself_on_an_export(original: tuple[str, Path, Path], tmp_path: Path) -> None:
    """As a program, away from the project, with an older checkpoint; a wrong call is no success."""
    vkey, folder, old = original
    script = shutil.copy(SCRIPT, tmp_path)
    done = subprocess.run(
        [sys.executable, "-I", script, vkey, "export", folder, old],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "whole. 600 entries" in done.stdout
    assert "1 older checkpoints hold" in done.stdout
    assert run([vkey, "import", str(folder)]) == 2


def test_path_that_is_none_is_said_plainly(
    original: tuple[str, Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """A reader who mistyped is told which path, in words."""
    vkey, folder, _ = original
    for call in (["nowhere.vkey", "export", str(folder)], [vkey, "export", "nowhere"]):
        assert run(call) == 1
        said = capsys.readouterr().err
        assert "nowhere" in said
        assert "Error(" not in said


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257])
def test_exports_of_every_shape_are_whole(tmp_path: Path, size: int) -> None:
    """Without a full tile, with one exactly, with one and an entry."""
    ledger = TestLedger(tmp_path / "ledger.db")
    ledger.append(size)
    ledger.publish()
    assert run([ledger.vkey, "export", str(exported(ledger, tmp_path / "export"))]) == 0


def test_every_file_of_an_export_counts(original: tuple[str, Path, Path], export: Path) -> None:
    """A byte changed at either end or in the middle, a file cut short, grown or gone: each is refused."""
    vkey = original[0]
    paths = [path for path in export.rglob("*") if path.is_file() and path.name != "vkey"]
    assert len(paths) == 3 + 3 + 1 + 1  # bundles, tiles of level 0, the one of level 1, the checkpoint
    for path in paths:
        whole = path.read_bytes()
        spoiled = [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in (0, len(whole) // 2)]
        for data in [*spoiled, whole[:-1], whole + b"x", b"", None]:
            path.unlink() if data is None else path.write_bytes(data)
            assert run([vkey, "export", str(export)]) == 1, (path, data and len(data))
            path.write_bytes(whole)
    assert run([vkey, "export", str(export)]) == 0


def test_entry_of_an_export_is_named(
    original: tuple[str, Path, Path], export: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where an entry's bytes were changed, the program says which."""
    bundle = export / "tile" / "entries" / "001"
    data = bytearray(bundle.read_bytes())
    length = int.from_bytes(data[:2], "big")
    data[2 + length + 2 + 30] ^= 1  # in the second entry's second line
    bundle.write_bytes(data)
    assert run([original[0], "export", str(export)]) == 1
    assert "entry 257" in capsys.readouterr().err


def test_other_keys_and_forks_are_refused(
    original: tuple[str, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another key; a ledger rewritten and signed by its own key shows in an older checkpoint and in nothing else."""
    vkey, folder, old = original
    other = TestLedger(tmp_path / "ledger.db")
    other.count = 1000
    other.append(600)
    other.publish()
    forged = exported(other, tmp_path / "export")
    assert other.vkey == vkey
    assert run([vkey, "export", str(forged)]) == 0
    assert run([vkey, "export", str(forged), str(old)]) == 1
    assert "old checkpoint of 5: is not how this ledger begins: a fork" in capsys.readouterr().err
    assert run([vkey, "export", str(forged), str(folder / "checkpoint")]) == 1
    assert run([vkey, "export", str(exported(other, tmp_path / "second")), str(old)]) == 1
    shutil.copy(folder / "checkpoint", forged / "checkpoint")  # entries and tiles agree with each other alone
    capsys.readouterr()
    assert run([vkey, "export", str(forged)]) == 1
    assert "its root is not that of these entries" in capsys.readouterr().err
    name, _, key = vkey.split("+", 2)
    assert run([f"{name}+00000000+{key}", "export", str(folder)]) == 1
    assert run(["nothing", "export", str(folder)]) == 1


def test_older_export_than_the_checkpoint_kept_is_refused(tmp_path: Path) -> None:
    """A ledger that was put back to an older state: whoever kept a newer checkpoint sees it."""
    ledger = TestLedger(tmp_path / "ledger.db")
    ledger.append(3)
    ledger.publish()
    folder = exported(ledger, tmp_path / "export")
    ledger.append(1)
    (tmp_path / "newer").write_bytes(ledger.publish().note)
    assert run([ledger.vkey, "export", str(folder), str(tmp_path / "newer")]) == 1


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths to every string of a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [leaf for key, one in items for leaf in leaves(one, (*path, key))]
    return found or ([path] if isinstance(value, str) else [])


@pytest.mark.asyncio(loop_scope="session")
async def test_real_receipt_and_every_string_of_it(town: Town, tmp_path: Path) -> None:
    """The receipt of a booking holds; whatever is changed in what it proves, it does not."""
    filing, answer = await town.booked()
    act = KeptAct.of_answer(answer)
    path = tmp_path / "act.json"
    write_act(path, act)
    vkey = str(Path(town.folder) / "trust" / "jiangyin.vkey")
    assert run([vkey, "receipt", str(path)]) == 0
    other = str(Path(town.folder) / "trust" / "taizhou.vkey")
    assert run([other, "receipt", str(path)]) == 1
    whole = json.loads(path.read_text(encoding="utf-8"))
    proving = [leaf for leaf in leaves(whole) if leaf[0] in {"receipt", "schema"} and leaf[-1] != "registry"]
    proving += [("envelope", "payload"), ("envelope", "payloadType"), ("outcome", "result")]
    proving += [("outcome", "application")]
    assert len(proving) > 10
    for leaf in proving:
        spoiled = json.loads(json.dumps(whole))
        place = spoiled
        for key in leaf[:-1]:
            place = place[key]
        text = place[leaf[-1]]
        middle = len(text) // 2
        place[leaf[-1]] = text[:middle] + ("A" if text[middle] != "A" else "B") + text[middle + 1 :]
        path.write_text(json.dumps(spoiled), encoding="utf-8")
        assert run([vkey, "receipt", str(path)]) == 1, leaf
    for gone in ("receipt", "envelope"):
        path.write_text(json.dumps(whole | {gone: None}), encoding="utf-8")
        assert run([vkey, "receipt", str(path)]) == 1
