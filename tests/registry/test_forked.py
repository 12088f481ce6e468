"""A registry in a forked process: the same instruments, and totals that start at zero."""

import os
import threading

import pytest

from metrics import (
    BucketHistogram,
    Family,
    Histogram,
    HistogramSnapshot,
    Registry,
    ResettingReservoir,
    Ticker,
    Timer,
    UniformReservoir,
)
from metrics.exporters import json, openmetrics, prometheus, statsd
from metrics.exporters._series.deltas import Deltas
from metrics.registry._inner import store_of
from metrics.testing import ManualClock, recorded
from tests.forks import forking, hammered, in_child

pytestmark = forking


def update_all(registry):
    """Update an instrument of each cumulative kind, and families of them."""
    registry.counter("counter").inc(3)
    registry.float_counter("float").inc(3.5)
    registry.updown_counter("updown").inc(3)
    registry.meter("meter").mark(3)
    registry.histogram("histogram").update(3.0)
    registry.register("uniform", Histogram(UniformReservoir())).update(3.0)
    registry.register("resetting", Histogram(ResettingReservoir())).update(3.0)
    registry.bucket_histogram("buckets", (1.0,)).update(3.0)
    registry.timer("timer").update(3.0)
    registry.register("bucket_timer", Timer(BucketHistogram((1.0,)))).update(3.0)
    registry.resetting_timer("resetting_timer").update(3.0)
    registry.counters("counters", labels=("a",)).labels("x").inc(3)
    registry.meters("meters", labels=("a",)).labels("x").mark(3)
    registry.timers("timers", labels=("a",)).labels("x").update(3.0)
    registry.resetting_timers("resetting_timers", labels=("a",)).labels("x").update(3.0)


def counts(registry):
    found = {}
    for name, instrument in registry:
        child = instrument.labels("x") if isinstance(instrument, Family) else instrument
        snapshot = child.snapshot("test")
        found[name] = (child.count, getattr(snapshot, "sum", child.count))
        if isinstance(snapshot, HistogramSnapshot):
            assert len(snapshot.values) == snapshot.count
            assert snapshot.total_sum == snapshot.sum
    return found


def test_cumulative_instruments_of_every_kind_start_at_zero():
    registry = Registry()
    update_all(registry)
    before = counts(registry)
    assert len(before) == 15
    assert 0 not in {count for count, _ in before.values()}
    child = in_child(lambda: counts(registry))
    assert {name: (float(c), float(s)) for name, (c, s) in child.items()} == dict.fromkeys(
        before, (0.0, 0.0)
    )


def test_an_instrument_from_before_the_fork_counts_in_the_child_and_is_on_its_page():
    registry = Registry()
    counter = registry.counter("hits")
    method = registry.counters("requests", labels=("method",)).labels("GET")
    timer = registry.timer("durations")
    counter.inc(5)
    method.inc(5)
    prometheus.render(registry)

    def use():
        counter.inc(2)
        method.inc()
        timer.update(2.0)
        return prometheus.render(registry).decode()

    page = in_child(use)
    assert "hits_total 2\n" in page
    assert 'requests_total{method="GET"} 1\n' in page
    assert "durations_seconds_sum 2" in page
    assert counter.count == 5


def test_current_values_stay():
    registry = Registry()
    registry.gauge("gauge").set(1.5)
    registry.int_gauge("ints").set(7)
    registry.gauge("read", function=lambda: 2.5)
    registry.info("info").set({"version": "1"})
    registry.gauges("gauges", labels=("a",)).labels("x").set(4.0)
    check = registry.healthcheck("check", lambda: False)
    check.check()
    before = registry.to_dict()
    assert len(before) == 6
    assert in_child(registry.to_dict) == before


