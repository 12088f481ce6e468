"""In a forked child the library's resources go on: the same objects, with totals of the child."""

import asyncio
import gc
import os
import threading
from contextlib import asynccontextmanager, contextmanager

import pytest
from dependency_injector import providers

from metrics import Counter, Registry, resources
from metrics.exporters import prometheus
from metrics.lifecycle import (
    LifecycleContainer,
    MetricsContainer,
    Resource,
    State,
    graph,
    state,
    subscribe,
    survives_fork,
)
from tests.forks import DEADLINE, forking, in_child

pytestmark = forking


def samples(registry):
    """Return the samples of a registry's page, without comments."""
    lines = prometheus.render(registry).decode().splitlines()
    return {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line[0] != "#"
    }


def tickers():
    return sum(thread.name == "metrics-ticker" for thread in threading.enumerate())


def connection():
    yield os.getpid()


class Instruments(MetricsContainer):
    registry = MetricsContainer.registry
    ticker = MetricsContainer.ticker
    hits = Resource(resources.counter, registry, "hits")
    requests = Resource(resources.meter, registry, "requests")
    sizes = Resource(resources.histogram, registry, "sizes")
    waits = Resource(resources.timer, registry, "waits")
    busy = Resource(resources.updown_counter, registry, "busy")
    load = Resource(resources.gauge, registry, "load")
    build = Resource(resources.info, registry, "build")
    health = Resource(resources.healthcheck, registry, "health", lambda: None)
    connection = Resource(connection)


@pytest.fixture
def container():
    container = Instruments()
    container.init_resources()
    yield container
    container.shutdown_resources()


def test_registry_ticker_and_instruments_are_the_same_objects(container):
    names = ["registry", "ticker", "hits", "requests", "sizes", "waits", "busy", "load", "health"]
    handed_out = {name: container.providers[name]() for name in names}

    def same():
        states = {name: state(container, name) for name in names}
        objects = all(container.providers[name]() is handed_out[name] for name in names)
        return state(container), set(states.values()), objects

    assert in_child(same) == (State.NEW, {State.RUNNING}, True)
    assert state(container) is State.RUNNING


def test_totals_start_at_zero_and_present_values_stay(container):
    container.hits().inc(3)
    container.requests().mark(4)
    container.sizes().update(5.0)
    container.waits().update(0.5)
    container.busy().inc(6)
    container.load().set(0.75)
    container.build().set({"version": "1.2"})

    def totals():
        found = samples(container.registry())
        totals = ("hits_total", "requests_total", "sizes_count", "waits_seconds_count", "busy")
        build = [name for name in found if 'version="1.2"' in name]
        return {found[name] for name in totals}, found["load"], len(build)

    assert in_child(totals) == ({0.0}, 0.75, 1)
    assert container.hits().count == 3
    assert container.requests().count == 4


def test_an_instrument_that_was_handed_out_before_counts_on_the_childs_page(container):
    hits, registry = container.hits(), container.registry()
    hits.inc(100)

    def serve():
        hits.inc(2)
        before = [value for name, value in samples(registry).items() if name.startswith("hits")]
        container.init_resources()
        hits.inc(3)
        after = [value for name, value in samples(registry).items() if name.startswith("hits")]
        same = container.hits() is hits
        container.shutdown_resources()
        return before, after, same, registry.names()

    assert in_child(serve) == ([2.0], [5.0], True, ())
    assert hits.count == 100
    assert "hits" in registry.names()


def test_only_the_child_stops_the_survivors_when_it_shuts_down(container):
    requests = container.requests()
    ticker, registry = container.ticker(), container.registry()

    def stop():
        events = []
        subscribe(container, lambda event: events.append((event.resource, event.state)))
        container.shutdown_resources()
        stopped = [name for name, now in events if now is State.STOPPED]
        return stopped, ticker.running, registry.names(), state(container), tickers()

    stopped, running, names, ended, threads = in_child(stop)
    assert stopped[-2:] == ["registry", "ticker"]
    assert "connection" not in stopped
    assert (running, names, ended, threads) == (False, (), State.STOPPED, 0)
    assert ticker.running
    assert tickers() == 1
    assert "requests" in registry.names()
    assert container.requests() is requests


