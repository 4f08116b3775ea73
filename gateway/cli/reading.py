"""JSON files that a person wrote, read as messages of the contract."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message

from gateway.client.local_files import not_read, not_such_a_file

Read = TypeVar("Read", bound=Message)

#: What parsing data that a person wrote may raise.
FAULTS = (ParseError, KeyError, TypeError, ValueError, AttributeError)


def read_file(path: Path) -> bytes:
    """The bytes of a file. Raises InputError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise not_read(path, error) from error


def read_json(path: Path, shape: str, shape_zh: str) -> Any:
    """The JSON of a file. Raises InputError saying which shape it must have."""
    try:
        return json.loads(read_file(path).decode("utf-8-sig"))
    except ValueError as error:
        raise not_such_a_file(path, error, shape, shape_zh) from error


def read_message(path: Path, message: Read) -> Read:
    """A file in the protobuf JSON mapping of `message`, read into it. Raises InputError."""
    name = message.DESCRIPTOR.full_name
    shape, shape_zh = f"the protobuf JSON of {name}", f" {name} 的 protobuf JSON"
    data = read_json(path, shape, shape_zh)
    try:
        if not isinstance(data, dict):
            raise ValueError("an object {…} is expected")
        return ParseDict(data, message)
    except FAULTS as error:
        raise not_such_a_file(path, error, shape, shape_zh) from error
