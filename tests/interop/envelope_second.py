"""A second implementation of docs/envelope-format.md: one file, standard library and
`cryptography`, nothing of ours.

Written from the document. It verifies a JSON envelope against a trust given as plain JSON and
either returns who signed or raises `Refused` with the document's reason. As a program it reads an
envelope and a trust file: ``python envelope_second.py ENVELOPE.json TRUST.json PURPOSE TIME``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

ALGORITHMS = {"ECDSA_P256_SHA256", "RSA_PSS_SHA256", "RSA_PKCS1_SHA256", "ED25519"}
SIGNING_USES = {
    "1.3.6.1.5.5.7.3.36",
    "1.3.6.1.5.5.7.3.4",
    "1.2.840.113583.1.1.5",
    "1.3.6.1.4.1.311.10.3.12",
}
NEVER = {f"1.3.6.1.5.5.7.3.{n}" for n in (1, 2, 3, 8, 9)} | {"2.5.29.37.0"}
BATCH_TYPE = "application/vnd.diya.batch.v1"
LEGAL_PURPOSES = {"INSTITUTION", "REGISTRY"}
PATH_MAX = 6


class Refused(Exception):  # the document's word
    """The envelope does not hold; `reason` is the document's code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def encode(payload_type: str, payload: bytes) -> bytes:
    """Section 2: the bytes that are signed."""
    kind = payload_type.encode("utf-8")
    parts = [b"DSSEv1", str(len(kind)).encode(), kind, str(len(payload)).encode(), payload]
    return b" ".join(parts)


def verify(text: str, trust: dict[str, Any], purpose: str, at: datetime) -> list[tuple[str, str]]:
    """Section 7, in its order. Returns (kind of identity number, number) of each signer."""
    payload_type, payload, signatures = read(text)
    message = encode(payload_type, payload)
    used: set[str] = set()
    signers = []
    for key_id, algorithm, ders, value, batch in signatures:
        if algorithm not in ALGORITHMS:
            raise Refused("ALGORITHM_UNKNOWN")
        certificates = [load(der) for der in ders]
        leaf = certificates[0]
        if key_id != key_id_of(leaf):
            raise Refused("KEY_ID_MISMATCH")
        if key_id in used:
            raise Refused("SIGNATURE_DUPLICATE")
        used.add(key_id)
        signers.append(check_purpose(leaf, purpose))
        check_key(leaf)
        check_chain(leaf, certificates[1:], trust, purpose, at)
        check_value(leaf, algorithm, value, message if batch is None else batch_message(message, *batch))
    return signers


Batch = tuple[int, int, list[bytes]]


def read(text: str) -> tuple[str, bytes, list[tuple[str, str, list[bytes], bytes, Batch | None]]]:
    """Section 5 and the limits of section 1."""
    try:
        raw = json.loads(text)
        payload = unbase64(raw["payload"])
        signatures = [
            (
                one["keyid"],
                one["alg"],
                [unbase64(der) for der in one["certs"]],
                unbase64(one["sig"]),
                read_batch(one.get("batch")),
            )
            for one in raw["signatures"]
        ]
        payload_type = raw["payloadType"]
        well = (
            re.fullmatch(r"[\x21-\x7e]{1,255}", payload_type)
            and payload_type != BATCH_TYPE
            and 0 < len(payload) <= 4 * 1024 * 1024
            and 1 <= len(signatures) <= 16
            and all(
                re.fullmatch(r"[0-9a-f]{64}", key_id)
                and 1 <= len(algorithm) <= 64
                and 1 <= len(ders) <= 6
                and all(0 < len(der) <= 16 * 1024 for der in ders)
                and 0 < len(value) <= 1024
                and (
                    batch is None
                    or (
                        0 <= batch[0] < batch[1] <= 65536
                        and len(batch[2]) <= 16
                        and all(len(one) == 32 for one in batch[2])
                    )
                )
                for key_id, algorithm, ders, value, batch in signatures
            )
        )
    except (ValueError, KeyError, TypeError) as error:
        raise Refused("ENVELOPE_MALFORMED") from error
    if not well:
        raise Refused("ENVELOPE_MALFORMED")
    return payload_type, payload, signatures


