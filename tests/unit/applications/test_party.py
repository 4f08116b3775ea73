"""Joining, consenting, declining, revoking: what each does to a case (handbook 3.6; golden 25, 35-40)."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.applications.later import KeyWithoutRole, ManifestMismatch
from gateway.applications.party import (
    Consent,
    ConsentNotFound,
    Decline,
    Join,
    Revoke,
    decide_consent,
    decide_decline,
    decide_join,
    decide_revoke,
)
from gateway.applications.submit import Submission
from gateway.cases.effects import PapersBound, PapersFreed, RightBooked
from gateway.cases.errors import ApplicationNotFound, EnvelopeExpired, NotPermitted, StateNotAllowed
from gateway.cases.model import Application, ConsentKind, OpenCase, Result, State, World
from gateway.cases.terms import Account, FundsLeg, FundsPlan, FundsPurpose, FundsTrigger
from gateway.register.authority import KeyRole
from gateway.register.model import Seizure, SeizureKind
from tests.support import cases as c
from tests.support import deals, later

LATER = c.moment(9, c.NOW + dt.timedelta(minutes=10))


def join(row: Application, **changes: Any) -> Join:
    """The fund centre joins for itself."""
    return later.act(Join, row, **{"parties": (later.FUND,), **changes})


# -- join ----------------------------------------------------------------------------------------------------------


def test_portfolio_loan_filed_by_the_bank_awaits_the_fund_centre() -> None:
    """A co-applicant institution is bound by its own envelope only; the case has no clock and no place."""
    row = later.filed(later.world(), later.portfolio())
    assert (row.state, row.awaiting, row.accepted_at) == (State.AWAITING_PARTIES, (later.FUND_USCC,), None)


def test_join_of_the_last_party_accepts_the_case_with_its_place_from_then() -> None:
    """Golden 25: accepted_at and the place are those of the join, not of the submission."""
    here, what = later.world(), later.portfolio()
    row = later.filed(here, what)
    decision = decide_join(later.dossier(here, what, row), join(row), LATER)
    after = later.row_of(decision)
    assert decision.outcome.result is Result.ACCEPTED
    assert (after.accepted_at, after.accepted_index) == (LATER.now, LATER.index)
    assert after.case_number
    assert after.state is State.ACCEPTED  # several mortgagees: a person decides
    assert set(later.events_of(decision).values()) == {"APPLICATION_ACCEPTED"}


def test_join_of_a_releasing_mortgagee_books_by_rule() -> None:
    """A clean case is decided by rule as soon as the last party is bound."""
    here = later.world(c.unit_state(c.mortgage_row()))
    what = c.submission(c.mortgage_release(), c.release_papers(), applicant=c.OTHER_BANK)
    row = later.filed(here, what)
    act = later.act(Join, row, by=c.BANK, parties=(c.BANK,), roles=(KeyRole.RELEASE,))
    decision = decide_join(later.dossier(here, what, row), act, LATER)
    assert decision.outcome.result is Result.BOOKED
    assert later.row_of(decision).rules_version == c.RULES.version


def test_join_by_a_former_code_binds_the_institution() -> None:
    """The alias table reads an old code as the new one (handbook 3.1)."""
    here, what = later.world(), later.portfolio()
    new_code = "12110000MB00000010"
    merged = replace(c.institution(replace(later.FUND, id_number=new_code)), uscc_aliases=(later.FUND_USCC,))
    here = replace(here, institutions={**here.institutions, new_code: merged})
    row = later.filed(here, what)
    act = join(row, channel=new_code, institution=new_code)
    assert decide_join(later.dossier(here, what, row), act, LATER).outcome.result is Result.ACCEPTED


def test_join_while_the_owner_has_not_signed_leaves_the_case_awaiting() -> None:
    """Joint means all: one more party of several accepts nothing."""
    papers = {p.reference.paper_code: p for p in later.portfolio().papers}
    papers["APPLICATION"] = c.paper("APPLICATION", bound=True)
    what = c.submission(later.portfolio().manifest.terms.operations[0], papers)
    here = later.world()
    row = later.filed(here, what)
    decision = decide_join(later.dossier(here, what, row), join(row), LATER)
    after = later.row_of(decision)
    assert (decision.outcome.result, after.awaiting) == (Result.AWAITING_PARTIES, ())
    assert [a.name for a in decision.outcome.awaiting] == [c.OWNER.name]
    assert later.events_of(decision)[c.BANK_USCC] == "JOINED"
    assert after.parties_expire_at == row.parties_expire_at


def test_join_that_brings_the_owners_forms_completes_the_case() -> None:
    """Whoever joins may bring papers; a natural person is bound by them."""
    papers = {p.reference.paper_code: p for p in later.portfolio().papers}
    papers["APPLICATION"] = c.paper("APPLICATION", bound=True)
    what = c.submission(later.portfolio().manifest.terms.operations[0], papers)
    here = later.world()
    row = later.filed(here, what)
    form = later.signed_forms()[0]
    act = later.act(Join, row, form, parties=(later.FUND,))
    decision = decide_join(later.dossier(here, what, row, form), act, LATER)
    assert decision.outcome.result is Result.ACCEPTED
    [bound] = [e for e in decision.effects if isinstance(e, PapersBound)]
    assert bound.papers == (form.reference.sha256,)
    assert [b.institution for b in later.row_of(decision).brought] == [later.FUND_USCC]


def test_join_with_a_spoiled_paper_is_not_taken_and_the_case_stays() -> None:
    """The case does not die of somebody's broken file: the act is answered in full and not taken."""
    here, what = later.world(), later.portfolio()
    row = later.filed(here, what)
    bad = c.paper("PROOF", problems=("broken",))
    decision = decide_join(
        later.dossier(here, what, row, bad), later.act(Join, row, bad, parties=(later.FUND,)), LATER
    )
    after = later.row_of(decision)
    assert (decision.outcome.result, after.state) == (Result.NOT_ACCEPTED, State.AWAITING_PARTIES)
    assert after.bound_institutions == ()
    assert not [e for e in decision.effects if isinstance(e, PapersBound)]


