"""Health checks are run when they are read: bounded, shared, and without a thread in between."""

import asyncio
import os
import signal
import threading

import pytest
from dependency_injector import providers

from metrics import (
    Family,
    Healthcheck,
    HealthcheckError,
    HealthcheckSnapshot,
    Registry,
    StopTimeoutError,
    Ticker,
    resources,
)
from metrics.exporters import (
    csv,
    expvar,
    geth_text,
    graphite,
    influx,
    json,
    log_lines,
    openmetrics,
    opentsdb,
    otlp,
    prometheus,
    remote_write,
    statsd,
)
from metrics.exporters._series.deltas import Deltas
from metrics.lifecycle import MetricsContainer, Resource, ShutdownError
from metrics.registry._inner import store_of
from metrics.testing import ManualClock
from tests.forks import DEADLINE, forking, hammered, held, in_child

THREAD = "metrics-healthcheck"

SHORT = 0.02
"""Limit of a check that hangs."""

READS = {
    "snapshot": lambda registry: dict(registry.snapshot()),
    "dict": lambda registry: registry.to_dict(),
    "csv": lambda registry: csv.render(registry, timestamp_ns=0, header=False),
    "expvar": lambda registry: expvar.render(registry)[2:-2].strip(),
    "graphite": lambda registry: graphite.render(registry, timestamp_ns=0),
    "influx": influx.render,
    "json": lambda registry: json.render(registry)[2:-2].strip(),
    "lines": log_lines.render,
    "openmetrics": lambda registry: openmetrics.render(registry).removesuffix(b"# EOF\n"),
    "opentsdb": lambda registry: opentsdb.render(registry, host="a", timestamp_ns=0),
    "otlp": lambda registry: list(otlp.stream(registry, timestamp_ns=1)),
    "plain": geth_text.render,
    "prometheus": prometheus.render,
    "go-ethereum": lambda registry: prometheus.render(registry, dialect="go-ethereum"),
    "remote write": lambda registry: list(remote_write.stream(registry, timestamp_ns=0)),
    "statsd": lambda registry: list(statsd.stream(registry, deltas=Deltas())),
}
"""Every way to read a registry; empty when nothing was read."""

every_read = pytest.mark.parametrize("read", READS.values(), ids=READS)


class Counted:
    """A function of a check that counts its runs and the threads it ran in."""

    def __init__(self):
        self.threads = []

    def __call__(self):
        self.threads.append(threading.current_thread())

    @property
    def runs(self):
        return len(self.threads)


class Blocked(Counted):
    """A function of a check that does not return before it is released."""

    def __init__(self):
        super().__init__()
        self.entered, self.released = threading.Event(), threading.Event()

    def __call__(self):
        super().__call__()
        self.entered.set()
        assert self.released.wait(DEADLINE)

    def release(self):
        self.released.set()
        for thread in running():
            thread.join(DEADLINE)


@pytest.fixture
def blocked():
    function = Blocked()
    yield function
    function.release()


@pytest.fixture
def clock():
    return ManualClock()


def fail():
    raise OSError("lost")


def running():
    return [thread for thread in threading.enumerate() if thread.name == THREAD]


def thread_of(function):
    """Start a thread that calls a function."""
    thread = threading.Thread(target=function)
    thread.start()
    return thread


@every_read
def test_a_read_runs_a_check_that_has_not_run(read):
    registry, function = Registry(), Counted()
    registry.healthcheck("db", function, timeout=DEADLINE)
    assert read(registry)
    assert function.runs == 1
    assert running() == []


@every_read
def test_a_state_that_was_not_set_is_absent_everywhere(read):
    registry = Registry()
    check = registry.healthcheck("db")
    assert not read(registry)
    check.unhealthy("lost")
    assert read(registry)


def test_a_failure_is_in_the_first_snapshot():
    registry = Registry("app")
    registry.healthcheck("db", fail, timeout=DEADLINE)
    registry.healthcheck("disk", lambda: None, timeout=DEADLINE)
    registry.register("cache", Healthcheck(lambda: False))
    values = registry.to_dict()
    assert values["app/db"] == {"error": "lost"}
    assert values["app/disk"] == {"error": None}
    assert "returned False" in values["app/cache"]["error"]
    assert registry.names() == ("app/cache", "app/db", "app/disk")


