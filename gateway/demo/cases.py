"""The demo's cases from a bank's side: terms, forms, papers, signature, submission."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gateway.client import manifest as build
from gateway.client import operations
from gateway.client.acts import target_of_envelope
from gateway.client.client import DiyaClient
from gateway.client.session import Actor, Answer
from gateway.demo.cast import CLERK_NAME, CLERK_NUMBER
from gateway.demo.papers import Desk
from gateway.demo.stage import INSTITUTIONS, Stage
from gateway.forms.questions import questions_for
from gateway.pb.diya.v1 import codes_pb2, operations_pb2, registration_service_pb2, terms_pb2
from gateway.register.model import Party
from gateway.register.sample import SampleUnit
from gateway.rpc.decode import decode_terms
from signing.pki import Credential

LOAN_YEARS = 20
CLERK = build.clerk(CLERK_NAME, CLERK_NUMBER)


@dataclass
class Filing:
    """A bank's desk for one case: who files (channel), for which institution, as which mortgagee."""

    stage: Stage
    client: DiyaClient
    channel: str
    applicant: str
    folder: Path
    now: dt.datetime
    desk: Desk = field(init=False)

    def __post_init__(self) -> None:
        self.desk = Desk(self.client, self.folder, self.now)

    @property
    def mortgagee(self) -> Party:
        """The institution that applies."""
        return INSTITUTIONS[self.applicant]

    async def mortgage(self, unit: SampleUnit, amount_fen: int, fund_fen: int = 0) -> Answer:
        """A first mortgage; with `fund_fen` a portfolio loan: the fund centre's mortgage comes second, in one case."""
        owner = unit.owner
        steps = [operations.mortgage_first(self._content("owner", "bank", amount_fen))]
        parties = [build.person("owner", owner.name, owner.id_number), self._bank()]
        lenders = [self.stage.signer(self.applicant)]
        if fund_fen:
            fund = INSTITUTIONS["fund-centre"]
            steps.append(operations.mortgage_first(self._content("owner", "fund", fund_fen, fund=True)))
            parties.append(
                build.institution_party(
                    "fund", fund.name, fund.id_number, holder_type=codes_pb2.HOLDER_TYPE_PUBLIC_INSTITUTION
                )
            )
            lenders.append(self.stage.signer("fund-centre"))
        terms = self._terms([unit], parties, steps, portfolio=bool(fund_fen))
        citizen = self.stage.citizen(owner)
        encoded = await self._forms(terms, {"owner": owner})
        await self._loan_papers(unit, amount_fen + fund_fen, citizen, *lenders)
        await self._identity(owner)
        return await self._submit(codes_pb2.APPLICATION_KIND_MORTGAGE, encoded)

    async def release(self, unit: SampleUnit, proof_number: str) -> Answer:
        """Settlement statement, signature, submission: the mortgagee releases alone."""
        terms = self._terms(
            [unit],
            [self._bank()],
            [operations.mortgage_release(proof_number, applicants=["bank"], ended_on=self._today)],
        )
        await self.desk.paper(
            "EXTINCTION",
            "贷款结清证明",
            [f"不动产登记证明 {proof_number} 所担保的债权已经全部清偿，我行同意注销抵押权登记。"],
            self.stage.signer(self.applicant),
        )
        return await self._submit(codes_pb2.APPLICATION_KIND_MORTGAGE_RELEASE, build.terms_bytes(terms))

    async def pre_notices(self, unit: SampleUnit, buyer: Party, price_fen: int, loan_fen: int) -> Answer:
        """Double pre-notice: kind 2 of the sale and kind 4 of the buyer's mortgage, in one case."""
        contract = f"MM-{self._today.year}-{unit.unit_code[-8:]}"
        sale = operations.pre_notice_of_sale(
            buyers=["buyer"], sellers=["seller"], price_fen=price_fen, contract_number=contract
        )
        loan = operations.pre_notice_of_mortgage(self._content("buyer", "bank", loan_fen))
        for step in (sale, loan):
            step.pre_notice_create.agreed_in_contract = True
        terms = self._terms([unit], [*_sides(unit.owner, buyer), self._bank()], [sale, loan])
        self._contract(terms, contract, price_fen)
        encoded = await self._forms(terms, {"seller": unit.owner, "buyer": buyer})
        seller_signs, buyer_signs = self.stage.citizen(unit.owner), self.stage.citizen(buyer)
        await self._sale_paper(unit, contract, price_fen, seller_signs, buyer_signs)
        await self.desk.paper(
            "PRINCIPAL_AND_MORTGAGE_CONTRACT",
            "借款及抵押合同",
            [
                f"第一条 借款金额为人民币 {loan_fen // 100:,} 元，以所购不动产办理抵押权预告登记。",
                "第二条 当事人约定办理预告登记。",
            ],
            buyer_signs,
            self.stage.signer(self.applicant),
        )
        await self._identity(unit.owner, buyer)
        return await self._submit(codes_pb2.APPLICATION_KIND_PRE_NOTICE, encoded)

    async def transfer(
        self, unit: SampleUnit, buyer: Party, price_fen: int, loan_fen: int, old: str
    ) -> Answer:
        """ET_COMBINED: transfer, release of `old`'s mortgage, first registration of the new one, one booking."""
        contract = f"MM-{self._today.year}-{unit.unit_code[-8:]}"
        steps = [
            operations.ownership_transfer(
                sellers=["seller"], buyers=["buyer"], titles=[unit.title_number], price_fen=price_fen
            ),
            operations.mortgage_release(
                unit.proofs[0], applicants=["old"], ground=operations_pb2.RELEASE_GROUND_UNDERTAKING
            ),
            operations.mortgage_first(self._content("buyer", "bank", loan_fen)),
        ]
        old_bank = INSTITUTIONS[old]
        parties = [
            *_sides(unit.owner, buyer),
            build.institution_party("old", old_bank.name, old_bank.id_number),
            self._bank(),
        ]
        terms = self._terms([unit], parties, steps)
        terms.mode = codes_pb2.ENCUMBERED_TRANSFER_MODE_ET_COMBINED
        self._contract(terms, contract, price_fen)
        self._payoff(terms, unit.proofs[0], loan_fen // 2)
        encoded = await self._forms(terms, {"seller": unit.owner, "buyer": buyer})
        await self._transfer_papers(unit, buyer, contract, price_fen, loan_fen, old)
        return await self._submit(codes_pb2.APPLICATION_KIND_ENCUMBERED_TRANSFER, encoded)

    async def taxes_cleared(self, filed: Answer) -> Answer:
        """The deed tax and the seller's income tax are paid: told by a supplement, which opens the gate (DT 11)."""
        evidence = terms_pb2.Evidence()
        for kind, taxpayer in ((codes_pb2.TAX_KIND_DEED, "buyer"), (codes_pb2.TAX_KIND_INCOME, "seller")):
            evidence.tax_clearances.add(
                kind=kind,
                number=f"税示例{kind}",
                amount=build.money(100),
                cleared_at=build.instant(self.now),
                taxpayer=taxpayer,
            )
        return await self.client.supplement(
            self.stage.signer(self.channel).signer(),
            Actor(INSTITUTIONS[self.channel].id_number, CLERK, self.mortgagee.id_number),
            target_of_envelope(filed.outcome.application, filed.envelope),
            evidence=evidence,
        )

    # -- terms ---------------------------------------------------------------------------------------------------

    @property
    def _today(self) -> dt.date:
        return self.now.date()

    def _bank(self) -> terms_pb2.Party:
        return build.institution_party("bank", self.mortgagee.name, self.mortgagee.id_number)

    def _content(
        self, mortgagor: str, mortgagee: str, amount_fen: int, *, fund: bool = False
    ) -> operations_pb2.MortgageContent:
        lender = INSTITUTIONS["fund-centre"] if fund else self.mortgagee
        return operations.mortgage_content(
            mortgagors=[mortgagor],
            mortgagees=[mortgagee],
            debtors=[mortgagor],
            claim_fen=amount_fen,
            term=(self._today, self._today.replace(year=self._today.year + LOAN_YEARS, day=1)),
            restricted=False,
            secured_scope="主债权、利息、违约金、实现债权的费用",
            portions=[operations.loan_portion(lender.id_number, lender.name, amount_fen, fund=fund)],
        )

    def _terms(
        self,
        units: Sequence[SampleUnit],
        parties: Sequence[terms_pb2.Party],
        steps: Sequence[operations_pb2.Operation],
        *,
        portfolio: bool = False,
    ) -> terms_pb2.Terms:
        named = [build.unit(u.unit_code, location=u.location, titles=[u.title_number]) for u in units]
        kind = codes_pb2.LOAN_KIND_PORTFOLIO if portfolio else codes_pb2.LOAN_KIND_COMMERCIAL
        return build.terms(
            self.client.session.registry, units=named, parties=parties, operations=steps, loan_kind=kind
        )

    def _contract(self, terms: terms_pb2.Terms, number: str, price_fen: int) -> None:
        terms.sale_contracts.add(
            contract_number=number, signed_on=build.day(self._today), price=build.money(price_fen)
        )

    def _payoff(self, terms: terms_pb2.Terms, proof: str, balance_fen: int) -> None:
        """The old loan's balance, as the old bank states it."""
        terms.payoff_statements.add(
            proof=build.certificate(proof),
            balance=build.money(balance_fen),
            as_of=build.day(self._today),
            account=terms_pb2.Account(holder_name="示例还款账户", number="6200000000000001"),
            valid_until=build.day(self._today + dt.timedelta(days=30)),
            mortgagee="old",
        )

    # -- papers --------------------------------------------------------------------------------------------------

    async def _forms(self, terms: terms_pb2.Terms, people: dict[str, Party]) -> bytes:
        """Have the gateway render the forms, and each person sign where the person must."""
        encoded = build.terms_bytes(terms)
        read = decode_terms(encoded)
        answers = [
            registration_service_pb2.InquiryAnswer(party=party, question=q.code, answer=q.usual)
            for party, person in people.items()
            for q in questions_for(read, person)
        ]
        for form in await self.client.render_forms(encoded, answers=answers):
            signers = [self.stage.citizen(people[party]) for party in form.parties]
            await self.desk.signed(form.paper_code, form.pdf, *signers)
        return encoded

    async def _loan_papers(
        self, unit: SampleUnit, amount_fen: int, citizen: Credential, *lenders: Credential
    ) -> None:
        await self.desk.paper(
            "PRINCIPAL_CONTRACT",
            "个人住房借款合同",
            [
                f"第一条 借款金额为人民币 {amount_fen // 100:,} 元，借款期限 {LOAN_YEARS} 年。",
                "第二条 借款人按月等额偿还本息，提前还款不收取违约金。",
                "第三条 贷款人凭不动产登记证明发放借款。",
            ],
            citizen,
            *lenders,
        )
        await self.desk.paper(
            "MORTGAGE_CONTRACT",
            "抵押合同",
            [
                f"第一条 抵押人以坐落于{unit.location}的不动产（单元号 {unit.unit_code}）为上述债权提供抵押担保。",
                "第二条 担保范围为主债权、利息、违约金、实现债权的费用。",
                "第三条 双方未约定禁止或者限制转让抵押不动产。",
            ],
            citizen,
            *lenders,
        )

    async def _sale_paper(
        self, unit: SampleUnit, contract: str, price_fen: int, *signers: Credential
    ) -> None:
        await self.desk.paper(
            "SALE_CONTRACT",
            "存量房买卖合同",
            [
                f"第一条 合同编号 {contract}，房屋坐落于{unit.location}（单元号 {unit.unit_code}）。",
                f"第二条 总价款为人民币 {price_fen // 100:,} 元。",
                "第三条 双方约定申请不动产登记和预告登记。",
            ],
            *signers,
        )

    async def _transfer_papers(
        self, unit: SampleUnit, buyer: Party, contract: str, price_fen: int, loan_fen: int, old: str
    ) -> None:
        """What seller, buyer, the old bank and the new one sign for the deal."""
        seller_signs, buyer_signs = self.stage.citizen(unit.owner), self.stage.citizen(buyer)
        old_signs, new_signs = self.stage.signer(old), self.stage.signer(self.applicant)
        await self._sale_paper(unit, contract, price_fen, seller_signs, buyer_signs)
        await self._loan_papers(unit, loan_fen, buyer_signs, new_signs)
        await self._identity(unit.owner, buyer)
        everyone = (seller_signs, buyer_signs, old_signs, new_signs)
        balance = f"截至今日原贷款余额 {loan_fen // 200:,} 元，未逾期。"
        for code, title, text, signers in (
            (
                "TRIPARTITE",
                "带押过户业务协议",
                "各方约定新贷款发放后先行结清原贷款，余款支付卖方。",
                everyone,
            ),
            (
                "PAYOFF_STATEMENT",
                "原贷款余额及还款确认书",
                balance,
                (old_signs,),
            ),
            ("BANK_APPROVAL", "银行审批通过文件", "经审批同意按带押过户方式办理。", (old_signs, new_signs)),
            ("SETTLEMENT_UNDERTAKING", "结清后注销承诺", "原贷款结清后即办理抵押权注销登记。", (old_signs,)),
            ("EXTINCTION", "抵押权注销材料", "原贷款结清即同意注销抵押权登记。", (old_signs,)),
        ):
            await self.desk.paper(code, title, [text], *signers)

    async def _identity(self, *people: Party) -> None:
        lines = [f"{person.name} 于办理时通过实名认证与人脸比对。" for person in people]
        await self.desk.paper("REMOTE_IDENTITY", "实名认证和人脸识别记录", lines)

    async def _submit(self, kind: codes_pb2.ApplicationKind.ValueType, terms: bytes) -> Answer:
        header = build.header(
            self.client.session.registry,
            request_id=self.client.session.new_request_id(),
            created_at=self.client.session.clock(),
            channel_institution=INSTITUTIONS[self.channel].id_number,
            applicant_institution=self.mortgagee.id_number,
            clerk=CLERK,
        )
        manifest = build.manifest(kind, header, terms, files=self.desk.references)
        envelope = build.sign_submission(self.stage.signer(self.channel).signer(), manifest)
        return await self.client.submit(envelope)


def _sides(seller: Party, buyer: Party) -> list[terms_pb2.Party]:
    return [
        build.person("seller", seller.name, seller.id_number),
        build.person("buyer", buyer.name, buyer.id_number),
    ]
