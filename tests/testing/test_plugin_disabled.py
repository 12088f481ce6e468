"""The plugin beside a project's own `metrics`, and the threads of other plugins."""

import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow(reason="runs pytest in processes")


@pytest.fixture
def alone(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Return a project in which the entry point is loaded as pytest loads it, and no other."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makepyfile(test_it="import sys\ndef test_it(): assert True")
    return pytester


def run(project: pytest.Pytester, *options: str) -> pytest.RunResult:
    command = (sys.executable, "-m", "pytest", "-p", "pytest_wired_metrics", *options)
    return project.run(*command, timeout=60)


def test_the_entry_point_is_no_module_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    points = project["project"]["entry-points"]["pytest11"]
    assert points == {"wired_metrics": "pytest_wired_metrics"}
    assert project["tool"]["setuptools"]["py-modules"] == [*points.values()]


def test_the_plugin_is_loaded_where_metrics_is_ours(alone: pytest.Pytester):
    ended = run(alone, "--leakcheck")
    ended.assert_outcomes(passed=1)
    ended.stdout.no_fnmatch_line("*disabled*")


@pytest.mark.parametrize("path", ["metrics.py", "metrics/__init__.py", "metrics/testing/x.py"])
def test_a_run_beside_a_foreign_metrics_passes_and_says_why_in_one_line(
    alone: pytest.Pytester, path: str
):
    own = alone.path / path
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text("raise AssertionError('a plugin has imported it')")
    if path.startswith("metrics/testing"):
        (alone.path / "metrics/__init__.py").write_text("")
    ended = run(alone)
    ended.assert_outcomes(passed=1)
    lines = [line for line in ended.outlines if "wired-metrics" in line]
    assert len(lines) == 1
    assert lines[0].startswith(
        f"wired-metrics: pytest plugin disabled, the name 'metrics' belongs to {alone.path}"
    )


THREADS = """
import sys, threading
from functools import partial
import pytest
from metrics.testing import LeakError, assert_no_leaks

def thread_of(plugin, kind, over):
    space = {"__name__": plugin, "over": over}
    exec("def work(): over.wait()", space)
    work = space["work"]
    if kind == "timer":
        return threading.Timer(60, work)
    if kind == "frames":
        # The program's own function calls one of the plugin.
        return threading.Thread(target=lambda: work())
    return threading.Thread(target=partial(work) if kind == "partial" else work)

@pytest.mark.parametrize("kind", ["timer", "target", "partial", "frames"])
@pytest.mark.parametrize(
    "plugin", ["pytest_timeout", "pytest_rerunfailures", "xdist.remote", "execnet.gateway_base"]
)
def test_thread(kind, plugin):
    over = threading.Event()
    thread = thread_of(plugin, kind, over)
    thread.start()
    try:
        if kind == "frames":
            with pytest.raises(LeakError):
                assert_no_leaks(grace=0)
        else:
            assert_no_leaks(grace=0)
    finally:
        over.set()
        if kind == "timer":
            thread.cancel()
        thread.join()
"""


def test_threads_of_pytest_plugins_are_not_blamed(alone: pytest.Pytester):
    # In a process of its own: nothing records here where threads are started.
    alone.makepyfile(test_it=THREADS)
    run(alone).assert_outcomes(passed=16)
