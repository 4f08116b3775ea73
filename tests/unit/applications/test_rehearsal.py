"""A rehearsal tells what a submission would come to, and the register only to whom it may."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from gateway.applications.rehearsal import blank_unit, rehearse
from gateway.cases.errors import EnvelopeExpired
from gateway.cases.model import Result
from gateway.cases.terms import AnyOperation
from gateway.kinds.laws import law_of
from gateway.register.model import Seizure, SeizureKind
from tests.support import cases as c
from tests.support import deals, later

SEIZED = Seizure(
    right_id="0.9", units=(c.UNIT,), case_number="", booked_at=c.NOW, booked_by="导入", kind=SeizureKind.SEIZURE,
    target=c.OWNER, extent="全部", authority="某法院", instrument_no="(2026)执1号", served_at=c.NOW,
    until=c.NOW.date().replace(year=2029),
)  # fmt: skip


def test_rehearsal_of_a_clean_mortgage_is_valid_and_would_be_booked() -> None:
    """With the owner's form bound to these terms the whole decision is told; it is never called BOOKED."""
    told = rehearse(
        c.world(c.unit_state()), c.submission(c.mortgage_first(), c.mortgage_papers()), c.moment(7)
    )
    assert (told.result, told.would_be, told.as_of_index) == (Result.VALID, Result.BOOKED, 6)
    assert not told.is_withheld


def test_rehearsal_on_a_seized_unit_tells_the_bar_to_whom_the_owner_signed_for() -> None:
    """The same findings as the submission itself would get."""
    here, what = c.world(c.unit_state(SEIZED)), c.submission(c.mortgage_first(), c.mortgage_papers())
    told = rehearse(here, what, c.moment())
    assert told.result is Result.NOT_ACCEPTED
    assert told.findings == c.decide(here, what).outcome.findings


def test_rehearsal_without_the_owner_tells_the_same_of_a_seized_and_a_free_unit() -> None:
    """Without a basis nothing of the answer depends on the register: neither findings nor what it would be."""
    what = later.unsigned()
    free, seized, unknown = (
        rehearse(c.world(*states), what, c.moment())
        for states in ((c.unit_state(),), (c.unit_state(SEIZED),), ())
    )
    assert free == seized == unknown
    assert free.would_be is None
    assert [f.code for f in free.findings].count("W-WITHHELD") == 1
    assert free.awaiting


def test_rehearsal_without_the_owner_does_not_tell_that_a_paper_backs_another_case() -> None:
    """What else is filed is not told either."""
    what = later.unsigned()
    backing = replace(what, papers=tuple(replace(p, backs="other") for p in what.papers))
    assert rehearse(c.world(), what, c.moment()) == rehearse(c.world(), backing, c.moment())


def test_rehearsal_of_a_release_by_the_mortgagee_of_record_is_told_in_full() -> None:
    """The mortgagee of record has a basis of its own."""
    told = rehearse(
        c.world(c.unit_state(c.mortgage_row())),
        c.submission(c.mortgage_release(), c.release_papers()),
        c.moment(),
    )
    assert (told.result, told.would_be) == (Result.VALID, Result.BOOKED)


def test_rehearsal_of_a_release_by_another_bank_is_withheld() -> None:
    """Another bank learns nothing of who holds the mortgage."""
    operation = c.mortgage_release(mortgagees=(c.OTHER_BANK,))
    what = c.submission(operation, c.release_papers(c.OTHER_BANK), applicant=c.OTHER_BANK)
    told = rehearse(c.world(c.unit_state(c.mortgage_row())), what, c.moment())
    assert told.is_withheld
    assert {f.code for f in told.findings} == {"W-WITHHELD"}


def test_rehearsal_with_a_form_bound_to_other_terms_is_withheld() -> None:
    """The owner's signature opens the register for these terms only."""
    papers = c.mortgage_papers()
    papers["APPLICATION"] = replace(papers["APPLICATION"], terms_sha256="99" * 32)
    told = rehearse(c.world(c.unit_state()), c.submission(c.mortgage_first(), papers), c.moment())
    assert told.is_withheld
    assert told.result is Result.NOT_ACCEPTED  # C-MISMATCH can be seen from the filing


def test_rehearsal_outside_the_registry_names_the_jurisdiction() -> None:
    """Where a unit lies is no register fact."""
    elsewhere = "110101001001GB00001F00010001"
    what = c.submission(c.mortgage_first(units=(elsewhere,)), c.mortgage_papers())
    assert "N-OUT_OF_JURISDICTION" in {f.code for f in rehearse(c.world(), what, c.moment()).findings}


def test_rehearsal_made_in_the_future_is_refused() -> None:
    """A rehearsal is held to its time like any envelope, with or without a basis."""
    late = c.moment(now=c.NOW.replace(year=2027))
    for papers in (c.mortgage_papers(), {}):
        with pytest.raises(EnvelopeExpired):
            rehearse(c.world(c.unit_state()), c.submission(c.mortgage_first(), papers), late)


@pytest.mark.parametrize(
    "operation",
    [
        c.mortgage_first(),
        c.mortgage_release(),
        deals.transfer(),
        deals.sale_notice(),
        deals.mortgage_notice(),
    ],
    ids=["first", "release", "transfer", "sale-notice", "mortgage-notice"],
)
def test_law_names_applicants_and_papers_of_a_unit_of_which_nothing_is_known(operation: AnyOperation) -> None:
    """What a rehearsal without a basis is told must not need the register."""
    law = law_of(operation)
    assert law is not None
    blank = [blank_unit(code) for code in operation.units]
    assert law.applicants(operation, blank, {})
    assert law.papers(operation, blank)
