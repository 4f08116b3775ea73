"""Over the real wire: what each institution is shown of a two-bank deal, and what it is not.

Bank B files a combined case: the loan's terms and its contract are B's and the registrar's, the payoff statement is the
two banks'. Bank A is to join; the fund centre is no part of it. Nobody is told another's identity numbers but in the
terms that all of them sign.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
from msgspec.structs import replace

from gateway.client import manifest as build
from gateway.client.acts import target_of_envelope
from gateway.client.errors import RequestError
from gateway.client.session import Answer
from gateway.demo.cases import CLERK
from gateway.demo.cases import Filing as Desk
from gateway.demo.stage import INSTITUTIONS, REGISTRAR_KEY
from gateway.pb.diya.v1 import application_pb2, codes_pb2, envelope_pb2, file_service_pb2
from gateway.pb.diya.v1.file_service_pb2_grpc import FileServiceStub
from gateway.register.sample import SAMPLE
from tests.integration.test_case_reads import read
from tests.integration.test_party_service import events_of, party, pending
from tests.support.dealing import mortgaged
from tests.support.stage import Town

pytestmark = pytest.mark.asyncio(loop_scope="session")

LOAN: Final = b"rate 3.1, margin 0.4"
BANKS: Final = [INSTITUTIONS[key].id_number for key in ("bank-a", "bank-b")]

#: Who may read a paper besides registrar and sender; a paper that is not here goes to every institution of the case.
READERS: Final = {"PRINCIPAL_CONTRACT": BANKS[1:], "PAYOFF_STATEMENT": BANKS, "BANK_APPROVAL": BANKS[1:]}


class Private(Desk):
    """A desk that says who may read what."""

    async def _submit(self, kind: codes_pb2.ApplicationKind.ValueType, terms: bytes) -> Answer:
        for reference in self.desk.references:
            reference.readers.extend(READERS.get(reference.paper_code, ()))
        header = build.header(
            self.client.session.registry,
            request_id=self.client.session.new_request_id(),
            created_at=self.client.session.clock(),
            channel_institution=INSTITUTIONS[self.channel].id_number,
            applicant_institution=self.mortgagee.id_number,
            clerk=CLERK,
        )
        section = envelope_pb2.SectionReference(name="loan", sha256=hashlib.sha256(LOAN).digest())
        manifest = build.manifest(kind, header, terms, files=self.desk.references, sections=[section])
        envelope = build.sign_submission(self.stage.signer(self.channel).signer(), manifest)
        return await self.client.submit(envelope, sections=[envelope_pb2.Section(name="loan", content=LOAN)])


@pytest_asyncio.fixture(loop_scope="session")
async def deal(town: Town, tmp_path: Path) -> Answer:
    """The case, filed and awaiting bank A."""
    client = await town.client("bank-b", "jiangyin")
    desk = Private(town.stage, client, "bank-b", "bank-b", tmp_path, town.clock())
    flat, proof = await mortgaged(town)
    unit = replace(flat, proofs=(proof,))
    # Whose flat is no free one, and so never the one that is sold.
    buyer = SAMPLE.mortgaged_by_bank_a_jiangyin.owner
    answer = await desk.transfer(unit, buyer, 200_000_000, 100_000_000, "bank-a")
    assert answer.result == "AWAITING_PARTIES", answer.outcome.findings
    return answer


def papers_of(case: application_pb2.Application) -> dict[str, Any]:
    """The files of a dossier by their paper."""
    return {f.reference.paper_code: f for f in case.dossier.files}


async def download(town: Town, key: str, case: str, sha256: bytes) -> str:
    """Ask for a file of the case: "yes", or the reason why not."""
    request = file_service_pb2.GetFileRequest(
        name=f"registries/jiangyin/files/{sha256.hex()}", application=case
    )
    session = await town.session(key, "jiangyin")
    try:
        await session.call(FileServiceStub(session.connection.channel).GetFile, request)
    except RequestError as refused:
        return refused.reason
    return "yes"


async def test_each_party_of_a_two_bank_deal_sees_its_own(town: Town, deal: Answer) -> None:
    """Files, sections, verdicts, waiting list and events: by filing bank, old bank, registrar and stranger."""
    name = deal.outcome.application
    filer, registrar = await read(town, "bank-b", name), await read(town, REGISTRAR_KEY, name)
    everything = papers_of(filer)
    assert set(papers_of(registrar)) == set(everything)
    assert (
        [s.content for s in filer.dossier.sections]
        == [s.content for s in registrar.dossier.sections]
        == [LOAN]
    )

    old = await read(town, "bank-a", name)
    hidden = {code for code, readers in READERS.items() if BANKS[0] not in readers}
    assert set(papers_of(old)) == set(everything) - hidden
    assert not old.dossier.sections
    assert LOAN not in old.SerializeToString()
    for code, file in everything.items():
        expected = "FILE_NOT_FOUND" if code in hidden else "yes"
        assert await download(town, "bank-a", name, file.reference.sha256) == expected, code

    numbers = {s.id_number for f in everything.values() for s in f.file.verdict.signatures} - set(BANKS)
    assert numbers
    shown = {s.id_number for f in papers_of(old).values() for s in f.file.verdict.signatures}
    assert not numbers & shown
    told = str([old.findings, old.awaiting])
    assert not [number for number in numbers if number in told]


async def test_stranger_of_a_two_bank_deal_sees_nothing(town: Town, deal: Answer) -> None:
    """Not the case, not its files, not that it waits, no event; and what it tries is answered as the unknown is."""
    name = deal.outcome.application
    files = papers_of(await read(town, "bank-b", name))
    await town.told(lambda: read(town, "fund-centre", name), "APPLICATION_NOT_FOUND")
    for code, file in files.items():
        assert await download(town, "fund-centre", name, file.reference.sha256) != "yes", code
    stranger = await party(town, "fund-centre")
    assert await pending(stranger, name) == []
    assert await events_of(town, "fund-centre", name) == []
    for act in (stranger.join(target_of_envelope(name, deal.envelope), ["old"]), _consent(stranger, deal)):
        with pytest.raises(RequestError) as refused:
            await act
        assert refused.value.reason == "APPLICATION_NOT_FOUND"


async def test_old_bank_is_asked_told_and_shown_what_it_joins(town: Town, deal: Answer) -> None:
    """It finds the case, reads the very bytes that it binds itself to, joins its release, and the filer is told."""
    name = deal.outcome.application
    old = await party(town, "bank-a")
    [case] = await pending(old, name)
    assert [a.party for a in case.awaited] == ["old"]
    assert "AWAITING_PARTIES" in await events_of(town, "bank-a", name)
    joined = await old.join(target_of_envelope(name, deal.envelope), ["old"], operations=[1])
    assert joined.result == "ACCEPTED", joined.outcome.findings
    assert (await events_of(town, "bank-b", name))[-1] == "ACCEPTED"
    assert await pending(old, name) == []


def _consent(stranger: Any, deal: Answer) -> Any:
    return stranger.consent(target_of_envelope(deal.outcome.application, deal.envelope))
