"""Attacks on signed PDFs that the literature knows by name: wrapping, shadows, appearances, certification levels."""

from __future__ import annotations

import re
from functools import cache
from io import BytesIO

import pytest
from asn1crypto import keys as asn1_keys
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives import serialization
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import fields, signers
from pyhanko.sign.fields import MDPPerm, SigFieldSpec
from pyhanko_certvalidator.registry import SimpleCertificateStore

from signing.pdf import check_pdf
from signing.seal import append_signature, seal_pdf
from signing.verdict import FileVerdict
from tests.support.pdf_files import CONTENT, PAGE, make_pdf, stream, update_pdf
from tests.support.pki import NOW, sample_pki

_CONTENTS = re.compile(rb"/Contents <([0-9a-fA-F]+)>")
_BYTE_RANGE = re.compile(rb"/ByteRange \[(\d+) (\d+) (\d+) (\d+)\s*\]")

XOBJECT, NOTE, HIDDEN = 20, 21, 22
_FORM = stream(b"1 1 1 rg 0 0 400 40 re f", b"/Type/XObject/Subtype/Form/BBox[0 0 400 40]")


@cache
def _contract() -> bytes:
    """A page that shows a form XObject and a note, signed by the seller."""
    page = (
        b"/Annots[21 0 R]"  # the page's own dictionary has resources already; the XObject hangs on the note
    )
    appearance = stream(b"0 0 9 9 re f", b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]")
    note = b"<</Type/Annot/Subtype/Stamp/Rect[70 700 90 720]/Contents(agreed)/AP<</N 20 0 R>>>>"
    data = make_pdf(page=page, objects={XOBJECT: appearance, NOTE: note, HIDDEN: stream(b"% unused")})
    return append_signature(data, sample_pki().seller.signer(), reason="同意", at=NOW)


def _check(data: bytes) -> FileVerdict:
    return check_pdf(data, sample_pki().trust, NOW)


def _codes(data: bytes) -> set[str]:
    return {problem.code for problem in _check(data).problems}


def test_contract_of_these_tests_holds() -> None:
    """What is attacked below is in order before."""
    verdict = _check(_contract())
    assert verdict.ok, verdict.problems
    assert len(verdict.signatures) == 1


# -- wrapping: what the gap of the byte range holds -----------------------------------------------------


def _literal(value: bytes) -> bytes:
    """The same bytes as a literal string of a PDF, which takes less room than the hexadecimal one."""
    escaped = value.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)").replace(b"\r", b"\\r")
    return b"(" + escaped + b")"


@pytest.mark.parametrize("smuggled", [b"", b"/Location(another place)", b"/Name(another signer)"])
def test_gap_that_holds_more_than_the_value_is_refused(smuggled: bytes) -> None:
    """The value respelled in less room, the rest of the gap filled with entries that nobody signed."""
    signed = _contract()
    found = _CONTENTS.search(signed)
    assert found is not None
    start, end = found.start(1) - 1, found.end(1) + 1
    value = bytes.fromhex(found.group(1).decode())
    gap = (_literal(value) + smuggled).ljust(end - start)
    assert len(gap) == end - start, "the tool of this test found no room"
    assert _codes(signed[:start] + gap + signed[end:]) == {"FILE_SIGNATURE_COVERAGE"}


def test_gap_with_white_space_in_the_value_is_refused() -> None:
    """Hexadecimal strings may hold white space, and signed ones may not: one spelling."""
    signed = _contract()
    found = _CONTENTS.search(signed)
    assert found is not None
    assert found.group(1).endswith(b"0000") or len(found.group(1)) > 4
    digits = found.group(1)
    changed = digits[:-2] + b"\n\n"
    assert _codes(signed.replace(digits, changed)) & {"FILE_SIGNATURE_COVERAGE", "FILE_SIGNATURE_FORMAT"}


@pytest.mark.parametrize("numbers", [(9, 0, 0, 0), (0, 9, 0, -9), (0, -1, 1, 0), (0, 0, 0, 0), (0, 1, 0, -1)])
def test_byte_range_of_another_shape_is_refused(numbers: tuple[int, int, int, int]) -> None:
    """Beginning later, overlapping, negative: each is a finding, never an exception."""
    signed = _contract()
    found = _BYTE_RANGE.search(signed)
    assert found is not None
    stated = [int(one) for one in found.groups()]
    moved = [a + b for a, b in zip(stated, numbers, strict=True)]
    if numbers == (0, 0, 0, 0):
        moved = [0, 0, 0, 0]
    text = b"/ByteRange [%d %d %d %d" % tuple(moved)
    changed = signed.replace(found.group(0), text.ljust(len(found.group(0)) - 1) + b"]")
    assert _codes(changed) & {"FILE_SIGNATURE_COVERAGE", "FILE_SIGNATURE_FORMAT", "FILE_MALFORMED"}
    assert not _check(changed).signatures


