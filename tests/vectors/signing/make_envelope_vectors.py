"""Makes `envelope.json`: `python -m tests.vectors.signing.make_envelope_vectors`, from the
repository's root.

Every case is a DSSE JSON envelope with what must come of it. Authorities' keys are new at each run;
the worked example's key is the published one of RFC 6979 A.2.5 with deterministic nonces, so that
anybody can make its signature again. README.md says what is independent of our code here and what
is not.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

from signing.algorithms import Algorithm
from signing.batch import BATCH_TYPE
from signing.envelope import (
    Envelope,
    EnvelopeSignature,
    envelope_to_json,
    pae,
    payload_digest,
)
from signing.pki import Credential, DevelopmentPKI, KeyKind, make_authority, make_key
from signing.signer import sign_batch, sign_envelope
from signing.trust import Purpose

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
TYPE = "application/vnd.diya.manifest.v1+protobuf"
PAYLOAD = "测试 manifest".encode()
USCC = "91999999MA00BANK1L"
PERSON_ID = "999999198001010011"
RFC6979_KEY = 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721

Cases = list[dict[str, Any]]


def main() -> None:
    """Write the file beside this program."""
    pki = replace(DevelopmentPKI.create(NOW), national=None)  # SM2 is in worked.json
    revoked = pki.issue_institution(USCC, "测试银行")
    bank = pki.issue_institution(USCC, "测试银行")
    cases: Cases = []
    _add_valid(cases, pki, bank)
    _add_altered(cases, pki, bank)
    _add_algorithms(cases, pki)
    _add_certificates(cases, pki, bank, revoked)
    _add_malformed(cases, bank)
    _add_batches(cases, bank)
    trust = pki.trust_store(pki.make_crls([revoked], since=NOW), revocation_required=True)
    document = {
        "description": "Envelopes of docs/envelope-format.md with what must come of each.",
        "pae": [_pae_case(*one) for one in _pae_inputs()],
        "trust": {
            "anchors": {
                purpose.value: [_base64(der) for der in ders] for purpose, ders in trust.anchors.items()
            },
            "intermediates": [_base64(der) for der in trust.intermediates],
            "crls": [_base64(der) for der in trust.crls],
        },
        "worked_example": _worked_example(pki),
        "cases": cases,
    }
    path = Path(__file__).with_name("envelope.json")
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _pae_inputs() -> list[tuple[str, bytes]]:
    return [
        ("http://example.com/HelloWorld", b"hello world"),  # the example of DSSE's protocol.md
        (TYPE, PAYLOAD),
        ("a/b", b""),
        ("a/b", b" "),
        ("a/b", bytes(range(256))),
        ("类型", b"type in UTF-8: never accepted, but encoded"),
    ]


def _pae_case(payload_type: str, payload: bytes) -> dict[str, str]:
    return {
        "payload_type": payload_type,
        "payload_hex": payload.hex(),
        "pae_hex": pae(payload_type, payload).hex(),
        "digest_hex": payload_digest(payload_type, payload).hex(),
    }


def _worked_example(pki: DevelopmentPKI) -> dict[str, Any]:
    """One envelope, all its parts in hex, with the key, so that each step can be followed."""
    key = ec.derive_private_key(RFC6979_KEY, ec.SECP256R1())
    credential = pki.issue_institution(USCC, "测试银行", key=key, days=3650)
    message = pae(TYPE, PAYLOAD)
    value = key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    envelope = Envelope(
        TYPE,
        PAYLOAD,
        (
            EnvelopeSignature(
                credential.certificate.key_id, "ECDSA_P256_SHA256", credential.certificates, value
            ),
        ),
    )
    r, s = decode_dss_signature(value)
    spki = credential.certificate.loaded.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return {
        "private_key_hex": f"{RFC6979_KEY:064x}",
        "payload_type": TYPE,
        "payload_hex": PAYLOAD.hex(),
        "pae_hex": message.hex(),
        "digest_hex": payload_digest(TYPE, PAYLOAD).hex(),
        "spki_hex": spki.hex(),
        "key_id": credential.certificate.key_id,
        "r_hex": f"{r:064x}",
        "s_hex": f"{s:064x}",
        "signature_hex": value.hex(),
        "envelope": json.loads(envelope_to_json(envelope)),
        "purpose": "INSTITUTION",
        "at": NOW.isoformat(),
    }


def _case(
    cases: Cases,
    name: str,
    rule: str,
    envelope: Envelope | dict[str, Any] | str,
    expect: str = "OK",
    *,
    purpose: Purpose = Purpose.INSTITUTION,
    at: datetime = NOW,
) -> None:
    """`envelope` as a string is the JSON text itself, for what no JSON encoder writes."""
    shown: Any = json.loads(envelope_to_json(envelope)) if isinstance(envelope, Envelope) else envelope
    cases.append(
        {
            "name": name,
            "rule": rule,
            "purpose": purpose.value,
            "at": at.isoformat(),
            "expect": expect,
            "envelope": shown,
        }
    )


def _signed(*credentials: Credential, algorithm: Algorithm | None = None) -> Envelope:
    return sign_envelope(TYPE, PAYLOAD, [one.signer(algorithm) for one in credentials])


def _with(envelope: Envelope, **changes: Any) -> Envelope:
    """The envelope with its first signature changed."""
    first = {
        "key_id": envelope.signatures[0].key_id,
        "algorithm": envelope.signatures[0].algorithm,
        "certificates": envelope.signatures[0].certificates,
        "signature": envelope.signatures[0].signature,
        "batch": envelope.signatures[0].batch,
        **changes,
    }
    rest = envelope.signatures[1:]
    return Envelope(envelope.payload_type, envelope.payload, (EnvelopeSignature(**first), *rest))


def _add_valid(cases: Cases, pki: DevelopmentPKI, bank: Credential) -> None:
    rsa = make_key(KeyKind.RSA_2048)
    rsa_bank = pki.issue_institution(USCC, "测试银行", key=rsa)
    edwards = pki.issue_institution(USCC, "测试银行", key=make_key(KeyKind.ED25519))
    _case(cases, "ecdsa", "P-256 with SHA-256, DER", _signed(bank))
    for algorithm in (Algorithm.RSA_PSS_SHA256, Algorithm.RSA_PKCS1_SHA256):
        name = algorithm.value.lower()
        _case(cases, name, "RSA of 2048 bits", _signed(rsa_bank, algorithm=algorithm))
    _case(cases, "ed25519", "pure Ed25519", _signed(edwards))
    _case(cases, "two-signers", "each of two keys signs the same bytes", _signed(bank, rsa_bank))
    _case(
        cases,
        "intermediate-from-the-store",
        "the intermediate may be left out where the verifier has it",
        _with(_signed(bank), certificates=bank.certificates[:1]),
    )
    person = pki.issue_person(PERSON_ID, "甲测试")
    _case(cases, "person", "a citizen", _signed(person), purpose=Purpose.PERSON)
    registrar = pki.issue_registrar(PERSON_ID, "登测试")
    _case(cases, "registrar", "a registrar", _signed(registrar), purpose=Purpose.REGISTRAR)


def _add_batches(cases: Cases, bank: Credential) -> None:
    batch = sign_batch([(TYPE, PAYLOAD + bytes([n])) for n in range(5)], bank.signer())
    invalid, malformed = "SIGNATURE_INVALID", "ENVELOPE_MALFORMED"

    def add(name: str, rule: str, n: int, expect: str = "OK", **changes: Any) -> None:
        path = batch[n].signatures[0].batch
        assert path is not None
        changed = _with(batch[n], batch=msgspec.structs.replace(path, **changes))
        _case(cases, f"batch-{name}", rule, changed, expect)

    for n in range(5):
        add(f"of-five-{n}", "each verifies alone", n)
    (alone,) = sign_batch([(TYPE, PAYLOAD)], bank.signer())
    _case(cases, "batch-of-one", "no hashes", alone)
    add("index", "another place", 1, invalid, index=2)
    add("size", "another size, and another tree", 1, invalid, size=4)
    add("short", "a hash is missing", 1, invalid, hashes=())
    add("long", "a hash too many", 4, invalid, hashes=(bytes(32),) * 3)
    add("hash", "another hash", 0, invalid, hashes=(bytes(32),) * 3)
    add("beyond", "index beyond the batch", 0, malformed, index=5)
    add("negative", "index below zero", 0, malformed, index=-1)
    add("too-large", "over 65,536 payloads", 0, malformed, size=65_537)
    add("too-deep", "over 16 hashes", 0, malformed, hashes=(bytes(32),) * 17)
    add("hash-size", "hashes have 32 bytes", 0, malformed, hashes=(bytes(31),) * 3)
    _case(
        cases, "batch-no-path", "the value is not one over the payload", _with(batch[0], batch=None), invalid
    )
    other = Envelope(TYPE, batch[1].payload, batch[0].signatures)
    _case(cases, "batch-neighbour", "the path of another payload", other, invalid)
    root = Envelope(BATCH_TYPE, bytes(40), batch[0].signatures)
    _case(cases, "batch-root-as-payload", "no envelope bears the type of a batch", root, malformed)


def _add_altered(cases: Cases, pki: DevelopmentPKI, bank: Credential) -> None:
    whole = _signed(bank)
    value = whole.signatures[0].signature
    flipped = bytes([PAYLOAD[0] ^ 1]) + PAYLOAD[1:]
    invalid = "SIGNATURE_INVALID"

    def add(name: str, rule: str, envelope: Envelope, expect: str = invalid) -> None:
        _case(cases, name, rule, envelope, expect)

    add("payload-bit", "one bit of the payload", Envelope(TYPE, flipped, whole.signatures))
    add("payload-longer", "one more byte", Envelope(TYPE, PAYLOAD + b"\0", whole.signatures))
    add("payload-type", "another type", Envelope(TYPE + "x", PAYLOAD, whole.signatures))
    add("signature-bit", "one bit of s", _with(whole, signature=value[:-1] + bytes([value[-1] ^ 1])))
    add("signature-truncated", "the last byte is missing", _with(whole, signature=value[:-1]))
    add("signature-trailing", "a byte after the DER", _with(whole, signature=value + b"\0"))
    r, s = decode_dss_signature(value)
    plain = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    add("signature-p1363", "r and s side by side instead of DER", _with(whole, signature=plain))
    raw = bank.signer().sign(PAYLOAD)
    add(
        "signed-payload-alone",
        "the payload was signed, not its encoding",
        _with(whole, signature=raw),
    )
    other = sign_envelope(TYPE, b"another payload", [bank.signer()])
    add(
        "signature-of-another",
        "moved from another envelope",
        _with(whole, signature=other.signatures[0].signature),
    )
    twice = Envelope(TYPE, PAYLOAD, whole.signatures * 2)
    add("duplicate", "one key, two signatures", twice, "SIGNATURE_DUPLICATE")
    renewed = pki.issue_institution(USCC, "测试银行", key=bank.private_key)
    add(
        "duplicate-renewed",
        "one key, two certificates",
        _signed(bank, renewed),
        "SIGNATURE_DUPLICATE",
    )
    second = pki.issue_institution(USCC, "测试银行")
    pair = _signed(bank, second)
    swapped = Envelope(
        TYPE,
        PAYLOAD,
        (
            pair.signatures[0],
            EnvelopeSignature(
                pair.signatures[1].key_id,
                pair.signatures[1].algorithm,
                pair.signatures[1].certificates,
                pair.signatures[0].signature,
            ),
        ),
    )
    add("second-invalid", "all signatures must hold, not one of them", swapped)
    add(
        "key-id-of-another",
        "key id of another key",
        _with(whole, key_id=second.certificate.key_id),
        "KEY_ID_MISMATCH",
    )
    order = _with(whole, certificates=bank.certificates[::-1])
    add(
        "certificates-reversed",
        "the signer's own certificate must come first",
        order,
        "KEY_ID_MISMATCH",
    )


def _add_algorithms(cases: Cases, pki: DevelopmentPKI) -> None:
    rsa_bank = pki.issue_institution(USCC, "测试银行", key=make_key(KeyKind.RSA_2048))
    pkcs1 = _signed(rsa_bank, algorithm=Algorithm.RSA_PKCS1_SHA256)
    pss = _signed(rsa_bank, algorithm=Algorithm.RSA_PSS_SHA256)
    bank = _signed(pki.issue_institution(USCC, "测试银行"))

    def add(name: str, rule: str, envelope: Envelope, expect: str) -> None:
        _case(cases, name, rule, envelope, expect)

    add(
        "pkcs1-as-pss",
        "the other padding",
        _with(pkcs1, algorithm="RSA_PSS_SHA256"),
        "SIGNATURE_INVALID",
    )
    add(
        "pss-as-pkcs1",
        "the other padding",
        _with(pss, algorithm="RSA_PKCS1_SHA256"),
        "SIGNATURE_INVALID",
    )
    for name in ("RSA_PSS_SHA256", "ED25519"):
        add(
            f"ecdsa-as-{name.lower()}",
            "another kind of key",
            _with(bank, algorithm=name),
            "ALGORITHM_REFUSED",
        )
    for name in ("none", "ecdsa_p256_sha256", "ECDSA_P256_SHA1", "SM2_SHA256", "HS256"):
        add(
            f"algorithm-{name.lower()}-{len(name)}",
            "not in the closed list",
            _with(bank, algorithm=name),
            "ALGORITHM_UNKNOWN",
        )
    p384 = pki.issue_institution(USCC, "测试银行", key=make_key(KeyKind.P384))
    short = pki.issue_institution(USCC, "测试银行", key=make_key(KeyKind.RSA_1024))
    for name, rule, weak, algorithm in (
        ("p384", "another curve", p384, "ECDSA_P256_SHA256"),
        ("rsa-1024", "RSA below 2048 bits", short, "RSA_PKCS1_SHA256"),
    ):
        refused = _with(
            bank,
            certificates=weak.certificates,
            key_id=weak.certificate.key_id,
            algorithm=algorithm,
        )
        add(name, rule, refused, "ALGORITHM_REFUSED")


def _add_certificates(cases: Cases, pki: DevelopmentPKI, bank: Credential, revoked: Credential) -> None:
    day = timedelta(days=1)

    def add(name: str, rule: str, envelope: Envelope, expect: str = "OK", **options: Any) -> None:
        _case(cases, name, rule, envelope, expect, **options)

    expired = pki.issue_institution(USCC, "测试银行", days=-1, not_before=NOW - 9 * day)
    future = pki.issue_institution(USCC, "测试银行", not_before=NOW + day)
    add("expired", "ended yesterday", _signed(expired), "CERTIFICATE_EXPIRED")
    add("not-yet-valid", "begins tomorrow", _signed(future), "CERTIFICATE_NOT_YET_VALID")
    add("revoked", "revoked from this second", _signed(revoked), "CERTIFICATE_REVOKED")
    add("revoked-later", "judged before", _signed(revoked), at=NOW - timedelta(seconds=1))
    tls = pki.issue_tls_client(USCC, "测试银行", dns_names=["bank.test"])
    add("tls", "a TLS certificate never signs", _signed(tls), "CERTIFICATE_WRONG_PURPOSE")
    person = pki.issue_person(PERSON_ID, "甲测试")
    add(
        "person-as-institution",
        "a citizen is no bank",
        _signed(person),
        "CERTIFICATE_WRONG_PURPOSE",
    )
    add(
        "person-as-registrar",
        "anchors per purpose",
        _signed(person),
        "CERTIFICATE_UNKNOWN_ISSUER",
        purpose=Purpose.REGISTRAR,
    )
    add(
        "bank-as-registry",
        "anchors per purpose",
        _signed(bank),
        "CERTIFICATE_UNKNOWN_ISSUER",
        purpose=Purpose.REGISTRY,
    )
    tsa = pki.issue_tsa()
    add("tsa", "a time stamp authority never signs", _signed(tsa), "CERTIFICATE_WRONG_PURPOSE")
    add(
        "self-signed-authority",
        "an authority's certificate signs nothing",
        _signed(_self_signed()),
        "CERTIFICATE_WRONG_PURPOSE",
    )
    unknown = make_authority("Unknown authority", now=NOW)
    add(
        "unknown-authority",
        "an authority that nobody trusts",
        _signed(_issued_by(unknown, pki)),
        "CERTIFICATE_UNKNOWN_ISSUER",
    )
    employee = _employee(pki)
    add(
        "employee",
        "a person's number beside a bank's is the person",
        _signed(employee),
        "CERTIFICATE_WRONG_PURPOSE",
    )
    nameless = _nameless(pki)
    add(
        "without-identity",
        "a name is no identity",
        _signed(nameless),
        "CERTIFICATE_WITHOUT_IDENTITY",
    )
    whole = _signed(bank)
    cut = _with(whole, certificates=(bank.certificates[0][:-1],))
    add("certificate-truncated", "DER cut short", cut, "CERTIFICATE_MALFORMED")


def _add_malformed(cases: Cases, bank: Credential) -> None:
    good = json.loads(envelope_to_json(_signed(bank)))

    def add(name: str, rule: str, change: Callable[[dict[str, Any]], None]) -> None:
        changed = json.loads(json.dumps(good))
        change(changed)
        _case(cases, name, rule, changed, "ENVELOPE_MALFORMED")

    add("no-signature", "at least one", lambda one: one.update(signatures=[]))
    add("empty-payload", "at least one byte", lambda one: one.update(payload=""))
    add("empty-type", "at least one character", lambda one: one.update(payloadType=""))
    add("type-with-space", "no spaces", lambda one: one.update(payloadType="a b"))
    add("type-not-ascii", "ASCII only", lambda one: one.update(payloadType="类型"))
    add("key-id-upper-case", "lower case", lambda one: _first(one, "keyid", str.upper))
    add("key-id-short", "64 digits", lambda one: _first(one, "keyid", lambda value: value[:-1]))
    add("base64-space", "no white space", lambda one: one.update(payload=one["payload"] + "\n"))
    add("base64-unpadded", "padding", lambda one: one.update(payload="QUI"))
    add("no-certificate", "at least one", lambda one: one["signatures"][0].update(certs=[]))
    add(
        "sixteen-plus",
        "at most 16 signatures",
        lambda one: one.update(signatures=one["signatures"] * 17),
    )
    add("field-missing", "every field", lambda one: one["signatures"][0].pop("alg"))
    _case(cases, "not-json", "JSON", "{", "ENVELOPE_MALFORMED")


def _first(one: dict[str, Any], name: str, change: Callable[[str], str]) -> None:
    one["signatures"][0][name] = change(one["signatures"][0][name])


def _self_signed() -> Credential:
    return make_authority("Self-signed", now=NOW).credential


def _issued_by(authority: Any, pki: DevelopmentPKI) -> Credential:
    issued = DevelopmentPKI(NOW, pki.anchors, {**pki.issuing, Purpose.INSTITUTION: authority})
    return issued.issue_institution(USCC, "测试银行")


def _employee(pki: DevelopmentPKI) -> Credential:
    return _with_subject(
        pki,
        [
            x509.NameAttribute(NameOID.ORGANIZATION_IDENTIFIER, f"NTRCN-{USCC}"),
            x509.NameAttribute(NameOID.SERIAL_NUMBER, f"IDCCN-{PERSON_ID}"),
        ],
    )


def _nameless(pki: DevelopmentPKI) -> Credential:
    return _with_subject(pki, [x509.NameAttribute(NameOID.COMMON_NAME, "测试银行")])


def _with_subject(pki: DevelopmentPKI, attributes: Sequence[x509.NameAttribute[str]]) -> Credential:
    template = pki.issue_institution(USCC, "测试银行").certificate.loaded
    wanted = (x509.KeyUsage, x509.ExtendedKeyUsage)
    extensions = [(one.value, one.critical) for one in template.extensions if isinstance(one.value, wanted)]
    return pki.issuing[Purpose.INSTITUTION].issue(
        x509.Name(list(attributes)), make_key(KeyKind.P256), extensions, now=NOW
    )


if __name__ == "__main__":
    main()
