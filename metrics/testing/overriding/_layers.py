"""Overrides of providers, which blocks add and remove in any order."""

import asyncio
import threading
from collections.abc import Callable, Collection, Container, Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias, final

from dependency_injector import providers

from metrics.errors import LifecycleError
from metrics.testing.overriding._options import Provider, location

Stack: TypeAlias = tuple[Provider, ...]


class Caller(NamedTuple):
    """Thread that overrides and, in an event loop, its task."""

    thread: threading.Thread
    task: asyncio.Task[Any] | None
    in_loop: bool

    @property
    def over(self) -> bool:
        """Whether it has ended, as the task of an async fixture has after its setup."""
        if self.task is not None and (self.task.done() or self.task.get_loop().is_closed()):
            return True
        return not self.thread.is_alive()

    def is_within(self, other: "Caller") -> bool:
        """Return whether this one ends its blocks before the other goes on."""
        if self.thread is not other.thread:
            return False
        return other.task in {None, self.task} or not self.in_loop


def current_caller() -> Caller:
    """Return the calling thread and task."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return Caller(threading.current_thread(), None, in_loop=False)
    return Caller(threading.current_thread(), asyncio.current_task(), in_loop=True)


@final
class Layer:
    """Override of one provider by a block.

    Args:
        provider: the overridden provider.
        replacement: the provider in its place.
        changed: the provider, or the options of it that the replacement changes.
    """

    __slots__ = ("before", "changed", "provider", "replacement")

    def __init__(
        self, provider: Provider, replacement: Provider, changed: Collection[Provider]
    ) -> None:
        self.provider = provider
        self.replacement = replacement
        self.changed = changed
        # The overrides before it, without the ones that other blocks have removed since.
        self.before: Stack = ()


changing = threading.RLock()
"""Held while layers are added and removed; never while code of the program runs."""

_layers: dict[Provider, list[Layer]] = {}
_callers: dict[Provider, list[Caller]] = {}


def reserve(by_name: Mapping[str, Provider]) -> Caller:
    """Keep other threads and tasks from overriding the same providers; return the caller.

    Raises:
        LifecycleError: another one overrides them already, and goes on.
    """
    mine = current_caller()
    with changing:
        for name, provider in by_name.items():
            for other in _callers.get(provider, ()):
                if not other.over and not mine.is_within(other):
                    by = other.thread.name if other.task is None else other.task.get_name()
                    raise LifecycleError(
                        f"{name!r} is overridden by {by!r} at the same time, and an override "
                        "holds for the whole process: give each test a container of its own"
                    )
        for provider in by_name.values():
            _callers.setdefault(provider, []).append(mine)
    return mine


def release(by_name: Mapping[str, Provider], mine: Caller) -> None:
    """Let others override the same providers."""
    with changing:
        for provider in by_name.values():
            _callers[provider].remove(mine)
            if not _callers[provider]:
                del _callers[provider]


def add(layer: Layer) -> None:
    """Override a provider."""
    with changing:
        layer.before = layer.provider.overridden
        _layers.setdefault(layer.provider, []).append(layer)
        restore(layer.provider, (*layer.before, layer.replacement))


def remove(layer: Layer) -> None:
    """Restore the overrides before a layer and, of later ones, the overrides of other blocks."""
    with changing:
        layers = _layers[layer.provider]
        place = layers.index(layer)
        later = layers[place + 1 :]
        if later:
            stack = without(layer, layer.provider.overridden)
            for other in later:
                other.before = without(layer, other.before)
        else:
            stack = layer.before
        del layers[place]
        if not layers:
            del _layers[layer.provider]
        restore(layer.provider, stack)


def visible(layer: Layer) -> list[Provider]:
    """Return the changed provider, or options, that no later override hides."""
    place = len(layer.before)
    stack = layer.provider.overridden
    if stack[place : place + 1] != (layer.replacement,):
        return []
    changed_by = {other.replacement: other.changed for other in _layers[layer.provider]}
    above = [changed_by.get(other, (layer.provider,)) for other in stack[place + 1 :]]
    return [one for one in layer.changed if not any(map(hides(one), above))]


def hides(one: Provider) -> Callable[[Collection[Provider]], bool]:
    """Return a function that returns whether changes replace the value of a provider or option."""
    _, path = location(one)

    def replace_it(changed: Iterable[Provider]) -> bool:
        others = [location(other)[1] for other in changed]
        return any(path[: len(other)] == other for other in others)

    return replace_it


def without(layer: Layer, stack: Stack) -> Stack:
    """Return a stack with the layer removed from its place."""
    place = len(layer.before)
    if stack[place : place + 1] != (layer.replacement,):
        return stack
    return stack[:place] + stack[place + 1 :]


def insert_copy(provider: Provider, copies: Container[Provider], copy: Provider) -> None:
    """Override a provider by a copy of it, above its other copies and below all other overrides."""
    with changing:

        def over_copies(stack: Stack) -> Stack:
            place = next((i for i, one in enumerate(stack) if one not in copies), len(stack))
            return (*stack[:place], copy, *stack[place:])

        restack(provider, over_copies)


def remove_copy(provider: Provider, copy: Provider) -> None:
    """Remove a copy of a provider, wherever it is among the overrides."""
    with changing:
        restack(provider, lambda stack: tuple(one for one in stack if one is not copy))


def restack(provider: Provider, change: Callable[[Stack], Stack]) -> None:
    """Change the overrides of a provider, now and after the removal of layers."""
    for layer in _layers.get(provider, ()):
        layer.before = change(layer.before)
    restore(provider, change(provider.overridden))


def restore(provider: Provider, stack: Iterable[Provider]) -> None:
    """Override a provider by a stack and nothing else; overrides in common stay."""
    wanted = tuple(stack)
    same = 0
    for one, other in zip(provider.overridden, wanted, strict=False):
        if one is not other:
            break
        same += 1
    # The methods of the class: the ones of containers also override the providers in them.
    while len(provider.overridden) > same:
        providers.Provider.reset_last_overriding(provider)
    for replacement in wanted[same:]:
        providers.Provider.override(provider, replacement)
    if isinstance(provider, providers.Configuration):
        provider.reset_cache()
