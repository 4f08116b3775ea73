"""What of fetched evidence becomes an entry, and when a source is asked again."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
from typing import Any, Self

import pytest

import gateway.revocation
from gateway.cases.effects import RevocationNoted, TrustSet
from gateway.cases.trust import Trust
from gateway.commands import Overloaded
from gateway.config import Limits
from gateway.revocation import ANSWERS_KEPT, Fetched, note
from gateway.revocation_fetch import SourceDown
from gateway.revocation_watch import RevocationWatch
from signing.anchors import AnchorPolicy
from signing.errors import TrustStoreInvalid
from signing.trust import Purpose, TrustStore, WatchedLink
from tests.support.ocsp import DAY, answer
from tests.support.pki import NOW, sample_pki

PKI = sample_pki().pki
ISSUER, ANCHOR = PKI.issuing[Purpose.INSTITUTION], PKI.anchors[Purpose.INSTITUTION]
BANK, OTHER = sample_pki().bank, sample_pki().second_bank
HOUR = dt.timedelta(hours=1)


def trust(**changes: Any) -> Trust:
    """A registry's trust."""
    stated = {
        "anchors": {"INSTITUTION": (ANCHOR.der,)},
        "crls": (),
        "intermediates": (ISSUER.der,),
        **changes,
    }
    return Trust.of(TrustSet(**stated))


def sha256(der: bytes) -> str:
    """As an effect names it."""
    return hashlib.sha256(der).hexdigest()


def noted(before: Trust, now: dt.datetime = NOW, **fetched: Any) -> RevocationNoted | None:
    """What the trust gains."""
    return note(before, Fetched(**fetched), now)


def test_newer_list_replaces_the_older_of_its_issuer() -> None:
    """And an older or equal one nothing, whatever a source that was rolled back gives."""
    old, new = ISSUER.make_crl(now=NOW), ISSUER.make_crl(now=NOW + HOUR)
    anchors = ANCHOR.make_crl(now=NOW)
    before = trust(crls=(old, anchors))
    gained = noted(before, crls=(new,))
    assert gained == RevocationNoted(crls=(new,), superseded=(sha256(old),))
    after = before.noted(gained)
    assert after.now.crls == (anchors, new)
    assert noted(after, crls=(old,)) is None
    assert noted(after, crls=(new,)) is None
    same = ISSUER.make_crl(now=NOW + HOUR)  # of the same second, with another signature
    assert same != new
    assert noted(after, crls=(same,)) is None


def test_answer_replaces_what_was_said_of_the_same_certificate_alone() -> None:
    """An answer about another bank stays, until it is long over."""
    old, other = answer(BANK, ISSUER), answer(OTHER, ISSUER)
    new = answer(BANK, ISSUER, now=NOW + HOUR)
    before = trust(ocsp=(old, other))
    assert noted(before, ocsp=(new,)) == RevocationNoted(ocsp=(new,), superseded=(sha256(old),))
    later = NOW + DAY + ANSWERS_KEPT + HOUR
    gained = noted(before, later, ocsp=(new,))
    assert gained is not None
    assert set(gained.superseded) == {sha256(old), sha256(other)}


def test_answer_that_revokes_is_kept_for_ever() -> None:
    """However long it is over: nobody is forgotten."""
    revoked = answer(OTHER, ISSUER, status="revoked")
    gained = noted(trust(ocsp=(revoked,)), NOW + 900 * DAY, ocsp=(answer(BANK, ISSUER),))
    assert gained is not None
    assert gained.superseded == ()


def test_where_there_are_too_many_the_answers_that_end_first_make_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A city's signers are many: what is new is entered all the same, and nobody who is revoked is forgotten."""
    monkeypatch.setattr(gateway.revocation, "PASSING_MAX", 3)
    others = [PKI.issue_institution(f"{n}" * 18, "x") for n in range(3)]
    revoked = answer(others[0], ISSUER, status="revoked", until=NOW + HOUR)
    first, last = (answer(one, ISSUER, until=NOW + n * DAY) for n, one in enumerate(others[1:], start=1))
    before = trust(ocsp=(revoked, last, first))
    new = answer(BANK, ISSUER)
    gained = noted(before, ocsp=(new,))
    assert gained == RevocationNoted(ocsp=(new,), superseded=(sha256(first),))
    assert before.noted(gained).now.ocsp == (revoked, last, new)
    # What is not new takes no room: from what was gained alone the auditor derives the same.
    stale = answer(others[2], ISSUER, now=NOW - HOUR)
    assert noted(before, ocsp=(stale, new)) == gained


