"""Meters: counts of events, and their rates over the last 1, 5 and 15 minutes."""

from typing import final

from metrics._native import i64
from metrics.clock import SYSTEM_CLOCK, Clock
from metrics.instruments._arguments import Real, Whole, checked_clock, natural, positive
from metrics.instruments._blocks import ExceptionCount, Exceptions
from metrics.instruments._cumulative import Traceable
from metrics.instruments._ewma import IDLE, INTERVAL, NEVER, average, interval_of
from metrics.instruments._exemplars import ExemplarLabels, Exemplars, with_exemplars
from metrics.instruments._snapshot import Snapshot


@final
class MeterSnapshot(Snapshot):
    """Count and rates of a `Meter`, in events per second."""

    __slots__ = ("_count", "_exemplars", "_rate1", "_rate5", "_rate15", "_rate_mean")
    fields = ("count", "rate1", "rate5", "rate15", "rate_mean")

    def __init__(
        self,
        count: int,
        rate1: float,
        rate5: float,
        rate15: float,
        rate_mean: float,
        exemplars: Exemplars = (),
    ) -> None:
        self._count = count
        self._rate1 = rate1
        self._rate5 = rate5
        self._rate15 = rate15
        self._rate_mean = rate_mean
        self._exemplars = exemplars

    @property
    def count(self) -> int:
        """Events since creation."""
        return self._count

    @property
    def rate1(self) -> float:
        """One-minute moving average, in events per second, as of the last tick."""
        return self._rate1

    @property
    def rate5(self) -> float:
        """Five-minute moving average, in events per second, as of the last tick."""
        return self._rate5

    @property
    def rate15(self) -> float:
        """Fifteen-minute moving average, in events per second, as of the last tick."""
        return self._rate15

    @property
    def rate_mean(self) -> float:
        """Mean since creation, in events per second."""
        return self._rate_mean

    @property
    def exemplars(self) -> Exemplars:
        """The exemplar of the latest mark that had one."""
        return self._exemplars

    def __reduce__(self) -> tuple[object, ...]:
        values = (self._count, self._rate1, self._rate5, self._rate15, self._rate_mean)
        return MeterSnapshot, with_exemplars(values, self._exemplars)

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


class Rates(Traceable):
    """Moving averages of one growing count over 1, 5 and 15 minutes.

    The averages are written in one go, so that a reader never sees them from different ticks.
    Ticks must come one at a time, as from a `Ticker`.

    Base class of `Meter`, because the time that a tick of many meters takes is the time to fetch
    them from memory: a meter that held its rates in a second object would take twice as long.

    Args:
        interval: seconds between two ticks, above 0.
        clock: measures the age and the time between two ticks.
        owner: the instrument that error messages name.

    Raises:
        TypeError: `interval` is not a number, or `clock` is not a clock.
        ValueError: `interval` is not positive and finite.
    """

    __slots__ = (
        "_interval",
        "_rate1",
        "_rate5",
        "_rate15",
        "_seen",
        "_start",
        "_ticked_at",
    )

    def __init__(self, interval: Real, clock: Clock, owner: str = "Timer") -> None:
        super().__init__()
        self._interval = interval_of(
            positive(f"{owner}(interval)", interval), checked_clock(f"{owner}(clock)", clock)
        )
        self._start = clock.monotonic()
        # The time at which the last tick was due.
        self._ticked_at = NEVER
        self._seen = 0
        # Per nanosecond, as in EWMA.
        self._rate1 = 0.0
        self._rate5 = 0.0
        self._rate15 = 0.0

    def _advance(self, count: int) -> None:
        """End the current interval, in which the count has grown to `count`."""
        self._advance_at(count, self._interval.clock.monotonic())

    def _advance_at(self, count: int, now: float) -> None:
        """End the current interval at `now`, in seconds of the own clock."""
        interval = self._interval
        first = self._ticked_at == NEVER
        elapsed = now - (self._start if first else self._ticked_at)
        ended = interval.count_ended(elapsed, first=first)
        instant = (count - self._seen) / (ended * interval.ns)
        self._ticked_at = now - interval.delay_of(elapsed, ended)
        if first:
            self._set(count, instant, instant, instant, instant)
        else:
            self._set(
                count,
                instant,
                average(self._rate1, instant, interval.alpha1, ended),
                average(self._rate5, instant, interval.alpha5, ended),
                average(self._rate15, instant, interval.alpha15, ended),
            )

    def _set(self, count: int, instant: float, rate1: float, rate5: float, rate15: float) -> None:
        """Set the count seen and the averages, after an interval with the rate `instant`."""
        if instant == 0.0:
            if rate1 < IDLE:
                rate1 = 0.0
            if rate5 < IDLE:
                rate5 = 0.0
            if rate15 < IDLE:
                rate15 = 0.0
        self._seen = count
        # No call stands between these three, so no other thread runs between them.
        self._rate1 = rate1
        self._rate5 = rate5
        self._rate15 = rate15

    def _restart(self) -> None:
        """Restart in a forked process: with a count of 0, as if created at the fork."""
        self._seen = 0
        self._rate1 = 0.0
        self._rate5 = 0.0
        self._rate15 = 0.0
        self._start = self._interval.clock.monotonic()
        self._ticked_at = NEVER

    def _read(self, count: int, exemplars: Exemplars = ()) -> MeterSnapshot:
        """Return a snapshot of the rates with `count`, the present count."""
        elapsed = self._interval.clock.monotonic() - self._start
        mean = count / elapsed if elapsed > 0.0 else 0.0
        rate1 = self._rate1
        rate5 = self._rate5
        rate15 = self._rate15
        return MeterSnapshot(count, rate1 * 1e9, rate5 * 1e9, rate15 * 1e9, mean, exemplars)


