"""A manual ticker ticks exactly what is due, in the calling thread, at the time it is due."""

import threading
from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import Registry
from metrics.testing import ManualClock, ManualTicker
from tests.testing.ticking import Member, started


def test_exactly_the_ticks_that_are_due_come_each_at_its_time_in_the_calling_thread():
    ticker, member = started()
    ticker.advance(4.999_999_999)
    assert member.times == []
    ticker.advance(0.000_000_001)
    assert member.times == [5.0]
    ticker.advance(12)
    assert member.times == [5.0, 10.0, 15.0]
    assert (ticker.clock.monotonic(), ticker.clock.time()) == (17.0, 1_700_000_017.0)
    assert member.threads == {threading.current_thread()}


@pytest.mark.parametrize("minutes", [1, 5, 15])
def test_a_moving_average_is_that_of_go_ethereum(minutes):
    with ManualTicker() as ticker:
        meter = Registry(ticker=ticker, clock=ticker.clock).meter("rpc/requests")
        meter.mark(3)
        ticker.advance(5)
        field = f"rate{minutes}"
        assert getattr(meter.snapshot(), field) == pytest.approx(0.6, rel=1e-15)
        ticker.advance(60)
        known = {1: 0.22072766470286553, 5: 0.49123845184678905, 15: 0.5613041910189706}
        assert getattr(meter.snapshot(), field) == pytest.approx(known[minutes], rel=1e-15)
        ticker.advance(14 * 60)
        expected = 0.6 * exp(-15 / minutes)
        assert getattr(meter.snapshot(), field) == pytest.approx(expected, rel=1e-12)
        assert meter.snapshot().rate_mean == 3 / 905


# Rates of ticks as people choose them, and such as no binary or decimal number can hold.
INTERVALS = st.sampled_from([5.0, 1.0, 0.1, 0.3, 0.57, 1 / 3, 2 / 3, 1 / 7, 10])


@given(INTERVALS, st.lists(st.integers(0, 30)))
def test_so_many_intervals_are_so_many_ticks_in_one_step_or_in_many(interval, steps):
    ticker, member = started(interval)
    for step in steps:
        ticker.advance(step * interval)
    assert len(member.times) == sum(steps)
    assert member.times == sorted(member.times)
    other, together = started(interval)
    other.advance(sum(steps) * interval)
    assert together.times == member.times


@given(st.lists(st.floats(0, 50)))
def test_however_time_is_cut_the_ticks_are_due_at_multiples_of_the_interval(steps):
    ticker, member = started(5.0)
    for step in steps:
        ticker.advance(step)
    assert member.times == [5.0 * k for k in range(1, int(ticker.clock.monotonic() / 5.0) + 1)]


def test_the_newest_addition_is_ticked_first_and_one_discarded_no_more():
    ticker, _ = started()
    order = []
    members = [Member(ticker.clock, lambda name=name: order.append(name)) for name in "ab"]
    for member in members:
        ticker.add(member)
        ticker.add(member)
    assert len(ticker) == 3
    ticker.advance(5)
    ticker.discard(members[1])
    ticker.discard(members[1])
    ticker.advance(5)
    assert order == ["b", "a", "a"]


def test_a_late_tick_comes_once_and_the_next_one_on_time():
    ticker, member = started()
    ticker.clock.advance(12)
    assert member.times == []
    ticker.advance(0)
    assert member.times == [12.0]
    ticker.advance(3)
    assert member.times == [12.0, 15.0]


def test_a_member_that_takes_long_has_the_ticks_skipped_that_it_made_late():
    ticker, member = started(action=lambda: ticker.clock.advance(7))
    ticker.advance(20)
    assert member.times == [5.0, 15.0]
    assert ticker.clock.monotonic() == 22.0


def test_what_is_added_late_has_missed_nothing():
    ticker = ManualTicker(5.0, ManualClock(0))
    ticker.start()
    ticker.clock.advance(12)
    member = Member(ticker.clock)
    ticker.add(member)
    ticker.advance(0)
    assert member.times == []
    ticker.advance(3)
    assert member.times == [15.0]


