"""Errors: from google.rpc.Status to one typed tree, in both languages."""

from __future__ import annotations

import grpc
import pytest
from google.rpc import code_pb2, status_pb2
from grpc.aio import AioRpcError, Metadata

from gateway.client import errors
from gateway.client.reasons import ErrorReason
from gateway.client.status import error_of_call, error_of_status
from gateway.pb.diya.v1 import errors_pb2
from tests.unit.client.fake_gateway import OVERLOADED, refusal


@pytest.mark.parametrize(
    ("code", "of"),
    [
        (code_pb2.INVALID_ARGUMENT, errors.Malformed),
        (code_pb2.UNAUTHENTICATED, errors.NotAuthenticated),
        (code_pb2.PERMISSION_DENIED, errors.NotAllowed),
        (code_pb2.NOT_FOUND, errors.NotFound),
        (code_pb2.FAILED_PRECONDITION, errors.NotNow),
        (code_pb2.ALREADY_EXISTS, errors.NotNow),
        (code_pb2.ABORTED, errors.NotNow),
        (code_pb2.OUT_OF_RANGE, errors.NotNow),
        (code_pb2.RESOURCE_EXHAUSTED, errors.Overloaded),
        (code_pb2.UNAVAILABLE, errors.Unavailable),
        (code_pb2.DEADLINE_EXCEEDED, errors.DeadlinePassed),
        (code_pb2.UNIMPLEMENTED, errors.NotImplementedHere),
        (code_pb2.INTERNAL, errors.ServerDefect),
        (code_pb2.DATA_LOSS, errors.ServerDefect),
        (999, errors.ServerDefect),
    ],
)
def test_error_of_status_has_the_type_of_its_code(code: int, of: type[errors.RequestError]) -> None:
    """Each code has one type; a code that nobody knows is a defect."""
    error = error_of_status(refusal(code, "SOME_REASON"))
    assert type(error) is of
    assert error.reason == "SOME_REASON"
    assert error.is_from_gateway


def test_error_of_status_carries_violations_metadata_and_delay() -> None:
    """Everything that the gateway says of a fault reaches the caller."""
    error = error_of_status(
        refusal(
            code_pb2.INVALID_ARGUMENT,
            "FIELD_INVALID",
            retry_seconds=1.5,
            violations=(("terms.units", "至少一个 / at least one"), ("header", "x")),
            metadata={"violations": "2"},
        )
    )
    assert error.violations == (("terms.units", "至少一个 / at least one"), ("header", "x"))
    assert error.metadata == {"violations": "2"}
    assert error.retry_delay == 1.5
    assert error.may_retry


@pytest.mark.parametrize(
    ("message", "metadata", "en", "zh"),
    [
        ("系统繁忙 / overloaded", {}, "overloaded", "系统繁忙"),
        ("overloaded", {"zh": "系统繁忙"}, "overloaded", "系统繁忙"),
        ("系统繁忙 / overloaded", {"zh": "系统繁忙"}, "overloaded", "系统繁忙"),
        ("either / or", {}, "either / or", "either / or"),
    ],
)
def test_error_of_status_tells_both_languages(
    message: str, metadata: dict[str, str], en: str, zh: str
) -> None:
    """Chinese and English are found where the gateway put them."""
    error = error_of_status(refusal(code_pb2.INTERNAL, "INTERNAL", message=message, metadata=metadata))
    assert (error.en, error.zh) == (en, zh)


def _call_error(code: grpc.StatusCode, details: str, *, binary: bytes = b"") -> AioRpcError:
    trailing = Metadata(("grpc-status-details-bin", binary)) if binary else Metadata()
    return AioRpcError(code, Metadata(), trailing, details)


def test_error_of_call_reads_the_status_details() -> None:
    """The details travel in the trailer of a failed call."""
    error = error_of_call(
        _call_error(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            OVERLOADED.message,
            binary=OVERLOADED.SerializeToString(),
        )
    )
    assert isinstance(error, errors.Overloaded)
    assert error.retry_delay == 0.5


def test_error_of_call_contradicting_details_counts_as_transport() -> None:
    """Details that contradict the status line are not believed."""
    other = status_pb2.Status(code=code_pb2.INTERNAL, message="other").SerializeToString()
    error = error_of_call(_call_error(grpc.StatusCode.NOT_FOUND, "gone", binary=other))
    assert isinstance(error, errors.NotFound)
    assert not error.is_from_gateway


def test_error_of_call_closed_socket_names_the_client_certificate() -> None:
    """What a refused client certificate looks like is told, in both languages."""
    error = error_of_call(_call_error(grpc.StatusCode.UNAVAILABLE, "Socket closed"))
    assert isinstance(error, errors.Unavailable)
    assert "client certificate" in error.en
    assert "客户端证书" in error.zh
    assert error.may_retry
    assert error.is_outcome_unknown


def test_error_not_marked_may_not_be_retried() -> None:
    """What carries no RetryInfo is not sent again unchanged; INTERNAL leaves the outcome
    unknown.
    """
    for code, reason, unknown in (
        (code_pb2.UNAVAILABLE, "CLOCK_BEHIND", False),
        (code_pb2.ABORTED, "SEEN_INDEX_STALE", False),
        (code_pb2.INTERNAL, "INTERNAL", True),
    ):
        error = error_of_status(refusal(code, reason))
        assert not error.may_retry
        assert error.is_outcome_unknown == unknown


def test_error_reasons_are_those_of_the_contract() -> None:
    """The enum of reasons is the contract's list, value for value."""
    contract = {name.removeprefix("ERROR_REASON_") for name in errors_pb2.ErrorReason.keys()} - {
        "UNSPECIFIED"
    }
    assert {reason.value for reason in ErrorReason} == contract
