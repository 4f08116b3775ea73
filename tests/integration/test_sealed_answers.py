"""Statements and extracts: stamped where the registry has an authority, refused or told where no stamp is to be had,
and listed by the keys that sealed them.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from pathlib import Path
from typing import Any

import grpc
import msgspec
import pytest

from gateway.app import utc_now
from gateway.certificates.extract_verify import verify_extract
from gateway.cli.certificate import offline_trust
from gateway.client.statements import StatementInvalid, open_statement
from gateway.pb.diya.v1 import (
    admin_service_pb2,
    admin_service_pb2_grpc,
    certificate_service_pb2,
    certificate_service_pb2_grpc,
    desk_service_pb2,
    desk_service_pb2_grpc,
)
from gateway.statements.desk import PortfolioStatement
from gateway.statements.payout import PayoutStatement
from gateway.statements.signed import PAYOUT_TYPE, PORTFOLIO_TYPE
from signing.pdf import check_pdf
from signing.trust_directory import read_trust as read_anchors
from tests.integration.test_check_payout import sealed
from tests.integration.test_keys import key_id
from tests.support.stage import Town, town_of
from tests.support.stamping import Stamping, own_authority, stamped_by

pytestmark = pytest.mark.asyncio(loop_scope="session")

QUICK = {"timestamp_retry_seconds_max": 0.05}
DECADES = dt.timedelta(days=4000)


@pytest.fixture
def authority(own_folder: Path) -> Stamping:
    """The authority of the folder's development PKI; it serves where a test says so."""
    return own_authority(own_folder)


async def answers(town: Town) -> list[Any]:
    """An extract, a payout check and a portfolio of bank A's, as the wire has them."""
    filing, booked = await town.booked()
    [certificate] = booked.outcome.certificates
    await sealed(town, booked)
    return await answers_about(town, filing.unit.unit_code, certificate)


async def answers_about(town: Town, unit_code: str, certificate: Any) -> list[Any]:
    """The same of a certificate that is sealed."""
    client = await town.client("bank-a")
    extract = await client.get_extract(unit_code, own_right=certificate.number, purpose="贷后管理")
    stub = town.stub(certificate_service_pb2_grpc.CertificateServiceStub, "bank-a")
    asked = certificate_service_pb2.CheckPayoutRequest(
        parent="registries/jiangyin", certificate=certificate.name
    )
    [payout] = (await stub.CheckPayout(asked)).checks
    desk = town.stub(desk_service_pb2_grpc.DeskServiceStub, "bank-a")
    whose = desk_service_pb2.GetPortfolioDigestRequest(parent="registries/jiangyin")
    return [extract, payout, await desk.GetPortfolioDigest(whose)]


def digests(given: list[Any]) -> set[bytes]:
    """SHA-256 of what was handed out."""
    extract, *statements = given
    return {extract.sha256, *(hashlib.sha256(one.statement).digest() for one in statements)}


async def test_answers_are_stamped_and_hold_when_the_seals_certificate_has_ended(
    own_folder: Path, authority: Stamping
) -> None:
    """As certificates: the time is proven, and decides."""
    stamped_by(own_folder, authority.url)
    with authority.serving():
        async with town_of(own_folder, sealing=True, **QUICK) as town:
            given = await answers(town)
    assert [one.time_stamped for one in given] == [True] * 3
    extract, payout, portfolio = given
    later = utc_now() + DECADES
    trust = offline_trust(own_folder / "trust")
    assert verify_extract(extract.pdf, **trust | {"at": later}).sound
    assert all(one.proven_at for one in check_pdf(extract.pdf, trust["trust"], later).signatures)
    anchors = read_anchors(own_folder / "trust")
    open_statement(payout.statement, PAYOUT_TYPE, PayoutStatement, anchors, later)
    open_statement(portfolio.statement, PORTFOLIO_TYPE, PortfolioStatement, anchors, later)
    bare = msgspec.json.decode(portfolio.statement)
    token = bare["signatures"][0].pop("stamp")
    with pytest.raises(StatementInvalid):
        open_statement(msgspec.json.encode(bare), PORTFOLIO_TYPE, PortfolioStatement, anchors, later)
    other = msgspec.json.decode(payout.statement)
    other["signatures"][0]["stamp"] = token
    with pytest.raises(StatementInvalid, match="TIMESTAMP_INVALID"):
        open_statement(msgspec.json.encode(other), PAYOUT_TYPE, PayoutStatement, anchors, utc_now())


