"""A manual ticker and a manual clock that are given together are one time, and need each other."""

import pytest
from dependency_injector import containers, providers

from metrics import Ticker, Timer, resources
from metrics.clock import SYSTEM_CLOCK
from metrics.lifecycle import LifecycleContainer, MetricsContainer, Resource
from metrics.testing import ManualClock, ManualTicker, overridden


class Application(LifecycleContainer):
    metrics = providers.Container(MetricsContainer)
    requests = Resource(resources.timer, metrics.registry, "requests")


def test_a_ticker_that_was_made_without_a_clock_goes_by_the_one_beside_it():
    container, ticker, clock = Application(), ManualTicker(), ManualClock()
    with overridden(container, {"metrics.ticker": ticker, "metrics.clock": clock}):
        with container.requests().time():
            ticker.advance(60)
        snapshot = container.requests().snapshot()
        container.shutdown_resources()
    assert ticker.clock is clock
    assert snapshot.sum == 60.0
    assert snapshot.rates.rate_mean == pytest.approx(1 / 60)


def test_it_may_go_by_another_one_the_next_time():
    ticker = ManualTicker()
    for clock in (ManualClock(), ManualClock()):
        with overridden(MetricsContainer(), ticker=ticker, clock=providers.Object(clock)):
            ticker.advance(5)
        assert clock.monotonic() == 1005.0


def test_the_clock_that_it_was_made_with_may_be_beside_it():
    clock = ManualClock()
    ticker = ManualTicker(clock=clock)
    with overridden(MetricsContainer(), ticker=ticker, clock=clock):
        assert ticker.clock is clock


def test_alone_it_has_a_clock_of_its_own():
    ticker = ManualTicker()
    clock = ticker.clock
    with overridden(MetricsContainer(), ticker=ticker):
        assert ticker.clock is clock


def test_a_ticker_with_another_clock_is_refused():
    clock, other = ManualClock(), ManualTicker(clock=ManualClock())
    with pytest.raises(ValueError, match=r"'ticker' moves a clock .* not 'clock': make it with"):
        overridden(MetricsContainer(), ticker=other, clock=clock)


def test_a_ticker_that_runs_already_is_refused():
    with (
        ManualTicker() as ticker,
        pytest.raises(ValueError, match="'ticker' moves a clock of its own"),
    ):
        overridden(MetricsContainer(), ticker=providers.Object(ticker), clock=ManualClock())


def test_which_of_two_clocks_has_to_be_said():
    ticker = ManualTicker()
    given = {"metrics.ticker": ticker, "metrics.clock": ManualClock(), "requests": ManualClock()}
    with pytest.raises(ValueError, match=r"not 'metrics.clock' or 'requests': make it with the"):
        overridden(Application(), given)


class Stock(containers.DeclarativeContainer):
    clock = providers.Object(SYSTEM_CLOCK)
    ticker = providers.Singleton(Ticker, clock=clock)
    timer = providers.Factory(Timer, clock=clock)


class StockResource(containers.DeclarativeContainer):
    clock = providers.Object(SYSTEM_CLOCK)
    ticker = providers.Resource(resources.ticker, clock=clock)


@pytest.mark.parametrize(
    ("container", "clock", "ticker"),
    [
        (MetricsContainer, "clock", "ticker"),
        (Application, "metrics.clock", "metrics.ticker"),
        (Stock, "clock", "ticker"),
        (StockResource, "clock", "ticker"),
    ],
)
def test_a_manual_clock_without_a_manual_ticker_is_refused(container, clock, ticker):
    for given in (ManualClock(), providers.Object(ManualClock())):
        with pytest.raises(ValueError, match="nothing would tick") as caught:
            overridden(container(), {clock: given})
    assert str(caught.value) == (
        f"{clock!r} is a manual clock, and nothing would tick: {ticker!r} waits for seconds of the "
        f"machine; replace it as well, with overridden(container, {{{ticker!r}: ManualTicker(), "
        f"{clock!r}: clock}})"
    )
    with overridden(container(), {ticker: ManualTicker(), clock: ManualClock()}) as running:
        assert running


def test_a_manual_clock_is_enough_where_nothing_ticks():
    class Timed(LifecycleContainer):
        clock = providers.Object(SYSTEM_CLOCK)
        timer = providers.Factory(Timer, clock=clock)

    container, clock = Timed(), ManualClock()
    with overridden(container, clock=clock):
        timer = container.timer()
        with timer.time():
            clock.advance(3)
        assert timer.snapshot().sum == 3.0


def test_a_manual_clock_is_enough_where_the_ticker_is_replaced_already():
    with ManualTicker() as ticker:
        container = MetricsContainer(ticker=providers.Object(ticker))
        with overridden(container, clock=ticker.clock):
            assert container.clock() is ticker.clock
    outer = MetricsContainer()
    ticker = ManualTicker()
    with overridden(outer, ticker=ticker), overridden(outer, clock=ticker.clock):
        assert outer.ticker() is ticker


def test_a_ticker_with_a_clock_of_its_own_does_not_count():
    class Apart(LifecycleContainer):
        clock = providers.Object(SYSTEM_CLOCK)
        ticker = Resource(resources.ticker)
        timer = providers.Factory(Timer, clock=clock)

    with overridden(Apart(), clock=ManualClock()) as container:
        assert isinstance(container.clock(), ManualClock)
