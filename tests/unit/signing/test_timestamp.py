"""Time stamp tokens: what proves a time, and every way in which one does not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import cache
from hashlib import sha256
from typing import Any

import pytest
from asn1crypto import cms, core, tsp
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from signing.algorithms import Algorithm
from signing.authority import Credential, authority_name, key_usage
from signing.errors import SealFailed, TimestampInvalid, TimestampRefused, TimestampUnavailable
from signing.pdf import check_pdf
from signing.pki import DevelopmentPKI, KeyKind, make_key
from signing.seal import add_stamp, append_signature, seal_pdf, signature_of
from signing.timestamp import (
    ACCURACY_MAX,
    SKEW_MAX,
    TOKEN_BYTES_MAX,
    TimeStampResp,
    decode_response,
    encode_request,
    encode_response,
    stated_time,
    verify_token,
)
from signing.timestamp_authority import POLICY, TimestampAuthority
from signing.trust import Purpose, TrustStore
from tests.support.pdf_files import make_pdf
from tests.support.pki import NOW, SELLER_ID, rsa_key, sample_pki

DATA = b"diya.example/jiangyin\n7\n"
NONCE = 4711
DAY = timedelta(days=1)
KEYS = {
    "P-256": lambda: (make_key(KeyKind.P256), None),
    "RSA PKCS#1": lambda: (rsa_key(), Algorithm.RSA_PKCS1_SHA256),
    "RSA-PSS": lambda: (rsa_key(), Algorithm.RSA_PSS_SHA256),
    "Ed25519": lambda: (make_key(KeyKind.ED25519), None),
}


@cache
def tsa() -> Credential:
    """The authority's key that most tests use."""
    return sample_pki().pki.issue_tsa()


def token(data: bytes = DATA, *, of: Credential | None = None, at: Any = NOW, **how: Any) -> bytes:
    """What an authority gives that says `at`."""
    authority = TimestampAuthority((of or tsa()).signer(), lambda: at)
    return decode_response(authority.answer(encode_request(data, nonce=NONCE, **how)))


def resigned(
    der: bytes,
    *,
    of: Credential | None = None,
    info: Callable[[tsp.TSTInfo], None] = lambda _: None,
    attributes: Callable[[list[cms.CMSAttribute]], list[cms.CMSAttribute]] = list,
    signed_data: Callable[[cms.SignedData], None] = lambda _: None,
) -> bytes:
    """A token that its authority would have signed with something else in it."""
    content_info = cms.ContentInfo.load(der)
    data = content_info["content"]
    changed = tsp.TSTInfo.load(bytes(data["encap_content_info"]["content"]))
    info(changed)
    content = changed.dump(force=True)
    signer_info = data["signer_infos"][0]
    kept = [one for one in signer_info["signed_attrs"] if one["type"].native != "message_digest"]
    kept.append(cms.CMSAttribute({"type": "message_digest", "values": [sha256(content).digest()]}))
    signed = cms.CMSAttributes(attributes([one.copy() for one in kept]))
    signer_info["signed_attrs"] = signed
    signer_info["signature"] = (of or tsa()).signer().sign(signed.untag().dump(force=True))
    data["encap_content_info"] = cms.EncapsulatedContentInfo(
        {"content_type": "tst_info", "content": core.ParsableOctetString(content)}
    )
    signed_data(data)
    return bytes(content_info.dump(force=True))


def refused(der: bytes, why: str, *, data: bytes = DATA, trust: TrustStore | None = None, **how: Any) -> None:
    """The token does not hold, for this reason, which is said in both languages."""
    at = how.pop("at", NOW)
    with pytest.raises(TimestampInvalid, match=why) as caught:
        verify_token(der, data, trust or sample_pki().trust, at, **how)
    assert caught.value.zh == "时间戳无效"


# -- what holds --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KEYS)
def test_token_of_each_algorithm_proves_its_time(kind: str) -> None:
    """By whatever key of the closed list."""
    key, algorithm = KEYS[kind]()
    signer = sample_pki().pki.issue_tsa(key=key).signer(algorithm)
    authority = TimestampAuthority(signer, lambda: NOW)
    der = decode_response(authority.answer(encode_request(DATA, nonce=NONCE, policy=POLICY)))
    found = verify_token(der, DATA, sample_pki().trust, NOW + DAY, nonce=NONCE, policy=POLICY)
    assert (found.time, found.accuracy, found.policy) == (NOW, timedelta(seconds=1), POLICY)
    assert found.chain.purpose is Purpose.TSA
    assert found.name == "Development time stamp authority"
    assert stated_time(der) == NOW


