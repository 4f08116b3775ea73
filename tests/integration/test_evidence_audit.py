"""Envelopes verified again as of their time, by the trust that the ledger had in force; files by their bytes.

The forged entries here are an insider's, who can write to the database and seal parts: chain and commitments are right.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Engine

from gateway.app import utc_now
from gateway.audit.evidence import SIGNED, UNSIGNED, EvidenceReport, audit_evidence
from gateway.cases.effects import RevocationNoted, TrustSet, encode_effects
from gateway.config import load_config
from gateway.keyring.keys import read_key_encryption_key
from gateway.revocation import Fetched, note
from gateway.rpc.replay import Judged
from gateway.rpc.submission import MANIFEST_TYPE
from gateway.setup import GENESIS_TYPE
from gateway.statements import signed as statements
from gateway.storage.audit_readers import audit_readers
from gateway.storage.engine import auditor_engine, writer_engine
from gateway.storage.settings import load_settings
from ledger.errors import PartKeyMissingError
from ledger.readers import Readers
from ledger.report import Report
from ledger.store import REGISTRY_KEY, EntryDraft, Ledger, PartDraft
from ledger.vault import Vault
from ledger.verify import verify_ledger
from signing.envelope import pae, split_pae
from signing.pki import DevelopmentPKI
from signing.trust import Purpose
from signing.verdict import FileVerdict
from tests.support.played import copied
from tests.support.stage import REGISTRIES, town_of

ROOT = Path(__file__).parents[2]
SALT = bytes(32)
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_decode = msgspec.json.Decoder(Judged).decode
_encode = msgspec.json.Encoder().encode


class Insider:
    """A copy of the gateway that does not run, and whoever can write to it."""

    def __init__(self, folder: Path) -> None:
        config = load_config(folder / "diya.toml")
        self.files = config.storage.files
        self.database = config.storage.database
        self.engine: Engine = writer_engine(self.database)
        self.secret = read_key_encryption_key(config.storage.key_encryption_key)
        self.ledger = Ledger(Vault(self.secret))

    def audited(self, since: int = 0, readers: Readers | None = None) -> EvidenceReport:
        return audit_evidence(
            self.engine, self.ledger, "jiangyin", self.files, lambda _d, _t: None, since, readers
        )

    def size(self) -> int:
        with self.engine.begin() as connection:
            return self.ledger.head(connection, "jiangyin").size

    def act(self, payload_type: str) -> tuple[dt.datetime, bytes, Judged]:
        """Time, payload and evidence of the last act of a type."""
        for index in reversed(range(self.size())):
            with self.engine.begin() as connection, suppress(PartKeyMissingError):
                message = self.ledger.read_part(connection, "jiangyin", index, "evidence/payload")[1]
                verdicts = self.ledger.read_part(connection, "jiangyin", index, "evidence/verdicts")[1]
                time = self.ledger.read_entry(connection, "jiangyin", index).parse().time
                if split_pae(message)[0] == payload_type:
                    return time, message, _decode(verdicts)
        raise AssertionError(payload_type)

    def append(self, *parts: tuple[str, bytes], after: dt.timedelta = dt.timedelta()) -> int:
        """Append an entry of these parts; its index."""
        drafts = [
            EntryDraft("test", tuple(PartDraft(n, content, REGISTRY_KEY, SALT) for n, content in parts))
        ]
        with self.engine.begin() as connection:
            head = self.ledger.head(connection, "jiangyin")
            self.ledger.append(connection, head, drafts, head.head_time + after)
        return head.size

    def enter(self, message: bytes, judged: Judged, after: dt.timedelta = dt.timedelta()) -> int:
        """Append an act with its evidence."""
        return self.append(("evidence/payload", message), ("evidence/verdicts", _encode(judged)), after=after)


@pytest.fixture
def insider(played: Path, tmp_path: Path) -> Iterator[Insider]:
    made = Insider(copied(played, tmp_path))
    yield made
    made.engine.dispose()


def test_played_evidence_holds(insider: Insider) -> None:
    """Every entry was looked at, with signatures and files; nothing diverges."""
    report = insider.audited()
    assert report.divergences == []
    assert report.entries == insider.size()
    assert report.gone == 1  # erased
    assert report.signatures > 10
    assert report.files > 5


def test_every_payload_type_is_signed_by_somebody_or_by_nobody() -> None:
    """A type that entries hold and this audit does not know would be told as unknown: here, before it is released."""
    named: set[str] = set()
    for path in (ROOT / "gateway").rglob("*.py"):
        if "pb" not in path.parts:
            named |= set(
                re.findall(
                    r'"(application/vnd\.diya\.[a-z.+0-9-]+[a-z0-9])"', path.read_text(encoding="utf-8")
                )
            )
    others = {value for name, value in vars(statements).items() if name.endswith("_TYPE")}
    assert named - SIGNED.keys() - UNSIGNED - others == set()
    assert not SIGNED.keys() & UNSIGNED


def test_verdict_of_a_file_that_a_case_named_must_be_the_one_it_was_decided_on(insider: Insider) -> None:
    """The evidence holds what the decision read of it: a row changed past the gateway is named, with the entry.

    One that was checked again since, and the verdict of somebody else who uploaded the same bytes, are no findings.
    """
    _, _, judged = insider.act(MANIFEST_TYPE)
    paper = next(paper for paper in judged.papers or () if paper.signatures)
    where = f"WHERE registry = 'jiangyin' AND sha256 = '{paper.reference.sha256}'"
    with insider.engine.begin() as connection:
        [stored] = connection.exec_driver_sql(f"SELECT verdict FROM file {where}").scalars().all()
    verdict = msgspec.json.decode(stored, type=FileVerdict)
    spoiled = msgspec.structs.replace(verdict, signatures=())
    later = msgspec.structs.replace(spoiled, checked_at=verdict.checked_at + dt.timedelta(days=400))

    def found(change: str, *values: object) -> list[tuple[str, str]]:
        with insider.engine.begin() as connection:
            connection.exec_driver_sql(change, values)
        report = insider.audited()
        assert {d.table for d in report.divergences} <= {"file"}
        return [(d.reason, d.rule) for d in report.divergences]

    update = f"UPDATE file SET {{}} = ? {where}"
    [(reason, rule)] = found(update.format("verdict"), _encode(spoiled))
    assert reason == "FILE_VERDICT_CHANGED"
    assert re.fullmatch(r"its verdict is not the one that entry \d+ was decided on", rule)
    [(_, rule)] = found(update.format("verdict"), b"nothing")
    assert rule.startswith("its verdict is none")
    assert found(update.format("verdict"), _encode(later)) == []
    [(_, rule)] = found(update.format("size_bytes"), 1)
    assert rule.startswith("its size is not")
    found(update.format("size_bytes"), paper.reference.size_bytes)
    others = (
        "INSERT INTO file SELECT registry, 'another', sha256, size_bytes, media_type, uploaded_at, pages, ? "
        f"FROM file {where}"
    )
    found(update.format("verdict"), stored)
    assert found(others, _encode(spoiled)) == []


Forge = Callable[[Judged], Judged]


def _other_signature(judged: Judged) -> Judged:
    first = judged.signatures[0]
    last = bytes([first.signature[-1] ^ 1])
    spoiled = msgspec.structs.replace(first, signature=first.signature[:-1] + last)
    return msgspec.structs.replace(judged, signatures=(spoiled,))


FORGED: dict[str, tuple[Forge, str]] = {
    "a signature of other bytes": (_other_signature, "SIGNATURE_REFUSED"),
    "nobody's signature": (lambda j: msgspec.structs.replace(j, signatures=()), "SIGNATURE_REFUSED"),
    "a trust that never was": (lambda j: msgspec.structs.replace(j, trust="0" * 64), "TRUST_NOT_IN_FORCE"),
    "another time": (
        lambda j: msgspec.structs.replace(j, received_at=(j.received_at or EPOCH) - dt.timedelta(days=1)),
        "EVIDENCE_TIME",
    ),
    "no time": (lambda j: msgspec.structs.replace(j, received_at=None), "EVIDENCE_TIME"),
}


@pytest.mark.parametrize("how", FORGED)
@pytest.mark.parametrize(
    "payload_type", [MANIFEST_TYPE, "application/vnd.diya.admin.set-registrar.v1+protobuf"]
)
def test_forged_evidence_is_named(insider: Insider, payload_type: str, how: str) -> None:
    """Somebody enters an act whose evidence does not hold: the entry is named, and only it."""
    forge, reason = FORGED[how]
    _, message, judged = insider.act(payload_type)
    with insider.engine.begin() as connection:
        now = insider.ledger.head(connection, "jiangyin").head_time
    in_force = insider.act(MANIFEST_TYPE)[2].trust
    index = insider.enter(message, forge(msgspec.structs.replace(judged, received_at=now, trust=in_force)))
    report = insider.audited()
    assert [(d.row, d.reason) for d in report.divergences] == [(f"{index} evidence/verdicts", reason)]


def test_act_of_another_purpose_unknown_or_unreadable_is_named(insider: Insider) -> None:
    """A bank's signature under an operator's act, a second first entry, a type nobody knows, bytes that are nothing."""
    _, message, judged = insider.act(MANIFEST_TYPE)
    payload = split_pae(message)[1]
    operator = next(kind for kind in SIGNED if ".admin." in kind)
    wrong = [
        insider.enter(pae(operator, payload), judged),
        insider.enter(pae(GENESIS_TYPE, b"[]"), judged),
        insider.enter(pae("application/vnd.diya.invented.v1", b""), judged),
        insider.enter(b"nothing", judged),
        insider.append(("evidence/payload", message), ("evidence/verdicts", b"nothing")),
    ]
    rows = [d.row for d in insider.audited().divergences]
    assert rows == [f"{index} evidence/verdicts" for index in wrong]


def test_trust_that_went_still_judges_what_came_before_and_nothing_after(insider: Insider) -> None:
    """All anchors go: what was signed until then holds for ever, an act that claims the old trust later does not."""
    _, message, judged = insider.act(MANIFEST_TYPE)
    insider.append(("effects", encode_effects((TrustSet(anchors={}, crls=()),))))
    assert insider.audited().divergences == []
    hour = dt.timedelta(hours=1)
    with insider.engine.begin() as connection:
        late = insider.ledger.head(connection, "jiangyin").head_time + hour
    index = insider.enter(message, msgspec.structs.replace(judged, received_at=late), after=hour)
    for since in (0, index):
        (found,) = insider.audited(since).divergences
        assert (found.row, found.reason) == (f"{index} evidence/verdicts", "TRUST_NOT_IN_FORCE")


def test_fetched_evidence_is_derived_again(insider: Insider, played: Path) -> None:
    """An insider's entry may add what is authentic and newer, and neither drop a list nor add a stranger's."""
    pki = DevelopmentPKI.load(played / "pki", utc_now())
    crl = pki.make_crl(Purpose.INSTITUTION, now=utc_now())
    with insider.engine.begin() as connection:
        trust = load_settings(connection, "jiangyin").trust
    assert trust is not None
    honest = note(trust, Fetched(crls=(crl,)), utc_now())
    assert honest is not None
    assert len(honest.superseded) == 1
    insider.append(("effects", encode_effects((honest,))))
    assert insider.audited().divergences == []
    kept = hashlib.sha256(crl).hexdigest()
    stranger = DevelopmentPKI.create(utc_now()).make_crl(Purpose.INSTITUTION)
    for forged in (
        RevocationNoted(superseded=(kept,)),
        RevocationNoted(crls=(stranger,)),
        RevocationNoted(crls=(pki.make_crl(Purpose.PERSON, now=utc_now()),), superseded=(kept,)),
    ):
        index = insider.append(("effects", encode_effects((forged,))))
        (found,) = insider.audited(index).divergences
        assert (found.row, found.reason) == (f"{index} effects", "REVOCATION_NOT_DERIVED")


def test_other_processes_find_the_same(insider: Insider) -> None:
    """Verified beside this process: as many signatures and files, and the forged act by name."""
    _, message, judged = insider.act(MANIFEST_TYPE)
    with insider.engine.begin() as connection:
        now = insider.ledger.head(connection, "jiangyin").head_time
    insider.enter(message, _other_signature(msgspec.structs.replace(judged, received_at=now)))
    here = insider.audited()
    assert [d.reason for d in here.divergences] == ["SIGNATURE_REFUSED"]
    with audit_readers(insider.database, insider.secret, 2) as readers:
        assert insider.audited(readers=readers) == here


def test_evidence_before_the_checkpoint_is_not_looked_at_again(insider: Insider) -> None:
    """Only entries from the index on; the trust that they need is read from all before."""
    size = insider.size()
    report = insider.audited(size - 2)
    assert (report.entries, report.divergences) == (2, [])


def test_evidence_whose_key_is_gone_is_counted(insider: Insider) -> None:
    """Destroyed keys leave entries without evidence; that they went by law is the ledger's own question."""
    with insider.engine.begin() as connection:
        (key,) = connection.exec_driver_sql(
            "SELECT key_id FROM ledger_key WHERE registry = 'jiangyin' AND key_id <> 'registry' LIMIT 1"
        ).one()
        connection.exec_driver_sql("DELETE FROM ledger_key WHERE key_id = ?", (key,))
    report = insider.audited()
    assert report.gone > 0
    assert report.divergences == []


