"""A lender has read that a unit was seized: when it says so, the instant becomes an entry (CC 423(4); EX 25).

That an event was sent down a stream proves nothing. What counts is the lender's own word over its own connection: it
resumes its events after a number, which by the contract is the last one that it handled, or it acknowledges it.
"""

from __future__ import annotations

import hashlib
from typing import Final

from gateway.applications.feed import NothingToRead, decide_read
from gateway.cases.decision import Decision
from gateway.cases.feed import Notice
from gateway.cases.model import Moment
from gateway.commands import Command, own_command
from gateway.sequencer import Sequencer
from gateway.storage import tables as t
from gateway.storage.queries import Queries
from gateway.storage.working import Wants, Working
from signing.envelope import pae

#: Payload type of the internal command.
READ_TYPE: Final = "application/vnd.diya.lender-read.v1"


async def record_read(
    sequencer: Sequencer, queries: Queries, registry: str, institution: str, sequence: int
) -> int:
    """Record what the institution has read up to an event number; how many notices that were. Writes nothing when
    none was unread.
    """
    unread = await queries.unread_notices(registry, institution, sequence)
    if not unread:
        return 0
    try:
        await sequencer.ask(_command(registry, institution, tuple(unread)))
    except NothingToRead:
        return 0
    return len(unread)


def _command(registry: str, institution: str, unread: tuple[Notice, ...]) -> Command:
    request_id = f"read/{institution}/{max(n.sequence for n in unread)}"
    payload = pae(READ_TYPE, request_id.encode())
    digest = hashlib.sha256(payload).hexdigest()

    def decide(working: Working, moment: Moment) -> Decision:
        rows = ((n, working.row(t.notification, n.right_id, institution)) for n in unread)
        still = tuple(n for n, row in rows if row is not None and row["read_at"] is None)
        return decide_read(institution, still, request_id, digest, moment)

    return own_command(registry, request_id, payload, digest, Wants(requests={("", request_id)}), decide)
