"""The oracle's plain dicts as values of the gateway: people, rights, operations, papers. No law in here."""

from __future__ import annotations

import datetime as dt
from typing import Any

from gateway.cases.terms import (
    AnyOperation,
    ChangeItem,
    ClaimFixing,
    MortgageChange,
    MortgageFirst,
    MortgageRelease,
    MortgageTransfer,
    OwnershipTransfer,
    PreNoticeConvert,
    PreNoticeCreate,
    PreNoticeRelease,
    ReleaseGround,
    SaleNotice,
    TransferGround,
)
from gateway.register.calendar import CHINA
from gateway.register.model import (
    AnyRight,
    Capacity,
    CertificateRef,
    CoOwnership,
    Dissent,
    Habitation,
    IdKind,
    Mortgage,
    MortgageKind,
    MortgagorRelation,
    Owner,
    Ownership,
    Party,
    PreNoticeKind,
    Seizure,
    SeizureKind,
    Share,
    TransferRestriction,
    Unit,
    UnitHold,
    UnitKind,
    UnitState,
)
from gateway.register.sample_parties import made_up_citizen_id, made_up_uscc
from tests.oracle.people import BANKS

TERM = (dt.date(2026, 1, 1), dt.date(2046, 1, 1))
SCOPE = "主债权、利息、违约金"


def _person(order: int, born: int = 1980) -> Party:
    number = made_up_citizen_id(dt.date(born, 1, 1), order)
    return Party(name=f"某{order}", id_kind=IdKind.RESIDENT_ID, id_number=number)


GUARDIAN = _person(9)
PEOPLE: dict[str, Party] = {name: _person(n) for n, name in enumerate("STUYZV", start=1)}
PEOPLE["G"] = GUARDIAN
PEOPLE["K"] = Party(
    name="某小",
    id_kind=IdKind.RESIDENT_ID,
    id_number=made_up_citizen_id(dt.date(1990, 5, 5), 12),
    capacity=Capacity.LIMITED,
    guardian=GUARDIAN,
)
PEOPLE |= {
    name: Party(name=f"示例银行{name}", id_kind=IdKind.USCC, id_number=made_up_uscc("91", 70000000 + n))
    for n, name in enumerate(sorted(BANKS))
}
NAMES = {party.key: name for name, party in PEOPLE.items()}


def parties(names: Any) -> tuple[Party, ...]:
    """The people of these names."""
    return tuple(PEOPLE[name] for name in names)


def unit_code(number: int) -> str:
    """Code of one of a few flats."""
    return f"320281001001GB00001F0001{number:04d}"


def owners(held: dict[str, Any]) -> tuple[Owner, ...]:
    """Owners with their shares, where there are any."""
    return tuple(Owner(person=PEOPLE[name], share=_share(s)) for name, s in held.items())


def _share(value: Any) -> Share | None:
    return Share(numerator=value.numerator, denominator=value.denominator) if value else None


# -- the register --------------------------------------------------------------------------------------------------

_BOOKED = dt.datetime(2017, 6, 1, 2, tzinfo=dt.UTC)


def state_of(code: str, flat: dict[str, Any], numbers: dict[str, str]) -> UnitState:
    """A unit as the gateway's register keeps it; `numbers` says which number each certificate has."""
    common: dict[str, Any] = {"units": (code,), "case_number": "", "booked_at": _BOOKED, "booked_by": "导入"}
    rights: list[AnyRight] = [
        Ownership(
            right_id=f"{code}.own",
            **common,
            owners=owners(flat["owners"]),
            co_ownership=CoOwnership(flat["form"]),
            title=CertificateRef(number=numbers[flat["titles"][0]]),
        )
    ]
    rights += [_mortgage(f"{code}.{name}", row, common, numbers) for name, row in flat["mortgages"].items()]
    unit = Unit(
        unit_code=code,
        kind=UnitKind.FLAT,
        county_code=code[:6],
        location="江阴市示例路1号",
        holds=holds(flat),
    )
    return UnitState(unit=unit, rights=tuple(rights))


def _mortgage(
    right_id: str, row: dict[str, Any], common: dict[str, Any], numbers: dict[str, str]
) -> Mortgage:
    return Mortgage(
        right_id=right_id,
        **{**common, "booked_at": row["first"]},
        kind=MortgageKind(row["kind"]),
        mortgagors=parties(row["mortgagors"]),
        mortgagees=parties(row["banks"]),
        debtors=parties(row["debtors"]),
        mortgagor_relation=MortgagorRelation.DEBTOR,
        **_amount(row["kind"], row["amount"]),
        term_start=TERM[0],
        term_end=TERM[1],
        secured_scope=SCOPE,
        transfer_restriction=TransferRestriction(row["restriction"]),
        first_registered_at=row["first"],
        rank_at_registration=row["printed"],
        priority_date=row["priority"],
        proof=CertificateRef(number=numbers[row["proof"]]),
    )


