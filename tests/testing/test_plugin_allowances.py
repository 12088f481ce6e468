"""What tests may leave behind: by the code that started it, by kind, and as known leaks."""

import pytest

from tests.testing.planted import THREAD, WITH_XDIST, Suite, suite

__all__ = ["suite"]

pytestmark = pytest.mark.slow(reason="runs pytest in processes")

LIBRARY = """
import threading
class Server:
    def serve(self, stoppers):
        over = threading.Event()
        stoppers.append(over.set)
        threading.Thread(target=over.wait, daemon=True).start()
def serve(stoppers): Server().serve(stoppers)
"""


def test_an_allowance_may_name_the_code_that_started_it(suite: Suite):
    suite.add("library", LIBRARY)
    run = suite.checked(
        """
import os, socket
import pytest, library

@pytest.mark.parametrize("pattern", [
    pytest.param(pattern, marks=pytest.mark.leakcheck(ignore=pattern, reason="is a daemon"))
    for pattern in [
        "@ library.py", "@ library:serve", "@ library:Server.serve", "@ library", "@ lib*:*",
        "thread @ library.py", "Thread-* @ library:serve",
        # Not of the innermost code alone, but of all that led there.
        "@ test_planted.py", "@ test_planted:test_located*",
    ]
])
def test_located(pattern): library.serve(stoppers)

@pytest.mark.parametrize("pattern", [
    pytest.param(pattern, marks=pytest.mark.leakcheck(ignore=pattern))
    for pattern in [
        "@ brary.py", "@ library:Server", "@ other", "task @ library.py", "worker-* @ library.py",
    ]
])
def test_guilty(pattern): library.serve(stoppers)

@pytest.mark.leakcheck(ignore="pipe")
def test_a_kind():
    for end in os.pipe():
        stoppers.append(lambda end=end: os.close(end))

@pytest.mark.leakcheck(ignore="socket [::1]:*")
def test_an_address():
    listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    stoppers.append(listener.close)

@pytest.mark.leakcheck(ignore="socket [::1]:*")
def test_guilty_of_another_address():
    listener = socket.create_server(("127.0.0.1", 0))
    stoppers.append(listener.close)

def test_last(): pass
""",
        "--leakcheck-grace=0",
    )
    run.assert_outcomes(passed=9 + 5 + 4, errors=6)
    assert "ignore=['thread @ " in run.stdout.str()
    assert "library.py']" in run.stdout.str()


def test_a_known_leak_is_declared_strictly(suite: Suite):
    run = suite.checked(
        f"""{THREAD}
import pytest
@pytest.mark.leakcheck(expected="known", reason="the library has no stop()")
def test_known(): start("known")
@pytest.mark.leakcheck(expected=["known", "gone"])
def test_fixed(): start("known")
@pytest.mark.leakcheck(expected="known")
def test_guilty_of_more():
    start("known")
    start("more")
@pytest.mark.leakcheck(expected="known")
def test_failing(): assert False
@pytest.mark.leakcheck(reason=3)
def test_wrong_marker(): pass
""",
        "--leakcheck-grace=0",
    )
    run.assert_outcomes(passed=3, failed=1, errors=3)
    run.stdout.fnmatch_lines_random(
        [
            "test_fixed did not leave behind the objects that its marker expects: *'gone'*",
            "test_guilty_of_more left behind: thread 'more'",
        ]
    )


@pytest.mark.parametrize("options", [(), (*WITH_XDIST, "-n2")], ids=str)
def test_patterns_that_never_matched_are_reported(suite: Suite, options: tuple[str, ...]):
    if options:
        pytest.importorskip("xdist")
    suite.configured(leakcheck_ignore="used-*\n  unused-*", leakcheck_grace="0")
    source = f"{THREAD}\ndef test_one(): start('used-1')\ndef test_two(): start('used-2')"
    unused = "leakcheck_ignore has patterns without a match: ['unused-*']; remove them"
    run = suite.checked(source, *options)
    run.assert_outcomes(passed=2)
    run.stdout.fnmatch_lines([unused])


def test_a_run_of_some_tests_reports_no_patterns(suite: Suite):
    suite.configured(leakcheck_ignore="used-*\n  unused-*", leakcheck_grace="0")
    run = suite.checked(f"{THREAD}\ndef test_one(): start('used-1')", "-k", "one")
    run.assert_outcomes(passed=1)
    run.stdout.no_fnmatch_line("*without a match*")
