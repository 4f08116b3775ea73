"""Make the files beside this one from a checkout of C2SP/wycheproof; see PROVENANCE.md.

Run `python -m tests.vectors.wycheproof.select_vectors CHECKOUT`. Of each vector stays what a verifier is asked and
what it must answer; notes, bug types and the other encodings of the keys go.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any, Final

SELECTED: Final = {
    "ecdsa_secp256r1_sha256": "ECDSA_P256_SHA256",
    "ecdsa_secp384r1_sha384": "ECDSA_P384_SHA384",
    "rsa_pss_2048_sha256_mgf1_32": "RSA_PSS_SHA256",
    "rsa_pss_3072_sha256_mgf1_32": "RSA_PSS_SHA256",
    "rsa_pss_4096_sha256_mgf1_32": "RSA_PSS_SHA256",
    "rsa_signature_2048_sha256": "RSA_PKCS1_SHA256",
    "rsa_signature_3072_sha256": "RSA_PKCS1_SHA256",
    "rsa_signature_4096_sha256": "RSA_PKCS1_SHA256",
    "ed25519": "ED25519",
}
"""Name of the file there, and the algorithm here."""

_KEPT: Final = ("tcId", "comment", "flags", "msg", "sig", "result")


def main(checkout: Path) -> None:
    """Write one `<name>.json.gz` for each of `SELECTED`."""
    for name in SELECTED:
        read = json.loads((checkout / "testvectors_v1" / f"{name}_test.json").read_bytes())
        groups = [_group(one) for one in read["testGroups"]]
        text = json.dumps(groups, separators=(",", ":"), sort_keys=True)
        Path(__file__).with_name(f"{name}.json.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def _group(group: dict[str, Any]) -> dict[str, Any]:
    return {
        "key": group["publicKeyDer"],
        "tests": [{name: one[name] for name in _KEPT} for one in group["tests"]],
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
