"""LedgerService: the public chain, read only; only what a checkpoint covers is given.

What an entry is about is told to those entitled alone: to auditors and the registry's operators of every entry, to an
institution of the entries of its cases and of its own acts. A registrar reads cases in ReviewService and looks into the
register on a basis that is recorded; here it sees what everybody sees.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

import grpc

from gateway.cases.effects import AnyEffect, QueryRecorded, RightBooked, UnitRecorded
from gateway.cases.errors import ApplicationNotFound, NotPermitted
from gateway.cases.model import Application
from gateway.config import MIB, Limits
from gateway.keyring.ledger_signers import LedgerSigners
from gateway.pb.diya.v1 import ledger_service_pb2, ledger_service_pb2_grpc, outcome_pb2
from gateway.register.identifiers import normalise_unit_code
from gateway.rpc import encode
from gateway.rpc.act_fields import instant_of
from gateway.rpc.case_view import Reader as CaseReader
from gateway.rpc.entry_words import concerns, told
from gateway.rpc.errors import Refusal
from gateway.rpc.guard import caller_now
from gateway.rpc.names import malformed, registry_in, split_name
from gateway.rpc.paging import make_token, page_size, read_token
from gateway.rpc.rights import Caller, CallerKind, may_see
from gateway.rpc.violations import Violations
from gateway.storage.entry_reads import About, EntryFilter, OpenedPart
from gateway.storage.queries import Queries
from gateway.storage.settings import Settings
from gateway.storage.statements import PublishedCheckpoint
from ledger.errors import RegistryUnknownError

_pb = ledger_service_pb2

PAGE_SIZE_DEFAULT: Final = 100
PAGE_SIZE_MAX: Final = 1000

#: A page of entries is cut at this size.
PAGE_BYTES_MAX: Final = 3 * MIB

KINDS_MAX: Final = 32
UNITS_MAX: Final = 100
EFFECTS_MAX: Final = 200

_KIND: Final = re.compile(r"[a-z0-9./_-]{1,128}")


class LedgerService(ledger_service_pb2_grpc.LedgerServiceServicer):
    """Servicer for auditors and everybody else who is known."""

    def __init__(
        self,
        *,
        queries: Queries,
        limits: Limits,
        settings_of: Callable[[str], Settings],
        signers: LedgerSigners | None = None,
    ) -> None:
        """`signers` know each registry's verifier keys, told for convenience only."""
        self._queries = queries
        self._settings = settings_of
        self._signers = signers
        # Whatever the contract allows, a page must fit into a message of this server.
        self._page_bytes_max = min(PAGE_BYTES_MAX, limits.message_bytes_max)

    async def GetCheckpoint(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """The latest checkpoint, or the first that covers a size."""
        registry = registry_in(request.parent)
        newest = await self._newest(registry)
        wanted = request.min_size
        if request.cosigned and request.stamped:
            raise malformed(
                "stamped", "不能与 cosigned 同时使用", "cannot be asked for together with cosigned"
            )
        if request.cosigned:
            return await self._cosigned(registry, wanted)
        if request.stamped:
            return await self._stamped(registry, wanted)
        if not 0 <= wanted <= newest.size:
            raise _out_of_range("min_size", wanted, 0, newest.size)
        found = await self._queries.checkpoint(registry, min_size=wanted) if wanted else newest
        assert found is not None  # the newest covers it
        origin = (await self._queries.head(registry)).origin
        return self._answered(registry, _checkpoint(origin, found))

    def _answered(self, registry: str, checkpoint: Any) -> Any:
        response = _pb.GetCheckpointResponse(checkpoint=checkpoint)
        if self._signers is None:
            return response
        response.vkey = self._signers.vkey(registry)
        terms = {term.vkey: term for term in self._signers.terms(registry)}
        for key in self._signers.keys(registry).keys:
            one = response.keys.add(
                vkey=key.vkey, first_size=0 if key.begun is None else key.begun + 1, last_size=key.ended or 0
            )
            for name in ("active_from", "retired_at", "compromised_since"):
                value = getattr(terms.get(key.vkey), name, None)
                if value is not None:
                    getattr(one, name).FromDatetime(value)
        return response

    async def _cosigned(self, registry: str, min_size: int) -> Any:
        if min_size:
            raise _out_of_range("min_size", min_size, 0, 0)
        size = self._queries.cosigned(registry)
        checkpoint = await self._exactly(registry, size) if size else None
        if checkpoint is None:
            raise Refusal(
                "LEDGER_RANGE",
                "尚无经足够见证人会签的检查点",
                "no checkpoint has been cosigned by a quorum of witnesses yet",
            )
        return self._answered(registry, checkpoint)

    async def _stamped(self, registry: str, min_size: int) -> Any:
        found = await self._queries.stamped_checkpoint(registry, min_size)
        if found is None:
            raise Refusal(
                "LEDGER_RANGE",
                "尚无加盖时间戳的检查点",
                "no checkpoint of so many entries has a time stamp yet",
            )
        checkpoint = await self._exactly(registry, found.size)
        assert checkpoint is not None  # stamps lie beside their checkpoints
        checkpoint.note, checkpoint.timestamp = found.note, found.token
        return self._answered(registry, checkpoint)

    async def ListEntries(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Entries in order, exact bytes; those that fit every filter."""
        registry = registry_in(request.parent)
        newest = await self._newest(registry)
        reader = Reader.of(self._settings(registry), caller_now.get())
        wanted = await self._wanted(request, registry, reader)
        query = ("entries", registry, wanted)
        position = read_token(request.page_token, query, (int,))
        start = int(position[0]) if position else request.start_index
        if not 0 <= start <= newest.size:
            raise _out_of_range("start_index", start, 0, newest.size)
        page, following = await self._queries.entry_page(
            registry,
            wanted,
            start=start,
            count=page_size(request.page_size, default=PAGE_SIZE_DEFAULT, maximum=PAGE_SIZE_MAX),
            mine=None if reader.sees_all else reader.is_of,
        )
        response = _pb.ListEntriesResponse()
        total = 0
        for entry in page:
            total += len(entry.data)
            if response.entries and total > self._page_bytes_max:
                following = entry.index
                break
            response.entries.add(index=entry.index, entry=entry.data)
        if response.entries:
            stop = response.entries[-1].index + 1
            erased = await self._queries.erased_entries(registry, start, stop)
            for wire in response.entries:
                wire.erased_by = erased.get(wire.index, 0)
        if following is not None:
            response.next_page_token = make_token(query, (following,))
        return response

    async def _wanted(self, request: Any, registry: str, reader: Reader) -> EntryFilter:
        """The filters. Raises MalformedRequest, NotPermitted, ApplicationNotFound."""
        wrong = Violations()
        after = instant_of(request, "entered_after", "", wrong)
        before = instant_of(request, "entered_before", "", wrong)
        unit_code = request.unit_code
        if unit_code:
            with wrong.at("unit_code"):
                unit_code = normalise_unit_code(unit_code)
        if len(request.kinds) > KINDS_MAX or not all(map(_KIND.fullmatch, request.kinds)):
            wrong.add(
                "kinds",
                f"至多 {KINDS_MAX} 种，每种形如 application.submitted",
                f"has at most {KINDS_MAX} kinds, each like application.submitted",
            )
        wrong.refuse_if_any()
        application_id = ""
        if request.application:
            of_registry, application_id = split_name(request.application, "applications", "application")
            if of_registry != registry:
                raise malformed("application", "不属于该登记机构", "is of another registry")
        if (application_id or unit_code) and not reader.may_ask:
            raise NotPermitted(
                "按申请或者单元查询账本，仅限审计人员、运维人员和办理机构；请去掉 application 和 unit_code 条件，"
                "或者由其查询",
                "auditors, operators and institutions alone list the ledger by application or unit: leave both filters "
                "out, or have one of them ask",
            )
        if application_id:
            row = await self._queries.application(registry, application_id)
            if row is None or not (reader.sees_all or reader.is_of(row)):
                raise ApplicationNotFound(request.application, "application")
        return EntryFilter(
            after=after,
            before=before,
            kinds=tuple(sorted(set(request.kinds))),
            application_id=application_id,
            unit_code=unit_code,
            subject=self._queries.subject(registry, "unit", unit_code) if unit_code else "",
        )

    async def GetEntry(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """One entry with its proof, and what it is about as far as the caller may know it."""
        registry = registry_in(request.parent)
        newest = await self._newest(registry)
        reader = Reader.of(self._settings(registry), caller_now.get())
        record = await self._queries.entry_record(
            registry, request.index, may_know=reader.may_know, may_open=reader.may_open
        )
        if record is None:
            raise _out_of_range("index", request.index, 0, newest.size - 1)
        response = _pb.GetEntryResponse(
            entry=_pb.LedgerEntry(index=request.index, entry=record.data, erased_by=record.erased_by or 0),
            checkpoint=_checkpoint(record.origin, record.checkpoint),
            hashes=record.inclusion,
            parts=map(_part, record.parts),
        )
        if record.about is not None:
            response.about.CopyFrom(_about(record.about, registry, reader))
        return response

    async def GetInclusionProof(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """That an entry is in the tree of a size."""
        registry = registry_in(request.parent)
        newest = await self._newest(registry)
        size = request.tree_size or newest.size
        if not 0 < size <= newest.size:
            raise _out_of_range("tree_size", size, 1, newest.size)
        if not 0 <= request.index < size:
            raise _out_of_range("index", request.index, 0, size - 1)
        entry, hashes = await self._queries.inclusion_proof(registry, request.index, size)
        return _pb.GetInclusionProofResponse(
            index=request.index,
            tree_size=size,
            entry_hash=entry.entry_hash(),
            hashes=hashes,
            checkpoint=await self._exactly(registry, size),
        )

    async def GetConsistencyProof(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """That a tree of one size is the beginning of a tree of another."""
        registry = registry_in(request.parent)
        newest = await self._newest(registry)
        new = request.new_size or newest.size
        if not 0 < new <= newest.size:
            raise _out_of_range("new_size", new, 1, newest.size)
        if not 0 < request.old_size <= new:
            raise _out_of_range("old_size", request.old_size, 1, new)
        return _pb.GetConsistencyProofResponse(
            old_size=request.old_size,
            new_size=new,
            hashes=await self._queries.consistency_proof(registry, request.old_size, new),
            checkpoint=await self._exactly(registry, new),
        )

    async def _newest(self, registry: str) -> PublishedCheckpoint:
        """The latest checkpoint; LEDGER_RANGE while there is none."""
        try:
            await self._queries.head(registry)
        except RegistryUnknownError as error:
            raise Refusal(
                "REGISTRY_NOT_FOUND",
                f"本网关没有登记机构 {registry}",
                f"this gateway serves no registry {registry}",
                {"registry": registry},
            ) from error
        newest = await self._queries.checkpoint(registry)
        if newest is None:
            raise Refusal("LEDGER_RANGE", "账本尚未发布检查点", "no checkpoint has been published yet")
        return newest

    async def _exactly(self, registry: str, size: int) -> outcome_pb2.Checkpoint | None:
        """The checkpoint of exactly this size, when one was published."""
        found = await self._queries.checkpoint(registry, exact=size)
        if found is None:
            return None
        return _checkpoint((await self._queries.head(registry)).origin, found)


def _checkpoint(origin: str, value: PublishedCheckpoint) -> outcome_pb2.Checkpoint:
    return outcome_pb2.Checkpoint(origin=origin, size=value.size, root=value.root, note=value.note)


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads the ledger. `codes` are an institution's, its branches' and former ones'; empty for everybody else."""

    kind: CallerKind
    settings: Settings
    id: str
    codes: frozenset[str]

    @classmethod
    def of(cls, settings: Settings, caller: Caller) -> Reader:
        """The reader that a caller is."""
        is_one = caller.kind is CallerKind.INSTITUTION
        codes = CaseReader.of(settings, caller).codes if is_one else frozenset()
        return cls(caller.kind, settings, caller.id, codes)

    @property
    def sees_all(self) -> bool:
        """Whether it is told what every entry is about."""
        return self.kind in (CallerKind.AUDITOR, CallerKind.OPERATOR)

    @property
    def may_ask(self) -> bool:
        """Whether it may ask for the entries of an application or a unit."""
        return self.sees_all or self.kind is CallerKind.INSTITUTION

    def is_of(self, row: Application) -> bool:
        """Whether it is an institution of the case."""
        return self.kind is CallerKind.INSTITUTION and may_see(self.settings, self.id, row)

    def may_know(self, about: About) -> bool:
        """Whether it is told what an entry is about: everything, its own case, or its own act."""
        return self.may_open(about) or self.case(about) is not None

    def case(self, about: About) -> Application | None:
        """The case that an entry is told of under: that of its act; to an institution, its own among those touched."""
        if self.sees_all:
            return about.row
        rows = (about.row, *about.touched)
        return next((row for row in rows if row is not None and self.is_of(row)), None)

    def may_open(self, about: About) -> bool:
        """Whether it is shown the outcome, word for word: what itself was told."""
        return self.sees_all or about.actor in self.codes

    def effects(self, about: About) -> list[AnyEffect]:
        """Those of an entry that it may be told."""
        if self.sees_all:
            return list(about.effects)
        row = self.case(about)
        if row is None:
            return [e for e in about.effects if isinstance(e, QueryRecorded)]
        return [e for e in about.effects if concerns(e, row, self.codes)]


def _part(part: OpenedPart) -> Any:
    if part.opened is None:
        state = _pb.EntryPart.STATE_ERASED if part.erased else _pb.EntryPart.STATE_WITHHELD
        return _pb.EntryPart(name=part.name, state=state)
    salt, content = part.opened
    return _pb.EntryPart(name=part.name, state=_pb.EntryPart.STATE_SHOWN, salt=salt, content=content)


def _about(about: About, registry: str, reader: Reader) -> Any:
    words = told(reader.effects(about))
    row, outcome = reader.case(about), about.outcome
    institution = reader.settings.institutions.get(about.actor)
    units = row.units if row is not None else _units(about.effects)
    wire = _pb.EntryAbout(
        actor=about.actor,
        actor_name=institution.names[0] if institution is not None else "",
        request_id=about.request_id if reader.sees_all or about.actor in reader.codes else "",
        application=row.name if row is not None else "",
        case_number=row.case_number if row is not None else "",
        unit_codes=units[:UNITS_MAX],
        effects=[_pb.EntryEffect(kind=kind, zh=zh, en=en) for kind, zh, en in words[:EFFECTS_MAX]],
        effect_count=len(words),
    )
    if outcome is not None:
        wire.result = encode.bare_outcome(outcome, registry).result
        if row is None or reader.may_open(about):
            findings = (*outcome.findings, *chain.from_iterable(outcome.about.values()))
        else:
            findings = outcome.findings_of(row.application_id)
        wire.findings.extend(map(encode.finding, findings))
    return wire


def _units(effects: Iterable[AnyEffect]) -> tuple[str, ...]:
    """Units that an entry on no application is about, each once."""
    codes: dict[str, None] = {}
    for effect in effects:
        if isinstance(effect, UnitRecorded):
            codes[effect.unit.unit_code] = None
        elif isinstance(effect, RightBooked):
            codes |= dict.fromkeys(effect.right.units)
    return tuple(codes)


def _out_of_range(name: str, value: int, low: int, high: int) -> Refusal:
    return Refusal(
        "LEDGER_RANGE",
        f"{name} 为 {value}，已发布的账本中须在 {low} 至 {high} 之间",
        f"{name} is {value}; in the published ledger it lies between {low} and {high}",
        {"field": name, "value": str(value), "low": str(low), "high": str(high)},
    )
