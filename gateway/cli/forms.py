"""`diya forms`: the application form and the record of questions, for persons to sign."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from gateway.cli import opening, outcomes, show
from gateway.cli.application_file import read_application, terms_of
from gateway.cli.settings import ConfigOption, JsonOption, load_settings
from gateway.client.local_files import make_folder


def forms(
    application: Annotated[
        Path,
        typer.Argument(metavar="APPLICATION.json", help="Header and terms, as for `diya submit`."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the forms.")] = Path("forms"),
    party: Annotated[
        list[str] | None,
        typer.Option("--party", help="Only for this party; every person by default."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Render the forms that natural persons sign (生成申请书和询问记录).

    Writes one PDF for each form, and terms.bin: the exact terms that the forms embed. Have the PDFs
    signed, then submit them with --terms terms.bin, so that the same bytes are filed.

    \b
    Example:
      diya forms case.json --out forms
      diya submit mortgage case.json --terms forms/terms.bin --file APPLICATION=forms/signed.pdf
    """

    async def work() -> list[dict[str, Any]]:
        settings = load_settings(config)
        read = read_application(application)
        terms = terms_of(read, settings)
        make_folder(out)
        async with opening.open_client(settings) as client:
            rendered = await client.render_forms(terms, parties=party or (), answers=read.answers)
        (out / "terms.bin").write_bytes(terms)
        written: list[dict[str, Any]] = []
        for number, form in enumerate(rendered, start=1):
            path = out / f"{number:02d}-{form.paper_code}-{Path(form.file_name).name or 'form.pdf'}"
            path.write_bytes(form.pdf)
            written.append(
                {
                    "paperCode": form.paper_code,
                    "path": str(path),
                    "parties": list(form.parties),
                    "sha256": form.sha256.hex(),
                }
            )
        return written

    written = outcomes.run(work(), as_json=as_json)
    if as_json:
        show.print_json({"terms": str(out / "terms.bin"), "forms": written})
        return
    for one in written:
        who = "、".join(one["parties"])
        show.console().print(Text(f"{one['paperCode']:<16} {one['path']}  {who}"))
    show.console().print(Text(f"{'terms':<16} {out / 'terms.bin'}"))
