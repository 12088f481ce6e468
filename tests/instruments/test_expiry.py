"""Children that are not updated for some time are dropped by a tick, and no others."""

import math
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from metrics import (
    BucketHistogram,
    Counter,
    CounterSnapshot,
    Family,
    FloatCounter,
    Gauge,
    Healthcheck,
    Histogram,
    Info,
    IntGauge,
    Meter,
    Registry,
    ResettingTimer,
    Snapshot,
    Ticker,
    Timer,
    UpDownCounter,
)
from metrics.exporters import openmetrics
from metrics.testing import ManualClock

UPDATES = {
    Counter: lambda child, n: child.inc(1),
    FloatCounter: lambda child, n: child.inc(0.5),
    UpDownCounter: lambda child, n: child.dec(),
    Gauge: lambda child, n: child.set(n),
    IntGauge: lambda child, n: child.set(n),
    Info: lambda child, n: child.set({"version": str(n)}),
    Meter: lambda child, n: child.mark(),
    Histogram: lambda child, n: child.update(1.0),
    BucketHistogram: lambda child, n: child.update(0.0),
    Timer: lambda child, n: child.update(0.5),
    ResettingTimer: lambda child, n: child.update(0.0),
}


@pytest.fixture
def clock():
    return ManualClock()


def expiring(clock, kind=Counter, factory=None, **options):
    if kind is BucketHistogram:
        factory = partial(BucketHistogram, (1.0,))
    return Family(kind, ("peer",), factory, clock=clock, expire_after=10.0, **options)


def pass_time(clock, family, seconds, interval=1.0):
    for _ in range(int(seconds / interval)):
        clock.advance(interval)
        family.tick()


def peers(family):
    return [peer for (peer,) in family.children()]


@pytest.mark.parametrize("kind", UPDATES)
def test_an_idle_child_is_dropped_and_an_updated_one_stays(clock, kind):
    family = expiring(clock, kind)
    family.labels("idle")
    family.labels("busy")
    for number in range(30):
        pass_time(clock, family, 5.0)
        UPDATES[kind](family.labels("busy"), number)
    assert peers(family) == ["busy"]
    pass_time(clock, family, 11.0)
    assert peers(family) == []


def test_a_child_is_kept_for_the_time_from_its_last_change_on(clock):
    family = expiring(clock)
    child = family.labels("a")
    pass_time(clock, family, 8.0)
    child.inc()
    pass_time(clock, family, 1.0)
    # The change is seen by a tick, and idleness begins with it.
    pass_time(clock, family, 9.0)
    assert peers(family) == ["a"]
    pass_time(clock, family, 1.0)
    assert peers(family) == []


def test_a_single_tick_after_a_long_time_drops_nothing_that_was_never_seen(clock):
    family = expiring(clock)
    family.labels("a")
    clock.advance(1000.0)
    family.tick()
    assert peers(family) == ["a"]


def test_without_a_time_nothing_expires(clock):
    family = Family(Counter, ("peer",), clock=clock)
    family.labels("a")
    pass_time(clock, family, 1000.0, interval=100.0)
    assert peers(family) == ["a"]


def test_an_expired_child_is_created_again_from_zero_with_a_new_time(clock):
    registry = Registry(clock=clock)
    family = registry.register("hits", expiring(clock))
    held = family.labels("a")
    held.inc(5)
    pass_time(clock, family, 20.0)
    held.inc()
    assert peers(family) == []
    clock.advance(3.0)
    child = family.labels("a")
    assert child is not held
    assert child.count == 0
    page = openmetrics.render(registry, created=True).decode()
    assert f'hits_created{{peer="a"}} {clock.time()}\n' in page


def test_a_child_that_takes_the_place_of_a_removed_one_is_a_new_one(clock):
    family = expiring(clock)
    family.labels("a")
    pass_time(clock, family, 9.0)
    family.remove("a")
    family.labels("a")
    pass_time(clock, family, 9.0)
    assert peers(family) == ["a"]


def test_the_overflow_child_stays_and_an_expired_one_makes_room(clock):
    family = expiring(clock, max_children=1)
    family.labels("a")
    family.labels("b")
    pass_time(clock, family, 20.0)
    assert peers(family) == ["_overflow"]
    family.labels("c")
    assert peers(family) == ["c", "_overflow"]


def test_children_that_tick_are_ticked_as_well(clock):
    family = expiring(clock, Meter, lambda: Meter(1.0, clock))
    family.labels("a").mark(5)
    pass_time(clock, family, 1.0)
    assert family.labels("a").snapshot().rate1 == 5.0
    # Rates that decay are no updates.
    pass_time(clock, family, 10.0)
    assert peers(family) == []


@pytest.mark.parametrize("kind", [Gauge, IntGauge, Healthcheck])
def test_a_function_is_not_called_and_what_reads_one_does_not_expire(clock, kind):
    calls = []
    family = expiring(clock, kind, lambda: kind(lambda: calls.append(1)))
    family.labels("a")
    pass_time(clock, family, 50.0)
    assert peers(family) == ["a"]
    assert calls == []


