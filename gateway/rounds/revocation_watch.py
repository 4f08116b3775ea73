"""Fetches revocation lists and OCSP answers in time, beside the request path, and enters what is new (`revocation.py`).

Which addresses are asked, a registry's trust says (`AnchorPolicy`). A list is fetched again well before it ends, with
some chance in it so that not all of a city asks at once, and at least once an hour, for authorities publish early when
a key was stolen. A responder is asked about the certificates that were judged and have no answer that speaks for them.
While a source is down it is tried again, with growing distance; what was fetched before stands until it ends, then for
the grace of its anchor, and then certificates below it are refused (`signing/trust.py`).
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import logging
import os
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from gateway.cases.effects import AnyEffect, TrustSet
from gateway.config import Limits
from gateway.http.revocation_fetch import Fetch, NoAnswer, SourceDown, fetch
from gateway.revocation import PASSING_MAX, Fetched, NothingNew, command_of
from gateway.sequencer import Sequencer
from gateway.telemetry import metrics
from signing.anchors import AnchorPolicy
from signing.errors import SigningError
from signing.ocsp import OCSP_BYTES_MAX, check_nonce, make_question, read_answer
from signing.revocation import list_dates
from signing.trust import TrustStore, WatchedLink

log = logging.getLogger(__name__)

THREADS: Final = 4
NONCE_BYTES: Final = 32
CLOCK_SKEW: Final = dt.timedelta(minutes=5)
"""Evidence may be this much ahead of our clock."""
LEAD: Final = 0.25
"""Share of its life before whose end evidence is fetched again."""
ANSWERS_AN_ENTRY: Final = 64
UNUSED_MAX: Final = dt.timedelta(days=7)
"""A certificate that nobody used for so long is not asked about any more, until somebody does."""


UNDER_WAY_MAX: Final = dt.timedelta(minutes=2)
"""So long a request may still be judged by a store that was replaced."""


ASKED_AT_ONCE: Final = 2
"""Questions that one address is asked at a time: one that hangs must leave threads to the others."""


class _Got(NamedTuple):
    """Evidence as a source gave it, and of which time it is. known: False where it does not know the certificate."""

    url: str
    der: bytes
    begin: dt.datetime
    until: dt.datetime | None
    known: bool = True


class _Asking:
    """The addresses of one round: how many questions each is asked at once, and which give no answer."""

    def __init__(self) -> None:
        self.turns: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(ASKED_AT_ONCE))
        self.silent: set[str] = set()


_Key = tuple[str, str, str]
"""Purpose, anchor, and the address of a list or the certificate that is asked about."""


@dataclass
class _Errand:
    """One thing to be fetched again and again: a list from an address, or an answer about a link of a chain.

    standing: the link is an authority, or of a registered key.
    """

    key: _Key
    policy: AnchorPolicy
    urls: tuple[str, ...]
    link: WatchedLink | None
    next_at: dt.datetime
    seen_at: dt.datetime
    failures: int = 0
    standing: bool = False


@dataclass
class _Watched:
    """A registry's errands, by what they are about, and of each source that is down those that it failed when last
    asked: it may know of one certificate and not of another.
    """

    errands: dict[_Key, _Errand] = field(default_factory=dict)
    down: dict[str, set[_Key]] = field(default_factory=dict)
    brought: list[WatchedLink] = field(default_factory=list)
    retired: list[tuple[dt.datetime, TrustStore]] = field(default_factory=list)
    poked: asyncio.Event = field(default_factory=asyncio.Event)


class RevocationWatch:
    """The task. `committed` is called on the event loop after each commit, `graced` from any thread.

    keys_of: ids of the keys that are registered with a registry.
    """

    def __init__(
        self,
        *,
        sequencer: Sequencer,
        trust_of: Callable[[str], TrustStore],
        keys_of: Callable[[str], frozenset[str]],
        limits: Limits,
        clock: Callable[[], dt.datetime],
        fetch: Fetch = fetch,
        entropy: Callable[[int], bytes] = os.urandom,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._sequencer = sequencer
        self._trust_of = trust_of
        self._keys_of = keys_of
        self._limits = limits
        self._clock = clock
        self._fetch = fetch
        self._entropy = entropy
        self._uniform = uniform
        self._watched: dict[str, _Watched] = {}
        self._graced: set[str] = set()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="revocation")
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, registries: Sequence[str]) -> None:
        """Begin in the background; the first round is at once."""
        self._watched = {registry: _Watched() for registry in registries}
        self._tasks = [asyncio.create_task(self._run(registry)) for registry in registries]

    async def stop(self) -> None:
        """End; what a source still answers is asked for again at the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)

    def committed(self, registry: str, effects: Iterable[AnyEffect]) -> None:
        """An operator may have set other sources, or loaded what these did not give, or let go of what they gave."""
        if any(isinstance(effect, TrustSet) for effect in effects) and registry in self._watched:
            self._graced.clear()
            for errand in self._watched[registry].errands.values():
                if errand.link is None:
                    errand.next_at = self._clock()
            self._watched[registry].poked.set()

    def judged(self, links: Sequence[WatchedLink]) -> None:
        """Links of chains that were judged in another process, for whichever registry; on the event loop."""
        for watched in self._watched.values():
            watched.brought += links
            watched.poked.set()

    def retire(self, registry: str, store: TrustStore) -> None:
        """A store that another replaced: whom it judges yet is still to be asked about; from any thread."""
        if registry in self._watched:
            self._watched[registry].retired.append((self._clock(), store))

    def graced(self, policy: AnchorPolicy) -> None:
        """A certificate below this anchor was believed though all evidence about it had ended."""
        metrics.decided_in_grace(_short(policy.anchor))
        if policy.anchor not in self._graced:
            self._graced.add(policy.anchor)
            log.error(
                "revocation evidence below anchor %s has ended; certificates are believed for %d hours more",
                _short(policy.anchor),
                policy.grace_hours,
            )

    # -- rounds --------------------------------------------------------------------------------------------------

    async def _run(self, registry: str) -> None:
        poked = self._watched[registry].poked
        while True:
            poked.clear()
            try:
                await self.round(registry)
            except Exception:
                log.exception("round of revocation sources failed", extra={"registry": registry})
            with suppress(TimeoutError):
                await asyncio.wait_for(poked.wait(), self._limits.revocation_look_seconds)

    async def round(self, registry: str) -> None:
        """Run every errand of a registry that is due, and enter what came back."""
        store = self._trust_of(registry)
        watched = self._watched[registry]
        self._note_errands(watched, store)
        self._let_go(registry, watched)
        self._forget_down(registry, watched)
        due = [one for one in watched.errands.values() if one.next_at <= self._clock()]
        asking = _Asking()
        results = await asyncio.gather(*(self._run_errand(registry, one, store, asking) for one in due))
        got = [(errand, one) for errand, one in zip(due, results, strict=True) if one is not None]
        answers: dict[bytes, list[tuple[_Errand, _Got]]] = {}
        for errand, one in got:
            if errand.link is None:  # lists may be large: one an entry
                await self._enter(registry, Fetched(crls=(one.der,)), [(errand, one)])
            else:
                answers.setdefault(errand.link.issuer.der, []).append((errand, one))
        # Those of one authority together: what another answers must not stop them.
        for issuer, several in answers.items():
            for start in range(0, len(several), ANSWERS_AN_ENTRY):
                some = several[start : start + ANSWERS_AN_ENTRY]
                fetched = Fetched(
                    ocsp=tuple(one.der for _, one in some),
                    authorities=(issuer,),
                    standing=frozenset(
                        hashlib.sha256(one.der).hexdigest() for errand, one in some if errand.standing
                    ),
                )
                await self._enter(registry, fetched, some)

    def _note_errands(self, watched: _Watched, store: TrustStore) -> None:
        """One for each address of a list and each certificate that was judged, as the policies are now."""
        now, errands = self._clock(), watched.errands
        policies = {
            (purpose.value, one.anchor): one for purpose, some in store.policies.items() for one in some
        }
        for (purpose, anchor), policy in policies.items():
            for url in policy.crl_urls:
                of_list = (purpose, anchor, url)
                errands.setdefault(of_list, _Errand(of_list, policy, (url,), None, now, now))
        brought, watched.brought = watched.brought, []
        for retired in tuple(watched.retired):
            brought += retired[1].watched()
            if retired[0] + UNDER_WAY_MAX < now:
                watched.retired.remove(retired)
        for link in (*store.watched(), *brought):
            if _is_left_to_lists(store, link):
                continue
            key = (link.purpose.value, link.anchor, link.subject.fingerprint)
            if key not in errands and key[:2] in policies:
                policy = policies[key[:2]]
                first = self._first_at(store, link, now)
                errands[key] = _Errand(key, policy, policy.ocsp_urls, link, first, now)
            if key in errands:
                errands[key].seen_at = now
        for key, errand in list(errands.items()):
            known = policies.get(key[:2])
            errand.urls = () if known is None else known.ocsp_urls if errand.link else (key[2],)
            is_set = known is not None and (errand.link is not None or key[2] in known.crl_urls)
            is_over = errand.link is not None and (
                errand.seen_at + UNUSED_MAX < now or _is_left_to_lists(store, errand.link)
            )
            if not is_set or not errand.urls or is_over:
                del errands[key]
            elif known is not None:
                errand.policy = known

    def _let_go(self, registry: str, watched: _Watched) -> None:
        """Whoever signs once comes and goes: of them the last are watched, of registered keys and authorities all."""
        keys = self._keys_of(registry)
        passing = []
        for key, errand in watched.errands.items():
            if errand.link is not None:
                errand.standing = errand.link.subject.is_ca or errand.link.subject.key_id in keys
                if not errand.standing:
                    passing.append((errand.seen_at, key))
        much = len(passing) - PASSING_MAX
        for _, key in sorted(passing)[: max(much, 0)]:
            del watched.errands[key]
        standing = sum(errand.standing for errand in watched.errands.values())
        metrics.revocation_watched(registry, standing, min(len(passing), PASSING_MAX))
        if much > 0:
            metrics.revocation_let_go(registry, much)

    def _forget_down(self, registry: str, watched: _Watched) -> None:
        """A source is no longer down where nobody is asked about any more whom it failed."""
        for url, keys in list(watched.down.items()):
            gone = {key for key in keys if (e := watched.errands.get(key)) is None or url not in e.urls}
            keys -= gone
            if not keys:
                del watched.down[url]
            for anchor in {anchor for _, anchor, _ in gone}:
                self._count(registry, anchor)

    def _first_at(self, store: TrustStore, link: WatchedLink, now: dt.datetime) -> dt.datetime:
        """When to ask about a certificate for the first time in this run: an answer of an earlier one may still do."""
        known = [one for one in store.evidence(link) if one.kind == "OCSP" and one.until is not None]
        return max((self._before_end(one.this_update, one.until or now, now) for one in known), default=now)

    async def _run_errand(
        self, registry: str, errand: _Errand, store: TrustStore, asking: _Asking
    ) -> _Got | None:
        """What the first of its addresses gives that holds now; else what had ended, which may yet name somebody."""
        got: _Got | None = None
        is_current = False
        for url in errand.urls:
            async with asking.turns[url]:
                if url in asking.silent:
                    continue
                try:
                    got = await asyncio.get_running_loop().run_in_executor(
                        self._threads, self._ask, url, errand, store
                    )
                except (SourceDown, SigningError) as error:
                    self._failed(registry, url, errand, str(error))
                    if isinstance(error, NoAnswer):
                        asking.silent.add(url)
                    continue
                except Exception as error:  # whatever a stranger's bytes bring about: the others go on
                    self._failed(
                        registry, url, errand, f"what it gives was not read ({type(error).__name__})"
                    )
                    continue
            is_current = got.until is None or got.until > self._clock()
            if is_current:
                self._answered(registry, url, errand, got.begin)
                break
            self._failed(registry, url, errand, f"what it gives ended at {got.until}")
        if got is not None and not got.known and not self._is_answered(errand, store):
            # It may learn of it soon, of a certificate made just now say; and there is nothing that this would undo.
            self._later(errand)
            return None
        if got is not None and is_current and got.known:
            now = self._clock()
            errand.failures = 0
            errand.next_at = self._before_end(got.begin, got.until or now, now)
        else:
            self._later(errand)
        return got

    def _is_answered(self, errand: _Errand, store: TrustStore) -> bool:
        """Whether a responder that knows the certificate has spoken."""
        return errand.link is not None and any(one.kind == "OCSP" for one in store.evidence(errand.link))

    def _later(self, errand: _Errand) -> None:
        """It failed: again with growing distance."""
        wait = self._limits.revocation_retry_seconds * 2**errand.failures
        errand.failures = min(errand.failures + 1, 30)
        wait = min(wait, self._limits.revocation_retry_seconds_max)
        errand.next_at = self._clock() + dt.timedelta(seconds=wait)

    def _ask(self, url: str, errand: _Errand, store: TrustStore) -> _Got:
        """Fetch and authenticate, in a thread. Raises SourceDown, or SigningError where it is not authentic."""
        seconds, limits, link, known = (
            self._limits.revocation_timeout_seconds,
            self._limits,
            errand.link,
            True,
        )
        if link is None:
            der = self._fetch(url, None, seconds, limits.revocation_list_bytes_max)
            # A list of somebody else's, however authentic, is none of this anchor's: nobody below it would be known.
            begin, until = list_dates(der, store.authorities_below(errand.policy.anchor))
        else:
            nonce = self._entropy(NONCE_BYTES)
            question = make_question(link.subject.serial, link.issuer, nonce)
            der = self._fetch(url, question, seconds, OCSP_BYTES_MAX)
            check_nonce(der, nonce)
            # Whatever else it says of any authority that is known has to be authentic too, or it enters nothing.
            authorities = tuple(dict.fromkeys((link.issuer, *store.authorities)))
            about = [
                one
                for one in read_answer(der, authorities)
                if (one.issuer_key_id, one.serial) == (link.issuer.key_id, link.subject.serial)
            ]
            if not about:
                raise SourceDown("its answer is about another certificate")
            begin, until, known = about[0].this_update, about[0].until, about[0].known
        if begin > self._clock() + CLOCK_SKEW:
            raise SourceDown(f"what it gives is of {begin.isoformat()}, which is to come")
        return _Got(url, der, begin, until, known)

    def _before_end(self, begin: dt.datetime, until: dt.datetime, now: dt.datetime) -> dt.datetime:
        """When to fetch again: before the end, at least so often as the setting says, never at once."""
        lead = (until - begin) * LEAD * self._uniform(1.0, 1.5)
        most = dt.timedelta(seconds=self._limits.revocation_refresh_seconds_max * self._uniform(0.8, 1.0))
        least = max(dt.timedelta(seconds=self._limits.revocation_retry_seconds), (until - now) * LEAD)
        return min(max(until - lead, now + least), now + max(most, dt.timedelta(seconds=1)))

    async def _enter(self, registry: str, fetched: Fetched, got: Sequence[tuple[_Errand, _Got]]) -> None:
        sources = sorted({one.url for _, one in got})
        try:
            await self._sequencer.ask(command_of(registry, fetched, sources, self._entropy(16).hex()))
        except NothingNew:
            pass
        except Exception:
            # It is fetched again soon; until then what is known stands.
            log.exception("revocation evidence not entered", extra={"registry": registry})
            for errand, _ in got:
                self._later(errand)

    # -- what is known of it -------------------------------------------------------------------------------------

    def _failed(self, registry: str, url: str, errand: _Errand, why: str) -> None:
        """Tell it once."""
        watched = self._watched[registry]
        if url not in watched.down:
            log.error("revocation source %s is down: %s", url, why, extra={"registry": registry})
        watched.down.setdefault(url, set()).add(errand.key)
        metrics.revocation_asked(registry, _short(errand.policy.anchor), ok=False)
        self._count(registry, errand.policy.anchor)

    def _answered(self, registry: str, url: str, errand: _Errand, begin: dt.datetime) -> None:
        watched, anchor = self._watched[registry], errand.policy.anchor
        failed = watched.down.get(url, set())
        if errand.key in failed:
            failed.discard(errand.key)
            for key in failed:  # what it failed too it may know now
                watched.errands[key].next_at = self._clock()
            if not failed:
                del watched.down[url]
                log.info("revocation source %s answers again", url, extra={"registry": registry})
        metrics.revocation_asked(registry, _short(anchor), ok=True)
        if not self._count(registry, anchor):
            self._graced.discard(anchor)
        metrics.revocation_evidence(registry, _short(anchor), begin.timestamp())

    def _count(self, registry: str, anchor: str) -> int:
        down = self._watched[registry].down.values()
        sources = sum(any(key[1] == anchor for key in keys) for keys in down)
        metrics.revocation_down(registry, _short(anchor), sources)
        return sources


def _is_left_to_lists(store: TrustStore, link: WatchedLink) -> bool:
    """Responders answer for those who sign; for authorities there are lists."""
    return link.subject.is_ca and any(one.kind == "CRL" for one in store.evidence(link))


def _short(anchor: str) -> str:
    """An anchor as it can stand in a label: the beginning of its certificate's digest, which is no secret."""
    return anchor[:16]
