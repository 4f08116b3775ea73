"""openssl and we agree on time stamps: it verifies ours, we verify its own, and both see the stamp in a sealed PDF."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from asn1crypto import cms

from gateway.app import utc_now
from signing.algorithms import Algorithm
from signing.certificates import certificates_from_pem, certificates_to_pem
from signing.errors import TimestampInvalid, TimestampRefused
from signing.pki import KeyKind, make_key
from signing.seal import add_stamp, seal_pdf, signature_of
from signing.timestamp import decode_response, encode_request, verify_token
from signing.timestamp_authority import TimestampAuthority
from signing.trust import Purpose, TrustStore
from tests.support.pdf_files import make_pdf
from tests.support.pki import NOW, rsa_key, sample_pki

OPENSSL = shutil.which("openssl")
PDFSIG = shutil.which("pdfsig")
DATA = b"ledger.example.org/jiangyin\n42\n"
AT = ("-attime", str(int(NOW.timestamp())))

pytestmark = pytest.mark.skipif(OPENSSL is None, reason="no openssl on the path")


def openssl(*words: object, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """What openssl says."""
    command = [str(OPENSSL), *map(str, words)]
    return subprocess.run(command, input=data, capture_output=True, check=False, timeout=60)


def made(*words: object, data: bytes = b"") -> bytes:
    """What openssl makes, which it must."""
    ran = openssl(*words, data=data)
    assert ran.returncode == 0, ran.stderr.decode()
    return ran.stdout


def anchor(folder: Path) -> Path:
    """The TSA anchor of the sample PKI."""
    path = folder / "anchor.pem"
    path.write_bytes(certificates_to_pem((sample_pki().pki.anchors[Purpose.TSA].der,)))
    return path


# -- ours, by openssl --------------------------------------------------------------------------------------------------

#: openssl 3 verifies time stamps as PKCS #7, which knows neither RSA-PSS nor Ed25519.
_OURS: dict[str, Any] = {
    "P-256": lambda: sample_pki().pki.issue_tsa(key=make_key(KeyKind.P256)).signer(),
    "RSA": lambda: sample_pki().pki.issue_tsa(key=rsa_key()).signer(Algorithm.RSA_PKCS1_SHA256),
}


@pytest.mark.parametrize("kind", _OURS)
@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
def test_openssl_verifies_what_our_authority_answers_to_its_request(
    kind: str, digest: str, tmp_path: Path
) -> None:
    """Request and verification are openssl's: imprint, nonce, policy, signature, purpose, chain. No other data."""
    (tmp_path / "data").write_bytes(DATA)
    (tmp_path / "other").write_bytes(DATA + b"x")
    query = tmp_path / "query"
    made("ts", "-query", "-data", tmp_path / "data", f"-{digest}", "-cert", "-out", query)
    answer = TimestampAuthority(_OURS[kind](), lambda: NOW).answer(query.read_bytes())
    (tmp_path / "answer").write_bytes(answer)
    trusted = ("-CAfile", anchor(tmp_path), *AT)
    assert b"Verification: OK" in made(
        "ts", "-verify", "-queryfile", query, "-in", tmp_path / "answer", *trusted
    )
    assert b"Verification: OK" in made(
        "ts", "-verify", "-data", tmp_path / "data", "-in", tmp_path / "answer", *trusted
    )
    ran = openssl("ts", "-verify", "-data", tmp_path / "other", "-in", tmp_path / "answer", *trusted)
    assert ran.returncode != 0


# -- openssl's, by us --------------------------------------------------------------------------------------------------

_CONFIG = """\
[ tsa ]
default_tsa = tsa_config
[ tsa_config ]
serial = {folder}/serial
crypto_device = builtin
signer_cert = {folder}/tsa.pem
certs = {folder}/ca.pem
signer_key = {folder}/tsa.key
signer_digest = {digest}
default_policy = 1.2.3.4.1
other_policies = 1.2.3.4.2
digests = sha256
accuracy = secs:1, millisecs:500, microsecs:100
ordering = yes
tsa_name = yes
ess_cert_id_chain = no
ess_cert_id_alg = {ess}
[ tsa_cert ]
basicConstraints = CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
"""
_KEYS = {
    "P-256": ("EC", "ec_paramgen_curve:P-256"),
    "P-384": ("EC", "ec_paramgen_curve:P-384"),
    "RSA": ("RSA", "rsa_keygen_bits:2048"),
}


@cache
def _authority(folder: Path, kind: str) -> TrustStore:
    """An authority made by openssl alone in `folder`; the trust that believes it."""
    algorithm, option = _KEYS[kind]
    (folder / "conf").write_text(_CONFIG.format(folder=folder, digest="sha256", ess="sha256"))
    (folder / "serial").write_text("01\n")
    for name in ("ca", "tsa"):
        made("genpkey", "-algorithm", algorithm, "-pkeyopt", option, "-out", folder / f"{name}.key")
    subject = ("-subj", "/C=CN/O=Test/CN=Test anchor")
    constraints = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
    made(
        *("req", "-x509", "-new", "-key", folder / "ca.key", "-days", 30, "-sha256", *subject, *constraints),
        *("-out", folder / "ca.pem"),
    )
    request = made(
        *("req", "-new", "-key", folder / "tsa.key", "-sha256", "-subj", "/C=CN/O=Test/CN=Test authority")
    )
    made(
        *("x509", "-req", "-CA", folder / "ca.pem", "-CAkey", folder / "ca.key", "-days", 20, "-sha256"),
        *("-set_serial", 2, "-extfile", folder / "conf", "-extensions", "tsa_cert"),
        *("-out", folder / "tsa.pem"),
        data=request,
    )
    return TrustStore({Purpose.TSA: certificates_from_pem((folder / "ca.pem").read_bytes())})


