"""A singleton forgets the resources it was made of, and nothing else, whatever lies over it."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from dependency_injector import providers

from metrics.lifecycle import LifecycleContainer, Resource
from metrics.testing import overridden

PATIENCE = 10.0

SINGLETONS = [
    providers.Singleton,
    providers.ThreadSafeSingleton,
    providers.ThreadLocalSingleton,
    providers.ContextLocalSingleton,
]


class Made:
    def __init__(self, value="", part=None) -> None:
        self.value = value
        self.part = part


class Connection:
    def __enter__(self):
        self.open = True
        return self

    def __exit__(self, *_) -> None:
        self.open = False


def container_with(kind):
    class Container(LifecycleContainer):
        value = providers.Object("real")
        connection = Resource(Connection)
        idle = kind(Made, value)
        user = kind(Made, value, connection)

    return Container()


def restart(container) -> None:
    container.shutdown_resources()
    container.init_resources()


@pytest.mark.parametrize("kind", SINGLETONS)
def test_a_singleton_is_the_same_after_a_resource_that_lay_over_it_has_stopped(kind):
    container = container_with(kind)
    before = container.idle()
    with container.idle.override(Resource(Connection)):
        container.init_resources()
        assert container.idle().open
        container.shutdown_resources()
    assert container.idle() is before


@pytest.mark.parametrize("kind", SINGLETONS)
def test_a_singleton_is_the_same_after_a_resource_in_place_of_what_it_needs_has_stopped(kind):
    container = container_with(kind)
    before = container.idle()
    with overridden(container, value=Resource(Connection)):
        restart(container)
        assert container.idle().value.open
        container.shutdown_resources()
    assert container.idle() is before


@pytest.mark.parametrize("kind", SINGLETONS)
@pytest.mark.parametrize("name", ["user", "value"])
def test_a_singleton_that_was_hidden_while_its_resource_stopped_is_recreated(kind, name):
    container = container_with(kind)
    with ThreadPoolExecutor(1) as worker:

        def ask():
            return worker.submit(container.user).result(PATIENCE)

        before = ask()
        with overridden(container, {name: "fake"}):
            restart(container)
            ask()
        assert not before.part.open
        assert ask().part is container.connection()
        assert ask().part.open
        container.shutdown_resources()


def test_a_singleton_made_of_a_resource_before_that_was_replaced_is_recreated():
    container = container_with(providers.Singleton)
    before = container.user()
    with container.connection.override("fake"):
        container.shutdown_resources()
    assert not before.part.open
    container.init_resources()
    assert container.user().part.open
    container.shutdown_resources()


def test_an_abstract_singleton_is_left_to_what_stands_in_for_it():
    class Container(LifecycleContainer):
        connection = Resource(Connection)
        user = providers.AbstractSingleton(Made, part=connection)

    container = Container()
    restart(container)
    container.shutdown_resources()
    with container.user.override(providers.Singleton(Made, part=container.connection)):
        container.init_resources()
        before = container.user()
        restart(container)
        assert container.user() is not before
        assert container.user().part.open
        container.shutdown_resources()
