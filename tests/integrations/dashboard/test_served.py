"""Live page of real servers: it arrives at once, stands in no one's way, and ends with them."""

import signal
import sys
import threading
from contextlib import ExitStack
from functools import partial
from http.client import HTTPConnection
from urllib.request import Request, urlopen

import pytest

from container import Container
from metrics import Registry
from metrics.integrations import asgi
from metrics.integrations.uvicorn import serve
from tests.integrations.dashboard.viewing import PATIENCE, streaming
from tests.processes import LOOPBACK, Server, accepts, fetch, free_port

pytestmark = pytest.mark.slow(reason="starts servers")

UVICORN = [sys.executable, "-m", "uvicorn", "--factory", "--host", LOOPBACK, "--port"]
MODULE = "tests.integrations.dashboard.served"

COMMANDS = {
    "starlette": ("/live/dashboard/events", "starlette", []),
    "fastapi": ("/dashboard/events", "fastapi", []),
    "asyncio": ("/dashboard/events", "fastapi", ["--loop", "asyncio"]),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_server_with_viewers_stops_promptly(name, tmp_path):
    path, factory, options = COMMANDS[name]
    port, log = free_port(), tmp_path / "log"
    command = [*UVICORN, str(port), f"{MODULE}:{factory}", *options]
    server = Server(command, partial(accepts, port), log)
    with server, ExitStack() as stack:
        viewers = [
            stack.enter_context(streaming(LOOPBACK, port, path, Accept_Encoding="gzip"))
            for _ in range(3)
        ]
        for viewer in viewers:
            # Neither compressed nor kept back.
            assert viewer.response.headers["Content-Encoding"] == "identity"
            state = viewer.next("state").content
            assert state["container"]["state"] == "RUNNING"
            assert "hits" in [each["name"] for each in state["series"]]
        assert "values" in viewers[0].next("tick").content
        # uvicorn waits for open responses before it stops the container.
        assert server.stop() in {0, -signal.SIGTERM}
        for viewer in viewers:
            assert [event.name for event in viewer][-1] == "stopped"
    written = log.read_text()
    assert "Traceback" not in written, written
    assert "without completing" not in written, written


def test_values_arrive_and_a_viewer_that_leaves_is_noticed(tmp_path):
    port, log = free_port(), tmp_path / "log"
    command = [*UVICORN, str(port), f"{MODULE}:fastapi"]
    with Server(command, partial(accepts, port), log):
        with streaming(LOOPBACK, port) as viewer:
            state = viewer.next("state").content
            number = next(e["id"] for e in state["series"] if e["name"] == "hits")
            assert fetch(f"http://{LOOPBACK}:{port}/hit") == b"1"
            while (event := viewer.next("tick")).content["values"].get(str(number)) != [1]:
                pass
        with streaming(LOOPBACK, port, Last_Event_ID=event.identity) as viewer:
            assert next(iter(viewer)).name == "continued"
    assert "Traceback" not in log.read_text()


def test_scrapes_are_served_beside_more_viewers_than_requests_are_allowed():
    registry = Registry()
    registry.counter("hits").inc()
    with serve(asgi.exposition(registry), port=0, limit_concurrency=2) as address:
        with ExitStack() as stack:
            viewers = [
                stack.enter_context(streaming(address.host, address.port)) for _ in range(20)
            ]
            for viewer in viewers:
                viewer.next("state")
            for _ in range(5):
                assert b"hits_total 1" in urlopen(f"{address.url}/metrics", timeout=PATIENCE).read()
        # Their places are theirs no more, and those of requests are free.
        assert urlopen(f"{address.url}/healthz", timeout=PATIENCE).status == 200


def test_the_agent_shows_its_container_and_stops_with_viewers():
    container = Container()
    container.config.from_dict({"port": 0, "tick_interval": 1.0})
    container.init_resources()
    try:
        address = container.server()
        with ExitStack() as stack:
            viewers = [
                stack.enter_context(streaming(address.host, address.port)) for _ in range(20)
            ]
            for viewer in viewers:
                state = viewer.next("state").content
                assert state["title"] == "wired-metrics agent"
                names = [each["name"] for each in state["container"]["resources"]]
                assert (names[:2], names[-1]) == (["ticker", "registry"], "server")
                assert [check["name"] for check in state["health"]] == ["agent/ticking"]
            stop = threading.Thread(target=container.shutdown_resources)
            stop.start()
            for viewer in viewers:
                assert [event.name for event in viewer][-2:] == ["lifecycle", "stopped"]
            stop.join(PATIENCE)
            assert not stop.is_alive()
    finally:
        container.shutdown_resources()


def test_a_server_without_a_container_ends_its_streams_when_it_stops():
    with ExitStack() as stack:
        with serve(asgi.exposition(Registry()), port=0) as address:
            viewer = stack.enter_context(streaming(address.host, address.port))
            viewer.next("state")
        assert [event.name for event in viewer] == ["stopped"]


def test_without_a_dashboard_nothing_of_it_is_served():
    with serve(asgi.exposition(Registry(), dashboard=False), port=0) as address:
        connection = HTTPConnection(address.host, address.port, timeout=PATIENCE)
        for path in ("events", "history.json", "index.html", "dashboard.js"):
            connection.request("GET", f"/dashboard/{path}")
            response = connection.getresponse()
            response.read()
            assert response.status == 404
        connection.close()
        browser = Request(address.url, headers={"Accept": "text/html"})
        assert b"0 instruments" in urlopen(browser, timeout=PATIENCE).read()
