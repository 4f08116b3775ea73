"""Wire to domain: what the terms say of the deal behind a combined case, and evidence that came up later.

Sale contracts, payoff statements, the funds plan, tax clearances, identity checks, risk notices. Syntax only.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

from gateway.cases import terms as ops
from gateway.pb.diya.v1 import codes_pb2, common_pb2, terms_pb2
from gateway.register.identifiers import normalise_unit_code
from gateway.rpc import decode_fields as read
from gateway.rpc.violations import Violations

T = TypeVar("T")

#: What one list may hold.
ITEMS_MAX: Final = 200

#: What a day or an instant is while a violation is already noted for it.
_NO_DAY: Final = dt.date(2000, 1, 1)
_NO_INSTANT: Final = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)


class DealReader:
    """Reads the lists of one terms or evidence message; `path` is where it stands."""

    def __init__(self, path: str, units: Iterable[str], parties: read.Parties, wrong: Violations) -> None:
        self._path = path
        self._units = frozenset(units)
        self._parties = parties
        self._wrong = wrong

    def sale_contracts(self, wires: Sequence[terms_pb2.SaleContract]) -> tuple[ops.SaleContract, ...]:
        """Each filed contract."""
        found = []
        for wire, path in self._each(wires, "sale_contracts"):
            signed = read.date(wire, "signed_on", path, self._wrong)
            found.append(
                ops.SaleContract(
                    contract_number=wire.contract_number,
                    filing_number=wire.filing_number,
                    signed_on=signed or _NO_DAY,
                    price_fen=read.fen(wire, "price", path, self._wrong),
                    units=self._unit_codes(wire.unit_codes, path),
                    registrable_from=read.date(wire, "registrable_from", path, self._wrong, needed=False),
                )
            )
        return tuple(found)

    def payoff_statements(
        self, wires: Sequence[terms_pb2.PayoffStatement]
    ) -> tuple[ops.PayoffStatement, ...]:
        """One for each old mortgage; a balance of zero is a loan paid off already."""
        found = []
        for wire, path in self._each(wires, "payoff_statements"):
            proof = read.certificate(wire.proof, path + ".proof", self._wrong)
            balance = read.fen(wire, "balance", path, self._wrong, least=0)
            daily = read.fen(wire, "per_diem", path, self._wrong, needed=False, least=0)
            as_of = read.date(wire, "as_of", path, self._wrong)
            until = read.date(wire, "valid_until", path, self._wrong)
            if as_of and until and until < as_of:
                self._wrong.add(path + ".valid_until", "早于 as_of", "is before as_of")
            account = self._account(wire.account, path + ".account")
            mortgagee = read.party(wire.mortgagee, self._parties, path + ".mortgagee", self._wrong)
            if mortgagee is None:
                continue
            found.append(
                ops.PayoffStatement(
                    proof=proof,
                    balance_fen=balance,
                    as_of=as_of or _NO_DAY,
                    per_diem_fen=daily,
                    account=account,
                    overdue=wire.overdue,
                    valid_until=until or _NO_DAY,
                    mortgagee=mortgagee,
                )
            )
        return tuple(found)

    def funds_plan(self, wire: terms_pb2.Terms) -> ops.FundsPlan | None:
        """The money legs in their order; None where the terms have no plan."""
        if not wire.HasField("funds_plan"):
            return None
        legs = [self._leg(leg, path) for leg, path in self._each(wire.funds_plan.legs, "funds_plan.legs")]
        read.required(legs, f"{self._path}.funds_plan.legs", self._wrong)
        return ops.FundsPlan(
            legs=tuple(leg for leg in legs if leg is not None),
            escrow_agreement_number=wire.funds_plan.escrow_agreement_number,
        )

    def tax_clearances(self, wires: Sequence[terms_pb2.TaxClearance]) -> tuple[ops.TaxClearance, ...]:
        """Taxes paid or exempt."""
        found = []
        for wire, path in self._each(wires, "tax_clearances"):
            kind = read.enum_name(codes_pb2.TaxKind, wire.kind, "TAX_KIND_")
            read.required(kind, path + ".kind", self._wrong)
            read.required(wire.number.strip(), path + ".number", self._wrong)
            amount = read.fen(wire, "amount", path, self._wrong, least=0)
            if not amount and not wire.exempt_ground:
                self._wrong.add(
                    path + ".exempt_ground",
                    "税额为零时须写明免税依据",
                    "is required where nothing was paid",
                )
            cleared = read.instant(wire, "cleared_at", path, self._wrong)
            payer = (
                read.party(wire.taxpayer, self._parties, path + ".taxpayer", self._wrong)
                if wire.taxpayer
                else None
            )
            found.append(
                ops.TaxClearance(
                    kind=ops.TaxKind(kind or "DEED"),
                    number=wire.number.strip(),
                    amount_fen=amount,
                    cleared_at=cleared or _NO_INSTANT,
                    exempt_ground=wire.exempt_ground,
                    taxpayer=payer,
                    units=self._unit_codes(wire.unit_codes, path),
                )
            )
        return tuple(found)

    def identity_checks(self, wires: Sequence[common_pb2.IdentityCheck]) -> tuple[ops.IdentityCheck, ...]:
        """Results of identity checks of natural persons."""
        found = []
        for wire, path in self._each(wires, "identity_checks"):
            person = read.party(wire.party, self._parties, path + ".party", self._wrong)
            method = read.enum_name(common_pb2.IdentityCheckMethod, wire.method, "IDENTITY_CHECK_METHOD_")
            read.required(method, path + ".method", self._wrong)
            checked = read.instant(wire, "checked_at", path, self._wrong)
            result = read.enum_name(common_pb2.IdentityCheckResult, wire.result, "IDENTITY_CHECK_RESULT_")
            read.required(result, path + ".result", self._wrong)
            read.required(wire.provider.strip(), path + ".provider", self._wrong)
            if len(wire.evidence_sha256) not in (0, 32):
                self._wrong.add(path + ".evidence_sha256", "必须是 32 字节", "must be 32 bytes")
            if person is None:
                continue
            found.append(
                ops.IdentityCheck(
                    person_id_number=person.id_number,
                    method=method,
                    provider=wire.provider,
                    passed=result == "PASSED",
                    checked_at=checked or _NO_INSTANT,
                    evidence_sha256=wire.evidence_sha256.hex(),
                )
            )
        return tuple(found)

    def risk_notices(self, wires: Sequence[common_pb2.RiskNotice]) -> tuple[ops.RiskNotice, ...]:
        """Risk notices that were shown and acknowledged."""
        found = []
        for wire, path in self._each(wires, "risk_notices"):
            read.required(wire.version, path + ".version", self._wrong)
            shown = read.instant(wire, "shown_at", path, self._wrong)
            found.append(
                ops.RiskNotice(
                    version=wire.version,
                    shown_at=shown or _NO_INSTANT,
                    acknowledged_by=read.named(
                        wire.acknowledged_by, self._parties, path + ".acknowledged_by", self._wrong
                    ),
                )
            )
        return tuple(found)

    def evidence(self, wire: terms_pb2.Evidence) -> ops.Evidence:
        """Facts that came up after the terms were fixed."""
        return ops.Evidence(
            tax_clearances=self.tax_clearances(wire.tax_clearances),
            identity_checks=self.identity_checks(wire.identity_checks),
            risk_notices=self.risk_notices(wire.risk_notices),
        )

    def _leg(self, wire: terms_pb2.FundsLeg, path: str) -> ops.FundsLeg | None:
        payer = read.party(wire.payer, self._parties, path + ".payer", self._wrong)
        payee = read.party(wire.payee, self._parties, path + ".payee", self._wrong)
        trigger = read.enum_name(terms_pb2.FundsTrigger, wire.trigger, "FUNDS_TRIGGER_")
        read.required(trigger, path + ".trigger", self._wrong)
        purpose = read.enum_name(terms_pb2.FundsPurpose, wire.purpose, "FUNDS_PURPOSE_")
        read.required(purpose, path + ".purpose", self._wrong)
        amount = read.fen(wire, "amount", path, self._wrong)
        account = self._account(wire.account, path + ".account")
        if payer is None or payee is None or not trigger or not purpose:
            return None
        return ops.FundsLeg(
            payer=payer,
            payee=payee,
            payee_locked=wire.payee_locked,
            amount_fen=amount,
            trigger=ops.FundsTrigger(trigger),
            purpose=ops.FundsPurpose(purpose),
            account=account,
        )

    def _account(self, wire: terms_pb2.Account, path: str) -> ops.Account:
        read.required(wire.holder_name.strip(), path + ".holder_name", self._wrong)
        if not (wire.number.isascii() and wire.number.isdigit()):
            self._wrong.add(path + ".number", "必须是数字", "must be digits")
        return ops.Account(
            holder_name=wire.holder_name.strip(),
            number=wire.number,
            bank_name=wire.bank_name,
            cnaps=wire.cnaps,
        )

    def _unit_codes(self, texts: Sequence[str], path: str) -> tuple[str, ...]:
        codes = []
        for number, text in enumerate(texts):
            place = f"{path}.unit_codes[{number}]"
            with self._wrong.at(place, "UNIT_CODE_MALFORMED"):
                code = normalise_unit_code(text)
                if code not in self._units:
                    self._wrong.add(place, "不在 terms.units 中", "is not among terms.units")
                codes.append(code)
        return tuple(codes)

    def _each(self, wires: Sequence[T], name: str) -> Iterable[tuple[T, str]]:
        """The items of a list with their paths; too long a list is noted and cut."""
        path = f"{self._path}.{name}"
        read.limit(len(wires), ITEMS_MAX, path, self._wrong)
        return [(wire, f"{path}[{number}]") for number, wire in enumerate(wires[:ITEMS_MAX])]
