"""Odd parties: what must happen to wards, guardians, agents, branches and papers that are for somebody else.

A table of cases that the handbook does not tell, made from its articles. Each line says what is filed and what must
come of it. They are the combined case of tests/support/deals.py: SELLER's flat, mortgaged to A, goes to BUYER, who
mortgages it to B.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import pytest
from msgspec.structs import replace

from gateway.applications.submit import Submission
from gateway.cases.model import Paper, Result, State, World
from gateway.cases.stated import Declaration, DeclarationKind, StatedParty
from gateway.cases.terms import IdentityCheck, PowerForm, PowerOfAttorney
from gateway.register.findings import Severity
from gateway.register.model import Capacity, CertificateRef, IdKind, Owner, Party, PreNotice, PreNoticeKind
from tests.support import cases as c
from tests.support import deals as d

S, Y, A, B = d.SELLER, d.BUYER, d.A, d.B
AGENT = Party(name="代理人", id_kind=IdKind.RESIDENT_ID, id_number="999999198505050017")
SECOND_AGENT = Party(name="转委托人", id_kind=IdKind.RESIDENT_ID, id_number="999999198505050025")
GUARDIAN = Party(name="监护人", id_kind=IdKind.RESIDENT_ID, id_number="999999198001010016")

#: A resident of eleven years, one who comes of age on the day of filing, and one who does so the day after.
CHILD = Party(name="王小", id_kind=IdKind.RESIDENT_ID, id_number="99999920150307123X")
OF_AGE_TODAY = replace(CHILD, id_number="999999200811200016")
OF_AGE_TOMORROW = replace(CHILD, id_number="999999200811210011")

#: Holders of passports, who state their birth.
FOREIGN_CHILD = Party(
    name="Kim", id_kind=IdKind.PASSPORT, id_number="E1", country="KR", birth_date=dt.date(2015, 3, 7)
)
FOREIGNER = replace(FOREIGN_CHILD, birth_date=dt.date(1980, 3, 7))

#: B's mortgage is signed by its branch; `known` says whether the registry has it as one.
BRANCH = Party(name="另一银行城西支行", id_kind=IdKind.USCC, id_number="913202810000BK2K5H")


def ward(person: Party, guardian: Party | None = GUARDIAN) -> Party:
    """The person with their guardian named in the terms."""
    return replace(person, guardian=guardian)


def power(principal: Party, agent: Party = AGENT, **changes: Any) -> PowerOfAttorney:
    """A notary wrote down that the agent sells, buys and mortgages the flat for the principal."""
    value = PowerOfAttorney(
        principal=principal,
        agent=agent,
        acts=("OWNERSHIP_TRANSFER", "MORTGAGE_FIRST", "MORTGAGE_RELEASE"),
        unit_codes=(c.UNIT,),
        form=PowerForm.NOTARISED,
        notary="示例公证处",
        deed_no="(2026)澄证民内字第1号",
    )
    return replace(value, **changes)


def stated(*parties: Party, **acting: str) -> tuple[StatedParty, ...]:
    """The parties under the ids p0, p1 and so on; `acting` the branch of some."""
    return tuple(
        StatedParty(id=f"p{n}", person=p, acting_institution=acting.get(f"p{n}", ""))
        for n, p in enumerate(parties)
    )


def deal(
    *,
    seller: Party = S,
    buyer: Party = Y,
    hands: dict[Party, Party] | None = None,
    change: Callable[[dict[str, Paper]], object] = lambda papers: None,
    **terms: Any,
) -> c.Submission:
    """The combined case of these two. `hands` says who signs in whose place; `change` alters the papers."""
    signer = hands or {}
    steps = (
        d.transfer(sellers=(seller,), buyers=(Owner(person=buyer),), applicants=(seller, buyer)),
        d.release(applicants=(A, seller)),
        d.new_mortgage(mortgagors=(buyer,), debtors=(buyer,), applicants=(buyer, B)),
    )
    numbers = {S.id_number: signer.get(seller, seller), Y.id_number: signer.get(buyer, buyer)}
    filed = {**d.papers(), "APPLICATION": d.all_joined()}
    for code, paper in filed.items():
        changed = tuple(
            replace(s, number=numbers[s.number].id_number) if s.number in numbers else s
            for s in paper.signatures
        )
        filed[code] = replace(paper, signatures=changed)
    if "powers_of_attorney" in terms:
        filed["AUTHORISATION"] = c.paper("AUTHORISATION")
    change(filed)
    return d.submission(steps, filed, joined=False, **terms)


def about(code: str, *ids: str, operations: tuple[int, ...] = ()) -> Callable[[dict[str, Paper]], object]:
    """The paper says for whom, or for which steps, it was brought."""

    def change(papers: dict[str, Paper]) -> None:
        reference = replace(papers[code].reference, parties=ids, operations=operations)
        papers[code] = replace(papers[code], reference=reference)

    return change


def signed_by(code: str, *people: Party) -> Callable[[dict[str, Paper]], object]:
    """The paper has these signatures and no other."""

    def change(papers: dict[str, Paper]) -> None:
        papers[code] = replace(c.paper(code, *people), terms_sha256=papers[code].terms_sha256)

    return change


def with_benefit(papers: dict[str, Paper]) -> None:
    """The guardian's paper, and the guardian's hand on the form."""
    papers["GUARDIAN"] = c.paper("GUARDIAN", GUARDIAN)


#: An adult of record with full capacity, a ward by the terms.
FRAIL = replace(ward(S), capacity=Capacity.LIMITED)


class Odd(NamedTuple):
    """One case: what is filed, what must come of it, and what must be said (rule or code, and words of the English)."""

    name: str
    filed: Callable[[], c.Submission]
    result: Result
    says: tuple[tuple[str, str], ...] = ()
    owner: Party = S


ACCEPTED, AWAITS, REFUSED = Result.ACCEPTED, Result.AWAITING_PARTIES, Result.NOT_ACCEPTED
CHECK = IdentityCheck(
    person_id_number=Y.id_number,
    method="FACE_MATCH",
    provider="核验平台",
    passed=True,
    checked_at=c.NOW,
    evidence_sha256="ab" * 32,
)

CASES: Final = (
    # -- wards and guardians (CC 17-23, 34-35; RD 11) --
    Odd(
        "a child buys and mortgages, its guardian signs everything and states the benefit: a person decides",
        lambda: deal(buyer=ward(CHILD), hands={ward(CHILD): GUARDIAN}, change=with_benefit),
        ACCEPTED,
        (("FULL_CAPACITY", "a minor or a ward"), ("WARD_OWNER", "minor or a ward")),
    ),
    Odd(
        "a child buys and mortgages what it buys, and nobody states that it is for its benefit",
        lambda: deal(buyer=ward(CHILD), hands={ward(CHILD): GUARDIAN}),
        REFUSED,
        (("R-GUARDIAN", ""),),
    ),
    Odd(
        "somebody else than the guardian of record acts for the child whose flat is sold",
        lambda: deal(seller=ward(CHILD, AGENT), hands={ward(CHILD, AGENT): AGENT}, change=with_benefit),
        REFUSED,
        (("R-GUARDIAN", ""),),
        owner=ward(CHILD),
    ),
    Odd(
        "somebody else than the guardian of record acts for the child, and states the benefit too",
        lambda: deal(
            seller=ward(CHILD, AGENT),
            hands={ward(CHILD, AGENT): AGENT},
            change=lambda papers: papers.update(GUARDIAN=c.paper("GUARDIAN", AGENT)),
        ),
        REFUSED,
        (("R-GUARDIAN", ""),),
        owner=ward(CHILD),
    ),
    Odd(
        "a child buys and signs itself: its guardian is awaited",
        lambda: deal(buyer=ward(CHILD), change=with_benefit),
        AWAITS,
        (("N-NOT_APPLICANT", f"{GUARDIAN.name}, guardian of"),),
    ),
    Odd(
        "a child buys and no guardian is named: nobody can apply for it",
        lambda: deal(buyer=CHILD),
        REFUSED,
        (("R-GUARDIAN", "name the guardian"),),
    ),
    Odd(
        "a child gives a notarised power to an agent: only its guardian can act",
        lambda: deal(buyer=ward(CHILD), hands={ward(CHILD): AGENT}, powers_of_attorney=(power(ward(CHILD)),)),
        REFUSED,
        (("N-NOT_APPLICANT", "guardian of"),),
    ),
    Odd(
        "one who is eighteen today buys alone",
        lambda: deal(buyer=OF_AGE_TODAY),
        ACCEPTED,
    ),
    Odd(
        "one who is eighteen tomorrow does not",
        lambda: deal(buyer=ward(OF_AGE_TOMORROW), change=with_benefit),
        AWAITS,
        (("N-NOT_APPLICANT", "guardian of"),),
    ),
    Odd(
        "a foreign child, whose passport tells no age, is a child by the birth that is stated",
        lambda: deal(buyer=ward(FOREIGN_CHILD), change=with_benefit),
        AWAITS,
        (("N-NOT_APPLICANT", "guardian of"),),
    ),
    Odd(
        "a foreign adult's stated birth is no proof: a person decides",
        lambda: deal(buyer=FOREIGNER),
        ACCEPTED,
        (("AGE_KNOWN", "does not tell the age"),),
    ),
    Odd(
        "a ward by judgment is one at forty",
        lambda: deal(buyer=replace(ward(Y), capacity=Capacity.NONE), change=with_benefit),
        AWAITS,
        (("N-NOT_APPLICANT", "guardian of"),),
    ),
    Odd(
        "a child's flat is sold, the guardian signs and states no benefit",
        lambda: deal(seller=ward(CHILD), hands={ward(CHILD): GUARDIAN}),
        REFUSED,
        (("R-GUARDIAN", ""),),
        owner=ward(CHILD),
    ),
    Odd(
        "a child's flat is sold for its benefit, in writing",
        lambda: deal(seller=ward(CHILD), hands={ward(CHILD): GUARDIAN}, change=with_benefit),
        ACCEPTED,
        (("WARD_OWNER", "minor or a ward"),),
        owner=ward(CHILD),
    ),
    Odd(
        "the owner has lost capacity since the booking, and the guardian says nothing of the benefit (CC 24, 35)",
        lambda: deal(seller=FRAIL, hands={FRAIL: GUARDIAN}),
        REFUSED,
        (("R-GUARDIAN", ""),),
    ),
    Odd(
        "the owner has lost capacity since the booking, and it is for the ward's benefit, in writing",
        lambda: deal(seller=FRAIL, hands={FRAIL: GUARDIAN}, change=with_benefit),
        ACCEPTED,
        (("WARD_OWNER", "who holds the right on unit"),),
    ),
    Odd(
        "the owner has lost capacity since the booking and signs: the guardian is awaited",
        lambda: deal(seller=FRAIL, change=with_benefit),
        AWAITS,
        (("N-NOT_APPLICANT", f"{GUARDIAN.name}, guardian of"),),
    ),
    Odd(
        "the register has the owner incapable, and the terms have not: the register's word is the stricter",
        lambda: deal(),
        REFUSED,
        (("R-GUARDIAN", ""),),
        owner=FRAIL,
    ),
    Odd(
        "no guardian of the child is on record: whom the terms name stands for it, and proves to be one",
        lambda: deal(seller=ward(CHILD), hands={ward(CHILD): GUARDIAN}, change=with_benefit),
        ACCEPTED,
        (("WARD_OWNER", "who holds the right on unit"),),
        owner=CHILD,
    ),
    Odd(
        "no guardian of the child is on record, and whom the terms name proves nothing",
        lambda: deal(seller=ward(CHILD), hands={ward(CHILD): GUARDIAN}),
        REFUSED,
        (("R-GUARDIAN", ""),),
        owner=CHILD,
    ),
    Odd(
        "no guardian of the child is on record or in the terms",
        lambda: deal(seller=CHILD, change=with_benefit),
        REFUSED,
        (("R-GUARDIAN", "name the guardian"),),
        owner=CHILD,
    ),
    Odd(
        "the benefit is declared by the child instead of by the guardian",
        lambda: deal(
            seller=ward(CHILD),
            hands={ward(CHILD): GUARDIAN},
            change=signed_by_child,
            declarations=(Declaration(party=CHILD, kind=DeclarationKind.WARD_BENEFIT),),
        ),
        REFUSED,
        (("R-GUARDIAN", ""),),
        owner=ward(CHILD),
    ),
    Odd(
        "the capacity of a party is not stated: a person decides",
        lambda: deal(parties=(StatedParty(id="y", person=Y, has_capacity_stated=False),)),
        ACCEPTED,
        (("FULL_CAPACITY", "is not stated"),),
    ),
    # -- agents (IR 16(2); RD 12(3); CC 144, 165-173) --
    Odd(
        "one attorney for seller and buyer: a person sees whether both agreed (CC 168)",
        lambda: deal(hands={S: AGENT, Y: AGENT}, powers_of_attorney=(power(S), power(Y))),
        ACCEPTED,
        (("NO_AGENT", "both principals must agree"),),
    ),
    Odd(
        "the seller's attorney is the buyer",
        lambda: deal(hands={S: Y}, powers_of_attorney=(power(S, Y),), parties=stated(S, Y, A, B)),
        ACCEPTED,
        (("NO_AGENT", "both principals must agree"),),
    ),
    Odd(
        "an attorney of one side only is looked at, and no more is said",
        lambda: deal(hands={S: AGENT}, powers_of_attorney=(power(S),)),
        ACCEPTED,
        (("NO_AGENT", "acts for"),),
    ),
    Odd(
        "the buyer's attorney may buy and may not mortgage",
        lambda: deal(hands={Y: AGENT}, powers_of_attorney=(power(Y, acts=("OWNERSHIP_TRANSFER",)),)),
        REFUSED,
        (("N-AUTHORISATION", "does not cover MORTGAGE_FIRST"),),
    ),
    Odd(
        "the seller applies in person and leaves the contract to an agent who may only release",
        lambda: deal(
            change=signed_by("SALE_CONTRACT", AGENT, Y),
            powers_of_attorney=(power(S, acts=("MORTGAGE_RELEASE",)),),
        ),
        REFUSED,
        (("N-AUTHORISATION", "does not cover OWNERSHIP_TRANSFER"),),
    ),
    Odd(
        "the attorney hands his power on: whom he chose signs for nobody (CC 169)",
        lambda: deal(hands={S: SECOND_AGENT}, powers_of_attorney=(power(S), power(AGENT, SECOND_AGENT))),
        REFUSED,
        (("C-SIGNATURE", S.name),),
    ),
    Odd(
        "the attorney is a child",
        lambda: deal(hands={S: CHILD}, powers_of_attorney=(power(S, CHILD),)),
        REFUSED,
        (("N-AUTHORISATION", "the agent is a minor"),),
    ),
    Odd(
        "certified abroad, by nobody who is named",
        lambda: deal(
            hands={S: AGENT}, powers_of_attorney=(power(S, form=PowerForm.CERTIFIED_ABROAD, notary=""),)
        ),
        REFUSED,
        (("N-AUTHORISATION", "who notarised or certified it"),),
    ),
    Odd(
        "the power that lies there is another principal's",
        lambda: deal(
            hands={S: AGENT},
            powers_of_attorney=(power(S),),
            parties=stated(S, Y, A, B),
            change=about("AUTHORISATION", "p1"),
        ),
        REFUSED,
        (("N-AUTHORISATION", "is missing"),),
    ),
    # -- papers that are for somebody else, or for another step (IR 16, 18) --
    Odd(
        "the record of questions is the seller's: the buyer's hand on it answers nothing",
        lambda: deal(parties=stated(S, Y, A, B), change=about("INQUIRY_RECORD", "p0")),
        AWAITS,
        (("C-SIGNATURE", Y.name),),
    ),
    Odd(
        "the sale contract is said to be the buyer's alone",
        lambda: deal(parties=stated(S, Y, A, B), change=about("SALE_CONTRACT", "p1")),
        REFUSED,
        (("C-SIGNATURE", S.name),),
    ),
    Odd(
        "the seller was looked in the face, the buyer was not",
        lambda: deal(parties=stated(S, Y, A, B), change=about("REMOTE_IDENTITY", "p0")),
        REFUSED,
        (("N-INCOMPLETE", f"remote identity evidence of {Y.name}"),),
    ),
    Odd(
        "the form was signed for the sale, not for the mortgage",
        lambda: deal(change=about("APPLICATION", operations=(0, 1))),
        REFUSED,
        (("N-INCOMPLETE", "application form is missing"),),
    ),
    Odd(
        "another file was brought as the evidence of the check than the check names",
        lambda: deal(
            parties=stated(S, Y, A, B), change=about("REMOTE_IDENTITY", "p0", "p1"), identity_checks=(CHECK,)
        ),
        REFUSED,
        (("C-MISMATCH", "evidence digest"),),
    ),
    Odd(
        "the check of one party failed: a person looks at the whole case",
        lambda: deal(identity_checks=(replace(CHECK, passed=False),)),
        ACCEPTED,
        (("IDENTITY_CHECKED", "failed"),),
    ),
    # -- branches (handbook 1.3) --
    Odd(
        "a branch that the registry does not know as the bank's acts for it",
        lambda: deal(parties=stated(S, Y, A, B, p2=B.id_number)),
        REFUSED,
        (("N-AUTHORISATION", f"no branch of {A.name}"),),
    ),
)


def signed_by_child(papers: dict[str, Paper]) -> None:
    """The paper on the ward's benefit, signed by the child."""
    papers["GUARDIAN"] = c.paper("GUARDIAN", CHILD)


