"""Which parts are a container's own: declared in it, or started by it; others are lent to it."""

from collections.abc import Iterable, Iterator
from typing import Any, final
from weakref import ref

from dependency_injector import containers, providers

from metrics.errors import LifecycleError
from metrics.lifecycle.hooks import is_async_hook
from metrics.lifecycle.injection import AsyncStock, Stock
from metrics.lifecycle.lifecycle import Lifecycle
from metrics.lifecycle.order import (
    Declarations,
    Needs,
    Provider,
    all_needs,
    declared_needs,
    in_order,
    name_of,
    names_of,
    selected_needs,
)
from metrics.lifecycle.part import Part, State
from metrics.lifecycle.plan import Plan, Step, plan
from metrics.lifecycle.resource import Resource

AnyResource = providers.BaseResource[Any]


@final
class Ownership:
    """The parts of one container and of those that are embedded in it."""

    def __init__(self, container: containers.DynamicContainer, lifecycle: Lifecycle) -> None:
        self._container = ref(container)
        self._lifecycle = lifecycle
        # The parts of dependency-injector's own resources, which have no place for one.
        self._stock: dict[AnyResource, Part] = {}
        self._seen: set[Provider] = set()
        # What these parts are started and stopped with, when the container is embedded.
        self.outer: Ownership | None = None

    @property
    def embedded(self) -> bool:
        """Whether another container starts and stops these parts with its own."""
        return self.outer is not None

    @property
    def lifecycle(self) -> Lifecycle:
        """What starts and stops the parts."""
        return self._lifecycle if self.outer is None else self.outer.lifecycle

    @property
    def stock(self) -> dict[AnyResource, Part]:
        """The parts of dependency-injector's own resources."""
        return self._stock if self.outer is None else self.outer.stock

    def adopt(self, name: str, declared: Provider) -> None:
        """Own the parts of a declaration, unless they belong to another container."""
        names = {declared: name}
        if isinstance(declared, providers.Container):
            within = names_of(declared.container)
            names.update({provider: f"{name}.{inner}" for provider, inner in within.items()})

        def unseen(provider: Provider) -> Iterator[Provider]:
            if isinstance(provider, providers.Container):
                self._embed(provider.container)
            return (needed for needed in declared_needs(provider) if needed not in self._seen)

        for provider, _ in in_order([declared], unseen):
            self._seen.add(provider)
            if isinstance(provider, providers.BaseResource):
                self.part_of(provider)
        for provider, dotted in names.items():
            part = self._known(provider)
            if part is not None and self.owns(part):
                part.name = dotted

    def _embed(self, container: containers.DynamicContainer) -> None:
        """Own the parts of another container, unless it has started some."""
        inner = getattr(container, "_ownership", None)
        if not isinstance(inner, Ownership) or inner.embedded or inner.lifecycle.record:
            return
        for part in inner.lifecycle.parts:
            self.lifecycle.adopt(part)
        self.stock.update(inner.stock)
        inner.outer = self

    def owns(self, part: Part) -> bool:
        """Return whether a part is one of these."""
        return part.lifecycle is self.lifecycle

    def part_of(self, provider: AnyResource) -> Part | None:
        """Return the part of a resource; None if it was started by somebody else.

        One that nobody has started, and no container owns, is owned from now on.
        """
        known = self._known(provider)
        if known is not None and known.lifecycle is not None and known.lifecycle.owner():
            return known
        if provider.initialized and provider not in self._seen:
            return None
        part = known or Part(name_of(provider, {}))
        if not isinstance(provider, Resource):
            self.stock[provider] = part
        self.lifecycle.adopt(part)
        return part

    def _known(self, provider: Provider) -> Part | None:
        if isinstance(provider, Resource):
            return provider.part
        return self.stock.get(provider) if isinstance(provider, providers.BaseResource) else None

    def planned(self, resource_type: type[AnyResource]) -> list[Step]:
        """Return what is to be started, in order."""
        steps = self._plan(*selected_needs(self._declarations)).steps
        return [step for step in steps if isinstance(step.provider, resource_type)]

    def all_steps(self) -> list[Step]:
        """Return every part that might be started."""
        return self._plan(self._declarations.providers.values(), all_needs).steps

    def owned(self, resource_type: type[AnyResource]) -> list[Part]:
        """Return the container's own parts of one type."""
        return [
            step.part
            for step in self.all_steps()
            if isinstance(step.provider, resource_type) and self.owns(step.part)
        ]

    def forget_singletons(self) -> None:
        """Let the singletons that keep parts be made anew when they are asked for."""
        for singleton in self._plan(self._declarations.providers.values(), all_needs).singletons:
            singleton.reset()

    def find_started(self) -> None:
        """Enter into the record which of dependency-injector's own resources came up by themselves.

        Such a resource stands behind the last part that it needs.
        """
        found: dict[Part, AnyResource] = {}
        record = self.lifecycle.record
        for resource, part in self.stock.items():
            if resource.initialized and part.leave is None:
                found[part] = resource
            elif not resource.initialized and part.state is State.RUNNING:
                part.reset(State.NEW)
                record.pop(part, None)
        if not found:
            return
        places = {part: (place, 0) for place, part in enumerate(record)}
        behind: dict[Provider, tuple[int, int]] = {}
        for provider, needed in in_order(self._declarations.providers.values(), all_needs):
            place = max((behind[n] for n in needed if n in behind), default=(-1, 0))
            known = self._known(provider)
            if known in found:
                place = places[known] = (place[0], len(places))
            behind[provider] = place if known is None else places.get(known, place)
        for part, resource in found.items():
            part.state = State.RUNNING
            part.in_loop = is_async_hook(resource.provides)
            hook = AsyncStock(resource) if part.in_loop else Stock(resource)
            part.leave = hook.__aexit__ if isinstance(hook, AsyncStock) else hook.__exit__
        ordered = sorted([*record, *found], key=lambda part: places.get(part, (-1, 0)))
        record.clear()
        record.update(dict.fromkeys(ordered))

    def _plan(self, roots: Iterable[Provider], needs: Needs) -> Plan:
        return plan(roots, needs, self.part_of, self.owns)

    @property
    def _declarations(self) -> Declarations:
        container = self._container()
        if container is None:
            raise LifecycleError(f"{self.lifecycle.name} is gone; keep the container")
        return container
