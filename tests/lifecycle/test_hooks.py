"""Every kind of hook is entered and left as it should be, and can be left again if it failed."""

import asyncio
import functools
from contextlib import asynccontextmanager, contextmanager, suppress

import pytest
from dependency_injector import resources as stock

from metrics.lifecycle import LifecycleContainer, Resource, ShutdownError, State, state
from metrics.lifecycle._hooks import is_async_hook
from tests.lifecycle.calls import note_of

log: list[object] = []
failing: list[BaseException] = []


@pytest.fixture(autouse=True)
def nothing_fails_and_nothing_has_happened():
    log.clear()
    failing.clear()


def stop() -> None:
    """Do what every hook below does in the end: fail as often as told to."""
    if failing:
        raise failing.pop(0)
    log.append("stop")


def generator(value: str):
    log.append("start")
    yield value
    stop()


async def async_generator(value: str):
    log.append("start")
    yield value
    await asyncio.sleep(0)
    stop()


@contextmanager
def function(value: str):
    log.append("start")
    try:
        yield value
    finally:
        stop()


@asynccontextmanager
async def async_function(value: str):
    log.append("start")
    try:
        yield value
    finally:
        await asyncio.sleep(0)
        stop()


class Manager:
    def __init__(self, value: str) -> None:
        self.value = value

    def __enter__(self) -> str:
        log.append("start")
        return self.value

    def __exit__(self, *error: object) -> bool:
        if any(error):
            log.append(error)
        stop()
        return True  # there is nothing to suppress


class AsyncManager:
    def __init__(self, value: str) -> None:
        self.value = value

    async def __aenter__(self) -> str:
        log.append("start")
        return self.value

    async def __aexit__(self, *error: object) -> bool:
        if any(error):
            log.append(error)
        await asyncio.sleep(0)
        stop()
        return True


class Both(Manager, AsyncManager):
    """An HTTP client of many a library: a context manager of either kind."""


class StockResource(stock.Resource):
    def init(self, value: str) -> str:
        log.append("start")
        return value

    def shutdown(self, resource: str) -> None:
        assert resource == "value"
        stop()


class AsyncStockResource(stock.AsyncResource):
    async def init(self, value: str) -> str:
        log.append("start")
        return value

    async def shutdown(self, resource: str) -> None:
        assert resource == "value"
        await asyncio.sleep(0)
        stop()


async def gives_async_manager(value: str) -> AsyncManager:
    return AsyncManager(value)


async def gives_manager(value: str) -> Manager:
    return Manager(value)


async def gives_both(value: str) -> Both:
    return Both(value)


async def gives_value(value: str) -> str:
    log.append("start")
    return value


def plain(value: str) -> str:
    log.append("start")
    return value


def lambda_of_manager(value: str) -> Manager:
    return Manager(value)


SYNC = [generator, function, Manager, Both, StockResource, lambda_of_manager]
ASYNC = [
    async_generator,
    async_function,
    AsyncManager,
    AsyncStockResource,
    gives_async_manager,
    gives_manager,
    gives_both,
]
# What leaving a second time does again, because it is not over when it fails.
REPEATED = {Manager, Both, StockResource, lambda_of_manager, AsyncManager, AsyncStockResource}
REPEATED |= {gives_async_manager, gives_manager, gives_both}


def container_of(hook) -> LifecycleContainer:
    class Container(LifecycleContainer):
        part = Resource(hook, "value")

    return Container()


def run(container: LifecycleContainer, hook, method: str, **options) -> None:
    async def awaited() -> None:
        await getattr(container, method)(**options)

    if is_async_hook(hook):
        asyncio.run(awaited())
    else:
        getattr(container, method)(**options)


async def value_of(container) -> object:
    value = container.part()
    return await value if asyncio.isfuture(value) else value


@pytest.mark.parametrize("hook", [*SYNC, *ASYNC, plain, gives_value])
@pytest.mark.parametrize("wrap", [lambda hook: hook, functools.partial], ids=["bare", "partial"])
def test_a_hook_gives_its_value_and_is_left_once(hook, wrap):
    container = container_of(wrap(hook))
    for _ in range(2):
        log.clear()
        run(container, hook, "init_resources")
        assert log == ["start"]
        assert asyncio.run(value_of(container)) == "value"
        run(container, hook, "shutdown_resources")
        run(container, hook, "shutdown_resources")
        assert log == (["start"] if hook in {plain, gives_value} else ["start", "stop"])


