"""Costs of the leak check where nothing leaks: an empty block, an empty test, and a run without it.

A figure is the least processor time of several rounds that alternate: other processes disturb it
less than elapsed time.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import metrics
from metrics.testing import no_leaks

ROUNDS = 5
BLOCKS = 5_000
TESTS = 2_000

RUN = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"]


def processor_time() -> float:
    """Return the processor time of this process and of the children that it has waited for."""
    return sum(os.times()[:4])


def least(*functions: Callable[[], object], rounds: int = ROUNDS) -> list[float]:
    """Return the minimum processor time of each function and its processes, in seconds."""

    def once(function: Callable[[], object]) -> float:
        began = processor_time()
        function()
        return processor_time() - began

    measured = [[once(function) for function in functions] for _ in range(rounds)]
    return [min(times) for times in zip(*measured, strict=True)]


def check_blocks() -> None:
    """Check many blocks that do nothing."""
    for _ in range(BLOCKS):
        with no_leaks():
            pass


def pytest_run(directory: Path, *options: str) -> Callable[[], object]:
    """Return a function that runs pytest in a directory, or raises RuntimeError if that fails."""
    # The library that is measured here, which need not be the installed one.
    library = str(Path(metrics.__file__).parents[1])
    environment = {**os.environ, "PYTEST_ADDOPTS": "", "PYTHONPATH": library}
    command = [sys.executable, *RUN, *options, directory]

    def run() -> None:
        pytest = subprocess.run(
            command, check=False, capture_output=True, text=True, env=environment, cwd=directory
        )
        if pytest.returncode:
            raise RuntimeError(f"pytest failed: {pytest.stdout[-2000:]}{pytest.stderr[-2000:]}")

    return run


def figures(rounds: int = ROUNDS) -> Iterator[str]:
    """Yield a line of each figure."""
    with no_leaks():
        (block,) = least(check_blocks, rounds=rounds)
    yield f"a block without leaks   {block / BLOCKS * 1e6:7.0f} us"
    with TemporaryDirectory() as name:
        directory = Path(name).resolve()
        test = "def test_{}():\n    pass\n\n\n"
        source = "".join(test.format(number) for number in range(TESTS))
        (directory / "test_nothing.py").write_text(source, "utf-8")
        off, on = least(pytest_run(directory), pytest_run(directory, "--leakcheck"), rounds=rounds)
        yield f"an empty test           {(on - off) / TESTS * 1e6:7.0f} us"
        without, collected = least(
            pytest_run(directory, "--collect-only", "-p", "no:wired_metrics"),
            pytest_run(directory, "--collect-only"),
            rounds=rounds,
        )
        yield f"a run without the check {(collected - without) * 1e3:7.0f} ms"
