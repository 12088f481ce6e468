"""The registry is looked up at each request: nothing starts early, and nothing stale is served."""

import asyncio

import pytest
from dependency_injector import containers, providers

from metrics import NotRunningError, Registry, resources
from metrics.integrations import asgi, wsgi
from metrics.lifecycle import LifecycleContainer, MetricsContainer, Resource, State, state
from metrics.testing import overridden
from tests.forks import forking, in_child
from tests.integrations.asking import ask, ask_wsgi, asked

EMPTY = (200, "")


class Container(MetricsContainer):
    registry = MetricsContainer.registry
    hits = Resource(resources.counter, registry, "hits")


class Stock(containers.DeclarativeContainer):
    registry = providers.Resource(resources.registry)


class Host(LifecycleContainer):
    metrics = providers.Container(Container)


def page_of(hits: int) -> str:
    return f"# HELP hits_total hits (Counter)\n# TYPE hits_total counter\nhits_total {hits}\n"


applications = pytest.mark.parametrize(
    ("create", "ask"),
    [
        (asgi.metrics, ask),
        (asgi.exposition, ask),
        (wsgi.metrics, ask_wsgi),
        (wsgi.exposition, ask_wsgi),
    ],
)
sources = pytest.mark.parametrize(
    "source_of",
    [
        lambda container: container,
        lambda container: container.registry,
        lambda container: container.registry.provided,
        lambda container: providers.Factory(lambda registry: registry, container.registry),
    ],
    ids=["container", "provider", "provided", "dependent"],
)


@applications
@sources
def test_the_pages_follow_the_container_from_start_to_restart(create, ask, source_of):
    container = Container()
    app = create(source_of(container))
    for hits in (1, 2):
        refused = ask(app, "/metrics")
        assert (refused.status, refused.headers["Content-Type"]) == (
            503,
            "text/plain; charset=utf-8",
        )
        assert "has not started, or has stopped" in refused.text or "is STOPPED" in refused.text
        assert refused.text.count("\n") == 1
        assert state(container, "registry") is not State.RUNNING
        container.init_resources()
        container.hits().inc(hits)
        assert ask(app, "/metrics")[::2] == (200, page_of(hits))
        container.shutdown_resources()
    assert ask(app, "/metrics").status == 503


@applications
def test_every_page_of_a_stopped_container_is_503(create, ask):
    app = create(Container())
    for path in ("/", "/metrics", "/metrics.json", "/healthz", "/debug/metrics"):
        for method in ("GET", "HEAD"):
            for accept in ("*/*", "text/html"):
                if create is asgi.exposition and (path, accept) == ("/", "text/html"):
                    continue  # the live page shows the state of the container
                answer = ask(app, path, method, accept=accept)
                assert answer.status == 503
                assert bool(answer.text) is (method == "GET")


@applications
def test_a_registry_of_a_stopped_container_is_503_and_no_empty_page(create, ask):
    container = Container()
    container.init_resources()
    app = create(container.registry())
    child = create(container.registry().child("shop"))
    assert ask(app, "/metrics")[::2] == (200, page_of(0))
    assert ask(child, "/metrics")[::2] == EMPTY
    container.shutdown_resources()
    for stopped in (app, child):
        answer = ask(stopped, "/metrics")
        assert answer[::2] == (503, "the registry is closed: its container has stopped\n")


@applications
def test_a_registry_without_a_container_is_served_empty_or_not(create, ask):
    registry = Registry()
    app = create(registry)
    assert ask(app, "/metrics")[::2] == EMPTY
    registry.counter("hits").inc()
    assert ask(app, "/metrics")[::2] == (200, page_of(1))
    registry.clear()
    assert ask(app, "/metrics")[::2] == EMPTY
    assert ask(create(lambda: registry), "/metrics")[::2] == EMPTY


@applications
def test_a_disabled_registry_is_served_empty(create, ask):
    container = Container()
    container.config.from_dict({"enabled": False})
    container.init_resources()
    assert ask(create(container), "/metrics")[::2] == EMPTY
    container.shutdown_resources()


