"""Unregistered instruments are read once more by each reader that follows the registry."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import Counter, Gauge, Registry, ResettingTimer
from metrics.exporters import prometheus
from metrics.exporters._series.series import read_series
from metrics.registry import _farewells
from metrics.registry._inner import store_of
from metrics.testing import ManualClock


def counts(registry: Registry, reader: str) -> dict[str, object]:
    return {name: value.to_dict() for name, value in registry.snapshot(reader).items()}


def test_a_reader_that_follows_reads_an_unregistered_instrument_once():
    registry = Registry()
    with store_of(registry).follow("db"):
        registry.counter("hits").inc(3)
        assert registry.unregister("hits")
        assert registry.names() == ()
        assert counts(registry, "db") == {"hits": {"count": 3}}
        assert counts(registry, "db") == {}


def test_other_readers_do_not_read_it():
    registry = Registry()
    with store_of(registry).follow("db"):
        registry.counter("hits").inc(3)
        registry.unregister("hits")
        assert counts(registry, "") == counts(registry, "other") == {}
    assert counts(registry, "db") == {}


def test_each_reader_that_follows_reads_it():
    registry = Registry()
    with store_of(registry).follow("one"), store_of(registry).follow("two"):
        registry.resetting_timer("wait").update(2.0)
        registry.unregister("wait")
        for reader in ("one", "two"):
            assert counts(registry, reader)["wait"]["count"] == 1


def test_values_that_were_read_and_reset_are_not_read_twice():
    registry = Registry()
    with store_of(registry).follow("db"):
        timer = registry.resetting_timer("wait")
        timer.update(2.0)
        registry.snapshot("db")
        timer.update(3.0)
        registry.unregister("wait")
        assert list(registry.snapshot("db")["wait"].values) == [3.0]


def test_late_updates_of_an_unregistered_instrument_are_read():
    registry = Registry()
    with store_of(registry).follow("db"):
        hits = registry.counter("hits")
        registry.unregister("hits")
        hits.inc(3)
        assert counts(registry, "db") == {"hits": {"count": 3}}


def test_a_gauge_is_read_when_it_is_unregistered_as_its_function_may_fail_later():
    registry = Registry()
    connections = [1, 2, 3]
    with store_of(registry).follow("db"):
        registry.register("connections", Gauge(lambda: len(connections)))
        registry.unregister("connections")
        connections.clear()
        assert counts(registry, "db") == {"connections": {"value": 3.0}}


def test_a_gauge_that_cannot_be_read_is_unregistered_all_the_same(caplog):
    registry = Registry()

    def broken() -> float:
        raise OSError("closed")

    with store_of(registry).follow("db"):
        registry.register("broken", Gauge(broken))
        assert registry.unregister("broken")
        assert registry.names() == ()
        assert counts(registry, "db") == {}
    assert "'broken' cannot be read" in caplog.text


def test_a_gauge_that_unregisters_another_does_not_hang():
    registry = Registry()

    def function() -> float:
        thread = threading.Thread(target=registry.unregister, args=("other",))
        thread.start()
        thread.join(10.0)
        assert not thread.is_alive()
        return 1.0

    with store_of(registry).follow("db"):
        registry.counter("other")
        registry.register("gauge", Gauge(function))
        registry.unregister("gauge")
        assert set(counts(registry, "db")) == {"gauge", "other"}


def test_a_successor_of_the_same_name_is_read_instead():
    registry = Registry()
    with store_of(registry).follow("db"):
        registry.counter("hits").inc(3)
        registry.unregister("hits")
        registry.counter("hits").inc(5)
        assert counts(registry, "db") == {"hits": {"count": 5}}
        registry.unregister("hits")
        assert counts(registry, "db") == {"hits": {"count": 5}}


def test_a_successor_of_a_name_that_is_only_written_alike_replaces_nothing():
    registry = Registry()
    with store_of(registry).follow("db"):
        registry.counter("a/b").inc(3)
        registry.unregister("a/b")
        registry.counter("a.b").inc(5)
        assert counts(registry, "db") == {"a.b": {"count": 5}, "a/b": {"count": 3}}
        assert counts(registry, "db") == {"a.b": {"count": 5}}


def test_an_instrument_that_is_registered_again_is_read_once_and_loses_nothing():
    registry = Registry()
    timer = ResettingTimer()
    with store_of(registry).follow("db"):
        registry.register("wait", timer)
        timer.update(1.0)
        registry.unregister("wait")
        timer.update(2.0)
        registry.register("wait", timer)
        timer.update(3.0)
        assert list(registry.snapshot("db")["wait"].values) == [1.0, 2.0, 3.0]


def test_a_child_reads_unregistered_instruments_under_its_prefix_and_leaves_the_rest():
    registry = Registry("app")
    child = registry.child("db")
    with store_of(registry).follow("reader"):
        registry.counter("hits").inc()
        child.counter("reads").inc()
        registry.clear()
        assert set(counts(child, "reader")) == {"app/db/reads"}
        assert set(counts(registry, "reader")) == {"app/hits"}


def test_exporters_write_unregistered_instruments_as_before():
    registry = Registry(clock=ManualClock())
    with store_of(registry).follow("db"):
        registry.gauge("temperature", description="How hot", unit="percent").set(50.0)
        registry.int_gauge("connections").set(7)
        registry.timer("wait").update(2.0)
        registry.resetting_timer("pause").update(2.0)
        registry.gauges("load", labels=("core",)).labels("0").set(0.5)
        before = [one._replace(entry=None) for one in read_series(registry, "other")]
        registry.clear()
        assert [one._replace(entry=None) for one in read_series(registry, "db")] == before
        assert list(read_series(registry, "db")) == []


def test_the_oldest_are_dropped_above_the_limit(monkeypatch):
    monkeypatch.setattr(_farewells, "LIMIT", 3)
    registry = Registry()
    with store_of(registry).follow("db"):
        for number in range(5):
            registry.counter(f"n{number}")
            registry.unregister(f"n{number}")
        assert list(counts(registry, "db")) == ["n2", "n3", "n4"]


def test_without_a_reader_that_follows_nothing_is_read():
    registry = Registry()
    registry.register("gauge", Gauge(lambda: pytest.fail("was read")))
    registry.unregister("gauge")


@given(
    st.lists(
        st.tuples(st.sampled_from(["update", "swap", "read"]), st.sampled_from("ab")), max_size=40
    )
)
def test_every_update_is_read_once_whatever_is_registered_and_unregistered(steps):
    registry = Registry()
    timers = {"a": ResettingTimer(), "b": ResettingTimer()}
    registered: set[str] = set()
    updates, read = 0, 0
    with store_of(registry).follow("db"):
        for step, name in [*steps, ("read", "")]:
            if step == "update":
                timers[name].update(1.0)
                updates += 1
            elif step == "read":
                read += sum(value.count for value in registry.snapshot("db").values())
            elif name in registered:
                registry.unregister(name)
                registered.discard(name)
            else:
                registry.register(name, timers[name])
                registered.add(name)
        for name in {"a", "b"} - registered:
            registry.register(name, timers[name])
        read += sum(value.count for value in registry.snapshot("db").values())
    assert read == updates


def test_instruments_of_a_disabled_registry_leave_nothing():
    registry = Registry(enabled=False)
    with store_of(registry).follow("db"):
        registry.register("hits", Counter())
        registry.register("gauge", Gauge(lambda: pytest.fail("was read")))
        registry.clear()
        assert counts(registry, "db") == {}


def test_an_unregistered_gauge_has_the_same_description():
    registry = Registry()
    registry.gauge("load").set(0.5)
    before = prometheus.render(registry, reader="one")
    with store_of(registry).follow("one"):
        registry.unregister("load")
        assert prometheus.render(registry, reader="one") == before
