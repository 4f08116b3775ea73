"""From the working set to what a decision reads: a `World`, and the papers of a case as found."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable

import msgspec
from msgspec.structs import replace

from gateway.applications.daily import counter_of_day, per_day_of
from gateway.applications.events import counter_name
from gateway.cases.errors import CommandRefused
from gateway.cases.model import (
    Application,
    FileReference,
    Manifest,
    OpenCase,
    Paper,
    PaperBrought,
    PaperSignature,
    World,
)
from gateway.register.authority import Institution
from gateway.register.calendar import CHINA
from gateway.register.model import UnitState, certificate_numbers
from gateway.storage import tables as t
from gateway.storage.working import Wants, Working
from signing.certificates import IdentityKind
from signing.trust import Purpose, TrustStore
from signing.verdict import FileVerdict, SignatureVerdict

_decode_verdict = msgspec.json.Decoder(FileVerdict).decode


class RegistryNotReady(CommandRefused):
    """The registry has no profile yet."""

    reason = "REGISTRY_NOT_FOUND"


def wants_of(manifest: Manifest) -> Wants:
    """What deciding this submission will read."""
    header = manifest.header
    channel = header.channel_institution
    codes = set(manifest.terms.unit_codes)
    return Wants(
        requests={(channel, header.request_id)},
        units=codes,
        files={(channel, f.sha256) for f in manifest.files},
        papers={f.sha256 for f in manifest.files},
        applications=set(_named(manifest).values()),
        certificate_numbers=_proof_numbers(manifest),
        counters=_counters(manifest, header.created_at),
    )


def wants_of_case(manifest: Manifest, row: Application, now: dt.datetime) -> Wants:
    """What deciding a later act on this case will read."""
    wants = wants_of(manifest)
    wants.requests = set()
    wants.applications.add(row.application_id)
    wants.files |= {(b.institution, b.reference.sha256) for b in row.brought}
    wants.papers |= {b.reference.sha256 for b in row.brought}
    wants.counters |= _counters(manifest, now, row.institutions)
    return wants


def world_of(
    working: Working, manifest: Manifest, now: dt.datetime, institutions: Iterable[str] = ()
) -> World:
    """Everything that deciding on this manifest may read, as of the batch's transaction.

    `institutions` are those who are told besides the ones that the manifest names.
    """
    settings = working.settings
    if settings.profile is None:
        raise RegistryNotReady(
            f"登记机构 {working.registry} 尚未设立", f"registry {working.registry} has not been set up"
        )
    units: dict[str, UnitState] = {}
    open_cases: dict[str, tuple[OpenCase, ...]] = {}
    for code in manifest.terms.unit_codes:
        state = working.unit_state(code)
        if state is not None:
            units[code] = state
            open_cases[code] = working.open_cases(code)
    shared = {
        code for state in units.values() for right in state.rights for code in right.units
    } - units.keys()
    related = {code: state for code in sorted(shared) if (state := working.unit_state(code)) is not None}
    named = {name: working.application(key) for name, key in _named(manifest).items()}
    case_id = _named(manifest).get(manifest.header.case, "")
    numbers = _proof_numbers(manifest)
    for state in units.values():
        numbers |= certificate_numbers(state.rights)
    certificates = working.certificate_identifiers(numbers)
    holders = {i: working.certificate_holders(i) for i in certificates.values()}
    told = (*institutions, *(uscc for several in holders.values() for uscc in several))
    counters = _counters(manifest, now, told)
    if per_day_of(settings.profile, settings.institutions.get(manifest.header.channel_institution)):
        counters.add(counter_of_day(manifest.header.channel_institution, now))
    return World(
        registry=working.registry,
        profile=settings.profile,
        rules=settings.rules,
        calendar=settings.calendar_in_force,
        units=units,
        related=related,
        open_cases=open_cases,
        institutions=settings.institutions,
        counters={name: working.counter(name) for name in counters},
        certificates_by_number=certificates,
        certificate_holders=holders,
        named={name: row for name, row in named.items() if row is not None},
        phases=working.phases(case_id) if case_id else (),
        feed_gap=settings.feed.is_gap(settings.profile.counter_feed_max_lag_minutes, now),
    )


def papers_of(
    working: Working,
    manifest: Manifest,
    trust: TrustStore,
    now: dt.datetime,
    own: str = "",
    brought: Iterable[PaperBrought] = (),
) -> tuple[Paper, ...]:
    """The files of a case: the verdict of their check, their signers as of now, what else they back.

    `own` is the case's application once it has one: its own papers back it, which is as it should be. `brought` are
    the files of later acts, each in the name space of whoever brought it.
    """
    channel = manifest.header.channel_institution
    named = [(channel, reference) for reference in manifest.files]
    named += [(b.institution, b.reference) for b in brought]
    return tuple(_paper(working, by, reference, trust, now, own) for by, reference in named)


def _paper(
    working: Working, channel: str, reference: FileReference, trust: TrustStore, now: dt.datetime, own: str
) -> Paper:
    row = working.row(t.file, channel, reference.sha256)
    if row is None or row["size_bytes"] != reference.size_bytes:
        return Paper(reference=reference, found=False)
    verdict = _decode_verdict(row["verdict"])
    bound = working.row(t.paper, reference.sha256)
    backs = bound["application_id"] if bound is not None and bound["is_open"] else ""
    institutions = tuple(working.settings.institutions.values())
    found = read_paper(
        reference,
        verdict,
        lambda signature: not stands(signature, trust, now) or is_by_ended_key(signature, institutions),
    )
    return replace(found, backs="" if backs == own else backs)


def read_paper(
    reference: FileReference, verdict: FileVerdict, is_revoked: Callable[[SignatureVerdict], bool]
) -> Paper:
    """What a decision reads of a file's verdict. `is_revoked` says which of its signatures no longer count."""
    return Paper(
        reference=reference,
        problems=tuple(f"{p.zh} / {p.en}" for p in verdict.problems),
        signatures=tuple(
            PaperSignature(
                legal=s.identity.kind is IdentityKind.LEGAL,
                number=s.identity.number,
                issuer_key_id=s.issuer_key_id,
                serial=s.serial,
                revoked=is_revoked(s),
            )
            for s in verdict.signatures
        ),
        terms_sha256=verdict.attachments.get("terms.bin", ""),
        over=verdict.over,
    )


