"""Histograms: the distribution of values, sampled by a reservoir."""

from typing import final

from metrics.clock import SYSTEM_CLOCK, Clock
from metrics.instruments._arguments import Real, check_methods
from metrics.instruments._cumulative import Cumulative
from metrics.instruments._expdecay import ExpDecayReservoir
from metrics.instruments._reservoir import Reservoir
from metrics.instruments._sample import HistogramSnapshot
from metrics.instruments._shared import Shared


@final
class Histogram(Cumulative):
    """Distribution of values: sizes of responses, lengths of queues.

    Safe to update from any thread, without a lock.

    Args:
        reservoir: keeps the sample, for this histogram alone; an `ExpDecayReservoir` by default,
            which favors the last five minutes if a ticker ticks the histogram.

    Raises:
        TypeError: `reservoir` lacks a method of reservoirs.
    """

    __slots__ = ("_clock", "_decaying", "_reservoir")

    def __init__(self, reservoir: Reservoir | None = None) -> None:
        super().__init__()
        self._clock: Clock = SYSTEM_CLOCK
        self._reservoir: Reservoir = ExpDecayReservoir() if reservoir is None else reservoir
        # Compiled code calls the methods of a known class directly.
        self._decaying = self._reservoir if isinstance(self._reservoir, ExpDecayReservoir) else None
        if self._decaying is None:
            check_reservoir(self._reservoir)

    def update(self, value: Real) -> None:
        """Count `value`.

        Raises:
            TypeError: `value` is not a number.
            ValueError: `value` is infinite or NaN.
        """
        if self._decaying is not None:
            self._decaying.update(value)
        else:
            self._reservoir.update(value)

    def tick(self) -> None:
        """Age the sample by one interval. The ticker calls this."""
        self._reservoir.tick()

    def clear(self) -> None:
        """Drop the sample, and reset the totals to 0."""
        # As in Counter.clear().
        now = self._clock.time()
        self._reservoir.clear()
        self._created = now

    def _begin(self, now: float, clock: Clock) -> None:
        self._created = now
        self._clock = clock

    def _after_fork(self) -> None:
        if isinstance(self._reservoir, Shared):
            self._reservoir._after_fork()  # noqa: SLF001 - the same method of another object
        else:
            self._reservoir.clear()

    @property
    def count(self) -> int:
        """Number of updates since creation or the last `clear`."""
        return self._reservoir.count

    def snapshot(self, reader: str = "") -> HistogramSnapshot:
        """Return the present count, sum and sample."""
        return self._reservoir.snapshot(reader)

    def __repr__(self) -> str:
        return f"Histogram({self._reservoir!r})"


def check_reservoir(value: object) -> None:
    """Raise TypeError unless `value` has the methods and the count of a reservoir."""
    remedy = "a reservoir, such as UniformReservoir()"
    check_methods("Histogram(reservoir)", value, ("update", "snapshot", "tick", "clear"), remedy)
    if not hasattr(value, "count"):
        raise TypeError(f"Histogram(reservoir) takes {remedy}, got {value!r}: no count")
