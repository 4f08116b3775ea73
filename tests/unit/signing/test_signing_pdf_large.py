"""Large files: the same verdict whether a file is read whole or as it is judged, in hardly more memory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from signing.checking import FileChecker
from signing.pdf import check_pdf, check_source
from signing.pdf_source import MAPPED_BYTES_MIN, source_of
from signing.seal import append_signature
from tests.support.pdf_files import attachment, make_pdf, stream
from tests.support.pki import NOW, sample_pki

MIB = 1024 * 1024


def scan(size_bytes: int, *, attached: bytes = b"") -> bytes:
    """A page with a scanned image of so many bytes, signed twice."""
    image = b"/Type/XObject/Subtype/Image/Width 1/Height 1/ColorSpace/DeviceGray/BitsPerComponent 8"
    catalog, objects = attachment(b"big.bin", attached) if attached else (b"", {})
    objects[20] = stream(os.urandom(size_bytes), image)
    data = make_pdf(page=b"/Thumb 20 0 R", catalog=catalog, objects=objects)
    for credential in (sample_pki().bank, sample_pki().buyer):
        data = append_signature(data, credential.signer(), reason="sign", at=NOW)
    return data


@pytest.mark.parametrize("change", ["good", "flipped", "trailing", "cut", "attached"])
def test_verdict_on_a_mapped_file_is_that_on_its_bytes(tmp_path: Path, change: str) -> None:
    """Signatures, digests, attachments, and what is wrong: nothing depends on how the file is read."""
    data = scan(MAPPED_BYTES_MIN, attached=os.urandom(MIB) if change == "attached" else b"")
    match change:
        case "flipped":
            at = data.index(b"stream\n", 1000) + 1000  # within the image
            data = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        case "trailing":
            data += bytes(100_000) + b"more"
        case "cut":
            data = data[: data.index(b"%%EOF")]
    path = tmp_path / "large.pdf"
    path.write_bytes(data)
    with path.open("rb") as file:
        found = check_source(source_of(file), sample_pki().trust, NOW)
    assert found == check_pdf(data, sample_pki().trust, NOW)
    assert found.ok is (change in ("good", "attached")), found.problems
    assert len(found.signatures) == (2 if found.ok else 0)


async def test_file_over_twenty_mib_is_judged_in_little_memory(tmp_path: Path) -> None:
    """A service that lets larger files in has them judged, and its checking process does not grow by their size."""
    path = tmp_path / "large.pdf"
    path.write_bytes(scan(64 * MIB))
    async with FileChecker(sample_pki().trust, now=lambda: NOW, workers=1) as checker:
        verdict = await checker.check(path)
        (worker,) = checker._alive
        status = Path(f"/proc/{worker._process.pid}/status").read_text()
    assert verdict.ok, verdict.problems
    assert len(verdict.signatures) == 2
    peak = 1024 * int(next(row.split()[1] for row in status.splitlines() if row.startswith("VmHWM")))
    assert peak < 128 * MIB, f"{peak / MIB:.0f} MiB"
