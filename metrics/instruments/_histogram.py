"""Histograms: the distribution of values, sampled by a reservoir."""

from typing import final

from metrics.instruments._arguments import Real
from metrics.instruments._cumulative import Clearable
from metrics.instruments._expdecay import ExpDecayReservoir
from metrics.instruments._reservoir import Reservoir
from metrics.instruments._sample import HistogramSnapshot
from metrics.instruments._shared import Shared


@final
class Histogram(Clearable):
    """Measures the distribution of values: sizes of responses, lengths of queues.

    Safe to update from any thread, without a lock.

    Args:
        reservoir: what keeps the sample, and belongs to this histogram alone; by default one that
            leans to the last five minutes, provided that a ticker ticks the histogram.
    """

    __slots__ = ("_decaying", "_reservoir")

    def __init__(self, reservoir: Reservoir | None = None) -> None:
        super().__init__()
        self._reservoir: Reservoir = ExpDecayReservoir() if reservoir is None else reservoir
        # Compiled code calls a method directly when it knows whose it is.
        self._decaying = self._reservoir if isinstance(self._reservoir, ExpDecayReservoir) else None

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
        """Let the sample age by one interval. The ticker calls this."""
        self._reservoir.tick()

    def clear(self) -> None:
        """Forget everything."""
        # As in Counter.clear().
        now = self._clock.time()
        self._reservoir.clear()
        self._created = now

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
        """Return count, sum and sample now."""
        return self._reservoir.snapshot(reader)

    def __repr__(self) -> str:
        return f"Histogram({self._reservoir!r})"
