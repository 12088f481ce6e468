"""Workers of real servers answer for all of them, also when some are killed or replaced."""

import os
import re
import shutil
import signal
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.forks import forking
from tests.lifecycle.served import DEADLINE, NOTES, Master, master
from tests.processes import free_port, until

pytestmark = [*forking, pytest.mark.slow(reason="starts servers with several workers")]

CONTAINER = """
from metrics import resources
from metrics.integrations import asgi, processes, uvicorn, wsgi
from metrics.integrations._group import refreshing
from metrics.lifecycle import MetricsContainer, Resource, lifespan, running

# A page has the last values of a worker that a busy machine keeps from answering in time.
refreshing.REFRESH_SECONDS = 10

class Container(MetricsContainer):
    registry = MetricsContainer.registry
    ticker = MetricsContainer.ticker
    shared = Resource(processes.share, registry, directory=DIRECTORY)
    requests = Resource(resources.counter, registry, "requests")
    in_flight = Resource(resources.updown_counter, registry, "in_flight")

container = Container()
"""

WSGI = """
page = wsgi.metrics(container.registry)
eager = False

def application(environ, start_response):
    container.init_resources(timeout=10)
    if environ["PATH_INFO"] == "/metrics":
        return page(environ, start_response)
    container.requests().inc()
    container.in_flight().inc()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Connection", "close")])
    return [str(os.getpid()).encode()]
"""

EAGER = """
running(container).__enter__()
"""

ASGI = """
page = asgi.metrics(container.registry)

async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        assert (await receive())["type"] == "lifespan.startup"
        container.init_resources(timeout=10)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        container.shutdown_resources(timeout=10)
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["path"] == "/metrics":
        await page(scope, receive, send)
    else:
        container.requests().inc()
        container.in_flight().inc()
        headers = [(b"connection", b"close")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": str(os.getpid()).encode()})
"""


@pytest.fixture
def directory() -> Iterator[Path]:
    # The path of a socket is short, unlike that of `tmp_path`.
    path = Path(tempfile.mkdtemp(prefix="m-"))
    path.rmdir()
    yield path
    shutil.rmtree(path, ignore_errors=True)


def write_program(folder: Path, directory: Path, *parts: str) -> None:
    (folder / "program.py").write_text(
        "".join([NOTES, f"DIRECTORY = {str(directory)!r}\n", CONTAINER, *parts])
    )


def fetched(url: str) -> str:
    with urllib.request.urlopen(url, timeout=DEADLINE) as response:
        return response.read().decode()


def count(url: str, name: str = "requests_total") -> float:
    found = re.search(rf"^{name} (\S+)$", fetched(f"{url}/metrics"), re.MULTILINE)
    assert found is not None
    return float(found[1])


def hit_until(url: str, pids: set[int], number: int) -> int:
    """Request until so many workers have answered; return the number of requests."""
    requests = 0

    def answered() -> bool:
        nonlocal requests
        pids.add(int(fetched(url)))
        requests += 1
        return len(pids) >= number

    until(answered, f"{number} workers answer", DEADLINE)
    return requests


def check_exact(url: str, workers: int = 2) -> None:
    """Check totals before and after workers are killed, whichever worker answers."""
    pids: set[int] = set()
    total = hit_until(url, pids, workers)
    assert {count(url) for _ in range(4 * workers)} == {total}
    for _ in range(2):
        killed = pids.pop()
        os.kill(killed, signal.SIGKILL)
        # A connection of the killed worker is reset.
        with suppress(OSError):
            count(url)
        total += hit_until(url, pids, workers)
        assert {count(url) for _ in range(4 * workers)} == {total}
        assert count(url, "in_flight") < total


def listening_on(server: Master) -> str:
    """Return the address, as gunicorn logs it."""
    found = until(lambda: re.search(r"Listening at: (\S+)", server.log), "it listens", DEADLINE)
    return found[1]


@pytest.mark.parametrize(
    ("kind", "options", "parts"),
    [
        ("sync", [], [WSGI]),
        ("sync", ["--preload"], [WSGI]),
        ("sync", ["--preload"], [EAGER, WSGI]),
        ("gthread", ["--threads=2"], [WSGI]),
        ("gthread", ["--threads=2", "--preload"], [EAGER, WSGI]),
        ("uvicorn.workers.UvicornWorker", [], [ASGI]),
        ("gevent", [], [WSGI]),
        ("gevent", ["--preload"], [EAGER, WSGI]),
    ],
)
def test_gunicorn(kind, options, parts, tmp_path, directory):
    pytest.importorskip("gunicorn")
    pytest.importorskip("gevent" if kind == "gevent" else kind.rpartition(".")[0] or "gunicorn")
    write_program(tmp_path, directory, *parts)
    options = ["--workers=2", "--bind=127.0.0.1:0", "--no-control-socket", *options]
    with master(tmp_path, "gunicorn", "-k", kind, *options, "program:application") as server:
        check_exact(listening_on(server))
        assert server.end() == 0, server.log
    assert "Traceback" not in server.log, server.log
    until(lambda: not directory.exists(), "the directory is removed")


def test_gunicorn_that_replaces_its_workers_one_by_one(tmp_path, directory):
    pytest.importorskip("gunicorn")
    write_program(tmp_path, directory, WSGI)
    options = ["--workers=2", "--bind=127.0.0.1:0", "--no-control-socket"]
    with master(tmp_path, "gunicorn", *options, "program:application") as server:
        url = listening_on(server)
        pids: set[int] = set()
        total = hit_until(url, pids, 2)
        for _ in range(2):
            # One more, and one less: the oldest ends in order.
            os.kill(server.pid, signal.SIGTTIN)
            total += hit_until(url, pids, len(pids) + 1)
            os.kill(server.pid, signal.SIGTTOU)
            until(lambda: count(url, "processes_workers") == 2, "a worker ends", DEADLINE)
            assert {count(url) for _ in range(8)} == {total}
        assert server.end() == 0, server.log


