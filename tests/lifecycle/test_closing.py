"""`Closing` opens a resource for each call and closes it afterwards, as often as it is called."""

import asyncio
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from dependency_injector import containers, providers
from dependency_injector.wiring import Closing, Provide, inject

from metrics.lifecycle import LifecycleContainer, NotRunningError, Resource, State, state
from tests.lifecycle.sessions import ASYNC, SYNC, Sessions, wired

NEW, RUNNING, STOPPED = State.NEW, State.RUNNING, State.STOPPED

CALLS = 5
PATIENCE = 60.0

EXAMPLE = Sessions()


class Example(LifecycleContainer):
    session = Resource(EXAMPLE.generator, "session")


@inject
def example(session=Closing[Provide[Example.session]]):
    return session.is_open


@inject
def use(session=Closing[Provide["session"]]):
    assert session.is_open
    return session


@inject
async def use_async(session=Closing[Provide["session"]]):
    assert session.is_open
    await asyncio.sleep(0)
    return session


@pytest.fixture
def sessions():
    return Sessions()


def declared(base=LifecycleContainer, /, **providers):
    return type("Container", (base,), providers)()


def test_a_function_of_a_module_gets_an_open_session_at_every_call():
    container = Example()
    container.init_resources()
    container.wire(modules=[sys.modules[__name__]])
    try:
        assert [example() for _ in range(CALLS)] == [True] * CALLS
    finally:
        container.unwire()
        container.shutdown_resources()
    assert EXAMPLE.lines == ["open session", "close session"] * CALLS


@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize("kind", SYNC)
def test_every_call_opens_and_closes_a_session(sessions, kind, started):
    container = declared(session=sessions.resource(kind, "session"))
    if started:
        container.init_resources()
    seen, expected = [], RUNNING if started else NEW
    with wired(container, use):
        for _ in range(CALLS):
            seen.append(use())
            assert state(container, "session") is STOPPED
            assert state(container) is expected
            assert not seen[-1].is_open
    assert len(set(map(id, seen))) == CALLS
    assert sessions.lines == ["open session", "close session"] * CALLS
    container.shutdown_resources()
    assert state(container) is STOPPED


@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize("kind", ASYNC)
def test_every_call_of_a_coroutine_function_opens_and_closes_a_session(sessions, kind, started):
    container = declared(session=sessions.resource(kind, "session"))

    async def life():
        if started:
            await container.init_resources()
        for _ in range(CALLS):
            session = await use_async()
            assert not session.is_open
            assert state(container, "session") is STOPPED
            assert state(container) is (RUNNING if started else NEW)
        await container.shutdown_resources()

    with wired(container, use_async):
        asyncio.run(life())
    assert sessions.lines == ["open session", "close session"] * CALLS


@pytest.mark.parametrize("kind", SYNC)
@pytest.mark.parametrize("beside", [None, "async generator"])
def test_a_coroutine_function_may_close_sync_resources(sessions, kind, beside):
    parts = {"session": sessions.resource(kind, "session")}
    if beside is not None:
        parts["beside"] = sessions.resource(beside, "beside")
    container = declared(**parts)

    async def life():
        await container.init_resources()
        for _ in range(CALLS):
            await use_async()
        await container.shutdown_resources()

    with wired(container, use_async):
        asyncio.run(life())
    lines = [line for line in sessions.lines if "session" in line]
    assert lines == ["open session", "close session"] * CALLS
    assert sessions.lines.count("open beside") == (beside is not None)


def test_an_async_generator_function_closes_when_it_ends(sessions):
    container = declared(session=sessions.resource("async generator", "session"))

    @inject
    async def stream(session=Closing[Provide["session"]]):
        yield session.is_open
        yield session.is_open

    async def life():
        await container.init_resources()
        for _ in range(CALLS):
            assert [is_open async for is_open in stream()] == [True, True]
        await container.shutdown_resources()

    with wired(container, stream):
        asyncio.run(life())
    assert sessions.lines == ["open session", "close session"] * CALLS


def test_a_call_that_fails_closes_its_session_and_the_next_one_opens_another(sessions):
    container = declared(session=sessions.resource("generator", "session"))

    @inject
    def fail(session=Closing[Provide["session"]]):
        raise OSError("no such table")

    with wired(container, use, fail):
        with pytest.raises(OSError, match="no such table"):
            fail()
        assert state(container, "session") is STOPPED
        use()
    assert sessions.lines == ["open session", "close session"] * 2
    container.shutdown_resources()


def test_a_hook_that_fails_to_open_fails_that_call_only(sessions):
    attempts = []

    def flaky():
        attempts.append("attempt")
        if len(attempts) == 2:
            raise OSError("no route")
        yield sessions.open("session")

    container = declared(session=Resource(flaky))
    container.init_resources()
    with wired(container, use):
        use()
        with pytest.raises(OSError, match="no route"):
            use()
        assert state(container) is RUNNING
        use()
    container.shutdown_resources()
    assert len(attempts) == 3


