"""A CMS signature says what was signed, by whom and how, and each of these, changed, is found."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from datetime import timedelta
from functools import cache, partial

import pytest

from signing import cms, cms_algorithms, der
from signing.algorithms import Algorithm
from signing.cms import read_signed_data
from signing.cms_file import check_cms
from signing.cms_sign import sign_35275, sign_cms
from signing.envelope import pae
from signing.errors import SignatureMalformed, SigningError
from signing.pki import Credential
from signing.signer import Signer
from signing.timestamp import decode_response, encode_request
from signing.timestamp_authority import TimestampAuthority
from signing.trust import Purpose, TrustStore
from signing.verdict import FileVerdict
from tests.support.pki import BANK_USCC, NOW, SELLER_ID, key_of, rsa_key, sample_pki

CONTENT = b"II*\0 a scanned contract" * 40
LATER = NOW + timedelta(hours=1)


@cache
def _bank(algorithm: Algorithm) -> Credential:
    return sample_pki().pki.issue_institution(BANK_USCC, "澄江测试银行", key=key_of(algorithm))


def _signer(algorithm: Algorithm = Algorithm.ECDSA_P256_SHA256) -> Signer:
    return _bank(algorithm).signer(algorithm)


@cache
def _signed(algorithm: Algorithm = Algorithm.ECDSA_P256_SHA256, *, detached: bool = True) -> bytes:
    return sign_cms(CONTENT, [_signer(algorithm)], NOW, detached=detached)


def _check(made: bytes, content: bytes | None = CONTENT, trust: TrustStore | None = None) -> FileVerdict:
    return check_cms(made, content, trust or sample_pki().trust, LATER)


def _codes(made: bytes, content: bytes | None = CONTENT) -> list[str]:
    verdict = _check(made, content)
    assert verdict.ok is not bool(verdict.problems)
    assert all(one.zh and one.en for one in verdict.problems)
    return [one.code for one in verdict.problems]


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_signature_of_each_algorithm_holds_over_its_file_alone(algorithm: Algorithm) -> None:
    """Another file, and one bit of the signature value, break it."""
    made = _signed(algorithm)
    verdict = _check(made)
    assert verdict.ok, verdict.problems
    (signature,) = verdict.signatures
    assert (signature.algorithm, signature.form) == (algorithm.value, "CAdES-B-B")
    assert (signature.identity.number, signature.purpose) == (BANK_USCC, Purpose.INSTITUTION)
    assert (signature.signed_at, signature.proven_at, signature.judged_at) == (NOW, None, LATER)
    assert _codes(made, CONTENT + b".") == ["SIGNED_CONTENT_CHANGED"]
    assert _codes(made[:-1] + bytes((made[-1] ^ 1,))) == ["SIGNATURE_INVALID"]


@pytest.mark.parametrize("attributes", [True, False])
@pytest.mark.parametrize("detached", [True, False])
def test_national_signature_holds_over_its_file_alone(attributes: bool, detached: bool) -> None:
    """GB/T 35275 with attributes and over the content itself, beside the file and around it."""
    made = sign_35275(CONTENT, [_signer(Algorithm.SM2_SM3)], NOW, detached=detached, attributes=attributes)
    verdict = _check(made, CONTENT if detached else None)
    assert verdict.ok, verdict.problems
    assert verdict.signatures[0].form == "GB/T 35275"
    assert verdict.signatures[0].signed_at == (NOW if attributes else None)
    changed = "SIGNED_CONTENT_CHANGED" if attributes or not detached else "SIGNATURE_INVALID"
    assert _codes(made, CONTENT[:-1]) == [changed]
    assert _codes(made[:-1] + bytes((made[-1] ^ 1,)), CONTENT if detached else None) == ["SIGNATURE_INVALID"]


def test_each_of_several_signers_is_judged_alone() -> None:
    """One whose certificate is nobody's does not spoil the other, and the file is not in order."""
    stranger = type(sample_pki().pki).create(NOW).issue_person(SELLER_ID, "甲测试").signer()
    seller = sample_pki().seller.signer()
    both = _check(sign_cms(CONTENT, [_signer(), seller], NOW))
    assert both.ok
    assert {one.identity.number for one in both.signatures} == {BANK_USCC, SELLER_ID}
    mixed = _check(sign_cms(CONTENT, [_signer(), stranger], NOW))
    assert [one.code for one in mixed.problems] == ["CERTIFICATE_UNKNOWN_ISSUER"]
    assert [one.identity.number for one in mixed.signatures] == [BANK_USCC]


