"""A registry's seal keys: replaced while it serves, retired, declared compromised; what each sealed, judged by that."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import AsyncIterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from gateway.app import Gateway, utc_now
from gateway.applications.sealing import Seal, SealRetired
from gateway.certificates.seal_terms import read_seal_terms, write_seal_terms
from gateway.certificates.verdict import Step
from gateway.certificates.verify import verify_certificate
from gateway.client.errors import RequestError
from gateway.client.session import Answer
from gateway.config import ConfigError
from gateway.pb.diya.v1 import (
    authority_pb2,
    certificate_service_pb2,
    certificate_service_pb2_grpc,
    outcome_pb2,
)
from gateway.register.authority import SealTerm
from gateway.rounds.sealing import _command
from signing.certificates import certificates_from_pem, parse_certificate
from signing.pki import Credential
from signing.trust_directory import read_trust as read_anchors
from tests.integration.test_cli_acts import Desk
from tests.support.played import audited
from tests.support.stage import Town, configured, town_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

SINCE = "2020-01-01T00:00:00+08:00"


@pytest_asyncio.fixture(loop_scope="session")
async def town(own_folder: Path) -> AsyncIterator[Town]:
    """A gateway that seals, with a folder of its own."""
    async with town_of(own_folder, sealing=True) as running:
        yield running


def key_id(folder: Path, stem: str) -> str:
    """Id of the key of a certificate under keys/."""
    return parse_certificate(certificates_from_pem((folder / "keys" / f"{stem}.pem").read_bytes())[0]).key_id


def add_next(town: Town, stem: str = "next") -> str:
    """Name a next seal in the settings of the running gateway; its key id."""
    profile = town.gateway.sequencer.settings("jiangyin").profile
    assert profile is not None
    issued = town.pki.issue_seal(profile.authority_code, profile.authority_name)
    issued.write(town.folder / "keys", stem)
    name_next(town.folder, f"keys/{stem}.pem", f"keys/{stem}.key.pem")
    return issued.certificate.key_id


def name_next(folder: Path, certificate: str, key: str) -> None:
    """Write the two settings of jiangyin's next seal."""
    path = folder / "diya.toml"
    lines = [
        line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("next_seal")
    ]
    at = lines.index('id = "jiangyin"') + 1
    lines[at:at] = [f'next_seal_certificate = "{certificate}"', f'next_seal_key = "{key}"']
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


async def rotate(town: Town) -> Any:
    """What `diya keys rotate` does."""
    admin = await town.operator()
    seals = [one for one in await admin.list_keys() if one.use == authority_pb2.KEY_USE_SEAL]
    [following] = [one for one in seals if one.state == authority_pb2.KEY_STATE_NEXT]
    former = [one.key_id for one in seals if one.state == authority_pb2.KEY_STATE_ACTIVE]
    return await admin.rotate_seal(former[0] if former else "", following.certificate)


async def seals(town: Town) -> dict[str, Any]:
    """The registry's seal keys by id."""
    found = await (await town.operator()).list_keys()
    return {one.key_id: one for one in found if one.use == authority_pb2.KEY_USE_SEAL}


async def pdf_of(town: Town, answer: Answer) -> bytes:
    """The certificate of a booking, once it is sealed."""
    client = await town.client("bank-a")
    [name] = [one.name for one in answer.outcome.certificates]
    async with asyncio.timeout(60):
        async for event in client.watch_events(0):
            if event.kind == outcome_pb2.EVENT_KIND_SEALED and event.certificate == name:
                break
    path = town.folder / "downloaded.pdf"
    await client.download_certificate(name, path)
    return path.read_bytes()


async def refused(call: Any) -> str:
    """The field and the words of a refused act."""
    with pytest.raises(RequestError) as caught:
        await call
    assert caught.value.reason == "FIELD_INVALID"
    return str(caught.value)


def verified(town: Town, pdf: bytes, terms: Sequence[SealTerm] = ()) -> Any:
    """A bank's verdict, with these times of seal keys."""
    vkey = town.gateway._ledger_signers.vkey("jiangyin")
    return verify_certificate(
        pdf,
        trust=read_anchors(town.folder / "trust"),
        vkeys={vkey.partition("+")[0]: (vkey,)},
        at=utc_now(),
        seals={term.key_id: term for term in terms},
    )


