"""OCSP answers: whose are believed, what they say, and how they stand beside lists."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp as x509_ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from signing.anchors import AnchorPolicy
from signing.authority import Credential
from signing.certificates import parse_certificate
from signing.errors import (
    CertificateRevoked,
    CertificateUnknownIssuer,
    RevocationUnknown,
    TrustStoreInvalid,
)
from signing.ocsp import FRESH_WITHOUT_NEXT, OCSP_BYTES_MAX, check_nonce, make_question, read_answer
from signing.pki import DevelopmentPKI, KeyKind, make_key
from signing.revocation import LONG_AGO, RevocationIndex
from signing.trust import Purpose, TrustStore
from signing.trust_directory import read_trust, write_trust
from tests.support.ocsp import DAY, answer, responder
from tests.support.pki import BANK_USCC, NOW, sample_pki

HOUR = timedelta(hours=1)
BANK = sample_pki().bank
PKI = sample_pki().pki
ISSUER = PKI.issuing[Purpose.INSTITUTION]
ANCHOR = PKI.anchors[Purpose.INSTITUTION]
AUTHORITIES = (ISSUER.credential.certificate, ANCHOR.credential.certificate)
SERIAL = BANK.certificate.serial
KEY_ID = ISSUER.credential.certificate.key_id


def store(*ocsp: bytes, crls: tuple[bytes, ...] = (), **policy: Any) -> TrustStore:
    """A store that demands to know about certificates of institutions; the anchor's own list is there."""
    stated = {"revocation_required": True, "grace_hours": 0, **policy}
    return TrustStore(
        {Purpose.INSTITUTION: (ANCHOR.der,)},
        (ANCHOR.make_crl(now=NOW, days=365), *crls),
        (ISSUER.der,),
        ocsp=ocsp,
        policies={
            Purpose.INSTITUTION: (AnchorPolicy(anchor=ANCHOR.credential.certificate.fingerprint, **stated),)
        },
    )


def check(trust: TrustStore, at: Any = NOW) -> Any:
    """The bank's chain."""
    return trust.check_chain(BANK.certificate, (), Purpose.INSTITUTION, at)


# -- whose answers are believed ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
@pytest.mark.parametrize("by_name", [False, True])
def test_answer_of_the_authority_or_its_delegate_is_read(algorithm: str, *, by_name: bool) -> None:
    """Signed by the issuer or by whom it certified for that, named by key or by name, with either hash."""
    for by in (None, responder(ISSUER)):
        der = answer(BANK, ISSUER, by=by, names_by=algorithm, by_name=by_name)
        (said,) = read_answer(der, AUTHORITIES)
        assert (said.serial, said.issuer_key_id, said.known, said.revoked_since) == (
            SERIAL,
            KEY_ID,
            True,
            None,
        )
        assert (said.delegate is None) == (by is None)
        assert (said.this_update, said.until) == (NOW, NOW + DAY)


def test_answer_of_a_delegate_speaks_no_longer_than_its_certificate() -> None:
    """Whoever finds a key that was in use once makes no evidence for ever with it."""
    der = answer(BANK, ISSUER, by=responder(ISSUER), until=NOW + 900 * DAY)
    assert read_answer(der, AUTHORITIES)[0].until == NOW + 30 * DAY


STRANGER = DevelopmentPKI.create(NOW).issuing[Purpose.INSTITUTION]


def test_answer_of_the_national_suite_is_read() -> None:
    """Signed with SM2 by the authority or its delegate; a changed one is refused."""
    national = PKI.national
    assert national is not None
    issuer = national.issuing[Purpose.INSTITUTION]
    bank = national.issue_institution(BANK_USCC, "国密银行", key=make_key(KeyKind.SM2))
    for by in (None, responder(issuer, kind=KeyKind.SM2)):
        der = answer(bank, issuer, by=by, status="revoked")
        (said,) = read_answer(der, (issuer.credential.certificate,))
        assert said.revoked_since == NOW
    broken = answer(bank, issuer)
    with pytest.raises(TrustStoreInvalid):
        read_answer(broken[:-1] + bytes([broken[-1] ^ 1]), (issuer.credential.certificate,))


