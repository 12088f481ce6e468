"""A worker thread that ends with an exception has not finished its work."""

import contextlib
import ctypes
import threading

import pytest

from metrics.lifecycle import LifecycleContainer, Resource, ShutdownError, State, state
from tests.lifecycle.bounded import within

NAMES = ["one", "two", "three"]
WORKER = "metrics-lifecycle"


def container_of(hook):
    class Container(LifecycleContainer):
        one = Resource(hook, "one")
        two = Resource(hook, "two", one)
        three = Resource(hook, "three", two)

    return Container()


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit, StopIteration])
@pytest.mark.parametrize("failing", NAMES)
def test_an_exception_that_ends_threads_is_reported_when_a_hook_raises_it(kind, failing):
    error, stopped = kind("no"), []

    class Hook:
        def __init__(self, name, *_needed):
            self.name = name

        def __enter__(self):
            return self.name

        def __exit__(self, *_exit_info):
            stopped.append(self.name)
            if self.name == failing and stopped.count(failing) == 1:
                raise error

    container = container_of(Hook)
    container.init_resources()
    with pytest.raises((kind, ShutdownError)) as raised:
        within(container.shutdown_resources)
    assert error in (raised.value, *getattr(raised.value, "exceptions", ()))
    assert stopped == ["three", "two", "one"]
    assert state(container, failing) is State.FAILED
    within(container.shutdown_resources)
    assert state(container) is State.STOPPED


@pytest.mark.parametrize("failing", NAMES)
def test_an_exception_that_is_injected_into_the_thread_of_a_hook_stops_no_other_hook(failing):
    stopped = []

    def hook(name, *_needed):
        yield name
        stopped.append(name)
        if name == failing:
            ident = ctypes.c_ulong(threading.get_ident())
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(SystemExit))

    container = container_of(hook)
    container.init_resources()
    with contextlib.suppress(SystemExit, ShutdownError):
        within(container.shutdown_resources, timeout=5)
    with contextlib.suppress(SystemExit, ShutdownError):
        within(container.shutdown_resources, timeout=5)
    assert stopped == ["three", "two", "one"]
    assert state(container) is State.STOPPED


# The worker may die in a finalizer of another test's garbage, which it happens to collect.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("line", range(0, 60, 4))
def test_a_worker_that_dies_in_lifecycle_code_is_not_taken_for_one_that_has_finished(line):
    stopped = []

    def hook(name, *_needed):
        yield name
        stopped.append(name)

    container = container_of(hook)
    container.init_resources()
    lines_left = [line]

    def trace(frame, event, _argument):
        if "metrics/lifecycle" not in frame.f_code.co_filename:
            return None
        if event == "line" and threading.current_thread().name == WORKER:
            lines_left[0] -= 1
            if lines_left[0] == -1:
                raise SystemExit
        return trace

    earlier = threading.gettrace()
    threading.settrace(trace)
    try:
        error = None
        within(container.shutdown_resources, timeout=0.5)
    except (SystemExit, ShutdownError) as raised:
        error = raised
    finally:
        threading.settrace(earlier)
    first = list(stopped)
    # A stop that reports nothing has stopped everything.
    assert error is not None or sorted(first) == sorted(NAMES)
    assert State.STOPPING not in {state(container, name) for name in NAMES}
    with contextlib.suppress(SystemExit, ShutdownError):
        within(container.shutdown_resources, timeout=5)
    assert sorted(stopped) == sorted(NAMES)
    assert state(container) is State.STOPPED
