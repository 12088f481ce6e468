"""A leaked thread or task shows where it is now, and the threads in which it was started."""

import _thread
import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue

import pytest

from metrics.testing import Leak, LeakError, no_leaks
from tests.testing.leaks.leaving import blamed, loop, process

Job = Callable[[], object]


def functions(leak: Leak) -> list[str]:
    return [place.function for place in leak.now]


@contextmanager
def waiting() -> Iterator[tuple[Job, threading.Event]]:
    """Provide a function that waits in two others, and the event that it sets before it waits."""
    over, here = threading.Event(), threading.Event()

    def wait_inside() -> None:
        here.set()
        over.wait()

    def work() -> None:
        wait_inside()

    yield work, here
    over.set()


def test_a_thread_shows_its_present_lines_without_the_ones_of_threading():
    with waiting() as (work, here):
        thread = threading.Thread(target=work)
        _, (leak,) = blamed(lambda: (thread.start(), here.wait()))
    thread.join()
    assert functions(leak) == ["wait_inside", "work"]
    text = str(leak)
    assert text.index(", started at\n") < text.index("\n  now at\n")
    assert text.endswith(f"in wait_inside\n      {leak.now[0].source}")
    assert leak.now[0].source == "over.wait()"


def test_a_thread_without_an_object_shows_its_present_lines():
    ended = threading.Event()
    with waiting() as (work, here):

        def run() -> None:
            work()
            ended.set()

        _, (leak,) = blamed(lambda: (_thread.start_new_thread(run, ()), here.wait()))
    ended.wait()
    assert functions(leak) == ["wait_inside", "work", "run"]
    assert not leak.stack
    assert "(started without threading), now at\n" in str(leak)


def test_a_worker_of_a_pool_shows_that_it_waits_for_work():
    def work() -> ThreadPoolExecutor:
        pool = ThreadPoolExecutor(1, thread_name_prefix="pool")
        pool.submit(int).result()
        return pool

    pool, (leak,) = blamed(work)
    pool.shutdown()
    assert functions(leak) == ["_worker"]
    assert [line.partition(" at ")[0] for line in leak.context] == ["for the pool created"]


def test_a_task_shows_all_that_it_awaits():
    async def innermost() -> None:
        await asyncio.sleep(60)

    async def generator():
        await innermost()
        yield

    async def outermost() -> None:
        async for _ in generator():
            pass

    async def main() -> tuple[Leak, ...]:
        try:
            async with no_leaks(grace=0.0):
                task = asyncio.create_task(outermost())
                await asyncio.sleep(0)
        except LeakError as error:
            task.cancel()
            return error.leaks
        return ()

    (leak,) = asyncio.run(main())
    assert functions(leak)[-3:] == ["innermost", "generator", "outermost"]
    assert "\n  now at\n" in str(leak)


def test_a_task_that_has_not_begun_shows_its_first_line():
    async def work() -> None:
        await asyncio.sleep(60)

    made = asyncio.new_event_loop()
    task, (leak,) = blamed_task(made, work)
    task.cancel()
    made.run_until_complete(asyncio.gather(task, return_exceptions=True))
    made.close()
    assert functions(leak) == ["work"]


def blamed_task(made: asyncio.AbstractEventLoop, work: Callable[[], object]):
    return blamed(lambda: made.create_task(work()))


@pytest.mark.parametrize("leaving", [process, loop])
def test_other_kinds_have_no_present_lines(leaving):
    block = leaving()
    _, leaks = blamed(block.__enter__)
    block.__exit__(None, None, None)
    assert leaks
    assert not any(leak.now for leak in leaks)
    assert "now at" not in "".join(map(str, leaks))


def chain(levels: int, last: Job) -> None:
    """Call a function in a chain of threads, each of which ends at once."""
    if not levels:
        last()
        return
    thread = threading.Thread(target=chain, args=(levels - 1, last), name=f"level-{levels}")
    thread.start()
    thread.join()


@pytest.mark.parametrize("levels", [0, 1, 3, 5])
def test_a_leak_shows_the_threads_in_which_it_was_started(levels: int):
    over = threading.Event()
    started: list[threading.Thread] = []

    def leave() -> None:
        started.append(threading.Thread(target=over.wait))
        started[0].start()

    _, (leak,) = blamed(lambda: chain(levels, leave))
    over.set()
    started[0].join()
    shown = min(levels, 3)
    assert [line.split("'")[1] for line in leak.context] == [
        f"level-{number + 1}" for number in range(shown)
    ]
    for line in leak.context:
        assert line.startswith("in thread 'level-")
        assert f", started at {__file__}:" in line
        assert f"\n    {line}" in str(leak)


def test_a_loop_and_a_socket_of_a_thread_show_that_thread():
    made: SimpleQueue[asyncio.AbstractEventLoop] = SimpleQueue()
    _, leaks = blamed(lambda: chain(1, lambda: made.put(asyncio.new_event_loop())))
    made.get().close()
    assert [leak.kind for leak in leaks] == ["event loop"]
    assert leaks[0].context[0].startswith("in thread 'level-1', started at ")


def test_a_leak_of_the_calling_thread_shows_no_thread():
    with waiting() as (work, _):
        thread = threading.Thread(target=work)
        _, (leak,) = blamed(thread.start)
    thread.join()
    assert leak.context == ()