async def test_answer_without_the_stamp_that_is_required_is_refused(
    own_folder: Path, authority: Stamping
) -> None:
    """Nothing waits: whoever asks is told to come back, and gets it when the authority answers again."""
    stamped_by(own_folder, authority.url)
    async with town_of(own_folder, sealing=True, **QUICK) as town:
        with authority.serving():
            filing, booked = await town.booked()
            [certificate] = booked.outcome.certificates
            await sealed(town, booked)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            stub = town.stub(desk_service_pb2_grpc.DeskServiceStub, "bank-a")
            await stub.GetPortfolioDigest(
                desk_service_pb2.GetPortfolioDigestRequest(parent="registries/jiangyin")
            )
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "time stamp" in (refused.value.details() or "")
        assert not await listed(town)
        with authority.serving():
            given = await until_stamped(town, filing.unit.unit_code, certificate)
        assert len(await listed(town)) == len(given)


async def until_stamped(town: Town, unit_code: str, certificate: Any) -> list[Any]:
    """The answers, once the authority is asked again."""
    while True:
        try:
            return await answers_about(town, unit_code, certificate)
        except Exception as error:
            if "time stamp" not in str(error):
                raise


async def test_answer_goes_without_a_stamp_where_none_is_required_and_says_so(
    own_folder: Path, authority: Stamping
) -> None:
    """The grace is for what can wait. It holds as any seal without a stamp, and the list says that it has none."""
    stamped_by(own_folder, authority.url, required=False, grace_seconds=0)
    async with town_of(own_folder, sealing=True, **QUICK) as town:
        given = await answers(town)
        assert [one.time_stamped for one in given] == [False] * 3
        found = await listed(town)
        anchors = read_anchors(own_folder / "trust")
        open_statement(given[2].statement, PORTFOLIO_TYPE, PortfolioStatement, anchors, utc_now())
        assert [one.time_stamped for one in found] == [False] * 3


async def listed(town: Town, since: dt.datetime | None = None) -> list[admin_service_pb2.SealedAnswer]:
    """The answers that the registry's seal sealed."""
    admin = await town.operator()
    return [one async for one in admin.list_sealed_answers(key_id(town.folder, "seal-jiangyin"), since)]


async def test_answers_are_listed_by_the_key_that_sealed_them(own_folder: Path) -> None:
    """All of them, from an instant on: by digest, for whom, about what; whatever the size of a page."""
    async with town_of(own_folder, sealing=True) as town:
        early = await answers(town)
        between = utc_now()
        late = await answers(town)
        found = await listed(town)
        assert {one.sha256 for one in found} == digests(early) | digests(late)
        assert {one.sha256 for one in await listed(town, between)} == digests(late)
        assert sorted(one.kind for one in found) == sorted(["EXTRACT", "PAYOUT", "PORTFOLIO"] * 2)
        assert late[0].number in {one.subject for one in found}
        assert len({one.asked_by for one in found}) == 1
        admin = await town.operator()
        assert not [one async for one in admin.list_sealed_answers("0" * 64)]
        paged = await pages_of_one(town)
        assert [len(page.answers) for page in paged] == [1] * len(found)
        assert [one for page in paged for one in page.answers] == found


async def pages_of_one(town: Town) -> list[admin_service_pb2.ListSealedAnswersResponse]:
    """The whole list, one thing a page."""
    stub = town.stub(admin_service_pb2_grpc.AdminServiceStub, "operator")
    request = admin_service_pb2.ListSealedAnswersRequest(
        parent="registries/jiangyin", key_id=key_id(town.folder, "seal-jiangyin"), page_size=1
    )
    found = []
    while True:
        found.append(await stub.ListSealedAnswers(request))
        request.page_token = found[-1].next_page_token
        if not request.page_token:
            return found
