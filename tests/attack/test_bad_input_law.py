"""Bad input that the law answers: an outcome with every finding, and nothing changed in the register."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.pb.diya.v1 import outcome_pb2
from gateway.register.model import IdKind, Party
from gateway.register.sample import SAMPLE
from gateway.register.sample_parties import made_up_citizen_id
from tests.support.founding import trust_revoking
from tests.support.signed_papers import paper
from tests.support.stage import Town, town_of
from tests.support.wire import codes_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

SOMEBODY = Party(
    name="旁示例", id_kind=IdKind.RESIDENT_ID, id_number=made_up_citizen_id(dt.date(1988, 8, 8), 77)
)


async def test_unit_unknown_is_not_accepted(town: Town) -> None:
    """A well-formed code of the county that the register does not have: N-BARRED with R-CONFLICT."""
    filing = town.mortgage()
    filing.terms.units[0].unit_code = "320281001001GB00001F09990999"
    found = await filing.sign().findings()
    assert codes_of(found) == {("N-BARRED", "R-CONFLICT")}


async def test_unit_of_another_registry_is_not_accepted(town: Town) -> None:
    """A unit of another county lies with another authority: N-OUT_OF_JURISDICTION."""
    filing = town.mortgage()
    filing.terms.units[0].unit_code = SAMPLE.free("taizhou")[0].unit_code
    found = await filing.sign().findings()
    assert codes_of(found) == {("N-OUT_OF_JURISDICTION", "")}


async def test_applicant_who_does_not_own_is_not_accepted(town: Town) -> None:
    """Somebody who is not the owner mortgages nothing: N-NOT_APPLICANT, both ways."""
    found = await town.mortgage(owners=[SOMEBODY]).sign().findings()
    assert codes_of(found) >= {("N-NOT_APPLICANT", "R-CONFLICT"), ("N-NOT_APPLICANT", "R-CO_OWNER")}


async def test_co_owner_missing_is_not_accepted(town: Town) -> None:
    """One of two joint owners alone does not mortgage: N-NOT_APPLICANT with R-CO_OWNER (CC 301)."""
    unit = SAMPLE.unit("joint", "jiangyin")
    found = await town.mortgage(unit, owners=unit.owners[:1]).sign().findings()
    assert ("N-NOT_APPLICANT", "R-CO_OWNER") in codes_of(found)


async def test_owner_under_another_name_is_not_accepted(town: Town) -> None:
    """The owner's number under another name is not what the register says: C-MISMATCH."""
    unit = town.flat()
    owner = replace(unit.owner, name="另名")
    found = await town.mortgage(unit, owners=[owner]).sign().findings()
    assert ("C-MISMATCH", "R-CONFLICT") in codes_of(found)


async def test_terms_other_than_the_signed_form_are_not_accepted(town: Town) -> None:
    """The bank asks for more than the owner signed: C-MISMATCH, and the paper is named by its digest."""
    filing = town.mortgage(claim_fen=80_000_000).sign()
    filing.content.claim_amount.amount_fen = 90_000_000
    found = await filing.findings()
    mismatch = [f for f in found if f.code == "C-MISMATCH"]
    assert {f.file.partition(":")[0] for f in mismatch} == {"APPLICATION", "INQUIRY_RECORD"}


async def test_title_other_than_of_record_is_not_accepted(town: Town) -> None:
    """A title that is not the title of record: C-MISMATCH."""
    filing = town.mortgage()
    filing.terms.units[0].titles[0].number = "苏(2001)江阴市不动产权第0000001号"
    assert ("C-MISMATCH", "R-CONFLICT") in codes_of(await filing.sign().findings())


async def test_seized_unit_is_not_accepted(town: Town) -> None:
    """A seized flat is not mortgaged: N-BARRED with R-SEIZED."""
    found = await town.mortgage(SAMPLE.seized_jiangyin).sign().findings()
    assert ("N-BARRED", "R-SEIZED") in codes_of(found)


async def test_dissent_without_risk_statement_is_not_accepted(town: Town) -> None:
    """Under a dissent the applicants state in writing that they bear the risk, or nothing is taken (IR 84)."""
    unit = SAMPLE.unit("dissent", "jiangyin")
    assert "C-DISSENT" in {f.code for f in await town.mortgage(unit).sign().findings()}


async def test_dissent_with_risk_statement_goes_to_a_person(town: Town) -> None:
    """With the statement the same case is taken, and a person decides."""
    filing = town.mortgage(SAMPLE.unit("dissent", "taizhou"), registry="taizhou").sign()
    filing.papers["RISK_STATEMENT"] = [
        paper("risk statement", *(town.citizen(o) for o in filing.owners), town.key("bank-a"))
    ]
    await filing.upload()
    outcome = await filing.send()
    name = outcome_pb2.OutcomeResult.Name(outcome.result)
    assert name == "OUTCOME_RESULT_ACCEPTED", codes_of(outcome.findings)


@pytest.mark.parametrize(
    "code", ["APPLICATION", "INQUIRY_RECORD", "PRINCIPAL_CONTRACT", "MORTGAGE_CONTRACT", "REMOTE_IDENTITY"]
)
async def test_paper_missing_is_not_accepted(town: Town, code: str) -> None:
    """Each paper of the law is asked for by its code: N-INCOMPLETE (IR 17)."""
    filing = town.mortgage().sign()
    del filing.papers[code]
    found = await filing.findings()
    assert ("N-INCOMPLETE", code) in {(f.code, f.file) for f in found}


