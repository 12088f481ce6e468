"""A container and its resources go through their states by one machine, whatever is asked."""

import pytest

from metrics.lifecycle import (
    LifecycleContainer,
    LifecycleError,
    NotRunningError,
    Resource,
    ShutdownError,
    State,
    state,
    subscribe,
)
from tests.lifecycle.calls import Calls

NEW, RUNNING, STOPPED, FAILED = State.NEW, State.RUNNING, State.STOPPED, State.FAILED


class Special(Resource):
    """A type of resource to choose by."""


def parts(calls):
    """Return a container in which b needs a, and c stands by itself."""

    class Parts(LifecycleContainer):
        a = Resource(calls.part, "a")
        b = Special(calls.part, "b", a)
        c = Resource(calls.part, "c")

    return Parts()


def states(container):
    return [state(container), *(state(container, name) for name in "abc")]


@pytest.fixture
def calls():
    return Calls()


def test_a_life_goes_through_all_states(calls):
    container = parts(calls)
    seen = []
    for line in ("start b", "stop b"):
        calls.actions[line] = lambda: seen.append(states(container))
    assert states(container) == [NEW] * 4
    container.init_resources()
    assert states(container) == [RUNNING] * 4
    container.shutdown_resources()
    assert states(container) == [STOPPED] * 4
    assert seen == [
        [State.STARTING, RUNNING, State.STARTING, NEW],
        [State.STOPPING, State.STOPPING, State.STOPPING, STOPPED],
    ]


def test_a_failed_start_leaves_a_failed_container_with_all_resources_down(calls):
    container = parts(calls)
    calls.fail("start b")
    with pytest.raises(OSError):
        container.init_resources()
    assert states(container) == [FAILED, STOPPED, FAILED, STOPPED]
    with pytest.raises(NotRunningError):
        container.c()
    calls.actions.clear()
    container.init_resources()
    assert states(container) == [RUNNING] * 4
    container.shutdown_resources()


def test_a_failed_stop_leaves_only_its_resource_failed_and_can_be_repeated(calls):
    container = parts(calls)
    container.init_resources()
    calls.fail("stop b")
    with pytest.raises(ShutdownError):
        container.shutdown_resources()
    assert states(container) == [FAILED, STOPPED, FAILED, STOPPED]
    with pytest.raises(NotRunningError, match="'b'"):
        container.b()
    calls.actions.clear()
    container.shutdown_resources()
    assert states(container) == [STOPPED] * 4


def test_a_stop_of_what_never_started_runs_no_hook_and_ends_it(calls):
    container = parts(calls)
    container.shutdown_resources()
    assert states(container) == [STOPPED] * 4
    with pytest.raises(NotRunningError):
        container.a()
    assert calls.lines == []


def test_only_resources_of_a_type_start_and_what_they_need(calls):
    container = parts(calls)
    container.init_resources(Special)
    assert states(container)[1:] == [RUNNING, RUNNING, NEW]
    container.init_resources()
    assert states(container) == [RUNNING] * 4
    container.shutdown_resources()
    assert calls.lines == ["start a", "start b", "start c", "stop c", "stop b", "stop a"]


def test_only_resources_of_a_type_stop_and_start_again(calls):
    container = parts(calls)
    container.init_resources()
    container.shutdown_resources(Special)
    assert states(container) == [RUNNING, RUNNING, STOPPED, RUNNING]
    container.init_resources()
    assert states(container) == [RUNNING] * 4
    container.shutdown_resources()
    assert calls.lines.count("start b") == calls.lines.count("stop b") == 2
    assert calls.lines.count("start a") == calls.lines.count("stop a") == 1


def test_one_resource_stops_and_starts_by_itself(calls):
    container = parts(calls)
    container.init_resources()
    container.b.shutdown()
    container.b.shutdown()
    assert states(container) == [RUNNING, RUNNING, STOPPED, RUNNING]
    assert container.b.init() == "b"
    assert container.b.init() == "b"
    assert states(container) == [RUNNING] * 4
    container.shutdown_resources()
    assert calls.lines[3:] == ["stop b", "start b", "stop b", "stop c", "stop a"]


def test_a_container_is_not_stopped_as_long_as_a_resource_can_be_requested(calls):
    container = parts(calls)
    container.a()
    container.a.shutdown()
    assert container.c() == "c"
    assert state(container) is not STOPPED
    container.shutdown_resources()
    assert state(container) is STOPPED


