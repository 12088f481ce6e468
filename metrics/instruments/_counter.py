"""Counters: totals of events and of amounts, which only grow or go both ways."""

from math import inf
from typing import final

from metrics.instruments._arguments import Real, Whole, amount, finite, integer, natural, real
from metrics.instruments._blocks import ExceptionCount, Exceptions, InProgress
from metrics.instruments._cumulative import Traceable
from metrics.instruments._exemplars import (
    ExemplarLabels,
    Exemplars,
    with_exemplars,
)
from metrics.instruments._shared import Shared
from metrics.instruments._snapshot import Snapshot


@final
class CounterSnapshot(Snapshot):
    """Value of a `Counter` or a `FloatCounter`."""

    __slots__ = ("_count", "_exemplars")
    fields = ("count",)

    def __init__(
        self,
        count: int | float,  # noqa: PYI041 - a float holds no large int
        exemplars: Exemplars = (),
    ) -> None:
        self._count = count
        self._exemplars = exemplars

    @property
    def count(self) -> int | float:
        """Total since creation or the last `clear`; an exact int for a `Counter`."""
        return self._count

    @property
    def exemplars(self) -> Exemplars:
        """The exemplar of the latest increment that had one."""
        return self._exemplars

    def __reduce__(self) -> tuple[object, ...]:
        return CounterSnapshot, with_exemplars((self._count,), self._exemplars)

    @property
    def scalar(self) -> int | float | None:
        """The count."""
        return self._count

    @property
    def total(self) -> int | float | None:
        """The count."""
        return self._count


@final
class Counter(Traceable):
    """Count of events; only grows. Safe to update from any thread, without a lock."""

    __slots__ = ("_count",)

    def __init__(self) -> None:
        # As `Traceable` does; a call would take a tenth of the time of a new child. A second
        # annotation would be a second attribute for mypyc: the garbage collector would count each
        # reference twice, and keep a cycle through it for good.
        self._created = 0.0
        self._exemplars = None
        self._count = 0

    def inc(self, n: Whole = 1, exemplar: ExemplarLabels | None = None) -> None:
        """Add `n` events.

        Args:
            n: the number of events.
            exemplar: labels of this increment, such as its trace, in place of the labels that the
                registry's function returns; dropped if they are longer than 128 characters.

        Raises:
            TypeError: `n` is not an int, or `exemplar` not a mapping of str to str.
            ValueError: `n` is negative, or the name of a label is malformed.
        """
        if exemplar is None and self._exemplars is None:
            # A variable of type int: compiled code unboxes the argument once.
            number = n if type(n) is int else -1
            if number < 0:
                number = natural("Counter.inc()", n)
            self._count += number
        else:
            self._inc_traced(natural("Counter.inc()", n), exemplar)

    def _inc_traced(self, number: int, labels: ExemplarLabels | None) -> None:
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
        return ExceptionCount("Counter.count_exceptions()", self.inc, exception)

    def clear(self) -> None:
        """Reset the total to 0."""
        # A reader that finds the new time finds the new total: it reads the time first.
        now = self._time()
        self._count = 0
        self._created = now
        self._drop_exemplars()

    def _after_fork(self) -> None:
        self._count = 0
        self._drop_exemplars()

    @property
    def count(self) -> int:
        """Number of events since creation or the last `clear`."""
        return self._count

    def snapshot(self, reader: str = "") -> CounterSnapshot:
        """Return the present count."""
        exemplars = self._latest_exemplars()
        return CounterSnapshot(self._count, exemplars)

    def __repr__(self) -> str:
        return f"Counter(count={self._count})"


@final
class FloatCounter(Traceable):
    """Sum of amounts, such as seconds or joules; only grows.

    Safe to update from any thread, without a lock.
    """

    __slots__ = ("_count",)

    def __init__(self) -> None:
        # As `Traceable` does; a call would take a tenth of the time of a new child. A second
        # annotation would be a second attribute for mypyc: the garbage collector would count each
        # reference twice, and keep a cycle through it for good.
        self._created = 0.0
        self._exemplars = None
        self._count = 0.0

    def inc(self, n: Real = 1.0, exemplar: ExemplarLabels | None = None) -> None:
        """Add `n`.

        Args:
            n: the amount.
            exemplar: labels of this increment, such as its trace, in place of the labels that the
                registry's function returns; dropped if they are longer than 128 characters.

        Raises:
            TypeError: `n` is not a number, or `exemplar` not a mapping of str to str.
            ValueError: `n` is negative, infinite or NaN, or the name of a label is malformed.
        """
        if exemplar is None and self._exemplars is None:
            # A variable of type float: compiled code unboxes the argument once.
            number = n if type(n) is float else real("FloatCounter.inc()", n)
            if not 0.0 <= number < inf:
                amount("FloatCounter.inc()", number)  # which raises
            self._count += number
        else:
            self._inc_traced(amount("FloatCounter.inc()", n), exemplar)

    def _inc_traced(self, number: float, labels: ExemplarLabels | None) -> None:
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
        return ExceptionCount("FloatCounter.count_exceptions()", self.inc, exception)

    def clear(self) -> None:
        """Reset the total to 0."""
        # A reader that finds the new time finds the new total: it reads the time first.
        now = self._time()
        self._count = 0.0
        self._created = now
        self._drop_exemplars()

    def _after_fork(self) -> None:
        self._count = 0.0
        self._drop_exemplars()

    @property
    def count(self) -> float:
        """Total since creation or the last `clear`."""
        return self._count

    def snapshot(self, reader: str = "") -> CounterSnapshot:
        """Return the present total."""
        exemplars = self._latest_exemplars()
        return CounterSnapshot(self._count, exemplars)

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
