"""What several operations of the terms have in common on the wire: parties, units, titles, shares, portions.

Syntax only, as in gateway/rpc/decode.py: each reader notes what is wrong and reads on.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Final

from gateway.pb.diya.v1 import codes_pb2, common_pb2, operations_pb2
from gateway.register import model as m
from gateway.register.identifiers import normalise_unit_code
from gateway.rpc import decode_fields as read
from gateway.rpc.violations import Violations

TEXT_CHARACTERS_MAX: Final = 4000

#: What a date is while a violation is already noted for it.
NO_DAY: Final = dt.date(2000, 1, 1)


class OperationParts:
    """Readers of one operation; `path` is its place in the terms, `units` maps unit codes to titles cited for them,
    `applicants` are the ids of those who apply for it.
    """

    def __init__(
        self,
        path: str,
        units: dict[str, tuple[m.CertificateRef, ...]],
        parties: read.Parties,
        wrong: Violations,
        applicants: Sequence[str] = (),
    ) -> None:
        self.path = path
        self.wrong = wrong
        self.applicants = applicants
        self._units = units
        self._parties = parties

    def required(self, value: object, path: str) -> None:
        """Note a field that must be there and is not."""
        read.required(value, path, self.wrong)

    def text(self, value: str, path: str, *, needed: bool = True) -> str:
        """A text of bounded length, without white space around it."""
        text = value.strip()
        if needed:
            self.required(text, path)
        if len(text) > TEXT_CHARACTERS_MAX:
            self.wrong.add(
                path,
                f"不得超过 {TEXT_CHARACTERS_MAX} 字",
                f"must not exceed {TEXT_CHARACTERS_MAX} characters",
            )
        return text

    def choice(self, enum: Any, number: int, prefix: str, path: str, default: str) -> str:
        """The name of an enum value that must be set."""
        name = read.enum_name(enum, number, prefix)
        self.required(name, path)
        return name or default

    def named(self, ids: Sequence[str], path: str, *, needed: bool = True) -> tuple[m.Party, ...]:
        """Parties of the terms by their ids."""
        return read.named(ids, self._parties, path, self.wrong, needed=needed)

    def unit_codes(self, codes: Sequence[str], path: str) -> tuple[str, ...]:
        """Unit codes of the terms; none named means every unit of the terms."""
        if not codes:
            return tuple(self._units)
        found = []
        for number, text in enumerate(codes):
            where = f"{path}[{number}]"
            with self.wrong.at(where, "UNIT_CODE_MALFORMED"):
                code = normalise_unit_code(text)
                if code not in self._units:
                    self.wrong.add(where, "不在 terms.units 中", "is not among terms.units")
                found.append(code)
        return tuple(dict.fromkeys(found))

    def titles(self, units: Sequence[str]) -> tuple[m.CertificateRef, ...]:
        """The titles that the terms cite for these units."""
        return tuple(t for code in units for t in self._units.get(code, ()))

    def proof(self, wire: common_pb2.RightReference, path: str) -> m.CertificateRef:
        """The certificate by which an existing right is named."""
        return read.certificate(wire.certificate, path + ".certificate", self.wrong)

    def co_ownership(self, number: int, path: str) -> m.CoOwnership:
        """How several hold."""
        return m.CoOwnership(self.choice(codes_pb2.CoOwnership, number, "CO_OWNERSHIP_", path, "SOLE"))

    def owners(
        self, wires: Sequence[operations_pb2.OwnerShare], held: m.CoOwnership, path: str
    ) -> tuple[m.Owner, ...]:
        """Who is to hold, with shares that make a whole where they hold by shares (CC 298)."""
        owners: list[m.Owner] = []
        total = Fraction()
        for number, wire in enumerate(wires):
            person = read.party(wire.party, self._parties, f"{path}[{number}].party", self.wrong)
            share: m.Share | None = None
            if wire.HasField("share"):
                above, below = wire.share.numerator, wire.share.denominator
                if 0 < above <= below:
                    share, total = m.Share(numerator=above, denominator=below), total + Fraction(above, below)
                else:
                    self.wrong.add(f"{path}[{number}].share", "必须大于零且不大于一", "must lie in (0, 1]")
            if person is not None:
                owners.append(m.Owner(person=person, share=share))
        by_shares = held is m.CoOwnership.BY_SHARES
        if by_shares and total != 1:
            self.wrong.add(path, "按份共有的份额之和必须为一", "shares must add up to one")
        if not by_shares and total:
            self.wrong.add(path, "只有按份共有才填份额", "shares belong to ownership by shares only")
        if (held is m.CoOwnership.SOLE) != (len(wires) == 1) and wires:
            self.wrong.add(
                path, "单独所有须且只须一人", "sole ownership has exactly one owner, co-ownership several"
            )
        return tuple(owners)
