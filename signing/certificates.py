"""One X.509 certificate, read once: its key, its times, what it may be used for, and whom it names.

A signer is the identity *number* in the subject, never a name. The form is ETSI EN 319 412-1
section 5.1: three letters of scheme, two of country, a hyphen, the number. Natural persons carry it
in `serialNumber` (2.5.4.5, "IDCCN-" + 18 characters, "PASCN-" + passport number), legal persons in
`organizationIdentifier` (2.5.4.97, "NTRCN-" + unified social credit code). A certificate with both
(an employee's) names the *person*: whoever holds an employee's certificate is not the bank. Two
numbers of one kind make it nobody's.

Parsing is cached by content (bounded, least recently used), because the same few hundred
certificates sign every request. The cache holds nothing that time or revocation could change.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Final

import msgspec
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.x509.oid import ExtensionOID, NameOID

from signing.envelope import CERTIFICATE_BYTES_MAX
from signing.errors import CertificateMalformed
from signing.sm2 import CURVE_OID, SM2_WITH_SM3_OID, SM2PublicKey

CACHED_CERTIFICATES: Final = 4096
PEM_CERTIFICATES_MAX: Final = 64
SERIAL_BYTES_MAX: Final = 20

_NATURAL: Final = re.compile(r"(PAS|IDC|PNO|TIN|TAX)([A-Z]{2})-([0-9A-Za-z./-]{1,64})\Z")
_LEGAL: Final = re.compile(r"(VAT|NTR|PSD|LEI)([A-Z]{2})-([0-9A-Za-z./-]{1,64})\Z")


class IdentityKind(StrEnum):
    """Whether a certificate names a human being or an organisation."""

    NATURAL = "NATURAL"
    LEGAL = "LEGAL"


class Identity(msgspec.Struct, frozen=True):
    """Who a certificate names.

    scheme: type and country of the number, e.g. "IDCCN" (resident identity card), "NTRCN" (social
    credit code). number: what follows the hyphen, unchanged.
    """

    kind: IdentityKind
    scheme: str
    number: str


@dataclass(frozen=True, eq=False)
class Certificate:
    """A parsed certificate. Two are equal when their DER is.

    fingerprint: lower-case hex SHA-256 of the DER. key_id: the same of the DER
    SubjectPublicKeyInfo. subject, issuer: RFC 4514 text for people, never for decisions;
    issuer_name and subject_name: the DER of the names. key_id is empty where the key cannot be
    loaded. name: common name, else organisation. key_usages: names of cryptography's flags that are
    set, or None where the extension is missing. extended_key_usages: dotted OIDs, or None. serial:
    as issued, positive. public_key: an object of `cryptography`, an `SM2PublicKey`, or None for a key
    of another kind.
    """

    der: bytes
    fingerprint: str
    key_id: str
    public_key: object
    subject: str
    subject_name: bytes
    name: str
    identity: Identity | None
    issuer: str
    issuer_name: bytes
    serial: int
    not_before: datetime
    not_after: datetime
    is_ca: bool
    key_usages: frozenset[str] | None
    extended_key_usages: frozenset[str] | None
    loaded: x509.Certificate = field(repr=False)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Certificate) and self.der == other.der

    def __hash__(self) -> int:
        return hash(self.fingerprint)


def spki_of(public_key: object) -> bytes:
    """The key's DER SubjectPublicKeyInfo (RFC 5280 section 4.1)."""
    if isinstance(public_key, SM2PublicKey):
        return public_key.spki
    encoded: bytes = public_key.public_bytes(  # type: ignore[attr-defined]  # every key of cryptography has it
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return encoded


def key_id_of(public_key: object) -> str:
    """Lower-case hex SHA-256 of `spki_of`."""
    return hashlib.sha256(spki_of(public_key)).hexdigest()


@lru_cache(maxsize=CACHED_CERTIFICATES)
def parse_certificate(der: bytes) -> Certificate:
    """Read one DER certificate. Raises `CertificateMalformed`; whether to trust it is not asked
    here.
    """
    if len(der) > CERTIFICATE_BYTES_MAX:
        raise CertificateMalformed(f"certificate of {len(der)} bytes; the limit is {CERTIFICATE_BYTES_MAX}")
    try:
        return _read(der)
    except (
        ValueError,
        TypeError,
        x509.DuplicateExtension,
        x509.InvalidVersion,
        x509.UnsupportedGeneralNameType,
    ) as error:
        raise CertificateMalformed(f"not a DER X.509 certificate: {error}") from error


def _read(der: bytes) -> Certificate:
    loaded = x509.load_der_x509_certificate(der)
    if loaded.version is not x509.Version.v3:
        raise ValueError("version 3 is required (RFC 5280 section 4.1.2.1)")
    if loaded.serial_number <= 0:
        raise ValueError("the serial number must be positive (RFC 5280 section 4.1.2.2)")
    if loaded.serial_number.bit_length() >= 8 * SERIAL_BYTES_MAX:  # one bit is the sign's
        raise ValueError(
            f"the serial number must have at most {SERIAL_BYTES_MAX} bytes (RFC 5280 section 4.1.2.2)"
        )
    extensions = loaded.extensions
    public_key = _public_key(loaded, der)
    return Certificate(
        der=der,
        fingerprint=hashlib.sha256(der).hexdigest(),
        key_id="" if public_key is None else key_id_of(public_key),
        public_key=public_key,
        subject=loaded.subject.rfc4514_string(),
        subject_name=loaded.subject.public_bytes(),
        name=_display_name(loaded.subject),
        identity=_identity(loaded.subject),
        issuer=loaded.issuer.rfc4514_string(),
        issuer_name=loaded.issuer.public_bytes(),
        serial=loaded.serial_number,
        not_before=loaded.not_valid_before_utc,
        not_after=loaded.not_valid_after_utc,
        is_ca=_is_ca(extensions),
        key_usages=_key_usages(extensions),
        extended_key_usages=_extended_key_usages(extensions),
        loaded=loaded,
    )


def _public_key(loaded: x509.Certificate, der: bytes) -> object:
    """None for a kind of key that signs nothing here: it can be shown and named as unknown."""
    try:
        return loaded.public_key()
    except UnsupportedAlgorithm:
        info = asn1_x509.Certificate.load(der)["tbs_certificate"]["subject_public_key_info"]
        named = info.algorithm == "ec" and info["algorithm"]["parameters"].name == "named"
        if not named or info["algorithm"]["parameters"].chosen.dotted != CURVE_OID:
            return None
        return SM2PublicKey(info.dump())


def _values(name: x509.Name, oid: x509.ObjectIdentifier) -> list[str]:
    return [str(attribute.value) for attribute in name.get_attributes_for_oid(oid)]


def _display_name(subject: x509.Name) -> str:
    for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME):
        values = _values(subject, oid)
        if values:
            return values[0]
    return ""


