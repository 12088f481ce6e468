"""Options that all collectors have: the ticker and the clock, instead of those of the registry."""

import logging

import pytest

from metrics import Registry, Ticker
from metrics.collectors import HostCollector, ProcessCollector, RuntimeCollector
from metrics.registry._inner import is_ticking, store_of
from metrics.testing import ManualClock

COLLECTORS = [HostCollector, ProcessCollector, RuntimeCollector]


@pytest.fixture(params=COLLECTORS, ids=lambda collector: collector.__name__)
def collector(request):
    return request.param


def ticking(registry):
    return [e for e in store_of(registry).entries() if is_ticking(e.instrument)]


def test_the_registrys_ticker_ticks_the_instruments(collector):
    ticker = Ticker()
    registry = Registry(ticker=ticker)
    made = collector(registry)
    expected = len(ticking(registry))
    assert len(ticker) == expected
    made.close()
    assert (len(ticker), len(registry)) == (0, 0)


def test_a_ticker_of_its_own_ticks_the_instruments_instead(collector):
    ticker, own = Ticker(), Ticker()
    registry = Registry(ticker=ticker)
    made = collector(registry, ticker=own)
    assert {entry.ticker for entry in ticking(registry)} <= {own}
    assert (len(ticker), len(own)) == (0, len(ticking(registry)))
    made.close()
    assert (len(own), len(registry)) == (0, 0)


@pytest.mark.parametrize("own", [False, True])
def test_instruments_go_by_the_clock_of_the_collector(collector, own):
    clock = ManualClock()
    registry = Registry(clock=ManualClock() if own else clock)
    made = collector(registry, clock=clock if own else None)
    clock.advance(2.0)
    for entry in ticking(registry):
        (getattr(entry.instrument, "mark", None) or entry.instrument.update)(1)
        snapshot = entry.instrument.snapshot()
        assert snapshot.rates.rate_mean == pytest.approx(snapshot.total / 2.0)
    made.close()


@pytest.mark.parametrize("argument", [ManualClock(), Ticker(), 5.0])
def test_all_options_are_given_by_name(collector, argument):
    registry = Registry()
    with pytest.raises(TypeError, match="positional argument"):
        collector(registry, argument)
    assert len(registry) == 0


def test_instruments_that_nothing_ticks_are_logged_once(collector, caplog):
    registry = Registry()
    made = collector(registry)
    records = [record for record in caplog.records if record.name == "metrics.registry"]
    assert [record.levelno for record in records] == [logging.WARNING] * bool(ticking(registry))
    made.close()
