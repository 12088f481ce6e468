"""Resources of a container: declared in it or started by it; all others are borrowed."""

import gc
from collections import Counter
from collections.abc import Collection, Iterator
from math import inf
from typing import Any, NoReturn, final
from weakref import ref

from dependency_injector import containers, providers

from metrics.errors import LifecycleError
from metrics.lifecycle._async_hook import AsyncHook
from metrics.lifecycle._graph import (
    AnyResource,
    Declarations,
    Provider,
    Singleton,
    Step,
    all_needs,
    declared_needs,
    dependents,
    in_order,
    is_singleton,
    name_of,
    names_of,
    plan,
    related,
    selected_needs,
    stale_singletons,
    values_needed,
)
from metrics.lifecycle._hooks import AsyncStockHook, StockHook, SyncHook, is_async_hook
from metrics.lifecycle._lifecycle import SHUTDOWN_TIMEOUT, Lifecycle, lifecycles
from metrics.lifecycle._process import keep
from metrics.lifecycle._record import Events, ResourceRecord
from metrics.lifecycle._resource import Resource


@final
class Refusal:
    """Hook of a stock resource whose container has stopped: it raises NotRunningError."""

    def __init__(self, lifecycle: Lifecycle, record: ResourceRecord, hook: Any) -> None:
        self._lifecycle = lifecycle
        self._record = record
        self.hook = hook

    def __call__(self, *_: object, **__: object) -> NoReturn:
        """Refuse."""
        raise self._lifecycle.refusal(self._record)

    def __deepcopy__(self, _memo: object) -> Any:
        return self.hook


def reopen(resource: AnyResource) -> None:
    """Give a stock resource its hook back, if its container has stopped."""
    if isinstance(resource.provides, Refusal):
        resource.set_provides(resource.provides.hook)


