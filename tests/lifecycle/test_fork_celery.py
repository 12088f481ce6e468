"""Celery's prefork workers: tasks count in the worker that runs them, and everything ends."""

import pytest

from tests.forks import forking
from tests.lifecycle.served import NOTES, master

pytest.importorskip("celery")

pytestmark = [*forking, pytest.mark.slow(reason="starts workers of Celery")]

TASKS = 8

PROGRAM = """
from celery import signals
from metrics import resources
from metrics.exporters import prometheus
from metrics.lifecycle import MetricsContainer, Resource, state
from tests import brokers

def hook():
    note(hook="start")
    yield os.getpid()
    note(hook="stop")

class Container(MetricsContainer):
    registry = MetricsContainer.registry
    ticker = MetricsContainer.ticker
    tasks = Resource(resources.meter, registry, "tasks")
    home = Resource(hook)

container = Container()
container.init_resources()
tasks, registry = container.tasks(), container.registry()
tasks.mark(100)

app = brokers.application(pathlib.Path(__file__).parent)

@app.task
def work():
    tasks.mark()
    page = prometheus.render(registry).decode().splitlines()
    note(
        count=tasks.count,
        page=[line for line in page if line.startswith("tasks_total")],
        home=container.home(),
        same=container.tasks() is tasks,
    )

@signals.worker_ready.connect
def send(**_):
    for _ in range(TASKS):
        work.delay()

@signals.worker_process_shutdown.connect
def stop_child(**_):
    container.shutdown_resources(timeout=10)
    note(child=state(container))

@signals.worker_shutdown.connect
def stop_parent(**_):
    container.shutdown_resources(timeout=10)
    note(parent=state(container))
"""

START = """
@signals.worker_process_init.connect
def start(**_):
    container.init_resources(timeout=10)
"""


def worked(folder, program):
    """Run the tasks of a program in two processes; return the ended worker."""
    (folder / "program.py").write_text(NOTES + program.replace("TASKS", str(TASKS)))
    options = ["-P", "prefork", "-c", "2", "-l", "WARNING"]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    with master(folder, "celery", "-A", "program", "worker", *options, *quiet) as worker:
        worker.wait_for("count", TASKS)
        assert worker.end() == 0, worker.log
    return worker


def checked_counts(worker):
    """Check the counts of each process; return the number of each."""
    counts = {}
    for found in worker.notes("count"):
        counts.setdefault(found["pid"], []).append(found["count"])
        assert found["page"] == [f"tasks_total {found['count']}"]
        assert found["home"] == found["pid"]
        assert found["same"]
    assert worker.pid not in counts
    for found in counts.values():
        assert found == list(range(1, len(found) + 1))
    return counts


def test_tasks_count_in_a_worker_whose_resources_start_with_it(tmp_path):
    worker = worked(tmp_path, PROGRAM + START)
    assert checked_counts(worker)
    assert "was running when" not in worker.log
    # Celery starts more processes than it needs for the tasks.
    started = [found["pid"] for found in worker.notes("hook") if found["hook"] == "start"]
    stopped = [found["pid"] for found in worker.notes("hook") if found["hook"] == "stop"]
    assert sorted(stopped) == sorted(started)
    assert len(started) == 3
    assert {found["child"] for found in worker.notes("child")} == {"STOPPED"}
    assert [found["parent"] for found in worker.notes("parent")] == ["STOPPED"]
    assert "Traceback" not in worker.log


def test_a_worker_that_starts_nothing_counts_and_says_what_does_not_run(tmp_path):
    worker = worked(tmp_path, PROGRAM)
    counts = checked_counts(worker)
    assert worker.log.count("was running when this process was forked") == len(counts)
    assert "not running here: 'home'." in worker.log
    assert "worker_process_init" in worker.log
    assert "Traceback" not in worker.log
