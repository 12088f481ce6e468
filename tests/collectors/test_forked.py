"""Collectors in a forked process measure that process, and count from its beginning."""

import gc
import os

import psutil

from metrics import Registry, Ticker
from metrics.collectors import HostCollector, ProcessCollector, RuntimeCollector
from metrics.resources import process
from tests.forks import DEADLINE, forking, in_child

pytestmark = forking


def value(registry, name):
    snapshot = registry.get(name).snapshot()
    return getattr(snapshot, "value", None) if hasattr(snapshot, "value") else snapshot.count


def test_the_process_is_the_child_at_once_and_at_every_tick():
    registry = Registry()
    collector = ProcessCollector(registry)
    sum(range(2_000_000))
    collector.tick()
    collector.tick()
    kept = [b"x" * 1000]
    parents = value(registry, "process/uptime")

    def look():
        return (
            value(registry, "process/uptime") <= parents + 1.0,
            value(registry, "system/cpu/threads"),
            value(registry, "system/cpu/procload"),
            value(registry, "system/cpu/procload/total"),
        )

    def use():
        before = look()[1:]
        pid = collector._process.pid == os.getpid()
        sum(range(2_000_000))
        collector.tick()
        used = value(registry, "system/cpu/procload/total")
        times = psutil.Process().cpu_times()
        return pid, before, 0.0 < used <= times.user + times.system

    assert in_child(use) == (True, (1, 0.0, 0.0), True)
    assert collector._process.pid == os.getpid()
    assert kept
    collector.close()


def test_a_closed_collector_measures_nothing_in_the_child():
    registry = Registry()
    collectors = [ProcessCollector(registry), RuntimeCollector(registry), HostCollector(registry)]
    for collector in collectors:
        collector.close()

    def use():
        for collector in collectors:
            collector.tick()
        return registry.names()

    assert in_child(use) == ()


def test_the_host_is_counted_from_the_first_tick_in_the_child():
    registry = Registry()
    collector = HostCollector(registry)
    # As if the machine had done a lot since the parent looked.
    for totals in (collector._disks, collector._network):
        totals._last = {name: (0,) * len(row) for name, row in totals._last.items()}
    collector._load._last = 0.0

    def use():
        collector.tick()
        first = [
            value(registry, name) for name in ("system/disk/readbytes", "system/cpu/sysload/total")
        ]
        collector.tick()
        return first, value(registry, "system/memory/total") > 0

    assert in_child(use) == ([0, 0.0], True)
    collector.close()


def test_garbage_collections_are_counted_in_the_child():
    registry = Registry()
    collector = RuntimeCollector(registry)
    gc.collect()

    def use():
        before = registry.get("python/gc/collected").count
        threads = value(registry, "python/threads")
        gc.collect()
        return before, threads, registry.get("system/memory/pauses").count

    before, threads, pauses = in_child(use)
    assert (before, threads) == (0, 1)
    assert pauses >= 1
    collector.close()


def test_a_collector_of_a_hook_is_ticked_in_the_child():
    with Ticker(0.01) as ticker:
        registry = Registry(ticker=ticker)
        with process(registry) as collector:
            registry.gauge("process/uptime")

            def use():
                registry.snapshot()
                registry.get("process/uptime").set(-1.0)
                bell = __import__("threading").Event()

                class Bell:
                    def tick(self):
                        if value(registry, "process/uptime") >= 0.0:
                            bell.set()

                ticker.add(Bell())
                ticked = bell.wait(DEADLINE)
                ticker.stop(DEADLINE)
                return ticked, collector._process.pid == os.getpid()

            assert in_child(use) == (True, True)
