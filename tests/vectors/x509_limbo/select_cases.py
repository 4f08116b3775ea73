"""Make `cases.json.gz` beside this file from a `limbo.json` of C2SP/x509-limbo; see PROVENANCE.md.

Run `python -m tests.vectors.x509_limbo.select_cases limbo.json`. Of each case stays what path validation is asked and
what it must answer, with certificates and lists as base64 of their DER.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any, Final

LEFT_OUT: Final = (
    "bettertls::",  # host names throughout
    "online::",  # certificates of others' web sites
    "webpki::san::",  # host names: nobody is identified by one here
    "webpki::cn::",
    "pathlen::max-chain-depth",  # a depth that the caller sets; ours is a constant
)


def main(source: Path) -> None:
    """Write the cases that apply."""
    cases = [
        _case(one)
        for one in json.loads(source.read_bytes())["testcases"]
        if not one["id"].startswith(LEFT_OUT)
    ]
    text = json.dumps(cases, separators=(",", ":"), sort_keys=True)
    Path(__file__).with_name("cases.json.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def _case(case: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": case["id"],
        "expected": case["expected_result"],
        "description": case["description"],
        "anchors": [_base64(one) for one in case["trusted_certs"]],
        "intermediates": [_base64(one) for one in case["untrusted_intermediates"]],
        "leaf": _base64(case["peer_certificate"]),
        "crls": [_base64(one) for one in case["crls"]],
        "at": case["validation_time"],
    }


def _base64(pem: str) -> str:
    return "".join(line for line in pem.splitlines() if not line.startswith("-----"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