def test_rates_begin_again_and_average_over_the_time_since_the_fork():
    clock = ManualClock()
    registry = Registry(clock=clock)
    meter = registry.meter("meter")
    meter.mark(500)
    clock.advance(5.0)
    meter.tick()
    assert meter.snapshot().rate1 == pytest.approx(100.0)

    def use():
        rates = [meter.snapshot().rate1, meter.snapshot().rate_mean]
        meter.mark(100)
        # Nothing in this process has used the library so far, and no ticker has run.
        clock.advance(100.0)
        meter.tick()
        rates += [meter.snapshot().rate1, meter.snapshot().rate_mean]
        meter.mark(10)
        clock.advance(5.0)
        meter.tick()
        return [*rates, meter.snapshot().rate1]

    first, mean, late, late_mean, moved = in_child(use)
    assert (first, mean) == (0.0, 0.0)
    assert late == pytest.approx(1.0)
    assert late_mean == pytest.approx(1.0)
    assert 1.0 < moved < 2.0


def test_a_first_tick_soon_after_the_fork_has_the_rate_of_an_interval():
    clock = ManualClock()
    registry = Registry(clock=clock)
    meter = registry.meter("meter")
    timer = registry.timer("timer")
    ticked = registry.meter("ticked")
    ticked.mark(3)
    ticked.tick()
    # The age before the fork counts for nothing in the child.
    clock.advance(1000.0)

    def use():
        for each in (meter, ticked):
            each.mark(50)
        for _ in range(50):
            timer.update(1.0)
        clock.advance(2.0)
        for each in (meter, ticked, timer):
            each.tick()
        return [meter.snapshot().rate1, ticked.snapshot().rate1, timer.snapshot().rates.rate1]

    assert in_child(use) == [10.0, 10.0, 10.0]
    meter.mark(1000)
    meter.tick()
    assert meter.snapshot().rate1 == 1.0


def test_overflow_is_counted_from_zero():
    registry = Registry()
    family = registry.counters("hits", labels=("path",), max_children=1)
    family.labels("a").inc()
    family.labels("b").inc(3)
    assert family.overflowed == 1

    def use():
        return family.overflowed, family.labels("b").count, family.labels("c").count

    assert in_child(use) == (0, 0, 0)


def test_final_values_are_left_to_the_parents_reader():
    registry = Registry()
    with store_of(registry).follow("reader"):
        registry.counter("hits").inc()
        registry.unregister("hits")

        def use():
            before = len(registry.snapshot("reader"))
            registry.counter("own").inc(2)
            registry.unregister("own")
            return before, [each.count for each in registry.snapshot("reader").values()]

        assert in_child(use) == (0, [2])
        assert [each.count for each in registry.snapshot("reader").values()] == [1]


def test_increments_since_the_last_report_are_the_childs_own():
    registry = Registry()
    counter = registry.counter("hits")

    def report():
        deltas = store_of(registry).keep("statsd", Deltas)
        return statsd.render(registry, deltas=deltas, reader="statsd").decode().splitlines()

    counter.inc(5)
    assert report() == ["hits:5|c"]

    def use():
        first = report()
        counter.inc(7)
        return first, report()

    _, second = in_child(use)
    assert second == ["hits:7|c"]
    counter.inc(1)
    assert report() == ["hits:1|c"]


def test_resetting_timers_give_the_childs_readers_what_was_measured_there():
    registry = Registry()
    timer = registry.resetting_timer("durations")
    timer.update(1.0)
    json.render(registry)
    timer.update(1.0)

    def use():
        timer.update(2.0)
        return [list(timer.snapshot("json").values), list(timer.snapshot("other").values)]

    assert in_child(use) == [[2.0], [2.0]]


def test_totals_were_created_at_the_fork():
    clock = ManualClock()
    registry = Registry(clock=clock)
    registry.counter("hits").inc(5)
    created = clock.time()
    assert f"hits_created {created}" in openmetrics.render(registry, created=True).decode()

    def use():
        # More than the parent had, so that the total alone does not show the new beginning.
        registry.counter("hits").inc(50)
        return openmetrics.render(registry, created=True).decode()

    clock.advance(100.0)
    page = in_child(use)
    assert f"hits_created {created + 100}" in page
    assert "hits_total 50" in page
    assert f"hits_created {created}" in openmetrics.render(registry, created=True).decode()


