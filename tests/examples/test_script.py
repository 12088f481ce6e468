"""The example of a script pushes its values to a real Pushgateway before it ends."""

import subprocess
import sys

import pytest

from tests.examples.programs import EXAMPLES, environment
from tests.processes import DEADLINE
from tests.reporters.prometheus import Pushgateway

pytestmark = pytest.mark.slow(reason="starts the program of the example")


def test_the_values_of_the_script_stay_at_the_gateway(tmp_path):
    file = tmp_path / "text"
    file.write_text("a\nb\nc\n")
    gateway = Pushgateway(tmp_path)
    with gateway.server:
        command = [sys.executable, "-W", "error", EXAMPLES / "script.py", gateway.url, file, file]
        done = subprocess.run(
            command, capture_output=True, check=False, env=environment(), timeout=DEADLINE
        )
        assert (done.returncode, done.stderr) == (0, b"")
        samples = {name: value for (name, _), value in gateway.samples("lines").items()}
        assert samples["lines_total"] == 6
        assert samples["read_seconds_count"] == 2
        assert samples["finished_seconds"] > 1_700_000_000

        failed = subprocess.run(
            [*command, tmp_path / "missing"], capture_output=True, check=False, env=environment()
        )
        assert b"FileNotFoundError" in failed.stderr
        samples = {name: value for (name, _), value in gateway.samples("lines").items()}
        assert (samples["lines_total"], samples["finished_seconds"]) == (6, 0)
