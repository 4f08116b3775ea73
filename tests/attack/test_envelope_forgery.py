"""Whoever changes a byte of an envelope, or moves a part to another, is refused for the right
reason.
"""

from __future__ import annotations

import random
from functools import cache
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from signing.algorithms import Algorithm
from signing.envelope import (
    CERTIFICATE_BYTES_MAX,
    CERTIFICATES_MAX,
    PAYLOAD_BYTES_MAX,
    SIGNATURES_MAX,
    Envelope,
    envelope_from_json,
    envelope_to_json,
)
from signing.errors import (
    AlgorithmRefused,
    AlgorithmUnknown,
    EnvelopeMalformed,
    KeyIdMismatch,
    SignatureDuplicate,
    SignatureInvalid,
    SigningError,
)
from signing.pki import KeyKind, make_key
from signing.signer import add_signature, sign_envelope
from signing.trust import Purpose
from signing.verify import VerifiedEnvelope, verify_envelope
from tests.support.pki import BANK_USCC, NOW, key_of, sample_pki

TYPE = "application/vnd.diya.manifest.v1+protobuf"
PAYLOAD = bytes(range(256)) + "抵押登记".encode()
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@cache
def _signed() -> Envelope:
    return sign_envelope(TYPE, PAYLOAD, [sample_pki().bank.signer()])


def _verify(envelope: Envelope) -> VerifiedEnvelope:
    return verify_envelope(envelope, Purpose.INSTITUTION, sample_pki().trust, NOW)


def _with(envelope: Envelope, **changes: Any) -> Envelope:
    first = msgspec.structs.replace(envelope.signatures[0], **changes)
    return msgspec.structs.replace(envelope, signatures=(first, *envelope.signatures[1:]))


def test_envelope_untouched_is_accepted_with_its_signer() -> None:
    """The envelope that the other tests change holds, and says who signed it."""
    verified = _verify(_signed())
    identity = verified.signers[0].identity
    assert identity is not None
    assert (identity.scheme, identity.number) == ("NTRCN", BANK_USCC)
    assert verified.payload == PAYLOAD


@pytest.mark.parametrize("position", range(0, len(PAYLOAD), 13))
def test_envelope_payload_byte_changed_anywhere_is_refused(position: int) -> None:
    """Every byte of the payload is under the signature."""
    changed = bytearray(PAYLOAD)
    changed[position] ^= 0x80
    with pytest.raises(SignatureInvalid):
        _verify(Envelope(TYPE, bytes(changed), _signed().signatures))


@pytest.mark.parametrize("position", range(0, len(TYPE), 3))
def test_envelope_type_character_changed_anywhere_is_refused(position: int) -> None:
    """A submission must not be read as another act: the type is under the signature."""
    other = "x" if TYPE[position] != "x" else "y"
    changed = TYPE[:position] + other + TYPE[position + 1 :]
    with pytest.raises(SignatureInvalid):
        _verify(Envelope(changed, PAYLOAD, _signed().signatures))


def test_envelope_border_between_type_and_payload_moved_is_refused() -> None:
    """Lengths are encoded, so a byte cannot change sides."""
    for kind, payload in ((TYPE + "a", PAYLOAD), (TYPE[:-1], TYPE[-1:].encode() + PAYLOAD)):
        with pytest.raises(SignatureInvalid):
            _verify(Envelope(kind, payload, _signed().signatures))


@pytest.mark.parametrize("position", range(0, 72, 5))
def test_envelope_signature_byte_changed_anywhere_is_refused(position: int) -> None:
    """Header, integers and their lengths: no byte of the DER may change."""
    value = bytearray(_signed().signatures[0].signature)
    value[position % len(value)] ^= 1
    with pytest.raises(SignatureInvalid):
        _verify(_with(_signed(), signature=bytes(value)))


@pytest.mark.parametrize(("r", "s"), [(0, 0), (0, 1), (1, 0), (1, 1), (P256_ORDER, 1), (1, P256_ORDER)])
def test_envelope_with_degenerate_ecdsa_value_is_refused(r: int, s: int) -> None:
    """Zero and the order of the group are no signature values (CVE-2022-21449 in Java)."""
    with pytest.raises(SignatureInvalid):
        _verify(_with(_signed(), signature=encode_dss_signature(r, s)))


