"""A ledger entry for people: who did what, when, on what; what was answered and changed; what proves it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from gateway.cli import show
from gateway.client.ledger import VerifiedEntry
from gateway.pb.diya.v1 import ledger_service_pb2 as pb
from gateway.pb.diya.v1 import outcome_pb2
from signing.errors import SigningError
from signing.timestamp import Timestamp

#: What the kinds of entries are called. A kind that is not here is told by its name alone.
KINDS: Final = {
    "application.submitted": ("提交申请", "an application was submitted"),
    "application.supplemented": ("补充材料", "papers or facts were added"),
    "application.withdrawal": ("撤回申请", "withdrawal was asked for"),
    "application.reminded": ("提醒各方", "parties were reminded"),
    "application.turn_came": ("轮到办理", "the case's turn came"),
    "application.expired": ("申请失效", "the application expired"),
    "review.claim": ("领办", "a registrar claimed the case"),
    "review.unclaim": ("退回领办", "a registrar gave the case back"),
    "review.request_supplement": ("通知补正", "papers were asked for"),
    "review.approve": ("审核通过", "a registrar approved"),
    "review.refuse": ("不予登记", "a registrar refused"),
    "review.suspend": ("中止办理", "the case was suspended"),
    "review.resume": ("恢复办理", "the case was resumed"),
    "restriction.enter": ("登记限制", "a restriction was entered"),
    "restriction.lift": ("解除限制", "a restriction was lifted"),
    "restriction.renew": ("续行限制", "a restriction was renewed"),
    "restriction.suit_filed": ("异议人已起诉", "a dissenter has filed suit"),
    "party.join": ("共同申请", "a co-applicant joined"),
    "party.consent": ("同意或者声明", "a party consented or stated"),
    "party.decline": ("不同意", "a party declined"),
    "party.revoke": ("撤回同意", "a consent was taken back"),
    "certificate.sealed": ("证照签章", "a certificate was sealed"),
    "deadline.breached": ("逾期未办结", "the promised day passed undecided"),
    "deadline.changed": ("期限变动", "the promised day moved"),
    "payoff.nears": ("结清期限临近", "the payoff is due soon"),
    "payoff.overdue": ("结清逾期", "the payoff is overdue"),
    "payoff.settled": ("原抵押已注销", "the old mortgage is gone"),
    "query.recorded": ("查询登记簿", "somebody looked into the register"),
    "counter.accepted": ("柜面受理", "the counter accepted a case"),
    "counter.booked": ("柜面登簿", "the counter booked"),
    "counter.closed": ("柜面办结", "the counter ended a case"),
    "counter.alive": ("柜面心跳", "the counter is alive"),
    "lender.read": ("抵押权人已阅", "a lender has read of a seizure"),
    "registry.created": ("设立账本", "the registry was set up"),
    "register.imported": ("导入登记簿", "a register was imported"),
    "institution.set": ("设置机构", "an institution was set"),
    "institution.suspended": ("暂停机构", "an institution was suspended"),
    "institution.resumed": ("恢复机构", "an institution was resumed"),
    "registrar.set": ("设置登记员", "a registrar was set"),
    "profile.set": ("设置参数", "the profile was set"),
    "rules.set": ("设置规则集", "the rule set was set"),
    "seal.rotated": ("更换印章", "the seal went on to another key"),
    "seal.retired": ("停用印章", "a seal key was retired"),
    "ledger-key.rotated": ("启用新检查点密钥", "another checkpoint key signs beside the former one"),
    "ledger-key.retired": ("停用检查点密钥", "a checkpoint key was retired"),
    "trust.set": ("设置信任", "the trust was set"),
    "revocation.noted": ("更新吊销信息", "revocation evidence was fetched"),
    "calendar.set": ("导入日历", "the calendar was set"),
    "evidence.erased": ("销毁材料", "evidence was erased"),
    "ledger.recovered": ("账本恢复", "the ledger went on under a new origin"),
    "auditors.set": ("设置审计人员", "the auditors were set"),
}
#: Width of a label, in which a Chinese character takes two cells.
LABEL_CELLS: Final = 20
_PART_STATES: Final = {
    "SHOWN": ("✓ 内容与承诺相符", "shown, and it is what the entry commits to"),
    "WITHHELD": ("未向您出示", "kept by the registry, not shown to you"),
    "ERASED": ("已依法销毁", "erased as the law allows: nobody can open it"),
}


def kind_text(kind: str) -> str:
    """A kind with what it is called."""
    zh, en = KINDS.get(kind, ("", ""))
    return f"{kind}  {zh} {en}".rstrip()


@dataclass(frozen=True, slots=True)
class Existed:
    """By when an entry is proven to have existed: the time stamp, and the size of the checkpoint that bears it; or why
    its token does not hold.
    """

    stamp: Timestamp | None = None
    size: int = 0
    problem: SigningError | None = None


def print_entry(found: VerifiedEntry, existed: Existed | None = None) -> None:
    """The whole entry."""
    out, entry, about = show.console(), found.entry, found.about
    out.print(Text(f"entry {entry.index} of {entry.origin}", style="bold"))
    _rows(out, (("time 时间", show.china_text(entry.time)), ("what 事项", kind_text(entry.kind))))
    if about is None:
        out.print(Text("  您无权查看本记录的内容 / what it is about is not yours to see", style="dim"))
    else:
        _rows(out, _about_rows(about))
        show.print_findings(about.findings)
        _print_effects(out, about)
    out.print(Text("parts 各部分", style="bold"))
    for name, digest in entry.commitments:
        zh, en = _PART_STATES.get(found.states[name], ("", ""))
        out.print(Text(f"  {name:<18} {zh} / {en}"))
        out.print(Text(f"    SHA-256(salt ‖ content) = {digest.hex()}", style="dim"))
    if found.erased_by is not None:
        out.print(Text(f"  由第 {found.erased_by} 条记录销毁 / erased by entry {found.erased_by}"))
    out.print(Text("proof 证明", style="bold"))
    for line, style in (*_proof(found), *_existence(existed)):
        out.print(Text(f"  {line}", style=style))


def entry_json(found: VerifiedEntry, existed: Existed | None = None) -> dict[str, Any]:
    """The same for programs."""
    entry = found.entry
    return {
        "origin": entry.origin,
        "index": entry.index,
        "previousHash": entry.previous_hash.hex(),
        "entryHash": entry.entry_hash().hex(),
        "time": entry.time.isoformat(),
        "kind": entry.kind,
        "parts": {name: digest.hex() for name, digest in entry.commitments},
        "partStates": found.states,
        "erasedBy": found.erased_by,
        "checkpointSize": found.checkpoint.size,
        "checkpointRoot": found.checkpoint.root.hex(),
        "consistent": found.is_consistent,
        "cosignersNotChecked": list(found.cosigners),
        "existedBy": existed.stamp.time.isoformat()
        if existed is not None and existed.stamp is not None
        else None,
        "about": None if found.about is None else show.to_dict(found.about),
    }


def _existence(existed: Existed | None) -> Iterator[tuple[str, str]]:
    if existed is None:
        yield "尚无时间戳 / no time stamp covers it yet", "dim"
    elif existed.stamp is None:
        yield f"时间戳未能核验 / its time stamp does not hold here: {existed.problem}", "yellow"
    else:
        time = show.china_text(existed.stamp.time)
        by, size = existed.stamp.name, existed.size
        yield f"✓ 时间戳证明 {time} 之前已记入 / existed by then: {by} stamped {size} entries", "green"


def _rows(out: Console, rows: tuple[tuple[str, str], ...]) -> None:
    for label, value in rows:
        if value:
            out.print(Text(f"  {label}{' ' * (LABEL_CELLS - cell_len(label))} {value}"))


def _about_rows(about: pb.EntryAbout) -> tuple[tuple[str, str], ...]:
    result = ""
    if about.result:
        name = outcome_pb2.OutcomeResult.Name(about.result).removeprefix("OUTCOME_RESULT_")
        result = f"{name}  {show.RESULTS_ZH.get(name, '')}".rstrip()
    return (
        ("who 行为人", f"{about.actor}  {about.actor_name}".strip() or "本系统 / the gateway itself"),
        ("request 请求", about.request_id),
        ("application 申请", about.application.rpartition("/")[2]),
        ("case number 业务号", about.case_number),
        ("units 单元", "、".join(about.unit_codes)),
        ("answer 答复", result or "已依法销毁 / erased"),
    )


def _print_effects(out: Console, about: pb.EntryAbout) -> None:
    if not about.effect_count:
        return
    out.print(Text("changes 变更", style="bold"))
    for effect in about.effects:
        out.print(Text(f"  {effect.zh}"))
        out.print(Text(f"    {effect.en}"))
    more = about.effect_count - len(about.effects)
    if more:
        out.print(Text(f"  … {more} more 另有 {more} 项"))


def _proof(found: VerifiedEntry) -> Iterator[tuple[str, str]]:
    size = found.checkpoint.size
    yield (
        f"✓ 在 {size} 条记录的最新签名检查点之内 / in the latest signed checkpoint, of {size} entries",
        "green",
    )
    if found.is_consistent:
        yield "✓ 与此前所见检查点一致 / consistent with the checkpoint last seen", "green"
    else:
        yield "未能取得一致性证明 / no consistency proof could be had with the one last seen", "yellow"
    if found.cosigners:
        names = ", ".join(found.cosigners)
        yield f"另有见证签名（此处未验证）/ cosigned, not checked here: {names}", ""
    else:
        yield "无见证签名 / no witness has cosigned it", "dim"
