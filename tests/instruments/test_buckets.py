from bisect import bisect_left, bisect_right
from math import ceil, inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import BucketHistogram
from metrics.instruments._buckets import DURATION_BOUNDS, SIZE_BOUNDS, default_bounds

finite_floats = st.floats(-1e100, 1e100)


def test_a_bound_belongs_to_its_bucket_and_the_last_bucket_has_everything():
    histogram = BucketHistogram((1, 2, 5))
    for value in (0.5, 1, 1.5, 2, 5.0, 5.1, 1000):
        histogram.update(value)
    snapshot = histogram.snapshot()
    assert snapshot.bounds == (1.0, 2.0, 5.0)
    assert snapshot.buckets == (2, 4, 5, 7)
    assert snapshot.count == snapshot.total_count == histogram.count == 7
    assert snapshot.sum == pytest.approx(1015.1)
    assert snapshot.mean == pytest.approx(1015.1 / 7)


def test_an_empty_histogram_reads_as_zero():
    snapshot = BucketHistogram((1,)).snapshot()
    assert (snapshot.count, snapshot.sum, snapshot.mean, snapshot.buckets) == (0, 0.0, 0.0, (0, 0))


def test_to_dict_has_the_cumulative_buckets_under_their_bounds():
    histogram = BucketHistogram((0.5, 10))
    histogram.update(1)
    assert histogram.snapshot().to_dict() == {
        "count": 1,
        "mean": 1.0,
        "sum": 1.0,
        "buckets": {"0.5": 0, "10.0": 1, "+Inf": 1},
    }


@given(st.sets(finite_floats, min_size=1, max_size=8), st.lists(finite_floats, max_size=40))
def test_each_bucket_counts_what_is_not_above_its_bound(bounds, values):
    histogram = BucketHistogram(sorted(bounds))
    for value in values:
        histogram.update(value)
    snapshot = histogram.snapshot()
    expected = [bisect_right(sorted(values), bound) for bound in sorted(bounds)]
    assert snapshot.buckets == (*expected, len(values))


@pytest.mark.parametrize("size", [1, 2, 63, 64, 65, 66, 200])
def test_a_value_falls_into_the_bucket_of_the_first_bound_that_is_not_below_it(size):
    histogram = BucketHistogram(range(size))
    values = [number / 2 for number in range(-3, 2 * size + 3)]
    for value in values:
        histogram.update(value)
    expected = [0] * (size + 1)
    for value in values:
        expected[bisect_left(range(size), value)] += 1
    assert histogram.snapshot().counts == tuple(expected)


@pytest.mark.parametrize(
    ("one", "other"), [((1, 2.5), [1.0, 2.5]), ((-0.0, 1), (0.0, 1)), ((0, 1, inf), iter((0, 1)))]
)
def test_histograms_of_equal_bounds_share_them_and_count_apart(one, other):
    first, second = BucketHistogram(one), BucketHistogram(other)
    first.update(0.5)
    assert first.snapshot().bounds is second.snapshot().bounds
    assert (first.count, second.count, second.snapshot().count) == (1, 0, 0)
    assert repr(first.snapshot().bounds[0]) in {"1.0", "0.0"}


def test_a_snapshot_does_not_follow_later_updates():
    histogram = BucketHistogram((1,))
    before = histogram.snapshot()
    histogram.update(0.5)
    assert before.buckets == (0, 0)
    assert histogram.snapshot().buckets == (1, 1)


@pytest.mark.parametrize(
    "bounds",
    [(), (2, 1), (1, 1), (nan,), (inf,), (1, inf, inf), (inf, 1), (-inf, 1), (1, nan, inf)],
)
def test_bounds_that_do_not_ascend_or_are_not_finite_are_refused(bounds):
    with pytest.raises(ValueError, match="BucketHistogram"):
        BucketHistogram(bounds)


def test_percentiles_are_linear_inside_a_bucket():
    histogram = BucketHistogram((1, 2, 4))
    for value in (0.5, 1.5, 1.5, 3):
        histogram.update(value)
    snapshot = histogram.snapshot()
    assert snapshot.percentiles((0, 0.125, 0.25, 0.5, 0.75, 1)) == (0, 0.5, 1, 1.5, 2, 4)
    assert (snapshot.min, snapshot.max) == (0, 4)


def test_what_is_above_all_bounds_counts_as_the_last_bound():
    histogram = BucketHistogram((1, 2))
    histogram.update(1000)
    snapshot = histogram.snapshot()
    assert (snapshot.min, snapshot.max, snapshot.percentile(0.5)) == (2, 2, 2)
    assert (snapshot.variance, snapshot.mean) == (0, 1000)


