"""What of fetched evidence becomes an entry, and when a source is asked again."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import logging
from typing import Any, Self

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

import gateway.revocation
import gateway.rounds.revocation_watch
from gateway.cases.effects import RevocationNoted, TrustSet
from gateway.cases.trust import Trust
from gateway.commands import Overloaded
from gateway.config import Limits
from gateway.http.revocation_fetch import NoAnswer, SourceDown
from gateway.revocation import ANSWERS_KEPT, Fetched, note
from gateway.rounds.revocation_watch import RevocationWatch
from gateway.telemetry import metrics
from signing.anchors import AnchorPolicy
from signing.authority import Credential, authority_name, make_key
from signing.errors import TrustStoreInvalid
from signing.pki import KeyKind, make_authority
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


def test_who_signs_once_makes_no_room_at_the_cost_of_registered_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """However soon a bank's answer ends, and however many come; the auditor derives the same from the entry alone."""
    monkeypatch.setattr(gateway.revocation, "PASSING_MAX", 2)
    citizens = [PKI.issue_institution(f"{n}" * 18, "x") for n in range(4)]
    bank = answer(BANK, ISSUER, until=NOW + HOUR)
    before = trust()
    gained = noted(before, ocsp=(bank,), standing=frozenset([sha256(bank)]))
    assert gained == RevocationNoted(ocsp=(bank,), standing=(sha256(bank),))
    before = before.noted(gained)
    answers = [answer(one, ISSUER, until=NOW + n * DAY) for n, one in enumerate(citizens, start=1)]
    for der in answers:
        gained = noted(before, ocsp=(der,))
        assert gained is not None
        assert sha256(bank) not in gained.superseded
        assert noted(before, ocsp=gained.ocsp, standing=frozenset(gained.standing)) == gained
        before = before.noted(gained)
    assert before.now.ocsp == (bank, *answers[2:])
    # A newer answer takes its place and its standing; one that is of a key no longer registered is as any other.
    newer = answer(BANK, ISSUER, now=NOW + HOUR, until=NOW + 2 * HOUR)
    gained = noted(before, ocsp=(newer,))
    assert gained is not None
    after = before.noted(gained)
    assert (set(gained.superseded), after.standing) == ({sha256(bank), sha256(answers[2])}, frozenset())


def test_where_there_is_room_for_no_other_those_of_registered_keys_end_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A store has a limit whoever is registered: what ends first goes."""
    monkeypatch.setattr(gateway.revocation, "ANSWERS_MAX", 2)
    others = [PKI.issue_institution(f"{n}" * 18, "x") for n in range(2)]
    first, last = (answer(one, ISSUER, until=NOW + n * DAY) for n, one in enumerate(others, start=1))
    both = frozenset([sha256(first), sha256(last)])
    gained = noted(trust(), ocsp=(last, first), standing=both)
    assert gained is not None
    before = trust().noted(gained)
    new = answer(BANK, ISSUER, until=NOW + 9 * DAY)
    gained = noted(before, ocsp=(new,), standing=frozenset([sha256(new)]))
    assert gained is not None
    assert gained.superseded == (sha256(first),)


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
        self.fails: SourceDown | None = None

    def __call__(self, url: str, question: bytes | None, seconds: float, bytes_max: int) -> bytes:
        self.asked += 1
        if self.fails is not None:
            raise self.fails
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


# -- who is watched ----------------------------------------------------------------------------------------------------


def responder_watched(**limits: Any) -> Watched:
    """A registry below whose anchor a responder is asked."""
    policy = AnchorPolicy(
        anchor=ANCHOR.credential.certificate.fingerprint, ocsp_urls=("http://ocsp.example/",)
    )
    store = TrustStore(
        {Purpose.INSTITUTION: (ANCHOR.der,)}, (), (ISSUER.der,), policies={Purpose.INSTITUTION: (policy,)}
    )
    return Watched(store, **limits)


def links_of(*some: Credential) -> list[WatchedLink]:
    """Each as it was judged."""
    anchor = ANCHOR.credential.certificate.fingerprint
    return [
        WatchedLink(Purpose.INSTITUTION, anchor, one.certificate, ISSUER.credential.certificate)
        for one in some
    ]


async def test_of_those_who_sign_once_the_last_are_watched_and_registered_keys_always(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A bank that was silent for days is still asked about when a crowd has signed since; the crowd is counted."""
    monkeypatch.setattr(gateway.rounds.revocation_watch, "PASSING_MAX", 2)
    crowd = [PKI.issue_institution(f"{n}" * 18, "x") for n in range(4)]
    async with responder_watched() as own:
        own.keys = frozenset([BANK.certificate.key_id])
        let_go = _sample("diya_revocation_let_go_total", registry="r")
        for one in (BANK, *crowd):
            own.now += HOUR
            own.watch.judged(links_of(one))
            await own.round()
        watched = {key[2] for key in own.watch._watched["r"].errands}
        assert watched == {one.certificate.fingerprint for one in (BANK, *crowd[2:])}
        assert _sample("diya_revocation_watched", registry="r", whose="standing") == 1
        assert _sample("diya_revocation_watched", registry="r", whose="passing") == 2
        assert _sample("diya_revocation_let_go_total", registry="r") == let_go + 2
        # What is entered of the bank's says so.
        own.source.gives = answer(BANK, ISSUER, now=own.now)
        await own.round(HOUR)
        (command,) = own.entered.commands
        assert command.payload.count(sha256(own.source.gives).encode()) == 1


