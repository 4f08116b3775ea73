"""ReviewClient: a registrar's acts, each signed with the registrar's own key.

An act names the manifest that the registrar read and the last ledger entry seen of the case:
whoever decides on less than there is gets SEEN_INDEX_STALE, looks again and signs again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import date, datetime

from gateway.client.acts import send_act
from gateway.client.dossier import Dossier, open_dossier
from gateway.client.errors import RequestError
from gateway.client.manifest import day, instant
from gateway.client.payloads import envelope_to_wire, sign_payload
from gateway.client.session import Answer, Session
from gateway.pb.diya.v1 import acts_pb2, application_pb2, codes_pb2, finding_pb2
from gateway.pb.diya.v1 import review_service_pb2 as pb
from gateway.pb.diya.v1.review_service_pb2_grpc import ReviewServiceStub
from signing.signer import Signer

_Act = acts_pb2.ReviewAct
_Term = acts_pb2.PreNoticeTermAct


class ReviewClient:
    """Acts of one registrar. Raises of every act: as `send_act`."""

    def __init__(self, session: Session, signer: Signer) -> None:
        self._session = session
        self._signer = signer
        self._stub = ReviewServiceStub(session.connection.channel)

    async def list_queue(
        self,
        *,
        states: Sequence[application_pb2.Application.State.ValueType] = (),
        mine: bool = False,
        unclaimed: bool = False,
        operations: Sequence[codes_pb2.OperationKind.ValueType] = (),
        county_code: str = "",
        page_size: int = 0,
    ) -> AsyncIterator[application_pb2.Application]:
        """Cases for a person, in order of acceptance, over all pages. Raises RequestError."""
        request = pb.ListQueueRequest(
            parent=self._session.parent,
            states=states,
            mine=mine,
            unclaimed=unclaimed,
            operations=operations,
            county_code=county_code,
            page_size=page_size,
        )
        async for page in self._session.pages(self._stub.ListQueue, request):
            for one in page.applications:
                yield one

    async def open(self, name: str) -> Dossier:
        """The whole case, and what an act on it must refer to; see `open_dossier`."""
        return await open_dossier(self._session, name)

    async def claim(self, dossier: Dossier) -> Answer:
        """Take the case (领取)."""
        return await self._send(_Act(claim=_Act.Claim()), dossier)

    async def unclaim(self, dossier: Dossier) -> Answer:
        """Give it back to the queue (退回)."""
        return await self._send(_Act(unclaim=_Act.Unclaim()), dossier)

    async def request_supplement(
        self,
        dossier: Dossier,
        requests: Sequence[finding_pb2.Finding],
        *,
        deadline: datetime | None = None,
        opinion: str = "",
    ) -> Answer:
        """Ask for papers (要求补充), once, for everything; deadline: the profile's when None."""
        ask = _Act.RequestSupplement(
            requests=requests, deadline=None if deadline is None else instant(deadline)
        )
        return await self._send(_Act(request_supplement=ask, opinion=opinion), dossier)

    async def approve(self, dossier: Dossier, *, book: bool = True, opinion: str = "") -> Answer:
        """Approve (同意登记). book: also as booking officer; False where a second person books."""
        return await self._send(_Act(approve=_Act.Approve(book=book), opinion=opinion), dossier)

    async def refuse(
        self, dossier: Dossier, grounds: Sequence[finding_pb2.Finding], *, opinion: str = ""
    ) -> Answer:
        """Refuse in writing (不予登记), with at least one R- finding."""
        return await self._send(_Act(refuse=_Act.Refuse(grounds=grounds), opinion=opinion), dossier)

    async def suspend(self, dossier: Dossier, reason_code: str, *, opinion: str = "") -> Answer:
        """Suspend (中止). reason_code: S- code, such as "S-INVESTIGATION"."""
        arm = _Act.Suspend(reason_code=reason_code)
        return await self._send(_Act(suspend=arm, opinion=opinion), dossier)

    async def resume(self, dossier: Dossier, *, opinion: str = "") -> Answer:
        """End a suspension (恢复)."""
        return await self._send(_Act(resume=_Act.Resume(), opinion=opinion), dossier)

    async def confirm_lapse(self, unit_code: str, right_id: str, *, opinion: str = "") -> Answer:
        """A pre-notice past its 90 days has lapsed (确认失效): it ends, its proof is void."""
        return await self._state(
            _Term(unit_code=unit_code, right_id=right_id, opinion=opinion, confirm_lapse=_Term.ConfirmLapse())
        )

    async def registrable(
        self, unit_code: str, right_id: str, registrable_from: date, evidence: str, *, opinion: str = ""
    ) -> Answer:
        """From when the final registration is possible (可申请登记): a pre-notice's 90 days run from that day."""
        arm = _Term.Registrable(registrable_from=day(registrable_from), evidence=evidence)
        return await self._state(
            _Term(unit_code=unit_code, right_id=right_id, opinion=opinion, registrable=arm)
        )

    async def _state(self, act: acts_pb2.PreNoticeTermAct) -> Answer:
        act.header.CopyFrom(self._session.header(None))
        envelope = sign_payload(self._signer, act)
        request = pb.StatePreNoticeTermRequest(
            parent=self._session.parent,
            request_id=act.header.request_id,
            envelope=envelope_to_wire(envelope),
        )
        try:
            response = await self._session.act(self._stub.StatePreNoticeTerm, request)
        except RequestError as error:
            error.envelope = envelope
            raise
        return await self._session.answer(envelope, response.outcome)

    async def _send(self, act: acts_pb2.ReviewAct, dossier: Dossier) -> Answer:
        act.header.CopyFrom(self._session.header(None))
        act.target.CopyFrom(dossier.target)
        act.last_index_seen = dossier.last_index
        act.findings.extend(dossier.application.findings)
        return await send_act(self._session, sign_payload(self._signer, act))
