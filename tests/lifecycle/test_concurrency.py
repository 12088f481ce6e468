"""However many threads start, stop and ask at once, each resource starts once and stops once."""

import random
import sys
import threading
from concurrent.futures import Future
from contextlib import suppress
from time import monotonic

import pytest
from dependency_injector import providers

from metrics.lifecycle import (
    LifecycleContainer,
    LifecycleError,
    NotRunningError,
    Resource,
    ShutdownError,
    State,
    state,
)
from tests.lifecycle.calls import Calls

PATIENCE = 10.0
CROWD = 64


def chain(calls, length=2):
    """Return a container of resources p0, p1, ..., each of which needs the one before it."""

    class Chain(LifecycleContainer):
        pass

    needed = ()
    for index in range(length):
        part = Resource(calls.part, f"p{index}", *needed)
        setattr(Chain, f"p{index}", part)
        needed = (part,)
    return Chain()


class Running(threading.Thread):
    """Thread that has begun, and whose result is waited for with patience."""

    def __init__(self, function) -> None:
        super().__init__(daemon=True)
        self._function = function
        self._outcome = Future()
        self.start()

    def run(self) -> None:
        try:
            self._outcome.set_result(self._function())
        except BaseException as error:  # noqa: BLE001 - raised in the test
            self._outcome.set_exception(error)

    def result(self):
        result = self._outcome.result(PATIENCE)
        self.join(PATIENCE)
        return result

    def error(self):
        error = self._outcome.exception(PATIENCE)
        self.join(PATIENCE)
        return error

    def waits(self) -> bool:
        """Return True once it waits for another thread, False if it ends instead."""
        deadline = monotonic() + PATIENCE
        while self.is_alive():
            assert monotonic() < deadline
            frame = sys._current_frames().get(self.ident)
            code = frame and frame.f_code
            if code and code.co_name == "wait" and code.co_filename == threading.__file__:
                return True
        return False


class Gate:
    """Holds a hook up until the test opens it."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()

    def __call__(self) -> None:
        self.reached.set()
        assert self.opened.wait(PATIENCE)


@pytest.fixture
def restless():
    """Let threads interrupt each other as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def crowd(function, size=CROWD) -> None:
    """Call a function with each number, all at once in as many threads."""
    barrier = threading.Barrier(size)

    def call(number) -> None:
        barrier.wait(PATIENCE)
        function(number)

    threads = [Running(lambda number=number: call(number)) for number in range(size)]
    errors = [error for error in [thread.error() for thread in threads] if error is not None]
    # One that fails may have broken a barrier for all others.
    errors.sort(key=lambda error: isinstance(error, threading.BrokenBarrierError))
    for error in errors:
        raise error


def test_of_many_threads_exactly_one_starts_and_exactly_one_stops(restless):
    calls, rounds = Calls(), 20
    container = chain(calls)
    barrier = threading.Barrier(CROWD)

    def start_and_stop(_number) -> None:
        try:
            for _ in range(rounds):
                barrier.wait(PATIENCE)
                container.init_resources()
                assert container.p1() == "p1"
                assert state(container, "p1") is State.RUNNING
                barrier.wait(PATIENCE)
                container.shutdown_resources()
                assert state(container, "p0") is State.STOPPED
        except BaseException:
            barrier.abort()
            raise

    crowd(start_and_stop)
    assert calls.lines == ["start p0", "start p1", "stop p1", "stop p0"] * rounds


def test_a_resource_that_many_threads_request_at_once_starts_once(restless):
    # A hook that takes no time: the others ask while it begins, while it ends, and just afterwards.
    for _ in range(60):
        calls = Calls()
        container = chain(calls)
        values = []
        crowd(lambda _number, c=container, v=values: v.append(c.p1()), 16)
        container.shutdown_resources()
        assert values == ["p1"] * 16
        assert calls.lines == ["start p0", "start p1", "stop p1", "stop p0"]


