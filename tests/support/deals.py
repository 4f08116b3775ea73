"""Builders of combined cases: a seller's mortgaged flat, a buyer, the old bank A and the new bank B. No I/O.

A holds `cases.mortgage_row()` on the flat; B files. Everything is signed and bound unless a test takes it away.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec.structs import replace

from gateway.applications.accepting import case_of
from gateway.applications.review import Act, Verb, decide_review
from gateway.applications.submit import Submission
from gateway.cases.decision import Decision
from gateway.cases.effects import ApplicationRecorded, RightBooked
from gateway.cases.model import Application, ConsentGiven, ConsentKind, Kind, Moment, Paper, State, World
from gateway.cases.terms import (
    Account,
    AnyOperation,
    MortgageFirst,
    MortgageRelease,
    OwnershipTransfer,
    PayoffStatement,
    PreNoticeCreate,
    ReleaseGround,
    SaleContract,
    SaleNotice,
    TaxClearance,
    TaxKind,
)
from gateway.kinds.law import Case
from gateway.register.authority import Registrar
from gateway.register.model import (
    AnyRight,
    CertificateRef,
    CoOwnership,
    IdKind,
    Owner,
    Party,
    PreNoticeKind,
)
from tests.support import cases as c

SELLER = c.OWNER
BUYER = Party(name="王五", id_kind=IdKind.RESIDENT_ID, id_number="99999919880101001X")
A, B = c.BANK, c.OTHER_BANK
FUND = Party(name="示例市公积金中心", id_kind=IdKind.USCC, id_number="12320281000000FD1F")
PRICE_FEN = 200_000_000
BALANCE_FEN = 45_000_000
CLAIM_FEN = 120_000_000
REGISTRAR = Registrar(registrar_id="deng-1", name="登记员乙", key_ids=("r" * 64,))

PROFILE = replace(c.PROFILE, modes=("ET_COMBINED",))


def world(*states: Any, profile: Any = PROFILE, modes: Sequence[str] = (), **changes: Any) -> World:
    """A registry that offers ET_COMBINED or other `modes`, with A, B and a fund centre that may use them."""
    if modes:
        profile = replace(profile, modes=tuple(modes))
    permitted = tuple(modes) or ("ET_COMBINED",)
    institutions = {p.id_number: replace(c.institution(p), permitted_modes=permitted) for p in (A, B, FUND)}
    states = states or (c.unit_state(c.mortgage_row()),)
    return c.world(*states, profile=profile, **{"institutions": institutions, **changes})


def transfer(**changes: Any) -> OwnershipTransfer:
    """SELLER sells the flat to BUYER for 2,000,000.00 CNY."""
    operation = OwnershipTransfer(
        units=(c.UNIT,),
        sellers=(SELLER,),
        buyers=(Owner(person=BUYER),),
        co_ownership=CoOwnership.SOLE,
        price_fen=PRICE_FEN,
        titles=(CertificateRef(number=c.TITLE),),
        applicants=(SELLER, BUYER),
    )
    return replace(operation, **changes)


def release(**changes: Any) -> MortgageRelease:
    """A undertakes to release on payoff and is co-applicant."""
    operation = c.mortgage_release(ground=ReleaseGround.UNDERTAKING, mortgagees=(A,), applicants=(A, SELLER))
    return replace(operation, **changes)


def new_mortgage(**changes: Any) -> MortgageFirst:
    """BUYER mortgages the flat to B; the title cited is the seller's."""
    operation = c.mortgage_first(
        mortgagors=(BUYER,),
        debtors=(BUYER,),
        mortgagees=(B,),
        claim_amount_fen=CLAIM_FEN,
        titles=(CertificateRef(number=c.TITLE),),
        applicants=(BUYER, B),
    )
    return replace(operation, **changes)


def steps() -> tuple[AnyOperation, ...]:
    """ET_COMBINED in its order."""
    return (transfer(), release(), new_mortgage())


def statement(**changes: Any) -> PayoffStatement:
    """A states a regular loan of 450,000.00 CNY."""
    value = PayoffStatement(
        proof=CertificateRef(number=c.PROOF),
        balance_fen=BALANCE_FEN,
        as_of=dt.date(2026, 11, 18),
        account=Account(holder_name=SELLER.name, number="6222000000000001"),
        valid_until=dt.date(2026, 12, 18),
        mortgagee=A,
    )
    return replace(value, **changes)


def cleared(kind: TaxKind, **changes: Any) -> TaxClearance:
    """One tax paid the day before."""
    value = TaxClearance(
        kind=kind, number=f"T-{kind.value}", amount_fen=1, cleared_at=c.NOW - dt.timedelta(days=1)
    )
    return replace(value, **changes)


TAXES = (cleared(TaxKind.DEED), cleared(TaxKind.INCOME))


def papers(*, buyer: Party = BUYER, new: Sequence[Party] = (B,)) -> dict[str, Paper]:
    """Every paper of ET_COMBINED; the application form is A's only signature still to come (it signs an envelope)."""
    both = (SELLER, buyer)
    signed: dict[str, Iterable[Party]] = {
        "SALE_CONTRACT": both,
        "SETTLEMENT_UNDERTAKING": (A,),
        "PRINCIPAL_CONTRACT": (buyer, *new),
        "MORTGAGE_CONTRACT": (buyer, *new),
        "TRIPARTITE": (*both, A, *new),
        "PAYOFF_STATEMENT": (A,),
        "BANK_APPROVAL": (A, *new),
        "REMOTE_IDENTITY": (),
    }
    found = {code: c.paper(code, *people) for code, people in signed.items()}
    for code in ("APPLICATION", "INQUIRY_RECORD"):
        found[code] = c.paper(code, *both, bound=True)
    return found