@pytest.mark.parametrize("line", ["start b", "stop b"])
def test_a_hook_that_stops_the_container_gets_a_clear_error_or_is_part_of_the_stop(calls, line):
    container, errors = parts(calls), []

    def stop_all() -> None:
        try:
            container.shutdown_resources()
        except LifecycleError as error:
            errors.append(str(error))

    calls.actions[line] = stop_all
    container.init_resources()
    container.shutdown_resources()
    # Starting, it cannot be stopped; stopping, it is being done.
    assert len(errors) == (1 if line == "start b" else 0)
    assert all("STARTING" in error for error in errors)
    assert calls.lines == ["start a", "start b", "start c", "stop c", "stop b", "stop a"]


def test_a_hook_that_starts_the_container_while_it_starts_is_part_of_the_start(calls):
    container = parts(calls)
    calls.actions["start b"] = container.init_resources
    container.init_resources()
    container.shutdown_resources()
    assert calls.lines == ["start a", "start b", "start c", "stop c", "stop b", "stop a"]


def test_a_hook_that_starts_the_container_while_it_stops_gets_a_clear_error(calls):
    container = parts(calls)
    calls.actions["stop b"] = container.init_resources
    container.init_resources()
    with pytest.raises(ShutdownError) as raised:
        container.shutdown_resources()
    (error,) = raised.value.exceptions
    assert isinstance(error, NotRunningError)
    assert "Parts is STOPPING: start it" in str(error)
    calls.actions.clear()
    container.shutdown_resources()
    assert calls.lines.count("start a") == calls.lines.count("stop a") == 1


def test_a_hook_that_requests_its_own_resource_gets_a_clear_error(calls):
    for start in ("init_resources", "b"):
        container = parts(calls)
        calls.actions["start b"] = container.b
        with pytest.raises(LifecycleError, match="'b' needs itself to start"):
            getattr(container, start)()
        container.shutdown_resources()
    assert calls.lines == ["start a", "start b", "stop a"] * 2


@pytest.mark.parametrize("name", "abc")
def test_whatever_a_hook_requests_while_the_container_stops_raises_and_starts_nothing(calls, name):
    container, errors = parts(calls), []

    def ask() -> None:
        try:
            container.providers[name]()
        except NotRunningError as error:
            errors.append(str(error))

    calls.actions["stop b"] = ask
    container.init_resources()
    container.shutdown_resources()
    assert len(errors) == 1
    assert f"'{name}' of Parts is" in errors[0]
    assert calls.lines == ["start a", "start b", "start c", "stop c", "stop b", "stop a"]


def test_a_hook_cannot_start_a_resource_by_itself_while_the_container_stops(calls):
    container = parts(calls)
    calls.actions["stop b"] = container.c.init
    container.init_resources()
    with pytest.raises(ShutdownError) as raised:
        container.shutdown_resources()
    assert isinstance(raised.value.exceptions[0], NotRunningError)
    assert calls.lines.count("start c") == 1
    calls.actions.clear()
    container.shutdown_resources()


def test_a_resource_that_failed_when_it_was_requested_is_not_tried_again_while_the_container_stops(
    calls,
):
    container = parts(calls)
    calls.fail("start c")
    with pytest.raises(OSError):
        container.c()

    def ask() -> None:
        with pytest.raises(NotRunningError):
            container.c()

    calls.actions = {"stop b": ask}
    container.b()
    container.shutdown_resources()
    assert calls.lines.count("start c") == 1


def test_a_hook_that_stops_its_own_resource_gets_a_clear_error_or_is_part_of_the_stop(calls):
    container = parts(calls)

    def stop() -> None:
        with pytest.raises(LifecycleError):
            container.b.shutdown()

    calls.actions["start b"] = stop
    calls.actions["stop b"] = container.b.shutdown
    container.init_resources()
    container.shutdown_resources()
    assert calls.lines == ["start a", "start b", "start c", "stop c", "stop b", "stop a"]


def test_a_subscriber_that_stops_the_container_while_it_starts_is_not_ignored(calls):
    # An event comes from the middle of the start: it stops, or somebody hears that it cannot.
    container, errors = parts(calls), []

    def stop_all(event) -> None:
        if event.resource == "a" and event.state is RUNNING:
            try:
                container.shutdown_resources()
            except LifecycleError as error:
                errors.append(error)

    subscribe(container, stop_all)
    container.init_resources()
    assert errors or state(container) is STOPPED
    container.shutdown_resources()
