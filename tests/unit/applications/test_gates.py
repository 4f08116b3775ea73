"""Gates at booking: taxes and payoff (handbook 2.3, 9, 11: 22, 28, 37)."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.applications.gates import check_statement
from gateway.applications.later import Dossier, Progress, through_gates
from gateway.applications.party import Consent, decide_consent
from gateway.applications.supplement import Supplement, decide_supplement
from gateway.cases.decision import Decision
from gateway.cases.effects import CertificateNumbered, CounterMoved, EventRecorded, RightBooked
from gateway.cases.errors import CommandRefused, NotPermitted, StateNotAllowed
from gateway.cases.model import Application, ConsentKind, Result, State, World
from gateway.cases.terms import Evidence, ReleaseGround, TaxKind
from gateway.kinds.gating import tax_duties
from gateway.register.authority import KeyRole
from gateway.register.model import Seizure, SeizureKind
from tests.support import cases as c
from tests.support import deals as d
from tests.support import later

CONFIRMED = ConsentKind.PAYOFF_CONFIRMED
UNDERTAKING = ConsentKind.PAYOFF_UNDERTAKING
ACCEPTED = ConsentKind.PAYOFF_UNDERTAKING_ACCEPTED


def waiting(what: Any, here: World | None = None) -> Application:
    """The row of a case that a registrar decided while a gate was closed."""
    decision = d.submitted_and_approved(here or d.world(), what)
    assert decision.outcome.result is Result.ACCEPTED
    assert not any(isinstance(e, RightBooked | CertificateNumbered) for e in decision.effects)
    return d.row_of(decision)


def dossier(what: Any, row: Application, here: World | None = None) -> Dossier:
    """The case as a later act meets it."""
    return Dossier(world=here or d.world(), row=row, manifest=what.manifest, papers=what.papers)


def _act(row: Application, by: Any, index: int) -> dict[str, Any]:
    return {
        "application_id": row.application_id,
        "manifest_sha256": row.payload_sha256,
        "terms_sha256": row.terms_sha256,
        "channel": by.id_number,
        "institution": by.id_number,
        "clerk": later.CLERK,
        "roles": (KeyRole.SUBMIT, KeyRole.CONSENT),
        "key_ids": (),
        "received_at": c.NOW,
        "request_id": f"018f0000-0000-7000-8000-{index:012d}",
        "payload_sha256": f"{index:064d}",
        "created_at": c.NOW,
        "not_after": c.NOW + dt.timedelta(days=1),
    }


def said(
    what: Any, row: Application, by: Any, kind: ConsentKind, here: World | None = None, index: int = 11
) -> Decision:
    """What an institution's signed statement on the payoff comes to."""
    act = Consent(kind=kind, **_act(row, by, index))
    return decide_consent(dossier(what, row, here), act, c.moment(index))


def supplemented(what: Any, row: Application, *taxes: Any) -> Decision:
    """What B's supplement of tax clearances comes to."""
    act = Supplement(evidence=Evidence(tax_clearances=taxes), **_act(row, d.B, 10))
    return decide_supplement(dossier(what, row), act, c.moment(10))


def looked_at(what: Any, row: Application) -> Progress:
    """The case looked at again as it stands."""
    return through_gates(dossier(what, row), row, c.moment(11))


def test_uncleared_taxes_hold_a_decided_case() -> None:
    """Golden 22: accepted and decided, it waits in AWAITING_TAX with a date, nothing booked."""
    what = d.submission(tax_clearances=())
    decision = d.submitted_and_approved(d.world(), what)
    row = d.row_of(decision)
    assert row.state is State.AWAITING_TAX
    assert {f.code for f in decision.outcome.findings} == {"S-TAX", "S-PAYOFF"}
    assert row.gate_expires_at == c.NOW + dt.timedelta(days=d.PROFILE.tax_days)
    assert (row.decided_by, row.decided_at, row.claimed_by) == (d.REGISTRAR.name, c.NOW, "")
    assert row.booked_at is None


def test_taxes_cleared_later_open_their_gate_only() -> None:
    """Golden 22: the clearances come as evidence; the payoff is still awaited, with a clock of its own."""
    what = d.submission(tax_clearances=())
    row = waiting(what)
    decision = supplemented(what, row, *d.TAXES)
    assert decision.outcome.state is State.AWAITING_PAYOFF
    assert {f.code for f in decision.outcome.findings} == {"S-PAYOFF"}
    assert d.row_of(decision).gate_expires_at == c.NOW + dt.timedelta(days=d.PROFILE.payoff_days)
    assert not any(isinstance(e, RightBooked) for e in decision.effects)


