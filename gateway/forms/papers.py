"""Papers of the parties as real PDF files: contracts, statements, undertakings. For demonstration and tests.

A bank brings its own papers; nothing in the gateway depends on these.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from gateway.certificates import wording
from gateway.certificates.typeset import Attachment, typeset

PAPER_TEMPLATE: Final = Path(__file__).with_name("paper.typ")


def contract_pdf(
    title: str,
    paragraphs: Sequence[str],
    *,
    signers: Sequence[str],
    created_at: dt.datetime,
    number: str = "",
    parties: Mapping[str, str] | None = None,
    attachments: Sequence[Attachment] = (),
    test: bool = True,
) -> bytes:
    """A paper with title, number, parties by role (甲方（贷款人） → name), paragraphs and signature places.

    A paragraph that begins with 第…条 is set as an article. Raises RenderError.
    """
    data = {
        "title": title,
        "number": number,
        "parties": [{"role": role, "name": name} for role, name in (parties or {}).items()],
        "paragraphs": [{"text": text, "article": _is_article(text)} for text in paragraphs],
        "signers": list(signers),
        "date": wording.date(created_at.astimezone(wording.CHINA).date()),
        "test": test,
    }
    return typeset(PAPER_TEMPLATE, data, tuple(attachments), created_at=created_at)


def _is_article(text: str) -> bool:
    return text.startswith("第") and "条" in text[:8]
