"""PartyClient: what co-applicants and consenting institutions do on cases that somebody else filed.

Read the terms before signing (`PendingCase.manifest`, or `Dossier.terms` of `open`): the act binds
to exactly these bytes. `list_pending` shows what awaits this institution; `open` reads any case that
it is of, a booked one too: that is where a lender states its payout.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import date

from gateway.client.acts import send_act, target_of
from gateway.client.dossier import Dossier, open_dossier
from gateway.client.manifest import day, money
from gateway.client.payloads import sign_payload
from gateway.client.session import Actor, Answer, Session
from gateway.pb.diya.v1 import acts_pb2, envelope_pb2, finding_pb2, terms_pb2
from gateway.pb.diya.v1 import party_service_pb2 as pb
from gateway.pb.diya.v1.party_service_pb2_grpc import PartyServiceStub
from signing.signer import Signer


def target_of_pending(pending: pb.PendingCase) -> acts_pb2.ActTarget:
    """What an act on a pending case is about, with digests of the manifest that came with it."""
    return target_of(pending.application.name, pending.manifest, pending.manifest_payload_type)


class PartyClient:
    """Acts of one institution, each signed with its own key. Raises of every act: as `send_act`."""

    def __init__(self, session: Session, signer: Signer, actor: Actor) -> None:
        self._session = session
        self._signer = signer
        self._actor = actor
        self._stub = PartyServiceStub(session.connection.channel)

    async def list_pending(
        self,
        *,
        role: finding_pb2.PartyRole.ValueType = finding_pb2.PARTY_ROLE_UNSPECIFIED,
        institution: str = "",
        page_size: int = 0,
    ) -> AsyncIterator[pb.PendingCase]:
        """Cases that await an act of this institution, over all pages. Raises RequestError."""
        request = pb.ListPendingRequest(
            parent=self._session.parent, role=role, institution=institution, page_size=page_size
        )
        async for page in self._session.pages(self._stub.ListPending, request):
            for one in page.pending_cases:
                yield one

    async def open(self, name: str) -> Dossier:
        """A case of this institution's, in whatever state; see `open_dossier`."""
        return await open_dossier(self._session, name)

    async def join(
        self,
        target: acts_pb2.ActTarget,
        parties: Sequence[str],
        *,
        operations: Sequence[int] = (),
        files: Sequence[envelope_pb2.FileReference] = (),
        sections: Sequence[tuple[envelope_pb2.SectionReference, envelope_pb2.Section]] = (),
        evidence: terms_pb2.Evidence | None = None,
    ) -> Answer:
        """Apply together, for `parties` of the terms, on the same terms."""
        act = acts_pb2.JoinAct(
            header=self._session.header(self._actor),
            target=target,
            parties=parties,
            operations=operations,
            files=files,
            sections=[reference for reference, _ in sections],
            evidence=evidence,
        )
        contents = tuple(content for _, content in sections)
        return await send_act(self._session, sign_payload(self._signer, act), contents)

    async def consent(
        self,
        target: acts_pb2.ActTarget,
        kind: acts_pb2.ConsentKind.ValueType = acts_pb2.CONSENT_KIND_TO_TERMS,
        *,
        parties: Sequence[str] = (),
        operations: Sequence[int] = (),
        amount_fen: int | None = None,
        happened_on: date | None = None,
        files: Sequence[envelope_pb2.FileReference] = (),
    ) -> Answer:
        """Consent, or state a payoff, an undertaking or a payout. amount_fen: in fen."""
        act = acts_pb2.ConsentAct(
            header=self._session.header(self._actor),
            target=target,
            kind=kind,
            parties=parties,
            operations=operations,
            amount=None if amount_fen is None else money(amount_fen),
            happened_on=None if happened_on is None else day(happened_on),
            files=files,
        )
        return await send_act(self._session, sign_payload(self._signer, act))

    async def decline(
        self, target: acts_pb2.ActTarget, reason: str, *, parties: Sequence[str] = ()
    ) -> Answer:
        """Decline to join or to consent. A person looks into it; nothing ends by itself."""
        act = acts_pb2.DeclineAct(
            header=self._session.header(self._actor),
            target=target,
            parties=parties,
            reason=reason,
        )
        return await send_act(self._session, sign_payload(self._signer, act))

    async def revoke(self, target: acts_pb2.ActTarget, consent_digest: bytes, reason: str) -> Answer:
        """Take a consent back. consent_digest: `payload_digest` of the consent's envelope, 32
        bytes.
        """
        act = acts_pb2.RevokeAct(
            header=self._session.header(self._actor),
            target=target,
            consent_digest=consent_digest,
            reason=reason,
        )
        return await send_act(self._session, sign_payload(self._signer, act))
