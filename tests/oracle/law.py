"""What a case comes to, before acceptance and at a registrar's approval (handbook 1.4, 2.2, 3.4-3.6).

An application is a dict: `steps`; `mode` and `old` (the mortgage that the deal is about); `wanted`, everybody who
applies; `bound`, everybody who has signed these terms; `titles`, those that its sale cites; `names`, those beyond the
law's own whom the terms name as applicants of the first step; `signed` and `consents`, paper code → who signed it;
`lacks`, papers that are not there; `taxed`; `payoff` with `balance` and `overdue`; `undertaken`.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from tests.oracle.blocks import RULE, cell, strictest
from tests.oracle.days import last_day
from tests.oracle.people import N29, applicants, papers_of_mode, papers_of_step, signs_for, word_of
from tests.oracle.register import booked, has_the_share, moved

Found = set[tuple[str, str]]

CODE_2021 = dt.datetime(2021, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=8)))
CHINA = dt.timezone(dt.timedelta(hours=8))


def decide(
    register: dict[str, Any], application: dict[str, Any], *, place: int | None = None
) -> dict[str, Any]:
    """The machine's answer: NOT_ACCEPTED, AWAIT, PERSON, WAIT or BOOK, and what it says.

    `place` is the number of the case in the order of acceptance, None before it.
    """
    told = _look(register, application, place)
    if told["bars"]:
        answer = "NOT_ACCEPTED"
    elif told["awaited"]:
        answer = "AWAIT"
    elif told["person"]:
        answer = "PERSON"
    elif told["waits"]:
        answer = "WAIT"
    else:
        answer = "BOOK"
    return {**told, "answer": answer}


def approve(register: dict[str, Any], application: dict[str, Any], *, place: int) -> dict[str, Any]:
    """A registrar approves: STOPPED, WAIT, TAX, PAYOFF or BOOK (handbook 12.3: looked at again)."""
    told = _look(register, application, place)
    if told["bars"] or told["awaited"]:
        answer = "STOPPED"
    elif told["waits"]:
        answer = "WAIT"
    else:
        answer = gate(application) or "BOOK"
    return {**told, "answer": answer}


def gate(application: dict[str, Any]) -> str:
    """What a decided case waits for: the taxes of a sale, then the payoff of the old loan (handbook 2.3, 9)."""
    ops = [step["op"] for step in application["steps"]]
    if ("SALE" in ops or "CONVERT_SALE" in ops) and not application["taxed"]:
        return "TAX"
    pledged = any(s["op"] == "RELEASE" and s["ground"] == "UNDERTAKING" for s in application["steps"])
    return "PAYOFF" if pledged and not application["undertaken"] else ""


def stops(register: dict[str, Any], application: dict[str, Any], seizure: dict[str, Any], code: str) -> bool:
    """Whether a service that became known just now stops an open case (handbook 3.4): a step on the unit, read as
    strictly as it may be, is barred by it or is a person's.
    """
    flat = register["units"][code]
    today = register["now"].astimezone(CHINA).date()
    state = _seizure(seizure, flat)
    return seizure["until"] >= today and any(
        strictest(state, step) in "B?" or _gives_away(step, seizure, flat)
        for step in application["steps"]
        if step["unit"] == code
    )


def _gives_away(step: dict[str, Any], seizure: dict[str, Any], flat: dict[str, Any]) -> bool:
    """A release of what secures a claim that is seized from its holder (CC 407; EX 24), in whatever row it stands."""
    if step["op"] == "RELEASE":
        return seizure["target"] in flat["mortgages"].get(step["mortgage"], {}).get("banks", ())
    notice = flat["notices"].get(step.get("notice"), {})
    return bool(
        step["op"] == "WAIVE" and notice.get("kind") == "LOAN" and notice["holder"] == seizure["target"]
    )


def _seizure(seizure: dict[str, Any], flat: dict[str, Any]) -> str:
    """What a seizure is to the flat: of a pre-notice's holder, of somebody whom it does not follow, or of the flat."""
    kinds = ("SALE", "LOAN") if seizure["kind"] == "PRE" else ("SALE",)
    holders = {n["holder"] for n in flat["notices"].values() if n["kind"] in kinds}
    if seizure["target"] in holders - set(flat["owners"]):
        return "PRE_SEIZED"
    if seizure["kind"] == "SEIZURE" and _is_of_another(seizure, flat):
        return "NOT_ITS_TARGET"
    return "SEIZED"


