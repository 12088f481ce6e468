"""A resource that hangs is named and left behind; everything else is down within the budget."""

import asyncio
import math
import threading
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from http.client import HTTPConnection
from time import monotonic

import pytest
from dependency_injector import providers

from metrics import StopTimeoutError, resources
from metrics.deadline import remaining
from metrics.integrations.uvicorn import serve
from metrics.lifecycle import (
    LifecycleContainer,
    MetricsContainer,
    Resource,
    ShutdownError,
    State,
    state,
)

BUDGET = 0.2
# Proves that a hang was left behind; the hooks below hang until the test lets them go.
PATIENCE = 30.0


class World:
    """Parts that note their stop, some of which hang in it until the test ends."""

    def __init__(self) -> None:
        self.stopped: list[str] = []
        self.remaining: list[float | None] = []
        self.threads: list[threading.Thread] = []
        self.release = threading.Event()
        self.late: BaseException | None = None
        self.cancelled = 0

    @contextmanager
    def steady(self, name: str, *_needed: object):
        yield name
        self.remaining.append(remaining())
        self.threads.append(threading.current_thread())
        self.stopped.append(name)

    @contextmanager
    def hanging(self, name: str, *_needed: object):
        yield name
        hang_here(self.release)
        if self.late is not None:
            raise self.late
        self.stopped.append(name)

    @asynccontextmanager
    async def async_steady(self, name: str, *_needed: object):
        yield name
        await asyncio.sleep(0)
        self.stopped.append(name)

    @asynccontextmanager
    async def async_hanging(self, name: str, *_needed: object):
        yield name
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    def __deepcopy__(self, memo: object) -> "World":
        return self


def hang_here(release: threading.Event) -> None:
    assert release.wait(60)


@pytest.fixture
def world():
    made = World()
    yield made
    made.release.set()


def chain(world: World, hooks: list) -> LifecycleContainer:
    class Chain(LifecycleContainer):
        pass

    previous: list[Resource] = []
    for index, hook in enumerate(hooks):
        part = Resource(hook, f"p{index}", *previous)
        setattr(Chain, f"p{index}", part)
        previous = [part]
    return Chain()


def stop(container, **options) -> BaseException:
    """Stop a container, which has to fail in time; return why it failed."""
    began = monotonic()
    with pytest.raises(ShutdownError) as raised:
        container.shutdown_resources(**options)
    assert monotonic() - began < PATIENCE
    return raised.value


@pytest.mark.parametrize("hanging", range(3))
def test_a_hook_that_hangs_is_named_with_its_stack_and_the_others_stop(world, hanging):
    hooks = [world.steady] * 3
    hooks[hanging] = world.hanging
    container = chain(world, hooks)
    container.init_resources()
    (error,) = stop(container, timeout=1.5).exceptions
    assert isinstance(error, StopTimeoutError)
    assert str(error).startswith(f"'p{hanging}' did not stop in ")
    assert "in hang_here" in str(error)
    assert "assert release.wait(60)" in str(error)
    # Only what the hook did, not how it came to be called.
    assert "metrics/lifecycle" not in str(error)
    others = [index for index in (2, 1, 0) if index != hanging]
    assert world.stopped == [f"p{index}" for index in others]
    assert state(container, f"p{hanging}") is State.FAILED
    assert {state(container, f"p{index}") for index in others} == {State.STOPPED}
    assert all(left is not None and left <= 1.5 for left in world.remaining)


def test_several_hooks_that_hang_are_all_named(world):
    hooks = [world.hanging, world.steady] * 3
    container = chain(world, hooks)
    container.init_resources()
    errors = stop(container, timeout=BUDGET).exceptions
    assert [str(error).split()[0] for error in errors] == ["'p4'", "'p2'", "'p0'"]
    assert all(isinstance(error, StopTimeoutError) for error in errors)
    assert world.stopped == ["p5", "p3", "p1"]


def test_the_last_values_are_flushed_when_what_is_above_hangs(world):
    pushed: list[dict] = []

    @contextmanager
    def reporter(registry, *_needed: object):
        yield
        pushed.append(registry.to_dict())

    class Container(MetricsContainer):
        registry = MetricsContainer.registry
        requests = Resource(resources.counter, registry, "requests")
        push = Resource(reporter, registry, requests)
        service = Resource(world.hanging, "service", push)

    container = Container()
    container.init_resources()
    container.requests().inc(3)
    stop(container, timeout=BUDGET)
    assert pushed == [{"requests": {"count": 3}}]


