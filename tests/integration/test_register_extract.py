"""Looks into the register over the real wire: recorded with their basis, and sealed as an extract."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from typer.testing import CliRunner

from gateway.cases.effects import QueryRecorded, decode_effects
from gateway.certificates.extract import EXTRACT_PART
from gateway.certificates.extract_verify import verify_extract
from gateway.cli.app import build_app
from gateway.cli.certificate import offline_trust
from gateway.client import manifest as build
from gateway.client.client import DiyaClient
from gateway.client.errors import RequestError
from gateway.demo.stage import INSTITUTIONS, REGISTRAR_KEY
from gateway.pb.diya.v1 import codes_pb2, common_pb2, register_pb2
from gateway.register.model import Ownership
from gateway.reports.at_counter import AtCounter
from gateway.reports.reading import tally_ledger
from gateway.reports.tally import Tally
from tests.integration.test_cli_acts import Desk
from tests.support.dealing import citizen
from tests.support.feeding import Counter, codes, person, stamp
from tests.support.founding import copy_of
from tests.support.played import database
from tests.support.stage import Town, town_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

REGISTRY = "jiangyin"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def sealing_town(founded: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """A gateway that seals."""
    folder = copy_of(founded, tmp_path_factory.mktemp("extracts"))
    async with town_of(folder, sealing=True) as town:
        yield town


def looks(town: Town) -> list[dict[str, Any]]:
    """The rows of the view of looks."""
    with sqlite3.connect(database(town.folder)) as connection:
        connection.row_factory = sqlite3.Row
        rows = connection.execute("SELECT * FROM look WHERE registry = ? ORDER BY entry_index", [REGISTRY])
        return [dict(row) for row in rows]


async def test_extract_of_a_unit_is_sealed_and_proven(sealing_town: Town, tmp_path: Path) -> None:
    """What the mortgagee gets verifies offline against trust folder and ledger, and says who asked and what for."""
    town = sealing_town
    filing, answer = await town.booked()
    proof = answer.outcome.certificates[0].number
    client = await town.client("bank-a")
    got = await client.get_extract(filing.unit.unit_code, own_right=proof, purpose="贷后 管理")
    trust = town.folder / "trust"
    verdict = verify_extract(got.pdf, **offline_trust(trust))
    assert verdict.sound, verdict.failed
    content = verdict.content
    assert content is not None
    assert verdict.proof is not None
    assert (content.number, content.as_of_index) == (got.number, got.as_of_index)
    assert (content.reader.identifier, content.reader.purpose) == (
        INSTITUTIONS["bank-a"].id_number,
        "贷后 管理",
    )
    assert (verdict.proof.index, verdict.proof.part) == (got.recorded_index, EXTRACT_PART)
    assert got.as_of_index == got.recorded_index - 1
    [mortgage] = [r for r in content.rights if r.right_id.startswith(f"{answer.receipt.index}.")]
    assert mortgage.proof.number == proof  # type: ignore[union-attr]
    file = tmp_path / "extract.pdf"
    file.write_bytes(got.pdf)
    result = CliRunner().invoke(
        build_app(), ["extract", "verify", str(file), "--trust", str(trust), "--json"]
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["sound"] is True
    file.write_bytes(got.pdf[:-20] + b"0" * 20)
    broken = CliRunner().invoke(build_app(), ["extract", "verify", str(file), "--trust", str(trust)])
    assert broken.exit_code == 1


async def test_what_the_counter_booked_is_in_the_extract_and_in_the_report(sealing_town: Town) -> None:
    """A sale, a mortgage's release and an easement come by the feed: the extract shows them, the city counts them."""
    town = sealing_town
    filing, answer = await town.booked()
    proof, code = answer.outcome.certificates[0].number, filing.unit.unit_code
    other = town.flat()
    before = await asyncio.to_thread(_tally, town)
    counter, buyer = Counter(town, REGISTRY), citizen(91)
    sold = register_pb2.Ownership(
        unit_code=code,
        owners=[register_pb2.Owner(person=person(buyer))],
        co_ownership=codes_pb2.CO_OWNERSHIP_SOLE,
        titles=[common_pb2.CertificateReference(number="苏(2026)江阴市不动产权第0920001号")],
        price=build.money(200_000_000),
        booking=register_pb2.Booking(case_number="T-901", booked_by="大厅甲"),
    )
    way = register_pb2.Easement(
        servient_unit_code=code,
        dominant_unit_code=other.unit_code,
        content="通行",
        booking=register_pb2.Booking(case_number="T-902", booked_by="大厅甲"),
    )
    flat = register_pb2.Unit(unit_code=code)
    for number, kind, rights in (
        ("T-901", codes_pb2.REGISTRATION_TYPE_TRANSFER, {"ownerships": [sold]}),
        ("T-902", codes_pb2.REGISTRATION_TYPE_FIRST, {"easements": [way]}),
    ):
        state = register_pb2.UnitState(unit=flat, **rights)  # type: ignore[arg-type]
        done = await counter.say(type=kind, case_number=number, booked_at=stamp(town.clock()), units=[state])
        assert (done.result, codes(done)) == ("DONE", [])
    client = await town.client("bank-a")
    got = await client.get_extract(code, own_right=proof, purpose="贷后 管理")
    verdict = verify_extract(got.pdf, **offline_trust(town.folder / "trust"))
    assert verdict.content is not None
    kinds = [type(right).__name__ for right in verdict.content.rights]
    assert sorted(kinds) == ["Easement", "Mortgage", "Ownership"]
    [owned] = [right for right in verdict.content.rights if isinstance(right, Ownership)]
    assert [o.person.name for o in owned.owners] == [buyer.name]
    after = await asyncio.to_thread(_tally, town)
    assert (after.cases - before.cases, after.sales - before.sales) == (1, 1)


