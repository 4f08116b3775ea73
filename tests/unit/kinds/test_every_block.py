"""Every row of the ministry-side table of what blocks what, filed and looked at (tests/vectors/domain/blocks.csv).

The flat is brought into the state, the operation is filed with everything the law asks for, and the answer must be
the verdict of the cell: barred, waiting, a person's, wanting a consent and content with it, warned, or nothing.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.cases.decision import Decision
from gateway.cases.model import Result, State
from gateway.register.bearing import Context, bearing
from gateway.register.blocks import OPERATIONS, UnitStateCode, verdict
from gateway.register.findings import Finding, Severity
from gateway.register.model import CoOwnership, Owner, PreNoticeKind, Share
from tests.support import blocked as b
from tests.support import blocked_states as s
from tests.support import cases as c
from tests.support import deals as d

TABLE = Path(__file__).parents[2] / "vectors/domain/blocks.csv"
with TABLE.open(encoding="utf-8", newline="") as _lines:
    ROWS = list(csv.DictReader(_lines))

#: Papers that are consents: taken away to see them asked for.
CONSENTS = (
    "OTHER_MORTGAGEE_CONSENT",
    "PRE_NOTICE_HOLDER_CONSENT",
    "MORTGAGEE_JOINT",
    "GUARDIAN",
    "MAX_AMOUNT_PARTIAL",
    "CO_OWNER_NOTICE",
)

#: A share is sold in a transfer of ownership and nowhere else; other cells of OWN_SHARE are looked at in the register.
SOLD_SHARE = ("OWNERSHIP_TRANSFER", "OWN_SHARE")

#: States that no operation can be filed in yet, with the reason; their cells are looked at in the register.
FACTS_ONLY = {
    "EASEMENT": "the register of this version keeps no easements (handbook 1.1: read only)",
}


def _name(row: dict[str, str]) -> str:
    return f"{row['state_code']}-{row['operation']}-{row['variant']}"


@pytest.mark.parametrize("row", ROWS, ids=_name)
def test_cell_is_the_gateways_own(row: dict[str, str]) -> None:
    """The table that ships says the same, cell by cell."""
    cell = verdict(row["state_code"], row["operation"], row["variant"])
    assert (cell.verdict.name, cell.reason_code) == (row["verdict"], row["reason_code"])


def test_table_has_every_state_but_our_own_two() -> None:
    """QUARANTINED and SEIZURE_TARGET_NOT_OWNER are ours."""
    ours = {"QUARANTINED", "SEIZURE_TARGET_NOT_OWNER"}
    assert {row["state_code"] for row in ROWS} == {state.value for state in UnitStateCode} - ours
    assert {row["operation"] for row in ROWS} == set(OPERATIONS)


@pytest.mark.parametrize("row", ROWS, ids=_name)
def test_cell_is_what_a_case_comes_to(row: dict[str, str]) -> None:
    """Filed on a flat in that state, the operation comes to the cell's verdict with the cell's reason."""
    if row["state_code"] in FACTS_ONLY or (
        row["variant"].endswith("OWN_SHARE") and (row["operation"], row["variant"]) != SOLD_SHARE
    ):
        _in_the_register(row)
        return
    for scene in _scenes(row):
        _CHECKS[row["verdict"]](row, scene)


def _scenes(row: dict[str, str]) -> Iterator[b.Scene]:
    """The scenes of a row, each in the row's state."""
    state, operation, variant = row["state_code"], row["operation"], row["variant"]
    bare = variant.removesuffix("_BY_HOLDER").removesuffix("_BY_OTHER")
    for suffix in ("_ALL_OWNERS", "_UNDER_TWO_THIRDS", "_TWO_THIRDS"):
        bare = bare.removesuffix(suffix)
    for scene in b.scenes_of(operation, bare):
        if state == "SEIZURE_ARRIVES_WHILE_PENDING":
            yield scene
        elif state == "EARLIER_CASE_PENDING":
            yield s.queued(variant)(scene)
        elif (operation, variant) == SOLD_SHARE:
            yield s.own_share(scene)
        elif state == "CO_OWNED_BY_SHARES":
            yield s.by_shares(variant)(scene)
        elif variant.endswith("_BY_OTHER"):
            yield s.by_other(scene)
        elif state == "ADVERSE_TO_OTHER_MORTGAGEE" and _lightens(scene):
            continue  # what does not grow harms nobody
        else:
            yield s.STATES[state](scene)


