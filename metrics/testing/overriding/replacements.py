"""Replacements by name: which provider each is for, and whether it fits."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple, cast, final

from dependency_injector import containers, providers

from metrics.lifecycle._testing import in_order, requested_needs
from metrics.testing.overriding.layers import Provider

WITHIN = (providers.Container, providers.DependenciesContainer)
"""Providers that have others in them."""


class Replacement(NamedTuple):
    """Value or provider to be put in place of a provider."""

    name: str
    """The dotted name of the provider that is replaced."""
    provider: Provider
    given: object


def replacements(
    container: containers.DynamicContainer, given: Mapping[str, object]
) -> list[Replacement]:
    """Return the replacements of a container's providers, one by one.

    Raises:
        KeyError: the container has no provider of a name.
        TypeError: a name is no string, a class is given instead of its instance, or a container
            is to be replaced by another object.
        ValueError: a provider is named twice, or replaced by itself.
    """
    known = declared(container)
    found: list[Replacement] = []
    options: dict[str, Options] = {}
    for name, value in given.items():
        if not isinstance(name, str):
            raise TypeError(f"overridden() takes names of providers, got {name!r}")
        within_configuration, option = option_of(name, known)
        if within_configuration is None:
            found += pieces(name, provider_of(name, known), value)
            continue
        if isinstance(value, providers.Provider):
            raise TypeError(f"{name!r} is an option, which takes a value, got {value!r}")
        if within_configuration not in options:
            configuration = known[within_configuration]
            options[within_configuration] = Options(configuration)
            merged = options[within_configuration].provider
            found.append(Replacement(within_configuration, configuration, merged))
        options[within_configuration].choose(option, value, name)
    names: dict[Provider, str] = {}
    for name, provider, given_for_it in found:
        if provider is given_for_it:
            raise ValueError(f"{name!r} cannot be overridden by itself")
        if provider in names:
            raise ValueError(f"{names[provider]!r} and {name!r} are the same: name it once")
        names[provider] = name
    check_needs(found)
    return found


def check_needs(replaced: Collection[Replacement]) -> None:
    """Raise ValueError if a provider would request itself."""
    instead = {
        provider: given for _, provider, given in replaced if isinstance(given, providers.Provider)
    }

    def requested(provider: Provider) -> Iterable[Provider]:
        return (instead[provider],) if provider in instead else requested_needs(provider)

    for name, provider, _ in replaced:
        given = instead.get(provider)
        if given is not None and provider in {one for one, _ in in_order([given], requested)}:
            raise ValueError(
                f"cannot override {name!r} by {given!r}, which depends on it and would be given "
                "itself: request the product before the block, and give that"
            )


def pieces(name: str, provider: Provider, value: object) -> Iterator[Replacement]:
    """Yield the replacement of a provider and, of a container, of the providers in both."""
    if isinstance(value, type) and not isinstance(provider, providers.Object):
        kind = value.__name__
        raise TypeError(
            f"{name!r} was given the class {kind}: give its instance, {kind}(...), or "
            f"providers.Object({kind}) if it is to provide the class itself"
        )
    yield Replacement(name, provider, value)
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


def declared(container: containers.DynamicContainer) -> dict[str, Provider]:
    """Return dotted names to providers."""
    names: dict[str, Provider] = {}
    ahead: list[tuple[str, dict[str, Provider]]] = [("", container.providers)]
    for prefix, inside in ahead:
        for name, provider in inside.items():
            names[prefix + name] = provider
            ahead.append((f"{prefix}{name}.", within(provider)))
    return names


def option_of(name: str, known: Mapping[str, Provider]) -> tuple[str | None, str]:
    """Return the configuration that a name leads into, if any, and the option."""
    for place, letter in enumerate(name):
        configuration, option = name[:place], name[place + 1 :]
        is_end = letter == "." and option != ""
        if is_end and isinstance(known.get(configuration), providers.Configuration):
            return configuration, option
    return None, ""


def provider_of(name: str, known: Mapping[str, Provider]) -> Provider:
    """Return the provider of a name; raise KeyError if there is none."""
    if name in known:
        return known[name]
    last = name.rpartition(".")[2]
    likely = [other for other in known if other.rpartition(".")[2] == last]
    likely += [other for other in get_close_matches(name, known) if other not in likely]
    hint = (
        f"did you mean {' or '.join(map(repr, likely[:3]))}?"
        if likely
        else "it has " + (", ".join(known) or "none")
    )
    raise KeyError(f"there is no provider {name!r} in the container; {hint}")


@final
class Options:
    """Configuration with some options changed, and all others as in the overridden one."""

    def __init__(self, configuration: Provider) -> None:
        self._configuration: Any = configuration
        self._chosen: dict[str, object] = {}
        self.provider: Provider = providers.Callable(self)

    def choose(self, option: str, value: object, name: str) -> None:
        """Change an option; raise ValueError if a changed one is within it, or around it."""
        for other in self._chosen:
            if f"{other}.".startswith(f"{option}.") or f"{option}.".startswith(f"{other}."):
                before = name.removesuffix(option) + other
                raise ValueError(f"{before!r} and {name!r} overlap: give one value for both")
        self._chosen[option] = value

    def __call__(self) -> dict[str, Any]:
        """Return the whole configuration."""
        stack = self._configuration.overridden
        place = stack.index(self.provider)
        below = stack[place - 1]() if place else self._configuration.get_default()
        merged: dict[str, Any] = dict(below or {})
        for option, value in self._chosen.items():
            *path, last = option.split(".")
            inside = merged
            for step in path:
                # Only the way to the changed option is copied: others may be of any kind.
                inner = inside.get(step)
                inside[step] = dict(inner) if isinstance(inner, dict) else {}
                inside = inside[step]
            inside[last] = value
        return merged
