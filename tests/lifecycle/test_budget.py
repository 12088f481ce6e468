"""One budget for a stop: after the deadline the rest stops at once, within a bounded time."""

import asyncio
import importlib
import re
import threading
import time
from time import monotonic

import pytest

from metrics.lifecycle import (
    LifecycleContainer,
    Resource,
    ShutdownError,
    State,
    StopTimeoutError,
    state,
)
from tests.lifecycle.bounded import LONG, run, within

# Far beyond one second and the bounded extra; far below one resource after another.
BOUND = 7.0
WORKER = "metrics-lifecycle"


@pytest.fixture(autouse=True)
def unhurried():
    """Leave the times of the library as they are, unlike the other tests of this package."""


@pytest.fixture
def ample(monkeypatch):
    """Give hooks that end by themselves time enough on a busy machine."""
    module = importlib.import_module("metrics.lifecycle._shutdown")
    assert module.EXTRA_SECONDS == 0.5
    monkeypatch.setattr(module, "EXTRA_SECONDS", 8.0)
    monkeypatch.setattr(module, "LEAST_SECONDS", 4.0)


@pytest.fixture
def enough(monkeypatch):
    """As `ample`, for a few brief hooks beside some that use all of this time up."""
    module = importlib.import_module("metrics.lifecycle._shutdown")
    monkeypatch.setattr(module, "EXTRA_SECONDS", 4.0)
    monkeypatch.setattr(module, "LEAST_SECONDS", 2.0)


@pytest.fixture
def roomy(monkeypatch):
    """Let every hook begin to hang on a busy machine, in a bounded time all the same."""
    module = importlib.import_module("metrics.lifecycle._shutdown")
    monkeypatch.setattr(module, "EXTRA_SECONDS", 2.0)
    monkeypatch.setattr(module, "LEAST_SECONDS", 0.05)


class World:
    """Hooks of many resources: their order, their threads, and a release for hanging hooks."""

    def __init__(self):
        self.release = threading.Event()
        self.stopped, self.begun = [], []
        self.threads = set()
        self.most_threads = 0

    def begin(self, name):
        self.begun.append((name, monotonic()))
        self.threads.add(threading.current_thread())
        alive = sum(thread.name == WORKER for thread in threading.enumerate())
        self.most_threads = max(self.most_threads, alive)

    def brief(self, name, *_needed):
        yield name
        self.begin(name)
        time.sleep(0.015)
        self.stopped.append(name)

    async def async_brief(self, name, *_needed):
        yield name
        self.begin(name)
        await asyncio.sleep(0.015)
        self.stopped.append(name)

    def hanging(self, name, *_needed):
        yield name
        self.begin(name)
        hang_here(self.release)

    async def async_hanging(self, name, *_needed):
        yield name
        self.begin(name)
        if not self.release.is_set():
            await hang_in_the_loop()

    def __deepcopy__(self, memo):
        return self


def hang_here(release):
    assert release.wait(60)


async def hang_in_the_loop():
    await asyncio.Event().wait()


@pytest.fixture
def world():
    made = World()
    yield made
    made.release.set()
    for thread in made.threads:
        if thread.name == WORKER:
            thread.join(LONG)


def container_of(hooks):
    class Container(LifecycleContainer):
        pass

    for index, hook in enumerate(hooks):
        setattr(Container, f"r{index}", Resource(hook, f"r{index}"))
    return Container()


def stop_timed(container, kind, timeout):
    """Start and stop a container; return the seconds of the stop and the errors it reports."""
    seconds, errors = [], []

    def in_thread():
        container.init_resources()
        began = monotonic()
        try:
            container.shutdown_resources(timeout=timeout)
        except ShutdownError as error:
            errors.extend(error.exceptions)
        seconds.append(monotonic() - began)

    async def in_loop():
        await container.init_resources()
        began = monotonic()
        try:
            await container.shutdown_resources(timeout=timeout)
        except ShutdownError as error:
            errors.extend(error.exceptions)
        seconds.append(monotonic() - began)

    within(in_thread, seconds=60) if kind == "sync" else within(asyncio.run, in_loop(), seconds=60)
    return seconds[0], errors


def brief_hooks(world, kind, count):
    kinds = {
        "sync": [world.brief],
        "async": [world.async_brief],
        "mixed": [world.brief, world.async_brief],
    }
    return [kinds[kind][index % len(kinds[kind])] for index in range(count)]


def hanging_hooks(world, kind, count):
    kinds = {
        "sync": [world.hanging],
        "async": [world.async_hanging],
        "mixed": [world.hanging, world.async_hanging],
    }
    return [kinds[kind][index % len(kinds[kind])] for index in range(count)]


@pytest.mark.parametrize("kind", ["sync", "async", "mixed"])
def test_many_brief_hooks_all_run_soon_after_the_deadline(world, ample, kind):
    container = container_of(brief_hooks(world, kind, 500))
    seconds, errors = stop_timed(container, kind, 1)
    assert errors == []
    assert seconds < BOUND
    assert sorted(world.stopped) == sorted(f"r{index}" for index in range(500))
    assert state(container) is State.STOPPED


@pytest.mark.parametrize("kind", ["sync", "async", "mixed"])
def test_hooks_run_one_after_another_in_reverse_order_before_the_deadline(world, ample, kind):
    began = []

    class Container(LifecycleContainer):
        pass

    for index, hook in enumerate(brief_hooks(world, kind, 500)):
        setattr(Container, f"r{index}", Resource(hook, f"r{index}"))

    def last():
        yield
        began.append(monotonic())

    Container.last = Resource(last)
    stop_timed(Container(), kind, 1)
    early = [name for name, at in world.begun if at < began[0] + 0.5]
    assert early == [f"r{499 - index}" for index in range(len(early))]
    assert world.stopped[: len(early) - 1] == early[:-1]
    assert len(early) > 1


