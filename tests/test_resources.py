"""Every hook registers on entering and takes back what it did on leaving."""

import pytest

from metrics import (
    BucketHistogramSnapshot,
    Counter,
    DuplicateMetricError,
    Family,
    Histogram,
    HistogramSnapshot,
    Meter,
    Registry,
    ResettingTimer,
    Ticker,
    Timer,
    resources,
)
from metrics.registry._inner import store_of
from metrics.testing import ManualClock, ManualTicker

PLAIN = {
    "counter": "Counter",
    "float_counter": "FloatCounter",
    "updown_counter": "UpDownCounter",
    "gauge": "Gauge",
    "int_gauge": "IntGauge",
    "info": "Info",
    "bucket_histogram": "BucketHistogram",
    "resetting_timer": "ResettingTimer",
}
TICKED = {"meter": "Meter", "histogram": "Histogram", "timer": "Timer"}


@pytest.mark.parametrize(("hook", "kind"), PLAIN.items())
def test_an_instrument_is_registered_and_unregistered(hook, kind):
    registry = Registry("app")
    with getattr(resources, hook)(registry, "x", description="what it is") as instrument:
        assert type(instrument).__name__ == kind
        assert registry.get("x") is instrument
        assert store_of(registry).entries()[0].description == "what it is"
    assert len(registry) == 0


@pytest.mark.parametrize(("hook", "kind"), TICKED.items())
def test_what_needs_a_ticker_is_added_and_discarded(hook, kind):
    registry, ticker = Registry(), Ticker(interval=2.0)
    with getattr(resources, hook)(registry, ticker, "x") as instrument:
        assert type(instrument).__name__ == kind
        assert len(ticker) == 1
    assert len(ticker) == 0
    assert len(registry) == 0


def test_a_meter_has_the_interval_of_its_ticker():
    registry, ticker = Registry(), Ticker(interval=2.0)
    with resources.meter(registry, ticker, "x") as meter:
        meter.mark(4)
        ticker.tick()
        assert meter.snapshot().rate1 == 2.0


def test_a_healthcheck_is_registered():
    registry = Registry()
    with resources.healthcheck(registry, "db", lambda: False):
        assert "returned False" in str(registry.run_healthchecks()["db"])
    assert registry.run_healthchecks() == {}


def test_a_family_of_meters_is_ticked_and_one_of_counters_is_not():
    registry, ticker = Registry(), Ticker()
    with (
        resources.family(registry, ticker, "hits", Counter, ("method",)) as hits,
        resources.family(registry, ticker, "rates", Meter, ("method",), max_children=1) as rates,
    ):
        assert isinstance(hits, Family)
        assert len(ticker) == 1
        rates.labels("GET").mark(5)
        ticker.tick()
        assert rates.labels("GET").snapshot().rate1 == 1.0
    assert (len(ticker), len(registry)) == (0, 0)


@pytest.mark.parametrize("hook", ["meter", "timer"])
def test_what_measures_time_goes_by_the_registrys_clock(hook):
    clock = ManualClock()
    registry, ticker = Registry(clock=clock), ManualTicker(clock=clock)
    with ticker, getattr(resources, hook)(registry, ticker, "x") as instrument:
        if hook == "meter":
            instrument.mark(60)
            ticker.advance(60)
            assert instrument.snapshot().rate_mean == 1.0
        else:
            with instrument.time():
                ticker.advance(60)
            assert instrument.snapshot().sum == 60.0
            assert instrument.snapshot().rates.rate_mean == pytest.approx(1 / 60)


@pytest.mark.parametrize("hook", ["meter", "timer"])
def test_what_measures_time_goes_by_a_clock_of_its_own_if_it_is_given_one(hook):
    clock, ticker = ManualClock(), ManualTicker()
    with getattr(resources, hook)(Registry(), ticker, "x", clock=clock) as instrument:
        getattr(instrument, "mark" if hook == "meter" else "update")(4)
        clock.advance(2)
        snapshot = instrument.snapshot()
        assert getattr(snapshot, "rates", snapshot).rate_mean == (2.0 if hook == "meter" else 0.5)