def test_purposes_that_are_asked_for_are_the_only_ones() -> None:
    """A bank's signature is no registry's seal."""
    made, trust = _signed(), sample_pki().trust
    assert check_cms(made, CONTENT, trust, LATER, purposes=[Purpose.INSTITUTION]).ok
    found = check_cms(made, CONTENT, trust, LATER, purposes=[Purpose.PERSON])
    assert [one.code for one in found.problems] == ["CERTIFICATE_WRONG_PURPOSE"]


def test_detached_signature_without_its_file_and_enclosed_one_beside_another_are_refused() -> None:
    """What is signed is never guessed."""
    assert _codes(_signed(), None) == ["SIGNATURE_INVALID"]
    enclosed = _signed(detached=False)
    assert _codes(enclosed, None) == []
    assert _codes(enclosed, CONTENT) == []
    assert _codes(enclosed, CONTENT[1:]) == ["SIGNED_CONTENT_CHANGED"]


# -- what the attributes say ---------------------------------------------------------------------------


class _Rewriting:
    """A signer who signs other attributes than it was given: the bytes after `change`."""

    def __init__(self, signer: Signer, changes: dict[bytes, bytes]) -> None:
        self.certificates, self.algorithm = signer.certificates, signer.algorithm
        self._signer, self._changes = signer, changes

    def sign(self, message: bytes) -> bytes:
        return self._signer.sign(_replaced(message, self._changes))


def _replaced(data: bytes, changes: dict[bytes, bytes]) -> bytes:
    for old, new in changes.items():
        assert len(old) == len(new)
        assert data.count(old) == 1
        data = data.replace(old, new)
    return data


def _signed_with(changes: dict[bytes, bytes]) -> bytes:
    """A signature whose value holds over the changed attributes, which it carries."""
    made = sign_cms(CONTENT, [_Rewriting(_signer(), changes)], NOW)
    return _replaced(made, changes)


def test_rewriting_nothing_holds() -> None:
    """The tool of the tests below makes signatures that hold."""
    assert _codes(_signed_with({})) == []


@pytest.mark.parametrize("oid", [cms.CONTENT_TYPE, cms.MESSAGE_DIGEST])
def test_attribute_that_must_be_there_is_missed(oid: str) -> None:
    """Without type or digest the attributes say nothing of the content, however well signed."""
    old = der.encode_oid(oid)
    assert _codes(_signed_with({old: der.encode_oid("1.2.840.113549.1.9.99")})) == ["SIGNATURE_MALFORMED"]


def test_other_type_of_content_in_the_attributes_is_refused() -> None:
    """Attributes over a time stamp's content are no signature over a file."""
    attribute = der.encode_oid(cms.CONTENT_TYPE) + der.encode(der.SET, der.encode_oid(cms.DATA))
    other = der.encode_oid(cms.CONTENT_TYPE) + der.encode(der.SET, der.encode_oid("1.2.840.113549.1.7.3"))
    assert _codes(_signed_with({attribute: other})) == ["SIGNATURE_MALFORMED"]


def test_attribute_that_names_another_certificate_is_refused() -> None:
    """Another certificate of the same key (another issuer, other identity) cannot take its place."""
    mine = hashlib.sha256(_signer().certificates[0]).digest()
    assert _codes(_signed_with({mine: bytes(32)})) == ["SIGNER_CERTIFICATE_MISSING"]


