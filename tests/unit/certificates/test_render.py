"""The printed certificate: PDF/A-3 with its data inside, and every word on paper."""

from __future__ import annotations

import hashlib
import io

import msgspec
import pypdf
import pytest
from msgspec.structs import replace
from pypdf.generic import StreamObject

from gateway.certificates.content import (
    CertificateContent,
    Line,
    encode_content,
    mortgage_proof,
    title_certificate,
)
from gateway.certificates.glyphs import printable, restore
from gateway.certificates.layout import lay_out
from gateway.certificates.proof import decode_proof, encode_proof
from gateway.certificates.reading import first_difference, read_attachments, read_body
from gateway.certificates.render import check_url, qr_svg, render_certificate
from gateway.certificates.typeset import RenderError
from gateway.register.model import CoOwnership, Owner, Ownership
from ledger.hashing import leaf_hash
from ledger.proof_file import verify_proof_file
from tests.support.certificates import (
    BANK,
    ORIGIN,
    OWNER,
    VERIFICATION_URL,
    VKEYS,
    content,
    issue,
    mortgage,
    proof_for,
    unit,
    unsealed,
)
from tests.support.pki import NOW

NASTY = '#panic("x") $a^2$ *b* _c_ `d` <e> @f \\ // = + - \u202e\u0000 [g] "h"'


def assert_prints_all(made: CertificateContent) -> int:
    """Every word of the layout is on the pages, in order, and no other; return the number of pages."""
    pdf = unsealed(made)
    layout = lay_out(made)
    assert first_difference(layout, read_body(pdf, layout)) is None
    return len(pypdf.PdfReader(io.BytesIO(pdf)).pages)


def test_certificate_is_pdf_a_3b_on_a4() -> None:
    """The file declares PDF/A-3b, has an output intent, a document id and A4 pages."""
    pdf = unsealed()
    reader = pypdf.PdfReader(io.BytesIO(pdf))
    stream = reader.root_object["/Metadata"].get_object()
    assert isinstance(stream, StreamObject)
    metadata = stream.get_data().decode()
    assert "<pdfaid:part>3</pdfaid:part>" in metadata
    assert "<pdfaid:conformance>B</pdfaid:conformance>" in metadata
    assert "/OutputIntents" in reader.root_object
    assert "/ID" in reader.trailer
    assert [round(float(side)) for side in reader.pages[0].mediabox[2:]] == [595, 842]


def test_certificate_embeds_content_byte_for_byte() -> None:
    """certificate.json is exactly what the ledger commits to, spaces and order included."""
    data = encode_content(content())
    attached = read_attachments(unsealed())
    assert attached["certificate.json"] == [data]


def test_certificate_embeds_both_forms_of_the_proof() -> None:
    """ledger-proof.json reads back, and proof.tlog-proof verifies by the C2SP rules alone."""
    proof = proof_for(encode_content(content()))
    attached = read_attachments(unsealed())
    assert decode_proof(attached["ledger-proof.json"][0]) == proof
    index, checkpoint = verify_proof_file(
        attached["proof.tlog-proof"][0], leaf_hash(proof.entry), *VKEYS[ORIGIN]
    )
    assert (index, checkpoint.size) == (1, 2)


def test_certificate_of_ten_units_and_many_parties_prints_every_word() -> None:
    """A long certificate goes over pages; nothing is cut."""
    people = tuple(replace(OWNER, name=f"阿卜杜热合曼·买买提·测试{n}") for n in range(60))
    units = [unit(n, location=f"测试市{'很长的' * 12}路{n}号") for n in range(10)]
    row = mortgage(mortgagors=people, units=tuple(u.unit_code for u in units), secured_scope="担保" * 400)
    assert assert_prints_all(mortgage_proof(row, units, ["旧证"] * 3, **issue())) > 1


def test_certificate_of_one_unit_is_one_page() -> None:
    """The ordinary certificate is one sheet."""
    assert assert_prints_all(content()) == 1