@pytest.mark.parametrize("hook", [*SYNC, *ASYNC])
@pytest.mark.parametrize("kind", [OSError, StopIteration, TimeoutError])
def test_a_hook_that_failed_to_stop_can_be_stopped_again(hook, kind):
    container = container_of(hook)
    run(container, hook, "init_resources")
    first, second = kind("first"), kind("second")
    failing.extend([first, second] if hook in REPEATED else [first])
    for error in tuple(failing):
        with pytest.raises(ShutdownError) as raised:
            run(container, hook, "shutdown_resources")
        (found,) = raised.value.exceptions
        # Python does not let a StopIteration out of a generator or a coroutine.
        assert found is error or (kind is StopIteration and found.__cause__ is error)
        assert found.__notes__[-1] == note_of("stopping", "part", hook, "Container")
        assert state(container, "part") is State.FAILED
    run(container, hook, "shutdown_resources")
    assert state(container) is State.STOPPED
    # A generator is over once it has raised; everything else gets its second chance.
    assert log == (["start", "stop"] if hook in REPEATED else ["start"])
    run(container, hook, "init_resources")
    run(container, hook, "shutdown_resources")
    assert log[-2:] == ["start", "stop"]


def end_with(kind: type[BaseException]) -> None:
    raise kind("the end")


@pytest.mark.parametrize("hook", [Manager, Both, lambda_of_manager, AsyncManager, gives_both])
@pytest.mark.parametrize("kind", [OSError, KeyboardInterrupt, asyncio.CancelledError, SystemExit])
def test_a_context_manager_receives_the_error_that_ends_the_program_and_no_normal_end(hook, kind):
    container = container_of(hook)
    run(container, hook, "init_resources")
    with pytest.raises(kind) as raised:
        end_with(kind)
    ending = raised.value
    run(container, hook, "shutdown_resources", error=ending)
    received = [(kind, ending, ending.__traceback__)] if kind is OSError else []
    assert log == ["start", *received, "stop"]


@pytest.mark.parametrize("hook", [generator, async_generator, function, async_function])
@pytest.mark.parametrize("kind", [OSError, KeyboardInterrupt, asyncio.CancelledError, SystemExit])
def test_the_rest_of_a_generator_runs_whatever_the_program_ends_with(hook, kind):
    container = container_of(hook)
    run(container, hook, "init_resources")
    run(container, hook, "shutdown_resources", error=kind("the end"))
    assert log == ["start", "stop"]
    assert state(container) is State.STOPPED


seen: list[BaseException] = []


@contextmanager
def decorated(*_given):
    try:
        yield
    except BaseException as error:
        seen.append(error)
        raise


@asynccontextmanager
async def decorated_async(*_given):
    with decorated():
        yield


@pytest.mark.parametrize("hook", [decorated, decorated_async])
@pytest.mark.parametrize("kind", [OSError, RuntimeError, RecursionError, StopIteration])
def test_a_decorated_generator_sees_what_the_program_ends_with_and_that_is_no_failure(hook, kind):
    seen.clear()
    container = container_of(hook)
    run(container, hook, "init_resources")
    ending = kind("the end")
    run(container, hook, "shutdown_resources", error=ending)
    assert seen == [ending]
    assert not hasattr(ending, "__notes__")
    assert state(container) is State.STOPPED


def test_the_roll_back_of_a_start_leaves_context_managers_without_an_exception():
    # It was not in their block: a hook without `finally` is cleaned up, too.
    def fail(_needed: object):
        raise OSError("no")

    class Container(LifecycleContainer):
        part = Resource(Manager, "value")
        bad = Resource(fail, part)

    with pytest.raises(OSError, match="no"):
        Container().init_resources()
    assert log == ["start", "stop"]


def twice():
    with suppress(OSError):
        yield "value"
    try:
        yield "again"
    finally:
        log.append("closed")


