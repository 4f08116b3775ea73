"""Golden scenarios of handbook 11 that are modes of a sale, end to end: signed papers, mutual TLS, a registrar."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.client import manifest as build
from gateway.client import operations
from gateway.client.session import Answer
from gateway.demo.stage import INSTITUTIONS
from gateway.pb.diya.v1 import certificate_pb2, codes_pb2, finding_pb2, operations_pb2, terms_pb2
from gateway.register.model import Mortgage, Party, PreNotice
from gateway.register.sample import SAMPLE, SampleUnit
from tests.support.dealing import (
    BALANCE_FEN,
    Deal,
    approve,
    citizen,
    codes,
    contracted,
    credential_of,
    deal,
    mortgaged,
    old_loan,
    owners,
    proof_of,
    ranks,
    state_of,
    supplemented,
    taxed,
    told,
)
from tests.support.signed_papers import paper
from tests.support.stage import Town
from tests.support.steps import (
    CLAIM_FEN,
    PRICE_FEN,
    agreed,
    as_recorded,
    change,
    content,
    converted_mortgage,
    converted_sale,
    moved,
    sold,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

A, B, FUND = INSTITUTIONS["bank-a"], INSTITUTIONS["bank-b"], INSTITUTIONS["fund-centre"]
Y = citizen(31)
PRE_NOTICE = codes_pb2.APPLICATION_KIND_PRE_NOTICE


def kinds(answer: Answer) -> list[str]:
    """Kinds of the certificates that a booking issued, in order."""
    return [
        certificate_pb2.CertificateKind.Name(c.kind).rpartition("_")[2] for c in answer.outcome.certificates
    ]


async def lives(town: Town, number: str, key: str = "bank-a") -> str:
    """The state of the certificate with this number, as its holder sees it."""
    client = await town.client(key)
    [found] = [c async for c in client.certificates.list() if c.number == number]
    return type(found).State.Name(found.state)


async def old_row(town: Town, unit: SampleUnit, holder: Party = A) -> Mortgage:
    """The old bank's mortgage."""
    state = await state_of(town, unit.unit_code)
    [row] = [m for m in state.mortgages if holder.key in {p.key for p in m.mortgagees}]
    return row


def whole(case: Deal, proof: str, *, balance_fen: int = BALANCE_FEN) -> Deal:
    """Contract, payoff statement and taxes of the sale."""
    return taxed(old_loan(contracted(case), proof, balance_fen=balance_fen))


def people(unit: SampleUnit, buyer: Party = Y) -> dict[str, Party]:
    """Seller, buyer, old bank, new bank."""
    return {"S": unit.owner, "Y": buyer, "A": A, "B": B}


def first_of(town: Town, lender: str = "B", fen: int = CLAIM_FEN, **changes: Any) -> operations_pb2.Operation:
    """The buyer's mortgage to a lender."""
    return operations.mortgage_first(content(town, "Y", lender, fen, **changes))


def release_by_a(town: Town, proof: str) -> operations_pb2.Operation:
    """A releases alone, on settlement."""
    return operations.mortgage_release(proof, applicants=["A"], ended_on=town.clock().date())


async def test_5_segmented(market: Town) -> None:
    """After phase 1: M1 rank 1, M2 rank 2, one title, one new proof, the old one live; released, M2 alone."""
    unit, proof = await mortgaged(market)
    case = deal(market, unit, people(unit), sold(unit), first_of(market), mode="ET_SEGMENTED")
    answer = await whole(case, proof).booked()
    assert kinds(answer) == ["TITLE", "PROOF"]
    state = await state_of(market, unit.unit_code)
    assert (owners(state), ranks(state)) == ([Y.name], [(A.name, 1, 1), (B.name, 2, 2)])
    assert await lives(market, proof) == "STATE_NUMBERED"
    last = deal(
        market,
        unit,
        {"A": A},
        release_by_a(market, proof),
        mode="ET_SEGMENTED",
        channel="bank-a",
        case=answer.outcome.application,
        phase=2,
    )
    await last.booked()
    assert ranks(await state_of(market, unit.unit_code)) == [(B.name, 2, 1)]
    assert await lives(market, proof) == "STATE_CANCELLED"


