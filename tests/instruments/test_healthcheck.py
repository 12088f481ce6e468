"""A health check by itself: what is an outcome, and what is refused."""

import asyncio
import functools
import gc
import pickle
import threading
import weakref

import pytest

from metrics import Healthcheck, HealthcheckError, HealthcheckSnapshot, Registry
from metrics.testing import ManualClock

UNCHECKED = HealthcheckSnapshot(None, checked=False)


def failing(error):
    def function():
        raise error

    return Healthcheck(function)


@pytest.mark.parametrize("answer", [None, True, 0, "", "text"])
def test_any_answer_but_false_is_healthy(answer):
    check = Healthcheck(lambda: answer)
    assert check.check() is True
    assert check.error is None
    assert check.snapshot() == HealthcheckSnapshot(None)


def test_false_is_unhealthy_and_names_the_function():
    def database():
        return False

    check = Healthcheck(database)
    assert check.check() is False
    assert isinstance(check.error, HealthcheckError)
    assert "database" in check.snapshot().error


def test_an_exception_is_kept_and_exported_in_one_line():
    error = ConnectionError("refused\n  by peer")
    check = failing(error)
    assert check.check() is False
    assert check.error is error
    assert check.snapshot().to_dict() == {"error": "refused by peer"}


class Unreadable(Exception):  # noqa: N818 - as short as what programs write
    def __str__(self):
        raise LookupError("no text")


@pytest.mark.parametrize(
    ("error", "text"), [(TimeoutError(), "TimeoutError"), (Unreadable(), "Unreadable")]
)
def test_an_exception_without_a_readable_message_is_exported_by_its_type(error, text):
    check = failing(error)
    check.check()
    assert check.snapshot().error == text


def test_a_check_that_recovers_drops_its_error():
    outcomes = iter([False, True])
    check = Healthcheck(lambda: next(outcomes))
    assert [check.check(), check.check()] == [False, True]
    assert check.error is None


def test_a_check_that_never_ran_is_neither_healthy_nor_unhealthy():
    check = failing(OSError("never seen"))
    assert check.checked is False
    assert check.error is None
    assert check.snapshot() == UNCHECKED != HealthcheckSnapshot(None)
    assert "not checked" in repr(check)
    check.check()
    assert check.checked is True
    assert check.snapshot() == HealthcheckSnapshot("never seen")


@pytest.mark.parametrize("snapshot", [UNCHECKED, HealthcheckSnapshot("lost")])
def test_a_snapshot_is_the_same_in_another_process(snapshot):
    assert pickle.loads(pickle.dumps(snapshot)) == snapshot


@pytest.mark.parametrize("error", [SystemExit(3), asyncio.CancelledError()])
def test_an_exit_or_a_cancellation_is_a_failure_and_does_not_end_the_caller(error):
    check = failing(error)
    assert check.check() is False
    assert isinstance(check.error, HealthcheckError)
    assert f"raised {type(error).__name__}" in check.snapshot().error
    assert check.error.__cause__ is error


class Foreign(BaseException):
    """As frameworks have them to end a task or a thread."""


@pytest.mark.parametrize("kind", [KeyboardInterrupt, GeneratorExit, Foreign])
def test_an_interrupt_is_not_an_outcome(kind):
    check = failing(kind())
    with pytest.raises(kind):
        check.check()
    assert check.checked is False


class Large:
    """An object that must not outlive the check."""


def plain(seen):
    large = Large()
    seen.append(weakref.ref(large))
    raise OSError


def from_cause(seen):
    try:
        plain(seen)
    except OSError as error:
        raise LookupError("db") from error


def in_context(seen):
    try:
        plain(seen)
    except OSError:
        raise LookupError("db")  # noqa: B904 - the context is the test


def in_group(seen):
    try:
        plain(seen)
    except OSError as error:
        raise ExceptionGroup("db", [error])  # noqa: B904 - its context is a member too


def exits(seen):
    large = Large()
    seen.append(weakref.ref(large))
    raise SystemExit


@pytest.mark.parametrize("function", [plain, from_cause, in_context, in_group, exits])
def test_a_kept_error_does_not_keep_the_frames_it_went_through(function):
    seen = []
    check = Healthcheck(functools.partial(function, seen))
    check.check()
    gc.collect()
    assert check.error is not None
    assert seen[0]() is None


def test_the_exception_that_the_caller_handles_keeps_its_traceback():
    check = failing(LookupError("db"))
    try:
        plain([])
    except OSError as handled:
        check.check()
        kept = handled.__traceback__
    assert check.error.__context__ is None
    assert kept is not None


def test_an_exception_that_refuses_attributes_is_an_outcome():
    class Frozen(Exception):  # noqa: N818 - as short as what programs write
        def __setattr__(self, name, value):
            raise TypeError("frozen")

    error = Frozen("lost")
    check = failing(error)
    assert check.check() is False
    assert check.error is error
    assert error.__traceback__ is None


