"""Since when somebody else may have had one of the registry's keys: what may be said of it, whatever the key is for."""

from __future__ import annotations

import datetime as dt

from gateway.applications.administration import ActInvalid


def check_compromise(before: dt.datetime | None, since: dt.datetime | None, now: dt.datetime) -> None:
    """`since` may be stated where `before` was: never in the future, and once said, it is only moved back.

    Raises ActInvalid.
    """
    if since is not None and since > now:
        raise ActInvalid(
            "泄露起点不得晚于现在", "an instant in the future cannot be stated", field="compromised_since"
        )
    if before is not None and (since is None or since >= before):
        raise ActInvalid(
            f"已声明自 {before.isoformat()} 起泄露；只能提前",
            f"it is declared compromised since {before.isoformat()}: that can only be moved back",
            field="compromised_since",
        )
