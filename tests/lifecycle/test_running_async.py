"""`async with running(container)`: whatever ends the block, the container stops, wholly."""

import asyncio
import gc
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading

import pytest

from metrics.lifecycle import (
    LifecycleContainer,
    NotRunningError,
    Resource,
    ShutdownError,
    State,
    running,
    state,
)
from tests.lifecycle.calls import note_of
from tests.lifecycle.programs import LIGHT

LONG = 20


def container_of(lines, *, stop_begins=None, may_stop=None):
    """Return a mixed container; the middle part's stop says that it begins, and waits."""

    async def first():
        lines.append("start first")
        await asyncio.sleep(0)
        yield "first"
        await asyncio.sleep(0)
        lines.append("stop first")

    async def middle(first):
        lines.append("start middle")
        yield "middle"
        if stop_begins is not None:
            stop_begins.set()
            assert await asyncio.to_thread(may_stop.wait, LONG)
        lines.append("stop middle")

    def last(middle):
        lines.append("start last")
        yield "last"
        lines.append("stop last")

    class Container(LifecycleContainer):
        one = Resource(first)
        two = Resource(middle, one)
        three = Resource(last, two)

    return Container()


UP = ["start first", "start middle", "start last"]
DOWN = ["stop last", "stop middle", "stop first"]


def test_the_block_has_the_container_with_all_resources_up():
    lines = []
    container = container_of(lines)

    async def main():
        async with running(container) as same:
            assert same is container
            assert lines == UP
            assert await container.three() == "last"
        assert lines == UP + DOWN
        with pytest.raises(NotRunningError):
            container.three()

    asyncio.run(main())
    assert state(container) is State.STOPPED


class OddError(BaseException):
    """Nothing that `except Exception` sees."""


@pytest.mark.parametrize("error", [KeyError("no"), OddError(), KeyboardInterrupt(), SystemExit(3)])
def test_what_ends_the_block_arrives_when_all_is_down(error):
    lines = []

    async def main():
        async with running(container_of(lines), signals=()):
            raise error

    with pytest.raises(type(error)) as raised:
        asyncio.run(main())
    assert raised.value is error
    assert lines == UP + DOWN


def test_exit_hooks_see_what_ended_the_block():
    seen = []

    class Sync:
        def __enter__(self):
            return self

        def __exit__(self, kind, error, traceback):
            seen.append((kind, error, traceback is not None))

    class Async:
        async def __aenter__(self):
            return self

        async def __aexit__(self, kind, error, traceback):
            seen.append((kind, error, traceback is not None))

    class Container(LifecycleContainer):
        one = Resource(Sync)
        two = Resource(Async)

    error = KeyError("no")

    async def main():
        async with running(Container()):
            raise error

    with pytest.raises(KeyError):
        asyncio.run(main())
    assert seen == [(KeyError, error, True)] * 2


def test_a_task_cancelled_in_the_block_stops_the_container_before_it_ends():
    lines = []

    async def hold(entered):
        async with running(container_of(lines)):
            entered.set()
            await asyncio.Event().wait()

    async def main():
        task = asyncio.create_task(hold(entered := asyncio.Event()))
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert lines == UP + DOWN


@pytest.mark.parametrize("times", [1, 4])
def test_cancellations_while_the_block_is_left_wait_for_the_whole_stop(times):
    lines, stop_begins, may_stop = [], threading.Event(), threading.Event()
    container = container_of(lines, stop_begins=stop_begins, may_stop=may_stop)

    async def hold():
        async with running(container):
            pass
        lines.append("went on")

    async def main():
        task = asyncio.create_task(hold())
        assert await asyncio.to_thread(stop_begins.wait, LONG)
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0)
            assert not task.done()
        may_stop.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert lines == UP + DOWN
    assert state(container) is State.STOPPED


def test_a_time_limit_around_the_block_ends_it_and_is_a_timeout_in_the_end():
    lines = []

    async def main():
        async with asyncio.timeout(None) as limit, running(container_of(lines)):
            limit.reschedule(0.0)  # not before everything is up
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        asyncio.run(main())
    assert lines == UP + DOWN


def test_a_time_limit_inside_the_block_is_none_of_the_containers_business():
    lines = []
    container = container_of(lines)

    async def main():
        async with running(container):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.Event().wait(), 0.01)
            assert lines == UP
            assert state(container) is State.RUNNING
            assert asyncio.current_task().cancelling() == 0

    asyncio.run(main())
    assert lines == UP + DOWN


