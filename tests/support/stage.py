"""A running gateway with everybody around it, for tests over the real wire, and the cases they file.

`founded` is made once per session: two registries, institutions, registrars, an auditor, the sample register. A
`Town` is a gateway that serves a copy of it: the session's own (`town`), or one of a test's (`open_town`) where a
test restarts it, narrows a limit or moves its clock.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import shutil
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from sqlalchemy import text

from gateway.app import Gateway, utc_now
from gateway.cases.decision import Decision
from gateway.cases.effects import OperatorSet, RequestAnswered
from gateway.cases.model import Moment, Outcome, Result
from gateway.client import manifest as build
from gateway.client import operations
from gateway.client.admin import AdminClient
from gateway.client.client import DiyaClient
from gateway.client.payloads import envelope_to_wire
from gateway.client.retry import RetryPolicy
from gateway.client.review import ReviewClient
from gateway.client.session import Answer, Session
from gateway.config import Config, load_config
from gateway.demo.cast import REGISTRAR, REGISTRAR_ID
from gateway.demo.stage import INSTITUTIONS, OPERATOR_KEY, REGISTRAR_KEY, Stage, prepare
from gateway.pb.diya.v1 import (
    authority_pb2,
    codes_pb2,
    envelope_pb2,
    file_pb2,
    file_service_pb2,
    file_service_pb2_grpc,
    operations_pb2,
    outcome_pb2,
    registration_service_pb2,
    registration_service_pb2_grpc,
    terms_pb2,
)
from gateway.register.model import IdKind, Party
from gateway.register.sample import SAMPLE, SampleUnit, write_register_csv
from gateway.register.sample_parties import made_up_citizen_id
from gateway.sequencer import Command
from gateway.storage.working import Wants, Working
from signing.pki import Credential, DevelopmentPKI
from signing.seal import append_signature
from signing.signer import sign_envelope
from signing.trust import Purpose
from tests.support.pdf_files import attachment, make_pdf
from tests.support.pki import social_credit_code

REGISTRIES = ("jiangyin", "taizhou")
DOMAIN = "diya.cn"
MANIFEST_TYPE = "application/vnd.diya.manifest.v1+protobuf"
ONCE = RetryPolicy(attempts=1)

SUSPENDED = Party(name="停牌银行", id_kind=IdKind.USCC, id_number=social_credit_code("MA00HALT1"))
SUSPENDED_KEY = "suspended-bank"
SECOND_REGISTRAR = Party(
    name="吴示例", id_kind=IdKind.RESIDENT_ID, id_number=made_up_citizen_id(dt.date(1979, 6, 6), 13)
)
SECOND_REGISTRAR_ID = "wu"
SECOND_REGISTRAR_KEY = "registrar-2"
AUDITOR_KEY = "auditor"
STRANGER_KEY = "stranger"
REVOKED_TLS_KEY = "bank-a-revoked"

_EVERYTHING = (
    authority_pb2.KEY_ROLE_SUBMIT,
    authority_pb2.KEY_ROLE_CONSENT,
    authority_pb2.KEY_ROLE_RELEASE,
    authority_pb2.KEY_ROLE_READ,
)
_TLS = (authority_pb2.KEY_ROLE_TLS,)

Pb = registration_service_pb2
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


@dataclass(frozen=True)
class Refused:
    """A gRPC error as a foreign client reads it."""

    code: str
    reason: str
    message: str
    metadata: dict[str, str]
    violations: tuple[tuple[str, str, str], ...]
    retry_seconds: float | None
    domain: str
    status: status_pb2.Status | None

    @classmethod
    def of(cls, error: grpc.aio.AioRpcError) -> Refused:
        """Read the details of a failed call."""
        status = rpc_status.from_call(error)  # type: ignore[arg-type]
        return cls.of_status(status, error.code().name, error.details() or "")

    @classmethod
    def of_status(cls, status: status_pb2.Status | None, code: str = "", message: str = "") -> Refused:
        """Read a google.rpc.Status."""
        info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), None
        infos = 0
        for detail in status.details if status else ():
            if detail.Unpack(info):
                infos += 1
            elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
                found = error_details_pb2.RetryInfo()
                detail.Unpack(found)
                retry = found.retry_delay.seconds + found.retry_delay.nanos / 1e9
            else:
                detail.Unpack(bad)
        assert infos <= 1, "exactly one ErrorInfo"
        if status is not None:
            value = {c.value[0]: c.name for c in grpc.StatusCode}[status.code]
            assert code in ("", value)
            code, message = value, status.message
        return cls(
            code=code,
            reason=info.reason,
            message=message,
            metadata=dict(info.metadata),
            violations=tuple((v.field, v.reason, v.description) for v in bad.field_violations),
            retry_seconds=retry,
            domain=info.domain,
            status=status,
        )

    @property
    def is_bilingual(self) -> bool:
        """Chinese for the clerk, English for the developer."""
        zh, slash, en = self.message.partition(" / ")
        return bool(slash) and _is_chinese(zh) and any(c.isascii() and c.isalpha() for c in en)


def _is_chinese(value: str) -> bool:
    return any("\u4e00" <= character <= "\u9fff" for character in value)


def is_bilingual(finding: Any) -> bool:
    """Whether a finding speaks both languages."""
    return _is_chinese(finding.zh) and bool(finding.en) and finding.en != finding.zh


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
        return session

    async def client(self, key: str, registry: str = "jiangyin") -> DiyaClient:
        """A bank's client."""
        return DiyaClient(await self.session(key, registry))

    async def registrar(self, key: str = REGISTRAR_KEY, registry: str = "taizhou") -> ReviewClient:
        """A registrar's client."""
        return ReviewClient(await self.session(key, registry), self.stage.signer(key).signer())

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
        """All that the gateway holds: the rows of every table, the files, what is coming in."""
        with self.gateway._reader.begin() as connection:
            tables = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'")).scalars()
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
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call()
        refused = Refused.of(caught.value)
        assert refused.reason in ({reason} if isinstance(reason, str) else reason), refused
        assert code in ("", refused.code), refused
        assert refused.domain == DOMAIN
        assert refused.is_bilingual, refused.message
        assert self.footprint() == before
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


