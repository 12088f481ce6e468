"""`no_leaks` and `assert_no_leaks`, without pytest."""

import asyncio
import gc
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from weakref import ref

import pytest

from metrics.testing import Leak, LeakError, assert_no_leaks, no_leaks
from tests.testing.leaks.leaving import PLANTED, WITHOUT_STACK, thread


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.__name__)
def test_what_is_left_is_named_with_where_it_was_started(planted: Callable):
    left = planted()
    try:
        with pytest.raises(LeakError) as caught, no_leaks(grace=0.0):
            left.__enter__()
        pattern = PLANTED[planted].replace("(", r"\(").replace(")", r"\)")
        (blamed, *_) = [leak for leak in caught.value.leaks if re.match(pattern, str(leak))]
        functions = {place.function for place in blamed.stack}
        assert (planted.__name__ in functions) is (planted not in WITHOUT_STACK)
        assert str(blamed) in str(caught.value)
    finally:
        left.__exit__(None, None, None)


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.__name__)
def test_what_is_stopped_is_not_blamed(planted: Callable):
    with no_leaks(), planted():
        pass


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.__name__)
def test_what_was_there_before_is_not_blamed(planted: Callable):
    with planted(), no_leaks(grace=0.0):
        pass


def test_a_thread_that_ends_within_the_grace_period_is_not_blamed():
    over = threading.Event()

    def end() -> None:
        over.wait()

    with no_leaks(grace=60.0):
        threading.Thread(target=end).start()
        threading.Thread(target=over.set).start()


def test_garbage_is_collected_before_anybody_is_blamed():
    class Cycle:
        def __init__(self) -> None:
            self.itself = self
            self.pool = ThreadPoolExecutor(1)

    gc.disable()
    try:
        with no_leaks():
            Cycle().pool.submit(int).result()
    finally:
        gc.enable()


def test_a_loop_that_nobody_keeps_is_blamed():
    made = []
    with pytest.raises(LeakError, match="event loop"), no_leaks(grace=0.0):
        made.append(ref(asyncio.new_event_loop()))
    # Kept by the check that is active around this one, if any is.
    if (kept := made[0]()) is not None:
        kept.close()


def test_what_a_thread_starts_that_was_there_before_is_its_own():
    asked, started, over = threading.Event(), threading.Event(), threading.Event()
    later = threading.Thread(target=over.wait)

    def serve() -> None:
        asked.wait()
        later.start()
        started.set()

    server = threading.Thread(target=serve)
    server.start()
    with no_leaks(grace=0.0):
        asked.set()
        started.wait()
        server.join()
    over.set()
    later.join()


@pytest.mark.parametrize(
    "ignore",
    ["wait*", "thread waiting", ["other", "thread *"], re.compile("^thread w"), {"waiting"}],
    ids=str,
)
def test_what_is_ignored_is_not_blamed(ignore):
    with ExitStack() as left, no_leaks(ignore=ignore, grace=0.0):
        left.enter_context(thread())
        # It ends after the check.
        stack = left.pop_all()
    stack.close()


def test_a_pattern_is_for_the_whole_name():
    with thread(), pytest.raises(LeakError, match="waiting"):
        assert_no_leaks(ignore=["wait", "aiting", "threa"], grace=0.0)


@pytest.mark.parametrize("ignore", [1, [None], [b"waiting"]], ids=str)
def test_what_is_no_pattern_is_refused(ignore):
    with pytest.raises(TypeError):
        no_leaks(ignore=ignore)


@pytest.mark.parametrize("grace", [-1.0, float("nan"), "1", None], ids=str)
def test_a_grace_period_that_is_none_is_refused_at_once(grace):
    with pytest.raises(ValueError, match="0 or more"):
        no_leaks(grace=grace)
    with pytest.raises(ValueError, match="0 or more"):
        assert_no_leaks(grace=grace)


def test_a_block_that_raises_is_not_checked():
    left = thread()
    with suppress(KeyError), no_leaks(grace=0.0):
        left.__enter__()
        raise KeyError
    left.__exit__(None, None, None)


def test_methods_are_what_they_were_when_no_check_is_active():
    before = threading.Thread.start, socket.socket.__init__, asyncio.BaseEventLoop.create_task
    with no_leaks():
        assert threading.Thread.start is not None
        with no_leaks():
            within = threading.Thread.start
        assert threading.Thread.start is within
    after = threading.Thread.start, socket.socket.__init__, asyncio.BaseEventLoop.create_task
    assert after == before


ORIGINS = """
import socket, threading
from metrics.testing import LeakError, no_leaks
methods = threading.Thread.start, socket.socket.__init__
over = threading.Event()
try:
    with no_leaks(grace=0.0, origins=False):
        assert (threading.Thread.start, socket.socket.__init__) == methods
        threading.Thread(target=over.wait, name="a").start()
        opened = socket.socket()
except LeakError as error:
    print(*[(leak.kind, leak.name, leak.stack) for leak in error.leaks], sep="\\n")
over.set()
opened.close()
"""


def test_without_origins_no_method_is_replaced_and_leaks_are_named_all_the_same():
    # The leak check of this test replaces them.
    ran = subprocess.run(
        [sys.executable, "-c", ORIGINS], check=False, capture_output=True, text=True, timeout=60
    )
    assert (ran.stderr, ran.stdout) == ("", "('thread', 'a', ())\n('socket', '0.0.0.0:0', ())\n")


async def starting(kept: list[asyncio.Task[None]], seconds: float) -> None:
    async with no_leaks(grace=60.0 if seconds < 1.0 else 0.0):
        kept.append(asyncio.create_task(asyncio.sleep(seconds), name="started"))


def test_tasks_may_end_while_a_coroutine_is_checked():
    kept: list[asyncio.Task[None]] = []
    asyncio.run(starting(kept, 0.0))
    assert kept[0].done()


def test_a_task_that_goes_on_is_blamed():
    with pytest.raises(LeakError) as caught:
        asyncio.run(starting([], 60.0))
    (leak,) = caught.value.leaks
    assert leak[:3] == ("task", "started", "sleep")
    assert "starting" in {place.function for place in leak.stack}


def test_a_leak_of_which_nothing_is_known_has_one_line():
    assert str(Leak("pipe", "pipe:[1]")) == "pipe 'pipe:[1]'"


def test_the_error_lists_all_in_its_first_line():
    error = LeakError([Leak("thread", "a"), Leak("file", "/b", "descriptor 3")], "test_x")
    assert str(error).splitlines() == [
        "test_x left behind: thread 'a', file '/b'",
        "  thread 'a'",
        "  file '/b' (descriptor 3)",
        "Stop or close what was started, or allow it: ignore=['thread a', 'file /b']",
    ]
