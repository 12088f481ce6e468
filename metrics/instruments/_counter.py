"""Counters: totals of events, whole, fractional, or going both ways."""

from math import inf
from typing import final

from metrics.clock import SYSTEM_CLOCK
from metrics.instruments._arguments import Real, Whole, amount, integer, natural
from metrics.instruments._blocks import ExceptionCount, Exceptions, InProgress
from metrics.instruments._cumulative import Clearable
from metrics.instruments._shared import Shared
from metrics.instruments._snapshot import Snapshot


@final
class CounterSnapshot(Snapshot):
    """The value of a `Counter` or a `FloatCounter`."""

    __slots__ = ("_count",)
    fields = ("count",)

    def __init__(self, count: int | float) -> None:  # noqa: PYI041 - a float holds no large int
        self._count = count

    @property
    def count(self) -> int | float:
        """The total since creation or the last `clear`; an exact int for a `Counter`."""
        return self._count

    @property
    def scalar(self) -> int | float | None:
        """The count."""
        return self._count

    @property
    def total(self) -> int | float | None:
        """The count."""
        return self._count


@final
class Counter(Clearable):
    """Counts events; only goes up. Safe to update from any thread, without a lock."""

    __slots__ = ("_count",)

    def __init__(self) -> None:
        # As `Clearable` does; a call would take a tenth of the time of a new child.
        self._created = 0.0
        self._clock = SYSTEM_CLOCK
        self._count = 0

    def inc(self, n: Whole = 1) -> None:
        """Add `n` events.

        Raises:
            TypeError: `n` is not an int.
            ValueError: `n` is negative.
        """
        if type(n) is not int or n < 0:
            n = natural("Counter.inc()", n)
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
        return ExceptionCount("Counter.count_exceptions()", self.inc, exception)

    def clear(self) -> None:
        """Start again from 0."""
        # A reader that finds the new time finds the new total: it reads the time first.
        now = self._clock.time()
        self._count = 0
        self._created = now

    def _after_fork(self) -> None:
        self._count = 0

    @property
    def count(self) -> int:
        """Events since creation or the last `clear`."""
        return self._count

    def snapshot(self, reader: str = "") -> CounterSnapshot:
        """Return the count now."""
        return CounterSnapshot(self._count)

    def __repr__(self) -> str:
        return f"Counter(count={self._count})"


@final
class FloatCounter(Clearable):
    """Adds up amounts (seconds, joules, ...); only goes up. Safe to update from any thread."""

    __slots__ = ("_count",)

    def __init__(self) -> None:
        # As `Clearable` does; a call would take a tenth of the time of a new child.
        self._created = 0.0
        self._clock = SYSTEM_CLOCK
        self._count = 0.0

    def inc(self, n: Real = 1.0) -> None:
        """Add `n`.

        Raises:
            TypeError: `n` is not a number.
            ValueError: `n` is negative, infinite or NaN.
        """
        if type(n) is not float or not 0.0 <= n < inf:
            n = amount("FloatCounter.inc()", n)
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
        return ExceptionCount("FloatCounter.count_exceptions()", self.inc, exception)

    def clear(self) -> None:
        """Start again from 0."""
        # A reader that finds the new time finds the new total: it reads the time first.
        now = self._clock.time()
        self._count = 0.0
        self._created = now

    def _after_fork(self) -> None:
        self._count = 0.0

    @property
    def count(self) -> float:
        """The total since creation or the last `clear`."""
        return self._count

    def snapshot(self, reader: str = "") -> CounterSnapshot:
        """Return the total now."""
        return CounterSnapshot(self._count)

    def __repr__(self) -> str:
        return f"FloatCounter(count={self._count})"


@final
class UpDownCounterSnapshot(Snapshot):
    """The value of an `UpDownCounter`."""

    __slots__ = ("_count",)
    fields = ("count",)

    def __init__(self, count: int) -> None:
        self._count = count

    @property
    def count(self) -> int:
        """Increments less decrements; may be negative."""
        return self._count

    @property
    def scalar(self) -> int:
        """The count."""
        return self._count


@final
class UpDownCounter(Shared):
    """Counts what comes and goes: requests in flight, open connections. go-ethereum's Counter.

    Safe to update from any thread, without a lock.
    """

    __slots__ = ("_count",)

    def __init__(self) -> None:
        self._count = 0

    def inc(self, n: Whole = 1) -> None:
        """Add `n`, which may be negative.

        Raises:
            TypeError: `n` is not an int.
        """
        if type(n) is not int:
            n = integer("UpDownCounter.inc()", n)
        self._count += n

    def dec(self, n: Whole = 1) -> None:
        """Subtract `n`, which may be negative.

        Raises:
            TypeError: `n` is not an int.
        """
        if type(n) is not int:
            n = integer("UpDownCounter.dec()", n)
        self._count -= n

    def track_inprogress(self) -> InProgress:
        """Return a block, also a decorator, that adds 1 on entry and subtracts 1 on exit."""
        return InProgress(self.inc, self.dec)

    def clear(self) -> None:
        """Start again from 0."""
        self._count = 0

    def _after_fork(self) -> None:
        self._count = 0

    @property
    def count(self) -> int:
        """Increments less decrements."""
        return self._count

    def snapshot(self, reader: str = "") -> UpDownCounterSnapshot:
        """Return the count now."""
        return UpDownCounterSnapshot(self._count)

    def __repr__(self) -> str:
        return f"UpDownCounter(count={self._count})"
