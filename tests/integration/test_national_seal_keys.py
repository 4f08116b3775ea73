"""The key of the national seal beside the first: replaced while both seal, retired, declared compromised."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from gateway.app import Gateway, utc_now
from gateway.applications.sealing import Seal, SealRetired
from gateway.client.errors import RequestError
from gateway.client.session import Answer
from gateway.config import ConfigError
from gateway.pb.diya.v1 import authority_pb2
from gateway.rounds.sealing import _command
from signing import sm2
from signing.pki import KeyKind, make_key
from tests.integration.test_cli_acts import Desk
from tests.integration.test_keys import code_of, key_id, live, pdf_of, refused, verified
from tests.support.played import audited
from tests.support.sealing import seal_in_both
from tests.support.stage import Town, configured, town_of

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(not sm2.AVAILABLE, reason="the extra sm is not installed"),
]
FIRST, SECOND = "seal-jiangyin-sm2", "second-sm2"


@pytest_asyncio.fixture(loop_scope="session")
async def town(own_folder: Path) -> AsyncIterator[Town]:
    """A gateway that seals in both suites, with a folder of its own."""
    seal_in_both(own_folder)
    async with town_of(own_folder, sealing=True) as running:
        yield running


def add_next(town: Town, stem: str = SECOND, kind: KeyKind = KeyKind.SM2) -> bytes:
    """Name a next national seal in the settings of the running gateway; its certificate, DER."""
    profile = town.gateway.sequencer.settings("jiangyin").profile
    assert profile is not None
    issued = town.pki.issue_seal(profile.authority_code, profile.authority_name, key=make_key(kind))
    issued.write(town.folder / "keys", stem)
    path = town.folder / "diya.toml"
    lines = [x for x in path.read_text(encoding="utf-8").splitlines() if not x.startswith("next_national")]
    at = lines.index('id = "jiangyin"') + 1
    lines[at:at] = [
        f'next_national_seal_certificate = "keys/{stem}.pem"',
        f'next_national_seal_key = "keys/{stem}.key.pem"',
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return issued.certificate.der


async def national(town: Town) -> dict[str, Any]:
    """The national seal's keys by id."""
    found = await (await town.operator()).list_keys()
    return {one.key_id: one for one in found if one.use == authority_pb2.KEY_USE_NATIONAL_SEAL}


async def test_rotation_under_load_fails_no_request_and_every_certificate_bears_both_seals(
    own_folder: Path,
) -> None:
    """Each by the national key of its time; the first seal's key and its list are not touched; a restart goes on."""
    seal_in_both(own_folder)
    async with town_of(own_folder, sealing=True) as town:
        first, before = key_id(own_folder, FIRST), await pdf_of(town, (await town.booked())[1])
        admin, following = await town.operator(), add_next(town)
        filings = [await town.mortgage().sign().upload() for _ in range(6)]

        async def load() -> list[Answer]:
            return [await filing.submit() for filing in filings]

        answers, done = await asyncio.gather(load(), admin.rotate_seal(first, following))
        second = done.value.key_id
        assert done.value.use == authority_pb2.KEY_USE_NATIONAL_SEAL
        assert [answer.result for answer in answers] == ["BOOKED"] * len(filings)
        pdfs = [before, *[await pdf_of(town, answer) for answer in answers]]
        pdfs.append(await pdf_of(town, (await town.booked())[1]))
        terms = town.gateway.sequencer.settings("jiangyin").seals
        assert [(term.key_id, term.national) for term in terms] == [(first, True), (second, True)]
        for pdf in pdfs:
            verdict = verified(town, pdf, terms)
            assert verdict.sound, verdict.failed
            assert len(verdict.suites) == 2
        known = await national(town)
        assert [known[one].state for one in (first, second)] == [
            authority_pb2.KEY_STATE_RETIRED,
            authority_pb2.KEY_STATE_ACTIVE,
        ]
        counts = [known[one].signed_count for one in (first, second)]
        assert sum(counts) == len(pdfs)
        assert min(counts) >= 1
        assert len([one async for one in admin.list_sealed(second)]) == counts[1]
        flats = town.flats
    assert audited(own_folder, "jiangyin").ok
    async with town_of(own_folder, sealing=True) as town:
        town.flats = flats
        assert len(verified(town, await pdf_of(town, (await town.booked())[1]), terms).suites) == 2
        assert (await national(town))[second].signed_count == counts[1] + 1
    path = own_folder / "diya.toml"
    lines = [x for x in path.read_text(encoding="utf-8").splitlines() if "national" not in x]
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(
        ConfigError, match=rf"national_seal_certificate: the ledger says that .* {second} seals"
    ):
        await Gateway(configured(own_folder, sealing=True)).start()


