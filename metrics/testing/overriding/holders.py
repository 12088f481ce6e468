"""Who holds what a provider has provided: what needs it, directly or through others."""

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, TypeAlias, cast

from dependency_injector import containers, providers

from metrics.lifecycle.order import (
    Declarations,
    Needs,
    all_needs,
    in_order,
    name_of,
    names_of,
    related,
)
from metrics.lifecycle.part import State
from metrics.lifecycle.resource import Resource
from metrics.testing.overriding.layers import Provider

AnyContainer: TypeAlias = containers.DynamicContainer
AnyResource: TypeAlias = providers.BaseResource[Any]

BORROWING = (providers.Dependency, providers.DependenciesContainer)

CHANGING = (State.STARTING, State.STOPPING)


def circle(container: AnyContainer) -> list[AnyContainer]:
    """Return the container around all others, and the containers to which it has lent something."""
    found: dict[AnyContainer, None] = {}
    ahead: list[object] = [container]
    for inner in ahead:
        outer = outermost(inner)
        if not isinstance(outer, containers.DynamicContainer) or outer in found:
            continue
        found[outer] = None
        for provider, _ in in_order(outer.providers.values(), declared_or_put_on):
            # Not of anything: asked for its parent, a configuration gives an option of that name.
            borrowers = [b for b in provider.overrides if isinstance(b, BORROWING)]
            ahead += [getattr(borrower, "parent", None) for borrower in borrowers]
    return list(found)


def outermost(container: object) -> object:
    """Return what a container is embedded in at last."""
    while (parent := getattr(container, "parent", None)) is not None:
        container = parent
    return container


def configured(needs: Needs) -> Needs:
    """Return needs by which an option needs its configuration, and not the other way round."""

    def look(provider: Provider) -> Iterable[Provider]:
        if isinstance(provider, providers.Configuration):
            return provider.overridden
        if isinstance(provider, providers.ConfigurationOption):
            option = cast("Any", provider)
            return (*needs(provider), option._get_root())
        return needs(provider)

    return look


in_use = configured(all_needs)
"""What a provider needs at present."""

declared_or_put_on = configured(related)
"""What a provider needs at present, or needs again when what lies over something is gone."""


def holders(
    roots: Iterable[Provider], changed: Collection[Provider], needs: Needs
) -> Iterator[Provider]:
    """Yield what needs one of the changed providers, each after what it needs."""
    holding = set(changed)
    for provider, needed in in_order(roots, needs):
        if provider not in holding and any(need in holding for need in needed):
            holding.add(provider)
            yield provider


def roots_of(among: Iterable[AnyContainer]) -> list[Provider]:
    """Return all that is declared in containers."""
    return [provider for container in among for provider in container.providers.values()]


def captors(
    among: Iterable[AnyContainer], changed: Collection[Provider], covered: Collection[Provider]
) -> list[AnyResource]:
    """Return the resources that are up, or on their way, and were given what is changed.

    Args:
        among: the containers in which they may be.
        changed: what is changed as it is provided at present.
        covered: what was, before something else came to lie over it, or over who needs it.
    """
    roots = roots_of(among)
    # What lies over a part that is up was not given to it.
    found = [r for r in resources(holders(roots, changed, in_use)) if r.last_overriding is None]
    seen = {provider for provider, _ in in_order(roots, in_use)}
    # A part that something has come to lie over while it was up has what it was started with.
    hidden = resources(holders(roots, covered, declared_or_put_on))
    found += [r for r in hidden if r not in seen or r.last_overriding is not None]
    return [resource for resource in dict.fromkeys(found) if is_up(resource)]


def resources(among: Iterable[Provider]) -> list[AnyResource]:
    """Return those that are resources."""
    return [provider for provider in among if isinstance(provider, providers.BaseResource)]


def is_up(resource: AnyResource) -> bool:
    """Return whether a resource has been started, or is being started."""
    return resource.initialized or is_changing(resource)


def is_changing(provider: Provider) -> bool:
    """Return whether a provider is a part that is being started or stopped."""
    return isinstance(provider, Resource) and provider.part.state in CHANGING


def namer(among: Iterable[AnyContainer]) -> Callable[[Provider], str]:
    """Return what tells the name of a provider of containers."""
    names: dict[Provider, str] = {}
    for container in among:
        names = {**names_of(cast("Declarations", container)), **names}
    return lambda provider: name_of(provider, names)