def test_certificate_of_the_same_key_under_the_same_name_is_found() -> None:
    """Substituted in the file, with serial number and all: the attribute names the first."""
    credential = _bank(Algorithm.ECDSA_P256_SHA256)
    issue = partial(sample_pki().pki.issue_institution, BANK_USCC, "澄江测试银行", key=credential.private_key)
    first_serial = der.encode_integer(credential.certificate.serial)
    wanted = (
        len(credential.certificates[0]),
        len(first_serial),
    )  # serial and signature take a byte more or less
    second = next(
        one
        for one in iter(issue, None)
        if (len(one.certificates[0]), len(der.encode_integer(one.certificate.serial))) == wanted
    )
    made = sign_cms(CONTENT, [credential.signer()], NOW)
    head, tail = made.split(credential.certificates[0])
    swapped = (
        head
        + second.certificates[0]
        + tail.replace(first_serial, der.encode_integer(second.certificate.serial))
    )
    assert _codes(swapped) == ["SIGNER_CERTIFICATE_MISSING"]


def test_attribute_twice_is_refused() -> None:
    """Two digests are none: which one counts is nobody's choice."""
    old = der.encode_oid(cms.SIGNING_TIME)
    assert _codes(_signed_with({old: der.encode_oid(cms.MESSAGE_DIGEST)})) == ["SIGNATURE_MALFORMED"]


def test_claimed_time_proves_nothing() -> None:
    """A certificate is judged now, whatever time the signer claims."""
    old = sign_cms(CONTENT, [_signer()], NOW - timedelta(days=3650))
    assert _check(old).ok
    expired = sample_pki().pki.issue_institution(
        BANK_USCC, "澄江测试银行", days=-1, not_before=NOW - timedelta(days=9)
    )
    made = sign_cms(CONTENT, [expired.signer()], NOW - timedelta(days=5))
    assert _codes(made) == ["CERTIFICATE_EXPIRED"]


def test_attributes_are_no_file_of_their_own() -> None:
    """The value over attributes must not pass as one over a file of the attributes' bytes (GB/T 35275)."""
    signer = _signer(Algorithm.SM2_SM3)
    (info,) = read_signed_data(sign_35275(CONTENT, [signer], NOW)).signers
    assert info.signed_attributes is not None

    class Replaying:
        certificates, algorithm = signer.certificates, signer.algorithm

        def sign(self, message: bytes) -> bytes:
            return info.signature

    forged = sign_35275(info.signed_attributes, [Replaying()], NOW, attributes=False)
    assert _codes(forged, info.signed_attributes) == ["SIGNATURE_INVALID"]


def test_envelope_is_no_file_of_its_own() -> None:
    """An envelope's signature must not pass as one over a file of the bytes that envelopes are signed as."""
    message = pae("application/vnd.diya.manifest.v1", b"what a bank asked for")
    made = sign_35275(message, [_signer(Algorithm.SM2_SM3)], NOW, attributes=False)
    assert _codes(made, message) == ["SIGNATURE_INVALID"]
    assert _check(sign_35275(message, [_signer(Algorithm.SM2_SM3)], NOW), message).ok


# -- algorithms ------------------------------------------------------------------------------------------


def _identifier(oid: str, parameters: bytes = b"") -> bytes:
    return der.encode(der.SEQUENCE, der.encode_oid(oid), parameters)