@pytest.mark.parametrize("started", [False, True])
def test_after_the_stop_of_the_container_calls_are_refused_until_it_starts_again(sessions, started):
    container = declared(session=sessions.resource("generator", "session"))
    if started:
        container.init_resources()
    with wired(container, use):
        use()
        container.shutdown_resources()
        for _ in range(2):
            with pytest.raises(
                NotRunningError, match=r"'session' of Container.*init_resources\(\)"
            ):
                use()
        assert state(container) is state(container, "session") is STOPPED
        container.init_resources()
        use()
        use()
    container.shutdown_resources()
    assert sessions.lines == ["open session", "close session"] * 3


def test_an_argument_of_the_caller_leaves_the_resource_alone(sessions):
    container = declared(session=sessions.resource("generator", "session"))
    container.init_resources()
    with wired(container, use):
        mine = sessions.open("mine")
        assert use(session=mine) is mine
        assert state(container, "session") is RUNNING
    container.shutdown_resources()


@pytest.mark.parametrize("base", [LifecycleContainer, containers.DeclarativeContainer])
def test_closing_works_in_a_container_of_either_kind(sessions, base):
    pool = sessions.resource("generator", "pool")
    session = sessions.resource("generator", "session", pool)
    container = declared(base, pool=pool, session=session)
    with wired(container, use):
        for _ in range(CALLS):
            use()
    opened = ["open pool", "open session", "close session", "close pool"]
    assert sessions.lines == opened * CALLS


def test_a_stock_resource_in_a_container_of_ours_is_closed_after_each_call(sessions):
    session = sessions.resource("generator", "session", provider=providers.Resource)
    container = declared(session=session)
    container.init_resources()
    with wired(container, use):
        for _ in range(CALLS):
            use()
            assert state(container) is RUNNING
    container.shutdown_resources()
    assert sessions.lines == ["open session", "close session"] * CALLS


@pytest.mark.parametrize("started", [False, True])
def test_threads_that_share_a_session_never_find_it_stopped(sessions, started):
    pool = sessions.resource("generator", "pool")
    session = sessions.resource("manager", "session", pool)
    reports = sessions.resource("generator", "reports", pool)
    container = declared(pool=pool, session=session, reports=reports)
    if started:
        container.init_resources()
    container.reports()
    threads, calls = 8, 25
    together = threading.Barrier(threads, timeout=PATIENCE)

    @inject
    def shared(session=Closing[Provide["session"]]):
        return session.name

    def work(_number):
        together.wait()
        return [shared() for _ in range(calls)]

    with wired(container, shared), ThreadPoolExecutor(threads) as executor:
        done = list(executor.map(work, range(threads), timeout=PATIENCE))
    assert done == [["session"] * calls] * threads
    assert state(container) is (RUNNING if started else NEW)
    assert state(container, "pool") is state(container, "reports") is RUNNING
    container.shutdown_resources()
    lines = [line for line in sessions.lines if "session" in line]
    assert lines == ["open session", "close session"] * (len(lines) // 2)
    assert sessions.lines.count("open pool") == sessions.lines.count("close pool") == 1


@pytest.mark.parametrize("kind", ["generator", "async generator"])
def test_tasks_that_share_a_session_never_find_it_stopped(sessions, kind):
    container = declared(session=sessions.resource(kind, "session"))

    @inject
    async def shared(session=Closing[Provide["session"]]):
        await asyncio.sleep(0)
        return session.name

    async def life():
        await container.init_resources()
        names = await asyncio.wait_for(asyncio.gather(*(shared() for _ in range(200))), PATIENCE)
        assert names == ["session"] * 200
        assert state(container) is RUNNING
        await container.shutdown_resources()

    with wired(container, shared):
        asyncio.run(life())
    assert sessions.lines == ["open session", "close session"] * (len(sessions.lines) // 2)


def test_a_call_that_is_under_way_when_the_container_stops_ends_without_an_error(sessions):
    container = declared(session=sessions.resource("generator", "session"))
    container.init_resources()
    inside, stopped = threading.Event(), threading.Event()

    @inject
    def slow(session=Closing[Provide["session"]]):
        inside.set()
        assert stopped.wait(PATIENCE)
        return session.name

    with wired(container, slow), ThreadPoolExecutor(1) as executor:
        call = executor.submit(slow)
        assert inside.wait(PATIENCE)
        container.shutdown_resources()
        stopped.set()
        assert call.result(PATIENCE) == "session"
    assert state(container) is STOPPED
    assert sessions.lines == ["open session", "close session"]
