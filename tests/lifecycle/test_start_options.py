"""A limit for a start: its values, and the threads in which hooks start."""

import math
import threading

import pytest

from metrics.lifecycle import LifecycleContainer, Resource, State, lifespan, running, state
from tests.lifecycle.bounded import LONG


class World:
    """A hook that writes lines, and the threads in which it started."""

    def __init__(self):
        self.lines, self.threads = [], []

    def steady(self, name):
        def hook(*_needed):
            self.threads.append(threading.current_thread())
            self.lines.append(f"start {name}")
            yield name
            self.lines.append(f"stop {name}")

        return hook


@pytest.fixture
def world():
    return World()


def test_with_a_limit_hooks_start_in_a_daemon_thread_that_has_ended_afterwards(world):
    class Container(LifecycleContainer):
        one = Resource(world.steady("one"))
        two = Resource(world.steady("two"))

    container = Container()
    container.init_resources(timeout=LONG)
    assert len(world.threads) == 2
    for thread in world.threads:
        assert thread.name == "metrics-lifecycle"
        assert thread.daemon
        assert not thread.is_alive()
    container.shutdown_resources()


@pytest.mark.parametrize("limit", [None, math.inf])
def test_without_a_limit_hooks_start_in_the_calling_thread(world, limit):
    class Container(LifecycleContainer):
        resource = Resource(world.steady("resource"))

    container = Container()
    container.init_resources(timeout=limit)
    assert world.threads == [threading.current_thread()]
    container.shutdown_resources()


def test_an_error_of_a_hook_arrives_as_it_is_though_there_is_a_limit(world):
    error = OSError("no port")

    def fail(*_needed):
        raise error

    class Container(LifecycleContainer):
        first = Resource(world.steady("first"))
        bad = Resource(fail, first)

    with pytest.raises(OSError, match="no port") as raised:
        Container().init_resources(timeout=LONG)
    assert raised.value is error
    assert world.lines == ["start first", "stop first"]


WRONG = [
    ("1", TypeError),
    ([], TypeError),
    (-1.0, ValueError),
    (math.nan, ValueError),
    (-math.inf, ValueError),
]


@pytest.mark.parametrize(("wrong", "error"), WRONG)
@pytest.mark.parametrize("given_to", ["init_resources", "class", "running", "lifespan"])
def test_a_limit_that_is_no_positive_number_is_refused_and_nothing_starts(
    world, given_to, wrong, error
):
    class Container(LifecycleContainer):
        start_timeout = wrong if given_to == "class" else None
        resource = Resource(world.steady("resource"))

    container = Container()
    calls = {
        "init_resources": lambda: container.init_resources(timeout=wrong),
        "class": container.init_resources,
        "running": lambda: running(container, start_timeout=wrong),
        "lifespan": lambda: lifespan(container, start_timeout=wrong),
    }
    with pytest.raises(error, match="timeout"):
        calls[given_to]()
    assert world.lines == []
    assert state(container) is State.NEW
