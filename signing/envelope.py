"""The signed envelope: a payload, its type, and signatures over exactly these bytes.

The pre-image of every signature is the Pre-Authentication Encoding of DSSE version 1
(https://github.com/secure-systems-lab/dsse/blob/master/protocol.md). Nothing is re-serialized
before it is verified: the payload is kept and compared as the bytes that were sent.
docs/envelope-format.md says it byte for byte, with vectors. On the gRPC wire an envelope is a
protobuf message; in files it is DSSE's JSON, written and read here.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import Final

import msgspec

from signing.batch import BATCH_TYPE, BatchPath, batch_payload, check_path_shape, root_of
from signing.errors import EnvelopeMalformed

PAYLOAD_TYPE_BYTES_MAX: Final = 255
PAYLOAD_BYTES_MAX: Final = 4 * 1024 * 1024
SIGNATURES_MAX: Final = 16
CERTIFICATES_MAX: Final = 6
CERTIFICATE_BYTES_MAX: Final = 16 * 1024
ALGORITHM_BYTES_MAX: Final = 64
SIGNATURE_BYTES_MAX: Final = 1024
STAMP_BYTES_MAX: Final = 12 * 1024
JSON_BYTES_MAX: Final = 8 * 1024 * 1024

#: What is signed as an envelope begins with it, and nothing else that anybody signs here does.
PAE_BEGINNING: Final = b"DSSEv1 "

_PAYLOAD_TYPE: Final = re.compile(r"[\x21-\x7e]{1,255}\Z")
_KEY_ID: Final = re.compile(r"[0-9a-f]{64}\Z")


class EnvelopeSignature(msgspec.Struct, frozen=True, omit_defaults=True):
    """One signature.

    key_id: lower-case hex SHA-256 of the DER SubjectPublicKeyInfo of the first certificate.
    algorithm: a name of `signing.algorithms.Algorithm`; a plain string here, because it is the
    sender's word. certificates: DER, the signer's own first, then intermediates in any order; the
    anchor may be left out. signature: the value over `pae(payload_type, payload)`, or, with a
    batch, over `batch_message` of its root. batch: where the payload stands in the batch that was
    signed at once; None for a signature over this payload alone. stamp: an RFC 3161 token (DER) over the
    signature value, or empty; in files only, the wire has none.
    """

    key_id: str
    algorithm: str
    certificates: tuple[bytes, ...]
    signature: bytes
    batch: BatchPath | None = None
    stamp: bytes = b""


class Envelope(msgspec.Struct, frozen=True):
    """A payload of a named type with the signatures over both."""

    payload_type: str
    payload: bytes
    signatures: tuple[EnvelopeSignature, ...]


def pae(payload_type: str, payload: bytes) -> bytes:
    """The bytes that are signed: ``"DSSEv1 " LEN(type) " " type " " LEN(payload) " " payload``.

    LEN is the count of bytes in decimal ASCII without leading zeros; the type is UTF-8.
    """
    encoded = payload_type.encode("utf-8")
    return PAE_BEGINNING + b"%d %b %d %b" % (len(encoded), encoded, len(payload), payload)


def batch_message(size: int, root: bytes) -> bytes:
    """The bytes that are signed for a whole batch: PAE of its size and root under `BATCH_TYPE`."""
    return pae(BATCH_TYPE, batch_payload(size, root))


def signed_message(message: bytes, signature: EnvelopeSignature) -> bytes:
    """What this signature must verify over: the envelope's PAE itself, or the batch to whose root its path leads.

    Raises `SignatureInvalid` for a path that leads nowhere.
    """
    if signature.batch is None:
        return message
    return batch_message(signature.batch.size, root_of(message, signature.batch))


def split_pae(message: bytes) -> tuple[str, bytes]:
    """The payload type and payload of a pre-authentication encoding that `pae` made.

    Raises `EnvelopeMalformed` for anything else: reading it back must give the same bytes.
    """
    try:
        _, length, rest = message.split(b" ", 2)
        encoded, rest = rest[: int(length)], rest[int(length) + 1 :]
        payload = rest.split(b" ", 1)[1]
        payload_type = encoded.decode("utf-8")
    except (ValueError, IndexError, UnicodeDecodeError) as error:
        raise EnvelopeMalformed("not a DSSE pre-authentication encoding") from error
    if pae(payload_type, payload) != message:
        raise EnvelopeMalformed("not a DSSE pre-authentication encoding")
    return payload_type, payload


def payload_digest(payload_type: str, payload: bytes) -> bytes:
    """SHA-256 of the pre-authentication encoding, 32 bytes: the name by which later acts refer to
    this envelope.

    Signatures are not part of it: signing the same payload again gives the same digest.
    """
    return hashlib.sha256(pae(payload_type, payload)).digest()


def check_shape(envelope: Envelope) -> None:
    """Raise `EnvelopeMalformed` at the first rule of shape that is broken; touches no
    cryptography.
    """
    if not _PAYLOAD_TYPE.match(envelope.payload_type):
        raise EnvelopeMalformed("payload_type must be 1 to 255 printable ASCII characters without spaces")
    if envelope.payload_type == BATCH_TYPE:
        raise EnvelopeMalformed(f"payload_type {BATCH_TYPE} is that of a batch's root, and no envelope's")
    if not 0 < len(envelope.payload) <= PAYLOAD_BYTES_MAX:
        raise EnvelopeMalformed(
            f"payload has {len(envelope.payload)} bytes; 1 to {PAYLOAD_BYTES_MAX} are allowed "
            "(files travel beside it)"
        )
    if not 1 <= len(envelope.signatures) <= SIGNATURES_MAX:
        raise EnvelopeMalformed(f"{len(envelope.signatures)} signatures; 1 to {SIGNATURES_MAX} are allowed")
    for index, signature in enumerate(envelope.signatures):
        _check_signature_shape(index, signature)


def _check_signature_shape(index: int, signature: EnvelopeSignature) -> None:
    if not _KEY_ID.match(signature.key_id):
        raise EnvelopeMalformed(f"signatures[{index}].key_id must be 64 lower-case hexadecimal digits")
    if not 1 <= len(signature.algorithm) <= ALGORITHM_BYTES_MAX:
        raise EnvelopeMalformed(
            f"signatures[{index}].algorithm must have 1 to {ALGORITHM_BYTES_MAX} characters"
        )
    if not 1 <= len(signature.certificates) <= CERTIFICATES_MAX:
        raise EnvelopeMalformed(
            f"signatures[{index}] carries {len(signature.certificates)} certificates; 1 to "
            f"{CERTIFICATES_MAX} "
            "are allowed, the signer's own first"
        )
    sizes = [len(der) for der in signature.certificates]
    if min(sizes) == 0 or max(sizes) > CERTIFICATE_BYTES_MAX:
        raise EnvelopeMalformed(
            f"a certificate of signatures[{index}] is empty or over {CERTIFICATE_BYTES_MAX} bytes"
        )
    if not 0 < len(signature.signature) <= SIGNATURE_BYTES_MAX:
        raise EnvelopeMalformed(f"signatures[{index}].signature must have 1 to {SIGNATURE_BYTES_MAX} bytes")
    if len(signature.stamp) > STAMP_BYTES_MAX:
        raise EnvelopeMalformed(f"signatures[{index}].stamp has over {STAMP_BYTES_MAX} bytes")
    if signature.batch is not None:
        check_path_shape(signature.batch, f"signatures[{index}]")


class _BatchJSON(msgspec.Struct, forbid_unknown_fields=False):
    index: int
    size: int
    hashes: list[str]


class _SignatureJSON(msgspec.Struct, forbid_unknown_fields=False, omit_defaults=True):
    keyid: str
    alg: str
    certs: list[str]
    sig: str
    batch: _BatchJSON | None = None
    stamp: str = ""


class _EnvelopeJSON(msgspec.Struct, rename="camel", forbid_unknown_fields=False):
    payload_type: str
    payload: str
    signatures: list[_SignatureJSON]


def envelope_to_json(envelope: Envelope) -> bytes:
    """DSSE's JSON form, UTF-8, for files. `alg`, `certs`, `batch` and `stamp` are our additional
    fields, as DSSE allows.
    """
    return msgspec.json.encode(
        _EnvelopeJSON(
            payload_type=envelope.payload_type,
            payload=_to_base64(envelope.payload),
            signatures=[
                _SignatureJSON(
                    keyid=one.key_id,
                    alg=one.algorithm,
                    certs=[_to_base64(der) for der in one.certificates],
                    sig=_to_base64(one.signature),
                    batch=None if one.batch is None else _batch_to_json(one.batch),
                    stamp=_to_base64(one.stamp),
                )
                for one in envelope.signatures
            ],
        )
    )


def envelope_from_json(data: bytes) -> Envelope:
    """Read DSSE's JSON form. Base64 is read strictly (standard or URL-safe alphabet, padded, as
    DSSE demands).

    Raises `EnvelopeMalformed`. The JSON itself is not signed, so its white space and field order do
    not matter.
    """
    if len(data) > JSON_BYTES_MAX:
        raise EnvelopeMalformed(
            f"the JSON envelope has {len(data)} bytes, over the limit of {JSON_BYTES_MAX}"
        )
    try:
        read = msgspec.json.decode(data, type=_EnvelopeJSON)
        envelope = Envelope(
            payload_type=read.payload_type,
            payload=_from_base64(read.payload),
            signatures=tuple(
                EnvelopeSignature(
                    key_id=one.keyid,
                    algorithm=one.alg,
                    certificates=tuple(_from_base64(der) for der in one.certs),
                    signature=_from_base64(one.sig),
                    batch=None if one.batch is None else _batch_from_json(one.batch),
                    stamp=_from_base64(one.stamp),
                )
                for one in read.signatures
            ),
        )
    except (
        msgspec.DecodeError,
        msgspec.ValidationError,
        binascii.Error,
        ValueError,
        RecursionError,
    ) as error:
        raise EnvelopeMalformed(f"not a JSON envelope: {error}") from error
    check_shape(envelope)
    return envelope


def _batch_to_json(path: BatchPath) -> _BatchJSON:
    return _BatchJSON(path.index, path.size, [_to_base64(one) for one in path.hashes])


def _batch_from_json(read: _BatchJSON) -> BatchPath:
    return BatchPath(read.index, read.size, tuple(_from_base64(one) for one in read.hashes))


def _to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _from_base64(text: str) -> bytes:
    """Both alphabets, but not mixed; padding required; no white space."""
    if "-" in text or "_" in text:
        if "+" in text or "/" in text:
            raise EnvelopeMalformed("base64 mixes the standard and the URL-safe alphabet")
        text = text.replace("-", "+").replace("_", "/")
    return base64.b64decode(text.encode("ascii"), validate=True)