def test_a_resetting_timer_goes_by_the_registrys_clock():
    clock = ManualClock()
    with resources.resetting_timer(Registry(clock=clock), "x") as timer:
        with timer.time():
            clock.advance(3)
        assert timer.snapshot().values == (3.0,)


@pytest.mark.parametrize("kind", [Meter, Timer, ResettingTimer])
def test_children_of_a_family_go_by_the_registrys_clock_and_the_tickers_interval(kind):
    clock = ManualClock()
    registry, ticker = Registry(clock=clock), ManualTicker(2.0, clock=clock)
    with ticker, resources.family(registry, ticker, "f", kind, ("x",)) as family:
        child = family.labels("a")
        if kind is Meter:
            child.mark()
        else:
            with child.time():
                clock.advance(1)
            assert child.snapshot().sum == 1.0
        ticker.advance(2)
        if kind is not ResettingTimer:
            rates = getattr(child.snapshot(), "rates", child.snapshot())
            assert rates.rate1 == 0.5


def test_timers_of_a_family_count_in_buckets_unless_it_is_given_a_factory():
    registry, ticker = Registry(), Ticker()
    with (
        resources.family(registry, ticker, "a", Timer, ("x",)) as buckets,
        resources.family(registry, ticker, "b", Timer, ("x",), Timer) as sampled,
        resources.family(registry, ticker, "c", Histogram, ("x",)) as histograms,
    ):
        assert isinstance(buckets.labels(1).snapshot().durations, BucketHistogramSnapshot)
        assert isinstance(sampled.labels(1).snapshot().durations, HistogramSnapshot)
        assert isinstance(histograms.labels(1), Histogram)


def test_a_taken_name_is_an_error_and_the_first_stays():
    registry = Registry()
    first = registry.counter("x")
    with pytest.raises(DuplicateMetricError), resources.gauge(registry, "x"):
        pass
    assert registry.get("x") is first


def test_leaving_does_not_unregister_what_took_the_name_meanwhile():
    registry = Registry()
    with resources.counter(registry, "x"):
        registry.unregister("x")
        other = registry.gauge("x")
    assert registry.get("x") is other


def test_leaving_after_an_exception_cleans_up_too():
    registry, ticker = Registry(), Ticker()
    with pytest.raises(KeyError), resources.meter(registry, ticker, "x"):
        raise KeyError
    assert (len(ticker), len(registry)) == (0, 0)


def test_the_registry_is_emptied_in_the_end():
    with resources.registry("app") as registry:
        counter = registry.counter("x")
        assert registry.names() == ("app/x",)
    assert len(registry) == 0
    counter.inc()


def test_the_ticker_is_stopped_in_the_end():
    with resources.ticker(0.5) as ticker:
        assert ticker.running
        assert ticker.interval == 0.5
    assert not ticker.running


def test_a_disabled_ticker_never_starts():
    with resources.ticker(enabled=False) as ticker:
        ticker.add(Meter())
        assert not ticker.running


@pytest.mark.parametrize("collector", ["host", "process", "runtime"])
def test_a_collector_registers_ticks_and_leaves_nothing(collector):
    registry, ticker = Registry(), Ticker()
    with getattr(resources, collector)(registry, ticker):
        assert len(registry) > 3
        ticker.tick()
    assert (len(ticker), len(registry)) == (0, 0)


def test_a_collector_is_ticked_before_the_meters_it_feeds(monkeypatch):
    registry, ticker = Registry(), Ticker()
    with resources.host(registry, ticker) as collector:
        reads = registry.get("system/disk/readdata")
        monkeypatch.setattr(type(collector), "tick", lambda _: reads.mark(50))
        ticker.tick()
        assert reads.snapshot().rate1 == 10.0


@pytest.mark.parametrize("collector", ["host", "process", "runtime"])
def test_a_collector_of_a_disabled_registry_is_not_ticked(collector):
    registry, ticker = Registry(enabled=False), Ticker()
    with getattr(resources, collector)(registry, ticker):
        assert (len(ticker), len(registry)) == (0, 0)
