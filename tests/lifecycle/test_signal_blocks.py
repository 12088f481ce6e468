"""`running()` blocks may end in any order: signals reach all that remain, and end up as before."""

import asyncio
import signal
import threading
from contextlib import ExitStack, suppress
from functools import partial
from itertools import permutations

import pytest

from metrics.lifecycle import LifecycleContainer, Resource, ShutdownError, State, running, state
from tests.lifecycle.programs import ran

LONG = 20.0
SIGNALS = [signal.SIGINT, signal.SIGTERM]
ENDS = [(signal.SIGTERM, SystemExit), (signal.SIGINT, KeyboardInterrupt)]
COUNT = 3
ORDERS = list(permutations(range(COUNT)))

_entered = []


def container_of(*, start=None, stop=None):
    def hook():
        if start is not None:
            raise start
        yield "value"
        if stop is not None:
            raise stop

    class Container(LifecycleContainer):
        resource = Resource(hook)

    return Container()


class Earlier:
    """The program's own handler of all signals; `received` has the signals that reach it."""

    def __init__(self) -> None:
        self.received = []

    def __call__(self, number, _frame) -> None:
        self.received.append(number)

    def install(self) -> None:
        for number in SIGNALS:
            signal.signal(number, self)


@pytest.fixture
def earlier():
    before = [signal.getsignal(number) for number in SIGNALS]
    handler = Earlier()
    handler.install()
    yield handler
    while _entered:
        # Blocks that a failed test has left open.
        leave(_entered[-1])
    for number, handle in zip(SIGNALS, before, strict=True):
        signal.signal(number, handle)


def handlers():
    return [signal.getsignal(number) for number in SIGNALS]


def enter(block) -> None:
    """Begin a block that may end in any order."""
    block.__enter__()
    _entered.append(block)


def leave(block, error=None) -> None:
    """End a block, with the exception that leaves it."""
    _entered.remove(block)
    with suppress(*[type(error)] if error else []):
        block.__exit__(type(error) if error else None, error, error and error.__traceback__)


def received_in_block(number, kind):
    """Return the exception that a signal raises in the calling block."""
    with pytest.raises(kind) as raised:
        signal.raise_signal(number)
    assert kind is KeyboardInterrupt or raised.value.code == 128 + number
    return raised.value


@pytest.mark.parametrize("order", ORDERS)
def test_blocks_end_in_any_order_and_put_the_handlers_back_with_the_last(earlier, order):
    containers = [container_of() for _ in range(COUNT)]
    blocks = [running(container) for container in containers]
    for block in blocks:
        enter(block)
    for ended, index in enumerate(order, 1):
        leave(blocks[index])
        assert state(containers[index]) is State.STOPPED
        assert (earlier in handlers()) == (ended == COUNT)
    assert handlers() == [earlier, earlier]
    signal.raise_signal(signal.SIGTERM)
    assert earlier.received == [signal.SIGTERM]


@pytest.mark.parametrize(("number", "kind"), ENDS)
@pytest.mark.parametrize("order", ORDERS)
def test_the_last_block_receives_signals_whichever_ended_before(earlier, order, number, kind):
    containers = [container_of() for _ in range(COUNT)]
    blocks = [running(container) for container in containers]
    for block in blocks:
        enter(block)
    for index in order[:-1]:
        leave(blocks[index])
    leave(blocks[order[-1]], received_in_block(number, kind))
    assert [state(container) for container in containers] == [State.STOPPED] * COUNT
    assert handlers() == [earlier, earlier]
    assert earlier.received == []


def test_a_signal_ends_all_blocks_in_the_order_of_their_start(earlier):
    containers = [container_of() for _ in range(2)]
    blocks = [running(container) for container in containers]
    for block in blocks:
        enter(block)
    error = received_in_block(signal.SIGTERM, SystemExit)
    for block in blocks:
        leave(block, error)
    assert [state(container) for container in containers] == [State.STOPPED] * 2
    assert handlers() == [earlier, earlier]


def test_generator_fixtures_that_end_first_in_first_out_leave_signals_as_they_were(earlier):
    def fixture():
        with running(container_of()) as container:
            yield container

    fixtures = [fixture(), fixture()]
    containers = [next(generator) for generator in fixtures]
    for generator in fixtures:
        assert next(generator, None) is None
    assert [state(container) for container in containers] == [State.STOPPED] * 2
    assert handlers() == [earlier, earlier]


def test_a_block_that_was_used_before_takes_part_again(earlier):
    first, second = running(container_of()), running(container_of())
    for _ in range(2):
        enter(first)
        enter(second)
        leave(first)
        leave(second, received_in_block(signal.SIGTERM, SystemExit))
        assert handlers() == [earlier, earlier]