def test_the_budget_of_the_class_is_the_default(world):
    class Container(LifecycleContainer):
        shutdown_timeout = BUDGET
        part = Resource(world.hanging, "part")

    container = Container()
    container.init_resources()
    assert "'part'" in str(stop(container).exceptions[0])


def test_the_budget_of_the_call_goes_before_that_of_the_class(world):
    class Container(LifecycleContainer):
        shutdown_timeout = None
        part = Resource(world.hanging, "part")
        other = Resource(world.steady, "other")

    container = Container()
    container.init_resources()
    stop(container, timeout=BUDGET)
    assert world.remaining[0] is not None


@pytest.mark.parametrize("limit", ["class", "call"])
def test_without_a_limit_hooks_stop_in_the_calling_thread(world, limit):
    class Container(LifecycleContainer):
        shutdown_timeout = None if limit == "class" else 1.0
        part = Resource(world.steady, "part")

    container = Container()
    container.init_resources()
    container.shutdown_resources(timeout=math.inf if limit == "call" else None)
    assert world.remaining == [None]
    assert world.threads == [threading.current_thread()]


def test_with_a_limit_hooks_stop_in_a_daemon_thread_that_has_ended_afterwards(world):
    container = chain(world, [world.steady] * 2)
    container.init_resources()
    container.shutdown_resources()
    (thread,) = set(world.threads)
    assert thread.name == "metrics-lifecycle"
    assert thread.daemon
    assert not thread.is_alive()
    assert all(left is not None and 1.0 < left <= 10.0 for left in world.remaining)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ("1", TypeError),
        ([], TypeError),
        (math.nan, ValueError),
        (-math.inf, ValueError),
    ],
)
def test_a_budget_that_is_no_number_is_refused_and_nothing_stops(world, wrong, error):
    container = chain(world, [world.steady])
    container.init_resources()
    with pytest.raises(error, match="timeout"):
        container.shutdown_resources(timeout=wrong)
    assert world.stopped == []
    container.shutdown_resources()
    assert world.stopped == ["p0"]


@pytest.mark.parametrize("spent", [0, -1.0])
def test_without_any_time_left_every_hook_is_called_and_what_hangs_is_named(world, spent):
    container = chain(world, [world.steady, world.hanging, world.steady])
    container.init_resources()
    (error,) = stop(container, timeout=spent).exceptions
    assert isinstance(error, StopTimeoutError)
    assert str(error).startswith("'p1' did not stop in ")
    assert "in hang_here" in str(error)
    assert sorted(world.stopped) == ["p0", "p2"]
    world.release.set()
    container.shutdown_resources()
    assert state(container) is State.STOPPED


def test_a_huge_budget_is_as_good_as_none(world):
    container = chain(world, [world.steady])
    container.init_resources()
    container.shutdown_resources(timeout=1e300)
    assert world.stopped == ["p0"]
    assert world.remaining == [None]


def test_a_hook_stops_in_the_context_of_its_start():
    variable: ContextVar[str] = ContextVar("variable", default="default")
    seen: list[str] = []

    def hook():
        seen.append(variable.get())
        token = variable.set("hook")
        yield
        seen.append(variable.get())
        variable.reset(token)
        seen.append(variable.get())

    class Container(LifecycleContainer):
        part = Resource(hook)

    container = Container()
    token = variable.set("start")
    container.init_resources()
    assert variable.get() == "start"
    variable.set("stop")
    container.shutdown_resources()
    variable.reset(token)
    assert seen == ["start", "hook", "start"]


def test_stopping_again_waits_for_the_hook_that_hung(world):
    container = chain(world, [world.steady, world.hanging])
    container.init_resources()
    stop(container, timeout=BUDGET)
    # It still hangs.
    (error,) = stop(container, timeout=BUDGET).exceptions
    assert isinstance(error, StopTimeoutError)
    assert state(container, "p1") is State.FAILED
    world.release.set()
    container.shutdown_resources()
    # The hook ran once, to its end.
    assert world.stopped == ["p0", "p1"]
    assert state(container) is State.STOPPED
    container.init_resources()
    container.shutdown_resources()
    assert world.stopped == ["p0", "p1", "p1", "p0"]


def test_a_late_failure_is_raised_by_the_next_stop_and_once(world):
    container = chain(world, [world.steady, world.hanging])
    container.init_resources()
    stop(container, timeout=BUDGET)
    late = world.late = OSError("late")
    world.release.set()
    assert stop(container, timeout=PATIENCE).exceptions == (late,)
    assert any("'p1'" in note for note in late.__notes__)
    container.shutdown_resources()
    assert state(container) is State.STOPPED
    world.late = None
    container.init_resources()
    assert state(container) is State.RUNNING
    container.shutdown_resources()


