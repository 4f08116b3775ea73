"""OCSP (RFC 6960): questions to a responder, and its answers, read and authenticated.

An answer counts when the authority itself signed it, or a delegate that the same authority certified directly for
this one thing (id-kp-OCSPSigning, section 4.2.2.2). Who is meant is matched by the SHA-1 or SHA-256 hashes of the
issuer's name and key; SHA-1 only names here, nothing is signed by it. `unknown` is no good answer, and neither is one
whose critical extensions we do not understand. An answer is a statement about its own instant: what it says now is
for `revocation.py` to weigh, which also decides whether the delegate itself is to be believed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from asn1crypto import core, ocsp
from asn1crypto import x509 as asn1_x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from signing.algorithms import check_key
from signing.certificates import Certificate, parse_certificate
from signing.chains import check_authority_signature, find_chain
from signing.errors import SigningError, TrustStoreInvalid

OCSP_BYTES_MAX: Final = 128 * 1024
STATEMENTS_MAX: Final = 64
"""Of one answer; a responder that was asked about one certificate may add a few others."""
CERTIFICATES_MAX: Final = 8
ANSWERS_KEPT_READ: Final = 8192
FRESH_WITHOUT_NEXT: Final = timedelta(hours=1)
"""How long an answer without nextUpdate is believed: it says that a newer one can be had at any time."""

_OCSP_SIGNING: Final = ExtendedKeyUsageOID.OCSP_SIGNING.dotted_string
_HASHES: Final = frozenset({"sha1", "sha256"})
_KNOWN: Final = frozenset({"nonce"})
_NO_CHECK: Final = "ocsp_no_check"


@dataclass(frozen=True)
class Delegate:
    """The certificate of a responder that is not the authority itself.

    unchecked: it carries id-pkix-ocsp-nocheck, so its authority vouches for it as long as it is valid.
    """

    issuer_key_id: str
    certificate: Certificate
    unchecked: bool


@dataclass(frozen=True)
class Statement:
    """What an answer says of one certificate.

    until: to when it speaks, at most as long as its delegate's certificate is valid. revoked_since: None unless
    revoked; the earlier of revocation and invalidity date. known: False where the responder does not know the
    certificate.
    """

    issuer_key_id: str
    serial: int
    this_update: datetime
    until: datetime
    revoked_since: datetime | None
    known: bool
    delegate: Delegate | None


def read_answer(der: bytes, issuers: Sequence[Certificate]) -> tuple[Statement, ...]:
    """The statements of a DER OCSPResponse about certificates of `issuers`; each is authenticated.

    Raises `TrustStoreInvalid`: unreadable, not successful, about nobody known, or signed by no responder of theirs.
    """
    return _read_once(der, tuple(issuers))


@lru_cache(maxsize=ANSWERS_KEPT_READ)
def _read_once(der: bytes, issuers: tuple[Certificate, ...]) -> tuple[Statement, ...]:
    """Kept, for a trust store is made anew whenever one of its answers is."""
    if len(der) > OCSP_BYTES_MAX:
        raise TrustStoreInvalid(f"an OCSP answer of {len(der)} bytes; the limit is {OCSP_BYTES_MAX}")
    try:
        return _read(der, issuers)
    except TrustStoreInvalid:
        raise
    except Exception as error:  # a parser of foreign bytes, and lazy, may raise nearly anything
        raise _unreadable(error) from None


def make_question(subject_serial: int, issuer: Certificate, nonce: bytes) -> bytes:
    """A DER OCSPRequest about one certificate of `issuer`. nonce: 16 to 32 bytes (RFC 9654)."""
    question = ocsp.Request(
        {
            "req_cert": {
                # SHA-1 is what every responder knows; it names an issuer here, and protects nothing.
                "hash_algorithm": {"algorithm": "sha1", "parameters": core.Null()},
                "issuer_name_hash": _hash("sha1", issuer.subject_name),
                "issuer_key_hash": _hash("sha1", _key_bits(issuer)),
                "serial_number": subject_serial,
            }
        }
    )
    extension = {"extn_id": "nonce", "critical": False, "extn_value": core.OctetString(nonce)}
    tbs = {"request_list": [question], "request_extensions": [extension]}
    encoded: bytes = ocsp.OCSPRequest({"tbs_request": tbs}).dump()
    return encoded


def check_nonce(der: bytes, nonce: bytes) -> None:
    """An answer that repeats a nonce must repeat ours; many responders sign ahead and repeat none (RFC 9654 section 1).

    Raises `TrustStoreInvalid`.
    """
    try:
        extensions = _response_data(der)["tbs_response_data"]["response_extensions"]
        found = [one["extn_value"].parsed.native for one in extensions if one["extn_id"].native == "nonce"]
    except SigningError:
        raise
    except Exception as error:  # as in read_answer
        raise _unreadable(error) from None
    if found and found != [nonce]:
        raise TrustStoreInvalid("the OCSP answer is to another question: its nonce is not ours")


def _unreadable(error: Exception) -> TrustStoreInvalid:
    """By the kind of the error alone: some of the library's cannot even be written out, of a number without end."""
    return TrustStoreInvalid(f"an OCSP answer cannot be read ({type(error).__name__})")


def _response_data(der: bytes) -> Any:
    response = ocsp.OCSPResponse.load(der, strict=True)
    status = response["response_status"].native
    if status != "successful":
        raise TrustStoreInvalid(f"the OCSP responder refused: {status}")
    if response["response_bytes"]["response_type"].native != "basic_ocsp_response":
        raise TrustStoreInvalid("the OCSP answer is not a basic one")
    return response["response_bytes"]["response"].parsed


