"""Cases of every operation and every mode over the wire: any steps, with the papers that the law itself asks for.

A `Deal` is a `Filing` of any kind and phase. `market` offers every mode to every institution.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.cases.model import Kind, Manifest
from gateway.cases.model import World as RegisterWorld
from gateway.client import manifest as build
from gateway.client.acts import target_of_envelope
from gateway.client.session import Actor, Answer
from gateway.demo.stage import INSTITUTIONS
from gateway.pb.diya.v1 import codes_pb2, envelope_pb2, operations_pb2, outcome_pb2, terms_pb2
from gateway.register.model import IdKind, Mortgage, Party, PreNotice, UnitState
from gateway.register.rank import current_ranks
from gateway.register.sample import SampleUnit
from gateway.register.sample_parties import made_up_citizen_id
from gateway.rpc.decode import decode_manifest
from gateway.storage.working import Working
from gateway.worlds.world import wants_of, world_of
from signing.pki import Credential
from tests.support.filing import Filing, Pb
from tests.support.play import rules_of
from tests.support.signed_papers import form, paper, signed
from tests.support.stage import Town
from tests.support.steps import PRICE_FEN

BALANCE_FEN = 45_000_000

MODES = [
    number for name, number in codes_pb2.EncumberedTransferMode.items() if not name.endswith("UNSPECIFIED")
]

_LENDERS = {party.id_number: key for key, party in INSTITUTIONS.items()}

#: Request and method by kind; a later phase goes by AdvanceCase.
_CALLS: dict[int, tuple[Any, str]] = {
    codes_pb2.APPLICATION_KIND_MORTGAGE: (Pb.SubmitMortgageRequest, "SubmitMortgage"),
    codes_pb2.APPLICATION_KIND_MORTGAGE_RELEASE: (Pb.SubmitMortgageReleaseRequest, "SubmitMortgageRelease"),
    codes_pb2.APPLICATION_KIND_PRE_NOTICE: (Pb.SubmitPreNoticeRequest, "SubmitPreNotice"),
    codes_pb2.APPLICATION_KIND_ENCUMBERED_TRANSFER: (
        Pb.SubmitEncumberedTransferRequest,
        "SubmitEncumberedTransfer",
    ),
}
_ADVANCE = (Pb.AdvanceCaseRequest, "AdvanceCase")


async def offer_every_mode(town: Town, registry: str = "jiangyin") -> None:
    """Every mode is on offer in the registry, and to every institution."""
    operator = await town.operator(registry)
    profile = (await operator.get_profile()).profile
    del profile.modes[:]
    profile.modes.extend(MODES)
    profile.version += 1
    profile.source = profile.source or "测试规范"
    await operator.set_profile(profile)
    async for known in operator.list_institutions():
        del known.permitted_modes[:]
        known.permitted_modes.extend(MODES)
        await operator.set_institution(known)


def citizen(number: int, name: str = "买受人") -> Party:
    """Somebody made up, who is nobody of the sample register."""
    born = dt.date(1983, 3, 3) + dt.timedelta(days=number)
    return Party(
        name=f"{name}{number}",
        id_kind=IdKind.RESIDENT_ID,
        id_number=made_up_citizen_id(born, 900 + number % 99),
    )


@dataclass
class Deal(Filing):
    """A case of any operations. `people` are its parties by their ids in the terms."""

    people: dict[str, Party] = field(default_factory=dict)
    case: str = ""
    phase: int = 1

    def header(self, **changes: Any) -> Any:
        """The header, naming case and phase of a later phase."""
        later = {"case": self.case, "phase": self.phase} if self.phase > 1 else {}
        return super().header(**(later | changes))

    def request(self, envelope: Any = None, **outer: Any) -> Any:
        """The request of the method that takes it, outer fields as signed but for `outer`."""
        envelope = envelope or self.envelope()
        header = build_manifest(envelope.payload).header
        values = {
            "parent": f"registries/{header.registry}",
            "request_id": header.request_id,
            "validate_only": header.validate_only,
            "envelope": envelope,
        } | outer
        return self._call[0](**values)

    async def send(self, request: Any = None, *, by: str = "", **outer: Any) -> outcome_pb2.Outcome:
        """Send a request as it is over a bare stub, and give the outcome."""
        request = request or self.request(**outer)
        methods = dict((*_CALLS.values(), _ADVANCE))
        method = getattr(self.town.registration(by or self.channel), methods[type(request)])
        return (await method(request)).outcome

    @property
    def _call(self) -> tuple[Any, str]:
        return _ADVANCE if self.phase > 1 else _CALLS[self.kind]

    # -- papers --------------------------------------------------------------------------------------------------

    def by_law(
        self,
        *,
        without: Sequence[str] = (),
        bound: Sequence[Party] = (),
        unsigned: Sequence[Party] = (),
        agents: Mapping[str, Party] = {},
    ) -> Deal:
        """Every paper that the law asks for but `without`, signed by all who must but `unsigned`.

        `agents` sign in place of who has that id number. `bound` sign the application form besides: who applies and
        files no envelope of its own.
        """
        manifest = self.decoded()
        signers: dict[str, list[Party]] = {}
        forms = {"APPLICATION"} if bound else set()
        for rule in rules_of(self.world(manifest), manifest, self.town.clock()):
            signers.setdefault(rule.code, []).extend(rule.signers)
            forms |= {rule.code} if rule.bound else set()
        if bound:
            signers.setdefault("APPLICATION", []).extend(bound)
        away = {p.key for p in unsigned}
        self.papers = {}
        for code, people in signers.items():
            if code in without:
                continue
            signing = [p for p in {p.key: p for p in people}.values() if p.key not in away]
            keys = [self.credential(agents.get(p.id_number, p)) for p in signing]
            made = form(self.terms_bytes, *keys) if code in forms else paper(code, *keys)
            self.papers[code] = [made]
        return self

    async def rendered(self, bound: Sequence[Party] = (), unsigned: Sequence[Party] = ()) -> dict[str, bytes]:
        """The forms that the gateway renders from the terms take the place of our own, signed by whom they name.

        `bound` sign the application besides. Gives each form as it was rendered, by code (and party, for a record).
        """
        client = await self.town.client(self.channel, self.registry)
        forms: dict[str, bytes] = {}
        away = {p.key for p in unsigned}
        for code in ("APPLICATION", "INQUIRY_RECORD"):
            self.papers.pop(code, None)
        for made in await client.render_forms(self.terms_bytes):
            people = [self.people[party] for party in made.parties]
            record = made.paper_code == "INQUIRY_RECORD"
            forms[f"{made.paper_code}/{made.parties[0]}" if record else made.paper_code] = made.pdf
            signers = people if record else [*people, *bound]
            keys = [self.credential(p) for p in signers if p.key not in away]
            if keys:
                self.papers.setdefault(made.paper_code, []).append(signed(made.pdf, *keys))
        return forms

    def credential(self, party: Party) -> Credential:
        """What a party signs papers with."""
        return credential_of(self.town, party)

    def decoded(self) -> Manifest:
        """The manifest as the gateway reads it."""
        kind = codes_pb2.ApplicationKind.Name(self.kind).removeprefix("APPLICATION_KIND_")
        return decode_manifest(self.manifest().SerializeToString(), Kind(kind))

    def world(self, manifest: Manifest) -> RegisterWorld:
        """The register as the gateway's storage has it for this case."""
        settings = self.town.gateway.sequencer.settings(self.registry)
        with self.town.gateway._reader.begin() as connection:
            working = Working(connection, self.registry, settings)
            working.prefetch(wants_of(manifest))
            return world_of(working, manifest, self.town.clock())

    # -- the whole way -------------------------------------------------------------------------------------------

    async def filed(self, **papers: Any) -> Answer:
        """The answer to the case with the papers of `by_law`."""
        if not self.papers:
            self.by_law(**papers)
        await self.upload()
        return await self.submit()

    async def booked(self, **papers: Any) -> Answer:
        """Filed, and approved by a registrar where a person decides: it must be booked."""
        answer = await self.filed(**papers)
        if answer.result == "ACCEPTED":
            answer = await approve(self.town, answer.outcome.application, self.registry)
        assert answer.result == "BOOKED", told(answer)
        return answer


