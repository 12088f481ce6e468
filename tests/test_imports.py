"""Importing a module brings in no package that it does not need, and starts nothing."""

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import metrics

ROOT = Path(__file__).parents[1]

PROBE = """
import gc, json, os, sys, threading

fds = "/proc/self/fd"

def state():
    return {
        "packages": sorted({name.partition(".")[0] for name in sys.modules}),
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "descriptors": sorted(os.listdir(fds)) if os.path.isdir(fds) else [],
        "gc_callbacks": len(gc.callbacks),
    }

state()
before = state()
exec(sys.argv[1])
print(json.dumps([before, state()]))
"""


# What the compiled modules of the library share.
COMPILED_CORE = "wired_metrics__mypyc"


class Footprint(NamedTuple):
    """What code left behind in a fresh interpreter that was not there before."""

    packages: set[str]
    third_party: set[str]
    threads: set[str]
    descriptors: set[str]
    gc_callbacks: int


def footprint(code: str, *own: str) -> Footprint:
    """Run `code` in a fresh interpreter; `own` are the packages that are not third parties."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROBE, code],
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    before, after = json.loads(done.stdout)
    packages = set(after["packages"]) - set(before["packages"])
    return Footprint(
        packages,
        packages - sys.stdlib_module_names - {COMPILED_CORE, *own},
        set(after["threads"]) - set(before["threads"]),
        set(after["descriptors"]) - set(before["descriptors"]),
        after["gc_callbacks"] - before["gc_callbacks"],
    )


@pytest.mark.parametrize("statement", ["import metrics", "from metrics import *"])
def test_importing_starts_nothing_and_loads_no_third_party_package(statement: str):
    left = footprint(statement, "metrics")
    assert "metrics" in left.packages
    assert left[1:] == (set(), set(), set(), 0)


def test_only_what_is_asked_for_is_loaded():
    loaded = "import json, sys; print(json.dumps([m for m in sys.modules if 'metrics.' in m]))"
    for statement, absent in {
        "import metrics": "metrics.instruments",
        "from metrics import Counter": "metrics.registry",
    }.items():
        done = subprocess.run(
            [sys.executable, "-c", f"{statement}; {loaded}"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert "metrics._compiled" in json.loads(done.stdout)
        assert absent not in json.loads(done.stdout)


@pytest.mark.parametrize(
    "module", ["container", "app", "app.cli", "metrics.lifecycle", "metrics.resources"]
)
def test_importing_the_program_starts_nothing(module: str):
    left = footprint(f"import {module}")
    assert module.partition(".")[0] in left.packages
    assert left[2:] == (set(), set(), 0)


def test_the_composition_root_does_not_know_the_agent():
    assert "app" not in footprint("import container").packages


@pytest.mark.parametrize("module", ["logging", "asyncio", "inspect", "socket", "http"])
def test_importing_metrics_leaves_slow_modules_to_those_who_need_them(module: str):
    assert module not in footprint("from metrics import *").packages


def test_a_program_that_only_makes_instruments_starts_nothing():
    left = footprint(
        "import metrics\n"
        "ticker = metrics.Ticker()\n"
        "registry = metrics.Registry(ticker=ticker)\n"
        "registry.meter('requests').mark()\n"
        "registry.timer('durations').update(1.0)\n"
        "registry.to_dict()\n",
        "metrics",
    )
    assert left[1:] == (set(), set(), set(), 0)


def test_the_footprint_shows_what_is_started():
    left = footprint(
        "import metrics, gc, socket, hypothesis\n"
        "kept = socket.socket()\n"
        "gc.callbacks.append(lambda phase, info: None)\n"
        "ticker = metrics.Ticker()\n"
        "ticker.add(metrics.Meter())\n"
        "ticker.start()\n",
        "metrics",
    )
    assert "hypothesis" in left.third_party
    assert left.threads == {"metrics-ticker"}
    assert left.gc_callbacks > 0
    if Path("/proc/self/fd").is_dir():
        assert left.descriptors


def test_all_names_what_is_there():
    assert len(set(metrics.__all__)) == len(metrics.__all__)
    assert all(hasattr(metrics, name) for name in metrics.__all__)


def test_star_import_brings_the_public_names():
    names: dict[str, object] = {}
    exec("from metrics import *", names)
    assert names.keys() - {"__builtins__"} == set(metrics.__all__)
