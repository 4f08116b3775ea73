"""(h) Signed PDFs checked per second on one core: one real contract, two signers, judged again and again."""

from __future__ import annotations

import datetime as dt
import time

from gateway.forms.papers import contract_pdf
from signing.pdf import check_pdf
from signing.pki import DevelopmentPKI
from signing.seal import append_signature
from tests.bench import cast

COUNT = 200


def papers_per_second() -> None:
    """Print the rate."""
    now = dt.datetime.now(dt.UTC)
    pki = DevelopmentPKI.create(now - dt.timedelta(hours=1))
    trust = pki.trust_store(pki.make_crls())
    pdf = contract_pdf(
        "抵押合同",
        ["抵押人以其房屋为主债权提供抵押担保。"] * 10,
        signers=["抵押人", "抵押权人"],
        created_at=now,
    )
    pdf = append_signature(
        pdf, pki.issue_person(cast.OWNER_ID, cast.OWNER_NAME).signer(), reason="签署", at=now
    )
    pdf = append_signature(
        pdf,
        pki.issue_institution(cast.BANK_USCC, cast.BANK_NAME).signer(),
        reason="签署",
        at=now,
    )
    assert check_pdf(pdf, trust, now).ok
    started = time.perf_counter()
    for _ in range(COUNT):
        check_pdf(pdf, trust, now)
    rate = COUNT / (time.perf_counter() - started)
    print(f"(h) signed PDFs (two signatures, {len(pdf) // 1000} kB) checked: {rate:.0f}/s and core")
