"""Container on the live page: its graph, its events as they happen, and no configuration."""

import asyncio
import json
import threading
from contextlib import contextmanager

import pytest
from dependency_injector import containers, providers

from metrics import Registry, resources
from metrics.integrations import asgi
from metrics.lifecycle import LifecycleContainer, MetricsContainer, Resource
from tests.integrations.asking import asked
from tests.integrations.dashboard.viewing import PATIENCE, hubs, until, watching

SECRET = "pa55-w0rd:of/the base"


@contextmanager
def database(url: str):
    yield f"connected to {url}"


@contextmanager
def broken(registry: Registry, password: str):
    raise ConnectionError(f"no permission with {password!r}")
    yield


class Container(MetricsContainer):
    config = MetricsContainer.config
    registry = MetricsContainer.registry
    database = Resource(database, config.url)
    hits = Resource(resources.counter, registry, "hits")


class Broken(MetricsContainer):
    config = MetricsContainer.config
    registry = MetricsContainer.registry
    hits = Resource(resources.counter, registry, "hits")
    login = Resource(broken, registry, config.password)


class Stock(containers.DeclarativeContainer):
    registry = providers.Resource(resources.registry)


class Host(LifecycleContainer):
    metrics = providers.Container(Container)


def run(coroutine) -> None:
    asyncio.run(coroutine)


async def watched_text(app) -> str:
    async with watching(app) as viewer:
        await viewer.next("state")
        return viewer.text


sources = pytest.mark.parametrize(
    "source_of", [lambda c: c, lambda c: c.registry], ids=["container", "provider"]
)


@sources
def test_the_graph_has_states_times_and_dependencies(source_of):
    container = Container()
    app = asgi.exposition(source_of(container))

    async def main() -> None:
        container.init_resources()
        try:
            async with watching(app) as viewer:
                shown = (await viewer.next("state")).content["container"]
        finally:
            container.shutdown_resources()
        assert (shown["name"], shown["state"]) == ("Container", "RUNNING")
        nodes = {node["name"]: node for node in shown["resources"]}
        assert list(nodes) == ["ticker", "registry", "database", "hits"]
        assert nodes["hits"]["needs"] == ["registry"]
        assert nodes["hits"]["hook"] == "metrics.resources.counter"
        assert nodes["hits"]["state"] == "RUNNING"
        assert nodes["hits"]["error"] is None
        assert nodes["hits"]["started"] >= nodes["ticker"]["started"]
        assert nodes["hits"]["seconds"] >= 0.0
        changes = [(e["resource"], e["previous"], e["state"]) for e in shown["events"]]
        assert changes == [
            change
            for name in nodes
            for change in ((name, "NEW", "STARTING"), (name, "STARTING", "RUNNING"))
        ]

    run(main())


def test_start_and_stop_arrive_as_events():
    container = Container()
    app = asgi.exposition(container)

    async def main() -> None:
        async with watching(app) as viewer:
            state = (await viewer.next("state")).content
            assert (state["container"]["state"], state["series"]) == ("NEW", [])
            await asyncio.to_thread(container.init_resources)
            for name in ("ticker", "registry", "database", "hits"):
                for value in ("STARTING", "RUNNING"):
                    event = (await viewer.next("lifecycle")).content
                    assert (event["event"]["resource"], event["event"]["state"]) == (name, value)
                    assert event["node"]["name"] == name
            last = event["state"]
            tick = (await viewer.next("tick")).content
            assert [each["name"] for each in tick["added"]] == ["hits"]
            while last != "RUNNING":
                last = tick.get("state", last)
                tick = (await viewer.next("tick")).content if last != "RUNNING" else tick
            await asyncio.to_thread(container.shutdown_resources)
            event = (await viewer.next("lifecycle")).content
            assert (event["event"]["resource"], event["event"]["state"]) == ("hits", "STOPPING")
            stopped = await viewer.next("stopped")
            # It may be over when the event loop comes to it.
            reasons = {"the container is stopping", "the container has stopped"}
            assert stopped.content["reason"] in reasons
            await viewer.end()
        assert hubs(app) == []
        async with watching(app, stopped.identity) as viewer:
            # Another hub, with the whole story.
            shown = (await viewer.next()).content["container"]
            assert shown["state"] == "STOPPED"
            assert {node["state"] for node in shown["resources"]} == {"STOPPED"}
            assert [e["resource"] for e in shown["events"] if e["state"] == "STOPPED"] == [
                "hits",
                "database",
                "registry",
                "ticker",
            ]
            await asyncio.to_thread(container.init_resources)
            assert (await viewer.next("tick")).content["values"] == {"1": [0]}
        await asyncio.to_thread(container.shutdown_resources)

    run(main())


