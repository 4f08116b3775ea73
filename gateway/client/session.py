"""What all clients of this package share: a connection, a registry, trust, retries, and the
checking of whatever comes back.

Everything that is drawn (time, randomness, sleep) is a parameter with the machine's own as its
default.
"""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import grpc

from gateway.client.checkpoints import CheckpointMemory, MemoryCheckpoints, Progress
from gateway.client.connection import Clock, Connection, utc_now
from gateway.client.ending import Ending
from gateway.client.errors import ProtocolBroken, ReceiptInvalid
from gateway.client.manifest import REQUEST_ID_ENTROPY_BYTES, header, new_request_id
from gateway.client.payloads import header_of
from gateway.client.receipt import VerifiedReceipt, verify_answer, verify_receipt
from gateway.client.retry import RetryPolicy, Sleep, Uniform, retrying
from gateway.client.status import error_of_call
from gateway.client.trust import LedgerTrust
from gateway.pb.diya.v1 import common_pb2, envelope_pb2, ledger_service_pb2, outcome_pb2
from gateway.pb.diya.v1.ledger_service_pb2_grpc import LedgerServiceStub
from signing.envelope import Envelope, pae

Request = TypeVar("Request")
Response = TypeVar("Response")

DEFAULT_POLICY: Final = RetryPolicy()
_UNIFORM: Final = secrets.SystemRandom().random


@dataclass(frozen=True, slots=True)
class Answer:
    """What an act came to. receipt: None while pending (`DiyaClient.complete` gets it later) and
    for a rehearsal, which has none.
    """

    envelope: Envelope
    outcome: outcome_pb2.Outcome
    receipt: VerifiedReceipt | None

    @property
    def request_id(self) -> str:
        """The id under which the answer can be asked for again."""
        return header_of(self.envelope).request_id

    @property
    def result(self) -> str:
        """BOOKED, ACCEPTED, AWAITING_PARTIES, NOT_ACCEPTED, REFUSED, VALID or DONE."""
        return outcome_pb2.OutcomeResult.Name(self.outcome.result).removeprefix("OUTCOME_RESULT_")

    @property
    def is_pending(self) -> bool:
        """The act is durable, its checkpoint is not published yet."""
        return self.outcome.receipt.pending


@dataclass(frozen=True, slots=True)
class Actor:
    """Who an institution's acts come from. Registrars and operators need none.

    channel_institution: USCC whose system sends. applicant_institution: USCC of the branch that
    applies, empty for the channel itself.
    """

    channel_institution: str
    clerk: common_pb2.Clerk
    applicant_institution: str = ""


