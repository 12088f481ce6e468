"""Exceptions that refuse notes or attributes arrive as they are, and stop nothing else."""

import asyncio
from dataclasses import dataclass

import pytest

from metrics.lifecycle import LifecycleContainer, Resource, ShutdownError, State, running, state
from tests.lifecycle.bounded import run, within


@dataclass(frozen=True)
class FrozenError(Exception):
    """Refuses every attribute: `__notes__` and `__traceback__` among them."""

    text: str


class NotedError(Exception):
    """Its notes are no list, and `add_note` raises TypeError."""

    __notes__ = "text"


class SlottedError(Exception):
    __slots__ = ()


class UnsettableError(Exception):
    def __setattr__(self, name, value):
        raise AttributeError(f"{name} cannot be set")


class NotelessError(Exception):
    add_note = None


class UnnotedError(Exception):
    def add_note(self, note):
        raise LookupError(note)


class UnprintableError(Exception):
    def __str__(self):
        raise LookupError("no text")

    __repr__ = __str__


class UnequalError(Exception):
    __hash__ = None

    def __eq__(self, other):
        raise LookupError("no comparison")


KINDS = [
    FrozenError,
    NotedError,
    SlottedError,
    UnsettableError,
    NotelessError,
    UnnotedError,
    UnprintableError,
    UnequalError,
]
NAMES = ["below", "bad", "above"]
STARTS = [f"start {name}" for name in NAMES]
STOPS = [f"stop {name}" for name in reversed(NAMES)]


class World:
    """Hooks that raise an exception once, at one line."""

    def __init__(self, error, at):
        self.error, self.at, self.lines = error, at, []

    def note(self, line):
        self.lines.append(line)
        if line == self.at:
            self.at = None
            raise self.error

    def hook(self, name, *_needed):
        return Hook(self, name)

    async def async_hook(self, name, *_needed):
        await asyncio.sleep(0)
        return AsyncHook(self, name)

    def __deepcopy__(self, memo):
        return self


class Hook:
    def __init__(self, world, name):
        self.world, self.name = world, name

    def __enter__(self):
        self.world.note(f"start {self.name}")
        return self.name

    def __exit__(self, *_exit_info):
        self.world.note(f"stop {self.name}")


class AsyncHook:
    def __init__(self, world, name):
        self.world, self.name = world, name

    async def __aenter__(self):
        await asyncio.sleep(0)
        self.world.note(f"start {self.name}")
        return self.name

    async def __aexit__(self, *_exit_info):
        await asyncio.sleep(0)
        self.world.note(f"stop {self.name}")


def container_of(world, kind):
    hook = {"sync": world.hook, "async": world.async_hook, "mixed": world.hook}[kind]

    class Container(LifecycleContainer):
        below = Resource(world.hook if kind == "sync" else world.async_hook, "below")
        bad = Resource(hook, "bad", below)
        above = Resource(hook, "above", bad)

    return Container()


class Driver:
    """Starts and stops a container in one event loop, or in none."""

    def __init__(self, container, kind):
        self.container, self.kind = container, kind

    def start(self):
        self._call(self.container.init_resources)

    def stop(self):
        self._call(self.container.shutdown_resources)

    def _call(self, function):
        async def call():
            await function()

        # Never longer than LONG, though a start may spin.
        within(function) if self.kind == "sync" else run(call())


@pytest.fixture(params=["sync", "async", "mixed"])
def kind(request):
    return request.param


@pytest.mark.parametrize("error", [kind("text") for kind in KINDS], ids=lambda e: type(e).__name__)
def test_a_start_raises_the_original_rolls_back_and_the_next_start_works(kind, error):
    world = World(error, "start bad")
    container = container_of(world, kind)
    driver = Driver(container, kind)
    with pytest.raises(type(error)) as raised:
        driver.start()
    assert raised.value is error
    assert world.lines == ["start below", "start bad", "stop below"]
    assert state(container) is State.FAILED
    assert state(container, "bad") is State.FAILED
    check_restart(world, container, kind)


@pytest.mark.parametrize("error", [kind("text") for kind in KINDS], ids=lambda e: type(e).__name__)
def test_a_stop_runs_every_hook_reports_the_original_and_the_next_start_works(kind, error):
    world = World(error, "stop bad")
    container = container_of(world, kind)

    async def start_and_stop():
        await container.init_resources()
        await container.shutdown_resources()

    def start_and_stop_in_thread():
        container.init_resources()
        container.shutdown_resources()

    with pytest.raises(ShutdownError) as raised:
        within(start_and_stop_in_thread) if kind == "sync" else run(start_and_stop())
    (found,) = raised.value.exceptions
    assert found is error
    assert "'bad'" in str(raised.value)
    assert world.lines == STARTS + STOPS
    assert state(container, "bad") is State.FAILED
    assert state(container, "below") is State.STOPPED
    Driver(container, kind).stop()
    check_restart(world, container, kind)


def check_restart(world, container, kind):
    world.lines.clear()

    async def start_and_stop():
        await container.init_resources()
        await container.shutdown_resources()

    if kind == "sync":
        within(container.init_resources)
        within(container.shutdown_resources)
    else:
        run(start_and_stop())
    assert world.lines == STARTS + STOPS
    assert state(container) is State.STOPPED


@pytest.mark.parametrize("error", [kind("text") for kind in KINDS], ids=lambda e: type(e).__name__)
def test_a_request_raises_the_original_and_the_next_request_works(error):
    world = World(error, "start bad")
    container = container_of(world, "sync")
    with pytest.raises(type(error)) as raised:
        within(container.bad)
    assert raised.value is error
    assert within(container.bad) == "bad"
    within(container.shutdown_resources)
    assert world.lines == ["start below", "start bad", "start bad", "stop bad", "stop below"]


@pytest.mark.parametrize("error", [kind("text") for kind in KINDS], ids=lambda e: type(e).__name__)
def test_a_block_that_ends_with_such_an_exception_stops_everything_and_raises_it(kind, error):
    world = World(None, None)
    container = container_of(world, kind)

    def block():
        with running(container):
            raise error

    async def async_block():
        async with running(container):
            raise error

    with pytest.raises(type(error)) as raised:
        within(block) if kind == "sync" else run(async_block())
    assert raised.value is error
    assert world.lines == STARTS + STOPS


@pytest.mark.parametrize("error", [kind("text") for kind in KINDS], ids=lambda e: type(e).__name__)
def test_a_roll_back_that_fails_as_well_keeps_the_original(kind, error):
    # Both hooks raise: the start's exception is the one to arrive.
    world = World(error, "start bad")

    class Failing(Hook):
        def __exit__(self, *_exit_info):
            self.world.lines.append("stop below")
            if self.world.lines.count("stop below") == 1:
                raise FrozenError("stop")

    class AsyncFailing(AsyncHook):
        async def __aexit__(self, *exit_info):
            Failing.__exit__(self, *exit_info)

    container = container_of(world, kind)
    container.below.set_provides(Failing if kind == "sync" else AsyncFailing)
    container.below.set_args(world, "below")
    driver = Driver(container, kind)
    with pytest.raises(type(error)) as raised:
        driver.start()
    assert raised.value is error
    assert world.lines == ["start below", "start bad", "stop below"]
    driver.stop()
