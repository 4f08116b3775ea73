"""What kind of signed file lies there, what it says of itself, and whether it holds: for `diya signature`.

Every kind comes to the same two things: what was seen, and a verdict on the signatures.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from google.protobuf.message import DecodeError

from gateway.cli.reading import read_file
from gateway.client.errors import InputError
from gateway.pb.diya.v1 import envelope_pb2
from signing.certificates import certificates_from_pem, parse_certificate
from signing.cms import looks_like_cms
from signing.cms_file import check_cms, signer_field
from signing.envelope import Envelope, envelope_from_json
from signing.errors import CertificateUnknownIssuer, CertificateWrongPurpose, SigningError
from signing.inspection import (
    DETACHED,
    SeenSignature,
    seen_certificate,
    seen_in_cms,
    seen_in_envelope,
    seen_in_pdf,
)
from signing.known_chain import ChainLink
from signing.pdf import check_pdf
from signing.problems import signature_problem
from signing.raw_file import check_raw
from signing.revocation import Evidence
from signing.trust import Purpose, TrustStore
from signing.verdict import FileProblem, FileVerdict
from signing.verify import VerifiedEnvelope, verify_envelope

ENVELOPE_PURPOSES: Final = (Purpose.INSTITUTION, Purpose.REGISTRAR, Purpose.OPERATOR, Purpose.PERSON)
"""Who signs envelopes, in the order in which it is tried where none is asked for."""

_MAIL: Final = (b"mime-version:", b"content-type:")
_SIGNED_INSIDE: Final = (
    ("OFD (GB/T 33190)", b"PK\x03\x04", b"Signatures.xml"),
    ("XML (XMLDSig, XAdES)", b"<", b"http://www.w3.org/2000/09/xmldsig#"),
)
"""Name, beginning, and what a file holds that bears signatures of its own kind inside."""

_PEM: Final = re.compile(rb"-----BEGIN (CMS|PKCS7)-----(.*?)-----END \1-----", re.DOTALL)
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/=\s]+\Z")


@dataclass(frozen=True)
class Held:
    """A signature that holds, whatever file it is in: what the command prints of it.

    proven_at: by a time stamp; judged_at: that, or the time of the check. path: the certificates below the
    anchor. anchor: its fingerprint, empty where only the path was kept. evidence, in_grace: what spoke about
    revocation, of the trust folder or brought along, as in the verdict.
    """

    field: str
    signer: str
    identity: str
    purpose: str
    algorithm: str
    form: str
    claimed_at: datetime | None
    proven_at: datetime | None
    judged_at: datetime
    path: tuple[ChainLink, ...]
    anchor: str
    evidence: tuple[Evidence, ...] = ()
    in_grace: bool = False


@dataclass(frozen=True)
class Judged:
    """A file with its signatures: those that hold, and what is wrong. is_read: it could be looked into."""

    kind: str
    seen: tuple[SeenSignature, ...]
    held: tuple[Held, ...]
    problems: tuple[FileProblem, ...]
    is_read: bool = True

    @property
    def holds(self) -> bool:
        """There is a signature, each one holds, and nothing else is wrong."""
        return bool(self.held) and not self.problems


@dataclass(frozen=True)
class SignedFile:
    """A file of a kind that is known. seen: not yet verified. check: by trust, time and purposes.

    unread: why nothing was seen, where the file could not be looked into; what that means the check says.
    """

    kind: str
    seen: tuple[SeenSignature, ...]
    check: Callable[
        [TrustStore, datetime, Sequence[Purpose] | None], tuple[tuple[Held, ...], tuple[FileProblem, ...]]
    ]
    unread: SigningError | None = None

    def judged(self, trust: TrustStore, at: datetime, purposes: Sequence[Purpose] | None) -> Judged:
        """Verify it."""
        held, problems = self.check(trust, at, purposes)
        return Judged(self.kind, self.seen, held, problems, is_read=self.unread is None)


def open_signed(file: Path, signature: Path | None = None, certificate: Path | None = None) -> SignedFile:
    """The file, or the file with its signature beside it. Raises `InputError`, `SigningError`."""
    data = read_file(file)
    if signature is None:
        if certificate is not None:
            raise InputError(
                "--certificate goes with --signature: a bare value has to be named",
                "--certificate 须与 --signature 一起使用：请指定签名值文件",
            )
        return _alone(file, data)
    value = _decoded(read_file(signature))
    if looks_like_cms(value):
        return _cms(value, data)
    _refuse_mail(signature, value)
    if certificate is None:
        raise InputError(
            f"{signature} is no CMS and no GB/T 35275 file; for a bare value give --certificate too",
            f"{signature} 不是 CMS 或 GB/T 35275 签名文件；若为裸签名值，请同时用 --certificate 指定证书",
        )
    return _raw(value, data, _certificates(certificate))


def _alone(file: Path, data: bytes) -> SignedFile:
    if data.startswith(b"%PDF-"):
        seen, unread = _looked_into(lambda: seen_in_pdf(data))
        return SignedFile(
            "PDF",
            seen,
            lambda trust, at, purposes: _of_verdict(check_pdf(data, trust, at, purposes=purposes)),
            unread,
        )
    if data.lstrip()[:1] == b"{":
        return _envelope(envelope_from_json(data))
    decoded = _decoded(data)
    if looks_like_cms(decoded):
        return _cms(decoded, None, file)
    _refuse_mail(file, data)
    _refuse_signed_inside(file, data)
    envelope = _envelope_of_wire(data)
    if envelope is not None:
        return _envelope(envelope)
    raise InputError(
        f"{file} is no PDF, no CMS or GB/T 35275 file and no envelope; a signature beside it is named by --signature",
        f"{file} 不是 PDF、CMS、GB/T 35275 签名文件或信封；分离式签名请用 --signature 指定",
    )


def _refuse_mail(file: Path, data: bytes) -> None:
    if data[:2048].lower().lstrip().startswith(_MAIL):
        raise InputError(
            f"{file} is an S/MIME mail, not a signature file: have it written as DER or PEM (openssl: -outform DER)",
            f"{file} 是 S/MIME 邮件，不是签名文件：请输出 DER 或 PEM（openssl 加 -outform DER）",
        )


def _refuse_signed_inside(file: Path, data: bytes) -> None:
    """Signatures of these formats' own are named and not verified (`gateway.rpc.file_checks` refuses them too)."""
    for kind, start, mark in _SIGNED_INSIDE:
        if data.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(start) and mark in data:
            raise InputError(
                f"{file} is signed inside as {kind}, which this version does not verify; a detached signature "
                "(CMS, GB/T 35275) over it is named by --signature",
                f"{file} 内含 {kind} 签名，本版本不核验；对该文件的分离式签名（CMS、GB/T 35275）请用 --signature 指定",
            )


