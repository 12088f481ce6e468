"""Bucket histograms: counts of values by range, which can be summed over processes."""

from bisect import bisect_left
from collections.abc import Iterable
from itertools import pairwise
from math import ceil, inf, isfinite, nan
from typing import Final, final

from metrics._native import i64
from metrics.instruments._arguments import Real, Whole, finite, natural, real
from metrics.instruments._bucket_snapshot import BucketHistogramSnapshot
from metrics.instruments._cumulative import Traceable
from metrics.instruments._exemplars import ExemplarLabels

DURATION_BOUNDS: tuple[float, ...] = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip
"""Default upper bounds of durations in seconds, for requests: a millisecond to half a minute."""

SIZE_BOUNDS: tuple[float, ...] = tuple([float(4**power) for power in range(3, 16)])
"""Default upper bounds of sizes in bytes: powers of 4 from 64 B to 1 GiB.

The default sizes of OpenCensus (`ochttp.DefaultSizeDistribution`) and the message sizes of Istio
are powers of 4 as well. They begin at 64 B here because most requests have less than OpenCensus'
first bound, 1 KiB, and end at 1 GiB because larger bodies are rare; 13 bounds keep a series small.
"""


# Compiled, the loop is faster than a call of `bisect_left`; interpreted, it is slower.
IS_COMPILED: Final = not __file__.endswith(".py")

COUNT_LIMIT: Final = 18_446_744_073_709_551_616
"""Count that no bucket reaches, 2**64: kernels, Go and C count in 64 bits."""


def default_bounds(unit: str) -> tuple[float, ...]:
    """Return the default upper bounds of the buckets for a unit: "seconds" or "bytes".

    Raises:
        ValueError: the unit has no default bounds.
    """
    if unit == "seconds":
        return DURATION_BOUNDS
    if unit == "bytes":
        return SIZE_BOUNDS
    raise ValueError(
        f"bounds are required for unit {unit!r}: only 'seconds' and 'bytes' have defaults; "
        "pass bounds="
    )


