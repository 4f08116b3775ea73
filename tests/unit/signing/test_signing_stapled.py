"""Revocation evidence inside a signature: in CMS and PDF, in each of the places where people put it."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

import pytest
from asn1crypto import cms, core, crl, keys, ocsp
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives import serialization
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import signers
from pyhanko.sign.fields import SigSeedSubFilter
from pyhanko.sign.signers.pdf_cms import PdfCMSSignedAttributes, SimpleSigner
from pyhanko.sign.validation.dss import DocumentSecurityStore
from pyhanko_certvalidator.registry import SimpleCertificateStore

from signing.authority import Revocation
from signing.pdf import check_pdf
from signing.stapled import NOTHING_STAPLED, STAPLED_MAX, Stapled, stapled_in_cms
from signing.verdict import FileVerdict
from tests.support.ocsp import DAY, answer, responder
from tests.support.pdf_files import make_pdf
from tests.support.pki import NOW
from tests.unit.signing.test_signing_ocsp import ANCHOR, BANK, ISSUER, PKI, STRANGER, store

LIST = ISSUER.make_crl(now=NOW)
ANSWER = answer(BANK, ISSUER)
PLACES = ("crls", "other", "adobe", "cades", "dss")


class Stapler(SimpleSigner):
    """The library's signer, which staples evidence in one place."""

    place = ""
    evidence = NOTHING_STAPLED

    async def async_sign(self, *args: Any, **kwargs: Any) -> cms.ContentInfo:
        """Sign, with what is signed along; then add what is not."""
        lists = [crl.CertificateList.load(one) for one in self.evidence.crls]
        answers = [ocsp.OCSPResponse.load(one) for one in self.evidence.ocsp]
        if self.place == "adobe":
            kwargs["signed_attr_settings"] = PdfCMSSignedAttributes(
                adobe_revinfo_attr=self.format_revinfo(answers, lists)
            )
        signed = await super().async_sign(*args, **kwargs)
        data = signed["content"]
        if self.place == "crls":
            data["crls"] = [cms.RevocationInfoChoice("crl", one) for one in lists]
        if self.place == "other":
            shell = {"other_rev_info_format": "ocsp_response"}
            data["crls"] = [
                cms.RevocationInfoChoice(
                    "other", cms.OtherRevocationInfoFormat({**shell, "other_rev_info": one})
                )
                for one in answers
            ]
        if self.place == "cades":
            values = Values(
                {"crls": lists, "answers": [one["response_bytes"]["response"].parsed for one in answers]}
            )
            attribute = {"type": "1.2.840.113549.1.9.16.2.24", "values": [values]}
            data["signer_infos"][0]["unsigned_attrs"] = [attribute]
        return signed


class Lists(core.SequenceOf):  # type: ignore[misc]
    """SEQUENCE OF CertificateList."""

    _child_spec = crl.CertificateList


class Answers(core.SequenceOf):  # type: ignore[misc]
    """SEQUENCE OF BasicOCSPResponse."""

    _child_spec = ocsp.BasicOCSPResponse


class Values(core.Sequence):  # type: ignore[misc]
    """RevocationValues, written down once more from the standard."""

    _fields = [
        ("crls", Lists, {"explicit": 0, "optional": True}),
        ("answers", Answers, {"explicit": 1, "optional": True}),
    ]


def signed(place: str, evidence: Stapled) -> bytes:
    """A PDF signed by the bank, with evidence in a place."""
    certificates = SimpleCertificateStore()  # type: ignore[no-untyped-call]
    certificates.register_multiple(asn1_x509.Certificate.load(der) for der in BANK.certificates[1:])
    key = BANK.private_key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    signer = Stapler(
        signing_cert=asn1_x509.Certificate.load(BANK.certificates[0]),
        signing_key=keys.PrivateKeyInfo.load(key),
        cert_registry=certificates,
    )
    signer.place, signer.evidence = place, evidence
    subfilter = SigSeedSubFilter.ADOBE_PKCS7_DETACHED if place == "adobe" else SigSeedSubFilter.PADES
    out = signers.sign_pdf(
        IncrementalPdfFileWriter(io.BytesIO(make_pdf())),  # type: ignore[no-untyped-call]
        signers.PdfSignatureMetadata(field_name="S", subfilter=subfilter),
        signer,
        bytes_reserved=32768,
        in_place=False,
    )
    if place == "dss":
        lists = [crl.CertificateList.load(one) for one in evidence.crls]
        answers = [ocsp.OCSPResponse.load(one) for one in evidence.ocsp]
        out.seek(0)
        changed = io.BytesIO(out.read())
        DocumentSecurityStore.add_dss(changed, None, crls=lists, ocsps=answers)
        out = changed
    data: bytes = out.getvalue()
    return data


