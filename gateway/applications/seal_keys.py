"""Which key seals: gone on to another, ended, declared compromised. Pure; each an operator's act and an entry.

One key seals at a time. Its time begins and ends with an entry, so that whoever judges a seal years later knows whether
it was the registry's to make. Where a key is, and whether it works, is no matter of the ledger: the shell looks before
it asks (`gateway/seals.py`).
"""

from __future__ import annotations

import datetime as dt

from msgspec.structs import replace

from gateway.applications.administration import ActInvalid, OperatorAct, answered
from gateway.cases.decision import Decision
from gateway.cases.effects import SealTermsSet
from gateway.cases.model import Moment
from gateway.register.authority import SealTerm


def active(terms: tuple[SealTerm, ...]) -> SealTerm | None:
    """The key that the ledger says is in use; None before any act told, and after one retired the last."""
    return next((term for term in reversed(terms) if term.retired_at is None), None)


def may_seal(terms: tuple[SealTerm, ...], key_id: str) -> bool:
    """Whether what this key sealed may be entered now. Before any act told of keys, the configured one seals."""
    term = active(terms)
    return not terms or (term is not None and term.key_id == key_id)


def sealed_by(terms: tuple[SealTerm, ...], key_id: str) -> SealTerm | None:
    """The time of the key that made a seal; the first key's seals do not name it until there was another."""
    return next((term for term in terms if term.key_id == key_id), terms[0] if terms and not key_id else None)


def decide_rotation(
    terms: tuple[SealTerm, ...],
    former_key_id: str,
    following: SealTerm,
    act: OperatorAct,
    moment: Moment,
) -> Decision:
    """Seal with `following` from this entry on; the former key, which must be the one in use, is retired by it."""
    in_use = active(terms)
    if (terms and former_key_id != (in_use.key_id if in_use else "")) or not (terms or former_key_id):
        raise ActInvalid(
            "在用的印章密钥与所称的不同；请先查询密钥列表",
            "another seal key is in use than the act says: list the keys first",
            field="former_key_id",
            inUse=in_use.key_id if in_use else "",
        )
    if following.key_id in {former_key_id, *(term.key_id for term in terms)}:
        raise ActInvalid(
            "该密钥已经用过；更换印章须用新的密钥",
            "this key has been in use before: go on to a new one",
            field="certificate",
        )
    if not terms:
        terms = (SealTerm(key_id=former_key_id),)
    ended = tuple(
        replace(term, retired_at=moment.now, index=moment.index) if term.retired_at is None else term
        for term in terms
    )
    begun = replace(following, active_from=moment.now, index=moment.index)
    return answered("seal.rotated", [SealTermsSet(keys=(*ended, begun))], act, moment)


def decide_retirement(
    terms: tuple[SealTerm, ...],
    key_id: str,
    compromised_since: dt.datetime | None,
    reason: str,
    act: OperatorAct,
    moment: Moment,
) -> Decision:
    """Seal no more with a key, and say from when on somebody else may have had it, if so. That may be said later too,
    and then moved back, never forward.
    """
    known = terms or (SealTerm(key_id=key_id),)
    term = next((one for one in known if one.key_id == key_id), None)
    if term is None:
        raise ActInvalid(
            "没有此印章密钥；请查询密钥列表", "no such seal key: list the keys", field="key_id", keyId=key_id
        )
    if compromised_since is not None and compromised_since > moment.now:
        raise ActInvalid(
            "泄露起点不得晚于现在", "an instant in the future cannot be stated", field="compromised_since"
        )
    said_before = term.compromised_since
    if said_before is not None and (compromised_since is None or compromised_since >= said_before):
        raise ActInvalid(
            f"已声明自 {said_before.isoformat()} 起泄露；只能提前",
            f"it is declared compromised since {said_before.isoformat()}: that can only be moved back",
            field="compromised_since",
        )
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
    return answered("seal.retired", [SealTermsSet(keys=keys)], act, moment)
