"""Conversion and release of a pre-notice, its lapse, its pre-seizure; corrections and re-issues (CC 220, 221; RD 22,
79-89; SIG 52).
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.applications.submit import Submission
from gateway.cases.model import Kind, OpenCase, Result, State
from gateway.cases.terms import (
    Correction,
    CorrectionItem,
    PreNoticeConvert,
    PreNoticeRelease,
    Reissue,
    ReissueGround,
    ReleaseGround,
)
from gateway.register.findings import Severity
from gateway.register.model import (
    CertificateRef,
    Mortgage,
    Party,
    PreNotice,
    PreNoticeKind,
    Seizure,
    SeizureKind,
)
from tests.support import cases as c
from tests.support import deals as d
from tests.support.play import Play, complete

S, Y, A, B = d.SELLER, d.BUYER, d.A, d.B
SALE_PROOF = "苏(2026)江阴市不动产证明第0000101号"
LOAN_PROOF = "苏(2026)江阴市不动产证明第0000102号"
SALE = PreNotice(
    right_id="5.1",
    units=(c.UNIT,),
    case_number="",
    booked_at=dt.datetime(2026, 7, 3, 2, tzinfo=dt.UTC),
    booked_by="登记员乙",
    kind=PreNoticeKind.OTHER_SALE,
    holders=(Y,),
    obligors=(S,),
    amount_fen=d.PRICE_FEN,
    registrable_from=dt.date(2026, 7, 3),
    proof=CertificateRef(number=SALE_PROOF),
)
LOAN = replace(
    SALE,
    right_id="5.2",
    kind=PreNoticeKind.OTHER_MORTGAGE,
    holders=(B,),
    obligors=(Y,),
    amount_fen=d.CLAIM_FEN,
    proof=CertificateRef(number=LOAN_PROOF),
)
FRESH = replace(SALE, registrable_from=dt.date(2026, 11, 1))
FRESH_LOAN = replace(LOAN, registrable_from=dt.date(2026, 11, 1))
PRE_SEIZED = Seizure(
    right_id="6.1",
    units=(c.UNIT,),
    case_number="",
    booked_at=c.NOW,
    booked_by="导入",
    kind=SeizureKind.PRE_SEIZURE,
    target=Y,
    extent="全部",
    authority="示例法院",
    instrument_no="(2026)示01执1号",
    served_at=dt.datetime(2026, 11, 10, tzinfo=dt.UTC),
    until=dt.date(2029, 11, 9),
)


def played(*rights: Any) -> Play:
    """S's flat with these rights."""
    return Play(d.world(c.unit_state(*rights)))


def convert_sale(**changes: Any) -> PreNoticeConvert:
    """Y's pre-notice becomes the transfer."""
    value = PreNoticeConvert(
        units=(c.UNIT,),
        proof=SALE.proof,
        transfer=d.transfer(applicants=()),
        applicants=(S, Y),
    )
    return replace(value, **changes)


def convert_loan(**changes: Any) -> PreNoticeConvert:
    """B's pre-notice becomes the mortgage."""
    value = PreNoticeConvert(
        units=(c.UNIT,),
        proof=LOAN.proof,
        mortgage=d.new_mortgage(applicants=()),
        applicants=(Y, B),
    )
    return replace(value, **changes)


def release(**changes: Any) -> PreNoticeRelease:
    """Y waives its pre-notice."""
    value = PreNoticeRelease(
        units=(c.UNIT,), proof=SALE.proof, holders=(Y,), ground=ReleaseGround.WAIVED, applicants=(Y,)
    )
    return replace(value, **changes)


def filed(play: Play, *operations: Any, applicant: Party = B, kind: Kind = Kind.PRE_NOTICE) -> Any:
    """A manifest that B files, taxes cleared."""
    return play.manifest(*operations, kind=kind, applicant=applicant, tax_clearances=d.TAXES)


def on(manifest: Any, day: dt.datetime) -> Any:
    """The manifest, valid on another day."""
    header = replace(manifest.header, created_at=day, not_after=day + dt.timedelta(hours=1))
    return replace(manifest, header=header)


def blocking(decision: Any) -> set[tuple[str, str]]:
    """Code and rule of what bars the case."""
    return {(f.code, f.rule) for f in decision.outcome.findings if f.severity is Severity.BLOCKS}


