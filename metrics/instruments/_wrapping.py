"""Wrapping of functions of every kind, so that each call runs within a block."""

from collections.abc import AsyncGenerator, Callable, Generator
from typing import TYPE_CHECKING, Any, ParamSpec, TypeAlias, TypeVar, cast

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

P = ParamSpec("P")
R = TypeVar("R")

Function: TypeAlias = Callable[..., Any]

Enter: TypeAlias = "Callable[[], AbstractContextManager[object]]"
"""Factory of the context manager of one call."""


def surround(
    function: Callable[P, R],
    block: Enter,
    decorator: str,
    surround_plain: Callable[[Function], Function] | None = None,
) -> Callable[P, R]:
    """Return `function` wrapped so that every call runs within a block, and of the same kind.

    A coroutine is within its block from its first step to its end, awaits included; a generator,
    plain or async, from the first value requested until it ends or is closed.

    Args:
        function: the function to wrap.
        block: returns the context manager of one call; it may return the same one each time.
        decorator: name of the decorator, for errors.
        surround_plain: wraps a function that is neither a coroutine function nor a generator
            function; by default with `block`.

    Raises:
        TypeError: `function` cannot be called.
    """
    # Worth its import time only to programs that decorate.
    import inspect  # noqa: PLC0415
    from functools import wraps  # noqa: PLC0415

    if isinstance(function, (classmethod, staticmethod)) or not callable(function):
        raise TypeError(
            f"{decorator} takes a function, got {function!r}; "
            "put it below @classmethod or @staticmethod"
        )

    def is_a(predicate: Callable[[object], bool]) -> bool:
        # The `__call__` of an object may be an async method.
        return predicate(function) or predicate(getattr(function, "__call__", None))  # noqa: B004

    if is_a(inspect.iscoroutinefunction):
        wrapper = surround_coroutine(function, block)
    elif is_a(inspect.isasyncgenfunction):
        wrapper = surround_async_generator(function, block)
    elif is_a(inspect.isgeneratorfunction):
        wrapper = surround_generator(function, block)
    elif surround_plain is None:
        wrapper = surround_call(function, block)
    else:
        wrapper = surround_plain(function)
    # The kind is known at run time only, and the type system cannot follow.
    return cast("Callable[P, R]", wraps(function)(wrapper))


def surround_call(function: Function, block: Enter) -> Function:
    """Wrap a plain function."""

    def wrapper(*args: object, **kwargs: object) -> Any:
        with block():
            return function(*args, **kwargs)

    return wrapper


def surround_coroutine(function: Function, block: Enter) -> Function:
    """Wrap a coroutine function."""

    async def wrapper(*args: object, **kwargs: object) -> Any:
        with block():
            return await function(*args, **kwargs)

    return wrapper


def surround_generator(function: Function, block: Enter) -> Function:
    """Wrap a generator function."""

    def wrapper(*args: object, **kwargs: object) -> Generator[Any, Any, Any]:
        with block():
            return (yield from function(*args, **kwargs))

    return wrapper


def surround_async_generator(function: Function, block: Enter) -> Function:
    """Wrap an async generator function, for which there is no `yield from` (PEP 525)."""

    async def wrapper(*args: object, **kwargs: object) -> AsyncGenerator[Any, Any]:
        with block():
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


def time_call(function: Function, now: Callable[[], int], since: Callable[[int], None]) -> Function:
    """Wrap a plain function so that its calls are timed, without the cost of a context manager.

    Args:
        function: the function to wrap.
        now: returns the time, for `since`.
        since: records the duration since a time.
    """

    def wrapper(*args: object, **kwargs: object) -> Any:
        start = now()
        try:
            # `**kwargs` copies the dict, even an empty one.
            return function(*args, **kwargs) if kwargs else function(*args)
        finally:
            since(start)

    return wrapper
