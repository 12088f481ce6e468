"""Clock of the machine that a test moves forward while reporters run by it."""

from metrics.clock import SYSTEM_CLOCK


class LeapingClock:
    """`SYSTEM_CLOCK` whose monotonic time is `leap` seconds ahead."""

    leap = 0.0

    def monotonic(self) -> float:
        return SYSTEM_CLOCK.monotonic() + self.leap

    def monotonic_ns(self) -> int:
        return SYSTEM_CLOCK.monotonic_ns() + round(self.leap * 1e9)

    time = staticmethod(SYSTEM_CLOCK.time)
    time_ns = staticmethod(SYSTEM_CLOCK.time_ns)
