"""What an auditor, an operator, a bank and a registrar see of the ledger: lists by filter, one entry, a stretch."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from gateway.cli.app import build_app
from gateway.client.errors import ReceiptInvalid
from gateway.client.ledger import LedgerClient
from gateway.demo.stage import INSTITUTIONS, OPERATOR_KEY, REGISTRAR_KEY
from gateway.pb.diya.v1 import ledger_service_pb2 as pb
from gateway.pb.diya.v1 import outcome_pb2
from gateway.pb.diya.v1.ledger_service_pb2_grpc import LedgerServiceStub
from ledger.checkpoint import Checkpoint
from ledger.entry import parse_entry
from tests.support.filing import Filing
from tests.support.stage import AUDITOR_KEY, Town, town_of
from tests.support.wire import Refused

pytestmark = pytest.mark.asyncio(loop_scope="session")

PARENT = "registries/jiangyin"
BANK_A = INSTITUTIONS["bank-a"].id_number


def ledger_of(town: Town, key: str) -> Any:
    """LedgerService as somebody calls it."""
    return town.stub(LedgerServiceStub, key)


async def listed(town: Town, key: str, **filters: Any) -> list[int]:
    """Indexes of all entries that fit, over pages of two."""
    request = pb.ListEntriesRequest(parent=PARENT, page_size=2, **filters)
    found = []
    while True:
        page = await ledger_of(town, key).ListEntries(request)
        assert len(page.entries) <= 2
        found += [one.index for one in page.entries]
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


async def get(town: Town, key: str, index: int) -> Any:
    """GetEntry."""
    return await ledger_of(town, key).GetEntry(pb.GetEntryRequest(parent=PARENT, index=index))


async def reason(call: Any) -> str:
    """Why a call was refused."""
    with pytest.raises(Exception) as caught:
        await call
    return Refused.of(caught.value).reason


async def case(town: Town) -> tuple[Filing, Any, list[int]]:
    """A mortgage of bank A's, booked by rule: and the indexes of its entries, its submission first."""
    filing, answer = await town.booked()
    index = answer.outcome.receipt.index
    found = await listed(town, AUDITOR_KEY, application=answer.outcome.application)
    assert found[0] == index
    return filing, answer.outcome, found


def diya(town: Town, key: str, *words: str) -> Result:
    """A `diya ledger` command of somebody's, each with a memory of checkpoints of its own."""
    clients = town.folder / "clients" / key
    settings = {
        "target": f"localhost:{town.gateway.ports['listen']}",
        "roots": town.folder / "trust" / "server-roots.pem",
        "registry": "jiangyin",
        "trust": town.folder / "trust",
        "certificate": clients / "tls.pem",
        "key": clients / "tls.key.pem",
        "checkpoints": town.folder / "seen" / key,
    }
    config = town.folder / f"{key}.toml"
    config.write_text("".join(f'{name} = "{value}"\n' for name, value in settings.items()))
    runner = CliRunner(env={"COLUMNS": "200"})
    return runner.invoke(build_app(), ["ledger", *words, "--config", str(config)])


# -- lists -------------------------------------------------------------------------------------------------------------


async def test_entries_of_an_application_and_of_its_unit(town: Town) -> None:
    """Auditor, operator and the bank find the entries of a case by its name and by its unit, and no other case's."""
    filing, outcome, found = await case(town)
    _, other, _ = await case(town)
    code = filing.unit.unit_code
    for key in (AUDITOR_KEY, OPERATOR_KEY, "bank-a"):
        assert await listed(town, key, application=outcome.application) == found
        of_unit = await listed(town, key, unit_code=code)
        assert set(found) <= set(of_unit), key
        assert other.receipt.index not in of_unit
        assert await listed(town, key, unit_code=code, application=other.application) == []
    imported = set(await listed(town, AUDITOR_KEY, unit_code=code)) - set(found)
    assert imported, "the import that began its ownership"
    assert not imported & set(await listed(town, "bank-a", unit_code=code))


