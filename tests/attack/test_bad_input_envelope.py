"""Bad input, envelope and header: each refusal has its code and reason, speaks both languages, leaves nothing.

Every test changes one thing of a complete case that would be booked as it stands; the last one books it.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import pytest_asyncio

from gateway.client.payloads import envelope_to_wire
from gateway.demo.stage import INSTITUTIONS, OPERATOR_KEY, REGISTRAR_KEY
from gateway.pb.diya.v1 import envelope_pb2, outcome_pb2
from signing.signer import sign_envelope
from tests.support.filing import MANIFEST_TYPE, Filing
from tests.support.stage import SUSPENDED, Town

pytestmark = pytest.mark.asyncio(loop_scope="session")

INVALID = "INVALID_ARGUMENT"
UNAUTHENTICATED = "UNAUTHENTICATED"
DENIED = "PERMISSION_DENIED"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def case(town: Town) -> Filing:
    """A complete case, its papers uploaded. Nobody may book it: tests share it."""
    return await town.mortgage().sign().upload()


async def test_the_untouched_case_is_booked(town: Town) -> None:
    """The case that these tests spoil is good but for what each of them changes."""
    filing = await town.mortgage().sign().upload()
    outcome = await filing.send()
    assert list(outcome.findings) == []
    assert len(outcome.certificates) == 1


# -- the envelope --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spoil",
    [
        lambda e: e.Clear(),
        lambda e: e.ClearField("signatures"),
        lambda e: e.signatures[0].ClearField("certificates"),
        lambda e: e.signatures[0].ClearField("signature"),
        lambda e: e.ClearField("payload"),
        lambda e: setattr(e, "payload_type", "application/vnd.diya.review.v1+protobuf"),
    ],
    ids=["empty", "no-signature", "no-certificate", "no-signature-bytes", "no-payload", "other-type"],
)
async def test_envelope_malformed_is_refused(case: Filing, spoil: Any) -> None:
    """An envelope without one of its parts is ENVELOPE_MALFORMED."""
    envelope = case.envelope()
    request = case.request(envelope)
    spoil(request.envelope)
    await case.refused("ENVELOPE_MALFORMED", INVALID, request)


async def test_envelope_missing_is_refused(case: Filing) -> None:
    """A request without an envelope is ENVELOPE_MALFORMED."""
    request = case.request()
    request.ClearField("envelope")
    await case.refused("ENVELOPE_MALFORMED", INVALID, request)


async def test_payload_that_is_no_manifest_is_refused(case: Filing) -> None:
    """Bytes that are signed well and are no manifest are ENVELOPE_MALFORMED."""
    signer = case.town.key("bank-a").signer()
    envelope = envelope_to_wire(sign_envelope(MANIFEST_TYPE, b"\xff\xff\xff not protobuf", [signer]))
    request = case.request()
    request.envelope.CopyFrom(envelope)
    await case.refused("ENVELOPE_MALFORMED", INVALID, request)


@pytest.mark.parametrize("number", [0, 99])
async def test_algorithm_unknown_is_refused(case: Filing, number: int) -> None:
    """An algorithm that is not on the closed list is ALGORITHM_UNKNOWN, whatever the signature."""
    envelope = case.envelope()
    envelope.signatures[0].algorithm = number  # type: ignore[assignment]
    await case.refused("ALGORITHM_UNKNOWN", INVALID, case.request(envelope))


async def test_algorithm_that_is_not_the_keys_is_refused(case: Filing) -> None:
    """A P-256 key under the name of an RSA algorithm is ALGORITHM_REFUSED."""
    envelope = case.envelope()
    envelope.signatures[0].algorithm = envelope_pb2.SIGNATURE_ALGORITHM_RSA_PSS_SHA256
    await case.refused("ALGORITHM_REFUSED", INVALID, case.request(envelope))


async def test_signature_bad_is_refused(case: Filing) -> None:
    """One flipped bit in the signature is SIGNATURE_INVALID."""
    envelope = case.envelope()
    flipped = bytearray(envelope.signatures[0].signature)
    flipped[-1] ^= 1
    envelope.signatures[0].signature = bytes(flipped)
    await case.refused("SIGNATURE_INVALID", UNAUTHENTICATED, case.request(envelope))


async def test_payload_changed_after_signing_is_refused(case: Filing) -> None:
    """A manifest changed after it was signed is SIGNATURE_INVALID, not whatever the change says."""
    envelope = case.envelope()
    manifest = envelope_pb2.Manifest.FromString(envelope.payload)
    manifest.insist = True
    envelope.payload = manifest.SerializeToString()
    await case.refused("SIGNATURE_INVALID", UNAUTHENTICATED, case.request(envelope))


async def test_key_id_of_another_key_is_refused(case: Filing) -> None:
    """A key id that is not the certificate's is KEY_ID_MISMATCH."""
    envelope = case.envelope()
    envelope.signatures[0].key_id = case.town.key("bank-b").certificate.key_id
    await case.refused("KEY_ID_MISMATCH", INVALID, case.request(envelope))


