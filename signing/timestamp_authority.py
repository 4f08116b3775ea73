"""A time stamp authority for development, demonstration and tests: bytes in, bytes out. Never for production.

What it says is RFC 3161 to the letter, so that our client is proven against it and other programs against it too; what
it lacks is what an authority is for: a clock and a key that others have reason to believe.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from asn1crypto import cms, core, tsp
from asn1crypto import x509 as asn1_x509

from signing.algorithms import Algorithm
from signing.cms_algorithms import DIGEST_BYTES
from signing.seal import mechanism
from signing.signer import Signer
from signing.timestamp import TimeStampResp

REQUEST_BYTES_MAX: Final = 4096
POLICY: Final = "1.3.6.1.4.1.99999.1.1"
"""A policy of nobody's: under it nothing is promised."""

_SERIAL_BITS: Final = 64


class TimestampAuthority:
    """Gives tokens under one key; threads may share it. clock: what time it says, aware."""

    def __init__(self, signer: Signer, clock: Callable[[], datetime], *, policy: str = POLICY) -> None:
        self._signer = signer
        self._clock = clock
        self._policy = policy

    def answer(self, request: bytes) -> bytes:
        """The TimeStampResp (DER) to a TimeStampReq, or to what is none: a refusal is an answer too."""
        try:
            asked = tsp.TimeStampReq.load(request, strict=True)
            imprint = asked["message_imprint"]
            name = imprint["hash_algorithm"]["algorithm"].native
            is_sound = asked["version"].native == "v1"
            length = len(imprint["hashed_message"].native)
            policy = asked["req_policy"].native
        except Exception:  # a parser of foreign bytes may raise nearly anything
            return _refusal("bad_data_format")
        if not is_sound:
            return _refusal("bad_request")
        if DIGEST_BYTES.get(name) != length:
            return _refusal("bad_alg")
        if policy not in (None, self._policy):
            return _refusal("unaccepted_policy")
        response = {"status": {"status": "granted"}, "time_stamp_token": self._token(asked)}
        encoded: bytes = TimeStampResp(response).dump()
        return encoded

    def _token(self, asked: tsp.TimeStampReq) -> cms.ContentInfo:
        info: dict[str, Any] = {
            "version": "v1",
            "policy": self._policy,
            "message_imprint": asked["message_imprint"],
            "serial_number": secrets.randbits(_SERIAL_BITS),
            "gen_time": core.GeneralizedTime(self._clock()),
            "accuracy": {"seconds": 1},
        }
        if asked["nonce"].native is not None:
            info["nonce"] = asked["nonce"]
        content = tsp.TSTInfo(info).dump()
        own = asn1_x509.Certificate.load(self._signer.certificates[0])
        # RFC 8419 section 3.1: Ed25519 goes with SHA-512.
        name = "sha512" if self._signer.algorithm is Algorithm.ED25519 else "sha256"
        identifier = {"cert_hash": hashlib.sha256(own.dump()).digest()}
        attributes = cms.CMSAttributes(
            [
                _attribute("content_type", "tst_info"),
                _attribute("message_digest", hashlib.new(name, content).digest()),
                _attribute("signing_certificate_v2", tsp.SigningCertificateV2({"certs": [identifier]})),
            ]
        )
        signed = {
            "version": "v3",
            "digest_algorithms": [{"algorithm": name}],
            "encap_content_info": cms.EncapsulatedContentInfo(
                {"content_type": "tst_info", "content": core.ParsableOctetString(content)}
            ),
            "signer_infos": [
                {
                    "version": "v1",
                    "sid": cms.SignerIdentifier(
                        "issuer_and_serial_number",
                        {"issuer": own.issuer, "serial_number": own.serial_number},
                    ),
                    "digest_algorithm": {"algorithm": name},
                    "signed_attrs": attributes,
                    "signature_algorithm": mechanism(self._signer.algorithm),
                    "signature": self._signer.sign(attributes.dump()),
                }
            ],
        }
        if asked["cert_req"].native:
            signed["certificates"] = [asn1_x509.Certificate.load(der) for der in self._signer.certificates]
        return cms.ContentInfo({"content_type": "signed_data", "content": cms.SignedData(signed)})


def _attribute(kind: str, value: object) -> cms.CMSAttribute:
    return cms.CMSAttribute({"type": kind, "values": [value]})


def _refusal(why: str) -> bytes:
    encoded: bytes = TimeStampResp({"status": {"status": "rejection", "fail_info": {why}}}).dump()
    return encoded
