"""Builders of later acts on pure cases: what was filed, the dossier that an act meets, the acts themselves."""

from __future__ import annotations

import datetime as dt
from typing import Any, TypeVar

from msgspec.structs import replace

from gateway.applications.accepting import Answered
from gateway.applications.later import Dossier, LaterAct
from gateway.applications.submit import Submission
from gateway.cases.decision import Decision
from gateway.cases.effects import ApplicationRecorded, EventRecorded
from gateway.cases.model import Application, Clerk, Paper, World
from gateway.register.authority import KeyRole
from gateway.register.model import IdKind, Party
from tests.support import cases as c

FUND_USCC = "12110000MB0000000X"
FUND = Party(name="示例公积金中心", id_kind=IdKind.USCC, id_number=FUND_USCC)

#: Who brings an act for an institution.
CLERK = Clerk(name="经办员", employee_no="F-001")

#: Every role that signs.
ROLES = (KeyRole.SUBMIT, KeyRole.CONSENT, KeyRole.RELEASE)

INTERNAL = Answered(kind="application.turn_came", institution="", request_id="x", payload_sha256="77" * 32)

A = TypeVar("A", bound=LaterAct)


def world(*states: Any, **changes: Any) -> World:
    """The usual world, in which the fund centre is registered too."""
    here = c.world(*(states or (c.unit_state(),)))
    known = {**here.institutions, FUND_USCC: c.institution(FUND)}
    return replace(here, institutions=known, **changes)


def portfolio() -> Submission:
    """A portfolio loan: bank and fund centre as mortgagees of one mortgage, filed by the bank. Awaits the centre."""
    both = c.mortgage_papers()
    for code in ("PRINCIPAL_CONTRACT", "MORTGAGE_CONTRACT"):
        both[code] = c.paper(code, c.OWNER, c.BANK, FUND)
    return c.submission(c.mortgage_first(mortgagees=(c.BANK, FUND)), both)


def unsigned() -> Submission:
    """A mortgage whose owner has signed the contracts, and the forms not yet."""
    papers = c.mortgage_papers()
    papers["APPLICATION"] = c.paper("APPLICATION", bound=True)
    papers["INQUIRY_RECORD"] = c.paper("INQUIRY_RECORD", bound=True)
    return c.submission(c.mortgage_first(), papers)


def signed_forms() -> tuple[Paper, ...]:
    """The forms of `unsigned`, signed by the owner: other files, for a signature changes the bytes."""
    return tuple(
        c.paper(code, c.OWNER, bound=True, sha256=f"{n}" * 64)
        for n, code in enumerate(("APPLICATION", "INQUIRY_RECORD"), start=3)
    )


def row_of(decision: Decision) -> Application:
    """The row that a decision leaves."""
    [recorded] = [e for e in decision.effects if isinstance(e, ApplicationRecorded)]
    return recorded.application


def events_of(decision: Decision) -> dict[str, str]:
    """What each institution is told."""
    return {e.institution: e.kind for e in decision.effects if isinstance(e, EventRecorded)}


def filed(here: World, what: Submission) -> Application:
    """The row of a submission as it was answered."""
    return row_of(c.decide(here, what))


def dossier(here: World, what: Submission, row: Application, *new: Paper) -> Dossier:
    """The case as an act meets it; `new` are the papers that the act brings."""
    return Dossier(world=here, row=row, manifest=what.manifest, papers=what.papers, new_papers=new)


def act(kind: type[A], row: Application, /, *new: Paper, by: Party = FUND, **changes: Any) -> A:
    """An act of an institution on the manifest in force, with a key of every role."""
    fields: dict[str, Any] = {
        "application_id": row.application_id,
        "manifest_sha256": row.payload_sha256,
        "terms_sha256": row.terms_sha256,
        "channel": by.id_number,
        "institution": by.id_number,
        "clerk": CLERK,
        "roles": ROLES,
        "key_ids": (),
        "received_at": c.NOW,
        "request_id": "018f0000-0000-7000-8000-000000000002",
        "payload_sha256": "55" * 32,
        "created_at": c.NOW,
        "not_after": c.NOW + dt.timedelta(days=60),
        "files": tuple(p.reference for p in new),
    }
    return kind(**{**fields, **changes})
