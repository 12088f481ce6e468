from random import Random

import pytest

from metrics import ExpDecayReservoir, Histogram, ResettingReservoir, UniformReservoir
from metrics.testing import ManualClock


def test_a_histogram_reads_what_it_was_updated_with():
    histogram = Histogram()
    for value in (3, 1.0, 2):
        histogram.update(value)
    snapshot = histogram.snapshot()
    assert snapshot.values == (1.0, 2.0, 3.0)
    assert (histogram.count, snapshot.count, snapshot.sum) == (3, 3, 6.0)


def test_it_keeps_1028_values_unless_told_otherwise():
    histogram = Histogram()
    for value in range(1100):
        histogram.update(value)
    assert (histogram.snapshot().size, histogram.snapshot().count) == (1028, 1100)


def test_a_tick_ages_the_sample():
    clock = ManualClock()
    histogram = Histogram(ExpDecayReservoir(10, alpha=1.0, clock=clock, rng=Random(1)))
    for _ in range(100):
        histogram.update(1)
    clock.advance(3600)
    histogram.tick()
    for _ in range(10):
        histogram.update(2)
    assert histogram.snapshot().values == (2.0,) * 10


def test_clear_forgets_everything():
    for reservoir in (ExpDecayReservoir(), UniformReservoir(), ResettingReservoir()):
        histogram = Histogram(reservoir)
        histogram.update(5)
        histogram.clear()
        snapshot = histogram.snapshot()
        assert (histogram.count, snapshot.count, snapshot.sum, snapshot.size) == (0, 0, 0.0, 0)


def test_the_reader_s_name_reaches_a_reservoir_that_resets():
    histogram = Histogram(ResettingReservoir())
    histogram.update(1)
    assert [histogram.snapshot(reader).count for reader in ("a", "b", "a")] == [1, 1, 0]
    assert histogram.count == histogram.snapshot("a").total_count == 1


def test_the_repr_shows_the_reservoir():
    assert repr(Histogram(UniformReservoir(3))) == "Histogram(UniformReservoir(size=3, count=0))"


@pytest.mark.parametrize("wrong", ["reservoir", 1028, UniformReservoir, Random(1), [1.0]])
def test_a_reservoir_that_lacks_a_method_is_refused(wrong):
    with pytest.raises(TypeError, match=r"^Histogram\(reservoir\) takes a reservoir, .*, got "):
        Histogram(wrong)


def test_a_reservoir_without_a_count_is_refused():
    class Uncounted:
        update = snapshot = tick = clear = print

    with pytest.raises(TypeError, match=r"no count$"):
        Histogram(Uncounted())