REFUSED: dict[str, Callable[[], bytes]] = {
    "delegate_of_another_authority": lambda: answer(BANK, ISSUER, by=responder(STRANGER)),
    "delegate_of_the_anchor_and_not_of_the_issuer": lambda: answer(BANK, ISSUER, by=responder(ANCHOR)),
    "delegate_without_the_usage": lambda: answer(
        BANK, ISSUER, by=responder(ISSUER, usage=ExtendedKeyUsageOID.EMAIL_PROTECTION)
    ),
    "delegate_that_had_not_begun": lambda: answer(BANK, ISSUER, by=responder(ISSUER, begins=NOW + DAY)),
    "delegate_that_had_ended_and_dates_its_answer_back": lambda: answer(
        BANK, ISSUER, by=responder(ISSUER, begins=NOW - 40 * DAY), produced=NOW - 20 * DAY
    ),
    "a_certificate_of_the_same_authority": lambda: answer(
        BANK, ISSUER, by=PKI.issue_institution("X" * 18, "x")
    ),
    "delegate_not_in_the_answer": lambda: answer(BANK, ISSUER, by=responder(ISSUER), carries=()),
    "another_key_under_the_issuers_name": lambda: answer(
        BANK,
        ISSUER,
        by=Credential(STRANGER.credential.private_key, ISSUER.credential.certificates),
        carries=(),
    ),
    "another_authority": lambda: answer(BANK, STRANGER),
    "signed_with_a_weak_hash": lambda: answer(BANK, ISSUER, weak=True),
    "status_try_later": lambda: x509_ocsp.OCSPResponseBuilder.build_unsuccessful(
        x509_ocsp.OCSPResponseStatus.TRY_LATER
    ).public_bytes(serialization.Encoding.DER),
    "critical_extension_that_nobody_knows": lambda: answer(BANK, ISSUER, critical=True),
    "another_responder_named_by_key": lambda: answer(BANK, ISSUER, by=responder(ISSUER), named=BANK),
    "another_responder_named_by_name": lambda: answer(BANK, ISSUER, named=BANK, by_name=True),
    "changed": lambda: answer(BANK, ISSUER)[:-1] + bytes([answer(BANK, ISSUER)[-1] ^ 1]),
    "cut_short": lambda: answer(BANK, ISSUER)[:-20],
    "trailing": lambda: answer(BANK, ISSUER) + b"\x00",
    "nonsense": lambda: b"nonsense",
    "empty": lambda: b"",
}


@pytest.mark.parametrize("name", REFUSED)
def test_answer_of_nobody_known_is_refused(name: str) -> None:
    """Each by the package's own error, alone and in a store."""
    der = REFUSED[name]()
    with pytest.raises(TrustStoreInvalid):
        read_answer(der, AUTHORITIES)
    with pytest.raises(TrustStoreInvalid, match="OCSP answer 0"):
        store(der)


def test_answer_of_a_delegate_without_nocheck_needs_a_list_that_speaks_for_it() -> None:
    """RFC 6960 section 4.2.2.2.1: else its own revocation would go unasked."""
    by = responder(ISSUER, no_check=False)
    der = answer(BANK, ISSUER, by=by)
    with pytest.raises(RevocationUnknown):
        check(store(der))
    # A list that is over for the bank's certificate, and was current when the answer was made.
    crl = ISSUER.make_crl(now=NOW - HOUR, days=1)
    assert check(store(der, crls=(crl,)), NOW + DAY - 2 * HOUR)
    old = ISSUER.make_crl(now=NOW - 2 * DAY, days=1)
    with pytest.raises(RevocationUnknown):
        check(store(der, crls=(old,)))


def test_answer_of_a_revoked_delegate_says_nothing() -> None:
    """A list that names the delegate silences it, id-pkix-ocsp-nocheck or not."""
    for no_check in (True, False):
        by = responder(ISSUER, no_check=no_check)
        crl = PKI.make_crl(Purpose.INSTITUTION, [by], since=NOW, now=NOW - 2 * DAY)
        der = answer(BANK, ISSUER, by=by, status="revoked")
        index = RevocationIndex((crl,), AUTHORITIES, (der,))
        assert index.revoked_since(KEY_ID, SERIAL) is None


def test_nonce_may_be_missing_but_not_be_another() -> None:
    """Responders that sign ahead repeat none; a repeated one must be ours, or it is an old answer played again."""
    check_nonce(answer(BANK, ISSUER), b"n" * 32)
    check_nonce(answer(BANK, ISSUER, nonce=b"n" * 32), b"n" * 32)
    with pytest.raises(TrustStoreInvalid, match="nonce"):
        check_nonce(answer(BANK, ISSUER, nonce=b"m" * 32), b"n" * 32)