def test_the_childs_ticker_works_at_the_first_use_of_the_container(container):
    def use():
        before = tickers()
        container.hits()
        during = tickers()
        container.shutdown_resources()
        return before, during, tickers()

    assert in_child(use) == (0, 1, 0)


def test_a_grandchild_has_totals_of_its_own(container):
    hits = container.hits()
    hits.inc(1)

    def grandchild():
        hits.inc(20)
        value = hits.count, state(container), container.hits() is hits
        container.shutdown_resources()
        return value

    def child():
        hits.inc(300)
        container.init_resources()
        below = in_child(grandchild)
        own = hits.count, state(container)
        container.shutdown_resources()
        return below, own

    assert in_child(child) == ((20, State.NEW, True), (300, State.RUNNING))
    assert hits.count == 1


def test_a_container_that_was_only_requested_from_survives_as_well():
    container = Instruments()
    hits = container.hits()
    hits.inc()

    def use():
        return state(container), container.hits() is hits, hits.count

    assert in_child(use) == (State.NEW, True, 0)
    container.shutdown_resources()


class Cache(dict):
    """A user's value, plain memory."""


def of_user(hook):
    class Container(LifecycleContainer):
        cache = Resource(hook)

    container = Container()
    container.init_resources()
    container.cache()["key"] = 1
    return container


@survives_fork
@contextmanager
def outer_mark():
    yield Cache()


@contextmanager
@survives_fork
def inner_mark():
    yield Cache()


@survives_fork
def generator():
    yield Cache()


@survives_fork
def function():
    return Cache()


@survives_fork
class Manager:
    def __enter__(self):
        return Cache()

    def __exit__(self, *_):
        pass


@pytest.mark.parametrize("hook", [outer_mark, inner_mark, generator, function, Manager])
def test_the_value_of_a_users_hook_survives(hook):
    container = of_user(hook)
    cache = container.cache()

    def use():
        same = container.cache() is cache, dict(cache), state(container, "cache")
        container.shutdown_resources()
        return same, state(container, "cache")

    assert in_child(use) == ((True, {"key": 1}, State.RUNNING), State.STOPPED)
    assert container.cache() is cache
    container.shutdown_resources()


@pytest.mark.parametrize("above", [True, False])
def test_a_users_hook_says_what_to_reset(above):
    mark = survives_fork(reset=Cache.clear)

    def hook():
        yield Cache()

    container = of_user(mark(contextmanager(hook)) if above else contextmanager(mark(hook)))
    cache = container.cache()
    assert in_child(lambda: (container.cache() is cache, dict(cache))) == (True, {})
    assert cache == {"key": 1}
    container.shutdown_resources()


def test_values_are_reset_in_the_order_of_their_start():
    order = []

    def hook_of(name):
        @survives_fork(reset=lambda _: order.append(name))
        def hook(*_):
            yield name

        return hook

    class Container(LifecycleContainer):
        last = providers.Dependency()
        first = Resource(hook_of("first"))
        second = Resource(hook_of("second"), first)

    container = Container(last=Resource(hook_of("last")))
    container.init_resources()
    assert in_child(lambda: order) == ["last", "first", "second"]
    assert order == []
    container.shutdown_resources()


def test_a_value_that_cannot_be_reset_is_new_and_so_are_its_dependents():
    def fail(_):
        raise OSError("cannot reset")

    @survives_fork(reset=fail)
    def hook():
        yield os.getpid()

    @survives_fork
    def use_it(pid):
        yield pid

    class Container(LifecycleContainer):
        broken = Resource(hook)
        user = Resource(use_it, broken)
        other = Resource(function)

    container = Container()
    container.init_resources()

    def own():
        states = [state(container, name) for name in ("broken", "user", "other")]
        return states, container.user() == os.getpid()

    printed = ["OSError: cannot reset", "while resetting 'broken'", "in a forked process"]
    assert in_child(own, printed=printed) == ([State.NEW, State.NEW, State.RUNNING], True)
    container.shutdown_resources()


