"""Papers with the signatures that came beside them: a photograph or an OFD is signed by a file of its own."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from gateway.cases.model import Paper

_OF_NOTHING = (
    "该分离式签名所签的文件不在本件材料中，或者与检验时的文件不同 / "
    "this detached signature is over no file of the case, or was checked over another one: name both files"
)


def assembled(papers: Iterable[Paper]) -> tuple[Paper, ...]:
    """The papers in their order, each with the signers of the detached signatures over it (ESL 13: what was signed,
    by whom, unchanged).

    A detached signature over a file of the case is no paper of its own: what its check found, good or bad, is that
    file's. One whose file is not there, that was checked over another or over none, or that is filed as if it were
    itself what somebody signed, stays a paper, signed by nobody, and says so.
    """
    filed = tuple(papers)
    files = {one.reference.sha256 for one in filed if not one.reference.signs and not one.over}
    beside: dict[str, list[Paper]] = {}
    found = []
    for one in filed:
        signs = one.reference.signs
        if not one.found or not (signs or one.over):
            found.append(one)
        elif signs in files and one.over == signs:
            beside.setdefault(signs, []).append(one)
        else:
            found.append(replace(one, signatures=(), problems=(*one.problems, _OF_NOTHING)))
    return tuple(_signed(one, beside.get(one.reference.sha256, ())) for one in found)


def _signed(paper: Paper, beside: Iterable[Paper]) -> Paper:
    for signature in beside:
        paper = replace(
            paper,
            signatures=(*paper.signatures, *signature.signatures),
            problems=(*paper.problems, *signature.problems),
        )
    return paper
