"""The reusable graph works subclassed, embedded, configured and switched off."""

import threading

import pytest
from dependency_injector import providers

from metrics import Counter, DuplicateMetricError, Meter, Registry, Ticker, resources
from metrics.lifecycle import LifecycleContainer, MetricsContainer, Resource
from tests.descriptors import descriptors


class Container(MetricsContainer):
    registry = MetricsContainer.registry
    ticker = MetricsContainer.ticker
    requests = Resource(resources.meter, registry, "rpc/requests")


class Host(LifecycleContainer):
    config = providers.Configuration()
    metrics = providers.Container(MetricsContainer, config=config.metrics)
    requests = Resource(resources.meter, metrics.registry, "rpc/requests")


def workers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "metrics-ticker"]


@pytest.mark.parametrize("container_class", [Container, Host])
def test_one_worker_runs_from_start_to_stop(container_class):
    container = container_class()
    assert workers() == []
    container.init_resources()
    assert workers() == ["metrics-ticker"]
    requests = container.requests()
    assert isinstance(requests, Meter)
    requests.mark(3)
    container.shutdown_resources()
    assert workers() == []
    requests.mark(1)
    assert requests.count == 4


def test_nothing_to_tick_means_no_worker():
    container = MetricsContainer()
    container.init_resources()
    assert container.ticker().running
    assert workers() == []
    container.shutdown_resources()


def test_configuration_reaches_the_resources():
    container = Container()
    container.config.from_dict({"prefix": "geth", "tick_interval": 0.5})
    container.init_resources()
    container.requests().mark()
    assert container.registry().names() == ("geth/rpc/requests",)
    assert container.ticker().interval == 0.5
    container.shutdown_resources()


@pytest.mark.parametrize(
    ("container_class", "config"),
    [(Container, {"enabled": False}), (Host, {"metrics": {"enabled": False}})],
)
def test_switched_off_the_same_graph_has_no_ops_and_no_worker(container_class, config):
    container = container_class()
    container.config.from_dict(config)
    container.init_resources()
    requests = container.requests()
    requests.mark(3)
    assert isinstance(requests, Meter)
    assert requests.count == 0
    assert workers() == []
    container.shutdown_resources()


def test_a_name_declared_twice_fails_the_start_and_leaves_nothing():
    class Twice(Container):
        again = Resource(resources.counter, Container.registry, "rpc/requests")

    container = Twice()
    with pytest.raises(DuplicateMetricError, match="rpc/requests"):
        container.init_resources()
    assert workers() == []


def test_a_container_unregisters_only_what_it_registered():
    lent = Registry()
    mine = lent.counter("mine")

    class Library(LifecycleContainer):
        registry = providers.Dependency(instance_of=Registry)
        hits = Resource(resources.counter, registry, "hits")

    container = Library(registry=providers.Object(lent))
    container = Library(registry=providers.Callable(lambda: lent))
    container.init_resources()
    assert lent.names() == ("hits", "mine")
    container.shutdown_resources()
    assert lent.get("mine") is mine
    assert lent.names() == ("mine",)


def test_a_hundred_cycles_leave_the_same_threads_and_descriptors():
    container = Container()
    container.init_resources()
    container.shutdown_resources()
    threads, files = threading.active_count(), descriptors()
    for _ in range(100):
        container.init_resources()
        container.requests().mark()
        container.shutdown_resources()
    assert threading.active_count() == threads
    assert descriptors() == files


def test_resources_of_the_wrong_kind_are_visible_to_isinstance():
    container = MetricsContainer()
    assert isinstance(container.ticker(), Ticker)
    assert isinstance(container.registry().counter("x"), Counter)
    container.shutdown_resources()
