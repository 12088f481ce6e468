"""A type checker takes a manual clock and ticker wherever a clock and a ticker are taken."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

PROGRAM = """
from typing import assert_type
from metrics import Clock, Meter, Registry, Timer, resources
from metrics.lifecycle import MetricsContainer
from metrics.testing import (
    Change, Changes, FamilyChange, ManualClock, ManualTicker, assert_recorded, recorded
)

clock: Clock = ManualClock(epoch=0)
ticker = ManualTicker(2.0, ManualClock())
registry = Registry(ticker=ticker, clock=clock)
timer = Timer(clock=ticker.clock)
with ticker as entered, resources.meter(registry, "a", ticker=ticker) as meter:
    assert_type(entered, ManualTicker)
    assert_type(meter, Meter)
    ticker.advance(5)
with recorded(registry) as changes, recorded(MetricsContainer()):
    assert_type(changes, Changes)
    assert_type(changes["a"], Change | FamilyChange)
    assert changes["a"].count == 3
    assert changes["b"].labels("GET").values == (1.0,)
    assert changes["b", {"method": "GET"}].count == 1
    assert_type(changes.to_dict(), dict[str, dict[str, object]])
    assert_recorded("a", {"method": "GET"}, count=1)
"""


def test_a_type_checker_takes_them(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache")]
    done = subprocess.run(
        [*command, str(program)],
        cwd=tmp_path,
        env=os.environ | {"MYPYPATH": str(ROOT)},
        capture_output=True,
        check=False,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout + done.stderr
