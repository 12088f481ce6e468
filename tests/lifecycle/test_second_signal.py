"""A second signal always takes effect: it ends the program, and the log names the hanging hook."""

import signal

import pytest

from tests.lifecycle.programs import Program, ran

SIGNALS = [signal.SIGTERM, signal.SIGINT]
CODES = {signal.SIGTERM: 143, signal.SIGINT: -signal.SIGINT}

# Far longer than the programs may run.
HEAD = """
    import asyncio, logging, os, signal, sys, threading, time
    from metrics.lifecycle import LifecycleContainer, Resource, running

    logging.basicConfig(level=logging.INFO)
    FOREVER = 3600.0

    def hang():
        print("hangs", flush=True)
        threading.Event().wait(FOREVER)

    def first():
        print("start first", flush=True)
        yield
        print("stop first", flush=True)
"""

HANGS_AT_STOP = """
    def hook(needed):
        yield
        hang()
"""

HANGS_AT_START = """
    def hook(needed):
        hang()
        yield
"""

ASYNC_HANGS_AT_STOP = """
    async def hook(needed):
        yield
        print("hangs", flush=True)
        await asyncio.Event().wait()
"""

ASYNC_HANGS_AT_START_AND_REFUSES_ONCE = """
    async def hook(needed):
        try:
            print("begins", flush=True)
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            print("hangs", flush=True)
            await asyncio.Event().wait()
        yield
"""

CONTAINER = """
    class Container(LifecycleContainer):
        needed = Resource(first)
        stuck = Resource(hook, needed)

    container = Container()
"""

SYNC = """
    with running(container, timeout=TIMEOUT):
        print("block", flush=True)
        threading.Event().wait(FOREVER)
"""

ASYNC = """
    async def main():
        async with running(container, timeout=TIMEOUT):
            print("block", flush=True)
            await asyncio.Event().wait()

    asyncio.run(main())
"""


def source(*pieces, timeout="FOREVER") -> str:
    return "".join(pieces).replace("TIMEOUT", timeout)


@pytest.mark.parametrize(
    ("number", "timeout"), [(signal.SIGTERM, "FOREVER"), (signal.SIGINT, "float('inf')")]
)
@pytest.mark.parametrize(
    ("hook", "block"),
    [
        (HANGS_AT_STOP, SYNC),
        (HANGS_AT_STOP, ASYNC),
        (ASYNC_HANGS_AT_STOP, ASYNC),
    ],
    ids=["sync", "sync hook in async with", "async hook"],
)
def test_a_second_signal_ends_a_program_whose_hook_hangs_at_the_stop(hook, block, timeout, number):
    with Program(source(HEAD, hook, CONTAINER, block, timeout=timeout)) as program:
        program.until("block")
        program.send(number)
        program.until("hangs")
        program.send(number)
        ended = program.end()
    assert ended.code == CODES[number], ended
    assert "'stuck'" in ended.errors


@pytest.mark.parametrize("number", SIGNALS)
def test_one_signal_ends_a_sync_hook_that_hangs_at_the_start(number):
    with Program(source(HEAD, HANGS_AT_START, CONTAINER, SYNC)) as program:
        program.until("hangs")
        program.send(number)
        ended = program.end()
    assert ended.code == CODES[number], ended
    assert ended.lines == ["start first", "hangs", "stop first"]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_second_signal_ends_a_start_whose_hook_refuses_the_first(number):
    hook = ASYNC_HANGS_AT_START_AND_REFUSES_ONCE
    with Program(source(HEAD, hook, CONTAINER, ASYNC)) as program:
        program.until("begins")
        program.send(number)
        program.until("hangs")
        program.send(number)
        ended = program.end()
    assert ended.code == CODES[number], ended
    assert "'stuck'" in ended.errors


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("block", [SYNC, ASYNC], ids=["with", "async with"])
def test_a_second_signal_ends_a_start_with_a_hook_in_another_thread(block, number):
    # Two signals that differ are never merged by the system, in whatever order they arrive.
    limited = block.replace("timeout=TIMEOUT", "timeout=TIMEOUT, start_timeout=FOREVER")
    with Program(source(HEAD, HANGS_AT_START, CONTAINER, limited)) as program:
        program.until("hangs")
        program.send(number)
        program.send(next(other for other in SIGNALS if other is not number))
        ended = program.end()
    assert ended.code in CODES.values(), ended
    assert "'stuck'" in ended.errors


