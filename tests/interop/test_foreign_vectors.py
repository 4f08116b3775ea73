"""Files that other people's tools signed get the verdict that is written down; and other people's Go judges ours."""

from __future__ import annotations

import json
import re
import subprocess
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.signature_file import Judged, open_signed
from signing import sm2
from signing.algorithms import Algorithm
from signing.certificates import certificates_to_pem
from signing.cms_sign import sign_35275, sign_cms
from signing.errors import SigningError
from signing.indication import result_of
from signing.pki import DevelopmentPKI, KeyKind, make_key
from signing.timestamp import decode_response, verify_token
from signing.trust import Purpose, TrustStore
from signing.trust_directory import read_trust
from tests.support.go import built
from tests.support.pki import BANK_USCC

pytestmark = pytest.mark.skipif(not sm2.AVAILABLE, reason="the extra sm is not installed")

FOLDER = Path(__file__).parents[1] / "vectors" / "foreign"
EXPECTED: dict[str, dict[str, Any]] = json.loads((FOLDER / "expected.json").read_text(encoding="utf-8"))
CONTENT = FOLDER / "content"
AT = datetime(2026, 12, 1, tzinfo=UTC)
FILES = sorted(name for name in EXPECTED if not name.endswith(".tsr"))
STAMPS = sorted(name for name in EXPECTED if name.endswith(".tsr"))

GO_PROGRAM = Path(__file__).parent / "go_signatures"


@cache
def _trust() -> TrustStore:
    return read_trust(FOLDER / "trust")


def _judged(name: str, content: Path = CONTENT) -> Judged:
    path = FOLDER / name
    if path.suffix == ".pdf":
        return open_signed(path).judged(_trust(), AT, None)
    certificate = FOLDER / f"{path.stem.split('.')[-1]}.pem" if path.suffix == ".sig" else None
    return open_signed(content, path, certificate).judged(_trust(), AT, None)


@pytest.mark.parametrize("name", FILES)
def test_file_of_another_maker_gets_its_verdict(name: str) -> None:
    """Who holds, with which algorithm and form; what is wrong, by its reason, in both languages."""
    expected, judged = EXPECTED[name], _judged(name)
    held = [f"{one.algorithm} {one.form}{' stamped' if one.proven_at else ''}" for one in judged.held]
    assert held == expected["signers"]
    assert [one.code for one in judged.problems] == expected["problems"]
    assert sum(len(one.unused) for one in judged.seen) == expected.get("unused", 0)
    assert judged.holds is not bool(expected["problems"])
    for problem in judged.problems:
        assert result_of(problem.code).sub_indication != "GENERIC"
        assert re.search(r"[\u4e00-\u9fff]", problem.zh)
        assert not re.search(r"[\u4e00-\u9fff]", problem.en)


@pytest.mark.parametrize("name", [one for one in FILES if one.endswith(("p7s", "sig"))])
def test_no_detached_one_holds_over_another_file(name: str, tmp_path: Path) -> None:
    """One byte more, and nobody signed it."""
    other = tmp_path / "content"
    other.write_bytes(CONTENT.read_bytes() + b".")
    assert not _judged(name, other).holds


@pytest.mark.parametrize("name", STAMPS)
def test_time_stamp_of_openssl_gets_its_verdict(name: str) -> None:
    """Policies, both ESSCertID, accuracy, digests."""
    token, expected = decode_response((FOLDER / name).read_bytes()), EXPECTED[name]
    if expected["signers"]:
        found = verify_token(token, CONTENT.read_bytes(), _trust(), AT)
        assert [found.policy] == expected["signers"]
        return
    with pytest.raises(SigningError) as refused:
        verify_token(token, CONTENT.read_bytes(), _trust(), AT)
    assert [refused.value.message.split(",")[0]] == expected["problems"]


def test_every_file_is_expected() -> None:
    """None lies there unread."""
    kinds = {".p7s", ".pdf", ".sig", ".tsr"}
    assert {one.name for one in FOLDER.iterdir() if one.suffix in kinds} == EXPECTED.keys()


@pytest.fixture(scope="module")
def go_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Go program, built."""
    return built(GO_PROGRAM, tmp_path_factory.mktemp("go"))


def test_what_we_sign_holds_in_other_peoples_go(go_program: Path, tmp_path: Path) -> None:
    """GB/T 35275 in gmsm, RFC 5652 in gmsm and smallstep, up to our anchors; and not over another file."""
    now = datetime.now(UTC)
    pki = DevelopmentPKI.create(now)
    anchors = list(pki.trust_store(()).anchors[Purpose.INSTITUTION])
    (tmp_path / "anchors.pem").write_bytes(certificates_to_pem(tuple(anchors)))
    data = CONTENT.read_bytes()
    (tmp_path / "content").write_bytes(data)
    (tmp_path / "other").write_bytes(data + b".")

    def signer(kind: KeyKind, algorithm: Algorithm) -> Any:
        return pki.issue_institution(BANK_USCC, "澄江测试银行", key=make_key(kind)).signer(algorithm)

    national = signer(KeyKind.SM2, Algorithm.SM2_SM3)
    files = {
        "with-attributes": sign_35275(data, [national], now),
        "bare": sign_35275(data, [national], now, attributes=False),
        "p256": sign_cms(data, [signer(KeyKind.P256, Algorithm.ECDSA_P256_SHA256)], now),
        "rsa": sign_cms(data, [signer(KeyKind.RSA_2048, Algorithm.RSA_PKCS1_SHA256)], now),
    }
    for name, made in files.items():
        (tmp_path / name).write_bytes(made)
    for content, holds in (("content", True), ("other", False)):
        ran = subprocess.run(
            [str(go_program), "check", "anchors.pem", content, *files],
            cwd=tmp_path,
            capture_output=True,
            check=True,
            timeout=60,
        )
        said = ran.stdout.decode()
        for name in files:
            assert (f"{name} gmsm OK" in said) is holds, said
        for name in ("p256", "rsa"):
            assert (f"{name} smallstep OK" in said) is holds, said
