"""The process that prints and seals: `python -m gateway.certificates.seal_worker`, spoken to over its pipes.

Rendering, sealing and checking take some 100 ms of processor time that the server's loop must not spend. The
seal keys are opened here, where the configuration says, and live nowhere else. Every certificate is
verified by the code that banks use before it leaves, and so is every statement that is signed here (a payout check, a
day's statement): one that does not hold is never handed out. Nothing is logged, for what passes here is personal.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import os
import resource
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final

from gateway.certificates.content import (
    CertificateContent,
    CertificateKind,
    decode_content,
    encode_content,
)
from gateway.certificates.extract import decode_extract, is_extract
from gateway.certificates.extract_render import render_extract
from gateway.certificates.extract_verify import verify_extract
from gateway.certificates.proof import LedgerProof
from gateway.certificates.render import render_certificate
from gateway.certificates.seal_protocol import (
    LENGTH_BYTES,
    MESSAGE_BYTES_MAX,
    REQUESTS,
    Answer,
    Configure,
    Failed,
    Make,
    Ready,
    Sealed,
    SealKey,
    Sign,
    Signed,
    Stamp,
    frame,
)
from gateway.certificates.typeset import RenderError
from gateway.certificates.verify import verify_certificate
from signing.certificates import parse_certificate
from signing.envelope import envelope_to_json
from signing.errors import SealUnknown, SignerUnavailable, SigningError
from signing.key_source import open_signer, parse_key_source
from signing.pdf import check_pdf
from signing.seal import NATIONAL_SEAL_FIELD, SEAL_FIELD, add_stamp, count_signatures, seal_pdf, signature_of
from signing.signer import Signer, sign_envelope
from signing.trust import Purpose, TrustStore
from signing.verify import verify_envelope

SEAL_REASON: Final = "签发不动产电子证照"
EXTRACT_REASON: Final = "出具不动产登记查询结果"

_SAMPLE: Final = CertificateContent(
    kind=CertificateKind.PROOF,
    identifier="sample",
    number="样张",
    code="0" * 32,
    registry="sample",
    issuer_name="样张",
    issuer_code="sample",
    issued_on=dt.date(2026, 1, 1),
    matter="样张",
    holders=(),
    location="样张",
    unit_codes=(),
    right_id="sample",
    application="sample",
    case_number="sample",
    booked_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    test=True,
)
_SAMPLE_PROOF: Final = LedgerProof(
    origin="sample", index=0, part="sample", salt=b"", entry=b"", inclusion=(), checkpoint="sample"
)


class Workshop:
    """Seals, trust and settings of one worker: from a `Configure` message to sealed bytes."""

    def __init__(self, settings: Configure) -> None:
        """Open every key; one whose token does not answer now is opened when it is wanted.

        Raises SigningError for keys or trust that do not hold, OSError for paths.
        """
        self._settings = settings
        self._trust = TrustStore.from_bytes(settings.trust)
        self._signers: dict[str, tuple[Signer, ...]] = {}
        for registry in settings.seals:
            with contextlib.suppress(SignerUnavailable):
                self._seals_of(registry)

    def warm_up(self) -> None:
        """Render and seal a sample with every key, so that a key that cannot seal is found now.

        Raises SigningError or RenderError.
        """
        pdf = render_certificate(encode_content(_SAMPLE), _SAMPLE_PROOF, verification_url="https://localhost")
        for signers in self._signers.values():
            with contextlib.suppress(SignerUnavailable):
                verify_certificate(
                    _seal(pdf, signers, 0, len(signers), _SAMPLE.booked_at),
                    trust=self._trust,
                    vkeys=self._settings.vkeys,
                    at=_SAMPLE.booked_at,
                )

    def make(self, order: Make) -> Sealed | Failed:
        """Render, seal and check one certificate, or one extract of the register."""
        extract = is_extract(order.content)
        decode = decode_extract if extract else decode_content
        try:
            pdf = order.begun or self._render(order, extract=extract)
            signers = self._seals_of(decode(order.content).registry)
            done = count_signatures(order.begun) if order.begun else 0
            last = done + 1 if order.stamp_room else len(signers)
            reason = EXTRACT_REASON if extract else SEAL_REASON
            pdf = _seal(pdf, signers, done, last, order.at, reason, stamp_room=order.stamp_room)
            signature = signature_of(pdf) if order.stamp_room else b""
        except (RenderError, SigningError) as error:
            return Failed(error.reason, str(error))
        verify = verify_extract if extract else verify_certificate
        verdict = verify(pdf, trust=self._trust, vkeys=self._settings.vkeys, at=order.at)
        if not verdict.sound:
            found = "; ".join(f"{check.step.value} {check.code}: {check.why_en}" for check in verdict.failed)
            return Failed("CERTIFICATE_SELF_CHECK", f"the sealed certificate does not hold: {found}")
        key_ids = tuple(parse_certificate(one.certificates[0]).key_id for one in signers)
        return Sealed(pdf, signature, key_ids, whole=last == len(signers))

    def stamp(self, order: Stamp) -> Sealed | Failed:
        """Put a time stamp into one certificate; its last seal must hold with it, and be proven by it."""
        try:
            pdf = add_stamp(order.pdf, order.token)
        except SigningError as error:
            return Failed(error.reason, str(error))
        verdict = check_pdf(pdf, self._trust, order.at)
        if not verdict.ok or not verdict.signatures[-1].proven_at:
            found = "; ".join(f"{problem.code}: {problem.en}" for problem in verdict.problems)
            return Failed("CERTIFICATE_SELF_CHECK", f"the seal does not hold under its time stamp: {found}")
        return Sealed(pdf)

    def sign(self, order: Sign) -> Signed | Failed:
        """Sign one statement with every seal of the registry, and verify it as its reader will."""
        try:
            envelope = sign_envelope(order.payload_type, order.payload, self._seals_of(order.registry))
            verify_envelope(envelope, Purpose.REGISTRY, self._trust, order.at)
        except SigningError as error:
            return Failed(error.reason, str(error))
        return Signed(envelope_to_json(envelope))

    def _render(self, order: Make, *, extract: bool) -> bytes:
        """The unsealed PDF. Raises RenderError."""
        if extract:
            return render_extract(order.content, order.proof)
        return render_certificate(
            order.content, order.proof, verification_url=self._settings.verification_url
        )

    def _seals_of(self, registry: str) -> tuple[Signer, ...]:
        """The registry's seals, the international one first. Raises SigningError, OSError."""
        if registry not in self._signers:
            keys = self._settings.seals.get(registry)
            if not keys:
                raise SealUnknown(
                    f"no seal of registry {registry} is in use: add its key, or `diya keys rotate`"
                )
            self._signers[registry] = tuple(_load(key) for key in keys)
        return self._signers[registry]


