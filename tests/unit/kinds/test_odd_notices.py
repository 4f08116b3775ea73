"""Odd cases of pre-notices, made from the articles: what happens on S's flat, and what must come of it.

Each row says the article, what lies on the flat, who asks for what on which day, and what keeps it from acceptance
(`BARRED`), whom it waits for, or by which rules a person decides it. Nothing here is in the handbook's own scenarios.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace

from gateway.applications.submit import Submission
from gateway.applications.supplement import Supplement, decide_supplement
from gateway.cases.decision import Decision
from gateway.cases.model import Kind, Result
from gateway.cases.terms import ReleaseGround
from gateway.register.calendar import PACKAGED
from gateway.register.findings import Severity
from gateway.register.model import (
    Owner,
    Party,
    PreNotice,
    SeizureKind,
    UnitState,
)
from tests.support import cases as c
from tests.support import deals as d
from tests.support import later
from tests.support.play import Play, complete
from tests.support.register_state import dissent
from tests.unit.kinds.test_notice_later import (
    FRESH,
    FRESH_LOAN,
    LOAN,
    PRE_SEIZED,
    SALE,
    A,
    B,
    S,
    Y,
    convert_loan,
    convert_sale,
    filed,
    on,
    release,
)

Z = c.SPOUSE
HEIR = Z

#: Findings of every case here, which say nothing of it: no rule set decides pre-notices, a conversion is a person's.
_ALWAYS = {"OPERATION_PUBLISHED", "PERSON_PRE_NOTICE_CONVERT", "PERSON_OWNERSHIP_TRANSFER", "UNENCUMBERED"}


def china(text: str) -> dt.datetime:
    """An instant given in China time."""
    return dt.datetime.fromisoformat(text + "+08:00").astimezone(dt.UTC)


class Odd(NamedTuple):
    """One odd case. `expects` are the codes and rules of what bars it, waits, or refers it; empty: it passes."""

    id: str
    article: str
    rights: Sequence[Any]
    asks: Sequence[Any]
    expects: set[tuple[str, str]]
    on: str = "2026-11-20T10:00:00"
    owner: Party = S
    applicant: Party = B
    kind: Kind = Kind.PRE_NOTICE
    years: Any = None


def mortgage_by(owner: Party, bank: Party, **changes: Any) -> Any:
    """A plain mortgage."""
    made = c.mortgage_first(
        mortgagors=(owner,), debtors=(owner,), mortgagees=(bank,), applicants=(owner, bank)
    )
    return replace(made, **changes)


def sale_by(seller: Party, buyer: Party, notice: PreNotice = FRESH) -> Any:
    """The conversion as these two ask for it."""
    step = d.transfer(sellers=(seller,), buyers=(Owner(person=buyer),), applicants=())
    return convert_sale(proof=notice.proof, transfer=step, applicants=(seller, buyer))


SEIZED = replace(PRE_SEIZED, kind=SeizureKind.SEIZURE, target=S)
DISSENT = replace(dissent(), units=(c.UNIT,), applicant=Z)
OVER = replace(
    SALE, registrable_from=dt.date(2026, 8, 3)
)  # its 90 days ended on Sunday 1 November, rolled to the 2nd
LOAN_OVER = replace(LOAN, registrable_from=dt.date(2026, 8, 3))
SELLERS_LOAN = replace(FRESH_LOAN, obligors=(S,))
SECOND_LOAN = replace(
    FRESH_LOAN, right_id="5.3", holders=(A,), proof=replace(LOAN.proof, number=LOAN.proof.number[:-2] + "9号")
)
LAPSED = ("N-BARRED", "R-PRE_NOTICE_LAPSED")
CONFLICT = ("N-BARRED", "R-CONFLICT")
HELD = ("N-INCOMPLETE", "R-PRE_NOTICE")
UNCONFIRMED = ("M-REFER", "LAPSE_CONFIRMED")

CASES = [
    # -- the last day
    Odd(
        "one second before midnight of the last day",
        "CC 203",
        [SALE],
        [convert_sale()],
        set(),
        "2026-10-08T23:59:59",
    ),
    Odd(
        "midnight after the last day",
        "CC 203, 221",
        [SALE],
        [convert_sale()],
        {LAPSED},
        "2026-10-09T00:00:00",
    ),
    Odd(
        "last day of February of a leap year, unknown",
        "CC 203; handbook 10",
        [replace(SALE, registrable_from=dt.date(2027, 12, 1))],
        [convert_sale()],
        set(),
        "2028-02-29T12:00:00",
    ),
    Odd(
        "day after it, in a year that nobody has published",
        "CC 221; handbook 10",
        [replace(SALE, registrable_from=dt.date(2027, 12, 1))],
        [convert_sale()],
        {("M-REFER", "LAPSE_CERTAIN")},
        "2028-03-01T12:00:00",
    ),
    # -- what lapsed protects nothing
    Odd(
        "mortgage filed plainly by the bank of the lapsed pre-notice",
        "CC 221; SIG 52",
        [LOAN_OVER],
        [mortgage_by(Y, B)],
        set(),
        owner=Y,
        kind=Kind.MORTGAGE,
    ),
    Odd(
        "mortgage to another bank past one that is over and unconfirmed",
        "CC 221; handbook 3.5",
        [LOAN_OVER],
        [mortgage_by(Y, A)],
        {UNCONFIRMED},
        owner=Y,
        applicant=A,
        kind=Kind.MORTGAGE,
    ),
    Odd(
        "second sale pre-notice past one that is over in an unknown year",
        "CC 221; handbook 10",
        [replace(SALE, registrable_from=dt.date(2026, 11, 1))],
        [d.sale_notice(holders=(Z,), applicants=(S, Z))],
        {UNCONFIRMED},
        "2027-03-01T12:00:00",
    ),
    Odd("holder gives up one that is over", "RD 89", [OVER], [release()], set()),
    Odd(
        "released and noted anew in one case",
        "CC 221; RD 89",
        [OVER],
        [release(), d.sale_notice()],
        set(),
    ),
    # -- deaths
    Odd(
        "seller died, the heir who owns by now converts",
        "CC 230, 1161",
        [FRESH],
        [sale_by(HEIR, Y)],
        {("M-REFER", "OBLIGOR_OWNS")},
        owner=HEIR,
    ),
    Odd(
        "seller died, an heir who is not on the register converts",
        "CC 232",
        [FRESH],
        [sale_by(HEIR, Y)],
        {CONFLICT, ("N-NOT_APPLICANT", "R-CONFLICT")},
    ),
    Odd(
        "buyer died, the heir would convert what the buyer holds",
        "CC 221",
        [FRESH],
        [sale_by(S, HEIR)],
        {CONFLICT},
    ),
    # -- owners and buyers who are others
    Odd(
        "holder let the flat pass to Z, and converts against Z",
        "CC 221",
        [FRESH],
        [sale_by(Z, Y)],
        {("M-REFER", "OBLIGOR_OWNS")},
        owner=Z,
    ),
    Odd("converted by somebody else for himself", "CC 221", [FRESH], [sale_by(S, Z)], {CONFLICT}),
    Odd(
        "second sale pre-notice, with the first holder's consent",
        "CC 221",
        [FRESH],
        [d.sale_notice(holders=(Z,), applicants=(S, Z), consenters=(Y,))],
        {("N-BARRED", "R-PRE_NOTICE"), ("N-INCOMPLETE", "")},
    ),
    Odd(
        "the same buyer notes the same sale twice",
        "CC 221",
        [FRESH],
        [d.sale_notice()],
        {("N-BARRED", "R-PRE_NOTICE")},
    ),
    # -- mortgage pre-notices
    Odd(
        "buyer without a sale pre-notice notes a mortgage",
        "CC 395; RD 88",
        [],
        [d.mortgage_notice()],
        {("N-NOT_APPLICANT", "R-CONFLICT")},
    ),
    Odd(
        "owner notes a mortgage of its own flat",
        "CC 221; RD 88",
        [],
        [
            d.mortgage_notice(
                obligors=(S,),
                mortgage=d.new_mortgage(mortgagors=(S,), debtors=(S,), applicants=()),
                applicants=(S, B),
            )
        ],
        set(),
    ),
    Odd(
        "mortgage converted before the buyer owns",
        "CC 395, 221",
        [FRESH, FRESH_LOAN],
        [convert_loan()],
        {("N-NOT_APPLICANT", "R-CONFLICT"), ("N-NOT_APPLICANT", "R-CO_OWNER")},
    ),
    Odd(
        "seller mortgages past the buyer's pre-notice",
        "CC 221; SIP 4",
        [FRESH],
        [mortgage_by(S, A)],
        {HELD},
        applicant=A,
        kind=Kind.MORTGAGE,
    ),
    Odd(
        "another bank past a mortgage pre-notice of the owner",
        "CC 221; SIG 52",
        [SELLERS_LOAN],
        [mortgage_by(S, A)],
        {HELD},
        applicant=A,
        kind=Kind.MORTGAGE,
    ),
    Odd(
        "second bank's mortgage pre-notice without the first one's consent",
        "CC 221; SIG 52",
        [FRESH, FRESH_LOAN],
        [
            d.mortgage_notice(
                holders=(A,), mortgage=d.new_mortgage(mortgagees=(A,), applicants=()), applicants=(Y, A)
            )
        ],
        {HELD},
        applicant=A,
    ),
    Odd(
        "larger loan than was noted",
        "CC 221; SIG 52",
        [FRESH, FRESH_LOAN],
        [
            convert_sale(),
            convert_loan(mortgage=d.new_mortgage(claim_amount_fen=d.CLAIM_FEN + 1, applicants=())),
        ],
        {CONFLICT},
    ),
    Odd(
        "smaller loan than was noted",
        "CC 221",
        [FRESH, FRESH_LOAN],
        [
            convert_sale(),
            convert_loan(mortgage=d.new_mortgage(claim_amount_fen=d.CLAIM_FEN - 1, applicants=())),
        ],
        set(),
    ),
    # -- courts and dissents
    Odd(
        "seller's flat seized between pre-notice and conversion",
        "EX 24; EXO 30",
        [FRESH, SEIZED],
        [convert_sale()],
        {("N-BARRED", "R-SEIZED")},
    ),
    Odd("the holder may give it up all the same", "EX 24; RD 89", [FRESH, SEIZED], [release()], set()),
    Odd(
        "last day of the seizure",
        "CPL 485; EX 27",
        [FRESH, replace(SEIZED, until=dt.date(2026, 11, 20))],
        [convert_sale()],
        {("N-BARRED", "R-SEIZED")},
    ),
    Odd(
        "seizure not renewed, over yesterday",
        "EX 27",
        [FRESH, replace(SEIZED, until=dt.date(2026, 11, 19))],
        [convert_sale()],
        set(),
    ),
    Odd(
        "dissent of two days, no risk statement",
        "RD 84",
        [FRESH, DISSENT],
        [convert_sale()],
        {("C-DISSENT", "")},
    ),
    Odd(
        "dissent without a suit, its 15 days rolled over the October holiday: the last of them",
        "CC 203, 220",
        [SALE, replace(DISSENT, booked_at=china("2026-09-16T09:00:00"))],
        [convert_sale()],
        {("C-DISSENT", "")},
        "2026-10-08T17:00:00",
    ),
    Odd(
        "dissent without a suit after 15 days",
        "CC 220",
        [FRESH, replace(DISSENT, booked_at=china("2026-11-04T09:00:00"))],
        [convert_sale()],
        {UNCONFIRMED},
    ),
    # -- giving up
    Odd(
        "seller alone would end the buyer's pre-notice",
        "CC 221; RD 89",
        [FRESH],
        [release(holders=(S,), applicants=(S,))],
        {("N-NOT_APPLICANT", "R-CONFLICT")},
    ),
    Odd(
        "one of two buyers gives up what both hold",
        "CC 301; RD 89",
        [replace(FRESH, holders=(Y, Z))],
        [release()],
        {("N-NOT_APPLICANT", "R-CONFLICT")},
    ),
    Odd(
        "seller alone with a judgment",
        "IR 14(2)(3)",
        [FRESH],
        [release(ground=ReleaseGround.JUDGMENT, applicants=(S,))],
        {("M-REFER", "OWN_WORD")},
    ),
    Odd(
        "buyer gives up the sale under the bank's pre-notice",
        "RD 78; CC 221",
        [FRESH, FRESH_LOAN],
        [release()],
        {("M-REFER", "NOTHING_RESTS_ON_IT")},
    ),
    Odd(
        "bank first, then buyer, in one case: nothing rests on it any more",
        "RD 78, 89",
        [FRESH, FRESH_LOAN],
        [release(proof=LOAN.proof, holders=(B,), applicants=(B,)), release()],
        set(),
    ),
]


def looked_at(odd: Odd) -> Decision:
    """What the machine says of the case, with every paper there and everybody's signature."""
    now = china(odd.on)
    ownership = c.unit_state(owners=(odd.owner,)).rights
    state = UnitState(unit=c.unit_state().unit, rights=(*ownership, *odd.rights))
    play = Play(d.world(state))
    manifest = on(filed(play, *odd.asks, applicant=odd.applicant, kind=odd.kind), now)
    papers = tuple(complete(play.world, manifest).values())
    what = Submission(manifest=manifest, payload_sha256="88" * 32, papers=papers)
    return c.decide(play.world, what, c.moment(50, now))


