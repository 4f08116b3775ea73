"""What was signed stays what was signed: every way to change a file after its signature is
found.
"""

from __future__ import annotations

import re
from datetime import timedelta
from functools import cache

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from signing.algorithms import Algorithm
from signing.pdf import check_pdf
from signing.pki import Credential, KeyKind, make_key
from signing.seal import append_signature, seal_pdf
from signing.trust import Purpose, TrustStore
from signing.verdict import FileVerdict
from tests.support.pdf_files import CONTENT, PAGE, attachment, make_pdf, stream, update_pdf
from tests.support.pki import (
    BANK_USCC,
    NOW,
    SELLER_ID,
    rsa_key,
    sample_pki,
    timestamper,
    timestamper_of,
)

DAY = timedelta(days=1)


@cache
def _signed() -> bytes:
    """A contract with terms embedded, signed by the seller and then by the bank."""
    catalog, objects = attachment(b"terms.bin", b"the terms")
    once = append_signature(
        make_pdf(catalog=catalog, objects=objects),
        sample_pki().seller.signer(),
        reason="同意抵押",
        at=NOW,
    )
    return append_signature(once, sample_pki().bank.signer(), reason="同意", at=NOW)


def _check(data: bytes, trust: TrustStore | None = None) -> FileVerdict:
    return check_pdf(data, trust or sample_pki().trust, NOW)


def _codes(data: bytes) -> set[str]:
    return {problem.code for problem in _check(data).problems}


def test_pdf_signed_by_two_parties_names_both() -> None:
    """Two parties sign one after another; both signatures hold and the later covers the whole
    file.
    """
    verdict = _check(_signed())
    assert verdict.ok, verdict.problems
    seller, bank = verdict.signatures
    assert (seller.identity.scheme, seller.identity.number) == ("IDCCN", SELLER_ID)
    assert (bank.identity.scheme, bank.identity.number) == ("NTRCN", BANK_USCC)
    assert (seller.purpose, bank.purpose) == (Purpose.PERSON, Purpose.INSTITUTION)
    assert (seller.covers_whole_document, bank.covers_whole_document) == (False, True)
    assert seller.signed_at == NOW
    assert seller.proven_at is None
    assert not seller.visible
    assert set(verdict.attachments) == {"terms.bin"}


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("content", b"loan 1000000", b"loan 9000000"),
        ("attachment", b"the terms", b"the forms"),
        ("media box", b"[0 0 595 842]", b"[0 0 595 84 ]"),
        ("comment", b"\xe2\xe3\xcf\xd3", b"\xe2\xe3\xcf\xd4"),
        ("reason", b"/ETSI.CAdES.detached", b"/adbe.pkcs7.detached"),
    ],
)
def test_pdf_with_signed_bytes_changed_is_refused(name: str, old: bytes, new: bytes) -> None:
    """One byte inside the signed range, wherever it lies, breaks the signatures over it."""
    signed = _signed()
    assert old in signed, name
    verdict = _check(signed.replace(old, new, 1))
    assert "SIGNED_CONTENT_CHANGED" in {problem.code for problem in verdict.problems}
    assert not verdict.signatures


def test_pdf_with_a_changed_signature_value_is_refused() -> None:
    """The CMS itself is not in the signed range, but a bit of its signature value breaks it."""
    signed = _signed()
    start = signed.rindex(b"/Contents <") + len(b"/Contents <")
    end = signed.index(b">", start)
    contents = bytes.fromhex(signed[start:end].decode())
    length = 4 + int.from_bytes(contents[2:4], "big")
    changed = bytearray(contents)
    changed[length - 1] ^= 1
    verdict = _check(signed[:start] + changed.hex().encode() + signed[end:])
    assert [problem.code for problem in verdict.problems] == ["SIGNATURE_INVALID"]
    assert [one.field for one in verdict.signatures] == ["Signature1"]


def test_pdf_update_that_replaces_the_page_content_is_refused() -> None:
    """An update after signing that shows other text is no signature."""
    forged = update_pdf(_signed(), {CONTENT: stream(b"BT /F1 12 Tf 72 720 Td (loan 9) Tj ET")})
    assert _codes(forged) == {"FILE_CHANGED_AFTER_SIGNING"}
    assert not _check(forged).signatures


def test_pdf_update_that_adds_an_annotation_is_refused() -> None:
    """A note over the amount is a change of what is read."""
    page = (
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R"
        b"/Resources<</Font<</F1 5 0 R>>>>/Annots[60 0 R]>>"
    )
    note = b"<</Type/Annot/Subtype/FreeText/Rect[70 700 300 730]/Contents(loan 9)>>"
    assert _codes(update_pdf(_signed(), {PAGE: page, 60: note})) == {"FILE_CHANGED_AFTER_SIGNING"}


def test_pdf_update_that_adds_a_page_is_refused() -> None:
    """A further page after the signatures was signed by nobody."""
    pages = b"<</Type/Pages/Count 2/Kids[3 0 R 60 0 R]>>"
    added = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Resources<<>>>>"
    assert _codes(update_pdf(_signed(), {2: pages, 60: added})) == {"FILE_CHANGED_AFTER_SIGNING"}


