"""Resource names: `registries/{registry}/files/{file}` taken apart, and what stands for a page size."""

from __future__ import annotations

import re
from typing import Any

from gateway.rpc.errors import Refusal
from gateway.rpc.violations import MalformedRequest, Violation
from gateway.storage.settings import Settings

_SEGMENT = r"[A-Za-z0-9._~-]{1,128}"


def registry_in(parent: str, path: str = "parent") -> str:
    """The registry of a parent `registries/{registry}`. Raises MalformedRequest."""
    match = re.fullmatch(rf"registries/({_SEGMENT})", parent)
    if match is None:
        raise malformed(path, "应为 registries/{registry}", "must be registries/{registry}")
    return match.group(1)


def split_name(name: str, collection: str, path: str = "name") -> tuple[str, str]:
    """Registry and last segment of `registries/{registry}/{collection}/{id}`. Raises MalformedRequest."""
    match = re.fullmatch(rf"registries/({_SEGMENT})/{collection}/({_SEGMENT})", name)
    if match is None:
        shape = f"registries/{{registry}}/{collection}/{{id}}"
        raise malformed(path, f"应为 {shape}", f"must be {shape}")
    return match.group(1), match.group(2)


def malformed(path: str, zh: str, en: str, reason: str = "FIELD_INVALID") -> MalformedRequest:
    """One bad field as the whole answer."""
    return MalformedRequest([Violation(path, reason, zh, en)])


def check_registry(registry: str, settings: Settings) -> None:
    """Raise the refusal for a registry that this gateway does not serve, or that has not been set up."""
    if settings.profile is None:
        raise Refusal(
            "REGISTRY_NOT_FOUND",
            f"本网关没有登记机构 {registry}",
            f"this gateway serves no registry {registry}",
            {"registry": registry},
        )


def enum_names(enum: Any, numbers: Any, prefix: str, path: str) -> list[str]:
    """Names without prefix of the enum values in a filter, sorted. Raises MalformedRequest for an unknown one."""
    names = set()
    for number in numbers:
        if number == 0 or number not in enum.values():
            raise malformed(path, f"没有取值 {number}", f"has no value {number}")
        names.add(enum.Name(number).removeprefix(prefix))
    return sorted(names)
