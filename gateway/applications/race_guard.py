"""The race guard: what a seizure stops at the instant of its entry, and who is told (EX 23; CC 423(4); EX 25).

Between a seizure and a booking the service on the authority decides (handbook 3.4). What was booked stands and is
listed; what is not booked when the service is known stops in the same entry, so that there is no instant in which a
rule, a gate that opens or a registrar who has not looked again could book it. Releases go on.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from gateway.applications.accepting import QUEUE
from gateway.applications.feed_book import FeedBook
from gateway.applications.later import to_a_person
from gateway.cases.effects import LenderTold
from gateway.cases.model import QUEUED, Application, State
from gateway.register.blocks import OPERATIONS, UnitStateCode, Verdict, variants_of, verdict
from gateway.register.findings import Finding, Severity
from gateway.register.model import (
    Mortgage,
    MortgageKind,
    Ownership,
    PreNotice,
    Seizure,
)
from gateway.register.reasons import finding
from gateway.register.states import Facts, seized_claims, states_of

#: States from which nothing is booked before a registrar has looked: they keep what they wait for.
_WITH_A_PERSON = (State.SUPPLEMENT_REQUESTED, State.SUSPENDED)


def guard(book: FeedBook, seizure: Seizure) -> None:
    """Stop the open cases on each unit that the seizure blocks, and tell the lenders. The seizure is booked already."""
    for code in seizure.units:
        for row in _open_applications(book, code):
            ruling = ruling_on(book, code, seizure, row)
            if ruling >= Verdict.REFER:
                _stop(book, code, row, ruling)
        _tell_lenders(book, code, seizure)
        _list_bookings_since(book, code, seizure)


def ruling_on(book: FeedBook, code: str, seizure: Seizure, row: Application) -> Verdict:
    """What blocks.csv says of the case because of this seizure alone: the strictest of its operations; a case about
    a right whose claim is what is seized is a person's, be it a release (EX 24).

    The row does not say into which part of a split cell an operation falls (does the change add a burden?): the
    strictest part counts, and the registrar, for whom everything is examined again, sees the exact one.
    """
    state = book.states.get(code)
    if state is None:
        return Verdict.ALLOW
    facts = Facts(now=book.moment.now, accepted_at=row.accepted_at)
    found = [
        s.code
        for s in states_of(state, facts)
        if s.right is not None and s.right.right_id == seizure.right_id
    ]
    ruling = max((_worst(s, operation) for s in found for operation in row.operations), default=Verdict.ALLOW)
    claims = {right.identity for right in seized_claims(seizure, state)} if found else set()
    return max(ruling, Verdict.REFER) if claims & set(row.rights) else ruling


def _worst(state: UnitStateCode, operation: str) -> Verdict:
    if operation not in OPERATIONS:
        return Verdict.REFER  # the table knows no such operation: never "allowed" by that
    return max(verdict(state, operation, variant).verdict for variant in variants_of(state, operation))


def _open_applications(book: FeedBook, code: str) -> list[Application]:
    """Our accepted, unfinished cases on a unit, in order of acceptance."""
    known = (book.applications.get(case.application_id) for case in book.cases.get(code, ()))
    return [row for row in known if row is not None and row.state in QUEUED]


def _stop(book: FeedBook, code: str, row: Application, ruling: Verdict) -> None:
    """The case goes to a person with R-SEIZED (or M-REFER where a person may still let it pass); its place is kept."""
    told = _why(code, ruling)
    waits = row.state in _WITH_A_PERSON and row.suspension != QUEUE
    stopped = row if waits else to_a_person(row, ()).row
    stopped = replace(stopped, last_index=book.moment.index, findings_index=book.moment.index)
    book.record(stopped)
    book.about[row.application_id] = (*book.about.get(row.application_id, ()), told)
    if stopped.state is not row.state:
        for uscc in row.institutions:
            if uscc in book.world.institutions:
                book.tell(uscc, f"APPLICATION_{stopped.state.value}", row=stopped)


def _why(code: str, ruling: Verdict) -> Finding:
    zh = f"单元 {code} 在本件登簿前已送达查封文书"
    en = f"unit {code}: a seizure was served before this case was booked"
    if ruling is Verdict.BLOCK:
        return finding(
            "R-SEIZED", Severity.BLOCKS, field="terms.units", article="EX 23; REAL 38(2)", zh=zh, en=en
        )
    return finding(
        "M-REFER",
        Severity.REFERS,
        field="terms.units",
        article="EX 23",
        zh=f"{zh}，由登记员决定",
        en=f"{en}; a registrar decides",
    )


def audience(book: FeedBook, code: str) -> dict[str, Application | None]:
    """Every lender with a right or an open case on the unit, each with its first open case there."""
    found: dict[str, Application | None] = {}
    for row in _open_applications(book, code):
        for uscc in row.institutions:
            if uscc in book.world.institutions:
                found.setdefault(uscc, row)
    state = book.states.get(code)
    for right in state.rights if state else ():
        for uscc in _lenders(book, [right]):
            found.setdefault(uscc, None)
    return found


def _lenders(book: FeedBook, rights: Iterable[object]) -> set[str]:
    """Registered institutions that are mortgagees, or holders of a pre-notice, of record."""
    parties = [
        party
        for right in rights
        if isinstance(right, Mortgage | PreNotice)
        for party in (right.mortgagees if isinstance(right, Mortgage) else right.holders)
    ]
    return {uscc for uscc in map(book.registered, parties) if uscc}


def _tell_lenders(book: FeedBook, code: str, seizure: Seizure) -> None:
    """Each lender, and which of them from now on hold a maximum-amount mortgage that grows no more (CC 423(4))."""
    state = book.states.get(code)
    unfixed = [
        right
        for right in (state.rights if state else ())
        if isinstance(right, Mortgage) and right.kind is MortgageKind.MAXIMUM_AMOUNT
    ]
    growing = _lenders(book, unfixed)
    for uscc, row in audience(book, code).items():
        sequence = book.tell(uscc, "SEIZURE", row=row, unit_code=code)
        book.effects.append(
            LenderTold(
                right_id=seizure.right_id,
                unit_code=code,
                institution=uscc,
                sequence=sequence,
                told_at=book.moment.now,
                maximum_amount=uscc in growing,
            )
        )


def _list_bookings_since(book: FeedBook, code: str, seizure: Seizure) -> None:
    """Say in the answer that bookings came between service and entry; ListBookingsSinceService lists them."""
    state = book.states.get(code)
    since = [
        right
        for right in (state.rights if state else ())
        if isinstance(right, Ownership | Mortgage | PreNotice) and right.booked_at >= seizure.served_at
    ]
    if since:
        book.warn(
            "R-SEIZED",
            f"单元 {code} 在送达之后、录入之前已登簿 {len(since)} 项；登簿不因此撤销，请列报登记员和法院",
            f"unit {code}: {len(since)} booking(s) came after service and before this entry; they stand, "
            "list them to the registrar and the court",
            article="EX 23",
            field=code,
        )


def tell_end(book: FeedBook, seizure: Seizure) -> None:
    """The lenders learn that a seizure is over; the one that waits behind it is live by itself (EX 26)."""
    for code in seizure.units:
        for uscc, row in audience(book, code).items():
            book.tell(uscc, "SEIZURE_ENDED", row=row, unit_code=code)
