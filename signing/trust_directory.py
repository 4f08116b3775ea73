"""A trust store as a folder of ordinary files, for operators, auditors and command lines.

`<purpose>.pem` (lower case: institution.pem, person.pem, …) holds the anchors of a purpose,
`intermediates.pem` helps to find paths, every `*.crl` is one DER revocation list, and every `*.ocsp` one DER OCSP
answer. `policies.json`, which may be missing, says how far anchors are believed: an object of lists of `AnchorPolicy`
(its fields; instants in RFC 3339), by purpose in lower case:

    {"institution": [{"anchor": "<hex SHA-256>", "grace_hours": 24, "crl_urls": ["http://crl.example.cn/a.crl"]}]}

Where SM2 is not installed, what the national suite signed is left out of the store: whatever its authorities would
vouch for is refused as ALGORITHM_UNAVAILABLE, and the rest of the folder serves.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from cryptography import x509
from cryptography.x509 import ocsp

from signing import sm2
from signing.anchors import AnchorPolicy
from signing.certificates import certificates_from_pem, certificates_to_pem, parse_certificate
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


def read_trust(directory: Path, *, revocation_required: bool = False, whole: bool = False) -> TrustStore:
    """The store that lies in `directory`. whole: an error instead of leaving out what cannot be judged here.

    Raises `TrustStoreInvalid` naming the file.
    """
    if not directory.is_dir():
        raise TrustStoreInvalid(f"{directory} is not a folder with <purpose>.pem files")
    anchors = {purpose: _read_pem(directory / f"{purpose.value.lower()}.pem") for purpose in Purpose}
    if not any(anchors.values()):
        names = ", ".join(f"{purpose.value.lower()}.pem" for purpose in Purpose)
        raise TrustStoreInvalid(f"{directory} holds none of {names}")
    kept = {purpose: _judgeable(ders, _key_is_national) for purpose, ders in anchors.items()}
    gone = {
        hashlib.sha256(der).hexdigest() for p, ders in anchors.items() for der in ders if der not in kept[p]
    }
    if gone and whole:
        raise TrustStoreInvalid("it holds SM2 authorities, which cannot be read here: pip install 'diya[sm]'")
    policies = _read_policies(directory / POLICIES)
    return TrustStore(
        kept,
        _judgeable(_read_lists(directory, "crl", CRL_BYTES_MAX), _list_is_national),
        _judgeable(_read_pem(directory / _INTERMEDIATES), _key_is_national),
        ocsp=_judgeable(_read_lists(directory, "ocsp", OCSP_BYTES_MAX), _answer_is_national),
        policies={p: [one for one in some if one.anchor not in gone] for p, some in policies.items()},
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


def _judgeable(ders: Sequence[bytes], is_national: Callable[[bytes], bool]) -> tuple[bytes, ...]:
    """Those that can be judged with what is installed. Of what cannot be read the store says what is wrong."""
    if sm2.AVAILABLE:
        return tuple(ders)
    kept = []
    for der in ders:
        with contextlib.suppress(ValueError, CertificateMalformed):
            if is_national(der):
                continue
        kept.append(der)
    return tuple(kept)


def _key_is_national(der: bytes) -> bool:
    return isinstance(parse_certificate(der).public_key, sm2.SM2PublicKey)


def _list_is_national(der: bytes) -> bool:
    return x509.load_der_x509_crl(der).signature_algorithm_oid.dotted_string == sm2.SM2_WITH_SM3_OID


def _answer_is_national(der: bytes) -> bool:
    return ocsp.load_der_ocsp_response(der).signature_algorithm_oid.dotted_string == sm2.SM2_WITH_SM3_OID


def _read_lists(directory: Path, suffix: str, bytes_max: int) -> list[bytes]:
    ders = []
    for path in sorted(directory.glob(f"*.{suffix}")):
        if path.stat().st_size > bytes_max:
            raise TrustStoreInvalid(f"{path.name} is over the limit of {bytes_max} bytes")
        der = path.read_bytes()
        if der.startswith(b"-----BEGIN"):  # what `openssl ca -gencrl` writes
            cure = f"openssl crl -in {path.name} -outform DER -out DER.crl"
            raise TrustStoreInvalid(f"{path.name} is PEM; lists and answers are DER here: `{cure}`")
        ders.append(der)
    return ders


def _read_pem(path: Path) -> tuple[bytes, ...]:
    if not path.exists():
        return ()
    try:
        return certificates_from_pem(path.read_bytes())
    except CertificateMalformed as error:
        raise TrustStoreInvalid(f"{path.name}: {error.message}") from error
