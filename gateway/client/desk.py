"""What a lender's desk asks day after day: who must act, and the registry's statements for day-end reconciliation."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Sequence
from typing import Generic

from google.type.date_pb2 import Date

from gateway.client.session import Session
from gateway.client.statements import S, StatementInvalid, open_statement
from gateway.pb.diya.v1 import desk_service_pb2 as pb
from gateway.pb.diya.v1.desk_service_pb2_grpc import DeskServiceStub
from gateway.statements.desk import DailyStatement, PortfolioStatement
from gateway.statements.signed import DAILY_TYPE, PORTFOLIO_TYPE
from signing.trust import TrustStore


class Kept(Generic[S]):
    """A statement that verified, with the envelope to keep."""

    def __init__(self, statement: S, envelope: bytes) -> None:
        self.statement = statement
        self.envelope = envelope


class DeskClient:
    """The desk of one institution (or, for the board, of a registrar) at one registry."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._stub = DeskServiceStub(session.connection.channel)

    async def list_readiness(
        self,
        *,
        grounds: Sequence[pb.ReadinessGround.ValueType] = (),
        institution: str = "",
        page_size: int = 0,
    ) -> AsyncIterator[pb.ReadinessItem]:
        """Everything that open cases wait for, earliest deadline first, over all pages. institution:
        only what this one must do, by USCC. Raises RequestError.
        """
        request = pb.ListReadinessRequest(
            parent=self.session.parent, grounds=grounds, institution=institution, page_size=page_size
        )
        async for page in self.session.pages(self._stub.ListReadiness, request):
            for item in page.items:
                yield item

    async def daily_statement(
        self, day: dt.date, anchors: TrustStore, *, institution: str = ""
    ) -> Kept[DailyStatement]:
        """What an institution was told on a day in China that is over. institution: a branch's
        USCC. Raises RequestError, StatementInvalid.
        """
        response = await self.session.call(
            self._stub.GetDailyStatement,
            pb.GetDailyStatementRequest(
                parent=self.session.parent,
                institution=institution,
                day=Date(year=day.year, month=day.month, day=day.day),
            ),
        )
        statement = open_statement(
            response.statement,
            DAILY_TYPE,
            DailyStatement,
            anchors,
            self.session.clock(),
            self.session.registry,
        )
        if statement.day != day or institution not in ("", statement.institution):
            raise StatementInvalid(
                f"it is of {statement.institution} on {statement.day}",
                f"属于机构 {statement.institution}，日期 {statement.day}",
            )
        return Kept(statement, response.statement)

    async def portfolio_digest(
        self, anchors: TrustStore, *, institution: str = ""
    ) -> Kept[PortfolioStatement]:
        """The live mortgages of an institution in one line. Raises RequestError, StatementInvalid."""
        response = await self.session.call(
            self._stub.GetPortfolioDigest,
            pb.GetPortfolioDigestRequest(parent=self.session.parent, institution=institution),
        )
        statement = open_statement(
            response.statement,
            PORTFOLIO_TYPE,
            PortfolioStatement,
            anchors,
            self.session.clock(),
            self.session.registry,
        )
        if institution not in ("", statement.institution):
            raise StatementInvalid(f"it is of {statement.institution}", f"属于机构 {statement.institution}")
        return Kept(statement, response.statement)

    async def list_portfolio(
        self, *, institution: str = "", as_of_index: int = 0, page_size: int = 0
    ) -> AsyncIterator[pb.PortfolioLine]:
        """The lines behind a digest (give its `as_of_index`), in its order, over all pages."""
        request = pb.ListPortfolioRequest(
            parent=self.session.parent,
            institution=institution,
            as_of_index=as_of_index,
            page_size=page_size,
        )
        async for page in self.session.pages(self._stub.ListPortfolio, request):
            for line in page.lines:
                yield line
