"""The example of a worker of Celery shows the tasks that it has run."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.processes import LOOPBACK, Server, accepts, fetch, free_port, until

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs/examples"

pytestmark = [
    pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the examples are not installed"),
    pytest.mark.slow(reason="starts the program of the example"),
]


def test_the_example_counts_its_tasks_and_ends_after_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)
    port, log = free_port(), tmp_path / "log"
    monkeypatch.setenv("METRICS_PORT", str(port))
    broker = f"sqla+sqlite:///{tmp_path}/broker.sqlite"
    celery = [sys.executable, "-m", "celery", "-A", "celery_app", "-b", broker]
    celery += ["--workdir", str(EXAMPLES)]
    options = ["-c", "2", "-l", "INFO", "--without-gossip", "--without-mingle"]

    def page():
        return fetch(f"http://{LOOPBACK}:{port}/metrics").decode().splitlines()

    with Server([*celery, "worker", *options], partial(accepts, port), log):
        # A process that only sends a task starts no server, whose port would be taken.
        subprocess.run([*celery, "call", "celery_app.add", "--args", "[1, 2]"], check=True)
        name = 'name="celery_app.add"'
        until(lambda: f"celery_task_succeeded_total{{{name}}} 1" in page(), "the task has run")
        lines = page()
    for line in (
        "added_total 3",
        f"celery_task_active{{{name}}} 0",
        f"celery_task_received_total{{{name}}} 1",
        f"celery_task_queue_time_seconds_count{{{name}}} 1",
        f"celery_task_runtime_seconds_count{{{name}}} 1",
    ):
        assert line in lines
    assert not accepts(port)
    assert "stopped 'server'" in log.read_text()
    assert "Traceback" not in log.read_text()
