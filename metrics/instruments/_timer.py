"""Timers: the durations of events, and their rate."""

from typing import final

from metrics.clock import SYSTEM_CLOCK, Clock
from metrics.instruments._arguments import Real
from metrics.instruments._bucket_snapshot import BucketHistogramSnapshot
from metrics.instruments._buckets import DURATION_BOUNDS, BucketHistogram
from metrics.instruments._durations import Durations, Stopwatch
from metrics.instruments._ewma import INTERVAL
from metrics.instruments._exemplars import (
    ExemplarLabels,
    Exemplars,
    ExemplarSource,
    checked_exemplar,
)
from metrics.instruments._histogram import Histogram
from metrics.instruments._meter import MeterSnapshot, Rates
from metrics.instruments._sample import HistogramSnapshot
from metrics.instruments._snapshot import Snapshot


@final
class TimerSnapshot(Snapshot):
    """Durations of a `Timer`, in seconds, and the rate of its events."""

    __slots__ = ("_durations", "_rates")
    fields = ("durations", "rates")

    def __init__(
        self, durations: HistogramSnapshot | BucketHistogramSnapshot, rates: MeterSnapshot
    ) -> None:
        self._durations = durations
        self._rates = rates

    @property
    def durations(self) -> HistogramSnapshot | BucketHistogramSnapshot:
        """Distribution of the durations, in seconds."""
        return self._durations

    @property
    def distribution(self) -> HistogramSnapshot | BucketHistogramSnapshot:
        """The durations, as formats read every distribution."""
        return self._durations

    @property
    def total(self) -> int:
        """Number of durations since creation."""
        return self._durations.total_count

    @property
    def rates(self) -> MeterSnapshot:
        """Count and rates of the events."""
        return self._rates

    @property
    def exemplars(self) -> Exemplars:
        """Exemplars of the buckets of the durations."""
        return self._durations.exemplars

    @property
    def count(self) -> int:
        """Number of durations."""
        return self._durations.count

    @property
    def sum(self) -> float:
        """Sum of the durations, in seconds."""
        return self._durations.sum

    def to_dict(self) -> dict[str, object]:
        """Return the numbers under go-ethereum's keys for a timer; durations in seconds."""
        return {**self._durations.to_dict(), **self._rates.to_dict()}


@final
class Timer(Durations):
    """Durations, and the rate of their events.

    Safe to update from any thread, without a lock. The rates and the age of a sample advance only
    with `tick()`, which a `Ticker` calls for its members.

    Args:
        histogram: keeps the durations, in seconds and for this timer alone. By default buckets with
            `DURATION_BOUNDS`, which can be summed over processes; pass `Histogram()` for a sample
            that favors the last five minutes.
        interval: seconds between two ticks.
        clock: measures the durations, and the time since creation for `rate_mean`.

    Raises:
        TypeError: `histogram` is neither a `Histogram` nor a `BucketHistogram`, `interval` is not a
            number, or `clock` lacks a method of clocks.
        ValueError: `interval` is not positive.
    """

    __slots__ = ("_histogram", "_rates")

    def __init__(
        self,
        histogram: Histogram | BucketHistogram | None = None,
        interval: Real = INTERVAL,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        super().__init__("Timer(clock)", clock)
        if histogram is None:
            histogram = BucketHistogram(DURATION_BOUNDS)
        elif not isinstance(histogram, (Histogram, BucketHistogram)):
            raise TypeError(
                f"Timer(histogram) takes a Histogram or a BucketHistogram, got {histogram!r}; "
                "for a reservoir, pass Histogram(reservoir)"
            )
        self._histogram = histogram
        self._rates = Rates(interval, clock)

    def _record(self, seconds: float, exemplar: ExemplarLabels | None) -> None:
        histogram = self._histogram
        if isinstance(histogram, BucketHistogram):
            histogram.update(seconds, exemplar)
        else:
            histogram.update(seconds)

    def time(self, exemplar: ExemplarLabels | None = None) -> Stopwatch:
        """Return a context manager that records how long its block took, even if it raises.

        Args:
            exemplar: labels of this duration, as `update` takes them. A registry's function is
                called at the end of the block.

        Raises:
            TypeError: `exemplar` is not a mapping of str to str.
            ValueError: the name of a label is malformed.
        """
        # As inherited: CPython 3.11 specializes calls of compiled methods of the own class only.
        return Stopwatch(self, None if exemplar is None else dict(checked_exemplar(exemplar)))

    def _begin(self, now: float, clock: Clock) -> None:
        self._created = now
        self._histogram._begin(now, clock)  # noqa: SLF001 - the same method of another object

    def _attach(self, source: ExemplarSource) -> None:
        self._histogram._attach(source)  # noqa: SLF001 - as above

    def _detach(self, source: ExemplarSource) -> None:
        self._histogram._detach(source)  # noqa: SLF001 - as above

    def tick(self) -> None:
        """Advance the rates and the sample by one interval. The ticker calls this."""
        self._rates._advance(self._histogram.count)  # noqa: SLF001 - a timer has what a meter is
        # Buckets do not age.
        if isinstance(self._histogram, Histogram):
            self._histogram.tick()

    def _after_fork(self) -> None:
        self._ignored = 0
        self._histogram._after_fork()  # noqa: SLF001 - the same method of another object
        self._rates._restart()  # noqa: SLF001 - as above

    @property
    def count(self) -> int:
        """Number of durations since creation."""
        return self._histogram.count

    def snapshot(self, reader: str = "") -> TimerSnapshot:
        """Return the present durations and rates."""
        durations = self._histogram.snapshot(reader)
        rates = self._rates._read(durations.total_count)  # noqa: SLF001 - as above
        return TimerSnapshot(durations, rates)

    def __repr__(self) -> str:
        return f"Timer({self._histogram!r})"
