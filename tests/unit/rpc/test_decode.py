"""Terms and manifest from the wire: every field of the deal, and every violation at once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from gateway.cases import terms as ops
from gateway.cases.model import Kind, Manifest
from gateway.client import manifest as build
from gateway.client import operations
from gateway.pb.diya.v1 import codes_pb2, common_pb2, envelope_pb2, operations_pb2, terms_pb2
from gateway.register.model import CoOwnership, PreNoticeKind, Share
from gateway.rpc import decode_mortgages
from gateway.rpc.decode import decode_evidence, decode_manifest, decode_terms
from gateway.rpc.decode_parts import OperationParts
from gateway.rpc.violations import MalformedRequest, Violations
from tests.support import cases as c
from tests.support import deals as d

DAY = dt.date(2026, 11, 1)
INSTANT = build.instant(c.NOW)
ACCOUNT = terms_pb2.Account(holder_name="张一", number="6222000000000001", cnaps="102302000001")


def mortgage_content(claim_fen: int = d.CLAIM_FEN, **changes: Any) -> operations_pb2.MortgageContent:
    """BUYER's mortgage to B."""
    values: dict[str, Any] = {
        "mortgagors": ["buyer"],
        "mortgagees": ["new-bank"],
        "debtors": ["buyer"],
        "claim_fen": claim_fen,
        "term": (DAY, dt.date(2046, 11, 1)),
        "restricted": False,
    }
    return operations.mortgage_content(**{**values, **changes})


def steps() -> list[operations_pb2.Operation]:
    """ET_COMBINED: transfer, release, new mortgage."""
    transfer = operations.ownership_transfer(
        sellers=["seller"], buyers=["buyer"], titles=[c.TITLE], price_fen=d.PRICE_FEN
    )
    release = operations.mortgage_release(
        c.PROOF, applicants=["old-bank", "seller"], ground=operations_pb2.RELEASE_GROUND_UNDERTAKING
    )
    release.mortgage_release.mortgagees.append("old-bank")
    return [transfer, release, operations.mortgage_first(mortgage_content())]


def wire_terms(operations_: list[operations_pb2.Operation] | None = None) -> terms_pb2.Terms:
    """The terms of the combined case with everything that the deal may say."""
    value = build.terms(
        c.REGISTRY,
        units=[build.unit(c.UNIT, titles=[c.TITLE])],
        parties=[
            build.person("seller", d.SELLER.name, d.SELLER.id_number),
            build.person("buyer", d.BUYER.name, d.BUYER.id_number),
            build.institution_party("old-bank", d.A.name, d.A.id_number),
            build.institution_party("new-bank", d.B.name, d.B.id_number),
        ],
        operations=operations_ if operations_ is not None else steps(),
    )
    value.mode = codes_pb2.ENCUMBERED_TRANSFER_MODE_ET_COMBINED
    value.sale_contracts.add(
        filing_number="WQ-2026-1",
        signed_on=build.day(DAY),
        price=build.money(d.PRICE_FEN),
        unit_codes=[c.UNIT],
        registrable_from=build.day(DAY),
    )
    value.payoff_statements.add(
        proof=build.certificate(c.PROOF),
        balance=build.money(d.BALANCE_FEN),
        as_of=build.day(DAY),
        per_diem=build.money(5000),
        account=ACCOUNT,
        valid_until=build.day(dt.date(2026, 12, 1)),
        mortgagee="old-bank",
    )
    value.funds_plan.legs.add(
        payer="new-bank",
        payee="old-bank",
        amount=build.money(d.BALANCE_FEN),
        trigger=terms_pb2.FUNDS_TRIGGER_ON_BOOKING,
        purpose=terms_pb2.FUNDS_PURPOSE_PAYOFF,
        account=ACCOUNT,
    )
    value.tax_clearances.add(
        kind=codes_pb2.TAX_KIND_DEED, number="T-1", amount=build.money(2_000_000), cleared_at=INSTANT
    )
    value.identity_checks.add(
        party="seller",
        method=common_pb2.IDENTITY_CHECK_METHOD_FACE_MATCH,
        provider="核验平台",
        result=common_pb2.IDENTITY_CHECK_RESULT_PASSED,
        checked_at=INSTANT,
    )
    value.risk_notices.add(version="1", shown_at=INSTANT, acknowledged_by=["buyer"])
    return value


