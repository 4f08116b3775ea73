"""`diya signature`: every kind of signed file, inspected and verified from the command line."""

from __future__ import annotations

import base64
import json
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.cli.app import build_app
from gateway.client.payloads import MANIFEST, envelope_to_wire
from signing.algorithms import Algorithm
from signing.certificates import certificates_to_pem
from signing.cms_sign import sign_35275, sign_cms
from signing.envelope import envelope_to_json
from signing.pki import Credential
from signing.seal import append_signature
from signing.signer import sign_envelope
from signing.trust_directory import write_trust
from tests.support.pdf_files import make_pdf
from tests.support.pki import BANK_USCC, NOW, SELLER_ID, key_of, sample_pki

AT = (NOW + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
PHOTO = b"\xff\xd8\xff a photograph"

runner = CliRunner()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a trust folder and a file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    write_trust(sample_pki().trust, tmp_path / "trust")
    tmp_path.joinpath("photo.jpg").write_bytes(PHOTO)
    return tmp_path


def run(status: int, *arguments: str) -> str:
    """What the command prints, ending as it must."""
    result = runner.invoke(build_app(), ["signature", *arguments])
    assert result.exit_code == status, result.output
    return result.stdout


def told(status: int, *arguments: str) -> dict[str, Any]:
    """The same as JSON."""
    verb, *rest = arguments
    trust = ["--trust", "trust", "--at", AT] if verb == "verify" else []
    body: dict[str, Any] = json.loads(run(status, verb, *rest, *trust, "--json"))
    return body


def bank(algorithm: Algorithm = Algorithm.ECDSA_P256_SHA256) -> Credential:
    """The bank with a key of this algorithm."""
    return sample_pki().pki.issue_institution(BANK_USCC, "澄江测试银行", key=key_of(algorithm))


def test_pdf_holds_and_one_changed_does_not(place: Path) -> None:
    """Both signers are named, with each check; a changed byte is found and says which check fails."""
    signed = append_signature(make_pdf(), sample_pki().seller.signer(), reason="x", at=NOW)
    signed = append_signature(signed, sample_pki().bank.signer(), reason="x", at=NOW)
    place.joinpath("contract.pdf").write_bytes(signed)
    body = told(0, "verify", "contract.pdf")
    assert body["holds"]
    assert [one["identity"] for one in body["signatures"]] == [f"IDCCN-{SELLER_ID}", f"NTRCN-{BANK_USCC}"]
    assert set(body["signatures"][0]["checks"].values()) == {"HOLDS"}
    assert body["signatures"][0]["form"] == "PAdES-B-B"
    claimed = [one["claimed_at"] for one in told(0, "inspect", "contract.pdf")["signatures"]]
    assert claimed == [NOW.strftime("%Y-%m-%dT%H:%M:%SZ")] * 2
    place.joinpath("contract.pdf").write_bytes(signed.replace(b"loan 1000000", b"loan 9000000"))
    body = told(1, "verify", "contract.pdf")
    assert not body["holds"]
    assert body["problems"][0]["code"] == "SIGNED_CONTENT_CHANGED"
    assert (body["indication"], body["problems"][0]["sub_indication"]) == (
        "TOTAL_FAILED",
        "HASH_FAILURE",
    )
    assert body["problems"][0]["checks"] == {
        "FORMAT": "HOLDS",
        "INTACT": "FAILS",
        "TIME": "NOT_ASKED",
        "CERTIFICATE": "NOT_ASKED",
        "REVOCATION": "NOT_ASKED",
    }
    shown = run(1, "verify", "contract.pdf", "--trust", "trust", "--at", AT)
    assert "甲测试" in shown
    assert "已改动" in shown


def test_unsigned_file_does_not_hold(place: Path) -> None:
    """A PDF without signatures is in order and proves nothing."""
    place.joinpath("plain.pdf").write_bytes(make_pdf())
    assert not told(1, "verify", "plain.pdf")["holds"]
    assert "no signature" in run(1, "verify", "plain.pdf", "--trust", "trust", "--at", AT)


@pytest.mark.parametrize("written", ["der", "pem", "base64"])
def test_detached_signature_is_named_beside_its_file(place: Path, written: str) -> None:
    """DER, PEM, and the bare base64 of signing services."""
    made = sign_cms(PHOTO, [bank().signer()], NOW)
    text = base64.encodebytes(made)
    pem = b"-----BEGIN PKCS7-----\n" + text + b"-----END PKCS7-----\n"
    place.joinpath("photo.p7s").write_bytes({"der": made, "pem": pem, "base64": text}[written])
    body = told(0, "verify", "photo.jpg", "--signature", "photo.p7s")
    assert (body["kind"], body["signatures"][0]["form"]) == ("CMS detached", "CAdES-B-B")
    error = told(2, "verify", "photo.p7s")["error"]
    assert "--signature" in error["en"]
    assert "--signature" in error["zh"]
    assert told(0, "inspect", "photo.p7s")["signatures"][0]["identity"] == f"NTRCN-{BANK_USCC}"


def test_national_signature_and_one_with_its_content_inside(place: Path) -> None:
    """GB/T 35275, beside and around."""
    signer = bank(Algorithm.SM2_SM3).signer()
    place.joinpath("beside.sig").write_bytes(sign_35275(PHOTO, [signer], NOW))
    place.joinpath("inside.sig").write_bytes(sign_35275(PHOTO, [signer], NOW, detached=False))
    beside = told(0, "verify", "photo.jpg", "-s", "beside.sig")
    inside = told(0, "verify", "inside.sig")
    assert (beside["kind"], inside["kind"]) == ("GB/T 35275 detached", "GB/T 35275 attached")
    assert {one["signatures"][0]["algorithm"] for one in (beside, inside)} == {"SM2_SM3"}


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_bare_value_holds_with_its_certificate(place: Path, algorithm: Algorithm) -> None:
    """Each algorithm; the value over another file does not, and without a certificate it cannot be read."""
    credential = bank(algorithm)
    place.joinpath("photo.sig").write_bytes(credential.signer(algorithm).sign(PHOTO))
    place.joinpath("bank.pem").write_bytes(certificates_to_pem(credential.certificates))
    given = ("--signature", "photo.sig", "--certificate", "bank.pem")
    body = told(0, "verify", "photo.jpg", *given)
    assert (body["signatures"][0]["algorithm"], body["signatures"][0]["form"]) == (algorithm.value, "raw")
    place.joinpath("other.jpg").write_bytes(PHOTO + b".")
    assert told(1, "verify", "other.jpg", *given)["problems"][0]["code"] == "SIGNATURE_INVALID"
    assert "--certificate" in told(2, "verify", "photo.jpg", "--signature", "photo.sig")["error"]["en"]


def test_sm2_value_without_the_user_id_says_what_openssl_wants(place: Path) -> None:
    """Nothing of the value shows with which user id openssl signed: the answer says the way out."""
    bank(Algorithm.SM2_SM3).write(place, "bank")
    sign = ["openssl", "dgst", "-sm3", "-sign", "bank.key.pem", "-out", "photo.sig"]
    given = ("verify", "photo.jpg", "--signature", "photo.sig", "--certificate", "bank.pem")
    subprocess.run([*sign, "-sigopt", "distid:another", "photo.jpg"], cwd=place, check=True)
    [problem] = told(1, *given)["problems"]
    option = "-sigopt distid:1234567812345678"
    assert problem["code"] == "SIGNATURE_INVALID"
    assert option in problem["en"]
    assert option in problem["zh"]
    subprocess.run([*sign, *option.split(), "photo.jpg"], cwd=place, check=True)
    assert told(0, *given)["holds"]


@pytest.mark.parametrize("written", ["json", "wire"])
def test_envelope_holds_for_the_purpose_of_its_signer(place: Path, written: str) -> None:
    """A bank's and a registrar's, in both forms; asked for another purpose they do not hold."""
    for credential, purpose in ((sample_pki().bank, "INSTITUTION"), (sample_pki().registrar, "REGISTRAR")):
        envelope = sign_envelope(MANIFEST, b"payload", [credential.signer()])
        data = (
            envelope_to_json(envelope)
            if written == "json"
            else envelope_to_wire(envelope).SerializeToString()
        )
        place.joinpath("envelope").write_bytes(data)
        body = told(0, "verify", "envelope")
        assert body["signatures"][0]["purpose"] == purpose
        assert told(1, "verify", "envelope", "--purpose", "operator")["problems"]
        assert told(0, "inspect", "envelope")["signatures"][0]["name"] == credential.certificate.name


def test_time_and_purpose_that_are_asked_for_count(place: Path) -> None:
    """As of a later time the certificate has ended; a bank is no person."""
    place.joinpath("photo.p7s").write_bytes(sign_cms(PHOTO, [bank().signer()], NOW))
    body = json.loads(
        run(1, "verify", "photo.jpg", "-s", "photo.p7s", "--trust", "trust", "--at", "2036-01-01", "--json")
    )
    assert body["problems"][0]["code"] == "CERTIFICATE_EXPIRED"
    assert body["problems"][0]["checks"]["CERTIFICATE"] == "FAILS"
    wrong = told(1, "verify", "photo.jpg", "-s", "photo.p7s", "--purpose", "person")
    assert wrong["problems"][0]["code"] == "CERTIFICATE_WRONG_PURPOSE"
    signed = append_signature(make_pdf(), sample_pki().bank.signer(), reason="x", at=NOW)
    place.joinpath("contract.pdf").write_bytes(signed)
    assert told(0, "verify", "contract.pdf", "--purpose", "institution")["holds"]
    assert told(1, "verify", "contract.pdf", "--purpose", "registry")["problems"]


def test_revoked_signer_fails_that_check(place: Path) -> None:
    """By a list of the trust folder."""
    write_trust(sample_pki().trust_revoking(sample_pki().bank), place / "revoking")
    place.joinpath("photo.p7s").write_bytes(sign_cms(PHOTO, [sample_pki().bank.signer()], NOW))
    arguments = ("photo.jpg", "-s", "photo.p7s", "--trust", "revoking", "--at", AT)
    body = json.loads(run(1, "verify", *arguments, "--json"))
    assert body["problems"][0]["checks"]["REVOCATION"] == "FAILS"
    assert body["problems"][0]["checks"]["CERTIFICATE"] == "HOLDS"


@pytest.mark.parametrize("data", [b"", b"hello", b"{}", b"0\x80" * 99, b"\x0a\x03abc"])
@pytest.mark.parametrize("verb", ["inspect", "verify"])
def test_what_cannot_be_read_ends_so_in_both_languages(place: Path, data: bytes, verb: str) -> None:
    """Exit status 2, for files that are not there too."""
    place.joinpath("file").write_bytes(data)
    error = told(2, verb, "file")["error"]
    assert error["en"] != error["zh"]
    assert "no-such" in told(2, verb, "no-such")["error"]["en"]


def test_broken_pdf_is_told_as_a_verdict(place: Path) -> None:
    """What is of a kind that is known, and cannot be read, does not hold, with an indication; nothing can be shown."""
    place.joinpath("file").write_bytes(b"%PDF-1.7 nothing")
    body = told(1, "verify", "file")
    assert (body["indication"], body["problems"][0]["sub_indication"]) == ("TOTAL_FAILED", "FORMAT_FAILURE")
    assert "no signature" not in run(1, "verify", "file", "--trust", "trust")
    assert told(2, "inspect", "file")["error"]["zh"]


@pytest.mark.parametrize("verb", ["inspect", "verify"])
def test_what_is_signed_in_another_way_is_named(place: Path, verb: str) -> None:
    """Signatures inside OFD and XML, and S/MIME mails."""
    for data, word in (
        (b"PK\x03\x04 Doc_0/Signs/Signatures.xml", "OFD"),
        (b"<a xmlns:ds='http://www.w3.org/2000/09/xmldsig#'/>", "XML"),
        (b"MIME-Version: 1.0\nContent-Type: multipart/signed", "S/MIME"),
    ):
        place.joinpath("file").write_bytes(data)
        error = told(2, verb, "file")["error"]
        assert word in error["en"]
        assert word in error["zh"]


def test_file_is_signed_with_the_key_of_the_settings(place: Path) -> None:
    """What `sign` writes, `verify` holds."""
    sample_pki().bank.write(place, "bank")
    place.joinpath("diya-client.toml").write_text(
        'signing_certificate = "bank.pem"\nsigning_key = "bank.key.pem"\ntrust = "trust"\n'
    )
    assert "photo.jpg.p7s" in run(0, "sign", "photo.jpg")
    assert "澄江测试银行" in run(0, "verify", "photo.jpg", "-s", "photo.jpg.p7s", "--at", AT)
    assert "SM2" in told(2, "sign", "photo.jpg", "--national")["error"]["en"]
    bank(Algorithm.SM2_SM3).write(place, "bank")
    run(0, "sign", "photo.jpg")
    assert told(0, "verify", "photo.jpg", "-s", "photo.jpg.p7s")["kind"] == "GB/T 35275 detached"


def test_a_list_in_pem_is_named_with_the_command_that_mends_it(place: Path) -> None:
    """openssl ca -gencrl writes PEM; whoever lays that into the folder is told what to run."""
    place.joinpath("trust/new.crl").write_text("-----BEGIN X509 CRL-----\n", encoding="ascii")
    result = runner.invoke(build_app(), ["signature", "verify", "photo.jpg", "--trust", "trust"])
    assert (result.exit_code, "openssl crl -in new.crl -outform DER" in result.stderr) == (2, True), (
        result.stderr
    )


def test_without_a_trust_folder_the_option_is_named(place: Path) -> None:
    """The command needs no settings, so its way out is not a settings file alone."""
    result = runner.invoke(build_app(), ["signature", "verify", "photo.jpg"])
    assert (result.exit_code, "--trust DIR" in result.stderr, "--trust 指定" in result.stderr) == (
        2,
        True,
        True,
    )