def test_algorithms_that_disagree_are_refused() -> None:
    """Digest, signature and key each say which they are; one lie is enough."""
    made = _signed(Algorithm.RSA_PKCS1_SHA256)
    (info,) = read_signed_data(made).signers
    for digest, oid in (
        (cms_algorithms.SHA384_OID, "1.2.840.113549.1.1.11"),
        (cms_algorithms.SM3_OID, "1.2.840.113549.1.1.11"),
        ("1.3.14.3.2.26", cms_algorithms.RSA_OID),
        (cms_algorithms.SHA256_OID, cms_algorithms.ED25519_OID),
        (cms_algorithms.SHA256_OID, cms_algorithms.SM2_SM3_OID),
        (cms_algorithms.SHA256_OID, cms_algorithms.PSS_OID),
        (cms_algorithms.SHA256_OID, "1.2.840.113549.1.1.5"),
    ):
        with pytest.raises(Exception, match=r"accepted|go with|SHA-1"):
            cms_algorithms.scheme_of(_identifier(digest), _identifier(oid))
    fitting = cms_algorithms.scheme_of(
        _identifier(cms_algorithms.SHA256_OID), _identifier(cms_algorithms.ECDSA_SHA256_OID)
    )
    with pytest.raises(Exception, match="cannot be used with a key"):
        cms_algorithms.verify(
            fitting, _bank(Algorithm.RSA_PKCS1_SHA256).certificate.public_key, info.signature, b""
        )


@pytest.mark.parametrize(
    "parameters",
    [
        der.encode(der.NULL, b"\0"),
        der.encode(der.OCTET_STRING),
        der.encode(der.NULL) * 2,
        b"\x05\x81\x00",  # NULL with its length in the long form
        b"\x05",
    ],
)
def test_algorithm_says_nothing_beside_its_name(parameters: bytes) -> None:
    """Parameters are absent or NULL, in one encoding; of the digest as of the signature, and every time anew."""
    plain, null = (_identifier(cms_algorithms.SHA256_OID, none) for none in (b"", der.encode(der.NULL)))
    ecdsa = _identifier(cms_algorithms.ECDSA_SHA256_OID)
    assert cms_algorithms.scheme_of(plain, ecdsa) == cms_algorithms.scheme_of(null, ecdsa)
    for _ in range(2):
        with pytest.raises(SigningError):
            cms_algorithms.scheme_of(_identifier(cms_algorithms.SHA256_OID, parameters), ecdsa)
        with pytest.raises(SigningError):
            cms_algorithms.scheme_of(plain, _identifier(cms_algorithms.ECDSA_SHA256_OID, parameters))


def test_long_algorithm_is_not_kept() -> None:
    """What is remembered by its bytes is short: parameters that nobody reads are no way to fill the memory."""
    digest = _identifier(cms_algorithms.SHA256_OID, der.encode(der.OCTET_STRING, bytes(300)))
    mask = _identifier(cms_algorithms.MGF1_OID, _identifier(cms_algorithms.SHA256_OID))
    salt = der.encode_integer(32)
    said = [der.encode(tag, one) for tag, one in ((0xA0, digest), (0xA1, mask), (0xA2, salt))]
    pss = _identifier(cms_algorithms.PSS_OID, der.encode(der.SEQUENCE, *said))
    with pytest.raises(SigningError, match="256 bytes"):
        cms_algorithms.scheme_of(_identifier(cms_algorithms.SHA256_OID), pss)


def test_weak_key_is_refused() -> None:
    """The keys that envelopes refuse are refused here."""
    weak = sample_pki().pki.issue_institution(BANK_USCC, "澄江测试银行", key=rsa_key(1024))

    class Foreign:
        certificates, algorithm = weak.certificates, Algorithm.RSA_PKCS1_SHA256

        def sign(self, message: bytes) -> bytes:
            return bytes(128)

    assert _codes(sign_cms(CONTENT, [Foreign()], NOW)) == ["ALGORITHM_REFUSED"]


# -- time stamps -----------------------------------------------------------------------------------------


def _stamper(authority: TimestampAuthority, over: bytes | None = None) -> Callable[[bytes], bytes]:
    def stamp(value: bytes) -> bytes:
        return decode_response(authority.answer(encode_request(over or value, nonce=7)))

    return stamp


