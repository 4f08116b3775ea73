"""The closed list of algorithms: each verifies what it signs, and no key is used with another's."""

from __future__ import annotations

import itertools

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from signing.algorithms import (
    Algorithm,
    check_key,
    default_algorithm,
    parse_algorithm,
    sign_raw,
    verify_signature,
)
from signing.errors import AlgorithmRefused, AlgorithmUnknown, SignatureInvalid
from signing.pki import KeyKind, make_key
from tests.support.pki import key_of, rsa_key

MESSAGE = b"message"


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_signature_of_each_algorithm_verifies_and_breaks(algorithm: Algorithm) -> None:
    """What was signed verifies; another message, value or key does not."""
    key = key_of(algorithm)
    value = sign_raw(key, algorithm, MESSAGE)
    verify_signature(key.public_key(), algorithm, value, MESSAGE)
    for bad_value, message in ((value, b"other"), (value[:-1], MESSAGE), (b"", MESSAGE)):
        with pytest.raises(SignatureInvalid):
            verify_signature(key.public_key(), algorithm, bad_value, message)


@pytest.mark.parametrize(("algorithm", "other"), list(itertools.permutations(list(Algorithm), 2)))
def test_key_of_another_kind_is_refused(algorithm: Algorithm, other: Algorithm) -> None:
    """The name never overrules the key."""
    key = key_of(other)
    if isinstance(key, rsa.RSAPrivateKey) and algorithm.value.startswith("RSA"):
        value = sign_raw(key, other, MESSAGE)
        with pytest.raises(SignatureInvalid):
            verify_signature(key.public_key(), algorithm, value, MESSAGE)
        return
    with pytest.raises(AlgorithmRefused):
        verify_signature(key.public_key(), algorithm, b"x" * 64, MESSAGE)
    with pytest.raises(AlgorithmRefused):
        sign_raw(key, algorithm, MESSAGE)


@pytest.mark.parametrize("kind", [KeyKind.P521, KeyKind.RSA_1024])
def test_weak_or_foreign_key_is_refused_before_verification(kind: KeyKind) -> None:
    """A short modulus and another curve are refused by every entry."""
    key = rsa_key(1024) if kind is KeyKind.RSA_1024 else make_key(kind)
    algorithm = Algorithm.RSA_PKCS1_SHA256 if kind is KeyKind.RSA_1024 else Algorithm.ECDSA_P256_SHA256
    with pytest.raises(AlgorithmRefused):
        check_key(key.public_key())
    with pytest.raises(AlgorithmRefused):
        default_algorithm(key.public_key())
    with pytest.raises(AlgorithmRefused):
        verify_signature(key.public_key(), algorithm, b"x" * 128, MESSAGE)
    with pytest.raises(AlgorithmRefused):
        sign_raw(key, algorithm, MESSAGE)


def test_rsa_key_with_a_small_exponent_is_refused() -> None:
    """FIPS 186-5 asks for an exponent above 2^16: small ones invite forgeries of careless
    padding.
    """
    numbers = rsa_key().public_key().public_numbers()
    for exponent in (3, 17, 2**64 + 13):
        with pytest.raises(AlgorithmRefused):
            check_key(rsa.RSAPublicNumbers(exponent, numbers.n).public_key())


def test_keys_that_are_no_keys_are_refused() -> None:
    """A key that could not be loaded (an unknown curve) signs nothing."""
    for thing in (None, "key", object()):
        with pytest.raises(AlgorithmRefused):
            check_key(thing)


def test_default_algorithm_follows_the_key() -> None:
    """PSS for RSA, as RFC 8017 recommends."""
    for algorithm in set(Algorithm) - {Algorithm.RSA_PKCS1_SHA256}:
        assert default_algorithm(key_of(algorithm).public_key()) is algorithm


def test_algorithm_name_is_exact() -> None:
    """Names are compared as they are written, and the refusal lists those that exist."""
    assert parse_algorithm("ED25519") is Algorithm.ED25519
    with pytest.raises(AlgorithmUnknown, match="ECDSA_P256_SHA256"):
        parse_algorithm("ed25519")
