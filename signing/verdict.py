"""What a check of a file found: plain frozen values that turn into JSON and back (`msgspec.json`).

A verdict is evidence. It is kept, shown to banks, and used again for the same file as long as the
chains behind it hold; so it names every certificate of every chain, and the problems in both
languages.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from signing.certificates import Identity
from signing.known_chain import ChainLink
from signing.purpose import Purpose
from signing.revocation import Evidence


class FileProblem(msgspec.Struct, frozen=True):
    """One reason why a file is not in order.

    code: UPPER_SNAKE, stable (`signing.problems` lists those about files; those about certificates
    and signatures are the `reason` of `signing.errors`). zh, en: for people. field: the signature
    field it is about, empty for the file as a whole.
    """

    code: str
    zh: str
    en: str
    field: str = ""


class StampedBy(msgspec.Struct, frozen=True):
    """The time stamp authority that proves a time: its chain below the anchor, and that anchor's hex SHA-256."""

    chain: tuple[ChainLink, ...]
    anchor: str


class SignatureVerdict(msgspec.Struct, frozen=True):
    """One signature that holds, in a PDF or in a CMS file: intact, by a certificate that was good at
    `judged_at`.

    field: name of the signature field; in a CMS file the signer's number, from 1. identity: whom the
    certificate names. fingerprint: hex SHA-256 of the certificate. issuer_key_id and serial (decimal):
    what revocation is looked up by; for all links see `chain`. signed_at: the claimed time, which
    proves nothing. proven_at: the time of a time stamp token that chains to a TSA anchor, or None.
    judged_at: proven_at where there is one, else the time at which the file was checked.
    covers_whole_document: nothing at all follows the bytes that were signed; otherwise only further
    signatures do. visible: it has an appearance on a page. form: how it is made ("PAdES-B-T",
    "CAdES-B-B", "CMS", "GB/T 35275"); empty in verdicts that were kept before it was said. evidence: the
    lists and answers that spoke about a link of the chain; in_grace: it had ended by then, and policy
    believed it a while longer (both empty in verdicts that were kept before they were said). stamped_by: whoever
    says proven_at (None in verdicts that were kept before it was told).
    """

    field: str
    identity: Identity
    name: str
    fingerprint: str
    issuer_key_id: str
    serial: str
    algorithm: str
    signed_at: datetime | None
    proven_at: datetime | None
    judged_at: datetime
    covers_whole_document: bool
    visible: bool
    purpose: Purpose
    chain: tuple[ChainLink, ...]
    anchor: str
    form: str = ""
    evidence: tuple[Evidence, ...] = ()
    in_grace: bool = False
    key_id: str = ""  # of the signer's key; empty in verdicts that were kept before it was told
    stamped_by: StampedBy | None = None


class FileVerdict(msgspec.Struct, frozen=True):
    """What was found in one file at one time.

    ok: no problems at all. A file without signatures is in order; whether one was needed is not
    asked here. sha256: hex, of the whole file. pages: 0 where the file could not be read.
    signatures: those that hold, in signing order. attachments: name to hex SHA-256 of the embedded
    file's bytes. over: of a CMS file, hex SHA-256 of what its signatures are over, which is another file
    where they are detached.
    """

    ok: bool
    problems: tuple[FileProblem, ...]
    sha256: str
    size_bytes: int
    checked_at: datetime
    pages: int = 0
    signatures: tuple[SignatureVerdict, ...] = ()
    attachments: dict[str, str] = {}
    over: str = ""
