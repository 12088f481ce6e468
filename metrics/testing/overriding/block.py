"""One block in which providers are overridden: how it begins, and how it puts everything back."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from inspect import isawaitable
from typing import Any, final

from dependency_injector import containers, providers

from metrics.errors import LifecycleError
from metrics.lifecycle.container import LifecycleInstance
from metrics.lifecycle.lifecycle import DOWN, SHUTDOWN_TIMEOUT, Lifecycle
from metrics.lifecycle.order import in_order
from metrics.lifecycle.outcome import DONE, Awaited, Operation, perform
from metrics.lifecycle.part import Part, State
from metrics.lifecycle.resource import Resource
from metrics.testing.overriding.copies import copy_singletons, remake, take_back
from metrics.testing.overriding.fakes import Borrowed, Entered, disown, enter, new_fakes, own
from metrics.testing.overriding.holders import (
    CHANGING,
    AnyResource,
    captors,
    circle,
    declared_or_put_on,
    holders,
    in_use,
    is_changing,
    namer,
    roots_of,
)
from metrics.testing.overriding.layers import (
    Caller,
    Layer,
    Provider,
    changing,
    is_on_top,
    put_on,
    release,
    reserve,
    take_away,
)
from metrics.testing.overriding.replacements import Replacement


@final
class Block:
    """What one block has replaced and started."""

    def __init__(self, container: LifecycleInstance, replaced: list[Replacement]) -> None:
        self._container = container
        self._replaced = replaced
        self._named = {name: provider for name, provider, _ in replaced}
        self._around = circle(container)
        self._fakes = new_fakes()
        self._caller: Caller | None = None
        self._borrowed: list[Borrowed] = []
        self._layers: list[Layer] = []
        self._copies: dict[Provider, Provider] = {}
        # The parts that cannot be asked for before, and so cannot afterwards.
        self._down: set[Part] = set()
        # What finds out anew whether what it provides has to be awaited.
        self._undecided: list[Provider] = []

    async def begin(self, *, in_loop: bool) -> None:
        """Put everything in place.

        Args:
            in_loop: whether an event loop may be waited for.

        Raises:
            LifecycleError: what is to be replaced is in use.
        """
        self._caller = reserve(self._named)
        instead = self._prepared(in_loop=in_loop)
        if any(isinstance(fake, Entered) for fake in self._fakes.providers.values()):
            self._check()  # before anything starts, and again when it has
            await settled(self._fakes.init_resources(Entered), in_loop=in_loop)
        with changing:
            self._check()
            self._put_on(instead)

    async def end(self, error: BaseException | None, *, in_loop: bool) -> list[BaseException]:
        """Stop what holds a fake, then the fakes, and put back what was there.

        Args:
            error: what the block has raised, for the hooks to see.
            in_loop: whether an event loop may be waited for.

        Returns:
            What failed on the way.
        """
        failures: list[BaseException] = []
        self._around = circle(self._container)  # others may have been lent something meanwhile
        changed = [layer.provider for layer in self._layers if is_on_top(layer)]
        # Nothing but what nobody has used is NEW, and that stays so.
        unused = [part for part in self._lifecycle_of_fakes.parts if part.state is State.NEW]
        stopped, stops = self._stops(changed, error)
        for stop in stops:
            try:
                await settled(stop(), in_loop=in_loop)
            except BaseException as failure:  # noqa: BLE001 - raised when everything is put back
                failures.append(failure)
        try:
            with changing:
                self._put_back(changed)
            for part in stopped:
                if part not in self._down and part.lifecycle is not None:
                    part.lifecycle.revive([part])
            for part in unused:
                part.reset(State.NEW)
            disown(self._fakes, self._container)
        finally:
            if self._caller is not None:
                release(self._named, self._caller)
        return failures

    def _check(self) -> None:
        """Refuse to override what is being started, or what something that is up has got."""
        for container in self._around:
            if isinstance(container, LifecycleInstance):
                lifecycle = container._ownership.lifecycle
                if lifecycle.state in CHANGING:
                    raise LifecycleError(
                        f"{lifecycle.name} is {lifecycle.state}: override what is in it before "
                        "that, or afterwards"
                    )
        for name, provider in self._named.items():
            if is_changing(provider):
                raise LifecycleError(f"{name!r} is being started or stopped: override it before")
        captured = captors(self._around, self._named.values(), self._named.values())
        if captured:
            name_of = namer([self._container, *self._around])
            named = ", ".join(repr(name) for name in self._named)
            holding = ", ".join(repr(name_of(resource)) for resource in captured)
            raise LifecycleError(
                f"{named} cannot be overridden, because what is there was given to what is up, "
                f"{holding}: override before the container starts, or stop it first"
            )

    def _prepared(self, *, in_loop: bool) -> list[Layer]:
        """Make a provider of everything given, and own what it starts."""
        roots = roots_of(self._around)
        known = {provider for provider, _ in in_order(roots, declared_or_put_on)}
        given_providers: dict[str, Provider] = {}
        # What is given in several places is one fake.
        made: dict[int, Provider] = {}
        layers = []
        for name, provider, given in self._replaced:
            replacement: Provider
            if isinstance(given, providers.Provider):
                replacement = given
                if isinstance(given, providers.Container):
                    self._borrowed.append(Borrowed(given.container))
                elif given not in known:
                    given_providers[name] = given
            elif isinstance(given, containers.DynamicContainer):
                replacement = providers.Object(given)
                self._borrowed.append(Borrowed(given))
            elif id(given) in made:
                replacement = made[id(given)]
            else:
                replacement = made[id(given)] = enter(self._fakes, name, given, in_loop=in_loop)
            layers.append(Layer(provider, replacement))
        own(self._fakes, given_providers, known)
        return layers

    def _put_on(self, layers: list[Layer]) -> None:
        roots, named = roots_of(self._around), self._named.values()
        holding = list(holders(roots, named, declared_or_put_on))
        affected = [*holding, *named]
        self._down = {
            part
            for container in self._around
            if isinstance(container, LifecycleInstance)
            for part in container._ownership.lifecycle.parts
            if part.state in DOWN
        }
        self._undecided = [one for one in affected if not one.is_async_mode_enabled()]
        for layer in layers:
            if isinstance(layer.replacement, Entered):
                layer.replacement = providers.Object(layer.replacement.part.value)
            put_on(layer)
            self._layers.append(layer)
        copy_singletons(holding, self._copies)
        for provider in self._undecided:
            provider.reset_async_mode()

    def _put_back(self, changed: Collection[Provider]) -> None:
        roots = roots_of(self._around)
        stale = list(holders(roots, changed, declared_or_put_on))
        # What was declared inside, or needs it since then, has no copy.
        late = [one for one in holders(roots, changed, in_use) if one not in self._copies]
        take_back(self._copies)
        for layer in reversed(self._layers):
            take_away(layer)
        remake(stale, late)
        for provider in self._undecided:
            provider.reset_async_mode()

    def _stops(
        self, changed: Collection[Provider], error: BaseException | None
    ) -> tuple[list[Part], list[Callable[[], Awaitable[None]]]]:
        """Return the parts that are up and hold what is about to go, and what stops everything."""
        known: dict[AnyResource, Part] = {}
        for container in self._around:
            if isinstance(container, LifecycleInstance):
                ownership = container._ownership
                ownership.find_started()
                known.update(ownership.stock)
        parts: dict[Lifecycle, list[Part]] = defaultdict(list)
        stops: list[Callable[[], Awaitable[None]]] = []
        own = [layer.provider for layer in self._layers]
        for resource in reversed(captors(self._around, changed, own)):
            part = resource.part if isinstance(resource, Resource) else known.get(resource)
            if part is None or part.lifecycle is None:
                stops.append(partial(stop_stock, resource))
            else:
                parts[part.lifecycle].append(part)
        for part in (part for borrowed in self._borrowed for part in borrowed.started()):
            if part.lifecycle is not None and part not in parts[part.lifecycle]:
                parts[part.lifecycle].append(part)
        stopped = [part for found in parts.values() for part in found]
        stops += [partial(self._stop, *each, error) for each in parts.items()]
        stops.append(partial(self._fakes.shutdown_resources, error=error))
        return stopped, stops

    def _stop(
        self, lifecycle: Lifecycle, parts: list[Part], error: BaseException | None
    ) -> Awaitable[None]:
        waiting = ", ".join(repr(part.name) for part in parts if part.in_loop)
        why = f"async parts need an event loop: {waiting}" if waiting else ""
        if not why and lifecycle.changing_here:
            why = f"{lifecycle.name} is being started or stopped in this event loop"
        declared = self._container.declarative_parent
        seconds = getattr(declared, "shutdown_timeout", SHUTDOWN_TIMEOUT)
        return perform(
            Operation("overridden()", lambda way: lifecycle.stop(way, seconds, error, parts), why)
        )

    @property
    def _lifecycle_of_fakes(self) -> Lifecycle:
        return self._fakes._ownership.lifecycle


async def settled(change: Awaitable[None], *, in_loop: bool) -> None:
    """Wait for a start or a stop.

    Raises:
        LifecycleError: it needs an event loop.
    """
    if isinstance(change, Awaited) and not in_loop:
        change.close()
        raise LifecycleError(
            "something async is to be started or stopped: write `async with overridden(...)` "
            "instead of `with`"
        )
    await change


def stop_stock(resource: AnyResource) -> Awaitable[None]:
    """Stop a resource that no container of ours has."""
    stopping: Any = resource.shutdown()
    return stopping if isawaitable(stopping) else DONE
