"""Adoption of the leak check: leaks are warnings first, and fail the tests later."""

import re
from typing import Any

import pytest

from metrics.testing._plugin import FAIL, WARN
from metrics.testing.leaks._inventory import OPEN_FILES
from tests.testing.planted import THREAD, WITH_XDIST, Suite, suite

__all__ = ["suite"]

pytestmark = pytest.mark.slow(reason="runs pytest in processes")

NONE = "--leakcheck-grace=0"

LEAVING = f"""{THREAD}
import pytest
def test_guilty():
    start("worker-1")
    start("other")
@pytest.fixture(scope="class")
def left(): start("of-fixture")
class TestIt:
    def test_with_a_fixture(self, left): pass
@pytest.mark.leakcheck(expected="gone")
def test_fixed(): pass
def test_failing():
    start("noted")
    raise OSError
@pytest.mark.xfail(strict=True)
def test_expected_to_fail():
    start("of-xfail")
    raise OSError
@pytest.mark.leakcheck(ignore="allowed")
def test_allowed(): start("allowed")
def test_innocent(): pass
threading.Thread(target=threading.Event().wait, name="of-import", daemon=True).start()
"""

WARNINGS = [
    "test_guilty left behind: thread 'worker-1' (daemon), started at",
    "test_guilty left behind: thread 'other' (daemon), started at",
    "class-scoped fixture 'left' left behind: thread 'of-fixture' (daemon), started at",
    "test_fixed did not leave behind the objects that its marker expects: ['gone']",
    "test_expected_to_fail left behind: thread 'of-xfail' (daemon), started at",
]


@pytest.mark.parametrize("options", [(), (*WITH_XDIST, "-n1")], ids=str)
def test_in_the_mode_warn_no_leak_fails_a_test_or_the_run(suite: Suite, options: tuple[str, ...]):
    if options:
        pytest.importorskip("xdist")
    run = suite.run(LEAVING, "--leakcheck=warn", NONE, *options)
    run.assert_outcomes(passed=5, failed=1, xfailed=1, warnings=5)
    shown = "\n".join(run.outlines)
    for text in WARNINGS:
        assert re.search(rf"test_planted\.py:\d+: LeakWarning: {re.escape(text)}", shown), shown
    assert "test_failing left behind: thread 'noted'" in shown
    run.stdout.fnmatch_lines(
        [
            "*= leaks of the session =*",
            "the session* left behind: thread 'of-import'*",
        ]
    )
    run.stdout.fnmatch_lines(
        [
            "*= leakcheck =*",
            "4 tests left objects behind:",
            "4 tests would fail: set `leakcheck = true`, or pass --leakcheck, to fail on leaks",
            "allow the rest with `leakcheck_ignore`, a pattern a line:",
            "    thread worker-[*]",
        ]
    )


def test_leaks_of_the_session_alone_end_a_warning_run_well(suite: Suite):
    suite.configured(leakcheck="warn", leakcheck_grace="0")
    run = suite.run(
        """
import threading
threading.Thread(target=threading.Event().wait, name="of-import", daemon=True).start()
def test_it(): pass
"""
    )
    assert run.ret == pytest.ExitCode.OK
    run.stdout.fnmatch_lines(["the session left behind: thread 'of-import'*"])


ALL_AT_ONCE = f"""{THREAD}
def test_guilty(): start("planted")
def test_innocent(): pass
"""


def mode_of(config: pytest.Config) -> str:
    check: Any = config.pluginmanager.get_plugin("leakcheck")
    return check._mode if check else ""


def outcome(run: pytest.RunResult) -> tuple[int, int, int]:
    found = run.parseoutcomes()
    return found.get("passed", 0), found.get("errors", 0), found.get("warnings", 0)


FILTERED = f"""{THREAD}
import pytest
IGNORED = "ignore::metrics.testing.LeakWarning"
def test_warning(): start("plain")
@pytest.mark.filterwarnings("error")
def test_warning_where_others_are_errors(): start("beside errors")
@pytest.mark.filterwarnings("error", IGNORED)
def test_ignored_where_others_are_errors(): start("ignored beside errors")
@pytest.mark.filterwarnings(IGNORED)
def test_ignored(): start("ignored")
@pytest.mark.filterwarnings("error::metrics.testing.LeakWarning")
def test_guilty(): start("error")
"""


