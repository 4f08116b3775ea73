"""SM2 and P-384 against openssl 3, a second SM2 of our own, and the standard's published example."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_crl, load_pem_x509_crl

from signing.algorithms import Algorithm, sign_raw, verify_signature
from signing.certificates import certificates_from_pem, spki_of
from signing.errors import AlgorithmRefused, CertificateRevoked, SignatureInvalid
from signing.pki import KeyKind, Revocation, make_authority, make_key
from signing.signer import LocalSigner, load_private_key, sign_envelope
from signing.sm2 import SM2PublicKey
from signing.trust import Purpose, TrustStore
from signing.verify import verify_envelope
from tests.interop import sm2_second
from tests.support.pki import BANK_USCC, NOW, sample_pki

OPENSSL = shutil.which("openssl")
needs_openssl = pytest.mark.skipif(OPENSSL is None, reason="no openssl on the path: install openssl 3")

EXAMPLE = json.loads((Path(__file__).parents[1] / "vectors" / "sm2" / "example.json").read_text("utf-8"))
USER_ID = EXAMPLE["user_id"].encode()
MESSAGE = EXAMPLE["message"].encode()
D = int(EXAMPLE["private_key"], 16)
POINT = (int(EXAMPLE["public_key_x"], 16), int(EXAMPLE["public_key_y"], 16))
R, S = int(EXAMPLE["r"], 16), int(EXAMPLE["s"], 16)
K = int(EXAMPLE["k"], 16)
SPKI_HEAD = bytes.fromhex("3059301306072a8648ce3d020106082a811ccf5501822d03420004")
PUBLIC_KEY = SM2PublicKey(SPKI_HEAD + b"".join(one.to_bytes(32, "big") for one in POINT))

DISTID = "distid:1234567812345678"
WAYS = {
    Algorithm.SM2_SM3: ["-rawin", "-digest", "sm3", "-pkeyopt", DISTID],
    Algorithm.ECDSA_P384_SHA384: ["-rawin", "-digest", "sha384"],
}


def _run(*arguments: str | Path, into: Path) -> subprocess.CompletedProcess[bytes]:
    assert OPENSSL is not None
    return subprocess.run(
        [OPENSSL, *[str(one) for one in arguments]], cwd=into, capture_output=True, check=False, timeout=60
    )


def _openssl(*arguments: str | Path, into: Path) -> bytes:
    ran = _run(*arguments, into=into)
    assert ran.returncode == 0, ran.stderr.decode()
    return ran.stdout


def _holds(value: bytes, message: bytes = MESSAGE) -> bool:
    try:
        verify_signature(PUBLIC_KEY, Algorithm.SM2_SM3, value, message)
    except SignatureInvalid:
        return False
    return True


def test_published_example_follows_from_its_key_id_message_and_nonce() -> None:
    """Our second SM2 comes to every number that the standard prints."""
    assert sm2_second.public_point(D) == POINT
    assert sm2_second.z_of(USER_ID, POINT).hex() == EXAMPLE["z"]
    assert f"{sm2_second.e_of(USER_ID, POINT, MESSAGE):064x}" == EXAMPLE["e"]
    assert sm2_second.sign(D, USER_ID, MESSAGE, K) == (R, S)
    assert sm2_second.holds(POINT, USER_ID, MESSAGE, R, S)


def test_published_example_of_sm2_verifies() -> None:
    """GB/T 32918.5 annex A: its signature holds over its message, and over no other."""
    value = encode_dss_signature(R, S)
    assert _holds(value)
    assert not _holds(value, MESSAGE + b".")


def test_what_we_sign_with_sm2_the_second_implementation_accepts() -> None:
    """Under the default user id."""
    key = make_key(KeyKind.SM2)
    point = key.public_key()
    assert isinstance(point, SM2PublicKey)
    xy = int.from_bytes(point.point[1:33], "big"), int.from_bytes(point.point[33:], "big")
    r, s = decode_dss_signature(sign_raw(key, Algorithm.SM2_SM3, MESSAGE))
    assert sm2_second.holds(xy, USER_ID, MESSAGE, r, s)
    assert not sm2_second.holds(xy, b"", MESSAGE, r, s)


@pytest.mark.parametrize("user_id", [b"", b"1234567812345679", b"12345678123456781", b"ALICE123@YAHOO.COM"])
def test_sm2_signature_under_another_user_id_is_refused(user_id: bytes) -> None:
    """The id is part of what is signed. openssl without `distid` signs under the empty one."""
    assert _holds(encode_dss_signature(*sm2_second.sign(D, USER_ID, MESSAGE, K)))
    assert not _holds(encode_dss_signature(*sm2_second.sign(D, user_id, MESSAGE, K)))


@pytest.mark.parametrize(
    ("r", "s"),
    [
        (R, sm2_second.N - S),
        (sm2_second.N - R, S),
        (R + sm2_second.N, S),
        (R, S + sm2_second.N),
        (S, R),
        (0, S),
        (R, 0),
        (R, sm2_second.N - R),
        (1, 1),
    ],
)
def test_sm2_signature_of_altered_numbers_is_refused(r: int, s: int) -> None:
    """No second value passes for a signature; SM2 has no mirrored s as ECDSA has."""
    assert not _holds(encode_dss_signature(r, s))


@pytest.mark.parametrize(
    "change",
    [
        "long length",
        "indefinite",
        "zero before r",
        "negative",
        "trailing",
        "inside",
        "plain",
        "short",
        "none",
    ],
)
def test_sm2_signature_that_is_not_the_one_der_is_refused(change: str) -> None:
    """r and s have one encoding; P1363 and every other form is refused."""
    r, s = b"\0" + R.to_bytes(32, "big"), b"\0" + S.to_bytes(32, "big")
    good = encode_dss_signature(R, S)
    assert good == bytes([0x30, 70, 2, 33]) + r + bytes([2, 33]) + s
    bad = {
        "long length": bytes([0x30, 0x81, 70]) + good[2:],
        "indefinite": bytes([0x30, 0x80]) + good[2:] + b"\0\0",
        "zero before r": bytes([0x30, 71, 2, 34, 0]) + r + bytes([2, 33]) + s,
        "negative": bytes([0x30, 69, 2, 32]) + r[1:] + bytes([2, 33]) + s,
        "trailing": good + b"\0",
        "inside": bytes([0x30, 72]) + good[2:] + b"\5\0",
        "plain": r[1:] + s[1:],
        "short": good[:-1],
        "none": b"",
    }[change]
    assert not _holds(bad)


def test_sm2_name_with_a_key_of_another_curve_is_refused_and_the_other_way_round() -> None:
    """The key decides."""
    value = encode_dss_signature(R, S)
    with pytest.raises(AlgorithmRefused):
        verify_signature(make_key(KeyKind.P256).public_key(), Algorithm.SM2_SM3, value, MESSAGE)
    with pytest.raises(AlgorithmRefused):
        verify_signature(PUBLIC_KEY, Algorithm.ECDSA_P256_SHA256, value, MESSAGE)


@needs_openssl
@pytest.mark.parametrize("algorithm", list(WAYS))
def test_openssl_accepts_our_signature_and_we_accept_openssls(algorithm: Algorithm, tmp_path: Path) -> None:
    """Both directions, with the key that openssl made; SM2 under the default id alone."""
    curve = (
        ["-algorithm", "SM2"]
        if algorithm is Algorithm.SM2_SM3
        else ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"]
    )
    _openssl("genpkey", *curve, "-out", "key.pem", into=tmp_path)
    _openssl("pkey", "-in", "key.pem", "-pubout", "-outform", "DER", "-out", "public.der", into=tmp_path)
    key = load_private_key((tmp_path / "key.pem").read_bytes())
    assert spki_of(key.public_key()) == (tmp_path / "public.der").read_bytes()
    (tmp_path / "message").write_bytes(MESSAGE)

    (tmp_path / "ours").write_bytes(sign_raw(key, algorithm, MESSAGE))
    check = ["pkeyutl", "-verify", "-inkey", "key.pem", "-in", "message", "-sigfile", "ours"]
    _openssl(*check, *WAYS[algorithm], into=tmp_path)

    sign = ["pkeyutl", "-sign", "-inkey", "key.pem", "-in", "message", "-out", "theirs"]
    _openssl(*sign, *WAYS[algorithm], into=tmp_path)
    verify_signature(key.public_key(), algorithm, (tmp_path / "theirs").read_bytes(), MESSAGE)
    if algorithm is Algorithm.SM2_SM3:
        _openssl(*sign, "-rawin", "-digest", "sm3", "-pkeyopt", "distid:another", into=tmp_path)
        with pytest.raises(SignatureInvalid):
            verify_signature(key.public_key(), algorithm, (tmp_path / "theirs").read_bytes(), MESSAGE)


@needs_openssl
@pytest.mark.parametrize("cipher", ["aes-256-cbc", "sm4-cbc"])
def test_sm2_key_that_openssl_encrypted_signs(cipher: str, tmp_path: Path) -> None:
    """PKCS#8 with PBES2, the national cipher too."""
    _openssl("genpkey", "-algorithm", "SM2", "-out", "key.pem", into=tmp_path)
    encrypt = ["pkcs8", "-topk8", "-v2", cipher, "-passout", "pass:secret"]
    _openssl(*encrypt, "-in", "key.pem", "-out", "encrypted.pem", into=tmp_path)
    plain = load_private_key((tmp_path / "key.pem").read_bytes())
    encrypted = load_private_key((tmp_path / "encrypted.pem").read_bytes(), b"secret")
    assert encrypted.public_key() == plain.public_key()


