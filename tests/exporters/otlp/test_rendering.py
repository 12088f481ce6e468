"""Requests have every value of the registry, in messages that the official classes read."""

import builtins
import logging
import sys
from collections import Counter as Tally
from importlib.metadata import version

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from metrics import Registry
from metrics.exporters import otlp
from metrics.exporters._series.clashes import warn_once
from metrics.exporters._series.deltas import Deltas
from metrics.testing import ManualClock
from tests.exporters.examples import NOW_NS, everything
from tests.exporters.otlp.reading import points_in
from tests.exporters.page_reading import Custom

TIMES = {"timestamp_ns": NOW_NS}


def read(page: bytes) -> ExportMetricsServiceRequest:
    return ExportMetricsServiceRequest.FromString(page)


def points(page: bytes) -> list[tuple[str, object]]:
    return [*points_in(page)]


def hits(children: int) -> Registry:
    registry = Registry()
    family = registry.counters("hits", labels=("x",), max_children=children)
    for index in range(children):
        family.labels(index).inc(index)
    return registry


def test_a_request_has_its_resource_and_its_scope():
    resource = {"service.name": "shop", "shard": 3, "canary": True, "share": 0.5, "big": 1 << 64}
    (one,) = read(otlp.render(everything(), **TIMES, resource=resource)).resource_metrics
    held = {pair.key: pair.value for pair in one.resource.attributes}
    assert held["service.name"].string_value == "shop"
    assert held["shard"].int_value == 3
    assert held["canary"].bool_value is True
    assert held["share"].double_value == 0.5
    assert held["big"].double_value == 2.0**64
    (scope,) = one.scope_metrics
    assert scope.scope.name == "wired-metrics"
    assert scope.scope.version == version("wired-metrics")


def test_an_empty_registry_is_no_request():
    assert list(otlp.stream(Registry(), **TIMES)) == []
    assert otlp.render(Registry(), **TIMES) == b""


@pytest.mark.parametrize("limit", [1, 2, 7, 1000])
def test_no_request_has_more_points_than_its_limit(limit):
    whole = points(otlp.render(everything(), **TIMES))
    requests = list(otlp.stream(everything(), **TIMES, batch_size=limit))
    assert len(requests) == -(-len(whole) // limit)
    split = [points(request) for request in requests]
    assert all(0 < len(part) <= limit for part in split)
    assert [point for part in split for point in part] == whole


def test_each_request_has_the_resource():
    for request in otlp.stream(hits(10), **TIMES, batch_size=3, resource={"service.name": "a"}):
        (one,) = read(request).resource_metrics
        assert one.resource.attributes[0].value.string_value == "a"


def test_the_children_of_a_family_are_points_of_one_metric():
    (one,) = read(otlp.render(hits(10), **TIMES)).resource_metrics
    (metric,) = one.scope_metrics[0].metrics
    values = {p.attributes[0].value.string_value: p.as_int for p in metric.sum.data_points}
    assert values == {str(index): index for index in range(10)}


@given(st.lists(st.integers(0, 1 << 40), min_size=1, max_size=5))
def test_deltas_add_up_to_the_total(amounts):
    registry = Registry(clock=ManualClock(epoch=0))
    counter = registry.counter("a")
    deltas = Deltas()
    sent = []
    for index, amount in enumerate(amounts):
        counter.inc(amount)
        page = otlp.render(registry, timestamp_ns=index + 1, deltas=deltas)
        ((_, point),) = points(page)
        assert (point.start_time_unix_nano, point.time_unix_nano) == (index, index + 1)
        sent.append(point.as_int)
    assert sent == amounts


def test_the_first_delta_after_a_clear_is_the_total():
    registry = Registry()
    counter = registry.counter("a")
    deltas = Deltas()
    sent = []
    for amount in (5, 2):
        counter.clear()
        counter.inc(amount)
        ((_, point),) = points(otlp.render(registry, **TIMES, deltas=deltas))
        sent.append(point.as_int)
    assert sent == [5, 2]


NUMBERED = {
    "/ and .": (["a/b", "a.b"], "counter", {"a.b": 1, "a.b_2": 1}),
    "three": (["a.b.c", "a/b/c", "a/b.c"], "counter", {"a.b.c": 1, "a.b.c_2": 1, "a.b.c_3": 1}),
    "meters": (["a/b", "a.b"], "meter", {"a.b": 1, "a.b.rate": 4, "a.b_2": 1, "a.b_2.rate": 4}),
}


@pytest.mark.parametrize(("names", "kind", "exported"), NUMBERED.values(), ids=NUMBERED)
def test_names_that_differ_in_dots_and_slashes_get_numbers(names, kind, exported, caplog):
    registry = Registry()
    for value, name in enumerate(names, 1):
        instrument = getattr(registry, kind)(name)
        (instrument.mark if kind == "meter" else instrument.inc)(value)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            found = points(otlp.render(registry, **TIMES))
    assert Tally(name for name, _ in found) == exported
    totals = {name: point.as_int for name, point in found if "rate" not in name}
    # The first to be registered keeps its name.
    assert [totals[name] for name in exported if "rate" not in name] == [*range(1, len(names) + 1)]
    assert len(caplog.records) == len(names) - 1
    assert f"{names[1]!r} is renamed" in caplog.text


@pytest.mark.parametrize(
    ("suffix", "kind", "count"), [("rate", "meter", 4), ("quantile", "histogram", 8)]
)
@pytest.mark.parametrize("first", ["instrument", "namesake"])
def test_a_namesake_of_a_gauge_beside_a_metric_gets_a_number(suffix, kind, count, first, caplog):
    registry = Registry()
    names = ["a", f"a.{suffix}"] if first == "instrument" else [f"a.{suffix}", "a"]
    for name in names:
        if name == "a":
            instrument = getattr(registry, kind)("a")
            (instrument.mark if kind == "meter" else instrument.update)(2)
        else:
            registry.counter(name).inc(7)
    with caplog.at_level(logging.WARNING):
        found = Tally(name for name, _ in points(otlp.render(registry, **TIMES)))
    if first == "instrument":
        assert found == {"a": 1, f"a.{suffix}": count, f"a.{suffix}_2": 1}
    else:
        assert found == {"a_2": 1, f"a_2.{suffix}": count, f"a.{suffix}": 1}
    assert "is renamed" in caplog.text


def test_of_foreign_instruments_of_one_name_the_first_is_written(caplog):
    warn_once.cache_clear()
    registry = Registry()
    other = Registry()
    other.counter("a").inc(3)
    registry.register("a.b", Custom(other.get("a").snapshot()))
    registry.register("a/b", Custom(Registry().counter("a").snapshot()))
    with caplog.at_level(logging.WARNING):
        ((name, point),) = points(otlp.render(registry, **TIMES))
    assert (name, point.as_int) == ("a.b", 3)
    assert "'a/b' is left out" in caplog.text


def test_without_the_extra_an_error_says_what_to_install(monkeypatch):
    for module in [*sys.modules]:
        if module.startswith("opentelemetry") or module.endswith(
            ("otlp._messages", "otlp._points")
        ):
            monkeypatch.delitem(sys.modules, module)
    real = builtins.__import__

    def absent(name: str, *args: object) -> object:
        if name.startswith("opentelemetry"):
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(ImportError, match=r"pip install 'wired-metrics\[otlp\]'"):
        otlp.stream(Registry(), **TIMES)
