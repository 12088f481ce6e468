import os
import resource
import sys
import threading
import time

import psutil
import pytest

from metrics import DuplicateMetricError, FloatCounter, Gauge, Registry
from metrics.collectors import ProcessCollector
from metrics.collectors._process import CpuLoad
from metrics.registry._inner import store_of
from metrics.testing import ManualClock

UNITS = {
    "process/max_fds": "",
    "process/open_fds": "",
    "process/uptime": "seconds",
    "system/cpu/procload": "percent",
    "system/cpu/procload/total": "seconds",
    "system/cpu/threads": "",
    "system/memory/held": "bytes",
}


def cpu_seconds():
    times = psutil.Process().cpu_times()
    return times.user + times.system


def burn(seconds):
    """Use CPU until the system's record of it has grown; give up after long enough."""
    begin, give_up = cpu_seconds(), time.process_time() + 20.0
    while cpu_seconds() < begin + seconds:
        assert time.process_time() < give_up
        sum(range(20_000))


def test_names_and_units_are_these():
    registry = Registry()
    ProcessCollector(registry)
    assert {entry.name: entry.unit for entry in store_of(registry).entries()} == UNITS
    assert all(entry.description for entry in store_of(registry).entries())


def test_the_first_sample_adds_no_cpu_time_of_before_and_sets_the_gauges():
    burn(0.02)
    registry = Registry()
    before = time.time()
    ProcessCollector(registry)
    found = registry.to_dict()
    assert found["system/cpu/procload/total"] == {"count": 0.0}
    assert found["system/cpu/procload"] == {"value": 0.0}
    assert found["system/cpu/threads"]["value"] == psutil.Process().num_threads()
    assert 2**20 < found["system/memory/held"]["value"] < psutil.virtual_memory().total
    assert found["process/max_fds"]["value"] == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    age = before - psutil.Process().create_time()
    assert age - 1.0 < found["process/uptime"]["value"] < age + 60.0


def test_cpu_time_is_counted_in_seconds_and_as_percent_of_one_core():
    registry, clock = Registry(), ManualClock()
    before = cpu_seconds()
    collector = ProcessCollector(registry, clock=clock)
    burn(0.05)
    clock.advance(0.5)
    collector.tick()
    used = registry.get("system/cpu/procload/total").count
    assert 0.05 - 1e-9 <= used <= cpu_seconds() - before + 1e-9
    assert registry.get("system/cpu/procload").value == pytest.approx(100 * used / 0.5)


def test_a_clock_that_stands_still_breaks_nothing():
    registry = Registry()
    collector = ProcessCollector(registry, clock=ManualClock())
    burn(0.02)
    collector.tick()
    assert registry.get("system/cpu/procload").value == 0.0
    assert registry.get("system/cpu/procload/total").count > 0.0


def test_uptime_advances_with_the_clock():
    registry, clock = Registry(), ManualClock()
    collector = ProcessCollector(registry, clock=clock)
    begin = registry.get("process/uptime").value
    clock.advance(100.0)
    collector.tick()
    assert registry.get("process/uptime").value - begin == pytest.approx(100.0)


def test_threads_and_open_files_are_seen_coming_and_going():
    registry = Registry()
    collector = ProcessCollector(registry)

    def seen():
        collector.tick()
        return [registry.get(name).value for name in ("system/cpu/threads", "process/open_fds")]

    threads, files = seen()
    stop = threading.Event()
    workers = [threading.Thread(target=stop.wait) for _ in range(3)]
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(5)]
    try:
        for worker in workers:
            worker.start()
        assert seen() == [threads + 3, files + 5]
    finally:
        stop.set()
        for descriptor in opened:
            os.close(descriptor)
        for worker in workers:
            worker.join()
    assert seen()[1] == files


def test_a_limit_of_files_that_is_none_reads_as_0(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (resource.RLIM_INFINITY,) * 2)
    registry = Registry()
    ProcessCollector(registry)
    assert registry.get("process/max_fds").value == 0


def test_a_platform_without_file_descriptors_has_no_gauges_of_them(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    registry = Registry()
    ProcessCollector(registry).tick()
    assert {*registry.names()} == {*UNITS} - {"process/max_fds", "process/open_fds"}


def test_a_cpu_load_counts_from_its_first_look_and_only_upwards():
    percent, total = Gauge(), FloatCounter()
    load = CpuLoad(percent, total)
    seen = []
    for seconds, now in ((900.0, 10.0), (901.0, 12.0), (903.0, 12.0), (4.0, 13.0), (4.5, 14.0)):
        load.update(seconds, now)
        seen.append((percent.value, total.count))
    assert seen == [(0.0, 0.0), (50.0, 1.0), (50.0, 3.0), (200.0, 3.0), (50.0, 3.5)]


@pytest.mark.parametrize("name", UNITS)
def test_a_taken_name_leaves_nothing_registered(name):
    registry = Registry()
    taken = registry.info(name)
    with pytest.raises(DuplicateMetricError, match=name):
        ProcessCollector(registry)
    assert dict(registry) == {name: taken}


def test_close_empties_the_registry_once_and_a_late_tick_changes_nothing():
    registry, clock = Registry(), ManualClock()
    collector = ProcessCollector(registry, clock=clock)
    uptime = registry.get("process/uptime")
    begin = uptime.value
    collector.close()
    assert registry.names() == ()
    successor = ProcessCollector(registry)
    collector.close()
    assert len(registry) == len(UNITS)
    successor.close()
    clock.advance(100.0)
    collector.tick()
    assert uptime.value == begin


def test_a_disabled_registry_stays_empty():
    registry = Registry(enabled=False)
    collector = ProcessCollector(registry)
    collector.tick()
    assert registry.names() == ()
    collector.close()


def test_without_psutil_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "psutil", None)
    registry = Registry()
    with pytest.raises(ImportError, match=r"pip install 'wired-metrics\[host\]'"):
        ProcessCollector(registry)
    assert registry.names() == ()
