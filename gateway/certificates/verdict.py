"""What a verification of a certificate found: eleven named checks, each with its result and its reason;
a twelfth, of the witnesses, where the verifier has a policy.

There is no single yes or no to misread: `sound` says that every check that can be made offline holds, and
the last check, the live state, always has to be asked of the authority. A cancelled certificate is still sound.
"""

from __future__ import annotations

import datetime as dt
from enum import StrEnum

import msgspec

from gateway.certificates.content import CertificateContent
from gateway.certificates.proof import LedgerProof
from signing.algorithms import Suite


class Step(StrEnum):
    """The checks, in the order in which they are made (handbook 7)."""

    FILE = "FILE"
    SEAL = "SEAL"
    SEAL_CHAIN = "SEAL_CHAIN"
    DATA = "DATA"
    ISSUER = "ISSUER"
    IDENTIFIER = "IDENTIFIER"
    PRINTED = "PRINTED"
    COMMITMENT = "COMMITMENT"
    CHECKPOINT = "CHECKPOINT"
    INCLUSION = "INCLUSION"
    WITNESSES = "WITNESSES"  # only where the verifier has a policy
    LIVE_STATUS = "LIVE_STATUS"


#: What each check asks, zh and en.
QUESTIONS: dict[Step, tuple[str, str]] = {
    Step.FILE: ("文件是完整的 PDF，没有动态内容", "the file is a whole PDF without active content"),
    Step.SEAL: (
        "电子印章签名有效，且覆盖整个文件",
        "the seal's signature is intact and covers the whole file",
    ),
    Step.SEAL_CHAIN: (
        "印章证书可追溯到受信任的登记机构根证书",
        "the seal's certificate chains to a trusted registry anchor",
    ),
    Step.DATA: (
        "附件中的证照数据和账本证明齐全可读",
        "the attached data and ledger proof are there and can be read",
    ),
    Step.ISSUER: ("印章属于证照所列登记机构", "the seal is that of the issuing authority"),
    Step.IDENTIFIER: (
        "证照标识校验码正确，且与证号、登记机构一致",
        "the identifier's check character is right, and it agrees with number and issuer",
    ),
    Step.PRINTED: (
        "页面文字与证照数据逐字一致",
        "the pages say exactly what the attached data say",
    ),
    Step.COMMITMENT: (
        "证照数据与账本记录中的承诺值一致",
        "the data are what the ledger entry commits to",
    ),
    Step.CHECKPOINT: (
        "账本检查点由已知密钥签名",
        "the checkpoint is signed by the known key of the log",
    ),
    Step.INCLUSION: ("账本记录包含在检查点中", "the entry is in the tree of the checkpoint"),
    Step.WITNESSES: (
        "策略要求的见证人已会签检查点",
        "the quorum of the policy's witnesses has cosigned the checkpoint",
    ),
    Step.LIVE_STATUS: ("证照当前有效", "the certificate is live now"),
}


class Result(StrEnum):
    """Outcome of one check. NOT_MADE: an earlier check took its ground away, or it needs the authority."""

    HOLDS = "HOLDS"
    FAILS = "FAILS"
    NOT_MADE = "NOT_MADE"


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One check: its number from 1, what it asked (zh, en), its result, and why it is not HOLDS.

    `code` is UPPER_SNAKE and stable; empty where the check holds, but for a remark: NATIONAL_SEAL_NOT_JUDGED.
    """

    number: int
    step: Step
    result: Result
    zh: str
    en: str
    code: str = ""
    why_zh: str = ""
    why_en: str = ""


class CertificateVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """All checks of one file at one time.

    `sha256` is hex over the whole file, to ask for the live state with. `content` and `proof` are what the
    file carries, None where they cannot be read; believe them only where `sound`. `sealed_at` is the seal's
    claimed time, `proven_at` that of a time stamp, both of the first seal. `suites`: those of the seals that
    were judged. `test`: issued outside production, proves nothing.
    """

    checks: tuple[Check, ...]
    sha256: str
    checked_at: dt.datetime
    content: CertificateContent | None = None
    proof: LedgerProof | None = None
    sealed_by: str = ""
    sealed_at: dt.datetime | None = None
    proven_at: dt.datetime | None = None
    suites: tuple[Suite, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether every check that can be made offline holds. It does not say that the right still lives."""
        return all(c.result is Result.HOLDS for c in self.checks if c.step is not Step.LIVE_STATUS)

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that fail."""
        return tuple(c for c in self.checks if c.result is Result.FAILS)

    @property
    def test(self) -> bool:
        """Whether the certificate says that it was issued outside production."""
        return self.content is not None and self.content.test

    def answered(self, state: str, *, compromised: bool = False) -> CertificateVerdict:
        """The verdict with the last check made: `state` is what the authority answered of this very file, now.

        A right lives while its certificate is SEALED; what is CANCELLED or SUPERSEDED was issued and lives no more.
        `compromised`: the authority says so of the key of its seal.
        """
        last = self.of(Step.LIVE_STATUS)
        lives = state == "SEALED" and not compromised
        code, why_zh, why_en = "", "", ""
        if state != "SEALED":
            code = "NOT_LIVE"
            why_zh = f"登记机构答复：该证照当前状态为 {state}"
            why_en = f"the authority answers that the certificate is {state} now"
        elif compromised:
            code = "SEAL_KEY_COMPROMISED"
            why_zh = "登记机构答复：权利有效，但签章时印章密钥已声明泄露；请换发证照"
            why_en = (
                "the authority answers that the right lives, but the seal's key was declared compromised "
                "from before the seal was made: ask for a new certificate"
            )
        made = msgspec.structs.replace(
            last,
            result=Result.HOLDS if lives else Result.FAILS,
            code=code,
            why_zh=why_zh,
            why_en=why_en,
        )
        checks = tuple(made if one is last else one for one in self.checks)
        return msgspec.structs.replace(self, checks=checks)

    def of(self, step: Step) -> Check:
        """The check of a step."""
        return next(c for c in self.checks if c.step is step)