def test_children_share_the_table_and_are_renewed_once():
    registry = Registry()
    child = registry.child("sub")
    child.counter("hits").inc()

    def use():
        child.counter("hits").inc()
        registry.counter("other").inc()
        return [instrument.count for _, instrument in registry]

    assert in_child(use) == [1, 1]


def test_a_histogram_that_is_recorded_starts_at_zero_as_well():
    registry = Registry()
    histogram = registry.histogram("sizes")
    with recorded(registry):
        histogram.update(1.0)

        def use():
            before = histogram.count
            histogram.update(2.0)
            return before, list(histogram.snapshot().values)

        assert in_child(use) == (0, [2.0])
    assert histogram.count == 1


def test_instruments_of_the_program_are_its_own():
    class Own:
        count = 5

        def snapshot(self, reader=""):
            raise NotImplementedError

    own = Registry().register("own", Own())
    assert in_child(lambda: own.count) == 5


def test_labels_of_a_family_are_free_in_the_child_whatever_other_threads_did():
    family = Registry().counters("hits", labels=("path",), max_children=10**9)
    loose = Family(dict, ("path",), dict, max_children=10**9)
    number = iter(range(10**9))

    def make():
        # Removed again, so that a slow machine does not fork a process of a million children.
        new = next(number) % 100
        family.labels(new)
        family.remove(new)
        loose.labels(new)
        loose.remove(new)

    def use():
        family.labels("new").inc()
        loose.labels("new")
        return family.labels("new").count, family.remove("new"), "new" in str(loose.children())

    with hammered(make):
        outcomes = [in_child(use) for _ in range(5)]
    assert outcomes == [(1, True, True)] * 5


def test_registering_is_free_in_the_child_whatever_other_threads_did():
    ticker = Ticker()
    registry = Registry(ticker=ticker)

    def register():
        name = f"meter/{threading.get_ident()}"
        registry.meter(name)
        registry.unregister(name)

    def use():
        names = registry.names()
        for name in names:
            # Neither a name without its exported names, nor one that is taken by none.
            assert registry.unregister(name)
            registry.meter(name).mark()
        registry.meter("own").mark()
        return registry.get("own").count, set(registry.names()) == {*names, "own"}

    with hammered(register):
        outcomes = [in_child(use) for _ in range(5)]
    assert outcomes == [(1, True)] * 5


def test_reading_is_free_in_the_child_whatever_other_threads_did():
    registry = Registry()
    timer = registry.resetting_timer("durations")
    loose = Histogram(ResettingReservoir(8))
    uniform = Histogram(UniformReservoir(8))
    decaying = Histogram()

    def read():
        timer.update(1.0)
        with store_of(registry).follow("reader"):
            registry.counter("hits").inc()
            registry.unregister("hits")
            registry.snapshot("reader")
        for each in (loose, uniform, decaying):
            each.update(1.0)
            each.tick()
            each.snapshot()

    def use():
        before = uniform.count
        for _ in range(50):
            read()
        return uniform.count - before, len(loose.snapshot().values)

    with hammered(read):
        outcomes = [in_child(use) for _ in range(5)]
    assert outcomes == [(50, 0)] * 5


def test_a_name_that_another_thread_was_registering_is_free_in_the_child():
    class Slow:
        interval = 5.0

        def __init__(self):
            self.reached, self.go_on = threading.Event(), threading.Event()

        def add(self, member):
            if os.getpid() == parent:
                self.reached.set()
                self.go_on.wait(30)

        def discard(self, member):
            pass

    parent, ticker = os.getpid(), Slow()
    registry = Registry(ticker=ticker)
    registry.counter("known")
    thread = threading.Thread(target=registry.meter, args=("half",))
    thread.start()
    assert ticker.reached.wait(30)

    def use():
        names = registry.names()
        registry.timer("half").update(1.0)
        return names, registry.names(), registry.get("half").count

    assert in_child(use) == (("known",), ("half", "known"), 1)
    ticker.go_on.set()
    thread.join(30)
    assert registry.names() == ("half", "known")
