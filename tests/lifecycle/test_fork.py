"""A forked child is reset: its container is NEW, no hook of the parent runs, nothing hangs."""

import asyncio
import gc
import os
import subprocess
import sys
import threading
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
    _lifecycle,
    _ownership,
    state,
    subscribe,
)
from tests.forks import DEADLINE, forking, in_child
from tests.lifecycle.programs import LIGHT

pytestmark = forking


class Notes:
    """Log of hooks in a file that all processes share, each line with its process."""

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


def test_the_container_and_its_resources_are_new_in_the_child(notes):
    container = pair(notes)
    container.init_resources()

    def states():
        return [state(container), state(container, "first"), state(container, "second")]

    assert in_child(states) == [State.NEW] * 3
    assert states() == [State.RUNNING] * 3
    container.shutdown_resources()
    assert notes.of(os.getpid()) == BOTH


def test_a_container_that_was_stopped_in_the_parent_is_new_in_the_child(notes):
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


def test_a_resource_that_failed_to_stop_in_the_parent_is_new_in_the_child(notes):
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


def test_a_container_that_cannot_be_reset_does_not_keep_the_others_running(notes, monkeypatch):
    class Broken:
        own = ()
        started = ()

        def owner(self):
            return None

        def forked(self, survivors, lost):
            raise RuntimeError("broken")

    container = pair(notes)
    container.init_resources()
    # Whatever the order, one of them comes before it.
    inherited = [Broken(), *_lifecycle.lifecycles(), Broken()]
    monkeypatch.setattr(_lifecycle, "lifecycles", lambda: inherited)
    printed = ["containers were not reset", "RuntimeError: broken"]
    assert in_child(state, container, printed=printed) is State.NEW
    monkeypatch.undo()
    container.shutdown_resources()


def test_a_graph_that_cannot_be_searched_does_not_keep_its_container_running(notes, monkeypatch):
    def fail(*_):
        raise RuntimeError("broken")

    class Container(MetricsContainer):
        part = Resource(notes.generator, "part")

    container = Container()
    container.init_resources()
    monkeypatch.setattr(_ownership, "dependents", fail)
    monkeypatch.setattr(_ownership, "stale_singletons", fail)

    def states():
        return state(container), state(container, "part"), state(container, "ticker")

    printed = ["containers were not reset", "RuntimeError: broken"]
    assert in_child(states, printed=printed) == (State.NEW, State.NEW, State.RUNNING)
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


def test_stock_resources_are_new_in_the_child_like_the_others(notes):
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


def test_async_resources_of_the_parent_are_left_alone_and_start_again(notes):
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
    def __init__(self, requests, pid) -> None:
        self.requests = requests
        self.pid = pid


class Metered(MetricsContainer):
    registry = MetricsContainer.registry
    ticker = MetricsContainer.ticker
    requests = Resource(resources.meter, registry, "rpc/requests")
    pid = Resource(os.getpid)
    service = providers.Singleton(Service, requests, pid)


def workers() -> int:
    return sum(thread.name == "metrics-ticker" for thread in threading.enumerate())


class Bell:
    """Member of a ticker that can be waited for."""

    def __init__(self) -> None:
        self.rung = threading.Event()

    def tick(self) -> None:
        self.rung.set()

    def wait(self) -> bool:
        self.rung.clear()
        return self.rung.wait(DEADLINE)


def test_the_next_use_starts_the_childs_own_worker_and_the_parents_goes_on():
    container = Metered()
    container.config.from_dict({"tick_interval": 0.01})
    container.init_resources()
    bell, ticker = Bell(), container.ticker()
    ticker.add(bell)

    def use():
        before = workers()
        service, own = container.service(), Bell()
        container.ticker().add(own)
        ticks, at_work = own.wait(), workers()
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


def test_a_fork_of_a_fork_is_new_as_well(notes):
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
            go_on.wait(DEADLINE)

    thread = threading.Thread(target=function, args=(reach,))
    thread.start()
    try:
        assert reached.wait(DEADLINE)
        yield
    finally:
        go_on.set()
        thread.join(DEADLINE)
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
def test_a_fork_in_the_middle_of_anothers_transition_leaves_the_child_free(where):
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
        part = Resource(resources.meter, MetricsContainer.registry, "x")

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
def test_a_fork_inside_a_hook_leaves_the_transition_to_the_parent(notes, phase):
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
    thread.join(DEADLINE)
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


def completed(script):
    """Run a program to its end; not one with a watchdog of faulthandler, which hangs in a fork."""
    command = [sys.executable, "-c", LIGHT + script]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=DEADLINE)


def ending_in(ending, declared):
    """Return the hooks that ran, each with its process, and the exit code of the child."""
    done = completed(ENDINGS.replace("ENDING", ending).replace("DECLARED", declared))
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


SURVIVORS = """
import os, signal, sys
from metrics.lifecycle import LifecycleContainer, Resource, running, survives_fork

@survives_fork
def survivor():
    yield "survivor"
    print(os.getpid(), "survivor", flush=True)

def connection():
    yield "connection"
    print(os.getpid(), "connection", flush=True)

class Container(LifecycleContainer):
    a = Resource(survivor)
    b = Resource(connection)

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


@pytest.mark.parametrize(
    ("ending", "code", "of_child"),
    [
        ("os._exit(3)", 3, []),
        ("sys.exit(3)", 3, ["survivor"]),
        ("pass", 0, ["survivor"]),
        ("container.shutdown_resources()", 0, ["survivor"]),
        ("container.init_resources()", 0, ["connection", "survivor"]),
        ("os.kill(os.getpid(), signal.SIGTERM)", 143, ["survivor"]),
        ("os.kill(os.getpid(), signal.SIGINT)", -2, ["survivor"]),
        (
            "container.init_resources(); os.kill(os.getpid(), signal.SIGTERM)",
            143,
            ["connection", "survivor"],
        ),
    ],
)
def test_a_child_that_leaves_the_block_stops_the_resources_that_run_in_it(ending, code, of_child):
    done = completed(SURVIVORS.replace("ENDING", ending))
    lines = [line.split() for line in done.stdout.splitlines()]
    parent = lines[-1][0]
    assert lines[-1][1:] == ["child", str(code)]
    assert [name for pid, name, *_ in lines[:-1] if pid != parent] == of_child
    assert [name for pid, name, *_ in lines[:-1] if pid == parent] == ["connection", "survivor"]
