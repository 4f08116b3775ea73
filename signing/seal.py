"""Sign a PDF: a registry's seal on a certificate, a bank's or a citizen's signature on a contract.

PAdES baseline B-B (ETSI EN 319 142-1, SubFilter ETSI.CAdES.detached), B-T where a time stamp
authority is passed in. The file is only ever extended by an incremental update, and that update
holds nothing but the signature: no date, producer or metadata is touched, so what earlier signers
signed stays as it was.

B-T in two steps: `seal_pdf(stamp_room=True)` leaves room, `signature_of` gives what a time stamp
authority is asked to stamp, `add_stamp` puts its token in. Whoever seals need not wait for the
authority, and a seal whose token never comes is a whole B-B one.

The key is behind `signing.signer.Signer`, so a hardware module or a licensed seal service fits.
P-256, P-384 or RSA: poppler's pdfsig refuses Ed25519. An SM2 key seals in the national shape, a
GB/T 35275 SignedData under SubFilter adbe.pkcs7.detached, which international readers do not
verify. Nothing here opens a connection; a `timestamper` may.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from io import BytesIO
from typing import Any, Final, TypeVar

from asn1crypto import algos
from asn1crypto import cms as asn1_cms
from asn1crypto import x509 as asn1_x509
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.misc import PdfError
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign import signers
from pyhanko.sign.fields import (
    FieldMDPAction,
    FieldMDPSpec,
    MDPPerm,
    SigFieldSpec,
    SigSeedSubFilter,
    append_signature_field,
    enumerate_sig_fields,
)
from pyhanko.sign.general import SigningError as PyHankoSigningError
from pyhanko.sign.signers.pdf_cms import PdfCMSSignedAttributes
from pyhanko.sign.timestamps import TimeStamper
from pyhanko_certvalidator.registry import SimpleCertificateStore

from signing.algorithms import PSS_SALT_BYTES, SIGNATURE_BYTES_MAX, Algorithm
from signing.cms import read_signed_data
from signing.cms_sign import sign_for_pdf, signature_digest, with_stamp
from signing.cms_verify import Content
from signing.errors import SealFailed
from signing.pdf_signatures import SignedField, signed_fields
from signing.signer import Signer
from signing.timestamp import TOKEN_BYTES_MAX

SEAL_FIELD: Final = "Seal"
NATIONAL_SEAL_FIELD: Final = "NationalSeal"
"""Where who seals in both suites puts the second seal, the national one."""
FIELD_NAME_CHARACTERS_MAX: Final = 64
FIELDS_MAX: Final = 32
ECDSA_BYTES_MAX: Final = 144
"""DER of r and s, with room for longer curves than ours."""
_STAMP_ROOM_BYTES: Final = TOKEN_BYTES_MAX + 64
"""A token, and the attribute around it."""

_Result = TypeVar("_Result")


def seal_pdf(
    data: bytes,
    signer: Signer,
    *,
    reason: str,
    at: datetime,
    field: str = SEAL_FIELD,
    location: str | None = None,
    certify: bool = False,
    followed_by: str = "",
    timestamper: TimeStamper | None = None,
    stamp_room: bool = False,
) -> bytes:
    """The file with one more signature of `signer` in the invisible field `field`, which is new or was left empty.

    reason: shown by readers, any language. at: the claimed signing time (aware), written into the
    signature dictionary; it proves nothing. certify: a certification signature that forbids every
    later change; only possible as the first. followed_by: leaves an empty field of this name, which may be
    signed in spite of `certify`, and locks the file when it is (ISO 32000-2, 12.7.5.5). timestamper: adds an
    RFC 3161 token over the signature. stamp_room: reserves the bytes for one that `add_stamp` puts in later.

    Raises `SealFailed`: not a readable PDF, encrypted, field signed already or malformed, an earlier
    signature forbids more, or an algorithm that PDF readers do not know. Blocks for about 10 ms: in
    asynchronous code call it in a thread.
    """
    if at.tzinfo is None:
        raise ValueError("at must be an aware datetime")
    if signer.algorithm is Algorithm.ED25519:
        raise SealFailed("PDF readers refuse Ed25519: seal with a P-256, P-384, RSA or SM2 key")
    if not field or len(field) > FIELD_NAME_CHARACTERS_MAX or "." in field or not field.isprintable():
        raise SealFailed(
            f"field name {field!r}: use 1 to {FIELD_NAME_CHARACTERS_MAX} characters without a dot"
        )
    national = signer.algorithm is Algorithm.SM2_SM3
    writer = _open(data)
    fields = _fields(writer)
    if fields.get(field):
        raise SealFailed(f"the file already has a signature field called {field!r}: choose another")
    if followed_by in fields:
        raise SealFailed(f"the file already has a signature field called {followed_by!r}: choose another")
    closes = field in fields or (certify and not followed_by)
    metadata = signers.PdfSignatureMetadata(
        field_name=field,
        md_algorithm=signature_digest(signer.algorithm),
        reason=reason,
        location=location,
        subfilter=SigSeedSubFilter.ADOBE_PKCS7_DETACHED if national else SigSeedSubFilter.PADES,
        certify=certify,
        docmdp_permissions=MDPPerm.NO_CHANGES if closes else MDPPerm.FILL_FORMS,
    )
    pdf_signer = signers.PdfSigner(
        metadata,
        _KeyBehindSigner(signer),
        timestamper=timestamper,
    )
    try:
        if field not in fields:
            append_signature_field(writer, SigFieldSpec(sig_field_name=field))
        if followed_by:  # after the own field, for viewers list them in this order
            append_signature_field(writer, _last_field(followed_by))
        return _run(_sign(pdf_signer, writer, at, _STAMP_ROOM_BYTES if stamp_room else 0))
    except (PyHankoSigningError, PdfError, ValueError, KeyError, TypeError, OSError) as error:
        raise SealFailed(f"the file cannot be signed: {error}") from error


def append_signature(
    data: bytes,
    signer: Signer,
    *,
    reason: str,
    at: datetime,
    timestamper: TimeStamper | None = None,
) -> bytes:
    """`seal_pdf` into the first free field of Signature1, Signature2, …: parties sign one after
    another.
    """
    taken = _fields(_open(data))
    for number in range(1, FIELDS_MAX + 1):
        field = f"Signature{number}"
        if field not in taken:
            return seal_pdf(data, signer, reason=reason, at=at, field=field, timestamper=timestamper)
    raise SealFailed(f"the file has more than {FIELDS_MAX} signature fields")


def signature_of(pdf: bytes) -> bytes:
    """The value of the last signature: what its time stamp is over (ETSI EN 319 142-1). Raises `SealFailed`."""
    try:
        (signer,) = read_signed_data(_last(pdf).contents, padded=True).signers
    except Exception as error:  # a parser of foreign bytes may raise nearly anything
        raise SealFailed(f"the file's last signature cannot be read: {error}") from error
    return signer.signature


def count_signatures(pdf: bytes) -> int:
    """How many signatures a file holds. Raises `SealFailed`."""
    return sum(_fields(_open(pdf)).values())


def add_stamp(pdf: bytes, token: bytes) -> bytes:
    """The same file with the time stamp `token` (DER) in its last signature, in the room that was left for it.

    No signed byte changes. Whether the token holds is for `check_pdf` to say. Raises `SealFailed`.
    """
    try:
        last = _last(pdf)
        read_signed_data(token, bytes_max=TOKEN_BYTES_MAX)  # that it is one, and in DER
        contents = with_stamp(last.contents, token).hex().encode()
    except Exception as error:  # as above
        raise SealFailed(f"the time stamp cannot be put into the file: {error}") from error
    start, end = last.gap[0] + 1, last.gap[1] - 1  # within < and >
    if len(contents) > end - start:
        raise SealFailed(f"a time stamp of {len(token)} bytes: there is no room for it")
    return b"".join((pdf[:start], contents.ljust(end - start, b"0"), pdf[end:]))


def _last(pdf: bytes) -> SignedField:
    """The newest signature. Raises what the parser raises."""
    return signed_fields(PdfFileReader(BytesIO(pdf)))[-1]


class _Writer(IncrementalPdfFileWriter):
    """Writes the update without touching metadata: the base class would stamp its own clock and
    name.
    """

    def _update_meta(self) -> None:
        pass


class _KeyBehindSigner(signers.Signer):
    """Our `Signer` in the shape that pyHanko asks for."""

    def __init__(self, signer: Signer) -> None:
        national = signer.algorithm is Algorithm.SM2_SM3
        store = SimpleCertificateStore()  # type: ignore[no-untyped-call]
        store.register_multiple(asn1_x509.Certificate.load(der) for der in signer.certificates[1:])
        super().__init__(
            signing_cert=asn1_x509.Certificate.load(signer.certificates[0]),
            cert_registry=store,
            embed_roots=False,
            signature_mechanism=None if national else mechanism(signer.algorithm),
        )
        self._signer = signer

    async def async_sign(  # type: ignore[override]  # the options are handed on as they come
        self, data_digest: bytes, digest_algorithm: str, dry_run: bool = False, **options: Any
    ) -> asn1_cms.ContentInfo:
        """The library knows neither SM2 nor GB/T 35275; what it gets back it only writes into the file."""
        if self._signer.algorithm is not Algorithm.SM2_SM3:
            return await super().async_sign(data_digest, digest_algorithm, dry_run=dry_run, **options)
        if options.get("timestamper") is not None:
            raise SealFailed("an SM2 seal is stamped in two steps: stamp_room and add_stamp")
        signer = _Sized(self._signer) if dry_run else self._signer
        made = sign_for_pdf(Content.digested(digest_algorithm, data_digest), signer)
        return asn1_cms.ContentInfo.load(made)

    async def async_sign_raw(self, data: bytes, digest_algorithm: str, dry_run: bool = False) -> bytes:
        if dry_run:
            return _Sized(self._signer).sign(data)
        return self._signer.sign(data)


class _Sized:
    """A signer that signs nothing: its values are as long as the other's can be."""

    def __init__(self, signer: Signer) -> None:
        self.certificates, self.algorithm = signer.certificates, signer.algorithm

    def sign(self, message: bytes) -> bytes:
        rsa = self.algorithm in (Algorithm.RSA_PSS_SHA256, Algorithm.RSA_PKCS1_SHA256)
        return bytes(SIGNATURE_BYTES_MAX if rsa else ECDSA_BYTES_MAX)


