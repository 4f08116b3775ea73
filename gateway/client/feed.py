"""FeedClient: what the authority's own counter system sends, and what a registrar asks of it.

An act of the feed is signed once and sent until it is answered: the same bytes give the same answer, and the running
number shows whoever reads the ledger that nothing is missing.
"""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator

from gateway.client.errors import InputError, RequestError
from gateway.client.manifest import instant
from gateway.client.payloads import envelope_to_wire, header_of, sign_payload
from gateway.client.session import Answer, Session
from gateway.pb.diya.v1 import acts_pb2
from gateway.pb.diya.v1 import feed_service_pb2 as pb
from gateway.pb.diya.v1.feed_service_pb2_grpc import RegisterFeedServiceStub
from signing.envelope import Envelope
from signing.signer import Signer

FeedAct = acts_pb2.CounterAct | acts_pb2.RestrictionAct


class FeedClient:
    """Acts of one counter system, or, without a signer, the questions of a registrar, an operator or a lender.

    Raises of every call: RequestError; of acts ReceiptInvalid too.
    """

    def __init__(self, session: Session, signer: Signer | None = None) -> None:
        self._session = session
        self._signer = signer
        self._stub = RegisterFeedServiceStub(session.connection.channel)

    def sign(self, act: FeedAct) -> Envelope:
        """Sign an act as of now; its header, and `as_of` when it has none, are filled in. Raises InputError."""
        if self._signer is None:
            raise InputError("this client has no key that signs", "本客户端没有签名密钥")
        signed = copy.deepcopy(act)
        signed.header.CopyFrom(self._session.header(None))
        if not signed.HasField("as_of"):
            signed.as_of.CopyFrom(instant(self._session.clock()))
        return sign_payload(self._signer, signed)

    async def send(self, envelope: Envelope) -> Answer:
        """Send a signed act (报送); sending it again is harmless."""
        request = pb.PushFeedActRequest(
            parent=self._session.parent,
            request_id=header_of(envelope).request_id,
            envelope=envelope_to_wire(envelope),
        )
        try:
            response = await self._session.act(self._stub.PushFeedAct, request)
        except RequestError as error:
            error.envelope = envelope
            raise
        return await self._session.answer(envelope, response.outcome)

    async def push(self, act: FeedAct) -> Answer:
        """Sign an act and send it (报送)."""
        return await self.send(self.sign(act))

    async def status(self) -> pb.FeedStatus:
        """Where the feed stands (接入状态)."""
        request = pb.GetFeedStatusRequest(parent=self._session.parent)
        return (await self._session.call(self._stub.GetFeedStatus, request)).status

    async def bookings_since_service(self, right_id: str) -> AsyncIterator[pb.BookingSinceService]:
        """What was booked or ended between a seizure's service and its entry, over all pages (送达后登簿清单)."""
        request = pb.ListBookingsSinceServiceRequest(parent=self._session.parent, right_id=right_id)
        async for page in self._session.pages(self._stub.ListBookingsSinceService, request):
            for one in page.bookings:
                yield one

    async def order_statement(self, unit_code: str) -> bytes:
        """The signed statement of what came first on a unit, as it is to be kept (先后证明)."""
        request = pb.GetOrderStatementRequest(name=self._session.name("units", unit_code))
        return (await self._session.call(self._stub.GetOrderStatement, request)).statement

    async def acknowledge(self, sequence: int) -> int:
        """State that the events up to a number were read; how many notices of seizures that were (确认已阅)."""
        request = pb.AcknowledgeEventsRequest(parent=self._session.parent, sequence=sequence)
        return (await self._session.act(self._stub.AcknowledgeEvents, request)).recorded
