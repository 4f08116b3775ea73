"""Checking a receipt offline, by the numbered checks of `Receipt` in proto/diya/v1/outcome.proto.

Needs the bytes that were sent and the registry's verifier key, nothing else: no network, no clock.
A check that fails raises ReceiptInvalid with its number.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.client.errors import ReceiptInvalid
from gateway.client.trust import LedgerTrust
from gateway.pb.diya.v1 import outcome_pb2
from ledger.checkpoint import Checkpoint, open_checkpoint
from ledger.entry import Entry, commit_part, parse_entry
from ledger.errors import CheckpointError, LedgerError, ProofError, QuorumError
from ledger.hashing import leaf_hash
from ledger.policy import Policy
from ledger.proof import verify_consistency, verify_inclusion

PAYLOAD_PART: Final = "evidence/payload"
OUTCOME_PART: Final = "outcome"

KEY_CHANGED: Final = (
    "where the registry has replaced its checkpoint key, add its published line to <registry>.vkey in the trust folder",
    "如登记机构已更换检查点密钥，请将其公布的公钥加入信任目录的 <登记机构>.vkey",
)
"""The way out that a checkpoint by an unknown key most often has: in English and Chinese."""

CHECKS: Final = (
    (1, "the receipt is not pending", "回执已发布"),
    (2, "the origin is that of the trusted verifier key", "账本来源与受信任的公钥一致"),
    (
        3,
        "the checkpoint is signed by the trusted key and covers the entry",
        "检查点签名有效且涵盖该记录",
    ),
    (4, "the entry hash is that of the entry's bytes", "记录摘要与记录一致"),
    (5, "the inclusion proof leads to the checkpoint's root", "包含证明指向检查点的根"),
    (
        6,
        "the entry's lines are well-formed and name this origin and index",
        "记录各行格式正确且来源、序号一致",
    ),
    (
        7,
        "the parts commit to the bytes that were sent and answered",
        "各部分与发送及答复的内容一致",
    ),
    (8, "the ledger extends the one seen before", "账本是此前所见账本的延续"),
    (9, "the answer is the one that was logged", "答复与账本所记一致"),
)
"""(number, English, Chinese) of each check, in the order in which they are made."""

WITNESSES: Final = (
    10,
    "the quorum of the policy's witnesses has cosigned the checkpoint",
    "策略要求的见证人已会签检查点",
)
"""The check that is made last, and only where the verifier has a policy."""


@dataclass(frozen=True, slots=True)
class VerifiedReceipt:
    """A receipt whose checks 1 to 7 hold.

    contents: part name → bytes that the entry commits to (never the payload's). is_consistent:
    check 8 held as well, or there was nothing to compare with; False when no consistency proof
    could be had.
    """

    registry: str
    index: int
    entry: Entry
    checkpoint: Checkpoint
    note: bytes
    contents: dict[str, bytes] = field(default_factory=dict)
    is_consistent: bool = False


def verify_receipt(
    receipt: outcome_pb2.Receipt, payload_pae: bytes | None, trust: LedgerTrust
) -> VerifiedReceipt:
    """Make checks 1 to 7. payload_pae: PAE of what THIS side sent; None for somebody else's act
    (the receipt of a certificate), where no opening of the payload is expected.

    Raises ReceiptInvalid.
    """
    if receipt.pending:
        raise ReceiptInvalid(1, "it is pending, ask GetReceipt", "回执尚未发布，请稍后查询")
    checkpoint = _open(receipt, trust)
    if leaf_hash(receipt.entry) != receipt.entry_hash:
        raise ReceiptInvalid(4, "entry_hash is not that of entry", "记录摘要与记录不符")
    try:
        verify_inclusion(
            receipt.index,
            checkpoint.size,
            leaf_hash(receipt.entry),
            list(receipt.inclusion_proof),
            checkpoint.root,
        )
    except ProofError as error:
        raise ReceiptInvalid(5, str(error), "包含证明不成立") from error
    entry = _parse(receipt)
    contents = _open_parts(receipt, entry, payload_pae)
    return VerifiedReceipt(receipt.registry, receipt.index, entry, checkpoint, receipt.checkpoint, contents)


def verify_progress(known: Checkpoint, seen: Checkpoint, proof: Sequence[bytes]) -> None:
    """Check 8 between two checkpoints of one origin, in either order of size. Raises
    ReceiptInvalid.
    """
    old, new = (known, seen) if known.size <= seen.size else (seen, known)
    if old.origin != new.origin:
        raise ReceiptInvalid(8, f"origin {new.origin} is not {old.origin}", "账本来源不同")
    if old.size == 0:
        return
    try:
        verify_consistency(old.size, old.root, new.size, new.root, proof)
    except ProofError as error:
        raise ReceiptInvalid(
            8,
            f"the trees of {old.size} and {new.size} entries contradict each other: {error}; "
            "keep both "
            "checkpoints, this is evidence of a forked ledger",
            f"{old.size} 条与 {new.size} 条的账本互相矛盾；请保存两个检查点，这是账本分叉的证据",
        ) from error


def verify_answer(outcome: outcome_pb2.Outcome, receipt: VerifiedReceipt) -> None:
    """Check 9: result and application of the answer are those of the part "outcome". Raises
    ReceiptInvalid.
    """
    logged = receipt.contents.get(OUTCOME_PART)
    if logged is None:
        return
    try:
        fields = json.loads(logged)
    except ValueError as error:
        raise ReceiptInvalid(9, "the logged answer is not JSON", "账本所记答复无法解析") from error
    if not isinstance(fields, dict):
        raise ReceiptInvalid(9, "the logged answer is no object", "账本所记答复无法解析")
    result = outcome_pb2.OutcomeResult.Name(outcome.result).removeprefix("OUTCOME_RESULT_")
    for name, came in (("result", result), ("application", outcome.application)):
        if fields.get(name, "") != came:
            raise ReceiptInvalid(
                9,
                f"the answer says {name} {came!r}, the ledger says {fields.get(name, '')!r}",
                f"答复的 {name} 为 {came}，账本所记为 {fields.get(name, '')}",
            )


def verify_quorum(note: bytes, policy: Policy) -> None:
    """Check 10: the checkpoint in `note` is of a log of the policy, if it lists any, and its quorum has cosigned it.

    Cosignatures come a moment after the act: where they are too few, ask GetReceipt again. Raises ReceiptInvalid.
    """
    try:
        if policy.logs:
            policy.check(note)
        else:
            policy.check_quorum(note)
    except QuorumError as error:
        raise ReceiptInvalid(
            WITNESSES[0],
            f"{error}; complete the receipt later",
            f"会签的见证人未达到策略要求（尚缺 {'、'.join(error.missing)}）；请稍后补取回执",
        ) from error
    except CheckpointError as error:
        raise ReceiptInvalid(WITNESSES[0], str(error), "见证人的会签不成立或者账本不在策略中") from error


def verify_part(entry: Entry, name: str, salt: bytes, content: bytes) -> None:
    """Check 7 for one part. Raises ReceiptInvalid."""
    digest = dict(entry.commitments).get(name)
    if digest is None:
        raise ReceiptInvalid(7, f"the entry has no part {name}", f"记录没有部分 {name}")
    try:
        computed = commit_part(salt, content)
    except LedgerError as error:
        raise ReceiptInvalid(7, f"part {name}: {error}", f"部分 {name} 的盐不合规") from error
    if computed != digest:
        raise ReceiptInvalid(7, f"part {name} commits to other bytes", f"部分 {name} 对应的是另外的内容")


def _open(receipt: outcome_pb2.Receipt, trust: LedgerTrust) -> Checkpoint:
    vkeys = trust.vkeys(receipt.registry)
    if not vkeys:
        raise ReceiptInvalid(
            2,
            f"no verifier key of registry {receipt.registry} is trusted; obtain it from the "
            "authority "
            f"and put it into {receipt.registry}.vkey of the trust folder",
            f"没有登记机构 {receipt.registry} 的受信任账本公钥；请向登记机构索取并放入信任目录",
        )
    named = [vkey for vkey in vkeys if vkey.split("+", 1)[0] == receipt.origin]
    if not named:
        raise ReceiptInvalid(
            2,
            f"origin {receipt.origin!r} is none that is trusted",
            f"账本来源 {receipt.origin} 不受信任",
        )
    problem: CheckpointError | None = None
    for vkey in named:
        try:
            checkpoint = open_checkpoint(receipt.checkpoint, vkey)
        except CheckpointError as error:
            problem = error
            continue
        if checkpoint.origin != receipt.origin:
            raise ReceiptInvalid(3, f"the checkpoint is of {checkpoint.origin!r}", "检查点属于另一账本")
        if not 0 <= receipt.index < checkpoint.size:
            raise ReceiptInvalid(
                3,
                f"the checkpoint of {checkpoint.size} entries does not cover index {receipt.index}",
                f"检查点（{checkpoint.size} 条）不涵盖第 {receipt.index} 号记录",
            )
        return checkpoint
    raise ReceiptInvalid(
        3,
        f"{problem}; {KEY_CHANGED[0]}",
        f"检查点签名无效；{KEY_CHANGED[1]}",
    ) from problem


def _parse(receipt: outcome_pb2.Receipt) -> Entry:
    try:
        entry = parse_entry(receipt.entry)
    except LedgerError as error:
        raise ReceiptInvalid(6, str(error), "记录格式错误") from error
    if entry.origin != receipt.origin or entry.index != receipt.index:
        raise ReceiptInvalid(
            6,
            f"the entry is index {entry.index} of {entry.origin!r}",
            f"记录属于 {entry.origin} 第 {entry.index} 号",
        )
    return entry


def _open_parts(receipt: outcome_pb2.Receipt, entry: Entry, payload_pae: bytes | None) -> dict[str, bytes]:
    payloads = sum(one.name == PAYLOAD_PART for one in receipt.openings)
    if payloads != (payload_pae is not None):
        raise ReceiptInvalid(
            7,
            f"{payloads} openings of {PAYLOAD_PART}, {int(payload_pae is not None)} expected",
            f"{PAYLOAD_PART} 的开启信息数量不符",
        )
    contents: dict[str, bytes] = {}
    for opening in receipt.openings:
        if opening.name == PAYLOAD_PART and payload_pae is not None:
            verify_part(entry, opening.name, opening.salt, payload_pae)
            continue
        verify_part(entry, opening.name, opening.salt, opening.content)
        contents[opening.name] = opening.content
    return contents