async def test_seal_and_release_are_listed_with_their_case(own_folder: Path) -> None:
    """The seal of a case's certificate is an entry of the case; a later case on the unit is one of the unit."""
    async with town_of(own_folder, sealing=True) as town:
        filing, answer = await town.booked()
        [issued] = answer.outcome.certificates
        async for event in (await town.client("bank-a")).watch_events():
            if event.certificate == issued.name:
                break
        application = answer.outcome.application
        kinds = ["application.submitted", "certificate.sealed"]
        for key in (AUDITOR_KEY, "bank-a"):
            found = await listed(town, key, application=application)
            told = [parse_entry((await get(town, key, index)).entry.entry).kind for index in found]
            assert told == kinds, key
        sealed = (await get(town, "bank-a", found[1])).about
        assert (sealed.actor, sealed.application) == ("", application)
        assert "certificate.sealed.v1" in [effect.kind for effect in sealed.effects]
        release = await town.release(filing, issued.number).sign().upload()
        ended = (await release.submit()).outcome.receipt.index
        assert ended in await listed(town, AUDITOR_KEY, unit_code=filing.unit.unit_code)
        assert ended not in await listed(town, AUDITOR_KEY, application=application)


async def test_looks_at_a_unit_are_listed_to_the_auditor_alone(town: Town) -> None:
    """Whoever looked at a unit left an entry: the auditor finds it, the bank whose case it is does not."""
    filing, outcome, _ = await case(town)
    bank = await town.client("bank-a")
    await bank.get_unit(filing.unit.unit_code, own_right=outcome.certificates[0].number)
    looks = await listed(town, AUDITOR_KEY, unit_code=filing.unit.unit_code, kinds=["query.recorded"])
    assert len(looks) == 1
    assert (await get(town, AUDITOR_KEY, looks[0])).about.actor == BANK_A
    assert await listed(town, "bank-a", unit_code=filing.unit.unit_code, kinds=["query.recorded"]) == []


async def test_somebody_elses_case_is_not_found(town: Town) -> None:
    """A bank that is not of the case: as if there were none. A registrar's looks are recorded: it may not ask here."""
    filing, outcome, found = await case(town)
    stranger = ledger_of(town, "bank-b")
    by_name = pb.ListEntriesRequest(parent=PARENT, application=outcome.application)
    by_unit = pb.ListEntriesRequest(parent=PARENT, unit_code=filing.unit.unit_code)
    assert await reason(stranger.ListEntries(by_name)) == "APPLICATION_NOT_FOUND"
    assert list((await stranger.ListEntries(by_unit)).entries) == []
    for request in (by_name, by_unit):
        assert await reason(ledger_of(town, REGISTRAR_KEY).ListEntries(request)) == "PERMISSION_DENIED"
    assert await listed(town, REGISTRAR_KEY, start_index=found[0], kinds=["application.submitted"])


async def test_entries_by_time_and_kind(town: Town) -> None:
    """From an instant on, up to before another; of one kind, of several, of none that there is."""
    _, _, found = await case(town)
    await case(town)
    whole = await listed(town, AUDITOR_KEY)
    entries = {i: parse_entry((await get(town, AUDITOR_KEY, i)).entry.entry) for i in whole[found[0] - 2 :]}
    at = entries[found[0]].time
    later = [i for i, entry in entries.items() if entry.time >= at]
    assert await listed(town, AUDITOR_KEY, entered_after=at) == later
    assert await listed(town, AUDITOR_KEY, entered_before=at) == [i for i in whole if i < later[0]]
    step = dt.timedelta(microseconds=1)
    same = [i for i in later if entries[i].time == at]
    assert await listed(town, AUDITOR_KEY, entered_after=at, entered_before=at + step) == same
    filed = [i for i in later if entries[i].kind == "application.submitted"]
    kinds = ["application.submitted"]
    assert await listed(town, AUDITOR_KEY, entered_after=at, kinds=kinds) == filed
    assert await listed(town, AUDITOR_KEY, entered_after=at, kinds=[*kinds, "no.such"]) == filed
    assert await listed(town, AUDITOR_KEY, kinds=["no.such"]) == []


