"""A trust store as a folder of ordinary files, for operators, auditors and command lines.

`<purpose>.pem` (lower case: institution.pem, person.pem, …) holds the anchors of a purpose,
`intermediates.pem` helps to find paths, every `*.crl` is one DER revocation list, and every `*.ocsp` one DER OCSP
answer. `policies.json`, which may be missing, says how far anchors are believed: an object of lists of `AnchorPolicy`
(its fields; instants in RFC 3339), by purpose in lower case:

    {"institution": [{"anchor": "<hex SHA-256>", "grace_hours": 24, "crl_urls": ["http://crl.example.cn/a.crl"]}]}
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from signing.anchors import AnchorPolicy
from signing.certificates import certificates_from_pem, certificates_to_pem
from signing.errors import CertificateMalformed, TrustStoreInvalid
from signing.ocsp import OCSP_BYTES_MAX
from signing.revocation import CRL_BYTES_MAX
from signing.trust import Purpose, TrustStore

_INTERMEDIATES: Final = "intermediates.pem"
POLICIES: Final = "policies.json"


def write_trust(store: TrustStore, directory: Path) -> None:
    """Write the store's certificates and lists into `directory`, which is made if it is missing."""
    directory.mkdir(parents=True, exist_ok=True)
    for purpose, ders in store.anchors.items():
        if ders:
            (directory / f"{purpose.value.lower()}.pem").write_bytes(certificates_to_pem(ders))
    if store.intermediates:
        (directory / _INTERMEDIATES).write_bytes(certificates_to_pem(store.intermediates))
    if store.policies:
        told = {
            purpose.value.lower(): [policy_fields(one) for one in some]
            for purpose, some in store.policies.items()
        }
        (directory / POLICIES).write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    for suffix, ders in (("crl", store.crls), ("ocsp", store.ocsp)):
        for der in ders:
            (directory / f"{hashlib.sha256(der).hexdigest()[:16]}.{suffix}").write_bytes(der)


def read_trust(directory: Path, *, revocation_required: bool = False) -> TrustStore:
    """The store that lies in `directory`. Raises `TrustStoreInvalid` naming the file."""
    if not directory.is_dir():
        raise TrustStoreInvalid(f"{directory} is not a folder with <purpose>.pem files")
    anchors = {purpose: _read_pem(directory / f"{purpose.value.lower()}.pem") for purpose in Purpose}
    if not any(anchors.values()):
        names = ", ".join(f"{purpose.value.lower()}.pem" for purpose in Purpose)
        raise TrustStoreInvalid(f"{directory} holds none of {names}")
    crls = []
    for path in sorted(directory.glob("*.crl")):
        if path.stat().st_size > CRL_BYTES_MAX:
            raise TrustStoreInvalid(f"{path.name} is over the limit of {CRL_BYTES_MAX} bytes")
        crls.append(path.read_bytes())
    return TrustStore(
        anchors,
        crls,
        _read_pem(directory / _INTERMEDIATES),
        ocsp=[_read_answer(path) for path in sorted(directory.glob("*.ocsp"))],
        policies=_read_policies(directory / POLICIES),
        revocation_required=revocation_required,
    )


def policy_fields(policy: AnchorPolicy) -> dict[str, Any]:
    """Every field of a policy as JSON has it, defaults too, so that all can be seen and changed."""
    values = {name: getattr(policy, name) for name in policy.__struct_fields__}
    return {
        name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()
    }


def _read_policies(path: Path) -> dict[Purpose, tuple[AnchorPolicy, ...]]:
    if not path.exists():
        return {}
    purposes = {purpose.value.lower(): purpose for purpose in Purpose}
    policies = {}
    try:
        for name, some in msgspec.json.decode(
            path.read_bytes(), type=dict[str, list[dict[str, Any]]]
        ).items():
            if name not in purposes:
                raise TrustStoreInvalid(f"{name!r} is none of {', '.join(purposes)}")
            policies[purposes[name]] = tuple(_read_policy(name, one) for one in some)
    except (msgspec.MsgspecError, UnicodeDecodeError, TrustStoreInvalid) as error:
        raise TrustStoreInvalid(f"{path.name}: {error}") from error
    return policies


def _read_policy(purpose: str, told: dict[str, Any]) -> AnchorPolicy:
    """A field that is not known is an error: a source that is spelt wrong would otherwise never be asked."""
    fields = AnchorPolicy.__struct_fields__
    if unknown := told.keys() - set(fields):
        raise TrustStoreInvalid(f"{purpose}: {', '.join(sorted(unknown))}: is none of {', '.join(fields)}")
    policy = msgspec.convert(told, AnchorPolicy)
    if any(date is not None and date.tzinfo is None for date in (policy.not_before, policy.not_after)):
        raise TrustStoreInvalid(f"{purpose}: not_before and not_after need a zone, such as Z or +08:00")
    return policy


def _read_answer(path: Path) -> bytes:
    if path.stat().st_size > OCSP_BYTES_MAX:
        raise TrustStoreInvalid(f"{path.name} is over the limit of {OCSP_BYTES_MAX} bytes")
    return path.read_bytes()


def _read_pem(path: Path) -> tuple[bytes, ...]:
    if not path.exists():
        return ()
    try:
        return certificates_from_pem(path.read_bytes())
    except CertificateMalformed as error:
        raise TrustStoreInvalid(f"{path.name}: {error.message}") from error
