"""`diya` against a running gateway, as an institution's clerk types it: the acts on a case after its submission."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway.client import manifest as build
from gateway.client.acts import target_of_envelope
from gateway.client.party import PartyClient
from gateway.client.session import Actor, Answer
from gateway.demo.cases import Filing as DemoFiling
from gateway.demo.readme import client_settings
from gateway.demo.stage import INSTITUTIONS
from gateway.pb.diya.v1 import acts_pb2, codes_pb2
from gateway.register.sample import SAMPLE
from signing.pki import DevelopmentPKI
from signing.trust import Purpose
from tests.support.signed_papers import paper
from tests.support.stage import Town, town_of

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.asyncio(loop_scope="session")


@dataclass
class Desk:
    """A clerk at a terminal, with the settings that the demo writes for the institution."""

    town: Town
    folder: Path
    key: str
    registry: str = "jiangyin"
    environment: dict[str, str] = field(default_factory=dict)

    async def run(self, *arguments: str) -> tuple[int, str, str]:
        """`diya …`: its status and what it printed on either stream."""
        ports = self.town.gateway.ports
        settings = self.town.folder / f"{self.key}-{self.registry}.toml"
        settings.write_text(client_settings(self.key, self.registry, (ports["listen"], ports["public"], 0)))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "gateway.cli",
            "--config",
            str(settings),
            *arguments,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **self.environment},
        )
        out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()

    async def json(self, *arguments: str) -> Any:
        """What a command that ends well prints with --json."""
        status, out, err = await self.run(*arguments, "--json")
        assert status == 0, out + err
        return json.loads(out)


async def transfer_before_its_gates(town: Town, folder: Path) -> Answer:
    """An encumbered transfer of bank B's, joined by bank A, approved, its taxes not yet cleared."""
    operator = await town.operator()
    for key in ("bank-a", "bank-b"):
        [known] = [one async for one in operator.list_institutions(INSTITUTIONS[key].id_number)]
        known.permitted_modes.append(codes_pb2.ENCUMBERED_TRANSFER_MODE_ET_COMBINED)
        await operator.set_institution(known)
    client = await town.client("bank-b")
    filing = DemoFiling(town.stage, client, "bank-b", "bank-b", folder / "papers", town.clock())
    flat, buyer = SAMPLE.mortgaged_by_bank_a_jiangyin, SAMPLE.free("jiangyin")[3].owner
    answer = await filing.transfer(flat, buyer, 200_000_000, 100_000_000, "bank-a")
    await (await party(town, "bank-a")).join(
        target_of_envelope(answer.outcome.application, answer.envelope), ["old"]
    )
    registrar = await town.registrar(registry="jiangyin")
    await registrar.claim(await registrar.open(answer.outcome.application))
    await registrar.approve(await registrar.open(answer.outcome.application))
    return answer


async def party(town: Town, key: str) -> PartyClient:
    """An institution's client for others' cases."""
    actor = Actor(INSTITUTIONS[key].id_number, build.clerk("经办员", "D-001"))
    return PartyClient(await town.session(key), town.key(key).signer(), actor)


async def test_transfer_goes_through_its_gates_by_commands(own_folder: Path, tmp_path: Path) -> None:
    """Taxes by a supplement, the new mortgagee's undertaking, its payout: no list of what is awaited names them."""
    evidence = tmp_path / "taxes.json"
    async with town_of(own_folder) as town:
        answer = await transfer_before_its_gates(town, tmp_path)
        name = answer.outcome.application
        bank_b = Desk(town, tmp_path, "bank-b")
        evidence.write_text(
            json.dumps(
                {
                    "taxClearances": [
                        {
                            "kind": kind,
                            "number": "1",
                            "amount": {"amountFen": "100", "currency": "CNY"},
                            "clearedAt": town.clock().isoformat(),
                            "taxpayer": taxpayer,
                        }
                        for kind, taxpayer in (("TAX_KIND_DEED", "buyer"), ("TAX_KIND_INCOME", "seller"))
                    ]
                }
            )
        )
        taxed = await bank_b.json("application", "supplement", name, "--evidence", str(evidence))
        assert taxed["outcome"]["state"] == "STATE_AWAITING_PAYOFF"

        own = await party(town, "bank-b")
        assert [one async for one in own.list_pending()] == []
        undertaken = await bank_b.json(
            *("party", "consent", name.rpartition("/")[2], "--kind", "PAYOFF_UNDERTAKING"),
            *("--amount-fen", "50000000"),
        )
        assert undertaken["result"] == "DONE"
        assert (tmp_path / "receipts" / f"{undertaken['requestId']}.json").exists()

        old = await party(town, "bank-a")
        target = target_of_envelope(name, answer.envelope)
        accepted = await old.consent(target, acts_pb2.CONSENT_KIND_PAYOFF_UNDERTAKING_ACCEPTED)
        assert accepted.result == "BOOKED", accepted.outcome.findings
        paid = await bank_b.json(
            *("party", "consent", name, "--kind", "PAID_OUT", "--amount-fen", "100000000"),
            *("--happened-on", f"{town.clock():%Y-%m-%d}"),
        )
        assert paid["outcome"]["state"] == "STATE_BOOKED"