@pytest.mark.parametrize("old", [b"/ByteRange [", b"/Contents <"])
def test_signature_without_value_or_range_is_reported(old: bytes) -> None:
    """A signature that cannot be judged is a problem, not an unsigned file."""
    signed = _contract()
    changed = signed.replace(old, old.replace(b"/", b"/X").replace(b"t", b"", 1))
    assert len(changed) == len(signed)
    assert _codes(changed)
    assert not _check(changed).signatures


# -- shadows: prepared before, brought out after ---------------------------------------------------------


@pytest.mark.parametrize(
    "replaced",
    [
        {XOBJECT: stream(b"0 0 90 90 re f", b"/Type/XObject/Subtype/Form/BBox[0 0 90 90]")},
        {NOTE: b"<</Type/Annot/Subtype/Stamp/Rect[70 700 90 720]/Contents(refused)/AP<</N 20 0 R>>>>"},
        {NOTE: b"null"},
        {CONTENT: stream(b"% nothing")},
        {5: b"<</Type/Font/Subtype/Type1/BaseFont/Symbol>>"},
        {
            PAGE: b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 22 0 R/Annots[21 0 R]"
            b"/Resources<</Font<</F1 5 0 R>>>>>>"
        },
    ],
    ids=["XObject", "note", "note taken away", "content", "font", "page shows hidden content"],
)
def test_object_that_is_shown_is_not_replaced(replaced: dict[int, bytes]) -> None:
    """By an incremental update, whichever object of the page it is."""
    changed = update_pdf(_contract(), replaced)
    assert "FILE_CHANGED_AFTER_SIGNING" in _codes(changed)
    assert not _check(changed).signatures


def test_xref_alone_cannot_bring_out_what_was_hidden() -> None:
    """A shadow: another version of an object lies in the signed bytes, and an update points to it."""
    body = b"4 0 obj\n<</Length 27>>\nstream\nBT (loan 9000000 yuan) Tj ET\nendstream\nendobj\n"
    hidden = make_pdf(objects={HIDDEN: stream(body)})
    signed = append_signature(hidden, sample_pki().seller.signer(), reason="x", at=NOW)
    assert _check(signed).ok
    previous = int(re.findall(rb"startxref\s+(\d+)", signed)[-1])
    table = b"xref\n4 1\n%010d 00000 n \n" % signed.index(body)
    size = re.findall(rb"/Size (\d+)", signed)[-1]
    trailer = b"trailer\n<</Size %b/Root 1 0 R/Prev %d>>\n" % (size, previous)
    start = b"startxref\n%d\n%%%%EOF\n" % len(signed)
    changed = signed + table + trailer + start
    assert _codes(changed) & {"FILE_CHANGED_AFTER_SIGNING", "FILE_SIGNATURE_FORMAT", "FILE_MALFORMED"}
    assert not _check(changed).signatures


# -- appearances -----------------------------------------------------------------------------------------


def _with_empty_field(data: bytes, box: tuple[int, int, int, int], content: bytes) -> bytes:
    """An update that adds a signature field which nobody signed, with this appearance."""
    writer = IncrementalPdfFileWriter(BytesIO(data))
    fields.append_signature_field(writer, SigFieldSpec(sig_field_name="Later", box=box))
    field = writer.root["/AcroForm"]["/Fields"][-1].get_object()
    shown = generic.StreamObject(
        {
            pdf_name("/Type"): pdf_name("/XObject"),
            pdf_name("/Subtype"): pdf_name("/Form"),
            pdf_name("/BBox"): generic.ArrayObject([generic.NumberObject(one) for one in (0, 0, 400, 40)]),
        },
        stream_data=content,
    )
    field["/AP"] = generic.DictionaryObject({pdf_name("/N"): writer.add_object(shown)})
    out = BytesIO()
    writer.write(out)
    return out.getvalue()


def test_field_that_nobody_signed_cannot_cover_the_page() -> None:
    """An empty signature field is allowed after signing; with an appearance it shows what nobody signed."""
    covered = _with_empty_field(_contract(), (60, 700, 460, 740), b"1 1 1 rg 0 0 400 40 re f")
    assert "FILE_CHANGED_AFTER_SIGNING" in _codes(covered)


def test_empty_field_for_the_next_signer_may_be_added() -> None:
    """Without an appearance it shows nothing; one that was there before the signature was signed with it."""
    added = IncrementalPdfFileWriter(BytesIO(_contract()))
    fields.append_signature_field(added, SigFieldSpec(sig_field_name="Next"))
    out = BytesIO()
    added.write(out)
    assert _check(out.getvalue()).ok
    placed = _with_empty_field(make_pdf(), (60, 700, 460, 740), b"0 0 400 40 re S")
    signed = append_signature(placed, sample_pki().seller.signer(), reason="x", at=NOW)
    assert _check(signed).ok, _check(signed).problems


