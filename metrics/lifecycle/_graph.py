"""Dependencies between providers: one traversal, and the questions that it answers.

The order in which resources start, the resources that have to be awaited, and the singletons that
were made of a resource.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeGuard, cast

from dependency_injector import errors, providers

from metrics.lifecycle._hooks import is_async_hook
from metrics.lifecycle._record import ResourceRecord

Provider: TypeAlias = providers.Provider[Any]
AnyResource: TypeAlias = providers.BaseResource[Any]
Singleton: TypeAlias = providers.BaseSingleton[Any]
Needs: TypeAlias = Callable[[Provider], Iterable[Provider]]

CALLED = (
    providers.Callable,
    providers.Factory,
    providers.BaseSingleton,
    providers.BaseResource,
)
"""Providers that call a function; requested, they give its result."""

HANDED_OVER = (providers.Delegate, providers.Container, providers.Object)
"""Providers that give other providers without requesting their values."""


class Declarations(Protocol):
    """Providers by name: a container, or its class."""

    providers: dict[str, Provider]


class Visit(NamedTuple):
    """A provider and its dependencies, which were visited before it."""

    provider: Provider
    needs: tuple[Provider, ...]


def in_order(roots: Iterable[Provider], needs: Needs) -> Iterator[Visit]:
    """Visit every provider after its dependencies, and otherwise in the order of the roots.

    Without recursion, in time linear to the number of providers and dependencies, and in the same
    order in every process. In a cycle, one of the providers comes first all the same.
    """
    seen: set[Provider] = set()
    for root in roots:
        if root in seen:
            continue
        seen.add(root)
        needed = tuple(needs(root))
        # Each level is a provider, its dependencies, and an iterator over the unvisited ones.
        path = [(Visit(root, needed), iter(needed))]
        while path:
            visit, ahead = path[-1]
            for following in ahead:
                if following not in seen:
                    seen.add(following)
                    needed = tuple(needs(following))
                    path.append((Visit(following, needed), iter(needed)))
                    break
            else:
                path.pop()
                yield visit


def dependents(
    roots: Iterable[Provider], needs: Needs, of: Callable[[Provider], bool]
) -> Iterator[Visit]:
    """Yield the providers that depend on some others, directly or not, dependencies first.

    Args:
        roots: providers, in the order of their declaration.
        needs: the dependencies of a provider.
        of: whether a provider is one of the others; these are not yielded.

    Yields:
        each dependent, with the dependencies through which it reaches the others.
    """
    affected: set[Provider] = set()
    for provider, needed in in_order(roots, needs):
        if of(provider):
            affected.add(provider)
            continue
        reached = tuple([n for n in needed if n in affected or of(n)])
        if reached:
            affected.add(provider)
            yield Visit(provider, reached)


def all_needs(provider: Provider) -> Iterable[Provider]:
    """Return all possible dependencies of a provider: of a selector, every branch."""
    overriding = provider.last_overriding
    # A container that is overridden passes that on to its providers and stays in use itself.
    if overriding is not None and not isinstance(provider, providers.Container):
        return (overriding,)
    return related(provider)


def related(provider: Provider) -> Iterable[Provider]:
    """Return the declared dependencies of a provider, and all its overrides."""
    if isinstance(provider, providers.Container) and provider.container is None:
        return ()  # it is still being copied
    return complete(provider.related)


def values_needed(provider: Provider) -> Iterable[Provider]:
    """Return all possible dependencies whose values a provider is given, or gives itself."""
    if isinstance(provider, HANDED_OVER) or is_delegated(provider):
        return ()
    return all_needs(provider)


def declared_needs(provider: Provider) -> Iterable[Provider]:
    """Return the declared dependencies of a provider, without borrowed ones."""
    if isinstance(provider, providers.Dependency | providers.DependenciesContainer):
        return ()
    borrowed = provider.overridden
    return (needed for needed in complete(provider.related) if needed not in borrowed)


def complete(related: Iterable[Provider | None]) -> list[Provider]:
    """Return related providers; one that is still being copied relates to None."""
    return [provider for provider in related if provider is not None]


def needs_now(provider: Provider) -> Iterable[Provider]:
    """Return the present dependencies of a provider: of a selector, the selected branch."""
    if provider.last_overriding is None and isinstance(provider, providers.Selector):
        return selection(provider)
    return all_needs(provider)


def selected_needs(container: Declarations) -> tuple[list[Provider], Needs]:
    """Return the roots of a container and the dependencies of a provider, without idle branches.

    A branch of a selector is idle unless it is selected or has another dependent.
    """
    roots = list(container.providers.values())
    branches = branches_of(container)
    if not branches:
        return roots, all_needs

    def needs(provider: Provider) -> Iterable[Provider]:
        if isinstance(provider, providers.Container):
            return (needed for needed in related(provider) if needed not in branches)
        return needs_now(provider)

    return [root for root in roots if root not in branches], needs


def branches_of(container: Declarations) -> set[Provider]:
    """Return the branches of all selectors of a container."""
    return {
        branch
        for visit in in_order(container.providers.values(), all_needs)
        if isinstance(visit.provider, providers.Selector)
        for branch in visit.provider.providers.values()
    }


def selection(selector: providers.Selector[Any]) -> Iterator[Provider]:
    """Return the present dependencies of a selector: of its key, and the selected branch."""
    asked: Any = selector.selector
    if isinstance(asked, providers.Provider):
        yield asked
        needed = in_order([asked], needs_now)
        if any(is_down(provider) for provider, _ in needed):
            return  # the key is known when this runs; the branch starts when it is requested
    try:
        key = asked()
    except errors.Error:
        return  # a request for the selected branch raises it
    if key in selector.providers:
        yield selector.providers[key]


def is_down(provider: Provider) -> bool:
    """Return whether a provider is a resource that would have to be started."""
    return (
        isinstance(provider, providers.BaseResource)
        and provider.last_overriding is None
        and not provider.initialized
    )


class Step(NamedTuple):
    """Start of one resource."""

    record: ResourceRecord
    provider: AnyResource
    asynchronous: bool
    """Whether the start has to be awaited."""


def plan(
    roots: Iterable[Provider],
    needs: Needs,
    record_of: Callable[[AnyResource], ResourceRecord | None],
) -> list[Step]:
    """Return the steps that start the roots, each resource after its dependencies.

    Args:
        roots: providers, in the order of their declaration.
        needs: the dependencies of a provider.
        record_of: the record of a resource; None for a borrowed one.
    """
    steps: list[Step] = []
    awaited: set[Provider] = set()
    asynchronous: dict[object, bool] = {}
    for provider, needed in in_order(roots, needs):
        waits = any(n in awaited for n in needed if not is_delegated(n))
        waits = waits and not isinstance(provider, HANDED_OVER)
        overridden = provider.last_overriding is not None
        if isinstance(provider, CALLED) and not overridden and not waits:
            hook = provider.provides
            if hook not in asynchronous:
                asynchronous[hook] = is_async_hook(hook)
            waits = asynchronous[hook]
        if isinstance(provider, providers.BaseResource) and not overridden:
            record = record_of(provider)
            if record is not None:
                # A resource that runs was started with its dependencies of that time.
                waits = waits or (record.running and record.asynchronous)
                steps.append(Step(record, provider, waits))
        if waits:
            awaited.add(provider)
    return steps


def is_delegated(provider: Provider) -> bool:
    """Return whether others are given the provider itself instead of its product."""
    return bool(providers.is_delegated(provider))


def stale_singletons(
    roots: Iterable[Provider], needs: Needs, stopped: Callable[[AnyResource], bool]
) -> Iterator[Singleton]:
    """Yield the singletons that may have been made of a resource, directly or through others.

    Args:
        roots: providers, in the order of their declaration.
        needs: the dependencies of a provider.
        stopped: whether a resource has stopped.
    """

    def of(provider: Provider) -> bool:
        return isinstance(provider, providers.BaseResource) and stopped(provider)

    for provider, reached in dependents(roots, needs, of):
        # An override is provided in place of a singleton, and is not part of its product.
        if is_singleton(provider) and not set(provider.overridden).issuperset(reached):
            yield provider


def is_singleton(provider: Provider) -> TypeGuard[Singleton]:
    """Return whether a provider keeps its product; an abstract one leaves that to others."""
    abstract = isinstance(provider, providers.AbstractSingleton)
    return isinstance(provider, providers.BaseSingleton) and not abstract


def reset_singleton(singleton: Singleton) -> None:
    """Let a singleton be recreated, by every thread and in every context."""
    singleton.reset()
    if isinstance(singleton, providers.ThreadLocalSingleton | providers.ContextLocalSingleton):
        # The products of other threads and contexts are out of reach; the storage is replaced.
        made_of: Any = singleton
        attributes, over = singleton.attributes, singleton.overridden
        made_of.__init__(singleton.provides, *singleton.args, **singleton.kwargs)
        made_of.set_attributes(**attributes)
        for other in over:
            singleton.override(other)


def names_of(container: Declarations) -> dict[Provider, str]:
    """Return the dotted names by provider; the first declaration of a provider names it."""
    names: dict[Provider, str] = {}
    ahead: list[tuple[str, Declarations]] = [("", container)]
    for prefix, declared in ahead:
        for name, provider in declared.providers.items():
            names.setdefault(provider, prefix + name)
            if isinstance(provider, providers.Container):
                ahead.append((f"{prefix}{name}.", provider.container))
            elif isinstance(provider, providers.DependenciesContainer):
                ahead.append((f"{prefix}{name}.", cast("Declarations", provider)))
    return names


def name_of(provider: Provider, names: dict[Provider, str]) -> str:
    """Return the dotted name of a provider, or the hook's if it was declared inside arguments."""
    if provider in names:
        return names[provider]
    hook = getattr(getattr(provider, "provides", None), "__name__", None)
    return f"({hook if isinstance(hook, str) else type(provider).__name__})"
