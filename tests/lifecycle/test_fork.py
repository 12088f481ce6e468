"""A forked child begins anew: its graph is NEW, no hook of the parent runs, nothing hangs."""

import asyncio
import gc
import os
import pickle
import select
import signal
import subprocess
import sys
import threading
import traceback
from contextlib import contextmanager

import pytest
from dependency_injector import providers

from metrics import resources
from metrics.lifecycle import (
    LifecycleContainer,
    MetricsContainer,
    NotRunningError,
    Resource,
    ShutdownError,
    State,
    lifecycle,
    state,
    subscribe,
)

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here"),
    # Python 3.12 warns of every fork with threads; that such a fork is safe is what is tested.
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]

TIMEOUT = 60


def in_child(function, *args, told=""):
    """Return what a function returns in a forked child; fail if it raises, or hangs.

    What went wrong in the fork itself, which an interpreter only prints, has to be `told`.
    """
    reader, writer = os.pipe()
    printed = []
    hook, sys.unraisablehook = sys.unraisablehook, lambda event: printed.append(event.exc_value)
    try:
        pid = os.fork()
    finally:
        sys.unraisablehook = hook
    if pid == 0:
        try:
            try:
                assert told in "".join(map(str, printed)), printed
                assert told or not printed, "".join(traceback.format_exception(printed[0]))
                outcome = (True, function(*args))
            except BaseException:  # noqa: BLE001 - raised in the parent
                outcome = (False, traceback.format_exc())
            os.write(writer, pickle.dumps(outcome))
        finally:
            os._exit(0)
    os.close(writer)
    try:
        if not select.select([reader], [], [], TIMEOUT)[0]:
            os.kill(pid, signal.SIGKILL)
            pytest.fail("the child hangs")
        written = os.read(reader, 65536)
    finally:
        os.close(reader)
        os.waitpid(pid, 0)
    assert written, "the child died"
    succeeded, outcome = pickle.loads(written)
    assert succeeded, outcome
    return outcome


class Notes:
    """Records in a file, shared by all processes, which of them ran which hook."""

    def __init__(self, path) -> None:
        self.path = path
        self.path.touch()

    def __deepcopy__(self, memo: object) -> "Notes":
        return self

    def note(self, line: str) -> None:
        with self.path.open("a") as file:
            file.write(f"{os.getpid()} {line}\n")

    def of(self, pid: int) -> list[str]:
        lines = [line.split(" ", 1) for line in self.path.read_text().splitlines()]
        return [line for writer, line in lines if int(writer) == pid]

    def generator(self, name: str, *needed: object):
        self.note(f"start {name}")
        try:
            yield f"{name} of {os.getpid()}"
        finally:
            self.note(f"stop {name}")

    manager = contextmanager(generator)

    async def async_generator(self, name: str, *needed: object):
        self.note(f"start {name}")
        try:
            yield f"{name} of {os.getpid()}"
        finally:
            self.note(f"stop {name}")


@pytest.fixture
def notes(tmp_path):
    return Notes(tmp_path / "notes")


def pair(notes):
    class Pair(LifecycleContainer):
        first = Resource(notes.generator, "first")
        second = Resource(notes.manager, "second", first)

    return Pair()


BOTH = ["start first", "start second", "stop second", "stop first"]


def test_the_graph_and_its_parts_are_new_in_the_child(notes):
    container = pair(notes)
    container.init_resources()

    def states():
        return [state(container), state(container, "first"), state(container, "second")]

    assert in_child(states) == [State.NEW] * 3
    assert states() == [State.RUNNING] * 3
    container.shutdown_resources()
    assert notes.of(os.getpid()) == BOTH


def test_what_was_stopped_in_the_parent_can_be_asked_for_in_the_child(notes):
    container = pair(notes)
    container.init_resources()
    container.shutdown_resources()

    def use():
        before = state(container), state(container, "second")
        value = container.second()
        container.shutdown_resources()
        return before, value == f"second of {os.getpid()}"

    assert in_child(use) == ((State.NEW, State.NEW), True)
    with pytest.raises(NotRunningError):
        container.second()


