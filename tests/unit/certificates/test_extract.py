"""A sealed extract of the register: what it says to whom, and what it is worth offline."""

from __future__ import annotations

import datetime as dt
import io
from functools import cache
from typing import Any, get_args

import msgspec
import pypdf
import pytest
from msgspec.structs import replace

from gateway.cases.terms import AnyOperation
from gateway.certificates.content import encode_content
from gateway.certificates.extract import (
    EXTRACT_ATTACHMENT,
    EXTRACT_PART,
    CaseShown,
    ExtractContent,
    Reader,
    decode_extract,
    encode_extract,
    is_extract,
    rights_shown,
)
from gateway.certificates.extract_layout import OPERATION, lay_out_extract
from gateway.certificates.extract_render import render_extract
from gateway.certificates.extract_verify import ExtractVerdict, verify_extract
from gateway.certificates.reading import read_attachments
from gateway.certificates.verdict import Step
from gateway.certificates.verify import verify_certificate
from gateway.register.model import (
    AnyRight,
    CertificateRef,
    Dissent,
    Habitation,
    LoanPortion,
    LoanPortionKind,
    PreNotice,
    PreNoticeKind,
    Seizure,
    SeizureKind,
    UnitHold,
    UnitState,
)
from tests.support import cases as c
from tests.support.certificates import VKEYS, proof_for, seal, sealed
from tests.support.certificates import content as certificate
from tests.support.pki import NOW, REGISTRY_USCC, sample_pki

READER = Reader(
    kind="INSTITUTION", identifier=c.BANK_USCC, name="示例银行", basis="own_right", purpose="贷前审查"
)
COMMON: dict[str, Any] = {"units": (c.UNIT,), "case_number": "", "booked_at": NOW, "booked_by": "导入"}
#: What has a variant on a building under construction.
BUILT = ("MORTGAGE_FIRST", "MORTGAGE_CHANGE", "MORTGAGE_TRANSFER", "MORTGAGE_RELEASE")
#: The identity number of the owner of `tests.support.cases`, as a stranger sees it.
MASKED = "99**************34"


def state() -> UnitState:
    """A flat with a right of every kind on it: the second mortgage is another bank's."""
    portion = LoanPortion(kind=LoanPortionKind.COMMERCIAL, creditor=c.OTHER_BANK, amount_fen=1)
    first = c.mortgage_row(note="附记一", units=(c.UNIT, c.UNIT[:-1] + "2"))
    second = c.mortgage_row(
        right_id="0.3",
        mortgagees=(c.OTHER_BANK,),
        rank_at_registration=2,
        priority_date=dt.datetime(2023, 1, 5, tzinfo=dt.UTC),
        proof=CertificateRef(number="苏(2023)江阴市不动产证明第0000077号"),
        loan_portions=(portion,),
        note="附记二",
        units=(c.UNIT, c.UNIT[:-1] + "3"),
    )
    notice = PreNotice(
        right_id="0.4",
        kind=PreNoticeKind.OTHER_SALE,
        holders=(c.SPOUSE,),
        obligors=(c.OWNER,),
        amount_fen=200_000_000,
        contract_number="WQ-2026-1",
        proof=CertificateRef(number="苏(2026)江阴市不动产证明第0000099号"),
        **COMMON,
    )
    seizure = Seizure(
        right_id="0.5",
        kind=SeizureKind.SEIZURE,
        target=c.OWNER,
        extent="全部",
        authority="江阴市人民法院",
        instrument_no="(2026)苏0281执1号",
        served_at=NOW,
        until=dt.date(2029, 11, 1),
        **COMMON,
    )
    dissent = Dissent(right_id="0.6", applicant=c.SPOUSE, matter="权属有误", **COMMON)
    habitation = Habitation(right_id="0.7", holder=c.SPOUSE, until=dt.date(2040, 1, 1), **COMMON)
    base = c.unit_state(first, second, notice, seizure, dissent, habitation, holds=(UnitHold.DISPUTED,))
    owner = base.ownership
    assert owner is not None
    return UnitState(unit=base.unit, rights=(replace(owner, price_fen=180_000_000), *base.rights[1:]))


