"""Who is revoked: lists (CRL, RFC 5280) and answers (OCSP, RFC 6960), authenticated by their issuer's key and indexed
for a lookup per request, behind the same two questions: `revoked_since` and `current_until`.

Evidence counts only together with its issuer's certificate, so a store refuses what is by nobody it knows. Of several
lists of one issuer and scope, and of several answers about one certificate, the newest decides (a lifted hold is
lifted). Between the two kinds the worse one does: revoked is who either names, for a list and an answer may be of
different minutes and nobody gains by the doubt. A certificate is revoked from the earlier of its revocation date and
its invalidity date (RFC 5280 sections 5.3.2 and 5.3.3): a key known to be stolen since Monday does not sign on Tuesday
because the list came on Wednesday. Delta and indirect lists, and scopes that leave out reasons, are refused by name
rather than half understood. A responder that does not know a certificate has said nothing good of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from itertools import count
from typing import Final, NamedTuple

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import ExtensionOID

from signing.certificates import Certificate, signs_list
from signing.errors import SigningError, TrustStoreInvalid
from signing.ocsp import Statement, read_answer

CRL_BYTES_MAX: Final = 64 * 1024 * 1024
ANSWERS_MAX: Final = 65_536
"""OCSP answers in one store."""
LISTS_KEPT_PARSED: Final = 32
LONG_AGO: Final = datetime(1, 1, 1, tzinfo=UTC)

_KNOWN_CRITICAL: Final = frozenset({ExtensionOID.ISSUING_DISTRIBUTION_POINT})


class Evidence(msgspec.Struct, frozen=True):
    """One piece of evidence that speaks about a certificate.

    kind: CRL or OCSP. sha256: hex, of its DER. until: to when it speaks; None where it does not say.
    """

    kind: str
    sha256: str
    this_update: datetime
    until: datetime | None


@dataclass(frozen=True)
class _RevocationList:
    der: bytes
    issuer_name: bytes
    scope: bytes
    point: x509.IssuingDistributionPoint | None
    this_update: datetime
    number: int
    next_update: datetime | None
    revoked: dict[int, datetime]
    loaded: x509.CertificateRevocationList
    sha256: str

    @property
    def age(self) -> tuple[datetime, int]:
        """What orders lists: their times are whole seconds, so their numbers as well (RFC 5280 section 5.2.3)."""
        return self.this_update, self.number

    def is_about(self, subject: Certificate) -> bool:
        """Whether the list would name this certificate of its issuer, were it revoked (RFC 5280 section 6.3.3 (b))."""
        if self.point is None:
            return True
        if self.point.only_contains_ca_certs and not subject.is_ca:
            return False
        if self.point.only_contains_user_certs and subject.is_ca:
            return False
        return not self.point.full_name or bool(set(self.point.full_name) & _points_of(subject))


class Told(NamedTuple):
    """An answer as it stands in an index. keys: whom it speaks about, each the issuer's key id and the serial number.
    until: to when the longest of its statements does. revokes: whether any of them does.
    """

    keys: tuple[tuple[str, int], ...]
    until: datetime
    revokes: bool


class Heard(NamedTuple):
    """What an index knows about a certificate, as marks: the same marks, the same evidence. It holds no evidence
    itself, so that whoever keeps it keeps no list that was replaced.
    """

    lists: int
    answer: int


class RevocationIndex:
    """Who is revoked, by the key id of the issuer and the serial number. Immutable once made."""

    def __init__(
        self,
        crls: Iterable[bytes],
        issuers: Iterable[Certificate],
        ocsp: Iterable[bytes] = (),
        beside: RevocationIndex | None = None,
    ) -> None:
        """Read and authenticate each DER list and answer. Raises `TrustStoreInvalid` naming it by its position.

        beside: another index: its lists are asked about responders too, and of its answers and these the newer decides.
        """
        self._issuers = tuple(issuers)
        self._beside = beside
        self._lists: dict[str, _ListsOfOne] = {}
        self._answers: dict[tuple[str, int], _AnswersAboutOne] = {}
        self._told: dict[bytes, Told] = {}
        self._take_lists(crls)
        self._take_answers(ocsp)

    def changed(
        self, crls: Iterable[bytes] = (), ocsp: Iterable[bytes] = (), gone: Collection[bytes] = ()
    ) -> RevocationIndex:
        """This index without `gone`, and with these behind what is left; nothing but these is read, all else is shared.

        It answers as one that is made anew of what is left and these. Raises `TrustStoreInvalid`.
        """
        new: RevocationIndex = copy(self)
        new._lists, new._answers, new._told = dict(self._lists), dict(self._answers), dict(self._told)
        new._drop(frozenset(gone))
        new._take_lists(crls)
        new._take_answers(ocsp)
        return new

    def _take_lists(self, crls: Iterable[bytes]) -> None:
        found = _lists_by_issuer(crls, self._issuers)
        for key_id, lists in found.items():
            known = self._lists.get(key_id)
            self._lists[key_id] = _lists_of_one((*known.heard, *lists) if known else lists)

    def _take_answers(self, ocsp: Iterable[bytes]) -> None:
        about: dict[tuple[str, int], list[tuple[bytes, Statement]]] = {}
        for position, der in enumerate(ocsp):
            try:
                statements = read_answer(der, self._issuers)
            except TrustStoreInvalid as error:
                raise TrustStoreInvalid(f"OCSP answer {position}: {error.message}") from error
            self._told[der] = _told(statements)
            if len(self._told) > ANSWERS_MAX:
                raise TrustStoreInvalid(f"more than {ANSWERS_MAX} OCSP answers")
            for one in statements:
                about.setdefault((one.issuer_key_id, one.serial), []).append((der, one))
        for key, answers in about.items():
            known = self._answers.get(key)
            self._answers[key] = _answers_about_one((*known.heard, *answers) if known else tuple(answers))

    def _drop(self, gone: frozenset[bytes]) -> None:
        for key_id, lists in list(self._lists.items()):
            left = tuple(one for one in lists.heard if one.der not in gone)
            if not left:
                del self._lists[key_id]
            elif len(left) < len(lists.heard):
                self._lists[key_id] = _lists_of_one(left)
        for key in {key for der in gone if der in self._told for key in self._told[der].keys}:
            answers = tuple(one for one in self._answers[key].heard if one[0] not in gone)
            if answers:
                self._answers[key] = _answers_about_one(answers)
            else:
                del self._answers[key]
        for der in gone:
            self._told.pop(der, None)

    @property
    def crls(self) -> tuple[bytes, ...]:
        """The lists that decide: each the newest of its issuer and scope."""
        return tuple(one.der for lists in self._lists.values() for one in lists.newest)

    def newer_lists(self, crls: Iterable[bytes]) -> tuple[bytes, ...]:
        """Of other lists those that would decide here: of an issuer and scope that is unknown, or newer than what is
        known. Raises `TrustStoreInvalid`.
        """
        other = RevocationIndex(crls, self._issuers)
        known = {
            (key_id, one.scope): one.age for key_id, lists in self._lists.items() for one in lists.newest
        }
        return tuple(
            one.der
            for key_id, lists in other._lists.items()
            for one in lists.newest
            if (age := known.get((key_id, one.scope))) is None or age < one.age
        )

    @property
    def ocsp(self) -> tuple[bytes, ...]:
        """The answers that decide: each the newest about some certificate, and newer than those beside."""
        newest = (self.newest_answer(*key) for key in self._answers)
        return tuple(dict.fromkeys(one[0] for one in newest if one is not None))

    @property
    def told(self) -> Mapping[bytes, Told]:
        """Every answer, whether it decides anything or not."""
        return self._told

    def decides(self, der: bytes) -> list[tuple[str, int]]:
        """Of whom an answer speaks about those about whom it is the newest: each issuer's key id and serial number."""
        return [key for key in self._told[der].keys if self._answers[key].newest[0] == der]

    def heard(self, issuer_key_id: str, serial: int) -> Heard:
        """What is known about a certificate of this issuer, to be compared with what was known another time."""
        lists, answers = self._lists.get(issuer_key_id), self._answers.get((issuer_key_id, serial))
        return Heard(lists.mark if lists else 0, answers.mark if answers else 0)

    def revoked_since(self, issuer_key_id: str, serial: int) -> datetime | None:
        """From when the certificate counts as revoked, or None where nothing names it."""
        dates = [one.revoked[serial] for one in self._of(issuer_key_id) if serial in one.revoked]
        answer = self._answer(issuer_key_id, serial)
        if answer is not None and answer[1].revoked_since is not None:
            dates.append(answer[1].revoked_since)
        return min(dates) if dates else None

    def current_until(self, issuer_key_id: str, subject: Certificate) -> datetime:
        """Until when the newest evidence about a certificate of this issuer speaks. Long ago where there is none."""
        ends = [one.until for one in self.evidence(issuer_key_id, subject) if one.until is not None]
        return max(ends, default=LONG_AGO)

    def evidence(self, issuer_key_id: str, subject: Certificate) -> tuple[Evidence, ...]:
        """What speaks about a certificate of this issuer, lists first."""
        found = [
            Evidence("CRL", one.sha256, one.this_update, one.next_update)
            for one in self._of(issuer_key_id)
            if one.is_about(subject)
        ]
        answer = self._answer(issuer_key_id, subject.serial)
        if answer is not None and answer[1].known:
            der, said = answer
            found.append(Evidence("OCSP", hashlib.sha256(der).hexdigest(), said.this_update, said.until))
        return tuple(found)

    def lists_of(self, issuer_key_id: str) -> list[_RevocationList]:
        """The lists of an issuer, those beside too."""
        known = [] if self._beside is None else self._beside.lists_of(issuer_key_id)
        return [*self._of(issuer_key_id), *known]

    def newest_answer(self, issuer_key_id: str, serial: int) -> tuple[bytes, Statement] | None:
        """The newest answer about a certificate, whoever gave it; none where one as new is beside."""
        answers = self._answers.get((issuer_key_id, serial))
        found = answers.newest if answers else None
        newer = None if self._beside is None else self._beside.newest_answer(issuer_key_id, serial)
        if found is not None and newer is not None and _age(found[1]) <= _age(newer[1]):
            return None
        return found

    def _of(self, issuer_key_id: str) -> tuple[_RevocationList, ...]:
        lists = self._lists.get(issuer_key_id)
        return lists.newest if lists else ()

    def _answer(self, issuer_key_id: str, serial: int) -> tuple[bytes, Statement] | None:
        """The newest answer about a certificate, unless its responder is itself not to be believed.

        A delegate that carries no id-pkix-ocsp-nocheck needs a list that speaks for it (RFC 6960 section 4.2.2.2.1).
        """
        found = self.newest_answer(issuer_key_id, serial)
        if found is None or found[1].delegate is None:
            return found
        delegate = found[1].delegate
        lists = [one for one in self.lists_of(issuer_key_id) if one.is_about(delegate.certificate)]
        if any(delegate.certificate.serial in one.revoked for one in lists):
            return None
        spoken_for = any(one.next_update and found[1].this_update <= one.next_update for one in lists)
        return found if delegate.unchecked or spoken_for else None


