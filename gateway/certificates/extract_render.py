"""From an extract's data and ledger proof to its unsealed PDF/A-3, as `render.py` does for certificates."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from gateway.certificates.extract import EXTRACT_ATTACHMENT, decode_extract
from gateway.certificates.extract_layout import lay_out_extract
from gateway.certificates.proof import NOTE_ATTACHMENT, PROOF_ATTACHMENT, LedgerProof, encode_proof
from gateway.certificates.typeset import Attachment, RenderError, typeset
from ledger.errors import ProofFileError
from ledger.proof_file import write_proof_file

TEMPLATE: Final = Path(__file__).with_name("extract.typ")


def render_extract(content_bytes: bytes, proof: LedgerProof) -> bytes:
    """Print an extract and embed its data and proof; return unsealed PDF/A-3b bytes. Raises RenderError."""
    try:
        content = decode_extract(content_bytes)
        note = write_proof_file(proof.index, proof.inclusion, proof.checkpoint.encode())
    except (msgspec.MsgspecError, ProofFileError) as error:
        raise RenderError(f"the data of an extract cannot be printed: {error}") from error
    attachments = (
        Attachment(EXTRACT_ATTACHMENT, "application/json", "查询结果数据 data", content_bytes),
        Attachment(PROOF_ATTACHMENT, "application/json", "账本证明 proof", encode_proof(proof)),
        Attachment(NOTE_ATTACHMENT, "text/plain", "账本证明 c2sp.org/tlog-proof", note),
    )
    return typeset(TEMPLATE, {"layout": lay_out_extract(content)}, attachments, created_at=content.asked_at)
