"""Things that tests start and do not stop, in a suite of their own under the leak check."""

import os
from pathlib import Path

import pytest

STOPPERS = """
stoppers = []

def pytest_sessionfinish():
    for stop in stoppers:
        stop()
"""
"""A plugin, because a fixture would stop what the last test leaves, whichever test that is."""

THREAD = """
import threading

def start(name="planted"):
    over = threading.Event()
    stoppers.append(over.set)
    thread = threading.Thread(target=over.wait, name=name, daemon=True)
    thread.start()
    return over.set
"""

PLANTED = {
    "thread": (THREAD + "def test_guilty(): start()", "thread 'planted'", "start()"),
    "executor": (
        """
from concurrent.futures import ThreadPoolExecutor
def test_guilty():
    pool = ThreadPoolExecutor(1)
    stoppers.append(pool.shutdown)
    pool.submit(int)
""",
        "executor thread 'ThreadPoolExecutor-*_0'",
        "pool.submit(int)",
    ),
    "event loop": (
        """
import asyncio
def test_guilty():
    stoppers.append(asyncio.new_event_loop().close)
""",
        "event loop '_UnixSelectorEventLoop'",
        "asyncio.new_event_loop()",
    ),
    "process": (
        """
import subprocess, sys
def stop(process):
    process.kill()
    process.wait()
def test_guilty():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    stoppers.append(lambda: stop(process))
""",
        "process '*time.sleep(60)'",
        "process = subprocess.Popen(",
    ),
    "socket": (
        """
import socket
def test_guilty():
    listener = socket.create_server(("127.0.0.1", 0))
    stoppers.append(listener.close)
""",
        "socket '127.0.0.1:*'",
        "listener = socket.create_server",
    ),
    "file": (
        """
def test_guilty(tmp_path):
    file = open(tmp_path / "left.txt", "w")
    stoppers.append(file.close)
""",
        "file '*left.txt'",
        "",
    ),
    "container": (
        """
from metrics.lifecycle import MetricsContainer
def test_guilty():
    container = MetricsContainer()
    stoppers.append(container.shutdown_resources)
    container.init_resources()
""",
        "container 'MetricsContainer'",
        "container.init_resources()",
    ),
    "resource": (
        """
from dependency_injector import containers, providers
class Stock(containers.DeclarativeContainer):
    connection = providers.Resource(dict)
stock = Stock()
def test_guilty():
    stoppers.append(stock.shutdown_resources)
    stock.init_resources()
""",
        "resource 'dict'",
        "",
    ),
    "ticker": (
        """
from metrics import Meter, Ticker
def test_guilty():
    ticker = Ticker()
    stoppers.append(ticker.stop)
    ticker.add(Meter())
    ticker.start()
""",
        "thread 'metrics-ticker'",
        "ticker.start()",
    ),
    "reporter": (
        """
from metrics import Registry
from metrics.reporters.log import to_logger
def test_guilty():
    reporting = to_logger(Registry())
    stoppers.append(lambda: reporting.__exit__(None, None, None))
    reporting.__enter__()
""",
        "thread 'metrics-reporter-log'",
        "reporting.__enter__()",
    ),
    "OpenTelemetry's reader": (
        """
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter
def test_guilty():
    reader = PeriodicExportingMetricReader(ConsoleMetricExporter())
    provider = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
    stoppers.append(provider.shutdown)
""",
        "thread 'OtelPeriodicExportingMetricReader'",
        "reader = PeriodicExportingMetricReader(",
    ),
    "prometheus_client's server": (
        """
import prometheus_client
def stop_server(server, thread):
    server.shutdown()
    server.server_close()
    thread.join()
def test_guilty():
    server, thread = prometheus_client.start_http_server(0, "127.0.0.1")
    stoppers.append(lambda: stop_server(server, thread))
""",
        "socket '127.0.0.1:*'",
        "prometheus_client.start_http_server(0",
    ),
}


WITH_XDIST = ("-p", "xdist")

PLUGINS = ("-p", "pytest_wired_metrics", "-p", "no:cacheprovider")

AUTOLOAD = "PYTEST_DISABLE_PLUGIN_AUTOLOAD"

SEED = os.environ.get("NESTED_SEED", "")
"""Seed with which pytest-randomly orders the tests of each suite; empty for their own order."""


class Suite:
    """Test modules in a directory, run by pytest in a process of their own.

    Such a process loads the plugin of this library alone, because one with all installed plugins
    takes three times as long. A test names the others that it requires, by their modules where
    they are not those of pytest.
    """

    def __init__(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
        self._pytester = pytester
        self._monkeypatch = monkeypatch
        self._plugins = PLUGINS
        monkeypatch.setenv(AUTOLOAD, "1")
        pytester.makeconftest("")
        pytester.makepyfile(stopped=STOPPERS)

    @property
    def path(self) -> Path:
        """The directory of the test modules."""
        return self._pytester.path

    def load_all_plugins(self) -> None:
        """Let pytest load all installed plugins, as it does by default."""
        self._monkeypatch.delenv(AUTOLOAD)
        self._plugins = PLUGINS[2:]

    def configured(self, **settings: str) -> None:
        """Write the suite's configuration."""
        lines = [f"{name} = {value}" for name, value in settings.items()]
        self._pytester.makeini("\n".join(["[pytest]", *lines]))

    def add(self, module: str, source: str) -> None:
        """Add another module beside the tests."""
        self._pytester.makepyfile(**{module: source})

    def run(self, source: str, *options: str, ordered: bool = False) -> pytest.RunResult:
        """Run one module, which may add to `stoppers` what stops what it leaves.

        Args:
            source: the tests of the module.
            options: pytest's options, with those that load the plugins that the tests require.
            ordered: whether the outcome depends on the order of the tests.
        """
        self._pytester.makepyfile(
            test_planted="from stopped import *\nfrom stopped import stoppers\n" + source
        )
        always = [*self._plugins, "-p", "stopped", "-W", "error::pytest.PytestUnknownMarkWarning"]
        if SEED and not ordered and AUTOLOAD in os.environ:
            always += ["-p", "pytest_randomly", f"--randomly-seed={SEED}"]
        return self._pytester.runpytest_subprocess(*always, *options, timeout=60)

    def checked(self, source: str, *options: str, ordered: bool = False) -> pytest.RunResult:
        """Run one module with the check for all of its tests."""
        return self.run(source, "--leakcheck", *options, ordered=ordered)

    def parsed(self, *words: str) -> pytest.Config:
        """Return the configuration of a run of this process that runs no test.

        Raises:
            pytest.UsageError: an option or a setting is wrong.
        """
        return self._pytester.parseconfigure(*self._plugins, *words)


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Suite:
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    # A worker of this suite is none of that one.
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    # Where these are set, pytest says everything twice.
    for name in ("CI", "BUILD_NUMBER"):
        monkeypatch.delenv(name, raising=False)
    return Suite(pytester, monkeypatch)
