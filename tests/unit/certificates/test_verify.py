"""Verification of an untouched certificate, and the verdict's shape."""

from __future__ import annotations

import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.certificates.content import encode_content
from gateway.certificates.verdict import QUESTIONS, CertificateVerdict, Result, Step
from gateway.certificates.verify import CERTIFICATE_BYTES_MAX, verify_certificate
from gateway.register.authority import SealTerm
from signing.pki import KeyKind, make_key
from signing.seal import seal_pdf
from tests.support.certificates import VKEYS, content, seal, sealed, unsealed
from tests.support.pki import NOW, REGISTRY_USCC, sample_pki, timestamper


def verify(pdf: bytes) -> CertificateVerdict:
    """Judge by the sample PKI and the sample log's key."""
    return verify_certificate(pdf, trust=sample_pki().trust, vkeys=VKEYS, at=NOW)


def test_untouched_certificate_is_sound() -> None:
    """All ten offline checks hold for what the authority issued."""
    verdict = verify(sealed())
    assert verdict.sound
    assert verdict.failed == ()
    assert verdict.content == content()
    assert verdict.sealed_by == "测试市不动产登记中心"
    assert verdict.sealed_at == NOW
    assert verdict.test


def test_live_status_is_never_decided_offline() -> None:
    """A cancelled certificate still verifies: the verdict says that the authority must be asked."""
    check = verify(sealed()).of(Step.LIVE_STATUS)
    assert check.result is Result.NOT_MADE
    assert check.code == "ASK_THE_AUTHORITY"
    assert check.why_zh
    assert check.why_en


@pytest.mark.parametrize(
    ("state", "result"),
    [("SEALED", Result.HOLDS), ("CANCELLED", Result.FAILS), ("SUPERSEDED", Result.FAILS)],
)
def test_live_status_is_what_the_authority_answers(state: str, result: Result) -> None:
    """Asked, check 11 is made: it holds for what lives, and says in both languages what the certificate is instead."""
    verdict = verify(sealed()).answered(state)
    check = verdict.of(Step.LIVE_STATUS)
    assert (check.result, check.code == "") == (result, result is Result.HOLDS)
    assert verdict.sound
    assert [one.step for one in verdict.failed] == ([] if result is Result.HOLDS else [Step.LIVE_STATUS])
    assert (state in check.why_zh, state in check.why_en) == (verdict.failed != (), verdict.failed != ())


def test_checks_are_numbered_and_bilingual() -> None:
    """Every check has its number, its name and its question in both languages."""
    checks = verify(sealed()).checks
    steps = [step for step in Step if step is not Step.WITNESSES]  # that one only under a policy
    assert [check.number for check in checks] == list(range(1, len(steps) + 1))
    assert [check.step for check in checks] == steps
    assert all((check.zh, check.en) == QUESTIONS[check.step] for check in checks)


@pytest.mark.parametrize("data", [b"", b"%PDF-1.7\n", b"not a pdf", b"%PDF-1.7\n%%EOF\n"])
def test_what_is_no_pdf_fails_the_first_check_and_raises_nothing(data: bytes) -> None:
    """Bad input is a finding; no later check claims to hold."""
    verdict = verify(data)
    assert not verdict.sound
    assert verdict.of(Step.FILE).result is Result.FAILS
    assert {check.result for check in verdict.checks[1:]} == {Result.NOT_MADE}


def test_file_over_the_limit_is_not_read() -> None:
    """A file larger than any certificate fails by its size."""
    verdict = verify(sealed() + bytes(CERTIFICATE_BYTES_MAX))
    assert verdict.of(Step.FILE).code == "FILE_TOO_LARGE"


def test_unsealed_certificate_fails_the_seal() -> None:
    """A rendering without a seal proves nothing, whatever its data say."""
    verdict = verify(unsealed())
    assert [check.step for check in verdict.failed] == [Step.SEAL]
    assert verdict.of(Step.SEAL).code == "SEAL_COUNT"
    assert verdict.of(Step.SEAL_CHAIN).result is Result.NOT_MADE
    assert verdict.of(Step.ISSUER).result is Result.NOT_MADE


