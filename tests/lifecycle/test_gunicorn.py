"""With gunicorn --preload, instruments are the workers' too, and connections are the master's."""

import json
import re
import urllib.request

import pytest

from tests.forks import forking
from tests.lifecycle.served import DEADLINE, NOTES, master
from tests.processes import until

pytest.importorskip("gunicorn")

pytestmark = [*forking, pytest.mark.slow(reason="starts servers with several workers")]

PROGRAM = """
import threading
from metrics import resources
from metrics.exporters import prometheus
from metrics.lifecycle import MetricsContainer, Resource, running, state
from metrics.reporters import statsd

def hook():
    note(hook="start")
    try:
        yield os.getpid()
    finally:
        note(hook="stop")

class Container(MetricsContainer):
    config = MetricsContainer.config
    registry = MetricsContainer.registry
    ticker = MetricsContainer.ticker
    requests = Resource(resources.meter, registry, "requests")
    home = Resource(hook)
    reporter = Resource(statsd.udp, registry, "127.0.0.1", 9, interval=0.05)

container = Container()
container.config.from_dict({"tick_interval": 0.02})
running(container).__enter__()
first_state = []

class Middleware:
    def __init__(self, requests, registry):
        self.requests = requests
        self.registry = registry

    def __call__(self, environ, start_response):
        self.requests.mark()
        page = prometheus.render(self.registry).decode().splitlines()
        names = [thread.name for thread in threading.enumerate()]
        body = {
            "pid": os.getpid(),
            "state": first_state[0] if first_state else state(container),
            "count": self.requests.count,
            "page": [line for line in page if line.startswith("requests_total")],
            "workers": names.count("metrics-ticker"),
            "reporters": names.count("metrics-reporter-statsd"),
            "names": list(self.registry.names()),
        }
        if environ["PATH_INFO"] == "/home":
            body["home"] = container.home()
        headers = [("Content-Type", "application/json"), ("Connection", "close")]
        start_response("200 OK", headers)
        return [json.dumps(body).encode()]

container.requests().mark(1000)
application = Middleware(container.requests(), container.registry())
"""

CONFIGURATION = """
def start(worker):
    from program import container, first_state, state
    first_state.append(state(container))
    container.init_resources(timeout=10)

def worker_exit(server, worker):
    from program import container, note, state
    container.shutdown_resources(timeout=10)
    note(ended=state(container))
"""

HOOKS = {
    "post_fork": "def post_fork(server, worker): start(worker)",
    "post_worker_init": "def post_worker_init(worker): start(worker)",
    "none": "",
}

CASES = [
    ("sync", "post_fork"),
    ("sync", "none"),
    ("gthread", "post_fork"),
    ("gthread", "post_worker_init"),
    ("gevent", "post_fork"),
    ("gevent", "post_worker_init"),
    ("gevent", "none"),
]


def listening_on(server):
    """Return the address, as gunicorn logs it."""
    found = until(lambda: re.search(r"Listening at: (\S+)", server.log), "it listens", DEADLINE)
    return found[1]


def fetched(url):
    with urllib.request.urlopen(url, timeout=DEADLINE) as response:
        return json.load(response)


@pytest.mark.parametrize(("kind", "start"), CASES)
def test_a_worker_counts_on_its_own_page_and_ends_cleanly(kind, start, tmp_path):
    pytest.importorskip("gevent" if kind == "gevent" else "gunicorn")
    (tmp_path / "program.py").write_text(NOTES + PROGRAM)
    (tmp_path / "settings.py").write_text(CONFIGURATION + HOOKS[start])
    options = ["--preload", "--workers=2", "--bind=127.0.0.1:0", "--no-control-socket"]
    # Without threads gthread is sync.
    options += ["--threads=2"] if kind == "gthread" else []
    arguments = ["gunicorn", "-c", "settings.py", "-k", kind, *options, "program:application"]
    answers = {}

    def answered(server, address):
        # The kernel chooses the worker that answers.
        answer = fetched(address if len(answers) < 2 else f"{address}/home")
        answers.setdefault(answer["pid"], []).append(answer)
        ticked = all(found[-1]["workers"] for found in answers.values())
        return len(answers) == 2 and ticked and any("home" in a for a in answers[answer["pid"]])

    with master(tmp_path, *arguments) as server:
        address = listening_on(server)
        until(lambda: answered(server, address), "both workers answer", DEADLINE)
        assert server.end() == 0, server.log
    assert server.pid not in answers
    for pid, given in answers.items():
        assert [answer["count"] for answer in given] == list(range(1, len(given) + 1))
        for answer in given:
            assert answer["page"] == [f"requests_total {answer['count']}"]
            assert answer.get("home", pid) == pid
            assert answer["state"] == "NEW"
            assert answer["reporters"] == (start != "none")
            assert ("reporter/statsd/sent" in answer["names"]) is (start != "none")
        assert given[-1]["workers"] == 1
    started = [found["pid"] for found in server.notes("hook") if found["hook"] == "start"]
    stopped = [found["pid"] for found in server.notes("hook") if found["hook"] == "stop"]
    assert sorted(started) == sorted(stopped)
    assert server.pid in started
    ended = [found["ended"] for found in server.notes("ended")]
    said = server.log.count("was running when this process was forked")
    homes = sum(any("home" in answer for answer in given) for given in answers.values())
    assert said == (homes if start == "none" else 0)
    if (kind, start) == ("gevent", "post_fork"):
        # Threads run before gevent patches `threading`, which may print an error at their end and
        # end the worker before its last note; the log of a fork recommends `post_worker_init`.
        assert set(ended) <= {"STOPPED"}
    else:
        assert ended == ["STOPPED"] * 2
        assert "Traceback" not in server.log
        assert "Exception" not in server.log