def test_a_member_that_stops_the_ticker_has_the_rest_of_the_time_pass_without_ticks():
    ticker, member = started(action=lambda: ticker.stop())  # noqa: PLW0108 - it is there later
    ticker.advance(60)
    assert member.times == [5.0]
    assert not ticker.running
    assert ticker.clock.monotonic() == 60.0


def test_a_ticker_that_is_started_again_counts_from_then():
    ticker, member = started()
    ticker.advance(7)
    ticker.stop()
    ticker.clock.advance(100)
    ticker.start()
    ticker.start()
    ticker.advance(5)
    assert member.times == [5.0, 112.0]


def test_advancing_a_ticker_that_is_not_started_is_an_error_and_moves_nothing():
    ticker = ManualTicker()
    before = ticker.clock.monotonic_ns()
    with pytest.raises(RuntimeError, match=r"nothing to tick before start\(\)"):
        ticker.advance(5)
    assert ticker.clock.monotonic_ns() == before


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_a_step_that_is_negative_or_no_number_is_refused(seconds):
    ticker, member = started()
    with pytest.raises(ValueError, match=r"^ManualTicker\.advance\(\) takes a .*number"):
        ticker.advance(seconds)
    assert member.times == []


def test_a_member_that_raises_is_logged_and_the_others_are_ticked(caplog):
    ticker, member = started()

    def fail() -> None:
        raise OSError("no")

    ticker.add(Member(ticker.clock, fail))
    ticker.advance(10)
    assert member.times == [5.0, 10.0]
    assert [record.message.split(" failed")[1][:8] for record in caplog.records] == [" to tick"]


def test_a_tick_that_is_interrupted_is_over_and_the_next_one_comes_on_time():
    def interrupt() -> None:
        if len(member.times) == 1:
            raise KeyboardInterrupt

    ticker, member = started(action=interrupt)
    with pytest.raises(KeyboardInterrupt):
        ticker.advance(60)
    assert ticker.clock.monotonic() == 5.0
    ticker.advance(0)
    assert member.times == [5.0]
    ticker.advance(5)
    assert member.times == [5.0, 10.0]


def test_with_nothing_to_tick_any_time_passes_at_once():
    ticker, member = started(1e-9)
    ticker.discard(member)
    ticker.advance(1e12)
    assert ticker.clock.monotonic() == 1e12
    ticker.add(member)
    ticker.advance(2e-9)
    assert len(member.times) == 2


@pytest.mark.parametrize("method", ["tick", "advance"])
def test_a_tick_cannot_be_begun_from_a_tick(method, caplog):
    arguments = (5,) if method == "advance" else ()
    errors = []

    def again() -> None:
        with pytest.raises(RuntimeError) as caught:
            getattr(ticker, method)(*arguments)
        errors.append(str(caught.value))

    ticker, member = started(action=again)
    ticker.advance(5)
    ticker.tick()
    assert errors == [f"ManualTicker.{method}() was called from inside a tick"] * 2
    assert member.times == [5.0, 5.0]


def test_it_is_ticked_by_hand_at_any_time():
    ticker, member = started()
    ticker.stop()
    ticker.tick()
    assert member.times == [0.0]


def test_it_has_no_thread():
    before = threading.active_count()
    ticker, _ = started()
    ticker.advance(60)
    assert threading.active_count() == before
    ticker.stop()


@pytest.mark.parametrize("interval", [0, -1, float("nan")])
def test_an_interval_that_is_none_is_refused(interval):
    with pytest.raises(ValueError, match=r"^ManualTicker\(interval\) takes .* got "):
        ManualTicker(interval)


def test_what_cannot_be_ticked_is_refused():
    with pytest.raises(TypeError, match=r"takes an object with a tick\(\) method, got 3"):
        ManualTicker().add(3)
