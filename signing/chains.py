"""From a leaf certificate to an anchor: path building and validation by pyhanko-certvalidator (RFC
5280 section 6).

This is the only place that knows that library, and there is no second RFC 5280 of our own. Paths
are judged here without revocation and at a time inside the leaf's own validity, so that the result
can be kept: `trust.py` checks validity of every link and revocation again each time, at the time
that is asked about.

The national suite (SM2 with SM3) enters by `SignatureValidator`, given to the validation context below: paths,
lists and answers of both suites by one library. A path keeps to one suite: an SM2 key below an RSA authority, or
the other way round, is refused, so that a signature of the national suite rests on the national suite alone. National
authorities have a tree of their own beside the international one, so nobody is shut out.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Iterator, Sequence
from datetime import datetime
from threading import Lock
from typing import Any, Final, TypeVar

from asn1crypto import algos, keys
from asn1crypto import x509 as asn1_x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pyhanko_certvalidator.authority import CertTrustAnchor, TrustAnchor, TrustQualifiers
from pyhanko_certvalidator.context import ValidationContext
from pyhanko_certvalidator.errors import (
    AlgorithmNotSupported,
    ExpiredError,
    NotYetValidError,
    PathBuildingError,
    PSSParameterMismatch,
    ValidationError,
)
from pyhanko_certvalidator.name_trees import (
    PKIXSubtrees,
    default_excluded_subtrees,
    default_permitted_subtrees,
    process_general_subtrees,
)
from pyhanko_certvalidator.path import ValidationPath
from pyhanko_certvalidator.policy_decl import (
    NO_REVOCATION,
    AlgorithmUsageConstraint,
    AlgorithmUsagePolicy,
    CertRevTrustPolicy,
    PKIXValidationParams,
)
from pyhanko_certvalidator.registry import CertificateRegistry, TrustManager
from pyhanko_certvalidator.sig_validate import (
    DEFAULT_VALIDATION_CONTEXT,
    DefaultSignatureValidator,
    SignatureValidationContext,
)
from pyhanko_certvalidator.validate import async_validate_path

from signing.certificates import Certificate, parse_certificate
from signing.errors import (
    AlgorithmRefused,
    CertificateChainInvalid,
    CertificateExpired,
    CertificateNotYetValid,
    CertificateUnknownIssuer,
    SignatureInvalid,
    SigningError,
)
from signing.sm2 import SM2_WITH_SM3_OID, SM2PublicKey

PATHS_TRIED_MAX: Final = 8
"""Cross-signed loops can offer many candidate paths: a limit, so that a certificate cannot be a
load.
"""
PATH_CERTIFICATES_MAX: Final = 6
SEARCH_STEPS_MAX: Final = 64
"""How many certificates a search may look for issuers of, over all its paths. Authorities of one name that vouch for
each other offer n! ways, and a search that reaches no anchor would go them all: it yields no path to count.
"""

_HASHES: Final = frozenset({"sha256", "sha384", "sha512"})
_SCHEMES: Final = frozenset({"rsassa_pkcs1v15", "rsassa_pss", "ecdsa", "ed25519"})
_CA_RSA_BITS_MIN: Final = 2048
_CA_RSA_BITS_MAX: Final = 8192
_CA_CURVES: Final = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)

_Result = TypeVar("_Result")


class _ClosedListPolicy(AlgorithmUsagePolicy):
    """What a certificate may be signed with: a closed list, whatever the time."""

    def digest_algorithm_allowed(
        self, algo: algos.DigestAlgorithm, moment: datetime | None
    ) -> AlgorithmUsageConstraint:
        return AlgorithmUsageConstraint(algo["algorithm"].native in _HASHES)

    def signature_algorithm_allowed(
        self,
        algo: algos.SignedDigestAlgorithm,
        moment: datetime | None,
        public_key: keys.PublicKeyInfo | None,
    ) -> AlgorithmUsageConstraint:
        if algo["algorithm"].dotted == SM2_WITH_SM3_OID:
            return AlgorithmUsageConstraint(True)
        try:
            scheme = algo.signature_algo
            allowed = scheme in _SCHEMES and (scheme == "ed25519" or algo.hash_algo in _HASHES)
        except ValueError:
            allowed = False
        return AlgorithmUsageConstraint(allowed)


class SignatureValidator(DefaultSignatureValidator):
    """How the library verifies the signature of a certificate, a list or an answer: as it does anyway, and SM2 by
    our key. Raises `AlgorithmUnavailable` for SM2 without its extra.
    """

    def validate_signature(
        self,
        signature: bytes,
        signed_data: bytes,
        public_key_info: keys.PublicKeyInfo,
        signature_algorithm: algos.SignedDigestAlgorithm,
        context: SignatureValidationContext = DEFAULT_VALIDATION_CONTEXT,
    ) -> None:
        if signature_algorithm["algorithm"].dotted == SM2_WITH_SM3_OID:
            SM2PublicKey(public_key_info.dump()).verify(signature, signed_data)
        else:
            super().validate_signature(signature, signed_data, public_key_info, signature_algorithm, context)


class _BoundedRegistry(CertificateRegistry):
    """The candidates of one search, which ends after `SEARCH_STEPS_MAX` steps without a path."""

    def __init__(self) -> None:
        super().__init__()
        self._steps = 0

    def find_potential_issuers(
        self, cert: asn1_x509.Certificate, trust_manager: TrustManager
    ) -> Iterator[TrustAnchor | asn1_x509.Certificate]:
        self._steps += 1
        if self._steps > SEARCH_STEPS_MAX:
            raise PathBuildingError(f"no path within {SEARCH_STEPS_MAX} steps")
        return super().find_potential_issuers(cert, trust_manager)


class Authorities:
    """The authorities of a trust store as the library wants them, each read once: preparing their names is most of a
    search. `lock` is held while one searches: what that library reads lazily, two threads must not read at once.
    """

    def __init__(self, certificates: Iterable[Certificate] = ()) -> None:
        self.lock = Lock()
        self._read: dict[Certificate, asn1_x509.Certificate | None] = dict.fromkeys(certificates)

    def read(self, certificate: Certificate) -> asn1_x509.Certificate:
        """The certificate as kept; a stranger's is read anew and not kept."""
        kept = self._read.get(certificate)
        if kept is None:
            kept = _asn1(certificate)
            if certificate in self._read:
                self._read[certificate] = kept
        return kept


