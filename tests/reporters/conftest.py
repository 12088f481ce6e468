"""The servers of a test session, each started when the first test asks for it, and transports."""

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from metrics.reporters._transports.http import Http
from tests.reporters.names import Names, finish_lookups
from tests.reporters.prometheus import Prometheus, Pushgateway
from tests.reporters.real import Carbon, Influx, Victoria
from tests.reporters.servers import http_to
from tests.reporters.waiting import DEADLINE


def session_server(create: Callable[[Path], Any]) -> Any:
    """Return a fixture: a server that runs in a folder of its own to the end of the session."""

    @pytest.fixture(scope="session")
    def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
        made = create(tmp_path_factory.mktemp(create.__name__))
        with made.server:
            yield made

    return server


influx = session_server(Influx)
victoria = session_server(Victoria)
carbon = session_server(Carbon)
prometheus = session_server(Prometheus)
pushgateway = session_server(Pushgateway)


@pytest.fixture(scope="session")
def guarded_influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    influx = Influx(tmp_path_factory.mktemp("guarded-influxdb"), auth=True)
    with influx.server:
        influx.create_admin()
        yield influx


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    """Give a resolver that has no names but the test's."""
    names = Names()
    monkeypatch.setattr(socket, "getaddrinfo", names)
    yield names
    names.open.set()
    finish_lookups()


@pytest.fixture
def time_is_up(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """When it is set, a delivery has had its time, and not before, however slow the machine is."""
    over = threading.Event()

    class Watch(threading.Timer):
        def run(self) -> None:
            while not over.wait(0.01):
                if self.finished.is_set():
                    return
            self.interval = 0.0
            super().run()

    monkeypatch.setattr(threading, "Timer", Watch)
    return over


@pytest.fixture
def transport_to():
    made = []

    def make(server, **options) -> Http:
        made.append(http_to(server, **options))
        return made[-1]

    yield make
    for transport in made:
        transport.close()


@pytest.fixture
def sending(transport_to):
    """Return a function that sends one payload, and raises if the server does not take it."""

    def send(server, timeout=DEADLINE, payload=b"payload", **options):
        transport_to(server, **options).send(payload, timeout)

    return send
