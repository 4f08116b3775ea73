"""Acts of operators against what is in force."""

from __future__ import annotations

import datetime as dt

import pytest
from msgspec.structs import replace

from gateway.applications import administration as adm
from gateway.cases.effects import InstitutionSet, ProfileSet, RequestAnswered, RuleSetSet
from gateway.cases.errors import EnvelopeExpired
from gateway.cases.model import Moment, Result
from gateway.kinds.rules import RULES_OF
from gateway.register.authority import OperationRules, Registrar, RuleSet, Waiver
from tests.support.cases import BANK, OTHER_BANK, OTHER_USCC, PROFILE, institution

NOW = dt.datetime(2026, 11, 20, 2, 0, tzinfo=dt.UTC)
MOMENT = Moment(now=NOW, index=7, application_id="", entropy=b"")
ACT = adm.OperatorAct(
    request_id="1", payload_sha256="ab", created_at=NOW, not_after=NOW + dt.timedelta(hours=1)
)


def test_institution_replaced_stays_suspended() -> None:
    """Replacing an institution does not end its suspension: that takes an act of its own."""
    before = replace(institution(BANK), suspended=True, suspension_reason="审计")
    decision = adm.decide_institution(institution(BANK), {BANK.id_number: before}, ACT, MOMENT)
    answered, effect = decision.effects
    assert isinstance(answered, RequestAnswered)
    assert isinstance(effect, InstitutionSet)
    assert (effect.institution.suspended, effect.institution.suspension_reason) == (True, "审计")
    assert effect.institution.index == MOMENT.index


@pytest.mark.parametrize("seen", [5, adm.NOT_REGISTERED])
def test_institution_changed_since_it_was_read_is_not_replaced(seen: int) -> None:
    """Another operator entered a key, or the institution itself, in between: it would be undone in silence."""
    known = {BANK.id_number: replace(institution(BANK), index=6)}
    with pytest.raises(adm.InstitutionChanged) as caught:
        adm.decide_institution(institution(BANK), known, ACT, MOMENT, seen=seen)
    assert caught.value.reason == "SEEN_INDEX_STALE"
    assert caught.value.metadata == {"uscc": BANK.id_number, "seenIndex": str(seen), "lastIndex": "6"}


@pytest.mark.parametrize("seen", [6, 0])
def test_institution_as_it_was_read_is_replaced(seen: int) -> None:
    """The version that was read stands still; an act that names none replaces whatever stands, as it always did."""
    known = {BANK.id_number: replace(institution(BANK), index=6)}
    assert adm.decide_institution(institution(BANK), known, ACT, MOMENT, seen=seen).kind == "institution.set"


def test_institution_seen_as_not_registered_is_entered_once() -> None:
    """Two operators enter the same bank: the second is told of the first."""
    assert adm.decide_institution(institution(BANK), {}, ACT, MOMENT, seen=adm.NOT_REGISTERED)
    with pytest.raises(adm.InstitutionChanged):
        adm.decide_institution(institution(BANK), {}, ACT, MOMENT, seen=6)


def test_institution_with_anothers_key_is_refused() -> None:
    """A key has one owner: whoever holds it would otherwise sign for two."""
    other = institution(OTHER_BANK)
    with pytest.raises(adm.ActInvalid) as caught:
        adm.decide_institution(institution(BANK), {OTHER_USCC: other}, ACT, MOMENT)
    assert caught.value.metadata == {"field": "institution.keys"}


def test_institution_with_anothers_former_code_is_refused() -> None:
    """A code, present or former, names one institution."""
    other = replace(institution(OTHER_BANK), keys=(), uscc_aliases=(BANK.id_number,))
    with pytest.raises(adm.ActInvalid) as caught:
        adm.decide_institution(institution(BANK), {OTHER_USCC: other}, ACT, MOMENT)
    assert caught.value.metadata == {"field": "institution.uscc_aliases"}


def test_suspension_of_an_unknown_institution_is_refused() -> None:
    """Nobody can be suspended who is not registered."""
    with pytest.raises(adm.ActInvalid):
        adm.decide_suspension(OTHER_USCC, {}, suspended=True, reason="x", act=ACT, moment=MOMENT)


def test_suspension_ended_forgets_its_reason() -> None:
    """After the end of a suspension nothing of it stands."""
    before = replace(institution(BANK), suspended=True, suspension_reason="审计")
    decision = adm.decide_suspension(
        BANK.id_number, {BANK.id_number: before}, suspended=False, reason="查清", act=ACT, moment=MOMENT
    )
    effect = decision.effects[1]
    assert isinstance(effect, InstitutionSet)
    assert (effect.institution.suspended, effect.institution.suspension_reason) == (False, "")
    assert decision.kind == "institution.resumed"


