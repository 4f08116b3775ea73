"""Every row of the table of papers: taken away it is asked for, and each of its signers too (documents.csv; IR 16-18).

A row is either a paper that some case asks for (`ASKED`), or a fact that the register, the terms or a gate hold in its
stead (`INSTEAD`), or not asked for, with the reason (`NOT_ASKED`). No row is left out.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.cases.model import Result, State
from gateway.cases.terms import (
    ChangeItem,
    MortgageChange,
    PowerForm,
    PowerOfAttorney,
    ReleaseGround,
    TaxKind,
    TransferGround,
)
from gateway.register.findings import Finding, Severity
from gateway.register.model import (
    CertificateRef,
    MortgageKind,
    MortgagorRelation,
    Party,
    TransferRestriction,
)
from tests.support import blocked as b
from tests.support import blocked_states as s
from tests.support import cases as c
from tests.support import deals as d
from tests.support.blocked import OTHER_BANK, A, B, S, Scene, Y

TABLE = Path(__file__).parents[2] / "vectors/domain/documents.csv"
with TABLE.open(encoding="utf-8", newline="") as _lines:
    ROWS = {(row["operation"], row["doc_code"]): row for row in csv.DictReader(_lines)}

MAXIMUM = {
    "kind": MortgageKind.MAXIMUM_AMOUNT,
    "claim_amount_fen": None,
    "max_claim_amount_fen": 90_000_000,
}
WRONG = CertificateRef(number="苏(2019)江阴市不动产权第0009999号")


def _scene(operation: str, variant: str = "*") -> Scene:
    return b.scenes_of(operation, variant)[-1]


def _rewritten(old: Any = b.M1, bank: Party = A, **changes: Any) -> MortgageChange:
    """The mortgage of record is rewritten to the buyer."""
    own = {"mortgagors": (Y,), "debtors": (Y,), "mortgagor_relation": MortgagorRelation.DEBTOR}
    content = b.content(old, **{**own, "mortgagees": (bank,), **changes})
    items = (ChangeItem.MORTGAGOR, ChangeItem.DEBTOR)
    return MortgageChange(
        units=old.units, proof=old.proof, items=items, content=content, applicants=(S, Y, bank)
    )


def _deal(mode: str, *steps: Any, rights: tuple[Any, ...] = (b.M1,)) -> Scene:
    return Scene(steps=(d.transfer(), *steps), mode=mode, kind=b.Kind.ENCUMBERED_TRANSFER, rights=rights)


def _new_debtor() -> Scene:
    """A third person's flat secures a debt that another takes over (CC 391)."""
    secured = replace(b.M1, debtors=(b.THIRD,), mortgagor_relation=MortgagorRelation.THIRD_PARTY)
    step = MortgageChange(
        units=secured.units,
        proof=secured.proof,
        items=(ChangeItem.DEBTOR,),
        content=b.content(secured, debtors=(Y,)),
    )
    scene = Scene(steps=(step,), rights=(secured,), bound=(A, B, Y))
    return s.consented(scene, "GUARANTOR_CONSENT", S)


def _restriction_changed() -> Scene:
    step = MortgageChange(
        units=b.M1.units,
        proof=b.M1.proof,
        items=(ChangeItem.TRANSFER_RESTRICTION,),
        content=b.content(b.M1, transfer_restriction=TransferRestriction.RESTRICTED),
    )
    return Scene(steps=(step,), rights=(b.M1,))


def _two_banks() -> Scene:
    move = replace(b.moved(), applicants=(A, B))
    return _deal("ET_CHANGE", move, _rewritten(replace(b.M1, mortgagees=(B,)), B))


def _secured_deal() -> Scene:
    """The seller's debt was secured by a third person's flat too: ET_CHANGE moves the debt to the buyer."""
    secured = replace(b.M1, mortgagors=(b.THIRD,), mortgagor_relation=MortgagorRelation.THIRD_PARTY)
    scene = _deal("ET_CHANGE", _rewritten(secured), rights=(secured,))
    return s.consented(scene, "SECURER_CONSENT", b.THIRD)