def build_manifest(payload: bytes) -> Any:
    """The manifest in an envelope."""
    return envelope_pb2.Manifest.FromString(payload)


def credential_of(town: Town, party: Party) -> Credential:
    """What a party signs papers with: an institution's own key, a company's, a citizen's."""
    key = _LENDERS.get(party.id_number)
    if key:
        return town.stage.signer(key)
    if not party.is_institution:
        return town.citizen(party)
    folder = town.folder / "companies" / party.id_number
    if not (folder / "sign.pem").exists():
        town.pki.issue_institution(party.id_number, party.name).write(folder, "sign")
    return Credential.read(folder, "sign")


def told(answer: Answer) -> list[tuple[str, str, str, str]]:
    """What an answer found, short."""
    return [(f.code, f.rule, f.field or f.file, f.en) for f in answer.outcome.findings]


def codes(answer: Answer) -> set[tuple[str, str]]:
    """Code and rule of every finding."""
    return {(f.code, f.rule) for f in answer.outcome.findings}


async def approve(town: Town, application: str, registry: str = "jiangyin") -> Answer:
    """A registrar claims and approves."""
    registrar = await town.registrar(registry=registry)
    await registrar.claim(await registrar.open(application))
    return await registrar.approve(await registrar.open(application))


async def state_of(town: Town, code: str, registry: str = "jiangyin") -> UnitState:
    """A unit as the views have it."""
    view = await town.gateway.queries.unit(registry, code)
    assert view is not None
    return view.state


def owners(state: UnitState) -> list[str]:
    """Names of the owners."""
    return [o.person.name for o in state.ownership.owners] if state.ownership else []


