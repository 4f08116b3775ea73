"""Fixtures of the integration tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.dealing import offer_every_mode
from tests.support.founding import copy_of
from tests.support.spine import Spine
from tests.support.stage import Town, town_of


@pytest.fixture
def spine(tmp_path: Path) -> Iterator[Spine]:
    """A founded registry on a real SQLite file."""
    running = Spine(tmp_path)
    yield running
    running.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def market(founded: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """A gateway of the session's in which every mode is on offer to every institution. Take your own flats."""
    async with town_of(copy_of(founded, tmp_path_factory.mktemp("market"))) as town:
        await offer_every_mode(town)
        yield town
