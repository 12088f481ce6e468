"""With gunicorn --preload, the master's container is the master's and each worker has its own."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from time import monotonic

import gunicorn
import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="gunicorn needs fork")

TIMEOUT = 60
ROOT = Path(__file__).parents[2]

APPLICATION = """
import json, os, threading
from contextlib import contextmanager
from metrics import resources
from metrics.lifecycle import MetricsContainer, Resource, running, state

def note(line):
    with open("notes", "a") as file:
        file.write(f"{os.getpid()} {line}\\n")

@contextmanager
def hook():
    note("start")
    try:
        yield os.getpid()
    finally:
        note("stop")

class Container(MetricsContainer):
    registry = MetricsContainer.registry
    ticker = MetricsContainer.ticker
    requests = Resource(resources.meter, registry, ticker, "http/requests")
    home = Resource(hook)

container = Container()
running(container).__enter__()
first_state = []

def application(environ, start_response):
    if not first_state:
        first_state.append(state(container))
    container.requests().mark()
    names = [thread.name for thread in threading.enumerate()]
    body = {
        "pid": os.getpid(),
        "home": container.home(),
        "first_state": first_state[0],
        "workers": names.count("metrics-ticker"),
        "count": container.requests().count,
    }
    start_response("200 OK", [("Content-Type", "application/json"), ("Connection", "close")])
    return [json.dumps(body).encode()]
"""


def listening_on(log) -> str:
    """Return the address, as gunicorn logs it."""
    for line in log:
        if "Listening at: " in line:
            return line.split("Listening at: ")[1].split()[0]
    raise AssertionError("gunicorn ended")


def test_workers_have_their_own_parts_and_the_masters_hooks_run_once(tmp_path):
    assert gunicorn.__version__
    (tmp_path / "program.py").write_text(APPLICATION)
    arguments = ["--preload", "--workers=2", "--bind=127.0.0.1:0", "--no-control-socket"]
    command = [sys.executable, "-m", "gunicorn", *arguments, "program:application"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    ) as master:
        try:
            address = listening_on(master.stderr)
            answers = {}
            # The kernel chooses who answers.
            ends = monotonic() + TIMEOUT
            while len(answers) < 2 and monotonic() < ends:
                with urllib.request.urlopen(address, timeout=TIMEOUT) as response:
                    answer = json.load(response)
                answers.setdefault(answer["pid"], []).append(answer)
            master.send_signal(signal.SIGTERM)
            _, log = master.communicate(timeout=TIMEOUT)
        finally:
            master.kill()
    assert master.returncode == 0, log
    assert "Traceback" not in log
    assert "Exception" not in log
    assert len(answers) == 2
    assert master.pid not in answers
    for pid, given in answers.items():
        assert [answer["home"] for answer in given] == [pid] * len(given)
        assert [answer["workers"] for answer in given] == [1] * len(given)
        assert [answer["count"] for answer in given] == list(range(1, len(given) + 1))
        assert given[0]["first_state"] == "NEW"
    notes = [line.split() for line in (tmp_path / "notes").read_text().splitlines()]
    for pid in [master.pid, *answers]:
        assert [note for writer, note in notes if int(writer) == pid] == ["start", "stop"]
    assert len(notes) == 6
