"""The papers of the demo: real Chinese PDF files, signed by those who must, uploaded by the bank."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path

from gateway.client.client import DiyaClient
from gateway.forms.papers import contract_pdf
from gateway.pb.diya.v1 import envelope_pb2
from signing.pki import Credential
from signing.seal import append_signature


class Desk:
    """Makes, signs and uploads papers for one case; keeps a copy of each in a folder."""

    def __init__(self, client: DiyaClient, folder: Path, now: dt.datetime) -> None:
        self._client = client
        self._folder = folder
        self._now = now
        folder.mkdir(parents=True, exist_ok=True)
        self.references: list[envelope_pb2.FileReference] = []

    async def paper(self, code: str, title: str, paragraphs: list[str], *signers: Credential) -> None:
        """Write a paper, have it signed one after another, upload it under its code."""
        names = [credential.certificate.name for credential in signers]
        pdf = await asyncio.to_thread(contract_pdf, title, paragraphs, signers=names, created_at=self._now)
        await self.signed(code, pdf, *signers)

    async def signed(self, code: str, pdf: bytes, *signers: Credential) -> None:
        """Have a given PDF signed and upload it."""
        for credential in signers:
            pdf = await asyncio.to_thread(
                append_signature, pdf, credential.signer(), reason="本人确认并签署", at=self._now
            )
        path = self._folder / f"{len(self.references) + 1}-{code}.pdf"
        path.write_bytes(pdf)
        uploaded = await self._client.upload_file(path)
        if uploaded.problems:
            raise RuntimeError(f"{path}: " + "; ".join(p.en for p in uploaded.problems))
        self.references.append(uploaded.as_paper(code))
