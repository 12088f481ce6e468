"""In an event loop: the loop goes on, a cancelled start rolls back, a cancelled stop goes on."""

import asyncio
import contextvars
import threading

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
from tests.lifecycle.calls import is_noted

# Deadlines that prove that nothing hangs; never waited for otherwise.
LONG = 20


async def reached(event):
    """Wait in the loop for what a thread reaches."""
    assert await asyncio.to_thread(event.wait, LONG)


def plain(lines, name):
    def hook(*_needed):
        lines.append(f"start {name}")
        yield name
        lines.append(f"stop {name}")

    return hook


def prompt(lines, name):
    async def hook(*_needed):
        lines.append(f"start {name}")
        yield name
        lines.append(f"stop {name}")

    return hook


def test_sync_hooks_of_a_mixed_graph_leave_the_loop_free_at_start_and_stop():
    # Each hook waits for what only the loop can do.
    begun, go_on = threading.Event(), threading.Event()
    threads = []

    def hold():
        threads.append(threading.current_thread())
        begun.set()
        assert go_on.wait(LONG)
        begun.clear()
        go_on.clear()

    def hook():
        hold()
        yield
        hold()

    class Container(LifecycleContainer):
        part = Resource(hook)
        other = Resource(prompt([], "other"))

    container = Container()

    async def main():
        for operation in (container.init_resources, container.shutdown_resources):
            task = asyncio.create_task(operation())
            await reached(begun)
            go_on.set()
            await task

    asyncio.run(main())
    assert [thread.name for thread in threads] == ["metrics-lifecycle"] * 2
    assert threading.main_thread() not in threads


def test_async_hooks_run_in_the_loop_that_awaits():
    loops = []

    async def hook():
        loops.append((asyncio.get_running_loop(), threading.current_thread()))
        yield
        loops.append((asyncio.get_running_loop(), threading.current_thread()))

    class Container(LifecycleContainer):
        part = Resource(hook)

    container = Container()

    async def main():
        await container.init_resources()
        await container.shutdown_resources()
        assert loops == [(asyncio.get_running_loop(), threading.current_thread())] * 2

    asyncio.run(main())


def test_hooks_start_and_stop_in_a_copy_of_the_context_of_the_start():
    variable = contextvars.ContextVar("variable", default="nothing")
    seen = []

    def sync_hook():
        seen.append(variable.get())
        token = variable.set("sync hook")
        yield
        seen.append(variable.get())
        variable.reset(token)

    async def async_hook():
        seen.append(variable.get())
        token = variable.set("async hook")
        yield
        seen.append(variable.get())
        variable.reset(token)

    class Container(LifecycleContainer):
        one = Resource(sync_hook)
        two = Resource(async_hook)

    container = Container()

    async def main():
        variable.set("start")
        await container.init_resources()
        assert variable.get() == "start"
        variable.set("stop")
        await container.shutdown_resources()

    asyncio.run(main())
    assert seen == ["start", "start", "async hook", "sync hook"]


@pytest.mark.parametrize("cut", range(5))
@pytest.mark.parametrize("later", ["called off", "suppressed by a slow clean-up"])
def test_a_start_cancelled_in_any_async_hook_rolls_back_all_of_it(cut, later):
    lines = []

    def hook_of(index, container):
        async def hook(*_needed):
            lines.append(f"start {index}")
            if index == cut:
                reached_cut.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    if later != "called off":
                        await asyncio.sleep(0)
                    lines.append(f"clean {index}")
            yield index
            lines.append(f"stop {index}")

        return hook

    class Container(LifecycleContainer):
        pass

    needed = []
    for index in range(5):
        make = hook_of if index % 2 == cut % 2 else lambda index, _: plain(lines, index)
        setattr(Container, f"p{index}", part := Resource(make(index, Container), *needed))
        needed = [part]
    container = Container()

    async def main():
        nonlocal reached_cut
        reached_cut = asyncio.Event()
        task = asyncio.create_task(container.init_resources())
        await reached_cut.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as raised:
            await task
        assert task.cancelled()
        assert is_noted(raised.value, "starting", f"p{cut}")

    reached_cut = None
    asyncio.run(main())
    assert lines == [
        *[f"start {index}" for index in range(cut + 1)],
        f"clean {cut}",
        *[f"stop {index}" for index in reversed(range(cut))],
    ]
    assert state(container) is State.FAILED


