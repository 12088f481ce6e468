import asyncio
import concurrent.futures
import signal
import sys
import threading
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from unittest import mock

import pytest
import trio

from metrics.instruments._calls import SIGNALS, call
from metrics.lifecycle import LifecycleContainer, running


def raises(error):
    def function():
        raise error

    return function


def test_a_call_returns_the_result():
    assert call(lambda: 5) == 5
    assert call(dict) == {}


@pytest.mark.parametrize("error", [OSError("gone"), concurrent.futures.CancelledError()], ids=repr)
def test_an_exception_is_raised_as_it_is(error):
    with pytest.raises(type(error)) as caught:
        call(raises(error))
    assert caught.value is error


@pytest.mark.parametrize(
    "error", [asyncio.CancelledError("stop"), SystemExit(3), SystemExit()], ids=repr
)
def test_a_cancellation_and_an_exit_become_an_error_with_function_and_cause(error):
    function = raises(error)
    with pytest.raises(RuntimeError) as caught:
        call(function)
    assert caught.value.__cause__ is error
    for words in (repr(function), repr(error), "raise an Exception instead"):
        assert words in str(caught.value)


def test_the_cancellation_of_trio_becomes_an_error():
    found = []

    async def main():
        with trio.CancelScope() as scope:
            scope.cancel()
            try:
                await trio.lowlevel.checkpoint()
            except trio.Cancelled as error:
                with pytest.raises(RuntimeError) as caught:
                    call(raises(error))
                found.append(caught.value.__cause__ is error)
                raise

    trio.run(main)
    assert found == [True]


def test_an_asyncio_loop_of_the_functions_own_may_be_cancelled():
    async def cancelled():
        asyncio.current_task().cancel()
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="CancelledError"):
        call(lambda: asyncio.run(cancelled()))


@pytest.mark.parametrize("error", [KeyboardInterrupt(), GeneratorExit()], ids=repr)
def test_other_base_exceptions_are_raised_as_they_are(error):
    with pytest.raises(type(error)) as caught:
        call(raises(error))
    assert caught.value is error


def test_a_thread_of_its_own_may_exit_too():
    errors = []

    def work():
        try:
            call(sys.exit)
        except RuntimeError as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert [type(error.__cause__) for error in errors] == [SystemExit]


@contextmanager
def handling(handler):
    before = signal.signal(signal.SIGTERM, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def stop(number, frame):
    sys.exit(128 + number)


def stop_once(number, frame):
    signal.signal(number, signal.SIG_DFL)
    raise SystemExit(128 + number)


def stop_with(code, number, frame):
    def leave():
        sys.exit(code)

    leave()


class Stopping:
    def __call__(self, number, frame):
        raise SystemExit(128 + number)

    def stop(self, *arguments):
        raise SystemExit(128 + arguments[0])


HANDLERS = {
    "function": stop,
    "function that restores the default": stop_once,
    "lambda": lambda *_: sys.exit(128 + signal.SIGTERM),
    "partial": partial(stop_with, 128 + signal.SIGTERM),
    "object": Stopping(),
    "method": Stopping().stop,
    "keyword": lambda number, frame=None, **_: sys.exit(128 + number),
}


def interrupted():
    signal.raise_signal(signal.SIGTERM)
    return 1.0


def interrupted_deep():
    return sum(interrupted() for _ in range(3))


@pytest.mark.parametrize("function", [interrupted, interrupted_deep])
@pytest.mark.parametrize("handler", HANDLERS)
def test_a_signal_ends_the_program_while_a_function_runs(handler, function):
    with handling(HANDLERS[handler]), pytest.raises(SystemExit) as caught:
        call(function)
    assert caught.value.code == 128 + signal.SIGTERM


def test_a_function_that_exits_is_told_from_a_signal_that_was_handled_before():
    def function():
        signal.raise_signal(signal.SIGTERM)
        sys.exit(3)

    with handling(lambda *_: None), pytest.raises(RuntimeError, match=r"SystemExit\(3\)"):
        call(function)


def test_a_signal_ends_a_block_of_running_while_a_function_runs():
    with pytest.raises(SystemExit) as caught, running(LifecycleContainer()):
        call(interrupted)
    assert caught.value.code == 128 + signal.SIGTERM


def test_a_signal_that_the_lifecycle_has_postponed_ends_the_program():
    # Raised at a checkpoint, without the handler on the stack.
    ending = SystemExit(128 + signal.SIGTERM)
    signals = import_module(SIGNALS)
    with mock.patch.object(signals, "_recorded", ending), pytest.raises(SystemExit) as caught:
        call(signals.checkpoint)
    assert caught.value is ending
