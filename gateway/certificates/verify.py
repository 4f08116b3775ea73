"""Verify a sealed certificate offline: a file, whom to trust and a time in, eleven named checks out.

The same checks, but 6 and 11, are made of a sealed extract of the register (extract_verify.py).

The order is that of handbook 7, with the ledger after it:

 1 FILE         a whole PDF without active content
 2 SEAL         one signature, or one of each suite, intact; the last over the whole file
 3 SEAL_CHAIN   each one's certificate chains to an anchor for REGISTRY and was good at the proven time, or at `at`
 4 DATA         certificate.json, ledger-proof.json and proof.tlog-proof are embedded and agree
 5 ISSUER       each seal names the authority that the data name: another authority's seal is no seal
 6 IDENTIFIER   ISO 7064 MOD 37,36, and the same authority, kind and number throughout
 7 PRINTED      the words on the pages are those of the data, all of them and no others
 8 COMMITMENT   SHA-256(salt ‖ data) is the line of its part in the entry
 9 CHECKPOINT   signed by the log's known key, same origin throughout
10 INCLUSION    the entry's leaf hash is in the checkpoint's tree (RFC 6962)
11 LIVE_STATUS  never decided here: a cancelled certificate still passes 1 to 10

Each seal is judged by its suite. A reader without SM2 is told that the national seal was not judged; the international
one then decides alone, unless the reader demands both (`suites`).

Every check is made that can be made, so that a report is complete. Bad input is a finding, no exception.
The file is parsed in this process: a service that gets files from strangers calls this where parsing may die.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from gateway.certificates.content import CONTENT_SCHEMA, CertificateContent, decode_content
from gateway.certificates.layout import lay_out
from gateway.certificates.proof import (
    CONTENT_ATTACHMENT,
    NOTE_ATTACHMENT,
    PROOF_ATTACHMENT,
    PROOF_SCHEMA,
    LedgerProof,
    decode_proof,
)
from gateway.certificates.reading import UnreadableError, first_difference, read_attachments, read_body
from gateway.certificates.verdict import QUESTIONS, CertificateVerdict, Check, Result, Step
from gateway.register.authority import SealTerm
from gateway.register.identifiers import (
    IdentifierError,
    parse_certificate_identifier,
    parse_certificate_number,
)
from ledger.checkpoint import Checkpoint, open_by_any
from ledger.entry import Entry, commit_part, parse_entry
from ledger.errors import LedgerError, QuorumError
from ledger.hashing import leaf_hash
from ledger.policy import Policy
from ledger.proof import verify_inclusion
from ledger.proof_file import write_proof_file
from signing.algorithms import Algorithm, Suite
from signing.errors import AlgorithmUnavailable
from signing.pdf import check_pdf
from signing.pdf_signatures import signed_up_to
from signing.trust import Purpose, TrustStore
from signing.verdict import FileProblem, FileVerdict, SignatureVerdict

CERTIFICATE_BYTES_MAX: Final = 4 << 20
PAGES_MAX: Final = 100

#: What is in hand when a seal's key is retired may still be sealed with it.
IN_HAND_MAX: Final = dt.timedelta(minutes=1)
PART_PREFIX: Final = "certificate/"

_Value = TypeVar("_Value")

_SUITES: Final = {
    Suite.INTERNATIONAL: ("国际算法", "international"),
    Suite.NATIONAL: ("国密", "national (SM2)"),
}

#: Problems about a signature's certificate; all others about a signature are about its integrity.
_CHAIN_CODES: Final = frozenset(
    {
        "CERTIFICATE_EXPIRED",
        "CERTIFICATE_NOT_YET_VALID",
        "CERTIFICATE_REVOKED",
        "CERTIFICATE_REVOCATION_UNKNOWN",
        "CERTIFICATE_UNKNOWN_ISSUER",
        "CERTIFICATE_WRONG_PURPOSE",
        "CERTIFICATE_WITHOUT_IDENTITY",
        "CERTIFICATE_CHAIN_INVALID",
    }
)


@dataclass(frozen=True, slots=True)
class Form:
    """What sort of sealed document is verified: where its data are, how they are read and laid out, and under which
    part of the entry they stand. `without` are checks that it has not.
    """

    attachment: str
    schema: str
    decode: Callable[[bytes], Any]
    lay_out: Callable[[Any], Any]
    part_prefix: str
    without: frozenset[Step] = frozenset()


CERTIFICATE: Final = Form(
    attachment=CONTENT_ATTACHMENT,
    schema=CONTENT_SCHEMA,
    decode=decode_content,
    lay_out=lay_out,
    part_prefix=PART_PREFIX,
)


class Remark(NamedTuple):
    """What is said of a check that holds: code, Chinese, English."""

    code: str
    zh: str
    en: str


class _FailsError(Exception):
    """A check does not hold: code, Chinese and English reason."""

    def __init__(self, code: str, zh: str, en: str) -> None:
        super().__init__(en)
        self.code, self.zh, self.en = code, zh, en


class _MissingError(Exception):
    """A check cannot be made, because this earlier one does not hold."""

    def __init__(self, step: Step) -> None:
        super().__init__(step.value)
        self.step = step


@dataclass
class Examined:
    """What the checks have read so far. Each check reads only what an earlier one put here."""

    form: Form
    data: bytes
    at: dt.datetime
    trust: TrustStore
    vkeys: Mapping[str, Sequence[str]]
    verdict: FileVerdict
    policy: Policy | None = None
    seals: Mapping[str, SealTerm] = field(default_factory=dict)
    pages: list[str] | None = None
    suites: Mapping[str, frozenset[Suite]] = field(default_factory=dict)
    sealed: tuple[SignatureVerdict, ...] = ()  # the seals that were judged
    content_bytes: bytes = b""
    content: Any = None  # what `form.decode` gave
    proof: LedgerProof | None = None
    entry: Entry | None = None
    checkpoint: Checkpoint | None = None
    checks: list[Check] = field(default_factory=list)


def verify_certificate(
    pdf: bytes,
    *,
    trust: TrustStore,
    vkeys: Mapping[str, Sequence[str]],
    at: dt.datetime,
    policy: Policy | None = None,
    seals: Mapping[str, SealTerm] | None = None,
    suites: Mapping[str, frozenset[Suite]] | None = None,
) -> CertificateVerdict:
    """Make all checks on `pdf` at `at` (aware); `vkeys` are the logs' verifier keys by origin.

    `policy`: demands its quorum of witnesses on the checkpoint. `seals`: the times of seal keys by key id, where the
    verifier has them; a seal made by a key outside its time fails. `suites`: by registry, those in which its seals must
    be there and hold; by default one of either is enough.
    """
    file = make_checks(
        pdf, CERTIFICATE, trust=trust, vkeys=vkeys, at=at, policy=policy, seals=seals, suites=suites
    )
    assert file.content is None or isinstance(file.content, CertificateContent)
    zh, en = QUESTIONS[Step.LIVE_STATUS]
    file.checks.append(
        Check(
            number=len(file.checks) + 1,
            step=Step.LIVE_STATUS,
            result=Result.NOT_MADE,
            zh=zh,
            en=en,
            code="ASK_THE_AUTHORITY",
            why_zh="离线无法判断证照是否已注销；请扫描二维码或者以证照标识和校验码向登记机构查询",
            why_en="offline nobody can tell whether it was cancelled: ask the authority (QR code)",
        )
    )
    seal = file.sealed[0] if file.sealed else None
    return CertificateVerdict(
        checks=tuple(file.checks),
        sha256=file.verdict.sha256,
        checked_at=at,
        content=file.content,
        proof=file.proof,
        sealed_by=seal.name if seal else "",
        sealed_at=seal.signed_at if seal else None,
        proven_at=seal.proven_at if seal else None,
        suites=tuple(_suite(one) for one in file.sealed),
    )


def make_checks(
    pdf: bytes,
    form: Form,
    *,
    trust: TrustStore,
    vkeys: Mapping[str, Sequence[str]],
    at: dt.datetime,
    policy: Policy | None = None,
    seals: Mapping[str, SealTerm] | None = None,
    suites: Mapping[str, frozenset[Suite]] | None = None,
) -> Examined:
    """Make every check of a form that can be made offline; that of the witnesses where there is a policy."""
    verdict = check_pdf(pdf, trust, at)
    file = Examined(
        form=form,
        data=pdf,
        at=at,
        trust=trust,
        vkeys=vkeys,
        verdict=verdict,
        policy=policy,
        seals=seals or {},
        suites=suites or {},
    )
    for step, check in _CHECKS.items():
        if step in form.without or (step is Step.WITNESSES and policy is None):
            continue
        number = len(file.checks) + 1
        zh, en = QUESTIONS[step]
        made = Check(number=number, step=step, result=Result.HOLDS, zh=zh, en=en)
        try:
            remark = check(file)
            if remark is not None:
                code, why_zh, why_en = remark
                made = msgspec.structs.replace(made, code=code, why_zh=why_zh, why_en=why_en)
        except _FailsError as failure:
            made = msgspec.structs.replace(
                made, result=Result.FAILS, code=failure.code, why_zh=failure.zh, why_en=failure.en
            )
        except _MissingError as missing:
            made = msgspec.structs.replace(
                made,
                result=Result.NOT_MADE,
                code=f"NEEDS_{missing.step.value}",
                why_zh=f"前提不成立：{QUESTIONS[missing.step][0]}",
                why_en=f"cannot be made: it needs that {QUESTIONS[missing.step][1]}",
            )
        file.checks.append(made)
    return file


def _check_file(file: Examined) -> None:
    if len(file.data) > CERTIFICATE_BYTES_MAX:
        raise _FailsError(
            "FILE_TOO_LARGE",
            f"文件{len(file.data)}字节，证照最大{CERTIFICATE_BYTES_MAX}字节",
            f"{len(file.data)} bytes, a certificate has at most {CERTIFICATE_BYTES_MAX}",
        )
    for problem in file.verdict.problems:
        if not problem.field:
            raise _of_problem(problem)
    if file.verdict.pages > PAGES_MAX:
        raise _FailsError(
            "FILE_TOO_COMPLEX",
            f"文件{file.verdict.pages}页，最多{PAGES_MAX}页",
            f"{file.verdict.pages} pages, at most {PAGES_MAX}",
        )
    file.pages = []  # filled where they are read; present means that the file may be parsed


def _check_seal(file: Examined) -> Remark | None:
    _need(file.pages, Step.FILE)
    about_signatures = [p for p in file.verdict.problems if p.field]
    unjudged = [p for p in about_signatures if p.code == AlgorithmUnavailable.reason]
    for problem in about_signatures:
        if problem.code not in _CHAIN_CODES and problem not in unjudged:
            raise _of_problem(problem)
    signatures = file.verdict.signatures
    suites = [_suite(one) for one in signatures] + [Suite.NATIONAL for _ in unjudged]
    if (not signatures and not about_signatures) or len(set(suites)) < len(suites):
        count = len(signatures) + len(about_signatures)
        raise _FailsError(
            "SEAL_COUNT",
            f"应有一个电子印章，或国际算法与国密各一个；文件中有{count}个签名",
            f"there must be one seal, or one of each suite; the file has {count} signatures",
        )
    if unjudged and not signatures:
        raise _of_problem(unjudged[0])
    if not signatures:
        raise _MissingError(Step.SEAL_CHAIN)
    if signed_up_to(file.data) < len(file.data):
        raise _FailsError(
            "FILE_CHANGED_AFTER_SEALING",
            "盖章之后文件又被追加内容",
            "something was added to the file after it was sealed",
        )
    file.sealed = signatures
    if not unjudged:
        return None
    return Remark(
        "NATIONAL_SEAL_NOT_JUDGED",
        f"国际算法印章有效；国密印章未核验：{unjudged[0].zh}",
        f"the international seal holds; the national one was not judged: {unjudged[0].en}",
    )


def _check_seal_chain(file: Examined) -> None:
    _need(file.pages, Step.FILE)
    for problem in file.verdict.problems:
        if problem.code in _CHAIN_CODES:
            raise _of_problem(problem)
    for seal in _need(file.sealed, Step.SEAL):
        if seal.purpose is not Purpose.REGISTRY:
            raise _FailsError(
                "SEAL_WRONG_PURPOSE",
                "签名证书不是登记机构印章证书",
                f"the certificate is trusted for {seal.purpose.value}, not for a registry's seal",
            )
        term = file.seals.get(seal.key_id)
        if term is not None:
            _check_term(term, seal)


def _check_term(term: SealTerm, seal: SignatureVerdict) -> None:
    """The key was the registry's alone, and in use, when it sealed. Against a thief only a proven time counts."""
    since, proven = term.compromised_since, seal.proven_at
    if since is not None and (proven is None or proven >= since):
        made = proven.isoformat() if proven else "never"
        raise _FailsError(
            "SEAL_KEY_COMPROMISED",
            f"印章密钥自 {since.isoformat()} 起已声明泄露，且没有时间戳证明此前已签章；请向登记机构换发",
            f"the seal's key is declared compromised since {since.isoformat()}, and no time stamp proves the seal to "
            f"be older (proven: {made}): ask the authority for a new certificate",
        )
    made_at = proven or seal.signed_at
    ended = term.retired_at
    if ended is not None and made_at is not None and made_at > ended + IN_HAND_MAX:
        raise _FailsError(
            "SEAL_AFTER_RETIREMENT",
            f"印章密钥已于 {ended.isoformat()} 停用，签章晚于该时间",
            f"the seal's key was retired at {ended.isoformat()}, before this seal was made",
        )