@pytest.mark.parametrize("odd", CASES, ids=[odd.name for odd in CASES])
def test_odd_party(odd: Odd) -> None:
    """The result, and what must be said on the way to it."""
    here = d.world(c.unit_state(c.mortgage_row(), owners=(odd.owner,)))
    decision = c.decide(here, odd.filed())
    found = decision.outcome.findings
    told = [(f.code, f.rule, f.en) for f in found if f.severity is not Severity.WARNS]
    assert decision.outcome.result is odd.result, told
    for rule, words in odd.says:
        assert [en for code, name, en in told if rule in (code, name) and words in en], (rule, words, told)


def test_agent_of_one_side_is_not_said_to_act_for_both() -> None:
    """CC 168 is told only where it is so."""
    decision = c.decide(d.world(), deal(hands={S: AGENT}, powers_of_attorney=(power(S),)))
    assert not [f for f in decision.outcome.findings if "168" in f.article]


# -- a branch that is one ------------------------------------------------------------------------------------------


def test_branch_of_record_applies_for_its_head_office() -> None:
    """B's branch files for B: its envelope is B's word, and the case is B's branch's to see."""
    branch = replace(c.institution(BRANCH), head_office=B.id_number, permitted_modes=("ET_COMBINED",))
    here = d.world()
    known = replace(here, institutions={**here.institutions, BRANCH.id_number: branch})
    steps = d.steps()
    what = d.submission(steps, applicant=BRANCH, parties=stated(S, Y, A, B, p3=BRANCH.id_number))
    decision = c.decide(known, what)
    assert decision.outcome.result is ACCEPTED, decision.outcome.findings
    assert BRANCH.id_number in d.row_of(decision).institutions
    without = c.decide(known, d.submission(steps, applicant=BRANCH, parties=stated(S, Y, A, B)))
    assert [a.name for a in without.outcome.awaiting] == [B.name]


