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

    The methods are the interpreter's functions themselves, so that a caller that keeps
    `clock.monotonic_ns` pays for one C call and nothing else.
    """

    __slots__ = ()

    monotonic = staticmethod(system_time.perf_counter)
    monotonic_ns = staticmethod(system_time.perf_counter_ns)
    time = staticmethod(system_time.time)
    time_ns = staticmethod(system_time.time_ns)

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        """Return the clock itself: containers deep-copy what their providers hold."""
        return self

    def __repr__(self) -> str:
        return "SYSTEM_CLOCK"


SYSTEM_CLOCK = SystemClock()
