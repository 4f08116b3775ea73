"""Founding: two registries, institutions with good keys and bad, registrars, an auditor, the sample register.

`founded` is made once per session, over the gateway's own wire; tests get copies of it.
"""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from gateway.app import utc_now
from gateway.demo.cast import COUNTER, COUNTER_ID, REGISTRAR, REGISTRAR_ID
from gateway.demo.stage import COUNTER_KEY, INSTITUTIONS, REGISTRAR_KEY, prepare
from gateway.pb.diya.v1 import (
    authority_pb2,
    codes_pb2,
)
from gateway.register.model import Party
from gateway.register.sample import SAMPLE, write_register_csv
from signing.pki import Credential, DevelopmentPKI
from signing.trust import Purpose
from tests.support.stage import (
    AUDITOR_KEY,
    READER_KEY,
    REGISTRIES,
    REVOKED_TLS_KEY,
    SECOND_REGISTRAR,
    SECOND_REGISTRAR_ID,
    SECOND_REGISTRAR_KEY,
    STRANGER_KEY,
    SUSPENDED,
    SUSPENDED_KEY,
    Town,
    town_of,
)

_EVERYTHING = (
    authority_pb2.KEY_ROLE_SUBMIT,
    authority_pb2.KEY_ROLE_CONSENT,
    authority_pb2.KEY_ROLE_RELEASE,
    authority_pb2.KEY_ROLE_READ,
)
_TLS = (authority_pb2.KEY_ROLE_TLS,)


async def found(folder: Path) -> None:
    """Make a gateway with everybody registered and the sample imported, over its own wire, and stop it again."""
    prepare(folder, now=utc_now() - dt.timedelta(minutes=5), ports=(0, 0, 0, 0))
    _odd_credentials(folder)
    async with town_of(folder) as town:
        for registry in REGISTRIES:
            admin = await town.operator(registry)
            for key, party in {**INSTITUTIONS, SUSPENDED_KEY: SUSPENDED}.items():
                await admin.set_institution(_institution(town, key, party))
            await admin.suspend_institution(SUSPENDED.id_number, "test")
            await admin.set_registrar(_registrar(town, REGISTRAR_KEY, REGISTRAR_ID, REGISTRAR))
            await admin.set_registrar(
                _registrar(town, SECOND_REGISTRAR_KEY, SECOND_REGISTRAR_ID, SECOND_REGISTRAR)
            )
            counter = _registrar(town, COUNTER_KEY, COUNTER_ID, COUNTER)
            counter.feeds = True
            await admin.set_registrar(counter)
            await admin.set_trust(
                trust_revoking(town, [town.key("bank-a", "revoked"), town.key(REVOKED_TLS_KEY, "tls")])
            )
            await admin.set_auditors([auditor_key(town)])
            path = folder / f"{registry}.csv"
            with path.open("w", encoding="utf-8", newline="") as stream:
                write_register_csv(getattr(SAMPLE, registry), stream)
            await admin.import_register(path, source="sample")


def _odd_credentials(folder: Path) -> None:
    """Keys of bank A that are not as they should be, and everyone whom the demo does not need."""
    now = utc_now()
    pki = DevelopmentPKI.load(folder / "pki", now)
    bank = INSTITUTIONS["bank-a"]
    clients = folder / "clients"

    def issue(stem: str, **how: Any) -> None:
        pki.issue_institution(bank.id_number, bank.name, **how).write(clients / "bank-a", stem)

    for stem in ("read-only", "release-only", "submit-only", "revoked", "unregistered"):
        issue(stem)
    issue("expired", not_before=now - dt.timedelta(days=30), days=-1)
    issue("not-yet", not_before=now + dt.timedelta(days=10), days=400)
    issue("wrong-purpose", purpose=Purpose.REGISTRY)
    stranger = DevelopmentPKI.create(now)
    stranger.issue_institution(bank.id_number, bank.name).write(clients / "bank-a", "other-pki")
    for key, party in ((SUSPENDED_KEY, SUSPENDED), (REVOKED_TLS_KEY, bank), (STRANGER_KEY, bank)):
        pki.issue_institution(party.id_number, party.name).write(clients / key, "sign")
        pki.issue_tls_client(party.id_number, party.name).write(clients / key, "tls")
    second = SECOND_REGISTRAR
    pki.issue_registrar(second.id_number, second.name).write(clients / SECOND_REGISTRAR_KEY, "sign")
    for key in (SECOND_REGISTRAR_KEY, AUDITOR_KEY, READER_KEY):
        pki.issue_tls_client("000000000000000000", key).write(clients / key, "tls")


