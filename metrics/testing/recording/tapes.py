"""Tapes: every value that a histogram is updated with while somebody listens, in order.

A histogram keeps a sample, and buckets keep no values at all. While a histogram is listened to, a
tape stands in its reservoir's place, which passes everything on and writes the values down for
every listener; buckets are given the listeners. What nobody listens to costs what it did. All this
reaches into instruments and families: a way in from outside would be every program's, for the sake
of tests.
"""

import threading
from collections.abc import Callable
from typing import Any, final

from metrics.instruments import (
    BucketHistogram,
    ExpDecayReservoir,
    Family,
    Histogram,
    HistogramSnapshot,
    Instrument,
    Timer,
)
from metrics.instruments._inner import Real, Reservoir, Shared

# Guards which tapes are in place. A program may make an instrument in a signal handler.
_placing = threading.RLock()

Listener = list[float]
"""What values are appended to."""


@final
class Tape(Shared):
    """A reservoir that passes everything on to another one, and to listeners."""

    __slots__ = ("listeners", "reservoir")

    def __init__(self, reservoir: Reservoir) -> None:
        self.reservoir = reservoir
        # Replaced and never changed, so that updates need no lock.
        self.listeners: tuple[Listener, ...] = ()

    @property
    def count(self) -> int:
        """Number of updates since creation or the last `clear`."""
        return self.reservoir.count

    def update(self, value: Real) -> None:
        """Pass `value` on, and write it down if it is one."""
        self.reservoir.update(value)
        for listener in self.listeners:
            listener.append(float(value))

    def tick(self) -> None:
        """Advance by one interval."""
        self.reservoir.tick()

    def clear(self) -> None:
        """Have the reservoir forget everything; what is written down stays."""
        self.reservoir.clear()

    def _after_fork(self) -> None:
        if isinstance(self.reservoir, Shared):
            self.reservoir._after_fork()
        else:
            self.reservoir.clear()

    def snapshot(self, reader: str = "") -> HistogramSnapshot:
        """Return the reservoir's sample now."""
        return self.reservoir.snapshot(reader)

    def __repr__(self) -> str:
        return repr(self.reservoir)


@final
class Births:
    """The factory of a family, which tells what it makes to listeners."""

    __slots__ = ("factory", "listeners")

    def __init__(self, factory: Callable[[], Any]) -> None:
        self.factory = factory
        self.listeners: tuple[Callable[[Any], object], ...] = ()

    def __call__(self) -> Any:
        """Return a new child."""
        child = self.factory()
        for listener in self.listeners:
            listener(child)
        return child


def histogram_of(instrument: Instrument) -> Histogram | BucketHistogram | None:
    """Return the histogram that an instrument is or has; None if it has none."""
    if isinstance(instrument, Timer):
        return instrument._histogram
    return instrument if isinstance(instrument, (Histogram, BucketHistogram)) else None


def listen(histogram: Histogram | BucketHistogram, listener: Listener) -> None:
    """Append every value that a histogram is updated with from now on to `listener`."""
    with _placing:
        set_listeners(histogram, (*listeners_of(histogram), listener))


def stop_listening(histogram: Histogram | BucketHistogram, listener: Listener) -> None:
    """Undo `listen`; with the last listener the histogram is as it was."""
    with _placing:
        # By identity: two lists that have heard the same are equal.
        left = [other for other in listeners_of(histogram) if other is not listener]
        set_listeners(histogram, tuple(left))


def listeners_of(histogram: Histogram | BucketHistogram) -> tuple[Listener, ...]:
    """Return who listens."""
    if isinstance(histogram, BucketHistogram):
        return histogram._listeners
    tape = histogram._reservoir
    return tape.listeners if isinstance(tape, Tape) else ()


def set_listeners(histogram: Histogram | BucketHistogram, listeners: tuple[Listener, ...]) -> None:
    """Have these listen from now on, and nobody else."""
    if isinstance(histogram, BucketHistogram):
        histogram._listen(listeners)
        return
    tape = histogram._reservoir
    if not isinstance(tape, Tape):
        tape = Tape(tape)
    tape.listeners = listeners
    reservoir = tape if listeners else tape.reservoir
    # In this order an update that is under way finds the one or the other, never none: without a
    # decaying one, whatever the reservoir is.
    histogram._decaying = None
    histogram._reservoir = reservoir
    histogram._decaying = reservoir if isinstance(reservoir, ExpDecayReservoir) else None


def attend(family: Family[Any], listener: Callable[[Any], object]) -> None:
    """Call `listener` with every child that a family makes from now on, before anybody has it."""
    with _placing:
        births = family._factory
        if not isinstance(births, Births):
            births = Births(births)
            family._factory = births
        births.listeners = (*births.listeners, listener)


def stop_attending(family: Family[Any], listener: Callable[[Any], object]) -> None:
    """Undo `attend`; with the last listener the family has its own factory back."""
    with _placing:
        births = family._factory
        if not isinstance(births, Births):
            return
        births.listeners = tuple([other for other in births.listeners if other != listener])
        if not births.listeners:
            family._factory = births.factory


def unheard(family: Family[Any]) -> Any:
    """Return a new instrument as a family's children are, without telling a listener."""
    births = family._factory
    return births.factory() if isinstance(births, Births) else births()