def test_expired_seal_certificate_fails_the_chain() -> None:
    """A seal without a time stamp is judged at the time of verification."""
    verdict = verify_certificate(
        sealed(), trust=sample_pki().pki.trust_store(), vkeys=VKEYS, at=NOW + timedelta(days=4000)
    )
    assert verdict.of(Step.SEAL_CHAIN).code == "CERTIFICATE_EXPIRED"
    assert verdict.of(Step.SEAL).result is Result.NOT_MADE


def test_revoked_seal_certificate_fails_the_chain() -> None:
    """A seal whose certificate was revoked before is no seal."""
    pki = sample_pki()
    trust = pki.trust_revoking(pki.registry_seal, since=NOW - timedelta(minutes=1))
    verdict = verify_certificate(sealed(), trust=trust, vkeys=VKEYS, at=NOW)
    assert verdict.of(Step.SEAL_CHAIN).code == "CERTIFICATE_REVOKED"


def judged(pdf: bytes, **term: Any) -> str:
    """The code of the seal's chain where its key has this time; empty where it holds."""
    key_id = sample_pki().registry_seal.certificate.key_id
    seals = {key_id: SealTerm(key_id=key_id, **term)}
    verdict = verify_certificate(pdf, trust=sample_pki().trust, vkeys=VKEYS, at=NOW, seals=seals)
    return verdict.of(Step.SEAL_CHAIN).code


def test_seal_is_judged_by_the_time_of_its_key() -> None:
    """Made in it, it holds for ever; made after it, never; a minute is for what was in hand."""
    minute = timedelta(minutes=1)
    assert judged(sealed()) == ""
    assert judged(sealed(), retired_at=NOW + minute) == ""
    assert judged(sealed(), retired_at=NOW - minute) == ""
    assert judged(sealed(), retired_at=NOW - 2 * minute) == "SEAL_AFTER_RETIREMENT"


def test_seal_of_a_compromised_key_holds_by_a_proven_time_alone() -> None:
    """The claimed time is the thief's to choose; a time stamp from before is not."""
    hour = timedelta(hours=1)
    signer = sample_pki().registry_seal.signer()
    stamped = seal_pdf(unsealed(), signer, reason="测试", at=NOW, certify=True, timestamper=timestamper(NOW))
    for since, claimed, proven in (
        (NOW + hour, "SEAL_KEY_COMPROMISED", ""),
        (NOW, "SEAL_KEY_COMPROMISED", "SEAL_KEY_COMPROMISED"),
        (NOW - hour, "SEAL_KEY_COMPROMISED", "SEAL_KEY_COMPROMISED"),
    ):
        term = {"retired_at": since, "compromised_since": since}
        assert judged(sealed(), **term) == claimed
        assert judged(stamped, **term) == proven


def test_rsa_seal_is_as_good() -> None:
    """Seals may be P-256 or RSA (design, frozen on day one)."""
    pki = sample_pki().pki
    credential = pki.issue_seal(REGISTRY_USCC, "测试市不动产登记中心", key=make_key(KeyKind.RSA_2048))
    assert verify(seal(unsealed(), credential)).sound


def test_verdict_can_be_written_as_json() -> None:
    """A program may read the verdict."""
    written = msgspec.json.decode(msgspec.json.encode(verify(sealed())))
    assert written["checks"][0]["step"] == "FILE"
    assert msgspec.json.decode(encode_content(content())) == written["content"]


@pytest.mark.skipif(shutil.which("pdfsig") is None, reason="needs poppler-utils")
def test_pdfsig_accepts_the_seal(tmp_path: Path) -> None:
    """An independent reader finds one valid signature over the whole document."""
    path = tmp_path / "certificate.pdf"
    path.write_bytes(sealed())
    program = shutil.which("pdfsig")
    assert program is not None
    done = subprocess.run([program, "-nocert", str(path)], capture_output=True, text=True, check=False)
    assert "Signature is Valid" in done.stdout
    assert "Total document signed" in done.stdout
    assert "Signature #2" not in done.stdout
