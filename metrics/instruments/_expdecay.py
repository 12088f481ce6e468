"""An exponentially decaying reservoir: the newer a value, the likelier it is kept."""

import threading
from array import array
from math import ceil, exp, inf, log, log1p
from typing import final

from metrics import _fork
from metrics.clock import SYSTEM_CLOCK, Clock
from metrics.instruments._arguments import Real, Whole, finite, positive
from metrics.instruments._arguments import size as checked_size
from metrics.instruments._reservoir import DEFAULT_SIZE, RANDOM, RandomSource
from metrics.instruments._sample import HistogramSnapshot
from metrics.instruments._shared import Shared

DEFAULT_ALPHA = 0.015
"""Decay a second unless told otherwise: the sample leans to the last five minutes."""


@final
class ExpDecayReservoir(Shared):
    """Keeps a sample in which a value of age t seconds has the weight exp(-alpha * t).

    The distribution is that of forward decay (G. Cormode, V. Shkapenyuk, D. Srivastava, B. Xu,
    "Forward Decay: A Practical Time Decay Model for Streaming Systems", ICDE 2009) as Dropwizard
    and go-ethereum have it: an item that comes at time t gets the rank exp(alpha * t) / u with u
    uniform, and the `size` items of greatest rank stay. Two things make it cheap and durable:

    - Ranks are kept as logarithms, alpha * t - log(u). They cannot overflow, however long the
      program runs, and need no rescaling.
    - Between two ticks the age a = alpha * t stands still. Then every update has the same chance
      q = exp(a - L) to pass L, the least log-rank kept, and the number of updates up to the next
      one that does is geometric: it is drawn once, and all updates before it are an addition and
      a comparison. The one that enters exceeds L by an exponential variate.

    `tick` refreshes the age, which the ticker does for a histogram added to it. Without a ticker
    the age never moves, and the sample is a uniform one. Updates take no lock; of two that are to
    enter at the same moment, one may only be counted.

    Args:
        size: how many values to keep.
        alpha: decay a second, above 0.
        clock: tells the age.
        rng: where chance comes from.

    Raises:
        TypeError: `size` is not an int or `alpha` not a number.
        ValueError: `size` or `alpha` is not positive.
    """

    __slots__ = (
        "_age",
        "_alpha",
        "_busy",
        "_clock",
        "_count",
        "_generation",
        "_next",
        "_origin",
        "_patience",
        "_rate",
        "_rng",
        "_sample",
        "_size",
        "_start",
        "_sum",
    )

    def __init__(
        self,
        size: Whole = DEFAULT_SIZE,
        alpha: Real = DEFAULT_ALPHA,
        clock: Clock = SYSTEM_CLOCK,
        rng: RandomSource = RANDOM,
    ) -> None:
        self._size = checked_size("ExpDecayReservoir(size)", size)
        self._alpha = positive("ExpDecayReservoir(alpha)", alpha)
        self._clock = clock
        self._rng = rng
        self._busy = threading.Lock()
        self._generation: int = _fork.generation
        self._start = clock.monotonic()
        self._age = 0.0
        self._sum = 0.0
        self._count = 0
        self._next = 0
        self._sample = RankedSample()
        # The wait for the next entry: an exponential variate that was drawn when the count was
        # `origin` and is used up by `rate` with every update.
        self._patience = 0.0
        self._origin = 0
        self._rate = inf

    def update(self, value: Real) -> None:
        """Count `value`, and perhaps keep it.

        Raises:
            TypeError: `value` is not a number.
            ValueError: `value` is infinite or NaN.
        """
        # A name of its own type, so that compiled code looks into the object once.
        number = value if type(value) is float else finite("ExpDecayReservoir.update()", value)
        if number - number != 0.0:
            finite("ExpDecayReservoir.update()", number)  # which raises
        self._sum += number
        self._count += 1
        if self._count >= self._next:
            self._enter(number)

    def tick(self) -> None:
        """Refresh the age, and with it the chance of an update to be kept."""
        if self._generation != _fork.generation:
            self._renew_lock()
        busy = self._busy
        if not busy.acquire(blocking=False):
            return
        try:
            self._age = self._alpha * (self._clock.monotonic() - self._start)
            sample = self._sample
            if len(sample) < self._size:
                return
            passed = self._count - self._origin
            used = self._rate * passed if passed else 0.0
            self._wait(sample, max(self._patience - used, 0.0))
        finally:
            busy.release()

    def clear(self) -> None:
        """Forget everything."""
        sample = RankedSample()
        self._sum = 0.0
        self._count = 0
        self._next = 0
        self._sample = sample

    def _after_fork(self) -> None:
        self._renew_lock()
        self.clear()

    @property
    def count(self) -> int:
        """Number of updates since creation or the last `clear`."""
        return self._count

    def snapshot(self, reader: str = "") -> HistogramSnapshot:
        """Return the sample now."""
        values = self._sample.values[:]
        count = self._count
        total = self._sum
        return HistogramSnapshot(count, total, values)

    def _enter(self, value: float) -> None:
        """Keep `value`, unless another thread is keeping one just now."""
        if self._generation != _fork.generation:
            self._renew_lock()
        busy = self._busy
        if not busy.acquire(blocking=False):
            return
        try:
            sample = self._sample
            excess = -log(1.0 - self._rng.random())
            if len(sample) < self._size:
                sample.add(self._age + excess, value)
            else:
                sample.replace_least(max(self._age, sample.least) + excess, value)
            if len(sample) == self._size:
                self._wait(sample, -log(1.0 - self._rng.random()))
        finally:
            busy.release()

    def _renew_lock(self) -> None:
        """Replace the lock in a forked process, which lacks the thread that may hold it."""
        with _fork.renewing:
            if self._generation != _fork.generation:
                self._busy = threading.Lock()
                self._generation = _fork.generation

    def _wait(self, sample: "RankedSample", patience: float) -> None:
        """Set the count at which the next update enters, at the present age."""
        chance = exp(min(self._age - sample.least, 0.0))
        rate = -log1p(-chance) if chance < 1.0 else inf
        count = self._count
        wait = max(ceil(patience / rate), 1) if rate > 0.0 else NEVER
        # A clear() in between has begun a new sample, which must not wait.
        if sample is self._sample:
            self._patience = patience
            self._origin = count
            self._rate = rate
            self._next = count + wait

    def __repr__(self) -> str:
        return f"ExpDecayReservoir(size={self._size}, alpha={self._alpha}, count={self._count})"


