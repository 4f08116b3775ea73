"""The calls into a PKCS#11 module (OASIS PKCS#11 2.40): the private key stays in the token, we ask for signatures.

Loaded by a token's own process (`token_worker.py`) alone, on its one thread; `tokens.py` is how the others ask.

A token is found by its names at every login, never by its slot, for slots are numbered anew when a reader is plugged.
A login is made once a process and token, and is kept. What fails is tried once more on a session made anew; what fails
again is `SignerUnavailable`, and the next call tries once more. A wrong PIN is different: tokens lock after a few, so
no PIN is tried that failed before, here or, as the token says, anywhere since the last good login.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import pkcs11
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from pkcs11 import MGF, Attribute, KeyType, Mechanism, ObjectClass, TokenFlag
from pkcs11.exceptions import (
    MultipleObjectsReturned,
    NoSuchKey,
    PinIncorrect,
    PinInvalid,
    PinLenRange,
    PinLocked,
    PKCS11Error,
    UserAlreadyLoggedIn,
)

from signing.algorithms import PSS_SALT_BYTES, Algorithm
from signing.errors import PinRefused, SignerUnavailable, SignerUnusable
from signing.key_source import TokenKey
from signing.token_protocol import Work

_ED25519_BYTES: Final = 32
_DER_OCTET_STRING: Final = b"\x04\x20"
_GCM_NONCE_BYTES: Final = 12
_GCM_TAG_BITS: Final = 128

#: What tokens raise where a PIN is not the right one.
_PIN_ERRORS: Final = (PinIncorrect, PinInvalid, PinLenRange, PinLocked)

_KEY_TYPES: Final = {
    Algorithm.ECDSA_P256_SHA256: KeyType.EC,
    Algorithm.ECDSA_P384_SHA384: KeyType.EC,
    Algorithm.RSA_PSS_SHA256: KeyType.RSA,
    Algorithm.RSA_PKCS1_SHA256: KeyType.RSA,
    Algorithm.ED25519: KeyType.EC_EDWARDS,
}


_ECDSA_HASHES: Final = {
    Algorithm.ECDSA_P256_SHA256: hashlib.sha256,
    Algorithm.ECDSA_P384_SHA384: hashlib.sha384,
}


class _Module:
    """A loaded library and its sessions. `generation` counts how often it was initialised anew: what was found in
    an earlier one is void.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.generation = 0
        self.refused: set[bytes] = set()
        self._sessions: dict[tuple[str, ...], Any] = {}

    def renew(self) -> None:
        """Initialise it anew, so that it looks for its tokens again."""
        self._sessions.clear()
        self.generation += 1
        self._library().reinitialize()

    def session(self, key: TokenKey) -> Any:
        """The session with a key's token; logs in where there is none."""
        name = (key.token, key.serial, key.manufacturer, key.model)
        if name not in self._sessions:
            self._sessions[name] = self._login(self._token(key), key)
        return self._sessions[name]

    def _library(self) -> Any:
        if not self.path.exists():
            raise SignerUnusable(f"{self.path}: no such PKCS#11 module")
        try:
            return pkcs11.lib(str(self.path))
        except PKCS11Error as error:
            if "while loading" in str(error):  # of the dynamic linker, which has no class of its own there
                raise SignerUnusable(f"{self.path}: is not a PKCS#11 module") from error
            raise

    def _token(self, key: TokenKey) -> Any:
        wanted = {"label": key.token, "manufacturer_id": key.manufacturer, "model": key.model}
        found = [
            token
            for token in self._library().get_tokens()
            if all(getattr(token, name) == value for name, value in wanted.items() if value)
            and (not key.serial or token.serial.decode(errors="replace").strip("\0 ") == key.serial)
        ]
        if not found:
            raise SignerUnavailable(f"{key.place}: {self.path} shows no such token")
        if len(found) > 1:
            raise SignerUnusable(f"{key.place}: {len(found)} tokens fit; say which by serial=…")
        return found[0]

    def _login(self, token: Any, key: TokenKey) -> Any:
        pin = key.pin.read()
        tried = hashlib.sha256(str(key.place).encode() + b"\0" + pin).digest()
        _check_flags(token, key)
        if tried in self.refused:
            raise PinRefused(
                f"{key.place}: the PIN of {key.pin} was refused and is not tried again: correct it"
            )
        try:
            return token.open(user_pin=pin.decode("utf-8", "surrogateescape"))
        except UserAlreadyLoggedIn:  # by another name of the same token
            return token.open()
        except _PIN_ERRORS as error:
            self.refused.add(tried)
            raise PinRefused(
                f"{key.place}: the token refuses the PIN of {key.pin} ({type(error).__name__}); it was tried once "
                "and is not tried again: correct it there, and log in once by hand"
            ) from error


