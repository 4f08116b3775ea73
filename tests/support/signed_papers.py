"""Small signed papers for cases over the wire: hand-written PDF files, each of which exists once in the world."""

from __future__ import annotations

import uuid

from gateway.app import utc_now
from signing.pki import Credential
from signing.seal import append_signature
from tests.support.pdf_files import attachment, make_pdf


def paper(title: str, *signers: Credential) -> bytes:
    """A small PDF that exists once in the world, signed by each in turn."""
    return signed(make_pdf(text=f"{title} {uuid.uuid4()}".encode()), *signers)


def form(terms: bytes, *signers: Credential, title: str = "form") -> bytes:
    """A form that embeds these terms, signed by each in turn."""
    catalog, objects = attachment(b"terms.bin", terms)
    return signed(
        make_pdf(text=f"{title} {uuid.uuid4()}".encode(), catalog=catalog, objects=objects), *signers
    )


def signed(pdf: bytes, *signers: Credential) -> bytes:
    """A PDF with further signatures."""
    for credential in signers:
        pdf = append_signature(pdf, credential.signer(), reason="sign", at=utc_now())
    return pdf