@pytest.mark.parametrize("interval", [None, 2.0, 60.0])
def test_a_result_is_not_older_than_the_interval_of_the_ticker(interval, clock):
    ticker = None if interval is None else Ticker(interval)
    registry, function = Registry(ticker=ticker, clock=clock), Counted()
    registry.healthcheck("db", function, timeout=DEADLINE)
    interval = interval or 5.0
    counts = []
    for seconds in (0.0, interval / 2, interval / 2, 0.001, interval, 0.001):
        clock.advance(seconds)
        registry.snapshot("a")
        registry.snapshot("b")
        counts.append(function.runs)
    assert counts == [1, 1, 1, 2, 2, 3]


def test_a_result_of_a_direct_check_is_as_good_as_one_of_a_read(clock):
    registry, function = Registry(clock=clock), Counted()
    check = registry.healthcheck("db", function, timeout=DEADLINE)
    check.check()
    registry.snapshot()
    assert function.runs == 1
    clock.advance(5.001)
    check.healthy()
    registry.snapshot()
    assert function.runs == 1


def test_a_state_that_was_set_never_gets_stale(clock):
    registry = Registry(clock=clock)
    check = registry.healthcheck("db")
    check.unhealthy("lost")
    clock.advance(1e9)
    assert registry.to_dict() == {"db": {"error": "lost"}}
    assert [str(error) for error in registry.run_healthchecks().values()] == ["lost"]


def test_a_child_registry_reads_its_own_checks_and_the_parent_all():
    root, inner, outer = Registry(), Counted(), Counted()
    child = root.child("db")
    child.healthcheck("primary", inner, timeout=DEADLINE)
    root.healthcheck("disk", outer, timeout=DEADLINE)
    assert list(child.snapshot()) == ["db/primary"]
    assert (inner.runs, outer.runs) == (1, 0)
    assert list(root.snapshot()) == ["db/primary", "disk"]
    assert (inner.runs, outer.runs) == (1, 1)


def test_each_check_has_a_daemon_thread_of_its_own_that_ends_with_it(clock):
    registry, functions = Registry(clock=clock), [Counted(), Counted()]
    for number, function in enumerate(functions):
        registry.healthcheck(f"check/{number}", function, timeout=DEADLINE)
    registry.snapshot()
    registry.run_healthchecks()
    threads = [thread for function in functions for thread in function.threads]
    assert len({*threads}) == 4
    assert {(thread.name, thread.daemon) for thread in threads} == {(THREAD, True)}
    assert not any(thread.is_alive() for thread in threads)


@pytest.mark.parametrize("read", [Registry.snapshot, Registry.run_healthchecks])
def test_checks_run_at_the_same_time(read):
    registry, meeting = Registry(), threading.Barrier(5)
    for number in range(5):
        registry.healthcheck(f"{number}", lambda: meeting.wait(DEADLINE) * 0, timeout=DEADLINE)
    assert len(read(registry)) == 5
    assert set(registry.run_healthchecks().values()) == {None}


@every_read
def test_a_check_that_hangs_has_failed_and_hides_nothing(read, blocked):
    registry = Registry()
    registry.healthcheck("db", blocked, timeout=SHORT)
    registry.healthcheck("disk", lambda: None, timeout=DEADLINE)
    assert read(registry)
    values = registry.to_dict()
    assert values["disk"] == {"error": None}
    assert f"did not return within {SHORT} s" in values["db"]["error"]
    assert isinstance(registry.get("db").error, HealthcheckError)


def test_a_check_that_hangs_occupies_one_thread_and_counts_when_it_returns(clock, blocked):
    registry = Registry(clock=clock)
    check = registry.healthcheck("db", blocked, timeout=SHORT)
    for _ in range(50):
        clock.advance(60)
        assert "did not return" in registry.snapshot()["db"].error
        assert check.checked is True
        assert "did not return" in str(registry.run_healthchecks()["db"])
    assert blocked.entered.wait(DEADLINE)
    assert running() == blocked.threads
    assert blocked.runs == 1
    blocked.release()
    assert registry.to_dict() == {"db": {"error": None}}
    assert blocked.runs == 1
    clock.advance(60)
    registry.snapshot()
    blocked.release()
    assert blocked.runs == 2


