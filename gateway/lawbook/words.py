"""What no table can say: each page's summary in Chinese, what a setting of the place means, what a source is called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: Module of the kind -> title of its page in Chinese, and the law in a few sentences of a registrar's Chinese.
KINDS: Final[Mapping[str, tuple[str, str]]] = {
    "mortgage": (
        "抵押权首次登记（含在建建筑物抵押权）",
        (
            "抵押人和抵押权人共同申请。抵押权自记载于登记簿时设立，顺位按登记的先后，"
            "同一不动产上的抵押登记按受理的先后办理；另有顺位约定的，"
            "须由抵押人和受影响的全部抵押权人签署。仅当事项简明、不动产上无其他权利或者限制时，"
            "才可由公布的规则即时办结。"
        ),
    ),
    "mortgage_change": (
        "抵押权变更登记",
        (
            "抵押人和抵押权人共同申请；仅变更自己的姓名、名称或者证件的，由本人单方申请。"
            "原登记行转为历史，变更后的登记行另发新证明，顺位和首次登记时间不变。对其他抵押权人不利的，"
            "须经其书面同意；债务转移的，须经提供担保的第三人书面同意。"
        ),
    ),
    "mortgage_transfer": (
        "抵押权转移登记",
        (
            "登记的抵押权人和受让人共同申请；因合并承受的，由存续的抵押权人单方申请，"
            "无须债权转让协议和通知。抵押权不得与债权分离而单独转让，"
            "须提交主债权转让协议和已通知债务人的材料。顺位和首次登记时间不变。"
        ),
    ),
    "mortgage_release": (
        "抵押权注销登记",
        (
            "债权消灭或者抵押权人放弃抵押权的，抵押权人可以单方申请；凭生效法律文书的，"
            "抵押人可以单方申请；双方约定的，共同申请。注销不受查封影响，除在先案件涉及同一权利外，"
            "不排队等候。抵押权人以结清后注销承诺申请的，只能在组合办理的案件中提出。"
        ),
    ),
    "claim_fixing": (
        "最高额抵押权确定登记",
        (
            "抵押人和抵押权人持债权已确定的材料共同申请。登记后成为一般抵押权，数额为确定的债权数额，"
            "不得超过最高债权额；顺位和首次登记时间不变。债权是否已经确定，由登记员审核。"
        ),
    ),
    "ownership_transfer": (
        "转移登记（仅限组合办理）",
        (
            "只作为带押过户或者预告转本案件中的一个步骤办理。买卖双方共同申请；"
            "登记簿记载禁止或者限制转让约定的，抵押权人共同申请，"
            "民法典施行前登记的抵押权须经抵押权人书面同意。完税是登簿的条件，不是受理的条件。"
        ),
    ),
    "pre_notice": (
        "预告登记",
        (
            "买卖预告登记由买卖双方申请，抵押权预告登记由买方和抵押权人申请；开发企业不申请的，"
            "预购人可以单方申请。预告登记后，未经权利人书面同意处分该不动产的，不发生物权效力。"
            "原抵押权不妨碍办理，也不妨碍日后转本。"
        ),
    ),
    "pre_notice_convert": (
        "预告转本登记",
        (
            "由本登记的当事人申请，材料和审核要点与本登记相同。买卖预告登记转为转移登记，须完税；"
            "抵押权预告登记转为抵押权首次登记，顺位自预告登记之日起算。"
            "自能够进行不动产登记之日起九十日内未申请的，预告登记失效，不能转本。"
        ),
    ),
    "pre_notice_release": (
        "预告登记注销",
        (
            "债权消灭或者权利人放弃的，权利人可以单方申请；双方约定的，共同申请。已被预查封的，不予注销。"
            "抵押权预告登记以买卖预告登记为基础的，由登记员审核。"
        ),
    ),
    "correction": (
        "更正登记",
        (
            "权利人或者利害关系人申请，权利人书面同意或者有证据证明登记簿确有错误的，予以更正。"
            "原登记行转为历史，更正后的登记行另发新证明；不因更正产生、转移权利，也不改变顺位。"
            "一律由登记员审核。"
        ),
    ),
    "reissue": (
        "换证、补证",
        (
            "由权利人申请：证书破损、遗失（须已公开声明作废）、更换介质或者旧证换新证。"
            "登记簿上除证书号外不作任何改变。"
        ),
    ),
}

#: Mode -> the law in a few sentences of a registrar's Chinese.
MODES: Final[Mapping[str, str]] = {
    "ET_COMBINED": (
        "转移登记、原抵押权注销登记和新抵押权首次登记一次申请、一次登簿，要么全部登记，要么全不登记。"
        "原抵押权先于新抵押权的设立而注销，新证明上的顺位即为第1顺位。原抵押权人须共同申请注销，"
        "仅书面同意不够；登簿前须完税，且原抵押权人确认结清，或者接受新抵押权人的代为清偿承诺。"
    ),
    "ET_SEGMENTED": (
        "第一阶段办理转移登记和新抵押权首次登记，原抵押权为第1顺位，新抵押权为第2顺位；还清原贷款后，"
        "第二阶段由原抵押权人单方申请注销。两个阶段之间新抵押权人居于第2顺位，应当向其说明。"
    ),
    "ET_CHANGE": (
        "原抵押权不注销，随房屋过户变更抵押人和债务人，顺位不变。新旧银行不同的，"
        "原银行须先将债权转让给新银行并通知债务人，抵押权随之转移。债务转移须经债权人同意；"
        "第三人为原债务提供担保的，须经其书面同意。"
    ),
    "ET_THREE_IN_ONE": (
        "转移登记、原抵押权变更登记和新抵押权首次登记三合一办理，发一本权属证书、两份证明。"
        "成交价款须足以清偿原贷款；原贷款还清后，第二阶段注销变更后的原抵押权。"
    ),
    "ET_DOUBLE_PRE_NOTICE": (
        "先办理买卖和抵押权两项预告登记，买方银行凭预告登记放款，还清卖方贷款；"
        "再将两项预告登记转为本登记；最后注销原抵押权。新抵押权的顺位自预告登记之日起算。"
    ),
    "ET_DOUBLE_PRE_NOTICE_RELEASE_WITH_CONVERSION": (
        "先办理买卖和抵押权两项预告登记；转本时与原抵押权注销登记一并登簿，原抵押权人共同申请，"
        "登簿条件与新旧抵押权组合相同。"
    ),
    "PN_SALE_THEN_CONVERT": (
        "签约时办理买卖预告登记，证明载明合同编号和总价，银行、公积金中心据此审批贷款；贷款只付给卖方。"
        "第二阶段买卖双方和各贷款机构共同申请，转移登记与抵押权首次登记一并登簿。有原抵押权的，同时注销。"
    ),
    "ET_CASH_PRE_NOTICE": (
        "买方不贷款。在有抵押的房屋上办理买卖预告登记，以房款还清原贷款，原抵押权人单方申请注销，"
        "再转为转移登记。"
    ),
    "NB_PRESALE_CASH": (
        "预售商品房在在建建筑物抵押之下：先就该单元注销在建建筑物抵押权，同案办理预售买卖预告登记；"
        "首次登记后转为转移登记。"
    ),
    "NB_PRESALE_LOAN": (
        "预售商品房在在建建筑物抵押之下，买方贷款：就该单元注销在建建筑物抵押权，"
        "同案办理预售买卖和抵押权两项预告登记；首次登记后一并转本，新抵押权的顺位自预告登记之日起算。"
    ),
}

#: Settings of a profile that the pages name -> Chinese and English.
SETTINGS: Final[Mapping[str, tuple[str, str]]] = {
    "instant": ("可即时办结的登记类型", "operations that a rule may decide at once"),
    "modes": ("提供的办理模式", "modes on offer"),
    "promised_working_days": ("承诺办结工作日", "promised working days, by operation"),
    "promised_working_hours": ("承诺办结小时数（半个工作日为4小时）", "promised hours, by operation"),
    "office": (
        "办公时间（用于计算承诺小时）",
        "office hours, in which promised hours count",
    ),
    "awaiting_parties_days": ("等待各方签署的天数", "days for every party to sign"),
    "party_reminder_days": ("签署期限届满前催办的天数", "days before its end on which parties are reminded"),
    "ended_case_retention_days": (
        "受理后撤回、不予登记案件材料的保留天数（0：永久）",
        "days that evidence of accepted cases, withdrawn or refused, is kept (0: for ever)",
    ),
    "supplement_days": ("补充材料的天数", "days for a supplement"),
    "tax_days": ("等待完税的天数", "days for the taxes"),
    "payoff_days": ("等待结清的天数", "days for the payoff"),
    "unrecorded_restriction": (
        "2021年以后登记、未记载转让约定的抵押权如何对待",
        "a mortgage since 2021 with no word on transfer",
    ),
    "pre_2021_changed_to_none": (
        "民法典施行前登记、其后变更为“否”的抵押权如何对待",
        "a mortgage of before 2021 that a later change recorded as unrestricted",
    ),
    "two_thirds_disposal": ("占份额三分之二以上的按份共有人处分", "co-owners of two thirds dispose"),
    "minors": ("权利人未成年或者行为能力受限", "an owner is a minor or a ward"),
    "lock_payee_to_seller": ("新贷款只能付给卖方", "the new loan is locked to the seller"),
    "risk_notice_required": ("买卖预告登记前须风险告知", "a risk notice before a sale pre-notice"),
    "securer_without_consent": (
        "提供担保的第三人未同意债务转移",
        "a third party that secured the debt did not consent to its transfer",
    ),
    "convert_on_transfer": (
        "预购商品房抵押权预告登记随转移登记自动转本",
        "the mortgage pre-notice of a pre-sold unit converts with the transfer, by itself",
    ),
    "two_person_review": ("两人审核", "two persons review"),
}

#: Keys of the sources -> Chinese name. The marks S9 to S16 are the ministry's published cases.
SOURCES: Final[Mapping[str, str]] = {
    "CC": "《中华人民共和国民法典》",
    "IR": "《不动产登记暂行条例》",
    "RD": "《不动产登记暂行条例实施细则》",
    "OS": "《不动产登记操作规范（试行）》",
    "N54": "自然资发〔2021〕54号（民法典施行后的抵押登记）",
    "N29": "自然资发〔2023〕29号（带押过户）",
    "SIG": "最高人民法院关于适用民法典有关担保制度的解释",
    "SIP": "最高人民法院关于适用民法典物权编的解释（一）",
    "EX": "最高人民法院关于人民法院民事执行中查封、扣押、冻结财产的规定",
    "F5": "法发〔2004〕5号（协助执行与查封、预查封）",
    "REAL": "《城市房地产管理法》",
    "ESL": "《电子签名法》",
    "OGS": "《国务院关于在线政务服务的若干规定》",
    "DT": "《契税法》",
    "PIT": "《个人所得税法》",
    "land VAT rules": "《土地增值税暂行条例》",
    "Company Law": "《公司法》",
    "SH": "上海市不动产登记若干规定",
    "GZ, HH, SZ, ZS": "广州、呼和浩特、深圳、中山的办事指南",
    "S9–S16": "自然资源部案例：大连、济南、成都、江阴、台州、广州、临沂、唐山",
}