@pytest.mark.parametrize(
    ("filters", "field"),
    [
        ({"kinds": ["Not A Kind"]}, "kinds"),
        ({"kinds": ["a"] * 33}, "kinds"),
        ({"unit_code": "1"}, "unit_code"),
        ({"application": "applications/1"}, "application"),
        ({"application": "registries/taizhou/applications/1"}, "application"),
        ({"entered_after": {"nanos": -1}}, "entered_after"),
    ],
)
async def test_bad_filters_name_their_field(town: Town, filters: dict[str, Any], field: str) -> None:
    """FIELD_INVALID, with the field."""
    request = pb.ListEntriesRequest(parent=PARENT, **filters)
    with pytest.raises(Exception) as caught:
        await ledger_of(town, AUDITOR_KEY).ListEntries(request)
    refused = Refused.of(caught.value)
    assert refused.reason == "FIELD_INVALID"
    assert field in str(refused.violations)


async def test_token_of_another_filter_is_refused(town: Town) -> None:
    """A page's token goes on with its own list alone."""
    page = await ledger_of(town, AUDITOR_KEY).ListEntries(pb.ListEntriesRequest(parent=PARENT, page_size=1))
    request = pb.ListEntriesRequest(parent=PARENT, page_token=page.next_page_token, kinds=["party.join"])
    assert await reason(ledger_of(town, AUDITOR_KEY).ListEntries(request)) == "PAGE_TOKEN_INVALID"


# -- one entry ---------------------------------------------------------------------------------------------------------


async def test_entry_is_told_as_far_as_its_reader_may_know_it(town: Town) -> None:
    """The auditor and the bank learn who did what on which unit, and open the answer; others see commitments only."""
    filing, outcome, found = await case(town)
    for key in (AUDITOR_KEY, OPERATOR_KEY, "bank-a"):
        ledger = LedgerClient(await town.session(key))
        told = await ledger.entry(found[0])
        about = told.about
        assert about is not None, key
        assert (about.actor, about.application) == (BANK_A, outcome.application)
        assert (about.result, list(about.unit_codes)) == (outcome.result, [filing.unit.unit_code])
        assert told.states["outcome"] == "SHOWN"
        assert told.states["evidence/payload"] == "WITHHELD"
        assert json.loads(told.contents["outcome"])["application"] == outcome.application
        kinds = [effect.kind for effect in about.effects]
        assert "right.booked.v1" in kinds
        assert about.effect_count == len(kinds)
        words = "".join(effect.zh + effect.en for effect in about.effects)
        for owner in filing.owners:
            assert owner.name not in words
            assert owner.id_number not in words
    for key in ("bank-b", REGISTRAR_KEY):
        told = await LedgerClient(await town.session(key)).entry(found[0])
        assert told.about is None, key
        assert set(told.states.values()) == {"WITHHELD"}


async def test_answer_that_is_not_the_logged_one_is_noticed(town: Town) -> None:
    """Whatever the gateway tells of an entry, its result and its shown parts are held against the commitments."""
    _, _, found = await case(town)
    ledger = LedgerClient(await town.session(AUDITOR_KEY))
    stub = ledger._stub
    for check, lie in (
        (9, lambda told: setattr(told.about, "result", outcome_pb2.OUTCOME_RESULT_REFUSED)),
        (7, lambda told: told.parts.pop()),
        (7, lambda told: [setattr(p, "content", b"{}") for p in told.parts if p.content]),
        (5, lambda told: told.hashes.pop()),
    ):

        class Liar:
            """The gateway, but for one lie."""

            @staticmethod
            async def GetEntry(request: Any, **options: Any) -> Any:
                """The answer, changed."""
                told = await stub.GetEntry(request, **options)
                lie(told)  # noqa: B023
                return told

        ledger._stub = Liar()
        with pytest.raises(ReceiptInvalid) as caught:
            await ledger.entry(found[0])
        assert caught.value.check == check
    ledger._stub = stub