def test_a_resource_that_fails_has_its_error_and_stack_and_no_configuration():
    container = Broken()
    container.config.from_dict({"password": SECRET, "prefix": "p"})
    app = asgi.exposition(container)

    async def main() -> None:
        async with watching(app) as viewer:
            await viewer.next("state")
            with pytest.raises(ConnectionError):
                await asyncio.to_thread(container.init_resources)
            await viewer.end()
            assert SECRET not in viewer.text
        async with watching(app) as viewer:
            content = (await viewer.next("state")).content["container"]
            node = content["resources"][-1]
            assert (content["state"], node["name"], node["state"]) == ("FAILED", "login", "FAILED")
            assert node["error"]["type"] == "ConnectionError"
            assert node["error"]["message"] == "no permission with '***'"
            assert "test_containers.py" in node["error"]["stack"]
            assert "in broken" in node["error"]["stack"]
            failed = [e for e in content["events"] if e["error"] is not None]
            assert [(e["resource"], "stack" in e["error"]) for e in failed] == [("login", False)]
            for text in (SECRET, json.dumps(SECRET), "pa55"):
                assert text not in viewer.text

    run(main())


def test_configuration_is_in_no_byte_of_any_answer():
    container = Container()
    container.config.from_dict({"url": f"db://user:{SECRET}@host/name", "labels": {"zone": "eu"}})
    app = asgi.exposition(container)

    async def main() -> None:
        container.init_resources()
        try:
            container.registry().healthcheck("db").unhealthy(
                f"no connection to {container.config.url()}"
            )
            texts = [await watched_text(app)]
            paths = ("/", "/dashboard/history.json", "/dashboard/index.html")
            texts += [(await asked(app, path, accept="text/html")).text for path in paths]
        finally:
            container.shutdown_resources()
        assert "no connection to ***" in texts[0]
        assert all("pa55" not in text and "user" not in text for text in texts)

    run(main())


def test_many_events_at_once_make_no_viewer_too_slow():
    class Many(LifecycleContainer):
        registry = Resource(resources.registry)
        locals().update({f"r{number}": Resource(database, "") for number in range(100)})

    container = Many()
    app = asgi.exposition(container)

    async def main() -> None:
        async with watching(app) as viewer:
            await viewer.next("state")
            # The event loop comes to the events when all of them are there.
            container.init_resources()
            for _ in range(202):
                await viewer.next("lifecycle")
        container.shutdown_resources()

    run(main())


def test_a_resource_that_is_stopped_alone_ends_no_stream():
    container = Container()
    app = asgi.exposition(container)

    async def main() -> None:
        container.init_resources()
        try:
            async with watching(app) as viewer:
                await viewer.next("state")
                await asyncio.to_thread(container.database.shutdown)
                event = (await viewer.next("lifecycle")).content
                assert (event["event"]["state"], event["state"]) == ("STOPPING", "RUNNING")
                event = (await viewer.next("lifecycle")).content
                assert event["node"]["state"] == "STOPPED"
                assert not viewer.ended
        finally:
            await asyncio.to_thread(container.shutdown_resources)

    run(main())


