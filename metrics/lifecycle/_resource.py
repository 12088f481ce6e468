"""Provider of a resource that is started and stopped."""

import asyncio
import builtins
import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Awaitable, Iterable, Sequence
from math import inf
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from dependency_injector import containers, providers

from metrics.errors import LifecycleError
from metrics.lifecycle._async_driver import AsyncDriver
from metrics.lifecycle._awaitable import DONE, StopSome, perform
from metrics.lifecycle._graph import (
    AnyResource,
    Declarations,
    Needs,
    Provider,
    Step,
    branches_of,
    declared_needs,
    in_order,
    name_of,
    needs_now,
    plan,
    related,
)
from metrics.lifecycle._lifecycle import Lifecycle, lifecycle_of
from metrics.lifecycle._owner import Owner
from metrics.lifecycle._record import ResourceRecord
from metrics.lifecycle._starts import Driver, start_one
from metrics.lifecycle._sync_driver import SyncDriver, drive
from metrics.lifecycle._transition import State, running_loop

T = TypeVar("T")

HERE = str(Path(__file__).parent)
WIRING = "dependency_injector.wiring"


class Resource(providers.Resource[T]):
    """Provider of a hook's value, from its container's start to its stop.

    `Resource(hook, *args, **kwargs)`: the hook is called with its arguments provided, once, when
    the container starts, and exited when it stops. It may be

    - a generator function, sync or async: the code after its one `yield` always runs, to stop
    - a function that returns a context manager, sync or async, or the class of one: exited with the
      exception that ended the program, if that is an `Exception`
    - a function, sync or async, that returns a value, which takes no stopping

    Requested before the container starts, it is started then, after its dependencies. Stopped
    alone, by `shutdown()`, `Closing` or the stop of some resources, it is started again by the next
    request. Requested while the container stops or afterwards, it raises `NotRunningError`. A
    resource whose hook is async, or that depends on such a resource, gives an awaitable;
    `async_()` is typed accordingly.

    A hook is named by "package.module.name", ".module.name" relative to the calling module's
    package, or the name of a builtin or of the calling module.

    Safe to use from any thread.
    """

    record: ResourceRecord

    if not TYPE_CHECKING:  # type checkers read the product from the base class's overloads

        def __init__(self, provides=None, *args, **kwargs) -> None:
            self.record = ResourceRecord("")
            super().__init__(provides, *args, **kwargs)

    @property
    def provides(self) -> Any:
        """The hook, as it was declared."""
        return self._hook

    def set_provides(self, provides: Any) -> Self:
        """Declare another hook, by itself or by its name."""
        hook = import_hook(provides) if isinstance(provides, str) else provides
        if hook is not None and not callable(hook):
            raise TypeError(f"Resource takes a function, or a class, as its hook; got {hook!r}")
        super().set_provides(hook)
        self._hook = hook
        if self.record.keeper is None:
            self.record.name = name_of(self, {})
        return self

    @property
    def initialized(self) -> bool:
        """Whether the resource runs, or has failed to stop."""
        return self.record.finalizer is not None and self.record.state is not State.STARTING

    def override(self, provider: Any) -> "providers.OverridingContext[Any]":
        """Provide the product of another provider, or a value; the container owns both."""
        context: providers.OverridingContext[Any] = super().override(provider)
        owner = self._owner()
        if owner is not None and self.last_overriding is not None:
            for needed, _ in in_order([self.last_overriding], declared_needs):
                if isinstance(needed, providers.BaseResource):
                    owner.record_of(needed)
        return context

    def register_overrides(self, provider: Any) -> None:
        """Note that another provider gives this one's product.

        Unless it belongs to a lifecycle container: the note would keep that container alive as long
        as this resource, and a host's resource outlives the containers that borrow it.
        """
        if not hasattr(container_around(provider), "_ownership"):
            super().register_overrides(provider)

    def init(self) -> Any:
        """Start the resource, even if it was stopped; return the result of calling the provider.

        A forked process that starts some resources so needs no notice of the others in the log.
        """
        lifecycle = lifecycle_of(self.record)
        lifecycle.revive([self.record])
        lifecycle.fork_notice = ""
        return self()

    def shutdown(self) -> Awaitable[None]:
        """Stop this resource only. An async resource is stopped when the result is awaited.

        `Closing` of dependency-injector's wiring leaves a resource alone on which another running
        resource depends.
        """
        owner = self._owner()
        closing = sys._getframe(1).f_globals.get("__name__") == WIRING
        if closing and owner is not None and owner.in_use(self):
            return DONE
        record = self.record
        lifecycle = lifecycle_of(record)
        why = f"{record.name!r} is async" if record.in_loop and self.initialized else ""
        seconds = lifecycle.stop_seconds
        return perform(StopSome(lifecycle, (record,), seconds, None, why, "shutdown()"))

    @property
    def container(self) -> containers.DynamicContainer | None:
        """The container that owns the resource; None outside any, or when it was collected."""
        owner = self._owner()
        return owner.container if owner else None

    def _owner(self) -> Owner | None:
        keeper = self.record.keeper
        return keeper.owner() if isinstance(keeper, Lifecycle) else None

    def __deepcopy__(self, memo: dict[Any, Any] | None) -> Self:
        container = self.container
        copied_with_it = container is None or container.parent or id(container) in (memo or {})
        if not copied_with_it:
            return self  # borrowed from a container that lives on
        if self.initialized and container is not None:
            raise LifecycleError(
                f"{self.record.name!r} is running, and a container with running resources cannot "
                "be copied: stop it first"
            )
        if self.initialized:
            raise LifecycleError(
                f"{self.record.name!r} was started on its container's class: call its shutdown(), "
                f"and request it of a container, Container().{self.record.name}() and not "
                f"Container.{self.record.name}()"
            )
        return cast("Self", super().__deepcopy__(memo))

    def _provide(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        record = self.record
        if record.asynchronous:
            self.enable_async_mode()
        if not record.running or record.inherited:
            return self._request(args, kwargs)
        if record.asynchronous:
            self._check_loop()
        return record.value

    def _request(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Start the dependencies of the resource, and then the resource."""
        record = self.record
        lifecycle = lifecycle_of(record)
        record.inherited = False
        lifecycle.log_fork_notice()
        lifecycle.check(record)
        owner = lifecycle.owner()
        record_of = owner.record_of if owner else own_record
        steps = plan([self], needs_on_demand(owner.container if owner else None), record_of)
        if not steps[-1].asynchronous:
            # An async resource among them is only handed over, for later.
            steps = [step for step in steps if not step.asynchronous]
            return request_here(steps, lifecycle.name, args, kwargs)
        self._check_loop()
        return asyncio.ensure_future(request_in_loop(steps, lifecycle.name, args, kwargs))

    def _check_loop(self) -> None:
        if running_loop() is None:
            raise LifecycleError(
                f"{self.record.name!r} of {lifecycle_of(self.record).name} is async: await "
                "init_resources(), or request it in a coroutine, and await the result"
            )


def request_here(
    steps: list[Step], container: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> object:
    """Start resources on demand in the calling thread; return the value of the last one."""
    driver = SyncDriver(container)
    try:
        coroutine = driver.root = request(steps, driver, args, kwargs)
        return drive(coroutine)
    finally:
        if driver.watch is not None:
            driver.watch.end()


async def request_in_loop(
    steps: list[Step], container: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> object:
    """Start resources on demand in the event loop; return the value of the last one."""
    driver = AsyncDriver(container)
    coroutine = driver.root = request(steps, driver, args, kwargs)
    return await coroutine


async def request(
    steps: Sequence[Step], driver: Driver, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> object:
    """Start resources on demand; return the value of the last one.

    Args:
        steps: the requested resource, after its dependencies.
        driver: calls the hooks.
        args: given to the hook of the requested resource after the declared ones.
        kwargs: given to it in place of the declared ones.
    """
    *needed, requested = steps
    for step in steps:
        lifecycle_of(step.record)
    try:
        for step in needed:
            driver.checkpoint()
            await start_one(step, driver)
        driver.checkpoint()
        await start_one(requested, driver, None, inf, args, kwargs)
        driver.checkpoint()
    except BaseException:
        for step in reversed(steps):
            record = step.record
            if record.state is State.FAILED and record.finalizer is not None:
                # The interruption came after its hook was entered.
                lifecycle = lifecycle_of(record)
                await lifecycle.stop_some([record], driver, lifecycle.stop_seconds)
        raise
    return requested.record.value


def needs_on_demand(container: Declarations | None) -> Needs:
    """Return the dependencies of a provider, none for a resource that runs.

    Of a container, branches that are not selected stay idle.
    """
    branches: list[set[Provider]] = []

    def needs(provider: Provider) -> Iterable[Provider]:
        if isinstance(provider, Resource) and provider.record.running:
            return () if provider.last_overriding is None else (provider.last_overriding,)
        if isinstance(provider, providers.Container) and container is not None:
            if not branches:
                branches.append(branches_of(container))
            return (needed for needed in related(provider) if needed not in branches[0])
        return needs_now(provider)

    return needs


def own_record(provider: AnyResource) -> ResourceRecord | None:
    """Return the record of a resource outside any container; a stock one is only requested."""
    return provider.record if isinstance(provider, Resource) else None


def import_hook(name: str) -> Any:
    """Return the hook with a dotted name, relative to the module that declares the resource.

    Raises:
        AttributeError, ImportError: there is no such hook.
    """
    if "." not in name and hasattr(builtins, name):
        return getattr(builtins, name)
    module = declaring_module(sys._getframe(1))
    if "." not in name:
        if not hasattr(module, name):
            raise AttributeError(
                f"no hook {name!r} among the builtins or in module {module.__name__!r}"
            )
        return getattr(module, name)
    package = getattr(module, "__package__", None)
    if name.startswith(".") and not package:
        raise ImportError(f"hook {name!r} is relative, and its module belongs to no package")
    full_name = importlib.util.resolve_name(name, package)
    module_name, _, member = full_name.rpartition(".")
    try:
        return getattr(importlib.import_module(module_name), member)
    except ModuleNotFoundError:
        try:
            return pkgutil.resolve_name(full_name)  # a member of a class
        except (AttributeError, ModuleNotFoundError) as error:
            raise ImportError(f"there is no hook {name!r}: {error}") from error


def container_around(provider: Any) -> object:
    """Return the container in which a provider was declared, however deep; None if in none."""
    while isinstance(provider, providers.Provider):
        provider = getattr(provider, "parent", None)
    return provider


def declaring_module(frame: FrameType | None) -> Any:
    """Return the module of the first frame that is not this package's."""
    while frame is not None and frame.f_code.co_filename.startswith(HERE):
        frame = frame.f_back
    return sys.modules.get(frame.f_globals.get("__name__", "")) if frame is not None else None
