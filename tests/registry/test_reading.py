"""Values of a registry in name order, without unreadable instruments."""

import logging
import threading
from contextlib import ExitStack
from functools import partial

import pytest

from metrics import (
    GaugeSnapshot,
    HealthcheckError,
    Registry,
    _fork,
)
from metrics.exporters import prometheus
from metrics.registry._inner import store_of


def test_a_snapshot_holds_the_values_in_name_order():
    registry = Registry("app")
    registry.gauge("b").set(2.0)
    registry.counter("a").inc(1)
    snapshot = registry.snapshot()
    assert list(snapshot) == ["app/a", "app/b"]
    assert len(snapshot) == 2
    assert snapshot["app/b"] == GaugeSnapshot(2.0)
    assert "app/c" not in snapshot
    assert repr(snapshot) == (
        "RegistrySnapshot({'app/a': CounterSnapshot(count=1), 'app/b': GaugeSnapshot(value=2.0)})"
    )
    with pytest.raises(KeyError):
        snapshot.entry("app/c")


def test_a_snapshot_is_not_changed_by_later_updates():
    registry = Registry()
    counter = registry.counter("a")
    labelled = registry.counters("f", labels=("x",))
    labelled.labels("1").inc()
    before = registry.snapshot()
    copied = dict(before)
    counter.inc()
    labelled.labels("1").inc()
    labelled.labels("2").inc()
    registry.unregister("a")
    registry.counter("b")
    assert dict(before) == copied
    assert before["a"].to_dict() == {"count": 0}
    assert before["f"].to_dict() == {'{x="1"}': {"count": 1}}
    with pytest.raises(TypeError):
        before["a"] = before["f"]  # type: ignore[index]
    with pytest.raises(AttributeError):
        before["a"].count = 5  # type: ignore[attr-defined]


def test_an_unreadable_instrument_is_logged_and_left_out(caplog: pytest.LogCaptureFixture):
    registry = Registry()
    registry.gauge("broken", function=lambda: 1 / 0)
    registry.counter("whole").inc()
    snapshot = registry.snapshot()
    assert list(snapshot) == ["whole"]
    with pytest.raises(KeyError):
        snapshot.entry("broken")
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("metrics.registry", logging.ERROR)
    assert record.getMessage() == "'broken' cannot be read and is left out until it can be"
    assert "ZeroDivisionError" in caplog.text
    assert list(registry.to_dict()) == ["whole"]


def test_values_reset_for_each_reader_alone():
    registry = Registry()
    timer = registry.resetting_timer("took")

    def counts(reader: str) -> object:
        return registry.snapshot(reader)["took"].to_dict()["count"]

    timer.update(1.0)
    assert counts("a") == 1
    assert counts("b") == 1
    timer.update(1.0)
    assert (counts("a"), counts("a"), counts("b")) == (1, 0, 1)
    timer.update(1.0)
    assert registry.to_dict("a")["took"]["count"] == 1
    assert counts("b") == 1


HISTOGRAM_KEYS = ["count", "min", "max", "mean", "stddev", "median", "75%", "95%", "99%", "99.9%"]


METER_KEYS = ["count", "1m.rate", "5m.rate", "15m.rate", "mean.rate"]


BUCKET_KEYS = ["count", "mean", "sum", "buckets"]


def test_to_dict_has_go_ethereums_keys():
    registry = Registry()
    registry.counter("counter").inc(3)
    registry.updown_counter("updown").dec()
    registry.gauge("gauge").set(1.5)
    registry.info("info").set({"version": "1.2"})
    registry.meter("meter")
    registry.histogram("histogram").update(2.0)
    registry.timer("timer")
    registry.timer("sampled", sampled=True)
    registry.resetting_timer("resetting")
    registry.healthcheck("health", lambda: None)
    family = registry.counters("family", labels=("method",))
    family.labels("GET").inc(2)
    values = registry.to_dict()
    assert values["counter"] == {"count": 3}
    assert values["updown"] == {"count": -1}
    assert values["gauge"] == {"value": 1.5}
    assert values["info"] == {"value": {"version": "1.2"}}
    assert list(values["meter"]) == METER_KEYS
    assert list(values["histogram"]) == HISTOGRAM_KEYS
    assert values["timer"].keys() == {*BUCKET_KEYS, *METER_KEYS}
    assert values["sampled"].keys() == {*HISTOGRAM_KEYS, *METER_KEYS}
    assert list(values["resetting"]) == HISTOGRAM_KEYS
    assert values["health"] == {"error": None}
    assert values['family{method="GET"}'] == {"count": 2}
    assert "family" not in values


