"""DER as a tree that can be spoilt in one place and written again with every length around it right.

A flipped byte mostly breaks a length and tests one line of a parser. A tree reaches what lies behind it: a missing
field, a second one, another type, a number of a thousand bytes, ten thousand levels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Final

SEQUENCE: Final = 0x30
_CONSTRUCTED: Final = 0x20


@dataclass
class Node:
    """One element: its tag, and children or content."""

    tag: int
    content: bytes = b""
    children: list[Node] = field(default_factory=list)

    @classmethod
    def read(cls, der: bytes) -> Node:
        """The element that `der` is."""
        ((tag, content),) = _elements(der)
        children = [cls.read(der_of(t, c)) for t, c in _elements(content)] if tag & _CONSTRUCTED else []
        return cls(tag, content, children)

    def write(self) -> bytes:
        """Its DER."""
        inner = b"".join(one.write() for one in self.children) if self.children else self.content
        return der_of(self.tag, inner)

    def walk(self) -> Iterator[Node]:
        """It and all below it."""
        yield self
        for child in self.children:
            yield from child.walk()


def der_of(tag: int, content: bytes) -> bytes:
    """Tag, length in its shortest form, content."""
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def nested(levels: int) -> bytes:
    """Sequences in sequences."""
    der = b"\x05\x00"
    for _ in range(levels):
        der = der_of(SEQUENCE, der)
    return der


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        tag, size, at = data[at], data[at + 1], at + 2
        if size & 0x80:
            count = size & 0x7F
            size, at = int.from_bytes(data[at : at + count], "big"), at + count
        yield tag, data[at : at + size]
        at += size


def spoil(der: bytes, seed: int) -> bytes:
    """`der` with one element changed, which and how by `seed`."""
    random = Random(seed)
    root = Node.read(der)
    nodes = list(root.walk())
    random.choice(_WAYS)(random.choice(nodes), random.choice(nodes), random)
    return root.write()


def _other_tag(node: Node, _: Node, random: Random) -> None:
    node.tag = random.choice(
        [0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0C, 0x13, 0x17, 0x18, 0x30, 0x31, 0xA0, 0x80]
    )


def _empty(node: Node, _: Node, random: Random) -> None:
    node.content, node.children = b"", []


def _huge(node: Node, _: Node, random: Random) -> None:
    node.content, node.children = random.randbytes(random.choice([1, 20, 21, 129, 1025, 8000])), []


def _deep(node: Node, _: Node, random: Random) -> None:
    node.content, node.children = nested(random.choice([8, 200, 3000])), []


def _flip(node: Node, _: Node, random: Random) -> None:
    if node.content and not node.children:
        at = random.randrange(len(node.content))
        node.content = node.content[:at] + random.randbytes(1) + node.content[at + 1 :]


def _drop_child(node: Node, _: Node, random: Random) -> None:
    if node.children:
        node.children.pop(random.randrange(len(node.children)))
        node.content = b""


def _double_child(node: Node, _: Node, random: Random) -> None:
    if node.children:
        node.children.append(random.choice(node.children))


def _swap_children(node: Node, _: Node, random: Random) -> None:
    random.shuffle(node.children)


def _crowd(node: Node, other: Node, random: Random) -> None:
    if node.children:
        node.children = node.children * random.choice([3, 50])


def _take_from_elsewhere(node: Node, other: Node, random: Random) -> None:
    node.tag, node.content, node.children = other.tag, b"" if other.children else other.content, []
    if other.children:
        node.content = b"".join(one.write() for one in other.children)


_WAYS: Final[list[Callable[[Node, Node, Random], None]]] = [
    _other_tag,
    _empty,
    _huge,
    _deep,
    _flip,
    _drop_child,
    _double_child,
    _swap_children,
    _crowd,
    _take_from_elsewhere,
]
