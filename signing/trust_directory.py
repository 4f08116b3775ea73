"""A trust store as a folder of ordinary files, for operators, auditors and command lines.

`<purpose>.pem` (lower case: institution.pem, person.pem, …) holds the anchors of a purpose,
`intermediates.pem` helps to find paths, every `*.crl` is one DER revocation list, and every `*.ocsp` one DER OCSP
answer.

Where SM2 is not installed, what the national suite signed is left out of the store: whatever its authorities would
vouch for is refused as ALGORITHM_UNAVAILABLE, and the rest of the folder serves.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.x509 import ocsp

from signing import sm2
from signing.certificates import certificates_from_pem, certificates_to_pem, parse_certificate
from signing.errors import CertificateMalformed, TrustStoreInvalid
from signing.ocsp import OCSP_BYTES_MAX
from signing.revocation import CRL_BYTES_MAX
from signing.trust import Purpose, TrustStore

_INTERMEDIATES: Final = "intermediates.pem"


def write_trust(store: TrustStore, directory: Path) -> None:
    """Write the store's certificates and lists into `directory`, which is made if it is missing."""
    directory.mkdir(parents=True, exist_ok=True)
    for purpose, ders in store.anchors.items():
        if ders:
            (directory / f"{purpose.value.lower()}.pem").write_bytes(certificates_to_pem(ders))
    if store.intermediates:
        (directory / _INTERMEDIATES).write_bytes(certificates_to_pem(store.intermediates))
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
    return TrustStore(
        {purpose: _judgeable(ders, _key_is_national) for purpose, ders in anchors.items()},
        _judgeable(_read_lists(directory, "crl", CRL_BYTES_MAX), _list_is_national),
        _judgeable(_read_pem(directory / _INTERMEDIATES), _key_is_national),
        ocsp=_judgeable(_read_lists(directory, "ocsp", OCSP_BYTES_MAX), _answer_is_national),
        revocation_required=revocation_required,
    )


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
        ders.append(path.read_bytes())
    return ders


def _read_pem(path: Path) -> tuple[bytes, ...]:
    if not path.exists():
        return ()
    try:
        return certificates_from_pem(path.read_bytes())
    except CertificateMalformed as error:
        raise TrustStoreInvalid(f"{path.name}: {error.message}") from error
