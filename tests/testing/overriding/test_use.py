"""`overridden` as `with`, `async with` and fixture."""

import asyncio
import inspect
from contextlib import asynccontextmanager

import pytest
from dependency_injector import providers

from metrics.errors import LifecycleError
from metrics.lifecycle import LifecycleContainer, Resource, State, state
from metrics.testing import overridden
from metrics.testing.overriding import _dependents, _replacements
from tests.lifecycle.calls import Calls

PATIENCE = 10.0


class Made:
    def __init__(self, resource) -> None:
        self.resource = resource


def connect():
    yield "real"


async def connect_async():
    yield "real"


class Container(LifecycleContainer):
    resource = Resource(connect)
    user = providers.Factory(Made, resource)
    other = providers.Object("other")


class AsyncContainer(LifecycleContainer):
    resource = Resource(connect_async)
    user = Resource(Made, resource)
    made = providers.Factory(Made, resource)


container = Container()


@pytest.fixture
def fake_resource():
    with overridden(container, resource="fake"):
        yield "fake"
    assert container.resource.overridden == ()


@pytest.fixture
@overridden(container, other="fake")
def decorated_fixture():
    yield container.other()
    assert container.other() == "fake"


def test_a_fixture_overrides_and_the_test_overrides_again(fake_resource, decorated_fixture):
    assert decorated_fixture == container.other() == "fake"
    assert container.user().resource == fake_resource
    with overridden(container, resource="mine"):
        assert container.user().resource == "mine"
    assert container.user().resource == fake_resource


def test_nothing_is_left_of_the_fixtures_of_another_test():
    assert container.other() == "other"
    assert container.resource.overridden == ()


def test_a_block_is_used_again_after_its_end_and_not_before():
    block = overridden(container, other="fake")
    for _ in range(2):
        with block:
            assert container.other() == "fake"
            with pytest.raises(LifecycleError, match="begun already"):
                block.__enter__()
    with pytest.raises(LifecycleError, match="has not begun"):
        block.__exit__(None, None, None)


def test_async_fakes_are_entered_and_left_in_the_event_loop():
    calls = Calls()

    @asynccontextmanager
    async def fake():
        calls.run("start")
        yield "fake"
        await asyncio.sleep(0)
        calls.run("stop")

    async def main() -> None:
        with (
            pytest.raises(LifecycleError, match="write `async with overridden"),
            overridden(container, other=fake()),
        ):
            pytest.fail("the block was begun")
        assert calls.lines == []
        assert container.other() == "other"
        async with overridden(container, other=fake()) as same:
            assert same is container
            assert container.other() == "fake"
        assert calls.lines == ["start", "stop"]

    asyncio.run(main())


def test_an_async_resource_that_holds_a_fake_is_stopped_by_an_async_block_and_reported_by_another():
    async def main() -> None:
        asynchronous = AsyncContainer()
        fake = Resource(connect_async)
        async with overridden(asynchronous, resource=fake):
            await asynchronous.init_resources()
            assert (await asynchronous.user()).resource == "real"
        assert state(fake) is State.STOPPED
        assert state(asynchronous, "user") is State.STOPPED
        block = overridden(asynchronous, resource=fake)
        block.__enter__()
        await asynchronous.user()
        with pytest.raises(LifecycleError, match="write `async with"):
            block.__exit__(None, None, None)
        assert asynchronous.resource.overridden == ()
        await asynchronous.shutdown_resources()
        await fake.shutdown()
        assert not fake.initialized

    asyncio.run(main())


def test_a_sync_fake_of_an_async_resource_makes_what_needs_it_sync_for_the_block_only():
    asynchronous = AsyncContainer()

    async def main() -> None:
        for _ in range(2):
            with overridden(asynchronous, resource="fake"):
                assert asynchronous.made().resource == "fake"
            made = asynchronous.made()
            assert inspect.isawaitable(made)
            assert (await made).resource == "real"
            asynchronous.resource.reset_async_mode()
            asynchronous.made.reset_async_mode()
        await asynchronous.shutdown_resources()

    asyncio.run(main())


def test_a_block_is_put_back_when_its_task_is_cancelled():
    calls = Calls()

    async def main() -> None:
        async def work() -> None:
            async with overridden(container, other=calls.part("fake"), resource="fake"):
                begun.set()
                await asyncio.Event().wait()

        begun = asyncio.Event()
        task = asyncio.create_task(work())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert container.other() == "other"
        assert container.resource.overridden == ()

    asyncio.run(main())


def test_the_graph_is_traversed_once_at_the_beginning_and_once_at_the_end(monkeypatch):
    traversals = []

    def in_order(*arguments):
        traversals.append(arguments)
        return traverse(*arguments)

    traverse = _dependents.in_order
    for module in (_dependents, _replacements):
        monkeypatch.setattr(module, "in_order", in_order)
    with overridden(container, other="fake"):
        assert len(traversals) == 1
    assert len(traversals) == 2
