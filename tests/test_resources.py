"""Every hook registers on entering, and unregisters on leaving."""

import inspect
import logging
from contextlib import AbstractContextManager

import pytest

from metrics import (
    BucketHistogram,
    Counter,
    DuplicateMetricError,
    Family,
    GaugeSnapshot,
    Histogram,
    HistogramSnapshot,
    Meter,
    Registry,
    ResettingTimer,
    Ticker,
    Timer,
    resources,
)
from metrics.lifecycle import MetricsContainer, Resource, running
from metrics.registry._inner import Shortcuts, is_closed, store_of
from metrics.resources._shortcut_hooks import TICKED
from metrics.testing import ManualClock, ManualTicker
from tests.registry.makers import ALL, PLURAL, SINGULAR

COLLECTORS = ["host", "process", "runtime"]
FOUNDATION = ["registry", "ticker"]
TICKING = [name for name, kind in ALL.items() if hasattr(kind, "tick")]
HOOKS = [*ALL, "family", "registered", "ticked", *COLLECTORS]


def enter(hook, registry, name="x", **options):
    """Return the context manager of a hook, with the arguments that it requires."""
    if hook in PLURAL:
        options = {"labels": ("a",), **options}
    if hook in {"bucket_histogram", "bucket_histograms"}:
        options = {"bounds": (1.0,), **options}
    elif hook in {"state_set", "state_sets"}:
        options = {"states": ("on", "off"), **options}
    elif hook == "healthcheck":
        options = {"function": bool, **options}
    return getattr(resources, hook)(registry=registry, name=name, **options)


def test_these_are_the_hooks():
    public = {
        name
        for name, member in vars(resources).items()
        if inspect.isfunction(member) and name[0] != "_"
    }
    assert public == {*HOOKS, *FOUNDATION}


@pytest.mark.parametrize("hook", [*HOOKS, *FOUNDATION])
def test_a_hook_has_the_name_by_which_it_is_found(hook):
    function = getattr(resources, hook)
    assert function.__name__ == function.__qualname__ == hook
    assert function.__module__.startswith("metrics.resources")
    assert function.__doc__


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_takes_the_registry_first(hook):
    first, *_ = inspect.signature(getattr(resources, hook)).parameters.values()
    assert (first.name, first.annotation) == ("registry", Registry)
    assert first.kind is first.POSITIONAL_OR_KEYWORD


@pytest.mark.parametrize("hook", [*ALL, "family"])
def test_a_hook_has_arguments_text_and_result_of_its_shortcut(hook):
    function, shortcut = getattr(resources, hook), getattr(Shortcuts, hook)
    expected, found = inspect.signature(shortcut), inspect.signature(function)
    own = [each for each in expected.parameters.values() if each.name != "options"]
    assert [*found.parameters.values()][1 : len(own)] == own[1:]
    assert found.return_annotation == AbstractContextManager[expected.return_annotation]
    assert function.__doc__ == shortcut.__doc__
    assert function.__annotations__["return"] == found.return_annotation


@pytest.mark.parametrize("hook", HOOKS)
def test_hooks_take_neither_a_ticker_by_position_nor_a_clock_of_an_instrument(hook):
    parameters = inspect.signature(getattr(resources, hook)).parameters
    if "ticker" in parameters:
        assert parameters["ticker"].kind is inspect.Parameter.KEYWORD_ONLY
    assert ("clock" in parameters) is (hook in COLLECTORS)


@pytest.mark.parametrize("hook", HOOKS)
def test_hooks_that_always_tick_are_marked(hook):
    marked = getattr(getattr(resources, hook), TICKED, False)
    assert marked is (hook in {*TICKING, *COLLECTORS, "ticked"})


@pytest.mark.parametrize("hook", ALL)
def test_an_instrument_is_registered_and_unregistered(hook):
    registry = Registry("app", ticker=Ticker())
    with enter(hook, registry, description="Rows.") as instrument:
        assert type(instrument) is (Family if hook in PLURAL else SINGULAR[hook])
        assert registry.get("x") is instrument
        assert store_of(registry).entries()[0].description == "Rows."
    assert len(registry) == 0


@pytest.mark.parametrize("hook", ALL)
def test_registry_and_name_are_accepted_by_keyword(hook):
    registry = Registry(ticker=Ticker())
    with enter(hook, registry=registry, name="x") as instrument:
        assert registry.get("x") is instrument
    assert len(registry) == 0


@pytest.mark.parametrize("hook", ALL)
def test_a_hook_can_be_entered_again_after_it_was_left(hook):
    registry = Registry(ticker=Ticker())
    with enter(hook, registry) as first:
        pass
    with enter(hook, registry) as second:
        assert second is not first
    assert len(registry) == 0


