"""The example of a measured httpx client runs as it is."""

import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from subprocess import run

import pytest

from tests.examples.programs import EXAMPLES, environment, present
from tests.processes import DEADLINE, LOOPBACK

pytestmark = [present, pytest.mark.slow(reason="starts the program of the example")]


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(404 if self.path.endswith("/3") else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        pass


def test_the_example_prints_its_requests():
    with HTTPServer((LOOPBACK, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        try:
            url = f"http://{LOOPBACK}:{server.server_port}"
            done = run(
                [sys.executable, "-W", "error", EXAMPLES / "httpx_client.py", url, "1", "2", "3"],
                capture_output=True,
                check=False,
                env=environment(),
                text=True,
                timeout=DEADLINE,
            )
        finally:
            server.shutdown()
            thread.join()
    assert (done.returncode, done.stderr) == (0, "")
    name = "http_client_request_duration_seconds_count"
    counts = [line for line in done.stdout.splitlines() if line.startswith(name)]
    assert [line.rpartition(" ")[2] for line in counts] == ["2", "1"]
    assert all('url_template="/items/{number}"' in line for line in counts)