class Session:
    """One registry over one connection.

    trust: verifier keys of ledgers. memory: where the last checkpoint is kept; the default forgets.
    compare: demand consistency with the last checkpoint (one small call for each new checkpoint).
    """

    def __init__(
        self,
        connection: Connection,
        registry: str,
        trust: LedgerTrust,
        *,
        memory: CheckpointMemory | None = None,
        policy: RetryPolicy = DEFAULT_POLICY,
        compare: bool = True,
        clock: Clock = utc_now,
        entropy: Callable[[int], bytes] = secrets.token_bytes,
        sleep: Sleep = asyncio.sleep,
        uniform: Uniform = _UNIFORM,
    ) -> None:
        self.connection = connection
        self.registry = registry
        self.trust = trust
        self.policy = policy
        self.clock = clock
        self.sleep = sleep
        self.uniform = uniform
        self._entropy = entropy
        self._compare = compare
        self._ledger = LedgerServiceStub(connection.channel)
        self._progress = Progress(memory or MemoryCheckpoints(), trust, self._consistency)

    @property
    def parent(self) -> str:
        """`registries/{registry}`."""
        return f"registries/{self.registry}"

    def name(self, collection: str, identifier: str) -> str:
        """`registries/{registry}/{collection}/{identifier}`; a whole name is given back as it
        is.
        """
        if identifier.startswith("registries/"):
            return identifier
        return f"{self.parent}/{collection}/{identifier}"

    def new_request_id(self) -> str:
        """A fresh request id."""
        return new_request_id(self._entropy(REQUEST_ID_ENTROPY_BYTES))

    def header(self, actor: Actor | None, request_id: str = "") -> envelope_pb2.Header:
        """A header as of now for one act; a fresh request id unless one is given."""
        request_id = request_id or self.new_request_id()
        if actor is None:
            return header(self.registry, request_id=request_id, created_at=self.clock())
        return header(
            self.registry,
            request_id=request_id,
            created_at=self.clock(),
            channel_institution=actor.channel_institution,
            applicant_institution=actor.applicant_institution,
            clerk=actor.clerk,
        )

    # -- calling -------------------------------------------------------------------------------

    async def call(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[Request, Response],
        request: Request,
        deadline: float | None = None,
    ) -> Response:
        """One unary call, made again as the policy allows, each time with the same request.

        deadline: seconds for one attempt, by default that of reads. Raises RequestError.
        """
        seconds = self.connection.deadlines.call if deadline is None else deadline

        async def attempt() -> Response:
            async with translated():
                return await method(request, timeout=seconds)

        return await self.retrying(attempt)

    async def pages(
        self, method: grpc.aio.UnaryUnaryMultiCallable[Request, Response], request: Request
    ) -> AsyncIterator[Response]:
        """Every page of a List method, from where `request` begins; it is changed on the way. Raises RequestError."""
        paged: Any = request
        while True:
            page: Any = await self.call(method, request)
            yield page
            if not page.next_page_token:
                return
            paged.page_token = page.next_page_token

    async def act(
        self, method: grpc.aio.UnaryUnaryMultiCallable[Request, Response], request: Request
    ) -> Response:
        """`call` with the deadline of acts."""
        return await self.call(method, request, self.connection.deadlines.act)

    async def retrying(self, attempt: Callable[[], Awaitable[Response]]) -> Response:
        """`attempt` under this session's policy."""
        return await retrying(attempt, self.policy, sleep=self.sleep, uniform=self.uniform)

    # -- checking ------------------------------------------------------------------------------

    async def answer(self, envelope: Envelope, outcome: outcome_pb2.Outcome) -> Answer:
        """An outcome with its receipt checked against the envelope that was sent. Raises
        ReceiptInvalid, ProtocolBroken.
        """
        if header_of(envelope).validate_only:
            if not outcome.validate_only:
                raise ProtocolBroken(
                    "a rehearsal was answered as a submission", "仅校验的请求得到了正式提交的答复"
                )
            return Answer(envelope, outcome, None)
        if outcome.validate_only or not outcome.HasField("receipt"):
            raise ProtocolBroken("the answer has no receipt", "答复缺少回执")
        try:
            receipt = await self.check_receipt(outcome.receipt, envelope)
            if receipt is not None:
                verify_answer(outcome, receipt)
        except ReceiptInvalid as error:
            error.outcome = outcome.SerializeToString()
            raise
        return Answer(envelope, outcome, receipt)

    async def check_receipt(
        self, receipt: outcome_pb2.Receipt, envelope: Envelope | None
    ) -> VerifiedReceipt | None:
        """The receipt verified, None while it is pending. envelope: what was sent, None for the
        receipt of somebody else's act. Raises ReceiptInvalid.
        """
        if receipt.registry != self.registry:
            raise ReceiptInvalid(
                2, f"it is of registry {receipt.registry!r}", f"回执属于登记机构 {receipt.registry}"
            )
        if receipt.pending:
            return None
        sent = None if envelope is None else pae(envelope.payload_type, envelope.payload)
        verified = verify_receipt(receipt, sent, self.trust)
        if not self._compare:
            return verified
        is_consistent = await self._progress.compare(verified.registry, verified.checkpoint, verified.note)
        return dataclasses.replace(verified, is_consistent=is_consistent)

    async def _consistency(self, registry: str, old: int, new: int) -> Sequence[bytes]:
        response = await self.call(
            self._ledger.GetConsistencyProof,
            ledger_service_pb2.GetConsistencyProofRequest(
                parent=f"registries/{registry}", old_size=old, new_size=new
            ),
        )
        return tuple(response.hashes)


@asynccontextmanager
async def translated() -> AsyncIterator[Ending]:
    """Within it, a gRPC error becomes a RequestError. A call that sends a stream is to be watched."""
    ending = Ending()
    try:
        yield ending
    except grpc.aio.AioRpcError as error:
        raise error_of_call(ending.of(error)) from error
