"""Which certificates issue, become void or are superseded in each phase of each mode, held against modes.csv.

Every mode is played from its first phase to its last; what its phases say of certificates is gathered from the effects.
The table of the cities counts what issues for the unit that is sold and names what is cancelled. Beyond it three things
are law: a sale voids the seller's title; a mortgage that goes on as another row has its old proof superseded, not
cancelled (RD 20); and a building's mortgage that lets one flat go is proven anew for the rest (RD 70).
"""

from __future__ import annotations

import csv
import datetime as dt
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.cases.effects import CertificateEnded, CertificateNumbered, RightBooked
from gateway.cases.terms import ChangeItem, MortgageTransfer, ReleaseGround, TransferGround
from gateway.kinds.modes import MODES
from gateway.register.model import (
    CertificateRef,
    Mortgage,
    Ownership,
    PreNotice,
    PreNoticeKind,
    UnitState,
    certificate_numbers,
)
from tests.support import cases as c
from tests.support import deals as d
from tests.support.play import Play
from tests.unit.kinds.test_modes import (
    DEAL,
    DEVELOPER,
    change_old,
    convert_mortgage,
    convert_sale,
    release_old,
    world,
)

S, Y, A, B, FUND = d.SELLER, d.BUYER, d.A, d.B, d.FUND
SETTLED = d.release(ground=ReleaseGround.CLAIM_SETTLED, settled_on=dt.date(2026, 11, 20))
RELEASE_WITH_CONVERSION = "ET_DOUBLE_PRE_NOTICE_RELEASE_WITH_CONVERSION"

#: Issued, cancelled and superseded certificates of a phase, by what they show.
Phase = tuple[list[str], list[str], list[str]]


class Watched(Play):
    """A play that knows what every certificate shows, those that the register had before included."""

    def __init__(self, *states: UnitState) -> None:
        super().__init__(world(*states))
        self.phases: list[Phase] = []
        self.shows: dict[str, str] = {}
        self.ended: set[str] = set()
        numbers = {}
        for state in states:
            for right in state.rights:
                for number in certificate_numbers([right]):
                    numbers[number] = f"id of {number}"
                    self.shows[numbers[number]] = "old " + shown(right)
        self.world = replace(self.world, certificates_by_number=numbers)

    def phase(self, *steps: Any, mode: str, bound: tuple[Any, ...] = (), **how: Any) -> None:
        """Book the next phase of the one case, and note what became of certificates."""
        [case, *_] = [*self.rows, ""]
        number = len(self.phases) + 1
        manifest = self.manifest(
            *steps, mode=mode, phase=number, case=case if number > 1 else "", **{**DEAL, **how}
        )
        decision = self.book(manifest, bound=bound)
        rights = {e.right.right_id: e.right for e in decision.effects if isinstance(e, RightBooked)}
        issued = [e for e in decision.effects if isinstance(e, CertificateNumbered)]
        ended = [e for e in decision.effects if isinstance(e, CertificateEnded)]
        self.shows |= {e.identifier: shown(rights[e.right_id]) for e in issued}
        self.ended |= {e.identifier for e in ended}
        self.phases.append(
            (
                sorted(self.shows[e.identifier] for e in issued),
                sorted(self.shows[e.identifier] for e in ended if e.state == "CANCELLED"),
                sorted(self.shows[e.identifier] for e in ended if e.state == "SUPERSEDED"),
            )
        )

    @property
    def live(self) -> set[str]:
        """Certificates that nothing ended."""
        return self.shows.keys() - self.ended

    @property
    def proven(self) -> set[str]:
        """Certificates of the rights that live."""
        numbers = {n for state in self.world.units.values() for n in certificate_numbers(state.rights)}
        return {self.world.certificates_by_number[number] for number in numbers}


def shown(right: Any) -> str:
    """What a certificate of this right shows."""
    match right:
        case Ownership():
            return "title"
        case Mortgage():
            rest = "" if c.UNIT in right.units else " on the rest"
            return f"proof of {right.mortgagees[0].name}{rest}"
        case PreNotice():
            sale = right.kind in (PreNoticeKind.OTHER_SALE, PreNoticeKind.PRESALE_SALE)
            return f"notice of {'sale' if sale else 'mortgage'}"
        case _:
            raise AssertionError(right)


def flat(*rights: Any) -> Watched:
    """A flat of S with A's mortgage, or with the rights given."""
    return Watched(c.unit_state(*(rights or (c.mortgage_row(),))))


# -- the modes -----------------------------------------------------------------------------------------------------


def combined() -> Watched:
    play = flat()
    play.phase(d.transfer(), SETTLED, d.new_mortgage(), mode="ET_COMBINED", bound=(A,))
    return play


def segmented() -> Watched:
    play = flat()
    play.phase(d.transfer(), d.new_mortgage(), mode="ET_SEGMENTED")
    play.phase(release_old(play), mode="ET_SEGMENTED", applicant=A)
    return play


