"""A type checker knows the types of resources of a container and of shortcuts of a registry."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

PROGRAM = """
from typing import assert_type
from metrics import (
    BucketHistogram, Counter, Family, GaugeSnapshot, Histogram, Meter, Registry, Ticker, Timer,
    resources,
)
from metrics.lifecycle import MetricsContainer, Resource


class Container(MetricsContainer):
    requests = Resource(
        resources.meter, MetricsContainer.registry, "rpc/requests"
    )
    errors = Resource(resources.counters, MetricsContainer.registry, "rpc/errors", ("method",))
    calls = Resource(resources.timers, MetricsContainer.registry, "rpc/calls", ("method",))


class Own:
    def snapshot(self, reader: str = "") -> GaugeSnapshot:
        return GaugeSnapshot(1.0)


container = Container()
assert_type(container.requests(), Meter)
assert_type(container.errors(), Family[Counter])
assert_type(container.errors().labels("GET"), Counter)
assert_type(container.calls(), Family[Timer])
assert_type(container.registry(), Registry)
assert_type(container.ticker(), Ticker)

registry = Registry()
assert_type(registry.counter("a", unit="bytes"), Counter)
assert_type(registry.counters("b", labels=("method",), max_children=9), Family[Counter])
assert_type(registry.counters("b", labels=("method",)).labels("GET"), Counter)
assert_type(registry.timers("t", ("method",), bounds=(1,), description="Calls."), Family[Timer])
assert_type(registry.histograms("h", ("method",)), Family[Histogram])
assert_type(registry.bucket_histograms("bh", ("method",), (1, 2.5)), Family[BucketHistogram])
assert_type(registry.family("f", Timer, ("method",)), Family[Timer])
assert_type(registry.register("r", Meter(), ticker=registry.ticker), Meter)
assert_type(registry.register("own", Own()), Own)

with resources.counters(registry, "x", ("a",), max_children=5) as counters:
    assert_type(counters, Family[Counter])
with resources.timers(registry, "x", labels=("a",), sampled=True, ticker=Ticker()) as timers:
    assert_type(timers, Family[Timer])
with resources.meter(registry, "m", ticker=Ticker()) as meter:
    assert_type(meter, Meter)
with resources.family(registry, "y", BucketHistogram, ("a",)) as family:
    assert_type(family, Family[BucketHistogram])
with resources.registered(registry, "z", Own()) as own:
    assert_type(own, Own)
timer = registry.timer("c")
assert_type(timer, Timer)


@timer.timed
def add(a: int, b: int = 0) -> int:
    return a + b


assert_type(add(1, b=2), int)


@registry.gauge("d").track_inprogress()
@registry.counter("e").count_exceptions((KeyError, OSError))
async def fetch(url: str) -> bytes:
    return b""


async def use() -> bytes:
    with timer.time() as stopwatch, registry.gauge("d").track_inprogress():
        assert_type(stopwatch.seconds, float)
        return await fetch("url")
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
    # One cache for the session: most of the time goes into modules that all programs import.
    cache = str(tmp_path.parent / "mypy")
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", cache, str(file)],
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def refused(right: str, wrong: str, tmp_path: Path) -> list[str]:
    """Return the lines of a program that have errors, in order."""
    lines = (right + wrong).splitlines()
    found = {
        lines[int(line.split(":")[1]) - 1]
        for line in check(right + wrong, tmp_path).stdout.splitlines()
        if ": error:" in line
    }
    return sorted(found)


def test_resources_shortcuts_and_decorated_functions_keep_their_types(tmp_path):
    checked = check(PROGRAM, tmp_path)
    assert checked.returncode == 0, checked.stdout


MISUSED = """
registry.counter("d", max_children=9)
registry.counter("d", labels=("a",))
registry.counters("d")
registry.counters("d", ("a",), ticks=5)
registry.timers("d", ("a",), unit="seconds")
registry.timer("d", histogram=BucketHistogram)
registry.register("d", 5)
resources.meter(registry, Ticker(), "d")
resources.meter(registry, "d", clock=None)
resources.counter(registry, "d", ("a",))
resources.counters(registry, "d")
resources.timers(registry, "d", ("a",), unit="seconds")
resources.host(registry, Ticker())
add("x")
fetch(5)
"""


def test_wrong_arguments_of_shortcuts_and_hooks_are_seen_by_the_type_checker(tmp_path):
    assert refused(PROGRAM, MISUSED, tmp_path) == sorted(MISUSED.split("\n")[1:-1])


def test_a_container_and_its_views_keep_their_types(tmp_path):
    checked = check(LIFECYCLE, tmp_path)
    assert checked.returncode == 0, checked.stdout


def test_wrong_use_of_a_container_is_seen_by_the_type_checker(tmp_path):
    assert refused(LIFECYCLE, WRONG, tmp_path) == sorted(WRONG.split("\n")[1:-1])


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
