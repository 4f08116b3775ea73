"""Field violations, gathered: a malformed request is refused once, with everything that is wrong in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from gateway.register.identifiers import IdentifierError


@dataclass(frozen=True, slots=True)
class Violation:
    """One field that is wrong: its path, an ErrorReason name, what is wrong and the way out, in two languages."""

    path: str
    reason: str
    zh: str
    en: str


class MalformedRequest(Exception):
    """The request breaks the contract's syntax. `violations` is never empty."""

    def __init__(self, violations: list[Violation]) -> None:
        super().__init__("; ".join(f"{v.path}: {v.en}" for v in violations))
        self.violations = violations


@dataclass(slots=True)
class Violations:
    """Collects violations; `refuse_if_any` ends the reading."""

    found: list[Violation] = field(default_factory=list)

    def add(self, path: str, zh: str, en: str, reason: str = "FIELD_INVALID") -> None:
        """Note one violation and read on."""
        self.found.append(Violation(path, reason, zh, en))

    @contextmanager
    def at(self, path: str, reason: str = "FIELD_INVALID") -> Iterator[None]:
        """Turn an identifier's error inside the block into a violation at `path`."""
        try:
            yield
        except IdentifierError as error:
            self.add(path, error.zh, error.en, reason)

    def refuse_if_any(self) -> None:
        """Raise MalformedRequest when anything was noted."""
        if self.found:
            raise MalformedRequest(self.found)