def _cured(scene: Scene, rule: str) -> Scene:
    return s.cured(scene, rule)


Maker = Callable[[], Scene]

#: Row → the case that asks for the paper, and who must have signed it.
ASKED: dict[tuple[str, str], tuple[Maker, tuple[Party, ...]]] = {
    ("*", "APPLICATION"): (lambda: _scene("MORTGAGE_FIRST"), (S,)),
    ("*", "INQUIRY_RECORD"): (lambda: _scene("MORTGAGE_FIRST"), (S,)),
    ("*", "REMOTE_IDENTITY"): (lambda: _scene("MORTGAGE_FIRST"), ()),
    ("*", "RISK_STATEMENT"): (
        lambda: s.consented(s.add(_scene("MORTGAGE_FIRST"), s.DISSENT), "RISK_STATEMENT", S, B),
        (S, B),
    ),
    ("*", "GUARDIAN"): (
        lambda: replace(
            _cured(s.STATES["UNDER_AGE_OR_INCAPABLE_OWNER"](_scene("MORTGAGE_FIRST")), "R-GUARDIAN"),
            declared=(),
        ),
        (s.GUARDIAN,),
    ),
    ("*", "PRE_NOTICE_HOLDER_CONSENT"): (
        lambda: _cured(s.STATES["PN_SALE_LIVE"](_scene("MORTGAGE_FIRST")), "R-PRE_NOTICE"),
        (s.TENANT,),
    ),
    ("MORTGAGE_FIRST", "PRINCIPAL_CONTRACT"): (lambda: _scene("MORTGAGE_FIRST"), (S, B)),
    ("MORTGAGE_FIRST", "MORTGAGE_CONTRACT"): (lambda: _scene("MORTGAGE_FIRST"), (S, B)),
    ("MORTGAGE_FIRST", "MAX_AMOUNT_CONTRACT"): (
        lambda: _scene("MORTGAGE_FIRST").with_step(**MAXIMUM),
        (S, B),
    ),
    ("MORTGAGE_FIRST", "EXISTING_CLAIM_CONSENT"): (
        lambda: _scene("MORTGAGE_FIRST").with_step(**MAXIMUM, existing_claim_fen=1_000_000),
        (S, B),
    ),
    ("MORTGAGE_FIRST", "CONSTRUCTION_PERMIT"): (lambda: _scene("CONSTRUCTION_MORTGAGE_FIRST"), ()),
    ("MORTGAGE_FIRST", "RANK_AGREEMENT"): (
        lambda: _cured(s.STATES["ADVERSE_TO_OTHER_MORTGAGEE"](_scene("MORTGAGE_FIRST")), "R-OTHER_MORTGAGEE"),
        (S, B, A),
    ),
    ("MORTGAGE_CHANGE", "CHANGE_AGREEMENT"): (lambda: _scene("MORTGAGE_CHANGE"), (S, A)),
    ("MORTGAGE_CHANGE", "OTHER_MORTGAGEE_CONSENT"): (
        lambda: _cured(s.add(_scene("MORTGAGE_CHANGE", "ADDS_BURDEN"), b.BEHIND), "R-OTHER_MORTGAGEE"),
        (OTHER_BANK,),
    ),
    ("MORTGAGE_CHANGE", "GUARANTOR_CONSENT"): (_new_debtor, (S,)),
    ("MORTGAGE_CHANGE", "RESTRICTION_CHANGE"): (_restriction_changed, (S, A)),
    ("MORTGAGE_TRANSFER", "CLAIM_ASSIGNMENT"): (lambda: _scene("MORTGAGE_TRANSFER"), (A, B)),
    ("MORTGAGE_TRANSFER", "DEBTOR_NOTICE"): (lambda: _scene("MORTGAGE_TRANSFER"), (A,)),
    ("MORTGAGE_TRANSFER", "MAX_AMOUNT_PARTIAL"): (
        lambda: _cured(s.STATES["MAX_AMOUNT_NOT_FIXED"](_scene("MORTGAGE_TRANSFER")), "R-MAX_NOT_FIXED"),
        (A, B, S),
    ),
    ("MORTGAGE_TRANSFER", "MERGER_PROOF"): (
        lambda: _scene("MORTGAGE_TRANSFER").with_step(ground=TransferGround.MERGER, debtor_told_on=None),
        (),
    ),
    ("MORTGAGE_RELEASE", "EXTINCTION"): (lambda: _scene("MORTGAGE_RELEASE"), (A,)),
    ("MORTGAGE_RELEASE", "JUDGMENT"): (
        lambda: _scene("MORTGAGE_RELEASE").with_step(ground=ReleaseGround.JUDGMENT, applicants=(S,)),
        (),
    ),
    ("MORTGAGE_CLAIM_FIXING", "FIXING_FACT"): (lambda: _scene("MORTGAGE_CLAIM_FIXING"), (S, A)),
    ("OWNERSHIP_TRANSFER", "SALE_CONTRACT"): (lambda: _scene("OWNERSHIP_TRANSFER"), (S, Y)),
    ("OWNERSHIP_TRANSFER", "MORTGAGEE_JOINT"): (
        lambda: replace(
            _cured(
                s.STATES["MORTGAGE_PRE_2021"](_deal("ET_SEGMENTED", d.new_mortgage())), "R-PRE_CODE_MORTGAGE"
            ),
            bound=(B,),
        ),
        (A,),
    ),
    ("ENCUMBERED_TRANSFER", "TRIPARTITE"): (lambda: _scene("OWNERSHIP_TRANSFER"), (S, Y, A, B)),
    ("ENCUMBERED_TRANSFER", "BANK_APPROVAL"): (lambda: _scene("OWNERSHIP_TRANSFER"), (A, B)),
    ("ENCUMBERED_TRANSFER", "PAYOFF_STATEMENT"): (lambda: _scene("OWNERSHIP_TRANSFER"), (A,)),
    ("ENCUMBERED_TRANSFER", "SETTLEMENT_UNDERTAKING"): (lambda: _scene("OWNERSHIP_TRANSFER"), (A,)),
    ("ENCUMBERED_TRANSFER", "MORTGAGE_CHANGE_AGREEMENT"): (
        lambda: _deal("ET_THREE_IN_ONE", _rewritten(), d.new_mortgage()),
        (S, Y, A),
    ),
    ("ENCUMBERED_TRANSFER", "MORTGAGE_SETUP_AGREEMENT"): (
        lambda: _deal("ET_SEGMENTED", d.new_mortgage()),
        (Y, B),
    ),
    ("ENCUMBERED_TRANSFER", "ASSIGN_AND_CHANGE_AGREEMENT"): (_two_banks, (S, Y, A, B)),
    ("ENCUMBERED_TRANSFER", "SECURER_CONSENT"): (_secured_deal, (b.THIRD,)),
    ("PRE_NOTICE_CREATE", "PRE_NOTICE_AGREEMENT"): (
        lambda: _scene("PRE_NOTICE_CREATE", "KIND_2").with_step(agreed_in_contract=False),
        (S, Y),
    ),
    ("PRE_NOTICE_CREATE", "SALE_CONTRACT"): (lambda: _scene("PRE_NOTICE_CREATE", "KIND_2"), (S, Y)),
    ("PRE_NOTICE_CREATE", "PRINCIPAL_AND_MORTGAGE_CONTRACT"): (
        lambda: _scene("PRE_NOTICE_CREATE", "KIND_4"),
        (Y, B),
    ),
    ("PRE_NOTICE_CONVERT", "CURRENT_DOCS"): (lambda: _scene("PRE_NOTICE_CONVERT", "SALE"), (S, Y)),
    ("PRE_NOTICE_RELEASE", "EXTINCTION"): (lambda: _scene("PRE_NOTICE_RELEASE"), (Y,)),
}