# -- conversion ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "codes"),
    [
        (dt.datetime(2026, 10, 8, 2, tzinfo=dt.UTC), set()),
        (dt.datetime(2026, 10, 9, 2, tzinfo=dt.UTC), {("N-BARRED", "R-PRE_NOTICE_LAPSED")}),
    ],
    ids=["rolled-last-day", "the-day-after"],
)
def test_pre_notice_lapses_after_ninety_days_rolled_over_the_holiday(day: Any, codes: Any) -> None:
    """Scenario 16: 90 days from 3 July end on 1 October, the holiday rolls them to 8 October (CC 203, 221)."""
    play = played(SALE)
    decision = play.file(on(filed(play, convert_sale()), day), at=day)
    assert blocking(decision) == codes


def test_conversion_in_a_year_without_a_table_is_a_persons() -> None:
    """Handbook 10: a right never lapses by itself in a year whose days off are unknown."""
    late = replace(SALE, registrable_from=dt.date(2026, 11, 1))
    play = played(late)
    day = dt.datetime(2027, 3, 1, 2, tzinfo=dt.UTC)
    decision = play.file(on(filed(play, convert_sale()), day), at=day)
    assert blocking(decision) == set()
    assert decision.outcome.state is State.BOOKED  # the registrar of this play approved it


@pytest.mark.parametrize(
    "changes",
    [
        {"transfer": d.transfer(price_fen=1, applicants=())},
        {
            "transfer": d.transfer(buyers=(d.Owner(person=c.SPOUSE),), applicants=()),
            "applicants": (S, c.SPOUSE),
        },
        {"proof": LOAN.proof},
    ],
    ids=["another-price", "another-buyer", "a-mortgage-notice"],
)
def test_conversion_books_what_was_noted_and_nothing_else(changes: dict[str, Any]) -> None:
    """The final registration is that of the pre-notice (CC 221)."""
    play = played(FRESH, FRESH_LOAN)
    decision = play.file(filed(play, convert_sale(**changes)))
    assert ("N-BARRED", "R-CONFLICT") in blocking(decision)


def test_sale_to_another_needs_the_holders_consent() -> None:
    """CC 221: what S sells past Y's live pre-notice has no effect without Y (R-PRE_NOTICE)."""
    play = played(FRESH, c.mortgage_row())
    step = (
        d.transfer(buyers=(d.Owner(person=c.SPOUSE),), applicants=(S, c.SPOUSE)),
        d.release(),
        d.new_mortgage(mortgagors=(c.SPOUSE,), debtors=(c.SPOUSE,), applicants=(c.SPOUSE, B)),
    )
    manifest = play.manifest(
        *step, mode="ET_COMBINED", payoff_statements=(d.statement(),), tax_clearances=d.TAXES
    )
    assert ("N-INCOMPLETE", "R-PRE_NOTICE") in blocking(play.file(manifest, bound=(A,)))


def test_pre_seizure_of_the_holder_turns_into_a_seizure_with_the_conversion() -> None:
    """Scenario 33: booked; the seizure lies on Y's unit, counted from the pre-seizure (法发〔2004〕5号)."""
    play = played(FRESH, PRE_SEIZED)
    play.book(filed(play, convert_sale()))
    [seizure] = play.state().seizures
    assert (seizure.kind, seizure.served_at, seizure.until) == (
        SeizureKind.SEIZURE,
        PRE_SEIZED.served_at,
        PRE_SEIZED.until,
    )
    assert play.owners() == [Y.name]


def test_pre_seized_buyer_who_would_mortgage_sends_the_phase_to_a_person() -> None:
    """Scenario 33, second half: M-REFER for the whole phase, nothing blocked."""
    play = played(FRESH, FRESH_LOAN, PRE_SEIZED)
    decision = play.file(filed(play, convert_sale(), convert_loan()))
    assert blocking(decision) == set()
    play.fold(decision)
    assert play.mortgages() == [(B.name, 1, 1)]  # the registrar of this play approved it


