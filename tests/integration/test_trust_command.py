"""`diya trust`: an operator sees whom the registry believes, changes it as files, and sets it again."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.demo.stage import OPERATOR_KEY
from signing.trust import Purpose
from tests.integration.test_cli_acts import Desk
from tests.support.stage import town_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

SOURCE = "http://127.0.0.1:9/institution.crl"  # nobody answers there


def anchors(told: dict[str, Any], purpose: str) -> list[dict[str, Any]]:
    """What is told of the anchors of a purpose."""
    return [one for one in told["anchors"] if one["purpose"] == purpose]


async def test_operator_shows_changes_and_sets_trust(own_folder: Path, tmp_path: Path) -> None:
    """What is in force becomes a folder; a policy written into it is in force once it is set, all else as before."""
    async with town_of(own_folder) as town:
        desk = Desk(town, tmp_path, OPERATOR_KEY)
        before = await desk.json("trust", "show", "--out", "trust")
        assert {one["purpose"] for one in before["anchors"]} == {p.value for p in Purpose}
        assert before["lists"]
        assert all(one["thisUpdate"] < one["nextUpdate"] for one in before["lists"])

        anchor, *_ = anchors(before, "INSTITUTION")
        policy = {"anchor": anchor["sha256"], "grace_hours": 48, "crl_urls": [SOURCE]}
        (tmp_path / "trust" / "policies.json").write_text(json.dumps({"institution": [policy]}))
        done = await desk.json("trust", "set", "trust")
        anchor, *_ = anchors(done, "INSTITUTION")
        assert {name: anchor["policy"][name] for name in policy} == policy
        assert [one for one in done["anchors"] if one["purpose"] != "INSTITUTION"] == [
            one for one in before["anchors"] if one["purpose"] != "INSTITUTION"
        ]
        assert done["lists"] == before["lists"]
        assert await desk.json("trust", "show") == done

        status, out, _ = await desk.run("trust", "show")
        assert status == 0
        assert f"CRL {SOURCE}" in out
        assert "grace 宽限 48 h" in out


async def test_policies_in_force_are_not_lost_by_a_forgotten_file(own_folder: Path, tmp_path: Path) -> None:
    """Anchors set from a folder without policies.json would drop dates and sources: that has to be said."""
    async with town_of(own_folder) as town:
        desk = Desk(town, tmp_path, OPERATOR_KEY)
        anchor, *_ = anchors(await desk.json("trust", "show", "--out", "trust"), "INSTITUTION")
        file = tmp_path / "trust" / "policies.json"
        file.write_text(json.dumps({"institution": [{"anchor": anchor["sha256"], "crl_urls": [SOURCE]}]}))
        await desk.json("trust", "set", "trust")
        size = await asyncio.to_thread(town.ledger_size)

        file.unlink()
        status, _, err = await desk.run("trust", "set", "trust")
        assert status == 2
        assert "policies are in force for INSTITUTION" in err
        assert "没有 policies.json" in err
        assert await asyncio.to_thread(town.ledger_size) == size

        file.write_text("{}")
        anchor, *_ = anchors(await desk.json("trust", "set", "trust"), "INSTITUTION")
        assert anchor["policy"] is None
