"""Hooks can say that their value survives a fork; the library renews itself in the child."""

import functools
import gc
import os
import sys
import threading
import weakref
from contextlib import contextmanager

import pytest

from metrics import Counter, Meter, Registry, Ticker, _fork, resources
from metrics._fork import (
    Survival,
    drop_registered_by,
    is_orphaned,
    registering,
    survival_of,
    survives_fork,
    track,
)
from metrics.registry._inner import store_of
from tests.forks import DEADLINE, forking, hammered, held, in_child

pytestmark = forking


def plain(name):
    yield name


@survives_fork
def surviving(name):
    yield name


@survives_fork(reset=list.clear)
@contextmanager
def reset_above():
    yield []


@contextmanager
@survives_fork(reset=list.clear)
def reset_below():
    yield []


class Holder:
    @survives_fork
    def hook(self):
        yield self

    def other(self):
        yield self


@survives_fork
class Resource:
    pass


class Derived(Resource):
    pass


@pytest.mark.parametrize(
    "hook",
    [
        surviving,
        Holder.hook,
        Holder().hook,
        Resource,
        functools.partial(surviving, "name"),
        functools.partial(functools.partial(Holder().hook)),
        functools.wraps(surviving)(lambda: None),
        survives_fork()(lambda: None),
        survives_fork(functools.partial(plain, "name")),
    ],
)
def test_a_declared_hook_survives(hook):
    assert survival_of(hook) == Survival(None)


@pytest.mark.parametrize("hook", [reset_above, reset_below, functools.partial(reset_above)])
def test_the_reset_is_kept_above_and_below_the_context_manager(hook):
    assert survival_of(hook) == (list.clear,)


class AnswersToEverything:
    def __getattr__(self, name):
        return Survival(None)


class Refuses:
    @property
    def __class__(self):
        raise RuntimeError("no class")

    @property
    def __dict__(self):
        raise RuntimeError("no namespace")


@pytest.mark.parametrize(
    "hook",
    [plain, Holder().other, Derived, Resource(), len, None, 1, "a", AnswersToEverything()],
)
def test_all_other_objects_do_not(hook):
    assert survival_of(hook) is None


def test_an_object_that_refuses_every_question_does_not():
    assert survival_of(Refuses()) is None


def test_the_decorator_returns_the_same_hook():
    def hook():
        yield

    assert survives_fork(hook) is hook
    assert survives_fork(reset=print)(hook) is hook
    assert survival_of(hook) == (print,)


@pytest.mark.parametrize("hook", [1, "name", len])
def test_what_cannot_be_declared_is_a_clear_error(hook):
    with pytest.raises(TypeError, match="invalid hook"):
        survives_fork(hook)


def test_a_reset_that_cannot_be_called_is_a_clear_error():
    with pytest.raises(TypeError, match="invalid reset 1"):
        survives_fork(reset=1)


def test_the_hooks_of_the_library_survive():
    hooks = {getattr(resources, name) for name in vars(resources) if name[0].isalpha()} - {
        resources.Collector
    }
    assert len(hooks) > 30
    assert all(survival_of(hook) == Survival(None) for hook in hooks)


class Renewed:
    def __init__(self, notes, name="", error=None):
        self.notes = notes
        self.name = name
        self.error = error
        track(self)

    def _after_fork(self):
        self.notes.append(self.name)
        if self.error is not None:
            raise self.error


def test_tracked_objects_are_renewed_in_the_order_in_which_they_were_made():
    notes = []
    kept = [Renewed(notes, name) for name in "abc"]
    generation = _fork.generation
    assert in_child(lambda: (notes, _fork.generation - generation)) == (["a", "b", "c"], 1)
    assert notes == []
    assert len(kept) == 3


def test_tracking_keeps_nothing_alive():
    renewed = Renewed([])
    count = len(_fork._tracked)
    reference = weakref.ref(renewed)
    del renewed
    gc.collect()
    assert reference() is None
    assert len(_fork._tracked) < count


def test_an_error_keeps_no_other_object_from_being_renewed_and_is_told():
    notes, printed = [], []
    kept = [Renewed(notes, "a", OSError("a")), Renewed(notes, "b", OSError("b"))]
    hook, sys.unraisablehook = sys.unraisablehook, printed.append
    reader, writer = os.pipe()
    try:
        child = os.fork()
        if child == 0:
            errors = [str(error) for error in printed[0].exc_value.exceptions]
            os.write(writer, repr((notes, errors, len(printed))).encode())
            os._exit(0)
    finally:
        sys.unraisablehook = hook
    os.waitpid(child, 0)
    assert os.read(reader, 1000) == repr((["a", "b"], ["a", "b"], 1)).encode()
    os.close(reader)
    os.close(writer)
    assert len(kept) == 2


