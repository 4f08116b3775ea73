"""Signed papers by the thousand: one is signed by pyHanko, the others are made of its bytes and signed anew.

A paper of the same length with other bytes needs the same structure, another digest and another signature value. So
each is a real PDF with real PAdES signatures of the same signers, as the check finds, for a fraction of the time.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from asn1crypto import cms

from signing.seal import append_signature
from signing.signer import Signer
from tests.support.pdf_files import attachment, make_pdf, stream

_RANGE = re.compile(rb"/ByteRange ?\[ ?(\d+) (\d+) (\d+) (\d+)")
_NUMBER = b"paper-00000000"
_SCAN = b"/Type/XObject/Subtype/Image/Width 1/Height 1/ColorSpace/DeviceGray/BitsPerComponent 8"


@dataclass(frozen=True)
class _Signature:
    """Where things are: the bytes signed, the hexadecimal CMS, and in the CMS digest, attributes and value."""

    before: slice
    after: slice
    start: int
    message: bytes
    digest: int
    attributes: slice
    value: slice
    signer: Signer

    def renew(self, data: bytearray) -> None:
        """Sign the bytes as they are now."""
        content = memoryview(data)
        digest = hashlib.sha256(content[self.before])
        digest.update(content[self.after])
        message = bytearray(self.message)
        message[self.digest : self.digest + 32] = digest.digest()
        attributes = b"\x31" + bytes(message[self.attributes])[1:]  # signed as a SET OF (RFC 5652, 5.4)
        size = self.value.stop - self.value.start
        while len(value := self.signer.sign(attributes)) != size:  # a DER signature has one of a few lengths
            pass
        message[self.value] = value
        content.release()
        data[self.start : self.start + 2 * len(message)] = message.hex().encode()


class Template:
    """A signed paper of which others are made."""

    def __init__(
        self, title: str, signers: Sequence[Signer], *, terms: bytes = b"", scan: bytes = b"", at: dt.datetime
    ) -> None:
        """`terms` are embedded as terms.bin; `scan` is the image of a page, for papers whose size is the point."""
        catalog, objects = attachment(b"terms.bin", terms) if terms else (b"", {})
        page = b""
        if scan:
            objects[20] = stream(scan, _SCAN)
            page = b"/Thumb 20 0 R"
        text = title.encode("ascii") + b" " + _NUMBER
        data = make_pdf(text=text, catalog=catalog, page=page, objects=objects)
        for signer in signers:
            data = append_signature(data, signer, reason="sign", at=at)
        self._terms = terms
        self._data = data
        self._number = data.index(_NUMBER)
        self._signatures = [
            _signature(data, m, s) for m, s in zip(_RANGE.finditer(data), signers, strict=True)
        ]

    def paper(self, number: int, *, terms: bytes = b"") -> bytes:
        """Paper `number`, with these terms in the place of the template's."""
        data = bytearray(self._data)
        data[self._number : self._number + len(_NUMBER)] = b"paper-%08d" % number
        if terms:
            assert len(terms) == len(self._terms)
            at = data.index(self._terms)
            data[at : at + len(terms)] = terms
        for signature in self._signatures:  # in order: a later one signs the earlier ones too
            signature.renew(data)
        return bytes(data)


def _signature(data: bytes, found: re.Match[bytes], signer: Signer) -> _Signature:
    start, length, second, rest = (int(number) for number in found.groups())
    before, after = slice(start, start + length), slice(second, second + rest)
    at = start + length + 1  # after the opening bracket of the hexadecimal string
    padded = bytes.fromhex(data[at : second - 1].decode())
    content = cms.ContentInfo.load(padded)  # padded with zeros to the room that was reserved
    message = content.dump()
    signer_info = content["content"]["signer_infos"][0]
    attributes = signer_info["signed_attrs"].untag().dump()
    digest = hashlib.sha256(data[before] + data[after]).digest()
    value = signer_info["signature"].native
    where = message.index(attributes[1:]) - 1
    signed = message.rindex(value)
    return _Signature(
        before,
        after,
        at,
        message,
        message.index(digest),
        slice(where, where + len(attributes)),
        slice(signed, signed + len(value)),
        signer,
    )
