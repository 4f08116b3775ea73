"""What blocks what, as handbook 3.4 prints it; the column FIX and the last four rows are of its table blocks.csv.

B bars, K wants a consent, W warns, T waits, ok passes, ? is a person's, - does not concern. A small letter is a cell
that asks a further question, answered in `cell`. NOT_ITS_TARGET, a seizure of somebody who does not own, is ours, and
so is CLAIM_SEIZED.
"""

from __future__ import annotations

from typing import Any

COLUMNS = ("SALE", "FIRST", "CHANGE", "MOVE", "RELEASE", "NOTE", "CONVERT", "WAIVE", "FIX")

EXTRACT = """
SEIZED           B   B   b   ?   ok  B   B   ok  ?
PRE_SEIZED       B   B   ?   ?   ok  B   v   B   ?
NOT_ITS_TARGET   ?   ?   ?   ?   ok  ?   ?   ok  ?
CLAIM_SEIZED     -   -   -   -   ?   -   -   ?   -
DISSENT          d   d   d   ok  ok  d   d   ok  ?
DISSENT_OVER     ?   ?   ?   ok  ok  ?   ?   ok  ?
SALE_NOTED       K   K   k   ok  ok  n   ok  ok  ?
LOAN_NOTED       K   K   k   ok  ok  K   o   ok  ?
RESTRICTED       K   ok  ok  ok  ok  s   s   ok  ok
UNRESTRICTED     W   ok  ok  ok  ok  ok  w   ok  ok
PRE_2021         K   ok  ok  ok  ok  s   s   ok  ok
UNRECORDED       ?   ok  ok  ok  ok  q   q   ok  ok
MAX_NOT_FIXED    ok  ok  ok  m   ok  ok  ok  ok  ok
JOINT            K   K   K   -   -   K   K   ?   K
BY_SHARES        h   h   h   -   -   h   ?   ?   ?
HABITATION       W   W   W   ok  ok  W   W   ok  ok
PROHIBITED       -   B   B   ?   ok  p   p   ok  ?
CORRECTION       T   T   T   T   ?   T   T   ?   T
QUEUED           T   T   T   T   r   T   T   r   T
DISPUTED         B   B   B   B   ?   B   B   ?   B
RIGHT_EXPIRED    B   B   B   B   ?   B   B   ?   B
QUARANTINED      ?   ?   ?   ?   ?   ?   ?   ?   ?
WARD             K   K   K   -   -   K   K   K   K
"""

TABLE = {
    line.split()[0]: dict(zip(COLUMNS, line.split()[1:], strict=True))
    for line in EXTRACT.strip().splitlines()
}

#: What a bar, a missing consent or a wait of a state is called.
RULE = {
    "SEIZED": "R-SEIZED",
    "PRE_SEIZED": "R-SEIZED",
    "SALE_NOTED": "R-PRE_NOTICE",
    "LOAN_NOTED": "R-PRE_NOTICE",
    "RESTRICTED": "R-RESTRICTION",
    "UNRESTRICTED": "W-NOTIFY_MORTGAGEE",
    "PRE_2021": "R-PRE_CODE_MORTGAGE",
    "MAX_NOT_FIXED": "R-MAX_NOT_FIXED",
    "JOINT": "R-CO_OWNER",
    "BY_SHARES": "R-CO_OWNER",
    "HABITATION": "W-HABITATION",
    "PROHIBITED": "R-PROHIBITED",
    "CORRECTION": "S-CORRECTION",
    "QUEUED": "S-QUEUE",
    "DISPUTED": "R-DISPUTE",
    "RIGHT_EXPIRED": "R-EXPIRED",
    "WARD": "R-GUARDIAN",
}

COLUMN_OF = {
    "NOTE_SALE": "NOTE",
    "NOTE_LOAN": "NOTE",
    "CONVERT_SALE": "CONVERT",
    "CONVERT_LOAN": "CONVERT",
}


def cell(state: str, step: dict[str, Any], facts: dict[str, Any]) -> str:  # noqa: C901 - one line a letter
    """One of B K W T ok ? - for a state and a step. `facts` answers the questions of the small letters."""
    op = step["op"]
    said = TABLE[state][COLUMN_OF.get(op, op)]
    is_sale = op in ("NOTE_SALE", "CONVERT_SALE")
    match said:
        case "b":  # barred if the burden grows
            return "B" if facts["grows"] else "ok"
        case "k":  # the holder's consent if the burden grows
            return "K" if facts["grows"] else "ok"
        case "v":  # a pre-seized holder gets what it bought, and a person looks at its mortgage
            return "ok" if op == "CONVERT_SALE" else "?"
        case "d":  # the risk is accepted in writing, then a person decides
            return "?" if facts["risk_accepted"] else "C"
        case (
            "n"
        ):  # a second sale is barred; the holder may give its mortgage pre-notice, another needs the holder
            if op == "NOTE_SALE":
                return "B"
            return "ok" if facts["by_holder"] else "K"
        case (
            "o"
        ):  # the buyer named in the mortgage pre-notice converts its sale, another is as a sale to another
            if op == "CONVERT_LOAN":  # nothing is taken from whoever was noted later (CC 414; SIG 52)
                return "K" if facts["noted_before"] else "ok"
            return "ok" if op == "CONVERT_SALE" and facts["to_its_mortgagor"] else "K"
        case "s":
            return "K" if is_sale else "ok"
        case "w":
            return "W" if is_sale else "ok"
        case "q":
            return "?" if is_sale else "ok"
        case "m":  # a part of the claim, before it is fixed, takes the mortgage along by agreement only
            return "K" if facts["part_without_agreement"] else "ok"
        case "p":
            return "-" if is_sale else "B"
        case "r":  # a release passes the queue unless the earlier case names the same right
            return "T" if facts["same_right"] else "ok"
        case "h":
            return "K" if facts["own_share"] else _by_shares(op, facts["share"])
    return said


def strictest(state: str, step: dict[str, Any]) -> str:
    """B, ? or ok: the cell read as strictly as its questions may be answered."""
    said = TABLE[state][COLUMN_OF.get(step["op"], step["op"])]
    return {"b": "B", "v": "?"}.get(said, said)


def _by_shares(op: str, share: Any) -> str:
    """All: passes; two thirds: mortgages pass, a sale is a person's (CC 301 against REAL 38(4)); less: barred."""
    if op == "NOTE_LOAN":
        return "?"
    if share >= 1:
        return "ok"
    if share * 3 >= 2:
        return "?" if op in ("SALE", "NOTE_SALE") else "ok"
    return "B"