def _amount(kind: str, fen: int) -> dict[str, Any]:
    return {"max_claim_amount_fen" if kind == "MAXIMUM_AMOUNT" else "claim_amount_fen": fen}


_HOLDS = {
    "CORRECTION": UnitHold.CORRECTION_PENDING,
    "QUARANTINED": UnitHold.QUARANTINED,
    "DISPUTED": UnitHold.DISPUTED,
    "PROHIBITED": UnitHold.PROHIBITED_COLLATERAL,
    "RIGHT_EXPIRED": UnitHold.RIGHT_EXPIRED,
}


def holds(flat: dict[str, Any]) -> tuple[UnitHold, ...]:
    """Facts about the unit."""
    return tuple(_HOLDS[name] for name in sorted(flat["holds"]))


def seizure(code: str, name: str, target: str, kind: str, served: dt.datetime, until: dt.date) -> Seizure:
    """What a court has the authority write down, as the counter tells it."""
    return Seizure(
        right_id="",
        **_told(code, name, served),
        kind=SeizureKind.PRE_SEIZURE if kind == "PRE" else SeizureKind.SEIZURE,
        target=PEOPLE[target],
        extent="全部",
        authority="示例市人民法院",
        instrument_no=f"(2026)示01执{name}号",
        served_at=served,
        until=until,
    )


def dissent(code: str, name: str, at: dt.datetime) -> Dissent:
    """Somebody says that the register is wrong."""
    return Dissent(right_id="", **_told(code, name, at), applicant=PEOPLE["Z"], matter="权属")


def habitation(code: str, name: str, at: dt.datetime) -> Habitation:
    """Somebody may live there."""
    return Habitation(right_id="", **_told(code, name, at), holder=PEOPLE["Z"])


def sold_at_counter(code: str, step: dict[str, Any], name: str, number: str, at: dt.datetime) -> Ownership:
    """A sale that the counter booked."""
    return Ownership(
        right_id="",
        **_told(code, name, at),
        owners=owners(step["buyers"]),
        co_ownership=CoOwnership(step["form"]),
        title=CertificateRef(number=number),
    )


def mortgaged_at_counter(
    code: str, step: dict[str, Any], name: str, number: str, at: dt.datetime
) -> Mortgage:
    """A mortgage that the counter booked; it tells no rank of its own."""
    row = {**step, "kind": "ORDINARY", "first": at, "priority": at, "printed": 0, "proof": name}
    return _mortgage("", row, _told(code, name, at), {name: number})


def _told(code: str, name: str, at: dt.datetime) -> dict[str, Any]:
    """What every right says that the counter tells of."""
    return {"units": (code,), "case_number": name, "booked_at": at, "booked_by": "窗口"}


# -- operations ----------------------------------------------------------------------------------------------------


def operation(
    step: dict[str, Any], flat: dict[str, Any], numbers: dict[str, str], named: Any = ()
) -> AnyOperation:
    """The step as the terms state it, on the flat as the register has it before the case."""
    made = _MAKERS[step["op"]](step, flat, numbers)
    made["units"] = (step["unit"],)
    kind = made.pop("type")
    return kind(**made, applicants=parties(named))  # type: ignore[no-any-return]


def _proof(flat: dict[str, Any], step: dict[str, Any], numbers: dict[str, str]) -> CertificateRef:
    side = "mortgage" if "mortgage" in step else "notice"
    return CertificateRef(number=numbers[flat[side + "s"][step[side]]["proof"]])


def _sale(step: dict[str, Any], flat: dict[str, Any], numbers: dict[str, str]) -> dict[str, Any]:
    return {
        "type": OwnershipTransfer,
        "sellers": parties(step["sellers"]),
        "buyers": owners(step["buyers"]),
        "co_ownership": CoOwnership(step["form"]),
        "price_fen": step["price"],
        "share_sold": _share(step.get("share")),
        "titles": tuple(CertificateRef(number=numbers[title]) for title in flat["titles"]),
    }


def _first(step: dict[str, Any], flat: dict[str, Any], numbers: dict[str, str]) -> dict[str, Any]:
    return {
        "type": MortgageFirst,
        "kind": MortgageKind(step.get("kind", "ORDINARY")),
        "mortgagors": parties(step["mortgagors"]),
        "mortgagees": parties(step["banks"]),
        "debtors": parties(step["debtors"]),
        "mortgagor_relation": MortgagorRelation.DEBTOR,
        **_amount(step.get("kind", "ORDINARY"), step["amount"]),
        "term_start": TERM[0],
        "term_end": TERM[1],
        "secured_scope": SCOPE,
        "transfer_restriction": TransferRestriction(step["restriction"]),
        "agreed_rank": step.get("agreed"),
    }