@dataclass
class Filing:
    """A case on a bank's desk. Every part may be changed before the next step makes use of it."""

    town: Town
    registry: str
    kind: codes_pb2.ApplicationKind.ValueType
    terms: terms_pb2.Terms
    channel: str
    applicant: str
    unit: SampleUnit
    owners: tuple[Party, ...]
    papers: dict[str, list[bytes]] = field(default_factory=dict)
    references: list[envelope_pb2.FileReference] = field(default_factory=list)
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def content(self) -> operations_pb2.MortgageContent:
        """The mortgage as it shall be registered."""
        return self.terms.operations[0].mortgage_first.content

    @property
    def terms_bytes(self) -> bytes:
        """The terms as they stand."""
        return build.terms_bytes(self.terms)

    # -- papers --------------------------------------------------------------------------------------------------

    def sign(self, *, owners: Sequence[Credential] | None = None, bank: Credential | None = None) -> Filing:
        """Every paper of the case, signed by the owners' own certificates and the mortgagee's, or by others."""
        bank = bank or self.town.key(self.applicant)
        people = [self.town.citizen(o) for o in self.owners] if owners is None else owners
        if self.kind == codes_pb2.APPLICATION_KIND_MORTGAGE_RELEASE:
            self.papers = {"EXTINCTION": [paper("settled", bank)]}
            return self
        self.papers = {
            "APPLICATION": [form(self.terms_bytes, *people)],
            "INQUIRY_RECORD": [form(self.terms_bytes, *people)],
            "PRINCIPAL_CONTRACT": [paper("loan contract", *people, bank)],
            "MORTGAGE_CONTRACT": [paper("mortgage contract", *people, bank)],
            "REMOTE_IDENTITY": [paper("remote identity")],
        }
        return self

    async def upload(self, *, by: str = "") -> Filing:
        """Upload the papers, by the channel or by somebody else; the manifest will name them."""
        named = [(code, data) for code, several in self.papers.items() for data in several]
        files = await asyncio.gather(
            *(self.town.upload(data, by=by or self.channel, registry=self.registry) for _, data in named)
        )
        self.references = [
            build.file_reference(code, f.sha256, f.size_bytes)
            for (code, _), f in zip(named, files, strict=True)
        ]
        return self

    # -- manifest, envelope, request -----------------------------------------------------------------------------

    def header(self, **changes: Any) -> envelope_pb2.Header:
        """The header as of now; `changes` are arguments of the client's `header`."""
        values: dict[str, Any] = {
            "request_id": self.request_id,
            "created_at": self.town.clock(),
            "channel_institution": INSTITUTIONS[self.channel].id_number,
            "applicant_institution": INSTITUTIONS[self.applicant].id_number,
            "clerk": build.clerk("经办员", "D-001"),
        } | changes
        return build.header(values.pop("registry", self.registry), **values)

    def manifest(self, **header: Any) -> envelope_pb2.Manifest:
        """What the bank signs."""
        return build.manifest(self.kind, self.header(**header), self.terms_bytes, files=self.references)

    def envelope(
        self, manifest: envelope_pb2.Manifest | None = None, *, by: Credential | None = None
    ) -> envelope_pb2.Envelope:
        """The manifest signed by the channel's own key, or by another."""
        payload = (manifest or self.manifest()).SerializeToString(deterministic=True)
        signer = (by or self.town.key(self.channel)).signer()
        return envelope_to_wire(sign_envelope(MANIFEST_TYPE, payload, [signer]))

    def request(self, envelope: envelope_pb2.Envelope | None = None, **outer: Any) -> Any:
        """The request, outer fields as signed but for `outer`."""
        envelope = envelope or self.envelope()
        header = envelope_pb2.Manifest.FromString(envelope.payload).header
        release = self.kind == codes_pb2.APPLICATION_KIND_MORTGAGE_RELEASE
        kind = Pb.SubmitMortgageReleaseRequest if release else Pb.SubmitMortgageRequest
        values: dict[str, Any] = {
            "parent": f"registries/{header.registry}",
            "request_id": header.request_id,
            "validate_only": header.validate_only,
            "envelope": envelope,
        } | outer
        return kind(**values)

    # -- sending -------------------------------------------------------------------------------------------------

    async def send(self, request: Any = None, *, by: str = "", **outer: Any) -> outcome_pb2.Outcome:
        """Send a request as it is over a bare stub, and give the outcome."""
        stub = self.town.registration(by or self.channel)
        request = request or self.request(**outer)
        release = isinstance(request, Pb.SubmitMortgageReleaseRequest)
        response = await (stub.SubmitMortgageRelease if release else stub.SubmitMortgage)(request)
        return response.outcome

    async def submit(self, **header: Any) -> Answer:
        """Send it through the client, which verifies the receipt."""
        client = await self.town.client(self.channel, self.registry)
        signer = self.town.key(self.channel).signer()
        return await client.submit(build.sign_submission(signer, self.manifest(**header)))

    async def refused(self, reason: str, code: str, request: Any = None, **how: Any) -> Refused:
        """Send it, expecting a refusal that leaves nothing; see `Town.refusal`."""
        request = request or self.request(**how)
        return await self.town.refusal(lambda: self.send(request), reason, code)

    async def refused_with_any(self, reasons: set[str], request: Any) -> Refused:
        """`refused` where the contract leaves open which of several reasons comes first."""
        return await self.town.refusal(lambda: self.send(request), reasons)

    async def findings(self, result: str = "NOT_ACCEPTED") -> list[Any]:
        """Upload, submit, expecting this result and, unless it is BOOKED, nothing changed in the register.

        Every finding speaks both languages.
        """
        await self.upload()
        before = self.town.footprint()
        outcome = await self.send()
        name = outcome_pb2.OutcomeResult.Name(outcome.result).removeprefix("OUTCOME_RESULT_")
        assert name == result, outcome
        after = self.town.footprint()
        if result != "BOOKED":
            for table in ("right", "unit_right", "certificate"):
                assert after[table] == before[table], f"{table} changed"
        if result == "NOT_ACCEPTED":
            for table in ("open_case", "paper"):
                assert after[table] == before[table], f"{table} changed"
        assert after["ledger_entry"] == before["ledger_entry"] + 1, "an answer of the law is one entry"
        found = list(outcome.findings)
        assert all(is_bilingual(f) for f in found)
        return found