def test_the_health_check_of_a_connection_is_new_with_the_connection():
    class Connection:
        def __init__(self):
            self.pid = os.getpid()

        def ping(self):
            if self.pid != os.getpid():
                raise OSError("the connection of another process")

    @contextmanager
    def connect():
        yield Connection()

    class Service:
        def __init__(self, connection):
            self.size = lambda: float(connection.pid)

    class Container(MetricsContainer):
        registry = MetricsContainer.registry
        database = Resource(connect)
        service = providers.Singleton(Service, database)
        health = Resource(resources.healthcheck, registry, "db", database.provided.ping)
        size = Resource(resources.gauge, registry, "size", service.provided.size)
        hits = Resource(resources.counter, registry, "hits")

    container = Container()
    container.init_resources()
    registry = container.registry()

    def use():
        before = registry.names(), state(container, "health"), state(container, "size")
        container.init_resources()
        found = registry.names(), registry.run_healthchecks(), samples(registry)["size"]
        container.shutdown_resources()
        return before, found[0], found[1], found[2] == os.getpid()

    before, names, checks, own = in_child(use)
    assert before == (("hits",), State.NEW, State.NEW)
    assert names == ("db", "hits", "size")
    assert checks == {"db": None}
    assert own
    assert registry.run_healthchecks() == {"db": None}
    container.shutdown_resources()


def test_a_plain_value_that_does_not_survive_leaves_its_dependents_alone():
    class Container(MetricsContainer):
        settings = Resource(lambda: {"prefix": "shop"})
        registry = Resource(resources.registry, settings.provided["prefix"])
        hits = Resource(resources.counter, registry, "hits")

    container = Container()
    container.init_resources()
    hits = container.hits()

    def use():
        return state(container, "settings"), container.hits() is hits, container.registry().names()

    assert in_child(use) == (State.NEW, True, ("shop/hits",))
    container.shutdown_resources()


def test_a_reference_to_a_provider_is_no_dependency_on_its_value():
    class Container(MetricsContainer):
        registry = MetricsContainer.registry
        connection = Resource(connection)
        load = Resource(resources.gauge, registry, "load", connection.provider)

    container = Container()
    container.init_resources()
    load = container.load()
    assert load.value == os.getpid()

    def use():
        kept = container.load() is load, load.value == os.getpid()
        container.shutdown_resources()
        return kept

    assert in_child(use) == (True, True)
    container.shutdown_resources()


def test_names_that_another_hook_registered_are_free_for_its_next_start():
    def serve(registry):
        registry.counter("service/other")
        yield registry.register("service/calls", Counter())

    class Container(MetricsContainer):
        registry = MetricsContainer.registry
        service = Resource(serve, registry)
        hits = Resource(resources.counter, registry, "hits")

    container = Container()
    container.init_resources()
    parents = container.service()
    parents.inc()

    def restart():
        before = container.registry().names()
        container.init_resources()
        own = container.service() is not parents, container.service().count
        return before, own, container.registry().names()

    everything = ("hits", "service/calls", "service/other")
    assert in_child(restart) == (("hits",), (True, 0), everything)
    assert parents.count == 1
    container.shutdown_resources()


