"""Check a bare signature value over a file, with the certificate that is handed in beside both.

The same verdict as a CMS file's. The value says nothing of itself, so algorithm and signer are the
caller's word, and what can be wrong is found only by its not verifying.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from datetime import datetime

from signing.algorithms import check_key
from signing.certificates import parse_certificate
from signing.cms_algorithms import Scheme, schemes_of, verify
from signing.cms_file import signer_field
from signing.errors import SignatureInvalid, SigningError
from signing.problems import signature_problem
from signing.signer_verdict import chain_of, verdict_of
from signing.sm2 import USER_ID, SM2PublicKey
from signing.trust import Purpose, TrustStore
from signing.verdict import FileProblem, FileVerdict, SignatureVerdict


def check_raw(
    signature: bytes,
    content: bytes,
    certificates: Sequence[bytes],
    trust: TrustStore,
    at: datetime,
    *,
    purposes: Sequence[Purpose] | None = None,
) -> FileVerdict:
    """The verdict on the value `signature` (for ECDSA and SM2: DER of r and s) over `content`.

    certificates: DER, the signer's own first. The value may be over any digest that goes with the key, and an RSA
    key's may be PSS (with a salt as long as the digest, or as long as fits) or PKCS#1 v1.5. purposes: by default those
    that the certificate's kind of identity may have.
    """
    problems: tuple[FileProblem, ...] = ()
    signatures: tuple[SignatureVerdict, ...] = ()
    try:
        leaf, *extra = [parse_certificate(one) for one in certificates]
        algorithm = _verify(leaf.public_key, signature, content)
        chain = chain_of(leaf, extra, trust, at, purposes)
        field = signer_field(0)
        signatures = (verdict_of(leaf, chain, at, field=field, algorithm=algorithm, form="raw"),)
    except SigningError as error:
        problems = (signature_problem(error, signer_field(0)),)
    return FileVerdict(
        ok=not problems,
        problems=problems,
        sha256=hashlib.sha256(signature).hexdigest(),
        size_bytes=len(signature),
        checked_at=at,
        signatures=signatures,
        over=hashlib.sha256(content).hexdigest(),
    )


def _verify(public_key: object, signature: bytes, content: bytes) -> str:
    """The name of the algorithm under which the value holds. Raises a `SigningError`."""
    schemes = schemes_of(check_key(public_key))
    for scheme in schemes:
        with contextlib.suppress(SignatureInvalid):
            return verify(scheme, public_key, signature, content)
    raise _invalid(public_key, schemes)


def _invalid(public_key: object, schemes: Sequence[Scheme]) -> SignatureInvalid:
    names = list(dict.fromkeys(scheme.name for scheme in schemes))
    message = f"the value does not verify over the file under the certificate's key, as {', '.join(names)}"
    zh = f"按证书的密钥核验，签名值与文件不符（已试 {'、'.join(names)}）"
    if isinstance(public_key, SM2PublicKey):  # the commonest cause, and invisible in the value
        option = f"-sigopt distid:{USER_ID.decode()}"
        message += f" with the user id of GB/T 35276; openssl wants it said: {option}"
        zh = f"按 GB/T 35276 默认用户标识核验，签名无效；openssl 签名时须加 {option}"
    return SignatureInvalid(message, zh)
