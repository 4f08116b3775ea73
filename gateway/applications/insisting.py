"""An applicant who insists on a decision in writing (IR 22; handbook 3.6, *N- or R-*). Pure.

Missing papers, signatures and jurisdiction are what an application is not accepted for (IR 17). A bar in substance,
such as a live seizure, is another matter: it is told at once, and who insists is accepted and refused in writing, so
that the refusal can be challenged. Nothing is booked over the bar: an approval looks at it again (review.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from gateway.cases.model import World
from gateway.kinds.law import Case
from gateway.register.findings import Finding, Severity


def insisted(world: World, case: Case, findings: Sequence[Finding]) -> list[Finding]:
    """The findings as they stand for this applicant: the bars a person's to refuse where it insists on nothing else."""
    stopping = [f for f in findings if f.severity is Severity.BLOCKS]
    manifest = case.manifest
    known = all(code in world.units for code in manifest.terms.unit_codes)
    if not manifest.insist or not known or not all(_is_bar(f) for f in stopping):
        return list(findings)
    return [replace(f, code=f.rule, severity=Severity.REFERS) if f in stopping else f for f in findings]


def _is_bar(found: Finding) -> bool:
    """A bar in substance: something of the register or the deal for which the R- code would be a refusal."""
    return found.code == "N-BARRED" and found.rule.startswith("R-")
