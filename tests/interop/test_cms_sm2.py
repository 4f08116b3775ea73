"""GB/T 35275 against OpenSSL 3's SM2: its `cms` command cannot, so the value over the attributes goes both ways."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from signing import sm2
from signing.algorithms import Algorithm
from signing.cms import read_signed_data
from signing.cms_file import check_cms
from signing.cms_sign import sign_35275, sign_cms
from signing.pki import Credential, KeyKind, make_key
from signing.sm2 import SM2PrivateKey
from tests.support.pki import BANK_USCC, NOW, sample_pki

pytestmark = [
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed"),
    pytest.mark.skipif(not sm2.AVAILABLE, reason="the extra sm is not installed"),
]

CONTENT = "抵押合同扫描件".encode() * 99


@cache
def _bank() -> Credential:
    return sample_pki().pki.issue_institution(BANK_USCC, "澄江测试银行", key=make_key(KeyKind.SM2))


class _OpenSSLSigner:
    """A signer whose key OpenSSL holds."""

    algorithm = Algorithm.SM2_SM3

    def __init__(self, folder: Path) -> None:
        key = _bank().private_key
        assert isinstance(key, SM2PrivateKey)
        self._folder = folder
        self.certificates = _bank().certificates
        folder.joinpath("key.pem").write_bytes(key.pkcs8_pem())

    def sign(self, message: bytes) -> bytes:
        self._folder.joinpath("message").write_bytes(message)
        done = subprocess.run(
            ["openssl", "pkeyutl", "-sign", "-rawin", "-digest", "sm3", "-inkey", "key.pem", "-in", "message",
             "-pkeyopt", "distid:1234567812345678"],
            cwd=self._folder, capture_output=True, check=True, timeout=60,
        )  # fmt: skip
        return done.stdout


@pytest.mark.parametrize("attributes", [True, False])
def test_value_that_openssl_makes_holds_here(attributes: bool, tmp_path: Path) -> None:
    """The attributes, or the content itself, signed by OpenSSL under the default user id."""
    made = sign_35275(CONTENT, [_OpenSSLSigner(tmp_path)], NOW, attributes=attributes)
    verdict = check_cms(made, CONTENT, sample_pki().trust, NOW)
    assert verdict.ok, verdict.problems
    assert (verdict.signatures[0].algorithm, verdict.signatures[0].form) == ("SM2_SM3", "GB/T 35275")


def test_value_that_we_make_holds_in_openssl(tmp_path: Path) -> None:
    """What is signed is the DER SET OF the attributes, whose digest of the content is SM3 without Z."""
    made = sign_35275(CONTENT, [_bank().signer()], NOW)
    (signer,) = read_signed_data(made).signers
    assert signer.signed_attributes is not None
    key = _bank().private_key
    assert isinstance(key, SM2PrivateKey)
    tmp_path.joinpath("key.pem").write_bytes(key.pkcs8_pem())
    tmp_path.joinpath("message").write_bytes(signer.signed_attributes)
    tmp_path.joinpath("value").write_bytes(signer.signature)
    tmp_path.joinpath("content").write_bytes(CONTENT)
    verified = subprocess.run(
        ["openssl", "pkeyutl", "-verify", "-rawin", "-digest", "sm3", "-inkey", "key.pem", "-in", "message",
         "-sigfile", "value", "-pkeyopt", "distid:1234567812345678"],
        cwd=tmp_path, capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert verified.returncode == 0, verified.stdout
    digest = subprocess.run(
        ["openssl", "dgst", "-sm3", "-binary", "content"], cwd=tmp_path, capture_output=True, check=True
    )
    assert digest.stdout in signer.signed_attributes


@pytest.mark.parametrize("national", [True, False])
def test_openssl_reads_the_structure_to_its_end(national: bool, tmp_path: Path) -> None:
    """Both shapes are well-formed ASN.1 whose outer type says which it is."""
    sign = sign_35275 if national else sign_cms
    tmp_path.joinpath("made.p7s").write_bytes(sign(CONTENT, [_bank().signer()], NOW, detached=False))
    shown = subprocess.run(
        ["openssl", "asn1parse", "-inform", "DER", "-in", "made.p7s"],
        cwd=tmp_path,
        capture_output=True,
        check=True,
    ).stdout.decode()
    outer = "1.2.156.10197.6.1.4.2.2" if national else "pkcs7-signedData"
    assert outer in shown.splitlines()[1]
