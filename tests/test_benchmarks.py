"""Benchmarks: failures of a library, notes about sizes, and the comparison of two revisions."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.benchmarks import requests
from tests.benchmarks.against import LIMIT, judge, last_line
from tests.benchmarks.leakcheck import suites
from tests.benchmarks.leakcheck.suites import LEAKCHECK, WITHOUT, Suite, SuiteRun
from tests.benchmarks.row import OURS, Row, footnotes, measure_in_turns
from tests.benchmarks.single import Effort
from tests.processes import until

ROOT = Path(__file__).parents[1]

needs_source = pytest.mark.skipif(
    not (ROOT / "metrics").is_dir() or shutil.which("git") is None,
    reason="revisions of the source are compared, with git",
)
slow = pytest.mark.slow(reason="measures in processes of their own")
needs_pip = pytest.mark.skipif(find_spec("pip") is None, reason="there is no pip")

SLOWER = LIMIT * 1.01

# Backend without requirements, which builds without a network: a wheel of the source as it is.
BACKEND = """\
from pathlib import Path
from zipfile import ZipFile

FILES = {
    "METADATA": "Metadata-Version: 2.1; Name: wired-metrics; Version: 0",
    "WHEEL": "Wheel-Version: 1.0; Root-Is-Purelib: true; Tag: py3-none-any",
    "RECORD": "wired_metrics-0.dist-info/RECORD,,",
}

def build_wheel(directory, config_settings=None, metadata_directory=None):
    name = "wired_metrics-0-py3-none-any.whl"
    with ZipFile(Path(directory, name), "w") as wheel:
        for path in sorted(Path("metrics").rglob("*.py")):
            wheel.write(path, path.as_posix())
        info = "wired_metrics-0.dist-info/"
        for file, lines in FILES.items():
            wheel.writestr(info + file, lines.replace("; ", "\\n") + "\\n")
    return name
