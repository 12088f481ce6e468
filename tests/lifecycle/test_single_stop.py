"""A resource that was stopped by itself starts again at the next request."""

import asyncio
import inspect
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from dependency_injector import containers, providers

from metrics.lifecycle import LifecycleContainer, NotRunningError, Resource, State, state
from metrics.lifecycle import graph as graph_of
from tests.lifecycle.sessions import ASYNC, SYNC, Sessions

NEW, RUNNING, STOPPING, STOPPED = State.NEW, State.RUNNING, State.STOPPING, State.STOPPED

PATIENCE = 30.0


class Special(Resource):
    """Resource type that is stopped by itself."""


class Inner(LifecycleContainer):
    sessions = Sessions()
    base = Resource(sessions.generator, "base")
    session = Resource(sessions.generator, "session", base)


@pytest.fixture
def sessions():
    return Sessions()


def declared(base=LifecycleContainer, /, **providers):
    return type("Container", (base,), providers)()


def states(container):
    return {node.name: node.state for node in graph_of(container).resources}


async def settled(result):
    """Return a result, awaited if it has to be."""
    return await result if inspect.isawaitable(result) else result


STOPS = {
    "resource": lambda c: c.special.shutdown(),
    "type": lambda c: c.shutdown_resources(Special),
}


@pytest.mark.parametrize("stop", STOPS.values(), ids=STOPS)
@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize("kind", SYNC)
def test_the_next_request_starts_it_again(sessions, kind, started, stop):
    container = declared(
        special=sessions.resource(kind, "special", provider=Special),
        other=sessions.resource(kind, "other"),
    )
    expected = RUNNING if started else NEW
    if started:
        container.init_resources()
    first, other = container.special(), container.other()
    for _ in range(3):
        stop(container)
        assert states(container) == {"special": STOPPED, "other": RUNNING}
        assert state(container) is expected
        assert not container.special.initialized
        assert container.special().is_open
        assert states(container) == {"special": RUNNING, "other": RUNNING}
        assert state(container) is expected
    assert container.special() is not first
    assert container.other() is other
    container.shutdown_resources()
    assert state(container) is STOPPED
    assert sessions.lines.count("open special") == sessions.lines.count("close special") == 4
    assert sessions.lines.count("open other") == sessions.lines.count("close other") == 1


@pytest.mark.parametrize("stop", STOPS.values(), ids=STOPS)
@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize("kind", ASYNC)
def test_the_next_request_starts_an_async_resource_again(sessions, kind, started, stop):
    container = declared(
        special=sessions.resource(kind, "special", provider=Special),
        other=sessions.resource(kind, "other"),
    )

    async def life():
        if started:
            await container.init_resources()
        await container.special()
        other = await container.other()
        for _ in range(3):
            await stop(container)
            assert states(container) == {"special": STOPPED, "other": RUNNING}
            assert state(container) is (RUNNING if started else NEW)
            assert (await container.special()).is_open
        assert await container.other() is other
        await container.shutdown_resources()
        assert state(container) is STOPPED

    asyncio.run(life())
    assert sessions.lines.count("open special") == sessions.lines.count("close special") == 4


@pytest.mark.parametrize("stop", STOPS.values(), ids=STOPS)
def test_init_resources_starts_it_again_as_well(sessions, stop):
    container = declared(special=sessions.resource("generator", "special", provider=Special))
    container.init_resources()
    stop(container)
    container.init_resources()
    assert state(container, "special") is RUNNING
    container.shutdown_resources()
    assert sessions.lines == ["open special", "close special"] * 2


def test_a_resource_that_was_never_started_may_be_stopped_before_its_first_request(sessions):
    container = declared(session=sessions.resource("generator", "session"))
    container.session.shutdown()
    assert state(container) is NEW
    assert container.session().is_open
    container.shutdown_resources()
    assert sessions.lines == ["open session", "close session"]


@pytest.mark.parametrize("by_itself", [False, True])
def test_after_the_stop_of_the_container_requests_are_refused(sessions, by_itself):
    container = declared(session=sessions.resource("generator", "session"))
    container.init_resources()
    if by_itself:
        container.session.shutdown()
    container.shutdown_resources()
    for _ in range(2):
        with pytest.raises(NotRunningError, match=r"'session' of Container.*init_resources\(\)"):
            container.session()
    assert state(container) is state(container, "session") is STOPPED
    container.session.shutdown()
    with pytest.raises(NotRunningError):
        container.session()
    container.init_resources()
    assert container.session().is_open
    container.shutdown_resources()


