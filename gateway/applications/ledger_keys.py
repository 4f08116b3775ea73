"""Which keys sign the ledger's checkpoints: another one beside, the former one ended. Pure; each an entry.

Both sign from the first act's entry on, so that whoever trusts either opens what is signed between the two acts; only
the new one from the second act's on (`ledger/log_keys.py`). Where a key is, and whether it works, is no matter of the
ledger: the shell looks before it asks (`gateway/keyring/ledger_signers.py`).
"""

from __future__ import annotations

import datetime as dt

from msgspec.structs import replace

from gateway.applications.administration import ActInvalid, OperatorAct, answered
from gateway.applications.compromise import check_compromise
from gateway.cases.decision import Decision
from gateway.cases.effects import LedgerKeysSet
from gateway.cases.model import Moment
from gateway.register.authority import LedgerKeyTerm

Terms = tuple[LedgerKeyTerm, ...]


def of_log(terms: Terms, origin: str) -> Terms:
    """Those of a log's name: a ledger that was recovered under a new origin has begun with a key of its own."""
    return tuple(term for term in terms if term.vkey.partition("+")[0] == origin)


def in_use(terms: Terms) -> Terms:
    """The keys that sign now, the one in use longest first."""
    return tuple(term for term in terms if term.ended_index is None)


def decide_rotation(terms: Terms, former: str, following: str, act: OperatorAct, moment: Moment) -> Decision:
    """Let the key `following` (a vkey) sign beside `former`, which must be the only one in use, from this entry on."""
    known = terms or (LedgerKeyTerm(vkey=former),)
    if [term.vkey for term in in_use(known)] != [former]:
        raise ActInvalid(
            "在用的检查点密钥与所称的不同，或正有两个在用；请先查询密钥列表并停用旧密钥",
            "another checkpoint key is in use than the act says, or two are: list the keys, and retire the former",
            field="former_vkey",
            inUse=" ".join(term.vkey for term in in_use(known)),
        )
    if following in {term.vkey for term in known}:
        raise ActInvalid(
            "该密钥已经用过；更换须用新的密钥",
            "this key has been in use before: go on to a new one",
            field="vkey",
        )
    begun = LedgerKeyTerm(
        vkey=following, begun_index=moment.index, active_from=moment.now, index=moment.index
    )
    return answered("ledger-key.rotated", [LedgerKeysSet(keys=(*known, begun))], act, moment)


def decide_retirement(
    terms: Terms,
    vkey: str,
    compromised_since: dt.datetime | None,
    reason: str,
    published_size: int,
    act: OperatorAct,
    moment: Moment,
) -> Decision:
    """Sign no more with a key beside which another does, and say from when on somebody else may have had it, if so.

    That may be said later too, and then moved back, never forward. `published_size`: of the newest checkpoint; the
    other key must be on one that this key signs too, or nothing would join the two.
    """
    term = next((one for one in terms if one.vkey == vkey), None)
    others = [one for one in in_use(terms) if one.vkey != vkey]
    if (term is None or term.ended_index is None) and not others:
        raise ActInvalid(
            "没有其他检查点密钥与之并用；请先更换（diya keys rotate checkpoint）",
            "no other key signs beside this one: rotate first (`diya keys rotate checkpoint`)",
            field="vkey",
        )
    if term is None:
        raise ActInvalid(
            "没有此检查点密钥；请查询密钥列表", "no such checkpoint key: list the keys", field="vkey"
        )
    check_compromise(term.compromised_since, compromised_since, moment.now)
    if term.ended_index is not None and compromised_since is None:
        raise ActInvalid("该密钥已停用", "this key is retired already", field="vkey")
    if term.ended_index is None and any((one.begun_index or 0) >= published_size for one in others):
        raise ActInvalid(
            "新密钥尚未签署任何检查点；请稍后再试",
            "no checkpoint bears both keys yet: try again when one is published",
            field="vkey",
        )
    ended = term.ended_index is None
    stands = replace(
        term,
        ended_index=moment.index if ended else term.ended_index,
        retired_at=moment.now if ended else term.retired_at,
        compromised_since=compromised_since,
        reason=reason,
        index=moment.index,
    )
    keys = tuple(stands if one.vkey == vkey else one for one in terms)
    return answered("ledger-key.retired", [LedgerKeysSet(keys=keys)], act, moment)
