"""What the cities count, of a few deals played on a register: every figure is computed by hand beside it."""

from __future__ import annotations

import csv
import datetime as dt
import io
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.cases.effects import CertificateSealed, RightBooked, UnitRecorded, decode_effects, encode_effects
from gateway.cases.model import ConsentKind, Counted, Lenders, Sold
from gateway.cases.terms import ChangeItem, LoanKind, MortgageChange, PreNoticeConvert, ReleaseGround
from gateway.kinds.modes import MODES
from gateway.register.calendar import PACKAGED
from gateway.register.model import CertificateRef, PreNotice, PreNoticeKind, UnitState
from gateway.reports.chart import as_png, as_svg
from gateway.reports.figures import Figures, figures_of
from gateway.reports.tally import Tally
from gateway.reports.writing import as_csv, lines_of
from tests.support import cases as c
from tests.support import deals as d
from tests.support.play import Play
from tests.unit.applications import test_feed_counter as told
from tests.unit.applications import test_feed_restrictions as feed

DAY = dt.timedelta(days=1)
#: Friday 10:00 in China; the days after it are a weekend.
FRIDAY = c.NOW
DEAL: dict[str, Any] = {"payoff_statements": (d.statement(),), "tax_clearances": d.TAXES}


def world(*states: UnitState) -> Any:
    """Every mode is on offer, to everybody."""
    modes = tuple(MODES)
    here = d.world(*states, profile=replace(d.PROFILE, modes=modes))
    allowed = {uscc: replace(i, permitted_modes=modes) for uscc, i in here.institutions.items()}
    return replace(here, institutions=allowed)


def register(*rights: Any, after: int = 0) -> Play:
    """A flat of its own register; `after` keeps the ids of several registers apart."""
    play = Play(world(c.unit_state(*rights)))
    play._filed = after
    return play


def combined(play: Play, **how: Any) -> Any:
    """ET_COMBINED from A to B: 2,000,000 for the flat, 1,200,000 lent, 450,000 of the old loan paid off."""
    steps = (d.transfer(), d.release(ground=ReleaseGround.CLAIM_SETTLED, settled_on=dt.date(2026, 11, 20)))
    manifest = play.manifest(
        *steps, d.new_mortgage(), mode="ET_COMBINED", loan_kind=LoanKind.COMMERCIAL, **DEAL
    )
    return play.book(manifest, bound=(d.A,), **how)


def taizhou(play: Play) -> list[Any]:
    """Sale pre-notice at once; 20 days later conversion with 300,000 of B and 500,000 of the fund, half a day long."""
    mode = "PN_SALE_THEN_CONVERT"
    first = play.book(play.manifest(d.sale_notice(), mode=mode, sale_contracts=(d.contract(),)))
    [case] = play.rows
    sale = PreNoticeConvert(
        units=(c.UNIT,),
        proof=play.proof(d.BUYER, PreNotice),
        transfer=d.transfer(applicants=()),
        applicants=(d.SELLER, d.BUYER),
    )
    fund = d.new_mortgage(mortgagees=(d.FUND,), claim_amount_fen=50_000_000, applicants=(d.BUYER, d.FUND))
    manifest = play.manifest(
        sale,
        d.new_mortgage(claim_amount_fen=30_000_000),
        fund,
        mode=mode,
        phase=2,
        case=case,
        tax_clearances=d.TAXES,
        loan_kind=LoanKind.PORTFOLIO,
    )
    later = FRIDAY + 20 * DAY
    manifest = replace(manifest, header=replace(manifest.header, not_after=later + DAY))
    second = play.book(manifest, bound=(d.FUND,), at=later, decided=later + DAY / 2)
    return [first, second]


def alone() -> Any:
    """A mortgage of 800,000 of the owner's, decided by rule within the submission."""
    return c.decide(c.world(c.unit_state()), c.submission(c.mortgage_first(), c.mortgage_papers()))


def counter() -> tuple[Any, ...]:
    """What the authority booked itself: a right, and nobody's application here."""
    return (RightBooked(right=c.mortgage_row(right_id="50.1")),)


def imported() -> tuple[Any, ...]:
    """The register as it was taken over."""
    state = c.unit_state(c.mortgage_row())
    return (UnitRecorded(unit=state.unit), *(RightBooked(right=r) for r in state.rights))


def ledger() -> list[tuple[Any, ...]]:
    """All of it as entries: three deals, one case of the counter."""
    entries = [imported(), combined(register(c.mortgage_row(), after=10), decided=FRIDAY + 3 * DAY).effects]
    entries += [decision.effects for decision in taizhou(register(after=20))]
    return [*entries, alone().effects, counter()]


