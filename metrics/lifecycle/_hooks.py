"""Hooks of resources: the kinds there are, their arguments, and how each is entered and exited.

A resource is declared with a hook. Called, it returns one of these:

- a generator, sync or async: runs to its `yield`, which gives the value; to stop, the rest runs
- a context manager, sync or async: entered, and exited with the exception that ended the program
- a coroutine: awaited; a context manager that it returns is entered
- any other object: the value itself; there is nothing to stop

A hook that was entered is a suspended generator, this package's own where the program's is none:
whether it has to be exited can be seen from it at any time, however its start was interrupted. The
generator of a function that `contextlib` decorates is the program's own. One around `__enter__`
would end, and the resource run on, if an interruption came between the program's `yield` and the
end of that method.
"""

import functools
import inspect
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Collection, Generator
from concurrent.futures import Future
from contextlib import _GeneratorContextManager
from contextvars import copy_context
from math import inf
from types import CodeType, GeneratorType
from typing import Any, NamedTuple, NoReturn, TypeVar, final

from dependency_injector import providers

from metrics._fork import registering
from metrics.deadline import LIMIT, Deadline
from metrics.lifecycle._transition import INSIDE, Transition, wait_blocking, wait_done

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

NO_YIELD = "the hook ended without a yield; it has to yield the resource, once"
TWO_YIELDS = "the hook yielded twice; it has to yield the resource, once"

HOOK_CALLERS: set[CodeType] = set()
"""Code that calls the program's code: there a signal may be raised, and nothing is lost."""


WAITS: set[CodeType] = {wait_done.__code__, wait_blocking.__code__}
"""Code that waits for its caller, which decides whether a signal may be raised in it."""


def calls_hooks(function: F) -> F:
    """Decorate a function that calls the program's code."""
    HOOK_CALLERS.add(inspect.unwrap(function).__code__)
    return function


class Call(NamedTuple):
    """A hook and the arguments that it is called with."""

    hook: Callable[..., Any]
    args: list[Any]
    kwargs: dict[str, Any]

    @calls_hooks
    def make(self) -> Any:
        """Call the hook; return the result."""
        return self.hook(*self.args, **self.kwargs)


class Scope(NamedTuple):
    """Circumstances in which a hook is entered or exited, as the program's code can read them."""

    transitions: tuple[Transition, ...]
    """Transitions that the hook runs in."""
    ends: float
    """End of the hook's time, on `SYSTEM_CLOCK`."""
    waiting: Collection[int] = ()
    """Identifiers of the threads that wait for the transition."""
    owner: object = None
    """Owner of the names that the hook registers."""

    def run(self, function: Callable[..., T], *args: Any) -> T:
        """Call a function in these circumstances."""
        with self.active():
            return function(*args)

    def active(self) -> "ActiveScope":
        """Return a context manager: its block runs in these circumstances."""
        return ActiveScope(self)


@final
class ActiveScope:
    """Context manager that sets the context variables of a scope.

    A class, because `contextlib` sets attributes of the exceptions that pass, which some refuse.
    """

    __slots__ = ("_inside", "_limit", "_owner", "_scope")

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def __enter__(self) -> None:
        scope = self._scope
        self._owner = registering.set(scope.owner)
        self._inside = INSIDE.set(scope.transitions)
        self._limit = LIMIT.set(Deadline(scope.ends, scope.waiting))

    def __exit__(self, *_: object) -> None:
        LIMIT.reset(self._limit)
        INSIDE.reset(self._inside)
        registering.reset(self._owner)


