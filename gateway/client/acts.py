"""Later acts on a case: what they act on, and the one place that sends them.

An act is signed once. `send_act` takes the envelope, so that whatever went wrong on the way, the
same bytes can be sent again (`RequestError.envelope`).
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final

from google.protobuf.message import DecodeError, Message

from gateway.client.errors import InputError, RequestError
from gateway.client.payloads import MANIFEST, envelope_to_wire, parse_payload
from gateway.client.session import Answer, Session
from gateway.pb.diya.v1 import (
    acts_pb2,
    envelope_pb2,
    party_service_pb2,
    registration_service_pb2,
    review_service_pb2,
)
from gateway.pb.diya.v1.party_service_pb2_grpc import PartyServiceStub
from gateway.pb.diya.v1.registration_service_pb2_grpc import RegistrationServiceStub
from gateway.pb.diya.v1.review_service_pb2_grpc import ReviewServiceStub
from signing.envelope import Envelope, payload_digest

_Route = tuple[Any, str, Any]  # stub class, method, request class

_ROUTES: Final[dict[type[Message], _Route]] = {
    acts_pb2.JoinAct: (PartyServiceStub, "Join", party_service_pb2.JoinRequest),
    acts_pb2.ConsentAct: (PartyServiceStub, "Consent", party_service_pb2.ConsentRequest),
    acts_pb2.DeclineAct: (PartyServiceStub, "Decline", party_service_pb2.DeclineRequest),
    acts_pb2.RevokeAct: (PartyServiceStub, "Revoke", party_service_pb2.RevokeRequest),
    acts_pb2.SupplementAct: (
        RegistrationServiceStub,
        "SupplementApplication",
        registration_service_pb2.SupplementApplicationRequest,
    ),
    acts_pb2.WithdrawalAct: (
        RegistrationServiceStub,
        "WithdrawApplication",
        registration_service_pb2.WithdrawApplicationRequest,
    ),
}
_REVIEW_ROUTES: Final[dict[str, _Route]] = {
    "claim": (ReviewServiceStub, "Claim", review_service_pb2.ClaimRequest),
    "unclaim": (ReviewServiceStub, "Unclaim", review_service_pb2.UnclaimRequest),
    "request_supplement": (
        ReviewServiceStub,
        "RequestSupplement",
        review_service_pb2.RequestSupplementRequest,
    ),
    "approve": (ReviewServiceStub, "Approve", review_service_pb2.ApproveRequest),
    "refuse": (ReviewServiceStub, "Refuse", review_service_pb2.RefuseRequest),
    "suspend": (ReviewServiceStub, "Suspend", review_service_pb2.SuspendRequest),
    "resume": (ReviewServiceStub, "Resume", review_service_pb2.ResumeRequest),
}


async def send_act(
    session: Session, envelope: Envelope, sections: tuple[envelope_pb2.Section, ...] = ()
) -> Answer:
    """Send a signed act by the call that takes it. Sending the same envelope again is harmless.

    sections: of a JoinAct only. Raises InputError, RequestError (with the envelope),
    ReceiptInvalid, ProtocolBroken.
    """
    payload: Any = parse_payload(envelope)
    route = _ROUTES.get(type(payload))
    if isinstance(payload, acts_pb2.ReviewAct):
        route = _REVIEW_ROUTES.get(payload.WhichOneof("act") or "")
    if route is None:
        raise InputError(
            f"{envelope.payload_type} is no act on a case", f"{envelope.payload_type} 不是案件行为"
        )
    stub, method, request_of = route
    request = request_of(
        name=payload.target.application,
        request_id=payload.header.request_id,
        envelope=envelope_to_wire(envelope),
    )
    if sections:
        request.sections.extend(sections)
    try:
        response: Any = await session.act(getattr(stub(session.connection.channel), method), request)
    except RequestError as error:
        error.envelope = envelope
        raise
    return await session.answer(envelope, response.outcome)


def target_of(application: str, manifest: bytes, payload_type: str = MANIFEST) -> acts_pb2.ActTarget:
    """What an act is about: digests computed here, from a manifest that was read and agreed to.

    application: resource name. manifest: its exact bytes (`PendingCase.manifest`,
    `Dossier.manifest`, or `Envelope.payload` of one's own submission). Raises InputError.
    """
    parsed = envelope_pb2.Manifest()
    try:
        parsed.ParseFromString(manifest)
    except DecodeError as error:
        raise InputError("these bytes are no manifest", "内容不是申请清单") from error
    return acts_pb2.ActTarget(
        application=application,
        manifest_digest=payload_digest(payload_type, manifest),
        terms_sha256=sha256(parsed.terms).digest(),
    )


def target_of_envelope(application: str, envelope: Envelope) -> acts_pb2.ActTarget:
    """What an act on one's own submission is about. Raises InputError."""
    return target_of(application, envelope.payload, envelope.payload_type)
