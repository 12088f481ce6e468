"""What the container guarantees, beside what dependency-injector does by itself: one test each."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from time import process_time

import pytest
from dependency_injector import containers, providers

from metrics import Meter, Registry, resources
from metrics.lifecycle import (
    LifecycleContainer,
    MetricsContainer,
    NotRunningError,
    Resource,
    ShutdownError,
    State,
    StopTimeoutError,
    running,
    state,
)
from tests.lifecycle.calls import note_of
from tests.lifecycle.programs import LIGHT

ROOT = Path(__file__).parents[2]
WAIT = 20.0
# For a stop on a machine that is busy with something else.
LONG = 600.0


class Stock(containers.DeclarativeContainer):
    """dependency-injector's own container, to compare with."""


class Diary:
    """Has hooks that write down when they start and stop, and what else a test makes them do."""

    def __init__(self):
        self.lines = []
        self.on = {}

    def __deepcopy__(self, memo):
        return self

    @contextmanager
    def hook(self, name, *_needed):
        self.write(f"start {name}")
        yield name
        self.write(f"stop {name}")

    def write(self, line):
        self.lines.append(line)
        self.on.get(line, lambda: None)()


def fail():
    raise OSError("no")


def declared(base, **parts):
    """Make a container of either kind with providers by name."""
    container = base()
    for name, part in parts.items():
        container.set_provider(name, part)
    return container


def both(diary, *names):
    """Make a container of each kind: a chain of resources, each of which needs the one before."""
    made = []
    for base, kind in ((Stock, providers.Resource), (LifecycleContainer, Resource)):
        parts = {}
        for name in names:
            parts[name] = kind(diary.hook, name, *list(parts.values())[-1:])
        made.append(declared(base, **parts))
    return made


def start_threads(number, work):
    threads = [threading.Thread(target=work, daemon=True) for _ in range(number)]
    for thread in threads:
        thread.start()
    return threads


def join(threads):
    for thread in threads:
        thread.join(WAIT)
    assert not any(thread.is_alive() for thread in threads)


def test_exactly_one_of_many_threads_starts_a_resource_and_the_others_wait_for_it():
    diary, begun, gate = Diary(), threading.Semaphore(0), threading.Event()
    diary.on["start part"] = lambda: (begun.release(), gate.wait(WAIT))
    stock, ours = both(diary, "part")
    seen = []

    def start(container):
        container.init_resources()
        seen.append(container.part.initialized)

    for container, starts in ((stock, 8), (ours, 1)):
        gate.clear()
        barrier = threading.Barrier(8)
        threads = start_threads(8, lambda: (barrier.wait(WAIT), start(container)))  # noqa: B023
        assert all(begun.acquire(timeout=WAIT) for _ in range(starts))
        gate.set()
        join(threads)
        container.shutdown_resources()
        assert diary.lines == ["start part"] * starts + ["stop part"]
        diary.lines.clear()
    assert seen == [True] * 16


def test_a_failed_start_takes_down_what_was_up_and_raises_the_original_error():
    diary = Diary()
    diary.on["start c"] = fail
    stock, ours = both(diary, "a", "b", "c")
    with pytest.raises(OSError, match="no"):
        stock.init_resources()
    assert (stock.a.initialized, stock.b.initialized) == (True, True)
    stock.shutdown_resources()
    diary.lines.clear()
    with pytest.raises(OSError, match="no") as raised:
        ours.init_resources()
    assert raised.value.__notes__ == [note_of("starting", "c", Diary.hook, "LifecycleContainer")]
    assert diary.lines == ["start a", "start b", "start c", "stop b", "stop a"]


def test_a_failed_stop_leaves_only_the_resource_that_failed_and_can_be_repeated():
    diary = Diary()
    diary.on["stop b"] = fail
    stock, ours = both(diary, "a", "b", "c")
    stock.init_resources()
    with pytest.raises(OSError, match="no"):
        stock.shutdown_resources()
    assert stock.a.initialized
    stock.shutdown_resources()
    ours.init_resources()
    with pytest.raises(
        ShutdownError, match="1 of 3 resources of LifecycleContainer failed to stop: 'b'"
    ) as raised:
        ours.shutdown_resources()
    note = note_of("stopping", "b", Diary.hook, "LifecycleContainer")
    assert [error.__notes__ for error in raised.value.exceptions] == [[note]]
    states = [state(ours, name) for name in "abc"]
    assert states == [State.STOPPED, State.FAILED, State.STOPPED]
    ours.shutdown_resources()
    assert state(ours) is state(ours, "b") is State.STOPPED