def test_the_program_sets_the_state_of_a_check_without_a_function():
    check = Healthcheck()
    assert (check.check(), check.error, check.checked) == (False, None, False)
    assert check.snapshot() == UNCHECKED
    check.healthy()
    assert (check.check(), check.error, check.checked) == (True, None, True)
    lost = ConnectionError("lost")
    check.unhealthy(lost)
    assert (check.check(), check.error) == (False, lost)
    check.unhealthy("disk is\nfull")
    assert isinstance(check.error, HealthcheckError)
    assert check.snapshot() == HealthcheckSnapshot("disk is full")
    check.healthy()
    assert check.snapshot() == HealthcheckSnapshot(None)


def test_the_program_sets_the_state_of_a_check_with_a_function_until_its_next_run():
    check = Healthcheck(lambda: None)
    check.unhealthy("maintenance")
    assert check.snapshot() == HealthcheckSnapshot("maintenance")
    assert check.check() is True
    assert check.error is None
    check = failing(OSError("lost"))
    check.healthy()
    assert (check.error, check.checked) == (None, True)
    assert check.check() is False


def test_an_error_that_the_program_handles_keeps_its_traceback():
    check = Healthcheck()
    try:
        plain([])
    except OSError as error:
        check.unhealthy(error)
    assert check.error.__traceback__ is not None


@pytest.mark.parametrize("error", [None, 5, OSError, KeyboardInterrupt()])
def test_an_error_is_an_exception_or_a_text(error):
    check = Healthcheck()
    with pytest.raises(TypeError, match=r"invalid error .*: pass an exception or a str"):
        check.unhealthy(error)
    assert check.checked is False


@pytest.mark.parametrize("function", [5, "ping", [], False])
def test_a_function_is_callable(function):
    with pytest.raises(TypeError, match=r"invalid function .*: pass a callable, or none"):
        Healthcheck(function)


@pytest.mark.parametrize("timeout", [0, -1.0, float("nan"), float("inf")])
def test_a_limit_is_a_positive_number(timeout):
    with pytest.raises(ValueError, match=r"Healthcheck\(timeout\)"):
        Healthcheck(bool, timeout=timeout)
    with pytest.raises(TypeError, match=r"Healthcheck\(timeout\)"):
        Healthcheck(timeout="5")


async def coroutine(*_):
    raise AssertionError("never awaited")


async def async_generator(*_):
    raise AssertionError("never iterated")
    yield


def generator(*_):
    raise AssertionError("never iterated")
    yield


class Target:
    """Async and lazy methods of an object, and objects that are called like them."""

    method = coroutine
    generator = generator

    class Called:
        """Called as a coroutine function is."""

        __call__ = coroutine


ASYNC = [
    coroutine,
    async_generator,
    Target().method,
    functools.partial(coroutine, 1),
    functools.partial(Target().method),
    Target.Called(),
]


@pytest.mark.parametrize("function", ASYNC)
def test_an_async_function_is_refused_with_the_remedy(function):
    with pytest.raises(TypeError, match=r"cannot await it; run it on your event loop, and call h"):
        Healthcheck(function)
    registry = Registry()
    with pytest.raises(TypeError, match=r"cannot await it"):
        registry.healthcheck("db", function)
    assert len(registry) == 0


@pytest.mark.parametrize("function", [generator, Target().generator])
def test_a_generator_function_is_refused(function):
    with pytest.raises(TypeError, match=r"runs nothing; pass a function that returns or raises"):
        Healthcheck(function)


def test_a_class_with_an_async_call_is_a_function_like_any_other():
    assert Healthcheck(Target.Called).check() is True


# A coroutine that is not closed warns, which fails the test.
@pytest.mark.parametrize("function", [coroutine, async_generator, generator, Target.Called()])
def test_an_unawaited_result_is_unhealthy_and_closed(function):
    check = Healthcheck(lambda: function())  # noqa: PLW0108 - which hides its kind
    assert check.check() is False
    assert "which is not run; run it on your event loop" in check.snapshot().error
    gc.collect()


def test_a_future_is_no_result_either():
    async def ask():
        future = asyncio.get_running_loop().create_future()
        check = Healthcheck(lambda: future)
        return check.check(), check.snapshot().error

    healthy, error = asyncio.run(ask())
    assert healthy is False
    assert "returned a Future" in error


def test_results_are_dated_by_the_clock_of_the_check():
    clock = ManualClock()
    runs = []
    registry = Registry()
    registry.register("db", Healthcheck(lambda: runs.append(1), clock=clock))
    for _ in range(3):
        registry.snapshot()
    clock.advance(6)
    registry.snapshot()
    assert len(runs) == 2


def test_direct_checks_run_concurrently():
    both = threading.Barrier(2)
    check = Healthcheck(lambda: both.wait(30.0) * 0)
    thread = threading.Thread(target=check.check)
    thread.start()
    assert check.check() is True
    thread.join()


def test_a_function_without_a_readable_repr_is_named_by_its_type():
    class Ping:
        def __call__(self):
            return False

        def __repr__(self):
            raise LookupError

    check = Healthcheck(Ping())
    check.check()
    assert check.snapshot().error == "<Ping> returned False"


def test_the_repr_shows_the_outcome():
    check = failing(OSError("broken"))
    check.check()
    assert "OSError('broken')" in repr(check)
