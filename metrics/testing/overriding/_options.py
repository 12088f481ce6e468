"""Options of configurations: paths, the options that a change affects, and overrides of some."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, TypeAlias, cast, final

from dependency_injector import providers

from metrics.lifecycle._testing import related

Provider: TypeAlias = providers.Provider[Any]
Path: TypeAlias = tuple[object, ...]
"""Keys that lead to an option: text, or providers of text."""


def option_at(configuration: Provider, path: Path) -> Provider:
    """Return an option of a configuration, without declaring it there."""
    found: Any = providers.ConfigurationOption(cast("Any", path), cast("Any", configuration))
    return cast("Provider", found)


def location(provider: Provider) -> tuple[Provider, Path]:
    """Return the configuration and path of an option; of other providers, itself and ()."""
    if not isinstance(provider, providers.ConfigurationOption):
        return provider, ()
    option: Any = provider
    return option._get_root(), option.get_name_segments()


def overlaps(path: Path, other: Path) -> bool:
    """Return whether one option is, or may be, within the other one."""
    return all(
        one == two or isinstance(one, providers.Provider) or isinstance(two, providers.Provider)
        for one, two in zip(path, other, strict=False)
    )


def needs_in_time(provider: Provider) -> Iterable[Provider]:
    """Return the present dependencies of a provider, and the ones that its overrides hide.

    An option needs an option of each override of its configuration. A configuration does not need
    its options.
    """
    if isinstance(provider, providers.Configuration):
        return provider.overridden
    if not isinstance(provider, providers.ConfigurationOption):
        return related(provider)
    configuration, path = location(provider)
    keys = [key for key in path if isinstance(key, providers.Provider)]
    return [*keys, *[suboption(override, path) for override in configuration.overridden]]


def suboption(provider: Provider, path: Path) -> Provider:
    """Return the option at a path below a configuration or option; other providers themselves."""
    if not isinstance(provider, providers.Configuration | providers.ConfigurationOption):
        return provider
    configuration, above = location(provider)
    return option_at(configuration, (*above, *path))


def change_of(changed: Iterable[Provider]) -> Callable[[Provider], bool]:
    """Return a function that returns whether a provider, or an option of it, has changed.

    Args:
        changed: providers; options among them stand for the ones around and within them, too.
    """
    paths: dict[Provider, list[Path]] = {}
    for provider in changed:
        root, path = location(provider)
        paths.setdefault(root, []).append(path)

    def has_changed(provider: Provider) -> bool:
        root, path = location(provider)
        return root in paths and any(overlaps(path, other) for other in paths[root])

    return has_changed


@final
class ChosenOptions:
    """Function that returns a configuration with some options replaced.

    All other options are the ones of the override below, at the time of the call.
    """

    def __init__(self, configuration: Provider) -> None:
        self._configuration: Any = configuration
        self._chosen: dict[tuple[str, ...], object] = {}
        self.provider: Provider = providers.Callable(self)

    def choose(self, path: tuple[str, ...], value: object, name: str) -> None:
        """Replace an option.

        Raises:
            KeyError: the configuration is strict or has defaults, and has no such option.
            ValueError: another replaced option is within this one, or around it.
        """
        check_option(self._configuration, path, name)
        for other in self._chosen:
            if overlaps(path, other):
                before = name.removesuffix(".".join(path)) + ".".join(other)
                raise ValueError(f"{before!r} and {name!r} overlap: give one value for both")
        self._chosen[path] = value

    def __call__(self) -> dict[str, Any]:
        """Return the whole configuration."""
        stack = self._configuration.overridden
        place = stack.index(self.provider)
        below = stack[place - 1]() if place else self._configuration.get_default()
        merged: dict[str, Any] = dict(below or {})
        for (*path, last), value in self._chosen.items():
            inside = merged
            for step in path:
                # Only the mappings around the option are copied: other values may be of any kind.
                inner = inside.get(step)
                inside[step] = dict(inner) if isinstance(inner, Mapping) else {}
                inside = inside[step]
            inside[last] = value
        return merged


def check_option(configuration: Any, path: tuple[str, ...], name: str) -> None:
    """Raise KeyError for an unknown option of a configuration that is strict or has defaults.

    An option is known if it has a value or a default, if a declaration reads it, or if it is within
    an option that a declaration reads as a whole.
    """
    if not configuration.get_strict() and not configuration.get_default():
        return
    option, prefix = ".".join(path), name.removesuffix(".".join(path))
    values = dict(values_by_name(configuration.get_default()))
    values.update(values_by_name(configuration()))
    known = {*names_of_children(configuration, configuration), *values}
    # A section without known options may have any.
    sections = [
        section
        for section in known
        if (values.get(section) is None or values[section] == {})
        and not any(other.startswith(f"{section}.") for other in known)
    ]
    if option in known or any(option.startswith(f"{section}.") for section in sections):
        return
    likely = get_close_matches(option, known, n=1)
    hint = (
        f"did you mean {prefix + likely[0]!r}?"
        if likely
        else f"it has {', '.join(sorted(prefix + each for each in known)) or 'none'}"
    )
    kind = "is strict" if configuration.get_strict() else "has defaults"
    raise KeyError(f"there is no option {name!r} in the configuration, which {kind}; {hint}")


def names_of_children(parent: Any, configuration: Provider) -> Iterator[str]:
    """Yield the dotted names of the options that declarations have accessed below another one."""
    for child in parent.related:
        root, path = location(child)
        # The overrides of a configuration are related to it as well.
        if path and root is configuration and all(isinstance(key, str) for key in path):
            yield ".".join(map(str, path))
            yield from names_of_children(child, configuration)


def values_by_name(values: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield the dotted names of options and their values, sections included."""
    if isinstance(values, Mapping):
        for key, value in values.items():
            yield f"{prefix}{key}", value
            yield from values_by_name(value, f"{prefix}{key}.")
