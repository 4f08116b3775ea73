"""The sample register: imports without a problem, has every odd case, and names nobody real."""

from __future__ import annotations

import csv
import io
import itertools

import pytest

from gateway.register.bearing import Context, bearing, strictest
from gateway.register.blocks import UnitStateCode as S
from gateway.register.blocks import Verdict
from gateway.register.identifiers import normalise_uscc
from gateway.register.importing import ImportResult, parse_register_csv
from gateway.register.model import Ownership, UnitState
from gateway.register.sample import SAMPLE, register_csv, write_register_csv
from gateway.register.sample_cases import ODD_CASES
from gateway.register.sample_parties import REGISTRIES, SampleRegistry
from gateway.register.states import Facts, states_of
from tests.support.register_state import NOW

_IDS = [r.registry for r in REGISTRIES]


def _import(registry: SampleRegistry) -> ImportResult:
    numbers = itertools.count(1)
    return parse_register_csv(
        io.StringIO(register_csv(registry), newline=""),
        registry=registry.registry,
        county_codes=registry.county_codes,
        now=NOW,
        new_id=lambda: f"r{next(numbers)}",
    )


def _states(registry: str) -> dict[str, UnitState]:
    result = _import(next(r for r in REGISTRIES if r.registry == registry))
    return {
        unit.unit_code: UnitState(
            unit=unit, rights=tuple(r for r in result.rights if unit.unit_code in r.units)
        )
        for unit in result.units
    }


@pytest.mark.parametrize("registry", REGISTRIES, ids=_IDS)
def test_sample_imports_without_a_problem(registry: SampleRegistry) -> None:
    """Every row is good, every county has units."""
    result = _import(registry)
    assert result.problems == ()
    assert {u.county_code for u in result.units} == set(registry.county_codes)


def test_sample_has_three_counties_and_enough_units() -> None:
    """At least 320 units in three counties of two registries."""
    units = [u for r in REGISTRIES for u in _import(r).units]
    assert len(units) >= 320
    assert {u.county_code for u in units} == {"320281", "331002", "331003"}


def test_sample_is_the_same_every_time_and_another_by_another_seed() -> None:
    """No hidden randomness."""
    registry = SAMPLE.jiangyin
    assert register_csv(registry) == register_csv(registry)
    other = io.StringIO()
    write_register_csv(registry, other, seed=2)
    assert other.getvalue() != register_csv(registry)


@pytest.mark.parametrize("registry", REGISTRIES, ids=_IDS)
def test_sample_identity_numbers_are_of_region_999999(registry: SampleRegistry) -> None:
    """Nobody real is in a sample (handbook 4.5)."""
    rows = list(csv.DictReader(io.StringIO(register_csv(registry))))
    for row in rows:
        for kind, number in (
            ("ZJZL", "ZJH"),
            ("DYRZJZL", "DYRZJH"),
            ("ZWRZJZL", "ZWRZJH"),
            ("YWRZJZL", "YWRZJH"),
        ):
            if row[kind] == "1":
                assert row[number].startswith("999999")
            if row[kind] == "7":
                assert row[number][2:8] == "999999"


@pytest.mark.parametrize("registry", REGISTRIES, ids=_IDS)
def test_sample_people_of_different_numbers_are_different_people(registry: SampleRegistry) -> None:
    """Each ordinary flat has an owner of its own."""
    owners = [u.owner.id_number for u in SAMPLE.free(registry.registry)]
    assert len(owners) == len(set(owners)) >= 100


def test_sample_institutions_have_valid_codes_of_their_own() -> None:
    """Banks, branch, fund centre and authorities: valid, different."""
    parties = [
        SAMPLE.bank_a,
        SAMPLE.bank_a_branch,
        SAMPLE.bank_b,
        SAMPLE.fund_centre,
        *(r.authority for r in REGISTRIES),
    ]
    codes = [normalise_uscc(p.id_number) for p in parties]
    assert len(set(codes)) == len(parties)
    assert all("示例" in p.name for p in parties)


