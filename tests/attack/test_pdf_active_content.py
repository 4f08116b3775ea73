"""A file that could do something when it is opened, or that hides what it is, never passes the
check.
"""

from __future__ import annotations

import hashlib
import zlib

import pytest

from signing.pdf import check_pdf
from signing.trust import TrustStore
from signing.verdict import FileVerdict
from tests.support.hostile_files import HOSTILE
from tests.support.pdf_files import attachment, make_pdf, stream
from tests.support.pki import NOW

EMPTY = TrustStore({})


def _check(data: bytes) -> FileVerdict:
    return check_pdf(data, EMPTY, NOW)


def _codes(data: bytes) -> set[str]:
    return {problem.code for problem in _check(data).problems}


def test_pdf_plain_is_in_order() -> None:
    """The builder's plain file passes, so that what the other tests add is what is refused."""
    verdict = _check(make_pdf())
    assert verdict.ok
    assert verdict.pages == 1


@pytest.mark.parametrize("version", [b"1.4", b"1.5", b"1.6", b"1.7", b"2.0"])
def test_pdf_of_each_accepted_version_is_in_order(version: bytes) -> None:
    """PDF 1.4 to 2.0 is what the handbook accepts."""
    assert _check(make_pdf(version=version)).ok


@pytest.mark.parametrize("name", HOSTILE)
def test_pdf_hostile_is_refused_with_its_code(name: str) -> None:
    """Each kind of content that may act, hide or reach outside has its own code."""
    data, code = HOSTILE[name]
    verdict = _check(data)
    assert not verdict.ok
    assert code in {problem.code for problem in verdict.problems}


@pytest.mark.parametrize("name", HOSTILE)
def test_pdf_problem_speaks_both_languages(name: str) -> None:
    """A bank's clerk reads Chinese, its developer English."""
    for problem in _check(HOSTILE[name][0]).problems:
        assert any("\u4e00" <= one <= "\u9fff" for one in problem.zh)
        assert problem.en.isascii() or "…" in problem.en


@pytest.mark.parametrize("cut", range(0, 100, 3))
def test_pdf_truncated_anywhere_is_refused(cut: int) -> None:
    """A file cut short, at any place, is malformed and no exception."""
    whole = make_pdf()
    verdict = _check(whole[: len(whole) * cut // 100])
    assert not verdict.ok


@pytest.mark.parametrize("position", range(0, 1000, 37))
def test_pdf_with_a_changed_byte_never_raises(position: int) -> None:
    """Whatever one byte becomes, the answer is a verdict."""
    whole = bytearray(make_pdf())
    position %= len(whole)
    for value in (0, 40, 60, 91, 255):
        whole[position] = value
        assert isinstance(_check(bytes(whole)), FileVerdict)


def test_pdf_link_to_a_page_or_an_address_is_in_order() -> None:
    """Links are no active content: contracts have tables of contents."""
    for address in (b"https://example.invalid", b"mailto:a@example.invalid", b"example.invalid/a", b""):
        links = b"/Annots[<</Subtype/Link/Rect[0 0 1 1]/A<</S/URI/URI(%b)>>>>]" % address
        assert _check(make_pdf(catalog=b"/OpenAction[3 0 R/Fit]", page=links)).ok


def test_pdf_attachment_is_reported_by_its_digest() -> None:
    """An embedded terms.bin can be compared byte for byte without opening the file again."""
    catalog, objects = attachment(b"terms.bin", b"the terms")
    verdict = _check(make_pdf(catalog=catalog, objects=objects))
    assert verdict.ok
    assert verdict.attachments == {"terms.bin": hashlib.sha256(b"the terms").hexdigest()}


def test_pdf_with_two_contents_under_one_name_is_refused() -> None:
    """Two readers must not see two different terms: one name, one content."""
    catalog, objects = attachment(b"terms.bin", b"the terms")
    objects[10] = b"<</Type/Filespec/F(terms.bin)/UF(terms.bin)/EF<</F 11 0 R/UF 12 0 R>>>>"
    objects[12] = stream(b"other terms", b"/Type/EmbeddedFile")
    verdict = _check(make_pdf(catalog=catalog, objects=objects))
    assert [problem.code for problem in verdict.problems] == ["FILE_ATTACHMENT_AMBIGUOUS"]
    assert verdict.attachments == {}


def test_pdf_attachment_bomb_is_refused() -> None:
    """A small attachment that unpacks to hundreds of MiB ends at a limit."""
    catalog, objects = attachment(b"bomb", b"")
    packed = zlib.compress(bytes(64 * 1024 * 1024), 9)
    objects[11] = stream(packed, b"/Type/EmbeddedFile/Filter/FlateDecode")
    assert _codes(make_pdf(catalog=catalog, objects=objects)) == {"FILE_TOO_COMPLEX"}


def test_pdf_nested_filter_bomb_is_refused() -> None:
    """A bomb behind three layers of compression ends at the same limit."""
    catalog, objects = attachment(b"bomb", b"")
    packed = bytes(300 * 1024 * 1024)
    for _ in range(3):
        packed = zlib.compress(packed, 9)
    filters = b"/Filter[/FlateDecode/FlateDecode/FlateDecode]"
    objects[11] = stream(packed, b"/Type/EmbeddedFile" + filters)
    assert _codes(make_pdf(catalog=catalog, objects=objects)) == {"FILE_TOO_COMPLEX"}
