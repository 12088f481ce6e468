"""The servers of a test session, each started when the first test asks for it."""

from collections.abc import Iterator

import pytest

from tests.reporters.prometheus import Prometheus, Pushgateway
from tests.reporters.real import Carbon, Influx, Victoria


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