def test_question_names_the_certificate() -> None:
    """Read by another library: issuer, serial number and nonce."""
    asked = x509_ocsp.load_der_ocsp_request(make_question(SERIAL, ISSUER.credential.certificate, b"n" * 32))
    loaded = x509.load_der_x509_certificate(ISSUER.der)
    key_hash = x509.SubjectKeyIdentifier.from_public_key(loaded.public_key()).digest
    assert asked.serial_number == SERIAL
    assert asked.issuer_key_hash == key_hash
    assert asked.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == b"n" * 32


# -- what they say -----------------------------------------------------------------------------------------------------


def test_revoked_counts_from_its_date() -> None:
    """Before it the certificate held."""
    der = answer(BANK, ISSUER, status="revoked", since=NOW - HOUR)
    with pytest.raises(CertificateRevoked) as caught:
        check(store(der))
    assert caught.value.revoked_at == NOW - HOUR
    assert store(der).is_revoked(KEY_ID, SERIAL, NOW - HOUR)
    assert not store(der).is_revoked(KEY_ID, SERIAL, NOW - HOUR - timedelta(seconds=1))


def test_unknown_is_not_good() -> None:
    """A responder that does not know the certificate takes back what it said before; a list still speaks."""
    good = answer(BANK, ISSUER)
    unknown = answer(BANK, ISSUER, status="unknown", now=NOW + HOUR, until=NOW + DAY)
    assert check(store(good), NOW + 2 * HOUR)
    for ders in ((good, unknown), (unknown, good)):
        with pytest.raises(RevocationUnknown):
            check(store(*ders), NOW + 2 * HOUR)
    assert check(store(unknown, crls=(ISSUER.make_crl(now=NOW),)), NOW + 2 * HOUR)


def test_newest_answer_decides_and_neither_kind_outweighs_a_revocation() -> None:
    """An answer is taken back by a newer one; a list and an answer never by each other."""
    good = answer(BANK, ISSUER, now=NOW + HOUR, until=NOW + DAY)
    revoked = answer(BANK, ISSUER, status="revoked", now=NOW)
    assert check(store(revoked, good), NOW + 2 * HOUR)
    index = RevocationIndex((), AUTHORITIES, (revoked, good))
    assert index.ocsp == (good,)
    named = PKI.make_crl(Purpose.INSTITUTION, [BANK], now=NOW)
    with pytest.raises(CertificateRevoked):
        check(store(good, crls=(named,)), NOW + 2 * HOUR)
    with pytest.raises(CertificateRevoked):
        check(store(revoked, crls=(ISSUER.make_crl(now=NOW + HOUR),)), NOW + 2 * HOUR)


def test_answer_speaks_until_its_next_update() -> None:
    """After it policy's grace, and then nothing; one that states none is believed for an hour."""
    trust = store(answer(BANK, ISSUER), grace_hours=2)
    graced: list[AnchorPolicy] = []
    trust.on_grace = graced.append
    assert not check(trust, NOW + DAY).in_grace
    assert not graced
    assert check(trust, NOW + DAY + HOUR).in_grace
    assert [one.grace_hours for one in graced] == [2]
    with pytest.raises(RevocationUnknown) as caught:
        check(trust, NOW + DAY + 2 * HOUR + timedelta(seconds=1))
    assert "grace of 2:00:00" in caught.value.message
    assert "2:00:00" in caught.value.zh
    without = store(answer(BANK, ISSUER, until=None))
    assert check(without, NOW + FRESH_WITHOUT_NEXT)
    with pytest.raises(RevocationUnknown):
        check(without, NOW + FRESH_WITHOUT_NEXT + timedelta(seconds=1))


def test_refusal_names_issuer_and_sources() -> None:
    """What a bank is told says whose list is missing and where it should come from."""
    trust = store(crl_urls=("http://crl.example/a",), ocsp_urls=("http://ocsp.example",))
    with pytest.raises(RevocationUnknown) as caught:
        check(trust)
    for text in (caught.value.message, caught.value.zh):
        assert "http://crl.example/a" in text
        assert "http://ocsp.example" in text
        assert "Development issuer: institution" in text


