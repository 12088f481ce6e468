"""Starting and stopping can be awaited always, and just called when no resource is async."""

import asyncio
import subprocess
import sys
import textwrap
import threading

import pytest

from metrics.lifecycle import LifecycleContainer, LifecycleError, Resource, State, running, state
from tests.lifecycle.programs import LIGHT


def sync_hook(lines, name):
    def hook(*_needed):
        lines.append(f"start {name}")
        yield name
        lines.append(f"stop {name}")

    return hook


def async_hook(lines, name):
    async def hook(*_needed):
        lines.append(f"start {name}")
        await asyncio.sleep(0)
        yield name
        await asyncio.sleep(0)
        lines.append(f"stop {name}")

    return hook


def sync_graph(lines):
    class Container(LifecycleContainer):
        one = Resource(sync_hook(lines, "one"))
        two = Resource(sync_hook(lines, "two"), one)

    return Container()


def mixed_graph(lines):
    class Container(LifecycleContainer):
        one = Resource(async_hook(lines, "one"))
        two = Resource(sync_hook(lines, "two"), one)

    return Container()


STARTED = ["start one", "start two"]
STOPPED = ["stop two", "stop one"]


def just_called(operation):
    operation()


def run(operation):
    asyncio.run(operation())


def run_in_debug_mode(operation):
    asyncio.run(operation(), debug=True)


def run_until_complete(operation):
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(operation())
    finally:
        loop.close()


def in_a_runner(operation):
    with asyncio.Runner() as runner:
        runner.run(operation())


def called_in_a_loop(operation):
    async def main():
        operation()

    asyncio.run(main())


def awaited(operation):
    async def main():
        assert await operation() is None

    asyncio.run(main())


def as_a_task(operation):
    async def main():
        await asyncio.create_task(operation())

    asyncio.run(main())


def in_a_task_group(operation):
    async def main():
        async with asyncio.TaskGroup() as group:
            group.create_task(operation())

    asyncio.run(main())


def gathered(operation):
    async def main():
        await asyncio.gather(operation(), operation(), operation())

    asyncio.run(main())


def waited_for(operation):
    async def main():
        await asyncio.wait_for(operation(), 30)

    asyncio.run(main())


def shielded(operation):
    async def main():
        await asyncio.shield(operation())

    asyncio.run(main())


AWAITING = [
    run,
    run_in_debug_mode,
    run_until_complete,
    in_a_runner,
    awaited,
    as_a_task,
    in_a_task_group,
    gathered,
    waited_for,
    shielded,
]


@pytest.mark.parametrize("way", [just_called, called_in_a_loop, *AWAITING])
def test_a_sync_graph_is_called_or_awaited_wherever_one_likes(way):
    lines = []
    container = sync_graph(lines)
    way(container.init_resources)
    assert lines == STARTED
    way(container.init_resources)
    way(container.shutdown_resources)
    assert lines == STARTED + STOPPED
    way(container.shutdown_resources)
    assert lines == STARTED + STOPPED


@pytest.mark.parametrize("way", AWAITING)
def test_a_graph_with_an_async_resource_is_awaited_wherever_one_likes(way):
    lines = []
    container = mixed_graph(lines)
    way(container.init_resources)
    assert lines == STARTED
    way(container.init_resources)
    way(container.shutdown_resources)
    assert lines == STARTED + STOPPED
    way(container.shutdown_resources)
    assert lines == STARTED + STOPPED


def test_a_sync_graph_is_up_before_the_outcome_is_awaited():
    async def main():
        lines = []
        container = sync_graph(lines)
        outcome = container.init_resources()
        assert lines == STARTED
        await outcome
        await outcome
        outcome = container.shutdown_resources()
        assert lines == STARTED + STOPPED
        await outcome

    asyncio.run(main())


def test_a_start_that_is_never_awaited_says_so_and_does_nothing():
    lines = []
    container = mixed_graph(lines)
    with pytest.warns(RuntimeWarning, match="never awaited") as caught:
        container.init_resources()
    message = str(caught[0].message)
    # What needs the loop, and what to write instead.
    assert "'one'" in message
    assert "await container.init_resources()" in message
    assert len(caught) == 1
    assert lines == []
    assert state(container) is State.NEW
    assert state(container, "one") is State.NEW
    asyncio.run(container.init_resources())
    asyncio.run(container.shutdown_resources())
    assert lines == STARTED + STOPPED


def test_a_stop_that_is_never_awaited_says_so_and_does_nothing():
    lines = []
    container = mixed_graph(lines)
    asyncio.run(container.init_resources())
    with pytest.warns(RuntimeWarning, match="'one'") as caught:
        container.shutdown_resources()
    assert "await container.shutdown_resources()" in str(caught[0].message)
    assert len(caught) == 1
    assert lines == STARTED
    assert state(container) is State.RUNNING
    asyncio.run(container.shutdown_resources())
    assert lines == STARTED + STOPPED