def test_a_task_group_that_fails_around_the_block_stops_the_container():
    lines = []

    async def hold(entered):
        async with running(container_of(lines)):
            entered.set()
            await asyncio.Event().wait()

    async def fail(entered):
        await entered.wait()
        raise OSError("sibling")

    async def main():
        entered = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(hold(entered))
            group.create_task(fail(entered))

    with pytest.raises(ExceptionGroup) as raised:
        asyncio.run(main())
    assert [str(error) for error in raised.value.exceptions] == ["sibling"]
    assert lines == UP + DOWN


def test_a_task_group_that_fails_in_the_block_has_ended_before_the_container_stops():
    lines = []

    async def fail():
        raise OSError("child")

    async def work():
        try:
            await asyncio.Event().wait()
        finally:
            lines.append("work ended")

    async def main():
        async with running(container_of(lines)), asyncio.TaskGroup() as group:
            group.create_task(work())
            await asyncio.sleep(0)
            group.create_task(fail())

    with pytest.raises(ExceptionGroup):
        asyncio.run(main())
    assert lines == [*UP, "work ended", *DOWN]


def test_the_end_of_run_stops_what_a_child_task_holds():
    lines = []
    container = container_of(lines)
    tasks = []

    async def hold(entered):
        async with running(container):
            entered.set()
            await asyncio.Event().wait()

    async def main():
        entered = asyncio.Event()
        tasks.append(asyncio.create_task(hold(entered)))
        await entered.wait()

    asyncio.run(main())
    assert lines == UP + DOWN
    assert state(container) is State.STOPPED


@pytest.mark.parametrize("rounds", range(8))
def test_the_end_of_run_does_not_cut_into_a_stop_wherever_that_is(rounds):
    # asyncio.run cancels every task of the loop, whoever made it; `rounds` moves the moment.
    lines = []
    container = container_of(lines)
    tasks = []

    async def hold(entered, leave):
        async with running(container):
            entered.set()
            await leave.wait()

    async def main():
        entered, leave = asyncio.Event(), asyncio.Event()
        tasks.append(asyncio.create_task(hold(entered, leave)))
        await entered.wait()
        leave.set()
        for _ in range(rounds):
            await asyncio.sleep(0)

    asyncio.run(main())
    left = list(lines)
    if state(container) is not State.STOPPED:
        asyncio.run(container.shutdown_resources())
    assert left == UP + DOWN


@pytest.mark.parametrize("rounds", range(8))
def test_the_end_of_run_does_not_cut_into_an_awaited_stop(rounds):
    lines = []
    container = container_of(lines)
    tasks = []

    async def main():
        await container.init_resources()

        async def stop():
            await container.shutdown_resources()

        tasks.append(asyncio.create_task(stop()))
        for _ in range(rounds + 1):
            await asyncio.sleep(0)

    asyncio.run(main())
    left = list(lines)
    if state(container) is not State.STOPPED:
        asyncio.run(container.shutdown_resources())
    assert left == UP + DOWN


def test_the_end_of_run_does_not_cancel_the_hook_that_is_stopping():
    lines, stop_begins, may_stop = [], threading.Event(), threading.Event()
    container = container_of(lines, stop_begins=stop_begins, may_stop=may_stop)
    tasks = []

    async def hold():
        async with running(container):
            pass

    async def main():
        tasks.append(asyncio.create_task(hold()))
        assert await asyncio.to_thread(stop_begins.wait, LONG)
        asyncio.get_running_loop().call_later(0.05, may_stop.set)

    asyncio.run(main())
    left = list(lines)
    may_stop.set()
    asyncio.run(container.shutdown_resources())
    assert left == UP + DOWN


def test_a_sync_graph_leaves_the_loop_free_while_it_starts_and_stops():
    # Each hook waits for what only the loop can do.
    begun, go_on = threading.Event(), threading.Event()

    def hold():
        begun.set()
        assert go_on.wait(LONG)
        begun.clear()
        go_on.clear()

    def hook():
        hold()
        yield "part"
        hold()

    class Container(LifecycleContainer):
        part = Resource(hook)

    container = Container()
    released = []

    async def release():
        for _ in range(2):
            assert await asyncio.to_thread(begun.wait, LONG)
            begun.clear()
            released.append(state(container))
            go_on.set()

    async def main():
        helper = asyncio.create_task(release())
        async with running(container):
            assert container.part() == "part"
        await helper

    asyncio.run(main())
    assert released == [State.STARTING, State.STOPPING]


def test_a_cancelled_start_leaves_nothing_up():
    lines = []

    async def slow(first):
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            lines.append("cleaned up")
        yield

    async def first():
        lines.append("start first")
        yield "first"
        lines.append("stop first")

    class Container(LifecycleContainer):
        one = Resource(first)
        two = Resource(slow, one)

    container = Container()
    begun = None

    async def hold():
        async with running(container):
            lines.append("never")

    async def main():
        nonlocal begun
        begun = asyncio.Event()
        task = asyncio.create_task(hold())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert lines == ["start first", "cleaned up", "stop first"]