def _check_flags(token: Any, key: TokenKey) -> None:
    """Raise PinRefused where one more wrong PIN could lock the token."""
    flags = token.flags
    if flags & TokenFlag.USER_PIN_LOCKED:
        raise PinRefused(f"{key.place}: the PIN is locked; the token's security officer has to set a new one")
    if flags & (TokenFlag.USER_PIN_COUNT_LOW | TokenFlag.USER_PIN_FINAL_TRY):
        raise PinRefused(
            f"{key.place}: a wrong PIN was tried on this token since the last good login, so {key.pin} is not tried: "
            f"see that it is right, then log in once by hand (pkcs11-tool --module {key.module} --login --list-objects)"
        )


_modules: dict[Path, _Module] = {}


def _module(path: Path) -> _Module:
    return _modules.setdefault(path, _Module(path))


def done(key: TokenKey, work: Work, algorithm: Algorithm | None, data: bytes) -> bytes:
    """What came of a piece of work. Raises `SignerUnavailable`, `PinRefused`, or `SignerUnusable` where the token has
    no such key, or what is to be opened was not sealed by it.
    """
    found = _object_of(key, algorithm)
    match work:
        case Work.SIGN:
            assert algorithm is not None  # an AES key signs nothing
            made: bytes = found.asked(lambda: _sign(found.found, algorithm, data))
            return made
        case Work.PUBLIC:
            return _public(key, found)
        case Work.SEAL:
            return _seal(found, data)
        case Work.OPEN:
            return _open(found, data)
        case Work.FIND:
            found.asked(lambda: None)
            return b""


def refused(key: TokenKey) -> tuple[bytes, ...]:
    """Digests of the PINs that a token of this module refused."""
    return tuple(sorted(_module(key.module).refused))


def never_try(key: TokenKey, digests: Iterable[bytes]) -> None:
    """Try none of the PINs that were refused, by an earlier process say."""
    _module(key.module).refused.update(digests)


def _public(key: TokenKey, found: _Object) -> bytes:
    point: bytes = found.asked(lambda: bytes(found.find(ObjectClass.PUBLIC_KEY)[Attribute.EC_POINT]))
    point = point.removeprefix(_DER_OCTET_STRING)
    if len(point) != _ED25519_BYTES:
        raise SignerUnusable(f"{key.place}: its public key is not one of Ed25519")
    return point


def _seal(found: _Object, secret: bytes) -> bytes:
    nonce = os.urandom(_GCM_NONCE_BYTES)
    sealed: bytes = found.asked(
        lambda: found.found.encrypt(secret, mechanism=Mechanism.AES_GCM, mechanism_param=_gcm(nonce))
    )
    return nonce + sealed