@applications
def test_resources_of_dependency_injector_itself_are_not_started_either(create, ask):
    container = Stock()
    app = create(container.registry)
    assert ask(app, "/metrics").status == 503
    assert not container.registry.initialized
    container.init_resources()
    assert ask(app, "/metrics")[::2] == EMPTY
    container.shutdown_resources()
    assert ask(app, "/metrics").status == 503


@applications
def test_embedded_containers_and_container_classes_are_containers(create, ask):
    host = Host()
    for app in (create(host.metrics), create(host.metrics.registry)):
        assert ask(app, "/metrics").status == 503
        host.init_resources()
        assert ask(app, "/metrics")[::2] == (200, page_of(0))
        host.shutdown_resources()
    assert ask(create(Container), "/metrics").status == 503


@applications
def test_an_override_is_served_while_it_lasts(create, ask):
    container = Container()
    fake = Registry()
    fake.counter("hits").inc(7)
    app = create(container)
    with container.registry.override(providers.Object(fake)):
        assert ask(app, "/metrics")[::2] == (200, page_of(7))
    assert ask(app, "/metrics").status == 503
    with overridden(container, registry=fake):
        assert ask(app, "/metrics")[::2] == (200, page_of(7))


@applications
def test_a_provider_that_raises_not_running_is_503(create, ask):
    def provide() -> Registry:
        raise NotRunningError("not\nyet")

    assert ask(create(provide), "/metrics")[::2] == (503, "not yet\n")


@pytest.mark.parametrize("create", [asgi.metrics, asgi.exposition, wsgi.metrics, wsgi.exposition])
def test_wrong_arguments_are_refused_at_once(create):
    for wrong in (None, 7, "registry", object()):
        with pytest.raises(TypeError, match=r"invalid registry .*: pass a Registry, its provider"):
            create(wrong)
    for option in ("timeout", "window"):
        with pytest.raises(ValueError, match=f"invalid {option} 0: use a number of seconds"):
            create(Registry(), **{option: 0})
        with pytest.raises(TypeError, match=f"invalid {option}"):
            create(Registry(), **{option: []})
    create(Registry(), timeout="1500ms", window="2m")


def test_a_provider_of_anything_else_is_an_error():
    with pytest.raises(TypeError, match="invalid registry 7: pass"):
        ask(asgi.metrics(lambda: 7), "/metrics")


def test_a_registry_that_depends_on_an_async_resource_is_served():
    class Async(MetricsContainer):
        async def _prefix():
            yield "shop"

        prefix = Resource(_prefix)
        registry = Resource(resources.registry, prefix)

    async def serve() -> list[int]:
        container = Async()
        app = asgi.metrics(container)
        statuses = [(await asked(app, "/metrics")).status]
        await container.init_resources()
        statuses.append((await asked(app, "/metrics")).status)
        await container.shutdown_resources()
        return [*statuses, (await asked(app, "/metrics")).status]

    assert asyncio.run(serve()) == [503, 200, 503]


class TestForked:
    pytestmark = forking

    @applications
    @pytest.mark.parametrize("source_of", [lambda container: container, lambda c: c.registry])
    def test_the_childs_values_are_served_in_the_child(self, create, ask, source_of):
        container = Container()
        app = create(source_of(container))
        container.init_resources()
        container.hits().inc(5)
        assert ask(app, "/metrics")[::2] == (200, page_of(5))

        def serve() -> list[str | int]:
            container.hits().inc(2)
            served = ask(app, "/metrics").text
            container.shutdown_resources()
            return [served, ask(app, "/metrics").status]

        assert in_child(serve) == [page_of(2), 503]
        assert ask(app, "/metrics")[::2] == (200, page_of(5))
        container.shutdown_resources()

    @applications
    def test_a_container_that_starts_after_the_fork_is_served_in_the_child_alone(self, create, ask):
        container = Container()
        app = create(container)

        def serve() -> str:
            container.init_resources()
            served = ask(app, "/metrics").text
            container.shutdown_resources()
            return served

        assert in_child(serve) == page_of(0)
        assert ask(app, "/metrics").status == 503
