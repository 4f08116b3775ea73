"""Import of a bad register file: every bad row told by line and field, all or nothing, quarantine."""

from __future__ import annotations

import pytest

from gateway.register.model import Mortgage, Ownership, UnitHold
from tests.support.register_rows import (
    CODE,
    MORTGAGE,
    OTHER,
    OWNERSHIP,
    PRE_NOTICE,
    SEIZURE,
    faults,
    import_rows,
    parse,
)


@pytest.mark.parametrize(
    ("row", "column", "value"),
    [
        (OWNERSHIP, "BDCDYH", "320281001001GB00001F0001010"),
        (OWNERSHIP, "BDCDYH", "331002001001GB00001F00010101"),
        (OWNERSHIP, "BDCDYH", ""),
        (OWNERSHIP, "TABLE", "QLF_QL_XYZ"),
        (OWNERSHIP, "QSZT", "0"),
        (OWNERSHIP, "YWH", ""),
        (OWNERSHIP, "DJSJ", ""),
        (OWNERSHIP, "DJSJ", "2020-02-30"),
        (OWNERSHIP, "DJSJ", "2020-03-02 25:00:00"),
        (OWNERSHIP, "DJSJ", "2027-01-01"),
        (OWNERSHIP, "DBR", ""),
        (OWNERSHIP, "ZL", ""),
        (OWNERSHIP, "ZL", "长" * 1001),
        (OWNERSHIP, "QXDM", "320282"),
        (OWNERSHIP, "DYLX", "CASTLE"),
        (OWNERSHIP, "QLLX", "77"),
        (OWNERSHIP, "FWYT", "住宅"),
        (OWNERSHIP, "FWXZ", "12"),
        (OWNERSHIP, "JZMJ", "89.535"),
        (OWNERSHIP, "JZMJ", "-1"),
        (OWNERSHIP, "ZCS", "ten"),
        (OWNERSHIP, "TDSYJSSJ", "2081-13-01"),
        (OWNERSHIP, "SCDJ", "0"),
        (OWNERSHIP, "DYXZ", "QUARANTINED"),
        (OWNERSHIP, "QLR", ""),
        (OWNERSHIP, "ZJZL", ""),
        (OWNERSHIP, "ZJH", "999999199003071235"),
        (OWNERSHIP, "ZJH", ""),
        (OWNERSHIP, "GJ", "China"),
        (OWNERSHIP, "XWNL", "9"),
        (OWNERSHIP, "GYFS", ""),
        (OWNERSHIP, "GYFS", "1"),
        (OWNERSHIP, "QLBL", "4/3"),
        (OWNERSHIP, "QLBL", "1/0"),
        (OWNERSHIP, "BDCQZH", ""),
        (OWNERSHIP, "BDCQZH", "苏(2020)江阴市不动产权第号"),
        (OWNERSHIP, "BDCQZH", "苏(2020)江阴市不动产证明第0000001号"),
        (OWNERSHIP, "FDCJYJG", "1,000"),
        (MORTGAGE, "QLR", ""),
        (MORTGAGE, "DYRZJH", "123"),
        (MORTGAGE, "ZWRZJZL", "x"),
        (MORTGAGE, "DYFS", "3"),
        (MORTGAGE, "BDBZZQSE", ""),
        (MORTGAGE, "BDBZZQSE", "0"),
        (MORTGAGE, "BDBZZQSE", "80.0000001"),
        (MORTGAGE, "BDBZZQSE", "1000000000"),
        (MORTGAGE, "BDBZZQSE", "1e3"),
        (MORTGAGE, "ZGZQSE", "5"),
        (MORTGAGE, "ZWLXJSSJ", "2023-05-08"),
        (MORTGAGE, "ZWLXQSSJ", ""),
        (MORTGAGE, "SFCZJZHXZ", "是"),
        (MORTGAGE, "DYQSW", ""),
        (MORTGAGE, "DYQSW", "0"),
        (MORTGAGE, "YDSW", "first"),
        (MORTGAGE, "DYBDCLX", "9"),
        (MORTGAGE, "SCDJSJ", "2023-05-10"),
        (MORTGAGE, "YXSJ", "2023-05-10"),
        (MORTGAGE, "BDCDJZMH", "苏(2023)江阴市不动产权第0000001号"),
        (SEIZURE, "YWR", ""),
        (SEIZURE, "CFLX", "6"),
        (SEIZURE, "CFJG", ""),
        (SEIZURE, "CFWH", ""),
        (SEIZURE, "SDSJ", ""),
        (SEIZURE, "SDSJ", "2027-01-01"),
        (SEIZURE, "CFJSSJ", ""),
        (PRE_NOTICE, "YGDJZL", "5"),
        (PRE_NOTICE, "QDJG", ""),
        (PRE_NOTICE, "YWR", ""),
        (PRE_NOTICE, "KDJRQ", "soon"),
    ],
)
def test_bad_value_is_told_by_line_and_field_and_nothing_enters(
    row: dict[str, str], column: str, value: str
) -> None:
    """All or nothing: one problem and the lists are empty."""
    rows = [row | {column: value}] if row is OWNERSHIP else [OWNERSHIP, row | {column: value}]
    result = import_rows(rows)
    assert not result.is_good
    assert (result.units, result.rights, result.quarantined) == ((), (), ())
    assert (len(rows) + 1, column) in faults(result)
    for problem in result.problems:
        assert problem.zh
        assert problem.en


