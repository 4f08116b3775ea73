"""Odd acts of parties: who joins or consents to a part, speaks for another, or confirms one payoff of two.

What an act names is what it covers, and what it does not name it leaves open (acts.proto; IR 14, 15).
"""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from gateway.applications.accepting import case_of
from gateway.applications.party import (
    Consent,
    Decline,
    Join,
    Revoke,
    decide_consent,
    decide_decline,
    decide_join,
    decide_revoke,
)
from gateway.applications.submit import Submission
from gateway.applications.withdrawal import Withdrawal, decide_withdrawal
from gateway.cases.errors import NotPermitted
from gateway.cases.model import Application, ConsentGiven, ConsentKind, PartlyJoined, Result, State
from gateway.cases.stated import StatedParty
from gateway.kinds.gating import closed_gates
from gateway.register.authority import KeyRole
from gateway.register.model import CertificateRef, Party
from tests.support import cases as c
from tests.support import deals as d
from tests.support import later

LATER = c.moment(9)
A, B, FUND = d.A, d.B, d.FUND
SECOND_PROOF = "苏(2022)江阴市不动产证明第0000043号"


def of_one_bank() -> tuple[Submission, Application]:
    """A is the old bank and the new one, and the fund centre's desk has filed: A's release and A's mortgage await A."""
    steps = (d.transfer(), d.release(), d.new_mortgage(mortgagees=(A,), applicants=(d.BUYER, A)))
    what = d.submission(steps, d.papers(new=(A,)), joined=False, applicant=FUND)
    row = later.filed(d.world(), what)
    assert (row.state, row.awaiting) == (State.AWAITING_PARTIES, (A.id_number,))
    return what, row


def consented_to(*steps: int) -> tuple[Submission, Application]:
    """The usual deal, in which the fund centre is to consent to these steps."""
    operations = tuple(
        replace(op, consenters=(FUND,)) if n in steps else op for n, op in enumerate(d.steps())
    )
    what = d.submission(operations)
    return what, later.filed(d.world(), what)


def joined(what: Submission, row: Application, *operations: int, role: KeyRole) -> Application:
    """A joins these steps with a key of one role."""
    act = later.act(Join, row, by=A, parties=(A,), operations=operations, roles=(role,))
    return later.row_of(decide_join(later.dossier(d.world(), what, row), act, LATER))


def said(what: Submission, row: Application, *operations: int) -> Application:
    """The fund centre consents to these steps."""
    act = later.act(Consent, row, by=FUND, kind=ConsentKind.TO_TERMS, operations=operations)
    return later.row_of(decide_consent(later.dossier(d.world(), what, row), act, LATER))


# -- joining a part ------------------------------------------------------------------------------------------------


def test_bank_that_joins_its_release_is_still_awaited_for_its_mortgage() -> None:
    """Two desks of one bank, each with its key: bound to what each has joined, accepted with the second."""
    what, row = of_one_bank()
    row = joined(what, row, 1, role=KeyRole.RELEASE)
    assert (row.state, row.awaiting, row.bound_institutions) == (
        State.AWAITING_PARTIES,
        (A.id_number,),
        (),
    )
    assert row.partly_joined == (PartlyJoined(institution=A.id_number, operations=(1,)),)
    row = joined(what, row, 2, role=KeyRole.SUBMIT)
    assert (row.state, row.bound_institutions, row.partly_joined) == (
        State.ACCEPTED,
        (A.id_number,),
        (),
    )


def test_bank_that_has_joined_a_part_is_one_of_those_who_withdraw() -> None:
    """IR 15: by all who applied, in part or in full; the one who filed cannot do it for the other."""
    what, row = of_one_bank()
    row = joined(what, row, 1, role=KeyRole.RELEASE)
    paper = c.paper("WITHDRAWAL", d.SELLER, d.BUYER)
    own = later.act(Withdrawal, row, paper, by=FUND, parties=(d.SELLER, d.BUYER))
    decision = decide_withdrawal(later.dossier(d.world(), what, row, paper), own, LATER)
    assert later.row_of(decision).state is State.AWAITING_PARTIES
    assert A.name in " ".join(f.en for f in decision.outcome.findings)
    with_a = later.act(Withdrawal, later.row_of(decision), paper, by=A, parties=(A, d.SELLER, d.BUYER))
    ended = decide_withdrawal(later.dossier(d.world(), what, later.row_of(decision), paper), with_a, LATER)
    assert later.row_of(ended).state is State.WITHDRAWN


def test_step_that_is_not_ones_own_is_not_joined() -> None:
    """A is no applicant of the sale."""
    what, row = of_one_bank()
    with pytest.raises(NotPermitted):
        joined(what, row, 0, role=KeyRole.SUBMIT)


# -- consenting to a part ------------------------------------------------------------------------------------------


def test_consent_covers_the_steps_that_it_names() -> None:
    """Asked for the sale and the new mortgage, given for the sale: the mortgage is still awaited."""
    what, row = consented_to(0, 2)
    assert row.awaiting == (FUND.id_number,)
    row = said(what, row, 0)
    assert (row.state, row.awaiting) == (State.AWAITING_PARTIES, (FUND.id_number,))
    assert said(what, row, 2).state is State.ACCEPTED


