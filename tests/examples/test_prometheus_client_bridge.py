"""The example of the bridge to prometheus_client serves both pages."""

import sys
from functools import partial

import pytest

from tests.examples.programs import EXAMPLES, environment
from tests.processes import LOOPBACK, Server, accepts, fetch, free_port, until

pytestmark = pytest.mark.slow(reason="starts the program of the example")


def test_both_pages_have_the_instruments_of_both_libraries(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])
    ports, log = (free_port(), free_port()), tmp_path / "log"
    command = [sys.executable, str(EXAMPLES / "prometheus_client_bridge.py"), *map(str, ports)]

    def pages() -> list[str]:
        found = [fetch(f"http://{LOOPBACK}:{port}/metrics").decode() for port in ports]
        assert all("jobs_total 3" in page for page in found)
        return found

    with Server(command, partial(accepts, ports[1]), log):
        old, own = until(pages, "the jobs are counted")
        for page in (old.splitlines(), own.splitlines()):
            assert page.count("# TYPE orders_total counter") == 1
            assert page.count("orders_total 2.0") == 1
            assert page.count("# HELP jobs_total Jobs") == 1
        assert "jobs_total 3.0" in old
        assert "process_cpu_seconds_total" in own
    assert log.read_text() == ""
