"""Limits over the wire: entered by an operator's act, told when they are met, and nothing left of what they refuse."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.client.errors import RequestError
from gateway.client.payloads import envelope_to_wire, payload_type_of
from gateway.demo.stage import INSTITUTIONS, OPERATOR_KEY
from gateway.pb.diya.v1 import authority_pb2
from signing.signer import sign_envelope
from tests.integration.test_cli_acts import Desk, transfer_before_its_gates
from tests.support.filing import Filing
from tests.support.stage import Town, town_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

BANK = INSTITUTIONS["bank-a"].id_number


async def known(town: Town) -> authority_pb2.Institution:
    """Bank A as it stands."""
    operator = await town.operator()
    [found] = [one async for one in operator.list_institutions(BANK)]
    return found


async def filed(town: Town) -> Filing:
    """A mortgage that would be booked, its papers uploaded."""
    return await town.mortgage().sign().upload()


async def test_each_limit_is_entered_by_a_command_and_holds_at_once(own_folder: Path, tmp_path: Path) -> None:
    """Institution, key and clerk; each change is one entry, and taking it back books the case."""
    async with town_of(own_folder) as town:
        desk = Desk(town, tmp_path, OPERATOR_KEY)
        filing = await filed(town)
        claim = 80_000_000  # of Town.mortgage
        before = town.ledger_size()

        done = await desk.json(
            "institution", "limits", BANK, "--claim-max-fen", str(claim - 1), "--per-day", "5"
        )
        assert done["index"] == before
        refused = await town.refusal(filing.send, "MANDATE_EXCEEDED", "PERMISSION_DENIED")
        assert refused.metadata["limitFen"] == str(claim - 1)
        await desk.json("institution", "limits", BANK, "--operation", "MORTGAGE_RELEASE")
        refused = await town.refusal(filing.send, "MANDATE_EXCEEDED")
        assert refused.metadata["operation"] == "MORTGAGE_FIRST"
        await desk.json("institution", "limits", BANK)

        pem = tmp_path / "key.pem"
        pem.write_bytes(town.key("bank-a").chain_pem())
        limited = ("institution", "add-key", BANK, str(pem), "--role", "SUBMIT", "--claim-max-fen")
        await desk.json(*limited, str(claim - 1))
        await town.refusal(filing.send, "MANDATE_EXCEEDED")
        await desk.json(*limited, str(claim))

        await desk.json("institution", "add-clerk", BANK, "X-9", "另一经办员", "--outlet", "城东支行")
        await town.refusal(filing.send, "CLERK_NOT_REGISTERED", "PERMISSION_DENIED")
        clerk = filing.manifest().header.clerk
        await desk.json("institution", "add-clerk", BANK, clerk.employee_number, clerk.name)
        status, out, err = await desk.run("institution", "list", "--uscc", BANK)
        assert status == 0, err
        assert "2 clerks" in out

        assert (await filing.submit()).result == "BOOKED"
        ended = await desk.json("institution", "end-clerk", BANK, clerk.employee_number)
        assert ended["index"] == town.ledger_size() - 1
        _, out, _ = await desk.run("institution", "list", "--uscc", BANK)
        assert "2 clerks 名经办人, 1 ended 已停用" in out
        await town.refusal((await filed(town)).send, "CLERK_NOT_REGISTERED")


async def test_outlet_is_entered_shown_and_ended_as_one(own_folder: Path, tmp_path: Path) -> None:
    """Its clerk and its key file; another outlet's key does not; ended by one act, neither does the outlet."""
    async with town_of(own_folder) as town:
        desk = Desk(town, tmp_path, OPERATOR_KEY)
        filing = await filed(town)
        clerk = filing.manifest().header.clerk
        pem = tmp_path / "key.pem"
        pem.write_bytes(town.key("bank-a").chain_pem())
        key = ("institution", "add-key", BANK, str(pem), "--role", "SUBMIT", "--outlet")
        await desk.json(
            "institution", "add-clerk", BANK, clerk.employee_number, clerk.name, "--outlet", "城东支行"
        )
        await desk.json(*key, "城西支行")
        refused = await town.refusal(filing.send, "MANDATE_EXCEEDED")
        assert refused.metadata["outlet"] == "城西支行"
        await desk.json(*key, "城东支行", "--note", "柜面系统")
        status, out, err = await desk.run("institution", "show", BANK)
        assert status == 0, err
        outlet = out.partition("outlet 网点 城东支行")[2]
        assert f"clerk 经办人 {clerk.employee_number} {clerk.name}" in outlet
        assert "柜面系统" in outlet
        assert (await filing.submit()).result == "BOOKED"

        before = town.ledger_size()
        done = await desk.json("institution", "end-outlet", BANK, "城东支行")
        assert done["index"] == before
        await town.told((await filed(town)).send, {"CLERK_NOT_REGISTERED", "KEY_NOT_REGISTERED"})
        status, _, err = await desk.run("institution", "end-outlet", BANK, "城北支行")
        assert status == 2
        assert f"diya institution show {BANK}" in err


async def test_two_keys_sign_from_the_banks_own_sum_on(own_folder: Path) -> None:
    """One key's signature is refused, its own and a second one's book the case."""
    async with town_of(own_folder) as town:
        second = town.pki.issue_institution(BANK, "第二密钥")
        bank = await known(town)
        bank.second_key_from_fen = 1
        bank.keys.add(key_id=second.certificate.key_id, roles=[authority_pb2.KEY_ROLE_SUBMIT])
        await (await town.operator()).set_institution(bank)
        filing = await filed(town)
        await town.refusal(filing.send, "SECOND_SIGNATURE_REQUIRED", "PERMISSION_DENIED")
        manifest = filing.manifest()
        signers = [town.key("bank-a").signer(), second.signer()]
        both = sign_envelope(
            payload_type_of(manifest), manifest.SerializeToString(deterministic=True), signers
        )
        outcome = await filing.send(filing.request(envelope_to_wire(both)))
        assert outcome.receipt.index == town.ledger_size() - 1
        assert [f.code for f in outcome.findings] == []


