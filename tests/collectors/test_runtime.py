import gc
import platform
import sys
import threading

import pytest

from metrics import DuplicateMetricError, Registry, Ticker
from metrics.collectors import RuntimeCollector
from metrics.registry._inner import store_of

UNITS = {
    "python/gc/collected": "",
    "python/gc/collections": "",
    "python/gc/uncollectable": "",
    "python/info": "",
    "python/threads": "",
    "system/memory/objects": "",
    "system/memory/pauses": "seconds",
}


class Clock:
    """Advances by 3 ms with every look at the nanoseconds."""

    now = 0

    def monotonic_ns(self):
        self.now += 3_000_000
        return self.now

    def monotonic(self):
        return self.now / 1e9

    time, time_ns = monotonic, monotonic_ns


@pytest.fixture
def registry():
    return Registry()


@pytest.fixture
def collector(registry):
    collector = RuntimeCollector(registry)
    yield collector
    collector.close()


@pytest.fixture
def no_automatic_gc():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def make_cycles(n):
    for _ in range(n):
        cycle = []
        cycle.append(cycle)


def test_names_and_units_are_these(registry, collector):
    assert {entry.name: entry.unit for entry in store_of(registry).entries()} == UNITS
    assert all(entry.description for entry in store_of(registry).entries())


def test_the_first_sample_counts_nothing_of_before_and_sets_the_gauges(no_automatic_gc, registry):
    collector = RuntimeCollector(registry)
    found = registry.to_dict()
    collector.close()
    assert found["python/gc/collected"] == found["python/gc/uncollectable"] == {"count": 0}
    assert [found[f'python/gc/collections{{generation="{n}"}}'] for n in range(3)] == [
        {"count": 0}
    ] * 3
    assert found["system/memory/pauses"]["count"] == 0
    assert 1000 < found["system/memory/objects"]["value"] < 2 * sys.getallocatedblocks()
    assert found["python/threads"] == {"value": threading.active_count()}
    assert found["python/info"]["value"] == {
        "implementation": platform.python_implementation(),
        "version": platform.python_version(),
        "platform": platform.platform(),
    }


def test_collections_are_counted_by_generation_with_what_they_freed(
    no_automatic_gc, registry, collector
):
    make_cycles(100)
    gc.collect()
    gc.collect(0)
    gc.collect(0)
    family = registry.get("python/gc/collections")
    assert {n: child.count for (n,), child in family.children().items()} == {
        "0": 2,
        "1": 0,
        "2": 1,
    }
    assert registry.get("python/gc/collected").count >= 100
    pauses = registry.snapshot()["system/memory/pauses"]
    assert pauses.count == 3
    assert sum(pauses.durations.counts) == 3
    assert 0.0 < pauses.sum < 60.0


def test_a_pause_is_the_time_between_the_interpreters_two_calls(no_automatic_gc, registry):
    collector = RuntimeCollector(registry, clock=Clock())
    gc.collect()
    gc.collect()
    collector.close()
    pauses = collector._pauses.snapshot().durations
    assert pauses.sum == pytest.approx(0.006)
    assert pauses.counts[pauses.bounds.index(0.005)] == 2


def test_the_end_of_a_collection_whose_begin_nobody_saw_is_left_out(
    no_automatic_gc, registry, collector
):
    about = {"generation": 2, "collected": 7, "uncollectable": 1}
    collector._callback("stop", about)
    assert registry.get("system/memory/pauses").count == 0
    collector._callback("start", about)
    collector._callback("stop", about)
    collector._callback("stop", about)
    assert registry.get("system/memory/pauses").count == 1
    assert registry.get("python/gc/collected").count == 7
    assert registry.get("python/gc/uncollectable").count == 1


def test_a_collector_made_and_closed_during_a_collection_breaks_nothing(no_automatic_gc, registry):
    made = []

    def during(phase, about):
        if phase == "start":
            made.append(RuntimeCollector(registry))
        else:
            made[0].close()

    before = gc.callbacks[:]
    gc.callbacks.append(during)
    try:
        gc.collect()
    finally:
        gc.callbacks.remove(during)
    assert gc.callbacks == before
    assert registry.names() == ()


def test_gauges_follow_at_the_next_tick(registry, collector):
    threads = registry.get("python/threads")
    objects = registry.get("system/memory/objects")
    before = threads.value, objects.value
    stop = threading.Event()
    worker = threading.Thread(target=stop.wait)
    worker.start()
    try:
        held = [object() for _ in range(100_000)]
        assert (threads.value, objects.value) == before
        collector.tick()
        assert threads.value == before[0] + 1
        assert objects.value > before[1] + len(held) / 2
    finally:
        stop.set()
        worker.join()


def test_garbage_in_four_threads_while_a_reader_snapshots_does_not_deadlock():
    ticker = Ticker()
    registry = Registry(ticker=ticker)
    collector = RuntimeCollector(registry)
    ticker.add(collector)
    thresholds, switch_interval = gc.get_threshold(), sys.getswitchinterval()
    gc.set_threshold(20, 2, 2)
    sys.setswitchinterval(1e-6)
    unraisable = []
    hook, sys.unraisablehook = sys.unraisablehook, unraisable.append
    done = threading.Event()

    def read():
        while not done.is_set():
            registry.to_dict("reader")
            ticker.tick()

    workers = [threading.Thread(target=make_cycles, args=(3000,), daemon=True) for _ in range(4)]
    reader = threading.Thread(target=read, daemon=True)
    try:
        reader.start()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60.0)
        done.set()
        reader.join(60.0)
        assert not any(thread.is_alive() for thread in [*workers, reader])
    finally:
        done.set()
        sys.setswitchinterval(switch_interval)
        gc.set_threshold(*thresholds)
        sys.unraisablehook = hook
        collector.close()
    assert unraisable == []
    counted = [child.count for child in collector._collections]
    assert sum(counted) == collector._pauses.count
    assert counted[0] > 20


def test_close_leaves_registry_and_gc_callbacks_as_they_were():
    before = gc.callbacks[:]
    ticker = Ticker()
    registry = Registry(ticker=ticker)
    first = RuntimeCollector(registry)
    second = RuntimeCollector(registry.child("second"))
    assert len(gc.callbacks) == len(before) + 2
    first.close()
    first.close()
    assert {*registry.names()} == {f"second/{name}" for name in UNITS}
    second.close()
    assert gc.callbacks == before
    assert registry.names() == ()
    assert len(ticker) == 0
    first._objects.set(0)
    first.tick()
    assert first._objects.value == 0


def test_close_does_not_mind_that_the_program_has_removed_the_callback(registry, collector):
    gc.callbacks.remove(collector._callback)
    collector.close()
    assert registry.names() == ()


@pytest.mark.parametrize("name", UNITS)
def test_a_taken_name_leaves_nothing_registered_and_no_callback(registry, name):
    before = gc.callbacks[:]
    taken = registry.healthcheck(name, lambda: None)
    with pytest.raises(DuplicateMetricError, match=name):
        RuntimeCollector(registry)
    assert dict(registry) == {name: taken}
    assert gc.callbacks == before


def test_a_disabled_registry_stays_empty_and_gets_no_callback():
    before = gc.callbacks[:]
    registry = Registry(enabled=False)
    collector = RuntimeCollector(registry)
    collector.tick()
    assert gc.callbacks == before
    assert registry.names() == ()
    collector.close()
