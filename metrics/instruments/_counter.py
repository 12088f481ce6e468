"""Counters: totals of events and of amounts, which only grow or go both ways."""

from math import inf
from typing import final

from metrics.clock import SYSTEM_CLOCK
from metrics.instruments._arguments import Real, Whole, amount, finite, integer, natural, real
from metrics.instruments._blocks import ExceptionCount, Exceptions, InProgress
from metrics.instruments._cumulative import Clearable
from metrics.instruments._shared import Shared
from metrics.instruments._snapshot import Snapshot


@final
class CounterSnapshot(Snapshot):
    """Value of a `Counter` or a `FloatCounter`."""

    __slots__ = ("_count",)
    fields = ("count",)

    def __init__(self, count: int | float) -> None:  # noqa: PYI041 - a float holds no large int
        self._count = count

    @property
    def count(self) -> int | float:
        """Total since creation or the last `clear`; an exact int for a `Counter`."""
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
    """Count of events; only grows. Safe to update from any thread, without a lock."""

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
        # A variable of type int: compiled code unboxes the argument once.
        number = n if type(n) is int else -1
        if number < 0:
            number = natural("Counter.inc()", n)
        self._count += number

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
        """Reset the total to 0."""
        # A reader that finds the new time finds the new total: it reads the time first.
        now = self._clock.time()
        self._count = 0
        self._created = now

    def _after_fork(self) -> None:
        self._count = 0

    @property
    def count(self) -> int:
        """Number of events since creation or the last `clear`."""
        return self._count

    def snapshot(self, reader: str = "") -> CounterSnapshot:
        """Return the present count."""
        return CounterSnapshot(self._count)

    def __repr__(self) -> str:
        return f"Counter(count={self._count})"


@final
class FloatCounter(Clearable):
    """Sum of amounts, such as seconds or joules; only grows.

    Safe to update from any thread, without a lock.
    """

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
        # A variable of type float: compiled code unboxes the argument once.
        number = n if type(n) is float else real("FloatCounter.inc()", n)
        if not 0.0 <= number < inf:
            amount("FloatCounter.inc()", number)  # which raises
        self._count += number

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
        """Reset the total to 0."""
        # A reader that finds the new time finds the new total: it reads the time first.
        now = self._clock.time()
        self._count = 0.0
        self._created = now

    def _after_fork(self) -> None:
        self._count = 0.0

    @property
    def count(self) -> float:
        """Total since creation or the last `clear`."""
        return self._count

    def snapshot(self, reader: str = "") -> CounterSnapshot:
        """Return the present total."""
        return CounterSnapshot(self._count)

    def __repr__(self) -> str:
        return f"FloatCounter(count={self._count})"


@final
class UpDownCounterSnapshot(Snapshot):
    """Value of an `UpDownCounter` or a `FloatUpDownCounter`."""

    __slots__ = ("_count",)
    fields = ("count",)

    def __init__(self, count: int | float) -> None:  # noqa: PYI041 - a float holds no large int
        self._count = count

    @property
    def count(self) -> int | float:
        """Increments less decrements; an exact int for an `UpDownCounter`."""
        return self._count

    @property
    def scalar(self) -> int | float:
        """The count."""
        return self._count


@final
class UpDownCounter(Shared):
    """Count that goes both ways: requests in flight, open connections. go-ethereum's Counter.

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
        number = n if type(n) is int else integer("UpDownCounter.inc()", n)
        self._count += number

    def dec(self, n: Whole = 1) -> None:
        """Subtract `n`, which may be negative.

        Raises:
            TypeError: `n` is not an int.
        """
        number = n if type(n) is int else integer("UpDownCounter.dec()", n)
        self._count -= number

    def track_inprogress(self) -> InProgress:
        """Return a block, also a decorator, that adds 1 on entry and subtracts 1 on exit."""
        return InProgress(self.inc, self.dec)

    def clear(self) -> None:
        """Reset the total to 0."""
        self._count = 0

    def _after_fork(self) -> None:
        self._count = 0

    @property
    def count(self) -> int:
        """Increments less decrements; may be negative."""
        return self._count

    def snapshot(self, reader: str = "") -> UpDownCounterSnapshot:
        """Return the present count."""
        return UpDownCounterSnapshot(self._count)

    def __repr__(self) -> str:
        return f"UpDownCounter(count={self._count})"


@final
class FloatUpDownCounter(Shared):
    """Sum of amounts that goes both ways: credit in use. go-ethereum's CounterFloat64.

    Safe to update from any thread, without a lock.
    """

    __slots__ = ("_count",)

    def __init__(self) -> None:
        self._count = 0.0

    def inc(self, n: Real = 1.0) -> None:
        """Add `n`, which may be negative.

        Raises:
            TypeError: `n` is not a number.
            ValueError: `n` is infinite or NaN.
        """
        number = n if type(n) is float else real("FloatUpDownCounter.inc()", n)
        # Infinity and NaN differ from themselves by NaN.
        if number - number != 0.0:
            finite("FloatUpDownCounter.inc()", number)  # which raises
        self._count += number

    def dec(self, n: Real = 1.0) -> None:
        """Subtract `n`, which may be negative.

        Raises:
            TypeError: `n` is not a number.
            ValueError: `n` is infinite or NaN.
        """
        number = n if type(n) is float else real("FloatUpDownCounter.dec()", n)
        if number - number != 0.0:
            finite("FloatUpDownCounter.dec()", number)  # which raises
        self._count -= number

    def track_inprogress(self) -> InProgress:
        """Return a block, also a decorator, that adds 1 on entry and subtracts 1 on exit."""
        return InProgress(self.inc, self.dec)

    def clear(self) -> None:
        """Reset the total to 0."""
        self._count = 0.0

    def _after_fork(self) -> None:
        self._count = 0.0

    @property
    def count(self) -> float:
        """Increments less decrements; may be negative."""
        return self._count

    def snapshot(self, reader: str = "") -> UpDownCounterSnapshot:
        """Return the present total."""
        return UpDownCounterSnapshot(self._count)

    def __repr__(self) -> str:
        return f"FloatUpDownCounter(count={self._count})"