def test_join_when_the_register_bars_by_then_is_not_accepted_and_frees_the_papers() -> None:
    """Acceptance is judged when it happens: a seizure that came in between bars it."""
    what = later.portfolio()
    row = later.filed(later.world(), what)
    seizure = Seizure(
        right_id="0.9", units=(c.UNIT,), case_number="", booked_at=c.NOW, booked_by="x", kind=SeizureKind.SEIZURE,
        target=c.OWNER, extent="全部", authority="某法院", instrument_no="1", served_at=c.NOW,
        until=dt.date(2029, 1, 1),
    )  # fmt: skip
    decision = decide_join(later.dossier(later.world(c.unit_state(seizure)), what, row), join(row), LATER)
    assert later.row_of(decision).state is State.NOT_ACCEPTED
    assert [e for e in decision.effects if isinstance(e, PapersFreed)]


def test_join_behind_another_case_takes_the_place_after_it() -> None:
    """Golden 25: B was accepted meanwhile, so A is behind it whoever submitted first."""
    what = later.portfolio()
    row = later.filed(later.world(), what)
    here = later.world(open_cases={c.UNIT: (OpenCase(application_id="b", accepted_index=8),)})
    decision = decide_join(later.dossier(here, what, row), join(row), LATER)
    assert "S-QUEUE" in {f.code for f in decision.outcome.findings}
    assert (later.row_of(decision).accepted_index or 0) > 8


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"manifest_sha256": "00" * 32}, ManifestMismatch),
        ({"terms_sha256": "00" * 32}, ManifestMismatch),
        ({"roles": (KeyRole.CONSENT, KeyRole.RELEASE)}, KeyWithoutRole),
        ({"parties": (c.BANK,)}, NotPermitted),
        ({"operations": (1,)}, NotPermitted),
        ({"institution": c.OTHER_USCC}, ApplicationNotFound),
        ({"not_after": c.NOW - dt.timedelta(days=1)}, EnvelopeExpired),
    ],
    ids=["manifest", "terms", "role", "other-party", "operation", "stranger", "late"],
)
def test_join_that_cannot_be_taken_is_refused(changes: dict[str, Any], error: type[Exception]) -> None:
    """Another manifest, other terms, a key without the role, somebody else's party, a stranger, too late."""
    here, what = later.world(), later.portfolio()
    row = later.filed(here, what)
    with pytest.raises(error):
        decide_join(later.dossier(here, what, row), join(row, **changes), LATER)