def test_what_failed_to_stop_in_the_parent_is_new_in_the_child(notes):
    parent = os.getpid()

    def stubborn():
        yield
        if os.getpid() == parent:
            notes.note("fail")
            raise ValueError

    class Container(LifecycleContainer):
        part = Resource(stubborn)

    container = Container()
    container.init_resources()
    with pytest.raises(ShutdownError):
        container.shutdown_resources()

    def restart():
        before = state(container, "part")
        container.init_resources()
        container.shutdown_resources()
        return before, state(container)

    assert in_child(restart) == (State.NEW, State.STOPPED)
    assert notes.of(parent) == ["fail"]


def test_one_that_cannot_begin_anew_does_not_keep_the_others_up(notes, monkeypatch):
    class Broken:
        def owner(self):
            raise RuntimeError("broken")

    container = pair(notes)
    container.init_resources()
    # Whatever the order, one of them comes before it.
    inherited = [Broken(), *lifecycle.lifecycles(), Broken()]
    monkeypatch.setattr(lifecycle, "lifecycles", lambda: inherited)
    assert in_child(state, container, told="did not begin anew") is State.NEW
    monkeypatch.undo()
    container.shutdown_resources()


def test_a_container_that_was_collected_is_no_trouble_to_the_child(notes):
    container, gone = pair(notes), pair(notes)
    container.init_resources()
    # A container that was embedded in it may hold this longer than it lives.
    ownership = gone._ownership
    del gone
    gc.collect()
    assert ownership.container is None
    assert in_child(state, container) is State.NEW
    container.shutdown_resources()


def test_a_child_that_started_nothing_has_nothing_to_stop(notes):
    container = pair(notes)
    container.init_resources()

    def stop():
        events = []
        subscribe(container, events.append)
        container.shutdown_resources()
        return len(events)

    assert in_child(stop) == 0
    container.shutdown_resources()


@pytest.mark.parametrize("hook", ["generator", "manager"])
def test_no_hook_of_the_parent_runs_when_the_child_stops_or_drops_its_container(notes, hook):
    class Container(LifecycleContainer):
        part = Resource(getattr(notes, hook), "part")

    held = [Container()]
    held[0].init_resources()

    def end():
        held[0].shutdown_resources()
        held.clear()
        gc.collect()
        return notes.of(os.getpid())

    assert in_child(end) == []
    held[0].shutdown_resources()
    assert notes.of(os.getpid()) == ["start part", "stop part"]


def test_stock_resources_begin_anew_in_the_child_like_the_others(notes):
    class Container(LifecycleContainer):
        stock = providers.Resource(notes.generator, "stock")
        user = Resource(notes.generator, "user", stock)

    container = Container()
    container.init_resources()

    def use():
        container.shutdown_resources()
        untouched = notes.of(os.getpid())
        container.init_resources()
        own = container.stock() == f"stock of {os.getpid()}"
        container.shutdown_resources()
        return untouched, own, notes.of(os.getpid())

    untouched, own, lines = in_child(use)
    container.shutdown_resources()
    assert untouched == []
    assert own
    assert lines == ["start stock", "start user", "stop user", "stop stock"]
    assert notes.of(os.getpid()) == ["start stock", "start user", "stop user", "stop stock"]


def test_async_parts_of_the_parent_are_left_alone_and_start_anew(notes):
    class Container(LifecycleContainer):
        part = Resource(notes.async_generator, "part")

    container = Container()

    async def cycle():
        await container.init_resources()
        own = await container.part() == f"part of {os.getpid()}"
        await container.shutdown_resources()
        return own

    def use():
        before = state(container), notes.of(os.getpid())
        return before, asyncio.run(cycle()), notes.of(os.getpid())

    async def main():
        await container.init_resources()
        # In a thread, since a loop cannot be run in one that runs another.
        outcome = await asyncio.to_thread(in_child, use)
        await container.shutdown_resources()
        return outcome

    assert asyncio.run(main()) == ((State.NEW, []), True, ["start part", "stop part"])
    assert notes.of(os.getpid()) == ["start part", "stop part"]


class Service:
    def __init__(self, requests) -> None:
        self.requests = requests
        self.pid = os.getpid()


class Metered(MetricsContainer):
    registry = MetricsContainer.registry
    ticker = MetricsContainer.ticker
    requests = Resource(resources.meter, registry, ticker, "rpc/requests")
    service = providers.Singleton(Service, requests)


def workers() -> int:
    return sum(thread.name == "metrics-ticker" for thread in threading.enumerate())


