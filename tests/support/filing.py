"""A case on a bank's desk: terms, papers, manifest, envelope, request, each of which a test may change."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gateway.client import manifest as build
from gateway.client.payloads import envelope_to_wire
from gateway.client.session import Answer
from gateway.demo.stage import INSTITUTIONS
from gateway.pb.diya.v1 import (
    codes_pb2,
    envelope_pb2,
    operations_pb2,
    outcome_pb2,
    registration_service_pb2,
    terms_pb2,
)
from gateway.register.model import Party
from gateway.register.sample import SampleUnit
from signing.pki import Credential
from signing.signer import sign_envelope
from tests.support.signed_papers import form, paper
from tests.support.wire import Refused, is_bilingual

if TYPE_CHECKING:
    from tests.support.stage import Town

Pb = registration_service_pb2
MANIFEST_TYPE = "application/vnd.diya.manifest.v1+protobuf"


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
        bank = bank or self.town.stage.signer(self.applicant)
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
