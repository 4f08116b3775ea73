"""What a twin stands on: both registers and how they are compared, and what is filed as the gateway wants it.

`Disagreement` tells the application, both answers and the findings. No I/O.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from msgspec.structs import replace

from gateway.applications.accepting import Answered
from gateway.applications.later import Dossier
from gateway.applications.submit import Submission
from gateway.cases.decision import Decision
from gateway.cases.effects import (
    ApplicationRecorded,
    CounterCaseRecorded,
    CounterMoved,
    FeedApplied,
    FeedMoved,
    FeedTaken,
    RightBooked,
    RightEnded,
    UnitRecorded,
)
from gateway.cases.feed import AnyFeedAct, CounterCase, FeedState
from gateway.cases.model import (
    QUEUED,
    Application,
    Kind,
    Moment,
    OpenCase,
    Paper,
    State,
    World,
)
from gateway.cases.stated import StatedParty
from gateway.cases.terms import PayoffStatement, TaxClearance, TaxKind
from gateway.kinds.modes import MODES
from gateway.register.findings import Severity
from gateway.register.model import (
    CertificateRef,
    Mortgage,
    PreNotice,
    UnitState,
)
from gateway.register.rank import current_ranks
from tests.oracle.people import BANKS, N29, applicants, natural
from tests.oracle.register import booked, live_certificates, rank_of
from tests.support import cases as c
from tests.support import deals as d
from tests.support import later
from tests.support import twin_values as v

Decide = Callable[[World, Moment], Decision]

#: Gateway's state → the oracle's answer. PERSON and WAIT both are an accepted case that nobody has booked.
ANSWERS = {
    State.BOOKED: "BOOK",
    State.ACCEPTED: "PERSON",
    State.IN_REVIEW: "PERSON",
    State.SUSPENDED: "WAIT",
    State.AWAITING_PARTIES: "AWAIT",
    State.NOT_ACCEPTED: "NOT_ACCEPTED",
    State.AWAITING_TAX: "TAX",
    State.AWAITING_PAYOFF: "PAYOFF",
}


class Disagreement(AssertionError):
    """The gateway and the oracle do not say the same."""


class Filed:
    """A case that is open: what was filed, and the gateway's row of it."""

    def __init__(self, application: dict[str, Any], what: Submission, row: Application) -> None:
        self.application = application
        self.what = what
        self.row = row
        self.place: int | None = row.accepted_index
        self.names = {s[key] for s in application["steps"] for key in ("mortgage", "notice") if key in s}


