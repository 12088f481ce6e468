"""Heat: observations by logarithmic bucket, whose sum is kept."""

from math import inf, nan, sqrt

import pytest

from metrics.integrations._dashboard.heat import (
    HIGHEST,
    LOWEST,
    MOST,
    NOT_POSITIVE,
    bucket_heat,
    bucket_of,
    merge_smallest,
    sample_heat,
)


@pytest.mark.parametrize(
    ("value", "index"),
    [
        (1.0, 0),
        (1.4, 0),
        (sqrt(2) + 1e-9, 1),
        (2.0, 2),
        (0.5, -2),
        (0.0, NOT_POSITIVE),
        (-3.0, NOT_POSITIVE),
        (nan, NOT_POSITIVE),
        (5e-324, LOWEST),
        (1e300, HIGHEST),
        (inf, HIGHEST),
    ],
)
def test_two_buckets_double_the_value(value: float, index: int):
    assert bucket_of(value) == index


@pytest.mark.parametrize("observations", [1, 2, 3, 7, 100, 12_345])
def test_a_sample_is_scaled_to_the_observations_exactly(observations: int):
    values = [1.0, 1.1, 2.0, 4.0, 4.1, 4.2, 8.0]
    heat = sample_heat(values, observations)
    assert sum(count for _, count in heat) == observations
    assert [index for index, _ in heat] == sorted({index for index, _ in heat})


def test_nothing_was_observed_without_observations_or_without_a_sample():
    assert sample_heat([1.0], 0) == []
    assert sample_heat([1.0], -1) == []
    assert sample_heat([], 5) == []


def test_buckets_have_the_index_of_their_upper_bound_and_the_last_one_above():
    assert bucket_heat([1.0, 2.0], [3, 0, 5]) == [(0, 3), (3, 5)]
    assert bucket_heat([-1.0, 0.0, 1.0], [1, 1, 1, 1]) == [(NOT_POSITIVE, 2), (0, 1), (1, 1)]
    assert bucket_heat([1e300], [0, 2]) == [(HIGHEST, 2)]


def test_most_buckets_are_merged_into_neighbours():
    heat = [(index, 1 + index % 3) for index in range(40)]
    merged = merge_smallest(heat)
    assert len(merged) == MOST
    assert sum(count for _, count in merged) == sum(count for _, count in heat)
    assert merged == sorted(merged)
    assert merge_smallest(heat[:MOST]) == heat[:MOST]