def test_a_resource_that_fails_at_first_is_never_up_twice(restless):
    for _ in range(60):
        calls, failing = Calls(), [OSError("not yet")]

        def fail_once(failing=failing) -> None:
            if failing:
                raise failing.pop()

        calls.actions["start p0"] = fail_once
        container = chain(calls, 1)

        def ask(_number, c=container) -> None:
            try:
                c.p0()
            except OSError:
                c.p0()

        crowd(ask, 16)
        container.shutdown_resources()
        assert calls.lines == ["start p0", "start p0", "stop p0"]


def test_a_storm_of_starts_stops_and_questions_leaves_every_resource_as_often_stopped_as_started(
    restless,
):
    calls, length = Calls(), 40
    container = chain(calls, length)

    def storm(number) -> None:
        dice = random.Random(number)
        for _ in range(25):
            match dice.randrange(4):
                case 0 | 1:
                    container.init_resources()
                case 2:
                    container.shutdown_resources()
                case _:
                    name = f"p{dice.randrange(length)}"
                    # It may come between a stop and the next start.
                    with suppress(NotRunningError):
                        assert container.providers[name]() == name

    crowd(storm, 12)
    container.shutdown_resources()
    up = []
    for line in calls.lines:
        phase, name = line.split()
        if phase == "start":
            up.append(name)
        else:
            assert up.pop() == name
    assert up == []
    assert state(container) is State.STOPPED


def test_a_stop_may_come_at_any_moment_of_a_long_start(restless):
    calls = Calls()
    container = chain(calls, 200)
    for _ in range(5):
        starting = Running(container.init_resources)
        while starting.is_alive():
            container.shutdown_resources()
        starting.result()
    container.shutdown_resources()
    assert len(calls.lines) % 400 == 0
    assert {state(container, f"p{index}") for index in range(200)} == {State.STOPPED}


def test_a_failing_start_is_shared_by_all_who_wait_for_it():
    calls, gate, error = Calls(), Gate(), OSError("no")

    def fail() -> None:
        gate()
        raise error

    calls.actions["start p1"] = fail
    container = chain(calls)
    threads = [Running(container.init_resources) for _ in range(8)]
    assert gate.reached.wait(PATIENCE)
    assert all(thread.waits() for thread in threads)
    gate.opened.set()
    assert [thread.error() for thread in threads] == [error] * 8
    assert calls.lines == ["start p0", "start p1", "stop p0"]
    assert state(container) is State.FAILED


def test_a_failing_stop_is_shared_by_all_who_wait_for_it():
    calls, gate, error = Calls(), Gate(), OSError("no")

    def fail() -> None:
        gate()
        raise error

    calls.actions["stop p1"] = fail
    container = chain(calls)
    container.init_resources()
    threads = [Running(container.shutdown_resources)]
    assert gate.reached.wait(PATIENCE)
    threads += [Running(container.shutdown_resources) for _ in range(7)]
    assert all(thread.waits() for thread in threads)
    gate.opened.set()
    for thread in threads:
        raised = thread.error()
        assert isinstance(raised, ShutdownError)
        assert raised.exceptions == (error,)
    assert calls.lines[2:] == ["stop p1", "stop p0"]


def test_a_second_stop_returns_only_when_the_first_has_finished():
    calls, gate = Calls(), Gate()
    calls.actions["stop p0"] = gate
    container = chain(calls)
    container.init_resources()
    first = Running(container.shutdown_resources)
    assert gate.reached.wait(PATIENCE)
    second = Running(lambda: (container.shutdown_resources(), container.p0.initialized))
    assert second.waits()
    gate.opened.set()
    assert second.result()[1] is False
    first.result()
    assert calls.lines.count("stop p0") == 1


def test_a_start_waits_for_the_stop_under_way_and_then_starts():
    calls, gate = Calls(), Gate()
    calls.actions["stop p1"] = gate
    container = chain(calls)
    container.init_resources()
    stop = Running(container.shutdown_resources)
    assert gate.reached.wait(PATIENCE)
    start = Running(container.init_resources)
    assert start.waits()
    gate.opened.set()
    stop.result()
    start.result()
    assert state(container) is State.RUNNING
    container.shutdown_resources()
    assert calls.lines == ["start p0", "start p1", "stop p1", "stop p0"] * 2


