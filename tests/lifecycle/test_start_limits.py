"""A start hook that exceeds the limit is named, everything is rolled back, nothing leaks."""

import asyncio
import threading
from contextlib import suppress

import pytest

from metrics.errors import MetricsError
from metrics.lifecycle import (
    LifecycleContainer,
    NotRunningError,
    Resource,
    StartTimeoutError,
    State,
    lifespan,
    running,
    state,
)
from tests.lifecycle.bounded import LONG, run, within

LIMIT = 1.0


class World:
    """Hooks that write lines; one hangs in its start until the test releases it."""

    def __init__(self):
        self.lines = []
        self.release = threading.Event()
        self.hung = threading.Event()
        self.stopped = threading.Event()
        self.threads = []

    def steady(self, name):
        def hook(*_needed):
            self.threads.append(threading.current_thread())
            self.lines.append(f"start {name}")
            yield name
            self.lines.append(f"stop {name}")

        return hook

    def async_steady(self, name):
        async def hook(*_needed):
            self.lines.append(f"start {name}")
            await asyncio.sleep(0)
            yield name
            self.lines.append(f"stop {name}")

        return hook

    def hanging(self, *_needed):
        self.threads.append(threading.current_thread())
        self.hung.set()
        hang_here(self.release)
        self.lines.append("start stuck")
        yield "stuck"
        self.lines.append("stop stuck")
        self.stopped.set()

    async def async_hanging(self, *_needed):
        self.hung.set()
        while not self.release.is_set():
            await hang_in_the_loop(self.lines)
        self.lines.append("start stuck")
        yield "stuck"
        self.lines.append("stop stuck")

    def __deepcopy__(self, memo):
        return self


def hang_here(release):
    assert release.wait(60)


async def hang_in_the_loop(lines):
    try:
        await asyncio.Event().wait()
    finally:
        lines.append("cancelled")


@pytest.fixture
def world():
    made = World()
    yield made
    made.release.set()


KINDS = ["sync", "async", "mixed"]
NAMES = ["first", "second", "stuck", "above"]


def container_of(world, kind, *, limit=None, budget=10.0):
    steady = world.steady if kind == "sync" else world.async_steady

    class Container(LifecycleContainer):
        start_timeout = limit
        shutdown_timeout = budget
        first = Resource(world.steady("first"))
        second = Resource(steady("second"), first)
        stuck = Resource(world.async_hanging if kind == "async" else world.hanging, second)
        above = Resource(world.steady("above"), stuck)

    return Container()


async def start(container, **options):
    await container.init_resources(**options)


async def stop(container, **options):
    await container.shutdown_resources(**options)


def start_fully(container, kind, **options):
    """Start a container in the way of its kind, in this thread; never longer than LONG."""
    if kind == "sync":
        within(container.init_resources, **options)
    else:
        run(start(container, **options))


ROLLED_BACK = ["start first", "start second", "stop second", "stop first"]


def check_error(error, kind):
    assert isinstance(error, MetricsError)
    assert isinstance(error, TimeoutError)
    assert "'stuck'" in str(error)
    assert ("in hang_in_the_loop" if kind == "async" else "in hang_here") in str(error)
    assert "metrics/lifecycle" not in str(error)


@pytest.mark.parametrize(
    ("given_by", "kind"),
    [
        *[("call", kind) for kind in KINDS],
        ("class", "sync"),
        ("class", "async"),
        ("call before class", "mixed"),
    ],
)
def test_a_start_hook_that_hangs_is_named_with_its_stack_and_all_is_rolled_back(
    world, kind, given_by
):
    container = container_of(
        world, kind, limit={"class": LIMIT, "call before class": 60}.get(given_by)
    )
    with pytest.raises(StartTimeoutError) as raised:
        start_fully(container, kind, **({} if given_by == "class" else {"timeout": LIMIT}))
    check_error(raised.value, kind)
    assert [line for line in world.lines if line != "cancelled"] == ROLLED_BACK
    assert ("cancelled" in world.lines) == (kind == "async")
    assert state(container) is State.FAILED
    assert state(container, "first") is State.STOPPED
    assert state(container, "stuck") is State.FAILED
    with pytest.raises(NotRunningError):
        container.first()


def in_a_block(container):
    def block():
        with running(container, start_timeout=LIMIT):
            pytest.fail("it has started")

    within(block)


def in_an_async_block(container):
    async def block():
        async with running(container, start_timeout=LIMIT):
            pytest.fail("it has started")

    run(block())


def in_a_lifespan(container):
    async def block():
        async with lifespan(container, start_timeout=LIMIT)(None):
            pytest.fail("it has started")

    run(block())


@pytest.mark.parametrize(
    ("way", "kind"),
    [
        (in_a_block, "sync"),
        *[(way, kind) for way in (in_an_async_block, in_a_lifespan) for kind in KINDS],
    ],
)
def test_a_block_whose_start_hangs_does_not_begin(world, way, kind):
    container = container_of(world, kind)
    with pytest.raises(StartTimeoutError) as raised:
        way(container)
    check_error(raised.value, kind)
    assert [line for line in world.lines if line != "cancelled"] == ROLLED_BACK