def _change(step: dict[str, Any], flat: dict[str, Any], numbers: dict[str, str]) -> dict[str, Any]:
    old = flat["mortgages"][step["mortgage"]]
    to = step["to"]
    items = [ChangeItem.AMOUNT] * ("amount" in to) + [ChangeItem.TRANSFER_RESTRICTION] * ("restriction" in to)
    items += [ChangeItem.MORTGAGOR] * ("mortgagors" in to) + [ChangeItem.DEBTOR] * ("debtors" in to)
    items += [ChangeItem.RANK] * ("rank" in to)
    new = {**old, **to, "banks": step.get("banks", old["banks"]), "agreed": to.get("rank")}
    content = _first(new, flat, numbers)
    content.pop("type")
    return {
        "type": MortgageChange,
        "proof": _proof(flat, step, numbers),
        "items": tuple(items),
        "content": MortgageFirst(units=(step["unit"],), **content),
    }


def _move(step: dict[str, Any], flat: dict[str, Any], numbers: dict[str, str]) -> dict[str, Any]:
    old = flat["mortgages"][step["mortgage"]]
    return {
        "type": MortgageTransfer,
        "proof": _proof(flat, step, numbers),
        "assignors": parties(old["banks"]),
        "assignees": parties([step["bank"]]),
        "ground": TransferGround.MERGER if step["merger"] else TransferGround.CLAIM_ASSIGNMENT,
        "assigned_fen": old["amount"] // 4 if step["part"] else None,
        "follows_part": step["follows"],
        "debtor_told_on": None if step["merger"] else dt.date(2026, 1, 2),
    }


def _fix(step: dict[str, Any], flat: dict[str, Any], numbers: dict[str, str]) -> dict[str, Any]:
    old = flat["mortgages"][step["mortgage"]]
    return {
        "type": ClaimFixing,
        "proof": _proof(flat, step, numbers),
        "mortgagors": parties(old["mortgagors"]),
        "mortgagees": parties(old["banks"]),
        "fixing_fact": "债权确定期间届满",
        "fixed_on": old["first"].astimezone(CHINA).date(),
        "fixed_fen": step["amount"],
    }


def _release(step: dict[str, Any], flat: dict[str, Any], numbers: dict[str, str]) -> dict[str, Any]:
    grounds = {"SETTLED": ReleaseGround.CLAIM_SETTLED, "UNDERTAKING": ReleaseGround.UNDERTAKING}
    return {
        "type": MortgageRelease,
        "proof": _proof(flat, step, numbers),
        "mortgagees": parties(flat["mortgages"][step["mortgage"]]["banks"]),
        "ground": grounds[step["ground"]],
        "settled_on": dt.date(2026, 1, 2) if step["ground"] == "SETTLED" else None,
    }


def _note(step: dict[str, Any], flat: dict[str, Any], numbers: dict[str, str]) -> dict[str, Any]:
    sale = step["op"] == "NOTE_SALE"
    mortgage = None
    if not sale:
        content = _first(_loan(step, step["holder"], step["obligors"]), flat, numbers)
        content.pop("type")
        mortgage = MortgageFirst(units=(step["unit"],), **content)
    return {
        "type": PreNoticeCreate,
        "kind": PreNoticeKind.OTHER_SALE if sale else PreNoticeKind.OTHER_MORTGAGE,
        "holders": parties([step["holder"]]),
        "obligors": parties(step["obligors"]),
        "sale": SaleNotice(price_fen=step["amount"]) if sale else None,
        "mortgage": mortgage,
        "agreed_in_contract": True,
        "registrable_from": step.get("registrable_from"),
    }


def _loan(step: dict[str, Any], bank: str, mortgagors: Any) -> dict[str, Any]:
    """The mortgage that a mortgage pre-notice secures."""
    return {
        "mortgagors": mortgagors,
        "banks": [bank],
        "debtors": mortgagors,
        "amount": step["amount"],
        "restriction": "NONE",
    }


def _convert(step: dict[str, Any], flat: dict[str, Any], numbers: dict[str, str]) -> dict[str, Any]:
    sale = step["op"] == "CONVERT_SALE"
    whole = (_sale if sale else _first)(step, flat, numbers)
    kind = whole.pop("type")
    final = kind(units=(step["unit"],), **whole)
    return {
        "type": PreNoticeConvert,
        "proof": _proof(flat, step, numbers),
        "transfer": final if sale else None,
        "mortgage": None if sale else final,
    }


def _waive(step: dict[str, Any], flat: dict[str, Any], numbers: dict[str, str]) -> dict[str, Any]:
    return {
        "type": PreNoticeRelease,
        "proof": _proof(flat, step, numbers),
        "holders": parties([flat["notices"][step["notice"]]["holder"]]),
        "ground": ReleaseGround.WAIVED,
    }


_MAKERS: dict[str, Any] = {
    "SALE": _sale,
    "FIRST": _first,
    "CHANGE": _change,
    "MOVE": _move,
    "FIX": _fix,
    "RELEASE": _release,
    "NOTE_SALE": _note,
    "NOTE_LOAN": _note,
    "CONVERT_SALE": _convert,
    "CONVERT_LOAN": _convert,
    "WAIVE": _waive,
}