def test_a_filter_decides_on_warnings_of_leaks(suite: Suite):
    run = suite.run(FILTERED, "--leakcheck=warn", NONE)
    assert outcome(run) == (5, 1, 2)
    shown = run.stdout.str()
    assert "'ignored" not in shown
    assert shown.count("LeakWarning: test_warning") == 2
    run.stdout.fnmatch_lines(["*ERROR at teardown of test_guilty *"])


def test_a_mode_fails_no_test_where_all_warnings_of_the_program_are_errors(suite: Suite):
    run = suite.run(
        ALL_AT_ONCE, "--leakcheck=warn", NONE, "-W", "error", "-o", "filterwarnings=error"
    )
    assert outcome(run) == (2, 0, 1)


@pytest.mark.parametrize(
    ("setting", "mode"),
    [("true", FAIL), ("Fail", FAIL), ("1", FAIL), ("warn", WARN), ("off", ""), ("false", "")],
)
def test_the_configuration_has_a_mode(suite: Suite, setting: str, mode: str):
    suite.configured(leakcheck=setting)
    assert mode_of(suite.parsed()) == mode


@pytest.mark.skipif(pytest.version_tuple < (9, 0), reason="reads no native table")
@pytest.mark.parametrize(("setting", "mode"), [("true", FAIL), ('"warn"', WARN), ("false", "")])
def test_a_native_table_has_truth_values_and_modes(suite: Suite, setting: str, mode: str):
    suite._pytester.makepyprojecttoml(f"[tool.pytest]\nleakcheck = {setting}")
    assert mode_of(suite.parsed()) == mode


def test_the_command_line_overrules_the_configuration(suite: Suite):
    suite.configured(leakcheck="warn", leakcheck_grace="0")
    run = suite.run(ALL_AT_ONCE, "--leakcheck")
    assert outcome(run) == (2, 1, 0)
    # The summary of a failing run advises no mode.
    run.stdout.no_fnmatch_line("*would fail*")
    assert mode_of(suite.parsed("-o", "leakcheck=false")) == ""
    assert mode_of(suite.parsed()) == WARN


@pytest.mark.parametrize(
    ("words", "mode"),
    [
        (("--leakcheck", "test_planted.py"), FAIL),
        (("test_planted.py", "--leakcheck"), FAIL),
        (("--leakcheck=fail", "test_planted.py"), FAIL),
        (("--leakcheck=warn", "test_planted.py"), WARN),
        (("test_planted.py", "--leakcheck=warn"), WARN),
        # The last one counts, as with other options.
        (("--leakcheck=warn", "--leakcheck", "test_planted.py"), FAIL),
        # A folder named like a mode.
        (("--leakcheck", "warn"), FAIL),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, tuple) else None,
)
def test_the_option_takes_no_path_for_a_mode(suite: Suite, words: tuple[str, ...], mode: str):
    suite.add("test_planted", "")
    suite._pytester.mkdir("warn")
    config = suite.parsed(*words)
    assert mode_of(config) == mode
    assert config.args == [word for word in words if not word.startswith("-")]


def test_another_mode_is_an_error_that_lists_the_modes(suite: Suite):
    with pytest.raises(pytest.UsageError, match=r"--leakcheck=fail/--leakcheck=warn: .*'soon'"):
        suite.parsed("--leakcheck=soon")
    suite.configured(leakcheck="soon")
    run = suite.run("def test_it(): pass")
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    run.stderr.fnmatch_lines(
        ["*leakcheck = 'soon' is no mode of the leak check: use true or fail, warn, or false"]
    )


MARKED = f"""{THREAD}
import pytest
@pytest.mark.leakcheck("warn")
def test_warning(): start()
@pytest.mark.leakcheck("fail")
def test_guilty(): start()
@pytest.mark.leakcheck(False)
class TestOff:
    def test_off(self): start()
    @pytest.mark.leakcheck
    def test_of_the_suite(self): start()
@pytest.mark.leakcheck("warn")
class TestWarning:
    @pytest.mark.leakcheck(ignore="other")
    def test_that_inherits(self): start()
    def test_with_a_fixture(self, leaks): start()
    def test_that_verifies(self, leaks):
        start("verified")
        leaks.verify()
"""


