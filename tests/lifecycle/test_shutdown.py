"""Whatever interrupts a stop, everything is down when it is over, and nothing gets lost."""

import asyncio
import logging
import signal
import threading
import traceback
from contextlib import contextmanager

import pytest

from metrics.lifecycle import (
    LifecycleContainer,
    Resource,
    ShutdownError,
    State,
    StopTimeoutError,
    state,
    subscribe,
)
from tests.lifecycle.calls import note_of

PATIENCE = 10.0


class World:
    """Parts that note their stop, and do before what they are told to do."""

    def __init__(self) -> None:
        self.stopped: list[str] = []
        self.before: dict[str, object] = {}
        self.delivered = threading.Event()
        self.release = threading.Event()

    @contextmanager
    def hook(self, name: str, *_needed: object):
        yield name
        self.before.get(name, bool)()
        self.stopped.append(name)

    def interrupt(self) -> None:
        """Send SIGINT to the main thread, as Ctrl-C does, and wait until it has it."""
        self.delivered.clear()
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        assert self.delivered.wait(PATIENCE)

    def hang(self) -> None:
        assert self.release.wait(60)

    def __deepcopy__(self, memo: object) -> "World":
        return self


@pytest.fixture
def world():
    made = World()

    def handle(_number, _frame) -> None:
        made.delivered.set()
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGINT, handle)
    yield made
    signal.signal(signal.SIGINT, previous)
    made.release.set()


def chain(world: World, length: int) -> LifecycleContainer:
    class Chain(LifecycleContainer):
        pass

    previous: list[Resource] = []
    for index in range(length):
        part = Resource(world.hook, f"p{index}", *previous)
        setattr(Chain, f"p{index}", part)
        previous = [part]
    return Chain()


def raiser(error: BaseException):
    def fail() -> None:
        raise error

    return fail


@pytest.mark.parametrize("interrupted", [{0}, {1}, {2}, {0, 1, 2}])
def test_an_interrupt_while_waiting_for_a_stop_is_raised_when_all_is_down(world, interrupted):
    container = chain(world, 3)
    container.init_resources()
    world.before = {f"p{index}": world.interrupt for index in interrupted}
    with pytest.raises(KeyboardInterrupt):
        container.shutdown_resources()
    assert world.stopped == ["p2", "p1", "p0"]
    assert state(container) is State.STOPPED


def test_an_interrupt_comes_from_what_failed_at_the_same_time(world):
    container = chain(world, 3)
    container.init_resources()
    error = OSError("no")
    world.before = {"p2": raiser(error), "p1": world.interrupt}
    with pytest.raises(KeyboardInterrupt) as raised:
        container.shutdown_resources()
    assert isinstance(raised.value.__cause__, ShutdownError)
    assert raised.value.__cause__.exceptions == (error,)
    assert world.stopped == ["p1", "p0"]


def test_an_interrupt_does_not_let_a_hook_that_hangs_keep_the_others_up(world):
    container = chain(world, 3)
    container.init_resources()

    def interrupted_and_stuck() -> None:
        world.interrupt()
        world.hang()

    world.before = {"p1": interrupted_and_stuck}
    with pytest.raises(KeyboardInterrupt) as raised:
        container.shutdown_resources(timeout=0.5)
    (error,) = raised.value.__cause__.exceptions
    assert isinstance(error, StopTimeoutError)
    assert world.stopped == ["p2", "p0"]
    world.release.set()
    container.shutdown_resources()
    assert world.stopped == ["p2", "p0", "p1"]


def test_without_a_limit_the_hook_in_hand_is_interrupted_and_the_others_stop(world):
    container = chain(world, 3)
    container.init_resources()
    world.before = {"p1": lambda: signal.raise_signal(signal.SIGINT)}
    with pytest.raises(KeyboardInterrupt) as raised:
        container.shutdown_resources(timeout=float("inf"))
    assert raised.value.__notes__ == [note_of("stopping", "p1", World.hook, "Chain")]
    assert world.stopped == ["p2", "p0"]
    assert state(container, "p1") is State.FAILED
    container.shutdown_resources()
    assert state(container) is State.STOPPED


@pytest.mark.parametrize("phase", [State.STOPPING, State.STOPPED])
def test_without_a_limit_an_interrupt_between_two_hooks_keeps_nothing_up(world, phase):
    container = chain(world, 3)
    container.init_resources()

    def interrupt(event) -> None:
        if (event.resource, event.state) == ("p1", phase):
            signal.raise_signal(signal.SIGINT)

    subscribe(container, interrupt)
    with pytest.raises(KeyboardInterrupt):
        container.shutdown_resources(timeout=float("inf"))
    assert world.stopped == ["p2", "p1", "p0"]
    assert state(container) is State.STOPPED


