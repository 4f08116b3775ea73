"""openssl's lists and answers read by us, our questions read by openssl."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from signing.authority import KeyKind, make_authority, make_key
from signing.errors import TrustStoreInvalid
from signing.ocsp import check_nonce, make_question, read_answer
from signing.pki import DevelopmentPKI
from signing.revocation import RevocationIndex
from signing.trust import Purpose
from tests.support.ocsp import responder
from tests.support.openssl_ca import OpensslAuthority, needs_openssl, now
from tests.support.pki import BANK_USCC

pytestmark = needs_openssl

NONCE = b"n" * 32
KINDS = {
    "P256": KeyKind.P256,
    "P384": KeyKind.P384,
    "RSA": KeyKind.RSA_2048,
    "ED25519": KeyKind.ED25519,
    "SM2": KeyKind.SM2,
}
#: How openssl is told to sign: with SM3 under the user id of GB/T 35276, or with SHA-256.
OPTIONS = {"ED25519": (), "SM2": ("-rmd", "sm3", "-rsigopt", "distid:1234567812345678")}


class Made:
    """An authority of one kind of key, and two banks that it certified."""

    def __init__(self, folder: Path, kind: KeyKind = KeyKind.P256) -> None:
        self.now = now()
        self.authority = make_authority("openssl speaks", now=self.now, key=make_key(kind))
        pki = DevelopmentPKI(
            self.now, {Purpose.INSTITUTION: self.authority}, {Purpose.INSTITUTION: self.authority}
        )
        self.good = pki.issue_institution(BANK_USCC, "好")
        self.stolen = pki.issue_institution(BANK_USCC, "盗")
        self.stranger = pki.issue_institution(BANK_USCC, "不知")
        self.ca = OpensslAuthority(folder / "ca", self.authority)
        self.ca.record(self.good)
        self.ca.record(self.stolen, revoked_at=self.now - timedelta(hours=2))

    @property
    def issuer(self) -> Any:
        """Its certificate."""
        return self.authority.credential.certificate

    def question(self, who: Any) -> bytes:
        """Our question about a bank."""
        return make_question(who.certificate.serial, self.issuer, NONCE)


@pytest.mark.parametrize("kind", KINDS)
def test_answers_of_openssl_are_read(tmp_path: Path, kind: str) -> None:
    """Good, revoked and unknown; by name and by key; the nonce is repeated; each kind of key."""
    made = Made(tmp_path, KINDS[kind])
    options = OPTIONS.get(kind, ("-rmd", "sha256"))
    for extra in ((), ("-resp_key_id",)):
        der = made.ca.answer(made.question(made.good), "-nmin", "5", *options, *extra)
        check_nonce(der, NONCE)
        with pytest.raises(TrustStoreInvalid, match="nonce"):
            check_nonce(der, b"m" * 32)
        (said,) = read_answer(der, (made.issuer,))
        assert said.known
        assert said.revoked_since is None
        assert said.until - said.this_update == timedelta(minutes=5)
        assert said.delegate is None
    (said,) = read_answer(made.ca.answer(made.question(made.stolen), *options), (made.issuer,))
    assert said.revoked_since == made.now - timedelta(hours=2)
    (said,) = read_answer(made.ca.answer(made.question(made.stranger), *options), (made.issuer,))
    assert not said.known


def test_answer_of_a_delegate_of_openssl_is_read(tmp_path: Path) -> None:
    """It carries its certificate; one that lacks the usage is refused, whatever openssl signs with it."""
    made = Made(tmp_path)
    name = made.ca.delegate(responder(made.authority, begins=made.now))
    (said,) = read_answer(made.ca.answer(made.question(made.good), signer=name), (made.issuer,))
    assert said.delegate is not None
    assert said.delegate.unchecked
    wrong = made.ca.delegate(made.good, "wrong")
    with pytest.raises(TrustStoreInvalid, match="OCSPSigning"):
        read_answer(made.ca.answer(made.question(made.good), signer=wrong), (made.issuer,))


def test_answer_to_a_sha256_question_and_a_pss_signature_are_read(tmp_path: Path) -> None:
    """What openssl itself asks with SHA-256 names the same certificate; PSS parameters are read."""
    made = Made(tmp_path, KeyKind.RSA_2048)
    (made.ca.folder / "good.pem").write_bytes(made.good.chain_pem())
    made.ca.run(
        "ocsp", "-sha256", "-issuer", "ca.pem", "-cert", "good.pem", "-no_nonce", "-reqout", "asked.der"
    )
    asked = (made.ca.folder / "asked.der").read_bytes()
    for options in ((), ("-rsigopt", "rsa_padding_mode:pss")):
        der = made.ca.answer(asked, "-rmd", "sha256", *options)
        check_nonce(der, NONCE)  # none is in it
        (said,) = read_answer(der, (made.issuer,))
        assert said.serial == made.good.certificate.serial
    with pytest.raises(TrustStoreInvalid, match="ALGORITHM_REFUSED"):
        read_answer(made.ca.answer(asked, "-rmd", "sha1"), (made.issuer,))


def test_openssl_takes_our_test_answers(tmp_path: Path) -> None:
    """The answers that our tests make are answers to openssl too, so that they test what is out there."""
    from tests.support.ocsp import answer

    made = Made(tmp_path)
    der = answer(
        made.good, made.authority, by=responder(made.authority, begins=made.now), now=made.now, until=None
    )
    (made.ca.folder / "made.der").write_bytes(der)
    (made.ca.folder / "good.pem").write_bytes(made.good.chain_pem())
    told = made.ca.run(
        "ocsp", "-respin", "made.der", "-issuer", "ca.pem", "-cert", "good.pem", "-CAfile", "ca.pem"
    )
    assert b"good.pem: good" in told


@pytest.mark.parametrize("kind", ["P256", "P384", "RSA"])
def test_lists_of_openssl_are_read(tmp_path: Path, kind: str) -> None:
    """Who is named is revoked since then, and the list speaks until its next update."""
    made = Made(tmp_path, KINDS[kind])
    crl = made.ca.make_crl("-crlhours", "1")
    index = RevocationIndex((crl,), (made.issuer,))
    key_id = made.issuer.key_id
    assert index.revoked_since(key_id, made.stolen.certificate.serial) == made.now - timedelta(hours=2)
    assert index.revoked_since(key_id, made.good.certificate.serial) is None
    until = index.current_until(key_id, made.good.certificate)
    assert timedelta(minutes=59) < until - made.now <= timedelta(minutes=61)
