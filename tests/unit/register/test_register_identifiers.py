"""Identifiers beyond the vectors: which rule is named, what an error tells, what parties compare by."""

from __future__ import annotations

import datetime as dt

import pytest

from gateway.register.identifiers import (
    IdentifierError,
    birth_date,
    canonical_party,
    format_case_number,
    format_certificate_number,
    make_certificate_identifier,
    mask,
    mod_37_36,
    normalise_citizen_id,
    normalise_unit_code,
    normalise_uscc,
    parse_certificate_identifier,
    parse_certificate_number,
    same_certificate_number,
)
from gateway.register.model import IdKind, Party
from gateway.register.sample_parties import made_up_citizen_id, made_up_uscc


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        ("", "UNIT_CODE_LENGTH"),
        ("320281001001GB00001W00000001", "UNIT_CODE_FIXTURE"),
        ("320281001001GB00001F00000000", "UNIT_CODE_FIXTURE"),
        ("320281001001XB00001F00010001", "UNIT_CODE_FORM"),
        ("320281001001GB00001X00010001", "UNIT_CODE_FORM"),
        ("32028100100١GB00001F00010001", "UNIT_CODE_FORM"),
    ],
)
def test_unit_code_malformed_names_the_rule(code: str, rule: str) -> None:
    """A unit code is 28 characters in the segments of GB/T 37346; only W has no fixture number."""
    with pytest.raises(IdentifierError) as caught:
        normalise_unit_code(code)
    assert caught.value.rule == rule
    assert "GB/T 37346" in caught.value.zh
    assert caught.value.cure in caught.value.en


def test_unit_code_full_width_and_lower_case_becomes_canonical() -> None:
    """Width, case and printed groups do not tell units apart."""
    assert normalise_unit_code("３２０２８１ 001001 gb00001 f00010001") == "320281001001GB00001F00010001"


def test_uscc_letter_department_is_accepted() -> None:
    """Departments may be letters: A, N, Y and others register too (GB 32100)."""
    code = made_up_uscc("N2", 12345678)
    assert normalise_uscc(code.lower()) == code


@pytest.mark.parametrize("code", ["913202810000BK1K5", "9132O2810000BK1K5U", "91320281O000BK1K5U"])
def test_uscc_malformed_is_refused(code: str) -> None:
    """The alphabet has no I, O, S, V, Z, and the division code is digits."""
    with pytest.raises(IdentifierError):
        normalise_uscc(code)


def test_citizen_id_no_such_day_names_birth_date() -> None:
    """A birth date that no calendar has is no number at all, whatever its check digit."""
    with pytest.raises(IdentifierError) as caught:
        normalise_citizen_id("999999900230123")
    assert caught.value.rule == "CITIZEN_ID_BIRTH_DATE"


def test_citizen_id_error_never_repeats_the_number() -> None:
    """Messages go to logs and answers: a person's number is not in them (PIPL)."""
    with pytest.raises(IdentifierError) as caught:
        normalise_citizen_id("999999199003071235")
    error = caught.value
    assert "1990" not in error.zh + error.en + str(error)


def test_citizen_id_lower_x_becomes_upper() -> None:
    """x and X are one check digit."""
    numbers = (made_up_citizen_id(dt.date(1990, 3, 7), order) for order in range(1, 30))
    number = next(n for n in numbers if n.endswith("X"))
    assert normalise_citizen_id(number.lower()) == number
    assert birth_date(number) == dt.date(1990, 3, 7)


def test_canonical_party_fifteen_digits_equals_eighteen() -> None:
    """15 and 18 digits are one person (handbook 3.1), the guardian's too."""
    old = Party(name="甲", id_kind=IdKind.RESIDENT_ID, id_number="999999900307123")
    new = Party(name="甲", id_kind=IdKind.RESIDENT_ID, id_number="999999199003071234", guardian=old)
    assert canonical_party(old).key == canonical_party(new).key
    guardian = canonical_party(new).guardian
    assert guardian is not None
    assert guardian.id_number == "999999199003071234"


def test_canonical_party_organisation_code_drops_the_hyphen() -> None:
    """Organisation codes are written with and without a hyphen."""
    party = Party(name="某厂", id_kind=IdKind.ORG_CODE, id_number="0000bk1k-5")
    assert canonical_party(party).id_number == "0000BK1K5"


@pytest.mark.parametrize("number", ["", "   ", "E" * 51])
def test_canonical_party_number_empty_or_endless_is_refused(number: str) -> None:
    """A party without a number cannot be told from another."""
    with pytest.raises(IdentifierError):
        canonical_party(Party(name="甲", id_kind=IdKind.PASSPORT, id_number=number))


def test_certificate_number_issued_parses_back() -> None:
    """What we issue has seven digits and reads as what it is."""
    number = format_certificate_number("浙", 2026, "台州市椒江区", "PROOF", 12)
    assert number == "浙(2026)台州市椒江区不动产证明第0000012号"
    assert parse_certificate_number(number).text == number
    assert format_certificate_number("浙", 2026, "台州市椒江区", "证明", 12) == number


@pytest.mark.parametrize("serial", [0, -1, 10_000_000])
def test_certificate_number_serial_out_of_range_is_refused(serial: int) -> None:
    """Seven digits, from 1."""
    with pytest.raises(IdentifierError) as caught:
        format_certificate_number("苏", 2026, "江阴市", "TITLE", serial)
    assert caught.value.rule == "CERTIFICATE_SERIAL_RANGE"


def test_same_certificate_number_width_and_spaces_do_not_matter() -> None:
    """Full-width brackets are common; another number is another."""
    assert same_certificate_number(
        "苏（2023）江阴市不动产权第 0012345号", "苏(2023)江阴市不动产权第0012345号"
    )
    assert not same_certificate_number(
        "苏(2023)江阴市不动产权第0012345号", "苏(2023)江阴市不动产权第0012346号"
    )


def test_certificate_identifier_made_parses_back_to_its_kind() -> None:
    """An identifier of ours carries type, issuer, serial and version under one check character."""
    text = make_certificate_identifier("TITLE", "11100000MB03271699", "32028120260000001", 2)
    parts = parse_certificate_identifier(text)
    assert (parts.kind, parts.version, parts.text) == ("TITLE", 2, text)


def test_certificate_identifier_one_character_wrong_is_refused() -> None:
    """MOD 37,36 finds every single wrong character (ISO 7064)."""
    text = make_certificate_identifier("PROOF", "11100000MB03271699", "32028120260000001")
    for position in range(len("1.2.156.3005.2."), len(text)):
        wrong = "8" if text[position] != "8" else "7"
        with pytest.raises(IdentifierError):
            parse_certificate_identifier(text[:position] + wrong + text[position + 1 :])


def test_mod_37_36_published_sample_holds() -> None:
    """The published registration proof has check character 9."""
    assert mod_37_36("11100000MB03271699022" + "340100" + "000000016" + "001") == "9"


def test_case_number_has_date_county_and_eight_digits() -> None:
    """Our case numbers: YYYYMMDD, county, counter (handbook 4.3)."""
    assert format_case_number(dt.date(2026, 11, 20), "320281", 7) == "2026112032028100000007"
    with pytest.raises(ValueError, match="serial 0"):
        format_case_number(dt.date(2026, 11, 20), "320281", 0)


def test_mask_keeps_the_ends_only() -> None:
    """Reports show two characters at each end."""
    assert mask("999999199003071234") == "99**************34"
    assert mask("1234") == "1234"