def test_run_healthchecks_runs_every_check_under_the_prefix():
    root = Registry()
    child = root.child("db")
    lost = ConnectionError("lost")

    def fail() -> None:
        raise lost

    child.healthcheck("primary", fail)
    child.healthcheck("replica", lambda: False)
    root.healthcheck("disk", lambda: None)
    root.counter("other")
    errors = root.run_healthchecks()
    assert list(errors) == ["db/primary", "db/replica", "disk"]
    assert errors["db/primary"] is lost
    assert isinstance(errors["db/replica"], HealthcheckError)
    assert errors["disk"] is None
    assert list(child.run_healthchecks()) == ["db/primary", "db/replica"]


def test_an_unreadable_gauge_is_logged_once_until_it_can_be_read_again(caplog):
    registry = Registry()
    broken = [True]

    def read() -> float:
        if broken[0]:
            raise OSError("gone")
        return 1.0

    registry.gauge("x", function=read)
    for state in (True, True, False, True):
        broken[0] = state
        assert ("x" in registry.snapshot()) is not state
    assert len(caplog.records) == 2


def test_the_entry_that_a_thread_is_reading_is_known_until_it_is_read():
    registry = Registry("shop")
    store = store_of(registry)
    thread = threading.get_ident()
    seen: list[str | None] = []

    def note(value: float = 1.0) -> float:
        entry = store.entry_in_read(thread)
        seen.append(entry and entry.name)
        return value

    def fail() -> float:
        note()
        raise OSError

    def read_all() -> float:
        note()
        # The function of an instrument reads the registry.
        assert [entry.name for entry, _ in store.read(lambda entry: None)] == [
            "shop/a",
            "shop/b",
            "shop/c",
        ]
        return note()

    registry.gauge("a", function=note)
    registry.gauge("b", function=fail)
    registry.gauge("c", function=read_all)
    for _ in store.read(lambda entry: entry.instrument.snapshot()):
        note()
    note()
    assert seen == [
        "shop/a",
        None,
        "shop/b",
        "shop/c",
        "shop/c",
        None,
        None,
    ]
    assert store.entry_in_read(0) is None
    assert not store._reading


def test_a_read_that_is_abandoned_leaves_nothing_behind():
    registry = Registry()
    registry.counter("a")
    registry.counter("b")
    store = store_of(registry)
    reading = store.read(lambda entry: entry.instrument.snapshot())
    next(reading)
    reading.close()
    assert not store._reading


def test_entries_are_refreshed_before_each_read_of_parents_and_children():
    registry = Registry()
    child = registry.child("app")
    numbers = iter(range(10))

    def refresh() -> None:
        registry.gauge("late").set(next(numbers))

    with store_of(child).refresh_by(refresh):
        assert registry.snapshot()["late"].value == 0
        assert b"late 1.0" in prometheus.render(registry)
        assert not child.snapshot()
        assert registry.snapshot()["late"].value == 3
    assert registry.snapshot()["late"].value == 3


def test_the_refreshes_of_removed_owners_end():
    registry = Registry()
    owners = [object(), object()]
    called: list[object] = []
    with ExitStack() as stack:
        for owner in owners:
            token = _fork.registering.set(owner)
            stack.enter_context(store_of(registry).refresh_by(partial(called.append, owner)))
            _fork.registering.reset(token)
        _fork.drop_registered_by([owners[0]])
        registry.snapshot()
        assert called == [owners[1]]
