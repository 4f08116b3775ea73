"""What whoever states something under the registry's seal asks of its settings."""

from __future__ import annotations

from gateway.register.authority import Profile
from gateway.rpc.names import check_registry
from gateway.storage.settings import Settings


def profile_of(registry: str, settings: Settings) -> Profile:
    """The registry's profile. Raises Refusal for a registry that is not served."""
    check_registry(registry, settings)
    assert settings.profile is not None  # check_registry refuses a registry without one
    return settings.profile