def test_token_holds_when_its_certificate_has_ended() -> None:
    """It is judged at its own time, for ever."""
    assert verify_token(token(), DATA, sample_pki().trust, NOW + 9000 * DAY).time == NOW


def test_resigned_token_without_a_change_holds() -> None:
    """The tests below break a token in one point each: with none, it is whole."""
    assert verify_token(resigned(token()), DATA, sample_pki().trust, NOW).time == NOW


def test_response_goes_through_a_file() -> None:
    """What is written as .tsr gives the same token back."""
    der = token()
    assert decode_response(encode_response(der)) == der


# -- what does not -----------------------------------------------------------------------------------------------------


def test_token_over_other_bytes_is_refused() -> None:
    """The imprint."""
    refused(token(b"other"), "other bytes")


def test_token_of_another_request_is_refused() -> None:
    """An old answer played again: its nonce is another; and one without any."""
    refused(token(), "nonce", nonce=NONCE + 1)

    def without(info: tsp.TSTInfo) -> None:
        del info["nonce"]

    refused(resigned(token(), info=without), "nonce", nonce=NONCE)


def test_token_under_another_policy_is_refused() -> None:
    """What was asked for is what is taken."""
    refused(token(), "policy", policy="1.2.3.4")


def _accuracy(info: tsp.TSTInfo) -> None:
    info["accuracy"] = {"seconds": int(ACCURACY_MAX.total_seconds()) + 1}


def _version(info: tsp.TSTInfo) -> None:
    info["version"] = 2


def _sha1(info: tsp.TSTInfo) -> None:
    imprint = {"hash_algorithm": {"algorithm": "sha1"}, "hashed_message": bytes(20)}
    info["message_imprint"] = tsp.MessageImprint(imprint)


@pytest.mark.parametrize(
    ("info", "why"), [(_accuracy, "off by"), (_version, "version"), (_sha1, "is not accepted")]
)
def test_token_that_says_what_is_of_no_use_is_refused(info: Any, why: str) -> None:
    """Signed by the authority itself, and still not taken."""
    refused(resigned(token(), info=info), why)


def test_token_that_does_not_name_its_certificate_is_refused() -> None:
    """ESSCertID is demanded (RFC 3161 section 2.4.2): another certificate of the same key could be put under it."""

    def drop(attributes: list[cms.CMSAttribute]) -> list[cms.CMSAttribute]:
        return [one for one in attributes if one["type"].native != "signing_certificate_v2"]

    refused(resigned(token(), attributes=drop), "ESSCertID")


def test_token_that_names_another_certificate_is_refused() -> None:
    """The certificate beside it must be the one that was signed under."""

    def other(attributes: list[cms.CMSAttribute]) -> list[cms.CMSAttribute]:
        kept = [one for one in attributes if one["type"].native != "signing_certificate_v2"]
        value = tsp.SigningCertificateV2({"certs": [{"cert_hash": bytes(32)}]})
        return [*kept, cms.CMSAttribute({"type": "signing_certificate_v2", "values": [value]})]

    refused(resigned(token(), attributes=other), "SIGNER_CERTIFICATE_MISSING")


def test_token_by_another_key_is_refused() -> None:
    """Signed by a key that is not the certificate's."""
    refused(resigned(token(), of=sample_pki().pki.issue_tsa()), "SIGNATURE_INVALID")


def test_token_of_nobody_is_refused() -> None:
    """An authority that no anchor leads to; and no anchors at all."""
    refused(token(of=DevelopmentPKI.create(NOW).issue_tsa()), "CERTIFICATE_UNKNOWN_ISSUER")
    refused(token(), "CERTIFICATE_UNKNOWN_ISSUER", trust=TrustStore({}))


def test_token_by_a_signing_certificate_is_refused() -> None:
    """A bank cannot stamp its own time, whatever anchor it chains to."""
    refused(token(of=sample_pki().bank), "critical|CERTIFICATE_WRONG_PURPOSE")


