"""Dependents of providers across containers, and the running resources among them."""

from collections.abc import Collection, Iterator
from typing import Any, TypeAlias, final

from dependency_injector import containers, providers

from metrics.lifecycle import Resource, State, state
from metrics.lifecycle._testing import BORROWING, borrowers, in_order
from metrics.testing.overriding._options import Provider, change_of, needs_in_time

AnyContainer: TypeAlias = containers.DynamicContainer
AnyResource: TypeAlias = providers.BaseResource[Any]


@final
class Dependencies:
    """Providers of a container, and of all containers around it and borrowing from it.

    One traversal of the graph, made at the creation.
    """

    __slots__ = ("_in_time", "_options", "containers")

    def __init__(self, container: AnyContainer) -> None:
        around = outermost(container)
        self.containers = [around if isinstance(around, containers.DynamicContainer) else container]
        # Dependencies by provider, each after its own dependencies.
        self._in_time: dict[Provider, tuple[Provider, ...]] = {}
        # Configurations and their options, which change together.
        self._options: list[Provider] = []
        borrowing = borrowers()
        for provider, needed in in_order(self._roots(), needs_in_time):
            self._in_time[provider] = needed
            if isinstance(provider, providers.Configuration | providers.ConfigurationOption):
                self._options.append(provider)
            for borrower in borrowing.get(provider, ()):
                self._enclose(borrower)
            # Containers without a lifecycle are known to the providers that they borrow. Only of
            # these types: the `parent` of a configuration is an option of that name.
            for override in provider.overrides:
                if isinstance(override, BORROWING):
                    self._enclose(getattr(override, "parent", None))

    def __contains__(self, provider: object) -> bool:
        return provider in self._in_time

    def __iter__(self) -> Iterator[Provider]:
        return iter(self._in_time)

    def dependents(self, changed: Collection[Provider], *, present: bool = False) -> list[Provider]:
        """Return the dependents of changed providers, each after its dependencies.

        Args:
            changed: providers, and options of configurations.
            present: whether dependencies that overrides hide are left out.
        """
        affected = {*changed, *self._affected_options(changed)}
        found: list[Provider] = []
        for provider, needed in self._in_time.items():
            if provider not in affected and not affected.isdisjoint(
                present_needs(provider, needed) if present else needed
            ):
                affected.add(provider)
                found.append(provider)
        return found

    def captors(
        self, changed: Collection[Provider], covered: Collection[Provider]
    ) -> list[AnyResource]:
        """Return the resources that run, or start or stop, and were given products of providers.

        Args:
            changed: providers whose present products count.
            covered: providers whose products count that they gave before they, or their
                dependents, were overridden; the changed ones among them.
        """
        started = [
            provider
            for provider in self.dependents(covered)
            if isinstance(provider, providers.BaseResource) and is_started(provider)
        ]
        if not started:
            return []
        holding, reached = set(self.dependents(changed, present=True)), self._reached()
        # A resource that was overridden while it ran, or is hidden by an override, has the
        # dependencies that it was started with.
        return [
            resource
            for resource in started
            if resource in holding
            or resource not in reached
            or resource.last_overriding is not None
        ]

    def reset_options(self, changed: Collection[Provider]) -> None:
        """Reset the values that options have kept, of changed providers and their dependents.

        A configuration does so itself for its own options, unless they are `required()`, or their
        name is provided by another provider.
        """
        if self._options:
            for option in (*self._affected_options(changed), *self.dependents(changed)):
                if isinstance(option, providers.ConfigurationOption):
                    option.reset_cache()

    def _affected_options(self, changed: Collection[Provider]) -> list[Provider]:
        """Return the changed configurations and options, and the ones around and within them."""
        if not self._options:
            return []
        return list(filter(change_of(changed), self._options))

    def _roots(self) -> Iterator[Provider]:
        """Yield the providers of all containers, also of ones found meanwhile."""
        for container in self.containers:
            yield from tuple(container.providers.values())

    def _enclose(self, inner: object) -> None:
        container = outermost(inner)
        known = container in self.containers
        if isinstance(container, containers.DynamicContainer) and not known:
            self.containers.append(container)

    def _reached(self) -> set[Provider]:
        """Return the providers that no override hides."""
        reached = dict.fromkeys(self._roots())
        ahead = list(reached)
        for provider in ahead:
            needed = present_needs(provider, self._in_time.get(provider, ()))
            ahead += [each for each in needed if each not in reached]
            reached.update(dict.fromkeys(needed))
        return set(reached)


def present_needs(provider: Provider, in_time: tuple[Provider, ...]) -> tuple[Provider, ...]:
    """Return the dependencies of a provider without the ones that its override hides."""
    overriding = provider.last_overriding
    # An embedded container passes an override on to its providers and stays in use itself; a
    # configuration may take some of its options from the override below.
    passes_on = isinstance(provider, providers.Container | providers.Configuration)
    return in_time if overriding is None or passes_on else (overriding,)


def outermost(container: object) -> object:
    """Return the container in which a container is embedded, directly or through others."""
    while (parent := getattr(container, "parent", None)) is not None:
        container = parent
    return container


def is_started(resource: AnyResource) -> bool:
    """Return whether a resource has been started, or is being started."""
    return resource.initialized or is_in_transition(resource)


def is_in_transition(provider: Provider) -> bool:
    """Return whether a provider is a resource that is being started or stopped."""
    return isinstance(provider, Resource) and state(provider) in {State.STARTING, State.STOPPING}