def test_an_async_users_hook_survives_without_the_loop_of_the_parent():
    closed = []

    @survives_fork
    @asynccontextmanager
    async def cached():
        yield Cache(key=1)
        closed.append(os.getpid())

    @asynccontextmanager
    async def connect():
        yield os.getpid()
        closed.append(os.getpid())

    class Container(LifecycleContainer):
        cache = Resource(cached)
        client = Resource(connect)

    container = Container()

    async def use_it(parents):
        same = await container.cache() is parents
        before = state(container, "client")
        await container.init_resources()
        own = await container.client() == os.getpid()
        await container.shutdown_resources()
        return before, same, own, closed == [os.getpid()] * 2, state(container)

    async def main():
        await container.init_resources()
        parents = await container.cache()
        # In a thread, because a loop cannot run in one that runs another.
        outcome = await asyncio.to_thread(in_child, lambda: asyncio.run(use_it(parents)))
        await container.shutdown_resources()
        return outcome

    assert asyncio.run(main()) == (State.NEW, True, True, True, State.STOPPED)
    assert closed == [os.getpid()] * 2


def test_an_async_survivor_is_stopped_in_a_child_that_its_event_loop_forks():
    closed = []

    @survives_fork
    async def cached():
        yield Cache()
        closed.append(os.getpid())

    class Container(LifecycleContainer):
        cache = Resource(cached)

    container = Container()

    async def stop():
        await container.shutdown_resources(timeout=DEADLINE)

    def in_thread():
        thread = threading.Thread(target=lambda: asyncio.run(stop()))
        thread.start()
        thread.join(DEADLINE)
        return closed == [os.getpid()], state(container)

    async def main():
        await container.init_resources()
        outcome = in_child(in_thread)
        await container.shutdown_resources()
        return outcome

    assert asyncio.run(main()) == (True, State.STOPPED)
    assert closed == [os.getpid()]


class Inner(LifecycleContainer):
    registry = providers.Dependency(instance_of=Registry)
    hits = Resource(resources.counter, registry, "inner/hits")
    connection = Resource(connection)


def test_resources_of_an_embedded_container_survive_with_the_outer_one():
    resets = []

    @survives_fork(reset=lambda _: resets.append(os.getpid()))
    def make():
        yield {}

    class Table(Inner):
        registry = Inner.registry
        table = Resource(make)

    class Outer(MetricsContainer):
        inner = providers.Container(Table, registry=MetricsContainer.registry)

    container = Outer()
    container.init_resources()
    hits, held = container.inner.hits(), container.inner.table()
    hits.inc(9)

    def use():
        kept = container.inner.hits() is hits, container.inner.table() is held, hits.count
        states = {node.name: node.state for node in graph(container).resources}
        own = container.inner.connection() == os.getpid()
        container.shutdown_resources()
        return kept, states["inner.hits"], states["inner.connection"], own, resets == [os.getpid()]

    assert in_child(use) == ((True, True, 0), State.RUNNING, State.NEW, True, True)
    assert hits.count == 9
    container.shutdown_resources()


def test_a_container_that_borrows_a_registry_keeps_counting_in_it():
    host = MetricsContainer()
    host.init_resources()
    guest = Inner(registry=host.registry)
    guest.init_resources()
    hits = guest.hits()

    def use():
        hits.inc()
        kept = guest.hits() is hits, host.registry().get("inner/hits") is hits, hits.count
        guest.init_resources()
        own = guest.connection() == os.getpid()
        guest.shutdown_resources()
        names = host.registry().names()
        host.shutdown_resources()
        return kept, own, names

    assert in_child(use) == ((True, True, 1), True, ())
    assert host.registry().names() == ("inner/hits",)
    guest.shutdown_resources()
    host.shutdown_resources()


def test_singletons_of_a_borrowed_connection_are_recreated():
    class Host(LifecycleContainer):
        connection = Resource(connection)

    class Guest(LifecycleContainer):
        connection = providers.Dependency()
        own = Resource(connection)
        service = providers.Singleton(list, providers.List(connection))
        table = Resource(survives_fork(lambda: 1))

    host = Host()
    guest = Guest(connection=host.connection)
    host.init_resources()
    guest.init_resources()
    assert guest.service() == [os.getpid()]
    assert in_child(lambda: guest.service() == [os.getpid()])
    guest.shutdown_resources()
    host.shutdown_resources()