def own(right: AnyRight) -> bool:
    """What is the reader's own: the first mortgage."""
    return right.right_id == "0.2"


def content(**changes: Any) -> ExtractContent:
    """The extract for the first mortgagee."""
    here = state()
    value = ExtractContent(
        number="CX2026110232028100000041",
        registry="r1",
        issuer_name="测试市不动产登记中心",
        issuer_code=REGISTRY_USCC,
        asked_at=NOW,
        as_of_index=40,
        reader=READER,
        unit=here.unit,
        rights=rights_shown(here, own),
        open_cases=(CaseShown(operations=("MORTGAGE_FIRST",), accepted_at=NOW),),
        test=True,
    )
    return replace(value, **changes)


def made(of: ExtractContent, data: bytes = b"") -> bytes:
    """Its sealed PDF; with `data`, what the ledger commits to instead."""
    attached = encode_extract(of)
    return seal(render_extract(attached, proof_for(data or attached, part=EXTRACT_PART)))


@cache
def extract() -> bytes:
    """The sealed extract of `content()`, made once."""
    return made(content())


def verify(pdf: bytes) -> ExtractVerdict:
    """Judge by the sample PKI and the sample log's key."""
    return verify_extract(pdf, trust=sample_pki().trust, vkeys=VKEYS, at=NOW)


def test_extract_is_sound_and_carries_its_data() -> None:
    """Nine checks hold; the data attached are those that the entry commits to, byte for byte."""
    verdict = verify(extract())
    assert verdict.sound, verdict.failed
    assert {check.step for check in verdict.checks} == set(Step) - {
        Step.IDENTIFIER,
        Step.WITNESSES,
        Step.LIVE_STATUS,
    }
    assert [check.number for check in verdict.checks] == list(range(1, 10))
    assert verdict.content == content()
    assert read_attachments(extract())[EXTRACT_ATTACHMENT] == [encode_extract(content())]


def test_extract_says_everything_that_lies_on_the_unit() -> None:
    """Rights, restrictions, open cases, ranks, as of when, who asked on which ground and what for."""
    layout = lay_out_extract(content())
    labels = [row.label for row in layout.rows]
    assert [label for label in labels if label.startswith("抵押权")] == ["抵押权（1）", "抵押权（2）"]
    words = layout.body()
    for told in (
        "江阴市示例路1号101室",
        "权属有争议",
        "单独所有",
        "登记时顺位：2；当前顺位：2",
        "其他不动产买卖预告登记",
        "(2026)苏0281执1号",
        "权属有误",
        "居住权人：李二",
        "抵押权首次登记",
        "贷前审查",
        "本机构在该不动产上的权利",
        "登记账本第40号记录",
    ):
        assert told in words, told


def test_unit_without_anything_says_so() -> None:
    """Nothing is told by silence: every kind of right that does not lie on the unit is 无."""
    here = UnitState(unit=c.unit_state(first_registered=False).unit)
    rows = {
        row.label: row.lines
        for row in lay_out_extract(content(unit=here.unit, rights=(), open_cases=())).rows
    }
    none = [
        "所有权",
        "抵押权",
        "预告登记",
        "查封登记",
        "异议登记",
        "居住权",
        "地役权",
        "在办登记业务",
        "其他限制",
    ]
    assert {label: rows[label] for label in none} == dict.fromkeys(none, ("无",))
    assert rows["首次登记"] == ("未办理",)