async def test_all_that_is_wrong_is_told_at_once(town: Town) -> None:
    """Three unrelated faults of one case stand in one list: nobody files thrice to learn them (IR 17)."""
    filing = town.mortgage(SAMPLE.seized_jiangyin).sign(bank=town.key("bank-b"))
    del filing.papers["REMOTE_IDENTITY"]
    filing.terms.units[0].titles[0].number = "苏(2001)江阴市不动产权第0000001号"
    codes = {f.code for f in await filing.findings()}
    assert codes >= {"N-BARRED", "N-INCOMPLETE", "C-MISMATCH", "C-SIGNATURE"}


@pytest.mark.parametrize("code", ["PRINCIPAL_CONTRACT", "MORTGAGE_CONTRACT"])
@pytest.mark.parametrize("signs", ["bank", "owner", "nobody"])
async def test_contract_unsigned_by_a_party_is_not_accepted(town: Town, code: str, signs: str) -> None:
    """A contract without one party's signature is C-SIGNATURE for each who did not sign."""
    filing = town.mortgage().sign()
    owner, bank = town.citizen(filing.owners[0]), town.key("bank-a")
    filing.papers[code] = [paper("contract", *{"bank": [bank], "owner": [owner], "nobody": []}[signs])]
    found = [f for f in await filing.findings() if f.code == "C-SIGNATURE"]
    assert [f.file for f in found] == [code] * (2 if signs == "nobody" else 1)


async def test_file_with_a_problem_is_not_accepted(town: Town) -> None:
    """A paper that is no readable PDF was kept with its problem, and is C-FILE when a case names it."""
    filing = town.mortgage().sign()
    filing.papers["REMOTE_IDENTITY"] = [b"this is no PDF file at all" * 4]
    found = await filing.findings()
    assert [f.code for f in found] == ["C-FILE"]
    assert found[0].file.startswith("REMOTE_IDENTITY:")


async def test_file_of_another_size_than_uploaded_is_not_accepted(town: Town) -> None:
    """A manifest that declares another size than the file has does not name that file: C-FILE."""
    filing = await town.mortgage().sign().upload()
    filing.references[2].size_bytes += 1
    outcome = await filing.send()
    assert [f.code for f in outcome.findings].count("C-FILE") == 1


async def test_file_that_somebody_else_uploaded_is_not_accepted(town: Town) -> None:
    """A digest is no ticket: papers that bank B uploaded do not back a case of bank A, though it knows them."""
    filing = await town.mortgage().sign().upload(by="bank-b")
    before = town.footprint()
    outcome = await filing.send()
    assert {f.code for f in outcome.findings if "C-FILE" in f.code} == {"C-FILE"}
    assert outcome.result == outcome_pb2.OUTCOME_RESULT_NOT_ACCEPTED
    assert town.footprint()["right"] == before["right"]


async def test_paper_of_another_open_case_is_not_accepted(town: Town) -> None:
    """A contract backs one case: a second case that names it is C-FILE while the first is open or booked."""
    first, _ = await town.in_review()
    second = town.mortgage(registry="taizhou", owners=first.owners).sign()
    second.papers["MORTGAGE_CONTRACT"] = first.papers["MORTGAGE_CONTRACT"]
    found = await second.findings()
    assert any(f.code == "C-FILE" and f.file.startswith("MORTGAGE_CONTRACT:") for f in found)


async def test_paper_is_bound_once_however_many_ask_at_once(town: Town) -> None:
    """Two cases that name one contract at the same moment: one is taken, the other is C-FILE."""
    one = town.mortgage(registry="taizhou").sign()
    two = town.mortgage(one.unit, registry="taizhou").sign()
    two.papers = {**two.papers, "PRINCIPAL_CONTRACT": one.papers["PRINCIPAL_CONTRACT"]}
    await one.upload()
    await two.upload()
    outcomes = await asyncio.gather(one.send(), two.send())
    results = sorted(outcome_pb2.OutcomeResult.Name(o.result) for o in outcomes)
    assert results == ["OUTCOME_RESULT_ACCEPTED", "OUTCOME_RESULT_NOT_ACCEPTED"]


async def test_signer_revoked_after_upload_is_not_accepted(own_folder: Path) -> None:
    """A signature that held when the paper came is judged again when a case uses it: revoked is unsigned."""
    async with town_of(own_folder) as town:
        filing = await town.mortgage().sign().upload()
        admin = await town.operator()
        await admin.set_trust(trust_revoking(town, [town.citizen(filing.owners[0])]))
        outcome = await filing.send()
        assert outcome.result == outcome_pb2.OUTCOME_RESULT_NOT_ACCEPTED
        assert {f.file for f in outcome.findings if f.code == "C-SIGNATURE"} >= {
            "PRINCIPAL_CONTRACT",
            "MORTGAGE_CONTRACT",
        }
        assert town.footprint()["certificate"] == 0


async def test_release_of_another_banks_mortgage_is_not_accepted(town: Town) -> None:
    """Only the mortgagee of record releases: bank B's signature under bank A's mortgage changes nothing."""
    unit = SAMPLE.unit("mortgaged_by_bank_a", "jiangyin")
    filing = town.release(town.mortgage(unit, channel="bank-b"), unit.proofs[0]).sign()
    await filing.findings("NOT_ACCEPTED")


async def test_release_of_unknown_proof_is_not_accepted(town: Town) -> None:
    """A proof number that the register does not know ends nothing."""
    unit = SAMPLE.unit("mortgaged_by_branch", "jiangyin")
    filing = town.release(
        town.mortgage(unit, applicant="bank-a-branch"), "苏(2024)江阴市不动产证明第9999999号"
    )
    await filing.sign().findings("NOT_ACCEPTED")
