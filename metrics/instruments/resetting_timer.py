"""Resetting timers: durations since the reader's last look, each of them kept."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar, final

from metrics.clock import SYSTEM_CLOCK, Clock
from metrics.instruments.arguments import Real, Whole, amount
from metrics.instruments.resetting import DEFAULT_SIZE, ResettingReservoir
from metrics.instruments.sample import HistogramSnapshot
from metrics.instruments.stopwatch import LONGEST_NS, NANOSECOND, Stopwatch, nanoseconds
from metrics.instruments.timing import timed

P = ParamSpec("P")
R = TypeVar("R")


@final
class ResettingTimer:
    """Measures durations and gives each reader those since that reader's last snapshot.

    Percentiles are exact up to `size` durations between two reads. Needs no ticker. Safe to update
    from any thread, without a lock.

    Args:
        size: newest durations kept.
        clock: measures the durations.
    """

    __slots__ = ("_now", "_reservoir")

    def __init__(self, size: Whole = DEFAULT_SIZE, clock: Clock = SYSTEM_CLOCK) -> None:
        self._reservoir = ResettingReservoir(size)
        self._now = clock.monotonic_ns

    def update(self, seconds: Real) -> None:
        """Record a duration.

        Raises:
            TypeError: `seconds` is not a number.
            ValueError: `seconds` is negative, infinite or NaN.
        """
        self._reservoir.update(amount("ResettingTimer.update()", seconds))

    def update_ns(self, ns: Whole) -> None:
        """Record a duration given in nanoseconds.

        Raises:
            TypeError: `ns` is not an int.
            ValueError: `ns` is negative, or longer than 292 years.
        """
        if type(ns) is not int or not 0 <= ns < LONGEST_NS:
            ns = nanoseconds("ResettingTimer.update_ns()", ns)
        self._reservoir.update(ns * NANOSECOND)

    def time(self) -> Stopwatch:
        """Return a context manager that records how long its block took, even if it raises."""
        return Stopwatch(self._now, self.update_ns)

    def timed(self, function: Callable[P, R]) -> Callable[P, R]:
        """Decorate a function of any kind so that every call is recorded; see `Timer.timed`.

        Raises:
            TypeError: `function` cannot be called.
        """
        return timed(self.time, function)

    @property
    def count(self) -> int:
        """Number of durations since creation, whoever has read them."""
        return self._reservoir.count

    def snapshot(self, reader: str = "") -> HistogramSnapshot:
        """Return the durations since `reader` last asked, in seconds, and reset for that reader."""
        return self._reservoir.snapshot(reader)

    def __repr__(self) -> str:
        return f"ResettingTimer(count={self.count})"
