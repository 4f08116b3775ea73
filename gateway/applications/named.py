"""The applications that a submission's header names: the case it belongs to, and the one that it replaces. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.cases.errors import ApplicationNotFound, StateNotAllowed
from gateway.cases.model import Application, Header, State, World
from gateway.register.authority import Institution

#: What a new application may replace: one that ended unbooked.
SUPERSEDABLE: Final = (State.NOT_ACCEPTED, State.EXPIRED, State.WITHDRAWN, State.REFUSED)


def check_named(world: World, header: Header) -> None:
    """Each is an application of this registry that the channel may see; what is replaced has ended unbooked.

    Raises ApplicationNotFound or StateNotAllowed.
    """
    _found(world, header, header.case, "header.case")
    replaced = _found(world, header, header.supersedes, "header.supersedes")
    if replaced is not None and replaced.state not in SUPERSEDABLE:
        allowed = tuple(state.value for state in SUPERSEDABLE)
        raise StateNotAllowed("supersedes", replaced.state.value, allowed)


def is_of_case(institutions: Mapping[str, Institution], uscc: str, row: Application) -> bool:
    """Whether an institution is of the case, under a present or former code, itself or for a branch (handbook 1.3)."""
    own = institutions.get(uscc)
    for code in (uscc, *(own.files_for if own else ())):
        known = institutions.get(code)
        if code in row.institutions or (known and set(known.uscc_aliases) & set(row.institutions)):
            return True
    return False


def _found(world: World, header: Header, name: str, field: str) -> Application | None:
    if not name:
        return None
    row = world.named.get(name)
    if row is None or not is_of_case(world.institutions, header.channel_institution, row):
        raise ApplicationNotFound(name, field)
    return row