def _check_data(file: Examined) -> None:
    _need(file.pages, Step.FILE)
    try:
        attached = read_attachments(file.data)
    except UnreadableError as error:
        raise _unreadable(error) from error
    values = {}
    for name in (file.form.attachment, PROOF_ATTACHMENT, NOTE_ATTACHMENT):
        found = attached.get(name, [])
        if len(found) != 1 or file.verdict.attachments.get(name) != hashlib.sha256(found[0]).hexdigest():
            # Two parsers have to agree on the bytes, or a reader could be shown others than a verifier.
            raise _FailsError(
                "DATA_ATTACHMENT",
                f"附件 {name} 缺失或者内容不唯一",
                f"attachment {name} is missing, or its bytes are ambiguous",
            )
        values[name] = found[0]
    try:
        content = file.form.decode(values[file.form.attachment])
        proof = decode_proof(values[PROOF_ATTACHMENT])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _FailsError(
            "DATA_MALFORMED", "附件数据格式错误", f"the attached data cannot be read: {error}"
        ) from error
    if content.schema != file.form.schema or proof.schema != PROOF_SCHEMA:
        raise _FailsError(
            "DATA_SCHEMA",
            "附件数据的版本未知，请使用更新的核验程序",
            f"schemas {content.schema!r} and {proof.schema!r} are unknown: use a newer verifier",
        )
    file.content, file.content_bytes, file.proof = content, values[file.form.attachment], proof
    try:
        note = write_proof_file(proof.index, proof.inclusion, proof.checkpoint.encode())
    except LedgerError as error:
        raise _of_ledger(error) from error
    if note != values[NOTE_ATTACHMENT]:
        raise _FailsError(
            "DATA_PROOFS_DIFFER",
            f"附件 {NOTE_ATTACHMENT} 与 {PROOF_ATTACHMENT} 不一致",
            f"{NOTE_ATTACHMENT} and {PROOF_ATTACHMENT} differ",
        )