def _look(register: dict[str, Any], application: dict[str, Any], place: int | None) -> dict[str, Any]:
    """Every step, on the register as the steps before it leave it; then the deal as a whole."""
    told: dict[str, Any] = {"bars": set(), "awaited": set(), "waits": set(), "warns": set(), "person": False}
    told["person"] = register["gap"]  # the register may be behind the counter: no rule decides (handbook 1.5)
    now = register
    for number, step in enumerate(application["steps"]):
        flat = now["units"][step["unit"]]
        if not _is_there(step, register["units"][step["unit"]]):
            told["bars"].add(("", "R-CONFLICT"))
            continue
        _who(step, flat, application, number, told)
        _guardians(step, flat, register, application, told)
        _papers(papers_of_step(step, flat), application, told)
        _agrees(step, flat, now, application, told)
        _register(step, flat, register, application, place, told)
        if not _is_clean(step, flat, register, application, place):
            told["person"] = True
        now, _ = booked(now, [step], -1 - number)
    if application["mode"] in N29:
        flat = register["units"][application["steps"][0]["unit"]]
        if application["old"] in flat["mortgages"]:
            _papers(papers_of_mode(application, flat), application, told)
        _deal(application, flat["mortgages"].get(application["old"], {}), told)
    return told


def lenders(register: dict[str, Any], application: dict[str, Any]) -> set[str]:
    """Who lends by the case, or has a right on its unit."""
    flat, steps = register["units"][application["steps"][0]["unit"]], application["steps"]
    found = {
        bank for step in steps for bank in (*step.get("banks", ()), step.get("bank"), step.get("holder"))
    }
    found |= {bank for row in flat["mortgages"].values() for bank in row["banks"]}
    return found | {notice["holder"] for notice in flat["notices"].values()}


def _is_there(step: dict[str, Any], flat: dict[str, Any]) -> bool:
    """The right that the step names is live, under the proof that the parties cited."""
    for side in ("mortgage", "notice"):
        if side in step and flat[side + "s"].get(step[side], {}).get("proof") != step["proof"]:
            return False
    return True


def _who(
    step: dict[str, Any],
    flat: dict[str, Any],
    application: dict[str, Any],
    number: int,
    told: dict[str, Any],
) -> None:
    """Whoever must apply, or is named as an applicant, has signed; else the case awaits it (handbook 3.6)."""
    wanted = applicants(step, flat) + (sorted(application["names"]) if number == 0 else [])
    told["awaited"] |= {signer for one in wanted if (signer := signs_for(one)) not in application["bound"]}


def _guardians(
    step: dict[str, Any],
    flat: dict[str, Any],
    register: dict[str, Any],
    application: dict[str, Any],
    told: dict[str, Any],
) -> None:
    """The guardian of a ward that buys proves to be one (RD 11); what the ward has is the table's question."""
    has = set(flat["owners"])
    if "notice" in step:
        has.add(flat["notices"][step["notice"]]["holder"])
    for _ in (set(applicants(step, flat)) & set(register["wards"])) - has:
        told["person"] = True
        if "G" not in application["consents"].get("GUARDIAN", set()):
            told["bars"].add(("N-INCOMPLETE", ""))


def _papers(asked: dict[str, set[str]], application: dict[str, Any], told: dict[str, Any]) -> None:
    """Each is there, signed by all who must: who must may have changed since it was signed."""
    rules = {
        "CLAIM_ASSIGNMENT": "R-NO_CLAIM_ASSIGNMENT",
        "DEBTOR_NOTICE": "R-NO_CLAIM_ASSIGNMENT",
        "MAX_AMOUNT_PARTIAL": "R-MAX_NOT_FIXED",
        "RANK_AGREEMENT": "R-OTHER_MORTGAGEE",
        "CO_OWNER_NOTICE": "R-CO_OWNER",
    }
    for code, signers in asked.items():
        if code in application["lacks"]:
            told["bars"].add(("N-INCOMPLETE", rules.get(code, "")))
        elif signers - application["signed"].get(code, set()):
            told["bars"].add(("C-SIGNATURE", ""))


