"""Under freezegun and time-machine, wall-clock time is the test's and durations are the machine's.

A tick, a stop and a report come all the same.
"""

import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime

import freezegun
import pytest
import time_machine

from metrics import Registry, ShutdownError, Ticker
from metrics.clock import SYSTEM_CLOCK
from metrics.exporters import openmetrics
from metrics.lifecycle import LifecycleContainer, MetricsContainer, Resource, running
from metrics.registry._inner import store_of

FROZEN = datetime(2012, 1, 14, tzinfo=UTC)
FROZEN_NS = 1_326_499_200 * 10**9


@contextmanager
def by_freezegun():
    with freezegun.freeze_time(FROZEN) as frozen:
        yield frozen.tick


@contextmanager
def by_time_machine():
    with time_machine.travel(FROZEN, tick=False) as traveller:
        yield traveller.shift


frozen = pytest.mark.parametrize("freeze", [by_freezegun, by_time_machine])


@frozen
def test_the_wall_clock_shows_the_time_of_the_test_and_then_the_real_one_again(freeze):
    with freeze() as tick:
        assert (SYSTEM_CLOCK.time_ns(), SYSTEM_CLOCK.time()) == (FROZEN_NS, FROZEN_NS / 1e9)
        tick(5)
        assert SYSTEM_CLOCK.time_ns() == FROZEN_NS + 5 * 10**9
    assert abs(SYSTEM_CLOCK.time_ns() - time.time_ns()) < 60 * 10**9


@frozen
def test_the_monotonic_clock_goes_on_and_does_not_jump(freeze):
    before = SYSTEM_CLOCK.monotonic_ns()
    with freeze() as tick:
        inside = SYSTEM_CLOCK.monotonic_ns()
        tick(3600)
        assert any(SYSTEM_CLOCK.monotonic_ns() > inside for _ in range(1_000_000))
        end = SYSTEM_CLOCK.monotonic_ns()
    assert before <= inside < end <= SYSTEM_CLOCK.monotonic_ns() < before + 3600 * 10**9


@frozen
def test_a_block_in_which_time_is_frozen_or_released_is_timed_without_an_error(freeze):
    timer = Registry().timer("took")
    with timer.time(), freeze() as tick:
        tick(3600)
    with freeze():
        stopwatch = timer.time()
        stopwatch.__enter__()
    stopwatch.__exit__(None, None, None)
    assert timer.count == 2
    assert timer.snapshot().durations.max < 3600


@frozen
def test_what_is_exported_bears_the_time_of_the_test(freeze):
    with freeze():
        registry = Registry()
        registry.counter("hits").inc()
        assert store_of(registry).entries()[0].registered == FROZEN_NS / 1e9
        assert b"\nhits_created 1326499200.0\n" in openmetrics.render(registry, created=True)


@frozen
def test_a_ticker_goes_on_ticking(freeze):
    ticked = threading.Event()

    class Member:
        def tick(self) -> None:
            ticked.set()

    with freeze(), Ticker(0.001) as ticker:
        ticker.add(Member())
        assert ticked.wait(30)


@frozen
def test_a_container_starts_and_stops(freeze):
    with freeze(), running(MetricsContainer()) as container:
        container.registry().meter("requests").mark()
    names = [thread.name for thread in threading.enumerate()]
    assert "metrics-ticker" not in names


@frozen
def test_a_resource_that_hangs_is_given_up(freeze):
    release = threading.Event()

    def hanging():
        yield
        release.wait()

    class Container(LifecycleContainer):
        resource = Resource(hanging)

    container = Container()
    container.init_resources()
    with freeze(), pytest.raises(ShutdownError):
        container.shutdown_resources(timeout=0.1)
    release.set()
    container.shutdown_resources()
