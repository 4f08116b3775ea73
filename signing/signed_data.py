"""One CMS SignedData with one signer: whose certificate it names, and does its signature hold?

Seals in PDF files and time stamp tokens are both of this shape (RFC 5652 section 5, with signed attributes). What is
accepted is decided here, by a closed list of algorithms; whom to believe is asked by the callers, of a trust store.
"""

from __future__ import annotations

import hashlib
from typing import Final

from asn1crypto import cms, core
from asn1crypto import x509 as asn1_x509
from cryptography.exceptions import UnsupportedAlgorithm
from pyhanko.sign.validation.generic_cms import validate_sig_integrity

from signing.algorithms import check_key
from signing.certificates import Certificate, parse_certificate
from signing.errors import AlgorithmRefused, CertificateMalformed, SignatureInvalid, SigningError

CMS_CERTIFICATES_MAX: Final = 16

HASHES: Final = frozenset({"sha256", "sha384", "sha512"})
_SCHEMES: Final = frozenset({"rsassa_pkcs1v15", "rsassa_pss", "ecdsa", "ed25519"})


def signer_of(signed_data: cms.SignedData) -> tuple[Certificate, list[Certificate]]:
    """The signer's certificate and the others of a CMS. Raises `SigningError`.

    The signer is the one that the SignerInfo names by issuer and serial number, compared as DER.
    """
    try:
        choices = signed_data["certificates"]
        if len(choices) > CMS_CERTIFICATES_MAX:
            raise CertificateMalformed(f"more than {CMS_CERTIFICATES_MAX} certificates in the CMS")
        (signer_info,) = signed_data["signer_infos"]
        ders = [one.chosen.dump() for one in choices if one.name == "certificate"]
        sid = signer_info["sid"]
        if sid.name != "issuer_and_serial_number":
            raise CertificateMalformed("the CMS names its signer by key identifier, not by issuer")
        issuer = sid.chosen["issuer"].dump()
        serial = sid.chosen["serial_number"].native
    except SigningError:
        raise
    except Exception as error:  # a parser of foreign bytes may raise nearly anything
        raise CertificateMalformed(f"the CMS cannot be read: {error}") from error
    parsed = [parse_certificate(der) for der in ders]
    signer = [one for one in parsed if one.serial == serial and one.issuer_name == issuer]
    if len(signer) != 1:
        raise CertificateMalformed("the CMS does not hold its signer's certificate exactly once")
    return signer[0], [one for one in parsed if one is not signer[0]]


def check_signature(signed_data: cms.SignedData, leaf: Certificate, content_type: str, digest: bytes) -> None:
    """The CMS signature over `digest` of the content: RFC 5652 section 5.4 with signed attributes,
    which must name `content_type`, hold the digest, and, where they name a certificate, name
    this one.

    Raises `SignatureInvalid` or `AlgorithmRefused`.
    """
    signer_info = signed_data["signer_infos"][0]
    _check_algorithms(signer_info)
    check_key(leaf.public_key)
    try:
        if signer_info["signed_attrs"] is core.VOID or not len(signer_info["signed_attrs"]):
            raise SignatureInvalid("the CMS signature has no signed attributes")
        certificate = asn1_x509.Certificate.load(leaf.der)
        intact, valid = validate_sig_integrity(signer_info, certificate, content_type, digest)
    except SigningError:
        raise
    except (UnsupportedAlgorithm, AssertionError, TypeError) as error:
        raise AlgorithmRefused("the CMS signature algorithm does not fit the key") from error
    except Exception as error:  # as above
        raise SignatureInvalid(f"the CMS signature cannot be verified: {error}") from error
    if not intact:
        raise SignatureInvalid("the signed bytes were changed: their digest is another")
    if not valid:
        raise SignatureInvalid("the signature value does not verify under the certificate's key")


def _check_algorithms(signer_info: cms.SignerInfo) -> None:
    try:
        algorithm = signer_info["signature_algorithm"]
        try:
            scheme = algorithm.signature_algo
        except ValueError:
            scheme = algorithm["algorithm"].native
        digest = signer_info["digest_algorithm"]["algorithm"].native
        used = {digest}
        if scheme == "rsassa_pss":
            parameters = algorithm["parameters"]
            used |= {
                parameters["hash_algorithm"]["algorithm"].native,
                parameters["mask_gen_algorithm"]["parameters"]["algorithm"].native,
            }
        elif algorithm["algorithm"].native not in ("rsassa_pkcs1v15", "ed25519"):
            used.add(algorithm.hash_algo)
    except (ValueError, TypeError, KeyError) as error:
        raise AlgorithmRefused(f"the CMS names an unknown algorithm: {error}") from error
    if scheme not in _SCHEMES or not used <= HASHES:
        shown = ", ".join(sorted(str(one) for one in used))
        raise AlgorithmRefused(f"CMS signature algorithm {scheme} with {shown} is not accepted")


def digest_of(name: str, data: bytes) -> bytes:
    """The digest of `data` by a hash of the closed list. Raises `AlgorithmRefused`."""
    if name not in HASHES:
        raise AlgorithmRefused(f"digest algorithm {name} is not accepted")
    return hashlib.new(name, data).digest()
