"""Certificate revocation lists: read, authenticated by their issuer's key, and indexed for a lookup
per request.

A list counts only together with its issuer's certificate, so a store refuses one whose issuer it
does not know. Of several lists of one issuer and scope the newest decides (a lifted hold is
lifted). A certificate is revoked from the earlier of its revocation date and its invalidity date
(RFC 5280 sections 5.3.2 and 5.3.3): a key known to be stolen since Monday does not sign on Tuesday
because the list came on Wednesday. Delta and indirect lists, and scopes that leave out reasons, are
refused by name rather than half understood. OCSP answers will be a second source beside this one,
behind the same two questions: `revoked_since` and `current_until`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import ExtensionOID

from signing.certificates import Certificate, signs_list
from signing.errors import TrustStoreInvalid

CRL_BYTES_MAX: Final = 64 * 1024 * 1024
LONG_AGO: Final = datetime(1, 1, 1, tzinfo=UTC)

_KNOWN_CRITICAL: Final = frozenset({ExtensionOID.ISSUING_DISTRIBUTION_POINT})


@dataclass(frozen=True)
class _RevocationList:
    this_update: datetime
    next_update: datetime | None
    revoked: dict[int, datetime]


class RevocationIndex:
    """Who is revoked, by the key id of the issuer and the serial number. Immutable once made."""

    def __init__(self, crls: Iterable[bytes], issuers: Iterable[Certificate]) -> None:
        """Read and authenticate each DER list. Raises `TrustStoreInvalid` naming the list by its
        position.
        """
        by_name: dict[bytes, list[Certificate]] = {}
        for issuer in issuers:
            by_name.setdefault(issuer.subject_name, []).append(issuer)
        newest: dict[tuple[str, bytes], _RevocationList] = {}
        for position, der in enumerate(crls):
            key_id, scope, read = _read(position, der, by_name)
            known = newest.get((key_id, scope))
            if known is None or known.this_update <= read.this_update:
                newest[(key_id, scope)] = read
        self._lists: dict[str, list[_RevocationList]] = {}
        for (key_id, _), read in newest.items():
            self._lists.setdefault(key_id, []).append(read)

    def revoked_since(self, issuer_key_id: str, serial: int) -> datetime | None:
        """From when the certificate counts as revoked, or None where no list names it."""
        lists = self._lists.get(issuer_key_id)
        if lists is None:
            return None
        dates = [one.revoked[serial] for one in lists if serial in one.revoked]
        return min(dates) if dates else None

    def current_until(self, issuer_key_id: str, grace: timedelta) -> datetime:
        """Until when this issuer's newest list speaks: its next update, plus `grace`.

        Long ago where there is no list, or none that says when the next one comes.
        """
        return max(
            (
                one.next_update + grace
                for one in self._lists.get(issuer_key_id, ())
                if one.next_update is not None
            ),
            default=LONG_AGO,
        )


def _read(
    position: int, der: bytes, by_name: dict[bytes, list[Certificate]]
) -> tuple[str, bytes, _RevocationList]:
    if len(der) > CRL_BYTES_MAX:
        raise TrustStoreInvalid(f"CRL {position} has {len(der)} bytes; the limit is {CRL_BYTES_MAX}")
    try:
        crl = x509.load_der_x509_crl(der)
        scope = _scope(position, crl)
        issuer = _issuer_of(position, crl, by_name)
        read = _RevocationList(
            this_update=crl.last_update_utc,
            next_update=crl.next_update_utc,
            revoked={entry.serial_number: _revoked_since(position, entry) for entry in crl},
        )
    except (
        ValueError,
        TypeError,
        UnsupportedAlgorithm,
        x509.DuplicateExtension,
        x509.InvalidVersion,
        x509.UnsupportedGeneralNameType,
    ) as error:
        raise TrustStoreInvalid(f"CRL {position} cannot be read: {error}") from error
    return issuer.key_id, scope, read


def _scope(position: int, crl: x509.CertificateRevocationList) -> bytes:
    """What part of the issuer's certificates the list is about: the DER of its distribution point,
    or empty.
    """
    scope = b""
    for extension in crl.extensions:
        if extension.oid == ExtensionOID.DELTA_CRL_INDICATOR:
            raise TrustStoreInvalid(f"CRL {position} is a delta list: give complete lists")
        if extension.critical and extension.oid not in _KNOWN_CRITICAL:
            raise TrustStoreInvalid(
                f"CRL {position} has the critical extension {extension.oid.dotted_string}, "
                "which is not understood"
            )
        value = extension.value
        if isinstance(value, x509.IssuingDistributionPoint):
            if value.indirect_crl or value.only_some_reasons or value.only_contains_attribute_certs:
                raise TrustStoreInvalid(f"CRL {position} is indirect or partial: give complete direct lists")
            scope = value.public_bytes()
    return scope


def _issuer_of(
    position: int, crl: x509.CertificateRevocationList, by_name: dict[bytes, list[Certificate]]
) -> Certificate:
    for candidate in by_name.get(crl.issuer.public_bytes(), ()):
        if candidate.key_usages is not None and "crl_sign" not in candidate.key_usages:
            continue
        if signs_list(candidate, crl):
            return candidate
    raise TrustStoreInvalid(
        f"CRL {position} of {crl.issuer.rfc4514_string()} is signed by no anchor or "
        "intermediate of the store: "
        "add its issuer's certificate to the intermediates"
    )


def _revoked_since(position: int, entry: x509.RevokedCertificate) -> datetime:
    since = entry.revocation_date_utc
    for extension in entry.extensions:
        if isinstance(extension.value, x509.InvalidityDate):
            since = min(since, extension.value.invalidity_date_utc)
        elif extension.oid == x509.oid.CRLEntryExtensionOID.CERTIFICATE_ISSUER:
            raise TrustStoreInvalid(f"CRL {position} is indirect: give complete direct lists")
    return since
