"""Measured applications for tests: their instruments, and what these recorded."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from metrics import Registry
from metrics.integrations import http
from metrics.lifecycle import MetricsContainer, Resource
from metrics.testing import ManualClock

DURATION = "http.server.request.duration"
ACTIVE = "http.server.active_requests"
REQUEST_SIZE = "http.server.request.body.size"
RESPONSE_SIZE = "http.server.response.body.size"
CONNECTIONS = "websocket.server.connection.duration"
OPEN = "websocket.server.active_connections"


class Container(MetricsContainer):
    registry = MetricsContainer.registry
    http = Resource(http.server, registry)


class Recording:
    """The instruments of a server, and what they recorded, by label values."""

    def __init__(self, registry: Registry, server: http.HTTPServer, clock: ManualClock) -> None:
        self.registry = registry
        self.server = server
        self.clock = clock

    def read(self, name: str, value: Callable[[Any], Any]) -> dict[tuple[str, ...], Any]:
        snapshot: Any = self.registry.snapshot().get(name)
        children = {} if snapshot is None else snapshot.children
        return {labels: value(child) for labels, child in children.items()}

    @property
    def requests(self) -> dict[tuple[str, ...], int]:
        return self.read(DURATION, lambda child: child.count)

    @property
    def seconds(self) -> dict[tuple[str, ...], float]:
        return self.read(DURATION, lambda child: child.sum)

    @property
    def active(self) -> dict[tuple[str, ...], int]:
        return self.read(ACTIVE, lambda child: child.count)

    @property
    def received(self) -> dict[tuple[str, ...], float]:
        return self.read(REQUEST_SIZE, lambda child: child.sum)

    @property
    def sent(self) -> dict[tuple[str, ...], float]:
        return self.read(RESPONSE_SIZE, lambda child: child.sum)

    @property
    def connections(self) -> dict[tuple[str, ...], int]:
        return self.read(CONNECTIONS, lambda child: child.count)

    @property
    def open(self) -> dict[tuple[str, ...], int]:
        return self.read(OPEN, lambda child: child.count)


@contextmanager
def recording(**options: Any) -> Iterator[Recording]:
    """Register the instruments of a server whose clock is set by hand."""
    clock = ManualClock()
    registry = Registry(clock=clock)
    with http.server(registry, **options) as server:
        yield Recording(registry, server, clock)


def get(route: str, status: int = 200, error: str = "", method: str = "GET") -> tuple[str, ...]:
    """Return the label values of a request."""
    text = str(status) if status else ""
    return method, route, text, error or (text if status >= 500 else "")


def levels(caplog: Any) -> list[int]:
    """Return the levels of the lines that the integrations have logged."""
    return [each.levelno for each in caplog.records if each.name == "metrics.integrations"]
