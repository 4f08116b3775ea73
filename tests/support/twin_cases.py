"""Cases made up on a twin's register: every operation and mode, mostly right, sometimes wanting. `pick` chooses.

`pick(options)` is Hypothesis' or a seeded generator's; nothing else is random, so a run is its choices.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from tests.oracle.people import BANKS, applicants, papers_of_mode, papers_of_step
from tests.oracle.register import booked, has_the_share, owners_after, share_of, unit
from tests.support.twin import Twin
from tests.support.twin_values import unit_code

Pick = Callable[[Sequence[Any]], Any]

LENDERS = ("A", "B", "C")
RESTRICTIONS = ("NONE", "NONE", "RESTRICTED", "UNRECORDED")
AMOUNTS = (40_000_000, 50_000_000, 60_000_000)
PRICES = (200_000_000, 30_000_000)
UTC = dt.UTC
FIRSTS = (
    dt.datetime(2019, 5, 6, 2, tzinfo=UTC),
    dt.datetime(2020, 12, 31, 15, 59, tzinfo=UTC),  # a minute before the Civil Code
    dt.datetime(2020, 12, 31, 16, 0, tzinfo=UTC),  # its first instant in China
    dt.datetime(2023, 5, 8, 2, tzinfo=UTC),
)


def flats(pick: Pick, count: int) -> dict[str, dict[str, Any]]:
    """A few flats of various owners, some of them mortgaged."""
    return {unit_code(number): _flat(pick, number) for number in range(1, count + 1)}


def _flat(pick: Pick, number: int) -> dict[str, Any]:
    third = Fraction(1, 3)
    flat = pick(
        [
            lambda: unit("S"),
            lambda: unit("S"),
            lambda: unit("S", "T", form="JOINT"),
            lambda: unit("S", "T", "U", form="BY_SHARES", shares=(third, third, third)),
            lambda: unit("S", "T", form="BY_SHARES", shares=(Fraction(3, 4), Fraction(1, 4))),
            lambda: unit("K"),
        ]
    )()
    flat["titles"] = [f"title u{number}"]
    for place in range(pick([0, 1, 1, 2])):
        name = f"u{number}m{place + 1}"
        first = pick(FIRSTS)
        # rank is by registration: the second came after the first
        first = max([first, *(m["first"] + dt.timedelta(days=1) for m in flat["mortgages"].values())])
        flat["mortgages"][name] = {
            "banks": [pick(LENDERS)],
            "mortgagors": list(flat["owners"]),
            "debtors": list(flat["owners"]),
            "amount": pick(AMOUNTS),
            "kind": pick(["ORDINARY", "ORDINARY", "MAXIMUM_AMOUNT"]),
            "restriction": pick(RESTRICTIONS),
            "first": first,
            "priority": first,
            "booked": first,
            "agreed": None,
            "printed": place + 1,
            "proof": f"proof {name}",
        }
        flat["ranks"].append([name])
    return flat


def application(twin: Twin, pick: Pick) -> dict[str, Any]:
    """A case on some unit."""
    code = pick(sorted(twin.oracle["units"]))
    flat = twin.oracle["units"][code]
    kinds: list[Callable[..., dict[str, Any]]] = [_first, _first, _two_lenders, _note_sale, _note_sale]
    if flat["mortgages"]:
        kinds += [_release, _change, _move, _fix, _combined, _combined, _segmented, _et_change, _three_in_one]
    if any(n["kind"] == "SALE" for n in flat["notices"].values()):
        kinds += [_convert, _convert, _convert, _note_loan, _waive]
    made = pick(kinds)(code, flat, pick, twin.now)
    for step in made["steps"]:
        step["unit"] = code
        for side in ("mortgage", "notice"):
            if side in step:
                step["proof"] = flat[side + "s"][step[side]]["proof"]
    made = {"mode": "", "old": "", "names": set(), **made}
    made["titles"] = list(flat["titles"])
    made["old_proof"] = flat["mortgages"][made["old"]]["proof"] if made["old"] else ""
    return _signed(made, twin, flat, pick)


def _signed(made: dict[str, Any], twin: Twin, flat: dict[str, Any], pick: Pick) -> dict[str, Any]:
    """Everybody signs and every paper is there, or somebody does not, or one is not."""
    wanted: list[str] = []
    signed: dict[str, set[str]] = {}
    now = twin.oracle
    for number, step in enumerate(made["steps"]):
        here = now["units"][step["unit"]]
        wanted += applicants(step, here)
        for code, signers in papers_of_step(step, here).items():
            signed.setdefault(code, set()).update(signers)
        now, _ = booked(now, [step], -1 - number)
    signed |= papers_of_mode(made, flat)
    codes = sorted(signed)
    if "ASSIGN_AND_CHANGE_AGREEMENT" in codes:
        codes.remove("CHANGE_AGREEMENT")  # the same document
    wanted += sorted(made["names"])
    wanted += ["G"] if _asks_guardian(made, flat, wanted) else []
    banks = [one for one in dict.fromkeys(wanted) if one in BANKS]
    filer = pick(banks) if banks else "B"
    bound = {*wanted, filer}
    if len(bound) > 1 and pick([False] * 5 + [True]):
        bound.discard(pick(sorted(bound - {filer})))
    if pick([True, True, False]):
        bound |= {"G"} if _wards(flat) else set()
    bound |= {"K"} if {"K", "G"} <= {*wanted, *bound} and "G" in bound else set()
    lacks = {pick(codes)} if codes and pick([False] * 15 + [True]) else set()
    return {
        **made,
        "filer": filer,
        "wanted": set(wanted),
        "signed": signed,
        "accepted": None,
        "bound": bound,
        "consents": _consents(twin, flat, set(wanted), pick),
        "lacks": lacks,
        "taxed": pick([True, True, False]),
        "payoff": {"balance": 45_000_000, "overdue": pick([False] * 9 + [True])},
        "undertaken": pick([True, False]),
    }


def _asks_guardian(made: dict[str, Any], flat: dict[str, Any], wanted: list[str]) -> bool:
    """Whether a ward applies whose own right the case is not about: its guardian is to sign."""
    return "K" in wanted and "K" not in flat["owners"] and not any("notice" in s for s in made["steps"])


def _wards(flat: dict[str, Any]) -> bool:
    return "K" in flat["owners"] or any(n["holder"] == "K" for n in flat["notices"].values())


def _consents(twin: Twin, flat: dict[str, Any], wanted: set[str], pick: Pick) -> dict[str, set[str]]:
    """Consents that the register may ask for, each given or not."""
    given: dict[str, set[str]] = {}
    banks = {bank for row in flat["mortgages"].values() for bank in row["banks"]}
    holders = {notice["holder"] for notice in flat["notices"].values()}
    asked = {"OTHER_MORTGAGEE_CONSENT": banks, "MORTGAGEE_JOINT": banks, "PRE_NOTICE_HOLDER_CONSENT": holders}
    for code, people in asked.items():
        if people and pick([True, True, False]):
            given[code] = set(people)
    if flat["dissent"] and pick([True, True, False]):
        given["RISK_STATEMENT"] = wanted
    if ("K" in wanted or _wards(flat)) and pick([True, True, False]):
        given["GUARDIAN"] = {"G"}
    return given


def _acting(flat: dict[str, Any], pick: Pick) -> list[str]:
    """The owners, or some of them, or a stranger."""
    owners = list(flat["owners"])
    ways = [owners] * 6
    if len(owners) > 1:
        ways += [owners[:1], owners[:2]]
    return list(pick([*ways, ["Z"]] if pick([False] * 15 + [True]) else ways))


def _buyers(flat: dict[str, Any], pick: Pick) -> dict[str, Any]:
    free = [one for one in ("Y", "U", "Z", "V") if one not in flat["owners"]]
    if len(free) > 1 and pick([False, False, True]):
        return {"buyers": dict.fromkeys(free[:2]), "form": "JOINT"}
    return {"buyers": {pick(free): None}, "form": "SOLE"}


def _first(code: str, flat: dict[str, Any], pick: Pick, now: Any) -> dict[str, Any]:
    people = _acting(flat, pick)
    step = {**_loan(people, pick), "agreed": None}
    if flat["ranks"] and pick([False, False, False, True]):
        step["agreed"] = pick(range(1, len(flat["ranks"]) + 1))
    return {"steps": [step]}


def _loan(people: list[str], pick: Pick) -> dict[str, Any]:
    kind = pick(["ORDINARY", "ORDINARY", "ORDINARY", "MAXIMUM_AMOUNT"])
    return {
        "op": "FIRST",
        "mortgagors": people,
        "debtors": people,
        "banks": [pick(LENDERS)],
        "amount": pick(AMOUNTS),
        "restriction": pick(["NONE", "RESTRICTED"]),
        "kind": kind,
    }


def _two_lenders(code: str, flat: dict[str, Any], pick: Pick, now: Any) -> dict[str, Any]:
    people = list(flat["owners"])
    return {"steps": [{**_loan(people, pick), "banks": ["A"]}, {**_loan(people, pick), "banks": ["D"]}]}


def _note_sale(code: str, flat: dict[str, Any], pick: Pick, now: Any) -> dict[str, Any]:
    people = _acting(flat, pick)
    buyer = pick([one for one in ("Y", "Z", "K", "V") if one not in flat["owners"]])
    sale = {
        "op": "NOTE_SALE",
        "holder": buyer,
        "obligors": people,
        "amount": PRICES[0],
        "registrable_from": pick([None, now.date(), now.date() + dt.timedelta(days=10)]),
    }
    steps = [sale]
    if pick([True, False]):
        steps.append(_noted_loan(buyer, pick))
    return {"steps": steps}


def _noted_loan(buyer: str, pick: Pick) -> dict[str, Any]:
    return {
        "op": "NOTE_LOAN",
        "holder": pick(LENDERS),
        "obligors": [buyer],
        "amount": pick(AMOUNTS),
        "registrable_from": None,
    }


def _note_loan(code: str, flat: dict[str, Any], pick: Pick, now: Any) -> dict[str, Any]:
    buyer = pick(sorted(n["holder"] for n in flat["notices"].values() if n["kind"] == "SALE"))
    return {"steps": [_noted_loan(pick([buyer, next(iter(flat["owners"]))]), pick)]}


def _convert(code: str, flat: dict[str, Any], pick: Pick, now: Any) -> dict[str, Any]:
    sale = pick(sorted(name for name, n in flat["notices"].items() if n["kind"] == "SALE"))
    notice = flat["notices"][sale]
    steps: list[dict[str, Any]] = [
        {
            "op": "CONVERT_SALE",
            "notice": sale,
            "sellers": list(notice["obligors"]),
            "buyers": {notice["holder"]: None},
            "form": "SOLE",
            "price": notice["amount"] + pick([0] * 9 + [1]),
        }
    ]
    for name, loan in flat["notices"].items():
        if loan["kind"] == "LOAN" and loan["obligors"] == [notice["holder"]] and pick([True, True, False]):
            steps.append(
                {
                    "op": "CONVERT_LOAN",
                    "notice": name,
                    "mortgagors": list(loan["obligors"]),
                    "debtors": list(loan["obligors"]),
                    "banks": [loan["holder"]],
                    "amount": loan["amount"],
                    "restriction": "NONE",
                }
            )
    return {"steps": steps}


def _waive(code: str, flat: dict[str, Any], pick: Pick, now: Any) -> dict[str, Any]:
    return {"steps": [{"op": "WAIVE", "notice": pick(sorted(flat["notices"]))}]}


def _release(code: str, flat: dict[str, Any], pick: Pick, now: Any) -> dict[str, Any]:
    return {"steps": [{"op": "RELEASE", "mortgage": pick(sorted(flat["mortgages"])), "ground": "SETTLED"}]}


def _change(code: str, flat: dict[str, Any], pick: Pick, now: Any) -> dict[str, Any]:
    name = pick(sorted(flat["mortgages"]))
    row = flat["mortgages"][name]
    to: dict[str, Any] = {"amount": row["amount"] + pick([-10_000_000, 10_000_000])}
    if pick([False, False, True]):
        to = {"restriction": pick([r for r in ("NONE", "RESTRICTED") if r != row["restriction"]])}
    elif len(flat["ranks"]) > 1 and pick([False, True]):
        to = {"rank": pick(range(1, len(flat["ranks"]) + 1))}
    return {"steps": [{"op": "CHANGE", "mortgage": name, "to": to}]}


def _move(code: str, flat: dict[str, Any], pick: Pick, now: Any) -> dict[str, Any]:
    name = pick(sorted(flat["mortgages"]))
    row = flat["mortgages"][name]
    others = [bank for bank in (*LENDERS, "D") if bank not in row["banks"]]
    if not others:
        return _release(code, flat, pick, now)
    to = pick(others)
    merger = pick([False, False, True]) and len(row["banks"]) == 1
    part = not merger and row["kind"] == "MAXIMUM_AMOUNT" and pick([False, True])
    follows = bool(part and pick([True, True, False]))
    return {
        "steps": [
            {"op": "MOVE", "mortgage": name, "bank": to, "merger": merger, "part": part, "follows": follows}
        ]
    }


def _fix(code: str, flat: dict[str, Any], pick: Pick, now: Any) -> dict[str, Any]:
    name = pick(sorted(flat["mortgages"]))
    amount = flat["mortgages"][name]["amount"] - pick([1_000_000] * 4 + [-1])
    return {"steps": [{"op": "FIX", "mortgage": name, "amount": amount}]}


# -- encumbered transfer -------------------------------------------------------------------------------------------


def _deal(flat: dict[str, Any], pick: Pick) -> tuple[dict[str, Any], str, dict[str, Any]]:
    """The sale of the flat or of a share, the old mortgage that the deal is about, and the new owners' mortgage."""
    sale = {
        "op": "SALE",
        "sellers": _acting(flat, pick),
        **_buyers(flat, pick),
        "price": pick(PRICES * 1 + PRICES[:1] * 4),
    }
    if pick([False, False, True]):
        _of_a_share(sale, flat, pick)
    if (len(sale["buyers"]) > 1 or "share" in sale) and pick([True, False]):
        sale["each"] = True
    old = pick(sorted(name for name, row in flat["mortgages"].items() if len(row["banks"]) == 1) or [""])
    return sale, old, _loan(_mortgagors(sale, flat, pick), pick)