def test_empty_field_cannot_bring_out_what_was_hidden() -> None:
    """It was there before the signature, as was the object that an update has it show."""
    empty = IncrementalPdfFileWriter(BytesIO(make_pdf(objects={HIDDEN: _FORM})))
    fields.append_signature_field(empty, SigFieldSpec(sig_field_name="Next", box=(60, 700, 460, 740)))
    out = BytesIO()
    empty.write(out)
    signed = append_signature(out.getvalue(), sample_pki().seller.signer(), reason="x", at=NOW)
    assert _check(signed).ok
    writer = IncrementalPdfFileWriter(BytesIO(signed))
    field = writer.root["/AcroForm"]["/Fields"][0].get_object()
    reference = generic.IndirectObject(HIDDEN, 0, writer)
    field["/AP"] = generic.DictionaryObject({pdf_name("/N"): reference})
    writer.update_container(field)
    out = BytesIO()
    writer.write(out)
    assert "FILE_CHANGED_AFTER_SIGNING" in _codes(out.getvalue())


def test_appearance_of_an_empty_field_is_not_replaced() -> None:
    """One that was there before the signature stays as it was signed."""
    placed = _with_empty_field(make_pdf(), (60, 700, 460, 740), b"0 0 400 40 re S")
    signed = append_signature(placed, sample_pki().seller.signer(), reason="x", at=NOW)
    number = int(re.findall(rb"/AP <<\s*/N (\d+) 0 R", placed)[-1])
    assert "FILE_CHANGED_AFTER_SIGNING" in _codes(update_pdf(signed, {number: _FORM}))


def test_visible_signature_is_marked_and_its_seal_is_not_replaced() -> None:
    """A signer's seal may be seen, as stamps on contracts are; the verdict says that it is, and it stays."""
    spec = SigFieldSpec(sig_field_name="Seal", box=(60, 700, 460, 740))
    stamped = _by_pyhanko(
        make_pdf(), signers.PdfSignatureMetadata(field_name="Seal", md_algorithm="sha256"), spec
    )
    verdict = _check(stamped)
    assert verdict.ok, verdict.problems
    assert [one.visible for one in verdict.signatures] == [True]
    number = int(re.findall(rb"/AP <<\s*/N (\d+) 0 R", stamped)[-1])
    assert "FILE_CHANGED_AFTER_SIGNING" in _codes(update_pdf(stamped, {number: _FORM}))


# -- certification levels --------------------------------------------------------------------------------


def test_certified_without_changes_takes_none() -> None:
    """DocMDP 1: not even a further signature, by whatever tool it is added."""
    sealed = seal_pdf(make_pdf(), sample_pki().registry_seal.signer(), reason="登簿", at=NOW, certify=True)
    assert _check(sealed).ok
    other = _certified(MDPPerm.FILL_FORMS)
    second = append_signature(other, sample_pki().bank.signer(), reason="x", at=NOW)
    assert _check(second).ok, _check(second).problems
    changed = update_pdf(sealed, {CONTENT: stream(b"% nothing")})
    assert _codes(changed) == {"FILE_CHANGED_AFTER_SIGNING"}


@pytest.mark.parametrize("level", [MDPPerm.FILL_FORMS, MDPPerm.ANNOTATE])
def test_level_that_would_allow_notes_allows_none_here(level: MDPPerm) -> None:
    """DocMDP 2 and 3 allow forms and notes; as a signed paper only signatures may follow."""
    certified = _certified(level)
    assert _check(certified).ok, _check(certified).problems
    page = (
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R"
        b"/Resources<</Font<</F1 5 0 R>>>>/Annots[60 0 R]>>"
    )
    note = b"<</Type/Annot/Subtype/FreeText/Rect[70 700 300 730]/Contents(loan 9)>>"
    assert "FILE_CHANGED_AFTER_SIGNING" in _codes(update_pdf(certified, {PAGE: page, 60: note}))


def _certified(level: MDPPerm) -> bytes:
    """A file certified by the registry at this level."""
    metadata = signers.PdfSignatureMetadata(
        field_name="Author", certify=True, docmdp_permissions=level, md_algorithm="sha256"
    )
    return _by_pyhanko(make_pdf(), metadata)


def _by_pyhanko(
    data: bytes, metadata: signers.PdfSignatureMetadata, spec: SigFieldSpec | None = None
) -> bytes:
    """Signed by the registry's key with pyHanko's own signer, which knows appearances and levels."""
    credential = sample_pki().registry_seal
    store = SimpleCertificateStore()  # type: ignore[no-untyped-call]
    store.register_multiple(asn1_x509.Certificate.load(der) for der in credential.certificates[1:])
    key = credential.private_key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    signer = signers.SimpleSigner(
        signing_cert=asn1_x509.Certificate.load(credential.certificates[0]),
        signing_key=asn1_keys.PrivateKeyInfo.load(key),
        cert_registry=store,
    )
    out = signers.sign_pdf(IncrementalPdfFileWriter(BytesIO(data)), metadata, signer, new_field_spec=spec)
    return bytes(out.getvalue())
