"""Statements and extracts: sealed and stamped as they are asked for, and kept by what they are.

They are answers given at once, so none waits for a time stamp: where the registry's settings require one and none is to
be had, the answer is refused, and told to come back; where they do not, it goes without, and says so.

What was sealed is kept in a row each (`storage/answers.py`), durable before it is handed out, so that whatever a key
sealed is known should it turn out compromised: digest and keys, for whom, about what; nothing of its content.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import logging
from collections.abc import Callable
from typing import Final

from gateway.applications.sealing import SealRetired
from gateway.certificates.extract import ExtractContent
from gateway.certificates.proof import LedgerProof
from gateway.certificates.seal import SealerError
from gateway.keyring.stamped_seals import Stamped, StampedSeals, StampMissing
from gateway.rounds.timestamping import Authority
from gateway.rpc.errors import Refusal
from gateway.sequencer import Sequencer
from gateway.statements.signed import Statement, encode
from gateway.storage.answers import SealedAnswer, keep_answer

log = logging.getLogger(__name__)

#: A sealing process that was lost is replaced within a few seconds.
RETRY_SECONDS: Final = 3.0

EXTRACT: Final = "EXTRACT"


class SealedAnswers:
    """What the servicers ask; without `seals` every answer is refused."""

    def __init__(
        self, seals: StampedSeals | None, sequencer: Sequencer, clock: Callable[[], dt.datetime]
    ) -> None:
        self._seals = seals
        self._sequencer = sequencer
        self._clock = clock

    @property
    def can_seal(self) -> bool:
        return self._seals is not None

    async def statement(
        self, statement: Statement, payload_type: str, *, kind: str, asked_by: str, subject: str, index: int
    ) -> Stamped:
        """The envelope of a statement as of entry `index`. asked_by: USCC. subject: what it is about, as a record
        tells it. Raises Refusal where the registry's seal, or a stamp that is required, is not at hand.
        """
        if self._seals is None:
            raise _refusal()
        registry = statement.registry
        try:
            made = await self._seals.statement(registry, payload_type, encode(statement), _at_once)
        except StampMissing as error:  # its authority's own line has told it
            raise _refusal() from error
        except SealerError as error:
            log.exception("statement not signed", extra={"registry": registry})
            raise _refusal() from error
        await self._keep(registry, made, kind, asked_by, subject, index)
        return made

    async def extract(self, content: ExtractContent, data: bytes, proof: LedgerProof) -> Stamped:
        """The sealed PDF of an extract whose look is entered. Raises Refusal as `statement`."""
        if self._seals is None:
            raise _refusal()
        try:
            made = await self._seals.document(content.registry, data, proof, _at_once)
        except StampMissing as error:
            raise _refusal() from error
        except (SealerError, SealRetired) as error:
            log.exception("extract not sealed", extra={"registry": content.registry, "entry": proof.index})
            raise _refusal() from error
        await self._keep(
            content.registry, made, EXTRACT, content.reader.identifier, content.number, content.as_of_index
        )
        return made

    async def _keep(
        self, registry: str, made: Stamped, kind: str, asked_by: str, subject: str, index: int
    ) -> None:
        answer = SealedAnswer(
            registry=registry,
            sha256=hashlib.sha256(made.data).hexdigest(),
            kind=kind,
            asked_by=asked_by,
            subject=subject,
            entry_index=index,
            seal_key_id=made.key_ids[0],
            national_key_id="".join(made.key_ids[1:]),
            sealed_at=self._clock(),
            stamped=made.stamped is True,
        )
        await asyncio.wrap_future(self._sequencer.run(lambda connection: keep_answer(connection, answer)))


def _at_once(authority: Authority) -> bool:
    """An answer cannot wait, so the grace that a certificate has is none."""
    return not authority.settings.required


def _refusal() -> Refusal:
    return Refusal(
        "SHUTTING_DOWN",
        "登记机构现在不能签章，或者按其设置必须加盖的时间戳暂不可得；请稍后再试",
        "the registry cannot seal now, or cannot have the time stamp that its settings require: ask again after the "
        "delay",
        retry_seconds=RETRY_SECONDS,
    )
