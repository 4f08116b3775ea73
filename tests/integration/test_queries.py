"""Reads on snapshots: pages, events, receipts."""

from __future__ import annotations

import datetime as dt
import threading
from typing import Any

import pytest
from sqlalchemy import delete

from gateway.cases.effects import (
    AnyEffect,
    ApplicationRecorded,
    CertificateNumbered,
    CertificateSealed,
    CounterMoved,
    EventRecorded,
)
from gateway.cases.model import Application, Kind, State
from gateway.storage import queries as queries_module
from gateway.storage.paging import PageTokenInvalid
from gateway.storage.statements import ApplicationFilter
from gateway.storage.working import instant
from ledger.checkpoint import open_checkpoint
from ledger.proof import verify_inclusion
from ledger.tables import ledger_key
from tests.support.cases import UNIT
from tests.support.pki import BANK_USCC, SECOND_BANK_USCC
from tests.support.spine import REGISTRY, Spine


def application(number: int, now: Any, **changes: Any) -> Application:
    """An application submitted at entry `number`."""
    fields: dict[str, Any] = {
        "registry": REGISTRY,
        "application_id": f"0197b1c4-0000-7000-8000-{number:012d}",
        "kind": Kind.MORTGAGE,
        "operations": ("MORTGAGE_FIRST",),
        "units": (UNIT,),
        "channel_institution": BANK_USCC,
        "applicant_institution": BANK_USCC,
        "institutions": (BANK_USCC,),
        "request_id": str(number),
        "payload_sha256": f"{number:064d}",
        "terms_sha256": "00" * 32,
        "state": State.IN_REVIEW,
        "submitted_at": now,
        "submitted_index": number,
        "last_index": number,
        "accepted_at": now,
        "accepted_index": number,
    }
    return Application(**{**fields, **changes})


def submit(spine: Spine, *changes: dict[str, Any]) -> None:
    """One application an entry, from entry 1 on."""
    for number, change in enumerate(changes, start=1):
        spine.enter(ApplicationRecorded(application=application(number, spine.clock(), **change)))


async def pages(read: Any, **options: Any) -> list[list[int]]:
    """Every page of a list, as indexes of submission."""
    found: list[list[int]] = []
    token = ""
    for _ in range(20):
        rows, token = await read(REGISTRY, page_token=token, **options)
        found.append([row.submitted_index for row in rows])
        if not token:
            return found
    raise AssertionError("the pages do not end")


async def test_applications_come_newest_first_and_only_the_institutions_own(spine: Spine) -> None:
    """An institution walks over its own applications, each once, newest first; the registry sees all."""
    other = {"institutions": (SECOND_BANK_USCC,)}
    submit(spine, {}, other, {}, {}, {"institutions": (SECOND_BANK_USCC, BANK_USCC)})
    own = await pages(spine.queries.applications, wanted=ApplicationFilter(BANK_USCC), page_size=2)
    assert own == [[5, 4], [3, 1]]
    everything = await pages(spine.queries.applications, wanted=ApplicationFilter(), page_size=10)
    assert everything == [[5, 4, 3, 2, 1]]


async def test_applications_are_filtered_by_state_and_kind(spine: Spine) -> None:
    """Filters keep what they name, over page borders too."""
    booked = {"state": State.BOOKED}
    submit(spine, booked, {}, booked, {**booked, "kind": Kind.MORTGAGE_RELEASE}, booked)
    found = await pages(
        spine.queries.applications,
        wanted=ApplicationFilter(BANK_USCC, states=("BOOKED",), kinds=("MORTGAGE",)),
        page_size=1,
    )
    assert [index for page in found for index in page] == [5, 3, 1]


