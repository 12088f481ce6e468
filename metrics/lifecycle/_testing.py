"""Face of the lifecycle for `metrics.testing`, which imports no other private module of it.

The graph of dependencies, temporary ownership of resources that stand in for others, stops of
chosen resources, and the resources in use, for the leak check.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Iterator, Mapping
from functools import partial
from inspect import isawaitable, iscoroutine
from typing import Any, NamedTuple, TypeAlias, TypeGuard, cast

from dependency_injector import containers, providers

from metrics.lifecycle._async_hook import AsyncHook
from metrics.lifecycle._awaitable import DONE, Awaited, StopSome, perform
from metrics.lifecycle._container import LifecycleInstance, instance_of
from metrics.lifecycle._graph import (
    HANDED_OVER,
    AnyResource,
    Declarations,
    Provider,
    all_needs,
    declared_needs,
    dependents,
    in_order,
    is_delegated,
    is_singleton,
    name_of,
    names_of,
    related,
    reset_singleton,
)
from metrics.lifecycle._hooks import is_async_hook
from metrics.lifecycle._lifecycle import Lifecycle, lifecycles
from metrics.lifecycle._ownership import Ownership
from metrics.lifecycle._record import ResourceRecord
from metrics.lifecycle._resource import Resource
from metrics.lifecycle._sync_driver import drive
from metrics.lifecycle._transition import State

__all__ = [
    "BORROWING",
    "LifecycleInstance",
    "all_needs",
    "borrowers",
    "container_of",
    "dependents",
    "disown",
    "drive",
    "in_order",
    "in_transition",
    "instance_of",
    "is_singleton",
    "namer",
    "needs_loop",
    "own_temporarily",
    "related",
    "requested_needs",
    "reset_singleton",
    "resources_in_use",
    "resources_to_stop",
    "stock_resources",
    "stops",
    "use_of",
]

AnyContainer: TypeAlias = containers.DynamicContainer

BORROWING = (providers.Dependency, providers.DependenciesContainer)

NEVER_STARTED = (0, 0)
"""Sequence of a resource that was never started."""


def requested_needs(provider: Provider) -> Iterable[Provider]:
    """Return the dependencies that a request of a provider requests."""
    if isinstance(provider, HANDED_OVER):
        return ()
    return (needed for needed in all_needs(provider) if not is_delegated(needed))


def namer(among: Iterable[AnyContainer]) -> Callable[[Provider], str]:
    """Return a function that returns the dotted name of a provider of some containers."""
    names: dict[Provider, str] = {}
    for container in among:
        names = {**names_of(cast("Declarations", container)), **names}
    return lambda provider: name_of(provider, names)


def borrowers() -> dict[Provider, list[AnyContainer]]:
    """Return the containers in the process that borrow providers, by borrowed provider.

    A provider does not refer to its borrowers, which it would keep alive.
    """
    found: dict[Provider, list[AnyContainer]] = defaultdict(list)
    for lifecycle in lifecycles():
        container = container_of(lifecycle)
        # Other threads may be creating containers at the moment.
        ahead = [] if container is None else list(container.providers.values())
        for provider in ahead:
            if isinstance(provider, providers.DependenciesContainer):
                ahead += provider.providers.values()
            if container is not None and isinstance(provider, BORROWING):
                for borrowed in provider.overridden:
                    found[borrowed].append(container)
    return found


def in_transition(among: Iterable[AnyContainer]) -> Iterator[str]:
    """Yield the containers that are being started or stopped, such as "Container is STARTING"."""
    for container in lifecycle_instances(among):
        lifecycle = container._ownership.lifecycle
        if lifecycle.state in {State.STARTING, State.STOPPING}:
            yield f"{lifecycle.name} is {lifecycle.state}"


def own_temporarily(
    owner: LifecycleInstance, given: Mapping[str, Provider], declared: Collection[Provider]
) -> None:
    """Have a container start and stop the resources of providers, until `disown`.

    Resources that run, that another container owns or that are declared there stay as they are.

    Args:
        owner: the container.
        given: the providers, by the names that they get in it.
        declared: the providers of the container that is going to use the given ones.
    """
    reached = [
        provider
        for provider, _ in in_order(given.values(), declared_needs)
        if isinstance(provider, providers.BaseResource)
    ]
    others = [r for r in reached if r in declared or r.initialized or is_owned(r)]
    before = [(r.record, r.record.keeper, r.record.name) for r in others if isinstance(r, Resource)]
    for name, provider in given.items():
        owner.set_provider(name, provider)
    # The other resources were adopted with the providers that depend on them.
    ownership = owner._ownership
    for resource in others:
        release(ownership, resource)
    for record, keeper, name in before:
        record.keeper, record.name = keeper, name


def disown(owner: LifecycleInstance, borrowers: Iterable[AnyContainer]) -> None:
    """Give back the resources of `own_temporarily`, except resources that failed to stop.

    Args:
        owner: the container, which has stopped.
        borrowers: the containers that used the resources.
    """
    ownership = owner._ownership
    for record in list(ownership.lifecycle.records):
        if record.finalizer is not None:
            continue
        record.keeper = None
        if record.sequence == NEVER_STARTED:
            record.revive()
    for borrower in lifecycle_instances(borrowers):
        for resource in ownership.stock:
            release(borrower._ownership, resource)
    ownership.reopen_stock()


def resources_to_stop(container: AnyContainer) -> list[ResourceRecord]:
    """Return the resources of a container that run or failed to stop."""
    return [
        record
        for instance in lifecycle_instances([container])
        for record in instance._ownership.owned(providers.BaseResource)
        if record.finalizer is not None
    ]


def stops(
    resources: Iterable[AnyResource],
    records: Iterable[ResourceRecord],
    among: Collection[AnyContainer],
    seconds: float | None,
    error: BaseException | None,
) -> list[Callable[[], Awaitable[None]]]:
    """Return functions that stop resources, one for each container that owns some.

    Args:
        resources: resources that run.
        records: further ones.
        among: the containers that may own dependency-injector's own resources among them.
        seconds: the time limit of each; None for no limit.
        error: the exception that ends the program, for context managers.
    """
    stock: dict[AnyResource, ResourceRecord] = {}
    for container in lifecycle_instances(among):
        container._ownership.find_started()
        stock.update(container._ownership.stock)
    chosen: dict[Lifecycle, dict[ResourceRecord, None]] = defaultdict(dict)
    found: list[Callable[[], Awaitable[None]]] = []
    for resource in resources:
        record = resource.record if isinstance(resource, Resource) else stock.get(resource)
        if record is not None and isinstance(record.keeper, Lifecycle):
            chosen[record.keeper][record] = None
        else:
            found.append(partial(stop_stock, resource))
    for record in records:
        if isinstance(record.keeper, Lifecycle):
            chosen[record.keeper][record] = None
    found += [partial(stop, *each, seconds, error) for each in chosen.items()]
    return found


def needs_loop(transition: Awaitable[None]) -> TypeGuard[Coroutine[Any, Any, None]]:
    """Return whether a start or stop is only made when it is awaited in an event loop."""
    return isinstance(transition, Awaited) or iscoroutine(transition)


class InUse(NamedTuple):
    """Resources of one container that have been started and not stopped.

    A resource that failed to stop is not among them: that was reported, and its hook, if it hangs,
    is a thread or a task.
    """

    lifecycle: Lifecycle
    """Their lifecycle, which identifies the container even when it was collected."""
    name: str
    state: State
    """State of the container."""
    resources: dict[str, State]
    """States of the resources by name, in the order of their start."""
    tasks: tuple[asyncio.Task[None], ...]
    """Tasks that the async ones among them live in."""
    alone: bool
    """Whether it is a single resource outside any container."""


def resources_in_use() -> Iterator[InUse]:
    """Yield the resources in use of every container in the process that has any."""
    for lifecycle in lifecycles():
        use = use_of(lifecycle)
        if use.resources:
            yield use


def use_of(lifecycle: Lifecycle) -> InUse:
    """Return the resources of a lifecycle that are in use."""
    states = {record: record.state for record in list(lifecycle.started)}
    started = sorted(
        (record for record, state in states.items() if state is not State.FAILED),
        key=lambda record: record.sequence,
    )
    hooks = [r.finalizer for r in started if isinstance(r.finalizer, AsyncHook)]
    return InUse(
        lifecycle,
        lifecycle.name,
        lifecycle.state,
        {record.name: states[record] for record in started},
        tuple(hook._task for hook in hooks if hook._task is not None),
        [record.name for record in list(lifecycle.records)] == [lifecycle.name],
    )


def container_of(lifecycle: Lifecycle) -> AnyContainer | None:
    """Return the container of a lifecycle; None if it was collected, or there is none."""
    owner = lifecycle.owner()
    return None if owner is None else owner.container


def stock_resources(container: AnyContainer) -> list[AnyResource] | None:
    """Return dependency-injector's own resources of a container; None if it has no lifecycle."""
    instance = next(lifecycle_instances([container]), None)
    return None if instance is None else list(instance._ownership.stock)


