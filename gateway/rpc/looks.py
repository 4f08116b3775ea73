"""A look into the register as an entry: who, on which basis, what for (IR 27, 28; PIPL 6).

Only a look that found something is one; the others leave a line in the log. It is appended like any other command, in
the batch that is under way, and the answer goes out once it is durable. A sealed extract fixes its data in the same
entry, so that it is true at exactly one place of the ledger.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from typing import Any, Final

import msgspec

from gateway.cases.decision import Decision
from gateway.cases.effects import QueryRecorded
from gateway.cases.errors import ApplicationNotFound
from gateway.cases.model import Application, Moment, Outcome, Result
from gateway.certificates.extract import (
    CaseShown,
    ExtractContent,
    Reader,
    encode_extract,
    rights_shown,
)
from gateway.commands import Command
from gateway.register.authority import Profile
from gateway.register.calendar import CHINA
from gateway.register.model import AnyRight, Value
from gateway.rpc.names import malformed
from gateway.storage.working import Wants, Working
from signing.envelope import pae

LOOK_TYPE: Final = "application/vnd.diya.look.v1+json"
PURPOSE_CHARACTERS_MAX: Final = 200

#: Whose request ids looks are: nobody repeats one.
_LOOKS: Final = "looks"

_encode = msgspec.json.Encoder().encode


class Look(Value, frozen=True, kw_only=True):
    """One look that the caller's basis reaches: at a unit, or for a person, and `subject` is the keyed hash of either.

    `ground` names the basis, or the instrument of a court.
    """

    registry: str
    reader: Reader
    ground: str
    unit_code: str
    subject: str
    person: str = ""  # by its key (gateway/register/holding.py)


class Sight(Value, frozen=True, kw_only=True):
    """How much of a unit the reader sees: of which rights everything, and of which open cases the number."""

    whole: Callable[[AnyRight], bool]
    own_case: Callable[[Application], bool]
    counter_cases: tuple[CaseShown, ...] = ()


def purpose_of(request: Any, *, needed: bool) -> str:
    """The purpose as stated. Raises MalformedRequest."""
    purpose = " ".join(request.purpose.split())
    if (needed and not purpose) or len(purpose) > PURPOSE_CHARACTERS_MAX or not purpose.isprintable():
        raise malformed(
            "purpose",
            f"须写明查询目的，1 至 {PURPOSE_CHARACTERS_MAX} 字",
            f"the purpose has 1 to {PURPOSE_CHARACTERS_MAX} printable characters",
        )
    return purpose


def look_command(look: Look) -> Command:
    """The command that records a look at a unit."""
    return _command(look, lambda _, moment: _decision(look, "UNIT", moment))


def search_command(look: Look) -> Command:
    """The command that records a search by person."""
    return _command(look, lambda _, moment: _decision(look, "PERSON", moment))


def extract_command(look: Look, profile: Profile, sight: Sight) -> Command:
    """The command that records a look and fixes the data of its extract."""

    def decide(working: Working, moment: Moment) -> Decision:
        state = working.unit_state(look.unit_code)
        if state is None:  # it was there a moment ago, and no unit ever goes
            raise ApplicationNotFound(look.unit_code)
        day = moment.now.astimezone(CHINA).date()
        cases = [working.application(case.application_id) for case in working.open_cases(look.unit_code)]
        content = ExtractContent(
            number=f"CX{day:%Y%m%d}{look.unit_code[:6]}{moment.index:08d}",
            registry=look.registry,
            issuer_name=profile.authority_name,
            issuer_code=profile.authority_code,
            asked_at=moment.now,
            as_of_index=moment.index - 1,
            reader=look.reader,
            unit=state.unit,
            rights=rights_shown(state, sight.whole),
            open_cases=(*(_case(case, sight) for case in cases if case is not None), *sight.counter_cases),
            test=not profile.production,
        )
        return msgspec.structs.replace(
            _decision(look, "EXTRACT", moment, content.number), extract=encode_extract(content)
        )

    return _command(look, decide)


def _case(case: Application, sight: Sight) -> CaseShown:
    return CaseShown(
        operations=case.operations,
        accepted_at=case.accepted_at,
        case_number=case.case_number if sight.own_case(case) else "",
    )


def _decision(look: Look, query: str, moment: Moment, number: str = "") -> Decision:
    recorded = QueryRecorded(
        query=query,
        caller_kind=look.reader.kind,
        caller=look.reader.identifier,
        basis=look.reader.basis,
        subject=look.subject,
        number=number,
        at=moment.now,
    )
    outcome = Outcome(result=Result.DONE, application="", as_of_index=moment.index - 1)
    return Decision(kind="query.recorded", outcome=outcome, effects=(recorded,))


def _command(look: Look, decide: Callable[[Working, Moment], Decision]) -> Command:
    payload = pae(LOOK_TYPE, _encode(look))
    request_id = str(uuid.uuid4())
    return Command(
        registry=look.registry,
        institution=_LOOKS,
        request_id=request_id,
        payload_sha256=hashlib.sha256(payload).hexdigest(),
        payload=payload,
        evidence=lambda: b"{}",
        wants=Wants(requests={(_LOOKS, request_id)}, units={look.unit_code} - {""}),
        decide=decide,
    )