@pytest.mark.parametrize(
    ("usages", "critical"),
    [
        ((ExtendedKeyUsageOID.TIME_STAMPING,), False),
        ((ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.EMAIL_PROTECTION), True),
        ((ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,), True),
    ],
)
def test_token_by_a_certificate_of_more_uses_is_refused(usages: Any, critical: bool) -> None:
    """Time stamping, critical, and nothing else (RFC 3161 section 2.3)."""
    extensions = ((key_usage(authority=False), True), (x509.ExtendedKeyUsage(usages), critical))
    issuer = sample_pki().pki.issuing[Purpose.TSA]
    own = issuer.issue(authority_name("x"), make_key(KeyKind.P256), extensions, now=NOW)
    refused(token(of=own), "RFC 3161 section 2.3|CERTIFICATE_WRONG_PURPOSE")


def test_token_from_the_future_is_refused() -> None:
    """A time that has not come is not proven; clocks may differ a little."""
    assert verify_token(token(at=NOW + SKEW_MAX), DATA, sample_pki().trust, NOW)
    refused(token(at=NOW + SKEW_MAX + timedelta(seconds=1)), "future")


def test_token_of_a_time_before_its_certificate_is_refused() -> None:
    """Judged at its own time."""
    refused(token(at=NOW - DAY), "CERTIFICATE_NOT_YET_VALID")


def test_token_of_a_revoked_authority_is_refused() -> None:
    """Also one that is older than the revocation: whoever stole the key can date back."""
    revoking = sample_pki().trust_revoking(tsa(), since=NOW + DAY)
    refused(token(), "revoked", trust=revoking, at=NOW + 2 * DAY)
    assert verify_token(token(), DATA, revoking, NOW)


@pytest.mark.parametrize("der", [b"", b"\x30", b"\x30\x00", token() + b"\x00", bytes(TOKEN_BYTES_MAX + 1)])
def test_bytes_that_are_no_token_are_refused(der: bytes) -> None:
    """Nothing of the parser's leaves it."""
    refused(der, "token")


def test_two_signatures_under_one_token_are_refused() -> None:
    """One authority, one word (RFC 3161 section 2.4.2)."""

    def twice(data: cms.SignedData) -> None:
        one = data["signer_infos"][0].copy()
        data["signer_infos"] = cms.SignerInfos([data["signer_infos"][0], one])

    refused(resigned(token(), signed_data=twice), "token|CERTIFICATE_MALFORMED")


def test_each_byte_of_a_token_changed_proves_nothing_else() -> None:
    """Whatever byte is flipped: refused, or the same time of the same bytes. No other exception ever."""
    der = token()
    for place in range(len(der)):
        changed = bytearray(der)
        changed[place] ^= 0x01
        try:
            found = verify_token(bytes(changed), DATA, sample_pki().trust, NOW)
        except TimestampInvalid:
            continue
        assert found.time == NOW, place


# -- answers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_der", "why"),
    [
        (b"x", "bad_data_format"),
        (encode_request(DATA, nonce=1, policy="1.2.3"), "unaccepted_policy"),
        (
            tsp.TimeStampReq(
                {
                    "version": "v1",
                    "message_imprint": {"hash_algorithm": {"algorithm": "sha1"}, "hashed_message": bytes(20)},
                }
            ).dump(),
            "bad_alg",
        ),
    ],
)
def test_authority_that_says_no_is_heard(request_der: bytes, why: str) -> None:
    """Its reason comes along."""
    answer = TimestampAuthority(tsa().signer(), lambda: NOW).answer(request_der)
    with pytest.raises(TimestampRefused, match=why):
        decode_response(answer)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>",
        TimeStampResp({"status": {"status": "granted"}}).dump(),
        encode_response(token()) + b"x",
    ],
)
def test_bytes_that_are_no_answer_are_a_service_that_is_down(answer: bytes) -> None:
    """A proxy's page, a grant without a token."""
    with pytest.raises(TimestampUnavailable):
        decode_response(answer)


# -- in files ----------------------------------------------------------------------------------------------------------


def sealed_with_room() -> bytes:
    """A seal that waits for its stamp."""
    seal = sample_pki().registry_seal.signer()
    return seal_pdf(make_pdf(), seal, reason="x", at=NOW, certify=True, stamp_room=True)


