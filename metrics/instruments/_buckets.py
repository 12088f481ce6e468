"""Bucket histograms: counts of values by range, which can be summed over processes."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from math import ceil, inf, isfinite, nan, sqrt
from typing import Final, final

from metrics._native import i64
from metrics.instruments._arguments import Real, Whole, finite, natural, real
from metrics.instruments._cumulative import Cumulative
from metrics.instruments._sample import total
from metrics.instruments._snapshot import Snapshot

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
class BucketHistogramSnapshot(Snapshot):
    """Buckets of a `BucketHistogram`.

    `count` is exact, and so are `sum` and `mean` unless they are `estimated`. `min`, `max`,
    `variance`, `stddev` and the percentiles are estimates that assume the values of a bucket to be
    spread evenly over it. The first bucket begins at 0 (at its own bound if that is negative), and
    values in the last one count as its lower bound: the same as PromQL's `histogram_quantile`. When
    empty all are 0.
    """

    __slots__ = ("_bounds", "_counts", "_estimated", "_sum")
    fields = ("bounds", "counts", "sum", "estimated")

    def __init__(
        self,
        bounds: tuple[float, ...],
        counts: Sequence[int],
        sum: float,  # noqa: A002 - the field's name for it
        estimated: bool = False,
    ) -> None:
        self._bounds = bounds
        self._counts = counts
        self._sum = sum
        self._estimated = estimated

    @property
    def bounds(self) -> tuple[float, ...]:
        """Upper bounds, ascending and inclusive; the last bucket has none."""
        return self._bounds

    @property
    def counts(self) -> tuple[int, ...]:
        """Number of updates in each single bucket."""
        return tuple(self._counts)

    @property
    def buckets(self) -> tuple[int, ...]:
        """Cumulative counts: one for each bound, and the total last."""
        return tuple(accumulate(self._counts))

    @property
    def count(self) -> int:
        """Number of updates."""
        return sum(self._counts)

    @property
    def sum(self) -> float:
        """Sum over all updates."""
        return self._sum

    @property
    def estimated(self) -> bool:
        """Whether `sum` is an estimate from the counts, as `BucketHistogram.set_counts` makes it.

        The sum takes each value for the lower edge of its bucket, a biased estimate. The mean takes
        it for the middle, as go-ethereum's RuntimeHistogram does.
        """
        return self._estimated

    @property
    def total_count(self) -> int:
        """Same as `count`: buckets never reset."""
        return self.count

    @property
    def total(self) -> int:
        """Number of updates."""
        return self.count

    @property
    def distribution(self) -> "BucketHistogramSnapshot":
        """The snapshot itself."""
        return self

    @property
    def mean(self) -> float:
        """Sum over count, or the mean of the buckets' middles if `estimated`; 0 when empty."""
        count = self.count
        if not count:
            return 0.0
        return self._middle(count) if self._estimated else self._sum / count

    def _middle(self, count: int) -> float:
        """Return the mean of the buckets' middles; `count` is not 0."""
        edges = [(n, *self._edges(index)) for index, n in enumerate(self._counts) if n]
        return total([n * (low / 2 + high / 2) for n, low, high in edges]) / count

    @property
    def min(self) -> float:
        """Lower edge of the first bucket that is not empty."""
        return self.percentile(0.0)

    @property
    def max(self) -> float:
        """Upper edge of the last bucket that is not empty."""
        return self.percentile(1.0)

    @property
    def variance(self) -> float:
        """Population variance, estimated."""
        count = self.count
        if not count:
            return 0.0
        held = [(n, *self._edges(index)) for index, n in enumerate(self._counts) if n]
        middle = self._middle(count)
        squares: list[float] = []
        for n, low, high in held:
            width = high - low
            away = low / 2 + high / 2 - middle
            # The variance of a uniform distribution is a twelfth of the square of its width.
            squares.append(n * (away * away + width * width / 12))
        return total(squares) / count

    @property
    def stddev(self) -> float:
        """Population standard deviation, estimated."""
        return sqrt(self.variance)

    def percentile(self, p: float) -> float:
        """Return an estimate of the value below which the fraction `p` of all values lies.

        Linear inside a bucket.

        Raises:
            ValueError: `p` is not between 0 and 1.
        """
        return self._estimate(p, self.buckets)

    def percentiles(self, ps: Iterable[float]) -> tuple[float, ...]:
        """Return `percentile(p)` for each `p`.

        Raises:
            ValueError: a `p` is not between 0 and 1.
        """
        cumulative = self.buckets
        return tuple([self._estimate(p, cumulative) for p in ps])

    def _estimate(self, p: float, cumulative: tuple[int, ...]) -> float:
        if not 0.0 <= p <= 1.0:
            raise ValueError(f"percentile() takes a fraction between 0 and 1, got {p!r}")
        if not cumulative[-1]:
            return 0.0
        rank = p * cumulative[-1]
        # A rank below 1 belongs to the first value, so that no empty bucket is found.
        index = bisect_left(cumulative, max(rank, 1.0))
        low, high = self._edges(index)
        count = self._counts[index]
        into = (rank - (cumulative[index] - count)) / count
        return min(high, low + (high - low) * into)

    def _edges(self, index: int) -> tuple[float, float]:
        """Return the lower and the upper edge of a bucket."""
        if index == len(self._bounds):
            return self._bounds[-1], self._bounds[-1]
        high = self._bounds[index]
        return (self._bounds[index - 1] if index else min(high, 0.0)), high

    def to_dict(self) -> dict[str, object]:
        """Return count, mean and sum, and the cumulative buckets under their bounds."""
        bounds = [*map(repr, self._bounds), "+Inf"]
        return {
            "count": self.count,
            "mean": self.mean,
            "sum": self._sum,
            "buckets": dict(zip(bounds, self.buckets, strict=True)),
        }


@final
class BucketHistogram(Cumulative):
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

    def update(self, value: Real) -> None:
        """Count `value`.

        Raises:
            TypeError: `value` is not a number.
            ValueError: `value` is infinite or NaN.
        """
        # A variable of type float: compiled code unboxes the argument once.
        number = value if type(value) is float else real("BucketHistogram.update()", value)
        # Infinity and NaN fail this test. With listeners every value fails it, so that histograms
        # without listeners pay for one test only.
        if number - number != self._silence:
            finite("BucketHistogram.update()", number)  # which raises for infinity and NaN
            for listener in self._listeners:
                listener.append(number)
        bucket = (
            first_not_below(self._ascending, number)
            if IS_COMPILED
            else bisect_left(self._bounds, number)
        )
        # No call stands between these three, so no other thread runs between them.
        self._counts[bucket] += 1
        self._sum += number
        self._count += 1

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
        while True:
            count = self._count
            total = self._sum
            estimated = self._estimated
            present = self._counts
            counts = present[:]
            # Making the copy may run the garbage collector and with it a callback that updates, or
            # that sets other counts of the same total: they are in another list.
            if count == self._count and present is self._counts:
                return BucketHistogramSnapshot(self._bounds, counts, total, estimated)

    def __repr__(self) -> str:
        return f"BucketHistogram(count={self._count}, bounds={self._bounds})"
