"""The times of a registry's seal keys, for whoever verifies offline: `<registry>.seals.json` in a trust folder.

Made by `diya keys list --trust DIR`. A verifier without it judges a seal by its certificate alone.

And what the verifier demands of a registry's seals, where it does: `<registry>.suites`, written by hand, names the
suites in which they must be there and hold, NATIONAL, INTERNATIONAL or both, a line each.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from gateway.register.authority import SealTerm
from signing.algorithms import Suite

SUFFIX: Final = ".seals.json"
SUITES_SUFFIX: Final = ".suites"
BYTES_MAX: Final = 1 << 20


class SealTermsUnreadable(Exception):
    """A file of the trust folder is not what this module writes; the message names it."""


def write_seal_terms(folder: Path, registry: str, terms: Iterable[SealTerm]) -> Path:
    """Write the times of a registry's seal keys, without their certificates. Raises OSError."""
    path = folder / f"{registry}{SUFFIX}"
    slim = [msgspec.structs.replace(term, certificate=b"") for term in terms]
    path.write_bytes(msgspec.json.format(msgspec.json.encode(slim)) + b"\n")
    return path


def read_seal_terms(folder: Path) -> dict[str, SealTerm]:
    """The times of every seal key that the folder tells of, by key id. Raises SealTermsUnreadable, OSError."""
    found: dict[str, SealTerm] = {}
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        if path.stat().st_size > BYTES_MAX:
            raise SealTermsUnreadable(f"{path}: is over the limit of {BYTES_MAX} bytes")
        try:
            terms = msgspec.json.decode(path.read_bytes(), type=tuple[SealTerm, ...])
        except msgspec.MsgspecError as error:
            raise SealTermsUnreadable(f"{path}: is not a list of seal keys: {error}") from error
        found.update((term.key_id, term) for term in terms)
    return found


def read_demanded_suites(folder: Path) -> dict[str, frozenset[Suite]]:
    """The suites that the folder demands, by registry. Raises SealTermsUnreadable, OSError."""
    found = {}
    for path in sorted(folder.glob(f"*{SUITES_SUFFIX}")):
        if path.stat().st_size > BYTES_MAX:
            raise SealTermsUnreadable(f"{path}: is over the limit of {BYTES_MAX} bytes")
        try:
            suites = frozenset(Suite(word) for word in path.read_text(encoding="utf-8").split())
        except ValueError as error:
            names = " or ".join(Suite)
            raise SealTermsUnreadable(f"{path}: each line is {names}: {error}") from error
        found[path.name.removesuffix(SUITES_SUFFIX)] = suites
    return found
