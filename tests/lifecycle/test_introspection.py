"""What a container is made of, and what happens to it, can be seen."""

import asyncio
import json
import logging
import math
import re
import shutil
import subprocess
from contextlib import contextmanager
from itertools import pairwise

import pytest
from dependency_injector import containers, providers
from hypothesis import given
from hypothesis import strategies as st

from metrics.lifecycle import (
    Event,
    Graph,
    LifecycleContainer,
    Resource,
    ShutdownError,
    State,
    check,
    graph,
    running,
    state,
    subscribe,
)


@contextmanager
def hook(*_needed):
    yield object()


async def async_hook(*_needed):
    yield object()


class Inner(LifecycleContainer):
    given = providers.Dependency()
    part = Resource(hook, given)


class Outer(LifecycleContainer):
    first = Resource(hook)
    stock = providers.Resource(hook, first)
    single = providers.Singleton(dict, stock=stock)
    inner = providers.Container(Inner, given=single)
    waiting = Resource(async_hook, inner.part)


class Lender(LifecycleContainer):
    worker = Resource(hook)


class Borrower(LifecycleContainer):
    lent = providers.Dependency()
    user = Resource(hook, lent)


ID = r"""("(?:[^"\\]|\\.)*"|[A-Za-z_]\w*)"""
GRAPH = re.compile(rf"digraph\s+{ID}\s*{{(.*)}}\s*", re.DOTALL)
ATTRIBUTE = re.compile(rf"\s*{ID}\s*=\s*{ID}\s*[,;]?", re.DOTALL)
STATEMENT = re.compile(
    rf"\s*(?:{ID}\s*->\s*{ID}|{ID}\s*=\s*{ID}|{ID}\s*\[((?:{ATTRIBUTE.pattern})*)\s*\])\s*;",
    re.DOTALL,
)
ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def parsed(text):
    """Read the language that Graphviz defines, as much of it as boxes and arrows take.

    Returns the name, each node's attributes by its name, and the arrows. Graphviz itself has to
    agree where it is installed.
    """
    if shutil.which("dot"):
        subprocess.run(["dot", "-Tcanon"], input=text.encode(), check=True, capture_output=True)
    graph_found = GRAPH.fullmatch(text)
    assert graph_found, f"no digraph: {text!r}"
    name, body = graph_found.groups()
    nodes, arrows, place = {}, [], 0
    while body[place:].strip():
        found = STATEMENT.match(body, place)
        assert found, f"no statement: {body[place:]!r}"
        user, used, _, _, node, attributes, *_ = found.groups()
        if user:
            arrows.append((unescaped(user), unescaped(used)))
        elif node and node != "node":
            assert unescaped(node) not in nodes, f"{node} stands for two parts"
            pairs = ATTRIBUTE.findall(attributes)
            nodes[unescaped(node)] = {unescaped(key): unescaped(value) for key, value in pairs}
        place = found.end()
    return unescaped(name), nodes, arrows


def unescaped(text):
    bare = text[1:-1] if text.startswith('"') else text
    return ESCAPED.sub(lambda found: {"n": "\n"}.get(found[1], found[1]), bare)


def rebuilt(text):
    """Read a graph back from its JSON."""
    read = json.loads(text)
    parts = [
        {**part, "state": State(part["state"]), "needs": tuple(part["needs"])}
        for part in read["resources"]
    ]
    return {**read, "state": State(read["state"]), "resources": parts}


def facts(seen: Graph):
    return {
        "name": seen.name,
        "state": seen.state,
        "resources": [part._asdict() for part in seen.resources],
    }


def test_the_graph_has_every_resource_in_order_and_what_it_needs_through_other_providers():
    seen = graph(Outer())
    assert (seen.name, seen.state) == ("Outer", State.NEW)
    assert [(part.name, part.needs) for part in seen.resources] == [
        ("first", ()),
        ("stock", ("first",)),
        ("inner.part", ("stock",)),
        ("waiting", ("inner.part",)),
    ]
    assert {part.state for part in seen.resources} == {State.NEW}


def test_the_text_has_one_line_for_each_resource():
    with running(Lender()) as lender:
        seen = graph(Borrower(lent=lender.worker))
    assert str(seen) == seen.to_text()
    assert seen.to_text().splitlines() == [
        "Borrower NEW",
        "  RUNNING   Lender.worker (borrowed)",
        "  NEW       user <- Lender.worker",
    ]
    assert "  NEW       waiting (async) <- inner.part" in str(graph(Outer())).splitlines()