SPOILED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a byte": (lambda path: path.write_bytes(b"x" + path.read_bytes()[1:]), "FILE_CHANGED"),
    "cut short": (lambda path: path.write_bytes(path.read_bytes()[:-1]), "FILE_CHANGED"),
    "gone": (lambda path: path.unlink(), "FILE_MISSING"),
}


@pytest.mark.parametrize("how", SPOILED)
def test_every_file_of_the_store_counts(insider: Insider, how: str) -> None:
    """Papers of cases, sealed certificates, uploads: whichever file is changed is named by its digest."""
    spoil, reason = SPOILED[how]
    with insider.engine.begin() as connection:
        named = {
            digest
            for sql in (
                "SELECT sha256 FROM file",
                "SELECT pdf_sha256 FROM certificate WHERE pdf_sha256 <> ''",
            )
            for (digest,) in connection.exec_driver_sql(
                f"{sql}{' AND' if 'WHERE' in sql else ' WHERE'} registry = 'jiangyin'"
            )
        }
    assert len(named) > 5
    before = insider.audited()
    assert before.files == len(named)
    for digest in named:
        path = insider.files / digest[:2] / digest
        whole = path.read_bytes()
        spoil(path)
        (found,) = insider.audited().divergences
        assert (found.table, found.row, found.reason) == ("file store", digest, reason)
        path.write_bytes(whole)


