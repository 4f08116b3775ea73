"""Every row of the table of modes, played: its step, the ranks and certificates after its phase, who takes part, and
what the booking waits for (tests/vectors/domain/modes.csv; N29; handbook 2.3).
"""

from __future__ import annotations

import csv
import datetime as dt
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.cases.decision import Decision
from gateway.cases.model import Manifest, Paper, Result, State
from gateway.cases.terms import ReleaseGround, operation_name
from gateway.register.model import Ownership, Party, PreNotice, PreNoticeKind, UnitState
from tests.support import blocked as b
from tests.support import cases as c
from tests.support import deals as d
from tests.support.play import Play, complete
from tests.unit.kinds import test_modes as m

S, Y, A, B, FUND, DEVELOPER = d.SELLER, d.BUYER, d.A, d.B, d.FUND, m.DEVELOPER

TABLE = Path(__file__).parents[2] / "vectors/domain/modes.csv"
with TABLE.open(encoding="utf-8", newline="") as _lines:
    ROWS = list(csv.DictReader(_lines))

#: What a phase files: its steps, terms beside them, and who is bound besides the filer.
Phase = Callable[[Play], tuple[tuple[Any, ...], dict[str, Any]]]

SETTLED = {"ground": ReleaseGround.CLAIM_SETTLED, "settled_on": dt.date(2026, 11, 20)}
CONTRACT = {"sale_contracts": (d.contract(),)}
TAXED = {"tax_clearances": (*d.TAXES, d.cleared(d.TaxKind.LAND_VAT))}


def _deal(*steps: Any, **terms: Any) -> Phase:
    return lambda play: (tuple(s(play) if callable(s) else s for s in steps), {**m.DEAL, **terms})


def _release(play: Play) -> Any:
    return m.release_old(play)


def _joint_release(play: Play) -> Any:
    return d.release(proof=play.proof(A), **SETTLED)


def _two_banks(play: Play) -> Any:
    from tests.unit.kinds.test_every_paper import _two_banks as scene

    return scene().steps[1]


NOTICES = (d.sale_notice(), d.mortgage_notice())
PRESOLD = d.sale_notice(
    kind=PreNoticeKind.PRESALE_SALE, obligors=(DEVELOPER,), titles=(), applicants=(DEVELOPER, Y)
)
FREED = d.release(ground=ReleaseGround.AGREEMENT, partial=True, construction=True, applicants=(A, DEVELOPER))


def _from_developer(play: Play) -> Any:
    return m.convert_sale(
        play, transfer=d.transfer(sellers=(DEVELOPER,), applicants=()), applicants=(DEVELOPER, Y)
    )


#: Mode and variant → its phases.
PHASES: dict[tuple[str, str], list[Phase]] = {
    ("ET_COMBINED", "any bank"): [_deal(d.transfer(), _joint_release, d.new_mortgage())],
    ("ET_SEGMENTED", "any bank"): [_deal(d.transfer(), d.new_mortgage()), _deal(_release)],
    ("ET_CHANGE", "same bank"): [_deal(d.transfer(), m.change_old)],
    ("ET_CHANGE", "two banks"): [_deal(d.transfer(), _two_banks, lambda play: m.change_old(play, B))],
    ("ET_THREE_IN_ONE", "any bank"): [
        _deal(d.transfer(), m.change_old, d.new_mortgage()),
        _deal(_release),
    ],
    ("ET_DOUBLE_PRE_NOTICE", "release last"): [
        _deal(*NOTICES, **CONTRACT),
        _deal(m.convert_sale, m.convert_mortgage),
        _deal(_release),
    ],
    ("ET_DOUBLE_PRE_NOTICE", "release with conversion"): [
        _deal(*NOTICES, **CONTRACT),
        _deal(_joint_release, m.convert_sale, m.convert_mortgage),
    ],
    ("PN_SALE_THEN_CONVERT", "Taizhou"): [
        _deal(NOTICES[0], **CONTRACT),
        _deal(m.convert_sale, d.new_mortgage()),
    ],
    ("ET_CASH_PRE_NOTICE", "Hohhot"): [
        _deal(d.sale_notice(applicants=(S, Y, A)), **CONTRACT),
        _deal(_release),
        _deal(m.convert_sale),
    ],
    ("NB_PRESALE_CASH", "Guangzhou"): [_deal(FREED, PRESOLD, **CONTRACT), _deal(_from_developer)],
    ("NB_PRESALE_LOAN", "Guangzhou, same or different bank"): [
        _deal(FREED, PRESOLD, d.mortgage_notice(kind=PreNoticeKind.PRESALE_MORTGAGE), **CONTRACT),
        _deal(_from_developer, m.convert_mortgage),
    ],
}

