"""Fetched revocation evidence on its way into the ledger: what of it is new, and the command that enters it.

What a decision reads arrived as an entry (promise 1), so a list or an answer that the gateway fetched is believed from
its entry on, and the trust of any instant can be had again from the ledger alone. Nobody of ours signs it: its
authority has.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from typing import Final

import msgspec

from gateway.cases.decision import Decision
from gateway.cases.effects import RequestAnswered, RevocationNoted
from gateway.cases.errors import CommandRefused
from gateway.cases.model import Moment, Outcome, Result
from gateway.cases.trust import Trust
from gateway.commands import Command, own_command
from gateway.storage.working import Wants, Working
from signing.envelope import pae
from signing.revocation import ANSWERS_MAX, RevocationIndex

#: Payload type of the gateway's own word that it fetched something.
REVOCATION_TYPE: Final = "application/vnd.diya.revocation.v1+json"

#: An answer that ended so long ago is of no more use to anybody's grace.
ANSWERS_KEPT: Final = dt.timedelta(days=31)

#: Answers about certificates that are of no registered key: whoever signs once comes and goes. They make room among
#: themselves, never at the cost of a bank's or a registrar's, whose answers are bounded by who is registered.
PASSING_MAX: Final = 4096

_encode = msgspec.json.Encoder().encode


class Fetched(msgspec.Struct, frozen=True):
    """What was fetched, DER: lists, OCSP answers, and authorities that signed them and may not be in the trust yet.
    standing: of the answers those about certificates of registered keys (hex SHA-256).
    """

    crls: tuple[bytes, ...] = ()
    ocsp: tuple[bytes, ...] = ()
    authorities: tuple[bytes, ...] = ()
    standing: frozenset[str] = frozenset()


class NothingNew(CommandRefused):
    """All of it is known already, or older than what is known."""

    reason = "NOTHING_NEW"


def note(trust: Trust, fetched: Fetched, now: dt.datetime) -> RevocationNoted | None:
    """What the trust gains; None where nothing of it is newer. Pure. Raises TrustStoreInvalid: not authentic.

    The newest of each issuer and scope, and about each certificate, replaces what was known. An answer that ended
    long ago goes as well, and where there are too many those that end first, unless they name somebody revoked: of the
    answers about certificates of registered keys only where there is room for no other.
    """
    known = {der for ders in trust.now.anchors.values() for der in ders} | set(trust.now.intermediates)
    between = tuple(der for der in dict.fromkeys(fetched.authorities) if der not in known)
    store = trust.noted(RevocationNoted(intermediates=between)).store if between else trust.store
    index = store.revocation
    # Of what is of one age what is known stays: that is why it is beside.
    fresh = RevocationIndex((), store.authorities, fetched.ocsp, index)
    ocsp = fresh.ocsp
    crls = index.newer_lists(fetched.crls)
    if not crls and not ocsp:
        return None
    standing = tuple(
        sha256 for der in ocsp if (sha256 := hashlib.sha256(der).hexdigest()) in fetched.standing
    )
    room = _without_room(trust, index, ocsp, frozenset(standing))
    if room:
        index = index.changed(gone=room)
        fresh = RevocationIndex((), store.authorities, ocsp, index)
    lists = set(index.changed(crls).crls if crls else index.crls)
    gone = [der for der in trust.now.crls if der not in lists]
    gone += [der for der in trust.now.ocsp if der in room or _is_spent(index, fresh, der, now)]
    superseded = tuple(hashlib.sha256(der).hexdigest() for der in gone)
    return RevocationNoted(
        crls=crls, ocsp=ocsp, intermediates=between, superseded=superseded, standing=standing
    )


def _without_room(
    trust: Trust, index: RevocationIndex, coming: Sequence[bytes], standing: frozenset[str]
) -> frozenset[bytes]:
    """The known answers that go so that those which come have room: that end first, and revoke nobody."""
    passing = len(index.told) - len(trust.standing) + len(coming) - len(standing) - PASSING_MAX
    in_all = len(index.told) + len(coming) - ANSWERS_MAX
    if max(passing, in_all) <= 0:
        return frozenset()
    ends = sorted(
        (trust.is_standing(der), told.until, der) for der, told in index.told.items() if not told.revokes
    )
    others = sum(not is_standing for is_standing, _, _ in ends)
    return frozenset(der for _, _, der in ends[: max(min(passing, others), in_all)])


def _is_spent(index: RevocationIndex, fresh: RevocationIndex, der: bytes, now: dt.datetime) -> bool:
    """Whether an answer says nothing that a newer one does not, or ended so long ago that it is of no more use."""
    told = index.told[der]
    decides = (key for key in index.decides(der) if fresh.newest_answer(*key) is None)
    return (not told.revokes and told.until + ANSWERS_KEPT < now) or next(decides, None) is None


class Sources(msgspec.Struct, frozen=True):
    """What the entry says: from where, and the hex SHA-256 of each piece, which the effects hold."""

    sources: tuple[str, ...]
    sha256: tuple[str, ...]


def command_of(registry: str, fetched: Fetched, sources: Sequence[str], fetching: str) -> Command:
    """The command that enters it. fetching: hex, of its own each time, for the same list is new again where an operator
    had taken its authority away and brought it back: what is known already, the decision sees.
    """
    digests = tuple(hashlib.sha256(der).hexdigest() for der in (*fetched.crls, *fetched.ocsp))
    payload = pae(REVOCATION_TYPE, _encode(Sources(tuple(sources), digests)))
    digest = hashlib.sha256(payload).hexdigest()
    request_id = f"revocation/{fetching}"

    def decide(working: Working, moment: Moment) -> Decision:
        trust = working.settings.trust
        noted = None if trust is None else note(trust, fetched, moment.now)
        if noted is None:
            raise NothingNew("没有更新的吊销信息", "there is no newer evidence in it")
        answered = RequestAnswered(institution="", request_id=request_id, payload_sha256=digest)
        outcome = Outcome(result=Result.DONE, application="")
        return Decision(kind="revocation.noted", outcome=outcome, effects=(answered, noted))

    return own_command(registry, request_id, payload, digest, Wants(requests={("", request_id)}), decide)