def test_a_singleton_of_a_lost_resource_is_not_finalized_in_the_child():
    finalized = []

    class Service:
        def __init__(self, pid):
            self.pid = pid

        def __del__(self):
            finalized.append(self.pid)

    class Container(LifecycleContainer):
        connection = Resource(connection)
        service = providers.Singleton(Service, connection)

    container = Container()
    container.init_resources()
    container.service()

    def use():
        gc.collect()
        own = container.service().pid == os.getpid()
        return finalized, own

    assert in_child(use) == ([], True)
    container.shutdown_resources()


def test_singletons_of_survivors_stay():
    class Service:
        def __init__(self, hits):
            self.hits = hits

    class Container(Instruments):
        service = providers.Singleton(Service, Instruments.hits)

    container = Container()
    container.init_resources()
    service = container.service()
    service.hits.inc()

    def use():
        service.hits.inc()
        return container.service() is service, service.hits.count

    assert in_child(use) == (True, 1)
    container.shutdown_resources()


def test_stock_resources_survive_by_the_same_declaration():
    class Container(LifecycleContainer):
        cache = providers.Resource(survives_fork(lambda: Cache(key=1)))
        connection = providers.Resource(connection)

    container = Container()
    container.init_resources()
    cache = container.cache()

    def use():
        kept = container.cache() is cache, container.connection() == os.getpid()
        container.shutdown_resources()
        return kept, state(container)

    assert in_child(use) == ((True, True), State.STOPPED)
    assert container.cache() is cache
    container.shutdown_resources()


def test_a_stock_resource_that_was_started_without_its_container_is_new():
    resets = []

    class Container(LifecycleContainer):
        cache = providers.Resource(survives_fork(reset=resets.append)(lambda: Cache(key=1)))

    container = Container()
    cache = container.cache()
    assert in_child(lambda: (container.cache() is cache, resets)) == (False, [])
    assert container.cache() is cache
    container.shutdown_resources()


def test_the_selected_branch_survives_and_no_other_starts():
    started = []

    def branch(name):
        started.append(name)
        yield name

    class Container(LifecycleContainer):
        config = providers.Configuration()
        chosen = providers.Selector(
            config.branch,
            memory=Resource(survives_fork(lambda: Cache(key=1))),
            server=Resource(branch, "server"),
        )

    container = Container()
    container.config.from_dict({"branch": "memory"})
    container.init_resources()
    cache = container.chosen()

    def use():
        same = container.chosen() is cache
        container.config.from_dict({"branch": "server"})
        container.init_resources()
        other = container.chosen(), started
        container.shutdown_resources()
        return same, other

    assert in_child(use) == (True, ("server", ["server"]))
    assert started == []
    container.shutdown_resources()


def test_a_resource_outside_any_container_survives():
    cache = Resource(survives_fork(reset=Cache.clear)(lambda: Cache(key=1)))
    value = cache()
    assert in_child(lambda: (cache() is value, dict(value))) == (True, {})
    cache.shutdown()


def test_a_stopped_survivor_is_new():
    container = of_user(outer_mark)
    container.cache.shutdown()
    assert state(container, "cache") is State.STOPPED
    assert in_child(state, container, "cache") is State.NEW
    container.shutdown_resources()
    assert in_child(lambda: (state(container, "cache"), container.cache())) == (State.NEW, {})


def test_a_survivor_that_failed_to_stop_is_new():
    parent = os.getpid()

    @survives_fork
    def hook():
        yield Cache()
        if os.getpid() == parent and not failures:
            failures.append(1)
            raise OSError

    failures = []
    container = of_user(hook)
    with pytest.raises(ExceptionGroup):
        container.shutdown_resources()

    def use():
        before = state(container, "cache")
        container.init_resources()
        fresh = container.cache() == {}
        container.shutdown_resources()
        return before, fresh

    assert in_child(use) == (State.NEW, True)
    container.shutdown_resources()
