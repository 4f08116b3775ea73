"""Whether every paper is there, whole, signed by whom it must be, and about these terms (IR 16-18; ESL 5, 13)."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.cases.model import Paper
from gateway.kinds.applicants import APPLICATION_FORM
from gateway.kinds.law import Case, PaperRule
from gateway.kinds.powers import is_signed_for
from gateway.register.findings import Finding, Severity
from gateway.register.model import Party
from gateway.register.reasons import finding

#: Papers that may serve several cases: they prove a fact, they do not carry consent.
REUSABLE_PAPERS = frozenset({"TITLE", "IDENTITY", "REMOTE_IDENTITY", "AUTHORISATION", "PROOF"})


def forms_of(people: Sequence[Party]) -> tuple[PaperRule, ...]:
    """The forms that those sign who apply in person, and the remote check of natural persons (documents.csv)."""
    signers = tuple({p.key: p for p in people}.values())
    rules = [
        PaperRule(
            code=APPLICATION_FORM,
            zh="不动产登记申请书",
            en="application form",
            article="IR 16(1)",
            signers=signers,
            bound=True,
        ),
        PaperRule(
            code="INQUIRY_RECORD",
            zh="询问记录",
            en="record of questions",
            article="CC 212(2); OS 3.4",
            signers=signers,
            bound=True,
        ),
    ]
    people = tuple(p for p in signers if not p.is_institution)
    if people:
        rules.append(
            PaperRule(
                code="REMOTE_IDENTITY",
                zh="实名认证和人脸识别记录",
                en="remote identity evidence",
                article="IR 16(2); OGS 7",
                people=people,
            )
        )
    return tuple(rules)


def paper_findings(rules: Sequence[PaperRule], case: Case, field: str) -> list[Finding]:
    """One finding for each paper missing, spoiled, unsigned, about other terms, or already backing a case."""
    found: list[Finding] = []
    for rule in rules:
        papers = _papers_of(rule, case)
        if not papers:
            found.append(_missing(rule, field, to_come=rule.code in case.manifest.papers_to_come))
            continue
        for person in rule.people:
            if not any(case.is_about(paper, person) for paper in papers):
                to_come = rule.code in case.manifest.papers_to_come
                found.append(_missing(rule, field, to_come=to_come, whose=person.name))
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


def _papers_of(rule: PaperRule, case: Case) -> list[Paper]:
    """The papers filed under the rule's code, or under another that it may come as."""
    return [paper for code in (rule.code, *rule.also) for paper in case.papers_of(code)]


def _missing(rule: PaperRule, field: str, *, to_come: bool, whose: str = "") -> Finding:
    """A co-applicant may bring a paper with its Join when the manifest says so (handbook 3.6)."""
    zh = f"{whose}的{rule.zh}" if whose else rule.zh
    en = f"{rule.en} of {whose}" if whose else rule.en
    return finding(
        "N-INCOMPLETE",
        Severity.AWAITS if to_come else Severity.BLOCKS,
        rule=rule.rule,
        field=field,
        file=rule.code,
        article=rule.article,
        zh=f"尚未受理：等待{zh}" if to_come else f"缺少{zh}",
        en=f"not accepted yet: awaiting the {en}" if to_come else f"the {en} is missing",
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
        papers = _papers_of(rule, case)
        if any(is_signed_for(paper, signer, case) for paper in papers):
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