async def between_two_banks(market: Town) -> tuple[SampleUnit, Deal]:
    """ET_CHANGE from A to B: transfer, mortgage transfer, mortgage change."""
    unit, proof = await mortgaged(market)
    new = as_recorded(await old_row(market, unit), "Y", "B")
    steps = (
        sold(unit),
        moved(proof, "A", "B", told_on=market.clock().date()),
        change(proof, ("MORTGAGOR", "DEBTOR"), new, ("S", "Y", "B")),
    )
    return unit, whole(deal(market, unit, people(unit), *steps, mode="ET_CHANGE"), proof)


async def test_8_change_between_two_banks_without_the_claim(market: Town) -> None:
    """Missing at submission: N-INCOMPLETE. Found in review: C-MISMATCH is asked about; a wrong answer is refused."""
    unit, case = await between_two_banks(market)
    wanting = await case.filed(without=("CLAIM_ASSIGNMENT",), bound=(A,))
    assert wanting.result == "NOT_ACCEPTED", told(wanting)
    assert ("N-INCOMPLETE", "R-NO_CLAIM_ASSIGNMENT") in codes(wanting)
    unit, case = await between_two_banks(market)
    accepted = await case.filed(bound=(A,))
    assert accepted.result == "ACCEPTED", told(accepted)
    name = accepted.outcome.application
    registrar = await market.registrar(registry="jiangyin")
    await registrar.claim(await registrar.open(name))
    asked = finding_pb2.Finding(
        code="C-MISMATCH",
        rule="R-NO_CLAIM_ASSIGNMENT",
        file="CLAIM_ASSIGNMENT",
        article="CC 407; RD 69",
        zh="转让协议所载债权不是本抵押权担保的债权",
        en="the agreement assigns another claim",
    )
    answer = await registrar.request_supplement(await registrar.open(name), [asked])
    assert answer.result == "DONE", told(answer)
    keys = [credential_of(market, p) for p in (A, B)]
    await supplemented(market, "bank-b", accepted, {"CLAIM_ASSIGNMENT": paper("another claim again", *keys)})
    await registrar.claim(await registrar.open(name))
    ground = finding_pb2.Finding(
        code="R-NO_CLAIM_ASSIGNMENT",
        rule="R-NO_CLAIM_ASSIGNMENT",
        article="CC 407; RD 69",
        zh="补充的转让协议仍不是本抵押权担保的债权",
        en="the agreement still assigns another claim",
    )
    refused = await registrar.refuse(await registrar.open(name), [ground])
    assert refused.result == "REFUSED", told(refused)
    state = await state_of(market, unit.unit_code)
    assert (owners(state), ranks(state)) == ([unit.owner.name], [(A.name, 1, 1)])


async def test_change_between_two_banks_with_the_claim_is_booked(market: Town) -> None:
    """N29 mode 3: one title, one proof in B's name, the rank kept."""
    unit, case = await between_two_banks(market)
    answer = await case.booked(bound=(A,))
    assert kinds(answer) == ["TITLE", "PROOF"]
    state = await state_of(market, unit.unit_code)
    assert (owners(state), ranks(state)) == ([Y.name], [(B.name, 1, 1)])


async def test_9_raised_amount_harms_the_mortgage_behind(market: Town) -> None:
    """M3 of C at rank 2 has not consented: N-INCOMPLETE by R-OTHER_MORTGAGEE, in one list; with the consent booked."""
    unit, proof = await mortgaged(market)
    third = deal(
        market,
        unit,
        {"S": unit.owner, "C": FUND},
        operations.mortgage_first(content(market, "S", "C", 10_000_000)),
        kind=codes_pb2.APPLICATION_KIND_MORTGAGE,
        channel="fund-centre",
    )
    await third.booked()
    new = as_recorded(await old_row(market, unit), "Y", "A", claim_amount=build.money(CLAIM_FEN))
    steps = (sold(unit), change(proof, ("MORTGAGOR", "DEBTOR", "AMOUNT"), new, ("S", "Y", "A")))
    parties = {"S": unit.owner, "Y": Y, "A": A}
    case = deal(market, unit, parties, *steps, mode="ET_CHANGE", channel="bank-a")
    answer = await whole(case, proof).filed()
    assert answer.result == "NOT_ACCEPTED"
    wanted = {(f.code, f.rule) for f in answer.outcome.findings if f.rule == "R-OTHER_MORTGAGEE"}
    assert wanted == {("N-INCOMPLETE", "R-OTHER_MORTGAGEE")}, told(answer)
    case = whole(deal(market, unit, parties, *steps, mode="ET_CHANGE", channel="bank-a"), proof).by_law()
    case.papers["OTHER_MORTGAGEE_CONSENT"] = [paper("consent", credential_of(market, FUND))]
    await case.booked()
    assert ranks(await state_of(market, unit.unit_code)) == [(A.name, 1, 1), (FUND.name, 2, 2)]


