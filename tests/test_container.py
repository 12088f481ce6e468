"""The composition root declares the agent's graph and starts nothing by itself."""

import socket
import threading

import pytest

from container import Container
from metrics.lifecycle import State, graph, state
from tests.descriptors import descriptors

PARTS = ["ticker", "registry", "host", "process", "runtime", "ticking", "server"]


def test_the_resources_start_in_the_order_of_the_page():
    assert [part.name for part in graph(Container()).resources] == PARTS


def test_making_the_container_starts_nothing():
    threads = threading.active_count()
    container = Container()
    assert threading.active_count() == threads
    assert {part.state for part in graph(container).resources} == {State.NEW}


def test_cycles_leave_the_same_threads_and_descriptors():
    container = Container()
    container.config.from_dict({"port": 0})

    def cycle() -> None:
        container.init_resources()
        container.shutdown_resources()

    cycle()
    threads, files = threading.active_count(), descriptors()
    for _ in range(10):
        cycle()
    assert threading.active_count() == threads
    assert descriptors() == files


def test_a_taken_port_rolls_everything_back():
    container = Container()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        container.config.from_dict({"port": taken.getsockname()[1]})
        with pytest.raises(OSError, match="cannot listen on") as raised:
            container.init_resources()
    assert "while starting 'server'" in raised.value.__notes__[0]
    assert state(container, "server") is State.FAILED
    assert {part.state for part in graph(container).resources[:-1]} == {State.STOPPED}
