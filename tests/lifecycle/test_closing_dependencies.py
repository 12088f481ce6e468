"""`Closing` stops neither a dependency nor a resource that another running resource uses."""

import asyncio

import pytest
from dependency_injector import providers
from dependency_injector.wiring import Closing, Provide, inject

from metrics.lifecycle import LifecycleContainer, Resource, State, state
from tests.lifecycle.sessions import Sessions, wired

RUNNING, STOPPED = State.RUNNING, State.STOPPED


@inject
def use(session=Closing[Provide["session"]]):
    return session.needed


@inject
def use_pool(pool=Closing[Provide["pool"]]):
    return pool


@inject
async def use_async(session=Closing[Provide["session"]]):
    return session.needed


@pytest.fixture
def sessions():
    return Sessions()


def declared(**providers):
    return type("Container", (LifecycleContainer,), providers)()


class Inner(LifecycleContainer):
    given = providers.Dependency()
    made = providers.Factory(list, providers.List(given))


class InnerUser(LifecycleContainer):
    sessions = Sessions()
    given = providers.Dependency()
    reports = Resource(sessions.generator, "inner reports", given)


ROUTES = {
    "direct": lambda pool: pool,
    "factory": lambda pool: providers.Factory(list, providers.List(pool)),
    "singleton": lambda pool: providers.Singleton(list, providers.List(pool)),
    "thread-local singleton": lambda pool: providers.ThreadLocalSingleton(
        list, providers.List(pool)
    ),
    "callable": lambda pool: providers.Callable(str, pool),
    "list": providers.List,
    "dict": lambda pool: providers.Dict(pool=pool),
    "selector": lambda pool: providers.Selector(lambda: "chosen", chosen=pool, other=pool),
    "provided": lambda pool: pool.provided.name,
    "call": lambda pool: pool.provided.name.upper.call(),
    "nested": lambda pool: providers.List(
        providers.Singleton(dict, key=providers.Factory(list, providers.List(pool)))
    ),
    "container": lambda pool: providers.Container(Inner, given=pool).made,
}


@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)
def test_a_dependency_of_another_running_resource_goes_on_running(sessions, route, started):
    pool = sessions.resource("generator", "pool")
    container = declared(
        pool=pool,
        session=sessions.resource("generator", "session", route(pool)),
        reports=sessions.resource("generator", "reports", route(pool)),
    )
    if started:
        container.init_resources()
    container.reports()
    kept = container.pool()
    with wired(container, use):
        for _ in range(3):
            use()
            assert [state(container, name) for name in ("pool", "session", "reports")] == [
                RUNNING, STOPPED, RUNNING]  # fmt: skip
    assert container.pool() is kept
    assert kept.is_open
    container.shutdown_resources()
    assert sessions.lines.count("open pool") == sessions.lines.count("open reports") == 1
    assert sessions.lines[-2:] == ["close reports", "close pool"]


def test_a_resource_of_a_sub_container_keeps_what_it_was_given_running(sessions):
    pool = sessions.resource("generator", "pool")
    container = declared(
        pool=pool,
        session=sessions.resource("generator", "session", pool),
        inner=providers.Container(InnerUser, given=pool),
    )
    container.init_resources()
    with wired(container, use):
        use()
        use()
    assert state(container, "pool") is state(container, "inner.reports") is RUNNING
    container.shutdown_resources()
    assert sessions.lines.count("open pool") == 1


def test_a_resource_of_another_container_keeps_what_it_borrows_running(sessions):
    pool = sessions.resource("generator", "pool")
    host = declared(pool=pool, session=sessions.resource("generator", "session", pool))
    host.init_resources()
    borrower = InnerUser(given=host.pool)
    borrower.init_resources()
    with wired(host, use):
        use()
        use()
    kept = host.pool()
    assert kept.is_open
    borrower.shutdown_resources()
    host.shutdown_resources()
    assert sessions.lines.count("open pool") == 1


def test_dependencies_that_no_other_running_resource_uses_are_closed_as_well(sessions):
    base = sessions.resource("generator", "base")
    pool = sessions.resource("generator", "pool", base)
    session = sessions.resource("generator", "session", pool)
    container = declared(base=base, pool=pool, session=session)
    with wired(container, use):
        for _ in range(3):
            (used,) = use()
            assert not used.is_open
    names = "base", "pool", "session"
    opened = [f"open {name}" for name in names]
    assert sessions.lines == [*opened, *(f"close {name}" for name in reversed(names))] * 3
    assert [state(container, name) for name in names] == [STOPPED] * 3
    container.shutdown_resources()


