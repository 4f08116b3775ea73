"""A certificate counts only for its purpose, from its anchor, in its time, and while nobody revoked
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from signing.errors import (
    AlgorithmRefused,
    CertificateChainInvalid,
    CertificateExpired,
    CertificateNotYetValid,
    CertificateRefused,
    CertificateRevoked,
    CertificateUnknownIssuer,
    CertificateWithoutIdentity,
    CertificateWrongPurpose,
    RevocationUnknown,
)
from signing.pki import (
    Authority,
    Credential,
    DevelopmentPKI,
    KeyKind,
    Revocation,
    make_authority,
    make_key,
)
from signing.signer import sign_envelope
from signing.trust import Purpose, TrustStore
from signing.verify import verify_envelope
from tests.support.pki import BANK_USCC, NOW, REGISTRAR_ID, SELLER_ID, rsa_key, sample_pki

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)

USAGE = (x509.KeyUsage(True, True, False, False, False, False, False, False, False), True)
SIGNS = (x509.ExtendedKeyUsage([x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36")]), False)


def _verify(
    credential: Credential,
    purpose: Purpose = Purpose.INSTITUTION,
    *,
    trust: TrustStore | None = None,
    at: datetime = NOW,
) -> None:
    envelope = sign_envelope("a/b", b"payload", [credential.signer()])
    verify_envelope(envelope, purpose, trust or sample_pki().trust, at)


def _issue(
    attributes: Sequence[tuple[x509.ObjectIdentifier, str]],
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = (USAGE, SIGNS),
    issuer: Authority | None = None,
) -> Credential:
    name = x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])
    authority = issuer or sample_pki().pki.issuing[Purpose.INSTITUTION]
    return authority.issue(name, make_key(KeyKind.P256), extensions, now=NOW)


BANK = ((NameOID.ORGANIZATION_IDENTIFIER, f"NTRCN-{BANK_USCC}"),)


def test_certificate_of_each_purpose_is_accepted_for_it_and_for_no_other() -> None:
    """Anchors, usages and identities keep the purposes apart, in every direction."""
    sample = sample_pki()
    own = {
        Purpose.INSTITUTION: sample.bank,
        Purpose.PERSON: sample.seller,
        Purpose.REGISTRAR: sample.registrar,
        Purpose.OPERATOR: sample.operator,
        Purpose.REGISTRY: sample.registry_seal,
    }
    for held, credential in own.items():
        for asked in own:
            if held is asked:
                _verify(credential, asked)
            else:
                with pytest.raises((CertificateUnknownIssuer, CertificateWrongPurpose)):
                    _verify(credential, asked)


@pytest.mark.parametrize("purpose", [Purpose.INSTITUTION, Purpose.REGISTRY, Purpose.PERSON])
def test_certificate_for_tls_never_verifies_an_envelope(purpose: Purpose) -> None:
    """The key of a connection is not the key of a signature, though both name the bank."""
    with pytest.raises(CertificateWrongPurpose):
        _verify(sample_pki().bank_tls, purpose)


def test_certificate_for_tls_from_the_signing_authority_is_refused_by_its_usage() -> None:
    """Also where one authority issues both, the extended key usage keeps them apart."""
    for usages in (
        [ExtendedKeyUsageOID.CLIENT_AUTH],
        [ExtendedKeyUsageOID.EMAIL_PROTECTION, ExtendedKeyUsageOID.CLIENT_AUTH],
        [ExtendedKeyUsageOID.EMAIL_PROTECTION, ExtendedKeyUsageOID.SERVER_AUTH],
        [ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE],
        [ExtendedKeyUsageOID.CODE_SIGNING],
    ):
        with pytest.raises(CertificateWrongPurpose):
            _verify(_issue(BANK, (USAGE, (x509.ExtendedKeyUsage(usages), False))))


def test_certificate_without_extended_usage_is_accepted_from_its_anchor() -> None:
    """Many authorities leave the extension out; the anchor and the key usage decide then."""
    _verify(_issue(BANK, (USAGE,)))


def test_certificate_without_signing_usage_is_refused() -> None:
    """A key for encryption signs nothing."""
    encrypts = x509.KeyUsage(False, False, True, True, False, False, False, False, False)
    for extensions in (((encrypts, True),), ()):
        with pytest.raises(CertificateWrongPurpose):
            _verify(_issue(BANK, extensions))


def test_certificate_validity_is_judged_to_the_second() -> None:
    """The first and the last second count, the ones beside them do not."""
    certificate = sample_pki().bank.certificate
    trust = sample_pki().pki.trust_store()
    last = certificate.not_after
    first = certificate.not_before
    _verify(sample_pki().bank, at=first, trust=trust)
    _verify(sample_pki().bank, at=last, trust=trust)
    with pytest.raises(CertificateNotYetValid):
        _verify(sample_pki().bank, at=first - SECOND, trust=trust)
    with pytest.raises(CertificateExpired):
        _verify(sample_pki().bank, at=last + SECOND, trust=trust)


def test_certificate_validity_is_judged_again_though_the_chain_is_remembered() -> None:
    """A chain that was sound at noon is not so after its end: only soundness is remembered."""
    trust = sample_pki().pki.trust_store()
    for _ in range(2):
        _verify(sample_pki().bank, trust=trust)
        with pytest.raises(CertificateExpired):
            _verify(sample_pki().bank, trust=trust, at=NOW + 800 * DAY)


def test_certificate_revocation_counts_from_its_time_on() -> None:
    """Before the revocation the signature held, from that second on it does not."""
    trust = sample_pki().trust_revoking(sample_pki().bank, since=NOW)
    _verify(sample_pki().bank, trust=trust, at=NOW - SECOND)
    for at in (NOW, NOW + SECOND):
        with pytest.raises(CertificateRevoked) as caught:
            _verify(sample_pki().bank, trust=trust, at=at)
        assert caught.value.revoked_at == NOW
    _verify(sample_pki().second_bank, trust=trust)


def test_certificate_of_a_revoked_intermediate_is_refused() -> None:
    """An authority that was revoked takes all that it issued with it."""
    pki = sample_pki().pki
    intermediate = pki.issuing[Purpose.INSTITUTION].credential.certificate
    lists = list(pki.make_crls())
    lists.append(
        pki.anchors[Purpose.INSTITUTION].make_crl([Revocation(intermediate.serial, NOW)], now=NOW + SECOND)
    )
    with pytest.raises(CertificateRevoked):
        _verify(sample_pki().bank, trust=pki.trust_store(lists), at=NOW + SECOND)


def test_certificate_without_a_current_list_is_refused_where_one_is_demanded() -> None:
    """No list, or one whose next update is more than the grace ago, says nothing."""
    pki = sample_pki().pki
    with pytest.raises(RevocationUnknown):
        _verify(sample_pki().bank, trust=pki.trust_store(revocation_required=True))
    late = NOW + 32 * DAY
    with pytest.raises(RevocationUnknown):
        _verify(sample_pki().bank, at=late)
    _verify(sample_pki().bank, at=NOW + 30 * DAY)
    _verify(sample_pki().bank, trust=pki.trust_store())


def test_certificate_of_a_foreign_pki_with_the_same_names_is_refused() -> None:
    """Names prove nothing: the authority's key must have signed."""
    foreign = DevelopmentPKI.create(NOW).issue_institution(BANK_USCC, "澄江测试银行")
    with pytest.raises((CertificateUnknownIssuer, CertificateChainInvalid)):
        _verify(foreign)
    own = sample_pki().bank.certificates[1:]
    with pytest.raises((CertificateUnknownIssuer, CertificateChainInvalid)):
        _verify(Credential(foreign.private_key, (foreign.certificates[0], *own)))


