"""Import of a good register file: every column arrives where it belongs."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from gateway.register.import_layout import COLUMNS
from gateway.register.importing import parse_register_csv
from gateway.register.model import (
    Capacity,
    CertificateScheme,
    CoOwnership,
    Dissent,
    Habitation,
    IdKind,
    Mortgage,
    MortgageKind,
    MortgagorRelation,
    Ownership,
    PreNotice,
    PreNoticeKind,
    Seizure,
    SeizureKind,
    Share,
    TransferRestriction,
    UnitKind,
)
from gateway.register.sample_parties import BANK_A, BANK_B
from tests.support.register_rows import (
    CODE,
    ID_NUMBER,
    MORTGAGE,
    OTHER,
    OWNERSHIP,
    PRE_NOTICE,
    SEIZURE,
    faults,
    import_rows,
    parse,
)
from tests.support.register_state import NOW, at


def test_ownership_row_gives_unit_and_right() -> None:
    """Every column arrives: area in 1/100 m², price exact to the fen, time in UTC."""
    result = import_rows(
        [OWNERSHIP | {"SZC": "1", "ZCS": "10", "TDSYJSSJ": "20811231", "FWXZ": "6", "QXDM": "320281"}]
    )
    assert result.is_good
    (unit,), (right,) = result.units, result.rights
    assert (unit.unit_code, unit.kind, unit.county_code, unit.floor_area) == (
        CODE,
        UnitKind.FLAT,
        "320281",
        8953,
    )
    assert (unit.use, unit.housing_kind, unit.floor, unit.floors_total) == (
        "RESIDENTIAL",
        "AFFORDABLE",
        "1",
        10,
    )
    assert unit.land_term_end == dt.date(2081, 12, 31)
    assert isinstance(right, Ownership)
    assert right.price_fen == 238_123_456
    assert right.booked_at == at("2020-03-02T10:00:00")
    assert (right.right_id, right.case_number, right.booked_by) == ("r1", "L1", "登记员甲")
    assert right.title.scheme is CertificateScheme.NATIONAL


def test_mortgage_row_gives_every_field() -> None:
    """80.000001 万元 is 80,000,001 fen; blank scope is "/"; first registration defaults to the booking."""
    result = import_rows([OWNERSHIP, MORTGAGE])
    right = result.rights[1]
    assert isinstance(right, Mortgage)
    assert right.claim_amount_fen == 80_000_001
    assert (right.secured_scope, right.collateral_kind, right.currency) == ("/", "LAND_AND_BUILDING", "CNY")
    assert right.transfer_restriction is TransferRestriction.NONE
    assert right.first_registered_at == right.priority_date == right.booked_at == at("2023-05-09T14:30:00")
    assert right.mortgagor_relation is MortgagorRelation.DEBTOR
    assert right.mortgagees == (BANK_A,)


def test_mortgage_without_word_on_transfer_is_unrecorded() -> None:
    """A blank SFCZJZHXZ is never read as no (handbook 3.1)."""
    right = import_rows([OWNERSHIP, MORTGAGE | {"SFCZJZHXZ": ""}]).rights[1]
    assert isinstance(right, Mortgage)
    assert right.transfer_restriction is TransferRestriction.UNRECORDED


def test_mortgage_for_anothers_debt_is_third_party() -> None:
    """The mortgagor need not be the debtor."""
    debtor = {"ZWR": "顾景行", "ZWRZJZL": "3", "ZWRZJH": "E12345678"}
    right = import_rows([OWNERSHIP, MORTGAGE | debtor]).rights[1]
    assert isinstance(right, Mortgage)
    assert right.mortgagor_relation is MortgagorRelation.THIRD_PARTY


def test_mortgage_maximum_amount_and_dates_of_its_own() -> None:
    """DYFS 2, first registered and prior long before the row was booked, rank agreed."""
    values = {
        "DYFS": "2",
        "BDBZZQSE": "0",
        "ZGZQSE": "350",
        "SCDJSJ": "2019-03-13",
        "YXSJ": "2019-01-02 08:00:00",
    }
    right = import_rows([OWNERSHIP, MORTGAGE | values | {"YDSW": "1"}]).rights[1]
    assert isinstance(right, Mortgage)
    assert (right.kind, right.claim_amount_fen, right.max_claim_amount_fen) == (
        MortgageKind.MAXIMUM_AMOUNT,
        None,
        350_000_000,
    )
    assert right.first_registered_at == at("2019-03-13T00:00:00")
    assert right.priority_date == at("2019-01-02T08:00:00")
    assert right.agreed_rank == 1


def test_seizure_pre_notice_dissent_habitation_rows_give_their_rights() -> None:
    """Each table has its right."""
    dissent = {"TABLE": "QLF_QL_YYDJ", "BDCDYH": CODE, "YWH": "L5", "DJSJ": "2026-11-01", "DBR": "甲"}
    holder = {"QLR": "顾景行", "ZJZL": "3", "ZJH": "e12345678"}
    habitation = dissent | {"TABLE": "QLF_QL_JZQ", "YWH": "L6", "JZQJSRQ": "2040-01-01"}
    suit = {"YYSX": "共有", "QSRQ": "2026-11-09", "SLAH": "（2026）民初一号"}
    rows = [OWNERSHIP, SEIZURE, PRE_NOTICE, dissent | holder | suit, habitation | holder]
    result = import_rows(rows)
    assert faults(result) == []
    seized, notice, dissented, dwelling = result.rights[1:]
    assert isinstance(seized, Seizure)
    assert (seized.kind, seized.extent, seized.until) == (SeizureKind.SEIZURE, "全部", dt.date(2028, 3, 31))
    assert seized.served_at == at("2025-04-01T09:30:00")
    assert isinstance(notice, PreNotice)
    assert (notice.kind, notice.amount_fen) == (PreNoticeKind.OTHER_SALE, 238_000_000)
    assert notice.registrable_from == dt.date(2027, 6, 30)
    assert isinstance(dissented, Dissent)
    assert dissented.applicant.id_number == "E12345678"
    assert (dissented.suit_filed_on, dissented.court_case_number) == (
        dt.date(2026, 11, 9),
        "（2026）民初一号",
    )
    assert isinstance(dwelling, Habitation)
    assert dwelling.until == dt.date(2040, 1, 1)


def test_rows_of_one_key_make_one_right_with_several_owners() -> None:
    """Shares in three spellings; later rows leave blank what the first one said."""
    first = OWNERSHIP | {"GYFS": "2", "QLBL": "1/2"}
    row = {"TABLE": OWNERSHIP["TABLE"], "BDCDYH": CODE, "YWH": "L1"}
    rows = [
        first,
        row | {"QLR": "顾景行", "ZJZL": "3", "ZJH": "E1", "QLBL": "25%"},
        row | {"QLR": "陆若水", "ZJZL": "3", "ZJH": "E2", "QLBL": "0.25"},
    ]
    result = import_rows(rows)
    assert result.is_good
    (right,) = result.rights
    assert isinstance(right, Ownership)
    assert right.co_ownership is CoOwnership.BY_SHARES
    assert [o.share for o in right.owners] == [
        Share(numerator=1, denominator=2),
        Share(numerator=1, denominator=4),
        Share(numerator=1, denominator=4),
    ]


def test_rows_of_one_key_make_one_mortgage_over_several_units() -> None:
    """Units and mortgagees gather; a person who is there already is not added twice."""
    parking = OWNERSHIP | {"BDCDYH": OTHER, "YWH": "L1b", "FWYT": "6"}
    second = {"QLR": BANK_B.name, "ZJH": BANK_B.id_number}
    result = import_rows([OWNERSHIP, parking, MORTGAGE, MORTGAGE | {"BDCDYH": OTHER} | second])
    assert result.is_good
    right = result.rights[2]
    assert isinstance(right, Mortgage)
    assert right.units == (CODE, OTHER)
    assert right.mortgagees == (BANK_A, BANK_B)
    assert len(right.mortgagors) == 1
    assert result.units[1].kind is UnitKind.PARKING


def test_one_case_with_two_proofs_makes_two_mortgages() -> None:
    """A portfolio loan: bank and fund centre in one case, each with its proof."""
    second = MORTGAGE | {"BDCDJZMH": "苏(2023)江阴市不动产证明第0000002号", "DYQSW": "2"}
    assert len(import_rows([OWNERSHIP, MORTGAGE, second]).rights) == 3


def test_old_numbers_are_kept_and_widths_normalised() -> None:
    """Legacy certificates stay as they are, full-width brackets become ASCII, 15 digits become 18."""
    values = {"BDCQZH": "房权证澄字第（2003）0123号", "ZJH": "999999900307123"}
    right = import_rows([OWNERSHIP | values]).rights[0]
    assert isinstance(right, Ownership)
    assert right.title.scheme is CertificateScheme.LEGACY
    assert right.title.number == "房权证澄字第(2003)0123号"
    assert right.owners[0].person.id_number == ID_NUMBER
    wide = import_rows([OWNERSHIP | {"BDCQZH": "苏（2020）江阴市不动产权第0000001号"}]).rights[0]
    assert isinstance(wide, Ownership)
    assert wide.title.number == OWNERSHIP["BDCQZH"]


def test_minor_with_guardian_keeps_both() -> None:
    """XWNL and JHR fill capacity and guardian."""
    values = {"XWNL": "2", "JHR": "顾景行", "JHRZJZL": "3", "JHRZJH": "E1", "GJ": "142"}
    right = import_rows([OWNERSHIP | values]).rights[0]
    assert isinstance(right, Ownership)
    person = right.owners[0].person
    assert (person.capacity, person.country) == (Capacity.LIMITED, "CN")
    assert person.guardian is not None
    assert person.guardian.id_kind is IdKind.PASSPORT


def test_vendors_names_byte_order_mark_and_unread_columns_are_understood() -> None:
    """QLRMC is QLR; YSDM is known and not kept; blank lines are nothing."""
    text = (
        "\ufeffTABLE,BDCDYH,YWH,DJSJ,DBR,ZL,QLRMC,ZJZL,ZJH,GYFS,BDCQZH,YSDM\r\n"
        f"QLT_FW_FDCQ_YZ,{CODE},L1,2020-03-02,甲,路1号,沈,1,{ID_NUMBER},0,房1号,6003000000\r\n"
        "\r\n"
    )
    result = parse(text)
    assert result.is_good
    assert (result.rows, len(result.rights)) == (1, 1)


def test_historical_rows_are_counted_and_passed_over() -> None:
    """QSZT 2 and 3 are no longer rights."""
    result = import_rows([OWNERSHIP, MORTGAGE | {"QSZT": "2"}, SEIZURE | {"QSZT": "3"}])
    assert result.is_good
    assert (len(result.rights), result.passed_over, result.rows) == (1, 2, 3)


def test_import_reads_as_a_stream() -> None:
    """Lines come from any iterator: a file is never asked for as a whole."""
    heading, values = ",".join(OWNERSHIP), ",".join(OWNERSHIP.values())
    lines = (line for line in (heading + "\n", values + "\n"))
    result = parse_register_csv(
        lines, registry="jiangyin", county_codes=["320281"], now=NOW, new_id=lambda: "x"
    )
    assert result.is_good


def test_documented_example_imports() -> None:
    """docs/register-import.md names every column that is read, and its example is a good file."""
    page = (Path(__file__).parents[3] / "docs" / "register-import.md").read_text("utf-8")
    example = page.partition("```csv\n")[2].partition("```")[0]
    result = parse(example)
    assert result.is_good
    assert isinstance(result.rights[0], Ownership)
    assert len(result.rights[0].owners) == 2
    assert [column for column in COLUMNS if f"`{column}`" not in page] == []
