"""Signers and the development PKI: keys fit their certificates, files come back as they were
written.
"""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from signing.algorithms import Algorithm
from signing.certificates import certificates_to_pem
from signing.envelope import envelope_from_json, envelope_to_json
from signing.errors import AlgorithmRefused, SignerUnusable
from signing.pki import Credential, DevelopmentPKI, KeyKind, make_authority, make_key
from signing.signer import LocalSigner, sign_envelope
from signing.trust import Purpose, TrustStore
from signing.verify import verify_envelope
from tests.support.pki import BANK_USCC, NOW, key_of, rsa_key, sample_pki


@pytest.mark.parametrize("password", [None, b"secret"])
def test_signer_from_pem_signs_what_verifies(password: bytes | None) -> None:
    """A bank's key file, encrypted or not, is all that its client needs."""
    bank = sample_pki().bank
    signer = LocalSigner.from_pem(bank.key_pem(password), bank.chain_pem(), password=password)
    envelope = sign_envelope("a/b", b"payload", [signer])
    assert verify_envelope(envelope, Purpose.INSTITUTION, sample_pki().trust, NOW).payload == b"payload"
    assert signer.key_id == bank.certificate.key_id


def test_signer_with_a_wrong_password_key_or_file_is_unusable() -> None:
    """What is wrong is said when the signer is made, not when it signs."""
    bank, other = sample_pki().bank, sample_pki().second_bank
    for key, chain, password in (
        (bank.key_pem(b"secret"), bank.chain_pem(), b"wrong"),
        (bank.key_pem(b"secret"), bank.chain_pem(), None),
        (b"nonsense", bank.chain_pem(), None),
        (bank.key_pem(), b"nonsense", None),
        (bank.key_pem(), other.chain_pem(), None),
        (bank.key_pem(), certificates_to_pem(bank.certificates[::-1]), None),
    ):
        with pytest.raises(SignerUnusable):
            LocalSigner.from_pem(key, chain, password=password)
    with pytest.raises(SignerUnusable):
        LocalSigner(bank.private_key, ())


def test_signer_with_an_algorithm_of_another_key_is_refused() -> None:
    """A P-256 key does not sign RSA."""
    signer = sample_pki().bank.signer(Algorithm.RSA_PSS_SHA256)
    with pytest.raises(AlgorithmRefused):
        signer.sign(b"message")


def test_envelope_json_goes_out_and_comes_back() -> None:
    """The file form loses nothing."""
    rsa_bank = sample_pki().pki.issue_institution(BANK_USCC, "澄江测试银行", key=rsa_key())
    envelope = sign_envelope("a/b", bytes(range(256)), [sample_pki().bank.signer(), rsa_bank.signer()])
    text = envelope_to_json(envelope)
    assert envelope_from_json(text) == envelope
    assert envelope_from_json(_in_the_other_alphabet(text)) == envelope


def _in_the_other_alphabet(text: bytes) -> bytes:
    """Every base64 field in the URL-safe alphabet; the payload type, which is no base64, as it was."""
    fields = json.loads(text)
    fields["payload"] = _url_safe(fields["payload"])
    for one in fields["signatures"]:
        one["sig"] = _url_safe(one["sig"])
        one["certs"] = [_url_safe(der) for der in one["certs"]]
    return json.dumps(fields).encode()


def _url_safe(base64_text: str) -> str:
    return base64_text.replace("+", "-").replace("/", "_")


def test_pki_goes_to_files_and_comes_back(tmp_path: Path) -> None:
    """A saved PKI issues what the first one's store trusts; its keys are readable by their owner
    alone.
    """
    pki = DevelopmentPKI.create(NOW)
    pki.save(tmp_path)
    again = DevelopmentPKI.load(tmp_path, NOW)
    bank = again.issue_institution(BANK_USCC, "澄江测试银行")
    envelope = sign_envelope("a/b", b"payload", [bank.signer()])
    verify_envelope(envelope, Purpose.INSTITUTION, pki.trust_store(pki.make_crls()), NOW)
    keys = list(tmp_path.rglob("*.key.pem"))
    assert len(keys) == 4 * len(Purpose) - 2, "two authorities a purpose and suite; no SM2 for TLS"
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}


@pytest.mark.parametrize("kind", [KeyKind.P256, KeyKind.P384, KeyKind.ED25519, KeyKind.SM2, KeyKind.RSA_2048])
def test_credential_goes_to_files_and_comes_back(kind: KeyKind, tmp_path: Path) -> None:
    """Key and chain are the same after a restart."""
    key = rsa_key() if kind is KeyKind.RSA_2048 else make_key(kind)
    written = sample_pki().pki.issue_institution(BANK_USCC, "澄江测试银行", key=key)
    written.write(tmp_path / "bank", "sign")
    read = Credential.read(tmp_path / "bank", "sign")
    assert read.certificates == written.certificates
    assert read.key_pem() == written.key_pem()


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_pki_anchor_of_each_key_kind_carries_a_chain(algorithm: Algorithm) -> None:
    """Authorities may hold any key that we accept, SM2 for SM2."""
    anchor = make_authority("anchor", now=NOW, key=key_of(algorithm))
    below = algorithm if algorithm is Algorithm.SM2_SM3 else Algorithm.ECDSA_P256_SHA256
    issuing = anchor.make_intermediate("issuing", now=NOW, key=key_of(below))
    pki = DevelopmentPKI(NOW, dict.fromkeys(Purpose, anchor), dict.fromkeys(Purpose, issuing))
    bank = pki.issue_institution(BANK_USCC, "澄江测试银行", key=key_of(below))
    store = TrustStore({Purpose.INSTITUTION: (anchor.der,)}, [anchor.make_crl(now=NOW)])
    envelope = sign_envelope("a/b", b"payload", [bank.signer()])
    assert verify_envelope(envelope, Purpose.INSTITUTION, store, NOW).signers[0].name == "澄江测试银行"