def mechanism(algorithm: Algorithm) -> algos.SignedDigestAlgorithm:
    """How CMS names what a signer of `algorithm` makes."""
    if algorithm is Algorithm.ED25519:
        return algos.SignedDigestAlgorithm({"algorithm": "ed25519"})
    if algorithm is Algorithm.ECDSA_P256_SHA256:
        return algos.SignedDigestAlgorithm({"algorithm": "sha256_ecdsa"})
    if algorithm is Algorithm.ECDSA_P384_SHA384:
        return algos.SignedDigestAlgorithm({"algorithm": "sha384_ecdsa"})
    if algorithm is Algorithm.RSA_PKCS1_SHA256:
        return algos.SignedDigestAlgorithm({"algorithm": "sha256_rsa"})
    parameters = algos.RSASSAPSSParams(
        {
            "hash_algorithm": {"algorithm": "sha256"},
            "mask_gen_algorithm": {"algorithm": "mgf1", "parameters": {"algorithm": "sha256"}},
            "salt_length": PSS_SALT_BYTES,
        }
    )
    return algos.SignedDigestAlgorithm({"algorithm": "rsassa_pss", "parameters": parameters})


def _open(data: bytes) -> _Writer:
    try:
        # PDF/A (ISO 19005-3, 6.1.9) wants the first object of the update on a line of its own.
        begun = data if data.endswith((b"\n", b"\r")) else data + b"\n"
        writer = _Writer(BytesIO(begun), strict=True)
        if writer.prev.encrypted:
            raise SealFailed("the file is encrypted: seal the plain file")
    except SealFailed:
        raise
    except Exception as error:  # a parser of foreign bytes may raise nearly anything
        raise SealFailed(f"not a readable PDF of {len(data)} bytes: {error}") from error
    return writer