@pytest.mark.parametrize("odd", CASES, ids=lambda odd: odd.id)
def test_odd_case_comes_to_what_the_articles_say(odd: Odd) -> None:
    """The table above."""
    decision = looked_at(odd)
    told = {
        (f.code, f.rule)
        for f in decision.outcome.findings
        if f.severity is not Severity.WARNS and f.rule not in _ALWAYS
    }
    assert told == odd.expects, (odd.article, [(f.code, f.rule, f.en) for f in decision.outcome.findings])
    barred = any(not code.startswith("M-") for code, _ in odd.expects)
    assert (decision.outcome.result is Result.NOT_ACCEPTED) is barred


# -- what is booked ------------------------------------------------------------------------------------------------


def flat(*rights: Any, owner: Party = S) -> Play:
    """The flat to play on."""
    ownership = c.unit_state(owners=(owner,)).rights
    return Play(d.world(UnitState(unit=c.unit_state().unit, rights=(*ownership, *rights))))


def test_plain_mortgage_after_the_lapse_has_its_rank_from_now_and_not_from_the_pre_notice() -> None:
    """SIG 52 lends the date of the pre-notice to a conversion alone."""
    play = flat(LOAN_OVER, c.mortgage_row(), owner=Y)
    play.book(filed(play, mortgage_by(Y, B), kind=Kind.MORTGAGE))
    assert play.mortgages() == [(A.name, 1, 1), (B.name, 2, 2)]
    assert play.state().mortgages[1].priority_date == c.NOW


