"""What waits to be delivered: bounded, and the oldest gives way."""

from collections import deque
from typing import final

from metrics.exporters._encoding.units import size_text


@final
class Outbox:
    """Payloads in the order in which they were made. For one thread.

    Args:
        payloads: how many are kept at most.
        size: how many bytes are kept at most, all payloads together.
    """

    __slots__ = ("_held", "_limit", "_size", "_waiting")

    def __init__(self, payloads: int, size: int) -> None:
        self._limit = payloads
        self._size = size
        self._held = 0
        self._waiting: deque[bytes] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def limits(self) -> str:
        """What is kept at most, in words."""
        if self.newest_only:
            return f"the newest payload alone, up to {size_text(self._size)}"
        return f"up to {self._limit} payloads or {size_text(self._size)}"

    @property
    def newest_only(self) -> bool:
        """Whether a payload takes the place of the one before it."""
        return self._limit == 1

    def has_room(self, payload: bytes) -> bool:
        """Return whether nothing has to go for a payload."""
        return len(self._waiting) < self._limit and self._held + len(payload) <= self._size

    def add(self, payload: bytes) -> int:
        """Add a payload; return how many had to go for it, itself included if it is too large."""
        if len(payload) > self._size:
            return 1
        self._waiting.append(payload)
        self._held += len(payload)
        dropped = 0
        while len(self._waiting) > self._limit or self._held > self._size:
            self.remove()
            dropped += 1
        return dropped

    def oldest(self) -> bytes | None:
        """Return what is to be delivered next, if there is something."""
        return self._waiting[0] if self._waiting else None

    def remove(self) -> None:
        """Remove the oldest payload.

        Raises:
            IndexError: there is none.
        """
        self._held -= len(self._waiting.popleft())

    def clear(self) -> int:
        """Remove everything; return how many payloads that were."""
        waiting = len(self._waiting)
        self._waiting.clear()
        self._held = 0
        return waiting
