from contextlib import suppress

from metrics import ResettingTimer
from metrics.testing import ManualClock


def test_durations_are_given_to_each_reader_once():
    timer = ResettingTimer()
    timer.update(0.5)
    timer.update_ns(1_500_000_000)
    assert timer.snapshot("scrape").values == (0.5, 1.5)
    timer.update(2)
    assert timer.snapshot("scrape").values == (2.0,)
    assert timer.snapshot("push").values == (0.5, 1.5, 2.0)
    assert timer.count == 3


def test_overflow_keeps_count_and_sum_exact():
    timer = ResettingTimer(size=3)
    for seconds in range(50):
        timer.update(seconds)
    snapshot = timer.snapshot()
    assert (snapshot.count, snapshot.sum, snapshot.max) == (50, 1225.0, 49.0)
    assert snapshot.size < 6


def test_a_block_is_timed_even_if_it_raises():
    clock = ManualClock()
    timer = ResettingTimer(clock=clock)
    with timer.time():
        clock.advance(2)
    with suppress(KeyError), timer.time():
        clock.advance(3)
        raise KeyError
    assert timer.snapshot().values == (2.0, 3.0)


def test_a_function_is_timed():
    clock = ManualClock()
    timer = ResettingTimer(clock=clock)

    @timer.timed
    def work(seconds):
        clock.advance(seconds)
        return seconds * 2

    assert work(4) == 8
    assert timer.snapshot().values == (4.0,)


def test_the_repr_shows_the_count():
    timer = ResettingTimer()
    timer.update(1)
    assert repr(timer) == "ResettingTimer(count=1)"
