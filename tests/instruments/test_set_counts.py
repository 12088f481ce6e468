"""A bucket histogram may be filled with the counts of a distribution that is counted elsewhere."""

import gc
import pickle
import threading
from array import array
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import BucketHistogram, Registry
from metrics.exporters import prometheus


def test_counts_and_sum_are_taken_as_they_are():
    histogram = BucketHistogram((1, 2, 4))
    histogram.update(3)
    histogram.set_counts([2, 3, 5, 1], 21.5)
    snapshot = histogram.snapshot()
    assert (snapshot.counts, snapshot.buckets) == ((2, 3, 5, 1), (2, 5, 10, 11))
    assert (snapshot.count, histogram.count, snapshot.sum) == (11, 11, 21.5)
    assert snapshot.mean == 21.5 / 11
    assert not snapshot.estimated


def test_a_sum_is_estimated_from_the_lower_edges_and_the_mean_from_the_middles():
    histogram = BucketHistogram((1, 2, 4))
    histogram.set_counts([2, 3, 5, 1])
    snapshot = histogram.snapshot()
    # 2 at 0, 3 at 1, 5 at 2, 1 at 4.
    assert snapshot.sum == 17.0
    # 2 at 0.5, 3 at 1.5, 5 at 3, 1 at 4.
    assert snapshot.mean == 24.5 / 11
    assert snapshot.to_dict()["mean"] == 24.5 / 11
    assert snapshot.estimated


def test_an_estimated_sum_is_rounded_up():
    histogram = BucketHistogram((0.5, 2))
    histogram.set_counts([9, 3, 0])
    assert histogram.snapshot().sum == 2.0


def test_the_lower_edge_of_the_first_bucket_is_its_bound_if_that_is_negative():
    histogram = BucketHistogram((-3, 2))
    histogram.set_counts([1, 1, 1])
    assert (histogram.snapshot().sum, histogram.snapshot().mean) == (-4.0, (-3 - 0.5 + 2) / 3)


def test_percentiles_lie_in_the_bucket_of_go_ethereums_percentile_and_end_at_the_last_edge():
    counts, edges = [2, 3, 0, 5, 1], [0, 1, 2, 3, 4, 4]
    histogram = BucketHistogram(edges[1:-1])
    histogram.set_counts(counts)
    snapshot = histogram.snapshot()
    for p in (0.0, 0.1, 0.25, 0.5, 0.75, 0.9):
        bucket = next(i for i in range(5) if sum(counts[: i + 1]) > p * 11)
        assert edges[bucket] <= snapshot.percentile(p) <= edges[bucket + 1]
    # go-ethereum returns the count here.
    assert snapshot.percentile(1.0) == snapshot.max == 4.0


def test_empty_counts_read_as_zero():
    histogram = BucketHistogram((1,))
    histogram.update(5)
    histogram.set_counts([0, 0])
    snapshot = histogram.snapshot()
    assert (snapshot.count, snapshot.sum, snapshot.mean, snapshot.max) == (0, 0.0, 0.0, 0.0)


def test_totals_may_go_down_and_later_updates_add_to_them():
    histogram = BucketHistogram((1, 2))
    histogram.set_counts([5, 5, 5], sum=20)
    histogram.set_counts([1, 0, 0], sum=1)
    histogram.update(1.5)
    assert histogram.snapshot().counts == (1, 1, 0)
    assert histogram.snapshot().sum == 2.5


def test_an_estimate_stays_one_until_an_exact_sum_is_set_or_the_process_forks():
    histogram = BucketHistogram((1,))
    histogram.set_counts([1, 0])
    histogram.update(0.5)
    assert histogram.snapshot().estimated
    histogram.set_counts([1, 0], 0.5)
    assert not histogram.snapshot().estimated
    histogram.set_counts([1, 0])
    histogram._after_fork()
    assert histogram.snapshot() == BucketHistogram((1,)).snapshot()


def test_the_counts_are_copied_from_any_iterable():
    histogram = BucketHistogram((1, 2))
    counts = [1, 2, 3]
    histogram.set_counts(counts)
    counts[0] = 9
    expected = histogram.snapshot()
    assert expected.counts == (1, 2, 3)
    for same in ((1, 2, 3), array("Q", [1, 2, 3]), iter([1, 2, 3])):
        histogram.set_counts(same)
        assert histogram.snapshot() == expected


def test_the_greatest_counts_are_exact_and_later_updates_add_to_them():
    histogram = BucketHistogram((1,))
    histogram.set_counts([2**61, 2**61 - 1])
    assert histogram.snapshot().sum == float(2**61)
    for value in (0.5, 1, 2.0, 3):
        histogram.update(value)
    assert histogram.snapshot().counts == (2**61 + 2, 2**61 + 1)
    assert histogram.snapshot().count == histogram.count == 2**62 + 3


@pytest.mark.parametrize(
    "counts", [[2**62, 0], [0, 2**62], [2**61, 2**61], [2**64 - 1, 0], [2**63, 2**63], [10**30, 1]]
)
def test_counts_that_updates_could_wrap_are_refused(counts):
    histogram = BucketHistogram((1,))
    histogram.update(0.5)
    before = histogram.snapshot()
    message = (
        rf"takes counts below 2\*\*62 in total, got {sum(counts):#x}; pass counts since a later"
    )
    for total in (None, 1.0):
        with pytest.raises(ValueError, match=rf"^BucketHistogram\.set_counts\(counts\) {message}"):
            histogram.set_counts(counts, total)
    assert histogram.snapshot() == before


