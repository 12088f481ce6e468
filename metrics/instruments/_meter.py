"""Meters: how many events, and how many a second over the last 1, 5 and 15 minutes."""

from typing import final

from metrics.clock import SYSTEM_CLOCK, Clock
from metrics.instruments._arguments import Real, Whole, natural, positive
from metrics.instruments._blocks import ExceptionCount, Exceptions
from metrics.instruments._ewma import INTERVAL, alpha_of, moved
from metrics.instruments._shared import Shared
from metrics.instruments._snapshot import Snapshot


@final
class MeterSnapshot(Snapshot):
    """The count and the rates of a `Meter`, in events a second."""

    __slots__ = ("_count", "_rate1", "_rate5", "_rate15", "_rate_mean")
    fields = ("count", "rate1", "rate5", "rate15", "rate_mean")

    def __init__(
        self, count: int, rate1: float, rate5: float, rate15: float, rate_mean: float
    ) -> None:
        self._count = count
        self._rate1 = rate1
        self._rate5 = rate5
        self._rate15 = rate15
        self._rate_mean = rate_mean

    @property
    def count(self) -> int:
        """Events since creation."""
        return self._count

    @property
    def rate1(self) -> float:
        """One-minute moving average, in events a second, as of the last tick."""
        return self._rate1

    @property
    def rate5(self) -> float:
        """Five-minute moving average, in events a second, as of the last tick."""
        return self._rate5

    @property
    def rate15(self) -> float:
        """Fifteen-minute moving average, in events a second, as of the last tick."""
        return self._rate15

    @property
    def rate_mean(self) -> float:
        """Count over the seconds since creation."""
        return self._rate_mean

    def to_dict(self) -> dict[str, object]:
        """Return the numbers under go-ethereum's keys for a meter."""
        return {
            "count": self._count,
            "1m.rate": self._rate1,
            "5m.rate": self._rate5,
            "15m.rate": self._rate15,
            "mean.rate": self._rate_mean,
        }

    @property
    def scalar(self) -> int:
        """The count."""
        return self._count

    @property
    def total(self) -> int:
        """The count."""
        return self._count

    @property
    def rates(self) -> "MeterSnapshot":
        """The snapshot itself."""
        return self


class Rates(Shared):
    """The three moving averages of one growing count.

    The averages are written in one go, so that a reader never sees one of them ticked and another
    not. Ticks must come one at a time, as a `Ticker` gives them.

    A meter is one and does not hold one: a tick of many meters takes as long as it takes to fetch
    them from memory, and two objects take twice as long.
    """

    __slots__ = (
        "_alpha1",
        "_alpha5",
        "_alpha15",
        "_clock",
        "_interval_ns",
        "_rate1",
        "_rate5",
        "_rate15",
        "_seen",
        "_start",
        "_ticked",
    )

    def __init__(self, interval: Real, clock: Clock) -> None:
        interval = positive("interval", interval)
        # Rates are kept per nanosecond, as in EWMA.
        self._interval_ns = interval * 1e9
        self._alpha1 = alpha_of(1.0, interval)
        self._alpha5 = alpha_of(5.0, interval)
        self._alpha15 = alpha_of(15.0, interval)
        self._clock = clock
        self._start = clock.monotonic()
        self._seen = 0
        self._ticked = False
        self._rate1 = 0.0
        self._rate5 = 0.0
        self._rate15 = 0.0

    def _advance(self, count: int) -> None:
        """End the current interval, in which the count has grown to `count`."""
        instant = (count - self._seen) / self._interval_ns
        if self._ticked:
            rate1 = moved(self._rate1, instant, self._alpha1)
            rate5 = moved(self._rate5, instant, self._alpha5)
            rate15 = moved(self._rate15, instant, self._alpha15)
        else:
            if self._seen < 0:
                # In a forked process the ticker may start long after the count did.
                elapsed_ns = (self._clock.monotonic() - self._start) * 1e9
                instant = count / max(self._interval_ns, elapsed_ns)
            rate1 = rate5 = rate15 = instant
        self._seen = count
        self._ticked = True
        # No call stands between these three, so no other thread runs between them.
        self._rate1 = rate1
        self._rate5 = rate5
        self._rate15 = rate15

    def _restart(self) -> None:
        """Begin again in a forked process, with a count of zero."""
        # Below zero until the first tick, which averages over the time since the fork.
        self._seen = -1
        self._ticked = False
        self._rate1 = 0.0
        self._rate5 = 0.0
        self._rate15 = 0.0
        self._start = self._clock.monotonic()

    def _read(self, count: int) -> MeterSnapshot:
        """Return the rates beside `count`, which is what the count is now."""
        elapsed = self._clock.monotonic() - self._start
        mean = count / elapsed if elapsed > 0.0 else 0.0
        rate1 = self._rate1
        rate5 = self._rate5
        rate15 = self._rate15
        return MeterSnapshot(count, rate1 * 1e9, rate5 * 1e9, rate15 * 1e9, mean)


@final
class Meter(Rates):
    """Counts events and averages their rate. Safe to update from any thread, without a lock.

    The moving averages advance only when something ticks the meter: a `Ticker` it was added to,
    or a test by hand. `interval` must be that ticker's.

    Args:
        interval: seconds between two ticks.
        clock: measures the time since creation, for `rate_mean`.
    """

    __slots__ = ("_count",)

    def __init__(self, interval: Real = INTERVAL, clock: Clock = SYSTEM_CLOCK) -> None:
        super().__init__(interval, clock)
        self._count = 0

    def mark(self, n: Whole = 1) -> None:
        """Count `n` events.

        Raises:
            TypeError: `n` is not an int.
            ValueError: `n` is negative.
        """
        if type(n) is not int or n < 0:
            n = natural("Meter.mark()", n)
        self._count += n

    def count_exceptions(self, exception: Exceptions = Exception) -> ExceptionCount:
        """Return a block, also a decorator, that counts the exceptions leaving it.

        `asyncio.CancelledError` and `GeneratorExit` are no subclasses of Exception: they count
        only where their class is passed.

        Args:
            exception: class of the exceptions to count, or a tuple of classes.

        Raises:
            TypeError: `exception` is no class of exceptions.
        """
        return ExceptionCount("Meter.count_exceptions()", self.mark, exception)

    def tick(self) -> None:
        """End the current interval and fold its rate into the averages. The ticker calls this."""
        self._advance(self._count)

    def _after_fork(self) -> None:
        self._count = 0
        self._restart()

    @property
    def count(self) -> int:
        """Events since creation."""
        return self._count

    def snapshot(self, reader: str = "") -> MeterSnapshot:
        """Return the count and the rates now."""
        return self._read(self._count)

    def __repr__(self) -> str:
        return f"Meter(count={self._count})"
