"""Series that a server cannot tell apart are written, and said to be alike once."""

import logging
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import Registry
from metrics.exporters import graphite, opentsdb, statsd
from metrics.exporters._series.series import read_series
from metrics.exporters._series.targets import assign_targets, warn_once

Render = Callable[[Registry], bytes]

TAGGED: dict[str, Render] = {
    "graphite": lambda registry: graphite.render(registry, timestamp_ns=0),
    "opentsdb": lambda registry: opentsdb.render(registry, host="h", timestamp_ns=0),
    "opentsdb as JSON": lambda registry: opentsdb.render(
        registry, host="h", timestamp_ns=0, dialect="json"
    ),
    "dogstatsd": lambda registry: statsd.render(
        registry, deltas=statsd.Deltas(), dialect="dogstatsd"
    ),
}

NESTED: dict[str, Render] = {
    "graphite": lambda registry: graphite.render(registry, timestamp_ns=0, label_style="nodes"),
    "statsd": lambda registry: statsd.render(registry, deltas=statsd.Deltas()),
}


@pytest.fixture(autouse=True)
def unsaid():
    warn_once.cache_clear()


def shops(name: str, *values: str) -> Registry:
    registry = Registry()
    family = registry.counters(name, labels=("shop",))
    for value in values:
        family.labels(value).inc()
    return registry


@pytest.mark.parametrize("render", [*TAGGED.values(), *NESTED.values()])
def test_labels_that_are_written_alike_are_logged_once_and_all_written(render, caplog):
    registry = shops("hits", "a;b", "a_b")
    for _ in range(3):
        assert render(registry).count(b"a_b") == 2
    (record,) = caplog.records
    assert record.getMessage().startswith('hits{shop="a;b"} and hits{shop="a_b"} are written alike')
    assert record.levelno == logging.WARNING


@pytest.mark.parametrize("render", NESTED.values(), ids=NESTED)
def test_a_name_that_looks_like_one_with_labels_is_logged(render, caplog):
    registry = shops("walk/ins", "north")
    registry.counter("walk/ins/shop/north").inc()
    render(registry)
    assert 'walk/ins{shop="north"} and walk/ins/shop/north are written alike' in caplog.text


@pytest.mark.parametrize("render", TAGGED.values(), ids=TAGGED)
def test_labels_that_differ_in_what_can_be_written_are_not_logged(render, caplog):
    render(shops("visits", "a", "b", "a_b", "a-b"))
    assert not caplog.records


@given(st.sets(st.text(), max_size=8))
def test_what_has_a_place_keeps_its_order_and_what_has_none_is_left_out(values):
    registry = shops("hits", *values)
    everything = list(read_series(registry, ""))
    found = list(assign_targets(everything, lambda one: one.labels[0][1] or None))
    assert found == [(one, one.labels[0][1]) for one in everything if one.labels[0][1]]
