"""Builders: what a bank signs is what it meant."""

from __future__ import annotations

import hashlib
from datetime import date, datetime, timedelta

import pytest

from gateway.client import manifest as build
from gateway.client import operations
from gateway.client.acts import target_of, target_of_envelope
from gateway.client.errors import InputError
from gateway.client.payloads import (
    ALGORITHMS,
    MANIFEST,
    envelope_to_wire,
    header_of,
    payload_type_of,
)
from gateway.pb.diya.v1 import codes_pb2, common_pb2, envelope_pb2, operations_pb2, terms_pb2
from signing.algorithms import Algorithm
from signing.envelope import payload_digest
from signing.trust import Purpose
from signing.verify import verify_envelope
from tests.support.pki import BANK_USCC, BUYER_ID, FUND_CENTRE_USCC, NOW, SELLER_ID, sample_pki
from tests.unit.client.sample_case import PROOF, UNIT, sample_manifest, sample_terms, signed
from tests.unit.client.sample_ledger import REGISTRY


def test_person_and_institution_are_identified_by_number() -> None:
    """Parties carry the kind and the number of their identity, as the contract matches them."""
    owner = build.person("owner", "李示例", BUYER_ID, phone="13800000000")
    fund = build.institution_party(
        "fund",
        "澄江公积金中心",
        FUND_CENTRE_USCC,
        holder_type=codes_pb2.HOLDER_TYPE_PUBLIC_INSTITUTION,
        acting_institution=BANK_USCC,
    )
    assert owner.person.identity == common_pb2.Identity(kind=codes_pb2.ID_KIND_RESIDENT_ID, number=BUYER_ID)
    assert owner.person.capacity == codes_pb2.CAPACITY_FULL
    assert fund.person.identity.kind == codes_pb2.ID_KIND_USCC
    assert fund.acting_institution == BANK_USCC


def test_mortgage_first_names_both_sides_as_applicants() -> None:
    """Mortgagors and mortgagees apply together, each once, and money is in fen."""
    operation = sample_terms().operations[0]
    content = operation.mortgage_first.content
    assert list(operation.applicants) == ["owner", "bank"]
    assert content.claim_amount == common_pb2.Money(amount_fen=80_000_000, currency="CNY")
    assert content.mortgagor_relation == codes_pb2.MORTGAGOR_RELATION_DEBTOR
    assert (content.term_end.year, content.term_end.month) == (2046, 11)


def test_mortgage_content_of_a_third_party_says_so() -> None:
    """Who secures another's debt is a third party."""
    content = operations.mortgage_content(
        mortgagors=["owner"],
        mortgagees=["bank"],
        debtors=["son"],
        claim_fen=1,
        term=(date(2026, 1, 1), date(2027, 1, 1)),
        restricted=False,
    )
    assert content.mortgagor_relation == codes_pb2.MORTGAGOR_RELATION_THIRD_PARTY
    assert content.transfer_restriction == codes_pb2.TRANSFER_RESTRICTION_NONE


def test_mortgage_release_names_the_live_proof() -> None:
    """A release finds its mortgage by the number of the proof."""
    operation = operations.mortgage_release(
        PROOF, applicants=["bank"], ended_on=date(2026, 11, 2), unit_codes=[UNIT]
    )
    release = operation.mortgage_release
    assert release.mortgage.certificate.number == PROOF
    assert release.mortgage.certificate.scheme == common_pb2.CERTIFICATE_SCHEME_NATIONAL
    assert release.ground == operations_pb2.RELEASE_GROUND_CLAIM_SETTLED
    assert release.ended_on.day == 2


def test_operations_of_a_sale_name_sellers_and_buyers() -> None:
    """Pre-notices and the transfer state holders, obligors and shares."""
    sale = operations.pre_notice_of_sale(buyers=["b"], sellers=["s"], price_fen=5)
    mortgage = operations.pre_notice_of_mortgage(sample_terms().operations[0].mortgage_first.content)
    transfer = operations.ownership_transfer(
        sellers=["s"], buyers=["b"], titles=["苏(2020)澄江市不动产权第0000001号"], price_fen=5
    )
    assert list(sale.applicants) == ["s", "b"]
    assert sale.pre_notice_create.sale.price.amount_fen == 5
    assert list(mortgage.pre_notice_create.holders) == ["bank"]
    assert transfer.ownership_transfer.buyers[0].party == "b"
    with pytest.raises(ValueError, match="shares"):
        operations.ownership_transfer(
            sellers=["s"],
            buyers=["b", "c"],
            titles=[],
            price_fen=5,
            shares=[common_pb2.Fraction(numerator=1, denominator=2)],
        )