def test_reader_sees_of_others_no_number_price_portion_note_or_other_unit() -> None:
    """Masked by who asks (PIPL 6): its own mortgage whole, of everything else what it needs to know."""
    rights = {right.right_id: right for right in rights_shown(state(), own)}
    encoded = {key: msgspec.json.encode(right).decode() for key, right in rights.items()}
    assert c.OWNER.id_number in encoded["0.2"]
    assert "附记一" in encoded["0.2"]
    others = "".join(text for key, text in encoded.items() if key != "0.2")
    assert c.OWNER.id_number not in others
    assert c.SPOUSE.id_number not in others
    assert MASKED in others
    assert c.OTHER_USCC in others  # a company's number is public
    for hidden in ("附记二", "WQ-2026-1", "180000000", "loan_portions", c.UNIT[:-1] + "3"):
        assert hidden not in others, hidden
    whole = "".join(
        msgspec.json.encode(right).decode() for right in rights_shown(state(), lambda right: True)
    )
    assert all(shown in whole for shown in (c.SPOUSE.id_number, "附记二", "WQ-2026-1", "180000000"))


def test_telephones_and_addresses_are_on_no_extract() -> None:
    """Not even on the registrar's."""
    owner = replace(c.OWNER, phone="13800000000", address="江阴市某路")
    here = c.unit_state(owners=(owner,))
    shown = msgspec.json.encode(rights_shown(here, lambda right: True)).decode()
    assert "13800000000" not in shown
    assert "某路" not in shown


def test_long_extract_goes_over_pages_and_is_read_back() -> None:
    """Twenty mortgages: several pages, each word of each page is compared."""
    many = tuple(
        c.mortgage_row(
            right_id=f"0.{n}",
            rank_at_registration=n,
            priority_date=dt.datetime(2022, 1, n, tzinfo=dt.UTC),
        )
        for n in range(2, 22)
    )
    pdf = made(content(rights=rights_shown(c.unit_state(*many), own)))
    assert len(pypdf.PdfReader(io.BytesIO(pdf)).pages) > 3
    verdict = verify(pdf)
    assert verdict.sound, verdict.failed


@pytest.mark.parametrize(
    "changes",
    [
        {"as_of_index": 41},
        {"rights": ()},
        {"reader": replace(READER, purpose="别的目的")},
        {"asked_at": NOW + dt.timedelta(days=1)},
    ],
)
def test_other_data_than_the_entry_commits_to_are_found(changes: dict[str, Any]) -> None:
    """Even under the registry's own seal: the ledger stands in the way."""
    verdict = verify(made(content(**changes), encode_extract(content())))
    assert {check.step: check.code for check in verdict.failed} == {Step.COMMITMENT: "COMMITMENT_DIFFERS"}


def test_other_words_than_the_data_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page without the seizure, over data that have it."""
    bare = content(rights=tuple(r for r in content().rights if not isinstance(r, Seizure)))
    printed = lay_out_extract(bare)
    with monkeypatch.context() as patch:
        patch.setattr("gateway.certificates.extract_render.lay_out_extract", lambda _: printed)
        pdf = made(content())
    assert {check.step for check in verify(pdf).failed} == {Step.PRINTED}


def test_what_is_added_after_sealing_is_found() -> None:
    """The seal covers the whole file."""
    verdict = verify(extract() + b"\n% more\n")
    assert not verdict.sound


def test_certificate_is_no_extract_and_extract_no_certificate() -> None:
    """Neither passes for the other."""
    assert not verify(sealed()).sound
    trust = sample_pki().trust
    assert not verify_certificate(extract(), trust=trust, vkeys=VKEYS, at=NOW).sound
    assert is_extract(encode_extract(content()))
    assert not is_extract(encode_content(certificate()))
    assert not is_extract(b"no json")
    assert decode_extract(encode_extract(content())) == content()


def test_every_operation_has_its_name_in_chinese() -> None:
    """An open case is told in the words of the law, whichever operation it asks for."""
    names = {
        struct.__struct_config__.tag for struct in get_args(AnyOperation) if struct.__struct_config__.tag
    }
    built = {name.replace("MORTGAGE", "CONSTRUCTION_MORTGAGE", 1) for name in names if name in BUILT}
    assert (names - {"OTHER"}) | built <= OPERATION.keys()  # OTHER is what this version does not know