def ranks(state: UnitState) -> list[tuple[str, int, int]]:
    """Live mortgages in order of rank: mortgagees, printed rank, current rank."""
    current = current_ranks(state.mortgages)
    return [
        ("、".join(p.name for p in m.mortgagees), m.rank_at_registration, current[m.right_id])
        for m in state.mortgages
    ]


def proof_of(state: UnitState, holder: Party, kind: type = Mortgage) -> str:
    """The number of the live proof of a holder's mortgage or pre-notice."""
    for right in state.rights:
        if isinstance(right, Mortgage | PreNotice) and isinstance(right, kind):
            holders = right.mortgagees if isinstance(right, Mortgage) else right.holders
            if holder.key in {p.key for p in holders}:
                return right.proof.number
    raise AssertionError(f"{holder.name} has no live {kind.__name__}")


# -- terms ---------------------------------------------------------------------------------------------------------


def deal(
    town: Town,
    unit: SampleUnit,
    people: dict[str, Party],
    *steps: operations_pb2.Operation,
    kind: codes_pb2.ApplicationKind.ValueType = codes_pb2.APPLICATION_KIND_ENCUMBERED_TRANSFER,
    mode: str = "",
    channel: str = "bank-b",
    registry: str = "jiangyin",
    case: str = "",
    phase: int = 1,
    units: Sequence[str] = (),
    loan_kind: codes_pb2.LoanKind.ValueType = codes_pb2.LOAN_KIND_COMMERCIAL,
) -> Deal:
    """A case of these steps on a unit (or on `units`), as `channel` files it."""
    named = units or (unit.unit_code,)
    terms = build.terms(
        registry,
        units=[
            build.unit(
                code, titles=[unit.title_number] if code == unit.unit_code and unit.title_number else []
            )
            for code in named
        ],
        parties=[_party(i, p) for i, p in people.items()],
        operations=list(steps),
        loan_kind=loan_kind,
    )
    if mode:
        terms.mode = codes_pb2.EncumberedTransferMode.Value(f"ENCUMBERED_TRANSFER_MODE_{mode}")
    return Deal(
        town,
        registry,
        kind,
        terms,
        channel,
        channel,
        unit,
        unit.owners,
        people=people,
        case=case,
        phase=phase,
    )


def _party(party_id: str, party: Party) -> terms_pb2.Party:
    if party.is_institution:
        return build.institution_party(party_id, party.name, party.id_number)
    kind = codes_pb2.IdKind.Value(f"ID_KIND_{party.id_kind}")
    return build.person(party_id, party.name, party.id_number, id_kind=kind)


def contracted(case: Deal, number: str = "WQ-2026-1", price_fen: int = PRICE_FEN) -> Deal:
    """With the sale contract."""
    case.terms.sale_contracts.add(
        contract_number=number,
        filing_number=number,
        signed_on=build.day(case.town.clock().date()),
        price=build.money(price_fen),
    )
    return case


def old_loan(case: Deal, proof: str, mortgagee: str = "A", balance_fen: int = BALANCE_FEN) -> Deal:
    """With the old bank's payoff statement."""
    today = case.town.clock().date()
    case.terms.payoff_statements.add(
        proof=build.certificate(proof),
        balance=build.money(balance_fen),
        as_of=build.day(today),
        account=terms_pb2.Account(holder_name="还款账户", number="6222000000000001"),
        valid_until=build.day(today + dt.timedelta(days=30)),
        mortgagee=mortgagee,
    )
    return case


def taxed(case: Deal, *kinds: str) -> Deal:
    """With the taxes of the sale cleared: deed and income tax, or those named."""
    for kind in kinds or ("DEED", "INCOME"):
        case.terms.tax_clearances.add(
            kind=codes_pb2.TaxKind.Value(f"TAX_KIND_{kind}"),
            number=f"T-{kind}",
            amount=build.money(100),
            cleared_at=build.instant(case.town.clock() - dt.timedelta(minutes=1)),
        )
    return case


async def mortgaged(town: Town, *, by: str = "bank-a") -> tuple[SampleUnit, str]:
    """A flat with one ordinary mortgage of `by`, without a restriction: the unit and the proof's number."""
    filing, _ = await town.booked(channel=by)
    state = await state_of(town, filing.unit.unit_code)
    return filing.unit, proof_of(state, INSTITUTIONS[by])


async def supplemented(
    town: Town,
    key: str,
    filed: Answer,
    papers: dict[str, bytes],
    evidence: terms_pb2.Evidence | None = None,
) -> Answer:
    """Papers and evidence that an applicant adds to the case that it filed."""
    registry = filed.outcome.application.split("/")[1]
    client = await town.client(key, registry)
    client.session.clock = town.clock
    files = []
    for code, data in papers.items():
        file = await town.upload(data, by=key, registry=registry)
        files.append(build.file_reference(code, file.sha256, file.size_bytes))
    return await client.supplement(
        town.key(key).signer(),
        Actor(INSTITUTIONS[key].id_number, build.clerk("经办员", "D-001")),
        target_of_envelope(filed.outcome.application, filed.envelope),
        files=files,
        evidence=evidence,
    )