def is_authentic(crls: tuple[bytes, ...], ocsp: tuple[bytes, ...], issuers: Iterable[Certificate]) -> bool:
    """Whether each of these is readable and by one of these authorities, or its delegate."""
    try:
        RevocationIndex(crls, issuers, ocsp)
    except SigningError:
        return False
    return True


def list_dates(der: bytes, issuers: Iterable[Certificate]) -> tuple[datetime, datetime | None]:
    """As of when a list speaks and when the next one comes. Raises `TrustStoreInvalid`: none of these signed it."""
    RevocationIndex((der,), issuers)
    read = _read(der)
    return read.this_update, read.next_update


_marks = count(1)


@dataclass(frozen=True)
class _ListsOfOne:
    """The lists of one issuer: all that came, in order, and of each scope the newest, which decides."""

    heard: tuple[_RevocationList, ...]
    newest: tuple[_RevocationList, ...]
    mark: int = field(default_factory=lambda: next(_marks))


@dataclass(frozen=True)
class _AnswersAboutOne:
    """The answers about one certificate: all that came, in order, and the newest, which decides."""

    heard: tuple[tuple[bytes, Statement], ...]
    newest: tuple[bytes, Statement]
    mark: int = field(default_factory=lambda: next(_marks))


def _lists_of_one(heard: tuple[_RevocationList, ...]) -> _ListsOfOne:
    newest: dict[bytes, _RevocationList] = {}
    for one in heard:
        if one.scope not in newest or newest[one.scope].age <= one.age:
            newest[one.scope] = one
    return _ListsOfOne(heard, tuple(newest.values()))


