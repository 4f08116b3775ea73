"""`diya feed` against a running gateway: a counter's act from a file, and a registrar's questions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from google.protobuf.json_format import MessageToDict

from gateway.demo.stage import COUNTER_KEY, REGISTRAR_KEY
from tests.integration.test_cli_acts import Desk
from tests.support.feeding import seizure
from tests.support.stage import Town

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def town(fed_town: Town) -> Town:
    """The gateway whose counter feeds."""
    return fed_town


async def test_act_is_pushed_from_a_file_and_what_came_first_is_checked_offline(
    town: Town, tmp_path: Path
) -> None:
    """push numbers, signs and keeps the receipt; status and the list answer; the statement verifies from its file."""
    served = town.clock()
    filing, _ = await town.booked()
    unit = filing.unit.unit_code
    act = {
        "verb": "RESTRICTION_VERB_ENTER",
        "seizure": MessageToDict(seizure(unit, filing.owners[0], served)),
    }
    (tmp_path / "act.json").write_text(json.dumps({"restriction": act}), encoding="utf-8")
    counter = Desk(town, tmp_path, COUNTER_KEY)
    key = town.folder / "clients" / COUNTER_KEY / "sign.key.pem"
    pushed = await counter.json("feed", "push", "act.json", "--key", str(key))
    assert pushed["outcome"]["result"] == "OUTCOME_RESULT_DONE"
    assert Path(tmp_path / pushed["kept"]).exists()
    status, text, _ = await counter.run("feed", "status")
    assert (status, "missing -" in text) == (0, True)
    registrar = Desk(town, tmp_path, REGISTRAR_KEY)
    told = await registrar.json("feed", "order", unit, "-o", "order.json")
    seized = next(line for line in told["lines"] if line["fact"] == "SERVED")
    listed = await registrar.json("feed", "since-service", seized["identity"])
    assert [one["rightKind"] for one in listed] == ["MORTGAGE"]
    checked = await registrar.json("feed", "check", "order.json")
    assert checked == told
    (tmp_path / "order.json").write_text(
        (tmp_path / "order.json").read_text().replace("SERVED", "BOOKED"), encoding="utf-8"
    )
    status, _, _ = await registrar.run("feed", "check", "order.json")
    assert status != 0


@pytest.mark.parametrize("text", ["", "{}", '{"seizure": {}}', '{"counter": {"sequence": "x"}}'])
async def test_file_that_holds_no_act_is_bad_usage(town: Town, tmp_path: Path, text: str) -> None:
    """Nothing is sent."""
    (tmp_path / "act.json").write_text(text, encoding="utf-8")
    size = town.ledger_size()
    status, _, err = await Desk(town, tmp_path, COUNTER_KEY).run("feed", "push", "act.json")
    assert status != 0
    assert "act.json" in err
    assert town.ledger_size() == size
