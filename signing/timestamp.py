"""Time stamp tokens (RFC 3161, RFC 5816): what is asked of an authority, what it answers, and what a token proves.

A token proves that its bytes existed at its time, if all of this holds: it is over the digest of these bytes, its
signature is by the certificate that it names (ESSCertID, of either form), that certificate is for time stamping alone
and chains to an anchor of `Purpose.TSA` at the token's time, and nobody has revoked it since, for a stolen key could
date back. A claimed time proves nothing and is not looked at.

Nothing here opens a connection: whoever asks an authority brings the answer. Times are aware, UTC.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

from asn1crypto import cms as asn1_cms
from asn1crypto import core, tsp
from cryptography import x509

from signing import cms
from signing.certificates import Certificate
from signing.cms import SignedData, read_signed_data
from signing.cms_algorithms import digest_named
from signing.cms_verify import Content, check_signature
from signing.errors import SigningError, TimestampInvalid, TimestampRefused, TimestampUnavailable
from signing.known_chain import Chain
from signing.trust import Purpose, TrustStore

TOKEN_BYTES_MAX: Final = 12 * 1024
"""With the authority's certificates; a seal leaves room for so many."""
SKEW_MAX: Final = timedelta(minutes=5)
"""A token may be this much ahead of the time of the check: clocks differ."""
ACCURACY_MAX: Final = timedelta(minutes=1)
"""An authority that is less sure of the time than this proves none that is of use."""

_CONTENT_TYPES: Final = frozenset({cms.STAMP_CONTENT})


class TimeStampResp(core.Sequence):  # type: ignore[misc]  # asn1crypto has no types
    """RFC 3161 section 2.4.2. asn1crypto's own demands a token in a refusal too."""

    _fields: ClassVar = [
        ("status", tsp.PKIStatusInfo),
        ("time_stamp_token", asn1_cms.ContentInfo, {"optional": True}),
    ]


@dataclass(frozen=True)
class Timestamp:
    """What a token that holds says.

    time: when the bytes existed. accuracy: by how much the time may be off, None where the authority does not say.
    policy: OID under which it was given. serial: the authority's number for it. name: of the authority's certificate.
    chain: the path to its anchor, valid at `time`.
    """

    time: datetime
    accuracy: timedelta | None
    policy: str
    serial: int
    name: str
    chain: Chain


def encode_request(data: bytes, *, nonce: int, policy: str = "") -> bytes:
    """A TimeStampReq (DER) for `data`, by its SHA-256, that wants the certificate along (certReq).

    nonce: fresh for each request, so that no old answer fits. policy: the OID that is asked for; any if empty.
    """
    request: dict[str, Any] = {
        "version": "v1",
        "message_imprint": {
            "hash_algorithm": {"algorithm": "sha256"},
            "hashed_message": hashlib.sha256(data).digest(),
        },
        "nonce": nonce,
        "cert_req": True,
    }
    if policy:
        request["req_policy"] = policy
    encoded: bytes = tsp.TimeStampReq(request).dump()
    return encoded


def decode_response(der: bytes) -> bytes:
    """The token (DER of its ContentInfo) in a TimeStampResp; what it proves is for `verify_token`.

    Raises `TimestampRefused` where the authority says no, `TimestampUnavailable` where these bytes are no answer.
    """
    try:
        response = TimeStampResp.load(der, strict=True)
        status = response["status"]["status"].native
        said = response["status"].native
        token = response["time_stamp_token"]
        encoded = b"" if isinstance(token, core.Void) else token.dump()
    except Exception as error:  # a parser of foreign bytes may raise nearly anything
        raise TimestampUnavailable(f"not a TimeStampResp (RFC 3161 section 2.4.2): {error}"[:300]) from error
    if status not in ("granted", "granted_with_mods"):
        why = [str(one) for one in (*(said.get("status_string") or ()), *sorted(said.get("fail_info") or ()))]
        raise TimestampRefused(f"status {status}" + (f": {', '.join(why)}"[:200] if why else ""))
    if not encoded:
        raise TimestampUnavailable("the answer grants a token and holds none")
    return encoded


def encode_response(token: bytes) -> bytes:
    """A TimeStampResp (DER) that grants `token`: the form of a `.tsr` file, which other programs read."""
    encoded: bytes = TimeStampResp(
        {"status": {"status": "granted"}, "time_stamp_token": asn1_cms.ContentInfo.load(token)}
    ).dump()
    return encoded