@final
class SyncHook:
    """A sync hook, entered and exited in one context, in any thread.

    Args:
        call: calls the hook.
    """

    __slots__ = ("_call", "_context", "_exit_failed", "_generator", "_late", "_manager")

    in_loop = False

    def __init__(self, call: Call) -> None:
        self._call = call
        self._context = copy_context()
        self._generator: Any = None
        # The context manager that the generator holds, unless the generator is the hook's own.
        self._manager: Any = None
        # Whether the exit of the context manager raised, and so can be called again.
        self._exit_failed = False
        # The exit that was abandoned because it hangs, and its thread.
        self._late: tuple[Future[BaseException | None], threading.Thread] | None = None

    @classmethod
    def already_entered(cls, manager: Any) -> "SyncHook":
        """Return the hook of a context manager that was entered elsewhere."""
        hook = cls(Call(lambda: manager, [], {}))
        hook._manager = manager
        hook._exit_failed = True
        return hook

    @property
    def entered(self) -> bool:
        """Whether the hook was entered and not exited since."""
        generator = self._generator
        return generator is not None and bool(generator.gi_suspended)

    def forked(self) -> object:
        """Stay entered in a forked process: a sync hook has no task."""
        return None

    def call(self, scope: Scope) -> Any:
        """Return the result of the hook's call, which `enter` takes."""
        # It stays: tasks of the hook inherit it with this context.
        self._context.run(registering.set, scope.owner)
        return self._run(scope, self._call.make)

    def enter(self, made: Any, scope: Scope) -> object:
        """Enter the result of the hook's call; return the value of the resource.

        Raises:
            RuntimeError: a generator does not yield.
        """
        if isinstance(made, GeneratorType):
            self._generator = made
        elif isinstance(made, Generator):
            self._generator = hold_generator(made)
        elif hasattr(made, "__enter__") and hasattr(made, "__exit__"):
            self._manager = made
            self._generator = generator_of(made)
        else:
            return made
        try:
            return self._run(scope, begin, self._generator)
        except StopIteration:
            raise RuntimeError(NO_YIELD) from None

    def _run(self, scope: Scope, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function in the context, which was copied inside the transitions of the start."""
        if scope.ends == inf:
            return self._context.run(function, *args)
        return self._context.run(scope.run, function, *args)

    def exit(self, error: Exception | None, scope: Scope) -> None:
        """Exit the hook; `error` is for context managers alone.

        An exit that was abandoned is waited for, and its error raised once. A context manager
        whose exit raised is exited again by the next call.
        """
        if self._late is not None:
            call, thread = self._late
            # A thread that begins after its exit was abandoned would wait for itself.
            if thread is not threading.current_thread():
                late = call.result()
                self._late = None
                if late is not None:
                    self._exit_failed = True
                    raise late
                return
        generator = self._generator
        try:
            if generator is not None and generator.gi_suspended:
                finish = resume if self._manager is None else release
                self._context.run(scope.run, finish, generator, error)
            elif self._exit_failed and self._manager is not None:
                self._context.run(scope.run, exit_again, self._manager, error)
        except BaseException:
            self._exit_failed = True
            raise
        self._exit_failed = False

    def abandon(self, call: Future[BaseException | None], thread: threading.Thread) -> None:
        """Leave the exit that hangs to its thread; the next `exit` of another one waits for it."""
        self._late = call, thread


def generator_of(manager: Any) -> Generator[object, None, object]:
    """Return a generator that holds a context manager entered while it is suspended."""
    if type(manager) is _GeneratorContextManager and type(manager.gen) is GeneratorType:
        return manager.gen
    return hold(manager)


@calls_hooks
def hold(manager: Any) -> Generator[object, None, None]:
    """Hold a context manager entered until the generator goes on."""
    with manager as value:
        yield value


@calls_hooks
def hold_generator(made: Generator[object, None, object]) -> Generator[object, None, None]:
    """Hold a generator of another implementation at its `yield`."""
    try:
        yield next(made)
    finally:
        resume(made)


@calls_hooks
def begin(generator: Generator[object, None, object]) -> object:
    """Run a generator to its first `yield`; return the value."""
    return next(generator)


@calls_hooks
def resume(generator: Generator[object, None, object], _error: Exception | None = None) -> None:
    """Run the rest of a generator, also if an exception ended the program."""
    for _again in generator:
        refuse_second_yield(generator)


def refuse_second_yield(generator: Generator[object, None, object]) -> NoReturn:
    """Close a generator that has yielded twice, and raise RuntimeError."""
    generator.close()
    raise RuntimeError(TWO_YIELDS)


@calls_hooks
def release(holding: Generator[object, None, object], error: Exception | None) -> None:
    """Exit the context manager that a generator holds."""
    try:
        if error is None:
            resume(holding)
        else:
            holding.throw(error)
            refuse_second_yield(holding)
    except StopIteration:
        return
    except RuntimeError as raised:
        failure = exit_error(raised)
        if failure is not error:
            raise failure from None
    except BaseException as raised:
        if raised is not error:
            raise


def exit_error(raised: RuntimeError) -> BaseException:
    """Return the error of a context manager's exit: a generator turns StopIteration into another.

    PEP 479.
    """
    cause = raised.__cause__
    return cause if isinstance(cause, StopIteration | StopAsyncIteration) else raised


@calls_hooks
def exit_again(manager: Any, error: Exception | None) -> None:
    """Exit a context manager whose exit has raised before."""
    manager.__exit__(*exit_info(error))


def exit_info(error: Exception | None) -> tuple[Any, Any, Any]:
    """Return the arguments of `__exit__` for an exception."""
    return (None, None, None) if error is None else (type(error), error, error.__traceback__)


@final
class StockHook:
    """Context manager around one of dependency-injector's own resources, which keeps its state."""

    def __init__(self, provider: providers.BaseResource[Any]) -> None:
        self._provider = provider

    def __enter__(self) -> Any:
        return self._provider.init()

    def __exit__(self, *_: object) -> None:
        self._provider.shutdown()


@final
class AsyncStockHook:
    """Async counterpart of `StockHook`, for a resource whose hook is async."""

    def __init__(self, provider: providers.BaseResource[Any]) -> None:
        self._provider = provider

    async def __aenter__(self) -> Any:
        return await ready(self._provider.init())

    async def __aexit__(self, *_: object) -> None:
        await ready(self._provider.shutdown())


def is_async_hook(hook: object) -> bool:
    """Return whether the result of `hook` needs an event loop, as far as its signature shows."""
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
    """Return whether the result of a hook needs an event loop."""
    if hasattr(made, "__enter__"):
        return False
    return (
        hasattr(made, "__aenter__")
        or isinstance(made, AsyncGenerator)
        or (inspect.isawaitable(made) and not inspect.isclass(made))
    )


def hook_name(hook: object) -> str:
    """Return the dotted name of a hook, as a program imports it."""
    while isinstance(hook, functools.partial):
        hook = hook.func
    module = getattr(hook, "__module__", None)
    name = getattr(hook, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str):
        return type(hook).__name__
    packages = module.split(".")
    for length in range(1, len(packages)):
        package = ".".join(packages[:length])
        if getattr(sys.modules.get(package), name, None) is hook:
            return f"{package}.{name}"
    return name if module == "builtins" else f"{module}.{name}"


def call_of(
    provider: providers.BaseResource[Any],
    args: tuple[Any, ...] = (),
    kwargs: dict[str, Any] | None = None,
    *,
    asynchronous: bool = False,
) -> Call:
    """Return the call that starts the resource of a provider, all arguments provided.

    Args:
        provider: a resource, of this library or of dependency-injector.
        args: given to the hook after the declared ones.
        kwargs: given to the hook in place of the declared ones.
        asynchronous: whether the resource is started in an event loop.
    """
    if not hasattr(provider, "record"):
        return Call(AsyncStockHook if asynchronous else StockHook, [provider], {})
    given = kwargs or {}
    declared = {name: value for name, value in provider.kwargs.items() if name not in given}
    return Call(
        provider.provides,  # type: ignore[arg-type] # callable, as `set_provides` has checked
        [*map(injected_value, provider.args), *args],
        {**{name: injected_value(value) for name, value in declared.items()}, **given},
    )


async def await_arguments(call: Call) -> Call:
    """Return a call with the results of the awaitables among its arguments."""
    return Call(
        call.hook,
        [await ready(value) for value in call.args],
        {name: await ready(value) for name, value in call.kwargs.items()},
    )


@calls_hooks
def injected_value(declared: Any) -> Any:
    """Return the value that is injected for a declared argument."""
    if providers.is_provider(declared) and not providers.is_delegated(declared):
        return declared()
    return declared


async def ready(value: Any) -> Any:
    """Return a value, or the result of an awaitable."""
    return await value if inspect.isawaitable(value) else value