def test_after_a_failed_start_requests_are_refused_although_it_was_stopped_by_itself(sessions):
    fail = []

    def fragile():
        if fail:
            raise OSError("no route")
        yield

    container = declared(session=sessions.resource("generator", "session"), other=Resource(fragile))
    container.init_resources()
    container.shutdown_resources()
    fail.append(True)
    with pytest.raises(OSError, match="no route"):
        container.init_resources()
    assert state(container) is State.FAILED
    container.session.shutdown()
    with pytest.raises(NotRunningError):
        container.session()


def test_its_dependencies_start_again_before_it(sessions):
    base = sessions.resource("generator", "base", provider=Special)
    pool = sessions.resource("generator", "pool", base, provider=Special)
    container = declared(base=base, pool=pool, session=sessions.resource("manager", "s", pool))
    container.init_resources()
    container.session.shutdown()
    container.shutdown_resources(Special)
    assert set(states(container).values()) == {STOPPED}
    assert state(container) is RUNNING
    session = container.session()
    assert session.needed == (container.pool(),)
    assert set(states(container).values()) == {RUNNING}
    container.shutdown_resources()
    opened = ["open base", "open pool", "open s"]
    assert sessions.lines[:3] == sessions.lines[6:9] == opened
    assert sessions.lines[3:6] == sessions.lines[9:] == ["close s", "close pool", "close base"]


def test_singletons_made_of_it_are_made_again_and_no_others(sessions):
    session = sessions.resource("generator", "session")
    service = providers.Singleton(dict, session=session)
    container = declared(
        session=session,
        service=service,
        facade=providers.ThreadSafeSingleton(dict, service=service),
        unrelated=providers.Singleton(object),
    )
    container.init_resources()
    service, facade, unrelated = container.service(), container.facade(), container.unrelated()
    container.session.shutdown()
    assert container.service() is not service
    assert container.facade() is not facade
    assert container.facade()["service"]["session"] is container.session()
    assert container.session().is_open
    assert container.unrelated() is unrelated
    container.shutdown_resources()


@pytest.mark.parametrize("outer_started", [False, True])
def test_stopping_a_sub_container_lets_the_next_request_start_it_again(outer_started):
    Inner.sessions.lines.clear()
    own = Sessions()
    container = declared(inner=providers.Container(Inner), own=Resource(own.generator, "own"))
    if outer_started:
        container.init_resources()
    container.inner.session()
    container.own()
    for _ in range(2):
        container.inner().shutdown_resources()
        assert states(container) == {
            "inner.base": STOPPED, "inner.session": STOPPED, "own": RUNNING}  # fmt: skip
        assert state(container) is (RUNNING if outer_started else NEW)
        assert container.inner.session().is_open
        assert set(states(container).values()) == {RUNNING}
    container.shutdown_resources()
    with pytest.raises(NotRunningError):
        container.inner.session()
    cycle = ["open base", "open session", "close session", "close base"]
    assert Inner.sessions.lines == cycle * 3


@pytest.mark.parametrize("kind", ["generator", "async generator"])
def test_a_request_during_its_stop_waits_for_the_end_and_starts_it_again(sessions, kind):
    closing, go_on = threading.Event(), threading.Event()

    def slow():
        session = sessions.open("session")
        yield session
        closing.set()
        assert go_on.wait(PATIENCE)
        sessions.close(session)

    async def async_slow():
        session = sessions.open("session")
        yield session
        closing.set()
        await asyncio.to_thread(go_on.wait, PATIENCE)
        sessions.close(session)

    container = declared(session=Resource(slow if kind == "generator" else async_slow))
    if kind == "generator":
        container.init_resources()
        with ThreadPoolExecutor(2) as executor:
            stop = executor.submit(container.session.shutdown)
            assert closing.wait(PATIENCE)
            assert state(container, "session") is STOPPING
            request = executor.submit(container.session)
            go_on.set()
            stop.result(PATIENCE)
            assert request.result(PATIENCE).is_open
        assert states(container) == {"session": RUNNING}
        container.shutdown_resources()
    else:

        async def life():
            await container.init_resources()
            stop = asyncio.ensure_future(settled(container.session.shutdown()))
            await asyncio.to_thread(closing.wait, PATIENCE)
            assert state(container, "session") is STOPPING
            request = asyncio.ensure_future(settled(container.session()))
            go_on.set()
            await asyncio.wait_for(stop, PATIENCE)
            assert (await asyncio.wait_for(request, PATIENCE)).is_open
            await container.shutdown_resources()

        asyncio.run(life())
    assert sessions.lines == ["open session", "close session"] * 2