def first_not_below(bounds: list[float], value: float) -> i64:
    """Return the index of the first bound that is not below `value`, as `bisect_left` does."""
    low: i64 = 0
    high: i64 = len(bounds)
    while low < high:
        middle = (low + high) >> 1
        if bounds[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@final
class BucketHistogram(Traceable):
    """Counts of values in buckets with fixed upper bounds. Prometheus' classic histogram.

    Safe to update from any thread, without a lock; sum, count and buckets of a snapshot always
    agree.

    Args:
        bounds: inclusive upper bounds, ascending and finite. A last bucket without a bound takes
            all greater values; bounds may end in infinity, which stands for that bucket.

    Raises:
        TypeError: a bound is not a number.
        ValueError: there is no finite bound, or the bounds do not ascend or are not finite.
    """

    __slots__ = (
        "_ascending",
        "_bounds",
        "_count",
        "_counts",
        "_estimated",
        "_listeners",
        "_silence",
        "_sum",
    )

    def __init__(self, bounds: Iterable[Real]) -> None:
        super().__init__()
        ascending = [real("BucketHistogram(bounds)", bound) for bound in bounds]
        if ascending and ascending[-1] == inf:
            ascending.pop()
        for bound in ascending:
            finite("BucketHistogram(bounds)", bound)
        if not ascending or any(low >= high for low, high in pairwise(ascending)):
            raise ValueError(
                "BucketHistogram(bounds) takes one or more finite, ascending numbers, "
                f"got {ascending}"
            )
        self._bounds = tuple(ascending)
        # Compiled code reads a list faster than a tuple.
        self._ascending = ascending
        self._counts = [0] * (len(self._bounds) + 1)
        self._count = 0
        self._sum = 0.0
        self._estimated = False
        self._listeners: tuple[list[float], ...] = ()
        self._silence = 0.0

    def update(self, value: Real, exemplar: ExemplarLabels | None = None) -> None:
        """Count `value`.

        Args:
            value: the value.
            exemplar: labels of this update, such as its trace, in place of the labels that the
                registry's function returns; dropped if they are longer than 128 characters.

        Raises:
            TypeError: `value` is not a number, or `exemplar` not a mapping of str to str.
            ValueError: `value` is infinite or NaN, or the name of a label is malformed.
        """
        # A variable of type float: compiled code unboxes the argument once.
        number = value if type(value) is float else real("BucketHistogram.update()", value)
        # Infinity and NaN fail this test. With listeners every value fails it, so that histograms
        # without listeners pay for one test only.
        if number - number != self._silence:
            finite("BucketHistogram.update()", number)  # which raises for infinity and NaN
            for listener in self._listeners:
                listener.append(number)
        # Compiled code keeps an i64 unboxed, and adds to an element with `+=` by a call.
        bucket: i64 = (
            first_not_below(self._ascending, number)
            if IS_COMPILED
            else bisect_left(self._bounds, number)
        )
        if exemplar is not None or self._exemplars is not None:
            self._update_traced(number, bucket, exemplar)
            return
        counts = self._counts
        # No call stands between these three, so no other thread runs between them.
        counts[bucket] = counts[bucket] + 1
        self._sum += number
        self._count += 1

    def _update_traced(self, number: float, bucket: i64, labels: ExemplarLabels | None) -> None:
        exemplar = self._create_exemplar(number, labels)
        counts = self._counts
        # As in `update`.
        counts[bucket] = counts[bucket] + 1
        self._sum += number
        self._count += 1
        if exemplar is not None:
            self._recorder().keep(exemplar, int(bucket))

    def set_counts(
        self,
        counts: Iterable[Whole],
        sum: Real | None = None,  # noqa: A002 - the field's name for it
    ) -> None:
        """Replace all counts by the counts of a distribution that is counted elsewhere.

        For Go's runtime/metrics, an eBPF map, a C extension. Readers see all of the counts before
        or all after; earlier updates are discarded, later ones add to the counts. A count may be
        lower than before: a total that goes down is a reset to readers of rates.

        Args:
            counts: number of values in each single bucket, not cumulative: one for each bound, and
                one for the values above the last bound.
            sum: sum over all values. By default it is estimated as by go-ethereum's
                RuntimeHistogram, from the lower edges of the buckets and rounded up to a whole
                number: 0 is the lower edge of the first bucket, or its bound if that is negative.

        Raises:
            TypeError: a count is not an int, or the sum is not a number.
            ValueError: the number of counts is not that of the buckets, a count is negative or not
                below 2**64, or the sum is infinite or NaN.
        """
        taken = [natural("BucketHistogram.set_counts(counts)", count) for count in counts]
        if len(taken) != len(self._counts):
            raise ValueError(
                f"BucketHistogram.set_counts(counts) takes {len(self._counts)} counts, got "
                f"{len(taken)}: pass one for each of the {len(self._bounds)} bounds and a last one "
                "for greater values"
            )
        for count in taken:
            if count >= COUNT_LIMIT:
                raise ValueError(
                    f"BucketHistogram.set_counts(counts) takes counts below 2**64, got {count:#x}"
                )
        estimated = sum is None
        number = (
            self._estimate(taken) if sum is None else finite("BucketHistogram.set_counts(sum)", sum)
        )
        count = 0
        for each in taken:
            count += each
        # No call stands between these four, so no other thread runs between them.
        self._counts = taken
        self._sum = number
        self._count = count
        self._estimated = estimated
        self._drop_exemplars()

    def _estimate(self, counts: list[int]) -> float:
        """Return the sum of the values in buckets, each taken for the lower edge of its bucket."""
        edges = (min(self._bounds[0], 0.0), *self._bounds)
        estimate = 0.0
        for edge, count in zip(edges, counts, strict=True):
            estimate += edge * count
        if not isfinite(estimate):
            raise ValueError(
                "BucketHistogram.set_counts() estimates a sum that fits a float, "
                f"got {estimate!r}; pass sum="
            )
        return float(ceil(estimate))

    def _after_fork(self) -> None:
        self._counts = [0] * (len(self._bounds) + 1)
        self._count = 0
        self._sum = 0.0
        self._estimated = False
        self._drop_exemplars()

    @property
    def count(self) -> int:
        """Number of updates."""
        return self._count

    def _listen(self, listeners: tuple[list[float], ...]) -> None:
        """Append every later value to each of `listeners`, for tests."""
        self._listeners = listeners
        self._silence = nan if listeners else 0.0

    def snapshot(self, reader: str = "") -> BucketHistogramSnapshot:
        """Return the present buckets and sum."""
        exemplars = self._latest_exemplars(len(self._counts))
        counts, total, estimated = self._read()
        return BucketHistogramSnapshot(self._bounds, counts, total, estimated, exemplars)

    def _read(self) -> tuple[list[int], float, bool]:
        """Return the present counts and sum, and whether the sum is estimated."""
        while True:
            count = self._count
            total = self._sum
            estimated = self._estimated
            present = self._counts
            counts = present[:]
            # Making the copy may run the garbage collector and with it a callback that updates, or
            # that sets other counts of the same total: they are in another list.
            if count == self._count and present is self._counts:
                return counts, total, estimated

    def __repr__(self) -> str:
        return f"BucketHistogram(count={self._count}, bounds={self._bounds})"
