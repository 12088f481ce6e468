"""Resetting reservoir: for each reader, the values since its last read."""

import threading
from array import array
from typing import final

from metrics import _fork
from metrics.instruments._arguments import Real, Whole, finite, real
from metrics.instruments._arguments import size as checked_size
from metrics.instruments._sample import HistogramSnapshot, total
from metrics.instruments._shared import Shared

DEFAULT_SIZE = 16_384
"""Default number of newest values kept."""


@final
class ResettingReservoir(Shared):
    """Values since the last snapshot, for each reader its own.

    Readers have names and do not take values from each other: after a scrape, a reporter still
    sends all of its values. Updates take no lock.

    The reservoir keeps the newest `size` values at least and twice as many at most. A reader that
    is too late for the oldest values still gets the exact count and sum of all; its sample holds
    the newest.

    Args:
        size: the number of values to keep.

    Raises:
        TypeError: `size` is not an int.
        ValueError: `size` is not positive.
    """

    __slots__ = ("_generation", "_log", "_read", "_reading", "_size", "_trimming")

    def __init__(self, size: Whole = DEFAULT_SIZE) -> None:
        self._size = checked_size("ResettingReservoir(size)", size)
        self._log = Log(0, 0.0)
        # By reader: the count and the sum of the values it has read.
        self._read: dict[str, tuple[int, float]] = {}
        self._trimming = threading.Lock()
        # A signal handler may read while its own thread is reading.
        self._reading = threading.RLock()
        self._generation: int = _fork.generation

    def update(self, value: Real) -> None:
        """Keep `value` for every reader.

        Raises:
            TypeError: `value` is not a number.
            ValueError: `value` is infinite or NaN.
        """
        # A variable of type float: compiled code unboxes the argument once.
        number = value if type(value) is float else real("ResettingReservoir.update()", value)
        # Infinity and NaN differ from themselves by NaN.
        if number - number != 0.0:
            finite("ResettingReservoir.update()", number)  # which raises
        # From reading the log to appending to it no other thread runs: trimming loses no value.
        self._log.values.append(number)
        if len(self._log.values) >= 2 * self._size:
            self._trim()

    def tick(self) -> None:
        """Do nothing: the values do not age."""

    def clear(self) -> None:
        """Drop the values and reset the totals to 0, for every reader."""
        self._renew_locks()
        with self._reading:
            self._log = Log(0, 0.0)
            self._read.clear()

    @property
    def count(self) -> int:
        """Number of updates since creation or the last `clear`, read or not."""
        log = self._log
        return log.dropped_count + len(log.values)

    def snapshot(self, reader: str = "") -> HistogramSnapshot:
        """Return the values since the last snapshot of `reader`, and reset for that reader."""
        self._renew_locks()
        with self._reading:
            log = self._log
            values = log.values[:]
            read_count, read_sum = self._read.get(reader, (0, 0.0))
            total_count = log.dropped_count + len(values)
            total_sum = log.dropped_sum + total(values)
            self._read[reader] = (total_count, total_sum)
        missed = log.dropped_count > read_count
        fresh = values if missed else values[read_count - log.dropped_count :]
        return HistogramSnapshot(
            total_count - read_count,
            total_sum - read_sum if missed else total(fresh),
            fresh,
            total_count,
            total_sum,
        )

    def _after_fork(self) -> None:
        self.clear()

    def _renew_locks(self) -> None:
        """Replace the locks in a forked process, where the threads that held them do not run."""
        if self._generation == _fork.generation:
            return
        with _fork.renewing:
            if self._generation != _fork.generation:
                self._trimming = threading.Lock()
                # A lock that the forking thread held is still its own.
                if _fork.is_orphaned(self._reading):
                    self._reading = threading.RLock()
                self._generation = _fork.generation

    def _trim(self) -> None:
        """Drop the oldest values, all but `size`."""
        self._renew_locks()
        trimming = self._trimming
        if not trimming.acquire(blocking=False):
            return
        try:
            log = self._log
            surplus = len(log.values) - self._size
            if surplus <= 0:
                return
            trimmed = Log(
                log.dropped_count + surplus, log.dropped_sum + total(log.values[:surplus])
            )
            # No call stands between these statements, so that no other thread appends to the old
            # log after the copy; a concurrent clear() has made a new log already.
            if log is self._log:
                trimmed.values = log.values[surplus:]
                self._log = trimmed
        finally:
            trimming.release()

    def __repr__(self) -> str:
        return f"ResettingReservoir(size={self._size})"


@final
class Log:
    """Newest values, and the totals of the dropped ones."""

    __slots__ = ("dropped_count", "dropped_sum", "values")

    def __init__(self, dropped_count: int, dropped_sum: float) -> None:
        self.dropped_count = dropped_count
        self.dropped_sum = dropped_sum
        self.values = array("d")
