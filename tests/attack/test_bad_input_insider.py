"""A bank insider with every key of the bank tries to book what the owner did not sign.

The insider has the bank's signing key, its connection, papers of other cases of the same owner, and may have
certificates issued in any name: but not the owner's key. Nothing of this may end in a booking.
"""

from __future__ import annotations

import datetime as dt
import re

import pytest
from msgspec.structs import replace

from gateway.demo.stage import INSTITUTIONS
from gateway.pb.diya.v1 import authority_pb2, codes_pb2, common_pb2, outcome_pb2
from gateway.register.model import IdKind, Party
from gateway.register.sample import SAMPLE
from gateway.register.sample_parties import made_up_citizen_id
from signing.pki import Credential, DevelopmentPKI
from signing.trust import Purpose
from tests.support.filing import Filing
from tests.support.pdf_files import stream, update_pdf
from tests.support.signed_papers import form, paper
from tests.support.stage import Town
from tests.support.wire import codes_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

BOUND = ("APPLICATION", "INQUIRY_RECORD")


def _with_forms(filing: Filing, *forms: bytes) -> Filing:
    """The case with these forms in the place of the owner's."""
    for code, data in zip(BOUND, forms, strict=True):
        filing.papers[code] = [data]
    return filing


async def _is_not_booked(filing: Filing) -> outcome_pb2.Outcome:
    """The case comes to nothing in the register: no right, no certificate, no place in the queue."""
    await filing.upload()
    before = filing.town.footprint()
    outcome = await filing.send()
    after = filing.town.footprint()
    for table in ("right", "unit_right", "certificate", "open_case"):
        assert after[table] == before[table], f"{table}: {outcome}"
    assert outcome.result in (
        outcome_pb2.OUTCOME_RESULT_NOT_ACCEPTED,
        outcome_pb2.OUTCOME_RESULT_AWAITING_PARTIES,
    )
    assert not outcome.certificates
    return outcome


def _look_alike(town: Town, owner: Party) -> Credential:
    """A good certificate of the owner's name, over another person's number."""
    number = made_up_citizen_id(dt.date(1964, 1, 1), 901)
    return town.citizen(replace(owner, id_number=number))


async def test_forms_of_another_case_do_not_bind(town: Town) -> None:
    """Forms that the owner signed for an earlier, smaller loan do not bind the owner to a larger one."""
    earlier, _ = await town.in_review(claim_fen=10_000_000)
    again = town.mortgage(earlier.unit, registry="taizhou", claim_fen=900_000_000).sign()
    outcome = await _is_not_booked(_with_forms(again, *(earlier.papers[code][0] for code in BOUND)))
    assert {"C-MISMATCH", "C-FILE"} <= {f.code for f in outcome.findings}


async def test_forms_signed_for_terms_never_filed_do_not_bind_others(town: Town) -> None:
    """Forms signed over terms that were never filed back no other terms either."""
    small = town.mortgage(claim_fen=10_000_000).sign()
    large = town.mortgage(small.unit, claim_fen=900_000_000).sign()
    outcome = await _is_not_booked(_with_forms(large, *(small.papers[code][0] for code in BOUND)))
    assert "C-MISMATCH" in {f.code for f in outcome.findings}


async def test_look_alike_certificate_does_not_bind(town: Town) -> None:
    """The signer is the identity number, never the name: a namesake's signature on everything is nobody's."""
    filing = town.mortgage()
    outcome = await _is_not_booked(filing.sign(owners=[_look_alike(town, filing.owners[0])]))
    assert {f.file for f in outcome.findings if f.code == "C-SIGNATURE"} >= {
        "PRINCIPAL_CONTRACT",
        "MORTGAGE_CONTRACT",
    }


async def test_look_alike_on_the_forms_alone_does_not_bind(town: Town) -> None:
    """Good contracts do not make up for forms that a namesake signed: the owner is still awaited."""
    filing = town.mortgage().sign()
    fake = _look_alike(town, filing.owners[0])
    outcome = await _is_not_booked(
        _with_forms(filing, form(filing.terms_bytes, fake), form(filing.terms_bytes, fake))
    )
    assert outcome.result == outcome_pb2.OUTCOME_RESULT_AWAITING_PARTIES
    assert [a.name for a in outcome.awaiting] == [filing.owners[0].name]


