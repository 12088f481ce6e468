"""A uniform reservoir: every value of the stream has the same chance to be kept."""

import threading
from math import exp, floor, inf, log, log1p
from typing import final

from metrics import _fork
from metrics.instruments._arguments import Real, Whole, finite
from metrics.instruments._arguments import size as checked_size
from metrics.instruments._reservoir import DEFAULT_SIZE, RANDOM, RandomSource
from metrics.instruments._sample import HistogramSnapshot
from metrics.instruments._shared import Shared


@final
class UniformReservoir(Shared):
    """Keeps a uniform sample of every value since creation.

    Once full, it draws how many updates to pass over before the next one that is kept
    (K.-H. Li, "Reservoir-sampling algorithms of time complexity O(n(1 + log(N/n)))", 1994,
    algorithm L), so that nearly all updates are an addition and a comparison. Updates take no
    lock; of two that are to be kept at the same moment, one may only be counted.

    Args:
        size: how many values to keep.
        rng: where chance comes from.

    Raises:
        TypeError: `size` is not an int.
        ValueError: `size` is not positive.
    """

    __slots__ = (
        "_busy",
        "_count",
        "_generation",
        "_next",
        "_rng",
        "_size",
        "_sum",
        "_values",
        "_weight",
    )

    def __init__(self, size: Whole = DEFAULT_SIZE, rng: RandomSource = RANDOM) -> None:
        self._size = checked_size("UniformReservoir(size)", size)
        self._rng = rng
        self._busy = threading.Lock()
        self._generation: int = _fork.generation
        self._count = 0
        self._sum = 0.0
        self._next = 0
        self._weight = 1.0
        self._values: list[float] = []

    def update(self, value: Real) -> None:
        """Count `value`, and perhaps keep it.

        Raises:
            TypeError: `value` is not a number.
            ValueError: `value` is infinite or NaN.
        """
        if type(value) is not float or value - value != 0.0:
            value = finite("UniformReservoir.update()", value)
        self._sum += value
        self._count += 1
        if self._count >= self._next:
            self._keep(value)

    def tick(self) -> None:
        """Do nothing: a uniform sample does not age."""

    def clear(self) -> None:
        """Forget everything."""
        values: list[float] = []
        self._sum = 0.0
        self._count = 0
        self._next = 0
        self._weight = 1.0
        self._values = values

    def _after_fork(self) -> None:
        self._renew_lock()
        self.clear()

    @property
    def count(self) -> int:
        """Number of updates since creation or the last `clear`."""
        return self._count

    def snapshot(self, reader: str = "") -> HistogramSnapshot:
        """Return the sample now."""
        values = self._values[:]
        count = self._count
        total = self._sum
        return HistogramSnapshot(count, total, values)

    def _renew_lock(self) -> None:
        """Replace the lock in a forked process, which lacks the thread that may hold it."""
        with _fork.renewing:
            if self._generation != _fork.generation:
                self._busy = threading.Lock()
                self._generation = _fork.generation

    def _keep(self, value: float) -> None:
        if self._generation != _fork.generation:
            self._renew_lock()
        busy = self._busy
        if not busy.acquire(blocking=False):
            return
        try:
            values = self._values
            if len(values) < self._size:
                values.append(value)
                if len(values) < self._size:
                    return
            else:
                values[int(self._rng.random() * self._size)] = value
            weight = self._weight * exp(log(1.0 - self._rng.random()) / self._size)
            # The logarithm has no value at a weight of 1, to which a tiny draw may round.
            miss = log1p(-weight) if weight < 1.0 else -inf
            skip = floor(log(1.0 - self._rng.random()) / miss)
            # A clear() in between has begun a new sample, which must not be skipped into.
            if values is self._values:
                self._weight = weight
                self._next = self._count + skip + 1
        finally:
            busy.release()

    def __repr__(self) -> str:
        return f"UniformReservoir(size={self._size}, count={self._count})"