def test_later_pre_notice_is_not_converted_past_the_earlier_one() -> None:
    """CC 221, 414; SIG 52: A's, noted later, waits for B's consent or conversion, and each counts from its own date."""
    behind = replace(
        SECOND_LOAN,
        booked_at=FRESH_LOAN.booked_at + dt.timedelta(days=9),
        registrable_from=dt.date(2026, 11, 1),
    )
    play = flat(FRESH, FRESH_LOAN, behind)
    play.book(filed(play, convert_sale()))
    titles = (play.title(),)
    second = d.new_mortgage(mortgagees=(A,), titles=titles, applicants=())
    converts = filed(play, convert_loan(proof=behind.proof, mortgage=second, applicants=(Y, A)), applicant=A)
    assert HELD in c.codes(play.file(converts))
    play.book(filed(play, convert_loan(mortgage=d.new_mortgage(titles=titles, applicants=()))))
    play.book(converts)
    assert play.mortgages() == [(B.name, 1, 1), (A.name, 2, 2)]
    assert [m.priority_date for m in play.state().mortgages] == [FRESH_LOAN.booked_at, behind.booked_at]


def test_conversion_accepted_on_the_last_day_is_booked_after_it() -> None:
    """CC 221: who has applied in time is not late by the time that the authority takes."""
    play = flat(replace(SALE, registrable_from=dt.date(2026, 8, 22)))  # the 90th day is c.NOW's
    decision = play.file(filed(play, convert_sale()), decided=china("2026-12-03T09:00:00"))
    assert decision.outcome.result is Result.BOOKED, c.codes(decision)


