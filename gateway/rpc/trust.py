"""Trust between the wire and the domain: anchors per purpose with their policies, one revocation list in force per
issuer, one OCSP answer per certificate.

A list once loaded is replaced only by a newer one of the same issuer: a revocation is never forgotten because a
purpose's anchors were set anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

from cryptography import x509

from gateway.cases.effects import TrustSet
from gateway.cases.errors import CommandRefused
from gateway.cases.trust import Trust, store_of
from gateway.client.trust_sets import policy_to_wire
from gateway.pb.diya.v1 import authority_pb2
from gateway.rpc.act_fields import enum_name, instant_of, limit
from gateway.rpc.violations import Violations
from signing.anchors import AnchorPolicy, is_source
from signing.certificates import parse_certificate
from signing.errors import CertificateMalformed, SigningError
from signing.revocation import RevocationIndex, is_authentic
from signing.trust import Purpose, TrustStore

ANCHORS_MAX: Final = 256
URLS_MAX: Final = 8
GRACE_HOURS_MAX: Final = 720
EVIDENCE_TOLD_BYTES_MAX: Final = 2 * 1024 * 1024

#: Whoever could load a newer list must not be shut out for want of one.
_MENDERS: Final = frozenset({Purpose.OPERATOR.value, Purpose.TLS.value})
_PREFIX: Final = "TRUST_PURPOSE_"


#: Before a registry's first entry nothing is believed.
_NOBODY: Final = TrustStore({})


class TrustUnusable(CommandRefused):
    """The trust as it would stand holds something that is no anchor or no list of a known issuer."""

    reason = "CERTIFICATE_MALFORMED"


class TrustLocksOut(CommandRefused):
    """Under the new trust the act itself would not hold: nobody could mend it."""

    reason = "FIELD_INVALID"


def read_trust(wires: Iterable[authority_pb2.TrustSet], wrong: Violations) -> TrustSet:
    """What an act sets: anchors of the purposes it names with their policies, and what helps to judge below them."""
    anchors: dict[str, tuple[bytes, ...]] = {}
    policies: dict[str, tuple[AnchorPolicy, ...]] = {}
    crls: list[bytes] = []
    ocsp: list[bytes] = []
    between: list[bytes] = []
    for number, wire in enumerate(wires):
        path = f"trust[{number}]"
        purpose = enum_name(authority_pb2.TrustPurpose, wire.purpose, _PREFIX)
        if not purpose or purpose in anchors:
            wrong.add(path + ".purpose", "必填且不得重复", "is required, each purpose once")
        limit(wire.anchors, ANCHORS_MAX, path + ".anchors", wrong)
        limit(wire.intermediates, ANCHORS_MAX, path + ".intermediates", wrong)
        if not wire.anchors:
            wrong.add(path + ".anchors", "至少一个信任锚", "needs at least one anchor")
        _check_certificates(wire.anchors, path + ".anchors", wrong)
        _check_certificates(wire.intermediates, path + ".intermediates", wrong)
        for at, der in enumerate(wire.crls):
            try:
                x509.load_der_x509_crl(der)
            except ValueError:
                wrong.add(f"{path}.crls[{at}]", "不是 DER 编码的吊销列表", "is not a revocation list in DER")
        anchors[purpose] = tuple(wire.anchors)
        policies[purpose] = _read_policies(wire, purpose, path, wrong)
        crls += wire.crls
        ocsp += wire.ocsp_answers
        between += wire.intermediates
    if not anchors:
        wrong.add("trust", "至少一项", "names nothing to set")
    return TrustSet(
        anchors=anchors, crls=tuple(crls), ocsp=tuple(ocsp), intermediates=tuple(between), policies=policies
    )


def _check_certificates(ders: Iterable[bytes], path: str, wrong: Violations) -> None:
    for at, der in enumerate(ders):
        try:
            parse_certificate(der)
        except CertificateMalformed as error:
            wrong.add(f"{path}[{at}]", error.zh, error.message, "CERTIFICATE_MALFORMED")


def _read_policies(
    wire: authority_pb2.TrustSet, purpose: str, path: str, wrong: Violations
) -> tuple[AnchorPolicy, ...]:
    """The policies of one purpose's anchors."""
    known = {hashlib.sha256(der).digest() for der in wire.anchors}
    policies: dict[bytes, AnchorPolicy] = {}
    for number, one in enumerate(wire.policies):
        at = f"{path}.policies[{number}]"
        if one.anchor_sha256 not in known or one.anchor_sha256 in policies:
            wrong.add(
                at + ".anchor_sha256",
                "须为本用途信任锚之一的 SHA-256，每个信任锚一条",
                "must be the SHA-256 of an anchor of this purpose, each once",
            )
        if one.revocation_required and purpose in _MENDERS:
            wrong.add(
                at + ".revocation_required",
                "不得用于运维人员与传输证书：来源中断时将无人能够修复",
                "is not for operators and connections: nobody could mend it while a source is down",
            )
        if not 0 <= one.grace_hours <= GRACE_HOURS_MAX:
            most = GRACE_HOURS_MAX
            wrong.add(at + ".grace_hours", f"须在 0 至 {most} 之间", f"must be between 0 and {most}")
        for name in ("crl_urls", "ocsp_urls"):
            _check_urls(getattr(one, name), f"{at}.{name}", wrong)
        policies[one.anchor_sha256] = AnchorPolicy(
            anchor=one.anchor_sha256.hex(),
            not_before=instant_of(one, "not_before", at, wrong),
            not_after=instant_of(one, "not_after", at, wrong),
            revocation_required=one.revocation_required,
            grace_hours=one.grace_hours,
            crl_urls=tuple(one.crl_urls),
            ocsp_urls=tuple(one.ocsp_urls),
        )
    return tuple(policies.values())


