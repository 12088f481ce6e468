"""Exponentially weighted moving averages of an event rate, like the load averages of Unix."""

from functools import lru_cache
from math import exp, floor, inf
from typing import Final, Self, final

from metrics._native import i64
from metrics.clock import SYSTEM_CLOCK, Clock
from metrics.instruments._arguments import Real, Whole, checked_clock, natural, positive
from metrics.instruments._shared import Shared

INTERVAL = 5.0
"""Seconds between two ticks, by default."""

PUNCTUAL: Final = 1.1
"""Intervals since the tick before, or since the creation, up to which a tick is not late."""

MISSED: Final = 1.9
"""Intervals since the tick before from which on a tick has missed others."""

IDLE: Final = 1e-18
"""Events per nanosecond, 1e-9 events/s, below which the rate of a silent instrument is 0."""


NEVER: Final = -inf
"""Time of the last tick of an instrument without one: any later tick comes late."""


@final
class Interval:
    """Interval between two ticks: its weight in the averages, and the number that a tick ends.

    A tick ends one interval, as in go-ethereum, so that regular ticks give its numbers to the last
    bit. There are two exceptions, in which go-ethereum gives a rate that is too high:

    - A tick after missed ones, in a process that was suspended or overloaded, ends all the whole
      intervals that have passed. A tick up to 0.9 intervals late has missed none.
    - The first tick ends the whole age of the instrument, because its ticker may have started long
      after the creation. At an age below one interval it ends one: otherwise a burst just before
      the tick would give an excessive rate.

    A tick at the time of the one before, or after the clock has stepped back, ends one as well.

    Args:
        seconds: length of the interval, above 0.
        clock: measures the time between two ticks.
    """

    __slots__ = ("alpha1", "alpha5", "alpha15", "clock", "clock_id", "ns", "punctual", "seconds")

    def __init__(self, seconds: float, clock: Clock) -> None:
        self.clock = clock
        # Compiled code compares two objects by `is` at the cost of counting their references.
        self.clock_id = i64(id(clock))
        self.seconds = seconds
        self.ns = seconds * 1e9
        self.punctual = seconds * PUNCTUAL
        self.alpha1 = alpha_of(1.0, seconds)
        self.alpha5 = alpha_of(5.0, seconds)
        self.alpha15 = alpha_of(15.0, seconds)

    def count_ended(self, elapsed: float, *, first: bool) -> float:
        """Return the number of intervals, at least 1, that a tick ends.

        Args:
            elapsed: seconds since the tick before, or since the creation.
            first: whether there is no tick before.
        """
        intervals = elapsed / self.seconds
        if first:
            return intervals if intervals > PUNCTUAL else 1.0
        return float(floor(intervals + (2.0 - MISSED))) if intervals >= MISSED else 1.0

    def delay_of(self, elapsed: float, ended: float) -> float:
        """Return the seconds by which a tick is late that ends `ended` intervals; 0 if punctual.

        The next tick is due an interval after the due time of this one. After a punctual tick it is
        due an interval after that tick, so that the schedule follows early ticks and slow drift,
        and no rounding errors add up.
        """
        delay = elapsed - ended * self.seconds
        return delay if delay > self.punctual - self.seconds else 0.0


def interval_of(seconds: float, clock: Clock) -> Interval:
    """Return an interval, the same one for all instruments with the clock of the machine.

    A meter without weights and a clock of its own is smaller, and a tick of many meters takes as
    long as it takes to fetch them from memory.
    """
    # Clocks of programs may have no hash, and a cache would keep them alive.
    return system_interval(seconds) if clock is SYSTEM_CLOCK else Interval(seconds, clock)


@lru_cache(maxsize=16)
def system_interval(seconds: float) -> Interval:
    """Return the interval of `seconds` on the clock of the machine."""
    return Interval(seconds, SYSTEM_CLOCK)


