"""The national suite in chains and envelopes: SM2 certificates, lists and signatures beside the others."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from asn1crypto import core as asn1_core
from asn1crypto import keys as asn1_keys
from asn1crypto import x509 as asn1_x509

from signing.algorithms import Algorithm, verify_signature
from signing.certificates import parse_certificate, spki_of
from signing.errors import (
    CertificateChainInvalid,
    CertificateMalformed,
    CertificateRevoked,
    RevocationUnknown,
    SignatureInvalid,
    SignerUnusable,
    TrustStoreInvalid,
)
from signing.pki import Authority, Credential, DevelopmentPKI, KeyKind, make_authority, make_key
from signing.signer import load_private_key, sign_envelope
from signing.sm2 import SM2PublicKey
from signing.trust import Purpose, TrustStore
from signing.verify import VerifiedEnvelope, verify_envelope
from tests.support.pki import BANK_USCC, NOW, SECOND_BANK_USCC, sample_pki

TYPE, PAYLOAD = "application/vnd.test", b"payload"


def _bank() -> Credential:
    return sample_pki().pki.issue_institution(BANK_USCC, "国密银行", key=make_key(KeyKind.SM2))


def _national() -> DevelopmentPKI:
    national = sample_pki().pki.national
    assert national is not None
    return national


def _verify(credential: Credential, trust: TrustStore) -> VerifiedEnvelope:
    return verify_envelope(
        sign_envelope(TYPE, PAYLOAD, [credential.signer()]), Purpose.INSTITUTION, trust, NOW
    )


def test_sm2_envelope_verifies_by_a_chain_of_sm2_with_current_lists() -> None:
    """Leaf, issuer, anchor and both lists are SM2; the store demands the lists."""
    bank = _bank()
    verified = _verify(bank, sample_pki().trust)
    signer = verified.signers[0]
    assert (signer.algorithm, signer.key_id) == ("SM2_SM3", bank.certificate.key_id)
    assert signer.identity is not None
    assert signer.identity.number == BANK_USCC
    assert [len(link.fingerprint) for link in signer.chain] == [64, 64]


def test_both_suites_sign_one_envelope() -> None:
    """An SM2 signature stands beside one of P-256 over the same bytes."""
    envelope = sign_envelope(TYPE, PAYLOAD, [_bank().signer(), sample_pki().bank.signer()])
    verified = verify_envelope(envelope, Purpose.INSTITUTION, sample_pki().trust, NOW)
    assert [one.algorithm for one in verified.signers] == ["SM2_SM3", "ECDSA_P256_SHA256"]


def test_sm2_certificate_revoked_by_a_list_signed_with_sm2_is_refused() -> None:
    """The list of an SM2 authority decides as any other."""
    bank = _bank()
    with pytest.raises(CertificateRevoked):
        _verify(bank, sample_pki().trust_revoking(bank))


def test_sm2_list_that_was_changed_or_signed_by_another_is_refused() -> None:
    """A list counts only under its issuer's SM2 key."""
    national, pki = _national(), sample_pki().pki
    issuing = national.issuing[Purpose.INSTITUTION]
    anchors = {Purpose.INSTITUTION: (national.anchors[Purpose.INSTITUTION].der,)}
    good = issuing.make_crl(now=NOW)
    changed = bytearray(good)
    changed[-1] ^= 1
    other_key = Authority(Credential(make_key(KeyKind.SM2), issuing.credential.certificates), False)
    other_suite = Authority(
        Credential(pki.issuing[Purpose.PERSON].credential.private_key, issuing.credential.certificates), False
    )
    TrustStore(anchors, [good], [issuing.der])
    for bad in (bytes(changed), other_key.make_crl(now=NOW), other_suite.make_crl(now=NOW)):
        with pytest.raises(TrustStoreInvalid, match="signed by no anchor"):
            TrustStore(anchors, [bad], [issuing.der])


def test_sm2_chain_without_a_current_list_is_refused_where_one_is_demanded() -> None:
    """The demand holds for both suites."""
    old = sample_pki().pki.make_crls(now=NOW - timedelta(days=60))
    with pytest.raises(RevocationUnknown):
        _verify(_bank(), sample_pki().pki.trust_store(old, revocation_required=True))


@pytest.mark.parametrize(
    "kinds",
    [
        (KeyKind.RSA_2048, KeyKind.RSA_2048, KeyKind.SM2),
        (KeyKind.P256, KeyKind.SM2, KeyKind.SM2),
        (KeyKind.SM2, KeyKind.SM2, KeyKind.P256),
        (KeyKind.SM2, KeyKind.P384, KeyKind.SM2),
    ],
)
def test_path_that_mixes_suites_is_refused(kinds: tuple[KeyKind, ...]) -> None:
    """Every link holds for itself, and yet an SM2 signature must not rest on RSA, nor the other way round."""
    root, issuing, leaf = (make_key(one) for one in kinds)
    anchor = make_authority("mixed", now=NOW, key=root)
    issuer = anchor.make_intermediate("mixed issuer", now=NOW, key=issuing)
    pki = DevelopmentPKI(NOW, {Purpose.INSTITUTION: anchor}, {Purpose.INSTITUTION: issuer})
    bank = pki.issue_institution(BANK_USCC, "混合银行", key=leaf)
    with pytest.raises(CertificateChainInvalid, match="mixes SM2"):
        _verify(bank, TrustStore({Purpose.INSTITUTION: (anchor.der,)}))


