"""Every reason has its place in the table of ETSI EN 319 102-1, and nothing else has."""

from __future__ import annotations

import pytest

from signing.errors import SigningError
from signing.indication import MAKING, PASSED, RESULTS, Indication, result_of, result_of_all
from signing.problems import FILE_PROBLEMS
from tests.unit.signing.test_signing_errors import _all

#: EN 319 102-1, table 6: what may stand under each indication.
SUB_INDICATIONS = {
    Indication.TOTAL_FAILED: {
        "FORMAT_FAILURE",
        "HASH_FAILURE",
        "SIG_CRYPTO_FAILURE",
        "REVOKED",
        "EXPIRED",
        "NOT_YET_VALID",
    },
    Indication.INDETERMINATE: {
        "SIG_CONSTRAINTS_FAILURE",
        "CHAIN_CONSTRAINTS_FAILURE",
        "CERTIFICATE_CHAIN_GENERAL_FAILURE",
        "CRYPTO_CONSTRAINTS_FAILURE",
        "POLICY_PROCESSING_ERROR",
        "SIGNATURE_POLICY_NOT_AVAILABLE",
        "TIMESTAMP_ORDER_FAILURE",
        "NO_SIGNING_CERTIFICATE_FOUND",
        "NO_CERTIFICATE_CHAIN_FOUND",
        "REVOKED_NO_POE",
        "REVOKED_CA_NO_POE",
        "OUT_OF_BOUNDS_NO_POE",
        "OUT_OF_BOUNDS_NOT_REVOKED",
        "REVOCATION_OUT_OF_BOUNDS_NO_POE",
        "CRYPTO_CONSTRAINTS_FAILURE_NO_POE",
        "NO_POE",
        "TRY_LATER",
        "SIGNED_DATA_NOT_FOUND",
        "GENERIC",
    },
}


def test_each_reason_has_one() -> None:
    """A new error, or a new problem of a file, needs a line; a line needs an error."""
    reasons = {
        one.reason for one in (SigningError, *_all(SigningError)) if one.__module__.startswith("signing")
    }
    assert RESULTS.keys() | MAKING == reasons | FILE_PROBLEMS.keys()
    assert not RESULTS.keys() & MAKING


@pytest.mark.parametrize("reason", RESULTS)
def test_each_is_one_of_the_standards(reason: str) -> None:
    """The sub-indication belongs to its indication."""
    indication, sub_indication = RESULTS[reason]
    assert sub_indication in SUB_INDICATIONS[indication]


def test_whole_is_as_its_worst() -> None:
    """Failed outweighs undecided, and nothing wrong is passed; a foreign code is undecided."""
    assert result_of_all(()) == PASSED
    assert result_of_all(("CERTIFICATE_REVOKED", "SIGNATURE_INVALID")) == result_of("SIGNATURE_INVALID")
    assert result_of_all(("CERTIFICATE_REVOKED",)) == (Indication.INDETERMINATE, "REVOKED_NO_POE")
    assert result_of("X") == (Indication.INDETERMINATE, "GENERIC")