NEVER = 1 << 62
"""Updates to wait when the chance is too small for a float; the next tick computes it afresh."""


@final
class RankedSample:
    """Values with ranks, the least rank at hand: a binary heap of ranks that point to values.

    A value stays in its slot and is replaced in one write, so that a copy of `values` is whole at
    any moment and reading it takes no lock. Packed in arrays, 1028 entries take 20 KB.
    """

    __slots__ = ("_ranks", "_slots", "values")

    def __init__(self) -> None:
        self._ranks = array("d")
        self._slots = array("I")
        self.values = array("d")

    def __len__(self) -> int:
        return len(self._ranks)

    @property
    def least(self) -> float:
        """The least rank."""
        return self._ranks[0]

    def add(self, rank: float, value: float) -> None:
        """Add a value."""
        at = len(self._ranks)
        self.values.append(value)
        self._ranks.append(rank)
        self._slots.append(at)
        while at > 0 and self._ranks[parent := (at - 1) >> 1] > rank:
            self._move(parent, at)
            at = parent
        self._ranks[at] = rank
        self._slots[at] = len(self.values) - 1

    def replace_least(self, rank: float, value: float) -> None:
        """Put a value in the place of the one with the least rank."""
        slot = self._slots[0]
        self.values[slot] = value
        at = 0
        size = len(self._ranks)
        while (child := 2 * at + 1) < size:
            if child + 1 < size and self._ranks[child + 1] < self._ranks[child]:
                child += 1
            if self._ranks[child] >= rank:
                break
            self._move(child, at)
            at = child
        self._ranks[at] = rank
        self._slots[at] = slot

    def _move(self, source: int, target: int) -> None:
        self._ranks[target] = self._ranks[source]
        self._slots[target] = self._slots[source]
