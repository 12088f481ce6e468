"""A signal or `sys.exit` is the normal end of a service, in a block and for its hooks."""

import asyncio
import signal
import threading
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress

import pytest

from metrics.lifecycle import LifecycleContainer, Resource, State, lifespan, running, state
from tests.lifecycle.programs import ran

LONG = 20.0
ENDS = [(signal.SIGTERM, SystemExit), (signal.SIGINT, KeyboardInterrupt)]
NOTHING = (None, None, None)


class OddError(BaseException):
    """An exception that `except Exception` lets pass."""


class Seen(list):
    """The `__exit__` arguments of hooks; the same list in every container that declares it."""

    def __deepcopy__(self, memo: object) -> "Seen":
        return self


class Sync:
    def __init__(self, seen) -> None:
        self.seen = seen

    def __enter__(self):
        return self

    def __exit__(self, *ended: object) -> None:
        self.seen.append(ended)


class Async:
    def __init__(self, seen) -> None:
        self.seen = seen

    async def __aenter__(self):
        return self

    async def __aexit__(self, *ended: object) -> None:
        self.seen.append(ended)


@contextmanager
def without_finally(seen):
    yield
    seen.append(NOTHING)


@asynccontextmanager
async def async_without_finally(seen):
    yield
    seen.append(NOTHING)


def generator(seen):
    yield
    seen.append(NOTHING)


async def async_generator(seen):
    yield
    seen.append(NOTHING)


def of_sync_hooks(seen):
    class Container(LifecycleContainer):
        one = Resource(Sync, seen)
        two = Resource(without_finally, seen)
        three = Resource(generator, seen)

    return Container()


def of_all_hooks(seen):
    class Container(LifecycleContainer):
        one = Resource(Sync, seen)
        two = Resource(without_finally, seen)
        three = Resource(generator, seen)
        four = Resource(Async, seen)
        five = Resource(async_without_finally, seen)
        six = Resource(async_generator, seen)

    return Container()


async def held(container, error) -> None:
    async with running(container, signals=()):
        raise error


async def served(container, error) -> None:
    async with lifespan(container)(object()):
        raise error


NORMAL_ENDS = [SystemExit(3), SystemExit(143), KeyboardInterrupt(), GeneratorExit(), OddError()]


@pytest.mark.parametrize("error", [*NORMAL_ENDS, asyncio.CancelledError()], ids=repr)
def test_hooks_of_a_block_that_no_exception_ends_are_exited_normally(error):
    seen = Seen()
    container = of_sync_hooks(seen)
    with pytest.raises(type(error)) as raised, running(container):
        raise error
    assert raised.value is error
    assert seen == [NOTHING] * 3
    assert state(container) is State.STOPPED


@pytest.mark.parametrize("error", NORMAL_ENDS, ids=repr)
@pytest.mark.parametrize("block", [held, served])
def test_hooks_of_an_async_block_that_no_exception_ends_are_exited_normally(block, error):
    seen = Seen()
    with pytest.raises(type(error)) as raised:
        asyncio.run(block(of_all_hooks(seen), error))
    assert raised.value is error
    assert seen == [NOTHING] * 6


@pytest.mark.parametrize("block", [running, lambda container: lifespan(container)(object())])
def test_hooks_of_a_cancelled_block_are_exited_normally(block):
    seen = Seen()

    async def hold(entered):
        async with block(of_all_hooks(seen)):
            entered.set()
            await asyncio.Event().wait()

    async def main():
        task = asyncio.create_task(hold(entered := asyncio.Event()))
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert seen == [NOTHING] * 6


def test_an_exit_among_the_exceptions_of_a_task_group_is_a_normal_end():
    seen = Seen()
    group = BaseExceptionGroup("tasks", [SystemExit(3), OSError("no")])
    with pytest.raises(BaseExceptionGroup), running(of_sync_hooks(seen)):
        raise group
    assert seen == [NOTHING] * 3


@pytest.mark.parametrize("error", [OSError("no"), ExceptionGroup("tasks", [OSError("no")])])
def test_context_managers_see_the_exception_that_ends_the_block(error):
    seen = Seen()

    class Container(LifecycleContainer):
        one = Resource(Sync, seen)

    with pytest.raises(type(error)), running(Container()):
        raise error
    [(kind, value, traceback)] = seen
    assert (kind, value) == (type(error), error)
    assert traceback is not None


@pytest.mark.parametrize("block", [held, served])
def test_async_context_managers_see_the_exception_that_ends_the_block(block):
    seen, error = Seen(), OSError("no")

    class Container(LifecycleContainer):
        one = Resource(Sync, seen)
        two = Resource(Async, seen)

    with pytest.raises(OSError, match="no"):
        asyncio.run(block(Container(), error))
    assert [ended[:2] for ended in seen] == [(OSError, error)] * 2


