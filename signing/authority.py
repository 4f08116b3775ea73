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

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from signing.algorithms import Algorithm, PrivateKey, PublicKey
from signing.certificates import Certificate, certificates_to_pem, parse_certificate
from signing.errors import SignerUnusable
from signing.signer import LocalSigner

ANCHOR_DAYS: Final = 3650
LEAF_DAYS: Final = 730
CRL_DAYS: Final = 30
CLOCK_MARGIN: Final = timedelta(minutes=5)
"""Certificates begin this much before `now`, for clocks that differ."""


class KeyKind(StrEnum):
    """What key to make. The last two are for tests: nothing here accepts their signatures."""

    P256 = "P256"
    RSA_2048 = "RSA_2048"
    RSA_3072 = "RSA_3072"
    ED25519 = "ED25519"
    P384 = "P384"
    RSA_1024 = "RSA_1024"


def make_key(kind: KeyKind) -> PrivateKey:
    """A new private key from the operating system's random source."""
    match kind:
        case KeyKind.P256:
            return ec.generate_private_key(ec.SECP256R1())
        case KeyKind.P384:
            return ec.generate_private_key(ec.SECP384R1())
        case KeyKind.ED25519:
            return Ed25519PrivateKey.generate()
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
        key = serialization.load_pem_private_key((directory / f"{stem}.key.pem").read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | Ed25519PrivateKey):
            raise SignerUnusable(f"{stem}.key.pem holds a key of a kind that is not used here")
        loaded = x509.load_pem_x509_certificates((directory / f"{stem}.pem").read_bytes())
        ders = tuple(one.public_bytes(serialization.Encoding.DER) for one in loaded)
        return cls(key, ders)


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
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(x509.load_der_x509_certificate(self.der).subject)
            .last_update(now)
            .next_update(now + timedelta(days=days))
            .add_extension(x509.CRLNumber(int(now.timestamp())), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False
            )
        )
        for one in revoked:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder().serial_number(one.serial).revocation_date(one.since).build()
            )
        return builder.sign(key, _hash_for(key)).public_bytes(serialization.Encoding.DER)


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


def _hash_for(key: PrivateKey) -> hashes.SHA256 | None:
    return None if isinstance(key, Ed25519PrivateKey) else hashes.SHA256()


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
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin.astimezone(UTC).replace(microsecond=0))
        .not_valid_after(end.astimezone(UTC).replace(microsecond=0))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()),
            critical=False,
        )
    )
    for value, critical in extensions:
        builder = builder.add_extension(value, critical=critical)
    signed = builder.sign(authority_key, _hash_for(authority_key))
    return signed.public_bytes(serialization.Encoding.DER)
