import asyncio
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import (
    COMPILED,
    BucketHistogram,
    BucketHistogramSnapshot,
    Histogram,
    ResettingReservoir,
    ResettingTimer,
    Timer,
)
from metrics.clock import SYSTEM_CLOCK
from metrics.instruments._buckets import DURATION_BOUNDS
from metrics.testing import ManualClock


def test_a_timer_counts_in_buckets_for_durations_by_default():
    timer = Timer()
    timer.update(0.3)
    durations = timer.snapshot().durations
    assert type(durations) is BucketHistogramSnapshot
    assert durations.bounds == DURATION_BOUNDS
    assert (durations.count, durations.sum) == (1, 0.3)


def test_durations_are_seconds_or_say_otherwise():
    timer = Timer(Histogram())
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
    timer = Timer(Histogram(), clock=clock)
    with timer.time():
        clock.advance(1)
        with timer.time():
            clock.advance(2)
    assert timer.snapshot().durations.values == (2.0, 3.0)


def test_a_block_that_raises_is_timed_and_its_error_goes_on():
    clock = ManualClock()
    timer = Timer(Histogram(), clock=clock)

    def fail():
        with timer.time():
            clock.advance(0.5)
            raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        fail()
    assert timer.snapshot().durations.values == (0.5,)


def test_to_dict_has_durations_and_rates():
    timer = Timer(Histogram(), clock=ManualClock())
    timer.update(2)
    numbers = timer.snapshot().to_dict()
    assert (numbers["count"], numbers["median"], numbers["1m.rate"]) == (1, 2.0, 0.0)
    assert {"min", "max", "stddev", "99.9%", "5m.rate", "15m.rate", "mean.rate"} <= numbers.keys()


def test_the_repr_shows_what_keeps_the_durations():
    assert repr(Timer(BucketHistogram((1,)))) == "Timer(BucketHistogram(count=0, bounds=(1.0,)))"


KINDS = [Timer, ResettingTimer]
kinds = pytest.mark.parametrize("kind", KINDS)


def sampling(kind, clock):
    """Return a timer that keeps its durations."""
    return Timer(Histogram(), clock=clock) if kind is Timer else kind(clock=clock)


def recorded(timer):
    snapshot = timer.snapshot()
    return getattr(snapshot, "durations", snapshot).values


def error_of(update, *args):
    """Return the type of the error that an update raises, or None."""
    try:
        update(*args)
    except ValueError as error:
        return type(error)
    return None


@kinds
def test_a_stopwatch_shows_the_time_of_its_block_while_it_runs_and_afterwards(kind):
    clock = ManualClock()
    timer = sampling(kind, clock)
    stopwatch = timer.time()
    clock.advance(50)
    assert stopwatch.seconds == 0.0
    with stopwatch as entered:
        assert entered is stopwatch
        assert stopwatch.seconds == 0.0
        clock.advance(1.5)
        assert stopwatch.seconds == 1.5
        clock.advance(1)
    clock.advance(50)
    assert stopwatch.seconds == 2.5
    assert recorded(timer) == (2.5,)
    with pytest.raises(AttributeError):
        stopwatch.seconds = 1.0


@kinds
def test_a_stopwatch_shows_the_time_of_a_block_that_raised(kind):
    clock = ManualClock()
    timer = kind(clock=clock)
    stopwatch = timer.time()

    def fail():
        with stopwatch:
            clock.advance(2)
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert stopwatch.seconds == 2.0


def test_a_block_that_takes_no_time_on_its_clock_has_ended_all_the_same():
    clock = ManualClock(monotonic=0)
    with Timer(clock=clock).time() as stopwatch:
        pass
    clock.advance(1)
    assert stopwatch.seconds == 0.0


def test_a_stopwatch_may_time_one_block_after_the_other():
    clock = ManualClock()
    timer = Timer(Histogram(), clock=clock)
    stopwatch = timer.time()
    for seconds in (3, 1):
        with stopwatch:
            assert stopwatch.seconds == 0.0
            clock.advance(seconds)
        assert stopwatch.seconds == seconds
    assert recorded(timer) == (1.0, 3.0)


@kinds
def test_a_stopwatch_that_is_held_keeps_its_duration_whatever_is_timed_later(kind):
    clock = ManualClock()
    timer = kind(clock=clock)
    held = []
    for seconds in range(100):
        with timer.time() as stopwatch:
            clock.advance(seconds)
            with timer.time():
                clock.advance(1)
        # Every other stopwatch is released, and its memory may be used again.
        if seconds % 2:
            held.append(stopwatch)
        del stopwatch
    assert [stopwatch.seconds for stopwatch in held] == [*range(2, 101, 2)]


def test_nested_stopwatches_show_their_own_times():
    clock = ManualClock()
    timer = Timer(clock=clock)
    with timer.time() as outer:
        clock.advance(1)
        with timer.time() as inner:
            clock.advance(2)
            assert (outer.seconds, inner.seconds) == (3.0, 2.0)
        clock.advance(4)
    assert (outer.seconds, inner.seconds) == (7.0, 2.0)


@kinds
def test_a_clock_whose_method_is_another_builtin_function_is_read(kind):
    class Replay:
        monotonic = time = staticmethod(float)
        time_ns = staticmethod(int)
        monotonic_ns = [7_000_000_000, 6_000_000_000, 3_000_000_000, 1_000_000_000].pop

    timer = sampling(kind, Replay())
    with timer.time() as stopwatch:
        pass
    assert stopwatch.seconds == 2.0
    timer.timed(list)()
    assert recorded(timer) == (1.0, 2.0)


