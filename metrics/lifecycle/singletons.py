"""Which singletons keep a part, and how they are made anew when it has stopped."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias, TypeGuard

from dependency_injector import providers

from metrics.lifecycle.order import Needs, Provider, in_order

Singleton: TypeAlias = providers.BaseSingleton[Any]


def keepers(
    roots: Iterable[Provider],
    needs: Needs,
    kept: Callable[[providers.BaseResource[Any]], bool],
) -> Iterator[Singleton]:
    """Yield the singletons that may have been made of a part, directly or through others.

    Args:
        roots: providers, in the order of their declaration.
        needs: what a provider needs.
        kept: whether the part of a resource is one of those in question.
    """
    holding: set[Provider] = set()
    for provider, needed in in_order(roots, needs):
        held = holding.intersection(needed)
        # What lies over a singleton is provided in its place, and is not what it keeps.
        if held.difference(provider.overridden) and is_singleton(provider):
            yield provider
        if held or (isinstance(provider, providers.BaseResource) and kept(provider)):
            holding.add(provider)


def is_singleton(provider: Provider) -> TypeGuard[Singleton]:
    """Return whether a provider keeps what it has made; an abstract one leaves that to others."""
    abstract = isinstance(provider, providers.AbstractSingleton)
    return isinstance(provider, providers.BaseSingleton) and not abstract


def forget(singleton: Singleton) -> None:
    """Let a singleton be made anew, by every thread and in every context."""
    singleton.reset()
    if isinstance(singleton, providers.ThreadLocalSingleton | providers.ContextLocalSingleton):
        # What other threads and contexts have of it is out of reach; it gets another place for it.
        made_of: Any = singleton
        attributes, over = singleton.attributes, singleton.overridden
        made_of.__init__(singleton.provides, *singleton.args, **singleton.kwargs)
        made_of.set_attributes(**attributes)
        for other in over:
            singleton.override(other)
