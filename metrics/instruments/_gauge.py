"""Gauges: values that go up and down, set by the program or read from a function."""

from collections.abc import Callable
from typing import final

from metrics.clock import SYSTEM_CLOCK, Clock
from metrics.instruments._arguments import Real, Whole, integer, real
from metrics.instruments._blocks import InProgress
from metrics.instruments._calls import call
from metrics.instruments._shared import Shared
from metrics.instruments._snapshot import Snapshot


@final
class GaugeSnapshot(Snapshot):
    """Value of a `Gauge` or an `IntGauge`."""

    __slots__ = ("_value",)
    fields = ("value",)

    def __init__(self, value: int | float) -> None:  # noqa: PYI041 - a float holds no large int
        self._value = value

    @property
    def value(self) -> int | float:
        """Value set last, or returned by the gauge's function; an exact int for an `IntGauge`."""
        return self._value

    @property
    def scalar(self) -> int | float:
        """The value."""
        return self._value


@final
class Gauge(Shared):
    """Float that is set, or read from a function at each read.

    Infinities and NaN are values like any other. Safe to update from any thread, without a lock.

    Args:
        function: returns the value; the gauge cannot be set then.

    Raises:
        TypeError: `function` cannot be called.
    """

    __slots__ = ("_function", "_value")

    def __init__(self, function: Callable[[], float] | None = None) -> None:
        # Its results are checked at each read, whatever its annotations say.
        self._function: Callable[[], object] | None = function
        if function is not None:
            refuse_uncallable("Gauge(function)", function)
        self._value = 0.0

    def set(self, value: Real) -> None:
        """Make `value` the current value.

        Raises:
            TypeError: `value` is not a number, or the gauge reads a function.
            ValueError: `value` is an int too large for a float.
        """
        if self._function is not None:
            raise refusal("Gauge.set()", self._function)
        number = value if type(value) is float else real("Gauge.set()", value)
        self._value = number

    def inc(self, n: Real = 1.0) -> None:
        """Add `n`.

        Raises:
            TypeError: `n` is not a number, or the gauge reads a function.
            ValueError: `n` is an int too large for a float.
        """
        if self._function is not None:
            raise refusal("Gauge.inc()", self._function)
        number = n if type(n) is float else real("Gauge.inc()", n)
        self._value += number

    def dec(self, n: Real = 1.0) -> None:
        """Subtract `n`.

        Raises:
            TypeError: `n` is not a number, or the gauge reads a function.
            ValueError: `n` is an int too large for a float.
        """
        if self._function is not None:
            raise refusal("Gauge.dec()", self._function)
        number = n if type(n) is float else real("Gauge.dec()", n)
        self._value -= number

    def set_max(self, value: Real) -> None:
        """Make `value` the current value if it is greater; every number replaces a NaN.

        Raises:
            TypeError: `value` is not a number, or the gauge reads a function.
            ValueError: `value` is an int too large for a float.
        """
        if self._function is not None:
            raise refusal("Gauge.set_max()", self._function)
        number = value if type(value) is float else real("Gauge.set_max()", value)
        if number > self._value or self._value != self._value:
            self._value = number

    def set_to_current_time(self, clock: Clock = SYSTEM_CLOCK) -> None:
        """Set the seconds since the Unix epoch: when a job ran last, for example.

        Args:
            clock: source of the wall-clock time.

        Raises:
            TypeError: the gauge reads a function.
        """
        if self._function is not None:
            raise refusal("Gauge.set_to_current_time()", self._function)
        self.set(clock.time())

    def track_inprogress(self) -> InProgress:
        """Return a block, also a decorator, that adds 1 on entry and subtracts 1 on exit.

        Raises:
            TypeError: the gauge reads a function.
        """
        if self._function is not None:
            raise refusal("Gauge.track_inprogress()", self._function)
        return InProgress(self.inc, self.dec)

    @property
    def value(self) -> float:
        """Current value, or the result of the gauge's function.

        Raises:
            TypeError: the function returned no number.
            ValueError: the function returned an int too large for a float.
            RuntimeError: the function was cancelled or raised SystemExit.
            Exception: any other exception of the function, as it is.
        """
        if self._function is None:
            return self._value
        return real("a Gauge's function", call(self._function))

    def snapshot(self, reader: str = "") -> GaugeSnapshot:
        """Return the present value; raise as `value` does."""
        return GaugeSnapshot(self.value)

    def __repr__(self) -> str:
        return f"Gauge({self._function or self._value!r})"


