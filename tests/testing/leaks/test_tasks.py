"""Tasks of async resources, which are reported with their container."""

import asyncio

import pytest

from metrics.errors import ShutdownError
from metrics.lifecycle import LifecycleContainer, Resource, State, state
from metrics.testing import LeakError, no_leaks
from metrics.testing.leaks._check import Check
from metrics.testing.leaks._origins import recording


async def connect():
    yield "connection"


class Connected(LifecycleContainer):
    first, second = Resource(connect), Resource(connect)


def names_of_tasks() -> set[str]:
    return {task.get_name() for task in asyncio.all_tasks()}


def test_running_async_resources_are_one_leak_of_their_container():
    async def main() -> tuple:
        container = Connected()
        with pytest.raises(LeakError) as caught:
            async with no_leaks(grace=0.0):
                await container.init_resources()
        assert {"metrics-lifecycle first", "metrics-lifecycle second"} <= names_of_tasks()
        await container.shutdown_resources()
        return caught.value.leaks

    (leak,) = asyncio.run(main())
    assert leak[:3] == ("container", "Connected", "RUNNING, with first, second")
    assert leak.stack[0].source == "await container.init_resources()"


def test_a_container_that_ran_before_may_start_more():
    async def main() -> None:
        container = Connected()
        await container.first()
        async with no_leaks(grace=0.0):
            await container.second()
        await container.shutdown_resources()

    asyncio.run(main())


def test_a_container_that_is_stopped_leaves_no_task():
    async def main() -> None:
        async with no_leaks():
            container = Connected()
            await container.init_resources()
            await container.shutdown_resources()

    asyncio.run(main())


def test_the_task_of_a_hook_that_hangs_is_reported_by_itself():
    async def main() -> tuple:
        ends = asyncio.Event()

        async def hang():
            yield
            while not ends.is_set():
                try:
                    await ends.wait()
                except asyncio.CancelledError:
                    continue

        @no_leaks(grace=0.0)
        async def start_and_stop(container) -> None:
            await container.init_resources()
            with pytest.raises(ShutdownError):
                await container.shutdown_resources(timeout=0.0)

        class Hanging(LifecycleContainer):
            connection = Resource(hang)

        container = Hanging()
        with pytest.raises(LeakError) as caught:
            await start_and_stop(container)
        ends.set()
        await container.shutdown_resources()
        assert state(container) is State.STOPPED
        return caught.value.leaks

    leaks = asyncio.run(main())
    (leak,) = [leak for leak in leaks if "metrics-lifecycle" in leak.name]
    assert leak[:2] == ("task", "metrics-lifecycle connection")
    assert "start_and_stop" in {place.function for place in leak.stack}


def test_a_task_of_a_hook_that_a_known_task_has_started_is_not_blamed():
    started = []

    async def spawn():
        started.append(asyncio.create_task(asyncio.Event().wait(), name="spawned"))
        yield
        started[0].cancel()

    class Spawning(LifecycleContainer):
        spawned = Resource(spawn)

    async def main() -> None:
        async def serve() -> None:
            await asked.wait()
            await container.init_resources()

        asked, container = asyncio.Event(), Spawning()
        server = asyncio.create_task(serve())
        await asyncio.sleep(0)
        async with no_leaks(grace=0.0):
            asked.set()
            await server
        await container.shutdown_resources()

    asyncio.run(main())


def test_a_container_that_outlives_its_event_loop_is_reported_once():
    container = Connected()

    async def start() -> None:
        await container.init_resources()

    async def stop() -> None:
        await container.shutdown_resources()

    with recording():
        with asyncio.Runner() as runner:
            check = Check(grace=0.0)
            runner.run(start())
            assert check.tasks(runner.get_loop()) == []
        (leak,) = check.leaks()
    assert leak[:2] == ("container", "Connected")
    asyncio.run(stop())