async def test_consenting_bank_reads_the_terms_consents_and_takes_it_back(town: Town, tmp_path: Path) -> None:
    """The consent is named by the file that the consent's own command kept."""
    filing = town.mortgage(registry="taizhou")
    consenter = INSTITUTIONS["bank-b"]
    filing.terms.parties.append(build.institution_party("other", consenter.name, consenter.id_number))
    filing.terms.operations[0].consenters.append("other")
    answer = await (await filing.sign().upload()).submit()
    assert answer.result == "AWAITING_PARTIES", answer.outcome.findings
    name = answer.outcome.application
    desk = Desk(town, tmp_path, "bank-b", "taizhou")
    terms = await desk.json("party", "show", name)
    assert terms["operations"][0]["consenters"] == ["other"]
    status, out, err = await desk.run("party", "show", name)
    assert status == 0, out + err
    assert "consenters:\n      - other" in out
    given = await desk.json("party", "consent", name)
    assert given["result"] == "ACCEPTED"
    kept = f"receipts/{given['requestId']}.json"
    taken_back = await desk.json("party", "revoke", name, "--consent", kept, "--reason", "条件未满足")
    assert taken_back["result"] == "DONE"
    again, out, err = await desk.run("party", "revoke", name, "--consent", kept, "--reason", "再次")
    assert (again, "FIELD_INVALID" in err) == (4, True), out + err


async def test_all_applicants_withdraw_by_one_command(town: Town, tmp_path: Path) -> None:
    """The bank by its act, the owner by the paper that goes with it (IR 15)."""
    filing, answer = await town.in_review()
    signed = tmp_path / "withdrawal.pdf"
    signed.write_bytes(paper("withdrawal", *(town.citizen(o) for o in filing.owners)))
    done = await Desk(town, tmp_path, "bank-a", "taizhou").json(
        *("application", "withdraw", answer.outcome.application, "--party", "bank", "--party", "owner-1"),
        *("--file", f"WITHDRAWAL={signed}", "--reason", "不再办理"),
    )
    assert done["outcome"]["state"] == "STATE_WITHDRAWN"


async def test_registrar_looks_at_case_and_unit_as_json_and_as_text(town: Town, tmp_path: Path) -> None:
    """With --json one document, without it fields for people, in which the manifest stands as terms, not as bytes."""
    filing, answer = await town.in_review()
    desk = Desk(town, tmp_path, "registrar", "taizhou")
    name = answer.outcome.application
    case = await desk.json("review", "show", name)
    assert case["dossier"]["manifest"]
    unit = await desk.json("register", "show", filing.unit.unit_code)
    assert unit["unitState"]["unit"]["unitCode"] == filing.unit.unit_code
    _, text, _ = await desk.run("review", "show", name)
    assert f"name: {name}" in text
    assert "manifest:" not in text
    assert "mortgageFirst:" in text
    status, text, _ = await desk.run("register", "show", filing.unit.unit_code)
    assert (status, f"unitCode: {filing.unit.unit_code}" in text) == (0, True)