def codes_of(findings: Sequence[Any]) -> set[tuple[str, str]]:
    """(code, rule) of every finding."""
    return {(f.code, f.rule) for f in findings}


# -- papers --------------------------------------------------------------------------------------------------------


def paper(title: str, *signers: Credential) -> bytes:
    """A small PDF that exists once in the world, signed by each in turn."""
    return signed(make_pdf(text=f"{title} {uuid.uuid4()}".encode()), *signers)


def form(terms: bytes, *signers: Credential, title: str = "form") -> bytes:
    """A form that embeds these terms, signed by each in turn."""
    catalog, objects = attachment(b"terms.bin", terms)
    return signed(
        make_pdf(text=f"{title} {uuid.uuid4()}".encode(), catalog=catalog, objects=objects), *signers
    )


def signed(pdf: bytes, *signers: Credential) -> bytes:
    """A PDF with further signatures."""
    for credential in signers:
        pdf = append_signature(pdf, credential.signer(), reason="sign", at=utc_now())
    return pdf


def upload_messages(
    data: bytes, *, registry: str = "jiangyin", chunk_bytes: int = 256 * 1024, **metadata: Any
) -> list[Any]:
    """The messages of an upload; `metadata` overrides what is declared."""
    declared: dict[str, Any] = {
        "parent": f"registries/{registry}",
        "sha256": hashlib.sha256(data).digest(),
        "size_bytes": len(data),
        "media_type": "application/pdf",
    } | metadata
    request = file_service_pb2.UploadFileRequest
    chunks = [data[at : at + chunk_bytes] for at in range(0, len(data), chunk_bytes)]
    return [
        request(metadata=file_service_pb2.UploadFileMetadata(**declared)),
        *(request(chunk=chunk) for chunk in chunks),
    ]


