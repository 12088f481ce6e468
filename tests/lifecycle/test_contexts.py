"""Every hook is entered and exited in one context of its own, in whichever thread and task."""

import asyncio
import contextlib
import decimal
import math
from contextvars import ContextVar
from functools import partial

import pytest
from opentelemetry import baggage
from opentelemetry.context import attach, detach

from metrics.lifecycle import LifecycleContainer, Resource, lifespan, running
from tests.lifecycle.bounded import LONG, within
from tests.lifecycle.scoped import (
    ASYNC_STYLES,
    SYNC_STYLES,
    class_of_context_managers,
    generator,
)

VARIABLE = ContextVar("variable", default="outside")


@contextlib.contextmanager
def variable():
    token = VARIABLE.set("inside")
    try:
        yield
    finally:
        VARIABLE.reset(token)


@contextlib.contextmanager
def precision():
    with decimal.localcontext() as local:
        local.prec = 5
        yield


@contextlib.contextmanager
def attached():
    # A token of another context makes detach() log an error; it raises nothing.
    token = attach(baggage.set_baggage("key", "inside"))
    try:
        yield
    finally:
        detach(token)


# A context manager that has to be exited in the context it was entered in; its effect.
SCOPES = {
    "context variable": (variable, VARIABLE.get),
    "decimal": (precision, lambda: decimal.getcontext().prec),
    "opentelemetry": (attached, lambda: baggage.get_baggage("key")),
}


def plain(*_needed):
    yield "plain"


async def async_plain(*_needed):
    yield "async plain"


def fail(*_needed):
    raise OSError("no port")


def container_of(hook, before=plain, after=plain):
    class Container(LifecycleContainer):
        below = Resource(before)
        resource = Resource(hook, below)
        above = Resource(after, resource)

    return Container()


@contextlib.contextmanager
def called(container):
    container.init_resources()
    yield
    container.shutdown_resources()


@contextlib.contextmanager
def without_a_limit(container):
    container.init_resources()
    yield
    container.shutdown_resources(timeout=math.inf)


@contextlib.contextmanager
def with_a_start_limit(container):
    container.init_resources(timeout=LONG)
    yield
    container.shutdown_resources()


@contextlib.contextmanager
def in_a_block(container):
    with running(container):
        yield


@contextlib.contextmanager
def on_demand(container):
    assert container.above() == "plain"
    yield
    container.shutdown_resources()


@contextlib.contextmanager
def stopped_alone(container):
    container.init_resources()
    yield
    container.resource.shutdown()
    container.shutdown_resources()


@contextlib.contextmanager
def started_in_another_thread(container):
    within(container.init_resources)
    yield
    container.shutdown_resources()


@contextlib.contextmanager
def stopped_in_another_thread(container):
    container.init_resources()
    yield
    within(container.shutdown_resources, timeout=math.inf)


SYNC_WAYS = [
    called,
    without_a_limit,
    with_a_start_limit,
    in_a_block,
    on_demand,
    stopped_alone,
    started_in_another_thread,
    stopped_in_another_thread,
]


def warnings_in(caplog):
    return [record.getMessage() for record in caplog.records if record.levelname != "INFO"]


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("style", SYNC_STYLES)
@pytest.mark.parametrize("way", SYNC_WAYS)
def test_a_sync_hook_is_exited_in_the_context_it_was_entered_in(way, style, scope, caplog):
    scope, read = SCOPES[scope]
    seen, outside = [], read()
    with way(container_of(style(scope, read, seen))):
        # The hook's context is its own; the caller's stays as it was.
        assert read() == outside
    assert read() == outside
    assert len(seen) == 2
    assert outside not in seen
    assert warnings_in(caplog) == []


@contextlib.asynccontextmanager
async def awaited(container):
    await container.init_resources()
    yield
    await container.shutdown_resources()


@contextlib.asynccontextmanager
async def awaited_without_a_limit(container):
    await container.init_resources()
    yield
    await container.shutdown_resources(timeout=math.inf)


@contextlib.asynccontextmanager
async def awaited_with_a_start_limit(container):
    await container.init_resources(timeout=LONG)
    yield
    await container.shutdown_resources()


@contextlib.asynccontextmanager
async def in_other_tasks(container):
    await asyncio.create_task(container.init_resources())
    yield
    await asyncio.create_task(container.shutdown_resources())


@contextlib.asynccontextmanager
async def in_an_async_block(container):
    async with running(container):
        yield


@contextlib.asynccontextmanager
async def in_a_lifespan(container):
    async with lifespan(container)(None):
        yield


@contextlib.asynccontextmanager
async def awaited_on_demand(container):
    async def request():
        assert await container.above() == "async plain"

    await asyncio.create_task(request())
    yield
    await container.shutdown_resources()


@contextlib.asynccontextmanager
async def awaited_alone(container):
    await container.init_resources()
    yield
    await container.resource.shutdown()
    await container.shutdown_resources()


ASYNC_WAYS = [
    awaited,
    awaited_without_a_limit,
    awaited_with_a_start_limit,
    in_other_tasks,
    in_an_async_block,
    in_a_lifespan,
    awaited_on_demand,
    awaited_alone,
]


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("style", [generator, class_of_context_managers, *ASYNC_STYLES])
@pytest.mark.parametrize("way", ASYNC_WAYS)
def test_in_an_event_loop_a_hook_is_exited_in_the_context_it_was_entered_in(
    way, style, scope, caplog
):
    scope, read = SCOPES[scope]
    seen, outside = [], read()
    container = container_of(style(scope, read, seen), after=async_plain)

    async def main():
        async with way(container):
            assert read() == outside
        assert read() == outside

    asyncio.run(main())
    assert len(seen) == 2
    assert outside not in seen
    assert warnings_in(caplog) == []


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("style", [*SYNC_STYLES, *ASYNC_STYLES])
def test_a_roll_back_exits_a_hook_in_the_context_it_was_entered_in(style, scope, caplog):
    scope, read = SCOPES[scope]
    seen, outside = [], read()
    container = container_of(style(scope, read, seen), after=fail)

    async def main():
        await container.init_resources()

    with pytest.raises(OSError, match="no port") as raised:
        asyncio.run(main()) if style in ASYNC_STYLES else container.init_resources()
    assert not any("failed to stop" in note for note in raised.value.__notes__)
    assert read() == outside
    assert len(seen) == 2
    assert outside not in seen
    assert [line for line in warnings_in(caplog) if "detach" in line] == []


def test_structlogs_context_variables_are_bound_inside_the_hook_only():
    contextvars = pytest.importorskip("structlog.contextvars")
    scope, seen = partial(contextvars.bound_contextvars, key="inside"), []
    container = container_of(generator(scope, contextvars.get_contextvars, seen))
    container.init_resources()
    assert contextvars.get_contextvars() == {}
    container.shutdown_resources()
    assert seen == [{"key": "inside"}] * 2
