"""The example of a measured scheduler runs its job and serves its page."""

import sys
from functools import partial

import pytest

from tests.examples.programs import EXAMPLES, environment, present
from tests.processes import LOOPBACK, Server, accepts, fetch, free_port, until

pytestmark = [present, pytest.mark.slow(reason="starts the program of the example")]


def test_the_example_counts_its_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])
    port, log = free_port(), tmp_path / "log"
    command = [sys.executable, str(EXAMPLES / "scheduler.py"), str(port)]

    def page():
        return fetch(f"http://{LOOPBACK}:{port}/metrics").decode()

    with Server(command, partial(accepts, port), log) as server:
        run = 'apscheduler_job_runs_total{job_name="clean",outcome="executed"}'
        duration = 'apscheduler_job_duration_seconds_count{job_name="clean"}'
        until(lambda: run in (text := page()) and duration in text, "the job has run")
        process = server._process
    assert process.returncode == 143
    assert set(log.read_text().splitlines()) == {"cleaned"}
