"""Async resources: what hooks they may have, asking for them, and providers between them."""

import asyncio
import contextlib
import gc
import subprocess
import sys
import textwrap
import threading
import warnings

import pytest
from dependency_injector import providers, resources
from dependency_injector.wiring import Provide, inject

from metrics.lifecycle import (
    LifecycleContainer,
    LifecycleError,
    NotRunningError,
    Resource,
    State,
    running,
    state,
)
from tests.lifecycle.programs import LIGHT

LONG = 20


class Log(list):
    """What hooks have done; the same one for everybody, however it is copied."""

    def __deepcopy__(self, memo):
        return self


LINES = Log()


@pytest.fixture(autouse=True)
def lines():
    LINES.clear()
    return LINES


async def generator(name="part", *_needed):
    LINES.append(f"start {name}")
    await asyncio.sleep(0)
    yield name
    await asyncio.sleep(0)
    LINES.append(f"stop {name}")


@contextlib.asynccontextmanager
async def context_manager(name="part"):
    LINES.append(f"start {name}")
    await asyncio.sleep(0)
    yield name
    await asyncio.sleep(0)
    LINES.append(f"stop {name}")


class Entered:
    """An async context manager."""

    async def __aenter__(self):
        LINES.append("start part")
        await asyncio.sleep(0)
        return "part"

    async def __aexit__(self, *exit_info):
        await asyncio.sleep(0)
        LINES.append("stop part")


async def coroutine_of_a_context_manager():
    await asyncio.sleep(0)
    return Entered()


class AsyncResource(resources.AsyncResource):
    """As dependency-injector has it."""

    async def init(self, name="part"):
        LINES.append(f"start {name}")
        await asyncio.sleep(0)
        return name

    async def shutdown(self, resource):
        await asyncio.sleep(0)
        LINES.append(f"stop {resource}")


class CallableHook:
    """A hook that is an object with an async `__call__`."""

    def __deepcopy__(self, memo):
        return self

    async def __call__(self):
        return Entered()


class Methods:
    """A hook that is a method."""

    def __deepcopy__(self, memo):
        return self

    async def hook(self):
        LINES.append("start part")
        yield "part"
        LINES.append("stop part")


class Both:
    """Both kinds of context manager."""

    def __enter__(self):
        LINES.append("start part")
        return "part"

    def __exit__(self, *exit_info):
        LINES.append("stop part")

    async def __aenter__(self):
        LINES.append("async start part")
        return "part"

    async def __aexit__(self, *exit_info):
        LINES.append("async stop part")


HOOKS = [
    generator,
    context_manager,
    Entered,
    coroutine_of_a_context_manager,
    AsyncResource,
    CallableHook(),
    Methods().hook,
]


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: getattr(hook, "__name__", "object"))
def test_every_kind_of_async_hook_starts_and_stops(lines, hook):
    class Container(LifecycleContainer):
        part = Resource(hook)

    container = Container()

    async def main():
        await container.init_resources()
        assert await container.part() == "part"
        assert lines == ["start part"]
        await container.shutdown_resources()

    asyncio.run(main())
    assert lines == ["start part", "stop part"]


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: getattr(hook, "__name__", "object"))
def test_every_kind_of_async_hook_outlives_the_loop_that_started_it(lines, hook):
    # asyncio.run closes the async generators that its loop knows of.
    class Container(LifecycleContainer):
        part = Resource(hook)

    container = Container()
    asyncio.run(container.init_resources())
    gc.collect()
    assert lines == ["start part"]
    assert state(container) is State.RUNNING
    asyncio.run(container.shutdown_resources())
    assert lines == ["start part", "stop part"]


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: getattr(hook, "__name__", "object"))
def test_every_kind_of_async_hook_is_asked_to_stop_once_after_an_error(lines, hook):
    class Container(LifecycleContainer):
        part = Resource(hook)

    async def main():
        async with running(Container()):
            raise KeyError("in the block")

    # A context manager made of a generator is told of the error where it yields; the others go on.
    with pytest.raises(KeyError, match="in the block"):
        asyncio.run(main())
    stopped = [] if hook is context_manager else ["stop part"]
    assert lines == ["start part", *stopped]