class Bell:
    """Something to tick, which tells when it was."""

    def __init__(self) -> None:
        self.rung = threading.Event()

    def tick(self) -> None:
        self.rung.set()

    def wait(self) -> bool:
        self.rung.clear()
        return self.rung.wait(TIMEOUT)


def test_the_next_use_starts_the_childs_own_worker_and_the_parents_goes_on():
    container = Metered()
    container.config.from_dict({"tick_interval": 0.01})
    container.init_resources()
    bell, ticker = Bell(), container.ticker()
    ticker.add(bell)

    def use():
        before = workers()
        service = container.service()
        own, at_work = Bell(), workers()
        container.ticker().add(own)
        ticks = own.wait()
        service.requests.mark()
        container.shutdown_resources()
        return before, service.pid == os.getpid(), at_work, ticks, workers(), state(container)

    service = container.service()
    assert in_child(use) == (0, True, 1, True, 0, State.STOPPED)
    assert bell.wait()
    assert container.service() is service
    assert service.requests.count == 0
    container.shutdown_resources()
    assert not ticker.running


def test_a_fork_of_a_fork_begins_anew_as_well(notes):
    container = pair(notes)
    container.init_resources()

    def grandchild():
        before = state(container)
        container.init_resources()
        container.shutdown_resources()
        return before, notes.of(os.getpid())

    def child():
        container.init_resources()
        outcome = in_child(grandchild)
        still = state(container)
        container.shutdown_resources()
        return outcome, still, notes.of(os.getpid())

    assert in_child(child) == ((State.NEW, BOTH), State.RUNNING, BOTH)
    container.shutdown_resources()
    assert notes.of(os.getpid()) == BOTH


@contextmanager
def held_up(function):
    """Call a function in a thread, for as long as the block lasts in its `reach()`."""
    parent, reached, go_on = os.getpid(), threading.Event(), threading.Event()

    def reach(*_: object) -> None:
        if os.getpid() == parent and threading.current_thread() is not threading.main_thread():
            reached.set()
            go_on.wait(2 * TIMEOUT)

    thread = threading.Thread(target=function, args=(reach,))
    thread.start()
    try:
        assert reached.wait(TIMEOUT)
        yield
    finally:
        go_on.set()
        thread.join(2 * TIMEOUT)
        assert not thread.is_alive()


def cycle_of(container):
    def cycle():
        before = state(container)
        container.init_resources()
        container.part()
        container.shutdown_resources()
        return before, state(container)

    return cycle


@pytest.mark.parametrize("where", ["start", "stop", "need", "subscriber"])
def test_a_fork_in_the_middle_of_anothers_change_leaves_the_child_free(where):
    calls = {}

    def hook():
        calls.get("start", int)()
        yield
        calls.get("stop", int)()

    class Container(LifecycleContainer):
        needed = Resource(lambda: 1)
        part = Resource(hook)
        single = providers.Singleton(list, providers.List(part))

    container = Container()

    def change(reach) -> None:
        if where == "subscriber":
            subscribe(container, reach)
        else:
            calls["start" if where == "need" else where] = reach
        if where == "need":
            container.single()
        else:
            container.init_resources()
        container.shutdown_resources()

    with held_up(change):
        assert in_child(cycle_of(container)) == (State.NEW, State.STOPPED)
    assert state(container) is State.STOPPED


def test_a_fork_in_the_middle_of_a_tick_leaves_the_child_free():
    class Container(MetricsContainer):
        part = Resource(resources.meter, MetricsContainer.registry, MetricsContainer.ticker, "x")

    container = Container()
    container.config.from_dict({"tick_interval": 0.01})
    container.init_resources()

    class Member:
        def __init__(self, tick) -> None:
            self.tick = tick

    def tick(reach) -> None:
        member = Member(reach)
        container.ticker().add(member)
        container.ticker().tick()
        container.ticker().discard(member)

    with held_up(tick):
        assert in_child(cycle_of(container)) == (State.NEW, State.STOPPED)
    container.shutdown_resources()


def test_a_fork_while_another_thread_makes_a_singleton_leaves_the_child_free():
    # All of dependency-injector's thread-safe singletons share one lock.
    calls = []

    def make_service(needed):
        for reach in calls:
            reach()
        return os.getpid()

    class Container(LifecycleContainer):
        part = Resource(lambda: 1)
        service = providers.ThreadSafeSingleton(make_service, part)

    container = Container()

    def make(reach) -> None:
        calls.append(reach)
        container.service()

    def use():
        calls.clear()
        return container.service() == os.getpid(), cycle_of(container)()[1]

    with held_up(make):
        assert in_child(use) == (True, State.STOPPED)
    container.shutdown_resources()