_POLICY: Final = _ClosedListPolicy()
_SIGNATURES: Final = SignatureValidator()
_NO_REVOCATION_HERE: Final = CertRevTrustPolicy(NO_REVOCATION)


def find_chain(
    leaf: Certificate,
    extra: Sequence[Certificate],
    anchors: Sequence[Certificate],
    at: datetime,
    known: Authorities | None = None,
) -> tuple[Certificate, ...]:
    """The first valid path, leaf first and anchor last.

    extra: candidate intermediates in any order, trusted for nothing by being here. at: judged at
    this time; the leaf itself must be valid then. known: whose reading is kept from search to search.

    Raises `CertificateUnknownIssuer` (no path), `CertificateChainInvalid` (paths, none valid),
    `CertificateExpired` or `CertificateNotYetValid` (of an intermediate).
    """
    known = known or Authorities()
    try:
        with known.lock:
            chain = _search(leaf, extra, anchors, at, known)
    except PathBuildingError as error:
        raise CertificateUnknownIssuer(
            f"certificate of {leaf.subject!r} (issuer {leaf.issuer!r}) leads to no anchor of this purpose",
            fingerprint=leaf.fingerprint,
        ) from error
    except ExpiredError as error:
        raise CertificateExpired(str(error), fingerprint=leaf.fingerprint) from error
    except NotYetValidError as error:
        raise CertificateNotYetValid(str(error), fingerprint=leaf.fingerprint) from error
    except (
        ValidationError,
        ValueError,
        TypeError,
        KeyError,
        NotImplementedError,
        UnsupportedAlgorithm,
    ) as error:
        # asn1crypto parses lazily and raises ValueError or TypeError where a certificate is
        # malformed inside; the library raises NotImplementedError for constraints on kinds of names that
        # it does not compare (addresses).
        raise CertificateChainInvalid(
            f"certificate of {leaf.subject!r}: {error}", fingerprint=leaf.fingerprint
        ) from error
    for link in chain[1:]:
        _check_authority_key(link)
    if len({isinstance(link.public_key, SM2PublicKey) for link in chain}) != 1:
        raise CertificateChainInvalid(
            f"the path of {leaf.subject!r} mixes SM2 keys with others: a path keeps to one suite",
            fingerprint=leaf.fingerprint,
        )
    return chain