async def test_one_key_signing_twice_is_refused(case: Filing) -> None:
    """The same key twice in one envelope is SIGNATURE_DUPLICATE."""
    envelope = case.envelope()
    envelope.signatures.add().CopyFrom(envelope.signatures[0])
    await case.refused("SIGNATURE_DUPLICATE", INVALID, case.request(envelope))


# -- the certificate -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stem", "reason"),
    [
        ("expired", "CERTIFICATE_EXPIRED"),
        ("not-yet", "CERTIFICATE_NOT_YET_VALID"),
        ("revoked", "CERTIFICATE_REVOKED"),
        ("other-pki", "CERTIFICATE_UNKNOWN_ISSUER"),
    ],
)
async def test_certificate_that_does_not_hold_is_refused(case: Filing, stem: str, reason: str) -> None:
    """A registered key under a certificate that does not hold now is refused with what is wrong with it."""
    envelope = case.envelope(by=case.town.key("bank-a", stem))
    await case.refused(reason, UNAUTHENTICATED, case.request(envelope))


@pytest.mark.parametrize("who", ["tls", "registrar", "operator", "citizen"])
async def test_certificate_for_another_purpose_is_refused(case: Filing, who: str) -> None:
    """A TLS key, a citizen's, a registrar's and an operator's certificate do not sign submissions."""
    town = case.town
    credential = {
        "tls": lambda: town.key("bank-a", "tls"),
        "registrar": lambda: town.key(REGISTRAR_KEY),
        "operator": lambda: town.key(OPERATOR_KEY),
        "citizen": lambda: town.citizen(case.owners[0]),
    }[who]()
    await case.refused(
        "CERTIFICATE_WRONG_PURPOSE", UNAUTHENTICATED, case.request(case.envelope(by=credential))
    )


async def test_certificate_of_another_purposes_anchor_is_refused(case: Filing) -> None:
    """The bank's own number under the anchor of seals is of no issuer that may name institutions."""
    envelope = case.envelope(by=case.town.key("bank-a", "wrong-purpose"))
    await case.refused("CERTIFICATE_UNKNOWN_ISSUER", UNAUTHENTICATED, case.request(envelope))


async def test_certificate_malformed_is_refused(case: Filing) -> None:
    """Bytes in the place of the certificate are CERTIFICATE_MALFORMED."""
    envelope = case.envelope()
    envelope.signatures[0].certificates[0] = b"0\x82\x01\x00not a certificate"
    await case.refused("CERTIFICATE_MALFORMED", INVALID, case.request(envelope))


async def test_key_not_registered_is_refused(case: Filing) -> None:
    """A good certificate of the bank whose key nobody registered is KEY_NOT_REGISTERED."""
    envelope = case.envelope(by=case.town.key("bank-a", "unregistered"))
    await case.refused("KEY_NOT_REGISTERED", DENIED, case.request(envelope))


async def test_key_of_another_bank_is_refused(case: Filing) -> None:
    """Bank B's registered key does not sign for bank A, over bank A's connection."""
    envelope = case.envelope(by=case.town.key("bank-b"))
    await case.refused("KEY_NOT_REGISTERED", DENIED, case.request(envelope))


