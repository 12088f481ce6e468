"""Types of the resources of a container, of its start and stop, and of its views."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import assert_type

from dependency_injector import containers, providers
from starlette.applications import Starlette

from metrics import Counter, Family, Meter, Registry, Ticker, Timer, resources
from metrics.lifecycle import (
    Event,
    Graph,
    LifecycleContainer,
    MetricsContainer,
    Problem,
    Resource,
    State,
    check,
    graph,
    lifespan,
    running,
    state,
    subscribe,
)


class Database:
    """Resource of a program."""


def generator(_url: str) -> Iterator[Database]:
    yield Database()


async def async_generator(_url: str) -> AsyncIterator[Database]:
    yield Database()


@contextmanager
def manager(_url: str) -> Iterator[Database]:
    yield Database()


@asynccontextmanager
async def async_manager(_url: str) -> AsyncIterator[Database]:
    yield Database()


def function(_url: str) -> Database:
    return Database()


async def coroutine(_url: str) -> Database:
    return Database()


class Container(MetricsContainer):
    generator = Resource(generator, "url")
    async_generator = Resource(async_generator, "url")
    manager = Resource(manager, "url")
    async_manager = Resource(async_manager, "url")
    function = Resource(function, "url")
    coroutine = Resource(coroutine, "url")
    service = providers.Singleton(Database)
    requests = Resource(resources.meter, MetricsContainer.registry, "rpc/requests")
    errors = Resource(resources.counters, MetricsContainer.registry, "rpc/errors", ("method",))
    calls = Resource(resources.timers, MetricsContainer.registry, "rpc/calls", ("method",))


class Plain(LifecycleContainer):
    generator = Resource(generator, "url")


class Stock(containers.DeclarativeContainer):
    database = providers.Resource(generator, "url")


container = Container()
assert_type(container.requests, Resource[Meter])
assert_type(container.requests(), Meter)
assert_type(container.errors(), Family[Counter])
assert_type(container.errors().labels("GET"), Counter)
assert_type(container.calls(), Family[Timer])
assert_type(container.registry(), Registry)
assert_type(container.ticker(), Ticker)
assert_type(container.generator(), Database)
assert_type(container.manager(), Database)
assert_type(container.function(), Database)
assert_type(container.service(), Database)
assert_type(Plain().generator(), Database)
Container.shutdown_timeout = None


async def use() -> None:
    assert_type(await container.async_generator.async_(), Database)
    assert_type(await container.async_manager.async_(), Database)
    assert_type(await container.coroutine.async_(), Database)
    await container.init_resources(Resource)
    assert_type(await container.init_resources(), None)
    assert_type(await container.shutdown_resources(timeout=1, error=ValueError()), None)
    await container.generator.shutdown()
    async with running(container, timeout=1.5) as target:
        assert_type(target, Container)


with running(container, signals=()) as started:
    assert_type(started, Container)
container.shutdown_resources(providers.Resource, timeout=float("inf"), error=KeyboardInterrupt())
container.shutdown_resources(timeout=None)
Starlette(lifespan=lifespan(container, timeout=5))


def listen(event: Event) -> None:
    assert_type(event.resource, str)
    assert_type(event.state, State)
    assert_type(event.seconds, float)
    assert_type(event.error, BaseException | None)


assert_type(subscribe(container, listen), Callable[[], None])
assert_type(state(container), State)
assert_type(state(container, "requests"), State)
assert_type(state(container.requests), State)
assert_type(graph(container), Graph)
assert_type(graph(container).to_json(), str)
assert_type(graph(container).resources[0].needs, tuple[str, ...])
assert_type(check(Container), tuple[Problem, ...])
assert_type(check(container), tuple[Problem, ...])
assert_type(check(Stock()), tuple[Problem, ...])

container.requests().inc()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
container.generator().missing()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
running(Stock())  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]
running(Container)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]
lifespan(Stock())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
graph(Container)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
state(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
state(container, 5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
subscribe(container, 5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
subscribe(container, lambda: None)  # type: ignore[arg-type, misc]  # pyright: ignore[reportArgumentType]
check(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
container.init_resources(int)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
container.shutdown_resources(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
container.shutdown_resources(timeout="5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
container.shutdown_resources(error=ValueError)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Starlette(lifespan=container)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