def decoded(value: terms_pb2.Terms | None = None, kind: Kind = Kind.ENCUMBERED_TRANSFER) -> ops.Terms:
    """The terms as values."""
    return decode_terms((value or wire_terms()).SerializeToString(), kind)


def violations(value: terms_pb2.Terms, kind: Kind = Kind.ENCUMBERED_TRANSFER) -> set[str]:
    """Paths of what is wrong."""
    with pytest.raises(MalformedRequest) as refused:
        decoded(value, kind)
    return {v.path for v in refused.value.violations}


def manifest(value: terms_pb2.Terms | None = None, **changes: Any) -> Manifest:
    """A manifest with these terms, through the wire and back."""
    header = build.header(
        c.REGISTRY,
        request_id="018f0000-0000-7000-8000-000000000001",
        created_at=c.NOW,
        channel_institution=d.B.id_number,
        clerk=build.clerk("经办", "1"),
    )
    wire = build.manifest(
        codes_pb2.APPLICATION_KIND_ENCUMBERED_TRANSFER,
        header,
        build.terms_bytes(value or wire_terms()),
        **changes,
    )
    return decode_manifest(wire.SerializeToString(), Kind.ENCUMBERED_TRANSFER)


def test_steps_of_a_combined_case_are_read_in_order() -> None:
    """Each operation says who applies; the release names its mortgagee apart from its co-applicants."""
    transfer, release, mortgage = decoded().operations
    assert isinstance(transfer, ops.OwnershipTransfer)
    assert isinstance(release, ops.MortgageRelease)
    assert isinstance(mortgage, ops.MortgageFirst)
    assert (transfer.sellers, transfer.buying) == ((d.SELLER,), (d.BUYER,))
    assert (transfer.price_fen, transfer.co_ownership) == (d.PRICE_FEN, CoOwnership.SOLE)
    assert [t.number for t in transfer.titles] == [c.TITLE]
    assert release.mortgagees == (d.A,)
    assert release.ground is ops.ReleaseGround.UNDERTAKING
    assert [p.name for p in release.applicants] == [d.A.name, d.SELLER.name]
    assert mortgage.applicants == (d.BUYER, d.B)


def test_release_that_names_its_mortgagee_once_is_read_from_its_applicants() -> None:
    """Who releases alone is applicant and mortgagee; a seller beside it is no mortgagee."""
    several = steps()
    del several[1].mortgage_release.mortgagees[:]
    release = decoded(wire_terms(several)).operations[1]
    assert isinstance(release, ops.MortgageRelease)
    assert release.mortgagees == (d.A,)


def test_consenters_are_read() -> None:
    """Whom the terms name as consenting."""
    several = steps()
    several[0].consenters.append("old-bank")
    assert decoded(wire_terms(several)).operations[0].consenters == (d.A,)


