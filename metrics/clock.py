"""Where time comes from.

Everything that needs the time is given a `Clock`, so that a test can hand in its own and a
15-minute rate can be checked without waiting 15 minutes.
"""

import time as system_time
from typing import Protocol, Self, final


class Clock(Protocol):
    """A source of monotonic and of wall-clock time, safe to use from any thread."""

    def monotonic(self) -> float:
        """Return seconds on a clock that never goes back; only differences mean something."""

    def monotonic_ns(self) -> int:
        """Return nanoseconds on the same clock as `monotonic`."""

    def time(self) -> float:
        """Return seconds since the Unix epoch."""

    def time_ns(self) -> int:
        """Return nanoseconds since the Unix epoch."""


@final
class SystemClock:
    """The machine's own clock.

    The monotonic methods are the interpreter's functions themselves, so that a caller that keeps
    `clock.monotonic_ns` pays for one C call and nothing else.

    Under freezegun and time-machine the wall clock tells the time that the test has set, while the
    monotonic clock goes on: durations stay true, ticks and reports come, and a stop ends on time. A
    test that wants to drive both has `metrics.testing.ManualClock`.
    """

    __slots__ = ()

    monotonic = staticmethod(system_time.perf_counter)
    monotonic_ns = staticmethod(system_time.perf_counter_ns)

    def time(self) -> float:
        """Return seconds since the Unix epoch."""
        # Looked up when called: freezegun puts its own function in this one's place.
        return system_time.time()

    def time_ns(self) -> int:
        """Return nanoseconds since the Unix epoch."""
        return system_time.time_ns()

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        """Return the clock itself: containers deep-copy what their providers hold."""
        return self

    def __repr__(self) -> str:
        return "SYSTEM_CLOCK"


SYSTEM_CLOCK = SystemClock()