def test_pre_seized_holder_gives_nothing_away() -> None:
    """Scenario 34: no release by Y, no sale by S to another."""
    play = played(FRESH, PRE_SEIZED)
    assert blocking(play.file(filed(play, release()))) == {("N-BARRED", "R-SEIZED")}


# -- release -------------------------------------------------------------------------------------------------------


def test_holder_waives_its_pre_notice_alone() -> None:
    """CC 221; RD 89."""
    play = played(FRESH)
    play.book(filed(play, release()))
    assert play.state().pre_notices == ()


def test_holder_waives_a_pre_notice_presumed_lapsed_too() -> None:
    """What ends it needs no registrar to find out that it has ended."""
    play = played(replace(SALE, lapse_presumed_on=dt.date(2026, 10, 9)))
    play.book(filed(play, release()))
    assert play.state().pre_notices == ()


def test_obligor_does_not_end_the_holders_pre_notice() -> None:
    """Only its holder, or both by agreement."""
    play = played(FRESH)
    decision = play.file(filed(play, release(holders=(S,), applicants=(S,))))
    assert ("N-NOT_APPLICANT", "R-CONFLICT") in blocking(decision)


def test_agreed_release_of_a_pre_notice_waits_for_the_obligor() -> None:
    """By agreement both sides sign (RD 89)."""
    play = played(FRESH)
    manifest = filed(play, release(ground=ReleaseGround.AGREEMENT, applicants=(Y, S)))
    form = {"APPLICATION": c.paper("APPLICATION", Y, bound=True)}
    assert play.file(manifest, papers=form).outcome.result is Result.AWAITING_PARTIES
    play.book(manifest)


def test_stranger_ends_no_pre_notice_with_a_judgment() -> None:
    """IR 14(2)(3): whoever the judgment entitles is a party of the pre-notice."""
    play = played(FRESH)
    judged = release(ground=ReleaseGround.JUDGMENT, applicants=(c.SPOUSE,))
    assert ("N-NOT_APPLICANT", "") in blocking(play.file(filed(play, judged)))
    play.book(filed(play, replace(judged, applicants=(S,))))


def test_sale_pre_notice_under_a_mortgages_goes_to_a_person() -> None:
    """RD 78: B's pre-notice rests on Y's."""
    play = played(FRESH, FRESH_LOAN)
    decision = play.file(filed(play, release()))
    assert any(
        "rests on it" in f.en for f in c.decide(play.world, _submission(play, release())).outcome.findings
    )
    assert decision.outcome.state is State.BOOKED


def _submission(play: Play, operation: Any, **how: Any) -> Any:
    """The bare submission, as the machine sees it before a person does."""
    manifest = filed(play, operation, **how)
    papers = tuple(complete(play.world, manifest).values())
    return Submission(manifest=manifest, payload_sha256="77" * 32, papers=papers)


# -- correction and re-issue ---------------------------------------------------------------------------------------


def correction(*items: CorrectionItem, **changes: Any) -> Correction:
    """A applies for the correction of M1."""
    value = Correction(units=(c.UNIT,), proof=c.mortgage_row().proof, items=items, applicants=(A,))
    return replace(value, **changes)


def test_correction_supersedes_the_wrong_row() -> None:
    """CC 220; IR 10: rank, dates and everything else stay."""
    play = played(c.mortgage_row())
    wrong = CorrectionItem(field="BDBZZQSE", recorded="50万元", corrected="52.5")
    decision = play.book(filed(play, correction(wrong), applicant=A, kind=Kind.MORTGAGE))
    [row] = play.state().mortgages
    assert row.claim_amount_fen == 52_500_000
    assert (row.priority_date, row.rank_at_registration) == (c.mortgage_row().priority_date, 1)
    assert len(decision.contents) == 1


@pytest.mark.parametrize(
    "item",
    [
        CorrectionItem(field="BDBZZQSE", recorded="51万元", corrected="52"),
        CorrectionItem(field="BDBZZQSE", recorded="50万元", corrected="五十二"),
        CorrectionItem(field="BDBZZQSE", recorded="50万元", corrected="50"),
        CorrectionItem(field="DYQSW", recorded="1", corrected="2"),
        CorrectionItem(field="DYR", recorded="张一", corrected="张一、李二"),
    ],
    ids=["not-what-stands", "unreadable", "no-change", "rank", "another-person"],
)
def test_correction_that_corrects_nothing_wrong_is_not_accepted(item: CorrectionItem) -> None:
    """It makes no right, moves none and changes no rank (RD 79-81)."""
    play = played(c.mortgage_row())
    decision = play.file(filed(play, correction(item), applicant=A, kind=Kind.MORTGAGE))
    assert ("C-MISMATCH", "R-CONFLICT") in blocking(decision)