def main() -> int:
    """Answer requests until the input ends; exit status 0 then."""
    logging.disable(logging.CRITICAL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold the seal keys
    source = sys.stdin.buffer
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as sink:
        sys.stdout = sys.stderr  # a stray print must not break the frames
        workshop: Workshop | None = None
        while (body := _read(source)) is not None:
            request = REQUESTS.decode(body)
            answer: Answer
            if isinstance(request, Configure):
                try:
                    workshop = Workshop(request)
                    workshop.warm_up()
                    answer = Ready()
                except (RenderError, SigningError) as error:
                    answer = Failed(error.reason, str(error))
                except OSError as error:
                    answer = Failed("SIGNER_UNUSABLE", f"a seal's key or certificate cannot be read: {error}")
            elif workshop is None:
                answer = Failed("SEALER_NOT_CONFIGURED", "send the configuration first")
            elif isinstance(request, Sign):
                answer = workshop.sign(request)
            elif isinstance(request, Stamp):
                answer = workshop.stamp(request)
            else:
                answer = workshop.make(request)
            sink.write(frame(answer))
            sink.flush()
    return 0


def _seal(
    pdf: bytes,
    signers: Sequence[Signer],
    done: int,
    last: int,
    at: dt.datetime,
    reason: str = SEAL_REASON,
    *,
    stamp_room: bool = False,
) -> bytes:
    """The seals of `signers` from number `done` to `last`, each over all that is before it.

    The first is a certification signature: nothing may ever be added to a certificate (ISO 32000-2, 12.8.2.2) but
    the one seal for which it leaves a field, which locks the file in turn. A time stamp is no addition: it goes into
    the bytes of the signature itself, which cover nothing.
    """
    for number in range(done, last):
        first, followed = number == 0, number + 1 < len(signers)
        pdf = seal_pdf(
            pdf,
            signers[number],
            reason=reason,
            at=at,
            field=SEAL_FIELD if first else NATIONAL_SEAL_FIELD,
            certify=first,
            followed_by=NATIONAL_SEAL_FIELD if followed else "",
            stamp_room=stamp_room,
        )
    return pdf


def _load(key: SealKey) -> Signer:
    return open_signer(parse_key_source(key.key), Path(key.chain_path).read_bytes())


def _read(source: BinaryIO) -> bytes | None:
    """The next message, or None where the parent has closed the pipe or died."""
    head = source.read(LENGTH_BYTES)
    if len(head) < LENGTH_BYTES:
        return None
    length = int.from_bytes(head, "big")
    if length > MESSAGE_BYTES_MAX:
        return None
    body = source.read(length)
    return body if len(body) == length else None


if __name__ == "__main__":
    sys.exit(main())