def _sample(name: str, **labels: str) -> float:
    return metrics.collectors.get_sample_value(name, labels) or 0.0


async def test_responder_that_gives_no_answer_is_not_asked_about_everybody_in_a_round() -> None:
    """A thousand questions to one that hangs would be a thousand times the wait, for every other source too."""
    some = [PKI.issue_institution(f"{n}" * 18, "x") for n in range(9)]
    async with responder_watched() as own:
        own.source.fails = NoAnswer("hangs")
        own.watch.judged(links_of(*some))
        assert await own.round() <= gateway.rounds.revocation_watch.ASKED_AT_ONCE
        # What is authentic of one is none of the others': when it is back, all are asked again at once.
        own.source.fails, own.source.gives = None, answer(some[0], ISSUER)
        assert await own.round(5 * HOUR) == len(some)


NAME = "测试人甲"


@pytest.mark.parametrize("case", ["no delegate", "expired", "another key", "list of a stranger", "no list"])
async def test_log_line_of_a_source_names_nobody(case: str, caplog: pytest.LogCaptureFixture) -> None:
    """A responder's certificate, or a list's issuer, may bear a person's name: keys and digests are told."""
    stranger = make_authority(NAME, now=NOW, days=9)

    def delegate(days_ago: int, usage: x509.ObjectIdentifier) -> Credential:
        extensions: list[tuple[x509.ExtensionType, bool]] = [(x509.ExtendedKeyUsage([usage]), False)]
        begins = NOW - days_ago * DAY
        return ISSUER.issue(authority_name(NAME), make_key(KeyKind.P256), extensions, now=begins, days=30)

    signing, other = ExtendedKeyUsageOID.OCSP_SIGNING, ExtendedKeyUsageOID.CODE_SIGNING
    good = delegate(0, signing)
    gives = {
        "no delegate": lambda: answer(BANK, ISSUER, by=delegate(0, other)),
        "expired": lambda: answer(BANK, ISSUER, by=delegate(60, signing)),
        "another key": lambda: answer(
            BANK, ISSUER, by=stranger.credential, named=good, carries=[good.certificates[0]]
        ),
        "list of a stranger": lambda: stranger.make_crl(now=NOW),
        "no list": lambda: NAME.encode(),
    }
    caplog.set_level(logging.INFO, "gateway.rounds.revocation_watch")
    own = Watched() if "list" in case else responder_watched()
    async with own:
        own.source.gives = gives[case]()
        own.watch.judged([] if "list" in case else links_of(BANK))
        assert await own.round() == 1
        assert own.entered.commands == []
    (told,) = [record.getMessage() for record in caplog.records]
    assert "is down" in told
    assert NAME not in told
    assert "CN=" not in told