@pytest.mark.parametrize(("number", "kind"), ENDS)
def test_hooks_of_a_block_that_a_signal_ends_are_exited_normally(number, kind):
    seen = Seen()
    with pytest.raises(kind), running(of_sync_hooks(seen)):
        signal.raise_signal(number)
    assert seen == [NOTHING] * 3


@pytest.mark.parametrize(("number", "kind"), ENDS)
def test_hooks_of_an_async_block_that_a_signal_ends_are_exited_normally(number, kind):
    seen = Seen()

    async def main():
        async with running(of_all_hooks(seen)):
            signal.raise_signal(number)
            await asyncio.Event().wait()

    with pytest.raises(kind):
        asyncio.run(main())
    assert seen == [NOTHING] * 6


async def no_await(number):
    signal.raise_signal(number)


async def awaits_before(number):
    await asyncio.sleep(0)
    signal.raise_signal(number)


async def awaits_after(number):
    signal.raise_signal(number)
    await asyncio.sleep(0)


async def refuses_the_cancellation(number):
    signal.raise_signal(number)
    with suppress(asyncio.CancelledError):
        await asyncio.Event().wait()


async def receives_it_from_a_thread(number):
    signalled = threading.Thread(target=signal.pthread_kill, args=(MAIN, number))
    signalled.start()
    signalled.join(LONG)


MAIN = threading.main_thread().ident
LAST_STEPS = [
    no_await,
    awaits_before,
    awaits_after,
    refuses_the_cancellation,
    receives_it_from_a_thread,
]


@pytest.mark.parametrize(("number", "kind"), ENDS)
@pytest.mark.parametrize("of_hooks", [of_sync_hooks, of_all_hooks])
@pytest.mark.parametrize("last_step", LAST_STEPS)
def test_an_async_block_ends_with_its_signal_whatever_its_last_step(
    last_step, of_hooks, number, kind
):
    container = of_hooks(Seen())
    lines = []

    async def main():
        try:
            async with running(container):
                await last_step(number)
        except BaseException as error:
            lines.append(type(error))
            # The cancellation that ended the block is not delivered once more.
            await asyncio.sleep(0)
            lines.append(asyncio.current_task().cancelling())
            raise

    with pytest.raises(kind) as raised:
        asyncio.run(main())
    assert kind is KeyboardInterrupt or raised.value.code == 143
    assert lines == [kind, 0]
    assert state(container) is State.STOPPED


@pytest.mark.parametrize(("number", "kind"), ENDS)
@pytest.mark.parametrize("last_step", LAST_STEPS)
def test_an_async_block_in_a_task_ends_with_its_signal(last_step, number, kind):
    container, tasks = of_sync_hooks(Seen()), []

    async def hold():
        async with running(container):
            await last_step(number)

    async def main():
        tasks.append(asyncio.create_task(hold()))
        await asyncio.wait(tasks)

    with pytest.raises(kind):
        asyncio.run(main())
    assert type(tasks[0].exception()) is kind
    assert state(container) is State.STOPPED


def test_an_async_block_in_a_time_limit_ends_with_its_signal():
    container = of_sync_hooks(Seen())

    async def main():
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(asyncio.timeout(LONG))
            await stack.enter_async_context(running(container))
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(SystemExit) as raised:
        asyncio.run(main())
    assert raised.value.code == 143


def test_an_exception_after_the_signal_does_not_hide_it():
    async def main():
        async with running(of_sync_hooks(Seen())):
            signal.raise_signal(signal.SIGTERM)
            raise OSError("while it ends")

    with pytest.raises(SystemExit) as raised:
        asyncio.run(main())
    assert raised.value.code == 143


PROGRAM = """
    import asyncio, os, signal, sys
    from contextlib import contextmanager
    from metrics.lifecycle import LifecycleContainer, Resource, running

    number = int(sys.argv[2])

    @contextmanager
    def hook():
        yield
        print("stopped", flush=True)

    class Container(LifecycleContainer):
        resource = Resource(hook)

    def sync():
        with running(Container()):
            os.kill(os.getpid(), number)

    async def asynchronous():
        async with running(Container()):
            os.kill(os.getpid(), number)

    sync() if sys.argv[1] == "sync" else asyncio.run(asynchronous())
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("block", ["sync", "async"])
def test_the_exit_code_names_the_signal_and_hooks_clean_up(block, number):
    ended = ran(PROGRAM, block, int(number))
    assert ended.lines == ["stopped"]
    assert ended.code == (143 if number == signal.SIGTERM else -signal.SIGINT)
    assert "CancelledError" not in ended.errors or number == signal.SIGINT
