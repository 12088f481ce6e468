"""Where a name has one type, a family of timers with and without buckets is of one kind."""

import logging
from collections.abc import Callable

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from metrics import Family, Histogram, Registry, Timer
from metrics.exporters import graphite, openmetrics, otlp, prometheus, remote_write
from metrics.exporters._series.kinds import first_kinds_of
from tests.exporters.write_requests import read

Kinds = Callable[[Registry], set[str]]


def of_text(page: bytes) -> set[str]:
    kinds = {"quantile=": "summary", "_bucket{": "histogram"}
    return {kind for mark, kind in kinds.items() if mark in page.decode()}


def of_requests(registry: Registry) -> set[str]:
    found = read(remote_write.render(registry, timestamp_ns=0))
    names = {name for one in found for name in (*dict(one.labels), dict(one.labels)["__name__"])}
    return {kind for name, kind in NAMED.items() if name in names}


def of_otlp(registry: Registry) -> set[str]:
    request = ExportMetricsServiceRequest.FromString(
        otlp.render(registry, timestamp_ns=1, distributions="summary")
    )
    (scope,) = request.resource_metrics[0].scope_metrics
    return {metric.WhichOneof("data") for metric in scope.metrics if metric.name == "wait"}


NAMED = {"quantile": "summary", "wait_seconds_bucket": "histogram"}

TYPED: dict[str, Kinds] = {
    "prometheus": lambda registry: of_text(prometheus.render(registry)),
    "openmetrics": lambda registry: of_text(openmetrics.render(registry)),
    "remote write": of_requests,
    "otlp summaries": of_otlp,
}


def mixed() -> Registry:
    """Return a registry with a family of two timers, of which the first one made has buckets."""
    timers = iter([Timer(), Timer(Histogram())])
    registry = Registry()
    family = registry.register("wait", Family(Timer, ("shop",), lambda: next(timers)))
    family.labels("b").update(0.5)
    family.labels("a").update(0.25)
    return registry


@pytest.mark.parametrize("first", TYPED)
def test_what_was_read_first_is_the_kind_in_every_format(first, caplog):
    registry = mixed()
    (kind,) = TYPED[first](registry)
    for _ in range(2):
        assert all(kinds(registry) == {kind} for kinds in TYPED.values())
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        "'wait' has children with buckets and children without: it is written as a "
        f"{kind}, as the first that was read, and the distributions of the others are left out"
    )


@pytest.mark.parametrize("first", TYPED)
def test_the_rates_of_all_children_are_written(first):
    registry = mixed()
    TYPED[first](registry)
    assert prometheus.render(registry).count(b'window="1m"') == 2


def test_where_names_have_no_type_all_children_are_written(caplog):
    lines = graphite.render(mixed(), timestamp_ns=0).decode().splitlines()
    assert len([line for line in lines if line.startswith("wait.99-percentile;")]) == 2
    page = prometheus.render(mixed(), dialect="go-ethereum").decode()
    assert page.count('quantile="0.5"') == 2
    assert not caplog.records


def test_the_kinds_of_unregistered_families_are_dropped():
    registry = Registry()
    registry.family("kept", Timer, ("route",)).labels("a")
    for number in range(20):
        name = f"timers{number}"
        registry.family(name, Timer, ("route",)).labels("a")
        prometheus.render(registry)
        registry.unregister(name)
    assert len(first_kinds_of(registry._store)._by_name) <= 3
