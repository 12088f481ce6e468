"""Gauges: values that go up and down, set by the program or read from a function."""

from collections.abc import Callable
from typing import final

from metrics.clock import SYSTEM_CLOCK, Clock
from metrics.instruments._arguments import Real, Whole, integer, real
from metrics.instruments._blocks import InProgress
from metrics.instruments._shared import Shared
from metrics.instruments._snapshot import Snapshot


@final
class GaugeSnapshot(Snapshot):
    """The value of a `Gauge` or an `IntGauge`."""

    __slots__ = ("_value",)
    fields = ("value",)

    def __init__(self, value: int | float) -> None:  # noqa: PYI041 - a float holds no large int
        self._value = value

    @property
    def value(self) -> int | float:
        """The last value set, or what the gauge's function returned; an int for an `IntGauge`."""
        return self._value

    @property
    def scalar(self) -> int | float:
        """The value."""
        return self._value


@final
class Gauge(Shared):
    """A float that is set, or read from `function` whenever somebody looks.

    Infinities and NaN are values like any other. Safe to update from any thread, without a lock.
    """

    __slots__ = ("_function", "_value")

    def __init__(self, function: Callable[[], float] | None = None) -> None:
        # What it returns is checked, so nothing is taken for granted here.
        self._function: Callable[[], object] | None = function
        self._value = 0.0

    def set(self, value: Real) -> None:
        """Make `value` the current value.

        Raises:
            TypeError: `value` is not a number, or the gauge reads a function.
        """
        if type(value) is not float or self._function is not None:
            value = self._settable("Gauge.set()", value)
        self._value = value

    def inc(self, n: Real = 1.0) -> None:
        """Add `n`.

        Raises:
            TypeError: `n` is not a number, or the gauge reads a function.
        """
        if type(n) is not float or self._function is not None:
            n = self._settable("Gauge.inc()", n)
        self._value += n

    def dec(self, n: Real = 1.0) -> None:
        """Subtract `n`.

        Raises:
            TypeError: `n` is not a number, or the gauge reads a function.
        """
        if type(n) is not float or self._function is not None:
            n = self._settable("Gauge.dec()", n)
        self._value -= n

    def set_max(self, value: Real) -> None:
        """Make `value` the current value if it is greater; a NaN gives way to anything.

        Raises:
            TypeError: `value` is not a number, or the gauge reads a function.
        """
        if type(value) is not float or self._function is not None:
            value = self._settable("Gauge.set_max()", value)
        if value > self._value or self._value != self._value:
            self._value = value

    def set_to_current_time(self, clock: Clock = SYSTEM_CLOCK) -> None:
        """Set the seconds since the Unix epoch: when a job ran last, for example.

        Args:
            clock: source of the wall-clock time.

        Raises:
            TypeError: the gauge reads a function.
        """
        refuse_function("Gauge.set_to_current_time()", self._function)
        self.set(clock.time())

    def track_inprogress(self) -> InProgress:
        """Return a block, also a decorator, that adds 1 on entry and subtracts 1 on exit.

        Raises:
            TypeError: the gauge reads a function.
        """
        refuse_function("Gauge.track_inprogress()", self._function)
        return InProgress(self.inc, self.dec)

    @property
    def value(self) -> float:
        """The current value; what the function returns (or raises) when the gauge has one."""
        if self._function is None:
            return self._value
        return real("a Gauge's function", self._function())

    def snapshot(self, reader: str = "") -> GaugeSnapshot:
        """Return the value now."""
        return GaugeSnapshot(self.value)

    def _settable(self, caller: str, value: object) -> float:
        refuse_function(caller, self._function)
        return real(caller, value)

    def __repr__(self) -> str:
        return f"Gauge({self._function or self._value!r})"


@final
class IntGauge(Shared):
    """A `Gauge` of exact ints of any size.

    Safe to update from any thread, without a lock.
    """

    __slots__ = ("_function", "_value")

    def __init__(self, function: Callable[[], int] | None = None) -> None:
        # What it returns is checked, so nothing is taken for granted here.
        self._function: Callable[[], object] | None = function
        self._value = 0

    def set(self, value: Whole) -> None:
        """Make `value` the current value.

        Raises:
            TypeError: `value` is not an int, or the gauge reads a function.
        """
        if type(value) is not int or self._function is not None:
            value = self._settable("IntGauge.set()", value)
        self._value = value

    def inc(self, n: Whole = 1) -> None:
        """Add `n`.

        Raises:
            TypeError: `n` is not an int, or the gauge reads a function.
        """
        if type(n) is not int or self._function is not None:
            n = self._settable("IntGauge.inc()", n)
        self._value += n

    def dec(self, n: Whole = 1) -> None:
        """Subtract `n`.

        Raises:
            TypeError: `n` is not an int, or the gauge reads a function.
        """
        if type(n) is not int or self._function is not None:
            n = self._settable("IntGauge.dec()", n)
        self._value -= n

    def set_max(self, value: Whole) -> None:
        """Make `value` the current value if it is greater.

        Raises:
            TypeError: `value` is not an int, or the gauge reads a function.
        """
        if type(value) is not int or self._function is not None:
            value = self._settable("IntGauge.set_max()", value)
        if value > self._value:  # noqa: PLR1730 - max() is a call, and calls may switch threads
            self._value = value

    def track_inprogress(self) -> InProgress:
        """Return a block, also a decorator, that adds 1 on entry and subtracts 1 on exit.

        Raises:
            TypeError: the gauge reads a function.
        """
        refuse_function("IntGauge.track_inprogress()", self._function)
        return InProgress(self.inc, self.dec)

    @property
    def value(self) -> int:
        """The current value; what the function returns (or raises) when the gauge has one."""
        if self._function is None:
            return self._value
        return integer("an IntGauge's function", self._function())

    def snapshot(self, reader: str = "") -> GaugeSnapshot:
        """Return the value now."""
        return GaugeSnapshot(self.value)

    def _settable(self, caller: str, value: object) -> int:
        refuse_function(caller, self._function)
        return integer(caller, value)

    def __repr__(self) -> str:
        return f"IntGauge({self._function or self._value!r})"


def refuse_function(caller: str, function: object) -> None:
    """Raise TypeError if a gauge has a function, because then nothing else can set it."""
    if function is not None:
        raise TypeError(f"{caller}: this gauge reads {function!r}; make one without a function")