def _read(der: bytes, issuers: Sequence[Certificate]) -> tuple[Statement, ...]:
    basic = _response_data(der)
    data = basic["tbs_response_data"]
    if len(data["responses"]) > STATEMENTS_MAX:
        raise TrustStoreInvalid(f"an OCSP answer with more than {STATEMENTS_MAX} statements")
    _refuse_critical(data["response_extensions"], "the OCSP answer")
    signers: dict[str, Delegate | None] = {}
    statements = []
    for single in data["responses"]:
        issuer = _issuer_of(single["cert_id"], issuers)
        if issuer is None:
            continue
        if issuer.key_id not in signers:
            signers[issuer.key_id] = _authenticate(basic, issuer)
        statements.append(_statement(single, issuer, signers[issuer.key_id]))
    if not statements:
        raise TrustStoreInvalid("the OCSP answer is about no certificate of a known authority")
    return tuple(statements)


def _statement(single: Any, issuer: Certificate, delegate: Delegate | None) -> Statement:
    _refuse_critical(single["single_extensions"], "a statement of the OCSP answer")
    status = single["cert_status"]
    since: datetime | None = None
    if status.name == "revoked":
        since = status.chosen["revocation_time"].native
        invalid = single.invalidity_date_value
        if invalid is not None:
            since = min(since, invalid.native)
    begin: datetime = single["this_update"].native
    until: datetime = single["next_update"].native or begin + FRESH_WITHOUT_NEXT
    if (
        delegate is not None
    ):  # when the answer was made its own responder says, and so could whoever has an old key
        until = min(until, delegate.certificate.not_after)
    if until < begin:
        raise TrustStoreInvalid("an OCSP statement ends, or its responder's certificate, before it begins")
    return Statement(
        issuer_key_id=issuer.key_id,
        serial=single["cert_id"]["serial_number"].native,
        this_update=begin,
        until=until,
        revoked_since=since,
        known=status.name != "unknown",
        delegate=delegate,
    )


def _issuer_of(cert_id: Any, issuers: Sequence[Certificate]) -> Certificate | None:
    algorithm = cert_id["hash_algorithm"]["algorithm"].native
    if algorithm not in _HASHES:
        return None
    name, key = cert_id["issuer_name_hash"].native, cert_id["issuer_key_hash"].native
    for issuer in issuers:
        if _hash(algorithm, issuer.subject_name) == name and _hash(algorithm, _key_bits(issuer)) == key:
            return issuer
    return None


def _authenticate(basic: Any, issuer: Certificate) -> Delegate | None:
    """Who signed, as the answer names them: the issuer (None), or its delegate. Raises `TrustStoreInvalid`."""
    ders = list(basic["certs"])
    if len(ders) > CERTIFICATES_MAX:
        raise TrustStoreInvalid(f"an OCSP answer with more than {CERTIFICATES_MAX} certificates")
    produced_at: datetime = basic["tbs_response_data"]["produced_at"].native
    refused = ""
    for candidate in (issuer, *(parse_certificate(one.dump()) for one in ders)):
        if not _is_named(basic["tbs_response_data"]["responder_id"], candidate):
            continue
        try:
            check_authority_signature(
                candidate,
                basic["signature_algorithm"],
                basic["signature"].native,
                basic["tbs_response_data"].dump(),
            )
            return None if candidate == issuer else _delegate(candidate, issuer, produced_at)
        except (
            SigningError
        ) as error:  # its own message may name whom a certificate is of, and this one is logged
            refused = f"the responder's certificate {candidate.fingerprint} does not do ({_why(error)})"
    why = "it names a responder that is neither the authority nor in the answer"
    raise TrustStoreInvalid(f"the OCSP answer is not authentic: {refused or why}")


def _why(error: SigningError) -> str:
    return error.message if isinstance(error, TrustStoreInvalid) else error.reason


def _delegate(certificate: Certificate, issuer: Certificate, produced_at: datetime) -> Delegate:
    """Raises a `SigningError` unless the issuer itself made this certificate for OCSP, and it was valid then."""
    if certificate.is_ca or _OCSP_SIGNING not in (certificate.extended_key_usages or ()):
        raise TrustStoreInvalid("it is no delegate's: it lacks id-kp-OCSPSigning")
    check_key(certificate.public_key)
    # The authority is the anchor of this path whatever stands above it: a delegate is certified by it directly.
    find_chain(certificate, (), (issuer,), produced_at)
    parsed = asn1_x509.Certificate.load(certificate.der)
    names = {one["extn_id"].native for one in parsed["tbs_certificate"]["extensions"]}
    return Delegate(issuer.key_id, certificate, unchecked=_NO_CHECK in names)


def _is_named(responder: Any, candidate: Certificate) -> bool:
    if responder.name == "by_key":
        return bool(responder.chosen.native == _hash("sha1", _key_bits(candidate)))
    return bool(responder.chosen.untag().dump() == candidate.subject_name)


def _refuse_critical(extensions: Any, where: str) -> None:
    for one in extensions:  # an absent list is one without members
        if one["critical"].native and one["extn_id"].native not in _KNOWN:
            raise TrustStoreInvalid(f"{where} has a critical extension that is not understood")


def _key_bits(certificate: Certificate) -> bytes:
    """The key as certID and responderID hash it: the bits of the SubjectPublicKeyInfo without their header."""
    info = asn1_x509.Certificate.load(certificate.der)["tbs_certificate"]["subject_public_key_info"]
    return bytes(info["public_key"])


def _hash(name: str, data: bytes) -> bytes:
    return hashlib.new(name, data, usedforsecurity=False).digest()