def test_what_a_program_sets_stands_while_the_function_hangs(clock, blocked):
    registry = Registry(clock=clock)
    check = registry.healthcheck("db", blocked, timeout=SHORT)
    registry.snapshot()
    check.healthy()
    assert registry.to_dict() == {"db": {"error": None}}
    clock.advance(60)
    assert "did not return" in registry.to_dict()["db"]["error"]
    assert blocked.entered.wait(DEADLINE)
    assert blocked.runs == 1


def test_concurrent_reads_share_one_run(blocked):
    registry = Registry()
    registry.healthcheck("db", blocked, timeout=DEADLINE)
    values = []
    readers = [thread_of(lambda: values.append(registry.to_dict())) for _ in range(2)]
    assert blocked.entered.wait(DEADLINE)
    readers.append(thread_of(lambda: values.append(registry.to_dict())))
    assert blocked.runs == 1
    blocked.release()
    for reader in readers:
        reader.join(DEADLINE)
    assert blocked.runs == 1
    assert values == [{"db": {"error": None}}] * 3


def test_a_check_that_reads_its_registry_neither_hangs_nor_recurses():
    registry, pages = Registry(), []

    def render():
        pages.append(registry.to_dict())
        pages.append(registry.run_healthchecks())

    registry.healthcheck("page", render, timeout=DEADLINE)
    registry.healthcheck("same", render, timeout=DEADLINE)
    assert registry.to_dict() == {"page": {"error": None}, "same": {"error": None}}
    assert len(pages) == 4
    registry.unregister("same")
    assert registry.get("page").check() is True
    assert pages[-2:] == [{"page": {"error": None}}, {"page": None}]


def test_a_check_that_reads_before_it_has_run_is_absent_there():
    registry, pages = Registry(), []
    check = registry.healthcheck("page", lambda: pages.append(registry.to_dict()), timeout=DEADLINE)
    check.check()
    assert pages == [{}]
    assert running() == []


def test_a_thread_that_ran_a_check_runs_stale_ones_when_it_reads():
    registry = Registry()
    registry.healthcheck("db", lambda: None, timeout=DEADLINE)

    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Healthcheck(interrupted).check()
    assert list(registry.snapshot()) == ["db"]


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signals to threads here")
def test_a_signal_handler_reads_while_its_own_thread_waits_for_a_check():
    registry, pages, handled = Registry(), [], threading.Event()

    def handler(*_):
        pages.append(registry.to_dict())
        pages.append(registry.run_healthchecks())
        handled.set()

    def check():
        signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)
        assert handled.wait(DEADLINE)

    registry.healthcheck("db", check, timeout=DEADLINE)
    registry.counter("hits")
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        assert registry.to_dict()["db"] == {"error": None}
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert pages == [{"hits": {"count": 0}}, {}]


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signals to threads here")
def test_an_interrupted_read_leaves_the_check_to_the_next_one():
    registry, reached, runs = Registry(), threading.Event(), []

    def interrupt(*_):
        reached.set()
        raise KeyboardInterrupt

    def check():
        runs.append(1)
        if len(runs) == 1:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)
            assert reached.wait(DEADLINE)

    registry.healthcheck("db", check, timeout=DEADLINE)
    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            registry.snapshot()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert registry.run_healthchecks() == {"db": None}


class Foreign(BaseException):
    """As frameworks have them to end a task or a thread."""


@pytest.mark.parametrize(
    "kind", [SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError, Foreign]
)
def test_whatever_ends_the_thread_of_a_check_is_a_failure(kind):
    def function():
        raise kind

    registry = Registry()
    registry.healthcheck("db", function, timeout=DEADLINE)
    registry.healthcheck("disk", lambda: None, timeout=DEADLINE)
    values = registry.to_dict()
    assert f"raised {kind.__name__}" in values["db"]["error"]
    assert values["disk"] == {"error": None}


async def coroutine():
    raise AssertionError("never awaited")


def test_a_coroutine_that_a_function_returns_is_a_failure_and_closed():
    registry = Registry()
    registry.healthcheck("db", lambda: coroutine(), timeout=DEADLINE)  # noqa: PLW0108
    assert "call healthy() or unhealthy()" in registry.to_dict()["db"]["error"]


def test_a_check_for_which_no_thread_starts_has_failed(monkeypatch):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    registry = Registry()
    registry.healthcheck("db", lambda: None, timeout=DEADLINE)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        error = registry.to_dict()["db"]["error"]
        assert isinstance(registry.run_healthchecks()["db"], HealthcheckError)
    assert "was not run: can't start new thread" in error
    assert registry.run_healthchecks() == {"db": None}