def code_of(verdict: Any) -> str:
    """Why the seal's chain does not hold; empty where it does."""
    return str(verdict.of(Step.SEAL_CHAIN).code)


async def test_rotation_under_load_fails_no_request_and_old_seals_hold(town: Town) -> None:
    """Bookings go on through two rotations: each is answered, each certificate is sealed, by one key or the other."""
    first = key_id(town.folder, "seal-jiangyin")
    before = await pdf_of(town, (await town.booked())[1])
    filings = [await town.mortgage().sign().upload() for _ in range(12)]
    ids = [add_next(town, "second")]

    async def load() -> list[Answer]:
        return [await filing.submit() for filing in filings]

    async def rotations() -> None:
        await rotate(town)
        ids.append(add_next(town, "third"))
        await rotate(town)

    answers, _ = await asyncio.gather(load(), rotations())
    assert [answer.result for answer in answers] == ["BOOKED"] * len(filings)
    pdfs = [await pdf_of(town, answer) for answer in answers]
    known = await seals(town)
    assert known[first].state == known[ids[0]].state == authority_pb2.KEY_STATE_RETIRED
    assert known[ids[1]].state == authority_pb2.KEY_STATE_ACTIVE
    assert sum(one.signed_count for one in known.values()) == len(filings) + 1
    after = await pdf_of(town, (await town.booked())[1])
    terms = town.gateway.sequencer.settings("jiangyin").seals
    assert [term.key_id for term in terms] == [first, *ids]
    for pdf in (before, *pdfs, after):
        assert verified(town, pdf, terms).sound
    assert (await seals(town))[ids[1]].signed_count > known[ids[1]].signed_count


async def test_ledger_with_a_rotation_verifies_and_folds(own_folder: Path) -> None:
    """The views are what the entries say, and the next start goes on with the key in use, wherever it stands."""
    async with town_of(own_folder, sealing=True) as town:
        await pdf_of(town, (await town.booked())[1])
        second = add_next(town)
        done = await rotate(town)
        assert done.receipt is not None
        assert done.value.state == authority_pb2.KEY_STATE_ACTIVE
        flats = town.flats
    assert audited(own_folder, "jiangyin").ok
    async with town_of(own_folder, sealing=True) as town:
        town.flats = flats
        await pdf_of(town, (await town.booked())[1])
        assert (await seals(town))[second].signed_count == 1
    path = own_folder / "diya.toml"
    lines = [
        line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("next_seal")
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"seal_certificate: the ledger says that since .* {second} seals"):
        await Gateway(configured(own_folder, sealing=True)).start()


async def test_rotation_to_what_cannot_seal_is_refused(town: Town) -> None:
    """Not in the settings; another authority's; another pair's key; a stale view of the one in use; one used before."""
    admin = await town.operator()
    first = key_id(town.folder, "seal-jiangyin")
    certificate = certificates_from_pem((town.folder / "keys" / "seal-jiangyin.pem").read_bytes())[0]
    other = town.pki.issue_seal("999999999999999999", "别处")
    assert "no seal of this certificate" in await refused(admin.rotate_seal(first, other.certificate.der))
    other.write(town.folder / "keys", "other")
    name_next(town.folder, "keys/other.pem", "keys/other.key.pem")
    assert "not that of the authority" in await refused(admin.rotate_seal(first, other.certificate.der))
    second = add_next(town)
    name_next(town.folder, "keys/next.pem", "keys/other.key.pem")
    following = certificates_from_pem((town.folder / "keys" / "next.pem").read_bytes())[0]
    assert "is not that of the certificate" in await refused(admin.rotate_seal(first, following))
    name_next(town.folder, "keys/next.pem", "keys/next.key.pem")
    assert f"in use is {first}" in await refused(admin.rotate_seal(second, following))
    await admin.rotate_seal(first, following)
    assert "list the keys first" in await refused(admin.rotate_seal(first, following))
    assert "in use before" in await refused(admin.rotate_seal(second, certificate))


