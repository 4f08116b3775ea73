"""A decided case before its gates: who may say what opens them, and what stands in the way of booking. Pure.

What a gate asks is law (gateway/kinds/gating.py). A case is decided by a registrar's approval or by the rule set, and
either way `booking.book_or_wait` books it or leaves it in AWAITING_TAX or AWAITING_PAYOFF. It is looked at again
whenever something came that may open a gate: a ConsentAct on the payoff, once `check_statement` let it pass and the row
holds it (party.py), or tax clearances and papers of a supplement (supplement.py); both go through
`later.through_gates`, which asks `in_the_way` first and then `book_or_wait` in the name of the officer who decided.
"""

from __future__ import annotations

from msgspec.structs import replace

from gateway.applications.submit import examine
from gateway.cases.errors import NotPermitted
from gateway.cases.model import ConsentKind, State, World
from gateway.kinds.gating import may_state
from gateway.kinds.law import Case
from gateway.register.findings import Finding, Severity

#: States of a case that was decided and waits at a gate.
AT_A_GATE = frozenset({State.AWAITING_TAX, State.AWAITING_PAYOFF})

#: Statements on the payoff of an old loan; the other consents open no gate.
PAYOFF_STATEMENTS = frozenset(
    {
        ConsentKind.PAYOFF_CONFIRMED,
        ConsentKind.PAYOFF_UNDERTAKING,
        ConsentKind.PAYOFF_UNDERTAKING_ACCEPTED,
    }
)


def check_statement(case: Case, institution: str, kind: ConsentKind) -> None:
    """The old mortgagee confirms or accepts, the new one undertakes; raises NotPermitted for anybody else."""
    if kind in PAYOFF_STATEMENTS and not may_state(institution, kind, case):
        raise NotPermitted(
            f"{kind.value} 只能由{'新' if kind is ConsentKind.PAYOFF_UNDERTAKING else '原'}抵押权人作出",
            f"{kind.value} is the {'new' if kind is ConsentKind.PAYOFF_UNDERTAKING else 'old'} mortgagee's to state",
            institution=institution,
        )


def in_the_way(world: World, case: Case) -> tuple[Finding, ...]:
    """What bars or delays the booking now; N- codes of a submission become the R- codes of a decision."""
    findings, _ = examine(world, case)
    stopping = (Severity.BLOCKS, Severity.AWAITS, Severity.WAITS)
    return tuple(
        replace(f, code=f.rule or f.code) if f.severity is Severity.BLOCKS else f
        for f in findings
        if f.severity in stopping
    )
