"""Nobody decides a case of their own 回避: where the profile says so, a registrar who is a party keeps away. Pure.

A registrar is known by the identity number in the certificate that signed the act, never by name.
"""

from __future__ import annotations

from collections.abc import Collection

from gateway.cases.errors import CommandRefused
from gateway.cases.model import Application, Manifest, World
from gateway.register.authority import Registrar
from gateway.register.model import Ownership


class OwnCaseForbidden(CommandRefused):
    """The registrar is a party to the case, or would book what they reviewed (handbook 1.4)."""

    reason = "OWN_CASE_FORBIDDEN"


def check_not_own(
    world: World,
    registrar: Registrar,
    row: Application,
    manifest: Manifest,
    numbers: Collection[str],
    *,
    books: bool,
) -> None:
    """Raises OwnCaseForbidden. `numbers` are the identity numbers that signed the act."""
    if not world.profile.own_case_forbidden:
        return
    if set(numbers) & people_of(world, manifest):
        raise OwnCaseForbidden(
            "您是本案当事人，应当回避；请由其他登记员办理",
            "you are a party to this case and keep away from it: another registrar goes on",
        )
    if books and row.reviewed_by == registrar.registrar_id:
        raise OwnCaseForbidden(
            "本案由您审核，不得由您登簿；请由其他登记员登簿",
            "you have reviewed this case: another registrar books it",
        )


def people_of(world: World, manifest: Manifest) -> frozenset[str]:
    """Identity numbers of every natural person of the case: in the terms in any role, and owners of record."""
    parties = list(manifest.terms.everybody)
    for state in world.units.values():
        for right in state.rights:
            if isinstance(right, Ownership):
                parties += [owner.person for owner in right.owners]
    return frozenset(p.id_number for p in parties if not p.is_institution)
