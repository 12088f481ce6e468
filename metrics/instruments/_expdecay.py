"""Exponentially decaying reservoir: the newer a value, the likelier it is kept."""

import threading
from array import array
from math import ceil, exp, inf, log, log1p
from typing import final

from metrics import _fork
from metrics.clock import SYSTEM_CLOCK, Clock
from metrics.instruments._arguments import (
    Real,
    Whole,
    check_methods,
    checked_clock,
    finite,
    positive,
    real,
)
from metrics.instruments._arguments import size as checked_size
from metrics.instruments._reservoir import DEFAULT_SIZE, RANDOM, RandomSource
from metrics.instruments._sample import HistogramSnapshot
from metrics.instruments._shared import Shared

DEFAULT_ALPHA = 0.015
"""Default decay per second, with which a sample favors the last five minutes."""


@final
class ExpDecayReservoir(Shared):
    """Sample in which a value of age t seconds has the weight exp(-alpha * t).

    The distribution is that of forward decay (G. Cormode, V. Shkapenyuk, D. Srivastava, B. Xu,
    "Forward Decay: A Practical Time Decay Model for Streaming Systems", ICDE 2009) as Dropwizard
    and go-ethereum implement it: an item that arrives at time t gets the rank exp(alpha * t) / u
    with u uniform, and the `size` items of greatest rank stay. Two changes make it cheap and
    durable:

    - Ranks are kept as logarithms, alpha * t - log(u). They cannot overflow, however long the
      program runs, and need no rescaling.
    - Between two ticks the age a = alpha * t stands still. Every update then has the same
      probability q = exp(a - L) to pass L, the least log-rank kept, and the number of updates up
      to the next entry is geometric: it is drawn once, and all updates before it are an addition
      and a comparison. The rank of the entry exceeds L by an exponential variate.

    `tick` refreshes the age; a ticker calls it for a histogram added to it. Without a ticker the
    age never moves, and the sample is a uniform one. Updates take no lock; if two enter the sample
    at the same moment, one of them may be counted only.

    Args:
        size: the number of values to keep.
        alpha: the decay per second, above 0.
        clock: measures the age.
        rng: the source of random numbers.

    Raises:
        TypeError: `size` is not an int, `alpha` not a number, or `clock` or `rng` lacks a method.
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
        self._clock = checked_clock("ExpDecayReservoir(clock)", clock)
        # The default needs no check, and a family creates one for each child.
        if rng is not RANDOM:
            check_methods("ExpDecayReservoir(rng)", rng, ("random",), "a random.Random")
        self._rng = rng
        self._busy = threading.Lock()
        self._generation: int = _fork.generation
        self._start = clock.monotonic()
        self._age = 0.0
        self._sum = 0.0
        self._count = 0
        self._next = 0
        self._sample = RankedSample()
        # The wait for the next entry: an exponential variate, drawn at the count `origin`, of which
        # every update uses up `rate`.
        self._patience = 0.0
        self._origin = 0
        self._rate = inf

    def update(self, value: Real) -> None:
        """Count `value`, and keep it if it enters the sample.

        Raises:
            TypeError: `value` is not a number.
            ValueError: `value` is infinite or NaN.
        """
        # A variable of type float: compiled code unboxes the argument once.
        number = value if type(value) is float else real("ExpDecayReservoir.update()", value)
        # Infinity and NaN differ from themselves by NaN.
        if number - number != 0.0:
            finite("ExpDecayReservoir.update()", number)  # which raises
        self._sum += number
        self._count += 1
        if self._count >= self._next:
            self._enter(number)

    def tick(self) -> None:
        """Refresh the age, and with it the probability that an update enters the sample."""
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
        """Drop the sample, and reset the totals to 0."""
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
        """Return the present count, sum and sample."""
        values = self._sample.values[:]
        count = self._count
        total = self._sum
        return HistogramSnapshot(count, total, values)

    def _enter(self, value: float) -> None:
        """Keep `value`, unless another thread is entering one at the moment."""
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
        """Replace the lock in a forked process, where the thread that held it does not run."""
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
        # A concurrent clear() has begun a new sample, which must not wait.
        if sample is self._sample:
            self._patience = patience
            self._origin = count
            self._rate = rate
            self._next = count + wait

    def __repr__(self) -> str:
        return f"ExpDecayReservoir(size={self._size}, alpha={self._alpha}, count={self._count})"


NEVER = 1 << 62
"""Updates to wait for a probability too small for a float; the next tick computes it again."""


@final
class RankedSample:
    """Binary heap of ranks, the least first, and the slots of their values.

    A value stays in its slot and is replaced in one write: a copy of `values` is consistent at any
    moment, and takes no lock. Packed in arrays, 1028 entries take 20 KB.
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
        """Least rank."""
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
        """Replace the value of least rank."""
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