def test_loan_portion_of_a_fund_names_the_entrusted_bank() -> None:
    """A fund's portion belongs to the fund centre, lent by the entrusted bank."""
    portion = operations.loan_portion(
        FUND_CENTRE_USCC, "公积金中心", 7, fund=True, entrusted_bank_uscc=BANK_USCC
    )
    assert portion.kind == codes_pb2.LOAN_PORTION_KIND_PROVIDENT_FUND
    assert portion.entrusted_bank.uscc == BANK_USCC


def test_terms_bytes_are_the_same_every_time() -> None:
    """One serialization binds everybody."""
    terms = sample_terms()
    again = terms_pb2.Terms()
    again.CopyFrom(terms)
    assert build.terms_bytes(terms) == build.terms_bytes(again)


def test_header_defaults_to_the_channel_and_an_hour() -> None:
    """A bank that files for itself states one code; an envelope is short-lived."""
    header = sample_manifest().header
    assert header.applicant_institution == header.channel_institution == BANK_USCC
    lifetime = header.not_after.ToDatetime() - header.created_at.ToDatetime()
    assert lifetime == timedelta(hours=1)


def test_instant_without_zone_is_refused() -> None:
    """A time whose zone would have to be guessed is not sent."""
    with pytest.raises(ValueError, match="time zone"):
        build.instant(datetime(2026, 1, 1))  # noqa: DTZ001  # that is the point


def test_section_is_committed_by_digest() -> None:
    """The manifest holds a section's digest, its bytes travel beside."""
    reference, content = build.section("loan", b"{}", [BANK_USCC])
    assert reference.sha256 == hashlib.sha256(content.content).digest()
    assert list(reference.readers) == [BANK_USCC]


def test_request_id_is_a_version_4_uuid_of_its_entropy() -> None:
    """Ids come from the bytes given, in canonical form."""
    assert build.new_request_id(bytes(16)) == "00000000-0000-4000-8000-000000000000"


def test_sign_submission_verifies_as_an_institution() -> None:
    """What is signed verifies as the gateway verifies it, and the wire form keeps the bytes."""
    envelope = signed()
    verified = verify_envelope(envelope, Purpose.INSTITUTION, sample_pki().trust, NOW)
    assert verified.payload_type == MANIFEST
    wire = envelope_to_wire(envelope)
    assert wire.payload == envelope.payload
    assert wire.signatures[0].algorithm == envelope_pb2.SIGNATURE_ALGORITHM_ECDSA_P256_SHA256
    assert header_of(envelope).registry == REGISTRY


def test_every_signing_algorithm_has_its_number_on_the_wire() -> None:
    """No algorithm of signing is missing in the contract's closed list."""
    assert set(ALGORITHMS) == set(Algorithm)
    assert len(set(ALGORITHMS.values())) == len(Algorithm)


def test_target_digests_are_computed_from_the_manifest() -> None:
    """An act names the manifest by the digest that this side computed."""
    envelope = signed()
    name = f"registries/{REGISTRY}/applications/a"
    target = target_of_envelope(name, envelope)
    assert target.manifest_digest == payload_digest(MANIFEST, envelope.payload)
    manifest = envelope_pb2.Manifest.FromString(envelope.payload)
    assert target.terms_sha256 == hashlib.sha256(manifest.terms).digest()
    with pytest.raises(InputError):
        target_of(name, b"\xff\xff")


def test_payload_type_of_a_message_that_is_signed_by_nobody_is_refused() -> None:
    """Only manifests and acts go into envelopes."""
    with pytest.raises(InputError):
        payload_type_of(build.person("p", "李示例", SELLER_ID))