#: A row of the table → the codes under which the paper comes, where one document may be several of them.
COMES_AS: dict[tuple[str, str], tuple[str, ...]] = {
    ("PRE_NOTICE_CONVERT", "CURRENT_DOCS"): ("SALE_CONTRACT",),
    ("MORTGAGE_CHANGE", "RESTRICTION_CHANGE"): ("RESTRICTION_CHANGE", "CHANGE_AGREEMENT"),
    ("ENCUMBERED_TRANSFER", "MORTGAGE_CHANGE_AGREEMENT"): ("CHANGE_AGREEMENT",),
    ("ENCUMBERED_TRANSFER", "MORTGAGE_SETUP_AGREEMENT"): ("MORTGAGE_CONTRACT",),
}

#: Papers whose lack is told as a condition of the register, by its rule and not by the file.
BY_RULE = {
    ("*", "RISK_STATEMENT"): "C-DISSENT",
    ("*", "GUARDIAN"): "R-GUARDIAN",
    ("*", "PRE_NOTICE_HOLDER_CONSENT"): "R-PRE_NOTICE",
    ("MORTGAGE_CHANGE", "OTHER_MORTGAGEE_CONSENT"): "R-OTHER_MORTGAGEE",
    ("OWNERSHIP_TRANSFER", "MORTGAGEE_JOINT"): "R-PRE_CODE_MORTGAGE",
    ("MORTGAGE_CHANGE", "GUARANTOR_CONSENT"): "R-SECURER",
    ("ENCUMBERED_TRANSFER", "SECURER_CONSENT"): "R-SECURER",
}

