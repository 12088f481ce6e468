"""Replacements by name: which provider each is for, and whether it fits."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple, cast

from dependency_injector import containers, providers

from metrics.lifecycle._testing import in_order, requested_needs
from metrics.testing.overriding._options import ChosenOptions, Provider, option_at

WITHIN = (providers.Container, providers.DependenciesContainer)
"""Providers that contain others."""


class Replacement(NamedTuple):
    """Value or provider to be put in place of a provider."""

    provider: Provider
    """The replaced provider."""
    given: object
    by_name: dict[str, Provider]
    """The provider, or the replaced options of it, by the dotted names that were requested."""


def replacements(
    container: containers.DynamicContainer, given: Mapping[str, object]
) -> list[Replacement]:
    """Return the replacements of a container's providers, one by one.

    Raises:
        KeyError: the container has no provider, or no option, of a name.
        TypeError: a name is no string, a class is given instead of its instance, or a container
            is to be replaced by another object.
        ValueError: a provider is named twice, or replaced by itself.
    """
    found: list[Replacement] = []
    chosen: dict[Provider, tuple[ChosenOptions, Replacement]] = {}
    for name, value in given.items():
        if not isinstance(name, str):
            raise TypeError(f"overridden() takes names of providers, got {name!r}")
        provider, path = provider_of(name, container)
        if not path:
            found += pieces(name, provider, value)
            continue
        if isinstance(value, providers.Provider):
            raise TypeError(f"{name!r} is an option, which takes a value, got {value!r}")
        if provider not in chosen:
            options = ChosenOptions(provider)
            chosen[provider] = options, Replacement(provider, options.provider, {})
            found.append(chosen[provider][1])
        options, replacement = chosen[provider]
        options.choose(path, value, name)
        replacement.by_name[name] = option_at(provider, path)
    names: dict[Provider, str] = {}
    for provider, value, by_name in found:
        name = next(iter(by_name))
        if provider is value:
            raise ValueError(f"{name!r} cannot be overridden by itself")
        if provider in names:
            raise ValueError(f"{names[provider]!r} and {name!r} are the same: name it once")
        names[provider] = name
    check_needs(found)
    return found


def check_needs(replaced: Collection[Replacement]) -> None:
    """Raise ValueError if a provider would request itself."""
    instead = {
        each.provider: each.given for each in replaced if isinstance(each.given, providers.Provider)
    }

    def requested(provider: Provider) -> Iterable[Provider]:
        return (instead[provider],) if provider in instead else requested_needs(provider)

    for provider, _, by_name in replaced:
        given = instead.get(provider)
        if given is not None and provider in {one for one, _ in in_order([given], requested)}:
            raise ValueError(
                f"cannot override {next(iter(by_name))!r} by {given!r}, which depends on it and "
                "would be given itself: request the product before the block, and give that"
            )


def pieces(name: str, provider: Provider, value: object) -> Iterator[Replacement]:
    """Yield the replacement of a provider and, of a container, of the providers in both."""
    if isinstance(value, type) and not isinstance(provider, providers.Object):
        kind = value.__name__
        raise TypeError(
            f"{name!r} was given the class {kind}: give its instance, {kind}(...), or "
            f"providers.Object({kind}) if it is to provide the class itself"
        )
    yield Replacement(provider, value, {name: provider})
    if not isinstance(provider, WITHIN):
        return
    if not isinstance(value, containers.DynamicContainer | providers.Container):
        raise TypeError(
            f"{name!r} is a container, and takes an instance of one, got {value!r}; to replace a "
            f"provider in it, name that: '{name}.<name>'"
        )
    inside = within(provider)
    for inner, instead in cast("Any", value).providers.items():
        if inner in inside:
            yield from pieces(f"{name}.{inner}", inside[inner], instead)


def within(provider: Provider) -> dict[str, Provider]:
    """Return the providers that are declared in a provider."""
    return cast("Any", provider).providers if isinstance(provider, WITHIN) else {}


def provider_of(
    name: str, container: containers.DynamicContainer
) -> tuple[Provider, tuple[str, ...]]:
    """Return the provider of a dotted name and, if that is a configuration, the path of the option.

    Raises:
        KeyError: there is none.
    """
    inside = container.providers
    keys = name.split(".")
    for place, key in enumerate(keys, 1):
        provider = inside.get(key)
        if provider is None:
            break
        if place == len(keys):
            return provider, ()
        if isinstance(provider, providers.Configuration) and all(keys[place:]):
            return provider, tuple(keys[place:])
        inside = within(provider)
    known = declared_names(container)
    last = name.rpartition(".")[2]
    likely = [other for other in known if other.rpartition(".")[2] == last]
    likely += [other for other in get_close_matches(name, known) if other not in likely]
    hint = (
        f"did you mean {' or '.join(map(repr, likely[:3]))}?"
        if likely
        else "it has " + (", ".join(known) or "none")
    )
    raise KeyError(f"there is no provider {name!r} in the container; {hint}")


def declared_names(container: containers.DynamicContainer) -> list[str]:
    """Return the dotted names of all providers."""
    names: list[str] = []
    ahead: list[tuple[str, dict[str, Provider]]] = [("", container.providers)]
    for prefix, inside in ahead:
        for name, provider in inside.items():
            names.append(prefix + name)
            ahead.append((f"{prefix}{name}.", within(provider)))
    return names
