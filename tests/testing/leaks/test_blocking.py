"""Callbacks that hold an event loop are reported by the evidence of their stack and processor."""

import asyncio
import re
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest

from metrics.testing import Leak, LeakError, assert_no_leaks, no_leaks
from metrics.testing.leaks import _blocking as blocking

LIMIT = 0.05


def wait_in_system() -> None:
    """Wait for a socket that stays silent, longer than the limit."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(LIMIT * 6)
        with pytest.raises(TimeoutError):
            ours.recv(1)


def compute() -> None:
    """Use the processor for longer than the limit."""
    until = time.thread_time() + LIMIT * 4
    while time.thread_time() < until:
        sum(range(1000))


def keep_the_lock() -> None:
    """Use the processor in one call that no other thread of Python interrupts."""
    until = time.thread_time() + LIMIT * 2
    while time.thread_time() < until:
        sum(range(1_000_000))


def run_in_loop(work: Callable[[], object]) -> tuple[Leak, ...]:
    """Return the leaks of a coroutine that calls a function."""

    async def main() -> None:
        await asyncio.sleep(0)
        work()

    return leaks_of(lambda: asyncio.run(main()))


def leaks_of(call: Callable[[], object], **options: object) -> tuple[Leak, ...]:
    try:
        with no_leaks(blocking=LIMIT, **options):
            call()
    except LeakError as error:
        return error.leaks
    return ()


@pytest.mark.parametrize("work", [wait_in_system, compute, keep_the_lock])
def test_a_callback_that_holds_the_loop_is_reported_with_its_stack(work: Callable[[], object]):
    (leak,) = run_in_loop(work)
    assert leak[:2] == ("blocked event loop", "main")
    assert [place.function for place in leak.stack][-2:] == [work.__name__, "main"]
    assert f"blocked event loop 'main' ({leak.detail}), held at\n" in str(leak)
    assert "run_until_complete" not in str(leak)
    assert leak.detail.endswith(" s or more")


def test_a_plain_callback_is_reported_as_well():
    def handle() -> None:
        wait_in_system()
        loop.stop()

    loop = asyncio.new_event_loop()
    loop.call_soon(handle)
    (leak,) = leaks_of(loop.run_forever)
    loop.close()
    assert leak.name == "handle"


def test_an_async_block_reports_its_own_loop():
    async def main() -> None:
        async with no_leaks(blocking=LIMIT):
            await asyncio.sleep(0)
            wait_in_system()

    with pytest.raises(LeakError, match="blocked event loop 'main'"):
        asyncio.run(main())


def test_each_blocking_callback_is_reported_once():
    async def first() -> None:
        wait_in_system()

    async def second() -> None:
        wait_in_system()

    async def main() -> None:
        await asyncio.create_task(first())
        await asyncio.create_task(second())

    assert [leak.name for leak in leaks_of(lambda: asyncio.run(main()))] == ["first", "second"]


async def many_short_callbacks() -> None:
    for _ in range(20_000):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    "coroutine",
    [
        lambda: asyncio.sleep(LIMIT * 4),
        lambda: asyncio.to_thread(wait_in_system),
        many_short_callbacks,
    ],
    ids=["sleep", "to_thread", "busy"],
)
def test_a_loop_that_is_not_held_is_not_reported(coroutine: Callable[[], Awaitable[object]]):
    async def main() -> None:
        await coroutine()

    assert leaks_of(lambda: asyncio.run(main())) == ()


def test_a_wait_without_a_loop_is_not_reported():
    assert leaks_of(wait_in_system) == ()


@pytest.mark.skipif(sys.platform != "linux", reason="reads the states of Linux")
def test_a_callback_that_waits_for_a_processor_is_not_reported(monkeypatch: pytest.MonkeyPatch):
    """As on a machine with more to do than it can: the thread is runnable, and does not run."""
    monkeypatch.setattr(blocking, "read", lambda _: "1 (python) R 1")
    assert run_in_loop(wait_in_system) == ()
    monkeypatch.setattr(blocking, "read", lambda _: "1 (python) S 1")
    assert len(run_in_loop(wait_in_system)) == 1


def test_a_callback_that_waits_for_other_threads_of_python_is_not_reported():
    """The callback itself needs little of the processor, and other threads use the rest."""
    over = threading.Event()

    def hog() -> None:
        while not over.is_set():
            sum(range(100))

    def step() -> None:
        until = time.thread_time() + LIMIT / 5
        while time.thread_time() < until:
            sum(range(100))

    with no_leaks():
        hogs = [threading.Thread(target=hog) for _ in range(4)]
        for each in hogs:
            each.start()
        leaks = run_in_loop(step)
        over.set()
        for each in hogs:
            each.join()
    assert leaks == ()


def test_a_pattern_allows_a_blocked_loop():
    async def main() -> None:
        wait_in_system()

    assert leaks_of(lambda: asyncio.run(main()), ignore="blocked event loop main") == ()
    assert leaks_of(lambda: asyncio.run(main()), ignore="blocked event loop") == ()
    here = "blocked event loop @ leaks/test_blocking.py"
    assert leaks_of(lambda: asyncio.run(main()), ignore=here) == ()
    assert len(leaks_of(lambda: asyncio.run(main()), ignore="thread main")) == 1


@contextmanager
def threads_unchanged() -> Iterator[None]:
    before = threading.enumerate()
    yield
    assert threading.enumerate() == before


def test_the_sampling_thread_is_no_leak_and_ends_with_the_block():
    with threads_unchanged(), no_leaks():
        with no_leaks(blocking=60.0):
            assert len(threading.enumerate()) >= 2
            with no_leaks(blocking=60.0):
                # Servers and containers of other tests run beside it.
                assert_no_leaks(ignore=re.compile("^(?!thread .*metrics-leakcheck-blocking)"))
        with pytest.raises(OSError), no_leaks(blocking=60.0):
            raise OSError


def test_nothing_is_sampled_unless_requested():
    with threads_unchanged(), no_leaks():
        before = threading.active_count()
        with no_leaks(), no_leaks(blocking=0), no_leaks(blocking=None):
            assert threading.active_count() == before


def test_each_call_of_a_decorated_function_is_watched():
    @no_leaks(blocking=LIMIT)
    async def handle() -> None:
        await asyncio.sleep(0)
        wait_in_system()

    for _ in range(2):
        with pytest.raises(LeakError, match="blocked event loop 'handle'"):
            asyncio.run(handle())


@pytest.mark.parametrize("wrong", [-1, "soon", float("nan")])
def test_a_wrong_limit_is_an_error(wrong: object):
    with pytest.raises(ValueError, match=r"blocking is a number of seconds, 0 or more; got"):
        no_leaks(blocking=wrong)
