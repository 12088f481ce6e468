"""Costs of the leak check: `python tests/benchmarks/leakcheck.py`.

The first figure is a clean block under `no_leaks`: two records of threads, sockets and the like,
and their comparison. The others are about runs of pytest with empty tests: the cost of the check
for one test, and the cost of the plugin for a run without the check. A figure is the least of
several rounds that alternate, in processor time, which other processes disturb less than elapsed
time.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from metrics.testing import no_leaks

ROUNDS = 4
BLOCKS = 5_000
TESTS = 2_000

RUN = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"]


def least(*functions: Callable[[], object]) -> list[float]:
    """Return the minimum processor time of each function and its processes, in seconds."""

    def once(function: Callable[[], object]) -> float:
        began = sum(os.times()[:4])
        function()
        return sum(os.times()[:4]) - began

    rounds = [[once(function) for function in functions] for _ in range(ROUNDS)]
    return [min(times) for times in zip(*rounds, strict=True)]


def blocks() -> None:
    """Check many clean blocks."""
    for _ in range(BLOCKS):
        with no_leaks():
            pass


def pytest_run(directory: str, *options: str) -> Callable[[], object]:
    """Return a function that runs pytest on a directory."""
    environment = {**os.environ, "PYTEST_ADDOPTS": ""}

    def run() -> None:
        subprocess.run(
            [*RUN, *options, directory], check=True, capture_output=True, env=environment
        )

    return run


def main() -> None:
    """Print the figures."""
    with no_leaks():
        (block,) = least(blocks)
    rows = [("a clean block", block / BLOCKS * 1e3, "ms")]
    with TemporaryDirectory() as directory:
        test = "def test_{}():\n    pass\n\n\n"
        source = "".join(test.format(number) for number in range(TESTS))
        Path(directory, "test_nothing.py").write_text(source, "utf-8")
        off, on = least(pytest_run(directory), pytest_run(directory, "--leakcheck"))
        rows.append(("a test, check on", (on - off) / TESTS * 1e3, "ms"))
        without, collected = least(
            pytest_run(directory, "--collect-only", "-p", "no:wired_metrics"),
            pytest_run(directory, "--collect-only"),
        )
        rows.append(("a run, check off", (collected - without) * 1e3, "ms"))
    for name, figure, unit in rows:
        sys.stdout.write(f"{name:<30} {figure:8.3f} {unit}\n")


if __name__ == "__main__":
    main()
