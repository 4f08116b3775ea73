"""A whole PKI with a cast of made-up parties, made once per test session.

`sample_pki()` is cached, so any test or builder may call it; `tests/conftest.py` may wrap it in a
fixture. All identity numbers are of region 999999, which belongs to nobody, with right check
characters. Certificates begin at `NOW`; whoever needs another time issues from `sample_pki().pki`
with `not_before` and `days`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

from asn1crypto import keys as asn1_keys
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pyhanko.sign.timestamps.dummy_client import DummyTimeStamper
from pyhanko_certvalidator.registry import SimpleCertificateStore

from signing.algorithms import Algorithm, PrivateKey
from signing.pki import Credential, DevelopmentPKI, KeyKind, make_key
from signing.trust import TrustStore

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
"""The time at which the sample PKI begins and at which tests judge by default."""

_CITIZEN_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"


def citizen_id(birth: str, sequence: int) -> str:
    """An 18-character identity number of region 999999 (GB 11643): birth is YYYYMMDD."""
    body = f"999999{birth}{sequence:03d}"
    total = sum(int(digit) * weight for digit, weight in zip(body, _CITIZEN_WEIGHTS, strict=True))
    return body + "10X98765432"[total % 11]


def social_credit_code(organisation: str) -> str:
    """An 18-character unified social credit code (GB 32100) of region 999999.

    organisation: nine characters of the code's alphabet.
    """
    body = f"91999999{organisation}"
    total = sum(_USCC_ALPHABET.index(one) * pow(3, i, 31) for i, one in enumerate(body))
    return body + _USCC_ALPHABET[(31 - total % 31) % 31]


BANK_USCC = social_credit_code("MA00BANK1")
SECOND_BANK_USCC = social_credit_code("MA00BANK2")
FUND_CENTRE_USCC = social_credit_code("MA00FUND1")
REGISTRY_USCC = social_credit_code("MA00REGY1")
SELLER_ID = citizen_id("19800101", 1)
BUYER_ID = citizen_id("19850202", 2)
SPOUSE_ID = citizen_id("19860303", 4)
REGISTRAR_ID = citizen_id("19750404", 3)
OPERATOR_ID = citizen_id("19900505", 5)


@dataclass(frozen=True)
class SamplePKI:
    """The authorities, the cast, and a store that trusts them with current lists that revoke
    nobody.
    """

    pki: DevelopmentPKI
    bank: Credential
    second_bank: Credential
    fund_centre: Credential
    seller: Credential
    buyer: Credential
    spouse: Credential
    registrar: Credential
    operator: Credential
    registry_seal: Credential
    tls_server: Credential
    bank_tls: Credential
    second_bank_tls: Credential
    trust: TrustStore

    def trust_revoking(
        self, *revoked: Credential, since: datetime = NOW, revocation_required: bool = True
    ) -> TrustStore:
        """A store like `trust` whose lists name `revoked`, with effect from `since`."""
        crls = self.pki.make_crls(revoked, since=since)
        return self.pki.trust_store(crls, revocation_required=revocation_required)


@cache
def sample_pki() -> SamplePKI:
    """The one PKI of this test session. P-256 throughout, but for nothing: see `rsa_key` for
    RSA.
    """
    pki = DevelopmentPKI.create(NOW)
    return SamplePKI(
        pki=pki,
        bank=pki.issue_institution(BANK_USCC, "澄江测试银行"),
        second_bank=pki.issue_institution(SECOND_BANK_USCC, "云岭测试银行"),
        fund_centre=pki.issue_institution(FUND_CENTRE_USCC, "测试市住房公积金中心"),
        seller=pki.issue_person(SELLER_ID, "甲测试"),
        buyer=pki.issue_person(BUYER_ID, "乙测试"),
        spouse=pki.issue_person(SPOUSE_ID, "丙测试"),
        registrar=pki.issue_registrar(REGISTRAR_ID, "登测试"),
        operator=pki.issue_operator(OPERATOR_ID, "维测试"),
        registry_seal=pki.issue_seal(REGISTRY_USCC, "测试市不动产登记中心"),
        tls_server=pki.issue_tls_server(["localhost"], ["127.0.0.1"]),
        bank_tls=pki.issue_tls_client(BANK_USCC, "澄江测试银行", uris=[f"urn:diya:institution:{BANK_USCC}"]),
        second_bank_tls=pki.issue_tls_client(
            SECOND_BANK_USCC, "云岭测试银行", uris=[f"urn:diya:institution:{SECOND_BANK_USCC}"]
        ),
        trust=pki.trust_store(pki.make_crls(), revocation_required=True),
    )


@cache
def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    """One RSA key per size and session: they are slow to make."""
    key = make_key(KeyKind(f"RSA_{bits}"))
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def key_of(algorithm: Algorithm) -> PrivateKey:
    """A new key that signs with this algorithm (RSA: the session's)."""
    match algorithm:
        case Algorithm.ECDSA_P256_SHA256:
            return make_key(KeyKind.P256)
        case Algorithm.ECDSA_P384_SHA384:
            return make_key(KeyKind.P384)
        case Algorithm.ED25519:
            return make_key(KeyKind.ED25519)
        case Algorithm.SM2_SM3:
            return make_key(KeyKind.SM2)
        case Algorithm.RSA_PSS_SHA256 | Algorithm.RSA_PKCS1_SHA256:
            return rsa_key()


@cache
def timestamper(at: datetime = NOW) -> DummyTimeStamper:
    """A time stamp authority of the sample PKI that always says `at`. Its key is RSA: pyHanko's
    rule.
    """
    tsa = sample_pki().pki.issue_tsa(key=rsa_key())
    return timestamper_of(tsa, at)


def timestamper_of(tsa: Credential, at: datetime) -> DummyTimeStamper:
    """The same of any credential with an RSA key."""
    key = tsa.private_key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    store = SimpleCertificateStore()  # type: ignore[no-untyped-call]
    store.register_multiple(asn1_x509.Certificate.load(der) for der in tsa.certificates[1:])
    return DummyTimeStamper(
        asn1_x509.Certificate.load(tsa.certificates[0]),
        asn1_keys.PrivateKeyInfo.load(key),
        certs_to_embed=store,
        fixed_dt=at,
    )
