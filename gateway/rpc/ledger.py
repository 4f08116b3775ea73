"""LedgerService: the public chain, read only. Parts are never given here; only what a checkpoint covers is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import grpc

from gateway.config import MIB, Limits
from gateway.pb.diya.v1 import ledger_service_pb2, ledger_service_pb2_grpc, outcome_pb2
from gateway.rpc.errors import Refusal
from gateway.rpc.names import registry_in
from gateway.rpc.paging import make_token, page_size, read_token
from gateway.storage.queries import Queries
from gateway.storage.statements import PublishedCheckpoint
from ledger.errors import RegistryUnknownError

_pb = ledger_service_pb2

PAGE_SIZE_DEFAULT: Final = 100
PAGE_SIZE_MAX: Final = 1000

#: A page of entries is cut at this size.
PAGE_BYTES_MAX: Final = 3 * MIB


class LedgerService(ledger_service_pb2_grpc.LedgerServiceServicer):
    """Servicer for auditors and everybody else who is known."""

    def __init__(
        self, *, queries: Queries, limits: Limits, vkey_of: Callable[[str], str] = lambda _registry: ""
    ) -> None:
        """`vkey_of` gives a registry's verifier key, told for convenience only."""
        self._queries = queries
        self._vkey_of = vkey_of
        # Whatever the contract allows, a page must fit into a message of this server.
        self._page_bytes_max = min(PAGE_BYTES_MAX, limits.message_bytes_max)

    async def GetCheckpoint(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """The latest checkpoint, or the first that covers a size."""
        registry = registry_in(request.parent)
        newest = await self._newest(registry)
        wanted = request.min_size
        if not 0 <= wanted <= newest.size:
            raise _out_of_range("min_size", wanted, 0, newest.size)
        found = await self._queries.checkpoint(registry, min_size=wanted) if wanted else newest
        assert found is not None  # the newest covers it
        origin = (await self._queries.head(registry)).origin
        return _pb.GetCheckpointResponse(checkpoint=_checkpoint(origin, found), vkey=self._vkey_of(registry))

    async def ListEntries(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Entries in order, exact bytes."""
        registry = registry_in(request.parent)
        newest = await self._newest(registry)
        query = ("entries", registry)
        position = read_token(request.page_token, query, (int,))
        start = int(position[0]) if position else request.start_index
        if not 0 <= start <= newest.size:
            raise _out_of_range("start_index", start, 0, newest.size)
        size = page_size(request.page_size, default=PAGE_SIZE_DEFAULT, maximum=PAGE_SIZE_MAX)
        response = _pb.ListEntriesResponse()
        total = 0
        for entry in await self._queries.entries(registry, start, size):
            total += len(entry.data)
            if response.entries and total > self._page_bytes_max:
                break
            response.entries.add(index=entry.index, entry=entry.data)
        erased = await self._queries.erased_entries(registry, start, start + len(response.entries))
        for wire in response.entries:
            wire.erased_by = erased.get(wire.index, 0)
        following = start + len(response.entries)
        if following < newest.size:
            response.next_page_token = make_token(query, (following,))
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


def _out_of_range(name: str, value: int, low: int, high: int) -> Refusal:
    return Refusal(
        "LEDGER_RANGE",
        f"{name} 为 {value}，已发布的账本中须在 {low} 至 {high} 之间",
        f"{name} is {value}; in the published ledger it lies between {low} and {high}",
        {"field": name, "value": str(value), "low": str(low), "high": str(high)},
    )