@pytest.mark.parametrize("hook", ALL)
def test_a_disabled_registry_stays_empty(hook, caplog):
    registry = Registry(enabled=False)
    with enter(hook, registry) as instrument:
        assert isinstance(instrument, Family if hook in PLURAL else SINGULAR[hook])
        assert len(registry) == 0
    assert caplog.records == []


@pytest.mark.parametrize("hook", TICKING)
def test_the_registrys_ticker_ticks_until_the_hook_is_left(hook):
    ticker = Ticker()
    with enter(hook, Registry(ticker=ticker)):
        assert len(ticker) == 1
    assert len(ticker) == 0


@pytest.mark.parametrize("hook", TICKING)
def test_a_ticker_by_keyword_ticks_instead_of_the_registrys(hook):
    ticker, own = Ticker(), Ticker()
    with enter(hook, Registry(ticker=ticker), ticker=own):
        assert (len(ticker), len(own)) == (0, 1)
    assert (len(ticker), len(own)) == (0, 0)


@pytest.mark.parametrize("order", [1, -1])
def test_two_tickers_tick_a_meter_once(order):
    # Ticked by both, the rate is 18.4.
    ticker, own = Ticker(), Ticker()
    with resources.meter(Registry(ticker=ticker), "x", ticker=own) as meter:
        meter.mark(100)
        for each in (ticker, own)[::order]:
            each.tick()
        assert meter.snapshot().rate1 == 20.0


@pytest.mark.parametrize("hook", [name for name in ALL if name not in TICKING])
def test_other_instruments_are_not_ticked(hook):
    ticker = Ticker()
    with enter(hook, Registry(ticker=ticker)):
        assert len(ticker) == 0


def test_a_meter_has_the_interval_of_the_ticker_that_ticks_it():
    slow, fast = Ticker(interval=5.0), Ticker(interval=2.0)
    registry = Registry(ticker=slow)
    with (
        resources.meter(registry, "a") as one,
        resources.meter(registry, "b", ticker=fast) as other,
    ):
        for meter, ticker in ((one, slow), (other, fast)):
            meter.mark(20)
            ticker.tick()
        assert (one.snapshot().rate1, other.snapshot().rate1) == (4.0, 10.0)


@pytest.mark.parametrize("hook", [*TICKING, *COLLECTORS, "family", "registered", "ticked"])
def test_one_warning_for_each_registry_without_a_ticker(hook, caplog):
    registry = Registry("app")

    def hooks(registry):
        if hook in COLLECTORS:
            return getattr(resources, hook)(registry)
        if hook == "family":
            return resources.family(registry, "x", Meter, ("a",))
        if hook == "registered":
            return resources.registered(registry, "x", Meter())
        if hook == "ticked":
            return resources.ticked(registry, Collector())
        return enter(hook, registry)

    for _ in range(2):
        with hooks(registry), resources.timers(registry, "other", ("a",)):
            pass
    with hooks(Registry()):
        pass
    assert [(record.name, record.levelno) for record in caplog.records] == [
        ("metrics.registry", logging.WARNING)
    ] * 2
    assert caplog.records[0].getMessage().startswith("'app/")
    assert "has to be ticked, and its registry has no ticker" in caplog.text


def test_no_warning_with_a_ticker_or_without_need_of_one(caplog):
    bare, ticker = Registry(), Ticker()
    with (
        resources.meter(Registry(ticker=ticker), "a"),
        resources.meter(bare, "a", ticker=ticker),
        resources.timers(bare, "b", ("a",), ticker=ticker),
        resources.counter(bare, "c"),
        resources.family(bare, "d", Counter, ("a",)),
        resources.resetting_timer(bare, "e"),
        resources.host(bare.child("h"), ticker=ticker),
        resources.ticked(bare, Collector(), ticker=ticker),
        resources.ticked(Registry(enabled=False), Collector()),
    ):
        pass
    assert caplog.records == []


def test_a_healthcheck_is_registered():
    registry = Registry()
    with resources.healthcheck(registry, "db", lambda: False):
        assert "returned False" in str(registry.run_healthchecks()["db"])
    assert registry.run_healthchecks() == {}


def test_a_family_of_meters_is_ticked_and_one_of_counters_is_not():
    ticker = Ticker()
    registry = Registry(ticker=ticker)
    with (
        resources.family(registry, "hits", Counter, ("method",)) as hits,
        resources.family(registry, "rates", Meter, ("method",), max_children=1) as rates,
    ):
        assert isinstance(hits, Family)
        assert len(ticker) == 1
        rates.labels("GET").mark(5)
        ticker.tick()
        assert rates.labels("GET").snapshot().rate1 == 1.0
    assert (len(ticker), len(registry)) == (0, 0)


