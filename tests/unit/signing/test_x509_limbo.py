"""Our paths agree with C2SP/x509-limbo but for what differences.toml explains; see tests/vectors/x509_limbo."""

from __future__ import annotations

import base64
import gzip
import json
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from signing.algorithms import check_key
from signing.certificates import parse_certificate
from signing.errors import SigningError
from signing.trust import Purpose, TrustStore

VECTORS: Final = Path(__file__).parents[2] / "vectors" / "x509_limbo"
CASES: Final[dict[str, dict[str, Any]]] = {
    one["id"]: one for one in json.loads(gzip.decompress((VECTORS / "cases.json.gz").read_bytes()))
}
DIFFERENCES: Final = tomllib.loads((VECTORS / "differences.toml").read_text())["difference"]
ACCEPTED: Final = frozenset(case for one in DIFFERENCES for case in one.get("accepted", ()))
REFUSED: Final = frozenset(case for one in DIFFERENCES for case in one.get("refused", ()))
WHENEVER: Final = datetime(2026, 11, 2, tzinfo=UTC)
"""Where a case names no time: its certificates are made to hold for centuries."""


def _is_accepted(case: dict[str, Any]) -> bool:
    """The whole way of a signer's certificate, but that the purpose is TLS: the leaves name web servers."""
    read = base64.b64decode
    at = datetime.fromisoformat(case["at"]) if case["at"] else WHENEVER
    try:
        crls = [read(one) for one in case["crls"]]
        anchors = {Purpose.TLS: [read(one) for one in case["anchors"]]}
        store = TrustStore(anchors, crls, revocation_required=bool(crls))
        leaf = parse_certificate(read(case["leaf"]))
        check_key(leaf.public_key)
        extra = [parse_certificate(read(one)) for one in case["intermediates"]]
        store.check_chain(leaf, extra, Purpose.TLS, at)
    except SigningError:
        return False
    return True


@pytest.mark.filterwarnings("ignore:Parsed a serial number which wasn't positive")
@pytest.mark.parametrize("case", CASES)
def test_limbo_case_is_answered_as_it_says_or_as_explained(case: str) -> None:
    """No case is a crash or a hang; each has the suite's answer, or the other one and an explanation."""
    expected = CASES[case]["expected"] == "SUCCESS"
    if case in ACCEPTED:
        assert not expected, "explained as wrongly accepted, but the suite accepts it too"
        expected = True
    elif case in REFUSED:
        assert expected, "explained as wrongly refused, but the suite refuses it too"
        expected = False
    assert _is_accepted(CASES[case]) is expected, CASES[case]["description"]


def test_limbo_explanations_are_of_cases_that_there_are() -> None:
    """The table does not outlive its cases, and nothing is in it twice or without a reason."""
    listed = [case for one in DIFFERENCES for case in (*one.get("accepted", ()), *one.get("refused", ()))]
    assert len(listed) == len(set(listed))
    assert set(listed) <= set(CASES)
    assert all(len(one["why"].split()) > 20 for one in DIFFERENCES)
    assert len(CASES) > 140