@pytest.mark.parametrize("version", [1, 3, 9])
def test_profile_whose_version_is_not_the_next_is_refused(version: int) -> None:
    """Versions go up by one, so that two operators never overwrite each other unseen."""
    with pytest.raises(adm.VersionConflict) as caught:
        adm.decide_profile(replace(PROFILE, version=version), PROFILE, ACT, MOMENT)
    assert caught.value.metadata == {"version": str(version), "wanted": "2"}


def test_profile_of_the_next_version_is_set() -> None:
    """The next version is in force from its entry on."""
    profile = replace(PROFILE, version=2)
    assert adm.decide_profile(profile, PROFILE, ACT, MOMENT).effects[1] == ProfileSet(profile=profile)


def test_rules_need_an_officer_who_may_book() -> None:
    """A rule set decides in the name of a registrar who could have booked it."""
    rules = RuleSet(version=1, officer="deng-1", published_on=dt.date(2026, 1, 1))
    good = Registrar(registrar_id="deng-1", name="登", key_ids=("k",))
    for officers in (
        {},
        {"deng-1": replace(good, suspended=True)},
        {"deng-1": replace(good, may_book=False)},
    ):
        with pytest.raises(adm.ActInvalid):
            adm.decide_rules(rules, None, officers, ACT, MOMENT)
    assert adm.decide_rules(rules, None, {"deng-1": good}, ACT, MOMENT).effects[1] == RuleSetSet(rules=rules)


CLEAN = tuple(rule.id for rule in RULES_OF["MORTGAGE_FIRST"])


@pytest.mark.parametrize(
    ("left_out", "added", "waived", "field"),
    [
        ((), ("NO_SUCH_RULE",), (), "rule_set.rules"),
        ((), ("OWN_WORD",), (), "rule_set.rules"),
        (("FULL_CAPACITY",), (), (), "rule_set.rules"),
        (("FULL_CAPACITY",), (), ("FULL_CAPACITY",), "rule_set.rules"),
        (("SOLE_OWNER",), (), (), "rule_set.waivers"),
        (("SOLE_OWNER",), (), ("AGE_KNOWN",), "rule_set.waivers"),
        ((), (), ("SOLE_OWNER",), "rule_set.waivers"),
        (("ONE_UNIT",), (), ("ONE_UNIT",), "rule_set.waivers"),
        (("ONE_UNIT",), (), (), ""),
        (("SOLE_OWNER", "ONE_UNIT"), (), ("SOLE_OWNER",), ""),
    ],
)
def test_rules_listed_are_those_of_the_table(
    left_out: tuple[str, ...], added: tuple[str, ...], waived: tuple[str, ...], field: str
) -> None:
    """Unknown rules are refused; clean ones are left out by a waiver with its source, the law's own not at all."""
    ids = (*(i for i in CLEAN if i not in left_out), *added)
    rules = RuleSet(
        version=1,
        officer="deng-1",
        published_on=dt.date(2026, 1, 1),
        decides=("MORTGAGE_FIRST",),
        holds=(OperationRules(operation="MORTGAGE_FIRST", rules=ids),),
        waivers=tuple(
            Waiver(operation="MORTGAGE_FIRST", rule=i, source="某市规则 2026-01-01") for i in waived
        ),
    )
    officers = {"deng-1": Registrar(registrar_id="deng-1", name="登", key_ids=("k",))}
    if not field:
        assert adm.decide_rules(rules, None, officers, ACT, MOMENT).outcome.result is Result.DONE
        return
    with pytest.raises(adm.ActInvalid) as caught:
        adm.decide_rules(rules, None, officers, ACT, MOMENT)
    assert caught.value.metadata["field"] == field


def test_registrars_do_not_share_keys() -> None:
    """A registrar's signature names one person: keys are not shared."""
    known = {"deng-1": Registrar(registrar_id="deng-1", name="登", key_ids=("k",))}
    second = Registrar(registrar_id="deng-2", name="二", key_ids=("l",), tls_key_ids=("k",))
    with pytest.raises(adm.ActInvalid):
        adm.decide_registrar(second, known, ACT, MOMENT)


def test_import_of_what_is_there_keeps_nothing() -> None:
    """An import overwrites nothing: one unit that is there already refuses all of it."""
    with pytest.raises(adm.AlreadyRegistered) as caught:
        adm.decide_import((), (), "320281001001GB00001F00010001", ACT, MOMENT)
    assert caught.value.metadata["present"] == "320281001001GB00001F00010001"


@pytest.mark.parametrize("shift", [dt.timedelta(hours=2), dt.timedelta(minutes=-6)])
def test_act_outside_its_time_is_refused(shift: dt.timedelta) -> None:
    """An act is taken between its making and its not_after, by our clock at the commit."""
    with pytest.raises(EnvelopeExpired):
        adm.decide_profile(replace(PROFILE, version=2), PROFILE, ACT, replace(MOMENT, now=NOW + shift))