def test_application_that_is_whole_only_the_day_after_is_late() -> None:
    """Handbook 3.6: there is an application once both sides have applied; S's alone on the last day saves nothing."""
    play = flat(SALE)
    last, after = china("2026-10-08T16:00:00"), china("2026-10-09T09:00:00")
    manifest = on(filed(play, convert_sale()), last)
    papers = complete(play.world, manifest)
    forms = {code: c.paper(code, S, bound=True) for code in ("APPLICATION", "INQUIRY_RECORD")}
    what = Submission(manifest=manifest, payload_sha256="88" * 32, papers=tuple((papers | forms).values()))
    first = c.decide(play.world, what, c.moment(50, last))
    assert first.outcome.result is Result.AWAITING_PARTIES
    signed = [c.paper(code, Y, bound=True, sha256=f"{n}" * 64) for n, code in enumerate(forms, start=3)]
    row = later.row_of(first)
    act = later.act(Supplement, row, *signed, by=B, created_at=after, not_after=after + dt.timedelta(hours=1))
    decision = decide_supplement(later.dossier(play.world, what, row, *signed), act, c.moment(60, after))
    assert LAPSED in c.codes(decision)
    assert decision.outcome.accepted_at is None


def test_converted_sale_leaves_the_banks_pre_notice_and_its_protection() -> None:
    """CC 221: Y owns, and mortgages to nobody else past B's pre-notice; B's own conversion follows."""
    play = flat(FRESH, FRESH_LOAN)
    play.book(filed(play, convert_sale()))
    titles = (play.title(),)
    other = filed(play, mortgage_by(Y, A, titles=titles), applicant=A, kind=Kind.MORTGAGE)
    assert HELD in c.codes(play.file(other))
    play.book(filed(play, convert_loan(mortgage=d.new_mortgage(titles=titles, applicants=()))))
    assert (play.mortgages(), play.state().pre_notices) == ([(B.name, 1, 1)], ())