async def three_in_one(market: Town, balance_fen: int = BALANCE_FEN) -> tuple[SampleUnit, str, Deal]:
    """ET_THREE_IN_ONE: transfer, change of the old, first registration of the new."""
    unit, proof = await mortgaged(market)
    new = as_recorded(await old_row(market, unit), "Y", "A")
    steps = (sold(unit), change(proof, ("MORTGAGOR", "DEBTOR"), new, ("S", "Y", "A")), first_of(market))
    case = deal(market, unit, people(unit), *steps, mode="ET_THREE_IN_ONE")
    return unit, proof, whole(case, proof, balance_fen=balance_fen)


async def test_10_price_below_the_balance(market: Town) -> None:
    """At submission N-BARRED by R-PRICE_BELOW_BALANCE; found out after acceptance, refused with that ground."""
    _, _, case = await three_in_one(market, PRICE_FEN + 1)
    answer = await case.filed(bound=(A,))
    assert answer.result == "NOT_ACCEPTED"
    assert ("N-BARRED", "R-PRICE_BELOW_BALANCE") in codes(answer)
    _, _, case = await three_in_one(market)
    accepted = await case.filed(bound=(A,))
    assert accepted.result == "ACCEPTED", told(accepted)
    registrar = await market.registrar(registry="jiangyin")
    await registrar.claim(await registrar.open(accepted.outcome.application))
    ground = finding_pb2.Finding(
        code="R-PRICE_BELOW_BALANCE",
        rule="R-PRICE_BELOW_BALANCE",
        article="S12; N29",
        zh="新的还款确认书所载余额高于成交价款",
        en="a later statement owes more than the price",
    )
    refused = await registrar.refuse(await registrar.open(accepted.outcome.application), [ground])
    assert refused.result == "REFUSED"


async def test_11_three_in_one(market: Town) -> None:
    """One title and two proofs; M1 rewritten to Y, rank 1; M2 rank 2; then the old one is released as changed."""
    unit, proof, case = await three_in_one(market)
    answer = await case.booked(bound=(A,))
    assert kinds(answer) == ["TITLE", "PROOF", "PROOF"]
    state = await state_of(market, unit.unit_code)
    assert ranks(state) == [(A.name, 1, 1), (B.name, 2, 2)]
    row = await old_row(market, unit)
    assert [p.key for p in row.mortgagors] == [Y.key]
    assert await lives(market, proof) == "STATE_SUPERSEDED"
    last = deal(
        market,
        unit,
        {"A": A},
        release_by_a(market, row.proof.number),
        mode="ET_THREE_IN_ONE",
        channel="bank-a",
        case=answer.outcome.application,
        phase=2,
    )
    await last.booked()
    assert ranks(await state_of(market, unit.unit_code)) == [(B.name, 2, 1)]


def sale_notice(seller: str = "S") -> operations_pb2.Operation:
    """The pre-notice of the usual sale."""
    return agreed(
        operations.pre_notice_of_sale(
            buyers=["Y"], sellers=[seller], price_fen=PRICE_FEN, contract_number="WQ-2026-1"
        )
    )


