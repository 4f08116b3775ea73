"""What an e-certificate says: the structured data that is hashed into the ledger and attached to the PDF.

Fixed in the booking commit (number, identifier, code, content); rendering and sealing come after it and never
change a byte of it. Fields: handbook 5.1 (不动产登记证明), fields.csv CERT_YWXX and CERT_ZZXX.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from enum import StrEnum
from typing import TypedDict, Unpack

import msgspec

from gateway.certificates import wording
from gateway.register.model import (
    Mortgage,
    MortgageKind,
    MortgagorRelation,
    Owner,
    Ownership,
    Party,
    PreNotice,
    PreNoticeKind,
    Right,
    TransferRestriction,
    Unit,
    UnitKind,
    Value,
)

CONTENT_SCHEMA = "diya-certificate/v1"
UNITS_IN_LOCATION_MAX = 3  # more units are listed one by one below, and 坐落 says 等n处


class CertificateKind(StrEnum):
    """TITLE 不动产权证书, PROOF 不动产登记证明."""

    TITLE = "TITLE"
    PROOF = "PROOF"


class Line(Value, frozen=True, kw_only=True):
    """One printed line of 其他 or 权利其他状况: a Chinese label and its value."""

    label: str
    value: str


class CertificateContent(Value, frozen=True, kw_only=True):
    """The content of one certificate."""

    schema: str = CONTENT_SCHEMA
    kind: CertificateKind
    identifier: str  # 证照标识 1.2.156.3005.2.… with its check character (handbook 7)
    number: str  # 苏(2026)江阴市不动产证明第0000001号
    code: str  # 32 hex digits, drawn at booking; with the identifier it opens the public check
    registry: str
    issuer_name: str
    issuer_code: str
    issued_on: dt.date
    matter: str  # 证明权利或事项
    holders: tuple[Party, ...]
    obligors: tuple[Party, ...] = ()
    location: str
    unit_codes: tuple[str, ...]
    other: tuple[Line, ...] = ()
    note: str = ""
    co_ownership: str = ""
    right_kind: str = ""
    right_nature: str = ""
    use: str = ""
    area: str = ""
    term: str = ""
    right_id: str
    application: str
    case_number: str
    booked_at: dt.datetime
    test: bool = False  # prints the watermark 测试


def encode_content(content: CertificateContent) -> bytes:
    """The bytes that are salted, hashed into the entry and attached to the PDF: JSON in field order."""
    return msgspec.json.encode(content)


def decode_content(data: bytes) -> CertificateContent:
    """Parse `encode_content` output; raises msgspec.ValidationError."""
    return msgspec.json.decode(data, type=CertificateContent)


class Issue(TypedDict):
    """What every certificate has from its booking: number, identifier, code, authority, day, application."""

    identifier: str
    number: str
    code: str
    registry: str
    issuer_name: str
    issuer_code: str
    issued_on: dt.date
    application: str
    test: bool


def mortgage_proof(
    mortgage: Mortgage,
    units: Sequence[Unit],
    titles: Sequence[str],
    *,
    replaces: str = "",
    **issue: Unpack[Issue],
) -> CertificateContent:
    """不动产登记证明 of a mortgage (handbook 5.1).

    `units` in the mortgage's order; `titles` are the numbers of the title certificates of these units; `replaces` is
    the proof that this one takes the place of.
    Raises ValueError without a unit, or where the amount of the mortgage's kind is missing.
    """
    maximum = mortgage.kind is MortgageKind.MAXIMUM_AMOUNT
    amount = mortgage.max_claim_amount_fen if maximum else mortgage.claim_amount_fen
    if amount is None:
        raise ValueError(f"mortgage {mortgage.right_id} has no amount of its kind {mortgage.kind.value}")
    lines = [
        _line("不动产权证书号", "、".join(dict.fromkeys(titles)) or wording.UNRECORDED),
        _line("抵押方式", wording.MORTGAGE_KIND[mortgage.kind]),
        _line("最高债权额" if maximum else "担保债权数额", wording.wan_yuan(amount, mortgage.currency)),
        _line("担保范围", mortgage.secured_scope or wording.UNRECORDED),
        _line(
            "债权确定期间" if maximum else "债务履行期限",
            wording.period(mortgage.term_start, mortgage.term_end),
        ),
        _line("抵押顺位", wording.rank(mortgage)),
        _line(
            "是否存在禁止或限制转让抵押不动产的约定",
            wording.RESTRICTION[mortgage.transfer_restriction],
        ),
    ]
    if mortgage.restriction_text:
        lines.append(_line("禁止或限制转让的约定内容", mortgage.restriction_text))
    lines += _construction_lines(mortgage)
    if mortgage.mortgagor_relation is MortgagorRelation.THIRD_PARTY or (
        [p.key for p in mortgage.debtors] != [p.key for p in mortgage.mortgagors]
    ):
        lines.append(_line("债务人", wording.names(mortgage.debtors)))
    portions = mortgage.loan_portions
    for n, portion in enumerate(portions, start=1):
        label = "贷款组成" if len(portions) == 1 else f"贷款组成（{n}）"
        lines.append(_line(label, wording.loan_portion(portion, mortgage.currency)))
    lines += _history_lines(mortgage, replaces)
    return _proof(mortgage, units, "抵押权", mortgage.mortgagees, mortgage.mortgagors, lines, issue)


def _construction_lines(mortgage: Mortgage) -> list[Line]:
    """Where and how far a building under construction is mortgaged: ZJJZWZL, ZJJZWDYFW (RD 75-77; fields.csv)."""
    named = (
        ("在建建筑物坐落", mortgage.construction_location),
        ("在建建筑物抵押范围", mortgage.construction_scope),
    )
    return [_line(label, value) for label, value in named if value]


def _history_lines(mortgage: Mortgage, replaces: str) -> list[Line]:
    """What a mortgage was before: its fixing (ZGZQQDSS; CC 423), its pre-notice (SIG 52), its first registration.

    The first registration says which law its transfer is under (N54), the pre-notice from when its rank counts.
    """
    lines = []
    if mortgage.fixing_fact:
        lines.append(_line("最高债权确定事实和数额", _fixed(mortgage)))
    if mortgage.from_pre_notice:
        counts = wording.date(mortgage.priority_date.astimezone(wording.CHINA).date())
        lines.append(_line("预告登记转本登记", f"顺位自预告登记之日{counts}起算"))
    if replaces:
        lines.append(_line("原不动产登记证明号", replaces))
        first = wording.date(mortgage.first_registered_at.astimezone(wording.CHINA).date())
        lines.append(_line("首次登记日期", first))
    return lines


def _fixed(mortgage: Mortgage) -> str:
    if mortgage.claim_amount_fen is None:
        return mortgage.fixing_fact
    return f"{mortgage.fixing_fact}，{wording.wan_yuan(mortgage.claim_amount_fen, mortgage.currency)}"


def pre_notice_proof(
    pre_notice: PreNotice,
    units: Sequence[Unit],
    titles: Sequence[str] = (),
    *,
    replaces: str = "",
    **issue: Unpack[Issue],
) -> CertificateContent:
    """不动产登记证明 of a pre-notice (handbook 5.1).

    `titles` are the certificates or proofs that it rests on; `replaces` is the proof that this one takes the place of.
    """
    mortgage = pre_notice.kind in (PreNoticeKind.PRESALE_MORTGAGE, PreNoticeKind.OTHER_MORTGAGE)
    lines = [_line("预告登记种类", wording.PRE_NOTICE_KIND[pre_notice.kind])]
    if titles:
        lines.append(_line("已有的不动产权证书或者登记证明号", "、".join(dict.fromkeys(titles))))
    amount = wording.wan_yuan(pre_notice.amount_fen)
    lines.append(_line("被担保主债权数额" if mortgage else "取得价格", amount))
    if mortgage or pre_notice.term_start or pre_notice.term_end:
        lines.append(_line("债务履行期限", wording.period(pre_notice.term_start, pre_notice.term_end)))
    if mortgage:
        lines.append(_line("担保范围", pre_notice.secured_scope or wording.UNRECORDED))
    if mortgage or pre_notice.transfer_restriction is not TransferRestriction.UNRECORDED:
        restriction = wording.RESTRICTION[pre_notice.transfer_restriction]
        lines.append(_line("是否存在禁止或限制转让抵押不动产的约定", restriction))
    if pre_notice.contract_number:
        lines.append(_line("合同编号", pre_notice.contract_number))
    if pre_notice.registrable_from is not None:
        lines.append(_line("可以申请本登记之日", wording.date(pre_notice.registrable_from)))
    if replaces:
        lines.append(_line("原不动产登记证明号", replaces))
    return _proof(pre_notice, units, "预告登记", pre_notice.holders, pre_notice.obligors, lines, issue)


def title_certificate(
    ownership: Ownership, unit: Unit, owner: Owner | None = None, **issue: Unpack[Issue]
) -> CertificateContent:
    """不动产权证书 of one unit (handbook 5.1): a unit is a certificate (RD 20).

    `owner` is the holder of this one where each co-owner holds one; it names all of them (RD 21).
    """
    land = wording.LAND_RIGHT.get(unit.land_nature, unit.land_nature)
    building = unit.kind is not UnitKind.LAND
    term = f"{land}{wording.period(None, unit.land_term_end)}" if unit.land_term_end else wording.UNRECORDED
    lines = []
    if building and (unit.floor or unit.floors_total):
        lines.append(
            _line(
                "所在层/总层数",
                f"{unit.floor or wording.UNRECORDED}/{unit.floors_total or wording.UNRECORDED}",
            )
        )
    if owner is not None:
        lines.append(_line("分别持证，全体共有人", wording.names([o.person for o in ownership.owners])))
    if ownership.price_fen is not None:
        lines.append(_line("取得价格", wording.wan_yuan(ownership.price_fen)))
    return CertificateContent(
        kind=CertificateKind.TITLE,
        matter="所有权" if building else land,
        holders=tuple(_printed(one.person) for one in ((owner,) if owner else ownership.owners)),
        location=unit.location,
        unit_codes=(unit.unit_code,),
        other=tuple(lines),
        co_ownership=wording.owners(ownership.co_ownership, ownership.owners),
        right_kind=f"{land}/房屋（构筑物）所有权" if building else land,
        right_nature=wording.HOUSING_KIND.get(unit.housing_kind, unit.housing_kind)
        if building
        else wording.UNRECORDED,
        use=wording.USE.get(unit.use, unit.use),
        area=("房屋建筑面积" if building else "宗地面积") + wording.area(unit.floor_area),
        term=term,
        right_id=ownership.right_id,
        case_number=ownership.case_number,
        booked_at=ownership.booked_at,
        **issue,
    )


def _proof(
    right: Right,
    units: Sequence[Unit],
    matter: str,
    holders: Sequence[Party],
    obligors: Sequence[Party],
    lines: Sequence[Line],
    issue: Issue,
) -> CertificateContent:
    if not units:
        raise ValueError(f"right {right.right_id} is on no unit: there is nothing to certify")
    return CertificateContent(
        kind=CertificateKind.PROOF,
        matter=matter,
        holders=tuple(_printed(party) for party in holders),
        obligors=tuple(_printed(party) for party in obligors),
        location=_location(units),
        unit_codes=tuple(unit.unit_code for unit in units),
        other=(*lines, *_unit_lines(units)),
        right_id=right.right_id,
        case_number=right.case_number,
        booked_at=right.booked_at,
        **issue,
    )


def _location(units: Sequence[Unit]) -> str:
    places = list(dict.fromkeys(unit.location for unit in units))
    if len(units) > UNITS_IN_LOCATION_MAX:
        return f"{places[0]}等{len(units)}处（详见不动产清单）"
    return "；".join(places)


def _unit_lines(units: Sequence[Unit]) -> list[Line]:
    """Each unit on its own line, where there are several: what is mortgaged must be readable."""
    if len(units) == 1:
        return []
    lines = []
    for n, unit in enumerate(units, start=1):
        use = wording.USE.get(unit.use, unit.use)
        size = f"，{wording.area(unit.floor_area)}" if unit.floor_area else ""
        lines.append(_line(f"不动产清单（{n}）", f"{unit.unit_code}，{unit.location}，{use}{size}"))
    return lines


def _line(label: str, value: str) -> Line:
    return Line(label=label, value=value)


def _printed(party: Party) -> Party:
    """A party as a certificate names it: telephone, address and family stay in the register (PIPL 6)."""
    return Party(name=party.name, id_kind=party.id_kind, id_number=party.id_number, country=party.country)