def test_every_fault_of_every_row_is_told_at_once() -> None:
    """A second list would be a fault of ours."""
    bad = OWNERSHIP | {"ZL": "", "GYFS": "9", "ZJH": "1"}
    result = import_rows([bad, MORTGAGE | {"DYFS": "", "DYQSW": "x"}])
    assert set(faults(result)) == {(2, "ZL"), (2, "GYFS"), (2, "ZJH"), (3, "DYFS"), (3, "DYQSW")}


def test_identity_numbers_in_problems_are_masked() -> None:
    """A report of bad rows goes to logs and screens (PIPL)."""
    (problem,) = import_rows([OWNERSHIP | {"ZJH": "999999199003071235"}]).problems
    assert problem.value == "99**************35"


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"GYFS": "1"}, "GYFS"),
        ({"ZL": "别处"}, "ZL"),
        ({"BDCQZH": "房9号"}, "BDCQZH"),
        ({"DJSJ": "2020-03-03"}, "DJSJ"),
    ],
)
def test_rows_of_one_right_that_differ_are_told(changed: dict[str, str], field: str) -> None:
    """The first row says everything; another may not say otherwise."""
    first = OWNERSHIP | {"GYFS": "2", "QLBL": "1/2"}
    second = first | {"QLR": "顾", "ZJZL": "3", "ZJH": "E1"}
    assert import_rows([first, second]).is_good
    assert (3, field) in faults(import_rows([first, second | changed]))


def test_one_number_with_two_names_is_told() -> None:
    """An id number is one person."""
    first = OWNERSHIP | {"GYFS": "1"}
    assert (3, "QLR") in faults(import_rows([first, first | {"QLR": "别人"}]))


def test_shares_that_do_not_add_up_are_told() -> None:
    """1/3 + 1/3 is not a whole; nor is a missing share."""
    first = OWNERSHIP | {"GYFS": "2", "QLBL": "1/3"}
    second = first | {"QLR": "顾", "ZJZL": "3", "ZJH": "E1"}
    assert (2, "QLBL") in faults(import_rows([first, second]))
    assert (2, "QLBL") in faults(import_rows([first, second | {"QLBL": ""}]))


def test_two_live_owners_rows_of_one_unit_are_told() -> None:
    """One live ownership a unit."""
    assert (3, "YWH") in faults(import_rows([OWNERSHIP, OWNERSHIP | {"YWH": "L9"}]))


