"""A revocation list of any length, signed by its authority, made in a second: the library's builder takes minutes."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from signing.pki import Authority, Revocation
from tests.support.asn1 import SEQUENCE, Node, der_of
from tests.support.pki import NOW

FIRST_SERIAL: Final = 2**64


def long_list(issuer: Authority, serial: int, length: int) -> bytes:
    """A list since NOW of `length` serial numbers from FIRST_SERIAL on, and `serial` behind them."""
    short = Node.read(issuer.make_crl([Revocation(serial, NOW)], now=NOW))
    tbs = short.children[0]
    lists = [one for one in tbs.children if one.children and one.children[0].tag == SEQUENCE]
    entries = next(one for one in lists if one.tag == SEQUENCE)
    date = entries.children[0].children[1].write()
    numbers = (der_of(0x02, (FIRST_SERIAL + n).to_bytes(9, "big")) for n in range(length))
    many = b"".join(der_of(SEQUENCE, number + date) for number in numbers)
    entries.content, entries.children = many + entries.children[0].write(), []
    signed = tbs.write()
    key = issuer.credential.private_key
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    value = key.sign(signed, ec.ECDSA(hashes.SHA256()))
    return der_of(SEQUENCE, signed + short.children[1].write() + der_of(0x03, b"\0" + value))