async def test_owners_number_under_the_institutions_anchor_does_not_bind(town: Town) -> None:
    """Who issues certificates to institutions does not thereby make citizens: the owner's number under it is void."""
    filing = town.mortgage()
    owner = filing.owners[0]
    forged = town.pki.issue_person(owner.id_number, owner.name, purpose=Purpose.INSTITUTION)
    await _is_not_booked(filing.sign(owners=[forged]))


async def test_owners_number_under_a_foreign_anchor_does_not_bind(town: Town) -> None:
    """The owner's number in a certificate of a PKI that nobody trusts is void."""
    filing = town.mortgage()
    owner = filing.owners[0]
    stranger = DevelopmentPKI.create(town.clock())
    outcome = await _is_not_booked(filing.sign(owners=[stranger.issue_person(owner.id_number, owner.name)]))
    assert "C-FILE" in {f.code for f in outcome.findings}


async def test_bank_signing_in_the_owners_place_does_not_bind(town: Town) -> None:
    """The bank's own signature on form and contracts is the bank's, however often it stands there."""
    filing = town.mortgage()
    await _is_not_booked(filing.sign(owners=[town.key("bank-a")]))


async def test_form_without_terms_does_not_bind(town: Town) -> None:
    """A form that the owner signed and that embeds no terms binds the owner to nothing."""
    filing = town.mortgage().sign()
    owner = town.citizen(filing.owners[0])
    outcome = await _is_not_booked(_with_forms(filing, paper("form", owner), paper("form", owner)))
    assert ("N-NOT_APPLICANT", "") in codes_of(outcome.findings)


async def test_unsigned_form_with_terms_does_not_bind(town: Town) -> None:
    """The right terms in a form that nobody signed: the owner is awaited."""
    filing = town.mortgage().sign()
    outcome = await _is_not_booked(_with_forms(filing, form(filing.terms_bytes), form(filing.terms_bytes)))
    assert outcome.result == outcome_pb2.OUTCOME_RESULT_AWAITING_PARTIES


async def test_contract_signed_by_the_bank_alone_does_not_bind(town: Town) -> None:
    """Forms in order, contracts without the owner: not accepted."""
    filing = town.mortgage().sign()
    for code in ("PRINCIPAL_CONTRACT", "MORTGAGE_CONTRACT"):
        filing.papers[code] = [paper("contract", town.key("bank-a"))]
    outcome = await _is_not_booked(filing)
    assert [f.code for f in outcome.findings] == ["C-SIGNATURE", "C-SIGNATURE"]


async def test_contract_sealed_by_a_key_that_was_ended_is_not_accepted(town: Town) -> None:
    """The certificate is good and nobody revoked it; the registry knows the key, and that its term is over."""
    bank = INSTITUTIONS["bank-a"]
    stolen = town.pki.issue_institution(bank.id_number, bank.name)
    admin = await town.operator()
    async for institution in admin.list_institutions(bank.id_number):
        key = institution.keys.add(key_id=stolen.certificate.key_id, roles=[authority_pb2.KEY_ROLE_SUBMIT])
        key.not_after.FromDatetime(town.clock() - dt.timedelta(days=1))
        await admin.set_institution(institution)
    outcome = await _is_not_booked(town.mortgage().sign(bank=stolen))
    assert [f.code for f in outcome.findings] == ["C-SIGNATURE", "C-SIGNATURE"]


def _graft(donor: bytes, victim: bytes) -> bytes:
    """`victim` with the signature bytes of `donor` in the place of its own; no byte moves."""
    pattern = re.compile(rb"/Contents\s*<([0-9a-fA-F]+)>")
    wanted, place = pattern.search(donor), pattern.search(victim)
    assert wanted is not None
    assert place is not None
    body = wanted.group(1).rstrip(b"0")
    room = len(place.group(1))
    assert len(body) <= room
    return victim[: place.start(1)] + body.ljust(room, b"0") + victim[place.end(1) :]


async def test_owners_signature_copied_from_another_file_does_not_bind(town: Town) -> None:
    """The bytes of the owner's signature, moved from a file that was signed into one that was not, sign nothing."""
    filing = town.mortgage().sign()
    owner = town.citizen(filing.owners[0])
    donors = [form(b"other terms", owner), form(b"other terms", owner)]
    own = [form(filing.terms_bytes, _look_alike(town, filing.owners[0])) for _ in BOUND]
    grafted = [_graft(donor, victim) for donor, victim in zip(donors, own, strict=True)]
    outcome = await _is_not_booked(_with_forms(filing, *grafted))
    assert "C-FILE" in {f.code for f in outcome.findings}


