"""The register as plain dicts, and what each step of a booking changes in it (handbook 1.1, 2.3, 3.1-3.3).

A unit keeps `ranks`: ids of its live mortgages in order of rank, those of one list equal by agreement.
"""

from __future__ import annotations

import copy
import datetime as dt
from fractions import Fraction
from typing import Any

Register = dict[str, Any]
Step = dict[str, Any]


def unit(*owners: str, form: str = "SOLE", shares: tuple[Any, ...] = ()) -> dict[str, Any]:
    """A registered flat of these owners, with nothing on it."""
    return {
        "owners": dict(zip(owners, shares or [None] * len(owners), strict=True)),
        "form": form,
        "titles": ["title 0"],  # one, or one for each owner (RD 21)
        "owned_since": dt.datetime(2017, 6, 1, tzinfo=dt.UTC),
        "mortgages": {},
        "ranks": [],
        "notices": {},
        "seizures": [],
        "dissent": None,
        "habitation": False,
        "holds": set(),
    }


def booked_after(flat: dict[str, Any], instant: dt.datetime) -> bool:
    """Whether something on the flat was booked later than this (handbook 1.5: counter and register then disagree)."""
    times = [row["booked"] for row in [*flat["mortgages"].values(), *flat["notices"].values()]]
    return any(at > instant for at in [flat["owned_since"], *times])


def live_certificates(flat: dict[str, Any]) -> set[str]:
    """The title or titles, and one proof for each live mortgage and pre-notice."""
    rights = [*flat["mortgages"].values(), *flat["notices"].values()]
    return set(flat["titles"]) | {right["proof"] for right in rights}


def rank_of(flat: dict[str, Any], mortgage: str) -> int:
    """Current rank: the place of its group."""
    return next(n for n, group in enumerate(flat["ranks"], start=1) if mortgage in group)


def booked(register: Register, steps: list[Step], seq: int) -> tuple[Register, list[str]]:
    """The register once every step is booked, in order, and the new certificates in order."""
    touched = {step["unit"]: copy.deepcopy(register["units"][step["unit"]]) for step in steps}
    after = {**register, "units": {**register["units"], **touched}}
    issued: list[str] = []
    for number, step in enumerate(steps):
        flat = after["units"][step["unit"]]
        _STEPS[step["op"]](after, flat, step, f"{seq}.{number}", issued)
    live = {one for flat in touched.values() for one in live_certificates(flat)}
    return after, [one for one in issued if one in live]


def _issue(kind: str, name: str, issued: list[str]) -> str:
    """A new certificate; what a later step of the same booking replaces is never handed out."""
    issued.append(f"{kind} {name}")
    return issued[-1]


def _sale(after: Register, flat: dict[str, Any], step: Step, name: str, issued: list[str]) -> None:
    """The owner is replaced, or one owner's share; every mortgage goes with the unit (CC 406)."""
    if step.get("share") and not has_the_share(step, flat):
        return
    each = step.get("each") or (step.get("share") and len(flat["titles"]) > 1)
    flat["owners"], flat["form"] = owners_after(step, flat)
    count = len(flat["owners"]) if each else 1
    flat["titles"] = [_issue("title", f"{name}.{n}", issued) for n in range(count)]
    flat["owned_since"] = after["now"]


def share_of(person: str, flat: dict[str, Any]) -> Any:
    """What a person holds of the flat; None where nobody wrote it down, 0 for who is no owner."""
    if flat["form"] == "SOLE":
        return Fraction(1) if person in flat["owners"] else Fraction(0)
    return flat["owners"].get(person, Fraction(0))


def has_the_share(step: Step, flat: dict[str, Any]) -> bool:
    """Whether the seller, there is one, holds what he sells (CC 298, 299)."""
    [seller] = step["sellers"]
    held = share_of(seller, flat)
    return held is not None and held >= step["share"]