@pytest.mark.parametrize("first_ends", [0, 1])
def test_two_tasks_end_their_blocks_in_any_order(earlier, first_ends):
    containers = [container_of() for _ in range(2)]

    async def hold(container, entered, may_end):
        async with running(container):
            entered.set()
            await may_end.wait()

    async def main():
        ends = [asyncio.Event() for _ in containers]
        tasks = []
        for container, may_end in zip(containers, ends, strict=True):
            entered = asyncio.Event()
            tasks.append(asyncio.create_task(hold(container, entered, may_end)))
            await entered.wait()
        for index in (first_ends, 1 - first_ends):
            assert earlier not in handlers()
            ends[index].set()
            await tasks[index]
            assert state(containers[index]) is State.STOPPED

    asyncio.run(main())
    assert handlers() == [earlier, earlier]


@pytest.mark.parametrize(("number", "kind"), ENDS)
@pytest.mark.parametrize("ended", [None, 0, 1])
def test_a_signal_ends_the_blocks_of_all_tasks_that_remain(earlier, number, kind, ended):
    containers, tasks = [container_of() for _ in range(2)], []

    async def hold(container, entered, may_end):
        async with running(container):
            entered.set()
            await may_end.wait()

    async def main():
        ends = [asyncio.Event() for _ in containers]
        for container, may_end in zip(containers, ends, strict=True):
            entered = asyncio.Event()
            tasks.append(asyncio.create_task(hold(container, entered, may_end)))
            await entered.wait()
        if ended is not None:
            ends[ended].set()
            await tasks[ended]
        signal.raise_signal(number)
        # An exit in a task ends the loop; a waiting main task would only raise it once more.
        await asyncio.wait(tasks, timeout=LONG)

    with pytest.raises(kind):
        asyncio.run(main())
    assert kind in [type(task.exception()) for task in tasks if not task.cancelled()]
    assert [state(container) for container in containers] == [State.STOPPED] * 2
    assert handlers() == [earlier, earlier]
    assert earlier.received == []


def test_an_async_block_within_a_block_ends_with_it(earlier):
    outer, inner = container_of(), container_of()

    async def main():
        async with running(inner):
            signal.raise_signal(signal.SIGTERM)
            await asyncio.sleep(LONG)

    with pytest.raises(SystemExit) as raised, running(outer):
        asyncio.run(main())
    assert raised.value.code == 143
    assert (state(outer), state(inner)) == (State.STOPPED, State.STOPPED)
    assert handlers() == [earlier, earlier]


def test_a_block_in_another_thread_leaves_the_main_threads_block_its_signals(earlier):
    begun, may_end = threading.Event(), threading.Event()

    def hold() -> None:
        with running(container_of()):
            begun.set()
            may_end.wait(LONG)

    thread = threading.Thread(target=hold)
    block = running(container_of())
    enter(block)
    thread.start()
    assert begun.wait(LONG)
    may_end.set()
    thread.join(LONG)
    leave(block, received_in_block(signal.SIGTERM, SystemExit))
    assert handlers() == [earlier, earlier]


def test_a_block_in_another_thread_that_outlasts_the_main_threads_holds_no_signal(earlier):
    begun, may_end = threading.Event(), threading.Event()
    container = container_of()

    def hold() -> None:
        with running(container):
            begun.set()
            may_end.wait(LONG)

    thread = threading.Thread(target=hold)
    with running(container_of()):
        thread.start()
        assert begun.wait(LONG)
    assert handlers() == [earlier, earlier]
    signal.raise_signal(signal.SIGTERM)
    may_end.set()
    thread.join(LONG)
    assert earlier.received == [signal.SIGTERM]
    assert state(container) is State.STOPPED


def test_a_block_that_ends_in_another_thread_passes_later_signals_on(earlier):
    # Only the main thread can change handlers, so that ours may have to stay for a while.
    container = container_of()
    block = running(container)
    enter(block)
    thread = threading.Thread(target=leave, args=(block,))
    thread.start()
    thread.join(LONG)
    assert state(container) is State.STOPPED
    signal.raise_signal(signal.SIGTERM)
    assert earlier.received == [signal.SIGTERM]
    with running(container_of()):
        pass
    assert handlers() == [earlier, earlier]


def test_a_start_that_fails_leaves_the_other_block_its_signals(earlier):
    block = running(container_of())
    enter(block)
    with pytest.raises(OSError, match="no"), running(container_of(start=OSError("no"))):
        pytest.fail("it has started")
    leave(block, received_in_block(signal.SIGTERM, SystemExit))
    assert handlers() == [earlier, earlier]


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_block_whose_beginning_is_interrupted_receives_no_more_signals(
    earlier, monkeypatch, number, kind
):
    """By a handler from before, which raises while the handlers are replaced one after another."""
    install, calls = signal.signal, []

    def interrupted(number_, handler):
        calls.append(number_)
        before = install(number_, handler)
        if len(calls) == number + 1:
            raise KeyboardInterrupt
        return before

    async def asynchronous() -> None:
        async with running(container):
            pytest.fail("it has begun")

    def begin() -> None:
        if kind == "async":
            asyncio.run(asynchronous())
        enter(running(container))

    container = container_of()
    monkeypatch.setattr(signal, "signal", interrupted)
    with pytest.raises(KeyboardInterrupt):
        begin()
    monkeypatch.undo()
    assert handlers() == [earlier, earlier]
    signal.raise_signal(signal.SIGTERM)
    assert earlier.received == [signal.SIGTERM]