def _check_urls(urls: Sequence[str], path: str, wrong: Violations) -> None:
    limit(urls, URLS_MAX, path, wrong)
    for number, url in enumerate(urls):
        if not is_source(url):
            wrong.add(
                f"{path}[{number}]",
                "须为 http://主机[:端口]/路径，最多 2048 字",
                "must be http://HOST[:PORT]/PATH of at most 2048 characters",
            )


def merge_trust(stands: Trust | None, act: TrustSet) -> TrustSet:
    """The trust as it stands after an act. Raises TrustUnusable.

    Earlier evidence goes with the last certificate of its issuer: nothing that it revokes is believed any more.
    """
    before = TrustSet(anchors={}, crls=()) if stands is None else stands.now
    anchors = {**before.anchors, **act.anchors}
    between = tuple(dict.fromkeys((*before.intermediates, *act.intermediates)))
    authorities = [parse_certificate(der) for ders in anchors.values() for der in ders]
    authorities += [parse_certificate(der) for der in between]
    crls = [der for der in before.crls if is_authentic((der,), (), authorities)]
    ocsp = [der for der in before.ocsp if is_authentic((), (der,), authorities)]
    try:
        index = RevocationIndex((*crls, *act.crls), authorities, (*ocsp, *act.ocsp))
    except SigningError as error:
        raise _unusable(error) from error
    policies = {**before.policies, **act.policies}
    return TrustSet(
        anchors=anchors,
        crls=index.crls,
        intermediates=between,
        ocsp=index.ocsp,
        policies={purpose: some for purpose, some in policies.items() if some},
    )


def trust_store(trust: Trust | TrustSet | None) -> TrustStore:
    """The store that judges by a trust; before a registry's first entry nothing is believed. Raises TrustUnusable."""
    if trust is None:
        return _NOBODY
    try:
        return trust.store if isinstance(trust, Trust) else store_of(trust)
    except SigningError as error:
        raise _unusable(error) from error


def _unusable(error: SigningError) -> TrustUnusable:
    return TrustUnusable(
        f"信任设置不可用：{error.zh}（{error.message}）", f"the trust cannot be used: {error.message}"
    )


def encode_trust(
    trust: TrustSet, evidence_bytes_max: int = EVIDENCE_TOLD_BYTES_MAX
) -> list[authority_pb2.TrustSet]:
    """Each purpose with its anchors and the lists that these issue; a list is shown once. What belongs to no purpose by
    itself, intermediates with their lists and OCSP answers, comes with the first. Evidence over the limit is left out:
    a message that cannot be sent would be the answer to an act that was done.
    """
    crls, ocsp = _told(trust, evidence_bytes_max)
    left = {der: x509.load_der_x509_crl(der).issuer.public_bytes() for der in crls}
    wires = []
    for purpose, anchors in trust.anchors.items():
        names = {parse_certificate(der).subject_name for der in anchors}
        own = [der for der, issuer in left.items() if issuer in names]
        for der in own:
            del left[der]
        number = authority_pb2.TrustPurpose.Value(_PREFIX + purpose)
        policies = [policy_to_wire(one) for one in trust.policies.get(purpose, ())]
        wires.append(authority_pb2.TrustSet(purpose=number, anchors=anchors, crls=own, policies=policies))
    if wires:
        wires[0].crls.extend(left)
        wires[0].ocsp_answers.extend(ocsp)
        wires[0].intermediates.extend(trust.intermediates)
    return wires


def _told(trust: TrustSet, bytes_max: int) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """Lists and answers, without those that find no room beside the ones before."""
    left = bytes_max
    told: tuple[list[bytes], list[bytes]] = ([], [])
    for some, ders in zip(told, (trust.crls, trust.ocsp), strict=True):
        for der in ders:
            if len(der) <= left:
                left -= len(der)
                some.append(der)
    return tuple(told[0]), tuple(told[1])
