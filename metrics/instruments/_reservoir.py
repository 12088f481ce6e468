"""Protocols of reservoirs: samples of a stream too long to be kept whole.

Never compiled: a program cannot inherit from a compiled protocol.
"""

from random import Random
from typing import Protocol

from metrics import _fork
from metrics.instruments._arguments import Real
from metrics.instruments._sample import HistogramSnapshot

DEFAULT_SIZE = 1028
"""Default number of values kept: 99.9 % confidence with 5 % error for a normal distribution."""


class RandomSource(Protocol):
    """Source of random numbers; `random.Random` is one."""

    def random(self) -> float:
        """Return a float from 0 (inclusive) to 1 (exclusive)."""


class Reservoir(Protocol):
    """Count and sum of all values, and a sample of them. Safe to use from any thread."""

    @property
    def count(self) -> int:
        """Number of updates since creation or the last `clear`."""

    def update(self, value: Real) -> None:
        """Count `value`, and keep it if it enters the sample."""

    def tick(self) -> None:
        """Advance by one interval; a reservoir whose values do not age does nothing."""

    def clear(self) -> None:
        """Drop the sample, and reset the totals to 0."""

    def snapshot(self, reader: str = "") -> HistogramSnapshot:
        """Return the present count, sum and sample."""


class Chance(Random):
    """Random numbers of the library; forked processes do not repeat each other's."""

    def _after_fork(self) -> None:
        self.seed()


# The program's own `random` stays untouched: seeding it yields the same numbers as without metrics.
RANDOM = Chance()
_fork.track(RANDOM)
