"""Wakes those who wait for events: a mark per registry that moves with every commit."""

from __future__ import annotations

import asyncio


class Watch:
    """Belongs to the event loop; the sequencer's thread moves it through `call_soon_threadsafe`."""

    def __init__(self) -> None:
        self._marks: dict[str, int] = {}
        self._moved: dict[str, asyncio.Event] = {}
        self.is_closed = False

    def mark(self, registry: str) -> int:
        """Where the registry stands; take it before reading, so that nothing between is missed."""
        return self._marks.get(registry, 0)

    def move(self, registry: str) -> None:
        """Something was committed."""
        self._marks[registry] = self.mark(registry) + 1
        event = self._moved.pop(registry, None)
        if event is not None:
            event.set()

    def close(self) -> None:
        """The gateway stops: everybody is woken, and whoever waits again finds this closed."""
        self.is_closed = True
        for registry in list(self._moved):
            self.move(registry)

    async def moved(self, registry: str, since: int, seconds: float) -> bool:
        """Wait until the registry has moved past `since`, at most so long; whether it has."""
        if self.mark(registry) == since:
            try:
                async with asyncio.timeout(seconds):
                    await self._moved.setdefault(registry, asyncio.Event()).wait()
            except TimeoutError:
                return False
        return True
