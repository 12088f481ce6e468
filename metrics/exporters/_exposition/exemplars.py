"""Exemplars of totals and buckets."""

from collections.abc import Iterator

from metrics.instruments import Exemplar
from metrics.instruments._inner import Exemplars

TRACED = frozenset({"counter", "histogram"})
"""Types of metric families whose samples may have exemplars: the total, and the buckets."""


def by_position(exemplars: Exemplars) -> Iterator[tuple[int, Exemplar]]:
    """Yield exemplars with the positions of their samples among the samples of a child."""
    for index, exemplar in enumerate(exemplars):
        if exemplar is not None:
            yield index, exemplar
