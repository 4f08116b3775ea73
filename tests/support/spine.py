"""The spine of a gateway in a temporary folder: real SQLite, ledger, sequencer and files, and no server.

Servicers are called directly: `spine.calls(kind, id)` says who calls, `FakeContext` stands for the connection.
One registry, founded with the development PKI of `tests.support.pki`; a fixed clock that a test may move.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.message import Message

from gateway.cases.decision import Decision
from gateway.cases.effects import (
    AnyEffect,
    InstitutionSet,
    OperatorSet,
    ProfileSet,
    RegistrarSet,
    RequestAnswered,
    RuleSetSet,
    TrustSet,
)
from gateway.cases.model import Moment, Outcome, Result
from gateway.cases.trust import Trust
from gateway.certificates.content import CertificateContent
from gateway.commands import Answer, Command
from gateway.config import Limits
from gateway.pb.diya.v1 import envelope_pb2
from gateway.register.authority import Institution, InstitutionKind, KeyRole, RegisteredKey, Registrar
from gateway.rpc.guard import caller_now
from gateway.rpc.operator_acts import PAYLOAD_TYPES
from gateway.rpc.rights import Caller, CallerKind
from gateway.sequencer import Sequencer
from gateway.storage import tables
from gateway.storage.engine import reader_engine, writer_engine
from gateway.storage.files import FileStore
from gateway.storage.queries import Queries
from gateway.storage.working import Wants, Working
from ledger.checkpoint import NoteSigner
from ledger.publish import Publisher
from ledger.store import Ledger
from ledger.tables import metadata as ledger_metadata
from ledger.vault import Vault
from signing.envelope import Envelope, pae
from signing.signer import sign_envelope
from signing.trust import TrustStore
from tests.support.cases import PROFILE, RULES
from tests.support.pki import BANK_USCC, NOW, SECOND_BANK_USCC, sample_pki

REGISTRY = "jiangyin"
ORIGIN = "ledger.example.org/jiangyin"
PARENT = f"registries/{REGISTRY}"
OFFICER = "deng-1"


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, now: dt.datetime) -> None:
        self.now = now

    def __call__(self) -> dt.datetime:
        return self.now

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self.now += dt.timedelta(seconds=seconds)


class FakeContext:
    """As much of a connection as a servicer looks at."""

    def __init__(self, peer: str = "ipv4:192.0.2.7:50000") -> None:
        self._peer = peer

    def peer(self) -> str:
        """Address of the other end."""
        return self._peer


class Spine:
    """A founded registry. `close` when done."""

    def __init__(self, folder: Path, now: dt.datetime | None = None) -> None:
        self.clock = Clock(now or NOW + dt.timedelta(hours=1))
        self.limits = Limits()
        self.folder = folder
        url = f"sqlite:///{folder / 'diya.db'}"
        self._writer = writer_engine(url)
        self._reader = reader_engine(url)
        with self._writer.begin() as connection:
            ledger_metadata.create_all(connection)
            tables.metadata.create_all(connection)
        self.ledger = Ledger(Vault(bytes(range(32))))
        with self._writer.begin() as connection:
            self.ledger.create(connection, REGISTRY, ORIGIN)
        self.signer = NoteSigner(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"7" * 32))
        self.publisher = Publisher(lambda _: self.signer)
        self.queries = Queries(self._reader, self.ledger, self.publisher)
        self.files = FileStore(folder / "files")
        self.sequencer = Sequencer(self._writer, self.ledger, self.publisher, clock=self.clock)
        self.sequencer.start()
        self.executor = ThreadPoolExecutor(2)
        self._trust: tuple[Trust | None, TrustStore] = (None, TrustStore({}))
        self.enter(*founding())

    def close(self) -> None:
        """Stop the writer and close everything."""
        self.sequencer.stop()
        self.queries.close()
        self.executor.shutdown()
        self._reader.dispose()
        self._writer.dispose()

    def trust(self, registry: str) -> TrustStore:
        """The registry's trust as of the last commit: the same store until it changes."""
        stands = self.sequencer.settings(registry).trust
        if stands is not self._trust[0] and stands is not None:
            self._trust = (stands, sample_pki().trust)
        return self._trust[1]

    @property
    def shared(self) -> dict[str, Any]:
        """What most servicers are made of."""
        return {"sequencer": self.sequencer, "queries": self.queries, "clock": self.clock}

    def enter(
        self,
        *effects: AnyEffect,
        institution: str = "test",
        payload: bytes = b"",
        payload_type: str = "application/x-test",
        contents: tuple[CertificateContent, ...] = (),
        application: str = "",
    ) -> Answer:
        """Commit effects as one entry, as a decision of no particular law."""
        return self.submit(
            self.command(
                *effects,
                institution=institution,
                payload=payload,
                payload_type=payload_type,
                contents=contents,
                application=application,
            )
        )

    def command(
        self,
        *effects: AnyEffect,
        institution: str = "test",
        payload: bytes = b"",
        payload_type: str = "application/x-test",
        contents: tuple[CertificateContent, ...] = (),
        application: str = "",
    ) -> Command:
        """The command behind `enter`."""
        request_id = str(uuid.uuid4())
        message = pae(payload_type, payload or request_id.encode())
        digest = hashlib.sha256(message).hexdigest()

        def decide(working: Working, moment: Moment) -> Decision:
            answered = RequestAnswered(institution=institution, request_id=request_id, payload_sha256=digest)
            outcome = Outcome(result=Result.DONE, application=application)
            return Decision(
                kind="test.entered", outcome=outcome, effects=(answered, *effects), contents=contents
            )

        return Command(
            registry=REGISTRY,
            institution=institution,
            request_id=request_id,
            payload_sha256=digest,
            payload=message,
            evidence=lambda: b"{}",
            wants=Wants(),
            decide=decide,
        )

    def submit(self, command: Command) -> Answer:
        """Commit one command and wait."""
        return self.sequencer.submit(command).result(timeout=10)


