"""Importing a module brings in no package that it does not need, and starts nothing."""

import json
import subprocess
import sys
from functools import cache
from importlib import import_module
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


# The module that the compiled modules of the library share.
COMPILED_CORE = "wired_metrics__mypyc"

# The runtime library of the compiler, and its requirement.
RUNTIME = {"librt", "mypy_extensions"} if metrics.COMPILED else set()


class Footprint(NamedTuple):
    """Differences that code left behind in a fresh interpreter."""

    packages: set[str]
    third_party: set[str]
    threads: set[str]
    descriptors: set[str]
    gc_callbacks: int


@cache
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


@pytest.mark.parametrize(
    ("statement", "loaded"),
    [
        ("import metrics", set()),
        ("from metrics import SYSTEM_CLOCK", set()),
        ("from metrics import Counter", RUNTIME),
        ("from metrics import *", RUNTIME),
    ],
)
def test_importing_starts_nothing_and_loads_no_third_party_package(
    statement: str, loaded: set[str]
):
    left = footprint(statement, "metrics")
    assert "metrics" in left.packages
    assert left[1:] == (loaded, set(), set(), 0)


@pytest.mark.parametrize(
    ("statement", "count"),
    [
        ("import metrics", 0),
        ("from metrics import MetricsError", 1),
        ("from metrics import SYSTEM_CLOCK", 2),
        ("from metrics import Counter", 3),
        ("from metrics import Registry", 4),
        ("from metrics import Ticker", 5),
        ("from metrics import *", 5),
        ("from metrics import COMPILED", 3),
        ("import metrics; hasattr(metrics, '_private')", 0),
        ("import metrics; hasattr(metrics, 'no_such_name')", 5),
    ],
)
def test_a_name_loads_its_face_and_the_faces_before_it(statement: str, count: int):
    loaded = "import json, sys; print(json.dumps([m for m in sys.modules if 'metrics.' in m]))"
    done = subprocess.run(
        [sys.executable, "-c", f"{statement}; {loaded}"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    modules = set(json.loads(done.stdout))
    assert "metrics._compiled" in modules
    for face in metrics.FACES[count:]:
        # The clock and the errors are also needed by the faces after them.
        assert face not in modules
    assert count == 0 or metrics.FACES[count - 1] in modules


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
def test_importing_metrics_loads_no_slow_module(module: str):
    assert module not in footprint("from metrics import *").packages


def test_a_program_that_only_creates_instruments_starts_nothing():
    left = footprint(
        "import metrics\n"
        "ticker = metrics.Ticker()\n"
        "registry = metrics.Registry(ticker=ticker)\n"
        "registry.meter('requests').mark()\n"
        "registry.timer('durations').update(1.0)\n"
        "registry.to_dict()\n",
        "metrics",
    )
    assert left[1:] == (RUNTIME, set(), set(), 0)


def test_the_footprint_shows_threads_and_descriptors():
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


def test_all_names_the_public_names_of_the_faces_once_each():
    assert len(set(metrics.__all__)) == len(metrics.__all__)
    assert all(hasattr(metrics, name) for name in metrics.__all__)
    assert metrics.__all__ == sorted(name for name in metrics.__all__ if name.isidentifier())
    assert {"SYSTEM_CLOCK", "Clock", "Counter", "MetricsError", "Registry", "SystemClock"} <= set(
        metrics.__all__
    )


def test_every_name_is_that_of_its_face():
    own = {name for name in metrics.__all__ if name != "COMPILED"}
    faces = [import_module(face) for face in metrics.FACES]
    found = {name: face for face in faces for name in metrics.public_names(face.__name__)}
    assert found.keys() == own
    for name, face in found.items():
        assert getattr(metrics, name) is getattr(face, name)


def test_no_two_faces_have_one_name():
    names = [name for face in metrics.FACES for name in metrics.public_names(face)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", ["no_such_name", "Registrations", "import_module_", "TickSource"])
def test_a_name_of_no_face_is_an_attribute_error(name: str):
    with pytest.raises(AttributeError, match=rf"^module 'metrics' has no attribute '{name}'$"):
        getattr(metrics, name)


def test_dir_has_every_public_name():
    assert set(metrics.__all__) <= set(dir(metrics))


def test_star_import_brings_the_public_names():
    names: dict[str, object] = {}
    exec("from metrics import *", names)
    assert names.keys() - {"__builtins__"} == set(metrics.__all__)