def _agrees(
    step: dict[str, Any],
    flat: dict[str, Any],
    now: dict[str, Any],
    application: dict[str, Any],
    told: dict[str, Any],
) -> None:
    """Application and register agree; a pre-notice has not lapsed (OS 4.8; CC 221)."""
    owners = flat["owners"]
    match step["op"]:
        case "SALE" | "CONVERT_SALE":
            acting = step["sellers"]
        case "NOTE_SALE":
            acting = step["obligors"]
        case "FIRST" | "CONVERT_LOAN":
            acting = step["mortgagors"]
            if flat["form"] != "BY_SHARES" and set(owners) - set(acting):
                told["bars"].add(("N-NOT_APPLICANT", "R-CO_OWNER"))
        case _:
            acting = []
    if set(acting) - set(owners):
        told["bars"].add(("", "R-CONFLICT"))
    told["bars"] |= _deals_with_owners(step, flat, application)
    if step["op"] == "NOTE_LOAN":
        buyers = {n["holder"] for n in flat["notices"].values() if n["kind"] == "SALE"}
        if set(step["obligors"]) - set(owners) - buyers:
            told["bars"].add(("", "R-CONFLICT"))
    if step["op"].startswith("CONVERT"):
        _converts(step, acting, flat, now, application, told)
    if step["op"] == "CHANGE":
        _change_agrees(step, flat, application, told)
    if step["op"] == "FIX":
        old = flat["mortgages"][step["mortgage"]]
        if old["kind"] != "MAXIMUM_AMOUNT" or step["amount"] > old["amount"]:
            told["bars"].add(("", "R-CONFLICT"))


def _change_agrees(
    step: dict[str, Any], flat: dict[str, Any], application: dict[str, Any], told: dict[str, Any]
) -> None:
    """What is said to change does; who owns by now what is to bear more has a word (CC 395, 406; RD 68)."""
    old = flat["mortgages"][step["mortgage"]]
    if any(old.get(item) == value for item, value in step["to"].items()):
        told["bars"].add(("", "R-CONFLICT"))
    asked = {*step["to"].get("mortgagors", old["mortgagors"]), *word_of(application)}
    if _adds_burden(step, flat) and not set(flat["owners"]) & asked:
        told["bars"].add(("N-NOT_APPLICANT", "R-CO_OWNER"))


def _adds_burden(step: dict[str, Any], flat: dict[str, Any]) -> bool:
    """A larger claim; a new mortgagor (blocks.csv); a new restriction, by our reading."""
    to, row = step["to"], flat["mortgages"][step["mortgage"]]
    return (
        (to.get("restriction") == "RESTRICTED" and row["restriction"] != "RESTRICTED")
        or to.get("amount", 0) > row["amount"]
        or bool(set(to.get("mortgagors", ())) - set(row["mortgagors"]))
    )


def _converts(
    step: dict[str, Any],
    acting: list[str],
    flat: dict[str, Any],
    now: dict[str, Any],
    application: dict[str, Any],
    told: dict[str, Any],
) -> None:
    """What was noted, by its parties, in time (CC 221)."""
    notice = flat["notices"][step["notice"]]
    start = notice["registrable_from"] or notice["booked"].astimezone(CHINA).date()
    applied = (application["accepted"] or now["now"]).astimezone(CHINA).date()
    if applied > last_day(start):  # who has applied in time is not late because others take theirs
        told["bars"].add(("N-BARRED", "R-PRE_NOTICE_LAPSED"))
    if not _as_noted(step, notice):
        told["bars"].add(("", "R-CONFLICT"))
    if set(acting) != set(notice["obligors"]):  # whoever owns now is asked by a person whether it owes it
        told["person"] = True
        if set(acting) != set(flat["owners"]):
            told["bars"].add(("", "R-CONFLICT"))


def _cites(cited: list[str], live: list[str], step: dict[str, Any]) -> bool:
    """Every title of record, or of a share one of them (OS 9.3; RD 21)."""
    return bool(set(cited) & set(live)) if step.get("share") else set(live) <= set(cited)


def _deals_with_owners(step: dict[str, Any], flat: dict[str, Any], application: dict[str, Any]) -> Found:
    """The title cited is of record, a share sold is there (CC 298), who steps in as mortgagor owns (CC 395)."""
    if step["op"] in ("SALE", "CONVERT_SALE") and not _cites(application["titles"], flat["titles"], step):
        return {("", "R-CONFLICT")}
    if step.get("share") and set(step["sellers"]) <= set(flat["owners"]) and not has_the_share(step, flat):
        return {("N-BARRED", "R-CO_OWNER")}
    if step["op"] == "CHANGE":
        new = set(step["to"].get("mortgagors", ())) - set(flat["mortgages"][step["mortgage"]]["mortgagors"])
        return {("", "R-CONFLICT")} if new - set(flat["owners"]) else set()
    return set()


