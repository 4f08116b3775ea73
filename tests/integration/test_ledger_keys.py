"""A registry's checkpoint key: another one beside it, the former one ended, while it serves; what each proves."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import select, update
from typer.testing import CliRunner

from gateway.app import Gateway, utc_now
from gateway.certificates.verify import verify_certificate
from gateway.cli.app import build_app
from gateway.client.feed import FeedClient
from gateway.client.order import verify_order
from gateway.client.receipt_file import KeptAct, write_act
from gateway.client.session import Answer
from gateway.client.trust import read_trust
from gateway.config import ConfigError, load_config
from gateway.keyring.keys import note_signer
from gateway.keyring.ledger_signers import audited_log_keys
from gateway.pb.diya.v1 import authority_pb2, ledger_service_pb2, ledger_service_pb2_grpc
from gateway.storage import tables as t
from gateway.storage.engine import writer_engine
from ledger.checkpoint import open_checkpoint
from ledger.errors import CheckpointError
from ledger.policy import parse_policy
from ledger.tables import ledger_checkpoint
from signing.key_source import FileKey
from signing.trust_directory import read_trust as read_anchors
from tests.integration.test_cli_acts import Desk
from tests.integration.test_keys import pdf_of, refused
from tests.integration.test_ledger_recover import FORMER, lost, recover
from tests.integration.test_ledger_recover import NEW as RENAMED
from tests.integration.test_witnessing import QUICK, checkpoint, cosigned
from tests.support.played import audited
from tests.support.stage import REGISTRAR_KEY, Town, configured, town_of
from tests.support.watching import watched_by, witness

pytestmark = pytest.mark.asyncio(loop_scope="session")

SCRIPT = Path(__file__).parents[2] / "docs" / "verify_ledger.py"
NEXT = "ledger-next"


@pytest_asyncio.fixture(loop_scope="session")
async def town(own_folder: Path) -> AsyncIterator[Town]:
    """A gateway that seals, with a folder of its own."""
    async with town_of(own_folder, sealing=True) as running:
        yield running


def add_next(folder: Path, stem: str = NEXT) -> str:
    """Make a key, name it in the settings as the next one of jiangyin's ledger; its vkey."""
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path = folder / "keys" / f"{stem}.pem"
    path.write_bytes(pem)
    path.chmod(0o600)
    set_keys(folder, following=stem)
    [registry] = [one for one in load_config(folder / "diya.toml").registries if one.id == "jiangyin"]
    assert registry.next_ledger_key is not None
    return note_signer(registry.origin, registry.next_ledger_key).vkey


def set_keys(folder: Path, present: str = "", following: str = "") -> None:
    """Write jiangyin's two settings; an empty one is left as it is, or out."""
    path = folder / "diya.toml"
    lines = [x for x in path.read_text(encoding="utf-8").splitlines() if not x.startswith("next_ledger")]
    at = lines.index('id = "jiangyin"') + 1
    if following:
        lines.insert(at, f'next_ledger_key = "keys/{following}.pem"')
    if present:
        where = next(n for n in range(at, len(lines)) if lines[n].startswith("ledger_key"))
        lines[where] = f'ledger_key = "keys/{present}.pem"'
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def trusts(folder: Path, *vkeys: str) -> None:
    """Everybody's trust from now on."""
    (folder / "trust" / "jiangyin.vkey").write_text("".join(f"{vkey}\n" for vkey in vkeys))


def vkey_of(folder: Path) -> str:
    """The one that a set-up gave out."""
    return (folder / "trust" / "jiangyin.vkey").read_text().strip()


async def ledger_keys(town: Town) -> dict[str, Any]:
    """The registry's checkpoint keys by vkey."""
    found = await (await town.operator()).list_keys()
    return {one.key_id: one for one in found if one.use == authority_pb2.KEY_USE_CHECKPOINT}


def checkpoints(town: Town) -> dict[int, bytes]:
    """Every note that was ever signed, by size."""
    table = ledger_checkpoint
    with town.gateway._reader.begin() as connection:
        rows = connection.execute(select(table.c.size, table.c.note).where(table.c.registry == "jiangyin"))
        return {row.size: bytes(row.note) for row in rows}


