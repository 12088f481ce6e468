"""A container that was given another one's resource is garbage-collected like any other."""

import gc
import weakref

import pytest
from dependency_injector import providers

from metrics.lifecycle import LifecycleContainer, Resource
from tests.lifecycle.sessions import Sessions

CHILDREN = 8

SESSIONS = Sessions()


class Host(LifecycleContainer):
    pool = Resource(SESSIONS.generator, "pool")


class Child(LifecycleContainer):
    pool = providers.Dependency()
    session = Resource(SESSIONS.generator, "session", pool)
    service = providers.Singleton(dict, session=session, pool=pool)


class Overridden(LifecycleContainer):
    pool = Resource(SESSIONS.generator, "own pool")
    session = Resource(SESSIONS.generator, "session", pool)


class Grouped(LifecycleContainer):
    host = providers.DependenciesContainer()
    session = Resource(SESSIONS.generator, "session", host.pool)


def given(host):
    return Child(pool=host.pool)


def given_later(host):
    child = Child()
    child.pool.override(host.pool)
    return child


def overriding(host):
    child = Overridden()
    child.override_providers(pool=host.pool)
    return child


def grouped(host):
    return Grouped(host=host)


def unused(_child):
    pass


def started(child):
    child.init_resources()
    child.shutdown_resources()


def requested(child):
    child.session()
    child.shutdown_resources()


def stopped_by_itself(child):
    child.session()
    child.session.shutdown()
    child.shutdown_resources()


@pytest.fixture(params=[False, True], ids=["new", "running"])
def host(request):
    container = Host()
    if request.param:
        container.init_resources()
    yield container
    container.shutdown_resources()
    SESSIONS.lines.clear()


WAYS = pytest.mark.parametrize("give", [given, given_later, overriding, grouped])
USES = pytest.mark.parametrize("use", [unused, started, requested, stopped_by_itself])


@WAYS
@USES
def test_a_child_container_is_collected(host, give, use):
    child = give(host)
    use(child)
    own = [provider for provider in child.providers.values() if isinstance(provider, Resource)]
    dead = [weakref.ref(child), *map(weakref.ref, own)]
    del child, own
    gc.collect()
    assert [known() for known in dead] == [None] * len(dead)


@WAYS
@USES
def test_child_containers_leave_no_objects_behind(host, give, use):
    def children():
        for _ in range(CHILDREN):
            use(give(host))
        SESSIONS.lines.clear()
        gc.collect()
        return len(gc.get_objects())

    # The first round fills caches.
    children()
    before = children()
    assert children() - before < CHILDREN


@WAYS
def test_the_host_serves_after_its_children_are_gone(host, give):
    for _ in range(3):
        started(give(host))
        gc.collect()
    assert host.pool().is_open
    started(give(host))
    assert host.pool().is_open


def test_a_stop_of_the_host_is_seen_by_the_singletons_of_its_children(host):
    child = given(host)
    before = child.service()
    child.shutdown_resources()
    host.shutdown_resources()
    host.init_resources()
    child.init_resources()
    assert child.service() is not before
    assert child.service()["pool"] is host.pool()
    child.shutdown_resources()