def _open(found: _Object, sealed: bytes) -> bytes:
    nonce, rest = sealed[:_GCM_NONCE_BYTES], sealed[_GCM_NONCE_BYTES:]
    try:
        secret: bytes = found.asked(
            lambda: found.found.decrypt(rest, mechanism=Mechanism.AES_GCM, mechanism_param=_gcm(nonce))
        )
    except PinRefused:
        raise
    except SignerUnavailable as error:
        # Makers name a wrong tag by whatever error they like: a key that seals is there, and so is not at fault.
        _seal(found, b"?")
        raise SignerUnusable("the token's key did not seal this") from error
    return secret


def _gcm(nonce: bytes) -> pkcs11.GCMParams:
    return pkcs11.GCMParams(nonce, b"", _GCM_TAG_BITS)


class _Object:
    """An object of a token, found again after each login."""

    def __init__(self, source: TokenKey, kind: ObjectClass, key_type: KeyType) -> None:
        self._source = source
        self._kind = kind
        self._key_type = key_type
        self._module = _module(source.module)
        self._generation = -1
        self.found: Any = None

    def asked(self, ask: Callable[[], Any]) -> Any:
        """The answer to `ask`, on a session made anew where the one at hand has failed."""
        try:
            self._be_logged_in()
            return ask()
        except PKCS11Error:
            pass  # lost, gone, or put back: what the token says now counts
        try:
            self._module.renew()
            self._be_logged_in()
            return ask()
        except PKCS11Error as error:
            self.found = None
            raise SignerUnavailable(
                f"{self._source.place}: {type(error).__name__} {error}".rstrip()
            ) from error

    def _be_logged_in(self) -> None:
        if self.found is not None and self._generation == self._module.generation:
            return
        self.found = None
        self._module.session(self._source)
        self._generation = self._module.generation
        self.found = self.find(self._kind)

    def find(self, kind: Any) -> Any:
        """The one object of a kind that fits. Raises `SignerUnusable` where there is none, or several."""
        session = self._module.session(self._source)
        try:
            return session.get_key(
                object_class=kind,
                key_type=self._key_type,
                label=self._source.label or None,
                id=self._source.id or None,
            )
        except NoSuchKey as error:
            what = f"{kind.name} of type {self._key_type.name}"
            raise SignerUnusable(f"{self._source.place}: the token has no such {what}") from error
        except MultipleObjectsReturned as error:
            raise SignerUnusable(f"{self._source.place}: several keys fit; say which by id=…") from error


_objects: dict[tuple[TokenKey, Algorithm | None], _Object] = {}


def _object_of(source: TokenKey, algorithm: Algorithm | None) -> _Object:
    """The private key of an algorithm, or, without one, the AES key."""
    if algorithm is not None and algorithm not in _KEY_TYPES:
        raise SignerUnusable(f"{algorithm.value} cannot be made by a token here: keep that key in PKCS#8")
    found = _objects.get((source, algorithm))
    if found is None:
        kind = ObjectClass.SECRET_KEY if algorithm is None else ObjectClass.PRIVATE_KEY
        key_type = KeyType.AES if algorithm is None else _KEY_TYPES[algorithm]
        found = _objects[source, algorithm] = _Object(source, kind, key_type)
    return found


def _sign(key: Any, algorithm: Algorithm, message: bytes) -> bytes:
    """What a token returns, in the form of `Algorithm`."""
    if algorithm in _ECDSA_HASHES:
        raw = key.sign(_ECDSA_HASHES[algorithm](message).digest(), mechanism=Mechanism.ECDSA)
        half = len(raw) // 2
        return encode_dss_signature(int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big"))
    if algorithm is Algorithm.RSA_PSS_SHA256:
        parameters = (Mechanism.SHA256, MGF.SHA256, PSS_SALT_BYTES)
        return bytes(key.sign(message, mechanism=Mechanism.SHA256_RSA_PKCS_PSS, mechanism_param=parameters))
    if algorithm is Algorithm.RSA_PKCS1_SHA256:
        return bytes(key.sign(message, mechanism=Mechanism.SHA256_RSA_PKCS))
    return bytes(key.sign(message, mechanism=Mechanism.EDDSA))