def _lightens(scene: b.Scene) -> bool:
    content = getattr(scene.operation, "content", None)
    return content is not None and content.claim_amount_fen < b.M1.claim_amount_fen


def _found(scene: b.Scene, decision: Decision, *severities: Severity) -> list[Finding]:
    """What is told of the step in question."""
    field = f"terms.operations[{scene.step}]"
    return [f for f in decision.outcome.findings if f.field.startswith(field) and f.severity in severities]


def _told(found: list[Finding]) -> set[str]:
    return {f.code for f in found} | {f.rule for f in found}


def _block(row: dict[str, str], scene: b.Scene) -> None:
    """Barred at once under the row's rule, and nothing is booked."""
    decision = _arrival(scene) if row["state_code"] == "SEIZURE_ARRIVES_WHILE_PENDING" else scene.decided()
    assert row["reason_code"] in _told(_found(scene, decision, Severity.BLOCKS)), decision.outcome.findings
    assert not decision.contents


def _consent(row: dict[str, str], scene: b.Scene) -> None:
    """Without the consent not accepted, or waiting for it; with it the rule is silent."""
    wanting = replace(scene, bound=tuple(p for p in scene.bound if p != b.A)).decided(without=CONSENTS)
    rule = row["reason_code"]
    assert rule in _told(_found(scene, wanting, Severity.BLOCKS)), wanting.outcome.findings
    assert wanting.outcome.result is Result.NOT_ACCEPTED
    cured = s.cured(scene, rule)
    given = cured.decided()
    stopping = _found(cured, given, Severity.BLOCKS, Severity.AWAITS)
    assert rule not in _told(stopping), stopping


def _refer(row: dict[str, str], scene: b.Scene) -> None:
    """A person decides, and is told which state it is; of a dissent, once its risk is accepted in writing."""
    if row["state_code"] == "SEIZURE_ARRIVES_WHILE_PENDING":
        assert _arrival(scene).outcome.result is Result.BOOKED  # the person's approval
        return
    if row["reason_code"] == "C-DISSENT":
        assert "C-DISSENT" in _told(_found(scene, scene.decided(), Severity.BLOCKS))
        people = tuple({p.key: p for step in scene.steps for p in _everyone(step)}.values())
        scene = s.consented(scene, "RISK_STATEMENT", *people, b.A, b.B, b.DEVELOPER)
    decision = scene.decided()
    assert not [f for f in _found(scene, decision, Severity.BLOCKS) if row["state_code"] in f.en]
    names = (
        row["state_code"],
        "pre-seized holder",
    )  # the second once the sale is converted in the same phase
    found = [f for f in _found(scene, decision, Severity.REFERS) if any(name in f.en for name in names)]
    assert found, decision.outcome.findings
    assert {f.code for f in found} == {"M-REFER"}
    assert decision.outcome.result is not Result.BOOKED


def _wait(row: dict[str, str], scene: b.Scene) -> None:
    """The place is kept, and nobody can book now."""
    if row["reason_code"] == "S-TAX":
        decision = _approved(replace(scene, mode=""), scene)
        assert decision.outcome.state is State.AWAITING_TAX
        assert "S-TAX" in {f.code for f in decision.outcome.findings}
        return
    decision = scene.decided()
    assert row["reason_code"] in _told(_found(scene, decision, Severity.WAITS)), decision.outcome.findings
    assert decision.outcome.result is Result.ACCEPTED
    approved = _approved(scene, scene)
    assert approved.outcome.state is State.SUSPENDED
    assert not approved.contents


