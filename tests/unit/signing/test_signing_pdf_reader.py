"""What is measured of a PDF before it is parsed, and that real papers are far from the limits."""

from __future__ import annotations

import io
import random
import re

import pytest
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.writer import PdfFileWriter

from signing.pdf import check_pdf
from signing.pdf_reader import TEXT_BYTES_MAX, TOKENS_MAX, TooComplex, measure_text
from signing.trust import TrustStore
from tests.support.pdf_files import make_pdf, stream
from tests.support.pki import NOW

EMPTY = TrustStore({})
WORDS = (b"stream\n", b"stream\r\n", b"stream ", b"endstream", b"endstream\n", b"end", b"\n", b"aa", b"s")


class Dripping(io.BytesIO):
    """A file that gives a few bytes at a time."""

    def __init__(self, data: bytes, step: int) -> None:
        super().__init__(data)
        self._step = step

    def read(self, size: int | None = -1) -> bytes:
        """At most `step` bytes."""
        return super().read(self._step)


def _text_of(data: bytes) -> bytes:
    """All but payloads, said as one expression."""
    return re.sub(rb"((?<!end)stream(?=[\r\n])).*?(?:endstream|\Z)", rb"\1", data, flags=re.DOTALL)


def _is_refused(source: io.BytesIO) -> bool:
    try:
        measure_text(source)
    except TooComplex:
        return True
    return False


@pytest.mark.parametrize("step", [1, 2, 5, 8, 64])
def test_measure_does_not_hang_on_where_blocks_end(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The words that begin and end a payload may lie across two blocks."""
    made = random.Random(step)
    for _ in range(400):
        data = b"".join(made.choice(WORDS) for _ in range(made.randrange(14)))
        size = len(_text_of(data))
        monkeypatch.setattr("signing.pdf_reader.TEXT_BYTES_MAX", size)
        assert not _is_refused(Dripping(data, step)), data
        monkeypatch.setattr("signing.pdf_reader.TEXT_BYTES_MAX", max(size - 1, 0))
        assert _is_refused(Dripping(data, step)) == bool(size), data


def _scan() -> bytes:
    """Fifty pages of an image each."""
    return make_pdf(objects={number: stream(bytes(100_000), b"/Type/XObject") for number in range(10, 60)})


def _long_paper(*, packed: bool) -> bytes:
    """The most pages that a paper may have, each with a font, a content and a note, as office programs write them."""
    writer = PdfFileWriter(stream_xrefs=packed)
    objects = None
    kids = generic.ArrayObject()
    for number in range(2_000):
        if packed and number % 50 == 0:
            objects = writer.prepare_object_stream()
        content = writer.add_object(generic.StreamObject(stream_data=b"BT (1) Tj ET"))
        page = {
            "/Type": pdf_name("/Page"),
            "/Parent": generic.IndirectObject(2, 0, writer),
            "/MediaBox": generic.ArrayObject(map(generic.NumberObject, (0, 0, 595, 842))),
            "/Contents": content,
            "/Resources": generic.DictionaryObject({pdf_name("/ProcSet"): generic.ArrayObject()}),
            "/StructParents": generic.NumberObject(number),
        }
        dictionary = generic.DictionaryObject({pdf_name(key): value for key, value in page.items()})
        kids.append(writer.add_object(dictionary, obj_stream=objects))
    pages = writer.root["/Pages"]
    pages[pdf_name("/Kids")] = kids
    pages[pdf_name("/Count")] = generic.NumberObject(len(kids))
    for kid in kids:
        kid.get_object()[pdf_name("/Parent")] = writer.root.raw_get("/Pages")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


PAPERS = {
    "scan": (_scan, 1),
    "long": (lambda: _long_paper(packed=False), 2_000),
    "packed": (lambda: _long_paper(packed=True), 2_000),
}


@pytest.mark.parametrize("name", PAPERS)
def test_real_papers_are_far_from_the_limits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of each limit would do for them."""
    monkeypatch.setattr("signing.pdf_reader.TEXT_BYTES_MAX", TEXT_BYTES_MAX // 2)
    monkeypatch.setattr("signing.pdf_reader.TOKENS_MAX", TOKENS_MAX // 2)
    make, pages = PAPERS[name]
    verdict = check_pdf(make(), EMPTY, NOW)
    assert (verdict.problems, verdict.pages) == ((), pages)
