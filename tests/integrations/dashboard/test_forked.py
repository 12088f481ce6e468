"""Live page in forked processes, and of processes that share their values."""

import asyncio
import os
from contextlib import contextmanager

from metrics import Registry
from metrics.integrations import asgi, processes
from metrics.lifecycle import MetricsContainer, Resource
from metrics.testing import ManualTicker
from tests.forks import forking, in_child
from tests.integrations.dashboard.viewing import hubs, watching
from tests.integrations.workers import workers

__all__ = ["workers"]

pytestmark = forking


def test_a_forked_process_has_a_hub_of_its_own_and_leaves_the_parents_alone():
    ticker = ManualTicker()
    ticker.start()
    registry = Registry(ticker=ticker, clock=ticker.clock)
    hits = registry.counter("hits")
    app = asgi.exposition(registry)

    async def view() -> str:
        async with watching(app) as viewer:
            return (await viewer.next("state")).content["boot"]

    def child() -> list[object]:
        # Its loop is a copy that must not be woken.
        inherited = hubs(app), len(ticker)
        ticker.advance(5.0)
        return [*inherited, len(ticker), asyncio.run(view())]

    async def main() -> None:
        async with watching(app) as viewer:
            boot = (await viewer.next("state")).content["boot"]
            forked_hubs, before, after, other = in_child(child)
            assert (forked_hubs, before, after) == ([], 1, 0)
            assert other != boot
            hits.inc()
            ticker.advance(5.0)
            assert (await viewer.next("tick")).content["values"] == {"1": [1]}

    asyncio.run(main())


async def state_of(app) -> dict:
    async with watching(app) as viewer:
        return (await viewer.next("state")).content


def test_workers_are_listed_and_their_values_summed(workers):
    @contextmanager
    def enter():
        registry = Registry()
        hits = registry.counter("hits")
        with processes.share(registry, directory=workers.directory):
            app = asgi.exposition(registry)
            yield {"hits": hits, "os": os, "state": lambda: asyncio.run(state_of(app))}

    first, second = workers.enter(enter), workers.enter(enter)
    first.run("hits.inc(2)")
    second.run("hits.inc(3)")
    state = first.run("state()")
    ids = {one["name"]: str(one["id"]) for one in state["series"]}
    assert state["values"][ids["hits"]] == [5]
    assert state["workers"] == [
        {"number": 0, "pid": first.pid, "up": True},
        {"number": 1, "pid": second.pid, "up": True},
    ]
    second.end()
    state = first.run("state()")
    assert [worker["pid"] for worker in state["workers"]] == [first.pid]


def plain():
    yield 1


class Container(MetricsContainer):
    registry = MetricsContainer.registry
    one = Resource(plain)


def test_a_running_container_with_a_page_can_be_forked():
    container = Container()
    app = asgi.exposition(container)
    container.init_resources()
    try:
        # It fails if the fork prints an error, and names of the parent are removed by it.
        state = in_child(lambda: asyncio.run(state_of(app)))
    finally:
        container.shutdown_resources()
    states = {node["name"]: node["state"] for node in state["container"]["resources"]}
    assert states == {"ticker": "RUNNING", "registry": "RUNNING", "one": "NEW"}
    assert state["container"]["events"] == []