def _answers_about_one(heard: tuple[tuple[bytes, Statement], ...]) -> _AnswersAboutOne:
    newest = heard[0]
    for one in heard[1:]:
        if _age(newest[1]) <= _age(one[1]):
            newest = one
    return _AnswersAboutOne(heard, newest)


def _told(statements: tuple[Statement, ...]) -> Told:
    return Told(
        keys=tuple(dict.fromkeys((one.issuer_key_id, one.serial) for one in statements)),
        until=max(one.until for one in statements),
        revokes=any(one.revoked_since is not None for one in statements),
    )


def _lists_by_issuer(
    crls: Iterable[bytes], issuers: tuple[Certificate, ...]
) -> dict[str, tuple[_RevocationList, ...]]:
    by_name: dict[bytes, list[Certificate]] = {}
    for issuer in issuers:
        by_name.setdefault(issuer.subject_name, []).append(issuer)
    found: dict[str, tuple[_RevocationList, ...]] = {}
    for position, der in enumerate(crls):
        try:
            read = _read(der)
            key_id = _issuer_of(read, by_name).key_id
        except TrustStoreInvalid as error:
            raise TrustStoreInvalid(f"CRL {position} {error.message}") from error
        found[key_id] = (*found.get(key_id, ()), read)
    return found


def _age(said: Statement) -> tuple[datetime, bool, datetime]:
    """What orders answers: of one second, that which revokes, then that which speaks longer."""
    return said.this_update, said.revoked_since is not None, said.until


