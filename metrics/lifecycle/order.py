"""In what order the parts of a container start: as declared, what a part needs before it."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, Protocol, TypeAlias, cast

from dependency_injector import errors, providers

Provider: TypeAlias = providers.Provider[Any]
Needs: TypeAlias = Callable[[Provider], Iterable[Provider]]


class Declarations(Protocol):
    """What has providers by name: a container, or its class."""

    providers: dict[str, Provider]


class Step(NamedTuple):
    """A provider and what it needs, which was visited before it."""

    provider: Provider
    needs: tuple[Provider, ...]


def in_order(roots: Iterable[Provider], needs: Needs) -> Iterator[Step]:
    """Visit every provider after what it needs, and else in the order of the roots.

    Without recursion, in time linear to the number of providers and needs, and the same in every
    process. Where providers need each other, one of them comes first all the same.
    """
    seen: set[Provider] = set()
    for root in roots:
        if root in seen:
            continue
        seen.add(root)
        needed = tuple(needs(root))
        # Each level is a provider, what it needs, and what of that remains to be looked at.
        path = [(Step(root, needed), iter(needed))]
        while path:
            step, ahead = path[-1]
            following = next((n for n in ahead if n not in seen), None)
            if following is None:
                path.pop()
                yield step
                continue
            seen.add(following)
            needed = tuple(needs(following))
            path.append((Step(following, needed), iter(needed)))


def all_needs(provider: Provider) -> Iterable[Provider]:
    """Return what a provider may need: of a selector, every branch."""
    overriding = provider.last_overriding
    # A container that is overridden passes that on to its providers and stays in use itself.
    if overriding is not None and not isinstance(provider, providers.Container):
        return (overriding,)
    return related(provider)


def related(provider: Provider) -> Iterable[Provider]:
    """Return what was declared with a provider, and all that lies over it."""
    if isinstance(provider, providers.Container) and provider.container is None:
        return ()  # it is still being copied
    return provider.related


def declared_needs(provider: Provider) -> Iterable[Provider]:
    """Return what was declared with a provider, without what was lent to it afterwards."""
    if isinstance(provider, providers.Dependency | providers.DependenciesContainer):
        return ()
    lent = provider.overridden
    return (needed for needed in provider.related if needed not in lent)


def needs_now(provider: Provider) -> Iterable[Provider]:
    """Return what a provider needs to provide: of a selector, what is selected."""
    if provider.last_overriding is None and isinstance(provider, providers.Selector):
        return selection(provider)
    return all_needs(provider)


def selected_needs(container: Declarations) -> tuple[list[Provider], Needs]:
    """Return the roots of a container and what each provider needs, without idle branches.

    A branch of a selector is idle unless it is selected or something else needs it.
    """
    roots = list(container.providers.values())
    branches = branches_of(container)
    if not branches:
        return roots, all_needs

    def needs(provider: Provider) -> Iterable[Provider]:
        if isinstance(provider, providers.Container):
            return (needed for needed in provider.related if needed not in branches)
        return needs_now(provider)

    return [root for root in roots if root not in branches], needs


def branches_of(container: Declarations) -> set[Provider]:
    """Return what the selectors of a container may select."""
    return {
        branch
        for step in in_order(container.providers.values(), all_needs)
        if isinstance(step.provider, providers.Selector)
        for branch in step.provider.providers.values()
    }


def selection(selector: providers.Selector[Any]) -> Iterator[Provider]:
    """Return what a selector needs now: what it asks, and the branch that this selects."""
    asked: Any = selector.selector
    if isinstance(asked, providers.Provider):
        yield asked
        needed = in_order([asked], needs_now)
        if any(is_down(provider) for provider, _ in needed):
            return  # what is selected is known when this is up, and starts when it is asked for
    try:
        key = asked()
    except errors.Error:
        return  # who asks for the selected branch is told what is undefined
    if key in selector.providers:
        yield selector.providers[key]


def is_down(provider: Provider) -> bool:
    """Return whether a provider is a resource that would have to be started."""
    return (
        isinstance(provider, providers.BaseResource)
        and provider.last_overriding is None
        and not provider.initialized
    )


def names_of(container: Declarations) -> dict[Provider, str]:
    """Return providers to dotted names; the first declaration of a provider names it."""
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
