"""Without the extra `sm`: everything else works, and what needs SM2 says what to install. In a process of its own,
because what is imported stays imported.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from signing.envelope import envelope_to_json
from signing.pki import KeyKind, make_key
from signing.signer import sign_envelope
from tests.support.pki import BANK_USCC, NOW, sample_pki

PROGRAM = """
import json, sys
sys.modules["tongsuopy"] = None  # as if it were not installed
from datetime import datetime
from pathlib import Path
from signing import sm2
from signing.certificates import parse_certificate
from signing.envelope import envelope_from_json
from signing.errors import SigningError
from signing.pki import DevelopmentPKI, KeyKind, make_key
from signing.signer import LocalSigner, sign_envelope
from signing.trust import Purpose, TrustStore
from signing.verify import verify_envelope

folder, now = Path(sys.argv[1]), datetime.fromisoformat(sys.argv[2])
pki = DevelopmentPKI.create(now)
bank = pki.issue_institution("91999999MA00BANK1L", "bank")
national = envelope_from_json((folder / "national.json").read_bytes())
both = envelope_from_json((folder / "both.json").read_bytes())
international = TrustStore.from_bytes((folder / "international").read_bytes())
told = {"available": sm2.AVAILABLE, "national": pki.national is not None}

def try_(name, act):
    try:
        told[name] = act()
    except SigningError as error:
        told[name] = [error.reason, error.message, error.zh]

verify = lambda envelope, trust: len(verify_envelope(envelope, Purpose.INSTITUTION, trust, now).signers)
try_("own", lambda: verify(sign_envelope("a/b", b"x", [bank.signer()]), pki.trust_store()))
try_("envelope", lambda: verify(national, international))
try_("both", lambda: verify(both, international))
try_("anchor", lambda: bool(TrustStore.from_bytes((folder / "all").read_bytes())))
try_("key id", lambda: parse_certificate(national.signatures[0].certificates[0]).key_id)
try_("make", lambda: bool(make_key(KeyKind.SM2)))
pems = [(folder / name).read_bytes() for name in ("bank.key.pem", "bank.pem")]
try_("sign", lambda: bool(LocalSigner.from_pem(*pems)))
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a process without the extra does with what the national suite made."""
    folder = tmp_path_factory.mktemp("without")
    sample = sample_pki()
    bank = sample.pki.issue_institution(BANK_USCC, "国密银行", key=make_key(KeyKind.SM2))
    bank.write(folder, "bank")
    for name, signers in (("national", [bank]), ("both", [sample.bank, bank])):
        envelope = sign_envelope("a/b", b"x", [one.signer() for one in signers])
        (folder / f"{name}.json").write_bytes(envelope_to_json(envelope))
    (folder / "all").write_bytes(sample.trust.to_bytes())
    (folder / "international").write_bytes(_without_national().to_bytes())
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), NOW.isoformat()],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr.decode()
    read: dict[str, Any] = json.loads(ran.stdout) | {"expected key id": bank.certificate.key_id}
    return read


def _without_national() -> Any:
    pki = sample_pki().pki
    return type(pki)(pki.now, pki.anchors, pki.issuing).trust_store()


def test_without_the_extra_the_other_algorithms_work(told: dict[str, Any]) -> None:
    """A PKI is made without the national tree, and what P-256 signs verifies."""
    assert (told["available"], told["national"], told["own"]) == (False, False, 1)


def test_without_the_extra_an_sm2_certificate_is_still_named_by_its_key(told: dict[str, Any]) -> None:
    """Reading and comparing need no arithmetic: registrations stay what they are."""
    assert told["key id"] == told["expected key id"]


@pytest.mark.parametrize("what", ["envelope", "both", "make"])
def test_without_the_extra_sm2_is_refused_as_not_installed(told: dict[str, Any], what: str) -> None:
    """Not as unknown nor as invalid, in two languages, with the command."""
    reason, en, zh = told[what]
    assert reason == "ALGORITHM_UNAVAILABLE"
    assert "pip install 'diya[sm]'" in en
    assert "pip install 'diya[sm]'" in zh


@pytest.mark.parametrize(
    ("what", "expected"), [("anchor", "TRUST_STORE_INVALID"), ("sign", "SIGNER_UNUSABLE")]
)
def test_without_the_extra_what_is_configured_names_the_command(
    told: dict[str, Any], what: str, expected: str
) -> None:
    """An anchor of a trust store and a key of our own."""
    reason, en, zh = told[what]
    assert reason == expected
    assert "pip install 'diya[sm]'" in en
    assert "pip install 'diya[sm]'" in zh