def test_chain_says_which_evidence_spoke() -> None:
    """For each link: the list of the anchor about the issuer, list and answer about the bank."""
    der, crl = answer(BANK, ISSUER), ISSUER.make_crl(now=NOW)
    own, above = check(store(der, crls=(crl,))).evidence
    assert [(one.kind, one.until) for one in own] == [("CRL", NOW + 30 * DAY), ("OCSP", NOW + DAY)]
    assert [one.kind for one in above] == ["CRL"]


def test_list_of_another_scope_does_not_speak() -> None:
    """A list that is only about authorities, or about another distribution point, says nothing of the bank."""

    def scoped(**options: Any) -> bytes:
        point = x509.IssuingDistributionPoint(
            **{
                "full_name": None,
                "relative_name": None,
                "only_contains_user_certs": False,
                "only_contains_ca_certs": False,
                "only_some_reasons": None,
                "indirect_crl": False,
                "only_contains_attribute_certs": False,
                **options,
            }
        )
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(x509.load_der_x509_certificate(ISSUER.der).subject)
            .last_update(NOW)
            .next_update(NOW + DAY)
            .add_extension(point, critical=True)
        )
        signed = builder.sign(ISSUER.credential.private_key, hashes.SHA256())  # type: ignore[arg-type]
        return signed.public_bytes(serialization.Encoding.DER)

    assert check(store(crls=(scoped(only_contains_user_certs=True),)))
    other = [x509.UniformResourceIdentifier("http://crl.example/other")]
    for crl in (scoped(only_contains_ca_certs=True), scoped(full_name=other)):
        with pytest.raises(RevocationUnknown):
            check(store(crls=(crl,)))


def test_index_knows_nothing_of_strangers() -> None:
    """Neither question raises."""
    index = RevocationIndex((), AUTHORITIES)
    assert index.revoked_since("0" * 64, 1) is None
    assert index.current_until("0" * 64, parse_certificate(BANK.certificates[0])) == LONG_AGO


def test_answers_go_through_a_folder(tmp_path: Path) -> None:
    """Beside the lists, as files of their own; one that is too large is named."""
    trust = store(answer(BANK, ISSUER), answer(sample_pki().second_bank, ISSUER))
    write_trust(trust, tmp_path)
    assert set(read_trust(tmp_path).ocsp) == set(trust.ocsp)
    (tmp_path / "large.ocsp").write_bytes(bytes(OCSP_BYTES_MAX + 1))
    with pytest.raises(TrustStoreInvalid, match=r"large\.ocsp"):
        read_trust(tmp_path)


# -- anchors by date ---------------------------------------------------------------------------------------------------


def test_anchor_is_believed_between_its_dates_only() -> None:
    """At the first instant it is, at the last not any more, whatever was found before in the same store."""
    crl = ISSUER.make_crl(now=NOW)
    trust = store(crls=(crl,), not_before=NOW, not_after=NOW + HOUR)
    assert check(trust, NOW)
    for at in (NOW + HOUR, NOW - timedelta(minutes=1), NOW + DAY):
        with pytest.raises(CertificateUnknownIssuer, match="believed"):
            check(trust, at)
    assert check(trust, NOW + HOUR - timedelta(seconds=1))


def test_policy_of_no_anchor_is_refused() -> None:
    """A slip in the fingerprint must not leave an anchor without its policy."""
    for policies in (
        (AnchorPolicy(anchor="0" * 64),),
        (AnchorPolicy(anchor=ANCHOR.credential.certificate.fingerprint),) * 2,
    ):
        with pytest.raises(TrustStoreInvalid, match="policy"):
            TrustStore({Purpose.INSTITUTION: (ANCHOR.der,)}, policies={Purpose.INSTITUTION: policies})


def test_store_with_answers_and_policies_goes_out_and_comes_back() -> None:
    """And one without them has the digest that it had before there were any."""
    trust = store(answer(BANK, ISSUER), crl_urls=("http://crl.example",), not_after=NOW + DAY)
    again = TrustStore.from_bytes(trust.to_bytes())
    assert (again.ocsp, again.policies) == (trust.ocsp, trust.policies)
    assert again.digest() == trust.digest()
    assert b"ocsp" not in sample_pki().trust.to_bytes()
    assert b"policies" not in sample_pki().trust.to_bytes()