def _of_a_share(sale: dict[str, Any], flat: dict[str, Any], pick: Pick) -> None:
    """One owner sells what he holds, a half of it, or more than it, to a stranger or to another owner."""
    seller = pick(list(flat["owners"]))
    held = share_of(seller, flat) or Fraction(1, 2)
    share = pick([held, held, held / 2, held / 2, (held + 1) / 2])
    others = [one for one in flat["owners"] if one != seller]
    buyer = pick([*others, *(one for one in ("Y", "Z") if one not in flat["owners"])])
    if share < 1:
        sale |= {"sellers": [seller], "buyers": {buyer: None}, "form": "SOLE", "share": share}


def _mortgagors(sale: dict[str, Any], flat: dict[str, Any], pick: Pick) -> list[str]:
    """Whoever owns afterwards; of a share sold, sometimes the buyer alone."""
    if "share" not in sale or not has_the_share(sale, flat) or pick([False, False, True]):
        return list(sale["buyers"])
    return list(owners_after(sale, flat)[0])


def _joining(flat: dict[str, Any], pick: Pick) -> set[str]:
    """Old mortgagees whom the terms name as applicants of the sale."""
    banks = {
        b for row in flat["mortgages"].values() for b in row["banks"] if row["restriction"] == "RESTRICTED"
    }
    return banks if pick([True, True, False]) else set()


