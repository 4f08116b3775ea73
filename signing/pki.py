"""A PKI for development, demonstration and tests, made in code. Never for production.

One anchor and one issuing authority per purpose, and certificates of the shapes that the rest of
this package demands: natural and legal persons with the identity numbers of ETSI EN 319 412-1
(subject shapes of EN 319 412-2 and -3), registrars and operators as natural persons, a registry's
seal, both ends of TLS, a time stamp authority, and revocation lists. Where the extra `sm` is installed
there is the same once more in SM2, for all purposes but TLS (gRPC has no SM2): whoever brings an SM2 key
is certified there.

Every certificate is issued as of the `now` of the PKI; see `authority.py` for how one is made.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from signing import sm2
from signing.algorithms import PrivateKey
from signing.authority import (
    LEAF_DAYS,
    Authority,
    Credential,
    KeyKind,
    Revocation,
    authority_name,
    key_usage,
    make_authority,
    make_key,
)
from signing.certificates import parse_certificate
from signing.sm2 import SM2PrivateKey
from signing.trust import Purpose, TrustStore

__all__ = [
    "Authority",
    "Credential",
    "DevelopmentPKI",
    "KeyKind",
    "Revocation",
    "make_authority",
    "make_key",
]

_DOCUMENT_SIGNING: Final = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36")  # RFC 9336
"""Goes with emailProtection: NSS, and with it pdfsig, knows no document signing and asks for e-mail signing."""

_NATIONAL: Final = tuple(purpose for purpose in Purpose if purpose is not Purpose.TLS)


@dataclass(frozen=True)
class DevelopmentPKI:
    """An anchor and an issuing authority per purpose, and what they issue.

    Every `issue_*` takes `key` (default: a new P-256 key), `days` and `not_before` as
    `Authority.issue` does.
    """

    now: datetime
    anchors: Mapping[Purpose, Authority]
    issuing: Mapping[Purpose, Authority]
    national: DevelopmentPKI | None = None
    """The SM2 authorities, a PKI of its own."""

    @classmethod
    def create(cls, now: datetime) -> DevelopmentPKI:
        """A new PKI whose certificates begin at `now` (aware)."""
        national = cls._create(now, _NATIONAL, KeyKind.SM2, "SM2 ") if sm2.AVAILABLE else None
        return replace(cls._create(now, tuple(Purpose), KeyKind.P256), national=national)

    @classmethod
    def _create(
        cls, now: datetime, purposes: Sequence[Purpose], kind: KeyKind, suite: str = ""
    ) -> DevelopmentPKI:
        anchors = {}
        issuing = {}
        for purpose in purposes:
            label = f"{suite}{purpose.value.lower()}"
            anchors[purpose] = make_authority(f"Development anchor: {label}", now=now, key=make_key(kind))
            issuing[purpose] = anchors[purpose].make_intermediate(
                f"Development issuer: {label}", now=now, key=make_key(kind)
            )
        return cls(now, anchors, issuing)

    def issue_person(
        self,
        id_number: str,
        name: str,
        *,
        purpose: Purpose = Purpose.PERSON,
        scheme: str = "IDCCN",
        key: PrivateKey | None = None,
        days: int = LEAF_DAYS,
        not_before: datetime | None = None,
    ) -> Credential:
        """A natural person's signing certificate; `serialNumber` is SCHEME-ID_NUMBER."""
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
                x509.NameAttribute(NameOID.SURNAME, name[:1]),
                x509.NameAttribute(NameOID.GIVEN_NAME, name[1:] or name),
                x509.NameAttribute(NameOID.COMMON_NAME, name),
                x509.NameAttribute(NameOID.SERIAL_NUMBER, f"{scheme}-{id_number}"),
            ]
        )
        return self._signing(purpose, subject, key, days, not_before)

    def issue_institution(
        self,
        uscc: str,
        name: str,
        *,
        purpose: Purpose = Purpose.INSTITUTION,
        key: PrivateKey | None = None,
        days: int = LEAF_DAYS,
        not_before: datetime | None = None,
    ) -> Credential:
        """A bank's or fund centre's signing certificate; `organizationIdentifier` is NTRCN-USCC."""
        return self._signing(purpose, _legal_name(uscc, name), key, days, not_before)

    def issue_registrar(
        self,
        id_number: str,
        name: str,
        *,
        key: PrivateKey | None = None,
        days: int = LEAF_DAYS,
        not_before: datetime | None = None,
    ) -> Credential:
        """A registrar's personal signing certificate."""
        return self.issue_person(
            id_number, name, purpose=Purpose.REGISTRAR, key=key, days=days, not_before=not_before
        )

    def issue_operator(
        self,
        id_number: str,
        name: str,
        *,
        key: PrivateKey | None = None,
        days: int = LEAF_DAYS,
        not_before: datetime | None = None,
    ) -> Credential:
        """An operator's personal signing certificate."""
        return self.issue_person(
            id_number, name, purpose=Purpose.OPERATOR, key=key, days=days, not_before=not_before
        )

    def issue_seal(
        self,
        uscc: str,
        name: str,
        *,
        key: PrivateKey | None = None,
        days: int = LEAF_DAYS,
        not_before: datetime | None = None,
    ) -> Credential:
        """A registry's certificate for sealing PDF files."""
        return self.issue_institution(
            uscc, name, purpose=Purpose.REGISTRY, key=key, days=days, not_before=not_before
        )

    def issue_tls_server(
        self,
        dns_names: Sequence[str],
        ip_addresses: Sequence[str] = (),
        *,
        key: PrivateKey | None = None,
        days: int = LEAF_DAYS,
    ) -> Credential:
        """A TLS server's certificate for these names and addresses."""
        names: list[x509.GeneralName] = [x509.DNSName(one) for one in dns_names]
        names += [x509.IPAddress(ipaddress.ip_address(one)) for one in ip_addresses]
        return self._tls(authority_name(dns_names[0]), names, ExtendedKeyUsageOID.SERVER_AUTH, key, days)

    def issue_tls_client(
        self,
        uscc: str,
        name: str,
        *,
        dns_names: Sequence[str] = (),
        uris: Sequence[str] = (),
        key: PrivateKey | None = None,
        days: int = LEAF_DAYS,
    ) -> Credential:
        """A caller's TLS certificate. `uris` and `dns_names` are the anchored names it is known
        by.
        """
        names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(one) for one in uris]
        names += [x509.DNSName(one) for one in dns_names]
        return self._tls(_legal_name(uscc, name), names, ExtendedKeyUsageOID.CLIENT_AUTH, key, days)

    def issue_tsa(
        self, name: str = "Development time stamp authority", *, key: PrivateKey | None = None
    ) -> Credential:
        """A time stamp authority's certificate (RFC 3161 section 2.3)."""
        extensions = (
            (key_usage(authority=False), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), True),
        )
        private_key = key or make_key(KeyKind.P256)
        return self._issuer(Purpose.TSA, private_key).issue(
            authority_name(name), private_key, extensions, now=self.now
        )

    def make_crl(
        self,
        purpose: Purpose,
        revoked: Sequence[Credential] = (),
        *,
        since: datetime | None = None,
        now: datetime | None = None,
    ) -> bytes:
        """The revocation list of the purpose's issuing authority, naming the credentials given."""
        entries = [Revocation(one.certificate.serial, since or self.now) for one in revoked]
        return self.issuing[purpose].make_crl(entries, now=now or self.now)

    def make_crls(
        self,
        revoked: Sequence[Credential] = (),
        *,
        since: datetime | None = None,
        now: datetime | None = None,
    ) -> tuple[bytes, ...]:
        """One current list of every authority, anchors too; each names those of `revoked` it
        issued.
        """
        lists = []
        for authority in (*self.anchors.values(), *self.issuing.values()):
            issued = [
                Revocation(one.certificate.serial, since or self.now)
                for one in revoked
                if one.certificate.issuer_name == parse_certificate(authority.der).subject_name
            ]
            lists.append(authority.make_crl(issued, now=now or self.now))
        if self.national:
            lists += self.national.make_crls(revoked, since=since, now=now)
        return tuple(lists)

    def trust_store(self, crls: Sequence[bytes] = (), *, revocation_required: bool = False) -> TrustStore:
        """A store of all anchors of this PKI, of both suites. The issuing authorities are its intermediates."""
        suites = [self, self.national] if self.national else [self]
        return TrustStore(
            {
                purpose: tuple(one.anchors[purpose].der for one in suites if purpose in one.anchors)
                for purpose in Purpose
            },
            crls,
            tuple(authority.der for one in suites for authority in one.issuing.values()),
            revocation_required=revocation_required,
        )

    def save(self, directory: Path) -> None:
        """Keys (mode 0600) and certificates of all authorities, one folder a purpose; SM2 in `national`."""
        for purpose in self.anchors:
            folder = directory / purpose.value.lower()
            self.anchors[purpose].credential.write(folder, "anchor")
            self.issuing[purpose].credential.write(folder, "issuing")
        if self.national:
            self.national.save(directory / "national")

    @classmethod
    def load(cls, directory: Path, now: datetime) -> DevelopmentPKI:
        """What `save` wrote, to issue as of `now`. Raises `OSError` where a file is missing."""
        pki = cls._load(directory, now, tuple(Purpose))
        if not (directory / "national").exists():
            return pki
        return replace(pki, national=cls._load(directory / "national", now, _NATIONAL))

    @classmethod
    def _load(cls, directory: Path, now: datetime, purposes: Sequence[Purpose]) -> DevelopmentPKI:
        anchors = {}
        issuing = {}
        for purpose in purposes:
            folder = directory / purpose.value.lower()
            anchors[purpose] = Authority(Credential.read(folder, "anchor"), is_anchor=True)
            issuing[purpose] = Authority(Credential.read(folder, "issuing"), is_anchor=False)
        return cls(now, anchors, issuing)

    def _issuer(self, purpose: Purpose, key: PrivateKey) -> Authority:
        """The issuing authority of the key's suite: a path keeps to one."""
        if self.national and isinstance(key, SM2PrivateKey):
            return self.national.issuing[purpose]
        return self.issuing[purpose]

    def _signing(
        self,
        purpose: Purpose,
        subject: x509.Name,
        key: PrivateKey | None,
        days: int,
        not_before: datetime | None,
    ) -> Credential:
        extensions = (
            (key_usage(authority=False), True),
            (x509.ExtendedKeyUsage([_DOCUMENT_SIGNING, ExtendedKeyUsageOID.EMAIL_PROTECTION]), False),
        )
        private_key = key or make_key(KeyKind.P256)
        return self._issuer(purpose, private_key).issue(
            subject, private_key, extensions, now=self.now, days=days, not_before=not_before
        )

    def _tls(
        self,
        subject: x509.Name,
        names: Sequence[x509.GeneralName],
        usage: x509.ObjectIdentifier,
        key: PrivateKey | None,
        days: int,
    ) -> Credential:
        extensions: list[tuple[x509.ExtensionType, bool]] = [
            (key_usage(authority=False, commitment=False), True),
            (x509.ExtendedKeyUsage([usage]), False),
        ]
        if names:
            extensions.append((x509.SubjectAlternativeName(names), False))
        private_key = key or make_key(KeyKind.P256)
        return self.issuing[Purpose.TLS].issue(subject, private_key, extensions, now=self.now, days=days)


def _legal_name(uscc: str, name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, name),
            x509.NameAttribute(NameOID.ORGANIZATION_IDENTIFIER, f"NTRCN-{uscc}"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