def test_join_of_an_accepted_case_names_the_states_that_allow_it() -> None:
    """Whoever comes late is told."""
    here, what = later.world(), later.portfolio()
    row = replace(later.filed(here, what), state=State.IN_REVIEW)
    with pytest.raises(StateNotAllowed) as caught:
        decide_join(later.dossier(here, what, row), join(row), LATER)
    assert caught.value.metadata["allowedStates"] == "AWAITING_PARTIES"


def test_join_after_the_term_finds_the_case_expired() -> None:
    """The term ends a case whether the clock or a late act finds it so (golden 26)."""
    here, what = later.world(), later.portfolio()
    row = later.filed(here, what)
    late = c.moment(9, c.NOW + dt.timedelta(days=10))
    decision = decide_join(later.dossier(here, what, row), join(row), late)
    assert later.row_of(decision).state is State.EXPIRED
    assert [f.code for f in decision.outcome.findings] == ["E-EXPIRED"]


# -- consent -------------------------------------------------------------------------------------------------------


def consenting() -> tuple[World, Submission, Application]:
    """A mortgage to which the terms name another mortgagee as consenting: world, submission, row."""
    second = c.mortgage_row(mortgagees=(c.OTHER_BANK,))
    here = later.world(c.unit_state(second))
    what = c.submission(c.mortgage_first(consenters=(c.OTHER_BANK,)), c.mortgage_papers())
    return here, what, later.filed(here, what)


def consent(row: Application, kind: ConsentKind = ConsentKind.TO_TERMS, **changes: Any) -> Consent:
    """The other bank consents."""
    return later.act(Consent, row, by=c.OTHER_BANK, kind=kind, **changes)


def test_case_awaits_whom_its_terms_name_as_consenting_until_the_consent_comes() -> None:
    """The terms ask for a consent: not accepted before it is there, accepted with it."""
    here, what, row = consenting()
    assert (row.state, row.awaiting) == (State.AWAITING_PARTIES, (c.OTHER_USCC,))
    decision = decide_consent(later.dossier(here, what, row), consent(row), LATER)
    assert decision.outcome.result is Result.ACCEPTED
    [given] = later.row_of(decision).consents
    assert (given.institution, given.kind, given.index) == (c.OTHER_USCC, ConsentKind.TO_TERMS, LATER.index)


def test_consent_of_one_who_has_no_part_in_the_case_is_refused() -> None:
    """Nobody consents who is neither named nor a holder of a right."""
    here, what = later.world(), later.portfolio()
    row = later.filed(here, what)
    with pytest.raises(ApplicationNotFound):
        decide_consent(later.dossier(here, what, row), consent(row), LATER)
    with pytest.raises(NotPermitted):
        decide_consent(later.dossier(here, what, row), consent(row, institution=later.FUND_USCC), LATER)


def test_payoff_statement_is_not_for_a_bank_without_an_old_loan() -> None:
    """Only the old mortgagee confirms a payoff."""
    here, what, row = consenting()
    with pytest.raises(NotPermitted):
        decide_consent(later.dossier(here, what, row), consent(row, ConsentKind.PAYOFF_CONFIRMED), LATER)


# -- revoke --------------------------------------------------------------------------------------------------------


def consented() -> tuple[World, Submission, Application]:
    """`consenting` with the consent given: accepted, in review."""
    here, what, row = consenting()
    return here, what, later.row_of(decide_consent(later.dossier(here, what, row), consent(row), LATER))


def revoke(row: Application, digest: str = "55" * 32) -> Revoke:
    """The other bank takes its consent back."""
    return later.act(Revoke, row, by=c.OTHER_BANK, consent_sha256=digest, payload_sha256="66" * 32)


