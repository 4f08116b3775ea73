"""Who signs the forms: everyone who applies and is not an institution that signs the envelope."""

from __future__ import annotations

from gateway.cases.terms import Terms
from gateway.register.model import Party

#: Sides of an operation that apply in person; mortgagees apply through their signed envelope.
_IN_PERSON = ("mortgagors",)


def signers_of(terms: Terms) -> tuple[Party, ...]:
    """The persons, natural or legal, who sign the application form and a record of questions, once each."""
    people = [p for op in terms.operations for side in _IN_PERSON for p in getattr(op, side, ())]
    return tuple({p.key: p for p in people}.values())
