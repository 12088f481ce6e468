"""Bucket histograms: counts of values by range, which can be summed over processes."""

from bisect import bisect_left
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise
from math import ceil, inf, isfinite, nan
from typing import Final, final

from metrics._native import i64, vec
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

SCANNED: Final = 64
"""Number of bounds up to which a scan is faster than a binary search."""

COUNT_LIMIT: Final = 4_611_686_018_427_387_904
"""Upper limit of the counts that are set, in total and exclusive: 2**62.

Compiled, counts have 64 bits and a sign: 2**62 updates, a century of one each nanosecond, are left
until they would wrap.
"""


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


@lru_cache(maxsize=64)
def checked_bounds(bounds: tuple[float, ...]) -> tuple[tuple[float, ...], vec[float]]:
    """Return checked bounds, and the same for the search, in objects that equal histograms share.

    Raises:
        ValueError: there is no bound, or the bounds do not ascend or are not finite.
    """
    for bound in bounds:
        finite("BucketHistogram(bounds)", bound)
    if not bounds or any(low >= high for low, high in pairwise(bounds)):
        raise ValueError(
            f"BucketHistogram(bounds) takes one or more finite, ascending numbers, got {[*bounds]}"
        )
    return bounds, vec[float](bounds)


def first_not_below(bounds: vec[float], value: float) -> i64:
    """Return the index of the first bound that is not below `value`, as `bisect_left` does."""
    low: i64 = 0
    high: i64 = len(bounds)
    # The processor predicts every branch of a scan, whatever the value: half the time of the binary
    # search below if values fall into several buckets, and the same if they fall into one.
    if high <= SCANNED:
        for bound in bounds:
            if bound < value:
                low += 1
        return low
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
        # The sum makes 0.0 of -0.0, which is the same bound with another text.
        numbers = [real("BucketHistogram(bounds)", bound) + 0.0 for bound in bounds]
        if numbers and numbers[-1] == inf:
            numbers.pop()
        self._bounds, self._ascending = checked_bounds(tuple(numbers))
        self._counts = vec[i64]([0] * (len(self._bounds) + 1))
        self._count: i64 = 0
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
            self._notify(number)
        # A statement: a conditional expression would box the i64.
        bucket: i64
        if IS_COMPILED:
            bucket = first_not_below(self._ascending, number)
        else:
            bucket = bisect_left(self._bounds, number)
        if exemplar is not None or self._exemplars is not None:
            self._update_traced(number, bucket, exemplar)
            return
        # No call stands between these three, so no other thread runs between them.
        self._counts[bucket] += 1
        self._sum += number
        self._count += 1

    def _notify(self, number: float) -> None:
        """Append a value to every listener, or refuse it.

        Raises:
            ValueError: the value is infinite or NaN.
        """
        finite("BucketHistogram.update()", number)
        for listener in self._listeners:
            listener.append(number)

    def _update_traced(self, number: float, bucket: i64, labels: ExemplarLabels | None) -> None:
        exemplar = self._create_exemplar(number, labels)
        # As in `update`.
        self._counts[bucket] += 1
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
            ValueError: the number of counts is not that of the buckets, a count is negative, the
                counts are 2**62 or more in total, or the sum is infinite or NaN.
        """
        taken = [natural("BucketHistogram.set_counts(counts)", count) for count in counts]
        if len(taken) != len(self._counts):
            raise ValueError(
                f"BucketHistogram.set_counts(counts) takes {len(self._counts)} counts, got "
                f"{len(taken)}: pass one for each of the {len(self._bounds)} bounds and a last one "
                "for greater values"
            )
        total = 0
        for count in taken:
            total += count
        if total >= COUNT_LIMIT:
            raise ValueError(
                "BucketHistogram.set_counts(counts) takes counts below 2**62 in total, got "
                f"{total:#x}; pass counts since a later time"
            )
        estimated = sum is None
        number = (
            self._estimate(taken) if sum is None else finite("BucketHistogram.set_counts(sum)", sum)
        )
        # As for bounds: -0.0 is 0.0.
        number += 0.0
        present = vec[i64](taken)
        updates = i64(total)
        # No call stands between these four, so no other thread runs between them.
        self._counts = present
        self._sum = number
        self._count = updates
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
        self._counts = vec[i64]([0] * (len(self._bounds) + 1))
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
        return BucketHistogramSnapshot(self._bounds, list(counts), total, estimated, exemplars)

    def _read(self) -> tuple[vec[i64], float, bool]:
        """Return the present counts and sum, and whether the sum is estimated."""
        while True:
            count = self._count
            total = self._sum
            estimated = self._estimated
            present = self._counts
            # Making the copy may run the garbage collector and with it a callback that updates, or
            # that sets other counts of the same total: they are elsewhere.
            counts = present[:]
            if count == self._count and (IS_COMPILED or present is self._counts):
                return counts, total, estimated

    def __repr__(self) -> str:
        return f"BucketHistogram(count={self._count}, bounds={self._bounds})"