@pytest.mark.parametrize(
    ("options", "errors", "warnings"), [((), 2, 3), (("--leakcheck=warn",), 1, 4)], ids=str
)
def test_a_marker_has_a_mode_for_its_tests(
    suite: Suite, options: tuple[str, ...], errors: int, warnings: int
):
    run = suite.run(MARKED, NONE, "-o", "leakcheck_grace=0", *options)
    run.assert_outcomes(passed=6, failed=1, errors=errors, warnings=warnings)
    run.stdout.fnmatch_lines(["test_guilty left behind: thread 'planted'"])


PHASES = """
import os, pytest
def left_open():
    made = os.open(os.devnull, os.O_RDONLY)
    stoppers.append(lambda: os.close(made))
@pytest.fixture
def opens(): left_open()
@pytest.fixture
def opens_late():
    yield
    left_open()
@pytest.fixture
def holds(tmp_path):
    with open(tmp_path / "held", "w"):
        yield
def test_setup(opens): pass
def test_call(): left_open()
def test_teardown(opens_late): pass
def test_call_beside_a_fixture(holds): left_open()
def test_gap():
    # The file above a number that is free again.
    made = os.open(os.devnull, os.O_RDONLY)
    left_open()
    os.close(made)
def test_in_none(): pass
"""


@pytest.mark.skipif(not OPEN_FILES, reason="lists no descriptors")
def test_a_descriptor_without_an_origin_has_the_phase_in_which_it_appeared(suite: Suite):
    run = suite.checked(PHASES, NONE)
    run.assert_outcomes(passed=6, errors=5)
    shown = "\n".join(run.outlines)
    for test, phase in [
        ("setup", "setup"),
        ("call", "call"),
        ("teardown", "teardown"),
        ("call_beside_a_fixture", "call"),
        ("gap", "call"),
    ]:
        report = shown.partition(f"test_{test} left behind: file '/dev/null'")[2]
        assert report.splitlines()[1].endswith(f", opened in the {phase})"), (test, shown)


BLOCKING = """
import asyncio, socket, time, pytest
def hold():
    # A system call without a clock.
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(0.5)
        with pytest.raises(TimeoutError):
            ours.recv(1)
async def main(block):
    if block:
        hold()
    await asyncio.sleep(0)
def test_guilty(): asyncio.run(main(True))
def test_innocent(): asyncio.run(main(False))
def test_waiting(): asyncio.run(asyncio.wait_for(asyncio.sleep(0.5), 1))
def test_without_a_loop(): hold()
@pytest.mark.leakcheck(blocking=0)
def test_unlimited(): asyncio.run(main(True))
@pytest.mark.leakcheck(ignore="blocked event loop main")
def test_allowed(): asyncio.run(main(True))
@pytest.mark.leakcheck(blocking=-1)
def test_wrong(): pass
def test_verifying(leaks):
    leaks.verify()
"""


def test_a_blocked_event_loop_fails_its_test(suite: Suite):
    suite.configured(leakcheck_blocking="0.2")
    run = suite.checked(BLOCKING)
    run.assert_outcomes(passed=7, errors=2)
    run.stdout.fnmatch_lines_random(
        [
            "test_guilty left behind: blocked event loop 'main'",
            "  blocked event loop 'main' (for 0.* s or more), held at",
            "*, in hold",
            "      ours.recv(1)",
            "Await in the callback, or run its blocking call in a thread: *",
            "the marker leakcheck is wrong: blocking is a number of seconds, 0 or more; got -1",
        ]
    )
    run.stdout.no_fnmatch_line("*metrics-leakcheck*")
    suite.configured(leakcheck_blocking="soon")
    rule = "leakcheck_blocking is a number of seconds, 0 or more, not 'soon'"
    with pytest.raises(pytest.UsageError, match=rule):
        suite.parsed("--leakcheck")