def test_deal_is_read() -> None:
    """Contract, payoff statement, funds plan, taxes, checks and notices, each as a value."""
    terms = decoded()
    assert terms.mode == "ET_COMBINED"
    [contract] = terms.sale_contracts
    assert (contract.filing_number, contract.price_fen, contract.units) == (
        "WQ-2026-1",
        d.PRICE_FEN,
        (c.UNIT,),
    )
    assert contract.registrable_from == DAY
    [statement] = terms.payoff_statements
    assert (statement.balance_fen, statement.per_diem_fen, statement.mortgagee) == (d.BALANCE_FEN, 5000, d.A)
    assert (statement.proof.number, statement.overdue) == (c.PROOF, False)
    assert statement.account.cnaps == "102302000001"
    assert terms.funds_plan is not None
    [leg] = terms.funds_plan.legs
    assert (leg.payer, leg.payee, leg.trigger) == (d.B, d.A, ops.FundsTrigger.ON_BOOKING)
    assert leg.purpose is ops.FundsPurpose.PAYOFF
    [tax] = terms.tax_clearances
    assert (tax.kind, tax.cleared_at, tax.taxpayer) == (ops.TaxKind.DEED, c.NOW, None)
    [check] = terms.identity_checks
    assert (check.person_id_number, check.method, check.passed) == (d.SELLER.id_number, "FACE_MATCH", True)
    [notice] = terms.risk_notices
    assert notice.acknowledged_by == (d.BUYER,)


def test_manifest_carries_evidence_and_papers_to_come() -> None:
    """Facts after the terms name the terms' parties and units; nothing of the terms is replaced."""
    evidence = terms_pb2.Evidence()
    evidence.tax_clearances.add(
        kind=codes_pb2.TAX_KIND_INCOME,
        number="T-2",
        amount=build.money(0),
        exempt_ground="满五唯一",
        cleared_at=INSTANT,
        taxpayer="seller",
        unit_codes=[c.UNIT],
    )
    read = manifest(evidence=evidence, papers_to_come=["SETTLEMENT_UNDERTAKING"])
    [tax] = read.evidence.tax_clearances
    assert (tax.kind, tax.amount_fen, tax.taxpayer, tax.units) == (
        ops.TaxKind.INCOME,
        0,
        d.SELLER,
        (c.UNIT,),
    )
    assert read.papers_to_come == ("SETTLEMENT_UNDERTAKING",)
    assert len(read.terms.tax_clearances) == 1
    assert decode_evidence(evidence, wire_terms()) == read.evidence


def test_evidence_of_a_stranger_is_refused() -> None:
    """A later act's evidence names parties and units of the case, or it is malformed."""
    evidence = terms_pb2.Evidence()
    evidence.tax_clearances.add(
        kind=codes_pb2.TAX_KIND_DEED,
        number="T-2",
        amount=build.money(1),
        cleared_at=INSTANT,
        taxpayer="nobody",
    )
    with pytest.raises(MalformedRequest) as refused:
        decode_evidence(evidence, wire_terms())
    assert [v.path for v in refused.value.violations] == ["evidence.tax_clearances[0].taxpayer"]


def test_pre_notices_are_read() -> None:
    """Kind 2 with price and contract, kind 4 with the mortgage that it announces."""
    sale = operations.pre_notice_of_sale(
        buyers=["buyer"], sellers=["seller"], price_fen=d.PRICE_FEN, contract_number="WQ-2026-1"
    )
    mortgage = operations.pre_notice_of_mortgage(mortgage_content(mortgage_contract="DY-1"))
    mortgage.pre_notice_create.agreed_in_contract = True
    terms = wire_terms([sale, mortgage])
    terms.mode = codes_pb2.ENCUMBERED_TRANSFER_MODE_UNSPECIFIED
    first, second = decoded(terms, Kind.PRE_NOTICE).operations
    assert isinstance(first, ops.PreNoticeCreate)
    assert isinstance(second, ops.PreNoticeCreate)
    assert first.sale is not None
    assert (first.kind, first.holders, first.obligors) == (
        PreNoticeKind.OTHER_SALE,
        (d.BUYER,),
        (d.SELLER,),
    )
    assert (first.sale.price_fen, first.sale.contract_number) == (d.PRICE_FEN, "WQ-2026-1")
    assert [t.number for t in first.titles] == [c.TITLE]
    assert second.mortgage is not None
    assert (second.holders, second.mortgage.mortgagees) == ((d.B,), (d.B,))
    assert second.mortgage.claim_amount_fen == d.CLAIM_FEN
    assert second.agreed_in_contract