def _search(
    leaf: Certificate,
    extra: Sequence[Certificate],
    anchors: Sequence[Certificate],
    at: datetime,
    known: Authorities,
) -> tuple[Certificate, ...]:
    candidates = _BoundedRegistry()
    candidates.register_multiple(known.read(one) for one in extra if one.is_ca)
    context = ValidationContext(
        trust_roots=[_anchor(known.read(one)) for one in anchors],
        certificate_registry=candidates,
        moment=at,
        allow_fetching=False,
        revinfo_policy=_NO_REVOCATION_HERE,
        algorithm_usage_policy=_POLICY,
        signature_validator=_SIGNATURES,
    )
    path = _finish(_first_valid(context, _asn1(leaf)))
    return tuple(parse_certificate(one.dump()) for one in reversed(list(path.iter_certs(include_root=True))))


def check_authority_signature(
    signer: Certificate, algorithm: algos.SignedDigestAlgorithm, signature: bytes, data: bytes
) -> None:
    """What an authority, or its delegate, signed beside certificates, by the same closed list of algorithms.

    Raises `SignatureInvalid` or `AlgorithmRefused`.
    """
    key = _asn1(signer)["tbs_certificate"]["subject_public_key_info"]
    if not _POLICY.signature_algorithm_allowed(algorithm, None, key).allowed:
        raise AlgorithmRefused(f"signature algorithm {algorithm['algorithm'].native} is not accepted")
    try:
        _SIGNATURES.validate_signature(signature, data, key, algorithm)
    except (InvalidSignature, PSSParameterMismatch) as error:
        raise SignatureInvalid(f"no signature by the key of {signer.subject!r}") from error
    except (AlgorithmNotSupported, UnsupportedAlgorithm, AssertionError, ValueError, TypeError) as error:
        raise AlgorithmRefused(f"the signature does not fit the key of {signer.subject!r}") from error


async def _first_valid(context: ValidationContext, leaf: asn1_x509.Certificate) -> ValidationPath:
    failure: Exception | None = None
    paths = context.path_builder.async_build_paths_lazy(leaf)
    tried = 0
    try:
        async for path in paths:
            tried += 1
            if path.pkix_len >= PATH_CERTIFICATES_MAX:
                failure = failure or ValidationError(f"the path is longer than {PATH_CERTIFICATES_MAX}")
            else:
                try:
                    await async_validate_path(context, path)
                    return path
                except ValidationError as error:
                    failure = failure or error
            if tried >= PATHS_TRIED_MAX:
                break
    finally:
        await paths.cancel()  # type: ignore[no-untyped-call]
    raise failure or PathBuildingError("no path")


def _finish(coroutine: Coroutine[Any, Any, _Result]) -> _Result:
    """Run a coroutine that never waits: with fetching off the library awaits nothing but itself.

    So a chain can be checked inside a running event loop and in a worker thread alike.
    """
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: _Result = stop.value
        return result
    coroutine.close()
    raise SigningError("path validation tried to wait for something, which it may not")


def _asn1(certificate: Certificate) -> asn1_x509.Certificate:
    return asn1_x509.Certificate.load(certificate.der, strict=True)


def _anchor(certificate: asn1_x509.Certificate) -> CertTrustAnchor:
    """The anchor with what its own certificate forbids below it: names and depth (RFC 5937), though RFC 5280 reads
    no more of an anchor than its name and key. Its policies stay unread: many roots list some that no leaf has.
    """
    constraints = certificate.name_constraints_value
    permitted, excluded = default_permitted_subtrees(), default_excluded_subtrees()  # each name, and none
    if constraints is not None:
        permitted |= _subtrees(constraints["permitted_subtrees"])
        excluded |= _subtrees(constraints["excluded_subtrees"])
    return CertTrustAnchor(
        certificate,
        TrustQualifiers(
            standard_parameters=PKIXValidationParams(
                initial_permitted_subtrees=permitted, initial_excluded_subtrees=excluded
            ),
            max_path_length=certificate.max_path_length,
        ),
    )


def _subtrees(stated: object) -> PKIXSubtrees:
    return process_general_subtrees(stated) if isinstance(stated, asn1_x509.GeneralSubtrees) else {}


def _check_authority_key(link: Certificate) -> None:
    key = link.public_key
    strong = (
        (isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _CA_CURVES))
        or (isinstance(key, rsa.RSAPublicKey) and _CA_RSA_BITS_MIN <= key.key_size <= _CA_RSA_BITS_MAX)
        or isinstance(key, Ed25519PublicKey | SM2PublicKey)
    )
    if not strong:
        raise CertificateChainInvalid(
            f"the key of the issuing authority {link.subject!r} is of a kind or size that is not accepted",
            fingerprint=link.fingerprint,
        )
