"""Wire to domain: the operations of the terms, one reader for each that this version books.

Syntax only, as in gateway/rpc/decode.py. An operation that the contract knows and this version does not book
becomes an `OtherOperation`, which the law answers with NOT_IMPLEMENTED_KIND.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from fractions import Fraction
from typing import Final

import msgspec

from gateway.cases import terms as ops
from gateway.cases.model import Kind
from gateway.pb.diya.v1 import codes_pb2, operations_pb2
from gateway.register import model as m
from gateway.register.identifiers import normalise_unit_code
from gateway.rpc import decode_fields as read
from gateway.rpc.violations import Violations

TEXT_CHARACTERS_MAX: Final = 4000

#: What a date is while a violation is already noted for it.
_NO_DAY: Final = dt.date(2000, 1, 1)

_KIND_OF_OPERATIONS: Final[dict[str, Kind]] = {
    "mortgage_first": Kind.MORTGAGE,
    "mortgage_change": Kind.MORTGAGE,
    "mortgage_transfer": Kind.MORTGAGE,
    "claim_fixing": Kind.MORTGAGE,
    "construction_mortgage_first": Kind.MORTGAGE,
    "construction_mortgage_change": Kind.MORTGAGE,
    "construction_mortgage_transfer": Kind.MORTGAGE,
    "correction": Kind.MORTGAGE,
    "reissue": Kind.MORTGAGE,
    "mortgage_release": Kind.MORTGAGE_RELEASE,
    "construction_mortgage_release": Kind.MORTGAGE_RELEASE,
    "pre_notice_create": Kind.PRE_NOTICE,
    "pre_notice_convert": Kind.PRE_NOTICE,
    "pre_notice_release": Kind.PRE_NOTICE,
}

#: Pre-notices of second-hand units; those of a pre-sale rest on a filed pre-sale contract.
_SECOND_HAND: Final = frozenset({m.PreNoticeKind.OTHER_SALE, m.PreNoticeKind.OTHER_MORTGAGE})
_OF_A_SALE: Final = frozenset({m.PreNoticeKind.PRESALE_SALE, m.PreNoticeKind.OTHER_SALE})


class OperationReader:
    """Reads one operation; `path` is its place in the terms, `units` maps unit codes to titles cited for them."""

    def __init__(
        self,
        path: str,
        units: dict[str, tuple[m.CertificateRef, ...]],
        parties: read.Parties,
        wrong: Violations,
    ) -> None:
        self._path = path
        self._units = units
        self._parties = parties
        self._wrong = wrong

    def read(self, wire: operations_pb2.Operation, kind: Kind | None) -> ops.AnyOperation:
        """The operation as a value; violations are noted, never raised."""
        which = wire.WhichOneof("kind") or ""
        read.required(which, self._path + ".kind", self._wrong)
        expected = _KIND_OF_OPERATIONS.get(which)
        if kind is not None and kind is not Kind.ENCUMBERED_TRANSFER and expected is not kind:
            self._wrong.add(
                self._path,
                f"{which} 不能经此方法提交",
                f"{which} is not submitted through this method",
                "OPERATION_NOT_OF_KIND",
            )
        units = self._unit_codes(wire)
        operation: ops.AnyOperation
        match which:
            case "mortgage_first":
                path = f"{self._path}.mortgage_first.content"
                operation = self._mortgage(wire.mortgage_first.content, units, path)
            case "mortgage_release":
                operation = self._mortgage_release(wire, units)
            case "ownership_transfer":
                operation = self._ownership_transfer(wire.ownership_transfer, units)
            case "pre_notice_create":
                operation = self._pre_notice(wire.pre_notice_create, units)
            case _:
                operation = ops.OtherOperation(name=which.upper(), units=units)
        return msgspec.structs.replace(
            operation,
            applicants=self._named(wire.applicants, self._path + ".applicants", needed=False),
            consenters=self._named(wire.consenters, self._path + ".consenters", needed=False),
        )

    # -- one for each operation ----------------------------------------------------------------------------------

    def _mortgage(
        self, content: operations_pb2.MortgageContent, units: tuple[str, ...], path: str
    ) -> ops.MortgageFirst:
        kind = read.enum_name(codes_pb2.MortgageKind, content.kind, "MORTGAGE_KIND_")
        ordinary = kind != "MAXIMUM_AMOUNT"
        self._required(kind, path + ".kind")
        claim = read.money(content, "claim_amount", path, self._wrong, needed=ordinary)
        ceiling = read.money(content, "max_claim_amount", path, self._wrong, needed=not ordinary)
        if (ordinary and ceiling) or (not ordinary and claim):
            self._wrong.add(
                path + (".max_claim_amount" if ordinary else ".claim_amount"),
                "一般抵押只填 claim_amount，最高额抵押只填 max_claim_amount",
                "an ordinary mortgage has claim_amount only, a maximum-amount one max_claim_amount only",
            )
        start = read.date(content, "term_start", path, self._wrong)
        end = read.date(content, "term_end", path, self._wrong)
        if start and end and start > end:
            self._wrong.add(path + ".term_end", "早于 term_start", "is before term_start")
        scope = content.secured_scope.strip()
        if not scope or len(scope) > TEXT_CHARACTERS_MAX:
            self._wrong.add(
                path + ".secured_scope", "必填；没有约定填 /", "is required; put / when none is agreed"
            )
        relation = read.enum_name(
            codes_pb2.MortgagorRelation, content.mortgagor_relation, "MORTGAGOR_RELATION_"
        )
        self._required(relation, path + ".mortgagor_relation")
        return ops.MortgageFirst(
            units=units,
            kind=m.MortgageKind(kind or "ORDINARY"),
            mortgagors=self._named(content.mortgagors, path + ".mortgagors"),
            mortgagees=self._named(content.mortgagees, path + ".mortgagees"),
            debtors=self._named(content.debtors, path + ".debtors"),
            mortgagor_relation=m.MortgagorRelation(relation or "DEBTOR"),
            claim_amount_fen=claim[0] if claim else None,
            max_claim_amount_fen=ceiling[0] if ceiling else None,
            currency=(claim or ceiling or (0, "CNY"))[1],
            loan_portions=self._portions(content, claim if ordinary else None, path),
            term_start=start or _NO_DAY,
            term_end=end or _NO_DAY,
            secured_scope=scope or "/",
            transfer_restriction=self._restriction(content, path),
            contract_number=content.mortgage_contract_number,
            agreed_rank=content.agreed_rank or None,
            titles=self._titles(units),
        )

    def _mortgage_release(
        self, wire: operations_pb2.Operation, units: tuple[str, ...]
    ) -> ops.MortgageRelease:
        path = f"{self._path}.mortgage_release"
        release = wire.mortgage_release
        ground = read.enum_name(operations_pb2.ReleaseGround, release.ground, "RELEASE_GROUND_")
        self._required(ground, path + ".ground")
        known = {g.value for g in ops.ReleaseGround}
        mortgagees = self._named(release.mortgagees, path + ".mortgagees", needed=False)
        if not mortgagees:  # who releases alone may be named once, as applicant
            applicants = self._named(wire.applicants, self._path + ".applicants")
            mortgagees = tuple(p for p in applicants if p.is_institution) or applicants
        return ops.MortgageRelease(
            units=units,
            proof=read.certificate(release.mortgage.certificate, path + ".mortgage.certificate", self._wrong),
            mortgagees=mortgagees,
            ground=ops.ReleaseGround(ground if ground in known else "OTHER"),
            settled_on=read.date(release, "ended_on", path, self._wrong, needed=False),
        )

    def _ownership_transfer(
        self, wire: operations_pb2.OwnershipTransfer, units: tuple[str, ...]
    ) -> ops.AnyOperation:
        path = f"{self._path}.ownership_transfer"
        if wire.HasField("share_sold"):
            return ops.OtherOperation(name="OWNERSHIP_TRANSFER share_sold", units=units)
        held = self._co_ownership(wire.co_ownership, path + ".co_ownership")
        buyers = self._owners(wire.buyers, held, path + ".buyers")
        self._required(wire.buyers, path + ".buyers")
        titles = tuple(
            read.certificate(t, f"{path}.titles[{n}]", self._wrong) for n, t in enumerate(wire.titles)
        )
        titles = titles or self._titles(units)
        self._required(titles, path + ".titles")
        return ops.OwnershipTransfer(
            units=units,
            sellers=self._named(wire.sellers, path + ".sellers"),
            buyers=buyers,
            co_ownership=held,
            price_fen=read.fen(wire, "price", path, self._wrong),
            titles=titles,
        )

    def _pre_notice(self, wire: operations_pb2.PreNoticeCreate, units: tuple[str, ...]) -> ops.AnyOperation:
        path = f"{self._path}.pre_notice_create"
        name = read.enum_name(codes_pb2.PreNoticeKind, wire.kind, "PRE_NOTICE_KIND_")
        self._required(name, path + ".kind")
        kind = m.PreNoticeKind(name or "OTHER_SALE")
        if kind not in _SECOND_HAND:
            return ops.OtherOperation(name=f"PRE_NOTICE_CREATE {kind.value}", units=units)
        wanted = "sale" if kind in _OF_A_SALE else "mortgage"
        if wire.WhichOneof("content") != wanted:
            self._wrong.add(f"{path}.{wanted}", f"{kind.value} 须填 {wanted}", f"{kind.value} needs {wanted}")
        sale: ops.SaleNotice | None = None
        mortgage: ops.MortgageFirst | None = None
        if wanted == "sale":
            sale = self._sale(wire.sale, path + ".sale")
        else:
            mortgage = self._mortgage(wire.mortgage, units, path + ".mortgage")
            for side, ours, theirs in (
                ("mortgagors", wire.mortgage.mortgagors, wire.obligors),
                ("mortgagees", wire.mortgage.mortgagees, wire.holders),
            ):
                if set(ours) != set(theirs):
                    self._wrong.add(
                        f"{path}.mortgage.{side}",
                        "与预告登记的义务人、权利人不一致",
                        "differ from the obligors and holders of the pre-notice",
                    )
        return ops.PreNoticeCreate(
            units=units,
            kind=kind,
            holders=self._named(wire.holders, path + ".holders"),
            obligors=self._named(wire.obligors, path + ".obligors"),
            sale=sale,
            mortgage=mortgage,
            agreed_in_contract=wire.agreed_in_contract,
            registrable_from=read.date(wire, "registrable_from", path, self._wrong, needed=False),
            titles=self._titles(units),
        )

    def _sale(self, wire: operations_pb2.SalePreNotice, path: str) -> ops.SaleNotice:
        held = m.CoOwnership.SOLE
        if wire.co_ownership:
            held = self._co_ownership(wire.co_ownership, path + ".co_ownership")
        return ops.SaleNotice(
            price_fen=read.fen(wire, "price", path, self._wrong),
            contract_number=wire.contract_number,
            buyers=self._owners(wire.shares, held, path + ".shares") if wire.shares else (),
            co_ownership=held,
        )

    # -- parts ---------------------------------------------------------------------------------------------------

    def _co_ownership(self, number: int, path: str) -> m.CoOwnership:
        name = read.enum_name(codes_pb2.CoOwnership, number, "CO_OWNERSHIP_")
        self._required(name, path)
        return m.CoOwnership(name or "SOLE")

    def _owners(
        self, wires: Sequence[operations_pb2.OwnerShare], held: m.CoOwnership, path: str
    ) -> tuple[m.Owner, ...]:
        """Who is to hold, with shares that make a whole where they hold by shares (CC 298)."""
        owners: list[m.Owner] = []
        total = Fraction()
        for number, wire in enumerate(wires):
            person = read.party(wire.party, self._parties, f"{path}[{number}].party", self._wrong)
            share: m.Share | None = None
            if wire.HasField("share"):
                above, below = wire.share.numerator, wire.share.denominator
                if 0 < above <= below:
                    share, total = m.Share(numerator=above, denominator=below), total + Fraction(above, below)
                else:
                    self._wrong.add(f"{path}[{number}].share", "必须大于零且不大于一", "must lie in (0, 1]")
            if person is not None:
                owners.append(m.Owner(person=person, share=share))
        by_shares = held is m.CoOwnership.BY_SHARES
        if by_shares and total != 1:
            self._wrong.add(path, "按份共有的份额之和必须为一", "shares must add up to one")
        if not by_shares and total:
            self._wrong.add(path, "只有按份共有才填份额", "shares belong to ownership by shares only")
        if (held is m.CoOwnership.SOLE) != (len(wires) == 1) and wires:
            self._wrong.add(
                path, "单独所有须且只须一人", "sole ownership has exactly one owner, co-ownership several"
            )
        return tuple(owners)

    def _restriction(self, content: operations_pb2.MortgageContent, path: str) -> m.TransferRestriction:
        restriction = read.enum_name(
            codes_pb2.TransferRestriction, content.transfer_restriction, "TRANSFER_RESTRICTION_"
        )
        if restriction in ("NONE", "RESTRICTED"):
            return m.TransferRestriction(restriction)
        self._wrong.add(
            path + ".transfer_restriction",
            "新设抵押权须记载 NONE 或 RESTRICTED（是否约定禁止或限制转让）",
            "a new mortgage records NONE or RESTRICTED",
        )
        return m.TransferRestriction.NONE

    def _portions(
        self, content: operations_pb2.MortgageContent, claim: tuple[int, str] | None, path: str
    ) -> tuple[m.LoanPortion, ...]:
        """The portions of the loan; of an ordinary mortgage they add up to the claim."""
        path = path + ".loan_portions"
        portions = tuple(self._portion(p, f"{path}[{n}]") for n, p in enumerate(content.loan_portions))
        if portions and claim and sum(p.amount_fen for p in portions) != claim[0]:
            self._wrong.add(
                path, "各部分金额之和不等于 claim_amount", "amounts do not add up to claim_amount"
            )
        return portions

    def _portion(self, wire: operations_pb2.LoanPortion, path: str) -> m.LoanPortion:
        kind = read.enum_name(codes_pb2.LoanPortionKind, wire.kind, "LOAN_PORTION_KIND_")
        self._required(kind, path + ".kind")
        amount = read.money(wire, "amount", path, self._wrong)
        return m.LoanPortion(
            kind=m.LoanPortionKind(kind or "COMMERCIAL"),
            creditor=read.institution(wire.creditor, path + ".creditor", self._wrong),
            entrusted_bank=(
                read.institution(wire.entrusted_bank, path + ".entrusted_bank", self._wrong)
                if wire.HasField("entrusted_bank")
                else None
            ),
            amount_fen=amount[0] if amount else 0,
            term_start=read.date(wire, "term_start", path, self._wrong, needed=False),
            term_end=read.date(wire, "term_end", path, self._wrong, needed=False),
        )

    def _unit_codes(self, wire: operations_pb2.Operation) -> tuple[str, ...]:
        """The units of the operation; none named means every unit of the terms."""
        if not wire.unit_codes:
            return tuple(self._units)
        codes = []
        for number, text in enumerate(wire.unit_codes):
            path = f"{self._path}.unit_codes[{number}]"
            with self._wrong.at(path, "UNIT_CODE_MALFORMED"):
                code = normalise_unit_code(text)
                if code not in self._units:
                    self._wrong.add(path, "不在 terms.units 中", "is not among terms.units")
                codes.append(code)
        return tuple(codes)

    def _titles(self, units: tuple[str, ...]) -> tuple[m.CertificateRef, ...]:
        """The titles that the terms cite for these units."""
        return tuple(t for code in units for t in self._units.get(code, ()))

    def _named(self, ids: Sequence[str], path: str, *, needed: bool = True) -> tuple[m.Party, ...]:
        return read.named(ids, self._parties, path, self._wrong, needed=needed)

    def _required(self, value: object, path: str) -> None:
        read.required(value, path, self._wrong)
