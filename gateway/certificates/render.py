"""From content and ledger proof to the unsealed PDF/A-3 of a certificate (handbook 5.1, 7).

The attached `certificate.json` is exactly the bytes that the ledger commits to; nothing here re-encodes them.
One page takes about 15 ms with a warm compiler, 3 of them for the QR code.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final
from urllib.parse import quote

import msgspec
import segno

from gateway.certificates.content import CertificateContent, CertificateKind, decode_content
from gateway.certificates.layout import lay_out
from gateway.certificates.proof import (
    CONTENT_ATTACHMENT,
    NOTE_ATTACHMENT,
    PROOF_ATTACHMENT,
    LedgerProof,
    encode_proof,
)
from gateway.certificates.typeset import Attachment, RenderError, typeset
from ledger.errors import ProofFileError
from ledger.proof_file import write_proof_file

TEMPLATE: Final = Path(__file__).with_name("certificate.typ")


def render_certificate(content_bytes: bytes, proof: LedgerProof, *, verification_url: str) -> bytes:
    """Print a certificate and embed its content and proof; return unsealed PDF/A-3b bytes.

    `content_bytes` are the bytes of `encode_content`, embedded unchanged. `verification_url` is the base of
    the public check, such as `https://…/verify`. Raises RenderError.
    """
    try:
        content = decode_content(content_bytes)
    except msgspec.MsgspecError as error:
        raise RenderError(f"the content of a certificate is not {CONTENT_ATTACHMENT}: {error}") from error
    try:
        note = write_proof_file(proof.index, proof.inclusion, proof.checkpoint.encode())
    except ProofFileError as error:
        raise RenderError(str(error)) from error
    attachments = (
        Attachment(CONTENT_ATTACHMENT, "application/json", "证照数据 data", content_bytes),
        Attachment(PROOF_ATTACHMENT, "application/json", "账本证明 proof", encode_proof(proof)),
        Attachment(NOTE_ATTACHMENT, "text/plain", "账本证明 c2sp.org/tlog-proof", note),
    )
    return typeset(
        TEMPLATE,
        {
            "layout": lay_out(content),
            "tone": "title" if content.kind is CertificateKind.TITLE else "proof",
            "qr": qr_svg(check_url(verification_url, content)),
        },
        attachments,
        created_at=content.booked_at,
    )


def check_url(base: str, content: CertificateContent) -> str:
    """What the QR code says: the public check with identifier and code, and nothing about a person."""
    return f"{base.rstrip('/')}/{quote(content.identifier, safe='.')}?code={quote(content.code, safe='')}"


def qr_svg(text: str) -> str:
    """A QR code (error correction M) as an SVG with one path.

    Any of the eight masks can be read; taking one instead of comparing all makes it five times as fast.
    """
    out = io.BytesIO()
    segno.make(text, error="m", micro=False, mask=3, boost_error=False).save(
        out, kind="svg", border=2, xmldecl=False, svgns=True, dark="#000", light="#fff"
    )
    return out.getvalue().decode()
