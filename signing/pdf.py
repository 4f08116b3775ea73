"""Check a PDF: is it a file that may be kept and shown, who signed it, and does every signature
hold?

`check_pdf` is pure: bytes, trust and a time in, a verdict out; bad input is a finding, never an
exception. `check_source` is the same for a file that is read as it is judged. They parse hostile
bytes in Python, so a service calls them through `checking.FileChecker`, in a process with limits.
`recheck_pdf` judges a kept verdict again without the file, after a revocation list or an anchor
changed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime
from io import BytesIO
from typing import BinaryIO, Final

from pyhanko.pdf_utils.misc import PdfDecodeLimitError

from signing.errors import CertificateExpired, CertificateRevoked, CertificateUnknownIssuer
from signing.pdf_content import check_form, count_pages, inspect_content
from signing.pdf_reader import BoundedReader, TooComplex, measure_text
from signing.pdf_signatures import check_signatures
from signing.pdf_source import blocks, contains, find_last, size_of
from signing.problems import file_problem, signature_problem
from signing.trust import Purpose, TrustStore
from signing.verdict import FileProblem, FileVerdict, SignatureVerdict

PDF_BYTES_MAX: Final = 20 * 1024 * 1024
REVISIONS_MAX: Final = 64

_HEADER: Final = re.compile(rb"%PDF-(\d)\.(\d)[\r\n \t]")
_HEADER_BYTES: Final = 16
_VERSIONS: Final = frozenset({(1, 4), (1, 5), (1, 6), (1, 7), (2, 0)})
_END: Final = b"%%EOF"
_ZIP_END: Final = b"PK\x05\x06"
_ZIP_END_BYTES: Final = 22
_ZIP_COMMENT_BYTES_MAX: Final = 65_535


def check_pdf(
    data: bytes, trust: TrustStore, at: datetime, *, purposes: Sequence[Purpose] | None = None
) -> FileVerdict:
    """`check_source` of bytes in memory, at most `PDF_BYTES_MAX` of them."""
    return check_source(BytesIO(data), trust, at, purposes=purposes)


def check_source(
    source: BinaryIO,
    trust: TrustStore,
    at: datetime,
    *,
    bytes_max: int = PDF_BYTES_MAX,
    purposes: Sequence[Purpose] | None = None,
) -> FileVerdict:
    """What `source` is (see `pdf_source`), judged against `trust` at `at` (aware). Never raises on bad
    input.

    A verdict is ok when the file is a readable PDF 1.4 to 2.0 of at most `bytes_max` bytes
    without encryption, scripts, launch or other active content, XFA and references to elsewhere,
    and every signature in it is intact, was followed by signatures only, and is by a certificate
    that chains to an anchor and was good at the proven time or, without one, at `at`. purposes: of the
    signers; by default those that each one's kind of identity may have.
    """
    if at.tzinfo is None:
        raise ValueError("at must be an aware datetime")
    problems: list[FileProblem] = []
    pages = 0
    signatures: list[SignatureVerdict] = []
    attachments: dict[str, str] = {}
    size = size_of(source)
    surface = _check_surface(source, size, bytes_max)
    if surface is not None:
        problems.append(surface)
    else:
        try:
            measure_text(source)
            reader = BoundedReader(source)
            if "/Encrypt" in reader.trailer or reader.encrypted:
                problems.append(file_problem("FILE_ENCRYPTED"))
            elif reader.input_version not in _VERSIONS:  # the catalog may name another than the header
                problems.append(file_problem("FILE_VERSION", "{}.{}".format(*reader.input_version)))
            elif reader.xrefs.total_revisions > REVISIONS_MAX:
                problems.append(file_problem("FILE_TOO_COMPLEX", f"over {REVISIONS_MAX} revisions"))
            else:
                pages = count_pages(reader)
                check_form(reader)
                content = inspect_content(reader)
                problems.extend(content.problems.values())
                attachments = {
                    name: digest
                    for name, digests in sorted(content.attachments.items())
                    if len(digests) == 1
                    for digest in digests
                }
                signatures, found = check_signatures(reader, trust, at, purposes)
                problems.extend(found)
        except (TooComplex, PdfDecodeLimitError) as error:
            problems.append(file_problem("FILE_TOO_COMPLEX", str(error)[:200]))
        except MemoryError:
            raise
        except Exception as error:  # a parser of foreign bytes may raise nearly anything
            problems.append(_unreadable(source, error))
    digest = hashlib.sha256()
    for block in blocks(source):
        digest.update(block)
    return FileVerdict(
        ok=not problems,
        problems=tuple(problems),
        sha256=digest.hexdigest(),
        size_bytes=size,
        checked_at=at,
        pages=pages,
        signatures=tuple(signatures),
        attachments=attachments,
    )


def recheck_pdf(verdict: FileVerdict, trust: TrustStore, at: datetime) -> tuple[FileProblem, ...]:
    """What has become wrong with the chains of a kept verdict: judged by `trust` at `at`, without
    the file.

    A signature with a proven time is judged at that time for ever; one without is judged at `at`.
    Empty means that the verdict may be used as it stands. The cryptography of a kept verdict does
    not change.
    """
    problems = []
    for signature in verdict.signatures:
        judged_at = signature.proven_at or at
        if not trust.is_anchor(signature.anchor, signature.purpose):
            error = CertificateUnknownIssuer("the anchor is no longer trusted for this purpose")
            problems.append(signature_problem(error, signature.field))
        for link in signature.chain:
            if trust.is_revoked(link.issuer_key_id, int(link.serial), judged_at):
                revoked = CertificateRevoked(f"certificate {link.fingerprint} is revoked")
                problems.append(signature_problem(revoked, signature.field))
            if judged_at > link.not_after:
                expired = CertificateExpired(f"certificate {link.fingerprint} has ended")
                problems.append(signature_problem(expired, signature.field))
    return tuple(problems)


def _check_surface(source: BinaryIO, size: int, bytes_max: int) -> FileProblem | None:
    """What can be said before parsing: size, header at the first byte, nothing after the end."""
    if size > bytes_max:
        return file_problem("FILE_TOO_LARGE", f"{size} of at most {bytes_max} bytes")
    source.seek(0)
    header = _HEADER.match(source.read(_HEADER_BYTES))
    if header is None:
        return file_problem("FILE_NOT_PDF")
    if (int(header.group(1)), int(header.group(2))) not in _VERSIONS:
        return file_problem("FILE_VERSION", header.group(0).decode("ascii").strip())
    end = find_last(source, _END)
    if end < 0:
        return file_problem("FILE_MALFORMED", "no end-of-file marker: the file may be cut short")
    if any(block.strip(b"\r\n\t \x00") for block in blocks(source, end + len(_END))):
        return file_problem("FILE_TRAILING_DATA")
    if _is_zip(source, size):
        return file_problem("FILE_TRAILING_DATA", "the file is a ZIP archive as well")
    return None


def _is_zip(source: BinaryIO, size: int) -> bool:
    """Whether a ZIP archive ends where the file ends: its end record says how long the comment after it is."""
    start = max(0, size - _ZIP_END_BYTES - _ZIP_COMMENT_BYTES_MAX)
    tail = b"".join(blocks(source, start))
    found = tail.find(_ZIP_END)
    while found >= 0:
        comment = int.from_bytes(tail[found + _ZIP_END_BYTES - 2 : found + _ZIP_END_BYTES], "little")
        if found + _ZIP_END_BYTES + comment == len(tail):
            return True
        found = tail.find(_ZIP_END, found + 1)
    return False


def _unreadable(source: BinaryIO, error: Exception) -> FileProblem:
    """Encryption of a kind that the parser does not know shows as an error of the parser."""
    detail = f"{type(error).__name__}: {str(error)[:200]}"
    if "ncrypt" in detail and contains(source, b"/Encrypt"):
        return file_problem("FILE_ENCRYPTED", detail)
    return file_problem("FILE_MALFORMED", detail)
