"""SM2 with SM3 inside a PDF, in both shapes, and P-384 beside them."""

from __future__ import annotations

import re
from functools import cache

import pytest

from signing import sm2
from signing.algorithms import Algorithm
from signing.cms_sign import sign_cms
from signing.pdf import check_pdf
from signing.pki import Credential, KeyKind, make_key
from signing.seal import add_stamp, append_signature, seal_pdf, signature_of
from signing.timestamp import decode_response, encode_request
from signing.timestamp_authority import TimestampAuthority
from signing.trust import Purpose
from tests.support.pdf_files import make_pdf
from tests.support.pki import NOW, REGISTRY_USCC, SELLER_ID, sample_pki

pytestmark = pytest.mark.skipif(not sm2.AVAILABLE, reason="the extra sm is not installed")


@cache
def _registry(kind: KeyKind = KeyKind.SM2) -> Credential:
    return sample_pki().pki.issue_seal(REGISTRY_USCC, "测试市不动产登记中心", key=make_key(kind))


@cache
def _sealed(*, stamp_room: bool = False) -> bytes:
    return seal_pdf(make_pdf(), _registry().signer(), reason="登簿", at=NOW, stamp_room=stamp_room)


def test_seal_of_an_sm2_key_is_the_national_shape_and_holds() -> None:
    """GB/T 35275 under adbe.pkcs7.detached; a changed byte breaks it."""
    sealed = _sealed()
    assert b"/adbe.pkcs7.detached" in sealed
    verdict = check_pdf(sealed, sample_pki().trust, NOW)
    assert verdict.ok, verdict.problems
    (seal,) = verdict.signatures
    assert (seal.algorithm, seal.form, seal.purpose) == ("SM2_SM3", "GB/T 35275", Purpose.REGISTRY)
    assert (seal.signed_at, seal.covers_whole_document) == (NOW, True)
    forged = sealed.replace(b"loan 1000000", b"loan 9000000")
    assert [one.code for one in check_pdf(forged, sample_pki().trust, NOW).problems] == [
        "SIGNED_CONTENT_CHANGED"
    ]


def test_sm2_inside_international_identifiers_holds_too() -> None:
    """RFC 5652 identifiers with SM2 inside, as some makers write, are accepted; we do not make them."""
    sealed = _sealed(stamp_room=True)
    found = re.search(rb"/ByteRange \[(\d+) (\d+) (\d+) (\d+)\s*\]", sealed)
    assert found is not None
    _, length, after, rest = (int(one) for one in found.groups())
    made = sign_cms(sealed[:length] + sealed[after : after + rest], [_registry().signer()], NOW)
    gap = b"<" + made.hex().encode().ljust(after - length - 2, b"0") + b">"
    verdict = check_pdf(sealed[:length] + gap + sealed[after:], sample_pki().trust, NOW)
    assert verdict.ok, verdict.problems
    assert (verdict.signatures[0].algorithm, verdict.signatures[0].form) == ("SM2_SM3", "CMS")


def test_sm2_seal_takes_a_time_stamp() -> None:
    """In the room that was left; the token's time is the proven one."""
    authority = TimestampAuthority(sample_pki().pki.issue_tsa().signer(), lambda: NOW)
    sealed = _sealed(stamp_room=True)
    token = decode_response(authority.answer(encode_request(signature_of(sealed), nonce=9)))
    verdict = check_pdf(add_stamp(sealed, token), sample_pki().trust, NOW)
    assert verdict.ok, verdict.problems
    assert verdict.signatures[0].proven_at == NOW


@pytest.mark.parametrize("first", [KeyKind.SM2, KeyKind.P256])
def test_both_suites_sign_one_file(first: KeyKind) -> None:
    """A registry seals in either suite or in both; persons sign beside."""
    second = KeyKind.P256 if first is KeyKind.SM2 else KeyKind.SM2
    person = sample_pki().pki.issue_person(SELLER_ID, "甲测试", key=make_key(KeyKind.SM2))
    data = seal_pdf(make_pdf(), _registry(first).signer(), reason="登簿", at=NOW, field="First")
    data = seal_pdf(data, _registry(second).signer(), reason="登簿", at=NOW, field="Second")
    data = append_signature(data, person.signer(), reason="同意", at=NOW)
    verdict = check_pdf(data, sample_pki().trust, NOW)
    assert verdict.ok, verdict.problems
    assert {one.algorithm for one in verdict.signatures} == {"SM2_SM3", "ECDSA_P256_SHA256"}
    assert [one.covers_whole_document for one in verdict.signatures] == [False, False, True]


def test_p384_seals_with_its_own_digest() -> None:
    """PAdES with SHA-384 throughout."""
    sealed = seal_pdf(make_pdf(), _registry(KeyKind.P384).signer(), reason="登簿", at=NOW)
    verdict = check_pdf(sealed, sample_pki().trust, NOW)
    assert verdict.ok, verdict.problems
    assert verdict.signatures[0].algorithm == Algorithm.ECDSA_P384_SHA384.value