async def test_what_was_erased_is_told_as_erased(own_folder: Path) -> None:
    """Without the application's key, evidence and answer are gone; who acted and what the register became stay."""
    async with town_of(own_folder) as town:
        filing = town.mortgage().sign()
        del filing.papers["MORTGAGE_CONTRACT"]
        answer = await (await filing.upload()).submit()
        index, application = answer.outcome.receipt.index, answer.outcome.application
        operator = await town.operator("jiangyin")
        erased = (await operator.erase_evidence(application, "NEVER_ACCEPTED")).value
        told = await LedgerClient(await town.session(AUDITOR_KEY)).entry(index)
        assert (told.states["evidence/payload"], told.states["outcome"]) == ("ERASED", "ERASED")
        assert told.states["effects"] == "WITHHELD"
        assert told.about is not None
        assert (told.about.actor, told.about.application) == (BANK_A, application)
        assert told.about.result == outcome_pb2.OUTCOME_RESULT_UNSPECIFIED
        shown = await asyncio.to_thread(diya, town, AUDITOR_KEY, "show", str(index))
        assert "已依法销毁 / erased as the law allows" in shown.output
        assert f"erased by entry {erased.erased_index}" in shown.output


# -- commands ----------------------------------------------------------------------------------------------------------


async def test_show_prints_an_entry_for_a_person(town: Town) -> None:
    """Who, what, when, on what, answer, changes, parts, proof; and what is not told to a stranger."""
    filing, outcome, found = await case(town)
    told = await asyncio.to_thread(diya, town, AUDITOR_KEY, "show", str(found[0]))
    assert told.exit_code == 0, told.output
    for words in (
        f"entry {found[0]} of",
        "application.submitted  提交申请",
        BANK_A,
        outcome.application.rpartition("/")[2],
        filing.unit.unit_code,
        "BOOKED  已登簿",
        "登簿抵押权",
        "SHA-256(salt ‖ content)",
        "in the latest signed checkpoint",
        "consistent with the checkpoint last seen",
        "no witness has cosigned it",
    ):
        assert words in told.output, words
    hidden = await asyncio.to_thread(diya, town, "bank-b", "show", str(found[0]))
    assert hidden.exit_code == 0
    assert "not yours to see" in hidden.output
    assert filing.unit.unit_code not in hidden.output
    data = json.loads((await asyncio.to_thread(diya, town, "bank-a", "show", str(found[0]), "--json")).stdout)
    assert data["about"]["application"] == outcome.application
    assert data["partStates"]["outcome"] == "SHOWN"
    beyond = await asyncio.to_thread(diya, town, AUDITOR_KEY, "show", "999999")
    assert beyond.exit_code == 2
    assert "no entry 999999" in beyond.output


async def test_list_prints_a_table_and_where_it_goes_on(town: Town) -> None:
    """A line an entry, and the way to the next ones."""
    _, outcome, found = await case(town)
    words = ("list", "--application", outcome.application.rpartition("/")[2])
    told = await asyncio.to_thread(diya, town, AUDITOR_KEY, *words)
    assert told.exit_code == 0, told.output
    assert "application.submitted  提交申请" in told.output
    assert "there are more" not in told.output
    data = json.loads((await asyncio.to_thread(diya, town, AUDITOR_KEY, *words, "--json")).stdout)
    assert [line["index"] for line in data] == found
    short = await asyncio.to_thread(diya, town, AUDITOR_KEY, "list", "--limit", "2")
    assert "--from 2" in short.output
    refused = await asyncio.to_thread(diya, town, REGISTRAR_KEY, *words)
    assert refused.exit_code == 4
    assert "PERMISSION_DENIED" in refused.output


