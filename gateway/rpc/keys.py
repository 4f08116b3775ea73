"""The registry's own keys on the wire: going on to another, retiring one, lists of them and of what they signed."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.applications import ledger_keys, seal_keys
from gateway.applications.administration import ActInvalid
from gateway.cases.decision import Decision
from gateway.cases.model import Moment
from gateway.commands import Answer
from gateway.config import Config, ConfigError
from gateway.keyring.ledger_signers import LedgerSigners
from gateway.keyring.seals import NATIONAL_SLOTS, SLOTS, ConfiguredSeal, Seals
from gateway.pb.diya.v1 import admin_service_pb2 as pb
from gateway.pb.diya.v1 import authority_pb2
from gateway.register.authority import LedgerKeyTerm, SealTerm
from gateway.rpc import authority as wires
from gateway.rpc import encode
from gateway.rpc.names import malformed, registry_in
from gateway.rpc.operator_acts import SignedAct
from gateway.rpc.paging import Position, make_token, page_size, read_token
from gateway.rpc.violations import Violations
from gateway.storage.answers import read_answers
from gateway.storage.queries import Queries
from gateway.storage.seal_reads import count_sealed, read_sealed
from gateway.storage.settings import Settings
from gateway.storage.working import Row, Working
from ledger.signed_by import SignedSize, count_signed, read_signed, size_since
from signing.certificates import parse_certificate
from signing.errors import SigningError
from signing.key_source import is_in_clear
from signing.trust import TrustStore

PAGE_SIZE_DEFAULT: Final = 50
PAGE_SIZE_MAX: Final = 200
_KEY_ID_CHARACTERS: Final = 64

Decide = Callable[[Working, Moment], Decision]


class RegistryKeys:
    """What AdminService does with keys. It verifies acts and queues them as for any other act."""

    def __init__(
        self,
        *,
        config: Config,
        seals: Seals,
        ledger_signers: LedgerSigners,
        queries: Queries,
        settings_of: Callable[[str], Settings],
        trust_of: Callable[[str], TrustStore],
        decided: Callable[[SignedAct, Decide], Awaitable[Answer]],
        clock: Callable[[], dt.datetime],
    ) -> None:
        self._config = config
        self._seals = seals
        self._ledger_signers = ledger_signers
        self._queries = queries
        self._settings_of = settings_of
        self._trust_of = trust_of
        self._decided = decided
        self._clock = clock

    async def rotate(self, signed: SignedAct) -> Any:
        """Go on to the seal of a certificate that the settings name."""
        registry, wire = signed.registry, signed.wire
        profile = self._settings_of(registry).profile
        try:
            following = await asyncio.to_thread(
                self._seals.try_next,
                registry,
                wire.certificate,
                profile.authority_code if profile else "",
                self._trust_of(registry),
                self._clock(),
            )
        except (ConfigError, SigningError) as error:
            raise _unusable(error) from error
        national = following.is_beside
        term = SealTerm(key_id=following.key_id, certificate=wire.certificate, national=national)
        former = self._former(registry, wire.former_key_id, national=national)

        def decide(working: Working, moment: Moment) -> Decision:
            return seal_keys.decide_rotation(working.settings.seals, former, term, signed.act, moment)

        answer = await self._decided(signed, decide)
        return pb.RotateSealResponse(
            key=await self._seal(registry, following.key_id), receipt=encode.receipt(answer.receipt)
        )

    async def retire(self, signed: SignedAct) -> Any:
        """End a seal key's use, and say from when on it was not the registry's alone."""
        registry, wire = signed.registry, signed.wire
        reason = _reason_of(wire)
        since = wire.compromised_since.ToDatetime(dt.UTC) if wire.HasField("compromised_since") else None
        national = self._is_national(registry, wire.key_id)
        key_id = self._former(registry, wire.key_id, "key_id", national=national)

        def decide(working: Working, moment: Moment) -> Decision:
            return seal_keys.decide_retirement(
                working.settings.seals, key_id, since, reason, signed.act, moment, national=national
            )

        answer = await self._decided(signed, decide)
        return pb.RetireSealResponse(
            key=await self._seal(registry, key_id), receipt=encode.receipt(answer.receipt)
        )

    def _is_national(self, registry: str, key_id: str) -> bool:
        """Whether a key is one of those that go beside the first."""
        terms = {term.key_id: term.national for term in self._settings_of(registry).seals}
        beside = {seal.key_id for seal in self._configured(registry) if seal.is_beside}
        return terms.get(key_id, key_id in beside)

    def _former(self, registry: str, key_id: str, field: str = "former_key_id", *, national: bool) -> str:
        """A key id of an act. While the ledger knows no seal of its place, it must be the configured one's."""
        if key_id and len(key_id) != _KEY_ID_CHARACTERS:
            raise malformed(field, "应为 64 位十六进制", "has 64 hexadecimal characters")
        if not seal_keys.in_place(self._settings_of(registry).seals, national=national):
            present = (NATIONAL_SLOTS if national else SLOTS)[0]
            seal = next(
                (one for one in self._configured(registry) if one.setting.endswith(f" {present[1]}")), None
            )
            if seal is None:
                raise ActInvalid(
                    f"登记机构尚无此类印章：请在设置中写入 {present[0]} 和 {present[1]}，再重新启动",
                    f"the registry has no seal in this place: write {present[0]} and {present[1]} into its settings "
                    "and start anew",
                    field=field,
                )
            if key_id != seal.key_id:
                raise ActInvalid(
                    f"在用的印章密钥为 {seal.key_id}",
                    f"the seal key in use is {seal.key_id}",
                    field=field,
                    inUse=seal.key_id,
                )
        return key_id

    def _configured(self, registry: str) -> list[ConfiguredSeal]:
        try:
            return self._seals.configured(registry)
        except ConfigError as error:
            raise _unusable(error) from error

    # -- the ledger's own ---------------------------------------------------------------------------------------

    async def rotate_ledger_key(self, signed: SignedAct) -> Any:
        """Let the next ledger key of the settings sign checkpoints beside the one in use."""
        registry, wire = signed.registry, signed.wire
        try:
            await asyncio.to_thread(self._ledger_signers.try_next, registry, wire.vkey)
        except (ConfigError, SigningError) as error:
            raise _unusable(error, "vkey") from error
        first = self._ledger_signers.vkey(registry)

        def decide(working: Working, moment: Moment) -> Decision:
            terms = self._ledger_terms(working, registry) or (LedgerKeyTerm(vkey=first),)
            return ledger_keys.decide_rotation(terms, wire.former_vkey, wire.vkey, signed.act, moment)

        answer = await self._decided(signed, decide)
        return pb.RotateLedgerKeyResponse(
            key=await self._ledger_key(registry, wire.vkey), receipt=encode.receipt(answer.receipt)
        )

    async def retire_ledger_key(self, signed: SignedAct) -> Any:
        """End a checkpoint key's use, and say from when on it was not the registry's alone."""
        registry, wire = signed.registry, signed.wire
        reason = _reason_of(wire)
        since = wire.compromised_since.ToDatetime(dt.UTC) if wire.HasField("compromised_since") else None
        newest = await self._queries.checkpoint(registry)
        size = newest.size if newest is not None else 0

        def decide(working: Working, moment: Moment) -> Decision:
            terms = self._ledger_terms(working, registry)
            return ledger_keys.decide_retirement(terms, wire.vkey, since, reason, size, signed.act, moment)

        answer = await self._decided(signed, decide)
        return pb.RetireLedgerKeyResponse(
            key=await self._ledger_key(registry, wire.vkey), receipt=encode.receipt(answer.receipt)
        )

    def _ledger_terms(self, working: Working, registry: str) -> ledger_keys.Terms:
        name = self._ledger_signers.keys(registry).name
        return ledger_keys.of_log(working.settings.ledger_keys, name)

    async def list_signed_checkpoints(self, request: Any) -> Any:
        """The checkpoints that rest on one key alone."""
        registry = registry_in(request.parent)
        self._settings_of(registry)  # refuses an unknown registry
        since = request.since.ToDatetime(dt.UTC) if request.HasField("since") else None
        key = next(
            (one for one in self._ledger_signers.keys(registry).keys if one.vkey == request.vkey), None
        )
        if key is None:
            raise malformed(
                "vkey", "没有此检查点密钥；请查询密钥列表", "no such checkpoint key: list the keys"
            )
        size = page_size(request.page_size, default=PAGE_SIZE_DEFAULT, maximum=PAGE_SIZE_MAX)
        query = ("checkpoints", registry, request.vkey, since.isoformat() if since else "")
        position = read_token(request.page_token, query, (int,))
        alone = self._ledger_signers.keys(registry).alone(key.vkey)

        def work(connection: Any) -> list[SignedSize]:
            after = int(position[0]) if position else _before(connection, registry, since)
            return read_signed(connection, registry, alone, after, size + 1)

        rows = await self._queries.read(work)
        response = pb.ListSignedCheckpointsResponse()
        for row in rows[:size]:
            one = response.checkpoints.add(size=row.size, root=row.root)
            one.newest_entry_at.FromDatetime(row.newest_entry_at)
        if len(rows) > size:
            response.next_page_token = make_token(query, (rows[size - 1].size,))
        return response

    async def _ledger_key(self, registry: str, vkey: str) -> Any:
        return next(key for key in await self._all_ledger_keys(registry) if key.key_id == vkey)

    async def _all_ledger_keys(self, registry: str) -> list[Any]:
        """Those in use first, then those that were, then the next one of the settings."""
        try:
            following = await asyncio.to_thread(self._ledger_signers.following, registry)
        except (ConfigError, SigningError) as error:
            raise _unusable(error, "vkey") from error
        all_keys = self._ledger_signers.keys(registry)
        keys = all_keys.keys
        terms = {term.vkey: term for term in self._ledger_signers.terms(registry)}
        covered = await self._queries.checkpoint(registry)
        newest = covered.size if covered is not None else 0
        found = []
        for key in sorted(keys, key=lambda one: one.ended is not None):
            wire = _encode_ledger_key(terms.get(key.vkey) or LedgerKeyTerm(vkey=key.vkey))
            self._place(wire)
            wire.signed_count = newest if key.signs(newest) else key.ended or 0
            if wire.HasField("compromised_since"):
                since, alone = wire.compromised_since.ToDatetime(dt.UTC), all_keys.alone(key.vkey)
                wire.signed_since_compromised = await self._queries.read(
                    lambda connection, since=since, alone=alone: count_signed(  # type: ignore[misc]
                        connection, registry, alone, _before(connection, registry, since)
                    )
                )
            found.append(wire)
        if following is not None and following.vkey not in {key.vkey for key in keys}:
            wire = authority_pb2.RegistryKey(
                use=authority_pb2.KEY_USE_CHECKPOINT,
                key_id=following.vkey,
                state=authority_pb2.KEY_STATE_NEXT,
            )
            self._place(wire)
            found.append(wire)
        return found

    def _place(self, wire: Any) -> None:
        source = self._ledger_signers.source(wire.key_id)
        if source is not None:
            wire.place, wire.in_clear = source.place, is_in_clear(source)

    # -- the list ------------------------------------------------------------------------------------------------

    async def list_keys(self, request: Any) -> Any:
        """Every key of the registry, those in use first."""
        registry = registry_in(request.parent)
        size = page_size(request.page_size, default=PAGE_SIZE_DEFAULT, maximum=PAGE_SIZE_MAX)
        query = ("keys", registry)
        position = read_token(request.page_token, query, (int,))
        start = int(position[0]) if position else 0
        self._settings_of(registry)  # refuses an unknown registry
        keys = await self.all_keys(registry)
        more = len(keys) > start + size
        return pb.ListKeysResponse(
            keys=keys[start : start + size],
            next_page_token=make_token(query, (start + size,)) if more else "",
        )

    async def list_sealed(self, request: Any) -> Any:
        """The certificates that one seal key sealed."""
        asked = self._asked("sealed", request)
        first = request.key_id == self._first(asked.registry, self._settings_of(asked.registry).seals)
        rows = await self._queries.read(
            lambda connection: read_sealed(
                connection,
                asked.registry,
                request.key_id,
                asked.since,
                asked.after,
                asked.size + 1,
                first=first,
            )
        )
        response = pb.ListSealedResponse(next_page_token=asked.next_token(rows, "identifier"))
        for row in rows[: asked.size]:
            one = response.certificates.add(
                certificate=f"registries/{asked.registry}/certificates/{row['identifier']}",
                number=row["number"],
                state=row["state"],
                index=row["entry_index"],
            )
            one.sealed_at.FromJsonString(row["sealed_at"])
        return response

    async def list_sealed_answers(self, request: Any) -> Any:
        """The statements and extracts that one seal key sealed."""
        asked = self._asked("sealed-answers", request)
        rows = await self._queries.read(
            lambda connection: read_answers(
                connection, asked.registry, request.key_id, asked.since, asked.after, asked.size + 1
            )
        )
        return pb.ListSealedAnswersResponse(
            answers=[_encode_answer(row) for row in rows[: asked.size]],
            next_page_token=asked.next_token(rows, "sha256"),
        )

    def _asked(self, what: str, request: Any) -> _Asked:
        registry = registry_in(request.parent)
        self._settings_of(registry)  # refuses an unknown registry
        if not request.key_id:
            raise malformed("key_id", "必填", "is required")
        since = request.since.ToDatetime(dt.UTC) if request.HasField("since") else None
        size = page_size(request.page_size, default=PAGE_SIZE_DEFAULT, maximum=PAGE_SIZE_MAX)
        query = (what, registry, request.key_id, since.isoformat() if since else "")
        return _Asked(registry, since, size, read_token(request.page_token, query, (str, str)), query)

    def _first(self, registry: str, terms: tuple[SealTerm, ...]) -> str:
        """Key id of the registry's first seal."""
        known = seal_keys.in_place(terms)
        return known[0].key_id if known else self._configured(registry)[0].key_id

    async def _seal(self, registry: str, key_id: str) -> Any:
        return next(key for key in await self._all_seals(registry) if key.key_id == key_id)

    async def all_keys(self, registry: str) -> list[Any]:
        """Those of each use in turn, in use first."""
        keys = await self._all_seals(registry)
        keys += await self._all_ledger_keys(registry)
        server, storage = self._config.server, self._config.storage
        own = x509.load_pem_x509_certificates(server.certificate.read_bytes())[0]
        connection = authority_pb2.RegistryKey(
            use=authority_pb2.KEY_USE_CONNECTION,
            state=authority_pb2.KEY_STATE_ACTIVE,
            place=server.key.place,
            in_clear=is_in_clear(server.key),
        )
        _set_certificate(connection, own)
        keys.append(connection)
        keys.append(
            authority_pb2.RegistryKey(
                use=authority_pb2.KEY_USE_ENCRYPTION,
                state=authority_pb2.KEY_STATE_ACTIVE,
                place=str(storage.key_encryption_key),
                in_clear=storage.key_encryption_key_wrapping is None,
            )
        )
        return keys

    async def _all_seals(self, registry: str) -> list[Any]:
        """The first seals, those in use first, then the national ones."""
        return [
            key for national in (False, True) for key in await self._seals_in(registry, national=national)
        ]

    async def _seals_in(self, registry: str, *, national: bool) -> list[Any]:
        terms = self._settings_of(registry).seals
        configured = {seal.key_id: seal for seal in self._configured(registry) if seal.is_beside == national}
        first = self._first(registry, terms)
        present = tuple(SealTerm(key_id=key_id, national=national) for key_id in list(configured)[:1])
        known = seal_keys.in_place(terms, national=national) or present
        ids = {term.key_id for term in known}
        following = [SealTerm(key_id=k, national=national) for k in configured if k not in ids]
        in_use = seal_keys.active(known, national=national)
        ordered = sorted(known, key=lambda term: term is not in_use)
        keys = []
        for term in [*ordered, *following]:
            total, since = await self._queries.read(
                lambda connection, term=term: _counts(connection, registry, term, first)  # type: ignore[misc]
            )
            key = _encode_seal(term, configured.get(term.key_id), is_next=term in following)
            key.signed_count, key.signed_since_compromised = total, since
            keys.append(key)
        return keys