#: Rows that no case of this version asks for, each with its reason.
NOT_ASKED = {
    ("*", "IDENTITY"): "the terms carry the number; the authority fetches the rest itself (IR 24; OGS 7)",
    ("*", "RISK_NOTICE"): "where the profile asks for it: test_pre_notice.py",
    ("*", "WITHDRAWAL"): "an act of its own: tests/unit/applications/test_withdrawal.py",
    ("MORTGAGE_FIRST", "COUNTER_GUARANTEE"): "local (Liuyang): no profile of ours asks for it",
    ("MORTGAGE_FIRST", "STATE_ASSET_CONSENT"): "local (Liuyang): no profile of ours asks for it",
    ("ENCUMBERED_TRANSFER", "ESCROW"): "optional; the funds plan names it",
}


def _gated(kind: TaxKind, scene: Scene) -> None:
    """Everything but this tax is cleared: decided, and waiting for it (DT 11; PIT 15)."""
    manifest = scene.manifest()
    kept = tuple(t for t in manifest.terms.tax_clearances if t.kind is not kind)
    what = scene.submission()
    what = replace(what, manifest=replace(what.manifest, terms=replace(manifest.terms, tax_clearances=kept)))
    decision = d.approved(scene.world(), what, d.row_of(c.decide(scene.world(), what)))
    assert decision.outcome.state is State.AWAITING_TAX, decision.outcome.findings
    assert {f.code for f in decision.outcome.findings} == {"S-TAX"}


def _company_sells() -> Scene:
    owner = b.Owner(person=b.DEVELOPER)
    sale = s.recast(d.transfer(), {S: b.DEVELOPER})
    return Scene(
        steps=(
            replace(b.converted_sale(), transfer=replace(sale, applicants=()), applicants=(b.DEVELOPER, Y)),
        ),
        kind=b.Kind.PRE_NOTICE,
        owners=(owner,),
        rights=(replace(b.SALE, obligors=(b.DEVELOPER,)),),
        bound=(A, B, b.DEVELOPER),
    )


def _told(scene: Scene, *expected: tuple[str, str]) -> None:
    found = c.codes(scene.decided())
    assert set(expected) <= found, found


def _payoff_undertaking() -> None:
    """Without it the decided case waits; signed by the new bank and accepted by the old one it opens the gate."""
    scene = _scene("OWNERSHIP_TRANSFER")
    for signers, state in [
        ((), State.AWAITING_PAYOFF),
        ((B,), State.AWAITING_PAYOFF),
        ((A, B), State.BOOKED),
    ]:
        there = s.consented(scene, "PAYOFF_UNDERTAKING", *signers) if signers else scene
        what = there.submission()
        decision = d.approved(there.world(), what, d.row_of(c.decide(there.world(), what)))
        assert decision.outcome.state is state


def _title_cited(operation: str, variant: str = "*") -> None:
    _told(_scene(operation, variant).with_step(titles=(WRONG,)), ("C-MISMATCH", "R-CONFLICT"))


