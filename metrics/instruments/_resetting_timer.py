"""Resetting timers: all durations since the last read of each reader."""

from typing import final

from metrics.clock import SYSTEM_CLOCK, Clock
from metrics.instruments._arguments import Whole
from metrics.instruments._durations import Durations
from metrics.instruments._exemplars import ExemplarLabels
from metrics.instruments._resetting import DEFAULT_SIZE, ResettingReservoir
from metrics.instruments._sample import HistogramSnapshot


@final
class ResettingTimer(Durations):
    """Durations since the last snapshot, for each reader its own.

    Percentiles are exact up to `size` durations between two reads. Needs no ticker. Safe to update
    from any thread, without a lock.

    Args:
        size: the number of newest durations to keep.
        clock: measures the durations.

    Raises:
        TypeError: `size` is not an int, or `clock` lacks a method of clocks.
        ValueError: `size` is not positive.
    """

    __slots__ = ("_reservoir",)

    def __init__(self, size: Whole = DEFAULT_SIZE, clock: Clock = SYSTEM_CLOCK) -> None:
        super().__init__("ResettingTimer(clock)", clock)
        self._reservoir = ResettingReservoir(size)

    def _record(self, seconds: float, exemplar: ExemplarLabels | None) -> None:
        self._reservoir.update(seconds)

    def _after_fork(self) -> None:
        self._ignored = 0
        self._reservoir._after_fork()  # noqa: SLF001 - the same method of another object

    @property
    def count(self) -> int:
        """Number of durations since creation, read or not."""
        return self._reservoir.count

    def snapshot(self, reader: str = "") -> HistogramSnapshot:
        """Return the durations since the last snapshot of `reader`, and reset for that reader."""
        return self._reservoir.snapshot(reader)

    def __repr__(self) -> str:
        return f"ResettingTimer(count={self.count})"