"""
PROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""


def cost(value: float) -> Callable[[], float]:
    return lambda: value


def broken() -> float:
    raise ValueError("no such\noperation")


@pytest.mark.parametrize("measure", [Row.measure, lambda row: measure_in_turns([row], 2)])
@pytest.mark.parametrize("prepare", [broken, lambda: broken])
def test_a_library_that_fails_costs_no_other_result(measure, prepare):
    row = Row("count").add(OURS, cost, 1.0)
    row.preparations[OURS] = lambda: cost(2.0)
    row.add("peer", prepare).add("other", lambda: cost(3.0))
    measure(row)
    assert row.results == {OURS: 2.0, "other": 3.0}
    assert row.markdown(["peer", "other", "absent"]) == "| count | 2.0 s | - | 1.50 x | |"
    assert footnotes([row]) == ["peer failed in count: ValueError: no such operation"]


def test_a_sample_that_fails_once_has_no_result():
    results = iter([1.0])
    row = Row("count").add(OURS, lambda: lambda: next(results))
    measure_in_turns([row], 3)
    assert (row.results, row.cost(OURS)) == ({}, "-")
    assert row.failures == {OURS: "StopIteration:"}


def test_an_interruption_is_no_failure():
    def interrupt() -> float:
        raise KeyboardInterrupt

    row = Row("count").add(OURS, lambda: interrupt)
    with pytest.raises(KeyboardInterrupt):
        row.measure()


def test_rows_that_failed_alike_share_a_footnote():
    rows = [Row(name).add(OURS, broken).measure() for name in ("inc", "mark")]
    assert footnotes(rows) == [f"{OURS} failed in inc, mark: ValueError: no such operation"]


def test_a_floor_is_noted_beside_the_rows_that_have_both_costs():
    good, bad, groundless = (Row(name) for name in ("good", "bad", "groundless"))
    good.add_floor("no-op", lambda: cost(1.0)).add(OURS, lambda: cost(2.0))
    bad.add_floor("no-op", lambda: cost(1.0)).add(OURS, broken)
    groundless.add_floor("no-op", broken).add(OURS, lambda: cost(2.0))
    notes = footnotes(measure_in_turns([good, bad, groundless], 1))
    assert notes[0] == "no-op: 1.0 s; in the same rounds good 2.0 x."
    assert len(notes) == 3


def test_a_library_is_measured_once_though_another_is_added_later():
    calls = []
    row = Row("count").add("first", lambda: lambda: calls.append("first") or 1.0)
    measure_in_turns([row], 1)
    row.add("second", lambda: lambda: calls.append("second") or 1.0)
    measure_in_turns([row], 1)
    assert calls == ["first", "second"]
    assert [*row.results] == ["first", "second"]


def test_costs_at_several_sizes_are_noted_relative_to_the_smallest():
    def sized(operation: str, size: int, value: float) -> Row:
        row = Row(f"{operation} {size}", scale=(f"{operation} N", size))
        return row.add(OURS, lambda: cost(value)).measure()

    rows = [
        sized("tick of", 10_000, 5.0),
        sized("tick of", 1_000, 1.0),
        sized("tick of", 5_000, 10.0),
        sized("make", 1_000, 1.0),
        Row("import").add(OURS, lambda: cost(1.0)).measure(),
    ]
    assert footnotes(rows) == [
        "tick of N, cost divided by N, relative to that at 1,000: 2.0 x at 5,000, 0.50 x at 10,000."
    ]


@pytest.mark.parametrize(
    ("now", "then", "verdict"),
    [
        ([1.0], [1.0], ""),
        ([2.0, 2.1], [1.0, 1.1], "slower"),
        ([1.0, 1.1], [2.0, 2.1], "faster"),
        ([SLOWER, SLOWER], [1.0, 1.0], "slower"),
        ([LIMIT, LIMIT], [1.0, 1.0], ""),
        # A quarter of the rounds may have been slow, on either side and in any order.
        ([9.0, 2.0, 2.0, 2.0], [1.0, 1.0, 1.0, 9.0], "slower"),
        ([9.0, 2.0, 2.0, 2.0], [1.0, 1.0, 2.5, 9.0], ""),
        ([2.0, 2.0, 2.0, 2.0], [1.0, 1.0, 2.0, 9.0], ""),
        ([2.0] * 8, [1.0] * 6 + [3.0] * 2, "slower"),
        ([2.0] * 8, [1.0] * 5 + [3.0] * 3, ""),
        # The rounds are apart, but the minima hardly differ.
        ([1.01, 5.0, 5.0], [1.0, 1.0, 1.0], ""),
        # Below the cost of the loop that is subtracted.
        ([0.0, 0.0], [0.0, 0.0], ""),
        ([1e-9, 1e-9], [0.0, 0.0], "slower"),
    ],
)
def test_a_verdict_needs_the_minima_and_most_rounds(now, then, verdict):
    assert judge(now, then) == verdict


ROUNDS = st.lists(st.tuples(*[st.floats(0.001, 1000)] * 2), min_size=1, max_size=8)
OPPOSITE = {"slower": "faster", "faster": "slower", "": ""}


@given(ROUNDS)
def test_the_other_side_has_the_opposite_verdict(rounds):
    now, then = zip(*rounds, strict=True)
    assert judge(then, now) == OPPOSITE[judge(now, then)]
    assert not judge(now, now)


@given(ROUNDS, st.randoms())
def test_neither_the_unit_nor_the_order_of_rounds_changes_a_verdict(rounds, random):
    verdict = judge(*zip(*rounds, strict=True))
    assert judge(*zip(*[(now * 8, then * 8) for now, then in rounds], strict=True)) == verdict
    now, then = (random.sample(costs, len(costs)) for costs in zip(*rounds, strict=True))
    assert judge(now, then) == verdict


@given(ROUNDS)
def test_rounds_that_lie_among_one_another_have_no_verdict(rounds):
    now, then = zip(*rounds, strict=True)
    assert not judge([*now, *then], [*then, *now])


@given(ROUNDS, st.floats(0, 1000))
def test_a_slower_checkout_is_not_acquitted_by_more_cost(rounds, more):
    now, then = zip(*rounds, strict=True)
    if judge(now, then) == "slower":
        assert judge([cost + more for cost in now], then) == "slower"


@given(ROUNDS)
def test_a_verdict_agrees_with_the_minima(rounds):
    now, then = zip(*rounds, strict=True)
    ratio = min(now) / min(then)
    assert judge(now, then) in {"", "slower" if ratio > 1 else "faster"}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ""),
        ("one\n two \n\n", "two"),
        ("KeyError: 'name'\n", "KeyError: 'name'"),
        (" ValueError: no name\nnote: an issue\nerror: build-failed\n", "ValueError: no name"),
        ("fatal: not a git repository\n", "fatal: not a git repository"),
    ],
)
def test_the_last_line_that_names_an_error_is_reported(text, line):
    assert last_line(text) == line


class Repository:
    """Repository with the library and its benchmarks, and runs of these."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "repository"
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        ignored = shutil.ignore_patterns("__pycache__", "*.so", "*.pyd")
        for path in ("metrics", "tests/benchmarks"):
            shutil.copytree(ROOT / path, self.root / path, ignore=ignored)
        (self.root / ".gitignore").write_text("__pycache__/\n")
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if name != "PYTHONPATH" and not name.startswith(("GIT_", "PIP_"))
        } | {"TMPDIR": str(self.temporary)}
        self.git("init", "--quiet")

    def git(self, *arguments: str) -> str:
        person = ("-c", "user.name=A", "-c", "user.email=a@example.org")
        command = ["git", *person, "-c", "commit.gpgsign=false", *arguments]
        return subprocess.run(
            command,
            cwd=self.root,
            env=self.environment,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "Change")

    def replace(self, file: str, old: str, new: str) -> None:
        text = (self.root / file).read_text()
        assert old in text
        (self.root / file).write_text(text.replace(old, new))

    def start(self, *options: str, only: str = "integers") -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.benchmarks", "--quick", "--only", only, *options]
        return subprocess.Popen(
            command,
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def compare(self, *options: str, against: str = "HEAD") -> tuple[int, str, str]:
        with self.start("--against", against, "--rounds", "1", *options) as process:
            output, errors = process.communicate()
        return process.returncode, output, errors

    def leftovers(self) -> list[str]:
        """Return the temporary files, and the worktrees beside the first one."""
        worktrees = self.git("worktree", "list").splitlines()
        return [*map(str, self.temporary.iterdir()), *worktrees[1:]]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def workers(pid: int) -> list[psutil.Process]:
    """Return the processes that measure for a process."""
    found = []
    for child in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if "--alone" in child.cmdline():
                found.append(child)
    return found


def runs(process: psutil.Process) -> bool:
    """Return whether a process runs; one whose parent has not noticed its end does not."""
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def cells(output: str) -> dict[str, list[str]]:
    """Return the cells of each row of a table."""
    rows = [row.strip("| ").split(" | ") for row in output.splitlines() if row.startswith("| ")]
    return {name: costs for name, *costs in rows[1:] if name != "---"}


@needs_source
@slow
def test_a_checkout_is_compared_with_a_revision_that_lacks_an_operation(repository: Repository):
    gauge = "metrics/instruments/_gauge.py"
    repository.replace(gauge, "def set_max(", "def set_most(")
    repository.commit()
    repository.replace(gauge, "def set_most(", "def set_max(")
    # A new file counts too, and a deleted one is not missed.
    (repository.root / "metrics/_new.py").write_text("NEW = 1\n")
    repository.replace(gauge, "\n\n\n", "\nfrom metrics._new import NEW\n\n\n")
    (repository.root / "metrics/py.typed").unlink()
    status = repository.git("status", "--porcelain")

    code, output, errors = repository.compare("--interpreted")
    assert code in {0, 1}
    assert not errors
    rows = cells(output)
    assert len(rows) == 5
    now, then, ratio = rows.pop("`gauge.set_max(2)`")
    assert (then, ratio) == ("-", "-")
    assert "s" in now
    assert all("x" in ratio and "-" not in {now, then} for now, then, ratio in rows.values())
    assert "`HEAD` failed in `gauge.set_max(2)`: AttributeError:" in output
    assert "metrics.COMPILED = False" in output
    assert not repository.leftovers()
    assert repository.git("status", "--porcelain") == status


@needs_source
@slow
def test_an_operation_that_fails_in_the_checkout_is_an_error(repository: Repository):
    repository.commit()
    repository.replace("metrics/instruments/_gauge.py", "def set_max(", "def set_most(")
    code, output, _ = repository.compare("--interpreted")
    assert code == 1
    assert cells(output)["`gauge.set_max(2)`"][::2] == ["-", "-"]
    assert "now failed in `gauge.set_max(2)`: AttributeError:" in output
    assert not repository.leftovers()


@needs_source
@slow
@needs_pip
def test_both_sides_are_built(repository: Repository):
    (repository.root / "backend.py").write_text(BACKEND)
    (repository.root / "pyproject.toml").write_text(PROJECT)
    repository.commit()
    code, output, errors = repository.compare()
    assert code in {0, 1}, errors
    assert len(cells(output)) == 5
    assert "failed" not in output
    assert not repository.leftovers()


@needs_source
@slow
@needs_pip
def test_a_failed_build_is_reported_in_one_line(repository: Repository):
    (repository.root / "pyproject.toml").write_text(PROJECT)
    (repository.root / "backend.py").write_text("raise RuntimeError('no compiler')\n")
    repository.commit()
    (repository.root / "backend.py").write_text(BACKEND)
    code, _, errors = repository.compare()
    assert code == 2
    assert "cannot build `HEAD`: RuntimeError: no compiler; --interpreted" in errors
    assert errors.count("\n") == 1
    assert not repository.leftovers()


@needs_source
@slow
def test_a_revision_that_cannot_be_imported_is_reported_in_one_line(repository: Repository):
    init = repository.root / "metrics/__init__.py"
    text = init.read_text()
    init.write_text("raise ImportError('from the future')\n")
    repository.commit()
    init.write_text(text)
    assert repository.compare("--interpreted")[::2] == (
        2,
        "python -m tests.benchmarks: cannot measure `HEAD`: ImportError: from the future\n",
    )
    assert not repository.leftovers()


@needs_source
@slow
@pytest.mark.parametrize("revision", ["nonsense", "-x", "HEAD:metrics", ""])
def test_an_unknown_revision_is_reported_in_one_line(repository: Repository, revision: str):
    repository.commit()
    with repository.start(f"--against={revision}") as process:
        _, errors = process.communicate()
    assert process.returncode == 2
    assert errors.startswith(f"python -m tests.benchmarks: unknown revision {revision!r}: ")
    assert errors.count("\n") == 1
    assert not repository.leftovers()


@needs_source
@slow
@pytest.mark.parametrize("inside", [False, True])
def test_a_folder_without_history_is_reported_in_one_line(repository: Repository, inside: bool):
    shutil.rmtree(repository.root / ".git")
    if inside:
        subprocess.run(["git", "init", "--quiet", repository.root.parent], check=True)
    code, _, errors = repository.compare()
    assert code == 2
    assert f"{repository.root} is not {'the root of ' if inside else ''}a git checkout" in errors
    assert errors.count("\n") == 1
    assert not [*repository.temporary.iterdir()]


@needs_source
@slow
@pytest.mark.parametrize(
    "options", [["--only", "lifecycle"], ["--json", "file"], ["--rounds", "0"]], ids=" ".join
)
def test_an_option_without_a_meaning_is_refused(repository: Repository, options: list[str]):
    with repository.start("--against", "HEAD", *options) as process:
        _, errors = process.communicate()
    assert process.returncode == 2
    assert options[0] in errors.splitlines()[-1]


@needs_source
@slow
@pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interruption_leaves_neither_processes_nor_files(repository: Repository, number: int):
    repository.commit()
    with repository.start("--against", "HEAD", "--interpreted", only="load") as process:
        found = until(partial(workers, process.pid), "a measurement runs")
        process.send_signal(number)
        _, errors = process.communicate()
    assert (process.returncode, errors) == (130, "interrupted\n")
    # The children of a killed process take a moment to end.
    until(lambda: not any(map(runs, found)), "the measurements end")
    assert not repository.leftovers()


@slow
def test_every_framework_serves_its_requests_measured_and_bare():
    for kind in (requests.ASGI, requests.Starlette, requests.FastAPI, requests.WSGI,
                 requests.Flask, requests.Django):  # fmt: skip
        application = kind(3)
        row = requests.measure(application, Effort(seconds=1e-6, rounds=1), alone=True)
        assert list(row.results) == [OURS], row.failures
        assert not row.failures
        application.instruments.close()


@needs_source
@slow
def test_a_run_without_peers_names_its_failures(repository: Repository):
    repository.replace("metrics/instruments/_gauge.py", "def set_max(", "def set_most(")
    with repository.start("--alone") as process:
        output, errors = process.communicate()
    assert (process.returncode, errors) == (1, "")
    assert "metrics failed in `gauge.set_max(2)`: AttributeError:" in output
    assert "prometheus_client 0" not in output


SUITE = """
import threading

class TestThreads:
    def test_that_leaves_a_thread(self):
        threading.Timer(60, int).start()

def test_that_fails_anyway():
    assert False

def test_that_leaves_nothing():
    pass
"""


@slow
def test_a_public_suite_is_run_with_and_without_the_leak_check(tmp_path: Path):
    (tmp_path / "library").mkdir()
    library = suites.copy_library(tmp_path / "library")
    # The thread would outlive its run.
    (tmp_path / "test_it.py").write_text(SUITE.replace("60", "1"))
    suite = Suite("it", "1", "", ("test_it.py",), ("-o", "leakcheck_grace=0.01"))
    bench = suites.Bench(suite, tmp_path, sys.executable, library)
    runs = {WITHOUT: [bench.run(WITHOUT)], LEAKCHECK: [bench.run(LEAKCHECK)]}
    ((tool, tests, reported, leaks, places, *times),) = suites.rows(runs)
    assert (tool, tests, reported, leaks, places) == ("--leakcheck", "3", "1", "1 thread", "1")
    assert all(time.endswith(" %") for time in times)
    assert (tmp_path / "leakcheck.log").read_text()


def test_tests_that_fail_without_a_tool_in_any_round_are_not_counted_as_its_reports():
    def run(*failed: str, leaks: tuple[tuple[str, str], ...] = (), time: float = 2.0) -> SuiteRun:
        return SuiteRun(time, time, {"a", "b", "c"}, {*failed}, [*leaks])

    found = ("event loop X", "a.py:1"), ("event loop", "a.py:1"), ("socket *:*", "")
    runs = {
        WITHOUT: [run("a"), run("b")],
        LEAKCHECK: [run("a", "c", leaks=found), run("b", time=3)],
    }
    (cells,) = suites.rows(runs)
    assert cells == ["--leakcheck", "3", "1", "2 event loop, 1 socket", "2", "+0.0 %", "+0.0 %"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "PyPI has no janus-2.0.0.tar.gz"),
        ([{"filename": "janus-2.0.0.tar.gz", "url": "file:///"}], "has the hash"),
    ],
)
def test_a_source_distribution_that_is_missing_or_another_is_refused(
    files: list, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(suites, "read", lambda _: json.dumps({"files": files}).encode())
    (janus,) = (suite for suite in suites.SUITES if suite.name == "janus")
    with pytest.raises(suites.SuiteError, match=message):
        suites.download(janus, tmp_path)
    assert not [*tmp_path.iterdir()]