def counted(entries: list[tuple[Any, ...]], **period: Any) -> Figures:
    """Their figures; the effects go through their bytes, as in a ledger."""
    tally = Tally(**period)
    for effects in entries:
        tally.take(decode_effects(encode_effects(effects)))
    return figures_of(tally, c.REGISTRY, PACKAGED.is_working_day)


def test_deals_are_counted_by_mode_with_what_they_move() -> None:
    """Jinan: deals and money; the two phases of Taizhou's deal are one deal, and its price is counted once."""
    figures = counted(ledger())
    by_mode = {m.mode: (m.deals, m.applications, m.operations, m.amount_fen) for m in figures.modes}
    assert by_mode == {
        "ET_COMBINED": (1, 1, 3, 200_000_000),
        "PN_SALE_THEN_CONVERT": (1, 2, 4, 200_000_000),
        "MORTGAGE_FIRST": (1, 1, 1, 80_000_000),
    }
    assert (figures.deals, figures.applications) == (3, 4)
    assert figures.amount_fen == 480_000_000
    assert figures.loan_fen == 120_000_000 + 30_000_000 + 50_000_000 + 80_000_000
    assert figures.loan_kinds == {"COMMERCIAL": 1, "NONE": 2, "PORTFOLIO": 1}


def test_days_run_from_submission_to_booking() -> None:
    """Chengdu: three days, none, half a day, none; a Friday's case booked on Monday took one working day."""
    figures = counted(ledger())
    assert figures.to_booking.count == 4
    assert figures.to_booking.mean == pytest.approx(3.5 / 4)
    assert figures.to_booking.median == pytest.approx(0.25)
    assert figures.to_booking.longest == pytest.approx(3)
    assert figures.to_booking_working_days == pytest.approx(1 / 4)
    [mode] = [m for m in figures.modes if m.mode == "ET_COMBINED"]
    assert (mode.days.mean, mode.working_days) == (pytest.approx(3), 1)
    assert figures.to_release.mean == pytest.approx(3)


def test_operations_of_one_application_are_saved_applications() -> None:
    """Jiangyin: three operations in one application save two; Taizhou's four in two save two."""
    figures = counted(ledger())
    saved = {m.mode: m.applications_saved for m in figures.modes}
    assert saved == {"ET_COMBINED": 2, "PN_SALE_THEN_CONVERT": 2, "MORTGAGE_FIRST": 0}
    assert figures.applications_saved == 4


def test_counter_and_rule_have_their_shares() -> None:
    """Linyi: four applications came online, the counter booked one; a person looked at three of the four."""
    figures = counted(ledger())
    assert (figures.online, figures.counter) == (4, 1)
    assert figures.online_share == pytest.approx(4 / 5)
    assert figures.by_rule_share == pytest.approx(1 / 4)


def fed(*units: Any, rights: tuple[Any, ...] = ()) -> tuple[Any, ...]:
    """An entry of the counter's feed, as it is decided."""
    return feed.decide(feed.world(*rights), told.counter(7, *units)).effects


def test_sales_at_the_counter_are_sales_of_the_city() -> None:
    """Taizhou's shares are of every second-hand sale, whoever took the application (S13; handbook 2.5)."""
    notice = PreNotice(
        right_id="0.8",
        units=(c.UNIT,),
        case_number="P1",
        booked_at=c.NOW - 30 * DAY,
        booked_by="大厅",
        kind=PreNoticeKind.OTHER_SALE,
        holders=(c.SPOUSE,),
        obligors=(c.OWNER,),
        amount_fen=200_000_000,
        proof=CertificateRef(number="苏(2026)江阴市不动产证明第0000080号"),
    )
    sale = told.sold(price_fen=200_000_000)
    loan = c.mortgage_row(
        right_id="", case_number="T1", proof=CertificateRef(number="苏(2026)江阴市证明第1号")
    )
    noted = told.unit(sale, loan, ended=(replace(notice, right_id=""),), supersedes="")
    figures = counted([(RightBooked(right=notice),), fed(noted, rights=(notice,)), fed(told.unit(sale))])
    assert (figures.sales, figures.sales_at_counter, figures.online) == (2, 2, 0)
    assert (figures.sales_with_pre_notice, figures.sales_with_loan) == (1, 1)
    assert (figures.pre_notice_share, figures.pre_notice_share_with_loan) == (0.5, 1)
    gift = counted([fed(told.unit(told.sold()))])
    assert (gift.sales, gift.counter) == (0, 1)