@pytest.mark.parametrize("kind", ["sync", "async", "mixed"])
def test_the_threads_of_a_stop_are_bounded_and_end_with_it(world, ample, kind):
    stop_timed(container_of(brief_hooks(world, kind, 500)), kind, 1)
    workers = [thread for thread in world.threads if thread.name == WORKER]
    for thread in workers:
        thread.join(LONG)
    assert not any(thread.is_alive() for thread in workers)
    # Not one for each resource.
    assert world.most_threads < 250


def names_of(errors):
    assert all(isinstance(error, StopTimeoutError) for error in errors)
    return sorted(str(error).split()[0].strip("'") for error in errors)


@pytest.mark.parametrize(
    ("timeout", "kind"),
    [(0.2, "sync"), (0.2, "async"), (0.2, "mixed"), (0, "sync"), (-1.5, "async"), (-1.5, "mixed")],
)
def test_each_hook_that_hangs_is_named_with_its_stack_within_a_bounded_time(
    world, roomy, kind, timeout
):
    container = container_of(hanging_hooks(world, kind, 30))
    seconds, errors = stop_timed(container, kind, timeout)
    assert seconds < BOUND
    assert names_of(errors) == sorted(f"r{index}" for index in range(30))
    # On a loaded machine a thread may not begin in the least time of a hook.
    known = re.compile("in hang_|its thread has not begun to run it")
    assert [str(error) for error in errors if not known.search(str(error))] == []
    assert any("in hang_" in str(error) for error in errors)
    # Each hook whose thread has begun in time has begun its stop.
    hanging = [error for error in errors if "in hang_" in str(error)]
    assert {name for name, _ in world.begun} >= {*names_of(hanging)}
    world.release.set()
    stop_again(container, kind)


@pytest.mark.parametrize("kind", ["sync", "async", "mixed"])
def test_however_many_hooks_hang_each_is_named_within_a_bounded_time(world, kind):
    container = container_of(hanging_hooks(world, kind, 150))
    seconds, errors = stop_timed(container, kind, 0.2)
    assert seconds < BOUND
    assert names_of(errors) == sorted(f"r{index}" for index in range(150))
    world.release.set()
    stop_again(container, kind)


def stop_again(container, kind):
    async def stop():
        await container.shutdown_resources()

    within(container.shutdown_resources) if kind == "sync" else run(stop())
    assert state(container) is State.STOPPED


@pytest.mark.parametrize(
    ("kind", "module", "function"),
    [("sync", "_sync_driver", "exit_slot"), ("mixed", "_async_driver", "exit_here")],
)
def test_a_hook_whose_thread_begins_after_it_was_abandoned_still_stops(
    world, monkeypatch, kind, module, function
):
    driver = importlib.import_module(f"metrics.lifecycle.{module}")
    exit_hook = getattr(driver, function)

    def begin_late(*arguments):
        assert world.release.wait(60)
        return exit_hook(*arguments)

    monkeypatch.setattr(driver, function, begin_late)
    container = container_of(brief_hooks(world, kind, 2))
    _, errors = stop_timed(container, kind, 0.1)
    assert "r0" in names_of(errors)
    world.release.set()
    stop_again(container, kind)
    assert "r0" in world.stopped


@pytest.mark.parametrize(
    ("timeout", "kind"),
    [(0.2, "sync"), (0.2, "mixed"), (0, "async"), (-0.001, "sync"), (-1.5, "mixed")],
)
def test_hooks_that_do_not_hang_stop_whatever_hangs_beside_them(world, enough, kind, timeout):
    hooks = hanging_hooks(world, kind, 20) + brief_hooks(world, kind, 20)
    container = container_of(
        [hook for pair in zip(hooks[:20], hooks[20:], strict=True) for hook in pair]
    )
    _, errors = stop_timed(container, kind, timeout)
    assert len(errors) == 20
    assert sorted(world.stopped) == sorted(f"r{index}" for index in range(1, 40, 2))
    world.release.set()
    stop_again(container, kind)


@pytest.mark.parametrize("kind", ["sync", "async", "mixed"])
@pytest.mark.parametrize("timeout", [0, -1, -0.001])
def test_without_time_left_every_hook_that_ends_by_itself_still_does(world, ample, kind, timeout):
    container = container_of(brief_hooks(world, kind, 10))
    _, errors = stop_timed(container, kind, timeout)
    assert errors == []
    assert sorted(world.stopped) == sorted(f"r{index}" for index in range(10))
    assert state(container) is State.STOPPED


def test_a_class_may_leave_no_time(world, ample):
    class Container(LifecycleContainer):
        shutdown_timeout = 0
        resource = Resource(world.brief, "resource")

    container = Container()
    container.init_resources()
    within(container.shutdown_resources)
    assert world.stopped == ["resource"]


@pytest.mark.parametrize("wrong", [float("nan"), "1", []])
def test_a_budget_that_is_no_number_is_refused_and_nothing_stops(world, wrong):
    container = container_of([world.brief])
    container.init_resources()
    with pytest.raises((TypeError, ValueError), match="timeout"):
        container.shutdown_resources(timeout=wrong)
    assert world.stopped == []
    container.shutdown_resources()
