"""How a timer measures the calls of a function, whatever kind of function it is."""

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractContextManager
from typing import Any, ParamSpec, TypeAlias, TypeVar, cast

P = ParamSpec("P")
R = TypeVar("R")

Time: TypeAlias = Callable[[], AbstractContextManager[None]]
"""What gives a context manager that times its block."""


def timed(
    time: Time, now: Callable[[], int], since: Callable[[int], None], function: Callable[P, R]
) -> Callable[P, R]:
    """Return `function` wrapped so that every call of it is timed, and of the same kind as it.

    A coroutine is timed from its first step to its end, awaits included; a generator, plain or
    async, from the first value asked for until it ends or is closed.

    Args:
        time: gives a context manager that times its block.
        now: gives the time, for `since`.
        since: records the duration since a time.
        function: what to wrap.

    Raises:
        TypeError: `function` cannot be called.
    """
    # Worth its import time only to those who decorate.
    import inspect  # noqa: PLC0415
    from functools import wraps  # noqa: PLC0415

    if isinstance(function, (classmethod, staticmethod)) or not callable(function):
        raise TypeError(
            f"timed takes a function, got {function!r}; put it below @classmethod or @staticmethod"
        )

    def is_a(predicate: Callable[[object], bool]) -> bool:
        # An object may be called by way of an async method.
        return predicate(function) or predicate(getattr(function, "__call__", None))  # noqa: B004

    if is_a(inspect.iscoroutinefunction):
        wrap = timed_coroutine
    elif is_a(inspect.isasyncgenfunction):
        wrap = timed_async_generator
    elif is_a(inspect.isgeneratorfunction):
        wrap = timed_generator
    else:
        return cast("Callable[P, R]", wraps(function)(timed_call(now, since, function)))
    # Which of the three fits is known only now, and the type system cannot follow.
    return cast("Callable[P, R]", wraps(function)(wrap(time, function)))


def timed_call(
    now: Callable[[], int], since: Callable[[int], None], function: Callable[..., Any]
) -> Callable[..., Any]:
    """Return a plain function wrapped, without the cost of a context manager."""

    def wrapper(*args: object, **kwargs: object) -> Any:
        start = now()
        try:
            return function(*args, **kwargs)
        finally:
            since(start)

    return wrapper


def timed_coroutine(time: Time, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a coroutine function wrapped."""

    async def wrapper(*args: object, **kwargs: object) -> Any:
        with time():
            return await function(*args, **kwargs)

    return wrapper


def timed_generator(time: Time, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a generator function wrapped."""

    def wrapper(*args: object, **kwargs: object) -> Generator[Any, Any, Any]:
        with time():
            return (yield from function(*args, **kwargs))

    return wrapper


def timed_async_generator(time: Time, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return an async generator function wrapped; it has no `yield from` to lean on."""

    async def wrapper(*args: object, **kwargs: object) -> AsyncGenerator[Any, Any]:
        with time():
            generator: AsyncGenerator[Any, Any] = function(*args, **kwargs)
            try:
                item = await anext(generator)
                while True:
                    try:
                        sent = yield item
                    except GeneratorExit:
                        raise
                    except BaseException as error:  # noqa: BLE001 - the generator's to handle
                        item = await generator.athrow(error)
                    else:
                        item = await generator.asend(sent)
            except StopAsyncIteration:
                return
            finally:
                await generator.aclose()

    return wrapper
