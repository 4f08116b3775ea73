"""Every way in which this package refuses something.

One root, `SigningError`. Each leaf class has a constant `reason` (UPPER_SNAKE, what a caller's
program reads), a Chinese sentence `zh` beside the English message (both are shown to banks), and
typed attributes. Errors of the libraries below never leave their adapter: they are translated on
the line where the library is called.
"""

# a name says what is wrong; that it is an error shows in its base

from __future__ import annotations

from datetime import datetime
from typing import ClassVar


class SigningError(Exception):
    """Root of the package's errors.

    `signature_index` is set by `verify_envelope`: which of the envelope's signatures the error is
    about, from 0.
    """

    reason: ClassVar[str] = "SIGNING_ERROR"
    zh: str = "签名处理失败"

    def __init__(self, message: str, zh: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.signature_index: int | None = None
        if zh is not None:
            self.zh = zh


class EnvelopeMalformed(SigningError):
    """The envelope breaks a rule of its shape or exceeds a limit; nothing was verified."""

    reason = "ENVELOPE_MALFORMED"
    zh = "签名信封格式错误"


class AlgorithmUnknown(SigningError):
    """The algorithm's name is not in the closed list of `Algorithm`."""

    reason = "ALGORITHM_UNKNOWN"
    zh = "签名算法不在允许的名单内"


class AlgorithmUnavailable(SigningError):
    """An algorithm of the closed list that this installation cannot compute: an optional part is missing."""

    reason = "ALGORITHM_UNAVAILABLE"
    zh = "本系统未安装该签名算法"


class AlgorithmRefused(SigningError):
    """A known algorithm with a key that it may not be used with: too short, another curve, another
    kind.
    """

    reason = "ALGORITHM_REFUSED"
    zh = "密钥与签名算法不符或强度不足"


class SignatureInvalid(SigningError):
    """The signature value does not verify under the certificate's key over the signed bytes."""

    reason = "SIGNATURE_INVALID"
    zh = "签名无效"


class ContentChanged(SignatureInvalid):
    """The signed digest is that of other bytes than the content: what was signed was changed, or is another file."""

    reason = "SIGNED_CONTENT_CHANGED"
    zh = "被签名的内容已改动，或并非所给文件"


class SignatureMalformed(SigningError):
    """A CMS or GB/T 35275 structure is not the one encoding that is accepted, or exceeds a limit."""

    reason = "SIGNATURE_MALFORMED"
    zh = "签名数据格式错误或超过限制"


class SignatureDuplicate(SigningError):
    """The same key signed an envelope twice: one signer must not count as two."""

    reason = "SIGNATURE_DUPLICATE"
    zh = "同一密钥重复签名"


class KeyIdMismatch(SigningError):
    """The key id of a signature is not that of the certificate that travels with it."""

    reason = "KEY_ID_MISMATCH"
    zh = "密钥标识与证书不符"


class CertificateRefused(SigningError):
    """A certificate does not hold for this purpose at this time. Leaf classes say which check
    failed.

    `fingerprint` is the lower-case hex SHA-256 of the refused certificate's DER, empty where it
    could not be parsed.
    """

    reason = "CERTIFICATE_REFUSED"
    zh = "证书不被接受"

    def __init__(self, message: str, zh: str | None = None, *, fingerprint: str = "") -> None:
        super().__init__(message, zh)
        self.fingerprint = fingerprint


class CertificateMalformed(CertificateRefused):
    """Not one DER X.509 certificate, or larger than the limit."""

    reason = "CERTIFICATE_MALFORMED"
    zh = "证书无法解析"


class SignerCertificateMissing(CertificateRefused):
    """The signature file does not hold the one certificate that its signer names."""

    reason = "SIGNER_CERTIFICATE_MISSING"
    zh = "签名文件中没有签名人所指的证书"


class CertificateExpired(CertificateRefused):
    """A certificate of the chain ended before the time at which it is judged."""

    reason = "CERTIFICATE_EXPIRED"
    zh = "证书已过期"


class CertificateNotYetValid(CertificateRefused):
    """A certificate of the chain begins after the time at which it is judged."""

    reason = "CERTIFICATE_NOT_YET_VALID"
    zh = "证书尚未生效"


class CertificateRevoked(CertificateRefused):
    """A certificate of the chain was revoked at or before the time at which it is judged."""

    reason = "CERTIFICATE_REVOKED"
    zh = "证书已被吊销"

    def __init__(self, message: str, *, fingerprint: str = "", revoked_at: datetime | None = None) -> None:
        super().__init__(message, fingerprint=fingerprint)
        self.revoked_at = revoked_at


class RevocationUnknown(CertificateRefused):
    """Policy demands current revocation evidence about each link, and there is none, or it ended longer ago than the
    grace. The message names issuer and sources.
    """

    reason = "CERTIFICATE_REVOCATION_UNKNOWN"
    zh = "无法确认证书是否被吊销"


class CertificateUnknownIssuer(CertificateRefused):
    """No path leads to an anchor that is trusted for this purpose. Self-signed certificates end
    here too.
    """

    reason = "CERTIFICATE_UNKNOWN_ISSUER"
    zh = "证书颁发机构不受信任"


class CertificateWrongPurpose(CertificateRefused):
    """Key usage, extended key usage, kind of identity or basic constraints forbid this use."""

    reason = "CERTIFICATE_WRONG_PURPOSE"
    zh = "证书用途不符"


class CertificateWithoutIdentity(CertificateRefused):
    """The subject holds no single identity number in the form of ETSI EN 319 412-1."""

    reason = "CERTIFICATE_WITHOUT_IDENTITY"
    zh = "证书中没有可识别的证件号码"


class CertificateChainInvalid(CertificateRefused):
    """A path was found, and it fails RFC 5280: signature, constraint, path length, critical
    extension, weak key.
    """

    reason = "CERTIFICATE_CHAIN_INVALID"
    zh = "证书链无效"


class TrustStoreInvalid(SigningError):
    """Anchors, intermediates or revocation lists given to a `TrustStore` are unreadable or not
    authentic.
    """

    reason = "TRUST_STORE_INVALID"
    zh = "信任库配置无效"


class SignerUnusable(SigningError):
    """A private key could not be loaded, does not belong to its certificate, or is of a kind we do
    not sign with.
    """

    reason = "SIGNER_UNUSABLE"
    zh = "签名密钥不可用"


class SignerUnavailable(SigningError):
    """The key is in a token or service that does not answer now. Nothing was signed; it may be asked again."""

    reason = "SIGNER_UNAVAILABLE"
    zh = "签名设备暂不可用"


class PinRefused(SignerUnavailable):
    """A token refused the PIN, or says that it is locked or that one more wrong one may lock it. The same PIN is
    not tried again.
    """

    reason = "SIGNER_PIN_REFUSED"
    zh = "签名设备的口令被拒绝，为免锁定不再重试"


class SealUnknown(SigningError):
    """There is no seal to sign with: none was given, or it is not in use any more."""

    reason = "SEAL_UNKNOWN"
    zh = "没有可用的电子印章"


class SealFailed(SigningError):
    """A PDF could not be signed: unreadable, encrypted, field name taken, or signing is forbidden
    in it.
    """

    reason = "SEAL_FAILED"
    zh = "文件签章失败"


class TimestampInvalid(SigningError):
    """A time stamp token does not hold: over other bytes, forged, by nobody's authority, or not what was asked for."""

    reason = "TIMESTAMP_INVALID"
    zh = "时间戳无效"


class TimestampRefused(SigningError):
    """The time stamp authority answered, and gave no token."""

    reason = "TIMESTAMP_REFUSED"
    zh = "时间戳机构拒绝签发时间戳"


class TimestampUnavailable(SigningError):
    """The time stamp authority could not be reached, or gave no answer of RFC 3161 in time. Try again later."""

    reason = "TIMESTAMP_UNAVAILABLE"
    zh = "时间戳服务暂不可用"


class CheckerUnavailable(SigningError):
    """The file checker is not started, is closed, or cannot start a working process. Try again
    later.
    """

    reason = "FILE_CHECKER_UNAVAILABLE"
    zh = "文件检查服务暂不可用"
