"""Block in which providers are overridden: how it begins, and how it restores everything."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import final

from dependency_injector import containers, providers

from metrics.errors import LifecycleError
from metrics.lifecycle._testing import (
    LifecycleInstance,
    disown,
    in_transition,
    namer,
    needs_loop,
    own_temporarily,
    resources_to_stop,
    stops,
)
from metrics.testing.overriding._copies import copy_singletons, recreate, remove_copies
from metrics.testing.overriding._dependents import Dependencies, is_in_transition
from metrics.testing.overriding._fakes import Entered, enter, is_entered, new_fakes
from metrics.testing.overriding._layers import (
    Caller,
    Layer,
    add,
    changing,
    release,
    remove,
    reserve,
    visible,
)
from metrics.testing.overriding._options import Provider
from metrics.testing.overriding._replacements import Replacement


@final
class OverridingBlock:
    """Overrides of one block, and the resources that it has started."""

    def __init__(self, container: containers.DynamicContainer, replaced: list[Replacement]) -> None:
        self._container = container
        self._replaced = replaced
        # The overridden providers; and these, or the options of them that are replaced.
        self._by_name = {next(iter(each.by_name)): each.provider for each in replaced}
        self._requested = {name: one for each in replaced for name, one in each.by_name.items()}
        self._fakes: LifecycleInstance | None = None
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
        self._caller = reserve(self._by_name)
        dependencies = Dependencies(self._container)
        layers = self._prepare(dependencies)
        if self._fakes is not None and any(
            isinstance(fake, Entered) for fake in self._fakes.providers.values()
        ):
            self._check(dependencies)  # before any fake starts, and again afterwards
            await complete(self._fakes.init_resources(Entered), in_loop=in_loop)
            dependencies = Dependencies(self._container)
        with changing:
            self._check(dependencies)
            self._add(layers, dependencies)

    async def end(self, error: BaseException | None, *, in_loop: bool) -> list[BaseException]:
        """Stop the resources that hold a fake, then the fakes, and undo the overrides.

        Args:
            error: the exception that the block has raised, for context managers.
            in_loop: whether an event loop may be waited for.

        Returns:
            the exceptions of the stops.
        """
        failures: list[BaseException] = []
        dependencies = Dependencies(self._container)  # others may borrow from it by now
        changed = [one for layer in self._layers for one in visible(layer)]
        for end in self._ends(dependencies, changed, error):
            try:
                await complete(end(), in_loop=in_loop)
            except BaseException as failure:  # noqa: BLE001 - raised when everything is restored
                failures.append(failure)
        try:
            with changing:
                self._restore(dependencies, changed)
            if self._fakes is not None:
                disown(self._fakes, dependencies.containers)
        finally:
            if self._caller is not None:
                release(self._by_name, self._caller)
        return failures

    def _ends(
        self, dependencies: Dependencies, changed: list[Provider], error: BaseException | None
    ) -> list[Callable[[], Awaitable[None]]]:
        """Return functions that stop the resources that hold a fake, and then the fakes."""
        covered = [one for layer in self._layers for one in layer.changed]
        limited = isinstance(self._container, LifecycleInstance)
        ends: list[Callable[[], Awaitable[None]]] = stops(
            reversed(dependencies.captors(changed, covered)),
            [
                record
                for container in self._borrowed
                for record in resources_to_stop(container)
                if record not in self._left_alone
            ],
            dependencies.containers,
            self._container.stop_seconds(None) if limited else None,
            error,
        )
        if self._fakes is not None:
            ends.append(partial(self._fakes.shutdown_resources, error=error))
        return ends

    def _check(self, dependencies: Dependencies) -> None:
        """Raise LifecycleError if the providers are used by a resource that has been started."""
        for container in in_transition(dependencies.containers):
            raise LifecycleError(
                f"cannot override {self._names}: {container}; override before that, or afterwards"
            )
        for name, provider in self._by_name.items():
            if is_in_transition(provider):
                raise LifecycleError(
                    f"cannot override {name!r}: it is being started or stopped; override before "
                    "that, or afterwards"
                )
        requested = self._requested.values()
        captors = dependencies.captors(requested, requested)
        if captors:
            name_of = namer([self._container, *dependencies.containers])
            names = ", ".join(repr(name_of(resource)) for resource in captors)
            using = f"resource {names} already uses"
            if len(captors) > 1:
                using = f"resources {names} already use"
            raise LifecycleError(
                f"cannot override {self._names}: running {using} "
                f"{'it' if len(self._requested) == 1 else 'them'}; override before the container "
                "starts, or stop it first"
            )

    @property
    def _names(self) -> str:
        return ", ".join(map(repr, self._requested))

    def _prepare(self, dependencies: Dependencies) -> list[Layer]:
        """Return a layer for each replacement, and own the resources that it starts."""
        given_providers: dict[str, Provider] = {}
        # A value that is given for several providers is one fake.
        made: dict[int, Provider] = {}
        layers = []
        for provider, given, by_name in self._replaced:
            name = next(iter(by_name))
            replacement: Provider
            if isinstance(given, providers.Provider):
                replacement = given
                if isinstance(given, providers.Container):
                    self._borrow(given.container)
                elif given not in dependencies:
                    given_providers[name] = given
            elif isinstance(given, containers.DynamicContainer):
                replacement = providers.Object(given)
                self._borrow(given)
            elif not is_entered(given):
                replacement = providers.Object(given)
            elif id(given) in made:
                replacement = made[id(given)]
            else:
                replacement = made[id(given)] = enter(self._own_fakes(), name, given)
            layers.append(Layer(provider, replacement, [*by_name.values()]))
        if given_providers:
            own_temporarily(self._own_fakes(), given_providers, set(dependencies))
        return layers

    def _own_fakes(self) -> LifecycleInstance:
        """Return the container of the fakes, which few blocks need."""
        if self._fakes is None:
            self._fakes = new_fakes()
        return self._fakes

    def _borrow(self, container: containers.DynamicContainer) -> None:
        self._borrowed.append(container)
        self._left_alone.update(resources_to_stop(container))

    def _add(self, layers: list[Layer], dependencies: Dependencies) -> None:
        holding = dependencies.dependents(self._requested.values())
        overridden = self._by_name.values()
        self._undecided = [p for p in (*holding, *overridden) if not p.is_async_mode_enabled()]
        for layer in layers:
            if isinstance(layer.replacement, Entered):
                layer.replacement = providers.Object(layer.replacement.record.value)
            add(layer)
            self._layers.append(layer)
        copy_singletons(holding, self._copies)
        dependencies.reset_options(overridden)
        for provider in self._undecided:
            provider.reset_async_mode()

    def _restore(self, dependencies: Dependencies, changed: list[Provider]) -> None:
        stale = dependencies.dependents(changed)
        # Dependents that were declared inside, or became dependents there, have no copy.
        late = [p for p in dependencies.dependents(changed, present=True) if p not in self._copies]
        remove_copies(self._copies)
        for layer in reversed(self._layers):
            remove(layer)
        recreate(stale, late)
        dependencies.reset_options(self._by_name.values())
        for provider in self._undecided:
            # A resource that could not be stopped from here has to be awaited when it stops.
            if not (isinstance(provider, providers.BaseResource) and provider.initialized):
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
