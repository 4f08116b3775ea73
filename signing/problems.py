"""The catalogue of what can be wrong with a file, in both languages."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from signing.errors import SigningError, TimestampInvalid
from signing.verdict import FileProblem

FILE_PROBLEMS: Final = MappingProxyType(
    {
        "FILE_NOT_PDF": ("文件不是 PDF", "the file is not a PDF (it must begin with %PDF-)"),
        "FILE_VERSION": (
            "PDF 版本不在 1.4 至 2.0 之间",
            "the PDF version is not between 1.4 and 2.0",
        ),
        "FILE_TOO_LARGE": ("文件超过大小限制", "the file is over the size limit"),
        "FILE_MALFORMED": ("PDF 结构错误，无法读取", "the structure of the PDF cannot be read"),
        "FILE_TRAILING_DATA": (
            "PDF 结尾之后还有其他数据",
            "data follows the end of the PDF: it may be two files in one",
        ),
        "FILE_ENCRYPTED": (
            "PDF 已加密，请提交未加密的文件",
            "the PDF is encrypted: send it in the clear",
        ),
        "FILE_JAVASCRIPT": ("PDF 含有脚本", "the PDF contains JavaScript"),
        "FILE_LAUNCH": (
            "PDF 含有启动外部程序的动作",
            "the PDF contains an action that launches a program",
        ),
        "FILE_ACTIVE_CONTENT": ("PDF 含有动态内容", "the PDF contains active content"),
        "FILE_XFA": ("PDF 含有 XFA 表单", "the PDF contains an XFA form"),
        "FILE_EXTERNAL_CONTENT": (
            "PDF 引用了文件以外的内容",
            "the PDF takes content from outside the file",
        ),
        "FILE_TOO_COMPLEX": (
            "PDF 结构过于复杂",
            "the PDF exceeds a limit of objects, pages or depth",
        ),
        "FILE_ATTACHMENT_AMBIGUOUS": (
            "PDF 附件名称重复或内容不明确",
            "two attachments share a name, or an attachment has two contents",
        ),
        "FILE_CHANGED_AFTER_SIGNING": (
            "签名之后文件内容被修改",
            "the content was changed after it was signed; only further signatures may be added",
        ),
        "FILE_SIGNATURE_FORMAT": (
            "签名格式不受支持或已损坏",
            "the signature is of a format that is not accepted, or damaged",
        ),
        "FILE_SIGNATURE_COVERAGE": (
            "签名未覆盖整个文件",
            "the signature does not cover the whole revision that it signs",
        ),
        "FILE_TIMESTAMP_INVALID": ("时间戳无效", "the time stamp token does not hold"),
        "FILE_CHECK_LIMIT": (
            "文件检查超过资源限制",
            "checking the file took more memory or time than is allowed",
        ),
        "FILE_CHECK_FAILED": ("文件检查过程意外中止", "the check of the file ended unexpectedly"),
    }
)


def file_problem(code: str, detail: str = "", field: str = "") -> FileProblem:
    """The problem `code` of the catalogue; `detail` is added to the English text."""
    zh, en = FILE_PROBLEMS[code]
    return FileProblem(code=code, zh=zh, en=f"{en}: {detail}" if detail else en, field=field)


def signature_problem(error: SigningError, field: str) -> FileProblem:
    """The problem that a refused certificate, signature or time stamp is, under the error's own reason."""
    if isinstance(error, TimestampInvalid):
        return file_problem("FILE_TIMESTAMP_INVALID", error.message, field)
    return FileProblem(code=error.reason, zh=error.zh, en=error.message, field=field)