@final
class Ownership:
    """The resources of one container and of the containers that are embedded in it."""

    def __init__(self, container: containers.DynamicContainer, lifecycle: Lifecycle) -> None:
        self._container = ref(container)
        # The lifecycle that starts and stops the resources: that of the outermost container.
        self.lifecycle = lifecycle
        # Records of dependency-injector's own resources, which have no attribute for one.
        self.stock: dict[AnyResource, ResourceRecord] = {}
        # Everything declared here.
        self._seen: set[Provider] = set()
        # Records of the resources declared here, or borrowed and started here.
        self._own: dict[ResourceRecord, None] = {}
        # Records of the resources that are borrowed from another container.
        self._borrowed: set[ResourceRecord] = set()
        self._unnamed: Counter[str] = Counter()
        # The container's and not the lifecycle's: a subscriber may refer to the container.
        self.events = Events(lambda: lifecycle.name)
        # Whether singletons may have been made of these resources.
        self.has_singletons = False
        # Whether another container starts and stops these resources with its own.
        self.embedded = False
        # Ownerships of the containers that are embedded in this one.
        self._embedded: list[Ownership] = []

    def adopt(self, name: str, declared: Provider) -> None:
        """Own the resources of a declaration, unless they belong to another container."""
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
            self.has_singletons |= is_singleton(provider)
            if isinstance(provider, providers.BaseResource):
                self.record_of(provider)
        for provider, dotted in names.items():
            record = self.known(provider)
            if record is not None and self.owns(record):
                record.name = dotted

    def _embed(self, container: containers.DynamicContainer) -> None:
        """Own the resources of another container, unless it has started some."""
        inner = getattr(container, "_ownership", None)
        if not isinstance(inner, Ownership) or inner.embedded or inner.lifecycle.started:
            return
        for record in list(inner.lifecycle.records):
            self.lifecycle.adopt(record)
            self._own[record] = None
        self.stock.update(inner.stock)
        self.has_singletons |= inner.has_singletons
        self._embedded.append(inner)
        inner.embedded = True
        inner.follow(self)

    def follow(self, outer: "Ownership") -> None:
        """Use the lifecycle, stock resources and events of the container around this one."""
        self.lifecycle, self.stock, self.events = outer.lifecycle, outer.stock, outer.events
        for inner in self._embedded:
            inner.follow(self)

    def owns(self, record: ResourceRecord) -> bool:
        """Return whether a resource belongs to this container."""
        return record in self._own

    def record_of(self, provider: AnyResource) -> ResourceRecord | None:
        """Return the record of a resource; None if it is borrowed and was started elsewhere.

        A resource that does not run and belongs to no container is owned from now on.
        """
        known = self.known(provider)
        keeper = known.keeper if known is not None else None
        if isinstance(keeper, Lifecycle) and keeper.owner():
            if known is not None and not self.owns(known):
                self._borrowed.add(known)
            return known
        if provider.initialized and provider not in self._seen:
            return None
        reopen(provider)  # it may be the copy of one that refused requests
        record = known or ResourceRecord("")
        record.name = self._free_name(name_of(provider, {}))
        if not isinstance(provider, Resource):
            self.stock[provider] = record
        self.lifecycle.adopt(record)
        self._own[record] = None
        return record

    def _free_name(self, name: str) -> str:
        """Return a name for a resource that was declared without one; no other has it."""
        self._unnamed[name] += 1
        count = self._unnamed[name]
        return name if count == 1 else f"{name[:-1]} {count})"

    def known(self, provider: Provider) -> ResourceRecord | None:
        """Return the record of a provider, if it is a resource that has one."""
        if isinstance(provider, Resource):
            return provider.record
        return self.stock.get(provider) if isinstance(provider, providers.BaseResource) else None

    def planned(self, resource_type: type[AnyResource]) -> list[Step]:
        """Return the steps of a start, in order."""
        roots, needs = selected_needs(self.declarations)
        if not self.has_singletons:
            # One may have come to override another provider since the declaration.
            self.has_singletons = any(is_singleton(p) for p, _ in in_order(roots, related))
        steps = plan(roots, needs, self.record_of)
        return [step for step in steps if isinstance(step.provider, resource_type)]

    def all_steps(self) -> list[Step]:
        """Return a step for every resource that might be started; nothing is owned by that."""
        return plan(self.declarations.providers.values(), all_needs, self._shown)

    def owned(self, resource_type: type[AnyResource]) -> list[ResourceRecord]:
        """Return the container's own resources of one type."""
        return [
            step.record
            for step in self.all_steps()
            if isinstance(step.provider, resource_type) and self.owns(step.record)
        ]

    def in_use(self, resource: AnyResource) -> bool:
        """Return whether another running resource depends on a resource, in any container."""
        owners = [lifecycle.owner() for lifecycle in lifecycles()]
        return any(isinstance(o, Ownership) and o.depends_on(resource) for o in owners)

    def depends_on(self, resource: AnyResource) -> bool:
        """Return whether a running resource of this container depends on a resource."""
        record = self.known(resource)
        if record is None or not (self.owns(record) or record in self._borrowed):
            return False
        later = [
            other
            for other in list(self.lifecycle.started)
            if other.running and other.sequence > record.sequence
        ]
        if not later or self.container is None:
            return False
        roots = self.declarations.providers.values()
        found = dependents(roots, all_needs, lambda provider: provider is resource)
        return any(self.known(provider) in later for provider, _ in found)

    def stale_singletons(self, records: Collection[ResourceRecord]) -> list[Singleton]:
        """Return the singletons that may have been made of resources.

        When everything stops, these are also the singletons declared here that keep borrowed
        resources: their owner may have restarted them when this container starts again.
        """
        roots, gone = self.declarations.providers.values(), set(records)
        affected = list(
            stale_singletons(roots, related, lambda resource: self.known(resource) in gone)
        )
        if gone.issuperset(self._own):
            # An override of a singleton hides it from resources that are borrowed now.
            borrowing = stale_singletons(roots, all_needs, lambda _resource: True)
            affected += [singleton for singleton in borrowing if singleton in self._seen]
        return affected

    def made_of(self, records: Collection[ResourceRecord]) -> list[ResourceRecord]:
        """Return the running resources that may hold values of resources, directly or not."""
        if self.container is None:
            return []
        roots = self.declarations.providers.values()
        found = dependents(roots, values_needed, lambda provider: self.known(provider) in records)
        known = [self.known(provider) for provider, _ in found]
        return [record for record in known if record is not None and record.running]

    def reset_stock(self, survivors: Collection[ResourceRecord]) -> None:
        """Reset dependency-injector's own resources, except survivors, in a forked process."""
        self.reopen_stock()
        for resource, record in self.stock.items():
            if resource.initialized and record not in survivors:
                for state in gc.get_referents(resource):
                    if type(state).__name__ == "ResourceState":
                        keep(state)
                resource.reset_state()  # type: ignore[attr-defined] # the stubs have left it out

    def close_stock(self) -> None:
        """Have dependency-injector's own resources refuse requests, as the container's do."""
        for resource, record in self.stock.items():
            if not resource.initialized and not isinstance(resource.provides, Refusal):
                resource.set_provides(Refusal(self.lifecycle, record, resource.provides))

    def reopen_stock(self) -> None:
        """Let dependency-injector's own resources be requested again."""
        for resource in self.stock:
            reopen(resource)

    def find_started(self) -> None:
        """Note which of dependency-injector's own resources were started without the container.

        Such a resource stops before the last of the resources that it depends on.
        """
        found: dict[ResourceRecord, AnyResource] = {}
        started = self.lifecycle.started
        for resource, record in self.stock.items():
            if resource.initialized and record.finalizer is None:
                found[record] = resource
            elif not resource.initialized and record.running:
                record.reset()
                started.pop(record, None)
        if not found:
            return
        places: dict[Provider, tuple[int, int]] = {}
        for provider, needed in in_order(self.declarations.providers.values(), all_needs):
            place = max((places[n] for n in needed if n in places), default=(-1, 0))
            known = self.known(provider)
            if known in found:
                place = (place[0], place[1] + 1)
                self._enter(known, found[known], place)
            places[provider] = place if known is None or known.finalizer is None else known.sequence

    def _enter(
        self, record: ResourceRecord, resource: AnyResource, sequence: tuple[int, int]
    ) -> None:
        record.hook = resource.provides
        record.in_loop = is_async_hook(resource.provides)
        record.found_running(
            AsyncHook.already_entered(record.name, AsyncStockHook(resource))
            if record.in_loop
            else SyncHook.already_entered(StockHook(resource)),
            sequence,
        )
        self.lifecycle.started[record] = None

    def _shown(self, provider: AnyResource) -> ResourceRecord | None:
        """Return the record of a resource, or one that stands for it."""
        return self.known(provider) or ResourceRecord(name_of(provider, {}))

    @property
    def stop_seconds(self) -> float | None:
        """Time limit of a stop without a timeout; None for no limit."""
        declared = getattr(self.container, "declarative_parent", None)
        limit: float | None = getattr(declared, "shutdown_timeout", SHUTDOWN_TIMEOUT)
        return None if limit == inf else limit

    @property
    def container(self) -> containers.DynamicContainer | None:
        """The container, unless it was collected."""
        return self._container()

    @property
    def declarations(self) -> Declarations:
        """The container.

        Raises:
            LifecycleError: it was collected.
        """
        container = self._container()
        if container is None:
            raise LifecycleError(
                f"{self.lifecycle.name} was garbage collected; keep a reference to the container"
            )
        return container
