"""A reporter tells about itself in the registry that it reports."""

import pytest

from metrics import DuplicateMetricError, Registry
from metrics.registry._inner import store_of
from metrics.reporters._push.statistics import statistics

NAMES = ("dropped", "failed", "latency", "sent")


def test_its_instruments_are_registered_while_it_runs():
    registry = Registry("app")
    with statistics(registry, "influx") as counted:
        assert registry.names() == tuple(f"app/reporter/influx/{name}" for name in NAMES)
        counted.sent.inc(3)
        counted.latency.update(0.2)
        snapshot = registry.snapshot()
        assert snapshot["app/reporter/influx/sent"].count == 3
        assert snapshot["app/reporter/influx/latency"].count == 1
        assert snapshot.entry("app/reporter/influx/latency").unit == "seconds"
        assert all(entry.description for entry in store_of(registry).entries())
    assert registry.names() == ()


def test_two_reporters_need_two_names_and_the_first_is_left_alone():
    registry = Registry()
    with statistics(registry, "one"):
        with (
            pytest.raises(DuplicateMetricError, match="reporter/one/sent") as caught,
            statistics(registry, "one"),
        ):
            pytest.fail("the name is taken")
        assert "name=" in caught.value.__notes__[0]
        with statistics(registry, "two"):
            assert len(registry) == 8
        assert len(registry) == 4


def test_a_name_that_is_taken_halfway_leaves_nothing():
    registry = Registry()
    registry.counter("reporter/one/dropped")
    with pytest.raises(DuplicateMetricError), statistics(registry, "one"):
        pytest.fail("the name is taken")
    assert registry.names() == ("reporter/one/dropped",)


def test_a_disabled_registry_has_none():
    registry = Registry(enabled=False)
    with statistics(registry, "one") as counted:
        counted.sent.inc()
        assert len(registry) == 0
