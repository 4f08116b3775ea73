"""Over the real wire: what is signed has its effect. Insisting, replacing, profile limits, golden 6 and 7."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.client import manifest as build
from gateway.client import operations
from gateway.client.acts import target_of_envelope
from gateway.client.errors import RequestError
from gateway.client.session import Answer
from gateway.demo.cases import Filing as Desk
from gateway.demo.stage import INSTITUTIONS
from gateway.pb.diya.v1 import application_pb2, codes_pb2, finding_pb2, terms_pb2
from gateway.register.authority import Profile
from gateway.register.sample import SAMPLE, SampleUnit
from gateway.rpc.authority import encode_profile
from tests.integration.test_party_service import actor, awaiting, party, upload
from tests.support.dealing import deal
from tests.support.filing import Filing
from tests.support.signed_papers import paper
from tests.support.stage import Town, town_of
from tests.support.wire import codes_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

INVALID = "INVALID_ARGUMENT"
State = application_pb2.Application.State


async def transferred(town: Town, unit: SampleUnit, folder: Path) -> Answer:
    """Bank B files ET_COMBINED of a flat that bank A holds a mortgage on; the old bank has not joined."""
    client = await town.client("bank-b", "jiangyin")
    desk = Desk(town.stage, client, "bank-b", "bank-b", folder, town.clock())
    return await desk.transfer(unit, SAMPLE.sole_free_jiangyin.owner, 200_000_000, 100_000_000, "bank-a")


def blocking(answer: Answer) -> set[tuple[str, str]]:
    """Code and rule of everything that keeps the case from being accepted."""
    return codes_of([f for f in answer.outcome.findings if f.severity == finding_pb2.SEVERITY_BLOCKS])


# -- golden 6 and 7 ------------------------------------------------------------------------------------------------


async def test_restricted_transfer_without_the_mortgagee_is_not_accepted(town: Town, tmp_path: Path) -> None:
    """Golden 6: the restriction is recorded, and A applies for the release only: N-NOT_APPLICANT, R-RESTRICTION."""
    answer = await transferred(town, SAMPLE.unit("restricted", "jiangyin"), tmp_path)
    assert answer.result == "NOT_ACCEPTED"
    assert blocking(answer) == {("N-NOT_APPLICANT", "R-RESTRICTION")}


async def test_transfer_under_a_mortgage_of_2019_without_consent_is_not_accepted(
    town: Town, tmp_path: Path
) -> None:
    """Golden 7: first registered before 2021, no word, no consent: N-INCOMPLETE, R-PRE_CODE_MORTGAGE."""
    answer = await transferred(town, SAMPLE.unit("pre_2021", "jiangyin"), tmp_path)
    assert answer.result == "NOT_ACCEPTED"
    assert blocking(answer) == {("N-INCOMPLETE", "R-PRE_CODE_MORTGAGE")}


class _Untaxed(Desk):
    """A desk whose terms say nothing of taxes."""

    def _payoff(self, terms: terms_pb2.Terms, proof: str, balance_fen: int) -> None:
        super()._payoff(terms, proof, balance_fen)
        del terms.tax_clearances[:]


async def test_taxes_that_a_join_shows_cleared_open_the_gate(town: Town, tmp_path: Path) -> None:
    """JoinAct.evidence adds to the terms: approved, the case waits for the payoff and no more for the taxes."""
    unit = SAMPLE.unit("mortgaged_by_bank_a", "jiangyin")
    client = await town.client("bank-b", "jiangyin")
    desk = _Untaxed(town.stage, client, "bank-b", "bank-b", tmp_path, town.clock())
    filed = await desk.transfer(unit, SAMPLE.sole_free_jiangyin.owner, 200_000_000, 100_000_000, "bank-a")
    assert filed.result == "AWAITING_PARTIES", filed.outcome.findings
    evidence = terms_pb2.Evidence()
    for kind, taxpayer in ((codes_pb2.TAX_KIND_DEED, "buyer"), (codes_pb2.TAX_KIND_INCOME, "seller")):
        evidence.tax_clearances.add(
            kind=kind,
            number=f"T{kind}",
            amount=build.money(100),
            cleared_at=build.instant(town.clock()),
            taxpayer=taxpayer,
        )
    name = filed.outcome.application
    old = await party(town, "bank-a")
    joined = await old.join(target_of_envelope(name, filed.envelope), ["old"], evidence=evidence)
    assert joined.result == "ACCEPTED", joined.outcome.findings
    review = await town.registrar(registry="jiangyin")
    await review.claim(await review.open(name))
    decided = await review.approve(await review.open(name))
    assert decided.outcome.state == State.STATE_AWAITING_PAYOFF, decided.outcome.findings


# -- insisting and replacing ---------------------------------------------------------------------------------------


async def test_insisting_on_a_seized_flat_is_accepted_and_refused_in_writing(town: Town) -> None:
    """IR 22: accepted with a case number, refused by a person with its ground; nobody can book over the seizure."""
    filing = await town.mortgage(SAMPLE.seized_jiangyin).sign().upload()
    manifest = filing.manifest()
    manifest.insist = True
    outcome = await filing.send(filing.request(filing.envelope(manifest)))
    assert outcome.state == State.STATE_ACCEPTED
    assert outcome.case_number
    assert "R-SEIZED" in {f.code for f in outcome.findings}
    review = await town.registrar(registry="jiangyin")
    await review.claim(await review.open(outcome.application))
    told = await review.approve(await review.open(outcome.application))
    assert (told.result, told.outcome.state) == ("ACCEPTED", State.STATE_IN_REVIEW)
    ground = finding_pb2.Finding(code="R-SEIZED", rule="R-SEIZED", zh="不动产被查封", en="the unit is seized")
    refused = await review.refuse(await review.open(outcome.application), [ground])
    assert refused.result == "REFUSED"


async def test_application_is_replaced_by_name(town: Town) -> None:
    """Not accepted, cured, and sent again with `supersedes`; what is booked is not replaced any more."""
    filing = town.mortgage().sign()
    missing = filing.papers.pop("REMOTE_IDENTITY")
    first = (await (await filing.upload()).submit()).outcome
    filing.papers["REMOTE_IDENTITY"] = missing
    filing.request_id = town.mortgage(filing.unit).request_id
    again = await (await filing.upload()).submit(supersedes=first.application)
    assert again.result == "BOOKED", again.outcome.findings
    client = await town.client("bank-a")
    assert (await client.get_application(again.outcome.application)).supersedes == first.application
    third = town.mortgage(filing.unit).sign()
    await third.upload()
    refused = await third.refused(
        "STATE_NOT_ALLOWED",
        "FAILED_PRECONDITION",
        third.request(third.envelope(third.manifest(supersedes=again.outcome.application))),
    )
    assert refused.metadata["currentState"] == "BOOKED"


@pytest.mark.parametrize("which", ["unknown", "another-bank", "another-registry", "no-name"])
@pytest.mark.parametrize("field", ["supersedes", "case"])
async def test_application_that_is_not_the_senders_is_not_named(town: Town, field: str, which: str) -> None:
    """The same answer for unknown, somebody else's, another registry's and what is no name at all."""
    flat = SAMPLE.sole_free_jiangyin
    filing = await town.mortgage(flat).sign().upload()
    name = "registries/jiangyin/applications/018f0000-0000-7000-8000-00000000ffff"
    if which == "another-bank":
        name = (await town.mortgage(flat, channel="bank-b").submit()).outcome.application
    if which == "another-registry":
        other = town.mortgage(SAMPLE.sole_free_taizhou, registry="taizhou")
        name = (await other.submit()).outcome.application
    if which == "no-name":
        name = "the one of yesterday"
    if field == "case":
        proof = SAMPLE.mortgaged_by_bank_a_jiangyin.proof_number
        step = operations.mortgage_release(proof, applicants=["A"])
        people = {"A": INSTITUTIONS["bank-a"]}
        filing = deal(
            town, filing.unit, people, step, mode="ET_SEGMENTED", channel="bank-a", case=name, phase=2
        )
        request = filing.request()
    else:
        request = filing.request(filing.envelope(filing.manifest(supersedes=name)))
    refused = await filing.refused("APPLICATION_NOT_FOUND", "NOT_FOUND", request)
    assert refused.metadata == {"application": name, "field": f"header.{field}"}


# -- what is stated ------------------------------------------------------------------------------------------------


async def test_location_other_than_of_record_is_not_accepted(town: Town) -> None:
    """UnitReference.location is compared with the register: C-MISMATCH."""
    filing = town.mortgage()
    filing.terms.units[0].location += "（东户）"
    found = await filing.sign().findings()
    assert codes_of(found) == {("C-MISMATCH", "R-CONFLICT")}


async def test_separate_certificates_are_refused_not_dropped(town: Town) -> None:
    """A mortgage leaves nobody a title to hold: the finding names the field."""
    filing = town.mortgage(SAMPLE.sole_free_jiangyin)
    filing.terms.separate_certificates = True
    found = await filing.sign().findings()
    assert [f.field for f in found if f.code == "C-CORRECT_ON_THE_SPOT"] == ["terms.separate_certificates"]


# -- limits of the profile -----------------------------------------------------------------------------------------


async def _with_profile(town: Town, **changes: Any) -> None:
    """Let the registry's profile say something else."""
    admin = await town.operator()
    profile = town.gateway.sequencer.settings("jiangyin").profile
    assert isinstance(profile, Profile)
    changed = replace(profile, version=profile.version + 1, source="test", **changes)
    await admin.set_profile(encode_profile(changed))


