"""Which key seals: gone on to another, ended, declared compromised. Pure; each an operator's act and an entry.

One key of each place seals at a time: the first, and the national one beside it where a registry seals in both suites.
Its time begins and ends with an entry, so that whoever judges a seal years later knows whether it was the registry's to
make. Where a key is, and whether it works, is no matter of the ledger: the shell looks before it asks
(`gateway/keyring/seals.py`).
"""

from __future__ import annotations

import datetime as dt

from msgspec.structs import replace

from gateway.applications.administration import ActInvalid, OperatorAct, answered
from gateway.applications.compromise import check_compromise
from gateway.cases.decision import Decision
from gateway.cases.effects import SealTermsSet
from gateway.cases.model import Moment
from gateway.register.authority import SealTerm


def in_place(terms: tuple[SealTerm, ...], *, national: bool = False) -> tuple[SealTerm, ...]:
    """The keys of one place, in order of use."""
    return tuple(term for term in terms if term.national == national)


def active(terms: tuple[SealTerm, ...], *, national: bool = False) -> SealTerm | None:
    """The key of a place that the ledger says is in use; None before any act told, and after one retired the last."""
    there = in_place(terms, national=national)
    return next((term for term in reversed(there) if term.retired_at is None), None)


def may_seal(terms: tuple[SealTerm, ...], key_id: str, *, national: bool = False) -> bool:
    """Whether what this key sealed may be entered now. Before any act told of keys, the configured one seals, and
    without a national one (`key_id` empty) nothing is beside the first.
    """
    term = active(terms, national=national)
    if term is None:
        return not in_place(terms, national=national) or (national and not key_id)
    return term.key_id == key_id


def sealed_by(terms: tuple[SealTerm, ...], key_id: str) -> SealTerm | None:
    """The time of the key that made a seal; the first key's seals do not name it until there was another."""
    if not key_id:
        return next(iter(in_place(terms)), None)
    return next((term for term in terms if term.key_id == key_id), None)


def is_compromised(terms: tuple[SealTerm, ...], key_id: str, national_key_id: str, at: dt.datetime) -> bool:
    """Whether somebody else may have made one of the seals of `at`; `national_key_id` is empty where there is none."""
    made_by = [sealed_by(terms, key_id), sealed_by(terms, national_key_id) if national_key_id else None]
    return any(term is not None and term.is_compromised(at) for term in made_by)


def decide_rotation(
    terms: tuple[SealTerm, ...],
    former_key_id: str,
    following: SealTerm,
    act: OperatorAct,
    moment: Moment,
) -> Decision:
    """Seal with `following` from this entry on; the former key of its place, which must be in use, is retired by it."""
    everywhere, national = terms, following.national
    terms = in_place(terms, national=national)
    in_use = active(terms, national=national)
    if (terms and former_key_id != (in_use.key_id if in_use else "")) or not (terms or former_key_id):
        raise ActInvalid(
            "在用的印章密钥与所称的不同；请先查询密钥列表",
            "another seal key is in use than the act says: list the keys first",
            field="former_key_id",
            inUse=in_use.key_id if in_use else "",
        )
    if following.key_id in {former_key_id, *(term.key_id for term in everywhere)}:
        raise ActInvalid(
            "该密钥已经用过；更换印章须用新的密钥",
            "this key has been in use before: go on to a new one",
            field="certificate",
        )
    if not terms:
        terms = (SealTerm(key_id=former_key_id, national=national),)
    ended = tuple(
        replace(term, retired_at=moment.now, index=moment.index) if term.retired_at is None else term
        for term in terms
    )
    begun = replace(following, active_from=moment.now, index=moment.index)
    keys = _beside(everywhere, (*ended, begun), national=national)
    return answered("seal.rotated", [SealTermsSet(keys=keys)], act, moment)


def decide_retirement(
    terms: tuple[SealTerm, ...],
    key_id: str,
    compromised_since: dt.datetime | None,
    reason: str,
    act: OperatorAct,
    moment: Moment,
    *,
    national: bool = False,
) -> Decision:
    """Seal no more with a key of a place, and say from when on somebody else may have had it, if so. That may be said
    later too, and then moved back, never forward.
    """
    everywhere, terms = terms, in_place(terms, national=national)
    known = terms or (SealTerm(key_id=key_id, national=national),)
    term = next((one for one in known if one.key_id == key_id), None)
    if term is None:
        raise ActInvalid(
            "没有此印章密钥；请查询密钥列表", "no such seal key: list the keys", field="key_id", keyId=key_id
        )
    check_compromise(term.compromised_since, compromised_since, moment.now)
    if term.retired_at is not None and compromised_since is None:
        raise ActInvalid("该密钥已停用", "this key is retired already", field="key_id", keyId=key_id)
    stands = replace(
        term,
        retired_at=term.retired_at or moment.now,
        compromised_since=compromised_since,
        reason=reason,
        index=moment.index,
    )
    keys = tuple(stands if one.key_id == key_id else one for one in known)
    return answered(
        "seal.retired", [SealTermsSet(keys=_beside(everywhere, keys, national=national))], act, moment
    )


def _beside(
    terms: tuple[SealTerm, ...], set_: tuple[SealTerm, ...], *, national: bool
) -> tuple[SealTerm, ...]:
    """All keys, those of the first place first, with the ones that are set in the place of those they were."""
    others = in_place(terms, national=not national)
    return (*others, *set_) if national else (*set_, *others)
