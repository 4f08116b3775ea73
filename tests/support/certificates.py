"""A mortgage, its content, its entry in a one-registry ledger, and the sealed certificate of it, for tests.

All made up: persons of region 999999, an authority, a log and a PKI of `tests.support.pki`.
"""

from __future__ import annotations

import datetime as dt
from functools import cache
from typing import Any

from msgspec.structs import replace

from gateway.certificates.content import CertificateContent, encode_content, mortgage_proof
from gateway.certificates.proof import LedgerProof
from gateway.certificates.render import render_certificate
from gateway.register.identifiers import format_certificate_number, make_certificate_identifier
from gateway.register.model import (
    CertificateRef,
    IdKind,
    Mortgage,
    MortgageKind,
    MortgagorRelation,
    Party,
    TransferRestriction,
    Unit,
    UnitKind,
)
from ledger.checkpoint import Checkpoint, NoteSigner, sign_checkpoint
from ledger.entry import Entry, commit_part
from ledger.hashing import leaf_hash, node_hash
from signing.pki import Credential, KeyKind, make_key
from signing.seal import NATIONAL_SEAL_FIELD, seal_pdf
from tests.support.ledger_database import make_signer
from tests.support.pki import BANK_USCC, NOW, REGISTRY_USCC, SELLER_ID, SPOUSE_ID, sample_pki

ORIGIN = "ledger.example/r1"
SALT = bytes(range(32))
VERIFICATION_URL = "https://verify.example.cn/certificates"
VKEYS = {ORIGIN: (make_signer(ORIGIN).vkey,)}

OWNER = Party(name="甲测试", id_kind=IdKind.RESIDENT_ID, id_number=SELLER_ID, phone="13900000000")
SPOUSE = Party(name="丙测试", id_kind=IdKind.RESIDENT_ID, id_number=SPOUSE_ID)
BANK = Party(name="澄江测试银行", id_kind=IdKind.USCC, id_number=BANK_USCC)


def unit(number: int = 1, **changes: Any) -> Unit:
    """A flat in the made-up county."""
    values: dict[str, Any] = {
        "unit_code": f"320281001001GB00123F{number:08d}",
        "kind": UnitKind.FLAT,
        "county_code": "320281",
        "location": f"测试市长江路88号{number}幢1203室",
        "floor_area": 8950,
    }
    return Unit(**{**values, **changes})


def mortgage(**changes: Any) -> Mortgage:
    """An ordinary mortgage of the owner's flat for the owner's own debt of 1,234,500.00 yuan."""
    values: dict[str, Any] = {
        "right_id": "17.1",
        "units": (unit().unit_code,),
        "case_number": "20261102-0001",
        "booked_at": NOW,
        "booked_by": "登测试",
        "kind": MortgageKind.ORDINARY,
        "mortgagors": (OWNER,),
        "mortgagees": (BANK,),
        "debtors": (OWNER,),
        "mortgagor_relation": MortgagorRelation.DEBTOR,
        "claim_amount_fen": 123_450_000,
        "term_start": dt.date(2026, 11, 2),
        "term_end": dt.date(2056, 11, 1),
        "secured_scope": "主债权及利息",
        "transfer_restriction": TransferRestriction.NONE,
        "first_registered_at": NOW,
        "rank_at_registration": 1,
        "priority_date": NOW,
        "proof": CertificateRef(number="x"),
    }
    return Mortgage(**{**values, **changes})


def issue(kind: str = "PROOF", serial: int = 1) -> dict[str, Any]:
    """What the booking gives every certificate."""
    return {
        "identifier": make_certificate_identifier(kind, REGISTRY_USCC, f"3202812026{serial:07d}"),
        "number": format_certificate_number("苏", 2026, "测试市", kind, serial),
        "code": f"{serial:032x}",
        "registry": "r1",
        "issuer_name": "测试市不动产登记中心",
        "issuer_code": REGISTRY_USCC,
        "issued_on": dt.date(2026, 11, 2),
        "application": "0197",
        "test": True,
    }


def content(**changes: Any) -> CertificateContent:
    """The registration proof of `mortgage()`."""
    made = mortgage_proof(mortgage(), [unit()], ["苏(2020)测试市不动产权第0000007号"], **issue())
    return replace(made, **changes)


def proof_for(data: bytes, *, signer: NoteSigner | None = None, part: str = "certificate/1") -> LedgerProof:
    """A ledger of two entries whose second commits to `data`, its checkpoint signed by the log's key."""
    first = Entry(ORIGIN, 0, bytes(32), NOW, "registry.opened", ()).encode()
    second = Entry(
        ORIGIN,
        1,
        leaf_hash(first),
        NOW,
        "application.submitted",
        ((part, commit_part(SALT, data)),),
    ).encode()
    root = node_hash(leaf_hash(first), leaf_hash(second))
    note = sign_checkpoint(Checkpoint(ORIGIN, 2, root), signer or make_signer(ORIGIN))
    return LedgerProof(
        origin=ORIGIN,
        index=1,
        part=part,
        salt=SALT,
        entry=second,
        inclusion=(leaf_hash(first),),
        checkpoint=note.decode(),
    )


def unsealed(of: CertificateContent | None = None, proof: LedgerProof | None = None) -> bytes:
    """The rendered certificate before its seal."""
    data = encode_content(of or content())
    return render_certificate(data, proof or proof_for(data), verification_url=VERIFICATION_URL)


def seal(pdf: bytes, credential: Any = None) -> bytes:
    """`pdf` under the registry's seal, or another credential's."""
    signer = (credential or sample_pki().registry_seal).signer()
    return seal_pdf(pdf, signer, reason="测试", at=NOW, certify=True)


@cache
def sealed() -> bytes:
    """The sealed certificate of `content()`, made once."""
    return seal(unsealed())


@cache
def national_seal() -> Credential:
    """The same registry's seal of the national suite; there is none where SM2 is not installed."""
    return sample_pki().pki.issue_seal(REGISTRY_USCC, "测试市不动产登记中心", key=make_key(KeyKind.SM2))


def seal_twice(pdf: bytes, first: Credential | None = None, second: Credential | None = None) -> bytes:
    """`pdf` under both seals of the registry, or under other credentials in their places."""
    one, two = (first or sample_pki().registry_seal), (second or national_seal())
    begun = seal_pdf(pdf, one.signer(), reason="测试", at=NOW, certify=True, followed_by=NATIONAL_SEAL_FIELD)
    return seal_pdf(begun, two.signer(), reason="测试", at=NOW, field=NATIONAL_SEAL_FIELD)


@cache
def sealed_twice() -> bytes:
    """The certificate of `content()` in both suites, made once."""
    return seal_twice(unsealed())
