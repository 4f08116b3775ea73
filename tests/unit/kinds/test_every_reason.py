"""Every code of the catalogue comes out of some case, or is listed with the reason why not (reasons.csv).

The cases are small and plain: what matters is that the code can be heard at all, where its stage says.
"""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.applications.expiry import decide_overdue
from gateway.applications.review import Act, Verb, decide_review
from gateway.applications.withdrawal import Withdrawal, decide_withdrawal
from gateway.cases.decision import Decision
from gateway.cases.model import State
from gateway.cases.terms import PowerForm, PowerOfAttorney
from gateway.register.findings import Severity
from gateway.register.model import UnitHold
from gateway.register.reasons import finding
from tests.support import blocked as b
from tests.support import blocked_states as s
from tests.support import cases as c
from tests.support import deals as d
from tests.support import later
from tests.support.blocked import Scene

TABLE = Path(__file__).parents[2] / "vectors/domain/reasons.csv"
with TABLE.open(encoding="utf-8", newline="") as _lines:
    ROWS = {row["code"]: row for row in csv.DictReader(_lines)}

LATE = c.moment(20, c.NOW + dt.timedelta(days=60))


def _one(operation: str, variant: str = "*") -> Scene:
    return b.scenes_of(operation, variant)[-1]


def _in(state: str, operation: str, variant: str = "*") -> Decision:
    """The operation, filed on a flat in a state of the blocks table."""
    scene = s.STATES[state](_one(operation, variant))
    return replace(scene, bound=tuple(p for p in scene.bound if p != b.A)).decided(
        without=("RISK_STATEMENT",)
    )


def _without(paper: str, operation: str) -> Decision:
    return _one(operation).decided(without=(paper,))


def _elsewhere() -> Decision:
    other = "990001" + c.UNIT[6:]
    return c.decide(c.world(), c.submission(c.mortgage_first(units=(other,)), c.mortgage_papers()))


def _agent() -> Decision:
    power = PowerOfAttorney(principal=b.S, agent=b.B, acts=("MORTGAGE_FIRST",), form=PowerForm.PLAIN)
    papers = c.mortgage_papers()
    del papers["APPLICATION"]
    what = c.submission(c.mortgage_first(), papers, powers_of_attorney=(power,))
    return c.decide(c.world(c.unit_state()), what)


def _of_papers(**changes: Any) -> Decision:
    papers = c.mortgage_papers()
    papers["MORTGAGE_CONTRACT"] = replace(papers["MORTGAGE_CONTRACT"], **changes)
    return c.decide(c.world(c.unit_state()), c.submission(c.mortgage_first(), papers))


def _phase_too_many() -> Decision:
    scene = _one("OWNERSHIP_TRANSFER")
    what = scene.submission()
    header = replace(what.manifest.header, phase=7)
    return c.decide(scene.world(), replace(what, manifest=replace(what.manifest, header=header)))


def _statement(**changes: Any) -> Decision:
    """The combined case on another payoff statement."""
    return c.decide(d.world(), d.submission(payoff_statements=(d.statement(**changes),)))


def _lapsed() -> Decision:
    scene = _one("PRE_NOTICE_CONVERT", "SALE")
    old = replace(b.SALE, registrable_from=dt.date(2026, 3, 2))
    return replace(scene, rights=(old,)).decided()


def _approved(scene: Scene) -> Decision:
    what = scene.submission()
    return d.approved(scene.world(), what, d.row_of(c.decide(scene.world(), what)))


def _registrars(verb: Verb, **changes: Any) -> Decision:
    """An act of the registrar who has the case."""
    scene = _one("MORTGAGE_CHANGE")
    what = scene.submission()
    row = d.row_of(c.decide(scene.world(), what))
    row = replace(row, state=State.IN_REVIEW, claimed_by=d.REGISTRAR.registrar_id)
    act = Act(
        verb=verb,
        application_id=row.application_id,
        manifest_sha256=row.payload_sha256,
        seen=row.last_index,
        request_id="018f0000-0000-7000-8000-000000000009",
        payload_sha256="44" * 32,
        created_at=c.NOW,
        not_after=c.NOW + dt.timedelta(days=1),
        **changes,
    )
    return decide_review(scene.world(), d.REGISTRAR, row, what.manifest, what.papers, act, c.moment(9))


def _run_out(state: State, field: str) -> Decision:
    here, what = later.world(), later.unsigned()
    row = replace(later.filed(here, what), state=state, **{field: c.NOW + dt.timedelta(days=1)})
    return decide_overdue(later.dossier(here, what, row), later.INTERNAL, LATE)


def _withdrawn() -> Decision:
    here = later.world(profile=replace(c.PROFILE, instant=()))
    what = c.submission(c.mortgage_first(), c.mortgage_papers())
    row, paper = later.filed(here, what), c.paper("WITHDRAWAL", c.OWNER)
    act = later.act(Withdrawal, row, paper, by=c.BANK, parties=(c.BANK, c.OWNER))
    return decide_withdrawal(later.dossier(here, what, row, paper), act, c.moment(9))


def _queued() -> Decision:
    return s.queued("*")(_one("MORTGAGE_FIRST")).decided()


def _held(hold: UnitHold) -> Decision:
    return s.held(hold)(_one("MORTGAGE_FIRST")).decided()


def _debt_passes() -> Decision:
    from tests.unit.kinds.test_every_paper import _new_debtor

    return _new_debtor().decided(without=("GUARANTOR_CONSENT",))


