"""Proof files for anyone's tools: written bit for bit as c2sp.org/tlog-proof@v1 says, checked strictly."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from gateway.cli.app import build_app
from gateway.client.errors import InputError, ProofFileInvalid
from gateway.client.proof_file import check_proof, save_proof
from gateway.client.receipt_file import KeptAct, write_act
from gateway.client.session import Answer
from gateway.client.trust import LedgerTrust
from gateway.pb.diya.v1 import outcome_pb2
from ledger.checkpoint import sign_checkpoint
from ledger.tree import inclusion_proof
from tests.support import tlog
from tests.unit.client.sample_case import signed
from tests.unit.client.sample_ledger import ORIGIN, REGISTRY, SampleLedger

runner = CliRunner(env={"COLUMNS": "200"})
INDEX, SIZE = 2, 5


@pytest.fixture
def ledger() -> SampleLedger:
    """Five entries; the third is an act's."""
    made = SampleLedger()
    made.fill(2)
    made.append_act(signed(), outcome_pb2.Outcome(result=outcome_pb2.OUTCOME_RESULT_BOOKED))
    made.fill(2)
    return made


def saved(ledger: SampleLedger, path: Path, index: int = INDEX, entry: int = INDEX) -> Path:
    """A proof file under a checkpoint over everything."""
    note = sign_checkpoint(ledger.checkpoint(), ledger.signer)
    save_proof(path, ledger.entries[entry], index, inclusion_proof(index, SIZE, ledger), note)
    return path


def trust_folder(ledger: SampleLedger, folder: Path) -> Path:
    """What a bank trusts."""
    folder.mkdir()
    (folder / f"{REGISTRY}.vkey").write_text(ledger.signer.vkey)
    return folder


def read_plainly(data: bytes, vkey: str) -> tuple[bytes, int]:
    """The specification, line by line, sharing nothing with us: the entry and its index, once they are proven."""
    head, _, checkpoint = data.partition(b"\n\n")
    version, extra, index_line, *path = head.decode().split("\n")
    assert version == "c2sp.org/tlog-proof@v1"
    assert extra.startswith("extra ")
    assert index_line.startswith("index ")
    entry, index = b64decode(extra[6:], validate=True), int(index_line[6:])
    _, size, root = tlog.open_note(checkpoint, vkey)
    hashes = [b64decode(line, validate=True) for line in path]
    assert tlog.is_included(index, int(size), tlog.leaf(entry), hashes, b64decode(root))
    return entry, index


def test_written_file_is_read_by_a_plain_reader(ledger: SampleLedger, tmp_path: Path) -> None:
    """Every entry, also the last one, whose path is shorter; and by ourselves."""
    for index in range(SIZE):
        path = saved(ledger, tmp_path / f"{index}.tlog-proof", index, index)
        assert read_plainly(path.read_bytes(), ledger.signer.vkey) == (ledger.entries[index], index)
        found = check_proof(path, ledger.trust)
        assert (found.data, found.entry.index, found.checkpoint) == (
            ledger.entries[index],
            index,
            ledger.checkpoint(),
        )


def test_entry_may_travel_beside_the_file(ledger: SampleLedger, tmp_path: Path) -> None:
    """A file without the line `extra`, as other tools write it."""
    path, beside = saved(ledger, tmp_path / "x.tlog-proof"), tmp_path / "x.entry"
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join(lines[:1] + lines[2:]))
    beside.write_bytes(ledger.entries[INDEX])
    assert check_proof(path, ledger.trust, beside).entry.index == INDEX
    with pytest.raises(InputError, match="--entry"):
        check_proof(path, ledger.trust)
    beside.write_bytes(ledger.entries[1])
    with pytest.raises(ProofFileInvalid, match="the entry's own is 1"):
        check_proof(path, ledger.trust, beside)


def _entry(data: bytes, change: Callable[[bytes], bytes]) -> bytes:
    lines = data.split(b"\n")
    lines[1] = b"extra " + b64encode(change(b64decode(lines[1][6:])))
    return b"\n".join(lines)


