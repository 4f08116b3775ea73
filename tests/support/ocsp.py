"""OCSP answers for tests, as of any time. Real responders are asked in `tests/interop/test_ocsp_openssl.py`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from asn1crypto import core, ocsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from signing.authority import Authority, Credential, authority_name, key_usage, make_key
from signing.pki import KeyKind
from signing.sm2 import SM2_WITH_SM3_OID, SM2PrivateKey
from tests.support.pki import NOW

DAY = timedelta(days=1)


def responder(
    authority: Authority,
    *,
    usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.OCSP_SIGNING,
    no_check: bool = True,
    begins: datetime = NOW,
    kind: KeyKind = KeyKind.P256,
) -> Credential:
    """A delegate's certificate of this authority."""
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (key_usage(authority=False), True),
        (x509.ExtendedKeyUsage([usage]), False),
    ]
    if no_check:
        extensions.append((x509.OCSPNoCheck(), False))
    return authority.issue(authority_name("responder"), make_key(kind), extensions, now=begins, days=30)


def answer(
    subject: Credential,
    issuer: Authority,
    *,
    by: Credential | None = None,
    status: str = "good",
    since: datetime | None = None,
    now: datetime = NOW,
    until: datetime | None = NOW + DAY,
    names_by: str = "sha1",
    weak: bool = False,
    by_name: bool = False,
    nonce: bytes | None = None,
    carries: Sequence[bytes] | None = None,
    critical: bool = False,
    named: Credential | None = None,
    produced: datetime | None = None,
    also: Sequence[tuple[Credential, Authority]] = (),
) -> bytes:
    """An answer about `subject` (status good, revoked or unknown), signed by its issuer or by the delegate `by`.

    also: others, with their issuers, that it says to be good.
    """
    signer = by or issuer.credential
    own = asn1_x509.Certificate.load((named or signer).certificates[0])
    others = [
        {
            "cert_id": _cert_id(one, of, names_by),
            "cert_status": ocsp.CertStatus("good", core.Null()),
            "this_update": now,
            "next_update": until,
        }
        for one, of in also
    ]
    single: dict[str, Any] = {
        "cert_id": _cert_id(subject, issuer, names_by),
        "cert_status": ocsp.CertStatus(status, _said(status, since or now)),
        "this_update": now,
        "next_update": until,
    }
    if critical:
        single["single_extensions"] = [
            {"extn_id": "1.2.3.4", "critical": True, "extn_value": core.Null().dump()}
        ]
    name, value = ("by_name", own.subject) if by_name else ("by_key", own.public_key.sha1)
    data = ocsp.ResponseData(
        {
            "responder_id": ocsp.ResponderId(name, value),
            "produced_at": produced or now,
            "responses": [single, *others],
            "response_extensions": None
            if nonce is None
            else [{"extn_id": "nonce", "extn_value": core.OctetString(nonce)}],
        }
    )
    ders = [signer.certificates[0]] if carries is None and by is not None else list(carries or ())
    algorithm, signature = _signed(signer, data.dump(), weak=weak)
    basic = {
        "tbs_response_data": data,
        "signature_algorithm": {"algorithm": algorithm},
        "signature": signature,
        "certs": [asn1_x509.Certificate.load(one) for one in ders] or None,
    }
    return made(ocsp.BasicOCSPResponse(basic))


def _cert_id(subject: Credential, issuer: Authority, names_by: str) -> dict[str, Any]:
    above = asn1_x509.Certificate.load(issuer.der)
    return {
        "hash_algorithm": {"algorithm": names_by},
        "issuer_name_hash": getattr(above.subject, names_by),
        "issuer_key_hash": getattr(above.public_key, names_by),
        "serial_number": subject.certificate.serial,
    }


def _signed(signer: Credential, data: bytes, *, weak: bool) -> tuple[str, bytes]:
    key = signer.private_key
    if isinstance(key, SM2PrivateKey):
        return SM2_WITH_SM3_OID, key.sign(data)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    if weak:
        return "sha224_ecdsa", key.sign(data, ec.ECDSA(hashes.SHA224()))
    return "sha256_ecdsa", key.sign(data, ec.ECDSA(hashes.SHA256()))


def made(basic: ocsp.BasicOCSPResponse) -> bytes:
    """A whole response around a basic one."""
    shell = {"response_type": "basic_ocsp_response", "response": basic}
    der: bytes = ocsp.OCSPResponse({"response_status": "successful", "response_bytes": shell}).dump()
    return der


def _said(status: str, since: datetime) -> Any:
    return {"revocation_time": since} if status == "revoked" else core.Null()