async def test_key_without_role_is_refused(case: Filing) -> None:
    """A key registered for reading alone is KEY_WITHOUT_ROLE, and the role is named."""
    envelope = case.envelope(by=case.town.key("bank-a", "read-only"))
    refused = await case.refused("KEY_WITHOUT_ROLE", DENIED, case.request(envelope))
    assert refused.metadata["role"] == "SUBMIT"


async def test_release_by_key_without_release_role_is_refused(town: Town) -> None:
    """A key that may neither submit nor release is KEY_WITHOUT_ROLE; one for releases signs nothing else."""
    filing = town.release(town.mortgage(), "苏(2023)江阴市不动产证明第0000001号")
    request = filing.request(filing.envelope(by=town.key("bank-a", "read-only")))
    refused = await filing.refused("KEY_WITHOUT_ROLE", DENIED, request)
    assert refused.metadata["role"] == "SUBMIT / RELEASE"
    mortgage = town.mortgage()
    request = mortgage.request(mortgage.envelope(by=town.key("bank-a", "release-only")))
    await mortgage.refused("KEY_WITHOUT_ROLE", DENIED, request)


@pytest.mark.parametrize("stem", ["release-only", "submit-only"])
async def test_release_is_signed_by_a_key_that_may_submit_or_release(town: Town, stem: str) -> None:
    """Either role does for a release."""
    filing, booked = await town.booked()
    release = await town.release(filing, booked.outcome.certificates[0].number).sign().upload()
    request = release.request(release.envelope(by=town.key("bank-a", stem)))
    assert (await release.send(request)).result == outcome_pb2.OUTCOME_RESULT_BOOKED


async def test_branch_signs_with_its_own_key_through_its_head_office(town: Town) -> None:
    """The applicant's key does, and so does that of the channel that may file for it."""
    for by in ("bank-a-branch", "bank-a"):
        filing = await town.mortgage(applicant="bank-a-branch").sign().upload()
        request = filing.request(filing.envelope(by=town.key(by)))
        assert (await filing.send(request)).result == outcome_pb2.OUTCOME_RESULT_BOOKED, by


async def test_branch_does_not_sign_for_its_head_office(town: Town, case: Filing) -> None:
    """To file for somebody goes one way: a branch's key binds the branch alone, and so does a stranger's."""
    await case.refused(
        "KEY_NOT_REGISTERED", DENIED, case.request(case.envelope(by=town.key("bank-a-branch")))
    )
    branch = town.mortgage(applicant="bank-a-branch")
    for other in ("bank-b", "fund-centre"):
        request = branch.request(branch.envelope(by=town.key(other)))
        await branch.refused("KEY_NOT_REGISTERED", DENIED, request)


async def test_applicants_key_does_not_make_a_channel_of_its_enemy(case: Filing) -> None:
    """Bank B's own signature, sent by bank A, which may not file for it: CHANNEL_NOT_AUTHORISED."""
    manifest = case.manifest(applicant_institution=INSTITUTIONS["bank-b"].id_number)
    envelope = case.envelope(manifest, by=case.town.key("bank-b"))
    await case.refused("CHANNEL_NOT_AUTHORISED", DENIED, case.request(envelope))


# -- the header ----------------------------------------------------------------------------------------------------


async def test_channel_not_authorised_is_refused(case: Filing) -> None:
    """Bank A files for its branch and for nobody else: for bank B it is CHANNEL_NOT_AUTHORISED."""
    manifest = case.manifest(applicant_institution=INSTITUTIONS["bank-b"].id_number)
    refused = await case.refused("CHANNEL_NOT_AUTHORISED", DENIED, case.request(case.envelope(manifest)))
    assert refused.metadata["applicant"] == INSTITUTIONS["bank-b"].id_number


async def test_applicant_suspended_is_refused(case: Filing) -> None:
    """A suspended institution does not apply through another's channel either."""
    manifest = case.manifest(applicant_institution=SUSPENDED.id_number)
    await case.refused("INSTITUTION_SUSPENDED", DENIED, case.request(case.envelope(manifest)))


