"""What the leak check adds: `python tests/benchmarks/leakcheck.py`.

First a clean block under `no_leaks` while a check is active, as in a suite that runs under it: two
looks at what there is and their comparison. Then a run of pytest, with tests that do nothing: the
difference that the switch makes to one test, and what the plugin costs a run that does not use it.
Every figure is the least of several rounds, in processor time, of which others take less than of
the clock's; what is compared runs by turns.
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
    """Return the least time that a call of each takes, with its processes, in seconds."""

    def once(function: Callable[[], object]) -> float:
        began = sum(os.times()[:4])
        function()
        return sum(os.times()[:4]) - began

    rounds = [[once(function) for function in functions] for _ in range(ROUNDS)]
    return [min(times) for times in zip(*rounds, strict=True)]


def blocks() -> None:
    """Check many blocks that leave nothing."""
    for _ in range(BLOCKS):
        with no_leaks():
            pass


def pytest_run(directory: str, *options: str) -> Callable[[], object]:
    """Return a function that runs pytest."""
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
    rows = [("a block that leaves nothing", block / BLOCKS * 1e3, "ms")]
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