@pytest.mark.parametrize("counts", [[], [1], [1, 2, 3, 4]])
def test_a_wrong_number_of_counts_is_refused(counts):
    histogram = BucketHistogram((1, 2))
    message = rf"takes 3 counts, got {len(counts)}: pass one for each of the 2 bounds and a last"
    with pytest.raises(ValueError, match=message):
        histogram.set_counts(counts)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (-1, ValueError, "not negative, got -1"),
        (1.0, TypeError, "an int, got 1.0"),
        (None, TypeError, "an int, got None"),
        ("1", TypeError, "an int, got '1'"),
    ],
)
def test_a_count_that_is_none_is_refused(wrong, error, message):
    histogram = BucketHistogram((1, 2))
    with pytest.raises(error, match=rf"BucketHistogram\.set_counts\(counts\) takes .*{message}"):
        histogram.set_counts([1, wrong, 3])


@pytest.mark.parametrize(
    ("wrong", "error"), [(nan, ValueError), (inf, ValueError), ("1", TypeError), (1j, TypeError)]
)
def test_a_sum_that_is_no_finite_number_is_refused(wrong, error):
    with pytest.raises(error, match=r"BucketHistogram\.set_counts\(sum\) takes a"):
        BucketHistogram((1,)).set_counts([1, 2], wrong)


@pytest.mark.parametrize("bounds", [(1e308,), (-1e308, 1e308)])
def test_an_estimate_that_fits_no_float_is_refused_with_the_way_out(bounds):
    histogram = BucketHistogram(bounds)
    with pytest.raises(ValueError, match="pass sum="):
        histogram.set_counts([9] * (len(bounds) + 1))
    histogram.set_counts([9] * (len(bounds) + 1), sum=0)


def test_a_refused_call_changes_nothing():
    histogram = BucketHistogram((1,))
    histogram.update(0.5)
    before = histogram.snapshot()
    for counts, total in (([1], None), ([1, -1], None), ([1, 1], nan), ([1, None], None)):
        with pytest.raises((TypeError, ValueError)):
            histogram.set_counts(counts, total)
    assert histogram.snapshot() == before


def test_an_estimate_survives_pickling_and_differs_from_an_exact_sum():
    histogram = BucketHistogram((1,))
    histogram.set_counts([0, 2])
    estimate = histogram.snapshot()
    histogram.set_counts([0, 2], 2)
    assert pickle.loads(pickle.dumps(estimate)) == estimate
    assert estimate != histogram.snapshot()


def test_set_counts_are_exported():
    registry = Registry()
    histogram = BucketHistogram((1, 2))
    registry.register("pauses", histogram)
    histogram.set_counts([1, 2, 3], 12)
    page = prometheus.render(registry).decode()
    assert 'pauses_bucket{le="2.0"} 3\n' in page
    assert "pauses_count 6\n" in page


@given(st.lists(st.integers(0, 2**40), min_size=4, max_size=4))
def test_statistics_of_set_counts_are_those_of_updates_with_the_middles(counts):
    histogram = BucketHistogram((2, 4, 8))
    histogram.set_counts(counts)
    snapshot = histogram.snapshot()
    total = sum(count * middle for count, middle in zip(counts, (1, 3, 6, 8), strict=True))
    assert snapshot.mean == pytest.approx(total / max(sum(counts), 1))
    assert snapshot.min <= snapshot.mean <= snapshot.max


@pytest.mark.usefixtures("eager_switching")
def test_a_snapshot_is_never_a_mixture_of_counts():
    histogram = BucketHistogram((1, 2))
    states = [([4, 0, 0], 2.0), ([0, 4, 0], 6.0), ([0, 0, 4], None), ([0, 0, 0], 0.0)]
    expected = set()
    for counts, total in states:
        histogram.set_counts(counts, total)
        expected.add(histogram.snapshot())
    stop = threading.Event()

    def write():
        while not stop.is_set():
            for counts, total in states:
                histogram.set_counts(counts, total)

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20_000):
            assert histogram.snapshot() in expected
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)


def test_a_snapshot_is_whole_when_the_garbage_collector_runs_code_that_replaces_the_counts():
    histogram = BucketHistogram((1,))
    histogram.set_counts([4, 0], 2.0)
    kept, snapshots = [], []

    def take_released_lists():
        # They would be used again, without a run of the collector.
        kept.extend([] for _ in range(9))

    def replace(phase, info):
        # The count is the same afterwards.
        histogram.update(0.5)
        histogram.set_counts([4, 0], 2.0)
        take_released_lists()

    threshold = gc.get_threshold()
    gc.callbacks.append(replace)
    gc.set_threshold(1)
    try:
        for _ in range(50):
            take_released_lists()
            snapshots.append(histogram.snapshot())
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.remove(replace)
    assert {(snapshot.counts, snapshot.sum) for snapshot in snapshots} == {((4, 0), 2.0)}


def test_a_sum_of_negative_zero_is_zero():
    histogram = BucketHistogram([1.0])
    histogram.set_counts([1, 0], sum=-0.0)
    assert repr(histogram.snapshot().sum) == "0.0"