def _check_issuer(file: Examined) -> None:
    content = _need(file.content, Step.DATA)
    sealed = _need(file.sealed, Step.SEAL)
    for seal in sealed:
        if seal.identity.number != content.issuer_code:
            raise _FailsError(
                "ISSUER_NOT_SEALER",
                f"印章属于{seal.name}（{seal.identity.number}），证照的登记机构是{content.issuer_name}（{content.issuer_code}）",
                f"the seal is that of {seal.identity.number}, the certificate names issuer {content.issuer_code}",
            )
    missing = file.suites.get(content.registry, frozenset()) - {_suite(seal) for seal in sealed}
    if missing:
        names_zh = "、".join(sorted(_SUITES[suite][0] for suite in missing))
        names_en = " and ".join(sorted(_SUITES[suite][1] for suite in missing))
        raise _FailsError(
            "SEAL_SUITE_MISSING",
            f"核验方要求有{names_zh}印章并通过核验；如未安装国密算法，请执行 pip install 'diya[sm]'",
            f"your trust settings demand the {names_en} seal of {content.registry}, and none was judged to hold; "
            "where SM2 is not installed: pip install 'diya[sm]'",
        )


def _check_identifier(file: Examined) -> None:
    content = _need(file.content, Step.DATA)
    try:
        identifier = parse_certificate_identifier(content.identifier)
        number = parse_certificate_number(content.number)
    except IdentifierError as error:
        raise _FailsError(error.rule, error.zh, error.en) from error
    kinds = {identifier.kind, number.kind, content.kind.value}
    if len(kinds) != 1 or identifier.issuer != content.issuer_code or number.year != content.issued_on.year:
        raise _FailsError(
            "IDENTIFIER_DISAGREES",
            "证照标识、证号、种类、登记机构代码、发证年份不一致",
            "identifier, number, kind, issuer code and year of issue disagree",
        )