async def test_consent_over_the_banks_own_sum_is_countersigned_by_commands(
    own_folder: Path, tmp_path: Path
) -> None:
    """One clerk signs and is refused, what was signed is kept; a second key is added, and the same bytes are taken."""
    async with town_of(own_folder) as town:
        answer = await transfer_before_its_gates(town, tmp_path)
        case = answer.outcome.application.rpartition("/")[2]
        lender = INSTITUTIONS["bank-b"].id_number
        checker = town.pki.issue_institution(lender, "复核岗")
        checker.write(tmp_path, "checker")
        pem, key = tmp_path / "checker.pem", tmp_path / "checker.key.pem"
        operator = Desk(town, tmp_path, OPERATOR_KEY)
        await operator.json("institution", "limits", lender, "--second-key-from-fen", "50000000")
        await operator.json("institution", "add-key", lender, str(pem), "--role", "CONSENT")

        bank = Desk(town, tmp_path, "bank-b")
        said = ("party", "consent", case, "--kind", "PAYOFF_UNDERTAKING", "--amount-fen")
        before = town.ledger_size()
        status, _, err = await bank.run(*said, "50000000")
        assert status == 4
        assert "SECOND_SIGNATURE_REQUIRED" in err
        assert town.ledger_size() == before
        [kept] = (tmp_path / "receipts").glob("*.json")
        assert f"diya submit countersign receipts/{kept.name}" in err

        status, _, err = await bank.run("submit", "countersign", str(kept))
        assert (status, "SIGNATURE_DUPLICATE" in err) == (2, True)  # the same person is no second one
        own = {"DIYA_SIGNING_CERTIFICATE": str(pem), "DIYA_SIGNING_KEY": str(key)}
        second = Desk(town, tmp_path, "bank-b", environment=own)
        assert len((await second.json("submit", "countersign", str(kept)))["keyIds"]) == 2
        assert (await bank.json("submit", "resend", str(kept)))["result"] == "DONE"
        status, _, err = await second.run("submit", "countersign", str(kept))
        assert (status, "已有答复" in err) == (2, True)


async def test_staff_risks_are_told_by_the_profile(own_folder: Path) -> None:
    """A registered clerk who is the owner: the finding is in the answer, the case is booked."""
    async with town_of(own_folder) as town:
        filing = await filed(town)
        header = filing.manifest().header
        owner = filing.owners[0]
        bank = await known(town)
        bank.clerks.add(
            employee_number=header.clerk.employee_number,
            display_name=header.clerk.name,
            id_number=owner.id_number,
        )
        operator = await town.operator()
        await operator.set_institution(bank)
        profile = (await operator.get_profile()).profile
        profile.version += 1
        profile.source = "test"
        profile.staff_risks.add(
            risk=authority_pb2.STAFF_RISK_CLERK_IS_PARTY, stance=authority_pb2.STANCE_WARN
        )
        await operator.set_profile(profile)
        answer = await filing.submit()
        assert answer.result == "BOOKED"
        assert [f.code for f in answer.outcome.findings] == ["W-STAFF_RISK"]


async def test_two_operators_do_not_undo_each_other(own_folder: Path) -> None:
    """Both have read the bank: the second is told to read again, and the client does it and keeps both changes."""
    async with town_of(own_folder) as town:
        operator = await town.operator()
        stale = await known(town)

        async def limit_of_another() -> None:
            stands = await known(town)
            stands.second_key_from_fen += 7
            await operator.set_institution(stands, seen_index=stands.index)

        await limit_of_another()
        stale.submissions_per_day = 3
        before = town.ledger_size()
        with pytest.raises(RequestError) as refused:
            await operator.set_institution(stale, seen_index=stale.index)
        assert (refused.value.reason, refused.value.code) == ("SEEN_INDEX_STALE", "ABORTED")
        assert refused.value.metadata["lastIndex"] == str(before - 1)
        assert town.ledger_size() == before

        reads = operator.list_institutions
        between = [limit_of_another]

        async def read_and_be_late(uscc: str = "") -> AsyncIterator[authority_pb2.Institution]:
            found = [one async for one in reads(uscc)]
            if between:
                await between.pop()()
            for one in found:
                yield one

        operator.list_institutions = read_and_be_late  # type: ignore[method-assign]

        def edit(institution: authority_pb2.Institution) -> None:
            institution.submissions_per_day = 9

        done = await operator.change_institution(BANK, edit)
        assert (done.value.submissions_per_day, done.value.second_key_from_fen) == (9, 14)


async def test_exported_institution_is_set_only_as_it_was_exported(own_folder: Path, tmp_path: Path) -> None:
    """`list --json`, edit, `set`: an edit of an old export is refused; without an index it replaces what stands."""
    async with town_of(own_folder) as town:
        desk = Desk(town, tmp_path, OPERATOR_KEY)
        [exported] = await desk.json("institution", "list", "--uscc", BANK)
        file = tmp_path / "bank.json"
        file.write_text(json.dumps(exported))
        await desk.json("institution", "limits", BANK, "--per-day", "5")
        status, _, err = await desk.run("institution", "set", str(file))
        assert status != 0
        assert "SEEN_INDEX_STALE" in err
        assert "请重新读取该机构" in err
        assert (await known(town)).submissions_per_day == 5
        del exported["index"]
        file.write_text(json.dumps(exported))
        await desk.json("institution", "set", str(file))
        assert (await known(town)).submissions_per_day == 0