def test_correction_waits_for_an_earlier_case_on_the_same_right() -> None:
    """RD 67: and passes one that is about another right."""
    play = played(c.mortgage_row())
    item = CorrectionItem(field="DBFW", recorded="/", corrected="全部债权")
    earlier = OpenCase(application_id="x", accepted_index=1, rights=("0.2",))
    play.world = replace(play.world, open_cases={c.UNIT: (earlier,)})
    waits = play.file(filed(play, correction(item), applicant=A, kind=Kind.MORTGAGE))
    assert waits.outcome.state is State.SUSPENDED
    play.world = replace(play.world, open_cases={c.UNIT: (replace(earlier, rights=("0.9",)),)})
    play.book(filed(play, correction(item), applicant=A, kind=Kind.MORTGAGE))


def test_amount_corrected_under_a_seizure_names_what_is_at_stake() -> None:
    """CC 220, 409: the registrar is told of whom it touches."""
    play = played(c.mortgage_row(), PRE_SEIZED)
    item = CorrectionItem(field="BDBZZQSE", recorded="50万元", corrected="60")
    told = c.decide(play.world, _submission(play, correction(item), applicant=A, kind=Kind.MORTGAGE))
    assert any("a seizure" in f.en for f in told.outcome.findings)


def test_pre_notice_is_corrected_and_keeps_its_day() -> None:
    """SIG 52: a conversion counts from the pre-notice, corrected or not."""
    play = played(FRESH)
    item = CorrectionItem(field="JYHTH", recorded="", corrected="WQ-2026-9")
    manifest = filed(play, correction(item, proof=FRESH.proof, applicants=(Y,)))
    wrong = replace(item, recorded="x")
    assert (
        play.file(filed(play, correction(wrong, proof=FRESH.proof, applicants=(Y,)))).outcome.result
        is Result.NOT_ACCEPTED
    )
    play.book(manifest)
    [notice] = play.state().pre_notices
    assert (notice.contract_number, notice.booked_at) == ("WQ-2026-9", FRESH.booked_at)


def reissue(**changes: Any) -> Reissue:
    """A's paper proof becomes an electronic one."""
    value = Reissue(
        units=(c.UNIT,), proof=c.mortgage_row().proof, ground=ReissueGround.MEDIUM, applicants=(A,)
    )
    return replace(value, **changes)


def test_reissue_changes_the_number_and_nothing_else() -> None:
    """RD 20, 23."""
    play = played(c.mortgage_row())
    play.book(filed(play, reissue(), applicant=A, kind=Kind.MORTGAGE))
    [row] = play.state().mortgages
    same = replace(row, right_id="0.2", proof=c.mortgage_row().proof, began_as="", replaced_proofs=())
    assert same == c.mortgage_row()
    assert (row.identity, row.replaced_proofs) == ("0.2", (c.PROOF,))
    assert row.proof.number != c.PROOF


def test_lost_proof_is_declared_void_first() -> None:
    """RD 22."""
    play = played(c.mortgage_row())
    lost = reissue(ground=ReissueGround.LOST)
    decision = play.file(filed(play, lost, applicant=A, kind=Kind.MORTGAGE))
    assert ("N-INCOMPLETE", "") in blocking(decision)
    told = replace(lost, declared_void_at=c.NOW - dt.timedelta(days=20))
    play.book(filed(play, told, applicant=A, kind=Kind.MORTGAGE))


def test_nobody_gets_anothers_certificate() -> None:
    """Only the holder (RD 22)."""
    play = played(c.mortgage_row())
    decision = play.file(filed(play, reissue(applicants=(B,)), kind=Kind.MORTGAGE))
    assert ("N-NOT_APPLICANT", "R-CONFLICT") in blocking(decision)
    assert isinstance(play.state().mortgages[0], Mortgage)
