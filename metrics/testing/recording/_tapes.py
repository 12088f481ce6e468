"""Tapes: every value that a histogram is updated with while it has listeners, in order.

A histogram keeps a sample, and buckets keep no values at all. While a histogram has listeners, a
tape takes the place of its reservoir, passes every call on, and appends the values to every
listener; buckets are given the listeners. A histogram without listeners costs as much as ever. The
private attributes of instruments and families are used, because a public way in would be in every
program, for the sake of tests.
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

# Guards the placement of tapes. A program may create an instrument in a signal handler.
_placing = threading.RLock()

Listener = list[float]
"""List that values are appended to."""


@final
class Tape(Shared):
    """Reservoir that passes every call on to another one, and every value to listeners."""

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
        """Pass `value` on, and append it to the listeners if it is accepted."""
        self.reservoir.update(value)
        for listener in self.listeners:
            listener.append(float(value))

    def tick(self) -> None:
        """Advance by one interval."""
        self.reservoir.tick()

    def clear(self) -> None:
        """Clear the reservoir; the recorded values stay."""
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
class AnnouncedChildren:
    """Factory of a family that calls listeners with every new child."""

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
        # By identity: two lists of the same values are equal.
        left = [other for other in listeners_of(histogram) if other is not listener]
        set_listeners(histogram, tuple(left))


def listeners_of(histogram: Histogram | BucketHistogram) -> tuple[Listener, ...]:
    """Return the listeners of a histogram."""
    if isinstance(histogram, BucketHistogram):
        return histogram._listeners
    tape = histogram._reservoir
    return tape.listeners if isinstance(tape, Tape) else ()


def set_listeners(histogram: Histogram | BucketHistogram, listeners: tuple[Listener, ...]) -> None:
    """Replace the listeners of a histogram."""
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


def listen_to_children(family: Family[Any], listener: Callable[[Any], object]) -> None:
    """Call `listener` with every child that a family creates from now on, before its first use."""
    with _placing:
        factory = family._factory
        if not isinstance(factory, AnnouncedChildren):
            factory = AnnouncedChildren(factory)
            family._factory = factory
        factory.listeners = (*factory.listeners, listener)


def stop_listening_to_children(family: Family[Any], listener: Callable[[Any], object]) -> None:
    """Undo `listen_to_children`; with the last listener the family has its own factory back."""
    with _placing:
        factory = family._factory
        if not isinstance(factory, AnnouncedChildren):
            return
        factory.listeners = tuple([other for other in factory.listeners if other != listener])
        if not factory.listeners:
            family._factory = factory.factory


def new_child(family: Family[Any]) -> Any:
    """Return a new instrument as a family's children are, without calling a listener."""
    factory = family._factory
    return factory.factory() if isinstance(factory, AnnouncedChildren) else factory()