#: Modes whose sale is not of a mortgaged unit of record: no payoff statement goes with them.
PLAIN = {"PN_SALE_THEN_CONVERT", "NB_PRESALE_CASH", "NB_PRESALE_LOAN"}


def _mode(row: dict[str, str]) -> str:
    released = row["variant"] == "release with conversion"
    return "ET_DOUBLE_PRE_NOTICE_RELEASE_WITH_CONVERSION" if released else row["mode"]


class _Played:
    """A mode played up to before one of its phases, and that phase's manifest."""

    def __init__(self, row: dict[str, str]) -> None:
        self.mode, self.phase = _mode(row), int(row["phase"])
        self.phases = PHASES[row["mode"], row["variant"]]
        self.play = _start(row["mode"])
        for number in range(1, self.phase):
            self.play.book(self.manifest(number), bound=(A, B, DEVELOPER))
        if row["mode"].startswith("NB_") and self.phase == 2:
            _first_registered(self.play)

    def manifest(self, number: int, **changes: Any) -> Manifest:
        """The manifest of a phase, taxes cleared."""
        steps, terms = self.phases[number - 1](self.play)
        terms = {**terms, **TAXED, **changes}
        if self.mode in PLAIN or (
            number > 1 and not any(operation_name(s) == "MORTGAGE_RELEASE" for s in steps)
        ):
            terms["payoff_statements"] = ()
        if len(steps) == 1 and operation_name(steps[0]) == "MORTGAGE_RELEASE":
            terms["payoff_statements"] = ()
        case = next(iter(self.play.rows), "")
        alone = self.mode in ("ET_CASH_PRE_NOTICE", "NB_PRESALE_CASH")
        bank = A if alone or operation_name(steps[0]).endswith("RELEASE") else B
        bank = A if self.mode == "ET_CHANGE" and len(steps) == 2 else bank
        return self.play.manifest(
            *steps, mode=self.mode, phase=number, case=case if number > 1 else "", applicant=bank, **terms
        )

    def file(self, **how: Any) -> Decision:
        """The phase, filed and approved."""
        changes = how.pop("terms", {})
        return self.play.file(self.manifest(self.phase, **changes), bound=(A, B, DEVELOPER), **how)


def _start(mode: str) -> Play:
    if not mode.startswith("NB_"):
        return m.played() if mode != "PN_SALE_THEN_CONVERT" else Play(m.world(c.unit_state()))
    other = c.UNIT[:-1] + "2"
    building = replace(b.BUILDING, units=(c.UNIT, other))
    unbuilt = [
        UnitState(unit=replace(c.unit_state(first_registered=False).unit, unit_code=code), rights=(building,))
        for code in (c.UNIT, other)
    ]
    return Play(m.world(*unbuilt))


def _first_registered(play: Play) -> None:
    owned = c.unit_state(owners=(DEVELOPER,))
    noted = tuple(r for r in play.state().rights if isinstance(r, PreNotice))
    done = UnitState(unit=owned.unit, rights=(*owned.rights, *noted))
    play.world = replace(play.world, units={**play.world.units, c.UNIT: done})


def _name(row: dict[str, str]) -> str:
    return f"{_mode(row)}-{row['variant'].partition(',')[0]}-{row['phase']}.{row['step']}"


def test_every_mode_and_variant_is_played() -> None:
    """No mode of the table is left out."""
    assert {(row["mode"], row["variant"]) for row in ROWS} == set(PHASES)