def test_stamp_put_into_a_seal_proves_its_time() -> None:
    """The seal holds before and after, over the whole file; its bytes but for the room stay."""
    pdf = sealed_with_room()
    stamped = add_stamp(pdf, token(signature_of(pdf)))
    for file, proven in ((pdf, None), (stamped, NOW)):
        verdict = check_pdf(file, sample_pki().trust, NOW + DAY)
        assert verdict.ok, verdict.problems
        (found,) = verdict.signatures
        assert (found.proven_at, found.covers_whole_document) == (proven, True)
    assert len(stamped) == len(pdf)
    assert check_pdf(stamped, sample_pki().trust, NOW + 900 * DAY).ok
    assert [p.code for p in check_pdf(pdf, sample_pki().trust, NOW + 900 * DAY).problems] == [
        "CERTIFICATE_EXPIRED"
    ]


def test_stamp_without_room_or_of_nothing_is_refused() -> None:
    """A seal without room for one, a token that is none, a file without a seal."""
    seal = sample_pki().registry_seal.signer()
    tight = seal_pdf(make_pdf(), seal, reason="x", at=NOW, certify=True)
    with pytest.raises(SealFailed, match="room"):
        add_stamp(tight, token(signature_of(tight)))
    with pytest.raises(SealFailed, match="time stamp"):
        add_stamp(sealed_with_room(), b"x")
    with pytest.raises(SealFailed, match="signature"):
        signature_of(make_pdf())


def _stamped(
    *, claimed: Any = NOW, stamped_at: Any = NOW, over: bytes | None = None, key: Any = None
) -> bytes:
    """The seller's signature with a time stamp, each with a time of its own."""
    seller = key or sample_pki().seller
    pdf = seal_pdf(make_pdf(), seller.signer(), reason="x", at=claimed, field="Signature1", stamp_room=True)
    return add_stamp(pdf, token(signature_of(pdf) if over is None else over, at=stamped_at))


def test_file_stamp_over_another_signature_is_refused() -> None:
    """A token from elsewhere proves nothing here, though it holds for itself."""
    verdict = check_pdf(_stamped(over=b"another signature"), sample_pki().trust, NOW)
    assert [problem.code for problem in verdict.problems] == ["FILE_TIMESTAMP_INVALID"]


def test_file_stamp_forged_is_refused() -> None:
    """One byte of the authority's signature."""
    pdf = seal_pdf(make_pdf(), sample_pki().seller.signer(), reason="x", at=NOW, stamp_room=True)
    der = bytearray(token(signature_of(pdf)))
    der[-1] ^= 1
    verdict = check_pdf(add_stamp(pdf, bytes(der)), sample_pki().trust, NOW)
    assert [problem.code for problem in verdict.problems] == ["FILE_TIMESTAMP_INVALID"]


@pytest.mark.parametrize("claimed", [NOW - 3000 * DAY, NOW + 3000 * DAY])
@pytest.mark.parametrize("stamped", [False, True])
def test_claimed_time_decides_nothing(claimed: Any, stamped: bool) -> None:
    """Whenever a file says that it was signed, it is judged at the proven time, or without one now."""
    seller = sample_pki().seller.signer()
    pdf = (
        _stamped(claimed=claimed) if stamped else append_signature(make_pdf(), seller, reason="x", at=claimed)
    )
    verdict = check_pdf(pdf, sample_pki().trust, NOW + DAY)
    assert verdict.ok, verdict.problems
    assert verdict.signatures[0].signed_at == claimed
    assert verdict.signatures[0].judged_at == (NOW if stamped else NOW + DAY)


@pytest.mark.parametrize("claimed", [NOW, NOW + DAY])
def test_claimed_time_within_validity_saves_no_expired_certificate(claimed: Any) -> None:
    """Only the token's time counts, and it lies after the certificate's end."""
    short = sample_pki().pki.issue_person(SELLER_ID, "甲测试", days=1)
    late = _stamped(claimed=claimed, stamped_at=NOW + 3 * DAY, key=short)
    verdict = check_pdf(late, sample_pki().trust, NOW + 4 * DAY)
    assert [problem.code for problem in verdict.problems] == ["CERTIFICATE_EXPIRED"]
    early = _stamped(claimed=NOW + 3 * DAY, stamped_at=NOW, key=short)
    assert check_pdf(early, sample_pki().trust, NOW + 4 * DAY).ok
