"""Exemplars in a real Prometheus, scraped and by remote write."""

from pathlib import Path

import pytest

from metrics import Registry
from metrics.integrations import asgi
from metrics.integrations.uvicorn import serve
from metrics.reporters import remote_write
from tests.processes import until
from tests.reporters.prometheus import Prometheus
from tests.reporters.waiting import FOREVER

pytestmark = pytest.mark.slow(reason="starts servers")

# Prometheus 2.42 leaves the labels of an exemplar escaped when it reads a page.
TRACE = {"trace_id": "0af7651916cd43dd8448eb211c80319c", "path": "/a # {b} 5"}


def recorded() -> Registry:
    registry = Registry(exemplars=lambda: TRACE)
    registry.counter("requests").inc(3)
    registry.timers("wait", ("method",)).labels("GET").update(0.003)
    return registry


def found(server: Prometheus) -> dict[object, list[tuple[object, float]]]:
    """Return labels and value of the exemplars that a server has, by name and bucket."""
    return {
        (name, dict(labels).get("le", "")): [
            (one["labels"], float(str(one["value"]))) for one in exemplars
        ]
        for query in ("requests_total", "wait_seconds_bucket")
        for (name, labels), exemplars in server.exemplars(query).items()
    }


EXPECTED = {
    ("requests_total", ""): [(TRACE, 3.0)],
    ("wait_seconds_bucket", "0.005"): [(TRACE, 0.003)],
}


def test_a_server_reads_exemplars_from_the_page(tmp_path: Path):
    with serve(asgi.metrics(recorded()), port=0) as address:
        server = Prometheus(tmp_path, f"{address.host}:{address.port}")
        with server.server:
            until(lambda: found(server) == EXPECTED, "the server has the exemplars")


def test_a_server_takes_exemplars_by_remote_write(prometheus: Prometheus):
    url = f"{prometheus.url}/api/v1/write"
    labels = {"job": "exemplars", "instance": ""}
    with remote_write.http(recorded(), url, labels=labels, interval=FOREVER):
        pass
    until(lambda: found(prometheus) == EXPECTED, "the server has the exemplars")