def test_a_coroutine_gives_a_plain_value():
    async def connect():
        await asyncio.sleep(0)
        return 7

    class Container(LifecycleContainer):
        part = Resource(connect)

    container = Container()

    async def main():
        await container.init_resources()
        assert await container.part() == 7
        await container.shutdown_resources()
        with pytest.raises(NotRunningError):
            container.part()

    asyncio.run(main())


def test_a_context_manager_of_both_kinds_is_used_without_a_loop(lines):
    class Container(LifecycleContainer):
        part = Resource(Both)

    container = Container()
    container.init_resources()
    assert container.part() == "part"
    container.shutdown_resources()
    assert lines == ["start part", "stop part"]


def test_a_context_manager_of_both_kinds_stops_as_it_started_in_a_mixed_graph(lines):
    class Container(LifecycleContainer):
        other = Resource(generator, "other")
        part = Resource(Both)

    container = Container()
    asyncio.run(container.init_resources())
    asyncio.run(container.shutdown_resources())
    assert lines == ["start other", "start part", "stop part", "stop other"]


def test_a_hook_that_turns_out_to_be_async_is_an_error_in_a_call_and_works_when_awaited(lines):
    class Container(LifecycleContainer):
        before = Resource(contextlib.nullcontext)
        part = Resource(lambda: Entered())  # noqa: PLW0108 - a lambda hides what it returns

    container = Container()
    with pytest.raises(LifecycleError, match=r"'part' \(.*\) turns out to be async") as raised:
        container.init_resources()
    assert "async function" in str(raised.value)
    assert state(container, "before") is State.STOPPED
    assert lines == []

    async def main():
        async with running(container):
            assert lines == ["start part"]
            assert container.part() == "part"

    asyncio.run(main())
    assert lines == ["start part", "stop part"]


@pytest.mark.parametrize("hidden", [generator, context_manager, coroutine_of_a_context_manager])
def test_a_hidden_async_hook_leaves_nothing_unawaited_behind(lines, hidden):
    class Container(LifecycleContainer):
        part = Resource(lambda: hidden())  # noqa: PLW0108 - a lambda hides what it returns

    with pytest.raises(LifecycleError, match="'part'"):
        Container().init_resources()
    gc.collect()
    assert lines == []


def test_an_async_generator_that_never_yields_or_yields_twice_is_an_error():
    async def empty():
        return
        yield

    async def twice():
        try:
            yield 1
            yield 2
        finally:
            LINES.append("closed")

    class Empty(LifecycleContainer):
        part = Resource(empty)

    class Twice(LifecycleContainer):
        part = Resource(twice)

    with pytest.raises(RuntimeError, match="without a yield"):
        asyncio.run(Empty().init_resources())
    container = Twice()
    asyncio.run(container.init_resources())
    with pytest.raises(ExceptionGroup) as raised:
        asyncio.run(container.shutdown_resources())
    assert "yielded twice" in str(raised.value.exceptions[0])
    # Its generator is closed: stopped again, there is nothing more to do.
    assert LINES == ["closed"]
    asyncio.run(container.shutdown_resources())
    assert state(container) is State.STOPPED


