"""DeskService: what a lender's desk asks day after day. It reads; nothing is entered."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any, Final

import grpc

from gateway.pb.diya.v1 import common_pb2, desk_service_pb2, desk_service_pb2_grpc
from gateway.register.calendar import CHINA
from gateway.register.identifiers import normalise_uscc
from gateway.rpc.case_view import Reader
from gateway.rpc.errors import Refusal
from gateway.rpc.guard import caller_now
from gateway.rpc.names import check_registry, enum_names, malformed, registry_in
from gateway.rpc.paging import make_token, page_of_mapping, page_size, read_token
from gateway.rpc.readiness import board_of
from gateway.rpc.rights import acting_for
from gateway.rpc.sealed_answers import SealedAnswers
from gateway.rpc.statements import profile_of
from gateway.rpc.violations import Violations
from gateway.sequencer import Sequencer
from gateway.statements.desk import (
    DAILY_SCHEMA,
    LINES_MAX,
    PORTFOLIO_SCHEMA,
    DailyStatement,
    PortfolioStatement,
    RightLine,
    digest_of,
    rights_of,
    sums_of,
)
from gateway.statements.signed import DAILY_TYPE, PORTFOLIO_TYPE
from gateway.storage.queries import Queries

_pb = desk_service_pb2

PAGE_SIZE_DEFAULT: Final = 50
PAGE_SIZE_MAX: Final = 500
PORTFOLIO_PAGE_DEFAULT: Final = 500
PORTFOLIO_PAGE_MAX: Final = 2000

#: A day is over when no batch that read the clock before midnight can still be under way.
DAY_SETTLES: Final = dt.timedelta(minutes=1)


class DeskService(desk_service_pb2_grpc.DeskServiceServicer):
    """Servicer for institutions; the board for registrars, too."""

    def __init__(
        self,
        *,
        sequencer: Sequencer,
        queries: Queries,
        clock: Callable[[], dt.datetime],
        answers: SealedAnswers,
    ) -> None:
        self._sequencer = sequencer
        self._queries = queries
        self._clock = clock
        self._answers = answers

    async def ListReadiness(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Who must act on which case, the earliest deadline first."""
        registry = registry_in(request.parent)
        settings, caller = self._sequencer.settings(registry), caller_now.get()
        check_registry(registry, settings)
        size = page_size(request.page_size, default=PAGE_SIZE_DEFAULT, maximum=PAGE_SIZE_MAX)
        grounds = enum_names(_pb.ReadinessGround, request.grounds, "READINESS_GROUND_", "grounds")
        board = await board_of(self._queries, settings, registry, Reader.of(settings, caller), self._clock())
        wanted = {
            key: item
            for key, item in board.items()
            if (not grounds or _pb.ReadinessGround.Name(item.ground)[len("READINESS_GROUND_") :] in grounds)
            and request.institution in ("", item.institution)
        }
        items, token = page_of_mapping(
            wanted,
            query=("readiness", registry, caller.id, grounds, request.institution),
            size=size,
            token=request.page_token,
        )
        return _pb.ListReadinessResponse(items=items, next_page_token=token)

    async def GetDailyStatement(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """What an institution was told on one day, signed; the same bytes whenever it is asked for."""
        registry = registry_in(request.parent)
        institution, codes = self._institution(registry, request.institution)
        now = self._clock()
        day, start, end = _day(request.day, now)
        profile = profile_of(registry, self._sequencer.settings(registry))
        found = await self._queries.day(registry, institution, codes, start, end)
        counts: dict[str, int] = {}
        for event in found.events:
            counts[event.kind] = counts.get(event.kind, 0) + 1
        statement = DailyStatement(
            schema=DAILY_SCHEMA,
            registry=registry,
            issuer_name=profile.authority_name,
            issuer_code=profile.authority_code,
            institution=institution,
            day=day,
            origin=found.head.origin,
            first_index=found.first_index,
            last_index=found.last_index,
            first_sequence=found.first_sequence,
            last_sequence=found.first_sequence + len(found.events) - 1,
            counts=dict(sorted(counts.items())),
            events_digest=digest_of(event.line for event in found.events),
            events=found.events[:LINES_MAX],
            begun=rights_of(found.begun),
            ended=rights_of(found.ended),
            test=not profile.production,
        )
        made = await self._answers.statement(
            statement,
            DAILY_TYPE,
            kind="DAILY",
            asked_by=caller_now.get().id,
            subject=f"{institution} {day}",
            index=found.head.size - 1,
        )
        return _pb.GetDailyStatementResponse(statement=made.data, time_stamped=made.stamped is True)

    async def GetPortfolioDigest(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """The live mortgages of a lender in one line, signed."""
        registry = registry_in(request.parent)
        institution, codes = self._institution(registry, request.institution)
        profile = profile_of(registry, self._sequencer.settings(registry))
        head = await self._queries.head(registry)
        lines: list[RightLine] = []
        after, more = "", True
        while more:
            chunk, after = await self._queries.portfolio(registry, codes, head.size - 1, after)
            lines += chunk
            more = bool(after)
        statement = PortfolioStatement(
            schema=PORTFOLIO_SCHEMA,
            registry=registry,
            issuer_name=profile.authority_name,
            issuer_code=profile.authority_code,
            institution=institution,
            origin=head.origin,
            as_of_index=head.size - 1,
            as_of=head.head_time,
            as_of_hash=head.head_hash.hex(),
            count=len(lines),
            amounts_fen=sums_of(lines),
            digest=digest_of(line.line for line in lines),
            test=not profile.production,
        )
        made = await self._answers.statement(
            statement,
            PORTFOLIO_TYPE,
            kind="PORTFOLIO",
            asked_by=caller_now.get().id,
            subject=institution,
            index=statement.as_of_index,
        )
        return _pb.GetPortfolioDigestResponse(statement=made.data, time_stamped=made.stamped is True)

    async def ListPortfolio(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """The lines behind a digest, in its order."""
        registry = registry_in(request.parent)
        institution, codes = self._institution(registry, request.institution)
        last = (await self._queries.head(registry)).size - 1
        if not 0 <= request.as_of_index <= last:
            raise malformed("as_of_index", f"须在 0 至 {last} 之间", f"must lie between 0 and {last}")
        size = page_size(request.page_size, default=PORTFOLIO_PAGE_DEFAULT, maximum=PORTFOLIO_PAGE_MAX)
        query = ("portfolio", registry, institution, request.as_of_index)
        position = read_token(request.page_token, query, (str, int))
        after, as_of = ("", request.as_of_index or last) if position is None else position
        lines: list[RightLine] = []
        looked, more = str(after), True
        while more and len(lines) <= size:
            chunk, looked = await self._queries.portfolio(registry, codes, int(as_of), looked)
            lines += chunk
            more = bool(looked)
        page = lines[:size]
        token = make_token(query, (page[-1].right_id, int(as_of))) if len(lines) > size else ""
        return _pb.ListPortfolioResponse(
            lines=[_wire_line(line) for line in page], next_page_token=token, as_of_index=int(as_of)
        )

    def _institution(self, registry: str, asked: str) -> tuple[str, frozenset[str]]:
        """Whose desk it is, and every code under which it is of record. Raises Refusal, MalformedRequest."""
        settings, caller = self._sequencer.settings(registry), caller_now.get()
        check_registry(registry, settings)
        uscc = caller.id
        if asked:
            wrong = Violations()
            with wrong.at("institution"):
                uscc = normalise_uscc(asked)
            wrong.refuse_if_any()
        if uscc not in acting_for(settings, caller.id):
            raise Refusal(
                "CHANNEL_NOT_AUTHORISED",
                f"机构 {caller.id} 不能代机构 {uscc} 查询；请机构 {uscc} 请登记机构将其列入 {caller.id} 的代为报送机构"
                f"（运维人员：diya institution set，filesFor 加 {uscc}）",
                f"institution {caller.id} does not file for {uscc}: {uscc} asks the authority to enter it among those "
                f"that {caller.id} files for (an operator runs diya institution set with {uscc} in filesFor)",
                {"institution": uscc},
            )
        known = settings.institutions.get(uscc)
        return uscc, frozenset({uscc, *(known.uscc_aliases if known is not None else ())})


def _day(wire: Any, now: dt.datetime) -> tuple[dt.date, dt.datetime, dt.datetime]:
    """A day in China that is over, from its first instant to that of the next. Raises MalformedRequest."""
    try:
        day = dt.date(wire.year, wire.month, wire.day)
    except ValueError as error:
        raise malformed("day", "不是日期", "is no date") from error
    start = dt.datetime.combine(day, dt.time(), CHINA)
    end = start + dt.timedelta(days=1)
    if now < end + DAY_SETTLES:
        raise malformed("day", "该日尚未结束", "is not over yet")
    return day, start, end


def _wire_line(line: RightLine) -> desk_service_pb2.PortfolioLine:
    return _pb.PortfolioLine(
        right_id=line.right_id,
        proof_number=line.proof_number,
        amount=common_pb2.Money(amount_fen=line.amount_fen, currency=line.currency),
        rank=line.rank,
    )