@final
class EWMA(Shared):
    """Moving average of events per second, advanced by ticks at fixed intervals.

    The first tick sets the rate to the mean since the creation, at least over one interval. Each
    later tick moves the rate by `alpha` towards the rate of the interval that it ends. A tick after
    missed ones counts for all whole intervals that have passed, with the events spread evenly over
    them. The rate of a silent average becomes 0 below 1e-9 events per second.

    `update` is safe from any thread; ticks must come one at a time, as from a `Ticker`.

    Args:
        alpha: weight of the newest interval, above 0 and up to 1.
        interval: seconds between two ticks, above 0.
        clock: measures the time between two ticks.

    Raises:
        TypeError: `alpha` or `interval` is not a number, or `clock` is not a clock.
        ValueError: `alpha` or `interval` is out of range.
    """

    __slots__ = (
        "_alpha",
        "_count",
        "_interval",
        "_rate",
        "_seen",
        "_start",
        "_ticked_at",
    )

    def __init__(self, alpha: Real, interval: Real = INTERVAL, clock: Clock = SYSTEM_CLOCK) -> None:
        self._alpha = positive("EWMA(alpha)", alpha)
        if self._alpha > 1.0:
            raise ValueError(f"EWMA(alpha) takes a weight up to 1, got {alpha!r}")
        self._interval = interval_of(
            positive("EWMA(interval)", interval), checked_clock("EWMA(clock)", clock)
        )
        self._start = clock.monotonic()
        # The time at which the last tick was due.
        self._ticked_at = NEVER
        self._count = 0
        self._seen = 0
        # Per nanosecond, as go-ethereum keeps rates, so that the last digits agree.
        self._rate = 0.0

    @classmethod
    def one_minute(cls, interval: Real = INTERVAL, clock: Clock = SYSTEM_CLOCK) -> Self:
        """Return an average over one minute."""
        return cls(alpha_of(1.0, positive("EWMA(interval)", interval)), interval, clock)

    @classmethod
    def five_minutes(cls, interval: Real = INTERVAL, clock: Clock = SYSTEM_CLOCK) -> Self:
        """Return an average over five minutes."""
        return cls(alpha_of(5.0, positive("EWMA(interval)", interval)), interval, clock)

    @classmethod
    def fifteen_minutes(cls, interval: Real = INTERVAL, clock: Clock = SYSTEM_CLOCK) -> Self:
        """Return an average over fifteen minutes."""
        return cls(alpha_of(15.0, positive("EWMA(interval)", interval)), interval, clock)

    def update(self, n: Whole = 1) -> None:
        """Count `n` events in the current interval.

        Raises:
            TypeError: `n` is not an int.
            ValueError: `n` is negative.
        """
        if type(n) is not int or n < 0:
            n = natural("EWMA.update()", n)
        self._count += n

    def tick(self) -> None:
        """End the current interval and average its rate into the moving average."""
        now = self._interval.clock.monotonic()
        count = self._count
        first = self._ticked_at == NEVER
        elapsed = now - (self._start if first else self._ticked_at)
        ended = self._interval.count_ended(elapsed, first=first)
        instant = (count - self._seen) / (ended * self._interval.ns)
        rate = instant if first else average(self._rate, instant, self._alpha, ended)
        self._ticked_at = now - self._interval.delay_of(elapsed, ended)
        self._seen = count
        # An endless decay would lead to 3e-314, a number of 300 digits in line formats.
        self._rate = 0.0 if rate < IDLE and instant == 0.0 else rate

    @property
    def rate(self) -> float:
        """Events per second as of the last tick; 0 before the first."""
        return self._rate * 1e9

    def __repr__(self) -> str:
        return f"EWMA(rate={self.rate}, alpha={self._alpha}, interval={self._interval.seconds})"


def alpha_of(minutes: float, interval: float) -> float:
    """Return the weight of one interval (in seconds) in an average over `minutes`."""
    return 1.0 - exp(-interval / 60.0 / minutes)


def average(rate: float, instant: float, alpha: float, intervals: float) -> float:
    """Return the average `rate` after `intervals` of the rate `instant`; both per nanosecond.

    Args:
        rate: the moving average before.
        instant: events per nanosecond in each of the intervals.
        alpha: weight of one interval, above 0 and up to 1.
        intervals: whole number above 0.
    """
    if intervals == 1.0:
        rate += alpha * (instant - rate)
    else:
        rate = instant + (rate - instant) * (1.0 - alpha) ** intervals
    return rate
