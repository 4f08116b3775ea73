"""CMS files against OpenSSL 3, both ways: what it signs holds here, and what we sign holds there."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from signing.algorithms import Algorithm
from signing.certificates import certificates_to_pem
from signing.cms import read_signed_data
from signing.cms_file import check_cms
from signing.cms_sign import sign_cms
from signing.pki import Credential, KeyKind, make_key
from signing.trust import Purpose
from tests.support.pki import BANK_USCC, NOW, SELLER_ID, rsa_key, sample_pki

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")

CONTENT = b"\xff\xd8\xff a photograph of an identity card\r\n" + bytes(range(256))
AT = NOW + timedelta(hours=1)

KINDS = {
    Algorithm.ECDSA_P256_SHA256: KeyKind.P256,
    Algorithm.ECDSA_P384_SHA384: KeyKind.P384,
    Algorithm.RSA_PSS_SHA256: KeyKind.RSA_2048,
    Algorithm.RSA_PKCS1_SHA256: KeyKind.RSA_2048,
}
"""What OpenSSL 3.0's `cms` command knows: neither Ed25519 (`test_cms_others` has it) nor SM2."""


@cache
def _bank(kind: KeyKind) -> Credential:
    key = rsa_key() if kind is KeyKind.RSA_2048 else make_key(kind)
    return sample_pki().pki.issue_institution(BANK_USCC, "澄江测试银行", key=key)


def _openssl(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, check=False, timeout=60)


def _lay_out(folder: Path, credential: Credential) -> None:
    """The content, the key, the certificate, what is above it, and the anchor, as files."""
    key = credential.private_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    folder.joinpath("content").write_bytes(CONTENT)
    folder.joinpath("key.pem").write_bytes(key)
    folder.joinpath("certificate.pem").write_bytes(certificates_to_pem(credential.certificates[:1]))
    folder.joinpath("others.pem").write_bytes(certificates_to_pem(credential.certificates[1:]))
    anchor = sample_pki().pki.anchors[Purpose.INSTITUTION].der
    folder.joinpath("anchor.pem").write_bytes(certificates_to_pem([anchor]))