@needs_openssl
def test_openssl_reads_the_sm2_key_that_we_write_encrypted(tmp_path: Path) -> None:
    """A key file of ours is nobody's prison."""
    bank = sample_pki().pki.issue_institution(BANK_USCC, "国密银行", key=make_key(KeyKind.SM2))
    (tmp_path / "key.pem").write_bytes(bank.key_pem(b"secret"))
    read = ["pkey", "-in", "key.pem", "-passin", "pass:secret", "-pubout", "-outform", "DER"]
    assert _openssl(*read, into=tmp_path) == spki_of(bank.certificate.public_key)


EXTENSIONS = """
[ca]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature, nonRepudiation
extendedKeyUsage = emailProtection
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[issuer]
database = index.txt
crlnumber = crlnumber
default_md = sm3
default_crl_days = 3650
"""


@needs_openssl
def test_chain_and_list_that_openssl_made_with_sm2_are_judged(tmp_path: Path) -> None:
    """Root, issuer, leaf and list by openssl alone: the envelope holds, and is refused once the leaf is listed."""
    (tmp_path / "x.cnf").write_text(EXTENSIONS, "utf-8")
    for name in ("root", "issuer", "leaf"):
        _openssl("genpkey", "-algorithm", "SM2", "-out", f"{name}.key", into=tmp_path)
    subjects = {
        "root": "/C=CN/CN=openssl root",
        "issuer": "/C=CN/CN=openssl issuer",
        "leaf": f"/C=CN/O=bank/organizationIdentifier=NTRCN-{BANK_USCC}/CN=bank",
    }
    for name, above, section in (
        ("root", "root", "ca"),
        ("issuer", "root", "ca"),
        ("leaf", "issuer", "leaf"),
    ):
        new = ["req", "-new", "-key", f"{name}.key", "-sm3", "-sigopt", DISTID, "-subj", subjects[name]]
        _openssl(*new, "-out", f"{name}.csr", into=tmp_path)
        issue = ["x509", "-req", "-in", f"{name}.csr", "-sm3", "-sigopt", DISTID, "-vfyopt", DISTID]
        issue += ["-days", "3650", "-extfile", "x.cnf", "-extensions", section, "-out", f"{name}.pem"]
        by = ["-signkey", "root.key"] if name == above else ["-CA", f"{above}.pem", "-CAkey", f"{above}.key"]
        _openssl(*issue, *by, into=tmp_path)
    (tmp_path / "index.txt").write_text("")
    (tmp_path / "crlnumber").write_text("01\n")
    ca = ["ca", "-config", "x.cnf", "-name", "issuer", "-cert", "issuer.pem", "-keyfile", "issuer.key"]
    lists = []
    for revoked in (False, True):
        if revoked:
            _openssl(*ca, "-revoke", "leaf.pem", into=tmp_path)
        _openssl(*ca, "-gencrl", "-sigopt", DISTID, "-out", "list.pem", into=tmp_path)
        lists.append(load_pem_x509_crl((tmp_path / "list.pem").read_bytes()).public_bytes(Encoding.DER))

    ders = {name: certificates_from_pem((tmp_path / f"{name}.pem").read_bytes())[0] for name in subjects}
    key = load_private_key((tmp_path / "leaf.key").read_bytes())
    envelope = sign_envelope("a/b", MESSAGE, [LocalSigner(key, [ders["leaf"], ders["issuer"]])])
    anchors = {Purpose.INSTITUTION: (ders["root"],)}
    at = load_der_x509_crl(lists[1]).last_update_utc
    good = TrustStore(anchors, lists[:1], [ders["issuer"]])
    assert verify_envelope(envelope, Purpose.INSTITUTION, good, at).signers[0].algorithm == "SM2_SM3"
    with pytest.raises(CertificateRevoked):
        verify_envelope(envelope, Purpose.INSTITUTION, TrustStore(anchors, lists[1:], [ders["issuer"]]), at)


