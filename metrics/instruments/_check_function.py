"""Functions of health checks: one call, and the error that it stands for."""

import threading
from collections.abc import Callable
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import TypeVar

from metrics import _fork
from metrics.errors import HealthcheckError
from metrics.instruments._calls import is_cancellation

E = TypeVar("E", bound=BaseException)

ASYNC_REMEDY = "run it on your event loop, and call healthy() or unhealthy() with the outcome"

inside = threading.local()
"""Its `generation` is that of the process while its thread runs a check or waits for checks."""


def is_inside() -> bool:
    """Return whether the calling thread runs a check, or waits for checks, in this process."""
    return getattr(inside, "generation", None) == _fork.generation


def outcome_of(function: Callable[[], object], *, ends_here: bool) -> Exception | None:
    """Return the error that a function raises or its result stands for; None when healthy.

    Args:
        function: the function of a check.
        ends_here: whether the thread ends after the call, so that no exception propagates.
    """
    before = getattr(inside, "generation", None)
    try:
        inside.generation = _fork.generation
        problem = problem_of(function())
    except Exception as raised:  # noqa: BLE001 - any exception is the outcome
        return without_frames(raised)
    except BaseException as raised:
        if not (ends_here or isinstance(raised, SystemExit) or is_cancellation(raised)):
            raise
        error = HealthcheckError(f"{name_of(function)} raised {type(raised).__name__}")
        error.__cause__ = without_frames(raised)
        return error
    finally:
        inside.generation = before
    return HealthcheckError(f"{name_of(function)} {problem}") if problem else None


def problem_of(result: object) -> str:
    """Return the fault in a function's result, after closing it; empty when there is none."""
    if result is False:
        return "returned False"
    if isinstance(result, (CoroutineType, GeneratorType)):
        result.close()
    elif not (isinstance(result, AsyncGeneratorType) or hasattr(type(result), "__await__")):
        return ""
    return f"returned a {type(result).__name__}, which is not run; {ASYNC_REMEDY}"


def refuse_uncallable(function: object) -> None:
    """Raise TypeError if calling a function would not run it."""
    if not callable(function):
        raise TypeError(
            f"invalid function {function!r}: pass a callable, or none and set the state with "
            "healthy() and unhealthy()"
        )
    # Loaded when needed: it takes longer to import than this package.
    import inspect  # noqa: PLC0415

    # An object may be called by way of an async method.
    for target in (function, getattr(type(function), "__call__", None)):  # noqa: B004
        if inspect.iscoroutinefunction(target) or inspect.isasyncgenfunction(target):
            raise TypeError(
                f"invalid function {function!r}: a health check cannot await it; {ASYNC_REMEDY}"
            )
        if inspect.isgeneratorfunction(target):
            raise TypeError(
                f"invalid function {function!r}: calling a generator function runs nothing; "
                "pass a function that returns or raises"
            )


def without_frames(error: E) -> E:
    """Remove the tracebacks of an exception, its causes and members, and its context.

    A kept traceback would keep every frame that it went through alive, with its variables. The
    context may be an exception that the caller is handling, and stays as it is.
    """
    pending: list[BaseException] = [error]
    done: set[int] = set()
    while pending:
        one = pending.pop()
        if id(one) in done:
            continue
        done.add(id(one))
        # By the base class: a class of a program may refuse attributes, or override the method.
        BaseException.with_traceback(one, None)
        BaseException.__setattr__(one, "__context__", None)
        if one.__cause__ is not None:
            pending.append(one.__cause__)
        if isinstance(one, BaseExceptionGroup):
            pending += one.exceptions
    return error


def name_of(function: object) -> str:
    """Return the repr of a function, or its type when that fails."""
    try:
        return repr(function)
    except Exception:  # noqa: BLE001 - the text of another error must not be the next one
        return f"<{type(function).__name__}>"


def describe(error: BaseException) -> str:
    """Return an exception as one line: its message, or its type when it has none."""
    try:
        return " ".join(str(error).split()) or type(error).__name__
    except Exception:  # noqa: BLE001 - a message that cannot be read must not hide the check
        return type(error).__name__