async def test_retired_national_seal_waits_for_the_next_one(town: Town) -> None:
    """A certificate bears both or none: it stays NUMBERED, and the rotation lets it follow."""
    first, admin = key_id(town.folder, FIRST), await town.operator()
    done = await admin.retire_seal(first, "设备停用")
    assert (done.value.use, done.value.state) == (
        authority_pb2.KEY_USE_NATIONAL_SEAL,
        authority_pb2.KEY_STATE_RETIRED,
    )
    _, answer = await town.booked()
    with pytest.raises(RequestError) as caught:
        await (await town.client("bank-a")).download_certificate(
            answer.outcome.certificates[0].name, town.folder / "x.pdf"
        )
    assert caught.value.reason == "CERTIFICATE_NOT_SEALED"
    await admin.rotate_seal("", add_next(town))
    assert len(verified(town, await pdf_of(town, answer)).suites) == 2


async def test_seal_by_a_national_key_that_was_retired_meanwhile_is_not_entered(town: Town) -> None:
    """What was in hand is sealed once more; so is what lacks the second seal while there is one."""
    _, answer = await town.booked()
    await (await town.operator()).rotate_seal(key_id(town.folder, FIRST), add_next(town))
    for beside in (key_id(town.folder, FIRST), ""):
        seal = Seal(
            registry="jiangyin",
            identifier="any",
            application_id=answer.outcome.application.rpartition("/")[2],
            case_number="1",
            institutions=(),
            pdf_sha256="0" * 64,
            size_bytes=1,
            seal_key_id=key_id(town.folder, "seal-jiangyin"),
            national_key_id=beside,
        )
        with pytest.raises(SealRetired):
            await town.gateway.sequencer.ask(_command(seal))


async def test_what_cannot_be_a_national_seal_is_refused(town: Town) -> None:
    """Another suite's key; a stale view of the one in use; one used before."""
    first, admin = key_id(town.folder, FIRST), await town.operator()
    foreign = add_next(town, "foreign", KeyKind.P256)
    assert "is not of an SM2 key" in await refused(admin.rotate_seal(first, foreign))
    following = add_next(town)
    international = key_id(town.folder, "seal-jiangyin")
    assert f"in use is {first}" in await refused(admin.rotate_seal(international, following))
    await admin.rotate_seal(first, following)
    assert "list the keys first" in await refused(admin.rotate_seal(first, following))


async def test_compromised_national_key_is_reported_with_all_that_it_sealed(
    town: Town, tmp_path: Path
) -> None:
    """By the command line, which puts its times into a trust folder; the first seal's key stays as it is."""
    early = await pdf_of(town, (await town.booked())[1])
    between = utc_now()
    _, answer = await town.booked()
    late = await pdf_of(town, answer)
    first, desk = key_id(town.folder, FIRST), Desk(town, tmp_path, "operator")
    add_next(town)
    done = await desk.json("keys", "rotate", "national-seal")
    assert done["key"]["use"] == "KEY_USE_NATIONAL_SEAL"
    words = ("--reason", "泄露", "--compromised-since", between.isoformat())
    retired = await desk.json("keys", "retire", first, *words)
    assert [one["certificate"] for one in retired["sealedSince"]] == [answer.outcome.certificates[0].name]
    assert len(await desk.json("keys", "sealed", first)) == 2
    assert (await live(town, early), await live(town, late)) == (False, True)
    terms = town.gateway.sequencer.settings("jiangyin").seals
    assert code_of(verified(town, late, terms)) == "SEAL_KEY_COMPROMISED"
    trust = town.folder / "trust"
    (tmp_path / "late.pdf").write_bytes(late)
    verify = ("certificate", "verify", str(tmp_path / "late.pdf"), "--trust", str(trust))
    assert (await desk.run(*verify))[0] == 0
    await desk.json("keys", "list", "--trust", str(trust))
    status, out, _ = await desk.run(*verify)
    assert (status, "declared compromised since" in out) == (1, True), out
