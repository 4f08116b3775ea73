"""A decision: the answer, what it changes, and the certificates it fixes. Values only."""

from __future__ import annotations

from gateway.cases.effects import AnyEffect
from gateway.cases.model import Outcome
from gateway.certificates.content import CertificateContent
from gateway.register.model import Value


class Decision(Value, frozen=True, kw_only=True):
    """What one command comes to. `kind` is the entry's kind; `contents[i]` is the part `certificate/i+1`.

    `extract` is the part `extract/1`: what a sealed extract of the register says. `erases`: applications whose
    evidence keys the entry destroys.
    """

    kind: str
    outcome: Outcome
    effects: tuple[AnyEffect, ...]
    contents: tuple[CertificateContent, ...] = ()
    extract: bytes = b""
    erases: tuple[str, ...] = ()