@pytest.mark.parametrize("kind", ["sync", "mixed"])
def test_a_hook_that_comes_up_after_it_was_abandoned_is_exited_and_its_thread_ends(world, kind):
    container = container_of(world, kind)
    with pytest.raises(StartTimeoutError):
        start_fully(container, kind, timeout=LIMIT)
    world.release.set()
    assert world.stopped.wait(LONG)
    assert world.lines == [*ROLLED_BACK, "start stuck", "stop stuck"]
    for thread in world.threads:
        thread.join(LONG)
        assert not thread.is_alive()


def test_an_async_hook_that_ignores_its_cancellation_is_exited_when_it_comes_up(world):
    stopped = asyncio.Event()

    async def stubborn(*_needed):
        release = releases[0]
        while not release.is_set():
            with suppress(asyncio.CancelledError):
                await release.wait()
        world.lines.append("start stuck")
        yield
        world.lines.append("stop stuck")
        stopped.set()

    class Container(LifecycleContainer):
        first = Resource(world.steady("first"))
        second = Resource(world.async_steady("second"), first)
        stuck = Resource(stubborn, second)

    releases = []

    async def main():
        releases.append(asyncio.Event())
        try:
            with pytest.raises(StartTimeoutError, match="'stuck'"):
                await start(Container(), timeout=LIMIT)
            assert world.lines == ROLLED_BACK
        finally:
            releases[0].set()
        await stopped.wait()

    run(main())
    assert world.lines == [*ROLLED_BACK, "start stuck", "stop stuck"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_container_starts_again_when_the_hook_that_hung_has_ended(world, kind):
    container = container_of(world, kind)
    with pytest.raises(StartTimeoutError):
        start_fully(container, kind, timeout=LIMIT)
    world.release.set()
    assert kind == "async" or world.stopped.wait(LONG)
    world.lines.clear()

    async def start_and_stop():
        await start(container, timeout=LONG)
        await stop(container)

    if kind == "sync":
        within(container.init_resources, timeout=LONG)
        within(container.shutdown_resources)
    else:
        run(start_and_stop())
    starts = [f"start {name}" for name in NAMES]
    assert world.lines == starts + [f"stop {name}" for name in reversed(NAMES)]
    assert state(container) is State.STOPPED


@pytest.mark.parametrize("kind", KINDS)
def test_a_start_that_meets_the_hook_that_still_hangs_is_limited_as_well(world, kind):
    container = container_of(world, kind)
    for _ in range(2):
        with pytest.raises(StartTimeoutError, match="'stuck'"):
            start_fully(container, kind, timeout=LIMIT)
    world.release.set()
    for thread in world.threads:
        if thread.name == "metrics-lifecycle":
            thread.join(LONG)
            assert not thread.is_alive()
    for name in NAMES:
        assert world.lines.count(f"start {name}") == world.lines.count(f"stop {name}")


def test_waiting_threads_receive_the_error_as_well(world):
    container = container_of(world, "sync")
    errors, lock = [], threading.Lock()

    def call(function, **options):
        try:
            function(**options)
        except MetricsError as error:
            with lock:
                errors.append(error)

    first = threading.Thread(
        target=call, args=[container.init_resources], kwargs={"timeout": LIMIT}
    )
    first.start()
    assert world.hung.wait(LONG)
    others = [
        threading.Thread(target=call, args=[container.init_resources], kwargs={"timeout": LIMIT}),
        threading.Thread(target=call, args=[container.stuck]),
        threading.Thread(target=call, args=[container.above]),
    ]
    for thread in others:
        thread.start()
    for thread in (first, *others):
        thread.join(LONG)
    hanging = [thread for thread in (first, *others) if thread.is_alive()]
    world.release.set()
    assert hanging == []
    assert len(errors) == 4
    assert sum(isinstance(error, StartTimeoutError) for error in errors) >= 2
    assert all(isinstance(error, StartTimeoutError | NotRunningError) for error in errors)


def test_the_roll_back_leaves_a_hook_behind_that_hangs_in_its_stop(world):
    def hanging_stop():
        yield
        hang_here(world.release)

    class Container(LifecycleContainer):
        shutdown_timeout = LIMIT
        first = Resource(world.steady("first"))
        stubborn = Resource(hanging_stop)
        stuck = Resource(world.hanging)

    container = Container()
    with pytest.raises(StartTimeoutError, match="'stuck'") as raised:
        within(container.init_resources, timeout=LIMIT)
    assert "'stubborn'" in "".join(raised.value.__notes__)
    assert world.lines == ["start first", "stop first"]
    world.release.set()
    assert world.stopped.wait(LONG)
    within(container.shutdown_resources)