def test_a_start_after_a_hang_waits_for_the_hook(world):
    container = chain(world, [world.hanging])
    container.init_resources()
    stop(container, timeout=BUDGET)
    threading.Timer(0.05, world.release.set).start()
    container.init_resources()
    assert world.stopped == ["p0"]
    container.shutdown_resources()


def test_the_roll_back_of_a_failed_start_leaves_a_hook_behind_that_hangs(world):
    def fail(*_needed: object):
        raise ValueError("no number")

    class Container(LifecycleContainer):
        shutdown_timeout = BUDGET
        low = Resource(world.steady, "low")
        stuck = Resource(world.hanging, "stuck", low)
        bad = Resource(fail, stuck)

    container = Container()
    began = monotonic()
    with pytest.raises(ValueError, match="no number") as raised:
        container.init_resources()
    assert monotonic() - began < PATIENCE
    assert "hang_here" in "".join(raised.value.__notes__)
    assert world.stopped == ["low"]
    world.release.set()
    container.shutdown_resources()


async def stop_awaited(container, **options) -> BaseException:
    began = monotonic()
    with pytest.raises(ShutdownError) as raised:
        await container.shutdown_resources(**options)
    assert monotonic() - began < PATIENCE
    return raised.value


@pytest.mark.parametrize("hanging", range(3))
def test_an_async_hook_that_hangs_is_cancelled_and_the_others_stop(world, hanging):
    hooks = [world.async_steady, world.steady, world.async_steady]
    hooks[hanging] = world.async_hanging
    container = chain(world, hooks)

    async def main() -> None:
        await container.init_resources()
        (error,) = (await stop_awaited(container, timeout=BUDGET)).exceptions
        assert isinstance(error, StopTimeoutError)
        assert str(error).startswith(f"'p{hanging}' did not stop in ")
        assert "await asyncio.Event().wait()" in str(error)
        assert world.cancelled == 1
        await container.shutdown_resources()

    asyncio.run(main())
    assert world.stopped == [f"p{index}" for index in (2, 1, 0) if index != hanging]
    assert state(container) is State.STOPPED


@pytest.mark.parametrize("hanging", range(3))
def test_a_sync_hook_that_hangs_in_an_async_graph_is_left_behind(world, hanging, caplog):
    hooks = [world.async_steady, world.steady, world.async_steady]
    hooks[hanging] = world.hanging
    container = chain(world, hooks)

    async def main() -> None:
        await container.init_resources()
        (error,) = (await stop_awaited(container, timeout=BUDGET)).exceptions
        assert isinstance(error, StopTimeoutError)
        assert "in hang_here" in str(error)
        assert "metrics/lifecycle" not in str(error)

    asyncio.run(main())
    others = [f"p{index}" for index in (2, 1, 0) if index != hanging]
    assert world.stopped == others
    world.release.set()

    async def again() -> None:
        await container.shutdown_resources()

    asyncio.run(again())
    assert world.stopped == [*others, f"p{hanging}"]
    assert state(container) is State.STOPPED
    # The hook ends when the loop that waited for it is gone, which is nobody's fault.
    assert [r.getMessage() for r in caplog.records if not r.name.startswith("metrics")] == []


class Stubborn:
    """An async resource whose stop does not let itself be cancelled."""

    def __init__(self, stopped: list[str], late: BaseException | None) -> None:
        self.stopped, self.late = stopped, late
        self.release = asyncio.Event()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stopped.append("stubborn begins")
        while not self.release.is_set():
            with suppress(asyncio.CancelledError):
                await self.release.wait()
        if self.late is not None:
            raise self.late
        self.stopped.append("stubborn ends")


@pytest.mark.parametrize("late", [None, OSError("late")], ids=["ends", "fails"])
def test_an_async_hook_that_ignores_its_cancellation_is_left_behind(world, late):
    async def hook(*_needed: object) -> Stubborn:
        return Stubborn(world.stopped, late)

    container = chain(world, [world.steady, hook, world.async_steady])

    async def main() -> None:
        await container.init_resources()
        stubborn = await container.p1()
        (error,) = (await stop_awaited(container, timeout=BUDGET)).exceptions
        assert isinstance(error, StopTimeoutError)
        assert world.stopped == ["p2", "stubborn begins", "p0"]
        asyncio.get_running_loop().call_soon(stubborn.release.set)
        # Stopping again waits for it, and does not begin anew.
        if late is None:
            await container.shutdown_resources()
            assert world.stopped[3:] == ["stubborn ends"]
            assert state(container) is State.STOPPED
        else:
            assert (await stop_awaited(container)).exceptions == (late,)
            assert world.stopped[3:] == []

    asyncio.run(main())


