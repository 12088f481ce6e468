"""A manual ticker does for its users what a ticker does: it is stopped, checked and handed on."""

import copy
import threading

import pytest

from metrics import Healthcheck, Registry, StopTimeoutError, resources
from metrics.testing import ManualTicker
from tests.testing.ticking import started


def test_stop_waits_for_a_tick_of_another_thread_and_no_longer_than_it_may():
    inside, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        inside.set()
        go_on.wait(30)

    ticker, member = started(action=wait)
    worker = threading.Thread(target=ticker.advance, args=(60,))
    worker.start()
    assert inside.wait(30)
    with pytest.raises(StopTimeoutError, match=r"is still ticking after 0\.0 s$"):
        ticker.stop(0.0)
    go_on.set()
    ticker.stop()
    worker.join(30)
    assert member.times == [5.0]


def test_a_check_fails_when_the_clock_runs_away_and_is_well_after_the_next_tick():
    ticker, _ = started()
    check = Healthcheck(ticker.check)
    ticker.advance(100)
    assert check.check()
    ticker.clock.advance(16)
    assert check.check()
    ticker.clock.advance(0.1)
    assert not check.check()
    assert str(check.error) == "no tick for 16.1 s, though one is due every 5.0 s"
    ticker.advance(0)
    assert check.check()


def test_what_does_not_run_or_has_nothing_to_tick_is_well():
    ticker, member = started()
    ticker.discard(member)
    ticker.clock.advance(100)
    ticker.check()
    ticker.add(member)
    ticker.check()
    ticker.stop()
    ticker.clock.advance(100)
    ticker.check()


def test_it_stands_in_for_a_ticker_wherever_one_is_given():
    with ManualTicker(2.0) as ticker:
        registry = Registry(ticker=ticker, clock=ticker.clock)
        with (
            resources.meter(registry, "a") as meter,
            resources.timer(registry, "b") as timer,
            resources.meters(registry, "c", ("method",)) as family,
            resources.runtime(registry),
        ):
            family.labels("GET").mark(4)
            meter.mark(8)
            timer.update(0.5)
            ticker.advance(2)
            assert meter.snapshot().rate1 == pytest.approx(4.0)
            assert timer.snapshot().rates.rate1 == pytest.approx(0.5)
            assert family.labels("GET").snapshot().rate1 > 0
        assert len(ticker) == 0


def test_a_copy_is_the_ticker_itself_and_an_empty_one_is_true():
    ticker = ManualTicker(2)
    assert copy.deepcopy(ticker) is ticker
    assert ticker
    assert ticker.interval == 2.0
    assert repr(ticker) == "<ManualTicker every 2.0 s, stopped, 0 members>"
    with ticker as entered:
        assert entered is ticker
        assert repr(ticker) == "<ManualTicker every 2.0 s, running, 0 members>"
    assert not ticker.running
