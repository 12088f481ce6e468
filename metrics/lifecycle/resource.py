"""The provider of a part that is started and stopped."""

import asyncio
import builtins
import pkgutil
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from dependency_injector import providers

from metrics.errors import LifecycleError
from metrics.lifecycle.blocking import Blocking, drive
from metrics.lifecycle.change import Way
from metrics.lifecycle.cooperative import Cooperative
from metrics.lifecycle.lifecycle import SHUTDOWN_TIMEOUT, bring_up, lifecycle_of
from metrics.lifecycle.order import name_of, needs_now
from metrics.lifecycle.outcome import Operation, perform
from metrics.lifecycle.part import Part, State
from metrics.lifecycle.plan import Step, plan

T = TypeVar("T")


class Resource(providers.Resource[T]):
    """Provides what a hook yields, from its container's start to its stop.

    `Resource(hook, *args, **kwargs)`: the hook is called with its arguments provided, once, when
    the container starts, and left when it stops. It may be

    - a generator function, sync or async: what follows its one `yield` always runs, to stop
    - a function that returns a context manager, sync or async, or the class of one: left with the
      exception that the program ends with, or with None
    - a function, sync or async, that returns a value, which takes no stopping

    Asked for before the container starts, the part is started then, and what it needs before it.
    Asked for while the container stops or afterwards, it raises `NotRunningError`. A part whose
    hook is async, or that needs such a part, gives something to await.

    A type checker knows what calling it returns. Safe to use from any thread.
    """

    part: Part

    if not TYPE_CHECKING:  # the overloads of the base class tell a type checker what this provides

        def __init__(self, provides=None, *args, **kwargs) -> None:
            self.part = Part("")
            super().__init__(provides, *args, **kwargs)

    @property
    def provides(self) -> Any:
        """The hook, as it was declared."""
        return self._hook

    def set_provides(self, provides: Any) -> Self:
        """Declare another hook; "package.module.name" is imported."""
        hook = provides
        if isinstance(provides, str):
            # dependency-injector takes a name without dots for a builtin's.
            hook = (
                pkgutil.resolve_name(provides) if "." in provides else getattr(builtins, provides)
            )
        super().set_provides(hook)
        self._hook = hook
        if self.part.lifecycle is None:
            self.part.name = name_of(self, {})
        return self

    @property
    def initialized(self) -> bool:
        """Whether the part is up, or has failed to stop."""
        return self.part.leave is not None

    def init(self) -> Any:
        """Start the part, even if it has been stopped; return what calling the provider returns."""
        lifecycle_of(self.part).revive([self.part])
        return self()

    def shutdown(self) -> Awaitable[None]:
        """Stop this part only. An async part is stopped when what this returns is awaited."""
        part = self.part
        lifecycle = lifecycle_of(part)
        return perform(
            Operation(
                "shutdown()",
                lambda way: lifecycle.stop(way, SHUTDOWN_TIMEOUT, parts=[part]),
                f"{part.name!r} is async" if part.in_loop and self.initialized else "",
            )
        )

    def __deepcopy__(self, memo: dict[Any, Any] | None) -> Self:
        if self.initialized:
            raise LifecycleError(
                f"{self.part.name!r} was started on its container's class, and cannot be copied "
                "into a container: ask a container for it, Container().name() and not "
                "Container.name(), or call its shutdown() first"
            )
        return cast("Self", super().__deepcopy__(memo))

    def _provide(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        part = self.part
        if part.asynchronous:
            self.enable_async_mode()
        if part.state is State.RUNNING:
            return part.value
        return self._demand(args, kwargs)

    def _demand(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Start what the part needs, and then the part."""
        part = self.part
        lifecycle = lifecycle_of(part)
        lifecycle.check(part)
        owner = lifecycle.owner()
        part_of = owner.part_of if owner else own_part
        steps = plan([self], needs_now, part_of, lambda _: False).steps
        if not steps[-1].asynchronous:
            return drive(start(steps, Blocking(), args, kwargs))
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            raise LifecycleError(
                f"{part.name!r} of {lifecycle.name} is async and not up: await init_resources(), "
                "or ask for the part in a coroutine and await it"
            ) from None
        return asyncio.ensure_future(start(steps, Cooperative(), args, kwargs))


async def start(
    steps: list[Step], way: Way, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> object:
    """Start parts and return the last one's value; its hook is given the arguments as well."""
    *needed, asked_for = steps
    for step in needed:
        await bring_up(step, way)
    await bring_up(asked_for, way, args, kwargs)
    return asked_for.part.value


def own_part(provider: providers.BaseResource[Any]) -> Part | None:
    """Return the part of a resource outside any container; a stock one is asked, not started."""
    return provider.part if isinstance(provider, Resource) else None
