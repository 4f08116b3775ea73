"""Whether every paper is there, whole, signed by whom it must be, and about these terms (IR 16-18; ESL 5, 13)."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.kinds.applicants import APPLICATION_FORM
from gateway.kinds.law import Case, PaperRule
from gateway.register.findings import Finding, Severity
from gateway.register.model import Party
from gateway.register.reasons import finding

#: Papers that may serve several cases: they prove a fact, they do not carry consent.
REUSABLE_PAPERS = frozenset({"TITLE", "IDENTITY", "REMOTE_IDENTITY", "AUTHORISATION", "PROOF"})


def paper_findings(rules: Sequence[PaperRule], case: Case, field: str) -> list[Finding]:
    """One finding for each paper missing, spoiled, unsigned, about other terms, or already backing a case."""
    found: list[Finding] = []
    for rule in rules:
        papers = case.papers_of(rule.code)
        if not papers:
            found.append(_missing(rule, field))
            continue
        for paper in papers:
            name = f"{rule.code}:{paper.reference.sha256}"
            if not paper.found:
                found.append(
                    _problem(rule, name, "没有上传该文件，或者不是由您上传", "was not uploaded by you")
                )
            found += [_problem(rule, name, text, text) for text in paper.problems]
            if paper.backs:
                found.append(
                    _problem(
                        rule,
                        name,
                        "该文件已用于另一件在办或者已登簿的申请；每件申请须有自己的签名文件",
                        "already backs another open or booked case; each case needs a paper signed for it",
                    )
                )
            if rule.bound and paper.terms_sha256 != case.manifest.terms_sha256:
                found.append(_unbound(rule, name, embedded=bool(paper.terms_sha256)))
        found += _unsigned(rule, case)
    return found


def _missing(rule: PaperRule, field: str) -> Finding:
    return finding(
        "N-INCOMPLETE",
        Severity.BLOCKS,
        field=field,
        file=rule.code,
        article=rule.article,
        zh=f"缺少{rule.zh}",
        en=f"the {rule.en} is missing",
    )


def _problem(rule: PaperRule, name: str, zh: str, en: str) -> Finding:
    return finding(
        "C-FILE",
        Severity.BLOCKS,
        file=name,
        article="ESL 5; IR 17(3)",
        zh=f"{rule.zh}：{zh}",
        en=f"{rule.en}: {en}",
    )


def _unbound(rule: PaperRule, name: str, *, embedded: bool) -> Finding:
    """Other terms inside: nobody agreed to these. No terms inside (a scan): a person compares."""
    if embedded:
        return finding(
            "C-MISMATCH",
            Severity.BLOCKS,
            file=name,
            article="IR 18(2)",
            zh=f"{rule.zh}内嵌的申请内容与本次申请内容不同；请就本次申请内容重新生成并签署",
            en=f"the {rule.en} embeds other terms than this submission; render it from these terms and sign again",
        )
    return finding(
        "C-MISMATCH",
        Severity.REFERS,
        file=name,
        article="IR 18(2)",
        zh=f"{rule.zh}没有内嵌申请内容，由登记员核对",
        en=f"the {rule.en} embeds no terms: a registrar compares it",
    )


def _unsigned(rule: PaperRule, case: Case) -> list[Finding]:
    """Every required signer, on at least one paper of the code. The forms' own signers may still be to come."""
    found = []
    for signer in rule.signers:
        papers = case.papers_of(rule.code)
        if any(paper.is_signed_by(signer.id_number) for paper in papers):
            continue
        if rule.code == APPLICATION_FORM and not any(_revoked(p.signatures, signer) for p in papers):
            continue  # the applicants' rule awaits this party
        found.append(
            finding(
                "C-SIGNATURE",
                Severity.AWAITS if rule.bound else Severity.BLOCKS,
                file=rule.code,
                article="ESL 13; IR 17(3)",
                zh=f"{rule.zh}缺少{signer.name}的有效签名（证书须载明其证件号码，且未被吊销）",
                en=f"the {rule.en} has no valid signature of {signer.name} (the certificate must carry the id number "
                "and not be revoked)",
            )
        )
    return found


def _revoked(signatures: Sequence[object], signer: Party) -> bool:
    return any(
        getattr(s, "number", "") == signer.id_number and getattr(s, "revoked", False) for s in signatures
    )
