"""Who plays in the demo: the sample register's people and institutions, a registrar, an operator. All made up."""

from __future__ import annotations

import datetime as dt

from gateway.register.authority import Place, Profile, RuleSet
from gateway.register.model import IdKind, Party
from gateway.register.sample import SAMPLE, SampleRegistry
from gateway.register.sample_parties import made_up_citizen_id
from gateway.setup import RegistrySeed

REGISTRAR = Party(
    name="周示例", id_kind=IdKind.RESIDENT_ID, id_number=made_up_citizen_id(dt.date(1975, 5, 5), 11)
)
REGISTRAR_ID = "zhou"

#: Who answers for the key of the authority's own counter system.
COUNTER = Party(
    name="大厅系统", id_kind=IdKind.RESIDENT_ID, id_number=made_up_citizen_id(dt.date(1980, 8, 8), 15)
)
COUNTER_ID = "counter"

#: Who answers for what the institutions send.
CLERK_NAME, CLERK_NUMBER = "经办员", "D-001"


def sample_seeds() -> list[RegistrySeed]:
    """Two registries: in the first a clean mortgage is decided by rule, in the second a person decides it."""
    both = ("MORTGAGE_FIRST", "MORTGAGE_RELEASE")
    return [
        _seed(SAMPLE.jiangyin, officer="王登簿", instant=(*both, "PRE_NOTICE_CREATE"), promised=1),
        _seed(SAMPLE.taizhou, officer="陈登簿", instant=("MORTGAGE_RELEASE",), promised=2),
    ]


def _seed(registry: SampleRegistry, *, officer: str, instant: tuple[str, ...], promised: int) -> RegistrySeed:
    profile = Profile(
        version=1,
        authority_name=registry.authority.name,
        authority_code=registry.authority.id_number,
        places=tuple(
            Place(county_code=county.code, province=registry.province, name=county.place)
            for county in registry.counties
        ),
        instant=instant,
        modes=("ET_COMBINED", "ET_DOUBLE_PRE_NOTICE"),
        promised_working_days={"MORTGAGE_FIRST": promised, "MORTGAGE_RELEASE": 1},
    )
    rules = RuleSet(version=1, officer=officer, published_on=dt.date(2026, 1, 1), decides=instant)
    return RegistrySeed(registry.registry, profile, rules)