def test_envelope_with_the_other_s_has_the_same_digest() -> None:
    """ECDSA lets anyone write n - s for s; so the digest, not the signature, names an envelope."""
    r, s = decode_dss_signature(_signed().signatures[0].signature)
    other = _with(_signed(), signature=encode_dss_signature(r, P256_ORDER - s))
    assert _verify(other).digest == _verify(_signed()).digest


@pytest.mark.parametrize("position", range(0, 900, 31))
def test_envelope_certificate_byte_changed_is_refused(position: int) -> None:
    """A changed certificate is malformed, another key's, or not signed by its authority."""
    der = bytearray(_signed().signatures[0].certificates[0])
    der[position % len(der)] ^= 0x20
    changed = _with(_signed(), certificates=(bytes(der), *_signed().signatures[0].certificates[1:]))
    with pytest.raises(SigningError):
        _verify(changed)


def test_envelope_random_bytes_in_every_part_never_raise_another_error() -> None:
    """Whatever comes, the answer is a SigningError with a reason: nothing of a library gets out."""
    rng = random.Random(20261102)  # a fixed seed
    signed = _signed().signatures[0]
    for _ in range(300):
        part = rng.choice(["certificate", "signature", "payload", "intermediate"])
        noise = rng.randbytes(rng.randrange(1, 300))
        certificates = {
            "certificate": (noise, *signed.certificates[1:]),
            "intermediate": (signed.certificates[0], noise),
        }.get(part, signed.certificates)
        changed = msgspec.structs.replace(
            signed,
            certificates=certificates,
            signature=noise if part == "signature" else signed.signature,
        )
        payload = noise if part == "payload" else PAYLOAD
        with pytest.raises(SigningError) as caught:
            _verify(Envelope(TYPE, payload, (changed,)))
        assert caught.value.reason.isupper()


@pytest.mark.parametrize("name", ["", "none", "NONE", "ecdsa_p256_sha256", "RS256", "X" * 64])
def test_envelope_of_an_unknown_algorithm_is_refused(name: str) -> None:
    """The list of algorithms is closed and its names are exact."""
    with pytest.raises((AlgorithmUnknown, EnvelopeMalformed)):
        _verify(_with(_signed(), algorithm=name))


@pytest.mark.parametrize("claimed", list(Algorithm))
@pytest.mark.parametrize("real", list(Algorithm))
def test_envelope_under_another_algorithm_than_signed_is_refused(real: Algorithm, claimed: Algorithm) -> None:
    """No signature of one algorithm passes for that of another, with the same key or not."""
    credential = sample_pki().pki.issue_institution(BANK_USCC, "澄江测试银行", key=key_of(real))
    envelope = sign_envelope(TYPE, PAYLOAD, [credential.signer(real)])
    changed = _with(envelope, algorithm=claimed.value)
    if real is claimed:
        assert _verify(changed).signers[0].algorithm == real.value
        return
    with pytest.raises((AlgorithmRefused, SignatureInvalid)):
        _verify(changed)


def test_envelope_key_confusion_with_another_certificate_of_the_same_name_is_refused() -> None:
    """Another key's certificate, with its key id, does not verify what this key signed."""
    other = sample_pki().pki.issue_institution(BANK_USCC, "澄江测试银行")
    confused = _with(_signed(), certificates=other.certificates, key_id=other.certificate.key_id)
    with pytest.raises(SignatureInvalid):
        _verify(confused)


def test_envelope_key_id_that_is_not_the_certificates_is_refused() -> None:
    """A key id is a hint and must be true."""
    with pytest.raises(KeyIdMismatch):
        _verify(_with(_signed(), key_id="0" * 64))


def test_envelope_signed_twice_by_one_key_is_refused() -> None:
    """One signer must not count as two, not even by two different signature values."""
    twice = add_signature(_signed(), sample_pki().bank.signer())
    assert twice.signatures[0].signature != twice.signatures[1].signature
    with pytest.raises(SignatureDuplicate) as caught:
        _verify(twice)
    assert caught.value.signature_index == 1


