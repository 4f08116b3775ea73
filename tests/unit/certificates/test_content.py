"""What a certificate says for each kind of right (handbook 5.1)."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.certificates.content import (
    CertificateContent,
    decode_content,
    encode_content,
    mortgage_proof,
    pre_notice_proof,
    title_certificate,
)
from gateway.register.model import (
    CertificateRef,
    CoOwnership,
    LoanPortion,
    LoanPortionKind,
    MortgageKind,
    MortgagorRelation,
    Owner,
    Ownership,
    PreNotice,
    PreNoticeKind,
    TransferRestriction,
    UnitKind,
)
from tests.support.certificates import BANK, OWNER, SPOUSE, content, issue, mortgage, unit
from tests.support.pki import NOW

RESTRICTION = "是否存在禁止或限制转让抵押不动产的约定"


def lines(made: CertificateContent) -> dict[str, str]:
    """其他 by label."""
    return {line.label: line.value for line in made.other}


def test_mortgage_proof_prints_every_field_of_the_handbook() -> None:
    """The proof of an ordinary mortgage names title, kind, claim, scope, term, rank and restriction."""
    made = content()
    assert lines(made) == {
        "不动产权证书号": "苏(2020)测试市不动产权第0000007号",
        "抵押方式": "一般抵押",
        "担保债权数额": "123.45万元",
        "担保范围": "主债权及利息",
        "债务履行期限": "2026年11月2日起至2056年11月1日止",
        "抵押顺位": "第1顺位",
        RESTRICTION: "否",
    }
    assert made.matter == "抵押权"
    assert made.holders[0].name == BANK.name
    assert made.obligors[0].name == OWNER.name


def test_mortgage_proof_of_maximum_amount_prints_ceiling_and_fixing_period() -> None:
    """A maximum-amount mortgage has 最高债权额 and 债权确定期间, and no claim (N54)."""
    row = mortgage(kind=MortgageKind.MAXIMUM_AMOUNT, claim_amount_fen=None, max_claim_amount_fen=500_000_000)
    printed = lines(mortgage_proof(row, [unit()], [], **issue()))
    assert printed["最高债权额"] == "500万元"
    assert "债权确定期间" in printed
    assert "担保债权数额" not in printed
    assert printed["不动产权证书号"] == "/"


def test_mortgage_proof_without_the_amount_of_its_kind_raises() -> None:
    """No certificate is made of a row whose amount is missing."""
    with pytest.raises(ValueError, match="amount"):
        mortgage_proof(mortgage(claim_amount_fen=None), [unit()], [], **issue())


def test_mortgage_proof_never_reads_unrecorded_as_none() -> None:
    """An unrecorded restriction is printed as unrecorded, not as 否 (handbook 3.1)."""
    row = mortgage(transfer_restriction=TransferRestriction.UNRECORDED)
    assert lines(mortgage_proof(row, [unit()], [], **issue()))[RESTRICTION] == "未记载"


def test_mortgage_proof_for_anothers_debt_names_the_debtor() -> None:
    """A third party's mortgage says whose debt it secures."""
    row = mortgage(debtors=(SPOUSE,), mortgagor_relation=MortgagorRelation.THIRD_PARTY)
    assert lines(mortgage_proof(row, [unit()], [], **issue()))["债务人"] == "丙测试"


def test_mortgage_proof_lists_each_loan_portion() -> None:
    """A portfolio loan prints each portion with its creditor and entrusted bank (SIG 4)."""
    fund = replace(BANK, name="测试市住房公积金中心")
    row = mortgage(
        loan_portions=(
            LoanPortion(kind=LoanPortionKind.COMMERCIAL, creditor=BANK, amount_fen=80_000_000),
            LoanPortion(
                kind=LoanPortionKind.PROVIDENT_FUND,
                creditor=fund,
                amount_fen=43_450_000,
                entrusted_bank=BANK,
            ),
        )
    )
    printed = lines(mortgage_proof(row, [unit()], [], **issue()))
    assert printed["贷款组成（1）"] == "商业贷款80万元，债权人：澄江测试银行"
    assert (
        printed["贷款组成（2）"]
        == "住房公积金贷款43.45万元，债权人：测试市住房公积金中心，受托银行：澄江测试银行"
    )


@pytest.mark.parametrize(("count", "short"), [(2, False), (3, False), (4, True), (10, True)])
def test_mortgage_proof_of_several_units_lists_each(count: int, short: bool) -> None:
    """Every unit of a joint mortgage is named by code and place, however many."""
    units = [unit(n) for n in range(1, count + 1)]
    row = mortgage(units=tuple(u.unit_code for u in units))
    made = mortgage_proof(row, units, [], **issue())
    listed = [value for label, value in lines(made).items() if label.startswith("不动产清单")]
    assert len(listed) == count
    assert all(u.unit_code in line and u.location in line for u, line in zip(units, listed, strict=True))
    assert (f"等{count}处" in made.location) is short
    assert made.unit_codes == tuple(u.unit_code for u in units)


def test_mortgage_proof_without_units_raises() -> None:
    """A proof of nothing is never made."""
    with pytest.raises(ValueError, match="no unit"):
        mortgage_proof(mortgage(), [], [], **issue())


def test_certificates_carry_no_telephone() -> None:
    """A certificate names parties by name and document, and no more (PIPL 6)."""
    data = encode_content(content())
    assert OWNER.phone.encode() not in data
    assert OWNER.id_number.encode() in data


def test_content_survives_encoding() -> None:
    """What is hashed can be read back to the same value."""
    assert decode_content(encode_content(content())) == content()


