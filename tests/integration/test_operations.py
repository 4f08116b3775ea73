"""Every operation of the contract over the wire: its forms rendered and signed, filed, decided, booked, certified."""

from __future__ import annotations

import datetime as dt
import io
from typing import Any

import pypdf
import pytest

from gateway.certificates.content import decode_content
from gateway.client import manifest as build
from gateway.client import operations
from gateway.client.session import Answer
from gateway.demo.stage import INSTITUTIONS
from gateway.pb.diya.v1 import codes_pb2, common_pb2, operations_pb2
from gateway.register.calendar import CHINA
from gateway.register.model import Mortgage, MortgageKind, PreNotice
from gateway.register.sample import SAMPLE
from gateway.register.sample_parties import COMPANY
from tests.support.dealing import (
    Deal,
    approve,
    citizen,
    codes,
    contracted,
    deal,
    mortgaged,
    owners,
    proof_of,
    ranks,
    state_of,
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
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

A, B = INSTITUTIONS["bank-a"], INSTITUTIONS["bank-b"]
MORTGAGE = codes_pb2.APPLICATION_KIND_MORTGAGE
RELEASE = codes_pb2.APPLICATION_KIND_MORTGAGE_RELEASE
PRE_NOTICE = codes_pb2.APPLICATION_KIND_PRE_NOTICE


def text_of(pdf: bytes) -> str:
    """What a PDF says, without spaces and line ends."""
    pages = pypdf.PdfReader(io.BytesIO(pdf)).pages
    return "".join("".join(page.extract_text().split()) for page in pages)


async def booked(case: Deal, *titles: str, bound: tuple[Any, ...] = ()) -> Answer:
    """Papers by the law, forms as the gateway renders them, booked. `titles` stand on the application form."""
    case.by_law(bound=bound)
    if "APPLICATION" in case.papers:
        printed = text_of((await case.rendered(bound=bound))["APPLICATION"])
        for title in titles:
            assert title in printed, printed
    return await case.booked()


async def proofs(town: Town, answer: Answer, key: str = "bank-a", registry: str = "jiangyin") -> list[Any]:
    """What the certificates of a booking say: 其他 by label."""
    client = await town.client(key, registry)
    found = []
    for one in answer.outcome.certificates:
        got = await client.certificates.get(one.name)
        found.append({line.label: line.value for line in decode_content(got.certificate.content).other})
    return found


async def only_mortgage(town: Town, code: str) -> Mortgage:
    """The one mortgage of a unit."""
    [row] = (await state_of(town, code)).mortgages
    return row


# -- mortgages -----------------------------------------------------------------------------------------------------


async def test_change_of_amount_and_restriction(market: Town) -> None:
    """RD 68; N54: a new proof in place of the old one, rank and first registration kept."""
    unit, proof = await mortgaged(market)
    old = await only_mortgage(market, unit.unit_code)
    new = as_recorded(
        old,
        "S",
        "A",
        claim_amount=build.money(CLAIM_FEN),
        transfer_restriction=codes_pb2.TRANSFER_RESTRICTION_RESTRICTED,
        transfer_restriction_text="未经抵押权人书面同意不得转让",
    )
    step = change(proof, ("AMOUNT", "TRANSFER_RESTRICTION"), new, ("S", "A"))
    case = deal(market, unit, {"S": unit.owner, "A": A}, step, kind=MORTGAGE, channel="bank-a")
    answer = await booked(case, "抵押权变更登记", "未经抵押权人书面同意不得转让", "变更后")
    row = await only_mortgage(market, unit.unit_code)
    assert (row.claim_amount_fen, row.transfer_restriction) == (CLAIM_FEN, "RESTRICTED")
    assert (row.rank_at_registration, row.first_registered_at) == (1, old.first_registered_at)
    assert row.proof.number != proof
    [printed] = await proofs(market, answer)
    assert printed["禁止或限制转让的约定内容"] == "未经抵押权人书面同意不得转让"
    assert printed["原不动产登记证明号"] == proof


async def test_change_that_nobody_named_is_told(market: Town) -> None:
    """What differs from the register and is no item of the change is not slipped in (IR 18(2))."""
    unit, proof = await mortgaged(market)
    old = await only_mortgage(market, unit.unit_code)
    new = as_recorded(old, "S", "A", claim_amount=build.money(CLAIM_FEN), secured_scope="主债权")
    step = change(proof, ("AMOUNT",), new, ("S", "A"))
    case = deal(market, unit, {"S": unit.owner, "A": A}, step, kind=MORTGAGE, channel="bank-a")
    answer = await case.filed()
    assert answer.result == "NOT_ACCEPTED"
    assert ("C-MISMATCH", "R-CONFLICT") in codes(answer)


async def test_mortgage_moves_with_its_claim(market: Town) -> None:
    """CC 407, 546; RD 69: assigned by A, joined by B's signature on the form, one proof in B's name."""
    unit, proof = await mortgaged(market)
    step = moved(proof, "A", "B", told_on=market.clock().date())
    case = deal(market, unit, {"A": A, "B": B}, step, kind=MORTGAGE)
    answer = await case.booked(bound=(A,))
    assert ranks(await state_of(market, unit.unit_code)) == [(B.name, 1, 1)]
    [printed] = await proofs(market, answer, "bank-b")
    assert printed["原不动产登记证明号"] == proof


async def test_maximum_amount_mortgage_is_fixed(market: Town) -> None:
    """CC 420, 423; RD 71, 73: a ceiling first, then an ordinary mortgage for what is owed, its fact on the proof."""
    unit = market.flat()
    ceiling = content(market, "S", "A", 0, max_claim_amount=build.money(CLAIM_FEN))
    ceiling.ClearField("claim_amount")
    ceiling.kind = codes_pb2.MORTGAGE_KIND_MAXIMUM_AMOUNT
    ceiling.existing_claim_amount.CopyFrom(build.money(1_000_000))
    people = {"S": unit.owner, "A": A}
    first = deal(market, unit, people, operations.mortgage_first(ceiling), kind=MORTGAGE, channel="bank-a")
    await booked(first, "最高债权额", "转入担保范围的已有债权")
    old = await only_mortgage(market, unit.unit_code)
    assert old.kind is MortgageKind.MAXIMUM_AMOUNT
    today = market.clock().astimezone(CHINA).date()
    step = operations_pb2.Operation(
        reason="债权确定",
        applicants=["S", "A"],
        claim_fixing=operations_pb2.ClaimFixing(
            mortgage=build.right(old.proof.number),
            fixing_fact="约定的债权确定期间届满",
            fixed_on=build.day(today),
            fixed_amount=build.money(90_000_000),
            mortgagors=["S"],
            mortgagees=["A"],
        ),
    )
    fixing = deal(market, unit, people, step, kind=MORTGAGE, channel="bank-a")
    answer = await booked(fixing, "最高额抵押权确定登记", "约定的债权确定期间届满")
    row = await only_mortgage(market, unit.unit_code)
    assert (row.kind, row.claim_amount_fen) == (MortgageKind.ORDINARY, 90_000_000)
    [printed] = await proofs(market, answer)
    assert printed["最高债权确定事实和数额"] == f"{today.isoformat()} 约定的债权确定期间届满，90万元"


async def test_construction_mortgage_from_first_to_last(market: Town) -> None:
    """RD 75-77: first, changed, moved to another bank, released; the proof says where and how far."""
    unit = SAMPLE.unit("never_registered", "jiangyin")
    people = {"D": COMPANY, "A": A, "B": B}
    scope = operations_pb2.ConstructionScope(
        location="测试路1号在建工程", scope="1幢1至6层", permit_number="建字第2026001号"
    )
    kind = codes_pb2.COLLATERAL_KIND_LAND_AND_CONSTRUCTION
    terms = content(market, "D", "A", CLAIM_FEN, collateral_kind=kind)
    first = operations_pb2.Operation(
        reason="设立抵押权",
        applicants=["D", "A"],
        construction_mortgage_first=operations_pb2.ConstructionMortgageFirst(
            content=terms, construction=scope
        ),
    )
    case = deal(market, unit, {"D": COMPANY, "A": A}, first, kind=MORTGAGE, channel="bank-a")
    answer = await booked(case, "在建建筑物抵押权首次登记", "1幢1至6层")
    [printed] = await proofs(market, answer)
    assert (printed["在建建筑物坐落"], printed["在建建筑物抵押范围"]) == (scope.location, scope.scope)
    more = operations_pb2.ConstructionScope(
        location=scope.location, scope="1幢1至18层", permit_number=scope.permit_number
    )
    old = await only_mortgage(market, unit.unit_code)
    changed = change(
        old.proof.number, ("UNITS",), as_recorded(old, "D", "A", collateral_kind=kind), ("D", "A")
    )
    wider = operations_pb2.Operation(
        reason="变更",
        applicants=["D", "A"],
        construction_mortgage_change=operations_pb2.ConstructionMortgageChange(
            change=changed.mortgage_change, construction=more
        ),
    )
    case = deal(market, unit, {"D": COMPANY, "A": A}, wider, kind=MORTGAGE, channel="bank-a")
    answer = await booked(case, "在建建筑物抵押权变更登记", "1幢1至18层")
    [printed] = await proofs(market, answer)
    assert printed["在建建筑物抵押范围"] == "1幢1至18层"
    old = await only_mortgage(market, unit.unit_code)
    transfer = moved(old.proof.number, "A", "B", told_on=market.clock().date())
    step = operations_pb2.Operation(
        reason="转移",
        applicants=["A", "B"],
        construction_mortgage_transfer=operations_pb2.ConstructionMortgageTransfer(
            transfer=transfer.mortgage_transfer
        ),
    )
    await deal(market, unit, {"A": A, "B": B}, step, kind=MORTGAGE).booked(bound=(A,))
    row = await only_mortgage(market, unit.unit_code)
    assert (row.mortgagees, row.construction_scope) == ((B,), "1幢1至18层")
    release = operations.mortgage_release(row.proof.number, applicants=["B"], ended_on=market.clock().date())
    step = operations_pb2.Operation(
        reason="注销",
        applicants=["B"],
        construction_mortgage_release=operations_pb2.ConstructionMortgageRelease(
            release=release.mortgage_release
        ),
    )
    await deal(market, unit, {"B": B}, step, kind=RELEASE).booked()
    assert (await state_of(market, unit.unit_code)).mortgages == ()
    assert people


async def test_correction_of_an_amount(market: Town) -> None:
    """CC 220; RD 79-81: the wrong row is superseded by the right one, dates and rank kept."""
    unit, proof = await mortgaged(market)
    old = await only_mortgage(market, unit.unit_code)
    step = operations_pb2.Operation(
        reason="更正",
        applicants=["A"],
        correction=operations_pb2.Correction(
            right=build.right(proof),
            items=[
                operations_pb2.CorrectionItem(field="BDBZZQSE", recorded="80万元", corrected="88万元"),
            ],
        ),
    )
    case = deal(market, unit, {"A": A}, step, kind=MORTGAGE, channel="bank-a")
    answer = await case.booked()
    row = await only_mortgage(market, unit.unit_code)
    assert (row.claim_amount_fen, row.booked_at) == (88_000_000, old.booked_at)
    [printed] = await proofs(market, answer)
    assert (printed["担保债权数额"], printed["原不动产登记证明号"]) == ("88万元", proof)


async def test_reissue_of_a_lost_proof(market: Town) -> None:
    """RD 22: declared void, issued again under a new number; the right is what it was."""
    unit, proof = await mortgaged(market)
    old = await only_mortgage(market, unit.unit_code)
    step = operations_pb2.Operation(
        reason="补证",
        applicants=["A"],
        reissue=operations_pb2.Reissue(
            right=build.right(proof),
            ground=operations_pb2.REISSUE_GROUND_LOST,
            declared_void_at=build.instant(market.clock() - dt.timedelta(days=15)),
        ),
    )
    case = deal(market, unit, {"A": A}, step, kind=MORTGAGE, channel="bank-a")
    wanting = await case.filed(without=("LOSS_DECLARATION",))
    assert ("N-INCOMPLETE", "") in codes(wanting)
    again = deal(market, unit, {"A": A}, step, kind=MORTGAGE, channel="bank-a")
    await again.booked()
    row = await only_mortgage(market, unit.unit_code)
    assert row.proof.number != proof
    assert (row.claim_amount_fen, row.priority_date) == (old.claim_amount_fen, old.priority_date)


# -- releases ------------------------------------------------------------------------------------------------------


async def test_one_unit_of_three_is_released_and_added_again(market: Town) -> None:
    """RD 70: the mortgage goes on on the others, as it was, under a new proof. RD 68: and is extended to the third."""
    unit = SAMPLE.unit("flat_parking_storeroom", "jiangyin")
    flat, parking, store = unit.unit_codes
    step = operations.mortgage_release(
        unit.proof_number, applicants=["A"], ended_on=market.clock().date(), unit_codes=[parking]
    )
    step.mortgage_release.mortgage.unit_codes.append(parking)
    case = deal(market, unit, {"A": A}, step, kind=RELEASE, channel="bank-a", units=[parking])
    answer = await case.booked()
    assert (await state_of(market, parking)).mortgages == ()
    row = await only_mortgage(market, flat)
    assert row.units == (flat, store)
    [printed] = await proofs(market, answer)
    assert printed["原不动产登记证明号"] == unit.proof_number

    added = change(row.proof.number, ("UNITS",), as_recorded(row, "S", "A"), ("S", "A"), [flat, store])
    everything = [flat, parking, store]
    case = deal(
        market,
        unit,
        {"S": unit.owner, "A": A},
        added,
        kind=MORTGAGE,
        channel="bank-a",
        units=everything,
    )
    await case.booked()
    assert (await only_mortgage(market, parking)).units == tuple(everything)


async def test_mortgagor_releases_with_a_judgment(market: Town) -> None:
    """OS 14.4; IR 14: whoever the judgment entitles applies alone, in person; another bank may carry the papers."""
    unit, proof = await mortgaged(market)
    step = operations.mortgage_release(
        proof, applicants=["S"], ground=operations_pb2.RELEASE_GROUND_JUDGMENT, reason="判决"
    )
    step.mortgage_release.mortgagees.append("A")
    case = deal(market, unit, {"S": unit.owner, "A": A}, step, kind=RELEASE)
    await booked(case, "生效法律文书", unit.owner.name)
    assert (await state_of(market, unit.unit_code)).mortgages == ()


# -- pre-notices ---------------------------------------------------------------------------------------------------


async def test_pre_notices_of_a_pre_sale_rest_on_one_another(market: Town) -> None:
    """Kinds 1 and 3 (RD 78, 86): the filed contract first, the mortgage on the buyer's pre-notice; then both go."""
    unit = SAMPLE.unit("never_registered", "taizhou")
    buyer = citizen(11)
    sale = agreed(
        operations.pre_notice_of_sale(
            buyers=["Y"],
            sellers=["D"],
            price_fen=PRICE_FEN,
            contract_number="WQ-2026-1",
            kind=codes_pb2.PRE_NOTICE_KIND_PRESALE_SALE,
        )
    )
    people = {"D": COMPANY, "Y": buyer}
    case = deal(market, unit, people, sale, kind=PRE_NOTICE, registry="taizhou")
    await booked(contracted(case), "预售商品房买卖预告登记")
    noted = proof_of(await state_of(market, unit.unit_code, "taizhou"), buyer, PreNotice)
    loan = agreed(
        operations.pre_notice_of_mortgage(
            content(market, "Y", "B", CLAIM_FEN), kind=codes_pb2.PRE_NOTICE_KIND_PRESALE_MORTGAGE
        )
    )
    loan.pre_notice_create.sale_pre_notice.CopyFrom(build.right(noted))
    case = deal(market, unit, {"Y": buyer, "B": B}, loan, kind=PRE_NOTICE, registry="taizhou")
    answer = await booked(case, "预售商品房抵押权预告登记", "买卖预告登记证明号")
    [printed] = await proofs(market, answer, "bank-b", "taizhou")
    assert printed["已有的不动产权证书或者登记证明号"] == noted
    held = proof_of(await state_of(market, unit.unit_code, "taizhou"), B, PreNotice)
    step = _pre_notice_release(held, ["B"], operations_pb2.RELEASE_GROUND_WAIVED)
    await deal(market, unit, {"B": B}, step, kind=PRE_NOTICE, registry="taizhou").booked()
    step = _pre_notice_release(noted, ["Y"], operations_pb2.RELEASE_GROUND_CLAIM_SETTLED)
    case = deal(market, unit, {"Y": buyer}, step, kind=PRE_NOTICE, registry="taizhou")
    await booked(case, "预告注销登记", "债权消灭")
    assert (await state_of(market, unit.unit_code, "taizhou")).pre_notices == ()


def _pre_notice_release(proof: str, holders: list[str], ground: Any) -> operations_pb2.Operation:
    return operations_pb2.Operation(
        reason="注销预告登记",
        applicants=holders,
        pre_notice_release=operations_pb2.PreNoticeRelease(
            pre_notice=build.right(proof), ground=ground, holders=holders
        ),
    )


async def test_pre_notices_of_a_second_hand_sale_are_converted(market: Town) -> None:
    """Kinds 2 and 4, then both conversions in one case of pre-notices; the proof says from when its rank counts."""
    unit, buyer = market.flat(), citizen(12)
    people = {"S": unit.owner, "Y": buyer, "B": B}
    sale = agreed(
        operations.pre_notice_of_sale(
            buyers=["Y"], sellers=["S"], price_fen=PRICE_FEN, contract_number="WQ-2026-1"
        )
    )
    loan = agreed(operations.pre_notice_of_mortgage(content(market, "Y", "B", CLAIM_FEN)))
    await booked(contracted(deal(market, unit, people, sale, loan, kind=PRE_NOTICE)), "预告登记")
    state = await state_of(market, unit.unit_code)
    noted, held = proof_of(state, buyer, PreNotice), proof_of(state, B, PreNotice)
    steps = (converted_sale(noted, unit), converted_mortgage(held, content(market, "Y", "B", CLAIM_FEN)))
    case = taxed(contracted(deal(market, unit, people, *steps, kind=PRE_NOTICE)))
    answer = await booked(case, "预告转本登记（转移登记）", "预告登记证明号")
    state = await state_of(market, unit.unit_code)
    assert (owners(state), ranks(state), state.pre_notices) == ([buyer.name], [(B.name, 1, 1)], ())
    [row] = state.mortgages
    day = row.priority_date.astimezone(CHINA)
    printed = (await proofs(market, answer, "bank-b"))[-1]
    assert printed["预告登记转本登记"] == f"顺位自预告登记之日{day.year}年{day.month}月{day.day}日起算"


# -- agents --------------------------------------------------------------------------------------------------------


async def test_agent_signs_for_the_owner_on_a_notarised_power(market: Town) -> None:
    """RD 12(3): on a good power the agent's signature counts, and a registrar decides; without the flat it does not."""
    unit, agent = market.flat(), citizen(71, "代理人")

    def with_power(*units: str) -> Deal:
        step = operations.mortgage_first(content(market, "S", "A", CLAIM_FEN))
        case = deal(market, unit, {"S": unit.owner, "A": A}, step, kind=MORTGAGE, channel="bank-a")
        power = case.terms.powers_of_attorney.add(
            principal="S",
            acts=[codes_pb2.OPERATION_KIND_MORTGAGE_FIRST],
            unit_codes=units,
            valid_until=build.day(market.clock().date() + dt.timedelta(days=90)),
            form=common_pb2.POWER_OF_ATTORNEY_FORM_NOTARISED,
            notary="江阴示例公证处",
            deed_number="(2026)澄证民内字第1号",
        )
        power.agent.CopyFrom(build.person("agent", agent.name, agent.id_number).person)
        case.by_law(agents={unit.owner.id_number: agent})
        case.papers["AUTHORISATION"] = [paper("notarised power")]
        return case

    refused = await with_power().filed()
    assert ("N-AUTHORISATION", "") in codes(refused)
    accepted = await with_power(unit.unit_code).filed()
    assert accepted.result == "ACCEPTED", told(accepted)
    booking = await approve(market, accepted.outcome.application)
    assert booking.result == "BOOKED", told(booking)