@pytest.mark.parametrize("hook", ["meter", "timer"])
def test_an_instrument_goes_by_the_registrys_clock(hook):
    clock = ManualClock()
    ticker = ManualTicker(clock=clock)
    with ticker, enter(hook, Registry(ticker=ticker, clock=clock)) as instrument:
        if hook == "meter":
            instrument.mark(60)
            ticker.advance(60)
            assert instrument.snapshot().rate_mean == 1.0
        else:
            with instrument.time():
                ticker.advance(60)
            assert instrument.snapshot().sum == 60.0
            assert instrument.snapshot().rates.rate_mean == pytest.approx(1 / 60)


def test_a_resetting_timer_goes_by_the_registrys_clock():
    clock = ManualClock()
    with resources.resetting_timer(Registry(clock=clock), "x") as timer:
        with timer.time():
            clock.advance(3)
        assert timer.snapshot().values == (3.0,)


@pytest.mark.parametrize("kind", [Meter, Timer, ResettingTimer])
def test_children_of_a_family_go_by_the_registrys_clock_and_the_tickers_interval(kind):
    clock = ManualClock()
    ticker = ManualTicker(2.0, clock=clock)
    registry = Registry(ticker=ticker, clock=clock)
    with ticker, resources.family(registry, "f", kind, ("x",)) as family:
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


def test_options_of_shortcuts_are_those_of_hooks():
    registry = Registry(ticker=Ticker())
    with (
        resources.timer(registry, "a", bounds=(1.0,)) as bounds,
        resources.timer(registry, "b", sampled=True) as sampled,
        resources.timers(registry, "c", ("x",), Histogram) as factory,
        resources.family(registry, "d", Timer, ("x",), Timer) as family,
        resources.gauge(registry, "e", lambda: 2.5) as gauge,
        resources.bucket_histograms(registry, "f", ("x",), (1.0,), max_children=1) as buckets,
    ):
        assert bounds.snapshot().durations.bounds == (1.0,)
        for timer in (sampled, factory.labels(1)):
            assert isinstance(timer.snapshot().durations, HistogramSnapshot)
        assert type(family.labels(1)) is Timer
        assert gauge.value == 2.5
        assert isinstance(buckets.labels(1), BucketHistogram)
        assert buckets.labels(2) is buckets.labels(3)
    assert len(registry) == 0


@pytest.mark.parametrize(
    ("hook", "options", "error"),
    [
        ("timer", {"bounds": (1.0,), "sampled": True}, ValueError),
        ("bucket_histogram", {"bounds": (2.0, 1.0)}, ValueError),
        ("counters", {"labels": ("le",)}, ValueError),
        ("bucket_histogram", {"bounds": None, "unit": "percent"}, ValueError),
        ("counters", {"max_children": 0}, ValueError),
        ("counter", {"labels": ("a",)}, TypeError),
        ("meter", {"clock": ManualClock()}, TypeError),
    ],
)
def test_a_wrong_option_is_an_error_and_leaves_nothing_registered(hook, options, error):
    ticker = Ticker()
    registry = Registry(ticker=ticker)
    with pytest.raises(error), enter(hook, registry, **options):
        pass
    assert (len(registry), len(ticker)) == (0, 0)


@pytest.mark.parametrize("hook", ALL)
def test_a_taken_name_is_an_error_and_the_first_stays(hook):
    ticker = Ticker()
    registry = Registry(ticker=ticker)
    first = registry.meter("x")
    with pytest.raises(DuplicateMetricError), enter(hook, registry):
        pass
    assert registry.get("x") is first
    assert len(ticker) == 1


def test_leaving_does_not_unregister_a_successor_of_the_name():
    registry = Registry()
    with resources.counter(registry, "x"):
        registry.unregister("x")
        other = registry.gauge("x")
    assert registry.get("x") is other


def test_leaving_after_an_exception_unregisters_too():
    ticker = Ticker()
    registry = Registry(ticker=ticker)
    with pytest.raises(KeyError), resources.meter(registry, "x"):
        raise KeyError
    assert (len(ticker), len(registry)) == (0, 0)


def test_an_instrument_of_the_program_is_registered_and_ticked():
    class Depth:
        ticks = 0

        def tick(self):
            self.ticks += 1

        def snapshot(self, reader=""):
            return GaugeSnapshot(self.ticks)

    ticker = Ticker()
    registry = Registry(ticker=ticker)
    depth = Depth()
    with resources.registered(registry, "depth", depth, description="Rows.", unit="rows") as own:
        assert own is depth
        assert store_of(registry).entries()[0].unit == "rows"
        ticker.tick()
        assert registry.snapshot()["depth"] == GaugeSnapshot(1)
    with resources.registered(registry, "depth", depth, ticker=Ticker()) as own:
        assert len(ticker) == 0
    with (
        pytest.raises(TypeError, match="it is a snapshot"),
        resources.registered(registry, "depth", GaugeSnapshot(1.0)),
    ):
        pass
    assert len(registry) == 0


