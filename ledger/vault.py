"""Keys and the sealing of parts: AES-256-GCM, or SM4-GCM, under keys that are wrapped by one key.

The key-encryption key (KEK) comes from the operator and is never stored; another one may take its
place (ledger/rewrap.py). It wraps the part keys: one for each registry, one for each application, so
that an application's evidence can be erased by destroying one key. Each sealed value is bound by its
additional data (AAD) to its place; moved elsewhere it does not open. Nothing is compressed, nothing is
cached here.

A part key of 32 bytes is for AES-256-GCM, one of 16 for SM4-GCM (GB/T 32907, RFC 8998): nothing else has to be
stored to know. The KEK and what it wraps are AES-256-GCM always.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import SM4
from cryptography.hazmat.primitives.ciphers.modes import GCM

from ledger.errors import SealBrokenError, WrongKeyError

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
SM4_KEY_BYTES: Final = 16
_CHECK_TEXT: Final = b"diya-kek-check/v1"
_SUBJECTS_LABEL: Final = b"diya-subjects/v1"


class PartCipher(StrEnum):
    """What the parts of a registry are sealed with, by the names that settings use."""

    AES_256_GCM = "AES-256-GCM"
    SM4_GCM = "SM4-GCM"


class _SM4GCM:
    """SM4-GCM with the face of `AESGCM`."""

    __slots__ = ("_algorithm",)

    def __init__(self, key: bytes) -> None:
        self._algorithm = SM4(key)

    def encrypt(self, nonce: bytes, data: bytes, aad: bytes) -> bytes:
        context = Cipher(self._algorithm, GCM(nonce)).encryptor()
        context.authenticate_additional_data(aad)
        return context.update(data) + context.finalize() + context.tag

    def decrypt(self, nonce: bytes, data: bytes, aad: bytes) -> bytes:
        context = Cipher(self._algorithm, GCM(nonce, data[-TAG_BYTES:])).decryptor()
        context.authenticate_additional_data(aad)
        return context.update(data[:-TAG_BYTES]) + context.finalize()


class PartKey:
    """An unwrapped key, ready to seal and open parts. Safe to share between threads.

    Nonces are 96 random bits: NIST SP 800-38D allows 2**32 seals under one such key.
    """

    __slots__ = ("_cipher", "_random_bytes")

    def __init__(self, key: bytes, random_bytes: Callable[[int], bytes] = os.urandom) -> None:
        """Take the `key`, 32 bytes for AES-256-GCM or 16 for SM4-GCM, and the source of nonces."""
        if len(key) not in (KEY_BYTES, SM4_KEY_BYTES):
            message = f"a key has {KEY_BYTES} or {SM4_KEY_BYTES} bytes, not {len(key)}"
            raise ValueError(message)
        self._cipher = AESGCM(key) if len(key) == KEY_BYTES else _SM4GCM(key)
        self._random_bytes = random_bytes

    def seal(self, aad: bytes, plaintext: bytes) -> bytes:
        """Return nonce (12 bytes) || ciphertext || tag (16 bytes)."""
        nonce = self._random_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plaintext, aad)

    def open(self, aad: bytes, sealed: bytes) -> bytes:
        """Return the plaintext of what `seal` made with the same `aad`, else SealBrokenError."""
        if len(sealed) < NONCE_BYTES + TAG_BYTES:
            raise SealBrokenError("a sealed value")
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], aad)
        except InvalidTag as error:
            raise SealBrokenError("a sealed value") from error


class Vault:
    """Makes, wraps and unwraps keys under one key-encryption key."""

    __slots__ = ("_kek", "_random_bytes", "_subjects")

    def __init__(self, secret: bytes, random_bytes: Callable[[int], bytes] = os.urandom) -> None:
        """Take the operator's secret and the source of keys and nonces.

        The secret is the 32-byte KEK; once that has been replaced (`renewed`), the new KEK followed by the
        32 bytes that subjects are hashed with, which stay: the ledger holds such hashes for ever.
        `random_bytes` is replaced in tests only: a repeated nonce gives the contents away.
        Raises ValueError for a secret of another length.
        """
        kek, subjects = secret[:KEY_BYTES], secret[KEY_BYTES:]
        if len(secret) not in (KEY_BYTES, 2 * KEY_BYTES):
            message = f"a secret has {KEY_BYTES} or {2 * KEY_BYTES} bytes, not {len(secret)}"
            raise ValueError(message)
        self._kek = PartKey(kek, random_bytes)
        self._subjects = subjects or hmac.digest(kek, _SUBJECTS_LABEL, "sha256")
        self._random_bytes = random_bytes

    def renewed(self) -> bytes:
        """Return a secret to take this one's place: another KEK, the same hashes of subjects."""
        return self._random_bytes(KEY_BYTES) + self._subjects

    def subject(self, registry: str, kind: str, value: str) -> str:
        """Return a keyed hash (hex) of what must be found again and not be read: the same for the same value.

        Without the KEK nobody can try values until one fits.
        """
        message = b"%b\n%b\n%b" % (registry.encode(), kind.encode(), value.encode())
        return hmac.digest(self._subjects, message, "sha256").hex()

    def new_key(self, cipher: PartCipher = PartCipher.AES_256_GCM) -> bytes:
        """Return a fresh part key for `cipher`: 32 bytes, or 16 for SM4."""
        return self._random_bytes(SM4_KEY_BYTES if cipher is PartCipher.SM4_GCM else KEY_BYTES)

    def wrap(self, key: bytes, aad: bytes) -> bytes:
        """Return `key` sealed under the KEK, 28 bytes more than it has, bound to `aad`."""
        return self._kek.seal(aad, key)

    def unwrap(self, wrapped: bytes, aad: bytes) -> bytes:
        """Return the key that `wrap` sealed with the same `aad`, else SealBrokenError."""
        return self._kek.open(aad, wrapped)

    def part_key(self, key: bytes) -> PartKey:
        """Return `key` ready for use, drawing nonces from this vault's source."""
        return PartKey(key, self._random_bytes)

    def seal(self, key: bytes, aad: bytes, plaintext: bytes) -> bytes:
        """Return `plaintext` sealed under `key`: nonce || ciphertext || tag."""
        return self.part_key(key).seal(aad, plaintext)

    def open(self, key: bytes, aad: bytes, sealed: bytes) -> bytes:
        """Return the plaintext of `seal` with the same key and `aad`, else SealBrokenError."""
        return self.part_key(key).open(aad, sealed)

    def check_value(self, registry: str) -> bytes:
        """Return what to store when a ledger is created, so that a wrong KEK is noticed later."""
        return self._kek.seal(_check_aad(registry), _CHECK_TEXT)

    def verify_check_value(self, registry: str, value: bytes) -> None:
        """Raise WrongKeyError unless `value` was made by `check_value` under this KEK."""
        try:
            text = self._kek.open(_check_aad(registry), value)
        except SealBrokenError as error:
            raise WrongKeyError(registry) from error
        if text != _CHECK_TEXT:
            raise WrongKeyError(registry)


def part_aad(registry: str, index: int, name: str) -> bytes:
    """Return the AAD of a part: registry, entry index and part name, one a line."""
    return f"diya-part/v1\n{registry}\n{index}\n{name}\n".encode()


def key_aad(registry: str, key_id: str, created_index: int) -> bytes:
    """Return the AAD of a wrapped key: registry, key id and the index of its first use."""
    return f"diya-key/v1\n{registry}\n{key_id}\n{created_index}\n".encode()


def _check_aad(registry: str) -> bytes:
    return b"diya-kek/v1\n%b\n" % registry.encode()
