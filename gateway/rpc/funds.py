"""The funds plan of a case, read off its evidence, and where its legs stand."""

from __future__ import annotations

from gateway.cases.errors import ApplicationNotFound
from gateway.cases.model import Application
from gateway.cases.terms import FundsPlan
from gateway.kinds.funds_due import LegStanding, standings
from gateway.rpc.acts import filed_of
from gateway.storage.queries import Queries


async def plan_of(queries: Queries, row: Application) -> FundsPlan | None:
    """The funds plan of an application; None without one, or when its evidence was erased."""
    if not row.funds:
        return None
    try:
        filed = await filed_of(queries, row)
    except ApplicationNotFound:
        return None
    return filed.manifest.terms.funds_plan


async def legs_of(queries: Queries, row: Application) -> tuple[LegStanding, ...]:
    """Where each leg of an application's plan stands now."""
    plan = await plan_of(queries, row)
    if plan is None:
        return ()
    phases, sealed_at = await queries.case_phases(row)
    return standings(plan, row, phases, sealed_at)