class Desk:
    """Both registers, the open cases, and the clock; what acts on them is `Twin`."""

    def __init__(self, units: dict[str, dict[str, Any]], now: dt.datetime) -> None:
        self.now = now
        self.oracle: dict[str, Any] = {"units": units, "now": now, "queue": [], "wards": ["K"], "gap": False}
        self.numbers: dict[str, str] = {}
        self.open: list[Filed] = []
        self.feed = FeedState()
        self.held: dict[int, AnyFeedAct] = {}  # acts of the counter that wait behind a hole of its feed
        self.counter_cases: dict[str, CounterCase] = {}
        self.ended: set[str] = set()  # ids of rights that became historical
        self.known: set[str] = set()  # ids of every right there ever was
        self.booked: Counter[str] = Counter()  # how often each step and mode was booked
        self._index = 100
        for number, flat in enumerate(units.values()):
            for token in sorted(live_certificates(flat)):
                self._number(token, number)
        states = {code: v.state_of(code, flat, self.numbers) for code, flat in units.items()}
        self.known = {r.right_id for s in states.values() for r in s.rights}
        banks = {
            party.id_number: replace(c.institution(party, *later.ROLES), permitted_modes=tuple(MODES))
            for party in (v.PEOPLE[name] for name in BANKS)
        }
        profile = replace(c.PROFILE, modes=tuple(MODES))
        self.world: World = c.world(profile=profile, institutions=banks)
        self.world = replace(self.world, units=states)

    def _number(self, token: str, unit: int) -> None:
        kind, serial = ("不动产权", unit + 1) if token.startswith("title") else ("不动产证明", 0)
        if not serial:
            serial = 1000 + len(self.numbers)
        self.numbers[token] = f"苏(2020)江阴市{kind}第{serial:07d}号"

    # -- comparison -------------------------------------------------------------------------------------------------

    def _compare(
        self, verb: str, application: dict[str, Any], said: dict[str, Any], decision: Decision
    ) -> None:
        outcome = decision.outcome
        answer = ANSWERS.get(outcome.state, str(outcome.state)) if outcome.state else ""
        findings = outcome.findings
        bars = {_label(f.code, f.rule) for f in findings if f.severity is Severity.BLOCKS}
        wanted = {_label(*one) for one in said["bars"]}
        if verb != "file" and verb != "join":
            bars, wanted = {_rule(*one) for one in bars}, {_rule(*one) for one in wanted}
        if answer == "PERSON" and said["answer"] == "STOPPED":
            answer = "STOPPED"
        waits = {
            f.code for f in findings if f.severity is Severity.WAITS and f.code not in ("S-TAX", "S-PAYOFF")
        }
        warns = {f.code for f in findings if f.severity is Severity.WARNS}
        if ("", "R-CONFLICT") in bars & wanted:
            bars = wanted = set()  # what cannot be booked on paper leaves the next steps another register
        same = answer == said["answer"]
        if verb in ("file", "turn", "join"):
            same = same and bars == wanted and waits == said["waits"] and warns == said["warns"]
        elif verb == "approve" and said["answer"] in ("STOPPED", "WAIT"):
            same = same and bars == wanted and waits == said["waits"]
        if not same:
            lines = [f"{f.severity} {f.code} {f.rule} {f.field} {f.file} {f.en}" for f in findings]
            raise Disagreement(
                f"{verb}: {application}\n gateway {answer} {sorted(bars)} {sorted(waits)} {sorted(warns)}"
                f"\n oracle {said}\n" + "\n".join(lines)
            )

    def check(self, codes: Iterable[str] | None = None) -> None:
        """The two registers say the same of these units, or of all, and the invariants hold."""
        for code in self.oracle["units"] if codes is None else codes:
            flat = self.oracle["units"][code]
            state = self.world.units[code]
            wanted, got = self._as_oracle(flat), self._as_gateway(state)
            if wanted != got:
                raise Disagreement(f"{code}\n oracle  {wanted}\n gateway {got}")
            self._invariants(state)

    def _as_oracle(self, flat: dict[str, Any]) -> dict[str, Any]:
        return {
            "owners": {name: s and (s.numerator, s.denominator) for name, s in flat["owners"].items()},
            "titles": [self.numbers[title] for title in flat["titles"]],
            "mortgages": {
                self.numbers[row["proof"]]: (
                    sorted(row["banks"]),
                    sorted(row["mortgagors"]),
                    row["amount"],
                    row["restriction"],
                    row["first"],
                    row["priority"],
                    row["printed"],
                    rank_of(flat, name),
                )
                for name, row in flat["mortgages"].items()
            },
            "notices": {self.numbers[n["proof"]]: n["holder"] for n in flat["notices"].values()},
            "seizures": sorted((s["target"], s["kind"]) for s in flat["seizures"]),
            "holds": set(v.holds(flat)),
        }

    def _as_gateway(self, state: UnitState) -> dict[str, Any]:
        ranks = current_ranks(state.mortgages)
        assert state.ownership is not None
        name = {party.key: n for n, party in v.PEOPLE.items()}
        return {
            "owners": {
                name[o.person.key]: o.share and (o.share.numerator, o.share.denominator)
                for o in state.ownership.owners
            },
            "titles": [title.number for title in state.ownership.titles],
            "mortgages": {
                m.proof.number: (
                    sorted(name[p.key] for p in m.mortgagees),
                    sorted(name[p.key] for p in m.mortgagors),
                    m.claim_amount_fen or m.max_claim_amount_fen,
                    m.transfer_restriction.value,
                    m.first_registered_at,
                    m.priority_date,
                    m.rank_at_registration,
                    ranks[m.right_id],
                )
                for m in state.mortgages
            },
            "notices": {n.proof.number: name[n.holders[0].key] for n in state.pre_notices},
            "seizures": sorted(
                (name[s.target.key], "PRE" if s.kind.value.endswith("PRE_SEIZURE") else "SEIZURE")
                for s in state.seizures
            ),
            "holds": set(state.unit.holds),
        }

    def _invariants(self, state: UnitState) -> None:
        owned = [r for r in state.rights if type(r).__name__ == "Ownership"]
        assert len(owned) == 1, "one owner set per unit"
        live = {r.right_id for r in state.rights}
        assert len(live) == len(state.rights), "a right is there once"
        assert not live & self.ended, "rows are superseded, never edited"
        assert live <= self.known, "no right without an entry"
        rows = [r for r in state.rights if isinstance(r, Mortgage)]
        ranks = current_ranks(rows)
        assert sorted(set(ranks.values())) == list(range(1, len(set(ranks.values())) + 1))
        for one in rows:
            for other in rows:
                if one is not other and ranks[one.right_id] == ranks[other.right_id]:
                    assert one.agreed_rank == other.agreed_rank is not None, "ties only by agreement"
        proofs = [r.proof.number for r in state.rights if isinstance(r, Mortgage | PreNotice)]
        assert len(set(proofs)) == len(proofs), "each right has a certificate of its own"

    def _fold(self, decision: Decision) -> None:
        units = dict(self.world.units)
        counters = dict(self.world.counters)
        named = dict(self.world.named)
        for effect in decision.effects:
            match effect:
                case RightBooked():
                    if effect.right.right_id in self.known:
                        raise Disagreement(f"right {effect.right.right_id} is booked twice")
                    self.known.add(effect.right.right_id)
                    for code in effect.right.units:
                        units[code] = UnitState(
                            unit=units[code].unit, rights=(*units[code].rights, effect.right)
                        )
                case RightEnded():
                    if effect.right_id in self.ended or effect.right_id not in self.known:
                        raise Disagreement(f"right {effect.right_id} ends twice, or never was")
                    self.ended.add(effect.right_id)
                    units = {
                        code: UnitState(
                            unit=s.unit, rights=tuple(r for r in s.rights if r.right_id != effect.right_id)
                        )
                        for code, s in units.items()
                    }
                case UnitRecorded():
                    units[effect.unit.unit_code] = UnitState(
                        unit=effect.unit, rights=units[effect.unit.unit_code].rights
                    )
                case FeedMoved():
                    self.feed = effect.state
                case FeedTaken() if effect.held is not None:
                    self.held[effect.sequence] = effect.held
                case FeedApplied():
                    del self.held[effect.sequence]
                case CounterCaseRecorded():
                    self.counter_cases[effect.case.case_number] = effect.case
                case CounterMoved():
                    counters[effect.name] = effect.value
                case ApplicationRecorded():
                    named[effect.application.name] = effect.application
                case _:
                    pass
        self.world = replace(self.world, units=units, counters=counters, named=named)

    def _book(self, filed: Filed, decision: Decision) -> None:
        after, issued = booked(self.oracle, filed.application["steps"], self._index)
        kinds = [content.kind.value.lower() for content in decision.contents]
        if kinds != [token.split()[0] for token in issued]:
            raise Disagreement(f"certificates {kinds}, the oracle says {issued}: {filed.application}")
        for token, content in zip(issued, decision.contents, strict=True):
            self.numbers[token] = content.number
        self.oracle = {**after, "queue": self.oracle["queue"]}
        self.booked.update([*(step["op"] for step in filed.application["steps"]), filed.application["mode"]])

    # -- building ---------------------------------------------------------------------------------------------------

    def _submission(self, application: dict[str, Any]) -> Submission:
        flat = self.oracle["units"][application["steps"][0]["unit"]]
        steps = application["steps"]
        named = (
            [sorted(application["names"] | set(applicants(steps[0], flat)))] if application["names"] else [()]
        )
        named += [()] * (len(steps) - 1)
        operations = tuple(
            v.operation(step, flat, self.numbers, who) for step, who in zip(steps, named, strict=True)
        )
        filer = v.PEOPLE[application["filer"]]
        base = c.submission(operations[0], {}, applicant=filer).manifest
        self._index += 1
        header = replace(
            base.header,
            request_id=f"018f0000-0000-7000-8000-{self._index:012x}",
            created_at=self.now,
            not_after=self.now + dt.timedelta(days=1),
        )
        terms = replace(
            base.terms,
            operations=operations,
            mode=application["mode"],
            payoff_statements=self._statements(application, flat),
            tax_clearances=self._taxes(application),
            separate_certificates=any(step.get("each") for step in steps),
            parties=tuple(StatedParty(id=one, person=v.PEOPLE[one]) for one in sorted(application["wanted"])),
        )
        kind = Kind.MORTGAGE
        if application["mode"]:
            kind = Kind.ENCUMBERED_TRANSFER
        elif any(s["op"].startswith(("NOTE", "CONVERT", "WAIVE")) for s in steps):
            kind = Kind.PRE_NOTICE
        elif steps[0]["op"] == "RELEASE":
            kind = Kind.MORTGAGE_RELEASE
        papers = self._papers(application)
        manifest = replace(
            base, header=header, kind=kind, terms=terms, files=tuple(p.reference for p in papers)
        )
        return Submission(manifest=manifest, payload_sha256=f"{self._index:064x}", papers=papers)

    def _statements(self, application: dict[str, Any], flat: dict[str, Any]) -> tuple[PayoffStatement, ...]:
        if application["mode"] not in N29:
            return ()
        row = flat["mortgages"][application["old"]]
        today = self.now.date()
        return (
            d.statement(
                proof=CertificateRef(number=self.numbers[row["proof"]]),
                balance_fen=application["payoff"]["balance"],
                overdue=application["payoff"]["overdue"],
                as_of=today - dt.timedelta(days=2),
                valid_until=today + dt.timedelta(days=300),
                mortgagee=v.PEOPLE[row["banks"][0]],
            ),
        )

    def _taxes(self, application: dict[str, Any]) -> tuple[TaxClearance, ...]:
        if not application["taxed"]:
            return ()
        yesterday = self.now - dt.timedelta(days=1)
        return tuple(d.cleared(kind, cleared_at=yesterday) for kind in (TaxKind.DEED, TaxKind.INCOME))

    def _papers(self, application: dict[str, Any]) -> tuple[Paper, ...]:
        """What the oracle says is wanted, signed by whom it says, but what the case lacks."""
        asked = {code: set(signers) for code, signers in application["signed"].items()}
        flat = self.oracle["units"][application["steps"][0]["unit"]]
        for code, signers in application["consents"].items():
            asked.setdefault(code, set()).update(signers)
        if application["undertaken"] and application["old"]:
            new = {b for s in application["steps"] for b in s.get("banks", ())}
            asked["PAYOFF_UNDERTAKING"] = set(flat["mortgages"][application["old"]]["banks"]) | new
        there = {code: self._paper(code, who) for code, who in asked.items()}
        bound = application["bound"] - {application["filer"]}
        there["APPLICATION"] = self._paper("APPLICATION", bound, bound=True)
        if natural(application["wanted"]):
            there["INQUIRY_RECORD"] = self._paper("INQUIRY_RECORD", bound, bound=True)
            there["REMOTE_IDENTITY"] = self._paper("REMOTE_IDENTITY", set())
        return tuple(paper for code, paper in there.items() if code not in application["lacks"])

    def _paper(self, code: str, who: set[str], *, bound: bool = False) -> Paper:
        """Each case has files of its own."""
        digest = hashlib.sha256(f"{self._index} {code}".encode()).hexdigest()
        return c.paper(code, *v.parties(sorted(who)), bound=bound, sha256=digest)

    def _world(self) -> World:
        cases: dict[str, tuple[OpenCase, ...]] = {}
        for one in self.open:
            if one.row.state in QUEUED and one.row.accepted_index is not None:
                case = OpenCase(
                    application_id=one.row.application_id,
                    accepted_index=one.row.accepted_index,
                    rights=one.row.rights,
                )
                for code in one.row.units:
                    cases[code] = (*cases.get(code, ()), case)
        for at_counter in self.counter_cases.values():
            for code, place in at_counter.places.items() if at_counter.is_open else ():
                case = OpenCase(
                    application_id=at_counter.queue_id, accepted_index=place, rights=at_counter.rights
                )
                cases[code] = (*cases.get(code, ()), case)
        return replace(self.world, open_cases=cases, feed_gap=self.feed.is_gap(0, self.now))

    def _oracle_for(self, filed: Filed) -> dict[str, Any]:
        """The register as one of its own cases meets it."""
        others = [one for one in self.oracle["queue"] if one["case"] is not filed]
        return {**self.oracle, "queue": others}

    def _dossier(self, filed: Filed, world: World) -> Dossier:
        return Dossier(world=world, row=filed.row, manifest=filed.what.manifest, papers=filed.what.papers)

    def _act(self, kind: Any, filed: Filed, bank: str, /, *new: Paper, **changes: Any) -> Any:
        at = {"created_at": self.now, "not_after": self.now + dt.timedelta(days=1)}
        fields = {
            "request_id": f"act-{self._index}",
            "payload_sha256": f"{self._index:064x}",
            **at,
            **changes,
        }
        return later.act(kind, filed.row, *new, by=v.PEOPLE[bank], **fields)

    def _internal(self) -> Answered:
        return replace(later.INTERNAL, request_id=f"clock-{self._index}")

    def _moment(self) -> Moment:
        """The next entry, a moment after the last: rows of one instant are test_register_rank.py's."""
        self._index += 1
        self.now += dt.timedelta(microseconds=1)
        self.oracle["now"] = self.now
        return replace(
            c.moment(self._index, self.now), application_id=f"018f0000-0000-7000-8000-{self._index:012x}"
        )


def _label(code: str, rule: str) -> tuple[str, str]:
    """R-CONFLICT and R-GUARDIAN may come under several N- and C- codes; a mismatch is a conflict."""
    if code == "C-MISMATCH":
        return ("", "R-CONFLICT")
    return ("", rule) if rule in ("R-CONFLICT", "R-GUARDIAN") else (code, rule)


def _rule(code: str, rule: str) -> tuple[str, str]:
    """After acceptance the rule is the code (handbook 3.7)."""
    return ("", rule or code)