def _counts(connection: Any, registry: str, term: SealTerm, first: str) -> tuple[int, int]:
    is_first = term.key_id == first
    total = count_sealed(connection, registry, term.key_id, None, first=is_first)
    if term.compromised_since is None:
        return total, 0
    return total, count_sealed(connection, registry, term.key_id, term.compromised_since, first=is_first)


def _encode_seal(term: SealTerm, configured: ConfiguredSeal | None, *, is_next: bool) -> Any:
    use = authority_pb2.KEY_USE_NATIONAL_SEAL if term.national else authority_pb2.KEY_USE_SEAL
    key = authority_pb2.RegistryKey(use=use, key_id=term.key_id)
    _set_term(key, term)
    if is_next:
        key.state = authority_pb2.KEY_STATE_NEXT
    if configured is not None:
        key.place = configured.source.place
        key.in_clear = is_in_clear(configured.source)
    der = configured.certificate.der if configured is not None else term.certificate
    if der:
        key.certificate = der
        own = parse_certificate(der)
        key.not_before.FromDatetime(own.not_before)
        key.not_after.FromDatetime(own.not_after)
    return key


def _encode_ledger_key(term: LedgerKeyTerm) -> Any:
    key = authority_pb2.RegistryKey(use=authority_pb2.KEY_USE_CHECKPOINT, key_id=term.vkey)
    _set_term(key, term)
    return key