async def test_12_double_pre_notice(market: Town) -> None:
    """Two proofs; then one title and one proof, M2 dated from its pre-notice; then M1 is gone, and not before."""
    unit, proof = await mortgaged(market)
    loan = agreed(operations.pre_notice_of_mortgage(content(market, "Y", "B", CLAIM_FEN)))
    mode = "ET_DOUBLE_PRE_NOTICE"
    case = deal(market, unit, people(unit), sale_notice(), loan, mode=mode)
    first = await whole(case, proof).booked()
    assert kinds(first) == ["PROOF", "PROOF"]
    state = await state_of(market, unit.unit_code)
    held = next(n for n in state.pre_notices if n.holders[0].key == B.key)
    assert [p.key for p in held.obligors] == [Y.key]
    steps = (
        converted_sale(proof_of(state, Y, PreNotice), unit),
        converted_mortgage(held.proof.number, content(market, "Y", "B", CLAIM_FEN)),
    )
    name = first.outcome.application
    end: dict[str, Any] = {"mode": mode, "channel": "bank-a", "case": name, "phase": 3}
    early = await deal(market, unit, {"A": A}, release_by_a(market, proof), **end).filed()
    assert early.result == "NOT_ACCEPTED"
    [missing] = [f for f in early.outcome.findings if f.field == "header.phase"]
    assert "phase 2" in missing.en, told(early)
    parties = {key: party for key, party in people(unit).items() if key != "A"}
    second = taxed(deal(market, unit, parties, *steps, mode=mode, case=name, phase=2))
    answer = await contracted(second).booked()
    assert kinds(answer) == ["TITLE", "PROOF"]
    state = await state_of(market, unit.unit_code)
    assert (owners(state), ranks(state)) == ([Y.name], [(A.name, 1, 1), (B.name, 2, 2)])
    assert (state.mortgages[1].priority_date, state.pre_notices) == (held.booked_at, ())
    assert await lives(market, held.proof.number, "bank-b") == "STATE_CANCELLED"
    await deal(market, unit, {"A": A}, release_by_a(market, proof), **end).booked()
    assert ranks(await state_of(market, unit.unit_code)) == [(B.name, 2, 1)]


async def test_18_two_of_three_brothers_sell_the_whole(market: Town) -> None:
    """CC 301 against REAL 38(4): the profile's default leaves it to a person."""
    unit = SAMPLE.unit("three_brothers", "jiangyin")
    one, two, _ = unit.owners
    step = sale_notice("S")
    step.pre_notice_create.obligors.append("T")
    step.applicants.append("T")
    parties = {"S": one, "T": two, "Y": Y}
    case = contracted(deal(market, unit, parties, step, mode="PN_SALE_THEN_CONVERT"))
    answer = await case.filed()
    assert answer.result == "ACCEPTED", told(answer)
    assert "M-REFER" in {f.code for f in answer.outcome.findings if "CO_OWNED" in f.en}, told(answer)


@pytest.mark.parametrize("equal", [False, True], ids=["step-order", "rank-agreement"])
async def test_23_taizhou_bank_and_fund_centre(market: Town, equal: bool) -> None:
    """One title, two proofs, one booking: ranks in step order, or equal by a signed agreement."""
    unit = market.flat("taizhou")
    mode = "PN_SALE_THEN_CONVERT"
    parties = {"S": unit.owner, "Y": Y}
    noted = contracted(deal(market, unit, parties, sale_notice(), mode=mode, registry="taizhou"))
    first = await noted.booked()
    state = await state_of(market, unit.unit_code, "taizhou")
    rank: dict[str, Any] = {"agreed_rank": 1} if equal else {}
    steps = (
        converted_sale(proof_of(state, Y, PreNotice), unit),
        first_of(market, "B", 30_000_000, **rank),
        first_of(market, "F", 50_000_000, **rank),
    )
    case = deal(
        market,
        unit,
        parties | {"B": B, "F": FUND},
        *steps,
        mode=mode,
        registry="taizhou",
        case=first.outcome.application,
        phase=2,
        loan_kind=codes_pb2.LOAN_KIND_PORTFOLIO,
    )
    case = contracted(taxed(case)).by_law(bound=(FUND,))
    if equal:
        signers = [credential_of(market, p) for p in (Y, B, FUND)]
        case.papers["RANK_AGREEMENT"] = [paper("equal rank", *signers)]
    answer = await case.booked()
    assert kinds(answer) == ["TITLE", "PROOF", "PROOF"]
    state = await state_of(market, unit.unit_code, "taizhou")
    current = {name: now for name, _, now in ranks(state)}
    assert current == ({B.name: 1, FUND.name: 1} if equal else {B.name: 1, FUND.name: 2})