def test_every_case_of_the_counter_counts_against_the_online_rate() -> None:
    """A release is a case too, and so is a booking that the register disagrees with; a seizure is nobody's (S15)."""
    old = c.mortgage_row()
    release = fed(told.unit(ended=(replace(old, right_id=""),)), rights=(old,))
    late = replace(old, booked_at=c.NOW + 366 * DAY)
    loan = c.mortgage_row(right_id="", proof=CertificateRef(number="苏(2026)江阴市不动产证明第0000081号"))
    disputed = fed(told.unit(loan), rights=(late,))
    assert any(isinstance(e, UnitRecorded) for e in disputed)
    seized = feed.decide(feed.world(), feed.restrict(feed.seizure())).effects
    assert [counted([one]).counter for one in (release, disputed, seized)] == [1, 1, 0]
    assert counted([alone().effects, release]).online_share == pytest.approx(1 / 2)


def test_pre_notices_are_a_share_of_the_second_hand_sales() -> None:
    """Taizhou: one of two sales had a pre-notice, one of the two with a loan; a mortgage alone is no sale."""
    figures = counted(ledger())
    assert (figures.sales, figures.sales_with_pre_notice) == (2, 1)
    assert (figures.sales_with_loan, figures.sales_with_loan_and_pre_notice) == (2, 1)
    assert figures.pre_notice_share == figures.pre_notice_share_with_loan == pytest.approx(0.5)
    assert figures.loan_share == 1


def test_cost_follows_from_the_old_loans_that_nobody_advanced() -> None:
    """Jinan: 450,000 at 1.8743/169 and at 0.1697/169; A's loan ended with B's money, so it is cross-bank."""
    figures = counted(ledger())
    assert (figures.same_bank, figures.cross_bank, figures.cross_bank_share) == (0, 1, 1.0)
    assert figures.not_advanced_fen == 45_000_000
    assert figures.cost_before_fen == round(45_000_000 * 1.8743 / 169)
    assert figures.cost_after_fen == round(45_000_000 * 0.1697 / 169)


def lenders(play: Play, *steps: Any, mode: str, **how: Any) -> Lenders | None:
    """Who meets whom in a sale, as its row says."""
    manifest = play.manifest(*steps, mode=mode, **{**DEAL, **how})
    return d.row_of(play.file(manifest, bound=(d.A,))).counted.lenders


def test_one_bank_on_both_sides_is_the_same_bank() -> None:
    """Jinan counts 同行 and 跨行: by who lends now, not by whose old mortgage is rewritten on the way."""
    settled = d.release(ground=ReleaseGround.CLAIM_SETTLED, settled_on=dt.date(2026, 11, 20))
    by_a = d.new_mortgage(mortgagees=(d.A,), applicants=(d.BUYER, d.A))
    steps = (d.transfer(), settled, by_a)
    assert lenders(register(c.mortgage_row()), *steps, mode="ET_COMBINED", applicant=d.A) is Lenders.SAME
    kept = MortgageChange(
        units=(c.UNIT,),
        proof=d.CertificateRef(number=c.PROOF),
        items=(ChangeItem.MORTGAGOR, ChangeItem.DEBTOR),
        content=d.new_mortgage(mortgagees=(d.A,), claim_amount_fen=50_000_000, applicants=()),
        applicants=(d.SELLER, d.BUYER, d.A),
    )
    three = (d.transfer(), kept, d.new_mortgage())
    assert lenders(register(c.mortgage_row()), *three, mode="ET_THREE_IN_ONE") is Lenders.CROSS
    same = lenders(register(c.mortgage_row()), *three[:2], mode="ET_CHANGE", applicant=d.A)
    assert same is Lenders.SAME
    assert (
        lenders(register(), d.transfer(), d.new_mortgage(), mode="ET_SEGMENTED", payoff_statements=()) is None
    )


def test_bank_of_record_under_its_former_code_is_the_same_bank() -> None:
    """The register still has the old code; the bank lends under its new one (handbook 3.1)."""
    former = "91320281MA1OLD001X"
    renamed = replace(c.institution(d.A), permitted_modes=tuple(MODES), uscc_aliases=(former,))
    play = register(c.mortgage_row(mortgagees=(replace(d.A, id_number=former),)))
    play.world = replace(play.world, institutions={**play.world.institutions, d.A.id_number: renamed})
    by_a = d.new_mortgage(mortgagees=(d.A,), applicants=(d.BUYER, d.A))
    met = lenders(play, d.transfer(), by_a, mode="ET_SEGMENTED", applicant=d.A, payoff_statements=())
    assert met is Lenders.SAME