def test_resources_start_as_declared_with_what_they_need_first_and_stop_in_exact_reverse():
    diary = Diary()

    class Sub(containers.DeclarativeContainer):
        given = providers.Dependency()
        part = providers.Resource(diary.hook, "in sub", given)

    needed = {name: Resource(diary.hook, name) for name in "fsldxpe"}
    needs = [
        providers.Factory(dict, x=needed["f"]),
        providers.Singleton(dict, x=needed["s"]),
        providers.List(needed["l"]),
        providers.Dict(x=needed["d"]),
        providers.Selector(lambda: "x", x=needed["x"]),
        needed["p"].provided.upper.call(),
        providers.Container(Sub, given=needed["e"]).part,
    ]
    user = Resource(diary.hook, "user", *needs)
    ours = declared(LifecycleContainer, user=user, other=Resource(diary.hook, "other"), **needed)
    ours.init_resources()
    ours.shutdown_resources()
    started = [*"fsldxpe", "in sub", "user", "other"]
    assert diary.lines == [
        *[f"start {name}" for name in started],
        *[f"stop {name}" for name in reversed(started)],
    ]


@pytest.mark.slow(reason="starts twenty thousand resources")
def test_ten_thousand_resources_start_and_stop_in_a_chain_and_on_one_registry():
    def build(kind):
        first = Resource(resources.registry)
        parts = {"first": first}
        last = first
        for index in range(9_999):
            last = Resource(lambda *_: None, first if kind == "wide" else last)
            parts[f"p{index}"] = last
        return declared(LifecycleContainer, **parts)

    for kind in ("chain", "wide"):
        container = build(kind)
        began = process_time()
        container.init_resources()
        assert state(container, "p9998") is State.RUNNING
        container.shutdown_resources(timeout=LONG)
        # Less than a second of this process; what is not linear takes minutes.
        assert process_time() - began < WAIT


def test_a_stop_ends_on_time_names_what_hangs_and_still_stops_the_rest():
    diary, release, flushed = Diary(), threading.Event(), []

    @contextmanager
    def reporter(count):
        yield
        flushed.append(count.count)

    @contextmanager
    def hanging(*_):
        yield
        release.wait(60)

    registry = Resource(resources.registry)
    count = Resource(resources.counter, registry, "count")
    parts = {"registry": registry, "count": count, "reporter": Resource(reporter, count)}
    ours = declared(LifecycleContainer, **parts, hang=Resource(hanging, parts["reporter"]))
    ours.init_resources()
    ours.count().inc(3)
    try:
        with pytest.raises(ShutdownError, match="'hang'") as raised:
            ours.shutdown_resources(timeout=0.2)
        (error,) = raised.value.exceptions
        assert isinstance(error, StopTimeoutError)
        assert "in hanging\n" in str(error)
        assert flushed == [3]
        assert [state(ours, name) for name in parts] == [State.STOPPED] * 3
    finally:
        release.set()
    ours.shutdown_resources()
    stock, _ = both(diary, "part")
    with pytest.raises(TypeError):
        stock.shutdown_resources(timeout=0.2)


def test_after_the_stop_a_resource_is_not_started_again_and_what_was_handed_out_never_raises():
    diary = Diary()
    stock, ours = both(diary, "part")
    for container in (stock, ours):
        container.init_resources()
        container.shutdown_resources()
    diary.lines.clear()
    stock.part()
    stock.shutdown_resources()
    assert diary.lines == ["start part", "stop part"]
    with pytest.raises(NotRunningError):
        ours.part()
    assert diary.lines == ["start part", "stop part"]

    class Metered(MetricsContainer):
        requests = Resource(resources.meter, MetricsContainer.registry, "requests")

    container = Metered()
    with running(container):
        requests, registry = container.requests(), container.registry()
    requests.mark()
    assert isinstance(requests, Meter)
    assert registry.names() == ()
    container.init_resources()
    assert container.requests() is not requests
    assert container.requests().count == 0
    container.shutdown_resources()


def test_a_second_stop_returns_when_the_first_has_ended():
    diary, stopping, gate = Diary(), threading.Event(), threading.Event()
    ours = both(diary, "part")[1]
    diary.on["stop part"] = lambda: (stopping.set(), gate.wait(WAIT))
    ours.init_resources()
    first = start_threads(1, ours.shutdown_resources)
    assert stopping.wait(WAIT)
    states = []
    second = start_threads(1, lambda: (ours.shutdown_resources(), states.append(state(ours))))
    second[0].join(0.1)
    assert second[0].is_alive()
    gate.set()
    join(first + second)
    assert states == [State.STOPPED]
    assert diary.lines == ["start part", "stop part"]


def test_a_singleton_that_holds_a_resource_is_recreated_after_a_restart():
    for base, kind, fresh in (
        (Stock, providers.Resource, False),
        (LifecycleContainer, Resource, True),
    ):
        part = kind(object)
        singleton = providers.Singleton(dict, part=part)
        container = declared(base, part=part, singleton=singleton)
        container.init_resources()
        before = container.singleton()
        container.shutdown_resources()
        container.init_resources()
        assert (container.singleton()["part"] is container.part()) is fresh
        assert (container.singleton() is not before) is fresh
        container.shutdown_resources()


def test_only_the_selected_branch_of_a_selector_starts():
    for base, kind, started in (
        (Stock, providers.Resource, {"start x", "start y"}),
        (LifecycleContainer, Resource, {"start x"}),
    ):
        diary = Diary()
        x, y = kind(diary.hook, "x"), kind(diary.hook, "y")
        selector = providers.Selector(lambda: "x", x=x, y=y)
        container = declared(base, selector=selector, x=x, y=y)
        container.init_resources()
        assert set(diary.lines) == started
        container.shutdown_resources()


