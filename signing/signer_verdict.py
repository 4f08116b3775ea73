"""The verdict on one signer: the cryptography, the proven time, and whom the certificate leads to.

PDF and CMS files share it. After the four checks of `cms_verify`:

5. time stamps over the signature value hold: they prove a time, the claimed signing time none;
6. the certificate chains to an anchor of a purpose that it may have, at the proven time or now.

CAdES baseline (ETSI EN 319 122-1): B-B is 1 to 4 with the signing certificate named, B-T has a time stamp
too. A file of higher levels is judged as B-T: what it holds beyond that proves nothing here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from signing import cms
from signing.certificates import Certificate, IdentityKind
from signing.cms import SignedData, SignerInfo
from signing.cms_verify import Content, Signed, check_signature
from signing.errors import CertificateUnknownIssuer, CertificateWithoutIdentity, SignatureMalformed
from signing.known_chain import Chain
from signing.stapled import NOTHING_STAPLED, Stapled
from signing.timestamp import Timestamp, verify_token
from signing.trust import Purpose, TrustStore
from signing.verdict import SignatureVerdict, StampedBy

TIMESTAMPS_MAX: Final = 4

CANDIDATES: Final = {
    IdentityKind.LEGAL: (Purpose.INSTITUTION, Purpose.REGISTRY),
    IdentityKind.NATURAL: (Purpose.PERSON, Purpose.REGISTRAR),
}
"""What somebody who signs a file may be, by the kind of identity, in the order in which it is tried."""


def judge_signer(
    signed: SignedData,
    signer: SignerInfo,
    content: Content,
    trust: TrustStore,
    at: datetime,
    *,
    field: str = "",
    stamp: Timestamp | None = None,
    purposes: Sequence[Purpose] | None = None,
    stapled: Stapled = NOTHING_STAPLED,
) -> SignatureVerdict:
    """All six checks. stamp: what something outside this SignedData proves for it.

    purposes: only these; by default those that the certificate's kind of identity may have. stapled:
    revocation evidence that came along. Raises a `SigningError`.
    """
    held = check_signature(signed, signer, content)
    stamps = [*_stamps(signer, trust, at), *([stamp] if stamp else [])]
    proven = min(stamps, key=lambda one: one.time, default=None)  # 5
    chain = chain_of(held.leaf, held.extra, trust, proven.time if proven else at, purposes, stapled)  # 6
    form = _form(signed, held, proven)
    return verdict_of(
        held.leaf,
        chain,
        at,
        field=field,
        algorithm=held.algorithm,
        form=form,
        claimed=held.claimed,
        proven=proven,
    )


def verdict_of(
    leaf: Certificate,
    chain: Chain,
    at: datetime,
    *,
    field: str,
    algorithm: str,
    form: str,
    claimed: datetime | None = None,
    proven: Timestamp | None = None,
) -> SignatureVerdict:
    """What is kept of a signature whose value and chain hold: `proven` decides as of when it was judged, else `at`."""
    assert leaf.identity is not None  # no purpose that signs files goes without one
    return SignatureVerdict(
        field=field,
        identity=leaf.identity,
        name=leaf.name,
        fingerprint=leaf.fingerprint,
        key_id=leaf.key_id,
        issuer_key_id=chain.links[0].issuer_key_id,
        serial=chain.links[0].serial,
        algorithm=algorithm,
        signed_at=claimed,
        proven_at=proven.time if proven else None,
        judged_at=proven.time if proven else at,
        covers_whole_document=True,
        visible=False,
        purpose=chain.purpose,
        chain=chain.links,
        anchor=chain.certificates[-1].fingerprint,
        form=form,
        evidence=chain.evidence_in_all,
        in_grace=chain.in_grace,
        stamped_by=StampedBy(proven.chain.links, proven.chain.fingerprints[-1]) if proven else None,
    )


def chain_of(
    leaf: Certificate,
    extra: Sequence[Certificate],
    trust: TrustStore,
    at: datetime,
    purposes: Sequence[Purpose] | None = None,
    stapled: Stapled = NOTHING_STAPLED,
) -> Chain:
    """The chain to an anchor of the first purpose that the identity allows and that has one."""
    if leaf.identity is None:
        raise CertificateWithoutIdentity(
            f"{leaf.subject!r} holds no single identity number (ETSI EN 319 412-1)",
            fingerprint=leaf.fingerprint,
        )
    unknown: CertificateUnknownIssuer | None = None
    for purpose in CANDIDATES[leaf.identity.kind] if purposes is None else purposes:
        try:
            return trust.check_chain(leaf, extra, purpose, at, stapled)
        except CertificateUnknownIssuer as error:
            unknown = error
    if unknown is None:
        raise ValueError("no purpose was asked about")
    raise unknown


def _stamps(signer: SignerInfo, trust: TrustStore, at: datetime) -> list[Timestamp]:
    """The tokens over the signature value. One that does not hold refuses the signature."""
    tokens = signer.unsigned.get(cms.STAMP, ())
    if len(tokens) > TIMESTAMPS_MAX:
        raise SignatureMalformed(f"more than {TIMESTAMPS_MAX} time stamps")
    return [verify_token(one.whole, signer.signature, trust, at) for one in tokens]


def _form(signed: SignedData, held: Signed, proven: Timestamp | None) -> str:
    """What the signature is called where such things have names."""
    if signed.national:
        return "GB/T 35275"
    if not held.named:
        return "CMS"
    return "CAdES-B-T" if proven else "CAdES-B-B"