def _sign(folder: Path, *options: str) -> bytes:
    done = _openssl(
        folder, "cms", "-sign", "-binary", "-in", "content", "-signer", "certificate.pem", "-inkey",
        "key.pem", "-certfile", "others.pem", "-outform", "DER", "-out", "out.p7s", *options,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    return folder.joinpath("out.p7s").read_bytes()


def _options(algorithm: Algorithm) -> tuple[str, ...]:
    match algorithm:
        case Algorithm.RSA_PSS_SHA256:
            return ("-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:32", "-md", "sha256")
        case Algorithm.ECDSA_P384_SHA384:
            return ("-md", "sha384")
        case _:
            return ("-md", "sha256")


@pytest.mark.parametrize("algorithm", list(KINDS))
@pytest.mark.parametrize("detached", [True, False])
def test_what_openssl_signs_holds_here(algorithm: Algorithm, detached: bool, tmp_path: Path) -> None:
    """With a signing certificate named (-cades) and without; beside the file and around it."""
    credential = _bank(KINDS[algorithm])
    _lay_out(tmp_path, credential)
    shape = () if detached else ("-nodetach",)
    for named, form in ((("-cades",), "CAdES-B-B"), ((), "CMS")):
        made = _sign(tmp_path, *_options(algorithm), *shape, *named)
        verdict = check_cms(made, CONTENT if detached else None, sample_pki().trust, AT)
        assert verdict.ok, verdict.problems
        (signature,) = verdict.signatures
        assert signature.algorithm == algorithm.value
        assert signature.form == form
        assert signature.fingerprint == credential.certificate.fingerprint
        assert signature.identity.number == BANK_USCC


def test_signer_named_by_key_identifier_holds(tmp_path: Path) -> None:
    """The other form of RFC 5652 section 5.3; with another's identifier nobody is found."""
    credential = _bank(KeyKind.P256)
    _lay_out(tmp_path, credential)
    made = _sign(tmp_path, "-md", "sha256", "-keyid")
    verdict = check_cms(made, CONTENT, sample_pki().trust, AT)
    assert verdict.ok, verdict.problems
    assert verdict.signatures[0].fingerprint == credential.certificate.fingerprint
    own = credential.certificate.loaded.extensions.get_extension_for_class(
        x509.SubjectKeyIdentifier
    ).value.digest
    at = made.rindex(own)
    other = made[:at] + bytes(len(own)) + made[at + len(own) :]
    assert [one.code for one in check_cms(other, CONTENT, sample_pki().trust, AT).problems] == [
        "SIGNER_CERTIFICATE_MISSING"
    ]


@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
@pytest.mark.parametrize("kind", [KeyKind.P256, KeyKind.P384, KeyKind.RSA_2048])
def test_longer_and_shorter_digests_of_the_same_keys_hold(kind: KeyKind, digest: str, tmp_path: Path) -> None:
    """A P-384 key over SHA-256 is OpenSSL's own default, and many RSA signers write SHA-512."""
    _lay_out(tmp_path, _bank(kind))
    made = _sign(tmp_path, "-md", digest)
    verdict = check_cms(made, CONTENT, sample_pki().trust, AT)
    assert verdict.ok, verdict.problems
    assert verdict.signatures[0].algorithm.endswith(digest.upper())


def test_openssl_file_of_two_signers_names_both(tmp_path: Path) -> None:
    """A second signer is added to the file of the first."""
    _lay_out(tmp_path, _bank(KeyKind.P256))
    _sign(tmp_path, "-md", "sha256")
    tmp_path.joinpath("first.p7s").write_bytes(tmp_path.joinpath("out.p7s").read_bytes())
    seller = sample_pki().pki.issue_person(SELLER_ID, "甲测试", key=rsa_key())
    _lay_out(tmp_path, seller)
    done = _openssl(
        tmp_path, "cms", "-resign", "-inform", "DER", "-in", "first.p7s", "-signer", "certificate.pem",
        "-inkey", "key.pem", "-certfile", "others.pem", "-outform", "DER", "-out", "both.p7s",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    verdict = check_cms(tmp_path.joinpath("both.p7s").read_bytes(), CONTENT, sample_pki().trust, AT)
    assert verdict.ok, verdict.problems
    assert {one.identity.number for one in verdict.signatures} == {BANK_USCC, SELLER_ID}


def test_indefinite_lengths_of_a_streamed_file_are_read(tmp_path: Path) -> None:
    """OpenSSL streams an enclosed content in pieces of indefinite length, as other makers' libraries do."""
    _lay_out(tmp_path, _bank(KeyKind.P256))
    tmp_path.joinpath("content").write_bytes(CONTENT * 200)
    made = _sign(tmp_path, "-md", "sha256", "-nodetach", "-stream")
    assert made[1] == 0x80
    assert read_signed_data(made).content == CONTENT * 200
    assert check_cms(made, None, sample_pki().trust, AT).ok


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("-md", "sha1"), "ALGORITHM_REFUSED"),
        (("-md", "sha256", "-noattr"), "SIGNATURE_MALFORMED"),
        (("-md", "sha256", "-nocerts"), "SIGNER_CERTIFICATE_MISSING"),
        (("-md", "sha256", "-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:0"), "ALGORITHM_REFUSED"),
        (
            ("-md", "sha256", "-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_mgf1_md:sha512"),
            "ALGORITHM_REFUSED",
        ),
    ],
)  # fmt: skip
def test_what_is_not_accepted_is_refused_by_its_reason(
    options: tuple[str, ...], code: str, tmp_path: Path
) -> None:
    """Weak digests, no attributes, no certificate, half-said parameters of RSA-PSS."""
    _lay_out(tmp_path, _bank(KeyKind.RSA_2048))
    made = _sign(tmp_path, *options)
    verdict = check_cms(made, CONTENT, sample_pki().trust, AT)
    assert [one.code for one in verdict.problems] == [code]
    assert not verdict.signatures


@pytest.mark.parametrize("algorithm", list(KINDS))
@pytest.mark.parametrize("detached", [True, False])
def test_what_we_sign_holds_in_openssl(algorithm: Algorithm, detached: bool, tmp_path: Path) -> None:
    """OpenSSL verifies our file with CAdES' demands, and does not where the content was changed."""
    credential = _bank(KINDS[algorithm])
    _lay_out(tmp_path, credential)
    made = sign_cms(CONTENT, [credential.signer(algorithm=algorithm)], datetime.now(UTC), detached=detached)
    tmp_path.joinpath("ours.p7s").write_bytes(made)
    verify = [
        "cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", "ours.p7s", "-CAfile", "anchor.pem",
        "-purpose", "any", "-attime", str(int(AT.timestamp())), "-out", "seen",
    ]  # fmt: skip
    given = ["-content", "content"] if detached else []
    done = _openssl(tmp_path, *verify, *given)
    assert done.returncode == 0, done.stderr.decode()
    assert tmp_path.joinpath("seen").read_bytes() == CONTENT
    if detached:
        tmp_path.joinpath("content").write_bytes(CONTENT + b".")
        assert _openssl(tmp_path, *verify, *given).returncode != 0