def replied(folder: Path, request: bytes, *, digest: str = "sha256", ess: str = "sha256") -> bytes:
    """openssl's answer to our request."""
    (folder / "conf").write_text(_CONFIG.format(folder=folder, digest=digest, ess=ess))
    (folder / "query").write_bytes(request)
    made("ts", "-reply", "-config", folder / "conf", "-queryfile", folder / "query", "-out", folder / "reply")
    return (folder / "reply").read_bytes()


@pytest.mark.parametrize("kind", _KEYS)
@pytest.mark.parametrize(("digest", "ess"), [("sha256", "sha256"), ("sha384", "sha1"), ("sha512", "sha512")])
def test_we_verify_what_openssl_answers_to_our_request(
    kind: str, digest: str, ess: str, tmp_path: Path
) -> None:
    """Either form of ESSCertID (sha1: the first), each digest; the accuracy is read in all its parts."""
    trust = _authority(tmp_path, kind)
    request = encode_request(DATA, nonce=99, policy="1.2.3.4.2")
    token = decode_response(replied(tmp_path, request, digest=digest, ess=ess))
    found = verify_token(token, DATA, trust, utc_now(), nonce=99, policy="1.2.3.4.2")
    assert found.accuracy is not None
    assert found.accuracy.total_seconds() == pytest.approx(1.5001)
    assert (found.name, found.policy) == ("Test authority", "1.2.3.4.2")
    for data, nonce, policy in ((DATA + b"x", 99, ""), (DATA, 98, ""), (DATA, 99, "1.2.3.4.1")):
        with pytest.raises(TimestampInvalid):
            verify_token(token, data, trust, utc_now(), nonce=nonce, policy=policy)
    with pytest.raises(TimestampInvalid, match="CERTIFICATE_UNKNOWN_ISSUER"):
        verify_token(token, DATA, sample_pki().trust, utc_now())


def test_we_hear_what_openssl_refuses(tmp_path: Path) -> None:
    """A policy that it does not have."""
    _authority(tmp_path, "P-256")
    with pytest.raises(TimestampRefused, match="unaccepted_policy"):
        decode_response(replied(tmp_path, encode_request(DATA, nonce=1, policy="1.9.9")))


# -- the stamp in a sealed file ----------------------------------------------------------------------------------------


def test_others_see_the_stamp_in_a_seal(tmp_path: Path) -> None:
    """openssl finds the token in the seal's CMS, and verifies it over the seal's value; CMS and file stay valid to
    openssl and pdfsig. (pdfsig shows the claimed time: it has no eye for time stamps.)
    """
    seal = sample_pki().registry_seal.signer()
    pdf = seal_pdf(make_pdf(), seal, reason="x", at=NOW, certify=True, stamp_room=True)
    value = signature_of(pdf)
    authority = TimestampAuthority(sample_pki().pki.issue_tsa().signer(), lambda: NOW)
    pdf = add_stamp(pdf, decode_response(authority.answer(encode_request(value, nonce=1))))

    found = re.search(rb"/ByteRange \[(\d+) (\d+) (\d+) (\d+)", pdf)
    assert found is not None
    start, length, second, rest = (int(one) for one in found.groups())
    contents = bytes.fromhex(pdf[start + length + 1 : second - 1].decode())
    der = contents[: 4 + int.from_bytes(contents[2:4], "big")]
    (tmp_path / "cms.der").write_bytes(der)
    (tmp_path / "content").write_bytes(pdf[:length] + pdf[second : second + rest])
    shown = made("asn1parse", "-inform", "DER", "-in", tmp_path / "cms.der")
    assert b"id-smime-aa-timeStampToken" in shown
    assert b"id-smime-ct-TSTInfo" in shown

    signer_info = cms.ContentInfo.load(der, strict=True)["content"]["signer_infos"][0]
    (attribute,) = signer_info["unsigned_attrs"]
    (tmp_path / "token.der").write_bytes(attribute["values"][0].dump())
    (tmp_path / "value").write_bytes(signer_info["signature"].native)
    assert b"Verification: OK" in made(
        *("ts", "-verify", "-token_in", "-in", tmp_path / "token.der", "-data", tmp_path / "value"),
        *("-CAfile", anchor(tmp_path), *AT),
    )
    registry = tmp_path / "registry.pem"
    registry.write_bytes(certificates_to_pem((sample_pki().pki.anchors[Purpose.REGISTRY].der,)))
    made(
        *("cms", "-verify", "-binary", "-inform", "DER", "-purpose", "any", "-cades", *AT),
        *("-in", tmp_path / "cms.der", "-content", tmp_path / "content", "-CAfile", registry),
        *("-out", tmp_path / "out"),
    )
    if PDFSIG is not None:
        (tmp_path / "sealed.pdf").write_bytes(pdf)
        command = [PDFSIG, "-nocert", str(tmp_path / "sealed.pdf")]
        told = subprocess.run(command, capture_output=True, check=False, timeout=60, text=True).stdout
        assert "Signature is Valid." in told
        assert "Total document signed" in told
