"""Sections: matter that only some may read. Their bytes travel beside the envelope, their digests inside it.

What the contract says of them (envelope.proto, SectionReference and Section) is checked here when they are filed; what
was filed is read back without it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Any, Final

from gateway.cases.model import SectionReference
from gateway.register.identifiers import normalise_uscc
from gateway.rpc.violations import Violations

CONTENT_BYTES_MAX: Final = 256 * 1024

_NAME = re.compile(r"[a-z0-9_.-]{1,64}")
_DIGEST_CHARACTERS: Final = 64


def section_references(wires: Iterable[Any]) -> tuple[SectionReference, ...]:
    """The sections that a payload names, as it names them."""
    return tuple(
        SectionReference(name=s.name, sha256=s.sha256.hex(), readers=tuple(s.readers)) for s in wires
    )


def checked_sections(references: Iterable[SectionReference], sections: Iterable[Any]) -> dict[str, bytes]:
    """Contents by name: each with the digest that was signed, none more and none less. Raises MalformedRequest."""
    wrong = Violations()
    signed: dict[str, tuple[str, str]] = {}
    for number, reference in enumerate(references):
        path = f"envelope.payload.sections[{number}]"
        _check_reference(reference, path, wrong)
        if reference.name in signed:
            wrong.add(path + ".name", "分节重复", "is named twice")
        signed[reference.name] = (path, reference.sha256)
    contents: dict[str, bytes] = {}
    for number, section in enumerate(sections):
        path = f"sections[{number}]"
        if section.name not in signed:
            wrong.add(path + ".name", "签名内容没有该分节", "is not named in the signed payload")
        elif section.name in contents:
            wrong.add(path + ".name", "分节重复", "comes twice")
        elif hashlib.sha256(section.content).hexdigest() != signed[section.name][1]:
            wrong.add(
                path + ".content",
                "摘要与签名内容所载的不一致",
                "does not have the digest that the payload signs",
            )
        if len(section.content) > CONTENT_BYTES_MAX:
            wrong.add(
                path + ".content",
                f"最多 {CONTENT_BYTES_MAX} 字节",
                f"may have at most {CONTENT_BYTES_MAX} bytes",
            )
        contents[section.name] = section.content
    for name, (path, _) in signed.items():
        if name not in contents:
            wrong.add(path, "没有随附该分节的内容", "its content did not come with the request")
    wrong.refuse_if_any()
    return contents


def _check_reference(reference: SectionReference, path: str, wrong: Violations) -> None:
    if not _NAME.fullmatch(reference.name):
        wrong.add(path + ".name", "应为 [a-z0-9_.-]，1 至 64 个字符", "must match [a-z0-9_.-]{1,64}")
    if len(reference.sha256) != _DIGEST_CHARACTERS:
        wrong.add(path + ".sha256", "必须是 32 字节", "must be 32 bytes")
    for number, reader in enumerate(reference.readers):
        with wrong.at(f"{path}.readers[{number}]", "USCC_MALFORMED"):
            normalise_uscc(reader)
