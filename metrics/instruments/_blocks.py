"""Blocks of gauges and counters: context managers and decorators around the measured code.

Never compiled: a block is little code around calls of instruments, which are compiled.
"""

from collections.abc import Callable
from typing import Final, ParamSpec, Self, TypeAlias, TypeVar, final

from metrics.instruments._shared import Shared
from metrics.instruments._wrapping import surround

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., object])

Exceptions: TypeAlias = type[BaseException] | tuple[type[BaseException], ...]
"""Class of exceptions, or a tuple of classes, as after `except`."""


@final
class InProgress(Shared):
    """Block and decorator that increments a gauge on entry and decrements it on exit.

    Keeps no state of a call: one object may be entered many times at once, by any thread and task.

    Args:
        inc: increments the gauge.
        dec: decrements the gauge.
    """

    __slots__ = ("_dec", "_inc")

    def __init__(self, inc: Callable[[], None], dec: Callable[[], None]) -> None:
        self._inc = inc
        self._dec = dec

    def __enter__(self) -> None:
        self._inc()

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        self._dec()

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Decorate a plain, async, generator or async generator function: track its calls.

        Raises:
            TypeError: `function` cannot be called.
        """
        return surround(function, lambda: self, "track_inprogress()")


@final
class ExceptionCount(Shared):
    """Block and decorator that counts the exceptions leaving it, and lets them pass.

    Keeps no state of a call: one object may be entered many times at once, by any thread and task.

    Args:
        caller: the method that returns the block, for errors.
        count: counts one exception.
        exceptions: class of the exceptions to count, or a tuple of classes.

    Raises:
        TypeError: `exceptions` is neither a class of exceptions nor a tuple of such classes.
    """

    __slots__ = ("_count", "_exceptions")

    def __init__(self, caller: str, count: Callable[[], None], exceptions: Exceptions) -> None:
        # `@counter.count_exceptions` without parentheses passes the decorated function.
        classes: tuple[object, ...] = exceptions if isinstance(exceptions, tuple) else (exceptions,)
        for each in classes:
            if not (isinstance(each, type) and issubclass(each, BaseException)):
                raise TypeError(
                    f"{caller} takes a class of exceptions or a tuple of classes, got {each!r}; "
                    "decorate with @counter.count_exceptions(ValueError), parentheses included"
                )
        self._count = count
        self._exceptions = exceptions

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: object, traceback: object) -> None:
        if kind is not None and issubclass(kind, self._exceptions):
            self._count()

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Decorate a plain, async, generator or async generator function: count its exceptions.

        Raises:
            TypeError: `function` cannot be called.
        """
        return surround(function, lambda: self, "count_exceptions()")


@final
class NoBlock(Shared):
    """Block and decorator that does nothing, in place of every block of switched-off metrics."""

    __slots__ = ()

    seconds: Final = 0.0
    """Duration of every block: 0, because nothing is measured."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        pass

    def __call__(self, function: F) -> F:
        """Return the function itself."""
        return function


NO_BLOCK: Final = NoBlock()
"""The one block of all no-op instruments: `time()`, `track_inprogress()`, `count_exceptions()`."""
