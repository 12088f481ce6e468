"""Clock that a test moves by hand."""

import threading
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Self, final

from metrics.instruments._inner import Real, Whole, amount, finite, natural

NANOSECONDS = 1_000_000_000
"""Nanoseconds in a second."""


@final
class ManualClock:
    """`Clock` that stands still until a test moves it, by exact nanoseconds.

    `advance` moves monotonic and wall-clock time together, `set_time` the wall clock alone. Seconds
    are read as decimals: ten times 0.1 is 1. copy and deepcopy return the clock itself, so that a
    container and the test that overrides its clock hold the same one. Safe to use from any thread.

    Args:
        monotonic: seconds that the monotonic clock shows at first.
        epoch: seconds since the Unix epoch that the wall clock shows at first.

    Raises:
        TypeError: a time is not a number.
        ValueError: a time is infinite or NaN.
    """

    __slots__ = ("_epoch_ns", "_lock", "_monotonic_ns")

    def __init__(self, monotonic: Real = 1_000, epoch: Real = 1_700_000_000) -> None:
        self._monotonic_ns = nanoseconds(finite("ManualClock(monotonic)", monotonic))
        self._epoch_ns = nanoseconds(finite("ManualClock(epoch)", epoch))
        self._lock = threading.Lock()

    def monotonic(self) -> float:
        """Return seconds on the clock that never goes back."""
        return self._monotonic_ns / NANOSECONDS

    def monotonic_ns(self) -> int:
        """Return nanoseconds on the same clock as `monotonic`."""
        return self._monotonic_ns

    def time(self) -> float:
        """Return seconds since the Unix epoch."""
        return self._epoch_ns / NANOSECONDS

    def time_ns(self) -> int:
        """Return nanoseconds since the Unix epoch."""
        return self._epoch_ns

    def advance(self, seconds: Real) -> None:
        """Let `seconds` pass on both clocks.

        Raises:
            TypeError: `seconds` is not a number.
            ValueError: `seconds` is negative, infinite or NaN.
        """
        self._pass(nanoseconds(amount("ManualClock.advance()", seconds)))

    def advance_ns(self, ns: Whole) -> None:
        """Let `ns` nanoseconds pass on both clocks.

        Raises:
            TypeError: `ns` is not an int.
            ValueError: `ns` is negative.
        """
        if type(ns) is not int or ns < 0:
            ns = natural("ManualClock.advance_ns()", ns)
        self._pass(ns)

    def set_time(self, epoch: Real) -> None:
        """Set the wall clock alone, forth or back, as an operator or NTP does.

        Args:
            epoch: seconds since the Unix epoch.

        Raises:
            TypeError: `epoch` is not a number.
            ValueError: `epoch` is infinite or NaN.
        """
        ns = nanoseconds(finite("ManualClock.set_time()", epoch))
        with self._lock:
            self._epoch_ns = ns

    def _pass(self, ns: int) -> None:
        with self._lock:
            self._monotonic_ns += ns
            self._epoch_ns += ns

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        """Return the clock itself: containers deep-copy the values of their providers."""
        return self

    def __repr__(self) -> str:
        return f"<ManualClock monotonic {self.monotonic()} s, epoch {self.time()} s>"


def nanoseconds(seconds: float, rounding: str = ROUND_HALF_EVEN) -> int:
    """Return the whole nanoseconds nearest to a number of seconds as it is written in decimals."""
    # 1700000000.1 is no float; the one nearest to it is 95 ns away, but is written the same.
    return int(Decimal(repr(seconds)).scaleb(9).to_integral_value(rounding))