def _fields(writer: _Writer) -> dict[str, bool]:
    """Every signature field, and whether it is signed."""
    try:
        return {name: value is not None for name, value, _ in enumerate_sig_fields(writer.prev)}
    except Exception as error:  # as above
        raise SealFailed(f"the file's form cannot be read: {error}") from error


def _last_field(name: str) -> SigFieldSpec:
    """A field whose signature allows nothing after it."""
    everything = FieldMDPSpec(action=FieldMDPAction.ALL)
    return SigFieldSpec(
        sig_field_name=name, field_mdp_spec=everything, doc_mdp_update_value=MDPPerm.NO_CHANGES
    )


async def _sign(pdf_signer: signers.PdfSigner, writer: _Writer, at: datetime, room: int) -> bytes:
    """pyHanko's own steps, with our time in the place of its clock. room: bytes to leave for a token."""
    session = pdf_signer.init_signing_session(writer)
    session.system_time = at
    validation = await session.perform_presign_validation(writer)
    # Without a token the size is known, and every reserved byte is read by each later check.
    reserved = await session.estimate_signature_container_size(validation, tight=session.timestamper is None)
    reserved += 2 * room  # in hex
    document = session.prepare_tbs_document(validation_info=validation, bytes_reserved=reserved)
    digest, output = document.digest_tbs_document()
    await document.perform_signature(
        document_digest=digest.document_digest,
        pdf_cms_signed_attrs=PdfCMSSignedAttributes(signing_time=at),
    )
    signed: bytes = output.getvalue()  # type: ignore[attr-defined]  # a BytesIO, as none was passed in
    return signed


def _run(coroutine: Coroutine[Any, Any, _Result]) -> _Result:
    """Run to the end on a loop of its own, also where this thread already runs one."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(asyncio.run, coroutine).result()