def test_sale_of_a_share_is_read_in_its_lowest_terms() -> None:
    """A part of a unit is not booked as the whole; two quarters are a half."""
    several = steps()
    several[0].ownership_transfer.share_sold.numerator = 2
    several[0].ownership_transfer.share_sold.denominator = 4
    read = decoded(wire_terms(several)).operations[0]
    assert isinstance(read, ops.OwnershipTransfer)
    assert read.share_sold == Share(numerator=1, denominator=2)


@pytest.mark.parametrize("share", [(0, 1), (1, 1), (3, 2), (1, 0), (1, 1_000_000_001)])
def test_share_sold_that_is_no_part_is_malformed(share: tuple[int, int]) -> None:
    """The whole is told by leaving the share out; nothing else is one."""
    several = steps()
    sold = several[0].ownership_transfer.share_sold
    sold.numerator, sold.denominator = share
    assert "terms.operations[0].ownership_transfer.share_sold" in violations(wire_terms(several))


def test_buyers_shares_are_read_exactly() -> None:
    """Shares are fractions, never floating point."""
    transfer = operations.ownership_transfer(
        sellers=["seller"],
        buyers=["buyer", "seller"],
        titles=[c.TITLE],
        price_fen=1,
        co_ownership=codes_pb2.CO_OWNERSHIP_BY_SHARES,
        shares=[common_pb2.Fraction(numerator=n, denominator=3) for n in (1, 2)],
    )
    [read] = decoded(wire_terms([transfer])).operations
    assert isinstance(read, ops.OwnershipTransfer)
    assert [b.share for b in read.buyers] == [
        Share(numerator=1, denominator=3),
        Share(numerator=2, denominator=3),
    ]


def _shares(*numerators: int, held: int, buyers: int = 2) -> operations_pb2.Operation:
    several = ["buyer", "seller"][:buyers]
    operation = operations.ownership_transfer(
        sellers=["seller"],
        buyers=several,
        titles=[c.TITLE],
        price_fen=1,
        co_ownership=codes_pb2.CoOwnership.ValueType(held),
    )
    for buyer, numerator in zip(operation.ownership_transfer.buyers, numerators, strict=False):
        buyer.share.numerator, buyer.share.denominator = numerator, 3
    return operation


BUYERS = "terms.operations[0].ownership_transfer.buyers"


@pytest.mark.parametrize(
    ("operation", "path"),
    [
        (_shares(1, 1, held=codes_pb2.CO_OWNERSHIP_BY_SHARES), BUYERS),
        (_shares(0, 3, held=codes_pb2.CO_OWNERSHIP_BY_SHARES), BUYERS + "[0].share"),
        (_shares(held=codes_pb2.CO_OWNERSHIP_BY_SHARES), BUYERS),
        (_shares(1, 2, held=codes_pb2.CO_OWNERSHIP_JOINT), BUYERS),
        (_shares(held=codes_pb2.CO_OWNERSHIP_SOLE), BUYERS),
        (_shares(held=codes_pb2.CO_OWNERSHIP_JOINT, buyers=1), BUYERS),
        (_shares(held=0), "terms.operations[0].ownership_transfer.co_ownership"),
    ],
    ids=["two-thirds", "zero", "none", "joint", "sole-of-two", "joint-of-one", "unstated"],
)
def test_shares_that_make_no_whole_are_refused(operation: Any, path: str) -> None:
    """Shares belong to ownership by shares and add up to one; one owner is sole (CC 297-299)."""
    assert path in violations(wire_terms([operation]))


