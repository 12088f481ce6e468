import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import BucketHistogram, Histogram, ResettingReservoir, ResettingTimer, Timer
from metrics.testing import ManualClock


def test_durations_are_seconds_or_say_otherwise():
    timer = Timer()
    timer.update(0.25)
    timer.update_ns(750_000_000)
    snapshot = timer.snapshot()
    assert snapshot.durations.values == (0.25, 0.75)
    assert (timer.count, snapshot.count, snapshot.sum) == (2, 2, 1.0)


@pytest.mark.parametrize("kind", [Timer, ResettingTimer])
@given(st.integers(0, 100 * 365 * 24 * 3600))
def test_whole_seconds_are_exact_for_a_hundred_years(kind, seconds):
    clock = ManualClock()
    timer = kind(clock=clock)
    timer.update_ns(seconds * 10**9)
    with timer.time():
        clock.advance(seconds % 1000)
    assert timer.snapshot().sum == seconds + seconds % 1000


def test_a_tick_advances_the_rates_and_ages_the_sample():
    clock = ManualClock()
    timer = Timer(interval=2.0, clock=clock)
    for _ in range(6):
        timer.update(1)
    clock.advance(2)
    timer.tick()
    rates = timer.snapshot().rates
    assert (rates.rate1, rates.rate5, rates.rate15, rates.rate_mean) == (3.0, 3.0, 3.0, 3.0)
    clock.advance(2)
    timer.tick()
    assert 0 < timer.snapshot().rates.rate1 < timer.snapshot().rates.rate15 < 3.0


def test_durations_may_go_to_buckets():
    timer = Timer(BucketHistogram((1, 2)), clock=ManualClock())
    timer.update(1.5)
    timer.tick()
    snapshot = timer.snapshot()
    assert snapshot.durations.buckets == (0, 1, 1)
    assert (snapshot.count, snapshot.sum, snapshot.rates.rate1) == (1, 1.5, 0.2)


def test_rates_do_not_reset_when_the_durations_do():
    timer = Timer(Histogram(ResettingReservoir()), clock=ManualClock())
    timer.update(1)
    assert timer.snapshot("a").count == 1
    timer.tick()
    timer.update(1)
    snapshot = timer.snapshot("a")
    assert (snapshot.count, snapshot.rates.count, snapshot.rates.rate1) == (1, 2, 0.2)


def test_nested_blocks_are_timed_each_for_itself():
    clock = ManualClock()
    timer = Timer(clock=clock)
    with timer.time():
        clock.advance(1)
        with timer.time():
            clock.advance(2)
    assert timer.snapshot().durations.values == (2.0, 3.0)


def test_a_block_that_raises_is_timed_and_its_error_goes_on():
    clock = ManualClock()
    timer = Timer(clock=clock)

    def fail():
        with timer.time():
            clock.advance(0.5)
            raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        fail()
    assert timer.snapshot().durations.values == (0.5,)


def test_to_dict_has_durations_and_rates():
    timer = Timer(clock=ManualClock())
    timer.update(2)
    numbers = timer.snapshot().to_dict()
    assert (numbers["count"], numbers["median"], numbers["1m.rate"]) == (1, 2.0, 0.0)
    assert {"min", "max", "stddev", "99.9%", "5m.rate", "15m.rate", "mean.rate"} <= numbers.keys()


def test_the_repr_shows_what_keeps_the_durations():
    assert repr(Timer(BucketHistogram((1,)))) == "Timer(BucketHistogram(count=0, bounds=(1.0,)))"
