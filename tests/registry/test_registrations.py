"""Registrations of one owner: all of its instruments are registered, or none."""

import logging
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import Counter, DuplicateMetricError, Meter, Registry, Ticker
from metrics.registry._inner import Registrations, store_of
from metrics.testing import ManualClock
from tests.registry.makers import ALL, make


@pytest.mark.parametrize("shortcut", ALL)
def test_a_shortcut_always_creates_a_new_instrument(shortcut: str):
    registry = Registry("app")
    own = Registrations(registry)
    made = make(own, shortcut)
    assert registry.get("x") is made
    with pytest.raises(DuplicateMetricError, match=r"^name 'app/x' is already registered, as an? "):
        make(own, shortcut)
    own.close()
    assert len(registry) == 0


@pytest.mark.parametrize("shortcut", ALL)
def test_a_registry_finds_a_registered_instrument(shortcut: str):
    registry = Registry()
    made = make(Registrations(registry), shortcut)
    assert make(registry, shortcut) is made


def test_close_unregisters_its_own_instruments_once():
    registry = Registry()
    own = Registrations(registry)
    own.counter("a")
    own.meters("b", ("x",))
    other = registry.counter("c")
    assert own.active
    own.close()
    assert not own.active
    assert dict(registry) == {"c": other}
    successor = registry.counter("a")
    own.close()
    assert registry.get("a") is successor


def test_close_spares_a_successor_of_the_same_name():
    registry = Registry()
    own = Registrations(registry)
    own.counter("a")
    registry.unregister("a")
    successor = registry.gauge("a")
    own.close()
    assert registry.get("a") is successor


def test_an_error_in_the_block_unregisters_all_and_success_keeps_all():
    registry = Registry()
    registry.counter("b")
    own = Registrations(registry)

    def create():
        with own:
            own.counter("a")
            own.counter("b")

    with pytest.raises(DuplicateMetricError):
        create()
    assert registry.names() == ("b",)
    assert not own.active
    with Registrations(registry) as kept:
        kept.counter("a")
    assert registry.names() == ("a", "b")
    assert kept.active


@given(st.lists(st.sampled_from("abcde"), max_size=8), st.sets(st.sampled_from("abcde")))
def test_all_instruments_or_none_are_registered(wanted, taken):
    registry = Registry()
    for name in taken:
        registry.gauge(name)
    before = dict(registry)
    own = Registrations(registry)
    try:
        with own:
            for name in wanted:
                own.counter(name)
    except DuplicateMetricError:
        assert dict(registry) == before
    else:
        assert len(set(wanted)) == len(wanted)
        assert set(registry.names()) == taken | set(wanted)
        own.close()
    assert dict(registry) == before


def test_clock_and_ticker_of_an_owner_replace_those_of_the_registry():
    clock, ticker, theirs = ManualClock(), Ticker(2.0), Ticker()
    registry = Registry(ticker=theirs)
    own = Registrations(registry, ticker=ticker, clock=clock)
    meter = own.meter("m")
    timer = own.timers("t", ("a",), sampled=True).labels("x")
    meter.mark(10)
    with timer.time():
        clock.advance(2.0)
    ticker.tick()
    theirs.tick()
    assert (meter.snapshot().rate1, meter.snapshot().rate_mean) == (5.0, 5.0)
    assert timer.snapshot().sum == 2.0
    assert (len(ticker), len(theirs)) == (2, 0)
    own.close()
    assert len(ticker) == 0


def test_the_ticker_of_one_instrument_replaces_that_of_the_owner():
    tickers = registrys, owners, instruments = Ticker(), Ticker(), Ticker(2.0)
    own = Registrations(Registry(ticker=registrys), ticker=owners)
    meter = own.meter("a", ticker=instruments)
    own.register("b", Meter(), ticker=instruments)
    own.register("c", Meter())
    assert [len(ticker) for ticker in tickers] == [0, 1, 2]
    meter.mark(10)
    instruments.tick()
    assert meter.snapshot().rate1 == 5.0


def test_the_registrys_clock_and_ticker_are_the_defaults():
    clock, ticker = ManualClock(), Ticker(2.0)
    own = Registrations(Registry(ticker=ticker, clock=clock))
    meter = own.meter("m")
    meter.mark(10)
    clock.advance(2.0)
    ticker.tick()
    clock.advance(3.0)
    assert (meter.snapshot().rate1, meter.snapshot().rate_mean) == (5.0, 2.0)


def test_registrations_of_a_disabled_registry_register_nothing(caplog):
    registry = Registry(enabled=False)
    own = Registrations(registry)
    counter = own.counter("a")
    own.meter("m")
    counter.inc()
    assert counter.count == 0
    assert not own.active
    own.close()
    assert len(registry) == 0
    assert caplog.records == []


def test_threads_that_close_at_once_unregister_everything():
    registry = Registry()
    own = Registrations(registry)
    for number in range(100):
        own.counter(f"c{number}")
    barrier = threading.Barrier(4)

    def close():
        barrier.wait(10)
        own.close()

    threads = [threading.Thread(target=close, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(registry) == 0


def test_an_unreadable_gauge_is_unregistered_and_does_not_keep_the_others(caplog):
    registry = Registry()
    own = Registrations(registry)
    own.counter("a")
    own.gauge("b", lambda: 1 / 0)
    own.counter("c")
    with store_of(registry).follow("db"):
        own.close()
    assert len(registry) == 0
    assert "'b' cannot be read" in caplog.text


def test_an_instrument_without_a_ticker_is_logged_once_for_a_registry(caplog):
    registry = Registry("app")
    Registrations(registry).counter("c")
    Registrations(registry).register("d", Counter())
    Registrations(registry).meter("own", ticker=Ticker())
    Registrations(registry, ticker=Ticker()).meter("owners")
    assert caplog.records == []
    Registrations(registry).meter("a")
    Registrations(registry).timers("b", ("x",))
    Registrations(registry.child("c")).meter("d")
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("metrics.registry", logging.WARNING)
    assert record.getMessage() == (
        "'app/a' has to be ticked, and its registry has no ticker: its rates and samples stand "
        "still; give the registry a ticker, or the hook `ticker=`"
    )
    Registrations(Registry()).meters("other", ("x",))
    assert len(caplog.records) == 2
    assert "'other' has to be ticked" in caplog.text