@final
class IntGauge(Shared):
    """`Gauge` of exact ints of any size.

    Safe to update from any thread, without a lock.

    Args:
        function: returns the value; the gauge cannot be set then.

    Raises:
        TypeError: `function` cannot be called.
    """

    __slots__ = ("_function", "_value")

    def __init__(self, function: Callable[[], int] | None = None) -> None:
        # Its results are checked at each read, whatever its annotations say.
        self._function: Callable[[], object] | None = function
        if function is not None:
            refuse_uncallable("IntGauge(function)", function)
        self._value = 0

    def set(self, value: Whole) -> None:
        """Make `value` the current value.

        Raises:
            TypeError: `value` is not an int, or the gauge reads a function.
        """
        if self._function is not None:
            raise refusal("IntGauge.set()", self._function)
        number = value if type(value) is int else integer("IntGauge.set()", value)
        self._value = number

    def inc(self, n: Whole = 1) -> None:
        """Add `n`.

        Raises:
            TypeError: `n` is not an int, or the gauge reads a function.
        """
        if self._function is not None:
            raise refusal("IntGauge.inc()", self._function)
        number = n if type(n) is int else integer("IntGauge.inc()", n)
        self._value += number

    def dec(self, n: Whole = 1) -> None:
        """Subtract `n`.

        Raises:
            TypeError: `n` is not an int, or the gauge reads a function.
        """
        if self._function is not None:
            raise refusal("IntGauge.dec()", self._function)
        number = n if type(n) is int else integer("IntGauge.dec()", n)
        self._value -= number

    def set_max(self, value: Whole) -> None:
        """Make `value` the current value if it is greater.

        Raises:
            TypeError: `value` is not an int, or the gauge reads a function.
        """
        if self._function is not None:
            raise refusal("IntGauge.set_max()", self._function)
        number = value if type(value) is int else integer("IntGauge.set_max()", value)
        if number > self._value:  # noqa: PLR1730 - max() is a call, and calls may switch threads
            self._value = number

    def track_inprogress(self) -> InProgress:
        """Return a block, also a decorator, that adds 1 on entry and subtracts 1 on exit.

        Raises:
            TypeError: the gauge reads a function.
        """
        if self._function is not None:
            raise refusal("IntGauge.track_inprogress()", self._function)
        return InProgress(self.inc, self.dec)

    @property
    def value(self) -> int:
        """Current value, or the result of the gauge's function.

        Raises:
            TypeError: the function returned no int.
            RuntimeError: the function was cancelled or raised SystemExit.
            Exception: any other exception of the function, as it is.
        """
        if self._function is None:
            return self._value
        return integer("an IntGauge's function", call(self._function))

    def snapshot(self, reader: str = "") -> GaugeSnapshot:
        """Return the present value; raise as `value` does."""
        return GaugeSnapshot(self.value)

    def __repr__(self) -> str:
        return f"IntGauge({self._function or self._value!r})"


def refuse_uncallable(caller: str, function: object) -> None:
    """Raise TypeError for a function that cannot be called, such as an initial value."""
    if not callable(function):
        raise TypeError(
            f"{caller} takes a function without arguments, got {function!r}; to hold a value, make "
            "a gauge without a function and call set()"
        )


def refusal(caller: str, function: object) -> TypeError:
    """Return the error for a gauge that is set although it reads a function."""
    return TypeError(f"{caller}: this gauge reads {function!r}; make one without a function")
