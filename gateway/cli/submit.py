"""`diya submit`: upload the papers, sign, submit, show the answer, keep the receipt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import typer
from google.protobuf.message import DecodeError
from rich.text import Text

from gateway.cli import opening, outcomes, show
from gateway.cli.acts import resendable, show_pending
from gateway.cli.application_file import (
    ApplicationFile,
    build_manifest,
    parse_file_option,
    read_application,
    terms_of,
)
from gateway.cli.papers import upload
from gateway.cli.reading import read_file
from gateway.cli.settings import ClientSettings, ConfigOption, JsonOption, load_settings
from gateway.client.acts import send_act
from gateway.client.errors import InputError
from gateway.client.local_files import make_folder
from gateway.client.manifest import sign_submission
from gateway.client.payloads import MANIFEST
from gateway.client.receipt_file import KeptAct, read_act, write_act
from gateway.client.session import Answer
from gateway.client.submissions import KINDS, Submission
from gateway.pb.diya.v1 import envelope_pb2, terms_pb2
from signing.signer import countersign as add_signature

app = typer.Typer(
    no_args_is_help=True,
    help="Submit an application, or send one again. 提交登记申请。\n\n"
    "Papers are uploaded, the manifest is signed with the institution's key, the answer is shown "
    "with all findings in Chinese and English, and its receipt is verified and kept.",
)

ApplicationArgument = Annotated[
    Path,
    typer.Argument(metavar="APPLICATION.json", help="Header and terms; docs/client.md says how."),
]
FileOption = Annotated[
    list[str] | None,
    typer.Option("--file", "-f", metavar="CODE=PATH", help="A paper by its code. May be repeated."),
]
TermsOption = Annotated[
    Path | None,
    typer.Option("--terms", help="Serialized terms as persons signed them (`diya forms` wrote terms.bin)."),
]
RehearsalOption = Annotated[
    bool, typer.Option("--validate-only", help="Rehearse: nothing is filed. 仅校验。")
]
RequestIdOption = Annotated[
    str, typer.Option("--request-id", help="UUID of this request; a fresh one when left out.")
]
ReceiptsOption = Annotated[
    Path, typer.Option("--receipts", help="Folder that keeps signed requests and their receipts.")
]
DEFAULT_RECEIPTS: Final = Path("receipts")


@app.command("mortgage")
def mortgage(
    application: ApplicationArgument,
    file: FileOption = None,
    terms: TermsOption = None,
    validate_only: RehearsalOption = False,
    request_id: RequestIdOption = "",
    receipts: ReceiptsOption = DEFAULT_RECEIPTS,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Submit mortgages: first registration, change, transfer (抵押权登记).

    \b
    Example:
      diya submit mortgage case.json --file APPLICATION=application-signed.pdf \\
          --file MORTGAGE_CONTRACT=contract.pdf
    """
    _submit("mortgage", application, file, terms, validate_only, request_id, receipts, config, as_json)


