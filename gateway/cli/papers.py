"""Uploading the papers that a command names, one bar each."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from gateway.cli import show
from gateway.cli.application_file import PaperFile
from gateway.client.client import DiyaClient
from gateway.pb.diya.v1 import envelope_pb2


async def upload(
    client: DiyaClient, papers: Sequence[PaperFile], *, hidden: bool
) -> list[envelope_pb2.FileReference]:
    """Upload every paper, one bar each; problems of a file are shown and do not stop anything here."""
    references = []
    with show.Transfers(hidden=hidden) as transfers:
        for paper in papers:
            bar = transfers.bar(f"{paper.paper_code} {paper.path.name}")
            uploaded = await client.upload_file(paper.path, progress=bar)
            for problem in uploaded.problems:
                transfers.console.print(
                    Text(f"{paper.path}: {problem.code} {problem.zh} / {problem.en}", style="yellow")
                )
            references.append(
                uploaded.as_paper(
                    paper.paper_code,
                    readers=paper.readers,
                    operations=paper.operations,
                    parties=paper.parties,
                )
            )
    return references
