"""The provider of a part that is started and stopped."""

import asyncio
import builtins
import pkgutil
from collections.abc import Awaitable, Iterable
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from dependency_injector import providers

from metrics.errors import LifecycleError
from metrics.lifecycle.blocking import Blocking, drive
from metrics.lifecycle.change import Way, running_loop
from metrics.lifecycle.cooperative import Cooperative
from metrics.lifecycle.lifecycle import SHUTDOWN_TIMEOUT, bring_up, lifecycle_of
from metrics.lifecycle.order import (
    Declarations,
    Needs,
    Provider,
    branches_of,
    declared_needs,
    in_order,
    name_of,
    needs_now,
)
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
      exception that the program ends with, if any, as by `with`; one that `contextlib` makes of a
      generator needs `try` and `finally` around its `yield`
    - a function, sync or async, that returns a value, which takes no stopping

    Asked for before the container starts, the part is started then, and what it needs before it.
    Asked for while the container stops or afterwards, it raises `NotRunningError`. A part whose
    hook is async, or that needs such a part, gives something to await, as `async_()` says to a type
    checker.

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
        if hook is not None and not callable(hook):
            raise TypeError(f"Resource takes a function, or a class, as its hook; got {hook!r}")
        super().set_provides(hook)
        self._hook = hook
        if self.part.lifecycle is None:
            self.part.name = name_of(self, {})
        return self

    @property
    def initialized(self) -> bool:
        """Whether the part is up, or has failed to stop."""
        return self.part.leave is not None

    def override(self, provider: Any) -> "providers.OverridingContext[Any]":
        """Provide what another provider does, or a value; the container starts and stops it."""
        context: providers.OverridingContext[Any] = super().override(provider)
        lifecycle = self.part.lifecycle
        owner = lifecycle.owner() if lifecycle else None
        if owner is not None and self.last_overriding is not None:
            for needed, _ in in_order([self.last_overriding], declared_needs):
                if isinstance(needed, providers.BaseResource):
                    owner.part_of(needed)
        return context

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
        owner = self.part.lifecycle.owner() if self.part.lifecycle else None
        container = owner.container if owner else None
        copied_with_it = container is None or container.parent or id(container) in (memo or {})
        if not copied_with_it:
            return self  # lent by a container that lives on
        if self.initialized and container is not None:
            raise LifecycleError(
                f"{self.part.name!r} is up, and a container with parts that are up cannot be "
                "copied: stop it first"
            )
        if self.initialized:
            raise LifecycleError(
                f"{self.part.name!r} was started on its container's class: call its shutdown(), "
                f"and ask a container for it, Container().{self.part.name}() and not "
                f"Container.{self.part.name}()"
            )
        return cast("Self", super().__deepcopy__(memo))

    def _provide(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        part = self.part
        if part.asynchronous:
            self.enable_async_mode()
        if part.state is not State.RUNNING:
            return self._demand(args, kwargs)
        if part.asynchronous:
            self._check_loop()
        return part.value

    def _demand(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Start what the part needs, and then the part."""
        part = self.part
        lifecycle = lifecycle_of(part)
        lifecycle.check(part)
        owner = lifecycle.owner()
        part_of = owner.part_of if owner else own_part
        steps = plan([self], needs_on_demand(owner.container if owner else None), part_of)
        if not steps[-1].asynchronous:
            # An async part among them is only handed over, for later.
            steps = [step for step in steps if not step.asynchronous]
            return drive(start(steps, Blocking(), args, kwargs))
        self._check_loop()
        return asyncio.ensure_future(start(steps, Cooperative(), args, kwargs))

    def _check_loop(self) -> None:
        if running_loop() is None:
            raise LifecycleError(
                f"{self.part.name!r} of {lifecycle_of(self.part).name} is async: await "
                "init_resources(), or ask for it in a coroutine, and await what that gives"
            )


async def start(
    steps: list[Step], way: Way, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> object:
    """Start parts and return the last one's value; its hook is given the arguments as well."""
    *needed, asked_for = steps
    for step in needed:
        await bring_up(step, way)
        way.checkpoint()
    await bring_up(asked_for, way, args, kwargs)
    way.checkpoint()
    return asked_for.part.value


def needs_on_demand(container: Declarations | None) -> Needs:
    """Return what a provider needs, unless it is a part that is up.

    Of a container that is needed, branches that are not selected stay idle.
    """
    branches: list[set[Provider]] = []

    def needs(provider: Provider) -> Iterable[Provider]:
        if isinstance(provider, Resource) and provider.part.state is State.RUNNING:
            return () if provider.last_overriding is None else (provider.last_overriding,)
        if isinstance(provider, providers.Container) and container is not None:
            if not branches:
                branches.append(branches_of(container))
            return (needed for needed in provider.related if needed not in branches[0])
        return needs_now(provider)

    return needs


def own_part(provider: providers.BaseResource[Any]) -> Part | None:
    """Return the part of a resource outside any container; a stock one is asked, not started."""
    return provider.part if isinstance(provider, Resource) else None