async def test_channel_of_another_connection_is_refused(case: Filing) -> None:
    """What bank A signed is not taken over bank B's connection."""
    request = case.request()
    await case.town.refusal(lambda: case.send(request, by="bank-b"), "HEADER_MISMATCH", INVALID)


@pytest.mark.parametrize(
    ("outer", "name"),
    [
        ({"parent": "registries/taizhou"}, "registry"),
        ({"request_id": "018f0000-0000-7000-8000-00000000ffff"}, "request_id"),
    ],
)
async def test_outer_field_that_is_not_the_headers_is_refused(
    case: Filing, outer: dict[str, str], name: str
) -> None:
    """Only what is signed counts; an outer field that says something else is HEADER_MISMATCH and is named."""
    refused = await case.refused("HEADER_MISMATCH", INVALID, case.request(**outer))
    assert name in refused.metadata["fields"]


async def test_kind_of_another_method_is_refused(case: Filing) -> None:
    """A manifest signed as a release is not taken by the method for mortgages."""
    manifest = case.manifest()
    manifest.kind = (
        envelope_pb2.Manifest.DESCRIPTOR.fields_by_name["kind"]
        .enum_type.values_by_name["APPLICATION_KIND_MORTGAGE_RELEASE"]
        .number
    )
    with_kind = case.request(case.envelope(manifest))
    refused = await case.refused_with_any({"HEADER_MISMATCH", "OPERATION_NOT_OF_KIND"}, with_kind)
    assert refused.code == INVALID


@pytest.mark.parametrize(
    ("created_ago", "valid_for"),
    [(dt.timedelta(hours=2), dt.timedelta(hours=1)), (dt.timedelta(hours=-1), dt.timedelta(hours=2))],
    ids=["not-after-passed", "made-in-the-future"],
)
async def test_header_expired_is_refused(
    case: Filing, created_ago: dt.timedelta, valid_for: dt.timedelta
) -> None:
    """A header whose not_after has passed, or that was made in the future, is ENVELOPE_EXPIRED."""
    manifest = case.manifest(created_at=case.town.clock() - created_ago, valid_for=valid_for)
    await case.refused("ENVELOPE_EXPIRED", "FAILED_PRECONDITION", case.request(case.envelope(manifest)))


async def test_header_valid_for_too_long_is_refused(case: Filing) -> None:
    """An envelope that wants to be good for a year is ENVELOPE_EXPIRED, and the limit is named."""
    manifest = case.manifest(valid_for=dt.timedelta(days=365))
    refused = await case.refused(
        "ENVELOPE_EXPIRED", "FAILED_PRECONDITION", case.request(case.envelope(manifest))
    )
    assert refused.metadata["days"] == "7"


@pytest.mark.parametrize(
    "rehearsed", [True, False], ids=["rehearsal-as-submission", "submission-as-rehearsal"]
)
async def test_rehearsal_and_submission_do_not_stand_for_each_other(case: Filing, rehearsed: bool) -> None:
    """A signed rehearsal is never taken as a submission, nor the other way round."""
    envelope = case.envelope(case.manifest(validate_only=rehearsed))
    request = case.request(envelope, validate_only=not rehearsed)
    await case.refused("VALIDATE_ONLY_MISMATCH", INVALID, request)


async def test_section_other_than_signed_is_refused(case: Filing) -> None:
    """A section's content that is not the one whose digest was signed, or that was not signed at all, is refused."""
    manifest = case.manifest()
    manifest.sections.add(name="answers", sha256=bytes(32))
    request = case.request(case.envelope(manifest))
    request.sections.add(name="answers", content=b"other answers")
    refused = await case.refused("FIELD_INVALID", INVALID, request)
    assert refused.violations[0][0] == "sections[0].content"


async def test_registry_unknown_is_refused(case: Filing) -> None:
    """A registry that is not served here is named, whoever asks."""
    manifest = case.manifest(registry="nowhere")
    await case.refused("REGISTRY_NOT_FOUND", "NOT_FOUND", case.request(case.envelope(manifest)))


# -- fields --------------------------------------------------------------------------------------------------------


