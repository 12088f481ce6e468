"""What is called to start a part, and with what: its hook and the arguments, provided."""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from dependency_injector import providers


class Call(NamedTuple):
    """A hook and what it is called with."""

    hook: Callable[..., Any]
    args: list[Any]
    kwargs: dict[str, Any]

    def __call__(self) -> Any:
        """Call the hook."""
        return self.hook(*self.args, **self.kwargs)


def call_of(
    provider: providers.BaseResource[Any],
    args: tuple[Any, ...] = (),
    kwargs: dict[str, Any] | None = None,
    *,
    asynchronous: bool = False,
) -> Call:
    """Return what starts the part of a provider, all arguments provided.

    Args:
        provider: a resource, of this library or of dependency-injector.
        args: given to the hook after the declared ones.
        kwargs: given to the hook in place of the declared ones.
        asynchronous: whether the part is started in an event loop.
    """
    if not hasattr(provider, "part"):
        return Call(AsyncStock if asynchronous else Stock, [provider], {})
    given = kwargs or {}
    declared = {name: value for name, value in provider.kwargs.items() if name not in given}
    return Call(
        provider.provides,  # type: ignore[arg-type] # whatever it is, it was declared to be called
        [*map(injected, provider.args), *args],
        {**{name: injected(value) for name, value in declared.items()}, **given},
    )


async def awaited(call: Call) -> Call:
    """Return a call with the results of the awaitables among its arguments."""
    return Call(
        call.hook,
        [await ready(value) for value in call.args],
        {name: await ready(value) for name, value in call.kwargs.items()},
    )


def injected(declared: Any) -> Any:
    """Return what is injected for a declared argument."""
    if providers.is_provider(declared) and not providers.is_delegated(declared):
        return declared()
    return declared


async def ready(value: Any) -> Any:
    """Return a value, or the result of an awaitable."""
    return await value if inspect.isawaitable(value) else value


class Stock:
    """Starts and stops a resource of dependency-injector's own, which keeps its state itself."""

    def __init__(self, provider: providers.BaseResource[Any]) -> None:
        self._provider = provider

    def __enter__(self) -> Any:
        return self._provider.init()

    def __exit__(self, *_: object) -> None:
        self._provider.shutdown()


class AsyncStock:
    """As `Stock`, for a resource whose hook is asynchronous."""

    def __init__(self, provider: providers.BaseResource[Any]) -> None:
        self._provider = provider

    async def __aenter__(self) -> Any:
        return await ready(self._provider.init())

    async def __aexit__(self, *_: object) -> None:
        await ready(self._provider.shutdown())