def test_a_container_declares_a_hook_without_a_ticker():
    class Container(MetricsContainer):
        requests = Resource(
            resources.meters, MetricsContainer.registry, "requests", labels=("method",)
        )

    container = Container()
    with running(container):
        registry, ticker = container.registry(), container.ticker()
        assert registry.ticker is ticker
        before = len(ticker)
        container.requests().labels("GET").mark()
        assert registry.get("requests") is container.requests()
        assert before >= 1
    assert (len(registry), len(ticker)) == (0, 0)


def test_the_registry_is_emptied_in_the_end():
    ticker, clock = Ticker(), ManualClock()
    with resources.registry("app", ticker=ticker, clock=clock) as registry:
        counter = registry.counter("x")
        registry.meter("m")
        assert registry.names() == ("app/m", "app/x")
        assert (registry.ticker, registry.clock) == (ticker, clock)
        assert len(ticker) == 1
    assert (len(registry), len(ticker)) == (0, 0)
    counter.inc()


def test_options_that_are_none_are_the_defaults():
    with resources.registry(None, enabled=None) as registry, resources.ticker(None) as ticker:
        assert (registry.prefix, registry.ticker, registry.enabled) == ("", None, True)
        assert ticker.interval == Ticker().interval


def test_the_ticker_is_stopped_in_the_end():
    with resources.ticker(0.5) as ticker:
        assert ticker.running
        assert ticker.interval == 0.5
    assert not ticker.running


def test_a_disabled_ticker_never_starts():
    with resources.ticker(enabled=False) as ticker:
        ticker.add(Meter())
        assert not ticker.running


class Collector:
    """Collector of a program: it only ticks and is closed."""

    def __init__(self):
        self.ticks = 0
        self.closed = 0

    def tick(self):
        self.ticks += 1

    def close(self):
        self.closed += 1


def test_a_collector_of_the_program_is_ticked_and_closed():
    ticker, own = Ticker(), Ticker()
    registry = Registry(ticker=ticker)
    for options, worker, idle in (({}, ticker, own), ({"ticker": own}, own, ticker)):
        collector = Collector()
        with resources.ticked(registry, collector, **options) as entered:
            assert entered is collector
            assert (len(worker), len(idle)) == (1, 0)
            worker.tick()
        worker.tick()
        assert (collector.ticks, collector.closed) == (1, 1)
        assert len(worker) == 0


def test_a_collector_that_the_ticker_refuses_is_closed():
    class Refusing(Collector):
        tick = None

    collector = Refusing()
    with pytest.raises(TypeError), resources.ticked(Registry(ticker=Ticker()), collector):
        pass
    assert collector.closed == 1


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("collector", COLLECTORS)
def test_a_collector_registers_ticks_and_leaves_nothing(collector, own):
    ticker, other = Ticker(), Ticker()
    registry = Registry(ticker=other if own else ticker)
    options = {"ticker": ticker} if own else {}
    with getattr(resources, collector)(registry, **options):
        assert len(registry) > 3
        assert len(ticker) > 0
        assert len(other) == 0
        ticker.tick()
    assert (len(ticker), len(registry)) == (0, 0)


@pytest.mark.parametrize("own", [False, True])
def test_a_collector_is_ticked_before_the_meters_it_feeds(monkeypatch, own):
    ticker = Ticker()
    registry = Registry(ticker=Ticker() if own else ticker)
    with resources.host(registry, ticker=ticker if own else None) as collector:
        reads = registry.get("system/disk/readdata")
        monkeypatch.setattr(type(collector), "tick", lambda _: reads.mark(50))
        ticker.tick()
        assert reads.snapshot().rate1 == 10.0


@pytest.mark.parametrize("collector", COLLECTORS)
def test_a_collector_has_the_clock_that_the_hook_is_given(collector):
    clock, ticker = ManualClock(), Ticker()
    with getattr(resources, collector)(Registry(ticker=ticker), clock=clock) as made:
        now = getattr(made, "_now", None) or made._clock.monotonic_ns
        assert now == clock.monotonic_ns


@pytest.mark.parametrize("collector", COLLECTORS)
def test_a_collector_of_a_disabled_registry_is_not_ticked(collector):
    ticker = Ticker()
    registry = Registry(ticker=ticker, enabled=False)
    with getattr(resources, collector)(registry):
        assert (len(ticker), len(registry)) == (0, 0)


def test_a_registry_is_closed_when_its_resource_stops():
    with resources.registry("app") as registry:
        child = registry.child("db")
        child.counter("rows")
        assert not is_closed(registry)
        registry.clear()
        assert not is_closed(registry)
    assert is_closed(registry)
    assert is_closed(child)
    assert len(registry) == 0
    with resources.registry(enabled=False) as disabled:
        assert not is_closed(disabled)
    assert is_closed(disabled)
    assert not is_closed(Registry())
