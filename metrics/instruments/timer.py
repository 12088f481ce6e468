"""Timers: how long something takes, and how often it happens."""

from collections.abc import Callable
from math import inf
from typing import ParamSpec, TypeVar, final

from metrics.clock import SYSTEM_CLOCK, Clock
from metrics.instruments.arguments import Real, Whole, amount
from metrics.instruments.buckets import BucketHistogram, BucketHistogramSnapshot
from metrics.instruments.ewma import INTERVAL
from metrics.instruments.histogram import Histogram
from metrics.instruments.meter import MeterSnapshot, Rates
from metrics.instruments.sample import HistogramSnapshot
from metrics.instruments.snapshot import Snapshot
from metrics.instruments.stopwatch import LONGEST_NS, NANOSECOND, Stopwatch, nanoseconds
from metrics.instruments.timing import timed

P = ParamSpec("P")
R = TypeVar("R")


@final
class TimerSnapshot(Snapshot):
    """The durations that a `Timer` measured, in seconds, and the rate of its events."""

    __slots__ = ("_durations", "_rates")
    fields = ("durations", "rates")

    def __init__(
        self, durations: HistogramSnapshot | BucketHistogramSnapshot, rates: MeterSnapshot
    ) -> None:
        self._durations = durations
        self._rates = rates

    @property
    def durations(self) -> HistogramSnapshot | BucketHistogramSnapshot:
        """The distribution of the durations, in seconds."""
        return self._durations

    @property
    def rates(self) -> MeterSnapshot:
        """The count and the rates of the events."""
        return self._rates

    @property
    def count(self) -> int:
        """Number of durations measured."""
        return self._durations.count

    @property
    def sum(self) -> float:
        """Sum of the durations, in seconds."""
        return self._durations.sum

    def to_dict(self) -> dict[str, object]:
        """Return the numbers under go-ethereum's keys for a timer; durations in seconds."""
        return {**self._durations.to_dict(), **self._rates.to_dict()}


@final
class Timer:
    """Measures durations and the rate of the events that took them.

    Safe to update from any thread, without a lock. The rates and the age of the sample advance
    only when something ticks the timer: a `Ticker` it was added to, or a test by hand.

    Args:
        histogram: what keeps the durations, and belongs to this timer alone; by default one with
            a sample that leans to the last five minutes. A `BucketHistogram` costs less memory.
        interval: seconds between two ticks.
        clock: measures the durations, and the time since creation for `rate_mean`.
    """

    __slots__ = ("_histogram", "_now", "_rates")

    def __init__(
        self,
        histogram: Histogram | BucketHistogram | None = None,
        interval: Real = INTERVAL,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._histogram = Histogram() if histogram is None else histogram
        self._now = clock.monotonic_ns
        self._rates = Rates(interval, clock)

    def update(self, seconds: Real) -> None:
        """Record a duration.

        Raises:
            TypeError: `seconds` is not a number.
            ValueError: `seconds` is negative, infinite or NaN.
        """
        if type(seconds) is not float or not 0.0 <= seconds < inf:
            seconds = amount("Timer.update()", seconds)
        self._histogram.update(seconds)

    def update_ns(self, ns: Whole) -> None:
        """Record a duration given in nanoseconds.

        Raises:
            TypeError: `ns` is not an int.
            ValueError: `ns` is negative, or longer than 292 years.
        """
        if type(ns) is not int or not 0 <= ns < LONGEST_NS:
            ns = nanoseconds("Timer.update_ns()", ns)
        self._histogram.update(ns * NANOSECOND)

    def time(self) -> Stopwatch:
        """Return a context manager that records how long its block took, even if it raises."""
        return Stopwatch(self._now, self.update_ns)

    def timed(self, function: Callable[P, R]) -> Callable[P, R]:
        """Decorate a function so that every call of it is recorded, even if it raises.

        Works on plain, async, generator and async generator functions; a generator is timed from
        the first value asked for until it ends or is closed.

        Raises:
            TypeError: `function` cannot be called.
        """
        return timed(self.time, function)

    def tick(self) -> None:
        """Advance the rates and the sample by one interval. The ticker calls this."""
        self._rates.tick(self._histogram.count)
        # Buckets do not age.
        if isinstance(self._histogram, Histogram):
            self._histogram.tick()

    @property
    def count(self) -> int:
        """Number of durations since creation."""
        return self._histogram.count

    def snapshot(self, reader: str = "") -> TimerSnapshot:
        """Return durations and rates now."""
        durations = self._histogram.snapshot(reader)
        return TimerSnapshot(durations, self._rates.snapshot(durations.total_count))

    def __repr__(self) -> str:
        return f"Timer({self._histogram!r})"
