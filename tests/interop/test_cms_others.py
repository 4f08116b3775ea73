"""CMS files against pyHanko, which knows Ed25519 in CMS (RFC 8419) where OpenSSL 3.0 does not."""

from __future__ import annotations

import hashlib

import pytest
from asn1crypto import cms
from asn1crypto import keys as asn1_keys
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives import serialization
from pyhanko.sign import signers
from pyhanko.sign.validation.generic_cms import validate_sig_integrity
from pyhanko_certvalidator.registry import SimpleCertificateStore

from signing.algorithms import Algorithm
from signing.cms_file import check_cms
from signing.cms_sign import sign_cms
from signing.pki import Credential
from tests.support.pki import BANK_USCC, NOW, key_of, sample_pki

CONTENT = b"II*\0 a scan"
INTERNATIONAL = [one for one in Algorithm if one is not Algorithm.SM2_SM3]


def _bank(algorithm: Algorithm) -> Credential:
    return sample_pki().pki.issue_institution(BANK_USCC, "澄江测试银行", key=key_of(algorithm))


@pytest.mark.parametrize("algorithm", INTERNATIONAL)
def test_what_we_sign_holds_in_pyhanko(algorithm: Algorithm) -> None:
    """Digest and signature, and not over other bytes."""
    credential = _bank(algorithm)
    made = sign_cms(CONTENT, [credential.signer(algorithm)], NOW)
    (signer,) = cms.ContentInfo.load(made, strict=True)["content"]["signer_infos"]
    name = signer["digest_algorithm"]["algorithm"].native
    certificate = asn1_x509.Certificate.load(credential.certificates[0])
    for data, intact in ((CONTENT, True), (CONTENT + b".", False)):
        found = validate_sig_integrity(signer, certificate, "data", hashlib.new(name, data).digest())
        assert found == (intact, True)


@pytest.mark.parametrize("algorithm", [Algorithm.ED25519, Algorithm.ECDSA_P384_SHA384])
async def test_what_pyhanko_signs_holds_here(algorithm: Algorithm) -> None:
    """By its own signer, with its own attributes."""
    credential = _bank(algorithm)
    store = SimpleCertificateStore()  # type: ignore[no-untyped-call]
    store.register_multiple(asn1_x509.Certificate.load(der) for der in credential.certificates[1:])
    key = credential.private_key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    signer = signers.SimpleSigner(
        signing_cert=asn1_x509.Certificate.load(credential.certificates[0]),
        signing_key=asn1_keys.PrivateKeyInfo.load(key),
        cert_registry=store,
    )
    digest = "sha512" if algorithm is Algorithm.ED25519 else "sha384"
    made = await signer.async_sign_general_data(CONTENT, digest, detached=True)
    verdict = check_cms(made.dump(), CONTENT, sample_pki().trust, NOW)
    assert verdict.ok, verdict.problems
    assert verdict.signatures[0].algorithm == algorithm.value
