"""Uploading the papers that a command names, each with its detached signatures, one bar a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

from gateway.cli import show
from gateway.cli.application_file import PaperFile
from gateway.client.client import DiyaClient
from gateway.client.files import SIGNATURE, UploadedFile
from gateway.pb.diya.v1 import envelope_pb2


async def upload(
    client: DiyaClient, papers: Sequence[PaperFile], *, hidden: bool
) -> list[envelope_pb2.FileReference]:
    """Upload every paper and the signatures beside it; problems of a file are shown and do not stop anything here."""
    references = []
    with show.Transfers(hidden=hidden) as transfers:

        async def one(paper: PaperFile, path: Path, signs: bytes = b"") -> UploadedFile:
            bar = transfers.bar(f"{paper.paper_code} {path.name}")
            media_type = SIGNATURE if signs else ""
            uploaded = await client.upload_file(path, media_type=media_type, signs=signs, progress=bar)
            for problem in uploaded.problems:
                transfers.console.print(
                    Text(f"{path}: {problem.code} {problem.zh} / {problem.en}", style="yellow")
                )
            references.append(
                uploaded.as_paper(
                    paper.paper_code,
                    readers=paper.readers,
                    operations=paper.operations,
                    parties=paper.parties,
                )
            )
            return uploaded

        for paper in papers:
            uploaded = await one(paper, paper.path)
            for signature in paper.signatures:
                await one(paper, signature, uploaded.sha256)
    return references
