"""Making certificates in code: keys, authorities, credentials, revocation lists. For development
and tests.

`pki.py` puts these together to a whole PKI. Keys and serial numbers come from the operating
system's random source; times never do, they are passed in.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final

from asn1crypto import algos
from asn1crypto import crl as asn1_crl
from asn1crypto import keys as asn1_keys
from asn1crypto import x509 as asn1_x509
from asn1crypto.core import Null, ParsableOctetString
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from signing.algorithms import Algorithm, PrivateKey, PublicKey
from signing.certificates import (
    Certificate,
    certificates_from_pem,
    certificates_to_pem,
    parse_certificate,
    spki_of,
)
from signing.signer import LocalSigner, load_private_key
from signing.sm2 import SM2_WITH_SM3_OID, SM2PrivateKey

ANCHOR_DAYS: Final = 3650
LEAF_DAYS: Final = 730
CRL_DAYS: Final = 30
_GENERALIZED_FROM: Final = 2050
CLOCK_MARGIN: Final = timedelta(minutes=5)
"""Certificates begin this much before `now`, for clocks that differ."""


class KeyKind(StrEnum):
    """What key to make. The last two are for tests: nothing here accepts their signatures."""

    P256 = "P256"
    P384 = "P384"
    RSA_2048 = "RSA_2048"
    RSA_3072 = "RSA_3072"
    ED25519 = "ED25519"
    SM2 = "SM2"
    P521 = "P521"
    RSA_1024 = "RSA_1024"


def make_key(kind: KeyKind) -> PrivateKey:
    """A new private key from the operating system's random source (SM2: the library's). Raises
    `AlgorithmUnavailable` for SM2 without its extra.
    """
    match kind:
        case KeyKind.P256:
            return ec.generate_private_key(ec.SECP256R1())
        case KeyKind.P384:
            return ec.generate_private_key(ec.SECP384R1())
        case KeyKind.P521:
            return ec.generate_private_key(ec.SECP521R1())
        case KeyKind.ED25519:
            return Ed25519PrivateKey.generate()
        case KeyKind.SM2:
            return SM2PrivateKey.generate()
        case _:
            bits = int(kind.value.removeprefix("RSA_"))
            return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@dataclass(frozen=True)
class Credential:
    """A private key with its certificates: DER, own first, then what leads towards the anchor."""

    private_key: PrivateKey
    certificates: tuple[bytes, ...]

    @property
    def certificate(self) -> Certificate:
        """The own certificate, parsed."""
        return parse_certificate(self.certificates[0])

    def key_pem(self, password: bytes | None = None) -> bytes:
        """PKCS#8, encrypted if a password is given."""
        if isinstance(self.private_key, SM2PrivateKey):
            return self.private_key.pkcs8_pem(password)
        encryption: serialization.KeySerializationEncryption = (
            serialization.NoEncryption()
            if password is None
            else serialization.BestAvailableEncryption(password)
        )
        return self.private_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
        )

    def chain_pem(self) -> bytes:
        """All certificates as PEM, own first."""
        return certificates_to_pem(self.certificates)

    def signer(self, algorithm: Algorithm | None = None) -> LocalSigner:
        """A signer with this key. Raises `SignerUnusable` or `AlgorithmRefused`."""
        return LocalSigner(self.private_key, self.certificates, algorithm)

    def write(self, directory: Path, stem: str) -> None:
        """`STEM.key.pem` (mode 0600) and `STEM.pem` into `directory`, which is made if it is
        missing.
        """
        directory.mkdir(parents=True, exist_ok=True)
        key_path = directory / f"{stem}.key.pem"
        descriptor = os.open(key_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(self.key_pem())
        (directory / f"{stem}.pem").write_bytes(self.chain_pem())

    @classmethod
    def read(cls, directory: Path, stem: str) -> Credential:
        """What `write` wrote. Raises `SignerUnusable`, or `OSError` where a file is missing."""
        key = load_private_key((directory / f"{stem}.key.pem").read_bytes())
        return cls(key, certificates_from_pem((directory / f"{stem}.pem").read_bytes()))


@dataclass(frozen=True)
class Revocation:
    """An entry of a revocation list: which certificate, and since when."""

    serial: int
    since: datetime


@dataclass(frozen=True)
class Authority:
    """Something that issues certificates.

    credential: its key; certificates: its own, then those above it, the anchor's left out unless it
    is the anchor itself.
    """

    credential: Credential
    is_anchor: bool

    @property
    def der(self) -> bytes:
        """Its own certificate."""
        return self.credential.certificates[0]

    def make_intermediate(
        self, name: str, *, now: datetime, days: int = ANCHOR_DAYS, key: PrivateKey | None = None
    ) -> Authority:
        """An issuing authority below this one (path length 0)."""
        private_key = key or make_key(KeyKind.P256)
        credential = self.issue(
            authority_name(name),
            private_key,
            (
                (x509.BasicConstraints(ca=True, path_length=0), True),
                (key_usage(authority=True), True),
            ),
            now=now,
            days=days,
        )
        return Authority(credential, is_anchor=False)

    def issue(
        self,
        subject: x509.Name,
        private_key: PrivateKey,
        extensions: Sequence[tuple[x509.ExtensionType, bool]],
        *,
        now: datetime,
        days: int = LEAF_DAYS,
        not_before: datetime | None = None,
    ) -> Credential:
        """A certificate of `subject` for the public part of `private_key`.

        extensions: each with its critical flag; key identifiers are added. Valid from `not_before`
        (by default a little before `now`) to `now` + `days`, which may be in the past.
        """
        own = _build(
            subject=subject,
            issuer=x509.load_der_x509_certificate(self.der).subject,
            public_key=private_key.public_key(),
            authority_key=self.credential.private_key,
            extensions=extensions,
            begin=not_before or now - CLOCK_MARGIN,
            end=now + timedelta(days=days),
        )
        above = () if self.is_anchor else self.credential.certificates
        return Credential(private_key, (own, *above))

    def make_crl(self, revoked: Sequence[Revocation] = (), *, now: datetime, days: int = CRL_DAYS) -> bytes:
        """A complete revocation list of this authority, DER, in force from `now` for `days`."""
        key = self.credential.private_key
        algorithm = _signature_algorithm(key)
        listed = [{"user_certificate": one.serial, "revocation_date": _time(one.since)} for one in revoked]
        tbs = asn1_crl.TbsCertList(
            {
                "version": "v2",
                "signature": algorithm,
                "issuer": asn1_x509.Name.load(parse_certificate(self.der).subject_name),
                "this_update": _time(now),
                "next_update": _time(now + timedelta(days=days)),
                "revoked_certificates": listed or None,
                "crl_extensions": [
                    _extension(x509.CRLNumber(int(now.timestamp())), critical=False),
                    _extension(_authority_key_identifier(key.public_key()), critical=False),
                ],
            }
        )
        signed = asn1_crl.CertificateList(
            {"tbs_cert_list": tbs, "signature_algorithm": algorithm, "signature": _sign(key, tbs.dump())}
        )
        return bytes(signed.dump())


def make_authority(
    name: str, *, now: datetime, days: int = ANCHOR_DAYS, key: PrivateKey | None = None
) -> Authority:
    """A self-signed anchor."""
    private_key = key or make_key(KeyKind.P256)
    subject = authority_name(name)
    der = _build(
        subject=subject,
        issuer=subject,
        public_key=private_key.public_key(),
        authority_key=private_key,
        extensions=(
            (x509.BasicConstraints(ca=True, path_length=None), True),
            (key_usage(authority=True), True),
        ),
        begin=now - CLOCK_MARGIN,
        end=now + timedelta(days=days),
    )
    return Authority(Credential(private_key, (der,)), is_anchor=True)


def authority_name(name: str) -> x509.Name:
    """The subject of an authority, a server or a service of the development PKI."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Diya development, not for production"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )


def key_usage(*, authority: bool, commitment: bool = True) -> x509.KeyUsage:
    """An authority signs certificates and lists; others sign, with commitment unless it is TLS."""
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=commitment and not authority,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _build(
    *,
    subject: x509.Name,
    issuer: x509.Name,
    public_key: PublicKey,
    authority_key: PrivateKey,
    extensions: Sequence[tuple[x509.ExtensionType, bool]],
    begin: datetime,
    end: datetime,
) -> bytes:
    algorithm = _signature_algorithm(authority_key)
    tbs = asn1_x509.TbsCertificate(
        {
            "version": "v3",
            "serial_number": x509.random_serial_number(),
            "signature": algorithm,
            "issuer": asn1_x509.Name.load(issuer.public_bytes()),
            "validity": {"not_before": _time(begin), "not_after": _time(end)},
            "subject": asn1_x509.Name.load(subject.public_bytes()),
            "subject_public_key_info": asn1_keys.PublicKeyInfo.load(spki_of(public_key)),
            "extensions": [
                _extension(x509.SubjectKeyIdentifier(_key_identifier(public_key)), critical=False),
                _extension(_authority_key_identifier(authority_key.public_key()), critical=False),
                *[_extension(value, critical=critical) for value, critical in extensions],
            ],
        }
    )
    signed = asn1_x509.Certificate(
        {
            "tbs_certificate": tbs,
            "signature_algorithm": algorithm,
            "signature_value": _sign(authority_key, tbs.dump()),
        }
    )
    return bytes(signed.dump())


def _signature_algorithm(key: PrivateKey) -> algos.SignedDigestAlgorithm:
    if isinstance(key, SM2PrivateKey):
        return algos.SignedDigestAlgorithm({"algorithm": SM2_WITH_SM3_OID})
    if isinstance(key, Ed25519PrivateKey):
        return algos.SignedDigestAlgorithm({"algorithm": "ed25519"})
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return algos.SignedDigestAlgorithm({"algorithm": "sha256_ecdsa"})
    return algos.SignedDigestAlgorithm({"algorithm": "sha256_rsa", "parameters": Null()})


def _sign(key: PrivateKey, message: bytes) -> bytes:
    """Not `sign_raw`: tests need authorities with keys that nothing accepts."""
    if isinstance(key, SM2PrivateKey | Ed25519PrivateKey):
        return key.sign(message)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(message, ec.ECDSA(hashes.SHA256()))
    return key.sign(message, padding.PKCS1v15(), hashes.SHA256())


def _key_identifier(key: PublicKey) -> bytes:
    """SHA-1 of the key's bits (RFC 5280 section 4.2.1.2, method 1)."""
    return bytes(asn1_keys.PublicKeyInfo.load(spki_of(key)).sha1)


def _authority_key_identifier(key: PublicKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier(_key_identifier(key), None, None)


def _extension(value: x509.ExtensionType, *, critical: bool) -> dict[str, object]:
    return {
        "extn_id": value.oid.dotted_string,
        "critical": critical,
        "extn_value": ParsableOctetString(value.public_bytes()),
    }


def _time(moment: datetime) -> asn1_x509.Time:
    """UTCTime to 2049, GeneralizedTime from 2050 (RFC 5280 section 4.1.2.5)."""
    utc = moment.astimezone(UTC).replace(microsecond=0)
    return asn1_x509.Time({"utc_time" if utc.year < _GENERALIZED_FROM else "general_time": utc})
