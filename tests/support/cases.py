"""Builders of pure cases: a world, a submission, and the decision they come to. No I/O, no clock."""

from __future__ import annotations

import datetime as dt
from typing import Any

from msgspec.structs import replace

from gateway.applications.submit import Submission, decide_submission
from gateway.cases.decision import Decision
from gateway.cases.model import (
    Clerk,
    FileReference,
    Header,
    Kind,
    Manifest,
    Moment,
    Paper,
    PaperSignature,
    World,
)
from gateway.cases.terms import MortgageFirst, MortgageRelease, ReleaseGround, Terms
from gateway.register.authority import (
    Institution,
    InstitutionKind,
    KeyRole,
    Place,
    Profile,
    RegisteredKey,
    RuleSet,
)
from gateway.register.model import (
    CertificateRef,
    CoOwnership,
    IdKind,
    Mortgage,
    MortgageKind,
    MortgagorRelation,
    Owner,
    Ownership,
    Party,
    TransferRestriction,
    Unit,
    UnitKind,
    UnitState,
)

NOW = dt.datetime(2026, 11, 20, 2, 0, tzinfo=dt.UTC)
REGISTRY = "jiangyin"
BANK_USCC = "913202810000BK1K5U"
OTHER_USCC = "91110000600037341L"
UNIT = "320281001001GB00001F00010001"
TERMS_SHA256 = "11" * 32
TITLE = "苏(2020)江阴市不动产权第0000001号"
PROOF = "苏(2022)江阴市不动产证明第0000042号"

OWNER = Party(name="张一", id_kind=IdKind.RESIDENT_ID, id_number="999999199003071234")
SPOUSE = Party(name="李二", id_kind=IdKind.RESIDENT_ID, id_number="999999199106150025")
BANK = Party(name="示例银行江阴支行", id_kind=IdKind.USCC, id_number=BANK_USCC)
OTHER_BANK = Party(name="另一银行", id_kind=IdKind.USCC, id_number=OTHER_USCC)

PROFILE = Profile(
    version=1,
    authority_name="江阴市不动产登记中心",
    authority_code="11320281014034566J",
    places=(Place(county_code="320281", province="苏", name="江阴市"),),
    instant=("MORTGAGE_FIRST", "MORTGAGE_RELEASE"),
)
RULES = RuleSet(
    version=3,
    officer="登簿员甲",
    published_on=dt.date(2026, 1, 1),
    decides=("MORTGAGE_FIRST", "MORTGAGE_RELEASE"),
)


def institution(party: Party, *roles: KeyRole) -> Institution:
    """A registered institution with one key of the given roles."""
    return Institution(
        uscc=party.id_number,
        kind=InstitutionKind.BANK,
        names=(party.name,),
        keys=(RegisteredKey(key_id="k" * 64, roles=roles or (KeyRole.SUBMIT, KeyRole.RELEASE)),),
    )


def unit_state(*rights: Any, owners: tuple[Party, ...] = (OWNER,), **unit: Any) -> UnitState:
    """A flat with its ownership row and further rights."""
    ownership = Ownership(
        right_id="0.1",
        units=(UNIT,),
        case_number="",
        booked_at=NOW,
        booked_by="导入",
        owners=tuple(Owner(person=p) for p in owners),
        co_ownership=CoOwnership.SOLE if len(owners) == 1 else CoOwnership.JOINT,
        title=CertificateRef(number=TITLE),
    )
    flat = Unit(
        unit_code=UNIT,
        kind=UnitKind.FLAT,
        county_code="320281",
        location="江阴市示例路1号101室",
        **unit,
    )
    return UnitState(unit=flat, rights=(ownership, *rights))


def mortgage_row(**changes: Any) -> Mortgage:
    """A live mortgage of BANK on UNIT, of 2022, no restriction."""
    row = Mortgage(
        right_id="0.2",
        units=(UNIT,),
        case_number="",
        booked_at=NOW,
        booked_by="导入",
        kind=MortgageKind.ORDINARY,
        mortgagors=(OWNER,),
        mortgagees=(BANK,),
        debtors=(OWNER,),
        mortgagor_relation=MortgagorRelation.DEBTOR,
        claim_amount_fen=50_000_000,
        term_start=dt.date(2022, 1, 1),
        term_end=dt.date(2042, 1, 1),
        transfer_restriction=TransferRestriction.NONE,
        first_registered_at=dt.datetime(2022, 1, 5, tzinfo=dt.UTC),
        rank_at_registration=1,
        priority_date=dt.datetime(2022, 1, 5, tzinfo=dt.UTC),
        proof=CertificateRef(number=PROOF),
    )
    return replace(row, **changes)


