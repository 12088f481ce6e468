"""A type checker knows what a container's parts and a registry's short cuts give."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

PROGRAM = """
from typing import assert_type
from metrics import Counter, Family, Meter, Registry, Ticker, Timer, resources
from metrics.lifecycle import MetricsContainer, Resource


class Container(MetricsContainer):
    requests = Resource(
        resources.meter, MetricsContainer.registry, "rpc/requests"
    )


container = Container()
assert_type(container.requests(), Meter)
assert_type(container.registry(), Registry)
assert_type(container.ticker(), Ticker)

registry = Registry()
assert_type(registry.counter("a", unit="bytes"), Counter)
assert_type(registry.counters("b", labels=("method",), max_children=9), Family[Counter])
assert_type(registry.counters("b", labels=("method",)).labels("GET"), Counter)
timer = registry.timer("c")
assert_type(timer, Timer)


@timer.timed
def add(a: int, b: int = 0) -> int:
    return a + b


assert_type(add(1, b=2), int)
"""


LIFECYCLE = """
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import assert_type
from dependency_injector import containers, providers
from starlette.applications import Starlette
from metrics import Meter, resources
from metrics.lifecycle import (
    Event, Graph, LifecycleContainer, MetricsContainer, Problem, Resource, State,
    check, graph, lifespan, running, state, subscribe,
)


class Database:
    pass


def generator(url: str) -> Iterator[Database]:
    yield Database()


async def async_generator(url: str) -> AsyncIterator[Database]:
    yield Database()


@contextmanager
def manager(url: str) -> Iterator[Database]:
    yield Database()


@asynccontextmanager
async def async_manager(url: str) -> AsyncIterator[Database]:
    yield Database()


def function(url: str) -> Database:
    return Database()


async def coroutine(url: str) -> Database:
    return Database()


class Container(MetricsContainer):
    generator = Resource(generator, "url")
    async_generator = Resource(async_generator, "url")
    manager = Resource(manager, "url")
    async_manager = Resource(async_manager, "url")
    function = Resource(function, "url")
    coroutine = Resource(coroutine, "url")
    service = providers.Singleton(Database)
    requests = Resource(
        resources.meter, MetricsContainer.registry, "requests"
    )


class Stock(containers.DeclarativeContainer):
    part = providers.Resource(generator, "url")


container = Container()
assert_type(container.requests, Resource[Meter])
assert_type(container.requests(), Meter)
assert_type(container.generator(), Database)
assert_type(container.manager(), Database)
assert_type(container.function(), Database)
assert_type(container.service(), Database)
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


with running(container, signals=()) as target:
    assert_type(target, Container)
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
"""

WRONG = """
container.requests().inc()
container.generator().missing
running(Stock())
running(Container)
lifespan(Stock())
graph(Container)
state(5)
state(container, 5)
subscribe(container, 5)
subscribe(container, lambda: None)
check(5)
container.init_resources(int)
container.shutdown_resources(5)
container.shutdown_resources(timeout="5")
container.shutdown_resources(error=ValueError)
Starlette(lifespan=container)
"""


def check(program: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    file = tmp_path / "program.py"
    file.write_text(program)
    # One cache for the session: most of the time goes into what all programs import.
    cache = str(tmp_path.parent / "mypy")
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", cache, str(file)],
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_parts_short_cuts_and_decorated_functions_keep_their_types(tmp_path):
    checked = check(PROGRAM, tmp_path)
    assert checked.returncode == 0, checked.stdout
    wrong = check(PROGRAM + "registry.counter('d', max_children=9)\nadd('x')\n", tmp_path)
    assert wrong.returncode == 1
    assert "No overload variant" in wrong.stdout
    assert 'incompatible type "str"; expected "int"' in wrong.stdout


def test_a_container_and_its_views_keep_their_types(tmp_path):
    checked = check(LIFECYCLE, tmp_path)
    assert checked.returncode == 0, checked.stdout


def test_wrong_use_of_a_container_is_seen_by_the_type_checker(tmp_path):
    checked = check(LIFECYCLE + WRONG, tmp_path)
    lines = (LIFECYCLE + WRONG).splitlines()
    refused = {
        lines[int(line.split(":")[1]) - 1]
        for line in checked.stdout.splitlines()
        if ": error:" in line
    }
    assert sorted(refused) == sorted(WRONG.split("\n")[1:-1])


SURVIVING = """
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import assert_type
from metrics._fork import survives_fork


@survives_fork
@contextmanager
def bare(size: int, *, name: str = "") -> Iterator[list[int]]:
    yield []


@contextmanager
@survives_fork(reset=lambda value: value.clear())
def below(size: int) -> Iterator[list[int]]:
    yield []


@survives_fork()
async def generator(size: int) -> AsyncIterator[int]:
    yield size


@survives_fork(reset=print)
class Cache:
    def __init__(self, size: int) -> None: ...


with bare(1, name="a") as a, below(1) as b:
    assert_type(a, list[int])
    assert_type(b, list[int])
assert_type(generator(1), AsyncIterator[int])
assert_type(Cache(1), Cache)
"""


def test_a_hook_that_survives_a_fork_keeps_its_type(tmp_path):
    checked = check(SURVIVING, tmp_path)
    assert checked.returncode == 0, checked.stdout
