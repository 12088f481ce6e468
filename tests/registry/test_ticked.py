"""The ticker of a registry ticks its instruments as long as they are registered."""

import threading

import pytest

from metrics import Counter, DuplicateMetricError, Histogram, Meter, Registry, Ticker, Timer
from metrics.testing import ManualTicker
from metrics.ticker import THREAD_NAME
from tests.registry.makers import ALL, SINGULAR, make

TICKING = [name for name, kind in ALL.items() if hasattr(kind, "tick")]


@pytest.mark.parametrize("shortcut", ALL)
def test_the_ticker_gets_the_instruments_that_tick_and_no_others(shortcut: str):
    ticker = Ticker()
    registry = Registry(ticker=ticker).child("c")
    make(registry, shortcut)
    make(registry, shortcut)
    assert len(ticker) == (shortcut in TICKING)
    assert registry.unregister("x")
    assert len(ticker) == 0


def test_kinds_that_average_or_age_tick_and_kinds_that_only_count_do_not():
    assert {SINGULAR[name] for name in TICKING if name in SINGULAR} == {Meter, Histogram, Timer}


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


def test_an_instrument_with_two_names_is_ticked_until_both_are_unregistered():
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
    registry.bucket_histogram("a", (1.0,))
    registry.bucket_histograms("b", labels=("c",), unit="bytes")
    assert len(ticker) == 0


def test_an_instrument_that_the_ticker_refuses_is_not_registered():
    class Odd:
        tick = 5

        def snapshot(self, reader=""):
            raise AssertionError

    ticker = Ticker()
    registry = Registry(ticker=ticker)
    with pytest.raises(TypeError, match=r"an object with a tick\(\) method"):
        registry.register("x", Odd())
    assert (len(registry), len(ticker)) == (0, 0)
    registry.counter("x")


class Falsy:
    """Ticker of a program, which has a length and is false when it is empty."""

    interval = 2.0

    def __init__(self):
        self.members = []

    def __len__(self):
        return len(self.members)

    def add(self, member):
        self.members.append(member)

    def discard(self, member):
        self.members.remove(member)

    def tick(self):
        for member in self.members:
            member.tick()


@pytest.mark.parametrize("own", [Ticker, ManualTicker, Falsy])
@pytest.mark.parametrize("shortcut", TICKING)
def test_a_ticker_of_its_own_replaces_that_of_the_registry(own, shortcut: str):
    ticker, mine = Ticker(), own()
    registry = Registry(ticker=ticker)
    make(registry, shortcut, ticker=mine)
    assert (len(ticker), len(mine)) == (0, 1)
    assert registry.unregister("x")
    assert (len(ticker), len(mine)) == (0, 0)


@pytest.mark.parametrize("enabled", [True, False])
def test_register_and_get_or_register_take_a_ticker(enabled: bool):
    ticker, own = Ticker(), Ticker()
    registry = Registry(ticker=ticker, enabled=enabled)
    registry.register("a", Meter(), ticker=own)
    registry.get_or_register("b", Meter, ticker=own)
    registry.register("c", Counter(), ticker=own)
    assert (len(ticker), len(own)) == (0, 2 * enabled)
    registry.clear()
    assert len(own) == 0


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("labelled", [False, True])
def test_two_tickers_tick_an_instrument_once(order: int, labelled: bool):
    # Ticked by both, the rate is 18.4: the second tick has no events.
    ticker, own = Ticker(), Ticker()
    registry = Registry(ticker=ticker)
    if labelled:
        meter = registry.meters("m", ("a",), ticker=own).labels("x")
    else:
        meter = registry.meter("m", ticker=own)
    meter.mark(100)
    for each in (ticker, own)[::order]:
        each.tick()
    assert meter.snapshot().rate1 == 20.0


@pytest.mark.parametrize("own", [Ticker, Falsy])
@pytest.mark.parametrize("labelled", [False, True])
def test_an_instrument_has_the_interval_of_the_ticker_that_ticks_it(own, labelled: bool):
    mine = own(2.0) if own is Ticker else own()
    registry = Registry(ticker=Ticker(5.0))
    if labelled:
        meter = registry.meters("m", ("a",), ticker=mine).labels("x")
    else:
        meter = registry.meter("m", ticker=mine)
    meter.mark(10)
    mine.tick()
    assert meter.snapshot().rate1 == 5.0


@pytest.mark.parametrize("first", ["a", "b"])
def test_every_ticker_of_an_instrument_with_two_names_ticks_as_long_as_its_name(first: str):
    tickers = {"a": Ticker(), "b": Ticker()}
    registry, meter = Registry(), Meter()
    for name, ticker in tickers.items():
        registry.register(name, meter, ticker=ticker)
    registry.unregister(first)
    assert {name: len(ticker) for name, ticker in tickers.items()} == {
        name: name != first for name in tickers
    }
    registry.clear()
    assert [len(ticker) for ticker in tickers.values()] == [0, 0]


def test_a_registry_and_its_children_know_their_ticker():
    ticker = Ticker()
    assert Registry().ticker is None
    registry = Registry(ticker=ticker)
    assert registry.ticker is ticker
    assert registry.child("c").ticker is ticker
