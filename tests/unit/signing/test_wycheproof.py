"""Our verification agrees with C2SP/wycheproof on every vector; see tests/vectors/wycheproof/PROVENANCE.md."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from signing.algorithms import Algorithm, verify_signature
from signing.errors import AlgorithmRefused, SignatureInvalid
from tests.vectors.wycheproof.select_vectors import SELECTED

VECTORS: Final = Path(__file__).parents[2] / "vectors" / "wycheproof"

DECIDED: Final = {
    ("rsa_signature_2048_sha256", 8): False,
    ("rsa_signature_3072_sha256", 8): False,
    ("rsa_signature_4096_sha256", 8): False,
}
"""What we answer to the vectors that leave it open ("acceptable"). The three: the AlgorithmIdentifier inside the
padding lacks its NULL. RFC 8017 section 8.2.2 lets a verifier take it "for historical reasons"; one encoding is enough
for us, and OpenSSL compares with that one.
"""

KEYS_REFUSED: Final = {"rsa_signature_2048_sha256": 2, "rsa_signature_3072_sha256": 1}
"""How many keys of a file no signature may be by, whatever its vectors say: those whose RSA exponent is 3. FIPS 186-5
section 5.1 asks for more than 65536, and a small exponent is what forged paddings live on.
"""


def _holds(key: str, algorithm: Algorithm, vector: dict[str, str]) -> bool:
    public_key = load_der_public_key(bytes.fromhex(key))
    try:
        verify_signature(public_key, algorithm, bytes.fromhex(vector["sig"]), bytes.fromhex(vector["msg"]))
    except SignatureInvalid:
        return False
    return True


@pytest.mark.parametrize("name", SELECTED)
def test_wycheproof_vectors_are_answered_as_they_say(name: str) -> None:
    """Valid ones hold, invalid ones are refused as `SignatureInvalid` and nothing else, open ones are decided."""
    groups = json.loads(gzip.decompress((VECTORS / f"{name}.json.gz").read_bytes()))
    wrong, seen, refused = [], 0, 0
    for group in groups:
        key = load_der_public_key(bytes.fromhex(group["key"]))
        if isinstance(key, rsa.RSAPublicKey) and key.public_numbers().e == 3:
            refused += 1
            for vector in group["tests"]:
                with pytest.raises(AlgorithmRefused):
                    _holds(group["key"], Algorithm(SELECTED[name]), vector)
            continue
        for vector in group["tests"]:
            seen += 1
            expected = {"valid": True, "invalid": False}.get(vector["result"])
            if expected is None:
                expected = DECIDED[name, vector["tcId"]]
            if _holds(group["key"], Algorithm(SELECTED[name]), vector) is not expected:
                wrong.append((vector["tcId"], vector["comment"]))
    assert not wrong
    assert seen > 100
    assert refused == KEYS_REFUSED.get(name, 0)


def test_wycheproof_decisions_are_of_open_vectors_only() -> None:
    """The list of decisions does not outlive the vectors that it is about."""
    left_open = {
        (name, vector["tcId"])
        for name in SELECTED
        for group in json.loads(gzip.decompress((VECTORS / f"{name}.json.gz").read_bytes()))
        for vector in group["tests"]
        if vector["result"] == "acceptable"
    }
    assert left_open == set(DECIDED)
