"""The forms that `RenderForms` hands out: 不动产登记申请书 and 询问记录, as PDF/A-3 from the terms.

Each embeds `terms.bin`, exactly the bytes that were sent: whoever signs the form signs them, and the gateway
compares bytes, never words. The words are for the person who signs. Several persons sign one form one after
another, by incremental update (signing.seal.append_signature). Two renderings say the same and may differ in
bytes.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from gateway.cases.stated import Declaration
from gateway.cases.terms import Terms
from gateway.certificates import wording
from gateway.certificates.typeset import Attachment, typeset
from gateway.forms.describe import Described, describe
from gateway.forms.questions import questions_for
from gateway.forms.words import ACTS, DECLARATION, RIGHTS
from gateway.register.model import Party, Unit, UnitKind

TERMS_ATTACHMENT: Final = "terms.bin"
APPLICATION_TEMPLATE: Final = Path(__file__).with_name("application_form.typ")
INQUIRY_TEMPLATE: Final = Path(__file__).with_name("inquiry_record.typ")
SIGNERS_MAX: Final = 64

_UNIT_KIND: Final = {
    UnitKind.FLAT: "土地和房屋",
    UnitKind.PARKING: "土地和房屋（车位）",
    UnitKind.STOREROOM: "土地和房屋（储藏室）",
    UnitKind.LAND: "土地",
    UnitKind.OTHER: "其他",
}


def render_application_form(
    terms: Terms,
    terms_bytes: bytes,
    *,
    signers: Sequence[Party],
    registry_name: str,
    created_at: dt.datetime,
    units: Mapping[str, Unit] | None = None,
    test: bool = True,
) -> bytes:
    """不动产登记申请书 of `terms`, with a place for each of `signers`, embedding `terms_bytes` unchanged.

    `units` by unit code: what the register says of them, where the caller may be told; without it the form
    names units by code, and by the location that the terms state. Raises NotOnFormError, RenderError, and
    ValueError over SIGNERS_MAX.
    """
    described = [describe(operation) for operation in terms.operations]
    stated = {unit.unit_code: unit.location for unit in terms.stated_units}
    data = {
        "registry": registry_name,
        "test": test,
        "rights": _ticked(RIGHTS, {one.right for one in described}),
        "acts": _ticked(ACTS, {one.act for one in described}),
        "groups": _groups(described),
        "units": [_unit(code, described, units or {}, stated) for code in terms.unit_codes],
        "steps": [_step(number, one) for number, one in enumerate(described, start=1)],
        "declarations": [_declaration(d) for d in terms.declarations],
        "separately": terms.separate_certificates,
        "note": terms.note,
        "agents": [_agent(power.agent, power.principal) for power in terms.powers_of_attorney],
        "signers": _signers(signers),
        "digest": hashlib.sha256(terms_bytes).hexdigest(),
        "version": terms.version,
        "date": wording.date(created_at.astimezone(wording.CHINA).date()),
    }
    return typeset(APPLICATION_TEMPLATE, data, (_terms(terms_bytes),), created_at=created_at)


def render_inquiry_record(
    terms: Terms,
    terms_bytes: bytes,
    *,
    respondent: Party,
    answers: Mapping[str, str],
    registry_name: str,
    created_at: dt.datetime,
    test: bool = True,
) -> bytes:
    """询问记录 of one person, with `answers` by question code, embedding `terms_bytes` unchanged.

    A question without an answer is printed with a blank. Raises ValueError for an answer to a question not
    put to this person, NotOnFormError and RenderError.
    """
    questions = questions_for(terms, respondent)
    unknown = sorted(answers.keys() - {question.code for question in questions})
    if unknown:
        raise ValueError(f"answers to questions that are not put to this person: {', '.join(unknown)}")
    described = [describe(operation) for operation in terms.operations]
    data = {
        "registry": registry_name,
        "test": test,
        "respondent": _person(respondent),
        "roles": "、".join(_roles(described, respondent)) or "申请人",
        "matters": [one.title for one in described],
        "units": list(terms.unit_codes),
        "questions": [
            {"text": question.text, "answer": answers.get(question.code, "")} for question in questions
        ],
        "digest": hashlib.sha256(terms_bytes).hexdigest(),
        "version": terms.version,
        "date": wording.date(created_at.astimezone(wording.CHINA).date()),
    }
    return typeset(INQUIRY_TEMPLATE, data, (_terms(terms_bytes),), created_at=created_at)


def _terms(terms_bytes: bytes) -> Attachment:
    return Attachment(TERMS_ATTACHMENT, "application/octet-stream", "申请内容 terms", terms_bytes)


def _ticked(choices: Sequence[str], chosen: set[str]) -> list[dict[str, Any]]:
    return [{"label": choice, "ticked": choice in chosen} for choice in choices]


def _groups(described: Sequence[Described]) -> list[dict[str, Any]]:
    """Applicants by role, each person once in a role: 权利人 before 义务人, as on the official form."""
    roles: dict[tuple[str, str], dict[tuple[str, str], Party]] = {}
    for one in described:
        for side, role, parties in (
            ("权利人", one.holder_role, one.holders),
            ("义务人", one.obligor_role, one.obligors),
        ):
            if parties:
                people = roles.setdefault((side, role), {})
                people.update({party.key: party for party in parties})
    return [
        {"side": side, "role": role, "people": [_person(party) for party in people.values()]}
        for (side, role), people in roles.items()
    ]


def _person(party: Party) -> dict[str, Any]:
    return {
        "name": party.name,
        "id_kind": wording.ID_KIND[party.id_kind],
        "id_number": party.id_number,
        "address": party.address,
        "phone": party.phone,
        "institution": party.is_institution,
        "guardian": party.guardian.name if party.guardian else "",
    }


def _agent(agent: Party, principal: Party) -> dict[str, Any]:
    return {**_person(agent), "principal": principal.name}


def _declaration(declaration: Declaration) -> dict[str, Any]:
    words = DECLARATION[declaration.kind]
    if declaration.text:
        words += f"：{declaration.text}"
    if declaration.declared_on is not None:
        words += f"（{wording.date(declaration.declared_on)}）"
    return {"party": declaration.party.name, "words": words}


def _unit(
    code: str, described: Sequence[Described], known: Mapping[str, Unit], stated: Mapping[str, str]
) -> dict[str, Any]:
    unit = known.get(code)
    numbers = [number for one in described if code in one.units for number in one.titles_of(code)]
    return {
        "code": code,
        "location": unit.location if unit else stated.get(code, ""),
        "kind": _UNIT_KIND[unit.kind] if unit else "",
        "area": wording.area(unit.floor_area) if unit and unit.floor_area else "",
        "use": wording.USE.get(unit.use, unit.use) if unit else "",
        "title": "、".join(dict.fromkeys(numbers)),
    }


def _step(number: int, one: Described) -> dict[str, Any]:
    return {
        "title": f"{wording.ordinal(number)}、{one.title}",
        "facts": [{"label": fact.label, "value": fact.value} for fact in one.facts],
        "ground": one.ground,
        "papers": list(one.papers),
    }


def _signers(signers: Sequence[Party]) -> list[dict[str, Any]]:
    if len(signers) > SIGNERS_MAX:
        raise ValueError(f"{len(signers)} signers: a form has places for at most {SIGNERS_MAX}")
    return [{"name": _signing(party), "institution": party.is_institution} for party in signers]


def _signing(party: Party) -> str:
    """Whose name stands at the place to sign: a ward's guardian signs for the ward (RD 11)."""
    return f"{party.name}（监护人{party.guardian.name}）" if party.guardian is not None else party.name


def _roles(described: Sequence[Described], respondent: Party) -> list[str]:
    roles: dict[str, None] = {}
    for one in described:
        for role, parties in (
            (one.holder_role, one.holders),
            (one.obligor_role, one.obligors),
            ("债务人", one.debtors),
        ):
            if respondent.key in {party.key for party in parties}:
                roles[role] = None
    return list(roles)