def founding() -> tuple[AnyEffect, ...]:
    """Profile, rules, trust, an operator, a registrar and two banks."""
    pki = sample_pki()
    trust = pki.trust
    return (
        ProfileSet(profile=PROFILE),
        RuleSetSet(rules=RULES),
        TrustSet(
            anchors={purpose.value: ders for purpose, ders in trust.anchors.items()},
            crls=trust.crls,
            intermediates=trust.intermediates,
        ),
        OperatorSet(key_ids=(pki.operator.certificate.key_id,)),
        RegistrarSet(
            registrar=Registrar(
                registrar_id=OFFICER, name="登测试", key_ids=(pki.registrar.certificate.key_id,)
            )
        ),
        InstitutionSet(institution=bank(BANK_USCC, pki.bank.certificate.key_id)),
        InstitutionSet(institution=bank(SECOND_BANK_USCC, pki.second_bank.certificate.key_id)),
    )


def bank(uscc: str, key_id: str) -> Institution:
    """A registered bank with one signing key."""
    keys = (RegisteredKey(key_id=key_id, roles=(KeyRole.SUBMIT, KeyRole.RELEASE)),)
    return Institution(uscc=uscc, kind=InstitutionKind.BANK, names=("测试银行",), keys=keys)


@contextmanager
def calls(kind: CallerKind, caller_id: str = "") -> Iterator[None]:
    """Within the block, servicers see this caller."""
    token = caller_now.set(Caller(kind, caller_id))
    try:
        yield
    finally:
        caller_now.reset(token)


def as_bank(uscc: str = BANK_USCC) -> Any:
    """Within the block, the bank calls."""
    return calls(CallerKind.INSTITUTION, uscc)


def as_registrar() -> Any:
    """Within the block, the registrar calls."""
    return calls(CallerKind.REGISTRAR, OFFICER)


def as_operator() -> Any:
    """Within the block, an operator calls."""
    return calls(CallerKind.OPERATOR)


def header(now: dt.datetime, **changes: Any) -> envelope_pb2.Header:
    """A header of an operator's act, made at `now`, good for an hour."""
    wire = envelope_pb2.Header(**{"registry": REGISTRY, "request_id": str(uuid.uuid4()), **changes})
    wire.created_at.FromDatetime(now)
    wire.not_after.FromDatetime(now + dt.timedelta(hours=1))
    return wire


def signed(act: Message, *, by: Any = None, payload_type: str | None = None) -> envelope_pb2.Envelope:
    """The envelope of an operator's act, signed by the sample operator or `by`."""
    signer = (by or sample_pki().operator).signer()
    return wire_envelope(
        sign_envelope(payload_type or PAYLOAD_TYPES[type(act)], act.SerializeToString(), [signer])
    )


def wire_envelope(envelope: Envelope) -> envelope_pb2.Envelope:
    """An envelope on the wire."""
    return envelope_pb2.Envelope(
        payload_type=envelope.payload_type,
        payload=envelope.payload,
        signatures=[
            envelope_pb2.Signature(
                key_id=s.key_id,
                algorithm=envelope_pb2.SignatureAlgorithm.Value(f"SIGNATURE_ALGORITHM_{s.algorithm}"),
                certificates=s.certificates,
                signature=s.signature,
                batch=None
                if s.batch is None
                else envelope_pb2.BatchPath(index=s.batch.index, size=s.batch.size, hashes=s.batch.hashes),
            )
            for s in envelope.signatures
        ],
    )


async def stream_of(messages: Iterable[Any], *, then: Callable[[], Any] | None = None) -> AsyncIterator[Any]:
    """Messages as a stream; afterwards `then` is awaited (a sender who stops sending)."""
    for message in messages:
        await asyncio.sleep(0)
        yield message
    if then is not None:
        await then()
