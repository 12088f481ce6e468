"""Exponentially weighted moving averages of an event rate, as the Unix load average has them."""

from math import exp
from typing import Self, final

from metrics.instruments._arguments import Real, Whole, natural, positive
from metrics.instruments._shared import Shared

INTERVAL = 5.0
"""Seconds between two ticks, unless told otherwise."""


@final
class EWMA(Shared):
    """A moving average of events a second, advanced by a tick at fixed intervals.

    The first tick sets the rate to that of its interval; each later one moves it by `alpha`
    towards the rate of the interval just ended. `update` is safe from any thread; ticks must come
    one at a time, as a `Ticker` gives them.

    Args:
        alpha: weight of the newest interval, above 0 and up to 1.
        interval: seconds between two ticks.

    Raises:
        ValueError: `alpha` or `interval` is out of range.
    """

    __slots__ = ("_alpha", "_count", "_interval_ns", "_rate", "_seen")

    def __init__(self, alpha: Real, interval: Real = INTERVAL) -> None:
        self._alpha = positive("EWMA(alpha)", alpha)
        if self._alpha > 1.0:
            raise ValueError(f"EWMA(alpha) takes a weight up to 1, got {alpha!r}")
        # Rates are kept per nanosecond, as go-ethereum does, so that the last digits agree.
        self._interval_ns = positive("EWMA(interval)", interval) * 1e9
        self._count = 0
        self._seen = 0
        self._rate: float | None = None

    @classmethod
    def one_minute(cls, interval: Real = INTERVAL) -> Self:
        """Return an average over one minute."""
        return cls(alpha_of(1.0, positive("EWMA(interval)", interval)), interval)

    @classmethod
    def five_minutes(cls, interval: Real = INTERVAL) -> Self:
        """Return an average over five minutes."""
        return cls(alpha_of(5.0, positive("EWMA(interval)", interval)), interval)

    @classmethod
    def fifteen_minutes(cls, interval: Real = INTERVAL) -> Self:
        """Return an average over fifteen minutes."""
        return cls(alpha_of(15.0, positive("EWMA(interval)", interval)), interval)

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
        """End the current interval and fold its rate into the average."""
        count = self._count
        instant = (count - self._seen) / self._interval_ns
        self._seen = count
        self._rate = instant if self._rate is None else moved(self._rate, instant, self._alpha)

    @property
    def rate(self) -> float:
        """Events a second as of the last tick; 0 before the first."""
        return 0.0 if self._rate is None else self._rate * 1e9

    def __repr__(self) -> str:
        return f"EWMA(rate={self.rate}, alpha={self._alpha}, interval={self._interval_ns / 1e9})"


def alpha_of(minutes: float, interval: float) -> float:
    """Return the weight of one interval (in seconds) in an average over `minutes`."""
    return 1.0 - exp(-interval / 60.0 / minutes)


def moved(rate: float, instant: float, alpha: float) -> float:
    """Return `rate` moved towards `instant` by the weight `alpha`."""
    return rate + alpha * (instant - rate)