async def test_seal_by_a_key_that_was_retired_meanwhile_is_not_entered(town: Town) -> None:
    """What was in hand when the act was entered is sealed once more: no entry names a key outside its time."""
    _, answer = await town.booked()
    add_next(town)
    await rotate(town)
    seal = Seal(
        registry="jiangyin",
        identifier="any",
        application_id=answer.outcome.application.rpartition("/")[2],
        case_number="1",
        institutions=(),
        pdf_sha256="0" * 64,
        size_bytes=1,
        seal_key_id=key_id(town.folder, "seal-jiangyin"),
    )
    size = town.ledger_size()
    with pytest.raises(SealRetired):
        await town.gateway.sequencer.ask(_command(seal))
    assert town.ledger_size() - size <= 1  # the booking's own certificate


async def test_retired_seal_waits_for_the_next_one(town: Town) -> None:
    """Ended without a successor: bookings go on, certificates wait, and the rotation lets them follow."""
    first = key_id(town.folder, "seal-jiangyin")
    admin = await town.operator()
    done = await admin.retire_seal(first, "设备停用")
    assert done.value.state == authority_pb2.KEY_STATE_RETIRED
    _, answer = await town.booked()
    client = await town.client("bank-a")
    with pytest.raises(RequestError) as caught:
        await client.download_certificate(answer.outcome.certificates[0].name, town.folder / "x.pdf")
    assert caught.value.reason == "CERTIFICATE_NOT_SEALED"
    second = add_next(town)
    await rotate(town)
    assert verified(town, await pdf_of(town, answer)).sound
    found = await seals(town)
    assert (found[first].signed_count, found[second].signed_count) == (0, 1)
    assert found[first].reason == "设备停用"
    assert "retired already" in await refused(admin.retire_seal(first, "再次"))
    assert "no such seal key" in await refused(admin.retire_seal("0" * 64, "没有"))


async def test_compromised_key_is_reported_with_all_that_it_sealed_from_then_on(town: Town) -> None:
    """Those before stay good, by the ledger's time; those after are listed and no verification lets them hold."""
    early = await pdf_of(town, (await town.booked())[1])
    between = utc_now()
    _, answer = await town.booked()
    late = await pdf_of(town, answer)
    first = key_id(town.folder, "seal-jiangyin")
    add_next(town)
    await rotate(town)
    admin = await town.operator()
    tomorrow = utc_now() + dt.timedelta(days=1)
    assert "future" in await refused(admin.retire_seal(first, "泄露", compromised_since=tomorrow))
    done = await admin.retire_seal(first, "泄露", compromised_since=between)
    key = done.value
    assert key.state == authority_pb2.KEY_STATE_COMPROMISED
    assert (key.signed_count, key.signed_since_compromised) == (2, 1)
    listed = [one.certificate async for one in admin.list_sealed(first, between)]
    assert listed == [answer.outcome.certificates[0].name]
    assert len([one async for one in admin.list_sealed(first)]) == 2
    assert (await live(town, early), await live(town, late)) == (False, True)
    terms = town.gateway.sequencer.settings("jiangyin").seals
    assert code_of(verified(town, late, terms)) == "SEAL_KEY_COMPROMISED"
    assert (
        code_of(verified(town, early, terms)) == "SEAL_KEY_COMPROMISED"
    )  # without a time stamp nothing proves it older
    assert "moved back" in await refused(admin.retire_seal(first, "泄露", compromised_since=utc_now()))
    await admin.retire_seal(first, "泄露", compromised_since=between - dt.timedelta(days=1))
    assert await live(town, early)


async def live(town: Town, pdf: bytes) -> bool:
    """Whether the public check says that the seal's key was compromised."""
    stub = town.stub(certificate_service_pb2_grpc.CertificateServiceStub, "")
    answer = await stub.VerifyCertificate(
        certificate_service_pb2.VerifyCertificateRequest(
            parent="registries/jiangyin", pdf_sha256=sha256(pdf).digest()
        )
    )
    return bool(answer.seal_compromised)


