"""A founded gateway in which a little of everything has happened, stopped again: every view has rows.

For tests that change the database past the gateway and look at what is noticed.
"""

from __future__ import annotations

import datetime as dt
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.config import load_config
from gateway.keyring.keys import read_key_encryption_key
from gateway.pb.diya.v1 import codes_pb2, register_pb2
from gateway.revocation import Fetched, command_of
from gateway.storage.engine import auditor_engine
from gateway.storage.view_audit import ViewReport, audit_views
from ledger.store import Ledger
from ledger.vault import Vault
from signing.trust import Purpose
from tests.support.feeding import Counter, seizure, stamp
from tests.support.founding import copy_of
from tests.support.payoffs import leave_a_payoff
from tests.support.stage import Town, town_of


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def played(founded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a gateway that does not run: rights booked and ended, a case open. Copy it, do not use it."""
    folder = copy_of(founded, tmp_path_factory.mktemp("played"))
    async with town_of(folder) as town:
        _, kept = await town.booked()
        await leave_a_payoff(town, kept.outcome.application, town.clock() + dt.timedelta(days=30))
        filing, answer = await town.booked()
        release = await town.release(filing, answer.outcome.certificates[0].number).sign().upload()
        assert (await release.submit()).result == "BOOKED"
        await town.in_review()
        looked, booked = await town.booked()
        bank = await town.client("bank-a")
        await bank.get_unit(looked.unit.unit_code, own_right=booked.outcome.certificates[0].number)
        await _noted(town)
        await _erased(town)
        await _fed(town)
    with closing(sqlite3.connect(database(folder))) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return folder


async def _noted(town: Town) -> None:
    """A newer list that was fetched, in place of the one that the trust was set with."""
    town.clock.move(1)
    crl = town.pki.make_crl(Purpose.PERSON, now=town.clock())
    command = command_of("jiangyin", Fetched(crls=(crl,)), ("http://crl.example/person",), "01")
    await town.gateway.sequencer.ask(command)


async def _erased(town: Town) -> None:
    """A draft that was not accepted, its evidence erased."""
    filing = town.mortgage().sign()
    del filing.papers["MORTGAGE_CONTRACT"]
    answer = await (await filing.upload()).submit()
    operator = await town.operator()
    await operator.erase_evidence(answer.outcome.application, "NEVER_ACCEPTED")


async def _fed(town: Town) -> None:
    """The counter's feed: a lender told of a seizure, an open case, an act that waits behind a hole."""
    filing, _ = await town.booked()
    counter = Counter(town, "jiangyin")
    lien = seizure(filing.unit.unit_code, filing.owners[0], town.clock())
    await counter.restrict(seizure=lien)
    flat = register_pb2.UnitState(unit=register_pb2.Unit(unit_code=town.flat().unit_code))
    case = {"type": codes_pb2.REGISTRATION_TYPE_TRANSFER, "case_number": "T-1", "units": [flat]}
    await counter.say(**case, accepted_at=stamp(town.clock()))
    await counter.say(sequence=9)


def database(folder: Path) -> Path:
    """The database of a gateway's folder."""
    return folder / "data" / "diya.db"


@contextmanager
def opened(folder: Path) -> Iterator[sqlite3.Connection]:
    """The database, past everything that keeps it; committed at the end."""
    with closing(sqlite3.connect(database(folder))) as connection, connection:
        yield connection


def audited(
    folder: Path, registry: str, progress: Callable[[int, int], None] = lambda done, total: None
) -> ViewReport:
    """The views of a registry compared with its ledger."""
    config = load_config(folder / "diya.toml")
    storage = config.storage
    vault = Vault(read_key_encryption_key(storage.key_encryption_key, storage.key_encryption_key_wrapping))
    engine = auditor_engine(config.storage.database)
    try:
        return audit_views(engine, Ledger(vault), registry, progress)
    finally:
        engine.dispose()


def copied(played: Path, into: Path) -> Path:
    """A copy of a gateway's folder without its files, for one test."""
    return Path(
        shutil.copytree(played, into / "gateway", ignore=shutil.ignore_patterns("clients", "pki", "citizens"))
    )
