"""What goes wrong with a file of the user's own machine, so that they can mend it: which file, what, what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from gateway.client.errors import InputError

_WHY_ZH: Final[tuple[tuple[type[OSError], str], ...]] = (
    (FileNotFoundError, "没有这个文件或者目录"),
    (PermissionError, "没有权限"),
    (IsADirectoryError, "这是目录，不是文件"),
    (NotADirectoryError, "路径中有一段不是目录"),
    (FileExistsError, "这里已有同名文件，不是目录"),
)


def not_read(path: Path, error: OSError) -> InputError:
    """A file that cannot be read."""
    why, why_zh = _why(error)
    return InputError(
        f"{path} cannot be read: {why}; check the path and its permissions",
        f"{path} 无法读取：{why_zh}；请检查路径和权限",
    )


def not_written(path: Path, error: OSError) -> InputError:
    """A file or folder that cannot be written."""
    why, why_zh = _why(error)
    return InputError(
        f"{path} cannot be written: {why}; name a place where you may write",
        f"{path} 无法写入：{why_zh}；请指定可以写入的位置",
    )


def not_such_a_file(path: Path, error: Exception, shape: str, shape_zh: str) -> InputError:
    """A file whose content is not what it must be. shape: what it must be, and where that is written down."""
    why, why_zh = fault_of(error)
    return InputError(f"{path} is not {shape}: {why}", f"{path} 不是{shape_zh}：{why_zh}")


def make_folder(folder: Path) -> None:
    """Have the folder be there. Raises InputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise not_written(folder, error) from error


def fault_of(error: Exception) -> tuple[str, str]:
    """What an error of reading data says, in English and Chinese, for people who do not know Python."""
    match error:
        case json.JSONDecodeError():
            where, where_zh = (
                f"line {error.lineno} column {error.colno}",
                f"第 {error.lineno} 行第 {error.colno} 列",
            )
            return f"no JSON at {where} ({error.msg})", f"{where_zh}处不是 JSON"
        case UnicodeDecodeError():
            return f"no UTF-8 text at byte {error.start}", f"第 {error.start} 字节处不是 UTF-8 文本"
        case KeyError():
            return f'"{error.args[0]}" is missing', f"缺少“{error.args[0]}”"
        case TypeError() | AttributeError():
            return "its parts have other types than they must", "其中内容的类型不符"
    return str(error), str(error)


def _why(error: OSError) -> tuple[str, str]:
    why = error.strerror or str(error)
    return why, next((zh for kind, zh in _WHY_ZH if isinstance(error, kind)), why)
