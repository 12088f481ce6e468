from bisect import bisect_right
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import BucketHistogram

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


def test_a_snapshot_does_not_follow_later_updates():
    histogram = BucketHistogram((1,))
    before = histogram.snapshot()
    histogram.update(0.5)
    assert before.buckets == (0, 0)
    assert histogram.snapshot().buckets == (1, 1)


@pytest.mark.parametrize("bounds", [(), (2, 1), (1, 1), (nan,), (1, inf), (-inf, 1)])
def test_bounds_that_do_not_ascend_or_are_not_finite_are_refused(bounds):
    with pytest.raises(ValueError, match="BucketHistogram"):
        BucketHistogram(bounds)


def test_bounds_that_are_not_numbers_are_refused():
    with pytest.raises(TypeError, match="'1'"):
        BucketHistogram(["1"])


def test_the_default_bounds_suit_requests():
    bounds = BucketHistogram().snapshot().bounds
    assert (bounds[0], bounds[-1]) == (0.001, 30.0)


def test_the_repr_shows_count_and_bounds():
    assert repr(BucketHistogram((1, 2))) == "BucketHistogram(count=0, bounds=(1.0, 2.0))"
