"""Beats of a hub: ticks of the registry's ticker, passed on to the event loop of the hub."""

import asyncio
from collections.abc import Callable
from math import ceil
from typing import final

from metrics import _fork
from metrics.instruments._inner import INTERVAL, TickSource
from metrics.registry import Registry

SHORTEST = 1.0
"""Fewest seconds between two beats: of faster ticks every second, third, ... one is taken."""


@final
class Beat:
    """Member of a ticker that calls a function in an event loop.

    Args:
        ticker: the ticker.
        loop: the event loop.
        function: called in it at every beat.
        abandon: called in the ticker's thread when the loop was closed.
    """

    __slots__ = ("_abandon", "_every", "_function", "_generation", "_loop", "_ticker", "_ticks")

    def __init__(
        self,
        ticker: TickSource,
        loop: asyncio.AbstractEventLoop,
        function: Callable[[], object],
        abandon: Callable[[], object],
    ) -> None:
        self._abandon = abandon
        self._ticker = ticker
        self._loop = loop
        self._function = function
        self._generation = _fork.generation
        self._every = ticks_of_beat(ticker)
        self._ticks = 0
        ticker.add(self)

    def tick(self) -> None:
        """Call the function in the event loop. The ticker calls this."""
        if self._generation != _fork.generation:
            # The event loop is the parent's; its memory here is a copy.
            self.end()
            return
        self._ticks += 1
        if self._ticks % self._every:
            return
        try:
            self._loop.call_soon_threadsafe(self._function)
        except RuntimeError:
            self.end()
            self._abandon()

    def end(self) -> None:
        """Leave the ticker."""
        self._ticker.discard(self)


def beat_of(
    registry: Registry | None,
    loop: asyncio.AbstractEventLoop,
    function: Callable[[], object],
    abandon: Callable[[], object],
) -> Beat | None:
    """Return the beats of a registry's ticker; None without one, or if it cannot start."""
    ticker = None if registry is None else registry.ticker
    if ticker is None:
        return None
    try:
        return Beat(ticker, loop, function, abandon)
    except RuntimeError:
        return None


def interval_of(registry: Registry | None) -> float:
    """Return the seconds between two beats of a registry, with a ticker or without."""
    ticker = None if registry is None else registry.ticker
    if ticker is None:
        return INTERVAL
    return ticks_of_beat(ticker) * ticker.interval


def ticks_of_beat(ticker: TickSource) -> int:
    """Return the number of ticks from one beat to the next."""
    return max(ceil(SHORTEST / ticker.interval), 1)