@pytest.mark.slow(reason="forks beside busy threads")
def test_a_fork_while_other_threads_make_and_drop_registries_renews_the_older_ones():
    counter = Registry().counter("hits")
    old = Registry()
    old.register("hits", counter)
    counter.inc()
    made = []

    def make():
        made.append(Registry())
        if len(made) > 50:
            made.clear()

    with hammered(make):
        outcomes = [in_child(lambda: counter.count) for _ in range(5)]
    assert outcomes == [0] * 5
    assert counter.count == 1


def test_a_lock_is_orphaned_when_another_thread_held_it():
    lock, own = threading.Lock(), threading.RLock()
    with held(lock), own:
        assert in_child(lambda: (is_orphaned(lock), is_orphaned(own))) == (True, False)
    assert not is_orphaned(lock)


def registered_by(owner, registry, *names):
    token = registering.set(owner)
    try:
        return [registry.meter(name) for name in names]
    finally:
        registering.reset(token)


def test_names_and_members_of_an_owner_are_dropped_and_those_of_others_stay():
    ticker = Ticker()
    registry = Registry(ticker=ticker)
    gone, stays = object(), object()
    registered_by(gone, registry.child("sub"), "a", "b")
    registered_by(stays, registry, "c")
    registry.meter("d")

    def drop():
        with store_of(registry).follow("reader"):
            drop_registered_by([gone])
            registry.meter("sub/a").mark()
            return registry.names(), len(ticker), len(registry.snapshot("reader"))

    assert in_child(drop) == (("c", "d", "sub/a"), 3, 3)
    assert registry.names() == ("c", "d", "sub/a", "sub/b")
    drop_registered_by([])
    assert len(registry) == 4


class Member:
    def tick(self):
        pass


def test_members_that_a_hook_added_to_a_ticker_itself_are_dropped():
    with Ticker(3600.0) as ticker:
        owner = object()
        token = registering.set(owner)
        ticker.add(Member())
        registering.reset(token)
        ticker.add(Member())

        def drop():
            drop_registered_by({owner})
            return len(ticker)

        assert in_child(drop) == 1
        assert len(ticker) == 2


def test_a_reader_that_a_dropped_hook_opened_is_followed_no_more():
    registry = Registry()
    owner = object()
    token = registering.set(owner)
    following = store_of(registry).follow("reader")
    following.__enter__()
    registering.reset(token)

    def drop():
        drop_registered_by([owner])
        registry.counter("a").inc()
        registry.unregister("a")
        return len(registry.snapshot("reader"))

    assert in_child(drop) == 0
    registry.counter("a").inc()
    registry.unregister("a")
    assert len(registry.snapshot("reader")) == 1
    following.__exit__(None, None, None)


def test_dropping_never_raises(monkeypatch):
    class Broken(Member):
        def _after_fork(self):
            pass

        def _drop(self, owners):
            if self in live:
                raise OSError("broken")

    broken, told = Broken(), []
    live = [broken]
    track(broken)
    monkeypatch.setattr("sys.unraisablehook", lambda event: told.append(event.exc_value))
    registry, owner = Registry(), object()
    registered_by(owner, registry, "a")
    drop_registered_by([owner])
    # Tests that fork come after this one, and the object may be alive then.
    live.clear()
    assert registry.names() == ()
    assert [str(error) for error in told[0].exceptions] == ["broken"]


def test_a_forked_process_starts_no_thread_by_itself_and_the_workers_at_the_first_use():
    with Ticker(3600.0) as ticker:
        ticker.add(Meter())

        def use():
            before = [thread.name for thread in threading.enumerate()]
            _fork.resume()
            ticker.add(Meter())
            after = [thread.name for thread in threading.enumerate()]
            ticker.stop(DEADLINE)
            return (
                "metrics-ticker" in before,
                after.count("metrics-ticker"),
                threading.active_count(),
            )

        assert in_child(use) == (False, 1, 1)


def test_a_fork_of_a_fork_is_renewed_as_well():
    registry = Registry()
    counter = registry.register("hits", Counter())
    counter.inc()

    def child():
        counter.inc(5)
        return in_child(lambda: counter.count), counter.count

    assert in_child(child) == (0, 5)
    assert counter.count == 1