def test_last_gate_opened_books_in_the_name_of_who_decided() -> None:
    """Golden 22, 28: booked when the gate opens, all or nothing, by the registrar who decided."""
    what = d.submission(tax_clearances=())
    row = waiting(what)
    row = d.row_of(supplemented(what, row, *d.TAXES))
    decision = said(what, row, d.A, CONFIRMED)
    assert decision.outcome.result is Result.BOOKED
    done = d.row_of(decision)
    assert (done.state, done.booked_by, done.gate_expires_at) == (State.BOOKED, d.REGISTRAR.name, None)
    assert len(d.rights_of(decision)) == 2
    assert len(decision.contents) == len(done.certificates) == 2
    assert {e.kind for e in decision.effects if isinstance(e, EventRecorded)} == {"APPLICATION_BOOKED"}


def test_income_tax_of_the_seller_is_asked_for_beside_the_deed_tax() -> None:
    """Golden 37: deed tax cleared, S's income tax not."""
    what = d.submission(tax_clearances=(d.cleared(TaxKind.DEED),))
    decision = d.submitted_and_approved(d.world(), what)
    [tax] = [f for f in decision.outcome.findings if f.code == "S-TAX"]
    assert "个人所得税" in tax.zh
    assert "契税" not in tax.zh


@pytest.mark.parametrize(
    "changes",
    [
        {"taxpayer": c.SPOUSE},
        {"units": ("320281001001GB00001F00010009",)},
        {"cleared_at": c.NOW + dt.timedelta(days=1)},
        {"kind": TaxKind.LAND_VAT},
    ],
    ids=["other-payer", "other-unit", "from-the-future", "other-tax"],
)
def test_clearance_that_is_not_of_this_duty_opens_nothing(changes: dict[str, Any]) -> None:
    """A clearance counts for its tax, its payer and its units."""
    income = replace(d.cleared(TaxKind.INCOME), **changes)
    row = waiting(d.submission(tax_clearances=(d.cleared(TaxKind.DEED), income)))
    assert row.state is State.AWAITING_TAX


def test_shop_sold_by_a_natural_person_owes_three_taxes() -> None:
    """Land VAT is due for a unit that is no home (land VAT rules 12)."""
    what = d.submission()
    shop = c.unit_state(c.mortgage_row(), use="COMMERCIAL")
    duties = tax_duties(what.manifest.terms, {c.UNIT: shop})
    assert [duty.kind for duty in duties] == [TaxKind.DEED, TaxKind.INCOME, TaxKind.LAND_VAT]


def test_payoff_not_confirmed_holds_a_decided_case() -> None:
    """Golden 28: AWAITING_PAYOFF; A confirms: booked."""
    what = d.submission()
    row = waiting(what)
    assert row.state is State.AWAITING_PAYOFF
    assert said(what, row, d.A, CONFIRMED).outcome.result is Result.BOOKED


def test_undertaking_opens_the_gate_only_when_accepted() -> None:
    """Golden 28: B's undertaking alone, or an acceptance of nothing, opens nothing."""
    what = d.submission()
    row = waiting(what)
    alone = said(what, row, d.A, ACCEPTED)
    assert alone.outcome.state is State.AWAITING_PAYOFF
    undertaken = said(what, row, d.B, UNDERTAKING)
    assert undertaken.outcome.state is State.AWAITING_PAYOFF
    assert not any(isinstance(e, RightBooked) for e in undertaken.effects)
    both = said(what, d.row_of(undertaken), d.A, ACCEPTED, index=12)
    assert both.outcome.result is Result.BOOKED


def test_word_taken_back_opens_nothing() -> None:
    """A confirmation that was revoked before booking does not count."""
    what = d.submission()
    row = d.said(waiting(what), d.A, CONFIRMED)
    row = replace(row, consents=(replace(row.consents[0], revoked_index=10),))
    assert looked_at(what, row).row.state is State.AWAITING_PAYOFF


@pytest.mark.parametrize(
    ("who", "kind"),
    [(d.B, CONFIRMED), (d.FUND, CONFIRMED), (d.A, UNDERTAKING), (d.B, ACCEPTED)],
    ids=["new-confirms", "stranger-confirms", "old-undertakes", "new-accepts"],
)
def test_statement_of_the_wrong_side_is_refused(who: Any, kind: ConsentKind) -> None:
    """Only the old mortgagee confirms or accepts, only the new one undertakes."""
    what = d.submission()
    row = waiting(what)
    with pytest.raises(NotPermitted):
        check_statement(d.case_at(d.world(), what, row), who.id_number, kind)
    with pytest.raises(CommandRefused):
        said(what, row, who, kind)
    assert looked_at(what, d.said(row, who, kind)).row.state is State.AWAITING_PAYOFF


def test_statement_of_the_right_side_passes() -> None:
    """A confirms and accepts, B undertakes; what is no statement on the payoff is not judged here."""
    what = d.submission()
    case = d.case_at(d.world(), what, waiting(what))
    for who, kind in ((d.A, CONFIRMED), (d.A, ACCEPTED), (d.B, UNDERTAKING), (d.FUND, ConsentKind.TO_TERMS)):
        check_statement(case, who.id_number, kind)


