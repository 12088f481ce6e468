"""In what order the parts of a container start: as declared, what a part needs before it."""

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

from dependency_injector import providers


class Part(NamedTuple):
    """A resource of a container, by the name it was declared with."""

    name: str
    provider: providers.Resource[Any]


class Declarations(Protocol):
    """What has providers by name: a container."""

    providers: dict[str, providers.Provider[Any]]


def start_order(container: Declarations) -> list[Part]:
    """Return all parts, dependencies first and else as declared; to stop, reverse it.

    Works without recursion, in time linear to the number of providers and arguments, and gives the
    same order in every process. A provider that is overridden stands back for what overrides it.
    """
    names = provider_names(container)
    parts: list[Part] = []
    seen: set[providers.Provider[Any]] = set()
    for root in container.providers.values():
        # Each level is a provider and what remains to be looked at of what it needs.
        path = [(root, needs(root))] if root not in seen else []
        seen.add(root)
        while path:
            provider, needed = path[-1]
            following = next((n for n in needed if n not in seen), None)
            if following is not None:
                seen.add(following)
                path.append((following, needs(following)))
                continue
            path.pop()
            if isinstance(provider, providers.Resource) and provider.last_overriding is None:
                parts.append(Part(names.get(provider) or described(provider), provider))
    return parts


def needs(provider: providers.Provider[Any]) -> Iterator[providers.Provider[Any]]:
    """Return what has to be up before a provider can provide."""
    overriding = provider.last_overriding
    # A container that is overridden passes that on to its providers and stays in use itself.
    if overriding is not None and not isinstance(provider, providers.Container):
        return iter([overriding])
    return iter(provider.related)


def provider_names(container: Declarations) -> dict[providers.Provider[Any], str]:
    """Return providers to dotted names; the first declaration of a provider names it."""
    names: dict[providers.Provider[Any], str] = {}
    ahead: list[tuple[str, Declarations]] = [("", container)]
    for prefix, declared in ahead:
        for name, provider in declared.providers.items():
            names.setdefault(provider, prefix + name)
            if isinstance(provider, providers.Container):
                ahead.append((f"{prefix}{name}.", provider.container))
    return names


def described(provider: providers.Resource[Any]) -> str:
    """Return a name for a part that was declared inside another provider's arguments."""
    return f"({getattr(provider.provides, '__name__', provider.provides)!s})"
