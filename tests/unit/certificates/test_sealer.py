"""Sealing in worker processes: keys stay there, lost workers are replaced, nothing unsound comes out."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path

import pypdf
import pytest
from pypdf.generic import StreamObject

from gateway.certificates.content import encode_content
from gateway.certificates.seal import CertificateSealer, SealerError, SealingRefusedError
from gateway.certificates.seal_protocol import SealKey
from gateway.certificates.verify import verify_certificate
from signing.pki import KeyKind, make_key
from tests.support.certificates import VERIFICATION_URL, VKEYS, content, proof_for
from tests.support.pki import NOW, REGISTRY_USCC, sample_pki

DATA = encode_content(content())


def sealer(
    folder: Path, stem: str = "seal", *more: SealKey, **seals: tuple[SealKey, ...]
) -> CertificateSealer:
    """A sealer of registry r1 with the sample seal."""
    sample_pki().registry_seal.write(folder, "seal")
    key = SealKey(key=str(folder / f"{stem}.key.pem"), chain_path=str(folder / f"{stem}.pem"))
    return CertificateSealer(
        {"r1": (key, *more), **seals},
        trust=sample_pki().trust,
        vkeys=VKEYS,
        verification_url=VERIFICATION_URL,
    )


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[CertificateSealer]:
    """A started sealer."""
    async with sealer(tmp_path) as started:
        yield started


async def test_make_returns_a_sound_pdf_a_certificate(running: CertificateSealer) -> None:
    """What comes out verifies, embeds the very bytes that went in, and still declares PDF/A-3b."""
    pdf = await running.make(DATA, proof_for(DATA), at=NOW)
    verdict = verify_certificate(pdf, trust=sample_pki().trust, vkeys=VKEYS, at=NOW)
    assert verdict.sound
    reader = pypdf.PdfReader(io.BytesIO(pdf))
    assert list(reader.attachments["certificate.json"]) == [DATA]
    metadata = reader.root_object["/Metadata"].get_object()
    assert isinstance(metadata, StreamObject)
    assert b"<pdfaid:part>3</pdfaid:part>" in metadata.get_data()


async def test_make_at_once_serves_all(running: CertificateSealer) -> None:
    """More orders than workers wait for their turn."""
    orders = [encode_content(content(note=f"第{n}件")) for n in range(4)]
    made = await asyncio.gather(*[running.make(data, proof_for(data), at=NOW) for data in orders])
    for data, pdf in zip(orders, made, strict=True):
        attached = pypdf.PdfReader(io.BytesIO(pdf)).attachments["certificate.json"]
        assert list(attached) == [data]


async def test_make_refuses_what_its_own_verification_refuses(running: CertificateSealer) -> None:
    """A certificate whose proof is of other content is never handed out."""
    with pytest.raises(SealingRefusedError, match="COMMITMENT_DIFFERS") as refused:
        await running.make(DATA, proof_for(b"other"), at=NOW)
    assert refused.value.cause == "CERTIFICATE_SELF_CHECK"
    assert not refused.value.retryable


async def test_make_refuses_another_authoritys_content(running: CertificateSealer) -> None:
    """The seal of one authority is not put under the certificate of another."""
    other = encode_content(content(issuer_code="91999999MA00REGY25"))
    with pytest.raises(SealingRefusedError, match="ISSUER_NOT_SEALER"):
        await running.make(other, proof_for(other), at=NOW)


async def test_make_refuses_a_registry_without_a_seal(running: CertificateSealer) -> None:
    """An unknown registry is named, and the worker goes on."""
    other = encode_content(content(registry="r9"))
    with pytest.raises(SealingRefusedError, match="r9"):
        await running.make(other, proof_for(other), at=NOW)
    assert await running.make(DATA, proof_for(DATA), at=NOW)


async def test_make_after_a_worker_died_uses_another(running: CertificateSealer) -> None:
    """A lost worker costs time, not a certificate."""
    for worker in list(running._alive):
        worker.kill()
    assert await running.make(DATA, proof_for(DATA), at=NOW)


async def test_make_cancelled_half_way_does_not_confuse_the_next(running: CertificateSealer) -> None:
    """The answer to a cancelled order never reaches another caller."""
    first = encode_content(content(note="第一件"))
    task = asyncio.create_task(running.make(first, proof_for(first), at=NOW))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    pdf = await running.make(DATA, proof_for(DATA), at=NOW)
    assert list(pypdf.PdfReader(io.BytesIO(pdf)).attachments["certificate.json"]) == [DATA]


async def test_configure_takes_effect_with_the_next_order(tmp_path: Path) -> None:
    """A new registry's seal is used without a restart."""
    data = encode_content(content(registry="r2"))
    async with sealer(tmp_path) as running:
        key = SealKey(key=str(tmp_path / "seal.key.pem"), chain_path=str(tmp_path / "seal.pem"))
        running.configure(
            {"r2": (key,)}, trust=sample_pki().trust, vkeys=VKEYS, verification_url=VERIFICATION_URL
        )
        assert await running.make(data, proof_for(data), at=NOW)


async def test_start_with_a_missing_key_names_it(tmp_path: Path) -> None:
    """A wrong path is found at start, not with the first certificate."""
    with pytest.raises(SealingRefusedError, match=r"nowhere\.pem"):
        await sealer(tmp_path, stem="nowhere").start()


async def test_start_with_a_key_that_cannot_seal_says_so(tmp_path: Path) -> None:
    """PDF readers refuse Ed25519: such a seal is refused at start."""
    pki = sample_pki().pki
    credential = pki.issue_seal(REGISTRY_USCC, "测试", key=make_key(KeyKind.ED25519))
    credential.write(tmp_path, "edwards")
    with pytest.raises(SealingRefusedError, match="Ed25519"):
        await sealer(tmp_path, stem="edwards").start()


async def test_make_before_start_and_after_close_raises(tmp_path: Path) -> None:
    """A sealer that is not running says so instead of waiting for ever."""
    idle = sealer(tmp_path)
    with pytest.raises(SealerError, match="start"):
        await idle.make(DATA, proof_for(DATA), at=NOW)
    await idle.start()
    await idle.close()
    with pytest.raises(SealerError):
        await idle.make(DATA, proof_for(DATA), at=NOW)
