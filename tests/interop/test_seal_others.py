"""Programs of others accept our seals: openssl the CMS, poppler's pdfsig the file."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from signing.algorithms import Algorithm
from signing.certificates import certificates_to_pem
from signing.seal import append_signature, seal_pdf
from signing.trust import Purpose
from tests.support.certificates import sealed
from tests.support.pdf_files import make_pdf
from tests.support.pki import NOW, REGISTRY_USCC, rsa_key, sample_pki

OPENSSL = shutil.which("openssl")
PDFSIG = shutil.which("pdfsig")
PDFINFO = shutil.which("pdfinfo")
CERTUTIL = shutil.which("certutil")
SEALING = [Algorithm.ECDSA_P256_SHA256, Algorithm.RSA_PSS_SHA256, Algorithm.RSA_PKCS1_SHA256]


def _sealed(algorithm: Algorithm) -> bytes:
    sample = sample_pki()
    seal = sample.registry_seal
    if algorithm is not Algorithm.ECDSA_P256_SHA256:
        seal = sample.pki.issue_seal(REGISTRY_USCC, "测试市不动产登记中心", key=rsa_key())
    return seal_pdf(make_pdf(), seal.signer(algorithm), reason="登簿", at=NOW)


@pytest.mark.skipif(OPENSSL is None, reason="no openssl on the path")
@pytest.mark.parametrize("algorithm", SEALING)
def test_seal_cms_is_accepted_by_openssl(algorithm: Algorithm, tmp_path: Path) -> None:
    """The CMS in the file verifies over the byte range, with our anchor as the only trust."""
    assert OPENSSL is not None
    sealed = _sealed(algorithm)
    found = re.search(rb"/ByteRange \[(\d+) (\d+) (\d+) (\d+)", sealed)
    assert found is not None
    start, length, second, rest = (int(one) for one in found.groups())
    contents = bytes.fromhex(sealed[start + length + 1 : second - 1].decode())
    (tmp_path / "cms.der").write_bytes(contents[: 4 + int.from_bytes(contents[2:4], "big")])
    (tmp_path / "content").write_bytes(sealed[:length] + sealed[second : second + rest])
    anchor = sample_pki().pki.anchors[Purpose.REGISTRY].der
    (tmp_path / "anchor.pem").write_bytes(certificates_to_pem((anchor,)))
    command = [
        *(OPENSSL, "cms", "-verify", "-binary", "-inform", "DER", "-purpose", "any", "-cades"),
        *("-in", str(tmp_path / "cms.der"), "-content", str(tmp_path / "content")),
        *("-CAfile", str(tmp_path / "anchor.pem"), "-out", str(tmp_path / "out")),
        *("-attime", str(int(NOW.timestamp()))),
    ]
    ran = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr.decode()


@pytest.mark.skipif(PDFSIG is None, reason="no pdfsig on the path: install poppler-utils")
@pytest.mark.parametrize("algorithm", SEALING)
def test_seal_is_accepted_by_pdfsig(algorithm: Algorithm, tmp_path: Path) -> None:
    """Poppler finds the seal valid, of our kind, and over the whole document, after a second signer
    too.
    """
    assert PDFSIG is not None
    signed = append_signature(_sealed(algorithm), sample_pki().bank.signer(), reason="同意", at=NOW)
    path = tmp_path / "sealed.pdf"
    path.write_bytes(signed)
    ran = subprocess.run(
        [PDFSIG, "-nocert", str(path)], capture_output=True, check=False, timeout=60, text=True
    )
    assert ran.stdout.count("Signature is Valid.") == 2, ran.stdout + ran.stderr
    assert ran.stdout.count("ETSI.CAdES.detached") == 2
    assert "Total document signed" in ran.stdout


@pytest.mark.skipif(OPENSSL is None, reason="no openssl on the path")
def test_sealing_certificate_is_good_for_what_programs_ask_of_a_signer(tmp_path: Path) -> None:
    """Programs that know no purpose "document signing" ask for e-mail signing: openssl, NSS, and with it poppler."""
    assert OPENSSL is not None
    sample = sample_pki()
    leaf, *above = sample.registry_seal.certificates
    for name, ders in (
        ("leaf", (leaf,)),
        ("above", above),
        ("anchor", (sample.pki.anchors[Purpose.REGISTRY].der,)),
    ):
        (tmp_path / name).write_bytes(certificates_to_pem(ders))
    command = [
        *(OPENSSL, "verify", "-purpose", "smimesign", "-attime", str(int(NOW.timestamp()))),
        *("-CAfile", str(tmp_path / "anchor"), "-untrusted", str(tmp_path / "above"), str(tmp_path / "leaf")),
    ]
    ran = subprocess.run(command, capture_output=True, check=False, timeout=60, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.skipif(PDFSIG is None, reason="no pdfsig on the path: install poppler-utils")
@pytest.mark.skipif(CERTUTIL is None, reason="no certutil on the path: install libnss3-tools")
@pytest.mark.parametrize("trusted", [True, False])
def test_pdfsig_trusts_the_certificate_of_whose_root_it_was_told(trusted: bool, tmp_path: Path) -> None:
    """With the registry's root in its database pdfsig calls the sealing certificate trusted; without, it does not."""
    assert PDFSIG is not None
    assert CERTUTIL is not None
    base = f"sql:{tmp_path}"
    (tmp_path / "anchor.der").write_bytes(sample_pki().pki.anchors[Purpose.REGISTRY].der)
    (tmp_path / "sealed.pdf").write_bytes(sealed())
    commands = [[CERTUTIL, "-N", "-d", base, "--empty-password"]]
    if trusted:
        anchor = str(tmp_path / "anchor.der")
        commands.append([CERTUTIL, "-A", "-d", base, "-n", "registry", "-t", ",C,", "-i", anchor])
    for command in commands:
        subprocess.run(command, check=True, timeout=60)
    ran = subprocess.run(
        [PDFSIG, "-nssdir", base, str(tmp_path / "sealed.pdf")],
        capture_output=True,
        check=False,
        timeout=60,
        text=True,
    )
    assert "Signature is Valid." in ran.stdout, ran.stdout + ran.stderr
    assert ("Certificate is Trusted." in ran.stdout) is trusted, ran.stdout + ran.stderr


@pytest.mark.skipif(PDFINFO is None, reason="no pdfinfo on the path: install poppler-utils")
def test_pdfinfo_finds_no_error_in_a_sealed_certificate(tmp_path: Path) -> None:
    """Poppler reads the whole file without a complaint, and finds it tagged and with one form field."""
    assert PDFINFO is not None
    path = tmp_path / "sealed.pdf"
    path.write_bytes(sealed())
    ran = subprocess.run([PDFINFO, str(path)], capture_output=True, check=False, timeout=60, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert re.search(r"^Tagged: +yes$", ran.stdout, re.MULTILINE)


def test_objects_of_a_sealed_certificate_begin_and_end_lines() -> None:
    """PDF/A (ISO 19005-3, 6.1.9): an end of line before each object's number, after `obj`, around `endobj`."""
    data = sealed()
    heads = list(re.finditer(rb"\d+ \d+ obj\b", data))
    ends = list(re.finditer(rb"endobj\b", data))
    assert len(heads) == len(ends) > 20
    for found in (*heads, *ends):
        assert data[found.start() - 1 : found.start()] in b"\r\n", data[found.start() - 20 : found.end()]
        assert data[found.end() : found.end() + 1] in b"\r\n", data[found.start() : found.end() + 20]