@pytest.mark.parametrize("number", SIGNALS)
def test_a_second_signal_ends_the_roll_back_of_a_start(number):
    hooks = """
    def stuck():
        yield
        hang()

    def interrupted(needed):
        print("starts", flush=True)
        threading.Event().wait(FOREVER)
        yield

    class Container(LifecycleContainer):
        stuck = Resource(stuck)
        other = Resource(interrupted, stuck)

    container = Container()
    """
    with Program(source(HEAD, hooks, SYNC)) as program:
        program.until("starts")
        program.send(number)
        program.until("hangs")
        program.send(number)
        ended = program.end()
    assert ended.code == CODES[number], ended
    assert "'stuck'" in ended.errors


@pytest.mark.parametrize("number", SIGNALS)
def test_a_second_signal_ends_an_async_block_that_refuses_the_first(number):
    block = """
    def hook(needed):
        yield
        print("stop stuck", flush=True)

    class Container(LifecycleContainer):
        needed = Resource(first)
        stuck = Resource(hook, needed)

    async def main():
        async with running(Container()):
            print("block", flush=True)
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                print("hangs", flush=True)
                await asyncio.Event().wait()

    asyncio.run(main())
    """
    with Program(source(HEAD, block)) as program:
        program.until("block")
        program.send(number)
        program.until("hangs")
        program.send(number)
        ended = program.end()
    assert ended.code == CODES[number], ended
    assert ended.lines[-2:] == ["stop stuck", "stop first"]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_second_signal_is_raised_at_once_in_an_async_block_that_does_not_await(number):
    block = """
    def hook(needed):
        yield
        print("stop stuck", flush=True)

    class Container(LifecycleContainer):
        needed = Resource(first)
        stuck = Resource(hook, needed)

    async def main():
        async with running(Container()):
            signal.raise_signal(int(sys.argv[1]))
            print("goes on", flush=True)
            try:
                signal.raise_signal(int(sys.argv[1]))
            except BaseException as error:
                print(type(error).__name__, flush=True)
                raise
            print("goes on", flush=True)

    asyncio.run(main())
    """
    ended = ran(source(HEAD, block), int(number))
    kind = "KeyboardInterrupt" if number == signal.SIGINT else "SystemExit"
    assert ended.lines == ["start first", "goes on", kind, "stop stuck", "stop first"], ended
    assert ended.code == CODES[number]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_second_signal_stops_the_other_resources_as_far_as_the_hanging_hook_lets_it(number):
    # The hook of the calling thread is interrupted, and the next one has its turn.
    hook = """
    def hook(needed):
        yield
        print("hangs", flush=True)
        threading.Event().wait(FOREVER)
    """
    with Program(source(HEAD, hook, CONTAINER, SYNC, timeout="float('inf')")) as program:
        program.until("block")
        program.send(number)
        program.until("hangs")
        program.send(number)
        ended = program.end()
    assert ended.code == CODES[number], ended
    assert ended.lines[-1] == "stop first"


@pytest.mark.parametrize("block", [SYNC, ASYNC], ids=["with", "async with"])
def test_many_signals_end_a_program_like_two(block):
    with Program(source(HEAD, HANGS_AT_STOP, CONTAINER, block)) as program:
        program.until("block")
        program.send(signal.SIGTERM)
        program.until("hangs")
        for _ in range(5):
            program.send(signal.SIGTERM)
        ended = program.end()
    # A signal that comes after the handlers have been put back has the system's effect.
    assert ended.code in {143, -signal.SIGTERM}, ended
