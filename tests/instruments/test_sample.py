import math
import statistics

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from metrics import HistogramSnapshot

samples = st.lists(st.floats(-1e100, 1e100), min_size=1, max_size=60)


def snapshot_of(values):
    return HistogramSnapshot(len(values), sum(values), values)


def test_the_percentiles_of_one_to_a_hundred():
    snapshot = snapshot_of([float(n) for n in range(100, 0, -1)])
    expected = (50.5, 95.95, 99.99)
    assert snapshot.percentiles((0.5, 0.95, 0.99)) == pytest.approx(expected, rel=1e-12)


def test_the_percentiles_of_two_values_are_clamped_to_them():
    snapshot = snapshot_of([10.0, 1.0])
    assert snapshot.percentiles((0.5, 0.95, 0.99)) == (5.5, 10.0, 10.0)
    assert snapshot.percentiles((0.0, 0.1, 1.0)) == (1.0, 1.0, 10.0)


def test_every_statistic_of_an_empty_sample_is_zero():
    snapshot = snapshot_of([])
    numbers = (snapshot.min, snapshot.max, snapshot.mean, snapshot.variance, snapshot.stddev)
    assert numbers == (0.0,) * 5
    assert snapshot.percentiles((0, 0.5, 1)) == (0.0,) * 3
    assert (snapshot.size, snapshot.values) == (0, ())


def test_the_mean_of_values_whose_sum_is_too_large_is_infinite():
    snapshot = snapshot_of([1.7e308, 1.7e308])
    assert (snapshot.mean, snapshot.variance) == (math.inf, math.inf)
    assert (snapshot.min, snapshot.max) == (1.7e308, 1.7e308)


def test_the_variance_is_that_of_a_population():
    snapshot = snapshot_of([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0])
    assert (snapshot.variance, snapshot.stddev) == (4.0, 2.0)


@given(samples)
@example([0.1] * 10)
def test_the_statistics_agree_with_the_standard_library(values):
    snapshot = snapshot_of(values)
    scale = max(map(abs, values))
    assert snapshot.values == tuple(sorted(values))
    assert snapshot.size == len(values)
    assert (snapshot.min, snapshot.max) == (min(values), max(values))
    assert snapshot.mean == pytest.approx(statistics.fmean(values), rel=1e-12)
    variance = pytest.approx(statistics.pvariance(values), rel=1e-9, abs=1e-24 * scale**2)
    assert snapshot.variance == variance
    assert snapshot.stddev**2 == pytest.approx(snapshot.variance, rel=1e-12, abs=1e-300)


@given(samples, st.lists(st.floats(0, 1), min_size=2, max_size=10))
def test_percentiles_rise_with_the_fraction_and_stay_within_the_sample(values, fractions):
    snapshot = snapshot_of(values)
    results = snapshot.percentiles(sorted(fractions))
    assert sorted(results) == [*results]
    assert min(values) <= results[0]
    assert results[-1] <= max(values)


@given(samples)
def test_percentiles_at_whole_positions_are_the_values_themselves(values):
    snapshot = snapshot_of(values)
    for rank, value in enumerate(sorted(values), start=1):
        fraction = rank / (len(values) + 1)
        if fraction * (len(values) + 1) == rank:
            assert snapshot.percentile(fraction) == value


@pytest.mark.parametrize("p", [-0.01, 1.01, 95, float("nan")])
def test_a_fraction_outside_zero_to_one_is_refused(p):
    for values in ([], [1.0]):
        with pytest.raises(ValueError, match=f"got {p}"):
            snapshot_of(values).percentile(p)


def test_count_and_sum_speak_of_all_updates_and_the_rest_of_the_sample():
    snapshot = HistogramSnapshot(1000, 5000.0, [1.0, 3.0])
    assert (snapshot.count, snapshot.sum, snapshot.size, snapshot.mean) == (1000, 5000.0, 2, 2.0)
    assert (snapshot.total_count, snapshot.total_sum) == (1000, 5000.0)
    since = HistogramSnapshot(2, 4.0, [1.0, 3.0], 1000, 5000.0)
    assert (since.count, since.total_count, since.sum, since.total_sum) == (2, 1000, 4.0, 5000.0)


def test_the_order_in_which_values_came_does_not_matter():
    one, other = snapshot_of([1.0, 2.0]), snapshot_of([2.0, 1.0])
    assert one == other
    assert hash(one) == hash(other)


def test_to_dict_has_the_keys_of_go_ethereum():
    assert snapshot_of([1.0, 10.0]).to_dict() == {
        "count": 2,
        "min": 1.0,
        "max": 10.0,
        "mean": 5.5,
        "stddev": 4.5,
        "median": 5.5,
        "75%": 10.0,
        "95%": 10.0,
        "99%": 10.0,
        "99.9%": 10.0,
    }
