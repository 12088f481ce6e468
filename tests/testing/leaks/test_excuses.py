"""What is new after a block and not its own: others answer for it, and it for nothing else."""

import _thread
import asyncio
import multiprocessing
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from subprocess import PIPE, Popen
from unittest import mock

import pytest

from metrics.testing import LeakError, no_leaks
from tests.testing.leaks.leaving import SLEEP, blamed


@contextmanager
def starting(*, at: int) -> Iterator[Callable[[], None]]:
    """Give a function that lets a thread that is there start another, and that one the next."""
    asked, done, over = threading.Event(), threading.Event(), threading.Event()
    threads: list[threading.Thread] = []

    def generation(number: int) -> None:
        if number == 0:
            asked.wait()
        if number < at:
            threads.append(threading.Thread(target=generation, args=(number + 1,)))
            threads[-1].start()
        else:
            done.set()
        over.wait()

    def ask() -> None:
        asked.set()
        done.wait()

    threads.append(threading.Thread(target=generation, args=(0,)))
    threads[0].start()
    try:
        yield ask
    finally:
        asked.set()
        over.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("generations", [1, 2, 3])
def test_what_is_started_by_what_a_known_thread_started_is_not_blamed(generations: int):
    with starting(at=generations) as ask, no_leaks(grace=0.0):
        ask()


def test_what_threads_of_the_block_start_is_blamed():
    with ExitStack() as stack:

        def start() -> None:
            ask = stack.enter_context(starting(at=2))
            ask()

        _, leaks = blamed(start)
    assert len(leaks) == 3


def test_the_main_thread_answers_for_itself_while_another_one_is_checked():
    begun, started, over = threading.Event(), threading.Event(), threading.Event()

    def check() -> None:
        with no_leaks(grace=0.0):
            begun.set()
            started.wait()

    with ThreadPoolExecutor(1) as pool:
        checked = pool.submit(check)
        begun.wait()
        other = threading.Thread(target=over.wait)
        other.start()
        started.set()
        checked.exception()
        over.set()
        other.join()
    assert checked.exception() is None


def test_a_thread_that_is_checked_answers_for_what_it_starts():
    over = threading.Event()
    left = threading.Thread(target=over.wait, name="left")

    def check() -> None:
        with no_leaks(grace=0.0):
            left.start()

    with ThreadPoolExecutor(1) as pool:
        error = pool.submit(check).exception()
    over.set()
    left.join()
    assert isinstance(error, LeakError)


def test_a_thread_that_gets_an_object_meanwhile_is_not_new():
    begun, asked, named, over, ended = (threading.Event() for _ in range(5))

    def work() -> None:
        begun.set()
        asked.wait()
        threading.current_thread()
        named.set()
        over.wait()
        ended.set()

    _thread.start_new_thread(work, ())
    begun.wait()
    try:
        with no_leaks(grace=0.0):
            asked.set()
            named.wait()
    finally:
        over.set()
        ended.wait()


@pytest.mark.parametrize(
    "executor",
    [
        lambda: ThreadPoolExecutor(2),
        lambda: ProcessPoolExecutor(1, multiprocessing.get_context("fork")),
        lambda: ProcessPoolExecutor(1, multiprocessing.get_context("spawn")),
    ],
    ids=["threads", "forked processes", "spawned processes"],
)
def test_an_executor_that_was_there_before_owns_what_it_starts(executor: Callable[[], Executor]):
    with executor() as pool, no_leaks(grace=0.0):
        assert pool.submit(abs, -1).result() == 1


def test_a_task_that_was_there_before_owns_what_it_starts():
    over = threading.Event()
    kept: list[object] = []

    async def serve(asked: asyncio.Event, done: asyncio.Event) -> None:
        await asked.wait()
        kept.append(threading.Thread(target=over.wait))
        kept[0].start()
        kept.append(asyncio.create_task(asyncio.sleep(60)))
        done.set()

    async def main() -> None:
        asked, done = asyncio.Event(), asyncio.Event()
        server = asyncio.create_task(serve(asked, done))
        await asyncio.sleep(0)
        async with no_leaks(grace=0.0):
            asked.set()
            await done.wait()
            await server

    asyncio.run(main())
    over.set()
    kept[0].join()


def test_the_pipes_of_a_process_are_told_with_it():
    child, leaks = blamed(lambda: Popen(SLEEP, stdin=PIPE, stdout=PIPE))
    child.kill()
    child.communicate()
    assert [leak.kind for leak in leaks] == ["process"]


def test_the_pipe_of_a_process_that_has_ended_is_blamed_with_where_it_was_started():
    def run() -> Popen[bytes]:
        child = Popen([sys.executable, "-c", ""], stdout=PIPE)
        child.wait()
        return child

    child, (leak,) = blamed(run)
    child.stdout.close()
    assert leak.kind == "pipe"
    assert "test_the_pipe_of" in str(leak)


def test_a_process_of_a_fork_server_is_blamed_and_the_server_is_not():
    context = multiprocessing.get_context("forkserver")
    child = context.Process(target=time.sleep, args=(60,), name="served")
    _, leaks = blamed(child.start)
    child.kill()
    child.join()
    child.close()
    assert [leak[:2] for leak in leaks] == [("process", "served")]


def test_a_mock_that_starts_a_thread_is_no_tool():
    over = threading.Event()
    thread = threading.Thread(target=over.wait, name="wrapped")
    with pytest.raises(LeakError, match="wrapped"), no_leaks(grace=0.0):
        mock.Mock(wraps=thread).start()
    over.set()
    thread.join()


def test_blocks_in_several_threads_do_not_blame_each_other():
    def check(_: int) -> None:
        for _ in range(20):
            # Each has files open for a moment, to see what there is.
            with no_leaks(grace=60.0):
                thread = threading.Thread(target=int)
                thread.start()
                thread.join()

    futures: list[Future[None]] = []
    with ThreadPoolExecutor(4) as pool:
        futures.extend(pool.submit(check, number) for number in range(4))
    assert [future.exception() for future in futures] == [None] * 4