def sealed_by_branch(*, head_office: str, revoked: bool = False) -> tuple[World, Submission]:
    """B applies itself; its branch acts for it and has sealed every contract with its own code."""
    branch = replace(c.institution(BRANCH), head_office=head_office, permitted_modes=("ET_COMBINED",))
    here = d.world()
    known = replace(here, institutions={**here.institutions, BRANCH.id_number: branch})
    filed = {
        code: replace(
            paper,
            signatures=tuple(
                replace(s, number=BRANCH.id_number, revoked=revoked) if s.number == B.id_number else s
                for s in paper.signatures
            ),
        )
        for code, paper in d.papers().items()
    }
    filed["PAYOFF_UNDERTAKING"] = c.paper("PAYOFF_UNDERTAKING", A, BRANCH)
    parties = stated(S, Y, A, B, p3=BRANCH.id_number)
    return known, d.submission(filed=filed, parties=parties)


def test_branch_of_record_seals_for_its_head_office() -> None:
    """Handbook 1.3: whose envelope is B's word, its seal is too; and the undertaking that it sealed opens the gate."""
    here, what = sealed_by_branch(head_office=B.id_number)
    decision = c.decide(here, what)
    assert decision.outcome.result is ACCEPTED, decision.outcome.findings
    done = d.approved(here, what, d.row_of(decision))
    assert done.outcome.state is State.BOOKED, done.outcome.findings


