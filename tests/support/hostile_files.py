"""Files that attack whoever opens or checks them, each with the problem that its verdict must name.

They are small: each is refused by what it is, at once. What only a limit of the checking process can stop is in
`tests/attack/test_pdf_limits.py`.
"""

from __future__ import annotations

import zlib
from itertools import pairwise
from typing import Final

from signing.pdf import PDF_BYTES_MAX
from tests.support.pdf_files import attachment, make_pdf, stream, update_pdf

MIB: Final = 1024 * 1024
SCRIPT: Final = b"<</S/JavaScript/JS(app.alert\\(1\\))>>"


def with_table(
    rows: bytes | None,
    entries: bytes,
    *,
    objects: dict[int, bytes] | None = None,
    packed: dict[int, int] | None = None,
) -> bytes:
    """A one-page file whose table is a stream (ISO 32000-2 section 7.5.8) of `rows`, with `entries` in its dictionary.

    None as rows: those that find the objects. packed: number of an object to that of the object stream
    it lies in, in that stream's order.
    """
    bodies = {
        1: b"<</Type/Catalog/Pages 2 0 R>>",
        2: b"<</Type/Pages/Count 1/Kids[3 0 R]>>",
        3: b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/X 20 0 R>>",
        **(objects or {}),
    }
    out = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
    places = {0: (0, 0)} | {number: (2, holder) for number, holder in (packed or {}).items()}
    order = {number: place for place, number in enumerate(packed or {})}
    for number, body in bodies.items():
        places[number] = (1, len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    places[99] = (1, len(out))
    if rows is None:
        sections = b"".join(b"%d 1 " % number for number in sorted(places))
        entries += b"/W[1 4 2]/Index[%b]" % sections
        rows = b"".join(
            kind.to_bytes(1, "big") + place.to_bytes(4, "big") + order.get(number, 0).to_bytes(2, "big")
            for number, (kind, place) in sorted(places.items())
        )
    size = max(100, *places) + 1
    table = stream(rows, b"/Type/XRef/Size %d/Root 1 0 R" % size + entries)
    return out + b"99 0 obj\n%b\nendobj\nstartxref\n%d\n%%%%EOF\n" % (table, len(out))


def in_object_stream(body: bytes, *, layers: int = 1) -> bytes:
    """A file whose object 20 lies in an object stream that is compressed `layers` times."""
    data = b"20 0 " + body
    for _ in range(layers):
        data = zlib.compress(data, 9)
    entries = b"/Type/ObjStm/N 1/First 5/Filter[%b]" % (b"/FlateDecode" * layers)
    return with_table(None, b"", objects={10: stream(data, entries)}, packed={20: 10})


def inside_each_other(count: int) -> bytes:
    """Objects each of which begins within the string that the one before it is."""
    numbers = range(10, 10 + count)
    data = make_pdf(page=b"/X[%b]" % b" ".join(b"%d 0 R" % number for number in numbers))
    data = data[: data.index(b"xref\n")]
    places = {n: data.index(b"%d 0 obj" % n) for n in range(1, 6)}
    for number in numbers:
        places[number] = len(data)
        data += b"%d 0 obj (" % number
    data += b") endobj " * count
    table = b"".join(b"%d 1\n%010d 00000 n \n" % place for place in places.items())
    end = b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (10 + count, len(data))
    return data + b"xref\n0 1\n0000000000 65535 f \n" + table + end


def _at_one_place(count: int) -> bytes:
    """An object stream that is small, and in which each object is all of it."""
    numbers = range(30, 30 + count)
    header = b" ".join(b"%d 0" % number for number in numbers)
    entries = b"/Type/ObjStm/N %d/First %d" % (count, len(header))
    named = b"[%b]" % b" ".join(b"%d 0 R" % number for number in numbers)
    objects = {20: named, 10: stream(header + b"[%b]" % (b"0 " * 100), entries)}
    return with_table(None, b"", objects=objects, packed=dict.fromkeys(numbers, 10))


def doubling(kind: bytes, first: int) -> dict[int, bytes]:
    """Thirty levels, each of which names the next one twice: a billion leaves."""
    numbers = [first, *range(40, 70)]
    following = dict(pairwise(numbers))
    tree = {n: b"<</Type/%b/T(a)/Kids[%d 0 R %d 0 R]>>" % (kind, m, m) for n, m in following.items()}
    return {**tree, numbers[-1]: b"<</Type/Page/T(a)/FT/Sig>>"}


def _link(address: bytes) -> bytes:
    return make_pdf(page=b"/Annots[<</Subtype/Link/Rect[0 0 1 1]/A<</S/URI/URI(%b)>>>>]" % address)


def _in_itself() -> bytes:
    return with_table(None, b"", packed={10: 10, 20: 10})


def _revisions(count: int) -> bytes:
    data = make_pdf()
    for _ in range(count):
        data = update_pdf(data, {30: b"<<>>"})
    return data


def _attached(name: bytes, quote: bytes = b"()") -> bytes:
    catalog, objects = attachment(b"x", b"content")
    shown = b"(%b)" % name if quote else name
    objects[10] = b"<</Type/Filespec/F%b/UF%b/EF<</F 11 0 R>>>>" % (shown, shown)
    return make_pdf(catalog=catalog, objects=objects)


def _zip_inside(pdf: bytes) -> bytes:
    """The end record of an archive in a comment before the end, its own comment the rest of the file."""
    before, after = pdf[: pdf.rindex(b"startxref")], pdf[pdf.rindex(b"startxref") :]
    rest = b"\n" + after
    return before + b"%PK\x05\x06" + bytes(16) + len(rest).to_bytes(2, "little") + rest


def _signature(entries: bytes) -> bytes:
    value = b"<</Type/Sig/Filter/A/SubFilter/ETSI.CAdES.detached%b>>" % entries
    return make_pdf(
        catalog=b"/AcroForm<</Fields[10 0 R]>>", objects={10: b"<</T(x)/FT/Sig/V 11 0 R>>", 11: value}
    )


HOSTILE: Final[dict[str, tuple[bytes, str]]] = {
    "open-action-script": (make_pdf(catalog=b"/OpenAction " + SCRIPT), "FILE_JAVASCRIPT"),
    "name-tree-script": (
        make_pdf(catalog=b"/Names<</JavaScript<</Names[(x) 10 0 R]>>>>", objects={10: SCRIPT}),
        "FILE_JAVASCRIPT",
    ),
    "script-without-type": (make_pdf(page=b"/X<</JS(1)>>"), "FILE_JAVASCRIPT"),
    "script-name-escaped": (make_pdf(page=b"/X<</S/J#61vaScript>>"), "FILE_JAVASCRIPT"),
    "script-name-indirect": (
        make_pdf(catalog=b"/OpenAction<</S 10 0 R/JSX(1)>>", objects={10: b"/JavaScript"}),
        "FILE_JAVASCRIPT",
    ),
    "script-in-a-stream": (
        make_pdf(catalog=b"/OpenAction<</S/JavaScript/JS 10 0 R>>", objects={10: stream(b"x")}),
        "FILE_JAVASCRIPT",
    ),
    "script-behind-next": (
        make_pdf(catalog=b"/OpenAction<</S/GoTo/D[3 0 R/Fit]/Next[%b]>>" % SCRIPT),
        "FILE_JAVASCRIPT",
    ),
    "page-opens": (make_pdf(page=b"/AA<</O %b>>" % SCRIPT), "FILE_ACTIVE_CONTENT"),
    "launch": (make_pdf(catalog=b"/OpenAction<</S/Launch/F(cmd.exe)>>"), "FILE_LAUNCH"),
    "launch-in-annotation": (
        make_pdf(
            page=b"/Annots[10 0 R]",
            objects={10: b"<</Subtype/Link/Rect[0 0 1 1]/A<</S/Launch/F(x)>>>>"},
        ),
        "FILE_LAUNCH",
    ),
    "embedded-goto": (make_pdf(catalog=b"/OpenAction<</S/GoToE/D[0/Fit]>>"), "FILE_LAUNCH"),
    "remote-goto": (make_pdf(catalog=b"/OpenAction<</S/GoToR/F(x.pdf)>>"), "FILE_EXTERNAL_CONTENT"),
    "submit-form": (make_pdf(catalog=b"/OpenAction<</S/SubmitForm/F(http://x)>>"), "FILE_ACTIVE_CONTENT"),
    "unknown-action": (make_pdf(catalog=b"/OpenAction<</S/Brandnew>>"), "FILE_ACTIVE_CONTENT"),
    "rich-media": (
        make_pdf(page=b"/Annots[10 0 R]", objects={10: b"<</Subtype/RichMedia/Rect[0 0 1 1]>>"}),
        "FILE_ACTIVE_CONTENT",
    ),
    "xfa": (
        make_pdf(catalog=b"/AcroForm<</Fields[]/XFA 10 0 R>>", objects={10: stream(b"<xdp/>")}),
        "FILE_XFA",
    ),
    "external-stream": (
        make_pdf(objects={10: stream(b"", b"/F(other.bin)")}, page=b"/X 10 0 R"),
        "FILE_EXTERNAL_CONTENT",
    ),
    "reference-xobject": (
        make_pdf(
            page=b"/X 10 0 R",
            objects={10: stream(b"", b"/Type/XObject/Subtype/Form/Ref<</F(o.pdf)/Page 0>>")},
        ),
        "FILE_EXTERNAL_CONTENT",
    ),
    "encrypted": (
        make_pdf(
            trailer=b"/Encrypt 10 0 R/ID[<00><00>]",
            objects={
                10: b"<</Filter/Standard/V 2/R 3/Length 128/P -44/O<%b>/U<%b>>>" % (b"00" * 32, b"00" * 32)
            },
        ),
        "FILE_ENCRYPTED",
    ),
    "encrypted-by-an-unknown-handler": (
        make_pdf(trailer=b"/Encrypt 10 0 R", objects={10: b"<</Filter/Acme.Locks>>"}),
        "FILE_ENCRYPTED",
    ),
    "script-in-an-update": (
        update_pdf(make_pdf(), {}, catalog=b"/OpenAction " + SCRIPT),
        "FILE_JAVASCRIPT",
    ),
    "version-1.3": (make_pdf(version=b"1.3"), "FILE_VERSION"),
    "version-3.0": (make_pdf(version=b"3.0"), "FILE_VERSION"),
    "two-files-in-one": (make_pdf() + b"PK\x03\x04 a zip archive", "FILE_TRAILING_DATA"),
    "bytes-before-the-header": (b"GIF89a" + make_pdf(), "FILE_NOT_PDF"),
    "empty": (b"", "FILE_NOT_PDF"),
    "garbage": (bytes(range(256)) * 40, "FILE_NOT_PDF"),
    "header-alone": (b"%PDF-1.7\n", "FILE_MALFORMED"),
    "garbage-with-header-and-end": (
        b"%PDF-1.7\n" + bytes(range(256)) * 40 + b"%%EOF\n",
        "FILE_MALFORMED",
    ),
    "too-large": (b"%PDF-1.7\n" + bytes(PDF_BYTES_MAX), "FILE_TOO_LARGE"),
    "nested-arrays": (make_pdf(page=b"/X " + b"[" * 5000 + b"]" * 5000), "FILE_MALFORMED"),
    "page-tree-loop": (
        make_pdf(objects={2: b"<</Type/Pages/Count 1/Kids[2 0 R]>>"}),
        "FILE_TOO_COMPLEX",
    ),
    "many-pages": (
        make_pdf(objects={2: b"<</Type/Pages/Count 1/Kids[%b]>>" % (b"<<>> " * 2001)}),
        "FILE_TOO_COMPLEX",
    ),
    "script-deep-in-a-name-tree": (
        make_pdf(catalog=b"/Names<</JavaScript<</Kids[10 0 R]>>>>", objects={10: b"<</Names[(x) 3 0 R]>>"}),
        "FILE_JAVASCRIPT",
    ),
    "launch-in-an-outline": (
        make_pdf(catalog=b"/Outlines 10 0 R", objects={10: b"<</First<</Title(x)/A<</S/Launch/F(x)>>>>>>"}),
        "FILE_LAUNCH",
    ),
    "script-in-an-object-stream": (
        in_object_stream(b"<</S/JavaScript/JS(1)>>"),
        "FILE_JAVASCRIPT",
    ),
    "portfolio": (make_pdf(catalog=b"/Collection<</View/D>>"), "FILE_ACTIVE_CONTENT"),
    "slide-show": (
        make_pdf(catalog=b"/Names<</AlternatePresentations<</Names[(x) 10 0 R]>>>>", objects={10: b"<<>>"}),
        "FILE_ACTIVE_CONTENT",
    ),
    "postscript": (
        make_pdf(page=b"/X 10 0 R", objects={10: stream(b"(x) run", b"/Type/XObject/Subtype/PS")}),
        "FILE_ACTIVE_CONTENT",
    ),
    "image-elsewhere": (
        make_pdf(page=b"/X 10 0 R", objects={10: stream(b"", b"/Type/XObject/Subtype/Form/OPI<</1.3<<>>>>")}),
        "FILE_EXTERNAL_CONTENT",
    ),
    "file-at-an-address": (
        make_pdf(page=b"/X<</Type/Filespec/FS/URL/F(http://example.invalid)>>"),
        "FILE_EXTERNAL_CONTENT",
    ),
    "link-that-is-a-script": (_link(b"javascript:alert\\(1\\)"), "FILE_LAUNCH"),
    "link-that-is-a-script-behind-a-space": (_link(b" JavaScript:x"), "FILE_LAUNCH"),
    "link-to-a-file": (_link(b"file:///etc/passwd"), "FILE_LAUNCH"),
    "version-in-the-catalog": (make_pdf(catalog=b"/Version/9.9"), "FILE_VERSION"),
    "attachment-with-a-path": (_attached(b"../../etc/cron.d/x"), "FILE_MALFORMED"),
    "attachment-with-a-drive": (_attached(rb"C:\\\\x.exe"), "FILE_MALFORMED"),
    "attachment-that-reads-backwards": (_attached(b"<FEFF0061202E006500780065>", b""), "FILE_MALFORMED"),
    "zip-before": (b"PK\x03\x04" + make_pdf(), "FILE_NOT_PDF"),
    "zip-whose-comment-is-the-rest": (_zip_inside(make_pdf()), "FILE_TRAILING_DATA"),
    "html-before": (b"<!doctype html><script>1</script>\n" + make_pdf(), "FILE_NOT_PDF"),
    "html-behind": (make_pdf() + b"<script>1</script>", "FILE_TRAILING_DATA"),
    "script-behind": (b"#!/bin/sh\n" + make_pdf(), "FILE_NOT_PDF"),
    "table-behind-itself": (make_pdf(trailer=b"/Prev 382"), "FILE_MALFORMED"),
    "table-before-the-start": (make_pdf(trailer=b"/Prev -5"), "FILE_MALFORMED"),
    "table-beyond-numbers": (make_pdf(trailer=b"/Prev 99999999999999999999"), "FILE_MALFORMED"),
    "table-of-ten-million-rows": (
        with_table(zlib.compress(bytes(30_000_000), 9), b"/W[1 1 1]/Index[0 9999999]/Filter/FlateDecode"),
        "FILE_TOO_COMPLEX",
    ),
    "table-bomb": (
        with_table(zlib.compress(bytes(16 * MIB), 9), b"/W[1 4 2]/Index[0 4]/Filter/FlateDecode"),
        "FILE_TOO_COMPLEX",
    ),
    "table-of-wide-rows": (with_table(bytes(64), b"/W[1 999999999 8]/Index[0 4]"), "FILE_MALFORMED"),
    "revisions": (_revisions(70), "FILE_TOO_COMPLEX"),
    "object-stream-bomb": (in_object_stream(b"1" + b" " * (16 * MIB)), "FILE_TOO_COMPLEX"),
    "object-stream-bomb-in-layers": (
        in_object_stream(b"1" + b" " * (16 * MIB), layers=3),
        "FILE_TOO_COMPLEX",
    ),
    "objects-inside-each-other": (inside_each_other(20), "FILE_MALFORMED"),
    "object-stream-of-objects-at-one-place": (_at_one_place(20), "FILE_MALFORMED"),
    "object-stream-with-a-header-of-words": (
        with_table(None, b"", objects={10: stream(b"20 x 1", b"/Type/ObjStm/N 1/First 5")}, packed={20: 10}),
        "FILE_MALFORMED",
    ),
    "object-stream-of-many-tokens": (in_object_stream(b"[%b]" % (b"0 " * 600_000)), "FILE_TOO_COMPLEX"),
    "table-of-rows-of-nothing": (with_table(b"", b"/W[0 0 0]/Index[0 99999999]"), "FILE_TOO_COMPLEX"),
    "array-of-millions": (make_pdf(page=b"/X[%b]" % (b"0 " * 2 * MIB)), "FILE_TOO_COMPLEX"),
    "string-of-megabytes": (make_pdf(page=b"/X<%b>" % (b"00" * 8 * MIB)), "FILE_TOO_COMPLEX"),
    "names-without-number": (make_pdf(page=b"/X[%b]" % (b"/a" * MIB)), "FILE_TOO_COMPLEX"),
    "streams-without-number": (
        make_pdf(objects=dict.fromkeys(range(10, 40_000), stream(b"x"))),
        "FILE_TOO_COMPLEX",
    ),
    "object-stream-in-itself": (_in_itself(), "FILE_MALFORMED"),
    "length-of-itself": (
        make_pdf(objects={4: b"<</Length 4 0 R>>\nstream\nabc\nendstream"}),
        "FILE_MALFORMED",
    ),
    "length-beyond-the-end": (
        make_pdf(objects={4: b"<</Length 9999999999>>\nstream\nabc\nendstream"}),
        "FILE_MALFORMED",
    ),
    "reference-to-itself": (make_pdf(page=b"/X 10 0 R", objects={10: b"10 0 R"}), "FILE_MALFORMED"),
    "reference-chain": (
        make_pdf(page=b"/X 10 0 R", objects={n: b"%d 0 R" % (n + 1) for n in range(10, 3000)}),
        "FILE_MALFORMED",
    ),
    "nested-dictionaries": (make_pdf(page=b"/X " + b"<</A " * 5000 + b"1" + b">>" * 5000), "FILE_MALFORMED"),
    "integer-of-ten-thousand-digits": (make_pdf(page=b"/X " + b"9" * 10_000), "FILE_MALFORMED"),
    "catalog-of-itself": (make_pdf(objects={1: b"1 0 R"}), "FILE_MALFORMED"),
    "pages-in-an-array-of-itself": (
        make_pdf(objects={2: b"<</Type/Pages/Count 1/Kids 10 0 R>>", 10: b"[10 0 R]"}),
        "FILE_MALFORMED",
    ),
    "page-tree-doubling": (make_pdf(objects=doubling(b"Pages", 2)), "FILE_TOO_COMPLEX"),
    "form-loop": (
        make_pdf(catalog=b"/AcroForm<</Fields[10 0 R]>>", objects={10: b"<</T(a)/Kids[10 0 R]>>"}),
        "FILE_TOO_COMPLEX",
    ),
    "form-doubling": (
        make_pdf(catalog=b"/AcroForm<</Fields[10 0 R 10 0 R]>>", objects=doubling(b"Field", 10)),
        "FILE_TOO_COMPLEX",
    ),
    "form-deep": (
        make_pdf(
            catalog=b"/AcroForm<</Fields[10 0 R]>>",
            objects={n: b"<</T(a)/Kids[%d 0 R]>>" % (n + 1) for n in range(10, 60)} | {60: b"<</T(a)>>"},
        ),
        "FILE_TOO_COMPLEX",
    ),
    "form-wide": (
        make_pdf(catalog=b"/AcroForm<</Fields[%b]>>" % (b"<</T(x)>>" * 2001)),
        "FILE_TOO_COMPLEX",
    ),
    "signature-of-nothing": (_signature(b"/ByteRange[0 1 2 3]/Contents<00>"), "FILE_SIGNATURE_FORMAT"),
    "signature-over-the-end": (
        _signature(b"/ByteRange[0 99999999999 -4 3]/Contents<3000>"),
        "FILE_SIGNATURE_FORMAT",
    ),
    "signatures-without-number": (
        make_pdf(
            catalog=b"/AcroForm<</Fields[%b]>>" % b" ".join(b"%d 0 R" % n for n in range(10, 50)),
            objects={
                n: b"<</T(%d)/FT/Sig/V<</Type/Sig/Filter/A/SubFilter/ETSI.CAdES.detached"
                b"/ByteRange[0 1 2 3]/Contents<00>>>>>" % n
                for n in range(10, 50)
            },
        ),
        "FILE_TOO_COMPLEX",
    ),
}
"""Name of the attack: the file, and a problem that its verdict must have."""