@kinds
def test_a_block_in_which_the_clock_goes_back_is_treated_as_a_negative_duration(kind):
    clock = ManualClock()
    timer = kind(clock=clock)
    stopwatch = timer.time()
    stopwatch.__enter__()
    clock._monotonic_ns -= 10**9
    assert stopwatch.seconds == 0.0
    assert error_of(stopwatch.__exit__, None, None, None) is error_of(timer.update_ns, -(10**9))
    assert stopwatch.seconds == 0.0
    assert timer.count == 0


@kinds
def test_the_time_since_a_start_of_its_clock_is_recorded_in_seconds(kind):
    clock = ManualClock()
    timer = sampling(kind, clock)
    start = clock.monotonic()
    timer.update_since(start)
    clock.advance(0.25)
    timer.update_since(start)
    clock.advance(2)
    timer.update_since(start=int(start))
    assert recorded(timer) == (0.0, 0.25, 2.25)


@kinds
def test_a_start_in_the_future_is_treated_as_a_negative_duration(kind):
    clock = ManualClock()
    timer = kind(clock=clock)
    error = error_of(timer.update_since, clock.monotonic() + 1)
    assert error is error_of(timer.update, -1.0)
    assert timer.count == 0


def test_the_system_clocks_monotonic_time_is_a_start():
    timer = Timer()
    timer.update_since(SYSTEM_CLOCK.monotonic())
    assert timer.count == 1
    # The time since the epoch would be more than fifty years.
    assert timer.snapshot().sum < 365 * 24 * 3600


@kinds
@pytest.mark.parametrize("start", [nan, inf, -inf, 10**400])
def test_a_start_that_is_no_finite_number_is_refused(kind, start):
    timer = kind()
    with pytest.raises(ValueError, match=rf"^{kind.__name__}\.update_since\(\) takes"):
        timer.update_since(start)
    assert timer.count == 0


@kinds
@pytest.mark.parametrize("start", [None, "1", 1j])
def test_a_start_that_is_no_number_is_refused(kind, start):
    with pytest.raises(TypeError, match=rf"^{kind.__name__}\.update_since\(\) takes a number"):
        kind().update_since(start)


@pytest.mark.parametrize("wrong", [ResettingReservoir(), "buckets", (1, 2), Timer, Histogram])
def test_a_timer_keeps_its_durations_in_a_histogram(wrong):
    # Compiled, the class checks its arguments before any code of its own runs.
    words = r"Histogram, .*BucketHistogram" if COMPILED else r"^Timer\(histogram\) takes .*, pass"
    with pytest.raises(TypeError, match=words):
        Timer(wrong)


@pytest.mark.parametrize("kind", [Timer, ResettingTimer])
def test_a_negative_duration_is_ignored_and_counted(kind):
    timer = kind()
    for seconds in (-1e-9, -1, -0.25, -(10**300), Seconds(-1)):
        timer.update(seconds)
    for ns in (-1, -(2**80), Nanoseconds(-5)):
        timer.update_ns(ns)
    assert (timer.ignored, timer.count, timer.snapshot().sum) == (8, 0, 0.0)
    timer.update(-0.0)
    timer.update(2)
    assert (timer.ignored, timer.count, timer.snapshot().sum) == (8, 2, 2.0)


class Seconds(float):
    pass


class Nanoseconds(int):
    pass


@pytest.mark.parametrize("kind", [Timer, ResettingTimer])
@pytest.mark.parametrize("wrong", [nan, inf, -inf, 10**400, -(10**400)])
def test_a_duration_that_is_no_number_is_not_ignored(kind, wrong):
    timer = kind()
    with pytest.raises(ValueError, match=r"update\(\) of a timer takes"):
        timer.update(wrong)
    assert (timer.ignored, timer.count) == (0, 0)


@pytest.mark.parametrize("kind", [Timer, ResettingTimer])
def test_a_duration_of_three_centuries_is_refused(kind):
    timer = kind()
    timer.update_ns(2**63 - 1)
    with pytest.raises(ValueError, match=r"update_ns\(\) of a timer takes less than 2\*\*63"):
        timer.update_ns(2**63)
    assert (timer.ignored, timer.count) == (0, 1)


class Backwards:
    """A clock that steps back by a second with every read."""

    def __init__(self):
        self.now = 100

    def monotonic_ns(self):
        self.now -= 1
        return self.now * 10**9

    def monotonic(self):
        return self.monotonic_ns() / 1e9

    time, time_ns = monotonic, monotonic_ns


@pytest.mark.parametrize("kind", [Timer, ResettingTimer])
def test_a_clock_that_steps_back_raises_in_no_block_and_no_function(kind):
    timer = kind(clock=Backwards())

    @timer.timed
    def plain():
        return "plain"

    @timer.timed
    async def coroutine():
        return "coroutine"

    @timer.timed
    def generator():
        yield "generator"

    @timer.timed
    async def async_generator():
        yield "async generator"

    async def main():
        return await coroutine(), [each async for each in async_generator()]

    with timer.time():
        pass
    assert plain() == "plain"
    assert [*generator()] == ["generator"]
    assert asyncio.run(main()) == ("coroutine", ["async generator"])
    assert (timer.ignored, timer.count) == (5, 0)


@pytest.mark.parametrize("kind", [Timer, ResettingTimer])
def test_the_error_of_a_block_is_raised_whatever_the_clock_does(kind):
    timer = kind(clock=Backwards())

    def fail():
        with timer.time():
            raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        fail()
    assert timer.ignored == 1
