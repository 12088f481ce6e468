"""A registry with a ticker has it tick what needs it, as long as it is registered."""

import threading

import pytest

from metrics import (
    DuplicateMetricError,
    Meter,
    Registry,
    Ticker,
)
from metrics.ticker import THREAD_NAME
from tests.registry.makers import MAKERS, make


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("labels", [None, ("a",)])
def test_the_ticker_gets_what_ticks_and_only_that(maker: str, labels):
    ticker = Ticker()
    registry = Registry(ticker=ticker).child("c")
    made = make(registry, maker, labels=labels)
    make(registry, maker, labels=labels)
    kind = made.kind if labels else type(made)
    assert len(ticker) == hasattr(kind, "tick")
    assert registry.unregister("x")
    assert len(ticker) == 0


def test_what_averages_or_ages_has_a_tick_and_what_only_counts_has_none():
    ticking = {maker for maker, kind in MAKERS.items() if hasattr(kind, "tick")}
    assert ticking >= {"meter", "histogram", "timer"}
    assert not ticking & {"counter", "float_counter", "updown_counter", "gauge", "int_gauge"}


def test_register_adds_to_the_ticker_and_a_refused_one_is_not_added():
    ticker = Ticker()
    registry = Registry(ticker=ticker)
    registry.register("m", Meter())
    with pytest.raises(DuplicateMetricError):
        registry.register("m", Meter())
    assert len(ticker) == 1


def test_a_family_of_counters_starts_no_worker_and_a_family_of_meters_does():
    def workers() -> int:
        return sum(thread.name == THREAD_NAME for thread in threading.enumerate())

    with Ticker(3600.0) as ticker:
        registry = Registry(ticker=ticker)
        registry.counters("c", labels=("a",)).labels("x").inc()
        assert workers() == 0
        registry.meters("m", labels=("a",))
        assert workers() == 1
    assert workers() == 0


def test_a_tick_reaches_every_child_of_a_family():
    ticker = Ticker()
    meters = Registry(ticker=ticker).meters("m", labels=("a",))
    for value in "xy":
        meters.labels(value).mark(10)
    ticker.tick()
    assert [meters.labels(value).snapshot().rate1 for value in "xy"] == [2.0, 2.0]


def test_an_instrument_under_two_names_is_ticked_until_both_are_gone():
    ticker = Ticker()
    registry = Registry(ticker=ticker)
    meter = registry.register("a", registry.register("b", Meter()))
    registry.unregister("a")
    assert len(ticker) == 1
    registry.unregister("b")
    assert len(ticker) == 0
    meter.mark()


def test_buckets_do_not_need_a_ticker():
    ticker = Ticker()
    registry = Registry(ticker=ticker)
    registry.bucket_histogram("a")
    registry.bucket_histograms("b", labels=("c",))
    assert len(ticker) == 0


def test_what_the_ticker_refuses_is_not_registered():
    class Odd:
        tick = 5

        def snapshot(self, reader=""):
            raise AssertionError

    ticker = Ticker()
    registry = Registry(ticker=ticker)
    with pytest.raises(TypeError, match=r"something with a tick\(\) method"):
        registry.register("x", Odd())
    assert (len(registry), len(ticker)) == (0, 0)
    registry.counter("x_total")
