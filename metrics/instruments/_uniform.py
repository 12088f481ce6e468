"""Uniform reservoir: every value of the stream is kept with the same probability."""

import threading
from math import exp, floor, inf, log, log1p
from typing import final

from metrics import _fork
from metrics.instruments._arguments import Real, Whole, check_methods, finite, real
from metrics.instruments._arguments import size as checked_size
from metrics.instruments._reservoir import DEFAULT_SIZE, RANDOM, RandomSource
from metrics.instruments._sample import HistogramSnapshot
from metrics.instruments._shared import Shared


@final
class UniformReservoir(Shared):
    """Uniform sample of all values since creation.

    A full reservoir draws the number of updates to skip before the next one that it keeps
    (K.-H. Li, "Reservoir-sampling algorithms of time complexity O(n(1 + log(N/n)))", 1994,
    algorithm L), so that nearly all updates are an addition and a comparison. Updates take no
    lock; if two enter the sample at the same moment, one of them may be counted only.

    Args:
        size: the number of values to keep.
        rng: the source of random numbers.

    Raises:
        TypeError: `size` is not an int, or `rng` lacks a method.
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
        # The default needs no check, and a family creates one for each child.
        if rng is not RANDOM:
            check_methods("UniformReservoir(rng)", rng, ("random",), "a random.Random")
        self._rng = rng
        self._busy = threading.Lock()
        self._generation: int = _fork.generation
        self._count = 0
        self._sum = 0.0
        self._next = 0
        self._weight = 1.0
        self._values: list[float] = []

    def update(self, value: Real) -> None:
        """Count `value`, and keep it if it enters the sample.

        Raises:
            TypeError: `value` is not a number.
            ValueError: `value` is infinite or NaN.
        """
        # A variable of type float: compiled code unboxes the argument once.
        number = value if type(value) is float else real("UniformReservoir.update()", value)
        # Infinity and NaN differ from themselves by NaN.
        if number - number != 0.0:
            finite("UniformReservoir.update()", number)  # which raises
        self._sum += number
        self._count += 1
        if self._count >= self._next:
            self._keep(number)

    def tick(self) -> None:
        """Do nothing: a uniform sample does not age."""

    def clear(self) -> None:
        """Drop the sample, and reset the totals to 0."""
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
        """Return the present count, sum and sample."""
        values = self._values[:]
        count = self._count
        total = self._sum
        return HistogramSnapshot(count, total, values)

    def _renew_lock(self) -> None:
        """Replace the lock in a forked process, where the thread that held it does not run."""
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
            # A tiny draw may round to a weight of 1, where the logarithm is not defined.
            miss = log1p(-weight) if weight < 1.0 else -inf
            skip = floor(log(1.0 - self._rng.random()) / miss)
            # A concurrent clear() has begun a new sample, which must not skip updates.
            if values is self._values:
                self._weight = weight
                self._next = self._count + skip + 1
        finally:
            busy.release()

    def __repr__(self) -> str:
        return f"UniformReservoir(size={self._size}, count={self._count})"
