"""Trust between the wire and the domain: anchors per purpose, one revocation list in force per issuer.

A list once loaded is replaced only by a newer one of the same issuer: a revocation is never forgotten because a
purpose's anchors were set anew.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Final

from cryptography import x509

from gateway.cases.effects import TrustSet
from gateway.cases.errors import CommandRefused
from gateway.pb.diya.v1 import authority_pb2
from gateway.rpc.act_fields import enum_name, limit
from gateway.rpc.violations import Violations
from signing.certificates import Certificate, parse_certificate, signs_list
from signing.errors import CertificateMalformed, SigningError
from signing.trust import Purpose, TrustStore

ANCHORS_MAX: Final = 256
_PREFIX: Final = "TRUST_PURPOSE_"


class TrustUnusable(CommandRefused):
    """The trust as it would stand holds something that is no anchor or no list of a known issuer."""

    reason = "CERTIFICATE_MALFORMED"


class TrustLocksOut(CommandRefused):
    """Under the new trust the act itself would not hold: nobody could mend it."""

    reason = "FIELD_INVALID"


def read_trust(wires: Iterable[authority_pb2.TrustSet], wrong: Violations) -> TrustSet:
    """What an act sets: anchors of the purposes it names, and revocation lists."""
    anchors: dict[str, tuple[bytes, ...]] = {}
    crls: list[bytes] = []
    for number, wire in enumerate(wires):
        path = f"trust[{number}]"
        purpose = enum_name(authority_pb2.TrustPurpose, wire.purpose, _PREFIX)
        if not purpose or purpose in anchors:
            wrong.add(path + ".purpose", "必填且不得重复", "is required, each purpose once")
        limit(wire.anchors, ANCHORS_MAX, path + ".anchors", wrong)
        if not wire.anchors:
            wrong.add(path + ".anchors", "至少一个信任锚", "needs at least one anchor")
        for at, der in enumerate(wire.anchors):
            try:
                parse_certificate(der)
            except CertificateMalformed as error:
                wrong.add(f"{path}.anchors[{at}]", error.zh, error.message, "CERTIFICATE_MALFORMED")
        for at, der in enumerate(wire.crls):
            try:
                x509.load_der_x509_crl(der)
            except ValueError:
                wrong.add(f"{path}.crls[{at}]", "不是 DER 编码的吊销列表", "is not a revocation list in DER")
        anchors[purpose] = tuple(wire.anchors)
        crls += wire.crls
    if not anchors:
        wrong.add("trust", "至少一项", "names nothing to set")
    return TrustSet(anchors=anchors, crls=tuple(crls))


def merge_trust(before: TrustSet | None, act: TrustSet) -> TrustSet:
    """The trust as it stands after an act. Raises TrustUnusable.

    An earlier list goes with the last certificate of its issuer: nothing that it revokes is believed any more.
    """
    before = before or TrustSet(anchors={}, crls=())
    anchors = {**before.anchors, **act.anchors}
    authorities = [parse_certificate(der) for ders in anchors.values() for der in ders]
    authorities += [parse_certificate(der) for der in before.intermediates]
    lists: dict[tuple[bytes, bytes], tuple[dt.datetime, bytes]] = {}
    for der in (*before.crls, *act.crls):
        crl = x509.load_der_x509_crl(der)
        key = (crl.issuer.public_bytes(), _scope(crl))
        if der not in act.crls and not _is_of(crl, authorities):
            continue
        if key not in lists or lists[key][0] <= crl.last_update_utc:
            lists[key] = (crl.last_update_utc, der)
    crls = tuple(der for _, der in lists.values())
    merged = TrustSet(anchors=anchors, crls=crls, intermediates=before.intermediates)
    trust_store(merged)
    return merged


def _is_of(crl: x509.CertificateRevocationList, authorities: Iterable[Certificate]) -> bool:
    """Whether one of these issued the list: by its key, for an authority may have a new key under its old name."""
    issuer = crl.issuer.public_bytes()
    return any(a.subject_name == issuer and signs_list(a, crl) for a in authorities)


def _scope(crl: x509.CertificateRevocationList) -> bytes:
    """Which of its issuer's certificates a list is about; empty for all of them."""
    try:
        scope = crl.extensions.get_extension_for_class(x509.IssuingDistributionPoint)
    except x509.ExtensionNotFound:
        return b""
    return scope.value.public_bytes()


def trust_store(trust: TrustSet) -> TrustStore:
    """The store that this trust makes. Raises TrustUnusable."""
    try:
        anchors = {Purpose(name): ders for name, ders in trust.anchors.items()}
        return TrustStore(anchors, trust.crls, trust.intermediates)
    except SigningError as error:
        raise TrustUnusable(
            f"信任设置不可用：{error.zh}（{error.message}）", f"the trust cannot be used: {error.message}"
        ) from error


def encode_trust(trust: TrustSet) -> list[authority_pb2.TrustSet]:
    """Each purpose with its anchors and the lists that these issue; a list is shown once."""
    left = {der: x509.load_der_x509_crl(der).issuer.public_bytes() for der in trust.crls}
    wires = []
    for purpose, anchors in trust.anchors.items():
        names = {parse_certificate(der).subject_name for der in anchors}
        own = [der for der, issuer in left.items() if issuer in names]
        for der in own:
            del left[der]
        number = authority_pb2.TrustPurpose.Value(_PREFIX + purpose)
        wires.append(authority_pb2.TrustSet(purpose=number, anchors=anchors, crls=own))
    return wires