@pytest.mark.parametrize(("head_office", "revoked"), [(A.id_number, False), ("", False), (B.id_number, True)])
def test_seal_of_somebody_else_binds_no_bank(head_office: str, revoked: bool) -> None:
    """Another bank's branch, no branch at all, or a certificate that was revoked."""
    decision = c.decide(*sealed_by_branch(head_office=head_office, revoked=revoked))
    assert {f.file for f in decision.outcome.findings if f.code == "C-SIGNATURE"} >= {
        "PRINCIPAL_CONTRACT",
        "MORTGAGE_CONTRACT",
    }


# -- a consent by an agent -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("acts", "heard"), [(("MORTGAGE_FIRST",), True), (("MORTGAGE_RELEASE",), False)])
def test_consent_by_an_agent_is_one_if_his_power_is_for_it(acts: tuple[str, ...], heard: bool) -> None:
    """CC 221: the holder of a sale pre-notice consents to a mortgage by an agent, who may do that or may not."""
    notice = PreNotice(
        right_id="0.9",
        units=(c.UNIT,),
        case_number="",
        booked_at=c.NOW,
        booked_by="导入",
        kind=PreNoticeKind.OTHER_SALE,
        holders=(Y,),
        obligors=(c.OWNER,),
        amount_fen=1,
        proof=CertificateRef(number="苏(2026)江阴市不动产证明第0000099号"),
    )
    papers = c.mortgage_papers() | {
        "PRE_NOTICE_HOLDER_CONSENT": c.paper("PRE_NOTICE_HOLDER_CONSENT", AGENT),
        "AUTHORISATION": c.paper("AUTHORISATION"),
    }
    what = c.submission(
        c.mortgage_first(applicants=(c.OWNER, c.BANK)), papers, powers_of_attorney=(power(Y, acts=acts),)
    )
    decision = c.decide(c.world(c.unit_state(notice)), what)
    assert ("R-PRE_NOTICE" in {f.rule for f in decision.outcome.findings}) is not heard


# -- whom a finding names ------------------------------------------------------------------------------------------


def test_private_lender_is_named_and_its_number_is_told_to_nobody() -> None:
    """A person who lends is no institution of the registry: said by name, for findings go to every party (PIPL 6)."""
    what = c.submission(c.mortgage_first(mortgagees=(Y,)), c.mortgage_papers(bank=Y))
    told = [f.zh + f.en for f in c.decide(c.world(c.unit_state()), what).outcome.findings]
    assert [text for text in told if f"mortgagee {Y.name} is not registered" in text]
    assert not [text for text in told if Y.id_number in text]