def test_while_the_interpreter_exits_the_last_result_stays(monkeypatch):
    def refuse(_):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    registry = Registry()
    check = registry.healthcheck("db", lambda: None, timeout=DEADLINE)
    registry.healthcheck("new", lambda: None, timeout=DEADLINE)
    check.check()
    monkeypatch.setattr(threading.Thread, "start", refuse)
    monkeypatch.setattr(type(threading.main_thread()), "is_alive", lambda _: False)
    assert registry.run_healthchecks() == {"db": None}


def test_an_interrupted_start_runs_the_function_at_the_next_read(monkeypatch):
    started, start = [], threading.Thread.start

    def interrupted(thread):
        start(thread)
        started.append(thread)
        raise KeyboardInterrupt

    registry, function = Registry(), Counted()
    registry.healthcheck("db", function, timeout=DEADLINE)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            registry.snapshot()
    for thread in started:
        thread.join(DEADLINE)
    assert len(started) == 1
    assert function.runs == 0
    assert registry.run_healthchecks() == {"db": None}
    assert function.runs == 1


def test_all_checks_run_whether_stale_or_not():
    root, function = Registry(), Counted()
    child = root.child("db")
    child.healthcheck("primary", fail, timeout=DEADLINE)
    child.healthcheck("replica", function, timeout=DEADLINE)
    child.healthcheck("unset")
    root.healthcheck("disk").unhealthy("full")
    root.counter("other")
    for runs in (1, 2):
        errors = root.run_healthchecks()
        assert {name: error and str(error) for name, error in errors.items()} == {
            "db/primary": "lost",
            "db/replica": None,
            "disk": "full",
        }
        assert list(errors) == ["db/primary", "db/replica", "disk"]
        assert function.runs == runs
    assert list(child.run_healthchecks()) == ["db/primary", "db/replica"]


def test_the_children_of_a_family_are_checks_under_their_labels():
    registry = Registry("app")
    family = registry.register("db", Family(Healthcheck, ("host",)))
    family.labels("a").healthy()
    family.labels("b").unhealthy("lost")
    family.labels("c")
    errors = registry.run_healthchecks()
    assert {name: error and str(error) for name, error in errors.items()} == {
        'app/db{host="a"}': None,
        'app/db{host="b"}': "lost",
    }


def test_the_children_of_a_family_that_have_a_function_run_when_they_are_read():
    registry, function = Registry(), Counted()
    family = registry.register("db", Family(Healthcheck, ("host",), lambda: Healthcheck(function)))
    family.labels("a")
    family.labels("b")
    snapshot = registry.snapshot()["db"]
    assert set(snapshot.children.values()) == {HealthcheckSnapshot(None)}
    assert function.runs == 2


def test_checks_that_are_switched_off_do_nothing():
    registry, function = Registry(enabled=False), Counted()
    check = registry.healthcheck("db", function, timeout=DEADLINE)
    check.unhealthy("lost")
    check.healthy()
    assert (check.check(), check.error, check.checked) == (True, None, False)
    assert registry.to_dict() == registry.run_healthchecks() == {}
    assert function.runs == 0


# Stops


def test_an_unregistered_check_is_not_run_for_a_report_that_comes_later(clock):
    registry, function = Registry(clock=clock), Counted()
    registry.healthcheck("db", function, timeout=DEADLINE)
    registry.healthcheck("never", function, timeout=DEADLINE)
    registry.get("db").check()
    with store_of(registry).follow("last"):
        clock.advance(60)
        registry.clear()
        assert registry.to_dict("last") == {"db": {"error": None}}
    assert function.runs == 1


def test_a_check_whose_hook_has_ended_is_not_run_any_more(clock):
    registry, function = Registry(clock=clock), Counted()
    with resources.healthcheck(registry, "db", function, timeout=DEADLINE) as check:
        registry.snapshot()
    registry.register("kept", check)
    clock.advance(60)
    assert list(registry.snapshot()) == ["kept"]
    assert function.runs == 1


class Container(MetricsContainer):
    """A registry and a check of it."""

    registry = MetricsContainer.registry
    function = providers.Object(bool)
    timeout = providers.Object(DEADLINE)
    health = Resource(resources.healthcheck, registry, "db", function, timeout=timeout)


