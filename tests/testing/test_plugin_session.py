"""The run as a whole: imports, excused objects and unseen threads are compared at its end."""

import pytest

from tests.testing.planted import WITH_XDIST, Suite, suite

__all__ = ["suite"]

pytestmark = pytest.mark.slow(reason="runs pytest in processes")

HEADING = "*= leaks of the session =*"

STARTING = """
import threading
def start(name):
    thread = threading.Thread(target=threading.Event().wait, name=name, daemon=True)
    thread.start()
    return thread
"""

IMPORTED = f"""{STARTING}
import socket
from concurrent.futures import ThreadPoolExecutor
start("of-import")
listener = socket.create_server(("127.0.0.1", 0))
log = open(__file__)
pool = ThreadPoolExecutor(1, thread_name_prefix="of-pool")
def test_first(): pass
def test_second(): pool.submit(int).result()
"""

SERVED = f"""{STARTING}
import pytest, queue
@pytest.fixture(scope="session")
def server():
    requests = queue.Queue()
    answered = threading.Event()
    def serve():
        while (name := requests.get()) is not None:
            start(name)
            answered.set()
    thread = threading.Thread(target=serve)
    thread.start()
    def request(name):
        requests.put(name)
        answered.wait()
    yield request
    requests.put(None)
    thread.join()
def test_uses_the_server(server): server("of-worker")
def test_next(server): pass
"""

ANSWERED = f"""{STARTING}
import pytest
def test_blamed(): start("blamed")
@pytest.mark.leakcheck(ignore="allow*")
def test_allowed(): start("allowed")
@pytest.mark.leakcheck(False)
def test_unchecked(): start("unchecked")
def test_failing():
    start("noted")
    raise OSError
"""


def modules(suite: Suite, **sources: str) -> None:
    for name, source in sources.items():
        suite.add(f"test_{name}", source)


NONE = "def test_innocent(): pass"


@pytest.mark.parametrize("options", [(), (*WITH_XDIST, "-n1")], ids=str)
def test_what_imports_and_servers_start_is_left_at_the_end(suite: Suite, options: tuple[str, ...]):
    if options:
        pytest.importorskip("xdist")
    modules(suite, imported=IMPORTED, served=SERVED)
    suite.add("conftest", f"{STARTING}\nstart('of-conftest')\ndef pytest_configure(): start('p')")
    run = suite.checked(NONE, "--leakcheck-grace=0.2", *options)
    assert run.ret == pytest.ExitCode.TESTS_FAILED
    run.assert_outcomes(passed=5)
    within = " (gw0)" if options else ""
    shown = "\n".join(run.outlines)
    assert shown.count(f"the session{within} left behind: ") == 5, shown
    for kind, name, line in (
        ("thread", "of-conftest", "start('of-conftest')"),
        ("thread", "of-import", 'start("of-import")'),
        ("thread", "of-worker", "start(name)"),
        ("executor thread", "of-pool_0", "pool.submit(int).result()"),
        ("socket", "127.0.0.1:", "listener = socket.create_server"),
    ):
        report = shown.partition(f"the session{within} left behind: {kind} '{name}")[2]
        assert line in report.partition("the session")[0], (name, shown)
    assert "A pool of a module lives as long as the process" in shown
    line = IMPORTED.partition("pool = ")[0].lstrip().count("\n") + 1
    assert f"for the pool created at {suite.path}/test_imported.py:{line}" in shown
    run.stdout.fnmatch_lines([HEADING])


def test_the_session_may_be_reported_without_failing(suite: Suite):
    suite.configured(leakcheck="true", leakcheck_session="false", leakcheck_grace="0")
    modules(suite, imported=IMPORTED)
    run = suite.run(NONE)
    assert run.ret == pytest.ExitCode.OK
    run.stdout.fnmatch_lines([HEADING, "the session left behind: thread 'of-import'*"])


def test_nothing_is_reported_twice_or_against_an_allowance(suite: Suite):
    suite.configured(leakcheck_ignore="of-*\n  socket 127.0.0.1:*", leakcheck_grace="0")
    modules(suite, imported=IMPORTED, answered=ANSWERED)
    run = suite.checked(NONE)
    run.assert_outcomes(passed=6, failed=1, errors=1)
    run.stdout.no_fnmatch_line(HEADING)


def test_a_run_that_is_not_checked_everywhere_has_no_baseline(suite: Suite):
    modules(suite, imported=IMPORTED)
    run = suite.run("import pytest\n@pytest.mark.leakcheck\ndef test_innocent(): pass")
    assert run.ret == pytest.ExitCode.OK
    run.stdout.no_fnmatch_line(HEADING)


def test_a_thread_without_a_frame_is_blamed_on_its_own_test_alone(suite: Suite):
    run = suite.checked(
        """
import _thread, functools, threading, time
lock, go, here = _thread.allocate_lock(), _thread.allocate_lock(), threading.Event()
lock.acquire()
go.acquire()
waits = iter(go.acquire, False)

def shows_a_frame(_):
    here.set()
    lock.acquire()

def begin(function, arguments):
    before = _thread._count()
    _thread.start_new_thread(function, arguments)
    # On a busy machine, the system begins a thread after its test.
    while _thread._count() == before:
        time.sleep(0.001)

def test_guilty_of_a_thread_that_stays_hidden():
    begin(lock.acquire, ())
def test_next(): pass
def test_guilty_of_a_thread_that_shows_itself_later():
    # map() runs no Python code until the lock can be acquired.
    begin(list, (map(shows_a_frame, waits),))
def test_in_which_it_shows_itself():
    go.release()
    here.wait()
def test_last(): pass
""",
        "--leakcheck-grace=0.2",
        ordered=True,
    )
    run.assert_outcomes(passed=5, errors=2)
    lines = [line for line in run.outlines if " left behind: " in line]
    assert lines == [
        "test_guilty_of_a_thread_that_stays_hidden left behind: thread 'without a frame'",
        "test_guilty_of_a_thread_that_shows_itself_later left behind: thread 'without a frame'",
    ]


def test_a_pool_that_an_import_makes_is_known_though_garbage_is_frozen(suite: Suite):
    suite.add("conftest", "import gc\ndef pytest_collection_finish(): gc.freeze()")
    run = suite.checked(
        """
import sys
assert "concurrent.futures.process" not in sys.modules, "the check could see it from the beginning"
from concurrent.futures import ProcessPoolExecutor
pool = ProcessPoolExecutor(1)
stoppers.append(pool.shutdown)
def test_innocent(): pool.submit(int).result()
def test_next(): pass
""",
        "--leakcheck-grace=0",
    )
    run.assert_outcomes(passed=2)


def test_a_process_pool_of_a_module_is_known_by_its_line(suite: Suite):
    suite.configured(leakcheck_grace="0.2")
    run = suite.checked(
        """
import concurrent.futures, multiprocessing
pool = concurrent.futures.ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork"))
def test_innocent(): pool.submit(int).result()
def test_next(): pass
""",
    )
    run.assert_outcomes(passed=2)
    shown = "\n".join(run.outlines)
    reports = shown.split("the session left behind: ")[1:]
    assert {report.split(" '")[0] for report in reports} == {"executor thread", "process"}
    for report in reports:
        assert "A pool of a module lives as long as the process" in report, shown
        assert "_bootstrap" not in report
