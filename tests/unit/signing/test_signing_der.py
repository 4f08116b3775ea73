"""DER is read in its one encoding and written in it."""

from __future__ import annotations

import pytest

from signing import der
from signing.errors import SignatureMalformed


@pytest.mark.parametrize(
    ("dotted", "encoded"),
    [
        ("1.2.840.113549.1.7.2", "06092a864886f70d010702"),
        ("1.2.156.10197.6.1.4.2.2", "060a2a811ccf550601040202"),
        ("2.16.840.1.101.3.4.2.1", "0609608648016503040201"),
        ("2.999.3", "0603883703"),
        ("0.4.0", "06020400"),
    ],
)
def test_object_identifiers_are_read_and_written(dotted: str, encoded: str) -> None:
    """X.690 section 8.19, arcs of several bytes and a first arc of two included."""
    assert der.encode_oid(dotted).hex() == encoded
    assert der.oid_of(der.element_of(bytes.fromhex(encoded)), "x") == dotted


@pytest.mark.parametrize("encoded", ["0600", "060280", "0603550480", "06032a8001", "0621" + "2a" * 33])
def test_object_identifiers_of_another_spelling_are_refused(encoded: str) -> None:
    """Empty, unended, with leading zeros, over the limit."""
    with pytest.raises(SignatureMalformed):
        der.oid_of(der.element_of(bytes.fromhex(encoded)), "x")


@pytest.mark.parametrize("value", [0, 1, 127, 128, 255, 256, 2**64, 2**255 - 1])
def test_integers_are_read_and_written(value: int) -> None:
    """In as few bytes as possible, and positive."""
    assert der.integer_of(der.element_of(der.encode_integer(value)), "x") == value


@pytest.mark.parametrize("encoded", ["0200", "02020001", "0202ff80", "0241" + "01" * 65])
def test_integers_of_another_spelling_are_refused(encoded: str) -> None:
    """Empty, padded, over the limit."""
    with pytest.raises(SignatureMalformed):
        der.integer_of(der.element_of(bytes.fromhex(encoded)), "x")


@pytest.mark.parametrize(
    "encoded",
    [
        "048105" + "00" * 5,  # a length below 128 in the long form
        "04820005" + "00" * 5,  # with a leading zero
        "0480" + "00" * 4,  # indefinite
        "048500000000010000",  # of five bytes
        "0402ff",  # longer than what is there
        "1f8100",  # a tag of several bytes
    ],
)
def test_lengths_and_tags_of_another_spelling_are_refused(encoded: str) -> None:
    """One structure, one encoding."""
    with pytest.raises(SignatureMalformed):
        der.element_of(bytes.fromhex(encoded))


@pytest.mark.parametrize("size", [0, 1, 127, 128, 255, 256, 65535, 65536])
def test_what_is_written_is_read(size: int) -> None:
    """Short and long lengths."""
    one = der.element_of(der.encode(der.OCTET_STRING, bytes(size)))
    assert one.content == bytes(size)


def test_children_are_counted_and_stay_inside() -> None:
    """No more than were asked for, none that reaches out of its parent, none in a primitive."""
    three = der.element_of(der.encode(der.SEQUENCE, *[der.encode_integer(one) for one in range(3)]))
    assert [der.integer_of(one, "x") for one in der.children(three, 3)] == [0, 1, 2]
    with pytest.raises(SignatureMalformed, match="more than 2"):
        der.children(three, 2)
    with pytest.raises(SignatureMalformed, match="longer than"):
        der.children(der.element_of(bytes.fromhex("3003040500")), 9)
    with pytest.raises(SignatureMalformed, match="holds no others"):
        der.children(der.element_of(der.encode_integer(1)), 9)


def test_set_members_are_written_in_order() -> None:
    """X.690 section 11.6."""
    assert der.encode_set(der.SET, [b"\x02\x01\x09", b"\x02\x01\x01"]).hex() == "3106020101020109"


def test_indefinite_lengths_become_definite() -> None:
    """Outer ones only: what has a length is copied byte for byte, and segments of octets are joined."""
    kept = "30050481020000"  # a wrong length inside something definite is not mended
    data = bytes.fromhex(f"3080{kept}2480040201020401030000" + "0000" + "aa")
    assert der.definite(data).hex() == "300c" + kept + "0403010203" + "aa"
    assert der.definite(bytes.fromhex("30020500")).hex() == "30020500"
    for cut in range(2, len(data) - 1):
        with pytest.raises(SignatureMalformed):
            der.definite(data[:cut])
