"""Revocation evidence that travels with a signature: lists and OCSP answers inside a CMS or a PDF.

Whoever signs may staple what he likes: only what an authority of the very chain signed is looked at, and it can only
add to what the store knows. An answer from before a revocation does not outweigh the store's list that names it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from asn1crypto import cms, core, crl, ocsp, pdf
from pyhanko.pdf_utils.reader import PdfFileReader

from signing.certificates import Certificate
from signing.revocation import RevocationIndex, is_authentic

STAPLED_MAX: Final = 32
"""Pieces looked at in one signature."""
STAPLED_BYTES_MAX: Final = 4 * 1024 * 1024

_OCSP_RESPONSE: Final = "1.3.6.1.5.5.7.16.2"  # id-ri-ocsp-response, RFC 5940
_ADOBE: Final = "1.2.840.113583.1.1.8"
_CADES: Final = "1.2.840.113549.1.9.16.2.24"  # id-aa-ets-revocationValues


@dataclass(frozen=True)
class Stapled:
    """DER of lists and of OCSP responses, as they came."""

    crls: tuple[bytes, ...] = ()
    ocsp: tuple[bytes, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.crls or self.ocsp)

    def index(
        self, authorities: Sequence[Certificate], beside: RevocationIndex | None = None
    ) -> RevocationIndex:
        """What of it is authentic: signed by one of these, or by a delegate of theirs; `beside` may know the delegate
        as revoked, or a newer answer.
        """
        crls = tuple(der for der in self.crls if is_authentic((der,), (), authorities))
        ocsp = tuple(der for der in self.ocsp if is_authentic((), (der,), authorities))
        return RevocationIndex(crls, authorities, ocsp, beside)

    def __or__(self, other: Stapled) -> Stapled:
        """Both, as much as is looked at, the first ones first."""
        return _limited(self.crls + other.crls, self.ocsp + other.ocsp)


NOTHING_STAPLED: Final = Stapled()


def stapled_in_cms(der: bytes) -> Stapled:
    """What a DER ContentInfo of SignedData brings along, in whichever of the places people put it:

    the field `crls` (RFC 5652 section 10.2.1, RFC 5940), the signed attribute of Adobe
    (adbe-revocationInfoArchival, ISO 32000-2 section 12.8.3.3.2), the unsigned one of CAdES (revocation-values, ETSI
    EN 319 122-1 section A.1.2). What cannot be read is passed over: it is no part of what was signed for us.
    """
    crls: list[bytes] = []
    answers: list[bytes] = []
    try:
        signed_data = cms.ContentInfo.load(der)["content"]
        for choice in signed_data["crls"]:
            if choice.name == "crl":
                crls.append(choice.chosen.dump())
            elif choice.chosen["other_rev_info_format"].dotted == _OCSP_RESPONSE:
                answers.append(choice.chosen["other_rev_info"].dump())
        for signer in signed_data["signer_infos"]:
            for value in _values(signer["signed_attrs"], _ADOBE):
                archive = value if isinstance(value, pdf.RevocationInfoArchival) else value.parsed
                crls += [one.dump() for one in archive["crl"]]
                answers += [one.dump() for one in archive["ocsp"]]
            for value in _values(signer["unsigned_attrs"], _CADES):
                kept = _RevocationValues.load(value.dump())
                crls += [one.dump() for one in kept["crl_vals"]]
                answers += [_as_response(one) for one in kept["ocsp_vals"]]
    except Exception:  # a lazy parser of foreign bytes may raise nearly anything
        return NOTHING_STAPLED
    return _limited(tuple(crls), tuple(answers))


def stapled_in_pdf(reader: PdfFileReader) -> Stapled:
    """What the document security store of a PDF holds (ISO 32000-2 section 12.8.4.3), unsigned as it is."""
    try:
        store = reader.root["/DSS"]
        found = {
            key: tuple(one.get_object().data for one in list(store[key])[:STAPLED_MAX])
            if key in store
            else ()
            for key in ("/CRLs", "/OCSPs")
        }
    except MemoryError:
        raise
    except Exception:  # none there, or damaged: as in stapled_in_cms
        return NOTHING_STAPLED
    return _limited(found["/CRLs"], found["/OCSPs"])


class _Lists(core.SequenceOf):  # type: ignore[misc]  # the library has no types
    _child_spec = crl.CertificateList


class _BasicAnswers(core.SequenceOf):  # type: ignore[misc]
    _child_spec = ocsp.BasicOCSPResponse


class _RevocationValues(core.Sequence):  # type: ignore[misc]
    """RevocationValues of ETSI EN 319 122-1; its answers lack their outer shell."""

    _fields = [  # how the library is told a structure
        ("crl_vals", _Lists, {"explicit": 0, "optional": True}),
        ("ocsp_vals", _BasicAnswers, {"explicit": 1, "optional": True}),
        ("other_rev_vals", core.Any, {"explicit": 2, "optional": True}),
    ]


def _values(attributes: Any, oid: str) -> Iterator[Any]:
    for attribute in attributes:
        if attribute["type"].dotted == oid:
            yield from attribute["values"]


def _as_response(basic: Any) -> bytes:
    shell = {"response_type": "basic_ocsp_response", "response": basic}
    encoded: bytes = ocsp.OCSPResponse({"response_status": "successful", "response_bytes": shell}).dump()
    return encoded


def _limited(crls: tuple[bytes, ...], answers: tuple[bytes, ...]) -> Stapled:
    """Answers first, for they are small."""
    budget = STAPLED_BYTES_MAX
    kept: tuple[list[bytes], list[bytes]] = ([], [])
    for one, ders in zip(kept, (answers, crls), strict=True):
        for der in ders[:STAPLED_MAX]:
            budget -= len(der)
            if budget >= 0:
                one.append(der)
    return Stapled(tuple(kept[1]), tuple(kept[0]))
