"""The register on the wire: a unit with everything that lies on it, as far as a reader's basis reaches.

Identity numbers are masked, and telephones and addresses left out, of everybody but the parties of the reader's
own rights; of other lenders' mortgages the portions of the loan are left out too.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.applications.restrictions import suit_due_on
from gateway.cases.feed import CounterCase
from gateway.cases.model import Application
from gateway.pb.diya.v1 import codes_pb2, common_pb2, operations_pb2, register_pb2
from gateway.register import model as m
from gateway.register.calendar import CHINA, Calendar
from gateway.register.identifiers import mask
from gateway.register.states import is_first_registered
from gateway.rpc.encode import date, person, timestamp

#: Whether a reader may see a right's persons and portions whole.
Whole = Callable[[m.AnyRight], bool]

_LIVE = codes_pb2.RIGHT_STATUS_LIVE


def unit_state(
    registry: str,
    state: m.UnitState,
    cases: tuple[Application, ...],
    whole: Whole,
    own_case: Callable[[Application], bool],
    now: dt.datetime,
) -> register_pb2.UnitState:
    """A unit's state; `own_case` says of which open cases the reader is a party, `now` which seizures have lapsed."""
    view = _View(state.unit.unit_code, whole)
    rights = state.rights
    return register_pb2.UnitState(
        unit=_unit(registry, state.unit),
        ownerships=[view.ownership(r) for r in rights if isinstance(r, m.Ownership)],
        mortgages=[view.mortgage(r, rank) for rank, r in enumerate(state.mortgages, start=1)],
        pre_notices=[view.pre_notice(r) for r in state.pre_notices],
        seizures=view.seizures(state.seizures, now),
        dissents=[view.dissent(r) for r in rights if isinstance(r, m.Dissent)],
        habitations=[view.habitation(r) for r in rights if isinstance(r, m.Habitation)],
        easements=[view.easement(r) for r in rights if isinstance(r, m.Easement)],
        open_cases=[_open_case(case, own=own_case(case)) for case in cases],
    )


def add_terms(wire: register_pb2.UnitState, state: m.UnitState, calendar: Calendar) -> None:
    """Until when each pre-notice can be converted (CC 221), and over each dissent suit be filed (CC 220)."""
    dissents = [right for right in state.rights if isinstance(right, m.Dissent)]
    for told, dissent in zip(wire.dissents, dissents, strict=True):
        told.suit_due_on.CopyFrom(date(suit_due_on(dissent, calendar)[0]))
    for shown, right in zip(wire.pre_notices, state.pre_notices, strict=True):
        if right.registrable_from is None or not is_first_registered(state):
            continue
        last, provisional = calendar.lapses_after(right.registrable_from)
        shown.convertible_until.CopyFrom(date(last))
        shown.convertible_until_provisional = provisional


def add_counter(
    wire: register_pb2.UnitState, cases: tuple[CounterCase, ...], as_of: dt.datetime | None, *, numbers: bool
) -> None:
    """Beside ours, the open cases of the authority's counter, all in order of acceptance; until when it is known."""
    own = [*wire.open_cases]
    own += [
        register_pb2.OpenCase(
            case_number=case.case_number if numbers else "",
            accepted_at=timestamp(case.accepted_at),
            from_counter=True,
        )
        for case in cases
    ]
    del wire.open_cases[:]
    wire.open_cases.extend(sorted(own, key=lambda c: c.accepted_at.ToNanoseconds()))
    stamp = timestamp(as_of)
    if stamp is not None:
        wire.counter_as_of.CopyFrom(stamp)


def add_notices(wire: register_pb2.UnitState, rows: Sequence[Mapping[str, Any]]) -> None:
    """Which lender was told of each seizure, and when it had read that; a renewal goes on from its first row."""
    for seizure in wire.seizures:
        for row in rows:
            if row["right_id"] not in (seizure.right_id, seizure.renewed_from):
                continue
            notice = seizure.notified.add(
                lender=common_pb2.InstitutionReference(uscc=row["institution"]),
                event_sequence=row["sequence"],
                maximum_amount=row["maximum_amount"],
            )
            notice.told_at.FromJsonString(row["told_at"])
            if row["read_at"]:
                notice.read_at.FromJsonString(row["read_at"])


def _unit(registry: str, unit: m.Unit) -> register_pb2.Unit:
    return register_pb2.Unit(
        name=f"registries/{registry}/units/{unit.unit_code}",
        unit_code=unit.unit_code,
        kind=register_pb2.UnitKind.Value(f"UNIT_KIND_{unit.kind.value}"),
        location=unit.location,
        use=_value(codes_pb2.UnitUse, "UNIT_USE_", unit.use),
        housing_kind=_value(codes_pb2.HousingKind, "HOUSING_KIND_", unit.housing_kind),
        land_right=_value(codes_pb2.LandRight, "LAND_RIGHT_", unit.land_nature),
        area_m2_hundredths=unit.floor_area,
        floor=unit.floor,
        floors=unit.floors_total,
        county_code=unit.county_code,
        first_registered=unit.first_registered,
        land_term_end=date(unit.land_term_end),
        holds=[register_pb2.UnitHold.Value(f"UNIT_HOLD_{hold.value}") for hold in unit.holds],
    )


