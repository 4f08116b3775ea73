"""What the parties state in the terms beside the operations: who they are, by whom an institution acts, where a unit
lies, and what each of them declares.
"""

from __future__ import annotations

import datetime as dt
from enum import StrEnum

from gateway.register.model import Party, Value


class StatedParty(Value, frozen=True, kw_only=True):
    """A party under its id in the terms; `acting_institution` is the branch (USCC) that acts for an institution,
    `has_capacity_stated` whether the terms say of a natural person what they may do.
    """

    id: str
    person: Party
    acting_institution: str = ""
    has_capacity_stated: bool = True


class StatedUnit(Value, frozen=True, kw_only=True):
    """A unit as the terms name it. No `location` means that the parties leave it to the register."""

    unit_code: str
    location: str = ""


class DeclarationKind(StrEnum):
    """What a party may declare 声明事项."""

    DISSENT_RISK = "DISSENT_RISK"  # RD 84; with the paper RISK_STATEMENT
    WARD_BENEFIT = "WARD_BENEFIT"  # CC 35; RD 11; with the paper GUARDIAN
    MORTGAGEE_TOLD = "MORTGAGEE_TOLD"  # CC 406
    SECURITY_GIVEN_UP = "SECURITY_GIVEN_UP"  # CC 391
    HABITATION_KNOWN = "HABITATION_KNOWN"  # CC 366-370


class Declaration(Value, frozen=True, kw_only=True):
    """A declaration of one party 当事人声明; it binds that party together with the terms."""

    party: Party
    kind: DeclarationKind
    text: str = ""
    declared_on: dt.date | None = None