@pytest.mark.parametrize("source", [Registry(), Stock(), Stock], ids=["registry", "stock", "class"])
def test_without_a_known_container_there_is_none(source):
    if source is not Stock:
        resources_of = getattr(source, "init_resources", bool)
        resources_of()
    app = asgi.exposition(source)
    state = []

    async def main() -> None:
        async with watching(app) as viewer:
            state.append(await viewer.next("state"))

    run(main())
    assert state[0].content["container"] is None
    getattr(source, "shutdown_resources", bool)() if source is not Stock else None


def test_an_embedded_container_is_shown_within_its_host():
    host = Host()
    app = asgi.exposition(host.metrics)

    async def main() -> None:
        host.init_resources()
        try:
            async with watching(app) as viewer:
                shown = (await viewer.next("state")).content["container"]
                assert shown["name"] == "Host"
                assert "metrics.hits" in [node["name"] for node in shown["resources"]]
        finally:
            host.shutdown_resources()

    run(main())


def test_a_closed_registry_ends_the_streams():
    container = Container()
    container.init_resources()
    registry = container.registry()
    app = asgi.exposition(registry)

    async def main() -> None:
        async with watching(app) as viewer:
            await viewer.next("state")
            (hub,) = hubs(app)
            container.shutdown_resources()
            hub._check()
            assert (await viewer.next("stopped")).content["reason"] == "the registry is closed"
            await viewer.end()
        async with watching(app) as viewer:
            assert (await viewer.next()).name == "state"
            assert (await viewer.next()).name == "stopped"
            await viewer.end()

    run(main())


def test_a_closed_event_loop_leaves_nothing_behind():
    container = Container()
    app = asgi.exposition(container)
    container.init_resources()
    try:

        async def main() -> None:
            async with watching(app) as viewer:
                await viewer.next("state")

        run(main())
        assert container._ownership.events._subscribers
        container.database.shutdown()
        assert not container._ownership.events._subscribers
        assert hubs(app) == []
    finally:
        container.shutdown_resources()


def test_reporters_are_shown_without_secrets(tmp_path):
    from metrics.reporters import influxdb

    class Reporting(MetricsContainer):
        config = MetricsContainer.config
        registry = MetricsContainer.registry
        influx = Resource(
            influxdb.v2,
            registry,
            url=config.url,
            token=config.token,
            bucket="b",
            org="o",
            interval=3600.0,
        )

    container = Reporting()
    container.config.from_dict(
        {"url": "http://127.0.0.1:9/base?key=pa55", "token": SECRET, "shutdown": 0}
    )
    app = asgi.exposition(container)

    async def main() -> None:
        await asyncio.to_thread(container.init_resources)
        async with watching(app) as viewer:
            content = (await viewer.next("state")).content
            assert content["reporters"] == [
                {
                    "name": "influxdb",
                    "target": "http://127.0.0.1:9/base/api/v2/write",
                    "sent": 0,
                    "failed": 0,
                    "dropped": 0,
                    "pending": 0,
                    "oldest": None,
                    "error": None,
                    "since": None,
                }
            ]
            assert "pa55" not in viewer.text
        await until(lambda: True)
        await asyncio.to_thread(container.shutdown_resources)

    run(main())


def test_a_read_that_hangs_does_not_outlive_its_container():
    begun, release = threading.Event(), threading.Event()

    def hang() -> float:
        begun.set()
        release.wait(PATIENCE)
        return 0.0

    container = Container()
    app = asgi.exposition(container)

    async def main() -> None:
        async with watching(app) as viewer:
            await viewer.next("state")
            await asyncio.to_thread(container.init_resources)
            await viewer.next("tick")
            (hub,) = hubs(app)
            container.registry().gauge("slow", function=hang)
            hub._read()
            await asyncio.to_thread(begun.wait, PATIENCE)
            await asyncio.to_thread(container.shutdown_resources)
            await viewer.end()
            await asyncio.to_thread(container.init_resources)
        async with watching(app) as viewer:
            assert [e["name"] for e in (await viewer.next("state")).content["series"]] == ["hits"]
        release.set()
        await asyncio.to_thread(container.shutdown_resources)

    run(main())
