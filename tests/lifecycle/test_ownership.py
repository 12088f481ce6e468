"""A container stops only what it started: what was lent to it is left alone."""

import random
import threading

import pytest
from dependency_injector import containers, providers

from metrics import Counter, Registry, resources
from metrics.lifecycle import (
    LifecycleContainer,
    MetricsContainer,
    NotRunningError,
    Resource,
    State,
    graph,
    state,
)

PATIENCE = 20.0


class Host(LifecycleContainer):
    """Owns a registry that it lends."""

    registry = Resource(resources.registry)
    mine = Resource(resources.counter, registry, "mine")
    service = providers.Singleton(dict, registry=registry)


class Library(LifecycleContainer):
    """Registers something in whatever registry it is given."""

    registry = providers.Dependency(instance_of=Registry)
    name = providers.Object("hits")
    hits = Resource(resources.counter, registry, name)
    service = providers.Singleton(dict, registry=registry, hits=hits)


class Overriding(LifecycleContainer):
    """Has a registry of its own, which is replaced."""

    registry = Resource(resources.registry)
    name = providers.Object("hits")
    hits = Resource(resources.counter, registry, name)


class Grouped(LifecycleContainer):
    """Is given a whole container of dependencies."""

    host = providers.DependenciesContainer()
    name = providers.Object("hits")
    hits = Resource(resources.counter, host.registry, name)


def by_object(host, name):
    return Library(registry=providers.Object(host.registry()), name=name)


def by_callable(host, name):
    return Library(registry=providers.Callable(host.registry), name=name)


def by_dependency(host, name):
    return Library(registry=host.registry, name=name)


def by_group(host, name):
    return Grouped(host=host, name=name)


def by_override(host, name):
    container = Overriding(name=name)
    container.registry.override(host.registry)
    return container


def by_override_providers(host, name):
    container = Overriding()
    container.override_providers(registry=host.registry, name=providers.Object(name))
    return container


WAYS = [by_object, by_callable, by_dependency, by_group, by_override, by_override_providers]


@pytest.fixture
def host():
    container = Host()
    yield container
    container.shutdown_resources()


@pytest.mark.parametrize("lend", WAYS)
def test_a_lent_registry_survives_the_library_that_uses_it(host, lend):
    host.init_resources()
    registry = host.registry()
    library = lend(host, "hits")
    for _ in range(3):
        library.init_resources()
        assert registry.names() == ("hits", "mine")
        library.shutdown_resources()
        assert registry.names() == ("mine",)
        assert host.registry() is registry
    assert state(host) is state(host, "registry") is state(host, "mine") is State.RUNNING


@pytest.mark.parametrize("lend", WAYS[1:])
def test_a_registry_that_the_library_s_start_has_brought_up_stays_up(host, lend):
    library = lend(host, "hits")
    library.init_resources()
    registry = host.registry()
    library.shutdown_resources()
    assert state(host, "registry") is State.RUNNING
    assert host.registry() is registry
    host.shutdown_resources()
    assert state(host, "registry") is State.STOPPED
    with pytest.raises(NotRunningError, match="'registry' of Host"):
        library.init_resources()
    assert state(library) is State.FAILED


def test_a_library_s_failed_start_leaves_what_was_lent(host):
    host.init_resources()
    library = by_dependency(host, "mine")
    with pytest.raises(ValueError, match="mine"):
        library.init_resources()
    assert host.registry().names() == ("mine",)
    assert state(host) is State.RUNNING


def test_no_way_of_stopping_the_library_stops_what_was_lent(host):
    host.init_resources()
    library = by_dependency(host, "hits")
    library.init_resources()
    library.shutdown_resources(Resource)
    library.init_resources()
    library.hits.shutdown()
    library.init_resources()
    library.shutdown_resources(providers.Resource)
    library.shutdown_resources()
    assert host.registry().names() == ("mine",)
    assert [(part.name, part.borrowed) for part in graph(library).resources] == [
        ("Host.registry", True), ("hits", False)]  # fmt: skip


def test_a_hundred_containers_share_a_registry_and_never_touch_it(host):
    host.init_resources()
    registry, mine = host.registry(), host.mine()
    dice = random.Random(3)
    libraries = {f"n{i}": WAYS[i % len(WAYS)](host, f"n{i}") for i in range(100)}
    up = set()
    for _ in range(2000):
        name = dice.choice([*libraries])
        if dice.random() < 0.5:
            libraries[name].init_resources()
            up.add(name)
        else:
            libraries[name].shutdown_resources()
            up.discard(name)
        assert len(registry.names()) == len(up) + 1
    assert set(registry.names()) == {"mine", *up}
    for library in libraries.values():
        library.shutdown_resources()
    assert registry.names() == ("mine",)
    assert host.registry() is registry
    assert registry.get("mine") is host.mine() is mine