def _proof_cited(operation: str, variant: str = "*") -> None:
    decision = _scene(operation, variant).with_step(proof=WRONG).decided()
    assert decision.outcome.result is Result.NOT_ACCEPTED
    assert "R-CONFLICT" in {f.rule for f in decision.outcome.findings}


def _agent() -> None:
    """S by an agent, on whatever paper: an agent's application is taken at the authority (RD 12(3))."""
    scene = _scene("MORTGAGE_FIRST")
    power = PowerOfAttorney(principal=S, agent=B, acts=("MORTGAGE_FIRST",), form=PowerForm.PLAIN)
    what = scene.submission(without=("APPLICATION",))
    manifest = replace(what.manifest, terms=replace(what.manifest.terms, powers_of_attorney=(power,)))
    decision = c.decide(scene.world(), replace(what, manifest=manifest))
    assert ("N-AUTHORISATION", "") in c.codes(decision)


def _presale_mortgage_rests_on_a_sale() -> None:
    """Kind 3 with no sale pre-notice of the buyer, neither on record nor in the case (RD 78)."""
    scene = _scene("PRE_NOTICE_CREATE", "KIND_3")
    lone = replace(scene, steps=(scene.operation,), step=0)
    found = lone.decided().outcome.findings
    assert any(f.severity is Severity.BLOCKS and "SALE_PRE_NOTICE_PROOF" in f.file for f in found), found
    noted = s.add(lone.with_step(sale_proof=s.PRESALE.proof), s.PRESALE)
    assert noted.decided().outcome.result is not Result.NOT_ACCEPTED


#: Rows for which the register, the terms or a gate hold the fact.
INSTEAD: dict[tuple[str, str], Callable[[], None]] = {
    ("*", "AUTHORISATION"): _agent,
    ("*", "TITLE"): lambda: _title_cited("MORTGAGE_FIRST"),
    ("MORTGAGE_FIRST", "TITLE"): lambda: _title_cited("MORTGAGE_FIRST"),
    ("MORTGAGE_CHANGE", "TITLE"): lambda: _proof_cited("MORTGAGE_CHANGE"),
    ("MORTGAGE_TRANSFER", "TITLE"): lambda: _proof_cited("MORTGAGE_TRANSFER"),
    ("OWNERSHIP_TRANSFER", "TITLE"): lambda: _title_cited("OWNERSHIP_TRANSFER"),
    ("PRE_NOTICE_CREATE", "TITLE"): lambda: _title_cited("PRE_NOTICE_CREATE", "KIND_2"),
    ("MORTGAGE_CHANGE", "PROOF"): lambda: _proof_cited("MORTGAGE_CHANGE"),
    ("MORTGAGE_TRANSFER", "PROOF"): lambda: _proof_cited("MORTGAGE_TRANSFER"),
    ("MORTGAGE_RELEASE", "PROOF"): lambda: _proof_cited("MORTGAGE_RELEASE"),
    ("PRE_NOTICE_CONVERT", "PRE_NOTICE_PROOF"): lambda: _proof_cited("PRE_NOTICE_CONVERT", "SALE"),
    ("PRE_NOTICE_RELEASE", "PROOF"): lambda: _proof_cited("PRE_NOTICE_RELEASE"),
    ("PRE_NOTICE_CREATE", "SALE_PRE_NOTICE_PROOF"): _presale_mortgage_rests_on_a_sale,
    ("PRE_NOTICE_CREATE", "CONSTRUCTION_RELEASE"): lambda: _told(
        s.STATES["CONSTRUCTION_MORTGAGE_LIVE"](_scene("PRE_NOTICE_CREATE", "KIND_1")),
        ("N-INCOMPLETE", "R-CONSTRUCTION"),
    ),
    ("OWNERSHIP_TRANSFER", "NOTICE_TO_MORTGAGEE"): lambda: _told(
        _scene("OWNERSHIP_TRANSFER"), ("W-NOTIFY_MORTGAGEE", "")
    ),
    ("OWNERSHIP_TRANSFER", "TAX_DEED"): lambda: _gated(TaxKind.DEED, _scene("PRE_NOTICE_CONVERT", "SALE")),
    ("OWNERSHIP_TRANSFER", "TAX_INCOME"): lambda: _gated(
        TaxKind.INCOME, _scene("PRE_NOTICE_CONVERT", "SALE")
    ),
    ("OWNERSHIP_TRANSFER", "TAX_LAND_VAT"): lambda: _gated(TaxKind.LAND_VAT, _company_sells()),
    ("PRE_NOTICE_CONVERT", "TAX_CLEARANCES"): lambda: _gated(
        TaxKind.DEED, _scene("PRE_NOTICE_CONVERT", "SALE")
    ),
    ("ENCUMBERED_TRANSFER", "PAYOFF_UNDERTAKING"): _payoff_undertaking,
}