def test_certificate_that_brings_its_own_anchor_is_refused() -> None:
    """What travels with an envelope helps to find a path and is trusted for nothing."""
    foreign = DevelopmentPKI.create(NOW)
    bank = foreign.issue_institution(BANK_USCC, "澄江测试银行")
    anchor = foreign.anchors[Purpose.INSTITUTION].der
    with pytest.raises((CertificateUnknownIssuer, CertificateChainInvalid)):
        _verify(Credential(bank.private_key, (*bank.certificates, anchor)))


def test_certificate_signed_by_itself_is_refused() -> None:
    """Nobody vouches for himself."""
    key = make_key(KeyKind.P256)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    name = x509.Name([x509.NameAttribute(oid, value) for oid, value in BANK])
    anchor = make_authority("nobody", now=NOW, key=key)
    itself = Authority(Credential(key, (_self_signed(name, key),)), is_anchor=True)
    with pytest.raises(CertificateUnknownIssuer):
        _verify(Credential(key, (itself.der,)))
    with pytest.raises(CertificateWrongPurpose):
        _verify(anchor.credential)


def _self_signed(name: x509.Name, key: ec.EllipticCurvePrivateKey) -> bytes:
    shell = make_authority("shell", now=NOW, key=key)
    issued = shell.issue(name, key, (USAGE, SIGNS), now=NOW)
    renamed = Authority(Credential(key, issued.certificates), is_anchor=True)
    return renamed.issue(name, key, (USAGE, SIGNS), now=NOW).certificates[0]


def test_certificate_issued_by_a_bank_is_refused() -> None:
    """A bank's signing certificate is no authority."""
    bank = Authority(sample_pki().bank, is_anchor=False)
    forged = _issue(((NameOID.ORGANIZATION_IDENTIFIER, "NTRCN-91999999MA00FAKE01"),), issuer=bank)
    with pytest.raises((CertificateUnknownIssuer, CertificateChainInvalid)):
        _verify(forged)


def test_certificate_below_a_path_length_of_zero_is_refused() -> None:
    """An issuing authority may not make further authorities."""
    issuing = sample_pki().pki.issuing[Purpose.INSTITUTION]
    deeper = issuing.make_intermediate("one too deep", now=NOW)
    with pytest.raises(CertificateChainInvalid):
        _verify(_issue(BANK, issuer=deeper))


