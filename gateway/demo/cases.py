"""The demo's cases from a bank's side: terms, forms, papers, signature, submission."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.cases.terms import Terms
from gateway.client import manifest as build
from gateway.client import operations
from gateway.client.client import DiyaClient
from gateway.client.session import Answer
from gateway.demo.papers import Desk
from gateway.demo.stage import INSTITUTIONS, Stage
from gateway.forms.questions import questions_for
from gateway.pb.diya.v1 import codes_pb2, registration_service_pb2
from gateway.register.model import Party
from gateway.register.sample import SampleUnit
from gateway.rpc.decode import decode_terms

LOAN_YEARS = 20


@dataclass
class Filing:
    """A bank's desk for one case: who files (channel), for which institution, as which mortgagee."""

    stage: Stage
    client: DiyaClient
    channel: str
    applicant: str
    folder: Path
    now: dt.datetime

    @property
    def mortgagee(self) -> Party:
        """The institution that applies."""
        return INSTITUTIONS[self.applicant]

    async def mortgage(self, unit: SampleUnit, amount_fen: int) -> Answer:
        """Everything a first mortgage takes, from terms to the verified receipt."""
        owner = unit.owner
        today = self.now.date()
        content = operations.mortgage_content(
            mortgagors=["owner"],
            mortgagees=["bank"],
            debtors=["owner"],
            claim_fen=amount_fen,
            term=(today, today.replace(year=today.year + LOAN_YEARS, day=1)),
            restricted=False,
            secured_scope="主债权、利息、违约金、实现债权的费用",
            mortgage_contract=f"DY-{today.year}-{unit.unit_code[-8:]}",
        )
        terms = build.terms(
            self.client.session.registry,
            units=[build.unit(unit.unit_code, location=unit.location, titles=[unit.title_number])],
            parties=[
                build.person("owner", owner.name, owner.id_number),
                build.institution_party("bank", self.mortgagee.name, self.mortgagee.id_number),
            ],
            operations=[operations.mortgage_first(content)],
        )
        desk = Desk(self.client, self.folder, self.now)
        encoded = build.terms_bytes(terms)
        citizen, bank = self.stage.citizen(owner), self.stage.signer(self.applicant)
        for form in await self.client.render_forms(
            encoded, answers=usual_answers(decode_terms(encoded), [owner])
        ):
            await desk.signed(form.paper_code, form.pdf, citizen)
        yuan = f"{amount_fen // 100:,}"
        await desk.paper(
            "PRINCIPAL_CONTRACT",
            "个人住房借款合同",
            [
                f"第一条 借款金额为人民币 {yuan} 元，借款期限 {LOAN_YEARS} 年。",
                "第二条 借款人按月等额偿还本息，提前还款不收取违约金。",
                "第三条 贷款人凭不动产登记证明发放借款。",
            ],
            citizen,
            bank,
        )
        await desk.paper(
            "MORTGAGE_CONTRACT",
            "抵押合同",
            [
                f"第一条 抵押人以坐落于{unit.location}的不动产（单元号 {unit.unit_code}）为上述债权提供抵押担保。",
                "第二条 担保范围为主债权、利息、违约金、实现债权的费用。",
                "第三条 双方未约定禁止或者限制转让抵押不动产。",
            ],
            citizen,
            bank,
        )
        await desk.paper(
            "REMOTE_IDENTITY", "实名认证和人脸识别记录", [f"{owner.name} 于办理时通过实名认证与人脸比对。"]
        )
        return await self._submit(codes_pb2.APPLICATION_KIND_MORTGAGE, encoded, desk)

    async def release(self, unit: SampleUnit, proof_number: str) -> Answer:
        """Settlement statement, signature, submission: the mortgagee releases alone."""
        terms = build.terms(
            self.client.session.registry,
            units=[build.unit(unit.unit_code)],
            parties=[build.institution_party("bank", self.mortgagee.name, self.mortgagee.id_number)],
            operations=[
                operations.mortgage_release(proof_number, applicants=["bank"], ended_on=self.now.date())
            ],
            loan_kind=codes_pb2.LOAN_KIND_NONE,
        )
        desk = Desk(self.client, self.folder, self.now)
        await desk.paper(
            "EXTINCTION",
            "贷款结清证明",
            [f"不动产登记证明 {proof_number} 所担保的债权已经全部清偿，我行同意注销抵押权登记。"],
            self.stage.signer(self.applicant),
        )
        return await self._submit(codes_pb2.APPLICATION_KIND_MORTGAGE_RELEASE, build.terms_bytes(terms), desk)

    async def _submit(self, kind: codes_pb2.ApplicationKind.ValueType, terms: bytes, desk: Desk) -> Answer:
        header = build.header(
            self.client.session.registry,
            request_id=self.client.session.new_request_id(),
            created_at=self.client.session.clock(),
            channel_institution=INSTITUTIONS[self.channel].id_number,
            applicant_institution=self.mortgagee.id_number,
            clerk=build.clerk("经办员", "D-001"),
        )
        manifest = build.manifest(kind, header, terms, files=desk.references)
        envelope = build.sign_submission(self.stage.signer(self.channel).signer(), manifest)
        return await self.client.submit(envelope)


def usual_answers(terms: Terms, people: Sequence[Party]) -> list[registration_service_pb2.InquiryAnswer]:
    """The answers that let an application go on, for each person who is asked."""
    return [
        registration_service_pb2.InquiryAnswer(party="owner", question=question.code, answer=question.usual)
        for person in people
        for question in questions_for(terms, person)
    ]