async def test_submissions_over_the_days_quota_are_refused_until_midnight(own_folder: Path) -> None:
    """`submissions_per_day`: the third of a day is QUOTA_EXCEEDED with its delay, also after a restart."""
    async with town_of(own_folder) as town:
        await _with_profile(town, submissions_per_day=2)
        kept: list[Filing] = []
        for _ in range(2):
            kept.append(town.mortgage())
            await kept[-1].send()
    async with town_of(own_folder) as town:
        filing = town.mortgage(channel="bank-a")
        refused = await filing.refused("QUOTA_EXCEEDED", "RESOURCE_EXHAUSTED")
        assert refused.metadata == {"perDay": "2"}
        assert refused.retry_seconds is not None
        assert 0 < refused.retry_seconds <= 24 * 3600
        await town.mortgage(channel="bank-b").send()


async def test_files_of_a_case_keep_to_the_profiles_limit(own_folder: Path) -> None:
    """`max_case_bytes` counts what is filed, and what a supplement adds to it."""
    async with town_of(own_folder) as town:
        filing = await town.mortgage().sign().upload()
        total = sum(r.size_bytes for r in filing.references)
        await _with_profile(town, max_case_bytes=total - 1)
        refused = await filing.refused("CASE_FILES_TOO_LARGE", INVALID)
        assert refused.metadata == {"bytes": str(total), "limit": str(total - 1)}
        await _with_profile(town, max_case_bytes=total)
        assert (await filing.submit()).result == "BOOKED"


async def test_files_that_a_supplement_adds_count_with_those_of_the_case(own_folder: Path) -> None:
    """What is there and what is brought, together; the same supplement within the limit is taken."""
    async with town_of(own_folder) as town:
        filing, answer = await awaiting(town)
        extra = await upload(town, "IDENTITY", paper("identity", town.key("bank-a")))
        total = sum(r.size_bytes for r in (*filing.references, extra))
        client, signer = await town.client("bank-a"), town.key("bank-a").signer()
        target = target_of_envelope(answer.outcome.application, answer.envelope)

        async def supplement(request_id: str = "") -> Answer:
            return await client.supplement(
                signer, actor("bank-a"), target, files=[extra], request_id=request_id
            )

        await _with_profile(town, max_case_bytes=total - 1)
        with pytest.raises(RequestError) as refused:
            await supplement()
        assert refused.value.reason == "CASE_FILES_TOO_LARGE"
        await _with_profile(town, max_case_bytes=total)
        assert (await supplement()).result == "AWAITING_PARTIES"