def test_a_start_cancelled_in_a_thread_rolls_back_when_the_hook_is_through():
    lines, begun, go_on = [], threading.Event(), threading.Event()

    def slow(*_needed):
        lines.append("start slow")
        begun.set()
        assert go_on.wait(LONG)
        lines.append("slow is up")
        yield
        lines.append("stop slow")

    class Container(LifecycleContainer):
        before = Resource(prompt(lines, "before"))
        part = Resource(slow, before)
        after = Resource(prompt(lines, "after"), part)

    container = Container()

    async def main():
        task = asyncio.create_task(container.init_resources())
        await reached(begun)
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0)
            assert not task.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert lines == ["start before", "start slow", "slow is up", "stop slow", "stop before"]
    assert state(container) is State.FAILED


def test_a_cancellation_is_not_lost_when_a_resource_is_requested_and_starts_in_a_thread():
    lines, begun, go_on = [], threading.Event(), threading.Event()

    def slow(*_needed):
        begun.set()
        assert go_on.wait(LONG)
        yield "slow"
        lines.append("stop slow")

    class Container(LifecycleContainer):
        before = Resource(prompt(lines, "before"))
        part = Resource(slow, before)

    container = Container()

    async def ask():
        await container.part()
        lines.append("went on")
        await asyncio.Event().wait()

    async def main():
        task = asyncio.create_task(ask())
        await reached(begun)
        task.cancel()
        await asyncio.sleep(0)
        go_on.set()
        done, _ = await asyncio.wait({task}, timeout=LONG)
        swallowed = not done
        task.cancel()
        await asyncio.wait({task})
        await container.shutdown_resources()
        assert not swallowed

    asyncio.run(main())
    assert "went on" not in lines
    assert lines.count("stop before") == 1


def test_a_cancelled_roll_back_goes_on_to_its_end():
    lines = []

    async def failing(*_needed):
        raise OSError("no")

    async def slow():
        yield
        stopping.set()
        await go_on.wait()
        lines.append("stop slow")

    class Container(LifecycleContainer):
        zero = Resource(prompt(lines, "zero"))
        one = Resource(slow)
        two = Resource(failing, one)

    container = Container()
    stopping = go_on = None

    async def main():
        nonlocal stopping, go_on
        stopping, go_on = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(container.init_resources())
        await stopping.wait()
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0)
        assert not task.done()
        go_on.set()
        with pytest.raises((asyncio.CancelledError, OSError)) as raised:
            await task
        # Whichever is raised, nobody has to guess why it did not start.
        error = raised.value
        chain = [error, error.__cause__, error.__context__]
        assert any(isinstance(one, OSError) for one in chain)

    asyncio.run(main())
    assert lines == ["start zero", "stop slow", "stop zero"]
    assert state(container) is State.FAILED


def slow_stop(lines, *, threaded):
    """Return a container whose middle resource stops when told to, and what tells."""
    stopping, go_on = threading.Event(), threading.Event()

    def in_thread(*_needed):
        yield
        lines.append("begin")
        stopping.set()
        assert go_on.wait(LONG)
        lines.append("end")

    async def in_loop(*_needed):
        yield
        lines.append("begin")
        stopping.set()
        await reached(go_on)
        lines.append("end")

    class Container(LifecycleContainer):
        first = Resource(prompt(lines, "first"))
        middle = Resource(in_thread if threaded else in_loop, first)
        last = Resource(plain(lines, "last"), middle)

    return Container(), stopping, go_on


WHOLE_STOP = ["start first", "start last", "stop last", "begin", "end", "stop first"]


@pytest.mark.parametrize("threaded", [False, True])
@pytest.mark.parametrize("times", [1, 3])
def test_a_stop_that_is_cancelled_goes_on_to_its_end_and_then_raises(threaded, times):
    lines = []
    container, stopping, go_on = slow_stop(lines, threaded=threaded)

    async def main():
        await container.init_resources()
        task = asyncio.create_task(container.shutdown_resources())
        await reached(stopping)
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0)
            assert not task.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    asyncio.run(main())
    assert lines == WHOLE_STOP
    # All is down, as after any other stop.
    assert state(container) is State.STOPPED
    asyncio.run(container.shutdown_resources())
    assert lines == WHOLE_STOP