def _tally(town: Town) -> AtCounter:
    """What the report counts of the counter."""
    tally = Tally()
    with town.gateway._reader.connect() as connection:
        tally_ledger(connection, town.gateway.ledger, REGISTRY, tally, lambda done, total: None)
    return tally.at_counter


async def test_look_is_an_entry_that_names_neither_unit_nor_purpose_in_clear(sealing_town: Town) -> None:
    """Caller and basis can be counted; the unit is a keyed hash, alike for every look at it; the rest is sealed."""
    town = sealing_town
    filing, answer = await town.booked()
    proof, code = answer.outcome.certificates[0].number, filing.unit.unit_code
    client = await town.client("bank-a")
    before = len(looks(town))
    seen = await client.get_unit(code, own_right=proof, purpose="核对顺位")
    got = await client.get_extract(code, own_right=proof, purpose="核对顺位")
    unit, extract = looks(town)[before:]
    assert (unit["query"], extract["query"]) == ("UNIT", "EXTRACT")
    assert (unit["entry_index"], extract["entry_index"]) == (seen.recorded_index, got.recorded_index)
    assert {row["caller"] for row in (unit, extract)} == {INSTITUTIONS["bank-a"].id_number}
    assert {row["basis"] for row in (unit, extract)} == {"own_right"}
    assert unit["subject"] == extract["subject"]
    assert extract["number"] == got.number
    with town.gateway._reader.begin() as connection:
        ledger = town.gateway.ledger
        entry = ledger.read_entry(connection, REGISTRY, seen.recorded_index)
        _, effects = ledger.read_part(connection, REGISTRY, seen.recorded_index, "effects")
        _, evidence = ledger.read_part(connection, REGISTRY, seen.recorded_index, "evidence/payload")
    [recorded] = decode_effects(effects)
    assert isinstance(recorded, QueryRecorded)
    for clear in (entry.data, effects, msgspec.json.encode(unit), msgspec.json.encode(extract)):
        assert code.encode() not in clear
        assert "核对顺位".encode() not in clear
    assert code.encode() in evidence
    assert "核对顺位".encode() in evidence


async def test_look_without_a_basis_is_no_entry_and_gives_no_extract(sealing_town: Town) -> None:
    """It found nothing: like an unknown unit, and nothing is kept; a purpose is needed, and short."""
    town = sealing_town
    filing, answer = await town.booked()
    proof, code = answer.outcome.certificates[0].number, filing.unit.unit_code
    client = await town.client("bank-b")
    before = looks(town)
    for purpose, reason in (
        ("贷前审查", "UNIT_NOT_FOUND"),
        ("", "FIELD_INVALID"),
        ("长" * 201, "FIELD_INVALID"),
    ):
        with pytest.raises(RequestError) as refused:
            await client.get_extract(code, own_right=proof, purpose=purpose)
        assert refused.value.reason == reason
    assert looks(town) == before


async def test_two_looks_at_two_units_have_two_subjects(sealing_town: Town) -> None:
    """Who may read the view learns which looks were at one unit, not at which."""
    town = sealing_town
    client = await town.client("bank-a")
    before = len(looks(town))
    for _ in range(2):
        filing, answer = await town.booked()
        await client.get_unit(filing.unit.unit_code, own_right=answer.outcome.certificates[0].number)
    first, second = looks(town)[before:]
    assert first["subject"] != second["subject"]
    assert dt.datetime.fromisoformat(first["at"]).tzinfo is not None


async def test_registrar_finds_an_owner_over_the_wire(sealing_town: Town) -> None:
    """By the number in the register, recorded as a look; a bank may not."""
    town = sealing_town
    flat = town.flat("taizhou")
    owner = flat.owners[0].id_number
    registrar = DiyaClient(await town.session(REGISTRAR_KEY, "taizhou"))
    found = await registrar.search_units(owner, purpose="依职权核查")
    assert (flat.unit_code, "OWNER", flat.title_number) in {
        (right.unit_code, right.role, right.certificate_number) for right in found.rights
    }
    bank = await town.client("bank-a", "taizhou")
    with pytest.raises(RequestError) as refused:
        await bank.search_units(owner, purpose="贷前审查", instrument="x")
    assert refused.value.reason == "PERMISSION_DENIED"


async def test_commands_get_an_extract_and_search_by_person(sealing_town: Town, tmp_path: Path) -> None:
    """As a clerk and a registrar type it: the file is what `extract verify` finds sound."""
    town = sealing_town
    filing, answer = await town.booked()
    proof = answer.outcome.certificates[0].number
    clerk = Desk(town, tmp_path, "bank-a")
    arguments = (filing.unit.unit_code, "--own-right", proof, "--purpose", "贷前审查", "--out", "x.pdf")
    told = await clerk.json("register", "extract", *arguments)
    assert told["file"] == "x.pdf"
    assert "pdf" not in told
    verdict = verify_extract((tmp_path / "x.pdf").read_bytes(), **offline_trust(town.folder / "trust"))
    assert verdict.sound
    registrar = Desk(town, tmp_path, REGISTRAR_KEY, "taizhou")
    flat = town.flat("taizhou")
    owner = flat.owners[0].id_number
    found = await registrar.json("register", "search", owner, "--purpose", "依职权核查")
    assert flat.unit_code in {right["unitCode"] for right in found["rights"]}
    status, text, _ = await registrar.run("register", "search", owner, "--purpose", "依职权核查")
    assert status == 0
    assert flat.unit_code in text
    assert owner not in text
    status, _, _ = await clerk.run("register", "search", owner, "--purpose", "贷前审查", "--kind", "NONE")
    assert status != 0
