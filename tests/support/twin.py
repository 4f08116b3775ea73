"""The gateway's register and the oracle's, side by side: every act is done to both, and both must say the same.

`Twin` holds a world in memory (decisions folded in, queue and clock included) and the oracle's plain register. An act
that comes out differently raises `Disagreement`. No I/O.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from msgspec.structs import replace

from gateway.applications.expiry import NothingDue, decide_overdue, decide_reconsidered
from gateway.applications.feed import decide_feed
from gateway.applications.party import Consent, Join, decide_consent, decide_join
from gateway.applications.review import Act, Verb, decide_review
from gateway.applications.withdrawal import Withdrawal, decide_withdrawal
from gateway.cases.decision import Decision
from gateway.cases.errors import NotPermitted
from gateway.cases.feed import AnyFeedAct
from gateway.cases.model import (
    CLOSED,
    ConsentKind,
    Manifest,
    Paper,
    State,
)
from gateway.register.findings import Severity
from gateway.register.reasons import finding
from tests.oracle import law
from tests.oracle.people import BANKS, natural, signs_for
from tests.support import cases as c
from tests.support import deals as d
from tests.support import twin_values as v
from tests.support.twin_counter import Counter
from tests.support.twin_desk import Decide, Disagreement, Filed


class Twin(Counter):
    """Everything that anybody does, done to both."""

    # -- time ---------------------------------------------------------------------------------

    def pass_time(self, delta: dt.timedelta) -> None:
        """Time goes on, and what has run out ends."""
        self.now += delta
        self.oracle["now"] = self.now
        for filed in list(self.open):
            if filed.row.due_at is not None and self.now >= filed.row.due_at:
                decision = self._overdue(filed)
                wanted = {
                    State.AWAITING_PARTIES: State.EXPIRED,
                    State.AWAITING_TAX: State.REFUSED,
                    State.AWAITING_PAYOFF: State.ACCEPTED,
                }[filed.row.state]
                if decision.outcome.state is not wanted:
                    raise Disagreement(f"{filed.row.state} ran out: {decision.outcome}")
                self._after(filed, decision)

    # -- acts -------------------------------------------------------------------------------------------------------

    def file(self, application: dict[str, Any]) -> str:
        """A submission; both must come to the same."""
        said = law.decide(self.oracle, application)
        what = self._submission(application)
        decision = self._commit(what.manifest, lambda world, moment: c.decide(world, what, moment))
        if said["answer"] == "BOOK":
            said["answer"] = law.gate(application) or "BOOK"
        self._compare("file", application, said, decision)
        row = d.row_of(decision)
        filed = Filed(application, what, row)
        if row.state is not State.NOT_ACCEPTED:
            self.open.append(filed)
        self._after(filed, decision)
        return str(said["answer"])

    def approve(self, filed: Filed) -> str:
        """A registrar approves."""
        assert filed.place is not None
        said = law.approve(self._oracle_for(filed), filed.application, place=filed.place)
        decision = self._review(filed, Verb.APPROVE)
        self._compare("approve", filed.application, said, decision)
        self._after(filed, decision)
        return str(said["answer"])

    def join(self, filed: Filed, bank: str) -> str:
        """A bank that is awaited joins."""
        filed.application["bound"].add(bank)
        said = law.decide(self._oracle_for(filed), filed.application)
        act = self._act(Join, filed, bank, parties=v.parties([bank]))
        try:
            decision = self._commit(
                filed.what.manifest,
                lambda world, moment: decide_join(self._dossier(filed, world), act, moment),
            )
        except NotPermitted:
            if bank in law.lenders(self.oracle, filed.application):
                raise
            filed.application["bound"].discard(bank)
            return "NOTHING TO JOIN"  # the counter has ended the right for whose sake it was awaited
        if said["bars"] and said["awaited"]:
            said["answer"] = "AWAIT"  # the others are still to come: told, not yet closed
        if said["answer"] == "BOOK":
            said["answer"] = law.gate(filed.application) or "BOOK"
        self._compare("join", filed.application, said, decision)
        self._after(filed, decision)
        return str(said["answer"])

    def confirm_payoff(self, filed: Filed) -> str:
        """The old bank says that its loan is paid: the gate opens, unless something has come in the way (EX 23), or
        may have: the feed has a hole (handbook 1.5).
        """
        live = self.oracle["units"][filed.row.units[0]]["mortgages"]
        if filed.application["old"] not in live:
            return ""  # the counter has booked its end: nobody is left to confirm
        [bank] = live[filed.application["old"]]["banks"]
        filed.application["undertaken"] = True
        assert filed.place is not None
        said = law.approve(self._oracle_for(filed), filed.application, place=filed.place)
        if said["answer"] in ("STOPPED", "WAIT") or self.oracle["gap"]:
            said["answer"] = "PERSON"
        act = self._act(Consent, filed, bank, kind=ConsentKind.PAYOFF_CONFIRMED)
        decision = self._commit(
            filed.what.manifest,
            lambda world, moment: decide_consent(self._dossier(filed, world), act, moment),
        )
        self._compare("confirm", filed.application, said, decision)
        self._after(filed, decision)
        return str(said["answer"])

    def withdraw(self, filed: Filed, banks: list[str]) -> None:
        """These banks ask, with a paper of everybody else: ended only by all who applied (IR 15)."""
        people = natural(self.applied(filed))
        acting = {filed.row.applicant_institution, *filed.row.bound_institutions}
        if {v.PEOPLE[b].id_number for b in self.applied(filed) & BANKS} - acting:
            return  # bound by its seal on the form: it has sent nothing that it could take back by itself
        paper = c.paper("WITHDRAWAL", *v.parties(sorted(people)))
        for bank in banks:
            if filed.row.state in CLOSED:
                return
            parties = v.parties([bank, *sorted(people)])
            act = self._act(Withdrawal, filed, bank, paper, parties=parties)
            decision = self._withdrawal(filed, act, paper)
            filed.application.setdefault("asked", set()).add(bank)
            missing = (self.applied(filed) & BANKS) - filed.application["asked"]
            if (decision.outcome.state is State.WITHDRAWN) != (not missing):
                raise Disagreement(f"withdrawal by {bank}, missing {missing}: {decision.outcome}")
            self._after(filed, decision)

    def refuse(self, filed: Filed) -> None:
        """A registrar refuses in writing (IR 22)."""
        decision = self._review(filed, Verb.REFUSE, grounds=(finding("R-CONFLICT", Severity.BLOCKS),))
        if decision.outcome.state is not State.REFUSED:
            raise Disagreement(f"refused, and it is {decision.outcome.state}")
        self._after(filed, decision)

    def _review(self, filed: Filed, verb: Verb, **changes: Any) -> Decision:
        self._index += 1
        row = replace(filed.row, state=State.IN_REVIEW, claimed_by=d.REGISTRAR.registrar_id, suspension="")
        act = Act(
            verb=verb,
            application_id=row.application_id,
            manifest_sha256=row.payload_sha256,
            seen=row.last_index,
            request_id=f"018f0000-0000-7000-9000-{self._index:012x}",
            payload_sha256=f"{self._index:064x}",
            created_at=self.now,
            not_after=self.now + dt.timedelta(days=1),
            **changes,
        )
        what = filed.what
        return self._commit(
            what.manifest,
            lambda world, moment: decide_review(
                world, d.REGISTRAR, row, what.manifest, what.papers, act, moment
            ),
        )

    def _withdrawal(self, filed: Filed, act: Withdrawal, paper: Paper) -> Decision:
        return self._commit(
            filed.what.manifest,
            lambda world, moment: decide_withdrawal(
                replace(self._dossier(filed, world), new_papers=(paper,)), act, moment
            ),
        )

    def _overdue(self, filed: Filed) -> Decision:
        internal = self._internal()
        return self._commit(
            filed.what.manifest,
            lambda world, moment: decide_overdue(self._dossier(filed, world), internal, moment),
        )

    def _reconsidered(self, filed: Filed) -> Decision:
        internal = self._internal()
        return self._commit(
            filed.what.manifest,
            lambda world, moment: decide_reconsidered(self._dossier(filed, world), internal, moment),
        )

    def _commit(self, manifest: Manifest, decide: Decide) -> Decision:
        """One decision on the world as it is now. Here in memory; a ledger's twin commits it (tests/simulation)."""
        return decide(self._world(), self._moment())

    def _feed(self, act: AnyFeedAct) -> Decision:
        """One act of the counter's feed. Here in memory; a ledger's twin commits it (tests/simulation)."""
        return decide_feed(self._feed_world(act), self._signed(act), self._moment())

    def applied(self, filed: Filed) -> set[str]:
        """Applicants who have signed."""
        bound = filed.application["bound"]
        return {one for one in filed.application["wanted"] if signs_for(one) in bound}

    # -- afterwards -------------------------------------------------------------------------------------------------

    def _after(self, filed: Filed, decision: Decision) -> None:
        """Fold what was decided into both, and give the turn to whoever waited."""
        self._fold(decision)
        filed.row = d.row_of(decision)
        if filed.place is None:
            filed.place = filed.row.accepted_index
        filed.application["accepted"] = filed.row.accepted_at
        if filed.row.state is State.BOOKED:
            self._book(filed, decision)
        self.open = [one for one in self.open if one.row.state not in CLOSED]
        self._queue()
        self.check(filed.row.units)
        if filed.row.state in CLOSED:
            self._turns()

    def _turns(self) -> None:
        """Whoever waited behind a case that has ended is looked at again, in order of acceptance (RD 67)."""
        waiting = [one for one in self.open if one.row.state is State.SUSPENDED]
        for filed in sorted(waiting, key=lambda one: one.place or 0):
            if filed.row.state is not State.SUSPENDED:
                continue
            said = law.decide(self._oracle_for(filed), filed.application, place=filed.place)
            if said["answer"] in ("NOT_ACCEPTED", "AWAIT"):
                said["answer"] = "PERSON"
            elif said["answer"] == "BOOK":
                said["answer"] = law.gate(filed.application) or "BOOK"
            if said["person"] and said["waits"]:
                said["answer"] = "WAIT"
            try:
                decision = self._reconsidered(filed)
            except NothingDue:
                if not said["waits"]:
                    raise Disagreement(f"its turn has come: {filed.application} {said}") from None
                continue
            self._compare("turn", filed.application, said, decision)
            self._after(filed, decision)


__all__ = ["Decide", "Disagreement", "Filed", "Twin"]