def test_a_stop_waits_for_a_check_that_is_running(blocked):
    container = Container(function=providers.Object(blocked))
    container.init_resources()
    registry = container.registry()
    reader = thread_of(registry.snapshot)
    assert blocked.entered.wait(DEADLINE)
    stop = thread_of(container.shutdown_resources)
    blocked.released.set()
    stop.join(DEADLINE)
    reader.join(DEADLINE)
    assert not stop.is_alive()
    assert registry.names() == ()
    assert not blocked.threads[0].is_alive()


@pytest.mark.parametrize("limits", [(SHORT, None), (DEADLINE, 0.2)])
def test_a_stop_names_a_check_that_hangs(limits, blocked):
    timeout, seconds = limits
    container = Container(function=providers.Object(blocked), timeout=providers.Object(timeout))
    container.init_resources()
    reader = thread_of(container.registry().snapshot)
    assert blocked.entered.wait(DEADLINE)
    with pytest.raises(ShutdownError) as caught:
        container.shutdown_resources(timeout=seconds)
    (error,) = caught.value.exceptions
    assert isinstance(error, StopTimeoutError)
    assert "health check 'db' is still running <tests" in str(error)
    blocked.release()
    reader.join(DEADLINE)


def test_a_check_may_end_its_own_hook():
    registry = Registry()
    ended = []

    def end():
        ended.append(hook.__exit__(None, None, None))

    hook = resources.healthcheck(registry, "db", end, timeout=DEADLINE)
    hook.__enter__()
    registry.snapshot()
    assert ended == [False]
    assert len(registry) == 0


def test_a_check_may_stop_its_container():
    def stop():
        container.shutdown_resources()

    container = Container(function=providers.Object(stop))
    container.init_resources()
    registry = container.registry()
    registry.snapshot()
    assert len(registry) == 0
    assert running() == []


# Forks


def forks(test):
    for mark in forking:
        test = mark(test)
    return test


@forks
def test_a_check_that_hangs_in_the_parent_runs_in_the_child(blocked):
    parent = os.getpid()
    registry = Registry()
    registry.healthcheck("db", lambda: blocked() if os.getpid() == parent else None, timeout=SHORT)
    assert "did not return" in registry.to_dict()["db"]["error"]

    def use():
        before = registry.get("db").error
        registry.snapshot()
        # The limit is short for a busy machine too.
        for thread in running():
            thread.join(DEADLINE)
        return before, registry.to_dict()

    assert in_child(use) == (None, {"db": {"error": None}})


@forks
def test_a_function_runs_again_in_the_child_and_a_state_that_was_set_stays():
    registry, function = Registry(), Counted()
    registry.healthcheck("db", function, timeout=DEADLINE)
    registry.healthcheck("disk").unhealthy("full")
    registry.snapshot()
    values, runs = in_child(lambda: (registry.to_dict(), function.runs))
    assert values == {"db": {"error": None}, "disk": {"error": "full"}}
    assert runs == 2


@forks
def test_a_lock_that_another_thread_of_the_parent_held_is_free_in_the_child():
    registry = Registry()
    check = registry.healthcheck("db", lambda: None, timeout=DEADLINE)
    with held(check._lock):
        assert in_child(registry.run_healthchecks) == {"db": None}


@forks
def test_checks_run_in_the_child_whatever_other_threads_did():
    registry = Registry()
    for name in ("a", "b"):
        registry.healthcheck(name, lambda: None, timeout=DEADLINE)
    with hammered(registry.run_healthchecks):
        outcomes = [in_child(registry.run_healthchecks) for _ in range(12)]
    assert outcomes == [{"a": None, "b": None}] * 12


@forks
def test_a_check_that_forks_leaves_a_process_whose_reads_run_checks():
    registry, found = Registry(), []
    registry.healthcheck("db", lambda: None, timeout=DEADLINE)
    Healthcheck(lambda: found.append(in_child(registry.to_dict))).check()
    assert found == [{"db": {"error": None}}]


def test_the_checks_of_a_registry_with_a_prefix_are_searched_once_and_after_a_change():
    registry = Registry()
    registry.healthcheck("other")
    store = store_of(registry.child("shop"))
    assert store.checks() == []
    assert store.checks() is store.checks()
    check = registry.healthcheck("shop/db")
    assert [entry.instrument for entry in store.checks()] == [check]
    registry.unregister("shop/db")
    assert store.checks() == []