def test_revoked_consent_stops_the_case_until_there_is_one_again() -> None:
    """Golden 39, before booking and payout: the case stops."""
    here, what, row = consented()
    decision = decide_revoke(later.dossier(here, what, row), revoke(row), LATER)
    after = later.row_of(decision)
    assert (decision.outcome.result, after.state) == (Result.DONE, State.ACCEPTED)
    assert "N-INCOMPLETE" in {f.code for f in decision.outcome.findings}
    assert not after.consents[0].stands
    assert later.events_of(decision)[c.BANK_USCC] == "REVOKED"


def test_consent_is_not_taken_back_after_a_payout_that_relied_on_it() -> None:
    """Golden 39, after a payout: the withdrawal is not taken, the registrar is told."""
    here, what, row = consented()
    paid = later.act(Consent, row, by=c.BANK, kind=ConsentKind.PAID_OUT, payload_sha256="44" * 32)
    row = later.row_of(decide_consent(later.dossier(here, what, row), paid, c.moment(10, LATER.now)))
    decision = decide_revoke(later.dossier(here, what, row), revoke(row), c.moment(11, LATER.now))
    after = later.row_of(decision)
    assert after.consents[0].stands
    assert [f.code for f in decision.outcome.findings] == ["R-DISPUTE"]
    assert after.disputes


def test_revoking_what_was_never_given_is_refused() -> None:
    """The digest names one's own standing consent."""
    here, what, row = consented()
    with pytest.raises(ConsentNotFound):
        decide_revoke(later.dossier(here, what, row), revoke(row, "00" * 32), LATER)


# -- escrow --------------------------------------------------------------------------------------------------------


def escrowed() -> tuple[World, Submission, Application]:
    """A booked mortgage whose plan pays into escrow at the other bank; that bank is of the case."""
    here, what = later.world(), c.submission(c.mortgage_first(), c.mortgage_papers())
    leg = FundsLeg(
        payer=c.BANK,
        payee=c.OTHER_BANK,
        amount_fen=80_000_000,
        trigger=FundsTrigger.ON_BOOKING,
        purpose=FundsPurpose.ESCROW,
        account=Account(holder_name="监管账户", number="1"),
    )
    terms = replace(what.manifest.terms, funds_plan=FundsPlan(legs=(leg,)))
    what = replace(what, manifest=replace(what.manifest, terms=terms))
    row = later.filed(here, what)
    assert row.state is State.BOOKED
    return here, what, replace(row, institutions=(*row.institutions, c.OTHER_USCC))


def test_escrow_bank_states_what_it_holds_and_released_after_the_booking() -> None:
    """Each is kept and told to everybody of the case; neither moves it, neither is taken back."""
    here, what, row = escrowed()
    for number, kind in enumerate((ConsentKind.FUNDS_HELD, ConsentKind.FUNDS_RELEASED), start=10):
        said = later.act(Consent, row, by=c.OTHER_BANK, kind=kind, payload_sha256=f"{number:064x}")
        decision = decide_consent(later.dossier(here, what, row), said, c.moment(number, LATER.now))
        row = later.row_of(decision)
        assert (decision.outcome.result, row.state) == (Result.DONE, State.BOOKED)
        assert later.events_of(decision)[c.BANK_USCC] == kind.value
    assert [given.kind for given in row.consents] == [ConsentKind.FUNDS_HELD, ConsentKind.FUNDS_RELEASED]
    open_row = replace(row, state=State.ACCEPTED)
    with pytest.raises(ConsentNotFound):
        decide_revoke(
            later.dossier(here, what, open_row),
            later.act(
                Revoke,
                open_row,
                by=c.OTHER_BANK,
                consent_sha256=f"{10:064x}",
            ),
            LATER,
        )


def test_only_the_escrow_bank_of_the_plan_speaks_of_the_money_it_holds() -> None:
    """Not the lender without an account of escrow, and nobody without a plan."""
    here, what, row = escrowed()
    kind = ConsentKind.FUNDS_HELD
    stranger = replace(row, institutions=(*row.institutions, later.FUND_USCC))
    with pytest.raises(NotPermitted):
        act = later.act(Consent, stranger, by=later.FUND, kind=kind)
        decide_consent(later.dossier(here, what, stranger), act, LATER)
    bare = replace(what, manifest=replace(what.manifest, terms=replace(what.manifest.terms, funds_plan=None)))
    with pytest.raises(NotPermitted):
        act = later.act(Consent, row, by=c.OTHER_BANK, kind=kind)
        decide_consent(later.dossier(here, bare, row), act, LATER)