def test_an_interrupt_during_the_roll_back_of_a_start_does_not_get_lost(world):
    class Container(LifecycleContainer):
        low = Resource(world.hook, "low")
        high = Resource(world.hook, "high", low)
        bad = Resource(raiser(OSError("no")))

    world.before = {"high": world.interrupt}
    with pytest.raises(BaseException) as raised:
        Container().init_resources()
    text = "".join(traceback.format_exception(raised.value))
    assert "OSError: no" in text
    assert "KeyboardInterrupt" in text
    assert world.stopped == ["high", "low"]


def test_a_ctrl_c_of_asyncio_waits_for_the_stop(world):
    signal.signal(signal.SIGINT, signal.default_int_handler)

    async def hook(*_needed: object):
        yield
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(0)
        world.stopped.append("async")

    class Container(LifecycleContainer):
        low = Resource(world.hook, "low")
        middle = Resource(hook, low)
        high = Resource(world.hook, "high", middle)

    container = Container()

    async def main() -> None:
        await container.init_resources()
        await container.shutdown_resources()

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    assert world.stopped == ["high", "async", "low"]
    assert state(container) is State.STOPPED


def test_a_cancelled_stop_still_tells_what_failed(world):
    tasks: list[asyncio.Task] = []
    error = OSError("no")

    async def hook(*_needed: object):
        yield
        tasks[0].cancel()
        await asyncio.sleep(0)
        raise error

    class Container(LifecycleContainer):
        low = Resource(world.hook, "low")
        high = Resource(hook, low)

    container = Container()

    async def main() -> None:
        await container.init_resources()
        tasks.append(asyncio.ensure_future(container.shutdown_resources()))
        await asyncio.wait(tasks)

    asyncio.run(main())
    with pytest.raises(asyncio.CancelledError) as raised:
        tasks[0].result()
    assert world.stopped == ["low"]
    assert isinstance(raised.value.__cause__, ShutdownError)
    assert raised.value.__cause__.exceptions == (error,)
    asyncio.run(stopped(container))


async def stopped(container) -> None:
    await container.shutdown_resources()
    assert state(container) is State.STOPPED


def test_what_a_severe_error_comes_from_is_kept(world):
    container = chain(world, 2)
    container.init_resources()
    cause = OSError("disk")

    def leave() -> None:
        raise SystemExit(3) from cause

    world.before = {"p1": leave}
    with pytest.raises(SystemExit) as raised:
        container.shutdown_resources()
    assert raised.value.__cause__ is cause


def test_of_several_severe_errors_the_first_is_raised_and_each_is_logged(world, caplog):
    container = chain(world, 3)
    container.init_resources()
    errors = [SystemExit(3), KeyboardInterrupt("second"), OSError("third")]
    world.before = {f"p{2 - index}": raiser(error) for index, error in enumerate(errors)}
    with caplog.at_level(logging.ERROR, "metrics.lifecycle"), pytest.raises(SystemExit) as raised:
        container.shutdown_resources()
    assert raised.value is errors[0]
    assert raised.value.__cause__.exceptions == (errors[2],)
    logged = [record.getMessage() for record in caplog.records]
    assert [line.split(" (")[0] for line in logged] == [
        "failed to stop 'p2'",
        "failed to stop 'p1'",
        "failed to stop 'p0'",
    ]
    assert logged[1].endswith("KeyboardInterrupt: second")


def test_a_start_that_fails_leaves_nothing_up_that_another_thread_was_starting(world):
    begun, failed = threading.Event(), threading.Event()

    def slow():
        begun.set()
        world.hang()
        yield
        world.stopped.append("slow")

    def bad():
        raise OSError("no")

    def fail() -> None:
        with pytest.raises(OSError, match="no"):
            container.init_resources()
        failed.set()

    class Container(LifecycleContainer):
        first = Resource(world.hook, "first")
        bad_part = Resource(bad)
        slow_part = Resource(slow)

    container = Container()
    needing = threading.Thread(target=container.slow_part)
    needing.start()
    assert begun.wait(PATIENCE)
    starting = threading.Thread(target=fail)
    starting.start()
    # Time for a start that does not wait for the other thread to end too early.
    failed.wait(0.2)
    world.release.set()
    for thread in (needing, starting):
        thread.join(PATIENCE)
    left = state(container, "slow_part")
    container.shutdown_resources()
    assert failed.is_set()
    assert left is State.STOPPED
    assert sorted(world.stopped) == ["first", "slow"]


def test_a_resource_that_fails_on_first_need_can_be_requested_again(world):
    errors = [OSError("first"), OSError("second")]

    def hook() -> str:
        if errors:
            raise errors.pop(0)
        return "up"

    class Container(LifecycleContainer):
        part = Resource(hook)

    container = Container()
    for text in ("first", "second"):
        with pytest.raises(OSError, match=text):
            container.part()
    assert container.part() == "up"
    container.shutdown_resources()
