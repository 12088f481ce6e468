"""Functions are called one after another in a thread, each as its caller sees the world."""

import sys
import threading
from concurrent.futures import wait
from contextvars import ContextVar

import pytest

from metrics.lifecycle._threads import THREAD_NAME, HookThread

PATIENCE = 10.0

variable: ContextVar[str] = ContextVar("variable", default="default")


@pytest.fixture
def thread():
    made = HookThread()
    yield made
    made.end()
    made.thread.join(PATIENCE)
    assert not made.thread.is_alive()


def test_results_and_exceptions_arrive_as_they_are(thread):
    error = KeyboardInterrupt()

    def fail() -> None:
        raise error

    assert thread.call(lambda: 7).result(PATIENCE) == 7
    assert thread.call(fail).exception(PATIENCE) is error
    # A call that has failed does not end the thread.
    assert thread.call(lambda: 8).result(PATIENCE) == 8


@pytest.mark.parametrize("kind", [SystemExit, GeneratorExit, StopIteration, TimeoutError])
def test_no_exception_ends_the_thread(thread, kind):
    error = kind("no")

    def fail() -> None:
        raise error

    assert thread.call(fail).exception(PATIENCE) is error
    assert thread.call(threading.get_ident).result(PATIENCE) == thread.thread.ident


def test_calls_run_in_order_in_one_daemon_thread(thread):
    seen: list[int] = []
    idents: set[int] = set()

    def call(index: int) -> None:
        seen.append(index)
        idents.add(threading.get_ident())

    calls = [thread.call(lambda index=index: call(index)) for index in range(100)]
    wait(calls, PATIENCE)
    assert seen == list(range(100))
    assert idents == {thread.thread.ident}
    assert thread.thread.daemon
    assert thread.thread.name == THREAD_NAME


def test_a_call_sees_its_callers_context_and_leaves_it_alone(thread):
    token = variable.set("caller")
    try:
        assert thread.call(variable.get).result(PATIENCE) == "caller"
        thread.call(lambda: variable.set("hook")).result(PATIENCE)
        assert variable.get() == "caller"
        variable.set("later")
        assert thread.call(variable.get).result(PATIENCE) == "later"
    finally:
        variable.reset(token)
    assert thread.call(variable.get).result(PATIENCE) == "default"


def test_told_to_end_it_still_does_what_it_was_given():
    thread = HookThread()
    release = threading.Event()
    calls = [thread.call(lambda: release.wait(PATIENCE)), thread.call(lambda: "done")]
    thread.end()
    assert thread.thread.is_alive()
    release.set()
    assert [call.result(PATIENCE) for call in calls] == [True, "done"]
    thread.thread.join(PATIENCE)
    assert not thread.thread.is_alive()


def test_what_was_called_is_not_kept(thread):
    from gc import collect
    from weakref import ref

    class Called:
        def __call__(self) -> None:
            pass

    called = Called()
    gone = ref(called)
    thread.call(called).result(PATIENCE)
    # A second call proves that the first one has been put away.
    thread.call(int).result(PATIENCE)
    del called
    collect()
    assert gone() is None


def test_an_interruption_cannot_keep_the_thread_of_a_lost_object_alive():
    lost = HookThread()
    thread = lost.thread
    before = sys.gettrace()

    def interrupt(_frame: object, _event: str, _argument: object) -> None:
        raise KeyboardInterrupt

    sys.settrace(interrupt)
    try:
        del lost
    finally:
        sys.settrace(before)
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_an_interrupted_start_ends_the_thread_while_its_exception_is_kept(monkeypatch):
    started: list[threading.Thread] = []
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        started.append(thread)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt) as kept:
        HookThread()
    (thread,) = started
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert kept.traceback