@pytest.mark.parametrize("phase", ["start", "stop"])
def test_a_fork_inside_a_hook_leaves_the_change_to_the_parent(notes, phase):
    parent, outcomes = os.getpid(), []

    def fork_in(now: str) -> None:
        if now == phase and os.getpid() == parent:
            outcomes.append(in_child(cycle_of(container)))

    def forking():
        fork_in("start")
        yield
        fork_in("stop")

    class Container(LifecycleContainer):
        part = Resource(notes.generator, "part")
        fork = Resource(forking)

    container = Container()
    container.init_resources()
    assert state(container) is State.RUNNING
    container.shutdown_resources()
    assert outcomes == [(State.NEW, State.STOPPED)]
    assert notes.of(parent) == ["start part", "stop part"]


def test_the_thread_that_forks_may_be_any(notes):
    container = pair(notes)
    container.init_resources()
    outcomes = []

    def fork() -> None:
        outcomes.append(in_child(lambda: (container.second()[-1] != "", workers())))

    thread = threading.Thread(target=fork)
    thread.start()
    thread.join(2 * TIMEOUT)
    container.shutdown_resources()
    assert outcomes == [(True, 0)]


def test_a_container_that_is_being_made_is_no_trouble_to_the_child():
    outcomes = []

    class Forks:
        def __deepcopy__(self, memo):
            if making:
                outcomes.append(in_child(state, running_one))
            return self

    class Inner(LifecycleContainer):
        given = providers.Dependency()
        part = Resource(lambda *_: 1, given)

    class Middle(LifecycleContainer):
        given = providers.Dependency()
        inner = providers.Container(Inner, given=given)

    making = False
    part = Resource(lambda _: 1, Forks())
    middle = providers.Container(Middle, given=part)
    # Used before it is declared, so that it is handed out before it is whole.
    declared = {"user": Resource(lambda _: 1, middle.inner), "middle": middle, "part": part}
    outer = type("Outer", (LifecycleContainer,), declared)
    running_one = LifecycleContainer()
    running_one.init_resources()
    making = True
    outer()
    assert outcomes
    assert set(outcomes) == {State.NEW}
    running_one.shutdown_resources()


ENDINGS = """
import gc, os, sys
from contextlib import contextmanager
from dependency_injector import providers
from metrics.lifecycle import LifecycleContainer, Resource, running

def generator():
    try:
        yield
    finally:
        print(os.getpid(), "generator", flush=True)

class Manager:
    def __enter__(self):
        return self
    def __exit__(self, *_):
        print(os.getpid(), "manager", flush=True)

class Container(LifecycleContainer):
    DECLARED

container = Container()
with running(container):
    child = os.fork()
    if child == 0:
        ENDING
    else:
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
if child:
    print(os.getpid(), "child", status)
"""


def ending_in(ending, declared):
    """Return who ran which hook when the child ends so, and the child's exit code."""
    script = ENDINGS.replace("ENDING", ending).replace("DECLARED", declared)
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=TIMEOUT
    )
    *lines, (parent, _, code) = [line.split() for line in done.stdout.splitlines()]
    ran = [(name, "parent" if pid == parent else "child") for pid, name in lines]
    return ran, int(code), done.stderr


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        ("os._exit(3)", 3),
        ("sys.exit(3)", 3),
        ("pass", 0),
        ("container = None; gc.collect()", 0),
        ("raise OSError", 1),
        ("os.kill(os.getpid(), 15)", 143),
    ],
)
def test_no_hook_of_the_parent_runs_however_the_child_ends(ending, code):
    declared = (
        "a = Resource(generator); b = Resource(contextmanager(generator)); c = Resource(Manager)"
    )
    ran, status, printed = ending_in(ending, declared)
    assert ran == [("manager", "parent"), ("generator", "parent"), ("generator", "parent")]
    assert status == code
    assert ("OSError" in printed) if code == 1 else (printed == "")


def test_no_stock_hook_of_the_parent_runs_when_the_child_exits():
    ran, *_ = ending_in("sys.exit()", "a = providers.Resource(generator)")
    assert ran == [("generator", "parent")]