def test_the_warning_names_every_resource_that_needs_an_event_loop():
    class Container(LifecycleContainer):
        one = Resource(async_hook([], "one"))
        plain = Resource(sync_hook([], "plain"))
        user = Resource(sync_hook([], "user"), one)
        three = Resource(async_hook([], "three"))

    with pytest.warns(RuntimeWarning) as caught:
        Container().init_resources()
    message = str(caught[0].message)
    assert all(f"'{name}'" in message for name in ("one", "user", "three"))
    assert "plain" not in message


def test_run_inside_a_running_loop_starts_nothing_and_warns():
    lines = []
    container = mixed_graph(lines)

    async def main():
        with pytest.raises(RuntimeError, match="running event loop"):
            asyncio.run(container.init_resources())

    with pytest.warns(RuntimeWarning, match="never awaited"):
        asyncio.run(main())
    assert lines == []


def test_a_plain_with_block_is_an_error_for_an_async_graph():
    lines = []
    container = mixed_graph(lines)
    with pytest.raises(TypeError, match=r"'one'.*async with running"), running(container):
        pass
    assert lines == []
    assert state(container) is State.NEW


def test_an_async_resource_requested_outside_a_loop_is_an_error_and_starts_nothing():
    lines = []
    container = mixed_graph(lines)
    with pytest.raises(LifecycleError, match=r"'one'.*await"):
        container.one()
    # This one is async because of what it needs.
    with pytest.raises(LifecycleError, match=r"'two'.*await"):
        container.two()
    assert lines == []
    assert state(container, "one") is State.NEW
    asyncio.run(container.init_resources())
    asyncio.run(container.shutdown_resources())
    assert lines == STARTED + STOPPED


def test_only_async_resources_that_are_up_have_to_be_awaited_at_the_stop():
    lines = []
    container = mixed_graph(lines)

    class Container(LifecycleContainer):
        plain = Resource(sync_hook(lines, "plain"))
        inner = Resource(async_hook(lines, "one"))

    container = Container()
    assert container.plain() == "plain"
    container.shutdown_resources()
    assert lines == ["start plain", "stop plain"]


def test_a_failed_start_that_was_called_raises_from_the_call():
    def failing():
        raise OSError("no")

    class Container(LifecycleContainer):
        part = Resource(failing)

    container = Container()

    async def main():
        with pytest.raises(OSError, match="no"):
            container.init_resources()
        with pytest.raises(OSError, match="no"):
            await container.init_resources()

    asyncio.run(main())


def test_a_thread_that_calls_while_a_loop_starts_the_same_sync_graph_waits_for_it():
    # The graph is sync, so the thread just calls; whose loop starts it is none of its business.
    hook_runs, called, lines, errors = threading.Event(), threading.Event(), [], []

    def hook():
        hook_runs.set()
        if called.wait(0.3):
            lines.append("called too early")
        lines.append("start")
        yield
        lines.append("stop")

    class Container(LifecycleContainer):
        part = Resource(hook)

    container = Container()

    def call():
        hook_runs.wait(10)
        try:
            outcome = container.init_resources()
            called.set()
            if asyncio.run(outcome) is None:
                lines.append("called")
        except BaseException as error:  # noqa: BLE001 - shown below
            errors.append(error)

    thread = threading.Thread(target=call)
    thread.start()

    async def main():
        async with running(container):
            await asyncio.to_thread(thread.join, 10)

    asyncio.run(main())
    assert errors == []
    assert lines == ["start", "called", "stop"]


def test_what_a_task_is_starting_is_awaited_by_another_even_if_the_graph_is_sync():
    # In a process of its own: a call that waited here would hold up its own loop for ever.
    code = """
        import asyncio, threading
        from metrics.lifecycle import LifecycleContainer, Resource, running

        begun, go_on = threading.Event(), threading.Event()

        def hook():
            begun.set()
            assert go_on.wait(20)
            yield
            print("stopped")

        class Container(LifecycleContainer):
            part = Resource(hook)

        container = Container()

        async def hold():
            async with running(container):
                await stopped.wait()

        async def main():
            global stopped
            stopped = asyncio.Event()
            task = asyncio.create_task(hold())
            await asyncio.to_thread(begun.wait, 20)
            asyncio.get_running_loop().call_soon(go_on.set)
            await container.init_resources()
            print("up")
            await container.shutdown_resources()
            stopped.set()
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
    assert (done.stdout, done.stderr) == ("up\nstopped\n", "")


def test_a_call_that_has_done_everything_says_so_as_a_future_does():
    container = sync_graph([])
    assert container.init_resources().done()
    assert container.shutdown_resources().done()
    start = mixed_graph([]).init_resources()
    assert not hasattr(start, "done")
    start.close()
