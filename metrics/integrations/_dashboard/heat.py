"""Heat of a distribution: its observations since the last read, by logarithmic bucket.

Bucket i covers [2^(i/2), 2^((i+1)/2)), so that two buckets double the value: from nanoseconds to
days in seconds, and from bytes to terabytes, with one fixed scale.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from math import floor, inf, log2

Heat = list[tuple[int, int]]
"""Indexes of buckets in ascending order, and their observations."""

LOWEST, HIGHEST = -80, 79

NOT_POSITIVE = LOWEST - 1
"""Bucket of 0 and of negative values."""

MOST = 16
"""Most buckets of one heat; the rest is merged into neighbours."""


def bucket_of(value: float) -> int:
    """Return the index of the bucket of a value; values off the scale are in its last buckets."""
    if not value > 0.0:
        return NOT_POSITIVE
    return HIGHEST if value == inf else min(max(floor(2.0 * log2(value)), LOWEST), HIGHEST)


def sample_heat(values: Sequence[float], observations: int) -> Heat:
    """Return the distribution of a sample, scaled to a number of observations.

    Args:
        values: the sample, which may be older than the observations, and smaller.
        observations: the sum of the result.
    """
    if observations <= 0 or not values:
        return []
    counts = sorted(Counter(map(bucket_of, values)).items())
    scale = observations / len(values)
    # Rounded up to a total, so that the observations of all buckets add up.
    heat: Heat = []
    before = exact = 0.0
    for index, count in counts:
        exact += count * scale
        rounded = floor(exact + 0.5)
        if rounded > before:
            heat.append((index, int(rounded - before)))
            before = rounded
    return merge_smallest(heat)


def bucket_heat(bounds: Sequence[float], increments: Iterable[int]) -> Heat:
    """Return the observations of a bucket histogram, by the index of each upper bound.

    Args:
        bounds: the upper bounds; the bucket without one comes last, one index above.
        increments: observations of each bucket since the last read.
    """
    merged: Counter[int] = Counter()
    indexes = [bucket_of(bound) for bound in bounds]
    indexes.append(min(indexes[-1] + 1, HIGHEST) if indexes else HIGHEST)
    for index, count in zip(indexes, increments, strict=True):
        if count > 0:
            merged[index] += count
    return merge_smallest(sorted(merged.items()))


def merge_smallest(heat: Heat) -> Heat:
    """Return a heat with its smallest buckets merged into neighbours until there are 16."""
    kept = list(heat)
    while len(kept) > MOST:
        smallest = min(range(len(kept)), key=lambda position: kept[position][1])
        index, count = kept.pop(smallest)
        near = min(
            (position for position in (smallest - 1, smallest) if 0 <= position < len(kept)),
            key=lambda position: abs(kept[position][0] - index),
        )
        kept[near] = kept[near][0], kept[near][1] + count
    return kept
