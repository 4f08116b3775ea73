"""The words of the application form: rights, acts, grounds and papers, as the form prints them (不动产登记申请书)."""

from __future__ import annotations

from typing import Final

from gateway.cases.stated import DeclarationKind
from gateway.cases.terms import ChangeItem, ReissueGround, ReleaseGround, TransferGround

RIGHTS: Final = ("国有建设用地使用权", "房屋所有权", "抵押权", "居住权", "地役权", "其他")
ACTS: Final = ("首次登记", "转移登记", "变更登记", "注销登记", "更正登记", "异议登记", "预告登记", "其他")

RELEASE_GROUND: Final = {
    ReleaseGround.CLAIM_SETTLED: "主债权消灭（债务已结清）",
    ReleaseGround.WAIVED: "抵押权人放弃抵押权",
    ReleaseGround.REALISED: "抵押权已经实现",
    ReleaseGround.JUDGMENT: "生效法律文书",
    ReleaseGround.AGREEMENT: "抵押人与抵押权人协商一致",
    ReleaseGround.UNDERTAKING: "债务将以新贷款结清，抵押权人承诺结清后注销",
    ReleaseGround.OTHER: "法律规定抵押权消灭的其他情形",
}

#: The same grounds as a pre-notice ends on them (CC 221; RD 89).
NOTICE_ENDS: Final = RELEASE_GROUND | {
    ReleaseGround.CLAIM_SETTLED: "债权消灭",
    ReleaseGround.WAIVED: "预告登记权利人放弃预告登记",
    ReleaseGround.AGREEMENT: "当事人协商一致",
    ReleaseGround.OTHER: "法律规定预告登记失效的其他情形",
}

DECLARATION: Final = {
    DeclarationKind.DISSENT_RISK: "知悉异议登记，自愿承担因此产生的风险",
    DeclarationKind.WARD_BENEFIT: "作为监护人，保证本次处分为被监护人的利益",
    DeclarationKind.MORTGAGEE_TOLD: "已将转让抵押不动产一事通知抵押权人",
    DeclarationKind.SECURITY_GIVEN_UP: "放弃第三人提供的担保",
    DeclarationKind.HABITATION_KNOWN: "知悉不动产上设有居住权",
}

RELEASE_PAPER: Final = {
    ReleaseGround.WAIVED: "放弃抵押权的声明",
    ReleaseGround.JUDGMENT: "生效法律文书",
    ReleaseGround.UNDERTAKING: "结清后注销承诺",
}

CHANGE_ITEM: Final = {
    ChangeItem.MORTGAGOR: "抵押人",
    ChangeItem.DEBTOR: "债务人",
    ChangeItem.AMOUNT: "债权数额",
    ChangeItem.TERM: "债务履行期限",
    ChangeItem.SECURED_SCOPE: "担保范围",
    ChangeItem.TRANSFER_RESTRICTION: "禁止或限制转让的约定",
    ChangeItem.RANK: "抵押顺位",
    ChangeItem.NAME_OR_IDENTITY: "姓名、名称或者证件",
    ChangeItem.UNITS: "抵押财产",
}

TRANSFER_GROUND: Final = {
    TransferGround.CLAIM_ASSIGNMENT: "主债权转让",
    TransferGround.MERGER: "抵押权人合并",
    TransferGround.JUDGMENT: "生效法律文书",
}

TRANSFER_PAPERS: Final = {
    TransferGround.CLAIM_ASSIGNMENT: ("主债权转让协议", "已通知债务人的材料"),
    TransferGround.MERGER: ("合并的证明",),
    TransferGround.JUDGMENT: ("生效法律文书",),
}

REISSUE_GROUND: Final = {
    ReissueGround.DAMAGED: "证书破损、污损",
    ReissueGround.LOST: "证书遗失、灭失（已声明作废）",
    ReissueGround.MEDIUM: "介质转换",
    ReissueGround.LEGACY: "旧证换新证",
}
