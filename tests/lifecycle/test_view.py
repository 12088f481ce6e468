"""View of a container for integrations: resources and journal, and no configuration."""

import asyncio
import gc
import os
import pickle
import weakref
from contextlib import contextmanager

import pytest
from dependency_injector import providers

from metrics import Registry, resources
from metrics.lifecycle import (
    LifecycleContainer,
    LifecycleError,
    MetricsContainer,
    Resource,
    ShutdownError,
    State,
    graph,
)
from metrics.lifecycle._record import JOURNAL_LENGTH
from tests.forks import in_child


class BoomError(Exception):
    pass


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise BoomError


def fail(*_: object) -> None:
    raise BoomError("why")


@contextmanager
def failing_at_stop():
    yield
    raise BoomError("late")


async def later() -> int:
    return 1


def test_it_has_the_graph_with_hooks_times_and_failures():
    class Container(LifecycleContainer):
        one = Resource(resources.registry)
        two = Resource(resources.counter, one, "hits")

    container = Container()
    view = container.__metrics_view__()
    assert (view.name, view.state) == ("Container", State.NEW)
    shown = view.resources()
    assert [(r.name, r.state, r.needs, r.hook) for r in shown] == [
        ("one", State.NEW, (), "metrics.resources.registry"),
        ("two", State.NEW, ("one",), "metrics.resources.counter"),
    ]
    assert {(r.started, r.seconds, r.failure) for r in shown} == {(None, None, None)}
    container.init_resources()
    one, two = view.resources()
    assert two.started >= one.started > 1e9
    assert 0.0 <= two.seconds < 60.0
    container.shutdown_resources()
    assert [r.state for r in view.resources()] == [State.STOPPED] * 2
    assert view.resources()[0].started == one.started


def test_the_journal_has_all_events_from_the_beginning():
    class Container(LifecycleContainer):
        one = Resource(Registry)

    container = Container()
    view = container.__metrics_view__()
    assert view.journal() == []
    container.init_resources()
    container.shutdown_resources()
    journal = view.journal()
    assert [(e.resource, e.previous, e.state) for e in journal] == [
        ("one", "NEW", "STARTING"),
        ("one", "STARTING", "RUNNING"),
        ("one", "RUNNING", "STOPPING"),
        ("one", "STOPPING", "STOPPED"),
    ]
    assert [e.number for e in journal] == [1, 2, 3, 4]
    assert [e.time for e in journal] == sorted(e.time for e in journal)
    assert view.journal(after=2) == journal[2:]
    assert view.journal(after=4) == []


async def started_async() -> None:
    class Container(LifecycleContainer):
        one = Resource(later)

    container = Container()
    await container.init_resources()
    await container.shutdown_resources()
    view = container.__metrics_view__()
    assert [e.state for e in view.journal()] == ["STARTING", "RUNNING", "STOPPING", "STOPPED"]
    assert view.resources()[0].asynchronous


def test_async_resources_are_in_the_journal_as_well():
    asyncio.run(started_async())