def _broken(change: Callable[[terms_pb2.Terms], object]) -> terms_pb2.Terms:
    value = wire_terms()
    change(value)
    return value


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda t: t.ClearField("mode"), "terms.mode"),
        (lambda t: t.sale_contracts[0].ClearField("signed_on"), "terms.sale_contracts[0].signed_on"),
        (lambda t: t.sale_contracts[0].unit_codes.append("x"), "terms.sale_contracts[0].unit_codes[1]"),
        (
            lambda t: setattr(t.sale_contracts[0].price, "currency", "USD"),
            "terms.sale_contracts[0].price.currency",
        ),
        (
            lambda t: setattr(t.payoff_statements[0].balance, "amount_fen", -1),
            "terms.payoff_statements[0].balance.amount_fen",
        ),
        (
            lambda t: setattr(t.payoff_statements[0], "mortgagee", "x"),
            "terms.payoff_statements[0].mortgagee",
        ),
        (
            lambda t: t.payoff_statements[0].valid_until.CopyFrom(build.day(dt.date(2026, 10, 1))),
            "terms.payoff_statements[0].valid_until",
        ),
        (
            lambda t: setattr(t.payoff_statements[0].account, "number", "12 34"),
            "terms.payoff_statements[0].account.number",
        ),
        (lambda t: t.funds_plan.legs[0].ClearField("trigger"), "terms.funds_plan.legs[0].trigger"),
        (lambda t: setattr(t.funds_plan.legs[0], "payee", "x"), "terms.funds_plan.legs[0].payee"),
        (lambda t: t.funds_plan.ClearField("legs"), None),
        (lambda t: t.tax_clearances[0].ClearField("kind"), "terms.tax_clearances[0].kind"),
        (
            lambda t: setattr(t.tax_clearances[0].amount, "amount_fen", 0),
            "terms.tax_clearances[0].exempt_ground",
        ),
        (lambda t: t.tax_clearances[0].ClearField("cleared_at"), "terms.tax_clearances[0].cleared_at"),
        (lambda t: setattr(t.identity_checks[0], "party", "x"), "terms.identity_checks[0].party"),
        (
            lambda t: t.risk_notices[0].ClearField("acknowledged_by"),
            "terms.risk_notices[0].acknowledged_by",
        ),
        (lambda t: t.operations[0].applicants.append("x"), "terms.operations[0].applicants[2]"),
        (
            lambda t: t.operations[0].ownership_transfer.ClearField("price"),
            "terms.operations[0].ownership_transfer.price",
        ),
        (
            lambda t: t.operations[0].ownership_transfer.ClearField("sellers"),
            "terms.operations[0].ownership_transfer.sellers",
        ),
    ],
)
def test_malformed_field_of_the_deal_is_named(
    change: Callable[[terms_pb2.Terms], object], path: str | None
) -> None:
    """Each violation is told by its path; an empty funds plan is a plan without legs."""
    value = _broken(change)
    if path is None:
        value.funds_plan.escrow_agreement_number = "JG-1"
        path = "terms.funds_plan.legs"
    assert path in violations(value)


def test_every_violation_is_told_at_once() -> None:
    """A malformed request is refused once, with all that is wrong."""
    value = wire_terms()
    value.ClearField("mode")
    value.tax_clearances[0].ClearField("number")
    value.funds_plan.legs[0].ClearField("purpose")
    assert {"terms.mode", "terms.tax_clearances[0].number", "terms.funds_plan.legs[0].purpose"} <= violations(
        value
    )


def test_loan_portions_add_up_to_the_claim() -> None:
    """What the portions say in sum is the claim; a fund loan keeps its creditor."""
    portions = [
        operations.loan_portion(d.B.id_number, d.B.name, 50_000_000),
        operations.loan_portion(d.FUND.id_number, d.FUND.name, 30_000_000, fund=True),
    ]
    good = operations.mortgage_first(mortgage_content(80_000_000, portions=portions))
    [mortgage] = decoded(wire_terms([good]), Kind.ENCUMBERED_TRANSFER).operations
    assert isinstance(mortgage, ops.MortgageFirst)
    assert [p.amount_fen for p in mortgage.loan_portions] == [50_000_000, 30_000_000]
    bad = operations.mortgage_first(mortgage_content(80_000_001, portions=portions))
    path = "terms.operations[0].mortgage_first.content.loan_portions"
    assert violations(wire_terms([bad])) == {path}