def test_mortgage_on_unit_without_owner_is_told_unless_of_a_building_site() -> None:
    """RD 24, 75: only a construction mortgage precedes the first registration."""
    unit = {"TABLE": "UNIT", "BDCDYH": CODE, "ZL": "路1号", "SCDJ": "0"}
    assert (3, "BDCDYH") in faults(import_rows([unit, MORTGAGE]))
    assert import_rows([unit, MORTGAGE | {"DYBDCLX": "4"}]).is_good


@pytest.mark.parametrize(
    ("second", "is_good"),
    [
        ({"DYQSW": "2", "DJSJ": "2024-01-01"}, True),
        ({"DYQSW": "1", "DJSJ": "2024-01-01"}, False),
        ({"DYQSW": "2", "DJSJ": "2022-01-01"}, False),
        ({"DYQSW": "1", "DJSJ": "2024-01-01", "YDSW": "1"}, True),
    ],
)
def test_rank_follows_registration_unless_agreed(second: dict[str, str], is_good: bool) -> None:
    """CC 414; RD 67: a rank that contradicts the order of registration is told."""
    row = MORTGAGE | {"YWH": "L9", "BDCDJZMH": "苏(2023)江阴市不动产证明第0000009号"} | second
    assert import_rows([OWNERSHIP, MORTGAGE, row]).is_good is is_good


def test_proof_number_of_two_rights_is_told() -> None:
    """A national number is one right's."""
    second = MORTGAGE | {"YWH": "L9", "DYQSW": "2", "DJSJ": "2024-01-01"}
    assert faults(import_rows([OWNERSHIP, MORTGAGE, second])) == [(4, "BDCDJZMH")]


def test_right_on_a_unit_of_the_register_needs_no_row_for_it() -> None:
    """`known_units` are there already."""
    assert not import_rows([MORTGAGE]).is_good
    assert import_rows([MORTGAGE], known_units={CODE}).is_good


def test_quarantine_leaves_bad_rights_out_and_holds_their_units() -> None:
    """Bad rows out, their units on hold; the rest enters."""
    good = OWNERSHIP | {"BDCDYH": OTHER, "YWH": "L8"}
    result = import_rows([OWNERSHIP, MORTGAGE | {"DYQSW": ""}, good], quarantine=True)
    assert result.is_good
    assert result.quarantined == (CODE,)
    assert [u.holds for u in result.units] == [(UnitHold.QUARANTINED,), ()]
    assert [type(r) for r in result.rights] == [Ownership, Ownership]
    assert faults(result) == [(3, "DYQSW")]


def test_quarantine_holds_every_unit_of_a_right_with_one_bad_row() -> None:
    """A mortgage over two units with a bad second row is out as a whole."""
    other = OWNERSHIP | {"BDCDYH": OTHER, "YWH": "L8"}
    bad = MORTGAGE | {"BDCDYH": OTHER, "DYRZJH": "1"}
    result = import_rows([OWNERSHIP, other, MORTGAGE, bad], quarantine=True)
    assert result.quarantined == (CODE, OTHER)
    assert len(result.rights) == 2


def test_quarantine_holds_a_unit_whose_owner_is_bad_without_blaming_its_mortgage() -> None:
    """One fault is told once: the mortgage is not without an owner, its unit is on hold."""
    result = import_rows([OWNERSHIP | {"ZJH": "1"}, MORTGAGE], quarantine=True)
    assert faults(result) == [(2, "ZJH")]
    assert result.quarantined == (CODE,)
    assert [type(r) for r in result.rights] == [Mortgage]


