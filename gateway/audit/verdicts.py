"""Whether the verdict that lies beside an uploaded file is the one that cases were decided on.

A file's row is no entry: an upload changes no right. But what a decision read of its verdict (problems, signers,
embedded terms) is copied into the evidence of each act that names the file, and a later act would read the row again.
So a row whose check is older than such an act must still say the same. What is known of a file that no act names is
proven by nothing: it is judged again when one does, by a registrar or a rule, on what the row says then.
"""

from __future__ import annotations

import datetime as dt
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, select

from gateway.cases.model import Paper
from gateway.storage import tables as t
from gateway.worlds.world import read_paper
from signing.verdict import FileVerdict

_PAPERS_KNOWN_MAX: Final = 100_000
_COLUMNS: Final = t.file.columns.keys()
_decode_verdict = msgspec.json.Decoder(FileVerdict).decode


class VerdictAudit:
    """Collects the papers that acts were decided on, then judges rows of files by the last act that names each."""

    def __init__(self) -> None:
        self._judged: OrderedDict[str, tuple[int, dt.datetime, Paper]] = OrderedDict()

    def note(self, index: int, at: dt.datetime, papers: Iterable[Paper]) -> None:
        """Entry `index`, of an act that came at `at`, was decided on these papers."""
        for paper in papers:
            if paper.found:
                self._judged.pop(paper.reference.sha256, None)
                self._judged[paper.reference.sha256] = (index, at, paper)
                if len(self._judged) > _PAPERS_KNOWN_MAX:
                    self._judged.popitem(last=False)

    def fault(self, connection: Connection, row: Sequence[Any]) -> str:
        """What is wrong with a row of `file`, every column in the table's order; empty for nothing."""
        held = dict(zip(_COLUMNS, row, strict=True))
        known = self._judged.get(held["sha256"])
        if known is None:
            return ""
        index, at, paper = known
        if held["size_bytes"] != paper.reference.size_bytes:
            return f"its size is not the one that entry {index} was decided on"
        try:
            verdict = _decode_verdict(held["verdict"])
        except (msgspec.MsgspecError, TypeError) as error:
            return f"its verdict is none ({type(error).__name__})"
        if verdict.checked_at > at or _says(verdict, paper):
            return ""  # checked again since; or the same
        if self._is_anothers(connection, held, paper):
            return ""
        return f"its verdict is not the one that entry {index} was decided on"

    def _is_anothers(self, connection: Connection, held: dict[str, Any], paper: Paper) -> bool:
        """Whether the act was decided on the verdict of somebody else who uploaded the same bytes."""
        others = select(t.file.c.verdict).where(
            t.file.c.registry == held["registry"],
            t.file.c.sha256 == held["sha256"],
            t.file.c.institution != held["institution"],
        )
        return any(
            _says(_decode_verdict(other), paper) for other in connection.execute(others).scalars().all()
        )


def _says(verdict: FileVerdict, paper: Paper) -> bool:
    return _facts(read_paper(paper.reference, verdict, lambda _signature: False)) == _facts(paper)


def _facts(paper: Paper) -> tuple[Any, ...]:
    """What does not depend on when it is read: whether a signature is revoked does."""
    signers = tuple((s.legal, s.number, s.issuer_key_id, s.serial) for s in paper.signatures)
    return paper.problems, signers, paper.terms_sha256, paper.over