def _identity(subject: x509.Name) -> Identity | None:
    natural = [m for value in _values(subject, NameOID.SERIAL_NUMBER) if (m := _NATURAL.match(value))]
    if natural:
        return _one_identity(IdentityKind.NATURAL, natural)
    legal = [m for value in _values(subject, NameOID.ORGANIZATION_IDENTIFIER) if (m := _LEGAL.match(value))]
    return _one_identity(IdentityKind.LEGAL, legal)


def _one_identity(kind: IdentityKind, matches: list[re.Match[str]]) -> Identity | None:
    if len(matches) != 1:
        return None
    scheme, country, number = matches[0].groups()
    return Identity(kind=kind, scheme=scheme + country, number=number)


def _is_ca(extensions: x509.Extensions) -> bool:
    try:
        constraints = extensions.get_extension_for_oid(ExtensionOID.BASIC_CONSTRAINTS).value
    except x509.ExtensionNotFound:
        return False
    return isinstance(constraints, x509.BasicConstraints) and constraints.ca


_USAGE_FLAGS: Final = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
)


def _key_usages(extensions: x509.Extensions) -> frozenset[str] | None:
    try:
        usage = extensions.get_extension_for_oid(ExtensionOID.KEY_USAGE).value
    except x509.ExtensionNotFound:
        return None
    return frozenset(flag for flag in _USAGE_FLAGS if getattr(usage, flag))


def _extended_key_usages(extensions: x509.Extensions) -> frozenset[str] | None:
    try:
        usages = extensions.get_extension_for_oid(ExtensionOID.EXTENDED_KEY_USAGE).value
    except x509.ExtensionNotFound:
        return None
    return (
        frozenset(one.dotted_string for one in usages)
        if isinstance(usages, x509.ExtendedKeyUsage)
        else frozenset()
    )


def signs_list(issuer: Certificate, crl: x509.CertificateRevocationList) -> bool:
    """Whether the list's signature holds under the issuer's key; names and usages are not asked here. Raises
    `AlgorithmUnavailable` where that is SM2 without its extra.
    """
    key = issuer.public_key
    if isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey | Ed25519PublicKey):
        return crl.is_signature_valid(key)
    if not isinstance(key, SM2PublicKey) or crl.signature_algorithm_oid.dotted_string != SM2_WITH_SM3_OID:
        return False
    try:
        key.verify(crl.signature, crl.tbs_certlist_bytes)
    except InvalidSignature:
        return False
    return True


def certificates_from_pem(pem: bytes) -> tuple[bytes, ...]:
    """The DER of each certificate of a PEM file, in the file's order. Raises
    `CertificateMalformed`.
    """
    try:
        loaded = x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise CertificateMalformed(f"not a PEM file of certificates: {error}") from error
    if len(loaded) > PEM_CERTIFICATES_MAX:
        raise CertificateMalformed(
            f"{len(loaded)} certificates in one PEM file; the limit is {PEM_CERTIFICATES_MAX}"
        )
    return tuple(one.public_bytes(serialization.Encoding.DER) for one in loaded)


def certificates_to_pem(certificates: tuple[bytes, ...]) -> bytes:
    """A PEM file of DER certificates, in order."""
    return b"".join(
        x509.load_der_x509_certificate(der).public_bytes(serialization.Encoding.PEM) for der in certificates
    )
