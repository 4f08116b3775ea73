"""Building operations (登记操作) for terms: the kinds that banks file every day.

Parties are named by their id in the same terms. Whatever has no builder here is made from the
messages of `gateway.pb.diya.v1.operations_pb2` directly; the builders hide nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from gateway.client.manifest import certificate, day, money, right
from gateway.pb.diya.v1 import codes_pb2, common_pb2, operations_pb2


def mortgage_content(
    *,
    mortgagors: Sequence[str],
    mortgagees: Sequence[str],
    debtors: Sequence[str],
    claim_fen: int,
    term: tuple[date, date],
    restricted: bool = True,
    restriction_text: str = "",
    secured_scope: str = "/",
    portions: Sequence[operations_pb2.LoanPortion] = (),
    loan_contract: str = "",
    mortgage_contract: str = "",
) -> operations_pb2.MortgageContent:
    """An ordinary mortgage (一般抵押) of land and building. claim_fen: secured claim, in fen.

    term: first and last day of the debt's term. restricted: the parties limit the transfer. Without
    `portions` the loan is of one kind. Mortgagor and debtor are compared by their ids.
    """
    same = set(mortgagors) == set(debtors)
    start, end = term
    return operations_pb2.MortgageContent(
        kind=codes_pb2.MORTGAGE_KIND_ORDINARY,
        mortgagors=mortgagors,
        mortgagees=mortgagees,
        debtors=debtors,
        mortgagor_relation=(
            codes_pb2.MORTGAGOR_RELATION_DEBTOR if same else codes_pb2.MORTGAGOR_RELATION_THIRD_PARTY
        ),
        claim_amount=money(claim_fen),
        term_start=day(start),
        term_end=day(end),
        secured_scope=secured_scope,
        transfer_restriction=(
            codes_pb2.TRANSFER_RESTRICTION_RESTRICTED if restricted else codes_pb2.TRANSFER_RESTRICTION_NONE
        ),
        transfer_restriction_text=restriction_text,
        collateral_kind=codes_pb2.COLLATERAL_KIND_LAND_AND_BUILDING,
        loan_portions=portions,
        principal_contract_number=loan_contract,
        mortgage_contract_number=mortgage_contract or loan_contract,
    )


def mortgage_first(
    content: operations_pb2.MortgageContent,
    *,
    reason: str = "设立抵押权",
    unit_codes: Sequence[str] = (),
) -> operations_pb2.Operation:
    """First registration of a mortgage (抵押权首次登记): mortgagors and mortgagees apply
    together.
    """
    return operations_pb2.Operation(
        reason=reason,
        unit_codes=unit_codes,
        applicants=_once(content.mortgagors, content.mortgagees),
        mortgage_first=operations_pb2.MortgageFirst(content=content),
    )


def mortgage_release(
    proof_number: str,
    *,
    applicants: Sequence[str],
    ended_on: date | None = None,
    ground: operations_pb2.ReleaseGround.ValueType = operations_pb2.RELEASE_GROUND_CLAIM_SETTLED,
    reason: str = "债权消灭",
    unit_codes: Sequence[str] = (),
) -> operations_pb2.Operation:
    """Release of a mortgage (抵押权注销登记) by the number of its live proof.

    applicants: the mortgagees of record suffice on settlement or waiver. ended_on: day on which the
    claim ended.
    """
    return operations_pb2.Operation(
        reason=reason,
        unit_codes=unit_codes,
        applicants=applicants,
        mortgage_release=operations_pb2.MortgageRelease(
            mortgage=right(proof_number),
            ground=ground,
            ended_on=None if ended_on is None else day(ended_on),
        ),
    )


def pre_notice_of_sale(
    *,
    buyers: Sequence[str],
    sellers: Sequence[str],
    price_fen: int,
    contract_number: str = "",
    co_ownership: codes_pb2.CoOwnership.ValueType = codes_pb2.CO_OWNERSHIP_SOLE,
    kind: codes_pb2.PreNoticeKind.ValueType = codes_pb2.PRE_NOTICE_KIND_OTHER_SALE,
    reason: str = "买卖预告登记",
) -> operations_pb2.Operation:
    """Pre-notice of a sale (买卖预告登记), of a second-hand unit by default."""
    return operations_pb2.Operation(
        reason=reason,
        applicants=_once(sellers, buyers),
        pre_notice_create=operations_pb2.PreNoticeCreate(
            kind=kind,
            holders=buyers,
            obligors=sellers,
            sale=operations_pb2.SalePreNotice(
                price=money(price_fen),
                contract_number=contract_number,
                shares=[operations_pb2.OwnerShare(party=one) for one in buyers],
                co_ownership=co_ownership,
            ),
        ),
    )


def pre_notice_of_mortgage(
    content: operations_pb2.MortgageContent,
    *,
    kind: codes_pb2.PreNoticeKind.ValueType = codes_pb2.PRE_NOTICE_KIND_OTHER_MORTGAGE,
    reason: str = "抵押权预告登记",
) -> operations_pb2.Operation:
    """Pre-notice of a mortgage (抵押权预告登记) on what is being bought, second-hand by default."""
    return operations_pb2.Operation(
        reason=reason,
        applicants=_once(content.mortgagors, content.mortgagees),
        pre_notice_create=operations_pb2.PreNoticeCreate(
            kind=kind,
            holders=content.mortgagees,
            obligors=content.mortgagors,
            mortgage=content,
        ),
    )


def ownership_transfer(
    *,
    sellers: Sequence[str],
    buyers: Sequence[str],
    titles: Sequence[str],
    price_fen: int,
    co_ownership: codes_pb2.CoOwnership.ValueType = codes_pb2.CO_OWNERSHIP_SOLE,
    shares: Sequence[common_pb2.Fraction] = (),
    share_sold: common_pb2.Fraction | None = None,
    reason: str = "买卖",
) -> operations_pb2.Operation:
    """Transfer of ownership (转移登记) inside a combined case. titles: numbers of the old titles.

    shares: one for each buyer when held by shares. share_sold: of the unit, where not all of it is sold; shares then
    divide it. Raises ValueError when the number of shares is not that of the buyers.
    """
    if shares and len(shares) != len(buyers):
        raise ValueError(f"{len(buyers)} buyers and {len(shares)} shares")
    return operations_pb2.Operation(
        reason=reason,
        applicants=_once(sellers, buyers),
        ownership_transfer=operations_pb2.OwnershipTransfer(
            sellers=sellers,
            buyers=[
                operations_pb2.OwnerShare(party=one, share=shares[n] if shares else None)
                for n, one in enumerate(buyers)
            ],
            co_ownership=co_ownership,
            share_sold=share_sold,
            titles=[certificate(one) for one in titles],
            price=money(price_fen),
        ),
    )


def loan_portion(
    creditor_uscc: str,
    creditor_name: str,
    amount_fen: int,
    *,
    fund: bool = False,
    entrusted_bank_uscc: str = "",
) -> operations_pb2.LoanPortion:
    """One portion of a loan; `fund` for a provident fund loan, whose creditor is the fund
    centre.
    """
    return operations_pb2.LoanPortion(
        kind=(codes_pb2.LOAN_PORTION_KIND_PROVIDENT_FUND if fund else codes_pb2.LOAN_PORTION_KIND_COMMERCIAL),
        creditor=common_pb2.InstitutionReference(uscc=creditor_uscc, name=creditor_name),
        entrusted_bank=(
            common_pb2.InstitutionReference(uscc=entrusted_bank_uscc) if entrusted_bank_uscc else None
        ),
        amount=money(amount_fen),
    )


def _once(*groups: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(one for group in groups for one in group))