def changed_at_one_bank() -> Watched:
    play = flat()
    more = change_old(play, items=(ChangeItem.AMOUNT,), claim_amount_fen=d.CLAIM_FEN)
    play.phase(d.transfer(), more, mode="ET_CHANGE", applicant=A)
    return play


def changed_between_two_banks() -> Watched:
    play = flat()
    move = MortgageTransfer(
        units=(c.UNIT,),
        proof=CertificateRef(number=c.PROOF),
        assignors=(A,),
        assignees=(B,),
        ground=TransferGround.CLAIM_ASSIGNMENT,
        debtor_told_on=dt.date(2026, 11, 19),
        applicants=(A, B),
    )
    play.phase(d.transfer(), move, change_old(play, B), mode="ET_CHANGE", bound=(A,))
    return play


def three_in_one() -> Watched:
    play = flat()
    play.phase(d.transfer(), change_old(play), d.new_mortgage(), mode="ET_THREE_IN_ONE", bound=(A,))
    play.phase(release_old(play), mode="ET_THREE_IN_ONE", applicant=A)
    return play


def double_pre_notice() -> Watched:
    play, mode = flat(), "ET_DOUBLE_PRE_NOTICE"
    play.phase(d.sale_notice(), d.mortgage_notice(), mode=mode, sale_contracts=(d.contract(),))
    play.phase(convert_sale(play), convert_mortgage(play), mode=mode)
    play.phase(release_old(play), mode=mode, applicant=A)
    return play


def released_with_conversion() -> Watched:
    play, mode = flat(), RELEASE_WITH_CONVERSION
    play.phase(d.sale_notice(), d.mortgage_notice(), mode=mode, sale_contracts=(d.contract(),))
    play.phase(SETTLED, convert_sale(play), convert_mortgage(play), mode=mode, bound=(A,))
    return play


def taizhou() -> Watched:
    play, mode = Watched(c.unit_state()), "PN_SALE_THEN_CONVERT"
    play.phase(d.sale_notice(), mode=mode, sale_contracts=(d.contract(),), payoff_statements=())
    fund = d.new_mortgage(mortgagees=(FUND,), claim_amount_fen=50_000_000, applicants=(Y, FUND))
    steps = (convert_sale(play), d.new_mortgage(claim_amount_fen=30_000_000), fund)
    play.phase(*steps, mode=mode, bound=(FUND,), payoff_statements=())
    return play


def cash() -> Watched:
    play, mode = flat(), "ET_CASH_PRE_NOTICE"
    noted = d.sale_notice(applicants=(S, Y, A))
    play.phase(noted, mode=mode, applicant=A, sale_contracts=(d.contract(),))
    play.phase(release_old(play), mode=mode, applicant=A)
    play.phase(convert_sale(play), mode=mode, applicant=A)
    return play


def presale(mode: str, *, loan: bool) -> Watched:
    other = c.UNIT[:-1] + "2"
    building = replace(
        c.mortgage_row(),
        units=(c.UNIT, other),
        mortgagors=(DEVELOPER,),
        debtors=(DEVELOPER,),
        collateral_kind="LAND_AND_CONSTRUCTION",
    )
    unbuilt = c.unit_state(first_registered=False).unit
    play = Watched(
        *(UnitState(unit=replace(unbuilt, unit_code=u), rights=(building,)) for u in (c.UNIT, other))
    )
    release = d.release(
        ground=ReleaseGround.AGREEMENT, partial=True, construction=True, applicants=(A, DEVELOPER)
    )
    sale = d.sale_notice(
        kind=PreNoticeKind.PRESALE_SALE, obligors=(DEVELOPER,), titles=(), applicants=(DEVELOPER, Y)
    )
    notices = [sale, d.mortgage_notice(kind=PreNoticeKind.PRESALE_MORTGAGE)] if loan else [sale]
    lender = {} if loan else {"applicant": A}
    contracts = {"sale_contracts": (d.contract(),), "payoff_statements": ()}
    play.phase(release, *notices, mode=mode, bound=(A,), **contracts, **lender)
    first_registered(play)
    bought = convert_sale(
        play, transfer=d.transfer(sellers=(DEVELOPER,), applicants=()), applicants=(DEVELOPER, Y)
    )
    steps = [bought, convert_mortgage(play)] if loan else [bought]
    taxes = (*d.TAXES, d.cleared(d.TaxKind.LAND_VAT))
    play.phase(*steps, mode=mode, tax_clearances=taxes, payoff_statements=(), **lender)
    return play


def first_registered(play: Watched) -> None:
    """The building is finished: the authority books the developer's title, which is no phase of the mode."""
    owned = c.unit_state(owners=(DEVELOPER,))
    noted = tuple(r for r in play.state().rights if isinstance(r, PreNotice))
    done = UnitState(unit=owned.unit, rights=(*owned.rights, *noted))
    play.shows["id of the first title"] = "old title"
    numbers = {**play.world.certificates_by_number, c.TITLE: "id of the first title"}
    units = {**play.world.units, c.UNIT: done}
    play.world = replace(play.world, units=units, certificates_by_number=numbers)