@pytest.mark.parametrize("threaded", [False, True])
def test_a_time_limit_around_a_stop_raises_when_all_is_down(threaded):
    lines = []
    container, stopping, go_on = slow_stop(lines, threaded=threaded)

    async def main():
        await container.init_resources()
        loop = asyncio.get_running_loop()

        async def stop():
            async with asyncio.timeout(None) as limit:
                limits.append(limit)
                await container.shutdown_resources()

        limits = []
        task = asyncio.create_task(stop())
        await reached(stopping)
        limits[0].reschedule(loop.time() - 1)
        for _ in range(3):
            await asyncio.sleep(0)
        assert not task.done()
        go_on.set()
        with pytest.raises(TimeoutError):
            await task

    asyncio.run(main())
    assert lines == WHOLE_STOP
    assert state(container) is State.STOPPED


def test_a_cancelled_stop_still_tells_which_resources_failed():
    lines = []

    async def failing():
        yield
        stopping.set()
        await go_on.wait()
        raise OSError("stuck")

    class Container(LifecycleContainer):
        first = Resource(prompt(lines, "first"))
        part = Resource(failing)

    container = Container()
    stopping = go_on = None

    async def main():
        nonlocal stopping, go_on
        stopping, go_on = asyncio.Event(), asyncio.Event()
        await container.init_resources()
        task = asyncio.create_task(container.shutdown_resources())
        await stopping.wait()
        task.cancel()
        await asyncio.sleep(0)
        go_on.set()
        with pytest.raises(asyncio.CancelledError) as raised:
            await task
        group = raised.value.__cause__ or raised.value.__context__
        assert isinstance(group, ShutdownError)
        assert [str(error) for error in group.exceptions] == ["stuck"]
        assert state(container, "part") is State.FAILED
        assert state(container, "first") is State.STOPPED
        await container.shutdown_resources()

    asyncio.run(main())


def test_a_stop_cancelled_while_it_waits_for_a_start_stops_all_the_same():
    lines = []

    async def slow():
        begun.set()
        await go_on.wait()
        lines.append("start slow")
        yield
        lines.append("stop slow")

    class Container(LifecycleContainer):
        part = Resource(slow)

    begun = go_on = None
    container = Container()

    async def main():
        nonlocal begun, go_on
        begun, go_on = asyncio.Event(), asyncio.Event()
        start = asyncio.create_task(container.init_resources())
        await begun.wait()
        stop = asyncio.create_task(container.shutdown_resources())
        await asyncio.sleep(0)
        stop.cancel()
        await asyncio.sleep(0)
        go_on.set()
        await start
        with pytest.raises(asyncio.CancelledError):
            await stop

    asyncio.run(main())
    left_up = list(lines)
    asyncio.run(container.shutdown_resources())
    assert left_up == ["start slow", "stop slow"]


def test_two_stops_at_once_end_together():
    lines = []
    container, stopping, go_on = slow_stop(lines, threaded=False)

    async def main():
        await container.init_resources()
        first = asyncio.create_task(container.shutdown_resources())
        await reached(stopping)
        second = asyncio.create_task(container.shutdown_resources())
        for _ in range(5):
            await asyncio.sleep(0)
        assert not second.done()
        go_on.set()
        await second
        assert lines == WHOLE_STOP
        await first

    asyncio.run(main())


@pytest.mark.parametrize("error", [OSError("no"), KeyboardInterrupt(), asyncio.CancelledError()])
@pytest.mark.parametrize("failing", range(4))
def test_a_failing_async_hook_rolls_back_and_the_original_arrives(failing, error):
    lines = []

    async def broken(*_needed):
        raise error

    class Container(LifecycleContainer):
        pass

    needed = []
    for index in range(4):
        make = (plain, prompt)[index % 2](lines, index)
        part = Resource(broken if index == failing else make, *needed)
        setattr(Container, f"p{index}", part)
        needed = [part]
    Container.tail = Resource(prompt(lines, "tail"))
    container = Container()
    with pytest.raises(type(error)) as raised:
        asyncio.run(container.init_resources())
    if not isinstance(error, asyncio.CancelledError):  # asyncio makes a new one of it
        assert raised.value is error
        assert is_noted(error, "starting", f"p{failing}")
    assert lines == [
        *[f"start {index}" for index in range(failing)],
        *[f"stop {index}" for index in reversed(range(failing))],
    ]
    assert state(container) is State.FAILED