async def test_terms_exchanged_under_the_owners_signature_do_not_bind(town: Town) -> None:
    """The embedded terms overwritten in place, under the owner's signature: the signature is broken."""
    small = town.mortgage(claim_fen=80_000_000)
    signed_form = form(small.terms_bytes, town.citizen(small.owners[0]))
    large = town.mortgage(small.unit, claim_fen=80_000_001).sign()
    assert len(large.terms_bytes) == len(small.terms_bytes)
    forged = signed_form.replace(small.terms_bytes, large.terms_bytes)
    assert forged != signed_form
    outcome = await _is_not_booked(_with_forms(large, forged, forged + b"\n"))
    assert "C-FILE" in {f.code for f in outcome.findings}


async def test_terms_exchanged_by_an_update_do_not_bind(town: Town) -> None:
    """The embedded terms replaced by an update after the owner signed: nothing but signatures may follow."""
    small = town.mortgage(claim_fen=10_000_000)
    owner = town.citizen(small.owners[0])
    large = town.mortgage(small.unit, claim_fen=900_000_000).sign()
    replaced = {11: stream(large.terms_bytes, b"/Type/EmbeddedFile")}
    forged = [update_pdf(form(small.terms_bytes, owner), replaced) for _ in BOUND]
    outcome = await _is_not_booked(_with_forms(large, *forged))
    assert {"C-FILE"} <= {f.code for f in outcome.findings}


async def test_second_form_beside_the_signed_one_does_not_bind(town: Town) -> None:
    """Two application forms, one signed over other terms and one unsigned over these: together they bind nobody."""
    small = town.mortgage(claim_fen=10_000_000)
    owner = town.citizen(small.owners[0])
    large = town.mortgage(small.unit, claim_fen=900_000_000).sign()
    for code in BOUND:
        large.papers[code] = [form(small.terms_bytes, owner), form(large.terms_bytes)]
    await _is_not_booked(large)


async def test_insider_as_owner_is_not_accepted(town: Town) -> None:
    """Terms that name an accomplice as owner are signed well, and the register says who owns."""
    accomplice = Party(
        name="同伙示例", id_kind=IdKind.RESIDENT_ID, id_number=made_up_citizen_id(dt.date(1990, 1, 1), 55)
    )
    outcome = await _is_not_booked(town.mortgage(owners=[accomplice]).sign())
    assert ("N-NOT_APPLICANT", "R-CONFLICT") in codes_of(outcome.findings)


async def test_power_of_attorney_of_the_insiders_making_is_not_accepted(town: Town) -> None:
    """An agent whom the terms name signs in the owner's place, on a power that nobody has seen."""
    filing = town.mortgage()
    owner = filing.owners[0]
    agent = Party(
        name="代示例", id_kind=IdKind.RESIDENT_ID, id_number=made_up_citizen_id(dt.date(1985, 5, 5), 56)
    )
    power = common_pb2.PowerOfAttorney(
        principal="owner-1",
        form=common_pb2.POWER_OF_ATTORNEY_FORM_NOTARISED,
        deed_number="1",
        acts=[codes_pb2.OPERATION_KIND_MORTGAGE_FIRST],
        unit_codes=[filing.unit.unit_code],
    )
    power.agent.CopyFrom(filing.terms.parties[0].person)
    power.agent.name, power.agent.identity.number = agent.name, agent.id_number
    filing.terms.powers_of_attorney.append(power)
    outcome = await _is_not_booked(filing.sign(owners=[town.citizen(agent)]))
    assert owner.name != agent.name
    assert "N-AUTHORISATION" in {f.code for f in outcome.findings}


async def test_mortgage_for_another_bank_is_not_booked(town: Town) -> None:
    """Bank A's envelope does not make bank B a mortgagee: bank B is awaited, and must have signed the contracts."""
    filing = town.mortgage()
    bank_b = SAMPLE.bank_b
    party = filing.terms.parties[-1]
    party.person.name, party.person.identity.number = bank_b.name, bank_b.id_number
    outcome = await _is_not_booked(filing.sign())
    assert {"C-SIGNATURE"} <= {f.code for f in outcome.findings}
