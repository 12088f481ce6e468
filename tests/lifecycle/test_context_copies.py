"""The context of a hook is a copy of the caller's at its start, shared with no other hook."""

import asyncio
import contextlib
from contextvars import ContextVar

import pytest

from metrics.deadline import remaining
from metrics.lifecycle import LifecycleContainer, Resource, State, running, state
from tests.lifecycle.bounded import LONG

VARIABLE = ContextVar("variable", default="default")


@pytest.fixture(autouse=True)
def own_value():
    """Let a test set the variable without an effect on the next test."""
    token = VARIABLE.set("default")
    yield
    VARIABLE.reset(token)


def sync_reader(seen):
    def hook(*_needed):
        seen.append(VARIABLE.get())
        yield
        seen.append(VARIABLE.get())

    return hook


def async_reader(seen):
    async def hook(*_needed):
        seen.append(VARIABLE.get())
        yield
        await asyncio.sleep(0)
        seen.append(VARIABLE.get())

    return hook


def sync_writer(value):
    def hook(*_needed):
        VARIABLE.set(value)
        yield
        VARIABLE.set(f"{value} at the stop")

    return hook


def async_writer(value):
    async def hook(*_needed):
        VARIABLE.set(value)
        yield
        VARIABLE.set(f"{value} at the stop")

    return hook


async def start(container):
    await container.init_resources()


async def stop(container):
    await container.shutdown_resources()


@pytest.mark.parametrize("timeout", [LONG, float("inf")])
def test_a_sync_hook_sees_at_the_stop_the_variables_of_the_start(timeout):
    seen = []

    class Container(LifecycleContainer):
        resource = Resource(sync_reader(seen))

    container = Container()
    for value in ("first", "second"):
        VARIABLE.set(f"{value} start")
        container.init_resources()
        VARIABLE.set(f"{value} stop")
        container.shutdown_resources(timeout=timeout)
    assert seen == [f"{value} start" for value in ("first", "first", "second", "second")]


def test_hooks_in_an_event_loop_see_at_the_stop_the_variables_of_the_start():
    seen = []

    class Container(LifecycleContainer):
        one = Resource(sync_reader(seen))
        two = Resource(async_reader(seen))

    container = Container()

    async def main():
        for value in ("first", "second"):
            VARIABLE.set(f"{value} start")
            await container.init_resources()
            VARIABLE.set(f"{value} stop")
            await container.shutdown_resources()

    asyncio.run(main())
    assert seen == ["first start"] * 4 + ["second start"] * 4


@pytest.mark.parametrize("kind", ["sync", "async", "mixed"])
def test_a_variable_that_a_hook_sets_reaches_neither_its_caller_nor_another_hook(kind):
    seen = []
    writer = sync_writer if kind == "sync" else async_writer
    reader = async_reader if kind == "async" else sync_reader

    class Container(LifecycleContainer):
        writing = Resource(writer("hook"))
        reading = Resource(reader(seen), writing)

    container = Container()

    def run():
        container.init_resources()
        assert VARIABLE.get() == "caller"
        container.shutdown_resources()
        assert VARIABLE.get() == "caller"

    async def run_async():
        await start(container)
        assert VARIABLE.get() == "caller"
        await stop(container)
        assert VARIABLE.get() == "caller"

    VARIABLE.set("caller")
    run() if kind == "sync" else asyncio.run(run_async())
    assert seen == ["caller", "caller"]


def test_a_resource_that_a_hook_requests_has_a_context_of_its_own():
    seen = []

    def outer():
        token = VARIABLE.set("outer")
        container.requested()
        seen.append(VARIABLE.get())
        yield
        seen.append(VARIABLE.get())
        VARIABLE.reset(token)

    def inner():
        token = VARIABLE.set("inner")
        yield
        seen.append(VARIABLE.get())
        VARIABLE.reset(token)

    class Container(LifecycleContainer):
        requested = Resource(inner)
        requesting = Resource(outer)

    container = Container()
    container.requesting()
    container.shutdown_resources()
    assert seen == ["outer", "outer", "inner"]
    assert VARIABLE.get() == "default"


def test_resources_stop_one_by_one_in_any_order():
    @contextlib.contextmanager
    def scoped():
        token = VARIABLE.set("hook")
        try:
            yield
        finally:
            VARIABLE.reset(token)

    class Container(LifecycleContainer):
        one = Resource(scoped)
        two = Resource(scoped)
        three = Resource(scoped)

    container = Container()
    container.init_resources()
    for resource in (container.one, container.three, container.two):
        resource.shutdown()
        assert VARIABLE.get() == "default"
    assert {state(container, name) for name in ("one", "two", "three")} == {State.STOPPED}
    container.shutdown_resources()


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_the_exception_that_ends_a_block_reaches_a_hook_in_its_context(kind):
    seen = []

    class Hook:
        def __enter__(self):
            self.token = VARIABLE.set("hook")

        def __exit__(self, _kind, error, _traceback):
            seen.append(error)
            VARIABLE.reset(self.token)

    class AsyncHook:
        async def __aenter__(self):
            self.token = VARIABLE.set("hook")

        async def __aexit__(self, _kind, error, _traceback):
            seen.append(error)
            VARIABLE.reset(self.token)

    class Container(LifecycleContainer):
        resource = Resource(Hook if kind == "sync" else AsyncHook)

    error = OSError("no port")

    def run():
        with running(Container()):
            raise error

    async def run_async():
        async with running(Container()):
            raise error

    with pytest.raises(OSError, match="no port") as raised:
        run() if kind == "sync" else asyncio.run(run_async())
    assert raised.value is error
    assert seen == [error]


@pytest.mark.parametrize("kind", ["sync", "async", "mixed"])
def test_a_hook_may_ask_for_the_remaining_time_in_its_own_context(kind):
    seen = []

    def hook():
        assert remaining() is None
        yield
        seen.append(remaining())

    async def async_hook():
        assert remaining() is None
        yield
        seen.append(remaining())

    class Container(LifecycleContainer):
        one = Resource(async_hook if kind == "async" else hook)
        two = Resource(hook if kind == "sync" else async_hook)

    container = Container()

    async def main():
        await container.init_resources()
        await container.shutdown_resources(timeout=LONG)

    if kind == "sync":
        container.init_resources()
        container.shutdown_resources(timeout=LONG)
    else:
        asyncio.run(main())
    assert len(seen) == 2
    assert all(seconds is not None and 0 < seconds <= LONG for seconds in seen)