PLAYS: dict[tuple[str, str], Callable[[], Watched]] = {
    ("ET_COMBINED", "any bank"): combined,
    ("ET_SEGMENTED", "any bank"): segmented,
    ("ET_CHANGE", "same bank"): changed_at_one_bank,
    ("ET_CHANGE", "two banks"): changed_between_two_banks,
    ("ET_THREE_IN_ONE", "any bank"): three_in_one,
    ("ET_DOUBLE_PRE_NOTICE", "release last"): double_pre_notice,
    ("ET_DOUBLE_PRE_NOTICE", "release with conversion"): released_with_conversion,
    ("PN_SALE_THEN_CONVERT", "Taizhou"): taizhou,
    ("ET_CASH_PRE_NOTICE", "Hohhot"): cash,
    ("NB_PRESALE_CASH", "Guangzhou"): lambda: presale("NB_PRESALE_CASH", loan=False),
    ("NB_PRESALE_LOAN", "Guangzhou, same or different bank"): lambda: presale("NB_PRESALE_LOAN", loan=True),
}


@cache
def played(key: tuple[str, str]) -> Watched:
    """A mode's play, once for all tests."""
    return PLAYS[key]()


# -- the table -----------------------------------------------------------------------------------------------------


def table() -> Iterator[tuple[str, str, int, str, list[str]]]:
    """Mode, variant, phase, what the table says of certificates, operations of the phase."""
    found: dict[tuple[str, str, int, str], list[str]] = {}
    with (Path(__file__).parents[2] / "vectors/domain/modes.csv").open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            key = (row["mode"], row["variant"], int(row["phase"]), row["certificates_after_phase"])
            found.setdefault(key, []).append(f"{row['operation']} {row['target']}")
    for (mode, variant, phase, said), operations in found.items():
        yield mode, variant, phase, said, operations


TABLE = list(table())
PHASES = [pytest.param(*row, id=f"{row[0]}-{row[1]}-{row[2]}") for row in TABLE]


def counted(said: str, what: str) -> int:
    """`2 proofs` → 2; what is said after a semicolon is not issued."""
    found = re.search(rf"(\d+) {what}", said.partition(";")[0])
    return int(found[1]) if found else 0


def test_every_row_of_the_table_is_played_and_nothing_else() -> None:
    """A mode or a variant that comes to the table without a play fails here."""
    assert {(mode, variant) for mode, variant, *_ in TABLE} == PLAYS.keys()
    assert {m for m, _ in PLAYS} | {RELEASE_WITH_CONVERSION} == set(MODES)
    for key in PLAYS:
        assert len(played(key).phases) == max(phase for m, v, phase, *_ in TABLE if (m, v) == key)


@pytest.mark.parametrize(("mode", "variant", "phase", "said", "operations"), PHASES)
def test_certificates_of_a_phase_are_those_of_the_table(
    mode: str, variant: str, phase: int, said: str, operations: list[str]
) -> None:
    """What issues is counted; what is cancelled is named; what stays live is not touched."""
    issued, cancelled, superseded = played((mode, variant)).phases[phase - 1]
    rest = [c for c in issued if c.endswith(" on the rest")]
    assert len(rest) == sum(operation.startswith("CONSTRUCTION_MORTGAGE_RELEASE") for operation in operations)
    issued = [c for c in issued if c not in rest]
    lenders = 2 if "per mortgagee" in said else 1
    assert issued.count("title") == counted(said, "title")
    assert len(issued) - issued.count("title") == counted(said, "proof") * lenders
    noted = [c for c in issued if c.startswith("notice")]
    assert bool(noted) == ("(pre-notice" in said)
    old = [c for c in cancelled if c == "old " + f"proof of {A.name}" or c == f"proof of {A.name}"]
    notices = [c for c in cancelled if c.startswith("notice")]
    ended = said if "cancelled" in said else ""
    assert len(old) == (1 if re.search(r"\bold (proof|and)", ended) else 0)
    assert len(notices) == (2 if "both pre-notice" in ended else 1 if "pre-notice proof" in ended else 0)
    sells = any("OWNERSHIP_TRANSFER" in operation for operation in operations)
    assert [c for c in cancelled if c not in old + notices] == (["old title"] if sells else [])
    goes_on = {
        "MORTGAGE_CHANGE": f"old proof of {A.name}",
        "MORTGAGE_TRANSFER": f"old proof of {A.name}",
        "CONSTRUCTION_MORTGAGE_RELEASE": f"old proof of {A.name}",
    }
    expected = {goes_on[name] for op in operations if (name := op.partition(" ")[0]) in goes_on}
    assert set(superseded) == expected


@pytest.mark.parametrize("key", PLAYS, ids=lambda key: "-".join(key))
def test_no_certificate_lives_without_its_right(key: tuple[str, str]) -> None:
    """At the end of a mode, what is neither void nor superseded shows exactly the rights that live."""
    play = played(key)
    assert play.live == play.proven