def owners_after(step: Step, flat: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Who owns, and how, once a sale is booked (CC 298): a share goes from one to another, the rest stays."""
    if not step.get("share"):
        return dict(step["buyers"]), step["form"]
    [seller], [buyer] = step["sellers"], step["buyers"]
    shares = {person: share_of(person, flat) for person in flat["owners"]}
    shares[seller] -= step["share"]
    shares[buyer] = shares.get(buyer, Fraction(0)) + step["share"]
    left = {person: share for person, share in shares.items() if share != 0}
    return (dict.fromkeys(left), "SOLE") if len(left) == 1 else (left, "BY_SHARES")


def _first(after: Register, flat: dict[str, Any], step: Step, name: str, issued: list[str]) -> None:
    """The next rank, unless the parties agreed on another (CC 414; RD 67)."""
    _add(flat, name, step, after["now"], after["now"], issued)


def _add(flat: dict[str, Any], name: str, step: Step, priority: Any, first: Any, issued: list[str]) -> None:
    row = {
        "banks": list(step["banks"]),
        "mortgagors": list(step["mortgagors"]),
        "debtors": list(step["debtors"]),
        "amount": step["amount"],
        "kind": step.get("kind", "ORDINARY"),
        "restriction": step["restriction"],
        "first": first,
        "priority": priority,
        "booked": first,
        "agreed": step.get("agreed"),
    }
    ranks = flat["ranks"]
    rows = [[flat["mortgages"][one] for one in group] for group in ranks]
    # A converted pre-notice counts from its own date (SIG 52): behind the last that is older and moved by nobody's
    # agreement, then before the first that is younger.
    place = 0
    for n, group in enumerate(rows, start=1):
        if any(row["priority"] <= priority and row["agreed"] is None for row in group):
            place = n
    while place < len(rows) and all(row["priority"] <= priority for row in rows[place]):
        place += 1
    row["printed"] = place + 1
    agreed = row["agreed"]
    if agreed is None or agreed > len(ranks):
        ranks.insert(place, [name])
    elif flat["mortgages"][ranks[agreed - 1][0]]["agreed"] == agreed:
        ranks[agreed - 1].append(name)  # equal by agreement
    else:
        ranks.insert(agreed - 1, [name])
    row["proof"] = _issue("proof", name, issued)
    flat["mortgages"][name] = row


def _change(after: Register, flat: dict[str, Any], step: Step, name: str, issued: list[str]) -> None:
    """A changed row in the place of the old one, unless the place is what changes (RD 68; CC 409)."""
    to = dict(step["to"])
    if "rank" in to:
        to["agreed"] = to.pop("rank")
        flat["ranks"] = moved(flat, step["mortgage"], to["agreed"])
    _supersede(after, flat, step, name, issued, **to)


def moved(flat: dict[str, Any], mortgage: str, rank: int) -> list[list[str]]:
    """The order once a mortgage has this rank by agreement: beside whoever agreed the same and is there, else before
    whoever is (CC 409).
    """
    groups = [[one for one in group if one != mortgage] for group in flat["ranks"]]
    groups = [group for group in groups if group]
    if rank <= len(groups) and flat["mortgages"][groups[rank - 1][0]]["agreed"] == rank:
        groups[rank - 1].append(mortgage)
    else:
        groups.insert(rank - 1, [mortgage])
    return groups


def _move(after: Register, flat: dict[str, Any], step: Step, name: str, issued: list[str]) -> None:
    """The same mortgage, another mortgagee, the same rank; a part of the claim makes both mortgagees (CC 407, 421)."""
    old = flat["mortgages"][step["mortgage"]]
    banks = [*old["banks"], step["bank"]] if step["part"] else [step["bank"]]
    _supersede(after, flat, step, name, issued, banks=banks)


def _fix(after: Register, flat: dict[str, Any], step: Step, name: str, issued: list[str]) -> None:
    """An ordinary mortgage of the amount that is owed (CC 423)."""
    _supersede(after, flat, step, name, issued, kind="ORDINARY", amount=step["amount"])


def _supersede(
    after: Register, flat: dict[str, Any], step: Step, name: str, issued: list[str], **changes: Any
) -> None:
    """A new row of the same mortgage, its old proof void (RD 68; handbook 7)."""
    old = flat["mortgages"][step["mortgage"]]
    fresh = {"booked": after["now"], "proof": _issue("proof", name, issued)}
    flat["mortgages"][step["mortgage"]] = {**old, **changes, **fresh}


def _release(after: Register, flat: dict[str, Any], step: Step, name: str, issued: list[str]) -> None:
    """The row becomes historical; those behind it move up in fact (CC 393; RD 70)."""
    del flat["mortgages"][step["mortgage"]]
    groups = [[one for one in group if one != step["mortgage"]] for group in flat["ranks"]]
    flat["ranks"] = [group for group in groups if group]


def _note(after: Register, flat: dict[str, Any], step: Step, name: str, issued: list[str]) -> None:
    """A pre-notice (CC 221)."""
    flat["notices"][name] = {
        "kind": "SALE" if step["op"] == "NOTE_SALE" else "LOAN",
        "holder": step["holder"],
        "obligors": list(step["obligors"]),
        "amount": step["amount"],
        "booked": after["now"],
        "registrable_from": step.get("registrable_from"),
        "proof": _issue("proof", name, issued),
    }


def _convert_sale(after: Register, flat: dict[str, Any], step: Step, name: str, issued: list[str]) -> None:
    """The pre-notice ends, the buyer owns; a pre-seizure of the holder is now a seizure (法发〔2004〕5号)."""
    del flat["notices"][step["notice"]]
    _sale(after, flat, step, name, issued)
    for seizure in flat["seizures"]:
        if seizure["kind"] == "PRE" and seizure["target"] in flat["owners"]:
            seizure["kind"] = "SEIZURE"


def _convert_loan(after: Register, flat: dict[str, Any], step: Step, name: str, issued: list[str]) -> None:
    """The pre-notice ends, the mortgage counts from its date (SIG 52); first registered now."""
    notice = flat["notices"].pop(step["notice"])
    _add(flat, name, step, notice["booked"], after["now"], issued)


def _waive(after: Register, flat: dict[str, Any], step: Step, name: str, issued: list[str]) -> None:
    """The pre-notice ends (RD 89)."""
    del flat["notices"][step["notice"]]


_STEPS = {
    "SALE": _sale,
    "FIRST": _first,
    "CHANGE": _change,
    "MOVE": _move,
    "FIX": _fix,
    "RELEASE": _release,
    "NOTE_SALE": _note,
    "NOTE_LOAN": _note,
    "CONVERT_SALE": _convert_sale,
    "CONVERT_LOAN": _convert_loan,
    "WAIVE": _waive,
}
