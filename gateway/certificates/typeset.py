"""Typesetting: a template of ours, data and attachments in; a PDF/A-3b out. Nothing is sealed here.

Data never becomes typst source: a template gets one JSON document through `sys.inputs` and places its strings
as text, so that a name such as `#panic()` is printed as it stands. Compilers are warm: one for each template
and process, with the fonts read once.

Fonts are Noto Serif SC and Noto Sans SC from a package of data only; fonts of the machine are never used, so
that a certificate looks the same everywhere. PDF/A demands a glyph for each character: a character that
the fonts lack is printed by its code (glyphs.py).
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, ClassVar, Final

import msgspec
import typst

from gateway.certificates.glyphs import FONT_PACKAGE, GLOSS, has_codes, printable

PDF_STANDARD: Final = "a-3b"
ATTACHMENT_BYTES_MAX: Final = 1 << 20
INPUT_BYTES_MAX: Final = 8 << 20
_SUSPECTS: Final = b"/MarkInfo<</Marked true/Suspects false>>"


class RenderError(Exception):
    """A document could not be typeset: an input over its limit, or a defect of the template."""

    reason: ClassVar[str] = "RENDER_FAILED"


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file embedded in the PDF, byte for byte."""

    name: str
    mime_type: str
    description: str
    data: bytes


def typeset(
    template: Path,
    data: Mapping[str, Any],
    attachments: tuple[Attachment, ...] = (),
    *,
    created_at: dt.datetime,
) -> bytes:
    """Typeset `data` with `template` and embed `attachments`; return PDF/A-3b bytes.

    The template also gets `gloss`, words to print where a character is printed by its code, else "".
    `created_at` (aware) becomes the creation date. Two runs may differ in bytes. Raises RenderError.
    """
    for one in attachments:
        if len(one.data) > ATTACHMENT_BYTES_MAX:
            raise RenderError(
                f"attachment {one.name} has {len(one.data)} bytes, at most {ATTACHMENT_BYTES_MAX} go in"
            )
    values = _printable(msgspec.to_builtins(data))
    document = msgspec.json.encode(
        {
            **values,
            "gloss": GLOSS if has_codes(values) else "",
            # typst has no base64 reader; a list of byte values arrives unchanged whatever the bytes are.
            "attachments": [
                {"name": a.name, "mime": a.mime_type, "about": a.description, "bytes": list(a.data)}
                for a in attachments
            ],
        }
    )
    if len(document) > INPUT_BYTES_MAX:
        raise RenderError(f"a document of {len(document)} bytes of data is over the limit {INPUT_BYTES_MAX}")
    compiler, lock = _compiler(template)
    with lock:
        try:
            pdf = compiler.compile(
                format="pdf",
                sys_inputs={"data": document.decode()},
                pdf_standards=PDF_STANDARD,
                timestamp=created_at.replace(microsecond=0),  # PDF dates have no fractions
            )
        except typst.TypstError as error:
            raise RenderError(f"{template.name}: {error}") from error
    if not isinstance(pdf, bytes):
        raise RenderError(f"{template.name}: the compiler returned no PDF")
    return _without_suspects(pdf)


def _without_suspects(pdf: bytes) -> bytes:
    """The file without `/Suspects false`: it is the default (ISO 32000-1, table 321), and poppler calls it an error.

    Blanks take its place, so that no offset moves. Only the catalogue, behind the last stream, is looked at: an
    attachment keeps its bytes whatever they are.
    """
    start = pdf.rfind(b"endstream")
    blanks = _SUSPECTS.replace(b"/Suspects false", b" " * len(b"/Suspects false"))
    return pdf[:start] + pdf[start:].replace(_SUSPECTS, blanks)


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {key: _printable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(inner) for inner in value]
    return value


@cache
def _fonts() -> typst.Fonts:
    with as_file(files(FONT_PACKAGE)) as folder:  # the package is installed as files; typst maps them
        return typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[folder])


@cache
def _compiler(template: Path) -> tuple[typst.Compiler, threading.Lock]:
    compiler = typst.Compiler(template, root=template.parent, font_paths=_fonts())
    return compiler, threading.Lock()
