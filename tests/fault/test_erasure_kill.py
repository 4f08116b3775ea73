"""A gateway killed while it erases: what an entry says was erased is gone after the next start, all of it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.client.errors import RequestError
from gateway.storage.files import FileStore
from tests.fault.test_kill import serve
from tests.integration.test_erasure import cleared, draft
from tests.support.played import database
from tests.support.stage import town_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

DRAFTS = 3


def keys(folder: Path, applications: list[str]) -> int:
    """How many of these applications have their key."""
    marks = ", ".join("?" * len(applications))
    with closing(sqlite3.connect(database(folder))) as connection:
        statement = f"SELECT count(*) FROM ledger_key WHERE key_id IN ({marks})"
        return int(connection.execute(statement, applications).fetchone()[0])


async def test_erasure_killed_leaves_nothing_half_done(own_folder: Path, tmp_path: Path) -> None:
    """Killed right behind the answers, before the files could go: key, rows and files of each act are gone together."""
    async with serve(own_folder, tmp_path / "log") as server:
        cases = [await draft(server.town) for _ in range(DRAFTS)]
        operator = await server.town.operator()
        for _, answer in cases:
            await operator.erase_evidence(answer.outcome.application, "NEVER_ACCEPTED")
        await server.kill()
    ids = [answer.outcome.application.rpartition("/")[2] for _, answer in cases]
    assert keys(own_folder, ids) == 0
    async with town_of(own_folder) as town:
        await cleared(town)
        bank = await town.client("bank-a")
        for filing, answer in cases:
            assert (await bank.get_application(answer.outcome.application)).erased_index
            for reference in filing.references:
                assert not town.gateway.files.has(reference.sha256.hex())
            assert [one async for one in bank.list_applications(unit_code=filing.unit.unit_code)] == []


async def test_erasure_whose_commit_failed_erased_nothing(own_folder: Path) -> None:
    """The database refuses the commit: the key, the files and the answer stand, and the act can be sent again."""
    async with town_of(own_folder) as town:
        filing, answer = await draft(town)
        application = answer.outcome.application
        with closing(sqlite3.connect(database(own_folder))) as connection, connection:
            connection.execute(
                "CREATE TRIGGER full BEFORE INSERT ON ledger_erasure BEGIN SELECT RAISE(ABORT, 'disk full'); END"
            )
        operator = await town.operator()
        with pytest.raises(RequestError):
            await operator.erase_evidence(application, "NEVER_ACCEPTED")
        await cleared(town)
        files: FileStore = town.gateway.files
        assert keys(own_folder, [application.rpartition("/")[2]]) == 1
        assert all(files.has(reference.sha256.hex()) for reference in filing.references)
        assert (await (await town.client("bank-a")).get_application(application)).erased_index == 0
        with closing(sqlite3.connect(database(own_folder))) as connection, connection:
            connection.execute("DROP TRIGGER full")
        await operator.erase_evidence(application, "NEVER_ACCEPTED")
        await cleared(town)
        assert not any(files.has(reference.sha256.hex()) for reference in filing.references)
