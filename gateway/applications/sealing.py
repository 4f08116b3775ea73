"""A certificate's PDF was sealed: from NUMBERED to SEALED, on which banks pay out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from gateway.applications.events import FUNDS_LEG_DUE, counter_name
from gateway.cases.decision import Decision
from gateway.cases.effects import (
    AnyEffect,
    CertificateSealed,
    CounterMoved,
    EventRecorded,
    RequestAnswered,
)
from gateway.cases.errors import CommandRefused
from gateway.cases.model import Outcome, Result
from gateway.register.model import Value


class Seal(Value, frozen=True, kw_only=True):
    """What was made: the certificate, its PDF by digest, and whom to tell."""

    registry: str
    identifier: str
    application_id: str
    case_number: str
    institutions: tuple[str, ...]
    pdf_sha256: str
    size_bytes: int
    seal_key_id: str = ""
    national_key_id: str = ""


class SealRetired(CommandRefused):
    """The key that made a seal was retired meanwhile: the certificate is sealed once more, with the one in use."""

    reason = "CERTIFICATE_NOT_SEALED"


def decide_sealed(
    seal: Seal,
    counters: Mapping[str, int],
    payload_sha256: str,
    now: dt.datetime,
    *,
    leg_due: bool = False,
) -> Decision:
    """Record the seal and tell each registered institution of the case; `counters` names exactly those.

    `leg_due`: it is the last certificate of the application, and a leg of its funds plan waited for that.
    """
    effects: list[AnyEffect] = [
        RequestAnswered(
            institution="", request_id=request_id(seal.identifier), payload_sha256=payload_sha256
        ),
        CertificateSealed(
            identifier=seal.identifier,
            pdf_sha256=seal.pdf_sha256,
            size_bytes=seal.size_bytes,
            sealed_at=now,
            seal_key_id=seal.seal_key_id,
            national_key_id=seal.national_key_id,
        ),
    ]
    for uscc in seal.institutions:
        name = counter_name(uscc)
        if name not in counters:
            continue
        sequence = counters[name]
        for kind in ("SEALED", FUNDS_LEG_DUE) if leg_due else ("SEALED",):
            sequence += 1
            effects.append(
                EventRecorded(
                    institution=uscc,
                    sequence=sequence,
                    kind=kind,
                    application_id=seal.application_id,
                    state="BOOKED",
                    at=now,
                    certificate=seal.identifier if kind == "SEALED" else "",
                    case_number=seal.case_number,
                )
            )
        effects.append(CounterMoved(name=name, value=sequence))
    outcome = Outcome(
        result=Result.DONE, application=f"registries/{seal.registry}/applications/{seal.application_id}"
    )
    return Decision(kind="certificate.sealed", outcome=outcome, effects=tuple(effects))


def request_id(identifier: str) -> str:
    """The request id under which a certificate is sealed once and for all: never two seals for one number."""
    return f"seal/{identifier}"