@pytest.mark.asyncio(loop_scope="session")
async def test_serving_gateway_is_audited_while_it_books(own_folder: Path) -> None:
    """Entries come in between the reads: what is looked at is what was there at the beginning, and it is whole."""
    async with town_of(own_folder) as town:
        loop, before = asyncio.get_running_loop(), town.ledger_size()
        config = load_config(own_folder / "diya.toml")
        vault = Vault(read_key_encryption_key(config.storage.key_encryption_key))
        vkey = (own_folder / "trust" / "jiangyin.vkey").read_text().strip()
        engine = auditor_engine(config.storage.database)

        def books(_done: int, _all: int) -> None:
            asyncio.run_coroutine_threadsafe(town.booked(), loop).result(30)

        def audits() -> tuple[Report, EvidenceReport]:
            with engine.connect() as connection:

                def step(done: int, of: int) -> None:
                    connection.rollback()
                    books(done, of)

                report = verify_ledger(connection, "jiangyin", vkey, step, vault)
            evidence = audit_evidence(engine, Ledger(vault), "jiangyin", config.storage.files, books)
            return report, evidence

        report, evidence = await asyncio.to_thread(audits)
        engine.dispose()
        assert (report.divergences, report.entries) == ((), before)
        assert evidence.divergences == []
        assert before < evidence.entries < town.ledger_size()


def test_both_registries_hold(insider: Insider) -> None:
    """The other registry's evidence too."""
    for registry in REGISTRIES:
        report = audit_evidence(insider.engine, insider.ledger, registry, insider.files, lambda _d, _t: None)
        assert report.divergences == []
