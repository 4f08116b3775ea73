"""Uploading the papers that a command names, one bar each."""

from __future__ import annotations

from collections.abc import Sequence

from rich.progress import Progress, TaskID
from rich.text import Text

from gateway.cli import show
from gateway.cli.application_file import PaperFile
from gateway.client.client import DiyaClient
from gateway.client.files import ProgressCallback
from gateway.pb.diya.v1 import envelope_pb2


async def upload(
    client: DiyaClient, papers: Sequence[PaperFile], *, hidden: bool
) -> list[envelope_pb2.FileReference]:
    """Upload every paper, one bar each; problems of a file are shown and do not stop anything here."""
    references = []
    with show.transfer_progress(hidden=hidden) as bars:
        for paper in papers:
            task = bars.add_task(f"{paper.paper_code} {paper.path.name}", total=None)
            uploaded = await client.upload_file(paper.path, progress=_bar(bars, task))
            for problem in uploaded.problems:
                bars.console.print(
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


def _bar(bars: Progress, task: TaskID) -> ProgressCallback:
    """The progress callback of one upload."""

    def update(done: int, total: int) -> None:
        bars.update(task, completed=done, total=total)

    return update