def opens(note: bytes, vkey: str) -> bool:
    """Whether a verifier with this key alone believes a note."""
    try:
        open_checkpoint(note, vkey)
    except CheckpointError:
        return False
    return True


def script(folder: Path, vkeys: list[str], *words: object) -> subprocess.CompletedProcess[str]:
    """The auditor's own check, by these keys."""
    file = folder / "audit.vkey"
    file.write_text("# of the registry\n" + "".join(f"{vkey}\n" for vkey in vkeys))
    command = [sys.executable, str(SCRIPT), str(file), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def diya(folder: Path, *words: object) -> Any:
    """The gateway's own command on its settings."""
    return CliRunner().invoke(build_app(), [*map(str, words), "--config", str(folder / "diya.toml")])


async def test_key_changes_under_load_without_a_failed_request(own_folder: Path) -> None:
    """Bookings go on through both acts: all are answered, each with a receipt that verifies; every checkpoint is signed
    by the keys of its size; all that was given out before, between and after verifies offline by old or new key.
    """
    old, new = vkey_of(own_folder), add_next(own_folder)
    trusts(own_folder, old, new)
    async with town_of(own_folder, sealing=True) as town:
        admin, over, answers = await town.operator(), asyncio.Event(), []
        _, before = await town.booked()
        pdfs = {"before": await pdf_of(town, before)}

        async def load() -> None:
            while not over.is_set():
                answers.append((await town.booked())[1])

        async def changes() -> tuple[Answer, int, int]:
            begun = await admin.rotate_ledger_key(old, new)
            _, between = await town.booked()
            pdfs["between"] = await pdf_of(town, between)
            ended = await admin.retire_ledger_key(old, "定期更换")
            over.set()
            return between, begun.wire.index, ended.wire.index

        (between, begun, ended), *_ = await asyncio.gather(changes(), load(), load())
        assert len(answers) > 2
        assert all(answer.receipt is not None for answer in answers)
        _, after = await town.booked()
        pdfs["after"] = await pdf_of(town, after)
        for size, note in checkpoints(town).items():
            assert (opens(note, old), opens(note, new)) == (size <= ended, size > begun), (size, begun, ended)
    trust = {"trust": read_anchors(own_folder / "trust"), "at": utc_now()}
    acts = {"before": before, "between": between, "after": after}
    for when, believers in (("before", {old}), ("between", {old, new}), ("after", {new})):
        path = own_folder / f"{when}.json"
        write_act(path, KeptAct.of_answer(acts[when]))
        for vkeys in ([old], [new], [old, new]):
            trusts(own_folder, *vkeys)
            by_origin = read_trust(own_folder / "trust").by_origin()
            holds = not believers.isdisjoint(vkeys)
            assert verify_certificate(pdfs[when], **trust, vkeys=by_origin).sound == holds, (when, vkeys)
            assert (script(own_folder, vkeys, "receipt", path).returncode == 0) == holds, (when, vkeys)
    assert audited(own_folder, "jiangyin").ok


async def test_next_start_has_the_keys_in_use_wherever_they_stand(own_folder: Path) -> None:
    """Both while both sign; the new one alone afterwards, in either setting; without one that signs no start."""
    old, new = vkey_of(own_folder), add_next(own_folder)
    trusts(own_folder, old, new)
    async with town_of(own_folder) as town:
        await (await town.operator()).rotate_ledger_key(old, new)
    set_keys(own_folder, present=NEXT)  # too early: the old one signs still
    with pytest.raises(ConfigError, match=r"the ledger says that the key .* signs"):
        await Gateway(configured(own_folder)).start()
    set_keys(own_folder, present="ledger-jiangyin", following=NEXT)
    async with town_of(own_folder) as town:
        await (await town.operator()).retire_ledger_key(old, "定期更换")
    set_keys(own_folder, present="ledger-jiangyin")  # the new one is forgotten
    with pytest.raises(ConfigError, match=r"the ledger says that the key .* signs"):
        await Gateway(configured(own_folder)).start()
    for present, following in (("ledger-jiangyin", NEXT), (NEXT, "")):
        set_keys(own_folder, present=present, following=following)
        async with town_of(own_folder) as town:
            found = await ledger_keys(town)
            assert {key: one.state for key, one in found.items()} == {
                old: authority_pb2.KEY_STATE_RETIRED,
                new: authority_pb2.KEY_STATE_ACTIVE,
            }
        assert diya(own_folder, "ledger", "verify").exit_code == 0


async def test_ledger_verifies_and_exports_with_the_key_in_use_alone(
    own_folder: Path, tmp_path: Path
) -> None:
    """Whole, from the beginning or since any checkpoint kept; the export's checkpoint and an older one by their keys; a
    view that lends the ledger a key of somebody else's is no reason to believe that.
    """
    old, new = vkey_of(own_folder), add_next(own_folder)
    trusts(own_folder, old, new)
    kept = {}
    out = tmp_path / "export"
    async with town_of(own_folder) as town:
        admin = await town.operator()
        for act in (None, admin.rotate_ledger_key(old, new), admin.retire_ledger_key(old, "更换")):
            if act is not None:
                await act
            size, note = max(checkpoints(town).items())
            kept[size] = own_folder / f"kept-{size}"
            kept[size].write_bytes(note)
            ran = await asyncio.to_thread(diya, own_folder, "ledger", "export", out, "--registry", "jiangyin")
            assert ran.exit_code == 0, ran.output
    set_keys(own_folder, present=NEXT)
    for path in kept.values():
        ran = diya(own_folder, "ledger", "verify", "--since", path)
        assert ran.exit_code == 0, ran.output
    exported = out / "jiangyin"
    assert (exported / "vkey").read_text().split() == [new]
    ran = script(own_folder, [old, new], "export", exported, *kept.values())
    assert (ran.returncode, "3 older checkpoints hold" in ran.stdout) == (0, True), ran.stderr
    assert script(own_folder, [old], "export", exported).returncode == 1
    [registry] = [one for one in load_config(own_folder / "diya.toml").registries if one.id == "jiangyin"]
    signer = note_signer(registry.origin, registry.ledger_key)
    stranger = note_signer(registry.origin, FileKey(own_folder / "keys" / "ledger-taizhou.pem")).vkey
    lent = [{"vkey": stranger, "ended_index": max(kept)}, {"vkey": new, "begun_index": max(kept)}]
    engine = writer_engine(load_config(own_folder / "diya.toml").storage.database)
    with engine.begin() as connection:
        assert audited_log_keys(connection, registry, signer, max(kept)).at(min(kept)) == (old,)
        connection.execute(
            update(t.setting)
            .where(t.setting.c.registry == "jiangyin", t.setting.c.name == "ledger_keys")
            .values(body=json.dumps(lent).encode())
        )
        assert audited_log_keys(connection, registry, signer, max(kept)).at(max(kept)) == (new,)
    engine.dispose()
    ran = diya(own_folder, "ledger", "verify", "--json")
    assert ran.exit_code == 1
    assert "CHECKPOINT_CHANGED" in ran.output


async def test_acts_that_would_leave_a_gap_are_refused(own_folder: Path) -> None:
    """Not in the settings, a stale view of the one in use, one used before, a third, the only one, a stranger."""
    old, new = vkey_of(own_folder), add_next(own_folder)
    trusts(own_folder, old, new)
    async with town_of(own_folder) as town:
        admin = await town.operator()
        assert "next_ledger_key: is not the key" in await refused(admin.rotate_ledger_key(old, old))
        assert "is in use than" in await refused(admin.rotate_ledger_key(new, new))
        assert "rotate first" in await refused(admin.retire_ledger_key(old, "x"))
        await admin.rotate_ledger_key(old, new)
        third = add_next(own_folder, "ledger-third")
        assert "or two are" in await refused(admin.rotate_ledger_key(old, third))
        assert "no such" in await refused(admin.retire_ledger_key(third, "x"))
        await admin.retire_ledger_key(old, "x")
        assert "retired already" in await refused(admin.retire_ledger_key(old, "x"))
        assert "rotate first" in await refused(admin.retire_ledger_key(new, "x"))
        set_keys(own_folder, following="ledger-jiangyin")
        assert "in use before" in await refused(admin.rotate_ledger_key(new, old))


async def test_new_key_that_is_lost_ends_and_the_former_goes_on(own_folder: Path) -> None:
    """Then another new one; nothing between is in doubt."""
    old, new = vkey_of(own_folder), add_next(own_folder)
    trusts(own_folder, old, new)
    async with town_of(own_folder) as town:
        admin = await town.operator()
        await admin.rotate_ledger_key(old, new)
        await admin.retire_ledger_key(new, "丢失")
        await town.booked()
        third = add_next(own_folder, "ledger-third")
        trusts(own_folder, old, third)
        await (await town.operator()).rotate_ledger_key(old, third)
        await town.booked()
        found = await ledger_keys(town)
        states = {key: found[key].state for key in (old, new, third)}
        assert list(states.values()) == [1, 3, 1]
    ran = diya(own_folder, "ledger", "verify")
    assert ran.exit_code == 0, ran.output


async def test_compromised_key_is_reported_with_the_checkpoints_that_it_alone_signed(
    own_folder: Path,
) -> None:
    """From the instant on, those that both signed not; told again by list and by the service that publishes keys."""
    old, new = vkey_of(own_folder), add_next(own_folder)
    trusts(own_folder, old, new)
    async with town_of(own_folder) as town:
        admin = await town.operator()
        await town.booked()
        between, size = utc_now(), town.ledger_size()
        await town.booked()
        alone = [one for one in checkpoints(town) if one > size]
        await admin.rotate_ledger_key(old, new)
        await town.booked()
        assert "future" in await refused(
            admin.retire_ledger_key(old, "泄露", compromised_since=utc_now() + dt.timedelta(days=1))
        )
        done = await admin.retire_ledger_key(old, "泄露", compromised_since=between)
        assert done.value.state == authority_pb2.KEY_STATE_COMPROMISED
        assert done.value.signed_since_compromised == len(alone) > 0
        listed = [one async for one in admin.list_signed_checkpoints(old, between)]
        assert [one.size for one in listed] == alone
        assert all(one.newest_entry_at.ToDatetime(dt.UTC) >= between for one in listed)
        everything = [one.size async for one in admin.list_signed_checkpoints(old)]
        assert everything == [one for one in checkpoints(town) if one <= max(alone)]
        assert "moved back" in await refused(
            admin.retire_ledger_key(old, "泄露", compromised_since=utc_now())
        )
        await admin.retire_ledger_key(old, "泄露", compromised_since=between - dt.timedelta(days=999))
        assert [one.size async for one in admin.list_signed_checkpoints(old, between)] == alone
        told = await town.stub(ledger_service_pb2_grpc.LedgerServiceStub, "auditor").GetCheckpoint(
            ledger_service_pb2.GetCheckpointRequest(parent="registries/jiangyin")
        )
        assert [key.vkey for key in told.keys] == [old, new]
        assert told.vkey == new
        assert told.keys[0].last_size == told.checkpoint.size - 2  # two acts on it followed
        assert told.keys[0].HasField("compromised_since")
        assert told.keys[1].first_size == max(alone) + 1


async def test_statement_of_order_is_signed_by_both(own_folder: Path) -> None:
    """Who trusts either key believes what is stated between the acts."""
    old, new = vkey_of(own_folder), add_next(own_folder)
    trusts(own_folder, old, new)
    async with town_of(own_folder) as town:
        await (await town.operator()).rotate_ledger_key(old, new)
        filing, _ = await town.booked()
        statement = await FeedClient(await town.session(REGISTRAR_KEY)).order_statement(filing.unit.unit_code)
        for vkey in (old, new):
            assert verify_order(statement, [vkey]).lines


async def test_command_line_does_all_of_it(town: Town, tmp_path: Path) -> None:
    """list, rotate checkpoint, list --trust, retire, sealed."""
    desk, trust, old = Desk(town, tmp_path, "operator"), town.folder / "trust", vkey_of(town.folder)
    status, _, err = await desk.run("keys", "rotate", "checkpoint")
    assert (status, "next_ledger_key" in err) == (2, True), err
    new = add_next(town.folder)
    done = await desk.json("keys", "rotate", "checkpoint")
    assert (done["key"]["keyId"], done["key"]["state"]) == (new, "KEY_STATE_ACTIVE")
    status, _, err = await desk.run("keys", "rotate", "checkpoint")
    assert (status, "not in use yet" in err) == (2, True), err
    short = old.rpartition("+")[0]
    status, _, err = await desk.run("keys", "retire", short, "--reason", "更换")
    assert (status, f"diya keys list --trust {trust}" in err) == (2, True), err
    assert "ledger-key.retired" not in {entry["kind"] for entry in await desk.json("ledger", "list")}
    status, out, err = await desk.run("keys", "list", "--trust", str(trust))
    assert status == 0, err
    assert read_trust(trust).vkeys("jiangyin") == (old, new)
    await desk.run("keys", "list", "--trust", str(trust))
    assert read_trust(trust).vkeys("jiangyin") == (old, new)
    since = "2020-01-01T00:00:00+08:00"
    retired = await desk.json("keys", "retire", short, "--reason", "泄露", "--compromised-since", since)
    assert retired["key"]["state"] == "KEY_STATE_COMPROMISED"
    assert retired["sealedSince"] == await desk.json("keys", "sealed", old)
    assert {int(one["size"]) for one in retired["sealedSince"]} == {
        size for size, note in checkpoints(town).items() if not opens(note, new)
    }
    listed = await desk.json("keys", "list")
    words = ("keys", "list", "--local", str(town.folder / "diya.toml"), "--json")
    ran = await asyncio.to_thread(CliRunner().invoke, build_app(), words)  # as with the server down
    assert json.loads(ran.stdout)["jiangyin"] == listed
    entries = await desk.json("ledger", "list")
    assert {"ledger-key.rotated", "ledger-key.retired"} <= {entry["kind"] for entry in entries}


async def test_witness_that_knows_both_keys_goes_on(own_folder: Path, tmp_path: Path) -> None:
    """It cosigns before, between and after; one that was never told stops after, and holds nothing against the log."""
    old, new = vkey_of(own_folder), add_next(own_folder)
    told, untold = (
        witness(tmp_path / name, f"{name}.example", logs) for name, logs in (("a", [old, new]), ("b", [old]))
    )
    policy = watched_by(own_folder, [told, untold], "any")
    policy.write_text(f"log {new}\n" + policy.read_text())
    trusts(own_folder, old, new)
    with told.serving(), untold.serving():
        async with town_of(own_folder, **QUICK) as town:
            admin = await town.operator()
            await cosigned(town)
            await admin.rotate_ledger_key(old, new)
            await cosigned(town)
            note = (await checkpoint(town, cosigned=True)).note
            await admin.retire_ledger_key(old, "更换")
            await cosigned(town)
            last = (await checkpoint(town, cosigned=True)).note
            checked = parse_policy(policy.read_bytes())
            assert checked.check(note).size < checked.check(last).size == town.ledger_size()
            assert checked.check_quorum(last) == {told.vkey}
            assert not town.gateway.sequencer.is_damaged


async def test_recovered_ledger_may_have_had_several_keys(own_folder: Path, tmp_path: Path) -> None:
    """What is left is judged by all of them; under the new origin the settings' key signs, and may change again."""
    old, second = vkey_of(own_folder), add_next(own_folder)
    trusts(own_folder, old, second)
    async with town_of(own_folder) as town:
        admin = await town.operator()
        await admin.rotate_ledger_key(old, second)
        await admin.retire_ledger_key(old, "更换")
    set_keys(own_folder, present=NEXT)
    _, _, reached = await lost(own_folder, tmp_path)
    path = own_folder / "diya.toml"
    path.write_text(path.read_text().replace(f'"{FORMER}"', f'"{RENAMED}"'))
    ran = recover(own_folder, old, reached)
    assert (ran.exit_code, "none in use" in ran.output) == (1, True), ran.output
    assert recover(own_folder, second, reached).exit_code == 0
    key = note_signer(RENAMED, FileKey(own_folder / "keys" / f"{NEXT}.pem")).vkey
    third = add_next(own_folder, "ledger-third")
    trusts(own_folder, key, third)
    async with town_of(own_folder) as town:
        await (await town.operator()).rotate_ledger_key(key, third)
        assert list(await ledger_keys(town)) == [key, third]
    ran = diya(own_folder, "ledger", "verify", "--registry", "jiangyin")
    assert ran.exit_code == 0, ran.output