def read_batch(value: Any) -> Batch | None:
    """Section 6: the path of a signature of a batch."""
    if value is None:
        return None
    return value["index"], value["size"], [unbase64(one) for one in value["hashes"]]


def batch_message(message: bytes, index: int, size: int, hashes_: list[bytes]) -> bytes:
    """Section 6: what was signed for the batch to whose root the path leads, by the definition of RFC 9162's tree."""
    path = list(hashes_)

    def root(index: int, size: int) -> bytes:
        if size == 1:
            return hashlib.sha256(b"\x00" + message).digest()
        left = 1 << ((size - 1).bit_length() - 1)
        if index < left:
            below = root(index, left)
            return hashlib.sha256(b"\x01" + below + path.pop(0)).digest()
        below = root(index - left, size - left)
        return hashlib.sha256(b"\x01" + path.pop(0) + below).digest()

    try:
        top = root(index, size)
    except IndexError:
        raise Refused("SIGNATURE_INVALID") from None
    if path:
        raise Refused("SIGNATURE_INVALID")
    return encode(BATCH_TYPE, size.to_bytes(8, "big") + top)


def unbase64(text: str) -> bytes:
    """Both alphabets, padded, nothing else."""
    if re.search(r"[-_]", text) and re.search(r"[+/]", text):
        raise ValueError("mixed alphabets")
    return base64.b64decode(text.translate(str.maketrans("-_", "+/")), validate=True)


def load(der: bytes) -> x509.Certificate:
    """One DER certificate."""
    try:
        return x509.load_der_x509_certificate(der)
    except ValueError as error:
        raise Refused("CERTIFICATE_MALFORMED") from error


def key_id_of(certificate: x509.Certificate) -> str:
    """Section 3."""
    der = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(der).hexdigest()


def extension(certificate: x509.Certificate, kind: Any) -> Any:
    """The value of an extension, or None."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether it may issue certificates."""
    constraints = extension(certificate, x509.BasicConstraints)
    return bool(constraints and constraints.ca)


def check_purpose(leaf: x509.Certificate, purpose: str) -> tuple[str, str]:
    """Section 7, check 5: usages and identity."""
    usage = extension(leaf, x509.KeyUsage)
    signs = usage is not None and (usage.digital_signature or usage.content_commitment)
    extended = extension(leaf, x509.ExtendedKeyUsage)
    uses = None if extended is None else {one.dotted_string for one in extended}
    if is_authority(leaf) or not signs:
        raise Refused("CERTIFICATE_WRONG_PURPOSE")
    if uses is not None and (not uses & SIGNING_USES or uses & NEVER):
        raise Refused("CERTIFICATE_WRONG_PURPOSE")
    kind, scheme_number = identity_of(leaf)
    if (kind == "LEGAL") is not (purpose in LEGAL_PURPOSES):
        raise Refused("CERTIFICATE_WRONG_PURPOSE")
    return scheme_number


def identity_of(leaf: x509.Certificate) -> tuple[str, tuple[str, str]]:
    """Section 3: a natural person's number before a legal person's, and only one of its kind."""
    for kind, oid, schemes in (
        ("NATURAL", "2.5.4.5", "PAS|IDC|PNO|TIN|TAX"),
        ("LEGAL", "2.5.4.97", "VAT|NTR|PSD|LEI"),
    ):
        values = [str(one.value) for one in leaf.subject if one.oid.dotted_string == oid]
        form = re.compile(rf"((?:{schemes})[A-Z]{{2}})-([0-9A-Za-z./-]{{1,64}})")
        found = [match for value in values if (match := form.fullmatch(value))]
        if len(found) == 1:
            return kind, (found[0].group(1), found[0].group(2))
        if found:
            break
    raise Refused("CERTIFICATE_WITHOUT_IDENTITY")


