"""Verify a sealed extract offline, by the same checks as a certificate but the two that only a certificate has.

It has no identifier of its own, and no live state: a sound extract says what the register said at its time. What was
booked since, only another look can tell.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from gateway.certificates.extract import (
    EXTRACT_ATTACHMENT,
    EXTRACT_PART,
    EXTRACT_SCHEMA,
    ExtractContent,
    decode_extract,
)
from gateway.certificates.extract_layout import lay_out_extract
from gateway.certificates.proof import LedgerProof
from gateway.certificates.verdict import Check, Result, Step
from gateway.certificates.verify import Form, make_checks
from gateway.register.authority import SealTerm
from signing.algorithms import Suite
from signing.trust import TrustStore

FORM: Final = Form(
    attachment=EXTRACT_ATTACHMENT,
    schema=EXTRACT_SCHEMA,
    decode=decode_extract,
    lay_out=lay_out_extract,
    part_prefix=EXTRACT_PART,
    without=frozenset({Step.IDENTIFIER}),
)


class ExtractVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """All checks of one extract at one time; `content` and `proof` are what the file carries, if it can be read."""

    checks: tuple[Check, ...]
    sha256: str
    checked_at: dt.datetime
    content: ExtractContent | None = None
    proof: LedgerProof | None = None
    sealed_by: str = ""
    sealed_at: dt.datetime | None = None

    @property
    def sound(self) -> bool:
        """Whether every check holds. It does not say that the register still says so."""
        return all(c.result is Result.HOLDS for c in self.checks)

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that fail."""
        return tuple(c for c in self.checks if c.result is Result.FAILS)

    def of(self, step: Step) -> Check:
        """The check of a step."""
        return next(c for c in self.checks if c.step is step)


def verify_extract(
    pdf: bytes,
    *,
    trust: TrustStore,
    vkeys: Mapping[str, Sequence[str]],
    at: dt.datetime,
    seals: Mapping[str, SealTerm] | None = None,
    suites: Mapping[str, frozenset[Suite]] | None = None,
) -> ExtractVerdict:
    """Make all checks on `pdf` at `at` (aware). `vkeys`: the logs' verifier keys by origin; `seals`: the times of seal
    keys by key id; `suites`: in which a registry's seals must be there, as for a certificate.
    """
    file = make_checks(pdf, FORM, trust=trust, vkeys=vkeys, at=at, seals=seals, suites=suites)
    assert file.content is None or isinstance(file.content, ExtractContent)
    return ExtractVerdict(
        checks=tuple(file.checks),
        sha256=file.verdict.sha256,
        checked_at=at,
        content=file.content,
        proof=file.proof,
        sealed_by=file.sealed[0].name if file.sealed else "",
        sealed_at=file.sealed[0].signed_at if file.sealed else None,
    )
