"""How far an anchor is believed: between which dates, whether revocation must be known below it, from where that is
learnt, and for how long an authority that has fallen silent is still believed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

import msgspec

from signing.certificates import Certificate
from signing.errors import TrustStoreInvalid

URL_CHARACTERS_MAX: Final = 2048


def is_source(url: str) -> bool:
    """Whether evidence can be fetched there: plain HTTP, for it is signed, and whoever fetched it to check the
    certificate of a TLS server would first have to check that one.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where it is none
    except ValueError:
        return False
    plain = parts.scheme == "http" and bool(parts.hostname) and parts.username is None and not parts.fragment
    return plain and len(url) <= URL_CHARACTERS_MAX and url.isascii() and url.isprintable() and " " not in url


class AnchorPolicy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The policy of one anchor for one purpose.

    anchor: hex SHA-256 of the certificate. It is believed from not_before on and until before not_after; absent means
    open, within the certificate's own dates in any case. revocation_required: refuse a certificate below it while no
    list or answer speaks for it. grace_hours: for so long after the newest evidence ended it is believed all the same,
    for a source may be down. crl_urls, ocsp_urls: where evidence is fetched; never an address that a certificate
    names, which would let a stranger say whom we call.
    """

    anchor: str
    not_before: datetime | None = None
    not_after: datetime | None = None
    revocation_required: bool = False
    grace_hours: int = 24
    crl_urls: tuple[str, ...] = ()
    ocsp_urls: tuple[str, ...] = ()

    @property
    def sources(self) -> tuple[str, ...]:
        """All addresses."""
        return (*self.crl_urls, *self.ocsp_urls)

    def is_believed(self, at: datetime) -> bool:
        """Whether the anchor is believed at `at`."""
        begun = self.not_before is None or self.not_before <= at
        return begun and (self.not_after is None or at < self.not_after)


class Anchors:
    """The anchors of one purpose. Between two dates of their policies lies an era, in which it stays the same which of
    them are believed: what is found in one may be kept for it.
    """

    def __init__(self, certificates: Sequence[Certificate], policies: Sequence[AnchorPolicy]) -> None:
        """Raise `TrustStoreInvalid` where a policy is of no anchor, or of one that has another."""
        self.certificates = tuple(certificates)
        self.fingerprints = frozenset(one.fingerprint for one in certificates)
        self._policies = {one.anchor: one for one in policies}
        if len(self._policies) != len(policies) or not self._policies.keys() <= self.fingerprints:
            raise TrustStoreInvalid(
                "each policy must be of an anchor of its purpose, and each anchor has one at most"
            )
        dates = {date for one in policies for date in (one.not_before, one.not_after) if date is not None}
        self._dates = sorted(dates)

    def era(self, at: datetime) -> int:
        """The number of the era in which `at` lies."""
        return bisect_right(self._dates, at)

    def believed(self, at: datetime) -> tuple[Certificate, ...]:
        """Those that are believed at `at`."""
        return tuple(
            one
            for one in self.certificates
            if (policy := self._policies.get(one.fingerprint)) is None or policy.is_believed(at)
        )

    def policy(self, anchor: Certificate) -> AnchorPolicy | None:
        """The policy of an anchor, where it has one."""
        return self._policies.get(anchor.fingerprint)