def _check_printed(file: Examined) -> None:
    content = _need(file.content, Step.DATA)
    try:
        layout = file.form.lay_out(content)
    except ValueError as error:
        raise _FailsError(
            "DATA_MALFORMED", "证照数据无法排版", f"the data cannot be laid out: {error}"
        ) from error
    try:
        found = read_body(file.data, layout)
    except UnreadableError as error:
        raise _unreadable(error) from error
    difference = first_difference(layout, found)
    if difference is not None:
        position, expected_words, found_words = difference
        raise _FailsError(
            "PRINTED_DIFFERS",
            f"页面文字与数据不符：应为“{expected_words}”，实为“{found_words}”",
            f"the pages differ from the data at character {position}: "
            f"expected {expected_words!r}, found {found_words!r}",
        )


def _check_commitment(file: Examined) -> None:
    proof = _need(file.proof, Step.DATA)
    try:
        entry = parse_entry(proof.entry)
        digest = commit_part(proof.salt, file.content_bytes)
    except LedgerError as error:
        raise _of_ledger(error) from error
    if entry.index != proof.index or entry.origin != proof.origin:
        raise _FailsError(
            "ENTRY_DISAGREES",
            "账本记录的序号或者账本名称与证明不一致",
            "the entry's index or origin is not that of the proof",
        )
    committed = dict(entry.commitments).get(proof.part)
    if not proof.part.startswith(file.form.part_prefix) or committed is None:
        raise _FailsError(
            "PART_MISSING",
            f"账本记录中没有证照部分 {proof.part}",
            f"the entry has no certificate part {proof.part}",
        )
    if committed != digest:
        raise _FailsError(
            "COMMITMENT_DIFFERS",
            "证照数据的摘要与账本记录不一致：数据不是登簿时确定的内容",
            "the digest of the data is not in the entry: these are not the data that were booked",
        )
    file.entry = entry