def test_a_hundred_containers_share_a_registry_from_as_many_threads(host):
    registry, errors = host.registry(), []
    libraries = [WAYS[i % len(WAYS)](host, f"n{i}") for i in range(100)]
    barrier = threading.Barrier(len(libraries))

    def work(library, seed) -> None:
        dice = random.Random(seed)
        try:
            barrier.wait(PATIENCE)
            for _ in range(10):
                if dice.random() < 0.5:
                    library.init_resources()
                    library.hits().inc()
                else:
                    library.shutdown_resources()
            library.shutdown_resources()
        except BaseException as error:  # noqa: BLE001 - raised in the test
            errors.append(error)

    threads = [
        threading.Thread(target=work, args=(library, seed), daemon=True)
        for seed, library in enumerate(libraries)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert errors == []
    assert registry.names() == ()
    assert host.registry() is registry


def test_an_embedded_library_that_is_stopped_by_itself_leaves_its_host_alone():
    class Application(LifecycleContainer):
        registry = Resource(resources.registry)
        mine = Resource(resources.counter, registry, "mine")
        library = providers.Container(Library, registry=registry)

    application = Application()
    application.init_resources()
    assert application.registry().names() == ("hits", "mine")
    application.library().shutdown_resources()
    assert state(application, "registry") is state(application, "mine") is State.RUNNING
    assert application.registry().names() == ("mine",)
    application.library().init_resources()
    assert application.registry().names() == ("hits", "mine")
    application.shutdown_resources()


def test_a_library_embedded_in_a_stock_container_leaves_the_host_s_registry_alone(host):
    host.init_resources()

    class Stock(containers.DeclarativeContainer):
        registry = providers.Dependency()
        library = providers.Container(Library, registry=registry)

    stock = Stock(registry=host.registry)
    stock.library().init_resources()
    assert host.registry().names() == ("hits", "mine")
    stock.library().shutdown_resources()
    assert host.registry().names() == ("mine",)


def test_a_library_embedded_in_another_application_leaves_the_host_s_registry_alone(host):
    class Application(LifecycleContainer):
        registry = providers.Dependency()
        library = providers.Container(Library, registry=registry)

    application = Application(registry=host.registry)
    application.init_resources()
    assert host.registry().names() == ("hits",)
    application.shutdown_resources()
    assert host.registry().names() == ()
    assert state(host, "registry") is State.RUNNING


@pytest.mark.parametrize("started", [True, False])
def test_a_library_declared_with_the_resource_of_a_host_shares_it(host, started):
    if started:
        host.init_resources()

    class Application(LifecycleContainer):
        library = providers.Container(Library, registry=host.registry)

    application = Application()
    application.init_resources()
    registry = host.registry()
    assert "hits" in registry.names()
    application.shutdown_resources()
    assert "hits" not in registry.names()
    assert host.registry() is registry


def test_a_host_s_singleton_is_not_recreated_because_a_library_stops(host):
    class User(LifecycleContainer):
        service = providers.Dependency()
        name = providers.Object("hits")
        hits = Resource(resources.counter, service.provided["registry"], name)
        made = providers.Singleton(dict, service=service, hits=hits)

    host.init_resources()
    service = host.service()
    library = User(service=host.service)
    library.init_resources()
    made = library.made()
    assert made["service"] is service
    library.shutdown_resources()
    assert host.service() is service
    library.init_resources()
    assert library.made() is not made
    assert library.made()["service"] is service
    library.shutdown_resources()


def test_a_library_s_singleton_follows_the_registry_that_its_host_has_recreated(host):
    class User(LifecycleContainer):
        registry = providers.Dependency()
        service = providers.Singleton(dict, registry=registry)

    library = User(registry=host.registry)
    for _ in range(2):
        host.init_resources()
        library.init_resources()
        assert library.service()["registry"] is host.registry()
        library.shutdown_resources()
        host.shutdown_resources()


def fake_registry():
    registry = Registry("fake")
    yield registry
    registry.clear()


def test_an_override_that_the_container_has_started_is_stopped_by_it(host):
    fake = Resource(fake_registry)
    host.registry.override(fake)
    host.init_resources()
    assert host.registry().names() == ("fake/mine",)
    assert state(fake) is State.RUNNING
    host.shutdown_resources()
    assert state(fake) is State.STOPPED
    assert not fake.initialized


def test_an_override_that_has_been_reset_is_stopped_all_the_same(host):
    fake = Resource(fake_registry)
    host.registry.override(fake)
    host.init_resources()
    host.registry.reset_override()
    host.shutdown_resources()
    assert state(fake) is State.STOPPED
    host.init_resources()
    assert host.registry().names() == ("mine",)


def test_an_override_in_a_with_block_leaves_nothing_up(host):
    fake = Resource(fake_registry)
    with host.registry.override(fake):
        assert host.mine() is host.mine()
        host.shutdown_resources()
    assert not fake.initialized
    host.init_resources()
    assert host.registry().names() == ("mine",)


def test_a_fake_that_was_started_by_the_test_is_not_stopped_by_the_container(host):
    fake = Resource(fake_registry)
    registry = fake.init()
    host.registry.override(fake)
    host.init_resources()
    assert host.registry() is registry
    assert registry.names() == ("fake/mine",)
    host.shutdown_resources()
    assert state(fake) is State.RUNNING
    assert fake() is registry
    assert registry.names() == ()
    fake.shutdown()


def test_a_stock_fake_is_stopped_by_whoever_has_started_it():
    class Stock(LifecycleContainer):
        registry = Resource(resources.registry)
        mine = Resource(resources.counter, registry, "mine")

    for by_test in (True, False):
        container, fake = Stock(), providers.Resource(fake_registry)
        if by_test:
            fake.init()
        container.registry.override(fake)
        container.init_resources()
        assert container.registry() is fake()
        container.shutdown_resources()
        assert fake.initialized is by_test
        fake.shutdown()


def test_what_is_overridden_while_it_is_up_is_still_stopped(host):
    host.init_resources()
    registry = host.registry()
    with host.mine.override(providers.Object(Counter())):
        host.shutdown_resources()
    assert registry.names() == ()
    assert not host.mine.initialized


def test_two_libraries_with_a_metrics_container_each_have_a_worker_of_their_own():
    one, two = MetricsContainer(), MetricsContainer()
    for container in (one, two):
        container.init_resources()
        container.registry().meter("requests")
    assert one.ticker() is not two.ticker()
    one.shutdown_resources()
    assert two.ticker().running
    assert [t.name for t in threading.enumerate()].count("metrics-ticker") == 1
    two.shutdown_resources()
