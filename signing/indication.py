"""What our checks are called by ETSI EN 319 102-1: for each reason an indication and a sub-indication (its table 6).

One table, by reason, so that verdicts kept long ago are called the same as those of today. Our time of judgement is
one that is proven (the receipt, or a time stamp), so a signature that came after the revocation of its certificate is
REVOKED_NO_POE: nothing shows that it existed before. A signature that holds is TOTAL_PASSED.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple


class Indication(StrEnum):
    """The three main results of a validation."""

    TOTAL_PASSED = "TOTAL_PASSED"
    TOTAL_FAILED = "TOTAL_FAILED"
    INDETERMINATE = "INDETERMINATE"


class Result(NamedTuple):
    """An indication with its sub-indication, which only TOTAL_PASSED lacks."""

    indication: Indication
    sub_indication: str = ""


PASSED: Final = Result(Indication.TOTAL_PASSED)
_GENERIC: Final = Result(Indication.INDETERMINATE, "GENERIC")


def _failed(sub: str) -> Result:
    return Result(Indication.TOTAL_FAILED, sub)


def _open(sub: str) -> Result:
    return Result(Indication.INDETERMINATE, sub)


RESULTS: Final[Mapping[str, Result]] = MappingProxyType(
    {
        # What was signed cannot be read, or is not what was signed.
        "ENVELOPE_MALFORMED": _failed("FORMAT_FAILURE"),
        "SIGNATURE_MALFORMED": _failed("FORMAT_FAILURE"),
        "SIGNATURE_DUPLICATE": _failed("FORMAT_FAILURE"),
        "SIGNATURE_INVALID": _failed("SIG_CRYPTO_FAILURE"),
        "SIGNED_CONTENT_CHANGED": _failed("HASH_FAILURE"),
        "FILE_NOT_PDF": _failed("FORMAT_FAILURE"),
        "FILE_VERSION": _failed("FORMAT_FAILURE"),
        "FILE_MALFORMED": _failed("FORMAT_FAILURE"),
        "FILE_TRAILING_DATA": _failed("FORMAT_FAILURE"),
        "FILE_SIGNATURE_FORMAT": _failed("FORMAT_FAILURE"),
        "FILE_SIGNATURE_COVERAGE": _failed("FORMAT_FAILURE"),
        "FILE_CHANGED_AFTER_SIGNING": _failed("HASH_FAILURE"),
        "FILE_ENCRYPTED": _open("SIGNED_DATA_NOT_FOUND"),
        "FILE_TIMESTAMP_INVALID": _open("SIG_CONSTRAINTS_FAILURE"),
        "TIMESTAMP_INVALID": _open("SIG_CONSTRAINTS_FAILURE"),
        # The file is refused by our policy of contents, whoever signed it.
        "FILE_TOO_LARGE": _open("SIG_CONSTRAINTS_FAILURE"),
        "FILE_TOO_COMPLEX": _open("SIG_CONSTRAINTS_FAILURE"),
        "FILE_JAVASCRIPT": _open("SIG_CONSTRAINTS_FAILURE"),
        "FILE_LAUNCH": _open("SIG_CONSTRAINTS_FAILURE"),
        "FILE_ACTIVE_CONTENT": _open("SIG_CONSTRAINTS_FAILURE"),
        "FILE_XFA": _open("SIG_CONSTRAINTS_FAILURE"),
        "FILE_EXTERNAL_CONTENT": _open("SIG_CONSTRAINTS_FAILURE"),
        "FILE_ATTACHMENT_AMBIGUOUS": _open("SIG_CONSTRAINTS_FAILURE"),
        # The validation itself could not be carried out.
        "FILE_CHECK_LIMIT": _GENERIC,
        "FILE_CHECK_FAILED": _GENERIC,
        "FILE_CHECKER_UNAVAILABLE": _open("TRY_LATER"),
        "SIGNING_ERROR": _GENERIC,
        "ALGORITHM_UNAVAILABLE": _GENERIC,
        "TRUST_STORE_INVALID": _open("POLICY_PROCESSING_ERROR"),
        # Algorithms.
        "ALGORITHM_UNKNOWN": _open("CRYPTO_CONSTRAINTS_FAILURE"),
        "ALGORITHM_REFUSED": _open("CRYPTO_CONSTRAINTS_FAILURE"),
        # The certificate and its chain.
        "KEY_ID_MISMATCH": _open("NO_SIGNING_CERTIFICATE_FOUND"),
        "SIGNER_CERTIFICATE_MISSING": _open("NO_SIGNING_CERTIFICATE_FOUND"),
        "CERTIFICATE_MALFORMED": _open("NO_SIGNING_CERTIFICATE_FOUND"),
        "CERTIFICATE_REFUSED": _open("CERTIFICATE_CHAIN_GENERAL_FAILURE"),
        "CERTIFICATE_UNKNOWN_ISSUER": _open("NO_CERTIFICATE_CHAIN_FOUND"),
        "CERTIFICATE_CHAIN_INVALID": _open("CERTIFICATE_CHAIN_GENERAL_FAILURE"),
        "CERTIFICATE_WRONG_PURPOSE": _open("CHAIN_CONSTRAINTS_FAILURE"),
        "CERTIFICATE_WITHOUT_IDENTITY": _open("CHAIN_CONSTRAINTS_FAILURE"),
        "CERTIFICATE_EXPIRED": _open("OUT_OF_BOUNDS_NO_POE"),
        "CERTIFICATE_NOT_YET_VALID": _failed("NOT_YET_VALID"),
        "CERTIFICATE_REVOKED": _open("REVOKED_NO_POE"),
        "CERTIFICATE_REVOCATION_UNKNOWN": _open("TRY_LATER"),
    }
)

MAKING: Final = frozenset(
    {
        "SEAL_FAILED",
        "SEAL_UNKNOWN",
        "SIGNER_PIN_REFUSED",
        "SIGNER_UNAVAILABLE",
        "SIGNER_UNUSABLE",
        "TIMESTAMP_REFUSED",
        "TIMESTAMP_UNAVAILABLE",
    }
)
"""Reasons why we could not sign: of no validation, so they have no place in the table."""


def result_of(reason: str) -> Result:
    """What a reason is called; a code that is not of our lists is INDETERMINATE, GENERIC."""
    return RESULTS.get(reason, _GENERIC)


def result_of_all(reasons: Iterable[str]) -> Result:
    """The result of a whole: passed without any reason; what has failed for good outweighs what is open."""
    results = [result_of(reason) for reason in reasons]
    failed = [one for one in results if one.indication is Indication.TOTAL_FAILED]
    return (failed or results or [PASSED])[0]