async def as_stream(messages: Sequence[Any]) -> AsyncIterator[Any]:
    """Messages as a request stream."""
    for message in messages:
        yield message


# -- founding ------------------------------------------------------------------------------------------------------


async def found(folder: Path) -> None:
    """Make a gateway with everybody registered and the sample imported, over its own wire, and stop it again."""
    prepare(folder, now=utc_now() - dt.timedelta(minutes=5), ports=(0, 0, 0))
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
            await admin.set_trust(_revocations(town, registry))
            await asyncio.to_thread(town.gateway.sequencer.submit(_auditor(town, registry)).result)
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

    for stem in ("read-only", "revoked", "unregistered"):
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
    for key in (SECOND_REGISTRAR_KEY, AUDITOR_KEY):
        pki.issue_tls_client("000000000000000000", key).write(clients / key, "tls")


def _institution(town: Town, key: str, party: Party) -> authority_pb2.Institution:
    keys = [(key, "sign", _EVERYTHING), (key, "tls", _TLS)]
    if key == "bank-a":
        keys += [(key, "read-only", (authority_pb2.KEY_ROLE_READ,)), (REVOKED_TLS_KEY, "tls", _TLS)]
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


def _revocations(town: Town, registry: str) -> list[authority_pb2.TrustSet]:
    """Lists that revoke one signing key and one connection key of bank A."""
    revoked = [town.key("bank-a", "revoked"), town.stage.credential(REVOKED_TLS_KEY, "tls")]
    return trust_revoking(town, revoked)


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
                    anchors=[town.pki.anchors[purpose].der],
                    crls=[town.pki.make_crl(purpose, own, since=now, now=now)],
                )
            )
    return sets


def _auditor(town: Town, registry: str) -> Command:
    """The operators' keys again, with an auditor's beside them: no act of the wire sets one in this version."""
    operators = town.gateway.sequencer.settings(registry).operators
    assert operators is not None
    key_id = town.stage.credential(AUDITOR_KEY, "tls").certificate.key_id
    effect = OperatorSet(
        key_ids=operators.key_ids, tls_key_ids=operators.tls_key_ids, auditor_tls_key_ids=(key_id,)
    )

    def decide(working: Working, moment: Moment) -> Decision:
        answered = RequestAnswered(institution="", request_id="auditor", payload_sha256="0" * 64)
        outcome = Outcome(result=Result.DONE, application="")
        return Decision(kind="test.auditor", outcome=outcome, effects=(answered, effect))

    return Command(
        registry=registry,
        institution="",
        request_id="auditor",
        payload_sha256="0" * 64,
        payload=b"auditor",
        evidence=lambda: b"{}",
        wants=Wants(),
        decide=decide,
    )


# -- opening -------------------------------------------------------------------------------------------------------


def configured(folder: Path, *, sealing: bool = False, **limits: Any) -> Config:
    """The configuration of a founded folder, with other limits."""
    config = load_config(folder / "diya.toml")
    return config.model_copy(
        update={
            "sealing": sealing,
            "server": config.server.model_copy(update={"grace_seconds": 2.0}),
            "limits": config.limits.model_copy(update=limits),
        }
    )


@asynccontextmanager
async def town_of(
    folder: Path, *, sealing: bool = False, clock: MovedClock | None = None, **limits: Any
) -> AsyncIterator[Town]:
    """A gateway that serves `folder` as long as the block lasts."""
    clock = clock or MovedClock()
    config = configured(folder, sealing=sealing, **limits)
    gateway = Gateway(config, clock=clock)
    await gateway.start()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(gateway.stop)
        connections = await stack.enter_async_context(AsyncExitStack())
        pki = DevelopmentPKI.load(folder / "pki", utc_now())
        stage = Stage(folder, config, gateway, pki, connections)
        yield Town(stage, gateway, clock, connections)


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


@pytest.fixture
def own_folder(founded: Path, tmp_path: Path) -> Path:
    """A test's own copy of the founded gateway, for `town_of`."""
    return copy_of(founded, tmp_path)


def copy_of(founded: Path, into: Path) -> Path:
    """A copy of a gateway's folder."""
    return Path(shutil.copytree(founded, into / "gateway"))
