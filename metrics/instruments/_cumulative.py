"""Cumulative instruments: totals with the time since which they count."""

from metrics.clock import SYSTEM_CLOCK, Clock
from metrics.instruments._shared import Shared


class Cumulative(Shared):
    """Base of instruments whose total only grows: it knows the time of its creation.

    A rate is computed from a total and its beginning, which OpenMetrics writes as `_created` and
    OTLP as the start time. A total alone does not show a new beginning: a counter that is cleared
    and then counts further than before only seems to have grown.

    The family that creates a child, or the registry in which an instrument is registered, calls
    `_begin`.
    """

    __slots__ = ("_created",)

    def __init__(self) -> None:
        self._created = 0.0

    @property
    def created(self) -> float:
        """Time of creation or of the last `clear`, in seconds since the Unix epoch.

        0 for an instrument that is neither registered nor a child of a family. In a forked process,
        the time of the fork.
        """
        return self._created

    def _begin(self, now: float, clock: Clock) -> None:
        """Set the time of creation to `now`, read from the owner's clock."""
        self._created = now


class Clearable(Cumulative):
    """Base of cumulative instruments that can be cleared, at a time of their owner's clock."""

    __slots__ = ("_clock",)

    def __init__(self) -> None:
        self._created = 0.0
        self._clock: Clock = SYSTEM_CLOCK

    def _begin(self, now: float, clock: Clock) -> None:
        self._created = now
        self._clock = clock
