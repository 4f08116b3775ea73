"""What the commands that send a later act share: keep what was signed, show the answer, end with its status."""

from __future__ import annotations

import shlex
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer
from rich.console import Console
from rich.text import Text

from gateway.cli import outcomes, show
from gateway.client.errors import InputError, RequestError
from gateway.client.local_files import make_folder
from gateway.client.payloads import header_of
from gateway.client.reasons import ErrorReason
from gateway.client.receipt_file import KeptAct, write_act
from gateway.client.session import Answer

NameArgument = Annotated[str, typer.Argument(help="Resource name of the application, or its id.")]
PartyOption = Annotated[
    list[str] | None, typer.Option("--party", help="Id of a party of the terms. May be repeated.")
]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; it is kept.")]
ReceiptsOption = Annotated[Path, typer.Option("--receipts", help="Folder that keeps the receipts.")]
RECEIPTS: Final = Path("receipts")


def finish(work: Coroutine[Any, Any, Answer], receipts: Path, *, as_json: bool) -> NoReturn:
    """Do the work, keep its act with the receipt, show the answer, end with the status that belongs to it."""
    answer = outcomes.run(_kept(work, receipts), as_json=as_json)
    if as_json:
        show.print_json(show.answer_to_dict(answer))
    else:
        show.print_answer(answer)
        show_pending(answer, receipts / f"{answer.request_id}.json")
    raise typer.Exit(show.exit_status_of(answer))


async def _kept(work: Coroutine[Any, Any, Answer], receipts: Path) -> Answer:
    """The answer, once it is on disk. Where nobody knows whether the act was taken, or a second person has to sign it
    too, what was signed is kept to be sent again with the same bytes (`diya submit resend`).
    """
    try:
        make_folder(receipts)  # before anything is sent: afterwards it would be too late
    except InputError:
        work.close()
        raise
    try:
        answer = await work
    except RequestError as error:
        if error.envelope is not None and _to_be_sent_again(error):
            path = receipts / f"{header_of(error.envelope).request_id}.json"
            write_act(path, KeptAct(error.envelope))
            _say_resend(error, path)
        raise
    write_act(receipts / f"{answer.request_id}.json", KeptAct.of_answer(answer))
    return answer


@contextmanager
def resendable(path: Path) -> Iterator[None]:
    """Send what is kept in `path`: where nobody knows whether it was taken, say how it is sent again."""
    try:
        yield
    except RequestError as error:
        if _to_be_sent_again(error):
            _say_resend(error, path)
        raise


def show_pending(answer: Answer, path: Path) -> None:
    """Where the receipt is yet to come, say how it is fetched."""
    if answer.is_pending:
        wait = "回执尚未发布，稍后补取 / the receipt is to come, fetch it later:"
        show.console().print(Text(f"  {wait} diya receipt complete {shlex.quote(str(path))}", style="yellow"))


def _to_be_sent_again(error: RequestError) -> bool:
    return (
        error.is_outcome_unknown or error.may_retry or error.reason == ErrorReason.SECOND_SIGNATURE_REQUIRED
    )


def _say_resend(error: RequestError, path: Path) -> None:
    """Before the error itself: the command for people, the file for programs."""
    error.metadata["kept"] = str(path)
    again = "已签内容已存档，请原样重发 / what was signed is kept, send it again: "
    command = f"diya submit resend {shlex.quote(str(path))}"
    if error.reason == ErrorReason.SECOND_SIGNATURE_REQUIRED:
        again = "已签内容已存档，请另一人加签后重发 / what was signed is kept, a second person signs, then send it: "
        command = f"diya submit countersign {shlex.quote(str(path))} --config SECOND.toml && {command}"
    Console(stderr=True, highlight=False, soft_wrap=True).print(Text(again + command))
