"""A trust store as a folder of ordinary files, for operators, auditors and command lines.

`<purpose>.pem` (lower case: institution.pem, person.pem, …) holds the anchors of a purpose,
`intermediates.pem` helps to find paths, every `*.crl` is one DER revocation list, and every `*.ocsp` one DER OCSP
answer.

Where SM2 is not installed, authorities of the national suite are left out: whatever they would vouch for is refused as
ALGORITHM_UNAVAILABLE, and the rest of the folder serves.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

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
        revocation_required=revocation_required,
    )


def _read_answer(path: Path) -> bytes:
    if path.stat().st_size > OCSP_BYTES_MAX:
        raise TrustStoreInvalid(f"{path.name} is over the limit of {OCSP_BYTES_MAX} bytes")
    return path.read_bytes()


def _read_pem(path: Path) -> tuple[bytes, ...]:
    if not path.exists():
        return ()
    try:
        ders = certificates_from_pem(path.read_bytes())
        return tuple(der for der in ders if sm2.AVAILABLE or not _is_national(der))
    except CertificateMalformed as error:
        raise TrustStoreInvalid(f"{path.name}: {error.message}") from error


def _is_national(der: bytes) -> bool:
    return isinstance(parse_certificate(der).public_key, sm2.SM2PublicKey)