def test_only_what_was_booked_in_the_period_counts() -> None:
    """From the day after the combined case was booked on: the conversion alone."""
    figures = counted(ledger(), start=FRIDAY + 4 * DAY)
    assert [(m.mode, m.applications) for m in figures.modes] == [("PN_SALE_THEN_CONVERT", 1)]
    assert (figures.deals, figures.counter, figures.filed) == (1, 0, 0)


def test_sealing_and_payout_are_measured_when_all_certificates_are_sealed() -> None:
    """Two certificates: the second is sealed an hour later, B pays out on the next day."""
    decision = combined(register(c.mortgage_row()))
    row = d.said(d.row_of(decision), d.B, ConsentKind.PAID_OUT)
    [paid] = row.consents
    row = replace(row, last_index=900, consents=(replace(paid, at=FRIDAY + DAY),))
    seals = [
        CertificateSealed(
            identifier=content.identifier,
            pdf_sha256="00",
            size_bytes=1,
            sealed_at=FRIDAY + number * dt.timedelta(hours=1),
        )
        for number, content in enumerate(decision.contents)
    ]
    one = counted([decision.effects, (seals[0],)])
    assert one.to_sealing.count == 0
    recorded = replace(
        next(e for e in decision.effects if type(e).__name__ == "ApplicationRecorded"), application=row
    )
    both = counted([decision.effects, (seals[0],), (seals[1],), (recorded,)])
    assert both.to_sealing.mean == pytest.approx(1 / 24)
    assert both.to_payout.mean == pytest.approx(1)
    assert both.applications == 1


def test_submission_not_accepted_is_filed_and_nothing_else() -> None:
    """It never became a case."""
    refused = c.decide(c.world(c.unit_state()), c.submission(c.mortgage_first(), {}))
    figures = counted([refused.effects])
    assert (figures.filed, figures.not_accepted, figures.deals) == (1, 1, 0)
    assert (figures.online_share, figures.pre_notice_share) == (None, None)


def test_row_of_an_older_ledger_is_read_without_what_was_not_counted_then() -> None:
    """Effects are read for decades: a row without `counted` is a deal of unknown amounts."""
    encoded = encode_effects(alone().effects)
    start = encoded.index(b'"counted":')
    older = encoded[:start] + encoded[encoded.index(b'"state"', start) :]
    tally = Tally()
    tally.take(decode_effects(older))
    [deal] = tally.deals.values()
    assert (deal.amount_fen, deal.first.counted) == (0, Counted())


def test_csv_and_chart_say_what_the_figures_say() -> None:
    """Every figure is a line; the picture is well-formed and names every mode."""
    figures = counted(ledger())
    rows = {(r["key"], r["mode"]): r["value"] for r in csv.DictReader(io.StringIO(as_csv(figures)))}
    assert rows["amount_wan", ""] == "480"
    assert rows["online_share", ""] == "0.8"
    assert rows["mode_deals", "ET_COMBINED"] == "1"
    assert {line.key for line in lines_of(figures)} == {key for key, mode in rows if not mode}
    drawn = as_svg(figures)
    words = "".join(ET.fromstring(drawn).itertext())
    assert all(mode.mode in words for mode in figures.modes)
    assert "80.0 %" in words
    assert as_png(figures).startswith(b"\x89PNG")


def test_presale_is_no_second_hand_sale() -> None:
    """Conversion of a pre-sale's pre-notice sells a new home."""
    notice = PreNotice(
        right_id="0.9",
        units=(c.UNIT,),
        case_number="",
        booked_at=c.NOW,
        booked_by="导入",
        kind=d.PreNoticeKind.PRESALE_SALE,
        holders=(d.BUYER,),
        obligors=(d.SELLER,),
        amount_fen=d.PRICE_FEN,
        proof=d.CertificateRef(number=c.PROOF),
    )
    play = register(notice)
    sale = PreNoticeConvert(
        units=(c.UNIT,),
        proof=notice.proof,
        transfer=d.transfer(applicants=()),
        applicants=(d.SELLER, d.BUYER),
    )
    decision = play.file(play.manifest(sale, mode="NB_PRESALE_CASH", phase=2))
    assert d.row_of(decision).counted.sold is Sold.NEW_BUILD
