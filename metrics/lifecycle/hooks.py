"""The kinds of hooks there are, and how each is entered and left.

A hook is what a part is declared with. Called, it gives one of these:

- a generator, sync or async: runs to its `yield`, which gives the value; the rest, always, to stop
- a context manager, sync or async: entered, and left with the exception that the program ends with
- a coroutine: awaited; a context manager that it returns is entered
- anything else: the value itself; there is nothing to stop
"""

import functools
import inspect
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any

from dependency_injector import providers

from metrics.lifecycle.part import Leave

NO_YIELD = "the hook ended without a yield; it has to yield the part, once"
TWO_YIELDS = "the hook yielded twice; it has to yield the part, once"


def is_async_hook(hook: object) -> bool:
    """Return whether what `hook` gives needs an event loop, as far as that can be seen."""
    while isinstance(hook, functools.partial):
        hook = hook.func
    if not callable(hook) or providers.is_provider(hook):
        return False
    if inspect.isclass(hook):
        return is_async(hook)
    return any(
        inspect.iscoroutinefunction(code) or inspect.isasyncgenfunction(code)
        for code in (inspect.unwrap(hook), type(hook).__call__)
    )


def is_async(made: object) -> bool:
    """Return whether what a hook gave needs an event loop."""
    if hasattr(made, "__enter__"):
        return False
    return (
        hasattr(made, "__aenter__")
        or isinstance(made, AsyncGenerator)
        or (inspect.isawaitable(made) and not inspect.isclass(made))
    )


def entered(made: Any) -> tuple[object, Leave]:
    """Enter what a hook gave; return the part's value and what stops it.

    Raises:
        RuntimeError: a generator does not yield.
    """
    if isinstance(made, Generator):
        try:
            return next(made), functools.partial(resume, made)
        except StopIteration:
            raise RuntimeError(NO_YIELD) from None
    if hasattr(made, "__enter__") and hasattr(made, "__exit__"):
        return made.__enter__(), made.__exit__
    return made, leave_alone


async def async_entered(made: Any) -> tuple[object, Leave]:
    """Enter what a hook gave, in the running event loop; what stops it may have to be awaited.

    Raises:
        RuntimeError: a generator does not yield.
    """
    if inspect.isawaitable(made):
        made = await made
        # Some classes are both kinds of context manager; this one came out of a coroutine.
        if hasattr(made, "__aenter__"):
            return await Unattended(made.__aenter__), made.__aexit__
    if isinstance(made, AsyncGenerator):
        begin = functools.partial(anext, made)
        try:
            return await Unattended(begin), functools.partial(async_resume, made)
        except StopAsyncIteration:
            raise RuntimeError(NO_YIELD) from None
    if is_async(made):
        return await Unattended(made.__aenter__), made.__aexit__
    return entered(made)


def resume(generator: Generator[object, None, object], *_: object) -> None:
    """Run the rest of a generator, whatever the program ends with."""
    for _again in generator:
        generator.close()
        raise RuntimeError(TWO_YIELDS)


async def async_resume(generator: AsyncGenerator[object, None], *_: object) -> None:
    """Run the rest of an async generator, whatever the program ends with."""
    async for _again in generator:
        await generator.aclose()
        raise RuntimeError(TWO_YIELDS)


def leave_alone(*_: object) -> None:
    """Stop a plain value, which takes nothing."""


class Unattended:
    """Awaits something whose first step does not tell the event loop of its async generators.

    A loop closes the generators it knows of when it ends, which skips what follows their `yield`.
    """

    def __init__(self, begin: Callable[[], Any]) -> None:
        self._begin = begin

    def __await__(self) -> Generator[Any, Any, Any]:
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(None, None)
        try:
            steps = self._begin().__await__()
            waits_for = next(steps)
        except StopIteration as done:
            return done.value
        finally:
            sys.set_asyncgen_hooks(*hooks)
        while True:
            try:
                sent = yield waits_for
            except BaseException as error:  # noqa: BLE001 - what awaits has to handle it
                resume = functools.partial(steps.throw, error)
            else:
                resume = functools.partial(steps.send, sent)
            try:
                waits_for = resume()
            except StopIteration as done:
                return done.value