def test_consent_that_names_nothing_covers_everything() -> None:
    """As acts.proto has it."""
    what, row = consented_to(0, 2)
    assert said(what, row).state is State.ACCEPTED


def test_one_of_two_consents_is_taken_back_and_the_other_stands() -> None:
    """A revocation names one consent: what the other covers stays covered."""
    what, row = consented_to(0, 2)
    first = later.act(
        Consent, row, by=FUND, kind=ConsentKind.TO_TERMS, operations=(0,), payload_sha256="88" * 32
    )
    row = later.row_of(decide_consent(later.dossier(d.world(), what, row), first, LATER))
    row = said(what, row, 2)
    assert row.state is State.ACCEPTED
    back = later.act(Revoke, row, by=FUND, consent_sha256="88" * 32)
    decision = decide_revoke(later.dossier(d.world(), what, row), back, LATER)
    assert [f.field for f in decision.outcome.findings if f.code == "N-INCOMPLETE"] == [
        "terms.operations[0].consenters"
    ]


def test_consent_to_a_step_that_nobody_asked_one_about_is_not_ones_to_give() -> None:
    """The fund centre holds nothing on the flat and is asked about the sale alone."""
    what, row = consented_to(0)
    with pytest.raises(NotPermitted):
        said(what, row, 2)


# -- speaking for others -------------------------------------------------------------------------------------------


def test_bank_never_joins_for_its_customer() -> None:
    """Handbook 1.3: a person applies by the signed form; a bank's envelope is the bank's word alone."""
    what, row = of_one_bank()
    act = later.act(Join, row, by=A, parties=(A, d.BUYER))
    with pytest.raises(NotPermitted):
        decide_join(later.dossier(d.world(), what, row), act, LATER)


def test_bank_never_consents_for_its_customer() -> None:
    """Nor by a ConsentAct: the customer's consent is a paper that the customer signed."""
    what, row = consented_to(0)
    act = later.act(Consent, row, by=FUND, kind=ConsentKind.TO_TERMS, parties=(d.SELLER,))
    with pytest.raises(NotPermitted):
        decide_consent(later.dossier(d.world(), what, row), act, LATER)


def test_bank_may_bring_its_customers_no() -> None:
    """It binds nobody, ends nothing and tells a person to look."""
    what, row = of_one_bank()
    act = later.act(Decline, row, by=A, parties=(d.BUYER,))
    decision = decide_decline(later.dossier(d.world(), what, row), act, LATER)
    assert later.row_of(decision).state is State.AWAITING_PARTIES
    assert [x.institution for x in later.row_of(decision).disputes] == [A.id_number]


def test_branch_joins_for_its_head_office_and_another_branch_does_not() -> None:
    """The terms name the branch, the registry knows it: its envelope is A's word; a stranger's is not."""
    branch = Party(name="示例银行城西支行", id_kind=A.id_kind, id_number="913202810000BK2K5H")
    here = d.world()
    known = replace(c.institution(branch), head_office=A.id_number)
    here = replace(here, institutions={**here.institutions, branch.id_number: known})
    parties = (StatedParty(id="old", person=A, acting_institution=branch.id_number),)
    what = d.submission(joined=False, parties=parties)
    row = later.filed(here, what)
    assert row.awaiting == (branch.id_number,)
    act = later.act(Join, row, by=branch, parties=(A,))
    decision = decide_join(later.dossier(here, what, row), act, LATER)
    assert decision.outcome.result is Result.ACCEPTED
    for head_office in ("", B.id_number):
        other = replace(known, head_office=head_office)
        elsewhere = replace(here, institutions={**here.institutions, branch.id_number: other})
        with pytest.raises(NotPermitted):
            decide_join(later.dossier(elsewhere, what, row), act, LATER)


# -- one payoff of two ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("about", "waits"), [((), ()), ((1,), (2,)), ((2,), (1,)), ((1, 2), ())])
def test_payoff_is_confirmed_for_the_releases_that_are_named(
    about: tuple[int, ...], waits: tuple[int, ...]
) -> None:
    """A holds two mortgages on the flat: one paid off is one released, the other gate stays closed."""
    second = d.release(proof=CertificateRef(number=SECOND_PROOF))
    what = d.submission((d.transfer(), d.release(), second, d.new_mortgage()))
    here = d.world(
        c.unit_state(
            c.mortgage_row(), c.mortgage_row(right_id="0.3", proof=CertificateRef(number=SECOND_PROOF))
        )
    )
    given = ConsentGiven(
        institution=A.id_number,
        kind=ConsentKind.PAYOFF_CONFIRMED,
        payload_sha256="66" * 32,
        index=8,
        at=c.NOW,
        operations=about,
    )
    row = replace(later.filed(here, what), consents=(given,))
    case = case_of(here, row, what.manifest, what.papers, c.NOW)
    closed = [f.field for f in closed_gates(case, row, here.units) if f.code == "S-PAYOFF"]
    assert closed == [f"terms.operations[{n}]" for n in waits]
