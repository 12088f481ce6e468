"""A fork while other threads use the library: the child is free, and totals are its own."""

import os
import threading
from itertools import count

import pytest

from metrics import Counter, resources
from metrics.exporters import prometheus
from metrics.lifecycle import MetricsContainer, Resource, State, state, survives_fork
from tests.forks import DEADLINE, forking, hammered, held, in_child

pytestmark = forking


class Container(MetricsContainer):
    registry = MetricsContainer.registry
    ticker = MetricsContainer.ticker
    hits = Resource(resources.family, registry, "hits", Counter, ("path",), max_children=10**6)
    requests = Resource(resources.meter, registry, "requests")
    waits = Resource(resources.timer, registry, "waits")


def started():
    container = Container()
    container.config.from_dict({"tick_interval": 0.001})
    container.init_resources()
    return container


@pytest.mark.slow(reason="forks beside busy threads")
def test_threads_that_create_label_children_never_hang_the_child():
    container, paths = started(), count()
    hits, requests = container.hits(), container.requests()

    def act():
        hits.labels(f"/{next(paths) % 100}").inc()
        requests.mark()
        prometheus.render(container.registry())

    def use():
        fresh = hits.labels("of the child")
        fresh.inc()
        total = sum(child.count for child in hits.children().values())
        container.init_resources()
        prometheus.render(container.registry())
        same = container.hits() is hits
        container.shutdown_resources()
        return fresh.count, total, same, state(container)

    with hammered(lambda: hits.labels(f"/{next(paths) % 50}").inc()):
        outcomes = [in_child(use) for _ in range(4)]
    assert outcomes == [(1, 1, True, State.STOPPED)] * 4
    paths = count()
    with hammered(act, threads=2):
        outcomes = [in_child(use) for _ in range(4)]
    assert outcomes == [(1, 1, True, State.STOPPED)] * 4
    container.shutdown_resources()


@pytest.mark.parametrize("of", ["registry", "family"])
def test_a_lock_that_another_thread_holds_is_free_in_the_child(of):
    container = started()
    hits, registry = container.hits(), container.registry()
    lock = registry._store.table.lock if of == "registry" else hits._lock

    def use():
        hits.labels("new").inc()
        registry.counter("other").inc()
        container.shutdown_resources()
        return hits.labels("new").count

    with held(lock):
        assert in_child(use) == 1
    container.shutdown_resources()


@pytest.mark.slow(reason="forks beside busy threads")
def test_threads_that_start_and_stop_containers_never_hang_the_child():
    container = started()
    requests = container.requests()

    def cycle():
        other = Container()
        other.init_resources()
        other.shutdown_resources()

    def use():
        requests.mark()
        container.init_resources()
        container.shutdown_resources()
        return requests.count, state(container)

    with hammered(cycle, threads=2):
        outcomes = [in_child(use) for _ in range(4)]
    assert outcomes == [(1, State.STOPPED)] * 4
    container.shutdown_resources()


def forked_at(hook_phase):
    """Return a container that another thread starts or stops, and a function that lets it go on."""
    parent, reached, go_on = os.getpid(), threading.Event(), threading.Event()

    def wait(phase):
        if phase == hook_phase and os.getpid() == parent:
            reached.set()
            assert go_on.wait(DEADLINE)

    def wait_in_hook(_):
        wait("STARTING")
        yield os.getpid()
        wait("STOPPING")

    class Slow(Container):
        slow = Resource(wait_in_hook, Container.hits)

    container = Slow()

    def run():
        container.init_resources()
        container.shutdown_resources()

    thread = threading.Thread(target=run, name="starting")
    thread.start()
    assert reached.wait(DEADLINE)

    def end():
        go_on.set()
        thread.join(DEADLINE)
        assert not thread.is_alive()

    return container, end


def test_a_start_in_another_thread_leaves_the_child_the_resources_that_run():
    container, end = forked_at("STARTING")
    hits = container.hits()
    hits.labels("parent").inc()

    def use():
        before = state(container), state(container, "hits"), state(container, "slow")
        container.init_resources()
        same, own = container.hits() is hits, container.slow() == os.getpid()
        container.shutdown_resources()
        return before, same, own, state(container)

    outcome = in_child(use)
    end()
    assert outcome == ((State.NEW, State.RUNNING, State.NEW), True, True, State.STOPPED)
    assert state(container) is State.STOPPED


def test_a_stop_in_another_thread_leaves_the_child_everything_new():
    container, end = forked_at("STOPPING")

    def use():
        before = {state(container, name) for name in ("registry", "ticker", "hits", "slow")}
        container.init_resources()
        container.hits().labels("new").inc()
        own = container.slow() == os.getpid()
        names = container.registry().names()
        container.shutdown_resources()
        return before, own, names, state(container)

    outcome = in_child(use)
    end()
    assert outcome == ({State.NEW}, True, ("hits", "requests", "waits"), State.STOPPED)
    assert state(container) is State.STOPPED


def test_a_name_of_a_start_that_another_thread_makes_is_free_in_the_child():
    parent, reached, go_on = os.getpid(), threading.Event(), threading.Event()

    def register(registry):
        registered = registry.register("plain", Counter())
        if os.getpid() == parent:
            reached.set()
            assert go_on.wait(DEADLINE)
        return registered

    class Plain(MetricsContainer):
        registry = MetricsContainer.registry
        plain = Resource(register, registry)

    container = Plain()
    thread = threading.Thread(target=container.init_resources, name="starting")
    thread.start()
    assert reached.wait(DEADLINE)

    def use():
        before = container.registry().names()
        container.init_resources()
        return before, container.registry().names()

    outcome = in_child(use)
    go_on.set()
    thread.join(DEADLINE)
    assert outcome == ((), ("plain",))
    container.shutdown_resources()


def test_a_fork_in_a_hook_leaves_its_names_to_the_parent():
    outcomes, parent = [], os.getpid()

    def child():
        registry = container.registry()
        # The child's own name, and not one of the parent's hook.
        registry.counter("of the child").inc()
        return registry.names(), in_child(registry.names)

    def forking_hook(registry):
        registry.counter("of the hook")
        if os.getpid() == parent:
            outcomes.append(in_child(child))
        yield

    class Forking(MetricsContainer):
        registry = MetricsContainer.registry
        fork = Resource(forking_hook, registry)

    container = Forking()
    container.init_resources()
    assert outcomes == [(("of the child",), ("of the child",))]
    assert container.registry().names() == ("of the hook",)
    container.shutdown_resources()


def test_a_survivor_that_is_being_reset_may_use_the_library():
    def reset(table):
        table["hits"] = container.hits()
        table["hits"].labels("reset").inc()

    @survives_fork(reset=reset)
    def make():
        yield {}

    class Table(Container):
        table = Resource(make)

    container = Table()
    container.init_resources()
    hits, found = container.hits(), container.table()
    assert in_child(lambda: (found["hits"] is hits, hits.labels("reset").count)) == (True, 1)
    container.shutdown_resources()