@pytest.mark.parametrize(
    ("release", "paper"),
    [
        (d.release(ground=ReleaseGround.CLAIM_SETTLED, settled_on=dt.date(2026, 11, 20)), "EXTINCTION"),
        (d.release(ground=ReleaseGround.WAIVED), "EXTINCTION"),
    ],
    ids=["settled", "waived"],
)
def test_release_of_a_settled_loan_has_no_payoff_gate(release: Any, paper: str) -> None:
    """A's own settlement statement with its day, or its waiver, is the confirmation."""
    filed = d.papers() | {paper: c.paper(paper, d.A)}
    what = d.submission((d.transfer(), release, d.new_mortgage()), filed)
    assert d.submitted_and_approved(d.world(), what).outcome.result is Result.BOOKED


@pytest.mark.parametrize("settled", [None, dt.date(2026, 11, 21)], ids=["no-day", "a-day-to-come"])
def test_settlement_without_its_day_is_no_confirmation(settled: Any) -> None:
    """A ground without the day on which the claim ended says nothing of money that has moved."""
    release = d.release(ground=ReleaseGround.CLAIM_SETTLED, settled_on=settled)
    filed = d.papers() | {"EXTINCTION": c.paper("EXTINCTION", d.A)}
    assert (
        waiting(d.submission((d.transfer(), release, d.new_mortgage()), filed)).state is State.AWAITING_PAYOFF
    )


@pytest.mark.parametrize(("signers", "booked"), [((d.A, d.B), True), ((d.B,), False)])
def test_undertaking_on_paper_needs_both_seals(signers: Any, booked: bool) -> None:
    """The paper PAYOFF_UNDERTAKING is sealed by the new mortgagee and accepted by the old one's seal."""
    filed = d.papers() | {"PAYOFF_UNDERTAKING": c.paper("PAYOFF_UNDERTAKING", *signers)}
    decision = d.submitted_and_approved(d.world(), d.submission(filed=filed))
    assert (decision.outcome.result is Result.BOOKED) is booked


def test_what_bars_the_booking_by_then_sends_the_case_back_to_a_person() -> None:
    """Golden 14 at the gate: a seizure served while the case waited: nothing booked, a registrar looks."""
    what = d.submission()
    row = waiting(what)
    seizure = Seizure(
        right_id="0.9", units=(c.UNIT,), case_number="", booked_at=c.NOW, booked_by="法院", kind=SeizureKind.SEIZURE,
        target=d.SELLER, extent="全部", authority="某法院", instrument_no="(2026)执1号", served_at=c.NOW,
        until=dt.date(2029, 1, 1),
    )  # fmt: skip
    now = d.world(c.unit_state(c.mortgage_row(), seizure))
    decision = said(what, row, d.A, CONFIRMED, now)
    assert decision.outcome.state is State.ACCEPTED
    assert "R-SEIZED" in {f.code for f in decision.outcome.findings}
    assert not any(
        isinstance(e, RightBooked | CounterMoved) and "certificate" in str(e) for e in decision.effects
    )
    assert d.row_of(decision).decided_by == ""


def test_word_before_the_decision_is_only_written_down() -> None:
    """A confirmation during review books nothing by itself; the approval then finds the gate open."""
    what = d.submission()
    here = d.world()
    row = d.row_of(c.decide(here, what))
    noted = said(what, row, d.A, CONFIRMED)
    assert (noted.outcome.result, noted.outcome.state) == (Result.DONE, State.ACCEPTED)
    assert d.approved(here, what, d.row_of(noted), c.moment(12)).outcome.result is Result.BOOKED


def test_closed_case_takes_no_word() -> None:
    """A booked case is closed; the verb names the states that allow it."""
    what = d.submission()
    row = replace(waiting(what), state=State.BOOKED)
    with pytest.raises(StateNotAllowed):
        said(what, row, d.A, CONFIRMED)


def test_row_at_a_gate_names_no_person() -> None:
    """Effects outlive evidence: the row keeps tax duties by place, not by name or number."""
    what = d.submission(tax_clearances=())
    row = d.row_of(supplemented(what, waiting(what), *d.TAXES))
    assert row.taxes_cleared
    assert d.SELLER.id_number not in str(row.taxes_cleared)


def test_old_bank_sees_neither_the_buyers_title_nor_the_new_banks_proof() -> None:
    """IR 28; PIPL 6: a certificate is shown to who filed, whose right it is, and who lends on it."""
    steps = (d.transfer(), d.release(ground=ReleaseGround.WAIVED), d.new_mortgage())
    filed = d.papers() | {"EXTINCTION": c.paper("EXTINCTION", d.A)}
    decision = d.submitted_and_approved(d.world(), d.submission(steps, filed))
    numbered = [e for e in decision.effects if isinstance(e, CertificateNumbered)]
    assert [e.kind for e in numbered] == ["TITLE", "PROOF"]
    assert {i for e in numbered for i in e.institutions} == {d.B.id_number}
