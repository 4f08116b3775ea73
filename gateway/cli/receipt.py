"""`diya receipt`: proofs that acts are in the ledger."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from gateway.cli import opening, outcomes, show
from gateway.cli.acts import show_pending
from gateway.cli.settings import ConfigOption, JsonOption, load_settings
from gateway.client.errors import DiyaError, InputError, ReceiptInvalid
from gateway.client.proof_file import SUFFIX, CheckedProof, check_proof, save_proof
from gateway.client.receipt import CHECKS, WITNESSES, VerifiedReceipt, verify_quorum
from gateway.client.receipt_file import KeptAct, read_act, write_act
from gateway.client.session import Answer
from gateway.client.trust import LedgerTrust, read_policy, read_trust
from ledger.policy import Policy

app = typer.Typer(no_args_is_help=True, help="Verify and complete receipts. 回执。")

TrustOption = Annotated[
    Path | None,
    typer.Option("--trust", help="Folder with <registry>.vkey; that of the settings by default."),
]
PolicyOption = Annotated[
    Path | None,
    typer.Option("--policy", help="Trust policy (C2SP tlog-policy) whose quorum of witnesses is demanded."),
]
FileArgument = Annotated[Path, typer.Argument(metavar="FILE.json", help="A kept act with its receipt.")]


@app.command("verify")
def verify(
    file: FileArgument,
    trust: TrustOption = None,
    policy: PolicyOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Verify a receipt offline: no network, no gateway, only the registry's public key (核验回执).

    The bytes that were signed are taken from the file, hashed anew, and followed through the ledger
    entry and the inclusion proof to the signed checkpoint; with --policy, to the witnesses that
    cosigned it. Exits with 1 and the number of the check that fails.

    \b
    Example:
      diya receipt verify receipts/6f0c….json --trust trust
    """
    try:
        verified = _verify(file, trust, config, policy)
    except ReceiptInvalid as error:
        _print_checks(error.check, policy, as_json=as_json)
        raise outcomes.fail(error, as_json=as_json) from error
    except InputError as error:
        raise outcomes.fail(error, as_json=as_json) from error
    facts: dict[str, Any] = {
        "registry": verified.registry,
        "origin": verified.entry.origin,
        "index": verified.index,
        "time": verified.entry.time.isoformat(),
        "kind": verified.entry.kind,
        "checkpointSize": verified.checkpoint.size,
    }
    if as_json:
        show.print_json({"verified": True, **facts})
        return
    _print_checks(None, policy, as_json=False)
    for name, value in (facts | {"time": show.china_text(verified.entry.time)}).items():
        show.console().print(Text(f"  {name:<16} {value}"))


@app.command("complete")
def complete(
    file: FileArgument, policy: PolicyOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Fetch the receipt of a kept act that was pending, verify it and write it into the file
    (补取回执). With --policy, also one that too few witnesses had cosigned.

    \b
    Example:
      diya receipt complete receipts/6f0c….json
    """

    async def work() -> Answer:
        act = read_act(file)
        answer = act.answer
        if answer is None:
            raise InputError(
                f"{file} has no answer yet: diya submit resend {file}",
                f"{file} 尚无答复：请执行 diya submit resend {file}",
            )
        if act.receipt is None:
            raise InputError(
                f"{file} is of a rehearsal, which is not in the ledger and has no receipt",
                f"{file} 是仅校验的请求，不入账本，没有回执",
            )
        wanted = read_policy(policy) if policy else None
        again = not answer.is_pending and wanted is not None and not _is_cosigned(act, wanted, config)
        if not (answer.is_pending or again):
            return dataclasses.replace(answer, receipt=act.verify(trust_of(None, config)))
        async with opening.open_client(load_settings(config)) as client:
            completed = await client.complete(answer, again=again)
        if wanted is not None and completed.receipt is not None:
            verify_quorum(completed.receipt.note, wanted)
        write_act(file, KeptAct.of_answer(completed, act.sections))
        return completed

    answer = outcomes.run(work(), as_json=as_json)
    if as_json:
        show.print_json(show.answer_to_dict(answer))
    elif answer.is_pending:
        show.print_receipt(answer)
        show_pending(answer, file)
    else:
        show.print_answer(answer)
    if answer.is_pending:
        raise typer.Exit(outcomes.UNAVAILABLE)


@app.command("proof")
def proof(
    file: FileArgument,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write; FILE.tlog-proof by default.")
    ] = None,
    trust: TrustOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a receipt's proof for anyone's tools: c2sp.org/tlog-proof@v1, once it is verified
    (导出包含证明).

    The entry is in it, nothing of what the act says. `diya ledger check` reads it.

    \b
    Example:
      diya receipt proof receipts/6f0c….json --out 6f0c.tlog-proof
    """
    target = out or file.with_suffix(SUFFIX)
    try:
        act, trusted = read_act(file), trust_of(trust, config)
        act.verify(trusted)
        receipt = act.receipt
        assert receipt is not None  # it was verified
        save_proof(target, receipt.entry, receipt.index, receipt.inclusion_proof, receipt.checkpoint)
        written = check_proof(target, trusted)
    except DiyaError as error:
        raise outcomes.fail(error, as_json=as_json) from error
    show_proof_written(target, written, as_json=as_json)


def show_proof_written(target: Path, written: CheckedProof, *, as_json: bool) -> None:
    """Where a proof was written, and of what."""
    entry, size = written.entry, written.checkpoint.size
    if as_json:
        facts = {"origin": entry.origin, "index": entry.index, "checkpointSize": size}
        show.print_json({"file": str(target), **facts})
    else:
        told = f"{target}: entry {entry.index} of {entry.origin}, in the checkpoint of {size} entries"
        show.console().print(Text(told), soft_wrap=True)


def trust_of(trust: Path | None, config: Path | None) -> LedgerTrust:
    """The verifier keys of --trust, else of the settings. Raises InputError."""
    return read_trust(trust or load_settings(config).path("trust"))


def _verify(file: Path, trust: Path | None, config: Path | None, policy: Path | None) -> VerifiedReceipt:
    return read_act(file).verify(trust_of(trust, config), read_policy(policy) if policy else None)


def _is_cosigned(act: KeptAct, policy: Policy, config: Path | None) -> bool:
    """Whether the kept receipt has its quorum; any other fault of it is raised."""
    verified = act.verify(trust_of(None, config))
    try:
        verify_quorum(verified.note, policy)
    except ReceiptInvalid:
        return False
    return True


def _print_checks(failed: int | None, policy: Path | None, *, as_json: bool) -> None:
    """The checks up to the one that failed; check 8 needs a remembered checkpoint and is not made
    here.
    """
    if as_json:
        return
    for number, en, zh in (*CHECKS, *([WITNESSES] if policy else [])):
        if number == 8:  # the number in the contract
            continue
        holds = number != failed
        mark = "✓" if holds else "✗"
        show.console().print(Text(f"  {mark} {number}  {zh}  {en}", style="green" if holds else "red"))
        if not holds:
            return
