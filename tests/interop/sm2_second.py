"""A second SM2, from GB/T 32918 with nothing but integers and Python's SM3: slow, and only for tests.

It signs under any user id and with any nonce, which the library under test does not, so that what must be refused
can be made.
"""

from __future__ import annotations

import hashlib
import re

from asn1crypto import cms, core

P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
A = P - 3
B = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
N = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
G = (
    0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7,
    0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0,
)

Point = tuple[int, int] | None


def add(one: Point, two: Point) -> Point:
    """The sum of two points; None is the point at infinity."""
    if one is None or two is None:
        return one or two
    (x1, y1), (x2, y2) = one, two
    if x1 == x2 and (y1 + y2) % P == 0:
        return None
    slope = (3 * x1 * x1 + A) * pow(2 * y1, -1, P) if one == two else (y2 - y1) * pow(x2 - x1, -1, P)
    x3 = (slope * slope - x1 - x2) % P
    return x3, (slope * (x1 - x3) - y1) % P


def multiply(factor: int, point: Point) -> Point:
    """`factor` times a point."""
    total: Point = None
    while factor:
        if factor & 1:
            total = add(total, point)
        point = add(point, point)
        factor >>= 1
    return total


def public_point(private_key: int) -> tuple[int, int]:
    """The point of a private key."""
    point = multiply(private_key, G)
    assert point is not None
    return point


def sm3(data: bytes) -> bytes:
    """SM3 (GB/T 32905) by Python's OpenSSL."""
    return hashlib.new("sm3", data).digest()


def z_of(user_id: bytes, point: tuple[int, int]) -> bytes:
    """GB/T 32918.2 section 5.5: the hash that binds id, curve and key."""
    numbers = b"".join(one.to_bytes(32, "big") for one in (A, B, *G, *point))
    return sm3((8 * len(user_id)).to_bytes(2, "big") + user_id + numbers)


def e_of(user_id: bytes, point: tuple[int, int], message: bytes) -> int:
    """Section 6.1, steps A1 and A2."""
    return int.from_bytes(sm3(z_of(user_id, point) + message), "big")


def sign(private_key: int, user_id: bytes, message: bytes, k: int) -> tuple[int, int]:
    """Section 6.1 with the nonce k."""
    kg = multiply(k, G)
    assert kg is not None
    r = (e_of(user_id, public_point(private_key), message) + kg[0]) % N
    s = pow(1 + private_key, -1, N) * (k - r * private_key) % N
    assert r not in (0, N - k)
    assert s != 0
    return r, s


def holds(point: tuple[int, int], user_id: bytes, message: bytes, r: int, s: int) -> bool:
    """Section 7.1."""
    t = (r + s) % N
    if not (0 < r < N and 0 < s < N and t):
        return False
    found = add(multiply(s, G), multiply(t, point))
    return found is not None and (e_of(user_id, point, message) + found[0]) % N == r


def holds_in_pdf(pdf: bytes) -> bool:
    """Whether the last signature of a PDF is SM2 with SM3 over the rest of the file, under the default user id.

    Read by asn1crypto, which has no part in the code under test. Certificates are not judged.
    """
    found = list(re.finditer(rb"/ByteRange \[(\d+) (\d+) (\d+) (\d+)\s*\]", pdf))[-1]
    _, length, after, rest = (int(one) for one in found.groups())
    assert after + rest == len(pdf)
    container = cms.ContentInfo.load(bytes.fromhex(pdf[length + 1 : after - 1].decode()))
    assert container["content_type"].dotted == "1.2.156.10197.6.1.4.2.2"
    signed = container["content"].parse(spec=cms.SignedData)
    [signer] = signed["signer_infos"]
    [certificate] = [
        one.chosen
        for one in signed["certificates"]
        if one.chosen.serial_number == signer["sid"].chosen["serial_number"].native
    ]
    point = certificate["tbs_certificate"]["subject_public_key_info"]["public_key"].contents[1:]
    covered = pdf[:length] + pdf[after:]
    attributes = signer["signed_attrs"]
    message = covered
    if len(attributes):
        [digest] = [one["values"][0].native for one in attributes if one["type"].native == "message_digest"]
        if digest != sm3(covered):
            return False
        message = b"\x31" + attributes.dump()[1:]
    value = core.SequenceOf.load(signer["signature"].native, spec=core.Integer)
    r, s = (one.native for one in value)
    xy = int.from_bytes(point[1:33], "big"), int.from_bytes(point[33:65], "big")
    return holds(xy, b"1234567812345678", message, r, s)
