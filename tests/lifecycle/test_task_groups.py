"""Task groups and cancel scopes around a `yield` work as around the block of a plain `async with`.

An async resource has one task of its own, from its start to its stop.
"""

import asyncio
import contextlib
import math

import anyio
import anyio.lowlevel
import pytest
from dependency_injector import resources

from metrics.lifecycle import (
    LifecycleContainer,
    Resource,
    State,
    lifespan,
    running,
    state,
)
from tests.lifecycle.bounded import LONG, run


@contextlib.asynccontextmanager
async def anyio_task_group(lines):
    async def child():
        try:
            await anyio.sleep_forever()
        finally:
            lines.append("child ended")

    async with anyio.create_task_group() as group:
        group.start_soon(child)
        await anyio.lowlevel.checkpoint()
        yield
        group.cancel_scope.cancel()


@contextlib.asynccontextmanager
async def asyncio_task_group(lines):
    stop = asyncio.Event()

    async def child():
        await stop.wait()
        lines.append("child ended")

    async with asyncio.TaskGroup() as group:
        group.create_task(child())
        await asyncio.sleep(0)
        yield
        stop.set()


@contextlib.asynccontextmanager
async def cancel_scope(lines):
    with anyio.CancelScope():
        yield
        await anyio.lowlevel.checkpoint()
    lines.append("child ended")


@contextlib.asynccontextmanager
async def shielded_scope_in_a_task_group(lines):
    async with anyio.create_task_group():
        with anyio.CancelScope(shield=True):
            yield
            await anyio.lowlevel.checkpoint()
    lines.append("child ended")


@contextlib.asynccontextmanager
async def anyio_timeout(lines):
    with anyio.fail_after(LONG):
        yield
        await anyio.lowlevel.checkpoint()
    lines.append("child ended")


@contextlib.asynccontextmanager
async def asyncio_timeout(lines):
    async with asyncio.timeout(LONG):
        yield
        await asyncio.sleep(0)
    lines.append("child ended")


SCOPES = [
    anyio_task_group,
    asyncio_task_group,
    cancel_scope,
    shielded_scope_in_a_task_group,
    anyio_timeout,
    asyncio_timeout,
]


def generator(scope, lines):
    async def hook(*_needed):
        async with scope(lines):
            lines.append("start")
            yield "value"
            lines.append("stop")

    return hook


def context_manager(scope, lines):
    return contextlib.asynccontextmanager(generator(scope, lines))


def class_of_context_managers(scope, lines):
    class Hook:
        def __init__(self, *_needed):
            self.scope = scope(lines)

        async def __aenter__(self):
            await self.scope.__aenter__()
            lines.append("start")

        async def __aexit__(self, *_exit_info):
            lines.append("stop")
            await self.scope.__aexit__(None, None, None)

    return Hook


def coroutine_of_a_context_manager(scope, lines):
    async def hook(*_needed):
        await asyncio.sleep(0)
        return class_of_context_managers(scope, lines)()

    return hook


def class_of_resources(scope, lines):
    class Hook(resources.AsyncResource):
        async def init(self, *_needed):
            entered = scope(lines)
            await entered.__aenter__()
            lines.append("start")
            return entered

        async def shutdown(self, entered):
            lines.append("stop")
            await entered.__aexit__(None, None, None)

    return Hook


STYLES = [
    generator,
    context_manager,
    class_of_context_managers,
    coroutine_of_a_context_manager,
    class_of_resources,
]


async def steady(*_needed):
    yield "steady"


def sync_steady(*_needed):
    yield "sync steady"


async def fail(*_needed):
    raise OSError("no port")


def container_of(hook, last=steady):
    class Container(LifecycleContainer):
        below = Resource(sync_steady)
        resource = Resource(hook, below)
        above = Resource(last, resource)

    return Container()


async def start(container):
    await container.init_resources()


async def stop(container, **options):
    await container.shutdown_resources(**options)


async def apart(coroutine):
    """Run a coroutine in a task of its own."""
    return await asyncio.create_task(coroutine)


async def awaited(container):
    await start(container)
    await stop(container)


async def without_a_limit(container):
    await start(container)
    await stop(container, timeout=math.inf)


async def in_other_tasks(container):
    await apart(start(container))
    await apart(stop(container))


async def in_tasks_without_a_limit(container):
    await apart(start(container))
    await apart(stop(container, timeout=math.inf))


async def in_a_block(container):
    async with running(container):
        await asyncio.sleep(0)


async def in_a_lifespan(container):
    async with lifespan(container)(None):
        await asyncio.sleep(0)


async def on_demand(container):
    async def request():
        await container.above()

    await apart(request())
    await stop(container)


async def alone(container):
    async def stop_one():
        await container.resource.shutdown()

    await start(container)
    await apart(stop_one())
    assert state(container, "resource") is State.STOPPED
    await stop(container)


WAYS = [
    awaited,
    without_a_limit,
    in_other_tasks,
    in_tasks_without_a_limit,
    in_a_block,
    in_a_lifespan,
    on_demand,
    alone,
]


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("way", WAYS)
def test_a_scope_around_the_yield_is_left_in_order(way, style, scope):
    lines = []

    async def main():
        async with asyncio.timeout(LONG):
            await way(container_of(style(scope, lines)))

    run(main())
    assert lines == ["start", "stop", "child ended"]


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("style", STYLES)
def test_a_roll_back_leaves_a_scope_around_the_yield_in_order(style, scope):
    lines = []
    container = container_of(style(scope, lines), last=fail)

    async def main():
        async with asyncio.timeout(LONG):
            await start(container)

    with pytest.raises(OSError, match="no port") as raised:
        run(main())
    assert not any("failed to stop" in note for note in raised.value.__notes__)
    assert lines == ["start", "stop", "child ended"]


@pytest.mark.parametrize("scope", SCOPES)
def test_a_cancelled_start_leaves_the_scopes_that_were_entered_in_order(scope):
    lines = []

    async def hang(*_needed):
        async with scope(lines):
            begun.set()
            await asyncio.Event().wait()
            yield

    container = container_of(generator(scope, lines), last=hang)
    begun = asyncio.Event()

    async def main():
        starting = asyncio.create_task(start(container))
        await begun.wait()
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting

    run(main())
    assert [line for line in lines if line != "child ended"] == ["start", "stop"]
    assert lines[-1] == "child ended"
    assert state(container) is State.FAILED


@pytest.mark.parametrize("scope", SCOPES)
def test_a_cancelled_stop_leaves_a_scope_in_order_and_raises_then(scope):
    lines = []

    @contextlib.asynccontextmanager
    async def slow(lines):
        async with scope(lines):
            yield
            stopping.set()
            await go_on.wait()

    container = container_of(generator(slow, lines))
    stopping, go_on = asyncio.Event(), asyncio.Event()

    async def main():
        await start(container)
        task = asyncio.create_task(stop(container))
        await stopping.wait()
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0)
        assert not task.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())
    assert lines == ["start", "stop", "child ended"]
    assert state(container) is State.STOPPED
