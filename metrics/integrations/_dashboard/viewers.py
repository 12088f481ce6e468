"""Viewers of a live page: their queues of messages, each bounded."""

import asyncio
from collections import deque
from typing import final

MOST_WAITING = 64
"""Messages that wait for a client; one that reads less is ended."""


@final
class Viewer:
    """Queue of one open stream. For one event loop.

    Args:
        since: the beginning of the stream, on the clock of the event loop.
    """

    __slots__ = ("_changed", "_queue", "cut", "is_complete", "last_sent", "since")

    def __init__(self, since: float) -> None:
        self.since = since
        # The time of the last message, or comment.
        self.last_sent = since
        self._queue: deque[bytes] = deque()
        self._changed = asyncio.Event()
        # Whether the queue has its last message.
        self.is_complete = False
        # Set when the client reads too slowly: its connection is abandoned in the middle.
        self.cut = asyncio.Event()

    def put(self, data: bytes, now: float) -> None:
        """Queue a message; cut the stream if too many wait."""
        if self.is_complete:
            return
        if len(self._queue) >= MOST_WAITING:
            self._queue.clear()
            self.is_complete = True
            self.cut.set()
            return
        self.last_sent = now
        self._queue.append(data)
        self._changed.set()

    def complete(self) -> None:
        """End the stream after the queued messages."""
        self.is_complete = True
        self._changed.set()

    async def take(self) -> bytes | None:
        """Return all queued messages, waiting for one; None at the end."""
        while not self._queue:
            if self.is_complete:
                return None
            self._changed.clear()
            await self._changed.wait()
        data = b"".join(self._queue)
        self._queue.clear()
        return data