@pytest.mark.parametrize("registry", _IDS)
def test_sample_named_units_are_what_the_register_says(registry: str) -> None:
    """Owners, titles and proofs of the constants are those that the file imports to."""
    states = _states(registry)
    for unit in SAMPLE.units[registry]:
        state = states[unit.unit_code]
        assert state.unit.location == unit.location
        ownership = state.ownership
        if unit.owners:
            assert isinstance(ownership, Ownership)
            assert [o.person.key for o in ownership.owners] == [p.key for p in unit.owners]
            assert ownership.title.number == unit.title_number.replace("（", "(").replace("）", ")")
        proofs = [m.proof.number for m in state.mortgages] + [n.proof.number for n in state.pre_notices]
        assert proofs == [p.replace("（", "(").replace("）", ")") for p in unit.proofs]


EXPECTED = {
    "sole_free": [],
    "joint": [S.CO_OWNED_JOINT],
    "by_shares": [S.CO_OWNED_BY_SHARES],
    "three_brothers": [S.CO_OWNED_BY_SHARES],
    "mortgaged_by_bank_a": [S.MORTGAGE_UNRESTRICTED],
    "pre_2021": [S.MORTGAGE_PRE_2021],
    "pre_2021_restricted": [S.MORTGAGE_PRE_2021, S.MORTGAGE_RESTRICTED],
    "restricted": [S.MORTGAGE_RESTRICTED],
    "unrecorded": [S.MORTGAGE_UNRECORDED],
    "maximum_amount": [S.MORTGAGE_UNRESTRICTED, S.MAX_AMOUNT_NOT_FIXED],
    "two_mortgages": [S.MORTGAGE_UNRESTRICTED, S.MORTGAGE_RESTRICTED],
    "portfolio": [S.MORTGAGE_UNRESTRICTED, S.MORTGAGE_UNRESTRICTED],
    "seized": [S.SEIZED],
    "seized_waiting": [S.SEIZED, S.SEIZED_WAITING],
    "dissent": [S.DISSENT],
    "habitation": [S.HABITATION],
    "sale_pre_notice": [S.PN_SALE_LIVE],
    "double_pre_notice": [S.PN_SALE_LIVE, S.PN_MORTGAGE_LIVE],
    "pre_seized_holder": [S.PRE_SEIZED_HOLDER, S.PN_SALE_LIVE],
    "legacy": [S.MORTGAGE_PRE_2021],
    "fifteen_digits": [],
    "minor": [S.UNDER_AGE_OR_INCAPABLE_OWNER],
    "flat_parking_storeroom": [S.MORTGAGE_UNRESTRICTED],
    "shop": [],
    "expired": [S.RIGHT_EXPIRED],
    "company": [],
    "never_registered": [S.NOT_FIRST_REGISTERED],
    "kindergarten": [S.PROHIBITED_COLLATERAL],
    "disputed": [S.DISPUTED],
    "correction": [S.CORRECTION_PENDING],
}


@pytest.mark.parametrize("registry", _IDS)
def test_sample_odd_case_has_its_states(registry: str) -> None:
    """Each odd case shows the states that its name promises."""
    states = _states(registry)
    for case, expected in EXPECTED.items():
        unit = SAMPLE.unit(case, registry)
        assert [f.code for f in states_of(states[unit.unit_code], Facts(now=NOW))] == expected, case


def test_sample_named_units_of_the_demo_behave() -> None:
    """The free flats are free, the seized one is blocked, the joint one wants both."""
    states = _states("jiangyin") | _states("taizhou")
    context = Context(now=NOW)

    def of(code: str) -> Verdict:
        return strictest(bearing(states[code], "MORTGAGE_FIRST", context))

    assert of(SAMPLE.sole_free_jiangyin.unit_code) is Verdict.ALLOW
    assert of(SAMPLE.sole_free_taizhou.unit_code) is Verdict.ALLOW
    assert of(SAMPLE.mortgaged_by_bank_a_jiangyin.unit_code) is Verdict.ALLOW
    assert of(SAMPLE.seized_jiangyin.unit_code) is Verdict.BLOCK
    assert of(SAMPLE.joint_taizhou.unit_code) is Verdict.ALLOW_WITH_CONSENT
    assert all(of(u.unit_code) is Verdict.ALLOW for u in SAMPLE.free("taizhou"))


def test_sample_unknown_case_names_those_there_are() -> None:
    """A typing error in a test is told with the way out."""
    with pytest.raises(KeyError, match="sole_free"):
        SAMPLE.unit("castle", "jiangyin")
    assert set(EXPECTED) <= set(ODD_CASES)