def test_every_row_is_asked_for_or_has_its_reason() -> None:
    """Each row of the table in exactly one of the three."""
    told = [*ASKED, *INSTEAD, *NOT_ASKED]
    assert sorted(told) == sorted(ROWS)


@pytest.mark.parametrize("row", ASKED, ids="-".join)
def test_paper_taken_away_is_asked_for(row: tuple[str, str]) -> None:
    """Not accepted for its lack, in one list, by its code or by the rule that wants it (IR 17(3))."""
    make, _ = ASKED[row]
    scene = make()
    codes = COMES_AS.get(row, (row[1],))
    whole = scene.decided()
    assert whole.outcome.result is not Result.NOT_ACCEPTED, whole.outcome.findings
    lacking = scene.decided(without=codes)
    assert lacking.outcome.result in (Result.NOT_ACCEPTED, Result.AWAITING_PARTIES)
    fresh = _fresh(lacking.outcome.findings, whole.outcome.findings)
    assert all(any(_is_about(f, code, BY_RULE.get(row)) for f in fresh) for code in codes), fresh


@pytest.mark.parametrize("row", ASKED, ids="-".join)
def test_paper_without_any_one_of_its_signers_is_asked_for_again(row: tuple[str, str]) -> None:
    """Signed by all but one: that one is named; nobody else's signature is wanted (ESL 13; IR 17(3))."""
    make, signers = ASKED[row]
    scene = make()
    codes = COMES_AS.get(row, (row[1],))
    what = scene.submission()
    assert set(codes) <= {paper.reference.paper_code for paper in what.papers}
    good = c.decide(scene.world(), _signed(what, codes, signers))
    assert good.outcome.result is not Result.NOT_ACCEPTED, good.outcome.findings
    for missing in signers:
        bad = c.decide(scene.world(), _signed(what, codes, [p for p in signers if p != missing]))
        told = [f for f in _fresh(bad.outcome.findings, good.outcome.findings) if f.severity in _STOPS]
        assert any(missing.name in f.en or _by_rule(row, f) for f in told), told


_STOPS = (Severity.BLOCKS, Severity.AWAITS)


def _by_rule(row: tuple[str, str], found: Finding) -> bool:
    return row in BY_RULE and BY_RULE[row] in (found.code, found.rule)


@pytest.mark.parametrize("row", INSTEAD, ids="-".join)
def test_fact_in_a_papers_stead_is_looked_at(row: tuple[str, str]) -> None:
    """What the register, the terms or a gate hold is not asked for twice, and is checked (IR 24; CC 213)."""
    INSTEAD[row]()


def _signed(what: Any, codes: tuple[str, ...], signers: Sequence[Party]) -> Any:
    """The papers of these codes with these signatures and no others."""
    signatures = c.paper("", *signers).signatures
    papers = tuple(
        replace(p, signatures=signatures) if p.reference.paper_code in codes else p for p in what.papers
    )
    return replace(what, papers=papers)


def _fresh(found: tuple[Finding, ...], before: tuple[Finding, ...]) -> list[Finding]:
    return [f for f in found if f not in before]


def _is_about(found: Finding, code: str, rule: str | None) -> bool:
    if rule is not None:
        return rule in (found.code, found.rule) and found.severity in _STOPS
    return found.file.partition(":")[0] == code and found.severity in _STOPS