# -- decline -------------------------------------------------------------------------------------------------------


def test_decline_before_acceptance_ends_nothing_and_is_told() -> None:
    """The others learn of it by an event; the case goes on awaiting."""
    here, what = later.world(), later.portfolio()
    row = later.filed(here, what)
    decision = decide_decline(later.dossier(here, what, row), later.act(Decline, row), LATER)
    after = later.row_of(decision)
    assert (decision.outcome.result, after.state) == (Result.DONE, State.AWAITING_PARTIES)
    assert later.events_of(decision)[c.BANK_USCC] == "DECLINED"


def test_who_declined_may_still_join_and_the_note_is_gone() -> None:
    """A change of mind leaves no dispute behind."""
    here, what = later.world(), later.portfolio()
    row = later.filed(here, what)
    declined = later.row_of(decide_decline(later.dossier(here, what, row), later.act(Decline, row), LATER))
    joined = later.row_of(decide_join(later.dossier(here, what, declined), join(declined), LATER))
    assert (joined.state, joined.disputes) == (State.ACCEPTED, ())


def test_decline_of_an_accepted_case_sends_it_to_a_person_for_dispute() -> None:
    """R-DISPUTE is looked into by a registrar, never an automatic end (handbook 3.6)."""
    here, what = later.world(), later.portfolio()
    row = later.filed(here, what)
    row = later.row_of(decide_join(later.dossier(here, what, row), join(row), LATER))
    waiting = replace(row, state=State.SUPPLEMENT_REQUESTED, supplement_until=c.NOW + dt.timedelta(days=5))
    decision = decide_decline(
        later.dossier(here, what, waiting), later.act(Decline, waiting), c.moment(10, LATER.now)
    )
    after = later.row_of(decision)
    assert after.state is State.ACCEPTED
    assert [f.code for f in decision.outcome.findings] == ["R-DISPUTE"]
    assert not [e for e in decision.effects if isinstance(e, (RightBooked, PapersFreed))]


def test_dispute_keeps_a_rule_from_booking() -> None:
    """A case that could be booked by rule goes to a person while a party objects."""
    here = later.world(c.unit_state(c.mortgage_row()))
    what = c.submission(c.mortgage_release(), c.release_papers(), applicant=c.OTHER_BANK)
    row = later.filed(here, what)
    row = replace(row, institutions=(*row.institutions, later.FUND_USCC))
    row = later.row_of(decide_decline(later.dossier(here, what, row), later.act(Decline, row), LATER))
    act = later.act(Join, row, by=c.BANK, parties=(c.BANK,))
    decision = decide_join(later.dossier(here, what, row), act, LATER)
    assert later.row_of(decision).state is State.ACCEPTED
    assert "R-DISPUTE" in {f.code for f in decision.outcome.findings}


def test_the_filing_institution_cannot_decline_its_own_case() -> None:
    """It withdraws instead."""
    here, what = later.world(), later.portfolio()
    row = later.filed(here, what)
    with pytest.raises(NotPermitted):
        decide_decline(later.dossier(here, what, row), later.act(Decline, row, by=c.BANK), LATER)


def test_old_mortgagee_of_a_combined_transfer_joins_its_release_with_a_release_key() -> None:
    """Golden 27 turned right: co-applicant of the release; a RELEASE key is enough, a CONSENT key is not."""
    here, what = deals.world(), deals.submission(joined=False)
    row = later.filed(here, what)
    assert (row.state, row.awaiting) == (State.AWAITING_PARTIES, (deals.A.id_number,))
    act = later.act(Join, row, by=deals.A, parties=(deals.A,), roles=(KeyRole.RELEASE,))
    decision = decide_join(later.dossier(here, what, row), act, LATER)
    assert decision.outcome.result is Result.ACCEPTED
    assert later.row_of(decision).bound_institutions == (deals.A.id_number,)
    with pytest.raises(KeyWithoutRole):
        decide_join(later.dossier(here, what, row), replace(act, roles=(KeyRole.CONSENT,)), LATER)
