"""Both implementations of docs/envelope-format.md agree with every vector, and the document with
both.
"""

from __future__ import annotations

import base64
import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from signing.batch import paths_of
from signing.envelope import batch_message, envelope_from_json, pae, payload_digest
from signing.errors import SigningError
from signing.trust import Purpose, TrustStore
from signing.verify import verify_envelope
from tests.interop import envelope_second

ROOT = Path(__file__).parents[2]
VECTORS: dict[str, Any] = json.loads(
    (ROOT / "tests/vectors/signing/envelope.json").read_text(encoding="utf-8")
)
DOCUMENT = ROOT / "docs/envelope-format.md"
CASES: list[dict[str, Any]] = VECTORS["cases"]


def _store() -> TrustStore:
    trust = VECTORS["trust"]
    return TrustStore(
        {
            Purpose(name): tuple(base64.b64decode(one) for one in ders)
            for name, ders in trust["anchors"].items()
        },
        [base64.b64decode(one) for one in trust["crls"]],
        [base64.b64decode(one) for one in trust["intermediates"]],
        revocation_required=True,
    )


STORE = _store()


def _text(case: dict[str, Any]) -> str:
    envelope = case["envelope"]
    return envelope if isinstance(envelope, str) else json.dumps(envelope)


def _first_outcome(case: dict[str, Any]) -> str:
    at = datetime.fromisoformat(case["at"])
    try:
        envelope = envelope_from_json(_text(case).encode())
        verify_envelope(envelope, Purpose(case["purpose"]), STORE, at)
    except SigningError as error:
        return error.reason
    return "OK"


def _second_outcome(case: dict[str, Any]) -> str:
    at = datetime.fromisoformat(case["at"])
    try:
        envelope_second.verify(_text(case), VECTORS["trust"], case["purpose"], at)
    except envelope_second.Refused as refused:
        return refused.reason
    return "OK"


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_envelope_vector_has_one_outcome_in_both_implementations(case: dict[str, Any]) -> None:
    """Each envelope of the vectors is accepted, or refused for the reason that the vector names."""
    assert _first_outcome(case) == case["expect"]
    assert _second_outcome(case) == case["expect"]


def test_envelope_vectors_cover_every_reason_of_the_document() -> None:
    """No reason in the document's table is without a vector, save those that need no envelope."""
    listed = set(re.findall(r"^\| `([A-Z_]+)` \|", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE))
    without_vector = {
        "ALGORITHM_UNAVAILABLE",
        "CERTIFICATE_CHAIN_INVALID",
        "CERTIFICATE_REVOCATION_UNKNOWN",
    }
    assert listed - without_vector == {case["expect"] for case in CASES} - {"OK"}


@pytest.mark.parametrize("case", VECTORS["pae"], ids=lambda case: case["payload_type"])
def test_pre_authentication_encoding_vector_is_the_same_in_both(case: dict[str, str]) -> None:
    """The encoding and the payload digest are exactly those of the vectors."""
    payload = bytes.fromhex(case["payload_hex"])
    encoded = bytes.fromhex(case["pae_hex"])
    assert pae(case["payload_type"], payload) == encoded
    assert envelope_second.encode(case["payload_type"], payload) == encoded
    assert payload_digest(case["payload_type"], payload).hex() == case["digest_hex"]


def test_pre_authentication_encoding_equals_the_example_of_dsse() -> None:
    """The example printed in DSSE's protocol.md, which nobody here made."""
    expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert pae("http://example.com/HelloWorld", b"hello world") == expected


def test_worked_example_can_be_made_again_and_is_what_the_document_prints() -> None:
    """From the published key of RFC 6979 A.2.5 the example's signature follows byte for byte."""
    example = VECTORS["worked_example"]
    key = ec.derive_private_key(int(example["private_key_hex"], 16), ec.SECP256R1())
    message = pae(example["payload_type"], bytes.fromhex(example["payload_hex"]))
    deterministic = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
    assert key.sign(message, deterministic).hex() == example["signature_hex"]
    assert _first_outcome(example) == "OK"
    assert _second_outcome(example) == "OK"
    printed = re.sub(r"\s+", "", DOCUMENT.read_text(encoding="utf-8"))
    for part in ("private_key", "payload", "pae", "digest", "spki", "r", "s", "signature"):
        assert example[f"{part}_hex"] in printed, part
    assert example["key_id"] in printed


def test_worked_example_of_a_batch_is_what_the_document_prints() -> None:
    """The same key signs the root of three payloads: every hash, and the value, byte for byte."""
    example = VECTORS["worked_example"]
    key = ec.derive_private_key(int(example["private_key_hex"], 16), ec.SECP256R1())
    messages = [envelope_second.encode(example["payload_type"], one) for one in (b"a", b"b", b"c")]
    root, paths = paths_of(messages)
    signed = batch_message(3, root)
    value = key.sign(signed, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    printed = re.sub(r"\s+", "", DOCUMENT.read_text(encoding="utf-8"))
    for part in (root, signed, value, *paths[0].hashes, *paths[2].hashes):
        assert part.hex() in printed
    for message, path in zip(messages, paths, strict=True):
        second = envelope_second.batch_message(message, path.index, path.size, list(path.hashes))
        assert second == signed


@pytest.mark.parametrize("algorithm", sorted(envelope_second.ALGORITHMS))
def test_vectors_hold_a_valid_envelope_of_each_algorithm(algorithm: str) -> None:
    """A bank finds an accepted example of whatever its key can do."""
    accepted = [
        one["alg"] for case in CASES if case["expect"] == "OK" for one in case["envelope"]["signatures"]
    ]
    assert algorithm in accepted
