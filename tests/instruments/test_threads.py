"""Updates from many threads at once, with the interpreter switching threads as often as it can."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from metrics import (
    BucketHistogram,
    Counter,
    ExpDecayReservoir,
    FloatCounter,
    FloatUpDownCounter,
    Gauge,
    Histogram,
    IntGauge,
    Meter,
    ResettingReservoir,
    ResettingTimer,
    Timer,
    UniformReservoir,
    UpDownCounter,
)

pytestmark = pytest.mark.usefixtures("eager_switching")

THREADS = 8
UPDATES = 4_000
TOTAL = THREADS * UPDATES
SNAPSHOTS = 100_000


def in_threads(work):
    """Run `work(number of the thread)` in all threads at once; raise what any of them raises."""
    barrier = threading.Barrier(THREADS)

    def start_together(number):
        barrier.wait(30)
        return work(number)

    with ThreadPoolExecutor(THREADS) as pool:
        return [*pool.map(start_together, range(THREADS))]


def update_from_threads(update, value=1):
    def work(_number):
        for _ in range(UPDATES):
            update(value)

    in_threads(work)


@contextmanager
def writers(update) -> Iterator[None]:
    """Keep four threads updating with 1.0."""
    stop = threading.Event()

    def work():
        while not stop.is_set():
            update(1.0)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(10)


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        (Counter, "inc"),
        (FloatCounter, "inc"),
        (UpDownCounter, "inc"),
        (FloatUpDownCounter, "inc"),
        (Meter, "mark"),
        (Gauge, "inc"),
        (IntGauge, "inc"),
    ],
)
def test_no_increment_is_lost(kind, method):
    instrument = kind()
    update_from_threads(getattr(instrument, method))
    assert (
        getattr(instrument.snapshot(), "count" if hasattr(instrument, "count") else "value")
        == TOTAL
    )


@pytest.mark.parametrize("kind", [UpDownCounter, FloatUpDownCounter, Gauge, IntGauge])
def test_as_many_ups_as_downs_give_zero(kind):
    instrument = kind()

    def work(number):
        update = instrument.inc if number % 2 else instrument.dec
        for _ in range(UPDATES):
            update(3)

    in_threads(work)
    assert next(iter(instrument.snapshot().to_dict().values())) == 0


@pytest.mark.parametrize("kind", [Gauge, IntGauge])
def test_the_greatest_maximum_wins(kind):
    gauge = kind()

    def work(number):
        for step in range(UPDATES):
            gauge.set_max(step * THREADS + number)

    for _ in range(3):
        gauge.set(-1)
        in_threads(work)
        assert gauge.value == TOTAL - 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: BucketHistogram((1,)),
        Histogram,
        UniformReservoir,
        ExpDecayReservoir,
        ResettingReservoir,
        lambda: ResettingReservoir(size=16),
        lambda: Histogram(UniformReservoir(16)),
        lambda: Histogram(ExpDecayReservoir(16)),
        ResettingTimer,
        Timer,
        lambda: Timer(Histogram()),
    ],
)
def test_no_value_is_lost(make):
    instrument = make()
    update_from_threads(instrument.update, 1.0)
    snapshot = instrument.snapshot()
    assert (instrument.count, snapshot.count, snapshot.sum) == (TOTAL, TOTAL, TOTAL)


def test_no_value_is_lost_while_the_instrument_ticks():
    timer = Timer()

    def work(number):
        for _ in range(UPDATES):
            timer.update_ns(1_000_000_000)
            if number == 0:
                timer.tick()

    in_threads(work)
    timer.tick()
    snapshot = timer.snapshot()
    assert (snapshot.count, snapshot.rates.count) == (TOTAL, TOTAL)
    assert snapshot.sum == pytest.approx(TOTAL)


def test_readers_of_a_resetting_reservoir_share_out_every_value_once():
    reservoir = ResettingReservoir(size=64)

    def work(number):
        count = total = 0
        for _ in range(UPDATES):
            reservoir.update(1.0)
            if number < 2:
                snapshot = reservoir.snapshot("shared")
                count += snapshot.count
                total += snapshot.sum
        return count, total

    counts, sums = zip(*in_threads(work), strict=True)
    rest = reservoir.snapshot("shared")
    assert sum(counts) + rest.count == sum(sums) + rest.sum == TOTAL
    assert reservoir.snapshot("other").count == TOTAL


def test_a_snapshot_of_buckets_is_never_torn():
    histogram = BucketHistogram((0.5, 1.0, 2.0))
    with writers(histogram.update):
        for _ in range(SNAPSHOTS):
            snapshot = histogram.snapshot()
            buckets = snapshot.buckets
            assert snapshot.sum == buckets[-1] == buckets[1] == snapshot.count
            assert buckets[0] == 0
    assert histogram.snapshot().sum == histogram.count > 0


def test_a_snapshot_of_a_histogram_is_never_torn():
    histogram = Histogram(ExpDecayReservoir(64))
    with writers(histogram.update):
        for _ in range(SNAPSHOTS):
            snapshot = histogram.snapshot()
            assert snapshot.sum == snapshot.count
            assert snapshot.size <= snapshot.count
    assert histogram.snapshot().sum == histogram.count > 0


def test_a_snapshot_of_a_resetting_reservoir_is_never_torn():
    reservoir = ResettingReservoir(size=16)
    read = 0
    with writers(reservoir.update):
        for _ in range(SNAPSHOTS // 10):
            snapshot = reservoir.snapshot()
            read += snapshot.count
            assert snapshot.sum == snapshot.count >= snapshot.size
            assert snapshot.total_sum == snapshot.total_count == read
    assert read + reservoir.snapshot().count == reservoir.count