def _institution(town: Town, key: str, party: Party) -> authority_pb2.Institution:
    keys = [(key, "sign", _EVERYTHING), (key, "tls", _TLS)]
    if key == "bank-a":
        keys += [(key, "read-only", (authority_pb2.KEY_ROLE_READ,)), (REVOKED_TLS_KEY, "tls", _TLS)]
        keys += [(READER_KEY, "tls", (authority_pb2.KEY_ROLE_READ,))]
        keys += [(key, "release-only", (authority_pb2.KEY_ROLE_RELEASE,))]
        keys += [(key, "submit-only", (authority_pb2.KEY_ROLE_SUBMIT,))]
        keys += [
            (key, stem, _EVERYTHING)
            for stem in ("revoked", "expired", "not-yet", "wrong-purpose", "other-pki")
        ]
    return authority_pb2.Institution(
        uscc=party.id_number,
        kind=codes_pb2.INSTITUTION_KIND_FUND_CENTRE
        if key == "fund-centre"
        else codes_pb2.INSTITUTION_KIND_BANK,
        names=[party.name],
        agreement_number=f"test-{key}",
        permitted_modes=[codes_pb2.ENCUMBERED_TRANSFER_MODE_ET_COMBINED],
        files_for=[INSTITUTIONS["bank-a-branch"].id_number, SUSPENDED.id_number] if key == "bank-a" else [],
        keys=[
            authority_pb2.RegisteredKey(
                key_id=town.stage.credential(folder, stem).certificate.key_id, roles=roles
            )
            for folder, stem, roles in keys
        ],
    )


def _registrar(town: Town, key: str, registrar_id: str, person: Party) -> authority_pb2.Registrar:
    tls = town.stage.credential(key, "tls").certificate.key_id
    return authority_pb2.Registrar(
        registrar_id=registrar_id,
        display_name=person.name,
        may_book=True,
        keys=[
            authority_pb2.RegisteredKey(key_id=town.stage.signer(key).certificate.key_id),
            authority_pb2.RegisteredKey(key_id=tls, roles=_TLS),
        ],
    )


def trust_revoking(town: Town, revoked: Sequence[Credential]) -> list[authority_pb2.TrustSet]:
    """What an operator sets so that these certificates hold no longer."""
    now = utc_now()
    sets = []
    for purpose in (Purpose.INSTITUTION, Purpose.PERSON, Purpose.TLS):
        issuer = town.pki.issuing[purpose].credential.certificate.subject_name
        own = [c for c in revoked if c.certificate.issuer_name == issuer]
        if own:
            sets.append(
                authority_pb2.TrustSet(
                    purpose=authority_pb2.TrustPurpose.Value(f"TRUST_PURPOSE_{purpose.value}"),
                    anchors=town.pki.trust_store().anchors[purpose],
                    crls=[town.pki.make_crl(purpose, own, since=now, now=now)],
                )
            )
    return sets


def auditor_key(town: Town) -> authority_pb2.RegisteredKey:
    """The auditor's, as an operator registers it."""
    key_id = town.stage.credential(AUDITOR_KEY, "tls").certificate.key_id
    return authority_pb2.RegisteredKey(key_id=key_id, roles=_TLS)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a founded gateway that does not run. Copy it, do not use it."""
    folder = tmp_path_factory.mktemp("founded") / "gateway"
    await found(folder)
    return folder


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def town(founded: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """The session's gateway: sealing off, usual limits. Tests take their own flats and leave no setting changed."""
    folder = copy_of(founded, tmp_path_factory.mktemp("town"))
    async with town_of(folder) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def fed_town(founded: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """A gateway of its own for tests of the counter's feed: flats are seized there and numbers of the feed used up."""
    folder = copy_of(founded, tmp_path_factory.mktemp("fed-town"))
    async with town_of(folder) as running:
        yield running


@pytest.fixture
def own_folder(founded: Path, tmp_path: Path) -> Path:
    """A test's own copy of the founded gateway, for `town_of`."""
    return copy_of(founded, tmp_path)


def copy_of(founded: Path, into: Path) -> Path:
    """A copy of a gateway's folder."""
    return Path(shutil.copytree(founded, into / "gateway"))
