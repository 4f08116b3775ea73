"""A case decided once more by the gateway and compared with its entries: for registrars and auditors."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.client.session import Session
from gateway.pb.diya.v1 import review_service_pb2 as pb
from gateway.pb.diya.v1.review_service_pb2_grpc import ReviewServiceStub


async def replay_application(session: Session, name: str) -> Sequence[pb.ReplayedDecision]:
    """Every decision on the case, in order, each the same or with the places where it differs. Raises RequestError."""
    stub = ReviewServiceStub(session.connection.channel)
    answer = await session.call(
        stub.ReplayApplication, pb.ReplayApplicationRequest(name=session.name("applications", name))
    )
    return answer.decisions
