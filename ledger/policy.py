"""Trust policies: which logs, which witnesses, and how many of them must have cosigned (C2SP tlog-policy).

    log <vkey> [<url>]
    witness <name> <vkey> [<url>]
    group <name> all|any|<k> <name>...
    quorum <name>|none

A file of lines; words stand between spaces and tabs, `#` begins a comment line. Names are opaque
octets and mean nothing outside the file.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from ledger.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint
from ledger.cosignature import cosigners_of
from ledger.errors import CheckpointError, PolicyError, QuorumError
from ledger.note import ED25519, WITNESS_TYPES, VerifierKey, parse_vkey

NONE: Final = "none"
LINES_MAX: Final = 1000
_CONTROL_END: Final = 0x20
_DELETE: Final = 0x7F


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness of the policy. name: in the file only. url: its submission prefix, "" where none is given."""

    name: str
    vkey: str
    url: str


@dataclass(frozen=True, slots=True)
class _Group:
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """A parsed policy. logs: vkeys, perhaps none (the log is known otherwise). quorum: a name, or "none"."""

    logs: tuple[str, ...]
    witnesses: Mapping[str, Witness]
    quorum: str
    _groups: Mapping[str, _Group] = field(default_factory=dict)

    def is_met(self, cosigned: Collection[str]) -> bool:
        """Whether the witnesses with the vkeys `cosigned` are a quorum."""
        return self.quorum == NONE or self._has(self.quorum, cosigned)

    def check_quorum(self, note: bytes) -> frozenset[str]:
        """Return the vkeys of the witnesses on a checkpoint's note. The log's signature is the caller's to check.

        Raises QuorumError where they are too few, CheckpointError for a malformed note or a line that does not hold.
        """
        vkeys = [witness.vkey for witness in self.witnesses.values()]
        cosigned = cosigners_of(note, vkeys)
        if not self.is_met(cosigned):
            missing = [one.name for one in self.witnesses.values() if one.vkey not in cosigned]
            raise QuorumError(self.quorum, missing)
        return cosigned

    def check(self, note: bytes) -> Checkpoint:
        """Return the checkpoint in `note`: signed by one of the logs, cosigned by a quorum.

        Raises CheckpointError, QuorumError.
        """
        origin = parse_checkpoint(note).origin
        named = [vkey for vkey in self.logs if parse_vkey(vkey).name == origin]
        if not named:
            raise CheckpointError(f"the log {origin!r} is none of the policy's")
        problem: CheckpointError | None = None
        for vkey in named:
            try:
                checkpoint = open_checkpoint(note, vkey)
            except CheckpointError as error:
                problem = error
                continue
            self.check_quorum(note)
            return checkpoint
        assert problem is not None
        raise problem

    def _has(self, name: str, cosigned: Collection[str]) -> bool:
        group = self._groups.get(name)
        if group is None:
            return self.witnesses[name].vkey in cosigned
        return sum(self._has(member, cosigned) for member in group.members) >= group.threshold


def parse_policy(data: bytes) -> Policy:
    """Parse a policy file. Raises PolicyError with the line's number."""
    reading = _Reading()
    lines = data.split(b"\n")
    if lines.pop():
        raise PolicyError(len(lines) + 1, "the last line does not end with a newline")
    if len(lines) > LINES_MAX:
        raise PolicyError(LINES_MAX + 1, f"there are more than {LINES_MAX} lines")
    for number, line in enumerate(lines, start=1):
        if any((octet < _CONTROL_END and octet != ord("\t")) or octet == _DELETE for octet in line):
            raise PolicyError(number, "it holds a control character")
        # Opaque octets: a surrogate keeps what is not UTF-8 apart from what is.
        words = [
            word.decode(errors="surrogateescape") for word in line.replace(b"\t", b" ").split(b" ") if word
        ]
        if not words or words[0].startswith("#"):
            continue
        try:
            reading.take(words)
        except (CheckpointError, ValueError) as error:
            raise PolicyError(number, str(error)) from error
    if reading.quorum is None:
        raise PolicyError(len(lines), "there is no quorum line")
    return Policy(tuple(reading.logs), reading.witnesses, reading.quorum, reading.groups)


class _Reading:
    """What the lines so far have defined. Each method raises ValueError or CheckpointError for a bad line."""

    def __init__(self) -> None:
        self.logs: list[str] = []
        self.witnesses: dict[str, Witness] = {}
        self.groups: dict[str, _Group] = {}
        self.quorum: str | None = None
        self._keys: set[tuple[bytes, bytes]] = set()
        self._members: set[str] = set()

    def take(self, words: list[str]) -> None:
        match words:
            case ["log", vkey] | ["log", vkey, _]:
                self._key(vkey, ED25519)
                self.logs.append(vkey)
            case ["witness", name, vkey, *url] if len(url) <= 1:
                self._name(name)
                self._key(vkey, *WITNESS_TYPES)
                self.witnesses[name] = Witness(name, vkey, *(url or [""]))
            case ["group", name, threshold, *members] if members:
                self._name(name)
                self.groups[name] = _Group(_threshold(threshold, len(members)), self._joined(members))
            case ["quorum", name]:
                if self.quorum is not None:
                    raise ValueError("a second quorum line")
                if name != NONE and not self._is_known(name):
                    raise ValueError(f"the quorum {name} is not defined above")
                self.quorum = name
            case [keyword, *_] if keyword in {"log", "witness", "group", "quorum"}:
                raise ValueError(f"a {keyword} line has the wrong number of words")
            case _:
                raise ValueError(f"{words[0]} is none of log, witness, group, quorum")

    def _is_known(self, name: str) -> bool:
        return name in self.witnesses or name in self.groups

    def _name(self, name: str) -> None:
        if name == NONE or self._is_known(name):
            raise ValueError(f"the name {name} is taken")

    def _key(self, vkey: str, *kinds: bytes) -> VerifierKey:
        key = parse_vkey(vkey, *kinds)
        if (key.kind, key.raw) in self._keys:
            raise ValueError(f"the key of {key.name} is listed twice")
        self._keys.add((key.kind, key.raw))
        return key

    def _joined(self, members: list[str]) -> tuple[str, ...]:
        for name in members:
            if not self._is_known(name):
                raise ValueError(f"the member {name} is not defined above")
            if name in self._members:
                raise ValueError(f"{name} is a member already; a witness counts in one way only")
            self._members.add(name)
        return tuple(members)


def _threshold(word: str, members: int) -> int:
    if word in {"any", "all"}:
        return 1 if word == "any" else members
    if not (word.isascii() and word.isdecimal()) or not 1 <= int(word) <= members or str(int(word)) != word:
        raise ValueError(f"the threshold {word} is none of any, all, 1 to {members}")
    return int(word)