def test_pdf_update_that_replaces_an_attachment_is_refused() -> None:
    """The embedded terms are part of what is signed."""
    replaced = update_pdf(_signed(), {11: stream(b"my terms!", b"/Type/EmbeddedFile")})
    assert _codes(replaced) == {"FILE_CHANGED_AFTER_SIGNING"}


def test_pdf_update_that_hides_the_form_is_refused_or_unsigned() -> None:
    """Taking the form out of the catalog must not leave a file that counts as signed."""
    verdict = _check(update_pdf(_signed(), {}, catalog=b""))
    assert not verdict.signatures


def test_pdf_update_that_fills_a_text_field_is_refused() -> None:
    """Filling in a form after it was signed is a change, though viewers allow it."""
    field = b"<</Type/Annot/Subtype/Widget/FT/Tx/T(amount)/V(%b)/Rect[0 0 90 20]/P 3 0 R>>"
    form = make_pdf(
        catalog=b"/AcroForm<</Fields[20 0 R]>>",
        page=b"/Annots[20 0 R]",
        objects={20: field % b"1000000"},
    )
    signed = append_signature(form, sample_pki().seller.signer(), reason="同意", at=NOW)
    assert _check(signed).ok
    assert _codes(update_pdf(signed, {20: field % b"9000000"})) == {"FILE_CHANGED_AFTER_SIGNING"}


def test_pdf_certified_by_its_author_takes_no_further_signature() -> None:
    """A sealed certificate that forbids changes cannot grow another signature."""
    sealed = seal_pdf(make_pdf(), sample_pki().registry_seal.signer(), reason="登簿", at=NOW, certify=True)
    assert _check(sealed).ok
    with pytest.raises(Exception, match="cannot be signed"):
        append_signature(sealed, sample_pki().bank.signer(), reason="x", at=NOW)


def test_pdf_signature_moved_to_another_file_is_refused() -> None:
    """A signature that holds in one file does not in another of the same length."""
    first = append_signature(make_pdf(text=b"loan 1"), sample_pki().seller.signer(), reason="x", at=NOW)
    second = append_signature(make_pdf(text=b"loan 2"), sample_pki().seller.signer(), reason="x", at=NOW)
    take = re.compile(rb"/Contents <([0-9a-fA-F]+)>")
    mine, theirs = take.search(first), take.search(second)
    assert mine is not None
    assert theirs is not None
    mixed = second.replace(
        theirs.group(1), mine.group(1)[: len(theirs.group(1))].ljust(len(theirs.group(1)), b"0")
    )
    assert _codes(mixed) == {"SIGNED_CONTENT_CHANGED"}


def test_pdf_bytes_after_the_end_of_a_signed_file_are_refused() -> None:
    """What follows the last end-of-file marker was signed by nobody."""
    assert _codes(_signed() + b"more") == {"FILE_TRAILING_DATA"}


def test_pdf_byte_range_that_leaves_out_more_than_the_signature_is_refused() -> None:
    """The gap in the signed range may hold the signature value and nothing else."""
    signed = append_signature(make_pdf(), sample_pki().seller.signer(), reason="x", at=NOW)
    found = re.search(rb"/ByteRange \[(\d+) (\d+) (\d+) (\d+)\s*\]", signed)
    assert found is not None
    zero, first, second, rest = (int(one) for one in found.groups())
    wider = b"/ByteRange [%d %d %d %d" % (zero, first - 9, second, rest)
    changed = signed.replace(found.group(0), wider.ljust(len(found.group(0)) - 1) + b"]")
    assert _codes(changed) & {"FILE_SIGNATURE_COVERAGE", "FILE_SIGNATURE_FORMAT"}


@pytest.mark.parametrize(
    "subfilter", [b"/adbe.pkcs7.sha1     ", b"/adbe.x509.rsa_sha1  ", b"/Unknown.detached    "]
)
def test_pdf_signature_of_another_format_is_reported_not_ignored(subfilter: bytes) -> None:
    """A signature that is not understood is a problem, never a file that counts as unsigned."""
    signed = append_signature(make_pdf(), sample_pki().seller.signer(), reason="x", at=NOW)
    assert b"/ETSI.CAdES.detached" in signed
    changed = signed.replace(b"/ETSI.CAdES.detached", subfilter[:20])
    assert _codes(changed) == {"FILE_SIGNATURE_FORMAT"}