def verdict(place: str, evidence: Stapled, **trusted: Any) -> FileVerdict:
    """What a store says that demands to know and knows nothing itself of the bank."""
    return check_pdf(signed(place, evidence), store(**trusted), NOW)


@pytest.mark.parametrize("place", PLACES)
def test_stapled_evidence_is_used(place: str) -> None:
    """List or answer, wherever it is put; without it the same signature is undecided."""
    evidence = {"crls": Stapled((LIST,)), "other": Stapled(ocsp=(ANSWER,))}.get(
        place, Stapled((LIST,), (ANSWER,))
    )
    found = verdict(place, evidence)
    assert [one.code for one in found.problems] == []
    (signature,) = found.signatures
    kinds = [one.kind for one in signature.evidence]
    assert kinds.count("CRL") == 1 + len(evidence.crls)  # the anchor's own list is the store's
    assert kinds.count("OCSP") == len(evidence.ocsp)
    assert not signature.in_grace
    (problem,) = verdict(place, NOTHING_STAPLED).problems
    assert problem.code == "CERTIFICATE_REVOCATION_UNKNOWN"


NOT_USED = {
    "a_strangers_list": Stapled((STRANGER.make_crl(now=NOW),)),
    "a_strangers_answer": Stapled(ocsp=(answer(BANK, STRANGER),)),
    "an_answer_that_had_ended": Stapled(ocsp=(answer(BANK, ISSUER, now=NOW - DAY, until=NOW - DAY),)),
    "a_list_of_the_anchor_alone": Stapled((ANCHOR.make_crl(now=NOW),)),
    "nonsense_in_the_store_of_the_document": Stapled((LIST[:-1] + bytes([LIST[-1] ^ 1]),)),
}


@pytest.mark.parametrize("name", NOT_USED)
def test_what_does_not_authenticate_is_passed_over(name: str) -> None:
    """As if it were not there: whoever signs may staple what he likes."""
    (problem,) = verdict("dss", NOT_USED[name]).problems
    assert problem.code == "CERTIFICATE_REVOCATION_UNKNOWN"


def test_stapled_revocation_counts_and_stapled_good_does_not_outweigh_the_stores() -> None:
    """A thief who staples the answer from before is told what the store knows."""
    revoked = answer(BANK, ISSUER, status="revoked")
    (problem,) = verdict("cades", Stapled(ocsp=(revoked,))).problems
    assert problem.code == "CERTIFICATE_REVOKED"
    named = PKI.make_crl(next(p for p in PKI.issuing if PKI.issuing[p] is ISSUER), [BANK], now=NOW)
    (problem,) = verdict("cades", Stapled(ocsp=(ANSWER,)), crls=(named,)).problems
    assert problem.code == "CERTIFICATE_REVOKED"


def test_stapled_answer_of_a_delegate_whom_the_store_knows_as_revoked_says_nothing() -> None:
    """The thief of a responder's key signs himself good, and staples a list from before it was revoked."""
    by = responder(ISSUER)
    old, own = ISSUER.make_crl(now=NOW - 3 * DAY, days=1), answer(BANK, ISSUER, by=by)
    gone = Revocation(by.certificate.serial, NOW - 2 * DAY)
    ended = ISSUER.make_crl((gone,), now=NOW - 2 * DAY, days=1)
    (problem,) = verdict("cades", Stapled((old,), (own,)), crls=(ended,)).problems
    assert problem.code == "CERTIFICATE_REVOCATION_UNKNOWN"
    assert not verdict("cades", Stapled((old,), (own,))).problems


def test_stapled_answer_that_the_responder_took_back_says_nothing() -> None:
    """The store's newer one says that the certificate is unknown; or that it is good, which an older one is too."""
    later = NOW + timedelta(minutes=1)
    for status, codes in (("unknown", ["CERTIFICATE_REVOCATION_UNKNOWN"]), ("good", [])):
        newer = answer(BANK, ISSUER, status=status, now=later)
        found = check_pdf(signed("cades", Stapled(ocsp=(ANSWER,))), store(newer), later)
        assert [one.code for one in found.problems] == codes


def test_only_so_much_is_looked_at() -> None:
    """Many pieces are cut, and damaged CMS staples nothing."""
    many = Stapled((LIST,) * 100, (ANSWER,) * 100) | Stapled((LIST,))
    assert (len(many.crls), len(many.ocsp)) == (STAPLED_MAX, STAPLED_MAX)
    assert stapled_in_cms(b"nonsense") == NOTHING_STAPLED