def test_authority_comes_along_and_must_be_one_that_signed() -> None:
    """The issuer of an answer need not be in the trust; a stranger's answer enters nothing."""
    der = answer(BANK, ISSUER)
    gained = noted(trust(intermediates=()), ocsp=(der,), authorities=(ISSUER.der, ANCHOR.der))
    assert gained == RevocationNoted(ocsp=(der,), intermediates=(ISSUER.der,))
    with pytest.raises(TrustStoreInvalid):
        noted(trust(intermediates=()), ocsp=(der,))


# -- when a source is asked again --------------------------------------------------------------------------------------


class Source:
    """Gives what it has, and counts."""

    def __init__(self) -> None:
        self.gives: bytes | None = None
        self.gives_at: dict[str, bytes] = {}
        self.asked = 0

    def __call__(self, url: str, question: bytes | None, seconds: float, bytes_max: int) -> bytes:
        self.asked += 1
        gives = self.gives_at.get(url, self.gives)
        if gives is None:
            raise SourceDown("nothing")
        return gives


class Entered:
    """Stands where the sequencer stands: keeps the commands."""

    def __init__(self) -> None:
        self.commands: list[Any] = []
        self.is_full = False

    def ask(self, command: Any) -> Any:
        if self.is_full:
            raise Overloaded
        self.commands.append(command)
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done


class Watched:
    """A registry whose one source is ours, at a time of ours."""

    def __init__(self, store: TrustStore | None = None, **limits: Any) -> None:
        self.now, self.source, self.entered = NOW, Source(), Entered()
        policy = AnchorPolicy(
            anchor=ANCHOR.credential.certificate.fingerprint, crl_urls=("http://crl.example/a",)
        )
        self.keys = frozenset[str]()
        self.store = store or TrustStore(
            {Purpose.INSTITUTION: (ANCHOR.der,)}, (), (ISSUER.der,), policies={Purpose.INSTITUTION: (policy,)}
        )
        self.watch = RevocationWatch(
            sequencer=self.entered,  # type: ignore[arg-type]
            trust_of=lambda _: self.store,
            keys_of=lambda _: self.keys,
            limits=Limits(revocation_look_seconds=1e6, **limits),
            clock=lambda: self.now,
            fetch=self.source,
            uniform=lambda low, _high: low,
        )

    async def round(self, after: dt.timedelta = dt.timedelta()) -> int:
        """How often the source was asked in a round after so long."""
        self.now += after
        before = self.source.asked
        await self.watch.round("r")
        return self.source.asked - before

    async def __aenter__(self) -> Self:
        self.watch.start(["r"])
        self.watch._tasks.pop().cancel()  # the rounds are ours
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.watch.stop()


async def test_list_is_fetched_again_before_it_ends() -> None:
    """At three quarters of its life, and where that is long at least as often as is set."""
    async with Watched(revocation_refresh_seconds_max=12 * 3600) as own:
        own.source.gives = ISSUER.make_crl(now=NOW, days=1)
        assert await own.round() == 1
        assert await own.round(9 * HOUR) == 0
        assert await own.round(1 * HOUR) == 1  # 0.8 of twelve hours
        own.source.gives = ISSUER.make_crl(now=NOW + 10 * HOUR, days=1)
        assert await own.round(8 * HOUR) == 1  # three quarters of the first one's day
        assert len(own.entered.commands) == 3


