"""An async resource lives in one task: its children, its failures, its neighbours."""

import asyncio
import contextlib
import threading

import anyio
import pytest

from metrics.lifecycle import (
    LifecycleContainer,
    Resource,
    ShutdownError,
    State,
    StopTimeoutError,
    running,
    state,
)
from tests.lifecycle.bounded import LONG, errors_of, run

BUDGET = 0.2


def steady(lines, name):
    async def hook(*_needed):
        lines.append(f"start {name}")
        yield name
        lines.append(f"stop {name}")

    return hook


class Lines(list):
    """The lines that hooks write; reports the one that a test waits for."""

    def __init__(self, until):
        super().__init__()
        self.until, self.reached = until, asyncio.Event()

    def append(self, line):
        super().append(line)
        if line == self.until:
            self.reached.set()


async def start(container):
    await container.init_resources()


async def stop(container, **options):
    await container.shutdown_resources(**options)


def test_a_hook_starts_and_stops_in_one_task_that_is_named_after_its_resource():
    tasks = {}

    async def hook(name, *_needed):
        tasks[name] = asyncio.current_task()
        yield
        assert asyncio.current_task() is tasks[name]

    class Container(LifecycleContainer):
        one = Resource(hook, "one")
        two = Resource(hook, "two", one)

    container = Container()

    async def main():
        await asyncio.create_task(start(container))
        running_tasks = [task for task in tasks.values() if not task.done()]
        await asyncio.create_task(stop(container))
        assert running_tasks == list(tasks.values())
        assert all(task.done() for task in running_tasks)

    run(main())
    names = [task.get_name() for task in tasks.values()]
    assert names == ["metrics-lifecycle one", "metrics-lifecycle two"]


def test_a_restart_gives_a_resource_a_new_task():
    tasks = []

    async def hook():
        tasks.append(asyncio.current_task())
        yield

    class Container(LifecycleContainer):
        resource = Resource(hook)

    container = Container()

    async def main():
        for _ in range(2):
            await start(container)
            await stop(container)

    run(main())
    run(main())
    assert len(set(tasks)) == 4


@contextlib.asynccontextmanager
async def anyio_group():
    async with anyio.create_task_group() as group:
        yield group.start_soon


@contextlib.asynccontextmanager
async def asyncio_group():
    async with asyncio.TaskGroup() as group:
        yield lambda function: group.create_task(function())


GROUPS = [anyio_group, asyncio_group]


def group_between(group, lines):
    """Return a container with a task group between two other resources."""

    async def generator(*_needed):
        async with group() as start_soon:
            yield start_soon
            lines.append("stop group")

    class Container(LifecycleContainer):
        below = Resource(steady(lines, "below"))
        group = Resource(generator, below)
        above = Resource(steady(lines, "above"), group)

    return Container()


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("timeout", [LONG, float("inf")])
def test_a_child_that_fails_while_the_container_runs_is_reported_at_the_stop(group, timeout):
    lines, error, failed = [], OSError("connection lost"), asyncio.Event()
    container = group_between(group, lines)

    async def child():
        failed.set()
        raise error

    async def main():
        await start(container)
        (await container.group())(child)
        await failed.wait()
        # The task that started the container is not cancelled, and the others go on.
        for _ in range(5):
            await asyncio.sleep(0)
        assert state(container) is State.RUNNING
        assert "stop above" not in lines
        with pytest.raises(ShutdownError) as raised:
            await asyncio.create_task(stop(container, timeout=timeout))
        assert errors_of(raised.value) == [error]
        assert "'group'" in str(raised.value)
        assert state(container, "group") is State.FAILED
        await stop(container)

    run(main())
    assert [line for line in lines if line != "stop group"] == [
        *["start below", "start above"],
        *["stop above", "stop below"],
    ]
    assert state(container) is State.STOPPED


@pytest.mark.parametrize("group", GROUPS)
def test_a_container_starts_again_after_a_child_of_a_task_group_failed(group):
    lines, failed = [], asyncio.Event()
    container = group_between(group, lines)

    async def child():
        failed.set()
        raise OSError

    async def main():
        await start(container)
        (await container.group())(child)
        await failed.wait()
        with pytest.raises(ShutdownError):
            await stop(container)
        await start(container)
        assert state(container, "group") is State.RUNNING
        await stop(container)

    run(main())
    assert lines.count("stop below") == 2