async def test_error_of_a_look_is_told_for_people_unless_json_is_asked(town: Town, tmp_path: Path) -> None:
    """Nothing on standard output that a reader could take for the case; with --json the error is the document."""
    desk = Desk(town, tmp_path, "bank-b")
    status, out, err = await desk.run("party", "show", "0192f0c1-0000-7000-8000-000000000000")
    assert (status, out, "APPLICATION_NOT_FOUND" in err) == (4, "", True)
    status, out, _ = await desk.run("party", "show", "0192f0c1-0000-7000-8000-000000000000", "--json")
    assert json.loads(out)["error"]["reason"] == "APPLICATION_NOT_FOUND"


async def test_gateway_that_the_roots_do_not_vouch_for_is_told_apart(town: Town, tmp_path: Path) -> None:
    """The wrong roots are named as what they are, in one line, and not as a refused connection or own certificate."""
    other = tmp_path / "roots.pem"
    other.write_bytes(DevelopmentPKI.create(town.clock()).anchors[Purpose.TLS].credential.chain_pem())
    desk = Desk(town, tmp_path, "bank-b", environment={"DIYA_ROOTS": str(other)})
    status, out, err = await desk.run("application", "list")
    assert (status, out) == (5, "")
    assert "roots" in err
    assert "vouch for the gateway's certificate" in err
    assert "refuse" not in err
    assert len(err.splitlines()) == 2, err  # Chinese, English, and no line of gRPC's own …
    desk.environment["GRPC_VERBOSITY"] = "INFO"
    _, _, err = await desk.run("application", "list")
    assert "ssl_transport_security" in err  # … unless somebody asks for them


async def test_port_where_nobody_listens_is_told(town: Town, tmp_path: Path) -> None:
    """A gateway that is not there is asked for by its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        target = f"localhost:{free.getsockname()[1]}"
        desk = Desk(town, tmp_path, "bank-b", environment={"DIYA_TARGET": target})
        status, _, err = await desk.run("application", "list")
    assert status == 5
    assert f"{target}: no connection" in err
    assert "is the gateway running" in err


async def test_whole_case_is_shown_to_people(town: Town, tmp_path: Path) -> None:
    """`application get --full` without --json shows the dossier, the terms in the place of the manifest's bytes."""
    _, answer = await town.in_review()
    desk = Desk(town, tmp_path, "bank-a", "taizhou")
    status, out, err = await desk.run("application", "get", answer.outcome.application, "--full")
    assert status == 0, err
    assert "dossier:" in out
    assert "mortgageFirst:" in out
    assert "manifest:" not in out
    assert "+08:00" in out


async def test_certificate_asked_for_live_shows_the_answer_as_its_last_check(
    own_folder: Path, tmp_path: Path
) -> None:
    """SEALED: eleven checks hold. CANCELLED after a release: one fails, status 1. Offline nobody can tell."""
    async with town_of(own_folder, sealing=True) as town:
        filing, answer = await town.booked()
        [issued] = answer.outcome.certificates
        client = await town.client("bank-a")
        async for event in client.watch_events():
            if event.certificate == issued.name:
                break
        desk = Desk(town, tmp_path, "bank-a")
        status, _, err = await desk.run("certificate", "download", issued.name, "--out", "/no/such/x.pdf")
        assert (status, "/no/such/x.pdf cannot be written" in err) == (2, True), err
        status, _, err = await desk.run("certificate", "download", issued.name, "--out", "proof.pdf")
        assert status == 0, err
        verify = ("certificate", "verify", "proof.pdf", "--online")
        proven = await desk.json("certificate", "proof", "proof.pdf")
        assert (proven["file"], proven["origin"]) == ("proof.tlog-proof", "ledger.example.org/jiangyin")
        checked = await desk.json("ledger", "check", "proof.tlog-proof")
        assert (checked["index"], checked["checkpointSize"]) == (proven["index"], proven["checkpointSize"])
        live = await desk.json(*verify)
        assert live["checks"][-1]["result"] == "HOLDS"
        _, out, _ = await desk.run(*verify)
        assert "✓ 11" in out
        assert "offline" not in out
        released = town.release(filing, issued.number)
        assert (await (await released.sign().upload()).submit()).result == "BOOKED"
        status, out, _ = await desk.run(*verify)
        assert (status, "✗ 11" in out, "CANCELLED" in out) == (1, True, True), out