async def test_command_line_does_all_of_it(town: Town, tmp_path: Path) -> None:
    """list, rotate, retire, sealed; what it writes into a trust folder is what `certificate verify` then judges by."""
    pdf = tmp_path / "proof.pdf"
    pdf.write_bytes(await pdf_of(town, (await town.booked())[1]))
    desk, trust = Desk(town, tmp_path, "operator"), town.folder / "trust"
    status, _, err = await desk.run("keys", "rotate")
    assert (status, "name no next seal" in err) == (2, True), err
    for use, cure in (
        ("encryption", "rotate-kek"),
        ("checkpoint", "name no next checkpoint: write next_ledger_key"),
        ("national-seal", "name no next national-seal: write next_national_seal_certificate"),
        ("connection", "start the gateway anew"),
    ):
        status, _, err = await desk.run("keys", "rotate", use)
        assert (status, cure in err) == (2, True), err
    second = add_next(town)
    done = await desk.json("keys", "rotate")
    assert (done["key"]["keyId"], done["key"]["state"]) == (second, "KEY_STATE_ACTIVE")
    first = key_id(town.folder, "seal-jiangyin")
    status, out, err = await desk.run("keys", "list", "--trust", str(trust))
    assert status == 0, err
    assert "retired" in out
    status, _, err = await desk.run("keys", "sealed", "00" * 32)
    assert (status, "0 seal and checkpoint keys begin" in err) == (2, True), err
    assert await desk.json("keys", "sealed", first[:12]) == await desk.json("keys", "sealed", first)
    assert json.dumps(await desk.json("keys", "sealed", first)) != "[]"
    verify = ("certificate", "verify", str(pdf), "--trust", str(trust))
    assert (await desk.run(*verify))[0] == 0
    status, _, err = await desk.run(
        "keys", "retire", first, "--reason", "x", "--compromised-since", "yesterday"
    )
    assert (status, "is not an instant" in err) == (2, True), err
    retired = await desk.json("keys", "retire", first, "--reason", "泄露", "--compromised-since", SINCE)
    assert len(retired["sealedSince"]) == 1
    assert retired["key"]["signedSinceCompromised"] in (1, "1")
    assert await desk.json("keys", "sealed", first, "--since", SINCE) == retired["sealedSince"]
    await desk.json("keys", "list", "--trust", str(trust))
    status, out, _ = await desk.run(*verify)
    assert (status, "declared compromised since" in out) == (1, True), out
    entries = await desk.json("ledger", "list")
    assert {"seal.rotated", "seal.retired"} <= {entry["kind"] for entry in entries}


async def test_times_of_seal_keys_go_into_a_trust_folder_and_come_back(tmp_path: Path) -> None:
    """What `diya keys list --trust` writes, `diya certificate verify` reads; the certificates are not needed there."""
    term = SealTerm(key_id="a" * 64, certificate=b"der", retired_at=utc_now(), reason="x", index=3)
    path = write_seal_terms(tmp_path, "jiangyin", [term])
    [back] = read_seal_terms(tmp_path).values()
    assert (back.key_id, back.retired_at, back.certificate) == (term.key_id, term.retired_at, b"")
    assert json.loads(path.read_text())[0]["index"] == 3


async def test_list_tells_every_key_with_its_place_and_no_secret(town: Town) -> None:
    """Seal, checkpoint, connection, encryption; the one that is next; what lies in the clear."""
    second = add_next(town)
    found = await (await town.operator()).list_keys()
    uses = [authority_pb2.KeyUse.Name(one.use).removeprefix("KEY_USE_") for one in found]
    assert uses == ["SEAL", "SEAL", "CHECKPOINT", "CONNECTION", "ENCRYPTION"]
    active, following, checkpoint, connection, encryption = found
    assert (active.key_id, following.key_id) == (key_id(town.folder, "seal-jiangyin"), second)
    assert following.state == authority_pb2.KEY_STATE_NEXT
    assert active.place == str(town.folder / "keys" / "seal-jiangyin.key.pem")
    assert checkpoint.key_id == town.gateway._ledger_signers.vkey("jiangyin")
    assert checkpoint.signed_count == town.ledger_size()
    assert connection.key_id == key_id(town.folder, "tls-server")
    assert connection.not_after.ToDatetime(dt.UTC) > utc_now()
    assert encryption.place.endswith("keys/kek")
    assert all(one.in_clear for one in found)
    secret = Credential.read(town.folder / "keys", "next").key_pem()
    assert not any(secret[40:80] in one.SerializeToString() for one in found)
