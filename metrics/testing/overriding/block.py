"""One block in which providers are overridden: how it begins, and how it restores everything."""

from collections.abc import Awaitable, Callable, Collection
from functools import partial
from typing import final

from dependency_injector import containers, providers

from metrics.errors import LifecycleError
from metrics.lifecycle._testing import (
    LifecycleInstance,
    disown,
    in_order,
    in_transition,
    namer,
    needs_loop,
    own_temporarily,
    resources_to_stop,
    stops,
)
from metrics.testing.overriding.copies import copy_singletons, recreate, take_back
from metrics.testing.overriding.fakes import Entered, enter, new_fakes
from metrics.testing.overriding.holders import (
    captors,
    circle,
    holders,
    is_in_transition,
    needs_in_time,
    present_needs,
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
    """Overrides of one block, and the resources that it has started."""

    def __init__(self, container: LifecycleInstance, replaced: list[Replacement]) -> None:
        self._container = container
        self._replaced = replaced
        self._named = {name: provider for name, provider, _ in replaced}
        self._around = circle(container)
        self._fakes = new_fakes()
        self._caller: Caller | None = None
        # Whole containers in place of embedded ones, and their resources that ran before.
        self._borrowed: list[containers.DynamicContainer] = []
        self._left_alone: set[object] = set()
        self._layers: list[Layer] = []
        self._copies: dict[Provider, Provider] = {}
        # Providers that have yet to find out whether their product has to be awaited.
        self._undecided: list[Provider] = []

    async def begin(self, *, in_loop: bool) -> None:
        """Override the providers.

        Args:
            in_loop: whether an event loop may be waited for.

        Raises:
            LifecycleError: running resources use them.
        """
        self._caller = reserve(self._named)
        layers = self._prepared(in_loop=in_loop)
        if any(isinstance(fake, Entered) for fake in self._fakes.providers.values()):
            self._check()  # before any fake starts, and again when it has
            await complete(self._fakes.init_resources(Entered), in_loop=in_loop)
        with changing:
            self._check()
            self._put_on(layers)

    async def end(self, error: BaseException | None, *, in_loop: bool) -> list[BaseException]:
        """Stop the resources that hold a fake, then the fakes, and undo the overrides.

        Args:
            error: the exception that the block has raised, for context managers.
            in_loop: whether an event loop may be waited for.

        Returns:
            the exceptions of the stops.
        """
        failures: list[BaseException] = []
        self._around = circle(self._container)  # others may borrow from it by now
        changed = [layer.provider for layer in self._layers if is_on_top(layer)]
        ends: list[Callable[[], Awaitable[None]]] = stops(
            reversed(captors(self._around, changed, [layer.provider for layer in self._layers])),
            [
                record
                for container in self._borrowed
                for record in resources_to_stop(container)
                if record not in self._left_alone
            ],
            self._around,
            self._container,
            error,
        )
        ends.append(partial(self._fakes.shutdown_resources, error=error))
        for end in ends:
            try:
                await complete(end(), in_loop=in_loop)
            except BaseException as failure:  # noqa: BLE001 - raised when everything is restored
                failures.append(failure)
        try:
            with changing:
                self._restore(changed)
            disown(self._fakes, self._around)
        finally:
            if self._caller is not None:
                release(self._named, self._caller)
        return failures

    def _check(self) -> None:
        """Raise LifecycleError if the providers are used by a resource that has been started."""
        for container in in_transition(self._around):
            raise LifecycleError(
                f"cannot override {self._names}: {container}; override before that, or afterwards"
            )
        for name, provider in self._named.items():
            if is_in_transition(provider):
                raise LifecycleError(
                    f"cannot override {name!r}: it is being started or stopped; override before "
                    "that, or afterwards"
                )
        captured = captors(self._around, self._named.values(), self._named.values())
        if captured:
            name_of = namer([self._container, *self._around])
            names = ", ".join(repr(name_of(resource)) for resource in captured)
            using = f"resource {names} already uses"
            if len(captured) > 1:
                using = f"resources {names} already use"
            raise LifecycleError(
                f"cannot override {self._names}: running {using} "
                f"{'it' if len(self._named) == 1 else 'them'}; override before the container "
                "starts, or stop it first"
            )

    @property
    def _names(self) -> str:
        return ", ".join(map(repr, self._named))

    def _prepared(self, *, in_loop: bool) -> list[Layer]:
        """Return a provider for everything given, and own the resources that it starts."""
        roots = roots_of(self._around)
        known = {provider for provider, _ in in_order(roots, needs_in_time)}
        given_providers: dict[str, Provider] = {}
        # A value that is given for several providers is one fake.
        made: dict[int, Provider] = {}
        layers = []
        for name, provider, given in self._replaced:
            replacement: Provider
            if isinstance(given, providers.Provider):
                replacement = given
                if isinstance(given, providers.Container):
                    self._borrow(given.container)
                elif given not in known:
                    given_providers[name] = given
            elif isinstance(given, containers.DynamicContainer):
                replacement = providers.Object(given)
                self._borrow(given)
            elif id(given) in made:
                replacement = made[id(given)]
            else:
                replacement = made[id(given)] = enter(self._fakes, name, given, in_loop=in_loop)
            layers.append(Layer(provider, replacement))
        own_temporarily(self._fakes, given_providers, known)
        return layers

    def _borrow(self, container: containers.DynamicContainer) -> None:
        self._borrowed.append(container)
        self._left_alone.update(resources_to_stop(container))

    def _put_on(self, layers: list[Layer]) -> None:
        roots, named = roots_of(self._around), self._named.values()
        holding = holders(roots, named, needs_in_time)
        self._undecided = [p for p in (*holding, *named) if not p.is_async_mode_enabled()]
        for layer in layers:
            if isinstance(layer.replacement, Entered):
                layer.replacement = providers.Object(layer.replacement.record.value)
            put_on(layer)
            self._layers.append(layer)
        copy_singletons(holding, self._copies)
        for provider in self._undecided:
            provider.reset_async_mode()

    def _restore(self, changed: Collection[Provider]) -> None:
        roots = roots_of(self._around)
        stale = holders(roots, changed, needs_in_time)
        # Dependents that were declared inside, or became dependents there, have no copy.
        late = [p for p in holders(roots, changed, present_needs) if p not in self._copies]
        take_back(self._copies)
        for layer in reversed(self._layers):
            take_away(layer)
        recreate(stale, late)
        for provider in self._undecided:
            provider.reset_async_mode()


async def complete(transition: Awaitable[None], *, in_loop: bool) -> None:
    """Wait for a start or a stop.

    Raises:
        LifecycleError: it needs an event loop.
    """
    if not in_loop and needs_loop(transition):
        transition.close()
        raise LifecycleError(
            "an async resource is to be started or stopped: write `async with overridden(...)` "
            "instead of `with`"
        )
    await transition