def test_the_first_bucket_has_no_width_when_its_bound_is_negative():
    histogram = BucketHistogram((-3, 2))
    histogram.update(-10)
    snapshot = histogram.snapshot()
    assert (snapshot.min, snapshot.max, snapshot.stddev) == (-3, -3, 0)


def test_the_variance_is_that_of_values_spread_evenly():
    histogram = BucketHistogram((6, 12))
    for value in (1, 2, 11, 12):
        histogram.update(value)
    snapshot = histogram.snapshot()
    assert snapshot.variance == pytest.approx(12**2 / 12)
    assert snapshot.stddev == pytest.approx(12**0.5)


def test_statistics_of_an_empty_histogram_are_zero():
    snapshot = BucketHistogram((1,)).snapshot()
    assert (snapshot.min, snapshot.max, snapshot.variance, snapshot.stddev) == (0, 0, 0, 0)
    assert snapshot.percentiles((0, 0.5, 1)) == (0, 0, 0)


@pytest.mark.parametrize("p", [-0.01, 1.01, nan])
def test_a_percentile_is_a_fraction(p):
    with pytest.raises(ValueError, match="between 0 and 1"):
        BucketHistogram((1,)).snapshot().percentile(p)


@given(
    st.sets(finite_floats, min_size=1, max_size=8),
    st.lists(finite_floats, min_size=1, max_size=40),
    st.lists(st.floats(0, 1), min_size=2),
)
def test_percentiles_ascend_between_min_and_max(bounds, values, ps):
    histogram = BucketHistogram(sorted(bounds))
    for value in values:
        histogram.update(value)
    snapshot = histogram.snapshot()
    found = snapshot.percentiles(sorted(ps))
    assert list(found) == sorted(found)
    assert min(0, *bounds) <= snapshot.min <= found[0]
    assert found[-1] <= snapshot.max <= max(bounds)
    assert found == tuple([snapshot.percentile(p) for p in sorted(ps)])


@given(
    st.sets(st.floats(0.01, 1e6), min_size=1, max_size=8),
    st.lists(st.floats(0, 1), min_size=1),
    st.floats(0, 1),
)
def test_an_estimate_lies_in_the_bucket_of_the_value_it_estimates(bounds, fractions, p):
    histogram = BucketHistogram(sorted(bounds))
    values = sorted(max(bounds) * fraction for fraction in fractions)
    for value in values:
        histogram.update(value)
    exact = values[max(ceil(p * len(values)) - 1, 0)]
    low = max((bound for bound in bounds if bound < exact), default=0)
    high = min(bound for bound in bounds if bound >= exact)
    assert low <= histogram.snapshot().percentile(p) <= high


def test_bounds_that_are_not_numbers_are_refused():
    with pytest.raises(TypeError, match="'1'"):
        BucketHistogram(["1"])


@pytest.mark.parametrize("bounds", [(1, 2, inf), [1.0, 2.0, float("inf")], iter((1, 2, inf))])
def test_bounds_may_end_in_infinity_which_is_the_last_bucket_anyway(bounds):
    histogram = BucketHistogram(bounds)
    histogram.update(1e300)
    assert histogram.snapshot().bounds == (1.0, 2.0)
    assert histogram.snapshot().buckets == (0, 0, 1)


def test_bounds_are_required():
    with pytest.raises(TypeError, match="bounds"):
        BucketHistogram()


@pytest.mark.parametrize("unit", ["seconds", "bytes"])
def test_default_bounds_ascend_and_make_a_histogram(unit):
    bounds = default_bounds(unit)
    assert BucketHistogram(bounds).snapshot().bounds == bounds
    assert all(type(bound) is float for bound in bounds)


def test_default_bounds_suit_requests_and_bodies():
    assert (DURATION_BOUNDS[0], DURATION_BOUNDS[-1]) == (0.001, 30.0)
    assert (SIZE_BOUNDS[0], SIZE_BOUNDS[-1], len(SIZE_BOUNDS)) == (64.0, 2.0**30, 13)
    assert default_bounds("seconds") is DURATION_BOUNDS
    assert default_bounds("bytes") is SIZE_BOUNDS


@pytest.mark.parametrize("unit", ["percent", "", "milliseconds", "kibibytes", "Seconds"])
def test_other_units_have_no_default_bounds(unit):
    with pytest.raises(
        ValueError, match=rf"^bounds are required for unit '{unit}': .* pass bounds=$"
    ):
        default_bounds(unit)


def test_the_repr_shows_count_and_bounds():
    assert repr(BucketHistogram((1, 2))) == "BucketHistogram(count=0, bounds=(1.0, 2.0))"
