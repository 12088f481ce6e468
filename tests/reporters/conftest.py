"""The servers of a test session, each started when the first test asks for it, and transports."""

import socket
import threading
from collections.abc import Iterator

import pytest

from metrics.reporters._transports.http import Http
from tests.reporters.names import Names, finish_lookups
from tests.reporters.prometheus import Prometheus, Pushgateway
from tests.reporters.real import Carbon, Influx, Victoria
from tests.reporters.servers import http_to
from tests.reporters.waiting import DEADLINE


@pytest.fixture(scope="session")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    influx = Influx(tmp_path_factory.mktemp("influxdb"))
    with influx.server:
        yield influx


@pytest.fixture(scope="session")
def guarded_influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    influx = Influx(tmp_path_factory.mktemp("guarded-influxdb"), auth=True)
    with influx.server:
        influx.create_admin()
        yield influx


@pytest.fixture(scope="session")
def victoria(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victoria]:
    victoria = Victoria(tmp_path_factory.mktemp("victoria"))
    with victoria.server:
        yield victoria


@pytest.fixture(scope="session")
def carbon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Carbon]:
    carbon = Carbon(tmp_path_factory.mktemp("carbon"))
    with carbon.server:
        yield carbon


@pytest.fixture(scope="session")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    prometheus = Prometheus(tmp_path_factory.mktemp("prometheus"))
    with prometheus.server:
        yield prometheus


@pytest.fixture(scope="session")
def pushgateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pushgateway]:
    pushgateway = Pushgateway(tmp_path_factory.mktemp("pushgateway"))
    with pushgateway.server:
        yield pushgateway


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
def sending():
    """Returns a function that sends one payload and gives back what came of it."""
    made = []

    def send(server, timeout=DEADLINE, payload=b"payload", **options):
        transport = http_to(server, **options)
        made.append(transport)
        transport.send(payload, timeout)

    yield send
    for transport in made:
        transport.close()


@pytest.fixture
def transport_to():
    made = []

    def make(server, **options) -> Http:
        made.append(http_to(server, **options))
        return made[-1]

    yield make
    for transport in made:
        transport.close()