def _as_noted(step: dict[str, Any], notice: dict[str, Any]) -> bool:
    """The final registration is that of the pre-notice (CC 221)."""
    if step["op"] == "CONVERT_SALE":
        return (
            notice["kind"] == "SALE"
            and list(step["buyers"]) == [notice["holder"]]
            and step["price"] == notice["amount"]
        )
    return (
        notice["kind"] == "LOAN"
        and step["banks"] == [notice["holder"]]
        and step["amount"] == notice["amount"]
    )


def _register(
    step: dict[str, Any],
    flat: dict[str, Any],
    before: dict[str, Any],
    application: dict[str, Any],
    place: int | None,
    told: dict[str, Any],
) -> None:
    """Each state that bears on the unit, by the table; the strictest rules, every reason is said (handbook 3.4)."""
    for state, whom in _states(step, flat, before, application, place):
        facts = _facts(step, flat, application, state, whom)
        verdict = cell(state, step, facts)
        if state in ("SALE_NOTED", "LOAN_NOTED") and verdict in "BK" and _is_over(whom, flat, before):
            asked: dict[str, Any] = {"bars": {verdict} - {"K"}, "person": False}
            if verdict == "K":
                _consent(step, flat, application, state, whom, asked)
            told["person"] |= bool(
                asked["bars"]
            )  # lapsed, as it seems, which a person confirms (handbook 3.5)
            continue
        match verdict:
            case "B":
                told["bars"].add(("N-BARRED", RULE[state]))
            case "C":
                told["bars"].add(("C-DISSENT", ""))
            case "T":
                told["waits"].add(RULE[state])
            case "W":
                told["warns"].add(RULE[state])
            case "?":
                told["person"] = True
            case "K":
                _consent(step, flat, application, state, whom, told)
    for group in flat[
        "ranks"
    ]:  # whoever is passed by a rank, or stands beside or behind what grows (CC 409; RD 68)
        for other in group:
            if other != step.get("mortgage") and _is_harmed(other, step, flat):
                banks = set(flat["mortgages"][other]["banks"])
                agreed = _joined(step, flat, application)
                if banks - agreed - application["consents"].get("OTHER_MORTGAGEE_CONSENT", set()):
                    told["bars"].add(("N-INCOMPLETE", "R-OTHER_MORTGAGEE"))


def _is_harmed(other: str, step: dict[str, Any], flat: dict[str, Any]) -> bool:
    places = {one: n for n, group in enumerate(flat["ranks"], start=1) for one in group}
    if step["op"] == "CHANGE":
        if "rank" in step["to"]:
            return _is_passed(other, step["mortgage"], step["to"]["rank"], flat)
        more = step["to"].get("amount", 0) > flat["mortgages"][step["mortgage"]]["amount"]
        return more and places[other] >= places[step["mortgage"]]
    return step["op"] == "FIRST" and step.get("agreed") is not None and places[other] >= step["agreed"]


def _is_passed(other: str, mortgage: str, rank: int, flat: dict[str, Any]) -> bool:
    """Whether a mortgage that was before another one no longer is, or that was beside it is behind it (CC 409)."""
    was, now = flat["ranks"], moved(flat, mortgage, rank)
    before = [n for groups in (was, now) for n, group in enumerate(groups) if other in group]
    own = [n for groups in (was, now) for n, group in enumerate(groups) if mortgage in group]
    return (before[0] < own[0] and before[1] >= own[1]) or (before[0] == own[0] and before[1] > own[1])


def _states(
    step: dict[str, Any],
    flat: dict[str, Any],
    before: dict[str, Any],
    application: dict[str, Any],
    place: int | None,
) -> list[tuple[str, Any]]:
    """The states of a unit, each with the right or the people that it is about."""
    today = before["now"].astimezone(CHINA).date()
    found: list[tuple[str, Any]] = []
    was = before["units"][step["unit"]]
    buying = {n["holder"] for n in was["notices"].values() if n["kind"] == "SALE"}
    for seizure in flat["seizures"]:
        if seizure["until"] < today:
            continue  # lapsed (EX 27)
        state = _seizure(seizure, flat)
        if step["op"] == "CONVERT_LOAN" and seizure["target"] in buying - set(was["owners"]):
            state = "PRE_SEIZED"  # in one phase with the sale: the whole phase
        found.append((state, seizure["target"]))
        if _gives_away(step, seizure, flat):
            found.append(("CLAIM_SEIZED", seizure["target"]))
    found += _dissent(flat["dissent"], today)
    found += [("HABITATION", None)] * bool(flat["habitation"])
    found += [(hold, None) for hold in flat["holds"]]
    for name, notice in flat["notices"].items():
        if name != step.get("notice"):
            found.append(("SALE_NOTED" if notice["kind"] == "SALE" else "LOAN_NOTED", notice))
    for name, row in flat["mortgages"].items():
        found += [(state, row) for state in _restriction(row)]
        if row["kind"] == "MAXIMUM_AMOUNT" and (step["op"] != "MOVE" or step["mortgage"] == name):
            found.append(("MAX_NOT_FIXED", row))
    if flat["form"] in ("JOINT", "BY_SHARES"):
        found.append((flat["form"], None))
    people = set(flat["owners"])
    if "notice" in step:  # the ward's pre-notice; in its release the owner is no party
        holder = flat["notices"][step["notice"]]["holder"]
        people = {holder} if step["op"] == "WAIVE" else people | {holder}
    found += [("WARD", ward) for ward in sorted(people & set(before["wards"]))]
    for case in before["queue"]:
        if step["unit"] in case["units"] and (place is None or case["place"] < place):
            found.append(("QUEUED", case))
    return found