def test_mortgage_pre_notice_names_its_parties_twice_and_alike() -> None:
    """Obligors and holders are the mortgagors and mortgagees of what is announced."""
    notice = operations.pre_notice_of_mortgage(mortgage_content())
    notice.pre_notice_create.obligors[:] = ["seller"]
    assert violations(wire_terms([notice])) == {"terms.operations[0].pre_notice_create.mortgage.mortgagors"}


def test_pre_notice_with_the_other_kinds_content_is_refused() -> None:
    """Kind decides which of the two contents is set."""
    notice = operations.pre_notice_of_sale(buyers=["buyer"], sellers=["seller"], price_fen=1)
    notice.pre_notice_create.mortgage.CopyFrom(mortgage_content())
    assert "terms.operations[0].pre_notice_create.sale" in violations(wire_terms([notice]))


def test_transfer_is_not_submitted_alone() -> None:
    """OWNERSHIP_TRANSFER comes only inside a combined case (handbook 1.1)."""
    value = wire_terms(steps()[:1])
    for kind in (Kind.MORTGAGE, Kind.MORTGAGE_RELEASE, Kind.PRE_NOTICE):
        assert "terms.operations[0]" in violations(value, kind)


def test_bytes_that_are_no_manifest_are_refused() -> None:
    """Random bytes are malformed, not a defect."""
    with pytest.raises(MalformedRequest):
        decode_manifest(b"\xff\xff\xff", Kind.ENCUMBERED_TRANSFER)
    wire = envelope_pb2.Manifest(terms=b"\xff\xff\xff")
    with pytest.raises(MalformedRequest):
        decode_manifest(wire.SerializeToString(), Kind.ENCUMBERED_TRANSFER)


def test_power_of_attorney_is_read_with_its_scope() -> None:
    """Acts by the operations' names, units canonical, the agency; an act that the contract has not is refused."""
    value = wire_terms()
    power = value.powers_of_attorney.add(
        principal="seller",
        acts=[codes_pb2.OPERATION_KIND_OWNERSHIP_TRANSFER],
        unit_codes=[c.UNIT.lower()],
        form=common_pb2.POWER_OF_ATTORNEY_FORM_NOTARISED,
        deed_number="1",
        agency="示例代办公司",
    )
    power.agent.CopyFrom(value.parties[1].person)
    [read] = decoded(value).powers_of_attorney
    assert (read.acts, read.unit_codes, read.agency) == (("OWNERSHIP_TRANSFER",), (c.UNIT,), "示例代办公司")
    power.acts.append(99)  # type: ignore[arg-type]
    assert violations(value) == {"terms.powers_of_attorney[0].acts"}
    del power.acts[:]
    power.unit_codes[0] = "x"
    assert violations(value) == {
        "terms.powers_of_attorney[0].acts",
        "terms.powers_of_attorney[0].unit_codes[0]",
    }


@pytest.mark.parametrize(("stands", "wrong"), [(True, 0), (False, 1)], ids=["change", "first"])
def test_silence_on_transfer_stands_in_a_change_and_never_in_a_new_mortgage(stands: bool, wrong: int) -> None:
    """A mortgage of 2019 without a word may be changed in its amount alone (golden 43; N54)."""
    content = operations_pb2.MortgageContent(
        transfer_restriction=codes_pb2.TRANSFER_RESTRICTION_UNRECORDED, collateral_kind=0
    )
    found = Violations()
    parts = OperationParts("terms.operations[0]", {}, {}, found)
    value = decode_mortgages.mortgage_content(parts, content, (), "x", stands=stands)
    assert len([v for v in found.found if v.path == "x.transfer_restriction"]) == wrong
    assert (value.transfer_restriction.value == "UNRECORDED") is stands
