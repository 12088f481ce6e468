"""Helpers that are started once for the process are blamed on no test, in whatever order."""

import pytest

from tests.testing.planted import WITH_XDIST, Suite, suite

__all__ = ["suite"]

pytestmark = pytest.mark.slow(reason="runs pytest in processes")

FIRST_USES = {
    "trio": """
def test_trio():
    import trio
    trio.run(trio.to_thread.run_sync, int)
""",
    "anyio_on_trio": """
def test_anyio_on_trio():
    import anyio, anyio.to_thread
    anyio.run(anyio.to_thread.run_sync, int, backend="trio")
""",
    "uvloop": """
def test_uvloop():
    import asyncio, uvloop
    uvloop.run(asyncio.sleep(0))
""",
    "asgiref": """
def test_asgiref():
    import asyncio
    from asgiref.sync import sync_to_async
    asyncio.run(sync_to_async(int)())
""",
    "gevent": """
def test_gevent():
    import gevent
    gevent.sleep(0)
    gevent.get_hub().threadpool.apply(int)
""",
    "multiprocessing": """
def test_multiprocessing():
    from multiprocessing import resource_tracker
    resource_tracker.ensure_running()
""",
}

STUCK = """
import threading
def test_guilty_of_a_job_that_does_not_return():
    import trio
    over = threading.Event()
    stoppers.append(over.set)
    async def main():
        with trio.move_on_after(0.001):
            await trio.to_thread.run_sync(over.wait, abandon_on_cancel=True)
    trio.run(main)
"""

OWN = """
import threading
def test_own():
    over = threading.Event()
    stoppers.append(over.set)
    threading.Thread(target=over.wait, name="helper-of-ours", daemon=True).start()
"""

HOOK = """
def pytest_leakcheck_process_wide(kind, obj):
    return kind == "thread" and getattr(obj, "name", "") == "helper-of-ours" or None
"""

SHARED = """
import anyio, anyio.to_process
import pytest
@pytest.fixture(scope="module")
def anyio_backend(): return "asyncio"
@pytest.fixture(scope="module")
async def shared(anyio_backend): yield
@pytest.mark.anyio
async def test_process_pool(shared): assert await anyio.to_process.run_sync(abs, -1) == 1
@pytest.mark.anyio
async def test_next(shared): pass
"""


@pytest.mark.parametrize(
    ("options", "order"), [((), 1), ((), -1), ((*WITH_XDIST, "-n2"), 1)], ids=str
)
def test_no_test_is_blamed_for_the_first_use(suite: Suite, options: tuple[str, ...], order: int):
    for module in ("asgiref", "trio", "uvloop", "gevent", *(["xdist"] if options else [])):
        pytest.importorskip(module)
    suite.add("conftest", HOOK)
    source = "".join([STUCK, *FIRST_USES.values(), OWN][::order])
    suite.add("test_shared", SHARED)
    run = suite.checked(source, "-p", "anyio", "--leakcheck-grace=1", *options)
    run.assert_outcomes(passed=len(FIRST_USES) + 4, errors=1)
    run.stdout.no_fnmatch_line("*leaks of the session*")
    run.stdout.fnmatch_lines(["test_guilty_of_a_job_* left behind: thread *"])


def test_a_loop_of_uvloop_is_named_with_its_tasks(suite: Suite):
    pytest.importorskip("uvloop")
    run = suite.checked(
        """
import asyncio
import uvloop
def test_guilty():
    loop = uvloop.new_event_loop()
    stoppers.append(loop.close)
    async def leave():
        task = loop.create_task(asyncio.sleep(60), name="planted")
        stoppers.insert(0, task.cancel)
    loop.run_until_complete(leave())
def test_next(): pass
def test_guilty_of_a_loop_that_never_ran():
    stoppers.append(uvloop.new_event_loop().close)
def test_closed():
    uvloop.new_event_loop().close()
""",
        "--leakcheck-grace=0",
    )
    run.assert_outcomes(passed=4, errors=2)
    run.stdout.fnmatch_lines_random(
        [
            "test_guilty left behind: event loop 'uvloop.Loop', task 'planted'",
            "*event loop 'uvloop.Loop' (not closed, pending tasks: 'planted'), started at",
            "*loop = uvloop.new_event_loop()",
            "*task = loop.create_task(*",
            "test_guilty_of_a_loop_that_never_ran left behind: event loop 'uvloop.Loop'",
            "*stoppers.append(uvloop.new_event_loop().close)",
        ]
    )


def test_a_failed_test_gets_no_second_error(suite: Suite):
    run = suite.checked(
        """
import socket, subprocess, sys, threading
import pytest

class Handle:
    def __init__(self, file): self.file = file

@pytest.fixture
def held(tmp_path): return Handle(open(tmp_path / "held.txt", "w"))

def test_value_of_a_fixture(held): pass

def test_failing_with_a_socket():
    listener = socket.create_server(("127.0.0.1", 0))
    file = open(__file__)
    assert not listener

def test_next(): pass

@pytest.fixture
def not_set_up():
    listener = socket.create_server(("127.0.0.1", 0))
    raise OSError(listener)

def test_not_set_up(not_set_up): pass

@pytest.mark.xfail
def test_to_fail():
    listener = socket.create_server(("127.0.0.1", 0))
    assert not listener

def test_failing_with_a_process():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    stoppers.append(process.wait)
    stoppers.append(process.kill)
    stoppers.reverse()
    assert not process

def test_last(): pass
""",
        "--leakcheck-grace=0",
    )
    run.assert_outcomes(passed=3, failed=2, xfailed=1, errors=1)
    shown = [line for line in run.outlines if " left behind: " in line]
    assert len(shown) == 1
    assert shown[0].startswith("test_failing_with_a_process left behind: process ")
