"""Evidence erased by an operator's act, where the law allows; uploads that nobody claimed, by themselves."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import sqlalchemy as sa

from gateway.client import manifest as build
from gateway.client.acts import target_of_envelope
from gateway.client.admin import AdminClient
from gateway.client.errors import RequestError
from gateway.client.ledger import LedgerClient
from gateway.client.payloads import envelope_to_wire
from gateway.client.session import Actor, Answer
from gateway.demo.stage import INSTITUTIONS
from gateway.pb.diya.v1 import admin_service_pb2, file_service_pb2, finding_pb2, registration_service_pb2
from gateway.pb.diya.v1.file_service_pb2_grpc import FileServiceStub
from gateway.rounds.eraser import Eraser
from gateway.storage import tables
from gateway.storage.settings import Settings
from gateway.storage.working import Working
from tests.support.filing import Filing
from tests.support.founding import copy_of
from tests.support.played import audited, database
from tests.support.signed_papers import paper
from tests.support.stage import MovedClock, Town, town_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

DAY = 24 * 3600
GROUND = finding_pb2.Finding(rule="R-CONFLICT", article="IR 22", zh="不一致", en="differs")
NEVER, WITHDRAWN, REFUSED = "NEVER_ACCEPTED", "WITHDRAWN", "REFUSED"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def place(founded: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """A town whose taizhou keeps ended cases for 30 days, and whose jiangyin keeps them for ever."""
    async with town_of(copy_of(founded, tmp_path_factory.mktemp("erasing"))) as town:
        await keep_for(town, 30)
        yield town


async def keep_for(town: Town, days: int, registry: str = "taizhou") -> None:
    """A profile that keeps ended cases for so many days."""
    operator = await town.operator(registry)
    profile = (await operator.get_profile()).profile
    profile.version += 1
    profile.source = profile.source or "测试规范"
    profile.ended_case_retention_days = days
    await operator.set_profile(profile)


async def erase(
    town: Town, answer: Answer, ground: str = NEVER, registry: str = "jiangyin"
) -> admin_service_pb2.EraseEvidenceResponse:
    """An operator erases the evidence of a case, and its files have gone."""
    done = await (await town.operator(registry)).erase_evidence(answer.outcome.application, ground, "2026-17")
    await cleared(town)
    return done.value


async def cleared(town: Town) -> None:
    """The eraser has been told of every commit, and has done its work."""
    await asyncio.wrap_future(town.gateway.sequencer.run(lambda connection: None))
    await town.gateway.eraser.work()


async def kept(town: Town, answer: Answer, ground: str, registry: str = "taizhou") -> RequestError:
    """Erasing is refused, in both languages and naming the article, and nothing was entered."""
    size = town.ledger_size(registry)
    with pytest.raises(RequestError) as caught:
        await erase(town, answer, ground, registry)
    assert (caught.value.reason, caught.value.code) == ("ERASURE_NOT_ALLOWED", "FAILED_PRECONDITION")
    assert caught.value.metadata["article"] in str(caught.value)
    assert town.ledger_size(registry) == size
    return caught.value


async def draft(town: Town) -> tuple[Filing, Answer]:
    """A mortgage that was not accepted, for a paper is missing; it names the others."""
    filing = town.mortgage().sign()
    del filing.papers["MORTGAGE_CONTRACT"]
    answer = await (await filing.upload()).submit()
    assert answer.result == "NOT_ACCEPTED"
    return filing, answer


async def refused(town: Town) -> tuple[Filing, Answer]:
    """A case that was accepted, and refused by the registrar."""
    filing, answer = await town.in_review()
    review, name = await town.registrar(), answer.outcome.application
    await review.claim(await review.open(name))
    assert (await review.refuse(await review.open(name), [GROUND], opinion="不予登记")).result == "REFUSED"
    return filing, answer


async def withdrawn(town: Town) -> tuple[Filing, Answer]:
    """A case that was accepted, and withdrawn by all."""
    filing, answer = await town.in_review()
    client = await town.client("bank-a", "taizhou")
    file = await town.upload(
        paper("withdrawal", *(town.citizen(o) for o in filing.owners)), registry="taizhou"
    )
    await client.withdraw(
        town.key("bank-a").signer(),
        Actor(INSTITUTIONS["bank-a"].id_number, build.clerk("经办员", "D-001")),
        target_of_envelope(answer.outcome.application, answer.envelope),
        parties=["bank", "owner-1"],
        files=[build.file_reference("WITHDRAWAL", file.sha256, file.size_bytes)],
    )
    filing.references.append(build.file_reference("WITHDRAWAL", file.sha256, file.size_bytes))
    return filing, answer


def stored(town: Town, filing: Filing) -> list[bool]:
    """Of each file of a case: whether its bytes are in the store."""
    return [town.gateway.files.has(reference.sha256.hex()) for reference in filing.references]


def rows(town: Town, table: Any, **where: Any) -> list[Any]:
    """Rows of a table."""
    with town.gateway._reader.begin() as connection:
        return list(connection.execute(table.select().filter_by(**where)))


def ident(answer: Answer) -> str:
    """The application's id."""
    return answer.outcome.application.rpartition("/")[2]