BAD: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda d: b"", "PROOF_FILE_INVALID"),
    "another version": (lambda d: d.replace(b"@v1", b"@v2"), "PROOF_FILE_INVALID"),
    "an index with a zero before it": (lambda d: d.replace(b"index 2", b"index 02"), "PROOF_FILE_INVALID"),
    "another index": (lambda d: d.replace(b"index 2", b"index 3"), "PROOF_FILE_INVALID"),
    "an index that no log has": (
        lambda d: d.replace(b"index 2", b"index 99999999999999999999"),
        "PROOF_FILE_INVALID",
    ),
    "no checkpoint": (lambda d: d.partition(b"\n\n")[0], "PROOF_FILE_INVALID"),
    "a note without signatures": (lambda d: d[: d.rindex(b"\xe2\x80\x94")], "CHECKPOINT_INVALID"),
    "a note that is cut short": (lambda d: d[:-9], "CHECKPOINT_INVALID"),
    "another size": (
        lambda d: d.replace(f"{ORIGIN}\n5\n".encode(), f"{ORIGIN}\n6\n".encode()),
        "CHECKPOINT_INVALID",
    ),
    "a note of another log": (
        lambda d: d.replace(f"\n\n{ORIGIN}\n".encode(), b"\n\nother.example/log\n"),
        "ORIGIN_MISMATCH",
    ),
    "a hash too few": (lambda d: b"\n".join(d.split(b"\n")[:3] + d.split(b"\n")[4:]), "PROOF_INVALID"),
    "bytes that are no entry": (lambda d: _entry(d, lambda e: e + b"x"), "ENTRY_INVALID"),
    "an entry that is too large": (
        lambda d: _entry(d, lambda e: e + bytes(65_536 - len(e))),
        "ENTRY_TOO_LARGE",
    ),
    "another entry": (lambda d: _entry(d, lambda e: e.replace(b"submitted", b"withdrawn")), "PROOF_INVALID"),
    "an entry of another log": (
        lambda d: _entry(d, lambda e: e.replace(ORIGIN.encode(), b"other.example/log")),
        "ORIGIN_MISMATCH",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_file_that_does_not_hold_says_why(ledger: SampleLedger, tmp_path: Path, what: str) -> None:
    """Each with the ledger's own reason, in both languages."""
    change, reason = BAD[what]
    path = saved(ledger, tmp_path / "x.tlog-proof")
    changed = change(path.read_bytes())
    assert changed != path.read_bytes()
    path.write_bytes(changed)
    with pytest.raises(ProofFileInvalid) as caught:
        check_proof(path, ledger.trust)
    assert caught.value.reason == reason, caught.value
    assert caught.value.zh != caught.value.en


def test_another_logs_proof_is_told(ledger: SampleLedger, tmp_path: Path) -> None:
    """A good file of a log that nobody trusts, and one under another key of the same name."""
    path = saved(ledger, tmp_path / "x.tlog-proof")
    other = SampleLedger(origin="other.example/log", seed=9)
    with pytest.raises(ProofFileInvalid, match=r"not of other\.example/log") as caught:
        check_proof(path, other.trust)
    assert caught.value.reason == "ORIGIN_MISMATCH"
    same_name = SampleLedger(seed=9)
    with pytest.raises(ProofFileInvalid) as caught:
        check_proof(path, same_name.trust)
    assert caught.value.reason == "CHECKPOINT_INVALID"
    replaced = LedgerTrust({REGISTRY: [same_name.signer.vkey, ledger.signer.vkey], "x": [other.signer.vkey]})
    assert check_proof(path, replaced).entry.index == INDEX


def test_commands_write_and_check(ledger: SampleLedger, tmp_path: Path) -> None:
    """`receipt proof` on a kept act, `ledger check` on what it wrote; another key: 1."""
    app: typer.Typer = build_app()
    envelope = signed()
    outcome = outcome_pb2.Outcome(result=outcome_pb2.OUTCOME_RESULT_BOOKED)
    outcome.receipt.CopyFrom(ledger.receipt(INDEX))
    act = tmp_path / "act.json"
    write_act(act, KeptAct.of_answer(Answer(envelope, outcome, None)))
    trust = ["--trust", str(trust_folder(ledger, tmp_path / "trust"))]
    written = runner.invoke(app, ["receipt", "proof", str(act), *trust, "--json"])
    assert written.exit_code == 0, written.output
    path = tmp_path / "act.tlog-proof"
    assert json.loads(written.stdout) == {
        "file": str(path),
        "origin": ORIGIN,
        "index": INDEX,
        "checkpointSize": SIZE,
    }
    assert read_plainly(path.read_bytes(), ledger.signer.vkey) == (ledger.entries[INDEX], INDEX)
    checked = runner.invoke(app, ["ledger", "check", str(path), *trust])
    assert (checked.exit_code, "in the signed checkpoint of 5 entries" in checked.output) == (0, True)
    (tmp_path / "trust" / f"{REGISTRY}.vkey").write_text(SampleLedger(seed=9).signer.vkey)
    refused = runner.invoke(app, ["ledger", "check", str(path), *trust, "--json"])
    assert (refused.exit_code, json.loads(refused.stdout)["error"]["reason"]) == (1, "CHECKPOINT_INVALID")
    path.unlink()
    assert runner.invoke(app, ["receipt", "proof", str(act), *trust]).exit_code == 1
    assert not path.exists()
    assert runner.invoke(app, ["ledger", "check", str(path), *trust]).exit_code == 2
