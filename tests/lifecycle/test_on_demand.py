"""A resource that is requested before the container starts is started then, with all it needs."""

import threading
from time import monotonic

import pytest
from dependency_injector import containers, providers

from metrics import Registry, resources
from metrics.lifecycle import LifecycleContainer, LifecycleError, Resource, State
from metrics.lifecycle import state as state_of
from tests.lifecycle.calls import Calls

PATIENCE = 10.0


@pytest.fixture
def calls():
    return Calls()


def test_what_a_resource_needs_comes_up_before_it_and_nothing_else_does(calls):
    class Parts(LifecycleContainer):
        idle = Resource(calls.part, "idle")
        a = Resource(calls.part, "a")
        b = Resource(calls.part, "b", providers.Factory(list, providers.List(a)))

    container = Parts()
    assert container.b() == "b"
    assert [state_of(container, name) for name in ("idle", "a", "b")] == [
        State.NEW, State.RUNNING, State.RUNNING]  # fmt: skip
    container.shutdown_resources()
    assert calls.lines == ["start a", "start b", "stop b", "stop a"]


@pytest.mark.parametrize(
    "ask",
    [
        lambda c: c.factory(),
        lambda c: c.singleton(),
        lambda c: c.items(),
        lambda c: c.selector(),
        lambda c: c.attribute(),
        lambda c: c.inner.user(),
    ],
    ids=["factory", "singleton", "list", "selector", "provided", "container"],
)
def test_any_provider_starts_the_resources_that_it_needs(calls, ask):
    class Inner(LifecycleContainer):
        given = providers.Dependency()
        user = Resource(calls.part, "user", given)

    class Parts(LifecycleContainer):
        part = Resource(calls.part, "part")
        factory = providers.Factory(str, part)
        singleton = providers.Singleton(str, part)
        items = providers.List(part)
        selector = providers.Selector(lambda: "it", it=part)
        attribute = part.provided.upper.call()
        inner = providers.Container(Inner, given=part)

    container = Parts()
    ask(container)
    container.shutdown_resources()
    assert calls.lines[0] == "start part"
    assert calls.lines[-1] == "stop part"


def test_the_start_goes_on_from_what_is_up_already(calls):
    class Parts(LifecycleContainer):
        a = Resource(calls.part, "a")
        b = Resource(calls.part, "b", a)

    container = Parts()
    container.a()
    container.init_resources()
    container.shutdown_resources()
    assert calls.lines == ["start a", "start b", "stop b", "stop a"]


def test_a_failed_attempt_leaves_nothing_and_may_be_repeated(calls):
    class Parts(LifecycleContainer):
        part = Resource(calls.part, "part")

    def fail() -> None:
        raise OSError("not yet")

    container = Parts()
    calls.actions["start part"] = fail
    with pytest.raises(OSError, match="not yet") as raised:
        container.part()
    assert "'part'" in raised.value.__notes__[0]
    assert not container.part.initialized
    calls.actions.clear()
    assert container.part() == "part"
    container.shutdown_resources()
    assert calls.lines == ["start part", "start part", "stop part"]


def test_a_hook_may_request_a_resource_that_nobody_sees_it_needs(calls):
    class Parts(LifecycleContainer):
        first = Resource(calls.part, "first")
        hidden = Resource(calls.part, "hidden")

    container = Parts()
    calls.actions["start first"] = container.hidden
    container.init_resources()
    container.shutdown_resources()
    # It came up first, whatever was declared first, and so stops last.
    assert calls.lines == ["start first", "start hidden", "stop first", "stop hidden"]


def test_a_hook_that_starts_its_container_when_it_is_requested_gets_a_clear_error(calls):
    class Parts(LifecycleContainer):
        part = Resource(calls.part, "part")
        other = Resource(calls.part, "other")

    container = Parts()
    calls.actions["start part"] = container.init_resources
    began = monotonic()
    with pytest.raises(LifecycleError, match="'part'"):
        container.part()
    # Less than a stop may take, which would be waiting for the resource that has requested it.
    assert monotonic() - began < LifecycleContainer.shutdown_timeout / 2
    container.shutdown_resources()
    started = sum(line.startswith("start other") for line in calls.lines)
    assert started == calls.lines.count("stop other")
    assert "stop part" not in calls.lines


def test_a_hook_that_stops_its_container_when_it_is_requested_gets_a_clear_error(calls):
    class Parts(LifecycleContainer):
        part = Resource(calls.part, "part")

    container = Parts()
    calls.actions["start part"] = container.shutdown_resources
    with pytest.raises(LifecycleError, match="stop"):
        container.part()
    calls.actions.clear()
    assert container.part() == "part"
    container.shutdown_resources()


def test_a_value_of_none_or_false_is_up_all_the_same(calls):
    for value in (None, 0, ""):

        def make(value=value):
            calls.lines.append("start")
            return value

        class Parts(LifecycleContainer):
            part = Resource(make)

        calls.lines.clear()
        container = Parts()
        assert container.part() == container.part() == value
        assert calls.lines == ["start"]
        container.shutdown_resources()


def test_a_resource_outside_any_container_starts_once_and_stops(calls):
    part = Resource(calls.part, "part")
    assert state_of(part) is State.NEW
    assert part.init() == part() == part.init() == "part"
    assert state_of(part) is State.RUNNING
    part.shutdown()
    part.shutdown()
    assert state_of(part) is State.STOPPED
    assert part() == "part"
    part.shutdown()
    assert part.init() == "part"
    part.shutdown()
    assert calls.lines == ["start part", "stop part"] * 3


def test_a_resource_outside_any_container_brings_up_what_it_needs_and_stops_only_itself(calls):
    needed = Resource(calls.part, "needed")
    part = Resource(calls.part, "part", needed)
    assert part() == "part"
    part.shutdown()
    assert needed.initialized
    needed.shutdown()
    assert calls.lines == ["start needed", "start part", "stop part", "stop needed"]


def test_threads_start_a_resource_outside_any_container_once(calls):
    for _ in range(50):
        part = Resource(calls.part, "part")
        barrier = threading.Barrier(8)

        def ask(part=part, barrier=barrier) -> None:
            barrier.wait(PATIENCE)
            part()

        threads = [threading.Thread(target=ask, daemon=True) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        part.shutdown()
    assert calls.lines == ["start part", "stop part"] * 50


def test_the_library_s_own_hooks_work_outside_any_container():
    registry = Resource(resources.registry)
    hits = Resource(resources.counter, registry, "hits")
    hits().inc()
    assert isinstance(registry(), Registry)
    assert registry().names() == ("hits",)
    hits.shutdown()
    assert registry().names() == ()
    registry.shutdown()


def test_a_hook_is_given_the_arguments_of_the_first_who_asks(calls):
    part = Resource(lambda *args, **kwargs: (args, kwargs), "declared", a=1, b=2)
    assert part("asked", b=3) == (("declared", "asked"), {"a": 1, "b": 3})
    assert part("late") == (("declared", "asked"), {"a": 1, "b": 3})
    part.shutdown()


def test_a_container_that_is_needed_brings_up_no_idle_branch():
    class Stores(containers.DeclarativeContainer):
        store = providers.Dependency()

    class Container(LifecycleContainer):
        disk = Resource(lambda: "disk")
        chosen = providers.Selector(lambda: None, disk=disk)
        stores = providers.Container(Stores, store=chosen)
        user = Resource(lambda stores: "user", stores)

    container = Container()
    assert container.user() == "user"
    assert state_of(container, "disk") is State.NEW
    container.shutdown_resources()
