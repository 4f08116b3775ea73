"""Wire to domain: the register as the authority's counter tells it. The other way is `encode_register`.

Syntax only, as in gateway/rpc/decode.py: each reader notes what is wrong and reads on; the ids of rights are the
register's or empty. `moment` is the instant of a booking where the wire states none.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final

from gateway.pb.diya.v1 import codes_pb2, common_pb2, register_pb2
from gateway.register import model as m
from gateway.register.identifiers import normalise_unit_code
from gateway.rpc import decode_fields as read
from gateway.rpc.decode import person
from gateway.rpc.decode_parts import NO_DAY, TEXT_CHARACTERS_MAX
from gateway.rpc.violations import Violations

#: Units of one act, rights of one unit, persons of one right.
LIST_MAX: Final = 200

SHA256_BYTES: Final = 32

#: Who a right is of while a violation is already noted.
NOBODY: Final = m.Party(name="", id_kind=m.IdKind.OTHER, id_number="")

_LIVE = {codes_pb2.RIGHT_STATUS_LIVE, codes_pb2.RIGHT_STATUS_UNSPECIFIED}
_LIVE_SEIZURE = {
    register_pb2.SEIZURE_STATUS_LIVE,
    register_pb2.SEIZURE_STATUS_WAITING,
    register_pb2.SEIZURE_STATUS_UNSPECIFIED,
}
_LIVE_NOTICE = {
    register_pb2.PRE_NOTICE_STATUS_LIVE,
    register_pb2.PRE_NOTICE_STATUS_LAPSED_PRESUMED,
    register_pb2.PRE_NOTICE_STATUS_UNSPECIFIED,
}


class RegisterParts:
    """Readers of the rights of one act; `moment` as above."""

    def __init__(self, moment: dt.datetime, wrong: Violations) -> None:
        self.moment = moment
        self._wrong = wrong

    def code(self, text: str, path: str) -> str:
        """A unit code in canonical form."""
        code = text
        with self._wrong.at(path, "UNIT_CODE_MALFORMED"):
            code = normalise_unit_code(text)
        return code  # noqa: RET504  as it came where the block noted a violation

    def unit(self, wire: register_pb2.Unit, path: str) -> m.Unit:
        """A unit with its description."""
        code = self.code(wire.unit_code, path + ".unit_code")
        return m.Unit(
            unit_code=code,
            kind=m.UnitKind(read.enum_name(register_pb2.UnitKind, wire.kind, "UNIT_KIND_") or "OTHER"),
            county_code=code[:6],
            location=self._text(wire.location, path + ".location"),
            use=read.enum_name(codes_pb2.UnitUse, wire.use, "UNIT_USE_") or "OTHER",
            housing_kind=read.enum_name(codes_pb2.HousingKind, wire.housing_kind, "HOUSING_KIND_") or "OTHER",
            land_nature=read.enum_name(codes_pb2.LandRight, wire.land_right, "LAND_RIGHT_") or "OTHER",
            floor_area=max(wire.area_m2_hundredths, 0),
            floor=wire.floor[:100],
            floors_total=max(wire.floors, 0),
            land_term_end=read.date(wire, "land_term_end", path, self._wrong, needed=False),
            first_registered=wire.first_registered,
            holds=self.holds(wire),
        )

    def holds(self, wire: register_pb2.Unit) -> tuple[m.UnitHold, ...]:
        """Holds that the counter puts on a unit."""
        names = [read.enum_name(register_pb2.UnitHold, hold, "UNIT_HOLD_") for hold in wire.holds]
        return tuple(dict.fromkeys(m.UnitHold(name) for name in names if name))

    def ownership(self, wire: register_pb2.Ownership, code: str, path: str) -> tuple[m.Ownership, bool]:
        """Ownership, and whether it is live."""
        owners = [
            m.Owner(
                person=self._person(owner, "person", f"{path}.owners[{n}]"),
                share=self._share(owner, "share", f"{path}.owners[{n}]"),
            )
            for n, owner in enumerate(self._some(wire.owners, path + ".owners"))
        ]
        held = read.enum_name(codes_pb2.CoOwnership, wire.co_ownership, "CO_OWNERSHIP_")
        right = m.Ownership(
            **self._common(wire, (code,), path),
            owners=tuple(owners),
            co_ownership=m.CoOwnership(held or ("SOLE" if len(owners) == 1 else "JOINT")),
            title=self._certificate(wire.titles[0] if wire.titles else None, path + ".titles[0]"),
            price_fen=read.fen(wire, "price", path, self._wrong, needed=False) or None,
        )
        return right, wire.status in _LIVE

    def mortgage(self, wire: register_pb2.Mortgage, code: str, path: str) -> tuple[m.Mortgage, bool]:
        """A mortgage, and whether it is live."""
        common = self._common(wire, self._codes(wire.unit_codes, code, path), path)
        kind = read.enum_name(codes_pb2.MortgageKind, wire.kind, "MORTGAGE_KIND_") or "ORDINARY"
        restriction = read.enum_name(
            codes_pb2.TransferRestriction, wire.transfer_restriction, "TRANSFER_RESTRICTION_"
        )
        relation = read.enum_name(codes_pb2.MortgagorRelation, wire.mortgagor_relation, "MORTGAGOR_RELATION_")
        maximum = kind == "MAXIMUM_AMOUNT"
        booked = common["booked_at"]
        right = m.Mortgage(
            **common,
            kind=m.MortgageKind(kind),
            mortgagors=self._persons(wire.mortgagors, path + ".mortgagors"),
            mortgagees=self._persons(wire.mortgagees, path + ".mortgagees"),
            debtors=self._persons(wire.debtors, path + ".debtors", needed=False),
            mortgagor_relation=m.MortgagorRelation(relation or "DEBTOR"),
            claim_amount_fen=read.fen(wire, "claim_amount", path, self._wrong, needed=not maximum) or None,
            max_claim_amount_fen=read.fen(wire, "max_claim_amount", path, self._wrong, needed=maximum)
            or None,
            term_start=read.date(wire, "term_start", path, self._wrong) or NO_DAY,
            term_end=read.date(wire, "term_end", path, self._wrong) or NO_DAY,
            secured_scope=self._text(wire.secured_scope or "/", path + ".secured_scope"),
            transfer_restriction=m.TransferRestriction(restriction or "UNRECORDED"),
            first_registered_at=self._instant(wire, "first_registered_at", path) or booked,
            collateral_kind=read.enum_name(codes_pb2.CollateralKind, wire.collateral_kind, "COLLATERAL_KIND_")
            or "LAND_AND_BUILDING",
            rank_at_registration=max(wire.rank_at_registration, 0),
            priority_date=self._instant(wire, "priority_date", path) or booked,
            agreed_rank=wire.agreed_rank or None,
            proof=self._certificate(wire.proof if wire.HasField("proof") else None, path + ".proof"),
            fixing_fact=wire.fixing_fact[:TEXT_CHARACTERS_MAX],
        )
        return right, wire.status in _LIVE

    def pre_notice(self, wire: register_pb2.PreNotice, code: str, path: str) -> tuple[m.PreNotice, bool]:
        """A pre-notice, and whether it is live."""
        kind = read.enum_name(codes_pb2.PreNoticeKind, wire.kind, "PRE_NOTICE_KIND_")
        read.required(kind, path + ".kind", self._wrong)
        of_sale = kind.endswith("SALE")
        restriction = read.enum_name(
            codes_pb2.TransferRestriction, wire.transfer_restriction, "TRANSFER_RESTRICTION_"
        )
        right = m.PreNotice(
            **self._common(wire, self._codes(wire.unit_codes, code, path), path),
            kind=m.PreNoticeKind(kind or "OTHER_SALE"),
            holders=self._persons(wire.holders, path + ".holders"),
            obligors=self._persons(wire.obligors, path + ".obligors"),
            amount_fen=read.fen(
                wire, "price" if of_sale else "claim_amount", path, self._wrong, needed=False, least=0
            ),
            contract_number=wire.contract_number[:TEXT_CHARACTERS_MAX],
            secured_scope=self._text(wire.secured_scope or "/", path + ".secured_scope"),
            transfer_restriction=m.TransferRestriction(restriction or "UNRECORDED"),
            term_start=read.date(wire, "term_start", path, self._wrong, needed=False),
            term_end=read.date(wire, "term_end", path, self._wrong, needed=False),
            registrable_from=read.date(wire, "registrable_from", path, self._wrong, needed=False),
            proof=self._certificate(wire.proof if wire.HasField("proof") else None, path + ".proof"),
        )
        return right, wire.status in _LIVE_NOTICE

    def seizure(
        self, wire: register_pb2.Seizure, code: str, path: str, *, whole: bool = True
    ) -> tuple[m.Seizure, bool]:
        """A seizure, and whether it goes on. Not `whole`: it only names one that was entered."""
        kind = read.enum_name(register_pb2.SeizureKind, wire.kind, "SEIZURE_KIND_")
        if len(wire.proof_of_service_sha256) not in ((SHA256_BYTES,) if whole else (0, SHA256_BYTES)):
            self._wrong.add(path + ".proof_of_service_sha256", "必须是 32 字节", "must be 32 bytes")
        if whole:
            for name in ("authority", "instrument_number"):
                read.required(getattr(wire, name).strip(), f"{path}.{name}", self._wrong)
            read.required(kind, path + ".kind", self._wrong)
        served = (
            read.instant(wire, "served_at", path, self._wrong)
            if whole
            else self._instant(wire, "served_at", path)
        )
        if served is not None and served > self.moment:
            self._wrong.add(path + ".served_at", "送达时间在将来", "service lies in the future")
        right = m.Seizure(
            **self._common(wire, (code,), path),
            kind=m.SeizureKind.SEIZURE if kind in ("", "RENEWAL") else m.SeizureKind(kind),
            target=self._person(wire, "target_person", path, needed=whole),
            extent=self._text(wire.extent_text, path + ".extent_text"),
            share=self._share(wire, "extent", path),
            authority=self._text(wire.authority, path + ".authority"),
            instrument_no=self._text(wire.instrument_number, path + ".instrument_number"),
            instrument=self._text(wire.instrument, path + ".instrument"),
            served_at=served or self.moment,
            starts_on=read.date(wire, "starts_on", path, self._wrong, needed=False),
            until=read.date(wire, "until", path, self._wrong, needed=whole) or NO_DAY,
            proof_of_service=wire.proof_of_service_sha256.hex(),
        )
        return right, wire.status in _LIVE_SEIZURE

    def dissent(
        self, wire: register_pb2.Dissent, code: str, path: str, *, whole: bool = True
    ) -> tuple[m.Dissent, bool]:
        """A dissent, and whether it is live."""
        right = m.Dissent(
            **self._common(wire, (code,), path),
            applicant=self._person(wire, "applicant", path, needed=whole),
            matter=self._text(wire.matter, path + ".matter"),
            suit_filed_on=read.date(wire, "suit_filed_on", path, self._wrong, needed=False),
            court_case_number=self._text(wire.court_case_number, path + ".court_case_number"),
        )
        return right, wire.status in _LIVE

    def habitation(
        self, wire: register_pb2.Habitation, code: str, path: str, *, whole: bool = True
    ) -> tuple[m.Habitation, bool]:
        """A right of habitation, and whether it is live."""
        holders = self._persons(wire.holders, path + ".holders", needed=whole)
        right = m.Habitation(
            **self._common(wire, (code,), path),
            holder=holders[0] if holders else NOBODY,
            others=holders[1:],
            until=read.date(wire, "until", path, self._wrong, needed=False),
        )
        return right, wire.status in _LIVE

    def easement(self, wire: register_pb2.Easement, path: str) -> tuple[m.Easement, bool]:
        """An easement on its servient and dominant unit, and whether it is live."""
        servient = self.code(wire.servient_unit_code, path + ".servient_unit_code")
        dominant = (
            self.code(wire.dominant_unit_code, path + ".dominant_unit_code")
            if wire.dominant_unit_code
            else servient
        )
        right = m.Easement(
            **self._common(wire, tuple(dict.fromkeys((servient, dominant))), path),
            content=self._text(wire.content, path + ".content"),
        )
        return right, wire.status in _LIVE

    # -- parts ---------------------------------------------------------------------------------------------------

    def _common(self, wire: Any, units: tuple[str, ...], path: str) -> dict[str, Any]:
        booking: register_pb2.Booking = wire.booking
        booked = self._instant(booking, "booked_at", path + ".booking") or self.moment
        return {
            "right_id": wire.right_id[:64],
            "units": units,
            "case_number": booking.case_number.strip()[:32],
            "booked_at": booked,
            "booked_by": booking.booked_by.strip()[:100],
        }

    def _codes(self, texts: Sequence[str], code: str, path: str) -> tuple[str, ...]:
        some = self._some(texts, path + ".unit_codes")
        named = [self.code(text, f"{path}.unit_codes[{n}]") for n, text in enumerate(some)]
        return tuple(dict.fromkeys((code, *named)))

    def _some(self, items: Any, path: str) -> Any:
        read.limit(len(items), LIST_MAX, path, self._wrong)
        return items[:LIST_MAX]

    def _text(self, value: str, path: str) -> str:
        if len(value) > TEXT_CHARACTERS_MAX:
            self._wrong.add(
                path,
                f"不得超过 {TEXT_CHARACTERS_MAX} 字",
                f"must not exceed {TEXT_CHARACTERS_MAX} characters",
            )
        return value.strip()

    def _instant(self, holder: Any, name: str, path: str) -> dt.datetime | None:
        return read.instant(holder, name, path, self._wrong) if holder.HasField(name) else None

    def _person(self, holder: Any, name: str, path: str, *, needed: bool = True) -> m.Party:
        if not holder.HasField(name):
            if needed:
                self._wrong.add(f"{path}.{name}", "必填", "is required")
            return NOBODY
        return person(getattr(holder, name), f"{path}.{name}", self._wrong) or NOBODY

    def _persons(
        self, wires: Sequence[common_pb2.Person], path: str, *, needed: bool = True
    ) -> tuple[m.Party, ...]:
        if needed:
            read.required(wires, path, self._wrong)
        found = [person(wire, f"{path}[{n}]", self._wrong) for n, wire in enumerate(self._some(wires, path))]
        return tuple(p for p in found if p is not None)

    def _share(self, holder: Any, name: str, path: str) -> m.Share | None:
        if not holder.HasField(name):
            return None
        wire = getattr(holder, name)
        if not 0 < wire.numerator <= wire.denominator:
            self._wrong.add(f"{path}.{name}", "必须大于零且不大于一", "must lie in (0, 1]")
            return None
        return m.Share(numerator=wire.numerator, denominator=wire.denominator)

    def _certificate(self, wire: common_pb2.CertificateReference | None, path: str) -> m.CertificateRef:
        if wire is None:
            self._wrong.add(path, "必填", "is required")
            return m.CertificateRef(number="")
        return read.certificate(wire, path, self._wrong)