def verify_token(
    token: bytes,
    data: bytes,
    trust: TrustStore,
    at: datetime,
    *,
    nonce: int | None = None,
    policy: str = "",
) -> Timestamp:
    """What `token` (DER) proves of `data`, judged at `at`; `nonce` and `policy`: of the request, where there was one.

    Raises `TimestampInvalid`.
    """
    with _reading():
        signed = read_signed_data(token, bytes_max=TOKEN_BYTES_MAX)
        info = _tst_info(signed)
        stated = info["nonce"].native
        given = info["policy"].dotted
    if nonce is not None and stated != nonce:
        raise TimestampInvalid("the token answers another request: its nonce is another")
    if policy and given != policy:
        raise TimestampInvalid(f"the token was given under policy {given}, not {policy}")
    return check_token(signed, Content.of(data).digest, trust, at)


def stated_time(token: bytes) -> datetime:
    """The time that a token says, believed by nobody yet: as of when it is to be judged. Raises `TimestampInvalid`."""
    with _reading():
        time: datetime = _tst_info(read_signed_data(token, bytes_max=TOKEN_BYTES_MAX))["gen_time"].native
    return time


def check_token(
    token: SignedData, imprint: Callable[[str], bytes], trust: TrustStore, at: datetime
) -> Timestamp:
    """What a parsed token proves of bytes whose digest by a named hash is `imprint`, judged at `at`.

    Checks, in this order: 1 the imprint, 2 the authority's signature over the TSTInfo, which names its certificate,
    3 accuracy and time, 4 its purpose, and its chain at the token's time, unrevoked at `at`. Raises `TimestampInvalid`.
    """
    try:
        info = _tst_info(token)
        stated = info["message_imprint"]
        name = digest_named(stated["hash_algorithm"]["algorithm"].dotted)
        if stated["hashed_message"].native != imprint(name):  # 1
            raise TimestampInvalid("the token is over other bytes")
        (signer,) = token.signers
        signed = check_signature(token, signer, Content.of(token.content or b""), _CONTENT_TYPES)  # 2
        if not signed.named:
            raise TimestampInvalid(
                "the token does not name its certificate (ESSCertID, RFC 3161 section 2.4.2)"
            )
        leaf = signed.leaf
        time: datetime = info["gen_time"].native
        accuracy = _accuracy(info)
        if accuracy is not None and accuracy > ACCURACY_MAX:  # 3
            raise TimestampInvalid(f"the token's time may be off by {accuracy}; at most {ACCURACY_MAX}")
        if time > at + SKEW_MAX:
            raise TimestampInvalid(f"the token's time {time.isoformat()} lies in the future")
        _check_purpose(leaf)  # 4
        chain = trust.check_chain(leaf, signed.extra, Purpose.TSA, time)
        if any(trust.is_revoked(link.issuer_key_id, int(link.serial), at) for link in chain.links):
            raise TimestampInvalid("the time stamp authority's certificate is revoked")
        return Timestamp(
            time=time,
            accuracy=accuracy,
            policy=info["policy"].dotted,
            serial=info["serial_number"].native,
            name=leaf.name,
            chain=chain,
        )
    except TimestampInvalid:
        raise
    except SigningError as error:
        raise TimestampInvalid(f"{error.reason}, {error.message}") from error
    except Exception as error:  # as above
        raise TimestampInvalid(f"the token cannot be read: {error}"[:300]) from error


@contextmanager
def _reading() -> Iterator[None]:
    """Within it, whatever keeps a token from being read is `TimestampInvalid`."""
    try:
        yield
    except TimestampInvalid:
        raise
    except SigningError as error:
        raise TimestampInvalid(f"the token cannot be read: {error.message}") from error
    except Exception as error:  # a parser of foreign bytes may raise nearly anything
        raise TimestampInvalid(f"the token cannot be read: {error}"[:300]) from error


def _tst_info(token: SignedData) -> tsp.TSTInfo:
    """The content of a token. Raises `TimestampInvalid`, and what the parser raises."""
    if token.content_type != cms.STAMP_CONTENT or token.content is None:
        raise TimestampInvalid("the token holds no TSTInfo")
    info = tsp.TSTInfo.load(token.content, strict=True)
    if info["version"].native != "v1":
        raise TimestampInvalid("the token is of an unknown version")
    return info


def _accuracy(info: tsp.TSTInfo) -> timedelta | None:
    said = info["accuracy"].native
    if said is None:
        return None
    return timedelta(
        seconds=said["seconds"] or 0, milliseconds=said["millis"] or 0, microseconds=said["micros"] or 0
    )


def _check_purpose(leaf: Certificate) -> None:
    """That time stamping is its only use is asked with the chain; RFC 3161 section 2.3 wants it critical too."""
    try:
        usage = leaf.loaded.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except x509.ExtensionNotFound:
        return  # refused with the chain
    if not usage.critical:
        raise TimestampInvalid(
            f"{leaf.subject!r}: a time stamp authority's extended key usage must be critical (RFC 3161 section 2.3)"
        )
