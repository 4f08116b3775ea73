"""`diya institution …` on who of an institution may sign what: its limits, its keys, its clerks.

Each command reads the institution as it stands, changes one thing and enters it again by a signed act: one entry each.
The act says which version was read: what another operator entered in between is read and changed instead, never undone.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from google.protobuf.timestamp_pb2 import Timestamp

from gateway.cli import opening, outcomes
from gateway.cli.institution import UsccArgument, key_id_of, print_done
from gateway.cli.settings import ConfigOption, JsonOption, load_settings
from gateway.client.admin import Done
from gateway.client.errors import InputError
from gateway.client.manifest import instant
from gateway.pb.diya.v1 import authority_pb2, codes_pb2

Institution = authority_pb2.Institution

_TIMES: Final = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]

OperationOption = Annotated[
    list[str] | None,
    typer.Option("--operation", help="May apply for this, such as MORTGAGE_FIRST; none given: for all."),
]
ClaimOption = Annotated[
    int,
    typer.Option(
        "--claim-max-fen",
        min=0,
        help="Largest amount of one act, its operations added up, in fen 分 of CNY; 0: any.",
    ),
]
FromOption = Annotated[
    datetime | None, typer.Option("--from", formats=_TIMES, help="Usable from then on, UTC; else at once.")
]
UntilOption = Annotated[
    datetime | None, typer.Option("--until", formats=_TIMES, help="Usable until then, UTC; else open.")
]
AtOption = Annotated[
    datetime | None,
    typer.Option("--at", formats=_TIMES, help="From when on it may not be used, UTC; else now."),
]


def register(app: typer.Typer) -> None:
    """Put the commands beside those of `diya institution`."""
    app.command("limits")(limits)
    app.command("add-key")(add_key)
    app.command("end-key")(end_key)
    app.command("add-clerk")(add_clerk)
    app.command("end-clerk")(end_clerk)
    app.command("end-outlet")(end_outlet)


def limits(
    uscc: UsccArgument,
    operation: OperationOption = None,
    claim_max_fen: ClaimOption = 0,
    per_day: Annotated[
        int, typer.Option("--per-day", min=0, help="Submissions of its system a day; 0: as the profile says.")
    ] = 0,
    second_key_from_fen: Annotated[
        int, typer.Option("--second-key-from-fen", min=0, help="Two keys sign from this sum on; 0: never.")
    ] = 0,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set what an institution may apply for at all, in place of what was set (机构权限).

    \b
    Example:
      diya institution limits 91999999MA00BANK1X --operation MORTGAGE_FIRST --operation MORTGAGE_RELEASE \\
        --claim-max-fen 500000000 --per-day 300 --second-key-from-fen 200000000
    """

    def edit(institution: Institution) -> None:
        institution.mandate.CopyFrom(_mandate(operation, claim_max_fen))
        institution.submissions_per_day = per_day
        institution.second_key_from_fen = second_key_from_fen

    _change(uscc, edit, config, as_json=as_json)