@pytest.mark.parametrize("severe", [KeyboardInterrupt(), asyncio.CancelledError(), SystemExit(3)])
@pytest.mark.parametrize("failing", range(3))
def test_what_an_async_hook_raises_at_the_stop_keeps_nothing_else_up(failing, severe):
    lines = []

    async def broken(*_needed):
        yield
        if not lines.count("again"):
            raise severe

    class Container(LifecycleContainer):
        pass

    needed = []
    for index in range(3):
        make = (plain, prompt)[index % 2](lines, index)
        part = Resource(broken if index == failing else make, *needed)
        setattr(Container, f"p{index}", part)
        needed = [part]
    container = Container()
    asyncio.run(container.init_resources())
    with pytest.raises(type(severe)):
        asyncio.run(container.shutdown_resources())
    stopped = [line for line in lines if line.startswith("stop")]
    assert stopped == [f"stop {index}" for index in (2, 1, 0) if index != failing]
    assert state(container, f"p{failing}") is State.FAILED
    lines.append("again")
    asyncio.run(container.shutdown_resources())
    assert state(container) is State.STOPPED


def test_an_async_resource_that_hangs_is_abandoned_and_the_others_stop():
    lines = []

    async def hanging(*_needed):
        yield
        await asyncio.Event().wait()

    class Container(LifecycleContainer):
        first = Resource(prompt(lines, "first"))
        stuck = Resource(hanging, first)
        last = Resource(plain(lines, "last"), stuck)

    container = Container()
    asyncio.run(container.init_resources())
    with pytest.raises(ShutdownError, match="'stuck'") as raised:
        asyncio.run(container.shutdown_resources(timeout=0.3))
    (error,) = raised.value.exceptions
    assert isinstance(error, StopTimeoutError)
    assert "in hanging" in str(error)
    assert lines == ["start first", "start last", "stop last", "stop first"]
    # It was cancelled; stopping it again has nothing more to wait for.
    asyncio.run(container.shutdown_resources())
    assert state(container) is State.STOPPED


def test_a_sync_resource_that_hangs_in_its_thread_is_abandoned_and_the_others_stop():
    lines, go_on = [], threading.Event()

    def hanging(*_needed):
        yield
        go_on.wait()
        lines.append("late")

    class Container(LifecycleContainer):
        first = Resource(prompt(lines, "first"))
        zero = Resource(plain(lines, "zero"))
        stuck = Resource(hanging, first)

    container = Container()

    async def main():
        await container.init_resources()
        with pytest.raises(ShutdownError, match="'stuck'"):
            await container.shutdown_resources(timeout=0.3)
        assert lines == ["start first", "start zero", "stop zero", "stop first"]

    asyncio.run(main())
    # Stopped again, it is waited for: the second stop ends because the hook does.
    with pytest.raises(ShutdownError, match="'stuck'"):
        container.shutdown_resources(timeout=0.1)
    go_on.set()
    container.shutdown_resources()
    assert lines[-1] == "late"
    assert state(container) is State.STOPPED


def test_the_record_and_the_events_of_a_mixed_graph_are_in_order():
    events = []

    class Container(LifecycleContainer):
        pass

    parts = []
    for index in range(12):
        make = (plain, prompt)[index % 3 == 0]
        # Each needs one that was declared after it, or none.
        parts.append(Resource(make([], index), *parts[-1:] * (index % 2)))
    for index in (3, 2, 1, 0, *range(11, 3, -1)):
        setattr(Container, f"p{index}", parts[index])
    container = Container()
    unsubscribe = subscribe(container, events.append)
    asyncio.run(container.init_resources())
    started = [event.resource for event in events if event.state is State.RUNNING]
    asyncio.run(container.shutdown_resources())
    stopped = [event.resource for event in events if event.state is State.STOPPED]
    unsubscribe()
    assert len(started) == 12
    assert stopped == started[::-1]
    assert started[:4] == ["p2", "p3", "p0", "p1"]
    # One part's start is over before the next one's begins, to whoever reads the events.
    assert [event.resource for event in events] == [
        name for name in [*started, *stopped] for _ in range(2)
    ]
