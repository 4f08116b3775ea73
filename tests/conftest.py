"""Fixtures for every test: a running gateway for those that speak over the wire."""

from __future__ import annotations

from tests.support.founding import fed_town, founded, own_folder, town
from tests.support.played import played

__all__ = ["fed_town", "founded", "own_folder", "played", "town"]