# -- what goes, and what stays ---------------------------------------------------------------------------------------


async def test_evidence_files_search_and_answers_of_a_draft_are_gone(place: Town) -> None:
    """After the act: no part opens, no file is there, no unit leads to it, no answer is told; the entry still is."""
    filing, answer = await draft(place)
    bank = await place.client("bank-a")
    unit = filing.unit.unit_code
    assert [one.name async for one in bank.list_applications(unit_code=unit)] == [answer.outcome.application]
    assert all(stored(place, filing))
    done = await erase(place, answer)
    assert done.erased_index == done.receipt.index == place.ledger_size() - 1
    assert not any(stored(place, filing))
    assert [one async for one in bank.list_applications(unit_code=unit)] == []
    told = await bank.get_application(answer.outcome.application, full=True)
    assert (told.erased_index, list(told.unit_codes), list(told.findings)) == (done.erased_index, [], [])
    assert not told.HasField("clerk")
    for table in (tables.application_unit, tables.open_case):
        assert rows(place, table, application_id=ident(answer)) == []
    [body] = [row.body for row in rows(place, tables.application, application_id=ident(answer))]
    assert unit.encode() not in body
    for reference in filing.references:
        assert rows(place, tables.file, sha256=reference.sha256.hex()) == []
        download = file_service_pb2.GetFileRequest(name=f"registries/jiangyin/files/{reference.sha256.hex()}")
        await place.told(
            lambda d=download: place.stub(FileServiceStub, "bank-a").GetFile(d), "FILE_NOT_FOUND"
        )
    ledger = await place.gateway.queries.head("jiangyin")
    assert ledger.size == done.erased_index + 1


async def test_answer_of_an_erased_case_is_not_told_again_and_says_why(place: Town) -> None:
    """The request sent again, and its receipt asked for: EVIDENCE_ERASED, which names the entry; nothing is entered."""
    filing, answer = await draft(place)
    envelope = filing.envelope()
    request = filing.request(envelope)
    index = str((await erase(place, answer)).erased_index)
    stub = place.registration("bank-a")
    again = await place.told(
        lambda: stub.SubmitMortgage(filing.request(_as_sent(answer))), "EVIDENCE_ERASED", "NOT_FOUND"
    )
    assert again.metadata["erasedIndex"] == index
    asked = registration_service_pb2.GetReceiptRequest(
        parent="registries/jiangyin", request_id=request.request_id
    )
    receipt = await place.told(lambda: stub.GetReceipt(asked), "EVIDENCE_ERASED", "NOT_FOUND")
    assert receipt.metadata["erasedIndex"] == index


def _as_sent(answer: Answer) -> Any:
    """The envelope of an answer, for the wire."""
    return envelope_to_wire(answer.envelope)


async def test_erasing_twice_is_as_once(place: Town) -> None:
    """A second act answers with the first one's entry and enters nothing; the same act sent again too."""
    _, answer = await draft(place)
    first = await erase(place, answer)
    size = place.ledger_size()
    second = await erase(place, answer)
    assert second.erased_index == first.erased_index
    assert not second.HasField("receipt")
    assert place.ledger_size() == size