@needs_openssl
@pytest.mark.parametrize("kind", [KeyKind.SM2, KeyKind.P384])
def test_openssl_accepts_the_certificates_and_lists_that_we_make(kind: KeyKind, tmp_path: Path) -> None:
    """Each link by openssl; a list's signature over its content."""
    anchor = make_authority("ours", now=NOW, key=make_key(kind))
    issuer = anchor.make_intermediate("ours too", now=NOW, key=make_key(kind))
    anchor.credential.write(tmp_path, "anchor")
    issuer.credential.write(tmp_path, "issuer")
    check = ["verify", "-attime", str(int(NOW.timestamp())), "-partial_chain", "-vfyopt", DISTID]
    if kind is not KeyKind.SM2:
        check = check[:-2]
    _openssl(*check, "-trusted", "anchor.pem", "issuer.pem", into=tmp_path)
    wrong = make_authority("ours", now=NOW, key=make_key(kind)).credential
    wrong.write(tmp_path, "wrong")
    assert _run(*check, "-trusted", "wrong.pem", "issuer.pem", into=tmp_path).returncode != 0

    crl = load_der_x509_crl(issuer.make_crl([Revocation(7, NOW)], now=NOW))
    (tmp_path / "content").write_bytes(crl.tbs_certlist_bytes)
    (tmp_path / "value").write_bytes(crl.signature)
    way = WAYS[Algorithm.SM2_SM3] if kind is KeyKind.SM2 else ["-rawin", "-digest", "sha256"]
    key = ["-inkey", "issuer.key.pem", "-in", "content", "-sigfile", "value"]
    _openssl("pkeyutl", "-verify", *key, *way, into=tmp_path)