def test_dot_has_a_box_for_each_resource_and_an_arrow_to_what_it_needs():
    name, nodes, arrows = parsed(graph(Outer()).to_dot())
    assert name == "Outer"
    assert list(nodes) == ["first", "stock", "inner.part", "waiting"]
    assert nodes["inner.part"]["label"].splitlines()[:2] == ["inner.part", "NEW"]
    assert arrows == [("stock", "first"), ("inner.part", "stock"), ("waiting", "inner.part")]


@given(
    st.lists(
        st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1), unique=True
    )
)
def test_any_name_can_be_read_back_from_dot_and_json(names):
    container = LifecycleContainer()
    made = []
    for name in names:
        made.append(Resource(hook, *made[-1:]))
        container.providers[name] = made[-1]
        container._ownership.adopt(name, made[-1])
    seen = graph(container)
    _, nodes, arrows = parsed(seen.to_dot())
    assert list(nodes) == names
    assert [label["label"] for label in nodes.values()] == [f"{name}\nNEW" for name in names]
    assert arrows == [(user, used) for used, user in pairwise(names)]
    assert rebuilt(seen.to_json()) == facts(seen)


def test_json_says_all_that_the_graph_says():
    async def run():
        container = Outer()
        await container.init_resources()
        seen = graph(container)
        await container.shutdown_resources()
        return seen

    seen = asyncio.run(run())
    assert seen.state is State.RUNNING
    assert rebuilt(seen.to_json()) == facts(seen)


def test_async_and_lent_resources_are_marked():
    assert [part.name for part in graph(Outer()).resources if part.asynchronous] == ["waiting"]
    with running(Lender()) as lender:
        seen = graph(Borrower(lent=lender.worker))
    assert [(part.name, part.borrowed, part.state) for part in seen.resources] == [
        ("Lender.worker", True, State.RUNNING),
        ("user", False, State.NEW),
    ]
    assert [part["borrowed"] for part in json.loads(seen.to_json())["resources"]] == [True, False]
    _, nodes, _ = parsed(seen.to_dot())
    assert nodes["Lender.worker"].keys() != nodes["user"].keys()


def test_a_lent_resource_is_not_taken_for_an_own_one_of_the_same_name():
    class Library(LifecycleContainer):
        lent = providers.Dependency()
        worker = Resource(hook, lent)

    with running(Lender()) as lender:
        library = Library(lent=lender.worker)
        _, nodes, arrows = parsed(graph(library).to_dot())
        assert len(nodes) == 2
        assert all(user != used for user, used in arrows)
        assert state(library, "worker") is State.NEW


def test_resources_without_a_name_of_their_own_are_told_apart():
    class Container(LifecycleContainer):
        user = Resource(hook, Resource(hook), Resource(hook))

    seen = graph(Container())
    assert len({part.name for part in seen.resources}) == 3
    assert len(seen.resources[-1].needs) == 2
    _, nodes, _ = parsed(seen.to_dot())
    assert len(nodes) == 3


def test_looking_starts_nothing_and_asks_nothing():
    asked = []

    class Container(LifecycleContainer):
        part = Resource(asked.append, "part")
        stock = providers.Resource(asked.append, "stock")
        made = providers.Singleton(asked.append, part)
        either = providers.Selector(lambda: asked.append("selector"), a=part, b=stock)
        user = Resource(asked.append, made, either)

    container = Container()
    seen = graph(container)
    for text in (str(seen), seen.to_text(), seen.to_dot(), seen.to_json()):
        assert "part" in text
    check(Container)
    check(container)
    subscribe(container, asked.append)()
    assert state(container) is state(container, "user") is state(container.user) is State.NEW
    assert asked == []


def test_every_state_can_be_read_of_the_container_and_of_each_resource():
    seen = []

    class Container(LifecycleContainer):
        pass

    container = Container()

    def look():
        seen.append((state(container), state(container, "inner.part"), state(container, "user")))

    def looking():
        look()
        yield
        look()

    class Sub(containers.DeclarativeContainer):
        part = Resource(looking)

    container.set_provider("inner", providers.Container(Sub))
    container.set_provider("user", Resource(hook, container.inner.part))
    look()
    container.init_resources()
    look()
    container.shutdown_resources()
    look()
    assert seen == [
        (State.NEW, State.NEW, State.NEW),
        (State.STARTING, State.STARTING, State.NEW),
        (State.RUNNING, State.RUNNING, State.RUNNING),
        (State.STOPPING, State.STOPPING, State.STOPPED),
        (State.STOPPED, State.STOPPED, State.STOPPED),
    ]


