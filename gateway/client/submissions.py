"""A signed submission and the five calls that take one. Outer fields are copied from the signed
header.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.client.errors import InputError, RequestError
from gateway.client.payloads import envelope_to_wire, manifest_of
from gateway.client.session import Answer, Session
from gateway.pb.diya.v1 import codes_pb2, envelope_pb2, outcome_pb2
from gateway.pb.diya.v1 import registration_service_pb2 as pb
from gateway.pb.diya.v1.registration_service_pb2_grpc import RegistrationServiceStub
from signing.envelope import Envelope

KINDS: Final[dict[str, codes_pb2.ApplicationKind.ValueType]] = {
    "mortgage": codes_pb2.APPLICATION_KIND_MORTGAGE,
    "mortgage-release": codes_pb2.APPLICATION_KIND_MORTGAGE_RELEASE,
    "pre-notice": codes_pb2.APPLICATION_KIND_PRE_NOTICE,
    "encumbered-transfer": codes_pb2.APPLICATION_KIND_ENCUMBERED_TRANSFER,
}
"""Name of a kind on the command line → the contract's value."""


@dataclass(frozen=True, slots=True)
class Submission:
    """A signed manifest with the bytes of its sections. Send it again as it is, never another
    one.
    """

    envelope: Envelope
    sections: tuple[envelope_pb2.Section, ...] = ()

    @property
    def manifest(self) -> envelope_pb2.Manifest:
        """The manifest, parsed. Raises InputError."""
        return manifest_of(self.envelope)

    @property
    def is_later_phase(self) -> bool:
        """Whether it goes on with a case, by AdvanceCase, rather than begin one. Raises InputError."""
        return self.manifest.header.phase > 1


async def submit(
    session: Session,
    submission: Submission,
    kind: codes_pb2.ApplicationKind.ValueType | None = None,
) -> Answer:
    """Send a submission by the call of its kind, a later phase by AdvanceCase. kind: demanded, when
    given.

    Raises InputError, RequestError, ReceiptInvalid, ProtocolBroken.
    """
    signed = submission.manifest.kind
    if kind is not None and signed != kind:
        names = [codes_pb2.ApplicationKind.Name(one) for one in (signed, kind)]
        raise InputError(
            f"the manifest is a {names[0]}, this call takes a {names[1]}",
            f"清单的申请种类为 {names[0]}，此调用须为 {names[1]}",
        )
    try:
        outcome = await _send(session, submission, signed)
    except RequestError as error:
        error.envelope = submission.envelope
        raise
    return await session.answer(submission.envelope, outcome)


async def _send(
    session: Session, submission: Submission, kind: codes_pb2.ApplicationKind.ValueType
) -> outcome_pb2.Outcome:
    stub = RegistrationServiceStub(session.connection.channel)
    if kind == codes_pb2.APPLICATION_KIND_MORTGAGE:
        return (await session.act(stub.SubmitMortgage, _mortgage(submission))).outcome
    if kind == codes_pb2.APPLICATION_KIND_MORTGAGE_RELEASE:
        return (await session.act(stub.SubmitMortgageRelease, _release(submission))).outcome
    if kind == codes_pb2.APPLICATION_KIND_PRE_NOTICE:
        return (await session.act(stub.SubmitPreNotice, _pre_notice(submission))).outcome
    if kind == codes_pb2.APPLICATION_KIND_ENCUMBERED_TRANSFER:
        if submission.is_later_phase:
            return (await session.act(stub.AdvanceCase, _advance(submission))).outcome
        return (await session.act(stub.SubmitEncumberedTransfer, _transfer(submission))).outcome
    raise _no_kind()


def stream_request(correlation: int, submission: Submission) -> pb.SubmitStreamRequest:
    """The submission as a message of a stream. Raises InputError for a manifest without a kind."""
    kind = submission.manifest.kind
    request = pb.SubmitStreamRequest(correlation=correlation)
    if kind == codes_pb2.APPLICATION_KIND_MORTGAGE:
        request.mortgage.CopyFrom(_mortgage(submission))
    elif kind == codes_pb2.APPLICATION_KIND_MORTGAGE_RELEASE:
        request.mortgage_release.CopyFrom(_release(submission))
    elif kind == codes_pb2.APPLICATION_KIND_PRE_NOTICE:
        request.pre_notice.CopyFrom(_pre_notice(submission))
    elif kind == codes_pb2.APPLICATION_KIND_ENCUMBERED_TRANSFER and submission.is_later_phase:
        request.advance.CopyFrom(_advance(submission))
    elif kind == codes_pb2.APPLICATION_KIND_ENCUMBERED_TRANSFER:
        request.encumbered_transfer.CopyFrom(_transfer(submission))
    else:
        raise _no_kind()
    return request


def _no_kind() -> InputError:
    return InputError("the manifest states no kind of request", "清单未注明申请种类")


@dataclass(frozen=True, slots=True)
class _Outer:
    parent: str
    request_id: str
    validate_only: bool
    envelope: envelope_pb2.Envelope
    sections: Sequence[envelope_pb2.Section]


def _outer(submission: Submission) -> _Outer:
    header = submission.manifest.header
    return _Outer(
        f"registries/{header.registry}",
        header.request_id,
        header.validate_only,
        envelope_to_wire(submission.envelope),
        submission.sections,
    )


def _mortgage(submission: Submission) -> pb.SubmitMortgageRequest:
    outer = _outer(submission)
    return pb.SubmitMortgageRequest(
        parent=outer.parent,
        request_id=outer.request_id,
        validate_only=outer.validate_only,
        envelope=outer.envelope,
        sections=outer.sections,
    )


def _release(submission: Submission) -> pb.SubmitMortgageReleaseRequest:
    outer = _outer(submission)
    return pb.SubmitMortgageReleaseRequest(
        parent=outer.parent,
        request_id=outer.request_id,
        validate_only=outer.validate_only,
        envelope=outer.envelope,
        sections=outer.sections,
    )


def _pre_notice(submission: Submission) -> pb.SubmitPreNoticeRequest:
    outer = _outer(submission)
    return pb.SubmitPreNoticeRequest(
        parent=outer.parent,
        request_id=outer.request_id,
        validate_only=outer.validate_only,
        envelope=outer.envelope,
        sections=outer.sections,
    )


def _transfer(submission: Submission) -> pb.SubmitEncumberedTransferRequest:
    outer = _outer(submission)
    return pb.SubmitEncumberedTransferRequest(
        parent=outer.parent,
        request_id=outer.request_id,
        validate_only=outer.validate_only,
        envelope=outer.envelope,
        sections=outer.sections,
    )


def _advance(submission: Submission) -> pb.AdvanceCaseRequest:
    outer = _outer(submission)
    return pb.AdvanceCaseRequest(
        parent=outer.parent,
        request_id=outer.request_id,
        validate_only=outer.validate_only,
        envelope=outer.envelope,
        sections=outer.sections,
    )