async def test_applications_page_that_looked_long_enough_is_given_back_short(
    spine: Spine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A filter that hardly anything fits does not read the whole registry for one page."""
    submit(spine, {"kind": Kind.PRE_NOTICE}, {}, {}, {}, {})
    monkeypatch.setattr(queries_module, "SCANNED_ROWS_MAX", 2)
    wanted = ApplicationFilter(BANK_USCC, kinds=("PRE_NOTICE",))
    found = await pages(spine.queries.applications, wanted=wanted, page_size=10)
    assert [index for page in found for index in page] == [1]
    assert found[0] == []


async def test_applications_token_belongs_to_its_filters(spine: Spine) -> None:
    """A token is of one list: with other filters it is refused."""
    submit(spine, {}, {})
    _, token = await spine.queries.applications(REGISTRY, ApplicationFilter(BANK_USCC), page_size=1)
    assert token
    for other in (ApplicationFilter(SECOND_BANK_USCC), ApplicationFilter(BANK_USCC, unit_code=UNIT)):
        with pytest.raises(PageTokenInvalid):
            await spine.queries.applications(REGISTRY, other, page_size=1, page_token=token)


OTHER_UNIT = UNIT[:5] + "2" + UNIT[6:]
FIRST_PHASE = "0197b1c4-0000-7000-8000-000000000002"


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, [6, 4, 3, 2, 1]),
        ({"unit_code": OTHER_UNIT}, [4, 3]),
        ({"unit_code": UNIT}, [6, 4, 2, 1]),
        ({"applicant_institution": SECOND_BANK_USCC}, [6, 1]),
        ({"case_id": FIRST_PHASE}, [4, 2]),
        ({"case_id": FIRST_PHASE, "unit_code": OTHER_UNIT}, [4]),
        ({"case_number": "20260101320281" + "0" * 8}, [3]),
        ({"case_number": "nobody's"}, []),
        ({"unit_code": OTHER_UNIT, "states": ("BOOKED",)}, [4]),
    ],
    ids=str,
)
async def test_applications_are_filtered_page_by_page(
    spine: Spine, wanted: dict[str, Any], found: list[int]
) -> None:
    """Each filter keeps what it names, whatever became of the case, and of others' cases none."""
    joint = {"applicant_institution": SECOND_BANK_USCC, "institutions": (BANK_USCC, SECOND_BANK_USCC)}
    submit(
        spine,
        {**joint, "state": State.NOT_ACCEPTED, "accepted_index": None},
        {},
        {"units": (OTHER_UNIT,), "case_number": "20260101320281" + "0" * 8},
        {
            "units": (UNIT, OTHER_UNIT),
            "case": f"registries/{REGISTRY}/applications/{FIRST_PHASE}",
            "state": State.BOOKED,
        },
        {"units": (UNIT, OTHER_UNIT), "institutions": (SECOND_BANK_USCC,)},
        {**joint, "institutions": (SECOND_BANK_USCC, BANK_USCC)},
    )
    for size in (1, 10):
        by_page = await pages(
            spine.queries.applications, wanted=ApplicationFilter(BANK_USCC, **wanted), page_size=size
        )
        assert [index for page in by_page for index in page] == found
        assert size == 10 or len(by_page) == max(len(found), 1)


async def test_applications_of_a_time_begin_with_it_and_end_before_it(spine: Spine) -> None:
    """From an instant on, up to another one excluded; instants between entries and outside them too."""
    for number in range(1, 6):
        spine.clock.move(60)
        spine.enter(ApplicationRecorded(application=application(number, spine.clock())))
    last = spine.clock()

    def ago(minutes: float) -> dt.datetime:
        return last - dt.timedelta(minutes=minutes)

    for after, before, found in (
        (ago(2), None, [5, 4, 3]),
        (None, ago(2), [2, 1]),
        (ago(3), ago(1), [3, 2]),
        (ago(2.5), ago(0.5), [4, 3]),
        (ago(-9), None, []),
        (ago(9999), ago(-9), [5, 4, 3, 2, 1]),
    ):
        wanted = ApplicationFilter(BANK_USCC, submitted_after=after, submitted_before=before)
        by_page = await pages(spine.queries.applications, wanted=wanted, page_size=2)
        assert [index for page in by_page for index in page] == found, (after, before)


async def test_queue_is_filtered_by_operation_and_county(spine: Spine) -> None:
    """A registrar sees the operations and the county asked for, page by page, in order of acceptance."""
    release = {"operations": ("MORTGAGE_FIRST", "MORTGAGE_RELEASE")}
    submit(spine, {}, release, {**release, "units": (OTHER_UNIT,)}, {"units": (UNIT, OTHER_UNIT)})
    queue = spine.queries.queue
    assert await pages(queue, page_size=1, operations=["MORTGAGE_RELEASE"]) == [[2], [3]]
    assert await pages(queue, page_size=9, county_code=OTHER_UNIT[:6]) == [[3, 4]]
    both = await pages(queue, page_size=9, operations=["MORTGAGE_RELEASE"], county_code=UNIT[:6])
    assert both == [[2]]
    _, token = await queue(REGISTRY, page_size=1, operations=["MORTGAGE_RELEASE"])
    with pytest.raises(PageTokenInvalid):
        await queue(REGISTRY, page_size=1, county_code=UNIT[:6], page_token=token)


async def test_queue_is_in_order_of_acceptance_not_of_submission(spine: Spine) -> None:
    """Cases are taken up in the order in which they were accepted (RD 67); closed ones are gone."""
    submit(
        spine,
        {"accepted_index": 9},
        {"accepted_index": 7, "claimed_by": "deng-1"},
        {"state": State.BOOKED},
        {"accepted_index": 8},
        {"state": State.AWAITING_PARTIES, "accepted_index": None},
    )
    assert await pages(spine.queries.queue, page_size=2) == [[2, 4], [1]]
    assert await pages(spine.queries.queue, page_size=9, claimed_by="deng-1") == [[2]]
    assert await pages(spine.queries.queue, page_size=9, claimed_by="") == [[4, 1]]
    assert await pages(spine.queries.queue, page_size=9, states=["BOOKED"]) == [[]]


async def test_case_is_sealed_when_its_last_certificate_is(spine: Spine) -> None:
    """Of two certificates one sealed is not yet all; then it is the instant of the last."""
    row = application(1, spine.clock(), certificates=("c1", "c2"), state=State.BOOKED)

    def numbered(identifier: str) -> AnyEffect:
        return CertificateNumbered(
            identifier=identifier,
            number=identifier,
            kind="PROOF",
            part="certificate/1",
            right_id=identifier,
            application_id=row.application_id,
            institutions=(BANK_USCC,),
        )

    spine.enter(ApplicationRecorded(application=row), numbered("c1"), numbered("c2"))
    told = []
    for identifier in ("c1", "c2"):
        spine.clock.move(5)
        spine.enter(
            CertificateSealed(
                identifier=identifier, pdf_sha256=identifier, size_bytes=1, sealed_at=spine.clock()
            )
        )
        told += await spine.queries.case_records(REGISTRY, [row])
    assert [record.sealed_at for record in told] == ["", instant(spine.clock())]


async def test_case_whose_evidence_was_erased_is_told_without_it(spine: Spine) -> None:
    """The key of a case's evidence destroyed: its row is told, what was signed is gone, nothing fails."""
    row = application(1, spine.clock())
    spine.enter(ApplicationRecorded(application=row), application=row.name, payload=b"secret")
    [before] = await spine.queries.case_records(REGISTRY, [row])
    assert before.manifest == b"secret"
    assert before.outcome is not None

    def erase(connection: Any) -> None:
        connection.execute(delete(ledger_key).where(ledger_key.c.key_id == row.application_id))

    spine.sequencer.run(erase).result(timeout=10)
    [after] = await spine.queries.case_records(REGISTRY, [row])
    assert (after.manifest, after.outcome) == (b"", None)
    papers = await spine.queries.case_papers(row)
    assert (papers.sections, papers.acts) == ({}, ())


def event(sequence: int, spine: Spine, institution: str = BANK_USCC) -> AnyEffect:
    """An event of an institution."""
    return EventRecorded(
        institution=institution,
        sequence=sequence,
        kind="APPLICATION_ACCEPTED",
        application_id="a",
        state="ACCEPTED",
        at=spine.clock(),
    )


async def test_events_follow_a_sequence_and_tell_the_last(
    spine: Spine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events after a sequence come in order, a bounded number at a time, with the last there is."""
    spine.enter(event(1, spine), event(2, spine), event(3, spine), event(1, spine, SECOND_BANK_USCC))
    rows, last = await spine.queries.events(REGISTRY, BANK_USCC, 1)
    assert ([row["sequence"] for row in rows], last) == ([2, 3], 3)
    assert await spine.queries.events(REGISTRY, "nobody", 0) == ([], 0)
    monkeypatch.setattr(queries_module, "EVENTS_MAX", 2)
    rows, last = await spine.queries.events(REGISTRY, BANK_USCC, 0)
    assert ([row["sequence"] for row in rows], last) == ([1, 2], 3)


async def test_receipt_is_given_to_the_sender_alone_and_verifies(spine: Spine) -> None:
    """The receipt of an act, by request id or index, is its sender's; under the newest checkpoint it verifies."""
    command = spine.command(CounterMoved(name="n", value=1), institution=BANK_USCC)
    index = spine.submit(command).receipt.index
    spine.enter(CounterMoved(name="n", value=2))
    receipt = await spine.queries.receipt(REGISTRY, BANK_USCC, request_id=command.request_id)
    assert receipt is not None
    assert receipt == await spine.queries.receipt(REGISTRY, BANK_USCC, index=index)
    assert receipt.checkpoint is not None
    checkpoint = open_checkpoint(receipt.checkpoint, spine.signer.vkey)
    assert checkpoint.size == index + 2
    verify_inclusion(
        index, checkpoint.size, receipt.entry_hash, list(receipt.inclusion_proof), checkpoint.root
    )
    assert await spine.queries.receipt(REGISTRY, SECOND_BANK_USCC, index=index) is None
    assert await spine.queries.receipt(REGISTRY, SECOND_BANK_USCC, request_id=command.request_id) is None
    assert await spine.queries.receipt(REGISTRY, BANK_USCC, request_id="unknown") is None


async def test_read_is_one_snapshot_off_the_event_loop(spine: Spine) -> None:
    """What is committed during a read is not in it, and the event loop does not run it."""
    spine.enter(CounterMoved(name="n", value=1))
    threads: set[int] = set()

    def sizes(connection: Any) -> list[int]:
        threads.add(threading.get_ident())
        found = []
        for value in (2, 3):
            found.append(spine.ledger.head(connection, REGISTRY, for_update=False).size)
            spine.enter(CounterMoved(name="n", value=value))
        return found

    assert await spine.queries.read(sizes) == [2, 2]
    assert threading.get_ident() not in threads
    assert (await spine.queries.head(REGISTRY)).size == 4