def _cms(data: bytes, content: bytes | None, alone: Path | None = None) -> SignedFile:
    """alone: the file's name, where none lies beside it: what is detached can be inspected, not verified."""
    seen, unread = _looked_into(lambda: seen_in_cms(data))

    def check(
        trust: TrustStore, at: datetime, purposes: Sequence[Purpose] | None
    ) -> tuple[tuple[Held, ...], tuple[FileProblem, ...]]:
        if alone is not None and seen and seen[0].form.endswith(DETACHED):
            raise InputError(
                f"{alone} is a detached signature: diya signature verify FILE --signature {alone}",
                f"{alone} 是分离式签名：请用 diya signature verify FILE --signature {alone} 核验",
            )
        return _of_verdict(check_cms(data, content, trust, at, purposes=purposes))

    return SignedFile(seen[0].form if seen else "CMS", seen, check, unread)


def _looked_into(
    look: Callable[[], tuple[SeenSignature, ...]],
) -> tuple[tuple[SeenSignature, ...], SigningError | None]:
    """What is seen, or why nothing is."""
    try:
        return look(), None
    except SigningError as error:
        return (), error


def _raw(value: bytes, content: bytes, certificates: tuple[bytes, ...]) -> SignedFile:
    return SignedFile(
        "raw signature",
        (seen_certificate(parse_certificate(certificates[0]), "raw"),),
        lambda trust, at, purposes: _of_verdict(
            check_raw(value, content, certificates, trust, at, purposes=purposes)
        ),
    )


def _envelope(envelope: Envelope) -> SignedFile:
    return SignedFile(
        f"envelope {envelope.payload_type}",
        seen_in_envelope(envelope),
        lambda trust, at, purposes: _check_envelope(envelope, trust, at, purposes or ENVELOPE_PURPOSES),
    )


def _check_envelope(
    envelope: Envelope, trust: TrustStore, at: datetime, purposes: Sequence[Purpose]
) -> tuple[tuple[Held, ...], tuple[FileProblem, ...]]:
    """By the first purpose whose anchors know the signers; all signatures of an envelope are of one."""
    refused: SigningError | None = None
    for purpose in purposes:
        try:
            return _of_envelope(verify_envelope(envelope, purpose, trust, at), purpose, at), ()
        except (CertificateUnknownIssuer, CertificateWrongPurpose) as error:
            refused = refused or error
        except SigningError as error:
            refused = error
            break
    assert refused is not None
    field = "" if refused.signature_index is None else signer_field(refused.signature_index)
    return (), (signature_problem(refused, field),)


def _of_envelope(verified: VerifiedEnvelope, purpose: Purpose, at: datetime) -> tuple[Held, ...]:
    return tuple(
        Held(
            field=signer_field(number),
            signer=one.name,
            identity="" if one.identity is None else f"{one.identity.scheme}-{one.identity.number}",
            purpose=purpose.value,
            algorithm=one.algorithm,
            form="envelope",
            claimed_at=None,
            proven_at=None,
            judged_at=at,
            path=one.chain,
            anchor="",
        )
        for number, one in enumerate(verified.signers)
    )


def _of_verdict(verdict: FileVerdict) -> tuple[tuple[Held, ...], tuple[FileProblem, ...]]:
    held = tuple(
        Held(
            field=one.field,
            signer=one.name,
            identity=f"{one.identity.scheme}-{one.identity.number}",
            purpose=one.purpose.value,
            algorithm=one.algorithm,
            form=one.form,
            claimed_at=one.signed_at,
            proven_at=one.proven_at,
            judged_at=one.judged_at,
            path=one.chain,
            anchor=one.anchor,
            evidence=one.evidence,
            in_grace=one.in_grace,
        )
        for one in verdict.signatures
    )
    return held, verdict.problems


def _decoded(data: bytes) -> bytes:
    """DER as it is, or out of PEM or the bare base64 that many signing services answer."""
    pem = _PEM.search(data)
    text = pem.group(2) if pem else data
    if pem or _BASE64.match(text):
        try:
            return base64.b64decode(b"".join(text.split()), validate=True)
        except binascii.Error:
            return data
    return data


def _certificates(path: Path) -> tuple[bytes, ...]:
    """PEM, the signer's own first, or one DER."""
    data = read_file(path)
    return certificates_from_pem(data) if b"-----BEGIN" in data else (data,)


def _envelope_of_wire(data: bytes) -> Envelope | None:
    # The reader of the wire belongs to the gateway's package; only this kind of file needs it.
    from gateway.rpc.submission import envelope_of  # noqa: PLC0415

    try:
        wire = envelope_pb2.Envelope.FromString(data)
    except DecodeError:
        return None
    return envelope_of(wire) if wire.payload_type and wire.signatures else None