def _check_checkpoint(file: Examined) -> None:
    proof = _need(file.proof, Step.DATA)
    vkeys = file.vkeys.get(proof.origin)
    if not vkeys:
        raise _FailsError(
            "LOG_UNKNOWN",
            f"没有账本 {proof.origin} 的公钥",
            f"no verifier key is known for the log {proof.origin}",
        )
    try:
        checkpoint = open_by_any(proof.checkpoint.encode(), vkeys)
    except LedgerError as error:
        raise _of_ledger(error) from error
    if checkpoint.origin != proof.origin:
        raise _FailsError(
            "CHECKPOINT_ORIGIN",
            "检查点属于另一账本",
            f"the checkpoint is of log {checkpoint.origin}, the proof of {proof.origin}",
        )
    file.checkpoint = checkpoint


def _check_inclusion(file: Examined) -> None:
    proof = _need(file.proof, Step.DATA)
    checkpoint = _need(file.checkpoint, Step.CHECKPOINT)
    try:
        verify_inclusion(
            proof.index, checkpoint.size, leaf_hash(proof.entry), proof.inclusion, checkpoint.root
        )
    except LedgerError as error:
        raise _of_ledger(error) from error


def _check_witnesses(file: Examined) -> None:
    proof = _need(file.proof, Step.DATA)
    _need(file.checkpoint, Step.CHECKPOINT)
    assert file.policy is not None
    try:
        file.policy.check_quorum(proof.checkpoint.encode())
    except QuorumError as error:
        raise _FailsError(error.reason, "会签的见证人未达到策略要求", str(error)) from error
    except LedgerError as error:
        raise _of_ledger(error) from error


_CHECKS: Final[Mapping[Step, Callable[[Examined], Remark | None]]] = {
    Step.FILE: _check_file,
    Step.SEAL: _check_seal,
    Step.SEAL_CHAIN: _check_seal_chain,
    Step.DATA: _check_data,
    Step.ISSUER: _check_issuer,
    Step.IDENTIFIER: _check_identifier,
    Step.PRINTED: _check_printed,
    Step.COMMITMENT: _check_commitment,
    Step.CHECKPOINT: _check_checkpoint,
    Step.INCLUSION: _check_inclusion,
    Step.WITNESSES: _check_witnesses,
}


def _suite(seal: SignatureVerdict) -> Suite:
    return Algorithm(seal.algorithm).suite


def _need(value: _Value | None, step: Step) -> _Value:
    if value is None or value == ():
        raise _MissingError(step)
    return value


def _of_problem(problem: FileProblem) -> _FailsError:
    return _FailsError(problem.code, problem.zh, problem.en)


def _of_ledger(error: LedgerError) -> _FailsError:
    return _FailsError(error.reason, "账本证明不成立", str(error))


def _unreadable(error: UnreadableError) -> _FailsError:
    return _FailsError("FILE_MALFORMED", "文件内容无法读取", str(error))