def test_a_failed_start_raises_the_original_and_leaves_nothing_up():
    lines = []
    error = OSError("no")

    async def failing(first):
        raise error

    async def first():
        yield "first"
        lines.append("stop first")

    class Container(LifecycleContainer):
        one = Resource(first)
        two = Resource(failing, one)

    async def main():
        async with running(Container()):
            lines.append("never")

    with pytest.raises(OSError, match="no") as raised:
        asyncio.run(main())
    assert raised.value is error
    assert error.__notes__ == [note_of("starting", "two", failing, "Container")]
    assert lines == ["stop first"]


def test_a_failed_stop_is_a_shutdown_error_with_the_blocks_error_in_its_context():
    async def failing():
        yield
        raise OSError("stuck")

    class Container(LifecycleContainer):
        part = Resource(failing)

    container = Container()
    error = KeyError("in the block")

    async def main():
        async with running(container):
            raise error

    with pytest.raises(ShutdownError) as raised:
        asyncio.run(main())
    assert [str(inner) for inner in raised.value.exceptions] == ["stuck"]
    contexts = []
    seen = raised.value
    while (seen := seen.__context__) is not None:
        contexts.append(seen)
    assert error in contexts
    asyncio.run(container.shutdown_resources())


def test_an_abandoned_generator_with_the_block_in_it_stops_the_container():
    lines = []

    async def items():
        async with running(container_of(lines)):
            yield 1
            yield 2

    async def closed():
        generator = items()
        assert await anext(generator) == 1
        await generator.aclose()
        assert lines == UP + DOWN

    async def dropped():
        async for item in items():
            assert item == 1
            break
        gc.collect()

    for main in (closed, dropped):
        lines.clear()
        asyncio.run(main())
        assert lines == UP + DOWN


def test_one_container_runs_in_one_loop_after_another():
    lines = []
    container = container_of(lines)

    async def main():
        async with running(container):
            assert await container.two() == "middle"

    for _ in range(3):
        asyncio.run(main())
    assert lines == (UP + DOWN) * 3


def test_a_container_started_in_one_loop_is_stopped_in_another():
    lines = []
    container = container_of(lines)
    asyncio.run(container.init_resources())

    async def main():
        async with running(container):
            assert lines == UP

    asyncio.run(main())
    assert lines == UP + DOWN


def test_the_block_runs_in_a_thread_with_a_loop_of_its_own():
    lines = []

    async def main():
        async with running(container_of(lines)):
            pass

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    thread.join(LONG)
    assert lines == UP + DOWN


def test_what_follows_the_yield_runs_when_the_interpreter_exits_in_the_block():
    code = """
        import asyncio
        from metrics.lifecycle import LifecycleContainer, Resource, running

        async def hook():
            yield
            await asyncio.sleep(0)
            print("stopped", flush=True)

        class Container(LifecycleContainer):
            part = Resource(hook)

        async def main():
            await running(Container()).__aenter__()

        loop = asyncio.new_event_loop()
        loop.run_until_complete(main())
        loop.close()
    """
    done = subprocess.run(
        [sys.executable, "-c", LIGHT + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("stopped\n", "", 0)


def test_keyboard_interrupt_in_an_async_hook_ends_run_with_everything_down():
    lines = []

    async def first():
        yield
        lines.append("stop first")

    async def interrupted(first):
        raise KeyboardInterrupt

    async def interrupted_at_the_stop(first):
        yield
        raise KeyboardInterrupt

    for hook in (interrupted, interrupted_at_the_stop):
        lines.clear()

        class Container(LifecycleContainer):
            one = Resource(first)
            two = Resource(hook, one)

        container = Container()

        async def main(container=container):
            async with running(container, signals=()):
                pass

        with pytest.raises(KeyboardInterrupt):
            asyncio.run(main())
        assert lines == ["stop first"]
        if hook is interrupted_at_the_stop:
            assert state(container, "two") is State.FAILED


def test_a_closed_descriptor_that_another_loop_has_left_for_signals_is_replaced():
    with socket.socket() as left:
        left.setblocking(False)
        # No other file of the test gets this number.
        signal.set_wakeup_fd(os.dup2(left.fileno(), 200))
    os.close(200)

    async def main() -> None:
        async with running(container_of([])) as container:
            assert state(container) is State.RUNNING

    try:
        asyncio.run(main())
    finally:
        signal.set_wakeup_fd(-1)