def test_certificate_with_an_unknown_critical_extension_is_refused() -> None:
    """What is critical and not understood cannot be passed over (RFC 5280 section 4.2)."""
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")
    with pytest.raises(CertificateChainInvalid):
        _verify(_issue(BANK, (USAGE, SIGNS, (unknown, True))))
    _verify(_issue(BANK, (USAGE, SIGNS, (unknown, False))))


def test_certificate_of_an_authority_with_a_weak_key_is_refused() -> None:
    """RSA of 1024 bits in the middle of a path breaks it."""
    weak = sample_pki().pki.anchors[Purpose.INSTITUTION].make_intermediate("weak", now=NOW, key=rsa_key(1024))
    with pytest.raises(CertificateChainInvalid):
        _verify(_issue(BANK, issuer=weak))


@pytest.mark.parametrize(
    "attributes",
    [
        ((NameOID.COMMON_NAME, "澄江测试银行"),),
        ((NameOID.ORGANIZATION_IDENTIFIER, BANK_USCC),),
        ((NameOID.ORGANIZATION_IDENTIFIER, f"ntrcn-{BANK_USCC}"),),
        ((NameOID.ORGANIZATION_IDENTIFIER, "NTRCN-"),),
        ((NameOID.ORGANIZATION_IDENTIFIER, f"NTRCN-{BANK_USCC} "),),
        ((NameOID.ORGANIZATION_IDENTIFIER, f"IDCCN-{BANK_USCC}"),),
        (*BANK, (NameOID.ORGANIZATION_IDENTIFIER, "NTRCN-91999999MA00BANK2J")),
    ],
)
def test_certificate_without_one_clear_number_is_refused(
    attributes: Sequence[tuple[x509.ObjectIdentifier, str]],
) -> None:
    """A name is no identity, and two numbers are none either."""
    with pytest.raises(CertificateWithoutIdentity):
        _verify(_issue(attributes))


def test_certificate_of_an_employee_is_the_persons_and_not_the_banks() -> None:
    """The organisation beside a person's number lends him nothing."""
    employee = _issue((*BANK, (NameOID.SERIAL_NUMBER, f"IDCCN-{SELLER_ID}")))
    with pytest.raises(CertificateWrongPurpose):
        _verify(employee)
    assert employee.certificate.identity is not None
    assert employee.certificate.identity.number == SELLER_ID


@pytest.mark.parametrize("bits", [1024])
def test_certificate_with_a_short_rsa_key_is_refused(bits: int) -> None:
    """RSA below 2048 bits signs nothing, whoever certified it."""
    weak = sample_pki().pki.issue_institution(BANK_USCC, "澄江测试银行", key=rsa_key(bits))
    envelope = sign_envelope("a/b", b"payload", [sample_pki().bank.signer()])
    one = envelope.signatures[0]
    changed = type(one)(weak.certificate.key_id, "RSA_PSS_SHA256", weak.certificates, bytes(128))
    with pytest.raises(AlgorithmRefused):
        verify_envelope(
            type(envelope)("a/b", b"payload", (changed,)),
            Purpose.INSTITUTION,
            sample_pki().trust,
            NOW,
        )


def test_certificates_in_a_loop_end_in_a_refusal() -> None:
    """Authorities that certify each other lead nowhere, and soon."""
    keys = [make_key(KeyKind.P256) for _ in range(2)]
    first = make_authority("loop one", now=NOW, key=keys[0])
    second = make_authority("loop two", now=NOW, key=keys[1])
    across = [
        first.make_intermediate("loop two", now=NOW, key=keys[1]).der,
        second.make_intermediate("loop one", now=NOW, key=keys[0]).der,
    ]
    bank = _issue(BANK, issuer=first)
    looped = Credential(bank.private_key, (bank.certificates[0], *across, first.der, second.der))
    with pytest.raises(CertificateRefused):
        _verify(looped)


def test_certificate_refusals_speak_both_languages_and_name_the_certificate() -> None:
    """A bank's clerk reads Chinese, its developer English, both can look the certificate up."""
    with pytest.raises(CertificateRefused) as caught:
        _verify(sample_pki().bank_tls)
    assert caught.value.zh == "证书用途不符"
    assert caught.value.fingerprint == sample_pki().bank_tls.certificate.fingerprint
    assert caught.value.signature_index == 0


def test_certificate_of_a_registrar_is_a_natural_persons() -> None:
    """A decision is a human being's: an organisation's certificate from the same anchor is
    refused.
    """
    issuing = sample_pki().pki.issuing[Purpose.REGISTRAR]
    with pytest.raises(CertificateWrongPurpose):
        _verify(_issue(BANK, issuer=issuing), Purpose.REGISTRAR)
    _verify(_issue(((NameOID.SERIAL_NUMBER, f"IDCCN-{REGISTRAR_ID}"),), issuer=issuing), Purpose.REGISTRAR)
