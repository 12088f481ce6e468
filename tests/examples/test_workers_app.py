"""The example of several workers shows the requests of all of them, whichever one is scraped."""

import json
import os
import signal
import sys
from contextlib import suppress
from functools import partial
from urllib.request import Request, urlopen

import pytest

from tests.examples.programs import EXAMPLES, environment, present
from tests.forks import forking
from tests.processes import DEADLINE, LOOPBACK, Server, accepts, fetch, free_port, until

pytestmark = [*forking, present, pytest.mark.slow(reason="starts the program of the example")]


def test_the_workers_answer_for_all_of_them(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])
    port, log = free_port(), tmp_path / "log"
    url = f"http://{LOOPBACK}:{port}"
    program = ["workers_app:app", f"--app-dir={EXAMPLES}", "--workers=2", f"--port={port}"]
    command = [sys.executable, "-m", "uvicorn", *program, "--log-level=warning"]
    seen: dict[int, int] = {}

    def send_order() -> int:
        """Send an order on a connection of its own; return the number of workers seen."""
        request = Request(f"{url}/orders/{len(seen)}", method="POST")
        with urlopen(request, timeout=DEADLINE) as response:
            worker = json.load(response)["worker"]
        seen[worker] = seen.get(worker, 0) + 1
        return len(seen)

    def pages() -> set[tuple[str, ...]]:
        """Return the different pages of several scrapes, which all workers answer."""
        wanted = ("orders_total", "processes_workers", "http_server_request_duration_seconds_count")
        scrapes = [fetch(f"{url}/metrics").decode().splitlines() for _ in range(8)]
        return {tuple(line for line in lines if line.startswith(wanted)) for lines in scrapes}

    def check_pages() -> None:
        (lines,) = pages()
        orders = sum(seen.values())
        assert lines[1:] == (f"orders_total {orders}", "processes_workers 2")
        assert 'http_route="/orders/{number}"' in lines[0]
        assert lines[0].endswith(f" {orders}")

    with Server(command, partial(accepts, port), log):
        until(lambda: send_order() == 2, "both workers take orders")
        check_pages()
        os.kill(next(iter(seen)), signal.SIGKILL)
        with suppress(OSError):
            # It may come to the killed worker, and its connection is reset then.
            fetch(f"{url}/metrics")
        until(lambda: send_order() == 3, "a new worker takes orders")
        check_pages()
    assert "Traceback" not in log.read_text()