async def test_25_place_in_the_queue_is_of_acceptance(market: Town) -> None:
    """A files first without Y's signature; B is complete; Y signs A's after: B rank 1, A rank 2."""
    unit = market.flat()
    kind = codes_pb2.APPLICATION_KIND_MORTGAGE
    waiting = deal(
        market,
        unit,
        {"Y": unit.owner, "A": A},
        first_of(market, "A", 50_000_000),
        kind=kind,
        channel="bank-a",
    ).by_law()
    signed_forms = {code: waiting.papers[code] for code in ("APPLICATION", "INQUIRY_RECORD")}
    unsigned = deal(
        market, unit, waiting.people, *waiting.terms.operations, kind=kind, channel="bank-a"
    ).by_law(unsigned=(unit.owner,))
    for code in ("PRINCIPAL_CONTRACT", "MORTGAGE_CONTRACT"):
        unsigned.papers[code] = waiting.papers[code]
    answer = await unsigned.filed()
    assert answer.result == "AWAITING_PARTIES", told(answer)
    complete = deal(market, unit, {"Y": unit.owner, "B": B}, first_of(market, "B", 60_000_000), kind=kind)
    booked = await complete.booked()
    accepted = await supplemented(
        market, "bank-a", answer, {code: data[0] for code, data in signed_forms.items()}
    )
    assert accepted.result == "ACCEPTED", told(accepted)
    assert accepted.outcome.accepted_at.ToNanoseconds() > booked.outcome.booked_at.ToNanoseconds()
    await approve(market, answer.outcome.application)
    assert ranks(await state_of(market, unit.unit_code)) == [(B.name, 1, 1), (A.name, 2, 2)]


async def test_37_income_tax_of_the_seller_gates_the_conversion(market: Town) -> None:
    """Deed tax alone: AWAITING_TAX, whether the sale is booked by itself or by conversion; then the rest opens it."""
    unit = market.flat()
    parties = {"S": unit.owner, "Y": Y}
    await contracted(deal(market, unit, parties, sale_notice(), kind=PRE_NOTICE)).booked()
    noted = proof_of(await state_of(market, unit.unit_code), Y, PreNotice)
    case = deal(market, unit, parties, converted_sale(noted, unit), kind=PRE_NOTICE)
    accepted = await taxed(contracted(case), "DEED").filed()
    held = await approve(market, accepted.outcome.application)
    assert "S-TAX" in {f.code for f in held.outcome.findings}, told(held)
    assert owners(await state_of(market, unit.unit_code)) == [unit.owner.name]
    cleared = await supplemented(market, "bank-b", accepted, {}, evidence=cleared_now(market, "INCOME", "S"))
    assert cleared.result == "BOOKED", told(cleared)
    assert owners(await state_of(market, unit.unit_code)) == [Y.name]


async def test_37_company_that_sells_clears_land_vat_instead(market: Town) -> None:
    """Land VAT rules 12: income tax is a natural seller's; a company's sale waits for land VAT."""
    unit = SAMPLE.unit("company", "jiangyin")
    parties = {"S": unit.owner, "Y": Y}
    await contracted(deal(market, unit, parties, sale_notice(), kind=PRE_NOTICE)).booked()
    noted = proof_of(await state_of(market, unit.unit_code), Y, PreNotice)
    case = deal(market, unit, parties, converted_sale(noted, unit), kind=PRE_NOTICE)
    accepted = await taxed(contracted(case), "DEED", "INCOME").filed()
    held = await approve(market, accepted.outcome.application)
    assert "S-TAX" in {f.code for f in held.outcome.findings}, told(held)
    cleared = await supplemented(
        market, "bank-b", accepted, {}, evidence=cleared_now(market, "LAND_VAT", "S")
    )
    assert cleared.result == "BOOKED", told(cleared)


def cleared_now(town: Town, kind: str, taxpayer: str) -> terms_pb2.Evidence:
    """One tax, cleared now."""
    evidence = terms_pb2.Evidence()
    evidence.tax_clearances.add(
        kind=codes_pb2.TaxKind.Value(f"TAX_KIND_{kind}"),
        number=f"T-{kind}",
        amount=build.money(1),
        cleared_at=build.instant(town.clock()),
        taxpayer=taxpayer,
    )
    return evidence


async def test_46_survivor_of_a_merger_takes_the_mortgage_alone(market: Town) -> None:
    """Company Law 221; CC 67: on the merger paper, no claim assignment, rank kept; A need not sign."""
    unit, proof = await mortgaged(market)
    step = moved(proof, "A", "B", ground="MERGER", applicants=("B",))
    case = deal(market, unit, {"A": A, "B": B}, step, kind=codes_pb2.APPLICATION_KIND_MORTGAGE).by_law()
    assert set(case.papers) == {"MERGER_PROOF"}
    answer = await case.booked()
    assert kinds(answer) == ["PROOF"]
    assert ranks(await state_of(market, unit.unit_code)) == [(B.name, 1, 1)]