def failing(phase):
    if phase == "start":
        raise OSError("no port")
    yield
    raise OSError("no port")


@pytest.mark.parametrize("phase", ["start", "stop"])
def test_a_failure_is_seen_as_a_state_an_event_and_a_line_in_the_log(phase, caplog):
    class Container(LifecycleContainer):
        good = Resource(hook)
        bad = Resource(failing, phase)

    caplog.set_level(logging.DEBUG, "metrics.lifecycle")
    container, events = Container(), []
    subscribe(container, events.append)
    if phase == "start":
        with pytest.raises(OSError, match="no port") as raised:
            container.init_resources()
        error = raised.value
    else:
        container.init_resources()
        with pytest.raises(ShutdownError) as group:
            container.shutdown_resources()
        (error,) = group.value.exceptions
    assert state(container) is state(container, "bad") is State.FAILED
    assert state(container, "good") is State.STOPPED
    failures = [(event.resource, event.error) for event in events if event.state is State.FAILED]
    assert failures == [("bad", error)]
    (line,) = [r for r in caplog.records if r.getMessage().startswith("failed to")]
    # The start is raised, and so is no error of the log as well.
    assert line.levelno == (logging.DEBUG if phase == "start" else logging.ERROR)
    words = (phase, "'bad' (", "failing) of Container", "OSError: no port")
    assert all(word in line.getMessage() for word in words)
    container.shutdown_resources()


def test_events_tell_what_each_resource_becomes_in_the_order_in_which_it_does():
    container, events = Outer(), []
    subscribe(container, events.append)

    async def run():
        await container.init_resources()
        await container.shutdown_resources()

    asyncio.run(run())
    names = ["first", "stock", "inner.part", "waiting"]
    assert [(event.resource, event.state) for event in events] == [
        *[(name, phase) for name in names for phase in (State.STARTING, State.RUNNING)],
        *[(name, phase) for name in names[::-1] for phase in (State.STOPPING, State.STOPPED)],
    ]
    for event in events:
        assert isinstance(event, Event)
        assert event.error is None
        assert event.seconds == 0 if event.state in {"STARTING", "STOPPING"} else event.seconds >= 0


def test_a_subscriber_sees_the_state_of_its_event_and_may_look_at_the_graph():
    container, seen = Lender(), []

    def look(event):
        (node,) = graph(container).resources
        seen.append((event.state, state(container, event.resource), node.state))

    subscribe(container, look)
    container.init_resources()
    # With a limit, the events of a stop come from a thread of their own, and may come late.
    container.shutdown_resources(timeout=math.inf)
    states = [State.STARTING, State.RUNNING, State.STOPPING, State.STOPPED]
    assert seen == [(expected, expected, expected) for expected in states]


def test_a_subscriber_that_fails_is_logged_and_keeps_nobody_from_being_told(caplog):
    container, events = Lender(), []

    def broken(_event):
        raise LookupError("who?")

    subscribe(container, broken)
    subscribe(container, events.append)
    container.init_resources()
    container.shutdown_resources()
    assert len(events) == 4
    logged = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert logged
    assert all("broken" in record.getMessage() for record in logged)
    assert all(record.exc_info[0] is LookupError for record in logged)


def test_who_unsubscribes_is_told_no_more_even_in_the_middle_of_an_event():
    container, first, second = Lender(), [], []

    def once(event):
        first.append(event)
        leave()

    leave = subscribe(container, once)
    subscribe(container, second.append)
    container.init_resources()
    leave()
    container.shutdown_resources()
    assert (len(first), len(second)) == (1, 4)


def test_each_start_and_stop_is_logged_once_with_how_long_it_took(caplog):
    container = Lender()
    with caplog.at_level(logging.DEBUG, "metrics.lifecycle"):
        container.init_resources()
        container.shutdown_resources()
    worker = f"'worker' ({__name__}.hook) of Lender"
    assert [
        (record.levelname, re.sub(r"\d+\.\d", "?", record.getMessage()))
        for record in caplog.records
    ] == [
        ("DEBUG", f"starting {worker}"),
        ("INFO", f"started {worker} (? ms)"),
        ("DEBUG", f"stopping {worker}"),
        ("INFO", f"stopped {worker} (? ms)"),
    ]