async def test_diff_tells_what_lies_between_two_checkpoints(town: Town, tmp_path: Path) -> None:
    """Files and sizes, in either order; by day and kind; every entry counted once."""
    before = tmp_path / "before.txt"
    before.write_text((await asyncio.to_thread(diya, town, AUDITOR_KEY, "checkpoint")).stdout)
    _, outcome, found = await case(town)
    size = found[0] + 1
    told = await asyncio.to_thread(diya, town, AUDITOR_KEY, "diff", str(size), str(before))
    assert told.exit_code == 0, told.output
    assert "the newer begins with the older" in told.output
    assert "application.submitted  提交申请" in told.output
    data = json.loads(
        (await asyncio.to_thread(diya, town, AUDITOR_KEY, "diff", str(before), str(size), "--json")).stdout
    )
    assert data["newer"]["size"] == size
    assert sum(line["count"] for line in data["between"]) == data["entries"] == size - data["older"]["size"]
    same = await asyncio.to_thread(diya, town, AUDITOR_KEY, "diff", str(before), str(before))
    assert "nothing lies between them" in same.output
    zero = await asyncio.to_thread(diya, town, AUDITOR_KEY, "diff", "0", str(before))
    assert zero.exit_code == 2
    beyond = await asyncio.to_thread(diya, town, AUDITOR_KEY, "diff", "1", "999999")
    assert "LEDGER_RANGE" in beyond.output
    assert beyond.exit_code == 4


async def test_diff_of_a_fork_a_strangers_note_and_no_note(own_folder: Path, tmp_path: Path) -> None:
    """A checkpoint of another history, signed with the very key; one of another key; a file that is none."""
    async with town_of(own_folder) as town:
        _, outcome = await town.booked()
        newest = await LedgerClient(await town.session(AUDITOR_KEY)).checkpoint()
        forged = tmp_path / "forged.txt"
        signers = town.gateway._ledger_signers.of("jiangyin")
        forged.write_bytes(signers.sign(Checkpoint(signers.name, 2, b"x" * 32)))
        size = str(newest.checkpoint.size)
        fork = await asyncio.to_thread(diya, town, AUDITOR_KEY, "diff", str(forged), size)
        assert fork.exit_code == 1
        assert "forked ledger" in fork.output
        other = tmp_path / "other.txt"
        other.write_bytes(newest.note.replace(b"\n\n", b"x\n\n"))
        for path, words in ((other, "检查点签名无效"), (town.folder / "diya.toml", "检查点签名无效")):
            refused = await asyncio.to_thread(diya, town, AUDITOR_KEY, "diff", str(path), size)
            assert refused.exit_code == 1, refused.output
            assert words in refused.output
        missing = await asyncio.to_thread(diya, town, AUDITOR_KEY, "diff", str(tmp_path / "none.txt"), size)
        assert missing.exit_code == 2


async def test_stretch_that_is_not_the_logged_one_is_noticed(town: Town) -> None:
    """An entry exchanged in the middle, the last one exchanged, the last one kept back."""
    _, outcome, _ = await case(town)
    ledger = LedgerClient(await town.session(AUDITOR_KEY))
    size = outcome.receipt.index + 1
    begins = size - 6  # or before: entries of one batch share a checkpoint
    while (await ledger.checkpoint(begins)).checkpoint.size != begins:
        begins -= 1
    compared = await ledger.compare(begins, size)
    stub = ledger._stub

    def changed(entry: Any) -> None:
        entry.entry = entry.entry.replace(b"\noutcome ", b"\nincome ")

    for check, lie in (
        (6, lambda page: changed(page.entries[2])),
        (5, lambda page: changed(page.entries[size - begins - 1])),
        (6, lambda page: page.entries.pop(2)),
        (6, lambda page: [page.entries.pop() for _ in page.entries[size - begins - 1 :]]),
    ):

        class Liar:
            """The gateway, but for one lie."""

            GetInclusionProof = stub.GetInclusionProof

            @staticmethod
            async def ListEntries(request: Any, **options: Any) -> Any:
                """The page, changed."""
                page = await stub.ListEntries(request, **options)
                lie(page)  # noqa: B023
                page.next_page_token = ""
                return page

        ledger._stub = Liar()
        with pytest.raises(ReceiptInvalid) as caught:
            _ = [entry async for entry in ledger.between(compared)]
        assert caught.value.check == check
    ledger._stub = stub
    assert len([entry async for entry in ledger.between(compared)]) == size - begins
