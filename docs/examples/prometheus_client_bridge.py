"""Two pages with the instruments of two libraries: python prometheus_client_bridge.py 8000 8001."""

import signal
import sys
from collections.abc import Iterator

from dependency_injector import providers
from prometheus_client import Counter, start_http_server

from metrics import resources
from metrics.integrations import asgi, prometheus_client, uvicorn
from metrics.lifecycle import MetricsContainer, Resource, running

ORDERS = Counter("orders", "Orders, counted by a module that uses prometheus_client")


def serve_old_page(port: int) -> Iterator[None]:
    server, thread = start_http_server(port, "127.0.0.1")
    yield
    server.shutdown()
    server.server_close()
    thread.join()


class Container(MetricsContainer):
    registry = MetricsContainer.registry
    jobs = Resource(resources.counter, registry, "jobs", description="Jobs")
    exported = Resource(prometheus_client.export, registry)
    included = Resource(prometheus_client.include, registry)
    old_page = Resource(serve_old_page, int(sys.argv[1]))
    page = Resource(
        uvicorn.serve, providers.Singleton(asgi.metrics, registry), port=int(sys.argv[2])
    )


if __name__ == "__main__":
    with running(Container()) as container:
        ORDERS.inc(2)
        container.jobs().inc(3)
        signal.pause()
