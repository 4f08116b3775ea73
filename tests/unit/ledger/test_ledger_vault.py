"""Vault: what is sealed opens only at its place, with its key."""

from __future__ import annotations

import pytest

from ledger.errors import SealBrokenError, WrongKeyError
from ledger.vault import PartCipher, PartKey, Vault, key_aad, part_aad
from tests.support.ledger_database import KEK, counting_bytes


@pytest.mark.parametrize("cipher", list(PartCipher))
def test_open_same_key_and_place_returns_plaintext(cipher: PartCipher) -> None:
    """Sealing and opening are inverse; two seals of one text differ."""
    vault = Vault(KEK)
    key = vault.new_key(cipher)
    aad = part_aad("r1", 3, "evidence")
    sealed = vault.seal(key, aad, b"content")
    assert vault.open(key, aad, sealed) == b"content"
    assert vault.seal(key, aad, b"content") != sealed
    assert len(sealed) == 12 + len(b"content") + 16


@pytest.mark.parametrize(
    "aad", [part_aad("r2", 3, "evidence"), part_aad("r1", 4, "evidence"), part_aad("r1", 3, "x")]
)
def test_open_at_other_place_is_refused(aad: bytes) -> None:
    """A sealed part moved to another registry, entry or name does not open."""
    vault = Vault(KEK, counting_bytes())
    key = vault.new_key()
    sealed = vault.seal(key, part_aad("r1", 3, "evidence"), b"content")
    with pytest.raises(SealBrokenError):
        vault.open(key, aad, sealed)


@pytest.mark.parametrize("size", [16, 32])
def test_open_every_changed_bit_is_refused(size: int) -> None:
    """No bit of nonce, ciphertext or tag can be changed unnoticed, nor the value cut."""
    key = PartKey(bytes(size))
    sealed = key.seal(b"aad", b"content")
    for at in range(len(sealed)):
        with pytest.raises(SealBrokenError):
            key.open(b"aad", sealed[:at] + bytes([sealed[at] ^ 128]) + sealed[at + 1 :])
        with pytest.raises(SealBrokenError):
            key.open(b"aad", sealed[:at])


def test_sm4_gcm_is_that_of_rfc_8998() -> None:
    """The example of RFC 8998 appendix A.1, byte for byte."""
    nonce = bytes.fromhex("00001234567800000000abcd")
    key = PartKey(bytes.fromhex("0123456789abcdeffedcba9876543210"), lambda _: nonce)
    plaintext = b"".join(bytes([one]) * 8 for one in (0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF, 0xEE, 0xAA))
    sealed = key.seal(bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2"), plaintext)
    assert sealed == nonce + bytes.fromhex(
        "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735"
        "d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d"
        "83de3541e4c2b58177e065a9bf7b62ec"
    )


def test_key_of_sm4_wraps_shorter_and_is_no_key_encryption_key() -> None:
    """The length tells the cipher of a part key; the operator's secret keeps its length."""
    vault = Vault(KEK)
    key = vault.new_key(PartCipher.SM4_GCM)
    assert len(vault.wrap(key, b"aad")) == 44
    for size in (0, 16, 48):
        with pytest.raises(ValueError, match="bytes"):
            Vault(bytes(size))


def test_unwrap_other_kek_or_place_is_refused() -> None:
    """A wrapped key opens under its KEK and its registry, id and index only."""
    vault = Vault(KEK)
    key = vault.new_key()
    wrapped = vault.wrap(key, key_aad("r1", "k", 0))
    assert vault.unwrap(wrapped, key_aad("r1", "k", 0)) == key
    assert len(wrapped) == 60
    for other in (key_aad("r2", "k", 0), key_aad("r1", "j", 0), key_aad("r1", "k", 1)):
        with pytest.raises(SealBrokenError):
            vault.unwrap(wrapped, other)
    with pytest.raises(SealBrokenError):
        Vault(bytes(32)).unwrap(wrapped, key_aad("r1", "k", 0))


def test_verify_check_value_of_other_kek_or_registry_is_refused() -> None:
    """A wrong key-encryption key is noticed before anything is written with it."""
    value = Vault(KEK).check_value("r1")
    Vault(KEK).verify_check_value("r1", value)
    with pytest.raises(WrongKeyError):
        Vault(bytes(32)).verify_check_value("r1", value)
    with pytest.raises(WrongKeyError):
        Vault(KEK).verify_check_value("r2", value)


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_vault_kek_of_other_length_is_refused(length: int) -> None:
    """Only 256-bit keys are used."""
    with pytest.raises(ValueError, match="bytes"):
        Vault(bytes(length))
