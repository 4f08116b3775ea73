"""Fixtures of the integration tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.spine import Spine


@pytest.fixture
def spine(tmp_path: Path) -> Iterator[Spine]:
    """A founded registry on a real SQLite file."""
    running = Spine(tmp_path)
    yield running
    running.close()