def test_a_session_opens_with_the_dependency_that_was_started_again_for_it(sessions):
    pool = sessions.resource("generator", "pool")
    session = sessions.resource("generator", "session", pool)
    container = declared(pool=pool, session=session)
    container.init_resources()
    with wired(container, use):
        ((first,), (second,)) = use(), use()
    assert first is not second
    container.shutdown_resources()


def test_closing_a_resource_that_another_running_resource_uses_leaves_it_running(sessions):
    pool = sessions.resource("generator", "pool")
    container = declared(pool=pool, reports=sessions.resource("generator", "reports", pool))
    container.init_resources()
    with wired(container, use_pool):
        assert use_pool() is use_pool()
        assert state(container, "pool") is RUNNING
        container.reports.shutdown()
        assert not use_pool().is_open
        assert state(container, "pool") is STOPPED
    container.shutdown_resources()


def test_a_request_outside_of_wiring_stops_a_resource_that_others_use(sessions):
    pool = sessions.resource("generator", "pool")
    container = declared(pool=pool, reports=sessions.resource("generator", "reports", pool))
    container.init_resources()
    container.pool.shutdown()
    assert state(container, "pool") is STOPPED
    assert state(container, "reports") is state(container) is RUNNING
    container.shutdown_resources()


def test_an_injected_function_that_stops_a_resource_itself_stops_it(sessions):
    pool = sessions.resource("generator", "pool")
    session = sessions.resource("generator", "session", pool)
    reports = sessions.resource("generator", "reports", pool)
    container = declared(pool=pool, session=session, reports=reports)
    container.init_resources()

    @inject
    def stop_pool(session=Closing[Provide["session"]]):
        container.pool.shutdown()
        return state(container, "pool")

    with wired(container, stop_pool):
        assert stop_pool() is STOPPED
    container.shutdown_resources()


@pytest.mark.parametrize("user", ["generator", "async generator"])
@pytest.mark.parametrize("pool", ["generator", "async generator"])
def test_async_sessions_leave_a_dependency_of_others_running(sessions, user, pool):
    pool = sessions.resource(pool, "pool")
    container = declared(
        pool=pool,
        session=sessions.resource("async generator", "session", pool),
        reports=sessions.resource(user, "reports", pool),
    )

    async def life():
        await container.init_resources()
        (kept,) = await use_async()
        for _ in range(3):
            assert await use_async() == (kept,)
            assert kept.is_open
        await container.shutdown_resources()

    with wired(container, use_async):
        asyncio.run(life())
    assert sessions.lines.count("open pool") == 1


@pytest.mark.parametrize("kind", ["generator", "async generator"])
def test_async_calls_never_close_a_dependency_before_the_session_that_uses_it(sessions, kind):
    pool = sessions.resource(kind, "pool")
    session = sessions.resource("async generator", "session", pool)
    container = declared(pool=pool, session=session)

    async def life():
        for _ in range(3):
            await use_async()
            assert state(container, "session") is STOPPED
        await container.shutdown_resources()

    with wired(container, use_async):
        asyncio.run(life())
    # dependency-injector stops the two concurrently; the pool may also be left running.
    opened = []
    for line in sessions.lines:
        verb, name = line.split()
        if verb == "open":
            opened.append(name)
        else:
            assert opened.pop() == name
    assert opened == []
    assert sessions.lines.count("open session") == 3


def test_a_factory_closes_every_resource_that_it_is_made_of(sessions):
    first = sessions.resource("generator", "first")
    second = sessions.resource("manager", "second")
    made = providers.Factory(dict, first=first, second=second)
    container = declared(first=first, second=second, service=providers.Factory(dict, made=made))

    @inject
    def serve(service=Closing[Provide["service"]]):
        return service["made"]["first"], service["made"]["second"]

    seen = []
    with wired(container, serve):
        for _ in range(3):
            seen += serve()
    assert len(set(map(id, seen))) == 6
    assert not any(session.is_open for session in seen)
    assert sorted(sessions.lines) == sorted(
        ["open first", "open second", "close first", "close second"] * 3
    )
    container.shutdown_resources()


def test_a_singleton_made_of_the_session_is_made_again_for_the_next_call(sessions):
    session = sessions.resource("generator", "session")
    container = declared(session=session, service=providers.Singleton(dict, session=session))

    @inject
    def serve(service=Closing[Provide["service"]]):
        assert service["session"].is_open
        return service

    with wired(container, serve):
        assert serve() is not serve()
    container.shutdown_resources()
    assert sessions.lines == ["open session", "close session"] * 2
