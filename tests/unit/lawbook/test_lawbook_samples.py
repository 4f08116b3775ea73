"""The sample cases of the pages: what each mode leaves in the register and issues, as the handbook says (2.3, 11)."""

from __future__ import annotations

import pytest

from gateway.kinds import mortgage_release, reissue
from gateway.lawbook import register as r
from gateway.lawbook.cast import NEW_BANK, OLD_BANK, OTHER_BANK
from gateway.lawbook.deals import DEALS, Deal, run
from gateway.lawbook.reading import rules_in, settings_in
from gateway.lawbook.running import PhaseRun, UnlawfulSample, run_phase
from gateway.lawbook.steps import release
from gateway.register.rank import current_ranks

#: Mode, way -> after each phase: titles and proofs issued, certificates that end, and current ranks (O old, N new).
EXPECTED = {
    ("ET_COMBINED", "two banks"): [("1+1", 2, "N1")],
    ("ET_SEGMENTED", "two banks"): [("1+1", 1, "O1 N2"), ("0+0", 1, "N1")],
    ("ET_CHANGE", "one bank"): [("1+1", 2, "O1")],
    ("ET_CHANGE", "two banks"): [("1+1", 2, "N1")],
    ("ET_THREE_IN_ONE", "two banks"): [("1+2", 2, "O1 N2"), ("0+0", 1, "N1")],
    ("ET_DOUBLE_PRE_NOTICE", "release last"): [
        ("0+2", 0, "O1"),
        ("1+1", 3, "O1 N2"),
        ("0+0", 1, "N1"),
    ],
    ("ET_DOUBLE_PRE_NOTICE_RELEASE_WITH_CONVERSION", "release with the conversion"): [
        ("0+2", 0, "O1"),
        ("1+1", 4, "N1"),
    ],
    ("PN_SALE_THEN_CONVERT", "no old mortgage, bank and fund centre"): [
        ("0+1", 0, ""),
        ("1+2", 2, "N1 F2"),
    ],
    ("PN_SALE_THEN_CONVERT", "with an old mortgage"): [("0+1", 0, "O1"), ("1+1", 3, "N1")],
    ("ET_CASH_PRE_NOTICE", "the buyer pays without a loan"): [
        ("0+1", 0, "O1"),
        ("0+0", 1, ""),
        ("1+0", 2, ""),
    ],
    ("NB_PRESALE_CASH", "the buyer pays without a loan"): [("0+2", 1, ""), ("1+0", 2, "")],
    ("NB_PRESALE_LOAN", "the buyer borrows"): [("0+3", 1, ""), ("1+1", 3, "N1")],
}


@pytest.mark.parametrize("deal", DEALS, ids=lambda deal: f"{deal.mode.code}, {deal.en}")
def test_deal_issues_ends_and_ranks_as_the_handbook_says(deal: Deal) -> None:
    """Handbook 2.3, phase by phase."""
    assert [_told(done) for done in run(deal)] == EXPECTED[deal.mode.code, deal.en]


def _told(done: PhaseRun) -> tuple[str, int, str]:
    titles = sum(content.kind.value == "TITLE" for content in done.issued)
    flat = done.after[r.UNIT]
    ranks = current_ranks(flat.mortgages)
    letters = {OLD_BANK.key: "O", NEW_BANK.key: "N"}
    live = [f"{letters.get(m.mortgagees[0].key, 'F')}{ranks[m.right_id]}" for m in flat.mortgages]
    ended = len(done.void) + len(done.superseded)
    return (f"{titles}+{len(done.issued) - titles}", ended, " ".join(live))


def test_an_unlawful_sample_is_an_error() -> None:
    """A page shows no case that the law would not take."""
    with pytest.raises(UnlawfulSample, match="N-NOT_APPLICANT R-CONFLICT"):
        run_phase((release(OTHER_BANK),), {r.UNIT: r.flat(r.ownership(), r.mortgage())})


def test_findings_are_read_through_short_forms_and_from_other_files() -> None:
    """`no_such_right` and `units_agree` are told by their callers which article they cite."""
    rules = {rule.name: rule for rule in rules_in(mortgage_release.conditions)}
    [none] = rules["conditions"].stated
    assert (none.code, none.rule, none.article) == ("N-BARRED", "R-CONFLICT", "OS 4.8; RD 70")
    assert none.zh == "登记簿上没有证明号为 … 的现势抵押权…"
    assert rules["units_agree"].stated[0].article == "RD 70"
    assert rules["_undertaking"].doc.startswith("A release on an undertaking is booked together")


def test_settings_of_the_place_are_found_behind_the_table_of_blocks() -> None:
    """What blocks.csv leaves to a profile is the profile's on the page too; a re-issue asks nothing of it."""
    assert "unrecorded_restriction" in settings_in(mortgage_release.conditions)
    assert settings_in(reissue.conditions) == ()