def test_a_gauge_that_is_not_a_number_expires_too(clock):
    family = expiring(clock, Gauge)
    for peer in ("idle", "busy"):
        family.labels(peer).set(math.nan)
    pass_time(clock, family, 9.0)
    family.labels("busy").set(1.0)
    pass_time(clock, family, 5.0)
    assert peers(family) == ["busy"]
    family.labels("busy").set(math.nan)
    pass_time(clock, family, 9.0)
    assert peers(family) == ["busy"]


class Own:
    """An instrument of a program, whose `count` is a method."""

    def __init__(self):
        self.total = 0
        self.before_reading = []
        self.after_reading = []

    def count(self):
        self.total += 1

    def snapshot(self, reader=""):
        if self.before_reading:
            self.before_reading.pop(0)()
        snapshot = CounterSnapshot(self.total)
        if self.after_reading:
            self.after_reading.pop(0)()
        return snapshot


def test_the_snapshots_of_a_program_s_instruments_are_compared(clock):
    family = expiring(clock, Own)
    for peer in ("idle", "busy"):
        family.labels(peer)
    for _ in range(4):
        pass_time(clock, family, 5.0)
        family.labels("busy").count()
    assert peers(family) == ["busy"]


def test_an_instrument_that_cannot_be_read_stays_and_lets_others_expire(clock):
    class Failing(Own):
        def snapshot(self, reader=""):
            raise OSError

    made = iter([Failing(), Own(), Failing()])
    family = expiring(clock, Own, lambda: next(made))
    for peer in ("a", "b", "c"):
        family.labels(peer)
    pass_time(clock, family, 20.0)
    assert peers(family) == ["a", "c"]


def test_an_instrument_whose_snapshots_cannot_be_compared_stays(clock):
    class Incomparable(Snapshot):
        def __eq__(self, other):
            raise ValueError("the truth value of an array is ambiguous")

        __hash__ = None

    class Failing(Own):
        def snapshot(self, reader=""):
            return Incomparable()

    made = iter([Failing(), Own()])
    family = expiring(clock, Own, lambda: next(made))
    for peer in ("a", "b"):
        family.labels(peer)
    pass_time(clock, family, 20.0)
    assert peers(family) == ["a"]


def test_an_update_after_the_decision_keeps_the_child(clock):
    family = expiring(clock, Own)
    child = family.labels("a")
    pass_time(clock, family, 10.0)
    # The next tick reads it once, and once more before it would drop it.
    child.after_reading = [child.count]
    pass_time(clock, family, 1.0)
    assert peers(family) == ["a"]
    assert child.total == 1
    pass_time(clock, family, 12.0)
    assert peers(family) == []


@pytest.mark.parametrize("again", [True, False])
def test_a_child_removed_after_the_decision_takes_no_other_with_it(clock, again):
    family = expiring(clock, Own)
    child = family.labels("a")
    pass_time(clock, family, 10.0)

    def replace():
        family.remove("a")
        if again:
            family.labels("a")

    child.after_reading = [replace]
    pass_time(clock, family, 1.0)
    assert peers(family) == (["a"] if again else [])
    assert family.labels("a") is not child


def test_children_made_while_others_are_read_stay(clock):
    family = expiring(clock, Own)
    family.labels("a").before_reading = [lambda: family.labels("b")]
    family.tick()
    assert peers(family) == ["a", "b"]


@pytest.mark.parametrize(
    ("kind", "options", "ticking"),
    [
        (Counter, {}, False),
        (Counter, {"expire_after": 1}, True),
        (Gauge, {"expire_after": 0.5}, True),
        (Meter, {}, True),
        (Meter, {"expire_after": 1}, True),
        (Info, {}, False),
    ],
)
def test_a_family_says_whether_it_has_to_be_ticked(kind, options, ticking):
    assert Family(kind, ("peer",), **options).ticking is ticking


def test_a_ticker_drops_idle_children(clock):
    family = expiring(clock)
    family.labels("a")
    ticker = Ticker(clock=clock)
    ticker.add(family)
    for _ in range(3):
        ticker.tick()
        clock.advance(5.0)
    assert peers(family) == []


@pytest.mark.parametrize("limit", [0, -1, math.inf, math.nan])
def test_a_time_that_is_none_is_refused(limit):
    with pytest.raises(ValueError, match="expire_after"):
        Family(Counter, ("peer",), expire_after=limit)


@pytest.mark.usefixtures("eager_switching")
def test_updates_through_labels_are_in_a_snapshot_or_keep_the_child(clock):
    """Of children requested for each update, none is dropped between two of its ticks."""
    family = expiring(clock)
    stop = threading.Event()

    def tick():
        while not stop.is_set():
            family.tick()
            # Time passes between ticks alone, so that each child is updated in each interval.
            barrier.wait(30)
            barrier.wait(30)

    barrier = threading.Barrier(3)

    def update(peer):
        for number in range(50):
            family.labels(peer).inc()
            barrier.wait(30)
            if peer == "0":
                clock.advance(9.0)
            if number == 49:
                stop.set()
            barrier.wait(30)

    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(tick), *[pool.submit(update, str(peer)) for peer in range(2)]]:
            done.result(60)
    assert [child.count for child in family.children().values()] == [50, 50]