def lifecycle_instances(among: Iterable[AnyContainer]) -> Iterator[LifecycleInstance]:
    """Yield the containers that have a lifecycle."""
    return (each for each in among if isinstance(each, LifecycleInstance))


def is_owned(resource: AnyResource) -> bool:
    """Return whether a container that was not collected owns a resource."""
    keeper = resource.record.keeper if isinstance(resource, Resource) else None
    return isinstance(keeper, Lifecycle) and keeper.owner() is not None


def release(ownership: Ownership, resource: AnyResource) -> None:
    """Take a resource out of a container, which may not own it."""
    record = ownership.known(resource)
    ownership.stock.pop(resource, None)
    if record is not None:
        ownership.lifecycle.records.pop(record, None)
        ownership.lifecycle.started.pop(record, None)
        ownership._own.pop(record, None)


def stop(
    lifecycle: Lifecycle,
    records: Iterable[ResourceRecord],
    seconds: float | None,
    error: BaseException | None,
) -> Awaitable[None]:
    """Stop some resources of a container, which can be requested again."""
    chosen = tuple(records)
    why = lifecycle.why_awaited([record for record in chosen if record.in_loop])
    return perform(StopSome(lifecycle, chosen, seconds, error, why, "shutdown()"))


def stop_stock(resource: AnyResource) -> Awaitable[None]:
    """Stop a resource of dependency-injector's own that no container with a lifecycle has."""
    if resource.is_async_mode_enabled() or is_async_hook(resource.provides):
        return stop_in_loop(resource)
    resource.shutdown()
    return DONE


async def stop_in_loop(resource: AnyResource) -> None:
    """Stop an async resource of dependency-injector's own in the running event loop."""
    stopping: Any = resource.shutdown()
    if isawaitable(stopping):
        await stopping