@pytest.mark.parametrize(("options", "parts"), [([], [WSGI]), (["--preload"], [EAGER, WSGI])])
def test_gunicorn_that_reloads_continues_or_restarts_totals(tmp_path, directory, options, parts):
    pytest.importorskip("gunicorn")
    write_program(tmp_path, directory, *parts)
    options = ["--workers=2", "--bind=127.0.0.1:0", "--no-control-socket", *options]
    with master(tmp_path, "gunicorn", *options, "program:application") as server:
        url = listening_on(server)
        total = 0
        for _ in range(2):
            old: set[int] = set()
            total += hit_until(url, old, 2)
            assert {count(url) for _ in range(8)} == {total}
            os.kill(server.pid, signal.SIGHUP)
            until(lambda old=old: not any(map(psutil.pid_exists, old)), "they end", DEADLINE)
            since = hit_until(url, set(), 2)
            shown = {count(url) for _ in range(8)}
            if EAGER not in parts and shown == {since}:
                # All workers have left before a new one joined.
                total = 0
            assert shown == {total + since}
            total += since
        assert server.end() == 0, server.log
    until(lambda: not directory.exists(), "the directory is removed")


def test_uvicorn(tmp_path, directory):
    write_program(tmp_path, directory, ASGI)
    port = free_port()
    options = ["--workers=2", f"--port={port}", "--log-level=warning"]
    with master(tmp_path, "uvicorn", *options, "program:application") as server:
        url = f"http://127.0.0.1:{port}"
        until(lambda: answers(url), "uvicorn answers", DEADLINE)
        pids: set[int] = set()
        hit_until(url, pids, 2)
        total = count(url)
        assert {count(url) for _ in range(8)} == {total}
        os.kill(pids.pop(), signal.SIGKILL)
        with suppress(OSError):
            count(url)
        requests = hit_until(url, pids, 2)
        assert {count(url) for _ in range(8)} == {total + requests}
        assert server.end() in {0, -signal.SIGTERM}, server.log
    until(lambda: not directory.exists(), "the directory is removed")


def answers(url: str) -> bool:
    try:
        return fetched(url) != ""
    except OSError:
        return False


CELERY = """
from celery import signals
from metrics.exporters import prometheus
from tests import brokers

container.init_resources()
app = brokers.application(pathlib.Path(__file__).parent)

@app.task
def work():
    container.requests().inc()
    note(done=True)

@signals.worker_ready.connect
def send(**_):
    for _ in range(8):
        work.delay()

@signals.worker_process_init.connect
def start(**_):
    container.init_resources(timeout=10)

@signals.heartbeat_sent.connect
def look(**_):
    note(page=prometheus.render(container.registry()).decode())

@signals.worker_process_shutdown.connect
def stop_child(**_):
    container.shutdown_resources(timeout=10)

@signals.worker_shutdown.connect
def stop_parent(**_):
    container.shutdown_resources(timeout=10)
"""


@pytest.mark.parametrize("options", [[], ["--max-tasks-per-child=2"]])
def test_the_main_process_of_celery_answers_for_its_children(tmp_path, directory, options):
    pytest.importorskip("celery")
    write_program(tmp_path, directory, CELERY)
    arguments = ["-A", "program", "worker", "--concurrency=2", "--heartbeat-interval=1", *options]
    with master(tmp_path, "celery", *arguments) as server:
        server.wait_for("done", 8)

        def shown() -> bool:
            pages = server.notes("page")
            return bool(pages) and "requests_total 8\n" in pages[-1]["page"].replace(".0", "")

        until(shown, "the main process shows all tasks", DEADLINE)
        assert server.end() == 0, server.log
    until(lambda: not directory.exists(), "the directory is removed")


SERVED = """
import multiprocessing, sys, time

class Served(Container):
    server = Resource(uvicorn.serve, asgi.metrics(Container.registry), port=PORT, reuse_port=True)

def work(number):
    served.init_resources(timeout=10)
    served.requests().inc(number)
    note(ready=True)
    time.sleep(60)

served = Served()
if __name__ == "__main__":
    served.init_resources(timeout=10)
    served.requests().inc(1)
    context = multiprocessing.get_context("fork")
    for number in (10, 100):
        context.Process(target=work, args=(number,), daemon=True).start()
    time.sleep(60)
"""


def count_listeners(port: int) -> int:
    """Return the number of sockets that listen on a port of the loopback."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[1].endswith(f":{port:04X}") and row[3] == "0A" for row in rows)


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="SO_REUSEPORT balances on Linux")
def test_every_process_serves_on_one_port_and_any_answers_for_all(tmp_path, directory):
    port = free_port()
    write_program(tmp_path, directory, f"PORT = {port}\n", SERVED)
    with master(tmp_path, "program") as server:
        server.wait_for("ready", 2)
        url = f"http://127.0.0.1:{port}"
        assert {count(url) for _ in range(20)} == {111}
        os.kill(server.notes("ready")[0]["pid"], signal.SIGKILL)
        # Until then its socket takes connections, which are reset.
        until(lambda: count_listeners(port) == 2, "it has ended")
        assert count(url, "processes_workers") == 2
        assert {count(url) for _ in range(20)} == {111}
