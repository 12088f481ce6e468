"""A container that is collected while it runs says so, and leaves nothing running."""

import gc
import subprocess
import sys
import threading
import warnings
from contextlib import suppress

import pytest
from dependency_injector import providers

from metrics import resources
from metrics.lifecycle import (
    LifecycleContainer,
    MetricsContainer,
    Resource,
    ShutdownError,
    running,
    subscribe,
)
from tests.lifecycle.programs import LIGHT

# What these tests are about is a leak.
pytestmark = pytest.mark.leakcheck(ignore="container *")

TIMEOUT = 20


class Metered(MetricsContainer):
    registry = MetricsContainer.registry
    ticker = MetricsContainer.ticker
    requests = Resource(resources.meter, registry, "rpc/requests")


class Host(LifecycleContainer):
    metrics = providers.Container(Metered)


def workers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "metrics-ticker"]


def drop(held) -> None:
    held.clear()
    gc.collect()


def test_it_is_warned_of_with_its_resources_and_its_worker_ends():
    held = [Metered()]
    held[0].init_resources()
    (worker,) = workers()
    with pytest.warns(ResourceWarning, match=r"Metered .*'ticker', 'registry', 'requests'"):
        drop(held)
    worker.join(TIMEOUT)
    assert not worker.is_alive()


def test_the_resources_of_embedded_containers_are_named_and_end_as_well():
    held = [Host()]
    held[0].init_resources()
    with pytest.warns(ResourceWarning, match=r"Host .*'metrics\.ticker'.*'metrics\.requests'"):
        drop(held)
    assert workers() == []


def test_resources_that_came_up_on_first_need_count_and_no_others_are_named():
    held = [Metered()]
    held[0].ticker()
    with pytest.warns(ResourceWarning) as warned:
        drop(held)
    (message,) = [str(warning.message) for warning in warned]
    assert "'ticker'" in message
    assert "requests" not in message
    assert "shutdown_resources()" in message


def test_resources_stop_in_reverse_and_a_failure_is_logged(caplog):
    stopped = []

    def hook(name, *_):
        yield name
        stopped.append(name)
        if name == "second":
            raise ValueError(name)

    class Container(LifecycleContainer):
        first = Resource(hook, "first")
        second = Resource(hook, "second", first)

    held = [Container()]
    held[0].init_resources()
    with pytest.warns(ResourceWarning):
        drop(held)
    assert stopped == ["second", "first"]
    assert "second" in caplog.text


def test_a_container_that_does_not_run_goes_silently():
    stopped = Metered()
    stopped.init_resources()
    stopped.shutdown_resources()
    left = Metered()
    with running(left):
        pass
    held = [Metered(), stopped, left]
    del stopped, left
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        drop(held)
    assert warned == []


def test_a_container_whose_stop_failed_goes_silently():
    def hook():
        yield
        raise ValueError

    class Container(LifecycleContainer):
        part = Resource(hook)

    held = [Container()]
    held[0].init_resources()
    with suppress(ShutdownError):
        held[0].shutdown_resources()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        drop(held)
    assert warned == []


def test_what_a_program_keeps_of_its_resources_does_not_keep_the_container():
    class Container(Metered):
        service = providers.Singleton(list, providers.List(Metered.requests))

    held = [Container()]
    held[0].init_resources()
    ticker, requests, service = held[0].ticker(), held[0].requests(), held[0].service()
    with pytest.warns(ResourceWarning):
        drop(held)
    assert not ticker.running
    requests.mark()
    assert (requests.count, service) == (1, [requests])


def test_a_subscriber_that_knows_the_container_does_not_keep_it():
    def started():
        container = Metered()
        subscribe(container, lambda event: container.providers)
        container.init_resources()
        return container.ticker

    ticker = started()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        gc.collect()
    # So that the worker ends even if the container is kept.
    ticker.shutdown()
    assert [warning.category for warning in warned] == [ResourceWarning]


@pytest.mark.parametrize("where", ["another thread", "its own worker"])
def test_it_may_be_collected_in_any_thread(where):
    held, done = [Metered()], threading.Event()
    held[0].config.from_dict({"tick_interval": 0.01})
    held[0].init_resources()
    (worker,) = workers()

    def drop_here() -> None:
        drop(held)
        done.set()

    class Member:
        def tick(self) -> None:
            if held:
                drop_here()

    def collect() -> None:
        if where == "its own worker":
            held[0].ticker().add(Member())
        else:
            thread = threading.Thread(target=drop_here)
            thread.start()
            thread.join(TIMEOUT)
        assert done.wait(TIMEOUT)

    with pytest.warns(ResourceWarning):
        collect()
    worker.join(TIMEOUT)
    assert not worker.is_alive()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_worker_ends_even_if_the_warning_is_an_error(monkeypatch):
    unraisable = []
    monkeypatch.setattr(sys, "unraisablehook", lambda event: unraisable.append(event.exc_type))
    held = [Metered()]
    held[0].init_resources()
    (worker,) = workers()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drop(held)
    worker.join(TIMEOUT)
    assert not worker.is_alive()
    assert unraisable == [ResourceWarning]


PROGRAM = """
from metrics import resources
from metrics.lifecycle import MetricsContainer, Resource

class Metered(MetricsContainer):
    registry = MetricsContainer.registry
    ticker = MetricsContainer.ticker
    requests = Resource(resources.meter, registry, "rpc/requests")

container = Metered()
container.config.from_dict({"tick_interval": 0.001})
container.init_resources()
cycle = [container]
cycle.append(cycle)
"""


@pytest.mark.parametrize("ending", ["", "raise SystemExit(0)", "del container"])
@pytest.mark.parametrize("flags", [["-W", "default"], ["-X", "dev"]])
def test_nothing_is_printed_when_the_interpreter_exits_while_it_runs(ending, flags):
    command = [sys.executable, *flags, "-c", LIGHT + PROGRAM + ending]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=TIMEOUT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
