"""A running gateway with everybody around it, for tests over the real wire, and the cases they file.

A `Town` is a gateway that serves a founded folder (`tests.support.founding`): the session's own (`town`), or one of a
test's (`town_of`) where a test restarts it, narrows a limit or moves its clock.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from sqlalchemy import text

from gateway.app import Gateway, utc_now
from gateway.client import manifest as build
from gateway.client import operations
from gateway.client.admin import AdminClient
from gateway.client.client import DiyaClient
from gateway.client.feed import FeedClient
from gateway.client.retry import RetryPolicy
from gateway.client.review import ReviewClient
from gateway.client.session import Answer, Session
from gateway.config import Config, load_config
from gateway.demo.stage import COUNTER_KEY, INSTITUTIONS, OPERATOR_KEY, REGISTRAR_KEY, Stage
from gateway.pb.diya.v1 import (
    codes_pb2,
    file_pb2,
    file_service_pb2_grpc,
    registration_service_pb2_grpc,
)
from gateway.register.model import IdKind, Party
from gateway.register.sample import SAMPLE, SampleUnit
from gateway.register.sample_parties import made_up_citizen_id
from signing.pki import Credential, DevelopmentPKI
from tests.support.filing import Filing
from tests.support.pki import social_credit_code
from tests.support.wire import DOMAIN, Refused, as_stream, upload_messages

REGISTRIES = ("jiangyin", "taizhou")
ONCE = RetryPolicy(attempts=1)

SUSPENDED = Party(name="停牌银行", id_kind=IdKind.USCC, id_number=social_credit_code("MA00HALT1"))
SUSPENDED_KEY = "suspended-bank"
SECOND_REGISTRAR = Party(
    name="吴示例", id_kind=IdKind.RESIDENT_ID, id_number=made_up_citizen_id(dt.date(1979, 6, 6), 13)
)
SECOND_REGISTRAR_ID = "wu"
SECOND_REGISTRAR_KEY = "registrar-2"
AUDITOR_KEY = "auditor"
READER_KEY = "bank-a-reader"
STRANGER_KEY = "stranger"
REVOKED_TLS_KEY = "bank-a-revoked"

Footprint = dict[str, Any]


@dataclass
class MovedClock:
    """The real time, moved by as much as a test wants."""

    offset: dt.timedelta = dt.timedelta()

    def __call__(self) -> dt.datetime:
        return utc_now() + self.offset

    def move(self, seconds: float) -> None:
        """Later, or earlier when negative."""
        self.offset += dt.timedelta(seconds=seconds)


@dataclass
class Town:
    """A running gateway on free ports, and everybody who has to do with it."""

    stage: Stage
    gateway: Gateway
    clock: MovedClock
    connections: AsyncExitStack
    flats: dict[str, Iterator[SampleUnit]] = field(default_factory=dict)
    _channels: dict[str, grpc.aio.Channel] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """The gateway's folder."""
        return self.stage.folder

    @property
    def pki(self) -> DevelopmentPKI:
        """What issues certificates that the gateway trusts."""
        return self.stage.pki

    # -- callers -------------------------------------------------------------------------------------------------

    def channel(self, key: str) -> grpc.aio.Channel:
        """A connection of somebody under clients/, over their own TLS certificate; without any when empty."""
        if key not in self._channels:
            roots = (self.folder / "trust" / "server-roots.pem").read_bytes()
            pair: tuple[bytes, ...] = ()
            port = self.gateway.ports["listen" if key else "public"]
            if key:
                tls = self.stage.credential(key, "tls")
                pair = (tls.key_pem(), tls.chain_pem())
            credentials = grpc.ssl_channel_credentials(roots, *pair)
            options = [("grpc.max_send_message_length", -1), ("grpc.enable_retries", 0)]
            channel = grpc.aio.secure_channel(f"localhost:{port}", credentials, options)
            self.connections.push_async_callback(channel.close)
            self._channels[key] = channel
        return self._channels[key]

    def stub(self, kind: Any, key: str) -> Any:
        """A generated stub of somebody's, with nothing between it and the wire."""
        return kind(self.channel(key))

    def registration(self, key: str) -> Any:
        """RegistrationService as somebody calls it."""
        return self.stub(registration_service_pb2_grpc.RegistrationServiceStub, key)

    async def session(self, key: str, registry: str = "jiangyin") -> Session:
        """A session that tries once and checks every receipt."""
        session = await self.stage.session(key, registry)
        session.policy = ONCE
        session.clock = self.clock
        return session

    async def client(self, key: str, registry: str = "jiangyin") -> DiyaClient:
        """A bank's client."""
        return DiyaClient(await self.session(key, registry))

    async def registrar(self, key: str = REGISTRAR_KEY, registry: str = "taizhou") -> ReviewClient:
        """A registrar's client."""
        return ReviewClient(await self.session(key, registry), self.stage.signer(key).signer())

    async def counter(self, registry: str = "jiangyin") -> FeedClient:
        """The authority's own counter system."""
        return FeedClient(await self.session(COUNTER_KEY, registry), self.stage.signer(COUNTER_KEY).signer())

    async def operator(self, registry: str = "jiangyin") -> AdminClient:
        """The operator's client."""
        return AdminClient(
            await self.session(OPERATOR_KEY, registry), self.stage.signer(OPERATOR_KEY).signer()
        )

    def citizen(self, person: Party) -> Credential:
        """A citizen's own signing certificate."""
        folder = self.folder / "citizens" / person.id_number
        if not (folder / "sign.pem").exists():
            self.pki.issue_person(person.id_number, person.name).write(folder, "sign")
        return Credential.read(folder, "sign")

    def key(self, institution: str, stem: str = "sign") -> Credential:
        """A key of an institution: `sign`, or one of the odd ones (`read-only`, `revoked`, …)."""
        return self.stage.credential(institution, stem)

    def flat(self, registry: str = "jiangyin") -> SampleUnit:
        """A free flat that nobody has had before."""
        if registry not in self.flats:
            self.flats[registry] = iter(SAMPLE.free(registry))
        return next(self.flats[registry])

    # -- what is there -------------------------------------------------------------------------------------------

    def footprint(self) -> Footprint:
        """All that the gateway holds: the rows of every table, the files, what is coming in.

        Not the count of a day's rehearsals, which is all that is kept of them and is written when the writer has time.
        """
        with self.gateway._reader.begin() as connection:
            tables = connection.execute(
                text("SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'rehearsal_count'")
            ).scalars()
            rows = {
                name: connection.execute(text(f'SELECT count(*) FROM "{name}"')).scalar() for name in tables
            }
        root = self.gateway.config.storage.files
        return {**rows, "files": sorted(p.name for p in root.rglob("*") if p.is_file())}

    def ledger_size(self, registry: str = "jiangyin") -> int:
        """Entries of a registry."""
        with self.gateway._reader.begin() as connection:
            return self.gateway.ledger.head(connection, registry, for_update=False).size

    async def refusal(
        self, call: Callable[[], Awaitable[Any]], reason: str | set[str], code: str = ""
    ) -> Refused:
        """The refusal that a call meets: of this reason (or one of these) and code, in both languages.

        It left nothing: no row in any table, no file.
        """
        before = self.footprint()
        refused = await self.told(call, reason, code)
        assert self.footprint() == before
        return refused

    async def told(
        self, call: Callable[[], Awaitable[Any]], reason: str | set[str], code: str = ""
    ) -> Refused:
        """The same where the gateway writes of itself meanwhile: it seals, or its clock has moved."""
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call()
        refused = Refused.of(caught.value)
        assert refused.reason in ({reason} if isinstance(reason, str) else reason), refused
        assert code in ("", refused.code), refused
        assert refused.domain == DOMAIN
        assert refused.is_bilingual, refused.message
        return refused

    # -- files ---------------------------------------------------------------------------------------------------

    async def upload(self, data: bytes, *, by: str = "bank-a", registry: str = "jiangyin") -> file_pb2.File:
        """Upload a file in one chunk after its metadata."""
        response = await self.stub(file_service_pb2_grpc.FileServiceStub, by).UploadFile(
            as_stream(upload_messages(data, registry=registry))
        )
        return response.file

    # -- cases ---------------------------------------------------------------------------------------------------

    def mortgage(
        self,
        unit: SampleUnit | None = None,
        *,
        registry: str = "jiangyin",
        channel: str = "bank-a",
        applicant: str = "",
        owners: Sequence[Party] | None = None,
        claim_fen: int = 80_000_000,
    ) -> Filing:
        """A first mortgage, complete but for its papers: change what you like, then `sign` and `submit`."""
        unit = unit or self.flat(registry)
        owners = tuple(unit.owners if owners is None else owners)
        mortgagee = INSTITUTIONS[applicant or channel]
        today = self.clock().date()
        ids = [f"owner-{n}" for n in range(1, len(owners) + 1)]
        content = operations.mortgage_content(
            mortgagors=ids,
            mortgagees=["bank"],
            debtors=ids,
            claim_fen=claim_fen,
            term=(today, today.replace(year=today.year + 20, day=1)),
            restricted=False,
            secured_scope="主债权、利息、违约金",
        )
        terms = build.terms(
            registry,
            units=[build.unit(unit.unit_code, location=unit.location, titles=[unit.title_number])],
            parties=[
                *(
                    build.person(
                        i, o.name, o.id_number, id_kind=codes_pb2.IdKind.Value(f"ID_KIND_{o.id_kind}")
                    )
                    for i, o in zip(ids, owners, strict=True)
                ),
                build.institution_party("bank", mortgagee.name, mortgagee.id_number),
            ],
            operations=[operations.mortgage_first(content)],
        )
        return Filing(
            self,
            registry,
            codes_pb2.APPLICATION_KIND_MORTGAGE,
            terms,
            channel,
            applicant or channel,
            unit,
            owners,
        )

    def release(self, filing: Filing, proof_number: str) -> Filing:
        """The release of a mortgage that `filing` brought about."""
        mortgagee = INSTITUTIONS[filing.applicant]
        terms = build.terms(
            filing.registry,
            units=[build.unit(filing.unit.unit_code)],
            parties=[build.institution_party("bank", mortgagee.name, mortgagee.id_number)],
            operations=[
                operations.mortgage_release(proof_number, applicants=["bank"], ended_on=self.clock().date())
            ],
            loan_kind=codes_pb2.LOAN_KIND_NONE,
        )
        return Filing(
            self,
            filing.registry,
            codes_pb2.APPLICATION_KIND_MORTGAGE_RELEASE,
            terms,
            filing.channel,
            filing.applicant,
            filing.unit,
            filing.owners,
        )

    async def booked(self, **how: Any) -> tuple[Filing, Answer]:
        """A mortgage booked by rule, in the registry that lets rules decide."""
        filing = await self.mortgage(**how).sign().upload()
        answer = await filing.submit()
        assert answer.result == "BOOKED", answer.outcome.findings
        return filing, answer

    async def in_review(self, **how: Any) -> tuple[Filing, Answer]:
        """A mortgage accepted and waiting for a registrar, in the registry where a person decides."""
        filing = await self.mortgage(registry="taizhou", **how).sign().upload()
        answer = await filing.submit()
        assert answer.result == "ACCEPTED", answer.outcome.findings
        return filing, answer


