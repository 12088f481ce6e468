"""Dependents of providers across containers, and the running resources among them."""

from collections.abc import Collection, Iterable
from typing import Any, TypeAlias, cast

from dependency_injector import containers, providers

from metrics.lifecycle import Resource, State, state
from metrics.lifecycle._testing import (
    BORROWING,
    all_needs,
    borrowers,
    dependents,
    in_order,
    related,
)
from metrics.testing.overriding.layers import Needs, Provider

AnyContainer: TypeAlias = containers.DynamicContainer
AnyResource: TypeAlias = providers.BaseResource[Any]


def circle(container: AnyContainer) -> list[AnyContainer]:
    """Return the outermost container around one, and the containers that borrow from it."""
    found: dict[AnyContainer, None] = {}
    borrowing = borrowers()
    ahead: list[object] = [container]
    for inner in ahead:
        outer = outermost(inner)
        if not isinstance(outer, containers.DynamicContainer) or outer in found:
            continue
        found[outer] = None
        for provider, _ in in_order(outer.providers.values(), needs_in_time):
            ahead += borrowing.get(provider, ())
            # Containers without a lifecycle are known to the providers that they borrow. Only of
            # these types: the `parent` of a configuration is an option of that name.
            others = [b for b in provider.overrides if isinstance(b, BORROWING)]
            ahead += [getattr(borrower, "parent", None) for borrower in others]
    return list(found)


def outermost(container: object) -> object:
    """Return the container in which a container is embedded, directly or through others."""
    while (parent := getattr(container, "parent", None)) is not None:
        container = parent
    return container


def configured(needs: Needs) -> Needs:
    """Return needs by which an option needs its configuration, and not the other way round."""

    def needs_of(provider: Provider) -> Iterable[Provider]:
        if isinstance(provider, providers.Configuration):
            return provider.overridden
        if isinstance(provider, providers.ConfigurationOption):
            option = cast("Any", provider)
            return (*needs(provider), option._get_root())
        return needs(provider)

    return needs_of


present_needs = configured(all_needs)
"""Dependencies of a provider at present."""

needs_in_time = configured(related)
"""Dependencies of a provider at present, and those that it has again without its overrides."""


def holders(
    roots: Iterable[Provider], changed: Collection[Provider], needs: Needs
) -> list[Provider]:
    """Return the dependents of changed providers, each after its dependencies."""
    return [visit.provider for visit in dependents(roots, needs, set(changed).__contains__)]


def roots_of(among: Iterable[AnyContainer]) -> list[Provider]:
    """Return all providers of containers."""
    return [provider for container in among for provider in container.providers.values()]


def captors(
    among: Iterable[AnyContainer], changed: Collection[Provider], covered: Collection[Provider]
) -> list[AnyResource]:
    """Return the resources that run, or start or stop, and were given products of providers.

    Args:
        among: the containers of the resources.
        changed: providers whose present products count.
        covered: providers whose products count that they gave before they, or their dependents,
            were overridden.
    """
    roots = roots_of(among)
    # An override of a running resource was not given to it.
    found = [
        r for r in resources(holders(roots, changed, present_needs)) if r.last_overriding is None
    ]
    seen = {provider for provider, _ in in_order(roots, present_needs)}
    # A resource that was overridden while it ran has the dependencies that it was started with.
    hidden = resources(holders(roots, covered, needs_in_time))
    found += [r for r in hidden if r not in seen or r.last_overriding is not None]
    return [resource for resource in dict.fromkeys(found) if is_started(resource)]


def resources(among: Iterable[Provider]) -> list[AnyResource]:
    """Return the resources among providers."""
    return [provider for provider in among if isinstance(provider, providers.BaseResource)]


def is_started(resource: AnyResource) -> bool:
    """Return whether a resource has been started, or is being started."""
    return resource.initialized or is_in_transition(resource)


def is_in_transition(provider: Provider) -> bool:
    """Return whether a provider is a resource that is being started or stopped."""
    return isinstance(provider, Resource) and state(provider) in {State.STARTING, State.STOPPING}