def test_sm2_certificate_that_was_changed_is_refused() -> None:
    """The issuer's signature is verified, not only the names: of the leaf, and of the issuer's own certificate."""
    bank = _bank()
    leaf, issuer = bank.certificates
    for changed in (
        (leaf.replace(BANK_USCC.encode(), SECOND_BANK_USCC.encode()), issuer),
        (leaf[:-1] + bytes([leaf[-1] ^ 1]), issuer),
        (leaf, issuer[:-1] + bytes([issuer[-1] ^ 1])),
    ):
        anchors = {Purpose.INSTITUTION: (_national().anchors[Purpose.INSTITUTION].der,)}
        _verify(bank, TrustStore(anchors))
        with pytest.raises(CertificateChainInvalid):
            _verify(Credential(bank.private_key, changed), TrustStore(anchors))


def test_key_of_another_curve_or_in_another_form_is_no_sm2_key() -> None:
    """91 bytes of P-256, one byte more, one less."""
    key = _bank().private_key.public_key()
    assert isinstance(key, SM2PublicKey)
    other = spki_of(make_key(KeyKind.P256).public_key())
    assert len(other) == len(key.spki)
    for spki in (other, key.spki + b"\0", key.spki[:-1], b""):
        with pytest.raises(ValueError, match="SM2"):
            SM2PublicKey(spki)


def test_sm2_key_verifies_in_many_threads_at_once() -> None:
    """The library gives up Python's lock while it computes, and what one thread finds never becomes another's."""
    signer = _bank().signer()
    key = parse_certificate(signer.certificates[0]).public_key
    good = signer.sign(PAYLOAD)
    values = [good, good[:-1] + bytes([good[-1] ^ 1]), good[:-1]] * 200

    def holds(value: bytes) -> bool:
        try:
            verify_signature(key, Algorithm.SM2_SM3, value, PAYLOAD)
        except SignatureInvalid:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(holds, values))
    assert found == [value == good for value in values]


def test_key_id_is_that_of_the_key_as_the_certificate_carries_it() -> None:
    """SHA-256 of the 91 bytes, as for every other key."""
    bank = _bank()
    key = bank.private_key.public_key()
    assert isinstance(key, SM2PublicKey)
    assert bank.certificate.public_key == key
    assert len(key.spki) == 91
    assert len(key.point) == 65


@pytest.mark.parametrize("change", ["off the curve", "compressed", "hybrid", "at infinity", "too large"])
def test_certificate_with_a_bad_sm2_point_cannot_be_read(change: str) -> None:
    """A key is one form of one point on the curve, or the certificate is malformed."""
    key = _bank().private_key.public_key()
    assert isinstance(key, SM2PublicKey)
    bad = {
        "off the curve": key.point[:-1] + bytes([key.point[-1] ^ 1]),
        "compressed": bytes([2 + key.point[-1] % 2]) + key.point[1:33],
        "hybrid": bytes([6 + key.point[-1] % 2]) + key.point[1:],
        "at infinity": b"\0",
        "too large": b"\4" + b"\xff" * 64,
    }[change]
    with pytest.raises(CertificateMalformed, match="SM2"):
        parse_certificate(_with_key("1.2.840.10045.2.1", "1.2.156.10197.1.301", bad))


@pytest.mark.parametrize(
    ("algorithm", "parameters"),
    [("1.2.840.10045.2.1", "1.2.156.10197.1.302"), ("1.2.156.10197.1.301", "1.2.156.10197.1.301")],
)
def test_key_that_is_sm2_by_another_name_is_of_no_known_kind(algorithm: str, parameters: str) -> None:
    """Another curve of the same arc, or the curve's OID as the algorithm: shown, and signs nothing."""
    key = _bank().private_key.public_key()
    assert isinstance(key, SM2PublicKey)
    certificate = parse_certificate(_with_key(algorithm, parameters, key.point))
    assert (certificate.public_key, certificate.key_id) == (None, "")


def _with_key(algorithm: str, parameters: str, point: bytes) -> bytes:
    """A bank's SM2 certificate with this key in it; what cannot be read needs no valid signature."""
    certificate = asn1_x509.Certificate.load(_bank().certificates[0])
    names = [asn1_core.ObjectIdentifier(one).dump() for one in (algorithm, parameters)]
    head = b"".join(names)
    bits = asn1_core.OctetBitString(point).dump()
    body = bytes([0x30, len(head)]) + head + bits
    spki = asn1_keys.PublicKeyInfo.load(bytes([0x30, len(body)]) + body)
    certificate["tbs_certificate"]["subject_public_key_info"] = spki
    return bytes(certificate.dump(force=True))


def test_sm2_key_encrypted_in_a_file_needs_its_password() -> None:
    """PKCS#8 with a password, refused with none and with another."""
    bank = _bank()
    pem = bank.key_pem(b"password")
    assert b"ENCRYPTED" in pem
    assert load_private_key(pem, b"password").public_key() == bank.private_key.public_key()
    for password in (None, b"other"):
        with pytest.raises(SignerUnusable):
            load_private_key(pem, password)
