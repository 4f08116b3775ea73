"""The pre-authentication encoding can be read back, and nothing else can be read as one."""

from __future__ import annotations

import pytest

from signing.envelope import pae, split_pae
from signing.errors import EnvelopeMalformed


@pytest.mark.parametrize("payload", [b"", b" ", b"1 2 3", bytes(range(256)), b"DSSEv1 1 a 1 b"])
def test_encoding_read_back_gives_type_and_payload(payload: bytes) -> None:
    """Spaces and digits in the payload do not confuse the reader."""
    assert split_pae(pae("a/b", payload)) == ("a/b", payload)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"DSSEv1",
        b"DSSEv2 3 a/b 1 x",
        b"DSSEv1 03 a/b 1 x",
        b"DSSEv1 +3 a/b 1 x",
        b"DSSEv1 3 a/b 2 x",
        b"DSSEv1 3 a/b 1 xx",
        b"DSSEv1 -3 a/b 1 x",
        b"DSSEv1  3 a/b 1 x",
        b"DSSEv1 2 \xff\xff 1 x",
        b"DSSEv1 " + b"9" * 5000 + b" a 1 x",
    ],
)
def test_encoding_of_another_form_is_malformed(message: bytes) -> None:
    """There is exactly one encoding of each type and payload."""
    with pytest.raises(EnvelopeMalformed):
        split_pae(message)