def mortgage_first(**changes: Any) -> MortgageFirst:
    """OWNER mortgages UNIT to BANK for 800,000.00 CNY."""
    operation = MortgageFirst(
        units=(UNIT,),
        kind=MortgageKind.ORDINARY,
        mortgagors=(OWNER,),
        mortgagees=(BANK,),
        debtors=(OWNER,),
        mortgagor_relation=MortgagorRelation.DEBTOR,
        claim_amount_fen=80_000_000,
        term_start=dt.date(2026, 11, 1),
        term_end=dt.date(2046, 11, 1),
        secured_scope="主债权、利息、违约金",
        transfer_restriction=TransferRestriction.NONE,
    )
    return replace(operation, **changes)


def mortgage_release(**changes: Any) -> MortgageRelease:
    """BANK releases the mortgage of `mortgage_row`."""
    operation = MortgageRelease(
        units=(UNIT,),
        proof=CertificateRef(number=PROOF),
        mortgagees=(BANK,),
        ground=ReleaseGround.CLAIM_SETTLED,
    )
    return replace(operation, **changes)


def paper(code: str, *signers: Party, bound: bool = False, sha256: str = "", **changes: Any) -> Paper:
    """A good paper signed by the given parties; `bound` ones embed the terms."""
    found = Paper(
        reference=FileReference(
            sha256=sha256 or code.encode().hex().ljust(64, "0")[:64], size_bytes=1, paper_code=code
        ),
        signatures=tuple(PaperSignature(legal=p.is_institution, number=p.id_number) for p in signers),
        terms_sha256=TERMS_SHA256 if bound else "",
    )
    return replace(found, **changes)


def mortgage_papers(*persons: Party, bank: Party = BANK) -> dict[str, Paper]:
    """Every paper of a first registration, signed by everyone who must."""
    people = persons or (OWNER,)
    return {
        "APPLICATION": paper("APPLICATION", *people, bound=True),
        "INQUIRY_RECORD": paper("INQUIRY_RECORD", *people, bound=True),
        "PRINCIPAL_CONTRACT": paper("PRINCIPAL_CONTRACT", *people, bank),
        "MORTGAGE_CONTRACT": paper("MORTGAGE_CONTRACT", *people, bank),
        "REMOTE_IDENTITY": paper("REMOTE_IDENTITY"),
    }


def release_papers(bank: Party = BANK) -> dict[str, Paper]:
    """The settlement statement, sealed by the mortgagee."""
    return {"EXTINCTION": paper("EXTINCTION", bank)}


def world(*states: UnitState, **changes: Any) -> World:
    """A registry with BANK and OTHER_BANK registered and the given units."""
    value = World(
        registry=REGISTRY,
        profile=PROFILE,
        rules=RULES,
        units={s.unit.unit_code: s for s in states},
        institutions={p.id_number: institution(p) for p in (BANK, OTHER_BANK)},
    )
    return replace(value, **changes)


def submission(
    operation: Any, papers: dict[str, Paper], *, applicant: Party = BANK, **terms: Any
) -> Submission:
    """A verified submission of one operation."""
    header = Header(
        registry=REGISTRY,
        channel_institution=applicant.id_number,
        applicant_institution=applicant.id_number,
        clerk=Clerk(name="经办", employee_no="1"),
        request_id="018f0000-0000-7000-8000-000000000001",
        created_at=NOW,
        not_after=NOW + dt.timedelta(days=1),
    )
    kind = Kind.MORTGAGE_RELEASE if isinstance(operation, MortgageRelease) else Kind.MORTGAGE
    manifest = Manifest(
        header=header,
        kind=kind,
        terms=Terms(registry=REGISTRY, operations=(operation,), **terms),
        terms_sha256=TERMS_SHA256,
        files=tuple(p.reference for p in papers.values()),
    )
    return Submission(manifest=manifest, payload_sha256="22" * 32, papers=tuple(papers.values()))


def moment(index: int = 7, now: dt.datetime = NOW) -> Moment:
    """A moment with fixed draws."""
    return Moment(
        now=now,
        index=index,
        application_id="018f0000-0000-7000-8000-0000000000aa",
        entropy=bytes(range(128)),
    )


def decide(here: World, what: Submission, at: Moment | None = None) -> Decision:
    """The decision of a submission."""
    return decide_submission(here, what, at or moment())


def codes(decision: Decision) -> set[tuple[str, str]]:
    """Code and rule of every finding."""
    return {(f.code, f.rule) for f in decision.outcome.findings}