@cache
def _authority() -> TimestampAuthority:
    return TimestampAuthority(sample_pki().pki.issue_tsa().signer(), lambda: NOW)


def test_time_stamp_proves_when_the_certificate_was_good() -> None:
    """B-T: the certificate has ended since; the token says that the signature was there before."""
    made = sign_cms(CONTENT, [_signer()], NOW, stamper=_stamper(_authority()))
    much_later = NOW + timedelta(days=900)
    trust = sample_pki().pki.trust_store()
    assert [one.code for one in check_cms(_signed(), CONTENT, trust, much_later).problems] == [
        "CERTIFICATE_EXPIRED"
    ]
    verdict = check_cms(made, CONTENT, trust, much_later)
    assert verdict.ok, verdict.problems
    (signature,) = verdict.signatures
    assert (signature.proven_at, signature.judged_at, signature.form) == (NOW, NOW, "CAdES-B-T")


def test_time_stamp_over_other_bytes_is_refused() -> None:
    """A token of another signature proves nothing of this one, and is not passed over."""
    made = sign_cms(CONTENT, [_signer()], NOW, stamper=_stamper(_authority(), b"another value"))
    assert _codes(made) == ["FILE_TIMESTAMP_INVALID"]


# -- structure -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x30",
        b"\x30\x80",
        b"\x30\x84\xff\xff\xff\xff",
        b"\x30\x82\x00\x01\x00",
        b"\x1f\x81\x00",
        b"\x30\x00",
        b"\x30\x80" * 5000,
        b"\x24\x80" * 17 + b"\0\0" * 17,
        b"\x30\x80" + b"\x05\x00" * 5000 + b"\0\0",
        b"not a signature at all",
    ],
)
def test_bytes_that_are_no_signature_are_refused(data: bytes) -> None:
    """Cut short, nested without end, lengths that lie: a reason, never a crash."""
    assert _codes(data) == ["SIGNATURE_MALFORMED"]


def test_bytes_after_the_signature_are_refused() -> None:
    """Zeros too: only a PDF pads."""
    assert _codes(_signed() + b"\0") == ["SIGNATURE_MALFORMED"]
    assert read_signed_data(_signed() + b"\0\0", padded=True).signers
    with pytest.raises(SignatureMalformed):
        read_signed_data(_signed() + b"\0\1", padded=True)


def test_more_signers_and_certificates_than_the_limits_are_refused() -> None:
    """A signature file cannot be a load."""
    assert _codes(sign_cms(CONTENT, [_signer()] * (cms.SIGNERS_MAX + 1), NOW)) == ["SIGNATURE_MALFORMED"]
    pki = sample_pki().pki
    crowd = [pki.issue_person(SELLER_ID, "甲测试").certificates[0] for _ in range(cms.CERTIFICATES_MAX)]

    class Crowded:
        certificates, algorithm = (*_signer().certificates, *crowd), _signer().algorithm

        def sign(self, message: bytes) -> bytes:
            return _signer().sign(message)

    assert _codes(sign_cms(CONTENT, [Crowded()], NOW)) == ["SIGNATURE_MALFORMED"]
    assert _codes(bytes(cms.SIGNATURE_BYTES_MAX + 1)) == ["SIGNATURE_MALFORMED"]


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_no_change_of_a_byte_passes_or_crashes() -> None:
    """Each byte of the file in turn, changed at random: refused by a reason, or outside of what is signed.

    Outside are the list of digests, which is a hint, and the certificates that the path does not need.
    """
    made = _signed()
    random.seed(35275)
    held = 0
    for index in range(len(made)):
        changed = bytearray(made)
        changed[index] ^= 1 << random.randrange(8)
        verdict = _check(bytes(changed))
        held += verdict.ok
        if verdict.ok:
            (signature,) = verdict.signatures
            assert (signature.identity.number, signature.signed_at) == (BANK_USCC, NOW)
    assert held < len(made) // 2
