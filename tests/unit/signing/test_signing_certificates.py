"""Reading certificates: what is taken from them, what is refused, and that reading is
remembered.
"""

from __future__ import annotations

import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID

from signing.certificates import (
    IdentityKind,
    certificates_from_pem,
    certificates_to_pem,
    parse_certificate,
)
from signing.errors import CertificateMalformed
from signing.pki import KeyKind, make_key
from signing.trust import Purpose
from tests.support.pki import BANK_USCC, NOW, SELLER_ID, sample_pki


def test_certificate_of_a_bank_says_who_and_until_when() -> None:
    """Number, name, key id, fingerprint and times come out as they went in."""
    credential = sample_pki().bank
    read = credential.certificate
    assert read.identity is not None
    assert (read.identity.kind, read.identity.scheme, read.identity.number) == (
        IdentityKind.LEGAL,
        "NTRCN",
        BANK_USCC,
    )
    assert read.name == "澄江测试银行"
    assert read.fingerprint == hashlib.sha256(credential.certificates[0]).hexdigest()
    spki = credential.private_key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert read.key_id == hashlib.sha256(spki).hexdigest()
    assert read.not_before < NOW < read.not_after
    assert read.not_before.tzinfo is not None
    assert read.key_usages == frozenset({"digital_signature", "content_commitment"})
    assert not read.is_ca


def test_certificate_of_a_citizen_says_who() -> None:
    """A natural person's number stands in serialNumber."""
    identity = sample_pki().seller.certificate.identity
    assert identity is not None
    assert (identity.kind, identity.scheme, identity.number) == (
        IdentityKind.NATURAL,
        "IDCCN",
        SELLER_ID,
    )


def test_certificate_of_a_passport_holder_says_so() -> None:
    """Other schemes of ETSI EN 319 412-1 are read too, with their country."""
    identity = sample_pki().pki.issue_person("E12345678", "外国人", scheme="PASFR").certificate.identity
    assert identity is not None
    assert (identity.scheme, identity.number) == ("PASFR", "E12345678")


def test_certificate_read_twice_is_the_same_object() -> None:
    """The few hundred certificates that sign everything are parsed once."""
    der = sample_pki().bank.certificates[0]
    assert parse_certificate(der) is parse_certificate(bytes(bytearray(der)))


def test_certificates_are_equal_by_content() -> None:
    """Equality and hash are those of the DER."""
    first = parse_certificate.__wrapped__(sample_pki().bank.certificates[0])
    second = parse_certificate.__wrapped__(sample_pki().bank.certificates[0])
    assert first is not second
    assert first == second
    assert len({first, second}) == 1
    assert first != sample_pki().second_bank.certificate


@pytest.mark.parametrize("cut", [0, 1, 10, 100, -1])
def test_certificate_cut_short_is_malformed(cut: int) -> None:
    """Half a certificate is none."""
    with pytest.raises(CertificateMalformed):
        parse_certificate(sample_pki().bank.certificates[0][:cut])


def test_certificate_with_bytes_behind_it_is_malformed() -> None:
    """One DER value and nothing after it."""
    with pytest.raises(CertificateMalformed):
        parse_certificate(sample_pki().bank.certificates[0] + b"\0")


def test_certificate_without_common_name_is_called_by_its_organisation() -> None:
    """A display name is found where there is one, and is empty where there is none."""
    issuing = sample_pki().pki.issuing[Purpose.INSTITUTION]
    for attributes, name in (
        ([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "某行")], "某行"),
        ([x509.NameAttribute(NameOID.COUNTRY_NAME, "CN")], ""),
    ):
        issued = issuing.issue(x509.Name(attributes), make_key(KeyKind.P256), [], now=NOW)
        assert issued.certificate.name == name
        assert issued.certificate.key_usages is None
        assert issued.certificate.extended_key_usages is None


def test_pem_goes_out_and_comes_back() -> None:
    """A chain keeps its order through PEM."""
    chain = sample_pki().bank.certificates
    assert certificates_from_pem(certificates_to_pem(chain)) == chain


@pytest.mark.parametrize("pem", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAA==\n"])
def test_pem_that_is_none_is_malformed(pem: bytes) -> None:
    """A file without certificates is an error and not an empty chain."""
    with pytest.raises(CertificateMalformed):
        certificates_from_pem(pem)


def test_pem_of_too_many_certificates_is_malformed() -> None:
    """A file has a limit."""
    with pytest.raises(CertificateMalformed, match="limit"):
        certificates_from_pem(certificates_to_pem(sample_pki().bank.certificates * 33))
