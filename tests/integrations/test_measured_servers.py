"""Real servers: exact numbers of every framework, and a clean stop by SIGTERM."""

import signal
import socket
import sys
from contextlib import contextmanager
from functools import partial

import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.sync.client import connect

from tests.processes import LOOPBACK, Server, accepts, fetch, free_port, until

pytestmark = pytest.mark.slow(reason="starts a server of each framework")

UVICORN = [sys.executable, "-m", "uvicorn", "--factory", "--host", LOOPBACK, "--port"]
GUNICORN = [sys.executable, "-m", "gunicorn", "--threads", "1", "--no-control-socket", "--bind"]

STOPPED = "the container has stopped"


def uvicorn(name, port):
    return [*UVICORN, str(port), f"tests.integrations.served:{name}"]


def gunicorn(application, port):
    return [*GUNICORN, f"{LOOPBACK}:{port}", application]


COMMANDS = {
    "starlette": partial(uvicorn, "starlette"),
    "fastapi": partial(uvicorn, "fastapi"),
    "litestar": partial(uvicorn, "litestar"),
    "raw": partial(uvicorn, "raw"),
    "flask": partial(gunicorn, "tests.integrations.served:flask()"),
    "django": partial(gunicorn, "tests.integrations.django_project:application"),
    "aiohttp": lambda port: [sys.executable, "-m", "tests.integrations.served", str(port)],
}

ROUTES = {
    "starlette": ("/items/{id}", "/t/{tenant}/items/{id}"),
    "fastapi": ("/items/{id}", "/t/{tenant}/items/{id}"),
    "litestar": ("/items/{id}", "/t/{tenant}/items/{id}"),
    "raw": ("/items/{id}", "/t/{tenant}/items/{id}"),
    "flask": ("/items/<id>", "/t/<tenant>/items/<id>"),
    "django": ("/items/<int:number>/", "/v1/<slug:tenant>/items/<int:number>/"),
    "aiohttp": ("/items/{id}", "/t/{tenant}/items/{id}"),
}


ENDLESS = {"starlette", "fastapi", "raw", "flask"}
WEBSOCKETS = {"starlette", "fastapi", "raw", "litestar"}


@contextmanager
def serving(framework, tmp_path):
    """Serve an application; yield its URL, and stop it by SIGTERM."""
    port, log = free_port(), tmp_path / "log"
    server = Server(COMMANDS[framework](port), partial(accepts, port), log)
    with server:
        yield f"http://{LOOPBACK}:{port}"
        # uvicorn raises the signal again.
        assert server.stop() in {0, -signal.SIGTERM}
    written = log.read_text()
    assert "Traceback" not in written, written
    assert STOPPED in written, written


def samples(url):
    """Return the values of the page by name and the values of the labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(fetch(f"{url}/metrics").decode())
        for sample in family.samples
        if not sample.name.endswith("_bucket")
    }


def counts(url):
    name = "http_server_request_duration_seconds_count"
    return {
        labels: value
        for (sample, *rest), value in samples(url).items()
        if sample == name and (labels := tuple(rest))[1] != "/metrics"
    }


def refused(url, data=None):
    with pytest.raises(OSError, match="answered 4"):
        fetch(url, data)


@pytest.mark.parametrize("framework", COMMANDS)
def test_requests_and_connections_are_counted_and_the_server_stops(framework, tmp_path):
    plain, tenants = ROUTES[framework]
    expected = {
        ("GET", plain, "200", ""): 20,
        ("GET", tenants, "200", ""): 20,
        ("GET", "", "404", ""): 20,
    }
    slash = "/" if framework == "django" else ""
    below = "v1" if framework == "django" else "t"
    with serving(framework, tmp_path) as url:
        for number in range(20):
            fetch(f"{url}/items/{number}{slash}")
            fetch(f"{url}/{below}/tenant{number % 3}/items/{number}{slash}")
            refused(f"{url}/none/{number}")
        # Django has a protection against forgery.
        if framework != "django":
            for _ in range(5):
                fetch(f"{url}/items/1", b"12345")
            expected["POST", plain, "200", ""] = 5
            size = "http_server_request_body_size_bytes_sum"
            assert samples(url)[size, "POST", plain, "200", ""] == 25
        if framework in ENDLESS:
            leave(url)
            expected["GET", "/endless", "200", "aborted"] = 1
            until(lambda: counts(url) == expected, "the request has ended")
        assert counts(url) == expected
        if framework in WEBSOCKETS:
            check_websocket(url)
            assert counts(url) == expected
        active = {key[1]: value for key, value in samples(url).items() if "active_req" in key[0]}
    # The scrape itself is under way; only Django measures it.
    assert active["GET"] == (1 if framework == "django" else 0)


def leave(url):
    """Request a response without an end, and leave after its beginning."""
    with socket.create_connection((LOOPBACK, int(url.rpartition(":")[2]))) as client:
        client.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(100)


def check_websocket(url):
    """Check the numbers of a WebSocket connection while it is open, and afterwards."""
    with connect(f"{url.replace('http', 'ws', 1)}/ws/1") as client:
        client.send("hello")
        assert client.recv() == "hello"
        assert samples(url)["websocket_server_active_connections", "/ws/{id}"] == 1
        client.close(4001)
    name = "websocket_server_connection_duration_seconds_count"
    until(lambda: samples(url).get((name, "/ws/{id}", "4001", "")) == 1, "the end is counted")
    assert samples(url)["websocket_server_active_connections", "/ws/{id}"] == 0