async def test_malformed_identifiers_are_told_all_at_once(town: Town) -> None:
    """Unit code, USCC and citizen id malformed: one refusal with every violation, each with path and reason."""
    filing = town.mortgage()
    filing.terms.units[0].unit_code = "320281001001GB00001F0001010"
    filing.terms.parties[0].person.identity.number = "999999196401010936"
    filing.terms.parties[1].person.identity.number = "91320281000000000X"
    manifest = filing.manifest(applicant_institution="not-a-uscc")
    manifest.header.ClearField("clerk")
    request = filing.request(filing.envelope(manifest))
    before = filing.town.footprint()
    refused = await filing.refused_with_any(
        {"FIELD_INVALID", "USCC_MALFORMED", "UNIT_CODE_MALFORMED", "CITIZEN_ID_MALFORMED"}, request
    )
    assert refused.code == INVALID
    told = {(path, reason) for path, reason, _ in refused.violations}
    assert told >= {
        ("header.applicant_institution", "USCC_MALFORMED"),
        ("header.clerk", "FIELD_INVALID"),
        ("terms.units[0].unit_code", "UNIT_CODE_MALFORMED"),
        ("terms.parties[0].person.identity.number", "CITIZEN_ID_MALFORMED"),
        ("terms.parties[1].person.identity.number", "USCC_MALFORMED"),
    }
    assert refused.metadata["violations"] == str(len(refused.violations))
    assert all(" / " in description for _, _, description in refused.violations)
    assert town.footprint() == before


async def test_violations_too_many_to_send_are_counted(town: Town) -> None:
    """Details stay small on the wire; how many violations there were is told beside those that fit."""
    filing = town.mortgage()
    for number in range(150):
        party = filing.terms.parties.add(id=f"more-{number}")
        party.person.CopyFrom(filing.terms.parties[0].person)
        party.person.identity.number = f"99999919640101{number:04d}"[:17] + "?"
    refused = await filing.refused_with_any({"CITIZEN_ID_MALFORMED"}, filing.request())
    assert refused.code == INVALID
    assert int(refused.metadata["violations"]) == 150 > len(refused.violations) > 5
    assert refused.status is not None
    assert refused.status.ByteSize() < 8 * 1024


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda f: f.terms.ClearField("operations"), "terms.operations"),
        (lambda f: f.terms.ClearField("units"), "terms.units"),
        (lambda f: setattr(f.content.claim_amount, "amount_fen", -1), "claim_amount"),
        (lambda f: setattr(f.content.claim_amount, "currency", "yuan"), "claim_amount"),
        (lambda f: setattr(f.content.term_start, "month", 13), "term_start"),
        (lambda f: f.content.mortgagors.append("nobody"), "mortgagors"),
    ],
    ids=["no-operation", "no-unit", "negative-amount", "currency", "month-13", "party-unknown"],
)
async def test_field_invalid_is_refused_with_its_path(town: Town, change: Any, path: str) -> None:
    """A field that is not of its form is FIELD_INVALID, at its path in the terms."""
    filing = town.mortgage()
    change(filing)
    refused = await filing.refused("FIELD_INVALID", INVALID)
    assert any(path in violation[0] for violation in refused.violations), refused.violations


async def test_request_id_that_is_no_uuid_is_refused(case: Filing) -> None:
    """A request id that is no UUID is FIELD_INVALID."""
    refused = await case.refused(
        "FIELD_INVALID", INVALID, case.request(case.envelope(case.manifest(request_id="42")))
    )
    assert refused.violations[0][0] == "header.request_id"


# -- the request id ------------------------------------------------------------------------------------------------


async def test_request_id_with_other_bytes_is_refused(town: Town) -> None:
    """A request id that was used for other bytes is REQUEST_ID_REUSED; nothing of the new bytes is kept."""
    filing, _ = await town.booked()
    manifest = filing.manifest()
    manifest.insist = True
    refused = await filing.refused(
        "REQUEST_ID_REUSED", "ALREADY_EXISTS", filing.request(filing.envelope(manifest))
    )
    assert refused.metadata["requestId"] == filing.request_id