def test_the_event_loop_goes_on_while_a_sync_hook_hangs(world):
    container = chain(world, [world.async_steady, world.hanging])

    async def main() -> None:
        await container.init_resources()
        stopping = asyncio.ensure_future(container.shutdown_resources(timeout=60))
        # Only a loop that goes on can let the hook go.
        asyncio.get_running_loop().call_later(0.01, world.release.set)
        async with asyncio.timeout(PATIENCE):
            await stopping

    asyncio.run(main())
    assert world.stopped == ["p1", "p0"]


def test_a_stop_does_not_wait_longer_for_a_container_whose_start_hangs(world):
    begun = threading.Event()

    def slow():
        begun.set()
        hang_here(world.release)
        yield
        world.stopped.append("slow")

    class Container(LifecycleContainer):
        before = Resource(world.steady, "before")
        slow_part = Resource(slow)

    container = Container()
    starting = threading.Thread(target=container.init_resources)
    starting.start()
    assert begun.wait(PATIENCE)
    with pytest.raises(StopTimeoutError, match=r"STARTING.*slow_part"):
        container.shutdown_resources(timeout=0.1)
    world.release.set()
    starting.join(PATIENCE)
    assert state(container) is State.RUNNING
    container.shutdown_resources()
    assert world.stopped == ["slow", "before"]


def test_a_resource_whose_start_hangs_in_another_thread_does_not_keep_the_others_up(world):
    begun = threading.Event()

    def slow():
        begun.set()
        hang_here(world.release)
        yield
        world.stopped.append("slow")

    class Container(LifecycleContainer):
        slow_part = Resource(slow)
        other = Resource(world.steady, "other")

    container = Container()
    container.other()
    starting = threading.Thread(target=container.slow_part)
    starting.start()
    assert begun.wait(PATIENCE)
    with pytest.raises((StopTimeoutError, ShutdownError)) as raised:
        container.shutdown_resources(timeout=BUDGET)
    seen = [str(error) for error in getattr(raised.value, "exceptions", [raised.value])]
    world_stopped = list(world.stopped)
    world.release.set()
    starting.join(PATIENCE)
    container.shutdown_resources()
    assert "'slow_part'" in seen[0]
    assert world_stopped == ["other"]
    assert world.stopped == ["other", "slow"]


def test_a_tick_that_hangs_is_left_behind_and_its_ticker_can_be_stopped_again(world):
    begun = threading.Event()

    class Blocked:
        def tick(self) -> None:
            begun.set()
            hang_here(world.release)

    class Container(MetricsContainer):
        other = Resource(world.steady, "other")

    container = Container(config=providers.Configuration())
    container.config.from_dict({"tick_interval": 0.01})
    container.init_resources()
    blocked = Blocked()
    container.ticker().add(blocked)
    assert begun.wait(PATIENCE)
    (error,) = stop(container, timeout=BUDGET).exceptions
    assert isinstance(error, StopTimeoutError)
    assert "ticker" in "".join([str(error), *error.__notes__])
    assert world.stopped == ["other"]
    assert state(container, "registry") is State.STOPPED
    world.release.set()
    container.shutdown_resources()
    assert state(container) is State.STOPPED


def test_a_request_that_hangs_is_cut_off_in_the_time_that_remains(world):
    begun = threading.Event()

    async def application(scope, receive, send) -> None:
        begun.set()
        hang_here(world.release)  # blocks the server's whole loop

    class Container(LifecycleContainer):
        low = Resource(world.steady, "low")
        server = Resource(serve, application, port=0)
        high = Resource(world.steady, "high")

    container = Container()
    container.init_resources()
    connection = HTTPConnection(*container.server(), timeout=PATIENCE)
    try:
        connection.request("GET", "/")
        assert begun.wait(PATIENCE)
        (error,) = stop(container, timeout=BUDGET).exceptions
        assert isinstance(error, StopTimeoutError)
        assert "server" in "".join([str(error), *error.__notes__])
        assert world.stopped == ["high", "low"]
        world.release.set()
        container.shutdown_resources()
        assert state(container) is State.STOPPED
    finally:
        connection.close()