def test_a_stop_waits_for_the_start_under_way_and_then_stops():
    calls, gate = Calls(), Gate()
    calls.actions["start p0"] = gate
    container = chain(calls)
    start = Running(container.init_resources)
    assert gate.reached.wait(PATIENCE)
    stop = Running(container.shutdown_resources)
    assert stop.waits()
    gate.opened.set()
    start.result()
    stop.result()
    assert calls.lines == ["start p0", "start p1", "stop p1", "stop p0"]


def test_a_stop_waits_for_a_resource_that_another_thread_has_requested():
    calls, gate = Calls(), Gate()
    calls.actions["start p0"] = gate
    container = chain(calls)
    asking = Running(container.p1)
    assert gate.reached.wait(PATIENCE)
    stop = Running(container.shutdown_resources)
    assert stop.waits()
    gate.opened.set()
    stop.result()
    # p0 was on its way and came up; p1 came after the beginning of the stop.
    assert isinstance(asking.error(), NotRunningError)
    assert calls.lines == ["start p0", "stop p0"]


def test_a_thread_that_a_hook_starts_may_request_other_resources():
    calls, asked = Calls(), []

    class Parts(LifecycleContainer):
        first = Resource(calls.part, "first")
        other = Resource(calls.part, "other")
        user = Resource(calls.part, "user", other)

    container = Parts()
    calls.actions["start first"] = lambda: asked.append(Running(container.user).result())
    Running(container.init_resources).result()
    container.shutdown_resources()
    assert asked == ["user"]
    # The others came up while the first was still coming up, so they stop after it.
    assert calls.lines == ["start first", "start other", "start user",
                           "stop first", "stop user", "stop other"]  # fmt: skip


def test_a_hook_that_starts_the_container_does_not_deadlock_with_another_start():
    calls, gate = Calls(), Gate()

    class Parts(LifecycleContainer):
        part = Resource(calls.part, "part")

    container, errors = Parts(), []

    def start_all() -> None:
        gate()
        try:
            container.init_resources()
        except LifecycleError as error:
            errors.append(error)

    calls.actions["start part"] = start_all
    asking = Running(container.part)
    assert gate.reached.wait(PATIENCE)
    starting = Running(container.init_resources)
    # It waits for the resource, whose hook is about to wait for it.
    assert starting.waits()
    gate.opened.set()
    starting.result()
    assert asking.result() == "part"
    container.shutdown_resources()
    assert calls.lines == ["start part", "stop part"]


def test_resources_that_request_each_other_in_two_threads_do_not_deadlock():
    calls, entered = Calls(), {"a": threading.Event(), "b": threading.Event()}

    class Parts(LifecycleContainer):
        a = Resource(calls.part, "a")
        b = Resource(calls.part, "b")

    container = Parts()

    def ask(own, other) -> None:
        entered[own].set()
        assert entered[other].wait(PATIENCE)
        container.providers[other]()

    calls.actions.update({"start a": lambda: ask("a", "b"), "start b": lambda: ask("b", "a")})
    errors = [thread.error() for thread in [Running(container.a), Running(container.b)]]
    assert any(isinstance(error, LifecycleError) for error in errors)
    container.shutdown_resources()


def test_a_singleton_that_threads_request_during_restarts_never_stays_with_a_stopped_resource(
    restless,
):
    class Part:
        up = True

        def __enter__(self):
            return self

        def __exit__(self, *_) -> None:
            self.up = False

    class Parts(LifecycleContainer):
        part = Resource(Part)
        service = providers.ThreadSafeSingleton(lambda part: part, part)

    container, over = Parts(), threading.Event()

    def ask() -> None:
        while not over.is_set():
            with suppress(NotRunningError):
                container.service()

    threads = [Running(ask) for _ in range(4)]
    for _ in range(40):
        container.init_resources()
        container.shutdown_resources()
    over.set()
    for thread in threads:
        thread.result()
    container.init_resources()
    assert container.service().up
    container.shutdown_resources()
