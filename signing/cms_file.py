"""Check a CMS file: detached beside a file of any kind, or with its content inside.

The same verdict as a PDF's: `check_cms` never raises on bad input. What the signed file itself is, is
asked elsewhere (a PDF by `pdf`, a JPEG by its first bytes); nothing of it is parsed here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from signing.cms import SIGNATURE_BYTES_MAX, SignedData, read_signed_data
from signing.cms_verify import Content
from signing.errors import ContentChanged, SignatureInvalid, SigningError
from signing.problems import signature_problem
from signing.signer_verdict import judge_signer
from signing.stapled import NOTHING_STAPLED, stapled_in_cms
from signing.trust import Purpose, TrustStore
from signing.verdict import FileProblem, FileVerdict, SignatureVerdict

CONTENT_BYTES_MAX: Final = 20 * 1024 * 1024
"""Of content inside a CMS file."""


def check_cms(
    data: bytes,
    content: Content | bytes | None,
    trust: TrustStore,
    at: datetime,
    *,
    purposes: Sequence[Purpose] | None = None,
) -> FileVerdict:
    """The verdict on the CMS file `data`, judged against `trust` at `at` (aware).

    content: the file that a detached signature is over; None where it is inside. purposes: of the
    signers; by default those that each one's kind of identity may have. The verdict is ok when every
    signer's signature holds; `over` is the hex SHA-256 of the content, whichever way it came.
    """
    if at.tzinfo is None:
        raise ValueError("at must be an aware datetime")
    problems: list[FileProblem] = []
    signatures: list[SignatureVerdict] = []
    over = ""
    try:
        bytes_max = SIGNATURE_BYTES_MAX + (CONTENT_BYTES_MAX if content is None else 0)
        signed = read_signed_data(data, bytes_max=bytes_max)
        held = _content(signed, content)
        over = held.digest("sha256").hex()
        stapled = stapled_in_cms(data) if signed.brings_revocation else NOTHING_STAPLED
        for number, signer in enumerate(signed.signers):
            field = signer_field(number)
            try:
                signatures.append(
                    judge_signer(
                        signed, signer, held, trust, at, field=field, purposes=purposes, stapled=stapled
                    )
                )
            except SigningError as error:
                problems.append(signature_problem(error, field))
    except SigningError as error:
        problems.append(signature_problem(error, ""))
    return FileVerdict(
        ok=not problems,
        problems=tuple(problems),
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        checked_at=at,
        signatures=tuple(signatures),
        over=over,
    )


def signer_field(number: int) -> str:
    """What a signer of a CMS file, who has no field, is called: "1" is the first (`number` 0)."""
    return str(number + 1)


def _content(signed: SignedData, beside: Content | bytes | None) -> Content:
    """What is signed. A file that holds content and lies beside another says which is meant by being equal to it."""
    given = Content.of(beside) if isinstance(beside, bytes) else beside
    if signed.content is None:
        if given is None:
            raise SignatureInvalid(
                "the signature is detached: name the file that it is over",
                "该签名为分离式签名：请同时给出被签名的文件",
            )
        return given
    inside = Content.of(signed.content)
    if given is not None and given.digest("sha256") != inside.digest("sha256"):
        raise ContentChanged(
            "the content inside the signature file is not the file beside it",
            "签名文件内的内容与所给文件不同",
        )
    return inside
