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
from gateway.cases.effects import RequestAnswered, RevocationNoted, TrustSet
from gateway.cases.errors import CommandRefused
from gateway.cases.model import Moment, Outcome, Result
from gateway.commands import Command, own_command
from gateway.storage.working import Wants, Working
from signing.certificates import Certificate, parse_certificate
from signing.envelope import pae
from signing.ocsp import Statement, read_answer
from signing.revocation import ANSWERS_MAX, RevocationIndex

#: Payload type of the gateway's own word that it fetched something.
REVOCATION_TYPE: Final = "application/vnd.diya.revocation.v1+json"

#: An answer that ended so long ago is of no more use to anybody's grace.
ANSWERS_KEPT: Final = dt.timedelta(days=31)

_encode = msgspec.json.Encoder().encode


class Fetched(msgspec.Struct, frozen=True):
    """What was fetched, DER: lists, OCSP answers, and authorities that signed them and may not be in the trust yet."""

    crls: tuple[bytes, ...] = ()
    ocsp: tuple[bytes, ...] = ()
    authorities: tuple[bytes, ...] = ()


class NothingNew(CommandRefused):
    """All of it is known already, or older than what is known."""

    reason = "NOTHING_NEW"


def note(trust: TrustSet, fetched: Fetched, now: dt.datetime) -> RevocationNoted | None:
    """What the trust gains; None where nothing of it is newer. Pure. Raises TrustStoreInvalid: not authentic.

    The newest of each issuer and scope, and about each certificate, replaces what was known. An answer that ended
    long ago goes as well, and where there are too many those that end first, unless they name somebody revoked.
    """
    known = [der for ders in trust.anchors.values() for der in ders] + list(trust.intermediates)
    between = tuple(der for der in dict.fromkeys(fetched.authorities) if der not in known)
    authorities = tuple(dict.fromkeys(parse_certificate(der) for der in (*known, *between)))
    # Of what is of one age what is known stays: that is why it is beside, and last.
    ocsp = RevocationIndex((), authorities, fetched.ocsp, RevocationIndex((), authorities, trust.ocsp)).ocsp
    kept = _with_room(trust.ocsp, len(ocsp), authorities)  # what is not new takes none
    index = RevocationIndex((*fetched.crls, *trust.crls), authorities, (*ocsp, *kept))
    crls = tuple(der for der in index.crls if der not in trust.crls)
    if not crls and not ocsp:
        return None
    gone = [der for der in trust.crls if der not in index.crls]
    gone += [
        der
        for der in trust.ocsp
        if der not in index.ocsp or all(_is_over(said, now) for said in read_answer(der, authorities))
    ]
    superseded = tuple(hashlib.sha256(der).hexdigest() for der in gone)
    return RevocationNoted(crls=crls, ocsp=ocsp, intermediates=between, superseded=superseded)


def _with_room(
    known: tuple[bytes, ...], coming: int, authorities: tuple[Certificate, ...]
) -> tuple[bytes, ...]:
    """The known answers without so many of those that end first that as many as come have room beside them."""
    much = len(known) + coming - ANSWERS_MAX
    if much <= 0:
        return known
    ends = []
    for der in known:
        statements = read_answer(der, authorities)
        if all(said.revoked_since is None for said in statements):
            ends.append((max(said.until for said in statements), der))
    gone = {der for _, der in sorted(ends)[:much]}
    return tuple(der for der in known if der not in gone)


def _is_over(said: Statement, now: dt.datetime) -> bool:
    return said.revoked_since is None and said.until + ANSWERS_KEPT < now


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