def _warn(row: dict[str, str], scene: b.Scene) -> None:
    """The case goes on, and the people are told."""
    decision = scene.decided()
    assert row["reason_code"] in _told(_found(scene, decision, Severity.WARNS)), decision.outcome.findings
    _passes(row, scene)


def _passes(row: dict[str, str], scene: b.Scene) -> None:
    """Nothing about this state stands in the way; a phase of this step alone is booked."""
    if row["state_code"] == "SEIZURE_ARRIVES_WHILE_PENDING":
        assert _arrival(scene).outcome.result is Result.BOOKED
        return
    decision = scene.decided()
    stopping = _found(scene, decision, Severity.BLOCKS, Severity.WAITS, Severity.AWAITS, Severity.REFERS)
    assert not [f for f in stopping if row["state_code"] in f.en], stopping
    if len(scene.steps) == 1 and not _stands_alone(row):
        approved = _approved(scene, scene)
        assert approved.outcome.result is Result.BOOKED, approved.outcome.findings


def _stands_alone(row: dict[str, str]) -> bool:
    """NOT_APPLICABLE cells that no case can be in."""
    return row["verdict"] == "NOT_APPLICABLE" and row["state_code"] == "NOT_FIRST_REGISTERED"


_CHECKS = {
    "BLOCK": _block,
    "ALLOW_WITH_CONSENT": _consent,
    "REFER": _refer,
    "WAIT": _wait,
    "WARN": _warn,
    "ALLOW": _passes,
    "NOT_APPLICABLE": _passes,
}


def _approved(accepted_in: b.Scene, scene: b.Scene) -> Decision:
    """A registrar approves the case, which was accepted in a registry that lets no rule decide."""
    what = scene.submission()
    calm = replace(scene.world(), rules=None)
    return d.approved(calm, what, d.row_of(c.decide(calm, what)))


def _arrival(scene: b.Scene) -> Decision:
    """Accepted; then the court serves a seizure; then a registrar approves."""
    what = scene.submission()
    row = d.row_of(c.decide(replace(scene.world(), rules=None), what))
    assert row.accepted_index is not None
    seized = s.add(scene, replace(s.seizure(s.owner_of(scene)), served_at=c.NOW, booked_at=c.NOW))
    return d.approved(replace(seized.world(), rules=None), what, row)


def _everyone(step: Any) -> list[Any]:
    """Every party of a step."""
    sides = (
        "sellers",
        "buying",
        "mortgagors",
        "mortgagees",
        "debtors",
        "holders",
        "obligors",
        "applicants",
        "assignors",
        "assignees",
    )
    inner = [step, *(getattr(step, n, None) for n in ("transfer", "mortgage", "content"))]
    return [p for one in inner if one is not None for side in sides for p in getattr(one, side, ())]


def _in_the_register(row: dict[str, str]) -> None:
    """The cell as the register gives it, where no case can be filed so yet."""
    kinds = {"KIND_1": PreNoticeKind.PRESALE_SALE, "SALE": PreNoticeKind.OTHER_SALE}
    context = Context(
        now=c.NOW,
        easement=row["state_code"] == "EASEMENT",
        own_share=row["variant"].endswith("OWN_SHARE"),
        adds_burden=False,
        obligors=frozenset({b.S.key}),
        applicants=frozenset({b.S.key}),
        pre_notice_kind=kinds.get(row["variant"].partition("_OWN")[0], PreNoticeKind.OTHER_SALE),
    )
    scene = b.Scene(steps=(b.first(),))
    if row["state_code"] == "CO_OWNED_BY_SHARES":
        half = Share(numerator=1, denominator=2)
        owners = (Owner(person=b.S, share=half), Owner(person=b.BROTHER, share=half))
        scene = replace(scene, owners=owners, co_ownership=CoOwnership.BY_SHARES)
    found = {one.state.value: one for one in bearing(scene.state(), row["operation"], context)}
    [one] = [v for k, v in found.items() if k == row["state_code"]]
    assert (one.verdict.name, one.reason_code) == (row["verdict"], row["reason_code"])
