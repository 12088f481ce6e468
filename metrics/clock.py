"""Clocks: the source of monotonic and wall-clock time.

All code that needs the time takes a `Clock`, so that a test can pass its own and check a 15-minute
rate without waiting for 15 minutes.
"""

import time as system_time
from typing import Protocol, Self, final

__all__ = ["SYSTEM_CLOCK", "Clock", "SystemClock"]


class Clock(Protocol):
    """A source of monotonic and of wall-clock time, safe to use from any thread."""

    def monotonic(self) -> float:
        """Return seconds on a clock that never goes back; only differences have a meaning."""

    def monotonic_ns(self) -> int:
        """Return nanoseconds on the same clock as `monotonic`."""

    def time(self) -> float:
        """Return seconds since the Unix epoch."""

    def time_ns(self) -> int:
        """Return nanoseconds since the Unix epoch."""


@final
class SystemClock:
    """The clock of the machine.

    The monotonic methods are the interpreter's own functions, so that a caller that keeps
    `clock.monotonic_ns` pays for one C call only.

    Under freezegun and time-machine the wall clock shows the time that the test has set, while the
    monotonic clock runs on: durations stay true, ticks and reports come, and a stop ends on time. A
    test that controls both uses `metrics.testing.ManualClock`.
    """

    __slots__ = ()

    monotonic = staticmethod(system_time.perf_counter)
    monotonic_ns = staticmethod(system_time.perf_counter_ns)

    def time(self) -> float:
        """Return seconds since the Unix epoch."""
        # Looked up at each call, because freezegun replaces the function.
        return system_time.time()

    def time_ns(self) -> int:
        """Return nanoseconds since the Unix epoch."""
        return system_time.time_ns()

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        """Return the clock itself: containers deep-copy the values of their providers."""
        return self

    def __repr__(self) -> str:
        return "SYSTEM_CLOCK"


SYSTEM_CLOCK = SystemClock()
"""The clock of the machine, the default of all code that takes a clock."""