def test_pdf_signer_is_judged_as_an_envelope_signer_is() -> None:
    """Expired, future, revoked, wrong-purpose and unknown certificates have their own reasons."""
    sample = sample_pki()
    pki = sample.pki
    signers = {
        "CERTIFICATE_EXPIRED": pki.issue_person(SELLER_ID, "甲", days=-1, not_before=NOW - 9 * DAY),
        "CERTIFICATE_NOT_YET_VALID": pki.issue_person(SELLER_ID, "甲", not_before=NOW + DAY),
        "CERTIFICATE_WRONG_PURPOSE": sample.bank_tls,
    }
    for reason, credential in signers.items():
        signed = append_signature(make_pdf(), credential.signer(), reason="x", at=NOW)
        assert _codes(signed) == {reason}
    revoking = sample.trust_revoking(sample.seller)
    verdict = _check(_signed(), revoking)
    assert [problem.code for problem in verdict.problems] == ["CERTIFICATE_REVOKED"]
    assert [one.identity.number for one in verdict.signatures] == [BANK_USCC]
    verdict = _check(_signed(), TrustStore({}))
    assert {problem.code for problem in verdict.problems} == {"CERTIFICATE_UNKNOWN_ISSUER"}


def test_pdf_time_stamp_proves_the_time_and_the_chain_is_judged_then() -> None:
    """A certificate that has ended since was good when the token says that the signature
    existed.
    """
    sample = sample_pki()
    stamped = append_signature(
        make_pdf(), sample.seller.signer(), reason="x", at=NOW, timestamper=timestamper(NOW)
    )
    plain = append_signature(make_pdf(), sample.seller.signer(), reason="x", at=NOW)
    later = NOW + timedelta(days=900)
    trust = sample.pki.trust_store()
    assert [one.code for one in check_pdf(plain, trust, later).problems] == ["CERTIFICATE_EXPIRED"]
    verdict = check_pdf(stamped, trust, later)
    assert verdict.ok, verdict.problems
    assert verdict.signatures[0].proven_at == NOW
    assert verdict.signatures[0].judged_at == NOW
    assert verdict.checked_at == later


def test_pdf_time_stamp_of_nobody_is_refused() -> None:
    """A token by an authority that is not an anchor's proves no time, and is not ignored."""
    stranger = type(sample_pki().pki).create(NOW).issue_tsa(key=rsa_key())
    stamped = append_signature(
        make_pdf(),
        sample_pki().seller.signer(),
        reason="x",
        at=NOW,
        timestamper=timestamper_of(stranger, NOW),
    )
    assert _codes(stamped) == {"FILE_TIMESTAMP_INVALID"}


def test_pdf_time_stamp_by_a_signing_certificate_is_refused() -> None:
    """A bank cannot stamp its own time: purposes are separate."""
    own = sample_pki().pki.issue_institution(BANK_USCC, "澄江测试银行", key=rsa_key())
    stamped = append_signature(
        make_pdf(),
        sample_pki().seller.signer(),
        reason="x",
        at=NOW,
        timestamper=timestamper_of(own, NOW),
    )
    assert _codes(stamped) == {"FILE_TIMESTAMP_INVALID"}


def test_pdf_time_stamp_from_the_future_is_refused() -> None:
    """A token cannot prove a time that has not come."""
    stamped = append_signature(
        make_pdf(),
        sample_pki().seller.signer(),
        reason="x",
        at=NOW,
        timestamper=timestamper(NOW + DAY),
    )
    assert _codes(stamped) == {"FILE_TIMESTAMP_INVALID"}


def test_pdf_revocation_before_the_proven_time_counts() -> None:
    """A token does not save a certificate that was revoked before it."""
    sample = sample_pki()
    stamped = append_signature(
        make_pdf(), sample.seller.signer(), reason="x", at=NOW, timestamper=timestamper(NOW)
    )
    before = sample.trust_revoking(sample.seller, since=NOW - timedelta(minutes=1))
    after = sample.trust_revoking(sample.seller, since=NOW + timedelta(minutes=1))
    at = NOW + timedelta(hours=1)
    assert [one.code for one in check_pdf(stamped, before, at).problems] == ["CERTIFICATE_REVOKED"]
    assert check_pdf(stamped, after, at).ok


@pytest.mark.parametrize("kind", [KeyKind.P521, KeyKind.RSA_1024])
def test_pdf_signed_with_a_refused_key_is_refused(kind: KeyKind) -> None:
    """A key that envelopes refuse is refused in files too, whoever made the signature."""
    key = rsa_key(1024) if kind is KeyKind.RSA_1024 else make_key(kind)
    credential = sample_pki().pki.issue_person(SELLER_ID, "甲测试", key=key)
    signed = append_signature(make_pdf(), _Foreign(credential, kind), reason="x", at=NOW)
    assert _codes(signed) == {"ALGORITHM_REFUSED"}


class _Foreign:
    """A signer of another maker, who does not ask which keys we accept."""

    def __init__(self, credential: Credential, kind: KeyKind) -> None:
        self._key = credential.private_key
        self.certificates: tuple[bytes, ...] = credential.certificates
        self.algorithm = Algorithm.ECDSA_P256_SHA256 if kind is KeyKind.P521 else Algorithm.RSA_PKCS1_SHA256

    def sign(self, message: bytes) -> bytes:
        if isinstance(self._key, ec.EllipticCurvePrivateKey):
            return self._key.sign(message, ec.ECDSA(hashes.SHA256()))
        assert isinstance(self._key, rsa.RSAPrivateKey)
        return self._key.sign(message, padding.PKCS1v15(), hashes.SHA256())