@pytest.mark.parametrize(
    ("registrable_from", "last", "provisional"),
    [
        ("2026-07-03", "2026-10-08", False),
        ("2026-07-05", "2026-10-08", False),
        ("2026-07-11", "2026-10-09", False),
        ("2026-07-12", "2026-10-10", False),
        ("2026-07-13", "2026-10-12", False),
        ("2026-10-02", "2026-12-31", False),
        ("2026-10-03", "2027-01-04", True),
        ("2027-12-01", "2028-02-29", True),
        ("2027-12-02", "2028-03-01", True),
        ("2026-11-30", "2027-03-01", True),
    ],
    ids=[
        "first-of-the-holiday",
        "within-it",
        "working-day-after-it",
        "make-up-saturday",
        "sunday",
        "last-known-day",
        "new-year-of-an-unknown-year",
        "leap-day",
        "over-the-leap-day",
        "end-of-a-common-february-on-a-sunday",
    ],
)
def test_last_day_of_the_ninety(registrable_from: str, last: str, provisional: bool) -> None:
    """CC 201, 203, 221: the first day is not counted, a day off rolls on, an unknown year is provisional."""
    found = PACKAGED.lapses_after(dt.date.fromisoformat(registrable_from))
    assert found == (dt.date.fromisoformat(last), provisional)