@lru_cache(maxsize=LISTS_KEPT_PARSED)
def _read(der: bytes) -> _RevocationList:
    """Read a list; kept, for a store is made anew whenever one of its lists is. By whom it is comes after."""
    if len(der) > CRL_BYTES_MAX:
        raise TrustStoreInvalid(f"has {len(der)} bytes; the limit is {CRL_BYTES_MAX}")
    try:
        crl = x509.load_der_x509_crl(der)
        point = _scope(crl)
        return _RevocationList(
            der=der,
            issuer_name=crl.issuer.public_bytes(),
            scope=b"" if point is None else point.public_bytes(),
            point=point,
            this_update=crl.last_update_utc,
            number=_number(crl),
            next_update=crl.next_update_utc,
            revoked={entry.serial_number: _revoked_since(entry) for entry in crl},
            loaded=crl,
            sha256=hashlib.sha256(der).hexdigest(),
        )
    except (
        ValueError,
        TypeError,
        UnsupportedAlgorithm,
        x509.DuplicateExtension,
        x509.InvalidVersion,
        x509.UnsupportedGeneralNameType,
    ) as error:
        raise TrustStoreInvalid(f"cannot be read: {error}") from error


def _number(crl: x509.CertificateRevocationList) -> int:
    try:
        return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except x509.ExtensionNotFound:
        return 0


def _scope(crl: x509.CertificateRevocationList) -> x509.IssuingDistributionPoint | None:
    """What part of the issuer's certificates the list is about; None for all of them."""
    scope = None
    for extension in crl.extensions:
        if extension.oid == ExtensionOID.DELTA_CRL_INDICATOR:
            raise TrustStoreInvalid("is a delta list: give complete lists")
        if extension.critical and extension.oid not in _KNOWN_CRITICAL:
            raise TrustStoreInvalid(
                f"has the critical extension {extension.oid.dotted_string}, which is not understood"
            )
        value = extension.value
        if isinstance(value, x509.IssuingDistributionPoint):
            if value.indirect_crl or value.only_some_reasons or value.only_contains_attribute_certs:
                raise TrustStoreInvalid("is indirect or partial: give complete direct lists")
            scope = value
    return scope


def _issuer_of(read: _RevocationList, by_name: dict[bytes, list[Certificate]]) -> Certificate:
    for candidate in by_name.get(read.issuer_name, ()):
        if candidate.key_usages is not None and "crl_sign" not in candidate.key_usages:
            continue
        try:
            if signs_list(candidate, read.loaded):
                return candidate
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise TrustStoreInvalid(f"cannot be read: {error}") from error
    raise TrustStoreInvalid(
        f"of the authority with the key identifier {_key_identifier(read.loaded)} is signed by no anchor or "
        "intermediate of the store: add its issuer's certificate to the intermediates"
    )


def _key_identifier(crl: x509.CertificateRevocationList) -> str:
    """Which key an issuer says it signed with, in hex: a message that is logged names nobody."""
    try:
        stated = crl.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except x509.ExtensionNotFound:
        stated = None
    return stated.hex() if stated else "(none)"


def _revoked_since(entry: x509.RevokedCertificate) -> datetime:
    since = entry.revocation_date_utc
    for extension in entry.extensions:
        if isinstance(extension.value, x509.InvalidityDate):
            since = min(since, extension.value.invalidity_date_utc)
        elif extension.oid == x509.oid.CRLEntryExtensionOID.CERTIFICATE_ISSUER:
            raise TrustStoreInvalid("is indirect: give complete direct lists")
    return since


def _points_of(subject: Certificate) -> set[x509.GeneralName]:
    """Names of the distribution points that a certificate states."""
    try:
        points = subject.loaded.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except (ValueError, x509.ExtensionNotFound):
        return set()
    return {name for point in points for name in point.full_name or ()}
