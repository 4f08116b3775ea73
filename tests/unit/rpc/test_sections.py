"""Sections against what was signed of them: every violation at once, FIELD_INVALID (envelope.proto)."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from gateway.pb.diya.v1 import envelope_pb2
from gateway.rpc.sections import CONTENT_BYTES_MAX, checked_sections, section_references
from gateway.rpc.violations import MalformedRequest
from tests.support.cases import BANK_USCC

CONTENT = b'{"rate": "3.1"}'


def reference(name: str = "loan", content: bytes = CONTENT, **changes: Any) -> envelope_pb2.SectionReference:
    """A section as the payload signs it."""
    values: dict[str, Any] = {"name": name, "sha256": hashlib.sha256(content).digest()}
    return envelope_pb2.SectionReference(**{**values, **changes})


def section(name: str = "loan", content: bytes = CONTENT) -> envelope_pb2.Section:
    """A section as it travels."""
    return envelope_pb2.Section(name=name, content=content)


def wrong(references: list[Any], sections: list[Any]) -> set[tuple[str, str]]:
    """Paths and reasons of what is wrong."""
    with pytest.raises(MalformedRequest) as refused:
        checked_sections(section_references(references), sections)
    return {(v.path, v.reason) for v in refused.value.violations}


def test_sections_as_signed_are_given_by_name() -> None:
    """The largest, read by one bank."""
    large = b"x" * CONTENT_BYTES_MAX
    signed = section_references([reference(readers=[BANK_USCC]), reference("a_b.c-9", large)])
    assert checked_sections(signed, [section(), section("a_b.c-9", large)]) == {
        "loan": CONTENT,
        "a_b.c-9": large,
    }


@pytest.mark.parametrize(
    ("references", "sections", "path"),
    [
        ([reference()], [section(content=b"other")], "sections[0].content"),
        ([], [section()], "sections[0].name"),
        ([reference()], [], "envelope.payload.sections[0]"),
        ([reference()], [section(), section()], "sections[1].name"),
        ([reference(), reference()], [section()], "envelope.payload.sections[1].name"),
        ([reference("Loan")], [section("Loan")], "envelope.payload.sections[0].name"),
        ([reference("x" * 65)], [section("x" * 65)], "envelope.payload.sections[0].name"),
        ([reference("")], [section("")], "envelope.payload.sections[0].name"),
    ],
    ids=[
        "other-bytes",
        "not-signed",
        "not-there",
        "twice",
        "signed-twice",
        "upper-case",
        "name-too-long",
        "no-name",
    ],
)
def test_section_other_than_signed_is_a_violation(
    references: list[Any], sections: list[Any], path: str
) -> None:
    """Digest, name, and that each signed section is there, once."""
    assert wrong(references, sections) == {(path, "FIELD_INVALID")}


def test_section_over_its_limit_is_a_violation() -> None:
    """256 KiB a section."""
    content = b"x" * (CONTENT_BYTES_MAX + 1)
    assert wrong([reference(content=content)], [section(content=content)]) == {
        ("sections[0].content", "FIELD_INVALID")
    }


def test_digest_and_readers_are_read_too() -> None:
    """A digest of 31 bytes fits nothing; a reader is an institution by its code."""
    found = wrong([reference(sha256=bytes(31), readers=["BANK"])], [section()])
    assert found >= {
        ("envelope.payload.sections[0].sha256", "FIELD_INVALID"),
        ("envelope.payload.sections[0].readers[0]", "USCC_MALFORMED"),
    }