def test_envelope_with_one_bad_signature_among_good_is_refused() -> None:
    """All signatures must hold; the error says which did not."""
    both = add_signature(_signed(), sample_pki().second_bank.signer())
    assert len(_verify(both).signers) == 2
    first, second = both.signatures
    swapped = msgspec.structs.replace(second, signature=first.signature)
    with pytest.raises(SignatureInvalid) as caught:
        _verify(msgspec.structs.replace(both, signatures=(first, swapped)))
    assert caught.value.signature_index == 1


def test_envelope_signature_of_another_envelope_is_refused() -> None:
    """A signature belongs to one payload, also where all else is the same."""
    other = sign_envelope(TYPE, b"another payload", [sample_pki().bank.signer()])
    with pytest.raises(SignatureInvalid):
        _verify(msgspec.structs.replace(_signed(), signatures=other.signatures))


@pytest.mark.parametrize(
    "envelope",
    [
        Envelope("", PAYLOAD, ()),
        Envelope(TYPE, b"", ()),
        Envelope(TYPE, PAYLOAD, ()),
        Envelope("a b", PAYLOAD, ()),
        Envelope("a\n", PAYLOAD, ()),
        Envelope("x" * 256, PAYLOAD, ()),
        Envelope("类型", PAYLOAD, ()),
    ],
    ids=["no-type", "no-payload", "no-signature", "space", "line-end", "long-type", "chinese"],
)
def test_envelope_of_a_wrong_shape_is_malformed(envelope: Envelope) -> None:
    """Shape and limits are checked before any certificate is read."""
    whole = msgspec.structs.replace(
        envelope,
        signatures=() if envelope.payload and envelope.payload_type == TYPE else _signed().signatures,
    )
    with pytest.raises(EnvelopeMalformed):
        _verify(whole)


def test_envelope_over_a_limit_is_malformed() -> None:
    """Every part has a limit, and one more is too many."""
    signed = _signed()
    one = signed.signatures[0]
    over = [
        msgspec.structs.replace(signed, payload=bytes(PAYLOAD_BYTES_MAX + 1)),
        msgspec.structs.replace(signed, signatures=signed.signatures * (SIGNATURES_MAX + 1)),
        _with(signed, certificates=one.certificates * CERTIFICATES_MAX),
        _with(signed, certificates=(bytes(CERTIFICATE_BYTES_MAX + 1),)),
        _with(signed, certificates=(b"",)),
        _with(signed, certificates=()),
        _with(signed, signature=b""),
        _with(signed, signature=bytes(1025)),
        _with(signed, key_id=one.key_id.upper()),
        _with(signed, algorithm="A" * 65),
    ]
    for envelope in over:
        with pytest.raises(EnvelopeMalformed):
            _verify(envelope)


@pytest.mark.parametrize("cut", range(0, 100, 7))
def test_envelope_json_cut_short_is_malformed(cut: int) -> None:
    """Half a file is no envelope and no crash."""
    text = envelope_to_json(_signed())
    with pytest.raises(EnvelopeMalformed):
        envelope_from_json(text[: len(text) * cut // 100])


def test_envelope_json_nested_without_end_is_malformed() -> None:
    """Depth is no way to exhaust the reader."""
    with pytest.raises(EnvelopeMalformed):
        envelope_from_json(b'{"payload":' + b"[" * 100_000)


def test_envelope_never_verifies_for_tls_or_time_stamps() -> None:
    """Asking for such a purpose is a mistake of our own and no refusal."""
    for purpose in (Purpose.TLS, Purpose.TSA):
        with pytest.raises(ValueError, match="never sign"):
            verify_envelope(_signed(), purpose, sample_pki().trust, NOW)


def test_envelope_digest_is_the_same_for_each_signing() -> None:
    """Signing again gives other bytes and the same name."""
    again = sign_envelope(TYPE, PAYLOAD, [sample_pki().bank.signer()])
    assert again.signatures != _signed().signatures
    assert _verify(again).digest == _verify(_signed()).digest


def test_envelope_key_must_be_on_the_curve_that_the_name_says() -> None:
    """ECDSA_P256_SHA256 with a key of P-384 is refused before anything is computed."""
    key = make_key(KeyKind.P384)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    other = sample_pki().pki.issue_institution(BANK_USCC, "澄江测试银行", key=key)
    confused = _with(_signed(), certificates=other.certificates, key_id=other.certificate.key_id)
    with pytest.raises(AlgorithmRefused):
        _verify(confused)
