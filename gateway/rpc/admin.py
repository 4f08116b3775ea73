"""AdminService: what operators do. Every change is an act signed with an operator's personal key, and an entry.

The import of a register is one entry, so all or nothing by itself: a file whose rows do not fit into one
(`IMPORT_EFFECTS_BYTES_MAX`, some ten thousand units) is refused whole, and the operator splits it by county.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable, Collection
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, Final

import grpc
from google.protobuf.message import Message
from msgspec.structs import replace

from gateway.applications import administration as adm
from gateway.applications.erasure import AlreadyErased, Ground, decide_erasure
from gateway.cases.decision import Decision
from gateway.cases.effects import RightBooked, UnitRecorded, encode_effects
from gateway.cases.errors import ApplicationNotFound, CommandRefused
from gateway.cases.model import Moment
from gateway.commands import Answer, Overloaded, Unavailable
from gateway.config import MIB, Limits
from gateway.pb.diya.v1 import admin_acts_pb2 as acts
from gateway.pb.diya.v1 import admin_service_pb2, admin_service_pb2_grpc
from gateway.register.importing import ImportResult, parse_register_csv
from gateway.register.model import Unit, UnitHold
from gateway.rpc import act_fields, encode
from gateway.rpc import authority as wires
from gateway.rpc import trust as trusts
from gateway.rpc.calendars import encode_calendar, read_calendar
from gateway.rpc.errors import Refusal
from gateway.rpc.keys import RegistryKeys
from gateway.rpc.names import check_registry, malformed, registry_in, split_name
from gateway.rpc.operator_acts import SignedAct, read_act
from gateway.rpc.paging import page_of_mapping, page_size
from gateway.rpc.receiving import first_message, receive, to_the_end
from gateway.rpc.violations import Violations
from gateway.sequencer import Sequencer
from gateway.storage.files import FileStore, Incoming
from gateway.storage.queries import Queries
from gateway.storage.settings import Settings
from gateway.storage.working import Wants, Working
from ledger.store import PART_BYTES_MAX
from signing.errors import SigningError
from signing.trust import Purpose, TrustStore
from signing.verify import verify_envelope

_pb = admin_service_pb2

#: A register file may have this many bytes.
IMPORT_FILE_BYTES_MAX: Final = 32 * MIB

#: What an import changes has to fit into one part of one entry.
IMPORT_EFFECTS_BYTES_MAX: Final = PART_BYTES_MAX - MIB

#: Bad rows that an answer lists; their total is told besides.
PROBLEMS_MAX: Final = 1000

PAGE_SIZE_DEFAULT: Final = 50
PAGE_SIZE_MAX: Final = 200

_DIGEST_BYTES: Final = 32

Decide = Callable[[Working, Moment], Decision]


class AdminService(admin_service_pb2_grpc.AdminServiceServicer):
    """Servicer for operators."""

    def __init__(
        self,
        *,
        sequencer: Sequencer,
        queries: Queries,
        files: FileStore,
        trust_of: Callable[[str], TrustStore],
        executor: Executor,
        limits: Limits,
        clock: Callable[[], dt.datetime],
        keys: Callable[..., RegistryKeys],
    ) -> None:
        """`keys` makes what deals with the registry's own keys, given how acts are decided."""
        self._sequencer = sequencer
        self._queries = queries
        self._files = files
        self._trust_of = trust_of
        self._executor = executor
        self._limits = limits
        self._clock = clock
        self._keys = keys(settings_of=self._settings, decided=self._decided)

    # -- acts --------------------------------------------------------------------------------------------

    async def SetInstitution(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Enter or replace an institution with its keys."""
        signed = await self._signed(request, acts.SetInstitutionAct)
        wrong = Violations()
        institution = wires.read_institution(signed.wire.institution, wrong)
        wrong.refuse_if_any()
        seen = signed.wire.seen_index

        def decide(working: Working, moment: Moment) -> Decision:
            known = working.settings.institutions
            return adm.decide_institution(institution, known, signed.act, moment, seen=seen)

        answer = await self._decided(signed, decide)
        return _pb.SetInstitutionResponse(**self._institution(signed, institution.uscc, answer))

    async def SuspendInstitution(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Suspend an institution, at once."""
        signed, uscc, answer = await self._suspension(request, acts.SuspendInstitutionAct, suspended=True)
        return _pb.SuspendInstitutionResponse(**self._institution(signed, uscc, answer))

    async def ResumeInstitution(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """End a suspension."""
        signed, uscc, answer = await self._suspension(request, acts.ResumeInstitutionAct, suspended=False)
        return _pb.ResumeInstitutionResponse(**self._institution(signed, uscc, answer))

    async def SetRegistrar(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Enter or replace a registrar with their keys."""
        signed = await self._signed(request, acts.SetRegistrarAct)
        wrong = Violations()
        registrar = wires.read_registrar(signed.wire.registrar, wrong)
        wrong.refuse_if_any()

        def decide(working: Working, moment: Moment) -> Decision:
            return adm.decide_registrar(registrar, working.settings.registrars, signed.act, moment)

        answer = await self._decided(signed, decide)
        stands = self._sequencer.settings(signed.registry).registrars[registrar.registrar_id]
        return _pb.SetRegistrarResponse(
            registrar=wires.encode_registrar(stands, signed.registry), receipt=encode.receipt(answer.receipt)
        )

    async def SetAuditors(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Replace the auditors' keys."""
        signed = await self._signed(request, acts.SetAuditorsAct)
        wrong = Violations()
        keys = wires.read_auditor_keys(signed.wire.keys, wrong)
        wrong.refuse_if_any()

        def decide(working: Working, moment: Moment) -> Decision:
            known = working.settings
            return adm.decide_auditors(
                keys, known.operators, known.institutions, known.registrars, signed.act, moment
            )

        answer = await self._decided(signed, decide)
        return _pb.SetAuditorsResponse(
            keys=self._auditor_keys(signed.registry), receipt=encode.receipt(answer.receipt)
        )

    def _auditor_keys(self, registry: str) -> list[Any]:
        operators = self._settings(registry).operators
        return wires.encode_keys(operators.auditor_keys if operators else ())

    async def SetProfile(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Put a new version of the profile in force."""
        signed = await self._signed(request, acts.SetProfileAct)
        wrong = Violations()
        profile = wires.read_profile(signed.wire.profile, wrong)
        wrong.refuse_if_any()

        def decide(working: Working, moment: Moment) -> Decision:
            return adm.decide_profile(profile, working.settings.profile, signed.act, moment)

        answer = await self._decided(signed, decide)
        return _pb.SetProfileResponse(
            profile=wires.encode_profile(profile), receipt=encode.receipt(answer.receipt)
        )

    async def SetRuleSet(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Put a new rule set in force."""
        signed = await self._signed(request, acts.SetRuleSetAct)
        wrong = Violations()
        rules = wires.read_rules(signed.wire.rule_set, wrong)
        wrong.refuse_if_any()

        def decide(working: Working, moment: Moment) -> Decision:
            settings = working.settings
            return adm.decide_rules(rules, settings.rules, settings.registrars, signed.act, moment)

        answer = await self._decided(signed, decide)
        return _pb.SetRuleSetResponse(
            rule_set=wires.encode_rules(rules), receipt=encode.receipt(answer.receipt)
        )

    async def SetTrust(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Replace anchors, and add revocation lists, of the purposes named."""
        signed = await self._signed(request, acts.SetTrustAct)
        wrong = Violations()
        named = trusts.read_trust(signed.wire.trust, wrong)
        wrong.refuse_if_any()

        def decide(working: Working, moment: Moment) -> Decision:
            merged = trusts.merge_trust(working.settings.trust, named)
            _check_not_locked_out(signed, trusts.trust_store(merged))
            return adm.decide_trust(merged, signed.act, moment)

        answer = await self._decided(signed, decide)
        stands = self._sequencer.settings(signed.registry).trust
        return _pb.SetTrustResponse(
            trust=trusts.encode_trust(stands.now) if stands else [], receipt=encode.receipt(answer.receipt)
        )

    async def EraseEvidence(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Destroy the key of an application's evidence; once more is answered as the first time."""
        signed = await self._signed(request, acts.EraseEvidenceAct)
        name, ground = _check_erasure(signed.wire)
        of_registry, application_id = split_name(name, "applications", "application")
        seen = await self._queries.application(signed.registry, application_id)
        if seen is None or of_registry != signed.registry:
            raise ApplicationNotFound(name, "application")
        files = await self._queries.files_of_case(seen)

        def decide(working: Working, moment: Moment) -> Decision:
            row, profile = working.application(application_id), working.settings.profile
            if row is None or profile is None:
                raise ApplicationNotFound(name, "application")
            phases = working.phases(row.case.rpartition("/")[2] or application_id)
            return decide_erasure(row, phases, (ground, files, seen.last_index), profile, signed.act, moment)

        try:
            receipt = (await self._decided(signed, decide)).receipt
        except AlreadyErased as error:
            return _pb.EraseEvidenceResponse(application=name, erased_index=error.index)
        return _pb.EraseEvidenceResponse(
            application=name, erased_index=receipt.index, receipt=encode.receipt(receipt)
        )

    async def RotateSeal(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Seal with the next key of the settings."""
        return await self._keys.rotate(await self._signed(request, acts.RotateSealAct))

    async def RetireSeal(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Seal no more with a key."""
        return await self._keys.retire(await self._signed(request, acts.RetireSealAct))

    async def ListKeys(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """The registry's own keys."""
        return await self._keys.list_keys(request)

    async def ListSealed(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """The certificates that a seal key sealed."""
        return await self._keys.list_sealed(request)

    async def ListSealedAnswers(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """The statements and extracts that a seal key sealed."""
        return await self._keys.list_sealed_answers(request)

    async def RotateLedgerKey(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Sign checkpoints with the next ledger key of the settings too."""
        return await self._keys.rotate_ledger_key(await self._signed(request, acts.RotateLedgerKeyAct))

    async def RetireLedgerKey(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Sign no more checkpoints with a key."""
        return await self._keys.retire_ledger_key(await self._signed(request, acts.RetireLedgerKeyAct))

    async def ListSignedCheckpoints(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """What rests on one checkpoint key."""
        return await self._keys.list_signed_checkpoints(request)

    async def ImportCalendar(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Put the table of working days of one year in force."""
        signed = await self._signed(request, acts.ImportCalendarAct)
        year, table = read_calendar(signed.wire)

        def decide(working: Working, moment: Moment) -> Decision:
            return adm.decide_calendar(year, table, working.settings.calendar, signed.act, moment)

        answer = await self._decided(signed, decide)
        return _pb.ImportCalendarResponse(
            calendar=self._calendar(signed.registry), year=year, receipt=encode.receipt(answer.receipt)
        )

    async def GetCalendar(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """The years of which a table is known."""
        registry = registry_in(request.parent)
        calendar = self._calendar(registry)
        if self._settings(registry).calendar is None:
            return _pb.GetCalendarResponse(calendar=calendar)
        index = await self._queries.setting_index(registry, "calendar")
        return _pb.GetCalendarResponse(calendar=calendar, index=index)

    def _calendar(self, registry: str) -> Any:
        return encode_calendar(self._settings(registry).calendar_in_force, self._clock())

    async def _signed(self, request: Any, kind: type[Message], path: str = "parent") -> SignedAct:
        """The act in a request, verified in a thread."""
        registry = registry_in(request.parent, path)
        settings = self._settings(registry)
        return await asyncio.get_running_loop().run_in_executor(
            self._executor,
            read_act,
            request,
            kind,
            registry,
            settings,
            self._trust_of(registry),
            self._limits,
            self._clock,
        )

    async def _decided(self, signed: SignedAct, decide: Decide, wants: Wants | None = None) -> Answer:
        """Queue the act and wait; who stops waiting does not stop it."""
        command = signed.command(decide)
        if wants is not None:
            command.wants.merge(wants)
        return await self._sequencer.ask(command)

    async def _suspension(
        self, request: Any, kind: type[Message], *, suspended: bool
    ) -> tuple[SignedAct, str, Answer]:
        signed = await self._signed(request, kind)
        wrong = Violations()
        uscc = act_fields.uscc(signed.wire.uscc, "uscc", wrong)
        reason = signed.wire.reason.strip()
        if not 0 < len(reason) <= wires.TEXT_CHARACTERS_MAX:
            wrong.add("reason", "必填", "is required")
        wrong.refuse_if_any()

        def decide(working: Working, moment: Moment) -> Decision:
            known = working.settings.institutions
            return adm.decide_suspension(
                uscc, known, suspended=suspended, reason=reason, act=signed.act, moment=moment
            )

        return signed, uscc, await self._decided(signed, decide)

    def _institution(self, signed: SignedAct, uscc: str, answer: Answer) -> dict[str, Any]:
        stands = self._settings(signed.registry).institutions[uscc]
        return {
            "institution": wires.encode_institution(stands, signed.registry),
            "receipt": encode.receipt(answer.receipt),
        }

    def _settings(self, registry: str) -> Settings:
        settings = self._sequencer.settings(registry)
        check_registry(registry, settings)
        return settings

    # -- import ------------------------------------------------------------------------------------------

    async def ImportRegister(
        self, requests: AsyncIterator[Any], context: grpc.aio.ServicerContext[Any, Any]
    ) -> Any:
        """Receive, parse, enter: all of it in one entry, or nothing."""
        idle_seconds = self._limits.upload_idle_seconds_max
        metadata = await first_message(requests, idle_seconds)
        signed = await self._signed(metadata, acts.ImportRegisterAct, "metadata.parent")
        sha256 = _check_import(signed.wire)
        with self._files.write() as incoming:
            await receive(
                requests,
                incoming,
                size_bytes=signed.wire.size_bytes,
                sha256=sha256,
                idle_seconds=idle_seconds,
            )
            known = await self._queries.unit_codes(signed.registry)
            parsing = asyncio.to_thread(self._parse, signed, incoming.path, known)
            result = await to_the_end(parsing)
            if not result.is_good:
                return _import_response(result)
            answer = await to_the_end(self._enter(signed, incoming, result))
        response = _import_response(result)
        response.receipt.CopyFrom(encode.receipt(answer.receipt))
        return response

    def _parse(self, signed: SignedAct, path: Path, known: Collection[str]) -> ImportResult:
        """The rows of a file. Ids of rights come from the act, so that the same act gives the same ids."""
        profile = self._settings(signed.registry).profile
        ids = (f"{signed.act.payload_sha256[:16]}.{number}" for number in range(1, 2**31))
        try:
            with path.open(encoding="utf-8-sig", newline="") as lines:
                return parse_register_csv(
                    lines,
                    registry=signed.registry,
                    county_codes=[place.county_code for place in profile.places] if profile else [],
                    now=signed.received_at,
                    new_id=lambda: next(ids),
                    quarantine=signed.wire.quarantine,
                    known_units=known,
                )
        except UnicodeDecodeError as error:
            raise malformed("chunk", "文件不是 UTF-8 编码", "the file is not UTF-8") from error

    async def _enter(self, signed: SignedAct, incoming: Incoming, result: ImportResult) -> Answer:
        """Keep the file, then its entry; a refusal takes the file away again."""
        effects = [UnitRecorded(unit=u) for u in result.units] + [RightBooked(right=r) for r in result.rights]
        size = await asyncio.to_thread(lambda: len(encode_effects(tuple(effects))))
        if size > IMPORT_EFFECTS_BYTES_MAX:
            raise Refusal(
                "FILE_TOO_LARGE",
                f"本次导入的内容有 {size} 字节，一次最多 {IMPORT_EFFECTS_BYTES_MAX} 字节；请按区县拆分",
                f"what this file enters has {size} bytes, one import takes {IMPORT_EFFECTS_BYTES_MAX}: split it",
                {"bytes": str(size), "limit": str(IMPORT_EFFECTS_BYTES_MAX)},
            )
        wanted = {unit.unit_code for unit in result.units} | set(result.quarantined)
        wanted.update(code for right in result.rights for code in right.units)

        def decide(working: Working, moment: Moment) -> Decision:
            units = (*result.units, *_held(working, result))
            return adm.decide_import(units, result.rights, _present(working, result), signed.act, moment)

        was_there = self._files.has(incoming.sha256)
        sha256 = await asyncio.to_thread(incoming.keep)
        try:
            return await self._decided(signed, decide, Wants(units=wanted))
        except (CommandRefused, Overloaded, Unavailable):
            if not was_there:
                self._files.path(sha256).unlink(missing_ok=True)
            raise

    # -- reading -----------------------------------------------------------------------------------------

    async def GetProfile(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """The profile in force, of a version, or of an instant; and the rule set that was in force with it."""
        registry = registry_in(request.parent)
        self._settings(registry)  # refuses a registry without a profile
        if request.version and request.HasField("as_of"):
            raise malformed(
                "as_of", "version 与 as_of 只填其一", "goes without a version, and a version without it"
            )
        profiles = await self._queries.setting_versions(registry, "profile")
        rules = await self._queries.setting_versions(registry, "rules")
        if request.HasField("as_of"):
            until = request.as_of.ToDatetime(dt.UTC)
            profiles = [one for one in profiles if one[0] <= until]
            rules = [one for one in rules if one[0] <= until]
        if request.version:
            profiles = [one for one in profiles if one[1].value.version == request.version]
            rules = [one for one in rules if profiles and one[1].entry_index <= profiles[-1][1].entry_index]
        if not profiles:
            field = "version" if request.version else "as_of"
            raise malformed(field, "当时没有该地方配置", "names a version, or an instant, without a profile")
        since, profile = profiles[-1]
        return _pb.GetProfileResponse(
            profile=wires.encode_profile(profile.value),
            rule_set=wires.encode_rules(rules[-1][1].value) if rules else None,
            index=profile.entry_index,
            rules=wires.encode_rule_catalogue(),
            in_force_from=encode.timestamp(since),
        )

    async def GetAuditors(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """The keys by which auditors connect."""
        registry = registry_in(request.parent)
        return _pb.GetAuditorsResponse(
            keys=self._auditor_keys(registry), index=await self._queries.setting_index(registry, "operators")
        )

    async def GetTrust(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Anchors, policies, lists and answers in force."""
        registry = registry_in(request.parent)
        stands = self._settings(registry).trust
        return _pb.GetTrustResponse(
            trust=trusts.encode_trust(stands.now) if stands else [],
            index=await self._queries.setting_index(registry, "trust"),
        )

    async def ListInstitutions(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Institutions with their keys, by USCC."""
        registry = registry_in(request.parent)
        wrong = Violations()
        wanted = act_fields.uscc(request.uscc, "uscc", wrong) if request.uscc else ""
        wrong.refuse_if_any()
        known = self._settings(registry).institutions
        page, token = page_of_mapping(
            {u: i for u, i in known.items() if not wanted or i.is_known_as(wanted)},
            query=("institutions", registry, wanted),
            size=page_size(request.page_size, default=PAGE_SIZE_DEFAULT, maximum=PAGE_SIZE_MAX),
            token=request.page_token,
        )
        return _pb.ListInstitutionsResponse(
            institutions=[wires.encode_institution(i, registry) for i in page], next_page_token=token
        )

    async def ListRegistrars(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Registrars with their keys, by id."""
        registry = registry_in(request.parent)
        page, token = page_of_mapping(
            self._settings(registry).registrars,
            query=("registrars", registry),
            size=page_size(request.page_size, default=PAGE_SIZE_DEFAULT, maximum=PAGE_SIZE_MAX),
            token=request.page_token,
        )
        return _pb.ListRegistrarsResponse(
            registrars=[wires.encode_registrar(r, registry) for r in page], next_page_token=token
        )


def _check_erasure(wire: Any) -> tuple[str, Ground]:
    """Name of the application, and the ground that is stated for its erasure."""
    wrong = Violations()
    stated = acts.ErasureGround.DESCRIPTOR.values_by_number.get(wire.ground)
    if stated is None or stated.number == acts.ERASURE_GROUND_UNSPECIFIED:
        grounds = ", ".join(Ground)
        wrong.add("ground", f"须为 {grounds} 之一", f"must be one of {grounds}")
    if len(wire.reason) > wires.TEXT_CHARACTERS_MAX:
        most = wires.TEXT_CHARACTERS_MAX
        wrong.add("reason", f"最多 {most} 字", f"has over {most} characters")
    wrong.refuse_if_any()
    assert stated is not None  # else it left a violation
    return wire.application, Ground(stated.name.removeprefix("ERASURE_GROUND_"))


def _check_import(wire: Any) -> str:
    """The declared digest in hex; size and digest are well-formed and within the limit."""
    wrong = Violations()
    if len(wire.sha256) != _DIGEST_BYTES:
        wrong.add("sha256", "必须是 32 字节", "must be 32 bytes")
    if wire.size_bytes < 1:
        wrong.add("size_bytes", "必须大于零", "must be greater than zero")
    wrong.refuse_if_any()
    if wire.size_bytes > IMPORT_FILE_BYTES_MAX:
        raise Refusal(
            "FILE_TOO_LARGE",
            f"文件 {wire.size_bytes} 字节，上限 {IMPORT_FILE_BYTES_MAX} 字节；请按区县拆分",
            f"the file has {wire.size_bytes} bytes, the limit is {IMPORT_FILE_BYTES_MAX}: split it by county",
            {"bytes": str(wire.size_bytes), "limit": str(IMPORT_FILE_BYTES_MAX)},
        )
    digest: str = wire.sha256.hex()
    return digest


def _present(working: Working, result: ImportResult) -> str:
    """Something in the file that the register has already: a unit, or a right of the same kind and case."""
    for unit in result.units:
        if working.unit_state(unit.unit_code) is not None:
            return unit.unit_code
    for right in result.rights:
        for code in right.units:
            state = working.unit_state(code)
            for live in state.rights if state else ():
                if type(live) is type(right) and live.case_number == right.case_number:
                    return f"{code} {type(right).__name__} {right.case_number}"
    return ""


def _held(working: Working, result: ImportResult) -> list[Unit]:
    """Units that the register had before, with the hold that a bad row of this file puts on them."""
    entered = {unit.unit_code for unit in result.units}
    held = []
    for code in result.quarantined:
        state = working.unit_state(code)
        if state is not None and code not in entered and UnitHold.QUARANTINED not in state.unit.holds:
            held.append(replace(state.unit, holds=(*state.unit.holds, UnitHold.QUARANTINED)))
    return held


def _import_response(result: ImportResult) -> Any:
    return _pb.ImportRegisterResponse(
        applied=result.is_good,
        rows=result.rows,
        units=len(result.units),
        rights=len(result.rights),
        quarantined_rows=len({p.line for p in result.problems}) if result.is_good else 0,
        units_on_hold=len(result.quarantined),
        problems=[
            _pb.RowProblem(line=p.line, field=p.field, code=p.code, zh=p.zh, en=p.en)
            for p in result.problems[:PROBLEMS_MAX]
        ],
        problem_total=len(result.problems),
    )


def _check_not_locked_out(signed: SignedAct, trust: TrustStore) -> None:
    """The act must hold under the trust that it sets, or no operator could ever mend it."""
    try:
        verify_envelope(signed.envelope, Purpose.OPERATOR, trust, signed.received_at)
    except SigningError as error:
        raise trusts.TrustLocksOut(
            "按新的信任设置，本行为自身的签名将不成立；请保留运维人员的信任锚",
            "under this trust the act's own signature would not hold: keep an anchor of the operators",
            check=error.reason,
        ) from error
