"""Providers that are certainly called when another is called, and the values of options.

The order of a start counts with everything that may be needed. Errors before a start count only
with calls that are certain: of a selector the selected branch, of a delegate nothing.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from dependency_injector import providers

from metrics.lifecycle._graph import Provider, in_order, is_down

UNKNOWN: Any = object()
"""The value of an option, or the key of a selector, that cannot be known before the start."""

KNOWN_MODULES = ("dependency_injector.", "metrics.lifecycle.")


class Reading(NamedTuple):
    """The value of a configuration option, and why reading it is an error, if it is one."""

    value: Any
    error: str = ""


class Calls:
    """The certain calls among the providers of a container, or of its class.

    Args:
        of_class: whether only instances will be configured, unless a configuration has values.
        calling: whether to call functions that give selectors their keys.
    """

    def __init__(self, *, of_class: bool, calling: bool) -> None:
        self._of_class = of_class
        self._calling = calling

    def needs(self, provider: Provider) -> Iterable[Provider]:
        """Return the providers that are certainly called when a provider is called."""
        over = provider.last_overriding
        if over is not None:
            # A container that is overridden passes that on to its providers.
            return () if isinstance(provider, providers.Container) else (over,)
        if isinstance(provider, providers.Selector):
            return self._selected(provider)
        kind: Any = type(provider)
        return needs_of(kind)(provider)

    def _selected(self, selector: providers.Selector[Any]) -> Iterator[Provider]:
        asked: Any = selector.selector
        if providers.is_provider(asked):
            yield asked
        key = self.key_of(selector)
        if key is not UNKNOWN and key in selector.providers:
            yield selector.providers[key]

    def key_of(self, selector: providers.Selector[Any]) -> Any:
        """Return the key of a selector; UNKNOWN if it takes a call that starts or raises."""
        asked: Any = selector.selector
        if isinstance(asked, providers.ConfigurationOption):
            key = self.read(asked).value
        elif not self._calling or not callable(asked):
            return UNKNOWN
        else:
            needed = in_order([asked] if providers.is_provider(asked) else [], self.needs)
            if any(is_down(provider) for provider, _ in needed):
                return UNKNOWN
            try:
                key = asked()
            except Exception:  # noqa: BLE001 - the request for the selected branch raises it
                return UNKNOWN
        try:
            hash(key)
        except TypeError:
            return UNKNOWN
        return UNKNOWN if inspect.isawaitable(key) else key

    def read(self, option: providers.ConfigurationOption) -> Reading:
        """Read a configuration option, as calling it does, past the value that it has cached."""
        segments: Any = option.get_name_segments()
        if not all(isinstance(segment, str) for segment in segments):
            return Reading(UNKNOWN)
        root: Any = option._get_root()
        value = self.values_of(root)
        keys = ".".join(segments).split(".")
        missing = Reading(None)
        if root.get_strict():
            missing = Reading(UNKNOWN, "its configuration is strict")
        elif option.is_required():
            missing = Reading(UNKNOWN, "it is required")
        if value is None or value is UNKNOWN:
            return missing if value is None else Reading(UNKNOWN)
        for index, key in enumerate(keys):
            if not hasattr(value, "get"):
                section = ".".join(keys[:index])
                return Reading(UNKNOWN, f"{section!r} is a {type(value).__name__}, not a section")
            if not isinstance(value, Mapping):
                return Reading(UNKNOWN)
            value = value.get(key, UNKNOWN)
            if value is UNKNOWN:
                return missing
        return Reading(value)

    def values_of(self, configuration: providers.Configuration) -> Any:
        """Return everything in a configuration; UNKNOWN if that takes calling other providers."""
        over: Any = configuration
        while over.last_overriding is not None:
            over = over.last_overriding
        while isinstance(over, providers.Dependency):
            over = over.default
        values = UNKNOWN
        if isinstance(over, providers.ConfigurationOption):
            values = self.read(over).value
        elif type(over) in {providers.Object, providers.Configuration}:
            values = over.provides
        return UNKNOWN if self._of_class and not values else values


def callees(args: Iterable[object], kwargs: Mapping[Any, object]) -> list[Provider]:
    """Return the providers among arguments that are called, and not handed over themselves."""
    return [
        value  # type: ignore[misc]
        for value in (*args, *kwargs.values())
        if providers.is_provider(value) and not providers.is_delegated(value)
    ]


NEEDS: dict[type, Callable[[Any], Iterable[Provider]]] = {
    providers.BaseResource: lambda p: () if p.initialized else callees(p.args, p.kwargs),
    providers.Factory: lambda p: [*callees(p.args, p.kwargs), *callees((), p.attributes)],
    providers.BaseSingleton: lambda p: [*callees(p.args, p.kwargs), *callees((), p.attributes)],
    providers.Callable: lambda p: callees(p.args, p.kwargs),
    providers.MethodCaller: lambda p: [p.provides, *callees(p.args, p.kwargs)],
    providers.ProvidedInstance: lambda p: [p.provides],
    providers.AttributeGetter: lambda p: [p.provides],
    providers.ItemGetter: lambda p: [p.provides],
    providers.List: lambda p: callees(p.args, {}),
    providers.Dict: lambda p: callees(p.kwargs, p.kwargs),
    providers.Dependency: lambda p: [] if p.default is None else [p.default],
    providers.ConfigurationOption: lambda p: [*callees(p.get_name_segments(), {}), p._get_root()],
}
"""The providers that a provider calls, by its type; all others call none."""


@lru_cache(maxsize=256)
def needs_of(cls: Any) -> Callable[[Any], Iterable[Provider]]:
    """Return the function of `NEEDS` for a type; a subclass that calls differently calls none."""
    for method in ("__call__", "_provide"):
        definer = next(base for base in cls.__mro__ if method in vars(base))
        if not definer.__module__.startswith(KNOWN_MODULES):
            return nothing
    return next((needs for base, needs in NEEDS.items() if issubclass(cls, base)), nothing)


def is_known(provider: Provider) -> bool:
    """Return whether a provider calls in the way of dependency-injector and of this library."""
    kind: Any = type(provider)
    return needs_of(kind) is not nothing


def nothing(_: Provider) -> Iterable[Provider]:
    """Return no providers."""
    return ()