async def test_file_that_another_case_names_stays(place: Town) -> None:
    """Two drafts name the same papers: the files go with the second."""
    filing, first = await draft(place)
    filing.request_id = place.mortgage(filing.unit).request_id
    second = await filing.submit()
    await erase(place, first)
    assert all(stored(place, filing))
    await erase(place, second)
    assert not any(stored(place, filing))


async def test_erased_entry_says_so_to_who_reads_the_ledger(
    place: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`erased_by` of the entry, and verify counts its parts as erased by law; the views are what the entries say.

    One entry is read in one snapshot: what erased it is no second question.
    """
    _, answer = await draft(place)
    done = await erase(place, answer)
    session = await place.session("auditor")
    ledger = LedgerClient(session)
    assert answer.receipt is not None
    monkeypatch.setattr(place.gateway.queries, "erased_entries", None)
    assert (await ledger.entry(answer.receipt.index)).erased_by == done.erased_index
    assert (await ledger.entry(done.erased_index)).erased_by is None
    for registry in ("jiangyin", "taizhou"):
        report = audited(place.folder, registry)
        assert report.ok, report.divergences


# -- when ------------------------------------------------------------------------------------------------------------


async def test_booked_case_is_kept_for_ever(place: Town) -> None:
    """IR 13: what was registered, and what it was registered on."""
    _, answer = await place.booked()
    for ground in (NEVER, WITHDRAWN, REFUSED):
        assert "IR 13" in (await kept(place, answer, ground, "jiangyin")).metadata["article"]


async def test_case_under_way_is_kept(place: Town) -> None:
    """Accepted and waiting for a registrar."""
    _, answer = await place.in_review()
    for ground in (NEVER, WITHDRAWN, REFUSED):
        told = await kept(place, answer, ground)
        assert (told.metadata["state"], "IR 13" in told.metadata["article"]) == ("ACCEPTED", True)


async def test_ground_must_be_the_cases_own(place: Town) -> None:
    """A refused case is not erased as withdrawn, nor as a draft; the refusal says which ground it has."""
    _, answer = await refused(place)
    for ground in (NEVER, WITHDRAWN):
        assert (await kept(place, answer, ground)).metadata["ground"] == REFUSED
    _, answer = await draft(place)
    assert (await kept(place, answer, REFUSED, "jiangyin")).metadata["ground"] == NEVER


@pytest.mark.parametrize(("how", "ground"), [(refused, REFUSED), (withdrawn, WITHDRAWN)])
async def test_accepted_case_goes_after_its_retention_only(own_folder: Path, how: Any, ground: str) -> None:
    """0 days: never. 30 days: not a day earlier, and then with all its files; the day is told."""
    clock = MovedClock()
    async with town_of(own_folder, clock=clock) as town:
        filing, answer = await how(town)
        assert "ended_case_retention_days" in str(await kept(town, answer, ground))
        await keep_for(town, 30)
        told = await kept(town, answer, ground)
        until = dt.datetime.fromisoformat(told.metadata["keptUntil"])
        clock.move((until - clock()).total_seconds() - 60)
        await kept(town, answer, ground)
        assert all(stored(town, filing))
        clock.move(120)
        assert rows(town, tables.paper, application_id=ident(answer)) != []
        await erase(town, answer, ground, "taizhou")
        assert not any(stored(town, filing))
        assert rows(town, tables.paper, application_id=ident(answer)) == []


async def test_unknown_application_is_not_found(place: Town) -> None:
    """Also one of another registry."""
    _, answer = await draft(place)
    operator = await place.operator("taizhou")
    for name in (answer.outcome.application, "0192f0c1-0000-7000-8000-000000000000"):
        with pytest.raises(RequestError) as caught:
            await operator.erase_evidence(name, NEVER)
        assert caught.value.reason == "APPLICATION_NOT_FOUND"


async def test_banks_and_registrars_do_not_erase(place: Town) -> None:
    """It is an operator's act."""
    _, answer = await draft(place)
    for key in ("bank-a", "registrar"):
        client = AdminClient(await place.session(key), place.stage.signer(key).signer())
        with pytest.raises(RequestError) as caught:
            await client.erase_evidence(answer.outcome.application, NEVER)
        assert caught.value.reason == "PERMISSION_DENIED"


# -- for good --------------------------------------------------------------------------------------------------------


async def test_what_a_backup_brought_back_goes_at_the_next_start(own_folder: Path, tmp_path: Path) -> None:
    """Files and keys of before the erasure put back beside the ledger of after it: gone once it has started."""
    async with town_of(own_folder) as town:
        filing, answer = await draft(town)
        _, booked = await town.booked()
    shutil.copytree(own_folder / "data", tmp_path / "backup")
    async with town_of(own_folder) as town:
        await erase(town, answer)
    shutil.copytree(tmp_path / "backup" / "files", own_folder / "data" / "files", dirs_exist_ok=True)
    with closing(sqlite3.connect(database(own_folder))) as connection, connection:
        connection.execute(f"ATTACH '{tmp_path / 'backup' / 'diya.db'}' AS old")
        for table in ("ledger_key", "file", "file_claim", "file_claims_read"):
            connection.execute(f'DELETE FROM main."{table}"')
            connection.execute(f'INSERT INTO main."{table}" SELECT * FROM old."{table}"')
    async with town_of(own_folder) as town:
        await town.gateway.eraser.work()
        assert not any(stored(town, filing))
        assert rows(town, tables.file, sha256=filing.references[0].sha256.hex()) == []
        assert _keys(own_folder, ident(answer)) == 0
        assert _keys(own_folder, ident(booked)) == 1


async def test_served_before_what_came_back_is_gone_and_not_read_meanwhile(
    own_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The start waits for no file and no entry to be read; a file that is to go is nobody's until it has gone.

    Uploaded anew it is received again, and stays.
    """
    async with town_of(own_folder) as town:
        filing, answer = await draft(town)
    shutil.copytree(own_folder / "data", tmp_path / "backup")
    async with town_of(own_folder) as town:
        await erase(town, answer)
    shutil.copytree(tmp_path / "backup" / "files", own_folder / "data" / "files", dirs_exist_ok=True)
    with closing(sqlite3.connect(database(own_folder))) as connection, connection:
        connection.execute(f"ATTACH '{tmp_path / 'backup' / 'diya.db'}' AS old")
        for table in ("file", "file_claim", "file_claims_read"):
            connection.execute(f'DELETE FROM main."{table}"')
        connection.execute("INSERT INTO main.file SELECT * FROM old.file")
    monkeypatch.setattr("gateway.rounds.eraser.ENTRIES_TOLD", 1)
    monkeypatch.setattr("gateway.rounds.eraser.ENTRIES_AT_ONCE", 2)
    caplog.set_level(logging.INFO, "gateway.rounds.eraser")
    mended = asyncio.Event()
    reading = Eraser._read_claims

    async def late(self: Eraser, registry: str) -> None:
        """A ledger whose reading takes long."""
        await mended.wait()
        await reading(self, registry)

    monkeypatch.setattr(Eraser, "_read_claims", late)
    async with town_of(own_folder) as town:
        first, *others = filing.references
        stub = town.stub(FileServiceStub, "bank-a")
        for reference in filing.references:
            name = f"registries/jiangyin/files/{reference.sha256.hex()}"
            request = file_service_pb2.GetFileRequest(name=name)
            await town.told(lambda r=request: stub.GetFile(r), "FILE_NOT_FOUND")
        assert all(stored(town, filing))
        papers = [data for several in filing.papers.values() for data in several]
        [again] = [data for data in papers if sha256(data).digest() == first.sha256]
        assert (await town.upload(again)).sha256 == first.sha256
        mended.set()
        await town.gateway.eraser.work()
        assert stored(town, filing) == [True, *[False] * len(others)]
        assert any("entries left" in one.getMessage() for one in caplog.records)


async def test_upload_made_anew_after_the_erasure_stays(own_folder: Path) -> None:
    """The bank uploads the paper again for a new case: a restart does not take it for what was erased."""
    async with town_of(own_folder) as town:
        filing, answer = await draft(town)
        await erase(town, answer)
        await filing.upload()
        assert all(stored(town, filing))
    async with town_of(own_folder) as town:
        await town.gateway.eraser.work()
        assert all(stored(town, filing))


def _keys(folder: Path, application: str) -> int:
    with closing(sqlite3.connect(database(folder))) as connection:
        found = connection.execute("SELECT count(*) FROM ledger_key WHERE key_id = ?", (application,))
        return int(found.fetchone()[0])


# -- unclaimed uploads -----------------------------------------------------------------------------------------------


async def test_upload_that_no_case_names_goes_by_itself(own_folder: Path) -> None:
    """After the profile's 30 days, not before. What a case names stays."""
    clock = MovedClock()
    async with town_of(own_folder, clock=clock) as town:
        claimed, answer = await draft(town)
        file = await town.upload(paper("nobody's"))
        expires = file.expires_at.ToDatetime(dt.UTC)
        assert expires == file.uploaded_at.ToDatetime(dt.UTC) + dt.timedelta(days=30)
        files = town.stub(FileServiceStub, "bank-a")
        own = await files.GetFile(file_service_pb2.GetFileRequest(name=file.name))
        assert own.file.expires_at == file.expires_at
        named = file_service_pb2.GetFileRequest(
            name=f"registries/jiangyin/files/{claimed.references[0].sha256.hex()}",
            application=answer.outcome.application,
        )
        assert not (await files.GetFile(named)).file.HasField("expires_at")
        clock.move((expires - clock()).total_seconds() - 60)
        await town.gateway.eraser.work()
        assert town.gateway.files.has(file.sha256.hex())
        clock.move(120)
        await town.gateway.eraser.work()
        assert not town.gateway.files.has(file.sha256.hex())
        assert rows(town, tables.file, sha256=file.sha256.hex()) == []
        assert all(stored(town, claimed))


async def test_expired_upload_takes_no_certificate_of_another_registry(
    own_folder: Path, tmp_path: Path
) -> None:
    """The store is one for all registries: a sealed certificate that somebody uploads elsewhere stays where it is."""
    clock = MovedClock()
    async with town_of(own_folder, sealing=True, clock=clock) as town:
        _, answer = await town.booked()
        wanted = answer.outcome.certificates[0].name
        client = await town.client("bank-a")
        async with asyncio.timeout(40):
            async for event in client.watch_events():
                if event.certificate == wanted:  # the next one about it: it is sealed
                    break
        await client.certificates.download(wanted, tmp_path / "proof.pdf")
        await town.upload((tmp_path / "proof.pdf").read_bytes(), by="bank-a", registry="taizhou")
        clock.move(31 * DAY)
        await town.gateway.eraser.work()
        await client.certificates.download(wanted, tmp_path / "again.pdf")
        assert (tmp_path / "again.pdf").read_bytes() == (tmp_path / "proof.pdf").read_bytes()


async def test_file_brought_by_a_later_act_is_claimed(own_folder: Path) -> None:
    """A withdrawal's paper is named by that act alone: it stays as long as the case is kept."""
    clock = MovedClock()
    async with town_of(own_folder, clock=clock) as town:
        filing, _ = await withdrawn(town)
        clock.move(31 * DAY)
        await town.gateway.eraser.work()
        assert all(stored(town, filing))


# -- the fold --------------------------------------------------------------------------------------------------------


async def test_search_rows_written_in_the_same_batch_go_too() -> None:
    """A row that is still to be inserted when it is to go is never written."""
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        tables.metadata.create_all(connection)
        working = Working(connection, "jiangyin", Settings())
        key = ("unit", 1)
        row = {"unit_code": "unit", "submitted_index": 1, "application_id": "a"}
        working._insert(tables.application_unit, key, row)
        working._drop(tables.application_unit, key)
        working.flush()
        assert connection.execute(tables.application_unit.select()).all() == []
