"""The worked example of each algorithm in docs/envelope-format.md holds, for us and for openssl, and is printed."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from signing.algorithms import Algorithm, sign_raw
from signing.certificates import spki_of
from signing.envelope import envelope_from_json, pae, payload_digest
from signing.signer import load_private_key
from signing.trust import Purpose, TrustStore
from signing.verify import verify_envelope
from tests.vectors.signing.make_worked_vectors import BEGIN, END, FILE, PAGE, render

OPENSSL = shutil.which("openssl")
DOCUMENT: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
EXAMPLES = DOCUMENT["examples"]
each = pytest.mark.parametrize("example", EXAMPLES, ids=[one["algorithm"] for one in EXAMPLES])

WAYS = {
    "ECDSA_P384_SHA384": ["-digest", "sha384"],
    "RSA_PSS_SHA256": [
        *("-digest", "sha256", "-pkeyopt", "rsa_padding_mode:pss", "-pkeyopt", "rsa_pss_saltlen:32")
    ],
    "RSA_PKCS1_SHA256": ["-digest", "sha256"],
    "ED25519": [],
    "SM2_SM3": ["-digest", "sm3", "-pkeyopt", "distid:1234567812345678"],
}


def test_each_algorithm_has_a_worked_example_and_a_way_with_openssl() -> None:
    """P-256's is in envelope.json, and the page says to openssl what is tested here."""
    assert {one["algorithm"] for one in EXAMPLES} == set(Algorithm) - {"ECDSA_P256_SHA256"} == set(WAYS)
    page = " ".join(PAGE.read_text(encoding="utf-8").split())
    for options in WAYS.values():
        assert not options or f"`{' '.join(options)}`" in page


def test_the_page_prints_the_examples() -> None:
    """Whoever changes the one is told to make the other."""
    page = PAGE.read_text(encoding="utf-8")
    assert page.split(BEGIN)[1].split(END)[0] == render(DOCUMENT)


@each
def test_worked_example_holds_and_its_parts_fit(example: dict[str, Any]) -> None:
    """Encoding, key, key id, value and envelope are of one piece, and the envelope verifies by its anchor."""
    message = pae(DOCUMENT["payload_type"], bytes.fromhex(DOCUMENT["payload_hex"]))
    assert message.hex() == DOCUMENT["pae_hex"]
    envelope = envelope_from_json(json.dumps(example["envelope"]).encode())
    (signature,) = envelope.signatures
    assert payload_digest(envelope.payload_type, envelope.payload).hex() == DOCUMENT["payload_digest_hex"]
    assert signature.signature.hex() == example["signature_hex"]
    assert signature.key_id == example["key_id"]
    key = load_private_key(example["private_key_pem"].encode())
    assert spki_of(key.public_key()).hex() == example["spki_hex"]
    purpose = Purpose(DOCUMENT["purpose"])
    store = TrustStore({purpose: [base64.b64decode(one) for one in DOCUMENT["anchors"]]})
    verified = verify_envelope(envelope, purpose, store, datetime.fromisoformat(DOCUMENT["at"]))
    assert verified.signers[0].algorithm == example["algorithm"]


@pytest.mark.parametrize("algorithm", ["RSA_PKCS1_SHA256", "ED25519"])
def test_value_that_is_not_random_can_be_made_again(algorithm: str) -> None:
    """From the private key and PAE."""
    (example,) = [one for one in EXAMPLES if one["algorithm"] == algorithm]
    key = load_private_key(example["private_key_pem"].encode())
    value = sign_raw(key, Algorithm(algorithm), bytes.fromhex(DOCUMENT["pae_hex"]))
    assert value.hex() == example["signature_hex"]


@pytest.mark.skipif(OPENSSL is None, reason="no openssl on the path: install openssl 3")
@each
def test_openssl_verifies_the_worked_example_and_no_other(example: dict[str, Any], tmp_path: Path) -> None:
    """As the page says it, with the private key's public half."""
    assert OPENSSL is not None
    message = bytes.fromhex(DOCUMENT["pae_hex"])
    (tmp_path / "key.pem").write_text(example["private_key_pem"], "ascii")
    (tmp_path / "value").write_bytes(bytes.fromhex(example["signature_hex"]))
    command = [
        OPENSSL,
        "pkeyutl",
        "-verify",
        "-rawin",
        "-inkey",
        "key.pem",
        "-sigfile",
        "value",
        "-in",
        "pae",
    ]
    for content, held in ((message, True), (message + b".", False)):
        (tmp_path / "pae").write_bytes(content)
        ran = subprocess.run(
            [*command, *WAYS[example["algorithm"]]],
            cwd=tmp_path,
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert (ran.returncode == 0) is held, ran.stderr.decode()