def _open_case(case: Application, *, own: bool) -> register_pb2.OpenCase:
    return register_pb2.OpenCase(
        case_number=case.case_number if own else "",
        operations=[_value(codes_pb2.OperationKind, "OPERATION_KIND_", name) for name in case.operations],
        accepted_at=timestamp(case.accepted_at),
    )


class _View:
    """Encodes the rights on one unit for one reader."""

    def __init__(self, unit_code: str, whole: Whole) -> None:
        self._unit_code = unit_code
        self._whole = whole

    def ownership(self, right: m.Ownership) -> register_pb2.Ownership:
        return register_pb2.Ownership(
            right_id=right.right_id,
            unit_code=self._unit_code,
            owners=[
                register_pb2.Owner(
                    person=self._person(owner.person, right),
                    share=_share(owner.share),
                    holds_certificate=bool(right.further_titles),
                )
                for owner in right.owners
            ],
            co_ownership=codes_pb2.CoOwnership.Value(f"CO_OWNERSHIP_{right.co_ownership.value}"),
            titles=[_certificate(title) for title in right.titles],
            price=_money(right.price_fen) if self._whole(right) else None,
            status=_LIVE,
            booking=_booking(right, whole=self._whole(right)),
        )

    def mortgage(self, right: m.Mortgage, rank: int) -> register_pb2.Mortgage:
        whole = self._whole(right)
        return register_pb2.Mortgage(
            right_id=right.right_id,
            unit_codes=right.units if whole else [self._unit_code],
            kind=codes_pb2.MortgageKind.Value(f"MORTGAGE_KIND_{right.kind.value}"),
            mortgagors=self._persons(right.mortgagors, right),
            mortgagees=self._persons(right.mortgagees, right),
            debtors=self._persons(right.debtors, right),
            mortgagor_relation=codes_pb2.MortgagorRelation.Value(
                f"MORTGAGOR_RELATION_{right.mortgagor_relation.value}"
            ),
            claim_amount=_money(right.claim_amount_fen, right.currency),
            max_claim_amount=_money(right.max_claim_amount_fen, right.currency),
            loan_portions=[_portion(p, right.currency) for p in right.loan_portions] if whole else [],
            term_start=date(right.term_start),
            term_end=date(right.term_end),
            secured_scope=right.secured_scope,
            transfer_restriction=_restriction(right.transfer_restriction),
            first_registered_at=timestamp(right.first_registered_at),
            collateral_kind=_value(codes_pb2.CollateralKind, "COLLATERAL_KIND_", right.collateral_kind),
            rank_at_registration=right.rank_at_registration,
            current_rank=rank,
            priority_date=timestamp(right.priority_date),
            agreed_rank=right.agreed_rank or 0,
            proof=_certificate(right.proof),
            from_pre_notice=right.from_pre_notice or "",
            status=_LIVE,
            booking=_booking(right, whole=self._whole(right)),
        )

    def pre_notice(self, right: m.PreNotice) -> register_pb2.PreNotice:
        of_sale = right.kind in (m.PreNoticeKind.PRESALE_SALE, m.PreNoticeKind.OTHER_SALE)
        amount = _money(right.amount_fen)
        return register_pb2.PreNotice(
            right_id=right.right_id,
            unit_codes=right.units if self._whole(right) else [self._unit_code],
            kind=codes_pb2.PreNoticeKind.Value(f"PRE_NOTICE_KIND_{right.kind.value}"),
            holders=self._persons(right.holders, right),
            obligors=self._persons(right.obligors, right),
            price=amount if of_sale else None,
            claim_amount=None if of_sale else amount,
            contract_number=right.contract_number if self._whole(right) else "",
            secured_scope="" if of_sale else right.secured_scope,
            transfer_restriction=(
                codes_pb2.TRANSFER_RESTRICTION_UNSPECIFIED
                if of_sale
                else _restriction(right.transfer_restriction)
            ),
            term_start=date(right.term_start),
            term_end=date(right.term_end),
            registrable_from=date(right.registrable_from),
            proof=_certificate(right.proof),
            status=(
                register_pb2.PRE_NOTICE_STATUS_LAPSED_PRESUMED
                if right.lapse_presumed_on
                else register_pb2.PRE_NOTICE_STATUS_LIVE
            ),
            booking=_booking(right, whole=self._whole(right)),
        )

    def seizures(self, rows: tuple[m.Seizure, ...], now: dt.datetime) -> list[register_pb2.Seizure]:
        """In order of service. The first that has not lapsed is live whatever it was entered as, the next ones wait
        for it (EX 26, 27; F5 19, 20).
        """
        today = now.astimezone(CHINA).date()
        found, status = [], register_pb2.SEIZURE_STATUS_LIVE
        for position, right in enumerate(rows, start=1):
            if right.until < today:
                found.append(self._seizure(right, position, register_pb2.SEIZURE_STATUS_LAPSED))
            else:
                found.append(self._seizure(right, position, status))
                status = register_pb2.SEIZURE_STATUS_WAITING
        return found

    def _seizure(
        self, right: m.Seizure, position: int, status: register_pb2.SeizureStatus.ValueType
    ) -> register_pb2.Seizure:
        return register_pb2.Seizure(
            right_id=right.right_id,
            unit_code=self._unit_code,
            kind=register_pb2.SeizureKind.Value(f"SEIZURE_KIND_{right.kind.value}"),
            target_person=self._person(right.target, right),
            extent=_share(right.share),
            authority=right.authority,
            instrument_number=right.instrument_no,
            instrument=right.instrument,
            served_at=timestamp(right.served_at),
            proof_of_service_sha256=bytes.fromhex(right.proof_of_service),
            entered_at=timestamp(right.booked_at),
            starts_on=date(right.starts_on or right.served_at.astimezone(CHINA).date()),
            until=date(right.until),
            position=position,
            status=status,
            extent_text=right.extent,
            renewed_from=right.renewed_from,
            booking=_booking(right, whole=self._whole(right)),
        )

    def dissent(self, right: m.Dissent) -> register_pb2.Dissent:
        return register_pb2.Dissent(
            right_id=right.right_id,
            unit_code=self._unit_code,
            applicant=self._person(right.applicant, right),
            matter=right.matter,
            booked_at=timestamp(right.booked_at),
            suit_filed_on=date(right.suit_filed_on),
            court_case_number=right.court_case_number,
            status=_LIVE,
            booking=_booking(right, whole=self._whole(right)),
        )

    def habitation(self, right: m.Habitation) -> register_pb2.Habitation:
        return register_pb2.Habitation(
            right_id=right.right_id,
            unit_code=self._unit_code,
            holders=self._persons((right.holder, *right.others), right),
            until=date(right.until),
            status=_LIVE,
            booking=_booking(right, whole=self._whole(right)),
        )

    def easement(self, right: m.Easement) -> register_pb2.Easement:
        return register_pb2.Easement(
            right_id=right.right_id,
            servient_unit_code=right.units[0],
            dominant_unit_code=right.units[-1],
            content=right.content,
            status=_LIVE,
            booking=_booking(right, whole=self._whole(right)),
        )

    def _persons(self, parties: tuple[m.Party, ...], right: m.AnyRight) -> list[common_pb2.Person]:
        return [self._person(party, right) for party in parties]

    def _person(self, party: m.Party, right: m.AnyRight) -> common_pb2.Person:
        wire = person(party)
        if not self._whole(right):
            wire.ClearField("phone")
            wire.ClearField("address")
            if not party.is_institution:  # a company's number is public
                wire.identity.number = mask(party.id_number)
        return wire


