"""docs/ledger-format.md says what the code does: its worked example is the golden vectors."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from ledger.entry import ENTRY_BYTES_MAX, ENTRY_VERSION
from ledger.store import PART_BYTES_MAX
from ledger.tables import metadata
from tests.support.tlog import names_of

ROOT = Path(__file__).parents[3]
DOCUMENT = (ROOT / "docs" / "ledger-format.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"^```text (\S+)\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL))


def load(name: str) -> dict[str, Any]:
    path = ROOT / "tests" / "vectors" / "ledger" / name
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def expected_blocks() -> dict[str, str]:
    entries = load("entries.json")["entries"]
    checkpoint, sealing = load("checkpoint.json"), load("sealing.json")
    return {
        "entry-0": entries[0]["entry"],
        "entry-1": entries[1]["entry"],
        "roots": "\n".join(checkpoint["roots"]) + "\n",
        "proof": "\n".join(checkpoint["proof"]) + "\n",
        "note": checkpoint["note"],
        "vkey": checkpoint["vkey"] + "\n",
        "proof-file": checkpoint["proof_file"],
        "resources": "\n".join(["checkpoint", *sorted(names_of(len(entries)))]) + "\n",
        "tile": "".join(f"{entry['entry_hash']}\n" for entry in entries),
        "bundle-start": f"{len(entries[0]['entry'].encode()):04x}\n",
        "frontier": checkpoint["frontier"] + "\n",
        "wrapped": sealing["wrapped"] + "\n",
        "sealed": sealing["sealed"] + "\n",
    }


@pytest.mark.parametrize("name", sorted(expected_blocks()))
def test_document_example_equals_vectors(name: str) -> None:
    """Each block of the worked example is the golden vector, byte for byte."""
    assert BLOCKS[name] == expected_blocks()[name]


def test_document_has_no_other_examples_and_names_the_numbers() -> None:
    """No block goes unchecked, and hashes, salts, keys and limits in the text are the real ones."""
    assert set(BLOCKS) == set(expected_blocks())
    entries, sealing = load("entries.json")["entries"], load("sealing.json")
    part = entries[1]["parts"][0]
    commitment = load_commitment(entries[1]["entry"], part["name"])
    values = [entries[0]["entry_hash"], entries[1]["entry_hash"], part["salt"], commitment.hex()]
    for value in [*values, sealing["kek"], sealing["nonce"], sealing["key"], ENTRY_VERSION]:
        assert value in DOCUMENT
    for limit in (ENTRY_BYTES_MAX, PART_BYTES_MAX):
        assert f"{limit:,}" in DOCUMENT


def test_document_example_is_checked_by_the_program_beside_it(tmp_path: Path) -> None:
    """The example's vectors, laid out as the document says, are an export that docs/verify_ledger.py takes."""
    entries = [entry["entry"].encode() for entry in load("entries.json")["entries"]]
    bundle = b"".join(len(data).to_bytes(2, "big") + data for data in entries)
    assert bundle.hex().startswith(BLOCKS["bundle-start"].strip())
    files = {
        "checkpoint": BLOCKS["note"].encode(),
        "tile/0/000.p/5": bytes.fromhex(BLOCKS["tile"]),
        "tile/entries/000.p/5": bundle,
    }
    for name, data in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    program = [sys.executable, ROOT / "docs" / "verify_ledger.py", BLOCKS["vkey"].strip(), "export", tmp_path]
    assert subprocess.run(program, check=False).returncode == 0
    (tmp_path / "tile/0/000.p/5").write_bytes(bytes(160))
    assert subprocess.run(program, check=False, capture_output=True).returncode == 1


def test_document_tables_equal_schema() -> None:
    """Every table and column of the schema is in the document's table."""
    for table in metadata.sorted_tables:
        (line,) = (line for line in DOCUMENT.splitlines() if line.startswith(f"| `{table.name}` |"))
        for column in table.columns:
            assert column.name == "registry" or f"`{column.name}`" in line, (table.name, column.name)


def load_commitment(entry: str, name: str) -> bytes:
    """Return the commitment in the line of part `name`."""
    (line,) = (line for line in entry.splitlines() if line.startswith(f"{name} "))
    return b64decode(line.partition(" ")[2])
