"""A registry that seals in both suites, over the real wire: certificates, extracts, statements; each seal stamped; a
crash between the two leaves nothing half.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from typer.testing import CliRunner

from gateway.app import utc_now
from gateway.cases.effects import CertificateSealed, decode_effects
from gateway.certificates.extract_verify import verify_extract
from gateway.certificates.verify import verify_certificate
from gateway.cli.app import build_app
from gateway.cli.certificate import offline_trust
from gateway.client.statements import StatementInvalid, verify_payout
from gateway.demo.cast import sample_seeds
from gateway.demo.stage import PORTS, set_ports
from gateway.http.tsa import TimestampServer
from gateway.keyring.key_notices import key_notices
from gateway.keyring.seals import configured_seals
from gateway.pb.diya.v1 import authority_pb2, outcome_pb2
from gateway.setup import SetupRefused, initialise
from gateway.telemetry import metrics
from signing import sm2
from signing.algorithms import Suite
from signing.envelope import envelope_from_json
from signing.pdf import check_pdf
from signing.trust_directory import read_trust as read_anchors
from tests.interop import sm2_second
from tests.support.founding import copy_of
from tests.support.played import opened
from tests.support.sealing import seal_in_both
from tests.support.stage import Town, town_of
from tests.support.stamping import own_authority, stamped_by
from tests.support.wire import until

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(not sm2.AVAILABLE, reason="the extra sm is not installed"),
]
PDFSIG = shutil.which("pdfsig")
SEAL_ENTRIES = "SELECT entry_index FROM request WHERE registry = 'jiangyin' AND request_id LIKE 'seal/%'"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def sealing_town(founded: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """A gateway whose jiangyin seals in both suites."""
    folder = copy_of(founded, tmp_path_factory.mktemp("both"))
    seal_in_both(folder)
    async with town_of(folder, sealing=True) as town:
        yield town


async def sealed(town: Town, name: str) -> None:
    """Wait for the one event that says so."""
    client = await town.client("bank-a")
    async with asyncio.timeout(40):
        async for event in client.watch_events(0):
            if event.kind == outcome_pb2.EVENT_KIND_SEALED and event.certificate == name:
                return


async def downloaded(town: Town, name: str, path: Path) -> bytes:
    """The certificate, once it is sealed; the client compares its digest with the ledger."""
    await sealed(town, name)
    await (await town.client("bank-a")).download_certificate(name, path)
    return path.read_bytes()


def seal_entries(folder: Path) -> list[int]:
    """Indexes of the entries that tell of a seal."""
    with opened(folder) as connection:
        return [int(row[0]) for row in connection.execute(SEAL_ENTRIES)]


def sealed_effects(town: Town) -> list[CertificateSealed]:
    """What the ledger tells of each seal."""
    found = []
    with town.gateway._reader.begin() as connection:
        for index in seal_entries(town.folder):
            _, content = town.gateway.ledger.read_part(connection, "jiangyin", index, "effects")
            found += [one for one in decode_effects(content) if isinstance(one, CertificateSealed)]
    return found


async def test_certificate_bears_both_seals_under_one_digest_and_one_entry(
    sealing_town: Town, tmp_path: Path
) -> None:
    """One file, one event, one entry that names both keys; offline both hold, demanded or not."""
    town = sealing_town
    _, answer = await town.booked()
    [name] = [one.name for one in answer.outcome.certificates]
    pdf = await downloaded(town, name, tmp_path / "certificate.pdf")
    settings = offline_trust(town.folder / "trust")
    verdict = verify_certificate(pdf, **settings | {"suites": {"jiangyin": frozenset(Suite)}})
    assert verdict.sound, verdict.failed
    assert verdict.suites == (Suite.INTERNATIONAL, Suite.NATIONAL)
    seals = check_pdf(pdf, settings["trust"], settings["at"]).signatures
    [effect] = [one for one in sealed_effects(town) if one.identifier == name.rpartition("/")[2]]
    assert (effect.seal_key_id, effect.national_key_id) == tuple(one.key_id for one in seals)
    assert effect.pdf_sha256 == verdict.sha256


async def test_command_line_judges_each_seal_and_a_demand_in_the_trust_folder(
    sealing_town: Town, tmp_path: Path
) -> None:
    """Exit 0 with both suites named; jiangyin.suites makes a seal that is not there a failure."""
    town = sealing_town
    trust = tmp_path / "trust"
    shutil.copytree(town.folder / "trust", trust)
    (trust / "jiangyin.suites").write_text("NATIONAL\nINTERNATIONAL\n")
    _, answer = await town.booked()
    [name] = [one.name for one in answer.outcome.certificates]
    path = tmp_path / "both.pdf"
    pdf = await downloaded(town, name, path)
    first = pdf.index(b"%%EOF", pdf.index(b"ETSI.CAdES")) + len(b"%%EOF\n")
    (tmp_path / "one.pdf").write_bytes(pdf[:first])

    def verify(file: str, folder: Path) -> Any:
        words = ["certificate", "verify", str(tmp_path / file), "--trust", str(folder), "--json"]
        return CliRunner().invoke(build_app(), words)

    both = verify("both.pdf", trust)
    assert both.exit_code == 0, both.output
    assert msgspec.json.decode(both.stdout)["suites"] == ["INTERNATIONAL", "NATIONAL"]
    assert verify("one.pdf", town.folder / "trust").exit_code == 0
    lacking = verify("one.pdf", trust)
    assert lacking.exit_code == 1
    assert "SEAL_SUITE_MISSING" in lacking.stdout


async def test_extract_and_statement_bear_both_seals(sealing_town: Town, tmp_path: Path) -> None:
    """An extract as a certificate; a payout statement as two signatures of one envelope."""
    town = sealing_town
    filing, answer = await town.booked()
    [certificate] = answer.outcome.certificates
    await sealed(town, certificate.name)
    client = await town.client("bank-a")
    got = await client.get_extract(filing.unit.unit_code, own_right=certificate.number, purpose="贷后管理")
    both = {"suites": {"jiangyin": frozenset(Suite)}}
    verdict = verify_extract(got.pdf, **offline_trust(town.folder / "trust") | both)
    assert verdict.sound, verdict.failed
    anchors = read_anchors(town.folder / "trust")
    [one] = await client.check_payout(anchors, certificate=certificate.name)
    assert one.statement.safe
    signatures = envelope_from_json(one.envelope).signatures
    assert [signature.algorithm for signature in signatures] == ["ECDSA_P256_SHA256", "SM2_SM3"]
    assert verify_payout(one.envelope, anchors, town.clock(), registry="jiangyin") == one.statement
    bad = msgspec.json.decode(one.envelope)
    bad["signatures"].pop(0)  # what is left holds alone: each is a whole seal
    assert verify_payout(msgspec.json.encode(bad), anchors, town.clock()).safe
    assert verify_payout(one.envelope, anchors, town.clock(), **both).safe  # type: ignore[arg-type]
    with pytest.raises(StatementInvalid, match="demand the seal of jiangyin in INTERNATIONAL"):
        verify_payout(msgspec.json.encode(bad), anchors, town.clock(), **both)  # type: ignore[arg-type]
    admin = await town.operator()
    for signature in signatures:
        found = [answer async for answer in admin.list_sealed_answers(signature.key_id)]
        assert hashlib.sha256(one.envelope).digest() in {answer.sha256 for answer in found}
        assert got.sha256 in {answer.sha256 for answer in found}


async def test_national_seal_is_listed_beside_the_keys_that_rotate(sealing_town: Town) -> None:
    """Of a use of its own, in use, where the settings have it."""
    found = await (await sealing_town.operator()).list_keys()
    [national] = [one for one in found if one.use == authority_pb2.KEY_USE_NATIONAL_SEAL]
    assert national.state == authority_pb2.KEY_STATE_ACTIVE
    assert national.place.endswith("seal-jiangyin-sm2.key.pem")
    config = sealing_town.stage.config
    seals = {one.id: configured_seals(one, national=True) for one in config.registries}
    list(
        key_notices(config, lambda name: seals[name], lambda _: False, sealing_town.clock())
    )  # this town's, told last
    labels = {"registry": "jiangyin", "use": "national_seal"}
    until_then = metrics.collectors.get_sample_value("diya_key_not_after_seconds", labels)
    assert until_then == national.not_after.seconds


@pytest.mark.skipif(PDFSIG is None, reason="no pdfsig on the path: install poppler-utils")
async def test_others_see_the_seal_of_their_suite(sealing_town: Town, tmp_path: Path) -> None:
    """pdfsig finds the international one valid; a second SM2, integers alone, the national one."""
    assert PDFSIG is not None
    _, answer = await sealing_town.booked()
    [name] = [one.name for one in answer.outcome.certificates]
    path = tmp_path / "certificate.pdf"
    pdf = await downloaded(sealing_town, name, path)
    ran = await asyncio.to_thread(
        subprocess.run,
        [PDFSIG, "-nocert", str(path)],
        capture_output=True,
        check=False,
        timeout=60,
        text=True,
    )
    first, second = ran.stdout.partition("Signature #2")[::2]
    assert "Signature Field Name: Seal" in first
    assert "Signature is Valid." in first
    assert "Signature Field Name: NationalSeal" in second
    assert "Total document signed" in second
    assert sm2_second.holds_in_pdf(pdf)
    changed = bytearray(pdf)
    changed[pdf.index(b"stream") + 20] ^= 1
    assert not sm2_second.holds_in_pdf(bytes(changed))


class _Killer:
    """An authority that ends a process when it is asked for the second time, and answers nothing then."""

    def __init__(self, authority: Any) -> None:
        self.authority, self.asked, self.pid = authority, 0, 0

    def answer(self, request: bytes) -> bytes:
        self.asked += 1
        if self.asked < 2:
            return bytes(self.authority.answer(request))
        os.kill(self.pid, signal.SIGKILL)
        return b""


async def test_killed_between_the_two_seals_leaves_nothing_and_seals_once_after_the_restart(
    own_folder: Path, tmp_path: Path
) -> None:
    """kill -9 when the first seal is made and stamped: the certificate stays NUMBERED; both are on after a restart."""
    authority = own_authority(own_folder)
    seal_in_both(own_folder)
    stamped_by(own_folder, authority.url, checkpoint_interval_seconds=0.01)
    labels = {"registry": "jiangyin"}
    with authority.serving():
        async with town_of(own_folder) as town:  # numbered by a gateway that does not seal
            _, answer = await town.booked()
            [name] = [one.name for one in answer.outcome.certificates]
            size = town.ledger_size()
            stamped = metrics.collectors.get_sample_value
            await until(lambda: stamped("diya_stamped_entries", labels) == size)
    killer = _Killer(authority.authority)
    server: Any = TimestampServer(killer, "127.0.0.1", authority.port)  # type: ignore[arg-type]
    serving = asyncio.create_task(asyncio.to_thread(server.serve_forever, 0.01))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.cli", "serve", "--config", str(own_folder / "diya.toml")),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    killer.pid = process.pid
    try:
        async with asyncio.timeout(60):
            assert await process.wait() == -signal.SIGKILL
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        await serving
    assert killer.asked == 2
    assert seal_entries(own_folder) == []
    with authority.serving():
        async with town_of(own_folder, sealing=True, timestamp_retry_seconds_max=0.05) as town:
            pdf = await downloaded(town, name, tmp_path / "certificate.pdf")
    assert len(seal_entries(own_folder)) == 1
    settings = offline_trust(own_folder / "trust")
    seals = check_pdf(pdf, settings["trust"], settings["at"]).signatures
    assert [one.algorithm for one in seals] == ["ECDSA_P256_SHA256", "SM2_SM3"]
    assert all(one.proven_at is not None for one in seals)
    assert verify_certificate(pdf, **settings).sound


async def test_init_gives_the_named_registries_a_second_seal_and_no_other(tmp_path: Path) -> None:
    """`diya init --sm2-seal taizhou`; a registry that is not made is refused before anything is written."""
    ran = CliRunner().invoke(build_app(), ["init", str(tmp_path / "gateway"), "--sm2-seal", "taizhou"])
    assert ran.exit_code == 0, ran.output
    keys = {path.name for path in (tmp_path / "gateway" / "keys").iterdir()}
    assert {"seal-taizhou.pem", "seal-taizhou-sm2.pem", "seal-jiangyin.pem"} <= keys
    assert "seal-jiangyin-sm2.pem" not in keys
    set_ports(tmp_path / "gateway", PORTS, (0, 0, 0, 0))
    async with town_of(tmp_path / "gateway", sealing=True):
        pass
    with pytest.raises(SetupRefused, match="no registry nowhere"):
        initialise(tmp_path / "other", sample_seeds(), now=utc_now(), both_suites=("nowhere",))
    assert not (tmp_path / "other").exists()
