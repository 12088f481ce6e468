"""Resetting timers: durations since the reader's last look, each of them kept."""

from typing import final

from metrics.clock import SYSTEM_CLOCK, Clock
from metrics.instruments._arguments import Whole
from metrics.instruments._durations import Durations
from metrics.instruments._resetting import DEFAULT_SIZE, ResettingReservoir
from metrics.instruments._sample import HistogramSnapshot


@final
class ResettingTimer(Durations):
    """Measures durations and gives each reader those since that reader's last snapshot.

    Percentiles are exact up to `size` durations between two reads. Needs no ticker. Safe to update
    from any thread, without a lock.

    Args:
        size: newest durations kept.
        clock: measures the durations.
    """

    __slots__ = ("_reservoir",)

    def __init__(self, size: Whole = DEFAULT_SIZE, clock: Clock = SYSTEM_CLOCK) -> None:
        super().__init__(clock)
        self._reservoir = ResettingReservoir(size)

    def _record(self, seconds: float) -> None:
        self._reservoir.update(seconds)

    def _after_fork(self) -> None:
        self._reservoir._after_fork()  # noqa: SLF001 - the same method of another object

    @property
    def count(self) -> int:
        """Number of durations since creation, whoever has read them."""
        return self._reservoir.count

    def snapshot(self, reader: str = "") -> HistogramSnapshot:
        """Return the durations since `reader` last asked, in seconds, and reset for that reader."""
        return self._reservoir.snapshot(reader)

    def __repr__(self) -> str:
        return f"ResettingTimer(count={self.count})"
