"""Locks that another thread held when a process forked hold up nothing in the child."""

from contextlib import nullcontext

import pytest

from metrics import (
    Counter,
    ExpDecayReservoir,
    Family,
    FloatUpDownCounter,
    Histogram,
    Registry,
    ResettingReservoir,
    ResettingTimer,
    Ticker,
    Timer,
    UniformReservoir,
)
from metrics.instruments._reservoir import RANDOM
from metrics.testing import ManualClock
from tests.forks import forking, held, in_child

pytestmark = forking


@pytest.mark.parametrize("registered", [False, True])
@pytest.mark.parametrize("kind", [ExpDecayReservoir, UniformReservoir])
def test_a_sample_takes_values_again(kind, registered):
    reservoir = kind(10)
    registry = Registry()
    if registered:
        registry.register("sizes", Histogram(reservoir))
    for _ in range(5):
        reservoir.update(1.0)

    def use():
        before = reservoir.count
        for _ in range(5):
            reservoir.update(2.0)
        reservoir.tick()
        return before, sorted(reservoir.snapshot().values)

    with held(lock_of(reservoir, "_busy")):
        before, values = in_child(use)
    # A reservoir that is not registered is the program's own, and keeps what it has.
    assert (before, values) == ((0, [2.0] * 5) if registered else (5, [1.0] * 5 + [2.0] * 5))


@pytest.mark.parametrize("lock", ["_reading", "_trimming"])
@pytest.mark.parametrize("registered", [False, True])
def test_a_resetting_timer_is_read_and_trimmed_again(lock, registered):
    timer = ResettingTimer(4)
    registry = Registry()
    if registered:
        registry.register("durations", timer)
    timer.update(1.0)

    def use():
        first = timer.snapshot("a").count
        for _ in range(100):
            timer.update(2.0)
        kept = timer.snapshot("a")
        return first, kept.count, len(kept.values)

    with held(lock_of(reservoir_of(timer), lock)):
        first, count, kept = in_child(use)
    assert (first, count) == (0 if registered else 1, 100)
    assert kept < 8


@pytest.mark.parametrize("registered", [False, True])
def test_a_family_makes_and_gives_its_children_again(registered):
    family = Family(Counter, ("method",))
    registry = Registry()
    if registered:
        registry.register("requests", family)
    family.labels("GET").inc(3)

    def use():
        family.labels("GET").inc()
        family.labels("PUT").inc()
        return {values[0]: child.count for values, child in family.children().items()}

    with held(family._lock):
        counts = in_child(use)
    assert counts == {"GET": 1 if registered else 4, "PUT": 1}


def test_a_registry_registers_and_a_ticker_ticks_again():
    ticker = Ticker(0.01)
    registry = Registry(ticker=ticker)

    def use():
        registry.meter("hits").mark()
        registry.unregister("hits")
        ticker.tick()
        return len(ticker)

    with (
        held(lock_of(registry._store.table, "lock")),
        held(registry._store.farewells._lock),
        held(lock_of(ticker, "_changed")),
        held(lock_of(ticker, "_ticking")),
    ):
        assert in_child(use) == 0


def test_a_lock_that_the_forking_thread_holds_stays_its_own():
    outcomes = []

    def make():
        if not outcomes:
            outcomes.append(None)
            outcomes[0] = in_child(lambda: family.labels("PUT").count)
        return Counter()

    family = Family(Counter, ("method",), make)
    family.labels("GET").inc()
    assert outcomes == [0]


@pytest.mark.parametrize("kind", [Timer, ResettingTimer])
def test_a_timer_has_ignored_no_durations_yet(kind):
    registry = Registry()
    timer = registry.register("durations", kind())
    timer.update(-1.0)
    assert in_child(lambda: timer.ignored) == 0
    assert timer.ignored == 1


def test_a_float_up_down_counter_starts_at_zero():
    counter = Registry().register("credit", FloatUpDownCounter())
    counter.dec(2.5)
    assert in_child(lambda: counter.count) == -2.5  # no registry is alive that would reset it
    registry = Registry()
    registry.register("credit", counter)
    assert in_child(lambda: counter.count) == 0.0


def test_forked_processes_do_not_draw_the_same_numbers():
    draws = {in_child(RANDOM.random) for _ in range(4)} | {RANDOM.random()}
    assert len(draws) == 5


def test_a_reservoir_of_the_programs_own_kind_is_cleared():
    class Own:
        def __init__(self):
            self.values = []

        count = property(lambda self: len(self.values))
        tick = clear = snapshot = lambda self, *_: self.values.clear()

        def update(self, value):
            self.values.append(value)

    own = Own()
    registry = Registry()
    registry.register("sizes", Histogram(own)).update(1.0)
    assert in_child(lambda: own.count) == 0
    assert own.count == 1


def test_a_reservoir_that_is_read_by_nobody_is_left_alone():
    reservoir = ResettingReservoir(4)
    reservoir.update(1.0)
    assert in_child(lambda: reservoir.count) == 1


def lock_of(owner, name):
    try:
        return getattr(owner, name)
    except AttributeError:
        pytest.skip("compiled classes do not show their locks")


def reservoir_of(timer):
    return lock_of(timer, "_reservoir")


@pytest.mark.parametrize("orphaned", [False, True])
def test_children_are_created_at_the_fork_and_truncation_is_counted_from_zero(orphaned):
    clock = ManualClock()
    registry = Registry(clock=clock)
    family = registry.register(
        "requests", Family(Counter, ("method",), max_children=1, max_label_length=3, clock=clock)
    )
    born = clock.time()
    for method in ("GET", "DELETE"):
        family.labels(method).inc(3)
    clock.advance(5.0)
    assert family.truncated == 1

    def use():
        times = [child.created for child in family.children().values()]
        family.labels("GET").inc(50)
        clock.advance(1.0)
        family.labels("GET").clear()
        return times, family.truncated, family.labels("GET").created

    with held(family._lock) if orphaned else nullcontext():
        outcome = in_child(use)
    assert outcome == ([born + 5.0] * 2, 0, born + 6.0)
    assert [child.created for child in family.children().values()] == [born] * 2


def test_idle_children_expire_in_the_child_process():
    clock = ManualClock()
    registry = Registry(clock=clock)
    family = Family(Counter, ("method",), expire_after=10.0, clock=clock)
    registry.register("requests", family)
    for method in ("GET", "PUT"):
        family.labels(method).inc(3)
    family.tick()

    def use():
        for _ in range(3):
            clock.advance(6.0)
            family.labels("GET").inc()
            family.tick()
        return [*family.children()]

    with held(family._lock):
        assert in_child(use) == [("GET",)]
