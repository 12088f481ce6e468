"""A container starts all resources or none and stops them in reverse."""

import logging
import threading
from contextlib import contextmanager

import pytest
from dependency_injector import providers

from metrics.lifecycle import LifecycleContainer, Resource, ShutdownError
from tests.lifecycle.calls import is_noted


class Journal:
    """Records what its hooks do and fails where it is told to."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.failing: dict[str, BaseException] = {}

    @contextmanager
    def hook(self, name: str, *needed: object):
        self.note(f"start {name}")
        yield name
        self.note(f"stop {name}")

    def note(self, line: str) -> None:
        if line in self.failing:
            raise self.failing[line]
        self.lines.append(line)

    def __deepcopy__(self, memo: object) -> "Journal":
        return self


def chain(journal: Journal, length: int):
    class Container(LifecycleContainer):
        pass

    previous: list[Resource] = []
    for index in range(length):
        part = Resource(journal.hook, f"p{index}", *previous)
        setattr(Container, f"p{index}", part)
        previous = [part]
    return Container()


def test_resources_start_in_order_and_stop_in_exact_reverse():
    journal = Journal()
    container = chain(journal, 3)
    container.init_resources()
    container.init_resources()
    container.shutdown_resources()
    container.shutdown_resources()
    assert journal.lines == [
        *[f"start p{index}" for index in range(3)],
        *[f"stop p{index}" for index in (2, 1, 0)],
    ]


@pytest.mark.parametrize("failing", range(4))
@pytest.mark.parametrize("error", [OSError("no"), KeyboardInterrupt()], ids=["error", "interrupt"])
def test_a_failed_start_stops_what_was_up_and_raises_the_original(failing, error):
    journal = Journal()
    journal.failing[f"start p{failing}"] = error
    container = chain(journal, 4)
    with pytest.raises(type(error)) as raised:
        container.init_resources()
    assert raised.value is error
    assert is_noted(error, "starting", f"p{failing}")
    assert journal.lines == [
        *[f"start p{index}" for index in range(failing)],
        *[f"stop p{index}" for index in reversed(range(failing))],
    ]


@pytest.mark.parametrize("failing", range(4))
def test_a_failed_stop_does_not_keep_the_others_up(failing):
    journal = Journal()
    error = ValueError("stuck")
    journal.failing[f"stop p{failing}"] = error
    container = chain(journal, 4)
    container.init_resources()
    with pytest.raises(ShutdownError) as raised:
        container.shutdown_resources()
    assert raised.value.exceptions == (error,)
    assert f"'p{failing}'" in error.__notes__[-1]
    stopped = [line for line in journal.lines if line.startswith("stop")]
    assert stopped == [f"stop p{index}" for index in (3, 2, 1, 0) if index != failing]


def test_a_container_starts_again_after_a_stop():
    journal = Journal()
    container = chain(journal, 1)
    for _ in range(3):
        container.init_resources()
        assert container.p0() == "p0"
        container.shutdown_resources()
    assert journal.lines == ["start p0", "stop p0"] * 3


def test_a_resource_started_on_first_need_is_stopped_like_the_others():
    journal = Journal()
    container = chain(journal, 2)
    assert container.p1() == "p1"
    container.shutdown_resources()
    assert journal.lines == ["start p0", "start p1", "stop p1", "stop p0"]


def test_many_threads_start_each_resource_once():
    journal = Journal()
    container = chain(journal, 5)
    barrier = threading.Barrier(16)

    def start() -> None:
        barrier.wait(10)
        container.init_resources()

    threads = [threading.Thread(target=start) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    container.shutdown_resources()
    assert len(journal.lines) == 10


def test_each_resource_is_logged_as_it_starts_and_stops(caplog):
    container = chain(Journal(), 1)
    with caplog.at_level(logging.INFO, "metrics.lifecycle"):
        container.init_resources()
        container.shutdown_resources()
    assert [record.getMessage().split(" (")[0] for record in caplog.records] == [
        "started 'p0'",
        "stopped 'p0'",
    ]


def test_a_wrong_resource_type_is_an_error():
    with pytest.raises(TypeError, match="resource_type"):
        chain(Journal(), 1).init_resources(int)


def test_the_resources_of_an_embedded_container_start_and_stop_in_their_place():
    journal = Journal()

    class Inner(LifecycleContainer):
        given = providers.Dependency()
        part = Resource(journal.hook, "inner", given)

    class Outer(LifecycleContainer):
        host = Resource(journal.hook, "host")
        inner = providers.Container(Inner, given=host)
        user = Resource(journal.hook, "user", inner.part)

    container = Outer()
    container.init_resources()
    container.shutdown_resources()
    assert journal.lines == [
        "start host",
        "start inner",
        "start user",
        "stop user",
        "stop inner",
        "stop host",
    ]
