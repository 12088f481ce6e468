"""The log says once in a forked child which resources of the parent do not run there."""

import logging
import os

import pytest
from dependency_injector import providers

from metrics import resources
from metrics.lifecycle import (
    LifecycleContainer,
    MetricsContainer,
    NotRunningError,
    Resource,
    survives_fork,
)
from tests.forks import forking, in_child

pytestmark = forking


def hook():
    yield os.getpid()


class Container(MetricsContainer):
    registry = MetricsContainer.registry
    hits = Resource(resources.counter, registry, "hits")
    connection = Resource(hook)
    server = Resource(hook)


@pytest.fixture
def container():
    container = Container()
    container.init_resources()
    yield container
    container.shutdown_resources()


def logged(function):
    """Return the warnings of the lifecycle while a function runs."""
    found = []
    handler = logging.Handler()
    handler.emit = lambda record: found.append((record.levelname, record.getMessage()))
    logger = logging.getLogger("metrics.lifecycle")
    logger.addHandler(handler)
    try:
        function()
    finally:
        logger.removeHandler(handler)
    return [message for level, message in found if level == "WARNING"]


def test_the_first_request_names_the_resources_and_the_calls(container):
    def use():
        first = logged(container.connection)
        return first, logged(container.server) + logged(container.connection)

    (message,), later = in_child(use)
    assert later == []
    assert message.startswith("Container was running when this process was forked")
    assert "not running here: 'connection', 'server'." in message
    assert "init_resources()" in message
    assert "post_fork" in message
    assert "worker_process_init" in message
    assert "'hits'" not in message
    assert logged(container.connection) == []


def test_the_request_of_a_survivor_says_so_too(container):
    hits = container.hits()

    def use():
        hits.inc()
        return len(logged(container.hits)), len(logged(container.hits))

    assert in_child(use) == (1, 0)


def test_a_start_in_the_child_needs_no_notice(container):
    def use():
        return logged(lambda: (container.init_resources(), container.connection()))

    assert in_child(use) == []


@pytest.mark.parametrize("name", ["connection", "hits"])
def test_a_child_that_starts_one_resource_by_itself_needs_no_notice(container, name):
    def use():
        resource = container.providers[name]
        return logged(lambda: (resource.init(), container.server()))

    assert in_child(use) == []
    assert len(in_child(lambda: logged(container.server))) == 1


def test_an_instrument_that_only_counts_needs_no_notice(container):
    hits = container.hits()
    assert in_child(lambda: logged(hits.inc)) == []


def test_a_child_that_stops_needs_no_notice(container):
    def use():
        def stop():
            container.shutdown_resources()
            with pytest.raises(NotRunningError):
                container.connection()

        return logged(stop)

    assert in_child(use) == []


def test_a_container_that_did_not_run_needs_no_notice():
    container = Container()
    container.connection()
    assert in_child(lambda: logged(container.connection)) == []
    container.shutdown_resources()
    assert in_child(lambda: logged(container.connection)) == []


def test_a_container_whose_resources_all_survive_needs_no_notice():
    class Survivors(MetricsContainer):
        registry = MetricsContainer.registry
        hits = Resource(resources.counter, registry, "hits")

    container = Survivors()
    container.init_resources()
    assert in_child(lambda: logged(container.hits)) == []
    container.shutdown_resources()


def test_a_container_that_started_in_the_child_has_its_notice_in_the_grandchild(container):
    def child():
        container.init_resources()
        below = in_child(lambda: logged(container.connection))
        return len(below), logged(container.connection)

    assert in_child(child) == (1, [])


def test_an_embedded_container_is_named_with_its_host():
    class Inner(LifecycleContainer):
        connection = Resource(hook)

    class Outer(LifecycleContainer):
        inner = providers.Container(Inner)
        table = Resource(survives_fork(lambda: 1))

    container = Outer()
    container.init_resources()
    (message,) = in_child(lambda: logged(container.inner.connection))
    assert "Outer was running" in message
    assert "'inner.connection'" in message
    container.shutdown_resources()
