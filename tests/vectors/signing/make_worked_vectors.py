"""Makes `worked.json` and the end of section 8 of docs/envelope-format.md from it:
`python -m tests.vectors.signing.make_worked_vectors`, from the repository's root.

One payload, signed once with each algorithm but P-256, whose example is in envelope.json. Keys are published ones
where a standard publishes one, so that anybody can make the values again; RSA's is ours, and lies in the file.
Certificates change with each run, and so do the values of RSA-PSS and SM2, which are random.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from signing.algorithms import Algorithm, PrivateKey, sign_raw
from signing.certificates import key_id_of, spki_of
from signing.envelope import Envelope, EnvelopeSignature, envelope_to_json, pae, payload_digest
from signing.pki import Authority, DevelopmentPKI, KeyKind, make_authority, make_key
from signing.sm2 import SM2PrivateKey
from signing.trust import Purpose
from tests.vectors.signing.make_envelope_vectors import NOW, PAYLOAD, TYPE, USCC

FILE: Final = Path(__file__).with_name("worked.json")
PAGE: Final = Path(__file__).parents[3] / "docs" / "envelope-format.md"
BEGIN: Final = "<!-- made from tests/vectors/signing/worked.json -->\n"
END: Final = "<!-- end of what is made -->\n"
LINE: Final = 64

P384_KEY: Final = int(
    "6b9d3dad2e1b8c1c05b19875b6659f4de23c3b667bf297ba9aa47740787137d896d5724e4c70a825f872c9ea60d2edf5",
    16,
)
ED25519_KEY: Final = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
SM2_KEY: Final = bytes.fromhex("3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8")
SM2_PKCS8_HEAD: Final = bytes.fromhex(
    "3041020100301306072a8648ce3d020106082a811ccf5501822d042730250201010420"
)


def main() -> None:
    """Write the file and the page."""
    document = make()
    FILE.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(before + BEGIN + render(document) + END + after, encoding="utf-8")


def make() -> dict[str, Any]:
    """The document: the common parts, an anchor of each suite, and an example of each algorithm."""
    rsa = make_key(KeyKind.RSA_2048)
    examples = [
        (Algorithm.ECDSA_P384_SHA384, "RFC 6979 appendix A.2.6", _p384()),
        (Algorithm.RSA_PSS_SHA256, "made for this file", rsa),
        (Algorithm.RSA_PKCS1_SHA256, "made for this file", rsa),
        (Algorithm.ED25519, "RFC 8032 section 7.1, test 1", _ed25519()),
        (Algorithm.SM2_SM3, "GB/T 32918.5-2017 annex A", _sm2()),
    ]
    anchors = {
        national: make_authority("Worked examples", now=NOW, key=make_key(kind))
        for national, kind in ((False, KeyKind.P256), (True, KeyKind.SM2))
    }
    return {
        "description": "One payload signed with each algorithm: section 8 of docs/envelope-format.md.",
        "payload_type": TYPE,
        "payload_hex": PAYLOAD.hex(),
        "pae_hex": pae(TYPE, PAYLOAD).hex(),
        "payload_digest_hex": payload_digest(TYPE, PAYLOAD).hex(),
        "purpose": Purpose.INSTITUTION.value,
        "at": NOW.isoformat(),
        "anchors": [base64.b64encode(one.der).decode() for one in anchors.values()],
        "examples": [
            _example(algorithm, source, key, anchors[isinstance(key, SM2PrivateKey)])
            for algorithm, source, key in examples
        ],
    }


def _example(algorithm: Algorithm, source: str, key: PrivateKey, anchor: Authority) -> dict[str, Any]:
    pki = DevelopmentPKI(NOW, {}, {Purpose.INSTITUTION: anchor})
    credential = pki.issue_institution(USCC, "测试银行", key=key, days=3650)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        value = key.sign(pae(TYPE, PAYLOAD), ec.ECDSA(hashes.SHA384(), deterministic_signing=True))
    else:
        value = sign_raw(key, algorithm, pae(TYPE, PAYLOAD))
    key_id = key_id_of(key.public_key())
    signature = EnvelopeSignature(key_id, algorithm.value, credential.certificates, value)
    return {
        "algorithm": algorithm.value,
        "private_key_source": source,
        "private_key_pem": credential.key_pem().decode(),
        "spki_hex": spki_of(key.public_key()).hex(),
        "key_id": key_id,
        "signature_hex": value.hex(),
        "envelope": json.loads(envelope_to_json(Envelope(TYPE, PAYLOAD, (signature,)))),
    }


def _p384() -> PrivateKey:
    return ec.derive_private_key(P384_KEY, ec.SECP384R1())


def _ed25519() -> PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(ED25519_KEY)


def _sm2() -> PrivateKey:
    pem = base64.encodebytes(SM2_PKCS8_HEAD + SM2_KEY).decode()
    return SM2PrivateKey.load_pem(
        f"-----BEGIN PRIVATE KEY-----\n{pem}-----END PRIVATE KEY-----\n".encode(), None
    )


def render(document: Mapping[str, Any]) -> str:
    """The examples as the page shows them."""
    return "".join(_render(one) for one in document["examples"])


def _render(example: Mapping[str, Any]) -> str:
    return (
        f"\n### {example['algorithm']}\n\nPrivate key: {example['private_key_source']}.\n\n```\n"
        f"DER SubjectPublicKeyInfo\n{_lines(example['spki_hex'])}\n"
        f"key id\n{example['key_id']}\n\n"
        f"signature value\n{_lines(example['signature_hex'])}```\n"
    )


def _lines(text: str) -> str:
    return "".join(text[i : i + LINE] + "\n" for i in range(0, len(text), LINE))


if __name__ == "__main__":
    main()