def pre_notice(**changes: Any) -> PreNotice:
    """A sale pre-notice on a second-hand flat."""
    values: dict[str, Any] = {
        "right_id": "18.1",
        "units": (unit().unit_code,),
        "case_number": "c",
        "booked_at": NOW,
        "booked_by": "登测试",
        "kind": PreNoticeKind.OTHER_SALE,
        "holders": (SPOUSE,),
        "obligors": (OWNER,),
        "amount_fen": 200_000_000,
        "contract_number": "HT-1",
        "proof": CertificateRef(number="x"),
    }
    return PreNotice(**{**values, **changes})


def test_pre_notice_proof_of_a_sale_prints_the_price() -> None:
    """Column QDJG means price for a sale: it is labelled so."""
    made = pre_notice_proof(pre_notice(registrable_from=dt.date(2027, 1, 1)), [unit()], ["旧证1"], **issue())
    assert made.matter == "预告登记"
    assert lines(made) == {
        "预告登记种类": "其他不动产买卖预告登记",
        "已有的不动产权证书或者登记证明号": "旧证1",
        "取得价格": "200万元",
        "合同编号": "HT-1",
        "可以申请本登记之日": "2027年1月1日",
    }


def test_pre_notice_proof_of_a_mortgage_prints_the_claim() -> None:
    """Column QDJG means the secured claim for a mortgage, with scope, term and restriction."""
    row = pre_notice(
        kind=PreNoticeKind.OTHER_MORTGAGE,
        transfer_restriction=TransferRestriction.RESTRICTED,
        term_start=dt.date(2026, 1, 1),
        term_end=dt.date(2030, 1, 1),
    )
    printed = lines(pre_notice_proof(row, [unit()], **issue()))
    assert printed["被担保主债权数额"] == "200万元"
    assert printed["债务履行期限"] == "2026年1月1日起至2030年1月1日止"
    assert printed["担保范围"] == "/"
    assert printed[RESTRICTION] == "是"
    assert "取得价格" not in printed


def ownership(**changes: Any) -> Ownership:
    """Sole ownership of the flat."""
    values: dict[str, Any] = {
        "right_id": "19.1",
        "units": (unit().unit_code,),
        "case_number": "c",
        "booked_at": NOW,
        "booked_by": "登测试",
        "owners": (Owner(person=OWNER),),
        "co_ownership": CoOwnership.SOLE,
        "title": CertificateRef(number="x"),
    }
    return Ownership(**{**values, **changes})


def test_title_certificate_prints_every_field_of_the_handbook() -> None:
    """A title names holders, co-ownership, place, unit, right, nature, use, area, term and other state."""
    home = unit(land_term_end=dt.date(2080, 5, 1), floor="12", floors_total=18)
    made = title_certificate(ownership(price_fen=230_000_000), home, **issue("TITLE"))
    assert made.co_ownership == "单独所有"
    assert made.right_kind == "国有建设用地使用权/房屋（构筑物）所有权"
    assert made.right_nature == "市场化商品房"
    assert made.use == "住宅"
    assert made.area == "房屋建筑面积89.50平方米"
    assert made.term == "国有建设用地使用权至2080年5月1日止"
    assert lines(made) == {"所在层/总层数": "12/18", "取得价格": "230万元"}


def test_title_certificate_of_land_claims_no_building() -> None:
    """A parcel without a building is titled as land alone."""
    parcel = unit(kind=UnitKind.LAND, floor_area=100_000)
    made = title_certificate(ownership(), parcel, **issue("TITLE"))
    assert made.right_kind == "国有建设用地使用权"
    assert made.area == "宗地面积1000.00平方米"
    assert made.right_nature == "/"


def test_mortgage_proof_says_what_the_mortgage_was_before() -> None:
    """CC 423; SIG 52; N54: its fixing and amount, its pre-notice, the proof replaced, its first registration."""
    row = mortgage(
        fixing_fact="2026-11-20 债权确定期间届满",
        from_pre_notice="1.1",
        priority_date=dt.datetime(2026, 10, 8, 17, tzinfo=dt.UTC),
        first_registered_at=dt.datetime(2020, 12, 31, 17, tzinfo=dt.UTC),
    )
    printed = lines(
        mortgage_proof(row, [unit()], [], replaces="苏(2020)测试市不动产证明第0000099号", **issue())
    )
    assert printed["最高债权确定事实和数额"] == "2026-11-20 债权确定期间届满，123.45万元"
    assert printed["预告登记转本登记"] == "顺位自预告登记之日2026年10月9日起算"
    assert printed["原不动产登记证明号"] == "苏(2020)测试市不动产证明第0000099号"
    assert printed["首次登记日期"] == "2021年1月1日"


def test_mortgage_proof_says_how_far_a_construction_and_a_restriction_reach() -> None:
    """RD 75-77 (ZJJZWZL, ZJJZWDYFW); CC 406: the words that the parties agreed on, not only that they did."""
    row = mortgage(
        construction_location="示例路1号在建工程",
        construction_scope="1幢1至18层",
        transfer_restriction=TransferRestriction.RESTRICTED,
        restriction_text="未经书面同意不得转让",
    )
    printed = lines(mortgage_proof(row, [unit()], [], **issue()))
    assert (printed["在建建筑物坐落"], printed["在建建筑物抵押范围"]) == ("示例路1号在建工程", "1幢1至18层")
    assert (printed[RESTRICTION], printed["禁止或限制转让的约定内容"]) == ("是", "未经书面同意不得转让")
