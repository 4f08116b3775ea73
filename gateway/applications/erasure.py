"""When the evidence of an application may be erased. Pure.

What was registered, and the papers that it was registered on, are kept for ever (IR 13; RD 94): where statute orders
keeping, the law of personal information leaves storage and protection, not erasure (PIPL 47(2)). Erased are drafts
that were never accepted, and withdrawn or refused cases after the time that the place keeps them (handbook 3.6).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from enum import StrEnum

from msgspec.structs import replace

from gateway.applications.administration import OperatorAct, answered
from gateway.cases.decision import Decision
from gateway.cases.effects import AnyEffect, ApplicationRecorded, ErasedFile, EvidenceErased
from gateway.cases.errors import CommandRefused
from gateway.cases.model import CLOSED, Application, Counted, Moment, State
from gateway.register.authority import Profile

_KEPT = "IR 13; RD 94; PIPL 47(2)"
_ERASED = "PIPL 47; handbook 3.6"


class Ground(StrEnum):
    """Why evidence may be erased."""

    NEVER_ACCEPTED = "NEVER_ACCEPTED"
    WITHDRAWN = "WITHDRAWN"
    REFUSED = "REFUSED"


class ErasureNotAllowed(CommandRefused):
    """The law has this evidence kept, or kept for longer; `article` says which."""

    reason = "ERASURE_NOT_ALLOWED"

    def __init__(self, article: str, zh: str, en: str, **metadata: str) -> None:
        super().__init__(f"{zh}（{article}）", f"{en} ({article})", article=article, **metadata)


class AlreadyErased(ErasureNotAllowed):
    """Entry `index` did it: nothing is left to do, and nothing is entered."""

    def __init__(self, index: int) -> None:
        self.index = index
        super().__init__(
            _ERASED,
            f"该申请的材料已由第 {index} 条记录销毁",
            f"its evidence was erased by entry {index} already",
            erasedIndex=str(index),
        )


class CaseMoved(CommandRefused):
    """Something was entered on the case since its files were looked up."""

    reason = "SEEN_INDEX_STALE"


def ground_of(row: Application) -> Ground | None:
    """On which ground the evidence of an application may ever be erased; None: on none, as it stands."""
    if row.state not in CLOSED or row.state is State.BOOKED:
        return None
    if row.accepted_index is None:
        return Ground.NEVER_ACCEPTED
    return Ground.REFUSED if row.state is State.REFUSED else Ground.WITHDRAWN


def kept_until(row: Application, profile: Profile) -> dt.datetime | None:
    """Until when the place keeps an accepted case that ended unbooked; None: for ever."""
    if not profile.ended_case_retention_days or row.closed_at is None:
        return None
    return row.closed_at + dt.timedelta(days=profile.ended_case_retention_days)


def decide_erasure(
    row: Application,
    phases: Sequence[Application],
    stated: tuple[Ground, Sequence[ErasedFile], int],
    profile: Profile,
    act: OperatorAct,
    moment: Moment,
) -> Decision:
    """Erase the evidence of an application.

    phases: all applications of its case. stated: the ground that the operator gives, the files that the case names, and
    the last entry on it when these were looked up. Raises ErasureNotAllowed, CaseMoved, EnvelopeExpired.
    """
    ground, files, seen_index = stated
    if row.last_index != seen_index:
        raise CaseMoved(
            "案件刚有新的记录；请重新签发销毁行为",
            "the case has a new entry since: sign the erasure anew",
            lastIndex=str(row.last_index),
        )
    _check_may_erase(row, phases, ground, profile, moment.now)
    effects: list[AnyEffect] = [
        EvidenceErased(
            application_id=row.application_id, ground=ground.value, files=tuple(files), at=moment.now
        ),
        ApplicationRecorded(application=without_evidence(row, moment.index)),
    ]
    decision = answered("evidence.erased", effects, act, moment)
    return replace(decision, erases=(row.application_id,))


def without_evidence(row: Application, index: int) -> Application:
    """The row as entry `index` leaves it: that there was a case, whose, and what became of it."""
    return replace(
        row,
        units=(),
        rights=(),
        counted=Counted(),
        funds=(),
        brought=(),
        taxes_cleared=(),
        erased_index=index,
    )


def _check_may_erase(
    row: Application, phases: Sequence[Application], ground: Ground, profile: Profile, now: dt.datetime
) -> None:
    if row.erased_index is not None:
        raise AlreadyErased(row.erased_index)
    for phase in (row, *phases):
        if phase.state is State.BOOKED:
            raise ErasureNotAllowed(
                _KEPT,
                "案件已登簿，登记资料永久保存，不得销毁",
                "the case was booked: its registration materials are kept for ever",
                state=phase.state.value,
            )
    for phase in (row, *phases):
        if phase.state not in CLOSED:
            raise ErasureNotAllowed(
                _KEPT,
                f"案件尚在办理（{phase.state.value}），办结前不得销毁",
                f"the case is under way ({phase.state.value}): nothing is erased before it has ended",
                state=phase.state.value,
            )
    allowed = ground_of(row)
    if ground is not allowed:
        raise ErasureNotAllowed(
            _ERASED,
            f"销毁依据 {ground.value} 不符：该申请为 {row.state.value}，依据应为 {allowed}",
            f"the ground {ground.value} does not fit: the application is {row.state.value}, its ground is {allowed}",
            state=row.state.value,
            ground=str(allowed),
        )
    if ground is Ground.NEVER_ACCEPTED:
        return
    until = kept_until(row, profile)
    if until is None:
        raise ErasureNotAllowed(
            _ERASED,
            "已受理案件的材料按本地规定长期保存（ended_case_retention_days 为 0）",
            "the place keeps accepted cases for ever (ended_case_retention_days is 0)",
            state=row.state.value,
        )
    if now < until:
        raise ErasureNotAllowed(
            _ERASED,
            f"已受理案件的材料须保存至 {until:%Y-%m-%d %H:%M} UTC",
            f"an accepted case is kept until {until:%Y-%m-%d %H:%M} UTC",
            state=row.state.value,
            keptUntil=until.isoformat(),
        )