def check_key(leaf: x509.Certificate) -> None:
    """Section 4: which keys are accepted."""
    key = leaf.public_key()
    fits = (
        (isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in ("secp256r1", "secp384r1"))
        or (isinstance(key, rsa.RSAPublicKey) and 2048 <= key.key_size <= 4096)
        or isinstance(key, ed25519.Ed25519PublicKey)
    )
    if not fits:
        raise Refused("ALGORITHM_REFUSED")


def check_chain(
    leaf: x509.Certificate,
    extra: list[x509.Certificate],
    trust: dict[str, Any],
    purpose: str,
    at: datetime,
) -> None:
    """Section 7, check 5: a path to an anchor, then times, then revocation lists."""
    anchors = [load(base64.b64decode(one)) for one in trust["anchors"][purpose]]
    middle = extra + [load(base64.b64decode(one)) for one in trust["intermediates"]]
    path = find_path([leaf], middle, anchors)
    if path is None:
        raise Refused("CERTIFICATE_UNKNOWN_ISSUER")
    for one in path:
        if at < one.not_valid_before_utc:
            raise Refused("CERTIFICATE_NOT_YET_VALID")
        if at > one.not_valid_after_utc:
            raise Refused("CERTIFICATE_EXPIRED")
    lists = [x509.load_der_x509_crl(base64.b64decode(one)) for one in trust["crls"]]
    for one, issuer in pairwise(path):
        for crl in lists:
            if crl.issuer != issuer.subject or not crl.is_signature_valid(issuer.public_key()):  # type: ignore[arg-type]
                continue
            entry = crl.get_revoked_certificate_by_serial_number(one.serial_number)
            if entry is not None and entry.revocation_date_utc <= at:
                raise Refused("CERTIFICATE_REVOKED")


def find_path(
    path: list[x509.Certificate], middle: list[x509.Certificate], anchors: list[x509.Certificate]
) -> list[x509.Certificate] | None:
    """Leaf to anchor, depth first. Name constraints and policies are left to the first
    implementation.
    """
    for issuer in anchors + (middle if len(path) < PATH_MAX else []):
        if issuer in path or not is_authority(issuer):
            continue
        try:
            path[-1].verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature):
            continue
        if issuer in anchors:
            return [*path, issuer]
        longer = find_path([*path, issuer], middle, anchors)
        if longer is not None:
            return longer
    return None


ECDSA = {
    ("ECDSA_P256_SHA256", "secp256r1"): hashes.SHA256(),
    ("ECDSA_P384_SHA384", "secp384r1"): hashes.SHA384(),
}


def check_value(leaf: x509.Certificate, algorithm: str, value: bytes, message: bytes) -> None:
    """Section 4: the signature value."""
    key = leaf.public_key()
    sha256 = hashes.SHA256()
    try:
        if isinstance(key, ec.EllipticCurvePublicKey) and (algorithm, key.curve.name) in ECDSA:
            key.verify(value, message, ec.ECDSA(ECDSA[algorithm, key.curve.name]))
        elif algorithm == "RSA_PSS_SHA256" and isinstance(key, rsa.RSAPublicKey):
            key.verify(value, message, padding.PSS(padding.MGF1(sha256), 32), sha256)
        elif algorithm == "RSA_PKCS1_SHA256" and isinstance(key, rsa.RSAPublicKey):
            key.verify(value, message, padding.PKCS1v15(), sha256)
        elif algorithm == "ED25519" and isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(value, message)
        else:
            raise Refused("ALGORITHM_REFUSED")
    except InvalidSignature as error:
        raise Refused("SIGNATURE_INVALID") from error


def main(arguments: list[str]) -> int:
    """Verify one file; 0 if it holds, 1 with the reason if not."""
    envelope, trust, purpose, time = arguments
    try:
        signers = verify(
            Path(envelope).read_text(encoding="utf-8"),
            json.loads(Path(trust).read_text(encoding="utf-8")),
            purpose,
            datetime.fromisoformat(time),
        )
    except Refused as refused:
        print(refused.reason)
        return 1
    for scheme, number in signers:
        print(scheme, number)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