def _is_over(notice: dict[str, Any], flat: dict[str, Any], before: dict[str, Any]) -> bool:
    """Its ninety days have passed, and nobody who holds it has applied (CC 221)."""
    start = notice["registrable_from"] or notice["booked"].astimezone(CHINA).date()
    [name] = [name for name, row in flat["notices"].items() if row is notice]
    applied = any(name in case["names"] for case in before["queue"])
    return before["now"].astimezone(CHINA).date() > last_day(start) and not applied


def _dissent(since: dt.datetime | None, today: dt.date) -> list[tuple[str, Any]]:
    """Without a suit within 15 days it has lapsed (CC 220): whether there was one, a person sees."""
    if since is None:
        return []
    over = today > last_day(since.astimezone(CHINA).date(), 15)
    return [("DISSENT_OVER" if over else "DISSENT", None)]


def _is_of_another(seizure: dict[str, Any], flat: dict[str, Any]) -> bool:
    """Directed at somebody who does not own, and served after who does was booked: it does not follow (handbook 3.4);
    nor does one of a lender's claim.

    One served before that booking bites; so does, by our reading, a pre-seizure of somebody with no pre-notice.
    """
    lenders = {bank for row in flat["mortgages"].values() for bank in row["banks"]}
    lenders |= {n["holder"] for n in flat["notices"].values() if n["kind"] == "LOAN"}
    later = seizure["served"] > flat["owned_since"] or seizure["target"] in lenders
    return seizure["target"] not in flat["owners"] and later


def _restriction(row: dict[str, Any]) -> list[str]:
    """Of before 2021, restricted, free, or silent; the first two may hold together (handbook 3.1)."""
    old = row["first"] < CODE_2021
    if row["restriction"] == "RESTRICTED":
        return ["RESTRICTED", "PRE_2021"] if old else ["RESTRICTED"]
    if old:
        return ["PRE_2021"]
    return ["UNRESTRICTED"] if row["restriction"] == "NONE" else ["UNRECORDED"]


def _facts(
    step: dict[str, Any], flat: dict[str, Any], application: dict[str, Any], state: str, whom: Any
) -> dict[str, Any]:
    """Answers to what a cell asks."""
    to = step.get("to", {})
    row = flat["mortgages"].get(step.get("mortgage"), {})
    acting = {*step.get("sellers", ()), *step.get("obligors", ()), *step.get("mortgagors", ())}
    if step["op"] == "CHANGE":
        acting = {*row["mortgagors"], *to.get("mortgagors", ())}
    agreeing = acting | word_of(application)  # who signed these terms agrees to them, for whatever step
    share = sum((flat["owners"][one] for one in agreeing if flat["owners"].get(one)), start=0)
    signed = application["consents"].get("RISK_STATEMENT", set())
    return {
        "grows": step["op"] == "CHANGE" and _adds_burden(step, flat),
        "risk_accepted": set(applicants(step, flat)) <= signed,
        "by_holder": state == "SALE_NOTED" and whom["holder"] in step.get("obligors", ()),
        "noted_before": state == "LOAN_NOTED"
        and "notice" in step
        and whom["booked"] < flat["notices"][step["notice"]]["booked"],
        "to_its_mortgagor": state == "LOAN_NOTED" and set(step.get("buyers", ())) == set(whom["obligors"]),
        "part_without_agreement": step["op"] == "MOVE" and step["part"] and not step["follows"],
        "same_right": state == "QUEUED" and bool({step.get("mortgage"), step.get("notice")} & whom["names"]),
        "share": share,
        "own_share": bool(step.get("share")),
    }


