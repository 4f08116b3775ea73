"""A registry's trust between the contract and `signing`: a store of what GetTrust tells, and what SetTrust takes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC

from gateway.client.manifest import instant
from gateway.pb.diya.v1.authority_pb2 import AnchorPolicy as WirePolicy
from gateway.pb.diya.v1.authority_pb2 import TrustPurpose, TrustSet
from signing.anchors import AnchorPolicy
from signing.trust import Purpose, TrustStore

_PREFIX = "TRUST_PURPOSE_"


def store_of(wires: Iterable[TrustSet]) -> TrustStore:
    """The store that these sets make. Raises `TrustStoreInvalid`."""
    sets = {Purpose(TrustPurpose.Name(one.purpose).removeprefix(_PREFIX)): one for one in wires}
    return TrustStore(
        {purpose: tuple(one.anchors) for purpose, one in sets.items()},
        [der for one in sets.values() for der in one.crls],
        [der for one in sets.values() for der in one.intermediates],
        ocsp=[der for one in sets.values() for der in one.ocsp_answers],
        policies={purpose: tuple(map(_policy, one.policies)) for purpose, one in sets.items()},
    )


def sets_of(store: TrustStore) -> list[TrustSet]:
    """A set for each purpose with anchors; evidence and intermediates, which are of no purpose, come with the first."""
    sets = [
        TrustSet(
            purpose=TrustPurpose.Value(_PREFIX + purpose.value),
            anchors=anchors,
            policies=map(policy_to_wire, store.policies.get(purpose, ())),
        )
        for purpose, anchors in store.anchors.items()
        if anchors
    ]
    if sets:
        sets[0].crls.extend(store.crls)
        sets[0].ocsp_answers.extend(store.ocsp)
        sets[0].intermediates.extend(store.intermediates)
    return sets


def policy_to_wire(policy: AnchorPolicy) -> WirePolicy:
    """The policy of one anchor, as the contract has it."""
    return WirePolicy(
        anchor_sha256=bytes.fromhex(policy.anchor),
        not_before=None if policy.not_before is None else instant(policy.not_before),
        not_after=None if policy.not_after is None else instant(policy.not_after),
        revocation_required=policy.revocation_required,
        grace_hours=policy.grace_hours,
        crl_urls=policy.crl_urls,
        ocsp_urls=policy.ocsp_urls,
    )


def _policy(wire: WirePolicy) -> AnchorPolicy:
    return AnchorPolicy(
        anchor=wire.anchor_sha256.hex(),
        not_before=wire.not_before.ToDatetime(UTC) if wire.HasField("not_before") else None,
        not_after=wire.not_after.ToDatetime(UTC) if wire.HasField("not_after") else None,
        revocation_required=wire.revocation_required,
        grace_hours=wire.grace_hours,
        crl_urls=tuple(wire.crl_urls),
        ocsp_urls=tuple(wire.ocsp_urls),
    )
