"""What the end of a run tells of all leaks, and what else helps in a suite that has many."""

import pytest

from metrics.testing._plugin.summary import LINES, summary
from tests.testing.planted import THREAD, WITH_XDIST, Suite, suite

__all__ = ["suite"]

pytestmark = pytest.mark.slow(reason="runs pytest in processes")

NONE = "--leakcheck-grace=0"

MANY = f"""{THREAD}
import pytest
@pytest.mark.parametrize("number", range(4))
def test_guilty(number): start(f"worker-{{number}}")
def test_guilty_of_a_file(tmp_path):
    file = open(tmp_path / "left.txt", "w")
    stoppers.append(file.close)
def test_guilty_and_failing():
    start("worker-5")
    assert False
@pytest.fixture
def failing():
    yield
    raise OSError("cannot end")
def test_guilty_and_not_ending(failing): start("worker-6")
def test_innocent(): pass
"""

TOLD = [
    "*= leakcheck =*",
    "7 tests left objects behind:",
    "    6  thread worker-[*], started at *:*",
    "    1  file */left.txt",
    "*= short test summary info =*",
]


@pytest.mark.parametrize("options", [(), (*WITH_XDIST, "-n1")], ids=str)
def test_what_was_left_is_counted_by_kind_and_place(suite: Suite, options: tuple[str, ...]):
    if options:
        pytest.importorskip("xdist")
    run = suite.checked(MANY, NONE, "-ra", *options)
    run.stdout.fnmatch_lines(TOLD)
    place = next(line for line in run.outlines if line.startswith("    6  thread"))
    assert place.partition("started at ")[2].startswith("test_planted.py:")


def test_nothing_is_told_when_nothing_was_left(suite: Suite):
    run = suite.checked("def test_innocent(): pass\ndef test_failing(): assert False", NONE)
    run.stdout.no_fnmatch_line("*leakcheck*")


def test_no_more_lines_are_told_than_can_be_read():
    tests = [[(f"thread {name}", f"/a.py:{name}")] * (name + 1) for name in range(LINES + 3)]
    lines = list(summary(tests))
    assert lines[0] == f"{LINES + 3} tests left objects behind:"
    assert lines[1] == f"{LINES + 3:5}  thread {LINES + 2}, started at /a.py:{LINES + 2}"
    assert len(lines) == LINES + 2
    assert lines[-1] == "  and 3 other kinds or places"
    assert list(summary([[("file a", "")]])) == ["1 test left objects behind:", "    1  file a"]


def test_the_command_line_decides_on_the_grace_period(suite: Suite):
    suite.configured(leakcheck_grace="1e9")
    run = suite.checked(f"{THREAD}\ndef test_guilty(): start()\ndef test_next(): pass", NONE)
    run.assert_outcomes(passed=2, errors=1)
    with pytest.raises(pytest.UsageError, match="is a number of seconds, 0 or more, not 'soon'"):
        suite.parsed("--leakcheck", "--leakcheck-grace=soon")


def test_what_may_be_a_wider_fixtures_is_said_to_be_opened_there(suite: Suite):
    run = suite.checked(
        f"""{THREAD}
import socket
def test_opening():
    made = socket.socket()
    stoppers.append(made.close)
def test_starting(): start()
def test_next(): pass
""",
        NONE,
    )
    run.assert_outcomes(passed=3, errors=2)
    assert run.stdout.str().count("If a wider fixture or a module opened it for later use") == 1


def test_a_pytest_that_does_not_have_the_type_of_fixtures_in_public_will_do(suite: Suite):
    suite.add(
        "conftest", "import pytest\nif hasattr(pytest, 'FixtureDef'):\n    del pytest.FixtureDef"
    )
    run = suite.checked(
        f"""{THREAD}
import pytest
def test_it():
    with pytest.raises(AttributeError):
        pytest.FixtureDef
def test_guilty(): start()
def test_next(): pass
""",
        NONE,
    )
    run.assert_outcomes(passed=3, errors=1)
