"""The leak check in pytest: which test is blamed, for what, and which is not."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.testing.planted import PLANTED, THREAD, Suite, suite

__all__ = ["suite"]

pytestmark = pytest.mark.slow(reason="runs pytest in processes")


def test_each_guilty_test_fails_and_the_next_passes(suite: Suite):
    pytest.importorskip("opentelemetry.sdk")
    source = "\n".join(
        planted.replace("test_guilty", f"test_guilty_{number}")
        + f"\ndef test_next_{number}(): pass"
        for number, (planted, _, _) in enumerate(PLANTED.values())
    )
    run = suite.checked(source, "-o", "leakcheck_grace=0", "--tb=long")
    count = len(PLANTED)
    run.assert_outcomes(passed=2 * count, errors=count)
    for number, (_, name, line) in enumerate(PLANTED.values()):
        header = f"*ERROR at teardown of test_guilty_{number} *"
        lines = [header, f"test_guilty_{number} left behind:*{name}*", f"*{line}*"]
        run.stdout.fnmatch_lines(lines)


def test_the_plugin_loads_and_starts_nothing_when_nobody_asks(suite: Suite):
    run = suite.run(
        f"""{THREAD}
import sys
def test_loaded():
    assert "metrics.testing.plugin" in sys.modules
    slow = {{"asyncio", "psutil", "dependency_injector", "logging.handlers"}}
    assert not slow & sys.modules.keys()
    assert "metrics.testing.leaks._check" not in sys.modules
    assert threading.Thread.start.__module__ == "threading"
    assert threading.enumerate() == [threading.main_thread()]
def test_planting(): start()
""",
        ordered=True,
    )
    run.assert_outcomes(passed=2)


def test_the_plugin_loads_without_a_warning(tmp_path: Path):
    """In a process of its own, because pytest warns of plugins that were imported before."""
    (tmp_path / "test_one.py").write_text("def test_one(leaks): pass\n")
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:asyncio", "."]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "1 passed" in done.stdout


def test_an_ini_option_switches_it_on(suite: Suite):
    suite.configured(leakcheck="true", leakcheck_grace="0", leakcheck_ignore="allowed-*")
    run = suite.run(f"""{THREAD}
def test_guilty(): start()
def test_allowed(): start("allowed-1")
""")
    run.assert_outcomes(passed=2, errors=1)
    run.stdout.fnmatch_lines(["*test_guilty left behind: thread 'planted'"])


MARKED = """
import pytest
marked = pytest.mark.leakcheck(grace=0)

@marked
def test_guilty(): start()

@marked
class TestOfClass:
    def test_guilty(self): start()
    @pytest.mark.leakcheck(False)
    def test_unchecked(self): start()
    @pytest.mark.leakcheck(ignore="plant*")
    def test_allowed(self): start()
    @pytest.mark.leakcheck(ignore="other")
    def test_guilty_of_something_else(self): start()

@pytest.mark.leakcheck(grace=0, ignore=["thread p*"])
class TestPatterns:
    @pytest.mark.leakcheck(ignore="other")
    def test_both(self): start()

def test_guilty_with_the_fixture(leaks): start()

def test_allowed_by_the_fixture(leaks):
    start()
    leaks.ignore("planted")

def test_unmarked(): start()
"""

MARKED_MODULE = f"""from stopped import *
{THREAD}
import pytest
pytestmark = pytest.mark.leakcheck
def test_guilty(): start()
def test_next(): pass
"""


def test_a_marker_or_the_fixture_asks_for_it(suite: Suite):
    suite.configured(leakcheck_grace="0")
    suite.add("test_module", MARKED_MODULE)
    run = suite.run(THREAD + MARKED)
    run.assert_outcomes(passed=11, errors=5)
    assert run.stdout.str().count("ERROR at teardown of") == 5
    assert run.stdout.str().count("test_guilty") >= 5


def test_a_wrong_marker_is_an_error_of_its_test(suite: Suite):
    run = suite.run("""
import pytest
@pytest.mark.parametrize("wrong", [
    pytest.param(number, marks=pytest.mark.leakcheck(**arguments))
    for number, arguments in enumerate(
        [{"grace": -1}, {"grace": "x"}, {"grace": [1]}, {"only": 1}, {"ignore": 3}]
    )
])
def test_wrong(wrong): pass
@pytest.mark.leakcheck("worker-*")
def test_pattern_without_a_name(): pass
def test_other(): pass
""")
    run.assert_outcomes(passed=1, errors=6)
    assert run.stdout.str().count("the marker leakcheck is wrong: ") >= 6
    run.stdout.fnmatch_lines(
        [
            "*: got an unexpected keyword argument 'only'",
            "*: enabled is True, False, 'fail' or 'warn', and patterns are ignore=; got 'worker-*'",
        ]
    )


def test_a_wrong_setting_ends_the_run(suite: Suite):
    run = suite.checked("def test_it(): pass", "-o", "leakcheck_grace=soon")
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    run.stderr.fnmatch_lines(["*(leakcheck_grace) is a number of seconds, 0 or more, not 'soon'*"])


def test_what_ends_within_the_grace_period_is_not_blamed(suite: Suite):
    run = suite.checked(
        """
import threading
def test_slow():
    threading.Timer(0.05, int).start()
""",
        *("-o", "leakcheck_grace=30"),
    )
    run.assert_outcomes(passed=1)


def test_leaks_are_reported_beside_other_failures(suite: Suite):
    run = suite.checked(
        f"""{THREAD}
import pytest
def test_verified(leaks):
    leaks.verify()
    start("verified")
    leaks.verify()
def test_failed():
    start("beside")
    assert False, "as well"
@pytest.fixture
def failing():
    yield
    raise OSError("cannot end")
def test_torn_down(failing): start("after")
def test_next(): pass
""",
        *("-o", "leakcheck_grace=0"),
    )
    run.assert_outcomes(passed=2, failed=2, errors=1)
    assert "test_verified left behind: thread 'verified'" in run.stdout.str()
    run.stdout.fnmatch_lines_random(
        [
            "*AssertionError: as well*",
            "* left behind in teardown *",
            "test_failed left behind: thread 'beside'",
            "*OSError: cannot end*",
            "*test_torn_down left behind: thread 'after'",
        ]
    )
