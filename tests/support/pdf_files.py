"""PDF files written by hand, object by object: small, exact, and as hostile as a test needs.

`make_pdf` writes a first revision, `update_pdf` appends an incremental update by hand (ISO 32000-2
section 7.5.6), as an editor or an attacker would.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

CATALOG, PAGES, PAGE, CONTENT, FONT = 1, 2, 3, 4, 5
FIRST_FREE = 10
"""Numbers from here on are for a test's own objects."""


def stream(data: bytes, dictionary: bytes = b"") -> bytes:
    """A stream object's body."""
    return b"<<%b/Length %d>>\nstream\n%b\nendstream" % (dictionary, len(data), data)


def make_pdf(
    *,
    catalog: bytes = b"",
    page: bytes = b"",
    objects: Mapping[int, bytes] | None = None,
    trailer: bytes = b"",
    text: bytes = b"loan 1000000 yuan",
    version: bytes = b"1.7",
) -> bytes:
    """A one-page file. catalog, page, trailer: more entries of these dictionaries."""
    bodies = {
        CATALOG: b"<</Type/Catalog/Pages 2 0 R%b>>" % catalog,
        PAGES: b"<</Type/Pages/Count 1/Kids[3 0 R]>>",
        PAGE: b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R"
        b"/Resources<</Font<</F1 5 0 R>>>>%b>>" % page,
        CONTENT: stream(b"BT /F1 12 Tf 72 720 Td (%b) Tj ET" % text),
        FONT: b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        **(objects or {}),
    }
    head = b"%%PDF-%b\n%%\xe2\xe3\xcf\xd3\n" % version
    return head + _section(len(head), bodies, trailer)


def update_pdf(data: bytes, objects: Mapping[int, bytes], *, catalog: bytes | None = None) -> bytes:
    """`data` with an incremental update that replaces or adds `objects`.

    catalog: entries for a new catalog that replaces the old one, which is forgotten with its form.
    """
    bodies = dict(objects)
    if catalog is not None:
        bodies[CATALOG] = b"<</Type/Catalog/Pages 2 0 R%b>>" % catalog
    previous = int(re.findall(rb"startxref\s+(\d+)", data)[-1])
    size = max(int(one) for one in re.findall(rb"/Size (\d+)", data))
    return data + _section(len(data), bodies, b"/Prev %d" % previous, size)


def attachment(name: bytes, content: bytes) -> tuple[bytes, dict[int, bytes]]:
    """Catalog entries and objects that embed a file called `name`."""
    catalog = b"/Names<</EmbeddedFiles<</Names[(%b) 10 0 R]>>>>/AF[10 0 R]" % name
    specification = b"<</Type/Filespec/F(%b)/UF(%b)/EF<</F 11 0 R/UF 11 0 R>>/AFRelationship/Data>>"
    return catalog, {
        10: specification % (name, name),
        11: stream(content, b"/Type/EmbeddedFile"),
    }


def _section(start: int, bodies: Mapping[int, bytes], trailer: bytes, size: int = 100) -> bytes:
    out = b""
    table = b"0 1\n0000000000 65535 f \n"
    for number, body in sorted(bodies.items()):
        table += b"%d 1\n%010d 00000 n \n" % (number, start + len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    entries = b"<</Size %d/Root 1 0 R%b>>" % (max(size, *bodies) + 1, trailer)
    position = start + len(out)
    return out + b"xref\n%btrailer\n%b\nstartxref\n%d\n%%%%EOF\n" % (table, entries, position)