def test_what_needs_an_async_resource_gets_its_value_through_every_provider(lines):
    async def double(value):
        await asyncio.sleep(0)
        return value * 2

    seen = {}

    def sync_hook(name, *args, **kwargs):
        seen[name] = (args, kwargs)
        yield name

    class Service:
        def __init__(self, part):
            self.part = part

        def tell(self):
            return self.part

    class Container(LifecycleContainer):
        config = providers.Configuration()
        which = providers.Object("left")
        part = Resource(generator, "part")
        factory = providers.Factory(Service, part)
        single = providers.Singleton(Service, part)
        safe = providers.ThreadSafeSingleton(Service, part)
        call = providers.Callable(str.upper, part)
        coroutine = providers.Coroutine(double, part)
        async_factory = providers.Factory(double, part)
        items = providers.List(part, "constant")
        pairs = providers.Dict(key=part)
        chosen = providers.Selector(which, left=part, right=providers.Object("right"))
        told = single.provided.tell.call()
        direct = Resource(sync_hook, "direct", part)
        made = Resource(sync_hook, "made", factory.provided.part, single.provided.part)
        called = Resource(sync_hook, "called", call, coroutine, async_factory)
        listed = Resource(sync_hook, "listed", items, pairs=pairs)
        selected = Resource(sync_hook, "selected", chosen, safe=safe.provided.part)
        telling = Resource(sync_hook, "telling", told)
        given = Resource(sync_hook, "given", part.provider)

    container = Container()
    asyncio.run(container.init_resources())
    assert seen.pop("given")[0][0] is container.part
    assert seen == {
        "direct": (("part",), {}),
        "made": (("part", "part"), {}),
        "called": (("PART", "partpart", "partpart"), {}),
        "listed": ((["part", "constant"],), {"pairs": {"key": "part"}}),
        "selected": (("part",), {"safe": "part"}),
        "telling": (("part",), {}),
    }
    asyncio.run(container.shutdown_resources())
    assert lines == ["start part", "stop part"]


def test_an_async_factory_makes_a_sync_resource_async(lines):
    async def connect():
        await asyncio.sleep(0)
        return "connection"

    def connected(connection):
        LINES.append(f"pool of {connection}")
        yield "pool"
        LINES.append("pool closed")

    class Container(LifecycleContainer):
        connection = providers.Factory(connect)
        pool = Resource(connected, connection)

    container = Container()
    with pytest.raises(LifecycleError, match="'pool'"):
        container.pool()

    async def main():
        assert await container.pool() == "pool"
        await container.shutdown_resources()

    asyncio.run(main())
    assert lines == ["pool of connection", "pool closed"]


def test_a_resource_given_as_a_provider_is_no_reason_to_wait(lines):
    def using(provider):
        LINES.append(type(provider).__name__)
        yield "user"

    class Container(LifecycleContainer):
        part = Resource(generator, "part")
        user = Resource(using, part.provider)

    container = Container()
    assert container.user() == "user"
    container.shutdown_resources()
    assert lines == ["Resource"]


def test_asking_gives_something_to_await_exactly_when_something_async_is_needed(lines):
    class Container(LifecycleContainer):
        part = Resource(generator, "part")
        user = Resource(lambda part: f"user of {part}", part)
        other = Resource(lambda: "other")
        service = providers.Factory(dict, user=user, other=other)

    container = Container()

    async def main():
        assert container.other() == "other"
        assert await container.user() == "user of part"
        assert lines == ["start part"]
        # It does not matter who started them, nor how often they are requested.
        await container.init_resources()
        for _ in range(3):
            assert container.other() == "other"
            assert await container.user() == "user of part"
            assert await container.part() == "part"
            assert await container.service() == {"user": "user of part", "other": "other"}
        await container.shutdown_resources()
        for name in ("part", "user", "other"):
            with pytest.raises(NotRunningError, match=name):
                getattr(container, name)()

    asyncio.run(main())
    assert lines == ["start part", "stop part"]


def test_an_async_resource_that_is_up_cannot_be_requested_outside_a_loop_either(lines):
    class Container(LifecycleContainer):
        part = Resource(generator, "part")
        user = Resource(lambda part: f"user of {part}", part)

    container = Container()
    asyncio.run(container.init_resources())
    try:
        for name in ("part", "user"):
            with pytest.raises(LifecycleError, match=f"'{name}'.*await"):
                getattr(container, name)()
    finally:
        asyncio.run(container.shutdown_resources())


def test_two_tasks_that_request_a_resource_start_it_once(lines):
    class Container(LifecycleContainer):
        part = Resource(generator, "part")
        user = Resource(generator, "user", part)

    container = Container()

    async def main():
        asked = [container.user(), container.part(), container.user(), container.part()]
        assert await asyncio.gather(*asked) == ["user", "part", "user", "part"]
        await container.shutdown_resources()

    asyncio.run(main())
    assert lines == ["start part", "start user", "stop user", "stop part"]