async def test_source_that_is_down_is_tried_with_growing_distance() -> None:
    """5 s, 10 s, 20 s, 40 s, to the most that is set; and as ever once it is back."""
    async with Watched(revocation_retry_seconds=5, revocation_retry_seconds_max=30) as own:
        waits = []
        assert await own.round() == 1
        for _ in range(5):
            waited = 0
            while not await own.round(dt.timedelta(seconds=1)):
                waited += 1
            waits.append(waited + 1)
        assert waits == [5, 10, 20, 30, 30]
        own.source.gives = ISSUER.make_crl(now=NOW, days=1)
        assert await own.round(dt.timedelta(seconds=30)) == 1
        assert await own.round(HOUR - 20 * dt.timedelta(minutes=1)) == 0


async def test_list_that_ended_is_entered_and_its_source_is_down() -> None:
    """It may name somebody whom no newer one does."""
    async with Watched() as own:
        own.source.gives = ISSUER.make_crl(now=NOW - 2 * DAY, days=1)
        assert await own.round() == 1
        assert len(own.entered.commands) == 1
        assert "http://crl.example/a" in own.watch._watched["r"].down


@pytest.mark.parametrize(
    "der",
    [ISSUER.make_crl(now=NOW + HOUR), PKI.make_crl(Purpose.PERSON), b"<html>"],
    ids=["to_come", "foreign", "none"],
)
async def test_what_is_no_list_of_now_and_here_enters_nothing(der: bytes) -> None:
    """One of an hour to come, a stranger's, and a web page."""
    async with Watched() as own:
        own.source.gives = der
        assert await own.round() == 1
        assert own.entered.commands == []
        assert "http://crl.example/a" in own.watch._watched["r"].down


async def test_what_could_not_be_entered_is_fetched_again_soon() -> None:
    """The queue was full just then; an hour later the list that is known may have ended."""
    async with Watched(revocation_retry_seconds=5) as own:
        own.source.gives = ISSUER.make_crl(now=NOW, days=1)
        own.entered.is_full = True
        assert await own.round() == 1
        own.entered.is_full = False
        assert await own.round(dt.timedelta(seconds=5)) == 1
        assert len(own.entered.commands) == 1


async def test_list_is_fetched_again_when_the_trust_was_set() -> None:
    """It may have gone with its authority; the same bytes are another request then."""
    async with Watched() as own:
        own.source.gives = ISSUER.make_crl(now=NOW, days=1)
        assert await own.round() == 1
        assert await own.round() == 0
        own.watch.committed("r", [trust().now])
        assert await own.round() == 1
        first, second = own.entered.commands
        assert first.payload == second.payload
        assert first.request_id != second.request_id


async def test_responder_that_speaks_for_anothers_authority_is_down_and_stops_nobody() -> None:
    """The honest one's answer is entered alone."""
    person = PKI.issuing[Purpose.PERSON]
    citizen = sample_pki().buyer
    anchors = {purpose: (PKI.anchors[purpose].der,) for purpose in (Purpose.INSTITUTION, Purpose.PERSON)}
    urls = {purpose: f"http://ocsp.example/{purpose.value}" for purpose in anchors}
    prints = {purpose: PKI.anchors[purpose].credential.certificate.fingerprint for purpose in anchors}
    policies = {
        purpose: (AnchorPolicy(anchor=prints[purpose], ocsp_urls=(urls[purpose],)),) for purpose in anchors
    }
    store = TrustStore(anchors, (), (ISSUER.der, person.der), policies=policies)
    async with Watched(store) as own:
        good = answer(BANK, ISSUER)
        own.source.gives_at = {
            urls[Purpose.INSTITUTION]: good,
            urls[Purpose.PERSON]: answer(citizen, person, also=[(BANK, ISSUER)]),
        }
        own.watch.judged(
            [
                WatchedLink(purpose, prints[purpose], one.certificate, of.credential.certificate)
                for purpose, one, of in (
                    (Purpose.INSTITUTION, BANK, ISSUER),
                    (Purpose.PERSON, citizen, person),
                )
            ]
        )
        assert await own.round() == 2
        assert list(own.watch._watched["r"].down) == [urls[Purpose.PERSON]]
        (command,) = own.entered.commands
        assert sha256(good).encode() in command.payload
        assert command.payload.count(b"http://") == 1