def _consent(
    step: dict[str, Any],
    flat: dict[str, Any],
    application: dict[str, Any],
    state: str,
    whom: Any,
    told: dict[str, Any],
) -> None:
    """Who is asked, and whether it has agreed in the form that the law wants (handbook 2.2)."""
    bars, consents = told["bars"], application["consents"]
    joined = _joined(step, flat, application)
    match state:
        case "SALE_NOTED" | "LOAN_NOTED":
            agreed = whom["holder"] in joined | consents.get("PRE_NOTICE_HOLDER_CONSENT", set())
            if (
                state == "LOAN_NOTED"
                and step["op"] == "SALE"
                and set(step["buyers"]) == set(whom["obligors"])
            ):
                agreed = True
            if not agreed:
                bars.add(("N-INCOMPLETE", "R-PRE_NOTICE"))
        case "RESTRICTED":
            by_paper = consents.get("MORTGAGEE_JOINT", set()) if step["op"] == "NOTE_SALE" else set()
            if set(whom["banks"]) - joined - by_paper:
                bars.add(
                    ("N-INCOMPLETE" if step["op"] == "NOTE_SALE" else "N-NOT_APPLICANT", "R-RESTRICTION")
                )
        case "PRE_2021":
            if set(whom["banks"]) - joined - consents.get("MORTGAGEE_JOINT", set()):
                bars.add(("N-INCOMPLETE", "R-PRE_CODE_MORTGAGE"))
        case "MAX_NOT_FIXED":
            bars.add(("N-INCOMPLETE", "R-MAX_NOT_FIXED"))
        case "BY_SHARES":  # its own share: the others were told, by a paper of its own (`papers_of_step`)
            pass
        case "JOINT":
            if set(flat["owners"]) - joined:
                bars.add(("N-NOT_APPLICANT", "R-CO_OWNER"))
        case "WARD":
            told["person"] = True
            guardian = {"G"}
            comes = (
                whom in joined or "G" in application["bound"]
            )  # a ward who applies does so by its guardian
            if not comes or guardian - consents.get("GUARDIAN", set()):
                bars.add(("", "R-GUARDIAN"))


def _joined(step: dict[str, Any], flat: dict[str, Any], application: dict[str, Any]) -> set[str]:
    """Who applies for this step: has signed the terms, or is awaited for it. Each step has its own applicants (handbook
    1.2), but the two pre-notices of one phase are given by joining (blocks.csv).
    """
    first = application["steps"][0]
    own = {*word_of(application), *applicants(step, flat)}
    if step == first:
        own |= application["names"]
    if step["op"] == "NOTE_LOAN" and first["op"] == "NOTE_SALE":
        own |= {*first["obligors"], first["holder"]}
    return own


def _deal(application: dict[str, Any], live: dict[str, Any], told: dict[str, Any]) -> None:
    """The old loan is regular, and the price pays it (handbook 2.2)."""
    payoff = application["payoff"]
    if live.get("proof") != application["old_proof"]:
        told["bars"].add(("", "R-CONFLICT"))  # what was stated is about a row that is no longer
    price = next(s["price"] for s in application["steps"] if s["op"] == "SALE")
    if payoff["overdue"]:
        told["bars"].add(("N-BARRED", "R-OVERDUE"))
    if price < payoff["balance"]:
        told["bars"].add(("N-BARRED", "R-PRICE_BELOW_BALANCE"))


def _is_clean(
    step: dict[str, Any],
    flat: dict[str, Any],
    before: dict[str, Any],
    application: dict[str, Any],
    place: int | None,
) -> bool:
    """What a published rule may decide here: a settled release; a first mortgage on a bare flat of its sole owner
    and no open case beside it (handbook 1.4), an ordinary one (ours: a ceiling is a person's to look at).
    """
    if step["op"] == "RELEASE":
        return step["ground"] == "SETTLED"
    if step["op"] != "FIRST":
        return False
    rights = ("mortgages", "notices", "seizures", "dissent", "habitation", "holds")
    bare = not any(flat[right] for right in rights)
    alone = len(flat["owners"]) == 1 and not set(flat["owners"]) & set(before["wards"])
    bare = bare and not any(step["unit"] in case["units"] for case in before["queue"])
    plain = step.get("kind", "ORDINARY") == "ORDINARY" and not step.get("agreed")
    return bare and alone and plain and step["debtors"] == step["mortgagors"]