def test_two_loops_in_two_threads_start_a_resource_once(lines):
    begun, go_on = threading.Event(), threading.Event()

    async def slow():
        LINES.append("start")
        begun.set()
        assert await asyncio.to_thread(go_on.wait, LONG)
        yield "part"
        LINES.append("stop")

    class Container(LifecycleContainer):
        part = Resource(slow)

    container = Container()
    values = []

    async def ask():
        values.append(await container.part())

    threads = [threading.Thread(target=asyncio.run, args=(ask(),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert begun.wait(LONG)
    go_on.set()
    for thread in threads:
        thread.join(LONG)
    assert values == ["part", "part"]
    asyncio.run(container.shutdown_resources())
    assert lines == ["start", "stop"]


@pytest.mark.parametrize("count", [2, 20])
def test_tasks_that_start_a_container_at_once_start_it_once(lines, count):
    class Container(LifecycleContainer):
        one = Resource(generator, "one")
        two = Resource(lambda one: LINES.append("start two"), one)

    container = Container()

    async def start():
        await container.init_resources()
        assert lines == ["start one", "start two"]

    async def main():
        await asyncio.gather(*(start() for _ in range(count)))
        await container.shutdown_resources()

    asyncio.run(main())


def test_the_task_that_waits_for_a_start_that_is_cancelled_makes_it_itself(lines):
    async def slow():
        LINES.append("start")
        begun.set()
        await go_on.wait()
        yield "part"
        LINES.append("stop")

    class Container(LifecycleContainer):
        part = Resource(slow)

    container = Container()

    async def ask():
        return await container.part()

    async def check(start):
        first = asyncio.create_task(start())
        await begun.wait()
        second = asyncio.create_task(start())
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait({first})
        assert first.cancelled()
        go_on.set()
        await second
        assert state(container, "part") is State.RUNNING
        await container.shutdown_resources()
        assert lines == ["start", "start", "stop"]

    async def main(start):
        nonlocal begun, go_on
        begun, go_on = asyncio.Event(), asyncio.Event()
        await check(start)

    begun = go_on = None

    async def init():
        await container.init_resources()

    for start in (init, ask):
        lines.clear()
        container = Container()
        asyncio.run(main(start))


def test_a_stop_waits_for_the_resource_that_another_task_is_starting(lines):
    async def slow():
        begun.set()
        await go_on.wait()
        LINES.append("start")
        yield "part"
        LINES.append("stop")

    class Container(LifecycleContainer):
        part = Resource(slow)

    begun = go_on = None

    async def main_of(ask_name):
        nonlocal begun, go_on
        begun, go_on = asyncio.Event(), asyncio.Event()
        container = Container()

        async def start():
            await getattr(container, ask_name)()

        starting = asyncio.create_task(start())
        await begun.wait()
        asyncio.get_running_loop().call_soon(go_on.set)
        try:
            await container.shutdown_resources(timeout=LONG)
        finally:
            await starting
            before = list(lines)
            await container.shutdown_resources()
        assert before == ["start", "stop"]

    for ask_name in ("init_resources", "part"):
        lines.clear()
        asyncio.run(main_of(ask_name))


def test_a_sync_resource_requested_while_its_loop_starts_it_is_an_error_and_no_deadlock():
    # The call cannot wait: what it would wait for goes on in its own loop.
    code = """
        import asyncio, threading
        from metrics.lifecycle import LifecycleContainer, LifecycleError, Resource, running

        begun, go_on = threading.Event(), threading.Event()

        def hook():
            begun.set()
            go_on.wait(20)
            yield "part"

        class Container(LifecycleContainer):
            part = Resource(hook)

        container = Container()

        async def hold():
            async with running(container):
                assert container.part() == "part"

        async def main():
            task = asyncio.create_task(hold())
            await asyncio.to_thread(begun.wait, 20)
            threading.Timer(0.1, go_on.set).start()
            try:
                container.part()
            except LifecycleError as error:
                print("error:", error)
            await task

        asyncio.run(main())
    """
    done = subprocess.run(
        [sys.executable, "-c", LIGHT + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "error: 'part'" in done.stdout


def test_one_resource_alone_stops_and_starts_again_when_awaited(lines):
    class Container(LifecycleContainer):
        one = Resource(generator, "one")
        two = Resource(generator, "two")

    container = Container()

    async def main():
        await container.init_resources()
        await container.two.shutdown()
        assert state(container, "two") is State.STOPPED
        assert await container.two.init() == "two"
        await container.shutdown_resources()

    asyncio.run(main())
    assert lines == ["start one", "start two", "stop two", "start two", "stop two", "stop one"]


def test_stopping_one_async_resource_without_await_says_so(lines):
    class Container(LifecycleContainer):
        part = Resource(generator)

    container = Container()
    asyncio.run(container.init_resources())
    with pytest.warns(RuntimeWarning, match=r"shutdown\(\) was never awaited.*'part'"):
        container.part.shutdown()
    assert lines == ["start part"]
    asyncio.run(container.shutdown_resources())


class Wired(LifecycleContainer):
    """At the top of a module, where `Provide` finds it."""

    part = Resource(generator, "part")
    user = Resource(lambda part: f"user of {part}", part)
    service = providers.Singleton(dict, user=user)


@inject
async def injected(
    given: int,
    part: str = Provide[Wired.part],
    user: str = Provide[Wired.user],
    service: dict = Provide[Wired.service],
):
    return given, part, user, service


@pytest.mark.parametrize("started", [False, True])
def test_async_functions_have_async_resources_injected(lines, started):
    container = Wired()
    container.wire(modules=[sys.modules[__name__]])

    async def main():
        if started:
            await container.init_resources()
        for _ in range(2):
            assert await injected(1) == (1, "part", "user of part", {"user": "user of part"})
        await container.shutdown_resources()
        with pytest.raises(NotRunningError):
            await injected(1)

    try:
        asyncio.run(main())
    finally:
        container.unwire()
    assert lines == ["start part", "stop part"]


@pytest.mark.parametrize("hook", [generator, AsyncResource])
def test_stock_async_resources_start_and_stop_in_their_place(lines, hook):
    class Container(LifecycleContainer):
        first = Resource(generator, "first")
        stock = providers.Resource(hook, "stock")
        user = Resource(generator, "user", stock)

    container = Container()

    async def main():
        await container.init_resources()
        assert await container.stock() == "stock"
        await container.shutdown_resources()

    for _ in range(2):
        lines.clear()
        asyncio.run(main())
        assert lines == [
            *["start first", "start stock", "start user"],
            *["stop user", "stop stock", "stop first"],
        ]


def test_a_singleton_that_holds_an_async_resource_is_recreated_in_the_next_loop(lines):
    class Container(LifecycleContainer):
        part = Resource(generator, "part")
        single = providers.Singleton(lambda part: [part], part)

    container = Container()
    made = []

    async def main():
        await container.init_resources()
        made.append(await container.single())
        assert await container.single() is made[-1]
        await container.shutdown_resources()

    asyncio.run(main())
    asyncio.run(main())
    assert made == [["part"], ["part"]]
    assert made[0] is not made[1]


@pytest.mark.leakcheck(ignore="container Container")
def test_a_container_left_with_an_async_resource_up_warns_when_it_is_collected(lines):
    class Container(LifecycleContainer):
        part = Resource(generator, "part")
        plain = Resource(lambda: contextlib.closing(LINES_CLOSER))

    gc.collect()
    asyncio.run((container := Container()).init_resources())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del container
        gc.collect()
    messages = [str(one.message) for one in caught if one.category is ResourceWarning]
    assert len(messages) == 1
    assert "'part'" in messages[0]
    # Without its loop, only the sync resources can be stopped.
    assert "closed" in lines


class Closer:
    def __deepcopy__(self, memo):
        return self

    def close(self):
        LINES.append("closed")


LINES_CLOSER = Closer()
