"""Examples as programs of their own, started by the command line of their framework."""

import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.processes import LOOPBACK, Server, accepts, fetch, free_port


def check_sales(command: Callable[[int], list[str]], route: str, log: Path) -> None:
    """Check the numbers of an example that sells items, and that SIGTERM stops it.

    Args:
        command: returns the arguments of `python -m` for a port.
        route: the template of the route that sells an item.
        log: the file to write to what the program says.
    """
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    with Server([sys.executable, "-m", *command(port)], partial(accepts, port), log) as server:
        for number in range(5):
            assert fetch(f"{url}/items/{number}", b"") == str(number).encode()
        page = fetch(f"{url}/metrics").decode()
        # uvicorn raises the signal again.
        assert server.stop() in {0, -signal.SIGTERM}
    values = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }
    assert values[("shop_sales_total",)] == 5
    duration = "http_server_request_duration_seconds_count"
    counts = {key: value for key, value in values.items() if key[0] == duration}
    assert counts == {(duration, "POST", route, "200", ""): 5}
    assert "Traceback" not in log.read_text()