def add_key(
    uscc: UsccArgument,
    certificate: Annotated[
        Path, typer.Argument(metavar="CERTIFICATE.pem", help="Of the key; its own first.")
    ],
    role: Annotated[
        list[str], typer.Option("--role", help="SUBMIT, CONSENT, RELEASE, READ or TLS (alone); repeat it.")
    ],
    operation: OperationOption = None,
    claim_max_fen: ClaimOption = 0,
    begins: FromOption = None,
    ends: UntilOption = None,
    outlet: Annotated[
        str,
        typer.Option(
            "--outlet", help="The outlet 网点 whose key it is: signs for its registered clerks alone."
        ),
    ] = "",
    note: Annotated[str, typer.Option("--note", help="For people: whose key, in which system.")] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register a key with its roles and limits, in place of the same key as it was (登记密钥).

    \b
    Example:
      diya institution add-key 91999999MA00BANK1X checker.pem --role SUBMIT --claim-max-fen 200000000
    """

    def edit(institution: Institution) -> None:
        key = authority_pb2.RegisteredKey(
            key_id=key_id_of(certificate),
            roles=[_enum(authority_pb2.KeyRole, "KEY_ROLE_", name, "--role") for name in role],
            mandate=_mandate(operation, claim_max_fen),
            note=note,
            outlet=outlet,
            not_before=_utc(begins),
            not_after=_utc(ends),
        )
        kept = [one for one in institution.keys if one.key_id != key.key_id]
        institution.ClearField("keys")
        institution.keys.extend([*kept, key])

    _change(uscc, edit, config, as_json=as_json)


def end_key(
    uscc: UsccArgument,
    key_id: Annotated[
        str, typer.Argument(metavar="KEY_ID", help="64 digits, or as many as tell it from others.")
    ],
    at: AtOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a key: what it signed before stays good (停用密钥).

    \b
    Example:
      diya institution end-key 91999999MA00BANK1X 5a7a78cca4a0
    """

    def edit(institution: Institution) -> None:
        found = [one for one in institution.keys if key_id and one.key_id.startswith(key_id.lower())]
        if len(found) != 1:
            raise InputError(
                f"{len(found)} keys of {uscc} begin with {key_id!r}: see `diya institution list`",
                f"机构 {uscc} 有 {len(found)} 个密钥以 {key_id!r} 开头；请以 diya institution list 核对",
            )
        found[0].not_after.CopyFrom(instant(_or_now(at)))

    _change(uscc, edit, config, as_json=as_json)


def add_clerk(
    uscc: UsccArgument,
    number: Annotated[
        str, typer.Argument(metavar="NUMBER", help="The clerk's number inside the institution.")
    ],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name, as applications have it.")],
    outlet: Annotated[str, typer.Option("--outlet", help="The authorised outlet 网点.")] = "",
    id_number: Annotated[
        str,
        typer.Option("--id-number", help="Identity number, where staff are looked for among the parties."),
    ] = "",
    operation: OperationOption = None,
    claim_max_fen: ClaimOption = 0,
    begins: FromOption = None,
    ends: UntilOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register a clerk, in place of the same number as it was; from the first on nobody else may file (登记经办人).

    \b
    Example:
      diya institution add-clerk 91999999MA00BANK1X D-001 经办员 --outlet 城东支行 --claim-max-fen 100000000
    """

    def edit(institution: Institution) -> None:
        clerk = authority_pb2.RegisteredClerk(
            employee_number=number,
            display_name=name,
            outlet=outlet,
            id_number=id_number,
            mandate=_mandate(operation, claim_max_fen),
            not_before=_utc(begins),
            not_after=_utc(ends),
        )
        kept = [one for one in institution.clerks if one.employee_number != number]
        institution.ClearField("clerks")
        institution.clerks.extend([*kept, clerk])

    _change(uscc, edit, config, as_json=as_json)


def end_clerk(
    uscc: UsccArgument,
    number: Annotated[
        str, typer.Argument(metavar="NUMBER", help="The clerk's number inside the institution.")
    ],
    at: AtOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a clerk's authority to file; what was filed stays (停用经办人).

    \b
    Example:
      diya institution end-clerk 91999999MA00BANK1X D-001
    """

    def edit(institution: Institution) -> None:
        found = [one for one in institution.clerks if one.employee_number == number]
        if not found:
            raise InputError(
                f"{uscc} has no registered clerk {number!r}: see `diya institution list --json`",
                f"机构 {uscc} 没有登记经办人 {number!r}；请以 diya institution list --json 核对",
            )
        found[0].not_after.CopyFrom(instant(_or_now(at)))

    _change(uscc, edit, config, as_json=as_json)


def end_outlet(
    uscc: UsccArgument,
    outlet: Annotated[
        str, typer.Argument(metavar="OUTLET", help="The outlet, as its clerks and keys have it.")
    ],
    at: AtOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """End an outlet: all its clerks and keys at once, in one entry; what was filed stays (停用网点).

    \b
    Example:
      diya institution end-outlet 91999999MA00BANK1X 城东支行
    """

    def edit(institution: Institution) -> None:
        end = instant(_or_now(at))
        everything: list[authority_pb2.RegisteredClerk | authority_pb2.RegisteredKey]
        everything = [*institution.clerks, *institution.keys]
        found = [one for one in everything if outlet and one.outlet == outlet]
        if not found:
            raise InputError(
                f"{uscc} has no clerk or key of an outlet {outlet!r}: see `diya institution show {uscc}`",
                f"机构 {uscc} 没有网点 {outlet!r} 的经办人或者密钥；请以 diya institution show {uscc} 核对",
            )
        for one in found:
            if not one.HasField("not_after") or one.not_after.ToNanoseconds() > end.ToNanoseconds():
                one.not_after.CopyFrom(end)

    _change(uscc, edit, config, as_json=as_json)


def _change(uscc: str, edit: Callable[[Institution], None], config: Path | None, *, as_json: bool) -> None:
    async def work() -> Done[Institution]:
        async with opening.open_admin(load_settings(config)) as admin:
            return await admin.change_institution(uscc, edit)

    print_done(outcomes.run(work(), as_json=as_json), as_json=as_json)


def _mandate(operations: list[str] | None, claim_max_fen: int) -> authority_pb2.Mandate:
    return authority_pb2.Mandate(
        operations=[
            _enum(codes_pb2.OperationKind, "OPERATION_KIND_", name, "--operation")
            for name in operations or ()
        ],
        claim_fen_max=claim_max_fen,
    )


def _enum(enum: Any, prefix: str, name: str, option: str) -> Any:
    values = {text.removeprefix(prefix): number for text, number in enum.items() if number}
    try:
        return values[name.upper()]
    except KeyError:
        raise InputError(
            f"{option} {name} is not one of {', '.join(values)}",
            f"{option} {name} 不在可选值之内：{'、'.join(values)}",
        ) from None


def _utc(at: datetime | None) -> Timestamp | None:
    """A time that was typed, which is UTC; None for one that was not."""
    return None if at is None else instant(at.replace(tzinfo=UTC))


def _or_now(at: datetime | None) -> datetime:
    return datetime.now(UTC) if at is None else at.replace(tzinfo=UTC)