BROUGHT_OUT: dict[str, Callable[[], Decision]] = {
    "N-OUT_OF_JURISDICTION": _elsewhere,
    "N-INCOMPLETE": lambda: _without("PRINCIPAL_CONTRACT", "MORTGAGE_FIRST"),
    "N-NOT_APPLICANT": lambda: _in("CO_OWNED_JOINT", "MORTGAGE_FIRST"),
    "N-AUTHORISATION": _agent,
    "N-BARRED": lambda: _in("SEIZED", "MORTGAGE_FIRST"),
    "C-CORRECT_ON_THE_SPOT": _phase_too_many,
    "C-SIGNATURE": lambda: _of_papers(signatures=()),
    "C-FILE": lambda: _of_papers(problems=("cannot be read",)),
    "C-MISMATCH": lambda: _one("MORTGAGE_FIRST").with_step(titles=(b.BEHIND.proof,)).decided(),
    "C-DISSENT": lambda: _in("DISSENT", "MORTGAGE_FIRST"),
    "S-CORRECTION": lambda: _held(UnitHold.CORRECTION_PENDING),
    "S-QUEUE": _queued,
    "S-INVESTIGATION": lambda: _registrars(Verb.SUSPEND, reason_code="S-INVESTIGATION"),
    "S-TAX": lambda: _approved(replace(_one("PRE_NOTICE_CONVERT", "SALE"), taxed=False)),
    "S-PAYOFF": lambda: _approved(_one("OWNERSHIP_TRANSFER")),
    "R-UNLAWFUL": lambda: _registrars(Verb.REFUSE, grounds=(finding("R-UNLAWFUL", Severity.BLOCKS),)),
    "R-DISPUTE": lambda: _held(UnitHold.DISPUTED),
    "R-EXPIRED": lambda: _held(UnitHold.RIGHT_EXPIRED),
    "R-SEIZED": lambda: _in("SEIZED", "MORTGAGE_FIRST"),
    "R-PRE_NOTICE": lambda: _in("PN_SALE_LIVE", "MORTGAGE_FIRST"),
    "R-PRE_NOTICE_LAPSED": _lapsed,
    "R-RESTRICTION": lambda: _in("MORTGAGE_RESTRICTED", "OWNERSHIP_TRANSFER"),
    "R-PRE_CODE_MORTGAGE": lambda: _in("MORTGAGE_PRE_2021", "OWNERSHIP_TRANSFER"),
    "R-OTHER_MORTGAGEE": lambda: s.add(_one("MORTGAGE_CHANGE", "ADDS_BURDEN"), b.BEHIND).decided(),
    "R-SECURER": _debt_passes,
    "R-NO_CLAIM_ASSIGNMENT": lambda: _without("CLAIM_ASSIGNMENT", "MORTGAGE_TRANSFER"),
    "R-MAX_NOT_FIXED": lambda: _in("MAX_AMOUNT_NOT_FIXED", "MORTGAGE_TRANSFER"),
    "R-OVERDUE": lambda: _statement(overdue=True),
    "R-PRICE_BELOW_BALANCE": lambda: _statement(balance_fen=d.PRICE_FEN + 1),
    "R-CO_OWNER": lambda: _in("CO_OWNED_JOINT", "MORTGAGE_FIRST"),
    "R-GUARDIAN": lambda: _in("UNDER_AGE_OR_INCAPABLE_OWNER", "MORTGAGE_FIRST"),
    "R-NO_FIRST_REGISTRATION": lambda: _in("NOT_FIRST_REGISTERED", "MORTGAGE_FIRST"),
    "R-PROHIBITED": lambda: _in("PROHIBITED_COLLATERAL", "MORTGAGE_FIRST"),
    "R-CONFLICT": lambda: _one("MORTGAGE_RELEASE").with_step(proof=b.BEHIND.proof).decided(),
    "R-CONSTRUCTION": lambda: _in("CONSTRUCTION_MORTGAGE_LIVE", "MORTGAGE_FIRST"),
    "R-TAX": lambda: _run_out(State.AWAITING_TAX, "gate_expires_at"),
    "R-NOT_SUPPLEMENTED": lambda: _run_out(State.SUPPLEMENT_REQUESTED, "supplement_until"),
    "W-NOTIFY_MORTGAGEE": lambda: _one("OWNERSHIP_TRANSFER").decided(),
    "W-HABITATION": lambda: _in("HABITATION", "MORTGAGE_FIRST"),
    "W-PROVISIONAL_DATE": lambda: _one("MORTGAGE_CHANGE").decided(),
    "E-WITHDRAWN": _withdrawn,
    "E-EXPIRED": lambda: _run_out(State.AWAITING_PARTIES, "parties_expire_at"),
    "M-REFER": lambda: _in("MORTGAGE_UNRECORDED", "OWNERSHIP_TRANSFER"),
}


def test_every_code_is_brought_out() -> None:
    """Each line of the catalogue, and no other."""
    assert sorted(BROUGHT_OUT) == sorted(ROWS)


@pytest.mark.parametrize("code", BROUGHT_OUT)
def test_code_comes_out_of_a_case(code: str) -> None:
    """As the code of a finding, or, before acceptance, as the rule of one (handbook 3.6), with ground and cure."""
    found = [f for f in BROUGHT_OUT[code]().outcome.findings if code in (f.code, f.rule)]
    assert found
    assert all(f.article and f.cure_zh and f.cure_en and f.zh for f in found)
