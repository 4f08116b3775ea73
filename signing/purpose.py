"""What a certificate may be believed for, and what each purpose demands of it: key usages, extended key usages, and the
kind of person that it names (RFC 5280 sections 4.2.1.3 and 4.2.1.12, ETSI EN 319 412-1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from cryptography.x509.oid import ExtendedKeyUsageOID

from signing.certificates import Certificate, IdentityKind
from signing.errors import CertificateWithoutIdentity, CertificateWrongPurpose


class Purpose(StrEnum):
    """What a certificate is believed for."""

    INSTITUTION = "INSTITUTION"
    """A bank or fund centre signs submissions and files."""
    PERSON = "PERSON"
    """A citizen signs files."""
    REGISTRAR = "REGISTRAR"
    """A registrar, a natural person, signs decisions."""
    OPERATOR = "OPERATOR"
    """An operator, a natural person, signs administrative acts."""
    REGISTRY = "REGISTRY"
    """A registry seals certificates."""
    TLS = "TLS"
    """A connection's two ends. Never a signature."""
    TSA = "TSA"
    """A time stamp authority (RFC 3161)."""


@dataclass(frozen=True)
class _Rule:
    """identity: the kind that the subject must name, None for no demand. allowed: extended key
    usages of which at least one must be present; forbidden: any of these refuses.
    without_extended: whether the extension may be absent.
    """

    identity: IdentityKind | None
    allowed: frozenset[str]
    forbidden: frozenset[str]
    without_extended: bool


_DOCUMENT_SIGNING: Final = "1.3.6.1.5.5.7.3.36"  # id-kp-documentSigning, RFC 9336
_SIGNING_USES: Final = frozenset(
    {
        _DOCUMENT_SIGNING,
        ExtendedKeyUsageOID.EMAIL_PROTECTION.dotted_string,
        "1.2.840.113583.1.1.5",  # Adobe authentic documents trust
        "1.3.6.1.4.1.311.10.3.12",  # Microsoft document signing
    }
)
_TLS_USES: Final = frozenset(
    {ExtendedKeyUsageOID.SERVER_AUTH.dotted_string, ExtendedKeyUsageOID.CLIENT_AUTH.dotted_string}
)
_TIME_STAMPING: Final = frozenset({ExtendedKeyUsageOID.TIME_STAMPING.dotted_string})
_NEVER_SIGNING: Final = (
    _TLS_USES
    | _TIME_STAMPING
    | {
        ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE.dotted_string,
        ExtendedKeyUsageOID.CODE_SIGNING.dotted_string,
        ExtendedKeyUsageOID.OCSP_SIGNING.dotted_string,
    }
)


def _signing(identity: IdentityKind) -> _Rule:
    return _Rule(identity, _SIGNING_USES, _NEVER_SIGNING, without_extended=True)


_RULES: Final[Mapping[Purpose, _Rule]] = {
    Purpose.INSTITUTION: _signing(IdentityKind.LEGAL),
    Purpose.PERSON: _signing(IdentityKind.NATURAL),
    Purpose.REGISTRAR: _signing(IdentityKind.NATURAL),
    Purpose.OPERATOR: _signing(IdentityKind.NATURAL),
    Purpose.REGISTRY: _signing(IdentityKind.LEGAL),
    Purpose.TLS: _Rule(None, _TLS_USES, frozenset(), without_extended=False),
    Purpose.TSA: _Rule(None, _TIME_STAMPING, _NEVER_SIGNING - _TIME_STAMPING, without_extended=False),
}


def check_purpose(leaf: Certificate, purpose: Purpose) -> None:
    """Raise `CertificateWrongPurpose` or `CertificateWithoutIdentity` unless the certificate may be used for it."""
    rule = _RULES[purpose]
    if leaf.is_ca:
        raise CertificateWrongPurpose(
            f"{leaf.subject!r} is an authority's certificate; it may not sign for {purpose.value}",
            fingerprint=leaf.fingerprint,
        )
    if leaf.key_usages is None or not leaf.key_usages & {"digital_signature", "content_commitment"}:
        raise CertificateWrongPurpose(
            f"{leaf.subject!r} lacks keyUsage digitalSignature or nonRepudiation",
            fingerprint=leaf.fingerprint,
        )
    if "key_cert_sign" in leaf.key_usages:
        raise CertificateWrongPurpose(
            f"{leaf.subject!r} claims keyUsage keyCertSign without being an authority (RFC 5280 section 4.2.1.9)",
            fingerprint=leaf.fingerprint,
        )
    extended = leaf.extended_key_usages
    if extended is None:
        fits = rule.without_extended
    else:
        fits = bool(extended & rule.allowed) and not extended & rule.forbidden
    if not fits:
        shown = "none" if extended is None else ", ".join(sorted(extended))
        raise CertificateWrongPurpose(
            f"extended key usages of {leaf.subject!r} ({shown}) do not allow {purpose.value}",
            fingerprint=leaf.fingerprint,
        )
    if purpose is Purpose.TSA and extended != _TIME_STAMPING:
        raise CertificateWrongPurpose(
            f"{leaf.subject!r}: timeStamping must be the only extended key usage (RFC 3161 section 2.3)",
            fingerprint=leaf.fingerprint,
        )
    if rule.identity is None:
        return
    if leaf.identity is None:
        raise CertificateWithoutIdentity(
            f"{leaf.subject!r} holds no single identity number in the form of ETSI EN 319 412-1",
            fingerprint=leaf.fingerprint,
        )
    if leaf.identity.kind is not rule.identity:
        raise CertificateWrongPurpose(
            f"{leaf.subject!r} names a {leaf.identity.kind.value} person; {purpose.value} needs a "
            f"{rule.identity.value} one",
            fingerprint=leaf.fingerprint,
        )