@final
class Meter(Rates):
    """Count of events and moving averages of their rate.

    Safe to update from any thread, without a lock. The moving averages advance only when the meter
    is ticked: by a `Ticker` that it was added to, or by hand. `interval` must be that ticker's.

    The first tick sets the averages to the mean since the creation, at least over one interval. A
    tick after missed ones (the process was suspended, or the ticker stopped) counts for all whole
    intervals that have passed, with the events spread evenly over them. The averages of an idle
    meter become 0 below 1e-9 events per second.

    Args:
        interval: seconds between two ticks, above 0.
        clock: measures the time between two ticks, and the age for `rate_mean`.

    Raises:
        TypeError: `interval` is not a number, or `clock` is not a clock.
        ValueError: `interval` is not positive and finite.
    """

    __slots__ = ("_count",)

    def __init__(self, interval: Real = INTERVAL, clock: Clock = SYSTEM_CLOCK) -> None:
        super().__init__(interval, clock, "Meter")
        self._count = 0

    def mark(self, n: Whole = 1, exemplar: ExemplarLabels | None = None) -> None:
        """Count `n` events.

        Args:
            n: the number of events.
            exemplar: labels of this mark, such as its trace, in place of the labels that the
                registry's function returns; dropped if they are longer than 128 characters.

        Raises:
            TypeError: `n` is not an int, or `exemplar` not a mapping of str to str.
            ValueError: `n` is negative, or the name of a label is malformed.
        """
        if exemplar is not None or self._exemplars is not None:
            self._mark_traced(natural("Meter.mark()", n), exemplar)
            return
        # A variable of type int: compiled code unboxes the argument once.
        number = n if type(n) is int else -1
        if number < 0:
            number = natural("Meter.mark()", n)
        self._count += number

    def _mark_traced(self, number: int, labels: ExemplarLabels | None) -> None:
        exemplar = self._create_exemplar(number, labels)
        self._count += number
        if exemplar is not None:
            self._recorder().keep(exemplar)

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
        """End the current interval and average its rate into the moving averages.

        The ticker calls this method.
        """
        self._advance(self._count)

    def _tick_at(self, now: float, clock_id: i64) -> None:
        """Tick at `now` on the clock with this identity; by the own clock if that is another.

        A ticker reads its clock once for many meters.
        """
        if self._interval.clock_id != clock_id:
            self._advance(self._count)
        elif now - self._ticked_at <= self._interval.punctual:
            # The arithmetic of `_advance_at` for one interval without its calls, because a ticker
            # may have 100,000 meters; `self._interval` each time, because a local variable would
            # count the references of an object that all meters share.
            count = self._count
            # Most meters of a program are silent, and a division takes long.
            events = count - self._seen
            instant = events / self._interval.ns if events else 0.0
            self._ticked_at = now
            self._set(
                count,
                instant,
                self._rate1 + self._interval.alpha1 * (instant - self._rate1),
                self._rate5 + self._interval.alpha5 * (instant - self._rate5),
                self._rate15 + self._interval.alpha15 * (instant - self._rate15),
            )
        else:
            self._advance_at(self._count, now)

    def _after_fork(self) -> None:
        self._count = 0
        self._restart()
        self._drop_exemplars()

    @property
    def count(self) -> int:
        """Events since creation."""
        return self._count

    def snapshot(self, reader: str = "") -> MeterSnapshot:
        """Return the count now, and the rates as of the last tick."""
        exemplars = self._latest_exemplars()
        return self._read(self._count, exemplars)

    def __repr__(self) -> str:
        return f"Meter(count={self._count})"