@app.command("mortgage-release")
def mortgage_release(
    application: ApplicationArgument,
    file: FileOption = None,
    terms: TermsOption = None,
    validate_only: RehearsalOption = False,
    request_id: RequestIdOption = "",
    receipts: ReceiptsOption = DEFAULT_RECEIPTS,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Submit the release of mortgages (抵押权注销登记).

    \b
    Example:
      diya submit mortgage-release release.json --file EXTINCTION=settled.pdf
    """
    _submit(
        "mortgage-release",
        application,
        file,
        terms,
        validate_only,
        request_id,
        receipts,
        config,
        as_json,
    )


@app.command("pre-notice")
def pre_notice(
    application: ApplicationArgument,
    file: FileOption = None,
    terms: TermsOption = None,
    validate_only: RehearsalOption = False,
    request_id: RequestIdOption = "",
    receipts: ReceiptsOption = DEFAULT_RECEIPTS,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Submit pre-notices: creation, conversion, release (预告登记).

    \b
    Example:
      diya submit pre-notice sale-and-mortgage.json --file SALE_CONTRACT=sale.pdf
    """
    _submit("pre-notice", application, file, terms, validate_only, request_id, receipts, config, as_json)


@app.command("encumbered-transfer")
def encumbered_transfer(
    application: ApplicationArgument,
    file: FileOption = None,
    terms: TermsOption = None,
    validate_only: RehearsalOption = False,
    request_id: RequestIdOption = "",
    receipts: ReceiptsOption = DEFAULT_RECEIPTS,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Submit the first phase of an encumbered transfer (带押过户).

    \b
    Example:
      diya submit encumbered-transfer phase-1.json --file TRIPARTITE=agreement.pdf
    """
    _submit(
        "encumbered-transfer",
        application,
        file,
        terms,
        validate_only,
        request_id,
        receipts,
        config,
        as_json,
    )


@app.command("advance")
def advance(
    application: ApplicationArgument,
    case: Annotated[
        str, typer.Option("--case", help="Application of the first phase, when the file leaves it out.")
    ] = "",
    phase: Annotated[
        int, typer.Option("--phase", min=2, help="Phase of the case, when the file leaves it out.")
    ] = 2,
    file: FileOption = None,
    terms: TermsOption = None,
    validate_only: RehearsalOption = False,
    request_id: RequestIdOption = "",
    receipts: ReceiptsOption = DEFAULT_RECEIPTS,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """File the next phase of an encumbered transfer (案件推进).

    The first phase must be booked. The old bank files a phase that only releases its mortgage by
    itself, and may sign it with a key for releases.

    \b
    Example:
      diya submit advance release.json --case registries/jiangyin/applications/0192… \\
          --phase 2 --file EXTINCTION=settled.pdf
    """
    _submit(
        "encumbered-transfer",
        application,
        file,
        terms,
        validate_only,
        request_id,
        receipts,
        config,
        as_json,
        later=(case, phase),
    )


@app.command("resend")
def resend(
    kept: Annotated[Path, typer.Argument(metavar="FILE.json", help="A kept request without an answer.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send a kept request again, with the same bytes (重新发送).

    After a lost connection nobody knows whether the request was taken. Sending it again is
    harmless: the gateway answers what it answered before, or takes it now.

    \b
    Example:
      diya submit resend receipts/6f0c….json
    """

    async def work() -> Answer:
        act = read_act(kept)
        async with opening.open_client(load_settings(config)) as client:
            with resendable(kept):
                if act.envelope.payload_type == MANIFEST:
                    answer = await client.submit(act.envelope, act.sections)
                else:
                    answer = await send_act(client.session, act.envelope, act.sections)
        write_act(kept, KeptAct.of_answer(answer, act.sections))
        return answer

    _finish(outcomes.run(work(), as_json=as_json), kept, as_json=as_json)


@app.command("countersign")
def countersign(
    kept: Annotated[Path, typer.Argument(metavar="FILE.json", help="A kept request without an answer.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sign a kept request too, as a second person, with the key of these settings (加签).

    Sends nothing: `diya submit resend` does. What the first person signed stays as it is.

    \b
    Example:
      diya submit countersign receipts/6f0c….json --config checker.toml
    """

    async def work() -> KeptAct:
        act = read_act(kept)
        if act.outcome is not None:
            raise InputError(f"{kept} has its answer: there is nothing to sign", f"{kept} 已有答复，无须加签")
        signed = replace(
            act, envelope=add_signature(act.envelope, opening.open_signer(load_settings(config)))
        )
        write_act(kept, signed)
        return signed

    signed = outcomes.run(work(), as_json=as_json)
    key_ids = [one.key_id for one in signed.envelope.signatures]
    if as_json:
        show.print_json({"file": str(kept), "keyIds": key_ids})
        return
    show.console().print(Text(f"signed 已签名 {', '.join(f'{one[:16]}…' for one in key_ids)}  {kept}"))


def _submit(
    kind: str,
    application: Path,
    file: list[str] | None,
    terms: Path | None,
    validate_only: bool,
    request_id: str,
    receipts: Path,
    config: Path | None,
    as_json: bool,
    later: tuple[str, int] | None = None,
) -> None:
    async def work() -> tuple[Answer, Path]:
        settings = load_settings(config)
        make_folder(receipts)
        read = read_application(application)
        if later is not None:
            _name_phase(read.manifest.header, *later)
        papers = (*read.files, *map(parse_file_option, file or ()))
        signed_terms = _signed_terms(read, settings, terms)
        signer = opening.open_signer(settings)
        async with opening.open_client(settings) as client:
            references = await upload(client, papers, hidden=as_json)
            manifest = build_manifest(
                read,
                settings,
                KINDS[kind],
                terms=signed_terms,
                files=references,
                request_id=request_id or client.session.new_request_id(),
                now=client.session.clock(),
                validate_only=validate_only,
            )
            envelope = sign_submission(signer, manifest)
            submission = Submission(envelope, tuple(content for _, content in read.sections))
            path = receipts / f"{manifest.header.request_id}.json"
            write_act(path, KeptAct(envelope, submission.sections))
            with resendable(path):
                answer = await client.submit(envelope, submission.sections)
            write_act(path, KeptAct.of_answer(answer, submission.sections))
            return answer, path

    answer, path = outcomes.run(work(), as_json=as_json)
    _finish(answer, path, as_json=as_json)


def _name_phase(header: envelope_pb2.Header, case: str, phase: int) -> None:
    """The case and phase of a later phase; what the file states wins over the options. Raises InputError."""
    header.case = header.case or case
    header.phase = header.phase or phase
    if not header.case or header.phase < 2:
        raise InputError(
            "a later phase names its case: --case, or header.case of the file, and header.phase from 2 on",
            "第二阶段起须写明所属案件：用 --case 或者文件的 header.case，且 header.phase 不小于 2",
        )


def _finish(answer: Answer, path: Path, *, as_json: bool) -> None:
    if as_json:
        show.print_json({**show.answer_to_dict(answer), "file": str(path)})
    else:
        show.print_answer(answer)
        show.console().print(Text(f"  {'kept 存档':<18} {path}"))
        show_pending(answer, path)
    raise typer.Exit(show.exit_status_of(answer))


def _signed_terms(read: ApplicationFile, settings: ClientSettings, terms: Path | None) -> bytes:
    if terms is None:
        return terms_of(read, settings)
    data = read_file(terms)
    try:
        registry = terms_pb2.Terms.FromString(data).registry
    except DecodeError:
        registry = ""
    if not registry:  # what no serialization of ours lacks
        raise InputError(
            f"{terms} is not serialized terms: name the terms.bin that `diya forms` wrote beside the forms",
            f"{terms} 不是序列化的申请内容：请指定 diya forms 与表单一同生成的 terms.bin",
        )
    return data