def test_threads_that_stop_and_request_a_resource_see_it_open_or_get_it_again(sessions):
    container = declared(session=sessions.resource("generator", "session"))
    container.init_resources()

    def work(number):
        for _ in range(50):
            container.session()
            if number % 2:
                container.session.shutdown()

    with ThreadPoolExecutor(4) as executor:
        list(executor.map(work, range(4), timeout=PATIENCE))
    assert state(container) is RUNNING
    container.shutdown_resources()
    assert sessions.lines == ["open session", "close session"] * (len(sessions.lines) // 2)


@pytest.mark.parametrize("ask", ["call", "init"])
def test_a_chain_of_eight_in_a_stock_container_starts_again(sessions, ask):
    chain = {}
    for number in range(8):
        needed = list(chain.values())[-1:]
        chain[f"r{number}"] = sessions.resource("generator", f"r{number}", *needed)
    container = declared(containers.DeclarativeContainer, **chain)
    opened = [f"open r{number}" for number in range(8)]
    for _ in range(3):
        last = container.r7.init() if ask == "init" else container.r7()
        assert last.is_open
        for number in reversed(range(8)):
            container.providers[f"r{number}"].shutdown()
    assert sessions.lines[:8] == opened
    assert sessions.lines.count("open r0") == sessions.lines.count("close r0") == 3


def test_a_stock_container_with_a_chain_of_ours_restarts_as_a_whole(sessions):
    chain = {}
    for number in range(8):
        needed = list(chain.values())[-1:]
        chain[f"r{number}"] = sessions.resource("generator", f"r{number}", *needed)
    container = declared(containers.DeclarativeContainer, **chain)
    for _ in range(3):
        container.init_resources()
        assert all(provider.initialized for provider in container.providers.values())
        container.shutdown_resources()
        assert not any(provider.initialized for provider in container.providers.values())
    assert len(sessions.lines) == 3 * 8 * 2


def test_a_resource_without_a_container_starts_again_at_the_next_request(sessions):
    session = sessions.resource("generator", "session")
    for _ in range(3):
        assert session().is_open
        session.shutdown()
    assert sessions.lines == ["open session", "close session"] * 3


@pytest.mark.parametrize("started", [False, True])
def test_a_stock_resource_refuses_requests_after_the_stop_of_its_container(sessions, started):
    stock = sessions.resource("generator", "stock", provider=providers.Resource)
    container = declared(stock=stock, made=providers.Factory(list, providers.List(stock)))
    if started:
        container.init_resources()
    container.stock()
    container.shutdown_resources()
    for ask in (container.stock, container.stock.init, container.made):
        with pytest.raises(NotRunningError, match=r"'stock' of Container.*init_resources\(\)"):
            ask()
    assert not container.stock.initialized
    container.init_resources()
    assert container.stock().is_open
    container.shutdown_resources()
    assert sessions.lines == ["open stock", "close stock"] * 2


def test_an_async_stock_resource_refuses_requests_after_the_stop(sessions):
    stock = sessions.resource("async generator", "stock", provider=providers.Resource)
    container = declared(stock=stock)

    async def life():
        for _ in range(2):
            await container.init_resources()
            assert (await container.stock()).is_open
            await container.shutdown_resources()
            with pytest.raises(NotRunningError, match="'stock'"):
                await container.stock()

    asyncio.run(life())
    assert sessions.lines == ["open stock", "close stock"] * 2


def test_a_stock_resource_that_was_stopped_by_itself_starts_again_at_the_next_request(sessions):
    container = declared(stock=sessions.resource("generator", "stock", provider=providers.Resource))
    container.init_resources()
    for _ in range(3):
        container.stock.shutdown()
        assert container.stock().is_open
        assert state(container) is RUNNING
    container.shutdown_resources()
    assert sessions.lines == ["open stock", "close stock"] * 4
