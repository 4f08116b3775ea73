"""`diya ledger recover`: a ledger that has lost entries it had signed for goes on under a new origin.

With the server down, under the writer's lock: the former log is verified with its own key and copied aside; then, in
one transaction, its entries become the beginning of the new log (ledger.recovery), an operator's signed act says what
is lost, and the first checkpoint of the new origin is signed. Receipts of the former log verify as before, against the
former key; those of lost entries too, which is how they are known to be lost.
"""

from __future__ import annotations

import datetime as dt
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, select

from gateway.applications.administration import RECOVERED, decide_recovery
from gateway.cases.decision import Decision
from gateway.cases.model import Moment
from gateway.client.manifest import header
from gateway.client.payloads import envelope_to_wire, sign_payload
from gateway.config import Config, RegistryConfig
from gateway.keyring.ledger_signers import read_log_keys
from gateway.pb.diya.v1 import admin_acts_pb2, envelope_pb2
from gateway.rpc.operator_acts import SignedAct, read_act
from gateway.rpc.trust import trust_store
from gateway.sequencer import Sequencer
from gateway.storage.engine import database_file
from gateway.storage.settings import load_settings
from gateway.storage.working import Working
from ledger.checkpoint import NoteSigner, check_vkey
from ledger.publish import Publisher, SignedCheckpoint
from ledger.recovery import begin_anew
from ledger.store import Ledger
from ledger.tables import ledger_head
from ledger.vault import Vault
from ledger.verify import verify_ledger
from signing.envelope import split_pae
from signing.signer import Signer

_READ_COUNT: Final = 4096
_KIND_LINE: Final = f"\n{RECOVERED}\n".encode()


class RecoveryRefused(Exception):
    """The ledger is not recovered; nothing was changed. The message says why, and the way out."""


@dataclass(frozen=True, slots=True)
class Loss:
    """What the operator says. former_vkey: of the log until now. reached_size: that it is known to have reached."""

    former_vkey: str
    reached_size: int
    reason: str


@dataclass(frozen=True, slots=True)
class Recovered:
    """What came of it. first_lost: index. entry: index of the operator's act. copy: of the former database."""

    first_lost: int
    entry: int
    checkpoint: SignedCheckpoint
    copy: Path | None


@dataclass(frozen=True, slots=True)
class _Request:
    """The act as if it had been sent."""

    envelope: envelope_pb2.Envelope
    request_id: str


def recover(
    config: Config,
    registry: RegistryConfig,
    engine: Engine,
    vault: Vault,
    signer: NoteSigner,
    operator: Signer,
    loss: Loss,
    clock: Callable[[], dt.datetime],
) -> Recovered:
    """Recover one registry's ledger. The caller holds the writer's lock; `signer` is that of the new origin.

    Raises RecoveryRefused, and what verifying the operator's act raises; nothing is changed then.
    """
    ledger = Ledger(vault)
    now = clock()  # of act and entry alike: what lies between them may take long
    with engine.connect() as connection:
        last = _check(connection, registry, ledger, vault, signer, loss)
        _check_origin(connection, ledger, signer.name)
        signed = _signed(connection, config, registry, operator, loss, last, signer.name, lambda: now)
    copy = _copied(config, last.size)
    publisher = Publisher(lambda _: signer)
    sequencer = Sequencer(engine, ledger, publisher, clock=lambda: now)
    try:
        with engine.begin() as connection:
            begin_anew(connection, registry.id, signer.name)
            entered = sequencer.enter(connection, signed.command(_deciding(signed)))
            checkpoint = publisher.publish(connection, registry.id)
    except BaseException:
        if copy is not None:  # nothing was changed: the next try makes its own
            copy.unlink(missing_ok=True)
        raise
    return Recovered(last.size, entered.index, checkpoint, copy)


