"""Reservoirs: what a histogram keeps of a stream too long to be kept whole.

Never compiled, because what is compiled cannot be inherited from as a protocol.
"""

from random import Random
from typing import Protocol

from metrics import _fork
from metrics.instruments._arguments import Real
from metrics.instruments._sample import HistogramSnapshot

DEFAULT_SIZE = 1028
"""Values kept unless told otherwise: 99.9 % confidence with 5 % error for a normal distribution."""


class RandomSource(Protocol):
    """Where reservoirs get their chance from; `random.Random` is one."""

    def random(self) -> float:
        """Return a float from 0 (inclusive) to 1 (exclusive)."""


class Reservoir(Protocol):
    """Counts and adds up every value and keeps some of them. Safe to use from any thread."""

    @property
    def count(self) -> int:
        """Number of updates since creation or the last `clear`."""

    def update(self, value: Real) -> None:
        """Count `value`, and perhaps keep it."""

    def tick(self) -> None:
        """Advance by one interval, for a reservoir that ages what it keeps."""

    def clear(self) -> None:
        """Forget everything."""

    def snapshot(self, reader: str = "") -> HistogramSnapshot:
        """Return the sample now."""


class Chance(Random):
    """A random source of the library's own; forked processes do not repeat each other's numbers."""

    def _after_fork(self) -> None:
        self.seed()


# The program's own `random` stays untouched, so that seeding it gives the same numbers as ever.
RANDOM = Chance()
_fork.track(RANDOM)
