"""Without a limit, one warning names a hook that has been starting for long."""

import asyncio
import logging
import sys
import threading

import pytest

from metrics.lifecycle import LifecycleContainer, Resource, running
from tests.lifecycle.bounded import LONG

LOGGER = logging.getLogger("metrics.lifecycle")


class Warnings(logging.Handler):
    """The warnings of the lifecycle."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.messages = []
        self.arrived = threading.Event()

    def emit(self, record):
        self.messages.append(record.getMessage())
        self.arrived.set()


@pytest.fixture
def warnings_logged():
    handler = Warnings()
    LOGGER.addHandler(handler)
    yield handler
    LOGGER.removeHandler(handler)


@pytest.fixture
def slow_after(monkeypatch):
    """Return a function that replaces the ten seconds after which a start is slow."""
    modules = [
        module
        for name, module in sys.modules.items()
        if name.startswith("metrics.lifecycle") and hasattr(module, "SLOW_SECONDS")
    ]
    assert [module.SLOW_SECONDS for module in modules] == [10.0] * len(modules) != []

    def replace(seconds):
        for module in modules:
            monkeypatch.setattr(module, "SLOW_SECONDS", seconds)

    return replace


def called(container):
    container.init_resources()
    container.shutdown_resources()


def in_a_block(container):
    with running(container):
        pass


def on_demand(container):
    container.slow()
    container.shutdown_resources()


def awaited(container):
    async def main():
        await container.init_resources()
        await container.shutdown_resources()

    asyncio.run(main())


SYNC_WAYS = [called, in_a_block, on_demand]


def steady(*_needed):
    yield


async def async_steady(*_needed):
    yield


@pytest.mark.parametrize("way", SYNC_WAYS)
def test_a_slow_sync_hook_is_named_by_one_warning(warnings_logged, slow_after, way):
    def slow_hook(*_needed):
        assert warnings_logged.arrived.wait(LONG)
        # Several times as long as the time after which a start is slow.
        threading.Event().wait(0.3)
        yield

    class Container(LifecycleContainer):
        below = Resource(steady)
        slow = Resource(slow_hook, below)
        above = Resource(steady, slow)

    slow_after(0.05)
    way(Container())
    (message,) = warnings_logged.messages
    assert "'slow'" in message
    assert "Container" in message


@pytest.mark.parametrize("kind", ["async", "mixed"])
def test_a_slow_hook_in_an_event_loop_is_named_by_one_warning(warnings_logged, slow_after, kind):
    async def slow_in_the_loop(*_needed):
        assert await asyncio.to_thread(warnings_logged.arrived.wait, LONG)
        await asyncio.sleep(0.3)
        yield

    def slow_in_a_thread(*_needed):
        assert warnings_logged.arrived.wait(LONG)
        threading.Event().wait(0.3)
        yield

    class Container(LifecycleContainer):
        below = Resource(async_steady)
        slow = Resource(slow_in_the_loop if kind == "async" else slow_in_a_thread, below)
        above = Resource(async_steady, slow)

    slow_after(0.05)
    awaited(Container())
    (message,) = warnings_logged.messages
    assert "'slow'" in message


def test_every_slow_hook_is_named(warnings_logged, slow_after):
    def slow_hook(*_needed):
        assert warnings_logged.arrived.wait(LONG)
        warnings_logged.arrived.clear()
        yield

    class Container(LifecycleContainer):
        one = Resource(slow_hook)
        two = Resource(slow_hook, one)

    slow_after(0.05)
    called(Container())
    first, second = warnings_logged.messages
    assert "'one'" in first
    assert "'two'" in second


@pytest.mark.parametrize("hooks", ["sync", "async"])
def test_many_hooks_that_are_slow_only_together_are_no_reason_for_a_warning(
    warnings_logged, slow_after, hooks
):
    def brief(*_needed):
        threading.Event().wait(0.3)
        yield

    async def async_brief(*_needed):
        await asyncio.sleep(0.3)
        yield

    class Container(LifecycleContainer):
        pass

    for index in range(5):
        setattr(Container, f"r{index}", Resource(brief if hooks == "sync" else async_brief))
    slow_after(1.0)
    (called if hooks == "sync" else awaited)(Container())
    assert warnings_logged.messages == []


def test_a_slow_start_is_named_while_other_threads_wait_for_it(warnings_logged, slow_after):
    begun = threading.Event()

    def slow_hook():
        begun.set()
        assert warnings_logged.arrived.wait(LONG)
        yield

    class Container(LifecycleContainer):
        slow = Resource(slow_hook)

    slow_after(0.05)
    container = Container()
    threads = [threading.Thread(target=container.init_resources) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    container.shutdown_resources()
    assert len(warnings_logged.messages) == 1
