"""What is inside a PDF besides pages: active content, XFA, references to elsewhere, attachments,
pages.

Every object that can be reached from the trailer is looked at once, iteratively, under a limit.
Content streams are never decoded: only structure is judged. The lists follow ISO 32000-2 section
12.6.4 (actions) and the rule of the handbook: no encryption, no active content, no XFA.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Any, Final

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import PdfFileReader

from signing.pdf_reader import OBJECTS_MAX, TooComplex
from signing.problems import file_problem
from signing.verdict import FileProblem

PAGES_MAX: Final = 2_000
FIELDS_MAX: Final = 2_000
FIELD_DEPTH_MAX: Final = 16
ATTACHMENTS_MAX: Final = 64
ATTACHMENT_BYTES_MAX: Final = 32 * 1024 * 1024

_ATTACHMENT_NAME: Final = re.compile(r"(?!\.{1,2}\Z)[^\x00-\x1f\x7f/\\\u202a-\u202e\u2066-\u2069]{1,255}")
"""A name for people and for a folder: no path, no control characters, nothing that turns the order of letters."""

_HARMLESS_ACTIONS: Final = frozenset({"/GoTo", "/URI", "/Named", "/Thread", "/SetOCGState", "/Trans"})
_SCHEME: Final = re.compile(r"[\x00-\x20]*([A-Za-z][A-Za-z0-9+.-]*):")
_HARMLESS_SCHEMES: Final = frozenset({"http", "https", "mailto"})
_ACTION_KEYS: Final = ("/A", "/OpenAction", "/Next", "/PA")
_ALWAYS_ACTIONS: Final = {
    "/JavaScript": "FILE_JAVASCRIPT",
    "/Launch": "FILE_LAUNCH",
    "/SubmitForm": "FILE_ACTIVE_CONTENT",
    "/ImportData": "FILE_ACTIVE_CONTENT",
    "/Rendition": "FILE_ACTIVE_CONTENT",
    "/RichMediaExecute": "FILE_ACTIVE_CONTENT",
    "/GoToE": "FILE_LAUNCH",
    "/GoToR": "FILE_EXTERNAL_CONTENT",
    "/GoToDp": "FILE_ACTIVE_CONTENT",
    "/GoTo3DView": "FILE_ACTIVE_CONTENT",
}
_ALWAYS_ENTRIES: Final = {
    "/JS": ("FILE_JAVASCRIPT", ""),
    "/JavaScript": ("FILE_JAVASCRIPT", ""),  # the name tree of document-level scripts
    "/XFA": ("FILE_XFA", ""),
    "/AA": ("FILE_ACTIVE_CONTENT", "additional actions (/AA)"),
    "/Collection": (
        "FILE_ACTIVE_CONTENT",
        "a portfolio (/Collection)",
    ),  # its attachments are shown, not its pages
    "/AlternatePresentations": ("FILE_ACTIVE_CONTENT", "a slide show (/AlternatePresentations)"),
}
_ACTIVE_ANNOTATIONS: Final = frozenset({"/RichMedia", "/3D", "/Movie", "/Sound", "/Screen"})


@dataclass
class Content:
    """What the walk found. attachments: name to the digests (hex SHA-256) found under it."""

    problems: dict[str, FileProblem] = field(default_factory=dict)
    attachments: dict[str, set[str]] = field(default_factory=dict)
    attached_bytes: int = 0

    def report(self, code: str, detail: str = "") -> None:
        """Each code once: the first place is as good as the tenth."""
        self.problems.setdefault(code, file_problem(code, detail))


def inspect_content(reader: PdfFileReader) -> Content:
    """Look at every object of the newest revision. Raises `TooComplex` and what the parser
    raises.
    """
    content = Content()
    seen: set[tuple[int, int]] = set()
    stack: list[Any] = [reader.trailer.flatten()]
    visited = 0
    while stack:
        one = stack.pop()
        visited += 1
        if visited > OBJECTS_MAX:
            raise TooComplex(f"more than {OBJECTS_MAX} objects")
        if isinstance(one, generic.IndirectObject):
            key = (one.idnum, one.generation)
            if key in seen:
                continue
            seen.add(key)
            stack.append(_resolve(one))
        elif isinstance(one, generic.DictionaryObject):  # streams too
            _inspect_dictionary(one, content)
            stack.extend(one.raw_get(name) for name in one)
        elif isinstance(one, generic.ArrayObject):
            stack.extend(one.raw_get(index) for index in range(len(one)))
    if any(len(digests) > 1 for digests in content.attachments.values()):
        content.report("FILE_ATTACHMENT_AMBIGUOUS")
    return content


def count_pages(reader: PdfFileReader) -> int:
    """Leaves of the page tree, counted and not believed. Raises `TooComplex` and what the parser
    raises.
    """
    seen: set[tuple[int, int]] = set()
    stack: list[Any] = [reader.root.raw_get("/Pages")]
    pages = 0
    while stack:
        one = stack.pop()
        if isinstance(one, generic.IndirectObject):
            key = (one.idnum, one.generation)
            if key in seen:
                raise TooComplex("the page tree is not a tree")
            seen.add(key)
            one = _resolve(one)
        if not isinstance(one, generic.DictionaryObject):
            raise ValueError("a page that is no dictionary")
        kids = entry(one, "/Kids")
        if isinstance(kids, generic.ArrayObject):
            stack.extend(kids.raw_get(index) for index in range(len(kids)))
        else:
            pages += 1
        if pages > PAGES_MAX or len(stack) > OBJECTS_MAX:
            raise TooComplex(f"more than {PAGES_MAX} pages")
    return pages


def check_form(reader: PdfFileReader) -> None:
    """See that the form is a tree of bounded size, before the library goes through it by recursion.

    A form of thirty levels in which each names the next one twice has a billion fields in 3 kB. Raises
    `TooComplex` and what the parser raises.
    """
    form = entry(reader.root, "/AcroForm")
    fields = entry(form, "/Fields") if isinstance(form, generic.DictionaryObject) else None
    seen: set[tuple[int, int]] = set()
    level = [fields]
    count = 0
    for _ in range(FIELD_DEPTH_MAX):
        below: list[Any] = []
        for kids in level:
            if not isinstance(kids, generic.ArrayObject):
                continue
            count += len(kids)
            if count > FIELDS_MAX:
                raise TooComplex(f"more than {FIELDS_MAX} form fields")
            for one in (kids.raw_get(index) for index in range(len(kids))):
                if isinstance(one, generic.IndirectObject):
                    key = (one.idnum, one.generation)
                    if key in seen:
                        raise TooComplex("the form is not a tree")
                    seen.add(key)
                field = _resolve(one)
                if isinstance(field, generic.DictionaryObject):
                    below.append(entry(field, "/Kids"))
        level = below
    if any(isinstance(kids, generic.ArrayObject) for kids in level):
        raise TooComplex(f"form fields of more than {FIELD_DEPTH_MAX} levels")


def _inspect_dictionary(one: generic.DictionaryObject, content: Content) -> None:
    for name, (code, detail) in _ALWAYS_ENTRIES.items():
        if name in one:
            content.report(code, detail)
    kind = entry(one, "/S")
    acts = _ALWAYS_ACTIONS.get(kind) if isinstance(kind, generic.NameObject) else None
    if acts is not None:
        content.report(acts, f"action {kind}")
    for name in _ACTION_KEYS:
        if name in one:
            _inspect_action(entry(one, name), content)
    subtype = entry(one, "/Subtype")
    if isinstance(subtype, generic.NameObject) and subtype in _ACTIVE_ANNOTATIONS and "/Rect" in one:
        content.report("FILE_ACTIVE_CONTENT", f"annotation {subtype}")
    if kind == "/URI":
        _inspect_address(entry(one, "/URI"), content)
    if entry(one, "/FS") == "/URL":
        content.report("FILE_EXTERNAL_CONTENT", "a file that lies at an address")
    if isinstance(one, generic.StreamObject):
        _inspect_stream(one, subtype, content)
    if "/EF" in one:
        _inspect_attachment(one, content)


def _inspect_stream(one: generic.StreamObject, subtype: Any, content: Content) -> None:
    if "/PS" in (subtype, entry(one, "/Subtype2")):
        content.report("FILE_ACTIVE_CONTENT", "a PostScript program")
    if "/OPI" in one:
        content.report("FILE_EXTERNAL_CONTENT", "a placeholder for an image elsewhere (/OPI)")
    if "/F" in one or "/FFilter" in one:
        content.report("FILE_EXTERNAL_CONTENT", "a stream whose data lies in another file")
    if "/Ref" in one:
        content.report("FILE_EXTERNAL_CONTENT", "a reference XObject")


def _inspect_address(address: Any, content: Content) -> None:
    """A link may lead to a page or to a mailbox; `javascript:` and `file:` are actions by another name."""
    scheme = _SCHEME.match(_text(address) or "")
    if scheme is not None and scheme.group(1).lower() not in _HARMLESS_SCHEMES:
        content.report("FILE_LAUNCH", f"a link of the scheme {scheme.group(1)[:20]}")


def _inspect_action(action: Any, content: Content) -> None:
    """An action dictionary, an array of them (/Next), or something that is no action (a
    destination).
    """
    is_array = isinstance(action, generic.ArrayObject)
    candidates = [action.raw_get(i) for i in range(len(action))] if is_array else [action]
    for candidate in candidates:
        target = _resolve(candidate)
        kind = entry(target, "/S") if isinstance(target, generic.DictionaryObject) else None
        if isinstance(kind, generic.NameObject) and kind not in _HARMLESS_ACTIONS:
            content.report(_ALWAYS_ACTIONS.get(kind, "FILE_ACTIVE_CONTENT"), f"action {kind}")


def _inspect_attachment(specification: generic.DictionaryObject, content: Content) -> None:
    """One file specification (ISO 32000-2 section 7.11.3) with its embedded file streams."""
    name = _text(entry(specification, "/UF")) or _text(entry(specification, "/F")) or ""
    if not _ATTACHMENT_NAME.fullmatch(name):
        content.report("FILE_MALFORMED", "an attachment without a usable name")
        return
    if len(content.attachments) >= ATTACHMENTS_MAX and name not in content.attachments:
        raise TooComplex(f"more than {ATTACHMENTS_MAX} attachments")
    files = entry(specification, "/EF")
    if not isinstance(files, generic.DictionaryObject):
        content.report("FILE_MALFORMED", "an attachment without content")
        return
    for key in files:
        stream = entry(files, key)
        if not isinstance(stream, generic.StreamObject):
            content.report("FILE_MALFORMED", "an attachment whose content is no stream")
            continue
        data = stream.data
        content.attached_bytes += len(data)
        if content.attached_bytes > ATTACHMENT_BYTES_MAX:
            raise TooComplex(f"attachments of more than {ATTACHMENT_BYTES_MAX} bytes")
        content.attachments.setdefault(name, set()).add(hashlib.sha256(data).hexdigest())


def entry(dictionary: generic.DictionaryObject, key: str) -> Any:
    """An entry with references followed, or None: `get` of the library gives the bare reference."""
    return _resolve(dictionary.raw_get(key)) if key in dictionary else None


def _resolve(one: Any) -> Any:
    """What an indirect object refers to; anything else is itself. Raises what the parser raises."""
    return one.get_object()


def _text(value: object) -> str | None:
    if isinstance(value, generic.TextStringObject):
        return str(value)
    if isinstance(value, generic.ByteStringObject):
        return value.decode("latin-1")
    return None