def stands(signature: SignatureVerdict, trust: TrustStore, now: dt.datetime) -> bool:
    """Whether a signature judged at upload may still be relied on: its anchor trusted, no link of its chain revoked.

    Where a time stamp proves when it was made, what was revoked after that does not touch it; else what is now does. A
    stamp proves nothing any more once its authority is revoked: a stolen key could date back (as `signing.timestamp`
    judges it at an upload).
    """
    at = signature.proven_at if signature.proven_at and _stamp_stands(signature, trust, now) else now
    return trust.is_anchor(signature.anchor, signature.purpose) and not any(
        trust.is_revoked(link.issuer_key_id, int(link.serial), at) for link in signature.chain
    )


def is_by_ended_key(signature: SignatureVerdict, institutions: Iterable[Institution]) -> bool:
    """Whether a file was signed by an institution's registered key outside of that key's term: it seals no more papers
    than it signs envelopes, which are judged at their receipt too. Keys that nobody registered have no term here.
    """
    return any(
        key.key_id == signature.key_id and not key.is_usable(signature.judged_at)
        for institution in institutions
        for key in institution.keys
    )


def _stamp_stands(signature: SignatureVerdict, trust: TrustStore, now: dt.datetime) -> bool:
    by = signature.stamped_by
    if by is None:  # kept before verdicts told it: nothing to ask by
        return True
    return trust.is_anchor(by.anchor, Purpose.TSA) and not any(
        trust.is_revoked(link.issuer_key_id, int(link.serial), now) for link in by.chain
    )


def _proof_numbers(manifest: Manifest) -> set[str]:
    """Numbers of the proofs by which the operations name existing rights."""
    return {
        proof.number for op in manifest.terms.operations if (proof := getattr(op, "proof", None)) is not None
    }


def _named(manifest: Manifest) -> dict[str, str]:
    """Applications of this registry that the header names: resource name -> id."""
    header = manifest.header
    head = f"registries/{header.registry}/applications/"
    names = (header.case, header.supersedes)
    return {name: name.removeprefix(head) for name in names if name.startswith(head)}


def _counters(manifest: Manifest, now: dt.datetime, institutions: Iterable[str] = ()) -> set[str]:
    """The gap-free counters that this case may move."""
    year = now.astimezone(CHINA).year
    header = manifest.header
    told = (header.channel_institution, header.applicant_institution, *manifest.terms.institution_codes)
    names = {"case", *map(counter_name, told), *map(counter_name, institutions)}
    for code in manifest.terms.unit_codes:
        names.update(f"certificate/{kind}/{code[:6]}/{year}" for kind in ("PROOF", "TITLE"))
    return names