def _combined(code: str, flat: dict[str, Any], pick: Pick, now: Any) -> dict[str, Any]:
    sale, old, new = _deal(flat, pick)
    if not old:
        return _first(code, flat, pick, now)
    release = {"op": "RELEASE", "mortgage": old, "ground": pick(["SETTLED", "UNDERTAKING"])}
    return {"mode": "ET_COMBINED", "old": old, "steps": [sale, release, new], "names": _joining(flat, pick)}


def _segmented(code: str, flat: dict[str, Any], pick: Pick, now: Any) -> dict[str, Any]:
    sale, old, new = _deal(flat, pick)
    if not old:
        return _first(code, flat, pick, now)
    return {"mode": "ET_SEGMENTED", "old": old, "steps": [sale, new], "names": _joining(flat, pick)}


def _rewritten(people: list[str], old: str) -> dict[str, Any]:
    return {"op": "CHANGE", "mortgage": old, "to": {"mortgagors": people, "debtors": people}}


def _et_change(code: str, flat: dict[str, Any], pick: Pick, now: Any) -> dict[str, Any]:
    sale, old, new = _deal(flat, pick)
    if not old:
        return _first(code, flat, pick, now)
    steps = [sale, _rewritten(new["mortgagors"], old)]
    if pick([True, False]):
        to = pick([bank for bank in LENDERS if bank not in flat["mortgages"][old]["banks"]])
        move = {"op": "MOVE", "mortgage": old, "bank": to, "merger": False, "part": False, "follows": False}
        steps = [sale, move, {**_rewritten(new["mortgagors"], old), "banks": [to]}]
    return {"mode": "ET_CHANGE", "old": old, "steps": steps, "names": _joining(flat, pick)}


def _three_in_one(code: str, flat: dict[str, Any], pick: Pick, now: Any) -> dict[str, Any]:
    sale, old, new = _deal(flat, pick)
    if not old:
        return _first(code, flat, pick, now)
    return {
        "mode": "ET_THREE_IN_ONE",
        "old": old,
        "steps": [sale, _rewritten(new["mortgagors"], old), new],
        "names": _joining(flat, pick),
    }