def test_title_of_one_unit_is_one_page() -> None:
    """The ordinary title is one sheet."""
    row = Ownership(
        right_id="1.1",
        units=(unit().unit_code,),
        case_number="c",
        booked_at=NOW,
        booked_by="登测试",
        owners=(Owner(person=OWNER),),
        co_ownership=CoOwnership.SOLE,
        title=mortgage().proof,
    )
    assert assert_prints_all(title_certificate(row, unit(), **issue("TITLE"))) == 1


def test_production_certificate_has_no_watermark() -> None:
    """测试 is printed outside production, and only there."""
    assert "测试" not in lay_out(content(test=False)).page_heads(1)[0]
    assert assert_prints_all(content(test=False, issuer_name="江边登记中心")) == 1


@pytest.mark.parametrize("field", ["location", "note", "case_number", "issuer_name", "number"])
def test_data_that_look_like_typst_are_printed_as_they_are(field: str) -> None:
    """No field of a certificate can become code of the typesetter."""
    assert_prints_all(content(**{field: NASTY}))


def test_names_and_lines_that_look_like_typst_are_printed_as_they_are() -> None:
    """Neither can a name nor a line of 其他."""
    made = content(holders=(replace(BANK, name=NASTY),), other=(Line(label=NASTY, value=NASTY),))
    assert_prints_all(made)


def test_name_with_a_rare_character_is_printed_by_its_code() -> None:
    """A name that the fonts cannot print never stops a certificate; the data keep the character."""
    made = content(obligors=(replace(OWNER, name="王\U00020bb7\U0002f81a😀"),))
    assert printable("\U00020bb7") == "〔U+20BB7〕"
    assert_prints_all(made)
    assert read_attachments(unsealed(made))["certificate.json"] == [encode_content(made)]


@pytest.mark.parametrize("text", ["王\U00020bb7", "普通", "a\u200bb", "〔U+110000〕"])
def test_restore_reverses_printable(text: str) -> None:
    """Text printed by codes reads back as it was; a code outside Unicode stays as it is."""
    assert restore(printable(text)) == text


def test_authority_with_a_very_long_name_keeps_every_character_on_the_seal() -> None:
    """Letters on the seal shrink with the length of the name; none is dropped."""
    assert_prints_all(
        content(issuer_name="测试维吾尔自治区测试郭楞蒙古自治州测试尔勒市自然资源局不动产登记中心第一分中心")
    )


def test_check_url_names_identifier_and_code_and_nobody() -> None:
    """The QR code holds no personal data."""
    url = check_url("https://verify.example.cn/certificates/", content())
    assert url == f"{VERIFICATION_URL}/{content().identifier}?code={content().code}"
    assert OWNER.id_number not in url


def test_qr_svg_is_one_standalone_picture() -> None:
    """The QR code is vectors with white behind it, so that it scans on any ground."""
    svg = qr_svg("https://verify.example.cn")
    assert svg.startswith("<svg")
    assert 'xmlns="http://www.w3.org/2000/svg"' in svg
    assert "#fff" in svg


def test_content_that_is_no_content_is_refused() -> None:
    """Bytes that are not a certificate's content are not printed."""
    with pytest.raises(RenderError, match="content"):
        render_certificate(b"{}", proof_for(b"{}"), verification_url=VERIFICATION_URL)


def test_proof_over_its_limits_is_refused() -> None:
    """A proof that no verifier would read is not embedded."""
    data = encode_content(content())
    broken = msgspec.structs.replace(proof_for(data), inclusion=(b"short",))
    with pytest.raises(RenderError, match="hashes"):
        render_certificate(data, broken, verification_url=VERIFICATION_URL)


def test_proof_survives_encoding() -> None:
    """The proof's JSON reads back to the same value."""
    proof = proof_for(b"x")
    assert decode_proof(encode_proof(proof)) == proof


def test_words_of_a_certificate_are_frozen() -> None:
    """Verifiers of tomorrow expect the words of today: other words need another schema."""
    words = lay_out(content()).body()
    assert hashlib.sha256(words.encode()).hexdigest() == (
        "3627193558635368ff05b05bc710d55e7f019eda0876ac509e3616ec52c99e78"
    )