def test_an_override_that_was_started_is_stopped_even_when_it_is_taken_back_before():
    for base, kind, stopped in ((Stock, providers.Resource, 0), (LifecycleContainer, Resource, 1)):
        diary = Diary()
        container = declared(base, part=kind(diary.hook, "real"))
        container.part.override(kind(diary.hook, "fake"))
        container.init_resources()
        container.part.reset_override()
        container.shutdown_resources()
        assert diary.lines == ["start fake", "stop fake"][: 1 + stopped]


def test_a_container_stops_only_what_it_started():
    for base, kind, survives in (
        (Stock, providers.Resource, False),
        (LifecycleContainer, Resource, True),
    ):
        host = declared(base, registry=kind(resources.registry))
        host.init_resources()
        mine = host.registry().counter("mine")
        lent = providers.Dependency(instance_of=Registry, default=host.registry)
        hits = kind(resources.counter, lent, "hits")
        library = declared(base, registry=lent, hits=hits)
        library.init_resources()
        library.shutdown_resources()
        assert host.registry.initialized is survives
        assert (host.registry().get("mine") is mine) is survives
        host.shutdown_resources()


def test_a_stop_can_always_be_awaited_and_a_cancellation_does_not_cut_it():
    diary = Diary()
    stock, ours = both(diary, "part")
    ended = []

    async def slow():
        yield "slow"
        for _ in range(3):
            await asyncio.sleep(0)
            ended.append("step")

    async def run():
        stock.init_resources()
        with pytest.raises(TypeError):
            await stock.shutdown_resources()
        await ours.init_resources()
        await ours.shutdown_resources()
        mixed = declared(LifecycleContainer, sync=Resource(diary.hook, "sync"), slow=Resource(slow))
        await mixed.init_resources()
        stop = asyncio.ensure_future(mixed.shutdown_resources())
        await asyncio.sleep(0)
        stop.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stop
        assert [state(mixed), state(mixed, "sync"), state(mixed, "slow")] == [State.STOPPED] * 3

    asyncio.run(run())
    assert ended == ["step"] * 3
    assert diary.lines[-2:] == ["start sync", "stop sync"]


def run_program(program, **options):
    return subprocess.Popen(
        [sys.executable, "-c", LIGHT + PREAMBLE + program],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"},
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )


PREAMBLE = """
import os, sys, time
from dependency_injector import containers, providers
from metrics.lifecycle import LifecycleContainer, Resource, running, state

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

class Hook:
    def __enter__(self):
        self.owner = os.getpid()
        return self.owner

    def __exit__(self, *_):
        say("stopped by", "its owner" if self.owner == os.getpid() else "another process")

class Stock(containers.DeclarativeContainer):
    part = providers.Resource(Hook)

class Ours(LifecycleContainer):
    part = Resource(Hook)
"""

FORKING = """
for kind in (Stock, Ours):
    container = kind()
    container.init_resources()
    child = os.fork()
    if child == 0:
        say(kind.__name__, container.part.initialized, container.part() == os.getpid())
        container.shutdown_resources()
        os._exit(0)
    os.waitpid(child, 0)
    say("parent", container.part.initialized, container.part() == os.getpid())
    container.shutdown_resources()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_is_new_and_starts_its_own_resources_and_the_parent_keeps_its_own():
    with run_program(FORKING) as program:
        said, _ = program.communicate(timeout=WAIT)
    assert said.splitlines() == [
        "Stock True False",
        "stopped by another process",
        "parent True True",
        "stopped by its owner",
        "Ours False True",
        "stopped by its owner",
        "parent True True",
        "stopped by its owner",
    ]


ENDING = {
    "exit": "sys.exit(3)",
    "exception": "raise LookupError",
    "signal": 'say("ready"); time.sleep(60)',
}


@pytest.mark.parametrize("ending", ENDING)
def test_a_running_container_is_stopped_however_its_program_ends(ending):
    stock = f"container = Stock(); container.init_resources(); {ENDING[ending]}"
    ours = f"with running(Ours()): {ENDING[ending]}"
    for program, stopped in ((stock, []), (ours, ["stopped by its owner"])):
        with run_program(program, stderr=subprocess.DEVNULL) as process:
            if ending == "signal":
                assert process.stdout.readline() == "ready\n"
                process.send_signal(signal.SIGTERM)
            said, _ = process.communicate(timeout=WAIT)
        assert said.splitlines() == stopped
        assert process.returncode != 0


def collect(kept):
    kept.clear()
    gc.collect()


@pytest.mark.leakcheck(ignore="container LifecycleContainer")
def test_a_running_container_that_is_collected_is_stopped_and_warned_of():
    diary = Diary()
    kept = both(diary, "part")
    for container in kept:
        container.init_resources()
    del container
    stock = kept.pop(0)
    with pytest.warns(
        ResourceWarning, match="LifecycleContainer was .* while running, with 'part'"
    ):
        collect(kept)
    assert diary.lines == ["start part", "start part", "stop part"]
    stock.shutdown_resources()
