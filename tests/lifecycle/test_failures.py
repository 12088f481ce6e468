"""Whichever resource fails with whatever: all or nothing at the start, best effort at the stop."""

import asyncio
import inspect
import threading

import pytest
from dependency_injector import providers
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.lifecycle import LifecycleContainer, NotRunningError, Resource, State, state
from metrics.lifecycle import ShutdownError as Failed
from tests.lifecycle.calls import note_of

N = 4
KINDS = [OSError, KeyboardInterrupt, asyncio.CancelledError, SystemExit]
# Which resources are async, and whether the container is awaited though it need not be.
WAYS = {
    "called": ([False] * N, False),
    "awaited": ([False] * N, True),
    "async": ([True] * N, True),
    "mixed": ([True, False] * (N // 2), True),
}


class World:
    """Parts that say what they do and fail where they are told to; leaving one again does again."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.failing: dict[str, BaseException] = {}

    def note(self, line: str) -> None:
        if line in self.failing:
            raise self.failing[line]
        self.lines.append(line)

    def hook(self, name: str, *_needed: object):
        return Blocking(self, name)

    async def async_hook(self, name: str, *_needed: object):
        await asyncio.sleep(0)
        return Awaited(self, name)

    def __deepcopy__(self, memo: object) -> "World":
        return self


class Blocking:
    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name

    def __enter__(self) -> str:
        self.world.note(f"start {self.name}")
        return self.name

    def __exit__(self, *_: object) -> None:
        self.world.note(f"stop {self.name}")


class Awaited:
    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name

    async def __aenter__(self) -> str:
        await asyncio.sleep(0)
        self.world.note(f"start {self.name}")
        return self.name

    async def __aexit__(self, *_: object) -> None:
        await asyncio.sleep(0)
        self.world.note(f"stop {self.name}")


def chain(world: World, asynchronous: list[bool]) -> LifecycleContainer:
    class Chain(LifecycleContainer):
        pass

    previous: list[Resource] = []
    for index, is_async in enumerate(asynchronous):
        hook = world.async_hook if is_async else world.hook
        part = Resource(hook, f"p{index}", *previous)
        setattr(Chain, f"p{index}", part)
        previous = [part]
    return Chain()


def attempt(call, *, awaited: bool) -> BaseException | None:
    """Call, await what it gives, and return what was raised."""

    async def attempted() -> BaseException | None:
        try:
            await call()
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            return error
        return None

    if awaited:
        try:
            return asyncio.run(attempted())
        except (KeyboardInterrupt, SystemExit) as error:
            # Raised in a task, it ends the loop before whoever awaits the task is told.
            return AssertionError(f"{error!r} broke out of the event loop")
    try:
        call()
    except BaseException as error:  # noqa: BLE001 - the test looks at it
        return error
    return None


def states(container: LifecycleContainer) -> list[State]:
    return [state(container, f"p{index}") for index in range(len(container.providers))]


def notes(error: BaseException) -> list[str]:
    return getattr(error, "__notes__", [])


def note(phase: str, index: int, asynchronous: list[bool]) -> str:
    hook = World.async_hook if asynchronous[index] else World.hook
    return note_of(phase, f"p{index}", hook, "Chain")


@pytest.mark.parametrize("failing", range(N))
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", WAYS)
def test_a_failed_start_leaves_nothing_up_and_raises_the_original(way, kind, failing):
    asynchronous, awaited = WAYS[way]
    world, error = World(), kind("injected")
    world.failing[f"start p{failing}"] = error
    container = chain(world, asynchronous)
    assert attempt(container.init_resources, awaited=awaited) is error
    assert notes(error) == [note("starting", failing, asynchronous)]
    started = [f"p{index}" for index in range(failing)]
    assert world.lines == [
        *[f"start {name}" for name in started],
        *[f"stop {name}" for name in reversed(started)],
    ]
    assert state(container) is State.FAILED
    assert set(states(container)) <= {State.STOPPED, State.FAILED}
    for index in range(N):
        with pytest.raises(NotRunningError, match=f"'p{index}'"):
            container.providers[f"p{index}"]()
    world.failing.clear()
    world.lines.clear()
    assert attempt(container.init_resources, awaited=awaited) is None
    assert states(container) == [State.RUNNING] * N
    assert attempt(container.shutdown_resources, awaited=awaited) is None
    assert len(world.lines) == 2 * N


@pytest.mark.parametrize("failing", range(N))
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", WAYS)
def test_a_failed_stop_leaves_nothing_else_up_and_can_be_repeated(way, kind, failing):
    asynchronous, awaited = WAYS[way]
    world, error = World(), kind("injected")
    container = chain(world, asynchronous)
    assert attempt(container.init_resources, awaited=awaited) is None
    world.lines.clear()
    world.failing[f"stop p{failing}"] = error
    raised = attempt(container.shutdown_resources, awaited=awaited)
    if isinstance(error, Exception):
        assert type(raised) is Failed
        assert raised.exceptions == (error,)
        assert str(raised).startswith(f"1 of 4 resources of Chain failed to stop: 'p{failing}'")
    else:
        assert raised is error
    assert notes(error) == [note("stopping", failing, asynchronous)]
    others = [index for index in reversed(range(N)) if index != failing]
    assert world.lines == [f"stop p{index}" for index in others]
    assert [index for index, s in enumerate(states(container)) if s is State.FAILED] == [failing]
    assert [states(container)[index] for index in others] == [State.STOPPED] * (N - 1)
    assert state(container) is State.FAILED
    world.failing.clear()
    world.lines.clear()
    assert attempt(container.shutdown_resources, awaited=awaited) is None
    assert world.lines == [f"stop p{failing}"]
    assert states(container) == [State.STOPPED] * N
    assert state(container) is State.STOPPED


flags = st.lists(st.booleans(), min_size=1, max_size=8)
faults = st.dictionaries(st.integers(0, 7), st.sampled_from(KINDS), max_size=8)


def check_failures(raised: BaseException | None, expected: list[BaseException]) -> None:
    """Check that all that was injected arrives: errors in a group, severe ones last."""
    plain = tuple(error for error in expected if isinstance(error, Exception))
    severe = [error for error in expected if not isinstance(error, Exception)]
    group = raised.__cause__ if severe else raised
    if severe:
        assert raised is severe[0]
    if plain:
        assert type(group) is Failed
        assert group.exceptions == plain
    else:
        assert group is None


@given(flags, faults, faults)
@settings(max_examples=60, deadline=None)
def test_a_stop_raises_exactly_what_was_injected_however_much_it_is(asynchronous, first, second):
    length = len(asynchronous)
    world = World()
    container = chain(world, asynchronous)
    assert attempt(container.init_resources, awaited=True) is None
    world.lines.clear()
    up = list(reversed(range(length)))
    for kinds in (first, second, {}):
        failing = [index for index in up if index in kinds]
        world.failing = {f"stop p{index}": kinds[index](f"p{index}") for index in failing}
        world.lines.clear()
        raised = attempt(container.shutdown_resources, awaited=True)
        check_failures(raised, list(world.failing.values()))
        assert world.lines == [f"stop p{index}" for index in up if index not in failing]
        assert [i for i, s in enumerate(states(container)) if s is State.FAILED] == failing[::-1]
        up = failing
    assert states(container) == [State.STOPPED] * length


@given(flags, st.integers(0, 7), st.sampled_from(KINDS), faults)
@settings(max_examples=60, deadline=None)
def test_failures_of_the_roll_back_are_noted_and_do_not_keep_others_up(
    asynchronous, position, kind, kinds
):
    length = len(asynchronous)
    position %= length
    world, error = World(), kind("start")
    stuck = [index for index in reversed(range(position)) if index in kinds]
    world.failing = {f"stop p{index}": kinds[index]("stuck") for index in stuck}
    world.failing[f"start p{position}"] = error
    container = chain(world, asynchronous)
    assert attempt(container.init_resources, awaited=True) is error
    assert notes(error)[0] == note("starting", position, asynchronous)
    assert [note.split(":")[0] for note in notes(error)[1:]] == [
        f"'p{index}' failed to stop then" for index in stuck
    ]
    down = [index for index in reversed(range(position)) if index not in stuck]
    assert world.lines[position:] == [f"stop p{index}" for index in down]
    # What is still up is stopped before anything starts.
    world.failing.clear()
    world.lines.clear()
    assert attempt(container.init_resources, awaited=True) is None
    assert world.lines == [
        *[f"stop p{index}" for index in stuck],
        *[f"start p{index}" for index in range(length)],
    ]
    assert attempt(container.shutdown_resources, awaited=True) is None


@pytest.mark.parametrize("way", WAYS)
def test_a_failed_start_stops_what_was_started_on_first_need_too(way):
    asynchronous, awaited = WAYS[way]
    world = World()
    world.failing["start p3"] = OSError("no")
    container = chain(world, asynchronous)

    async def need() -> None:
        value = container.p1()
        assert (await value if inspect.isawaitable(value) else value) == "p1"

    asyncio.run(need())
    assert isinstance(attempt(container.init_resources, awaited=awaited), OSError)
    assert world.lines[-3:] == ["stop p2", "stop p1", "stop p0"]
    assert len(world.lines) == 6


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", [TimeoutError, StopIteration, StopAsyncIteration, GeneratorExit])
def test_exceptions_with_a_meaning_of_their_own_arrive_like_any_other(way, kind):
    asynchronous, awaited = WAYS[way]
    world, error = World(), kind("injected")
    world.failing["start p1"] = error
    container = chain(world, asynchronous)

    found: list[BaseException | None] = []
    # In a thread, because an outcome that gets lost would be waited for without end.
    thread = threading.Thread(
        target=lambda: found.append(attempt(container.init_resources, awaited=awaited)), daemon=True
    )
    thread.start()
    thread.join(30)
    assert found, "the start hangs"
    (raised,) = found
    assert raised is not None
    if kind in {StopIteration, StopAsyncIteration}:
        # No coroutine can raise it.
        assert raised is error or raised.__cause__ is error or raised.__context__ is error
    else:
        assert raised is error
    assert world.lines == ["start p0", "stop p0"]


def test_an_init_whose_first_step_fails_again_starts_nothing():
    world = World()
    container = chain(world, [False] * N)
    container.init_resources()
    error = OSError("stuck")
    world.failing["stop p1"] = error
    with pytest.raises(Failed):
        container.shutdown_resources()
    world.lines.clear()
    with pytest.raises(Failed) as raised:
        container.init_resources()
    assert raised.value.exceptions == (error,)
    assert world.lines == []
    assert states(container)[1] is State.FAILED
    world.failing.clear()
    container.init_resources()
    assert world.lines == ["stop p1", *[f"start p{index}" for index in range(N)]]
    container.shutdown_resources()


def test_a_failure_in_an_embedded_container_rolls_everything_back():
    world = World()

    class Inner(LifecycleContainer):
        given = providers.Dependency()
        one = Resource(world.hook, "one", given)
        two = Resource(world.hook, "two", one)

    class Outer(LifecycleContainer):
        host = Resource(world.hook, "host")
        inner = providers.Container(Inner, given=host)

    error = world.failing["start two"] = OSError("no")
    container = Outer()
    with pytest.raises(OSError, match="no") as raised:
        container.init_resources()
    assert raised.value is error
    assert notes(error) == [note_of("starting", "inner.two", World.hook, "Outer")]
    assert world.lines == ["start host", "start one", "stop one", "stop host"]