def test_the_journal_is_bounded():
    class Container(LifecycleContainer):
        one = Resource(Registry)

    container = Container()
    for _ in range(JOURNAL_LENGTH // 4 + 10):
        container.init_resources()
        container.shutdown_resources()
    journal = container.__metrics_view__().journal()
    assert len(journal) == JOURNAL_LENGTH
    assert journal[-1].number == 4 * (JOURNAL_LENGTH // 4 + 10)


def test_a_failed_start_has_its_text_and_keeps_no_frame_alive():
    class Local:
        pass

    references = []

    def hook() -> None:
        local = Local()
        references.append(weakref.ref(local))
        fail(local)

    class Container(LifecycleContainer):
        one = Resource(hook)

    container = Container()
    with pytest.raises(BoomError):
        container.init_resources()
    view = container.__metrics_view__()
    (one,) = view.resources()
    assert (one.state, one.failure.type, one.failure.message) == ("FAILED", "BoomError", "why")
    assert "in fail" in one.failure.stack
    assert 'raise BoomError("why")' in one.failure.stack
    assert one.seconds is not None
    assert view.journal()[-1].failure == one.failure
    gc.collect()
    assert references[0]() is None


def test_a_failed_stop_has_its_text_until_the_next_start():
    class Container(LifecycleContainer):
        one = Resource(failing_at_stop)

    container = Container()
    container.init_resources()
    with pytest.raises(ShutdownError):
        container.shutdown_resources()
    view = container.__metrics_view__()
    assert view.resources()[0].failure.message == "late"
    assert [e.failure.message for e in view.journal() if e.failure] == ["late"]


def test_an_exception_that_refuses_to_be_shown_is_named():
    def hook() -> None:
        raise UnspeakableError

    class Container(LifecycleContainer):
        one = Resource(hook)

    container = Container()
    with pytest.raises(UnspeakableError):
        container.init_resources()
    failure = container.__metrics_view__().resources()[0].failure
    assert (failure.type, failure.message) == ("UnspeakableError", "")


@pytest.mark.parametrize(
    ("config", "text", "shown"),
    [
        ({"password": "s3cret"}, "wrong: s3cret!", "wrong: ***!"),
        ({"a": {"b": ["s3cret"]}}, "'s3cret'", "'***'"),
        ({"url": "db://me:s3c%20ret@host"}, "for s3c ret", "for ***"),
        ({"one": "s3cret", "two": "s3cret/more"}, "s3cret/more s3cret", "*** ***"),
        ({"name": "s3cret"}, "s3cretary", "s3cretary"),
        ({"line": "a\nbcd"}, "got 'a\\nbcd'", "got '***'"),
        ({"on": True, "port": 8080, "none": None, "short": "abc"}, "abc 8080", "abc 8080"),
        ({}, "text", "text"),
    ],
)
def test_values_of_the_configuration_are_redacted(config, text, shown):
    class Container(MetricsContainer):
        config = MetricsContainer.config

    container = Container()
    container.config.from_dict(config)
    assert container.__metrics_view__().redact(text) == shown


def test_the_configuration_of_an_embedded_container_is_redacted_as_well():
    class Inner(LifecycleContainer):
        config = providers.Configuration(strict=True)
        one = Resource(fail, config.password)

    class Outer(LifecycleContainer):
        settings = providers.Configuration()
        inner = providers.Container(Inner, config=settings.inner)

    container = Outer()
    container.settings.from_dict({"inner": {"password": "why"}, "other": "BoomError"})
    with pytest.raises(BoomError):
        container.init_resources()
    failure = container.__metrics_view__().resources()[0].failure
    assert "***: why" in failure.stack


def test_subscribers_are_told_until_they_leave():
    class Container(LifecycleContainer):
        one = Resource(Registry)

    container = Container()
    seen = []
    leave = container.__metrics_view__().subscribe(seen.append)
    container.init_resources()
    leave()
    container.shutdown_resources()
    assert [event.state for event in seen] == ["STARTING", "RUNNING"]


def test_a_view_keeps_no_container_alive():
    class Container(LifecycleContainer):
        one = Resource(Registry)

    container = Container()
    view = container.__metrics_view__()
    del container
    gc.collect()
    assert view.name == "Container"
    with pytest.raises(LifecycleError, match="was garbage collected"):
        view.resources()


def test_the_graph_for_people_is_the_same_one():
    class Container(LifecycleContainer):
        one = Resource(resources.registry)
        two = Resource(resources.counter, one, "hits")

    container = Container()
    shown = container.__metrics_view__().resources()
    nodes = graph(container).resources
    assert [(n.name, n.needs) for n in nodes] == [(r.name, r.needs) for r in shown]
    with pytest.raises(TypeError):
        pickle.dumps(container)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_has_a_journal_of_its_own():
    class Container(LifecycleContainer):
        one = Resource(failing_at_stop)

    container = Container()
    container.init_resources()

    def child() -> list[object]:
        view = container.__metrics_view__()
        before = (view.journal(), view.resources()[0].started)
        container.init_resources()
        return [before, [str(e.state) for e in view.journal()]]

    assert in_child(child) == [([], None), ["STARTING", "RUNNING"]]
    with pytest.raises(ShutdownError):
        container.shutdown_resources()