def test_a_block_that_was_never_left_does_not_hinder_others_when_its_loop_is_closed(earlier):
    abandoned, container = running(container_of()), container_of()

    async def asynchronous() -> None:
        async with running(container):
            signal.raise_signal(signal.SIGTERM)
            await asyncio.sleep(LONG)

    with asyncio.Runner() as runner:
        runner.run(abandoned.__aenter__())
    with pytest.raises(SystemExit):
        asyncio.run(asynchronous())
    assert state(container) is State.STOPPED
    with pytest.raises(SystemExit):
        asyncio.run(abandoned.__aexit__(None, None, None))
    assert handlers() == [earlier, earlier]


def test_a_stop_that_fails_leaves_the_other_block_its_signals(earlier):
    first, second = running(container_of(stop=OSError("no"))), running(container_of())
    enter(first)
    enter(second)
    with pytest.raises(ShutdownError):
        leave(first)
    leave(second, received_in_block(signal.SIGTERM, SystemExit))
    assert handlers() == [earlier, earlier]


def test_blocks_end_with_exceptions_in_any_order(earlier):
    blocks = [running(container_of()) for _ in range(2)]
    for block in blocks:
        enter(block)
    for block in blocks:
        leave(block, OSError("no"))
    assert handlers() == [earlier, earlier]


def test_blocks_of_different_signals_end_in_any_order(earlier):
    first = running(container_of(), signals=[signal.SIGINT])
    second = running(container_of(), signals=[signal.SIGTERM])
    enter(first)
    enter(second)
    leave(first)
    signal.raise_signal(signal.SIGINT)
    assert earlier.received == [signal.SIGINT]
    leave(second, received_in_block(signal.SIGTERM, SystemExit))
    assert handlers() == [earlier, earlier]


def test_a_block_without_signals_inside_another_one_is_ended_with_it(earlier):
    outer, inner = container_of(), container_of()
    with pytest.raises(SystemExit), running(outer), running(inner, signals=()):
        signal.raise_signal(signal.SIGTERM)
    assert (state(outer), state(inner)) == (State.STOPPED, State.STOPPED)


def test_a_handler_that_the_block_installs_stays(earlier):
    own = Earlier()
    with running(container_of()), running(container_of()):
        signal.signal(signal.SIGTERM, own)
    assert handlers() == [earlier, own]


def test_a_handler_that_is_installed_between_two_blocks_is_not_lost(earlier):
    own = Earlier()
    with running(container_of()):
        signal.signal(signal.SIGTERM, own)
        with running(container_of()):
            assert own not in handlers()
    assert handlers() == [earlier, own]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_handler_that_calls_ours_after_the_block_reaches_the_earlier_one(earlier, number):
    with running(container_of()):
        ours = signal.getsignal(number)
        signal.signal(number, partial(ours))
    signal.raise_signal(number)
    assert earlier.received == [number]


@pytest.mark.parametrize(
    "original",
    [signal.SIG_DFL, signal.default_int_handler, Earlier(), signal.SIG_IGN],
    ids=["default", "KeyboardInterrupt", "the program's own", "ignored"],
)
def test_every_kind_of_handler_is_put_back(earlier, original):
    for number in SIGNALS:
        signal.signal(number, original)
    blocks = [running(container_of()) for _ in range(2)]
    for block in blocks:
        enter(block)
        assert (original in handlers()) == (original is signal.SIG_IGN)
    for block in blocks:
        leave(block)
    assert handlers() == [original, original]


def test_ignored_signals_end_no_block(earlier):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with ExitStack() as blocks:
        for _ in range(2):
            blocks.enter_context(running(container_of()))
        signal.raise_signal(signal.SIGINT)
    assert handlers() == [signal.SIG_IGN, earlier]


AFTER_TWO_BLOCKS = """
    import os, signal, sys
    from metrics.lifecycle import LifecycleContainer, running

    class Container(LifecycleContainer):
        pass

    def enter():
        block = running(Container())
        block.__enter__()
        return block

    first, second = enter(), enter()
    if sys.argv[2] == "chained":
        ours = signal.getsignal(int(sys.argv[1]))
        signal.signal(int(sys.argv[1]), lambda *arguments: ours(*arguments))
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    print("left", flush=True)
    os.kill(os.getpid(), int(sys.argv[1]))
    print("survived", flush=True)
"""


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("handler", ["restored", "chained"])
def test_a_process_can_be_ended_by_signals_after_its_blocks(number, handler):
    ended = ran(AFTER_TWO_BLOCKS, number, handler)
    assert ended.lines == ["left"]
    # A default action that ours has to pass on may also be an exit with the code of a shell.
    assert ended.code in {-number, 128 + number}