@pytest.mark.parametrize("code", ["320281", "331002001001GB00001F00010101", OTHER])
def test_quarantine_cannot_hold_an_encumbrance_of_an_unknown_unit(code: str) -> None:
    """A seizure left out without a hold anywhere would let a seized unit go."""
    result = import_rows([OWNERSHIP, SEIZURE | {"BDCDYH": code}], quarantine=True)
    assert not result.is_good
    assert any(p.stops and p.line == 3 for p in result.problems)


def test_quarantine_lets_go_an_owner_of_a_malformed_unit() -> None:
    """A unit that is not in the register is refused as unknown: nothing to hold."""
    bad = OWNERSHIP | {"BDCDYH": "320281", "YWH": "L8"}
    result = import_rows([OWNERSHIP, bad], quarantine=True)
    assert result.is_good
    assert len(result.units) == 1


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("TABLE\n", 1),
        ("TABLE,BDCDYH,COLOUR\n", 1),
        ("TABLE,BDCDYH,QLR,QLRMC\n", 1),
        (f'TABLE,BDCDYH\nUNIT,{CODE}\nUNIT,"broken\n', 3),
        ("TABLE,BDCDYH\nQLF_QL_CFDJ\n", 2),
    ],
)
def test_file_that_is_no_register_file_is_told_by_line(text: str, line: int) -> None:
    """A heading or a quotation mark that is wrong stops the import, quarantine or not."""
    result = parse(text, quarantine=True)
    assert not result.is_good
    assert line in {p.line for p in result.problems}


def test_row_over_several_lines_is_told_by_its_first() -> None:
    """A quoted line break does not shift the count."""
    first = ",".join(OWNERSHIP)
    good = ",".join(f'"{v}"' for v in (OWNERSHIP | {"ZL": "路\n1号"}).values())
    bad = ",".join((OWNERSHIP | {"BDCDYH": OTHER, "YWH": "L8", "GYFS": "7"}).values())
    assert faults(parse(f"{first}\n{good}\n{bad}\n")) == [(4, "GYFS")]


@pytest.mark.parametrize(
    ("row", "changes", "code"),
    [
        (OWNERSHIP, {"BDCDYH": "320281001001GB00001F0001010"}, "UNIT_CODE_MALFORMED"),
        (OWNERSHIP, {"BDCDYH": "331002001001GB00001F00010101"}, "COUNTY_NOT_OURS"),
        (OWNERSHIP, {"FWYT": "住宅"}, "CODE_UNKNOWN"),
        (OWNERSHIP, {"YWH": ""}, "FIELD_REQUIRED"),
        (OWNERSHIP, {"JZMJ": "-1"}, "FIELD_INVALID"),
        (OWNERSHIP, {"ZJH": "999999199003071235"}, "CITIZEN_ID_MALFORMED"),
        (OWNERSHIP, {"BDCQZH": "苏(2020)江阴市不动产权第号"}, "CERTIFICATE_NUMBER_MALFORMED"),
        (MORTGAGE, {"ZJH": "91999999600001015X"}, "USCC_MALFORMED"),
    ],
)
def test_problem_has_the_code_of_its_kind(row: dict[str, str], changes: dict[str, str], code: str) -> None:
    """A program tells bad rows apart by their code, one of the contract's list."""
    others = [OWNERSHIP] if row is MORTGAGE else []
    assert {problem.code for problem in import_rows([*others, row | changes]).problems} == {code}


def test_problem_between_rows_and_of_the_heading_has_its_code() -> None:
    """So do two rows of one right that differ, a mortgage where nobody owns, and a column that there is not."""
    differs = import_rows([OWNERSHIP, OWNERSHIP | {"BDCQZH": "苏(2019)江阴市不动产权第0000009号"}])
    assert {p.code for p in differs.problems} == {"ROWS_CONTRADICT"}
    assert "UNIT_UNKNOWN" in {p.code for p in import_rows([MORTGAGE]).problems}
    assert {p.code for p in parse("TABLE,BDCDYH,YWH,NO_SUCH\n").problems} == {"HEADING_INVALID"}