def configured(folder: Path, *, sealing: bool = False, grace_seconds: float = 2.0, **limits: Any) -> Config:
    """The configuration of a founded folder, with other limits; one checking process, for each takes half a second."""
    config = load_config(folder / "diya.toml")
    return config.model_copy(
        update={
            "sealing": sealing,
            "server": config.server.model_copy(update={"grace_seconds": grace_seconds}),
            "limits": config.limits.model_copy(update={"check_workers": 1, **limits}),
        }
    )


@asynccontextmanager
async def town_of(
    folder: Path,
    *,
    sealing: bool = False,
    clock: MovedClock | None = None,
    grace_seconds: float = 2.0,
    is_heard: bool = True,
    **limits: Any,
) -> AsyncIterator[Town]:
    """A gateway that serves `folder` as long as the block lasts; `is_heard`: its witnesses have been asked once."""
    clock = clock or MovedClock()
    settings = partial(configured, folder, sealing=sealing, grace_seconds=grace_seconds, **limits)
    config = settings()
    gateway = Gateway(config, clock=clock, reread=settings)
    await gateway.start()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(gateway.stop)
        if is_heard:
            await gateway._witnessing.first_round()
        connections = await stack.enter_async_context(AsyncExitStack())
        pki = DevelopmentPKI.load(folder / "pki", utc_now())
        stage = Stage(folder, config, gateway, pki, connections)
        yield Town(stage, gateway, clock, connections)