async def async_twice():
    with suppress(OSError):
        yield "value"
    try:
        yield "again"
    finally:
        log.append("closed")


@pytest.mark.parametrize("ending", [None, OSError("the end")])
@pytest.mark.parametrize(
    "hook", [twice, async_twice, contextmanager(twice), asynccontextmanager(async_twice)]
)
def test_a_generator_that_yields_twice_is_closed_and_reported(hook, ending):
    class Container(LifecycleContainer):
        part = Resource(hook)

    container = Container()
    run(container, hook, "init_resources")
    with pytest.raises(ShutdownError) as raised:
        run(container, hook, "shutdown_resources", error=ending)
    (error,) = raised.value.exceptions
    assert isinstance(error, RuntimeError)
    assert "yielded twice" in str(error)
    assert log == ["closed"]
    run(container, hook, "shutdown_resources")
    assert state(container) is State.STOPPED


def never():
    return
    yield


async def async_never():
    return
    yield


@pytest.mark.parametrize("hook", [never, async_never])
def test_a_generator_that_never_yields_fails_to_start(hook):
    class Container(LifecycleContainer):
        part = Resource(hook)

    container = Container()
    with pytest.raises(RuntimeError, match="without a yield") as raised:
        run(container, hook, "init_resources")
    assert raised.value.__notes__ == [note_of("starting", "part", hook, "Container")]
    assert state(container) is State.FAILED


def test_a_hook_can_be_named_by_a_string():
    class Container(LifecycleContainer):
        number = Resource("int", "7")
        path = Resource("os.path.join", "a", "b")
        inner = Resource("metrics.resources.registry", prefix="x")

    container = Container()
    container.init_resources()
    assert (container.number(), container.path()) == (7, "a/b")
    assert container.inner().names() == ()
    container.shutdown_resources()


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("nowhere.at_all", ImportError),
        ("os.path.nothing", AttributeError),
        ("nothing", AttributeError),
    ],
)
def test_a_hook_that_cannot_be_found_is_an_error_where_it_is_declared(name, error):
    with pytest.raises(error):
        Resource(name)


@pytest.mark.parametrize("hook", [*SYNC, plain, int, "a string", None])
def test_sync_hooks_need_no_event_loop(hook):
    assert not is_async_hook(hook)


class CallsAsync:
    async def __call__(self, value: str) -> str:
        return value

    async def method(self, value: str) -> str:
        return value


@pytest.mark.parametrize("hook", [*ASYNC, gives_value, CallsAsync(), CallsAsync().method])
def test_async_hooks_are_recognised_before_they_are_called(hook):
    assert is_async_hook(hook)
    assert is_async_hook(functools.partial(functools.partial(hook)))


def test_a_hook_that_turns_out_to_be_async_is_an_error_when_nobody_awaits_it():
    class Container(LifecycleContainer):
        part = Resource(lambda: AsyncManager("value"))

    container = Container()
    with pytest.raises(RuntimeError, match="turns out to be async"):
        container.init_resources()
    assert log == []
    assert state(container) is State.FAILED


def test_a_hook_that_turns_out_to_be_async_works_beside_another_that_is():
    class Container(LifecycleContainer):
        first = Resource(gives_value, "first")
        part = Resource(lambda _first: AsyncManager("value"), first)

    container = Container()

    async def main() -> None:
        await container.init_resources()
        await container.shutdown_resources()

    asyncio.run(main())
    assert log == ["start", "start", "stop"]


def test_an_async_generator_that_yields_again_when_it_is_cancelled_is_closed_and_reported():
    tasks = []

    async def hook():
        tasks.append(asyncio.current_task())
        with suppress(asyncio.CancelledError):
            yield
        try:
            yield
        finally:
            log.append("closed")

    class Container(LifecycleContainer):
        part = Resource(hook)

    async def cancelled():
        container = Container()
        await container.init_resources()
        tasks[0].cancel()
        await asyncio.wait(tasks)
        with pytest.raises(ShutdownError) as raised:
            await container.shutdown_resources()
        assert "yielded twice" in str(raised.value.exceptions[0])

    asyncio.run(cancelled())
    assert log == ["closed"]
