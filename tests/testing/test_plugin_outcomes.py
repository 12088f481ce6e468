"""The leak check beside all that may become of a test: skipped, not set up, opted out."""

import pytest

from tests.testing.planted import THREAD, Suite, suite

__all__ = ["suite"]

pytestmark = pytest.mark.slow(reason="runs pytest in processes")

NONE = ("-o", "leakcheck_grace=0")


def test_a_test_that_is_skipped_not_set_up_or_to_fail_is_blamed_as_well(suite: Suite):
    run = suite.checked(
        f"""{THREAD}
import pytest
def test_skipped():
    start("of-skipped")
    pytest.skip("no more")
@pytest.fixture
def failing():
    start("of-failing")
    raise OSError("cannot begin")
def test_failing(failing): pass
@pytest.fixture
def skipping():
    yield
    pytest.skip("at the end")
def test_skipping(skipping): start("of-skipping")
@pytest.mark.xfail
def test_to_fail():
    start("of-xfail")
    assert False
@pytest.mark.xfail(strict=False)
def test_to_fail_though_it_passes(): start("of-xpass")
@pytest.mark.xfail
def test_innocent(): assert False
def test_next(): pass
""",
        *NONE,
    )
    # What a test leaves that could not be set up is a note on its error.
    run.assert_outcomes(passed=2, skipped=1, xfailed=2, xpassed=1, errors=5)
    run.stdout.fnmatch_lines_random(
        [
            "test_skipped left behind: thread 'of-skipped'",
            "*OSError: cannot begin",
            "test_failing left behind: thread 'of-failing'",
            "test_skipping left behind: thread 'of-skipping'",
            "test_to_fail left behind: thread 'of-xfail'",
            "test_to_fail_though_it_passes left behind: thread 'of-xpass'",
        ]
    )


def test_the_first_leak_ends_a_run_that_ends_with_the_first_failure(suite: Suite):
    run = suite.checked(
        f"{THREAD}\ndef test_guilty(): start()\ndef test_never(): pass\n",
        *(*NONE, "-x"),
        ordered=True,
    )
    run.assert_outcomes(passed=1, errors=1)


def test_an_interrupt_is_not_held_up_by_what_is_left(suite: Suite):
    run = suite.checked(
        f"""{THREAD}
import pytest
@pytest.fixture
def interrupted():
    yield
    raise KeyboardInterrupt
def test_guilty(interrupted): start()
def test_never(): pass
""",
        *("-o", "leakcheck_grace=1e9"),
    )
    assert run.ret == pytest.ExitCode.INTERRUPTED


def test_doctests_and_cases_with_subtests_are_tests(suite: Suite):
    run = suite.checked(
        f'''{THREAD}
import unittest
def documented():
    """
    >>> _ = start("of-doctest")
    """
class Case(unittest.TestCase):
    def test_subtests(self):
        for number in range(2):
            with self.subTest(number=number):
                start(f"of-subtest-{{number}}")
def test_next(): pass
''',
        *NONE,
        "--doctest-modules",
    )
    output = run.stdout.str()
    assert "documented left behind: thread 'of-doctest'" in output
    assert "test_subtests left behind: thread 'of-subtest-0', thread 'of-subtest-1'" in output


def test_a_test_may_replace_what_is_recorded(suite: Suite):
    run = suite.checked(
        """
import os, threading
def test_threads(monkeypatch):
    monkeypatch.setattr(threading.Thread, "start", lambda thread: None)
    threading.Thread(target=int).start()
def test_forks(monkeypatch):
    monkeypatch.setattr(os, "fork", lambda: 1)
    os.fork()
def test_a_fork():
    if not (pid := os.fork()):
        os._exit(0)
    os.waitpid(pid, 0)
def test_next():
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()
""",
        *NONE,
    )
    run.assert_outcomes(passed=4)


WIDER = f"""{THREAD}
from concurrent.futures import ThreadPoolExecutor
import pytest

@pytest.fixture(scope="class")
def ended():
    with ThreadPoolExecutor(1) as pool:
        yield pool

@pytest.fixture(scope="class")
def left():
    pool = ThreadPoolExecutor(1, thread_name_prefix="left")
    yield pool
    stoppers.append(pool.shutdown)

class TestPools:
    def test_ended(self, ended): ended.submit(int).result()
    def test_left(self, left): left.submit(int).result()

@pytest.fixture(scope="class", params=["a", "b"])
def made(request):
    stop = start(request.param)
    yield
    if request.param == "b":
        stop()

class TestParameters:
    def test_it(self, made): pass
def test_next(): pass
"""


def test_a_wider_fixture_owns_the_threads_of_its_pool_and_of_each_parameter(suite: Suite):
    run = suite.checked(WIDER, *("-o", "leakcheck_grace=0.2"))
    run.assert_outcomes(passed=5, errors=2)
    run.stdout.fnmatch_lines_random(
        [
            "class-scoped fixture 'left' left behind: executor thread 'left_0'",
            "class-scoped fixture 'made' left behind: thread 'a'",
        ]
    )


def test_a_wider_fixture_is_checked_as_the_test_that_set_it_up(suite: Suite):
    suite.configured(leakcheck_grace="0", leakcheck_ignore="allowed-*")
    run = suite.run(
        f"""{THREAD}
import pytest
@pytest.fixture(scope="class")
def allowed(): start("allowed-1")
@pytest.fixture(scope="class")
def guilty(): start("guilty-1")
class TestIt:
    def test_first(self, allowed, guilty): pass
    @pytest.mark.leakcheck(False)
    def test_last(self, allowed): pass
def test_next(): pass
""",
        "--leakcheck",
    )
    run.assert_outcomes(passed=3, errors=1)
    run.stdout.fnmatch_lines(["class-scoped fixture 'guilty' left behind: thread 'guilty-1'"])


def test_a_test_that_opts_out_may_still_ask(suite: Suite):
    run = suite.checked(
        f"""{THREAD}
import pytest
from metrics.testing import LeakError
@pytest.mark.leakcheck(False)
def test_it(leaks):
    leaks.verify()
    start()
    with pytest.raises(LeakError):
        leaks.verify()
""",
        *NONE,
    )
    run.assert_outcomes(passed=1)


def test_to_ask_for_the_fixture_too_late_is_an_error(suite: Suite):
    late = """
def test_it(request): request.getfixturevalue("leaks")
"""
    run = suite.run(late)
    run.assert_outcomes(failed=1)
    run.stdout.fnmatch_lines(["*getfixturevalue is too late for leaks: make it an argument"])


def test_a_task_left_in_the_loop_that_runs_the_tests_is_blamed_under_anyio(suite: Suite):
    run = suite.checked(
        """
import asyncio
import pytest

kept = []

@pytest.fixture(scope="module")
def anyio_backend(): return "asyncio"

@pytest.fixture(scope="module")
async def shared(anyio_backend): yield

@pytest.mark.anyio
async def test_first(shared): pass

@pytest.mark.anyio
async def test_guilty(shared):
    kept.append(asyncio.create_task(asyncio.sleep(60), name="planted"))
""",
        *NONE,
        *("-p", "anyio"),
    )
    run.assert_outcomes(passed=2, errors=1)
    run.stdout.fnmatch_lines(["test_guilty left behind: task 'planted'"])


def test_a_repeated_test_is_checked_each_time(suite: Suite):
    pytest.importorskip("pytest_rerunfailures")
    run = suite.checked(
        f"{THREAD}\ndef test_guilty(): start()\ndef test_next(): pass\n",
        *NONE,
        "-p",
        "rerunfailures",
        "--reruns=2",
    )
    run.assert_outcomes(passed=4, errors=1)
