"""A manual clock moves when it is told to, by exactly what it is told."""

import copy
import threading
from fractions import Fraction

import pytest
from dependency_injector import providers
from hypothesis import given
from hypothesis import strategies as st

from metrics import Timer
from metrics.lifecycle import LifecycleContainer
from metrics.testing import ManualClock, overridden

SECONDS = st.integers(0, 10**12) | st.floats(0, 1e12, allow_subnormal=False)


def test_the_clock_stands_still_until_both_of_its_times_advance():
    clock = ManualClock(monotonic=10.0, epoch=100.0)
    assert (clock.monotonic(), clock.time()) == (clock.monotonic(), clock.time()) == (10.0, 100.0)
    clock.advance(2.5)
    assert (clock.monotonic(), clock.monotonic_ns()) == (12.5, 12_500_000_000)
    assert (clock.time(), clock.time_ns()) == (102.5, 102_500_000_000)


def test_a_tenth_of_a_second_ten_thousand_times_is_exactly_a_thousand_seconds():
    clock = ManualClock(0, 0)
    for _ in range(10_000):
        clock.advance(0.1)
    assert clock.monotonic_ns() == clock.time_ns() == 1_000 * 10**9
    assert clock.monotonic() == clock.time() == 1_000.0


@given(steps=st.lists(SECONDS))
def test_both_times_advance_by_the_sum_of_the_steps_to_half_a_nanosecond_each(steps):
    clock = ManualClock(monotonic=5, epoch=7)
    for step in steps:
        clock.advance(step)
    passed = clock.monotonic_ns() - 5 * 10**9
    assert clock.time_ns() - 7 * 10**9 == passed
    # What a float is written as differs from it by far less than the nanosecond it is rounded to.
    error = sum(Fraction(repr(step)) for step in steps) * 10**9 - passed
    assert abs(error) <= Fraction(len(steps), 2)


@given(epoch=st.floats(1e7, 1e10))
def test_a_time_of_our_days_comes_out_as_it_went_in(epoch):
    assert ManualClock(epoch=epoch).time() == epoch


def test_seconds_are_taken_as_they_are_written():
    assert ManualClock(epoch=1_700_000_000.1).time_ns() == 1_700_000_000_100_000_000


@given(ns=st.integers(0, 10**30))
def test_nanoseconds_of_any_size_are_exact(ns):
    clock = ManualClock(0, 0)
    clock.advance_ns(ns)
    assert clock.monotonic_ns() == clock.time_ns() == ns


def test_the_wall_clock_alone_is_set_back_and_forth():
    clock = ManualClock(monotonic=10, epoch=1_000)
    clock.set_time(400.5)
    assert (clock.monotonic(), clock.time_ns()) == (10.0, 400_500_000_000)
    clock.advance(1)
    assert (clock.monotonic(), clock.time()) == (11.0, 401.5)
    clock.set_time(-1)
    assert clock.time() == -1.0


@pytest.mark.parametrize("seconds", [-1, -1e-9, float("nan"), float("inf"), -float("inf")])
def test_a_step_that_is_negative_or_no_number_is_refused_and_moves_nothing(seconds):
    clock = ManualClock(3, 4)
    with pytest.raises(ValueError, match=r"^ManualClock\.advance\(\) takes a .*number.*, got "):
        clock.advance(seconds)
    assert (clock.monotonic(), clock.time()) == (3.0, 4.0)


def test_what_is_no_time_is_refused():
    clock = ManualClock()
    with pytest.raises(TypeError, match=r"^ManualClock\.advance\(\) takes a number, got '1'"):
        clock.advance("1")
    with pytest.raises(TypeError, match=r"^ManualClock\.advance_ns\(\) takes an int, got 1\.0"):
        clock.advance_ns(1.0)
    with pytest.raises(ValueError, match=r"^ManualClock\.advance_ns\(\) .* not negative, got -1$"):
        clock.advance_ns(-1)
    with pytest.raises(ValueError, match=r"^ManualClock\.set_time\(\) takes a finite number"):
        clock.set_time(float("inf"))
    with pytest.raises(ValueError, match=r"^ManualClock\(epoch\) takes a finite number, got nan$"):
        ManualClock(epoch=float("nan"))


def test_no_step_is_lost_when_threads_advance_the_clock_at_once():
    clock = ManualClock(0, 0)
    begin = threading.Barrier(8)

    def advance() -> None:
        begin.wait()
        for _ in range(2_000):
            clock.advance_ns(1)

    threads = [threading.Thread(target=advance) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clock.monotonic_ns() == clock.time_ns() == 16_000


def test_a_container_and_its_copies_hold_the_very_clock_that_was_given():
    class Container(LifecycleContainer):
        clock = providers.Object(ManualClock())

    given = ManualClock()
    with overridden(Container(), clock=given) as container:
        assert container.clock() is given
    assert copy.deepcopy({"clock": given})["clock"] is given
    assert copy.copy(given) is given
    assert Container().clock() is Container.clock()


def test_a_timer_measures_by_the_clock():
    clock = ManualClock()
    timer = Timer(clock=clock)
    with timer.time():
        clock.advance(0.25)
    assert timer.snapshot().sum == 0.25


def test_the_clock_says_what_it_shows():
    assert repr(ManualClock(1.5, 2)) == "<ManualClock monotonic 1.5 s, epoch 2.0 s>"
