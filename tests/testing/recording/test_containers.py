"""The registry of a container is recorded while the container is up, and never started for it."""

import pytest
from dependency_injector import containers, providers

from metrics import NotRunningError, Registry, resources
from metrics.lifecycle import LifecycleContainer, MetricsContainer, Resource, running
from metrics.testing import overridden, recorded


def test_what_is_registered_in_the_block_is_recorded_from_then_on_and_with_its_container_gone():
    class Container(MetricsContainer):
        calls = Resource(resources.counter, MetricsContainer.registry, "calls")

    with running(Container()) as container:
        container.calls().inc(5)
        with recorded(container) as changes:
            late = container.registry().counter("late")
            late.inc(2)
            container.calls().inc()
            container.shutdown_resources()
    assert (changes["late"].count, changes["calls"].count) == (2, 1)


def test_the_registry_of_a_container_is_found_in_it_or_in_what_it_embeds():
    class Host(LifecycleContainer):
        metrics = providers.Container(MetricsContainer)

    class Plain(containers.DeclarativeContainer):
        registry = providers.Singleton(Registry)

    plain = Plain()
    with running(Host()) as host, recorded(host) as of_host, recorded(plain) as of_plain:
        host.metrics.registry().counter("a").inc()
        plain.registry().counter("b").inc(2)
    assert (of_host["a"].count, of_plain["b"].count) == (1, 2)


def test_what_has_no_registry_or_none_that_is_up_is_refused_and_not_started():
    class Two(LifecycleContainer):
        one = providers.Container(MetricsContainer)
        two = providers.Container(MetricsContainer)

    class Wrong(containers.DeclarativeContainer):
        registry = providers.Object(3)

    container = MetricsContainer()
    with pytest.raises(NotRunningError, match="start the container first"), recorded(container):
        pass
    assert not container.registry.initialized
    with pytest.raises(TypeError, match=r"^recorded\(\) takes a Registry or a container, got 3$"):
        recorded(3).__enter__()
    with pytest.raises(TypeError, match="has 2; give it the registry itself"):
        recorded(Two()).__enter__()
    with pytest.raises(TypeError, match="gives no Registry, but 3"):
        recorded(Wrong()).__enter__()


def test_a_registry_that_stands_in_for_a_containers_own_is_recorded():
    container, registry = MetricsContainer(), Registry()
    with overridden(container, registry=registry), recorded(container) as changes:
        registry.counter("a").inc()
    assert changes["a"].count == 1
    assert not container.registry.initialized


def test_the_class_of_a_container_is_refused():
    with pytest.raises(TypeError, match=r"not its class: call MetricsContainer\(\)"):
        recorded(MetricsContainer).__enter__()
