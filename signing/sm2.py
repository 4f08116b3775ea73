"""SM2 keys and signatures with SM3, by tongsuopy: the optional extra `sm`.

SM2 (GB/T 32918.2, curve of GB/T 32918.5) hashes with SM3 (GB/T 32905) over Z_A ‖ message, where Z_A binds the
signer's user id, curve and key. The id is always the default of GB/T 35276, `1234567812345678`: a signature
made under another id does not verify here. Signature values are DER `SEQUENCE { r INTEGER, s INTEGER }` (GB/T
35276 section 7.3).

A public key travels as one fixed form, `id-ecPublicKey` with the curve's OID and an uncompressed point (GM/T
0015, RFC 5480), 91 bytes of which only the point differs. Everything else (explicit parameters, compressed or
hybrid points, the curve's OID as algorithm) is refused before any library reads it.

Without the extra keys can still be read, compared and named; whoever wants to sign or verify with one gets
`AlgorithmUnavailable`, which says how to install it.
"""

from __future__ import annotations

from typing import Any, Final

from cryptography.exceptions import InvalidSignature

from signing.errors import AlgorithmUnavailable

try:
    from tongsuopy.crypto import hashes as _hashes
    from tongsuopy.crypto import serialization as _serialization
    from tongsuopy.crypto.asymciphers import ec as _ec
    from tongsuopy.crypto.exceptions import InternalError as _InternalError
    from tongsuopy.crypto.exceptions import InvalidSignature as _InvalidSignature
except ImportError:
    AVAILABLE = False
else:
    AVAILABLE = True
    _SM2_WITH_SM3 = _ec.ECDSA(_hashes.SM3())
    """The library's way to say SM2: on an SM2 key "ECDSA" is GB/T 32918.2 with the default user id."""

CURVE_OID: Final = "1.2.156.10197.1.301"
SM2_WITH_SM3_OID: Final = "1.2.156.10197.1.501"
USER_ID: Final = b"1234567812345678"

NOT_INSTALLED: Final = (
    "SM2 is not installed here: whoever runs this installs it by pip install 'diya[sm]'; "
    "until then sign with a key of another kind"
)
NOT_INSTALLED_ZH: Final = (
    "此处未安装国密算法 SM2：请运行方执行 pip install 'diya[sm]' 安装，此前请改用其他类型的密钥"
)

_SPKI_PREFIX: Final = bytes.fromhex("3059301306072a8648ce3d020106082a811ccf5501822d034200")
_UNCOMPRESSED: Final = 0x04
_SPKI_BYTES: Final = 91


def require() -> None:
    """Raise `AlgorithmUnavailable` where the extra is not installed."""
    if not AVAILABLE:
        raise AlgorithmUnavailable(NOT_INSTALLED, NOT_INSTALLED_ZH)


class SM2PublicKey:
    """A point of the SM2 curve. spki: the DER SubjectPublicKeyInfo, always 91 bytes."""

    __slots__ = ("_native", "spki")

    def __init__(self, spki: bytes) -> None:
        """Raises `ValueError` for another form than that of this module's head, or a point that is not on the
        curve.
        """
        if len(spki) != _SPKI_BYTES or not spki.startswith(_SPKI_PREFIX):
            raise ValueError("an SM2 key must be id-ecPublicKey on the named curve")
        if spki[len(_SPKI_PREFIX)] != _UNCOMPRESSED:
            raise ValueError("the point of an SM2 key must be uncompressed")
        self.spki = spki
        self._native: Any = None
        if AVAILABLE:
            try:
                self._native = _serialization.load_der_public_key(spki)
            except (_InternalError, ValueError) as error:
                raise ValueError("the point of an SM2 key is not on the curve") from error

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SM2PublicKey) and self.spki == other.spki

    def __hash__(self) -> int:
        return hash(self.spki)

    @property
    def point(self) -> bytes:
        """The uncompressed point, 65 bytes: 0x04, x, y."""
        return self.spki[len(_SPKI_PREFIX) :]

    def verify(self, signature: bytes, message: bytes) -> None:
        """Return if the signature over the whole message holds under the default user id.

        Raises `InvalidSignature` (of `cryptography`, as the other keys do), also for DER that is not the
        shortest; `AlgorithmUnavailable` without the extra.
        """
        if self._native is None:
            require()
        try:
            self._native.verify(signature, message, _SM2_WITH_SM3)
        except (_InvalidSignature, _InternalError) as error:
            # The library calls what is not DER an internal error.
            raise InvalidSignature from error


class SM2PrivateKey:
    """A private key in memory. Without the extra there is none: both ways to get one raise
    `AlgorithmUnavailable`.
    """

    __slots__ = ("_native", "_public")

    def __init__(self, native: Any) -> None:
        """native: the library's key; `generate` and `load_pem` give it."""
        self._native = native
        self._public = SM2PublicKey(
            native.public_key().public_bytes(
                _serialization.Encoding.DER, _serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )

    @classmethod
    def generate(cls) -> SM2PrivateKey:
        """A new key from the library's random source."""
        require()
        return cls(_ec.generate_private_key(_ec.SM2()))

    @classmethod
    def load_pem(cls, pem: bytes, password: bytes | None) -> SM2PrivateKey:
        """From PEM as `openssl genpkey -algorithm SM2` writes it, encrypted if `password` is given.

        Raises `ValueError` or `TypeError` as the loader of `cryptography` does.
        """
        require()
        native = _serialization.load_pem_private_key(pem, password)
        if not isinstance(native, _ec.EllipticCurvePrivateKey):
            raise ValueError("not an SM2 key")
        return cls(native)

    def public_key(self) -> SM2PublicKey:
        return self._public

    def sign(self, message: bytes) -> bytes:
        """The signature value over the whole message, DER."""
        return bytes(self._native.sign(message, _SM2_WITH_SM3))

    def pkcs8_pem(self, password: bytes | None = None) -> bytes:
        """PEM PKCS#8, encrypted (PBES2 with SM4-CBC) if a password is given."""
        encryption = (
            _serialization.NoEncryption()
            if password is None
            else _serialization.BestAvailableEncryption(password)
        )
        return bytes(
            self._native.private_bytes(
                _serialization.Encoding.PEM, _serialization.PrivateFormat.PKCS8, encryption
            )
        )
