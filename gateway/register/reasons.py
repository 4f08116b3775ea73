"""The catalogue of decision reasons (reasons.csv): what a code means, its ground, and its cure.

`finding` is the only way in which the gateway makes a Finding, so that no answer carries a code
that the catalogue does not know. An N- or C- finding names in `rule` the R- code that it would be
after acceptance (handbook 3.6); the answer then carries the ground and the cure of that rule.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from gateway.register.findings import Finding, Severity
from gateway.register.model import Value

#: Legal bases in the catalogue that are our own design begin with this word.
_DESIGN = "design"


class Reason(Value, frozen=True, kw_only=True):
    """One line of the catalogue. `stage` is the answer or case state in which the code occurs."""

    code: str
    stage: str
    name_zh: str
    name_en: str
    legal_basis: str
    cure_zh: str
    cure_en: str
    retry: str
    confidence: str


def _load(path: Path) -> Mapping[str, Reason]:
    """Read the catalogue. Raises ValueError on a code that comes twice or lacks its texts."""
    reasons: dict[str, Reason] = {}
    with path.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            reason = Reason(
                code=row["code"],
                stage=row["stage"],
                name_zh=row["name_zh"],
                name_en=row["name_en"],
                legal_basis=row["legal_basis"],
                cure_zh=row["cure_zh"],
                cure_en=row["cure"],
                retry=row["retry"],
                confidence=row["confidence"],
            )
            if reason.code in reasons:
                raise ValueError(f"reasons.csv: code {reason.code} comes twice")
            if not all((reason.name_zh, reason.name_en, reason.cure_zh, reason.cure_en, reason.legal_basis)):
                raise ValueError(f"reasons.csv: code {reason.code} lacks a text, a ground or a cure")
            reasons[reason.code] = reason
    return MappingProxyType(reasons)


#: Every reason by its code.
REASONS: Mapping[str, Reason] = _load(Path(__file__).with_name("reasons.csv"))


def reason_of(code: str) -> Reason:
    """The catalogue's line for `code`. Raises KeyError naming the code and the file to mend."""
    try:
        return REASONS[code]
    except KeyError:
        raise KeyError(f"reason code {code!r} is not in gateway/register/reasons.csv: add it there") from None


def finding(
    code: str,
    severity: Severity,
    *,
    rule: str = "",
    field: str = "",
    file: str = "",
    article: str = "",
    zh: str = "",
    en: str = "",
) -> Finding:
    """A finding from the catalogue.

    `zh` and `en` are what is special to this case and follow the general words. Without `article`
    the ground is the rule's, or the code's own. Raises KeyError for an unknown code or rule.
    """
    reason = reason_of(code)
    ruling = reason_of(rule) if rule else None
    head_zh = f"{reason.name_zh}（{ruling.name_zh}）" if ruling else reason.name_zh
    head_en = f"{reason.name_en} ({ruling.name_en})" if ruling else reason.name_en
    cures = [r for r in (ruling, reason) if r is not None]
    return Finding(
        code=code,
        severity=severity,
        zh=f"{head_zh}；{zh}" if zh else head_zh,
        en=f"{head_en}; {en}" if en else head_en,
        rule=rule,
        field=field,
        file=file,
        article=article or _ground(reason, ruling),
        cure_zh="；".join(c.cure_zh for c in cures),
        cure_en="; ".join(c.cure_en for c in cures),
    )


def _ground(reason: Reason, ruling: Reason | None) -> str:
    """The statute where either names one; our own design only when neither does."""
    grounds = [r.legal_basis for r in (ruling, reason) if r is not None]
    return next((g for g in grounds if not g.startswith(_DESIGN)), grounds[0])
