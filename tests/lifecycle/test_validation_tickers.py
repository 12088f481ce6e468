"""A resource that has to be ticked is declared on a registry with a ticker, or with its own."""

import pytest

from metrics import Registry, resources
from metrics.lifecycle import (
    Fault,
    LifecycleContainer,
    MetricsContainer,
    Resource,
    check,
)
from metrics.testing import ManualTicker

TICKED = {
    "meter": lambda r: Resource(resources.meter, r, "x"),
    "meters": lambda r: Resource(resources.meters, r, "x", ("a",)),
    "histogram": lambda r: Resource(resources.histogram, r, "x"),
    "histograms": lambda r: Resource(resources.histograms, r, "x", labels=("a",)),
    "timer": lambda r: Resource(resources.timer, registry=r, name="x"),
    "timers": lambda r: Resource(resources.timers, r, "x", ("a",), ticker=None),
    "runtime": lambda r: Resource(resources.runtime, r),
    "process": lambda r: Resource(resources.process, r),
    "host": lambda r: Resource(resources.host, r),
}

NOT_TICKED = {
    "counter": lambda r: Resource(resources.counter, r, "x"),
    "buckets": lambda r: Resource(resources.bucket_histograms, r, "x", ("a",), (1, 2)),
    "own ticker": lambda r: Resource(resources.meter, r, "x", ticker=Resource(resources.ticker)),
}


def declared(registry, resource):
    class Container(LifecycleContainer):
        pass

    Container.registry = registry
    Container.resource = resource
    return Container


@pytest.mark.parametrize("declare", TICKED.values(), ids=TICKED)
def test_a_registry_without_a_ticker_is_found(declare):
    registry = Resource(resources.registry)
    (problem,) = check(declared(registry, declare(registry)))
    assert problem.fault is Fault.NO_TICKER
    assert problem.name == "resource"
    assert "has no ticker: declare the registry with `ticker=`" in str(problem)


@pytest.mark.parametrize("declare", NOT_TICKED.values(), ids=NOT_TICKED)
def test_a_resource_that_needs_no_ticker_of_the_registry_is_no_problem(declare):
    registry = Resource(resources.registry)
    assert check(declared(registry, declare(registry))) == ()


@pytest.mark.parametrize("declare", TICKED.values(), ids=TICKED)
def test_a_registry_with_a_ticker_is_no_problem(declare):
    registry = Resource(resources.registry, ticker=Resource(resources.ticker))
    assert check(declared(registry, declare(registry))) == ()


def test_a_metrics_container_provides_the_ticker():
    class Container(MetricsContainer):
        requests = Resource(resources.meter, MetricsContainer.registry, "requests")

    assert check(Container()) == ()


def test_a_registry_that_is_overridden_may_have_a_ticker():
    registry = Resource(resources.registry)
    container = declared(registry, TICKED["meter"](registry))()
    container.registry.override(Registry(ticker=ManualTicker()))
    assert check(container) == ()


def test_such_a_resource_starts_all_the_same_and_is_logged_once(caplog):
    registry = Resource(resources.registry)
    base = declared(registry, TICKED["meter"](registry))
    base.other = Resource(resources.timer, registry, "y")
    container = base()
    container.init_resources()
    container.resource().mark(3)
    container.shutdown_resources()
    (record,) = caplog.records
    assert "'x' has to be ticked, and its registry has no ticker" in record.getMessage()
