"""Overrides of providers, which blocks put on and take away in any order."""

import asyncio
import threading
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias, final

from dependency_injector import providers

from metrics.errors import LifecycleError

Provider: TypeAlias = providers.Provider[Any]
Needs: TypeAlias = Callable[[Provider], Iterable[Provider]]
Stack: TypeAlias = tuple[Provider, ...]


class Caller(NamedTuple):
    """Thread that overrides and, in an event loop, its task."""

    thread: threading.Thread
    task: asyncio.Task[Any] | None
    in_loop: bool

    @property
    def gone(self) -> bool:
        """Whether it has ended, as the task of an async fixture has after its setup."""
        if self.task is not None and (self.task.done() or self.task.get_loop().is_closed()):
            return True
        return not self.thread.is_alive()

    def is_within(self, other: "Caller") -> bool:
        """Return whether this one ends its blocks before the other goes on."""
        if self.thread is not other.thread:
            return False
        return other.task in {None, self.task} or not self.in_loop


def caller() -> Caller:
    """Return the calling thread and task."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return Caller(threading.current_thread(), None, in_loop=False)
    return Caller(threading.current_thread(), asyncio.current_task(), in_loop=True)


@final
class Layer:
    """Override of one provider by a block."""

    __slots__ = ("before", "provider", "replacement")

    def __init__(self, provider: Provider, replacement: Provider) -> None:
        self.provider = provider
        self.replacement = replacement
        # The overrides before it, without those that other blocks have taken away since.
        self.before: Stack = ()


changing = threading.RLock()
"""Held while layers are put on and taken away; never while code of the program runs."""

_layers: dict[Provider, list[Layer]] = {}
_callers: dict[Provider, list[Caller]] = {}


def reserve(named: Mapping[str, Provider]) -> Caller:
    """Keep other threads and tasks from overriding the same providers; return the caller.

    Raises:
        LifecycleError: another one overrides them already, and goes on.
    """
    mine = caller()
    with changing:
        for name, provider in named.items():
            for other in _callers.get(provider, ()):
                if not other.gone and not mine.is_within(other):
                    by = other.thread.name if other.task is None else other.task.get_name()
                    raise LifecycleError(
                        f"{name!r} is overridden by {by!r} at the same time, and an override "
                        "holds for the whole process: give each test a container of its own"
                    )
        for provider in named.values():
            _callers.setdefault(provider, []).append(mine)
    return mine


def release(named: Mapping[str, Provider], mine: Caller) -> None:
    """Let others override the same providers."""
    with changing:
        for provider in named.values():
            _callers[provider].remove(mine)
            if not _callers[provider]:
                del _callers[provider]


def put_on(layer: Layer) -> None:
    """Override a provider."""
    with changing:
        layer.before = layer.provider.overridden
        _layers.setdefault(layer.provider, []).append(layer)
        pile(layer.provider, (*layer.before, layer.replacement))


def is_on_top(layer: Layer) -> bool:
    """Return whether a layer is the last override of its provider."""
    return layer.provider.last_overriding is layer.replacement


def take_away(layer: Layer) -> None:
    """Restore the overrides before it and, of those since, the ones of other blocks."""
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
        pile(layer.provider, stack)


def without(layer: Layer, stack: Stack) -> Stack:
    """Return a stack with the layer taken out of its place."""
    place = len(layer.before)
    if stack[place : place + 1] != (layer.replacement,):
        return stack
    return stack[:place] + stack[place + 1 :]


def put_under(provider: Provider, copies: Container[Provider], copy: Provider) -> None:
    """Override a provider by a copy of it, above its other copies and under all other overrides."""
    with changing:

        def over_copies(stack: Stack) -> Stack:
            place = next((i for i, one in enumerate(stack) if one not in copies), len(stack))
            return (*stack[:place], copy, *stack[place:])

        restack(provider, over_copies)


def take_out(provider: Provider, copy: Provider) -> None:
    """Take a copy of a provider away, wherever it is among the overrides."""
    with changing:
        restack(provider, lambda stack: tuple(one for one in stack if one is not copy))


def restack(provider: Provider, change: Callable[[Stack], Stack]) -> None:
    """Change the overrides of a provider, now and when layers have been taken away."""
    for layer in _layers.get(provider, ()):
        layer.before = change(layer.before)
    pile(provider, change(provider.overridden))


def pile(provider: Provider, stack: Iterable[Provider]) -> None:
    """Override a provider by a stack and nothing else; the part that differs is replaced."""
    wanted = tuple(stack)
    same = 0
    for one, other in zip(provider.overridden, wanted, strict=False):
        if one is not other:
            break
        same += 1
    # The methods of the class: those of containers also override the providers in them.
    while len(provider.overridden) > same:
        providers.Provider.reset_last_overriding(provider)
    for replacement in wanted[same:]:
        providers.Provider.override(provider, replacement)
    if isinstance(provider, providers.Configuration):
        provider.reset_cache()
