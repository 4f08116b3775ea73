"""Who must apply for a step, and on which papers, signed by whom (handbook 1.1, 1.2, 2.2, 6)."""

from __future__ import annotations

from typing import Any

BANKS = {"A", "B", "C", "D"}

#: The modes of N29, in which the old mortgagee states what is owed and every lender signs the agreement.
N29 = {"ET_COMBINED", "ET_SEGMENTED", "ET_CHANGE", "ET_THREE_IN_ONE"}


def applicants(step: dict[str, Any], flat: dict[str, Any]) -> list[str]:
    """Both sides, or the one that the law lets apply alone (IR 14)."""
    match step["op"]:
        case "SALE" | "CONVERT_SALE":
            return [*step["sellers"], *step["buyers"]]
        case "FIRST" | "CONVERT_LOAN":
            return [*step["mortgagors"], *step["banks"]]
        case "NOTE_SALE" | "NOTE_LOAN":
            return [*step["obligors"], step["holder"]]
        case "WAIVE":
            return [flat["notices"][step["notice"]]["holder"]]
        case "RELEASE":
            return list(flat["mortgages"][step["mortgage"]]["banks"])
        case "MOVE":
            old = flat["mortgages"][step["mortgage"]]
            return [step["bank"]] if step["merger"] else [*old["banks"], step["bank"]]
        case "FIX":
            old = flat["mortgages"][step["mortgage"]]
            return [*old["mortgagors"], *old["banks"]]
        case "CHANGE":
            old = flat["mortgages"][step["mortgage"]]
            return [*old["mortgagors"], *step["to"].get("mortgagors", []), *old["banks"]]
    raise KeyError(step["op"])


def signs_for(one: str) -> str:
    """For the ward K its guardian G applies, whatever K has signed (CC 23, 34; RD 11)."""
    return "G" if one == "K" else one


def word_of(application: dict[str, Any]) -> set[str]:
    """Whose word the signatures are: a ward's own is none, the guardian's is that of a ward whom the terms name."""
    bound: set[str] = application["bound"]
    return (bound - {"K"}) | ({"K"} if "G" in bound and "K" in application["wanted"] else set())


def papers_of_step(step: dict[str, Any], flat: dict[str, Any]) -> dict[str, set[str]]:  # noqa: C901 - one case a step
    """Code → who must sign it; the forms of natural persons come beside (`papers`)."""
    old = flat["mortgages"].get(step.get("mortgage"))
    match step["op"]:
        case "SALE" | "CONVERT_SALE":
            asked = {"SALE_CONTRACT": {*step["sellers"], *step["buyers"]}}
            if first_refusal(step, flat):
                asked["CO_OWNER_NOTICE"] = set(step["sellers"])
            return asked
        case "NOTE_SALE":
            return {"SALE_CONTRACT": {*step["obligors"], step["holder"]}}
        case "NOTE_LOAN":
            return {"PRINCIPAL_AND_MORTGAGE_CONTRACT": {*step["obligors"], step["holder"]}}
        case "WAIVE":
            return {"EXTINCTION": {flat["notices"][step["notice"]]["holder"]}}
        case "RELEASE":
            code = "SETTLEMENT_UNDERTAKING" if step["ground"] == "UNDERTAKING" else "EXTINCTION"
            return {code: set(old["banks"])}
        case "FIX":
            return {"FIXING_FACT": {*old["mortgagors"], *old["banks"]}}
        case "MOVE":
            if step["merger"]:
                return {"MERGER_PROOF": set()}
            asked = {"CLAIM_ASSIGNMENT": {*old["banks"], step["bank"]}, "DEBTOR_NOTICE": set(old["banks"])}
            if step["part"] and old["kind"] == "MAXIMUM_AMOUNT" and step["follows"]:
                asked["MAX_AMOUNT_PARTIAL"] = {*old["banks"], step["bank"], *old["mortgagors"]}
            return asked
        case "CHANGE":
            to = step["to"]
            sides = {*old["mortgagors"], *to.get("mortgagors", []), *old["banks"]}
            if "debtors" in to:
                sides |= {*old["debtors"], *to["debtors"]}
            return {"CHANGE_AGREEMENT": sides}
        case "FIRST" | "CONVERT_LOAN":
            asked = {
                "PRINCIPAL_CONTRACT": {*step["debtors"], *step["banks"]},
                "MORTGAGE_CONTRACT": {*step["mortgagors"], *step["banks"]},
            }
            if step.get("kind") == "MAXIMUM_AMOUNT":
                asked["MAX_AMOUNT_CONTRACT"] = {*step["mortgagors"], *step["banks"]}
            if step.get("agreed"):
                asked["RANK_AGREEMENT"] = {*step["mortgagors"], *step["banks"], *concerned(step, flat)}
            return asked
    raise KeyError(step["op"])


def first_refusal(step: dict[str, Any], flat: dict[str, Any]) -> set[str]:
    """The other co-owners, when a share goes to a stranger (CC 305, 306; SIP 13)."""
    if not step.get("share") or set(step["buyers"]) <= set(flat["owners"]):
        return set()
    return set(flat["owners"]) - set(step["sellers"])


def concerned(step: dict[str, Any], flat: dict[str, Any]) -> set[str]:
    """The mortgagees whom an agreed rank passes or puts beside it (RD 67; CC 409)."""
    if not step.get("agreed"):
        return set()
    groups = flat["ranks"][step["agreed"] - 1 :]
    return {bank for group in groups for one in group for bank in flat["mortgages"][one]["banks"]}


def papers_of_mode(application: dict[str, Any], flat: dict[str, Any]) -> dict[str, set[str]]:
    """What the parties of an encumbered transfer agree on, and what the old bank states (N29; S11; S12)."""
    mode = application["mode"]
    if mode not in N29:
        return {}
    old = set(flat["mortgages"][application["old"]]["banks"])
    sale = next(s for s in application["steps"] if s["op"] == "SALE")
    moved = {s["bank"] for s in application["steps"] if s["op"] == "MOVE"}
    new = {bank for s in application["steps"] if s["op"] == "FIRST" for bank in s["banks"]} | moved
    asked = {
        "TRIPARTITE": {*sale["sellers"], *sale["buyers"], *old, *new},
        "PAYOFF_STATEMENT": old,
        "BANK_APPROVAL": old | new,
    }
    if moved:  # one document with the change agreement (S11)
        asked["ASSIGN_AND_CHANGE_AGREEMENT"] = {*old, *moved, *sale["sellers"], *sale["buyers"]}
    return asked


def natural(people: Any) -> set[str]:
    """Those who sign forms rather than envelopes."""
    return {person for person in people if person not in BANKS}
