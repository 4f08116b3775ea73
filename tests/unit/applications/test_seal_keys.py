"""Which key seals, and when: one at a time, never the same again, compromised from ever earlier only."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from gateway.applications.administration import ActInvalid, OperatorAct
from gateway.applications.seal_keys import (
    active,
    decide_retirement,
    decide_rotation,
    is_compromised,
    may_seal,
    sealed_by,
)
from gateway.cases.effects import SealTermsSet
from gateway.cases.model import Moment
from gateway.register.authority import SealTerm

NOW = dt.datetime(2026, 11, 2, 9, 0, tzinfo=dt.UTC)
FIRST, SECOND, THIRD = "1" * 64, "2" * 64, "3" * 64
ACT = OperatorAct(
    request_id="r",
    payload_sha256="0" * 64,
    created_at=NOW - dt.timedelta(hours=1),
    not_after=NOW + dt.timedelta(days=2),
)


def moment(hours: float = 0, index: int = 7) -> Moment:
    """An instant after NOW."""
    return Moment(now=NOW + dt.timedelta(hours=hours), index=index, application_id="", entropy=b"")


def after(decision: Any) -> tuple[SealTerm, ...]:
    """The terms that a decision leaves."""
    [_, effect] = decision.effects
    assert isinstance(effect, SealTermsSet)
    return effect.keys


def rotated(terms: tuple[SealTerm, ...], former: str, to: str, hours: float = 0) -> tuple[SealTerm, ...]:
    """The terms after a rotation."""
    return after(decide_rotation(terms, former, SealTerm(key_id=to), ACT, moment(hours)))


def retired(
    terms: tuple[SealTerm, ...], key: str, since: dt.datetime | None = None, hours: float = 0
) -> tuple[SealTerm, ...]:
    """The terms after a retirement."""
    return after(decide_retirement(terms, key, since, "x", ACT, moment(hours)))


def test_before_any_act_whatever_is_configured_seals() -> None:
    """A registry of an older version goes on as it did."""
    assert may_seal((), FIRST)
    assert active(()) is None
    assert sealed_by((), "") is None


def test_rotation_ends_the_former_key_with_the_entry_that_begins_the_next() -> None:
    """No instant has two keys, and none has none."""
    terms = rotated((), FIRST, SECOND)
    assert [(t.key_id, t.active_from, t.retired_at) for t in terms] == [
        (FIRST, None, NOW),
        (SECOND, NOW, None),
    ]
    assert may_seal(terms, SECOND)
    assert not may_seal(terms, FIRST)
    assert not may_seal(terms, "")
    assert sealed_by(terms, "") == terms[0]
    assert sealed_by(terms, SECOND) == terms[1]
    assert [t.retired_at for t in rotated(terms, SECOND, THIRD, 1)] == [
        NOW,
        NOW + dt.timedelta(hours=1),
        None,
    ]


@pytest.mark.parametrize(("former", "to"), [(FIRST, THIRD), ("", THIRD), (SECOND, FIRST), (SECOND, SECOND)])
def test_rotation_from_a_key_not_in_use_or_to_one_used_before_is_refused(former: str, to: str) -> None:
    """Two operators at once: the second is told. A key that went does not come back."""
    with pytest.raises(ActInvalid):
        rotated(rotated((), FIRST, SECOND), former, to)


def test_first_rotation_names_the_key_it_replaces() -> None:
    """Or nobody could say later what it was."""
    with pytest.raises(ActInvalid):
        rotated((), "", SECOND)


def test_retired_last_key_leaves_none_until_the_next_rotation() -> None:
    """Nothing is sealed in between; then the next one begins, with nobody before it."""
    terms = retired((), FIRST)
    assert active(terms) is None
    assert not may_seal(terms, FIRST)
    with pytest.raises(ActInvalid):
        rotated(terms, FIRST, SECOND)
    assert [t.retired_at is None for t in rotated(terms, "", SECOND, 1)] == [False, True]


def test_compromise_is_declared_of_any_key_and_moves_back_only() -> None:
    """What was once doubtful does not become good again; when it ended stays."""
    hour = dt.timedelta(hours=1)
    terms = retired(rotated((), FIRST, SECOND), FIRST, NOW - hour, 1)
    assert (terms[0].retired_at, terms[0].compromised_since) == (NOW, NOW - hour)
    assert not terms[0].is_compromised(NOW - 2 * hour)
    assert terms[0].is_compromised(NOW - hour)
    for later in (NOW - hour, NOW, None):
        with pytest.raises(ActInvalid):
            retired(terms, FIRST, later, 2)
    assert retired(terms, FIRST, NOW - 2 * hour, 2)[0].compromised_since == NOW - 2 * hour
    assert active(retired(terms, SECOND, NOW, 2)) is None


def test_retirement_of_a_stranger_twice_or_from_the_future_is_refused() -> None:
    """Each with the field to change."""
    terms = rotated((), FIRST, SECOND)
    for key, since, field in (
        (THIRD, None, "key_id"),
        (FIRST, None, "key_id"),
        (SECOND, NOW + dt.timedelta(seconds=1), "compromised_since"),
    ):
        with pytest.raises(ActInvalid) as caught:
            retired(terms, key, since)
        assert caught.value.metadata["field"] == field


def test_national_key_changes_beside_the_first_and_neither_touches_the_other() -> None:
    """Each place has its own key in use and its own list, that of the first place first; one key serves one place."""
    beside = FIRST.replace(FIRST[0], "e")
    following = SealTerm(key_id=SECOND, national=True)
    terms = rotated(after(decide_rotation((), beside, following, ACT, moment(1))), FIRST, THIRD, 2)
    assert [(term.key_id, term.national, term.retired_at is None) for term in terms] == [
        (FIRST, False, False),
        (THIRD, False, True),
        (beside, True, False),
        (SECOND, True, True),
    ]
    assert may_seal(terms, THIRD)
    assert may_seal(terms, SECOND, national=True)
    assert not may_seal(terms, THIRD, national=True)
    assert not may_seal(terms, "", national=True)  # while one is in use both seals are on
    assert may_seal((), "", national=True)
    assert sealed_by(terms, "") == terms[0]
    with pytest.raises(ActInvalid):
        decide_rotation(terms, SECOND, SealTerm(key_id=FIRST, national=True), ACT, moment(3))
    left = after(decide_retirement(terms, SECOND, NOW, "x", ACT, moment(3), national=True))
    assert active(left) == terms[1]
    assert active(left, national=True) is None
    assert is_compromised(left, THIRD, SECOND, NOW)
    assert not is_compromised(left, THIRD, beside, NOW)
    assert not is_compromised(left, THIRD, "", NOW)
