"""Commands of a stream are queued in stream order, however their verification ends."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.rpc.verifier import StreamOrder


class _Queue:
    """Stands where the sequencer stands; keeps what it was given."""

    def __init__(self) -> None:
        self.taken: list[Any] = []

    def take(self, item: Any) -> None:
        """Keep the item."""
        self.taken.append(item)


@given(st.permutations(range(8)), st.sets(st.integers(0, 7)))
def test_stream_order_holds_for_every_order_of_verification(ends: list[int], refused: set[int]) -> None:
    """Whatever order verification ends in, commands are queued in the order of their turns, refused ones skipped."""
    queue = _Queue()
    order = StreamOrder(queue)  # type: ignore[arg-type]
    turns = [order.turn() for _ in ends]
    for place in ends:
        order.settle(turns[place], None if place in refused else place)  # type: ignore[arg-type]
    assert queue.taken == [turn for turn in turns if turn not in refused]


def test_stream_order_holds_back_until_the_one_before_is_settled() -> None:
    """A command verified early waits for its predecessor."""
    queue = _Queue()
    order = StreamOrder(queue)  # type: ignore[arg-type]
    first, second = order.turn(), order.turn()
    order.settle(second, "second")  # type: ignore[arg-type]
    assert queue.taken == []
    order.settle(first, "first")  # type: ignore[arg-type]
    assert queue.taken == ["first", "second"]
