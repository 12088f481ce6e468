"""Which parts are a container's own: declared in it, or started by it; others are lent to it."""

import gc
from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any, final
from weakref import ref

from dependency_injector import containers, providers

from metrics.errors import LifecycleError
from metrics.lifecycle.events import Events
from metrics.lifecycle.hooks import is_async_hook
from metrics.lifecycle.immortal import keep
from metrics.lifecycle.injection import AsyncStock, Stock
from metrics.lifecycle.lifecycle import Lifecycle
from metrics.lifecycle.order import (
    Declarations,
    Provider,
    all_needs,
    declared_needs,
    in_order,
    name_of,
    names_of,
    related,
    selected_needs,
)
from metrics.lifecycle.part import Part, State
from metrics.lifecycle.plan import Step, plan
from metrics.lifecycle.resource import Resource
from metrics.lifecycle.singletons import forget, keepers

AnyResource = providers.BaseResource[Any]


@final
class Ownership:
    """The parts of one container and of those that are embedded in it."""

    def __init__(self, container: containers.DynamicContainer, lifecycle: Lifecycle) -> None:
        self._container = ref(container)
        self._lifecycle = lifecycle
        # The parts of dependency-injector's own resources, which have no place for one.
        self._stock: dict[AnyResource, Part] = {}
        # What was declared here, and the parts of it, or that were lent and started from here.
        self._seen: set[Provider] = set()
        self._own: dict[Part, None] = {}
        self._unnamed: Counter[str] = Counter()
        # The container's and not the life cycle's: who is told may refer to the container.
        self._events = Events()
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
    def events(self) -> Events:
        """Who is told what happens to the parts."""
        return self._events if self.outer is None else self.outer.events

    @property
    def stock(self) -> dict[AnyResource, Part]:
        """The parts of dependency-injector's own resources."""
        return self._stock if self.outer is None else self.outer.stock

    def adopt(self, name: str, declared: Provider) -> None:
        """Own the parts of a declaration, unless they belong to another container."""
        names = {declared: name}
        if isinstance(declared, providers.Container) and declared.container is not None:
            within = names_of(declared.container)
            names.update({provider: f"{name}.{inner}" for provider, inner in within.items()})

        def unseen(provider: Provider) -> Iterator[Provider]:
            if isinstance(provider, providers.Container):
                if provider.container is None:
                    return iter(())  # it is still being copied, and will be declared again
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
            self._own[part] = None
        self.stock.update(inner.stock)
        inner.outer = self

    def owns(self, part: Part) -> bool:
        """Return whether a part is one of these."""
        return part in self._own

    def part_of(self, provider: AnyResource) -> Part | None:
        """Return the part of a resource; None if it was started by somebody else.

        One that nobody has started, and no container owns, is owned from now on.
        """
        known = self._known(provider)
        if known is not None and known.lifecycle is not None and known.lifecycle.owner():
            return known
        if provider.initialized and provider not in self._seen:
            return None
        part = known or Part("")
        part.name = self._free_name(name_of(provider, {}))
        if not isinstance(provider, Resource):
            self.stock[provider] = part
        self.lifecycle.adopt(part)
        self._own[part] = None
        return part

    def _free_name(self, name: str) -> str:
        """Return a name for a part that was declared without one; no other part has it."""
        self._unnamed[name] += 1
        count = self._unnamed[name]
        return name if count == 1 else f"{name[:-1]} {count})"

    def _known(self, provider: Provider) -> Part | None:
        if isinstance(provider, Resource):
            return provider.part
        return self.stock.get(provider) if isinstance(provider, providers.BaseResource) else None

    def planned(self, resource_type: type[AnyResource]) -> list[Step]:
        """Return what is to be started, in order."""
        steps = plan(*selected_needs(self._declarations), self.part_of)
        return [step for step in steps if isinstance(step.provider, resource_type)]

    def all_steps(self) -> list[Step]:
        """Return every part that might be started; to look is not to own."""
        return plan(self._declarations.providers.values(), all_needs, self._look)

    def owned(self, resource_type: type[AnyResource]) -> list[Part]:
        """Return the container's own parts of one type."""
        return [
            step.part
            for step in self.all_steps()
            if isinstance(step.provider, resource_type) and self.owns(step.part)
        ]

    def forget_singletons(self, parts: Collection[Part]) -> None:
        """Let the singletons that keep parts be made anew when they are asked for.

        When everything stops, what was declared here forgets what was lent to it as well: its owner
        may have started it anew when this starts again.
        """
        roots, gone = self._declarations.providers.values(), set(parts)
        affected = list(keepers(roots, related, lambda resource: self._known(resource) in gone))
        if gone.issuperset(self._own):
            # What lies over a singleton hides it from what is lent now.
            lent = keepers(roots, all_needs, lambda _resource: True)
            affected += [singleton for singleton in lent if singleton in self._seen]
        for singleton in affected:
            forget(singleton)

    def begin_anew(self) -> None:
        """Take dependency-injector's own resources for NEW, in a forked process."""
        for resource in self.stock:
            if resource.initialized:
                for state in gc.get_referents(resource):
                    if type(state).__name__ == "ResourceState":
                        keep(state)
                resource.reset_state()  # type: ignore[attr-defined] # the stubs have left it out

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

    def _look(self, provider: AnyResource) -> Part | None:
        """Return the part of a resource as it is."""
        return self._known(provider) or Part(name_of(provider, {}))

    @property
    def container(self) -> containers.DynamicContainer | None:
        """Whose parts these are, unless it has been collected."""
        return self._container()

    @property
    def _declarations(self) -> Declarations:
        container = self._container()
        if container is None:
            raise LifecycleError(f"{self.lifecycle.name} is gone; keep the container")
        return container
