"""Unknown options: keys in the configuration of a container that only a misspelling explains."""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

from dependency_injector import providers

from metrics.lifecycle._graph import Declarations, Provider, in_order, names_of, related

NEAR = 0.8
"""Similarity at which a key of a subclass is a misspelt option; "lables" has 0.83."""

ALIKE = 0.6
"""Similarity at which an error proposes an option."""


class Section(NamedTuple):
    """Values of a configuration, after all overrides: the provider that has them, and the keys."""

    root: Provider
    path: tuple[object, ...]


def unknown_options(
    whole: Declarations, declared: Declarations, config: providers.Configuration, values: object
) -> Iterator[tuple[object, str]]:
    """Find the keys in the configuration of a container that are neither its options nor read.

    Args:
        whole: the container under inspection.
        declared: the same container, or one that is embedded in it.
        config: its configuration.
        values: the values in its configuration.

    Yields:
        a key, and the message that names the options.
    """
    cls: Any = getattr(declared, "declarative_parent", None) or declared
    known: tuple[str, ...] = getattr(cls, "_known_options", ())
    if not known or not isinstance(values, Mapping):
        return
    unknown = [key for key in values if key not in known]
    if not unknown:
        return
    definer = next(base for base in cls.__mro__ if "_known_options" in vars(base))
    section = section_of(config)
    shared = section.root not in names_of(whole) if section.path else section.root is not config
    # Code outside of the container may read further keys, by wiring them for example.
    extensible = shared or definer is not cls
    declared_keys = cls.providers["config"].get_children()
    in_use = sections_in_use(whole.providers.values())
    for key in unknown:
        alike = get_close_matches(str(key).lower(), known, 1, NEAR if extensible else ALIKE)
        if extensible and (not alike or alike[0] in values or key in declared_keys):
            continue
        if any(overlap(used, Section(section.root, (*section.path, key))) for used in in_use):
            continue
        meant = f" did you mean {alike[0]!r}?" if alike else ""
        options = ", ".join(known)
        yield key, f"unknown option {key!r} of {definer.__name__};{meant} options: {options}"


def sections_in_use(roots: Iterable[Provider]) -> set[Section]:
    """Return the sections that providers read, overridden or not.

    A configuration holds its options, and a container its configuration; neither reads them.
    """
    configured = (providers.Configuration, providers.ConfigurationOption)
    return {
        section_of(needed)
        for provider, needs in in_order(roots, related)
        if not isinstance(provider, (*configured, providers.Container))
        for needed in needs
        if isinstance(needed, configured)
    }


def section_of(provider: Any) -> Section:
    """Return the section that a configuration, or an option of one, has its values from."""
    path: tuple[object, ...] = ()
    while True:
        following = provider.last_overriding
        if isinstance(provider, providers.ConfigurationOption):
            path = (*provider.get_name_segments(), *path)
            following = provider._get_root()
        elif following is None and isinstance(provider, providers.Dependency):
            following = provider.default
        if not isinstance(
            following,
            providers.Configuration | providers.ConfigurationOption | providers.Dependency,
        ):
            return Section(provider, path)
        provider = following


def overlap(one: Section, other: Section) -> bool:
    """Return whether two sections have values in common: one contains the other."""
    return one.root is other.root and all(
        a == b for a, b in zip(one.path, other.path, strict=False)
    )