def all_joined() -> Paper:
    """A's application as a paper that embeds the terms, in place of its Join."""
    return c.paper("APPLICATION", SELLER, BUYER, A, bound=True)


def submission(
    operations: Sequence[AnyOperation] | None = None,
    filed: dict[str, Paper] | None = None,
    *,
    joined: bool = True,
    mode: str = "ET_COMBINED",
    kind: Kind = Kind.ENCUMBERED_TRANSFER,
    applicant: Party = B,
    **terms: Any,
) -> Submission:
    """B's submission of the combined case; `joined` says whether A has applied too."""
    operations = tuple(operations) if operations is not None else steps()
    filed = papers() if filed is None else filed
    if joined and "APPLICATION" in filed:
        filed = filed | {"APPLICATION": all_joined()}
    terms = {"payoff_statements": (statement(),), "tax_clearances": TAXES} | terms
    what = c.submission(operations[0], filed, applicant=applicant, mode=mode, **terms)
    manifest = replace(what.manifest, kind=kind, terms=replace(what.manifest.terms, operations=operations))
    return replace(what, manifest=manifest)


def sale_notice(**changes: Any) -> PreNoticeCreate:
    """Kind 2: SELLER is to sell to BUYER."""
    operation = PreNoticeCreate(
        units=(c.UNIT,),
        kind=PreNoticeKind.OTHER_SALE,
        holders=(BUYER,),
        obligors=(SELLER,),
        sale=SaleNotice(price_fen=PRICE_FEN, contract_number="WQ-2026-1"),
        agreed_in_contract=True,
        titles=(CertificateRef(number=c.TITLE),),
        applicants=(SELLER, BUYER),
    )
    return replace(operation, **changes)


def mortgage_notice(**changes: Any) -> PreNoticeCreate:
    """Kind 4: BUYER is to mortgage to B what it is buying."""
    operation = PreNoticeCreate(
        units=(c.UNIT,),
        kind=PreNoticeKind.OTHER_MORTGAGE,
        holders=(B,),
        obligors=(BUYER,),
        mortgage=new_mortgage(contract_number="DY-2026-1", applicants=()),
        agreed_in_contract=True,
        applicants=(BUYER, B),
    )
    return replace(operation, **changes)


def contract(**changes: Any) -> SaleContract:
    """The filed sale contract."""
    value = SaleContract(filing_number="WQ-2026-1", signed_on=dt.date(2026, 11, 1), price_fen=PRICE_FEN)
    return replace(value, **changes)


def notice_papers() -> dict[str, Paper]:
    """Every paper of both pre-notices."""
    return {
        "APPLICATION": c.paper("APPLICATION", SELLER, BUYER, bound=True),
        "INQUIRY_RECORD": c.paper("INQUIRY_RECORD", SELLER, BUYER, bound=True),
        "SALE_CONTRACT": c.paper("SALE_CONTRACT", SELLER, BUYER),
        "PRINCIPAL_AND_MORTGAGE_CONTRACT": c.paper("PRINCIPAL_AND_MORTGAGE_CONTRACT", BUYER, B),
        "REMOTE_IDENTITY": c.paper("REMOTE_IDENTITY"),
    }


def notices(
    operations: Sequence[AnyOperation], filed: dict[str, Paper] | None = None, **terms: Any
) -> Submission:
    """A submission of pre-notices by B."""
    filed = notice_papers() if filed is None else filed
    return submission(
        operations,
        filed,
        joined=False,
        mode="",
        kind=Kind.PRE_NOTICE,
        **{"payoff_statements": (), "tax_clearances": (), **terms},
    )


# -- later acts ----------------------------------------------------------------------------------------------------


def row_of(decision: Decision) -> Application:
    """The application as the decision leaves it."""
    [recorded] = [e.application for e in decision.effects if isinstance(e, ApplicationRecorded)]
    return recorded


def rights_of(decision: Decision) -> list[AnyRight]:
    """The rights that the decision books, in order."""
    return [e.right for e in decision.effects if isinstance(e, RightBooked)]


def approved(here: World, what: Submission, row: Application, at: Moment | None = None) -> Decision:
    """A registrar claims and approves the case."""
    at = at or c.moment(9)
    return decide_review(
        here,
        REGISTRAR,
        replace(row, state=State.IN_REVIEW, claimed_by=REGISTRAR.registrar_id),
        what.manifest,
        what.papers,
        Act(
            verb=Verb.APPROVE,
            application_id=row.application_id,
            manifest_sha256=row.payload_sha256,
            seen=row.last_index,
            request_id="018f0000-0000-7000-8000-000000000009",
            payload_sha256="44" * 32,
            created_at=at.now,
            not_after=at.now + dt.timedelta(days=30),
        ),
        at,
    )


def submitted_and_approved(here: World, what: Submission) -> Decision:
    """The approval of a case that was accepted at submission."""
    return approved(here, what, row_of(c.decide(here, what)))


def case_at(here: World, what: Submission, row: Application, at: Moment | None = None) -> Case:
    """The case as the law looks at it."""
    return case_of(here, row, what.manifest, what.papers, (at or c.moment(11)).now)


def said(row: Application, by: Party, kind: ConsentKind, index: int = 10) -> Application:
    """The row once an institution has stated something on it."""
    given = ConsentGiven(institution=by.id_number, kind=kind, payload_sha256="55" * 32, index=index, at=c.NOW)
    return replace(row, consents=(*row.consents, given))
