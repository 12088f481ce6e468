"""Requests hold what the registry holds, in messages that the official classes read."""

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
from tests.exporters.examples import NOW_NS, everything

START_NS = NOW_NS - 10**10

TIMES = {"timestamp_ns": NOW_NS, "start_ns": START_NS}


def read(page: bytes) -> ExportMetricsServiceRequest:
    return ExportMetricsServiceRequest.FromString(page)


def points(page: bytes) -> list[tuple[str, object]]:
    return [
        (metric.name, point)
        for resource in read(page).resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in getattr(metric, metric.WhichOneof("data")).data_points
    ]


def hits(children: int) -> Registry:
    registry = Registry()
    family = registry.counters("hits", labels=("x",), max_children=children)
    for index in range(children):
        family.labels(index).inc(index)
    return registry


def test_a_request_says_what_is_measured_and_what_measures():
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


def test_a_registry_with_nothing_in_it_is_no_request():
    assert list(otlp.stream(Registry(), **TIMES)) == []
    assert otlp.render(Registry(), **TIMES) == b""


@pytest.mark.parametrize("limit", [1, 2, 7, 1000])
def test_no_request_has_more_points_than_asked_for(limit):
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


def test_the_page_is_its_requests_one_after_the_other():
    registry = hits(10)
    whole = otlp.render(registry, **TIMES, batch_size=4)
    assert whole == b"".join(otlp.stream(registry, **TIMES, batch_size=4))
    assert len(points(whole)) == 10


def test_requests_come_before_all_is_read():
    read_so_far = Tally()
    registry = Registry()
    for name in "abc":
        registry.int_gauge(name, function=lambda name=name: read_so_far.update([name]) or 1)
    stream = otlp.stream(registry, **TIMES, batch_size=1)
    assert not read_so_far
    next(stream)
    assert read_so_far == {"a": 1}
    stream.close()


@given(st.lists(st.integers(0, 1 << 40), min_size=1, max_size=5))
def test_deltas_add_up_to_the_total(amounts):
    registry = Registry()
    counter = registry.counter("a")
    deltas = Deltas()
    told = []
    for index, amount in enumerate(amounts):
        counter.inc(amount)
        page = otlp.render(registry, timestamp_ns=index + 1, start_ns=0, deltas=deltas)
        ((_, point),) = points(page)
        assert (point.start_time_unix_nano, point.time_unix_nano) == (index, index + 1)
        told.append(point.as_int)
    assert told == amounts


def test_what_is_left_of_a_counter_when_it_begins_anew_is_a_delta():
    registry = Registry()
    counter = registry.counter("a")
    deltas = Deltas()
    told = []
    for amount in (5, 2):
        counter.clear()
        counter.inc(amount)
        ((_, point),) = points(otlp.render(registry, **TIMES, deltas=deltas))
        told.append(point.as_int)
    assert told == [5, 2]


def test_an_instrument_called_like_the_rates_of_another_gives_way(caplog):
    warn_once.cache_clear()
    registry = Registry()
    registry.meter("a").mark(2)
    registry.counter("a.rate").inc(7)
    registry.counter("b.rate").inc(8)
    with caplog.at_level(logging.WARNING):
        names = Tally(name for name, _ in points(otlp.render(registry, **TIMES)))
    assert names == {"a": 1, "a.rate": 4, "b.rate": 1}
    assert "'a.rate' is left out" in caplog.text


def test_what_resets_resets_for_its_reader_alone():
    registry = Registry()
    registry.resetting_timer("pause").update(1.0)
    otlp.render(registry, **TIMES, reader="other")
    for quantiles in (8, 0):
        ((_, point),) = points(otlp.render(registry, **TIMES))
        assert (point.count, point.sum, len(point.quantile_values)) == (1, 1.0, quantiles)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"timestamp_ns": -1}, ValueError, "timestamp_ns"),
        ({"timestamp_ns": 1 << 63}, ValueError, "timestamp_ns"),
        ({"timestamp_ns": 1.5}, TypeError, "timestamp_ns"),
        ({"start_ns": NOW_NS + 1}, ValueError, "start_ns takes a time before"),
        ({"start_ns": None}, TypeError, "start_ns"),
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"deltas": "delta"}, TypeError, "deltas takes a Deltas"),
        ({"resource": None}, TypeError, "resource takes a mapping"),
        ({"resource": {"a": None}}, TypeError, "'a': None"),
        ({"resource": {1: "a"}}, TypeError, "1: 'a'"),
        ({"resource": {"": "a"}}, ValueError, "no name"),
    ],
)
def test_a_wrong_option_is_told_before_anything_is_read(options, error, message):
    with pytest.raises(error, match=message):
        otlp.stream(Registry(), **{**TIMES, **options})


def test_without_the_extra_an_error_says_what_to_install(monkeypatch):
    for module in [*sys.modules]:
        if module.startswith("opentelemetry") or module.endswith("otlp._messages"):
            monkeypatch.delitem(sys.modules, module)
    real = builtins.__import__

    def absent(name: str, *args: object) -> object:
        if name.startswith("opentelemetry"):
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(ImportError, match=r"pip install 'wired-metrics\[otlp\]'"):
        otlp.stream(Registry(), **TIMES)