@pytest.mark.parametrize("row", ROWS, ids=_name)
def test_row_is_what_is_booked(row: dict[str, str]) -> None:
    """The step stands where the row says; ranks and certificates after the phase are the row's."""
    played = _Played(row)
    manifest = played.manifest(played.phase)
    assert operation_name(manifest.terms.operations[int(row["step"]) - 1]) == row["operation"]
    decision = played.file()
    assert decision.outcome.state is State.BOOKED, decision.outcome.findings
    played.play.fold(decision)
    says = row["certificates_after_phase"]
    kinds = [
        x.kind.value for x in decision.contents if c.UNIT in x.unit_codes
    ]  # the rest of a site is re-proved too
    assert kinds.count("TITLE") == _count(says, "title"), says
    assert kinds.count("PROOF") == _count(says, "proof"), says
    wanted = dict(re.findall(r"\b(old|new)=(\d)", row["rank_after_phase"]))
    names = {A.name: "old", B.name: "new"}
    now = {names[who]: rank for who, _, rank in played.play.mortgages()}
    if wanted:
        assert now == {who: int(rank) for who, rank in wanted.items()}
    elif "keeps 1" in row["rank_after_phase"]:
        assert list(now.values()) == [1]
    elif "no mortgage" in row["rank_after_phase"]:
        assert not now
    assert ("title" in says) == isinstance(played.play.state().ownership, Ownership) or kinds.count(
        "TITLE"
    ) == 0


def _count(says: str, what: str) -> int:
    issued = says.split(";", maxsplit=1)[0]
    found = re.search(rf"(\d) {what}s?\b", issued)
    return int(found.group(1)) if found else 0


@pytest.mark.parametrize("row", ROWS, ids=_name)
def test_row_waits_at_its_gates_and_at_no_other(row: dict[str, str]) -> None:
    """TAX on a step holds the whole phase until cleared; a phase with none books without (DT 11; PIT 15)."""
    played = _Played(row)
    phase = [r for r in ROWS if _mode(r) == _mode(row) and r["variant"] == row["variant"]]
    gates = " ".join(r["gate"] for r in phase if r["phase"] == row["phase"])
    untaxed = played.file(terms={"tax_clearances": ()})
    assert (untaxed.outcome.state is State.AWAITING_TAX) == ("TAX" in gates), untaxed.outcome
    assert untaxed.outcome.state in (State.AWAITING_TAX, State.BOOKED)
    if "PAYOFF" in row["gate"]:
        steps = played.manifest(played.phase).terms.operations
        open_ = tuple(
            replace(s, ground=ReleaseGround.UNDERTAKING, settled_on=None)
            if operation_name(s) == "MORTGAGE_RELEASE"
            else s
            for s in steps
        )
        manifest = played.manifest(played.phase)
        manifest = replace(manifest, terms=replace(manifest.terms, operations=open_))
        assert played.play.file(manifest, bound=(A, B)).outcome.state is State.AWAITING_PAYOFF


#: How the table names who takes part.
ROLES: dict[str, Sequence[Party]] = {
    "seller": (S,),
    "buyer": (Y,),
    "old mortgagee": (A,),
    "new mortgagee": (B,),
    "developer": (DEVELOPER,),
    "construction bank": (A,),
    "lending bank": (B,),
    "the bank": (A,),
}


@pytest.mark.parametrize("row", ROWS, ids=_name)
def test_row_is_not_accepted_without_anyone_who_takes_part(row: dict[str, str]) -> None:
    """Whoever the row names applies, agrees or consents: without that signature the phase is not accepted."""
    played = _Played(row)
    manifest = played.manifest(played.phase)
    for role, parties in ROLES.items():
        if not re.search(rf"\b{role}\b", row["applicants"]) or _by_the_restriction(row, role):
            continue
        for party in parties:
            there = [p for p in (A, B, DEVELOPER) if p != party]
            papers = complete(played.play.world, manifest, bound=there)
            stripped = {code: _without(paper, party) for code, paper in papers.items()}
            decision = played.play.file(manifest, bound=(), papers=stripped)
            assert decision.outcome.result in (Result.NOT_ACCEPTED, Result.AWAITING_PARTIES), (role, decision)


def _by_the_restriction(row: dict[str, str], role: str) -> bool:
    """The old mortgagee takes part in the step as far as the restriction wants: test_every_block.py."""
    return role == "old mortgagee" and ("restriction" in row["applicants"] or "consents" in row["applicants"])


def _without(paper: Paper, party: Party) -> Paper:
    return replace(paper, signatures=tuple(s for s in paper.signatures if s.number != party.id_number))