def _signed(
    connection: Connection,
    config: Config,
    registry: RegistryConfig,
    operator: Signer,
    loss: Loss,
    last: SignedCheckpoint,
    origin: str,
    clock: Callable[[], dt.datetime],
) -> SignedAct:
    """The operator's act, signed, and verified as one that was sent. Raises SigningError, Refusal."""
    act = admin_acts_pb2.RecoverLedgerAct(
        header=header(registry.id, request_id=str(uuid.uuid4()), created_at=clock()),
        former_origin=check_vkey(loss.former_vkey),
        former_checkpoint=last.note,
        reached_size=loss.reached_size,
        origin=origin,
        reason=loss.reason,
    )
    request = _Request(envelope_to_wire(sign_payload(operator, act)), act.header.request_id)
    settings = load_settings(connection, registry.id)
    kind, trust = admin_acts_pb2.RecoverLedgerAct, trust_store(settings.trust)
    return read_act(request, kind, registry.id, settings, trust, config.limits, clock)


def _check(
    connection: Connection,
    registry: RegistryConfig,
    ledger: Ledger,
    vault: Vault,
    signer: NoteSigner,
    loss: Loss,
) -> SignedCheckpoint:
    """The last checkpoint of the former log, once all that is left of it holds."""
    head = ledger.head(connection, registry.id, for_update=False)
    if signer.name == head.origin:
        raise RecoveryRefused(
            f"the ledger of {registry.id} is {head.origin}, and so is `origin` in the settings: "
            "write the new origin there first (and a new ledger_key, if you wish), then run this again"
        )
    if check_vkey(loss.former_vkey) != head.origin:
        raise RecoveryRefused(f"the former key is not that of {head.origin}: take it from the trust folder")
    keys = read_log_keys(connection, registry.id, loss.former_vkey)
    if loss.former_vkey not in keys.at(head.size):
        raise RecoveryRefused(
            f"the former key is none in use of {head.origin}: take it from the trust folder"
        )
    report = verify_ledger(connection, registry.id, keys, vault=vault)
    if not report.ok:
        raise RecoveryRefused(
            f"what is left does not hold: {report.first}. Restore the newest backup that does"
        )
    last = Publisher(lambda _: signer).latest(connection, registry.id)
    if last is None or last.size != head.size:
        raise RecoveryRefused(
            f"entries of {head.origin} are under no checkpoint yet: start the gateway once with the former origin"
        )
    if loss.reached_size <= last.size:
        raise RecoveryRefused(
            f"nothing is lost: the ledger has {last.size} entries, and was at {loss.reached_size}. "
            "Give the size of the newest checkpoint that a bank or a witness holds"
        )
    return last


def _check_origin(connection: Connection, ledger: Ledger, origin: str) -> None:
    """The name of another ledger, or of a former one, is not to be had: two logs of one name contradict each other."""
    heads = connection.execute(select(ledger_head.c.registry, ledger_head.c.origin)).all()
    for registry, present in heads:
        if present == origin:
            raise RecoveryRefused(f"{origin} is the origin of the ledger of {registry}: choose a new one")
    for registry, _ in heads:
        for index, former in _former_origins(connection, ledger, registry):
            if former == origin:
                raise RecoveryRefused(
                    f"{origin} was the origin of the ledger of {registry} until its entry {index}: choose a new one"
                )


def _former_origins(connection: Connection, ledger: Ledger, registry: str) -> Iterator[tuple[int, str]]:
    """Each origin that a ledger had before its present one, and the entry that ended it.

    All entries are read: only a few acts like these are ever made, and the ledger is verified whole here in any case.
    """
    start = 0
    while rows := ledger.read_entries(connection, registry, start, _READ_COUNT):
        for row in rows:
            if _KIND_LINE in row.data and row.parse().kind == RECOVERED:
                _, payload = ledger.read_part(connection, registry, row.index, "evidence/payload")
                act = admin_acts_pb2.RecoverLedgerAct.FromString(split_pae(payload)[1])
                yield row.index, act.former_origin
        start = rows[-1].index + 1


def _copied(config: Config, size: int) -> Path | None:
    """The database as it was, beside itself: its checkpoints are the former log's."""
    path = database_file(config.storage.database)
    if path is None:
        return None
    target = path.with_name(f"{path.name}.before-recovery-{size}")
    if target.exists():
        raise RecoveryRefused(f"{target} is there already: move it away first")
    with closing(sqlite3.connect(path)) as live, closing(sqlite3.connect(target)) as copy:
        live.backup(copy)
    return target


def _deciding(signed: SignedAct) -> Callable[[Working, Moment], Decision]:
    return lambda _working, moment: decide_recovery(signed.act, moment)