def _set_term(key: Any, term: SealTerm | LedgerKeyTerm) -> None:
    """What the ledger says of a key, and the state that follows from it."""
    key.state = authority_pb2.KEY_STATE_ACTIVE
    if term.compromised_since is not None:
        key.state = authority_pb2.KEY_STATE_COMPROMISED
    elif term.retired_at is not None:
        key.state = authority_pb2.KEY_STATE_RETIRED
    key.reason, key.index = term.reason, term.index
    for name in ("active_from", "retired_at", "compromised_since"):
        value = getattr(term, name)
        if value is not None:
            getattr(key, name).FromDatetime(value)


def _reason_of(wire: Any) -> str:
    """Why a key is retired. Raises MalformedRequest where it is not said."""
    wrong = Violations()
    reason: str = wire.reason.strip()
    if not 0 < len(reason) <= wires.TEXT_CHARACTERS_MAX:
        wrong.add("reason", "必填", "is required")
    wrong.refuse_if_any()
    return reason


def _before(connection: Any, registry: str, since: dt.datetime | None) -> int:
    """The size behind which checkpoints of `since` or later begin."""
    return -1 if since is None else size_since(connection, registry, since) - 1


def _set_certificate(key: Any, own: x509.Certificate) -> None:
    parsed = parse_certificate(own.public_bytes(Encoding.DER))
    key.key_id, key.certificate = parsed.key_id, parsed.der
    key.not_before.FromDatetime(parsed.not_before)
    key.not_after.FromDatetime(parsed.not_after)


def _unusable(error: ConfigError | SigningError, field: str = "certificate") -> ActInvalid:
    """A key that the settings do not have, or that does not sign; the message names the setting."""
    return ActInvalid(f"密钥不可用：{error}", f"the key cannot be used: {error}", field=field)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A page of what a seal key sealed, as it was asked for; rows are in order of sealing and one more column."""

    registry: str
    since: dt.datetime | None
    size: int
    after: Position | None
    query: tuple[str, ...]

    def next_token(self, rows: list[Row], column: str) -> str:
        """The next page's token, where the rows reach beyond this one; empty where not."""
        if len(rows) <= self.size:
            return ""
        last = rows[self.size - 1]
        return make_token(self.query, (last["sealed_at"], last[column]))


def _encode_answer(row: Row) -> pb.SealedAnswer:
    wire = pb.SealedAnswer(
        kind=row["kind"],
        sha256=bytes.fromhex(row["sha256"]),
        asked_by=row["asked_by"],
        subject=row["subject"],
        index=row["entry_index"],
        time_stamped=row["stamped"],
    )
    wire.sealed_at.FromJsonString(row["sealed_at"])
    return wire
