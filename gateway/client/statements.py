"""Verifying what a registry states under its seal, offline (docs/statements.md): payouts, days, portfolios.

The anchors are those of the purpose REGISTRY, obtained once by a trusted way (`registry.pem` of the trust folder);
nothing is read out of an envelope before its signature holds.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Final, TypeAlias, TypeVar

import msgspec

from gateway.client.errors import ProofError
from gateway.statements.payout import PayoutStatement
from gateway.statements.signed import PAYOUT_TYPE, Statement
from signing import sm2
from signing.algorithms import Algorithm, Suite
from signing.envelope import envelope_from_json
from signing.errors import SigningError
from signing.trust import Purpose, TrustStore
from signing.verify import verify_envelope

S = TypeVar("S", bound=Statement)

#: By registry, the suites in which its seals must be there and hold; by default one of either is enough.
Suites: TypeAlias = Mapping[str, frozenset[Suite]]

#: What the clocks of registry and lender may differ by.
CLOCK_SKEW: Final = dt.timedelta(minutes=2)


class StatementInvalid(ProofError):
    """A statement does not verify, or is not what it was taken for."""

    def __init__(self, en: str, zh: str) -> None:
        super().__init__("STATEMENT_INVALID", f"the statement does not hold: {en}", f"证明未通过校验：{zh}")


def open_statement(
    data: bytes,
    payload_type: str,
    kind: type[S],
    trust: TrustStore,
    at: dt.datetime,
    registry: str = "",
    suites: Suites | None = None,
) -> S:
    """The statement in an envelope, verified at `at` under the anchors of the purpose REGISTRY.

    Checks in this order: shape and type of the envelope; every signature with chain and purpose (a registry may seal in
    both suites: where SM2 is not installed the international seal decides, see `unjudged_seal`); the payload's form;
    that the signer is the authority that the statement names; the registry, where one is given; that the suites are
    there and hold which `suites` demands of that registry. A seal with a time stamp is judged as of its time. Raises
    StatementInvalid.
    """
    try:
        envelope = envelope_from_json(data)
        if envelope.payload_type != payload_type:
            raise StatementInvalid(
                f"it is of type {envelope.payload_type}, not {payload_type}",
                f"类型为 {envelope.payload_type}，应为 {payload_type}",
            )
        verified = verify_envelope(envelope, Purpose.REGISTRY, trust, at, either_suite=True)
    except SigningError as error:
        raise StatementInvalid(f"{error.reason}: {error.message}", error.zh) from error
    try:
        statement = msgspec.json.decode(verified.payload, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise StatementInvalid(f"its payload does not parse: {error}", "内容无法解析") from error
    signers = {signer.identity.number for signer in verified.signers if signer.identity is not None}
    if signers != {statement.issuer_code}:
        raise StatementInvalid(
            f"it names the authority {statement.issuer_code}, and {', '.join(sorted(signers))} signed it",
            "签章机构与所载登记机构不一致",
        )
    if registry and statement.registry != registry:
        raise StatementInvalid(
            f"it is of registry {statement.registry}, not {registry}",
            f"属于登记机构 {statement.registry}，不是 {registry}",
        )
    _check_suites(statement.registry, {signer.algorithm for signer in verified.signers}, suites or {})
    return statement


def _check_suites(registry: str, algorithms: set[str], suites: Suites) -> None:
    missing = suites.get(registry, frozenset()) - {Algorithm(one).suite for one in algorithms}
    if missing:
        names = ", ".join(sorted(missing))
        raise StatementInvalid(
            f"your trust settings demand the seal of {registry} in {names}, and none was judged to hold; where SM2 is "
            "not installed: pip install 'diya[sm]'",
            f"核验方要求有{registry}的 {names} 印章并通过核验；如未安装国密算法，请执行 pip install 'diya[sm]'",
        )


def unjudged_seal(data: bytes) -> tuple[str, str] | None:
    """What to say (zh, en) of the national seal of a statement that holds, where this machine cannot judge it."""
    signatures = envelope_from_json(data).signatures
    if sm2.AVAILABLE or not any(one.algorithm == Algorithm.SM2_SM3.value for one in signatures):
        return None
    return (
        f"国际算法印章有效；国密印章未核验：{sm2.NOT_INSTALLED_ZH}",
        f"the international seal holds; the national one was not judged: {sm2.NOT_INSTALLED}",
    )


def verify_payout(
    data: bytes,
    trust: TrustStore,
    at: dt.datetime,
    *,
    registry: str = "",
    certificate: str = "",
    suites: Suites | None = None,
) -> PayoutStatement:
    """A payout statement that holds at `at`. certificate: the identifier that it must be about. suites: as of
    `open_statement`.

    That it holds does not say that paying out is safe: `safe` does. Raises StatementInvalid, also when its time is
    over or has not come: a seal may be good for years, the answer is good for minutes.
    """
    statement = open_statement(data, PAYOUT_TYPE, PayoutStatement, trust, at, registry, suites)
    if statement.expired(at):
        raise StatementInvalid(
            f"its time was over at {statement.valid_until.isoformat()}: ask again",
            f"已于 {statement.valid_until.isoformat()} 过期，请重新核查",
        )
    if at < statement.made_at - CLOCK_SKEW:
        raise StatementInvalid("it was made in the future: look at the clocks", "出具时间在将来，请检查时钟")
    if certificate and statement.proof.identifier != certificate.rpartition("/")[2]:
        raise StatementInvalid(
            f"it is about {statement.proof.identifier}", f"所涉证照为 {statement.proof.identifier}"
        )
    if statement.safe and statement.failing:
        raise StatementInvalid("it contradicts itself: a condition fails", "内容自相矛盾：有条件不成立")
    return statement