def _booking(right: m.AnyRight, *, whole: bool) -> register_pb2.Booking:
    return register_pb2.Booking(
        case_number=right.case_number,
        booked_at=timestamp(right.booked_at),
        booked_by=right.booked_by,
        note=right.note if whole else "",
        reason=right.reason,
    )


def _certificate(value: m.CertificateRef) -> common_pb2.CertificateReference:
    return common_pb2.CertificateReference(
        number=value.number,
        scheme=common_pb2.CertificateScheme.Value(f"CERTIFICATE_SCHEME_{value.scheme.value}"),
        medium=common_pb2.CertificateMedium.Value(f"CERTIFICATE_MEDIUM_{value.medium.value}"),
        surrendered=value.surrendered,
        declared_void=value.declared_void,
    )


def _portion(value: m.LoanPortion, currency: str) -> operations_pb2.LoanPortion:
    bank = value.entrusted_bank
    return operations_pb2.LoanPortion(
        kind=codes_pb2.LoanPortionKind.Value(f"LOAN_PORTION_KIND_{value.kind.value}"),
        creditor=_institution(value.creditor),
        entrusted_bank=_institution(bank) if bank else None,
        amount=_money(value.amount_fen, currency),
        term_start=date(value.term_start),
        term_end=date(value.term_end),
    )


def _institution(value: m.Party) -> common_pb2.InstitutionReference:
    return common_pb2.InstitutionReference(uscc=value.id_number, name=value.name)


def _money(fen: int | None, currency: str = "CNY") -> common_pb2.Money | None:
    return None if fen is None else common_pb2.Money(amount_fen=fen, currency=currency)


def _share(value: m.Share | None) -> common_pb2.Fraction | None:
    if value is None:
        return None
    return common_pb2.Fraction(numerator=value.numerator, denominator=value.denominator)


def _restriction(value: m.TransferRestriction) -> Any:
    return codes_pb2.TransferRestriction.Value(f"TRANSFER_RESTRICTION_{value.value}")


def _value(enum: Any, prefix: str, name: str) -> Any:
    """An enum's number by name; 0 for a value of the register that the contract has no name for."""
    return dict(enum.items()).get(prefix + name, 0)
