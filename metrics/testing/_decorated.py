"""Decorated functions, generators and test classes, each call of which runs within a block."""

import inspect
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, aclosing
from functools import partial, wraps
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, Protocol, TypeAlias, TypeVar

from metrics.instruments._inner import surround_generator

Function: TypeAlias = Callable[..., Any]

F = TypeVar("F", bound=Function)

FUNCTIONS = (FunctionType, MethodType, BuiltinFunctionType, partial)


class Around(AbstractContextManager[Any], AbstractAsyncContextManager[Any], Protocol):
    """Block that is entered by `with` or by `async with`."""


def decorate(decorated: F, block: Callable[[], Around]) -> F:
    """Return a function that runs within a block of its own in each call, or a class of such tests.

    Raises:
        TypeError: it is neither a function nor a class.
    """
    if inspect.isclass(decorated):
        decorate_tests(decorated, block)
        return decorated
    if not isinstance(decorated, FUNCTIONS):
        raise TypeError(
            f"only functions and classes can be decorated, got {decorated!r}: put this below the "
            "decorators that return another object"
        )
    kinds = {
        inspect.isasyncgenfunction: async_generator,
        inspect.isgeneratorfunction: surround_generator,
        inspect.iscoroutinefunction: coroutine_function,
    }
    within = next((made for is_kind, made in kinds.items() if is_kind(decorated)), plain_function)
    return wraps(decorated)(within(decorated, block))  # type: ignore[return-value] # as decorated


def decorate_tests(tests: type, block: Callable[[], Around]) -> None:
    """Decorate the methods `test...` of a class, inherited ones too."""
    for name in (name for name in dir(tests) if name.startswith("test")):
        method = inspect.getattr_static(tests, name)
        if isinstance(method, staticmethod | classmethod):
            setattr(tests, name, type(method)(decorate(method.__func__, block)))
        elif inspect.isfunction(method):
            setattr(tests, name, decorate(method, block))


def async_generator(function: Function, block: Callable[[], Around]) -> Function:
    """Return an async generator function that runs within a block."""

    async def each(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        async with block(), aclosing(function(*args, **kwargs)) as values:
            step = anext(values)
            while True:
                try:
                    value = await step
                except StopAsyncIteration:
                    return
                try:
                    sent = yield value
                except GeneratorExit:
                    raise
                except BaseException as error:  # noqa: BLE001 - the function handles it
                    step = values.athrow(error)
                else:
                    step = values.asend(sent)

    return each


def coroutine_function(function: Function, block: Callable[[], Around]) -> Function:
    """Return a coroutine function that runs within a block."""

    async def awaited(*args: Any, **kwargs: Any) -> Any:
        async with block():
            return await function(*args, **kwargs)

    return awaited


def plain_function(function: Function, block: Callable[[], Around]) -> Function:
    """Return a function that runs within a block, and may not leave a coroutine for later."""

    def called(*args: Any, **kwargs: Any) -> Any:
        with block():
            result = function(*args, **kwargs)
            if inspect.iscoroutine(result):
                result.close()
                raise TypeError(
                    f"{function!r} is no `async def`, but returned a coroutine, which would run "
                    "after the end of the block: put this below what wraps the `async def`"
                )
            return result

    return called