@pytest.mark.parametrize("group", GROUPS)
def test_a_child_that_fails_during_a_block_is_reported_when_the_block_ends(group):
    lines, error, failed = [], OSError("connection lost"), asyncio.Event()
    container = group_between(group, lines)

    async def child():
        failed.set()
        raise error

    async def main():
        async with running(container):
            (await container.group())(child)
            await failed.wait()
            await asyncio.sleep(0)
            lines.append("block")

    with pytest.raises(ShutdownError) as raised:
        run(main())
    assert errors_of(raised.value) == [error]
    assert "block" in lines
    assert lines[-1] == "stop below"

    run(stop(container))


@pytest.mark.parametrize("group", GROUPS)
def test_a_child_that_is_started_while_the_container_runs_ends_before_the_stop_does(group):
    lines, go_on = Lines(until="stop group"), asyncio.Event()
    container = group_between(group, lines)

    async def child():
        await go_on.wait()
        lines.append("child")

    async def request():
        (await container.group())(child)

    async def main():
        await asyncio.create_task(start(container))
        await asyncio.create_task(request())
        stopping = asyncio.create_task(stop(container))
        await lines.reached.wait()
        assert not stopping.done()
        go_on.set()
        await stopping

    run(main())
    assert lines[2:] == ["stop above", "stop group", "child", "stop below"]


def test_a_cancel_scope_that_is_cancelled_while_the_container_runs_leaves_the_others_alone():
    lines = []

    async def scoped(*_needed):
        with anyio.CancelScope() as scope:
            yield scope
        lines.append("stop scope")

    class Container(LifecycleContainer):
        below = Resource(steady(lines, "below"))
        scope = Resource(scoped, below)
        above = Resource(steady(lines, "above"), scope)

    container = Container()

    async def main():
        await start(container)
        (await container.scope()).cancel()
        for _ in range(5):
            await asyncio.sleep(0)
        await stop(container)

    run(main())
    assert sorted(lines[2:]) == ["stop above", "stop below", "stop scope"]
    assert lines[-1] == "stop below"
    assert state(container) is State.STOPPED


@pytest.mark.parametrize("order", [("one", "two", "three"), ("three", "one", "two")])
def test_task_groups_stop_one_by_one_in_any_order(order):
    lines = []

    async def hook(name):
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep_forever)
            yield
            group.cancel_scope.cancel()
        lines.append(name)

    class Container(LifecycleContainer):
        one = Resource(hook, "one")
        two = Resource(hook, "two")
        three = Resource(hook, "three")

    container = Container()

    async def main():
        await start(container)
        for name in order:
            await getattr(container, name).shutdown()
        await stop(container)

    run(main())
    assert lines == list(order)


@pytest.mark.parametrize("group", GROUPS)
def test_a_task_group_whose_child_never_ends_is_cancelled_named_and_the_others_stop(group):
    lines = []
    container = group_between(group, lines)

    async def hang_in_a_child():
        try:
            await asyncio.Event().wait()
        finally:
            lines.append("child cancelled")

    async def main():
        await start(container)
        (await container.group())(hang_in_a_child)
        with pytest.raises(ShutdownError) as raised:
            async with asyncio.timeout(LONG):
                await stop(container, timeout=BUDGET)
        (error,) = raised.value.exceptions
        assert isinstance(error, StopTimeoutError)
        assert "'group'" in str(error)
        await stop(container)

    run(main())
    assert lines[2:] == ["stop above", "stop group", "child cancelled", "stop below"]


def test_a_thread_that_shares_no_loop_with_an_async_resource_leaves_its_task_alone():
    # Each loop has a container of its own; their resources must not meet.
    def start_and_stop(name):
        lines = []
        container = group_between(anyio_group, lines)

        async def main():
            await start(container)
            together.wait(LONG)
            await stop(container)

        asyncio.run(main())
        outcomes[name] = lines

    together, outcomes = threading.Barrier(2), {}
    threads = [threading.Thread(target=start_and_stop, args=[name]) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert outcomes["one"] == outcomes["two"]
    assert outcomes["one"][-2:] == ["stop group", "stop below"]


def test_an_event_loop_ends_though_a_task_group_is_still_open():
    lines = []
    container = group_between(anyio_group, lines)
    run(start(container))
    # Its task has ended with its loop; another loop reports that at most.
    with contextlib.suppress(ShutdownError):
        run(stop(container))
    with contextlib.suppress(ShutdownError):
        run(stop(container))
    assert state(container) is State.STOPPED
    assert [lines.count(f"stop {name}") for name in ("above", "below")] == [1, 1]
