"""A type checker knows what a container's parts and a registry's short cuts give."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

PROGRAM = """
from typing import assert_type
from metrics import Counter, Family, Meter, Registry, Ticker, Timer, resources
from metrics.lifecycle import MetricsContainer, Resource


class Container(MetricsContainer):
    requests = Resource(
        resources.meter, MetricsContainer.registry, MetricsContainer.ticker, "rpc/requests"
    )


container = Container()
assert_type(container.requests(), Meter)
assert_type(container.registry(), Registry)
assert_type(container.ticker(), Ticker)

registry = Registry()
assert_type(registry.counter("a", unit="bytes"), Counter)
assert_type(registry.counter("b", labels=("method",), max_children=9), Family[Counter])
assert_type(registry.counter("b", labels=("method",)).labels("GET"), Counter)
timer = registry.timer("c")
assert_type(timer, Timer)


@timer.timed
def add(a: int, b: int = 0) -> int:
    return a + b


assert_type(add(1, b=2), int)
"""


def check(program: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    file = tmp_path / "program.py"
    file.write_text(program)
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), str(file)],
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_parts_short_cuts_and_decorated_functions_keep_their_types(tmp_path):
    checked = check(PROGRAM, tmp_path)
    assert checked.returncode == 0, checked.stdout
    wrong = check(PROGRAM + "registry.counter('d', max_children=9)\nadd('x')\n", tmp_path)
    assert wrong.returncode == 1
    assert "No overload variant" in wrong.stdout
    assert 'incompatible type "str"; expected "int"' in wrong.stdout
